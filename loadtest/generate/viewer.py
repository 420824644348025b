"""One light viewer: a row of facts, her state in one word, and the one write to her line. No task, no protocol object.

What arrives: moves and frames from the parts that play her. What leaves: bytes on her plug. She reads nothing herself:
one receiver reads for all. The moves she can make are the table; whatever is not in it is a bug here, and says so.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Literal

from livecommerce.protocol.to_viewer import Bye
from loadtest.orders import After

# out: not come yet. coming: her line opens, or is open and waits for its welcome. in: welcomed. away: her line broke
# and she comes back. gone: for good.
Stage = Literal["out", "coming", "in", "away", "gone"]
MOVES: dict[Stage, tuple[Stage, ...]] = {
    "out": ("coming", "gone"),
    "coming": ("in", "away", "gone"),
    "in": ("away", "gone"),
    "away": ("coming", "gone"),
    "gone": (),
}
Verb = Literal["reserve", "release", "accept", "say"]
# What a server may ask for later: a full socket is rare, for her requests are small and few.
_LATER = (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError)
_NEVER = -1


class Errand:
    """What she means to do with one reservation, from the tap to its end. `decided`: what becomes of the hold was
    drawn already."""

    __slots__ = ("after", "decided", "lines", "planned_us", "release_after_us", "state", "wait")

    def __init__(
        self,
        lines: tuple[tuple[str, int], ...],
        planned_us: int,
        *,
        wait: bool = False,
        release_after_us: int | None = None,
        after: After | None = None,
    ) -> None:
        self.lines = lines
        self.planned_us = planned_us
        self.wait = wait
        self.release_after_us = release_after_us
        self.after = after
        self.decided = False
        self.state = ""


class Request:
    """A question that has no final answer yet. `sent`: on some line at least once."""

    __slots__ = ("frame", "lines", "planned_us", "sent", "verb")

    def __init__(self, verb: Verb, frame: bytes, planned_us: int, lines: tuple[tuple[str, int], ...] = ()) -> None:
        self.verb = verb
        self.frame = frame
        self.planned_us = planned_us
        self.lines = lines
        self.sent = False


class Allowance:
    """So many a second and so many at once, as the server counts them for one socket; one number each."""

    __slots__ = ("_free_us",)

    def __init__(self) -> None:
        self._free_us = 0

    def free_at_us(self, every_us: int, at_once: int) -> int:
        """From when on `take` gives again."""
        return self._free_us - every_us * (at_once - 1)

    def take(self, now_us: int, every_us: int, at_once: int) -> bool:
        """True, and it is spent; or false, and nothing changed."""
        free_us = max(self._free_us, now_us)
        if free_us - now_us > every_us * (at_once - 1):
            return False
        self._free_us = free_us + every_us
        return True


class Viewer:
    """See the module. `epoch` and `offset` are what she knows of the show as of the last time her line ended, or began;
    while she is in, the receiver knows better."""

    __slots__ = (
        "allowed_reserve", "allowed_say", "broke_us", "bye", "device", "due_us", "epoch", "errands", "group",
        "is_in_turn", "leaving", "line", "number", "offset", "paying", "planned_us", "plug", "read_bytes_per_second",
        "receive_buffer_bytes", "requests", "rest", "segment_by", "segment_from", "settled", "stage", "token", "tries",
        "tries_left", "viewer_id",
    )  # fmt: skip

    def __init__(self, number: int, viewer_id: str, token: str, group: str) -> None:
        self.number = number
        self.viewer_id = viewer_id
        self.token = token
        self.group = group
        self.device: Literal["phone", "desk"] = "phone"
        self.stage: Stage = "out"
        self.plug: socket.socket | None = None
        self.line = 0  # how many lines she has opened; a late event of an old one is known by it
        self.rest = b""
        self.planned_us = 0
        self.tries = 0
        self.tries_left = 1
        self.settled: Callable[[], None] | None = None  # once she is in, or will not come in
        self.epoch = ""
        self.offset = 0
        self.segment_by: Literal["snapshot", "resume"] = "snapshot"
        self.segment_from = 0
        self.broke_us = _NEVER
        self.due_us = _NEVER  # when she was to be back after that, as the server or her jitter planned it
        self.bye: Bye | None = None
        self.requests: dict[str, Request] = {}
        self.errands: dict[str, Errand] = {}
        self.allowed_reserve = Allowance()
        self.allowed_say = Allowance()
        self.leaving = False
        self.paying = 0  # payments that she began and whose end she has not heard
        self.is_in_turn = False  # she stands in her group's row of those who may tap next
        self.read_bytes_per_second = 0
        self.receive_buffer_bytes = 0

    def move(self, stage: Stage) -> None:
        assert stage in MOVES[self.stage], f"a viewer does not go from {self.stage} to {stage}"
        self.stage = stage

    @property
    def was_in(self) -> bool:
        """True once she has had a welcome: from then on she comes back by the client's rule."""
        return bool(self.epoch)

    def is_coming(self) -> bool:
        """A question and not a property: between two waits the answer may change."""
        return self.stage == "coming"

    @property
    def is_free(self) -> bool:
        """Nothing asked, nothing held."""
        return not self.requests and not self.errands

    @property
    def can_tap(self) -> bool:
        return self.stage == "in" and self.is_free and not self.leaving

    # --- her line ---------------------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Write one whole frame; what does not fit follows by itself. A broken line is found out by whoever reads."""
        plug = self.plug
        if plug is None:
            return
        if self.rest:
            self.rest += frame
            return
        try:
            sent = plug.send(frame)
        except _LATER:
            sent = 0
        except OSError:
            return
        if sent < len(frame):
            self.rest = frame[sent:]
            asyncio.get_running_loop().add_writer(plug.fileno(), self._send_rest)

    def _send_rest(self) -> None:
        plug = self.plug
        assert plug is not None
        try:
            self.rest = self.rest[plug.send(self.rest) :]
        except _LATER:
            return
        except OSError:
            self.rest = b""
        if not self.rest:
            asyncio.get_running_loop().remove_writer(plug.fileno())

    def hang_up(self, *, abort: bool = False) -> None:
        """Close the plug. With `abort` as a network breaks: nothing that is under way arrives any more."""
        plug, self.plug = self.plug, None
        if plug is None:
            return
        if self.rest:
            asyncio.get_running_loop().remove_writer(plug.fileno())
            self.rest = b""
        if abort:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        plug.close()


_AT_ONCE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds
