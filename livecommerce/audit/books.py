"""The books of one show as rows: what Redis counts, what the ledger has, what the log says, and what is under way.

What arrives: a show's id, the ledger, Redis and the engine. What leaves: lists of rows, some hundred at a time and none
larger, so that a web process can send them while its hub goes on; and `Books`, which gathers such rows again on the
other side. No names, contacts or addresses are in them. It knows no HTTP, and it does not judge: `breaches` does.
"""

import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Select, and_, bindparam, func, not_, select, true, tuple_

from livecommerce.audit.digest import digest_of
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import (
    deals,
    movements,
    orders,
    outbox,
    payments,
    pools,
    reservations,
    shelves,
    show_log,
)
from livecommerce.protocol import codec
from livecommerce.protocol.facts import HoldState, Level, Stamped
from livecommerce.reservations import keys
from livecommerce.reservations.engine import QTY_MAX, ReservationEngine
from livecommerce.reservations.relay_format import STATE, TICKET, lines_of, record
from livecommerce.reservations.states import WORDS
from livecommerce.shows.log import FORGOTTEN, UNPUBLISHED

# Reading, unpacking and encoding one row costs about 10 µs of the loop: a piece stays near 3 ms.
PIECE_ROWS = 300
# Hashes of up to this many fields come from HSCAN in one answer whatever is asked for; longer ones in pieces.
_SCAN_COUNT = 256

Key = tuple[str, str]  # (viewer_id, rid)
Lines = tuple[tuple[str, int], ...]  # (deal_id, qty), in the order in which they were asked for


class Pending(msgspec.Struct, frozen=True):
    """What is under way behind the scenes: while any of it is not 0, the books may rightly disagree."""

    journal: int = 0  # calls of the reservation script that are not in `movements` yet
    errands: int = 0  # what orders' commits made due and nobody has done yet, of this show
    events: int = 0  # public events that the log has and the news does not

    @property
    def total(self) -> int:
        return self.journal + self.errands + self.events


class Row(msgspec.Struct, frozen=True, tag_field="row", gc=False):
    """Base of all rows: `row` names the kind."""


class BeginRow(Row, frozen=True, tag="begin"):
    """The first one. `moves` counts every move of a unit since Redis' books were made; see `EndRow`."""

    show_id: str
    at_ms: int
    pending: Pending
    moves: int


class DealRow(Row, frozen=True, tag="deal"):
    """`of_show`: this show's own, and no draft. All others that draw on one of its pools are one row with the sum of
    their units and no `deal_id`: whoever reads these books need not know of other shows."""

    deal_id: str
    variant_id: str
    location_id: str
    status: str
    allotted: int
    paying: int
    sold: int
    limit_per_viewer: int
    of_show: bool
    level: str = "soft"  # what "held" promised


class LevelRow(Row, frozen=True, tag="level"):
    deal_id: str
    available: int
    held: int
    paying: int
    sold: int
    waiting: int


class PoolRow(Row, frozen=True, tag="pool"):
    variant_id: str
    location_id: str
    total: int
    available: int
    in_deals: int
    sold: int


class HoldRow(Row, frozen=True, tag="hold"):
    """What Redis keeps under one request id, live or ended."""

    viewer_id: str
    rid: str
    state: HoldState
    ticket: int
    lines: Lines


class ReservationRow(Row, frozen=True, tag="reservation"):
    """What the ledger keeps under one request id that came to be paid."""

    viewer_id: str
    rid: str
    state: str
    lines: Lines


class OrderRow(Row, frozen=True, tag="order"):
    """`paid`: a captured payment stands behind it."""

    order_id: str
    number: str
    viewer_id: str
    rid: str
    status: str
    paid: bool


class MovementRow(Row, frozen=True, tag="movement"):
    movement_id: int
    viewer_id: str  # "" for moves between pool and deal
    rid: str
    line: int
    kind: str
    n: int
    deal_id: str
    qty: int
    at_ms: int


class EventRow(Row, frozen=True, tag="event"):
    """A public event of the log; `place` 0 where nobody can tell its place any more (epoch "forgotten")."""

    epoch: str
    place: int
    kind: str
    digest: str


class EndRow(Row, frozen=True, tag="end"):
    """The last one: without it the books are not whole. The same `moves` as at the beginning, and nothing pending at
    either end, means that all rows are of one quiet moment."""

    pending: Pending
    moves: int


