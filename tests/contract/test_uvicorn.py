"""The contract with uvicorn's WebSocket class interface, which it does not document: whoever moves the pin reads this.

What the hub relies on, each a test: the version; the order of the calls; that only the 101 answer is written before the
transport is ours; that other paths still reach ASGI; that `shutdown` is called and waited for; that plain HTTP on the
same port is untouched.
"""

import asyncio
import inspect
import ssl
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop
from redis.asyncio import Redis
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.frames import Opcode

from livecommerce.certificate import own_certificate
from livecommerce.clock import TestClock
from livecommerce.errors import Close
from livecommerce.protocol.facts import Note
from livecommerce.protocol.to_viewer import Bye, State
from livecommerce.settings import Settings
from tests.gateway.live import SHOW, handshake, live, seat, until


def test_the_minor_version_is_pinned_and_is_the_one_read() -> None:
    assert version("uvicorn").startswith("0.54.")
    assert any("uvicorn" in row and "<0.55" in row and ">=0.54.0" in row for row in requires("livecommerce") or ())


def test_a_class_is_accepted_as_ws_and_stays_the_class() -> None:
    class Ours(asyncio.Protocol):
        pass

    config = uvicorn.Config(_nothing, ws=Ours, lifespan="off")  # type: ignore[arg-type]
    config.load()
    assert config.ws_protocol_class is Ours


async def _nothing(scope: object, receive: object, send: object) -> None:
    """An application that is never called."""


@pytest.mark.parametrize("http", [H11Protocol, HttpToolsProtocol])
def test_the_http_protocols_hand_over_as_we_expect(http: type[Any]) -> None:
    source = inspect.getsource(http.handle_websocket_upgrade)
    order = [
        "self.connections.discard(self)", "self.ws_protocol_class(", "config=", "server_state=", "app_state=",
        "connection_made(", "data_received(", "set_protocol(",
    ]  # fmt: skip
    places = [source.index(step) for step in order]
    assert places == sorted(places)


def test_their_own_class_is_built_with_the_same_three_arguments() -> None:
    parameters = list(inspect.signature(WebSocketsSansIOProtocol.__init__).parameters)
    assert parameters[1:4] == ["config", "server_state", "app_state"]


@pytest.mark.parametrize("http", ["h11", "httptools"])
class TestRunning:
    async def test_the_hub_other_sockets_and_plain_http_share_one_port(
        self, redis: Redis, settings: Settings, http: str
    ) -> None:
        async with live(redis, settings, http=http) as one:
            raw, welcome = await seat(one, "a")
            assert welcome.you.viewer_id == "a"
            status, _, echo = await handshake(one.port, "/echo?x=1", subprotocol=None)
            assert status == 101
            echo.write(Opcode.TEXT, b"still theirs")
            assert await echo.frame() == (Opcode.TEXT, b"still theirs")
            echo.write(Opcode.CLOSE, (1000).to_bytes(2, "big"))
            assert (await echo.frame())[0] == Opcode.CLOSE
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{one.port}") as client:
                assert (await client.get("/healthz")).text == "ok"
                assert (await client.get("/live/shw_1")).status_code == 404
            assert raw is not None

    async def test_an_unknown_websocket_path_is_refused_by_asgi(
        self, redis: Redis, settings: Settings, http: str
    ) -> None:
        async with live(redis, settings, http=http) as one:
            assert (await handshake(one.port, "/nowhere"))[0] == 403
            assert (await handshake(one.port, "/live/"))[0] == 403
            assert (await handshake(one.port, "/live/a/b"))[0] == 403
            await until(lambda: one.hub.admission.sockets == 0)

    async def test_shutdown_says_goodbye_in_words_and_waits_for_every_connection(
        self, redis: Redis, settings: Settings, http: str
    ) -> None:
        async with live(redis, settings, http=http) as one:
            raws = [(await seat(one, f"v{n}"))[0] for n in range(3)]
            one.server.should_exit = True
            for raw in raws:
                bye = (await raw.read_all())[-1]
                assert isinstance(bye, Bye)
                assert raw.close_code == Close.MOVING
                raw.write(Opcode.CLOSE, Close.MOVING.to_bytes(2, "big"))
                assert await raw.ended()
            await until(lambda: not one.server.server_state.connections)


async def test_a_new_socket_is_refused_while_the_process_drains(redis: Redis, settings: Settings) -> None:
    async with live(redis, settings) as one:
        await one.hub.drain()
        raw, _ = await _try(one.port)
        assert raw == 101
        one.hub.drain_soon(next(iter(one.hub._sockets)))
        status, headers = await _try(one.port)
        assert status == 503
        assert int(headers["retry-after"]) >= 1


async def _try(port: int) -> tuple[int, dict[str, str]]:
    status, headers, raw = await handshake(port, token="viewer.a")
    _kept.append(raw)
    return status, headers


_kept: list[object] = []  # a writer that is collected closes its connection


def test_under_uvloop_direct_writes_and_the_transport_keep_the_order(valkey_socket: str, settings: Settings) -> None:
    async def run() -> None:
        redis = Redis(unix_socket_path=valkey_socket)
        await redis.flushall()
        async with live(redis, settings, TestClock()) as one:
            raw, _ = await seat(one, "a", receive_bytes=4096)
            for _ in range(20):
                await one.shows.news.publish(SHOW, [Note("n" * 190)] * 25, 0)
            seen: list[int] = []
            while len(seen) < 500:
                seen += [event.offset for event in (await raw.read_until(State)).events]
            assert seen == list(range(1, 501))
            socket = one.hub.rooms[SHOW].sockets_of("a")[0]
            await until(lambda: socket.outbox.direct >= 0)
        await redis.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def test_under_tls_nothing_is_ever_written_past_the_transport(
    redis: Redis, settings: Settings, tmp_path: Path
) -> None:
    certificate, key = own_certificate(tmp_path, ["127.0.0.1"])
    async with live(redis, settings, ssl_certfile=str(certificate), ssl_keyfile=str(key)) as one:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async with connect(
            f"wss://127.0.0.1:{one.port}/live/{SHOW}",
            ssl=context,
            subprotocols=["livecommerce.v1.json"],  # type: ignore[list-item]
        ) as client:
            await client.send('{"t":"hello","token":"viewer.a"}')
            assert '"welcome"' in str(await client.recv())
            socket = one.hub.rooms[SHOW].sockets_of("a")[0]
            assert socket.outbox.direct == -1
            await one.shows.news.publish(SHOW, [Note("over tls")], 0)
            while "over tls" not in str(await client.recv()):
                pass
