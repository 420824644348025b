"""One show's encoder: epochs, lines that break and come back, and every way to be refused."""

import asyncio
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


@pytest.mark.parametrize("data", [b"GIF89a" * 9000, b"\x1a\x45\xdf\xa3" + b"\xff" * 90_000])
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


async def test_more_bytes_than_any_camera_makes_are_refused(stage: Stage) -> None:
    await stage.publisher.begin("one", MIMES["webm-h264"], None)
    with pytest.raises(Refused) as refused:
        await stage.publisher.push(0, bytes(CHUNK_BYTES_MAX + 1))
    assert refused.value.why is R.TOO_MANY


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
