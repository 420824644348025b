"""Members only, private questions, and the merchant's word lists

Revision ID: 0009
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shows", sa.Column("members_only", sa.Boolean(), server_default="0", nullable=False))
    op.create_table(
        "private_questions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("show_id", sa.Text(), nullable=False),
        sa.Column("viewer_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("advisor_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_private_questions")),
    )
    op.create_index("ix_private_questions_inbox", "private_questions", ["advisor_id", "answered_at_ms", "at_ms"])
    op.create_index("ix_private_questions_viewer", "private_questions", ["viewer_id", "show_id"])
    op.create_table(
        "talk_rules",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("lists", sa.JSON(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_talk_rules")),
    )


def downgrade() -> None:
    op.drop_table("talk_rules")
    op.drop_table("private_questions")
    op.drop_column("shows", "members_only")
