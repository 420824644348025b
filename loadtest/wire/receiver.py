"""What a receiver does for many viewers' lines, whichever of the two it is.

What arrives: connected plugs whose handshake is done. What leaves: tallies of the frames that everybody gets, and, one
by one (`Single`), what is for one viewer alone or must be acted on. It reads frames and the first word of a message;
what a frame means it asks `OnShared`, once per distinct frame, because ten thousand viewers get the same bytes.
It does not know requests, scenarios, or when a viewer comes back.
"""

import socket
from collections.abc import Callable
from enum import IntEnum
from typing import Literal, NamedTuple, Protocol

# The lanes of frames that many viewers get byte for byte; the words are the messages' own.
STATE, TALK, LEVELS, RELAY = range(4)
LANE_WORDS = ("state", "talk", "levels", "relay")

# The kinds of `Single`; what `payload`, `a` and `b` are in each.
WELCOME = 0  # the message's bytes; nothing more of this viewer is read until `position`
PAYLOAD = 1  # the message's bytes: whatever is hers alone, and what we do not know
GAP = 2  # the frame's bytes; a: offset expected, b: first offset that came. Her state is not judged until `position`
DUPLICATE = 3  # the frame's bytes; a: offset expected, b: first offset that came. What is new in the frame counts
CAUGHT_UP = 4  # nothing; a: her offset, b: the target of `position`
CLOSED = 5  # the server's reason; a: its close code, 1005 without one, 1006 where the line just ended; b: errno or 0
ERROR = 6  # words for a person; a: `Wrong`. What the server may not send
KIND_NAMES = ("WELCOME", "PAYLOAD", "GAP", "DUPLICATE", "CAUGHT_UP", "CLOSED", "ERROR")

NORMAL_WITHOUT_CODE, BROKEN = 1005, 1006

# A snapshot of a big show has some 100 KiB. What says that it is larger is broken or hostile.
FRAME_BYTES_MAX = 16 * 2**20
# Enough for a hundred ordinary frames at once, and it stays in the processor's cache.
READ_BYTES = 65_536
# Distinct shared frames remembered; a tick's worth is five, a storm of returns has one for each offset missed from.
KNOWN_MAX, KNOWN_BYTES_MAX = 512, 32 * 2**20
# What one `pump` hands out at most; ten thousand welcomes at once would otherwise lie in memory twice.
SINGLES_BYTES_MAX = 4 * 2**20

COUNTERS = (
    "frames", "bytes_in", "bytes_out", "pings", "state_frames", "state_events", "state_received", "state_duplicates",
    "state_gaps", "talk_frames", "talk_lines", "levels_frames",
)  # fmt: skip

# The histogram's: one bucket per microsecond below 2048, then 1024 buckets for each doubling, three figures throughout.
LATENCY_US_MAX = 3_600_000_000
_EXACT_BITS = 11


class Wrong(IntEnum):
    """Why a line is given up: the server broke the protocol, or took half a frame of ours."""

    FRAGMENT = 1
    RESERVED_BITS = 2
    OPCODE = 3
    MASKED = 4
    CONTROL_SIZE = 5
    FRAME_SIZE = 6
    CUT_PONG = 7


WRONG_WORDS: dict[Wrong, str] = {
    Wrong.FRAGMENT: "the server sent a message in fragments, which this protocol does not have",
    Wrong.RESERVED_BITS: "the server set reserved bits, as if compression had been agreed on",
    Wrong.OPCODE: "the server sent a frame of an unknown kind",
    Wrong.MASKED: "the server masked a frame, which only clients do",
    Wrong.CONTROL_SIZE: "the server sent a ping, pong or close of more than 125 bytes",
    Wrong.FRAME_SIZE: f"the server announced a frame of more than {FRAME_BYTES_MAX // 2**20} MiB",
    Wrong.CUT_PONG: "the server's side took only a part of a pong: the line is full of what it does not read",
}


