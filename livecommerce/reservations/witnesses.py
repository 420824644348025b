"""Witnesses of level `ledger`: each hold is a committed row in SQL before anybody is told "held".

What arrives: the answers of one script call. What leaves: which of them must wait, and a future that is done once
their rows are committed; then the viewer's other devices are told. One write is under way at a time and takes with it
all that gathered meanwhile, while the script goes on to the next calls: no timer, and one sync for some hundred holds.

A witness is never a judge. Redis alone says who holds what; these rows say what was promised, should all of Redis be
lost (`live_witnesses`). So nothing waits for them but the answer: their ends are noted by the journal's duty, later,
and a row that says "held" after its end only keeps a unit aside that could be sold. They have a table of their own and
not rows of `reservations`: whoever writes at 10,000 a second must never wait for an order's lock nor meet its VOID, and
a narrow row with one tree is all the hot insert pays for.

Where the ledger is away the answer is "busy": the hold stands in Redis and the same rid, asked again, writes its row
first. It is not released: a release may fail too, and would spend the rid of somebody who will ask again in a second.
"""

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import ColumnElement, and_, bindparam, exists, func, literal_column, not_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.ending import end
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import movements, witnesses
from livecommerce.protocol.facts import HoldLine
from livecommerce.reservations.relay_format import DUE, LINES, STATE, TICKET, lines_of, record
from livecommerce.reservations.states import State
from livecommerce.reservations.tokens import LEVELS
from livecommerce.reservations.verbs import HOLDS, hold_named

log = structlog.get_logger(__name__)

LEDGER = LEVELS.index("ledger")
LEVEL = 5  # the place of a deal's level, after its five counters, in what a call answers

# Some 150 bytes a row; a commit of this many takes about 10 ms, so the last of a crowd waits for a few of them.
ROWS_PER_COMMIT_MAX = 1024
# About a second of work at the rate that was asked for; past it "busy" is the honest answer.
ROWS_WAITING_MAX = 8192
# SQLite waits up to 10 s for another process's lock. Nobody waits that long for an answer.
COMMIT_SECONDS_MAX = 5.0
# What this process knows to be committed, so that a repeat and a welcome cost no write. About 6 MB when full.
REMEMBERED_MAX = 32_768
TELL_MAX = 8192

ROWS = Counter("livecommerce_witness_rows", "Holds of level ledger whose row was written", ["outcome"])
WAITING = Gauge("livecommerce_witness_rows_waiting", "Holds of level ledger whose answer waits for its commit")

# Spelled out in the statement: a database uses a partial index only where it sees the index's own condition.
_IS_HELD = witnesses.c.state == literal_column("'held'")
# Ends of a hold as the journal names them; from PAYING on there is an order, which is no witness but the judge.
_NO_LONGER_HELD = (
    "released", "expired", "lapsed", "paying", "pay_expired", "cancelled", "confirmed", "reacquired", "lost",
)  # fmt: skip

Told = tuple[str, str, bytes]  # viewer_id, rid, the record as it was answered


class Row(NamedTuple):
    """In the order of the table's columns."""

    show_id: str
    viewer_id: str
    rid: str
    ticket: int
    epoch: str
    seq: int
    due_at_ms: int
    told_at_ms: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Witness:
    """A hold that was promised at level `ledger`. `record` is the script's own, byte for byte (`relay_format`); `epoch`
    and `seq` say of which books, and of which call, it was the answer; `due_at_ms` is its end as it was told."""

    viewer_id: str
    rid: str
    ticket: int
    epoch: str
    seq: int
    due_at_ms: int
    record: bytes

    @property
    def lines(self) -> tuple[HoldLine, ...]:
        return lines_of(record(self.record))


async def live_witnesses(connection: AsyncConnection, show_id: str, due_after_ms: int = 0) -> list[Witness]:
    """The holds of a show that were promised and of whose end the ledger does not know, in order of their tickets.

    It may name holds that ended shortly before Redis was lost, with the journal that would have told it: then there are
    more of them than units. The later ticket is the surer one, as its unit may be one that an earlier one gave back.
    """
    query = (
        select(witnesses)
        .where(witnesses.c.show_id == show_id, _IS_HELD, witnesses.c.due_at_ms > due_after_ms)
        # An end that was copied before its witness was written found no row to mark.
        .where(not_(_has_ended()))
        .order_by(witnesses.c.ticket)
    )
    return [
        Witness(row.viewer_id, row.rid, row.ticket, row.epoch, row.seq, row.due_at_ms, row.record)
        for row in await connection.execute(query)
    ]


