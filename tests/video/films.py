"""Short films for tests, made by the real ffmpeg once a session: what a browser's recorder or OBS would send."""

import functools
import shutil
import subprocess
from pathlib import Path

import pytest

from livecommerce.video.boxes import Fragment, Header, Reader
from livecommerce.video.recording import open_writer
from livecommerce.video.remux import Source, command

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg on this machine")

_CONTAINERS = {
    "webm-h264": ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "libopus", "-f", "matroska", "-live", "1"],
    "mp4": ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-f", "mp4", "-movflags",
            "+frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "500000"],
    "webm-vp8": ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus", "-f", "webm"],
    "silent": ["-an", "-c:v", "libx264", "-preset", "ultrafast", "-f", "matroska"],
    "sound": ["-vn", "-c:a", "libopus", "-f", "webm"],
    "ts": ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-c:a", "aac", "-f", "mpegts"],
    "ts-sound": ["-vn", "-c:a", "aac", "-f", "mpegts"],
    "ts-mpeg2": ["-c:v", "mpeg2video", "-c:a", "aac", "-f", "mpegts"],
    "rare-keys": ["-c:v", "libx264", "-preset", "ultrafast", "-g", "600", "-keyint_min", "600", "-sc_threshold", "0",
                  "-c:a", "aac", "-f", "matroska"],
    "flv": ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-f", "flv"],
    "h264": ["-an", "-c:v", "libx264", "-preset", "ultrafast", "-f", "h264"],
    "hevc": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-an", "-f", "matroska"],
}  # fmt: skip
MIMES = {
    "webm-h264": "video/webm;codecs=h264,opus",
    "mp4": "video/mp4;codecs=avc1.42E01E,mp4a.40.2",
    "webm-vp8": "video/webm;codecs=vp8,opus",
    "silent": "video/webm;codecs=h264",
    "sound": "video/webm;codecs=h264,opus",
}


@functools.cache
def film(kind: str, seconds: float = 4.0, size: str = "160x284") -> bytes:
    """A moving picture with a tone, a keyframe every second, 15 frames a second."""
    made = subprocess.run(
        [
            "ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=15", "-f", "lavfi",
            "-i", "sine=440:sample_rate=48000", "-t", str(seconds), "-g", "15", "-keyint_min", "15",
            *_CONTAINERS[kind], "pipe:1",
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return made.stdout


def press(folder: Path, t0_ms: float, seconds: float = 4.0) -> None:
    """A recording as if the film had been sent at its pace from `t0_ms` on; a new epoch where there is one already."""
    made = subprocess.run(
        ["ffmpeg", *command(Source("mp4"), 500)],
        input=film("mp4", seconds), capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    header, *fragments = Reader().feed(made.stdout)
    assert isinstance(header, Header)
    writer = open_writer(folder)
    writer.begin(header, t0_ms)
    for each in fragments:
        assert isinstance(each, Fragment)
        writer.add(each)
    writer.close()


def chunks(data: bytes, size: int = 20_000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def tags(flv: bytes) -> list[bytes]:
    """The tags of an FLV file, each with its size behind it, as RTMP hands them on."""
    found, at = [], 13
    while at < len(flv):
        size = 11 + int.from_bytes(flv[at + 1 : at + 4], "big") + 4
        found.append(flv[at : at + size])
        at += size
    return found


def later(tag: bytes, by_ms: int) -> bytes:
    """The same tag at a later time."""
    at_ms = int.from_bytes(bytes([tag[7]]) + tag[4:7], "big") + by_ms
    return tag[:4] + (at_ms & 0xFFFFFF).to_bytes(3, "big") + bytes([at_ms >> 24]) + tag[8:]


@functools.cache
def turned(seconds: float = 3.0) -> bytes:
    """An FLV whose picture is upright, and lies on its side from the middle on, as an encoder sends it that changes its
    size without a word."""
    upright, lying = film("flv", seconds), film("flv", seconds, "284x160")
    rest = [later(tag, round(seconds * 1000)) for tag in tags(lying) if tag[0] != 18]
    return upright + b"".join(rest)


@functools.cache
def turned_ts(seconds: float = 2.0) -> bytes:
    """The same as a transport stream, where each keyframe carries the description of its picture."""
    pictures = film("h264", seconds) + film("h264", seconds, "284x160")
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "h264", "-r", "15", "-i", "pipe:0", "-c", "copy", "-f", "mpegts", "pipe:1"],
        input=pictures, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return made.stdout
