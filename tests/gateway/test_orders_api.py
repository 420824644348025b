"""Orders over HTTP: the real door and table, the test provider's webhooks through the same routes."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import insert
from starlette.applications import Starlette

from livecommerce.clock import TestClock
from livecommerce.gateway.api import BODY_BYTES_MAX, routes_of
from livecommerce.gateway.door import Door
from livecommerce.gateway.http.orders import table
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts
from livecommerce.people.service import People
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.orders.world import SHOW, World, rid, seed, viewer

SHIP = {
    "show_id": SHOW, "rid": rid(1), "delivery": "ship", "contact_name": "Ana", "contact": "ana@example.com",
    "address": {"line1": "1 Rue de la Paix", "postcode": "75002", "city": "Paris", "country": "France"},
}  # fmt: skip


class Shop:
    def __init__(self, world: World, people: People, client: httpx.AsyncClient) -> None:
        self.world = world
        self.people = people
        self.client = client

    def _headers(self, who: Any) -> dict[str, str]:
        if who is None:
            return {}
        if isinstance(who, int):
            return {"authorization": f"Bearer {self.people.tokens.for_viewer(viewer(who)).token}"}
        return {"authorization": f"Bearer {self.people.tokens.for_staff(who, 1).token}"}

    async def ask(self, who: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """`who`: a viewer's number, an account's id, or None. The status and the JSON."""
        answer = await self.client.request(method, path, json=body, headers=self._headers(who))
        return answer.status_code, answer.json()

    async def paid(self, delivery: str = "ship") -> dict[str, Any]:
        await self.world.hold()
        pickup = SHIP | {"delivery": "pickup", "pickup_location_id": "lo_north"}
        status, answer = await self.ask(1, "POST", "/api/checkouts", SHIP if delivery == "ship" else pickup)
        assert status == 200, answer
        await self.ask(None, "POST", f"/api{_path(answer['pay_url'])}/pay")
        await self.world.orders.run_outbox()
        return dict(answer["order"])


def _path(url: str) -> str:
    return httpx.URL(url).path


@pytest.fixture
async def shop(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Shop]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, engine, redis, settings, clock)
    await seed(world)
    await database.write(
        lambda connection: connection.execute(
            insert(accounts),
            [
                _account("ac_boss", "manager", "ou_hq"),
                _account("ac_south", "advisor", "ou_south"),
                _account("ac_mod", "moderator", "ou_hq"),
            ],
        )
    )
    people = People(database, redis, settings, clock)
    door = Door(people, database, settings, clock)
    parts: Any = SimpleNamespace(
        settings=settings, clock=clock, database=database, people=people, door=door, engine=engine
    )
    app = Starlette(routes=routes_of(table.endpoints, parts))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080")
    world.client, unused = client, world.client
    await unused.aclose()
    world.providers = world.providers_over(client)
    parts.orders = world.restart()
    yield Shop(world, people, client)
    await world.aclose()
    await engine.aclose()


def _account(account_id: str, role: str, unit: str) -> dict[str, Any]:
    return {
        "id": account_id, "email": f"{account_id}@example.com", "name": account_id, "password_hash": "-", "role": role,
        "org_unit_id": unit, "created_at_ms": 1,
    }  # fmt: skip


async def test_a_viewer_checks_out_pays_and_reads_her_order(shop: Shop) -> None:
    await shop.world.hold()

    status, answer = await shop.ask(1, "POST", "/api/checkouts", SHIP)
    ref = answer["pay_url"].rpartition("/")[2]
    _, page = await shop.ask(None, "GET", f"/api/pay/test/{ref}")
    _, pressed = await shop.ask(None, "POST", f"/api/pay/test/{ref}/pay")
    _, order = await shop.ask(1, "GET", f"/api/orders/{answer['order']['order_id']}")
    _, listed = await shop.ask(1, "GET", "/api/orders")

    assert status == 200
    assert (page["banner"], page["amount_minor"], page["state"]) == ("TEST — no money moves", 2489, "open")
    assert page["order_number"] == answer["order"]["number"]
    assert (pressed["webhooks"], pressed["page"]["order_status"]) == ([200], "confirmed")
    assert (order["order"]["status"], order["order"]["livemode"]) == ("confirmed", False)
    assert listed["orders"] == [order]


async def test_decline_retry_and_cancel_over_http(shop: Shop) -> None:
    await shop.world.hold()
    _, answer = await shop.ask(1, "POST", "/api/checkouts", SHIP)
    at = f"/api/orders/{answer['order']['order_id']}"
    await shop.ask(None, "POST", f"/api{_path(answer['pay_url'])}/decline")

    _, declined = await shop.ask(1, "GET", at)
    _, again = await shop.ask(1, "POST", f"{at}/retry")
    status, cancelled = await shop.ask(1, "POST", f"{at}/cancel")

    assert declined["order"]["status"] == "declined"
    assert again["pay_url"] not in ("", answer["pay_url"])
    assert (status, cancelled["order"]["status"]) == (200, "cancelled")


async def test_the_pickup_code_is_shown_as_a_picture_and_collected_at_the_counter(shop: Shop) -> None:
    order = await shop.paid("pickup")
    _, page = await shop.ask(1, "GET", f"/api/orders/{order['order_id']}")
    code = page["order"]["pickup_code"]

    picture = await shop.client.get(f"/api/orders/{order['order_id']}/pickup.svg", headers=shop._headers(1))
    _, looked = await shop.ask("ac_1", "GET", f"/api/staff/pickups/{code}")
    _, first = await shop.ask("ac_1", "POST", f"/api/staff/pickups/{code}/collect")
    _, second = await shop.ask("ac_1", "POST", f"/api/staff/pickups/{code}/collect")
    _, day = await shop.ask("ac_boss", "GET", "/api/staff/pickups?location=lo_north")

    assert picture.headers["content-type"] == "image/svg+xml"
    assert (looked["already"], first["already"], second["already"]) == (False, False, True)
    assert [pickup["code"] for pickup in day["pickups"]] == [code]


async def test_the_desk_lists_the_orders_of_its_show(shop: Shop) -> None:
    await shop.paid()

    status, seen = await shop.ask("ac_1", "GET", f"/api/staff/shows/{SHOW}/orders")

    assert status == 200
    assert [order["test"] for order in seen["orders"]] == [True]
    assert (seen["totals"]["revenue_minor"], seen["totals"]["test_minor"]) == (0, 2489)


@pytest.mark.parametrize(
    ("who", "method", "path", "word"),
    [
        (None, "POST", "/api/checkouts", "sign_in"),
        (None, "GET", "/api/orders", "sign_in"),
        ("ac_1", "POST", "/api/checkouts", "forbidden"),
        (1, "GET", f"/api/staff/shows/{SHOW}/orders", "forbidden"),
        ("ac_south", "GET", f"/api/staff/shows/{SHOW}/orders", "forbidden"),
        ("ac_south", "GET", "/api/staff/pickups?location=lo_north", "forbidden"),
        ("ac_mod", "GET", "/api/staff/pickups?location=lo_north", "forbidden"),
        ("ac_boss", "GET", "/api/staff/pickups", "not_found"),
        ("ac_boss", "GET", "/api/staff/shows/sh_none/orders", "not_found"),
        ("ac_boss", "POST", "/api/staff/pickups/AAAAAA/collect", "not_found"),
        (1, "GET", "/api/orders/or_none", "not_found"),
        (1, "POST", "/api/orders/or_none/cancel", "not_found"),
        (None, "GET", "/api/pay/test/test_none", "not_found"),
        (None, "POST", "/api/pay/test/test_none/pay", "not_found"),
        (None, "POST", "/api/pay/test/test_none/steal", "not_found"),
        (None, "POST", "/webhooks/test", "signature"),
        (None, "POST", "/webhooks/other", "not_found"),
    ],
)
async def test_whoever_may_not_is_refused_by_the_closed_list(
    shop: Shop, who: Any, method: str, path: str, word: str
) -> None:
    before = await shop.world.everything()

    _, answer = await shop.ask(who, method, path, SHIP if path == "/api/checkouts" else None)

    assert answer["word"] == word
    assert await shop.world.everything() == before


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"delivery": "drone"}, "malformed"), ({"rid": 7}, "malformed"), ({"rid": "short"}, "rid_invalid"),
        ({"contact_name": "x" * 81}, "malformed"), ({"address": {"line1": ["x"]}}, "malformed"),
        ({"address": {}}, "delivery"), ({"contact": "\u0000\u0007"}, "delivery"),
        ({"show_id": ""}, "malformed"), ({"rid": "never-heard-of"}, "not_found"),
    ],
)  # fmt: skip
async def test_a_checkout_of_another_shape_is_refused_and_nothing_moves(
    shop: Shop, changes: dict[str, Any], word: str
) -> None:
    await shop.world.hold()
    before = await shop.world.everything()

    _, answer = await shop.ask(1, "POST", "/api/checkouts", SHIP | changes)

    assert answer["word"] == word
    assert await shop.world.everything() == before


async def test_what_looks_like_markup_is_kept_as_text(shop: Shop) -> None:
    await shop.world.hold()

    _, answer = await shop.ask(1, "POST", "/api/checkouts", SHIP | {"contact_name": "<script>alert(1)</script>"})

    _, page = await shop.ask(1, "GET", f"/api/orders/{answer['order']['order_id']}")
    assert page["contact_name"] == "<script>alert(1)</script>"


async def test_somebody_elses_order_does_not_exist(shop: Shop) -> None:
    order = await shop.paid()

    for method, tail in (("GET", ""), ("POST", "/retry"), ("POST", "/cancel"), ("GET", "/pickup.svg")):
        status, answer = await shop.ask(2, method, f"/api/orders/{order['order_id']}{tail}")
        assert (status, answer["word"]) == (404, "not_found")


async def test_a_webhook_larger_than_the_bound_is_refused_before_it_is_read(shop: Shop) -> None:
    answer = await shop.client.post("/webhooks/test", content=b"x" * (BODY_BYTES_MAX + 1))

    assert (answer.status_code, answer.json()["word"]) == (413, "too_large")


async def test_a_dead_link_takes_no_payment(shop: Shop) -> None:
    await shop.world.hold()
    _, answer = await shop.ask(1, "POST", "/api/checkouts", SHIP)
    await shop.ask(1, "POST", f"/api/orders/{answer['order']['order_id']}/cancel")

    status, pressed = await shop.ask(None, "POST", f"/api{_path(answer['pay_url'])}/pay")

    assert (status, pressed["word"]) == (409, "payment_gone")


async def test_hold_tokens_are_taken_from_their_owner_while_stock_is_counted_again(shop: Shop) -> None:
    world, path = shop.world, f"/api/shows/{SHOW}/proofs"
    hold = await world.engine.reserve(SHOW, viewer(1), rid(1), [("dl_a", 1)])
    await world.redis.flushall()
    assert (await shop.ask(1, "POST", "/api/checkouts", SHIP))[1]["word"] == "rebuilding"
    assert await shop.ask(2, "POST", path, {"tokens": [hold.token]}) == (200, {"taken": 0})
    assert await shop.ask(1, "POST", path, {"tokens": ["no token", hold.token]}) == (200, {"taken": 1})
    assert [proof.rid for proof in world.engine._batcher.memory.take_proofs(SHOW)] == [rid(1)]
    assert (await shop.ask(None, "POST", path, {"tokens": []}))[0] == 401
    assert (await shop.ask(1, "POST", path, {"tokens": [""] * 25}))[0] == 400
