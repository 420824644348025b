"""The shop fixture for tests of people."""

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.settings import Settings
from tests.people.support import Shop


@pytest.fixture
def shop(settings: Settings, database: Database, redis: Redis, clock: TestClock) -> Shop:
    return Shop(settings, database, redis, clock)
