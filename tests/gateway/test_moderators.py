"""Moderators at work over two processes: what one does is everywhere at once, and no two do it twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.gateway.door import Door
from livecommerce.ledger.database import Database
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.service import People
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import (
    CaptionHidden,
    CaptionSaid,
    LineHidden,
    LineRestored,
    PictureDelay,
    QuestionChanged,
    RoomRules,
    TriageCount,
)
from livecommerce.protocol.from_viewer import Delay, Hello, Ping, Say
from livecommerce.protocol.to_viewer import Desk, Own, Pong, RefusedMessage, Said, State, Talk, Welcome
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.talk_rules import EditTalkRules
from tests.gateway.live import Live, Raw, connect, live, until
from tests.gateway.real_house import sqlite_ledger
from tests.shows.world import ANA, BEA, HOST, MANAGER, MODERATOR, World

SPAM = "everybody please come and look at my own channel"


@dataclass
class House:
    """Two web processes over one Redis and one ledger, and a show on air."""

    one: Live
    two: Live
    world: World
    people: People
    show_id: str

    async def seat(self, who: Any, at: Live | None = None, **hello: Any) -> tuple[Raw, Welcome]:
        tokens = self.people.tokens
        made = tokens.for_viewer(who) if isinstance(who, ViewerIdentity) else tokens.for_staff(who.account_id, 1)
        raw = await connect((at or self.one).port, self.show_id, token=made.token)
        return raw, await raw.hello(device="desk", **hello)

    async def settled(self) -> None:
        await until(lambda: not self.one.hub._tasks and not self.two.hub._tasks)

    async def do(self, command: c.AnyCommand, staff: Any = MODERATOR) -> c.Done:
        return await self.world.do(self.show_id, command, staff)

    async def log(self) -> list[tuple[str, str, Any]]:
        rows = await self.world.shows.log_page(HOST, self.show_id)
        return [(row.kind, row.actor_id, row.body) for row in rows]


@pytest.fixture
async def house(
    sqlite_template: Path, tmp_path: Path, redis: Redis, settings: Settings, clock: TestClock
) -> AsyncIterator[House]:
    async with contextlib.AsyncExitStack() as ends:
        database: Database = await ends.enter_async_context(sqlite_ledger(sqlite_template, tmp_path))
        engine = ReservationEngine(redis, settings, clock)
        await engine.start()
        ends.push_async_callback(engine.aclose)
        world = World(database, redis, settings, clock, engine)
        await world.seed()
        people = People(database, redis, settings, clock)
        door = Door(people, database, settings, clock)
        processes = [
            await ends.enter_async_context(live(redis, settings, clock, real_shows=world.process(), real_door=door))
            for _ in range(2)
        ]
        facts = await world.show()
        yield House(processes[0], processes[1], world, people, facts.show_id)


async def event(raw: Raw, kind: type) -> Any:
    while True:
        for stamped in (await raw.read_until(State)).events:
            if isinstance(stamped.event, kind):
                return stamped.event


async def desk(raw: Raw, field: str) -> Any:
    while True:
        if (value := getattr(await raw.read_until(Desk), field)) not in (None, "", {}):
            return value


def guest(number: int) -> ViewerIdentity:
    return ViewerIdentity(f"vwr_{number}", f"Guest {number}")


async def flood(house: House, lines: int = 5) -> list[Raw]:
    """So many people say the same; the last ones wait for a moderator."""
    people = [(await house.seat(guest(number)))[0] for number in range(lines)]
    for number, raw in enumerate(people):
        raw.send(Say(f"c{number}", f"{SPAM} {'!' * number}"))
        await raw.read_until(Said if number < 4 else RefusedMessage)
        await house.world.clock.advance(0.11)
    await house.settled()
    return people


# --- one action covers all copies, everywhere ------------------------------------------------------------------------


async def test_one_decision_hides_every_copy_on_every_process_and_silences_who_wrote_them(house: House) -> None:
    there, _ = await house.seat(BEA, house.two)
    people = await flood(house, 6)
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    assert item.count == 6
    rooms = [process.hub.rooms[house.show_id].room for process in (house.one, house.two)]
    await until(lambda: all(len(room.talk.history) == 4 for room in rooms))
    decided = house.world.clock.monotonic()
    assert await house.do(c.Settle(item.id, "hide", mute_minutes=10, reason="advertising")) == "done"
    hidden = await event(there, LineHidden)
    assert len({hidden.line_id, *hidden.copies}) == 4
    await until(lambda: all(not room.talk.history for room in rooms))
    _, newcomer = await house.seat(ANA)
    assert newcomer.snapshot is not None
    assert newcomer.snapshot.talk == ()
    assert await house.world.shows.news.recent_talk(house.show_id) == []
    everybody = {f"vwr_{number}" for number in range(6)}  # also those whose copy was shown before it was noticed
    await until(lambda: all(room.moderation._muted.keys() == everybody for room in rooms))
    assert house.world.clock.monotonic() - decided <= 1  # everywhere within a second: nothing of it waits for a tick
    people[5].send(Say("again", "but why"))
    assert (await people[5].read_until(RefusedMessage)).number == R.MUTED.value.number
    commands = [(who, body["do"], body.get("reason")) for kind, who, body in await house.log() if kind == "command"]
    assert commands[-1] == (MODERATOR.account_id, "settle", "advertising")
    with pytest.raises(Refused) as refused:
        await house.do(c.Settle(item.id, "hide"))
    assert refused.value.why is R.NOT_FOUND


async def test_a_held_line_is_let_through_once_and_its_author_knows_it_by_its_id(house: House) -> None:
    there, _ = await house.seat(BEA, house.two)
    people = await flood(house, 4)
    late, _ = await house.seat(guest(9))
    late.send(Say("c", SPAM))
    held = (await late.read_until(RefusedMessage)).facts["line_id"]
    await house.settled()
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    await house.do(c.Settle(item.id, "let_through"))
    lines: list[Any] = []
    while held not in [line.line_id for line in lines]:
        await house.world.clock.advance(0.2)
        lines += (await there.read_until(Talk)).lines
    assert people


async def test_an_item_in_other_hands_is_nobody_elses_to_decide(house: House) -> None:
    await flood(house)
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    assert await house.world.shows.take_items(HOST, house.show_id) == []
    with pytest.raises(Refused) as refused:
        await house.do(c.Settle(item.id, "let_through"), HOST)
    assert refused.value.why is R.ITEM_TAKEN
    assert not any(body.get("do") == "settle" for kind, _, body in await house.log() if kind == "command")
    await house.world.shows.give_items_back(MODERATOR, house.show_id)
    assert await house.do(c.Settle(item.id, "let_through"), HOST) == "done"


@pytest.mark.parametrize("privately", [False, True])
async def test_questions_about_one_product_are_answered_together(house: House, privately: bool) -> None:
    card = await house.world.card(house.show_id, 5)
    await house.world.do(house.show_id, c.ShowCard(card.card_id))
    ana, _ = await house.seat(ANA)
    bea, _ = await house.seat(BEA, house.two)
    ana.send(Say("c1", "is it matte?", "question"))
    await ana.read_until(Said)
    bea.send(Say("c2", "does it last?", "question"))
    await bea.read_until(Said)
    await until(lambda: not house.one.hub._tasks and not house.two.hub._tasks)
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    assert (item.kind, item.title, item.count) == ("question", "Velvet Lip", 2)
    await house.do(c.Settle(item.id, "answer", "Matte, and until midnight.", privately=privately))
    snapshot = await house.world.shows.snapshot(house.show_id)
    answer = "" if privately else "Matte, and until midnight."
    assert {(one.status, one.answer) for one in snapshot.questions} == {("answered", answer)}
    if privately:
        for raw in (ana, bea):
            assert (await raw.read_until(Own)).note == "Max: Matte, and until midnight."


async def test_questions_can_be_dropped_and_nobody_sees_them_any_more(house: House) -> None:
    ana, _ = await house.seat(ANA)
    ana.send(Say("c1", "are you single?", "question"))
    await ana.read_until(Said)
    await house.settled()
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    await house.do(c.Settle(item.id, "hide", reason="personal"))
    while (await event(ana, QuestionChanged)).question.status != "dropped":
        pass
    assert (await house.world.shows.snapshot(house.show_id)).questions == ()


async def ask(house: House, who: ViewerIdentity, text: str) -> str:
    asked = await house.world.shows.ask(house.show_id, who, text)
    return asked.question_id


async def statuses(house: House) -> dict[str, str]:
    snapshot = await house.world.shows.snapshot(house.show_id)
    return {one.text: one.status for one in snapshot.questions}


async def test_a_question_that_comes_while_she_reads_is_not_answered_with_those_she_read(house: House) -> None:
    await ask(house, ANA, "is it vegan?")
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    await ask(house, BEA, "does it contain nuts?")
    await house.do(c.Settle(item.id, "answer", "Yes"))
    assert await statuses(house) == {"is it vegan?": "answered", "does it contain nuts?": "queued"}
    (other,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    assert [line.text for line in other.lines] == ["does it contain nuts?"]
    await house.do(c.Settle(other.id, "hide"))
    assert await statuses(house) == {"is it vegan?": "answered"}


async def test_what_the_host_has_answered_asks_no_moderator(house: House) -> None:
    first = await ask(house, ANA, "is it vegan?")
    second = await ask(house, BEA, "does it last?")
    await house.do(c.AnswerQuestion(first, "It is."), HOST)
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    assert (item.count, [line.text for line in item.lines]) == (1, ["does it last?"])
    await house.world.shows.give_items_back(MODERATOR, house.show_id)
    await house.do(c.AnswerQuestion(second), HOST)
    assert await house.world.shows.take_items(MODERATOR, house.show_id) == []
    assert await house.world.shows.triage.count(house.show_id) == TriageCount(0, 0)


async def test_an_answer_that_would_reach_nobody_is_refused_and_the_item_stays_with_her(house: House) -> None:
    question = await ask(house, ANA, "is it vegan?")
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    await house.do(c.AnswerQuestion(question, "It is."), HOST)
    with pytest.raises(Refused) as refused:
        await house.do(c.Settle(item.id, "answer", "Yes, since spring."))
    assert refused.value.why is R.CONFLICT
    assert not any(body.get("do") == "settle" for kind, _, body in await house.log() if kind == "command")
    assert [one.id for one in await house.world.shows.take_items(MODERATOR, house.show_id)] == [item.id]
    await house.world.shows.give_items_back(MODERATOR, house.show_id, item.id)  # and goes to nobody else
    assert await house.world.shows.take_items(MANAGER, house.show_id) == []
    assert await house.world.shows.triage.count(house.show_id) == TriageCount(0, 0)


@pytest.mark.parametrize(
    ("act", "kind", "why"),
    [("answer", "held", R.MALFORMED), ("let_through", "question", R.MALFORMED), ("answer", "question", R.EMPTY)],
)
async def test_an_act_that_does_not_fit_is_refused_and_the_item_stays(
    house: House, act: Any, kind: str, why: R
) -> None:
    if kind == "held":
        await flood(house)
    else:
        ana, _ = await house.seat(ANA)
        ana.send(Say("c1", "which one?", "question"))
        await ana.read_until(Said)
        await house.settled()
    (item,) = await house.world.shows.take_items(MODERATOR, house.show_id)
    with pytest.raises(Refused) as refused:
        await house.do(c.Settle(item.id, act))
    assert refused.value.why is why
    assert [one.id for one in await house.world.shows.take_items(MODERATOR, house.show_id)] == [item.id]


# --- moderators know of each other -----------------------------------------------------------------------------------


async def names_at_the_desk(house: House, raw: Raw, names: list[str]) -> None:
    """Turn the clock until she is told that these are here."""

    async def told() -> None:
        while [one.name for one in await desk(raw, "here")] != names:
            pass

    reading = asyncio.create_task(told())
    while not reading.done():
        await house.world.clock.advance(0.5)
    await reading


async def test_moderators_on_two_processes_see_each_other_come_act_and_go(house: House) -> None:
    max_, _ = await house.seat(MODERATOR)
    await names_at_the_desk(house, max_, ["Max"])
    clara, _ = await house.seat(HOST, house.two)
    await names_at_the_desk(house, max_, ["Clara", "Max"])
    await names_at_the_desk(house, clara, ["Clara", "Max"])
    await house.do(c.SlowMode(30, reason="very loud"))
    acted = await desk(clara, "acted")
    assert (acted.name, acted.do, acted.reason) == ("Max", "slow_mode", "very loud")
    clara.close()
    await until(lambda: not house.two.hub.rooms[house.show_id]._desk)
    await names_at_the_desk(house, max_, ["Max"])


async def test_what_a_moderator_has_in_hand_goes_back_when_she_leaves_her_last_window(house: House) -> None:
    first, _ = await house.seat(MODERATOR)
    second, _ = await house.seat(MODERATOR)
    await flood(house)
    shows = house.world.shows
    assert len(await shows.take_items(MODERATOR, house.show_id)) == 1
    first.close()
    await until(lambda: len(house.one.hub.rooms[house.show_id]._desk) == 1)
    await house.settled()
    assert await shows.take_items(MANAGER, house.show_id) == []
    second.close()
    await until(lambda: not house.one.hub.rooms[house.show_id]._desk)
    await house.settled()
    assert len(await shows.take_items(MANAGER, house.show_id)) == 1


async def test_while_she_stays_her_lease_is_renewed(house: House) -> None:
    await flood(house)
    max_, _ = await house.seat(MODERATOR)
    assert len(await house.world.shows.take_items(MODERATOR, house.show_id)) == 1
    for _ in range(12):
        max_.send(Ping())
        await max_.read_until(Pong)
        await house.world.clock.advance(10)
        await house.settled()
    assert await house.world.shows.take_items(MANAGER, house.show_id) == []


# --- who may write ---------------------------------------------------------------------------------------------------


async def test_members_only_is_everywhere_at_once_and_slow_mode_leaves_it_on(house: House) -> None:
    ana, _ = await house.seat(ANA)
    cleo = ViewerIdentity("vwr_cleo", "Cleo", "merchant")
    inside, _ = await house.seat(cleo, house.two)
    await house.do(c.MembersOnly(True, reason="a raid"))
    assert (await event(inside, RoomRules)).members_only
    await event(ana, RoomRules)
    ana.send(Say("c1", "hello"))
    assert (await ana.read_until(RefusedMessage)).number == R.MEMBERS_CHAT.value.number
    inside.send(Say("c1", "hello"))
    assert (await inside.read_until(Said)).cid == "c1"
    await house.do(c.SlowMode(10))
    rules = await event(ana, RoomRules)
    assert (rules.slow_seconds, rules.members_only) == (10, True)
    _, newcomer = await house.seat(BEA)
    assert newcomer.snapshot is not None
    assert (newcomer.snapshot.slow_seconds, newcomer.snapshot.members_only) == (10, True)
    assert await house.do(c.MembersOnly(True)) == "done"  # nothing changes, and no event
    await house.do(c.MembersOnly(False))
    assert not (await event(ana, RoomRules)).members_only


async def test_a_hidden_line_can_be_shown_again_where_it_stood(house: House) -> None:
    ana, _ = await house.seat(ANA)
    ids = []
    for number in range(3):
        ana.send(Say(f"c{number}", f"line {number}"))
        said = await ana.read_until(Said)
        assert said.line is not None
        ids.append(said.line.line_id)
        await house.world.clock.advance(0.2)
    await house.settled()
    with pytest.raises(Refused) as refused:
        await house.do(c.RestoreLine(ids[1]))  # it is not hidden
    assert refused.value.why is R.NOT_FOUND
    await house.do(c.HideLine(ids[1], reason="a mistake"))
    await event(ana, LineHidden)
    await house.do(c.RestoreLine(ids[1]))
    assert (await event(ana, LineRestored)).line.line_id == ids[1]
    room = house.one.hub.rooms[house.show_id].room
    assert [line.line_id for line in room.talk.history] == ids
    assert [line.line_id for line in await house.world.shows.news.recent_talk(house.show_id)] == ids


async def test_a_ban_by_a_line_finds_its_author_and_can_be_lifted(house: House) -> None:
    ana, _ = await house.seat(ANA)
    ana.send(Say("c1", "hello"))
    said = await ana.read_until(Said)
    await house.settled()
    assert said.line is not None
    await house.do(c.Ban(line_id=said.line.line_id, reason="insults"))
    await ana.read_all()
    (row,) = await house.world.shows.silence.listed(MODERATOR, house.show_id)
    assert (row.viewer_id, row.kind, row.until_ms, row.by) == (ANA.viewer_id, "ban", None, "Max")
    await house.do(c.Ban(ANA.viewer_id, lift=True))
    assert await house.world.shows.silence.listed(MODERATOR, house.show_id) == ()
    await house.world.clock.advance(2)
    await house.seat(ANA)


async def test_word_lists_reach_every_process_within_seconds(house: House) -> None:
    ana, _ = await house.seat(ANA)
    bea, _ = await house.seat(BEA, house.two)
    await house.world.shows.talk_rules.edit(MANAGER, EditTalkRules(0, ("secret",), starters=("fr",)))
    await house.world.clock.advance(2.2)
    await house.settled()
    await house.world.clock.advance(2.2)
    await house.settled()
    for raw, text in ((ana, "the S3CRET"), (bea, "quelle merde")):
        raw.send(Say("c1", text))
        assert (await raw.read_until(RefusedMessage)).number == R.WORDS.value.number


# --- coming back -----------------------------------------------------------------------------------------------------


async def test_who_comes_back_gets_what_was_said_meanwhile(house: House) -> None:
    ana, welcome = await house.seat(ANA)
    ana.send(Say("c1", "first"))
    said = await ana.read_until(Said)
    ana.close()
    bea, _ = await house.seat(BEA)
    for number in range(3):
        await house.world.clock.advance(0.2)
        bea.send(Say(f"c{number}", f"while you were away {number}"))
        await bea.read_until(Said)
    assert said.line is not None
    back, again = await house.seat(ANA, epoch=welcome.epoch, offset=welcome.offset, heard=said.line.line_id)
    assert (again.recovered, again.missed_talk) == (True, False)
    talk = await back.read_until(Talk)
    assert [line.text for line in talk.lines] == [f"while you were away {number}" for number in range(3)]


async def test_who_missed_more_than_the_room_remembers_is_told_so(house: House) -> None:
    ana, welcome = await house.seat(ANA)
    ana.send(Say("c1", "first"))
    said = await ana.read_until(Said)
    ana.close()
    for number in range(55):
        await house.do(c.Announce(f"notice {number}"), HOST)
    room = house.one.hub.rooms[house.show_id].room
    await until(lambda: room.talk.history and room.talk.history[-1].text == "notice 54")
    assert said.line is not None
    back, again = await house.seat(ANA, epoch=welcome.epoch, offset=welcome.offset, heard=said.line.line_id)
    assert (again.recovered, again.missed_talk) == (True, True)
    assert len((await back.read_until(Talk)).lines) == 50
    _, newcomer = await house.seat(BEA)
    assert not newcomer.missed_talk


async def test_who_missed_nothing_is_told_nothing(house: House) -> None:
    ana, welcome = await house.seat(ANA)
    ana.send(Say("c1", "first"))
    said = await ana.read_until(Said)
    ana.close()
    assert said.line is not None
    back = await connect(house.one.port, house.show_id, token=house.people.tokens.for_viewer(ANA).token)
    back.send(Hello(epoch=welcome.epoch, offset=welcome.offset, device="desk", heard=said.line.line_id))
    again = await back.read_until(Welcome)
    assert (again.recovered, again.missed_talk) == (True, False)
    await house.do(c.Announce("the next"), HOST)
    await house.world.clock.advance(0.2)
    assert [line.text for line in (await back.read_until(Talk)).lines] == ["the next"]


# --- what the viewers see, and read ----------------------------------------------------------------------------------


async def test_how_late_the_viewers_of_all_processes_see_the_picture_is_one_median(house: House) -> None:
    max_, _ = await house.seat(MODERATOR)
    for who, process, ms in ((ANA, house.one, 2000), (BEA, house.two, 9000), (guest(1), house.two, 9100)):
        viewer, _ = await house.seat(who, process)
        viewer.send(Delay(ms))
    rooms = [process.hub.rooms[house.show_id].room for process in (house.one, house.two)]
    await until(lambda: sum(room.delays._now.total() for room in rooms) == 3)
    await house.world.clock.advance(1.1)  # each process tells the other
    await until(lambda: rooms[0].delays.median(house.world.clock.monotonic()).reports == 3)
    told = PictureDelay(0, 0)
    while told.reports < 3:
        await house.world.clock.advance(1.1)
        told = await desk(max_, "delay")
    assert told == PictureDelay(9125, 3)


async def test_a_caption_reaches_every_process_and_its_writers_colleagues_are_not_told_of_each(house: House) -> None:
    max_, _ = await house.seat(MODERATOR)
    there, _ = await house.seat(BEA, house.two)
    said_at_ms = house.world.clock.now_ms() - 3000
    assert await house.do(c.SayCaption("Good evening", said_at_ms)) == "done"
    caption = (await event(there, CaptionSaid)).caption
    assert (caption.text, caption.said_at_ms) == ("Good evening", said_at_ms)
    assert await house.do(c.HideCaption(caption.caption_id, "a slip")) == "done"
    assert (await event(there, CaptionHidden)).caption_id == caption.caption_id
    acted = await desk(max_, "acted")  # the first that the desk hears: not of the caption itself
    assert (acted.do, acted.reason) == ("hide_caption", "a slip")
