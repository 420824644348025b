"""The shop of these tests with all its channels: thirty units of `va_a` in the warehouse, two of `va_b` at counter
north."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert

from livecommerce.channels.service import Channels, channels_over
from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import viewers
from livecommerce.people.service import People
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.shelves.conftest import database as database
from tests.shelves.world import Shop, seed_shop, viewer


@pytest.fixture
async def shop(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Shop]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    shop = Shop(database, engine, redis, settings, clock)
    await seed_shop(shop, units=30)
    rows = [
        {"id": viewer(n).viewer_id, "name": f"Viewer {n}", "kind": "guest", "created_at_ms": 1} for n in range(1, 5)
    ]
    await database.write(lambda connection: connection.execute(insert(viewers), rows))
    yield shop
    await shop.aclose()
    await engine.aclose()


@pytest.fixture
def channels(shop: Shop) -> Channels:
    people = People(shop.database, shop.redis, shop.settings, shop.clock)
    return channels_over(
        shop.database, shop.engine, shop.shelves, shop.orders, people, shop.catalogue, shop.settings, shop.clock
    )
