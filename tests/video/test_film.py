"""A film that a host uploads: what is taken, what is refused in words, and how it is read at its own pace."""

import os
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from livecommerce.errors import R, Refused
from livecommerce.video import film as films_of_the_house
from livecommerce.video import room
from livecommerce.video.film import FilmFacts, Films, Showing
from tests.video.films import film, needs_ffmpeg

pytestmark = needs_ffmpeg

SHOW = "shw_0123456789abcdef"


@pytest.fixture
def films(tmp_path: Path) -> Films:
    return Films(tmp_path / "video", bytes_max=10_000_000, hours_max=1)


async def in_pieces(data: bytes, size: int = 30_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def keep(films: Films, data: bytes, **more: Any) -> FilmFacts:
    return await films.keep(SHOW, "evening.mp4", in_pieces(data, **more), len(data), 1_000)


async def refused(films: Films, data: bytes, why: str) -> None:
    """With this reason, and nothing is left of it."""
    with pytest.raises(Refused) as caught:
        await keep(films, data)
    assert (caught.value.why, caught.value.facts.get("of")) == (R.FILM, why)
    assert films.film(SHOW) is None
    assert list((films._folder / SHOW).iterdir()) == []


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, timeout=60)


def ffprobe(data: bytes, *arguments: str) -> str:
    """What the real ffprobe says of a film, as words with commas between them."""
    command = ["ffprobe", "-v", "error", *arguments, "-of", "csv=p=0", "-"]
    return subprocess.run(command, input=data, check=True, capture_output=True, timeout=60).stdout.decode().strip()


@pytest.mark.parametrize(
    ("kind", "demuxer", "made_anew", "sound"),
    [
        ("mp4", "mov", False, True),
        ("webm-h264", "matroska", False, True),
        ("silent", "matroska", False, False),
        ("webm-vp8", "matroska", True, True),
        ("hevc", "matroska", True, False),
        ("rare-keys", "matroska", True, True),
    ],
)
async def test_a_film_is_taken_and_told_whether_it_must_be_converted(
    films: Films, kind: str, demuxer: str, made_anew: bool, sound: bool
) -> None:
    seconds = 6.0 if kind == "rare-keys" else 2.0
    # What is written as it is made does not say how long it is: a whole file does.
    data = whole(films, film(kind, seconds))

    found = await keep(films, data)

    assert (found.demuxer, found.made_anew, found.sound) == (demuxer, made_anew, sound)
    assert (found.width, found.height, found.bytes, found.name) == (160, 284, len(data), "evening.mp4")
    assert abs(found.duration_ms - seconds * 1000) < 200
    assert films.film(SHOW) == found
    assert films.path(SHOW, found).read_bytes() == data


def whole(films: Films, data: bytes) -> bytes:
    """The same, with its length in its head, as every export has it."""
    films._folder.mkdir(exist_ok=True)
    before, after = films._folder / "before", films._folder / "after"
    before.write_bytes(data)
    kind = "mp4" if data[4:8] == b"ftyp" else "matroska"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", before, "-map", "0", "-c", "copy", "-f", kind, after], check=True
    )
    try:
        return after.read_bytes()
    finally:
        before.unlink()
        after.unlink()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "kind"), (b"x", "kind"), (b"hello, this is a letter and no film at all", "kind"),
        (b"%PDF-1.7 and so on and so on", "kind"), (b"\x89PNG\r\n\x1a\n" + bytes(40), "kind"),
        # What names other files: a playlist, a script of ffmpeg's own, a description of a stream.
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n", "kind"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "kind"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n", "kind"),
        (b"RIFF\x00\x00\x00\x00AVI LIST" + bytes(40), "kind"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(400), "unreadable"),
        (b"\x1a\x45\xdf\xa3" + bytes(400), "unreadable"),
        (b"\x1a\x45\xdf\xa3" + b"#EXTM3U\nfile:///etc/passwd\n" * 20, "unreadable"),
    ],
)  # fmt: skip
async def test_what_is_no_film_is_refused_and_leaves_nothing(films: Films, data: bytes, why: str) -> None:
    await refused(films, data, why)


async def test_a_film_without_a_picture_is_refused_and_a_sounds_cover_is_none(films: Films, tmp_path: Path) -> None:
    cover, with_cover = tmp_path / "cover.png", tmp_path / "song.m4a"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", cover)
    ffmpeg(
        "-f", "lavfi", "-i", "sine", "-i", cover, "-t", "1", "-map", "0", "-map", "1", "-c:a", "aac", "-c:v", "png",
        "-disposition:v:0", "attached_pic", "-f", "mp4", with_cover,
    )  # fmt: skip

    await refused(films, whole(films, film("sound", 1.0)), "no_picture")
    await refused(films, with_cover.read_bytes(), "no_picture")


