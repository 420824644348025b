"""The world of these tests, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.orders.world import World, seed


@pytest.fixture
async def world(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[World]:
    engine = ReservationEngine(redis, settings, clock, database)
    await engine.start()
    world = World(database, engine, redis, settings, clock)
    await seed(world)
    yield world
    await world.aclose()
    await engine.aclose()
