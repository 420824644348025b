"""The sentences of the doors' contract that no other test of a part says; and `docs/doors.md`, which lists them all."""

import dataclasses
import logging
import re
from pathlib import Path

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from livecommerce.errors import Close, R, Refused
from livecommerce.gateway.admission import CREDITS, Credits
from livecommerce.gateway.socket import MESSAGE_BYTES_MAX
from livecommerce.protocol.from_viewer import Hello
from livecommerce.protocol.to_viewer import Bye, RefusedMessage
from livecommerce.settings import Settings, read_settings
from livecommerce.supervisor import say_what_is_lost
from tests.gateway.live import SHOW, connect, handshake, live, seat, until

ROOT = Path(__file__).parents[2]
# Each of the contract's sentences, by words that its row has.
SENTENCES = (
    "short token", "checked locally", "ban list", "subprotocol list or a cookie", "ever in a URL that is logged",
    "refreshed on the live socket", "10 s to authenticate", "Origin allow-list", "cookie and no Origin",
    "Roles with scope", "public", "invited", "members", "Token bucket on accepts", "hard cap on sockets",
    "per identity", "per address", "4 KiB per viewer message", "credits per kind", "Proxy headers", "Without TLS",
    "explicit insecure mode", "numbered, in words, with retry-after", "two ranges", "say nothing",
)  # fmt: skip


def test_the_page_has_a_test_for_every_sentence() -> None:
    rows = [row for row in (ROOT / "docs" / "doors.md").read_text().splitlines() if row.startswith("| ")]
    for sentence in SENTENCES:
        mine = [row for row in rows if sentence in row.split("|")[1]]
        assert mine, f"docs/doors.md has no row for {sentence!r}"
        assert all(re.search(r"`test_\w+`", row) for row in mine)


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "doors.md").read_text()))
    texts = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    known = {name for text in texts for name in re.findall(r"^ *(?:async )?def (test_\w+)", text, re.MULTILINE)}
    assert len(named) > 20
    assert named <= known, named - known


async def test_a_token_in_the_address_opens_nothing_and_no_log_has_any_token(
    redis: Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with live(redis, settings) as one:
        with capture_logs() as lines:
            status, _, raw = await handshake(one.port, f"/live/{SHOW}?token=viewer.secret-one&x=1")
            assert status == 101
            raw.send(Hello())
            refused = await raw.read_until(RefusedMessage)
            assert refused.number == R.SIGN_IN.value.number
            await raw.read_all()
            by_subprotocol = await connect(one.port, token="viewer.secret-two")
            await by_subprotocol.hello()
            by_hello = await connect(one.port)
            await by_hello.hello(token="viewer.secret-three")
            assert (await handshake(one.port, "/nowhere?token=viewer.secret-four"))[0] == 403
        by_subprotocol.close()
        by_hello.close()
    told = caplog.text + repr(lines)
    assert "secret-" not in told


def test_ten_seconds_are_given_to_say_who_one_is_and_a_message_has_four_kib() -> None:
    assert (Settings().hello_seconds, MESSAGE_BYTES_MAX) == (10, 4096)


@pytest.mark.parametrize("kind", CREDITS)
def test_each_kind_of_message_has_credits_of_its_own(kind: str) -> None:
    per_second, at_once = CREDITS[kind]
    credits = Credits()
    for _ in range(int(at_once)):
        credits.take(kind, 0.0)
    with pytest.raises(Refused) as refused:
        credits.take(kind, 0.0)
    assert refused.value.why is R.TOO_MANY
    assert refused.value.after_ms == round(1000 / per_second)
    for other in CREDITS.keys() - {kind}:
        credits.take(other, 0.0)
    credits.take(kind, 1 / per_second + 0.001)


@pytest.mark.parametrize("code", Close)
async def test_a_goodbye_says_when_to_come_back_or_that_one_should_not(
    redis: Redis, settings: Settings, code: Close
) -> None:
    async with live(redis, settings) as one:
        raw, _ = await seat(one, "ada")
        one.hub.rooms[SHOW].sockets_of("ada")[0].close(code, "In words.", 500)
        bye = (await raw.read_all())[-1]
        assert isinstance(bye, Bye)
        assert (raw.close_code, bye.text) == (code, "In words.")
        assert (bye.after_ms is not None) == code.come_back == (code < 4500)


async def test_other_sockets_of_this_port_take_a_place_like_any(redis: Redis, settings: Settings) -> None:
    async with live(redis, dataclasses.replace(settings, sockets_max=2)) as one:
        status, _, camera = await handshake(one.port, "/echo", subprotocol=None)
        assert status == 101
        ada = await connect(one.port)
        status, headers, _ = await handshake(one.port, "/echo", subprotocol=None)
        assert (status, one.hub.admission.sockets) == (R.SERVER_FULL.value.status, 2)
        assert int(headers["retry-after"]) >= 1
        camera.close()
        await until(lambda: one.hub.admission.sockets == 1)
        assert (await handshake(one.port, "/echo", subprotocol=None))[0] == 101
        ada.close()


def test_plain_http_on_a_network_address_has_to_be_wanted_and_says_loudly_what_is_lost(tmp_path: Path) -> None:
    plain = read_settings({"HOST": "0.0.0.0", "LIVECOMMERCE_INSECURE": "yes"}, data=tmp_path)
    for settings, loud in (
        (plain, True),
        (dataclasses.replace(plain, public_url="https://live.example"), False),
        (dataclasses.replace(plain, host="127.0.0.1"), False),
    ):
        with capture_logs() as lines:
            say_what_is_lost(settings)
        assert bool(lines) == loud
    with capture_logs() as lines:
        say_what_is_lost(plain)
    [line] = lines
    assert line["log_level"] == "warning"
    assert "secure cookies" in line["what"]
    assert "camera" in line["what"]
