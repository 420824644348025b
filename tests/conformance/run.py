"""Run a case against a real server through a plain socket, and say what was seen."""

import asyncio
import base64
import contextlib
import hashlib
import json
import socket as plain_socket

from tests.conformance.cases import CLOSE, HANDSHAKES, PING, PONG, TEXT, Case, frame, request
from tests.gateway.live import Live

WAIT_SECONDS = 30.0  # for a machine that is busy; nothing is measured
_PROBE = b"still there?"
_HELLO = frame(TEXT, b'{"t":"hello","token":"viewer.a","device":"desk"}')


class Plug:
    """A TCP connection that sends exactly what it is given."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._plug = plain_socket.socket()
        self._plug.setblocking(False)
        self._bytes = b""

    async def __aenter__(self) -> "Plug":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._plug.close()

    async def connect(self, port: int) -> None:
        await self._loop.sock_connect(self._plug, ("127.0.0.1", port))
        self._plug.setsockopt(plain_socket.IPPROTO_TCP, plain_socket.TCP_NODELAY, 1)

    async def send(self, data: bytes) -> None:
        """Whoever is closed meanwhile shows it by what is read."""
        with contextlib.suppress(ConnectionError):
            await self._loop.sock_sendall(self._plug, data)

    async def exactly(self, size: int) -> bytes:
        """Raises `EOFError` where the other side ends before."""
        while len(self._bytes) < size:
            await self._more()
        taken, self._bytes = self._bytes[:size], self._bytes[size:]
        return taken

    async def head(self) -> bytes:
        while b"\r\n\r\n" not in self._bytes:
            await self._more()
        taken, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        return taken

    async def _more(self) -> None:
        try:
            got = await self._loop.sock_recv(self._plug, 65_536)
        except ConnectionError:
            got = b""
        if not got:
            raise EOFError
        self._bytes += got

    async def frame(self) -> tuple[int, bytes]:
        first, second = await self.exactly(2)
        assert first & 0xF0 == 0x80, "the server neither fragments nor sets reserved bits"
        assert second < 0x80, "the server does not mask"
        size = second
        if size >= 126:
            size = int.from_bytes(await self.exactly(2 if size == 126 else 8), "big")
        return first & 0x0F, await self.exactly(size)


async def run(case: Case, live: Live) -> tuple[str, ...]:
    """What was seen, in the words of the table."""
    async with asyncio.timeout(WAIT_SECONDS), Plug() as plug:
        await plug.connect(live.port)
        if case.category == HANDSHAKES:
            return await _shake_hands(case, plug)
        await _take_seat(plug)
        await _send(plug, case.pieces)
        if case.expect == ("silent",):
            return await _only_silence(plug, live)
        await plug.send(frame(PING, _PROBE))
        return await _seen(plug)


async def _take_seat(plug: Plug) -> None:
    await plug.send(request())
    await plug.head()
    await plug.send(_HELLO)
    while json.loads((await plug.frame())[1])["t"] != "welcome":
        pass


async def _send(plug: Plug, pieces: tuple[bytes, ...]) -> None:
    for piece in pieces:
        await plug.send(piece)
        await asyncio.sleep(0)  # lets the server of the same loop read it


async def _only_silence(plug: Plug, live: Live) -> tuple[str, ...]:
    """Nothing can come of what was sent: whoever waits for the rest is closed as idle."""
    reading = asyncio.ensure_future(_seen(plug))
    while not reading.done():
        await live.clock.advance(live.hub.settings.ping_seconds)
    assert "answer" not in " ".join(seen := reading.result())
    assert seen[-2:] == ("close 4004", "end")
    return ("silent",)


async def _seen(plug: Plug) -> tuple[str, ...]:
    seen: list[str] = []
    while True:
        try:
            opcode, payload = await plug.frame()
        except EOFError:
            return (*seen, "end")
        if opcode == PONG:
            if payload == _PROBE:
                return (*seen, "open")
            seen.append(f"pong {payload.hex()}")
        elif opcode == CLOSE:
            seen.append(f"close {int.from_bytes(payload[:2], 'big') if payload else 'none'}")
            await plug.send(frame(CLOSE, payload[:2]))  # the polite answer, where ours was not the first
        elif opcode == TEXT:
            seen += _message(payload)


def _message(payload: bytes) -> list[str]:
    message = json.loads(payload)
    if message["t"] == "pong":
        return [f"answer {message['at']:.0f}"]
    if message["t"] == "refused" and message["re"] != "token":
        return [f"refused {message['number']}"]
    return []


async def _shake_hands(case: Case, plug: Plug) -> tuple[str, ...]:
    await _send(plug, case.pieces)
    try:
        head = (await plug.head()).decode("latin-1").split("\r\n")
    except EOFError:
        return ("end",)
    status = head[0].split()[1]
    headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in head[1:])}
    if status != "101":
        return (status,)
    assert base64.b64decode(headers["sec-websocket-accept"]) == _accepted(), "the answer is made from the key"
    assert "sec-websocket-extensions" not in headers
    if len(case.expect) == 1:
        return (status,)
    await plug.send(frame(PING, _PROBE))
    seen = await _seen(plug)
    return (status, *(each for each in seen if each != "open"))


def _accepted() -> bytes:
    return hashlib.sha1(base64.b64encode(b"0123456789abcdef") + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
