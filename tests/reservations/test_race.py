"""Many at once: exactly the stock is held, every answer is accounted for, duplicates change nothing."""

import asyncio
from collections import Counter

from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold, Level
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.reservations.conftest import SHOW, deal, viewer


async def test_fifty_units_five_hundred_viewers_four_engines(
    engine: ReservationEngine, redis: Redis, settings: Settings, clock: TestClock
) -> None:
    """Each viewer asks twice under one rid, through different engines, as four processes would."""
    await engine.put_deal(SHOW, deal(quota=50, limit=1))
    engines = [engine, *(ReservationEngine(redis, settings, clock) for _ in range(3))]
    for other in engines[1:]:
        await other.start()

    async def tap(number: int, through: ReservationEngine) -> tuple[int, Hold | R]:
        try:
            return number, await through.reserve(SHOW, viewer(number), "rid-0001", [("dl_a", 1)])
        except Refused as refused:
            return number, refused.why

    taps = [tap(n, engines[(n + again) % 4]) for again in (0, 1) for n in range(500)]
    answers = await asyncio.gather(*taps)

    tickets: dict[int, set[int]] = {}
    for number, answer in answers:
        if isinstance(answer, Hold):
            tickets.setdefault(number, set()).add(answer.ticket)
    assert len(tickets) == 50
    assert sorted(ticket for of_one in tickets.values() for ticket in of_one) == list(range(1, 51))
    refusals = Counter(answer for _, answer in answers if not isinstance(answer, Hold))
    assert set(refusals) == {R.SOLD_OUT}
    assert refusals[R.SOLD_OUT] + sum(isinstance(answer, Hold) for _, answer in answers) == 1000
    assert (await engine.levels(SHOW))[1]["dl_a"] == Level(0, 50, 0, 0, 0)
    counts = await engine.counts(SHOW)
    assert (counts["asked"], counts["held"], counts["repeated"], counts["sold_out"]) == (
        1000, 50, 1000 - 50 - refusals[R.SOLD_OUT], refusals[R.SOLD_OUT],
    )  # fmt: skip
    for other in engines[1:]:
        await other.aclose()


async def test_reserve_release_and_wait_together_conserve_units(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=20, limit=2))

    async def visit(number: int) -> None:
        hold = await engine.reserve(SHOW, viewer(number), "rid-0001", [("dl_a", 1 + number % 2)], wait=True)
        if number % 3 == 0:
            await engine.release(SHOW, f"vw_{number}", hold.rid)

    await asyncio.gather(*(visit(n) for n in range(200)))
    level = (await engine.levels(SHOW))[1]["dl_a"]
    assert level.available + level.held == 20
    assert level.available == 0
    assert level.waiting > 0


async def test_one_viewer_with_many_rids_never_passes_her_limit(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=100, limit=3))
    asked = [engine.reserve(SHOW, viewer(1), f"rid-{n:04}", [("dl_a", 1)]) for n in range(60)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Hold) for answer in answers) == 3
    assert (await engine.levels(SHOW))[1]["dl_a"] == Level(97, 3, 0, 0, 0)
