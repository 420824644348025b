"""The engine's whole contract again: on a Redis of another make and age, on the oldest that is promised, and on a
cluster of three masters."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.hot_state import connect
from tests.redis_servers import Cluster, Server
from tests.reservations.test_engine import *  # noqa: F403  (the contract; the fixture below says where it is held)


@pytest.fixture(params=["debian_server", "oldest_server", "cluster"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """A client of an emptied Redis, or of an emptied cluster; it is the same type to everybody."""
    where: Server | Cluster = request.getfixturevalue(request.param)
    client = connect(where.url)
    await client.flushall()
    yield client
    await client.aclose()
