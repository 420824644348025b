"""axe-core finds nothing serious on any page, light or dark, closed or with its sheets open."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import DESK, PHONE, People, Person, share_url
from tests.live_server import Deal, Show

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Long: it stands for eight seconds.
CAPTION = (
    "Good evening to all of you, wherever you are, and welcome to the counter, "
    "where everything is ready for you to choose"
)

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => `${one.id}: ${one.nodes.map(node => node.target.join(' ') + ' — ' +
        [...node.any, ...node.all].map(check => check.message).join('; ')).slice(0, 6).join(' | ')}`)"""


@pytest.fixture(scope="session")
def axe() -> str:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (make web)")
    return AXE.read_text()


async def no_barriers(person: Person, axe: str, where: str) -> None:
    # What moves or fades in is looked at when it has arrived.
    await person.page.evaluate(
        "() => Promise.all(document.getAnimations().filter(a => a.effect.getTiming().iterations !== Infinity)"
        ".map(a => a.finished.catch(() => {})))"
    )
    await person.page.add_script_tag(content=axe)
    found = await person.page.evaluate(RUN)
    assert found == [], where


def look(scheme: str, viewport: Any) -> dict[str, Any]:
    # Our own policy forbids foreign scripts, axe-core's too.
    return {"viewport": viewport, "color_scheme": scheme, "bypass_csp": True}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_shop_and_the_doors_have_no_barriers(people: People, show: Show, axe: str, scheme: str) -> None:
    person = await people.person("Ada", **look(scheme, PHONE))
    for path, heading in (("/", "The evening reds"), ("/p/velvet-lip", "Velvet Lip"), ("/login", "Welcome back")):
        await person.open(path)
        await expect(person.page.get_by_role("heading", name=heading).first).to_be_visible()
        await no_barriers(person, axe, path)
    await person.open(await share_url(show))
    await expect(person.button("Join")).to_be_visible()
    await no_barriers(person, axe, "the door of a show")


@pytest.mark.parametrize(("scheme", "viewport"), [("light", PHONE), ("dark", PHONE), ("light", DESK)])
async def test_the_viewer_page_and_its_checkout_have_no_barriers(
    people: People, show: Show, axe: str, scheme: str, viewport: Any
) -> None:
    await show.show_card(Deal(9), Deal(5, label="Coral"))
    await show.command(do="announce", text="Good evening.")
    person = await people.person("Ada", **look(scheme, viewport))
    page = person.page
    await person.enter(await share_url(show))
    await expect(person.act).to_have_text("Reserve")
    await no_barriers(person, axe, "the viewer page")
    await person.button("Picture and captions").click()
    await page.get_by_role("radio", name="Data saver").click()
    await no_barriers(person, axe, "how she wants to see it")
    await page.keyboard.press("Escape")
    await expect(person.button("Show the picture")).to_be_visible()
    await show.command(do="caption", text=CAPTION)
    await expect(page.locator(".captions")).to_be_visible()
    await no_barriers(person, axe, "the viewer page without its picture, with captions")
    await person.button("Show the picture").click()
    await person.act.click()
    await expect(person.act).to_have_text("Check out")
    await no_barriers(person, axe, "the viewer page with a hold")
    await page.get_by_role("button", name=re.compile("^Your bag")).click()
    await no_barriers(person, axe, "the bag")
    await page.keyboard.press("Escape")
    await person.tap("Check out")
    await no_barriers(person, axe, "checkout, where to")
    await page.get_by_label("E-mail or phone").fill("ada@example.com")
    await person.button("Go to payment").click()
    await page.get_by_role("button", name=re.compile("^Pay .*19")).click()
    frame = page.frame_locator("iframe.pay-frame")
    await expect(frame.get_by_text("TEST — no money moves")).to_be_visible()
    await no_barriers(person, axe, "checkout, pay, with the provider's page in it")
    await frame.get_by_role("button", name="Pay", exact=True).click()
    await expect(page.get_by_text("It is yours")).to_be_visible()
    await no_barriers(person, axe, "checkout, done")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_console_has_no_barriers(people: People, show: Show, axe: str, scheme: str) -> None:
    await show.show_card(Deal(9), Deal(5, label="Coral"))
    await show.command(do="announce", text="Good evening.")
    host = await people.host(**look(scheme, DESK))
    await host.open("/console")
    await expect(host.page.get_by_role("link", name="The evening reds").first).to_be_visible()
    await no_barriers(host, axe, "the list of shows")
    await host.open(f"/console/shows/{show.show_id}")
    await expect(host.page.locator(".line-good")).to_be_visible()
    await expect(host.page.locator(".chat-line")).to_be_visible()
    await no_barriers(host, axe, "the live desk")
    await show.command(do="caption", text=CAPTION)
    for tab in ("Questions", "Decide", "Pinned", "Captions", "Orders"):
        await host.page.get_by_role("tab", name=re.compile(f"^{tab}")).click()
        await no_barriers(host, axe, f"the live desk, {tab}")
    await host.page.keyboard.press("?")
    await no_barriers(host, axe, "the keyboard's list")
    await host.page.keyboard.press("Escape")
    await host.page.get_by_role("tab", name="Chat").click()
    await host.button("Moderation").click()
    await expect(host.page.get_by_label("Would this line pass?")).to_be_visible()
    await no_barriers(host, axe, "moderation")
    await host.open(f"/console/shows/{show.show_id}?edit")
    await expect(host.page.get_by_role("heading", name="The evening reds").first).to_be_visible()
    await no_barriers(host, axe, "the editor of a show")
