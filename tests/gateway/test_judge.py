"""The merchant's own judge of lines: what it may do, and that none of its troubles is a viewer's."""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from livecommerce.clock import TestClock
from livecommerce.errors import R
from livecommerce.gateway.judge import (
    ANSWER_BYTES_MAX,
    FAILURES_MAX,
    IN_FLIGHT_MAX,
    OPEN_SECONDS,
    GuardedTransport,
    Judged,
    JudgedLine,
    JudgeFailed,
    OwnJudge,
    Verdict,
    function_named,
    judge_of,
    refuse_unknown_judge,
)
from livecommerce.orders.payments.signing import verify
from livecommerce.protocol.from_viewer import Say
from livecommerce.protocol.to_viewer import RefusedMessage, Said
from livecommerce.settings import Settings, SettingsError, read_settings
from tests.gateway.live import SHOW, Live, live, seat, until

SECRET = "a secret of some length"
LINE = JudgedLine("jdg_1", "shw_1", "chat", "hello", "Ana", "vw_1", False, 1_800_000_000_000)
Answer = Callable[[Request], Awaitable[Response]]


@contextlib.asynccontextmanager
async def receiver(answer: Answer) -> AsyncIterator[str]:
    """A merchant's server that answers so; its address."""
    app = Starlette(routes=[Route("/judge", answer, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/judge"
    finally:
        server.should_exit = server.force_exit = True
        await serving


def hooked(settings: Settings, hook: str, **more: Any) -> Settings:
    """A budget that only a judge who never answers exceeds, on however busy a machine."""
    given = {"moderation_hook_ms": 30_000, "moderation_hook_private": True, "moderation_hook_secret": SECRET}
    return dataclasses.replace(settings, moderation_hook=hook, **{**given, **more})


def judged(judge: Any, settings: Settings, clock: TestClock, **more: Any) -> Judged:
    return Judged(judge, hooked(settings, "own:judge", **more), clock)


# --- by HTTP ---------------------------------------------------------------------------------------------------------


async def test_the_line_is_posted_signed_and_the_verdict_read(settings: Settings, clock: TestClock) -> None:
    got: list[tuple[str, Any]] = []

    async def answer(request: Request) -> Response:
        body = await request.body()
        got.append((verify([SECRET], body, request.headers, clock.now_ms()), msgspec.json.decode(body)))
        return JSONResponse({"verdict": "allow", "text": "hello, dear"})

    async with receiver(answer) as url:
        judge, close = judge_of(hooked(settings, url), clock)
        assert await judge(LINE) == Verdict("allow", "hello, dear")
        await close()
    assert got == [("jdg_1", msgspec.to_builtins(LINE))]
    assert judge.status == "well"


BROKEN: dict[str, Answer] = {}


def broken(answer: Answer) -> Answer:
    BROKEN[answer.__name__] = answer
    return answer


@broken
async def an_error(_: Request) -> Response:
    return Response(status_code=500)


@broken
async def elsewhere(_: Request) -> Response:
    return Response(status_code=307, headers={"location": "http://127.0.0.1:1/"})


@broken
async def no_json(_: Request) -> Response:
    return Response("allow")


@broken
async def another_word(_: Request) -> Response:
    return JSONResponse({"verdict": "maybe"})


@broken
async def too_long_a_text(_: Request) -> Response:
    return JSONResponse({"verdict": "allow", "text": "x" * 501})


@broken
async def too_much(_: Request) -> Response:
    return JSONResponse({"verdict": "allow", "reason": "x" * ANSWER_BYTES_MAX})


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("fallback", ["allow", "hold", "refuse"])
async def test_whatever_it_answers_wrongly_the_fallback_answers(
    settings: Settings, clock: TestClock, name: str, fallback: Any
) -> None:
    async with receiver(BROKEN[name]) as url:
        judge, close = judge_of(hooked(settings, url, moderation_hook_fallback=fallback), clock)
        assert (await judge(LINE)).verdict == fallback
        assert (judge.status, bool(judge.last_failure)) == ("failing", True)
        await close()


async def test_one_that_never_answers_costs_its_budget_and_no_more(settings: Settings, clock: TestClock) -> None:
    asked = asyncio.Event()

    async def never(_: Request) -> Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with receiver(never) as url:
        judge, close = judge_of(hooked(settings, url, moderation_hook_ms=300), clock)
        assert (await judge(LINE)).verdict == "allow"
        assert judge.last_failure in ("no answer in time", "ReadTimeout: ", "ConnectTimeout: ")
        await close()


async def test_a_server_that_is_not_there(settings: Settings, clock: TestClock) -> None:
    judge, close = judge_of(hooked(settings, "http://127.0.0.1:1/judge"), clock)
    assert (await judge(LINE)).verdict == "allow"
    assert "ConnectError" in judge.last_failure
    await close()


# --- the circuit -----------------------------------------------------------------------------------------------------


async def test_after_some_failures_it_is_asked_no_more_for_a_while_then_once(
    settings: Settings, clock: TestClock
) -> None:
    calls, well = 0, False

    async def judge(_: JudgedLine) -> Verdict:
        nonlocal calls
        calls += 1
        if not well:
            raise RuntimeError("broken")
        return Verdict("refuse", reason="no")

    one = judged(judge, settings, clock)
    for _ in range(FAILURES_MAX + 20):
        assert (await one(LINE)).verdict == "allow"
    assert (calls, one.status) == (FAILURES_MAX, "open")
    await clock.advance(OPEN_SECONDS)
    assert (await one(LINE)).verdict == "allow"  # the one that tried
    assert (await one(LINE)).verdict == "allow"
    assert (calls, one.status) == (FAILURES_MAX + 1, "open")
    await clock.advance(OPEN_SECONDS)
    well = True
    assert (await one(LINE)).verdict == "refuse"
    assert one.status == "well"
    assert (await one(LINE)).verdict == "refuse"


async def test_while_one_line_tries_the_others_do_not_wait_for_it(settings: Settings, clock: TestClock) -> None:
    gate = asyncio.Event()
    answers: list[Verdict | Exception] = [RuntimeError("x")] * FAILURES_MAX

    async def judge(_: JudgedLine) -> Verdict:
        if answers:
            raise RuntimeError
        await gate.wait()
        return Verdict("hold")

    one = judged(judge, settings, clock)
    while answers:
        await one(LINE)
        answers.pop()
    await clock.advance(OPEN_SECONDS)
    trying = asyncio.create_task(one(LINE))
    await asyncio.sleep(0)
    assert (await one(LINE)).verdict == "allow"
    gate.set()
    assert (await trying).verdict == "hold"


async def test_more_at_once_than_it_may_have_get_the_fallback(settings: Settings, clock: TestClock) -> None:
    gate = asyncio.Event()

    async def judge(_: JudgedLine) -> Verdict:
        await gate.wait()
        return Verdict("hold")

    one = judged(judge, settings, clock, moderation_hook_fallback="refuse")
    waiting = [asyncio.create_task(one(LINE)) for _ in range(IN_FLIGHT_MAX)]
    await asyncio.sleep(0)
    assert (await one(LINE)).verdict == "refuse"
    gate.set()
    assert {(await each).verdict for each in waiting} == {"hold"}


async def test_a_line_that_is_cancelled_leaves_nothing_behind(settings: Settings, clock: TestClock) -> None:
    async def judge(_: JudgedLine) -> Verdict:
        await asyncio.Event().wait()
        raise AssertionError

    one = judged(judge, settings, clock)
    asked = asyncio.create_task(one(LINE))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (one._in_flight, one.status) == (0, "well")


# --- in this process -------------------------------------------------------------------------------------------------


async def an_async_judge(line: JudgedLine) -> Verdict:
    return Verdict("hold", reason=line.text)


def a_plain_judge(line: JudgedLine) -> str:
    return "refuse" if "no" in line.text else "allow"


def a_dict_judge(line: JudgedLine) -> dict[str, str]:
    return {"verdict": "allow", "text": line.text.upper()}


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("an_async_judge", Verdict("hold", reason="hello")),
        ("a_plain_judge", Verdict("allow")),
        ("a_dict_judge", Verdict("allow", "HELLO")),
    ],
)
async def test_a_function_of_the_merchant_is_asked(
    settings: Settings, clock: TestClock, name: str, verdict: Verdict
) -> None:
    judge, close = judge_of(hooked(settings, f"{__name__}:{name}"), clock)
    assert await judge(LINE) == verdict
    await close()


async def test_a_slow_function_is_late_and_holds_nobody_up(settings: Settings, clock: TestClock) -> None:
    gate = threading.Event()

    def slow(_: JudgedLine) -> str:
        gate.wait(60)
        return "refuse"

    own = OwnJudge(slow)
    one = judged(own, settings, clock, moderation_hook_ms=50)
    assert (await one(LINE)).verdict == "allow"
    gate.set()
    own.close()


@pytest.mark.parametrize("name", ["no.such.module:judge", f"{__name__}:nothing", f"{__name__}:SECRET"])
def test_a_function_that_is_not_there_is_told_at_the_start(name: str) -> None:
    with pytest.raises(ValueError, match="MODERATION_HOOK"):
        function_named(name)
    with pytest.raises(SettingsError, match="PYTHONPATH"):
        refuse_unknown_judge(read_settings({"MODERATION_HOOK": name}))
    refuse_unknown_judge(read_settings({"MODERATION_HOOK": f"{__name__}:a_plain_judge"}))
    refuse_unknown_judge(read_settings({}))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1"])
async def test_a_name_that_leads_into_our_own_network_is_not_called(host: str) -> None:
    called: list[httpx.Request] = []

    async def inner(request: httpx.Request) -> httpx.Response:
        called.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=GuardedTransport(httpx.MockTransport(inner), private=False)) as client:
        with pytest.raises(JudgeFailed, match="private"):
            await client.post(f"https://{host}/judge")
    assert called == []


