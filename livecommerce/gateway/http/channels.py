"""The shop's channels over HTTP: the bag, the till, try at the counter, an advisor's basket.

What arrives: calls with a settled identity; a till proves itself by its API key. What leaves: facts of `channels`.
"""

from livecommerce.channels.facts import (
    Bag,
    BagChange,
    Bags,
    Basket,
    NewBasket,
    StaffBasket,
    StaffBaskets,
    TillHold,
    TillHoldRequest,
    TillSale,
    TillSaleRequest,
    TillStock,
    TryOn,
    TryOnOutcome,
    TryOnRequest,
    TryOns,
)
from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Table
from livecommerce.gateway.door import bearer_of
from livecommerce.people.identity import StaffRole

table = Table()

_COUNTER: tuple[StaffRole, ...] = ("admin", "manager", "advisor")
_OUTCOME_UNKNOWN = (R.BUSY, R.REBUILDING, R.UNAVAILABLE)
_RESERVE = (R.NOT_SOLD_HERE, R.QUANTITY, R.RID_REUSED, R.TOO_MANY, R.LIMIT, R.SOLD_OUT, *_OUTCOME_UNKNOWN)
_KEY = (R.SIGN_IN, R.TOKEN_INVALID, R.FORBIDDEN)


# --- the web shop ---------------------------------------------------------------------------------------------------


@table.get("/api/bag", auth="viewer", answer=Bags, refuses=_OUTCOME_UNKNOWN)
async def show_bags(call: Call) -> Bags:
    """What is set aside for oneself in the shop, one bag for each place, with its clock."""
    return await call.parts.channels.bags.all(call.the_viewer())


@table.put(
    "/api/bag", auth="viewer", body=BagChange, answer=Bag,
    refuses=(R.NOT_FOUND, R.CONFLICT, R.BAG_TIME, R.HOLD_GONE, R.DEAL_CLOSED, *_RESERVE),
)  # fmt: skip
async def change_bag(call: Call, body: BagChange) -> Bag:
    """Put articles of one place into the bag, or change what lies there: they are set aside until the bag's clock ends.

    Send the whole bag with a new rid each time, and the rid it had before in `replaces`. A refusal leaves the bag as it
    was. Pay for it by `POST /api/checkouts` with `show_id` the bag's `book_id`, and its rid.
    """
    return await call.parts.channels.bags.change(call.the_viewer(), body)


@table.delete("/api/bag/{rid}", auth="viewer", answer=Bags, refuses=(R.NOT_FOUND, R.CONFLICT, *_OUTCOME_UNKNOWN))
async def let_bag_go(call: Call) -> Bags:
    """Give everything in a bag back."""
    return await call.parts.channels.bags.let_go(call.the_viewer(), call.path("rid"))


# --- the till -------------------------------------------------------------------------------------------------------


async def _till_at(call: Call) -> str:
    """The location that the till's key was proved for."""
    key, location_id = bearer_of(call.request), call.path("location_id")
    if not key:
        raise Refused(R.SIGN_IN)
    await call.parts.people.api_keys.prove_till(key, location_id)
    return location_id


@table.get("/api/till/{location_id}/stock", answer=TillStock, refuses=(*_KEY, R.NOT_FOUND, R.BUSY))
async def till_stock(call: Call) -> TillStock:
    """What the location has of each article: free, set aside, being paid, in live shows. 100 articles a page.

    Send the till's key as `Authorization: Bearer …`. Query: `variant_id`, `barcode`, `after`.
    """
    location_id = await _till_at(call)
    return await call.parts.channels.tills.stock(
        location_id, call.query("after"), call.query("barcode"), call.query("variant_id")
    )


@table.post(
    "/api/till/{location_id}/holds", body=TillHoldRequest, answer=TillHold, csrf=False,
    refuses=(*_KEY, R.NOT_FOUND, R.HOLD_GONE, *_RESERVE),
)  # fmt: skip
async def till_hold(call: Call, body: TillHoldRequest) -> TillHold:
    """Set articles aside at the till, for 1 to 1,440 minutes. Safe to repeat: one rid is one hold.

    Articles go by `variant_id`, or by `barcode` where one article of the location carries it.
    """
    return await call.parts.channels.tills.hold(await _till_at(call), body)


@table.delete(
    "/api/till/{location_id}/holds/{rid}", answer=TillHold, csrf=False,
    refuses=(*_KEY, R.NOT_FOUND, R.CONFLICT, R.RID_INVALID, *_OUTCOME_UNKNOWN),
)  # fmt: skip
async def till_release(call: Call) -> TillHold:
    """Give back what the till set aside under this rid."""
    return await call.parts.channels.tills.release(await _till_at(call), call.path("rid"))


