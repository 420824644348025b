"""Fragmented MP4 (ISO/IEC 14496-12) read as it comes: a header that opens the stream, then fragments with their times.

What arrives: bytes of one stream in pieces of any size. What leaves: one `Header`, then `Fragment`s, each with its own
bytes untouched. Only what a time line needs is read: tracks, codecs, decode times, durations, whether a fragment begins
with a picture that stands alone. It does not know files, playlists or clocks. The stream comes from our own remuxer,
whose input is a stranger's: sizes are bounded and every surprise is a `BadStream`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

HEADER_BYTES_MAX = 1 << 20
FRAGMENT_BYTES_MAX = 32 << 20  # ten seconds at 25 Mb/s: nothing that a show sends
_SAMPLES_MAX = 100_000

_NOT_ALONE = 0x0001_0000  # sample_is_non_sync_sample

# tfhd and trun say by these bits which optional fields follow, in this order.
TFHD_BASE_OFFSET, TFHD_DESCRIPTION, TFHD_DURATION, TFHD_SIZE, TFHD_FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
TRUN_OFFSET, TRUN_FIRST_FLAGS, TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_COMPOSITION = (
    0x1, 0x4, 0x100, 0x200, 0x400, 0x800,
)  # fmt: skip


class BadStream(Exception):
    """The bytes are no fragmented MP4 that can be played; says where they stop being one."""


@dataclass(frozen=True, slots=True)
class Track:
    """One track. `codec` in the spelling of RFC 6381; "" for one that players are not told of."""

    track_id: int
    kind: Literal["video", "audio", "other"]
    timescale: int  # units of its times in a second
    codec: str
    width: int = 0
    height: int = 0
    sample_duration: int = 0  # where a fragment says nothing
    sample_flags: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """What a player needs before any fragment (ftyp and moov)."""

    data: bytes
    tracks: tuple[Track, ...]

    @property
    def codecs(self) -> str:
        return ",".join(track.codec for track in self.tracks if track.codec)

    @property
    def picture(self) -> Track | None:
        return next((track for track in self.tracks if track.kind == "video"), None)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One moof with its mdat. Times in milliseconds of the stream's own clock, of the picture where there is one."""

    data: bytes
    at_ms: float
    duration_ms: float
    alone: bool  # can be played without what came before


