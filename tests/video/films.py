"""Short films for tests, made by the real ffmpeg once a session: what a browser's recorder or OBS would send."""

import functools
import shutil
import subprocess

import pytest

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


def chunks(data: bytes, size: int = 20_000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
