"""Rules of offers over HTTP: who may say them, and what is answered."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from livecommerce.clock import TestClock
from livecommerce.gateway.api import routes_of
from livecommerce.gateway.door import Door
from livecommerce.gateway.http.offers import table
from livecommerce.people.service import People
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.offer_books import OfferBooks
from tests.gateway.real_house import sqlite_ledger
from tests.shows.world import ANA, HOST, MANAGER, MODERATOR, STRANGER, World

RULE = {"moment": "paid", "offer_kind": "product", "offer_value": "velvet-lip", "words": {"en": "Goes with it"}}


@pytest.fixture
async def ask(
    sqlite_template: Path, tmp_path: Path, redis: Redis, settings: Settings, clock: TestClock
) -> AsyncIterator[Any]:
    async with sqlite_ledger(sqlite_template, tmp_path) as database:
        engine = ReservationEngine(redis, settings, clock)
        await engine.start()
        world = World(database, redis, settings, clock, engine)
        await world.seed()
        show_id = (await world.show(live=False)).show_id
        people = People(database, redis, settings, clock)
        parts: Any = SimpleNamespace(
            settings=settings, clock=clock, people=people, shows=world.shows, offers=OfferBooks(database, clock),
            door=Door(people, database, settings, clock),
        )  # fmt: skip
        transport = httpx.ASGITransport(Starlette(routes=routes_of(table.endpoints, parts)))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:

            async def call(who: Any, method: str, rest: str = "", body: Any = None) -> tuple[int, Any]:
                tokens = people.tokens
                made = tokens.for_staff(who.account_id, 1) if hasattr(who, "account_id") else tokens.for_viewer(who)
                headers = {"authorization": f"Bearer {made.token}"}
                path = f"/api/staff/shows/{show_id}/offers{rest}"
                answer = await client.request(method, path, json=body, headers=headers)
                return answer.status_code, answer.json()

            yield call
        await engine.aclose()


async def test_a_rule_is_said_read_changed_and_taken_away(ask: Any) -> None:
    status, rule = await ask(HOST, "POST", "", RULE)
    assert (status, rule["at_most"], rule["of_kind"], rule["words"]) == (200, 1, "any", {"en": "Goes with it"})
    assert await ask(MODERATOR, "GET") == (200, {"rules": [rule], "counts": []})
    status, changed = await ask(HOST, "PUT", f"/{rule['rule_id']}", {"moment": "paid", "offer_kind": "most_left"})
    assert (status, changed["rule_id"], changed["offer_kind"]) == (200, rule["rule_id"], "most_left")
    assert (await ask(HOST, "DELETE", f"/{rule['rule_id']}"))[0] == 200
    assert (await ask(HOST, "GET"))[1]["rules"] == []


async def test_a_rule_without_sense_or_without_right_is_refused(ask: Any) -> None:
    for who, body, status, word in (
        (ANA, RULE, 403, "forbidden"),
        (MODERATOR, RULE, 403, "forbidden"),
        (STRANGER, RULE, 403, "forbidden"),
        (HOST, RULE | {"everywhere": True}, 403, "forbidden"),
        (HOST, RULE | {"offer_value": "no-such"}, 422, "offer_rule"),
        (HOST, RULE | {"offer_kind": "counter", "offer_value": ""}, 422, "offer_rule"),
        (HOST, RULE | {"at_most": 0}, 400, "malformed"),
        (HOST, RULE | {"moment": "whenever"}, 400, "malformed"),
        (HOST, RULE | {"words": {"tlh": "nuqneH"}}, 400, "malformed"),
        (HOST, RULE | {"surprise": 1}, 400, "malformed"),
    ):
        answer = await ask(who, "POST", "", body)
        assert answer[0] == status, (body, answer)
        assert word in str(answer[1]), (body, answer)
    assert (await ask(MANAGER, "POST", "", RULE | {"everywhere": True}))[1]["everywhere"]
    assert len((await ask(HOST, "GET"))[1]["rules"]) == 1


async def test_rules_are_put_in_order_by_who_plans(ask: Any) -> None:
    ids = [(await ask(HOST, "POST", "", RULE))[1]["rule_id"] for _ in range(2)]
    assert (await ask(HOST, "POST", "/order", {"rule_ids": ids[::-1]}))[0] == 200
    assert [rule["rule_id"] for rule in (await ask(HOST, "GET"))[1]["rules"]] == ids[::-1]
    for who, listed, status in ((MODERATOR, ids, 403), (HOST, ids[:1], 409), (HOST, ["x"] * 101, 400)):
        assert (await ask(who, "POST", "/order", {"rule_ids": listed}))[0] == status
    assert [rule["rule_id"] for rule in (await ask(HOST, "GET"))[1]["rules"]] == ids[::-1]
