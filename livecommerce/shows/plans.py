"""What staff hands in to plan a show: shows, cards, deals, with every bound; and how a plan is given back.

Prices are whole numbers of the smallest coin: a finer one is no integer and is refused where it is decoded. It knows
no storage.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from livecommerce.protocol.facts import (
    CardFacts,
    ClaimRules,
    CornerName,
    HoldLevel,
    LimitBy,
    PictureClock,
    PictureKind,
    ShowFacts,
)
from livecommerce.protocol.from_viewer import ShortId
from livecommerce.shows.pictures import PictureFacts
from livecommerce.shows.state import CardState, RecordingState

Title = Annotated[str, Meta(min_length=1, max_length=120)]
About = Annotated[str, Meta(max_length=2000)]
InstantMs = Annotated[int, Meta(ge=0, le=32_503_680_000_000)]  # until the year 3000
# An address of this server or one that a browser fetches by itself; never a script.
Url = Annotated[str, Meta(max_length=2000, pattern=r"^(https?://[^\s]+|/[^\s]*)?$")]
PersonLimit = Annotated[int, Meta(ge=0, le=100_000)]
Access = Literal["public", "invited", "members"]
# Who is served: whoever comes first, or whom a draw among all who tapped within a window names.
Fairness = Literal["first_come", "draw"]

QUOTA_MAX = 100_000
LIMIT_MAX = 1000
DEALS_PER_CARD_MAX = 40
CARDS_MAX = 200
# A tap from the slowest line comes within a few seconds; longer than a quarter of a minute nobody watches a button.
DRAW_SECONDS_MIN, DRAW_SECONDS_DEFAULT, DRAW_SECONDS_MAX = 3, 10, 15


class NewVideo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the picture comes from. `source` names it (own, film, hls, file, youtube, mediamtx, one of the shop's own;
    "": as `kind`), and the rest follows from it: `kind`, `signed` and the tidied `url` are the answer of its adapter.
    `delay_ms`: how far behind the picture is, where it does not say so itself. `restart`: a clip on air starts now."""

    kind: PictureKind = "none"
    url: Url = ""
    alternates: Annotated[tuple[Url, ...], Meta(max_length=4)] = ()
    poster: Url = ""
    loop: bool = False
    restart: bool = False
    source: Annotated[str, Meta(max_length=40)] = ""
    clock: Literal["", PictureClock] = ""
    delay_ms: Annotated[int, Meta(ge=0, le=30_000)] = 0
    signed: bool = False
    by_hand: bool = False


class EditClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Claims by comment, whole: on or off, the words that a claim begins with, whether such lines stand in the chat."""

    on: bool
    keywords: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=20)], ...], Meta(max_length=8)] = (
        ClaimRules().keywords
    )
    lines_shown: bool = True


class NewShow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A show to be made, as a draft; with `scheduled_at_ms` it is scheduled at once. The corner fills the gaps."""

    title: Title
    corner: CornerName
    about: About = ""
    access: Access | None = None
    scheduled_at_ms: InstantMs | None = None
    launch_at_ms: InstantMs | None = None
    video: NewVideo = NewVideo()
    corner_settings: dict[str, object] = {}
    org_unit_id: Annotated[str, Meta(max_length=40)] = ""
    host_account_id: Annotated[str, Meta(max_length=40)] = ""
    draft: bool = False  # keep it a draft although it has an instant
    limit_per_person: PersonLimit = 0  # units of one person in the whole show; 0 is none