async def test_a_film_that_was_cut_off_is_refused(films: Films) -> None:
    data = whole(films, film("mp4", 2.0))

    await refused(films, data[: len(data) // 2], "unreadable")  # its table stands at its end


async def test_a_film_that_does_not_say_how_long_it_is_is_refused(films: Films) -> None:
    await refused(films, film("webm-h264", 1.0), "endless")


async def test_a_film_that_is_too_long_or_too_large_is_refused(films: Films, monkeypatch: pytest.MonkeyPatch) -> None:
    data = whole(films, film("mp4", 2.0))
    monkeypatch.setattr(films, "_hours_max", 1 / 3600)
    await refused(films, data, "too_long")
    monkeypatch.setattr(films, "_hours_max", 1)
    monkeypatch.setattr(films_of_the_house, "_PIXELS_MAX", 100)
    await refused(films, data, "large")


async def test_too_many_bytes_are_refused_as_soon_as_they_are_told_or_come(films: Films) -> None:
    data = whole(films, film("mp4", 2.0))
    small = Films(films._folder, bytes_max=len(data) - 1, hours_max=1)
    taken = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal taken
        async for piece in in_pieces(data):
            taken += len(piece)
            yield piece

    for told in (len(data), 0):  # its length was told, or it comes in chunks
        with pytest.raises(Refused) as caught:
            await small.keep(SHOW, "x", counted(), told, 0)
        assert caught.value.why is R.TOO_LARGE
        assert small.film(SHOW) is None
        assert list((films._folder / SHOW).iterdir()) == []
        assert taken == (0 if told else len(data))


async def test_an_upload_that_breaks_off_leaves_nothing_and_the_film_before_stays(films: Films) -> None:
    before = await keep(films, whole(films, film("mp4", 2.0)))

    async def breaks() -> AsyncIterator[bytes]:
        yield film("mp4", 2.0)[:40_000]
        raise Refused(R.MALFORMED, expected="the whole film")

    with pytest.raises(Refused):
        await films.keep(SHOW, "x", breaks(), 0, 0)
    with pytest.raises(Refused):
        await keep(films, b"no film, and longer than its first bytes")

    assert films.film(SHOW) == before
    assert sorted(path.name for path in (films._folder / SHOW).iterdir()) == [f"film-{before.film_id}", "film.json"]


async def test_a_new_film_takes_the_place_of_the_one_before_and_goes_with_it(films: Films) -> None:
    data = whole(films, film("mp4", 2.0))
    before = await keep(films, data)
    films.tell(SHOW, "it was slow")
    assert (found := films.film(SHOW)) is not None
    assert found.trouble == "it was slow"
    after = await keep(films, data)

    assert films.film(SHOW) == after
    assert after.film_id != before.film_id
    assert not films.path(SHOW, before).exists()
    films.forget(SHOW)
    films.forget(SHOW)
    assert films.film(SHOW) is None
    assert list((films._folder / SHOW).iterdir()) == []


async def test_what_a_killed_upload_left_goes_with_the_next_one_and_one_under_way_stays(films: Films) -> None:
    data = whole(films, film("mp4", 2.0))
    folder = films._folder / SHOW
    folder.mkdir(parents=True)
    left, under_way = folder / "film-left", folder / "film-underway"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    under_way.write_bytes(b"half")

    kept = await keep(films, data)

    assert sorted(path.name for path in folder.glob("film-*")) == sorted([f"film-{kept.film_id}", "film-underway"])


async def test_a_full_disk_is_told_before_anything_is_written(films: Films, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FREE_BYTES_MIN", 1 << 60)
    with pytest.raises(Refused) as caught:
        await keep(films, film("mp4", 2.0))
    assert caught.value.why is R.VIDEO_QUOTA


@pytest.mark.parametrize("missing", ["ffmpeg", "ffprobe"])
async def test_without_ffmpeg_it_says_so(films: Films, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *rest, **more: None if name == missing else found(name))
    with pytest.raises(Refused) as caught:
        await keep(films, film("mp4", 2.0))
    assert caught.value.why is R.NO_FFMPEG
    assert films.film(SHOW) is None


async def test_a_phones_turned_picture_is_made_upright(films: Films) -> None:
    """A phone films lying and notes that it stood: whoever copies the picture loses the note."""
    data = bytearray(whole(films, film("mp4", 2.0)))
    matrix = data.index(struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), data.index(b"tkhd"))
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)

    found = await keep(films, bytes(data))

    assert found.made_anew
    shown = await _shown(films, found, 0)
    assert ffprobe(shown, "-select_streams", "v", "-show_entries", "stream=codec_name,width,height") == "h264,284,160"


async def _shown(films: Films, facts: FilmFacts, from_ms: int) -> bytes:
    showing = Showing(films.path(SHOW, facts), facts, from_ms)
    await showing.start()
    try:
        return b"".join([chunk async for chunk in showing.chunks()])
    finally:
        await showing.aclose()


async def test_a_film_is_read_from_any_place_and_ends_with_its_end(films: Films) -> None:
    facts = await keep(films, whole(films, film("mp4", 2.0)))

    shown = await _shown(films, facts, 1300)

    frames = ffprobe(shown, "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets")
    assert 10 <= int(frames) <= 16  # a second of fifteen frames, from its keyframe on


def test_the_child_that_reads_a_film_sees_one_file_and_a_pipe(films: Films, tmp_path: Path) -> None:
    facts = FilmFacts("f" * 16, "x", 1, 1000, 1, 1, "mov", False, False, 0)
    command = Showing(tmp_path / "a:b", facts, 500).command()

    assert command[command.index("-protocol_whitelist") + 1] == "file,pipe"
    assert command[command.index("-f") + 1] == "mov"
    assert command[command.index("-i") + 1] == f"file:{tmp_path / 'a:b'}"
    assert "-re" in command
