"""The floor: a C loop of `send()` over plain sockets. No server that makes a system call per viewer can be faster.

`python -m loadtest.bench.servers.floor FD CORE`; the loop is `floor.c`. Python only lets viewers in (a handshake, a
greeting) and hears what is published; a card's frame goes to all of them in one call of C.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from array import array
from pathlib import Path

import msgpack
import uvloop
from redis.asyncio import Redis
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from livecommerce.compiled import CannotBuild, compiled
from loadtest.bench.servers.plain import subscribed

_SOURCE = Path(__file__).with_name("floor.c")
_HEAD_BYTES_MAX = 16_384


def why_no_floor() -> str:
    """ "" where its loop can be made, else why not."""
    try:
        compiled(_SOURCE, "floor")
    except CannotBuild as error:
        return str(error)
    return ""


def _frame(payload: bytes) -> bytes:
    return Frame(Opcode.BINARY, payload).serialize(mask=False)


class Floor:
    """The viewers' descriptors, and the one thing that is done with them."""

    def __init__(self) -> None:
        self._send_to_each = compiled(_SOURCE, "floor").send_to_each
        self._send_to_each.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
        self._plugs: list[socket.socket] = []
        self._descriptors = array("i")

    async def let_in(self, plug: socket.socket) -> None:
        """Answer one handshake; whoever asks for anything else gets an answer, too, and is left."""
        loop = asyncio.get_running_loop()
        plug.setblocking(False)
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _HEAD_BYTES_MAX:
            part = await loop.sock_recv(plug, _HEAD_BYTES_MAX)
            if not part:
                break
            head += part
        rows = dict(row.lower().split(": ", 1)[:1] + row.split(": ", 1)[1:] for row in _rows(head))
        if "sec-websocket-key" not in rows:
            await loop.sock_sendall(plug, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            plug.close()
            return
        answer = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(rows['sec-websocket-key'])}\r\n\r\n"
        )
        # In one go with the next lines, so that no card can come in between. The socket is empty: it takes all of it.
        plug.send(answer.encode() + _frame(msgpack.packb({"t": "welcome"})))
        self._plugs.append(plug)
        self._descriptors.append(plug.fileno())

    def send_to_each(self, payload: bytes) -> None:
        address, count = self._descriptors.buffer_info()
        frame = _frame(payload)
        self._send_to_each(address, count, frame, len(frame))

    async def accept(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        coming: set[asyncio.Task[None]] = set()
        while True:
            plug, _ = await asyncio.get_running_loop().sock_accept(listener)
            task = asyncio.create_task(self._quietly(plug))
            coming.add(task)
            task.add_done_callback(coming.discard)

    async def _quietly(self, plug: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it left again
            await self.let_in(plug)


def _rows(head: bytes) -> list[str]:
    return [row for row in head.decode("latin-1").split("\r\n")[1:] if ": " in row]


async def _serve(listener: socket.socket) -> None:
    floor = Floor()
    async with subscribed(Redis.from_url(os.environ["REDIS_URL"])) as heard:
        accepting = asyncio.create_task(floor.accept(listener))
        async for message in heard.listen():
            if message["type"] == "message":
                floor.send_to_each(message["data"])
        accepting.cancel()


def main(descriptor: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(socket.socket(fileno=descriptor)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
