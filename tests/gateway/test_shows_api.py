"""Shows over HTTP: the real door and table; who sees what, who may do what."""

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from livecommerce.clock import TestClock
from livecommerce.gateway.api import routes_of
from livecommerce.gateway.door import Door
from livecommerce.gateway.http.shows import table
from livecommerce.gateway.openapi import document
from livecommerce.ledger.database import Database
from livecommerce.people.service import People
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from tests.shows.world import ANA, HOST, MODERATOR, STRANGER, VARIANTS, World
from tests.video.sources import adapters

LIP = {"kind": "deal", "deals": [{"variant_id": VARIANTS[0], "quota": 10, "price_minor": 1990, "was_minor": 2900}]}


class House:
    def __init__(self, world: World, people: People, client: httpx.AsyncClient) -> None:
        self.world = world
        self.people = people
        self.client = client

    async def ask(self, who: Any, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """`who`: a viewer, a member of staff, or None. The status and the JSON."""
        if who is not None:
            tokens = self.people.tokens
            token = tokens.for_staff(who.account_id, 1) if hasattr(who, "account_id") else tokens.for_viewer(who)
            headers["authorization"] = f"Bearer {token.token}"
        answer = await self.client.request(method, path, json=body, headers=headers)
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, answer.text

    async def show(self, **plan: Any) -> str:
        new = {"title": "Evening", "corner": "open_house", "scheduled_at_ms": 1_800_000_000_000} | plan
        status, facts = await self.ask(HOST, "POST", "/api/staff/shows", new)
        assert status == 200, facts
        return str(facts["show_id"])

    async def do(self, show_id: str, command: dict[str, Any], who: Any = HOST, command_id: str = "") -> tuple[int, Any]:
        body = {
            "command_id": command_id or f"cmd-{json.dumps(command).__hash__() & 0xFFFFFFFF:010d}",
            "command": command,
        }
        return await self.ask(who, "POST", f"/api/staff/shows/{show_id}/commands", body)


@pytest.fixture
async def house(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[House]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()
    people = People(database, redis, settings, clock)
    door = Door(people, database, settings, clock)
    parts: Any = SimpleNamespace(
        settings=settings, clock=clock, people=people, door=door, shows=world.shows, adapters=adapters(settings, clock)
    )
    app = Starlette(routes=list(routes_of(table.endpoints, parts)))
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url=settings.base_url) as client:
        yield House(world, people, client)
    await engine.aclose()


async def test_a_show_is_planned_run_and_ended_over_http(house: House) -> None:
    show_id = await house.show()
    status, card = await house.ask(HOST, "POST", f"/api/staff/shows/{show_id}/cards", LIP | {"notes": "slowly"})
    assert status == 200, card
    assert (card["notes"], card["state"], card["deals"][0]["label"]) == ("slowly", "planned", "Rosewood")

    assert await house.do(show_id, {"do": "go_live"}) == (200, {"done": "done"})
    show_it = {"do": "show_card", "card_id": card["card_id"]}
    assert await house.do(show_id, show_it, command_id="the-same-id") == (200, {"done": "done"})
    assert await house.do(show_id, show_it, command_id="the-same-id") == (200, {"done": "already"})

    status, page = await house.ask(None, "GET", f"/api/shows/{show_id}")
    assert (status, page["show"]["status"], page["entry"]) == (200, "live", "")
    assert page["cards"][0]["deals"][0]["status"] == "open"
    assert "notes" not in page["cards"][0]
    status, desk = await house.ask(HOST, "GET", f"/api/staff/shows/{show_id}")
    assert (desk["on_air"], desk["cards"][0]["state"]) == (card["card_id"], "on_air")

    assert (await house.do(show_id, {"do": "end"}))[0] == 200
    status, refusal = await house.do(show_id, {"do": "interrupt"})
    assert (status, refusal["word"]) == (409, "show_over")
    _, listed = await house.ask(None, "GET", "/api/shows")
    assert [show["show_id"] for show in listed["past"]] == [show_id]


async def test_a_viewer_and_a_stranger_plan_and_command_nothing(house: House) -> None:
    show_id = await house.show()

    for who, expected in ((None, 401), (ANA, 403), (STRANGER, 403)):
        assert (await house.do(show_id, {"do": "go_live"}, who))[0] == expected
        assert (await house.ask(who, "GET", f"/api/staff/shows/{show_id}"))[0] == expected
        assert (await house.ask(who, "POST", f"/api/staff/shows/{show_id}/cards", LIP))[0] == expected
    assert (await house.do(show_id, {"do": "end"}, MODERATOR))[0] == 403
    assert (await house.ask(MODERATOR, "PATCH", f"/api/staff/shows/{show_id}", {"title": "x"}))[0] == 403
    assert (await house.do(show_id, {"do": "slow_mode", "seconds": 5}, MODERATOR))[0] == 200


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"price_minor": 19.901}, "malformed"),
        ({"price_minor": "1990"}, "malformed"),
        ({"price_minor": -1}, "price"),
        ({"was_minor": 1}, "malformed"),
        ({"quota": 0}, "quantity"),
        ({"quota": 2**60}, "quantity"),
        ({"variant_id": "var_none"}, "not_found"),
        ({"colour": "red"}, "malformed"),
    ],
)
async def test_a_deal_that_makes_no_sense_is_refused_in_words(house: House, change: dict[str, Any], word: str) -> None:
    show_id = await house.show()
    deal = {**LIP["deals"][0], **change}  # type: ignore[dict-item]

    status, refusal = await house.ask(
        HOST, "POST", f"/api/staff/shows/{show_id}/cards", {"kind": "deal", "deals": [deal]}
    )

    assert (status >= 400, refusal["word"]) == (True, word)
    _, desk = await house.ask(HOST, "GET", f"/api/staff/shows/{show_id}")
    assert desk["cards"] == []


