"""What an order writes into the ledger, each function inside one transaction of the caller's `Database.write`.

What arrives: a connection and what happened. What leaves: rows changed as `moves` says, one movement for every line
whose units moved, and errands in the outbox that the same commit makes due. It calls no provider and no Redis.

Lock order, so that two transactions never wait for each other in a ring: reservation or order, then deals by id, then
shelves by id, then pools (`catalogue.pools`). A line names a deal of a show or a shelf of a location; nothing here but
`_lock_deals` and `_counted_in` cares which.

Movements are named apart from those of the journal (`order_…`): the journal says what Redis did, these say what SQL
decided, and the audit holds the two against each other.
"""

import datetime
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.facts import label_of
from livecommerce.catalogue.pools import Move, apply_moves, insert_new, pool_of
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.tables import (
    cards,
    deals,
    movements,
    order_lines,
    orders,
    outbox,
    payments,
    products,
    promises,
    reservations,
    shelves,
    shop_holds,
    variants,
    webhook_events,
)
from livecommerce.orders.facts import CheckoutRequest
from livecommerce.orders.money import Bundle, Item, Terms, Totals, line_totals, sum_up
from livecommerce.orders.moves import UNPAID, ErrandKind, Event, Step, order_step, payment_step
from livecommerce.orders.payments.provider import PaymentEvent, Session
from livecommerce.orders.pickup import CODE_LENGTH, new_code
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import HoldLine
from livecommerce.reservations import keys
from livecommerce.settings import Settings

# The provider of what was paid at a till: money that never passes by us.
TILL = "till"


@dataclass(frozen=True, slots=True)
class Book:
    """What every function here needs to know beside its own matter."""

    settings: Settings
    now_ms: int
    livemode: bool = False

    @property
    def terms(self) -> Terms:
        settings = self.settings
        return Terms(
            settings.tax_basis_points, settings.tax_included, settings.shipping_minor, settings.shipping_free_from_minor
        )


# --- the order begins -----------------------------------------------------------------------------------------------


async def begin(
    connection: AsyncConnection, book: Book, viewer: ViewerIdentity, request: CheckoutRequest,
    held: Sequence[HoldLine], pay_by_ms: int,
) -> str:  # fmt: skip
    """PAYING in SQL: reservation, order, lines, units of the deals, movements. Returns the order's id.

    An order that exists under this (viewer, rid) is returned as it is. Refuses `HOLD_GONE` where the sweeper was first
    (VOID), or where the deals have no units left whatever Redis said.
    """
    rid = request.rid
    existing = await _reserve_row(connection, book, viewer, request, pay_by_ms)
    if existing is not None:
        return existing
    rows = await _lock_deals(connection, [line.deal_id for line in held])
    if any(line.deal_id not in rows or rows[line.deal_id].show_id != request.show_id for line in held):
        raise Refused(R.HOLD_GONE)
    if not _units_left(rows, held):
        raise Refused(R.HOLD_GONE)
    told = await _told(connection, viewer.viewer_id, rid)
    if told.advisor_id:
        viewer = msgspec.structs.replace(viewer, advisor_id=told.advisor_id, shop_id=told.shop_id)
    items = [_item(rows[line.deal_id], line.qty, told.prices.get(line.deal_id)) for line in held]
    prices = line_totals(items, await _bundles(connection, items))
    sums = sum_up(items, prices, book.terms, shipped=request.delivery == "ship")
    await _change_units(connection, held, paying=1, sold=0)
    order_id = new_id("or")
    await connection.execute(
        update(reservations)
        .where(reservations.c.viewer_id == viewer.viewer_id, reservations.c.rid == rid)
        .values(lines=[[item.deal_id, item.qty, item.unit_minor] for item in items])
    )
    await connection.execute(
        insert(orders).values(
            id=order_id, number=_number(book), show_id=request.show_id, viewer_id=viewer.viewer_id, rid=rid,
            advisor_id=viewer.advisor_id, shop_id=viewer.shop_id, link_id=viewer.link_id, status="paying",
            currency=book.settings.currency, tax_included=book.settings.tax_included, livemode=book.livemode,
            promises=await _promises(connection, items), created_at_ms=book.now_ms, pay_by_ms=pay_by_ms,
            **_delivery(request), **_sums(sums),
        )
    )  # fmt: skip
    for number, (item, total) in enumerate(zip(items, prices, strict=True)):
        row = rows[item.deal_id]
        await connection.execute(
            insert(order_lines).values(
                order_id=order_id, line=number, deal_id=item.deal_id, variant_id=row.variant_id,
                title=row.product_title, label=row.label, qty=item.qty, unit_minor=item.unit_minor, total_minor=total,
            )
        )  # fmt: skip
    order = await locked_order(connection, order_id)
    await _move(connection, book, order, "order_paying")
    await _errands(connection, book, order, ("tell",))
    return order_id


