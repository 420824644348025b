"""One show's encoder: epochs, lines that break and come back, and every way to be refused."""

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.video.publisher import CHUNK_BYTES_MAX, Limits, Publisher, Transcodes, open_publisher
from livecommerce.video.recording import Recording
from tests.video.films import MIMES, chunks, film, needs_ffmpeg

pytestmark = needs_ffmpeg


class Stage:
    """A publisher over a folder, with a clock turned by hand."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.folder = folder
        self.clock = TestClock()
        self.transcodes = Transcodes(1)
        self.limits = Limits(**({"disk_free_bytes_min": 0} | limits))  # type: ignore[arg-type]
        self.states: list[str] = []
        self.publisher: Publisher = None  # type: ignore[assignment]

    async def open(self) -> "Stage":
        self.publisher = await open_publisher(
            "show",
            self.folder,
            self.limits,
            self.transcodes,
            self.clock,
            lambda: self.states.append(self.publisher.state),
        )
        return self

    async def send(self, kind: str, key: str = "one", first: int = 0, last: int | None = None) -> int:
        missing = await self.publisher.begin(key, MIMES[kind], None)
        for number, chunk in list(enumerate(chunks(film(kind))))[first:last]:
            missing = await self.publisher.push(number, chunk)
        return missing

    async def refusal_of(self, chunk: bytes, seconds_each: float) -> R | None:
        """By what the same chunk again and again is refused in the end."""
        try:
            for number in range(1000):
                await self.publisher.push(number, chunk)
                await self.clock.advance(seconds_each)
                await asyncio.sleep(0.01)
        except Refused as refused:
            return refused.why
        return None

    async def until(self, seen: Callable[[], bool]) -> None:
        """Wait for a fact that ffmpeg brings about; the test's own deadline is the bound."""
        while not seen():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)

    def ffmpeg(self) -> int:
        """The process id of the one that runs now."""
        epoch = self.publisher._epoch
        assert epoch is not None
        assert epoch.remuxer._process is not None
        return epoch.remuxer._process.pid

    def recorded(self) -> Recording:
        recording = Recording(self.folder)
        recording.refresh()
        return recording


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = await Stage(tmp_path / "show").open()
    yield stage
    await stage.publisher.aclose()


async def test_a_film_becomes_a_recording(stage: Stage) -> None:
    await stage.send("webm-h264")
    await stage.publisher.finish()

    timeline = stage.recorded().timeline
    assert timeline.duration_ms == pytest.approx(4000, abs=150)
    assert timeline.epochs[0].codecs.startswith("avc1.")
    assert timeline.epochs[0].height == 284
    assert stage.states == ["sending", "idle"]


async def test_a_line_that_comes_back_goes_on_with_the_chunk_that_is_missing(stage: Stage) -> None:
    everything = len(chunks(film("webm-h264")))
    await stage.send("webm-h264", last=4)
    stage.publisher.lost()
    await asyncio.sleep(0)

    assert await stage.publisher.begin("one", MIMES["webm-h264"], None) == 4
    # What had arrived already is sent again and taken as such.
    assert await stage.publisher.push(2, b"whatever") == 4
    for number, chunk in list(enumerate(chunks(film("webm-h264"))))[4:]:
        await stage.publisher.push(number, chunk)
    await stage.publisher.finish()

    timeline = stage.recorded().timeline
    assert everything > 6
    assert list(timeline.epochs) == [0]
    assert timeline.duration_ms == pytest.approx(4000, abs=150)
    assert stage.states == ["sending", "cut", "sending", "idle"]


async def test_a_line_that_stays_away_ends_its_epoch_and_loses_nothing_that_came(stage: Stage) -> None:
    await stage.send("webm-h264")
    stage.publisher.lost()
    await asyncio.sleep(0)
    await stage.clock.advance(9.9)
    await asyncio.sleep(0)
    assert stage.states[-1] == "cut"
    await stage.clock.advance(0.2)
    await stage.until(lambda: stage.states[-1] == "idle")

    assert stage.recorded().timeline.duration_ms == pytest.approx(4000, abs=150)
    assert await stage.publisher.begin("one", MIMES["webm-h264"], None) == 0  # too late: a new epoch


