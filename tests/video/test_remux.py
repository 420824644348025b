"""ffmpeg as a remuxer: real films of every kind we take, and what comes of those we do not."""

import asyncio
from collections import Counter

import pytest

from livecommerce.video.boxes import Fragment, Header
from livecommerce.video.remux import NoFfmpeg, Remuxer, RemuxFailed, Source, source_of
from tests.video.films import MIMES, chunks, film, needs_ffmpeg, turned_ts

pytestmark = needs_ffmpeg


async def _through(source: Source, data: bytes, part_ms: int = 500) -> tuple[Header, list[Fragment]]:
    remuxer = Remuxer(source, part_ms)
    await remuxer.start()

    async def feed() -> None:
        for chunk in chunks(data):
            await remuxer.feed(chunk)
        remuxer.end()

    feeding = asyncio.create_task(feed())
    try:
        found = [each async for each in remuxer.fragments()]
    finally:
        await asyncio.gather(feeding, return_exceptions=True)
        await remuxer.aclose()
    header, *rest = found
    assert isinstance(header, Header)
    return header, [each for each in rest if isinstance(each, Fragment)]


@pytest.mark.parametrize("kind", ["webm-h264", "mp4", "silent"])
async def test_the_picture_goes_through_untouched_in_parts_of_half_a_second(kind: str) -> None:
    source = source_of(MIMES[kind])
    assert source is not None
    assert not source.transcode
    header, fragments = await _through(source, film(kind))

    assert header.codecs.startswith("avc1.")
    assert ("mp4a.40.2" in header.codecs) == (kind != "silent")
    assert fragments[0].alone
    assert max(each.duration_ms for each in fragments) <= 700
    assert sum(each.duration_ms for each in fragments) == pytest.approx(4000, abs=150)


async def test_a_picture_that_no_player_takes_is_made_anew() -> None:
    source = source_of(MIMES["webm-vp8"])
    assert source is not None
    assert source.transcode
    header, fragments = await _through(source, film("webm-vp8", 2.0))

    assert header.codecs.startswith("avc1.")
    assert sum(each.duration_ms for each in fragments) == pytest.approx(2000, abs=200)


async def test_sound_alone_is_a_stream_too() -> None:
    header, fragments = await _through(Source("matroska"), film("sound", 2.0))

    assert header.codecs == "mp4a.40.2"
    assert header.picture is None
    assert all(each.alone for each in fragments)


async def test_a_transport_stream_that_changes_its_size_is_decoded_as_what_it_is() -> None:
    header, fragments = await _through(Source("mpegts"), turned_ts())

    recorded = header.data + b"".join(fragment.data for fragment in fragments)
    probe = await asyncio.create_subprocess_exec(
        "ffprobe", "-v", "error", "-show_entries", "frame=width,height", "-of", "csv=p=0", "pipe:0",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await probe.communicate(recorded)
    sizes = Counter(line.strip(",") for line in said.decode().split())
    assert sizes == {"160,284": 30, "284,160": 30}


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1a\x45\xdf\xa3" + b"\xff" * 50_000, b"GIF89a" + bytes(9000), b"#EXTM3U\nfile:///etc/passwd\n" * 99],
)
async def test_what_is_no_film_ends_with_ffmpegs_own_words(data: bytes) -> None:
    with pytest.raises(RemuxFailed):
        await _through(Source("matroska"), data)


async def test_a_playlist_in_the_disguise_of_a_film_opens_no_file() -> None:
    # The demuxer is named, so a text is no film; and the only protocol that ffmpeg may use is the pipe.
    with pytest.raises(RemuxFailed) as failed:
        await _through(Source("mp4"), b"ffconcat version 1.0\nfile /etc/passwd\n" * 500)
    assert "passwd" not in " ".join(failed.value.lines)


async def test_a_process_that_is_closed_in_the_middle_is_gone() -> None:
    remuxer = Remuxer(Source("matroska"), 500)
    await remuxer.start()
    await remuxer.feed(film("webm-h264")[:30_000])
    drain = asyncio.create_task(_drain(remuxer))
    await remuxer.aclose()
    await remuxer.aclose()
    await asyncio.gather(drain, return_exceptions=True)

    assert remuxer.ended


async def _drain(remuxer: Remuxer) -> None:
    async for _ in remuxer.fragments():
        pass


async def test_without_ffmpeg_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoFfmpeg):
        await Remuxer(Source("matroska"), 500).start()


@pytest.mark.parametrize(
    ("mime", "expected"),
    [
        ("video/webm;codecs=h264,opus", Source("matroska")),
        ('video/webm; codecs="avc1.42E01E,opus"', Source("matroska")),
        ("video/x-matroska;codecs=avc1,opus", Source("matroska")),
        ("video/mp4;codecs=avc1.640028,mp4a.40.2", Source("mp4")),
        ("video/mp4", Source("mp4")),
        ("video/webm;codecs=vp8,opus", Source("matroska", transcode=True)),
        ("video/webm", Source("matroska", transcode=True)),
        ("audio/webm;codecs=opus", Source("matroska")),
        ("image/gif", None),
        ("", None),
    ],
)
def test_what_a_recorder_says_decides_how_it_is_taken(mime: str, expected: Source | None) -> None:
    assert source_of(mime) == expected
