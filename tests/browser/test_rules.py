"""Verified guests and a pulled deal, as people meet them: a phone with a card, a desk with a button and a question."""

import email
import email.policy
import re
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import DESK, PHONE, People, share_url
from tests.browser.test_accessibility import axe as axe
from tests.browser.test_accessibility import look, no_barriers
from tests.live_server import LiveServer, Show

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def code_sent(server: LiveServer) -> str:
    """The code in the newest letter that lies in the server's data folder."""
    newest = max((server.data / "mail").glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    text = email.message_from_bytes(newest.read_bytes(), policy=email.policy.default).get_content()
    found = re.search(r"\b\d{6}\b", text)
    assert found is not None
    return found.group()


async def card_for_verified(show: Show) -> None:
    deal: dict[str, Any] = {"variant_id": (await variant(show)), "quota": 5, "limit_by": "verified"}
    card = await show.host.post(f"/api/staff/shows/{show.show_id}/cards", {"kind": "deal", "deals": [deal]})
    await show.command(do="show_card", card_id=card["card_id"])


async def variant(show: Show) -> str:
    found: dict[str, Any] = await show.host.get("/api/staff/products")
    return str(found["products"][0]["variants"][0]["variant_id"])


async def test_a_guest_confirms_her_address_in_place_and_is_told_when_the_deal_is_pulled(
    people: People, show: Show, server: LiveServer, axe: str
) -> None:
    await card_for_verified(show)
    ana = await people.person("Ana", **look("light", PHONE))
    await ana.enter(await share_url(show))
    await expect(ana.page.get_by_text("For verified guests")).to_be_visible()
    await ana.act.click()
    await expect(ana.page.get_by_text("This deal is for verified guests: confirm with a code first.")).to_be_visible()
    await ana.tap("Confirm with a code")
    sheet = ana.page.get_by_role("dialog", name="Confirm with a code")
    await sheet.get_by_label("E-mail").fill("ana@example.com")
    await ana.photograph("verify-email")
    await no_barriers(ana, axe, "the sheet that asks for an address")
    await sheet.get_by_role("button", name="Send the code").click()
    code = sheet.get_by_label("Code from the e-mail")
    await expect(code).to_be_visible()
    await code.fill(code_sent(server))
    await sheet.get_by_role("button", name="Confirm and reserve").click()
    await expect(ana.act).to_have_text("Check out")

    host = await people.host(**look("light", DESK))
    await host.open(f"/console/shows/{show.show_id}")
    await host.button("Pull deal").click()
    question = host.page.get_by_role("dialog", name="Pull this deal?")
    await expect(question.get_by_text("1 unit is reserved or being paid")).to_be_visible()
    await no_barriers(host, axe, "the question what becomes of holds")
    await host.photograph("pull")
    await question.get_by_role("button", name="Cancel with an apology").click()
    await expect(ana.page.get_by_text(re.compile("^We are sorry: the shop took"))).to_be_visible()
    await expect(ana.page.get_by_text("and what you had reserved with it")).to_be_visible()
    await ana.photograph("pulled")


async def test_more_rules_fit_a_phone(people: People, show: Show, axe: str) -> None:
    host = await people.host(**look("light", PHONE))
    await host.open(f"/console/shows/{show.show_id}?edit")
    page = host.page
    await host.button("Add card").first.click()
    await page.get_by_label("Find a product").fill("velvet")
    await page.locator(".search-found button").first.click()
    await page.get_by_text("More rules").click()
    await page.get_by_text("Verified guests", exact=True).click()
    await expect(page.get_by_text("Who confirmed an e-mail address with a code.")).to_be_visible()
    await page.get_by_label("What “reserved” promises").select_option("ledger")
    await no_barriers(host, axe, "more rules")
    await page.locator(".more-rules").scroll_into_view_if_needed()
    await host.photograph("more-rules", whole=True)
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
