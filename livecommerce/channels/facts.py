"""What the shop's channels take and give, as it travels over the API.

It knows no SQL and decides nothing. A `book_id` is what a checkout calls `show_id`: the books in which the hold stands.
"""

from typing import Annotated, Literal

import msgspec

from livecommerce.ids import RID_PATTERN
from livecommerce.orders.facts import OrderPage

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
NoId = Annotated[str, msgspec.Meta(max_length=40)]
RidText = Annotated[str, msgspec.Meta(pattern=RID_PATTERN)]
# The engine has the last word on quantities, with a number of its own; this only keeps the arithmetic small.
Qty = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Short = Annotated[str, msgspec.Meta(max_length=120)]


class Place(msgspec.Struct, frozen=True):
    """Where the units lie: what a shop has is collected there, what the warehouse has is sent or collected anywhere."""

    location_id: str
    kind: Literal["warehouse", "shop"]
    name: str
    address: str = ""
    city: str = ""
    hours: str = ""


class Article(msgspec.Struct, frozen=True):
    """A line of something set aside. `unit_minor` is the price that was told, and stands."""

    variant_id: str
    handle: str
    title: str
    label: str
    image: str
    qty: int
    unit_minor: int


# --- the web shop ---------------------------------------------------------------------------------------------------


class WantedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    variant_id: Id
    qty: Qty = 1


class BagChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall lie in the bag of a place from now on. `rid` is made by the page, another for each change, so that
    sending it twice changes nothing; `replaces` is the rid of the bag as the page knows it, "" for a new one."""

    location_id: Id
    rid: RidText
    lines: Annotated[tuple[WantedLine, ...], msgspec.Meta(min_length=1, max_length=8)]
    replaces: NoId = ""


class Bag(msgspec.Struct, frozen=True):
    """Units set aside at one place until `due_at_ms`; paid by `POST /api/checkouts` with its book and rid."""

    book_id: str
    rid: str
    place: Place
    state: str  # held | paying
    due_at_ms: int | None
    lines: tuple[Article, ...]
    subtotal_minor: int
    currency: str
    qty_most: int
    from_advisor: str = ""  # who put it together, where an advisor did


class Bags(msgspec.Struct, frozen=True):
    bags: tuple[Bag, ...]


# --- the till -------------------------------------------------------------------------------------------------------


class TillLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An article by our id, or by the bar code on it."""

    variant_id: NoId = ""
    barcode: Annotated[str, msgspec.Meta(max_length=60)] = ""
    qty: Qty = 1


TillLines = Annotated[tuple[TillLine, ...], msgspec.Meta(max_length=8)]


class TillHoldRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rid: RidText
    lines: TillLines
    minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 15


class TillSaleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`lines` may be left out where they were set aside under this rid before. `advisor_id`: whom the sale credits."""

    rid: RidText
    receipt: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    lines: TillLines = ()
    advisor_id: NoId = ""


class TillHold(msgspec.Struct, frozen=True):
    rid: str
    state: str
    due_at_ms: int | None
    lines: tuple[Article, ...]
    total_minor: int
    currency: str


class TillSale(msgspec.Struct, frozen=True):
    rid: str
    receipt: str
    order: OrderPage


class TillStockLine(msgspec.Struct, frozen=True):
    """`free`: what can be sold or set aside now. `set_aside`: in bags, baskets and waiting to be tried. `in_shows`: in
    deals of live shows, for those who watch."""

    variant_id: str
    sku: str
    barcode: str
    title: str
    label: str
    price_minor: int
    free: int
    set_aside: int
    being_paid: int
    in_shows: int


class TillStock(msgspec.Struct, frozen=True):
    """One page; `next` goes into `after` for the next one, "" at the end."""

    location_id: str
    currency: str
    lines: tuple[TillStockLine, ...]
    next: str


# --- try at the counter ---------------------------------------------------------------------------------------------


class TryOnRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rid: RidText
    variant_id: Id
    location_id: Id


TryOnState = Literal["asked", "kept", "came", "bought", "missed", "given_up", "refused"]


class TryOn(msgspec.Struct, frozen=True):
    """An article that waits at a counter until `until_ms`. The code is shown there."""

    try_on_id: str
    code: str
    state: TryOnState
    until_ms: int
    name: str
    place: Place
    article: Article
    order_id: str = ""


class TryOns(msgspec.Struct, frozen=True):
    """`most`: how many one person may have waiting; `hours`: how long each waits."""

    try_ons: tuple[TryOn, ...]
    most: int
    hours: int


class TryOnOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of it; `receipt` of the till where it was bought."""

    outcome: Literal["came", "bought", "missed"]
    receipt: Annotated[str, msgspec.Meta(max_length=80)] = ""


# --- the advisor's basket -------------------------------------------------------------------------------------------


class NewBasket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    location_id: Id
    lines: Annotated[tuple[WantedLine, ...], msgspec.Meta(min_length=1, max_length=8)]
    customer: Short = ""
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""
    hold_minutes: Annotated[int, msgspec.Meta(ge=5, le=10_080)] = 120


class Basket(msgspec.Struct, frozen=True):
    """A basket as its customer sees it. `state`: open until she takes it, taken by her, gone where the advisor withdrew
    it, it ran out or somebody else took it."""

    word: str
    state: Literal["open", "taken", "gone"]
    advisor_name: str
    customer: str
    note: str
    place: Place
    lines: tuple[Article, ...]
    subtotal_minor: int
    currency: str
    hold_minutes: int
    until_ms: int


class StaffBasket(msgspec.Struct, frozen=True):
    """The same for the advisor who made it, with its link and QR code; `taken`: the customer has opened it."""

    basket_id: str
    basket: Basket
    url: str
    qr_svg: str
    taken: bool
    order_status: str = ""


class StaffBaskets(msgspec.Struct, frozen=True):
    baskets: tuple[StaffBasket, ...]
    hold_minutes_most: int
