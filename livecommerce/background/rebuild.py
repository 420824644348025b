"""Makes the books of a show or a location anew after Redis lost them, or lost the end of their history.

What arrives: nothing but time. What leaves: for each whose books are missing or paused, new books in one step,
from what SQL judges, what the journal, living processes and viewers' tokens prove, and never from totals alone. One
leader, under a lease; its number in SQL stands in every write, so that an older leader who wakes up late writes
nothing. In this order, so that every crash leaves the show closed and the next try finds as much:

claim → window (witnesses tell) → journal copied → all read → movements of what was decided → staged → installed
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.background.journal import JournalToLedger, insert_movements
from livecommerce.background.place_books import close_moves
from livecommerce.background.witnesses import (
    Known,
    NotStill,
    hear_instants,
    hear_proofs,
    hear_testimony,
    read_ledger,
)
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, leases, outbox, show_books, shows
from livecommerce.orders import books
from livecommerce.reservations import keys
from livecommerce.reservations.anew import BooksAnew, hold_record, lay_out, pack
from livecommerce.reservations.engine import COUNTS, ReservationEngine
from livecommerce.reservations.evidence import Claim, Decision, Key, decide
from livecommerce.reservations.rebuild_store import Claimed, RebuildStore
from livecommerce.reservations.states import ENDED, IN_HELD, State
from livecommerce.reservations.tokens import HoldPromise
from livecommerce.settings import Settings
from livecommerce.shows.draws import reopen_draws

log = structlog.get_logger(__name__)

NAME = "rebuild"
# Shows rebuilt at once: their windows pass together, and their rows fit into memory.
AT_ONCE = 8
_ROWS_PER_COMMIT = 1000
# How often books that are well are asked whether anybody looks at them. In a cluster the list of those to watch lies on
# one node: where that alone loses its data, nothing else would bring the other nodes' shows back into it.
WATCH_SECONDS = 11.0

REBUILDS = Counter("livecommerce_rebuilds", "Rebuilds of a show's books", ["why", "outcome"])
PAUSED_SECONDS = Counter("livecommerce_rebuild_paused_seconds", "Seconds that shows could not sell: books lost")
PAUSED_SHOWS = Gauge("livecommerce_rebuild_shows", "Shows whose books are missing or paused at the last look")
HOLDS = Counter("livecommerce_rebuild_holds", "Holds of rebuilds: live again, or ended without a unit", ["outcome"])


class Overtaken(Exception):
    """Another leader rebuilds this show."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What one rebuild came to: (viewer, rid) of those that live on and of those that found no unit any more."""

    generation: int
    seq: int
    live: tuple[Key, ...]
    lost: tuple[Key, ...]


