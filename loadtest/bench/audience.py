"""The viewers of a bench: `loadtest.wire` lines under one receiver, in this process.

What arrives: how each comes in, frames to send. What leaves: how fast they came in, what was told to everybody as
counts and delays by the planned moment, and what was told to one viewer alone, one by one. A line that ends, a gap or
an event that came twice ends the measurement. It knows no server and no comparator.
"""

import asyncio
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from livecommerce.protocol.codec import MSGPACK, decode_to_viewer
from livecommerce.protocol.facts import CardShown
from livecommerce.protocol.to_viewer import Levels, State, Talk, Welcome
from loadtest.bench.lab import LabFailed
from loadtest.marks import planned_us_of
from loadtest.wire.choose import open_receiver
from loadtest.wire.frames import masked
from loadtest.wire.handshake import LineRefused, open_line
from loadtest.wire.receiver import (
    CLOSED,
    DUPLICATE,
    ERROR,
    GAP,
    LEVELS,
    RELAY,
    STATE,
    TALK,
    WELCOME,
    FrameFacts,
    Receiver,
    Single,
)

_TOGETHER = 200  # viewers on their way in at once
_PATIENCE_SECONDS = 60.0
_BARE_WELCOME_BYTES_MAX = 32  # a comparator's says its name only
EPOCH = "0123456789ab"  # of the comparators, whose events have no order of their own


@dataclass(frozen=True, slots=True)
class Entry:
    """How one viewer comes in: the path, what she offers as subprotocols, and what she sends once she is in."""

    path: str
    subprotocols: str = ""
    hello: bytes = b""


@dataclass(frozen=True, slots=True)
class Heard:
    """Delays from the planned moment, µs → how many viewers: of cards, and of lines of chat."""

    cards_us: dict[int, int]
    lines_us: dict[int, int]

    @property
    def cards(self) -> int:
        return sum(self.cards_us.values())

    @property
    def lines(self) -> int:
        return sum(self.lines_us.values())


