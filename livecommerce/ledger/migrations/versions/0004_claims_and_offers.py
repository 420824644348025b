"""Claims by comment, and offers at their moments

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# As `shows/codes.py` has them today; a migration does not change with the code.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWYZ"


def upgrade() -> None:
    with op.batch_alter_table("shows") as batch_op:
        batch_op.add_column(sa.Column("claims", sa.JSON(), server_default="{}", nullable=False))
    with op.batch_alter_table("cards") as batch_op:
        batch_op.add_column(sa.Column("code", sa.Text(), server_default="", nullable=False))
    _give_codes()
    op.create_table(
        "offer_rules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("show_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("moment", sa.Text(), nullable=False),
        sa.Column("of_kind", sa.Text(), nullable=False),
        sa.Column("of_value", sa.Text(), server_default="", nullable=False),
        sa.Column("offer_kind", sa.Text(), nullable=False),
        sa.Column("offer_value", sa.Text(), server_default="", nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("at_most", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "moment IN ('sold_out','released','paid','closing_soon')", name=op.f("ck_offer_rules_moment")
        ),
        sa.CheckConstraint("at_most >= 1", name=op.f("ck_offer_rules_at_most")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_rules")),
    )
    op.create_index(op.f("ix_offer_rules_show_id"), "offer_rules", ["show_id"])
    op.create_table(
        "offers_made",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("show_id", sa.Text(), nullable=False),
        sa.Column("viewer_id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), server_default="", nullable=False),
        sa.Column("moment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about_deal_id", sa.Text(), nullable=False),
        sa.Column("deal_ids", sa.JSON(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("shown_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("dismissed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("taken_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("rid", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers_made")),
    )
    op.create_index("ix_offers_made_counts", "offers_made", ["show_id", "rule_id", "moment", "kind"])


def downgrade() -> None:
    op.drop_table("offers_made")
    op.drop_table("offer_rules")
    with op.batch_alter_table("cards") as batch_op:
        batch_op.drop_column("code")
    with op.batch_alter_table("shows") as batch_op:
        batch_op.drop_column("claims")


def _give_codes() -> None:
    """Cards that exist get theirs in the order of their shows' rundowns; removed ones too, so that none is reused."""
    cards = sa.table("cards", sa.column("id"), sa.column("show_id"), sa.column("position"), sa.column("code"))
    connection = op.get_bind()
    query = sa.select(cards.c.id, cards.c.show_id).order_by(cards.c.show_id, cards.c.position, cards.c.id)
    given: dict[str, int] = {}
    for card_id, show_id in connection.execute(query).all():
        number = given[show_id] = given.get(show_id, -1) + 1
        connection.execute(cards.update().where(cards.c.id == card_id).values(code=_code(number)))


def _code(number: int) -> str:
    most, length = len(_LETTERS), 2
    while number >= most**length:
        number -= most**length
        length += 1
    letters = ""
    for _ in range(length):
        number, place = divmod(number, most)
        letters = _LETTERS[place] + letters
    return letters
