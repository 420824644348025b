"""Codes by text message: a number as the world writes it, a gateway that is asked once, and nobody's number kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.people.attempts import LETTERS_TO_ONE_MAX
from livecommerce.people.texts import HttpGateway, clean_number, gateway_for
from livecommerce.settings import Settings, SettingsError, read_settings
from tests.live_server import until
from tests.people.support import Shop, refusal

NUMBER, HERE = "+33612345678", "198.51.100.9"


class Kept:
    """A gateway that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    async def send(self, to: str, text: str) -> None:
        self.sent.append((to, text))


@pytest.fixture
def gateway() -> Kept:
    return Kept()


@pytest.fixture
def shop(settings: Settings, database: Database, redis: Redis, clock: TestClock, gateway: Kept) -> Shop:
    shop = Shop(replace(settings, sms_url="print"), database, redis, clock)
    shop.people.verification._texts = gateway
    return shop


def code_in(text: str) -> str:
    return next(word for word in text.split() if word.isdigit() and len(word) == 6)


async def refused(why: R, work: Any) -> Refused:
    with pytest.raises(Refused) as told:
        await work
    assert told.value.why is why
    return told.value


@pytest.mark.parametrize("typed", ["+33 6 12 34 56 78", "0033 612-34.56.78", " +33(6)12345678 "])
def test_a_number_is_read_as_people_write_it(typed: str) -> None:
    assert clean_number(typed) == NUMBER


@pytest.mark.parametrize("typed", ["", "0612345678", "+0612345678", "+33", "+33612345678901234", "+33 six", "a@b.fr"])
def test_what_is_no_number_with_its_country_is_refused(typed: str) -> None:
    with pytest.raises(Refused) as told:
        clean_number(typed)
    assert told.value.why is R.MALFORMED


async def test_one_phone_is_one_person_in_every_browser_and_no_mailbox(shop: Shop, gateway: Kept) -> None:
    words = set()
    for typed in (NUMBER, "0033 6 12 34 56 78"):
        who = await shop.people.new_viewer("Ana")
        await shop.people.verification.send_text(who, typed, HERE)
        to, text = gateway.sent[-1]
        assert to == NUMBER
        words.add((await shop.people.verification.confirm(who, code_in(text))).person)
    assert len(words) == 1
    assert shop.people.verification.word_of("ana@example.com") not in words


async def test_a_number_that_is_asked_for_too_often_gets_no_more(shop: Shop, gateway: Kept) -> None:
    who = await shop.people.new_viewer("Ana")
    for _ in range(LETTERS_TO_ONE_MAX):
        await shop.people.verification.send_text(who, NUMBER, HERE)
    await refused(R.LOCKED_OUT, shop.people.verification.send_text(who, NUMBER, HERE))
    assert len(gateway.sent) == LETTERS_TO_ONE_MAX


async def test_where_no_gateway_is_nothing_is_kept_or_counted(
    settings: Settings, database: Database, redis: Redis, clock: TestClock
) -> None:
    shop = Shop(settings, database, redis, clock)
    who = await shop.people.new_viewer("Ana")
    await refused(R.UNAVAILABLE, shop.people.verification.send_text(who, NUMBER, HERE))
    await refused(R.CODE_SPENT, shop.people.verification.confirm(who, "123456"))
    await refused(R.UNAVAILABLE, gateway_for(settings).send(NUMBER, "123456"))


async def test_in_development_it_is_printed(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    await gateway_for(replace(settings, sms_url="print")).send(NUMBER, "Your code: 123456")
    assert capsys.readouterr().out == f"text message to {NUMBER}: Your code: 123456\n"


@asynccontextmanager
async def serving(status: int, heard: list[tuple[str, Any]]) -> AsyncIterator[str]:
    async def hear(request: Request) -> Response:
        heard.append((request.headers.get("authorization", ""), json.loads(await request.body())))
        return Response(status_code=status)

    app = Starlette(routes=[Route("/texts", hear, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))

    task = asyncio.create_task(server.serve())
    await until(lambda: server.started, "the gateway")
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/texts"
    server.should_exit = True
    await task


async def test_a_message_is_posted_once_with_the_token(settings: Settings) -> None:
    heard: list[tuple[str, Any]] = []
    async with serving(202, heard) as url:
        await gateway_for(replace(settings, sms_url=url, sms_token="t-1")).send(NUMBER, "Your code: 123456")
    assert heard == [("Bearer t-1", {"to": NUMBER, "text": "Your code: 123456"})]


async def test_a_message_that_did_not_go_is_told() -> None:
    heard: list[tuple[str, Any]] = []
    async with serving(500, heard) as url:
        await refused(R.UNAVAILABLE, HttpGateway(url, "").send(NUMBER, "x"))
    assert [token for token, _ in heard] == [""]
    await refused(R.UNAVAILABLE, HttpGateway("http://127.0.0.1:1/", "").send(NUMBER, "x"))


@pytest.mark.parametrize("url", ["http://sms.example/send", "sms.example", "ftp://x"])
def test_an_address_that_cannot_work_is_told(url: str) -> None:
    with pytest.raises(SettingsError, match="SMS_URL"):
        read_settings({"SMS_URL": url})
    read_settings({"SMS_URL": "https://sms.example/send"})


def test_printing_is_refused_in_production() -> None:
    with pytest.raises(SettingsError, match="SMS_URL=print"):
        read_settings({"SMS_URL": "print", "LIVECOMMERCE_MODE": "production"})


async def test_a_page_learns_the_ways_asks_for_a_text_and_is_somebody(shop: Shop, gateway: Kept) -> None:
    async with shop.browser() as browser:
        await browser.post("/api/viewers", json={"name": "Ana"})
        assert (await browser.get("/api/me/verification")).json() == {"email": True, "phone": True}
        for neither in ({}, {"email": "ana@example.com", "phone": NUMBER}):
            assert await refusal(await browser.post("/api/me/verification", json=neither)) == (400, "malformed")
        assert gateway.sent == []
        assert (await browser.post("/api/me/verification", json={"phone": "0033612345678"})).status_code == 200
        answer = await browser.post("/api/me/verification/code", json={"code": code_in(gateway.sent[0][1])})
        assert answer.status_code == 200
        assert answer.json()["viewer"]["verified"] == shop.people.verification.word_of_phone(NUMBER)
