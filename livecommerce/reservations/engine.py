"""The reservation engine: who gets a unit, decided in Redis, answered in words.

What arrives: viewers' requests and the leader's moves of stock. What leaves: `Hold`s with their end in UTC and a signed
token, or a `Refused` from the closed list. All verbs go through one batcher into one script, so they are decided in
the order in which they reached Redis. From PAYING on SQL is the judge; this side follows it. It knows no prices,
no payments, no sockets.
"""

import asyncio
import functools
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgpack
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import is_rid
from livecommerce.ledger.database import Database
from livecommerce.protocol.facts import Hold, Level
from livecommerce.reservations import keys
from livecommerce.reservations.batcher import BUSY_AFTER_MS, Batcher, Finish, Reply, Tell
from livecommerce.reservations.relay_format import DUE, LINES, TICKET, attribution_to, hold_of, record
from livecommerce.reservations.states import DEAL_STATES, WORDS, DealState, DealWord, State
from livecommerce.reservations.store import Store, StoreAway, StoreBroken
from livecommerce.reservations.tokens import LEVELS, HoldLevel, HoldPromise, mint, read, token_key
from livecommerce.reservations.witnesses import Told, Witnesses
from livecommerce.settings import Settings

log = structlog.get_logger(__name__)

# The verbs of `reserve.lua`.
_RESERVE, _RELEASE, _ACCEPT, _BEGIN_PAY, _SETTLE, _FREE, _REACQUIRE = range(1, 8)
_HEARTBEAT, _PUT_DEAL, _STATUS, _HOLDS, _LEVELS = range(8, 13)
# Its codes.
_OK, _SOLD_OUT, _LIMIT, _NOT_OPEN, _DEAL_CLOSED, _UNKNOWN_DEAL, _QUANTITY, _RID_REUSED = range(8)
_HOLD_GONE, _BUSY, _ALREADY_WAITING, _NOT_FOUND, _CONFLICT, _TOO_MANY, _MALFORMED = range(8, 15)
_REFUSALS = {
    _SOLD_OUT: R.SOLD_OUT, _LIMIT: R.LIMIT, _NOT_OPEN: R.DEAL_NOT_OPEN, _DEAL_CLOSED: R.DEAL_CLOSED,
    _UNKNOWN_DEAL: R.UNKNOWN_DEAL, _QUANTITY: R.QUANTITY, _RID_REUSED: R.RID_REUSED, _HOLD_GONE: R.HOLD_GONE,
    _BUSY: R.BUSY, _ALREADY_WAITING: R.ALREADY_WAITING, _NOT_FOUND: R.NOT_FOUND, _CONFLICT: R.CONFLICT,
    _TOO_MANY: R.TOO_MANY, _MALFORMED: R.MALFORMED,
}  # fmt: skip
_LEVEL = 5  # the place of a deal's level, after its five counters, in what a call answers

LINES_MAX = 8
QTY_MAX = 1000
_WORD = re.compile(r"[!-.0-~]{1,64}\Z")  # printable ASCII without space or slash: the script joins ids with both
# Calls of one heartbeat: 128 holds each. A crowd of 100,000 holds that end together takes several beats, by design:
# between two calls the requests of viewers have their turn.
_HEARTBEAT_CALLS_MAX = 16

# In the order of the script's counts.
COUNTS = (
    "asked", "held", "waiting", "sold_out", "refused", "repeated", "released", "expired", "offered", "lapsed",
    "accepted", "paying", "confirmed", "freed", "reacquired", "clock_clamped",
)  # fmt: skip


class Attributed(Protocol):
    """Who asks, and whom a hold credits; `ViewerIdentity` is one."""

    @property
    def viewer_id(self) -> str: ...
    @property
    def advisor_id(self) -> str: ...
    @property
    def shop_id(self) -> str: ...
    @property
    def link_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class DealStock:
    """A deal as the engine needs it. `quota` is what SQL moved out of the pool under `move_id`; it counts once.

    `level` says what "held" promises: `soft` (may be lost with what Redis had not on disk), `fsync` (on disk before
    the answer) or `ledger` (committed in SQL before the answer). `head_wants_more` says what happens when the head of
    the wait-list wants more than came back.
    """

    deal_id: str
    quota: int
    limit: int
    hold_ms: int
    pay_ms: int
    status: DealWord = "announced"
    opens_at_ms: int | None = None
    closes_at_ms: int | None = None
    move_id: str = "opening"
    level: HoldLevel = "soft"
    head_wants_more: Literal["skip", "wait"] = "skip"