class Reader:
    """Feed it bytes; it gives what became whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head = bytearray()
        self._moof: bytes | None = None
        self.header: Header | None = None

    def feed(self, data: bytes) -> list[Header | Fragment]:
        """Raises `BadStream`; the reader is of no use after that."""
        self._buffer += data
        found: list[Header | Fragment] = []
        while (box := self._next_box()) is not None:
            kind, whole = box
            if (each := self._take(kind, whole)) is not None:
                found.append(each)
        return found

    def _next_box(self) -> tuple[bytes, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 8:
            return None
        size, kind = struct.unpack_from(">I4s", buffer)
        if size == 1:
            if len(buffer) < 16:
                return None
            (size,) = struct.unpack_from(">Q", buffer, 8)
        most = HEADER_BYTES_MAX if self.header is None else FRAGMENT_BYTES_MAX
        if not 8 <= size <= most:
            raise BadStream(f"a box {kind!r} of {size} bytes; expected 8 to {most}")
        if len(buffer) < size:
            return None
        whole = bytes(buffer[:size])
        del buffer[:size]
        return kind, whole

    def _take(self, kind: bytes, whole: bytes) -> Header | Fragment | None:
        if self.header is None:
            if kind in (b"moof", b"mdat"):
                raise BadStream("pictures before the header")
            self._head += whole
            if len(self._head) > HEADER_BYTES_MAX:
                raise BadStream(f"a header of more than {HEADER_BYTES_MAX} bytes")
            if kind == b"moov":
                self.header = Header(bytes(self._head), tuple(_tracks(whole)))
                if not self.header.tracks:
                    raise BadStream("a header without tracks")
                return self.header
        elif kind == b"moof":
            self._moof = whole
        elif kind == b"mdat" and self._moof is not None:
            moof, self._moof = self._moof, None
            return _fragment(self.header, moof, whole)
        return None  # styp, sidx, mfra, free: nothing that a player of ours needs


# --- boxes within boxes ---------------------------------------------------------------------------------------------


def children(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of its content, its end) of each box between two places."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        elif size == 0:
            size = end - at
        if size < start - at or at + size > end:
            raise BadStream(f"a box {kind!r} that is longer than what holds it")
        yield kind, start, at + size
        at += size


def _find(data: bytes, at: int, end: int, *path: bytes) -> tuple[int, int] | None:
    for wanted in path:
        found = next(((start, stop) for kind, start, stop in children(data, at, end) if kind == wanted), None)
        if found is None:
            return None
        at, end = found
    return at, end


def _unpack(form: str, data: bytes, at: int, end: int) -> tuple[int, ...]:
    if at + struct.calcsize(form) > end:
        raise BadStream("a box that ends too early")
    return struct.unpack_from(form, data, at)


# --- the header -----------------------------------------------------------------------------------------------------


def _tracks(moov: bytes) -> Iterator[Track]:
    defaults: dict[int, tuple[int, int]] = {}
    if mvex := _find(moov, 8, len(moov), b"mvex"):
        for kind, start, end in children(moov, *mvex):
            if kind == b"trex":
                track_id, _, duration, _, flags = _unpack(">5I", moov, start + 4, end)
                defaults[track_id] = duration, flags
    for kind, start, end in children(moov, 8, len(moov)):
        if kind == b"trak":
            yield _track(moov, start, end, defaults)


def _track(moov: bytes, start: int, end: int, defaults: dict[int, tuple[int, int]]) -> Track:
    head = _find(moov, start, end, b"tkhd")
    media_head = _find(moov, start, end, b"mdia", b"mdhd")
    handler = _find(moov, start, end, b"mdia", b"hdlr")
    table = _find(moov, start, end, b"mdia", b"minf", b"stbl", b"stsd")
    if not (head and media_head and handler and table):
        raise BadStream("a track without its head")
    (track_id,) = _unpack(">I", moov, head[0] + (20 if moov[head[0]] == 1 else 12), head[1])
    (timescale,) = _unpack(">I", moov, media_head[0] + (20 if moov[media_head[0]] == 1 else 12), media_head[1])
    if timescale == 0:
        raise BadStream("a track whose clock stands still")
    word = moov[handler[0] + 8 : handler[0] + 12]
    kind: Literal["video", "audio", "other"] = {b"vide": "video", b"soun": "audio"}.get(word, "other")  # type: ignore[assignment]
    codec, width, height = _sample_entry(moov, table[0] + 8, table[1])
    duration, flags = defaults.get(track_id, (0, 0))
    return Track(track_id, kind, timescale, codec, width, height, duration, flags)


def _sample_entry(moov: bytes, at: int, end: int) -> tuple[str, int, int]:
    """(codec, width, height) of the first description in a table."""
    for kind, start, stop in children(moov, at, end):
        if kind in (b"avc1", b"avc3"):
            width, height = _unpack(">2H", moov, start + 24, stop)
            found = _find(moov, start + 78, stop, b"avcC")
            if found is None or found[1] - found[0] < 4:
                raise BadStream("a picture without its parameters")
            return f"{kind.decode()}.{moov[found[0] + 1 : found[0] + 4].hex()}", width, height
        if kind == b"mp4a":
            return "mp4a.40.2", 0, 0  # AAC-LC is what our remuxer is told to make
        if kind == b"Opus":
            return "opus", 0, 0
        return "", 0, 0
    raise BadStream("a track that says nothing of its samples")


# --- fragments ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    track: Track
    at: int
    duration: int
    alone: bool


def _fragment(header: Header, moof: bytes, mdat: bytes) -> Fragment:
    runs = [
        run
        for kind, start, end in children(moof, 8, len(moof))
        if kind == b"traf" and (run := _run(header, moof, start, end)) is not None
    ]
    # By the picture, where there is one: sound that comes with it may begin some milliseconds apart.
    run = next((each for each in runs if each.track.kind == "video"), runs[0] if runs else None)
    if run is None:
        raise BadStream("a fragment of no track")
    scale = 1000 / run.track.timescale
    return Fragment(moof + mdat, run.at * scale, run.duration * scale, run.alone or run.track.kind != "video")


def _run(header: Header, moof: bytes, start: int, end: int) -> _Run | None:
    head = _find(moof, start, end, b"tfhd")
    if head is None:
        raise BadStream("a run without its head")
    version_flags, track_id = _unpack(">2I", moof, *head)
    track = next((each for each in header.tracks if each.track_id == track_id), None)
    if track is None:
        raise BadStream(f"a run of a track {track_id} that the header does not have")
    duration, flags = _run_defaults(track, moof, head[0] + 8, head[1], version_flags & 0xFFFFFF)
    at = _decode_time(moof, start, end)
    total, first, count = 0, None, 0
    for kind, run_start, run_end in children(moof, start, end):
        if kind == b"trun":
            spent, alone, samples = _read_trun(moof, run_start, run_end, duration, flags)
            total += spent
            count += samples
            first = alone if first is None else first
    return _Run(track, at, total, bool(first)) if count else None


def _run_defaults(track: Track, moof: bytes, at: int, end: int, bits: int) -> tuple[int, int]:
    at += 8 if bits & TFHD_BASE_OFFSET else 0
    at += 4 if bits & TFHD_DESCRIPTION else 0
    duration, flags = track.sample_duration, track.sample_flags
    if bits & TFHD_DURATION:
        (duration,) = _unpack(">I", moof, at, end)
        at += 4
    at += 4 if bits & TFHD_SIZE else 0
    if bits & TFHD_FLAGS:
        (flags,) = _unpack(">I", moof, at, end)
    return duration, flags


def _decode_time(moof: bytes, start: int, end: int) -> int:
    found = _find(moof, start, end, b"tfdt")
    if found is None:
        raise BadStream("a run without its time")
    long = moof[found[0]] == 1
    (at,) = _unpack(">Q" if long else ">I", moof, found[0] + 4, found[1])
    return at


def _read_trun(moof: bytes, at: int, end: int, duration: int, flags: int) -> tuple[int, bool, int]:
    """(duration of all samples, whether the first stands alone, how many) of one run of samples."""
    version_flags, count = _unpack(">2I", moof, at, end)
    bits = version_flags & 0xFFFFFF
    if count > _SAMPLES_MAX:
        raise BadStream(f"a run of {count} samples")
    at += 8 + (4 if bits & TRUN_OFFSET else 0)
    first = flags
    if bits & TRUN_FIRST_FLAGS:
        (first,) = _unpack(">I", moof, at, end)
        at += 4
    width = 4 * sum(1 for bit in (TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_COMPOSITION) if bits & bit)
    if at + width * count > end:
        raise BadStream("a run that is shorter than it says")
    if bits & TRUN_FLAGS and count and not bits & TRUN_FIRST_FLAGS:
        before = 4 * sum(1 for bit in (TRUN_DURATION, TRUN_SIZE) if bits & bit)
        (first,) = struct.unpack_from(">I", moof, at + before)
    total = duration * count
    if bits & TRUN_DURATION:
        total = sum(struct.unpack_from(">I", moof, at + width * index)[0] for index in range(count))
    return total, not first & _NOT_ALONE, count
