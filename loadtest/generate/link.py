"""The line between a conductor and its generators: structs of `loadtest.orders`, each behind its length, over TCP.

What arrives: messages of the other end. What leaves: ours, in order. Here too: who may join (one key for a run, the
same version at both ends), and how far a generator's clock is off, which is asked again while the run goes on. Nothing
is queued but in the two ends' stream buffers, which are bounded: who reads slowly makes the other end's `send` wait. It
does not know what orders mean.

The key goes over the line as it is: between hosts, use a network that you trust.
"""

import asyncio
import contextlib
import hmac
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from math import ceil
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import structlog

from livecommerce import __version__
from loadtest.machine import boot_id
from loadtest.measure.health import descriptors_max
from loadtest.orders import AnyOrder, AnyReport, ClockAsk, ClockSet, ClockTold, Done, Hello, Rejected

log = structlog.get_logger(__name__)

MESSAGE_BYTES_MAX = 64 * 2**20  # 20,000 passes and their names are 10 MiB
HELLO_BYTES_MAX = 4096  # of somebody who has not shown the key yet
HELLO_SECONDS_MAX = 5.0
CLOCK_SECONDS_MAX = 5.0
CLOCK_ASKS = 20  # the quickest of them counts: its way there and back was held up least
CLOCK_AGAIN_SECONDS = 30.0  # two hosts' quartz goes apart by a millisecond or so in that time at worst
KEY_CHARACTERS_MIN = 16  # who has the key of a run sends its load
NEWCOMERS_MAX = 256  # generators that joined and were not taken yet
PENDING_MAX = 32  # lines that have not shown the key yet

_encode = msgspec.msgpack.Encoder().encode
_orders: "msgspec.msgpack.Decoder[AnyOrder]" = msgspec.msgpack.Decoder(AnyOrder)
_reports: "msgspec.msgpack.Decoder[AnyReport]" = msgspec.msgpack.Decoder(AnyReport)
M = TypeVar("M")


class LinkClosed(Exception):
    """The line is gone: the other end ended, the network broke, or it said something that cannot be read."""


class JoinRefused(Exception):
    """The conductor does not take this generator; the text says why, for a person."""


class RunClock:
    """Microseconds since the conductor's start, by this machine's own monotonic clock."""

    __slots__ = ("apart_us", "offset_ns")

    def __init__(self, offset_ns: int = 0) -> None:
        self.offset_ns = offset_ns
        self.apart_us = 0  # how far two generators' run clocks may be apart at most

    def here_ns(self) -> int:
        """This machine's own clock."""
        return time.monotonic_ns()

    def now_us(self) -> int:
        return (self.here_ns() + self.offset_ns) // 1000


class _Line(Generic[M]):
    """One end of a line: whole messages in, whole messages out."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: "msgspec.msgpack.Decoder[M]"
    ) -> None:
        self._reader, self._writer, self._decoder = reader, writer, decoder
        if (plug := writer.get_extra_info("socket")) is not None:
            # Questions about the clock must not wait for a full segment.
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def write(self, message: msgspec.Struct) -> None:
        """Returns once the line has taken it, which is when the other end has read enough of what was before."""
        body = _encode(message)
        try:
            self._writer.write(len(body).to_bytes(4, "big") + body)  # one write: two senders' messages cannot mix
            await self._writer.drain()
        except OSError as error:
            raise LinkClosed(f"The line broke: {error}") from None

    async def read(self, bytes_max: int = MESSAGE_BYTES_MAX) -> M:
        try:
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            if size > bytes_max:
                raise LinkClosed(f"A message of {size} bytes came; {bytes_max} are allowed")
            return self._decoder.decode(await self._reader.readexactly(size))
        except asyncio.IncompleteReadError:
            raise LinkClosed("The other end hung up") from None
        except OSError as error:
            raise LinkClosed(f"The line broke: {error}") from None
        except msgspec.DecodeError as error:
            raise LinkClosed(f"A message came that cannot be read: {error}") from None

    def close(self) -> None:
        self._writer.close()

    async def aclose(self) -> None:
        """Close, and return once what was written is out or the line is broken."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