class Audience:
    """`enter`, then `listen` as often as wanted, `close` last. Each viewer is known by her number from 0."""

    def __init__(self, runner: asyncio.Runner, port: int, *, greeted: bool = True, portable: bool = False) -> None:
        self._runner, self._address, self._greeted = runner, ("127.0.0.1", port), greeted
        self._receiver: Receiver
        self._receiver, self.why_portable = open_receiver(self._read_shared, portable=portable)
        self._started_ns = time.monotonic_ns()
        self._receiver.set_clock(-self._started_ns)
        self._plugs: list[socket.socket] = []
        self._poll = select.poll()
        self._poll.register(self._receiver.fileno(), select.POLLIN)
        self.card_bytes = 0

    def __len__(self) -> int:
        return len(self._plugs)

    @property
    def now_us(self) -> int:
        """The run's clock, in which moments are planned."""
        return (time.monotonic_ns() - self._started_ns) // 1000

    def enter(self, entries: Sequence[Entry]) -> float:
        """Open all of them and wait until each has heard her welcome; the seconds it took. Raises `LabFailed`."""
        started = time.monotonic()
        try:
            self._runner.run(self._enter(entries))
        except (LineRefused, OSError) as error:
            raise LabFailed(f"a viewer was not let in: {error}") from error
        except TimeoutError:
            raise LabFailed(f"not all of {len(entries)} viewers were welcomed within {_PATIENCE_SECONDS} s") from None
        return time.monotonic() - started

    async def _enter(self, entries: Sequence[Entry]) -> None:
        loop = asyncio.get_running_loop()
        together = asyncio.Semaphore(_TOGETHER)
        welcomes: dict[int, asyncio.Future[None]] = {}
        coming: list[asyncio.Task[None]] = []
        faults: list[str] = []

        def hear() -> None:
            for single in self._receiver.pump():
                if single.kind == WELCOME:
                    self._seat(single)
                    _arrive(welcomes.pop(single.viewer))
                elif fault := _fault(single):
                    faults.append(fault)
                    for task in coming:
                        task.cancel()

        async def come(entry: Entry) -> None:
            """Closed: the next begins when one has come in. Ten thousand at once would measure a queue."""
            async with together:
                plug, rest = await self._open(entry)
                number = len(self._plugs)
                self._plugs.append(plug)
                self._receiver.add(number, plug, rest)
                if self._greeted:
                    welcomes[number] = loop.create_future()
                    await welcomes[number]
                else:
                    self._receiver.position(number, self._receiver.epoch_number(EPOCH), 0, 0)

        loop.add_reader(self._receiver.fileno(), hear)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                coming = [loop.create_task(come(entry)) for entry in entries]
                await asyncio.gather(*coming)
        except asyncio.CancelledError:
            if not faults:
                raise
        finally:
            loop.remove_reader(self._receiver.fileno())
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)
        if faults:  # also where all were in already and nobody was left to cancel
            raise LabFailed(faults[0])

    async def _open(self, entry: Entry) -> tuple[socket.socket, bytes]:
        headers = [("Sec-WebSocket-Protocol", entry.subprotocols)] if entry.subprotocols else []
        host = f"{self._address[0]}:{self._address[1]}"
        opened = await open_line(self._address, host, entry.path, headers)
        if entry.hello:
            opened.plug.send(masked(entry.hello))
        return opened.plug, opened.rest

    def _seat(self, single: Single) -> None:
        """She knows the show up to where her welcome says; a comparator's says nothing, and its show begins at 0."""
        epoch, offset = EPOCH, 0
        if len(single.payload) > _BARE_WELCOME_BYTES_MAX:
            welcome = decode_to_viewer(single.payload, MSGPACK)
            assert isinstance(welcome, Welcome)
            epoch, offset = welcome.epoch, welcome.offset
        self._receiver.position(single.viewer, self._receiver.epoch_number(epoch), offset, offset)

    def _read_shared(self, payload: bytes) -> FrameFacts:
        """What a frame says that everybody gets; asked once per frame."""
        message = decode_to_viewer(payload, MSGPACK)
        match message:
            case State(epoch, events):
                self.card_bytes = len(payload)
                planned = [
                    (moment, stamped.offset)
                    for stamped in events
                    if isinstance(stamped.event, CardShown)
                    and (moment := planned_us_of(stamped.event.card.line)) is not None
                ]
                moments, offsets = tuple(each[0] for each in planned), tuple(each[1] for each in planned)
                number = self._receiver.epoch_number(epoch)
                return FrameFacts(STATE, number, events[0].offset, events[-1].offset, moments, offsets)
            case Talk(lines):
                said = [moment for line in lines if (moment := planned_us_of(line.text)) is not None]
                return FrameFacts(TALK, 0, 1, len(lines), tuple(said))
            case Levels():
                return FrameFacts(LEVELS, 0, 0, 0, ())
            case _:
                return FrameFacts(RELAY, 0, 0, 0, ())

    def send(self, number: int, frame: bytes) -> None:
        """A frame made beforehand. It is small and the line empty: a part is not expected, and would be an error."""
        try:
            sent = self._plugs[number].send(frame)
        except OSError as error:
            raise LabFailed(f"a request did not fit into the socket: {error}") from error
        if sent != len(frame):
            raise LabFailed("a request did not fit into the socket")

    def listen(self, seconds: float = 0.005) -> list[Single]:
        """Read what has come, waiting at most that long for the first; what is for one viewer alone. Raises `LabFailed`
        where a line ended or an order was broken."""
        self._poll.poll(seconds * 1000)
        singles = self._receiver.pump()
        for single in singles:
            if fault := _fault(single):
                raise LabFailed(fault)
        return singles

    def heard(self) -> Heard:
        """What everybody was told since the last call."""
        taken = self._receiver.take()
        return Heard(dict(taken.latencies["state"]), dict(taken.latencies["talk"]))

    def until(self, enough: Callable[[list[Single]], bool], what: str) -> None:
        """Listen until it is so; `enough` gets what has come for single viewers. Raises `LabFailed` where that takes
        too long."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        singles: list[Single] = []
        while not enough(singles):
            singles = self.listen()
            if time.monotonic() > deadline:
                raise LabFailed(f"{what} did not come within {_PATIENCE_SECONDS:.0f} s")

    def close(self) -> None:
        self._receiver.close()
        for plug in self._plugs:
            plug.close()


def _arrive(welcome: "asyncio.Future[None]") -> None:
    if not welcome.done():  # cancelled, where somebody else's line has ended
        welcome.set_result(None)


def _fault(single: Single) -> str:
    """In words, where this must not happen in a bench; "" for what may."""
    if single.kind == CLOSED:
        return f"the server closed a line with {single.a} {single.payload.decode(errors='replace')}"
    if single.kind == ERROR:
        return f"a line is broken: {single.payload.decode(errors='replace')}"
    if single.kind in (GAP, DUPLICATE):
        kind = "is missing" if single.kind == GAP else "came twice"
        return f"an event {kind}: expected offset {single.a}, got {single.b}"
    return ""
