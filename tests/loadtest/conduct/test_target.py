"""The server under test over its API and socket: what it is asked to do, and every reason not to begin, in words."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from livecommerce import __version__
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import CardShown
from loadtest.check.books import fetch_books
from loadtest.conduct.final import last_place
from loadtest.conduct.own_server import OwnServer
from loadtest.conduct.target import ShowHandle, Target, TargetError, _no_answer, refuse_other_machine
from loadtest.measure.addresses import is_this_machine
from tests.loadtest.conduct.support import running


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with running() as server:
        yield server


@pytest.fixture
async def target(server: OwnServer) -> AsyncIterator[Target]:
    async with await Target.open(server.url, server.email, server.password, own=True) as target:
        yield target


async def staged(target: Target) -> ShowHandle:
    """A show on air with two cards of two deals."""
    show = await target.create_show("Rehearsal", cards=2, deals_per_card=2, quota=50)
    await target.go_live(show.show_id)
    return show


async def failure(url: str, email: str = "mei@shop.example", password: str = "wrong", **more: Any) -> str:
    """The words with which the target cannot be opened."""
    with pytest.raises(TargetError) as failed:
        await Target.open(url, email, password, **more)
    return failed.value.text


# --- opening ----------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def answering(pages: dict[str, tuple[int, Any]] | None) -> AsyncIterator[str]:
    """The URL of something that answers these paths with (status, JSON); without pages it closes half-way."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while pages is not None:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(
                    next((row[15:] for row in head.lower().split(b"\r\n") if row[:15] == b"content-length:"), 0)
                )
                await reader.readexactly(length)
                status, body = pages.get(head.split()[1].decode(), (404, "<html>"))
                content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(content)) + content)
                await writer.drain()
        writer.close()

    door = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with door:
        yield f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}"


def shop(**facts: Any) -> tuple[int, Any]:
    known = {"name": "Shop", "currency": "EUR", "mode": "development", "version": __version__, "now_ms": 1}
    return 200, known | facts


async def test_a_server_tells_who_it_is_and_an_administrator_is_let_in(server: OwnServer) -> None:
    async with await Target.open(server.url, server.email, server.password) as target:
        assert target.shop.version == __version__
        assert target.warnings == ()
        assert target.url == server.url


async def test_nothing_listens() -> None:
    assert "Nothing listens at http://127.0.0.1:1" in await failure("http://127.0.0.1:1")


@pytest.mark.parametrize("page", [(404, "<html>"), (200, "<html>"), (200, {"name": "Something else"}), (200, [])])
async def test_something_else_answers(page: tuple[int, Any]) -> None:
    async with answering({"/api/shop": page}) as url:
        assert "is no livecommerce server" in await failure(url)


async def test_the_server_closes_half_way() -> None:
    async with answering(None) as url:
        assert "broke off instead of answering" in await failure(url)


async def test_the_server_is_in_trouble() -> None:
    async with answering({"/api/shop": (502, "<html>")}) as url:
        assert "cannot say what it is" in await failure(url)


async def test_a_server_without_tls_is_asked_for_https(server: OwnServer) -> None:
    assert "does not speak TLS" in await failure(server.url.replace("http:", "https:"))


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (httpx.ConnectTimeout(""), "firewall"),
        (httpx.ReadTimeout(""), "said nothing for 15 s"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "--no-verify"),
        (httpx.ConnectError("refused"), "Nothing listens"),
        (httpx.RemoteProtocolError("closed"), "broke off"),
    ],
)
def test_why_no_answer_came(error: httpx.HTTPError, word: str) -> None:
    assert word in _no_answer("https://shop", error)


async def test_another_version_is_refused_and_a_patch_is_a_warning() -> None:
    major, minor, _ = __version__.split(".")
    signed_in = {"/api/login": (200, {"staff": {"role": "admin"}}), "/api/me": (200, {"staff": {}})}
    async with answering({"/api/shop": shop(version="99.1.0"), **signed_in}) as url:
        assert "--any-version" in await failure(url)
        async with await Target.open(url, "a@b.example", "secret", any_version=True) as target:
            assert "99.1.0" in target.warnings[0]
    async with (
        answering({"/api/shop": shop(version=f"{major}.{minor}.99"), **signed_in}) as url,
        await Target.open(url, "a@b.example", "secret") as target,
    ):
        assert f"{major}.{minor}.99" in target.warnings[0]