class RebuildDuty:
    """One leader's duty."""

    name = NAME
    every_seconds = 0.47
    # A window, and then up to a million rows.
    deadline_seconds = 300.0

    def __init__(
        self, redis: Redis, database: Database, engine: ReservationEngine, settings: Settings, clock: Clock
    ) -> None:
        self._store = RebuildStore(redis)
        self._database = database
        self._journal = JournalToLedger(redis, database, engine, clock)
        self._settings = settings
        self._clock = clock
        self._engine = engine
        self._watch_at = 0.0
        self._since: dict[str, float] = {}  # show → when it was first seen without books, monotonic

    async def run(self, lease_epoch: int) -> None:
        """One look at all shows, and a rebuild of those that need it. Safe to run twice at once, to be cancelled
        anywhere and to be repeated. Raises `Refused(BUSY)` where Redis is away."""
        try:
            candidates = await self._candidates()
            need = await self._needing(candidates)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=1000) from error
        PAUSED_SHOWS.set(len(need))
        await self._watch([show_id for show_id in candidates if show_id not in need])
        few = asyncio.Semaphore(AT_ONCE)

        async def one(show_id: str, why: str) -> None:
            async with few:
                await self.rebuild(show_id, why, lease_epoch)

        await asyncio.gather(*(one(show_id, why) for show_id, why in need.items()))

    async def rebuild(self, show_id: str, why: str, lease_epoch: int) -> Rebuilt | None:
        """Make this show's books anew; None where that did not come about: the next turn tries again."""
        outcome = "failed"
        try:
            rebuilt = await self._rebuild(show_id, why, lease_epoch)
            outcome = "installed" if rebuilt else "not_needed"
        except (Overtaken, NotStill, Refused, RedisError, OSError) as error:
            log.warning("rebuild_waits", show_id=show_id, why=repr(error))
            return None
        finally:
            REBUILDS.labels(why, outcome).inc()
        paused = self._clock.monotonic() - self._since.pop(show_id, self._clock.monotonic())
        PAUSED_SECONDS.inc(paused)
        if rebuilt:
            HOLDS.labels("live").inc(len(rebuilt.live))
            HOLDS.labels("lost").inc(len(rebuilt.lost))
            log.warning(
                "books_made_anew", show_id=show_id, why=why, generation=rebuilt.generation, live=len(rebuilt.live),
                lost=len(rebuilt.lost), paused_seconds=round(paused, 1),
            )  # fmt: skip
        return rebuilt

    async def _watch(self, show_ids: Sequence[str]) -> None:
        """See to it now and then that whatever is not quiet has its clock, its journal and its deals looked after."""
        now = self._clock.monotonic()
        if now < self._watch_at:
            return
        self._watch_at = now + WATCH_SECONDS
        watched = set(await self._engine.shows_to_watch())
        for show_id in show_ids:
            if show_id not in watched:
                try:
                    await self._engine.watch_if_busy(show_id)
                except Refused as refused:  # its node is away: the others' shows have their turn
                    log.warning("watch_waits", show_id=show_id, refusal=refused.why.value.word)

    async def _candidates(self) -> Sequence[str]:
        """Shows and locations whose books are needed. Shows that are over and asked for nothing may rest as they
        are."""
        open_deals = select(deals.c.show_id).where(deals.c.status.in_(("announced", "open", "closing")))
        errands = select(outbox.c.body["show_id"].as_string()).where(outbox.c.done_at_ms.is_(None))
        on_air = select(shows.c.id).where(shows.c.status.in_(("live", "interrupted")))
        column = show_books.c.show_id
        # A location sells for years: its books are always needed.
        places = column.startswith(keys.pool_book(""), autoescape=True)
        query = select(column).where(or_(places, column.in_(open_deals), column.in_(errands), column.in_(on_air)))
        async with self._database.read() as connection:
            return (await connection.execute(query.order_by(column))).scalars().all()

    async def _needing(self, candidates: Sequence[str]) -> dict[str, str]:
        """Those whose books are missing or paused, and which of the two."""
        need = {}
        for show_id in candidates:
            if why := await self._store.needs_rebuild(show_id):
                need[show_id] = why
                self._since.setdefault(show_id, self._clock.monotonic())
        return need

    async def _rebuild(self, show_id: str, why: str, lease_epoch: int) -> Rebuilt | None:
        generation = await self._database.write(lambda c: _next_generation(c, show_id, lease_epoch))
        claimed = await self._store.claim(show_id, generation)
        if claimed == "older":
            raise Overtaken
        if not isinstance(claimed, Claimed):
            return None
        log.warning("rebuild_begins", show_id=show_id, why=why, generation=generation)
        await self._store.open_window(show_id, generation)
        try:
            await self._clock.sleep(self._settings.rebuild_seconds)
        finally:
            await self._store.close_window(show_id)
        await self._journal.drain(show_id)
        if location_id := keys.location_of(show_id):
            now_ms = self._clock.now_ms()
            await self._database.write(lambda connection: close_moves(connection, location_id, now_ms))
        known, seq = await self._gather(show_id, generation, claimed)
        decision = decide(known.evidence, known.in_sql, known.deals, known.places)
        await self._void(show_id, decision.unwritten)
        clock_ms = known.evidence.hold_clock_ms
        new = lay_out(decision.holds, known.deals.values(), known.moves | known.moves_out, clock_ms)
        await self._write_down(show_id, generation, known, decision, new, seq)
        await self._store.stage(show_id, generation, new)
        await self._reopen_draws(show_id, generation, known.reopened)
        tickets = [claimed.ticket, known.evidence.ticket, *(hold.ticket for hold in decision.holds.values())]
        word, at = await self._store.install(
            show_id, generation, new, epoch=secrets.token_hex(8), seq=seq, hold_clock_ms=clock_ms, ticket=max(tickets),
            counts=claimed.counts or pack([0] * len(COUNTS)), limit=known.limit,
        )  # fmt: skip
        if word == "older":
            raise Overtaken
        if word != "installed":
            return None
        await self._tell(show_id, at, new, decision, clock_ms)
        live = tuple(key for key, hold in decision.holds.items() if hold.state not in ENDED)
        return Rebuilt(generation, at, live, tuple(decision.lost))

    async def _gather(self, show_id: str, generation: int, claimed: Claimed) -> tuple[Known, int]:
        """All there is to know, and a number above each that anybody was answered, and below those of the new books."""
        known = Known()
        await read_ledger(self._database, show_id, self._settings, self._clock.now_ms(), known)
        seq = max(claimed.seq, known.seq)
        known.evidence.hear_clock(claimed.hold_clock_ms, claimed.at_ms)
        proofs: list[HoldPromise] = []
        async for piece in self._store.testimonies(show_id, generation):
            seq = max(seq, piece.seq)
            hear_testimony(piece, known)
            proofs += piece.proofs
        hear_instants(known)
        hear_proofs(proofs, known)
        return known, seq + 1

    async def _void(self, show_id: str, keys: Sequence[Key]) -> None:
        """Before a unit leaves PAYING here, SQL is told that nothing more may come of it."""
        book = books.Book(self._settings, self._clock.now_ms())
        for viewer_id, rid in keys:
            state = await self._database.write(
                lambda c, viewer_id=viewer_id, rid=rid: books.void(c, book, show_id, viewer_id, rid)  # type: ignore[misc]
            )
            if state in ("paying", "confirmed"):
                raise NotStill  # the writer was faster

    async def _write_down(
        self, show_id: str, generation: int, known: Known, decision: Decision, new: BooksAnew, seq: int
    ) -> None:
        """Movements for all that the journal does not have, so ordered that a unit is given back before it is told that
        somebody else has it; at the end one `anew` for each deal, with its quota. What stands before that may be of
        several histories, so its order says nothing any more: see `audit.replay`. Under our generation only: an older
        leader decides nothing any more."""
        at_ms, lost = self._clock.now_ms(), set(decision.lost)
        rows = [
            _row(show_id, ("", name), 0, (name.rpartition("/")[0], qty), "allotted", 0, at_ms)
            for name, qty in known.moves.items()
        ]
        rows += [
            _row(show_id, ("", name), 0, (name.rpartition("/")[0], qty), "taken_out", 0, at_ms)
            for name, qty in known.moves_out.items()
            if qty
        ]
        rows += _places(show_id, known, at_ms)
        further = {key: hold for key, hold in decision.holds.items() if hold.distance != known.journal.get(key, (0, 0))}
        for key, hold in sorted(further.items(), key=lambda each: (_when_told(each[0], each[1], known), each[0])):
            if key in lost and key not in known.journal:
                # Promised in a history that is gone, and never part of this one.
                rows += [_row(show_id, key, line, each, "lost", hold.n, at_ms) for line, each in enumerate(hold.lines)]
            else:
                rows += _rows_of(show_id, key, hold, at_ms, self._began(hold, known))
        rows += _quotas(show_id, generation, known, new, at_ms)
        rows = [row | {"seq": seq} for row in rows]
        for first in range(0, len(rows), _ROWS_PER_COMMIT):
            piece = rows[first : first + _ROWS_PER_COMMIT]

            async def work(connection: AsyncConnection, piece: list[dict[str, Any]] = piece) -> None:
                await _refuse_if_overtaken(connection, show_id, generation)
                await insert_movements(connection, show_id, piece)

            await self._database.write(work)

    async def _reopen_draws(self, show_id: str, generation: int, deal_ids: Sequence[str]) -> None:
        """Last before the new books, so that the window that is told is as long as it says. Should this leader die in
        between, the next one opens it once more, under another seed."""
        if not deal_ids:
            return

        async def work(connection: AsyncConnection) -> None:
            await _refuse_if_overtaken(connection, show_id, generation)
            await reopen_draws(connection, show_id, deal_ids, self._clock.now_ms())

        await self._database.write(work)

    def _began(self, hold: Claim, known: Known) -> int:
        """When it began, on the hold clock, so that its end is found again should history be lost once more."""
        if hold.state not in IN_HELD or hold.due is None:
            return known.evidence.hold_clock_ms
        if hold.state == State.OFFERED:
            return hold.due - self._settings.offer_seconds * 1000
        began = hold.due - min(known.deals[deal_id].hold_ms for deal_id, _ in hold.lines)
        return min(began, known.evidence.hold_clock_ms)  # where it is kept for longer, its channel's row knows

    async def _tell(self, show_id: str, seq: int, new: BooksAnew, decision: Decision, clock_ms: int) -> None:
        lost = [
            (viewer_id, rid, pack(hold_record(decision.holds[viewer_id, rid], 0, clock_ms)))
            for viewer_id, rid in decision.lost
        ]
        try:
            await self._store.tell(show_id, seq, new, lost)
        except (RedisError, OSError) as error:
            # It is installed all the same; pages find out when they come back or ask.
            log.warning("rebuild_not_told", show_id=show_id, why=repr(error))


