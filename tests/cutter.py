"""A line that can be cut: it passes bytes between two parts, and breaks when and where a test says.

What arrives: connections to `address`. What leaves: the same bytes to the target and back, until a `cut`. It runs in a
thread of its own, so that it also serves processes that are started and waited for by the test.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cutter:
    """`cut` breaks every connection; `cut_at` breaks the one on which the n-th next piece in a direction comes, before
    that piece is passed on. Whoever says what is `refused` is cut before it is passed on, and the others are not."""

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutter", daemon=True)
        self._thread.start()
        self._left = {"there": 0, "back": 0}
        self.cuts = 0
        self.port = 0
        self.is_away = False
        self.refused = b""

    def listen(self, path: Path | None = None) -> None:
        """On a port of its own, or on a unix socket."""

        async def start() -> None:
            if path is not None:
                await asyncio.start_unix_server(self._serve, path)
                return
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]

        asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)

    def cut(self) -> None:
        async def now() -> None:
            self._break(list(self._open))

        asyncio.run_coroutine_threadsafe(now(), self._loop).result(10)

    def go_away(self) -> None:
        """Cut, and cut whoever comes, until `come_back`."""
        self.is_away = True
        self.cut()

    def come_back(self) -> None:
        self.is_away = False

    def cut_at(self, piece: int, direction: str) -> None:
        self._left[direction] = piece

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_away:
            writer.transport.abort()
            return
        far_reader, far_writer = await self._connect()
        both = [writer, far_writer]
        self._open.update(both)
        await asyncio.gather(
            self._pass(reader, far_writer, both, "there"), self._pass(far_reader, writer, both, "back")
        )  # fmt: skip

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, both: list[asyncio.StreamWriter], way: str
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 16):
                if self._left[way]:
                    self._left[way] -= 1
                    if self._left[way] == 0:
                        break
                if self.refused and way == "there" and self.refused in piece:
                    break
                writer.write(piece)
                await writer.drain()
        self._break(both)

    def _break(self, writers: list[asyncio.StreamWriter]) -> None:
        self.cuts += any(writer in self._open for writer in writers)
        for writer in writers:
            self._open.discard(writer)
            writer.transport.abort()


@contextlib.contextmanager
def cutter(connect: Callable[[], Awaitable[Any]], path: Path | None = None) -> Iterator[Cutter]:
    line = Cutter(connect)
    try:
        line.listen(path)
        yield line
    finally:
        line.close()
