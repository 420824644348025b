"""The recording of one show on disk: what an encoder sent, appended as it comes, and the index that says what is where.

    data/video/SHOW/index.ndjson   rows of `timeline.py`, one a line
    data/video/SHOW/7.mp4          the header of epoch 7 and all its fragments: a file that any player opens
    data/video/SHOW/watched        touched while somebody watches, so that nobody removes it under her eyes

What arrives: headers and fragments (one writer per show, held by a lock that dies with its process). What leaves: a
`Timeline` that any process of this machine keeps up to date, and bytes. Bytes are written before the row that names
them, so a process killed at any moment leaves a recording that is whole up to its last row; a row cut off in the
middle is no row. It does not know playlists, requests or encoders.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import msgspec

from livecommerce.video.boxes import Fragment, Header
from livecommerce.video.timeline import ClockStep, EpochBegins, FragmentAdded, Row, Timeline

_INDEX = "index.ndjson"
_LOCK = "lock"
_WATCHED = "watched"
_decode = msgspec.json.Decoder(Row).decode
_READ_BYTES = 1 << 20


def is_recorded(folder: Path) -> bool:
    """Whether anybody ever filmed there."""
    return (folder / _INDEX).exists()


class SomebodyElse(Exception):
    """Another encoder has this show."""


class Writer:
    """Appends to one show's recording. `open_writer` makes it; all methods block for as long as the disk does.

    Where a write fails (`OSError`: the disk is full), what was begun is taken back: the recording stays whole.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock
        self._media = -1
        self._offset = 0
        self._epoch = max((int(path.stem) for path in folder.glob("*.mp4") if path.stem.isdigit()), default=-1)
        self._index = os.open(folder / _INDEX, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._mend_last_row()

    @property
    def epoch(self) -> int:
        """The newest epoch; -1 before the first."""
        return self._epoch

    def begin(self, header: Header, t0_ms: float) -> None:
        """A new epoch: a file of its own, which begins with `header`."""
        self._close_media()
        self._epoch += 1
        path = self._folder / f"{self._epoch}.mp4"
        self._media = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._offset = 0
        self._append(self._media, header.data, 0)
        self._offset = len(header.data)
        picture = header.picture
        size = (picture.width, picture.height) if picture else (0, 0)
        self._tell(EpochBegins(self._epoch, t0_ms, self._offset, header.codecs, *size))

    def add(self, fragment: Fragment) -> None:
        """One fragment of the newest epoch."""
        self._append(self._media, fragment.data, self._offset)
        size = len(fragment.data)
        row = FragmentAdded(self._epoch, self._offset, size, fragment.at_ms, fragment.duration_ms, fragment.alone)
        try:
            self._tell(row)
        except OSError:
            os.ftruncate(self._media, self._offset)
            raise
        self._offset += size

    def step(self, t0_ms: float) -> None:
        """The newest epoch's zero has moved."""
        self._tell(ClockStep(self._epoch, t0_ms))

    def close(self) -> None:
        """Let go of the show; the next writer begins a new epoch."""
        self._close_media()
        os.close(self._index)
        os.close(self._lock)

    def _close_media(self) -> None:
        if self._media >= 0:
            os.close(self._media)
            self._media = -1

    def _tell(self, row: Row) -> None:
        self._append(self._index, msgspec.json.encode(row) + b"\n", os.fstat(self._index).st_size)

    def _append(self, descriptor: int, data: bytes, at: int) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError:
            os.ftruncate(descriptor, at)
            raise

    def _mend_last_row(self) -> None:
        """End a row that a killed process left without its end, so that the next one does not become part of it."""
        size = os.fstat(self._index).st_size
        if size and os.pread(self._index, 1, size - 1) != b"\n":
            os.write(self._index, b"\n")


def open_writer(folder: Path) -> Writer:
    """The one writer of a show. Raises `SomebodyElse` where there is one already, `OSError` as the disk does."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Writer(folder, _lock(folder))


class Removal:
    """The right to remove a show's recording: nobody films it meanwhile. `close` it at the end."""

    def __init__(self, folder: Path) -> None:
        """Raises `SomebodyElse` where it is being filmed."""
        self._folder = folder
        self._lock = _lock(folder)

    def remove(self) -> None:
        """The pictures first, then the index and the rest: cut off in the middle, it is still found again. Raises
        `OSError` as the disk does."""
        for path in sorted(self._folder.glob("*.mp4")):
            path.unlink()
        shutil.rmtree(self._folder)

    def close(self) -> None:
        os.close(self._lock)


def note_watched(folder: Path, now_ms: int) -> None:
    """Somebody watches it now; told by any process, and to any."""
    with contextlib.suppress(OSError):
        (folder / _WATCHED).touch(mode=0o600)
        os.utime(folder / _WATCHED, (now_ms / 1000, now_ms / 1000))


def watched_at_ms(folder: Path) -> int:
    """When somebody watched it last; 0 where nobody did."""
    try:
        return round((folder / _WATCHED).stat().st_mtime * 1000)
    except FileNotFoundError:
        return 0


def _lock(folder: Path) -> int:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise SomebodyElse from None
    except OSError:
        os.close(lock)
        raise
    return lock


@dataclass(frozen=True, slots=True)
class Piece:
    """What was filmed without a break: one epoch, which is one file."""

    epoch: int
    programme_ms: float
    recorded_ms: float


@dataclass(slots=True)
class Used:
    """What a show's recording takes already, whoever filmed it. `pieces` come in their order; epochs that filmed
    nothing are none."""

    recorded_ms: float = 0.0
    bytes: int = 0
    pieces: tuple[Piece, ...] = ()


def used_by(folder: Path) -> Used:
    """Read it from the disk."""
    recording = Recording(folder)
    recording.refresh()
    recording.close()
    sizes = (path.stat().st_size for path in folder.glob("*.mp4"))
    return Used(recording.timeline.duration_ms, sum(sizes), tuple(_pieces(recording.timeline)))


def _pieces(timeline: Timeline) -> Iterator[Piece]:
    for epoch, segments in groupby(timeline.segments, key=lambda segment: segment.epoch.epoch):
        filmed = list(segments)
        yield Piece(epoch, filmed[0].programme_ms, sum(segment.duration_ms for segment in filmed))


class Recording:
    """A show's recording as it is read here. `refresh` takes in what was appended since; `close` it at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = -1  # kept open: every question of a player looks there first
        self._read = 0  # bytes of the index taken in
        self._half = b""
        self.timeline = Timeline()

    def refresh(self) -> bool:
        """Whether anything was new. A recording that is not there yet, or no longer, is an empty one."""
        if self._index < 0:
            with contextlib.suppress(FileNotFoundError):
                self._index = os.open(self._folder / _INDEX, os.O_RDONLY)
            if self._index < 0:
                return False
        grown = False
        while data := os.pread(self._index, _READ_BYTES, self._read):
            self._read += len(data)
            *lines, self._half = (self._half + data).split(b"\n")
            for row in _rows(lines):
                self.timeline.add(row)
                grown = True
        return grown

    def close(self) -> None:
        """Let go of the index. Calling it twice does nothing."""
        if self._index >= 0:
            os.close(self._index)
            self._index = -1

    def header(self, epoch: int) -> bytes | None:
        """What a player needs before parts of this epoch; None for one that is not there."""
        begins = self.timeline.epochs.get(epoch)
        return None if begins is None else self._bytes(epoch, 0, begins.header_bytes)

    def parts(self, first: int, last: int) -> bytes | None:
        """The bytes of parts `first` to `last`; None where they are not there or not of one epoch."""
        span = self.timeline.span(first, last)
        return None if span is None else self._bytes(*span)

    def _bytes(self, epoch: int, offset: int, size: int) -> bytes | None:
        try:
            descriptor = os.open(self._folder / f"{epoch}.mp4", os.O_RDONLY)
        except FileNotFoundError:  # kept no longer
            return None
        try:
            data = os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)
        return data if len(data) == size else None


def _rows(lines: list[bytes]) -> Iterator[Row]:
    for line in lines:
        # What a killed process left of a row, ended by the next writer.
        with contextlib.suppress(msgspec.DecodeError):
            yield _decode(line)
