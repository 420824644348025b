"""Books that can be made anew after Redis lost them

Revision ID: 0007
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "show_books",
        sa.Column("show_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("show_id", name=op.f("pk_show_books")),
    )
    # Whatever was ever on air or given stock has books; those of an older version too.
    op.execute(
        "INSERT INTO show_books (show_id, opened_at_ms) SELECT id, created_at_ms FROM shows "
        "WHERE started_at_ms IS NOT NULL "
        "OR EXISTS (SELECT 1 FROM deals WHERE deals.show_id = shows.id AND deals.status <> 'draft')"
    )
    op.add_column("movements", sa.Column("ticket", sa.BigInteger(), nullable=True))
    op.add_column("movements", sa.Column("hold_clock_ms", sa.BigInteger(), nullable=True))
    op.add_column("movements", sa.Column("attribution", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("movements", "attribution")
    op.drop_column("movements", "hold_clock_ms")
    op.drop_column("movements", "ticket")
    op.drop_table("show_books")
