"""Every page at both sizes, light and dark: nothing fails, nothing scrolls sideways; slow lines, lost lines, keys."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import DESK, PHONE, People, Person, share_url
from tests.live_server import Deal, Show

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LOOKS = [
    pytest.param(PHONE, "light", id="phone-light"),
    pytest.param(PHONE, "dark", id="phone-dark"),
    pytest.param(DESK, "light", id="desk-light"),
    pytest.param(DESK, "dark", id="desk-dark"),
]

SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# The innermost elements that stick out at the right edge, to say where a sideways scroll comes from.
STICKING_OUT = """[...document.querySelectorAll('body *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.className || e.tagName).slice(-5)"""


async def is_sound(person: Person, name: str) -> None:
    """What every page owes: no error in the console, no failed request, no sideways scroll."""
    page = person.page
    await person.photograph(name)
    assert await page.evaluate(SIDEWAYS) <= 0, (name, await page.evaluate(STICKING_OUT))
    assert person.troubles == [], name
    assert (await page.title()).strip(), name


async def everything_at_once(show: Show) -> None:
    """A show with something of everything: a card on air, one to come, talk, a pinned line."""
    await show.show_card(Deal(12), Deal(8, label="Coral"))
    await show.add_card(Deal(5), title="Velvet Lip, the set of two with a very long name that must wrap somewhere")
    await show.command(do="announce", text="Good evening, and welcome to the counter in Lyon.")


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS)
async def test_public_pages_are_sound(people: People, show: Show, viewport: Any, scheme: Any) -> None:
    await everything_at_once(show)
    look = f"{'phone' if viewport is PHONE else 'desk'}-{scheme}"
    person = await people.person("Ada", viewport=viewport, color_scheme=scheme)
    page = person.page

    await person.open("/")
    await expect(page.get_by_role("link", name="Watch now").first).to_be_visible()
    await is_sound(person, f"{look}-shop")

    await person.open("/p/velvet-lip")
    await expect(page.get_by_role("heading", name="Velvet Lip").first).to_be_visible()
    await is_sound(person, f"{look}-product")

    await person.open("/login")
    await expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
    await is_sound(person, f"{look}-login")

    await person.open(await share_url(show))
    await expect(person.button("Join")).to_be_visible()
    await is_sound(person, f"{look}-door")

    await person.enter(page.url)
    await expect(person.act).to_have_text("Reserve")
    await expect(page.locator("video.is-seen")).to_be_visible()
    await is_sound(person, f"{look}-watch")

    await person.act.click()
    await person.tap("Check out")
    await page.get_by_label("E-mail or phone").fill("ada@example.com")
    await is_sound(person, f"{look}-checkout")
    await person.button("Go to payment").click()
    await page.get_by_role("button", name=re.compile("^Pay .*19")).click()
    frame = page.locator("iframe.pay-frame")
    await expect(frame).to_be_visible()
    await is_sound(person, f"{look}-pay-in-sheet")

    await person.open(str(await frame.get_attribute("src")))
    await expect(page.get_by_text("TEST — no money moves")).to_be_visible()
    await is_sound(person, f"{look}-pay")


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS)
async def test_staff_pages_are_sound(people: People, show: Show, viewport: Any, scheme: Any) -> None:
    await everything_at_once(show)
    look = f"{'phone' if viewport is PHONE else 'desk'}-{scheme}"
    person = await people.host(viewport=viewport, color_scheme=scheme)
    page = person.page

    await person.open("/console")
    await expect(page.get_by_role("link", name="The evening reds").first).to_be_visible()
    await is_sound(person, f"{look}-console-list")

    await person.button("New show").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await is_sound(person, f"{look}-console-new")

    await person.open(f"/console/shows/{show.show_id}")
    await expect(page.locator(".line-good")).to_be_visible()
    await expect(page.locator(".now")).to_be_visible()
    await is_sound(person, f"{look}-console-live")
    if viewport is PHONE:
        for part in ("Rundown", "People"):
            await page.locator(".desk-sides").get_by_role("button", name=part).click()
            await is_sound(person, f"{look}-console-{part.lower()}")

    await person.open(f"/console/shows/{show.show_id}?edit")
    await expect(page.get_by_role("heading", name="The evening reds").first).to_be_visible()
    await is_sound(person, f"{look}-console-edit")


@pytest.mark.timeout(300)  # its shop is filled and its players come in before it begins
async def test_the_demo_page_is_sound_and_its_three_frames_play(people: People, demo_url: str) -> None:
    for viewport, scheme, look in ((DESK, "light", "desk-light"), (PHONE, "dark", "phone-dark")):
        person = await people.person("Visitor", base_url=demo_url, viewport=viewport, color_scheme=scheme)
        await person.open("/demo")
        you = person.page.frame_locator("iframe").first
        await expect(you.locator(".watch-deck")).to_be_visible()
        await is_sound(person, f"{look}-demo")
        await person.context.close()


