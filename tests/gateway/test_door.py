"""The door: whose credentials count, in which order they are refused, and what a socket's opener may be."""

import httpx
import pytest
from sqlalchemy import insert

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import bans
from livecommerce.people.identity import StaffIdentity
from livecommerce.settings import Settings
from tests.people.support import EMAIL, ORIGIN, PASSWORD, Shop, refusal


@pytest.fixture
def shop(settings: Settings, database: Database, redis, clock: TestClock) -> Shop:  # type: ignore[no-untyped-def]
    return Shop(settings, database, redis, clock)


async def signed_in(shop: Shop, browser: httpx.AsyncClient) -> str:
    """Signs the browser in and returns the session's CSRF word."""
    answer = await browser.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["csrf"])


# --- HTTP: cookies, CSRF, origins -----------------------------------------------------------------------------------


async def test_a_session_changes_things_only_with_its_own_csrf_word(shop: Shop) -> None:
    await shop.staff()
    async with shop.browser() as browser:
        csrf = await signed_in(shop, browser)
        assert await refusal(await browser.post("/api/staff/links", json={})) == (403, "csrf")
        wrong = {"x-csrf-token": csrf[::-1]}
        assert await refusal(await browser.post("/api/staff/links", json={}, headers=wrong)) == (403, "csrf")
        assert await refusal(await browser.post("/api/logout", headers={"x-csrf-token": "x"})) == (403, "csrf")
        right = {"x-csrf-token": csrf}
        assert (await browser.post("/api/staff/links", json={}, headers=right)).status_code == 200
        assert (await browser.get("/api/staff/organisation")).status_code == 200


async def test_a_foreign_page_is_refused_before_anything_else_is_looked_at(shop: Shop) -> None:
    await shop.staff()
    async with shop.browser() as browser:
        csrf = await signed_in(shop, browser)
        headers = {"origin": "https://evil.org", "x-csrf-token": csrf}
        for method, path in [("POST", "/api/login"), ("POST", "/api/staff/links"), ("POST", "/api/viewers")]:
            assert await refusal(await browser.request(method, path, json={}, headers=headers)) == (403, "origin")


async def test_a_viewers_cookie_changes_nothing_without_an_origin(shop: Shop) -> None:
    async with shop.browser() as browser:
        await browser.post("/api/viewers", json={"name": "Ada"})
        del browser.headers["origin"]
        assert await refusal(await browser.patch("/api/me", json={"name": "Eve"})) == (403, "origin")
        assert await refusal(await browser.post("/api/viewers/token")) == (403, "origin")
        assert await refusal(await browser.post("/api/viewers", json={"name": "Eve"})) == (403, "origin")
        assert (await browser.get("/api/me")).json()["viewer"]["name"] == "Ada"


async def test_bearer_passes_need_neither_csrf_nor_origin_and_go_before_the_cookies(shop: Shop) -> None:
    staff = await shop.staff()
    viewer = await shop.people.new_viewer("Frame")
    async with shop.browser(origin=None) as browser:
        await signed_in(shop, browser)
        token = (await shop.people.pass_for_staff(staff)).token
        as_staff = {"authorization": f"Bearer {token}"}
        as_viewer = {"authorization": f"Bearer {shop.people.tokens.for_viewer(viewer).token}"}
        assert (await browser.post("/api/staff/links", json={}, headers=as_staff)).status_code == 200
        me = (await browser.get("/api/me", headers=as_viewer)).json()
        assert (me["viewer"]["name"], me["staff"], me["csrf"]) == ("Frame", None, "")
        assert (await browser.patch("/api/me", json={"name": "Other"}, headers=as_viewer)).status_code == 200
        assert "set-cookie" not in (await browser.post("/api/viewers/token", headers=as_viewer)).headers


