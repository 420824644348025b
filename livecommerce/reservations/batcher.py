"""Many requests, one call: requests queue while a call is in flight and go together when it returns.

What arrives: a show, a request for the script, and what to make of its answer. What leaves: a future, or a call of
whoever asked. Two tasks own the connection; request code never touches the socket. No timer: an idle engine asks at
once, a busy one asks for up to 64 at a time, and where so many wait already a second call goes out behind the first, so
that Redis has its next work when it has done this (in a cluster one call of a show at a time). Shows take turns. It
decides nothing about stock. Each call carries the seq and tip of the last one that was answered as the witness of the
history fence, and what was answered goes into the process's memory.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import msgpack
import structlog
from prometheus_client import Counter, Gauge, Histogram

from livecommerce.clock import Clock, RealClock
from livecommerce.ending import end
from livecommerce.errors import R, Refused
from livecommerce.reservations.memory import Memory
from livecommerce.reservations.store import Store, StoreAway, StoreBroken
from livecommerce.reservations.witnesses import Row, Witnesses, concern

log = structlog.get_logger(__name__)

T = TypeVar("T")

# At 128 a call the script holds Redis for over 1 ms.
BATCH_MAX = 64
# Over a quarter of a second of work at the slowest measured rate; past it "busy" is the honest answer.
QUEUE_MAX = 8192
BUSY_AFTER_MS = 1000
# Of a cluster's shows, so many have their batcher at hand; past it the idle ones end and begin again when asked.
SHOWS_MAX = 1000
# A rebuild takes its window and some time to write: a page that tries five times must outlive it.
REBUILDING_AFTER_MS = 2000
# Calls, not holds: at 64 a call, more than an hour's peak of one core without any worker taking the journal away.
JOURNAL_ENTRIES_MAX = 1_000_000

QUEUE_LENGTH = Gauge("livecommerce_engine_queue", "Requests waiting for the reservation engine's connection")
QUEUE_PEAK = Gauge("livecommerce_engine_queue_peak", "Most requests that ever waited")
FENCE_BREAKS = Counter("livecommerce_fence_breaks", "Times that Redis was found to have lost what it had answered")
CALLS = Counter("livecommerce_engine_calls", "Script calls", ["outcome"])
BATCH_SIZE = Histogram(
    "livecommerce_engine_batch_size", "Requests in one script call", buckets=(1, 2, 4, 8, 16, 32, 48, 64)
)

# Why the script lets nobody count.
_MISSING, _PAUSED, _LOST = range(3)
_WHY_NOBODY_COUNTS = ("missing", "paused", "lost")


@dataclass(frozen=True, slots=True)
class Reply:
    """What one call said beside its answers. `hold_clock_ms` is the show's own clock."""

    epoch: bytes
    seq: int
    hold_clock_ms: int
    next_due: int | None
    levels: dict[bytes, list[int]]


# Makes the caller's result of its answer; raises `Refused` for a no.
Finish = Callable[[list[Any], Reply], T]
# Told once, in the loop: the result, or why there is none; and the version of the books it comes from, 0 where unknown.
Tell = Callable[[T | None, Exception | None, int], None]


@dataclass(slots=True)
class _Asked:
    request: tuple[Any, ...]
    finish: Finish[Any]
    tell: Tell[Any]
    done: asyncio.Future[Any] | None = None  # of who waits and may stop waiting