# --- the conductor's end --------------------------------------------------------------------------------------------


class Link:
    """One generator, admitted. Iterate to get its reports: that ends after `Done`, and raises `LinkClosed` where the
    line ended before.

    `clock_offset_us` is how far its clock stands behind ours, by the last answers; `clock_drift_us` how far that has
    moved since it joined; `clock_error_us` how wrong its run clock may have been at any moment so far.
    """

    def __init__(self, line: "_Line[AnyReport]", hello: Hello) -> None:
        self.hello = hello
        self.clock_offset_us = 0.0
        self.clock_drift_us = 0.0
        self.clock_error_us = 0.0
        # Under our own kernel there is one clock, and nothing to ask.
        self.is_here = bool(hello.boot_id) and hello.boot_id == boot_id()
        self._line = line
        self._t0_ns = self._offset_ns = self._first_offset_ns = self._apart_us = 0
        self._told: asyncio.Queue[_Trip] = asyncio.Queue(1)
        self._asking: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return f"{self.hello.host}, process {self.hello.pid}"

    async def send(self, order: AnyOrder) -> None:
        """Raises `LinkClosed`. Cancelled while it waits for room, the order is on its way all the same."""
        await self._line.write(order)

    async def receive(self) -> AnyReport:
        """The next report; what it says of its clock is kept here. Raises `LinkClosed`. Not to be cancelled in the
        middle of a report."""
        while isinstance(report := await self._line.read(), ClockTold):
            if not self._told.full():  # else nobody waits for it any more
                self._told.put_nowait(_trip_of(report))
        return report

    async def __aiter__(self) -> AsyncIterator[AnyReport]:
        while True:
            report = await self.receive()
            yield report
            if isinstance(report, Done):
                return

    async def set_clock(self, t0_ns: int) -> None:
        """Give the generator the run's clock, which began at `t0_ns` of ours. Before anything else is received."""
        self._t0_ns = t0_ns
        if not self.is_here:
            trip = await self._ask_clock(self._answer_now)
            self._offset_ns = self._first_offset_ns = trip.offset_ns
            self.clock_offset_us, self.clock_error_us = trip.offset_ns / 1000, trip.error_ns / 1000
        await self._tell_clock()

    def keep_clock(self, moved: Callable[["Link"], Awaitable[None]]) -> None:
        """Ask again every `CLOCK_AGAIN_SECONDS` until the line ends, for as long as somebody receives its reports.
        `moved` is called when the error may have become larger."""
        self._asking = asyncio.create_task(self._keep_clock(moved))

    async def clocks_are_apart(self, apart_us: int) -> None:
        """Tell it how far the run clocks of two generators may be apart. Raises `LinkClosed`."""
        if apart_us != self._apart_us:
            self._apart_us = apart_us
            await self._tell_clock()

    async def _keep_clock(self, moved: Callable[["Link"], Awaitable[None]]) -> None:
        with contextlib.suppress(LinkClosed):
            while True:
                await asyncio.sleep(CLOCK_AGAIN_SECONDS)
                try:
                    trip = await self._ask_clock(self._answer_received)
                except TimeoutError:
                    continue  # it is busy, or finishing: what was known of its clock stays
                await self._correct_clock(trip)
                await moved(self)

    async def _correct_clock(self, trip: "_Trip") -> None:
        """Set it anew only where it has moved by more than the answer itself may be wrong: on a busy line an answer is
        worse than what is known."""
        moved_ns = trip.offset_ns - self._offset_ns
        if abs(moved_ns) <= trip.error_ns:
            return
        self._offset_ns = trip.offset_ns
        self.clock_offset_us = trip.offset_ns / 1000
        self.clock_drift_us = (trip.offset_ns - self._first_offset_ns) / 1000
        self.clock_error_us = max(self.clock_error_us, (abs(moved_ns) + trip.error_ns) / 1000)
        log.info("clock_moved", generator=self.name, moved_us=moved_ns / 1000, drift_us=self.clock_drift_us)
        await self._tell_clock()

    async def _tell_clock(self) -> None:
        await self.send(ClockSet(self._offset_ns - self._t0_ns, self._apart_us))

    async def _ask_clock(self, answer: Callable[[], Awaitable["_Trip"]]) -> "_Trip":
        """The quickest of some questions' ways there and back."""
        quickest: _Trip | None = None
        for _ in range(CLOCK_ASKS):
            asked_ns = time.monotonic_ns()
            await self.send(ClockAsk(asked_ns))
            while (trip := await answer()).sent_ns != asked_ns:
                pass  # the late answer to a question that was given up
            if quickest is None or trip.took_ns < quickest.took_ns:
                quickest = trip
        assert quickest is not None
        return quickest

    async def _answer_now(self) -> "_Trip":
        told = await self._line.read()
        if not isinstance(told, ClockTold):
            raise LinkClosed(f"It was asked for its clock and sent {type(told).__name__}")
        return _trip_of(told)

    async def _answer_received(self) -> "_Trip":
        async with asyncio.timeout(CLOCK_SECONDS_MAX):
            return await self._told.get()

    async def reject(self, why: str) -> None:
        """Say why it is not taken after all, and hang up."""
        with contextlib.suppress(LinkClosed):
            await self.send(Rejected(why))
        self.close()

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        self._line.close()

    async def aclose(self) -> None:
        self.close()
        await self._line.aclose()


