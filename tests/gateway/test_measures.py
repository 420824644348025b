"""What Redis uses, for `/metrics`."""

import math

from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from livecommerce.gateway.measures import measure_redis


def measured(name: str) -> float:
    value = REGISTRY.get_sample_value(name)
    assert value is not None
    return value


async def test_redis_says_what_it_has_used(redis: Redis) -> None:
    await measure_redis(redis)

    assert measured("livecommerce_redis_cpu_seconds") > 0
    assert measured("livecommerce_redis_resident_bytes") > 1_000_000


async def test_a_redis_that_is_away_is_no_number_and_no_failure() -> None:
    away = Redis(unix_socket_path="/nowhere/s", retry=Retry(NoBackoff(), 0))

    await measure_redis(away)

    assert math.isnan(measured("livecommerce_redis_cpu_seconds"))
    assert math.isnan(measured("livecommerce_redis_resident_bytes"))
    await away.aclose()
