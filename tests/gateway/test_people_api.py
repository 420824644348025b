"""The API of people, as a browser, a frame and a merchant's server use it; and that no body makes it fail."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import sessions, viewers
from livecommerce.people.attempts import PERSON_HERE_MAX
from livecommerce.settings import Settings
from tests.people.support import EMAIL, ORIGIN, PASSWORD, Shop, refusal


@pytest.fixture
def shop(settings: Settings, database: Database, redis, clock: TestClock) -> Shop:  # type: ignore[no-untyped-def]
    return Shop(settings, database, redis, clock)


async def count(shop: Shop, table: Any) -> int:
    async with shop.database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


# --- staff ----------------------------------------------------------------------------------------------------------


async def test_sign_in_look_around_sign_out(shop: Shop) -> None:
    staff = await shop.staff("manager")
    async with shop.browser() as browser:
        answer = await browser.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
        csrf = answer.json()["csrf"]
        assert answer.json()["staff"]["account_id"] == staff.account_id
        assert browser.cookies["lc_csrf"] == csrf
        me = (await browser.get("/api/me")).json()
        assert (me["staff"]["name"], me["viewer"], me["csrf"]) == ("Mei Lin", None, csrf)
        units = (await browser.get("/api/staff/organisation")).json()["units"]
        assert [unit["kind"] for unit in units] == ["headquarters"]
        kept = browser.cookies["lc_session"]
        assert (await browser.post("/api/logout", headers={"x-csrf-token": csrf})).status_code == 200
        assert "lc_session" not in browser.cookies
        assert await refusal(await browser.get("/api/staff/organisation")) == (401, "sign_in")
        again = {"cookie": f"lc_session={kept}"}
        assert await refusal(await browser.get("/api/staff/organisation", headers=again)) == (401, "sign_in")


async def test_a_planted_session_cookie_is_replaced_and_ended_by_the_login(shop: Shop) -> None:
    await shop.staff()
    async with shop.browser() as thief, shop.browser() as victim:
        await thief.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
        planted = thief.cookies["lc_session"]
        victim.cookies.set("lc_session", planted, domain="127.0.0.1", path="/")
        await victim.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
        fresh = {cookie.value for cookie in victim.cookies.jar if cookie.name == "lc_session"}
        assert fresh != {planted}
        assert (await thief.get("/api/me")).json()["staff"] is None


async def test_a_locked_out_person_is_told_when_to_come_back(shop: Shop) -> None:
    await shop.staff()
    async with shop.browser() as browser:
        for _ in range(PERSON_HERE_MAX):
            wrong = await browser.post("/api/login", json={"email": EMAIL, "password": "guess again"})
            assert await refusal(wrong) == (401, "wrong_password")
        locked = await browser.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
        assert await refusal(locked) == (429, "locked_out")
        assert locked.json()["after_ms"] > 0
        assert int(locked.headers["retry-after"]) == -(-locked.json()["after_ms"] // 1000)
    assert await count(shop, sessions) == 0


async def test_a_forwarded_address_of_no_trusted_proxy_gives_no_fresh_attempts(shop: Shop) -> None:
    await shop.staff()
    async with shop.browser(peer="203.0.113.7") as browser:
        words = []
        for number in range(PERSON_HERE_MAX + 1):
            headers = {"x-forwarded-for": f"198.51.100.{number}"}
            body = {"email": EMAIL, "password": "guess again"}
            words.append((await refusal(await browser.post("/api/login", json=body, headers=headers)))[1])
    assert words[-1] == "locked_out"


async def test_a_session_gets_a_short_pass_for_the_socket_and_renews_it(shop: Shop) -> None:
    staff = await shop.staff()
    async with shop.browser() as browser:
        csrf = (await browser.post("/api/login", json={"email": EMAIL, "password": PASSWORD})).json()["csrf"]
        assert await refusal(await browser.post("/api/staff/token")) == (403, "csrf")
        token = (await browser.post("/api/staff/token", headers={"x-csrf-token": csrf})).json()["token"]
    async with shop.browser(authorization=f"Bearer {token}") as frame:
        renewed = (await frame.post("/api/staff/token")).json()
        assert renewed["staff"]["account_id"] == staff.account_id
    await shop.clock.advance(601)
    async with shop.browser(authorization=f"Bearer {token}") as frame:
        assert await refusal(await frame.post("/api/staff/token")) == (401, "token_expired")


async def test_an_advisors_link_carries_its_qr_and_a_label_makes_another(shop: Shop) -> None:
    staff = await shop.staff()
    show_id = await shop.show_in(staff.org_unit_id, staff.account_id)
    token = (await shop.people.pass_for_staff(staff)).token
    async with shop.browser(authorization=f"Bearer {token}") as browser:
        first = (await browser.post("/api/staff/links", json={"show_id": show_id})).json()
        again = (await browser.post("/api/staff/links", json={"show_id": show_id})).json()
        other = (await browser.post("/api/staff/links", json={"show_id": show_id, "label": "window"})).json()
        assert first == again
        assert other["link_id"] != first["link_id"]
        assert first["url"] == f"{ORIGIN}/s/{first['link_id']}"
        assert first["qr_svg"].startswith("<svg")
        nowhere = await browser.post("/api/staff/links", json={"show_id": "sh_0000000000000000"})
        assert await refusal(nowhere) == (404, "not_found")


async def test_the_organisation_grows_below_ones_own_place_only(shop: Shop) -> None:
    manager = await shop.staff("manager")
    other = await shop.people.organisation.add("region", "South", manager.org_unit_id)
    async with shop.browser() as browser:
        answer = await browser.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
        browser.headers["x-csrf-token"] = answer.json()["csrf"]
        path = "/api/staff/organisation"
        region = (await browser.post(path, json={"kind": "region", "name": "North"})).json()
        assert region["path"] == f"{manager.org_path}{region['org_unit_id']}/"
        again = await browser.post(path, json={"kind": "shop", "name": "North"})
        assert await refusal(again) == (409, "exists")
        await shop.staff("manager", "North", "nora@example.com")
        answer = await browser.post("/api/login", json={"email": "nora@example.com", "password": PASSWORD})
        browser.headers["x-csrf-token"] = answer.json()["csrf"]
        made = (await browser.post(path, json={"kind": "shop", "name": "Lyon"})).json()
        assert made["parent_id"] == region["org_unit_id"]
        for parent, why in (
            (other.org_unit_id, (403, "forbidden")), (made["org_unit_id"], (400, "malformed")),
            ("org_0000000000000000", (404, "not_found")),
        ):  # fmt: skip
            body = {"kind": "shop", "name": "Nice", "parent_id": parent}
            assert await refusal(await browser.post(path, json=body)) == why
    names = [unit.name for unit in await shop.people.organisation.below(manager.org_path)]
    assert {"Lyon", "North", "South"} < set(names)
    assert len(names) == 4


# --- viewers --------------------------------------------------------------------------------------------------------


async def test_a_share_link_leads_to_its_show_and_credits_its_advisor(shop: Shop) -> None:
    staff = await shop.staff()
    show_id = await shop.show_in(staff.org_unit_id, staff.account_id)
    link = await shop.people.link_for(staff.account_id, show_id)
    async with shop.browser() as phone:
        followed = await phone.get(f"/s/{link.link_id}")
        assert (followed.status_code, followed.headers["location"]) == (303, f"/watch/{show_id}")
        came = (await phone.post("/api/viewers", json={"name": "Ada"})).json()
        assert (came["viewer"]["advisor_id"], came["viewer"]["link_id"]) == (staff.account_id, link.link_id)
        assert came["advisor_name"] == "Mei Lin"
        assert shop.people.tokens.viewer(came["token"]).viewer.link_id == link.link_id
        assert (await phone.get("/api/me")).json()["advisor_name"] == "Mei Lin"


async def test_a_dead_link_leads_to_the_shop(shop: Shop) -> None:
    async with shop.browser() as phone:
        for link in ("lnk_0000000000000000", "x", "%00"):
            followed = await phone.get(f"/s/{link}")
            assert (followed.status_code, followed.headers["location"]) == (303, "/")
        phone.cookies.set("lc_link", "lnk_0000000000000000")
        assert (await phone.post("/api/viewers", json={"name": "Ada"})).status_code == 200


async def test_who_comes_back_is_the_same_viewer_and_two_tabs_are_one(shop: Shop) -> None:
    async with shop.browser() as phone:
        first = (await phone.post("/api/viewers", json={"name": "Ada"})).json()["viewer"]
        tabs = await asyncio.gather(*(phone.post("/api/viewers", json={"name": "Ada L."}) for _ in range(3)))
        assert {tab.json()["viewer"]["viewer_id"] for tab in tabs} == {first["viewer_id"]}
        assert (await phone.get("/api/me")).json()["viewer"]["name"] == "Ada L."
    assert await count(shop, viewers) == 1


async def test_the_cookie_renews_the_token_and_itself_for_half_a_year(shop: Shop) -> None:
    async with shop.browser() as phone:
        first = (await phone.post("/api/viewers", json={"name": "Ada"})).json()
        await shop.clock.advance(179 * 86_400)
        renewed = await phone.post("/api/viewers/token")
        assert renewed.json()["viewer"] == first["viewer"]
        assert renewed.json()["expires_at_ms"] == shop.clock.now_ms() + 600_000
        await shop.clock.advance(179 * 86_400)
        assert (await phone.post("/api/viewers/token")).status_code == 200
        await shop.clock.advance(181 * 86_400)
        assert await refusal(await phone.post("/api/viewers/token")) == (401, "sign_in")


async def test_a_script_in_a_name_stays_text_and_an_unreadable_name_makes_nobody(shop: Shop) -> None:
    async with shop.browser() as phone:
        assert await refusal(await phone.post("/api/viewers", json={"name": "\u200b"})) == (400, "malformed")
        assert await refusal(await phone.post("/api/viewers", json={"name": "x" * 41})) == (400, "malformed")
        assert await count(shop, viewers) == 0
        named = await phone.post("/api/viewers", json={"name": "<script>alert(1)"})
        assert named.json()["viewer"]["name"] == "<script>alert(1)"
        assert named.headers["content-type"] == "application/json"
        assert named.headers["x-content-type-options"] == "nosniff"


async def test_a_one_time_code_signs_one_frame_in_and_leaves_the_cookies_alone(shop: Shop) -> None:
    staff = await shop.staff()
    viewer = await shop.people.new_viewer("You")
    yours = await shop.people.codes.issue("viewer", viewer.viewer_id, "/watch/sh_a")
    hosts = await shop.people.codes.issue("account", staff.account_id, "/console")
    async with shop.browser() as tab:
        you = await tab.post("/api/enter", json={"code": yours})
        host = await tab.post("/api/enter", json={"code": hosts})
        assert not tab.cookies
        assert (you.json()["kind"], you.json()["target"]) == ("viewer", "/watch/sh_a")
        assert host.json()["staff"]["account_id"] == staff.account_id
        assert await refusal(await tab.post("/api/enter", json={"code": yours})) == (401, "code_spent")
        await shop.clock.advance(3600)
        for answer, path in [(you, "/api/viewers/token"), (host, "/api/staff/token")]:
            stale = {"authorization": f"Bearer {answer.json()['token']}"}
            assert await refusal(await tab.post(path, headers=stale)) == (401, "token_expired")
            renewal = {"authorization": f"Bearer {answer.json()['renewal']}"}
            assert (await tab.post(path, headers=renewal)).status_code == 200


# --- the merchant ---------------------------------------------------------------------------------------------------


async def test_the_merchants_server_mints_passes_with_its_key_and_nobody_does_without(shop: Shop) -> None:
    key = await shop.people.api_keys.make("web shop")
    body = {"external_ref": "crm:77", "name": "Ada"}
    async with shop.browser(origin=None) as server:
        path = "/api/merchant/viewer-tokens"
        assert await refusal(await server.post(path, json=body)) == (401, "sign_in")
        wrong = {"authorization": "Bearer lck_guess"}
        assert await refusal(await server.post(path, json=body, headers=wrong)) == (401, "token_invalid")
        viewer = await shop.people.new_viewer("Ada")
        as_viewer = {"authorization": f"Bearer {shop.people.tokens.for_viewer(viewer).token}"}
        assert await refusal(await server.post(path, json=body, headers=as_viewer)) == (401, "token_invalid")
        right = {"authorization": f"Bearer {key}"}
        minted = (await server.post(path, json=body, headers=right)).json()
        assert minted["viewer"]["kind"] == "merchant"
        assert shop.people.tokens.viewer(minted["token"]).viewer.viewer_id == minted["viewer"]["viewer_id"]
        simulated = (
            await server.post(path, json=body | {"external_ref": "s", "simulated": True}, headers=right)
        ).json()
        assert simulated["viewer"]["kind"] == "simulated"
        nobody = body | {"external_ref": "n", "advisor_id": "acc_0000000000000000"}
        assert await refusal(await server.post(path, json=nobody, headers=right)) == (404, "not_found")
        headquarters = await shop.people.organisation.add("headquarters", "All")
        no_shop = body | {"external_ref": "q", "shop_id": headquarters.org_unit_id}
        assert await refusal(await server.post(path, json=no_shop, headers=right)) == (404, "not_found")
    assert await count(shop, viewers) == 3


# --- misuse ---------------------------------------------------------------------------------------------------------

ENDPOINTS = [
    ("POST", "/api/login"),
    ("POST", "/api/viewers"),
    ("PATCH", "/api/me"),
    ("POST", "/api/enter"),
    ("POST", "/api/merchant/viewer-tokens"),
    ("POST", "/api/staff/links"),
]
words = st.text(max_size=60) | st.sampled_from(["\0", "a\0@b", "' OR 1=1", "x" * 5000, "lnk_0000000000000000", EMAIL])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words, lambda inner: st.lists(inner, max_size=3)
)
fields = st.sampled_from(
    ["name", "email", "password", "code", "link_id", "show_id", "label", "external_ref", "advisor_id", "shop_id", "x"]
)
bodies = st.dictionaries(fields, values | words, max_size=8)


class Stranger:
    """Sends whatever it is told to, each time with every credential that could open something."""

    def __init__(self, shop: Shop, staff_token: str, viewer_token: str, key: str) -> None:
        self._shop = shop
        self._proofs = {"/api/staff": staff_token, "/api/me": viewer_token, "/api/merchant": key}

    async def send(self, method: str, path: str, body: bytes) -> httpx.Response:
        proof = next((token for start, token in self._proofs.items() if path.startswith(start)), "")
        headers = {"authorization": f"Bearer {proof}"} if proof else {}
        await self._shop.redis.flushall()  # so that the bound on attempts does not hide what comes after it
        async with self._shop.browser() as browser:
            return await browser.request(method, path, content=body, headers=headers)


@pytest.fixture
async def stranger(shop: Shop) -> Stranger:
    staff = await shop.staff()
    viewer = await shop.people.new_viewer("Ada")
    return Stranger(
        shop,
        (await shop.people.pass_for_staff(staff)).token,
        shop.people.tokens.for_viewer(viewer).token,
        await shop.people.api_keys.make("web shop"),
    )


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(endpoint=st.sampled_from(ENDPOINTS), body=bodies)
async def test_no_body_makes_the_server_fail(stranger: Stranger, endpoint: tuple[str, str], body: Any) -> None:
    # `dumps` writes NaN, which is no JSON: that, too, is sent by somebody one day.
    answer = await stranger.send(*endpoint, json.dumps(body).encode())
    assert answer.status_code < 500, (endpoint, body, answer.text)


NO_MESSAGES = [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"name": "\\ud800"}', b"[" * 100_000, b'{"name": 1e999}',
]  # fmt: skip


async def test_what_is_no_message_is_refused(stranger: Stranger) -> None:
    for endpoint in ENDPOINTS:
        for body in NO_MESSAGES:
            answer = await stranger.send(*endpoint, body)
            # A share link has no field that must be there: an empty body asks for the caller's own link.
            if not (endpoint[1] == "/api/staff/links" and answer.status_code == 200):
                assert await refusal(answer) in ((400, "malformed"),), (endpoint, body)


async def test_a_body_without_end_is_cut_off(stranger: Stranger) -> None:
    assert await refusal(await stranger.send("POST", "/api/viewers", b" " * 400_000)) == (413, "too_large")


# --- logs -----------------------------------------------------------------------------------------------------------


async def test_no_personal_data_is_bound_to_or_written_in_the_logs_of_these_endpoints(shop: Shop) -> None:
    await shop.staff()
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        async with shop.browser(peer="203.0.113.7") as browser:
            await browser.post("/api/login", json={"email": EMAIL, "password": "guess again"})
            await browser.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
            await browser.post("/api/viewers", json={"name": "Ada Lovelace"})
            await browser.get("/s/lnk_0000000000000000?email=ada@example.com")
    written = repr(lines)
    assert "answered" in written
    assert all(
        line["request_id"] for line in lines if line["event"] == "answered" and line["route"].startswith("/api/")
    )
    for personal in (EMAIL, "Mei", "Ada", PASSWORD, "guess again", "203.0.113.7", "ada@", browser.cookies["lc_viewer"]):
        assert personal not in written
