"""A break of the show lengthens what is held: once, by a bounded part in each call, and never past a cap."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine, keys, verbs
from livecommerce.reservations.lengthening import BREAK_MS_MAX, BREAK_MS_MIN, Lengthened
from livecommerce.reservations.relay_format import DUE, record
from livecommerce.reservations.store import Store
from livecommerce.reservations.witnesses import live_witnesses
from livecommerce.settings import Settings
from tests.redis_servers import WAIT_SECONDS
from tests.reservations.conftest import HOLD_MS, PAY_MS, SHOW, deal, viewer
from tests.reservations.test_engine import listening

Turn = Callable[[int], Awaitable[None]]
Books = Callable[[], Awaitable[dict[str, Any]]]
RID = "rid-0001"
BREAK_MS = 40_000


async def reserve(engine: ReservationEngine, number: int = 1, *lines: tuple[str, int], **how: Any) -> Any:
    return await engine.reserve(SHOW, viewer(number), RID, list(lines) or [("dl_a", 1)], **how)


async def state_of(engine: ReservationEngine, number: int) -> str:
    return next((hold.state for hold in await engine.holds_of(SHOW, f"vw_{number}")), "")


async def due_of(redis: Redis, number: int) -> int:
    return int(record(await redis.hget(keys.rids(SHOW), f"vw_{number}/{RID}"))[DUE])


async def one_part(redis: Redis, number: int = 1, break_ms: int = BREAK_MS) -> list[int]:
    """One call of the script: whoever made it has died before the next."""
    store = Store(redis)
    batch = (b"tip", 60_000, 1_000_000, [(verbs.LENGTHEN, number, break_ms)])
    answer = await store.call(SHOW, msgpack.packb(batch, use_bin_type=False))
    await store.aclose()
    return list(answer[5][0])


async def test_what_is_held_ends_later_by_the_break_and_neither_earlier_nor_much_later(
    engine: ReservationEngine, turn: Turn
) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await reserve(engine)

    assert await engine.lengthen(SHOW, 1, BREAK_MS) == Lengthened(1, 0)
    await turn(HOLD_MS + BREAK_MS - 20_000)
    await engine.heartbeat(SHOW)
    assert await state_of(engine, 1) == "held"
    await turn(20_000)
    assert (await engine.heartbeat(SHOW)).expired == 1
    assert (await engine.levels(SHOW))[1]["dl_a"].available == 1


async def test_an_offer_waits_longer_and_who_pays_or_waits_is_left_alone(
    engine: ReservationEngine, redis: Redis, turn: Turn, settings: Settings
) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    for number in (1, 2, 3, 4):
        await reserve(engine, number, wait=True)
    await engine.begin_pay(SHOW, "vw_1", RID, PAY_MS)
    await engine.release(SHOW, "vw_2", RID)  # offered to the third
    before = await due_of(redis, 1)

    assert await engine.lengthen(SHOW, 1, BREAK_MS) == Lengthened(1, 0)
    assert await due_of(redis, 1) == before
    await turn(settings.offer_seconds * 1000 + BREAK_MS - 20_000)
    await engine.heartbeat(SHOW)
    assert [await state_of(engine, number) for number in (1, 3, 4)] == ["paying", "offered", "waiting"]
    await turn(20_000)
    assert (await engine.heartbeat(SHOW)).lapsed == 1


async def test_a_break_lengthens_once_and_an_earlier_one_not_any_more(engine: ReservationEngine, books: Books) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await reserve(engine)
    done = await engine.lengthen(SHOW, 7, BREAK_MS)
    before = await books()

    assert await engine.lengthen(SHOW, 7, BREAK_MS_MAX) == done
    assert await engine.lengthen(SHOW, 6, BREAK_MS) == Lengthened(0, 0)
    assert await books() == before
    assert await engine.lengthen(SHOW, 8, BREAK_MS) == done
    assert await books() != before


async def test_a_hold_of_after_the_tap_is_not_lengthened_whatever_the_break_still_walks(
    engine: ReservationEngine, redis: Redis, turn: Turn
) -> None:
    """Three hundred holds are two parts and more; between them some end, and others begin in their queue."""
    await engine.put_deal(SHOW, deal(quota=700))
    for number in range(300):
        await reserve(engine, number)
        if number % 50 == 0:
            await turn(1)
    ends = {number: await due_of(redis, number) for number in range(300)}

    _, lengthened, _, more = await one_part(redis)
    assert 128 <= lengthened < 300
    assert more == 1
    for number in range(150, 200):
        await engine.release(SHOW, f"vw_{number}", RID)
    await reserve(engine, 500)
    late = await due_of(redis, 500)

    assert await engine.lengthen(SHOW, 1, BREAK_MS) == Lengthened(250, 0)
    assert await due_of(redis, 500) == late
    moved = {number: await due_of(redis, number) - due for number, due in ends.items()}
    assert {moved[number] for number in range(150)} == {moved[number] for number in range(200, 300)} == {BREAK_MS}
    assert (await engine.levels(SHOW))[1]["dl_a"].held == 251


async def test_a_queue_that_ran_empty_between_two_parts_and_began_anew_is_not_walked_again(
    engine: ReservationEngine, redis: Redis, turn: Turn
) -> None:
    await engine.put_deal(SHOW, deal(quota=700))
    for number in range(300):
        await reserve(engine, number)
    lengthened = (await one_part(redis))[1]
    await turn(HOLD_MS + 1_000)  # all that were not lengthened yet end; those that were live on
    while (await engine.heartbeat(SHOW)).expired:
        pass
    for number in range(400, 700):
        await reserve(engine, number)
    ends = [await due_of(redis, number) for number in range(400, 700)]

    assert await engine.lengthen(SHOW, 1, BREAK_MS) == Lengthened(lengthened, 0)
    assert [await due_of(redis, number) for number in range(400, 700)] == ends


async def test_holds_of_several_durations_and_breaks_end_each_at_its_own_time(
    engine: ReservationEngine, turn: Turn
) -> None:
    await engine.put_deal(SHOW, deal(quota=9))
    await engine.put_deal(SHOW, deal("dl_b", quota=9, hold_ms=HOLD_MS + BREAK_MS))
    await reserve(engine, 1)  # ends at 100 s; by both breaks at 160 s
    await engine.lengthen(SHOW, 1, BREAK_MS)
    await turn(10_000)
    await reserve(engine, 2, ("dl_b", 1))  # at 150 s; by the second at 170 s
    await engine.lengthen(SHOW, 2, 20_000)
    await reserve(engine, 3)  # at 110 s
    await turn(10_000)
    await reserve(engine, 4, ("dl_b", 1))  # at 160 s
    ended: list[tuple[int, list[str]]] = []
    for seconds in range(20, 180, 10):
        await engine.heartbeat(SHOW)
        ended.append((seconds, [await state_of(engine, number) for number in (1, 2, 3, 4)]))
        await turn(10_000)

    gone = {number: next(at for at, states in ended if not states[number - 1]) for number in (1, 2, 3, 4)}
    assert gone == {1: 160, 2: 170, 3: 110, 4: 160}


@pytest.mark.parametrize(
    ("cap_ms", "told"),
    [
        (HOLD_MS + BREAK_MS + 20_000, Lengthened(2, 0)),
        (HOLD_MS + BREAK_MS - 20_000, Lengthened(1, 1)),
        (0, Lengthened(2, 0)),
    ],
)
async def test_a_cap_on_the_time_held_keeps_a_hold_as_it_is(
    engine: ReservationEngine, redis: Redis, cap_ms: int, told: Lengthened
) -> None:
    await engine.put_deal(SHOW, deal(quota=9, hold_cap_ms=cap_ms))
    await engine.put_deal(SHOW, deal("dl_free", quota=9))
    await reserve(engine, 1)
    await reserve(engine, 2, ("dl_free", 1))
    before = await due_of(redis, 1)

    assert await engine.lengthen(SHOW, 1, BREAK_MS) == told
    assert await due_of(redis, 1) - before == (0 if told.capped else BREAK_MS)


async def test_of_a_cart_every_deals_cap_is_asked(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal(quota=9, hold_cap_ms=HOLD_MS + BREAK_MS + 20_000))
    await engine.put_deal(SHOW, deal("dl_b", quota=9, hold_cap_ms=HOLD_MS + BREAK_MS - 20_000))
    await reserve(engine, 1, ("dl_a", 1), ("dl_b", 1))

    assert await engine.lengthen(SHOW, 1, BREAK_MS) == Lengthened(0, 1)


async def test_time_that_was_not_used_comes_back_with_the_breaks(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=9, hold_cap_ms=2 * HOLD_MS + 20_000))
    await reserve(engine)
    await engine.lengthen(SHOW, 1, BREAK_MS)
    await engine.release(SHOW, "vw_1", RID)

    for rid in ("rid-0002", "rid-0003"):  # so there is time for two whole holds again
        assert (await engine.reserve(SHOW, viewer(1), rid, [("dl_a", 1)])).state == "held"
    assert await engine.lengthen(SHOW, 2, BREAK_MS) == Lengthened(0, 2)


@pytest.mark.parametrize("break_ms", [BREAK_MS_MIN - 1, BREAK_MS_MAX + 1, 0, -5])
async def test_a_break_out_of_bounds_is_refused_and_nothing_moves(
    engine: ReservationEngine, books: Books, break_ms: int
) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await reserve(engine)
    before = await books()
    with pytest.raises(Refused) as refused:
        await engine.lengthen(SHOW, 1, break_ms)
    assert refused.value.why is R.MALFORMED
    assert await books() == before


async def test_each_holder_is_told_her_new_end(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    for number in (1, 2):
        await reserve(engine, number)
    ends = [await due_of(redis, number) for number in (1, 2)]
    async with listening(redis, keys.channel(SHOW)) as pubsub:
        await engine.lengthen(SHOW, 1, BREAK_MS)
        message = await pubsub.get_message(timeout=WAIT_SECONDS)
    _, _, levels, holds = msgpack.unpackb(message["data"], raw=True)
    assert not levels
    assert {viewer_id: record(raw)[DUE] for viewer_id, _, raw in holds} == {
        b"vw_1": ends[0] + BREAK_MS, b"vw_2": ends[1] + BREAK_MS,
    }  # fmt: skip


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_at_level_ledger_the_row_has_the_new_end_before_it_is_told(
    redis: Redis, settings: Settings, clock: TestClock, database: Database
) -> None:
    engine = ReservationEngine(redis, settings, clock, database)
    await engine.start()
    await engine.open_show(SHOW)
    await engine.put_deal(SHOW, deal(quota=2, level="ledger"))
    await engine.put_deal(SHOW, deal("dl_soft", quota=2))
    await reserve(engine, 1)
    await reserve(engine, 2, ("dl_soft", 1))
    async with database.read() as connection:
        [before] = await live_witnesses(connection, SHOW)
    async with listening(redis, keys.channel(SHOW)) as pubsub:
        await engine.lengthen(SHOW, 1, BREAK_MS)
        told = set()
        while len(told) < 2:
            message = await pubsub.get_message(timeout=WAIT_SECONDS)
            told |= {viewer_id for viewer_id, _, _ in msgpack.unpackb(message["data"], raw=True)[3]}
    async with database.read() as connection:
        [after] = await live_witnesses(connection, SHOW)

    assert told == {b"vw_1", b"vw_2"}
    assert abs(after.due_at_ms - before.due_at_ms - BREAK_MS) < 15_000  # the hold clock ran a little meanwhile
    await engine.aclose()