async def _refuse_if_overtaken(connection: AsyncConnection, show_id: str, generation: int) -> None:
    ours = select(show_books.c.generation).where(show_books.c.show_id == show_id).with_for_update()
    if (await connection.execute(ours)).scalar_one() != generation:
        raise Overtaken


async def _next_generation(connection: AsyncConnection, show_id: str, lease_epoch: int) -> int:
    lease = select(leases.c.epoch).where(leases.c.name == NAME)
    held = (await connection.execute(lease)).scalar_one_or_none()
    if held is not None and held != lease_epoch:
        raise Overtaken
    change = (
        update(show_books)
        .where(show_books.c.show_id == show_id)
        .values(generation=show_books.c.generation + 1)
        .returning(show_books.c.generation)
    )
    return int((await connection.execute(change)).scalar_one())


def _when_told(key: Key, hold: Claim, known: Known) -> int:
    """Ends of holds that the journal has, then holds that came and went without it, then those that live on."""
    if hold.state not in ENDED:
        return 2
    return 0 if key in known.journal else 1


# What a hold in this state has left behind, at the least; the last one in its own round.
_PATH: dict[State, tuple[str, ...]] = {
    State.ENTERED: ("entered",),
    State.WAITING: ("waiting",),
    State.OFFERED: ("offered",),
    State.HELD: ("held",),
    State.PAYING: ("held", "paying"),
    State.CONFIRMED: ("held", "paying", "confirmed"),
    State.RELEASED: ("released",),  # what it had is not told: it is nobody's any more
    State.EXPIRED: ("held", "expired"),
    State.CANCELLED: ("held", "cancelled"),
    State.LAPSED: ("waiting", "lapsed"),
}


