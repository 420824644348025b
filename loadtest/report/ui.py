"""The live page: the report's own page, on a port of this machine, fed while the run goes on.

What arrives: rows as they are made, the result at the end. What leaves: a page, and a stream of events to whoever looks
at it. It keeps every row, so a browser that comes late sees the run from its start. It listens on 127.0.0.1 alone.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from loadtest.report.html import PAGES, PageMissing, page_of
from loadtest.report.view import View, live_view, view_of
from loadtest.result import Result, SampleRow

EVENTS = "/events"
KEEP_ALIVE_SECONDS = 10.0  # a comment so often, so that a browser that left is noticed


class LivePage:
    """`await start()`, `sample()` each row, `finish()` with the result, `await aclose()`. A browser that is slow or
    gone costs the run nothing: it takes what it has not had yet, when it can."""

    def __init__(self, port: int = 0, title: str = "Load test", *, pages: Path = PAGES) -> None:
        self._pages = pages
        self._port = port
        self._title = title
        self._rows: list[bytes] = []
        self._final: View | None = None
        self._more = asyncio.Event()  # of the next news; each news has its own
        self._closing = False
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen, and return the address. Raises `OSError` where the port is taken."""
        listener = socket.create_server(("127.0.0.1", self._port))
        app = Starlette(
            routes=[Route("/", self._page), Route(EVENTS, self._events)],
            # A page elsewhere that points a name of its own at this machine gets nothing.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        )
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    def sample(self, row: SampleRow) -> None:
        """Show one more second."""
        self._rows.append(msgspec.json.encode(row))
        self._wake()

    def finish(self, result: Result) -> None:
        """Show the whole report from now on, to those who look and to those who come."""
        self._final = view_of(result)
        self._wake()

    async def aclose(self) -> None:
        """End the streams and stop listening. Safe to call twice, and where `start` never was."""
        self._closing = True
        self._wake()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = self._serving = None

    async def _page(self, _request: Request) -> Response:
        view = self._final or live_view(self._title, EVENTS)
        try:
            return HTMLResponse(
                page_of(view, connect="'self'", pages=self._pages), headers={"Cache-Control": "no-store"}
            )
        except PageMissing as missing:
            return PlainTextResponse(str(missing), status_code=503)

    async def _events(self, _request: Request) -> Response:
        return StreamingResponse(self._told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _told(self) -> AsyncIterator[bytes]:
        """Rows from the first on, several in one event where several are due; the result last."""
        told = 0
        while True:
            if told < len(self._rows):
                due, told = self._rows[told:], len(self._rows)
                yield b"event: rows\ndata: [" + b",".join(due) + b"]\n\n"
            if self._final is not None:
                yield b"event: result\ndata: " + msgspec.json.encode(self._final) + b"\n\n"
                return
            if self._closing:
                return
            if told == len(self._rows):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), KEEP_ALIVE_SECONDS)
            yield b": still here\n\n"

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """The run's own handlers stay: Ctrl-C ends the run, and the run ends this page."""
        yield