async def test_the_address_that_was_looked_at_is_the_one_that_is_called_under_its_name() -> None:
    called: list[httpx.Request] = []

    async def inner(request: httpx.Request) -> httpx.Response:
        called.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=GuardedTransport(httpx.MockTransport(inner), private=False)) as client:
        await client.post("https://93.184.216.34:8443/judge")
    assert called[0].url.host == "93.184.216.34"
    assert (called[0].headers["host"], called[0].extensions["sni_hostname"]) == ("93.184.216.34:8443", "93.184.216.34")


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"MODERATION_HOOK": "http://shop.example/judge", "MODERATION_HOOK_SECRET": SECRET}, "https"),
        ({"MODERATION_HOOK": "https://shop.example/judge"}, "MODERATION_HOOK_SECRET"),
        ({"MODERATION_HOOK": "not a name"}, "module:function"),
        ({"MODERATION_HOOK": "https://"}, "https address"),
        ({"MODERATION_HOOK_FALLBACK": "shrug"}, "FALLBACK"),
        ({"MODERATION_HOOK_MS": "0"}, "MODERATION_HOOK_MS"),
    ],
)
def test_settings_that_cannot_work_are_refused(environ: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        read_settings(environ)


# --- in a room -------------------------------------------------------------------------------------------------------


class Scripted:
    """A judge who answers when he is told to, line by line."""

    def __init__(self) -> None:
        self.asked: dict[str, asyncio.Future[Verdict]] = {}

    async def __call__(self, line: JudgedLine) -> Verdict:
        return await self.asked.setdefault(line.text, asyncio.get_running_loop().create_future())

    async def says(self, text: str, verdict: Verdict) -> None:
        await until(lambda: text in self.asked)
        self.asked[text].set_result(verdict)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def one(redis: Redis, settings: Settings, clock: TestClock, scripted: Scripted) -> AsyncIterator[Live]:
    async with live(redis, settings, clock, judge=judged(scripted, settings, clock)) as running:
        yield running


async def test_a_line_waits_for_its_verdict_and_others_do_not_wait_for_it(one: Live, scripted: Scripted) -> None:
    a, _ = await seat(one, "a")
    b, _ = await seat(one, "b")
    a.send(Say("c1", "slow one"))
    await until(lambda: "slow one" in scripted.asked)
    b.send(Say("c2", "quick one"))
    await scripted.says("quick one", Verdict("allow"))
    assert (await b.read_until(Said)).shown
    assert [line.text for line in one.hub.rooms[SHOW].room.talk.history] == ["quick one"]
    await one.clock.advance(0.2)  # the next tick
    await scripted.says("slow one", Verdict("allow", "other words"))
    said = await a.read_until(Said)
    assert (said.cid, said.shown, said.line.text) == ("c1", True, "other words")


async def test_one_persons_lines_stay_in_their_order(one: Live, scripted: Scripted) -> None:
    a, _ = await seat(one, "a")
    for number in range(3):
        a.send(Say(f"c{number}", f"line {number}"))
    for number in (2, 0, 1):
        await scripted.says(f"line {number}", Verdict("allow"))
    await until(lambda: not one.hub.rooms[SHOW].last_judged)
    await one.clock.advance(0.2)  # the next tick
    assert [(await a.read_until(Said)).line.text for _ in range(3)] == ["line 0", "line 1", "line 2"]


async def test_a_line_is_refused_with_the_judges_reason(one: Live, scripted: Scripted) -> None:
    a, _ = await seat(one, "a")
    a.send(Say("c1", "hmm"))
    await scripted.says("hmm", Verdict("refuse", reason="no prices of other shops, please."))
    refused = await a.read_until(RefusedMessage)
    assert (refused.re, refused.number) == ("c1", R.NOT_SHOWN.value.number)
    assert refused.text == "This line is not shown: no prices of other shops, please."
    assert refused.facts == {"reason": "no prices of other shops, please."}
    assert not one.hub.rooms[SHOW].room.talk.history


async def test_other_words_that_are_none_leave_the_line_as_it_was(one: Live, scripted: Scripted) -> None:
    a, _ = await seat(one, "a")
    a.send(Say("c1", "lovely"))
    await scripted.says("lovely", Verdict("allow", " \u200b "))
    assert (await a.read_until(Said)).line.text == "lovely"


async def test_a_line_is_held_for_a_moderator_with_the_judges_reason(one: Live, scripted: Scripted) -> None:
    a, _ = await seat(one, "a")
    a.send(Say("c1", "hmm"))
    await scripted.says("hmm", Verdict("hold", reason="looks like a complaint"))
    refused = await a.read_until(RefusedMessage)
    assert refused.number == R.HELD_BACK.value.number
    await until(lambda: not one.hub._tasks)
    (item,) = await one.shows.triage.take(SHOW, "mod")
    assert (item.why, item.lines[0].line_id) == ("looks like a complaint", refused.facts["line_id"])


async def test_who_was_silenced_meanwhile_is_not_heard(one: Live, scripted: Scripted) -> None:
    a, _ = await seat(one, "a")
    a.send(Say("c1", "hmm"))
    await until(lambda: "hmm" in scripted.asked)
    one.hub.rooms[SHOW].room.moderation.mute("a", 60.0, 0.0)
    await scripted.says("hmm", Verdict("allow"))
    assert (await a.read_until(RefusedMessage)).number == R.MUTED.value.number


async def test_questions_are_judged_too_and_a_private_one_is_never_held(one: Live, scripted: Scripted) -> None:
    a, _ = await seat(one, "a")
    a.send(Say("c1", "which shade?", "question"))
    await scripted.says("which shade?", Verdict("allow", "Which shade?"))
    assert (await a.read_until(Said)).line.text == "Which shade?"
    a.send(Say("c2", "my skin", "private"))
    await scripted.says("my skin", Verdict("hold"))
    assert (await a.read_until(Said)).cid == "c2"


async def test_hosts_are_not_judged(one: Live, scripted: Scripted) -> None:
    host, _ = await seat(one, "host", role="host")
    host.send(Say("c1", "welcome"))
    assert (await host.read_until(Said)).shown
    assert scripted.asked == {}