async def note_ends(connection: AsyncConnection, show_id: str, moved: Iterable[tuple[str, str, str]]) -> None:
    """(viewer_id, rid, kind) of the journal, in its order: witnesses of what is no longer held say so from now on."""
    ends = [{"v": viewer, "r": rid, "k": kind} for viewer, rid, kind in moved if kind in _NO_LONGER_HELD]
    # Nearly all shows have none: one look at an index tells.
    held = select(witnesses.c.rid).where(witnesses.c.show_id == show_id, _IS_HELD).limit(1)
    if not ends or (await connection.execute(held)).first() is None:
        return
    change = update(witnesses).where(
        witnesses.c.show_id == show_id, witnesses.c.viewer_id == bindparam("v"), witnesses.c.rid == bindparam("r"),
        _IS_HELD,
    )  # fmt: skip
    await connection.execute(change.values(state=bindparam("k")), ends)


async def stale_witnesses(connection: AsyncConnection, show_id: str) -> int:
    """How many witnesses still say "held" of a hold whose end stands in the movements."""
    stale = select(func.count()).where(witnesses.c.show_id == show_id, _IS_HELD, _has_ended())
    return int((await connection.execute(stale.select_from(witnesses))).scalar_one())


async def close_stale(connection: AsyncConnection, show_id: str) -> int:
    """Mark witnesses whose end stands in the movements; how many there were."""
    change = (
        update(witnesses)
        .where(witnesses.c.show_id == show_id, _IS_HELD, _has_ended())
        .values(state="ended")
        .returning(witnesses.c.rid)
    )
    return len((await connection.execute(change)).all())


def _has_ended() -> ColumnElement[bool]:
    # By the unique index of movements: one look for each of the few kinds.
    same = and_(movements.c.viewer_id == witnesses.c.viewer_id, movements.c.rid == witnesses.c.rid)
    return exists().where(same, movements.c.line == 0, movements.c.kind.in_(_NO_LONGER_HELD))