class BrokenRow(Row, frozen=True, tag="broken"):
    """The last one where the books could not be read to their end: `word` is of the closed list."""

    word: str


AnyRow = (
    BeginRow
    | DealRow
    | LevelRow
    | PoolRow
    | HoldRow
    | ReservationRow
    | OrderRow
    | MovementRow
    | EventRow
    | EndRow
    | BrokenRow
)


class Movement(msgspec.Struct, frozen=True, gc=False):
    """A movement under its request id."""

    movement_id: int
    line: int
    kind: str
    n: int
    deal_id: str
    qty: int
    at_ms: int


class Books(msgspec.Struct):
    """The rows again, each where it is looked for."""

    show_id: str = ""
    levels: dict[str, Level] = {}
    holds: dict[Key, HoldRow] = {}
    deals: list[DealRow] = []  # this show's own
    pool_deals: list[DealRow] = []  # this show's own, and for each pool one row of all others that draw on it
    pools: list[PoolRow] = []
    reservations: list[ReservationRow] = []
    orders: list[OrderRow] = []
    movements: dict[Key, list[Movement]] = {}
    events: list[EventRow] = []
    pending: Pending = Pending()
    whole: bool = False  # the end was read
    quiet: bool = False  # nothing moved meanwhile, nothing was under way

    _moves: int = 0

    def kinds(self, key: Key) -> set[str]:
        """The kinds of movement that stand under a request id."""
        return {movement.kind for movement in self.movements.get(key, ())}

    def take(self, row: AnyRow) -> None:
        """Put one row where it belongs. A scan of Redis may tell a hold twice: what was told last stands."""
        match row:
            case HoldRow():
                self.holds[row.viewer_id, row.rid] = row
            case MovementRow():
                told = Movement(
                    row.movement_id, row.line, sys.intern(row.kind), row.n, sys.intern(row.deal_id), row.qty, row.at_ms
                )
                self.movements.setdefault((row.viewer_id, row.rid), []).append(told)
            case EventRow():
                self.events.append(row)
            case ReservationRow():
                self.reservations.append(row)
            case OrderRow():
                self.orders.append(row)
            case DealRow():
                self.pool_deals.append(row)
                if row.of_show:
                    self.deals.append(row)
            case LevelRow():
                self.levels[row.deal_id] = Level(row.available, row.held, row.paying, row.sold, row.waiting)
            case PoolRow():
                self.pools.append(row)
            case BeginRow():
                self.show_id, self.pending, self._moves = row.show_id, row.pending, row.moves
            case EndRow():
                self.quiet = self._moves == row.moves and not (self.pending.total or row.pending.total)
                self.whole, self.pending = True, row.pending
            case BrokenRow():
                self.whole = False


def books_of(rows: Iterable[AnyRow]) -> Books:
    """The books that these rows tell."""
    books = Books()
    for row in rows:
        books.take(row)
    return books