class Batcher:
    """Owns one `Store`. `start` before use, `aclose` last; requests that still wait then are refused as busy."""

    def __init__(
        self,
        store: Store,
        offer_ms: int,
        clock: Clock | None = None,
        witnesses: Witnesses | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._store = store
        self._offer_ms = offer_ms
        self._clock = clock or RealClock()
        self._witnesses = witnesses
        self.memory = Memory() if memory is None else memory
        self.batch_max = BATCH_MAX
        self._waiting: dict[str, deque[_Asked]] = {}  # in the order in which the shows take turns
        self._length = 0
        self.peak = 0
        self._told = 0  # what this one's share of the gauge is
        self._calls = 0  # in flight
        self._wake = asyncio.Event()
        self._callers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._callers = [
            asyncio.create_task(self._run_forever(), name="reservation-batcher") for _ in range(self._store.calls_max)
        ]

    async def aclose(self) -> None:
        """Cut the calls in flight and refuse all as busy: asking again under the same rid is safe, and finds out."""
        callers, self._callers = self._callers, []
        await end(callers)
        for asked in [asked for queue in self._waiting.values() for asked in queue]:
            _refuse(asked, _busy())
        self._waiting.clear()
        self._length = 0
        self._tell_length()

    @property
    def waiting(self) -> int:
        return self._length

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self._calls

    def ask(self, show_id: str, request: tuple[Any, ...], finish: Finish[T]) -> "asyncio.Future[T]":
        """A future of what `finish` makes of the answer.

        It fails with `Refused(BUSY)`, without a call, where the queue is full; and where Redis is away: then the
        outcome is unknown and the same rid may be asked again. Cancelling the future before its call began takes the
        request back; later it changes nothing but that nobody hears the answer.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def tell(result: T | None, error: Exception | None, _version: int) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(cast("T", result))
            else:
                done.set_exception(error)
                done.exception()  # a caller that went away must not become a log line of asyncio's

        self._queue(show_id, _Asked(request, finish, tell, done))
        return done

    def ask_and_tell(self, show_id: str, request: tuple[Any, ...], finish: Finish[T], tell: Tell[T]) -> None:
        """`ask` without a future, for the hot path: `tell` is called once, after this has returned."""
        self._queue(show_id, _Asked(request, finish, tell))

    def _queue(self, show_id: str, asked: _Asked) -> None:
        if self._length >= QUEUE_MAX or not self._callers:
            asyncio.get_running_loop().call_soon(_refuse, asked, _busy())
            return
        queue = self._waiting.get(show_id)
        if queue is None:
            queue = self._waiting[show_id] = deque()
        queue.append(asked)
        self._length += 1
        if self._length > self.peak:
            self.peak = self._length
        if not self._calls or self._length >= self.batch_max:
            self._wake.set()

    def _is_due(self) -> bool:
        """A second call only where as much waits as fills one: what comes during the first goes together."""
        return bool(self._waiting) and (not self._calls or self._length >= self.batch_max)

    async def _run_forever(self) -> None:
        while self._callers:  # a connection in the making may swallow the cancelling; none of what waits is taken then
            while not self._is_due():
                self._wake.clear()
                await self._wake.wait()
            show_id, batch = self._next_batch()
            if batch:
                self._calls += 1
                if self._length >= self.batch_max:
                    self._wake.set()
                try:
                    await self._call(show_id, batch)
                except asyncio.CancelledError:
                    for asked in batch:
                        _refuse(asked, _busy())
                    raise
                except Exception:
                    # Nothing a caller sends may end the one task that serves everybody.
                    log.exception("engine_call_failed", show_id=show_id)
                    for asked in batch:
                        _refuse(asked, Refused(R.INTERNAL))
                finally:
                    self._calls -= 1

    def _next_batch(self) -> tuple[str, list[_Asked]]:
        show_id = next(iter(self._waiting))
        queue = self._waiting.pop(show_id)
        batch: list[_Asked] = []
        while queue and len(batch) < self.batch_max:
            asked = queue.popleft()
            self._length -= 1
            if asked.done is None or not asked.done.done():  # cancelled before it began: never sent
                batch.append(asked)
        if queue:
            self._waiting[show_id] = queue  # at the end: the other shows come first
        self._tell_length()
        BATCH_SIZE.observe(len(batch))
        return show_id, batch

    def _tell_length(self) -> None:
        QUEUE_LENGTH.inc(self._length - self._told)
        self._told = self._length
        QUEUE_PEAK.set(self.peak)

    async def _call(self, show_id: str, batch: list[_Asked]) -> None:
        tip, witness = secrets.token_bytes(8), self.memory.witness_of(show_id)
        requests = [asked.request for asked in batch]
        # The witness is the last call that was answered. One whose outcome is unknown was promised to nobody: whether
        # it is there is found out by its rids.
        header = (tip, self._offer_ms, JOURNAL_ENTRIES_MAX, requests, witness.seq, witness.tip)
        try:
            # Redis's cmsgpack knows no bin type.
            answer = await self._store.call(show_id, msgpack.packb(header, use_bin_type=False))
        except StoreAway as error:
            CALLS.labels("away").inc()
            log.warning("engine_store_away", show_id=show_id, requests=len(batch), why=str(error))
            for asked in batch:
                _refuse(asked, _busy())
            return
        except StoreBroken as error:
            CALLS.labels("broken").inc()
            log.error("engine_script_broken", show_id=show_id, requests=len(batch), why=str(error))
            for asked in batch:
                _refuse(asked, Refused(R.INTERNAL))
            return
        if answer[0] is False:
            # After what the call before has to be remembered for.
            asyncio.get_running_loop().call_soon(self._wait_for_rebuild, show_id, batch, *answer[1:])
            return
        CALLS.labels("ok").inc()
        # At once: the next call must say what this one was answered. A call that was on its way beside it said what was
        # answered before both; where its answer shows that the other's is lost, the next call says the other's still.
        if answer[0] != witness.epoch or answer[1] > witness.seq:
            witness.epoch, witness.seq, witness.tip = answer[0], answer[1], tip
        witness.hold_clock_ms, witness.at_ms = answer[2], self._clock.now_ms()
        # Soon, not now: the next call goes out first, so that Redis works while the answers are given out here.
        loop = asyncio.get_running_loop()
        loop.call_soon(_give_out, show_id, batch, answer, self._witnesses)
        loop.call_soon(self.memory.learn, show_id, requests, answer[5])

    def _wait_for_rebuild(self, show_id: str, batch: list[_Asked], why: int = _MISSING) -> None:
        CALLS.labels(_WHY_NOBODY_COUNTS[why]).inc()
        self.memory.told_to_wait(show_id)
        if why == _LOST:
            FENCE_BREAKS.inc()
            witness_seq = self.memory.witness_of(show_id).seq
            log.error("history_lost", show_id=show_id, witness_seq=witness_seq, requests=len(batch))
        for asked in batch:
            _refuse(asked, Refused(R.REBUILDING, after_ms=REBUILDING_AFTER_MS))


class BatcherPerShow:
    """For a cluster: a batcher for each show that is asked for, over one `Store`.

    One for all would have one call in flight, on one node, and everybody would wait while one show's slot moves. The
    store has one connection a node, on which shows of that node take turns. `QUEUE_MAX` counts per show.
    """

    def __init__(
        self, store: Store, offer_ms: int, clock: Clock | None = None, witnesses: Witnesses | None = None
    ) -> None:
        self._store = store
        self._offer_ms = offer_ms
        self._clock = clock or RealClock()
        self._witnesses = witnesses
        self.memory = Memory()
        self._batchers: dict[str, Batcher] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._running = False

    async def start(self) -> None:
        self._running = True

    async def aclose(self) -> None:
        """As `Batcher.aclose`, for all of them."""
        self._running = False
        batchers, self._batchers = self._batchers, {}
        await asyncio.gather(*(batcher.aclose() for batcher in batchers.values()), *self._ending)

    @property
    def waiting(self) -> int:
        return sum([batcher.waiting for batcher in self._batchers.values()])

    def ask(self, show_id: str, request: tuple[Any, ...], finish: Finish[T]) -> "asyncio.Future[T]":
        """As `Batcher.ask`."""
        return (self._batchers.get(show_id) or self._begin(show_id)).ask(show_id, request, finish)

    def ask_and_tell(self, show_id: str, request: tuple[Any, ...], finish: Finish[T], tell: Tell[T]) -> None:
        """As `Batcher.ask_and_tell`."""
        (self._batchers.get(show_id) or self._begin(show_id)).ask_and_tell(show_id, request, finish, tell)

    def _begin(self, show_id: str) -> Batcher:
        batcher = Batcher(self._store, self._offer_ms, self._clock, self._witnesses, self.memory)
        if self._running:
            if len(self._batchers) >= SHOWS_MAX:
                self._end_idle()
            self._batchers[show_id] = batcher
            batcher.begin()
        return batcher  # one that never began refuses as busy, as a closed one does

    def _end_idle(self) -> None:
        for show_id in [show_id for show_id, batcher in self._batchers.items() if batcher.is_idle]:
            task = asyncio.create_task(self._batchers.pop(show_id).aclose())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


def _give_out(show_id: str, batch: list[_Asked], answer: list[Any], witnesses: Witnesses | None) -> None:
    try:
        epoch, seq, hold_clock_ms, next_due, levels, answers = answer
        assert len(answers) == len(batch), f"{len(answers)} answers to {len(batch)} requests"
    except Exception:  # the answer as a whole is not what the script answers
        log.exception("engine_answer_broken", show_id=show_id)
        for asked in batch:
            _refuse(asked, Refused(R.INTERNAL))
        return
    # An empty Lua table travels as an array.
    reply = Reply(epoch, seq, hold_clock_ms, next_due if next_due >= 0 else None, levels or {})
    if witnesses is not None and concern(reply.levels):
        _answer_after_commit(show_id, batch, answers, reply, witnesses)
        return
    for asked, one in zip(batch, answers, strict=True):
        _answer(asked, one, reply)


def _answer(asked: _Asked, one: list[Any], reply: Reply) -> None:
    try:
        result = asked.finish(one, reply)
    except Exception as error:
        _tell(asked, None, error, reply.seq)
    else:
        _tell(asked, result, None, reply.seq)


def _answer_after_commit(
    show_id: str, batch: list[_Asked], answers: list[Any], reply: Reply, witnesses: Witnesses
) -> None:
    """What promises the ledger waits for it, the rest is answered; the next call of the script waits for nothing."""
    # Also where nobody hears the answer any more: her other devices shall know of the hold.
    wanted = [
        witnesses.of(show_id, asked.request, one, reply.levels, reply.hold_clock_ms, reply.epoch, reply.seq)
        for asked, one in zip(batch, answers, strict=True)
    ]  # first: what cannot be read is found before anybody is told anything
    rows: list[Row] = []
    waiting: list[tuple[_Asked, Any]] = []
    for asked, one, own in zip(batch, answers, wanted, strict=True):
        if not own:
            _answer(asked, one, reply)
            continue
        rows += own
        try:
            waiting.append((asked, asked.finish(one, reply)))  # now: its end is counted from this instant
        except Exception as error:
            _refuse(asked, error)
    if rows:
        witnesses.write(rows).add_done_callback(partial(_answer_all, waiting, reply.seq))


def _answer_all(waiting: list[tuple[_Asked, Any]], version: int, committed: "asyncio.Future[None]") -> None:
    failed = committed.cancelled() or committed.exception() is not None
    for asked, result in waiting:
        if failed:
            _refuse(asked, _busy())
        else:
            _tell(asked, result, None, version)


def _refuse(asked: _Asked, error: Exception) -> None:
    _tell(asked, None, error, 0)


def _tell(asked: _Asked, result: Any, error: Exception | None, version: int) -> None:
    try:
        asked.tell(result, error, version)
    except Exception:
        log.exception("engine_answer_not_taken")  # of one caller: the others of the call still hear theirs


def _busy() -> Refused:
    return Refused(R.BUSY, after_ms=BUSY_AFTER_MS)
