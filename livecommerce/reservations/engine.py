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
from redis.exceptions import RedisError, ResponseError

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.hot_state import as_cluster, masters
from livecommerce.ids import is_rid
from livecommerce.ledger.database import Database
from livecommerce.protocol.facts import Hold, HoldLevel, Level, LimitBy
from livecommerce.reservations import answers, keys, verbs
from livecommerce.reservations.answers import refusal_of
from livecommerce.reservations.batcher import (
    BUSY_AFTER_MS,
    REBUILDING_AFTER_MS,
    Batcher,
    BatcherPerShow,
    Finish,
    Reply,
    Tell,
)
from livecommerce.reservations.drawing import Drawing, Draws, Fix
from livecommerce.reservations.lengthening import Lengthened, Lengthening
from livecommerce.reservations.pulling import Pulling
from livecommerce.reservations.relay_format import DUE, LINES, TICKET, attribution_to, hold_of, record, viewer_and_rid
from livecommerce.reservations.states import DEAL_STATES, DealState, DealWord, State
from livecommerce.reservations.store import Store, StoreAway, StoreBroken
from livecommerce.reservations.testimony import Testifier
from livecommerce.reservations.tokens import LEVELS, HoldPromise, mint, read, token_key
from livecommerce.reservations.witnesses import Told, Witnesses
from livecommerce.settings import Settings

log = structlog.get_logger(__name__)

LIMIT_BY: tuple[LimitBy, ...] = ("guest", "verified", "member")  # by the script's numbers
_LEVEL = 5  # the place of a deal's level, after its five counters, in what a call answers

# A member of an enumeration, looked up by its name, costs as much as a call: here for each hold.
_HELD = int(State.HELD)