async def sell_at_till(
    connection: AsyncConnection, book: Book, viewer: ViewerIdentity, request: CheckoutRequest,
    held: Sequence[HoldLine], receipt: str, pay_by_ms: int,
) -> str:  # fmt: skip
    """A sale that the till was paid for: from set aside to sold and handed out in one commit. The order's id.

    A second call under the same (viewer, rid) changes nothing. Refuses `HOLD_GONE` as `begin`, and `RECEIPT` where the
    receipt stands under another sale.
    """
    order_id = await begin(connection, book, viewer, request, held, pay_by_ms)
    order = await locked_order(connection, order_id)
    ref = f"{request.pickup_location_id}/{receipt}"
    fresh = await insert_new(
        connection, payments, id=new_id("pay"), order_id=order_id, provider=TILL, provider_ref=ref,
        status="captured", amount_minor=order.total_minor, currency=order.currency, livemode=order.livemode,
        created_at_ms=book.now_ms, updated_at_ms=book.now_ms,
    )  # fmt: skip
    if not fresh and (await _payment(connection, TILL, ref)).order_id != order_id:  # type: ignore[union-attr]
        raise Refused(R.RECEIPT)
    step = order_step(order.status, Event.CAPTURED)
    if order.status == "paying" and step is not None:
        await take(connection, book, order, step)
        handed = update(orders).where(orders.c.id == order_id)
        await connection.execute(handed.values(collected_at_ms=book.now_ms, pickup_code=""))
    return order_id


async def correct(connection: AsyncConnection, book: Book, order_id: str, request: CheckoutRequest) -> None:
    """The same checkout with another address or counter, while it is unpaid. Where the sum changes, open links die.

    Refuses `CONFLICT` where it is no longer unpaid.
    """
    order = await locked_order(connection, order_id)
    if not differs(order, request):
        return
    if order.status not in UNPAID:
        raise Refused(R.CONFLICT)
    lines = await lines_of(connection, order_id)
    rows = await _lock_deals(connection, [line.deal_id for line in lines])
    # The prices are those of the checkout, whatever the card says by now.
    items = [_item(rows[line.deal_id], line.qty) for line in lines]
    sums = sum_up(items, [line.total_minor for line in lines], book.terms, shipped=request.delivery == "ship")
    await connection.execute(update(orders).where(orders.c.id == order_id).values(**_delivery(request), **_sums(sums)))
    if sums.total_minor != order.total_minor:
        await _revoke_open(connection, book, order)
    await _errands(connection, book, order, ("tell",))


def differs(order: Any, request: CheckoutRequest) -> bool:
    """True where the order was made for another delivery than this request's."""
    return any(getattr(order, name) != value for name, value in _delivery(request).items())


async def void(connection: AsyncConnection, book: Book, show_id: str, viewer_id: str, rid: str) -> str:
    """Close the gap after begin_pay: no order under this rid, so none may come. Returns the state that now stands."""
    fresh = await insert_new(
        connection, reservations, viewer_id=viewer_id, rid=rid, show_id=show_id, state="void", lines=[],
        created_at_ms=book.now_ms, updated_at_ms=book.now_ms,
    )  # fmt: skip
    if fresh:
        return "void"
    row = await _reservation(connection, viewer_id, rid)
    if await order_of(connection, viewer_id, rid) is None and row.state != "void":
        await _set_reservation(connection, book, viewer_id, rid, "void")
        return "void"
    return str(row.state)


# --- what happens to it ---------------------------------------------------------------------------------------------


