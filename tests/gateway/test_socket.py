"""The socket class on the wire: handshake, frames, closes. Every case is bytes on a real connection."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from websockets.frames import Frame, Opcode

from livecommerce.clock import TestClock
from livecommerce.errors import Close, R, Refused
from livecommerce.gateway.socket import STRIKES_MAX
from livecommerce.protocol.codec import JSON, MSGPACK, encode
from livecommerce.protocol.from_viewer import Hello, Ping, Say, Token
from livecommerce.protocol.to_viewer import Bye, Pong, RefusedMessage, Talk, Welcome
from livecommerce.settings import Settings
from tests.gateway.live import SHOW, Live, connect, handshake, live, seat, until


@pytest.fixture
async def one(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Live]:
    async with live(redis, settings, clock) as running:
        yield running


class TestHandshake:
    @pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
    async def test_the_subprotocol_asked_for_is_the_one_spoken(self, one: Live, subprotocol: str) -> None:
        status, headers, raw = await handshake(one.port, token="viewer.a", subprotocol=subprotocol)
        assert (status, headers["sec-websocket-protocol"]) == (101, subprotocol)
        assert "sec-websocket-extensions" not in headers
        assert (await raw.hello()).you.viewer_id == "a"

    async def test_without_a_subprotocol_the_socket_speaks_json(self, one: Live) -> None:
        status, headers, raw = await handshake(one.port, subprotocol=None)
        assert status == 101
        assert "sec-websocket-protocol" not in headers
        assert isinstance(await raw.hello(token="viewer.a"), Welcome)

    async def test_deflate_is_never_negotiated(self, one: Live) -> None:
        status, headers, _ = await handshake(
            one.port, headers={"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
        )
        assert status == 101
        assert "sec-websocket-extensions" not in headers

    async def test_an_unknown_subprotocol_is_refused(self, one: Live) -> None:
        status, _, _ = await handshake(one.port, subprotocol="soap")
        assert status == R.MALFORMED.value.status
        assert one.hub.admission.sockets == 0

    async def test_a_foreign_origin_is_refused(self, one: Live) -> None:
        status, _, _ = await handshake(one.port, token="viewer.a", headers={"Origin": "https://evil.example"})
        assert status == R.ORIGIN.value.status
        assert one.hub.admission.sockets == 0

    async def test_our_own_origin_may_enter(self, one: Live) -> None:
        status, _, _ = await handshake(one.port, headers={"Origin": f"http://127.0.0.1:{one.port}"})
        assert status == 101

    async def test_a_cookie_without_an_origin_is_refused(self, one: Live) -> None:
        status, _, _ = await handshake(one.port, headers={"Cookie": "lc_viewer=x"})
        assert status == R.ORIGIN.value.status

    @pytest.mark.parametrize("missing", ["Sec-WebSocket-Key", "Sec-WebSocket-Version"])
    async def test_an_upgrade_that_is_no_websocket_request_gets_4xx(self, one: Live, missing: str) -> None:
        status, _, _ = await handshake(one.port, headers={missing: ""})
        assert 400 <= status < 500
        assert one.hub.admission.sockets == 0

    async def test_other_paths_are_served_by_uvicorns_own_class(self, one: Live) -> None:
        status, _, raw = await handshake(one.port, "/echo", subprotocol=None)
        assert status == 101
        raw.write(Opcode.TEXT, b"hello")
        assert await raw.frame() == (Opcode.TEXT, b"hello")


class TestAdmission:
    async def test_beyond_the_cap_a_socket_is_told_when_to_come_back(self, redis: Redis, settings: Settings) -> None:
        async with live(redis, _with(settings, sockets_max=1)) as one:
            _, _, first = await handshake(one.port)
            status, headers, _ = await handshake(one.port)
            first.close()
            assert status == R.SERVER_FULL.value.status
            assert int(headers["retry-after"]) >= 1

    async def test_beyond_the_accept_rate_a_socket_is_told_when_to_come_back(
        self, redis: Redis, settings: Settings
    ) -> None:
        async with live(redis, _with(settings, accepts_per_second=2)) as one:
            statuses = [(await handshake(one.port))[0] for _ in range(3)]
            assert statuses == [101, 101, R.TOO_MANY.value.status]
            await one.clock.advance(1)
            assert (await handshake(one.port))[0] == 101

    async def test_one_address_has_a_bound_of_its_own(self, redis: Redis, settings: Settings) -> None:
        settings = _with(settings, sockets_per_address_max=1, trusted_proxies=("127.0.0.1",))
        async with live(redis, settings) as one:
            near = {"X-Forwarded-For": "203.0.113.7"}
            status, _, first = await handshake(one.port, headers=near)
            assert status == 101
            assert (await handshake(one.port, headers=near))[0] == R.TOO_MANY.value.status
            assert (await handshake(one.port, headers={"X-Forwarded-For": "203.0.113.8"}))[0] == 101
            first.close()

    async def test_a_socket_that_leaves_is_counted_out(self, one: Live) -> None:
        raw = await connect(one.port)
        assert one.hub.admission.sockets == 1
        raw.close()
        await until(lambda: one.hub.admission.sockets == 0)


def _with(settings: Settings, **changed: object) -> Settings:
    return dataclasses.replace(settings, **changed)  # type: ignore[arg-type]


class TestHello:
    async def test_no_hello_in_time_closes(self, one: Live) -> None:
        raw = await connect(one.port)
        await until(lambda: len(one.hub.wheel) == 1)
        await one.clock.advance(one.hub.settings.hello_seconds + 2)
        messages = await raw.read_all()
        assert [type(message) for message in messages] == [Bye]
        assert raw.close_code == Close.TOO_LATE

    @pytest.mark.parametrize(
        ("token", "number", "code"),
        [
            ("nobody.a", R.TOKEN_INVALID, Close.TOKEN_INVALID),
            ("", R.SIGN_IN, Close.TOKEN_INVALID),
            ("expired.a", R.TOKEN_EXPIRED, Close.TOKEN_EXPIRED),
        ],
    )
    async def test_a_token_that_is_not_valid_closes_with_its_number(
        self, one: Live, token: str, number: R, code: Close
    ) -> None:
        raw = await connect(one.port)
        raw.send(Hello(token=token))
        refused, bye = await raw.read_all()
        assert isinstance(refused, RefusedMessage)
        assert (refused.re, refused.number) == ("hello", number.value.number)
        assert isinstance(bye, Bye)
        assert (bye.after_ms is not None) == code.come_back
        assert raw.close_code == code
        assert not one.hub.rooms

    async def test_an_unknown_show_closes_with_its_own_code(self, one: Live) -> None:
        raw = await connect(one.port, "shw_none", token="viewer.a")
        raw.send(Hello())
        await raw.read_all()
        assert raw.close_code == Close.NOT_FOUND
        assert not one.hub.rooms

    @pytest.mark.parametrize(
        ("why", "code"),
        [(R.NOT_INVITED, Close.FORBIDDEN), (R.BANNED, Close.BANNED), (R.SHOW_OVER, Close.SHOW_OVER)],
    )
    async def test_a_show_that_does_not_let_her_in_says_why(self, one: Live, why: R, code: Close) -> None:
        one.shows.refuse_entry = Refused(why)
        raw = await connect(one.port, token="viewer.a")
        raw.send(Hello())
        refused, _ = await raw.read_all()
        assert isinstance(refused, RefusedMessage)
        assert refused.number == why.value.number
        assert raw.close_code == code

    async def test_anything_before_hello_is_refused_and_does_nothing(self, one: Live) -> None:
        raw = await connect(one.port, token="viewer.a")
        raw.send(Say("c1", "too early"))
        refused = await raw.read_until(RefusedMessage)
        assert (refused.re, refused.number) == ("c1", R.MALFORMED.value.number)
        assert isinstance(await raw.hello(), Welcome)

    async def test_a_second_hello_is_refused(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        raw.send(Hello())
        assert (await raw.read_until(RefusedMessage)).re == "hello"

    async def test_of_one_identity_the_oldest_socket_goes(self, redis: Redis, settings: Settings) -> None:
        async with live(redis, _with(settings, sockets_per_viewer_max=2)) as one:
            first, _ = await seat(one, "a")
            second, _ = await seat(one, "a")
            await seat(one, "a")
            await seat(one, "b")
            await first.read_all()
            assert first.close_code == Close.ELSEWHERE
            second.send(Ping(1))
            assert (await second.read_until(Pong)).at == 1


class TestFrames:
    async def test_a_fragmented_message_with_a_ping_between_its_fragments(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        data = encode(Ping(7.0), MSGPACK)
        raw.write(Opcode.BINARY, data[:3], fin=False)
        raw.write(Opcode.PING, b"are you there")
        raw.write(Opcode.CONT, data[3:5], fin=False)
        raw.write(Opcode.CONT, data[5:])
        seen = [await raw.frame(), await raw.frame()]
        assert (Opcode.PONG, b"are you there") in seen
        assert Opcode.BINARY in [opcode for opcode, _ in seen]

    async def test_a_frame_that_comes_byte_by_byte_is_one_message(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        for byte in Frame(Opcode.BINARY, encode(Ping(3.0), MSGPACK)).serialize(mask=True):
            raw.writer.write(bytes([byte]))
            await raw.writer.drain()
            await asyncio.sleep(0)
        assert (await raw.read_until(Pong)).at == 3.0

    async def test_many_messages_in_one_segment_are_answered_in_order(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        for number in range(5):
            raw.send(Ping(float(number)))
        assert [(await raw.read_until(Pong)).at for _ in range(5)] == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize(
        ("name", "code"),
        [("oversize", 1009), ("oversize in fragments", 1009), ("reserved bit", 1002), ("bad utf-8", 1007),
         ("continuation of nothing", 1002), ("unmasked", 1002), ("long ping", 1002), ("unknown opcode", 1002)],
    )  # fmt: skip
    async def test_what_breaks_the_protocol_closes_with_its_code(self, one: Live, name: str, code: int) -> None:
        raw, _ = await seat(one, "a", subprotocol=JSON)
        neighbour, _ = await seat(one, "b")
        match name:
            case "oversize":
                raw.write(Opcode.TEXT, b"x" * 4097)
            case "oversize in fragments":
                raw.write(Opcode.TEXT, b"x" * 3000, fin=False)
                raw.write(Opcode.CONT, b"x" * 3000)
            case "reserved bit":
                raw.writer.write(b"\xc1\x80\x00\x00\x00\x00")
            case "bad utf-8":
                raw.write(Opcode.TEXT, b'{"t":"say","cid":"a","text":"\xff"}')
            case "continuation of nothing":
                raw.write(Opcode.CONT, b"x")
            case "unmasked":
                raw.writer.write(b"\x81\x02{}")
            case "long ping":
                raw.writer.write(b"\x89\xfe\x00\x80\x00\x00\x00\x00" + b"x" * 128)
            case "unknown opcode":
                raw.writer.write(b"\x83\x80\x00\x00\x00\x00")
        await raw.read_all()
        assert raw.close_code == code
        assert await raw.ended()
        neighbour.send(Ping(1))
        assert (await neighbour.read_until(Pong)).at == 1

    async def test_a_close_is_answered_with_its_code_and_the_line_ends(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        raw.write(Opcode.CLOSE, (1000).to_bytes(2, "big") + b"bye")
        await raw.read_all()
        assert raw.close_code == 1000
        assert await raw.ended()
        await until(lambda: one.hub.admission.sockets == 0)

    async def test_a_peer_that_never_answers_our_close_is_cut(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        one.hub.rooms[SHOW].sockets_of("a")[0].close(Close.RESYNC, "again", 0)
        await raw.read_all()
        assert one.hub.admission.sockets == 1
        await one.clock.advance(7)
        await until(lambda: one.hub.admission.sockets == 0)

    async def test_text_in_the_binary_subprotocol_is_refused(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        raw.write(Opcode.TEXT, b"{}")
        assert (await raw.read_until(RefusedMessage)).number == R.MALFORMED.value.number

    @pytest.mark.parametrize(
        ("data", "re"),
        [
            (b"", "message"),
            (b"null", "message"),
            (b"[1,2]", "message"),
            (b"{" * 2000, "message"),
            (b'{"t":"buy_everything"}', "buy_everything"),
            (b'{"t":"say","cid":"c9","text":5}', "c9"),
            (b'{"t":"reserve","rid":"rid_00000001","lines":[]}', "rid_00000001"),
            (b'{"t":"reserve","rid":"rid_00000001","lines":[{"deal_id":"d","qty":1e400}]}', "rid_00000001"),
        ],
    )
    async def test_what_is_no_message_is_refused_by_name(self, one: Live, data: bytes, re: str) -> None:
        raw, _ = await seat(one, "a", subprotocol=JSON)
        raw.write(Opcode.TEXT, data)
        refused = await raw.read_until(RefusedMessage)
        why = R.UNKNOWN_TYPE if re == "buy_everything" else R.MALFORMED
        assert (refused.number, refused.re) == (why.value.number, re)

    async def test_again_and_again_no_messages_ends_the_connection(self, one: Live) -> None:
        raw, _ = await seat(one, "a", subprotocol=JSON)
        for _ in range(STRIKES_MAX):
            raw.write(Opcode.TEXT, b"junk")
        messages = await raw.read_all()
        assert isinstance(messages[-1], Bye)
        assert messages[-1].after_ms is None
        assert raw.close_code == Close.BROKE_RULES


class TestSignsOfLife:
    async def test_a_silent_peer_is_closed_as_idle(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        for _ in range(8):
            await one.clock.advance(one.hub.settings.ping_seconds / 2 + 1)
        await raw.read_all()
        assert raw.close_code == Close.IDLE

    async def test_a_pong_keeps_the_line(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        for _ in range(8):
            await one.clock.advance(one.hub.settings.ping_seconds / 2 + 1)
            raw.write(Opcode.PONG, b"")
            raw.write(Opcode.PING, b"round")
            while await raw.frame() != (Opcode.PONG, b"round"):
                pass
        assert one.hub.admission.sockets == 1

    async def test_the_end_of_a_token_is_announced_and_then_closes(self, one: Live) -> None:
        one.door.life_ms = 60_000
        raw, _ = await seat(one, "a")
        messages: list[Any] = []
        while not raw.close_code:  # each answered before the clock goes on: she was never silent for long
            await one.clock.advance(7)
            raw.send(Ping(1.0))
            while (message := await raw.read()) is not None and not isinstance(message, Pong):
                messages.append(message)
        warning = next(message for message in messages if isinstance(message, RefusedMessage))
        assert (warning.re, warning.number) == ("token", R.TOKEN_EXPIRED.value.number)
        assert raw.close_code == Close.TOKEN_EXPIRED

    async def test_a_renewed_token_keeps_the_line(self, one: Live) -> None:
        one.door.life_ms = 60_000
        raw, _ = await seat(one, "a")
        await one.clock.advance(20)
        one.door.life_ms = 600_000
        raw.send(Token("viewer.a"))
        raw.send(Ping(2.0))
        await raw.read_until(Pong)
        for _ in range(9):
            await one.clock.advance(7)
            raw.send(Ping(1.0))
            await raw.read_until(Pong)
        assert one.hub.admission.sockets == 1

    async def test_a_token_of_somebody_else_is_refused(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        raw.send(Token("viewer.b"))
        refused = await raw.read_until(RefusedMessage)
        assert (refused.re, refused.number) == ("token", R.TOKEN_INVALID.value.number)


async def test_the_same_frame_object_goes_to_every_viewer_and_nothing_of_the_request_stays(one: Live) -> None:
    raw, _ = await seat(one, "a")
    socket = one.hub.rooms[SHOW].sockets_of("a")[0]
    assert not hasattr(socket, "__dict__")
    assert (socket.token, socket.cookie) == ("", "")
    raw.send(Say("c1", "hello"))
    assert (await raw.read_until(Talk)).lines[0].text == "hello"
