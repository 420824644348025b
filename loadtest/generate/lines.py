"""The viewers' lines: they come in, hear, break, come back where they were, and leave.

What arrives: whom to let in, cut or send away, and what one receiver read for all of them. What leaves: each viewer's
own messages, in order; the stretches she saw as records; latencies of joining and catching up. It keeps the client's
rules (full jitter, resume, codes from 4500 on are for good). It does not know what she asks for or why.
"""

import asyncio
import random
import ssl
from collections import deque
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from livecommerce.client.socket import return_delay_seconds
from livecommerce.protocol.codec import MSGPACK, decode_to_viewer, encode
from livecommerce.protocol.facts import Hold, OrderFacts
from livecommerce.protocol.from_viewer import Hello
from livecommerce.protocol.to_viewer import AnyToViewer, Bye
from loadtest.generate.link import RunClock
from loadtest.generate.measured import Measured
from loadtest.generate.pacer import Pacer
from loadtest.generate.shared import SharedFrames
from loadtest.generate.viewer import Viewer
from loadtest.measure.health import why_not_connected
from loadtest.records import Disorder, Ended, Segment
from loadtest.wire.frames import masked
from loadtest.wire.handshake import LineRefused, open_line
from loadtest.wire.receiver import (
    CAUGHT_UP,
    CLOSED,
    DUPLICATE,
    ERROR,
    GAP,
    PAYLOAD,
    WELCOME,
    Receiver,
    Single,
)

OPEN_SECONDS_MAX = 15.0
WELCOME_SECONDS_MAX = 30.0  # longer than the server itself lets a welcome take
OPEN_AT_ONCE = 8  # begun in one turn of the loop: about a millisecond
SLOW_READS_PER_SECOND = 5  # a slow viewer reads in small sips, not a full buffer now and then
# How late a viewer hears who reads slowly on purpose is her own doing: she counts as received, not as a latency.
NO_LATENCY = 2**62
FOR_GOOD = 4500
_OURS, _TO_THE_END, _NORMAL = 0, -1, 1000  # how a stretch ended: see `records.Segment.closed`
_CLOSE = 8


class Welcome(msgspec.Struct, frozen=True, tag_field="t", tag="welcome"):
    """A welcome whose snapshot stays bytes: ten thousand viewers get the same one."""

    epoch: str
    offset: int
    recovered: bool
    holds: tuple[Hold, ...] = ()
    orders: tuple[OrderFacts, ...] = ()
    snapshot: msgspec.Raw = msgspec.Raw()
    counting: bool = False  # stock is counted again: what she holds is not known just now, and not told


_welcomes = msgspec.msgpack.Decoder(Welcome)


class Player(Protocol):
    """Who plays the viewers: hears what each is told. Called from the loop, in order; must not wait."""

    def on_welcome(self, viewer: Viewer, welcome: Welcome, at_us: int) -> None: ...
    def on_message(self, viewer: Viewer, message: AnyToViewer, at_us: int) -> None: ...