async def test_a_wrong_password(server: OwnServer) -> None:
    assert "LOADTEST_PASSWORD" in await failure(server.url, server.email, "not her password")


async def test_a_role_that_may_not_give_passes(server: OwnServer) -> None:
    account = ("user", "add", "ada@shop.example", "--name", "Ada", "--role", "advisor")
    await server._command(*account, typed="a long pass phrase 77\n" * 2)

    assert "is advisor there" in await failure(server.url, "ada@shop.example", "a long pass phrase 77")


async def test_cookies_that_are_for_https_only() -> None:
    pages = {"/api/login": (200, {"staff": {"role": "admin"}}), "/api/me": (200, {"staff": None})}
    async with answering({"/api/shop": shop(), **pages}) as url:
        assert "Use its public address" in await failure(url)


async def test_a_shop_in_production_must_have_allowed_rehearsals() -> None:
    signed_in = {"/api/login": (200, {"staff": {"role": "admin"}}), "/api/me": (200, {"staff": {}})}
    passes = "/api/staff/shows/none/rehearsal-passes"
    pages = {"/api/shop": shop(mode="production"), **signed_in}
    async with answering({**pages, passes: (403, {"number": 203, "text": "Your role does not allow this."})}) as url:
        assert "REHEARSALS=yes" in await failure(url)
    async with (
        answering({**pages, passes: (404, {"number": 103, "text": "There is no such show."})}) as url,
        await Target.open(url, "a@b.example", "secret") as target,
    ):
        assert target.shop.mode == "production"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999"])
async def test_what_is_no_address(url: str) -> None:
    with pytest.raises(TargetError):
        await refuse_other_machine(url, True)


async def test_another_machine_is_not_touched_unless_its_owner_says_so() -> None:
    assert "--i-own-this-host" in await failure("http://192.0.2.7:8080")
    assert "leads nowhere" in await failure("http://no-such-host.invalid")
    await refuse_other_machine("http://192.0.2.7:8080", True)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "0.0.0.0", "::ffff:127.0.0.1"])
def test_loopback_is_this_machine(address: str) -> None:
    assert is_this_machine(address)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
def test_addresses_of_nobody_are_not_this_machine(address: str) -> None:
    assert not is_this_machine(address)


# --- shows ------------------------------------------------------------------------------------------------------------


async def test_a_show_is_made_of_cards_with_deals_of_different_variants(target: Target) -> None:
    show = await target.create_show(
        "Rehearsal", cards=20, deals_per_card=3, quota=7, hold_seconds=60, pay_seconds=90, limit=2
    )

    plan: dict[str, Any] = await target.api.get(f"/api/staff/shows/{show.show_id}")
    assert plan["show"]["status"] == "draft"
    assert [card["card_id"] for card in plan["cards"]] == [card.card_id for card in show.cards]
    deals = [deal for card in plan["cards"] for deal in card["deals"]]
    assert tuple(deal["deal_id"] for deal in deals) == show.deal_ids
    numbers = {(deal["quota"], deal["hold_seconds"], deal["pay_seconds"], deal["limit_per_viewer"]) for deal in deals}
    assert numbers == {(7, 60, 90, 2)}
    assert all(len({deal["variant_id"] for deal in card["deals"]}) == 3 for card in plan["cards"])


async def test_too_few_variants_are_told_and_nothing_is_made(target: Target) -> None:
    before = await target.api.get("/api/staff/shows")

    with pytest.raises(TargetError, match="48 variants"):
        await target.create_show("Rehearsal", cards=1, deals_per_card=49, quota=1)

    assert await target.api.get("/api/staff/shows") == before


async def test_stock_is_added_on_our_own_server_and_on_no_other(server: OwnServer, target: Target) -> None:
    async with await Target.open(server.url, server.email, server.password) as stranger:
        with pytest.raises(TargetError, match="too little stock"):
            await stranger.create_show("Rehearsal", cards=13, deals_per_card=40, quota=100_000)
    location_id, before = await target._free_units()

    await target.create_show("Rehearsal", cards=13, deals_per_card=40, quota=100_000)

    _, after = await target._free_units()
    assert location_id
    assert sum(after.values()) >= 13 * 40 * 100_000 > sum(before.values())