LINES_MAX = 8
QTY_MAX = 1000
_WORD = re.compile(r"[!-.0-~]{1,64}\Z")  # printable ASCII without space or slash: the script joins ids with both
# Calls of one heartbeat: 128 holds each. A crowd of 100,000 holds that end together takes several beats, by design:
# between two calls the requests of viewers have their turn.
_HEARTBEAT_CALLS_MAX = 16
_PAYING_PER_PAGE = 1000
# In the order of the script's counts.
COUNTS = (
    "asked", "held", "waiting", "sold_out", "refused", "repeated", "released", "expired", "offered", "lapsed",
    "accepted", "paying", "confirmed", "freed", "reacquired", "clock_clamped", "entered", "drawn",
    "lengthened",
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
    @property
    def person(self) -> str:
        """Whom limits count where a deal asks for more than a guest: "v…" verified, "m…" a member, "" a guest."""


@dataclass(frozen=True, slots=True)
class DealStock:
    """A deal as the engine needs it. `quota` is what SQL moved out of the pool under `move_id`; it counts once.

    `level` says what "held" promises: `soft` (may be lost with what Redis had not on disk), `fsync` (on disk before
    the answer) or `ledger` (committed in SQL before the answer). `head_wants_more` says what happens when the head of
    the wait-list wants more than came back.

    `limit` counts whom `limit_by` names: a guest (the viewer's id), a person who is verified, a member; the latter two
    also say who may reserve at all. `address_cap` bounds the units of one network address, `hold_cap_ms` the time that
    one of them may hold in all without paying: a multiple of `hold_ms` or at least that; 0 is no bound.

    `drawn`: taps enter a draw until `draw` is called, which then serves them in the order drawn. As `status`, it counts
    in the first call only.
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
    limit_by: LimitBy = "guest"
    address_cap: int = 0
    hold_cap_ms: int = 0
    drawn: bool = False


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
        kind = Batcher if as_cluster(redis) is None else BatcherPerShow
        offer_ms = settings.offer_seconds * 1000
        self._batcher: Batcher | BatcherPerShow = kind(self._store, offer_ms, clock, self._witnesses)
        self._fsync_verified: bool | None = None
        self._testifier = Testifier(redis, self._batcher, clock)
        self._pulling = Pulling(redis, self._move)
        self._draws = Draws(redis, self._batcher, self._pulling, self.holds_of)
        self._lengthening = Lengthening(self._batcher, self._pulling, self._witnesses, clock)

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

    async def open_show(self, show_id: str, limit: int | None = None) -> None:
        """Make the show's books where they are missing; a second call changes nothing but the show's limit.

        `limit` is how many units one person may have in the whole show, 0 for none; None leaves it as it is. Refuses
        REBUILDING where a rebuild found them missing first: it makes them.
        """
        async with self._admin_lock:
            try:
                epoch = await self._admin.open_show(show_id, secrets.token_hex(8), limit)
            except (StoreAway, StoreBroken) as error:
                raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        if not epoch:
            raise Refused(R.REBUILDING, after_ms=REBUILDING_AFTER_MS)
        await self._watch(show_id)

    async def set_show_limit(self, show_id: str, limit: int) -> bool:
        """Set the limit of books that exist; False where there are none: they are lost, and nobody makes them here."""
        async with self._admin_lock:
            try:
                return bool(await self._admin.open_show(show_id, "", limit))
            except (StoreAway, StoreBroken) as error:
                raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error

    async def put_deal(self, show_id: str, deal: DealStock) -> None:
        """Put a deal's stock and rules into the show. The units of a `move_id` count once; rules follow the last
        call; `status` counts in the first call only, later `set_deal_status` changes it.

        Raises `Refused(MALFORMED)` for numbers or names the script refuses and for a level that is not offered here.
        """
        if deal.level != "soft":
            await self._check_level(deal.level)
        request = (
            verbs.PUT_DEAL, deal.deal_id, deal.move_id, deal.quota, deal.limit, deal.hold_ms, deal.pay_ms,
            int(DEAL_STATES[deal.status]), deal.opens_at_ms or 0, deal.closes_at_ms or 0, LEVELS.index(deal.level),
            int(deal.head_wants_more == "wait"), LIMIT_BY.index(deal.limit_by), deal.address_cap, deal.hold_cap_ms,
            int(deal.drawn),
        )  # fmt: skip
        await self._batcher.ask(show_id, request, answers.done)
        await self._watch(show_id)

    async def set_deal_status(self, show_id: str, deal_id: str, status: DealWord) -> int:
        """The units that `closing` or `closed` took out of the deal, each once: they go back to the pool. 0 otherwise.

        `closed` is reached only when nobody holds or pays any more; until then the deal stays `closing`, and calling
        again takes out what came back meanwhile. Raises `Refused(UNKNOWN_DEAL)`.
        """
        units = await self._batcher.ask(show_id, (verbs.STATUS, deal_id, int(DEAL_STATES[status])), answers.number)
        await self._watch(show_id)
        return units

    async def take_out(self, show_id: str, deal_id: str, move_id: str, units: int) -> int:
        """Take up to `units` that anyone could have out of a deal; how many they were. The caller puts them elsewhere
        in SQL. A `move_id` takes once and always answers with what it took. Raises `Refused(UNKNOWN_DEAL)`."""
        return await self._batcher.ask(show_id, (verbs.TAKE_OUT, deal_id, move_id, units), answers.number)

    async def draw(self, show_id: str, deal_id: str, seed: str, salt: str, fix: Fix | None = None) -> Drawing:
        """End the window of a deal that is drawn, and serve its entrants in the order of `draw.order_of`.

        `fix` is awaited when it is known who is in the draw, before anybody has a place, each time anew: with what it
        wrote down, the draw can be found again should the books be lost. What it refuses ends the call, with the draw
        where it stood.

        The answer says how the draw stands: nothing was done where it was made before, where the deal is closed, not
        open yet or not drawn at all. May be called again after any failure and by several workers at once, with the
        same seed and salt: who is in the draw is fixed by the first call, so each computes the same order, and each
        part of it is done once. Raises `Refused(UNKNOWN_DEAL)`; `Refused(BUSY)` where somebody else carries it on.
        """
        return await self._draws.draw(show_id, deal_id, seed, salt, fix)

    # --- viewers ----------------------------------------------------------------------------------------------------

    async def reserve(
        self,
        show_id: str,
        viewer: Attributed,
        rid: str,
        lines: list[tuple[str, int]],
        wait: bool = False,
        address: str = "",
        instead_of: str = "",
    ) -> Hold:
        """Set units aside, every line or none. The same rid again answers with the hold as it stands now.

        With `wait` and one line, a sold-out deal answers with a place in its line (state "waiting"). Refused in the
        order in which the reasons win: RID_INVALID, RID_REUSED (same rid, other body), BUSY, UNKNOWN_DEAL, QUANTITY,
        DEAL_NOT_OPEN / DEAL_CLOSED, VERIFIED_ONLY / MEMBERS_ONLY, TOO_MANY (live holds of one viewer), LIMIT (of a
        deal, then of the show, then of the address), HOLD_TIME, ALREADY_WAITING, SOLD_OUT. A refusal moves nothing and
        its rid may be used again. `address` is opaque: where it comes from matters only to a deal that caps it.

        `instead_of` names a hold of hers that ends in the same instant, its units free for these lines; where these
        are refused it stays. Refused further with NOT_FOUND, HOLD_GONE or CONFLICT (paying, or others wait for it).
        """
        request, finish = self._to_reserve(show_id, viewer, rid, lines, wait, address)
        if instead_of:
            _check_rid(instead_of)
            request = (verbs.REPLACE, instead_of, request)
        return await self._batcher.ask(show_id, request, finish)

    def reserve_soon(
        self,
        show_id: str,
        viewer: Attributed,
        rid: str,
        lines: list[tuple[str, int]],
        wait: bool,
        tell: Tell[Hold],
        address: str = "",
    ) -> None:
        """`reserve` without a task or a future of its own: `tell` hears the outcome. Raises at once what needs no
        Redis, and then `tell` is never called."""
        self._batcher.ask_and_tell(show_id, *self._to_reserve(show_id, viewer, rid, lines, wait, address), tell)

    def _to_reserve(
        self, show_id: str, viewer: Attributed, rid: str, lines: list[tuple[str, int]], wait: bool, address: str
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
            if answer[0] != answers.OK:
                raise refusal_of(answer, reply, self._clock.now_ms())
            return self._hold(show_id, viewer_id, rid, answer, reply)

        return (verbs.RESERVE, viewer_id, rid, 1 if wait else 0, attribution, viewer.person, address, *flat), finish

    async def release(self, show_id: str, viewer_id: str, rid: str) -> Hold:
        """Give a hold, an offer or a place in the line back. A second call answers with the hold as it stands.

        Raises `Refused(NOT_FOUND)`; `Refused(CONFLICT)` once payment began: that is cancelled in SQL first.
        """
        return await self._move(show_id, viewer_id, rid, verbs.RELEASE)

    def release_soon(self, show_id: str, viewer_id: str, rid: str, tell: Tell[Hold]) -> None:
        """`release`, as `reserve_soon`."""
        self._batcher.ask_and_tell(show_id, *self._to_move(show_id, viewer_id, rid, verbs.RELEASE), tell)

    async def cancel_unpaid(self, show_id: str, deal_id: str) -> int:
        """End every hold and offer of a deal that is no longer open; how many ended. What is being paid stays: SQL
        judges that. The units come back to the deal, which gives them to its pool.

        May be cancelled and repeated anywhere: what ended has ended. Holds are found by the queues of their ends, which
        are as long as there are live holds; an offer that is accepted meanwhile moves to another entry, so it looks
        until a whole look finds nothing.
        """
        return await self._pulling.cancel_unpaid(show_id, deal_id)

    async def lengthen(self, show_id: str, number: int, break_ms: int) -> Lengthened:
        """Let everything that is held or offered now last `break_ms` longer, once for each `number`: how many holds,
        and how many a cap on the time held kept from it, which stay as they are. Who pays keeps her deadline.

        May be cancelled and repeated anywhere, by anybody: a repeat goes on where it stopped and answers the whole.
        What is set aside after its first call is not part of it. An earlier number than the last one changes nothing.
        Raises `Refused(MALFORMED)` for less than a second or more than `BREAK_MS_MAX`.
        """
        return await self._lengthening.lengthen(show_id, number, break_ms)

    async def accept(self, show_id: str, viewer_id: str, rid: str) -> Hold:
        """OFFERED becomes HELD with the deal's hold time; what is already held is answered as it stands.

        Raises `Refused(NOT_FOUND)`, `Refused(CONFLICT)` while still waiting, `Refused(HOLD_GONE)` after its end.
        """
        return await self._move(show_id, viewer_id, rid, verbs.ACCEPT)

    def accept_soon(self, show_id: str, viewer_id: str, rid: str, tell: Tell[Hold]) -> None:
        """`accept`, as `reserve_soon`."""
        self._batcher.ask_and_tell(show_id, *self._to_move(show_id, viewer_id, rid, verbs.ACCEPT), tell)

    async def keep(self, show_id: str, viewer_id: str, rid: str, keep_ms: int) -> Hold:
        """Let a hold last for `keep_ms` from now, where it was to last for less; asked again it changes nothing.

        Raises `Refused(NOT_FOUND)`, `Refused(CONFLICT)` for what waits or is only offered, `Refused(HOLD_GONE)`.
        """
        return await self._move(show_id, viewer_id, rid, verbs.KEEP, keep_ms)

    async def holds_of(self, show_id: str, viewer_id: str) -> tuple[Hold, ...]:
        """This viewer's live holds, offers, places in the line and payments, in the order in which they came."""
        _check_viewer(viewer_id)

        def finish(answer: list[Any], reply: Reply) -> tuple[Hold, ...]:
            flat = answer[1] or []
            return tuple(
                self._hold(show_id, viewer_id, flat[i].decode(), (answers.OK, flat[i + 1], flat[i + 2]), reply)
                for i in range(0, len(flat), 3)
            )

        return await self._batcher.ask(show_id, (verbs.HOLDS, viewer_id), finish)

    # --- orders -----------------------------------------------------------------------------------------------------

    async def begin_pay(self, show_id: str, viewer_id: str, rid: str, pay_ms: int) -> Hold:
        """HELD → PAYING for `pay_ms` on the hold clock, before SQL writes its row. A second call changes nothing.

        Raises `Refused(NOT_FOUND)`, `Refused(CONFLICT)` for what is only offered or waiting, `Refused(HOLD_GONE)`.
        """
        return await self._move(show_id, viewer_id, rid, verbs.BEGIN_PAY, pay_ms)

    async def settle(self, show_id: str, viewer_id: str, rid: str) -> None:
        """What SQL has confirmed is sold here too. A second call changes nothing.

        Raises `Refused(NOT_FOUND)` or `Refused(CONFLICT)` where this side no longer has the units: the audit's case.
        """
        await self._move(show_id, viewer_id, rid, verbs.SETTLE)

    async def free(
        self, show_id: str, viewer_id: str, rid: str, reason: Literal["expired", "cancelled"], n: int | None = None
    ) -> None:
        """What SQL has given back comes back here, to the wait-list first. A second call changes nothing, and so
        does a rid that is not known here. Raises `Refused(CONFLICT)` for what is sold, offered or waiting.

        `n` is how often late money had taken the units again when that was decided: a caller that slept since, while
        it took them once more, changes nothing. None where nobody can have slept.
        """
        state = State.EXPIRED if reason == "expired" else State.CANCELLED
        fence = () if n is None else (n,)
        try:
            await self._move(show_id, viewer_id, rid, verbs.FREE, int(state), *fence)
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
            if answer[0] not in (answers.OK, answers.SOLD_OUT):
                raise refusal_of(answer, reply, self._clock.now_ms())
            return bool(answer[0] == answers.OK)

        return await self._batcher.ask(show_id, (verbs.REACQUIRE, viewer_id, rid), finish)

    async def paying_past_due(self, show_id: str) -> list[tuple[str, str]]:
        """(viewer_id, rid) of those whose time to pay is over on the hold clock; SQL decides what becomes of them."""
        try:
            hold_clock, paused = await self._redis.hmget(keys.meta(show_id), "clk", "paused")
            if hold_clock is None or paused:
                raise Refused(R.REBUILDING, after_ms=REBUILDING_AFTER_MS)
            due: list[Any] = []
            while len(due) % _PAYING_PER_PAGE == 0:  # the next page, until one is not full
                page: Any = await self._redis.zrangebyscore(
                    keys.paying(show_id), "-inf", int(hold_clock), start=len(due), num=_PAYING_PER_PAGE
                )
                due += page
                if not page:
                    break
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        return [viewer_and_rid(key) for key in due]

    # --- the clock, and what is known -------------------------------------------------------------------------------

    async def heartbeat(self, show_id: str) -> Beat:
        """Turn the hold clock; end what is due; offer what came back to those who wait."""
        expired = lapsed = offered = 0
        next_due_ms: int | None = None
        for _ in range(_HEARTBEAT_CALLS_MAX):
            beat, more = await self._batcher.ask(show_id, (verbs.HEARTBEAT,), self._beat)
            expired, lapsed, offered = expired + beat.expired, lapsed + beat.lapsed, offered + beat.offered
            next_due_ms = beat.next_due_ms
            if not more:
                break
        return Beat(next_due_ms, expired, lapsed, offered)

    async def levels(self, show_id: str) -> tuple[int, dict[str, Level]]:
        """(version, level of every deal). A lower version than one seen is stale."""

        def finish(_answer: list[Any], reply: Reply) -> tuple[int, dict[str, Level]]:
            return reply.seq, {deal.decode(): Level(*level[:5]) for deal, level in reply.levels.items()}

        return await self._batcher.ask(show_id, (verbs.LEVELS,), finish)

    async def levels_of(self, show_id: str, deal_ids: Sequence[str]) -> dict[str, Level]:
        """The levels of these deals as they stand, without a call of the script: for books of thousands of deals, of
        which a page asks a few. Deals that the books do not know are left out."""
        if not deal_ids:
            return {}
        try:
            found: list[Any] = await self._redis.hmget(keys.deals(show_id), list(deal_ids))
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        pairs = zip(deal_ids, found, strict=True)
        return {deal_id: Level(*msgpack.unpackb(raw)[2:7]) for deal_id, raw in pairs if raw is not None}

    async def counts(self, show_id: str) -> dict[str, int]:
        """What happened since the show's books were made, by the words of `COUNTS`; all 0 where nothing did."""
        try:
            raw = await self._redis.hget(keys.meta(show_id), "counts")
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        numbers = msgpack.unpackb(raw) if raw else [0] * len(COUNTS)
        numbers += [0] * (len(COUNTS) - len(numbers))  # books made before a count was added
        return dict(zip(COUNTS, numbers, strict=True))

    async def shows_to_watch(self) -> tuple[str, ...]:
        """Shows whose clock, journal or deals may need a worker."""
        try:
            names: set[Any] = await self._redis.smembers(keys.SHOWS)
            return tuple(sorted(name.decode() for name in names))
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error

    async def watch_if_busy(self, show_id: str) -> None:
        """See to it that a worker looks at these books while anybody holds or pays anything in them, or their journal
        waits: for books that are not watched all the time."""
        try:
            if not await self._is_quiet(show_id):
                await self._redis.sadd(keys.SHOWS, show_id)
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
        epoch, paused = await redis.hmget(keys.meta(show_id), "epoch", "paused")
        if epoch is None or paused:
            return False
        if (
            await redis.xlen(keys.journal(show_id))
            or await redis.hlen(keys.queues(show_id))
            or await redis.zcard(keys.waits(show_id))
            or await redis.zcard(keys.paying(show_id))
        ):
            return False
        if keys.location_of(show_id):
            return True  # its deals stand open for years; whoever holds something has the books watched again
        deals = await redis.hvals(keys.deals(show_id))
        return bool(deals) and all(msgpack.unpackb(deal)[0] == DealState.CLOSED for deal in deals)

    def promise_of(self, token: str) -> HoldPromise | None:
        """What a hold token of this server promised; None for anything else."""
        return read(self._token_key, token)

    # --- when history is lost ---------------------------------------------------------------------------------------

    async def has_books(self, show_id: str) -> bool:
        """True where Redis has the show's books, be they paused."""
        try:
            return bool(await self._redis.hexists(keys.meta(show_id), "epoch"))
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error

    async def counts_now(self, show_id: str) -> bool:
        """True where Redis has the books, and nobody found that they lost history."""
        try:
            epoch, paused = await self._redis.hmget(keys.meta(show_id), "epoch", "paused")
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        return epoch is not None and not paused

    async def pause(self, show_id: str) -> None:
        """Close the books until they are made anew: the ledger proves that they have lost history, though no process
        that is left was answered what they lost."""
        if await self.counts_now(show_id):
            try:
                await self._redis.hset(keys.meta(show_id), "paused", str(self._clock.now_ms()))
            except (RedisError, OSError) as error:
                raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error

    def is_counted_again(self, show_id: str) -> bool:
        """True where the last that this process heard of the show was REBUILDING."""
        return self._batcher.memory.is_counted_again(show_id)

    def prove(self, show_id: str, viewer_id: str, token: str) -> bool:
        """A viewer came back with a hold's token while the show is counted again: True where it is ours, hers, and
        told on to the rebuild. At any other time there is nothing to prove, and it is forgotten."""
        promise = self.promise_of(token)
        if promise is None or (promise.show_id, promise.viewer_id) != (show_id, viewer_id):
            return False
        if self.is_counted_again(show_id):
            self._batcher.memory.prove(promise)
        return True

    async def testify(self) -> int:
        """Tell every rebuild whose window is open what this process remembers, once, and proofs as they come. The
        number of shows for which something was told. Raises `Refused(BUSY)`: again later."""
        return await self._testifier.testify()

    async def testify_forever(self) -> None:
        """`testify` again and again until cancelled: every process that asks this engine for anything runs it."""
        await self._testifier.testify_forever()

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _move(self, show_id: str, viewer_id: str, rid: str, verb: int, *arguments: int) -> Hold:
        return await self._batcher.ask(show_id, *self._to_move(show_id, viewer_id, rid, verb, *arguments))

    def _to_move(
        self, show_id: str, viewer_id: str, rid: str, verb: int, *arguments: int
    ) -> tuple[tuple[Any, ...], Finish[Hold]]:
        _check_viewer(viewer_id)
        _check_rid(rid)

        def finish(answer: list[Any], reply: Reply) -> Hold:
            if answer[0] != answers.OK:
                raise refusal_of(answer, reply, self._clock.now_ms())
            return self._hold(show_id, viewer_id, rid, answer, reply)

        return (verb, viewer_id, rid, *arguments), finish

    def _hold(self, show_id: str, viewer_id: str, rid: str, answer: Any, reply: Reply) -> Hold:
        items = record(answer[1])
        now_ms = self._clock.now_ms()
        token = ""
        if items[0] == _HELD:
            token = self._token(show_id, viewer_id, rid, items, now_ms, reply)
        return hold_of(show_id, rid, items, now_ms, reply.hold_clock_ms, answer[2], token)

    def _token(self, show_id: str, viewer_id: str, rid: str, items: list[Any], now_ms: int, reply: Reply) -> str:
        lines: tuple[tuple[str, int], ...]
        if len(items) == LINES + 2:  # by far the most
            deal_id = items[LINES]
            lines, level = ((deal_id.decode(), items[LINES + 1]),), reply.levels[deal_id][_LEVEL]
        else:
            places = range(LINES, len(items), 2)
            lines = tuple([(items[i].decode(), items[i + 1]) for i in places])
            level = min([reply.levels[items[i]][_LEVEL] for i in places])  # a cart promises what its weakest line does
        due_at_ms = now_ms + items[DUE] - reply.hold_clock_ms
        epoch = reply.epoch.decode()
        promise = HoldPromise("hold2", show_id, viewer_id, rid, items[TICKET], lines, due_at_ms, epoch, LEVELS[level])
        return mint(self._token_key, promise)

    def _beat(self, answer: list[Any], reply: Reply) -> tuple[Beat, bool]:
        due = reply.next_due
        next_due_ms = None if due is None else self._clock.now_ms() + max(0, due - reply.hold_clock_ms)
        return Beat(next_due_ms, answer[1], answer[2], answer[3]), bool(answer[4])

    async def _tell_witnessed(self, show_id: str, told: Sequence[Told]) -> None:
        """Holds of level `ledger` on the show's channel: the script left that to whoever commits them."""
        async with self._admin_lock:
            await self._admin.tell_witnessed(show_id, told)

    async def check_level(self, level: HoldLevel) -> None:
        """Whether this server offers a level, asked when a deal is planned. Refuses MALFORMED with what it offers, and
        BUSY where Redis cannot be asked."""
        if level != "soft":
            await self._check_level(level)

    async def _check_level(self, level: HoldLevel) -> None:
        """`fsync` only where Redis (each master of a cluster) syncs before it answers, `ledger` only where there is
        one; each asked once per process."""
        if level == "ledger" and await self._witnesses.check():
            return
        if self._fsync_verified is None:
            try:
                # A pattern: before 7.0 CONFIG GET takes one word only.
                found = [await server.config_get("append*") for server in await masters(self._redis)]
            except ResponseError:  # hosted servers may forbid it: what cannot be verified is not offered
                found = [{}]
            except (RedisError, OSError) as error:
                raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
            self._fsync_verified = all(
                (each.get("appendfsync"), each.get("appendonly")) == ("always", "yes") for each in found
            )
        if level != "fsync" or not self._fsync_verified:
            raise Refused(
                R.MALFORMED,
                expected="a level that this server offers: soft, fsync with appendfsync always, or ledger",
            )

    async def watch(self, show_id: str) -> None:
        """Have a worker look at these books from now on. To be said after a call that set something aside in books that
        are not watched all the time: a worker that stops watching looks once more after it stopped."""
        await self._watch(show_id)

    async def _watch(self, show_id: str) -> None:
        try:
            await self._redis.sadd(keys.SHOWS, show_id)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error


@functools.lru_cache(maxsize=8192)  # the same few deals and the same viewers, again and again
def _is_word(text: str) -> bool:
    return _WORD.match(text) is not None


def _check_viewer(viewer_id: str) -> None:
    if not _is_word(viewer_id):
        raise Refused(R.MALFORMED, expected="a viewer's id")


def _check_rid(rid: str) -> None:
    if not is_rid(rid):
        raise Refused(R.RID_INVALID)
