"""A guest becomes a person: a letter with a code, the code typed back, the same word for the same mailbox."""

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.people.attempts import LETTERS_TO_ONE_MAX
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.post import Post
from livecommerce.people.verification import CODE_MINUTES, TRIES_MAX
from livecommerce.settings import Settings, SettingsError, read_settings
from tests.people.support import Shop, refusal

MAILBOX = "ana@example.com"
HERE = "198.51.100.9"


@pytest.fixture
def shop(settings: Settings, database: Database, redis: Redis, clock: TestClock) -> Shop:
    return Shop(settings, database, redis, clock)


def letters(shop: Shop) -> list[EmailMessage]:
    """In no order: two files may be of one tick of the clock."""
    files = (shop.settings.data / "mail").glob("*.eml")
    return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]


def code_to(shop: Shop, mailbox: str) -> str:
    """The code in the one letter to `mailbox`."""
    [letter] = [each for each in letters(shop) if each["To"] == mailbox]
    return code_in(letter)


def code_in(letter: EmailMessage) -> str:
    found = re.search(r"\b\d{6}\b", letter.get_content())
    assert found is not None
    return found.group()


async def viewer(shop: Shop, name: str = "Ana") -> ViewerIdentity:
    return await shop.people.new_viewer(name)


async def refused(why: R, work: Any) -> Refused:
    with pytest.raises(Refused) as told:
        await work
    assert told.value.why is why
    return told.value


async def test_who_types_the_code_is_the_person_behind_the_mailbox(shop: Shop) -> None:
    ana = await viewer(shop)
    await shop.people.verification.send(ana, f"  {MAILBOX.upper()} ", HERE)
    [letter] = letters(shop)
    assert letter["To"] == MAILBOX
    verified = await shop.people.verification.confirm(ana, f" {code_in(letter)} ")
    assert verified.person.startswith("v")
    assert (await shop.people.viewers.find(ana.viewer_id)).person == verified.person
    assert (await shop.people.viewers.verified(ana)).person == verified.person
    # Her pass says so, and a name told anew keeps it.
    assert shop.people.tokens.viewer(shop.people.tokens.for_viewer(verified).token).viewer == verified
    assert (await shop.people.change_viewer(verified, "Anita")).person == verified.person


async def test_one_mailbox_is_one_person_in_every_browser(shop: Shop) -> None:
    words = set()
    for address in (MAILBOX, "ANA@example.com", "ana+shop@example.com"):
        who, before = await viewer(shop), {code_in(letter) for letter in letters(shop)}
        await shop.people.verification.send(who, address, HERE)
        [letter] = [each for each in letters(shop) if code_in(each) not in before]
        words.add((await shop.people.verification.confirm(who, code_in(letter))).person)
    assert len(words) == 1
    assert shop.people.verification.word_of("bea@example.com") not in words


async def test_the_address_is_kept_nowhere(shop: Shop) -> None:
    ana = await viewer(shop)
    await shop.people.verification.send(ana, MAILBOX, HERE)
    async with shop.database.read() as connection:
        rows = [*(await connection.execute(text("SELECT * FROM mail_codes"))).all()]
        rows += (await connection.execute(text("SELECT * FROM viewers"))).all()
    assert rows
    assert "ana@" not in repr(rows)
    assert code_in(letters(shop)[0]) not in repr(rows)


async def test_a_wrong_code_is_refused_and_five_end_it(shop: Shop) -> None:
    ana = await viewer(shop)
    await shop.people.verification.send(ana, MAILBOX, HERE)
    code = code_in(letters(shop)[0])
    wrong = f"{(int(code) + 1) % 10**6:06}"
    for _ in range(TRIES_MAX):
        await refused(R.WRONG_CODE, shop.people.verification.confirm(ana, wrong))
    await refused(R.CODE_SPENT, shop.people.verification.confirm(ana, code))
    assert (await shop.people.viewers.find(ana.viewer_id)).person == ""


async def test_a_code_is_good_for_one_viewer_once_and_not_for_long(shop: Shop, clock: TestClock) -> None:
    ana, bea = await viewer(shop), await viewer(shop, "Bea")
    await refused(R.CODE_SPENT, shop.people.verification.confirm(ana, "123456"))
    await shop.people.verification.send(ana, MAILBOX, HERE)
    await shop.people.verification.send(bea, "bea@example.com", HERE)
    first, second = code_to(shop, MAILBOX), code_to(shop, "bea@example.com")
    if first != second:
        await refused(R.WRONG_CODE, shop.people.verification.confirm(bea, first))
    await shop.people.verification.confirm(ana, first)
    await refused(R.CODE_SPENT, shop.people.verification.confirm(ana, first))
    await clock.advance(CODE_MINUTES * 60)
    await refused(R.CODE_SPENT, shop.people.verification.confirm(bea, second))


