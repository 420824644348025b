"""The batcher: requests go together, its own tasks touch the socket, and no fate of a caller reaches another."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis

from livecommerce.errors import R, Refused
from livecommerce.reservations.batcher import BATCH_MAX, QUEUE_LENGTH, QUEUE_MAX, Batcher, BatcherPerShow, Reply
from livecommerce.reservations.store import StoreAway, StoreBroken
from tests.reservations.conftest import SHOW, deal, viewer


class HeldBackStore:
    """Stands where the connection is: keeps each call until it is let go, and can fail it."""

    calls_max = 2

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.gate = asyncio.Event()
        self.fail: Exception | None = None
        self.seqs: Iterator[int] = itertools.count(1)
        self.headers: list[list[Any]] = []
        self.counts_again = False

    async def call(self, show_id: str, batch: bytes) -> list[Any]:
        header = msgpack.unpackb(batch, raw=True)
        self.headers.append(header)
        requests, seq = header[3], next(self.seqs)
        self.calls.append((show_id, len(requests)))
        await self.gate.wait()
        if self.fail:
            raise self.fail
        if self.counts_again and seq > 1:
            return [False, 1]
        return [b"epoch", seq, 0, -1, {}, [[0, request[1]] for request in requests]]


def second(answer: list[Any], _reply: Reply) -> int:
    number: int = answer[1]
    return number


@pytest.fixture
def store() -> HeldBackStore:
    return HeldBackStore()


@pytest.fixture
async def batcher(store: HeldBackStore) -> Any:
    batcher = Batcher(store, 60_000)  # type: ignore[arg-type]
    await batcher.start()
    yield batcher
    await batcher.aclose()


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_comes_while_a_call_is_in_flight_goes_together_next(batcher: Batcher, store: HeldBackStore) -> None:
    first = batcher.ask(SHOW, (1, 0), second)
    await turns()
    rest = [batcher.ask(SHOW, (1, n), second) for n in range(1, 101)]
    store.gate.set()
    assert await asyncio.gather(first, *rest) == list(range(101))
    assert store.calls == [(SHOW, 1), (SHOW, BATCH_MAX), (SHOW, 100 - BATCH_MAX)]
    assert (batcher.waiting, batcher.peak) == (0, 100)


async def test_behind_a_call_goes_a_second_one_that_is_full_and_no_third(
    batcher: Batcher, store: HeldBackStore
) -> None:
    """So Redis finds its next work when it has done this; what would not fill a call goes together later."""
    asked = [batcher.ask(SHOW, (1, 0), second)]
    await turns()
    asked += [batcher.ask(SHOW, (1, n), second) for n in range(1, BATCH_MAX)]
    await turns()
    assert store.calls == [(SHOW, 1)]
    asked += [batcher.ask(SHOW, (1, n), second) for n in range(BATCH_MAX, 4 * BATCH_MAX)]
    await turns()
    assert store.calls == [(SHOW, 1), (SHOW, BATCH_MAX)]
    store.gate.set()
    assert await asyncio.gather(*asked) == list(range(4 * BATCH_MAX))
    assert [size for _, size in store.calls] == [1, BATCH_MAX, BATCH_MAX, BATCH_MAX, BATCH_MAX - 1]


async def _two_calls(batcher: Batcher, store: HeldBackStore) -> "list[asyncio.Future[int]]":
    asked = [batcher.ask(SHOW, (1, 0), second)]
    await turns()
    asked += [batcher.ask(SHOW, (1, n), second) for n in range(1, BATCH_MAX + 1)]
    await turns()
    store.gate.set()
    return asked


async def test_an_answer_that_the_next_one_does_not_know_of_stays_the_witness(
    batcher: Batcher, store: HeldBackStore
) -> None:
    """The second call was answered on books that do not have the first: the next must be held against the first."""
    store.seqs = iter([7, 7, 8])
    await asyncio.gather(*await _two_calls(batcher, store))
    await batcher.ask(SHOW, (1, 0), second)
    assert store.headers[2][4:] == [7, store.headers[0][0]]


async def test_a_show_that_is_counted_again_is_known_to_be_whatever_was_answered_just_before(
    batcher: Batcher, store: HeldBackStore
) -> None:
    store.counts_again = True
    first, *rest = await _two_calls(batcher, store)
    assert await first == 0
    for asked in rest:
        with pytest.raises(Refused):
            await asked
    assert batcher.memory.is_counted_again(SHOW)


async def test_shows_take_turns(batcher: Batcher, store: HeldBackStore) -> None:
    store.gate.set()
    asked = [batcher.ask("loud", (1, n), second) for n in range(130)] + [batcher.ask("quiet", (1, 0), second)]
    await asyncio.gather(*asked)
    assert [show for show, _ in store.calls] == ["loud", "quiet", "loud", "loud"]


async def test_a_caller_that_goes_before_its_call_is_not_sent(batcher: Batcher, store: HeldBackStore) -> None:
    first = batcher.ask(SHOW, (1, 0), second)
    await turns()
    gone, stays = batcher.ask(SHOW, (1, 1), second), batcher.ask(SHOW, (1, 2), second)
    gone.cancel()
    store.gate.set()
    assert (await first, await stays) == (0, 2)
    assert store.calls[1] == (SHOW, 1)


async def test_a_caller_that_goes_during_its_call_breaks_nothing(batcher: Batcher, store: HeldBackStore) -> None:
    gone, stays = batcher.ask(SHOW, (1, 1), second), batcher.ask(SHOW, (1, 2), second)
    await turns()
    gone.cancel()
    store.gate.set()
    assert await stays == 2
    assert await batcher.ask(SHOW, (1, 3), second) == 3


@pytest.mark.parametrize(
    ("failure", "why"),
    [(StoreAway("cut"), R.BUSY), (StoreBroken("ours"), R.INTERNAL), (ZeroDivisionError(), R.INTERNAL)],
    ids=["away", "broken", "unforeseen"],
)
async def test_a_failed_call_is_told_to_its_callers_and_the_next_call_goes_on(
    batcher: Batcher, store: HeldBackStore, failure: Exception, why: R
) -> None:
    store.gate.set()
    store.fail = failure
    with pytest.raises(Refused) as caught:
        await batcher.ask(SHOW, (1, 1), second)
    assert caught.value.why is why
    store.fail = None
    assert await batcher.ask(SHOW, (1, 2), second) == 2


async def test_a_full_queue_says_busy_at_once(batcher: Batcher, store: HeldBackStore) -> None:
    first = batcher.ask(SHOW, (1, 0), second)
    await turns()
    waiting = [batcher.ask(SHOW, (1, 1), second) for _ in range(QUEUE_MAX)]
    with pytest.raises(Refused) as caught:
        await batcher.ask(SHOW, (1, 2), second)
    assert (caught.value.why, caught.value.after_ms) == (R.BUSY, 1000)
    store.gate.set()
    await asyncio.gather(first, *waiting)


async def test_closing_refuses_what_waits_and_what_comes_later(batcher: Batcher, store: HeldBackStore) -> None:
    in_flight = batcher.ask(SHOW, (1, 0), second)
    await turns()
    waiting = batcher.ask(SHOW, (1, 1), second)
    await batcher.aclose()
    for asked in (in_flight, waiting, batcher.ask(SHOW, (1, 2), second)):
        with pytest.raises(Refused) as caught:
            await asked
        assert caught.value.why is R.BUSY


async def test_closing_ends_though_the_connection_swallows_the_cancellation(
    batcher: Batcher, store: HeldBackStore
) -> None:
    async def deaf_once(show_id: str, batch: bytes) -> list[Any]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise StoreAway("it closed instead") from None
        raise AssertionError("nobody sets it")

    store.call = deaf_once  # type: ignore[method-assign]
    in_flight = batcher.ask(SHOW, (1, 0), second)
    await turns()

    await batcher.aclose()

    with pytest.raises(Refused) as caught:
        await in_flight
    assert caught.value.why is R.BUSY


# --- for a cluster: one for each show ---------------------------------------------------------------------------------


@pytest.fixture
async def per_show(store: HeldBackStore) -> Any:
    batcher = BatcherPerShow(store, 60_000)  # type: ignore[arg-type]
    await batcher.start()
    yield batcher
    await batcher.aclose()


async def test_shows_are_in_flight_at_once_and_each_gathers_its_own(
    per_show: BatcherPerShow, store: HeldBackStore
) -> None:
    asked = [per_show.ask(show, (1, 0), second) for show in ("one", "two")]
    await turns()
    assert store.calls == [("one", 1), ("two", 1)]
    asked += [per_show.ask("one", (1, n), second) for n in range(1, 4)]
    assert per_show.waiting == 3
    store.gate.set()
    assert await asyncio.gather(*asked) == [0, 0, 1, 2, 3]
    assert store.calls[2:] == [("one", 3)]
    assert per_show.waiting == 0


async def test_idle_shows_make_room_and_come_back(
    per_show: BatcherPerShow, store: HeldBackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livecommerce.reservations.batcher.SHOWS_MAX", 2)
    store.gate.set()
    for show in ("one", "two", "three", "four", "one"):
        assert await per_show.ask(show, (1, 7), second) == 7
    assert len(per_show._batchers) <= 3
    store.gate.clear()
    busy = per_show.ask("one", (1, 1), second)
    await turns()
    for show in ("five", "six", "seven"):
        per_show.ask(show, (1, 2), second)
        await turns()
    store.gate.set()
    assert await busy == 1


async def test_closing_refuses_every_show_as_busy(per_show: BatcherPerShow, store: HeldBackStore) -> None:
    before = QUEUE_LENGTH._value.get()
    waiting = [per_show.ask(show, (1, n), second) for show in ("one", "two") for n in range(3)]
    await turns()
    await per_show.aclose()
    for asked in (*waiting, per_show.ask("one", (1, 1), second), per_show.ask("three", (1, 1), second)):
        with pytest.raises(Refused) as caught:
            await asked
        assert caught.value.why is R.BUSY
    assert QUEUE_LENGTH._value.get() == before


async def test_a_cut_connection_is_busy_and_the_same_rid_may_be_asked_again(redis: Redis, engine: Any) -> None:
    """The server closes every connection under the engine; the answer is lost, the outcome is found by the rid."""
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    await redis.client_kill_filter(_type="normal", skipme=True)
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append((await engine.reserve(SHOW, viewer(2), "rid-0001", [("dl_a", 1)])).state)
        except Refused as refused:
            outcomes.append(refused.why)
    assert outcomes in ([R.BUSY, "held"], ["held", "held"])
    assert (await engine.levels(SHOW))[1]["dl_a"].held == 2
