"""The demo's endpoints: there in a demo, and nowhere else."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.demo.board import Board, Buyers, Wish, next_wish, write_board
from livecommerce.errors import R
from livecommerce.ledger.database import Database
from livecommerce.settings import Settings
from tests.people.support import Shop

ENDPOINTS = (
    ("POST", "/api/demo/arrive"),
    ("GET", "/api/demo/sum"),
    ("POST", "/api/demo/buyers"),
    ("POST", "/api/demo/kill"),
    ("GET", "/demo/media/clip.mp4"),
)


def word(answer: httpx.Response) -> str:
    """The refusal by its word."""
    number = answer.json()["number"]
    return next(row.value.word for row in R if row.value.number == number)


def shop_in(mode: Any, settings: Settings, database: Database, redis: Redis, clock: TestClock) -> Shop:
    return Shop(replace(settings, mode=mode), database, redis, clock)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_in_every_other_mode_they_do_not_exist_and_nobody_hears_of_it(
    method: str, path: str, settings: Settings, database: Database, redis: Redis, clock: TestClock
) -> None:
    for mode in ("development", "production"):
        async with shop_in(mode, settings, database, redis, clock).browser() as browser:
            answer = await browser.request(method, path, json={} if path.endswith("buyers") else None)
        assert word(answer) == "not_found"
    assert await next_wish(redis, 0.01) is None


async def test_before_the_show_is_on_air_visitor_and_crowd_are_asked_to_try_again(
    settings: Settings, database: Database, redis: Redis, clock: TestClock
) -> None:
    async with shop_in("demo", settings, database, redis, clock).browser() as browser:
        assert word(await browser.post("/api/demo/arrive")) == "unavailable"
        assert word(await browser.post("/api/demo/buyers", json={})) == "unavailable"
        assert (await browser.get("/api/demo/sum")).json()["phase"] == "preparing"
    assert await next_wish(redis, 0.01) is None


async def test_one_crowd_at_a_time(settings: Settings, database: Database, redis: Redis, clock: TestClock) -> None:
    async with shop_in("demo", settings, database, redis, clock).browser() as browser:
        await write_board(redis, Board("shw_1", "story"))
        assert (await browser.post("/api/demo/buyers", json={"count": 20})).status_code < 300
        assert await next_wish(redis, 0.01) == Wish("buyers", count=20)
        await write_board(redis, Board("shw_1", "story", buyers=Buyers("tapping", 20, 20, 3)))
        assert word(await browser.post("/api/demo/buyers", json={})) == "too_many"
        assert word(await browser.post("/api/demo/buyers", json={"count": 0})) == "malformed"
    assert await next_wish(redis, 0.01) is None


async def test_clip_and_poster_are_served_and_nothing_beside_them(
    settings: Settings, database: Database, redis: Redis, clock: TestClock
) -> None:
    async with shop_in("demo", settings, database, redis, clock).browser() as browser:
        poster = await browser.get("/demo/media/poster.webp")
        assert (poster.status_code, poster.headers["content-type"]) == (200, "image/webp")
        assert word(await browser.get("/demo/media/catalogue.csv")) == "not_found"
