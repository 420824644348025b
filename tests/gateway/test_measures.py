"""What the hub and Redis take, for `/metrics`: each histogram grows by one look and by the time that was spent."""

import math
from collections.abc import AsyncIterator, Collection

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from livecommerce.clock import TestClock
from livecommerce.gateway import hall
from livecommerce.gateway.measures import measure_redis
from livecommerce.gateway.outbox import Lane, Outbox
from livecommerce.gateway.seats import send_to_all
from livecommerce.protocol.facts import Note
from livecommerce.protocol.from_viewer import Ping, React, Say
from livecommerce.protocol.to_viewer import Levels, State, Talk
from livecommerce.settings import Settings
from tests.gateway.live import SHOW, Live, live, seat


def measured(name: str) -> float:
    value = REGISTRY.get_sample_value(name)
    assert value is not None
    return value


class Grown:
    """How many looks a histogram of the hub has had, and their sum, since this was made."""

    def __init__(self, name: str) -> None:
        self._name = f"livecommerce_hub_{name}"
        self._before = self._now()

    def _now(self) -> tuple[float, float]:
        return measured(f"{self._name}_count"), measured(f"{self._name}_sum")

    def __call__(self) -> tuple[float, float]:
        (count, total), (count_before, total_before) = self._now(), self._before
        return count - count_before, total - total_before


@pytest.fixture
async def one(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Live]:
    async with live(redis, settings, clock) as running:
        yield running


def writing_takes(one: Live, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(outboxes: Collection[Outbox], frame: bytes, lane: Lane) -> None:
        one.clock.spend(seconds)
        send_to_all(outboxes, frame, lane)

    monkeypatch.setattr(hall, "send_to_all", write)


async def test_a_card_says_how_late_it_is_written_and_how_long_that_took(
    one: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, _ = await seat(one, "a")
    await one.clock.advance(2)  # the head-count has been told
    writing_takes(one, 0.2, monkeypatch)
    late, took = Grown("publish_to_write_seconds"), Grown("fan_out_seconds")
    await one.shows.news.publish(SHOW, [Note("hello")], one.clock.now_ms() - 500)
    await raw.read_until(State)

    # To the millisecond: sums of floating point have a last digit of their own.
    assert late() == pytest.approx((1, 0.7), abs=1e-3)
    assert took() == pytest.approx((1, 0.2), abs=1e-3)


async def test_a_pass_of_talk_or_of_numbers_says_how_long_it_took(one: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, _ = await seat(one, "a")
    await one.clock.advance(2)
    writing_takes(one, 0.3, monkeypatch)
    took = Grown("fan_out_seconds")
    raw.send(Say("c1", "hello"))
    await raw.read_until(Talk)
    assert took() == pytest.approx((1, 0.3), abs=1e-3)

    await one.clock.advance(2)
    took = Grown("fan_out_seconds")
    raw.send(React("heart"))
    while not took()[0]:
        await one.clock.advance(0.5)
    assert (await raw.read_until(Levels)).hearts
    assert took() == pytest.approx((1, 0.3), abs=1e-3)


async def test_a_loop_that_was_kept_busy_says_how_late_it_woke(one: Live) -> None:
    await one.clock.advance(0.01)
    late = Grown("loop_lag_seconds")
    one.clock.spend(3)
    await one.clock.advance(0)

    count, seconds = late()
    assert count == 4  # the wheel, the ticks, the seconds and the comparison, each once
    assert 4 * 3 - 2 * (1 + 1 + 2) <= seconds < 4 * 3


async def test_with_her_ping_a_viewer_is_asked_how_much_waits_for_her(
    one: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livecommerce.rooms.relay.SILENCE_SECONDS_MAX", math.inf)  # all of it passes in no time
    raw, _ = await seat(one, "a")
    socket = one.hub.rooms[SHOW].sockets_of("a")[0]
    socket.outbox.paused()  # as the transport says once it holds a byte
    socket.outbox.send(bytes(5000), Lane.STATE)
    asked = Grown("queue_bytes")
    await one.clock.advance(one.hub.settings.ping_seconds + 1)
    socket.outbox.forget()

    assert asked() == (1, 5000)
    raw.send(Ping(1))  # her line was open all along


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
