"""The web application: pages at their addresses, files for ever, headers on everything, failures in words."""

import re
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert

from livecommerce.clock import TestClock
from livecommerce.gateway import web
from livecommerce.gateway.security import content_security_policy
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import invitations
from livecommerce.settings import Settings
from tests.people.support import ORIGIN, Shop, refusal

# Pages and headers are the same over every ledger.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def shop(settings: Settings, database: Database, redis: Redis, clock: TestClock) -> Shop:
    return Shop(settings, database, redis, clock)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the build leaves it."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    for name in set(web.PAGES.values()):
        (folder / name).write_text(f"<!doctype html><title>{name}</title>" + " " * 2000)
    (folder / "assets" / "watch-abc123.js").write_text("export {};\n" * 500)
    (folder / "mark.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "secret").write_text("not yours")
    monkeypatch.setattr(web, "pages_folder", lambda: folder)
    return folder


async def test_each_address_has_its_page(shop: Shop, built: Path) -> None:
    async with shop.browser() as browser:
        for path, page in [
            ("/", "shop.html"),
            ("/p/rouge-velvet", "shop.html"),
            ("/watch/sh_0000000000000000", "watch.html"),
            ("/console", "console.html"),
            ("/console/shows/sh_0000000000000000", "console.html"),
            ("/login", "login.html"),
            ("/pay/test/tp_1", "pay.html"),
            ("/demo", "demo.html"),
        ]:
            answer = await browser.get(path)
            assert answer.status_code == 200, path
            assert f"<title>{page}</title>" in answer.text
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["content-encoding"] == "gzip"


async def test_without_built_pages_the_server_says_what_to_do(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "pages_folder", lambda: None)
    async with shop.browser() as browser:
        answer = await browser.get("/")
        assert answer.status_code == 503
        assert "make web" in answer.text
        assert (await browser.get("/healthz")).status_code == 200


async def test_built_files_are_kept_for_ever_and_nothing_beside_them_is_handed_out(shop: Shop, built: Path) -> None:
    async with shop.browser() as browser:
        script = await browser.get("/static/assets/watch-abc123.js")
        assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert script.headers["content-encoding"] == "gzip"
        assert (await browser.get("/static/mark.svg")).headers["cache-control"] == "no-cache"
        for path in ("/static/../secret", "/static/%2e%2e/secret", "/static/assets/..%2f..%2f..%2fsecret", "/static/"):
            assert (await browser.get(path)).status_code in (404, 405), path


async def test_every_answer_carries_the_security_headers(shop: Shop, built: Path) -> None:
    async with shop.browser() as browser:
        for path in ("/", "/api/shop", "/nowhere", "/static/assets/watch-abc123.js", "/docs/api", "/metrics"):
            headers = (await browser.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["content-security-policy"] == content_security_policy(shop.settings)
            assert headers["referrer-policy"] == "same-origin"
            assert "strict-transport-security" not in headers


async def test_in_production_only_https_is_loaded_and_browsers_remember_it(shop: Shop) -> None:
    shop = shop.with_settings(mode="production", public_url="https://live.example.com")
    async with shop.browser() as browser:
        headers = (await browser.get("/healthz")).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'self'"
    assert policy["media-src"] == "'self' blob:"
    assert policy["connect-src"] == "'self' wss:"
    assert policy["frame-src"] == "'self'"
    assert "http:" not in headers["content-security-policy"].replace("https:", "")
    assert headers["strict-transport-security"] == "max-age=31536000"


async def test_no_page_of_our_own_needs_what_the_policy_forbids(shop: Shop) -> None:
    async with shop.browser() as browser:
        for path in ("/docs/api", "/nowhere"):
            text = (await browser.get(path)).text
            assert "<script" not in text
            assert "<style" not in text
            assert "style=" not in text
            assert all(target.startswith(("/", "#")) for target in re.findall(r'(?:src|href)="([^"]*)', text)), path


async def test_an_unknown_address_is_refused_in_words_for_programs_and_in_a_page_for_people(shop: Shop) -> None:
    async with shop.browser() as browser:
        assert await refusal(await browser.get("/api/nowhere")) == (404, "not_found")
        wrong = await browser.put("/api/login", json={})
        assert await refusal(wrong) == (405, "malformed")
        assert "POST" in wrong.headers["allow"]
        page = await browser.get("/nowhere/<script>")
        assert page.status_code == 404
        assert page.headers["content-type"].startswith("text/html")
        assert "<script>" not in page.text


async def test_a_failure_of_ours_is_a_refusal_without_its_cause(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(shop.people, "login", fail)
    monkeypatch.setattr(shop.people.links, "find", fail)
    async with shop.browser() as browser:
        answer = await browser.post("/api/login", json={"email": "a@b", "password": "x"})
        assert await refusal(answer) == (500, "internal")
        assert "hunter2" not in answer.text
        page = await browser.get("/s/lnk_0000000000000000")
        assert page.status_code == 500
        assert "hunter2" not in page.text


async def test_a_request_id_comes_back_and_is_made_where_none_came(shop: Shop) -> None:
    async with shop.browser() as browser:
        assert (await browser.get("/healthz", headers={"x-request-id": "abc-1"})).headers["x-request-id"] == "abc-1"
        assert len((await browser.get("/healthz")).headers["x-request-id"]) == 16


async def test_pages_of_the_named_origins_may_call_with_tokens_and_never_with_cookies(shop: Shop) -> None:
    shop = shop.with_settings(allowed_origins=("https://shop.example.com",))
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with shop.browser(origin="https://shop.example.com") as browser:
        asked = await browser.options("/api/viewers", headers=ask)
        assert asked.headers["access-control-allow-origin"] == "https://shop.example.com"
        assert "access-control-allow-credentials" not in asked.headers
        assert (await browser.post("/api/viewers", json={"name": "Ada"})).status_code == 200
    async with shop.browser(origin="https://evil.org") as browser:
        asked = await browser.options("/api/viewers", headers=ask)
        assert "access-control-allow-origin" not in asked.headers


async def test_an_invitation_leads_to_its_show_with_itself_along(shop: Shop) -> None:
    staff = await shop.staff()
    show_id = await shop.show_in(staff.org_unit_id, staff.account_id)
    row = {"id": "inv_0000000000000000", "show_id": show_id, "place_limit": 10}
    await shop.database.write(lambda connection: connection.execute(insert(invitations).values(row)))
    async with shop.browser() as browser:
        followed = await browser.get("/i/inv_0000000000000000")
        assert followed.headers["location"] == f"/watch/{show_id}?invitation=inv_0000000000000000"
        for dead in ("inv_1111111111111111", "x", "%00"):
            assert (await browser.get(f"/i/{dead}")).headers["location"] == "/"


async def test_the_documents_are_served(shop: Shop) -> None:
    async with shop.browser() as browser:
        doc = (await browser.get("/openapi.json")).json()
        assert doc["openapi"] == "3.1.0"
        assert doc["servers"] == [{"url": ORIGIN}]
        page = await browser.get("/docs/api")
        assert page.headers["content-type"].startswith("text/html")
        for path in doc["paths"]:
            assert path in page.text
        assert (await browser.get("/docs/api.css")).headers["content-type"].startswith("text/css")


# --- pictures from elsewhere ------------------------------------------------------------------------------------------


async def _show(shop: Shop, video: dict[str, Any]) -> str:
    staff = await shop.staff(email=f"{new_id('mei')}@example.com")
    return await shop.show_in(staff.org_unit_id, staff.account_id, video)


async def _policy(shop: Shop, path: str) -> dict[str, str]:
    async with shop.browser() as browser:
        header = (await browser.get(path)).headers["content-security-policy"]
    return dict(rule.split(" ", 1) for rule in header.split("; "))


@pytest.mark.parametrize(
    ("video", "connects", "frames"),
    [
        ({"kind": "own"}, "", ""),
        ({"kind": "none"}, "", ""),
        ({"kind": "file", "url": "/clip.mp4", "alternates": ["/clip.webm"]}, "", ""),
        ({"kind": "hls", "url": "https://media.example.com:8443/live/x.m3u8"}, " https://media.example.com:8443", ""),
        (
            {"kind": "file", "url": "https://a.example.com/x.mp4", "alternates": ["https://b.example.com/x.webm"]},
            " https://a.example.com https://b.example.com",
            "",
        ),
        (
            {"kind": "youtube", "url": "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ"},
            "",
            " https://www.youtube-nocookie.com",
        ),
    ],
)
async def test_a_shows_pages_may_fetch_its_picture_from_its_own_server_and_from_no_other(
    shop: Shop, built: Path, video: dict[str, Any], connects: str, frames: str
) -> None:
    show_id = await _show(shop, video)

    for path in (f"/watch/{show_id}", f"/console/shows/{show_id}"):
        policy = await _policy(shop, path)
        assert policy["connect-src"] == f"'self' ws: wss:{connects}", path
        assert policy["media-src"] == f"'self' blob:{connects}"
        assert policy["frame-src"] == f"'self'{frames}"
        assert policy["script-src"] == "'self'"
    for path in ("/", "/console", "/watch/sh_0000000000000000", "/watch/x;script-src", f"/console/x/{show_id}"):
        assert (await _policy(shop, path))["connect-src"] == "'self' ws: wss:", path


async def test_pieces_on_a_third_server_are_let_through_where_the_operator_named_it(shop: Shop, built: Path) -> None:
    shop = shop.with_settings(video_origins=("https://pieces.example.com",))
    elsewhere = await _show(shop, {"kind": "hls", "url": "https://media.example.com/x.m3u8"})
    own = await _show(shop, {"kind": "own"})

    policy = await _policy(shop, f"/watch/{elsewhere}")
    assert policy["connect-src"] == "'self' ws: wss: https://media.example.com https://pieces.example.com"
    assert (await _policy(shop, f"/watch/{own}"))["connect-src"] == "'self' ws: wss:"