class FrameFacts(NamedTuple):
    """What a shared frame says. `first`, `last` are the offsets of a state frame, 1 and the number of lines of a talk
    frame, else 0. An empty frame has `last` below `first`.

    `planned` are the marks inside, microseconds of the run's clock; each counts once per viewer who reads the frame,
    unless it lies in the future then, by more than clocks may be apart. `marked` are the offsets of the events they
    belong to, in the same order: with them a mark of an event that a viewer had already is left out; without them all
    count.
    """

    lane: int
    epoch: int
    first: int
    last: int
    planned: tuple[int, ...]
    marked: tuple[int, ...] = ()


OnShared = Callable[[bytes], FrameFacts]
"""Asked for each distinct shared frame, normally once; again where it was forgotten meanwhile. It may call
`epoch_number` and nothing else of the receiver. What it raises leaves `pump`; that one frame then stays uncounted."""


class Single(NamedTuple):
    """`at_ns` is when it was read, by `time.monotonic_ns()`."""

    viewer: int
    at_ns: int
    kind: int
    payload: bytes
    a: int
    b: int


class Taken(NamedTuple):
    """Since the take before. `latencies` has "state" and "talk": (microseconds, how often), the lowest value of each
    histogram bucket that was hit. Every counter is there, 0 included."""

    counters: dict[str, int]
    latencies: dict[str, list[tuple[int, int]]]


class Receiver(Protocol):
    """Viewers' lines under one descriptor. Not for several threads.

    Pings are answered and closes returned inside; whoever else writes to a plug writes whole frames. A viewer whose
    line ended (`CLOSED`, `ERROR`) is told of once, and still to be removed.
    """

    name: Literal["native", "portable"]

    def fileno(self) -> int:
        """Readable while `pump` has something to do: give it to the loop's `add_reader`."""

    def add(self, viewer: int, plug: socket.socket, rest: bytes, *, slow: bool = False, since_us: int = 0) -> None:
        """Read this line from now on. `plug` stays the caller's and must not block; `rest` came with the handshake.
        With `slow` only `read_some` reads it. Marks planned before `since_us` are history to her: counted as received,
        never as a latency. A viewer who is here already is a `ValueError`."""

    def remove(self, viewer: int) -> None:
        """Forget the line, and what of it has not been handed out. To be called before the plug is closed; an unknown
        viewer is fine."""

    def pump(self, budget_ms: float = 5.0) -> list[Single]:
        """Read what is there now, for about that long; what is left keeps `fileno` readable."""

    def position(self, viewer: int, epoch: int, offset: int, target: int) -> None:
        """She knows the show up to (epoch, offset) and was told of events up to `target`: read on. Once she has them
        all, at once where there are none, `CAUGHT_UP` comes from the next `pump`."""

    def read_some(self, viewer: int, most: int) -> list[Single]:
        """One read of at most so many bytes, for a slow viewer; nothing while she waits for `position`."""

    def offset_of(self, viewer: int) -> tuple[int, int]:
        """(epoch, offset) up to which she had every event; (0, 0) before the first `position`."""

    def take(self) -> Taken: ...

    def set_clock(self, offset_ns: int, apart_us: int = 0) -> None:
        """Run clock = (monotonic_ns + offset_ns) // 1000; it may be set again. A mark that lies ahead by no more than
        `apart_us`, as far as the clocks of two hosts may be apart, counts as a latency of 0."""

    def epoch_number(self, text: str) -> int:
        """The same small number from 1 for the same epoch, for as long as this receiver lives."""

    def close(self) -> None:
        """Forget all lines; the plugs stay open, they are the callers'."""


class Epochs:
    """Epochs as small numbers, so that comparing them costs nothing."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers) + 1)


def bucket_us(us: int) -> int:
    """The lowest value of the histogram bucket of `us`: exact below 2048, three figures above."""
    us = min(us, LATENCY_US_MAX)
    shift = us.bit_length() - _EXACT_BITS
    return us if shift <= 0 else us >> shift << shift
