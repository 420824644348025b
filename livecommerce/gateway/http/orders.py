"""Orders over HTTP: checkout and what follows for viewers, webhooks of providers, the desk and the counter for staff.

What arrives: calls with a settled identity, and webhooks with a proof of their own. What leaves: facts of `orders`. The
test provider's page is here too: whoever has its unguessable link may press its buttons, since no money moves.
"""

from typing import Annotated

import msgspec
from starlette.responses import Response

from livecommerce.errors import R, Refused
from livecommerce.gateway.api import BODY_BYTES_MAX, Call, Nothing, Table, read_body
from livecommerce.orders.facts import CheckoutAnswer, CheckoutRequest, OrderPage, Pickup, ShowOrders
from livecommerce.orders.payments.test import Action, TestPayAnswer, TestPayPage
from livecommerce.people.identity import StaffRole

table = Table()

_DESK: tuple[StaffRole, ...] = ("admin", "manager", "advisor", "moderator")
_COUNTER: tuple[StaffRole, ...] = ("admin", "manager", "advisor")
_OUTCOME_UNKNOWN = (R.BUSY, R.REBUILDING, R.UNAVAILABLE)


class OrderList(msgspec.Struct, frozen=True):
    orders: tuple[OrderPage, ...]


class PickupList(msgspec.Struct, frozen=True):
    pickups: tuple[Pickup, ...]


class Proofs(msgspec.Struct, frozen=True):
    tokens: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=4096)], ...], msgspec.Meta(max_length=24)]


class ProofsTaken(msgspec.Struct, frozen=True):
    taken: int


# --- the viewer -----------------------------------------------------------------------------------------------------


@table.post(
    "/api/checkouts",
    auth="viewer",
    body=CheckoutRequest,
    answer=CheckoutAnswer,
    refuses=(
        R.RID_INVALID, R.RID_REUSED, R.DELIVERY, R.NOT_FOUND, R.HOLD_GONE, R.CONFLICT, R.PAYMENT_GONE, R.ALREADY_PAID,
        *_OUTCOME_UNKNOWN,
    ),
)  # fmt: skip
async def check_out(call: Call, body: CheckoutRequest) -> CheckoutAnswer:
    """Turn a hold into an order and get the link to pay it.

    Safe to repeat: the same rid gives the same order and the same link, from whichever tab and after whatever failure.
    """
    return await call.parts.orders.checkout(call.the_viewer(), body)


@table.post("/api/shows/{show_id}/proofs", auth="viewer", body=Proofs, answer=ProofsTaken)
async def prove_holds(call: Call, body: Proofs) -> ProofsTaken:
    """Hand in hold tokens while a show's stock is counted again (refusal 411), where no socket does it.

    `taken` counts those that are one's own and of this show. At any other time they change nothing.
    """
    prove, viewer_id = call.parts.engine.prove, call.the_viewer().viewer_id
    return ProofsTaken(sum([prove(call.path("show_id"), viewer_id, token) for token in body.tokens]))


@table.get("/api/orders", auth="viewer", answer=OrderList)
async def list_orders(call: Call) -> OrderList:
    """One's own orders, newest first."""
    return OrderList(await call.parts.orders.pages(call.the_viewer()))


@table.get("/api/orders/{order_id}", auth="viewer", answer=OrderPage, refuses=(R.NOT_FOUND,))
async def show_order(call: Call) -> OrderPage:
    """One's own order: where it stands, its lines and sums, where to collect it."""
    return await call.parts.orders.page(call.the_viewer(), call.path("order_id"))


@table.post(
    "/api/orders/{order_id}/retry",
    auth="viewer",
    answer=CheckoutAnswer,
    refuses=(R.NOT_FOUND, R.ALREADY_PAID, R.HOLD_GONE, R.PAYMENT_GONE, R.UNAVAILABLE),
)
async def retry_order(call: Call) -> CheckoutAnswer:
    """Another try after a declined payment: a new link; the old one is dead."""
    return await call.parts.orders.retry(call.the_viewer(), call.path("order_id"))


