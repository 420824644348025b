"""Witnesses of level `ledger`; what the audit reads has its indexes.

Revision ID: 0006
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "witnesses",
        sa.Column("show_id", sa.Text(), nullable=False),
        sa.Column("viewer_id", sa.Text(), nullable=False),
        sa.Column("rid", sa.Text(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("told_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), server_default="held", nullable=False),
        sa.PrimaryKeyConstraint("show_id", "viewer_id", "rid", name=op.f("pk_witnesses")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_witnesses_held",
        "witnesses",
        ["show_id", "state"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.add_column("movements", sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("ix_movements_show", "movements", ["show_id", "seq", "id"], unique=False)
    op.create_index(
        "ix_pool_moves_pool", "pool_moves", ["variant_id", "location_id", "deal_id", "kind", "qty"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_pool_moves_pool", table_name="pool_moves")
    op.drop_index("ix_movements_show", table_name="movements")
    with op.batch_alter_table("movements") as batch_op:
        batch_op.drop_column("seq")
    op.drop_index("ix_witnesses_held", table_name="witnesses")
    op.drop_table("witnesses")
