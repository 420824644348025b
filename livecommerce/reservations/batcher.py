"""Many requests, one call: requests queue while a call is in flight and go together when it returns.

What arrives: a show, a request for the script, and what to make of its answer. What leaves: a future, or a call of
whoever asked. One task owns the connection; request code never touches the socket. No timer: an idle engine asks at
once, a busy one asks for up to 64 at a time. Shows take turns. It decides nothing about stock.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import msgpack
import structlog
from prometheus_client import Counter, Gauge, Histogram

from livecommerce.errors import R, Refused
from livecommerce.reservations.store import Store, StoreAway, StoreBroken
from livecommerce.reservations.witnesses import Row, Witnesses, concern

log = structlog.get_logger(__name__)

T = TypeVar("T")

# At 128 a call the script holds Redis for over 1 ms.
BATCH_MAX = 64
# Over a quarter of a second of work at the slowest measured rate; past it "busy" is the honest answer.
QUEUE_MAX = 8192
BUSY_AFTER_MS = 1000
# Calls, not holds: at 64 a call, more than an hour's peak of one core without any worker taking the journal away.
JOURNAL_ENTRIES_MAX = 1_000_000

QUEUE_LENGTH = Gauge("livecommerce_engine_queue", "Requests waiting for the reservation engine's connection")
QUEUE_PEAK = Gauge("livecommerce_engine_queue_peak", "Most requests that ever waited")
CALLS = Counter("livecommerce_engine_calls", "Script calls", ["outcome"])
BATCH_SIZE = Histogram(
    "livecommerce_engine_batch_size", "Requests in one script call", buckets=(1, 2, 4, 8, 16, 32, 48, 64)
)


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

    def __init__(self, store: Store, offer_ms: int, witnesses: Witnesses | None = None) -> None:
        self._store = store
        self._offer_ms = offer_ms
        self._witnesses = witnesses
        self._waiting: dict[str, deque[_Asked]] = {}  # in the order in which the shows take turns
        self._length = 0
        self.peak = 0
        self._wake = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._owner = asyncio.create_task(self._run_forever(), name="reservation-batcher")

    async def aclose(self) -> None:
        """Cut the call in flight and refuse all as busy: asking again under the same rid is safe, and finds out."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await owner
        for asked in [asked for queue in self._waiting.values() for asked in queue]:
            _refuse(asked, _busy())
        self._waiting.clear()
        self._length = 0

    @property
    def waiting(self) -> int:
        return self._length

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
        if self._length >= QUEUE_MAX or self._owner is None:
            asyncio.get_running_loop().call_soon(_refuse, asked, _busy())
            return
        queue = self._waiting.get(show_id)
        if queue is None:
            queue = self._waiting[show_id] = deque()
        queue.append(asked)
        self._length += 1
        if self._length > self.peak:
            self.peak = self._length
        self._wake.set()

    async def _run_forever(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            show_id, batch = self._next_batch()
            if batch:
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

    def _next_batch(self) -> tuple[str, list[_Asked]]:
        show_id = next(iter(self._waiting))
        queue = self._waiting.pop(show_id)
        batch: list[_Asked] = []
        while queue and len(batch) < BATCH_MAX:
            asked = queue.popleft()
            self._length -= 1
            if asked.done is None or not asked.done.done():  # cancelled before it began: never sent
                batch.append(asked)
        if queue:
            self._waiting[show_id] = queue  # at the end: the other shows come first
        QUEUE_LENGTH.set(self._length)
        QUEUE_PEAK.set(self.peak)
        BATCH_SIZE.observe(len(batch))
        return show_id, batch

    async def _call(self, show_id: str, batch: list[_Asked]) -> None:
        header = (secrets.token_bytes(8), self._offer_ms, JOURNAL_ENTRIES_MAX, [asked.request for asked in batch])
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
        CALLS.labels("ok").inc()
        # Soon, not now: the next call goes out first, so that Redis works while the answers are given out here.
        asyncio.get_running_loop().call_soon(_give_out, show_id, batch, answer, self._witnesses)


def _give_out(show_id: str, batch: list[_Asked], answer: list[Any], witnesses: Witnesses | None) -> None:
    if answer[0] is False:
        for asked in batch:
            _refuse(asked, Refused(R.REBUILDING, after_ms=BUSY_AFTER_MS))
        return
    try:
        _distribute(show_id, batch, answer, witnesses)
    except Exception:  # not one was told: the answer as a whole is not what the script answers
        log.exception("engine_answer_broken")
        for asked in batch:
            _refuse(asked, Refused(R.INTERNAL))


def _distribute(show_id: str, batch: list[_Asked], answer: list[Any], witnesses: Witnesses | None) -> None:
    epoch, seq, hold_clock_ms, next_due, levels, answers = answer
    # An empty Lua table travels as an array.
    reply = Reply(epoch, seq, hold_clock_ms, next_due if next_due >= 0 else None, levels or {})
    assert len(answers) == len(batch), f"{len(answers)} answers to {len(batch)} requests"
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
            _tell(asked, None, error, reply.seq)
    if rows:
        witnesses.write(rows).add_done_callback(partial(_answer_all, waiting, reply.seq))


def _answer_all(waiting: list[tuple[_Asked, Any]], seq: int, committed: "asyncio.Future[None]") -> None:
    failed = committed.cancelled() or committed.exception() is not None
    for asked, result in waiting:
        if failed:
            _refuse(asked, _busy())
        else:
            _tell(asked, result, None, seq)


def _refuse(asked: _Asked, error: Exception) -> None:
    _tell(asked, None, error, 0)


def _tell(asked: _Asked, result: Any, error: Exception | None, version: int) -> None:
    try:
        asked.tell(result, error, version)
    except Exception:
        log.exception("engine_answer_not_taken")  # of one caller: the others of the call still hear theirs


def _busy() -> Refused:
    return Refused(R.BUSY, after_ms=BUSY_AFTER_MS)
