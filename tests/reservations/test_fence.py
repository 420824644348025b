"""The history fence: a server that lost what it had answered counts no further; one that lost nothing always does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.batcher import REBUILDING_AFTER_MS
from livecommerce.reservations.memory import ACKNOWLEDGED_MAX, Memory
from livecommerce.settings import Settings
from tests.reservations.conftest import SHOW, deal, viewer

Photograph = dict[bytes, bytes]
RING = 65_536


async def photograph(redis: Redis) -> Photograph:
    """All keys of the show as they are now: what a replica that lags, or a log that is cut, still has."""
    names = [name async for name in redis.scan_iter(match=keys.meta(SHOW).replace("meta", "*"))]
    return {name: await redis.dump(name) for name in names}


async def roll_back(redis: Redis, to: Photograph) -> None:
    await redis.flushall()
    for name, dumped in to.items():
        await redis.restore(name, 0, dumped)


@pytest.fixture
async def other(redis: Redis, settings: Settings, clock: TestClock, engine: Any) -> AsyncIterator[ReservationEngine]:
    """A second process, which has seen nothing yet."""
    other = ReservationEngine(redis, settings, clock)
    await other.start()
    yield other
    await other.aclose()


async def tap(engine: ReservationEngine, number: int) -> str:
    return (await engine.reserve(SHOW, viewer(number), "rid-0001", [("dl_a", 1)])).state


async def refusal(asked: Awaitable[Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        await asked
    return caught.value


async def assert_closed(engine: ReservationEngine) -> None:
    """Every verb is refused as REBUILDING."""
    verbs: list[Callable[[], Awaitable[Any]]] = [
        lambda: tap(engine, 9), lambda: engine.release(SHOW, "vw_1", "rid-0001"),
        lambda: engine.accept(SHOW, "vw_1", "rid-0001"), lambda: engine.begin_pay(SHOW, "vw_1", "rid-0001", 1000),
        lambda: engine.settle(SHOW, "vw_1", "rid-0001"), lambda: engine.free(SHOW, "vw_1", "rid-0001", "expired"),
        lambda: engine.reacquire(SHOW, "vw_1", "rid-0001"), lambda: engine.holds_of(SHOW, "vw_1"),
        lambda: engine.levels(SHOW), lambda: engine.heartbeat(SHOW), lambda: engine.put_deal(SHOW, deal()),
        lambda: engine.set_deal_status(SHOW, "dl_a", "closed"), lambda: engine.paying_past_due(SHOW),
    ]  # fmt: skip
    for verb in verbs:
        refused = await refusal(verb())
        assert (refused.why, refused.after_ms) == (R.REBUILDING, REBUILDING_AFTER_MS)


async def test_a_server_that_lost_an_answer_is_paused_for_every_process_and_nothing_is_written(
    engine: ReservationEngine, other: ReservationEngine, redis: Redis, books: Any
) -> None:
    await engine.put_deal(SHOW, deal())
    before = await photograph(redis)
    assert await tap(engine, 1) == "held"
    await roll_back(redis, before)
    lost = await books()
    await assert_closed(engine)
    await assert_closed(other)
    assert await books() == lost
    assert not await engine.stop_watching_if_quiet(SHOW)


async def test_a_rolled_back_server_is_found_out_after_it_counted_past_the_witness(
    engine: ReservationEngine, other: ReservationEngine, redis: Redis
) -> None:
    """A process without a witness carries the rolled-back server beyond the number that the other one was answered."""
    await engine.put_deal(SHOW, deal(quota=9))
    before = await photograph(redis)
    assert await tap(engine, 1) == "held"
    await roll_back(redis, before)
    for number in (2, 3, 4):
        assert await tap(other, number) == "held"
    assert (await refusal(tap(engine, 5))).why is R.REBUILDING
    await assert_closed(other)


async def test_a_process_that_has_just_started_has_no_witness_and_sees_nothing(
    engine: ReservationEngine, other: ReservationEngine, redis: Redis
) -> None:
    """The stated hole: where every process that was answered has died too, nobody can tell; SQL guards alone."""
    await engine.put_deal(SHOW, deal(quota=1))
    before = await photograph(redis)
    assert await tap(engine, 1) == "held"
    await roll_back(redis, before)
    assert await tap(other, 2) == "held"


async def test_processes_that_take_turns_never_pause_a_server_that_kept_all(
    engine: ReservationEngine, other: ReservationEngine, redis: Redis
) -> None:
    await engine.put_deal(SHOW, deal(quota=40))
    for number in range(0, 40, 4):
        for each in (engine, other):
            assert await tap(each, number) == "held"
            assert await tap(each, number) == "held"
    await roll_back(redis, await photograph(redis))  # a restart that lost nothing
    assert await tap(other, 100) == await tap(engine, 101) == "held"


async def test_an_outcome_that_nobody_was_told_is_no_witness(engine: ReservationEngine, redis: Redis) -> None:
    """The call went out and the line was cut: whether its writes are there or lost, nobody was promised anything."""
    await engine.put_deal(SHOW, deal())
    before = await photograph(redis)
    memory = engine._batcher.memory
    told = memory.witness_of(SHOW).seq
    store_call, cut = engine._store.call, [True]

    async def call(show_id: str, batch: bytes) -> Any:
        answer = await store_call(show_id, batch)
        if cut.pop():
            await roll_back(redis, before)
            raise ZeroDivisionError  # as good as any other end of the line
        return answer

    engine._store.call = call  # type: ignore[method-assign]
    assert (await refusal(tap(engine, 1))).why is R.INTERNAL
    engine._store.call = store_call  # type: ignore[method-assign]
    assert memory.witness_of(SHOW).seq == told
    assert await tap(engine, 1) == "held"


@pytest.mark.parametrize(("calls_since", "closed"), [(RING - 1, True), (RING, False)])
async def test_a_witness_older_than_the_ring_learns_anew_without_a_pause(
    engine: ReservationEngine, redis: Redis, calls_since: int, closed: bool
) -> None:
    """Its place in the ring was written over. While it is not, a tip that is missing there is lost history."""
    await engine.put_deal(SHOW, deal())
    seq = int(await redis.hget(keys.meta(SHOW), "seq"))
    await redis.hset(keys.meta(SHOW), "seq", seq + calls_since)
    await redis.hset(keys.tips(SHOW), str(seq % RING), b"another")
    if closed:
        await assert_closed(engine)
    else:
        assert await tap(engine, 1) == await tap(engine, 1) == "held"


async def test_a_witness_of_an_earlier_epoch_says_nothing(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal())
    await redis.delete(keys.tips(SHOW))
    await redis.hset(keys.meta(SHOW), "floor", await redis.hget(keys.meta(SHOW), "seq"))
    assert await tap(engine, 1) == "held"


async def test_a_server_rolled_back_to_an_earlier_epoch_is_found_out(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal())
    before = await photograph(redis)
    await redis.delete(keys.meta(SHOW), keys.tips(SHOW), keys.deals(SHOW))
    await engine.open_show(SHOW)
    await engine.put_deal(SHOW, deal())
    await roll_back(redis, before)
    await assert_closed(engine)


async def test_missing_books_are_closed_never_zero_and_never_full(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal())
    await redis.flushall()
    await assert_closed(engine)
    assert await redis.keys() == []


async def test_other_shows_go_on(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal())
    before = await photograph(redis)
    await tap(engine, 1)
    await roll_back(redis, before)
    await engine.open_show("sh_other")
    await engine.put_deal("sh_other", deal())
    await assert_closed(engine)
    assert (await engine.reserve("sh_other", viewer(1), "rid-0001", [("dl_a", 1)])).state == "held"


async def test_a_crowd_of_refusals_pushes_no_hold_out_of_a_process_memory(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await tap(engine, 1)
    for number in range(2, 50):
        assert (await refusal(tap(engine, number))).why is R.SOLD_OUT
    (piece,) = engine._batcher.memory.testimony(SHOW)
    assert [(viewer_id, rid) for viewer_id, rid, _ in piece.holds] == [("vw_1", "rid-0001")]
    assert piece.seq == engine._batcher.memory.witness_of(SHOW).seq


async def test_memory_is_bounded_and_the_oldest_goes_first(engine: ReservationEngine) -> None:
    memory = Memory()
    size = 64
    for call in range(ACKNOWLEDGED_MAX // size + 5):
        requests = [(1, f"vw_{call}_{n}", "rid-0001", 0, "", "dl_a", 1) for n in range(size)]
        memory.learn(SHOW, requests, [[0, b"record", 0]] * size)
    holds = [hold for piece in memory.testimony(SHOW) for hold in piece.holds]
    assert len(holds) == ACKNOWLEDGED_MAX
    assert holds[0][0] == "vw_5_0"


@pytest.mark.parametrize(
    ("show_id", "viewer_id", "ours"), [(SHOW, "vw_1", True), (SHOW, "vw_2", False), ("sh_other", "vw_1", False)]
)
async def test_a_token_proves_a_hold_to_its_own_viewer_in_its_own_show(
    engine: ReservationEngine, redis: Redis, show_id: str, viewer_id: str, ours: bool
) -> None:
    await engine.put_deal(SHOW, deal())
    token = (await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])).token
    await redis.flushall()
    await assert_closed(engine)
    assert engine.prove(show_id, viewer_id, token) is ours
    assert engine.prove(show_id, viewer_id, token[:-2] + "AA") is False
    assert [proof.rid for proof in engine._batcher.memory.take_proofs(SHOW)] == (["rid-0001"] if ours else [])


async def test_a_token_handed_in_while_nothing_is_lost_is_forgotten(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal())
    token = (await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])).token
    assert engine.prove(SHOW, "vw_1", token)
    assert engine._batcher.memory.take_proofs(SHOW) == []
