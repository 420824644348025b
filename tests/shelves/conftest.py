"""The shop of these tests, on SQLite and on PostgreSQL, with thirty units of `va_a` in the warehouse."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.shelves.world import Shop, seed_shop


@pytest.fixture
async def shop(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Shop]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    shop = Shop(database, engine, redis, settings, clock)
    await seed_shop(shop, units=30)
    yield shop
    await shop.aclose()
    await engine.aclose()