class BooksReader:
    """Reads the books of shows. Only readers of the ledger and single small commands of Redis are used."""

    def __init__(self, database: Database, redis: Redis, engine: ReservationEngine, clock: Clock) -> None:
        self._database = database
        self._redis = redis
        self._engine = engine
        self._clock = clock

    async def pieces(self, show_id: str) -> AsyncGenerator[list[AnyRow], None]:
        """All rows of a show that exists, in pieces of `PIECE_ROWS` at most (a short hash of Redis: 512); whoever reads
        pauses between them. No transaction stays open from one piece to the next.

        Raises `Refused(BUSY)` where Redis is away, the driver's error where the ledger is; cancelling is safe.
        """
        moves = await self._moves(show_id)
        yield [BeginRow(show_id, self._clock.now_ms(), await self.pending(show_id), moves)]
        async for piece in self._all(show_id):
            yield piece
        yield [EndRow(await self.pending(show_id), await self._moves(show_id))]

    async def pending(self, show_id: str) -> Pending:
        """What is under way for this show."""
        journal = await _or_busy(self._redis.xlen(keys.journal(show_id)))
        async with self._database.read() as connection:
            errands = (await connection.execute(_OPEN_ERRANDS, {"show_id": show_id})).scalar_one()
            events = (await connection.execute(_UNPUBLISHED_EVENTS, {"show_id": show_id})).scalar_one()
        return Pending(journal, errands, events)

    async def _moves(self, show_id: str) -> int:
        counts = await self._engine.counts(show_id)
        return sum(number for word, number in counts.items() if word not in _NO_MOVES)

    async def _all(self, show_id: str) -> AsyncGenerator[list[AnyRow], None]:
        own = await self._deals(show_id)
        for piece in _cut(own):
            yield piece
        yield await self._levels(show_id)
        async for piece in self._holds(show_id):
            yield piece
        async for piece in self._reservations(show_id):
            yield piece
        async for piece in self._orders(show_id):
            yield piece
        for deal_id in [row.deal_id for row in own if isinstance(row, DealRow) and row.of_show]:
            async for piece in self._movements(show_id, deal_id):
                yield piece
        async for piece in self._events(show_id):
            yield piece

    # --- Redis ------------------------------------------------------------------------------------------------------

    async def _levels(self, show_id: str) -> list[AnyRow]:
        try:
            _, levels = await self._engine.levels(show_id)
        except Refused as refused:
            if refused.why is not R.REBUILDING:
                raise
            return []  # never opened, or lost: what the ledger says of its deals then finds no partner
        return [LevelRow(deal_id, *msgspec.structs.astuple(level)) for deal_id, level in levels.items()]

    async def _holds(self, show_id: str) -> AsyncGenerator[list[AnyRow], None]:
        cursor, begun = 0, False
        while cursor or not begun:
            begun = True
            answer = await _or_busy(self._redis.hscan(keys.rids(show_id), cursor, count=_SCAN_COUNT))
            cursor, found = int(answer[0]), cast("Mapping[bytes, bytes]", answer[1])
            if found:
                yield [_hold(packed, raw) for packed, raw in found.items()]

    # --- the ledger, a page at a time -------------------------------------------------------------------------------

    async def _deals(self, show_id: str) -> list[AnyRow]:
        """The show's deals, the pools they draw on, and the sum of whatever else draws on those. Tens of rows, hardly
        more. Of a location's books, its shelves stand for the deals: as many rows as it has articles in Redis."""
        location_id = keys.location_of(show_id)
        table, whose = (shelves, shelves.c.location_id) if location_id else (deals, deals.c.show_id)
        mine = whose == (location_id or show_id)
        mine_in_use = mine if location_id else and_(mine, deals.c.status != "draft")
        async with self._database.read() as connection:
            own = (await connection.execute(select(table).where(mine_in_use))).all()
            places = select(table.c.variant_id, table.c.location_id).where(mine).distinct()
            where = [tuple(row) for row in await connection.execute(places)]
            others = dict[tuple[str, str], list[int]]()
            for source, is_other in _others(bool(location_id), mine_in_use):
                for row in await connection.execute(_drawn_by(source).where(_place_of(source).in_(where), is_other)):
                    sums = others.setdefault((row.variant_id, row.location_id), [0, 0, 0])
                    # PostgreSQL sums integers to a decimal.
                    for place, number in enumerate((row.allotted, row.paying, row.sold)):
                        sums[place] += int(number)
            drawn_on = select(pools).where(_place_of(pools).in_(where))
            return [
                *(_shelf(row) if location_id else _deal(row) for row in own),
                *(
                    DealRow("", variant_id, place_id, "others", allotted, paying, sold, 0, False)
                    for (variant_id, place_id), (allotted, paying, sold) in others.items()
                ),
                *(_pool(row) for row in await connection.execute(drawn_on)),
            ]

    async def _reservations(self, show_id: str) -> AsyncGenerator[list[AnyRow], None]:
        table = reservations
        columns = (table.c.viewer_id, table.c.rid)
        query = select(*columns, table.c.state, table.c.lines).where(table.c.show_id == show_id).order_by(*columns)
        after: Any = None
        while rows := await self._page(query if after is None else query.where(tuple_(*columns) > after)):
            after = tuple_(rows[-1].viewer_id, rows[-1].rid)
            yield [
                ReservationRow(row.viewer_id, row.rid, row.state, tuple((line[0], line[1]) for line in row.lines))
                for row in rows
            ]

    async def _orders(self, show_id: str) -> AsyncGenerator[list[AnyRow], None]:
        captured = (
            select(payments.c.id).where(payments.c.order_id == orders.c.id, payments.c.status == "captured").exists()
        )
        query = (
            select(
                orders.c.id, orders.c.number, orders.c.viewer_id, orders.c.rid, orders.c.status, captured.label("paid")
            )
            .where(orders.c.show_id == show_id)
            .order_by(orders.c.id)
        )
        after = ""
        while rows := await self._page(query.where(orders.c.id > after)):
            after = rows[-1].id
            yield [OrderRow(row.id, row.number, row.viewer_id, row.rid, row.status, bool(row.paid)) for row in rows]

    async def _movements(self, show_id: str, deal_id: str) -> AsyncGenerator[list[AnyRow], None]:
        # By deal, because that is the index there is; a deal is in one show only.
        query = select(movements).where(movements.c.deal_id == deal_id, movements.c.show_id == show_id)
        after = 0
        while rows := await self._page(query.where(movements.c.id > after).order_by(movements.c.id)):
            after = rows[-1].id
            yield [
                MovementRow(
                    row.id, row.viewer_id, row.rid, row.line, row.kind, row.n, row.deal_id, row.qty, row.at_ms
                )
                for row in rows
            ]  # fmt: skip

    async def _events(self, show_id: str) -> AsyncGenerator[list[AnyRow], None]:
        query = select(show_log).where(
            show_log.c.show_id == show_id, show_log.c.epoch != "", show_log.c.epoch != UNPUBLISHED
        )
        after = 0
        while rows := await self._page(query.where(show_log.c.id > after).order_by(show_log.c.id)):
            after = rows[-1].id
            yield [_event(row) for row in rows]

    async def _page(self, query: "Select[Any]") -> list[Any]:
        async with self._database.read() as connection:
            return list((await connection.execute(query.limit(PIECE_ROWS))).all())