async def test_a_publisher_that_is_over_begins_nothing(stage: Stage) -> None:
    await stage.publisher.aclose()
    with pytest.raises(Refused) as refused:
        await stage.publisher.begin("one", MIMES["webm-vp8"], None)
    assert refused.value.why is R.UNAVAILABLE
    assert (stage.publisher.state, stage.publisher._epoch) == ("over", None)
    assert stage.transcodes.free == 1
    assert stage.recorded().timeline.parts == []


async def test_a_turned_phone_or_another_camera_is_a_new_epoch(stage: Stage) -> None:
    await stage.send("webm-h264", "upright")
    await stage.send("mp4", "turned")
    await stage.send("webm-vp8", "another")
    await stage.publisher.finish()

    timeline = stage.recorded().timeline
    assert list(timeline.epochs) == [0, 1, 2]
    assert timeline.duration_ms == pytest.approx(12_000, abs=500)
    assert stage.transcodes.free == 1


async def test_a_second_camera_is_refused_and_the_first_goes_on(stage: Stage) -> None:
    await stage.send("webm-h264", last=3)
    with pytest.raises(Refused) as refused:
        await Stage(stage.folder).open()
    assert refused.value.why is R.VIDEO_TAKEN

    for number, chunk in list(enumerate(chunks(film("webm-h264"))))[3:]:
        await stage.publisher.push(number, chunk)
    await stage.publisher.finish()
    assert stage.recorded().timeline.duration_ms == pytest.approx(4000, abs=150)


async def test_a_gap_between_chunks_is_refused(stage: Stage) -> None:
    await stage.send("webm-h264", last=2)
    with pytest.raises(Refused, match="chunk 2"):
        await stage.publisher.push(3, b"x")
    await stage.publisher.finish()
    with pytest.raises(Refused, match="epoch that has begun"):
        await stage.publisher.push(0, b"x")


async def test_a_format_that_cannot_be_taken_is_refused_and_nothing_runs(stage: Stage) -> None:
    with pytest.raises(Refused) as refused:
        await stage.publisher.begin("one", "image/gif", None)
    assert refused.value.why is R.VIDEO_FORMAT
    assert stage.publisher.state == "idle"
    assert not stage.recorded().timeline.parts


