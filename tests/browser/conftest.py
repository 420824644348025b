"""A real Chromium, a real server, and people who tap: what the browser tests share.

One Chromium and one `livecommerce serve` serve the tests of this folder and end with them; each person has a browser
context of her own, which is what a phone or a desk of her own is. Where there is no Chromium, or the pages were not
built, these tests are left out, loudly. With LIVECOMMERCE_SCREENSHOTS set, `Person.photograph` keeps what she saw in
that folder.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Response,
    async_playwright,
    expect,
)

from livecommerce.pages import pages_folder
from tests.live_server import EMAIL, PASSWORD, LiveServer, Show, live_server, live_show, merchant_folder, until
from tests.ports import free_port

__all__ = ["merchant_folder"]

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
# Chromium takes the last list of these alone. The first line: what nobody sees, but each window loads two pages of its
# own for, which took two thirds of all its time here. The others are what Playwright switches off itself.
_SWITCHED_OFF = (
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "OptimizationHints", "NetworkTimeServiceQuerying", "PreconnectToSearch",
)  # fmt: skip
CHROMIUM_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream", f"--disable-features={','.join(_SWITCHED_OFF)}",
)  # fmt: skip
# A bound for a page that hangs, not a measure: a machine that does other work takes seconds for a frame.
WAIT_MS = 60_000
DEMO_WAIT_SECONDS = 180
expect.set_options(timeout=WAIT_MS)

GOODS = Path(__file__).parents[2] / "livecommerce" / "demo" / "goods"
CLIP = {"kind": "file", "url": "/clip.mp4", "alternates": ["/clip.webm"], "poster": "/poster.webp", "loop": True}


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    if pages_folder() is None:
        pytest.skip("the pages were not built (make web)")
    return path


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=list(CHROMIUM_ARGUMENTS))
        yield browser
        await browser.close()


@pytest.fixture(scope="package")
def server(chromium_path: str, merchant_folder: Path) -> Iterator[LiveServer]:
    """The shop of all browser tests; each test has a show of its own on it."""
    with live_server(merchant_folder, SHOP_NAME="Maison Rose") as running:
        yield running


@dataclass
class Person:
    """Somebody in front of a browser window of her own, and everything that went wrong in it."""

    name: str
    context: BrowserContext
    page: Page
    base_url: str
    troubles: list[str] = field(default_factory=list)
    welcomes: int = 0  # how often a room's door answered one of her sockets

    def listen(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(f"page: {error}"))
        page.on("requestfailed", lambda call: self._failed(call.url, call.failure))
        page.on("response", self._answered)
        page.on("websocket", lambda socket: socket.once("framereceived", self._welcomed))

    def _welcomed(self, _frame: object) -> None:
        self.welcomes += 1

    def _said(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.troubles.append(f"console: {said.text}")

    def _answered(self, answer: Response) -> None:
        if answer.status >= 400:
            self._failed(answer.url, str(answer.status))

    def _failed(self, url: str, why: str | None) -> None:
        # A page that leaves, or a player that has enough, lets go of what it was fetching: no failure.
        if "ERR_ABORTED" not in (why or ""):
            self.troubles.append(f"request: {url} {why}")

    async def open(self, path: str) -> None:
        await self.page.goto(path if path.startswith("http") else self.base_url + path)

    async def enter(self, url: str) -> None:
        """Come in by a link and a name, until the room has answered."""
        before = self.welcomes
        await self.open(url)
        await self.page.get_by_label("Your name in the room").fill(self.name)
        await self.page.get_by_role("button", name="Join").click()
        await expect(self.page.locator(".watch-deck")).to_be_visible()
        await until(lambda: self.welcomes > before, f"the room to answer {self.name}")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def act(self) -> Locator:
        """The one big button of the card."""
        return self.page.locator(".watch-deck .act-button")

    @property
    def card(self) -> Locator:
        return self.page.locator(".watch-deck article.card")

    async def tap(self, name: str) -> None:
        """Tap the card's button once it says `name` and means it: it rests for a moment after it changed."""
        await expect(self.act).to_have_text(name)
        await expect(self.act).not_to_have_attribute("aria-disabled", "true")
        await self.act.click()

    async def second_tab(self) -> "Person":
        """The same browser, another tab."""
        page = await self.context.new_page()
        other = Person(self.name, self.context, page, self.base_url)
        other.listen(page)
        return other

    async def say(self, text: str) -> None:
        await self.page.locator(".composer-input").first.fill(text)
        await self.page.locator(".composer-input").first.press("Enter")

    async def photograph(self, name: str, whole: bool = False) -> None:
        if folder := os.environ.get("LIVECOMMERCE_SCREENSHOTS"):
            await self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole, animations="disabled")


