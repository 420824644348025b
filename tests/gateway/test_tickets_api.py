"""Signed lists of tickets over HTTP: who may have them, how they look, and what is refused."""

import dataclasses
import hashlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from livecommerce.background.journal import JournalToLedger
from livecommerce.client import Api
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.gateway.api import routes_of
from livecommerce.gateway.door import Door
from livecommerce.gateway.http.tickets import table
from livecommerce.ledger.database import Database
from livecommerce.people.identity import StaffIdentity
from livecommerce.people.service import People
from livecommerce.protocol import from_host as c
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.reservations.ticket_list import verify
from livecommerce.settings import Settings
from tests.shows.world import ANA, BEA, HOST, STRANGER, World

RID = "rid-0001"
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # nothing here is SQL of its own


class House:
    def __init__(self, world: World, people: People, door: Door, settings: Settings) -> None:
        self.world = world
        self.people = people
        self.parts: Any = SimpleNamespace(
            settings=settings, clock=world.clock, people=people, door=door, shows=world.shows
        )
        self.transport = httpx.ASGITransport(Starlette(routes=list(routes_of(table.endpoints, self.parts))))

    def api(self, who: Any) -> Api:
        tokens = self.people.tokens
        staff = isinstance(who, StaffIdentity)
        token = "" if who is None else (tokens.for_staff(who.account_id, 1) if staff else tokens.for_viewer(who)).token
        return Api(self.parts.settings.base_url, token, transport=self.transport)

    async def get(self, who: Any, path: str) -> Any:
        async with self.api(who) as api:
            return await api.get(path)

    async def file(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=self.transport, base_url="http://127.0.0.1") as client:
            return await client.get(path)

    async def refusal(self, who: Any, path: str) -> R:
        with pytest.raises(Refused) as caught:
            await self.get(who, path)
        return caught.value.why

    async def listed(self, **plan: Any) -> tuple[str, str]:
        """(show, deal) of a deal that Ana bought of and whose list is signed."""
        world = self.world
        show_id = (await world.show(**plan)).show_id
        card = await world.card(show_id, 2)
        deal_id = card.deals[0].deal_id
        await world.do(show_id, c.ShowCard(card.card_id))
        await world.engine.reserve(show_id, ANA, RID, [(deal_id, 1)])
        await world.engine.settle(show_id, ANA.viewer_id, RID)
        await world.do(show_id, c.CloseDeal(deal_id))
        await world.shows.programme.due_changes()
        await JournalToLedger(world.redis, world.database, world.engine, world.clock).drain(show_id)
        assert await world.shows.tickets.make(deal_id)
        return show_id, deal_id


@pytest.fixture
async def house(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[House]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()
    people = People(database, redis, settings, clock)
    yield House(world, people, Door(people, database, settings, clock), settings)
    await engine.aclose()


async def test_anybody_checks_the_list_with_the_published_key(house: House) -> None:
    show_id, deal_id = await house.listed()
    [listed] = (await house.get(None, f"/api/shows/{show_id}/tickets"))["lists"]
    assert (listed["deal_id"], listed["title"], listed["fairness"]) == (deal_id, "Velvet Lip", "first_come")
    answer = await house.file(f"/api/shows/{show_id}/tickets/{deal_id}")
    assert answer.headers["content-disposition"] == f'attachment; filename="tickets-{deal_id}.json"'
    keys = await house.get(None, "/.well-known/livecommerce-tickets.json")
    assert keys == {"algorithm": "Ed25519", "keys": [listed["public_key"]]}
    assert all(finding.holds for finding in verify(answer.content, key=keys["keys"][0]))


async def test_each_viewer_is_told_her_own_mark_and_no_other(house: House) -> None:
    show_id, deal_id = await house.listed()
    path = f"/api/shows/{show_id}/tickets/{deal_id}"
    [row] = (await house.file(path)).json()["list"]["tickets"]
    own, others = await house.get(ANA, f"{path}/mine"), await house.get(BEA, f"{path}/mine")
    assert own["who"] == row["who"] == hashlib.sha256(f"{ANA.viewer_id}:{own['nonce']}".encode()).hexdigest()
    assert others["viewer_id"] == BEA.viewer_id
    assert others["who"] != row["who"]
    assert await house.refusal(None, f"{path}/mine") is R.SIGN_IN


async def test_a_list_that_is_not_there_is_not_found(house: House) -> None:
    show_id, deal_id = await house.listed()
    other = await house.world.show()
    for path in (
        f"/api/shows/{show_id}/tickets/dea_none", f"/api/shows/{other.show_id}/tickets/{deal_id}",
        "/api/shows/shw_none/tickets",
    ):  # fmt: skip
        assert await house.refusal(ANA, path) is R.NOT_FOUND
    assert await house.refusal(ANA, f"/api/shows/{other.show_id}/tickets/{deal_id}/mine") is R.NOT_FOUND
    assert (await house.get(None, f"/api/shows/{other.show_id}/tickets"))["lists"] == []


async def test_a_show_for_invited_guests_shows_its_lists_to_them_and_its_staff_only(house: House) -> None:
    show_id, deal_id = await house.listed(access="invited")
    for path in (f"/api/shows/{show_id}/tickets", f"/api/shows/{show_id}/tickets/{deal_id}"):
        assert await house.refusal(None, path) is R.NOT_INVITED
        assert await house.refusal(BEA, path) is R.NOT_INVITED
        assert await house.refusal(STRANGER, path) is R.FORBIDDEN
        assert await house.get(HOST, path)


async def test_after_the_secret_was_changed_older_lists_keep_their_key(house: House) -> None:
    show_id, deal_id = await house.listed()
    old = house.world.shows.tickets.public_key
    house.world.settings = dataclasses.replace(house.world.settings, secret="another secret, as long as it must be")
    shows = house.world.process()
    keys = await shows.tickets.keys()
    assert keys == (shows.tickets.public_key, old)
    assert keys[0] != old
    assert (await shows.tickets.signed(show_id, deal_id)).public_key == old
