"""The sound without its picture: the same samples at the same times, for a fraction of the bytes."""

import subprocess
from pathlib import Path

import pytest

from livecommerce.clock import RealClock
from livecommerce.video.boxes import BadStream, Fragment, Header, Reader
from livecommerce.video.recording import open_writer
from livecommerce.video.remux import Source, command
from livecommerce.video.screen import Screen
from livecommerce.video.sound import header_of_sound, parts_of_sound, track_of_sound
from tests.video.films import film, needs_ffmpeg

pytestmark = needs_ffmpeg


def _recorded(kind: str) -> tuple[Header, list[Fragment]]:
    """A film as our remuxer records it."""
    arguments = ["ffmpeg", *command(Source("mp4" if kind == "mp4" else "matroska"), 500)]
    made = subprocess.run(arguments, input=film(kind), capture_output=True, check=True, timeout=60).stdout
    header, *fragments = Reader().feed(made)
    assert isinstance(header, Header)
    return header, [each for each in fragments if isinstance(each, Fragment)]


def _packets(data: bytes, stream: str) -> list[str]:
    """Time, size and hash of each packet of the stream, as ffprobe reads them."""
    probe = ["ffprobe", "-v", "error", "-select_streams", stream, "-show_packets", "-show_data_hash", "md5",
             "-show_entries", "packet=pts,size,data_hash", "-of", "csv=p=0", "-i", "pipe:0"]  # fmt: skip
    return subprocess.run(probe, input=data, capture_output=True, check=True, timeout=60).stdout.decode().split()


@pytest.mark.parametrize("kind", ["webm-h264", "mp4", "sound"])
def test_every_sample_of_the_sound_is_there_at_its_time_and_no_picture(kind: str) -> None:
    header, fragments = _recorded(kind)
    whole = header.data + b"".join(each.data for each in fragments)
    track = track_of_sound(header.data)
    assert track is not None
    alone = header_of_sound(header.data)
    assert alone is not None

    made = alone + b"".join(parts_of_sound(each.data, track) for each in fragments)

    assert _packets(made, "a") == _packets(whole, "a") != []
    assert _packets(made, "v") == []
    # Several parts in one, as a segment is fetched, are the same as one after the other.
    assert alone + parts_of_sound(b"".join(each.data for each in fragments), track) == made
    assert [track.kind for track in next(iter(Reader().feed(alone))).tracks] == ["audio"]  # type: ignore[union-attr]


def test_it_saves_most_of_the_bytes() -> None:
    """Of a small test film with little motion even; a phone's camera makes twenty-six times what its sound takes."""
    header, fragments = _recorded("webm-h264")
    track = track_of_sound(header.data) or 0
    sound = sum(len(parts_of_sound(each.data, track)) for each in fragments)
    assert sound < sum(len(each.data) for each in fragments) / 2


def test_what_has_no_sound_has_none() -> None:
    header, _ = _recorded("silent")
    assert track_of_sound(header.data) is None
    assert header_of_sound(header.data) is None


@pytest.mark.parametrize("cut", [40, 120, 300])
def test_what_is_cut_off_is_refused_and_never_guessed(cut: int) -> None:
    header, fragments = _recorded("webm-h264")
    track = track_of_sound(header.data) or 0
    data = fragments[0].data
    with pytest.raises(BadStream):
        parts_of_sound(data[: len(data) - cut] if cut > 100 else data[:cut], track)
    with pytest.raises(BadStream):
        header_of_sound(header.data[:-cut])


async def test_players_fetch_it_beside_the_picture_and_each_is_read_once(tmp_path: Path) -> None:
    header, fragments = _recorded("webm-h264")
    writer = open_writer(tmp_path)
    writer.begin(header, 0.0)
    for each in fragments:
        writer.add(each)
    screen = Screen(tmp_path, RealClock(), 20.0)
    track = track_of_sound(header.data) or 0
    try:
        assert await screen.header(0, sound=True) == header_of_sound(header.data)
        assert await screen.parts(1, 1, sound=True) == parts_of_sound(fragments[1].data, track)
        assert await screen.parts(1, 1) == fragments[1].data
        assert await screen.parts(1, 1, sound=True) is await screen.parts(1, 1, sound=True)
        assert await screen.header(9, sound=True) is None
        assert await screen.parts(99, 99, sound=True) is None
    finally:
        screen.close()
        writer.close()


async def test_a_recording_that_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.begin(Header(b"HEADER", ()), 0.0)
    writer.add(Fragment(b"no boxes at all", 0.0, 500.0, True))
    screen = Screen(tmp_path, RealClock(), 20.0)
    try:
        assert await screen.header(0, sound=True) is None
        assert await screen.parts(0, 0, sound=True) is None
        assert await screen.parts(0, 0) == b"no boxes at all"
    finally:
        screen.close()
        writer.close()
