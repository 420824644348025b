"""What a seated viewer hears and gets: chat, stock, questions, reactions, the desk, draining."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Collection
from typing import cast

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import Close, R, Refused
from livecommerce.gateway import hall
from livecommerce.gateway.outbox import Lane, Outbox
from livecommerce.gateway.seats import send_to_all
from livecommerce.gateway.socket import LiveSocket
from livecommerce.protocol.facts import CardHidden, Level, Note, RoomRules, TriageCount
from livecommerce.protocol.from_viewer import Accept, Delay, Ping, React, Release, Reserve, Say, Token, Vote, WantLine
from livecommerce.protocol.to_viewer import (
    Answer,
    AnyToViewer,
    Bye,
    Desk,
    Levels,
    Own,
    Pong,
    RefusedMessage,
    Relay,
    Said,
    State,
    Talk,
)
from livecommerce.reservations import DealStock, keys
from livecommerce.rooms.room import ToAll
from livecommerce.settings import Settings
from tests.gateway.live import SHOW, WAIT_SECONDS, Live, Raw, live, open_deal, seat, until


@pytest.fixture
async def one(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Live]:
    async with live(redis, settings, clock) as running:
        await open_deal(running.engine)
        yield running


async def collect(raw: Raw, *kinds: type) -> dict[type, object]:
    """The first message of each kind, in whatever order they come."""
    found: dict[type, object] = {}
    while set(kinds) - set(found):
        message = await raw.read()
        assert message is not None, f"closed with {raw.close_code}"
        found.setdefault(type(message), message)
    return found


def state_comes_between(one: Live, monkeypatch: pytest.MonkeyPatch) -> list[Lane]:
    """The lanes of all frames from now on, in order; behind the first one a state frame wants to go out. Each seat is a
    slice of its own."""
    room = one.hub.rooms[SHOW]
    written: list[Lane] = []

    def write(outboxes: Collection[Outbox], frame: bytes, lane: Lane) -> None:
        if not written:
            asyncio.get_running_loop().call_soon(room.act, [ToAll(Relay(True))])
        written.append(lane)
        send_to_all(outboxes, frame, lane)

    monkeypatch.setattr(hall, "SLICE", 1)
    monkeypatch.setattr(hall, "send_to_all", write)
    return written


class TestNumbers:
    """Stock is told to everybody ten times a second; in a full room that must not keep those waiting who tap."""

    async def test_numbers_go_in_slices_and_what_is_urgent_goes_in_between(
        self, one: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raws = [(await seat(one, name))[0] for name in "abc"]
        written = state_comes_between(one, monkeypatch)
        raws[0].send(Reserve("rid-0001", (WantLine("dl_1"),)))
        for raw in raws:
            await raw.read_until(Levels)

        assert written[:4] == [Lane.LEVELS, Lane.STATE, Lane.LEVELS, Lane.LEVELS]

    async def test_what_changes_during_a_pass_takes_no_number_from_those_who_are_still_to_hear_it(
        self, one: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raws = [(await seat(one, name))[0] for name in "abc"]
        await one.clock.advance(2)
        there = one.hub.rooms[SHOW]
        passes = 0

        def write(outboxes: Collection[Outbox], frame: bytes, lane: Lane) -> None:
            nonlocal passes
            passes += lane is Lane.LEVELS
            if passes == 1:  # the head-count grows and another deal moves, between the first seat and the second
                there.room.hear_levels(there.room.levels_version + 1, {"dl_2": Level(9, 0, 0, 0, 0)})
                there.room.crowd.here = 40
                asyncio.get_running_loop().call_soon(there.second)
            send_to_all(outboxes, frame, lane)

        monkeypatch.setattr(hall, "SLICE", 1)
        monkeypatch.setattr(hall, "send_to_all", write)
        raws[0].send(Reserve("rid-0001", (WantLine("dl_1"),)))
        await until(lambda: passes >= 3)
        await one.clock.advance(2)

        for raw in raws:
            seen, version = dict[str, Level](), 0
            while not {"dl_1", "dl_2"} <= seen.keys():
                message = await raw.read_until(Levels)
                if message.version >= version:  # as a page does
                    seen, version = seen | message.deals, message.version
            assert seen["dl_1"].held == 1

    async def test_a_pass_of_numbers_that_took_long_is_followed_by_three_times_as_much_rest(
        self, one: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raw, _ = await seat(one, "a")
        await one.clock.advance(2)  # the head-count has been told
        told: list[float] = []

        def write(outboxes: Collection[Outbox], frame: bytes, lane: Lane) -> None:
            if lane is Lane.LEVELS:
                told.append(one.clock.monotonic())
                one.clock.spend(0.2)
            send_to_all(outboxes, frame, lane)

        monkeypatch.setattr(hall, "send_to_all", write)
        raw.send(Reserve("rid-0001", (WantLine("dl_1"),)))
        await raw.read_until(Levels)
        raw.send(Reserve("rid-0002", (WantLine("dl_1"),)))
        await until(lambda: one.hub.rooms[SHOW].room.levels["dl_1"].held == 2)
        while len(told) < 2:
            await one.clock.advance(0.05)

        assert 0.8 <= told[1] - told[0] < 0.95


class TestState:
    async def test_an_event_reaches_every_viewer_in_both_subprotocols(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        b, _ = await seat(one, "b", subprotocol="livecommerce.v1.json")
        await one.shows.news.publish(SHOW, [Note("hello"), CardHidden("crd_1")], one.clock.now_ms())
        events = []
        for raw in (a, b):
            got: list[object] = []
            while len(got) < 2:
                got += (await raw.read_until(State)).events
            events.append(got)
        assert events[0] == events[1]
        assert [event.offset for event in events[0]] == [1, 2]  # type: ignore[attr-defined]

    async def test_a_newcomer_gets_the_numbers_in_her_snapshot(self, one: Live) -> None:
        _, welcome = await seat(one, "a")
        assert not welcome.recovered
        assert welcome.snapshot is not None
        assert welcome.snapshot.levels["dl_1"].available == 5
        assert welcome.ping_seconds == one.hub.settings.ping_seconds

    async def test_many_joins_share_one_reading_of_the_snapshot(self, one: Live) -> None:
        await seat(one, "first")
        before = one.shows.snapshots
        await asyncio.gather(*(seat(one, f"v{n}") for n in range(20)))
        assert one.shows.snapshots == before


async def heard_until_pong(raw: Raw) -> list[AnyToViewer]:
    """What lay there, and what came until the server answered."""
    raw.send(Ping(1))
    heard: list[AnyToViewer] = []
    while not heard or not isinstance(heard[-1], Pong):
        message = await raw.read()
        assert message is not None, f"closed with {raw.close_code}"
        heard.append(message)
    return heard


class TestStock:
    async def test_a_reservation_is_answered_and_the_numbers_reach_the_others(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        b, _ = await seat(one, "b")
        a.send(Reserve("rid_00000001", (WantLine("dl_1", 2),)))
        got = await collect(a, Answer)
        answer = got[Answer]
        assert isinstance(answer, Answer)
        assert (answer.hold.state, answer.hold.lines[0].qty) == ("held", 2)
        levels = await b.read_until(Levels)
        assert (levels.deals["dl_1"].available, levels.deals["dl_1"].held) == (3, 2)
        assert one.hub.slowest_answer_ms(SHOW) >= 0

    async def test_her_other_window_hears_of_her_hold_and_nobody_else(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        other, _ = await seat(one, "a")
        b, _ = await seat(one, "b")
        a.send(Reserve("rid_00000001", (WantLine("dl_1", 1),)))
        own = await other.read_until(Own)
        assert own.hold is not None
        assert own.hold.rid == "rid_00000001"
        a.send(Release("rid_00000001"))
        own = await other.read_until(Own)
        assert own.hold is not None
        assert own.hold.state == "released"
        assert not [message for message in await heard_until_pong(b) if isinstance(message, Own)]

    async def test_who_asked_is_told_by_the_answer_alone_and_of_what_follows_like_everybody(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        other, _ = await seat(one, "a")
        a.send(Reserve("rid_00000001", (WantLine("dl_1", 1),)))
        await a.read_until(Answer)
        await other.read_until(Own)
        assert not [message for message in await heard_until_pong(a) if isinstance(message, Own)]
        other.send(Release("rid_00000001"))
        own = await a.read_until(Own)
        assert own.hold is not None
        assert own.hold.state == "released"

    async def test_a_welcome_brings_her_holds_again(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        a.send(Reserve("rid_00000001", (WantLine("dl_1", 1),)))
        await a.read_until(Answer)
        _, welcome = await seat(one, "a")
        assert [hold.rid for hold in welcome.holds] == ["rid_00000001"]

    async def test_release_gives_back(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        a.send(Reserve("rid_00000001", (WantLine("dl_1", 1),)))
        await a.read_until(Answer)
        a.send(Release("rid_00000001"))
        answer = await a.read_until(Answer)
        assert answer.hold.state == "released"
        assert (await one.engine.levels(SHOW))[1]["dl_1"].available == 5

    @pytest.mark.parametrize(
        ("message", "why"),
        [
            (Reserve("rid_00000001", (WantLine("dl_nope", 1),)), R.UNKNOWN_DEAL),
            (Reserve("rid_00000001", (WantLine("dl_1", 0),)), R.QUANTITY),
            (Reserve("rid_00000001", (WantLine("dl_1", -1),)), R.QUANTITY),
            (Reserve("rid_00000001", (WantLine("dl_1", 2**31),)), R.QUANTITY),
            (Reserve("rid_00000001", (WantLine("dl_1", 3),)), R.QUANTITY),
            (Release("rid_00000001"), R.NOT_FOUND),
            (Accept("rid_00000001"), R.NOT_FOUND),
        ],
    )
    async def test_a_refusal_names_the_rid_and_moves_nothing(self, one: Live, message: Reserve, why: R) -> None:
        a, _ = await seat(one, "a")
        a.send(message)
        refused = await a.read_until(RefusedMessage)
        assert (refused.re, refused.number) == ("rid_00000001", why.value.number)
        assert (await one.engine.levels(SHOW))[1]["dl_1"].available == 5

    async def test_sold_out_is_said_in_words(self, redis: Redis, settings: Settings, clock: TestClock) -> None:
        async with live(redis, settings, clock) as one:
            await open_deal(one.engine, quota=1)
            a, _ = await seat(one, "a")
            b, _ = await seat(one, "b")
            a.send(Reserve("rid_00000001", (WantLine("dl_1", 1),)))
            await a.read_until(Answer)
            b.send(Reserve("rid_00000001", (WantLine("dl_1", 1),)))
            refused = await b.read_until(RefusedMessage)
            assert (refused.number, refused.text) == (R.SOLD_OUT.value.number, R.SOLD_OUT.value.text)

    async def test_a_pass_that_came_before_the_tap_says_who_taps(self, one: Live) -> None:
        """She confirms her address while she watches: the page renews the pass and taps again in one go."""
        await one.engine.put_deal(SHOW, DealStock("dl_v", 5, 2, 300_000, 600_000, "open", limit_by="verified"))
        raw, _ = await seat(one, "a")
        tap = (WantLine("dl_v"),)
        raw.send(Reserve("rid-0001", tap))
        refused = await raw.read_until(RefusedMessage)
        assert (refused.number, refused.facts) == (R.VERIFIED_ONLY.value.number, {"deal_id": "dl_v"})
        one.door.verified["a"] = "v_ana"
        raw.send(Token("viewer.a"))
        raw.send(Reserve("rid-0001", tap))
        assert (await raw.read_until(Answer)).hold.state == "held"
        raw.send(Reserve("rid-0002", tap))
        assert (await raw.read_until(Answer)).hold.state == "held"

    async def test_a_pass_that_is_refused_keeps_nobodys_tap_waiting(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        raw.send(Token("viewer.b"))
        raw.send(Reserve("rid-0001", (WantLine("dl_1"),)))
        found = await collect(raw, RefusedMessage, Answer)
        assert found.keys() >= {RefusedMessage, Answer}

    async def test_where_she_comes_from_is_counted_where_a_deal_caps_it(
        self, redis: Redis, settings: Settings, clock: TestClock
    ) -> None:
        trusting = dataclasses.replace(settings, trusted_proxies=("127.0.0.1",))
        async with live(redis, trusting, clock) as running:
            await running.engine.open_show(SHOW)
            deal = DealStock("dl_1", 9, 2, 300_000, 600_000, "open", address_cap=1)
            await running.engine.put_deal(SHOW, deal)
            answers = []
            for name, address in (("a", "198.51.100.9"), ("b", "198.51.100.9"), ("c", "198.51.100.8")):
                raw, _ = await seat(running, name, headers={"x-forwarded-for": address})
                raw.send(Reserve("rid-0001", (WantLine("dl_1"),)))
                answers.append(await raw.read_until((Answer, RefusedMessage)))
            assert [type(answer) for answer in answers] == [Answer, RefusedMessage, Answer]
            assert answers[1].facts == {"deal_id": "dl_1", "limit": 1, "of": "address"}
            kept = b" ".join(await redis.hkeys(keys.viewers(SHOW)))
            assert b"198.51.100" not in kept

    async def test_too_many_requests_are_refused_and_not_asked(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        for number in range(11):
            a.send(Reserve(f"rid_{number:08}", (WantLine("dl_nope", 1),)))
        numbers = [(await a.read_until(RefusedMessage)).number for _ in range(11)]
        assert numbers.count(R.TOO_MANY.value.number) >= 1


class TestTalk:
    async def test_a_line_reaches_the_room_and_its_author_gets_a_receipt(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        b, _ = await seat(one, "b", subprotocol="livecommerce.v1.json", device="phone")
        a.send(Say("c1", "  hello\u200b   there "))
        said = await a.read_until(Said)
        assert (said.cid, said.shown, said.line and said.line.text) == ("c1", True, "hello there")
        talk = await b.read_until(Talk)
        assert [(line.text, line.name, line.line_id) for line in talk.lines] == [
            ("hello there", "A", said.line.line_id)
        ]

    async def test_many_lines_of_one_tick_come_in_one_frame(self, one: Live) -> None:
        seats = [await seat(one, f"v{n}") for n in range(6)]
        for number, (raw, _) in enumerate(seats):
            raw.send(Say("c1", f"line {number}"))
        await until(lambda: len(one.hub.rooms[SHOW].room.talk.history) + len(one.hub.rooms[SHOW].room._to_publish) == 6)
        reader = seats[0][0]
        lines: list[str] = []
        frames = 0
        while len(lines) < 6:
            await one.clock.advance(0.11)
            talk = await reader.read_until(Talk)
            lines += [line.text for line in talk.lines]
            frames += 1
        assert sorted(lines) == [f"line {number}" for number in range(6)]
        assert frames <= 3

    async def test_talk_goes_in_slices_and_a_card_overtakes_it(
        self, one: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raws = [(await seat(one, name))[0] for name in "abc"]
        await one.clock.advance(2)  # the head-count has been told
        written = state_comes_between(one, monkeypatch)
        raws[0].send(Say("c1", "hello"))
        for raw in raws:
            await raw.read_until(Talk)

        assert written == [Lane.TALK, Lane.STATE, Lane.TALK, Lane.TALK]

    async def test_a_talk_pass_that_took_long_is_followed_by_more_rest_than_it_took(
        self, one: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So that talk takes half of the core at most, with all that its lines cost beside the writing."""
        raw, _ = await seat(one, "a")
        await one.clock.advance(2)
        told: list[float] = []

        def write(outboxes: Collection[Outbox], frame: bytes, lane: Lane) -> None:
            if lane is Lane.TALK:
                told.append(one.clock.monotonic())
                one.clock.spend(0.4)
            send_to_all(outboxes, frame, lane)

        monkeypatch.setattr(hall, "send_to_all", write)
        raw.send(Say("c1", "hello"))
        await raw.read_until(Talk)
        raw.send(Say("c2", "and once more"))
        await raw.read_until(Said)
        while len(told) < 2:
            await one.clock.advance(0.05)

        assert 1.08 <= told[1] - told[0] < 1.25

    async def test_a_loud_room_is_thinned_the_same_for_all_and_the_author_is_told(
        self, redis: Redis, settings: Settings, clock: TestClock
    ) -> None:
        settings = dataclasses.replace(settings, talk_lines_per_second=2, talk_lines_per_second_phone=1)
        async with live(redis, settings, clock) as one:
            writers = [(await seat(one, f"w{n}"))[0] for n in range(8)]
            desk, _ = await seat(one, "desk")
            phone, _ = await seat(one, "phone", device="phone")
            receipts = []
            for number, raw in enumerate(writers):
                raw.send(Say("c", f"line number {number}"))
            room = one.hub.rooms[SHOW].room
            await until(lambda: len(room._to_publish) == 7)
            await one.clock.advance(0.11)
            for raw in writers:
                receipts.append(await raw.read_until(Said))
            shown = [receipt.line.text for receipt in receipts if receipt.shown]
            held = [receipt for receipt in receipts if not receipt.shown]
            assert len(shown) == 4  # two seconds' worth at once
            assert all(receipt.line is not None and receipt.again_ms > 0 for receipt in held)
            await one.clock.advance(0.2)
            heard: list[str] = []
            while len(heard) < 4:
                talk = await desk.read_until(Talk)
                heard += [line.text for line in talk.lines]
            assert sorted(heard) == sorted(shown)
            on_phone: list[str] = []
            while len(on_phone) < 2:
                on_phone += [line.text for line in (await phone.read_until(Talk)).lines]
            assert set(on_phone) < set(heard)

    async def test_a_newcomer_sees_recent_lines(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        a.send(Say("c1", "early bird"))
        await a.read_until(Said)
        _, welcome = await seat(one, "b")
        assert welcome.snapshot is not None
        assert [line.text for line in welcome.snapshot.talk] == ["early bird"]

    @pytest.mark.parametrize(
        ("text", "why"), [("", R.EMPTY), (" \u200b\n", R.EMPTY), ("visit evil.com now", R.LINK), ("b4dw0rd", R.WORDS)]
    )
    async def test_what_may_not_be_said_is_refused_and_nobody_hears_it(
        self, redis: Redis, settings: Settings, clock: TestClock, text: str, why: R
    ) -> None:
        async with live(redis, dataclasses.replace(settings, banned_words=("badword",)), clock) as one:
            a, _ = await seat(one, "a")
            a.send(Say("c1", text))
            refused = await a.read_until(RefusedMessage)
            assert (refused.re, refused.number) == ("c1", why.value.number)
            assert not one.hub.rooms[SHOW].room.talk.history

    async def test_slow_mode_says_when_the_next_line_is_possible(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        await one.shows.news.publish(SHOW, [RoomRules(30)], one.clock.now_ms())
        await a.read_until(State)
        a.send(Say("c1", "first"))
        await a.read_until(Said)
        a.send(Say("c2", "second"))
        refused = await a.read_until(RefusedMessage)
        assert (refused.number, refused.again) == (R.SLOW_MODE.value.number, True)
        assert 0 < refused.after_ms <= 30_000

    async def test_the_same_line_twice_is_refused(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        a.send(Say("c1", "buy it!"))
        await a.read_until(Said)
        a.send(Say("c2", "BUY IT"))
        assert (await a.read_until(RefusedMessage)).number == R.REPEATED.value.number

    async def test_copies_by_many_wait_for_a_moderator(self, one: Live) -> None:
        desk, _ = await seat(one, "mod", role="moderator")
        people = [(await seat(one, f"v{n}"))[0] for n in range(5)]
        for raw in people:
            raw.send(Say("c", "everybody please look at my own channel"))
            await raw.read_until(RefusedMessage if raw is people[-1] else Said)
            await one.clock.advance(0.11)
        while (await desk_with(desk, "triage")).triage != TriageCount(1, 0):
            pass
        await until(lambda: not one.hub._tasks)
        late, _ = await seat(one, "late", role="moderator")
        assert (await desk_with(late, "triage")).triage == TriageCount(1, 0)  # also to a desk that is opened now
        (item,) = await one.shows.triage.take(SHOW, "mod")
        assert (item.kind, item.why, item.count) == ("held", "copies", 5)
        assert [line.shown for line in item.lines] == [False, True, True, True, True]
        assert item.lines[0].viewer_id == "v4"
        held = await one.shows.news.find_talk(SHOW, item.lines[0].line_id)
        assert held is not None
        assert held.held

    async def test_the_desk_learns_who_said_what_and_viewers_do_not(self, one: Live) -> None:
        desk, _ = await seat(one, "mod", role="moderator")
        a, _ = await seat(one, "a")
        a.send(Say("c1", "hello"))
        said = await a.read_until(Said)
        assert (await desk_with(desk, "authors")).authors == {said.line.line_id: "a"}
        found = await one.shows.news.find_talk(SHOW, said.line.line_id)
        assert found is not None
        assert found.viewer_id == "a"


async def desk_with(raw: Raw, field: str) -> Desk:
    """The next message to the desk that says something of that kind."""
    while True:
        message: Desk = await raw.read_until(Desk)
        if getattr(message, field):
            return message


class TestQuestions:
    async def test_a_question_goes_to_the_queue(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        a.send(Say("c1", "which shade?", "question"))
        said = await a.read_until(Said)
        assert (said.line.line_id, said.line.kind) == ("qst_1", "question")

    async def test_a_private_question_goes_to_one_advisor_only(self, one: Live) -> None:
        clara, _ = await seat(one, "clara", role="host")
        other, _ = await seat(one, "max", role="moderator")
        a, _ = await seat(one, "a")
        a.send(Say("c1", "my skin is dry", "private"))
        assert not (await a.read_until(Said)).shown
        assert (await a.read_until(Own)).private.text == "my skin is dry"
        assert (await desk_with(clara, "private")).private.text == "my skin is dry"
        assert not one.hub.rooms[SHOW].room.talk.history
        await one.shows.news.tell_desk(SHOW, Desk(text="the end"))
        while not (message := await other.read_until(Desk)).text:
            assert message.private is None

    async def test_a_vote_is_passed_on(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        a.send(Vote("c1", "qst_1"))
        assert (await a.read_until(Said)).cid == "c1"
        assert one.shows.voted == [("a", "qst_1")]


class TestCrowd:
    async def test_the_head_count_and_hearts_come_as_numbers(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        b, _ = await seat(one, "b")
        a.send(React())
        a.send(React("clap"))
        await until(lambda: one.hub.rooms[SHOW].room.crowd._hearts_here == 2)
        await one.clock.advance(1.1)
        while (levels := await a.read_until(Levels)).hearts is None:
            pass
        assert (levels.viewers, levels.hearts) == (2, 2)
        b.close()


class TestDelays:
    async def test_the_desk_hears_how_late_the_viewers_see_the_picture_and_nobody_else_does(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        b, _ = await seat(one, "b")
        desk, _ = await seat(one, "mod", role="moderator")
        a.send(Delay(3000))
        b.send(Delay(3100))
        desk.send(Delay(40_000))  # a desk looks back, with the sound off
        await until(lambda: one.hub.rooms[SHOW].room.delays.median(one.clock.monotonic()).reports == 2)
        await one.clock.advance(1.1)
        told = (await desk_with(desk, "delay")).delay
        while not told.reports:  # what it was told on coming in
            told = (await desk_with(desk, "delay")).delay
        assert (told.median_ms, told.reports) == (3125, 2)
        assert not [message for message in await heard_until_pong(a) if isinstance(message, Desk)]
        late, _ = await seat(one, "late", role="host")
        assert (await desk_with(late, "delay")).delay == told

    async def test_who_says_it_without_an_end_or_out_of_bounds_is_refused_and_not_counted(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        for ms in (1000, 1000, 1000, 9000, -1, 3_600_001):
            a.send(Delay(ms))
        numbers = [(await a.read_until(RefusedMessage)).number for _ in range(3)]
        assert numbers == [R.TOO_MANY.value.number, R.MALFORMED.value.number, R.MALFORMED.value.number]
        assert one.hub.rooms[SHOW].room.delays.median(one.clock.monotonic()).reports == 3


class TestPings:
    async def test_the_first_ping_comes_at_a_random_moment_for_each(self, one: Live) -> None:
        """A storm of joins at one instant is not followed by a storm of pings."""
        raws = [raw for raw, _ in await asyncio.gather(*(seat(one, f"v{n}") for n in range(50)))]
        ping_seconds, now = one.hub.settings.ping_seconds, one.clock.monotonic()
        first = [socket._ping_at - now for n in range(50) for socket in one.hub.rooms[SHOW].sockets_of(f"v{n}")]
        assert len(first) == len(set(first)) == len(raws)
        assert all(0.2 * ping_seconds <= seconds <= ping_seconds for seconds in first)
        # Fifty even draws leave no half of the time empty, but for once in 10^15.
        middle = 0.6 * ping_seconds
        assert min(first) < middle < max(first)


class TestClocks:
    @pytest.mark.parametrize("off_ms", [-5 * 3_600_000, 0, 5 * 3_600_000])
    async def test_what_a_page_says_of_its_clock_changes_no_instant_that_it_is_told(
        self, one: Live, off_ms: int
    ) -> None:
        """It is told the server's, in welcome, answer and pong, and counts down to those."""
        raw, welcome = await seat(one, "a")
        now_ms = one.clock.now_ms()
        assert welcome.now_ms == now_ms
        raw.send(Ping(now_ms + off_ms))
        assert await raw.read_until(Pong) == Pong(now_ms + off_ms, now_ms)
        raw.send(Reserve("rid_00000001", (WantLine("dl_1"),)))
        assert (await raw.read_until(Answer)).hold.due_at_ms == now_ms + 300_000


class TestGoing:
    async def test_a_ban_closes_every_window_of_that_viewer_only(self, one: Live) -> None:
        a, _ = await seat(one, "a")
        again, _ = await seat(one, "a")
        b, _ = await seat(one, "b")
        await one.shows.news.kick(SHOW, "a", Close.BANNED)
        for raw in (a, again):
            await raw.read_all()
            assert raw.close_code == Close.BANNED
        b.send(Say("c1", "still here"))
        await b.read_until(Said)

    async def test_draining_tells_each_when_to_come_back(self, one: Live) -> None:
        raws = [(await seat(one, f"v{n}"))[0] for n in range(3)]
        draining = asyncio.create_task(one.hub.drain())
        for raw in raws:
            bye = (await raw.read_all())[-1]
            assert isinstance(bye, Bye)
            assert 0 <= bye.after_ms <= one.hub.settings.drain_seconds * 1000
            assert raw.close_code == Close.MOVING
        await draining
        assert not one.hub._to_drain

    async def test_draining_goes_in_batches_and_spreads_the_returns_evenly(
        self, one: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While one batch goes the others still hear; and no two come back in the same tenth of the time."""
        monkeypatch.setattr("livecommerce.gateway.hub.DRAIN_BATCH_MIN", 4)
        count, spread_ms = 10, one.hub.settings.drain_seconds * 1000
        raws = [(await seat(one, f"v{n}"))[0] for n in range(count)]
        draining = asyncio.create_task(one.hub.drain())
        await until(lambda: len(one.hub._to_drain) == count - 4)
        await one.shows.news.publish(SHOW, [Note("goes on")], one.clock.now_ms())
        await until(lambda: one.hub.rooms[SHOW].room.offset == 1)
        for left in (2, 0):
            await one.clock.advance(0.1)
            await until(lambda left=left: len(one.hub._to_drain) == left)
        await draining
        heard = [await raw.read_all() for raw in raws]
        byes = [messages[-1] for messages in heard]
        assert sum(any(isinstance(message, State) for message in messages) for messages in heard) == count - 4
        assert sorted(bye.after_ms * count // spread_ms for bye in byes) == list(range(count))  # type: ignore[union-attr]

    async def test_while_it_drains_nobody_new_is_let_in_and_all_are_told_when(self, one: Live) -> None:
        await seat(one, "a")
        await one.hub.drain()
        with pytest.raises(Refused) as no:
            one.hub.admit(cast("LiveSocket", None))  # refused before anything of it is looked at
        assert no.value.why is R.UNAVAILABLE
        assert 0 <= (no.value.after_ms or 0) <= one.hub.settings.drain_seconds * 1000

    async def test_lines_that_were_shown_are_in_the_log_when_the_process_has_ended(
        self, one: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("livecommerce.gateway.hub.TALK_KEPT_SECONDS_MAX", WAIT_SECONDS)
        raw, _ = await seat(one, "a")
        hall = one.hub.rooms[SHOW]
        await hall._logging.acquire()  # the ledger is slow
        raw.send(Say("c1", "the last words"))
        await raw.read_until(Said)
        ending = asyncio.create_task(one.hub.aclose())
        await until(lambda: ending.done() or hall._to_log)
        hall._logging.release()
        await ending
        assert [talk.line.text for talk in one.shows.recorded] == ["the last words"]

    async def test_an_empty_hall_is_closed_after_a_while_and_its_channel_left(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        raw.close()
        await until(lambda: one.hub.admission.sockets == 0)
        # The room is looked at every second; a busy machine may need several of them to close it.
        async with asyncio.timeout(WAIT_SECONDS):
            while one.hub.rooms:
                await one.clock.advance(2)
                await asyncio.sleep(0.01)
        assert await one.hub.relay._redis.pubsub_numsub((one.hub.rooms and "") or f"{{show:{SHOW}}}:channel") == [
            (f"{{show:{SHOW}}}:channel".encode(), 0)
        ]