HOSTILE = {
    "a picture": b"GIF89a" * 9000,
    "a container of endless length": b"\x1a\x45\xdf\xa3" + b"\xff" * 90_000,
    "a playlist that names a file": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n" * 2000,
    "a list of files": b"ffconcat version 1.0\nfile '/etc/passwd'\n" * 2000,
    "zeros": bytes(90_000),
    "text": b"this is no film at all. " * 4000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
async def test_what_is_no_film_is_refused_with_ffmpegs_words_and_the_next_epoch_works(
    stage: Stage, data: bytes
) -> None:
    await stage.publisher.begin("bad", MIMES["webm-h264"], None)
    assert await stage.refusal_of(data, 0.0) is R.VIDEO_BROKEN

    await stage.send("webm-h264", "good")
    await stage.publisher.finish()
    assert stage.recorded().timeline.duration_ms == pytest.approx(4000, abs=150)


async def test_an_ffmpeg_from_which_nothing_comes_is_given_up(stage: Stage) -> None:
    # A film's beginning, and then nothing but more of the same block: bytes go in, no picture comes out.
    await stage.publisher.begin("stuck", MIMES["mp4"], None)
    assert await stage.refusal_of(b"\0\0\0\x08free" * 1000, 0.5) is R.VIDEO_BROKEN


async def test_an_ffmpeg_that_stands_still_is_killed_and_the_next_epoch_has_a_new_one(stage: Stage) -> None:
    """A real one, stopped: its pipe fills, and whoever feeds it would wait for ever."""
    missing = await stage.send("webm-h264")
    await stage.until(lambda: stage.publisher.picture.pieces > 0)
    stuck = stage.ffmpeg()
    os.kill(stuck, signal.SIGSTOP)

    async def feed() -> Refused:
        number = missing
        while True:
            try:
                number = await stage.publisher.push(number, bytes(90_000))
            except Refused as refused:
                return refused

    feeding = asyncio.create_task(feed())
    while not feeding.done():
        await stage.clock.advance(0.5)
        await asyncio.sleep(0.01)
    refused = await feeding
    assert refused.why is R.VIDEO_BROKEN
    assert "nothing came out of ffmpeg for" in refused.text
    assert stage.publisher.picture.away == "ffmpeg"
    assert not _lives(stuck)

    await stage.send("webm-h264", "two")
    await stage.publisher.finish()
    timeline = stage.recorded().timeline
    assert list(timeline.epochs) == [0, 1]
    assert stage.publisher.health.restarts == 1
    assert (stage.publisher.picture.away, stage.publisher.picture.said) == ("stopped", "")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_line_that_brings_nothing_for_a_minute_is_no_stuck_ffmpeg(stage: Stage) -> None:
    missing = await stage.send("webm-h264")
    await stage.until(lambda: stage.publisher.picture.pieces > 0)
    await stage.clock.advance(1.3)
    await stage.publisher.push(missing, b"")  # the last bytes came a while after the last piece came out
    for _ in range(120):
        await stage.clock.advance(0.5)
    await stage.publisher.push(missing + 1, b"")
    assert stage.publisher.health.restarts == 0
    await stage.publisher.finish()
    assert stage.recorded().timeline.duration_ms == pytest.approx(4000, abs=150)


async def test_an_empty_chunk_is_a_chunk_and_spoils_nothing(stage: Stage) -> None:
    await stage.publisher.begin("one", MIMES["webm-h264"], None)
    assert await stage.publisher.push(0, b"") == 1
    for number, chunk in enumerate(chunks(film("webm-h264")), 1):
        await stage.publisher.push(number, chunk)
    await stage.publisher.finish()
    assert stage.recorded().timeline.duration_ms == pytest.approx(4000, abs=150)


async def test_an_epoch_into_which_nothing_was_sent_leaves_no_file(stage: Stage) -> None:
    await stage.publisher.begin("one", MIMES["webm-h264"], None)
    await stage.publisher.finish()
    assert not list(stage.folder.glob("*.mp4"))
    assert stage.publisher.picture.pieces == 0


async def test_a_phone_that_was_turned_has_another_size_from_there_on(stage: Stage) -> None:
    for key, size in (("upright", "160x284"), ("lying", "284x160")):
        await stage.publisher.begin(key, MIMES["webm-h264"], None)
        for number, chunk in enumerate(chunks(film("webm-h264", 2.0, size))):
            await stage.publisher.push(number, chunk)
    await stage.publisher.finish()

    epochs = stage.recorded().timeline.epochs
    assert [(each.width, each.height) for each in epochs.values()] == [(160, 284), (284, 160)]


async def test_a_camera_whose_clock_jumps_by_an_hour_moves_no_programme_time(stage: Stage) -> None:
    hour_ms = 3_600_000.0
    await stage.publisher.begin("one", MIMES["webm-h264"], float(stage.clock.now_ms()))
    for number, chunk in enumerate(chunks(film("webm-h264"))):
        off_ms = (0.0, hour_ms, -hour_ms)[number % 3]
        await stage.publisher.push(number, chunk, stage.clock.now_ms() + off_ms)
    await stage.publisher.finish()

    timeline = stage.recorded().timeline
    assert all(abs(part.programme_ms - stage.clock.now_ms()) < 10_000 for part in timeline.parts)


async def test_why_no_picture_comes_is_known(stage: Stage) -> None:
    picture = stage.publisher.picture
    await stage.send("webm-h264")
    await stage.until(lambda: picture.pieces > 0)
    stage.publisher.lost()
    assert picture.away == "line"
    await stage.publisher.begin("one", MIMES["webm-h264"], None)
    await stage.publisher.finish()
    assert picture.away == "stopped"
    await stage.publisher.begin("bad", MIMES["webm-h264"], None)
    assert await stage.refusal_of(b"GIF89a" * 9000, 0.0) is R.VIDEO_BROKEN
    assert picture.away == "ffmpeg"
    assert picture.said
    await stage.send("webm-h264", "good")
    await stage.until(lambda: picture.away == "")
    assert picture.said == ""


async def test_a_disk_that_is_full_while_filming_stops_it_in_words_and_keeps_what_was_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.send("webm-h264")
    await stage.publisher.finish()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(stage.publisher._writer, "add", full)
    missing = await stage.publisher.begin("two", MIMES["webm-h264"], None)
    refused: Refused | None = None
    for number, chunk in enumerate(chunks(film("webm-h264")) * 40, missing):
        try:
            await stage.publisher.push(number, chunk)
            await asyncio.sleep(0.01)
        except Refused as error:
            refused = error
            break
    assert refused is not None
    assert refused.why is R.VIDEO_QUOTA
    assert "No space left" in refused.text
    assert stage.publisher.picture.away == "disk"
    assert stage.recorded().timeline.duration_ms == pytest.approx(4000, abs=150)


async def test_more_bytes_than_any_camera_makes_are_refused(stage: Stage) -> None:
    await stage.publisher.begin("one", MIMES["webm-h264"], None)
    with pytest.raises(Refused) as refused:
        await stage.publisher.push(0, bytes(CHUNK_BYTES_MAX + 1))
    assert refused.value.why is R.TOO_MANY


async def test_a_camera_that_came_too_fast_is_told_what_is_missing_and_its_epoch_goes_on(stage: Stage) -> None:
    """The chunks behind the refused one are none: the camera says its epoch again, and sends from there."""
    film_in_chunks = chunks(film("webm-h264"))
    await stage.publisher.begin("one", MIMES["webm-h264"], None)
    await stage.publisher.push(0, film_in_chunks[0])
    with pytest.raises(Refused):
        await stage.publisher.push(1, bytes(CHUNK_BYTES_MAX + 1))
    with pytest.raises(Refused) as behind:
        await stage.publisher.push(2, film_in_chunks[2])
    assert behind.value.why is R.MALFORMED
    assert await stage.publisher.begin("one", MIMES["webm-h264"], None) == 1
    assert await stage.publisher.push(1, film_in_chunks[1]) == 2


async def test_more_conversions_than_the_machine_carries_are_refused(stage: Stage) -> None:
    await stage.publisher.begin("one", MIMES["webm-vp8"], None)
    other = Stage(stage.folder.parent / "other")
    other.transcodes = stage.transcodes
    await other.open()
    with pytest.raises(Refused) as refused:
        await other.publisher.begin("two", MIMES["webm-vp8"], None)
    assert refused.value.why is R.VIDEO_TRANSCODES
    assert await other.publisher.begin("three", MIMES["webm-h264"], None) == 0  # what needs none is taken
    await stage.publisher.finish()
    assert await other.publisher.begin("four", MIMES["webm-vp8"], None) == 0
    await other.publisher.aclose()


async def test_a_show_may_film_only_so_long(tmp_path: Path) -> None:
    stage = await Stage(tmp_path / "show", hours_max=3.0 / 3600).open()
    await stage.send("webm-h264", "one")
    await stage.publisher.finish()
    with pytest.raises(Refused) as refused:
        await stage.send("webm-h264", "two")
    assert refused.value.why is R.VIDEO_QUOTA
    await stage.publisher.aclose()


@pytest.mark.parametrize(
    ("limits", "words"), [({"hours_max": 3.0 / 3600}, "VIDEO_HOURS"), ({"show_bytes_max": 50_000}, "VIDEO_SHOW_GIB")]
)
async def test_what_a_show_has_filmed_counts_across_restarts_of_the_server(
    tmp_path: Path, limits: dict[str, float], words: str
) -> None:
    before = await Stage(tmp_path / "show").open()
    await before.send("webm-h264")
    await before.publisher.aclose()
    after = await Stage(tmp_path / "show", **limits).open()
    with pytest.raises(Refused, match=words) as refused:
        await after.publisher.begin("one", MIMES["webm-h264"], None)
    assert refused.value.why is R.VIDEO_QUOTA
    assert list(after.recorded().timeline.epochs) == [0]
    await after.publisher.aclose()


async def test_a_show_that_comes_to_its_quota_while_it_is_filmed_is_stopped_in_words(tmp_path: Path) -> None:
    stage = await Stage(tmp_path / "show", show_bytes_max=50_000).open()
    missing = await stage.send("webm-h264")
    await stage.publisher.begin("one", MIMES["webm-h264"], None)
    await stage.until(lambda: stage.publisher.picture.pieces > 3)
    await stage.clock.advance(0.6)
    with pytest.raises(Refused, match="VIDEO_SHOW_GIB"):
        await stage.publisher.push(missing, b"more")
    assert stage.publisher.picture.away == "disk"
    await stage.publisher.aclose()


async def test_a_disk_that_cannot_be_asked_ends_no_watch_over_what_is_filmed(tmp_path: Path) -> None:
    stage = await Stage(tmp_path / "show", show_bytes_max=50_000).open()
    away = stage.folder.rename(tmp_path / "away")
    await stage.publisher.begin("one", MIMES["webm-h264"], None)
    for _ in range(3):
        await stage.clock.advance(0.6)
    away.rename(stage.folder)
    missing = await stage.send("webm-h264")
    await stage.until(lambda: stage.publisher._used.bytes > 50_000)
    await stage.clock.advance(0.6)
    with pytest.raises(Refused, match="VIDEO_SHOW_GIB"):
        await stage.publisher.push(missing, b"more")
    await stage.publisher.aclose()


async def test_a_disk_that_is_nearly_full_is_told_before_filming(tmp_path: Path) -> None:
    stage = await Stage(tmp_path / "show", disk_free_bytes_min=1 << 60).open()
    with pytest.raises(Refused) as refused:
        await stage.publisher.begin("one", MIMES["webm-h264"], None)
    assert refused.value.why is R.VIDEO_QUOTA
    await stage.publisher.aclose()


async def test_without_ffmpeg_the_refusal_says_what_to_do(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="Install it") as refused:
        await stage.publisher.begin("one", MIMES["webm-h264"], None)
    assert refused.value.why is R.NO_FFMPEG


async def test_programme_time_is_what_the_browser_said(stage: Stage) -> None:
    told = stage.clock.now_ms() - 900.0
    await stage.publisher.begin("one", MIMES["webm-h264"], told)
    for number, chunk in enumerate(chunks(film("webm-h264"))):
        await stage.clock.advance(0.001)
        await stage.publisher.push(number, chunk)
    await stage.publisher.finish()

    assert stage.recorded().timeline.epochs[0].t0_ms in (told, pytest.approx(told, abs=5000))


async def test_health_says_how_the_picture_does(stage: Stage) -> None:
    await stage.send("webm-h264")
    await stage.until(lambda: stage.publisher.health.recorded_ms >= 2000)
    health = stage.publisher.health

    assert health.state == "sending"
    assert health.kbps > 0
    assert (health.width, health.height) == (160, 284)
    assert not health.transcoded