class Lines:
    """`enter` lets one in; from then on she is here until she is gone. `welcomed` is how many are in now."""

    def __init__(
        self,
        url: str,
        show_id: str,
        clock: RunClock,
        pacer: Pacer,
        measured: Measured,
        shared: SharedFrames,
        receiver: Receiver,
        tls: ssl.SSLContext | None,
        rng: random.Random,
    ) -> None:
        parts = urlsplit(url)
        self.welcomed = 0
        self.problems: set[str] = set()  # what servers may not send, in words, each once
        self.source_addresses: list[str] = []
        self.player: Player | None = None
        self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._host_header = parts.netloc
        self._path = f"/live/{show_id}"
        self._clock, self._pacer, self._measured = clock, pacer, measured
        self._shared, self._receiver, self._tls, self._rng = shared, receiver, tls, rng
        self._address: tuple[str, int] = ("", 0)
        self._viewers: dict[int, Viewer] = {}
        self._to_open: deque[Viewer] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._over = False

    async def start(self) -> None:
        """Find the address and begin to listen. Raises `OSError` where the name leads nowhere."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=1)
        self._address = (str(found[0][4][0]), self._port)
        loop.add_reader(self._receiver.fileno(), self._listen)

    async def aclose(self) -> None:
        """Every line ends, without a word; nothing is recorded any more."""
        self._stop()
        for task in list(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for viewer in self._viewers.values():
            self._receiver.remove(viewer.number)
            viewer.hang_up()
        self._receiver.close()

    def _stop(self) -> None:
        """Nobody comes, nothing is heard."""
        self._over = True
        asyncio.get_running_loop().remove_reader(self._receiver.fileno())
        self._to_open.clear()

    # --- coming -----------------------------------------------------------------------------------------------------

    def enter(self, viewer: Viewer, planned_us: int) -> None:
        """She comes in for the first time; `viewer.settled` is called once it is known whether she did."""
        self._viewers[viewer.number] = viewer
        viewer.planned_us = planned_us
        self._measured.count("joins_planned")
        self._come(viewer)

    def _come(self, viewer: Viewer) -> None:
        if self._over:
            return
        viewer.move("coming")
        viewer.line += 1
        viewer.bye = None
        self._to_open.append(viewer)
        if len(self._to_open) == 1:
            asyncio.get_running_loop().call_soon(self._open_some)

    def _open_some(self) -> None:
        """A few now, the rest in the loop's next turns: a storm of returns must not stop those who listen."""
        loop = asyncio.get_running_loop()
        for _ in range(min(OPEN_AT_ONCE, len(self._to_open))):
            task = loop.create_task(self._open(self._to_open.popleft()))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        if self._to_open:
            loop.call_soon(self._open_some)

    async def _open(self, viewer: Viewer) -> None:
        if not viewer.is_coming():  # sent away before her turn came
            return
        addresses = self.source_addresses
        try:
            opened = await open_line(
                self._address,
                self._host_header,
                self._path,
                (("Sec-WebSocket-Protocol", MSGPACK),),
                receive_buffer_bytes=viewer.receive_buffer_bytes,
                tls=self._tls,
                source_address=(addresses[viewer.number % len(addresses)], 0) if addresses else None,
                open_seconds_max=OPEN_SECONDS_MAX,
            )
        except LineRefused as refused:
            after = refused.retry_after
            for_good = refused.status < 500 and refused.status != 429
            self._not_in(viewer, f"http_{refused.status}", for_good, after)
            return
        except TimeoutError:
            self._not_in(viewer, "timeout", False)
            return
        except OSError as error:
            self._not_in(viewer, why_not_connected(error), False)
            return
        if self._over or not viewer.is_coming():  # sent away meanwhile
            opened.plug.close()
            return
        viewer.plug = opened.plug
        slow = viewer.read_bytes_per_second > 0
        since_us = NO_LATENCY if slow else viewer.planned_us
        self._receiver.add(viewer.number, opened.plug, opened.rest, slow=slow, since_us=since_us)
        hello = Hello(viewer.epoch, viewer.offset, viewer.device, viewer.token)
        self.send(viewer, masked(encode(hello, MSGPACK)))
        self._expect_welcome(viewer)
        if viewer.read_bytes_per_second:
            self._sip(viewer)

    def _expect_welcome(self, viewer: Viewer) -> None:
        line = viewer.line

        def look(_planned_us: int) -> None:
            if viewer.line == line and viewer.stage == "coming":
                self._receiver.remove(viewer.number)
                viewer.hang_up(abort=True)
                self._not_in(viewer, "no_welcome", False)

        self._pacer.at(self._clock.now_us() + int(WELCOME_SECONDS_MAX * 1e6), look)

    def _not_in(self, viewer: Viewer, why: str, for_good: bool, after_seconds: float | None = None) -> None:
        """An attempt failed. Who was in once comes back by the client's rule; a newcomer has so many tries."""
        if self._over or viewer.stage != "coming":
            return
        viewer.tries_left -= not viewer.was_in
        if viewer.leaving or for_good or (not viewer.was_in and viewer.tries_left <= 0):
            viewer.move("gone")
            if viewer.was_in:
                self._measured.count("disconnects")
                self._measured.count(f"disconnects.{why}")
                self._measured.count("sent_away", for_good)
            else:
                self._measured.count("join_failed")
                self._measured.count(f"join_failed.{why}")
            _settle(viewer)
            return
        viewer.move("away")
        self._return_later(viewer, None if after_seconds is None else after_seconds * (0.5 + self._rng.random()))

    def _return_later(self, viewer: Viewer, told_seconds: float | None, away_ms: float = 0.0) -> None:
        jitter = return_delay_seconds(viewer.tries, self._rng.random)
        viewer.tries += 1
        delay_seconds = (jitter if told_seconds is None else told_seconds) + away_ms / 1000

        def back(_planned_us: int) -> None:
            if viewer.stage == "away":
                self._come(viewer)

        back_us = self._clock.now_us() + int(delay_seconds * 1e6)
        if viewer.broke_us >= 0 and viewer.due_us < 0:  # whatever further tries she needs, it counts from the first
            viewer.due_us = back_us
        self._pacer.at(back_us, back)

    # --- going ------------------------------------------------------------------------------------------------------

    def cut(self, viewer: Viewer, away_ms: float) -> None:
        """Her line breaks, as a network does; she comes back after `away_ms` and then the client's own jitter."""
        if self._over:
            return
        self._measured.count("cuts")
        self._end_line(viewer, _OURS, abort=True)
        viewer.move("away")
        self._return_later(viewer, None, away_ms)

    def leave(self, viewer: Viewer) -> None:
        """She goes for good, with a goodbye where she is in."""
        if viewer.stage == "in":
            self.send(viewer, masked(_NORMAL.to_bytes(2, "big"), _CLOSE))
            self._end_line(viewer, _NORMAL)
        elif viewer.stage == "coming":
            self._receiver.remove(viewer.number)
            viewer.hang_up()
        if viewer.stage != "gone":
            viewer.move("gone")
        _settle(viewer)

    def end_stretches(self) -> None:
        """The run is over: what everybody who is in saw, to the end, and where each is. From here on nobody comes, and
        what is still read is not heard: a stretch ends once. Who was in and is on her way back is `not_back`; who never
        came in and would have tried on has failed."""
        self._stop()
        for viewer in self._viewers.values():
            if viewer.stage == "in":
                viewer.offset = self._receiver.offset_of(viewer.number)[1]
                self._record_stretch(viewer, _TO_THE_END)
            elif viewer.stage in ("coming", "away"):
                if viewer.was_in:
                    self._measured.count("not_back")
                else:
                    self._measured.count("join_failed")
                    self._measured.count("join_failed.unsettled")
            self._measured.record(Ended(viewer.viewer_id, viewer.stage))

    def _end_line(self, viewer: Viewer, closed: int, *, abort: bool = False) -> None:
        """Of a viewer who is in: note what she saw, let go of the line."""
        viewer.offset = self._receiver.offset_of(viewer.number)[1]
        self._receiver.remove(viewer.number)
        viewer.hang_up(abort=abort)
        self._record_stretch(viewer, closed)
        if viewer.broke_us < 0:  # else she broke again before she had caught up: it counts from the first time
            viewer.broke_us = self._clock.now_us()
        self.welcomed -= 1

    def _record_stretch(self, viewer: Viewer, closed: int) -> None:
        self._measured.record(
            Segment(viewer.viewer_id, viewer.epoch, viewer.segment_from, viewer.offset, viewer.segment_by, closed)
        )

    # --- hearing ----------------------------------------------------------------------------------------------------

    def send(self, viewer: Viewer, frame: bytes) -> None:
        """One frame on her line; nothing happens where she has none."""
        self._measured.counters["bytes_out"] += len(frame)
        viewer.send(frame)

    def offset_of(self, viewer: Viewer) -> int:
        """Up to where she knows the show now."""
        return self._receiver.offset_of(viewer.number)[1] if viewer.stage == "in" else viewer.offset

    def _listen(self) -> None:
        self._hear(self._receiver.pump())

    def _hear(self, singles: list[Single]) -> None:
        if self._over:
            return
        viewers, offset_ns = self._viewers, self._clock.offset_ns
        for single in singles:
            viewer = viewers[single.viewer]
            if viewer.plug is None:
                continue  # it was read together with what ended her line
            at_us = (single.at_ns + offset_ns) // 1000
            kind = single.kind
            if kind == PAYLOAD:
                self._hear_message(viewer, single.payload, at_us)
            elif kind == WELCOME:
                self._hear_welcome(viewer, single.payload, at_us)
            elif kind == CAUGHT_UP:
                self._caught_up(viewer, at_us)
            elif kind == CLOSED:
                self._closed(viewer, single.a)
            else:
                self._hear_disorder(viewer, single, at_us)

    def _hear_message(self, viewer: Viewer, payload: bytes, at_us: int) -> None:
        try:
            message = decode_to_viewer(payload, MSGPACK)
        except msgspec.DecodeError as error:
            self.problems.add(f"The server sent a message that cannot be read: {error}")
            return
        if isinstance(message, Bye):
            viewer.bye = message
        assert self.player is not None
        self.player.on_message(viewer, message, at_us)

    def _hear_welcome(self, viewer: Viewer, payload: bytes, at_us: int) -> None:
        try:
            welcome = _welcomes.decode(payload)
        except msgspec.DecodeError as error:
            self.problems.add(f"The server sent a welcome that cannot be read: {error}")
            self._broken(viewer)
            return
        first = not viewer.was_in
        if viewer.stage == "in":
            self._welcome_again(viewer, welcome)
        else:
            self._welcome(viewer, welcome, at_us)
        if len(welcome.snapshot) > 1:
            self._shared.hear_snapshot(welcome.epoch, welcome.offset, bytes(welcome.snapshot))
        # What she may have missed: all that any viewer here has heard of. Her welcome does not say; where all lines
        # broke at once and nobody has heard of the last events yet, she counts as caught up before she has them.
        self._shared.know(welcome.epoch, welcome.offset)
        target = max(viewer.offset, self._shared.last_offset(viewer.epoch))
        number = self._receiver.epoch_number(viewer.epoch)
        self._receiver.position(viewer.number, number, viewer.offset, target)
        assert self.player is not None
        self.player.on_welcome(viewer, welcome, at_us)
        if first:
            _settle(viewer)

    def _welcome(self, viewer: Viewer, welcome: Welcome, at_us: int) -> None:
        """The first on this line: a new stretch begins."""
        viewer.move("in")
        viewer.tries = 0
        self.welcomed += 1
        if viewer.was_in:
            self._measured.count("returns")
            self._measured.count("recovered" if welcome.recovered else "snapshots")
        else:
            self._measured.count("joined")
            self._measured.time("join", at_us - viewer.planned_us)
        self._begin_stretch(viewer, welcome)

    def _welcome_again(self, viewer: Viewer, welcome: Welcome) -> None:
        """On the same line: her own things anew, or a snapshot, because her line was too slow for the events."""
        viewer.offset = self._receiver.offset_of(viewer.number)[1]
        if not welcome.recovered:
            self._measured.count("snapshots")
            self._record_stretch(viewer, _OURS)
            self._begin_stretch(viewer, welcome)

    def _begin_stretch(self, viewer: Viewer, welcome: Welcome) -> None:
        viewer.segment_by = "resume" if welcome.recovered else "snapshot"
        if not welcome.recovered:
            viewer.epoch, viewer.offset = welcome.epoch, welcome.offset
        viewer.segment_from = viewer.offset

    def _caught_up(self, viewer: Viewer, at_us: int) -> None:
        """Once per break: what is heard of later is news, and no longer something that she missed."""
        if viewer.broke_us >= 0:
            self._measured.time("catch_up", at_us - viewer.broke_us)
            self._measured.time("return", at_us - viewer.due_us)
            viewer.broke_us = viewer.due_us = -1

    def _hear_disorder(self, viewer: Viewer, single: Single, at_us: int) -> None:
        if single.kind in (GAP, DUPLICATE):
            self._measured.record(Disorder(at_us, viewer.viewer_id, viewer.epoch, single.a, single.b))
            if single.kind == GAP:
                self._broken(viewer)
        elif single.kind == ERROR:
            self.problems.add(single.payload.decode(errors="replace"))
            self._broken(viewer)

    def _broken(self, viewer: Viewer) -> None:
        """The server did what it may not: hang up and come back at once, as the client does."""
        if viewer.stage == "in":
            self._end_line(viewer, _OURS, abort=True)
            viewer.move("away")
            self._return_later(viewer, 0.0)
        else:
            self._receiver.remove(viewer.number)
            viewer.hang_up(abort=True)
            self._not_in(viewer, "protocol", False)

    def _closed(self, viewer: Viewer, code: int) -> None:
        """The server, or the network, ended her line."""
        bye = viewer.bye
        told_seconds = bye.after_ms / 1000 if bye is not None and bye.after_ms is not None else None
        if bye is not None:
            code = bye.code
        if viewer.stage != "in":
            self._receiver.remove(viewer.number)
            viewer.hang_up()
            self._not_in(viewer, f"closed_{code}", code >= FOR_GOOD, told_seconds)
            return
        self._measured.count("disconnects")
        self._measured.count(f"disconnects.{code}")
        self._end_line(viewer, code)
        self._measured.count("sent_away", code >= FOR_GOOD)
        if code >= FOR_GOOD or viewer.leaving:
            viewer.move("gone")
            _settle(viewer)
        else:
            viewer.move("away")
            self._return_later(viewer, told_seconds)

    # --- slow viewers -----------------------------------------------------------------------------------------------

    def _sip(self, viewer: Viewer) -> None:
        """Read a little now, and again in a moment, for as long as this line is hers."""
        line = viewer.line
        every_us = 1_000_000 // SLOW_READS_PER_SECOND
        most = max(1, viewer.read_bytes_per_second // SLOW_READS_PER_SECOND)

        def sip(planned_us: int) -> None:
            if viewer.line == line and viewer.plug is not None:
                self._hear(self._receiver.read_some(viewer.number, most))
                self._pacer.at(planned_us + every_us, sip)

        self._pacer.at(self._clock.now_us() + self._rng.randrange(every_us), sip)


def _settle(viewer: Viewer) -> None:
    settled, viewer.settled = viewer.settled, None
    if settled is not None:
        settled()