@table.post(
    "/api/orders/{order_id}/cancel",
    auth="viewer",
    answer=OrderPage,
    refuses=(R.NOT_FOUND, R.ALREADY_PAID, R.HOLD_GONE, R.UNAVAILABLE),
)
async def cancel_order(call: Call) -> OrderPage:
    """Give the unit back before it is paid."""
    return await call.parts.orders.cancel(call.the_viewer(), call.path("order_id"))


@table.get("/api/orders/{order_id}/pickup.svg", auth="viewer", answer=Response, refuses=(R.NOT_FOUND,))
async def show_pickup_code(call: Call) -> Response:
    """The QR code to show at the counter."""
    svg = await call.parts.orders.pickup_svg(call.the_viewer(), call.path("order_id"))
    return Response(svg, media_type="image/svg+xml")


# --- providers ------------------------------------------------------------------------------------------------------


@table.post(
    "/webhooks/{provider}", csrf=False, refuses=(R.SIGNATURE, R.MALFORMED, R.NOT_FOUND, R.TOO_LARGE, R.UNAVAILABLE)
)
async def hear_provider(call: Call) -> Nothing:
    """A payment provider's signed event. Answered with 200 only after the commit; known events are answered alike."""
    raw = await read_body(call.request, BODY_BYTES_MAX)
    await call.parts.orders.webhook(call.path("provider"), raw, call.request.headers)
    return Nothing()


@table.get("/api/pay/test/{ref}", answer=TestPayPage, refuses=(R.NOT_FOUND,))
async def show_test_payment(call: Call) -> TestPayPage:
    """The test provider's page: what is to be paid, marked as a test. No money moves."""
    return await call.parts.orders.providers.test().page(call.path("ref"))


@table.post("/api/pay/test/{ref}/{action}", csrf=False, answer=TestPayAnswer, refuses=(R.NOT_FOUND, R.PAYMENT_GONE))
async def press_test_payment(call: Call) -> TestPayAnswer:
    """Press a button of the test provider: pay, decline, silence, late, duplicate or bad_signature."""
    try:
        action = msgspec.convert(call.path("action"), Action)
    except msgspec.ValidationError:
        raise Refused(R.NOT_FOUND, what="button") from None
    return await call.parts.orders.providers.test().act(call.path("ref"), action)


# --- staff ----------------------------------------------------------------------------------------------------------


@table.get(
    "/api/staff/shows/{show_id}/orders",
    auth="staff",
    roles=_DESK,
    answer=ShowOrders,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)
async def list_orders_of_show(call: Call) -> ShowOrders:
    """The newest 500 orders of a show, its units and its revenue; test orders are marked and left out of revenue."""
    return await call.parts.orders.orders_of_show(call.the_staff(), call.path("show_id"))


@table.get("/api/staff/pickups", auth="staff", roles=_COUNTER, answer=PickupList, refuses=(R.NOT_FOUND, R.FORBIDDEN))
async def list_pickups(call: Call) -> PickupList:
    """The day's list of a counter (`?location=`): what waits there and what was handed out today."""
    return PickupList(await call.parts.orders.pickups(call.the_staff(), call.query("location")))


@table.get("/api/staff/pickups/{code}", auth="staff", roles=_COUNTER, answer=Pickup, refuses=(R.NOT_FOUND, R.FORBIDDEN))
async def show_pickup(call: Call) -> Pickup:
    """What a pick-up code collects, before it is handed out."""
    return await call.parts.orders.pickup(call.the_staff(), call.path("code"))


@table.post(
    "/api/staff/pickups/{code}/collect",
    auth="staff",
    roles=_COUNTER,
    answer=Pickup,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.CONFLICT),
)
async def collect_pickup(call: Call) -> Pickup:
    """Mark as handed out. `already` true: somebody did so before; look at `collected_at_ms` before giving it again."""
    return await call.parts.orders.collect(call.the_staff(), call.path("code"))
