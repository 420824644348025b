"""The main job in a real browser: a host sells one unit to one of two viewers, and all pages tell the same story."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import People, Person, share_url, sign_in
from tests.live_server import Deal, LiveServer, Show, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ONE_UNIT = Deal(1)


async def meter_says(host: Person, *, sold: int = 0, held: int = 0, paying: int = 0, free: int = 0) -> None:
    """The console's stock meter of the card on the picture, number by number."""
    for name, number in (("sold", sold), ("held", held), ("paying", paying), ("available", free)):
        await expect(host.page.locator(f".now .number-{name} dd")).to_have_text(str(number))


async def at_the_desk(host: Person, show: Show) -> None:
    await host.open(f"/console/shows/{show.show_id}")
    await expect(host.page.get_by_role("heading", name="The evening reds").first).to_be_visible()
    await expect(host.page.locator(".line-good")).to_be_visible()


async def pay(viewer: Person) -> None:
    """From the held card to the pick-up code, at the first counter."""
    await viewer.tap("Check out")
    page = viewer.page
    await page.get_by_label(re.compile("Lyon Bellecour")).check(force=True)
    await page.get_by_label("Name", exact=True).fill("Ada Arnaud")
    await page.get_by_label("E-mail or phone").fill("ada@example.com")
    await viewer.photograph("phone-checkout-where")
    await viewer.button("Go to payment").click()
    await page.get_by_role("button", name=re.compile("^Pay .*19")).click()
    frame = page.frame_locator("iframe.pay-frame")
    await expect(frame.get_by_text("TEST — no money moves")).to_be_visible()
    await viewer.photograph("phone-checkout-pay")
    await frame.get_by_role("button", name="Pay", exact=True).click()
    await expect(page.get_by_text("It is yours")).to_be_visible()


async def shows_pickup_code(page: Page) -> str:
    await expect(page.get_by_role("img", name="QR code for collecting your order")).to_be_visible()
    return await page.locator(".ticket-code").inner_text()


async def test_one_unit_two_taps_one_sale_and_restarts_change_nothing(
    people: People, show: Show, server: LiveServer
) -> None:
    """Held or sold out with what to do; paid by the test provider; the same on three pages, after reloads and kills."""
    host = await people.person("Mei Lin", desk=True)
    await sign_in(host)
    await host.photograph("desk-console-list")
    await show.add_card(ONE_UNIT, title="Velvet Lip")
    await at_the_desk(host, show)
    url = await share_url(show)
    ada, bea = await people.person("Ada"), await people.person("Bea")
    for viewer in (ada, bea):
        await viewer.enter(url)
    await expect(host.page.locator(".desk-fact strong").first).to_have_text("2")

    await host.page.locator(".next").click()
    for viewer in (ada, bea):
        await expect(viewer.card.get_by_role("heading", name="Velvet Lip")).to_be_visible()
        await expect(viewer.act).to_have_text("Reserve")
    await ada.photograph("phone-card-open")

    await ada.act.click()
    await expect(ada.card.get_by_text("Held for you")).to_be_visible()
    await expect(bea.act).to_have_text("Wait for one")
    await expect(bea.card.get_by_text("Rosewood is sold out. 1 is still reserved; it may come free.")).to_be_visible()
    await meter_says(host, held=1)
    await ada.photograph("phone-card-held")
    await bea.photograph("phone-card-sold-out")
    await host.photograph("desk-live-held")

    await bea.tap("Wait for one")
    await expect(bea.card.get_by_text(re.compile("You are 1st in line"))).to_be_visible()
    await bea.photograph("phone-card-waiting")

    await pay(ada)
    code = await shows_pickup_code(ada.page)
    await ada.photograph("phone-checkout-done")
    await meter_says(host, sold=1)
    await host.page.get_by_role("tab", name=re.compile("Orders")).click()
    await expect(host.page.locator(".order")).to_contain_text("paid")
    await expect(host.page.locator(".order")).to_contain_text("Lyon Bellecour")
    await host.photograph("desk-live-sold")
    await expect(bea.card.get_by_text("Sold out", exact=True)).to_be_visible()

    async def all_say_the_same() -> None:
        await meter_says(host, sold=1)
        await expect(ada.card.get_by_text("Yours. See it in your bag.")).to_be_visible()
        await expect(bea.card.get_by_text("Sold out", exact=True)).to_be_visible()
        await ada.page.get_by_role("button", name=re.compile("^Your bag")).click()
        assert await shows_pickup_code(ada.page) == code
        await ada.page.keyboard.press("Escape")

    await ada.button("Back to the show").click()
    await all_say_the_same()
    for person in (host, ada, bea):
        await person.page.reload()
    await all_say_the_same()

    # Nobody touches a page: they come back by themselves.
    welcomes = [person.welcomes for person in (host, ada, bea)]
    server.restart()
    await come_back(show, "The server was started again.", welcomes, host, ada, bea)
    await all_say_the_same()
    welcomes = [person.welcomes for person in (host, ada, bea)]
    await server.until_replaced("web", server.kill("web"))
    await come_back(show, "The server was killed.", welcomes, host, ada, bea)
    await all_say_the_same()
    assert server.rows("SELECT status FROM orders WHERE show_id = ?", show.show_id) == [{"status": "confirmed"}]


