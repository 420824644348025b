"""A stretch of a recording becomes a file that any player takes, with the very pictures that were filmed."""

import asyncio
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from livecommerce.errors import R, Refused
from livecommerce.video import cut as cutting
from livecommerce.video import room
from livecommerce.video.cut import Cut, cut_file, cuts_of
from livecommerce.video.recording import Recording
from livecommerce.video.timeline import EpochBegins, FragmentAdded, Stretch, Timeline
from tests.video.films import needs_ffmpeg, press

T0_MS = 1_000_000.0


def stretch_of(folder: Path) -> Stretch:
    recording = Recording(folder)
    recording.refresh()
    recording.close()
    return recording.timeline.between()


def the_cut(folder: Path, from_ms: float = -math.inf, to_ms: float = math.inf) -> Cut:
    (cut,) = cuts_of(stretch_of(folder), from_ms, to_ms)
    return cut


async def saved(folder: Path, cut: Cut, path: Path) -> Path:
    with await cut_file(folder, cut) as file:
        await asyncio.to_thread(path.write_bytes, file.read())
    return path


def probed(path: Path) -> dict[str, Any]:
    said = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_packets", str(path)],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def pictures(path: Path) -> list[int]:
    """The sizes of its pictures, in bytes."""
    return [int(packet["size"]) for packet in probed(path)["packets"] if packet["codec_type"] == "video"]


def complaints(path: Path) -> bytes:
    """What a decoder says of it."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, timeout=60, check=True).stderr


def of_cuts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("cut-")]


def test_each_epoch_is_a_cut_of_its_own_and_begins_with_a_whole_segment() -> None:
    timeline = Timeline()
    for epoch in (0, 1):
        timeline.add(EpochBegins(epoch, T0_MS + epoch * 10_000, 100, "avc1.42c01e"))
        for number in range(12):
            timeline.add(FragmentAdded(epoch, 100 + number * 50, 50, number * 500.0, 500.0, number % 2 == 0))

    stretch = timeline.between()

    assert cuts_of(stretch, T0_MS + 2700, T0_MS + 12_200) == [
        Cut(0, 100, 100 + 4 * 50, 8 * 50, T0_MS + 2000, 4000.0),
        Cut(1, 100, 100, 5 * 50, T0_MS + 10_000, 2500.0),
    ]
    assert cuts_of(stretch, T0_MS + 6000, T0_MS + 10_000) == []
    assert cuts_of(stretch, T0_MS + 99_000, math.inf) == []
    assert cuts_of(Stretch(()), -math.inf, math.inf) == []


@needs_ffmpeg
async def test_it_begins_at_zero_with_a_picture_that_stands_alone_and_its_index_in_front(tmp_path: Path) -> None:
    press(tmp_path / "show", T0_MS, 6.0)
    cut = the_cut(tmp_path / "show", T0_MS + 2500, T0_MS + 4900)

    found = probed(await saved(tmp_path / "show", cut, tmp_path / "clip.mp4"))

    assert (cut.begins_ms - T0_MS, cut.length_ms) == (pytest.approx(2000, abs=150), pytest.approx(3000, abs=150))
    assert float(found["format"]["start_time"]) == pytest.approx(0, abs=0.05)
    assert float(found["format"]["duration"]) * 1000 == pytest.approx(cut.length_ms, abs=150)
    assert {stream["codec_name"] for stream in found["streams"]} == {"h264", "aac"}
    first = next(packet for packet in found["packets"] if packet["codec_type"] == "video")
    assert "K" in first["flags"]
    content = (tmp_path / "clip.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert b"moof" not in content
    assert of_cuts(tmp_path / "show") == []


@needs_ffmpeg
async def test_its_pictures_are_those_that_were_filmed_and_can_all_be_read(tmp_path: Path) -> None:
    press(tmp_path / "show", T0_MS, 6.0)
    filmed = pictures(tmp_path / "show" / "0.mp4")

    whole = await saved(tmp_path / "show", the_cut(tmp_path / "show"), tmp_path / "whole.mp4")
    clip = await saved(tmp_path / "show", the_cut(tmp_path / "show", T0_MS + 2500), tmp_path / "clip.mp4")

    assert pictures(whole) == filmed
    assert pictures(clip) == filmed[-len(pictures(clip)) :]
    assert complaints(clip) == b""


@needs_ffmpeg
async def test_who_gets_what_cannot_be_cut_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "show"
    press(folder, T0_MS)
    cut = the_cut(folder)

    async def why(of: Cut = cut) -> R:
        with pytest.raises(Refused) as refused:
            await cut_file(folder, of)
        assert of_cuts(folder) == []
        return refused.value.why

    with monkeypatch.context() as full:
        full.setattr(room, "FREE_BYTES_MIN", 1 << 60)
        assert await why() is R.VIDEO_QUOTA
    with monkeypatch.context() as bare:
        bare.setenv("PATH", str(tmp_path))
        assert await why() is R.NO_FFMPEG
    assert await why(cut._replace(epoch=7)) is R.NOT_FOUND
    data = bytearray((folder / "0.mp4").read_bytes())
    data[: cut.header_bytes] = os.urandom(cut.header_bytes)
    (folder / "0.mp4").write_bytes(data)
    assert await why() is R.VIDEO_BROKEN


@needs_ffmpeg
async def test_whoever_leaves_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "show"
    press(folder, T0_MS)
    fed, processes = asyncio.Event(), []

    async def stands_still(process: Any, *_: object) -> str:
        processes.append(process)
        fed.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(cutting, "_fed", stands_still)
    asking = asyncio.create_task(cut_file(folder, the_cut(folder)))
    await fed.wait()
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [process.returncode for process in processes] == [-signal.SIGKILL]
    assert of_cuts(folder) == []


@needs_ffmpeg
async def test_what_a_killed_process_left_goes_with_a_cut_an_hour_later(tmp_path: Path) -> None:
    folder = tmp_path / "show"
    press(folder, T0_MS)
    old, young = folder / "cut-old", folder / "cut-young"
    for path, age_seconds in ((old, 3700), (young, 60)):
        path.touch()
        os.utime(path, (time.time() - age_seconds,) * 2)

    (await cut_file(folder, the_cut(folder))).close()

    assert of_cuts(folder) == ["cut-young"]