async def test_the_wrong_pass_is_refused_with_its_reason(shop: Shop) -> None:
    staff = await shop.staff()
    viewer = await shop.people.new_viewer("Ada")
    tokens = shop.people.tokens
    expired = tokens.for_staff(staff.account_id, 1).token
    await shop.clock.advance(601)
    wrong_passes = {
        "": (401, "sign_in"),
        tokens.for_viewer(viewer).token: (403, "forbidden"),
        tokens.renewal_for_viewer(viewer).token: (401, "token_invalid"),
        tokens.renewal_for_staff(staff.account_id, 1).token: (401, "token_invalid"),
        tokens.for_staff(staff.account_id, 2).token: (401, "token_invalid"),
        tokens.for_staff("acc_nobody", 1).token: (401, "token_invalid"),
        expired: (401, "token_expired"),
        "noise": (401, "token_invalid"),
    }
    async with shop.browser() as browser:
        for token, expected in wrong_passes.items():
            headers = {"authorization": f"Bearer {token}"} if token else {}
            assert await refusal(await browser.get("/api/staff/organisation", headers=headers)) == expected


async def test_staff_cannot_do_what_is_for_viewers(shop: Shop) -> None:
    staff = await shop.staff()
    token = (await shop.people.pass_for_staff(staff)).token
    async with shop.browser(authorization=f"Bearer {token}") as browser:
        assert await refusal(await browser.patch("/api/me", json={"name": "Eve"})) == (403, "forbidden")


async def test_over_https_the_cookies_are_secure_and_bound_to_this_host(shop: Shop) -> None:
    shop = shop.with_settings(mode="production", public_url="https://live.example.com")
    await shop.staff()
    async with shop.browser(origin="https://live.example.com") as browser:
        answer = await browser.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
        session, csrf = answer.headers.get_list("set-cookie")
        assert session.startswith("__Host-lc_session=")
        for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert attribute in session
        assert csrf.startswith("lc_csrf=")
        assert "HttpOnly" not in csrf
        viewer = await browser.post("/api/viewers", json={"name": "Ada"})
        assert viewer.headers["set-cookie"].startswith("__Host-lc_viewer=")
        # The same cookie without the prefix is not believed: a neighbouring host could have planted it.
        planted = {"cookie": f"lc_session={session.partition('=')[2].partition(';')[0]}"}
        async with shop.browser(origin="https://live.example.com", **planted) as other:
            assert (await other.get("/api/me")).json()["staff"] is None


# --- sockets --------------------------------------------------------------------------------------------------------


async def refused_socket(shop: Shop, token: str, cookie: str, origin: str, show_id: str) -> R:
    with pytest.raises(Refused) as refused:
        await shop.door.verify_socket(token, cookie, origin, show_id)
    return refused.value.why


async def test_a_viewers_token_opens_a_socket_until_it_runs_out(shop: Shop) -> None:
    viewer = await shop.people.new_viewer("Ada")
    new = shop.people.tokens.for_viewer(viewer)
    admitted = await shop.door.verify_socket(new.token, "", ORIGIN, "sh_a")
    assert admitted == (viewer, "viewer", new.expires_at_ms)
    assert await shop.door.verify_socket(new.token, "", "", "sh_a") == admitted  # a program has no origin
    await shop.clock.advance(600)
    assert await refused_socket(shop, new.token, "", ORIGIN, "sh_a") is R.TOKEN_EXPIRED


async def test_a_viewers_cookie_opens_a_socket_for_as_long_as_a_short_token(shop: Shop) -> None:
    viewer = await shop.people.new_viewer("Ada")
    cookie = f"theme=dark; {shop.door.viewer_cookie}={shop.people.tokens.renewal_for_viewer(viewer).token}"
    admitted = await shop.door.verify_socket("", cookie, ORIGIN, "sh_a")
    assert admitted == (viewer, "viewer", shop.clock.now_ms() + 600_000)
    assert await refused_socket(shop, "", cookie, "", "sh_a") is R.ORIGIN


async def test_what_opens_no_socket(shop: Shop) -> None:
    viewer = await shop.people.new_viewer("Ada")
    tokens = shop.people.tokens
    token = tokens.for_viewer(viewer).token
    assert await refused_socket(shop, "", "", ORIGIN, "sh_a") is R.SIGN_IN
    assert await refused_socket(shop, "", "broken;=;;\x00=1", ORIGIN, "sh_a") is R.SIGN_IN
    assert await refused_socket(shop, "noise", "", ORIGIN, "sh_a") is R.TOKEN_INVALID
    assert await refused_socket(shop, tokens.renewal_for_viewer(viewer).token, "", ORIGIN, "sh_a") is R.TOKEN_INVALID
    assert await refused_socket(shop, token, "", "https://evil.org", "sh_a") is R.ORIGIN
    assert await refused_socket(shop, token, "", "null", "sh_a") is R.ORIGIN


