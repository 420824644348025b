"""A show that really sells, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.audit.world import AuditWorld, HandyClock


@pytest.fixture
async def selling(database: Database, redis: Redis, settings: Settings) -> AsyncIterator[AuditWorld]:
    clock = HandyClock()
    engine = ReservationEngine(redis, settings, clock, database)
    await engine.start()
    world = AuditWorld(database, redis, settings, clock, engine)
    await world.open()
    yield world
    await world.aclose()
    await engine.aclose()
