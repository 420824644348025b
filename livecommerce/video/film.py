"""A film that a host uploaded for a show: taken in, looked at, kept beside the recording, and read at its own pace.

What arrives: the bytes of an upload, as they come. What leaves: `FilmFacts`, or `Refused(FILM)` that says what is wrong
and what to do; then the film as a stream for the show's publisher, from any place. It does not know shows or requests.

The file is a stranger's. Its kind is read from its first bytes and named to ffmpeg, which guesses nothing: so a
playlist or a script that is called `film.mp4` opens no other file, here or elsewhere. ffmpeg sees this one file and a
pipe, writes none, and is ended when it takes too long.
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from livecommerce.errors import R, Refused
from livecommerce.video.remux import MADE_ANEW, confine, find_ffmpeg
from livecommerce.video.room import has_room, sweep

FILM_MIME = "video/x-matroska;codecs=h264"
# Beyond this a phone's line is too weak for it, whatever its picture: it is made anew.
_BITS_PER_SECOND_MAX = 8_000_000
# Players begin at a keyframe, and so does whoever comes in late.
_KEYFRAME_SECONDS_MAX = 4.0
_PIXELS_MAX = 4096 * 2304
_WRITE_BYTES = 1 << 20
_HEAD_BYTES = 16
_LOOK_SECONDS_MAX = 40.0
_SAID_CHARACTERS_MAX = 300
_READ_BYTES = 1 << 16
_SILENCE_SECONDS_MAX = 20.0

Demuxer = Literal["mov", "matroska"]
Why = Literal["kind", "unreadable", "no_picture", "too_long", "endless", "large", "missing"]
_TEXTS: dict[Why, str] = {
    "kind": "it is none of MP4, MOV, MKV and WebM. Export it as MP4 with H.264 and AAC.",
    "unreadable": "it is damaged or was cut off. Export it again, then upload it once more.",
    "no_picture": "there is no picture in it, only sound or data.",
    "too_long": "it is longer than a show may be ({hours} hours). Cut it first.",
    "endless": "it does not say how long it is. Export it as MP4 with H.264 and AAC.",
    "large": "its picture is larger than 4K. Export it in 1080p or 720p.",
    "missing": "there is none. Upload one first.",
}


class FilmFacts(msgspec.Struct, frozen=True):
    """A film as it was found. `made_anew`: it is converted while it plays, which takes a third of a core or more."""

    film_id: str
    name: str
    bytes: int
    duration_ms: int
    width: int
    height: int
    demuxer: Demuxer
    made_anew: bool
    sound: bool
    uploaded_at_ms: int
    trouble: str = ""  # why it is not to be seen just now


def not_taken(why: Why, **words: object) -> Refused:
    return Refused(R.FILM, why=_TEXTS[why].format(**words), facts={"of": why})


class Films:
    """The films of one data folder. At most one a show; a new one takes the place of the one before."""

    def __init__(self, folder: Path, bytes_max: int, hours_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._hours_max = hours_max

    def film(self, show_id: str) -> FilmFacts | None:
        """The show's film, if it lies on this machine."""
        try:
            facts = msgspec.json.decode((self._of(show_id) / "film.json").read_bytes(), type=FilmFacts)
        except (OSError, msgspec.DecodeError):
            return None
        with contextlib.suppress(OSError):
            facts = msgspec.structs.replace(facts, trouble=(self._of(show_id) / "film.trouble").read_text())
        return facts

    def path(self, show_id: str, film: FilmFacts) -> Path:
        return self._of(show_id) / f"film-{film.film_id}"

    def tell(self, show_id: str, trouble: str) -> None:
        """Why the film is not to be seen just now, for whoever asks any process; "" where all is well."""
        path = self._of(show_id) / "film.trouble"
        if trouble:
            path.write_text(trouble[:_SAID_CHARACTERS_MAX])
        else:
            path.unlink(missing_ok=True)

    async def keep(
        self, show_id: str, name: str, chunks: AsyncIterator[bytes], size_told: int, now_ms: int
    ) -> FilmFacts:
        """Take a film in. Refuses TOO_LARGE, VIDEO_QUOTA, NO_FFMPEG, FILM, and whatever `chunks` raises: then nothing
        is left of it, and the film before stays."""
        if find_ffmpeg() is None or shutil.which("ffprobe") is None:
            raise Refused(R.NO_FFMPEG)
        folder = self._of(show_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._refuse_size(size_told)
        if not has_room(folder, size_told):
            raise Refused(R.VIDEO_QUOTA, why="the disk is nearly full")
        film_id = secrets.token_hex(8)
        path = folder / f"film-{film_id}"
        try:
            size = await self._write(path, chunks)
            facts = await self._look(path, film_id, name, size, now_ms)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        before = self.film(show_id)
        draft = folder / f"film.json.{film_id}"
        draft.write_bytes(msgspec.json.encode(facts))
        draft.replace(folder / "film.json")
        self.tell(show_id, "")
        if before is not None:
            self.path(show_id, before).unlink(missing_ok=True)
        sweep(folder, "film-*", path)
        return facts

    def forget(self, show_id: str) -> None:
        """Remove the show's film, if it has one."""
        film = self.film(show_id)
        (self._of(show_id) / "film.json").unlink(missing_ok=True)
        if film is not None:
            self.path(show_id, film).unlink(missing_ok=True)

    def _of(self, show_id: str) -> Path:
        return self._folder / show_id

    def _refuse_size(self, size: int) -> None:
        if size > self._bytes_max:
            raise Refused(R.TOO_LARGE, limit=f"{self._bytes_max // 1_000_000} MB")

    async def _write(self, path: Path, chunks: AsyncIterator[bytes]) -> int:
        """The kind is looked at before the rest is waited for. Returns the size."""
        size, waiting = 0, bytearray()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in chunks:
                looked_at = size >= _HEAD_BYTES
                size += len(chunk)
                self._refuse_size(size)
                waiting += chunk
                if not looked_at and size >= _HEAD_BYTES:
                    demuxer_of(bytes(waiting))
                if len(waiting) >= _WRITE_BYTES:
                    await _to_disk(file, waiting)
            await _to_disk(file, waiting)
        return size

    async def _look(self, path: Path, film_id: str, name: str, size: int, now_ms: int) -> FilmFacts:
        with path.open("rb") as file:
            demuxer = demuxer_of(file.read(_HEAD_BYTES))
        source = ("-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{path}")
        try:
            async with asyncio.timeout(_LOOK_SECONDS_MAX):
                found = await _said(
                    "ffprobe", "-v", "error", *source, "-of", "json", "-show_entries",
                    "format=duration:stream=codec_type,codec_name,pix_fmt,width,height:stream_disposition=attached_pic"
                    ":stream_side_data=rotation",
                )  # fmt: skip
                seen = msgspec.json.decode(found, type=dict[str, Any])
                picture = _picture(seen)
                duration_s = _duration(seen, self._hours_max)
                await _said("ffmpeg", "-v", "error", "-xerror", "-nostdin", *source, "-map", "0:V:0", "-frames:v", "1",
                            "-f", "null", "-")  # fmt: skip
                packets = await _said(
                    "ffprobe", "-v", "error", *source, "-select_streams", "V:0", "-read_intervals", "%+30",
                    "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0",
                )  # fmt: skip
        except (TimeoutError, msgspec.DecodeError):
            raise not_taken("unreadable") from None
        return FilmFacts(
            film_id=film_id,
            name=name,
            bytes=size,
            duration_ms=round(duration_s * 1000),
            width=int(picture["width"]),
            height=int(picture["height"]),
            demuxer=demuxer,
            made_anew=_must_be_made_anew(picture, size * 8 / duration_s, packets.decode(errors="replace")),
            sound=any(each.get("codec_type") == "audio" for each in seen.get("streams", ())),
            uploaded_at_ms=now_ms,
        )


def demuxer_of(head: bytes) -> Demuxer:
    """What a film is, by its first bytes. Refuses FILM."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    raise not_taken("kind")


async def _to_disk(file: BinaryIO, waiting: bytearray) -> None:
    data = bytes(waiting)
    waiting.clear()
    await asyncio.to_thread(file.write, data)


async def _said(program: str, *arguments: str) -> bytes:
    """What a program prints. Refuses FILM where it fails; it is ended with whoever waits for it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    confine(process.pid)
    try:
        said, _ = await process.communicate()
    finally:
        await _end(process)
    if process.returncode != 0:
        raise not_taken("unreadable")
    return said


async def _end(process: "asyncio.subprocess.Process") -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _picture(seen: dict[str, Any]) -> dict[str, Any]:
    """The first picture that is none of a sound's cover. Refuses FILM."""
    for stream in seen.get("streams", ()):
        if stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic"):
            if not stream.get("width") or not stream.get("height"):
                raise not_taken("unreadable")
            if stream["width"] * stream["height"] > _PIXELS_MAX:
                raise not_taken("large")
            found: dict[str, Any] = stream
            return found
    raise not_taken("no_picture")


def _duration(seen: dict[str, Any], hours_max: int) -> float:
    """In seconds. Refuses FILM."""
    try:
        duration_s = float(seen.get("format", {}).get("duration", 0))
    except ValueError:
        duration_s = 0.0
    if not duration_s > 0:
        raise not_taken("endless")
    if duration_s > hours_max * 3600:
        raise not_taken("too_long", hours=hours_max)
    return duration_s


def _must_be_made_anew(picture: dict[str, Any], bits_per_second: float, packets: str) -> bool:
    """Whether players could not play it as it is: another codec, a phone's turned picture, many bits, few keyframes."""
    turned = any(side.get("rotation") for side in picture.get("side_data_list", ()))
    plain = picture.get("codec_name") == "h264" and picture.get("pix_fmt") in ("yuv420p", "yuvj420p")
    rare = _keyframe_gap_seconds(packets) > _KEYFRAME_SECONDS_MAX
    return turned or not plain or rare or bits_per_second > _BITS_PER_SECOND_MAX


def _keyframe_gap_seconds(packets: str) -> float:
    """The longest stretch without a keyframe, of lines "pts,flags"."""
    times, keys = [], []
    for line in packets.splitlines():
        time, _, flags = line.partition(",")
        try:
            at = float(time)
        except ValueError:
            continue
        times.append(at)
        if flags.startswith("K"):
            keys.append(at)
    if not times:
        return 0.0
    ends = [*keys, max(times)]
    return max((following - at for at, following in itertools.pairwise(ends)), default=0.0)


class Showing:
    """A film being read at its own pace by a child, from a place on. `start`, read `chunks`, always `aclose`."""

    def __init__(self, path: Path, film: FilmFacts, from_ms: int) -> None:
        self._path = path
        self._film = film
        self._from_ms = from_ms
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Refuses NO_FFMPEG."""
        program = find_ffmpeg()
        if program is None:
            raise Refused(R.NO_FFMPEG)
        self._process = await asyncio.create_subprocess_exec(
            program, *self.command(),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        confine(self._process.pid)

    def command(self) -> list[str]:
        """ffmpeg's arguments. What the publisher gets is H.264 in any case, and any sound."""
        picture = MADE_ANEW if self._film.made_anew else ("-c:v", "copy")
        return [
            "-hide_banner", "-nostdin", "-loglevel", "error", "-protocol_whitelist", "file,pipe",
            "-re", "-ss", f"{self._from_ms / 1000:.3f}", "-f", self._film.demuxer, "-i", f"file:{self._path}",
            "-map", "0:V:0", "-map", "0:a:0?", "-sn", "-dn", *picture, "-c:a", "copy",
            "-f", "matroska", "-live", "1", "-cluster_time_limit", "200", "-flush_packets", "1", "pipe:1",
        ]  # fmt: skip

    async def chunks(self) -> AsyncIterator[bytes]:
        """Until the film is over, or ffmpeg says nothing for a while."""
        assert self._process is not None
        assert self._process.stdout is not None
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS_MAX):
                    data = await self._process.stdout.read(_READ_BYTES)
                if not data:
                    return
                yield data

    async def aclose(self) -> None:
        if self._process is not None:
            await _end(self._process)
