"""Shelves: one hold for all channels. Web shop, till, basket, pick-up and try-on reserve the same units by one engine.

A shelf is a deal that stands open in its location's books. It is made when somebody first asks for the variant there,
takes units out of the pool as they are asked for, and gives them back when a show's deal or a stock edit needs them.
So every unit is in one place at a time: in the pool, in a show's deal, on a shelf, or sold.

What arrives: requests for units of variants at a location, and the wish of others for what lies on a shelf. What
leaves: holds of the engine, units back in pools, refusals. Acquire in Redis before SQL, release in SQL before Redis, as
everywhere; `moves` says in which order a move of units goes. It knows no orders, no prices but those it writes down,
and no HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import Pool, insert_new
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import shelves, shop_holds, show_books
from livecommerce.protocol.facts import Hold
from livecommerce.reservations import keys
from livecommerce.reservations.batcher import REBUILDING_AFTER_MS
from livecommerce.reservations.engine import QTY_MAX, Attributed, DealStock, ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves import moves
from livecommerce.shelves.forgotten import is_forgotten
from livecommerce.shelves.goods import Goods, goods_at

log = structlog.get_logger(__name__)
T = TypeVar("T")

Channel = Literal["web", "till", "basket", "try_on"]
Lines = Sequence[tuple[str, int]]  # (variant_id, qty)

# A show's deal or a stock edit may meet shoppers who take what was just brought home; then it is asked for again.
_BRING_HOME_TRIES = 3
# A move that is still open after this long has lost its process. Finishing it twice does no harm; this spares the work.
MOVE_SECONDS = 5
ROUND_MAX = 200


def stock_of_shelf(shelf_id: str, settings: Settings, move: moves.ShelfMove | None = None) -> DealStock:
    """A shelf as the engine knows it, with the units of a move where there is one."""
    stock = DealStock(
        deal_id=shelf_id, quota=0, limit=QTY_MAX, hold_ms=settings.shop_hold_seconds * 1000,
        pay_ms=settings.pay_seconds_default * 1000, status="open",
    )  # fmt: skip
    return stock if move is None else replace(stock, quota=move.qty, move_id=move.name)


class Shelves:
    """One per process; keeps nothing that a restart could lose."""

    def __init__(
        self, database: Database, engine: ReservationEngine, catalogue: Catalogue, settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._engine = engine
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock
        self._filling: dict[str, asyncio.Lock] = {}  # one per location: who comes second finds what the first brought
        self._looked_at = ""  # the location whose shelves the sweep looked at last

    # --- channels ---------------------------------------------------------------------------------------------------

    async def reserve(
        self, channel: Channel, viewer: Attributed, location_id: str, rid: str, lines: Lines, *, instead_of: str = "",
        bag_since_ms: int | None = None, credit: tuple[str, str] = ("", ""),
    ) -> Hold:  # fmt: skip
        """Set units of a location aside, every line or none, at the prices of this moment. The same rid again answers
        with the hold as it stands.

        `credit` is the (advisor, shop) whose order it will be, where that is not whom the viewer came by.

        Refuses `HOLD_GONE` for a rid of long ago that came to no order, `NOT_SOLD_HERE`, then as
        `ReservationEngine.reserve`; where a variant is to blame, the fact `variant_id` names it. `SOLD_OUT` is
        said only after the pool was looked at. A refusal moves nothing to anybody; units may have come from the
        pool to the shelf.
        """
        async with self._database.read() as connection:
            if await is_forgotten(connection, viewer.viewer_id, rid, self._clock.now_ms()):
                raise Refused(R.HOLD_GONE)
            variant_ids = [variant_id for variant_id, _ in lines]
            goods = await goods_at(connection, location_id, variant_ids, public=channel != "till")
        book = keys.pool_book(location_id)
        for _ in range(len(lines) + 3):  # the books may be missing once, the shelf once, units of each line once
            known = await self._with_shelves(location_id, goods, lines)
            wanted = [(known[variant_id], qty) for variant_id, qty in lines]
            try:
                hold = await self._engine.reserve(book, viewer, rid, wanted, instead_of=instead_of)
                break
            except Refused as refused:
                last = _named(refused, known)
                if not await self._filled(location_id, last, lines):
                    raise last from None
        else:
            raise last
        await self._engine.watch(book)
        await self._write_down(channel, viewer.viewer_id, location_id, hold, goods, known, bag_since_ms, credit)
        return hold

    async def live_holds(self, location_id: str, viewer_id: str) -> tuple[Hold, ...]:
        """What of this location is set aside for her, or being paid. Refuses `REBUILDING` while its books are made
        anew: nobody can say then that she has nothing."""
        book = keys.pool_book(location_id)
        try:
            return await self._engine.holds_of(book, viewer_id)
        except Refused as refused:
            if refused.why is not R.REBUILDING or await self._was_opened(book):
                raise
            return ()  # nobody ever asked for anything there

    # --- what others need of a shelf --------------------------------------------------------------------------------

    async def bring_home(self, variant_id: str, location_id: str, units: int) -> int:
        """Up to `units` that nobody holds go from the shelf back to the pool; how many they were. Refuses `BUSY`: then
        they come home by the sweep."""
        at_ms = self._clock.now_ms()
        move = await self._database.write(
            lambda connection: moves.begin_down(connection, location_id, variant_id, units, at_ms)
        )
        return 0 if move is None else await self._finish(move)

    async def with_room(self, change: Callable[[], Awaitable[T]]) -> T:
        """Run a change that may need more units of a pool than lie there: what is missing comes from its shelf first.
        Shoppers may be faster; then it is asked for again, and in the end refused with what is really left."""
        for _ in range(_BRING_HOME_TRIES):
            try:
                return await change()
            except Refused as refused:
                if not await self._make_room(refused):
                    raise
        return await change()

    async def _make_room(self, refused: Refused) -> bool:
        """After `STOCK_SHORT`: bring what is missing home from the shelf. True where it is worth to try again."""
        facts = refused.facts
        if refused.why is not R.STOCK_SHORT or not facts.get("short"):
            return False
        return await self.bring_home(facts["variant_id"], facts["location_id"], facts["short"]) > 0

    async def change_stock(self, move_id: str, variant_id: str, location_id: str, delta: int) -> Pool:
        """As `Catalogue.change_stock`; units that lie on the shelf can be taken away too."""
        return await self.with_room(lambda: self._catalogue.change_stock(move_id, variant_id, location_id, delta))

    async def clear(self, location_id: str) -> int:
        """All that nobody holds goes from this location's shelves to its pools: before an import counts them anew."""
        query = select(shelves.c.variant_id, shelves.c.allotted).where(
            shelves.c.location_id == location_id, shelves.c.allotted > shelves.c.sold + shelves.c.paying
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(shelves.c.id))).all()
        home = 0
        for first in range(0, len(rows), ROUND_MAX):
            part = rows[first : first + ROUND_MAX]
            home += sum(
                await asyncio.gather(*(self.bring_home(row.variant_id, location_id, row.allotted) for row in part))
            )
        return home

    # --- the worker -------------------------------------------------------------------------------------------------

    async def sweep(self) -> int:
        """Finish moves whose process died; bring home what Redis lost; have busy books watched. One location a turn for
        the last two. How many moves were finished."""
        before_ms = self._clock.now_ms() - MOVE_SECONDS * 1000
        finished = 0
        async for move in moves.open_moves(self._database, before_ms):
            try:
                await self._finish(move)
                finished += 1
            except Refused as refused:
                log.warning("shelf_move_waits", shelf_id=move.shelf_id, why=refused.why.value.word)
        location_id = await self._next_location()
        if location_id:
            await self._engine.watch_if_busy(keys.pool_book(location_id))
            await self.heal(location_id)
        return finished

    async def heal(self, location_id: str) -> int:
        """Units of this location's shelves that Redis does not know any more go back to their pools; how many."""
        query = select(shelves).where(
            shelves.c.location_id == location_id, shelves.c.allotted > shelves.c.sold + shelves.c.paying
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(shelves.c.id))).all()
        book, home = keys.pool_book(location_id), 0
        if not rows or not await self._engine.counts_now(book):
            return 0  # a rebuild brings back what SQL has
        for first in range(0, len(rows), ROUND_MAX):
            part = rows[first : first + ROUND_MAX]
            levels = await self._engine.levels_of(book, [row.id for row in part])
            for row in part:
                level = levels.get(row.id)
                there = level.available + level.held + level.paying if level else 0
                if row.allotted - row.sold - row.paying > there:
                    home += await self._bring_lost_home(row.id, (row.moves, row.allotted), there)
        if home:
            log.warning("shelf_units_lost_by_redis", location_id=location_id, units=home)
        return home

    # --- steps ------------------------------------------------------------------------------------------------------

    async def _with_shelves(self, location_id: str, goods: Mapping[str, Goods], lines: Lines) -> dict[str, str]:
        """variant → shelf; shelves that are missing are made."""
        known = {variant_id: each.shelf_id for variant_id, each in goods.items() if each.shelf_id}
        if len(known) < len(goods):
            missing = {variant_id: qty for variant_id, qty in _sums(lines).items() if variant_id not in known}
            await self._fill(location_id, missing)
            query = select(shelves.c.variant_id, shelves.c.id).where(
                shelves.c.location_id == location_id, shelves.c.variant_id.in_(goods)
            )
            async with self._database.read() as connection:
                known = {row.variant_id: row.id for row in await connection.execute(query)}
        return known

    async def _filled(self, location_id: str, refused: Refused, lines: Lines) -> bool:
        """True where the shelf got what was missing, so that asking again may help."""
        if refused.why is R.SOLD_OUT:
            short = {refused.facts["variant_id"]: _sums(lines)[refused.facts["variant_id"]]}
        elif refused.why is R.UNKNOWN_DEAL:  # never put into Redis
            short = _sums(lines)
        elif refused.why is R.REBUILDING:  # never opened: who was to do so died, or does it now. Or lost: see rebuild
            book = keys.pool_book(location_id)
            return await self._open_books(book) or await self._engine.counts_now(book)
        else:
            return False
        async with self._filling.setdefault(location_id, asyncio.Lock()):
            if await self._are_there(location_id, short):
                return True
            moved = await self._fill(location_id, short)
        return moved > 0 or refused.why is not R.SOLD_OUT

    async def _are_there(self, location_id: str, wanted: Mapping[str, int]) -> bool:
        query = select(shelves.c.variant_id, shelves.c.id).where(
            shelves.c.location_id == location_id, shelves.c.variant_id.in_(wanted)
        )
        async with self._database.read() as connection:
            ids = {row.variant_id: row.id for row in await connection.execute(query)}
        levels = await self._engine.levels_of(keys.pool_book(location_id), list(ids.values()))
        return all(
            (level := levels.get(ids.get(variant_id, ""))) is not None and level.available >= qty
            for variant_id, qty in wanted.items()
        )

    async def _fill(self, location_id: str, wanted: Mapping[str, int]) -> int:
        at_ms = self._clock.now_ms()
        begun = await self._database.write(lambda connection: moves.begin_up(connection, location_id, wanted, at_ms))
        await self._put(location_id, begun)
        return sum(move.qty for move in begun)

    async def _put(self, location_id: str, begun: Sequence[moves.ShelfMove]) -> None:
        book = keys.pool_book(location_id)
        await self._must_have_books(book)
        await asyncio.gather(
            *(self._engine.put_deal(book, stock_of_shelf(move.shelf_id, self._settings, move)) for move in begun)
        )
        await self._database.write(lambda connection: moves.end_up(connection, begun))

    async def _must_have_books(self, book: str) -> None:
        """Refuses `REBUILDING` where they are lost."""
        if not await self._open_books(book) and not await self._engine.counts_now(book):
            raise Refused(R.REBUILDING, after_ms=REBUILDING_AFTER_MS)

    async def _was_opened(self, book: str) -> bool:
        async with self._database.read() as connection:
            opened = select(show_books.c.show_id).where(show_books.c.show_id == book)
            return (await connection.execute(opened)).first() is not None

    async def _open_books(self, book: str) -> bool:
        """Make the books of a place, once for all time: where they are missing later they were lost, and only a rebuild
        may make them. SQL remembers, in the same table as a show's. True where they were never opened before.

        First Redis, then SQL: who dies in between has put nothing into them yet.
        """
        if await self._was_opened(book):
            return False
        await self._engine.open_show(book)
        row = {"show_id": book, "opened_at_ms": self._clock.now_ms()}
        await self._database.write(lambda connection: insert_new(connection, show_books, **row))
        return True

    async def _finish(self, move: moves.ShelfMove) -> int:
        """The rest of a move, whoever began it; how many units it came to."""
        if move.kind == "up":
            await self._put(move.location_id, [move])
            return move.qty
        book = keys.pool_book(move.location_id)
        await self._must_have_books(book)
        try:
            taken = await self._engine.take_out(book, move.shelf_id, move.name, move.qty) if move.qty else 0
        except Refused as refused:
            if refused.why is not R.UNKNOWN_DEAL:
                raise
            taken = 0  # Redis lost the shelf: what SQL has on it comes home by `heal`
        at_ms = self._clock.now_ms()
        await self._database.write(lambda connection: moves.end_down(connection, move, taken, at_ms))
        return taken

    async def _bring_lost_home(self, shelf_id: str, seen: tuple[int, int], there: int) -> int:
        at_ms = self._clock.now_ms()
        return await self._database.write(
            lambda connection: moves.bring_lost_home(connection, shelf_id, seen, there, at_ms)
        )

    async def _next_location(self) -> str:
        """The locations that have shelves, one after the other; "" where there is none."""
        query = select(shelves.c.location_id).order_by(shelves.c.location_id).limit(1)
        async with self._database.read() as connection:
            after = (
                await connection.execute(query.where(shelves.c.location_id > self._looked_at))
            ).scalar_one_or_none()
            first = after or (await connection.execute(query)).scalar_one_or_none()
        self._looked_at = first or ""
        return self._looked_at

    async def _write_down(
        self, channel: Channel, viewer_id: str, location_id: str, hold: Hold, goods: Mapping[str, Goods],
        known: Mapping[str, str], bag_since_ms: int | None, credit: tuple[str, str],
    ) -> None:  # fmt: skip
        """What was told of this hold; once, so that a repeated request cannot change its prices."""
        variant_of = {shelf_id: variant_id for variant_id, shelf_id in known.items()}
        lines = [[line.deal_id, line.qty, goods[variant_of[line.deal_id]].price_minor] for line in hold.lines]
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> None:
            await insert_new(
                connection, shop_holds, viewer_id=viewer_id, rid=hold.rid, location_id=location_id, channel=channel,
                lines=lines, advisor_id=credit[0], shop_id=credit[1], at_ms=now_ms,
                bag_since_ms=now_ms if bag_since_ms is None else bag_since_ms,
            )  # fmt: skip

        await self._database.write(work)


def _sums(lines: Lines) -> dict[str, int]:
    sums: dict[str, int] = {}
    for variant_id, qty in lines:
        sums[variant_id] = sums.get(variant_id, 0) + max(0, min(qty, QTY_MAX))
    return sums


def _named(refused: Refused, known: Mapping[str, str]) -> Refused:
    """The refusal, with the variant it is about where it is about one."""
    shelf_id = refused.facts.get("deal_id")
    for variant_id, known_id in known.items():
        if known_id == shelf_id:
            refused.facts["variant_id"] = variant_id
    return refused
