"""Orders: from a hold to a paid unit, and every way it can end otherwise.

`hold → begin_pay (Redis) → PAYING (SQL) → provider's link → webhook → CONFIRMED (SQL) → settle (Redis), news`

What arrives: checkouts and wishes of viewers, webhooks, the counter's and the desk's questions, the worker's sweeps.
What leaves: orders as facts, and refusals. Acquire in Redis before SQL, release in SQL before Redis: a crash at any
arrow under-sells, and the sweeps and the outbox heal it. It knows no HTTP. What an event makes of an order is `moves`,
what it writes is `books`, what follows a commit is `errands`.
"""

import datetime
import zoneinfo
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import is_rid
from livecommerce.ledger.database import Database
from livecommerce.ledger.gathered import Gathered
from livecommerce.ledger.tables import deals, locations, order_lines, orders, org_units, payments, shows
from livecommerce.orders import books
from livecommerce.orders.errands import Errands
from livecommerce.orders.facts import (
    Address,
    CheckoutAnswer,
    CheckoutRequest,
    Counter,
    OrderPage,
    Pickup,
    ShowOrders,
    ShowTotals,
)
from livecommerce.orders.links import AWAY_AFTER_MS, Links
from livecommerce.orders.moves import UNPAID, Event
from livecommerce.orders.payments.provider import ProviderAway
from livecommerce.orders.payments.registry import Providers
from livecommerce.orders.pickup import qr_svg, qr_svg_file, read_code
from livecommerce.orders.receipts import order_facts, order_page, pickup_of, staff_order
from livecommerce.orders.sweeps import Sweeps
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.protocol.facts import HoldLine, OrderFacts
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.news import News

log = structlog.get_logger(__name__)

ORDERS_LISTED_MAX = 500
ORDERS_OF_VIEWER_MAX = 50
# How long a till's sale may be on its way from Redis to SQL; past it the sweep says it never came.
TILL_MS = 60_000


