"""The plain way to build the same: one Starlette WebSocket route, `send_bytes` to each, one EVALSHA per reservation.

`python -m loadtest.bench.servers.plain FD CORE`. uvicorn with uvloop, httptools and its default WebSocket
implementation, as its documentation installs it. What it leaves out: tokens, origins, bounds, credits, order and
recovery of events, signed holds, news of the stock, rules for talk. What it keeps: the script, so the bookkeeping in
Redis is the same; and a line of chat goes through Redis, so that a second process could show it.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import uvicorn
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from livecommerce.reservations import keys
from livecommerce.reservations.store import RESERVE

CHANNEL = "comparator"
_RESERVE_VERB = 1
_SUBSCRIBE_SECONDS_MAX = 10.0
_OFFER_MS, _JOURNAL_MAX = 60_000, 1_000_000


@contextlib.asynccontextmanager
async def subscribed(redis: Redis) -> AsyncIterator[PubSub]:
    """Hears the channel, and Redis has said so: whoever serves inside misses nothing."""
    async with redis.pubsub() as heard:
        await heard.subscribe(CHANNEL)
        confirmed = await heard.get_message(timeout=_SUBSCRIBE_SECONDS_MAX)
        if confirmed is None:
            raise TimeoutError("Redis did not confirm the subscription")
        yield heard


class Room:
    """Who is connected, and the two things the server can do for them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._sockets: set[WebSocket] = set()
        self._sha = ""

    async def serve(self, socket: WebSocket) -> None:
        await socket.accept()
        self._sockets.add(socket)
        show_id, viewer_id = socket.path_params["show_id"], socket.path_params["viewer_id"]
        try:
            await socket.send_bytes(msgpack.packb({"t": "welcome"}))
            while True:
                asked = msgpack.unpackb(await socket.receive_bytes())
                if asked["t"] == "say":
                    await socket.send_bytes(await self._say(viewer_id, asked))
                else:
                    await socket.send_bytes(await self._reserve(show_id, viewer_id, asked))
        except WebSocketDisconnect:
            pass
        finally:
            self._sockets.discard(socket)

    async def _say(self, viewer_id: str, asked: dict[str, Any]) -> bytes:
        line = {
            "line_id": secrets.token_hex(8), "at_ms": 0, "name": viewer_id, "text": asked["text"], "role": "viewer",
            "kind": "chat",
        }  # fmt: skip
        await self._redis.publish(CHANNEL, msgpack.packb({"t": "talk", "lines": [line]}))
        return bytes(msgpack.packb({"t": "said", "cid": asked["cid"], "shown": True}))

    async def _reserve(self, show_id: str, viewer_id: str, asked: dict[str, Any]) -> bytes:
        lines = [word for line in asked["lines"] for word in (line["deal_id"], line["qty"])]
        request = [_RESERVE_VERB, viewer_id, asked["rid"], 0, "", "", "", *lines]
        batch = msgpack.packb([secrets.token_bytes(8), _OFFER_MS, _JOURNAL_MAX, [request]], use_bin_type=False)
        names = keys.engine_keys(show_id)
        answer = msgpack.unpackb(await self._redis.evalsha(self._sha, len(names), *names, batch), raw=True)
        code, *facts = answer[5][0]
        if code != 0:
            return bytes(msgpack.packb({"t": "refused", "re": asked["rid"], "number": code}))
        return bytes(msgpack.packb({"t": "answer", "rid": asked["rid"], "hold": facts}))

    async def hear(self, heard: PubSub) -> None:
        """Send every message of the channel to each viewer."""
        async for message in heard.listen():
            if message["type"] == "message":
                await self._send_to_each(message["data"])

    async def _send_to_each(self, payload: bytes) -> None:
        for viewer in list(self._sockets):
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it left meanwhile
                await viewer.send_bytes(payload)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._sha = await self._redis.script_load(RESERVE.body.decode())
        async with subscribed(self._redis) as heard:
            hearing = asyncio.create_task(self.hear(heard))
            yield
            hearing.cancel()
        await self._redis.aclose()


async def _alive(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def main(descriptor: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    room = Room(Redis.from_url(os.environ["REDIS_URL"], max_connections=2000))
    routes: list[Any] = [Route("/healthz", _alive), WebSocketRoute("/live/{show_id}/{viewer_id}", room.serve)]
    app = Starlette(routes=routes, lifespan=room.lifespan)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="error", access_log=False, timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
