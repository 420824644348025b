"""The heartbeat duty: 250 ms where there are holds, a look now and then where there are none."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.background.holds import FORGET_SECONDS, Heartbeats
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.people.identity import ViewerIdentity
from livecommerce.reservations import DealStock, ReservationEngine, keys
from livecommerce.reservations.engine import Beat
from livecommerce.settings import Settings

SHOW = "sh_beats"


@pytest.fixture
async def engine(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[ReservationEngine]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    await engine.open_show(SHOW)
    await engine.put_deal(SHOW, DealStock("dl_a", 3, 2, 100_000, 100_000, "open"))
    yield engine
    await engine.aclose()


async def test_a_show_with_holds_is_beaten_each_quarter_of_a_second(
    engine: ReservationEngine, clock: TestClock
) -> None:
    beats = Heartbeats(engine, clock)
    await engine.reserve(SHOW, ViewerIdentity("vw_1", ""), "rid-0001", [("dl_a", 1)])
    beaten = []
    for _ in range(4):
        beaten.append(list(await beats.beat_due()))
        await clock.advance(0.25)
    assert beaten == [[SHOW]] * 4


async def test_a_turn_that_comes_a_tenth_early_beats_too(engine: ReservationEngine, clock: TestClock) -> None:
    """Or every other turn would be in vain, and holds would end up to 500 ms late and a turn later."""
    beats = Heartbeats(engine, clock)
    await engine.reserve(SHOW, ViewerIdentity("vw_1", ""), "rid-0001", [("dl_a", 1)])
    beaten = []
    for _ in range(4):
        beaten.append(list(await beats.beat_due()))
        await clock.advance(0.25 * 0.9)
    assert beaten == [[SHOW]] * 4


async def test_a_quiet_show_is_looked_at_now_and_then(engine: ReservationEngine, clock: TestClock) -> None:
    beats = Heartbeats(engine, clock)
    beaten = []
    for _ in range(12):
        beaten.append(len(await beats.beat_due()))
        await clock.advance(0.25)
    assert beaten == [1, 0, 0, 0] * 3


async def test_what_waits_until_tomorrow_is_looked_at_now_and_then(engine: ReservationEngine, clock: TestClock) -> None:
    beats = Heartbeats(engine, clock)
    await engine.reserve(SHOW, ViewerIdentity("vw_1", ""), "rid-0001", [("dl_a", 1)])
    await engine.keep(SHOW, "vw_1", "rid-0001", 36 * 3_600_000)
    await engine.heartbeat(SHOW)
    # Its first, short time still stands in a queue: until that has run off, the beat is the quick one.
    assert len(await beats.beat_due()) == 1
    await clock.advance(0.25)
    assert len(await beats.beat_due()) == 1
    await engine._redis.hincrby(keys.meta(SHOW), "clk", 100_000)
    beaten = []
    for _ in range(7):
        await clock.advance(0.25)
        beaten.append(len(await beats.beat_due()))
    assert beaten == [1, 0, 0, 0, 1, 0, 0]


async def test_what_is_due_ends(engine: ReservationEngine, clock: TestClock, redis: Redis) -> None:
    beats = Heartbeats(engine, clock)
    await engine.reserve(SHOW, ViewerIdentity("vw_1", ""), "rid-0001", [("dl_a", 1)])
    await redis.hincrby(keys.meta(SHOW), "clk", 100_000)
    assert (await beats.beat_due())[SHOW].expired == 1


async def test_a_show_without_books_does_not_stop_the_others(engine: ReservationEngine, clock: TestClock, redis: Redis) -> None:  # noqa: E501  # fmt: skip
    await redis.sadd(keys.SHOWS, "sh_a_lost_one")
    assert list(await Heartbeats(engine, clock).beat_due()) == [SHOW]


async def test_a_closed_and_quiet_show_is_forgotten(engine: ReservationEngine, clock: TestClock, redis: Redis) -> None:
    beats = Heartbeats(engine, clock)
    await beats.beat_due()
    await engine.set_deal_status(SHOW, "dl_a", "closed")
    await redis.xtrim(keys.journal(SHOW), 0, approximate=False)
    await clock.advance(FORGET_SECONDS)
    await beats.beat_due()
    assert await engine.shows_to_watch() == ()


async def test_while_the_list_of_shows_is_away_the_known_ones_go_on(
    engine: ReservationEngine, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cluster the list and a show lie on different nodes."""
    beats = Heartbeats(engine, clock)
    await engine.reserve(SHOW, ViewerIdentity("vw_1", ""), "rid-0001", [("dl_a", 1)])

    async def away() -> tuple[str, ...]:
        raise Refused(R.BUSY)

    asked = engine.shows_to_watch
    monkeypatch.setattr(engine, "shows_to_watch", away)
    with pytest.raises(Refused):
        await beats.beat_due()
    monkeypatch.setattr(engine, "shows_to_watch", asked)
    assert list(await beats.beat_due()) == [SHOW]
    monkeypatch.setattr(engine, "shows_to_watch", away)
    beaten = []
    for _ in range(8):
        await clock.advance(0.25)
        beaten.append(list(await beats.beat_due()))
    assert beaten == [[SHOW]] * 8


async def test_a_show_that_does_not_answer_keeps_no_other_waiting(
    engine: ReservationEngine, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.open_show("sh_stands_still")
    heartbeat = engine.heartbeat

    async def beat(show_id: str) -> Beat:
        if show_id != SHOW:
            await asyncio.Event().wait()
        return await heartbeat(show_id)

    monkeypatch.setattr(engine, "heartbeat", beat)
    assert list(await Heartbeats(engine, clock).beat_due()) == [SHOW]
