"""Those who only hold the line: what they cost, when they go, and that others are served meanwhile."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.gateway import http_line
from livecommerce.gateway.api import read_body, refusal_response
from livecommerce.gateway.http_line import BODY_BYTES_PER_SECOND_MIN, HEAD_SECONDS_MAX, IDLE_SECONDS_MAX, LOOK_SECONDS
from livecommerce.settings import Settings
from tests.gateway.live import Live, live, seat, until

HEAD = b"GET /healthz HTTP/1.1\r\nHost: shop\r\n"
GET = HEAD + b"\r\n"


class House:
    """A running process, and endpoints that show what came of a request."""

    def __init__(self) -> None:
        self.one: Live = None  # type: ignore[assignment]  # until it runs
        self.bodies: list[bytes | R] = []
        self.go_on = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/healthz", lambda request: PlainTextResponse("ok")),
                Route("/body", self._body, methods=["POST"]),
                Route("/slow", self._slow),
                Route("/big", lambda request: PlainTextResponse("x" * 8_000_000)),
            ]
        )

    async def _body(self, request: Request) -> Response:
        try:
            self.bodies.append(await read_body(request, 100_000))
        except Refused as refused:
            self.bodies.append(refused.why)
            return refusal_response(refused)
        return PlainTextResponse("taken")

    async def _slow(self, request: Request) -> Response:
        await self.go_on.wait()
        return PlainTextResponse("at last")

    def has_begun(self) -> bool:
        return any(line._begun for line in self.one.hub.http_lines._open)

    def body_bytes(self) -> int:
        return sum(line._body_bytes for line in self.one.hub.http_lines._open)

    @property
    def lines(self) -> int:
        return len(self.one.hub.http_lines)

    async def line(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.one.port, limit=2**24)
        before = self.lines
        if data:
            writer.write(data)
            await writer.drain()
        await until(lambda: self.lines >= min(before, 1))
        return reader, writer

    async def is_served(self) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.one.port}") as client:
            assert (await client.get("/healthz")).text == "ok"


@contextlib.asynccontextmanager
async def house(redis: Redis, settings: Settings, **changed: Any) -> AsyncIterator[House]:
    found = House()
    async with live(redis, dataclasses.replace(settings, **changed), TestClock(), app=found.app) as one:
        found.one = one
        yield found
        found.go_on.set()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Everything up to the end of the line."""
    async with asyncio.timeout(10):
        data = b""
        with contextlib.suppress(ConnectionError):
            while more := await reader.read(65_536):
                data += more
        return data


async def test_a_line_that_says_nothing_ends(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings) as one:
        reader, writer = await one.line()
        await until(lambda: one.lines == 1)
        await one.one.clock.advance(IDLE_SECONDS_MAX - 2)
        assert one.lines == 1
        await one.one.clock.advance(4)
        assert await answer(reader) == b""
        await until(lambda: one.lines == 0)
        writer.close()


@pytest.mark.parametrize("begun", [b"G", HEAD, HEAD + b"X-Long: " + b"x" * 1000, b"\r\n"])
async def test_a_head_has_to_come_whole_in_time_however_its_bytes_trickle(
    redis: Redis, settings: Settings, begun: bytes
) -> None:
    async with house(redis, settings) as one:
        reader, writer = await one.line(begun)
        await until(one.has_begun)
        for _ in range(int(HEAD_SECONDS_MAX) + 2):
            writer.write(b"y")  # a byte a second keeps nothing alive
            await asyncio.sleep(0)
            await one.one.clock.advance(1)
        assert b"200" not in await answer(reader)
        await until(lambda: one.lines == 0)
        writer.close()


async def test_a_second_request_has_to_come_in_time_as_the_first(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings) as one:
        reader, writer = await one.line(GET)
        assert b"200 OK" in await reader.readuntil(b"ok")
        await one.one.clock.advance(HEAD_SECONDS_MAX + 2)  # idle between two requests is longer
        writer.write(GET)
        assert b"200 OK" in await reader.readuntil(b"ok")
        writer.write(HEAD)
        await until(one.has_begun)
        await one.one.clock.advance(HEAD_SECONDS_MAX + 2)
        assert await answer(reader) == b""
        writer.close()


def _post(size: int) -> bytes:
    return f"POST /body HTTP/1.1\r\nHost: shop\r\nContent-Length: {size}\r\n\r\n".encode()


async def test_a_body_that_stops_moving_is_cut_and_its_endpoint_hears_of_it(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings) as one:
        reader, writer = await one.line(_post(50_000) + b"a" * 100)
        for _ in range(int(LOOK_SECONDS) - 2):
            writer.write(b"a")
            await asyncio.sleep(0)
            await one.one.clock.advance(1)
        await one.one.clock.advance(LOOK_SECONDS * 2)
        said = await answer(reader)
        assert said.startswith(b"HTTP/1.1 408")
        assert b"100 malformed" in said
        await until(lambda: bool(one.bodies))
        assert one.bodies == [R.MALFORMED]
        await until(lambda: one.lines == 0)
        writer.close()


