"""The shop's channels over HTTP: who may ask what, in which words it is refused, and that repeating is safe."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import insert
from starlette.applications import Starlette

from livecommerce.channels.service import channels_over
from livecommerce.clock import TestClock
from livecommerce.gateway.api import routes_of
from livecommerce.gateway.door import Door
from livecommerce.gateway.http import catalogue, channels, orders
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import viewers
from livecommerce.people.service import People
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.orders.world import viewer
from tests.shelves.world import BOOK, NORTH, WEB, Shop, seed_shop

ROUTES = [*channels.table.endpoints, *orders.table.endpoints, *catalogue.table.endpoints]
RID = "bag-00000001"


class Asked:
    def __init__(self, shop: Shop, people: People, client: httpx.AsyncClient) -> None:
        self.shop, self.people, self.client = shop, people, client

    async def ask(self, who: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """`who`: a viewer's number, an account's id, an API key, or None."""
        headers = {}
        if isinstance(who, int):
            headers = {"authorization": f"Bearer {self.people.tokens.for_viewer(viewer(who)).token}"}
        elif who:
            token = who if who.startswith("lck_") else self.people.tokens.for_staff(who, 1).token
            headers = {"authorization": f"Bearer {token}"}
        answer = await self.client.request(method, path, json=body, headers=headers)
        return answer.status_code, answer.json()


@pytest.fixture
async def database(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Database]:
    shutil.copyfile(sqlite_template, tmp_path / "ledger.sqlite3")
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}")
    await database.start()
    yield database
    await database.aclose()


@pytest.fixture
async def asked(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Asked]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    shop = Shop(database, engine, redis, settings, clock)
    await seed_shop(shop, units=30)
    rows = [{"id": viewer(n).viewer_id, "name": "Ana", "kind": "guest", "created_at_ms": 1} for n in (1, 2)]
    await database.write(lambda connection: connection.execute(insert(viewers), rows))
    people = People(database, redis, settings, clock)
    door = Door(people, database, settings, clock)
    over = channels_over(database, engine, shop.shelves, shop.orders, people, shop.catalogue, settings, clock)
    parts: Any = SimpleNamespace(
        settings=settings, clock=clock, database=database, people=people, door=door, channels=over, orders=shop.orders,
        catalogue=shop.catalogue, shelves=shop.shelves,
    )  # fmt: skip
    app = Starlette(routes=routes_of(ROUTES, parts))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        yield Asked(shop, people, client)
    await shop.aclose()
    await engine.aclose()


def bag(qty: int = 1, **changes: Any) -> dict[str, Any]:
    return {"location_id": WEB, "rid": RID, "lines": [{"variant_id": "va_a", "qty": qty}], **changes}


async def test_a_bag_is_filled_paid_and_empty_again(asked: Asked) -> None:
    status, told = await asked.ask(1, "PUT", "/api/bag", bag(2))
    assert (status, told["book_id"], told["lines"][0]["qty"]) == (200, BOOK, 2)
    assert (await asked.ask(1, "PUT", "/api/bag", bag(2)))[1]["rid"] == RID
    address = {"line1": "1 Rue de la Paix", "postcode": "75002", "city": "Paris", "country": "France"}
    checkout = {"show_id": told["book_id"], "rid": RID, "delivery": "ship", "contact_name": "Ana"}
    status, answer = await asked.ask(
        1, "POST", "/api/checkouts", {**checkout, "contact": "a@example.com", "address": address}
    )
    assert status == 200
    await asked.shop.press(answer["pay_url"])

    assert (await asked.ask(1, "GET", "/api/bag"))[1] == {"bags": []}
    [order] = (await asked.ask(1, "GET", "/api/orders"))[1]["orders"]
    assert order["order"]["status"] == "confirmed"
    product = (await asked.ask(None, "GET", "/api/products/lipstick"))[1]
    [place] = product["variants"][0]["stock_by_location"]
    assert place["stock"]["availability"] == "in_stock"


async def test_every_refusal_of_the_channels_says_what_and_why(asked: Asked) -> None:
    cases: list[tuple[Any, str, str, Any, int, str]] = [
        (None, "GET", "/api/bag", None, 401, "sign_in"),
        (1, "PUT", "/api/bag", bag(0), 422, "quantity"),
        (1, "PUT", "/api/bag", bag(rid="short"), 400, "malformed"),
        (1, "PUT", "/api/bag", bag(lines=[]), 400, "malformed"),
        (1, "PUT", "/api/bag", bag(location_id=NORTH), 404, "not_sold_here"),
        (1, "PUT", "/api/bag", bag(replaces="bag-99999999"), 404, "not_found"),
        (1, "DELETE", "/api/bag/bag-99999999", None, 404, "not_found"),
        (1, "POST", "/api/try-ons", {"rid": RID, "variant_id": "va_a", "location_id": WEB}, 404, "not_sold_here"),
        (1, "GET", "/api/staff/try-ons?location=lo_north", None, 403, "forbidden"),
        ("ac_1", "GET", "/api/staff/try-ons?location=lo_south", None, 403, "forbidden"),
        (1, "POST", "/api/staff/baskets", {"location_id": WEB, "lines": [{"variant_id": "va_a"}]}, 403, "forbidden"),
        (None, "GET", "/api/baskets/nothing", None, 404, "not_found"),
        (None, "GET", f"/api/till/{NORTH}/stock", None, 401, "sign_in"),
        ("lck_wrong", "GET", f"/api/till/{NORTH}/stock", None, 401, "token_invalid"),
    ]
    for who, method, path, body, status, word in cases:
        told = await asked.ask(who, method, path, body)
        assert (told[0], told[1]["word"]) == (status, word), (method, path, told)
        assert told[1]["text"].endswith("."), told
    assert await asked.shop.redis.keys("{pool:*") == []


async def test_a_till_sells_with_its_key_at_its_place_only(asked: Asked) -> None:
    key = await asked.people.api_keys.make_for_till("till 1", NORTH)
    sale = {"rid": "sale-0001", "receipt": "R-1", "lines": [{"variant_id": "va_b", "qty": 1}]}

    status, told = await asked.ask(key, "POST", f"/api/till/{NORTH}/sales", sale)
    again = await asked.ask(key, "POST", f"/api/till/{NORTH}/sales", sale)
    assert status == again[0] == 200
    assert again[1]["order"]["order"]["number"] == told["order"]["order"]["number"]
    assert (await asked.ask(key, "POST", f"/api/till/{WEB}/sales", sale))[1]["word"] == "forbidden"
    _, refused = await asked.ask(key, "POST", f"/api/till/{NORTH}/sales", {**sale, "rid": "sale-0002"})
    assert (refused["number"], refused["word"]) == (429, "receipt")
    _, stock = await asked.ask(key, "GET", f"/api/till/{NORTH}/stock")
    assert [(line["free"], line["set_aside"]) for line in stock["lines"]] == [(1, 0)]

    hold = {"rid": "hold-0001", "lines": [{"variant_id": "va_b", "qty": 2}]}
    assert (await asked.ask(key, "POST", f"/api/till/{NORTH}/holds", hold))[1]["word"] == "sold_out"
    assert (await asked.ask(key, "DELETE", f"/api/till/{NORTH}/holds/hold-0001"))[1]["word"] == "not_found"


async def test_an_article_waits_at_the_counter_and_a_basket_goes_to_its_customer(asked: Asked) -> None:
    wish = {"rid": RID, "variant_id": "va_b", "location_id": NORTH}
    _, told = await asked.ask(1, "POST", "/api/try-ons", wish)
    assert told["state"] == "kept"
    _, counter = await asked.ask("ac_1", "GET", f"/api/staff/try-ons?location={NORTH}")
    assert [each["code"] for each in counter["try_ons"]] == [told["code"]]
    _, done = await asked.ask("ac_1", "POST", f"/api/staff/try-ons/{told['code']}", {"outcome": "came"})
    assert done["state"] == "came"
    assert (await asked.ask(1, "DELETE", f"/api/try-ons/{told['try_on_id']}"))[1]["word"] == "conflict"

    new = {"location_id": WEB, "lines": [{"variant_id": "va_a", "qty": 2}], "customer": "Ana"}
    _, made = await asked.ask("ac_1", "POST", "/api/staff/baskets", new)
    word = made["basket"]["word"]
    assert (await asked.ask(None, "GET", f"/api/baskets/{word}"))[1]["state"] == "open"
    _, bags = await asked.ask(1, "POST", f"/api/baskets/{word}/take")
    assert (bags["bags"][0]["from_advisor"], bags["bags"][0]["lines"][0]["qty"]) == ("Clara", 2)
    assert (await asked.ask(2, "POST", f"/api/baskets/{word}/take"))[1]["word"] == "conflict"
    assert (await asked.ask("ac_1", "GET", "/api/staff/baskets"))[1]["baskets"][0]["taken"] is True
    _, withdrawn = await asked.ask("ac_1", "DELETE", f"/api/staff/baskets/{made['basket_id']}")
    assert withdrawn["taken"] is True


async def test_stock_is_edited_over_pool_and_shelf(asked: Asked) -> None:
    await asked.shop.take(1, 2)
    change = {"move_id": "count-0001", "variant_id": "va_a", "location_id": WEB, "delta": -28}
    status, told = await asked.ask("ac_1", "POST", "/api/staff/stock", change)
    assert (status, told["word"]) == (403, "forbidden")  # the warehouse is headquarters'
    here = {**change, "variant_id": "va_b", "location_id": NORTH, "delta": -2}
    await asked.shop.take(3, 1, "va_b", NORTH)
    assert (await asked.ask("ac_1", "POST", "/api/staff/stock", here))[1]["word"] == "stock_short"
    assert (await asked.ask("ac_1", "POST", "/api/staff/stock", {**here, "delta": -1}))[0] == 200