async def test_an_address_that_is_no_address_is_refused(house: House) -> None:
    for url in ("javascript:alert(1)", "data:text/html,x", "http://a b"):
        new = {"title": "x", "corner": "open_house", "video": {"kind": "hls", "url": url}}
        assert (await house.ask(HOST, "POST", "/api/staff/shows", new))[0] == 400


PRIVATE = {"kind": "hls", "url": "https://inside.example.com/x.m3u8"}


@pytest.mark.parametrize(
    "video",
    [
        PRIVATE,
        {"kind": "file", "url": "https://10.0.0.1/x.mp4"},
        {"kind": "file", "url": "/clip.mp4", "alternates": ["https://[fd00::1]/x.webm"]},
        {"kind": "own", "poster": "https://169.254.169.254/latest/meta-data"},
        {"source": "youtube", "url": "https://evil.example/watch?v=dQw4w9WgXcQ"},
    ],
)
async def test_a_picture_from_inside_is_refused_in_words_and_nothing_is_planned(
    house: House, video: dict[str, Any]
) -> None:
    """Neither as a new show nor as a change of one, be it the picture, its other containers or its poster."""
    status, refusal = await house.ask(
        HOST, "POST", "/api/staff/shows", {"title": "x", "corner": "open_house", "video": video}
    )
    assert (status, refusal["word"]) == (422, "video_address")
    assert refusal["text"].startswith("This address cannot be the picture: ")
    assert (await house.ask(HOST, "GET", "/api/staff/shows"))[1] == {"live": [], "upcoming": [], "past": []}

    show_id = await house.show()
    before = (await house.ask(HOST, "GET", f"/api/staff/shows/{show_id}"))[1]
    status, refusal = await house.ask(HOST, "PATCH", f"/api/staff/shows/{show_id}", {"video": video, "title": "y"})
    assert (status, refusal["word"]) == (422, "video_address")
    assert (await house.ask(HOST, "GET", f"/api/staff/shows/{show_id}"))[1] == before


async def test_a_picture_is_what_its_source_makes_of_it_whatever_else_was_handed_in(house: House) -> None:
    show_id = await house.show(
        video={"source": "youtube", "kind": "hls", "url": "https://youtu.be/dQw4w9WgXcQ", "delay_ms": 9000}
    )
    _, page = await house.ask(None, "GET", f"/api/shows/{show_id}")
    video = page["show"]["video"]
    assert (video["kind"], video["source"], video["url"]) == (
        "youtube", "youtube", "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
    )  # fmt: skip
    assert (video["clock"], video["delay_ms"], video["signed"]) == ("fixed", 9000, False)

    status, refusal = await house.ask(HOST, "PATCH", f"/api/staff/shows/{show_id}", {"video": {"source": "nobody"}})
    assert (status, refusal["word"]) == (404, "not_found")
    _, facts = await house.ask(HOST, "PATCH", f"/api/staff/shows/{show_id}", {"video": {"kind": "none"}})
    assert (facts["video"]["kind"], facts["video"]["source"], facts["video"]["url"]) == ("none", "", "")


async def test_a_film_begins_with_its_show_or_by_the_hosts_tap(house: House) -> None:
    with_show = await house.show(video={"source": "film"})
    by_hand = await house.show(video={"source": "film", "by_hand": True})
    for show_id in (with_show, by_hand):
        await house.do(show_id, {"do": "go_live"}, command_id=f"go-live-{show_id}")

    assert (await house.ask(None, "GET", f"/api/shows/{with_show}"))[1]["show"]["video"]["started_at_ms"] is not None
    assert (await house.ask(None, "GET", f"/api/shows/{by_hand}"))[1]["show"]["video"]["started_at_ms"] is None
    tap = {"video": {"source": "film", "by_hand": True, "restart": True}}
    _, facts = await house.ask(HOST, "PATCH", f"/api/staff/shows/{by_hand}", tap)
    assert facts["video"]["started_at_ms"] == house.world.clock.now_ms()
    # Another source has another beginning: a film that comes back on air begins anew.
    await house.ask(HOST, "PATCH", f"/api/staff/shows/{with_show}", {"video": {"source": "own"}})
    await house.world.clock.advance(60)
    _, facts = await house.ask(HOST, "PATCH", f"/api/staff/shows/{with_show}", {"video": {"source": "film"}})
    assert facts["video"]["started_at_ms"] == house.world.clock.now_ms()


