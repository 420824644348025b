"""Answers that many share: made once with every check of the application, told to all who ask for the same address; and
whatever is not plainly the same takes the long way."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from livecommerce.clock import TestClock
from livecommerce.gateway.access import AccessLog
from livecommerce.gateway.http_line import HttpLines, make_http_line
from livecommerce.gateway.shared_answers import MEDIA_KEPT_SECONDS, PLAYLIST_KEPT_SECONDS, SLICE_SECONDS, SharedAnswers
from livecommerce.gateway.wheel import Wheel

LIVE = "/video/shw_1/open/live.m3u8?_HLS_msn=3&_HLS_part=1"
PART = "/video/shw_1/open/7.m4s"
SOUND = "/video/shw_1/open/sound/7.m4s"


@dataclass
class House:
    """An application that counts what it is asked, and answers when it is let."""

    clock: TestClock
    lines: HttpLines
    port: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    let: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 200
    fails: bool = False

    async def serve(self, request: Request) -> Response:
        self.asked.append((request.url.path, request.url.query, dict(request.headers)))
        await self.let.wait()
        if self.fails:
            raise RuntimeError("as it may")
        body = f"answer {len(self.asked)}".encode()
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(gzip.compress(body), self.status, {"content-encoding": "gzip", "x-own": "1"})
        return Response(body, self.status, {"x-own": "1"})

    async def has_asked(self, times: int) -> None:
        while len(self.asked) < times:  # noqa: ASYNC110 - a loopback socket has no event for it
            await asyncio.sleep(0)

    async def wait_together(self, lines: int) -> None:
        while len(self.lines.shared) < lines:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)


class Player:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, path: str, *rows: str, method: str = "GET") -> None:
        self.writer.write("\r\n".join([f"{method} {path} HTTP/1.1", "Host: shop.example", *rows, "", ""]).encode())

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(row.split(": ", 1) for row in head[1:] if row)
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def body(self) -> str:
        status, headers, body = await self.answer()
        assert status == 200
        return (gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body).decode()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = TestClock()
    found = House(clock, HttpLines(Wheel(clock.monotonic()), clock, 100))
    app: Any = AccessLog(Starlette(routes=[Route("/{rest:path}", found.serve, methods=["GET", "POST", "HEAD"])]))
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_config=None, server_header=False, timeout_graceful_shutdown=2,
        http=make_http_line(found.lines),
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by a flag alone
        await asyncio.sleep(0.01)
    found.port = server.servers[0].sockets[0].getsockname()[1]
    yield found
    found.let.set()
    server.should_exit = True
    await serving


@pytest.fixture
async def player(house: House) -> AsyncIterator[Callable[[], Any]]:
    writers = []

    async def come() -> Player:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writers.append(writer)
        return Player(reader, writer)

    yield come
    for writer in writers:
        writer.close()


async def test_all_who_ask_for_the_same_get_one_answer_made_once(house: House, player: Any) -> None:
    """With what the application said of it, and each counted as a request of that route."""

    def counted() -> float:
        labels = {"method": "GET", "route": "/{rest:path}", "status": "200"}
        return REGISTRY.get_sample_value("livecommerce_http_seconds_count", labels) or 0.0

    before = counted()
    players = [await player() for _ in range(5)]
    for each in players:
        each.ask(LIVE)
    await house.wait_together(5)
    house.let.set()

    answers = [await each.answer() for each in players]

    assert answers == [answers[0]] * 5
    status, headers, body = answers[0]
    assert (status, headers["x-own"], body) == (200, "1", b"answer 1")
    assert "date" in headers
    assert [(path, query) for path, query, _ in house.asked] == [tuple(LIVE.split("?"))]
    assert counted() - before == 5
    assert len(house.lines.shared) == 0


@pytest.mark.parametrize(
    ("path", "kept"), [(LIVE, PLAYLIST_KEPT_SECONDS), (PART, MEDIA_KEPT_SECONDS), (SOUND, MEDIA_KEPT_SECONDS)]
)
async def test_who_asks_a_moment_later_gets_it_too_and_after_that_it_is_asked_for_again(
    house: House, player: Any, path: str, kept: float
) -> None:
    house.let.set()
    one, other = await player(), await player()
    one.ask(path)
    assert await one.body() == "answer 1"

    other.ask(path)
    assert await other.body() == "answer 1"
    await house.clock.advance(kept + 0.01)
    other.ask(path)
    assert await other.body() == "answer 2"


async def test_who_can_unpack_and_who_cannot_have_answers_of_their_own(house: House, player: Any) -> None:
    house.let.set()
    one, other = await player(), await player()
    one.ask(LIVE, "Accept-Encoding: br, gzip")
    other.ask(LIVE, "Accept-Encoding: gzip;q=0")
    assert {await one.body(), await other.body()} == {"answer 1", "answer 2"}
    assert [headers.get("accept-encoding", "") for _, _, headers in house.asked].count("gzip") == 1


async def test_nothing_of_who_asks_first_goes_into_what_others_get(house: House, player: Any) -> None:
    house.let.set()
    one = await player()
    one.ask(PART, "Cookie: lc_viewer=secret", "User-Agent: one's own", "Authorization: Bearer token")
    await one.body()
    assert house.asked[0][2] == {"host": "shop.example"}


@pytest.mark.parametrize(
    "row",
    ["Origin: https://elsewhere.example", "X-Request-Id: mine", "Content-Length: 0", "Connection: close", "Expect: x",
     "Transfer-Encoding: identity", "Upgrade: h2c", "Folded: a\r\n b"],
)  # fmt: skip
async def test_a_request_that_says_more_takes_the_long_way_alone(house: House, player: Any, row: str) -> None:
    one, other = await player(), await player()
    one.ask(PART)
    await house.has_asked(1)
    other.ask(PART, row)
    while len(house.asked) < 2 and not other.reader._buffer:  # type: ignore[attr-defined]  # noqa: ASYNC110 - either
        await asyncio.sleep(0)
    assert len(house.lines.shared) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("HEAD", PART), ("POST", PART), ("GET", "/video/shw_1/open/replay.m3u8"), ("GET", "/api/shows"),
     ("GET", "/video/shw_1/open/../7.m4s"), ("GET", f"{LIVE}&from=%41")],
)  # fmt: skip
async def test_other_requests_are_none_for_here(house: House, player: Any, method: str, path: str) -> None:
    one = await player()
    one.ask(path, method=method)
    await house.has_asked(1)
    assert len(house.lines.shared) == 0


async def test_a_body_is_never_taken_for_a_request(house: House, player: Any) -> None:
    """Answered before it was read, it is still a body."""
    house.let.set()
    one = await player()
    inner = f"GET {PART} HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    one.ask("/api/x", f"Content-Length: {len(inner)}", method="POST")
    assert (await one.answer())[0] == 200
    one.writer.write(inner.encode())
    one.ask("/api/y")
    await one.answer()
    assert [path for path, _, _ in house.asked] == ["/api/x", "/api/y"]


async def test_a_refusal_is_told_to_each_by_the_application_itself(house: House, player: Any) -> None:
    house.status = 404
    house.let.set()
    one, other = await player(), await player()
    one.ask(PART)
    other.ask(PART)
    answers = [await one.answer(), await other.answer()]
    assert [status for status, _, _ in answers] == [404, 404]
    house.status = 200
    one.ask(PART)
    assert (await one.answer())[0] == 200


async def test_where_the_application_fails_each_hears_so(house: House, player: Any) -> None:
    house.fails = True
    house.let.set()
    one = await player()
    one.ask(PART)
    assert (await one.answer())[0] == 500
    assert len(house.lines.shared) == 0


async def test_who_leaves_takes_nothing_from_the_others(house: House, player: Any) -> None:
    one, other = await player(), await player()
    one.ask(LIVE)
    await house.has_asked(1)
    other.ask(LIVE)
    await house.wait_together(2)
    one.writer.close()
    while len(house.lines.shared) > 1:  # noqa: ASYNC110 - a loopback socket has no event for it
        await asyncio.sleep(0)
    house.let.set()
    assert await other.body() == "answer 1"


async def test_what_nobody_waits_for_any_more_is_given_up_and_asked_for_anew(house: House, player: Any) -> None:
    one, other = await player(), await player()
    one.ask(LIVE)
    await house.has_asked(1)
    one.writer.close()
    while len(house.lines.shared):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    other.ask(LIVE)
    await house.has_asked(2)
    house.let.set()
    assert await other.body() == "answer 2"


async def test_two_requests_at_once_are_answered_in_their_order(house: House, player: Any) -> None:
    house.let.set()
    one = await player()
    one.ask(PART)
    one.ask("/video/shw_1/open/8.m4s")
    assert [await one.body(), await one.body()] == ["answer 1", "answer 2"]
    assert [path[-5:] for path, _, _ in house.asked] == ["7.m4s", "8.m4s"]


async def test_a_second_request_while_the_first_waits_comes_after_it(house: House, player: Any) -> None:
    one = await player()
    one.ask(LIVE)
    await house.wait_together(1)
    one.ask(PART)
    while len(house.lines.shared):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    house.let.set()
    await one.body()
    await one.body()
    assert [path.rpartition("/")[2] for path, _, _ in house.asked][-2:] == ["live.m3u8", "7.m4s"]


async def test_a_process_that_stops_answers_those_who_wait(house: House, player: Any) -> None:
    one = await player()
    one.ask(LIVE)
    await house.wait_together(1)
    (line,) = house.lines._open
    line.shutdown()
    house.let.set()
    status, headers, _ = await one.answer()
    assert (status, headers["connection"]) == (200, "close")


async def test_a_line_that_waits_long_is_not_taken_for_an_idle_one(house: House, player: Any) -> None:
    one = await player()
    one.ask(LIVE)
    await house.wait_together(1)
    (line,) = house.lines._open
    assert line.look(house.clock.monotonic() + 1000) is not None
    house.let.set()
    assert await one.body() == "answer 1"
    assert not line.transport.is_closing()


class _SlowClock(TestClock):
    """Every look at it takes a fifth of a slice."""

    def monotonic(self) -> float:
        self.spend(SLICE_SECONDS / 5)
        return super().monotonic()


async def test_answers_are_handed_out_in_slices_so_that_a_card_comes_in_between() -> None:
    class Line:
        def __init__(self) -> None:
            self.app = _answers_at_once
            self.asgi_version, self.server, self.scheme, self.root_path, self.app_state = "3.0", None, "http", "", {}
            self.server_state = uvicorn.server.ServerState()

        def take_answer(self, whole: bytes) -> None:
            told.append("answer")

    told: list[str] = []
    shared = SharedAnswers(_SlowClock())
    request = f"GET {PART} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode()
    for _ in range(200):
        assert shared.ask(Line(), request)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()

    def card() -> None:
        told.append("card")
        if told.count("answer") < 200:
            loop.call_soon(card)

    loop.call_soon(card)
    while told.count("answer") < 200:  # noqa: ASYNC110 - nothing else says it
        await asyncio.sleep(0)

    while told[0] == "card":
        del told[0]
    longest = max(len(run) for run in "".join("a" if each == "answer" else " " for each in told).split())
    assert longest < 100


async def _answers_at_once(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
