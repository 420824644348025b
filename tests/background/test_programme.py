"""The programme's duty: at the instant, not a quarter of a second later, and never before."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.background.programme import AHEAD_SECONDS, ProgrammeDuty
from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.protocol import from_host as c
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from tests.shows.world import World


@pytest.fixture
async def world(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[World]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()
    yield world
    await engine.aclose()


async def test_an_instant_that_is_near_is_waited_for_to_the_millisecond(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    await world.do(show.show_id, c.OpenDeal(card.deals[0].deal_id, in_seconds=10))
    opens_at_ms = world.clock.now_ms() + 10_000
    await world.clock.advance(10 - AHEAD_SECONDS)

    turn = asyncio.create_task(ProgrammeDuty(world.shows.programme, world.clock).run(1))
    while not world.clock._sleepers:  # noqa: ASYNC110  its real I/O comes to the wait
        await asyncio.sleep(0.005)
    assert [world.clock._start_ms + round(at * 1000) for at, _, _ in world.clock._sleepers] == [opens_at_ms]
    assert (await world.deal(card.deals[0].deal_id)).status == "announced"
    await world.clock.advance(AHEAD_SECONDS)
    await turn

    assert (await world.deal(card.deals[0].deal_id)).status == "open"


async def test_an_instant_that_is_far_ends_the_turn(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    await world.do(show.show_id, c.OpenDeal(card.deals[0].deal_id, in_seconds=10))

    await ProgrammeDuty(world.shows.programme, world.clock).run(1)

    assert (await world.deal(card.deals[0].deal_id)).status == "announced"


async def test_a_quiet_house_costs_a_look(world: World) -> None:
    await ProgrammeDuty(world.shows.programme, world.clock).run(1)

    assert await world.shows.programme.due_changes() is None