class People:
    """Makes persons; all their windows close with the test."""

    def __init__(self, browser: Browser, server: LiveServer, ends: AsyncExitStack) -> None:
        self._browser, self._server, self._ends = browser, server, ends

    async def person(self, name: str, *, desk: bool = False, base_url: str = "", **context: Any) -> Person:
        """A phone (390×844, with touch) or, with `desk`, a window of 1440×900 with a mouse."""
        device: dict[str, Any] = {"viewport": DESK} if desk else {"viewport": PHONE, "has_touch": True}
        options = {**device, "locale": "en-GB", "ignore_https_errors": True, **context}
        made = await self._browser.new_context(**options)
        self._ends.push_async_callback(made.close)
        made.set_default_timeout(WAIT_MS)
        await made.route("**/clip.*", _clip)
        await made.route("**/poster.webp", _clip)
        page = await made.new_page()
        person = Person(name, made, page, base_url or self._server.base_url)
        person.listen(page)
        return person

    async def host(self, **context: Any) -> Person:
        """The host at her desk, signed in already, as she is on every evening but the first."""
        api = await self._server.staff()
        cookies = [{"name": name, "value": value, "url": self._server.base_url} for name, value in api.cookies.items()]
        await api.aclose()
        person = await self.person("Mei Lin", desk=True, **context)
        await person.context.add_cookies(cookies)  # type: ignore[arg-type]
        return person


async def _clip(route: Any) -> None:
    """The demo's own clip stands in for a merchant's video server."""
    await route.fulfill(path=GOODS / route.request.url.rsplit("/", 1)[-1])


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser, server: LiveServer) -> AsyncIterator[People]:
    async with AsyncExitStack() as ends:
        yield People(browser, server, ends)


@pytest_asyncio.fixture(loop_scope="session")
async def show(server: LiveServer) -> AsyncIterator[Show]:
    """A live show without a card yet, with the demo's clip as its picture."""
    async with live_show(server, title="The evening reds") as show:
        await show.host.patch(f"/api/staff/shows/{show.show_id}", {"video": CLIP})
        yield show
        await show.command(do="end")


async def share_url(show: Show) -> str:
    """The advisor's own link to the show."""
    made: dict[str, Any] = await show.host.post("/api/staff/links", {"show_id": show.show_id, "label": "browser"})
    return str(made["url"])


async def sign_in(host: Person) -> None:
    """By the form, as a person does."""
    await host.open("/login")
    await host.page.get_by_label("E-mail address").fill(EMAIL)
    await host.page.get_by_label("Password", exact=True).fill(PASSWORD)
    await host.button("Sign in").click()
    await host.page.wait_for_url("**/console")


@pytest.fixture
def demo_url(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running demo, with its shop, its players and its story; they are busy until its test ends."""
    folder = tmp_path_factory.mktemp("demo")
    port = str(free_port())
    base = f"http://127.0.0.1:{port}"
    environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "livecommerce", "demo", "--data", str(folder / "data"), "--port", port],
            env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + DEMO_WAIT_SECONDS
        while not _plays(base):
            said = (folder / "log").read_text(errors="replace")
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        yield base
    finally:
        process.terminate()
        process.wait(DEMO_WAIT_SECONDS)


def _plays(demo_url: str) -> bool:
    try:
        answer = httpx.get(f"{demo_url}/api/demo/sum", timeout=5)
        return answer.status_code == 200 and answer.json()["phase"] in ("story", "sum")
    except (httpx.HTTPError, ValueError):
        return False
