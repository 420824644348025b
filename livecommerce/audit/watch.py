"""The audit that never stops: every few seconds a look at each show that is going on, by one worker.

What arrives: the ledger, Redis and the engine. What leaves: a `Verdict`, and a line in the log for every new breach. It
changes nothing. It goes on from the last movement it read: a show with a hundred thousand of them is read once.

Three comparisons, each exact in its own way, so that it holds under full load too:

1. *Redis against its own log.* Counters and journal of Redis are read in one transaction, at call `seq`. Every movement
   up to that call is in the journal that was read with them, or was trimmed from it, and that only after it was
   committed in SQL. So movements of SQL up to `seq` and that journal together must add up to those counters.
2. *SQL against its own log*, all of it read at one moment.
3. *Redis against SQL.* These two are never of one moment, and units on their way are rightly in neither. What counts is
   the difference that several looks in a row all saw: the smallest of them.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgpack
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.audit.replay import Fold, Ordered, Replay, Units
from livecommerce.audit.sums import DealSum, ledger_against_its_log, one_moment, read_sums
from livecommerce.audit.verdict import DRIFT, FIRST_MAX, DriftKind, Verdict, leave
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import movements
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.reservations.witnesses import stale_witnesses

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 4.7
# Reading and replaying one row costs about 10 µs of the worker's loop, which turns the hold clock too.
PAGE_ROWS = 500
PAGES_PER_TURN = 20
SHOWS_PER_TURN = 50
# A journal longer than this is being copied faster than it could be read here: look again at the next turn.
JOURNAL_ENTRIES_MAX = 300
# What Redis and SQL differ by counts once this many looks in a row saw it: some twenty seconds.
LOOKS = 4
# A transaction that began earlier may still commit a row with a smaller id: rows count for good only this long after.
SETTLED_MS = 10_000
_TOLD_MAX = 1000


@dataclass(frozen=True, slots=True)
class HotBooks:
    """Redis' side at one call: what each deal has, and the journal that is not copied yet."""

    epoch: str
    seq: int
    floor: int  # where this epoch began
    deals: dict[str, Units]
    available: dict[str, int]
    journal: list[list[Any]]
    journal_whole: bool


@dataclass(slots=True)
class _Look:
    """What one look at a show finds."""

    behind: int = 0
    drift: dict[DriftKind, int] = field(default_factory=lambda: dict.fromkeys(DRIFT, 0))
    breaches: list[str] = field(default_factory=list)

    def add(self, kind: DriftKind, units: int, breach: str = "") -> None:
        self.drift[kind] += units
        if units and breach:
            self.breaches.append(breach)


@dataclass(slots=True)
class _Seen:
    """What is remembered of a show from one look to the next."""

    replay: Replay = field(default_factory=Replay)
    after: tuple[int, int] = (-1, 0)  # (seq, id) of the last movement of the script that was replayed
    floor: int = -1  # of the epoch that is replayed
    fold: Fold | None = None  # while what stands before that is read
    ordered: defaultdict[str, Ordered] = field(default_factory=lambda: defaultdict(Ordered))
    ordered_to: int = 0  # id up to which `ordered` has summed up
    differences: defaultdict[tuple[str, DriftKind], deque[int]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=LOOKS))
    )
    last: _Look = field(default_factory=lambda: _Look(behind=1))

    def begin_again(self, floor: int) -> None:
        """The books are of another epoch than what was replayed. What stands below its beginning is folded."""
        self.replay, self.after, self.floor, self.fold = Replay(), (-1, 0), floor, Fold()

    def end_fold(self) -> None:
        if self.fold is not None:
            self.replay, self.fold = self.fold.finish(), None

    def lasting(self, deal_id: str, kind: DriftKind, units: int) -> int:
        """What the last looks all saw of it, this one among them."""
        seen = self.differences[deal_id, kind]
        seen.append(max(0, units))
        return min(seen) if len(seen) == LOOKS else 0