@dataclass(frozen=True, slots=True)
class Beat:
    """What one heartbeat did, and when (UTC) the next hold or offer ends."""

    next_due_ms: int | None
    expired: int
    lapsed: int
    offered: int


class ReservationEngine:
    """One per process. `start` before use, `aclose` last.

    Every method that changes something may raise `Refused(BUSY)` where Redis is away: the outcome is then unknown and
    the same call may be made again; and `Refused(REBUILDING)` where the show's books are missing. Cancelling a caller
    leaves nothing broken; what it asked may still happen.
    """

    def __init__(self, redis: Redis, settings: Settings, clock: Clock, database: Database | None = None) -> None:
        """Without a `database`, holds of level `ledger` are answered as busy: nobody here could write them down."""
        self._redis = redis
        self._clock = clock
        self._token_key = token_key(settings.secret)
        self._store = Store(redis)
        self._admin = Store(redis)
        self._admin_lock = asyncio.Lock()
        self._witnesses = Witnesses(database, clock, self._tell_witnessed)
        self._batcher = Batcher(self._store, settings.offer_seconds * 1000, self._witnesses)
        self._fsync_verified: bool | None = None

    async def start(self) -> None:
        await self._batcher.start()

    async def aclose(self) -> None:
        await self._batcher.aclose()
        await self._witnesses.aclose()
        await self._store.aclose()
        await self._admin.aclose()

    @property
    def requests_waiting(self) -> int:
        return self._batcher.waiting

    # --- stock, moved by the leader ---------------------------------------------------------------------------------

    async def open_show(self, show_id: str) -> None:
        """Make the show's books where they are missing; a second call changes nothing."""
        async with self._admin_lock:
            try:
                await self._admin.open_show(show_id, secrets.token_hex(8))
            except (StoreAway, StoreBroken) as error:
                raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        await self._watch(show_id)

    async def put_deal(self, show_id: str, deal: DealStock) -> None:
        """Put a deal's stock and rules into the show. The units of a `move_id` count once; rules follow the last
        call; `status` counts in the first call only, later `set_deal_status` changes it.

        Raises `Refused(MALFORMED)` for numbers or names the script refuses and for a level that is not offered here.
        """
        if deal.level != "soft":
            await self._check_level(deal.level)
        request = (
            _PUT_DEAL, deal.deal_id, deal.move_id, deal.quota, deal.limit, deal.hold_ms, deal.pay_ms,
            int(DEAL_STATES[deal.status]), deal.opens_at_ms or 0, deal.closes_at_ms or 0, LEVELS.index(deal.level),
            int(deal.head_wants_more == "wait"),
        )  # fmt: skip
        await self._batcher.ask(show_id, request, _done)
        await self._watch(show_id)

    async def set_deal_status(self, show_id: str, deal_id: str, status: DealWord) -> int:
        """The units that `closing` or `closed` took out of the deal, each once: they go back to the pool. 0 otherwise.

        `closed` is reached only when nobody holds or pays any more; until then the deal stays `closing`, and calling
        again takes out what came back meanwhile. Raises `Refused(UNKNOWN_DEAL)`.
        """
        units = await self._batcher.ask(show_id, (_STATUS, deal_id, int(DEAL_STATES[status])), _number)
        await self._watch(show_id)
        return units

    # --- viewers ----------------------------------------------------------------------------------------------------

    async def reserve(
        self, show_id: str, viewer: Attributed, rid: str, lines: list[tuple[str, int]], wait: bool = False
    ) -> Hold:
        """Set units aside, every line or none. The same rid again answers with the hold as it stands now.

        With `wait` and one line, a sold-out deal answers with a place in its line (state "waiting"). Refused in the
        order in which the reasons win: RID_INVALID, RID_REUSED (same rid, other body), BUSY, UNKNOWN_DEAL, QUANTITY,
        DEAL_NOT_OPEN / DEAL_CLOSED, TOO_MANY (live holds of one viewer), LIMIT, ALREADY_WAITING, SOLD_OUT. A refusal
        moves nothing and its rid may be used again.
        """
        return await self._batcher.ask(show_id, *self._to_reserve(show_id, viewer, rid, lines, wait))

    def reserve_soon(
        self, show_id: str, viewer: Attributed, rid: str, lines: list[tuple[str, int]], wait: bool, tell: Tell[Hold]
    ) -> None:
        """`reserve` without a task or a future of its own: `tell` hears the outcome. Raises at once what needs no
        Redis, and then `tell` is never called."""
        self._batcher.ask_and_tell(show_id, *self._to_reserve(show_id, viewer, rid, lines, wait), tell)

    def _to_reserve(
        self, show_id: str, viewer: Attributed, rid: str, lines: list[tuple[str, int]], wait: bool
    ) -> tuple[tuple[Any, ...], Finish[Hold]]:
        viewer_id = viewer.viewer_id
        if not is_rid(rid):
            raise Refused(R.RID_INVALID)
        if not 1 <= len(lines) <= LINES_MAX:
            raise Refused(R.MALFORMED, expected=f"1 to {LINES_MAX} lines")
        _check_viewer(viewer_id)
        flat: list[str | int] = []
        for deal_id, qty in lines:
            if not _is_word(deal_id):
                raise Refused(R.UNKNOWN_DEAL, facts={"deal_id": ""})
            if not -(2**53) <= qty <= 2**53:
                raise Refused(R.QUANTITY, most=QTY_MAX, facts={"deal_id": deal_id, "most": QTY_MAX})
            flat.append(deal_id)
            flat.append(qty)
        attribution = attribution_to(viewer.advisor_id, viewer.shop_id, viewer.link_id)

        def finish(answer: list[Any], reply: Reply) -> Hold:
            if answer[0] != _OK:
                raise self._refused(answer, reply)
            return self._hold(show_id, viewer_id, rid, answer, reply)

        return (_RESERVE, viewer_id, rid, 1 if wait else 0, attribution, *flat), finish

    async def release(self, show_id: str, viewer_id: str, rid: str) -> Hold:
        """Give a hold, an offer or a place in the line back. A second call answers with the hold as it stands.

        Raises `Refused(NOT_FOUND)`; `Refused(CONFLICT)` once payment began: that is cancelled in SQL first.
        """
        return await self._move(show_id, viewer_id, rid, _RELEASE)

    def release_soon(self, show_id: str, viewer_id: str, rid: str, tell: Tell[Hold]) -> None:
        """`release`, as `reserve_soon`."""
        self._batcher.ask_and_tell(show_id, *self._to_move(show_id, viewer_id, rid, _RELEASE), tell)

    async def accept(self, show_id: str, viewer_id: str, rid: str) -> Hold:
        """OFFERED becomes HELD with the deal's hold time; what is already held is answered as it stands.

        Raises `Refused(NOT_FOUND)`, `Refused(CONFLICT)` while still waiting, `Refused(HOLD_GONE)` after its end.
        """
        return await self._move(show_id, viewer_id, rid, _ACCEPT)

    def accept_soon(self, show_id: str, viewer_id: str, rid: str, tell: Tell[Hold]) -> None:
        """`accept`, as `reserve_soon`."""
        self._batcher.ask_and_tell(show_id, *self._to_move(show_id, viewer_id, rid, _ACCEPT), tell)

    async def holds_of(self, show_id: str, viewer_id: str) -> tuple[Hold, ...]:
        """This viewer's live holds, offers, places in the line and payments, in the order in which they came."""
        _check_viewer(viewer_id)

        def finish(answer: list[Any], reply: Reply) -> tuple[Hold, ...]:
            flat = answer[1] or []
            return tuple(
                self._hold(show_id, viewer_id, flat[i].decode(), (_OK, flat[i + 1], flat[i + 2]), reply)
                for i in range(0, len(flat), 3)
            )

        return await self._batcher.ask(show_id, (_HOLDS, viewer_id), finish)

    # --- orders -----------------------------------------------------------------------------------------------------

    async def begin_pay(self, show_id: str, viewer_id: str, rid: str, pay_ms: int) -> Hold:
        """HELD → PAYING for `pay_ms` on the hold clock, before SQL writes its row. A second call changes nothing.

        Raises `Refused(NOT_FOUND)`, `Refused(CONFLICT)` for what is only offered or waiting, `Refused(HOLD_GONE)`.
        """
        return await self._move(show_id, viewer_id, rid, _BEGIN_PAY, pay_ms)

    async def settle(self, show_id: str, viewer_id: str, rid: str) -> None:
        """What SQL has confirmed is sold here too. A second call changes nothing.

        Raises `Refused(NOT_FOUND)` or `Refused(CONFLICT)` where this side no longer has the units: the audit's case.
        """
        await self._move(show_id, viewer_id, rid, _SETTLE)

    async def free(self, show_id: str, viewer_id: str, rid: str, reason: Literal["expired", "cancelled"]) -> None:
        """What SQL has given back comes back here, to the wait-list first. A second call changes nothing, and so
        does a rid that is not known here. Raises `Refused(CONFLICT)` for what is sold, offered or waiting."""
        state = State.EXPIRED if reason == "expired" else State.CANCELLED
        try:
            await self._move(show_id, viewer_id, rid, _FREE, int(state))
        except Refused as refused:
            if refused.why is not R.NOT_FOUND:
                raise

    async def reacquire(self, show_id: str, viewer_id: str, rid: str) -> bool:
        """Late money: True where every unit was left and the hold is PAYING again, False where it is not.

        A hold that is still held, paying or confirmed answers True. Raises `Refused(NOT_FOUND)`.
        """
        _check_viewer(viewer_id)
        _check_rid(rid)

        def finish(answer: list[Any], reply: Reply) -> bool:
            if answer[0] not in (_OK, _SOLD_OUT):
                raise self._refused(answer, reply)
            return bool(answer[0] == _OK)

        return await self._batcher.ask(show_id, (_REACQUIRE, viewer_id, rid), finish)

    async def paying_past_due(self, show_id: str) -> list[tuple[str, str]]:
        """(viewer_id, rid) of those whose time to pay is over on the hold clock; SQL decides what becomes of them."""
        try:
            hold_clock = await self._redis.hget(keys.meta(show_id), "clk")
            if hold_clock is None:
                raise Refused(R.REBUILDING, after_ms=BUSY_AFTER_MS)
            due = await self._redis.zrangebyscore(keys.paying(show_id), "-inf", int(hold_clock), start=0, num=1000)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        return [_split(key) for key in due]

    # --- the clock, and what is known -------------------------------------------------------------------------------

    async def heartbeat(self, show_id: str) -> Beat:
        """Turn the hold clock; end what is due; offer what came back to those who wait."""
        expired = lapsed = offered = 0
        next_due_ms: int | None = None
        for _ in range(_HEARTBEAT_CALLS_MAX):
            beat, more = await self._batcher.ask(show_id, (_HEARTBEAT,), self._beat)
            expired, lapsed, offered = expired + beat.expired, lapsed + beat.lapsed, offered + beat.offered
            next_due_ms = beat.next_due_ms
            if not more:
                break
        return Beat(next_due_ms, expired, lapsed, offered)

    async def levels(self, show_id: str) -> tuple[int, dict[str, Level]]:
        """(version, level of every deal). A lower version than one seen is stale."""

        def finish(_answer: list[Any], reply: Reply) -> tuple[int, dict[str, Level]]:
            return reply.seq, {deal.decode(): Level(*level[:5]) for deal, level in reply.levels.items()}

        return await self._batcher.ask(show_id, (_LEVELS,), finish)

    async def counts(self, show_id: str) -> dict[str, int]:
        """What happened since the show's books were made, by the words of `COUNTS`; all 0 where nothing did."""
        try:
            raw = await self._redis.hget(keys.meta(show_id), "counts")
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        numbers = msgpack.unpackb(raw) if raw else [0] * len(COUNTS)
        return dict(zip(COUNTS, numbers, strict=True))

    async def shows_to_watch(self) -> tuple[str, ...]:
        """Shows whose clock, journal or deals may need a worker."""
        try:
            names: set[Any] = await self._redis.smembers(keys.SHOWS)
            return tuple(sorted(name.decode() for name in names))
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error

    async def stop_watching_if_quiet(self, show_id: str) -> bool:
        """True where all deals are closed, nobody holds, waits or pays, and the journal is copied: then the worker
        need not look at this show again until something is put into it."""
        try:
            if not await self._is_quiet(show_id):
                return False
            await self._redis.srem(keys.SHOWS, show_id)
            # Somebody may have opened a deal between the two: look again, after.
            if await self._is_quiet(show_id):
                return True
            await self._redis.sadd(keys.SHOWS, show_id)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        return False

    async def _is_quiet(self, show_id: str) -> bool:
        redis = self._redis
        if (
            await redis.xlen(keys.journal(show_id))
            or await redis.hlen(keys.queues(show_id))
            or await redis.zcard(keys.waits(show_id))
            or await redis.zcard(keys.paying(show_id))
        ):
            return False
        deals = await redis.hvals(keys.deals(show_id))
        return bool(deals) and all(msgpack.unpackb(deal)[0] == DealState.CLOSED for deal in deals)

    def promise_of(self, token: str) -> HoldPromise | None:
        """What a hold token of this server promised; None for anything else."""
        return read(self._token_key, token)

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _move(self, show_id: str, viewer_id: str, rid: str, verb: int, *arguments: int) -> Hold:
        return await self._batcher.ask(show_id, *self._to_move(show_id, viewer_id, rid, verb, *arguments))

    def _to_move(
        self, show_id: str, viewer_id: str, rid: str, verb: int, *arguments: int
    ) -> tuple[tuple[Any, ...], Finish[Hold]]:
        _check_viewer(viewer_id)
        _check_rid(rid)

        def finish(answer: list[Any], reply: Reply) -> Hold:
            if answer[0] != _OK:
                raise self._refused(answer, reply)
            return self._hold(show_id, viewer_id, rid, answer, reply)

        return (verb, viewer_id, rid, *arguments), finish

    def _hold(self, show_id: str, viewer_id: str, rid: str, answer: Any, reply: Reply) -> Hold:
        items = record(answer[1])
        now_ms = self._clock.now_ms()
        token = ""
        if items[0] == State.HELD:
            token = self._token(show_id, viewer_id, rid, items, now_ms, reply)
        return hold_of(show_id, rid, items, now_ms, reply.hold_clock_ms, answer[2], token)

    def _token(self, show_id: str, viewer_id: str, rid: str, items: list[Any], now_ms: int, reply: Reply) -> str:
        places = range(LINES, len(items), 2)
        lines = tuple([(items[i].decode(), items[i + 1]) for i in places])
        due_at_ms = now_ms + items[DUE] - reply.hold_clock_ms
        # A cart promises what its weakest line does.
        level = LEVELS[min([reply.levels[items[i]][_LEVEL] for i in places])]
        epoch = reply.epoch.decode()
        promise = HoldPromise("hold1", show_id, viewer_id, rid, items[TICKET], lines, due_at_ms, epoch, level)
        return mint(self._token_key, promise)

    def _beat(self, answer: list[Any], reply: Reply) -> tuple[Beat, bool]:
        due = reply.next_due
        next_due_ms = None if due is None else self._clock.now_ms() + max(0, due - reply.hold_clock_ms)
        return Beat(next_due_ms, answer[1], answer[2], answer[3]), bool(answer[4])

    def _refused(self, answer: list[Any], reply: Reply) -> Refused:
        code = answer[0]
        if code == _NOT_OPEN:
            return self._not_open(answer)
        if code == _SOLD_OUT:
            return _sold_out(answer, reply)
        why = _REFUSALS[code]
        if code == _LIMIT:
            return Refused(why, facts={"deal_id": answer[1].decode(), "limit": answer[2], "yours": answer[3]})
        if code == _QUANTITY:
            return Refused(why, facts={"deal_id": answer[1].decode(), "most": answer[2]}, most=answer[2])
        if code in (_DEAL_CLOSED, _UNKNOWN_DEAL, _ALREADY_WAITING):
            return Refused(why, facts={"deal_id": answer[1].decode()})
        if code in (_HOLD_GONE, _CONFLICT):
            return Refused(why, facts={"state": WORDS[answer[1]]}, what="This reservation")
        if code == _NOT_FOUND:
            return Refused(why, what="reservation")
        if code == _BUSY:
            return Refused(why, after_ms=BUSY_AFTER_MS)
        return Refused(why)

    def _not_open(self, answer: list[Any]) -> Refused:
        facts: dict[str, Any] = {"deal_id": answer[1].decode()}
        if not answer[2]:
            return Refused(R.DEAL_NOT_OPEN, facts=facts)
        facts["opens_at_ms"] = answer[2]
        return Refused(R.DEAL_NOT_OPEN, after_ms=max(0, answer[2] - self._clock.now_ms()), facts=facts)

    async def _tell_witnessed(self, show_id: str, told: Sequence[Told]) -> None:
        """Holds of level `ledger` on the show's channel: the script left that to whoever commits them."""
        async with self._admin_lock:
            await self._admin.tell_witnessed(show_id, told)

    async def _check_level(self, level: HoldLevel) -> None:
        """`fsync` only where Redis syncs before it answers, `ledger` only where there is one; each asked once."""
        if level == "ledger" and await self._witnesses.check():
            return
        if self._fsync_verified is None:
            try:
                found = await self._redis.config_get("appendfsync", "appendonly")
            except (RedisError, OSError) as error:
                raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
            self._fsync_verified = (found.get("appendfsync"), found.get("appendonly")) == ("always", "yes")
        if level != "fsync" or not self._fsync_verified:
            raise Refused(
                R.MALFORMED,
                expected="a level that this server offers: soft, fsync with appendfsync always, or ledger",
            )

    async def _watch(self, show_id: str) -> None:
        try:
            await self._redis.sadd(keys.SHOWS, show_id)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error


