"""One writer per viewer: what may go out at once, what waits, and what a viewer who does not read loses first.

What arrives: shared frames with their lane, and the transport's `pause` and `resume`. What leaves: bytes on the
socket. The fate of a slow viewer is decided in `_make_room`: talk is skipped, then state is collapsed to a snapshot,
then the line is closed. It does not know rooms or messages.

On plain TCP the transport's high-water mark is 0: it says "paused" as soon as it holds one byte and "resumed" when it
holds none. So our own flag always knows whether a direct write may overtake bytes that the transport still has.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from livecommerce.gateway.fan_out import BROKEN, HELD, write_one
from livecommerce.gateway.measures import DROPPED

if TYPE_CHECKING:
    from livecommerce.gateway.seats import Seats

TRANSPORT_BYTES_MAX = 16_384
# Without it the kernel takes 4 MB for a viewer who reads nothing, and no bound of ours ever bites.
NOTSENT_LOWAT_BYTES = 16_384


class Lane(IntEnum):
    """What a frame is, for the day when not everything can be carried."""

    OWN = 0  # answers, receipts, pings: for this viewer alone, never dropped
    STATE = 1  # collapses to a snapshot
    LEVELS = 2  # latest wins: never waits, is asked for again when the line is free
    TALK = 3  # skipped first


class Owner(Protocol):
    """Whom the outbox tells."""

    def on_free(self, needs_snapshot: bool, needs_levels: bool) -> None:
        """The line is free again, and these must be sent anew."""

    def on_too_slow(self) -> None:
        """Even after both skips the line cannot carry what must be sent: close it."""


class Outbox:
    """The outgoing line of one viewer. `direct` is the descriptor while a frame may be written at once, else -1."""

    # fmt: off
    __slots__ = (
        "_closed", "_collapsed", "_descriptor", "_ending", "_first", "_missed_bytes", "_needs_levels", "_owner",
        "_paused", "_rest", "_talk", "_then", "_transport", "bytes_max", "direct", "place", "seats", "waiting_bytes",
    )
    # fmt: on

    def __init__(self, transport: asyncio.Transport, owner: Owner, bytes_max: int) -> None:
        self._transport = transport
        self._owner = owner
        self.bytes_max = bytes_max
        self.waiting_bytes = 0
        self.direct = -1
        self.seats: Seats | None = None  # and which place there; theirs to write
        self.place = -1
        self._descriptor = -1
        self._paused = False
        self._closed = False
        self._ending = False
        self._then: Callable[[], None] | None = None
        self._collapsed = False
        self._needs_levels = False
        self._missed_bytes = 0
        # Made when first needed: most viewers never wait, and two empty deques weigh more than all the rest here.
        self._first: deque[tuple[Lane, bytes]] | None = None
        self._talk: deque[bytes] | None = None
        self._rest: memoryview | None = None  # the end of a frame that has begun; nothing may go before it

    @property
    def waiting(self) -> bool:
        """True while anything lies here or in the transport."""
        return self._paused

    def open(self) -> None:
        """Begin to write. Call only once the transport has handed its protocol over, else a pause would be lost.

        A direct write is for plain TCP alone: under TLS it would put plain text into the stream.
        """
        plain = self._transport.get_extra_info("sslcontext") is None
        plug: socket.socket | None = self._transport.get_extra_info("socket")
        if plug is not None and plug.family in (socket.AF_INET, socket.AF_INET6):
            try:
                _set_not_sent_low_water(plug)
            except OSError:
                plain = False  # it closed meanwhile; the transport will say so
        if not plain or plug is None:
            # TLS counts 0 bytes as "at the mark": with a mark of 0 it would pause at once and for ever.
            self._transport.set_write_buffer_limits(high=TRANSPORT_BYTES_MAX, low=0)
            return
        self._transport.set_write_buffer_limits(high=0, low=0)
        self._descriptor = plug.fileno()
        if self._transport.get_write_buffer_size() > 0:
            self._paused = True
        elif not self._paused:
            self._aim(self._descriptor)

    def _aim(self, descriptor: int) -> None:
        """The only place where `direct` changes: its copy among the seats must never say anything else."""
        self.direct = descriptor
        if self.seats is not None:
            self.seats.descriptors[self.place] = descriptor

    def forget(self) -> None:
        """Never write again: the descriptor's number is about to belong to another connection."""
        self._closed = True
        self._descriptor = -1
        self._aim(-1)
        self._first = self._talk = self._rest = None
        self.waiting_bytes = 0

    def send(self, frame: bytes, lane: Lane) -> None:
        """Write `frame` at once if nothing waits, else queue it under the bound."""
        taken = write_one(self.direct, frame) if self.direct >= 0 else HELD
        if taken != len(frame):
            self.not_whole(frame, lane, taken)

    def end_with(self, data: bytes, then: Callable[[], None] | None = None) -> None:
        """Drop what waits, save the frame that has begun, and send `data` as the last of this line; `then` is called
        once the transport has all of it."""
        if self._closed:
            return
        self._then = then
        self._talk = None
        self._first = deque([(Lane.OWN, data)])
        self.waiting_bytes = len(data) + len(self._rest or b"")
        self._ending = True
        self._aim(-1)
        if not self._paused:
            self.resumed()

    def paused(self) -> None:
        """The transport holds bytes."""
        self._paused = True
        self._aim(-1)

    def resumed(self) -> None:
        """The transport is empty: hand it what waits, up to its bound at a time."""
        self._paused = False
        while not self._paused and not self._closed:
            data = self._next_bytes()
            if not data:
                break
            self._transport.write(data)
        if self._paused or self._closed:
            return
        if self._ending:
            if self._then is not None:
                self._then()
            return
        self._aim(self._descriptor)
        self._tell_free()

    def _tell_free(self) -> None:
        collapsed, levels = self._collapsed, self._needs_levels
        self._collapsed = self._needs_levels = False
        self._missed_bytes = 0
        if collapsed or levels:
            self._owner.on_free(collapsed, levels)

    def _next_bytes(self) -> bytes:
        parts: list[bytes | memoryview] = []
        room = TRANSPORT_BYTES_MAX
        while room > 0:
            part = self._next_part()
            if part is None:
                break
            if len(part) > room:
                whole = memoryview(part)
                part, self._rest = whole[:room], whole[room:]
            parts.append(part)
            room -= len(part)
            self.waiting_bytes -= len(part)
        return b"".join(parts)

    def _next_part(self) -> bytes | memoryview | None:
        if self._rest is not None:
            rest, self._rest = self._rest, None
            return rest
        if self._first:
            return self._first.popleft()[1]
        if self._talk:
            return self._talk.popleft()
        return None

    # --- the ways a write can go ------------------------------------------------------------------------------------

    def not_whole(self, frame: bytes, lane: Lane, taken: int) -> None:
        """A direct write of `frame` was not tried, failed, or the socket took only `taken` bytes."""
        if taken == HELD:
            self.hold(frame, lane)
        elif taken == BROKEN:
            self.broken()
        else:
            self.finish(frame, taken)

    def hold(self, frame: bytes, lane: Lane) -> None:
        """`frame` cannot be written directly: give it to a free transport, or queue it."""
        if self._closed or self._ending:
            return
        if self._paused:
            self._queue(frame, lane)
        elif len(frame) <= TRANSPORT_BYTES_MAX:
            self._transport.write(frame)
        else:
            self._finish_by_transport(memoryview(frame))

    def finish(self, frame: bytes, written: int) -> None:
        """The socket took only `written` bytes: the rest goes to the transport before anything else may."""
        self._finish_by_transport(memoryview(frame)[written:])

    def broken(self) -> None:
        """The socket refused a direct write: the other side is gone."""
        self.forget()
        self._transport.abort()

    def _finish_by_transport(self, rest: memoryview) -> None:
        self.waiting_bytes += len(rest)
        self._rest = rest
        self._aim(-1)
        self.resumed()

    def _queue(self, frame: bytes, lane: Lane) -> None:
        if lane is Lane.LEVELS:
            self._needs_levels = True
            return
        if self._collapsed and lane is not Lane.OWN:
            self._miss(frame, lane)
            return
        if self.waiting_bytes + len(frame) > self.bytes_max and not self._make_room(len(frame), lane):
            return
        self.waiting_bytes += len(frame)
        if lane is Lane.TALK:
            if self._talk is None:
                self._talk = deque()
            self._talk.append(frame)
        else:
            if self._first is None:
                self._first = deque()
            self._first.append((lane, frame))

    def _miss(self, frame: bytes, lane: Lane) -> None:
        DROPPED.labels(lane.name.lower(), "collapsed").inc()
        if lane is Lane.STATE:
            # Still nothing read, and another whole bound's worth of events has passed.
            self._missed_bytes += len(frame)
            if self._missed_bytes > self.bytes_max:
                self._owner.on_too_slow()

    def _make_room(self, size: int, lane: Lane) -> bool:
        """Step by step until `size` bytes fit; False where this frame itself is what goes."""
        self._skip_talk()
        if self.waiting_bytes + size <= self.bytes_max:
            return True
        if lane is Lane.TALK:
            DROPPED.labels("talk", "full").inc()
            return False
        self._collapse_state()
        if lane is Lane.STATE:
            DROPPED.labels("state", "collapsed").inc()
            return False
        if self.waiting_bytes + size <= self.bytes_max:
            return True
        self._owner.on_too_slow()
        return False

    def _skip_talk(self) -> None:
        if self._talk:
            DROPPED.labels("talk", "full").inc(len(self._talk))
            self.waiting_bytes -= sum(map(len, self._talk))
            self._talk.clear()

    def _collapse_state(self) -> None:
        self._collapsed = True
        if self._first:
            kept = deque(row for row in self._first if row[0] is Lane.OWN)
            DROPPED.labels("state", "collapsed").inc(len(self._first) - len(kept))
            self._first = kept
        self.waiting_bytes = sum(len(frame) for _, frame in self._first or ()) + len(self._rest or b"")


def _set_not_sent_low_water(plug: socket.socket) -> None:
    if option := getattr(socket, "TCP_NOTSENT_LOWAT", None):
        # uvloop's plug sets no options, so another is put on the same descriptor for a moment. Told its family and
        # kind, it asks the kernel for neither.
        borrowed = socket.socket(plug.family, socket.SOCK_STREAM, 0, plug.fileno())
        try:
            borrowed.setsockopt(socket.IPPROTO_TCP, option, NOTSENT_LOWAT_BYTES)
        finally:
            borrowed.detach()
