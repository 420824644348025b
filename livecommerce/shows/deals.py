"""The stock of deals: moved from the pool when a deal is announced or opened, given back when it closes.

SQL first, then Redis, once per move id, on the way in; Redis first, then SQL, on the way out. Every crash in between
leaves units in the deal that nobody can buy, never two buyers for one unit, and `finish` brings them home: when nobody
holds or pays any more, what SQL says is neither sold nor paid goes back to the pool, whatever was lost on the way.

What arrives: deals of a show. What leaves: rows of pools and deals, and the engine's books. It knows no cards.
"""

from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue import pools
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, show_books, shows
from livecommerce.protocol.facts import AnyEvent, DealAnnounced, DealClosed, DealOpened, ShowChanged
from livecommerce.reservations.batcher import REBUILDING_AFTER_MS
from livecommerce.reservations.engine import DealStock, ReservationEngine
from livecommerce.shows.lifecycle import deal_moved

log = structlog.get_logger(__name__)


async def allot(connection: AsyncConnection, deal_id: str, at_ms: int) -> None:
    """Pool → deal, the whole quota, inside the transaction that announces or opens it. Refuses STOCK_SHORT."""
    row = (await connection.execute(select(deals).where(deals.c.id == deal_id).with_for_update())).one()
    await connection.execute(update(deals).where(deals.c.id == deal_id).values(allotted=row.quota))
    await pools.allot(
        connection, f"{deal_id}/opening", row.variant_id, row.location_id, deal_id, row.quota, at_ms=at_ms
    )


def stock_of(row: "Row[tuple[object, ...]]") -> DealStock:
    """A row of `deals` as the engine knows it, `quota` what it was opened with."""
    return DealStock(
        deal_id=row.id,
        quota=row.quota,
        limit=row.limit_per_viewer,
        hold_ms=row.hold_seconds * 1000,
        pay_ms=row.pay_seconds * 1000,
        status=row.status,
        opens_at_ms=row.opens_at_ms,
        closes_at_ms=row.closes_at_ms,
        level=row.level,
        head_wants_more=row.head_wants_more,
        limit_by=row.limit_by,
        address_cap=row.address_cap,
        hold_cap_ms=row.hold_cap_seconds * 1000,
        drawn=row.fairness == "draw",
    )


