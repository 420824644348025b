"""The web shop's whole way on a phone, from Reserve to paid; and the counter's page with an advisor's basket."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import DESK, PHONE, People
from tests.browser.test_accessibility import axe, look, no_barriers
from tests.browser.test_pages import is_sound
from tests.live_server import Show

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
__all__ = ["axe"]


async def test_an_article_goes_from_its_page_through_the_bag_to_a_paid_order(
    people: People, show: Show, axe: str
) -> None:
    person = await people.person("Ada", **look("light", PHONE))
    page = person.page
    await person.open("/bag")
    await expect(page.get_by_role("heading", name="Your bag is empty")).to_be_visible()
    await is_sound(person, "phone-bag-empty")

    await person.open("/p/velvet-lip")
    await page.get_by_role("button", name="Reserve: By parcel to you").click()
    await expect(page.get_by_text("Set aside for you.")).to_be_visible()
    await expect(page.get_by_role("link", name=re.compile("Bag: 1 piece"))).to_be_visible()
    await no_barriers(person, axe, "a product with a bag")
    await page.get_by_role("link", name="To the bag").click()

    bag = page.get_by_role("article", name="By parcel to you")
    await expect(bag.get_by_role("timer")).to_have_text(re.compile(r"1[0-5]:\d\d"))
    await bag.get_by_role("button", name=re.compile("^One more")).click()
    await expect(bag.get_by_role("status").or_(bag.locator("output"))).to_contain_text(["2"])
    await is_sound(person, "phone-bag")
    await no_barriers(person, axe, "the bag")

    await person.button("Check out").click()
    await person.button("To payment").click()
    await expect(page.get_by_label("Name")).to_be_focused()
    for label, text in (
        ("Name", "Ada"), ("E-mail or phone", "ada@example.com"), ("Street and number", "1 Rue de la Paix"),
        ("Postcode", "75002"), ("City", "Paris"), ("Country", "France"),
    ):  # fmt: skip
        await page.get_by_label(label).fill(text)
    await no_barriers(person, axe, "the shop's checkout")
    await person.button("To payment").click()
    await page.get_by_role("button", name=re.compile("^Pay ")).click()
    await page.frame_locator("iframe.bag-pay").get_by_role("button", name="Pay", exact=True).click()
    await expect(page.get_by_text("paid", exact=True)).to_be_visible()
    await is_sound(person, "phone-bag-paid")


async def test_an_advisor_makes_a_basket_and_her_customer_takes_it(people: People, show: Show, axe: str) -> None:
    host = await people.host(**look("light", DESK))
    await host.open("/console/counter")
    await expect(host.page.get_by_text("Nothing waits to be tried here")).to_be_visible()
    await host.page.get_by_label("Place").select_option(label="Online")
    await host.button("New basket").click()
    await host.page.get_by_label("Article").fill("velvet")
    await host.button("Search").click()
    await host.button("Add").first.click()
    await host.page.get_by_label("For whom").fill("Ada")
    await no_barriers(host, axe, "the counter's page")
    await host.button("Make the link").click()
    url = await host.page.get_by_label("Link of the basket").input_value()
    await is_sound(host, "desk-counter")

    person = await people.person("Ada", **look("dark", PHONE))
    await person.open("/basket/" + url.rpartition("/")[2])
    await expect(person.page.get_by_role("heading", name=re.compile("put this together for you"))).to_be_visible()
    await no_barriers(person, axe, "a basket")
    await person.button("Set it aside for me").click()
    await expect(person.page.get_by_text(re.compile("^Put together for you by"))).to_be_visible()
    await is_sound(person, "phone-basket-taken")
