"""Books and rehearsal passes over HTTP: who may have them, how they look, and what is refused."""

import dataclasses
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import insert
from starlette.applications import Starlette
from structlog.testing import capture_logs

from livecommerce.audit.breaches import breaches
from livecommerce.client import Api
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.gateway.api import routes_of
from livecommerce.gateway.door import Door
from livecommerce.gateway.http.audit import PASSES_MAX, table
from livecommerce.gateway.http.channels import table as channels_table
from livecommerce.gateway.http.people import table as people_table
from livecommerce.gateway.http.shows import table as shows_table
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts
from livecommerce.people.identity import StaffIdentity
from livecommerce.people.service import People
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from loadtest.check.books import books_from, fetch_books
from tests.audit.test_books import drain, open_deal
from tests.shows.world import ANA, HOST, MANAGER, MODERATOR, STRANGER, World, viewer

ADMIN = StaffIdentity("acc_admin", "Ada", "ada@example.com", "admin", "org_hq", "/hq/")
SOUTH = StaffIdentity("acc_msouth", "Sue", "sue@example.com", "manager", "org_south", "/hq/south/")
SOUTH_ADMIN = StaffIdentity("acc_asouth", "Sam", "sam@example.com", "admin", "org_south", "/hq/south/")


class House:
    """The two endpoints behind the real door."""

    def __init__(self, world: World, people: People, door: Door, settings: Settings) -> None:
        self.world = world
        self.people = people
        self.parts: Any = SimpleNamespace(
            settings=settings, clock=world.clock, people=people, door=door, shows=world.shows, database=world.database,
            redis=world.redis, engine=world.engine,
        )  # fmt: skip
        tables = (table, people_table, shows_table, channels_table)
        endpoints = [row for each in tables for row in each.endpoints]
        self.transport = httpx.ASGITransport(Starlette(routes=list(routes_of(endpoints, self.parts))))

    def api(self, who: Any) -> Api:
        tokens = self.people.tokens
        staff = isinstance(who, StaffIdentity)
        token = "" if who is None else (tokens.for_staff(who.account_id, 1) if staff else tokens.for_viewer(who)).token
        return Api(self.parts.settings.base_url, token, transport=self.transport)

    async def lines(self, who: Any, show_id: str) -> list[dict[str, Any]]:
        async with self.api(who) as api:
            text = b"".join([piece async for piece in api.pieces(f"/api/staff/shows/{show_id}/books")])
        return [json.loads(line) for line in text.splitlines()]

    async def passes(self, who: Any, show_id: str, **body: Any) -> list[dict[str, str]]:
        async with self.api(who) as api:
            path = f"/api/staff/shows/{show_id}/rehearsal-passes"
            answer = await api.post(path, {"count": 3, "prefix": "Sim", "minutes": 5} | body)
        made: list[dict[str, str]] = answer["passes"]
        return made