@dataclass(frozen=True, slots=True)
class DealStocks:
    """Carries public events over to the engine's books. Every method may be repeated; `Refused(BUSY)` and
    `Refused(REBUILDING)` mean: again later."""

    database: Database
    engine: ReservationEngine
    clock: Clock

    async def follow(self, show_id: str, event: AnyEvent) -> None:
        """Make the engine's books agree with `event` before the room hears of it."""
        if isinstance(event, ShowChanged) and event.show.status in ("live", "interrupted"):
            await self._open_books(show_id, event.show.limit_per_person)
        elif isinstance(event, DealAnnounced | DealOpened):
            await self._put(show_id, event.deal_id)
        elif isinstance(event, DealClosed):
            await self._take_out(show_id, event.deal_id, "closing")
            if event.pulled == "cancel":
                await self._cancel(show_id, event.deal_id)

    async def finish(self, show_id: str, deal_id: str) -> bool:
        """A closing deal → closed, once nobody holds or pays; True where it was. Units freed meanwhile go back."""
        await self._take_out(show_id, deal_id, "closed")
        _, levels = await self.engine.levels(show_id)
        level = levels.get(deal_id)
        # What came back between the two calls is still in the deal: the next turn takes it out. Closed with it inside,
        # the engine's books would have a unit that SQL has given to the pool.
        if level is not None and (level.held or level.paying or level.available):
            # Held by somebody who slipped through while the deal was being pulled, or where the process died then.
            if level.held and await self._is_cancelled(deal_id):
                await self._cancel(show_id, deal_id)
            return False

        async def work(connection: AsyncConnection) -> bool:
            row = await _locked(connection, deal_id)
            if row.status != "closing" or row.paying:
                return False
            left = row.allotted - row.sold
            values = {"status": deal_moved(row.status, "finish"), "allotted": row.sold}
            await connection.execute(update(deals).where(deals.c.id == deal_id).values(values))
            if left:
                await self._give_back(connection, row, left)
            return True

        return await self.database.write(work)

    async def _open_books(self, show_id: str, limit_per_person: int) -> None:
        """Make the show's books in Redis, once in its life: where they are missing later they were lost, and only a
        rebuild may make them, from what is known and not from what was allotted. SQL remembers; `REBUILDING`. The
        show's limit is set each time."""
        row = {"show_id": show_id, "opened_at_ms": self.clock.now_ms()}
        fresh = await self.database.write(lambda connection: pools.insert_new(connection, show_books, **row))
        if fresh:
            await self.engine.open_show(show_id, limit_per_person)
        elif not await self.engine.set_show_limit(show_id, limit_per_person):
            raise Refused(R.REBUILDING, after_ms=REBUILDING_AFTER_MS)

    async def _put(self, show_id: str, deal_id: str) -> None:
        async with self.database.read() as connection:
            query = select(deals, shows.c.limit_per_person).join(shows, shows.c.id == deals.c.show_id)
            row = (await connection.execute(query.where(deals.c.id == deal_id))).one()
        await self._open_books(show_id, row.limit_per_person)
        # Opened at the same instant as SQL says, never earlier than its own row: a deal that was closed meanwhile is
        # put in as announced, and the event that closes it follows.
        is_open = row.status == "open"
        stock = stock_of(row)
        await self.engine.put_deal(show_id, replace(stock, status="open" if is_open else "announced"))
        if is_open:  # the first `put_deal` may have been the announcement
            await self.engine.set_deal_status(show_id, deal_id, "open")

    async def _is_cancelled(self, deal_id: str) -> bool:
        async with self.database.read() as connection:
            pulled = (await connection.execute(select(deals.c.pulled).where(deals.c.id == deal_id))).scalar_one()
        return bool(pulled == "cancel")

    async def _cancel(self, show_id: str, deal_id: str) -> None:
        """Who holds is told at once, by the relay; what is being paid is SQL's, see `orders.sweeps.pulled`."""
        ended = await self.engine.cancel_unpaid(show_id, deal_id)
        log.info("deal_cancelled", show_id=show_id, deal_id=deal_id, holds=ended)
        await self._take_out(show_id, deal_id, "closing")

    async def _take_out(self, show_id: str, deal_id: str, status: str) -> None:
        try:
            units = await self.engine.set_deal_status(show_id, deal_id, "closing" if status == "closing" else "closed")
        except Refused as refused:
            if refused.why is not R.UNKNOWN_DEAL:
                raise
            # Redis lost the deal: nobody can hold anything of it. `finish` brings the units home from SQL's numbers.
            log.warning("closing_deal_unknown_to_engine", show_id=show_id, deal_id=deal_id)
            return
        if not units:
            return

        async def work(connection: AsyncConnection) -> None:
            row = await _locked(connection, deal_id)
            # `finish` may have been faster elsewhere and have brought these units home already.
            home = min(units, row.allotted - row.sold - row.paying)
            if home > 0:
                change = update(deals).where(deals.c.id == deal_id).values(allotted=row.allotted - home)
                await connection.execute(change)
                await self._give_back(connection, row, home)

        await self.database.write(work)

    async def _give_back(self, connection: AsyncConnection, row: "Row[tuple[object, ...]]", units: int) -> None:
        # `allotted` only falls once a deal is closing, so it numbers the moves home.
        move_id = f"{row.id}/home/{row.allotted}"
        await pools.give_back(
            connection, move_id, row.variant_id, row.location_id, row.id, units, at_ms=self.clock.now_ms()
        )


async def _locked(connection: AsyncConnection, deal_id: str) -> "Row[tuple[object, ...]]":
    return (await connection.execute(select(deals).where(deals.c.id == deal_id).with_for_update())).one()
