"""Books made anew on the oldest Redis that is promised: the scripts of a rebuild, its window, its swap of all books."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.hot_state import connect
from tests.background.test_rebuild import (
    shop,
    test_a_leader_that_wakes_up_late_writes_nothing,
    test_after_redis_lost_everything_each_unit_is_where_it_was,
    test_two_histories_of_one_unit_end_with_one_holder_and_the_other_is_told,
)
from tests.orders.conftest import world
from tests.redis_servers import Server

__all__ = [
    "shop",
    "test_a_leader_that_wakes_up_late_writes_nothing",
    "test_after_redis_lost_everything_each_unit_is_where_it_was",
    "test_two_histories_of_one_unit_end_with_one_holder_and_the_other_is_told",
    "world",
]


@pytest.fixture
async def redis(oldest_server: Server) -> AsyncIterator[Redis]:
    client = connect(oldest_server.url)
    await client.flushall()
    yield client
    await client.aclose()