async def add_payment(
    connection: AsyncConnection, book: Book, order_id: str, provider: str, session: Session, amount_minor: int
) -> Literal["kept", "ended", "changed"]:
    """Keep the provider's session over `amount_minor` as the order's open payment.

    `ended`: the order can no longer be paid. `changed`: it costs something else by now, and a payment kept with a sum
    that its link is not over would be refunded by more, or less, than was paid.
    """
    order = await locked_order(connection, order_id)
    if order.status != "paying":
        return "ended"
    if order.total_minor != amount_minor:
        return "changed"
    await insert_new(
        connection, payments, id=new_id("pay"), order_id=order_id, provider=provider, provider_ref=session.ref,
        status="open", amount_minor=order.total_minor, currency=order.currency, livemode=order.livemode,
        url=session.url, expires_at_ms=order.pay_by_ms, created_at_ms=book.now_ms, updated_at_ms=book.now_ms,
    )  # fmt: skip
    # Her link is news of the order: what is told with it is later than what was told without.
    await connection.execute(update(orders).where(orders.c.id == order_id).values(status=order.status))
    return "kept"


async def hear(connection: AsyncConnection, book: Book, provider: str, event: PaymentEvent, raw: str) -> str | None:
    """One event of a provider, once. Returns the order's id, or None where it changed nothing.

    Refuses `NOT_FOUND` for a payment that is not ours (nothing is kept: the provider may tell it again).
    """
    payment = await _payment(connection, provider, event.ref)
    if payment is None:
        raise Refused(R.NOT_FOUND, what="payment")
    order = await locked_order(connection, payment.order_id)
    fresh = await insert_new(
        connection, webhook_events, provider=provider, event_id=event.event_id, kind=event.kind, body=raw,
        received_at_ms=book.now_ms,
    )  # fmt: skip
    if not fresh:
        return None
    payment = await _payment_of(connection, order.id, event.ref)  # as it is now that the order is locked
    status = payment_step(payment.status, event.kind)
    if status is None:
        return None
    await _set_payment(connection, book, payment.id, status)
    if event.kind == "declined":
        return await _declined(connection, book, order)
    if (event.amount_minor, event.currency) != (order.total_minor, order.currency):
        # Money for another sum than the order's: an old link of it. It goes back; the order waits for its own.
        await _refund(connection, book, order, payment)
        return str(order.id)
    step = order_step(order.status, Event.CAPTURED)
    assert step is not None, "money can always arrive"
    if step.errands == ("refund",):
        await _refund(connection, book, order, payment)
    else:
        await take(connection, book, order, step)
    return str(order.id)


async def happen(connection: AsyncConnection, book: Book, order_id: str, event: Event) -> bool:
    """Cancel, retry or the deadline: True where the order moved, False where that is stale by now.

    The deadline only counts once it has passed.
    """
    order = await locked_order(connection, order_id)
    step = order_step(order.status, event)
    if step is None or (event is Event.DEADLINE and order.pay_by_ms > book.now_ms):
        return False
    if event is Event.RETRY and order.pay_by_ms <= book.now_ms:
        raise Refused(R.PAYMENT_GONE)
    await _revoke_open(connection, book, order, declined_too=True)
    await take(connection, book, order, step)
    return True


async def late_money(connection: AsyncConnection, book: Book, order_id: str, left: bool) -> None:
    """What late money comes to: sold after all where Redis took units again (`left`) and SQL agrees, else back."""
    order = await locked_order(connection, order_id)
    if order.status not in ("expired", "cancelled"):
        return
    if left and await _can_resell(connection, order_id):
        step = order_step(order.status, Event.REACQUIRED)
        assert step is not None
        await take(connection, book, order, step)
        for twice in [row for row in await payments_of(connection, order_id) if row.status == "captured"][1:]:
            await _refund(connection, book, order, twice)
        return
    step = order_step(order.status, Event.NOT_LEFT)
    assert step is not None
    if left:
        await _errands(connection, book, order, ("free",))
    await _take_but_refund(connection, book, order, step)


