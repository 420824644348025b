"""All tables of the ledger, SQLite and PostgreSQL alike. A test holds them and `migrations/` together.

Money in minor units; instants in UTC milliseconds; ids from `livecommerce.ids`. Attribution (`advisor_id`, `shop_id`,
`link_id`) stands on every viewer, hold and order. A CHECK, not code, has the last word on stock.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str = "id") -> Column[str]:
    return Column(name, Text, primary_key=True)


def _ms(name: str, nullable: bool = True) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _attribution() -> tuple[Column[str], Column[str], Column[str]]:
    # No foreign keys: a hold keeps whom it credits even after an account or a link is gone.
    return (
        Column("advisor_id", Text, nullable=False, server_default=""),
        Column("shop_id", Text, nullable=False, server_default=""),
        Column("link_id", Text, nullable=False, server_default=""),
    )


# --- people ---------------------------------------------------------------------------------------------------------

org_units = Table(
    "org_units",
    metadata,
    _id(),
    Column("parent_id", Text, ForeignKey("org_units.id")),
    Column("kind", Text, nullable=False),  # headquarters | region | shop
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False),  # ids from the root, "/a/b/c/": scope checks are prefix checks
    CheckConstraint("kind IN ('headquarters', 'region', 'shop')", name="kind"),
)

accounts = Table(
    "accounts",
    metadata,
    _id(),
    Column("email", Text, nullable=False, unique=True),  # lower case
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),  # admin | manager | advisor | moderator
    Column("org_unit_id", Text, ForeignKey("org_units.id"), nullable=False),
    Column("generation", Integer, nullable=False, server_default="1"),  # a reset ends all sessions of older ones
    _ms("created_at_ms", nullable=False),
    _ms("disabled_at_ms"),
    CheckConstraint("role IN ('admin', 'manager', 'advisor', 'moderator')", name="role"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("csrf", Text, nullable=False),
    _ms("created_at_ms", nullable=False),
    _ms("expires_at_ms", nullable=False),
)

one_time_codes = Table(
    "one_time_codes",
    metadata,
    Column("code_hash", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # viewer | account
    Column("subject_id", Text, nullable=False),
    Column("target", Text, nullable=False, server_default="/"),
    _ms("expires_at_ms", nullable=False),
    _ms("used_at_ms"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_hash", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),  # viewer_tokens | till | till:LOCATION
    _ms("created_at_ms", nullable=False),
    _ms("revoked_at_ms"),
)

links = Table(
    "links",
    metadata,
    _id(),
    Column("advisor_id", Text, nullable=False),
    Column("shop_id", Text, nullable=False, server_default=""),
    Column("show_id", Text, nullable=False, server_default=""),
    Column("invitation_id", Text, nullable=False, server_default=""),
    Column("label", Text, nullable=False, server_default=""),
    _ms("created_at_ms", nullable=False),
)

viewers = Table(
    "viewers",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # guest | merchant | simulated
    Column("external_ref", Text, unique=True),  # the merchant's own customer id
    *_attribution(),
    _ms("created_at_ms", nullable=False),
    Column("verified", Text, nullable=False, server_default=""),  # an opaque word for the address she confirmed
)

mail_codes = Table(
    "mail_codes",
    metadata,
    Column("viewer_id", Text, primary_key=True),  # one at a time: the newest message counts
    Column("code_hash", Text, nullable=False),
    Column("verified", Text, nullable=False),  # what she is once she has typed the code
    Column("tries", Integer, nullable=False, server_default="0"),
    _ms("expires_at_ms", nullable=False),
)

bans = Table(
    "bans",
    metadata,
    Column("show_id", Text, primary_key=True),
    Column("viewer_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # ban | mute
    _ms("until_ms"),
    Column("by_account_id", Text, nullable=False),
    _ms("created_at_ms", nullable=False),
)

# --- catalogue ------------------------------------------------------------------------------------------------------

locations = Table(
    "locations",
    metadata,
    _id(),
    Column("kind", Text, nullable=False),  # warehouse | shop
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False, server_default=""),
    Column("city", Text, nullable=False, server_default=""),
    Column("hours", Text, nullable=False, server_default=""),
    Column("org_unit_id", Text, ForeignKey("org_units.id")),
    Column("is_default", Boolean, nullable=False, server_default="0"),
    CheckConstraint("kind IN ('warehouse', 'shop')", name="kind"),
)

products = Table(
    "products",
    metadata,
    _id(),
    Column("handle", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("body_html", Text, nullable=False, server_default=""),  # sanitised at import
    Column("vendor", Text, nullable=False, server_default=""),
    Column("type", Text, nullable=False, server_default=""),
    Column("tags", JSON, nullable=False),
    Column("published", Boolean, nullable=False),
    Column("option_names", JSON, nullable=False),  # up to three
    Column("extra", JSON, nullable=False),  # columns of the import that have no place of their own
    _ms("created_at_ms", nullable=False),
    _ms("updated_at_ms", nullable=False),
)

product_images = Table(
    "product_images",
    metadata,
    _id(),
    Column("product_id", Text, ForeignKey("products.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("source_url", Text, nullable=False, server_default=""),
    Column("stored_name", Text, nullable=False, server_default=""),  # file in the data folder, once fetched or uploaded
    Column("alt", Text, nullable=False, server_default=""),
    Column("width", Integer),
    Column("height", Integer),
)

variants = Table(
    "variants",
    metadata,
    _id(),
    Column("product_id", Text, ForeignKey("products.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("options_key", Text, nullable=False),  # the option values, joined: a variant's identity without a SKU
    Column("options", JSON, nullable=False),
    Column("sku", Text, nullable=False, server_default=""),
    Column("barcode", Text, nullable=False, server_default=""),
    Column("price_minor", BigInteger, nullable=False),
    Column("was_minor", BigInteger),
    Column("grams", Integer, nullable=False, server_default="0"),
    Column("requires_shipping", Boolean, nullable=False, server_default="1"),
    Column("taxable", Boolean, nullable=False, server_default="1"),
    Column("tracked", Boolean, nullable=False, server_default="1"),
    Column("swatch", Text, nullable=False, server_default=""),
    Column("image_id", Text),
    Column("retired", Boolean, nullable=False, server_default="0"),
    Column("extra", JSON, nullable=False),
    UniqueConstraint("product_id", "options_key"),
    CheckConstraint("price_minor >= 0", name="price"),
)

pools = Table(
    "pools",
    metadata,
    Column("variant_id", Text, ForeignKey("variants.id"), primary_key=True),
    Column("location_id", Text, ForeignKey("locations.id"), primary_key=True),
    # available + in_deals + sold = total; a shelf is a deal here, and sold counts what left through either
    Column("total", Integer, nullable=False),
    Column("available", Integer, nullable=False),
    Column("in_deals", Integer, nullable=False, server_default="0"),
    Column("sold", Integer, nullable=False, server_default="0"),
    CheckConstraint("available >= 0 AND in_deals >= 0 AND sold >= 0", name="parts"),
    CheckConstraint("available + in_deals + sold = total", name="conservation"),
)

pool_moves = Table(
    "pool_moves",
    metadata,
    Column("move_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # stock | to_deal | from_deal | sold
    Column("variant_id", Text, nullable=False),
    Column("location_id", Text, nullable=False),
    Column("deal_id", Text, nullable=False, server_default=""),
    Column("qty", Integer, nullable=False),
    _ms("at_ms", nullable=False),
    # Holds all that the audit sums up: it reads the index and no row.
    Index("ix_pool_moves_pool", "variant_id", "location_id", "deal_id", "kind", "qty"),
)

# --- shows ----------------------------------------------------------------------------------------------------------

shows = Table(
    "shows",
    metadata,
    _id(),
    Column("title", Text, nullable=False),
    Column("about", Text, nullable=False, server_default=""),
    Column("corner", Text, nullable=False),
    Column("corner_settings", JSON, nullable=False),
    Column("status", Text, nullable=False),
    Column("access", Text, nullable=False, server_default="public"),
    Column("host_account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("org_unit_id", Text, ForeignKey("org_units.id"), nullable=False),
    Column("video", JSON, nullable=False),
    Column("on_air_card_id", Text, nullable=False, server_default=""),
    Column("slow_seconds", Integer, nullable=False, server_default="0"),
    _ms("scheduled_at_ms"),
    _ms("launch_at_ms"),
    _ms("started_at_ms"),
    _ms("ended_at_ms"),
    _ms("created_at_ms", nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("limit_per_person", Integer, nullable=False, server_default="0"),  # units in the whole show; 0: none
    Column("claims", JSON, nullable=False, server_default="{}"),
    Column("members_only", Boolean, nullable=False, server_default="0"),  # who may write in the chat
    Column("interruption", JSON(none_as_null=True)),  # the newest: number, by whom, from when to when
    Column("recording", Text, nullable=False, server_default=""),  # "" | kept, however old | removed
    CheckConstraint("status IN ('draft','scheduled','live','interrupted','ended','cancelled')", name="status"),
)

# How the picture of a show does, told once a second by the process that films it. See `shows.pictures`.
pictures = Table(
    "pictures",
    metadata,
    Column("show_id", Text, primary_key=True),
    Column("beats", BigInteger, nullable=False, server_default="0"),
    _ms("seen_at_ms"),
    Column("away", Text, nullable=False, server_default=""),  # why no picture comes, where somebody knows
    Column("said", Text, nullable=False, server_default=""),  # ffmpeg's last words then
)

cards = Table(
    "cards",
    metadata,
    _id(),
    Column("show_id", Text, ForeignKey("shows.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # deal | product | bundle
    Column("title", Text, nullable=False),
    Column("line", Text, nullable=False, server_default=""),
    Column("notes", Text, nullable=False, server_default=""),  # the host's own, never public
    Column("product_id", Text, ForeignKey("products.id")),
    Column("bundle_minor", BigInteger),
    Column("state", Text, nullable=False, server_default="planned"),  # planned | on_air | done
    Column("hidden_until_launch", Boolean, nullable=False, server_default="0"),
    Column("removed", Boolean, nullable=False, server_default="0"),
    Column("code", Text, nullable=False, server_default=""),  # unique in its show, given under the show's lock
)

deals = Table(
    "deals",
    metadata,
    _id(),
    Column("show_id", Text, ForeignKey("shows.id"), nullable=False, index=True),
    Column("card_id", Text, ForeignKey("cards.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("variant_id", Text, ForeignKey("variants.id"), nullable=False),
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    Column("price_minor", BigInteger, nullable=False),
    Column("was_minor", BigInteger),
    Column("quota", Integer, nullable=False),  # asked for; what was moved stands in `allotted`
    Column("allotted", Integer, nullable=False, server_default="0"),
    Column("paying", Integer, nullable=False, server_default="0"),
    Column("sold", Integer, nullable=False, server_default="0"),
    Column("limit_per_viewer", Integer, nullable=False),
    Column("hold_seconds", Integer, nullable=False),
    Column("pay_seconds", Integer, nullable=False),
    Column("level", Text, nullable=False, server_default="soft"),  # soft | fsync | ledger
    Column("status", Text, nullable=False, server_default="draft"),
    _ms("opens_at_ms"),
    _ms("closes_at_ms"),
    Column("head_wants_more", Text, nullable=False, server_default="skip"),  # skip | wait
    Column("limit_by", Text, nullable=False, server_default="guest"),  # guest | verified | member
    Column("address_cap", Integer, nullable=False, server_default="0"),  # units of one network address; 0: none
    Column("hold_cap_seconds", Integer, nullable=False, server_default="0"),  # of one person in all; 0: none
    Column("pulled", Text, nullable=False, server_default=""),  # "" | honour | cancel
    Column("fairness", Text, nullable=False, server_default="first_come"),  # first_come | draw
    Column("draw_seconds", Integer, nullable=False, server_default="0"),  # of the window in which taps enter the draw
    # No oversell, in SQL itself: whatever happens above, these rows cannot say otherwise.
    CheckConstraint("sold >= 0 AND paying >= 0 AND sold + paying <= allotted", name="no_oversell"),
    CheckConstraint("status IN ('draft','announced','open','closing','closed')", name="status"),
    CheckConstraint("price_minor >= 0", name="price"),
)

# --- what is on sale without a show ---------------------------------------------------------------------------------

# Units of a pool that every channel of its location sells from: the web shop, the till, a basket, a try-on. A shelf is
# to its location's books in Redis what a deal is to a show's, and stands open for good. Made when first asked for.
shelves = Table(
    "shelves",
    metadata,
    _id(),
    Column("variant_id", Text, ForeignKey("variants.id"), nullable=False),
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False, index=True),
    Column("allotted", Integer, nullable=False, server_default="0"),
    Column("paying", Integer, nullable=False, server_default="0"),
    Column("sold", Integer, nullable=False, server_default="0"),
    Column("moves", Integer, nullable=False, server_default="0"),  # how many moves it has had: numbers the next one
    UniqueConstraint("variant_id", "location_id"),
    CheckConstraint("paying >= 0 AND sold >= 0 AND sold + paying <= allotted", name="no_oversell"),
)

# A move between a pool and its shelf touches SQL and Redis; it is written down before, so that whoever finds it open
# can finish it. `up`: SQL has moved `qty`, Redis is to follow. `down`: Redis is to be asked for `qty`, SQL follows.
shelf_moves = Table(
    "shelf_moves",
    metadata,
    Column("shelf_id", Text, ForeignKey("shelves.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # up | down
    Column("qty", Integer, nullable=False),
    Column("moved", Integer),  # what it came to; empty while it is open
    _ms("at_ms", nullable=False),
    CheckConstraint("kind IN ('up', 'down')", name="kind"),
    Index("ix_shelf_moves_open", "at_ms", sqlite_where=text("moved IS NULL"), postgresql_where=text("moved IS NULL")),
)

# What people set aside through the shop's own channels: where, at which prices, and through whom.
shop_holds = Table(
    "shop_holds",
    metadata,
    Column("viewer_id", Text, primary_key=True),
    Column("rid", Text, primary_key=True),
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False),
    Column("channel", Text, nullable=False),  # web | till | basket | try_on
    Column("lines", JSON, nullable=False),  # [[shelf_id, qty, unit_minor], …]: the prices as they were told
    # Whom the order credits, where that is not whom the customer came by: the advisor who made the basket.
    Column("advisor_id", Text, nullable=False, server_default=""),
    Column("shop_id", Text, nullable=False, server_default=""),
    Column("replaced", Boolean, nullable=False, server_default="0"),  # a changed bag has another rid
    _ms("bag_since_ms", nullable=False),  # when the bag began that this one is a later form of
    _ms("at_ms", nullable=False),
    Index("ix_shop_holds_newest", "viewer_id", "channel", "at_ms"),
)

# An unpaid hold of a day or two, so that somebody can try at the counter.
try_ons = Table(
    "try_ons",
    metadata,
    _id(),
    Column("code", Text, nullable=False, unique=True),
    Column("viewer_id", Text, nullable=False),
    Column("rid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False),
    Column("variant_id", Text, ForeignKey("variants.id"), nullable=False),
    Column("qty", Integer, nullable=False),
    Column("state", Text, nullable=False),  # asked | kept | came | bought | missed | given_up | refused
    _ms("until_ms", nullable=False),
    _ms("at_ms", nullable=False),
    _ms("decided_at_ms"),
    Column("by_account_id", Text, nullable=False, server_default=""),
    Column("order_id", Text, nullable=False, server_default=""),
    UniqueConstraint("viewer_id", "rid"),
    Index("ix_try_ons_counter", "location_id", "state", "until_ms"),
    CheckConstraint("state IN ('asked','kept','came','bought','missed','given_up','refused')", name="state"),
)

# An order that an advisor put together for one customer, who opens it by its link and pays it.
baskets = Table(
    "baskets",
    metadata,
    _id(),
    Column("link_word", Text, nullable=False, unique=True),  # in the link: unguessable, unlike the id
    Column("advisor_id", Text, nullable=False, index=True),
    Column("shop_id", Text, nullable=False, server_default=""),
    Column("location_id", Text, ForeignKey("locations.id"), nullable=False),
    Column("customer", Text, nullable=False, server_default=""),  # how the advisor calls her
    Column("note", Text, nullable=False, server_default=""),
    Column("lines", JSON, nullable=False),  # [[variant_id, qty], …]
    Column("hold_seconds", Integer, nullable=False),
    Column("state", Text, nullable=False),  # open | withdrawn
    Column("viewer_id", Text, nullable=False, server_default=""),  # the customer, once she opened it
    _ms("at_ms", nullable=False),
    _ms("until_ms", nullable=False),
    CheckConstraint("state IN ('open','withdrawn')", name="state"),
)

show_log = Table(
    "show_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("show_id", Text, nullable=False),
    # public events carry their place in the news; the rest (talk, actions, private) carry none
    Column("epoch", Text, nullable=False, server_default=""),
    Column("offset", BigInteger),
    _ms("at_ms", nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False, server_default=""),
    Column("body", Text, nullable=False),  # JSON
    Index("ix_show_log_show", "show_id", "id"),
    # Public rows are few among the talk, and those the news does not have yet are hardly ever more than one.
    Index(
        "ix_show_log_public", "show_id", "id", sqlite_where=text("epoch <> ''"), postgresql_where=text("epoch <> ''")
    ),
    Index(
        "ix_show_log_unpublished",
        "show_id",
        "id",
        sqlite_where=text("epoch = 'unpublished'"),
        postgresql_where=text("epoch = 'unpublished'"),
    ),
    UniqueConstraint("show_id", "epoch", "offset"),
)

commands_done = Table(
    "commands_done",
    metadata,
    Column("show_id", Text, primary_key=True),
    Column("command_id", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    _ms("at_ms", nullable=False),
)

invitations = Table(
    "invitations",
    metadata,
    _id(),
    Column("show_id", Text, ForeignKey("shows.id"), nullable=False, index=True),
    Column("place_limit", Integer, nullable=False),
    Column("places_taken", Integer, nullable=False, server_default="0"),
    Column("label", Text, nullable=False, server_default=""),
    CheckConstraint("places_taken >= 0 AND places_taken <= place_limit", name="places"),
)

invitation_places = Table(
    "invitation_places",
    metadata,
    Column("invitation_id", Text, ForeignKey("invitations.id"), primary_key=True),
    Column("viewer_id", Text, primary_key=True),
    _ms("at_ms", nullable=False),
)

questions = Table(
    "questions",
    metadata,
    _id(),
    Column("show_id", Text, ForeignKey("shows.id"), nullable=False, index=True),
    Column("viewer_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("votes", Integer, nullable=False, server_default="0"),
    Column("votes_told", Integer, nullable=False, server_default="0"),  # what the room was last told
    Column("status", Text, nullable=False, server_default="queued"),
    Column("answer", Text, nullable=False, server_default=""),
    _ms("at_ms", nullable=False),
)

question_votes = Table(
    "question_votes",
    metadata,
    Column("question_id", Text, ForeignKey("questions.id"), primary_key=True),
    Column("viewer_id", Text, primary_key=True),
)

# To one advisor, and never to the room.
private_questions = Table(
    "private_questions",
    metadata,
    _id(),
    Column("show_id", Text, nullable=False),
    Column("viewer_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("advisor_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    _ms("at_ms", nullable=False),
    Column("answer", Text, nullable=False, server_default=""),
    _ms("answered_at_ms"),
    Index("ix_private_questions_inbox", "advisor_id", "answered_at_ms", "at_ms"),
    Index("ix_private_questions_viewer", "viewer_id", "show_id"),
)

# What the merchant keeps out of the talk of all shows: one row.
talk_rules = Table(
    "talk_rules",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("lists", JSON, nullable=False),  # words, allowed, link_hosts, starters
    _ms("changed_at_ms", nullable=False),
    Column("changed_by", Text, nullable=False),
)

# What a merchant uploads for a recording; what is typed during a show stands in its log.
caption_files = Table(
    "caption_files",
    metadata,
    Column("show_id", Text, primary_key=True),
    Column("language", Text, primary_key=True),  # BCP 47
    Column("body", Text, nullable=False),  # WebVTT as it is played
    Column("lines", Integer, nullable=False),
    _ms("changed_at_ms", nullable=False),
    Column("changed_by", Text, nullable=False),
)

promises = Table(
    "promises",
    metadata,
    _id(),
    Column("show_id", Text, nullable=False, index=True),
    Column("card_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("by_account_id", Text, nullable=False),
    _ms("at_ms", nullable=False),
)

offer_rules = Table(
    "offer_rules",
    metadata,
    _id(),
    Column("show_id", Text, nullable=False, index=True),  # "": every show of the shop
    Column("position", Integer, nullable=False),
    Column("moment", Text, nullable=False),  # sold_out | released | paid | closing_soon
    Column("of_kind", Text, nullable=False),  # any | card | product | variant | tag
    Column("of_value", Text, nullable=False, server_default=""),
    Column("offer_kind", Text, nullable=False),
    Column("offer_value", Text, nullable=False, server_default=""),
    Column("words", JSON, nullable=False),  # locale → the merchant's sentence
    Column("at_most", Integer, nullable=False),
    Column("removed", Boolean, nullable=False, server_default="0"),  # its counts stay
    _ms("created_at_ms", nullable=False),
    CheckConstraint("moment IN ('sold_out','released','paid','closing_soon')", name="moment"),
    CheckConstraint("at_most >= 1", name="at_most"),
)

# One row per offer that went to one viewer. Its id is made of whom, why and the how-manieth, so that two processes
# which see the same moment write one row, and only whoever wrote it tells her.
offers_made = Table(
    "offers_made",
    metadata,
    _id(),
    Column("show_id", Text, nullable=False),
    Column("viewer_id", Text, nullable=False),
    Column("rule_id", Text, nullable=False, server_default=""),  # "": the house's own order
    Column("moment", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("about_deal_id", Text, nullable=False),
    Column("deal_ids", JSON, nullable=False),
    _ms("at_ms", nullable=False),
    _ms("shown_at_ms"),
    _ms("dismissed_at_ms"),
    _ms("taken_at_ms"),
    Column("rid", Text, nullable=False, server_default=""),  # the reservation that took it
    Index("ix_offers_made_counts", "show_id", "rule_id", "moment", "kind"),
)

# --- reservations and orders ----------------------------------------------------------------------------------------

reservations = Table(
    "reservations",
    metadata,
    Column("viewer_id", Text, primary_key=True),
    Column("rid", Text, primary_key=True),
    Column("show_id", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),  # held (witness) | paying | confirmed | expired | cancelled | void | …
    Column("ticket", BigInteger, nullable=False, server_default="0"),
    Column("lines", JSON, nullable=False),  # [[deal_id, qty, price_minor], …]
    *_attribution(),
    _ms("due_at_ms"),
    _ms("created_at_ms", nullable=False),
    _ms("updated_at_ms", nullable=False),
)

movements = Table(
    "movements",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("show_id", Text, nullable=False),
    Column("deal_id", Text, nullable=False),
    Column("viewer_id", Text, nullable=False),
    Column("rid", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # held | released | expired | paying | confirmed | freed | …
    Column("n", Integer, nullable=False, server_default="0"),  # how many times before, for re-acquisitions
    Column("qty", Integer, nullable=False),
    _ms("at_ms", nullable=False),
    # What a hold is made of again after Redis lost it; the script's own movements have them.
    Column("ticket", BigInteger),
    _ms("hold_clock_ms"),
    Column("attribution", Text, nullable=False, server_default=""),
    # The call of the script that did it; 0 for what SQL decided. "All up to this call" is what the audit compares.
    Column("seq", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("viewer_id", "rid", "line", "kind", "n"),
    Index("ix_movements_deal", "deal_id", "id"),
    Index("ix_movements_show", "show_id", "seq", "id"),
)

# Holds of level `ledger`, written before they are answered. See `reservations.witnesses`.
witnesses = Table(
    "witnesses",
    metadata,
    Column("show_id", Text, primary_key=True),
    Column("viewer_id", Text, primary_key=True),
    Column("rid", Text, primary_key=True),
    Column("ticket", BigInteger, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    _ms("due_at_ms", nullable=False),
    _ms("told_at_ms", nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, server_default="held"),  # held, or the kind of movement that ended it
    # `state` stands in it too, or SQLite thinks the primary key as good.
    Index(
        "ix_witnesses_held",
        "show_id",
        "state",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
    sqlite_with_rowid=False,  # one tree instead of two
)

# Shows whose books were opened in Redis: where they are missing there, they were lost, and are made anew.
show_books = Table(
    "show_books",
    metadata,
    Column("show_id", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False, server_default="0"),  # of the last rebuild that began
    _ms("opened_at_ms", nullable=False),
)

orders = Table(
    "orders",
    metadata,
    _id(),
    Column("number", Text, nullable=False, unique=True),
    Column("show_id", Text, nullable=False, index=True),
    Column("viewer_id", Text, nullable=False, index=True),
    Column("rid", Text, nullable=False),
    *_attribution(),
    Column("status", Text, nullable=False),
    Column("contact_name", Text, nullable=False, server_default=""),
    Column("contact", Text, nullable=False, server_default=""),
    Column("delivery", Text, nullable=False),  # ship | pickup
    Column("address", JSON, nullable=False),
    Column("pickup_location_id", Text, nullable=False, server_default=""),
    Column("pickup_code", Text, nullable=False, server_default=""),
    _ms("collected_at_ms"),
    Column("currency", Text, nullable=False),
    Column("subtotal_minor", BigInteger, nullable=False),
    Column("shipping_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("tax_included", Boolean, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("promises", JSON, nullable=False),
    _ms("created_at_ms", nullable=False),
    _ms("paid_at_ms"),
    _ms("pay_by_ms"),
    # Grows with every change, whoever makes it: of two things told of an order the page keeps the later one.
    Column("version", Integer, nullable=False, server_default="1", onupdate=literal_column("version + 1")),
    UniqueConstraint("viewer_id", "rid"),
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Text, ForeignKey("orders.id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("deal_id", Text, nullable=False),
    Column("variant_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    Column("qty", Integer, nullable=False),
    Column("unit_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
)

payments = Table(
    "payments",
    metadata,
    _id(),
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False, index=True),
    Column("provider", Text, nullable=False),
    Column("provider_ref", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),  # open | declined | captured | revoked | refund_due | refunded
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("url", Text, nullable=False, server_default=""),
    # The test provider's own books, which only it reads and writes: a real provider keeps its side elsewhere.
    Column("provider_side", Text, nullable=False, server_default="open"),
    _ms("expires_at_ms"),
    _ms("created_at_ms", nullable=False),
    _ms("updated_at_ms", nullable=False),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    _ms("received_at_ms", nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("body", JSON, nullable=False),
    _ms("created_at_ms", nullable=False),
    _ms("done_at_ms", nullable=True),
    Index("ix_outbox_open", "done_at_ms", "id"),
)

# --- fairness -------------------------------------------------------------------------------------------------------

# The draw of a deal. Seed and salt are committed before the deal can be seen to open, and told to nobody before the
# draw was made; not in `deals`, whose rows are copied and listed.
draws = Table(
    "draws",
    metadata,
    Column("deal_id", Text, ForeignKey("deals.id"), primary_key=True),
    Column("show_id", Text, nullable=False),
    Column("seed", Text, nullable=False),
    Column("salt", Text, nullable=False),
    _ms("draws_at_ms"),  # the window's end, once the deal is open
    _ms("drawn_at_ms"),
    # Written before the first place is given, when every entry stands in `movements`: with these a draw whose books are
    # lost goes on exactly as it would have. Told with the seed.
    Column("entrants", Integer, nullable=False, server_default="0"),
    Column("root", Text, nullable=False, server_default=""),
    Column("base", BigInteger, nullable=True),  # the ticket before the first drawn one
    Column("entries_to", BigInteger, nullable=True),  # the last movement then: later ones may be of another history
    # Windows that came to nothing since Redis lost them: [{"seed", "commitment", "at_ms"}, …], oldest first.
    Column("void", JSON, nullable=False, server_default="[]"),
)

# The list of tickets of a closed deal, as it was signed: these bytes, for ever.
ticket_lists = Table(
    "ticket_lists",
    metadata,
    Column("deal_id", Text, ForeignKey("deals.id"), primary_key=True),
    Column("show_id", Text, nullable=False, index=True),
    Column("salt", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("signature", Text, nullable=False),
    _ms("made_at_ms", nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),  # grows with every change of holder; every action carries it
    _ms("expires_at_ms", nullable=False),
)
