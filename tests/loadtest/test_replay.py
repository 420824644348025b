"""The long evening that a replay is measured on is a real recording: one stream, its times rising, as long as asked."""

import subprocess
from pathlib import Path

import pytest

from livecommerce.video.boxes import Fragment, Header, Reader
from livecommerce.video.recording import Recording
from livecommerce.video.remux import Source, command
from loadtest.replay import _line, _record
from tests.video.films import film, needs_ffmpeg


@needs_ffmpeg
def test_a_short_film_becomes_an_evening_without_a_gap(tmp_path: Path) -> None:
    cut = ["ffmpeg", *command(Source("mp4"), 500)]
    made = subprocess.run(cut, input=film("mp4"), capture_output=True, check=True, timeout=60).stdout
    header, *fragments = Reader().feed(made)
    assert isinstance(header, Header)
    short = (header, [each for each in fragments if isinstance(each, Fragment)])

    parts = _record(tmp_path, short, 1_000_000.0, 30 / 3600)

    recording = Recording(tmp_path)
    recording.refresh()
    timeline = recording.timeline
    recording.close()
    assert len(timeline.parts) == parts
    assert timeline.duration_ms == pytest.approx(32_000, abs=2500)
    assert len(timeline.epochs) == 1
    for before, after in zip(timeline.parts, timeline.parts[1:], strict=False):
        assert after.programme_ms == pytest.approx(before.programme_ms + before.duration_ms, abs=150)
    probe = ["ffprobe", "-v", "error", "-show_entries", "packet=stream_index,dts", "-of", "csv=p=0", "-i"]
    told = subprocess.run(
        [*probe, str(tmp_path / "0.mp4")], capture_output=True, check=True, timeout=60
    ).stdout.decode()
    for stream in ("0", "1"):
        times = [int(dts) for index, dts in (row.split(",")[:2] for row in told.split()) if index == stream]
        assert times == sorted(times)
        assert len(set(times)) == len(times) > 300


@pytest.mark.parametrize(("worst", "mark"), [(999.0, "✓"), (1000.0, "✗")])
def test_the_worst_of_all_is_what_counts(worst: float, mark: str) -> None:
    assert _line("seeks", [10.0, worst, 20.0], 1000).startswith(f"{mark}   3 seeks: median    20 ms, worst")
