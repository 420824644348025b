"""What the simulated viewers asked and were told, kept for the checker: a stream of small msgpack arrays.

Written by generators while the run goes on, read by `loadtest.check` once it is over. Instants are microseconds of the
run's clock; `viewer` is the viewer's id. Nothing is thinned: the checker proves by what every viewer heard.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec


class Record(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all records."""


class Asked(Record, frozen=True, tag="ask"):
    """A request went out; again under the same rid after a break (`again`)."""

    at_us: int
    viewer: str
    rid: str
    verb: Literal["reserve", "release", "accept"]
    lines: tuple[tuple[str, int], ...] = ()
    planned_us: int = 0
    again: bool = False


class Answered(Record, frozen=True, tag="ans"):
    at_us: int
    viewer: str
    rid: str
    state: str
    ticket: int
    lines: tuple[tuple[str, int], ...]
    due_at_ms: int = 0  # server's clock: when the hold, offer or payment runs out as she was told; 0: no end was told


class RefusedTo(Record, frozen=True, tag="ref"):
    at_us: int
    viewer: str
    rid: str
    number: int


class Told(Record, frozen=True, tag="own"):
    """Her own hold, told without being asked: in `own` or in `welcome`."""

    at_us: int
    viewer: str
    rid: str
    state: str
    lines: tuple[tuple[str, int], ...]
    due_at_ms: int = 0  # as in `Answered`


class Paid(Record, frozen=True, tag="pay"):
    """An order as the server told it: over the API or over `own`."""

    at_us: int
    viewer: str
    rid: str
    order_id: str
    status: str


class EventSeen(Record, frozen=True, tag="evt"):
    """The first time this generator saw the event with this place; `digest` is of the event's own bytes."""

    at_us: int
    epoch: str
    offset: int
    digest: str


class Segment(Record, frozen=True, tag="seg"):
    """One stretch in which a viewer saw every event: she knew the show up to `from_offset` (by a snapshot, or because
    the segment before ended there and she resumed), and got each event up to `to_offset`, in order. `closed` is the
    close code, 0 where our side cut, -1 where she was in to the end."""

    viewer: str
    epoch: str
    from_offset: int
    to_offset: int
    by: Literal["snapshot", "resume"]
    closed: int


class Disorder(Record, frozen=True, tag="dis"):
    """A state frame that does not continue what she had: a gap, or an event that she had already."""

    at_us: int
    viewer: str
    epoch: str
    expected: int
    got: int


class Ended(Record, frozen=True, tag="end"):
    """Where a viewer was when the run was over, once for each who was to come in: `in`; `away` or `coming` if she never
    got back (or never came in); `gone` if she left, was sent away, or failed for good to come in."""

    viewer: str
    stage: Literal["out", "coming", "in", "away", "gone"]


AnyRecord = Asked | Answered | RefusedTo | Told | Paid | EventSeen | Segment | Disorder | Ended


def encode(record: Record) -> bytes:
    """As it lies in the stream: length (4 bytes, big endian), then msgpack."""
    body = _ENCODER.encode(record)
    return len(body).to_bytes(4, "big") + body


def read(stream: bytes) -> Iterator[AnyRecord]:
    """All whole records of the stream. A piece at the end, of a generator that died, is left out: the checker counts
    its unanswered requests."""
    at, end = 0, len(stream)
    while end - at >= 4:
        size = int.from_bytes(stream[at : at + 4], "big")
        if at + 4 + size > end:
            return
        yield _DECODER.decode(stream[at + 4 : at + 4 + size])
        at += 4 + size


_ENCODER = msgspec.msgpack.Encoder()
_DECODER: "msgspec.msgpack.Decoder[AnyRecord]" = msgspec.msgpack.Decoder(AnyRecord)