_OPEN_ERRANDS = select(func.count()).where(
    outbox.c.done_at_ms.is_(None), outbox.c.body["show_id"].as_string() == bindparam("show_id")
)
_UNPUBLISHED_EVENTS = select(func.count()).where(
    show_log.c.show_id == bindparam("show_id"), show_log.c.epoch == UNPUBLISHED
)
# What the script counts and what moves no unit: questions, refusals, ticks of the clock.
_NO_MOVES = frozenset({"asked", "sold_out", "refused", "repeated", "clock_clamped"})


def _cut(rows: list[AnyRow]) -> Iterable[list[AnyRow]]:
    return (rows[first : first + PIECE_ROWS] for first in range(0, len(rows), PIECE_ROWS))


def _hold(packed: bytes, raw: bytes) -> HoldRow:
    viewer_id, _, rid = packed.decode().rpartition("/")
    items = record(raw)
    lines = tuple((line.deal_id, line.qty) for line in lines_of(items))
    return HoldRow(viewer_id, rid, WORDS[items[STATE]], items[TICKET], lines)


def _deal(row: Any) -> DealRow:
    return DealRow(
        row.id, row.variant_id, row.location_id, row.status, row.allotted, row.paying, row.sold, row.limit_per_viewer,
        True, row.level,
    )  # fmt: skip


def _shelf(row: Any) -> DealRow:
    return DealRow(
        row.id, row.variant_id, row.location_id, "open", row.allotted, row.paying, row.sold, QTY_MAX, True,
    )  # fmt: skip


def _others(of_location: bool, mine: Any) -> "tuple[tuple[Any, Any], ...]":
    """What else may draw on a pool: deals of other shows and the shelf of its location."""
    return ((deals, true()),) if of_location else ((deals, not_(mine)), (shelves, true()))


def _place_of(table: Any) -> Any:
    return tuple_(table.c.variant_id, table.c.location_id)


def _drawn_by(table: Any) -> "Select[Any]":
    sums = [func.sum(column).label(column.name) for column in (table.c.allotted, table.c.paying, table.c.sold)]
    place = (table.c.variant_id, table.c.location_id)
    return select(*place, *sums).group_by(*place)


def _pool(row: Any) -> PoolRow:
    return PoolRow(row.variant_id, row.location_id, row.total, row.available, row.in_deals, row.sold)


def _event(row: Any) -> EventRow:
    if row.offset is None:
        return EventRow(row.epoch or FORGOTTEN, 0, row.kind, "")
    stamped = Stamped(row.offset, row.at_ms, codec.event_from_json(row.body))
    return EventRow(row.epoch, row.offset, row.kind, digest_of(stamped))


async def _or_busy(asked: Any) -> Any:
    try:
        return await asked
    except (RedisError, OSError) as error:
        raise Refused(R.BUSY, after_ms=1000) from error
