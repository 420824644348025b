"""The script under hostile arguments, the history fence and the crowd again, on the oldest Redis that is promised."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.hot_state import connect
from tests.redis_servers import Server
from tests.reservations.test_fence import *  # noqa: F403  (three contracts; the fixture below says where they are held)
from tests.reservations.test_race import *  # noqa: F403
from tests.reservations.test_script import *  # noqa: F403

# Five seconds of work about counts and lists, in which no version differs from another.
del test_a_hundred_thousand_rids_of_one_viewer_cost_a_refusal_each_and_leave_nothing  # noqa: F821


@pytest.fixture
async def redis(oldest_server: Server) -> AsyncIterator[Redis]:
    client = connect(oldest_server.url)
    await client.flushall()
    yield client
    await client.aclose()


async def test_it_is_a_redis_6_2(redis: Redis) -> None:
    """Should the wheel ever bring another one, its tests would say nothing."""
    assert (await redis.info("server"))["redis_version"].startswith("6.2.")
