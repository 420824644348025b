"""The sound of a recording without its picture: cut out of the fragments when a player asks for it.

What arrives: bytes of a header or of fragments as the recording has them. What leaves: the same with the sound's track
alone, samples and times untouched. Nothing is encoded and nothing more is stored, so an evening that was filmed before
can be heard as well; beside a picture of 2.5 Mb/s it is a twenty-sixth of the bytes. It does not know files, playlists
or players.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from livecommerce.video.boxes import (
    TFHD_BASE_OFFSET,
    TFHD_DESCRIPTION,
    TFHD_DURATION,
    TFHD_SIZE,
    TRUN_COMPOSITION,
    TRUN_DURATION,
    TRUN_FIRST_FLAGS,
    TRUN_FLAGS,
    TRUN_OFFSET,
    TRUN_SIZE,
    BadStream,
    Header,
    Reader,
    children,
)


def header_of_sound(header: bytes) -> bytes | None:
    """The header with its track of sound alone; None where there is none. Raises `BadStream`."""
    track = track_of_sound(header)
    if track is None:
        return None
    with _bounded():
        return b"".join(
            _box(kind, _moov(header, start, end, track)) if kind == b"moov" else header[start - 8 : end]
            for kind, start, end in children(header, 0, len(header))
        )


def track_of_sound(header: bytes) -> int | None:
    """The number of the header's first track of sound."""
    found = next((each for each in Reader().feed(header) if isinstance(each, Header)), None)
    if found is None:
        raise BadStream("no header")
    return next((track.track_id for track in found.tracks if track.kind == "audio"), None)


def parts_of_sound(parts: bytes, track: int) -> bytes:
    """Fragments with that track's samples alone. Raises `BadStream`."""
    made: list[bytes] = []
    moof: tuple[int, int] | None = None
    with _bounded():
        for kind, start, end in children(parts, 0, len(parts)):
            if kind == b"moof":
                moof = start - 8, end
            elif kind == b"mdat" and moof is not None:
                made.append(_fragment(parts, *moof, track))
                moof = None
    return b"".join(made)


@contextmanager
def _bounded() -> Iterator[None]:
    try:
        yield
    except struct.error:
        raise BadStream("a box that ends too early") from None


def _moov(header: bytes, start: int, end: int, track: int) -> bytes:
    kept: list[bytes] = []
    for kind, at, stop in children(header, start, end):
        if kind == b"trak" and _track_of(header, at, stop) != track:
            continue
        if kind == b"mvex":
            kept.append(_box(kind, b"".join(_defaults(header, at, stop, track))))
        else:
            kept.append(header[at - 8 : stop])
    return b"".join(kept)


def _track_of(header: bytes, start: int, end: int) -> int:
    at, _ = _find(header, start, end, b"tkhd")
    (track,) = struct.unpack_from(">I", header, at + (20 if header[at] == 1 else 12))
    return int(track)


def _defaults(header: bytes, start: int, end: int, track: int) -> Iterator[bytes]:
    for kind, at, stop in children(header, start, end):
        if kind != b"trex" or struct.unpack_from(">I", header, at + 4)[0] == track:
            yield header[at - 8 : stop]


def _fragment(data: bytes, start: int, end: int, track: int) -> bytes:
    """One fragment anew: its runs of this track, and the bytes they name put together behind them."""
    boxes: list[bytearray] = []
    places: list[tuple[int, int, int]] = []  # of each run: its box, where its offset stands in it, the bytes before
    samples: list[bytes] = []
    gathered = 0
    for kind, at, stop in children(data, start + 8, end):
        if kind == b"traf" and _track_of_run(data, at, stop) != track:
            continue
        boxes.append(bytearray(data[at - 8 : stop]))
        if kind != b"traf":
            continue
        for place, offset, size in _runs(data, at, stop):
            first = start + offset
            if first < end or first + size > len(data):
                raise BadStream("a run whose samples are not there")
            places.append((len(boxes) - 1, place - (at - 8), gathered))
            samples.append(data[first : first + size])
            gathered += size
    head = 8 + sum(map(len, boxes))
    for box, place, before in places:
        struct.pack_into(">i", boxes[box], place, head + 8 + before)
    return _box(b"moof", b"".join(boxes)) + _box(b"mdat", b"".join(samples))


def _track_of_run(data: bytes, at: int, stop: int) -> int:
    head, _ = _find(data, at, stop, b"tfhd")
    (track,) = struct.unpack_from(">I", data, head + 4)
    return int(track)


def _runs(data: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(where its offset stands, its samples' offset from the moof, their bytes) of each run of a traf."""
    head, _ = _find(data, at, stop, b"tfhd")
    (bits,) = struct.unpack_from(">I", data, head)
    default: int | None = None
    if bits & TFHD_SIZE:
        before = (4 if bits & TFHD_DESCRIPTION else 0) + (4 if bits & TFHD_DURATION else 0)
        (default,) = struct.unpack_from(">I", data, head + 8 + before)
    for kind, start, end in children(data, at, stop):
        if kind != b"trun":
            continue
        (run_bits,) = struct.unpack_from(">I", data, start)
        if bits & TFHD_BASE_OFFSET or not run_bits & TRUN_OFFSET:
            raise BadStream("a run that does not say where its samples are")
        (offset,) = struct.unpack_from(">i", data, start + 8)
        yield start + 8, offset, _run_bytes(data, start, end, default)


def _run_bytes(data: bytes, at: int, end: int, default: int | None) -> int:
    bits, count = struct.unpack_from(">2I", data, at)
    if not bits & TRUN_SIZE:
        if default is None:
            raise BadStream("a run that says nothing of its sizes")
        return int(default * count)
    first = at + 8 + sum(4 for bit in (TRUN_OFFSET, TRUN_FIRST_FLAGS, TRUN_DURATION) if bits & bit)
    width = 4 * sum(1 for bit in (TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_COMPOSITION) if bits & bit)
    if first + width * (count - 1) + 4 > end:
        raise BadStream("a run that is shorter than it says")
    return int(sum(struct.unpack_from(">I", data, first + width * index)[0] for index in range(count)))


def _find(data: bytes, start: int, end: int, wanted: bytes) -> tuple[int, int]:
    found = next(((at, stop) for kind, at, stop in children(data, start, end) if kind == wanted), None)
    if found is None:
        raise BadStream(f"a box {wanted!r} is missing")
    return found


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content
