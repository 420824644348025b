"""The sequencer again, on a cluster of three masters, where its script, its transactions and its channel are one
slot's, and on the oldest Redis that is promised."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.hot_state import connect
from tests.redis_servers import Cluster, Server
from tests.shows.test_news import *  # noqa: F403  (the contract; the fixture below says where it is held)

del test_offsets_stay_dense_when_two_processes_publish_at_once  # noqa: F821  (its processes ask the Valkey)


@pytest.fixture(params=["cluster", "oldest_server"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    where: Cluster | Server = request.getfixturevalue(request.param)
    client = connect(where.url)
    await client.flushall()
    yield client
    await client.aclose()