class Witnesses:
    """One per process. `aclose` before the ledger closes; answers that wait then are refused as busy.

    `tell` lets the other devices of these viewers know; it may fail, the next welcome tells them too.
    """

    def __init__(
        self, database: Database | None, clock: Clock, tell: Callable[[str, Sequence[Told]], Awaitable[None]]
    ) -> None:
        self._database = database
        self._clock = clock
        self._tell = tell
        self._next: list[tuple[list[Row], asyncio.Future[None]]] = []
        self._waiting = 0
        self._writing: asyncio.Task[None] | None = None
        self._to_tell: dict[str, list[Told]] = {}
        self._telling: asyncio.Task[None] | None = None
        self._known: dict[tuple[str, str, str], None] = {}  # in the order in which they were committed

    async def check(self) -> bool:
        """True where this process can promise "committed in SQL": it has a ledger, whose commits are on disk."""
        if self._database is None:
            return False
        if self._database.is_sqlite:
            return True  # `synchronous=FULL` is how the writer connects
        async with self._database.read() as connection:
            return str((await connection.execute(text("SHOW synchronous_commit"))).scalar_one()) != "off"

    async def aclose(self) -> None:
        await end([self._writing, self._telling])
        waiting, self._next = self._next, []
        for _, done in waiting:
            _fail(done)

    def of(
        self, show_id: str, request: tuple[Any, ...], answer: list[Any], levels: dict[bytes, list[int]],
        hold_clock_ms: int, epoch: bytes, seq: int,
    ) -> list[Row]:  # fmt: skip
        """The rows that must be committed before this answer may be given; none for nearly all answers."""
        if answer[0] != 0 or len(answer) < 2:
            return []
        key = hold_named(request)
        if key is not None and isinstance(answer[1], bytes):
            viewer_id, named = key[0], [(key[1], answer[1])]
        elif request[0] == HOLDS:
            viewer_id, flat = request[1], answer[1] or []
            named = [(flat[i].decode(), flat[i + 1]) for i in range(0, len(flat), 3)]
        else:
            return []
        now_ms = self._clock.now_ms()
        rows = []
        for rid, packed in named:
            items = record(packed)
            if items[STATE] != State.HELD or not _is_of_ledger(items, levels):
                continue
            if (show_id, viewer_id, rid) not in self._known:
                due_at_ms = now_ms + items[DUE] - hold_clock_ms
                rows.append(
                    Row(show_id, viewer_id, rid, items[TICKET], epoch.decode(), seq, due_at_ms, now_ms, packed)
                )  # fmt: skip
        return rows

    async def move_ends(self, show_id: str, ends: Mapping[tuple[str, str], int], told: Sequence[Told]) -> None:
        """Give rows that say "held" their new ends (UTC, by viewer and rid), then tell those whose row is there: who
        was answered "busy" has none yet and hears nothing. Raises `Refused(BUSY)` where the ledger is away."""
        assert self._database is not None, "a level that was never offered here"

        async def work(connection: AsyncConnection) -> set[tuple[str, str]]:
            moved = set()
            for (viewer_id, rid), due_at_ms in ends.items():
                hers = (witnesses.c.show_id == show_id, witnesses.c.viewer_id == viewer_id, witnesses.c.rid == rid)
                change = update(witnesses).where(*hers, _IS_HELD).values(due_at_ms=due_at_ms)
                if (await connection.execute(change)).rowcount:
                    moved.add((viewer_id, rid))
            return moved

        moved = await self._database.write(work)
        try:
            await self._tell(show_id, [each for each in told if each[:2] in moved])
        except Exception as error:
            log.warning("witnesses_not_told", show_id=show_id, holds=len(told), why=str(error))

    def write(self, rows: list[Row]) -> "asyncio.Future[None]":
        """Done once all of `rows` are committed; failed with `Refused(BUSY)` where that is not known: ask again."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._database is None or self._waiting + len(rows) > ROWS_WAITING_MAX:
            ROWS.labels("refused").inc(len(rows))
            _fail(done)
            return done
        self._waiting += len(rows)
        WAITING.set(self._waiting)
        self._next.append((rows, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(self._database), name="witness-writer")
        return done

    async def _write(self, database: Database) -> None:
        while self._next:
            batch = self._take()
            rows = [row for some, _ in batch for row in some]
            try:
                # Sorted, so that two processes' commits never wait for each other in a ring.
                async with asyncio.timeout(COMMIT_SECONDS_MAX):
                    await database.write(_inserting(sorted(rows), database.is_sqlite))
            except asyncio.CancelledError:
                for _, done in batch:
                    _fail(done)
                raise
            except Exception as error:
                ROWS.labels("away").inc(len(rows))
                why = error.why.value.word if isinstance(error, Refused) else type(error).__name__
                log.warning("witnesses_not_written", rows=len(rows), why=why)
                for _, done in batch:
                    _fail(done)
            else:
                ROWS.labels("written").inc(len(rows))
                self._remember(rows)
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)
                self._tell_soon(rows)
            finally:
                self._waiting -= len(rows)
                WAITING.set(self._waiting)

    def _take(self) -> list[tuple[list[Row], asyncio.Future[None]]]:
        count = total = 0
        for rows, _ in self._next:
            if count and total + len(rows) > ROWS_PER_COMMIT_MAX:
                break
            count, total = count + 1, total + len(rows)
        batch, self._next = self._next[:count], self._next[count:]
        return batch

    def _remember(self, rows: list[Row]) -> None:
        known = self._known
        for row in rows:
            known[row.show_id, row.viewer_id, row.rid] = None
        for key in list(itertools.islice(known, max(0, len(known) - REMEMBERED_MAX))):
            del known[key]

    def _tell_soon(self, rows: list[Row]) -> None:
        for row in rows:
            told = self._to_tell.setdefault(row.show_id, [])
            if len(told) < TELL_MAX:
                told.append((row.viewer_id, row.rid, row.record))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all(), name="witness-teller")

    async def _tell_all(self) -> None:
        while self._to_tell:
            show_id, told = self._to_tell.popitem()
            try:
                await self._tell(show_id, told)
            except Exception as error:
                log.warning("witnesses_not_told", show_id=show_id, holds=len(told), why=str(error))


def concern(levels: dict[bytes, list[int]]) -> bool:
    """True where a deal of this call promises the ledger: a comparison for each deal of the call."""
    return any(level[LEVEL] == LEDGER for level in levels.values())


def _is_of_ledger(items: list[Any], levels: dict[bytes, list[int]]) -> bool:
    # A cart promises what its weakest line does.
    return all(levels[items[place]][LEVEL] == LEDGER for place in range(LINES, len(items), 2))


_INTO = f"INSERT INTO witnesses ({', '.join(Row._fields)}) VALUES "
_POSTGRES = f"{_INTO} ({', '.join(f'${place}' for place in range(1, len(Row._fields) + 1))}) ON CONFLICT DO NOTHING"


@functools.cache
def _sqlite(rows: int) -> str:
    one = f"({', '.join('?' * len(Row._fields))})"
    return f"{_INTO} {', '.join([one] * rows)} ON CONFLICT DO NOTHING"


def _inserting(rows: list[Row], is_sqlite: bool) -> Callable[[AsyncConnection], Awaitable[None]]:
    """On the raw driver: SQLAlchemy's own way costs as much again as the insert."""

    async def work(connection: AsyncConnection) -> None:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        if not is_sqlite:
            await driver.executemany(_POSTGRES, rows)
            return
        # One statement and not `executemany`, which takes and gives the interpreter's lock for each row: beside a busy
        # loop that is what costs. The last row fills up to a power of two, so that eleven prepared statements do.
        padded = rows + rows[-1:] * ((1 << (len(rows) - 1).bit_length()) - len(rows))
        cursor = await driver.execute(_sqlite(len(padded)), [value for row in padded for value in row])
        await cursor.close()

    return work


def _fail(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_exception(Refused(R.BUSY, after_ms=1000))
        done.exception()
