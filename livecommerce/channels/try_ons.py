"""Try at the counter: an article waits unpaid at a shop for a day or two, for somebody who wants to see it on herself.

A class of hold of its own: its own time, its own limit per person, and a rule for those who do not come. The wish is
written down first, then the unit is set aside and kept, then the row says so; a row that stopped half way is settled by
the sweep from what the engine knows. What arrives: wishes of viewers, and what the advisor at the counter saw. What
leaves: codes with their clocks, an order where it was bought.

| state    | next |
|----------|------|
| asked    | kept, refused (nothing was set aside) |
| kept     | came, bought, missed (nobody came in time), given_up |
| refused  | asked (the same rid may be asked again) |
"""

import datetime
import zoneinfo
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.catalogue.service import Catalogue
from livecommerce.channels.facts import TryOn, TryOnOutcome, TryOnRequest, TryOns
from livecommerce.channels.goods import Names, article
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.pages import pages
from livecommerce.ledger.tables import try_ons, viewers
from livecommerce.orders.pickup import new_code, read_code
from livecommerce.orders.service import Orders
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.people.service import People
from livecommerce.protocol.facts import Hold
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import Shelves

log = structlog.get_logger(__name__)

MOVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "asked": frozenset({"kept", "refused"}),
        "kept": frozenset({"came", "bought", "missed", "given_up"}),
        "refused": frozenset({"asked"}),
    }
)
# A wish that is this old and says neither yes nor no has lost its process.
ASKED_SECONDS = 30
# The end that was told is the earliest there is: an outage lengthens a hold. Only then is anybody a no-show.
GRACE_SECONDS = 60
LISTED_MAX = 200
_LIVE = ("asked", "kept")


