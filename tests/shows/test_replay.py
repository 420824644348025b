"""A show that is over, as it was: events in order, chapters, what was said; never what a moderator hid."""

import msgspec
import pytest

from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import CardShown, Line, LineHidden, LinePinned, QuestionChanged, Stamped
from livecommerce.shows.news import TalkLine
from livecommerce.shows.replay import LINES_MAX, Chapter, chapters_of, events_of, lines_of, web_vtt
from tests.shows.world import ANA, MODERATOR, World


def _line(number: int, at_ms: int, text: str = "hello") -> TalkLine:
    return TalkLine(Line(f"ln_{number:012d}", at_ms, "Ana", text), "vw_ana", False)


async def test_events_come_in_their_order_with_offsets_of_their_own(world: World) -> None:
    show = await world.show()
    first, second = await world.card(show.show_id), await world.card(show.show_id)
    for card in (first, second):
        await world.clock.advance(10)
        await world.do(show.show_id, c.ShowCard(card.card_id))
    await world.do(show.show_id, c.End())

    told = await events_of(world.database, show.show_id)

    offsets = [stamped.offset for stamped in told.events]
    assert offsets == sorted(set(offsets))
    assert told.next == 0
    assert [stamped.at_ms for stamped in told.events] == sorted(stamped.at_ms for stamped in told.events)
    shown = [each.event.card.card_id for each in told.events if isinstance(each.event, CardShown)]
    assert shown == [first.card_id, second.card_id]
    chapters = await chapters_of(world.database, show.show_id)
    assert [chapter.card_id for chapter in chapters] == shown
    assert chapters[1].at_ms - chapters[0].at_ms == 10_000
    assert msgspec.json.decode(msgspec.json.encode(told.events), type=tuple[Stamped, ...]) == told.events


async def test_a_long_evening_is_read_page_by_page_and_nothing_of_it_is_lost(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id)
    for number in range(3):
        await world.do(show.show_id, c.Promise(card.card_id, f"promise {number}"))
        line = _line(number, world.clock.now_ms(), f"line {number}")
        await world.shows.say_record(show.show_id, [line])
        await world.shows.news.remember_talk(show.show_id, [line])
        await world.do(show.show_id, c.PinLine(line.line.line_id))
    await world.do(show.show_id, c.HideLine("ln_000000000002"))  # on the last page, what it hides on one before
    whole = (await events_of(world.database, show.show_id)).events

    for rows_max in (1, 2, 3, len(whole) + 1, len(whole) + 2):
        told, after, pages = [], 0, 0
        while pages == 0 or after:
            page = await events_of(world.database, show.show_id, after, rows_max)
            assert len(page.events) <= rows_max
            told += page.events
            after, pages = page.next, pages + 1
        assert tuple(told) == whole
    assert b"line 2" not in msgspec.json.encode(whole)
    assert b"line 1" in msgspec.json.encode(whole)


async def test_what_was_hidden_stays_hidden_whenever_it_was(world: World) -> None:
    show = await world.show()
    now = world.clock.now_ms()
    lines = [_line(number, now + number * 1000, f"line {number}") for number in range(4)]
    await world.shows.say_record(show.show_id, lines)
    await world.shows.news.remember_talk(show.show_id, lines)
    await world.do(show.show_id, c.PinLine(lines[1].line.line_id))
    await world.do(show.show_id, c.PinLine(lines[2].line.line_id))
    await world.do(show.show_id, c.HideLine(lines[1].line.line_id))

    said = await lines_of(world.database, show.show_id, now, now + 60_000)
    events = (await events_of(world.database, show.show_id)).events

    assert [line.text for line in said] == ["line 0", "line 2", "line 3"]
    assert [each.event.line.text for each in events if isinstance(each.event, LinePinned)] == ["line 2"]
    assert not any(isinstance(each.event, LineHidden) for each in events)
    assert b"line 1" not in msgspec.json.encode(events)


async def test_a_question_that_was_hidden_is_in_no_replay_not_even_as_it_was_asked(world: World) -> None:
    show = await world.show()
    hidden = await world.shows.ask(show.show_id, ANA, "what nobody should read")
    (item,) = await world.shows.triage.take(show.show_id, MODERATOR.account_id)
    await world.do(show.show_id, c.Settle(item.id, "hide"), MODERATOR)
    await world.shows.ask(show.show_id, ANA, "does it last all day?")

    events = (await events_of(world.database, show.show_id)).events

    asked = [each.event.question for each in events if isinstance(each.event, QuestionChanged)]
    assert [question.text for question in asked] == ["does it last all day?"]
    assert hidden.question_id.encode() not in msgspec.json.encode(events)
    assert b"nobody should read" not in msgspec.json.encode(events)


async def test_talk_is_read_by_stretches_and_bounded(world: World) -> None:
    show = await world.show()
    now = world.clock.now_ms()
    await world.shows.say_record(show.show_id, [_line(number, now + number) for number in range(LINES_MAX + 20)])
    held = TalkLine(Line("ln_held00000000", now + 5, "Bea", "held"), "vw_bea", True)
    await world.shows.say_record(show.show_id, [held])

    assert len(await lines_of(world.database, show.show_id, now, now + 10_000)) == LINES_MAX
    few = await lines_of(world.database, show.show_id, now + 3, now + 6)
    assert [line.at_ms - now for line in few] == [3, 4, 5]
    assert await lines_of(world.database, "sh_other0000000", now, now + 10_000) == ()


async def test_a_chapter_lasts_until_its_card_leaves_the_picture(world: World) -> None:
    show = await world.show()
    first, second = await world.card(show.show_id), await world.card(show.show_id)
    begin = world.clock.now_ms()
    for after, command in (
        (0, c.ShowCard(first.card_id)),
        (10, c.HideCard(first.card_id)),
        (5, c.ShowCard(first.card_id)),  # away for five seconds, with no other between: the same chapter
        (10, c.ShowCard(second.card_id)),
        (20, c.HideCard(second.card_id)),
        (5, c.ShowCard(first.card_id)),
    ):
        await world.clock.advance(after)
        await world.do(show.show_id, command)

    chapters = await chapters_of(world.database, show.show_id)

    ends = [chapter.ends_at_ms and chapter.ends_at_ms - begin for chapter in chapters]
    assert [(chapter.card_id, chapter.at_ms - begin) for chapter in chapters] == [
        (first.card_id, 0), (second.card_id, 25_000), (first.card_id, 50_000),
    ]  # fmt: skip
    assert ends == [25_000, 45_000, None]


def test_chapters_are_a_webvtt_file_timed_from_the_recordings_beginning() -> None:
    chapters = (Chapter(500, "a", "Before"), Chapter(1500, "b", "Velvet --> Lip"), Chapter(3_661_500, "c", "Late"))

    assert web_vtt(chapters, 1000, 3_700_000) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:00.500\nBefore\n\n"
        "00:00:00.500 --> 01:01:00.500\nVelvet → Lip\n\n"
        "01:01:00.500 --> 01:01:39.000\nLate\n"
    )


@pytest.mark.parametrize("chapters", [(), (Chapter(9_000, "a", "After the end"),)])
def test_chapters_outside_of_the_recording_are_left_out(chapters: tuple[Chapter, ...]) -> None:
    assert web_vtt(chapters, 1000, 5000) == "WEBVTT\n"