def _done(answer: list[Any], _reply: Reply) -> None:
    if answer[0] != _OK:
        raise Refused(_REFUSALS[answer[0]], expected="a deal's numbers and names within their bounds")


def _number(answer: list[Any], _reply: Reply) -> int:
    if answer[0] == _UNKNOWN_DEAL:
        raise Refused(R.UNKNOWN_DEAL, facts={"deal_id": answer[1].decode()})
    _done(answer, _reply)
    number: int = answer[1]
    return number


def _sold_out(answer: list[Any], reply: Reply) -> Refused:
    """With what a person wants to know: how many may still come back, how many wait before her, when to look again."""
    _, deal_id, available, held, paying, sold, waiting = answer
    after_ms = None if reply.next_due is None else max(0, reply.next_due - reply.hold_clock_ms)
    facts = {
        "deal_id": deal_id.decode(), "available": available, "held": held, "paying": paying, "sold": sold,
        "waiting": waiting, "place": waiting + 1,
    }  # fmt: skip
    return Refused(R.SOLD_OUT, after_ms=after_ms, facts=facts)


def _split(key: Any) -> tuple[str, str]:
    viewer_id, _, rid = key.decode().rpartition("/")
    return viewer_id, rid


@functools.lru_cache(maxsize=8192)  # the same few deals and the same viewers, again and again
def _is_word(text: str) -> bool:
    return _WORD.match(text) is not None


def _check_viewer(viewer_id: str) -> None:
    if not _is_word(viewer_id):
        raise Refused(R.MALFORMED, expected="a viewer's id")


def _check_rid(rid: str) -> None:
    if not is_rid(rid):
        raise Refused(R.RID_INVALID)
