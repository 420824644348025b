"""The viewers of a bench: `loadtest.wire` lines under one receiver, in this process.

What arrives: how each comes in, frames to send. What leaves: how fast they came in, what was told to everybody as
counts and delays by the planned moment, and what was told to one viewer alone, one by one. A line that ends, a gap or
an event that came twice ends the measurement. It knows no server and no comparator.
"""

import asyncio
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from livecommerce.protocol.codec import MSGPACK, decode_to_viewer, encode
from livecommerce.protocol.facts import CardShown
from livecommerce.protocol.from_viewer import Hello
from livecommerce.protocol.to_viewer import Levels, State, Talk, Welcome
from loadtest.bench.lab import LabFailed
from loadtest.marks import planned_us_of
from loadtest.wire.choose import open_receiver
from loadtest.wire.frames import masked
from loadtest.wire.handshake import LineRefused, open_line
from loadtest.wire.receiver import (
    CAUGHT_UP,
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
_SIP_SECONDS = 0.1  # how often a slow reader reads a little
_AT_ONCE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds
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


@dataclass(slots=True)
class Returns:
    """How everybody came back: delays from the moment each was due until she had all that she missed; and how many
    went on from where they were, without a snapshot."""

    delays_us: list[int] = field(default_factory=list)
    resumed: int = 0


class Audience:
    """`enter`, then `listen` as often as wanted, `close` last. Each viewer is known by her number from 0."""

    def __init__(self, runner: asyncio.Runner, port: int, *, greeted: bool = True, portable: bool = False) -> None:
        self._runner, self._address, self._greeted = runner, ("127.0.0.1", port), greeted
        self._receiver: Receiver
        self._receiver, self.why_portable = open_receiver(self._read_shared, portable=portable)
        self._started_ns = time.monotonic_ns()
        self._receiver.set_clock(-self._started_ns)
        self._plugs: list[socket.socket] = []
        self._slow: list[socket.socket] = []
        self._sip_bytes, self._sip_at = 0, 0.0
        self._epoch = EPOCH
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

    def enter_slow(self, entries: Sequence[Entry], bytes_per_second: int, receive_buffer_bytes: int) -> None:
        """More viewers, who read so much a second into a small buffer. What they read is thrown away."""
        self._sip_bytes = max(1, round(bytes_per_second * _SIP_SECONDS))

        async def come() -> None:
            for entry in entries:
                plug, _ = await self._open(entry, receive_buffer_bytes)
                self._slow.append(plug)

        try:
            self._runner.run(come())
        except (LineRefused, OSError) as error:
            raise LabFailed(f"a slow viewer was not let in: {error}") from error

    async def _open(self, entry: Entry, receive_buffer_bytes: int = 0) -> tuple[socket.socket, bytes]:
        headers = [("Sec-WebSocket-Protocol", entry.subprotocols)] if entry.subprotocols else []
        host = f"{self._address[0]}:{self._address[1]}"
        opened = await open_line(self._address, host, entry.path, headers, receive_buffer_bytes=receive_buffer_bytes)
        if entry.hello:
            opened.plug.send(masked(entry.hello))
        return opened.plug, opened.rest

    def _seat(self, single: Single) -> None:
        """She knows the show up to where her welcome says; a comparator's says nothing, and its show begins at 0."""
        epoch, offset = EPOCH, 0
        if len(single.payload) > _BARE_WELCOME_BYTES_MAX:
            welcome = decode_to_viewer(single.payload, MSGPACK)
            assert isinstance(welcome, Welcome)
            epoch, offset = self._epoch, _ = welcome.epoch, welcome.offset
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

    # --- going and coming back --------------------------------------------------------------------------------------

    def hang_up(self) -> int:
        """Every line breaks, as a network breaks them. The offset up to which all of them have heard the show; raises
        `LabFailed` where they differ."""
        offsets = {self._receiver.offset_of(number)[1] for number in range(len(self._plugs))}
        for number, plug in enumerate(self._plugs):
            self._receiver.remove(number)
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            plug.close()
        if len(offsets) != 1:
            raise LabFailed(f"viewers had heard different parts of the show: up to {sorted(offsets)}")
        return offsets.pop()

    def come_back(
        self, entries: Sequence[Entry], offset: int, target: int, seconds: float, each_second: Callable[[], None]
    ) -> Returns:
        """Everybody as before, evenly over so many seconds, from where she was; until all have heard up to `target`.
        Raises `LabFailed` where one is not let in, or misses an event."""
        hello = encode(Hello(self._epoch, offset, "phone"), MSGPACK)
        again = [replace(entry, hello=hello) for entry in entries]
        try:
            return self._runner.run(self._come_back(again, offset, target, seconds, each_second))
        except (LineRefused, OSError) as error:
            raise LabFailed(f"a viewer was not let in again: {error}") from error
        except TimeoutError:
            raise LabFailed(f"not all of {len(entries)} viewers were back in time") from None

    async def _come_back(
        self, entries: Sequence[Entry], offset: int, target: int, seconds: float, each_second: Callable[[], None]
    ) -> Returns:
        loop = asyncio.get_running_loop()
        returns, all_back = Returns(), loop.create_future()
        due_ns = [time.monotonic_ns() + int(seconds * 1e9 * number / len(entries)) for number in range(len(entries))]

        def hear() -> None:
            try:
                for single in self._receiver.pump():
                    self._hear_return(single, offset, target, due_ns, returns)
            except LabFailed as failed:
                if not all_back.done():
                    all_back.set_exception(failed)
            if len(returns.delays_us) == len(entries) and not all_back.done():
                all_back.set_result(None)

        async def come(number: int) -> None:
            plug, rest = await self._open(entries[number])
            self._plugs[number] = plug
            self._receiver.add(number, plug, rest)

        async def come_in_turn() -> None:
            tasks = []
            next_second_ns = due_ns[0]
            for number, due in enumerate(due_ns):
                if (ahead := due - time.monotonic_ns()) > 0:
                    await asyncio.sleep(ahead / 1e9)
                if due >= next_second_ns:
                    each_second()
                    next_second_ns += 1_000_000_000
                tasks.append(loop.create_task(come(number)))
            await asyncio.gather(*tasks)

        loop.add_reader(self._receiver.fileno(), hear)
        coming = loop.create_task(come_in_turn())
        try:
            async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
                await coming
                await all_back
        finally:
            loop.remove_reader(self._receiver.fileno())
            coming.cancel()
        return returns

    def _hear_return(self, single: Single, offset: int, target: int, due_ns: list[int], returns: Returns) -> None:
        if fault := _fault(single):
            raise LabFailed(fault)
        if single.kind == WELCOME:
            welcome = decode_to_viewer(single.payload, MSGPACK)
            assert isinstance(welcome, Welcome)
            returns.resumed += welcome.recovered
            known = offset if welcome.recovered else welcome.offset
            self._receiver.position(single.viewer, self._receiver.epoch_number(welcome.epoch), known, target)
        elif single.kind == CAUGHT_UP:
            returns.delays_us.append((single.at_ns - due_ns[single.viewer]) // 1000)

    def have_heard(self, offset: int) -> bool:
        """True once everybody has every event up to that one."""
        return all(self._receiver.offset_of(number)[1] >= offset for number in range(len(self._plugs)))

    # --- speaking and hearing ---------------------------------------------------------------------------------------

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
        if self._slow and time.monotonic() >= self._sip_at:
            self._sip()
        singles = self._receiver.pump()
        for single in singles:
            if fault := _fault(single):
                raise LabFailed(fault)
        return singles

    def _sip(self) -> None:
        self._sip_at = time.monotonic() + _SIP_SECONDS
        for plug in self._slow:
            try:
                plug.recv(self._sip_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                raise LabFailed(f"a slow reader was cut off: {error}") from error

    def heard(self) -> Heard:
        """What everybody was told since the last call."""
        taken = self._receiver.take()
        return Heard(dict(taken.latencies["state"]), dict(taken.latencies["talk"]))

    def until(self, enough: Callable[[list[Single]], bool], what: str, seconds: float = 0.005) -> None:
        """Listen until it is so; `enough` gets what has come for single viewers, every `seconds` at least. Raises
        `LabFailed` where that takes too long."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        singles: list[Single] = []
        while not enough(singles):
            singles = self.listen(seconds)
            if time.monotonic() > deadline:
                raise LabFailed(f"{what} did not come within {_PATIENCE_SECONDS:.0f} s")

    def close(self) -> None:
        self._receiver.close()
        for plug in (*self._plugs, *self._slow):
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
