"""Word lists, triage and inbox over HTTP: who may, what is answered, and what is refused."""

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
from livecommerce.gateway.http.moderation import table
from livecommerce.gateway.hub import Hub
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.service import People
from livecommerce.protocol import from_host as c
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.private_questions import UNANSWERED_MAX
from livecommerce.shows.starter_words import STARTERS
from livecommerce.shows.talk_rules import EditTalkRules
from livecommerce.shows.triage import TriageLine
from tests.gateway.real_house import sqlite_ledger
from tests.shows.world import ANA, BEA, HOST, MANAGER, MODERATOR, STRANGER, World

CAME_BY_MONA = ViewerIdentity("vwr_cleo", "Cleo", advisor_id=MANAGER.account_id)


class Asks:
    """Calls of several people against one house."""

    def __init__(self, world: World, people: People, client: httpx.AsyncClient, show_id: str) -> None:
        self.world, self.people, self.client, self.show_id = world, people, client, show_id

    async def __call__(self, who: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        tokens = self.people.tokens
        made = tokens.for_viewer(who) if isinstance(who, ViewerIdentity) else tokens.for_staff(who.account_id, 1)
        headers = {"authorization": f"Bearer {made.token}"}
        answer = await self.client.request(method, path.format(show=self.show_id), json=body, headers=headers)
        return answer.status_code, answer.json()


@pytest.fixture
async def ask(
    sqlite_template: Path, tmp_path: Path, redis: Redis, settings: Settings, clock: TestClock
) -> AsyncIterator[Asks]:
    async with sqlite_ledger(sqlite_template, tmp_path) as database:
        engine = ReservationEngine(redis, settings, clock)
        await engine.start()
        world = World(database, redis, settings, clock, engine)
        await world.seed()
        show_id = (await world.show()).show_id
        people = People(database, redis, settings, clock)
        door = Door(people, database, settings, clock)
        hub = Hub(settings, clock, redis, door, world.shows, engine, None)  # type: ignore[arg-type]
        parts: Any = SimpleNamespace(
            settings=settings, clock=clock, people=people, shows=world.shows, door=door, hub=hub
        )
        transport = httpx.ASGITransport(Starlette(routes=routes_of(table.endpoints, parts)))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield Asks(world, people, client, show_id)
        await engine.aclose()


# --- word lists ------------------------------------------------------------------------------------------------------

RULES = "/api/staff/talk-rules"


async def test_lists_are_read_written_whole_and_tried(ask: Asks) -> None:
    status, before = await ask(MODERATOR, "GET", RULES)
    assert (status, before["rules"]["version"], before["rules"]["words"]) == (200, 0, [])
    assert before["starters"] == {name: list(words) for name, words in STARTERS.items()}
    assert before["judge"] == {"status": "off", "fallback": "allow", "budget_ms": 200, "last_failure": ""}
    lists = {
        "version": 0, "words": [" secret ", "secret", "  "], "allowed": ["open secret"],
        "link_hosts": ["*.brand.com"], "starters": ["zh", "fr"],
    }  # fmt: skip
    status, after = await ask(MODERATOR, "PUT", RULES, lists)
    rules = after["rules"]
    assert (status, rules["words"], rules["version"], rules["changed_by"]) == (200, ["secret"], 1, "Max")
    assert after["own_hosts"] == ["*.brand.com", "127.0.0.1:8080"]
    assert await ask(HOST, "POST", f"{RULES}/try", {"text": "a S3CRET on evil.com"}) == (
        200, {"word": "secret", "link": "evil.com"},
    )  # fmt: skip
    assert await ask(HOST, "POST", f"{RULES}/try", {"text": "see shop.brand.com"}) == (200, {"word": "", "link": ""})
    assert (await ask(HOST, "POST", f"{RULES}/try", {"text": "賤人"}))[1]["word"] == "贱人"


async def test_two_who_edit_at_once_do_not_undo_each_other(ask: Asks) -> None:
    for version in (0, 1):
        assert (await ask(MODERATOR, "PUT", RULES, {"version": version, "words": [f"w{version}"]}))[0] == 200
        status, refused = await ask(MANAGER, "PUT", RULES, {"version": version, "words": ["mine"]})
        assert (status, refused["word"]) == (409, "conflict")
        assert (await ask(MANAGER, "GET", RULES))[1]["rules"]["words"] == [f"w{version}"]


async def test_who_opens_the_lists_sees_what_another_process_has_just_saved(ask: Asks) -> None:
    assert (await ask(MANAGER, "GET", RULES))[1]["rules"]["version"] == 0
    await ask.world.process().talk_rules.edit(MODERATOR, EditTalkRules(0, ("new",)))
    assert (await ask(MANAGER, "GET", RULES))[1]["rules"]["words"] == ["new"]


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        (HOST, {"version": 0}, 403),
        (MODERATOR, {"version": 0, "link_hosts": ["two words"]}, 400),
        (MODERATOR, {"version": 0, "starters": ["tlh"]}, 400),
        (MODERATOR, {"version": 0, "words": ["x" * 61]}, 400),
        (MODERATOR, {"version": 0, "words": ["x"] * 2001}, 400),
        (MODERATOR, {}, 400),
    ],
)
async def test_what_is_no_list_is_refused_and_nothing_changes(ask: Asks, who: Any, body: Any, status: int) -> None:
    assert (await ask(who, "PUT", RULES, body))[0] == status
    assert (await ask(MANAGER, "GET", RULES))[1]["rules"]["version"] == 0