async def refunded(connection: AsyncConnection, book: Book, order_id: str, ref: str) -> None:
    """The provider gave the money of `ref` back."""
    order = await locked_order(connection, order_id)
    payment = await _payment_of(connection, order_id, ref)
    status = payment_step(payment.status, "refunded")
    if status is None:
        return
    await _set_payment(connection, book, payment.id, status)
    still_due = select(payments.c.id).where(payments.c.order_id == order_id, payments.c.status == "refund_due")
    step = order_step(order.status, Event.REFUNDED)
    if step is not None and not (await connection.execute(still_due)).all():
        await take(connection, book, order, step)


async def take(connection: AsyncConnection, book: Book, order: Any, step: Step) -> None:
    """Write one step of the table: units, states, movements, errands."""
    lines = await lines_of(connection, order.id)
    values: dict[str, Any] = {"status": step.status}
    match step.units:
        case "release":
            await _lock_deals(connection, [line.deal_id for line in lines])
            await _change_units(connection, lines, paying=-1, sold=0)
            await _move(connection, book, order, f"order_{step.status}")
        case "sell" | "resell":
            rows = await _lock_deals(connection, [line.deal_id for line in lines])
            if step.units == "resell":
                await _move(connection, book, order, "order_reacquired")
            await _change_units(connection, lines, paying=-1 if step.units == "sell" else 0, sold=1)
            await apply_moves(connection, _sold_moves(order.id, lines, rows), book.now_ms)
            await _move(connection, book, order, "order_confirmed")
            await _revoke_open(connection, book, order)
            values |= {"paid_at_ms": book.now_ms}
            if order.delivery == "pickup":
                values |= {"pickup_code": await _free_code(connection)}
        case "stay":
            pass
    if step.status == "declined":
        values |= {"pay_by_ms": await _retry_until(connection, book, order)}
    await connection.execute(update(orders).where(orders.c.id == order.id).values(**values))
    if step.status != order.status:
        state = "paying" if step.status in UNPAID else step.status
        await _set_reservation(connection, book, order.viewer_id, order.rid, state)
    await _errands(connection, book, order, step.errands)


def free_as(state: str) -> tuple[Literal["expired", "cancelled"], int | None]:
    """How Redis gives back what SQL has in `state`: the reason, and how often late money had taken the units again.

    An order that is still `expired` or `cancelled` never got them back in SQL. If Redis has, late money is being
    decided right now, and whoever read this state before must not take the units from it, however long he slept. In
    any other state no late money can follow: what Redis has is an orphan.
    """
    reason: Literal["expired", "cancelled"] = "cancelled" if state == "cancelled" else "expired"
    return reason, 0 if state in ("expired", "cancelled") else None


# --- reading --------------------------------------------------------------------------------------------------------


async def locked_order(connection: AsyncConnection, order_id: str) -> Any:
    """The order, which nobody else changes until the commit. Refuses `NOT_FOUND`."""
    row = (await connection.execute(select(orders).where(orders.c.id == order_id).with_for_update())).one_or_none()
    if row is None:
        raise Refused(R.NOT_FOUND, what="order")
    return row


async def order_of(connection: AsyncConnection, viewer_id: str, rid: str) -> Any | None:
    query = select(orders).where(orders.c.viewer_id == viewer_id, orders.c.rid == rid)
    return (await connection.execute(query)).one_or_none()


async def reservation_state(connection: AsyncConnection, viewer_id: str, rid: str) -> str:
    """The state in SQL, or "" where there is no row."""
    query = select(reservations.c.state).where(reservations.c.viewer_id == viewer_id, reservations.c.rid == rid)
    return (await connection.execute(query)).scalar_one_or_none() or ""


async def lines_of(connection: AsyncConnection, order_id: str) -> Sequence[Any]:
    query = select(order_lines).where(order_lines.c.order_id == order_id).order_by(order_lines.c.line)
    return (await connection.execute(query)).all()


async def payments_of(connection: AsyncConnection, order_id: str) -> Sequence[Any]:
    """All payments of an order, the first attempt first."""
    query = select(payments).where(payments.c.order_id == order_id).order_by(payments.c.created_at_ms, payments.c.id)
    return (await connection.execute(query)).all()


# --- helpers --------------------------------------------------------------------------------------------------------