@pytest.fixture
async def house(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[House]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()

    async def hire(connection: Any) -> None:
        for staff in (ADMIN, SOUTH, SOUTH_ADMIN):
            row = {
                "id": staff.account_id, "email": staff.email, "name": staff.name, "password_hash": "-",
                "role": staff.role, "org_unit_id": staff.org_unit_id, "created_at_ms": 0,
            }  # fmt: skip
            await connection.execute(insert(accounts).values(row))

    await database.write(hire)
    people = People(database, redis, settings, clock)
    yield House(world, people, Door(people, database, settings, clock), settings)
    await engine.aclose()


async def refusal(asked: Any) -> R:
    with pytest.raises(Refused) as refused:
        await asked
    return refused.value.why


async def test_the_books_are_lines_of_json_that_name_their_kind(house: House) -> None:
    show_id, deal_id = await open_deal(house.world, 4)
    await house.world.engine.reserve(show_id, viewer(1), "rid-00001", [(deal_id, 2)])
    await drain(house.world, show_id)

    lines = await house.lines(MANAGER, show_id)

    assert lines[0]["row"] == "begin"
    assert lines[0]["pending"] == {"journal": 0, "errands": 0, "events": 0}
    assert lines[-1]["row"] == "end"
    assert {line["row"] for line in lines} >= {"pool", "deal", "level", "hold", "movement", "event"}
    assert [line for line in lines if line["row"] == "hold"] == [
        {
            "row": "hold", "viewer_id": "vwr_1", "rid": "rid-00001", "state": "held", "ticket": 1,
            "lines": [[deal_id, 2]],
        }
    ]  # fmt: skip


async def test_who_may_see_the_books(house: House) -> None:
    show_id, _ = await open_deal(house.world, 4)

    for who in (ADMIN, MANAGER):
        assert (await house.lines(who, show_id))[-1]["row"] == "end"
    assert await refusal(house.lines(None, show_id)) is R.SIGN_IN
    for who in (ANA, HOST, MODERATOR, STRANGER, SOUTH):
        assert await refusal(house.lines(who, show_id)) is R.FORBIDDEN
    assert await refusal(house.lines(ADMIN, "shw_none")) is R.NOT_FOUND


async def test_books_that_break_off_say_so_in_their_last_line(house: House) -> None:
    show_id, _ = await open_deal(house.world, 4)
    await house.world.redis.delete(keys.rids(show_id))
    await house.world.redis.set(keys.rids(show_id), "no hash")

    lines = await house.lines(ADMIN, show_id)

    assert lines[0]["row"] == "begin"
    assert lines[-1] == {"row": "broken", "word": "busy"}


async def test_an_outsider_fetches_the_books_once_nothing_is_under_way(house: House, tmp_path: Any) -> None:
    show_id, deal_id = await open_deal(house.world, 4)
    await house.world.engine.reserve(show_id, viewer(1), "rid-00001", [(deal_id, 2)])
    waits: list[float] = []

    class Patience(TestClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            await drain(house.world, show_id)

    async with house.api(ADMIN) as api:
        books = await fetch_books(api, show_id, keep=tmp_path / "books", clock=Patience())

    assert waits  # the journal was waited for
    assert (books.whole, books.quiet) == (True, True)
    assert breaches(books) == []
    assert books_from(tmp_path / "books") == books
    (tmp_path / "cut").write_bytes((tmp_path / "books").read_bytes()[:-30])
    assert not books_from(tmp_path / "cut").whole


async def test_books_that_never_come_to_rest_are_fetched_as_they_stand(house: House) -> None:
    show_id, deal_id = await open_deal(house.world, 4)
    await house.world.engine.reserve(show_id, viewer(1), "rid-00001", [(deal_id, 2)])

    async with house.api(ADMIN) as api:
        books = await fetch_books(api, show_id, patience_seconds=0, clock=TestClock())

    assert (books.whole, books.quiet, books.pending.journal > 0) == (True, False, True)


async def test_passes_are_for_simulated_viewers_and_last_as_long_as_asked(house: House) -> None:
    show_id, _ = await open_deal(house.world, 4)

    made = await house.passes(ADMIN, show_id, count=PASSES_MAX)

    assert len({each["viewer_id"] for each in made}) == PASSES_MAX
    proved = house.people.tokens.viewer_or_rehearsal(made[0]["token"])
    assert (proved.viewer.viewer_id, proved.viewer.kind, proved.viewer.name) == (
        made[0]["viewer_id"], "simulated", "Sim 1",
    )  # fmt: skip
    assert house.people.tokens.viewer_or_rehearsal(made[-1]["token"]).viewer.name == f"Sim {PASSES_MAX}"
    assert 299_000 <= proved.expires_at_ms - house.world.clock.now_ms() <= 300_000
    await house.world.clock.advance(301)
    assert await refusal(_prove(house, made[0]["token"])) is R.TOKEN_EXPIRED


async def _prove(house: House, token: str) -> None:
    house.people.tokens.viewer_or_rehearsal(token)


async def test_who_may_have_passes(house: House) -> None:
    show_id, _ = await open_deal(house.world, 4)

    assert len(await house.passes(ADMIN, show_id)) == 3
    assert await refusal(house.passes(None, show_id)) is R.SIGN_IN
    for who in (ANA, MANAGER, HOST, MODERATOR, SOUTH_ADMIN):
        assert await refusal(house.passes(who, show_id)) is R.FORBIDDEN
    assert await refusal(house.passes(ADMIN, "shw_none")) is R.NOT_FOUND


@pytest.mark.parametrize(
    "body",
    [
        {"count": 0}, {"count": PASSES_MAX + 1}, {"count": -1}, {"count": "3"}, {"minutes": 0}, {"minutes": 601},
        {"prefix": ""}, {"prefix": "x" * 31}, {"prefix": "\u200b"},
    ],
)  # fmt: skip
async def test_wishes_beyond_the_bounds_are_refused(house: House, body: dict[str, Any]) -> None:
    show_id, _ = await open_deal(house.world, 4)

    if body == {"prefix": "\u200b"}:  # invisible: what is left of the name is its number
        assert len(await house.passes(ADMIN, show_id, **body)) == 3
    else:
        assert await refusal(house.passes(ADMIN, show_id, **body)) is R.MALFORMED


@pytest.mark.parametrize(("allowed", "mode", "given"), [(False, "production", 0), (True, "production", 3)])
async def test_in_production_passes_need_the_setting(house: House, allowed: bool, mode: Any, given: int) -> None:
    show_id, _ = await open_deal(house.world, 4)
    house.parts.settings = dataclasses.replace(house.parts.settings, mode=mode, rehearsals=allowed)

    if given:
        assert len(await house.passes(ADMIN, show_id)) == given
    else:
        assert await refusal(house.passes(ADMIN, show_id)) is R.FORBIDDEN


async def test_a_pass_opens_its_own_show_and_no_other(house: House) -> None:
    show_id, _ = await open_deal(house.world, 4)
    other_id, _ = await open_deal(house.world, 4)
    (one, *_) = await house.passes(ADMIN, show_id)
    door = house.parts.door

    assert (await door.verify_socket(one["token"], "", "", show_id)).viewer.viewer_id == one["viewer_id"]
    assert await refusal(door.verify_socket(one["token"], "", "", other_id)) is R.FORBIDDEN
    async with Api(house.parts.settings.base_url, one["token"], transport=house.transport) as api:
        await api.post(f"/api/shows/{show_id}/enter", {})
        assert await refusal(api.post(f"/api/shows/{other_id}/enter", {})) is R.FORBIDDEN


async def test_a_pass_cannot_be_made_into_one_that_outlives_the_rehearsal(house: House) -> None:
    show_id, _ = await open_deal(house.world, 4)
    (one, *_) = await house.passes(ADMIN, show_id)

    async with Api(house.parts.settings.base_url, one["token"], transport=house.transport) as api:
        for method, path, body in (
            ("POST", "/api/viewers", {"name": "Eve"}),
            ("POST", "/api/viewers/token", {}),
            ("PATCH", "/api/me", {"name": "Eve"}),
            ("PUT", "/api/bag", {}),
            ("POST", "/api/try-ons", {}),
            ("POST", "/api/baskets/word/take", {}),
        ):
            assert await refusal(api.call(method, path, body)) is R.FORBIDDEN
        assert (await api.get("/api/me"))["viewer"]["name"] == "Sim 1"


async def test_no_pass_outlives_the_permission_to_rehearse_in_production(house: House) -> None:
    show_id, _ = await open_deal(house.world, 4)
    (one, *_) = await house.passes(ADMIN, show_id)
    guest = house.people.tokens.for_viewer(ANA).token
    for allowed in (True, False):
        settings = dataclasses.replace(house.parts.settings, mode="production", rehearsals=allowed)
        door = Door(house.people, house.world.database, settings, house.world.clock)

        assert (await door.verify_socket(guest, "", "", show_id)).viewer == ANA
        if allowed:
            assert (await door.verify_socket(one["token"], "", "", show_id)).viewer.kind == "simulated"
        else:
            assert await refusal(door.verify_socket(one["token"], "", "", show_id)) is R.FORBIDDEN


async def test_who_made_passes_for_which_show_is_in_the_log_and_no_name_or_pass(house: House) -> None:
    show_id, _ = await open_deal(house.world, 4)

    with capture_logs() as logged:
        made = await house.passes(ADMIN, show_id, minutes=7)

    (line,) = [line for line in logged if line["event"] == "rehearsal_passes_minted"]
    assert (line["by"], line["show_id"], line["count"], line["minutes"]) == (ADMIN.account_id, show_id, 3, 7)
    assert not any(secret in repr(logged) for secret in (ADMIN.name, "Sim", made[0]["token"]))


async def test_reading_the_books_moves_nothing(house: House) -> None:
    show_id, deal_id = await open_deal(house.world, 4)
    await house.world.engine.reserve(show_id, viewer(1), "rid-00001", [(deal_id, 2)])
    await drain(house.world, show_id)

    first, second = await house.lines(ADMIN, show_id), await house.lines(ADMIN, show_id)

    assert first == second
