"""The plain way to show a film: bare Starlette routes over the same recording and the same playlists.

`python -m loadtest.bench.servers.film FD CORE`. The room and its cards are those of `plain`. What it leaves out: who
may film and who may watch, the frame of the API, headers, measures and log of each answer. What it keeps: the publisher
with its ffmpeg, the index, parts, playlists that wait; each is read once and packed once for all, so that the bytes are
the same and only the way to a player differs.
"""

import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from livecommerce.clock import RealClock
from livecommerce.gateway.publish import HEAD, SUBPROTOCOL
from livecommerce.video.publisher import Limits, Transcodes, open_publisher
from livecommerce.video.screen import Screen
from loadtest.bench.servers.plain import Room

_WAIT_SECONDS_MAX = 20.0
_PARTS = re.compile(r"(\d+)(?:-(\d+))?\.m4s")


class Films:
    """All shows that are filmed here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = RealClock()
        self._screens: dict[str, Screen] = {}

    async def publish(self, line: WebSocket) -> None:
        """A camera's line, until it goes."""
        await line.accept(SUBPROTOCOL)
        show_id = line.path_params["show_id"]
        publisher = await open_publisher(
            show_id, self._folder / show_id, Limits(), Transcodes(0), self._clock, lambda: None
        )  # fmt: skip
        try:
            while (message := await line.receive())["type"] == "websocket.receive":
                if data := message.get("bytes"):
                    number, made_ms = HEAD.unpack_from(data)
                    told: dict[str, Any] = {
                        "type": "ack",
                        "next": await publisher.push(number, data[HEAD.size :], made_ms),
                    }
                else:
                    begin = json.loads(message["text"])
                    told = {
                        "type": "ready",
                        "next": await publisher.begin(begin["epoch"], begin["mime"], begin["t0_ms"]),
                    }
                await line.send_text(json.dumps(told))
        finally:
            await publisher.aclose()

    async def playlist(self, request: Request) -> Response:
        asked = request.query_params
        segment, part = asked.get("_HLS_msn"), asked.get("_HLS_part")
        screen = await self._screen(request)
        found = await screen.live(int(segment) if segment else None, int(part) if part else None)
        headers = {"content-encoding": "gzip", "cache-control": "no-store"}
        return Response(found.packed, headers=headers, media_type="application/vnd.apple.mpegurl")

    async def media(self, request: Request) -> Response:
        screen, name = await self._screen(request), request.path_params["name"]
        if found := _PARTS.fullmatch(name):
            data = await screen.parts(int(found[1]), int(found[2] or found[1]))
        else:
            data = await screen.header(int(name.removesuffix(".mp4")))
        return Response(data, 200 if data else 404, media_type="video/mp4")

    async def _screen(self, request: Request) -> Screen:
        show_id = request.path_params["show_id"]
        screen = self._screens.get(show_id)
        if screen is None:
            screen = self._screens[show_id] = Screen(self._folder / show_id, self._clock, _WAIT_SECONDS_MAX)
        return screen


async def _alive(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def main(descriptor: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    room = Room(Redis.from_url(os.environ["REDIS_URL"], max_connections=2000))
    films = Films(Path(os.environ["LIVECOMMERCE_DATA"]) / "video")
    routes: list[Any] = [
        Route("/healthz", _alive),
        WebSocketRoute("/live/{show_id}/{viewer_id}", room.serve),
        WebSocketRoute("/publish/{show_id}", films.publish),
        Route("/video/{show_id}/open/live.m3u8", films.playlist),
        Route("/video/{show_id}/open/{name}", films.media),
    ]
    app = Starlette(routes=routes, lifespan=room.lifespan)
    # Viewers of a bench answer pings when they are looked at, which on a busy machine is late.
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="error", access_log=False, timeout_graceful_shutdown=1,
        ws_ping_timeout=300,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