async def _reserve_row(
    connection: AsyncConnection, book: Book, viewer: ViewerIdentity, request: CheckoutRequest, pay_by_ms: int
) -> str | None:
    """Make or take the reservation's row; the id of the order where one exists already."""
    fresh = await insert_new(
        connection, reservations, viewer_id=viewer.viewer_id, rid=request.rid, show_id=request.show_id, state="paying",
        lines=[], advisor_id=viewer.advisor_id, shop_id=viewer.shop_id, link_id=viewer.link_id, due_at_ms=pay_by_ms,
        created_at_ms=book.now_ms, updated_at_ms=book.now_ms,
    )  # fmt: skip
    if fresh:
        return None
    row = await _reservation(connection, viewer.viewer_id, request.rid)
    if row.state == "void":
        raise Refused(R.HOLD_GONE)
    order = await order_of(connection, viewer.viewer_id, request.rid)
    if order is not None:
        return str(order.id)
    # A witness that the journal left: Redis is the judge of HELD, and it said yes.
    await connection.execute(
        update(reservations)
        .where(reservations.c.viewer_id == viewer.viewer_id, reservations.c.rid == request.rid)
        .values(state="paying", due_at_ms=pay_by_ms, updated_at_ms=book.now_ms)
    )
    return None


async def _lock_deals(connection: AsyncConnection, deal_ids: Sequence[str]) -> dict[str, Any]:
    """The deals with what their lines need, locked in the order of their ids."""
    query = (
        select(
            deals, variants.c.taxable, variants.c.requires_shipping, products.c.title.label("product_title"),
        )
        .join(variants, variants.c.id == deals.c.variant_id)
        .join(products, products.c.id == variants.c.product_id)
        .where(deals.c.id.in_(deal_ids))
        .order_by(deals.c.id)
        .with_for_update(of=deals)
    )  # fmt: skip
    rows: dict[str, Any] = {row.id: row for row in (await connection.execute(query)).all()}
    if len(rows) < len(set(deal_ids)):
        rows |= await _lock_shelves(connection, deal_ids)
    return rows


@dataclass(frozen=True, slots=True)
class _OnShelf:
    """A shelf with what its lines need, under the names that a deal has for it."""

    id: str
    show_id: str  # the id of its location's books
    variant_id: str
    location_id: str
    label: str
    price_minor: int
    allotted: int
    paying: int
    sold: int
    taxable: bool
    requires_shipping: bool
    product_title: str
    card_id: str = ""
    pulled: str = ""  # what a show can do with its deal, nobody does with a shelf


async def _lock_shelves(connection: AsyncConnection, shelf_ids: Sequence[str]) -> dict[str, Any]:
    query = (
        select(
            shelves, variants.c.options, variants.c.price_minor, variants.c.taxable, variants.c.requires_shipping,
            products.c.title,
        )
        .join(variants, variants.c.id == shelves.c.variant_id)
        .join(products, products.c.id == variants.c.product_id)
        .where(shelves.c.id.in_(shelf_ids))
        .order_by(shelves.c.id)
        .with_for_update(of=shelves)
    )  # fmt: skip
    return {
        row.id: _OnShelf(
            row.id, keys.pool_book(row.location_id), row.variant_id, row.location_id, label_of(row.options),
            row.price_minor, row.allotted, row.paying, row.sold, row.taxable, row.requires_shipping, row.title,
        )
        for row in (await connection.execute(query)).all()
    }  # fmt: skip


def _counted_in(deal_id: str) -> Table:
    return shelves if deal_id.startswith("shf_") else deals


@dataclass(frozen=True, slots=True)
class _Told:
    """What was told when units of shelves were set aside: it stands as long as the hold does."""

    prices: Mapping[str, int]  # by shelf, minor units
    advisor_id: str = ""
    shop_id: str = ""


async def _told(connection: AsyncConnection, viewer_id: str, rid: str) -> _Told:
    query = select(shop_holds).where(shop_holds.c.viewer_id == viewer_id, shop_holds.c.rid == rid)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return _Told({})
    return _Told({shelf_id: unit_minor for shelf_id, _, unit_minor in row.lines}, row.advisor_id, row.shop_id)


def _units_left(rows: dict[str, Any], lines: Sequence[Any]) -> bool:
    wanted: dict[str, int] = {}
    for line in lines:
        wanted[line.deal_id] = wanted.get(line.deal_id, 0) + line.qty
    return all(
        rows[deal_id].sold + rows[deal_id].paying + qty <= rows[deal_id].allotted for deal_id, qty in wanted.items()
    )