async def in_the_north(shop: Shop) -> tuple[dict[str, StaffIdentity], str]:
    """One person of each role at the shop of Lille, a manager of the south; and a show of Lille."""
    tree = shop.people.organisation
    root = await tree.add("headquarters", "Maison")
    north = await tree.add("region", "North", root.org_unit_id)
    south = await tree.add("region", "South", root.org_unit_id)
    lille = await tree.add("shop", "Lille", north.org_unit_id)
    staff = {
        role: await shop.staff(role, lille.org_unit_id, f"{role}@example.com")
        for role in ("advisor", "moderator", "manager")
    }
    staff["admin"] = await shop.staff("admin", root.org_unit_id, "admin@example.com")
    staff["regional"] = await shop.staff("manager", north.org_unit_id, "north@example.com")
    staff["foreign"] = await shop.staff("manager", south.org_unit_id, "south@example.com")
    return staff, await shop.show_in(lille.org_unit_id, staff["advisor"].account_id)


async def test_staff_stand_in_a_show_of_their_scope_by_their_role(shop: Shop) -> None:
    staff, show_id = await in_the_north(shop)
    roles = {
        "advisor": "host", "moderator": "moderator", "manager": "manager", "admin": "admin", "regional": "manager",
    }  # fmt: skip
    for who, role in roles.items():
        new = await shop.people.pass_for_staff(staff[who])
        admitted = await shop.door.verify_socket(new.token, "", ORIGIN, show_id)
        assert (admitted.viewer.viewer_id, admitted.role, admitted.until_ms) == (
            staff[who].account_id,
            role,
            new.expires_at_ms,
        )


async def test_staff_of_another_region_and_an_unknown_show_are_refused(shop: Shop) -> None:
    staff, show_id = await in_the_north(shop)
    token = (await shop.people.pass_for_staff(staff["foreign"])).token
    assert await refused_socket(shop, token, "", ORIGIN, show_id) is R.FORBIDDEN
    token = (await shop.people.pass_for_staff(staff["admin"])).token
    assert await refused_socket(shop, token, "", ORIGIN, "sh_0000000000000000") is R.NOT_FOUND


async def test_a_session_cookie_is_staff_in_its_scope_and_elsewhere_the_viewer_beside_it(shop: Shop) -> None:
    _, show_id = await in_the_north(shop)
    viewer = await shop.people.new_viewer("Ada")
    as_viewer = f"{shop.door.viewer_cookie}={shop.people.tokens.renewal_for_viewer(viewer).token}"
    for who, role in [("advisor", "host"), ("south", "viewer")]:
        token = (await shop.people.login(f"{who}@example.com", PASSWORD, "203.0.113.7")).session.token
        session = f"{shop.door.session_cookie}={token}"
        admitted = await shop.door.verify_socket("", f"{session}; {as_viewer}", ORIGIN, show_id)
        assert admitted.role == role
        assert await refused_socket(shop, "", session, "", show_id) is R.ORIGIN
    assert await refused_socket(shop, "", session, ORIGIN, show_id) is R.FORBIDDEN


async def test_a_banned_viewer_is_refused_at_the_door_of_that_show_alone(shop: Shop) -> None:
    viewer = await shop.people.new_viewer("Ada")
    row = {"viewer_id": viewer.viewer_id, "kind": "ban", "by_account_id": "acc_1", "created_at_ms": 0}
    await shop.database.write(lambda connection: connection.execute(insert(bans).values(show_id="sh_a", **row)))
    token = shop.people.tokens.for_viewer(viewer).token
    assert await refused_socket(shop, token, "", ORIGIN, "sh_a") is R.BANNED
    await shop.door.verify_socket(token, "", ORIGIN, "sh_b")