class _Trip(NamedTuple):
    """A question about the clock and its answer."""

    sent_ns: int
    took_ns: int
    offset_ns: int  # its clock behind ours, had both ways taken the same time

    @property
    def error_ns(self) -> int:
        return self.took_ns // 2


def _trip_of(told: ClockTold) -> _Trip:
    took_ns = time.monotonic_ns() - told.sent_ns
    return _Trip(told.sent_ns, took_ns, told.sent_ns + took_ns // 2 - told.here_ns)


class Links:
    """Where generators join. `t0_ns` is the zero of the run's clock; `refused` says who was not taken, and why."""

    def __init__(self, key: str, t0_ns: int) -> None:
        self.t0_ns = t0_ns
        self.refused: list[str] = []
        self._key = key
        self._server: asyncio.Server | None = None
        self._newcomers: asyncio.Queue[Link] = asyncio.Queue(NEWCOMERS_MAX)
        self._links: list[Link] = []
        self._pending = 0
        self._full = False

    async def __aenter__(self) -> "Links":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def start(self, host: str, port: int) -> None:
        self._server = await asyncio.start_server(self._arrived, host, port, backlog=PENDING_MAX)

    @property
    def host(self) -> str:
        """The address it listens at, as the system names it: a wildcard stays one."""
        assert self._server is not None
        host: str = self._server.sockets[0].getsockname()[0]
        return host

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def next(self) -> Link:
        """The next generator that showed the key; its clock is set. Cancelling loses none."""
        return await self._newcomers.get()

    async def shut(self) -> None:
        """All have joined: nobody else is let in. Who joined and was not taken is told so; links given out stay."""
        self._full = True
        if self._server is not None:
            self._server.close()
        while not self._newcomers.empty():
            await self._newcomers.get_nowait().reject(_FULL)

    async def aclose(self) -> None:
        """Take no more; links that were given out stay."""
        await self.shut()

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(reader, writer, _reports)
        if self._pending >= PENDING_MAX:
            self.refused.append(f"{_peer(writer)}: {PENDING_MAX} others have not shown a key yet")
            line.close()
            return
        self._pending += 1
        try:
            link = await self._admitted(line)
            if link is not None:
                self._links.append(link)
                await self._agree()
                if not link.is_here:
                    link.keep_clock(self._clock_moved)
                await self._newcomers.put(link)
        except (LinkClosed, TimeoutError) as error:
            self.refused.append(f"{_peer(writer)}: {error or 'it did not speak in time'}")
            line.close()
        finally:
            self._pending -= 1

    async def _admitted(self, line: "_Line[AnyReport]") -> Link | None:
        """Its clock is set; None where it was refused."""
        async with asyncio.timeout(HELLO_SECONDS_MAX):
            hello = await line.read(HELLO_BYTES_MAX)
            if (why := self._objection(hello)) or not isinstance(hello, Hello):
                await self._refuse(line, why)
                return None
        link = Link(line, hello)
        async with asyncio.timeout(CLOCK_SECONDS_MAX):
            await link.set_clock(self.t0_ns)
        return link

    async def _agree(self) -> None:
        """Two clocks that are each wrong by so much are apart by twice that; each generator hears the worst case."""
        apart_us = 2 * ceil(max(link.clock_error_us for link in self._links))
        for link in self._links:
            with contextlib.suppress(LinkClosed):  # whoever receives from it finds out
                await link.clocks_are_apart(apart_us)

    async def _clock_moved(self, _link: Link) -> None:
        await self._agree()

    async def _refuse(self, line: "_Line[AnyReport]", why: str) -> None:
        self.refused.append(why)
        await line.write(Rejected(why))
        line.close()

    def _objection(self, hello: AnyReport) -> str:
        """Why this newcomer is not taken, or "". The key first: who has none learns nothing else."""
        if not isinstance(hello, Hello) or not hmac.compare_digest(hello.key.encode(), self._key.encode()):
            return "The key is not the one of this run (LOADTEST_KEY)."
        if hello.version != __version__:
            return f"The generator on {hello.host} is version {hello.version}, the conductor {__version__}."
        if self._full:
            return _FULL
        return ""


async def listen(host: str, port: int, key: str, *, t0_ns: int | None = None) -> Links:
    """Open the door for generators; port 0 lets the system choose. `t0_ns` (of `time.monotonic_ns`) is the zero of the
    run's clock, by default now. Raises `OSError` where the address cannot be had, `ValueError` where the key is short
    enough to be guessed."""
    if len(key) < KEY_CHARACTERS_MIN:
        raise ValueError(f"The key of a run (LOADTEST_KEY) has at least {KEY_CHARACTERS_MIN} characters.")
    links = Links(key, time.monotonic_ns() if t0_ns is None else t0_ns)
    await links.start(host, port)
    return links


_FULL = "The run is full: all generators that it waited for have joined."


def _peer(writer: asyncio.StreamWriter) -> str:
    name: Any = writer.get_extra_info("peername")
    return str(name[0]) if name else "a generator"


# --- the generator's end --------------------------------------------------------------------------------------------


class GeneratorLink:
    """The conductor, joined. Iterate to get its orders: questions about the clock are answered here and `clock` is set,
    so that only the others come out; `on_clock` is called when it was set. Raises `LinkClosed` when the line ends,
    `JoinRefused` where we may not join."""

    def __init__(self, line: "_Line[AnyOrder]") -> None:
        self.clock = RunClock()
        self.on_clock: Callable[[], None] = _nothing
        self._line = line

    async def send(self, report: AnyReport) -> None:
        """Raises `LinkClosed`. Waits while the conductor does not read."""
        await self._line.write(report)

    async def __aiter__(self) -> AsyncIterator[AnyOrder]:
        while True:
            order = await self._line.read()
            match order:
                case ClockAsk(sent_ns):
                    await self.send(ClockTold(sent_ns, self.clock.here_ns()))
                case ClockSet(offset_ns, apart_us):
                    self.clock.offset_ns, self.clock.apart_us = offset_ns, apart_us
                    self.on_clock()
                case Rejected(text):
                    raise JoinRefused(text)
                case _:
                    yield order

    async def aclose(self) -> None:
        await self._line.aclose()


def _nothing() -> None:
    pass


async def connect_generator(host: str, port: int, key: str) -> GeneratorLink:
    """Join the conductor's run. Raises `OSError` where nobody answers, `LinkClosed` where it hangs up; that the key or
    the version is wrong comes out of the iteration, as the first thing said."""
    reader, writer = await asyncio.open_connection(host, port)
    link = GeneratorLink(_Line(reader, writer, _orders))
    cores = len(os.sched_getaffinity(0))
    hello = Hello(key, socket.gethostname(), os.getpid(), boot_id(), __version__, descriptors_max(), cores)
    await link.send(hello)
    return link
