"""Captions typed during a show: on the picture of their moment, in the log, and never again once they were hidden."""

import pytest

from livecommerce.errors import R, Refused
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Caption, CaptionHidden, CaptionSaid, Stamped
from livecommerce.shows.captions import LIVE, CaptionTrack, cues_of, stands_ms, tracks_of, typed_file
from livecommerce.shows.commands import CAPTION_LATE_MS_MAX
from livecommerce.shows.replay import events_of
from livecommerce.shows.webvtt import Cue
from tests.shows.world import HOST, World


async def _told(world: World, show_id: str) -> list[Stamped]:
    return list((await events_of(world.database, show_id)).events)


async def test_a_line_belongs_to_the_picture_that_its_writer_saw(world: World) -> None:
    show = await world.show()
    now = world.clock.now_ms()
    await world.do(show.show_id, c.SayCaption("  Good\tevening ", now - 3000))
    await world.do(show.show_id, c.SayCaption("to all of you"))
    await world.do(show.show_id, c.SayCaption("a clock a little ahead", now + 900))

    said = [each.event.caption for each in await _told(world, show.show_id) if isinstance(each.event, CaptionSaid)]
    assert [(caption.text, caption.said_at_ms - now) for caption in said] == [
        ("Good evening", -3000), ("to all of you", 0), ("a clock a little ahead", 0),
    ]  # fmt: skip
    assert len({caption.caption_id for caption in said}) == 3


@pytest.mark.parametrize(
    ("text", "off_ms", "why"),
    [(" \t\x07 ", 0, R.EMPTY), ("x", -CAPTION_LATE_MS_MAX - 1, R.MALFORMED), ("x", 1001, R.MALFORMED)],
)
async def test_what_is_no_caption_of_now_is_refused_and_nothing_is_said(
    world: World, text: str, off_ms: int, why: R
) -> None:
    show = await world.show()
    with pytest.raises(Refused) as refused:
        await world.do(show.show_id, c.SayCaption(text, world.clock.now_ms() + off_ms))
    assert refused.value.why is why
    assert not [each for each in await _told(world, show.show_id) if isinstance(each.event, CaptionSaid)]


async def test_a_hidden_line_is_nowhere_and_can_be_hidden_after_the_show(world: World) -> None:
    show = await world.show()
    for text in ("right", "wrong", "rude"):
        await world.clock.advance(1)
        await world.do(show.show_id, c.SayCaption(text))
    by_text = {
        each.event.caption.text: each.event.caption.caption_id
        for each in await _told(world, show.show_id)
        if isinstance(each.event, CaptionSaid)
    }
    await world.do(show.show_id, c.HideCaption(by_text["wrong"]))
    await world.do(show.show_id, c.End())
    await world.do(show.show_id, c.HideCaption(by_text["rude"], "a slip"))
    with pytest.raises(Refused):
        await world.do(show.show_id, c.SayCaption("too late"))

    events = [each.event for each in await _told(world, show.show_id)]
    assert [event.caption.text for event in events if isinstance(event, CaptionSaid)] == ["right"]
    assert not [event for event in events if isinstance(event, CaptionHidden)]
    assert await tracks_of(world.database, show.show_id) == (CaptionTrack(LIVE, 1),)
    began = world.clock.now_ms() - 10_000
    vtt = await typed_file(world.database, show.show_id, lambda at_ms: at_ms - began, 60_000)
    assert vtt == "WEBVTT\n\n00:00:08.000 --> 00:00:10.500\nright\n"


async def test_a_show_without_captions_has_no_track(world: World) -> None:
    show = await world.show()
    assert await tracks_of(world.database, show.show_id) == ()
    assert HOST.role == "advisor"


def test_each_line_stands_until_the_next_or_until_it_was_read() -> None:
    typed = [Caption("c", 9000, "third"), Caption("a", 1000, "first"), Caption("b", 2000, "second"),
             Caption("d", 99_000, "outside"), Caption("e", 9000, "at once")]  # fmt: skip
    cues = cues_of(typed, lambda at_ms: at_ms - 500 if at_ms < 50_000 else None, 9600)
    assert cues == [
        Cue(500, 1500, "first"), Cue(1500, 4000, "second"), Cue(8500, 8501, "third"), Cue(8500, 9600, "at once"),
    ]  # fmt: skip


def test_the_time_to_read_is_by_its_letters() -> None:
    assert stands_ms("Hi") == 2500
    assert stands_ms("x" * 60) == 4500
    assert stands_ms("今晚的口红只有三百支大家不要错过") == 16 * 220
    assert stands_ms("x" * 200) == 8000
