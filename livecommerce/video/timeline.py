"""What was filmed, in order: rows of a recording become parts, parts become segments, each with its programme time.

What arrives: rows as the recording has them. What leaves: segments a player may ask for, and where in which file their
bytes lie. It does not know files, playlists or players.

    epoch     one encoder's uninterrupted stream. Every break (network, rotation, another camera) begins a new one.
    part      one fragment of it, the smallest thing a player fetches.
    segment   parts up to the next picture that stands alone, once there are `segment_ms` of them.

Programme time is the server's clock at the moment something was filmed: `t0_ms` of its epoch + its place in the
stream. Where the encoder's clock drifts, a `ClockStep` moves t0 for what comes later.
"""

import bisect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import msgspec

SEGMENT_MS = 2000
# An encoder that sends no picture that stands alone for so long gets its segments cut all the same.
SEGMENT_MS_MAX = 12_000


class EpochBegins(msgspec.Struct, frozen=True, tag="epoch", tag_field="row"):
    """A new stream. Its file begins with `header_bytes` of header. `t0_ms`: server time of its zero."""

    epoch: int
    t0_ms: float
    header_bytes: int
    codecs: str
    width: int = 0
    height: int = 0


class FragmentAdded(msgspec.Struct, frozen=True, tag="part", tag_field="row"):
    """One fragment, at `offset` of its epoch's file. Times in ms of the stream's own clock."""

    epoch: int
    offset: int
    size: int
    at_ms: float
    duration_ms: float
    alone: bool


class ClockStep(msgspec.Struct, frozen=True, tag="clock", tag_field="row"):
    """From here on this epoch's zero is at `t0_ms`."""

    epoch: int
    t0_ms: float


Row = EpochBegins | FragmentAdded | ClockStep


@dataclass(frozen=True, slots=True)
class Part:
    """`number` counts all parts of a recording. `programme_ms` is when it was filmed, on the server's clock."""

    number: int
    epoch: int
    offset: int
    size: int
    programme_ms: float
    duration_ms: float
    alone: bool

    @property
    def ends_at(self) -> int:
        return self.offset + self.size


@dataclass(slots=True)
class Segment:
    """Consecutive parts of one epoch. `number` is HLS's media sequence number."""

    number: int
    epoch: EpochBegins
    breaks: int = 0  # how many times the stream had changed when it began; epochs that filmed nothing do not count
    parts: list[Part] = field(default_factory=list)
    whole: bool = False  # no part will be added
    duration_ms: float = 0.0

    @property
    def programme_ms(self) -> float:
        return self.parts[0].programme_ms

    def add(self, part: Part) -> None:
        self.parts.append(part)
        self.duration_ms += part.duration_ms