async def test_a_body_that_moves_may_take_its_time(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings) as one:
        reader, writer = await one.line(_post(90_000))
        piece = int(BODY_BYTES_PER_SECOND_MIN * LOOK_SECONDS) + 1
        sent = 0
        while sent < 90_000:
            part = b"a" * min(piece, 90_000 - sent)
            writer.write(part)
            await writer.drain()
            sent += len(part)
            await until(lambda: bool(one.bodies) or one.body_bytes() == sent)  # noqa: B023  it waits in this very turn
            await one.one.clock.advance(LOOK_SECONDS - 1)
        assert b"taken" in await reader.readuntil(b"taken")
        assert [len(body) for body in one.bodies if isinstance(body, bytes)] == [90_000]
        writer.close()


async def test_a_body_in_endless_chunk_words_or_trailers_is_cut(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings) as one:
        chunked = b"POST /body HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
        for endless in (b"1;word=" + b"x" * 200_000, b"0\r\n" + b"X: y\r\n" * 20_000):
            reader, writer = await one.line(chunked + endless)
            assert b"HTTP/1.1 4" in await answer(reader)
            writer.close()


async def test_as_many_bodies_as_may_come_at_once_do_and_the_next_is_told_when(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_line, "BODIES_MAX", 3)
    async with house(redis, settings) as one:
        held = [await one.line(_post(10) + b"abc") for _ in range(3)]
        await until(lambda: len(one.one.hub.http_lines._bodies) == 3)
        reader, writer = await one.line(_post(10) + b"abc")
        said = await answer(reader)
        assert said.startswith(b"HTTP/1.1 503")
        assert b"retry-after" in said
        for other, their in held:
            their.write(b"defghij")
            assert b"taken" in await other.readuntil(b"taken")
        await one.is_served()
        for _, their in [*held, (reader, writer)]:
            their.close()


async def test_an_answer_that_nobody_takes_is_given_up(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings) as one:
        reader, writer = await one.line()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /big HTTP/1.1\r\nHost: shop\r\n\r\n")
        await until(lambda: any(line.flow.write_paused for line in one.one.hub.http_lines._open))
        await one.one.clock.advance(LOOK_SECONDS * (http_line.STUCK_LOOKS_MAX + 3))
        await until(lambda: one.lines == 0)
        writer.close()
        assert reader is not None


async def test_where_lines_run_out_the_one_that_waited_longest_goes_and_work_is_never_cut(
    redis: Redis, settings: Settings
) -> None:
    async with house(redis, settings, http_lines_max=16) as one:
        slow, slow_writer = await one.line(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n")
        await until(lambda: len(one.one.hub.http_lines._waiting) == 0 and one.lines == 1)
        waiting = [await one.line() for _ in range(15)]
        await until(lambda: one.lines == 16)
        await one.is_served()
        assert await answer(waiting[0][0]) == b"", "the first of those who said nothing"
        assert one.lines <= 16
        one.go_on.set()
        assert b"at last" in await slow.readuntil(b"at last")
        for _, writer in [*waiting, (slow, slow_writer)]:
            writer.close()


async def test_where_all_are_at_work_a_newcomer_is_told_when_to_come_back(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings, http_lines_max=16) as one:
        at_work = [await one.line(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n") for _ in range(16)]
        await until(lambda: not one.one.hub.http_lines._waiting and one.lines == 16)
        reader, writer = await one.line()
        said = await answer(reader)
        assert said.startswith(b"HTTP/1.1 503")
        assert b"211 server_full" in said
        one.go_on.set()
        for other, _ in at_work:
            assert b"at last" in await other.readuntil(b"at last")
        for _, their in [*at_work, (reader, writer)]:
            their.close()


async def test_requests_sent_ahead_are_answered_in_order_up_to_a_bound(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings) as one:
        reader, writer = await one.line(GET * http_line.PIPELINE_MAX)
        said = b""
        while said.count(b"ok") < http_line.PIPELINE_MAX:
            said += await reader.read(65_536)
        many, many_writer = await one.line(GET * 2_000)
        assert (await answer(many)).count(b"200 OK") <= http_line.PIPELINE_MAX + 1
        await one.is_served()
        writer.close()
        many_writer.close()


async def test_hundreds_who_send_half_a_head_keep_nobody_out(redis: Redis, settings: Settings) -> None:
    async with house(redis, settings, http_lines_max=100) as one:
        lines = [await one.line(HEAD) for _ in range(300)]
        await until(lambda: one.lines <= 100)
        await one.is_served()
        raw, welcome = await seat(one.one, "ada")
        assert welcome.you.viewer_id == "ada"
        await one.one.clock.advance(HEAD_SECONDS_MAX + 2)
        await until(lambda: one.lines == 0)
        for _, writer in lines:
            writer.close()
        raw.close()