# --- the triage ------------------------------------------------------------------------------------------------------


async def test_items_are_taken_and_given_back_by_those_in_scope(ask: Asks) -> None:
    triage = ask.world.shows.triage
    await triage.hold(ask.show_id, [TriageLine("ln_1", "vw_1", "Ana", "hm")], "judge", ())
    take = "/api/staff/shows/{show}/triage/take"
    assert (await ask(STRANGER, "POST", take))[0] == 403
    assert (await ask(MODERATOR, "POST", "/api/staff/shows/shw_none/triage/take"))[0] == 404
    status, hand = await ask(MODERATOR, "POST", take)
    assert (status, hand["waiting"], hand["in_hand"], hand["a_minute"]) == (200, 0, 1, 20)
    assert [item["lines"] for item in hand["items"]] == [[["ln_1", "vw_1", "Ana", "hm", False]]]
    assert (await ask(HOST, "POST", take))[1]["items"] == []
    assert (await ask(MODERATOR, "POST", "/api/staff/shows/{show}/triage/return", {}))[0] == 200
    assert len((await ask(HOST, "POST", take))[1]["items"]) == 1


async def test_who_is_silenced_is_listed_until_it_ends(ask: Asks) -> None:
    await ask.world.do(ask.show_id, c.Mute(ANA.viewer_id, 5), MODERATOR)
    status, listed = await ask(HOST, "GET", "/api/staff/shows/{show}/silenced")
    assert (status, [(row["viewer_id"], row["kind"], row["by"]) for row in listed["people"]]) == (
        200, [(ANA.viewer_id, "mute", "Max")],
    )  # fmt: skip
    await ask.world.clock.advance(301)
    assert (await ask(HOST, "GET", "/api/staff/shows/{show}/silenced"))[1] == {"people": []}


# --- private questions -----------------------------------------------------------------------------------------------


async def test_a_private_question_is_answered_in_the_inbox_of_the_right_advisor(ask: Asks) -> None:
    shows = ask.world.shows
    to_host = await shows.private.ask(ask.show_id, ANA, " is it for dry skin? ")
    to_mona = await shows.private.ask(ask.show_id, CAME_BY_MONA, "and mine?")
    assert (to_host.advisor_name, to_mona.advisor_name, to_host.text) == ("Clara", "Mona", "is it for dry skin?")
    status, inbox = await ask(HOST, "GET", "/api/staff/inbox")
    assert (status, inbox["unanswered"]) == (200, 1)
    assert [one["question_id"] for one in inbox["questions"]] == [to_host.question_id]
    assert (await ask(MODERATOR, "GET", "/api/staff/inbox"))[1] == {"questions": [], "unanswered": 0}
    answer = f"/api/staff/inbox/{to_host.question_id}/answer"
    assert (await ask(MANAGER, "POST", answer, {"text": "yes"}))[0] == 404
    assert (await ask(HOST, "POST", answer, {"text": " "}))[0] == 422
    assert (await ask(HOST, "GET", "/api/staff/inbox"))[1]["unanswered"] == 1
    assert (await ask(HOST, "POST", answer, {"text": "Yes, very."}))[1]["answer"] == "Yes, very."
    assert (await ask(HOST, "GET", "/api/staff/inbox?show=shw_other"))[1]["questions"] == []
    assert (await ask(HOST, "GET", f"/api/staff/inbox?show={ask.show_id}"))[1]["unanswered"] == 0
    hers = (await ask(ANA, "GET", "/api/shows/{show}/private-questions"))[1]["questions"]
    assert [(one["text"], one["answer"]) for one in hers] == [("is it for dry skin?", "Yes, very.")]
    assert (await ask(BEA, "GET", "/api/shows/{show}/private-questions"))[1] == {"questions": []}


async def test_a_viewer_has_so_many_open_questions_and_no_more(ask: Asks) -> None:
    for number in range(UNANSWERED_MAX):
        await ask.world.shows.private.ask(ask.show_id, ANA, f"question {number}")
    with pytest.raises(Exception, match="too_many"):
        await ask.world.shows.private.ask(ask.show_id, ANA, "one more")
    assert (await ask(HOST, "GET", "/api/staff/inbox"))[1]["unanswered"] == UNANSWERED_MAX
