"""Opening many lines without a thread or a task's worth of library for each: connect, TLS, upgrade, on one loop.

What arrives: a resolved address and the request's path and headers. What leaves: a plug that does not block, with the
bytes that came behind the answer; or why the server said no. It does not know messages, tokens or receivers.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

HEAD_BYTES_MAX = 16_384
_WORDS_BYTES_MAX = 2_000
OPEN_SECONDS_MAX = 10.0
_RECEIVE_BYTES = 65_536
_ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
# So that the kernel picks the port when it knows the other end too: more than 28,000 lines then fit on one source
# address. Linux; Python names it from 3.12 on.
_BIND_ADDRESS_NO_PORT = 24
T = TypeVar("T")


class LineRefused(Exception):
    """The server answered, but not with an upgrade. `status` is 0 where the answer was no HTTP at all."""

    def __init__(self, status: int, words: str, retry_after: float | None = None) -> None:
        self.status = status
        self.words = words
        self.retry_after = retry_after  # seconds
        super().__init__(f"{status} {words}")


class Opened(NamedTuple):
    """`plug` is the caller's to close; under TLS it is an `ssl.SSLSocket`. `rest` came with the answer."""

    plug: socket.socket
    rest: bytes
    status: int


class _Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


async def open_line(
    address: tuple[str, int],
    host_header: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    receive_buffer_bytes: int = 0,
    tls: ssl.SSLContext | None = None,
    source_address: tuple[str, int] | None = None,
    *,
    open_seconds_max: float = OPEN_SECONDS_MAX,
) -> Opened:
    """One WebSocket line to `address`, whose host is an IP address. `receive_buffer_bytes` 0 leaves it to the kernel.

    Raises `LineRefused` where the server said no, `OSError` (with it `TimeoutError`) where no answer came. Cancelled or
    refused, nothing stays open.
    """
    plug = _plug(address, receive_buffer_bytes, source_address)
    try:
        async with asyncio.timeout(open_seconds_max):
            await asyncio.get_running_loop().sock_connect(plug, address)
            if tls is not None:
                plug = await _wrap(plug, tls, urlsplit(f"//{host_header}").hostname or host_header)
            key = base64.b64encode(os.urandom(16))
            await _send(plug, _request(host_header, path, headers, key))
            answer = await _receive_answer(plug)
        _refuse_what_is_no_upgrade(answer, key)
    except BaseException:
        plug.close()
        raise
    return Opened(plug, answer.body, answer.status)


def _plug(address: tuple[str, int], receive_buffer_bytes: int, source_address: tuple[str, int] | None) -> socket.socket:
    plug = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        plug.setblocking(False)
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer_bytes:
            # Before it connects: the window's scale is settled then.
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        if source_address is not None:
            with contextlib.suppress(OSError):
                plug.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            plug.bind(source_address)
    except BaseException:
        plug.close()
        raise
    return plug


def _request(host_header: str, path: str, headers: Sequence[tuple[str, str]], key: bytes) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1", f"Host: {host_header}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key.decode()}",
        *(f"{name}: {value}" for name, value in headers),
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


# --- the plug without waiting in it ---------------------------------------------------------------------------------


async def _wrap(plug: socket.socket, tls: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    wrapped = tls.wrap_socket(plug, server_hostname=name, do_handshake_on_connect=False)
    try:
        await _when_ready(wrapped, wrapped.do_handshake)
    except BaseException:
        wrapped.close()
        raise
    return wrapped


async def _send(plug: socket.socket, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[await _when_ready(plug, lambda: plug.send(rest)) :]  # noqa: B023  # called before it changes


async def _receive_answer(plug: socket.socket) -> _Answer:
    """The head, and what came behind it: of an upgrade the first frames, else as much of the body as was promised."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > HEAD_BYTES_MAX:
            raise LineRefused(0, f"the answer's head has more than {HEAD_BYTES_MAX} bytes")
        part = await _when_ready(plug, lambda: plug.recv(_RECEIVE_BYTES))
        if not part:
            raise ConnectionResetError(f"the line closed {'in the middle of' if data else 'before'} the answer")
        data += part
        if not b"HTTP/1.1 ".startswith(data[:9]):
            raise LineRefused(0, "what answers there does not speak HTTP/1.1")
    answer = _answer(data)
    promised = answer.headers.get("content-length", "0")
    wanted = min(int(promised) if promised.isdecimal() else 0, _WORDS_BYTES_MAX)
    body = answer.body
    while answer.status != 101 and len(body) < wanted:
        part = await _when_ready(plug, lambda: plug.recv(_RECEIVE_BYTES))
        if not part:
            break
        body += part
    return answer._replace(body=body)


def _answer(data: bytes) -> _Answer:
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *rows = head.decode("latin-1").split("\r\n")
    status = first[9:12]
    if not status.isdecimal():
        raise LineRefused(0, "the answer has no status")
    pairs = (row.partition(":") for row in rows)
    return _Answer(int(status), {name.strip().lower(): value.strip() for name, _, value in pairs}, rest)


def _refuse_what_is_no_upgrade(answer: _Answer, key: bytes) -> None:
    if answer.status != 101:
        words = answer.body[:_WORDS_BYTES_MAX].decode("utf-8", "replace").strip() or "the upgrade was refused"
        raise LineRefused(answer.status, words, _seconds(answer.headers.get("retry-after", "")))
    proof = binascii.b2a_base64(hashlib.sha1(key + _ACCEPT_SALT).digest(), newline=False).decode()
    if answer.headers.get("sec-websocket-accept") != proof:
        raise LineRefused(101, "the server switched protocols, but not to WebSocket")


def _seconds(text: str) -> float | None:
    # A date, which HTTP allows here too, is nothing our server sends.
    return float(text) if text.isdecimal() else None


async def _when_ready(plug: socket.socket, attempt: Callable[[], T]) -> T:
    """What `attempt` returns, tried again whenever the plug is ready for what it wanted."""
    while True:
        try:
            return attempt()
        except ssl.SSLWantWriteError:
            await _until(plug, writable=True)
        except (BlockingIOError, ssl.SSLWantReadError):
            # A plain send finds the buffer full only on a line that is not ours any more; reading is what we wait for.
            await _until(plug, writable=False)


async def _until(plug: socket.socket, *, writable: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    (loop.add_writer if writable else loop.add_reader)(plug.fileno(), wake)
    try:
        await ready
    finally:
        (loop.remove_writer if writable else loop.remove_reader)(plug.fileno())