# --- lines that are slow, and lines that break ----------------------------------------------------------------------


async def test_on_a_slow_line_the_card_is_usable_before_any_picture(people: People, show: Show) -> None:
    """400 kb/s, 400 ms, and a video that never comes: she taps and has it."""
    await show.show_card(Deal(3))
    ada = await people.person("Ada")
    waiting: list[str] = []

    async def never(route: Any) -> None:
        waiting.append(route.request.url)

    await ada.context.route("**/clip.*", never)
    line = await ada.context.new_cdp_session(ada.page)
    await line.send("Network.enable")
    bytes_per_second = 400_000 / 8
    conditions = {"latency": 400, "downloadThroughput": bytes_per_second, "uploadThroughput": bytes_per_second}
    await line.send("Network.emulateNetworkConditions", {"offline": False, **conditions})

    await ada.enter(await share_url(show))
    await expect(ada.act).to_have_text("Reserve")
    await ada.tap("Reserve")

    await expect(ada.card.get_by_text("Held for you")).to_be_visible()
    assert waiting
    assert await ada.page.locator("video.is-seen").count() == 0


async def test_a_viewer_whose_line_breaks_is_told_and_finds_all_as_it_is_now(people: People, show: Show) -> None:
    await show.show_card(Deal(3))
    ada, bea = await people.person("Ada"), await people.person("Bea")
    url = await share_url(show)
    # Chromium's offline switch leaves open sockets alone: this page's own go through a hand that can close them.
    lines: list[Any] = []

    def through(route: Any) -> None:
        route.connect_to_server()
        lines.append(route)

    await ada.page.route_web_socket(re.compile("/live/"), through)
    await ada.enter(url)
    await bea.enter(url)
    await expect(ada.card.get_by_text("last 3")).to_be_visible()

    await ada.context.set_offline(True)
    await lines[-1].close(code=1012)
    await expect(ada.page.get_by_text("Reconnecting…")).to_be_visible()
    await ada.photograph("phone-reconnecting")
    await bea.tap("Reserve")
    await expect(bea.card.get_by_text("Held for you")).to_be_visible()
    await ada.context.set_offline(False)

    await expect(ada.page.get_by_text("Reconnecting…")).to_be_hidden()
    await expect(ada.card.get_by_text("last 2")).to_be_visible()
    await ada.tap("Reserve")
    await expect(ada.card.get_by_text("Held for you")).to_be_visible()


# --- keys -----------------------------------------------------------------------------------------------------------


async def video_is(page: Page, word: str, wanted: bool) -> None:
    await page.wait_for_function(f"document.querySelector('video').{word} === {str(wanted).lower()}")


async def test_the_keyboard_on_the_viewer_page(people: People, show: Show) -> None:
    """K plays, M sounds, C writes, B opens the bag, Escape closes it; none of them while writing."""
    ada = await people.person("Ada", desk=True)
    page, press = ada.page, ada.page.keyboard.press
    await ada.enter(await share_url(show))
    await expect(page.locator("video.is-seen")).to_be_visible()

    await press("k")
    await video_is(page, "paused", True)
    await press("k")
    await video_is(page, "paused", False)
    await press("m")
    await video_is(page, "muted", False)
    await press("m")
    await video_is(page, "muted", True)
    await press("c")
    await expect(page.locator(".composer-input")).to_be_focused()
    await page.keyboard.type("kmb")
    await expect(page.locator(".composer-input")).to_have_value("kmb")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.locator(".composer-input").blur()
    await press("b")
    await expect(page.get_by_role("dialog", name="Your bag")).to_be_visible()
    await press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_the_keyboard_on_the_desk(people: People, show: Show) -> None:
    """Space shows the next card, Ctrl+Z takes that back, H hides it, ? lists the keys; none of them while writing."""
    await show.add_card(Deal(2), title="First card")
    host = await people.host()
    page, press = host.page, host.page.keyboard.press
    await host.open(f"/console/shows/{show.show_id}")
    await expect(page.locator(".line-good")).to_be_visible()

    await press("Space")
    await expect(page.locator(".now")).to_contain_text("First card")
    await press("h")
    await expect(page.locator(".now")).to_contain_text("The picture is free")
    await expect(page.get_by_text("“First card” is off the picture.")).to_be_visible()
    await press("Control+z")
    await expect(page.locator(".now")).to_contain_text("First card")
    await press("?")
    await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    await host.photograph("desk-keys")
    await press("Escape")
    await expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    await press("/")
    await expect(page.get_by_label("Say as host")).to_be_focused()
    await page.keyboard.type("h ? ")
    await expect(page.get_by_label("Say as host")).to_have_value("h ? ")
    await expect(page.locator(".now")).to_contain_text("First card")
    await press("Escape")
