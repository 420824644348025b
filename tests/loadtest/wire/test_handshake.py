"""Opening a line: every way in which a server says no, says nothing, or says something else."""

import asyncio
import base64
import hashlib
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from livecommerce.certificate import own_certificate
from loadtest.wire.handshake import HEAD_BYTES_MAX, LineRefused, Opened, open_line

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def _accepted(request: bytes) -> bytes:
    found = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
    assert found is not None
    proof = base64.b64encode(hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nsec-websocket-accept: "
        + proof + b"\r\n\r\n"
    )  # fmt: skip


@asynccontextmanager
async def _server(
    answer: Answer | bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[tuple[str, int], list[bytes]]]:
    """(its address, the requests it got). Bytes are sent as they are, and the line is closed."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if isinstance(answer, bytes):
            writer.write(answer)
        else:
            await answer(requests[-1], writer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[:2], requests
    finally:
        server.close()


async def _let_in(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(_accepted(request) + b"\x82\x02hi")


async def _open(address: tuple[str, int], **more: object) -> Opened:
    return await open_line(address, f"shop.example:{address[1]}", "/live/shw_1", [("Origin", "http://x")], **more)  # type: ignore[arg-type]


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_an_upgrade_gives_a_plug_that_does_not_block_and_what_came_behind_the_answer() -> None:
    async with _server(_let_in) as (address, requests):
        plug, rest, status = await _open(address)

        assert (rest, status) == (b"\x82\x02hi", 101)
        assert not plug.getblocking()
        assert plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert requests[0].startswith(b"GET /live/shw_1 HTTP/1.1\r\nHost: shop.example:")
        assert b"\r\nOrigin: http://x\r\n" in requests[0]
        plug.close()


async def test_an_answer_may_come_in_pieces() -> None:
    async def slowly(request: bytes, writer: asyncio.StreamWriter) -> None:
        for byte in _accepted(request):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)

    async with _server(slowly) as (address, _):
        opened = await _open(address)
        assert opened.rest == b""
        opened.plug.close()


@pytest.mark.parametrize(
    ("answer", "status", "words", "retry_after"),
    [
        (
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 4\r\nContent-Length: 12\r\n\r\n1202 full: x",
            503, "1202 full: x", 4.0,
        ),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 900\r\n\r\nno", 403, "no", None),
        (b"HTTP/1.1 404 Not Found\r\nRetry-After: inf\r\n\r\n", 404, "the upgrade was refused", None),
        (b"HTTP/1.1 429 Slow\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n", 429, "refused", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello", 200, "hello", None),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "not to WebSocket", None),
        (b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: bm90IHlvdXJz\r\n\r\n", 101, "not to WebSocket", None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 0, "does not speak HTTP/1.1", None),
        (b"HTTP/1.1 abc\r\n\r\n", 0, "no status", None),
        (b"HTTP/1.1 200 " + b"x" * HEAD_BYTES_MAX * 5, 0, "more than", None),
    ],
)  # fmt: skip
async def test_a_server_that_says_no_is_quoted_and_the_plug_closed(
    answer: bytes, status: int, words: str, retry_after: float | None
) -> None:
    async with _server(answer) as (address, _):
        before = _descriptors()
        with pytest.raises(LineRefused) as raised:
            await _open(address)

        assert raised.value.status == status
        assert words in raised.value.words
        assert raised.value.retry_after == retry_after
        assert _descriptors() <= before + 1  # the server's own end may not be closed yet


@pytest.mark.parametrize(("answer", "words"), [(b"", "before the answer"), (b"HTTP/1.1 10", "in the middle")])
async def test_a_server_that_hangs_up_is_an_error_of_the_line(answer: bytes, words: str) -> None:
    async with _server(answer) as (address, _):
        with pytest.raises(ConnectionResetError, match=words):
            await _open(address)


async def test_nobody_there_is_an_error_of_the_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()
    with pytest.raises(ConnectionRefusedError):
        await _open(address)


async def test_a_server_that_never_answers_is_waited_for_so_long_and_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before = _descriptors()
        with pytest.raises(TimeoutError):
            await _open(silent.getsockname(), open_seconds_max=0.0)
        assert _descriptors() == before


async def test_cancelling_closes_the_plug() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before = _descriptors()
        opening = asyncio.create_task(_open(silent.getsockname()))
        end, _ = await asyncio.to_thread(silent.accept)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        end.close()
        assert _descriptors() == before


async def test_a_small_receive_buffer_is_small() -> None:
    async with _server(_let_in) as (address, _):
        opened = await _open(address, receive_buffer_bytes=4096)

        assert opened.plug.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 3 * 4096
        opened.plug.close()


async def test_a_line_may_come_from_another_address_of_ours() -> None:
    async with _server(_let_in) as (address, _):
        opened = await _open(address, source_address=("127.0.0.2", 0))

        assert opened.plug.getsockname()[0] == "127.0.0.2"
        opened.plug.close()


def _tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    certificate, key = own_certificate(folder, ["shop.example"])
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    return serving, ssl.create_default_context(cafile=str(certificate))


async def test_over_tls_the_certificate_is_checked_for_the_hosts_name(tmp_path: Path) -> None:
    serving, trusting = _tls(tmp_path)
    async with _server(_let_in, serving) as (address, _):
        opened = await _open(address, tls=trusting)
        assert isinstance(opened.plug, ssl.SSLSocket)
        assert opened.rest == b"\x82\x02hi"
        opened.plug.close()

        before = _descriptors()
        with pytest.raises(ssl.SSLCertVerificationError):
            await open_line(address, "other.example", "/live/shw_1", [], tls=trusting)
        assert _descriptors() <= before + 1


async def test_a_server_without_tls_is_an_error_of_the_line(tmp_path: Path) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    _, trusting = _tls(tmp_path)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with pytest.raises(OSError):
        await _open(server.sockets[0].getsockname(), tls=trusting)
    server.close()


def test_many_lines_open_at_once_on_uvloop() -> None:
    async def open_many() -> None:
        async with _server(_let_in) as (address, _):
            lines = await asyncio.gather(*(_open(address) for _ in range(50)))
            assert [line.rest for line in lines] == [b"\x82\x02hi"] * 50
            for line in lines:
                line.plug.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(open_many())
