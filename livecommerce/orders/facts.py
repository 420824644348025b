"""What orders take and give, as it travels over the API: requests with their bounds, answers, pages.

It knows no SQL and decides nothing; an order in one line is `protocol.facts.OrderFacts`.
"""

from typing import Annotated, Literal

import msgspec

from livecommerce.protocol.facts import OrderFacts
from livecommerce.protocol.from_viewer import ShortId

Short = Annotated[str, msgspec.Meta(max_length=80)]
Street = Annotated[str, msgspec.Meta(max_length=120)]


class Address(msgspec.Struct, frozen=True):
    line1: Street = ""
    line2: Street = ""
    postcode: Annotated[str, msgspec.Meta(max_length=20)] = ""
    city: Short = ""
    country: Short = ""


class CheckoutRequest(msgspec.Struct, frozen=True):
    """Pay for what is held under `rid`. Complete for the kind of delivery: see the refusal `delivery`."""

    show_id: ShortId
    rid: Annotated[str, msgspec.Meta(max_length=200)]
    delivery: Literal["ship", "pickup"]
    contact_name: Short = ""
    contact: Annotated[str, msgspec.Meta(max_length=200)] = ""
    address: Address = Address()
    pickup_location_id: Annotated[str, msgspec.Meta(max_length=40)] = ""


class CheckoutAnswer(msgspec.Struct, frozen=True):
    """The order, and where to pay it by when; `pay_url` is empty where there is nothing left to pay."""

    order: OrderFacts
    pay_url: str
    qr_svg: str
    pay_by_ms: int | None


class OrderLine(msgspec.Struct, frozen=True):
    """`total_minor` rules; in a bundle it is this line's exact share, and `unit_minor` the price outside of it."""

    title: str
    label: str
    qty: int
    unit_minor: int
    total_minor: int


class Counter(msgspec.Struct, frozen=True):
    """Where to collect."""

    location_id: str
    name: str
    address: str
    city: str
    hours: str


class OrderPage(msgspec.Struct, frozen=True):
    """An order as its owner sees it. `story` says in a sentence where it stands and what happens next."""

    order: OrderFacts
    show_id: str
    shop_name: str
    story: str
    test_notice: str  # "" where real money moves
    lines: tuple[OrderLine, ...]
    subtotal_minor: int
    shipping_minor: int
    tax_minor: int
    tax_included: bool
    delivery: Literal["ship", "pickup"]
    contact_name: str
    contact: str
    address: Address
    counter: Counter | None
    pickup_promise: str
    promises: tuple[str, ...]
    created_at_ms: int
    paid_at_ms: int | None
    collected_at_ms: int | None


class StaffOrder(msgspec.Struct, frozen=True):
    """An order as the desk of its show sees it."""

    order: OrderFacts
    viewer_id: str
    contact_name: str
    delivery: Literal["ship", "pickup"]
    units: int
    lines: tuple[OrderLine, ...]
    advisor_id: str
    shop_id: str
    link_id: str
    test: bool
    created_at_ms: int
    paid_at_ms: int | None
    counter_name: str = ""  # "" where it is sent


class ShowTotals(msgspec.Struct, frozen=True):
    """Units and money of a show. Test orders are counted beside revenue, never in it."""

    units_held: int | None  # None: the live count cannot be had right now
    units_paying: int
    units_sold: int
    orders_confirmed: int
    revenue_minor: int
    test_orders: int
    test_minor: int
    currency: str


class ShowOrders(msgspec.Struct, frozen=True):
    totals: ShowTotals
    orders: tuple[StaffOrder, ...]


class Pickup(msgspec.Struct, frozen=True):
    """An order at the counter. `already`: it was handed out before, at `collected_at_ms`."""

    code: str
    order_id: str
    number: str
    contact_name: str
    location_id: str
    lines: tuple[OrderLine, ...]
    promises: tuple[str, ...]
    test: bool
    paid_at_ms: int | None
    collected_at_ms: int | None
    already: bool = False
