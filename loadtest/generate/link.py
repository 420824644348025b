"""The line between a conductor and its generators: structs of `loadtest.orders`, each behind its length, over TCP.

What arrives: messages of the other end. What leaves: ours, in order. Here too: who may join (one key for a run, the
same version at both ends), and how far a generator's clock is off. Nothing is queued but in the two ends' stream
buffers, which are bounded: who reads slowly makes the other end's `send` wait. It does not know what orders mean.

The key goes over the line as it is: between hosts, use a network that you trust.
"""

import asyncio
import contextlib
import hmac
import os
import socket
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Generic, TypeVar

import msgspec

from livecommerce import __version__
from loadtest.machine import boot_id
from loadtest.measure.health import descriptors_max
from loadtest.orders import AnyOrder, AnyReport, ClockAsk, ClockSet, ClockTold, Done, Hello, Rejected

MESSAGE_BYTES_MAX = 64 * 2**20  # 20,000 passes and their names are 10 MiB
HELLO_BYTES_MAX = 4096  # of somebody who has not shown the key yet
HELLO_SECONDS_MAX = 5.0
CLOCK_SECONDS_MAX = 5.0
CLOCK_ASKS = 20  # the quickest of them counts: its way there and back was held up least
NEWCOMERS_MAX = 256  # generators that joined and were not taken yet

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

    __slots__ = ("offset_ns",)

    def __init__(self, offset_ns: int = 0) -> None:
        self.offset_ns = offset_ns

    def now_us(self) -> int:
        return (time.monotonic_ns() + self.offset_ns) // 1000


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
    line ended before. `clock_offset_us` is how far its clock stands behind ours, `clock_error_us` how wrong at most."""

    def __init__(self, line: "_Line[AnyReport]", hello: Hello) -> None:
        self.hello = hello
        self.clock_offset_us = 0.0
        self.clock_error_us = 0.0
        self._line = line

    @property
    def name(self) -> str:
        return f"{self.hello.host}, process {self.hello.pid}"

    async def send(self, order: AnyOrder) -> None:
        """Raises `LinkClosed`. Cancelled while it waits for room, the order is on its way all the same."""
        await self._line.write(order)

    async def receive(self) -> AnyReport:
        """The next report. Raises `LinkClosed`. Not to be cancelled in the middle of a report."""
        return await self._line.read()

    async def __aiter__(self) -> AsyncIterator[AnyReport]:
        while True:
            report = await self.receive()
            yield report
            if isinstance(report, Done):
                return

    async def set_clock(self, t0_ns: int) -> None:
        """Give the generator the run's clock, which began at `t0_ns` of ours. Before anything else is received."""
        offset_ns = 0
        if self.hello.boot_id != boot_id() or not self.hello.boot_id:
            offset_ns, error_ns = await self._ask_clock()
            self.clock_offset_us, self.clock_error_us = offset_ns / 1000, error_ns / 1000
        await self.send(ClockSet(offset_ns - t0_ns))

    async def _ask_clock(self) -> tuple[int, int]:
        """(its clock behind ours, error) in nanoseconds, by the quickest of some questions."""
        quickest = (2**63, 0)
        for _ in range(CLOCK_ASKS):
            await self.send(ClockAsk(time.monotonic_ns()))
            told = await self.receive()
            if not isinstance(told, ClockTold):
                raise LinkClosed(f"It was asked for its clock and sent {type(told).__name__}")
            trip_ns = time.monotonic_ns() - told.sent_ns
            quickest = min(quickest, (trip_ns, told.sent_ns + trip_ns // 2 - told.here_ns))
        return quickest[1], quickest[0] // 2

    def close(self) -> None:
        self._line.close()

    async def aclose(self) -> None:
        await self._line.aclose()


class Links:
    """Where generators join. `t0_ns` is the zero of the run's clock; `refused` says who was not taken, and why."""

    def __init__(self, key: str, t0_ns: int) -> None:
        self.t0_ns = t0_ns
        self.refused: list[str] = []
        self._key = key
        self._server: asyncio.Server | None = None
        self._newcomers: asyncio.Queue[Link] = asyncio.Queue(NEWCOMERS_MAX)

    async def __aenter__(self) -> "Links":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def start(self, host: str, port: int) -> None:
        self._server = await asyncio.start_server(self._arrived, host, port)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def next(self) -> Link:
        """The next generator that showed the key; its clock is set. Cancelling loses none."""
        return await self._newcomers.get()

    async def aclose(self) -> None:
        """Take no more; links that were given out stay."""
        if self._server is not None:
            self._server.close()
        while not self._newcomers.empty():
            self._newcomers.get_nowait().close()

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(reader, writer, _reports)
        try:
            async with asyncio.timeout(HELLO_SECONDS_MAX):
                hello = await line.read(HELLO_BYTES_MAX)
                if (why := self._objection(hello)) or not isinstance(hello, Hello):
                    await self._refuse(line, why)
                    return
            link = Link(line, hello)
            async with asyncio.timeout(CLOCK_SECONDS_MAX):
                await link.set_clock(self.t0_ns)
            await self._newcomers.put(link)
        except (LinkClosed, TimeoutError) as error:
            self.refused.append(f"{_peer(writer)}: {error or 'it did not speak in time'}")
            line.close()

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
        return ""


async def listen(host: str, port: int, key: str, *, t0_ns: int | None = None) -> Links:
    """Open the door for generators; port 0 lets the system choose. `t0_ns` (of `time.monotonic_ns`) is the zero of the
    run's clock, by default now. Raises `OSError` where the address cannot be had."""
    assert key, "a run has a key"
    links = Links(key, time.monotonic_ns() if t0_ns is None else t0_ns)
    await links.start(host, port)
    return links


def _peer(writer: asyncio.StreamWriter) -> str:
    name: Any = writer.get_extra_info("peername")
    return str(name[0]) if name else "a generator"


# --- the generator's end --------------------------------------------------------------------------------------------


class GeneratorLink:
    """The conductor, joined. Iterate to get its orders: questions about the clock are answered here and `clock` is set,
    so that only the others come out. Raises `LinkClosed` when the line ends, `JoinRefused` where we may not join."""

    def __init__(self, line: "_Line[AnyOrder]") -> None:
        self.clock = RunClock()
        self._line = line

    async def send(self, report: AnyReport) -> None:
        """Raises `LinkClosed`. Waits while the conductor does not read."""
        await self._line.write(report)

    async def __aiter__(self) -> AsyncIterator[AnyOrder]:
        while True:
            order = await self._line.read()
            match order:
                case ClockAsk(sent_ns):
                    await self.send(ClockTold(sent_ns, time.monotonic_ns()))
                case ClockSet(offset_ns):
                    self.clock.offset_ns = offset_ns
                case Rejected(text):
                    raise JoinRefused(text)
                case _:
                    yield order

    async def aclose(self) -> None:
        await self._line.aclose()


async def connect_generator(host: str, port: int, key: str) -> GeneratorLink:
    """Join the conductor's run. Raises `OSError` where nobody answers, `LinkClosed` where it hangs up; that the key or
    the version is wrong comes out of the iteration, as the first thing said."""
    reader, writer = await asyncio.open_connection(host, port)
    link = GeneratorLink(_Line(reader, writer, _orders))
    cores = len(os.sched_getaffinity(0))
    hello = Hello(key, socket.gethostname(), os.getpid(), boot_id(), __version__, descriptors_max(), cores)
    await link.send(hello)
    return link
