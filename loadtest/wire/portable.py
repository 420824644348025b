"""The portable receiver: what native.c does, in Python, on any system that has `selectors`, and over TLS.

What arrives: plugs, plain or TLS, and the calls of `receiver.Receiver`. What leaves: singles and tallies. One contract
test holds both receivers to the same behaviour; where a rule needs a reason, native.c or receiver.py gives it.
"""

import contextlib
import selectors
import socket
import ssl
import time
from collections import Counter
from typing import Literal, NamedTuple

from loadtest.wire.frames import BINARY, CLOSE, PING, PONG, TEXT, FrameError, Head, masked, read_head
from loadtest.wire.receiver import (
    BROKEN,
    CAUGHT_UP,
    CLOSED,
    COUNTERS,
    DUPLICATE,
    ERROR,
    GAP,
    KNOWN_BYTES_MAX,
    KNOWN_MAX,
    LANE_WORDS,
    LEVELS,
    NORMAL_WITHOUT_CODE,
    PAYLOAD,
    READ_BYTES,
    SINGLES_BYTES_MAX,
    STATE,
    TALK,
    WELCOME,
    WRONG_WORDS,
    Epochs,
    FrameFacts,
    OnShared,
    Single,
    Taken,
    Wrong,
    bucket_us,
)

_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# reading: bytes are taken as they come. held: from a welcome to `position`. over: ended, and told of.
_Phase = Literal["reading", "held", "over"]
# How her state is judged: not yet, between `position` and the first gap, not any more.
_Standing = Literal["unplaced", "placed", "astray"]

# How a msgpack message begins, type first: one byte that says how many fields it has, then these.
_SHARED = tuple(b"\xa1t" + bytes((0xA0 | len(word),)) + word.encode() for word in LANE_WORDS)
_WELCOME = b"\xa1t\xa7welcome"
_FIXMAP = 0x80


class _Known(NamedTuple):
    """A shared frame that was asked about. `marks`: (planned, offset of its event or, where all count, None)."""

    payload: bytes
    facts: FrameFacts
    marks: tuple[tuple[int, int | None], ...]


class _Line:
    __slots__ = (
        "catching", "epoch", "needs", "offset", "phase", "plug", "read_ns", "rest", "since_us", "slow", "standing",
        "target", "viewer", "watched",
    )  # fmt: skip

    def __init__(self, viewer: int, plug: socket.socket, slow: bool, since_us: int) -> None:
        self.viewer = viewer
        self.plug = plug
        self.slow = slow
        self.since_us = since_us
        self.watched = False
        self.phase: _Phase = "reading"
        self.standing: _Standing = "unplaced"
        self.epoch = self.offset = self.target = 0
        self.catching = False
        self.read_ns = time.monotonic_ns()
        self.rest: bytearray | None = None
        self.needs = 0  # bytes that `rest` must have before it is worth looking at