def _places(show_id: str, known: Known, at_ms: int) -> list[dict[str, Any]]:
    """The places of entrants that the journal did not tell: the list of tickets is made of movements, and must have
    each of them, whatever became of her since."""
    return [
        _row(show_id, key, line, each, "held" if place.held else "waiting", 0, at_ms) | {"ticket": place.ticket}
        for key, place in known.places.items()
        if key not in known.placed and key in known.evidence.claims
        for line, each in enumerate(known.evidence.claims[key].lines)
    ]


def _rows_of(show_id: str, key: Key, hold: Claim, at_ms: int, began: int) -> list[dict[str, Any]]:
    kinds = [(kind, 0) for kind in _PATH[hold.state]]
    if hold.n:
        last = [(kinds[-1][0], hold.n)] if hold.state != State.PAYING else []
        kinds = [("held", 0), ("paying", 0), ("reacquired", hold.n), *last]
    return [
        _row(show_id, key, line, each, kind, n, at_ms) | {
            "ticket": hold.ticket, "hold_clock_ms": began, "attribution": hold.attribution
        }
        for kind, n in kinds
        for line, each in enumerate(hold.lines)
    ]  # fmt: skip


def _quotas(show_id: str, generation: int, known: Known, new: BooksAnew, at_ms: int) -> list[dict[str, Any]]:
    """What the log and the new books differ by: moves of units that history lost, told here in one sum. Then the mark
    from which the log is in order again."""
    rows, name = [], f"anew-{generation}"
    for deal_id, (available, held, paying, sold, _) in new.levels.items():
        logged = dict(known.logged.get(deal_id, {}))
        logged |= {move: qty for move, qty in known.moves.items() if move.rpartition("/")[0] == deal_id}
        logged |= {move: -qty for move, qty in known.moves_out.items() if move.rpartition("/")[0] == deal_id}
        quota = available + held + paying + sold
        if missing := quota - sum(logged.values()):
            kind = "allotted" if missing > 0 else "taken_out"
            rows.append(_row(show_id, ("", f"{deal_id}/{name}"), 0, (deal_id, abs(missing)), kind, 0, at_ms))
        rows.append(_row(show_id, ("", f"{deal_id}/{name}"), 0, (deal_id, quota), "anew", 0, at_ms))
    return rows


def _row(
    show_id: str, key: Key, line: int, what: tuple[str, int], kind: str, n: int, at_ms: int
) -> dict[str, Any]:  # fmt: skip
    return {
        "show_id": show_id, "deal_id": what[0], "viewer_id": key[0], "rid": key[1], "line": line, "kind": kind, "n": n,
        "qty": what[1], "at_ms": at_ms, "seq": 0, "ticket": None, "hold_clock_ms": None, "attribution": "",
    }  # fmt: skip