async def test_the_newest_letter_counts(shop: Shop) -> None:
    ana = await viewer(shop)
    await shop.people.verification.send(ana, MAILBOX, HERE)
    await shop.people.verification.send(ana, "other@example.com", HERE)
    verified = await shop.people.verification.confirm(ana, code_to(shop, "other@example.com"))
    assert verified.person == shop.people.verification.word_of("other@example.com")


async def test_nobodys_mailbox_is_filled_by_strangers(shop: Shop) -> None:
    for number in range(LETTERS_TO_ONE_MAX):
        await shop.people.verification.send(await viewer(shop), MAILBOX, f"198.51.100.{number}")
    no = await refused(R.LOCKED_OUT, shop.people.verification.send(await viewer(shop), MAILBOX, "203.0.113.1"))
    assert no.after_ms is not None
    assert len(letters(shop)) == LETTERS_TO_ONE_MAX


async def test_what_is_no_address_gets_no_letter(shop: Shop) -> None:
    await refused(R.MALFORMED, shop.people.verification.send(await viewer(shop), "ana at home", HERE))
    assert letters(shop) == []


async def test_a_members_person_is_her_account_whatever_she_confirmed(shop: Shop) -> None:
    mia = await shop.people.merchant_viewer("customer-7", "Mia")
    assert mia.person == f"m{mia.viewer_id}"
    assert replace_verified(mia).person == mia.person


def replace_verified(who: ViewerIdentity) -> ViewerIdentity:
    return ViewerIdentity(who.viewer_id, who.name, who.kind, verified="vword")


async def test_a_page_confirms_its_address_and_its_cookie_remembers(shop: Shop) -> None:
    async with shop.browser() as browser:
        assert await refusal(await browser.post("/api/me/verification", json={"email": MAILBOX})) == (401, "sign_in")
        await browser.post("/api/viewers", json={"name": "Ana"})
        assert (await browser.post("/api/me/verification", json={"email": MAILBOX})).status_code == 200
        wrong = await browser.post("/api/me/verification/code", json={"code": "x"})
        assert await refusal(wrong) == (422, "wrong_code")
        answer = await browser.post("/api/me/verification/code", json={"code": code_in(letters(shop)[0])})
        assert answer.json()["viewer"]["verified"].startswith("v")
        assert shop.people.tokens.viewer(answer.json()["token"]).viewer.person != ""
        renewed = await browser.post("/api/viewers/token")
        assert shop.people.tokens.viewer(renewed.json()["token"]).viewer.person != ""


# --- letters --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def mail_server(received: list[str]) -> AsyncIterator[int]:
    """As much of SMTP as a sender needs; keeps what was sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                body = await reader.readuntil(b"\r\n.\r\n")
                received.append(body.decode())
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_letter_goes_by_smtp_where_there_is_a_server(settings: Settings) -> None:
    received: list[str] = []
    async with mail_server(received) as port:
        post = Post(replace(settings, mail_url=f"smtp://127.0.0.1:{port}", mail_from="shop@example.com"))
        await post.send(MAILBOX, "Your code", "123456")
    [letter] = received
    assert "From: shop@example.com" in letter
    assert "123456" in letter
    assert not post.folder.exists()


async def test_a_letter_that_did_not_go_is_told(settings: Settings) -> None:
    nobody = replace(settings, mail_url="smtp://127.0.0.1:1", mail_from="shop@example.com")
    await refused(R.UNAVAILABLE, Post(nobody).send(MAILBOX, "s", "t"))
    await refused(R.UNAVAILABLE, Post(replace(settings, mode="production")).send(MAILBOX, "s", "t"))


async def test_a_line_break_in_an_address_sends_nothing(settings: Settings) -> None:
    await refused(R.UNAVAILABLE, Post(settings).send("ana@example.com\nBcc: all@example.com", "s", "t"))


@pytest.mark.parametrize("given", [{"MAIL_URL": "http://x", "MAIL_FROM": "a@b"}, {"MAIL_URL": "smtp://mail.example"}])
def test_mail_settings_that_cannot_work_are_told(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="MAIL_"):
        read_settings(given)
