"""One ffmpeg that puts an encoder's stream into fragments without touching the picture. It sees pipes, nothing else.

What arrives: bytes of a container (WebM, MP4, FLV, MPEG-TS) as an encoder sends them. What leaves: headers and
fragments, and the last lines ffmpeg said where something is wrong. The input is a stranger's: the demuxer is named, no
protocol but pipes is allowed, and the process may open no files, write none and grow no further than
`_MEMORY_BYTES_MAX`. When this process dies, ffmpeg's input ends, and so does ffmpeg.

Options, with their reasons: `-fflags nobuffer` is missing, since it drops the first half second and shifts the clock;
probing is short, since a show waits for it; audio becomes AAC, which every player has.
"""

import asyncio
import contextlib
import resource
import shutil
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from livecommerce.video.boxes import BadStream, Fragment, Header, Reader

Container = Literal["matroska", "mp4", "flv", "mpegts"]

STDERR_LINES_MAX = 40
_READ_BYTES = 1 << 16
_MEMORY_BYTES_MAX = 2 << 30
_END_SECONDS_MAX = 5.0
# Keyframes are never exactly a second apart, from Chromium 1.01 to 1.03: two parts of half a second would leave a third
# of some hundredths, which every player would ask for.
PART_ROOM = 1.04


class NoFfmpeg(Exception):
    """There is no ffmpeg on this machine."""


class RemuxFailed(Exception):
    """ffmpeg could not go on; `lines` are the last it said."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        self.lines = lines
        super().__init__(lines[-1] if lines else "ffmpeg ended without a word")


@dataclass(frozen=True, slots=True)
class Source:
    """What an encoder sends. `transcode`: its picture is none that players take (VP8, VP9)."""

    container: Container
    transcode: bool = False


# By the name before the semicolon; which codecs are in it decides whether the picture must be made anew.
_CONTAINERS: dict[str, Container] = {
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/mp4": "mp4",
    "audio/webm": "matroska",
    "audio/mp4": "mp4",
    "video/x-flv": "flv",
    "video/mp2t": "mpegts",
}
# Its tables and its sound's first words may come after a large first picture.
_PROBE_BYTES = {"mpegts": "1000000"}
# What RTMP carries: its own codecs stand in the stream, and H.264 and AAC are what encoders send.
FLV_MIME = "video/x-flv;codecs=h264,aac"
_COPIED = ("h264", "avc1", "avc3")


def source_of(mime: str) -> Source | None:
    """What a browser's recorder says it makes ("video/webm;codecs=h264,opus"); None for what we cannot take."""
    name, _, rest = mime.replace(" ", "").lower().partition(";")
    container = _CONTAINERS.get(name)
    if container is None:
        return None
    codecs = rest.removeprefix("codecs=").strip('"')
    copied = any(word in codecs for word in _COPIED) or (container == "mp4" and not codecs) or name.startswith("audio/")
    return Source(container, transcode=not copied)


def find_ffmpeg() -> str | None:
    """Where ffmpeg is; None where it is not."""
    return shutil.which("ffmpeg")


# A picture made anew: what every player takes, with a keyframe a second, no wider than a phone or a tablet shows.
MADE_ANEW = (
    "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-threads", "2",
    "-force_key_frames", "expr:gte(t,n_forced*1)", "-vf", "scale='min(1280,iw)':-2",
)  # fmt: skip


def command(source: Source, part_ms: int) -> list[str]:
    """ffmpeg's arguments, without its name."""
    picture = MADE_ANEW if source.transcode else ("-c:v", "copy")
    probed = _PROBE_BYTES.get(source.container, "100000")
    return [
        "-hide_banner", "-nostdin", "-loglevel", "warning", "-protocol_whitelist", "pipe",
        "-probesize", probed, "-analyzeduration", "500000", "-f", source.container, "-i", "pipe:0",
        "-map", "0:v:0?", "-map", "0:a:0?", "-sn", "-dn", *picture, "-c:a", "aac", "-b:a", "96k", "-ac", "2",
        "-f", "mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof",
        "-frag_duration", str(round(part_ms * PART_ROOM * 1000)), "-flush_packets", "1", "pipe:1",
    ]  # fmt: skip


def confine(pid: int, file_bytes_max: int = 0) -> None:
    """What reads a stranger's bytes writes no file, or none beyond its bound, and takes no more memory than it
    needs."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_AS, (_MEMORY_BYTES_MAX, _MEMORY_BYTES_MAX))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))


class Remuxer:
    """`start`, then `feed` and `fragments` side by side; `aclose` ends it whatever it does."""

    def __init__(self, source: Source, part_ms: int) -> None:
        self._source = source
        self._part_ms = part_ms
        self._process: asyncio.subprocess.Process | None = None
        self._said: deque[str] = deque(maxlen=STDERR_LINES_MAX)
        self._listening: asyncio.Task[None] | None = None

    @property
    def said(self) -> tuple[str, ...]:
        """The last lines of ffmpeg's own words."""
        return tuple(self._said)

    @property
    def ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    async def start(self) -> None:
        """Raises `NoFfmpeg`."""
        path = find_ffmpeg()
        if path is None:
            raise NoFfmpeg
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            path, *command(self._source, self._part_ms), stdin=pipe, stdout=pipe, stderr=pipe
        )
        confine(self._process.pid)
        self._listening = asyncio.create_task(self._listen(), name="ffmpeg-words")

    async def feed(self, data: bytes) -> None:
        """Hand on what the encoder sent; waits while ffmpeg is behind. Raises `RemuxFailed` where it has ended."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (ConnectionError, RuntimeError):
            raise await self._failed() from None

    def end(self) -> None:
        """The encoder has ended: what is inside comes out, then `fragments` ends."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End it by force, whatever is inside: whoever waits for it is told that it has ended."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def fragments(self) -> AsyncIterator[Header | Fragment]:
        """A header, then fragments, until the input ends. Raises `RemuxFailed`."""
        assert self._process is not None
        assert self._process.stdout is not None
        reader = Reader()
        while data := await self._process.stdout.read(_READ_BYTES):
            try:
                found = reader.feed(data)
            except BadStream as error:
                raise RemuxFailed((*self.said, f"what ffmpeg made cannot be read: {error}")) from None
            for each in found:
                yield each
        if await self._process.wait() != 0 or reader.header is None:
            raise await self._failed()

    async def aclose(self) -> None:
        """End ffmpeg, if need be by force. Calling it twice does nothing."""
        if self._process is None:
            return
        self.end()
        if self._process.returncode is None:
            try:
                async with asyncio.timeout(_END_SECONDS_MAX):
                    await self._process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        if self._listening is not None:
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self._said.append(line.decode(errors="replace").strip()[:300])

    async def _failed(self) -> RemuxFailed:
        if self._listening is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await asyncio.shield(self._listening)
        return RemuxFailed(self.said)