async def come_back(show: Show, news: str, welcomes: list[int], host: Person, *viewers: Person) -> None:
    """Their pages are let in again, say so, and hear what happens in the room."""
    for person, before in zip((host, *viewers), welcomes, strict=True):
        await until(lambda person=person, before=before: person.welcomes > before, f"{person.name} is back")  # type: ignore[misc]
    await show.command(do="announce", text=news)
    for viewer in viewers:
        await expect(viewer.page.locator(".peek")).to_contain_text(news)
        await expect(viewer.page.get_by_text("Reconnecting…")).to_be_hidden()
    await expect(host.page.locator(".line-good")).to_be_visible()


async def test_a_double_tap_reserves_once_and_two_tabs_of_one_viewer_agree(people: People, show: Show) -> None:
    await show.show_card(Deal(5, limit=3))
    ada = await people.person("Ada")
    await ada.enter(await share_url(show))
    tab = await ada.second_tab()
    await tab.open(ada.page.url)
    await expect(tab.act).to_have_text("Reserve")

    await ada.act.dblclick()

    for one in (ada, tab):
        await expect(one.card.get_by_text("Held for you")).to_be_visible()
        await expect(one.card.get_by_text("last 4")).to_be_visible()
    await tab.page.reload()
    await expect(tab.card.get_by_text("Held for you")).to_be_visible()
    await tab.button("Give it back").click()
    for one in (ada, tab):
        await expect(one.act).to_have_text("Reserve")
        await expect(one.card.get_by_text("last 5")).to_be_visible()


async def test_a_declined_payment_keeps_the_unit_for_another_try(people: People, show: Show) -> None:
    await show.show_card(Deal(1))
    ada = await people.person("Ada")
    await ada.enter(await share_url(show))
    await ada.tap("Reserve")
    await ada.tap("Check out")
    await ada.page.get_by_label("E-mail or phone").fill("not an address")
    await ada.button("Go to payment").click()
    await expect(ada.page.get_by_text("Please enter an e-mail address or a phone number.")).to_be_visible()
    await ada.page.get_by_label("E-mail or phone").fill("+33 6 12 34 56 78")
    await ada.button("Go to payment").click()
    await ada.page.get_by_role("button", name=re.compile("^Pay .*19")).click()
    frame = ada.page.frame_locator("iframe.pay-frame")
    await frame.get_by_role("button", name="Decline").click()

    await expect(ada.page.get_by_text("The payment was declined.")).to_be_visible()
    await ada.photograph("phone-checkout-declined")
    await ada.page.get_by_role("dialog").get_by_role("button", name="Try another way to pay").click()
    await ada.page.get_by_role("button", name=re.compile("^Pay .*19")).click()
    await frame.get_by_role("button", name="Pay", exact=True).click()

    await expect(ada.page.get_by_text("It is yours")).to_be_visible()