class CounterTryOns:
    """One per process; keeps nothing."""

    def __init__(
        self, database: Database, engine: ReservationEngine, shelves: Shelves, orders: Orders, people: People,
        catalogue: Catalogue, names: Names, settings: Settings, clock: Clock,
    ) -> None:  # fmt: skip
        self._database = database
        self._engine = engine
        self._shelves = shelves
        self._orders = orders
        self._people = people
        self._catalogue = catalogue
        self._names = names
        self._settings = settings
        self._clock = clock

    # --- the viewer -------------------------------------------------------------------------------------------------

    async def ask(self, viewer: ViewerIdentity, request: TryOnRequest) -> TryOn:
        """Have one unit wait for her at a counter. The same rid again answers with what became of it.

        Refuses `NOT_FOUND` (location), `NOT_SOLD_HERE` (also a place that is no shop), `RID_REUSED`, `NO_SHOWS`,
        `TRY_ON_LIMIT`, then as `Shelves.reserve`. A refusal leaves nothing set aside and counts for nothing.
        """
        if (await self._catalogue.location(request.location_id)).kind != "shop":
            raise Refused(R.NOT_SOLD_HERE, what="nothing can be tried at a warehouse")
        row = await self._database.write(lambda connection: self._wish(connection, viewer, request))
        if row.state == "asked":
            await self._settle(row, await self._set_aside(viewer, request, row))
        return await self._one(row.id)

    async def mine(self, viewer: ViewerIdentity) -> TryOns:
        """What waits for her, and what became of the last ones."""
        query = select(try_ons).where(try_ons.c.viewer_id == viewer.viewer_id, try_ons.c.state != "refused")
        return await self._listed(query.order_by(try_ons.c.at_ms.desc()).limit(20))

    async def give_up(self, viewer: ViewerIdentity, try_on_id: str) -> TryOn:
        """She will not come: the unit goes back at once, and it is no no-show. Refuses `NOT_FOUND`; `CONFLICT` after
        the counter decided."""
        row = await self._row(try_ons.c.id == try_on_id)
        if row.viewer_id != viewer.viewer_id:
            raise Refused(R.NOT_FOUND, what="article")
        await self._decide(row, "given_up", "")
        return await self._one(row.id)

    # --- the counter ------------------------------------------------------------------------------------------------

    async def at_counter(self, staff: StaffIdentity, location_id: str) -> TryOns:
        """What waits at this counter, the next to end first, and what was decided in the last day. Refuses `NOT_FOUND`,
        `FORBIDDEN` outside of one's own units."""
        await self._orders.must_act_at(staff, location_id)
        since_ms = self._clock.now_ms() - 86_400_000
        recent = or_(try_ons.c.state == "kept", try_ons.c.decided_at_ms >= since_ms)
        query = select(try_ons).where(try_ons.c.location_id == location_id, recent)
        query = query.where(try_ons.c.state.not_in(("asked", "refused")))
        return await self._listed(query.order_by(try_ons.c.state != "kept", try_ons.c.until_ms).limit(LISTED_MAX))

    async def outcome(self, staff: StaffIdentity, typed: str, told: TryOnOutcome) -> TryOn:
        """What the advisor saw: she came, she bought it (it is sold under the till's receipt), or she did not come.

        Safe to repeat. Refuses `NOT_FOUND` for a code that is none, `FORBIDDEN`, `CONFLICT` after another outcome,
        `MALFORMED` for a sale without a receipt, then as `Orders.sell_at_till`.
        """
        row = await self._row(try_ons.c.code == (read_code(typed) or "-"))
        await self._orders.must_act_at(staff, row.location_id)
        if told.outcome == "bought":
            await self._buy(staff, row, told.receipt)
        else:
            await self._decide(row, told.outcome, staff.account_id)
        return await self._one(row.id)

    # --- the worker -------------------------------------------------------------------------------------------------

    async def sweep(self) -> int:
        """Settle wishes whose process died; call those who did not come no-shows; free what was decided and still is
        set aside. How many rows changed."""
        now_ms = self._clock.now_ms()
        stuck = (try_ons.c.state == "asked") & (try_ons.c.at_ms <= now_ms - ASKED_SECONDS * 1000)
        over = (try_ons.c.state == "kept") & (try_ons.c.until_ms <= now_ms - GRACE_SECONDS * 1000)
        decided = try_ons.c.state.in_(("came", "missed", "given_up"))
        fresh = decided & (try_ons.c.decided_at_ms >= now_ms - 10 * GRACE_SECONDS * 1000)
        query = select(try_ons).where(or_(stuck, over, fresh))
        changed = 0
        async for page in pages(self._database, query, (try_ons.c.at_ms, try_ons.c.id)):
            for row in page:
                try:
                    changed += await self._tidy(row)
                except Refused as refused:
                    log.warning("try_on_waits", try_on_id=row.id, why=refused.why.value.word)
        return changed

    # --- steps ------------------------------------------------------------------------------------------------------

    async def _wish(self, connection: AsyncConnection, viewer: ViewerIdentity, request: TryOnRequest) -> Any:
        """The row of this wish, new or as it stands. One person's wishes queue up here, so that two at once are counted
        as two."""
        await connection.execute(select(viewers.c.id).where(viewers.c.id == viewer.viewer_id).with_for_update())
        mine = (try_ons.c.viewer_id == viewer.viewer_id, try_ons.c.rid == request.rid)
        row = (await connection.execute(select(try_ons).where(*mine))).one_or_none()
        if row is not None and (row.variant_id, row.location_id) != (request.variant_id, request.location_id):
            raise Refused(R.RID_REUSED)
        if row is not None and row.state != "refused":
            return row
        await self._refuse_person(connection, viewer.viewer_id)
        now_ms = self._clock.now_ms()
        values = {"state": "asked", "at_ms": now_ms, "until_ms": now_ms + self._keep_ms}
        if row is None:
            while not await insert_new(
                connection, try_ons, id=new_id("try"), code=new_code(), viewer_id=viewer.viewer_id, rid=request.rid,
                name=viewer.name, location_id=request.location_id, variant_id=request.variant_id, qty=1, **values,
            ):  # fmt: skip
                pass  # the code is taken: another one
        else:
            await connection.execute(update(try_ons).where(*mine).values(values))
        return (await connection.execute(select(try_ons).where(*mine))).one()

    async def _refuse_person(self, connection: AsyncConnection, viewer_id: str) -> None:
        settings, now_ms = self._settings, self._clock.now_ms()
        mine = try_ons.c.viewer_id == viewer_id
        since_ms = now_ms - settings.no_show_days * 86_400_000
        missed = select(try_ons.c.decided_at_ms).where(mine, try_ons.c.state == "missed")
        query = missed.where(try_ons.c.decided_at_ms > since_ms).order_by(try_ons.c.decided_at_ms.desc())
        times = (await connection.execute(query)).scalars().all()
        if settings.no_shows_max and len(times) >= settings.no_shows_max:
            until_ms = int(times[settings.no_shows_max - 1] or 0) + settings.no_show_days * 86_400_000
            when = datetime.datetime.fromtimestamp(until_ms / 1000, zoneinfo.ZoneInfo(settings.time_zone))
            facts = {"count": len(times), "until_ms": until_ms}
            raise Refused(
                R.NO_SHOWS, after_ms=until_ms - now_ms, facts=facts, count=len(times), when=f"{when:%Y-%m-%d}"
            )
        live = select(func.count()).where(mine, try_ons.c.state.in_(_LIVE))
        if (await connection.execute(live)).scalar_one() >= settings.try_on_limit:
            raise Refused(R.TRY_ON_LIMIT, most=settings.try_on_limit, facts={"most": settings.try_on_limit})

    async def _set_aside(self, viewer: ViewerIdentity, request: TryOnRequest, row: Any) -> Hold:
        try:
            lines = [(request.variant_id, 1)]
            await self._shelves.reserve("try_on", viewer, request.location_id, request.rid, lines)
            book = keys.pool_book(request.location_id)
            return await self._engine.keep(book, viewer.viewer_id, request.rid, self._keep_ms)
        except Refused as refused:
            if not refused.why.value.again or refused.why is R.SOLD_OUT:  # else the outcome is unknown: ask again
                await self._change(row, "refused", {})
            raise

    async def _settle(self, row: Any, hold: Hold | None) -> bool:
        if hold is None or hold.state != "held":
            return await self._change(row, "refused", {})
        return await self._change(row, "kept", {"until_ms": hold.due_at_ms})

    async def _buy(self, staff: StaffIdentity, row: Any, receipt: str) -> None:
        if not receipt:
            raise Refused(R.MALFORMED, expected="the receipt of the till")
        if row.state not in ("kept", "bought"):
            raise Refused(R.CONFLICT, facts={"state": row.state})
        viewer = await self._people.viewers.find(row.viewer_id)
        page = await self._orders.sell_at_till(viewer, row.location_id, row.rid, receipt)
        if row.state == "kept":
            await self._change(row, "bought", {"by_account_id": staff.account_id, "order_id": page.order.order_id})

    async def _decide(self, row: Any, state: str, by: str) -> None:
        """SQL first, then the unit goes back: who dies in between leaves it to the sweep."""
        if row.state != state and not await self._change(row, state, {"by_account_id": by}):
            now = await self._row(try_ons.c.id == row.id)
            if now.state != state:
                raise Refused(R.CONFLICT, facts={"state": now.state})
        await self._give_back(row)

    async def _change(self, row: Any, state: str, values: dict[str, Any]) -> bool:
        """One move of the table; False where the row is no longer where that is one."""
        before = [each for each, after in MOVES.items() if state in after]
        if state not in _LIVE:
            values = {**values, "decided_at_ms": self._clock.now_ms()}

        async def work(connection: AsyncConnection) -> bool:
            this = update(try_ons).where(try_ons.c.id == row.id, try_ons.c.state.in_(before))
            return bool((await connection.execute(this.values(state=state, **values))).rowcount)

        return await self._database.write(work)

    async def _give_back(self, row: Any) -> None:
        try:
            await self._engine.release(keys.pool_book(row.location_id), row.viewer_id, row.rid)
        except Refused as refused:
            if refused.why not in (R.NOT_FOUND, R.CONFLICT):  # ended long ago, or in an order of hers
                raise

    async def _tidy(self, row: Any) -> bool:
        if row.state == "asked":
            hold = await self._hold(row)
            if hold is not None and hold.state == "held":
                hold = await self._engine.keep(hold.show_id, row.viewer_id, row.rid, self._keep_ms)
            return await self._settle(row, hold)
        if row.state == "kept":
            if await self._hold(row) is not None:
                return False  # the hold clock stood still for a while: it lives as long as that
            return await self._change(row, "missed", {})
        await self._give_back(row)
        return False

    async def _hold(self, row: Any) -> Hold | None:
        """Her hold, where it is live. While the books are made anew nobody can say: it is asked for again."""
        live = await self._shelves.live_holds(row.location_id, row.viewer_id)
        return next((hold for hold in live if hold.rid == row.rid), None)

    @property
    def _keep_ms(self) -> int:
        return self._settings.try_on_hours * 3_600_000

    async def _row(self, which: Any) -> Any:
        async with self._database.read() as connection:
            row = (await connection.execute(select(try_ons).where(which))).one_or_none()
        if row is None:
            raise Refused(R.NOT_FOUND, what="article")
        return row

    async def _one(self, try_on_id: str) -> TryOn:
        return (await self._told([await self._row(try_ons.c.id == try_on_id)]))[0]

    async def _listed(self, query: Any) -> TryOns:
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return TryOns(await self._told(rows), self._settings.try_on_limit, self._settings.try_on_hours)

    async def _told(self, rows: Sequence[Any]) -> tuple[TryOn, ...]:
        facts = await self._catalogue.variants(row.variant_id for row in rows)
        places = await self._names.places()
        return tuple(
            TryOn(
                row.id, row.code, row.state, row.until_ms, row.name, places[row.location_id],
                article(facts[row.variant_id], row.qty, facts[row.variant_id].price_minor), row.order_id,
            )
            for row in rows
        )  # fmt: skip
