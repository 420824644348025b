"""Health, readiness, measures and the shop's facts, with each part away in turn."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from livecommerce import __version__
from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.settings import Settings
from tests.people.support import Shop, refusal


@pytest.fixture
def shop(
    settings: Settings, database: Database, redis: Redis, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    monkeypatch.setattr("livecommerce.gateway.http.health.ANSWER_SECONDS_MAX", 60.0)
    return Shop(settings, database, redis, clock)


async def test_a_whole_server_is_alive_and_ready(shop: Shop) -> None:
    async with shop.browser() as balancer:
        assert (await balancer.get("/healthz")).json() == {"ok": True}
        ready = await balancer.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ok": True, "redis": "ok", "database": "ok"})


async def test_without_redis_it_is_alive_not_ready_and_says_which(shop: Shop) -> None:
    shop.parts.redis = Redis(unix_socket_path="/nonexistent", retry=Retry(NoBackoff(), 0))
    async with shop.browser() as balancer:
        assert (await balancer.get("/healthz")).status_code == 200
        ready = await balancer.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"ok": False, "redis": "away", "database": "ok"})


async def test_without_the_database_it_is_not_ready_and_says_which(shop: Shop) -> None:
    shop.parts.database = Database("sqlite+aiosqlite:////nonexistent/ledger.sqlite3")
    async with shop.browser() as balancer:
        ready = await balancer.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"ok": False, "redis": "ok", "database": "away"})


async def test_a_part_that_never_answers_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        async def ping(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr("livecommerce.gateway.http.health.ANSWER_SECONDS_MAX", 0.01)
    shop.parts.redis = Silent()
    async with shop.browser() as balancer:
        assert (await balancer.get("/readyz")).json()["redis"] == "away"


async def test_measures_are_for_this_machine_where_no_token_is_set(shop: Shop) -> None:
    async with shop.browser() as here:
        answer = await here.get("/metrics")
        assert "livecommerce_http_seconds_bucket" in answer.text
        # A proxy on this machine brings the whole world along on loopback.
        forwarded = await here.get("/metrics", headers={"x-forwarded-for": "203.0.113.7"})
        assert await refusal(forwarded) == (403, "forbidden")
    async with shop.browser(peer="203.0.113.7") as elsewhere:
        assert await refusal(await elsewhere.get("/metrics")) == (403, "forbidden")


async def test_measures_are_for_the_bearer_of_the_token_where_one_is_set(shop: Shop) -> None:
    shop = shop.with_settings(metrics_token="m" * 32)
    async with shop.browser(peer="203.0.113.7") as elsewhere:
        assert await refusal(await elsewhere.get("/metrics")) == (401, "sign_in")
        wrong = {"authorization": "Bearer " + "n" * 32}
        assert await refusal(await elsewhere.get("/metrics", headers=wrong)) == (401, "sign_in")
        right = {"authorization": "Bearer " + "m" * 32}
        assert (await elsewhere.get("/metrics", headers=right)).status_code == 200


async def test_measures_name_routes_and_never_what_strangers_typed(shop: Shop) -> None:
    async with shop.browser() as here:
        await here.get("/s/lnk_typed_by_a_stranger")
        await here.get("/nowhere/typed-by-a-stranger")
        text = (await here.get("/metrics")).text
    assert 'route="/s/{link_id}"' in text
    assert 'route="none"' in text
    assert "stranger" not in text


async def test_the_shops_facts(shop: Shop) -> None:
    shop = shop.with_settings(currency="JPY", mode="demo", insecure=True)
    async with shop.browser() as page:
        assert (await page.get("/api/shop")).json() == {
            "name": "livecommerce",
            "currency": "JPY",
            "minor_digits": 0,
            "locale": "en",
            "time_zone": "Europe/Paris",
            "mode": "demo",
            "insecure": True,
            "demo": True,
            "now_ms": shop.clock.now_ms(),
            "version": __version__,
        }