async def _can_resell(connection: AsyncConnection, order_id: str) -> bool:
    lines = await lines_of(connection, order_id)
    rows = await _lock_deals(connection, [line.deal_id for line in lines])
    # A deal that the shop cancelled has units, and none that it wants to send: the money goes back.
    if any(row.pulled == "cancel" for row in rows.values()) or not _units_left(rows, lines):
        return False
    wanted: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (rows[line.deal_id].variant_id, rows[line.deal_id].location_id)
        wanted[key] = wanted.get(key, 0) + line.qty
    for (variant_id, location_id), qty in sorted(wanted.items()):
        if (await pool_of(connection, variant_id, location_id, lock=True)).in_deals < qty:
            return False
    return True


async def _change_units(connection: AsyncConnection, lines: Sequence[Any], *, paying: int, sold: int) -> None:
    for line in sorted(lines, key=lambda line: str(line.deal_id)):
        table = _counted_in(line.deal_id)
        await connection.execute(
            update(table)
            .where(table.c.id == line.deal_id)
            .values(paying=table.c.paying + paying * line.qty, sold=table.c.sold + sold * line.qty)
        )


def _sold_moves(order_id: str, lines: Sequence[Any], rows: dict[str, Any]) -> list[Move]:
    return [
        Move(
            f"sold:{order_id}:{line.line}", "sold", line.variant_id, rows[line.deal_id].location_id, line.qty,
            line.deal_id,
        )
        for line in lines
    ]  # fmt: skip


def _item(row: Any, qty: int, told_minor: int | None = None) -> Item:
    unit_minor = row.price_minor if told_minor is None else told_minor
    return Item(row.id, row.card_id, qty, unit_minor, taxable=row.taxable, ships=row.requires_shipping)


async def _bundles(connection: AsyncConnection, items: Sequence[Item]) -> dict[str, Bundle]:
    """The bundles among the cards of these lines, each with all its deals."""
    query = (
        select(cards.c.id, cards.c.bundle_minor, deals.c.id.label("deal_id"))
        .join(deals, deals.c.card_id == cards.c.id)
        .where(cards.c.id.in_({item.card_id for item in items}), cards.c.kind == "bundle")
        .where(cards.c.bundle_minor.is_not(None))
        .order_by(deals.c.position, deals.c.id)
    )
    found: dict[str, Bundle] = {}
    for row in (await connection.execute(query)).all():
        before = found[row.id].deal_ids if row.id in found else ()
        found[row.id] = Bundle((*before, row.deal_id), row.bundle_minor)
    return found


async def _promises(connection: AsyncConnection, items: Sequence[Item]) -> list[str]:
    """What the host promised on these cards until now: it travels with the order."""
    query = (
        select(promises.c.text)
        .where(promises.c.card_id.in_({item.card_id for item in items}))
        .order_by(promises.c.at_ms, promises.c.id)
    )
    return [str(text) for text in (await connection.execute(query)).scalars()]


def _delivery(request: CheckoutRequest) -> dict[str, Any]:
    return {
        "contact_name": request.contact_name,
        "contact": request.contact,
        "delivery": request.delivery,
        "address": msgspec.to_builtins(request.address),
        "pickup_location_id": request.pickup_location_id,
    }


def _sums(sums: Totals) -> dict[str, int]:
    return {
        "subtotal_minor": sums.subtotal_minor,
        "shipping_minor": sums.shipping_minor,
        "tax_minor": sums.tax_minor,
        "total_minor": sums.total_minor,
    }


def _number(book: Book) -> str:
    """A number people can read out: the day in the shop's time zone and a code."""
    at = datetime.datetime.fromtimestamp(book.now_ms / 1000, zoneinfo.ZoneInfo(book.settings.time_zone))
    return f"{at:%y%m%d}-{new_code(CODE_LENGTH)}"


async def _free_code(connection: AsyncConnection) -> str:
    while True:
        code = new_code()
        if (await connection.execute(select(orders.c.id).where(orders.c.pickup_code == code))).first() is None:
            return code


