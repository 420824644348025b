"""Shelves: one hold for all channels

Revision ID: 0005
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shelves",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("variant_id", sa.Text(), nullable=False),
        sa.Column("location_id", sa.Text(), nullable=False),
        sa.Column("allotted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paying", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sold", sa.Integer(), server_default="0", nullable=False),
        sa.Column("moves", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "paying >= 0 AND sold >= 0 AND sold + paying <= allotted", name=op.f("ck_shelves_no_oversell")
        ),
        sa.ForeignKeyConstraint(["variant_id"], ["variants.id"], name=op.f("fk_shelves_variant_id_variants")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("fk_shelves_location_id_locations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shelves")),
        sa.UniqueConstraint("variant_id", "location_id", name=op.f("uq_shelves_variant_id")),
    )
    op.create_index(op.f("ix_shelves_location_id"), "shelves", ["location_id"])
    op.create_table(
        "shelf_moves",
        sa.Column("shelf_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("qty", sa.Integer(), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('up', 'down')", name=op.f("ck_shelf_moves_kind")),
        sa.ForeignKeyConstraint(["shelf_id"], ["shelves.id"], name=op.f("fk_shelf_moves_shelf_id_shelves")),
        sa.PrimaryKeyConstraint("shelf_id", "number", name=op.f("pk_shelf_moves")),
    )
    is_open = sa.text("moved IS NULL")
    op.create_index(
        "ix_shelf_moves_open", "shelf_moves", ["at_ms"], sqlite_where=is_open, postgresql_where=is_open
    )  # fmt: skip
    op.create_table(
        "shop_holds",
        sa.Column("viewer_id", sa.Text(), nullable=False),
        sa.Column("rid", sa.Text(), nullable=False),
        sa.Column("location_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("advisor_id", sa.Text(), server_default="", nullable=False),
        sa.Column("shop_id", sa.Text(), server_default="", nullable=False),
        sa.Column("replaced", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("bag_since_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("fk_shop_holds_location_id_locations")),
        sa.PrimaryKeyConstraint("viewer_id", "rid", name=op.f("pk_shop_holds")),
    )
    op.create_index("ix_shop_holds_newest", "shop_holds", ["viewer_id", "channel", "at_ms"])
    op.create_table(
        "try_ons",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("viewer_id", sa.Text(), nullable=False),
        sa.Column("rid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location_id", sa.Text(), nullable=False),
        sa.Column("variant_id", sa.Text(), nullable=False),
        sa.Column("qty", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("by_account_id", sa.Text(), server_default="", nullable=False),
        sa.Column("order_id", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "state IN ('asked','kept','came','bought','missed','given_up','refused')", name=op.f("ck_try_ons_state")
        ),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("fk_try_ons_location_id_locations")),
        sa.ForeignKeyConstraint(["variant_id"], ["variants.id"], name=op.f("fk_try_ons_variant_id_variants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_try_ons")),
        sa.UniqueConstraint("code", name=op.f("uq_try_ons_code")),
        sa.UniqueConstraint("viewer_id", "rid", name=op.f("uq_try_ons_viewer_id")),
    )
    op.create_index("ix_try_ons_counter", "try_ons", ["location_id", "state", "until_ms"])
    op.create_table(
        "baskets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("link_word", sa.Text(), nullable=False),
        sa.Column("advisor_id", sa.Text(), nullable=False),
        sa.Column("shop_id", sa.Text(), server_default="", nullable=False),
        sa.Column("location_id", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("hold_seconds", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("viewer_id", sa.Text(), server_default="", nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('open','withdrawn')", name=op.f("ck_baskets_state")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("fk_baskets_location_id_locations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_baskets")),
        sa.UniqueConstraint("link_word", name=op.f("uq_baskets_link_word")),
    )
    op.create_index(op.f("ix_baskets_advisor_id"), "baskets", ["advisor_id"])


def downgrade() -> None:
    for name in ("baskets", "try_ons", "shop_holds", "shelf_moves", "shelves"):
        op.drop_table(name)
