"""Whom a deal's limit counts, its caps, how it was pulled; a show's limit; the address a viewer confirmed

What was there keeps the rules it had: guests are counted, nothing is capped.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("head_wants_more", sa.Text(), server_default="skip", nullable=False),
        sa.Column("limit_by", sa.Text(), server_default="guest", nullable=False),
        sa.Column("address_cap", sa.Integer(), server_default="0", nullable=False),
        sa.Column("hold_cap_seconds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pulled", sa.Text(), server_default="", nullable=False),
    ):
        op.add_column("deals", column)
    op.add_column("shows", sa.Column("limit_per_person", sa.Integer(), server_default="0", nullable=False))
    op.add_column("viewers", sa.Column("verified", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "mail_codes",
        sa.Column("viewer_id", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("verified", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("viewer_id", name=op.f("pk_mail_codes")),
    )


def downgrade() -> None:
    op.drop_table("mail_codes")
    op.drop_column("viewers", "verified")
    op.drop_column("shows", "limit_per_person")
    for name in ("pulled", "hold_cap_seconds", "address_cap", "limit_by", "head_wants_more"):
        op.drop_column("deals", name)
