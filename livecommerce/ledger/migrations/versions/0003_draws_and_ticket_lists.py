"""Draws, and signed lists of tickets

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deals", sa.Column("fairness", sa.Text(), server_default="first_come", nullable=False))
    op.add_column("deals", sa.Column("draw_seconds", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "draws",
        sa.Column("deal_id", sa.Text(), nullable=False),
        sa.Column("show_id", sa.Text(), nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("draws_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("drawn_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("entrants", sa.Integer(), server_default="0", nullable=False),
        sa.Column("root", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_draws_deal_id_deals")),
        sa.PrimaryKeyConstraint("deal_id", name=op.f("pk_draws")),
    )
    op.create_table(
        "ticket_lists",
        sa.Column("deal_id", sa.Text(), nullable=False),
        sa.Column("show_id", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["deal_id"], ["deals.id"], name=op.f("fk_ticket_lists_deal_id_deals")),
        sa.PrimaryKeyConstraint("deal_id", name=op.f("pk_ticket_lists")),
    )
    op.create_index(op.f("ix_ticket_lists_show_id"), "ticket_lists", ["show_id"])