async def test_scripts_in_names_and_lines_are_text_and_own_lines_show_at_once(people: People, show: Show) -> None:
    evil = "<img src=x onerror=alert(1)>"
    host, ada, bea = await people.host(), await people.person(f"<b>{evil}"), await people.person("Bea", desk=True)
    await at_the_desk(host, show)
    url = await share_url(show)
    await ada.enter(url)
    await bea.enter(url)

    await ada.say(f"{evil} hello")

    await expect(ada.page.locator(".peek")).to_contain_text(f"{evil} hello")
    for person, place in ((bea, ".chat .lines"), (host, ".desk-people .lines")):
        await expect(person.page.locator(place)).to_contain_text(f"{evil} hello")
        await expect(person.page.locator(place)).to_contain_text("<b>")
        assert await person.page.locator("img[src='x']").count() == 0
    assert not [trouble for trouble in ada.troubles + bea.troubles + host.troubles if "alert" in trouble]


async def test_a_line_the_host_hides_is_gone_for_everyone(people: People, show: Show) -> None:
    host, ada, bea = await people.host(), await people.person("Ada", desk=True), await people.person("Bea", desk=True)
    await at_the_desk(host, show)
    url = await share_url(show)
    await ada.enter(url)
    await bea.enter(url)
    await ada.say("please hide me")
    await expect(bea.page.locator(".chat")).to_contain_text("please hide me")

    line = host.page.locator(".chat-line", has_text="please hide me")
    await line.hover()
    await line.get_by_role("button", name="Hide for everyone").click()

    for person in (ada, bea, host):
        await expect(person.page.get_by_text("please hide me")).to_have_count(0)
    await bea.page.reload()
    await expect(bea.page.locator(".chat")).to_be_visible()
    await expect(bea.page.get_by_text("please hide me")).to_have_count(0)


async def test_questions_of_a_cloud_class_gather_votes_and_are_answered(people: People, server: LiveServer) -> None:
    api = await server.staff()
    made: dict[str, Any] = await api.post("/api/staff/shows", {"title": "The evening reds", "corner": "cloud_class"})
    show = Show(server, api, made["show_id"])
    await show.command(do="go_live")
    host, ada, bea = await people.host(), await people.person("Ada", desk=True), await people.person("Bea", desk=True)
    url = await share_url(show)
    await at_the_desk(host, show)
    await ada.enter(url)
    await bea.enter(url)
    for person in (ada, bea):
        await person.page.get_by_role("tab", name=re.compile("^Questions")).click()

    await ada.say("Does it last through dinner?")
    question = bea.page.locator(".question", has_text="Does it last through dinner?")
    votes = int(await question.locator(".vote").inner_text())
    await question.locator(".vote").click()

    mine = ada.page.locator(".question", has_text="Does it last through dinner?")
    await expect(mine.locator(".vote")).to_have_text(str(votes + 1))
    await host.page.get_by_role("tab", name=re.compile("^Questions")).click()
    queued = host.page.locator(".desk-people .question", has_text="Does it last through dinner?")
    await queued.get_by_role("button", name="Take it live").click()
    await expect(mine.get_by_text("On air")).to_be_visible()
    await queued.get_by_role("button", name="Answer", exact=True).click()
    await queued.get_by_label("Answer").fill("Until dessert.")
    await queued.get_by_role("button", name="To everyone").click()
    await expect(mine.get_by_text("Until dessert.")).to_be_visible()

    await show.command(do="end")
    await api.aclose()
    await bea.open(f"/replay/{show.show_id}")
    told = bea.page.locator(".replay-questions li", has_text="Does it last through dinner?")
    await expect(told).to_contain_text("Until dessert.")
    await told.get_by_role("button", name="Go to").click()
    await expect(told).to_contain_text("Being answered now")
    await expect(bea.page.locator(".replay-card")).to_contain_text("Does it last through dinner?")
    await bea.photograph("desk-replay-questions")