async def test_an_invited_show_keeps_its_cards_for_its_guests(house: House) -> None:
    show_id = await house.show(corner="family_day")
    await house.ask(HOST, "POST", f"/api/staff/shows/{show_id}/cards", LIP)
    status, invitation = await house.ask(HOST, "POST", f"/api/staff/shows/{show_id}/invitations", {"place_limit": 1})
    assert (status, invitation["places_taken"]) == (200, 0)
    assert "/s/lnk_" in invitation["url"]

    _, page = await house.ask(ANA, "GET", f"/api/shows/{show_id}")
    assert (page["cards"], page["entry"]) == ([], "not_invited")
    status, refusal = await house.ask(ANA, "POST", f"/api/shows/{show_id}/enter", {})
    assert (status, refusal["word"]) == (403, "not_invited")
    entrance = {"invitation": invitation["invitation_id"]}
    assert (await house.ask(ANA, "POST", f"/api/shows/{show_id}/enter", entrance))[0] == 200

    _, page = await house.ask(ANA, "GET", f"/api/shows/{show_id}")
    assert (len(page["cards"]), page["entry"]) == (1, "")
    _, listed = await house.ask(HOST, "GET", f"/api/staff/shows/{show_id}/invitations")
    assert listed["invitations"][0]["places_taken"] == 1
    assert (await house.ask(None, "GET", "/api/shows"))[1]["upcoming"] == []


async def test_drafts_and_unknown_shows_look_alike_from_outside(house: House) -> None:
    draft = await house.show(draft=True)

    answers = [await house.ask(None, "GET", f"/api/shows/{show_id}") for show_id in (draft, "shw_none")]

    assert answers[0] == answers[1]
    assert answers[0][0] == 404


async def test_a_show_goes_into_a_calendar(house: House) -> None:
    show_id = await house.show(title="Lips; and, more", about="Line one\nand " + "é" * 60)

    status, text = await house.ask(None, "GET", f"/api/shows/{show_id}.ics")

    assert status == 200
    assert "SUMMARY:Lips\\; and\\, more\r\n" in text
    assert "DTSTART:20270115T080000Z\r\n" in text
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert "Line one\\nand " + "é" * 60 in text.replace("\r\n ", "")
    assert (await house.ask(None, "GET", f"/api/shows/{await house.show(scheduled_at_ms=None)}.ics"))[0] == 404


async def test_the_log_comes_in_pages_and_as_lines(house: House) -> None:
    show_id = await house.show()
    await house.do(show_id, {"do": "go_live"})
    path = f"/api/staff/shows/{show_id}/log"

    _, first = await house.ask(HOST, "GET", f"{path}?limit=2")
    _, rest = await house.ask(HOST, "GET", f"{path}?limit=2&after={first['next_after']}")
    _, lines = await house.ask(HOST, "GET", path, accept="application/x-ndjson")

    assert [row["kind"] for row in first["rows"] + rest["rows"]] == ["show_changed", "command", "show_changed"]
    assert rest["next_after"] is None
    assert [json.loads(line)["kind"] for line in lines.splitlines()] == ["show_changed", "command", "show_changed"]
    assert (await house.ask(HOST, "GET", f"{path}?after=-1"))[0] == 400
    assert (await house.ask(STRANGER, "GET", path))[0] == 403


async def test_cards_are_changed_put_in_order_taken_out_and_cloned(house: House) -> None:
    show_id = await house.show()
    base = f"/api/staff/shows/{show_id}"
    ids = [(await house.ask(HOST, "POST", f"{base}/cards", LIP))[1]["card_id"] for _ in range(2)]

    assert (await house.ask(HOST, "POST", f"{base}/cards/order", {"card_ids": ids[::-1]}))[0] == 200
    status, card = await house.ask(HOST, "PATCH", f"{base}/cards/{ids[0]}", {"line": "eight hours"})
    assert (status, card["line"]) == (200, "eight hours")
    assert (await house.ask(HOST, "DELETE", f"{base}/cards/{ids[1]}"))[0] == 200
    status, copy = await house.ask(HOST, "POST", f"{base}/clone")
    assert (status, copy["status"]) == (200, "draft")

    _, desk = await house.ask(HOST, "GET", f"/api/staff/shows/{copy['show_id']}")
    assert [card["line"] for card in desk["cards"]] == ["eight hours"]


def test_the_table_is_described(settings: Settings) -> None:
    paths = document(table.endpoints, settings)["paths"]

    assert "/api/staff/shows/{show_id}/commands" in paths
    assert "/api/shows/{show_id}.ics" in paths