class PortableReceiver:
    """See `receiver.Receiver`."""

    name: Literal["native", "portable"] = "portable"

    def __init__(self, on_shared: OnShared) -> None:
        self._on_shared = on_shared
        self._epochs = Epochs()
        self._lines: dict[int, _Line] = {}
        self._singles: list[Single] = []
        self._singles_bytes = 0
        self._known: dict[bytes, _Known] = {}  # by the whole frame, so that a read that is one frame is a key as it is
        self._known_bytes = 0
        self._error: BaseException | None = None
        self._offset_ns = self._apart_us = 0
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._latencies: dict[int, Counter[int]] = {STATE: Counter(), TALK: Counter()}
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._rung = False
        self._selector.register(self._ear, selectors.EVENT_READ, None)

    def fileno(self) -> int:
        return self._selector.fileno()

    def epoch_number(self, text: str) -> int:
        return self._epochs.number(text)

    def set_clock(self, offset_ns: int, apart_us: int = 0) -> None:
        self._offset_ns, self._apart_us = offset_ns, apart_us

    def add(self, viewer: int, plug: socket.socket, rest: bytes, *, slow: bool = False, since_us: int = 0) -> None:
        if viewer in self._lines:
            raise ValueError(f"viewer {viewer} is here already")
        line = _Line(viewer, plug, slow, since_us)
        self._watch(line)
        self._lines[viewer] = line
        if rest:
            self._counters["bytes_in"] += len(rest)
            self._take_bytes(line, rest)
        self._ring()
        self._raise_if_failed()

    def remove(self, viewer: int) -> None:
        line = self._lines.pop(viewer, None)
        if line is not None:
            self._unwatch(line)
            self._singles = [single for single in self._singles if single.viewer != viewer]

    def pump(self, budget_ms: float = 5.0) -> list[Single]:
        until = time.monotonic() + budget_ms / 1000
        while (ready := self._selector.select(0)) and self._read_ready(ready, until):
            pass  # what is left in the end keeps its descriptor readable
        self._raise_if_failed()
        return self._hand_out()

    def _read_ready(self, ready: list[tuple[selectors.SelectorKey, int]], until: float) -> bool:
        """Whether to go on."""
        for at, (key, _) in enumerate(ready, 1):
            line: _Line | None = key.data
            if line is None:
                self._hush()
            else:
                self._read(line, READ_BYTES)
            if self._error is not None or self._singles_bytes > SINGLES_BYTES_MAX:
                return False
            if (at % 32 == 0 or at == len(ready)) and time.monotonic() > until:
                return False
        return True

    def position(self, viewer: int, epoch: int, offset: int, target: int) -> None:
        line = self._lines[viewer]
        if line.phase == "over":
            return
        line.epoch, line.offset, line.target = epoch, offset, target
        line.standing = "placed"
        line.catching = True
        line.phase = "reading"
        self._maybe_caught_up(line)
        if line.rest is not None:
            rest, line.rest = bytes(line.rest), None
            self._take_bytes(line, rest)
        if line.phase == "reading":
            self._watch(line)
        self._ring()
        self._raise_if_failed()

    def read_some(self, viewer: int, most: int) -> list[Single]:
        line = self._lines[viewer]
        if line.phase == "reading" and most:
            self._read(line, min(most, READ_BYTES))
        self._raise_if_failed()
        return self._hand_out()

    def offset_of(self, viewer: int) -> tuple[int, int]:
        line = self._lines[viewer]
        return line.epoch, line.offset

    def take(self) -> Taken:
        counters, self._counters = self._counters, dict.fromkeys(COUNTERS, 0)
        latencies = {LANE_WORDS[lane]: sorted(counts.items()) for lane, counts in self._latencies.items()}
        self._latencies = {STATE: Counter(), TALK: Counter()}
        return Taken(counters, latencies)

    def close(self) -> None:
        self._selector.close()
        self._bell.close()
        self._ear.close()
        self._lines.clear()

    # --- watching ---------------------------------------------------------------------------------------------------

    def _watch(self, line: _Line) -> None:
        if not line.slow and not line.watched:
            self._selector.register(line.plug, selectors.EVENT_READ, line)
            line.watched = True

    def _unwatch(self, line: _Line) -> None:
        if line.watched:
            self._selector.unregister(line.plug)
            line.watched = False

    def _ring(self) -> None:
        """Keep `fileno` readable while something waits that no socket will announce."""
        if self._singles and not self._rung:
            self._bell.send(b"!")
            self._rung = True

    def _hush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(16)
        self._rung = False

    # --- singles ----------------------------------------------------------------------------------------------------

    def _tell(self, line: _Line, kind: int, payload: bytes = b"", a: int = 0, b: int = 0) -> None:
        self._singles.append(Single(line.viewer, line.read_ns, kind, payload, a, b))
        self._singles_bytes += len(payload)

    def _end(self, line: _Line, kind: int, payload: bytes, a: int, b: int = 0) -> None:
        """The line is of no more use: say so once."""
        self._unwatch(line)
        line.phase = "over"
        line.rest = None
        self._tell(line, kind, payload, a, b)

    def _fail(self, line: _Line, wrong: Wrong) -> None:
        self._end(line, ERROR, WRONG_WORDS[wrong].encode(), wrong)

    def _hand_out(self) -> list[Single]:
        singles, self._singles = self._singles, []
        self._singles_bytes = 0
        return singles

    def _raise_if_failed(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            self._ring()
            raise error

    # --- reading ----------------------------------------------------------------------------------------------------

    def _read(self, line: _Line, most: int) -> None:
        """One recv. Under TLS it empties a record, which is never larger than READ_BYTES, so that the descriptor
        itself announces whatever is left."""
        try:
            data = line.plug.recv(most)
        except _LATER:
            return
        except OSError as error:
            line.read_ns = time.monotonic_ns()
            self._end(line, CLOSED, b"", BROKEN, error.errno or 0)
            return
        line.read_ns = time.monotonic_ns()
        if not data:
            self._end(line, CLOSED, b"", BROKEN)
            return
        self._counters["bytes_in"] += len(data)
        if line.rest is not None:
            line.rest += data
            if len(line.rest) < line.needs:
                return
            data, line.rest = bytes(line.rest), None
        self._take_bytes(line, data)

    def _take_bytes(self, line: _Line, data: bytes) -> None:
        """Whole frames, until the line is held or over; what is left is kept."""
        known = self._known.get(data)
        if known is not None:  # nearly always: one frame that somebody else had already
            self._counters["frames"] += 1
            self._take_shared(line, known)
            return
        at, head = 0, None
        try:
            while line.phase == "reading" and (head := read_head(data, at)) is not None and head.end <= len(data):
                self._take_frame(line, data[at : head.end], Head(head.opcode, head.start - at, head.end - at))
                at = head.end
        except FrameError as error:
            self._fail(line, error.wrong)
        if line.phase != "over" and at < len(data):
            line.rest = bytearray(data[at:])
            line.needs = head.end - at if head is not None else 0

    def _take_frame(self, line: _Line, frame: bytes, head: Head) -> None:
        self._counters["frames"] += 1
        payload = frame[head.start :]
        if head.opcode == BINARY:
            self._take_message(line, frame, payload)
        elif head.opcode == TEXT:
            self._tell(line, PAYLOAD, payload)
        elif head.opcode == PING:
            self._counters["pings"] += 1
            self._say(line, PONG, payload)
        elif head.opcode == CLOSE:
            self._take_close(line, payload)

    def _take_message(self, line: _Line, frame: bytes, payload: bytes) -> None:
        is_fixmap = bool(payload) and payload[0] & 0xF0 == _FIXMAP
        if is_fixmap and payload.startswith(_SHARED, 1):
            known = self._known.get(frame) or self._learn(frame, payload)
            if known is not None:
                self._take_shared(line, known)
        elif is_fixmap and payload.startswith(_WELCOME, 1):
            line.phase = "held"
            self._unwatch(line)
            self._tell(line, WELCOME, payload)
        else:
            self._tell(line, PAYLOAD, payload)

    def _take_close(self, line: _Line, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NORMAL_WITHOUT_CODE
        self._say(line, CLOSE, payload[:2] if len(payload) >= 2 else b"")
        if line.phase == "reading":
            self._end(line, CLOSED, payload[2:], code)

    def _say(self, line: _Line, opcode: int, payload: bytes) -> None:
        frame = masked(payload, opcode)
        try:
            sent = line.plug.send(frame)
        except OSError:  # full: the server pings again. Broken: the next read says so
            return
        self._counters["bytes_out"] += sent
        if sent < len(frame):
            self._fail(line, Wrong.CUT_PONG)

    # --- shared frames ----------------------------------------------------------------------------------------------

    def _learn(self, frame: bytes, payload: bytes) -> _Known | None:
        if len(self._known) >= KNOWN_MAX or self._known_bytes + len(frame) > KNOWN_BYTES_MAX:
            self._known.clear()
            self._known_bytes = 0
        # As with the native receiver it is raised once the line is in order again.
        try:
            facts = self._on_shared(payload)
        except BaseException as error:
            self._error = self._error or error
            return None
        assert not facts.marked or len(facts.marked) == len(facts.planned), "each mark belongs to one event"
        marked: tuple[int | None, ...] = facts.marked or (None,) * len(facts.planned)
        known = _Known(payload, facts, tuple(zip(facts.planned, marked, strict=True)))
        self._known[frame] = known
        self._known_bytes += len(frame)
        return known

    def _take_shared(self, line: _Line, known: _Known) -> None:
        counters, facts = self._counters, known.facts
        if facts.lane == STATE:
            counters["state_frames"] += 1
            self._take_state(line, known)
        elif facts.lane == TALK:
            counters["talk_frames"] += 1
            counters["talk_lines"] += max(0, facts.last - facts.first + 1)
            self._tally_marks(line, known, None)
        elif facts.lane == LEVELS:
            counters["levels_frames"] += 1

    def _take_state(self, line: _Line, known: _Known) -> None:
        counters, facts, offset = self._counters, known.facts, line.offset
        if facts.last < facts.first or line.standing == "astray":
            return
        if line.standing == "unplaced" or facts.epoch != line.epoch or facts.first > offset + 1:
            counters["state_gaps"] += 1
            line.standing = "astray"
            line.catching = False
            self._tell(line, GAP, known.payload, offset + 1, facts.first)
            return
        if facts.first <= offset:
            counters["state_duplicates"] += min(facts.last, offset) - facts.first + 1
            self._tell(line, DUPLICATE, known.payload, offset + 1, facts.first)
            if facts.last <= offset:
                return
        counters["state_events"] += facts.last - offset
        if known.marks:
            counters["state_received"] += self._tally_marks(line, known, offset)
        line.offset = facts.last
        if line.catching:
            self._maybe_caught_up(line)

    def _maybe_caught_up(self, line: _Line) -> None:
        if line.offset >= line.target:
            line.catching = False
            self._tell(line, CAUGHT_UP, b"", line.offset, line.target)

    def _tally_marks(self, line: _Line, known: _Known, after: int | None) -> int:
        """Every mark beyond `after`; their number. A mark that lies ahead by no more than two hosts' clocks may be
        apart took no time; one that lies further in the future is of another run's clock."""
        read_us = (line.read_ns + self._offset_ns) // 1000
        counts = self._latencies[known.facts.lane]
        counted = 0
        for planned, offset in known.marks:
            if after is not None and offset is not None and offset <= after:
                continue
            counted += 1
            if line.since_us <= planned <= read_us + self._apart_us:
                counts[bucket_us(max(0, read_us - planned))] += 1
        return counted