async def _declined(connection: AsyncConnection, book: Book, order: Any) -> str | None:
    """A declined attempt is an attempt: the order waits for another, unless another link is open anyway."""
    step = order_step(order.status, Event.DECLINED)
    others = select(payments.c.id).where(payments.c.order_id == order.id, payments.c.status == "open")
    if step is None or (await connection.execute(others)).first() is not None:
        return None
    await take(connection, book, order, step)
    return str(order.id)


async def _retry_until(connection: AsyncConnection, book: Book, order: Any) -> int:
    """At least `retry_seconds` from now, once: the last instant is fixed, or declining for ever would keep the unit."""
    retry_ms = book.settings.retry_seconds * 1000
    reservation = await _reservation(connection, order.viewer_id, order.rid)
    return max(int(order.pay_by_ms), min(book.now_ms + retry_ms, int(reservation.due_at_ms) + retry_ms))


async def _revoke_open(connection: AsyncConnection, book: Book, order: Any, *, declined_too: bool = False) -> None:
    """No link of this order stays payable on our side; the provider is told by an errand."""
    open_states = ("open", "declined") if declined_too else ("open",)
    for payment in await payments_of(connection, order.id):
        if payment.status in open_states:
            await _set_payment(connection, book, payment.id, "revoked")
            await _errand(connection, book, order, "revoke", payment)


async def _refund(connection: AsyncConnection, book: Book, order: Any, payment: Any) -> None:
    await _set_payment(connection, book, payment.id, "refund_due")
    await _errand(connection, book, order, "refund", payment)


async def _take_but_refund(connection: AsyncConnection, book: Book, order: Any, step: Step) -> None:
    for payment in await payments_of(connection, order.id):
        if payment.status == "captured":
            await _refund(connection, book, order, payment)
    rest = Step(step.status, step.units, tuple(kind for kind in step.errands if kind != "refund"))
    await take(connection, book, order, rest)


async def _move(connection: AsyncConnection, book: Book, order: Any, kind: str) -> None:
    for line in await lines_of(connection, order.id):
        await connection.execute(
            insert(movements).values(
                show_id=order.show_id, deal_id=line.deal_id, viewer_id=order.viewer_id, rid=order.rid, line=line.line,
                kind=kind, qty=line.qty, at_ms=book.now_ms,
            )
        )  # fmt: skip


async def _errands(connection: AsyncConnection, book: Book, order: Any, kinds: Sequence[ErrandKind]) -> None:
    for kind in kinds:
        await _errand(connection, book, order, kind)


async def _errand(
    connection: AsyncConnection, book: Book, order: Any, kind: ErrandKind, payment: Any | None = None
) -> None:
    body = {"order_id": order.id, "show_id": order.show_id, "viewer_id": order.viewer_id, "rid": order.rid}
    if payment is not None:
        body |= {"provider": payment.provider, "ref": payment.provider_ref}
    await connection.execute(insert(outbox).values(kind=kind, body=body, created_at_ms=book.now_ms))


async def _reservation(connection: AsyncConnection, viewer_id: str, rid: str) -> Any:
    query = select(reservations).where(reservations.c.viewer_id == viewer_id, reservations.c.rid == rid)
    return (await connection.execute(query.with_for_update())).one()


async def _set_reservation(connection: AsyncConnection, book: Book, viewer_id: str, rid: str, state: str) -> None:
    await connection.execute(
        update(reservations)
        .where(reservations.c.viewer_id == viewer_id, reservations.c.rid == rid)
        .values(state=state, updated_at_ms=book.now_ms)
    )


async def _payment(connection: AsyncConnection, provider: str, ref: str) -> Any | None:
    query = select(payments).where(payments.c.provider == provider, payments.c.provider_ref == ref)
    return (await connection.execute(query)).one_or_none()


async def _payment_of(connection: AsyncConnection, order_id: str, ref: str) -> Any:
    query = select(payments).where(payments.c.order_id == order_id, payments.c.provider_ref == ref)
    return (await connection.execute(query)).one()


async def _set_payment(connection: AsyncConnection, book: Book, payment_id: str, status: str) -> None:
    await connection.execute(
        update(payments).where(payments.c.id == payment_id).values(status=status, updated_at_ms=book.now_ms)
    )