@table.post(
    "/api/till/{location_id}/sales", body=TillSaleRequest, answer=TillSale, csrf=False,
    refuses=(*_KEY, R.NOT_FOUND, R.HOLD_GONE, R.CONFLICT, R.RECEIPT, *_RESERVE),
)  # fmt: skip
async def till_sale(call: Call, body: TillSaleRequest) -> TillSale:
    """Articles that the till was paid for are sold and handed out: what it set aside before, or the lines given here.

    Safe to repeat under the same rid until an answer comes: it is one sale with one receipt. `hold_gone` says that the
    sale never came through and never will under this rid; send it again under another.
    """
    return await call.parts.channels.tills.sell(await _till_at(call), body)


# --- try at the counter ---------------------------------------------------------------------------------------------


@table.post(
    "/api/try-ons", auth="viewer", body=TryOnRequest, answer=TryOn,
    refuses=(R.NOT_FOUND, R.TRY_ON_LIMIT, R.NO_SHOWS, R.HOLD_GONE, *_RESERVE),
)  # fmt: skip
async def ask_to_try(call: Call, body: TryOnRequest) -> TryOn:
    """Have an article wait at a shop's counter to be tried, unpaid. The answer has the code to show there."""
    return await call.parts.channels.try_ons.ask(call.the_viewer(), body)


@table.get("/api/try-ons", auth="viewer", answer=TryOns)
async def list_own_try_ons(call: Call) -> TryOns:
    """What waits to be tried by oneself, and what became of the last ones."""
    return await call.parts.channels.try_ons.mine(call.the_viewer())


@table.delete(
    "/api/try-ons/{try_on_id}", auth="viewer", answer=TryOn, refuses=(R.NOT_FOUND, R.CONFLICT, *_OUTCOME_UNKNOWN)
)
async def give_up_try_on(call: Call) -> TryOn:
    """Not coming after all: the article goes back on sale, and nobody minds."""
    return await call.parts.channels.try_ons.give_up(call.the_viewer(), call.path("try_on_id"))


@table.get("/api/staff/try-ons", auth="staff", roles=_COUNTER, answer=TryOns, refuses=(R.NOT_FOUND, R.FORBIDDEN))
async def list_try_ons(call: Call) -> TryOns:
    """What waits at a counter to be tried (`?location=`), and what was decided there in the last day."""
    return await call.parts.channels.try_ons.at_counter(call.the_staff(), call.query("location"))


@table.post(
    "/api/staff/try-ons/{code}", auth="staff", roles=_COUNTER, body=TryOnOutcome, answer=TryOn,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.CONFLICT, R.MALFORMED, R.HOLD_GONE, R.RECEIPT, *_OUTCOME_UNKNOWN),
)  # fmt: skip
async def tell_try_on(call: Call, body: TryOnOutcome) -> TryOn:
    """What became of it at the counter: she came, she bought it (with the till's receipt), or she did not come."""
    return await call.parts.channels.try_ons.outcome(call.the_staff(), call.path("code"), body)


# --- the advisor's basket -------------------------------------------------------------------------------------------


@table.post(
    "/api/staff/baskets", auth="staff", roles=_COUNTER, body=NewBasket, answer=StaffBasket,
    refuses=(R.QUANTITY, R.NOT_FOUND, R.NOT_SOLD_HERE, R.MALFORMED),
)  # fmt: skip
async def make_basket(call: Call, body: NewBasket) -> StaffBasket:
    """Put an order together for a customer, who opens it by its link or QR code; then it is set aside for her."""
    return await call.parts.channels.baskets.make(call.the_staff(), body)


@table.get("/api/staff/baskets", auth="staff", roles=_COUNTER, answer=StaffBaskets)
async def list_baskets(call: Call) -> StaffBaskets:
    """One's own newest baskets, and what became of them."""
    return await call.parts.channels.baskets.of_advisor(call.the_staff())


@table.delete(
    "/api/staff/baskets/{basket_id}", auth="staff", roles=_COUNTER, answer=StaffBasket, refuses=(R.NOT_FOUND,)
)
async def withdraw_basket(call: Call) -> StaffBasket:
    """The link is good for nothing from now on; what the customer has already stays hers."""
    return await call.parts.channels.baskets.withdraw(call.the_staff(), call.path("basket_id"))


@table.get("/api/baskets/{word}", answer=Basket, refuses=(R.NOT_FOUND,))
async def look_into_basket(call: Call) -> Basket:
    """What an advisor put together, for whoever has its link."""
    await call.parts.door.look(call)
    return await call.parts.channels.baskets.look(call.path("word"), call.viewer)


@table.post(
    "/api/baskets/{word}/take", auth="viewer", answer=Bags, refuses=(R.NOT_FOUND, R.CONFLICT, R.HOLD_GONE, *_RESERVE)
)
async def take_basket(call: Call) -> Bags:
    """Have the basket set aside for oneself; it is a bag like any other then. Who comes first has it."""
    await call.parts.channels.baskets.take(call.the_viewer(), call.path("word"))
    return await call.parts.channels.bags.all(call.the_viewer())