class Watch:
    """One leader's duty. Two at once do no harm: each has its own memory, and both only read."""

    def __init__(self, database: Database, redis: Redis, engine: ReservationEngine, clock: Clock) -> None:
        self._database = database
        self._redis = redis
        self._engine = engine
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._told: dict[str, None] = {}

    async def look(self) -> Verdict:
        """One look at every show that is watched; of very many, at the next ones at each turn.

        Raises `Refused(BUSY)` where Redis is away, the driver's error where the ledger is. Cancelling it is safe: what
        was replayed stays replayed.
        """
        begun = self._clock.monotonic()
        shows = await self._engine.shows_to_watch()
        for gone in self._seen.keys() - set(shows):
            del self._seen[gone]
        for show_id in shows:
            self._seen.setdefault(show_id, _Seen())
        pages = PAGES_PER_TURN
        for show_id in list(self._seen)[:SHOWS_PER_TURN]:
            # Whoever was looked at longest ago comes first: the dictionary keeps that order.
            seen = self._seen[show_id] = self._seen.pop(show_id)
            look = _Look()
            pages -= await self._look_at(show_id, seen, look, max(1, pages))
            seen.last = look
        verdict = self._verdict(self._clock.monotonic() - begun)
        try:
            await leave(self._redis, verdict)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=1000) from error
        return verdict

    def _verdict(self, seconds: float) -> Verdict:
        """Of all shows, as each was when it was looked at last."""
        looks = [seen.last for seen in self._seen.values()]
        breaches = [text for look in looks for text in look.breaches]
        for text in breaches:
            self._tell(text)
        drift = {kind: sum(look.drift[kind] for look in looks) for kind in DRIFT}
        behind = sum(look.behind > 0 for look in looks)
        first = tuple(breaches[:FIRST_MAX])
        return Verdict(self._clock.now_ms(), round(seconds, 3), len(looks), behind, len(breaches), drift, first)

    async def _look_at(self, show_id: str, seen: _Seen, found: _Look, pages_max: int) -> int:
        """How many pages were read."""
        hot = await read_hot(self._redis, show_id)
        if hot is not None and hot.floor != seen.floor:
            seen.begin_again(hot.floor)
        pages, whole = (0, False) if hot is None else await self._replay(show_id, seen, hot.seq, pages_max)
        async with one_moment(self._database) as connection:
            sums = await read_sums(connection, show_id)
            ordered = await self._order(connection, show_id, seen)
            found.add("witnesses", await stale_witnesses(connection, show_id))
        if ordered is None:
            found.behind += 1
        else:
            for each in ledger_against_its_log(sums, ordered):
                found.add("ledger", 1, f"{show_id}: {each.text}")
        if hot is None:
            found.add("books_missing", sum(deal.status != "closed" for deal in sums.deals.values()))
            return pages
        if whole and hot.journal_whole:
            self._against_log(show_id, seen, hot, found)
        else:
            found.behind += 1
        for deal in sums.deals.values():
            if deal.deal_id in hot.deals:
                _against_ledger(show_id, seen, deal, hot, found)
        return pages

    async def _replay(self, show_id: str, seen: _Seen, seq: int, pages_max: int) -> tuple[int, bool]:
        """(pages read, True where the log was replayed up to call `seq`)."""
        for page in range(1, pages_max + 1):
            async with self._database.read() as connection:
                rows = (await connection.execute(_script_rows(show_id, seen.after, seq))).all()
            for row in rows:
                line = (row.viewer_id, row.rid, row.line)
                if row.seq > seen.floor:
                    seen.end_fold()
                if seen.fold is not None:
                    seen.fold.take(line, row.kind, row.n, row.deal_id, row.qty, row.at_ms)
                else:
                    seen.replay.take(line, row.kind, row.deal_id, row.qty, row.at_ms)
                seen.after = (row.seq, row.id)
            if len(rows) < PAGE_ROWS:
                seen.end_fold()
                return page, True
            await self._clock.sleep(0)  # the heartbeat has its turn
        return pages_max, False

    async def _order(self, connection: AsyncConnection, show_id: str, seen: _Seen) -> dict[str, Ordered] | None:
        """What the orders' movements add up to by now; None where there are more than one look reads."""
        rows = (await connection.execute(_order_rows(show_id, seen.ordered_to))).all()
        settled_ms = self._clock.now_ms() - SETTLED_MS
        settling = True
        tail: list[Any] = []
        for row in rows:
            settling = settling and row.at_ms <= settled_ms
            if settling:
                seen.ordered[row.deal_id].take(row.kind, row.qty)
                seen.ordered_to = row.id
            else:
                tail.append(row)
        if len(rows) == PAGE_ROWS * PAGES_PER_TURN:
            return None
        now = {deal_id: Ordered(each.paying, each.sold) for deal_id, each in seen.ordered.items()}
        for row in tail:
            now.setdefault(row.deal_id, Ordered()).take(row.kind, row.qty)
        return now

    def _against_log(self, show_id: str, seen: _Seen, hot: HotBooks, found: _Look) -> None:
        if seen.after[0] > hot.seq:
            found.add("log", 1)  # Redis went back: its history is lost, and whoever rebuilds it says what became of it
            return
        replay = seen.replay.fork()
        take_journal(replay, hot.journal, seen.after[0])
        for wrong in replay.wrong:
            found.add("impossible", 1, f"{show_id}: {wrong.text}")
        for deal_id, units in hot.deals.items():
            said = replay.deals.get(deal_id) or Units()
            difference = drift_between(said, units)
            more = hot.available[deal_id] - said.available
            told = f"{show_id}: {deal_id}: Redis has {units}, its movements add up to {said}"
            found.add("log", difference, told if more > 0 else "")

    def _tell(self, text: str) -> None:
        if text not in self._told and len(self._told) < _TOLD_MAX:
            self._told[text] = None
            log.error("audit_breach", what=text)