class Timeline:
    """Grows by `add`; nothing that was told once is ever taken back."""

    def __init__(self, segment_ms: float = SEGMENT_MS) -> None:
        self._segment_ms = segment_ms
        self._epoch: EpochBegins | None = None
        self._t0_ms = 0.0
        self.segments: list[Segment] = []
        self.parts: list[Part] = []
        self.epochs: dict[int, EpochBegins] = {}
        self.segment_ms_max = 0.0  # of those that are whole
        self.part_ms_max = 0.0

    def add(self, row: Row) -> None:
        """Rows that contradict what is known (a part of no epoch) are left out."""
        match row:
            case EpochBegins():
                self._close()
                self._epoch, self._t0_ms = row, row.t0_ms
                self.epochs[row.epoch] = row
            case ClockStep() if self._epoch and row.epoch == self._epoch.epoch:
                self._t0_ms = row.t0_ms
            case FragmentAdded() if self._epoch and row.epoch == self._epoch.epoch:
                self._add_part(self._epoch, row)
            case _:
                pass

    def _add_part(self, epoch: EpochBegins, row: FragmentAdded) -> None:
        part = Part(
            len(self.parts),
            row.epoch,
            row.offset,
            row.size,
            self._t0_ms + row.at_ms,
            row.duration_ms,
            row.alone,
        )
        if not self.segments or self.segments[-1].whole or self._is_full(self.segments[-1], part):
            self._close()
            self.segments.append(Segment(len(self.segments), epoch, self._breaks_until(epoch)))
        self.segments[-1].add(part)
        self.parts.append(part)
        self.part_ms_max = max(self.part_ms_max, row.duration_ms)

    def _breaks_until(self, epoch: EpochBegins) -> int:
        if not self.segments:
            return 0
        before = self.segments[-1]
        return before.breaks + (before.epoch is not epoch)

    def _is_full(self, segment: Segment, following: Part) -> bool:
        # A keyframe every second is never exactly one second apart.
        enough = segment.duration_ms >= self._segment_ms * 0.9
        return (enough and following.alone) or segment.duration_ms >= SEGMENT_MS_MAX

    def _close(self) -> None:
        if self.segments and not self.segments[-1].whole:
            self.segments[-1].whole = True
            self.segment_ms_max = max(self.segment_ms_max, self.segments[-1].duration_ms)

    def has(self, segment: int, part: int | None) -> bool:
        """Whether a segment is whole, or has its part of that place (0 is its first)."""
        if segment < len(self.segments):
            found = self.segments[segment]
            return found.whole or (part is not None and part < len(found.parts))
        return False

    def span(self, first: int, last: int) -> tuple[int, int, int] | None:
        """(epoch, offset, bytes) of parts `first` to `last`; None where they are not there or not of one epoch."""
        if not 0 <= first <= last < len(self.parts):
            return None
        begin, end = self.parts[first], self.parts[last]
        if begin.epoch != end.epoch:
            return None
        return begin.epoch, begin.offset, end.ends_at - begin.offset

    def first_from(self, from_ms: float) -> int:
        """The number of the first segment that begins at an instant of the programme or behind it; that of the next
        one where there is none yet."""
        return bisect.bisect_left(self.segments, from_ms, key=_begins)

    def between(self, from_ms: float = -math.inf, to_ms: float = math.inf) -> "Stretch":
        """What was filmed between two instants of the programme, and nothing of before or after: it begins with the
        first segment that begins there, since a picture must stand alone, and ends with the last part."""
        first = self.first_from(from_ms)
        segments = self.segments[first : bisect.bisect_left(self.segments, to_ms, lo=first, key=_begins)]
        if segments:
            last = segments[-1]
            parts = [part for part in last.parts if part.programme_ms < to_ms]
            segments[-1] = replace(last, parts=parts, duration_ms=sum(part.duration_ms for part in parts))
        return Stretch(tuple(segments))

    @property
    def duration_ms(self) -> float:
        """What can be played, gaps left out."""
        return sum(segment.duration_ms for segment in self.segments)


def _touches(part: Part, from_ms: float, to_ms: float) -> bool:
    return part.programme_ms + part.duration_ms > from_ms and part.programme_ms < to_ms


def _begins(segment: Segment) -> float:
    return segment.programme_ms


@dataclass(frozen=True, slots=True)
class Stretch:
    """Segments of a recording as they are played, one after the other and without gaps. May be empty."""

    segments: tuple[Segment, ...]

    @property
    def duration_ms(self) -> float:
        """What can be played, gaps left out."""
        return sum(segment.duration_ms for segment in self.segments)

    @property
    def begins_ms(self) -> float:
        """The programme's time at its first picture. There must be one."""
        return self.segments[0].programme_ms

    @property
    def ends_ms(self) -> float:
        """The programme's time behind its last picture. There must be one."""
        last = self.segments[-1].parts[-1]
        return last.programme_ms + last.duration_ms

    def clip(self, from_ms: float, to_ms: float) -> Iterator[tuple[Segment, list[Part]]]:
        """Of each segment what of it is played between two instants of the programme. What is played first must stand
        alone, so it begins with the whole segment that it begins in."""
        first = bisect.bisect_right(self.segments, from_ms, key=_begins) - 1
        for segment in self.segments[max(0, first) : bisect.bisect_left(self.segments, to_ms, key=_begins)]:
            wanted = [part for part in segment.parts if _touches(part, from_ms, to_ms)]
            if wanted:
                yield segment, segment.parts[: segment.parts.index(wanted[-1]) + 1]

    def placer(self) -> Callable[[float], float | None]:
        """Where a player is at an instant of the programme, in milliseconds from the beginning: in a gap, where it goes
        on; None before the first picture and after the last."""
        begins, places, total = [], [], 0.0
        for segment in self.segments:
            begins.append(segment.programme_ms)
            places.append(total)
            total += segment.duration_ms
        ends_ms = begins[-1] + self.segments[-1].duration_ms if begins else 0.0

        def place(programme_ms: float) -> float | None:
            index = bisect.bisect_right(begins, programme_ms) - 1
            if index < 0 or programme_ms >= ends_ms:
                return None
            return places[index] + min(programme_ms - begins[index], self.segments[index].duration_ms)

        return place

    def filmed(self, from_ms: float, to_ms: float) -> bool:
        """Whether there is any picture between two instants of the programme."""
        index = bisect.bisect_left(self.segments, to_ms, key=_begins) - 1
        if index < 0 or from_ms >= to_ms:
            return False
        return self.segments[index].programme_ms + self.segments[index].duration_ms > from_ms
