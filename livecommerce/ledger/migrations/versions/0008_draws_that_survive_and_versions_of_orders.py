"""Draws that survive the loss of their books, versions of orders

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("draws", sa.Column("base", sa.BigInteger(), nullable=True))
    op.add_column("draws", sa.Column("entries_to", sa.BigInteger(), nullable=True))
    op.add_column("draws", sa.Column("void", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("orders", sa.Column("version", sa.Integer(), server_default="1", nullable=False))


def downgrade() -> None:
    op.drop_column("orders", "version")
    op.drop_column("draws", "void")
    op.drop_column("draws", "entries_to")
    op.drop_column("draws", "base")