def _against_ledger(show_id: str, seen: _Seen, deal: DealSum, hot: HotBooks, found: _Look) -> None:
    units, available = hot.deals[deal.deal_id], hot.available[deal.deal_id]
    free_here, free_there = available + units.held, deal.allotted - deal.paying - deal.sold
    over = seen.lasting(deal.deal_id, "over", free_here - free_there)
    told = f"{show_id}: {deal.deal_id}: OVER: {free_here} units in Redis can be had, SQL has {free_there}"
    found.add("over", over, told)
    found.add("under", seen.lasting(deal.deal_id, "under", free_there - free_here))
    ahead = seen.lasting(deal.deal_id, "sold_ahead", units.sold - deal.sold)
    told = f"{show_id}: {deal.deal_id}: {units.sold} units are sold in Redis, {deal.sold} in SQL"
    found.add("sold_ahead", ahead, told)
    found.add("sold_behind", seen.lasting(deal.deal_id, "sold_behind", deal.sold - units.sold))


def drift_between(one: Units, other: Units) -> int:
    """Units that stand in another place, or in none."""
    places = ((one.quota, other.quota), (one.held, other.held), (one.paying, other.paying), (one.sold, other.sold))
    return max(abs(here - there) for here, there in places)


def take_journal(replay: Replay, journal: Iterable[list[Any]], after_seq: int) -> None:
    """What the journal tells beyond call `after_seq`, the last one that was copied."""
    for seq, _hold_clock, at_ms, events in journal:
        if seq <= after_seq:
            continue
        for kind, viewer_id, rid, _n, _ticket, _attribution, *lines in events:
            for line in range(len(lines) // 2):
                replay.take((viewer_id, rid, line), kind, lines[2 * line], lines[2 * line + 1], at_ms)


async def read_hot(redis: Redis, show_id: str) -> HotBooks | None:
    """Redis' counters of a show and its journal, of one moment; None where its books are missing.

    Raises `Refused(BUSY)` where Redis is away.
    """
    try:
        async with redis.pipeline(transaction=True) as both:
            both.hmget(keys.meta(show_id), "epoch", "seq", "floor")
            both.hgetall(keys.deals(show_id))
            both.xrange(keys.journal(show_id), count=JOURNAL_ENTRIES_MAX)
            (epoch, seq, floor), records, entries = await both.execute()
    except (RedisError, OSError) as error:
        raise Refused(R.BUSY, after_ms=1000) from error
    if epoch is None:
        return None
    deals, available = {}, {}
    for deal_id, raw in records.items():
        _status, quota, free, held, paying, sold, *_ = msgpack.unpackb(raw)
        deals[deal_id.decode()] = Units(quota, held, paying, sold)
        available[deal_id.decode()] = free
    journal = [msgpack.unpackb(fields[b"b"]) for _, fields in entries]
    return HotBooks(
        epoch.decode(), int(seq), int(floor or 0), deals, available, journal, len(entries) < JOURNAL_ENTRIES_MAX
    )


def _script_rows(show_id: str, after: tuple[int, int], seq: int) -> "Select[Any]":
    order = (movements.c.seq, movements.c.id)
    columns = (
        *order, movements.c.viewer_id, movements.c.rid, movements.c.line, movements.c.kind, movements.c.n,
        movements.c.deal_id, movements.c.qty, movements.c.at_ms,
    )  # fmt: skip
    return (
        select(*columns)
        .where(movements.c.show_id == show_id, movements.c.seq <= seq, tuple_(*order) > tuple_(*after))
        # Rows of before there was a `seq` have 0, as those of SQL's own decisions.
        .where(func.substr(movements.c.kind, 1, 6) != "order_")
        .order_by(*order)
        .limit(PAGE_ROWS)
    )


def _order_rows(show_id: str, after: int) -> "Select[Any]":
    return (
        select(movements.c.id, movements.c.deal_id, movements.c.kind, movements.c.qty, movements.c.at_ms)
        .where(movements.c.show_id == show_id, movements.c.seq == 0, movements.c.id > after)
        .order_by(movements.c.id)
        .limit(PAGE_ROWS * PAGES_PER_TURN)
    )
