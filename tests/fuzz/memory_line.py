"""A house without a network: the real HTTP class, socket class and hub, on a transport in memory."""

import asyncio
import contextlib
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from livecommerce.clock import TestClock
from livecommerce.errors import Refused
from livecommerce.gateway.api import read_body, refusal_response
from livecommerce.gateway.hub import Hub
from livecommerce.settings import Settings
from tests.gateway.live import StandInDoor


class MemoryTransport(asyncio.Transport):
    """Takes everything at once, keeps how much, and ends when it is told to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"peername": ("203.0.113.9", 5), "sockname": ("127.0.0.1", 80)})
        self._loop = loop
        self._protocol: Any = None
        self.sent = b""
        self.closed = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.call_soon(self._protocol_lost)

    def _protocol_lost(self) -> None:
        self._protocol.connection_lost(None)

    abort = close

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


async def _take_body(request: Request) -> Response:
    try:
        return PlainTextResponse(f"{len(await read_body(request, 1024))} bytes")
    except Refused as refused:
        return refusal_response(refused)


async def _take_socket(socket: WebSocket) -> None:
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()


class MemoryHouse:
    """One process. `run` is one connection; what is logged as our failure is raised."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._failures: list[Any] = []
        self._loop.set_exception_handler(lambda _, context: self._failures.append(context))
        self._loop.run_until_complete(self._open())

    async def _open(self) -> None:
        settings = Settings(secret="f" * 40)
        self._clock = TestClock()
        nothing: Any = None
        door: Any = StandInDoor(self._clock)
        self.hub = Hub(settings, self._clock, nothing, door, nothing, nothing, nothing)
        # A body is read, as endpoints do, and another socket accepted, as a camera's is.
        app = Starlette(
            routes=[Route("/healthz", _take_body, methods=["GET", "POST"]), WebSocketRoute("/echo", _take_socket)]
        )
        config = uvicorn.Config(
            app, ws=self.hub.protocol_class, http=self.hub.http_class, log_config=None, lifespan="off"
        )  # fmt: skip
        config.load()
        self._config, self._state = config, ServerState()

    def close(self) -> None:
        self._loop.close()

    def run(self, data: bytes) -> None:
        self._failures.clear()
        with capture_logs() as lines:
            self._loop.run_until_complete(self._connection(data))
        assert not self._failures, self._failures
        # A hello with a good pass goes on to shows, which are not here.
        failed = [row for row in lines if row["log_level"] in ("error", "critical") and row["event"] != "join_failed"]
        assert not failed, failed
        assert not self.hub._sockets
        assert not self.hub._strangers
        assert not len(self.hub.http_lines)
        assert not len(self.hub.wheel)
        assert self.hub.admission.sockets == 0
        assert not self._state.connections

    async def _connection(self, data: bytes) -> None:
        transport = MemoryTransport(self._loop)
        line = self.hub.http_class(self._config, self._state, {})
        transport.set_protocol(line)
        line.connection_made(transport)
        # The first byte says how the rest is cut; a request and what follows it come apart, as they do.
        step = len(data) if not data or data[0] % 2 else 1 + data[0] // 2
        for at in range(1, len(data), step or 1):
            if transport.closed:
                break
            transport._protocol.data_received(data[at : at + step])
            await asyncio.sleep(0)
        for _ in range(200):  # answers of the application, refused hellos
            if not self._state.tasks and not self.hub._tasks:
                break
            await asyncio.sleep(0)
        assert len(transport.sent) < 262_144, "what is answered is bounded"
        transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await self._clock.advance(0.01)  # the accept bucket fills again
