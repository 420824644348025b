"""The picture of a show, its breaks, and whether its recording is kept

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shows", sa.Column("interruption", sa.JSON(), nullable=True))
    op.add_column("shows", sa.Column("recording", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "pictures",
        sa.Column("show_id", sa.Text(), nullable=False),
        sa.Column("beats", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("away", sa.Text(), server_default="", nullable=False),
        sa.Column("said", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("show_id", name=op.f("pk_pictures")),
    )


def downgrade() -> None:
    op.drop_table("pictures")
    op.drop_column("shows", "recording")
    op.drop_column("shows", "interruption")
