"""`websockets.broadcast()`: what the library's own documentation offers for one message to everybody.

`python -m loadtest.bench.servers.broadcast FD CORE`. The asyncio server of `websockets` under uvloop, without
compression; one connection to Redis hears what is published. It has no tokens, no order, no recovery.
"""

import asyncio
import os
import socket
import sys
from http import HTTPStatus

import msgpack
import uvloop
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from loadtest.bench.servers.plain import subscribed

_WELCOME = msgpack.packb({"t": "welcome"})


async def _serve(listener: socket.socket) -> None:
    room: set[ServerConnection] = set()

    async def enter(viewer: ServerConnection) -> None:
        room.add(viewer)
        try:
            await viewer.send(_WELCOME)
            await viewer.wait_closed()
        except ConnectionClosed:
            pass
        finally:
            room.discard(viewer)

    def alive(viewer: ServerConnection, request: Request) -> Response | None:
        return viewer.respond(HTTPStatus.OK, "ok\n") if request.path == "/healthz" else None

    async with (
        subscribed(Redis.from_url(os.environ["REDIS_URL"])) as heard,
        serve(enter, sock=listener, process_request=alive, compression=None, ping_interval=None),
    ):
        async for message in heard.listen():
            if message["type"] == "message":
                broadcast(room, message["data"])


def main(descriptor: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(socket.socket(fileno=descriptor)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