async def test_what_the_server_refuses_of_a_show_is_told(target: Target) -> None:
    with pytest.raises(TargetError, match="Rehearsal"):
        await target.create_show("Rehearsal", cards=1, deals_per_card=1, quota=1, hold_seconds=1)


async def test_a_witness_hears_what_the_room_hears(target: Target) -> None:
    show = await staged(target)
    card = show.cards[0]
    (viewer_pass,) = await target.passes(show.show_id, 1, 10, "Witness")
    async with target.witness(show.show_id, viewer_pass) as witness:
        epoch, offset = witness.position
        await target.set_line(show.show_id, card.card_id, "Velvet matte")
        await target.command(show.show_id, do="show_card", card_id=card.card_id)

        shown = await witness.heard(CardShown, lambda event: event.card.card_id == card.card_id, after=offset)
        await witness.until_deals(card.deal_ids, "open")
        await witness.seen(shown.offset)
        await witness.until(lambda: set(card.deal_ids) <= witness.stock.keys(), "levels")

        assert isinstance(shown.event, CardShown)
        assert shown.event.card.line == "Velvet matte"
        assert witness.position[0] == epoch
        assert witness.position[1] >= shown.offset > offset
        assert {deal_id: witness.stock[deal_id] for deal_id in card.deal_ids} == dict.fromkeys(
            card.deal_ids, (50, 0, 0, 0, 0)
        )
    async with target.witness(show.show_id, viewer_pass) as late:
        await late.until_deals(card.deal_ids, "open")  # by the snapshot, or by the events that follow it
        with pytest.raises(TargetError, match="in vain for the moon"):
            await late.until(lambda: False, "the moon", 0.0)
        await target.end_show(show.show_id)
        await late.until_deals(card.deal_ids, "closed")


async def test_the_news_end_where_the_server_s_log_does_and_not_where_somebody_heard_it(target: Target) -> None:
    show = await staged(target)
    (viewer_pass,) = await target.passes(show.show_id, 1, 10, "Witness")
    async with target.witness(show.show_id, viewer_pass) as witness:
        before = witness.position
        for card in show.cards:
            await target.command(show.show_id, do="show_card", card_id=card.card_id)

        last = await last_place(target.api, show.show_id)

        assert last is not None
        assert last[0] == before[0]
        assert last[1] > before[1] + 1
        await witness.seen(last[1])
        assert witness.position == last
    books = await fetch_books(target.api, show.show_id)
    assert (books.events[-1].epoch, books.events[-1].place) == last


async def test_a_witness_with_a_bad_pass_is_told_why(target: Target) -> None:
    show = await staged(target)
    (good,) = await target.passes(show.show_id, 1, 10)

    with pytest.raises(TargetError, match="sent the witness in the show away"):
        async with target.witness(show.show_id, type(good)(good.viewer_id, "not a pass")):
            raise AssertionError


async def test_passes_come_in_any_number_and_are_all_different(target: Target) -> None:
    show = await staged(target)

    passes = await target.passes(show.show_id, 2100, 10)

    assert len({each.viewer_id for each in passes}) == len({each.token for each in passes}) == 2100
    assert await target.passes(show.show_id, 0, 10) == []


async def test_passes_of_a_show_that_is_not_there_are_refused_in_words(target: Target) -> None:
    with pytest.raises(TargetError, match="gives no passes"):
        await target.passes("shw_nowhere", 1, 10)


async def test_what_the_host_may_not_do_is_the_server_s_own_refusal(target: Target) -> None:
    show = await staged(target)
    await target.end_show(show.show_id)

    await target.end_show(show.show_id)
    with pytest.raises(Refused) as refused:
        await target.command(show.show_id, do="show_card", card_id=show.cards[0].card_id)

    assert refused.value.why is R.SHOW_OVER


async def test_a_command_gets_through_while_the_server_is_replaced(server: OwnServer, target: Target) -> None:
    show = await staged(target)
    (pid,) = server.pids()["web"]
    await server.kill("web")

    await target.command(show.show_id, do="show_card", card_id=show.cards[0].card_id)

    await server.until_back("web", pid)
    plan: dict[str, Any] = await target.api.get(f"/api/staff/shows/{show.show_id}")
    assert plan["on_air"] == show.cards[0].card_id
