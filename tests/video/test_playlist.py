"""Playlists: what a player needs to read, word for word, and what must hold of any of them."""

import re
from collections.abc import Callable
from datetime import datetime

import pytest

from livecommerce.video.playlist import LIVE_WINDOW_MS, live_playlist, replay_playlist
from livecommerce.video.timeline import Timeline
from tests.video.test_timeline import T0, epoch, fragments, told


def test_a_live_playlist_word_for_word() -> None:
    assert live_playlist(told(epoch(0), fragments(0, 5))) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:9\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500\n"
        "#EXT-X-PART-INF:PART-TARGET=0.500\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
        '#EXT-X-MAP:URI="0.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:00.000Z\n"
        '#EXT-X-PART:DURATION=0.50000,URI="0.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PART:DURATION=0.50000,URI="1.m4s"\n'
        '#EXT-X-PART:DURATION=0.50000,URI="2.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PART:DURATION=0.50000,URI="3.m4s"\n'
        "#EXTINF:2.00000,\n"
        "0-3.m4s\n"
        "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:02.000Z\n"
        '#EXT-X-PART:DURATION=0.50000,URI="4.m4s",INDEPENDENT=YES\n'
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="5.m4s"\n'
    )


def test_before_anything_was_filmed_a_playlist_is_empty_and_valid() -> None:
    text = live_playlist(Timeline())

    assert text.startswith("#EXTM3U\n")
    assert "#EXT-X-TARGETDURATION:1\n" in text
    assert "#EXTINF" not in text
    assert "PRELOAD-HINT" not in text


def test_the_window_moves_and_its_numbers_with_it() -> None:
    timeline = told(epoch(0), fragments(0, 400))
    text = live_playlist(timeline)

    assert text.count("#EXT-X-PROGRAM-DATE-TIME") == LIVE_WINDOW_MS / 2000
    assert f"#EXT-X-MEDIA-SEQUENCE:{len(timeline.segments) - LIVE_WINDOW_MS // 2000}\n" in text
    assert text.count("#EXT-X-PART:") < 40


def test_a_break_is_a_discontinuity_with_a_header_of_its_own() -> None:
    text = live_playlist(told(epoch(0), fragments(0, 4), epoch(1), epoch(2, T0 + 9000), fragments(2, 4)))

    after = text.split("#EXT-X-DISCONTINUITY\n")[1]
    assert after.startswith('#EXT-X-MAP:URI="2.mp4"\n#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:09.000Z\n')
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1


def test_breaks_that_left_the_window_are_counted() -> None:
    timeline = told(epoch(0), fragments(0, 4), epoch(1, T0 + 5000), fragments(1, 200))

    text = live_playlist(timeline)

    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in text
    assert "#EXT-X-DISCONTINUITY\n" not in text


def test_a_view_of_later_leaves_out_what_began_before_it_and_keeps_the_numbers() -> None:
    text = live_playlist(told(epoch(0), fragments(0, 14)), T0 + 1500)

    assert re.findall(r"^\d.*m4s$", text, re.M) == ["4-7.m4s", "8-11.m4s"]
    assert "#EXT-X-MEDIA-SEQUENCE:1\n" in text
    assert 'URI="3.m4s"' not in text
    empty = live_playlist(told(epoch(0), fragments(0, 14)), T0 + 60_000)
    assert ".m4s" not in empty


def test_the_playlist_of_a_show_that_is_over_says_so() -> None:
    text = live_playlist(told(epoch(0), fragments(0, 6)), over=True)

    assert text.endswith("4-5.m4s\n#EXT-X-ENDLIST\n")
    assert "PRELOAD-HINT" not in text


def test_a_replay_has_everything_in_longer_segments() -> None:
    text = replay_playlist(told(epoch(0), fragments(0, 30), epoch(1, T0 + 60_000), fragments(1, 5)).between())

    assert re.findall(r"^\d.*m4s$", text, re.M) == ["0-11.m4s", "12-23.m4s", "24-29.m4s", "30-34.m4s"]
    assert "#EXT-X-PLAYLIST-TYPE:VOD\n" in text
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1


def test_a_stretch_of_a_replay_begins_where_a_picture_stands_alone() -> None:
    timeline = told(epoch(0), fragments(0, 60))

    text = replay_playlist(timeline.between(), T0 + 9_200, T0 + 12_100)

    assert re.findall(r"^\d.*m4s$", text, re.M) == ["16-24.m4s"]
    assert "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:08.000Z\n" in text


@pytest.mark.parametrize("write", [live_playlist, lambda timeline: replay_playlist(timeline.between())])
def test_durations_and_dates_agree_within_an_epoch(write: Callable[[Timeline], str]) -> None:
    timeline = told(epoch(0), fragments(0, 21, ms=487.3), epoch(1, T0 + 99_000), fragments(1, 9, ms=511.1))
    text = write(timeline)

    target = int(text.split("TARGETDURATION:")[1].split("\n")[0])
    at: datetime | None = None
    before = ""
    for block in re.split(r"#EXT-X-PROGRAM-DATE-TIME:", text)[1:]:
        begins = datetime.fromisoformat(block.split("\n")[0])
        if at is not None and "#EXT-X-DISCONTINUITY" not in before:
            assert abs((begins - at).total_seconds()) < 0.002
        if found := re.search(r"#EXTINF:([\d.]+),", block):
            assert round(float(found[1])) <= target
            at = datetime.fromtimestamp(begins.timestamp() + float(found[1]), begins.tzinfo)
        before = block