class EditShow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change; what is left out stays."""

    title: Title | UnsetType = UNSET
    about: About | UnsetType = UNSET
    corner: CornerName | UnsetType = UNSET
    access: Access | UnsetType = UNSET
    scheduled_at_ms: InstantMs | UnsetType | None = UNSET
    launch_at_ms: InstantMs | UnsetType | None = UNSET
    video: NewVideo | UnsetType = UNSET
    corner_settings: dict[str, object] | UnsetType = UNSET
    slow_seconds: Annotated[int, Meta(ge=0, le=300)] | UnsetType = UNSET
    limit_per_person: PersonLimit | UnsetType = UNSET
    claims: EditClaims | UnsetType = UNSET
    move: Literal["schedule", "unschedule", "cancel"] | UnsetType = UNSET


class NewDeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One variant offered. What is left out comes from the corner, the shop or the catalogue."""

    variant_id: ShortId
    quota: int
    price_minor: int | None = None  # None: the catalogue's price
    was_minor: int | None = None
    limit_per_viewer: int | None = None
    hold_seconds: int | None = None
    pay_seconds: int | None = None
    location_id: Annotated[str, Meta(max_length=40)] = ""  # "": the default location
    label: Annotated[str, Meta(max_length=80)] = ""
    opens_at_ms: InstantMs | None = None
    closes_at_ms: InstantMs | None = None
    level: HoldLevel = "soft"  # what "held" promises; one that this server does not offer is refused
    head_wants_more: Literal["skip", "wait"] = "skip"
    limit_by: LimitBy = "guest"
    address_cap: int = 0  # units of one network address; 0 is none
    hold_cap_seconds: int | None = None  # of one person, in all, without paying; None: three holds; 0 is none
    fairness: Fairness = "first_come"
    draw_seconds: int | None = None  # how long taps enter the draw; None: 10


class NewCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card to be added. A `deal` or `bundle` card has deals, a `product` card names a product.

    A bundle's price is the sum of its deals' prices, one unit of each: card, bag and payment page agree to the coin.
    """

    kind: Literal["deal", "product", "bundle"]
    title: Annotated[str, Meta(max_length=120)] = ""  # "": the product's
    product_handle: Annotated[str, Meta(max_length=255)] = ""
    line: Annotated[str, Meta(max_length=200)] = ""
    notes: Annotated[str, Meta(max_length=4000)] = ""
    hidden_until_launch: bool = False
    deals: Annotated[tuple[NewDeal, ...], Meta(max_length=DEALS_PER_CARD_MAX)] = ()


class EditDeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of a deal that is still a draft; what is left out stays."""

    deal_id: ShortId
    quota: int | UnsetType = UNSET
    price_minor: int | UnsetType = UNSET
    was_minor: int | UnsetType | None = UNSET
    limit_per_viewer: int | UnsetType = UNSET
    hold_seconds: int | UnsetType = UNSET
    pay_seconds: int | UnsetType = UNSET
    location_id: ShortId | UnsetType = UNSET
    label: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    opens_at_ms: InstantMs | UnsetType | None = UNSET
    closes_at_ms: InstantMs | UnsetType | None = UNSET
    level: HoldLevel | UnsetType = UNSET
    head_wants_more: Literal["skip", "wait"] | UnsetType = UNSET
    limit_by: LimitBy | UnsetType = UNSET
    address_cap: int | UnsetType = UNSET
    hold_cap_seconds: int | UnsetType = UNSET
    fairness: Fairness | UnsetType = UNSET
    draw_seconds: int | UnsetType = UNSET


class EditCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words may change any time before the end; deals only while they are drafts."""

    title: Title | UnsetType = UNSET
    line: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    notes: Annotated[str, Meta(max_length=4000)] | UnsetType = UNSET
    hidden_until_launch: bool | UnsetType = UNSET
    deals: Annotated[tuple[EditDeal, ...], Meta(max_length=DEALS_PER_CARD_MAX)] = ()


class StaffCard(CardFacts, frozen=True):
    """A card with what only staff sees."""

    notes: str = ""
    state: CardState = "planned"
    hidden_until_launch: bool = False


class StaffShow(msgspec.Struct, frozen=True):
    """A show with its rundown, for staff."""

    show: ShowFacts
    cards: tuple[StaffCard, ...]
    on_air: str
    slow_seconds: int
    corner_settings: dict[str, object]
    host_account_id: str
    org_unit_id: str
    picture: PictureFacts | None = None  # None: nobody filmed it yet
    recording: RecordingState = ""


class ShowList(msgspec.Struct, frozen=True):
    """The programme: on air now, to come (soonest first), over (latest first)."""

    live: tuple[ShowFacts, ...]
    upcoming: tuple[ShowFacts, ...]
    past: tuple[ShowFacts, ...]