class Orders:
    """One per process; keeps nothing that a restart could lose. `aclose` waits for errands under way."""

    def __init__(
        self, database: Database, engine: ReservationEngine, news: News, catalogue: Catalogue, providers: Providers,
        settings: Settings, clock: Clock,
    ) -> None:  # fmt: skip
        self._database = database
        self._engine = engine
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock
        self.providers = providers
        self._links = Links(database, providers, settings, clock)
        self._errands = Errands(database, engine, news, providers, settings, clock)
        self._sweeps = Sweeps(database, engine, self._links, settings, clock)
        self._briefly = Gathered(self._read_briefly)

    async def aclose(self) -> None:
        await self._errands.aclose()

    # --- the viewer -------------------------------------------------------------------------------------------------

    async def checkout(self, viewer: ViewerIdentity, request: CheckoutRequest) -> CheckoutAnswer:
        """Turn a hold into an order and say where to pay it.

        The same (viewer, rid) again, from wherever and after whatever crash, goes on with the same order and the same
        link; another address or counter corrects it while it is unpaid; after a decline it is another try.
        Refuses `RID_INVALID`, `DELIVERY` (fact `missing`), `NOT_FOUND` (counter, hold), `RID_REUSED` (another show),
        `HOLD_GONE`, `CONFLICT`, and `BUSY`, `UNAVAILABLE`, which know no outcome: ask again.
        """
        request = _checked(request)
        await self._must_be_where_it_is(request)
        if request.delivery == "pickup":
            await self._must_be_counter(request.pickup_location_id)
        order = await self._begun(viewer, request) or await self._begin(viewer, request)
        if books.differs(order, request) and order.status in UNPAID:
            await self._database.write(lambda connection: books.correct(connection, self._book(), order.id, request))
        if order.status == "declined":
            await self._another_try(order.id)
        return await self._answer(order.id)

    async def retry(self, viewer: ViewerIdentity, order_id: str) -> CheckoutAnswer:
        """Another try after a decline: the old link is dead, here is a new one. A second call gives the same.

        Refuses `NOT_FOUND`, `ALREADY_PAID`, `PAYMENT_GONE` after the deadline, `HOLD_GONE` once the unit went back.
        """
        order = await self._own(viewer.viewer_id, order_id)
        _must_be_unpaid(order)
        await self._another_try(order_id)
        return await self._answer(order_id)

    async def cancel(self, viewer: ViewerIdentity, order_id: str) -> OrderPage:
        """Give the unit back before paying. A second call changes nothing.

        Refuses `NOT_FOUND`, `ALREADY_PAID` (also where the money came meanwhile), `UNAVAILABLE` where the provider is
        away and the link may be alive.
        """
        order = await self._own(viewer.viewer_id, order_id)
        if order.status != "cancelled":
            _must_be_unpaid(order)
            await self._kill_links(order_id)
            moved = await self._database.write(
                lambda connection: books.happen(connection, self._book(), order_id, Event.CANCEL)
            )
            self._errands.kick()
            if not moved:
                _must_be_unpaid_or_cancelled(await self._own(viewer.viewer_id, order_id))
        return await self.page(viewer, order_id)

    async def page(self, viewer: ViewerIdentity, order_id: str) -> OrderPage:
        """Her own order. Refuses `NOT_FOUND`, also for another viewer's."""
        return await self._page(await self._own(viewer.viewer_id, order_id))

    async def pages(self, viewer: ViewerIdentity) -> tuple[OrderPage, ...]:
        """Her newest 50 orders, newest first."""
        return tuple([await self._page(order) for order in await self._newest_of(viewer.viewer_id)])

    async def orders_of(self, viewer_id: str, show_id: str = "") -> tuple[OrderFacts, ...]:
        """A viewer's newest 50 orders in a line each, newest first; of one show, or of all."""
        return await self._briefly.get((viewer_id, show_id))

    async def _read_briefly(self, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[OrderFacts, ...]]:
        """The orders of many viewers at once: a crowd that comes in asks for everybody's."""
        query = select(orders).where(orders.c.viewer_id.in_({viewer_id for viewer_id, _ in asked}))
        newest = query.order_by(orders.c.created_at_ms.desc(), orders.c.id.desc())
        mine: dict[tuple[str, str], list[Any]] = {key: [] for key in asked}
        async with self._database.read() as connection:
            for row in (await connection.execute(newest)).all():
                for key in ((row.viewer_id, row.show_id), (row.viewer_id, "")):
                    if key in mine and len(mine[key]) < ORDERS_OF_VIEWER_MAX:
                        mine[key].append(row)
            rows = {row.id: row for told in mine.values() for row in told}
            lines = await _lines_by_order(connection, list(rows))
            urls = await _open_urls(connection, [row.id for row in rows.values() if row.status == "paying"])
        facts = {row.id: order_facts(row, urls.get(row.id, ""), lines=lines.get(row.id, ())) for row in rows.values()}
        return {key: tuple(facts[row.id] for row in told) for key, told in mine.items()}

    async def pickup_svg(self, viewer: ViewerIdentity, order_id: str) -> bytes:
        """The QR code of her pick-up code. Refuses `NOT_FOUND` where the order has none."""
        order = await self._own(viewer.viewer_id, order_id)
        if order.status != "confirmed" or not order.pickup_code:
            raise Refused(R.NOT_FOUND, what="pick-up code")
        return qr_svg_file(f"{self._settings.base_url}/console/pickups/{order.pickup_code}")

    # --- the till ---------------------------------------------------------------------------------------------------

    async def sell_at_till(self, viewer: ViewerIdentity, location_id: str, rid: str, receipt: str) -> OrderPage:
        """What is held under `rid` at this location is sold and handed out: the till was paid. Safe to repeat.

        Refuses `NOT_FOUND` where nothing is held, `HOLD_GONE`, `RID_REUSED`, `RECEIPT`, and `BUSY`, `UNAVAILABLE`,
        which know no outcome: ask again.
        """
        if not is_rid(rid):
            raise Refused(R.RID_INVALID)
        request = CheckoutRequest(keys.pool_book(location_id), rid, "pickup", pickup_location_id=location_id)
        order = await self._begun(viewer, request)
        if order is None or order.status != "confirmed":
            hold = await self._engine.begin_pay(request.show_id, viewer.viewer_id, rid, TILL_MS)
            pay_by_ms = self._clock.now_ms() + TILL_MS
            book = self._book()
            order_id = await self._database.write(
                lambda connection: books.sell_at_till(connection, book, viewer, request, hold.lines, receipt, pay_by_ms)
            )
            self._errands.kick()
            order = await self._order(order_id)
        elif receipt != await self._receipt_of(order.id):
            raise Refused(R.RID_REUSED)
        return await self._page(order)

    async def refuse_known_receipt(self, viewer: ViewerIdentity, location_id: str, rid: str, receipt: str) -> None:
        """Refuses `RECEIPT` where it stands under another sale: asked before anything is set aside for this one. The
        commit asks again."""
        query = (
            select(orders.c.viewer_id, orders.c.rid)
            .join(payments, payments.c.order_id == orders.c.id)
            .where(payments.c.provider == books.TILL, payments.c.provider_ref == f"{location_id}/{receipt}")
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is not None and (row.viewer_id, row.rid) != (viewer.viewer_id, rid):
            raise Refused(R.RECEIPT)

    async def _receipt_of(self, order_id: str) -> str:
        async with self._database.read() as connection:
            paid = [each for each in await books.payments_of(connection, order_id) if each.provider == books.TILL]
        return str(paid[0].provider_ref).partition("/")[2] if paid else ""

    # --- the provider -----------------------------------------------------------------------------------------------

    async def webhook(self, provider_name: str, raw: bytes, headers: Mapping[str, str]) -> None:
        """Hear a provider. Returns once everything it said is committed (also if that was known before).

        Refuses `SIGNATURE`, `MALFORMED`, `NOT_FOUND`, `UNAVAILABLE`: nothing moved, and it may be told again.
        """
        provider = self.providers.named(provider_name)
        text = raw.decode("utf-8", "replace")
        for event in provider.parse_webhook(raw, headers):
            await self._database.write(
                partial(books.hear, book=self._book(), provider=provider_name, event=event, raw=text)
            )
        self._errands.kick()

    # --- the desk and the counter -----------------------------------------------------------------------------------

    async def orders_of_show(self, staff: StaffIdentity, show_id: str) -> ShowOrders:
        """The newest orders of a show and its sums. Refuses `NOT_FOUND`, `FORBIDDEN` outside of one's own units."""
        async with self._database.read() as connection:
            path = await _path_of_show(connection, show_id)
            if path is None:
                raise Refused(R.NOT_FOUND, what="show")
            if not staff.may_act_in(path):
                raise Refused(R.FORBIDDEN)
            query = select(orders).where(orders.c.show_id == show_id).order_by(orders.c.created_at_ms.desc())
            rows = (await connection.execute(query.limit(ORDERS_LISTED_MAX))).all()
            lines = await _lines_by_order(connection, [row.id for row in rows])
            counters = await _counter_names(connection, {row.pickup_location_id for row in rows})
            sums = await _sums_of_show(connection, show_id)
        totals = ShowTotals(await self._units_held(show_id), *sums, currency=self._settings.currency)
        shown = (staff_order(row, lines.get(row.id, []), counters.get(row.pickup_location_id, "")) for row in rows)
        return ShowOrders(totals, tuple(shown))

    async def pickup(self, staff: StaffIdentity, typed: str) -> Pickup:
        """What this code collects. Refuses `NOT_FOUND`, `FORBIDDEN` for another unit's counter."""
        order = await self._by_code(staff, typed)
        return await self._pickup(order, already=order.collected_at_ms is not None)

    async def collect(self, staff: StaffIdentity, typed: str) -> Pickup:
        """Mark as handed out, once: whoever comes second is told `already`. Refuses as `pickup`."""
        order = await self._by_code(staff, typed)

        async def work(connection: AsyncConnection) -> bool:
            locked = await books.locked_order(connection, order.id)
            if locked.status != "confirmed":
                raise Refused(R.CONFLICT)
            if locked.collected_at_ms is not None:
                return True
            await connection.execute(
                update(orders).where(orders.c.id == order.id).values(collected_at_ms=self._clock.now_ms())
            )
            return False

        already = await self._database.write(work)
        return await self._pickup(await self._order(order.id), already=already)

    async def pickups(self, staff: StaffIdentity, location_id: str) -> tuple[Pickup, ...]:
        """The day's list of a counter: what waits there, oldest first, and what was handed out since midnight."""
        await self.must_act_at(staff, location_id)
        query = (
            select(orders)
            .where(orders.c.pickup_location_id == location_id, orders.c.delivery == "pickup")
            .where(orders.c.status == "confirmed")
            .where(or_(orders.c.collected_at_ms.is_(None), orders.c.collected_at_ms >= self._midnight_ms()))
            .order_by(orders.c.collected_at_ms.is_not(None), orders.c.paid_at_ms, orders.c.id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query.limit(ORDERS_LISTED_MAX))).all()
            lines = await _lines_by_order(connection, [row.id for row in rows])
        return tuple(pickup_of(row, lines.get(row.id, []), already=row.collected_at_ms is not None) for row in rows)

    # --- the worker -------------------------------------------------------------------------------------------------

    async def run_outbox(self) -> int:
        """Do every errand that is due. How many were done."""
        return await self._errands.run()

    async def sweep_deadlines(self) -> int:
        """Hear what providers have to say again, then expire what was not paid in time. How many orders expired."""
        for provider in self.providers.all.values():
            try:
                await provider.catch_up()
            except ProviderAway as away:
                log.warning("provider_away", provider=provider.name, why=str(away))
        expired = await self._sweeps.deadlines()
        self._errands.kick()
        return expired

    async def sweep_pulled(self) -> int:
        """Cancel what is being paid of deals that the host pulled and cancelled. How many orders were cancelled."""
        cancelled = await self._sweeps.pulled()
        self._errands.kick()
        return cancelled

    async def sweep_unwritten(self) -> int:
        """Void and free what Redis has as PAYING past its time and SQL does not know. How many were healed."""
        return await self._sweeps.unwritten()

    # --- steps ------------------------------------------------------------------------------------------------------

    async def _begun(self, viewer: ViewerIdentity, request: CheckoutRequest) -> Any | None:
        async with self._database.read() as connection:
            order = await books.order_of(connection, viewer.viewer_id, request.rid)
            state = await books.reservation_state(connection, viewer.viewer_id, request.rid)
        if state == "void":
            raise Refused(R.HOLD_GONE)
        if order is not None and order.show_id != request.show_id:
            raise Refused(R.RID_REUSED)
        return order

    async def _begin(self, viewer: ViewerIdentity, request: CheckoutRequest) -> Any:
        """Redis first, then SQL: a crash between the two leaves a unit that nobody sells until the sweep frees it."""
        show_id, viewer_id, rid = request.show_id, viewer.viewer_id, request.rid
        pay_ms = await self._pay_ms(show_id, viewer_id, rid)
        pay_by_ms = self._clock.now_ms() + pay_ms
        hold = await self._engine.begin_pay(show_id, viewer_id, rid, pay_ms)
        book = self._book()
        order_id = await self._database.write(
            lambda connection: books.begin(connection, book, viewer, request, hold.lines, pay_by_ms)
        )
        self._errands.kick()
        return await self._order(order_id)

    async def _pay_ms(self, show_id: str, viewer_id: str, rid: str) -> int:
        """The shortest time to pay among the deals of the hold."""
        holds = await self._engine.holds_of(show_id, viewer_id)
        lines: tuple[HoldLine, ...] = next((hold.lines for hold in holds if hold.rid == rid), ())
        # A hold that is not live is refused by the engine in a moment, with its own reason, unless it comes into being
        # in that moment: then the shortest of the show is never longer than its own.
        of_hold = deals.c.id.in_([line.deal_id for line in lines]) if lines else deals.c.show_id == show_id
        async with self._database.read() as connection:
            seconds = (await connection.execute(select(func.min(deals.c.pay_seconds)).where(of_hold))).scalar_one()
        return int(seconds or self._settings.pay_seconds_default) * 1000

    async def _another_try(self, order_id: str) -> None:
        await self._kill_links(order_id, only_declined=True)
        await self._database.write(lambda connection: books.happen(connection, self._book(), order_id, Event.RETRY))
        self._errands.kick()

    async def _kill_links(self, order_id: str, *, only_declined: bool = False) -> None:
        if only_declined and (await self._order(order_id)).status != "declined":
            return
        try:
            killed = await self._links.kill(order_id)
        except ProviderAway as away:
            raise Refused(R.UNAVAILABLE, after_ms=AWAY_AFTER_MS) from away
        if killed == "captured":
            self._errands.kick()
            raise Refused(R.ALREADY_PAID)

    async def _answer(self, order_id: str) -> CheckoutAnswer:
        order = await self._order(order_id)
        if order.status in ("expired", "cancelled"):
            raise Refused(R.HOLD_GONE)
        if order.status != "paying":
            return CheckoutAnswer(order_facts(order), "", "", None)
        payment = await self._links.open_payment(order)
        order = await self._order(order_id)
        return CheckoutAnswer(order_facts(order, payment.url), payment.url, qr_svg(payment.url), order.pay_by_ms)

    def _book(self) -> books.Book:
        return books.Book(self._settings, self._clock.now_ms(), self.providers.current.caps.livemode)

    async def _order(self, order_id: str) -> Any:
        async with self._database.read() as connection:
            row = (await connection.execute(select(orders).where(orders.c.id == order_id))).one_or_none()
        if row is None:
            raise Refused(R.NOT_FOUND, what="order")
        return row

    async def _own(self, viewer_id: str, order_id: str) -> Any:
        order = await self._order(order_id)
        if order.viewer_id != viewer_id:
            raise Refused(R.NOT_FOUND, what="order")
        return order

    async def _newest_of(self, viewer_id: str) -> Sequence[Any]:
        query = select(orders).where(orders.c.viewer_id == viewer_id)
        newest = query.order_by(orders.c.created_at_ms.desc(), orders.c.id.desc()).limit(ORDERS_OF_VIEWER_MAX)
        async with self._database.read() as connection:
            return (await connection.execute(newest)).all()

    async def _page(self, order: Any) -> OrderPage:
        async with self._database.read() as connection:
            lines = await books.lines_of(connection, order.id)
        return order_page(order, lines, await self._counter(order), await self._url_of(order), self._settings)

    async def _url_of(self, order: Any) -> str:
        if order.status != "paying":
            return ""
        async with self._database.read() as connection:
            return (await _open_urls(connection, [order.id])).get(order.id, "")

    async def _must_be_where_it_is(self, request: CheckoutRequest) -> None:
        """What lies in a shop is collected there; a warehouse sends it, or to any counter."""
        location_id = keys.location_of(request.show_id)
        if not location_id or (await self._catalogue.location(location_id)).kind == "warehouse":
            return
        if request.delivery != "pickup" or request.pickup_location_id != location_id:
            raise Refused(R.DELIVERY, missing="counter", facts={"missing": ["counter"], "location_id": location_id})

    async def _must_be_counter(self, location_id: str) -> None:
        location = await self._catalogue.location(location_id)
        if location.kind != "shop":
            raise Refused(R.DELIVERY, missing="counter", facts={"missing": ["counter"]})

    async def _counter(self, order: Any) -> Counter | None:
        if order.delivery != "pickup":
            return None
        at = await self._catalogue.location(order.pickup_location_id)
        return Counter(at.location_id, at.name, at.address, at.city, at.hours)

    async def must_act_at(self, staff: StaffIdentity, location_id: str) -> None:
        """Refuses `NOT_FOUND` for an unknown counter, `FORBIDDEN` for one of another unit."""
        await self._catalogue.location(location_id)
        path = await self._catalogue.location_scope(location_id) or await self._headquarters_path()
        if not staff.may_act_in(path):
            raise Refused(R.FORBIDDEN)

    async def _headquarters_path(self) -> str:
        async with self._database.read() as connection:
            query = select(org_units.c.path).where(org_units.c.parent_id.is_(None)).order_by(org_units.c.path)
            return str((await connection.execute(query.limit(1))).scalar_one_or_none() or "/")

    async def _by_code(self, staff: StaffIdentity, typed: str) -> Any:
        code = read_code(typed)
        async with self._database.read() as connection:
            row = (await connection.execute(select(orders).where(orders.c.pickup_code == (code or "-")))).one_or_none()
        if row is None:
            raise Refused(R.NOT_FOUND, what="pick-up code")
        await self.must_act_at(staff, row.pickup_location_id)
        return row

    async def _pickup(self, order: Any, *, already: bool) -> Pickup:
        async with self._database.read() as connection:
            return pickup_of(order, await books.lines_of(connection, order.id), already=already)

    async def _units_held(self, show_id: str) -> int | None:
        try:
            _, levels = await self._engine.levels(show_id)
        except Refused:
            return None
        return sum(level.held for level in levels.values())

    def _midnight_ms(self) -> int:
        zone = zoneinfo.ZoneInfo(self._settings.time_zone)
        now = datetime.datetime.fromtimestamp(self._clock.now_ms() / 1000, zone)
        return int(now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)


def _checked(request: CheckoutRequest) -> CheckoutRequest:
    """The request with clean, complete texts and nothing that its kind of delivery has no use for."""
    if not is_rid(request.rid):
        raise Refused(R.RID_INVALID)
    name, contact = _clean(request.contact_name), _clean(request.contact)
    given = request.address
    address = Address(*(_clean(text) for text in (given.line1, given.line2, given.postcode, given.city, given.country)))
    location_id = request.pickup_location_id
    needed = {"name": name, "e-mail or phone": contact}
    if request.delivery == "pickup":
        address, needed = Address(), needed | {"counter": location_id}
    else:
        location_id = ""
        needed |= {"street": address.line1, "postcode": address.postcode, "city": address.city}
        needed |= {"country": address.country}
    missing = [what for what, text in needed.items() if not text]
    if missing:
        raise Refused(R.DELIVERY, missing=", ".join(missing), facts={"missing": missing})
    return CheckoutRequest(request.show_id, request.rid, request.delivery, name, contact, address, location_id)


def _clean(text: str) -> str:
    """On one line, without control characters (PostgreSQL takes no NUL, a label printer no escape)."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _must_be_unpaid(order: Any) -> None:
    if order.status in ("expired", "cancelled"):
        raise Refused(R.HOLD_GONE)
    if order.status not in UNPAID:
        raise Refused(R.ALREADY_PAID)


def _must_be_unpaid_or_cancelled(order: Any) -> None:
    if order.status != "cancelled":
        _must_be_unpaid(order)


async def _path_of_show(connection: AsyncConnection, show_id: str) -> str | None:
    query = select(org_units.c.path).join(shows, shows.c.org_unit_id == org_units.c.id).where(shows.c.id == show_id)
    return (await connection.execute(query)).scalar_one_or_none()


async def _open_urls(connection: AsyncConnection, order_ids: list[str]) -> dict[str, str]:
    """The link to pay of each order that has one."""
    if not order_ids:
        return {}
    query = select(payments.c.order_id, payments.c.url).where(
        payments.c.order_id.in_(order_ids), payments.c.status == "open"
    )
    rows = await connection.execute(query.order_by(payments.c.created_at_ms.desc(), payments.c.id.desc()))
    return {row.order_id: str(row.url) for row in rows}  # of several, the first attempt's is told


async def _lines_by_order(connection: AsyncConnection, order_ids: list[str]) -> dict[str, list[Any]]:
    if not order_ids:
        return {}
    query = select(order_lines).where(order_lines.c.order_id.in_(order_ids))
    by_order: dict[str, list[Any]] = {}
    for row in (await connection.execute(query.order_by(order_lines.c.order_id, order_lines.c.line))).all():
        by_order.setdefault(row.order_id, []).append(row)
    return by_order


async def _counter_names(connection: AsyncConnection, location_ids: set[str]) -> dict[str, str]:
    query = select(locations.c.id, locations.c.name).where(locations.c.id.in_(location_ids))
    return {row.id: row.name for row in (await connection.execute(query)).all()}


async def _sums_of_show(connection: AsyncConnection, show_id: str) -> tuple[int, int, int, int, int, int]:
    """(paying, sold, confirmed orders, revenue, test orders, their sum)."""
    units = select(func.coalesce(func.sum(deals.c.paying), 0), func.coalesce(func.sum(deals.c.sold), 0))
    paying, sold = (await connection.execute(units.where(deals.c.show_id == show_id))).one()
    money = (
        select(orders.c.livemode, func.count(), func.coalesce(func.sum(orders.c.total_minor), 0))
        .where(orders.c.show_id == show_id, orders.c.status == "confirmed")
        .group_by(orders.c.livemode)
    )
    by_mode = {bool(live): (count, int(total)) for live, count, total in (await connection.execute(money)).all()}
    live, test = by_mode.get(True, (0, 0)), by_mode.get(False, (0, 0))
    return int(paying), int(sold), live[0] + test[0], live[1], test[0], test[1]
