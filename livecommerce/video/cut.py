"""A stretch of a recording as a file of its own, cut without encoding: what a merchant sends to others.

What arrives: a `Cut`, which says where in which epoch's file its bytes lie. What leaves: an MP4 that begins at zero and
has its index in front, as every phone, editor and social network takes it. A cut begins with the segment, of some two
seconds, that its stretch begins in, since a picture must stand alone. ffmpeg sees a pipe and the one file it writes.
It does not know shows, cards or requests.
"""

import asyncio
import contextlib
import secrets
from asyncio.subprocess import Process
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

from livecommerce.errors import R, Refused
from livecommerce.video.remux import confine, find_ffmpeg
from livecommerce.video.room import has_room, sweep
from livecommerce.video.timeline import Part, Segment, Stretch

_READ_BYTES = 1 << 20
# Copied as fast as the disk goes: 12 hours of 2.5 Mb/s are 13 GB.
_SECONDS_MAX = 300.0
# The index of what is cut: a few bytes a frame.
_INDEX_SHARE, _INDEX_BYTES = 8, 1 << 20
_SAID_CHARACTERS_MAX = 300
_PREFIX = "cut-"


class Cut(NamedTuple):
    """`size` bytes at `offset` of one epoch's file, which begins with `header_bytes` of header."""

    epoch: int
    header_bytes: int
    offset: int
    size: int
    begins_ms: float
    length_ms: float


def cuts_of(stretch: Stretch, from_ms: float, to_ms: float) -> list[Cut]:
    """What was filmed between two instants of the programme, one cut for each epoch; none where nothing was."""
    found = stretch.clip(from_ms, to_ms)
    return [_cut(list(each)) for _, each in groupby(found, key=lambda piece: piece[0].epoch.epoch)]


def _cut(pieces: list[tuple[Segment, list[Part]]]) -> Cut:
    epoch, parts = pieces[0][0].epoch, [part for _, each in pieces for part in each]
    size = parts[-1].ends_at - parts[0].offset
    length_ms = sum(part.duration_ms for part in parts)
    return Cut(epoch.epoch, epoch.header_bytes, parts[0].offset, size, parts[0].programme_ms, length_ms)


async def cut_file(folder: Path, cut: Cut) -> BinaryIO:
    """The cut of this recording, open at its beginning; it has no name any more and goes when it is closed. Refuses
    NO_FFMPEG, VIDEO_QUOTA where the disk has no room for a copy, VIDEO_BROKEN, NOT_FOUND where the recording is kept no
    longer. Cancelling it, or a refusal, leaves nothing behind; what a killed process left goes with a cut an hour
    later."""
    ffmpeg = find_ffmpeg()
    if ffmpeg is None:
        raise Refused(R.NO_FFMPEG)
    path = folder / f"{_PREFIX}{secrets.token_hex(8)}"
    try:
        if not has_room(folder, cut.size):
            raise Refused(R.VIDEO_QUOTA, why="the disk is nearly full, and a clip is a copy")
        sweep(folder, f"{_PREFIX}*")
        with (folder / f"{cut.epoch}.mp4").open("rb") as source:
            await _run(ffmpeg, source, cut, path)
        return path.open("rb")
    except FileNotFoundError:
        raise Refused(R.NOT_FOUND, what="recording") from None
    finally:
        path.unlink(missing_ok=True)


async def _run(ffmpeg: str, source: BinaryIO, cut: Cut, path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-protocol_whitelist", "pipe", "-f", "mp4",
        "-i", "pipe:0", "-map", "0", "-c", "copy", "-movflags", "+faststart", "-f", "mp4", f"file:{path}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    confine(process.pid, cut.size + cut.size // _INDEX_SHARE + _INDEX_BYTES)
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            said = await _fed(process, source, cut)
            failed = await process.wait() != 0
    except TimeoutError:
        raise Refused(R.VIDEO_BROKEN, said=f"not cut within {_SECONDS_MAX:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if failed:
        raise Refused(R.VIDEO_BROKEN, said=said)


async def _fed(process: Process, source: BinaryIO, cut: Cut) -> str:
    """The last line that it said, once it has everything."""
    assert process.stdin is not None
    assert process.stderr is not None
    listening = asyncio.ensure_future(process.stderr.read())
    try:
        # Where it ends early it says why, and its exit code tells.
        with contextlib.suppress(ConnectionError):
            for offset, size in _blocks(cut):
                process.stdin.write(await asyncio.to_thread(_read, source, offset, size))
                await process.stdin.drain()
        process.stdin.close()
        said = (await listening).decode(errors="replace").splitlines()
        return said[-1][:_SAID_CHARACTERS_MAX] if said else "ffmpeg ended without a word"
    finally:
        listening.cancel()


def _blocks(cut: Cut) -> Iterator[tuple[int, int]]:
    yield 0, cut.header_bytes
    for offset in range(cut.offset, cut.offset + cut.size, _READ_BYTES):
        yield offset, min(_READ_BYTES, cut.offset + cut.size - offset)


def _read(source: BinaryIO, offset: int, size: int) -> bytes:
    source.seek(offset)
    return source.read(size)
