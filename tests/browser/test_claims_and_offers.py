"""In a real browser: a claim written in the chat, an offer when something sold out, and the console about both."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import People, share_url
from tests.live_server import Deal, Show

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_claim_in_the_chat_and_an_offer_at_its_moment(people: People, show: Show) -> None:
    """Written, understood, held; sold out for the next, who is offered the other shade and takes it; both counted."""
    await show.host.patch(
        f"/api/staff/shows/{show.show_id}", {"claims": {"on": True, "keywords": ["SOLD", "我要"], "lines_shown": True}}
    )
    await show.show_card(Deal(1), Deal(4, label="Coral"))
    url = await share_url(show)
    ada, bea = await people.person("Ada"), await people.person("Bea")
    for viewer in (ada, bea):
        await viewer.enter(url)
        await expect(viewer.card.get_by_text("or write SOLD AA and the shade")).to_be_visible()

    await ada.say("SOLD AA")
    await expect(ada.page.locator(".claim", has_text="Which one?").first).to_be_visible()
    await ada.photograph("phone-claim-which")
    await ada.say("我要AA rosewood")
    answer = ada.page.locator(".claim", has_text="Reserved for you: Velvet Lip, Rosewood × 1, until").first
    await expect(answer).to_be_visible()
    await expect(ada.card.get_by_text("Held for you")).to_be_visible()
    await ada.photograph("phone-claim-held")

    await bea.say("SOLD AA rosewood")
    await expect(bea.page.locator(".claim", has_text="Velvet Lip, Rosewood is sold out.").first).to_be_visible()
    offer = bea.page.locator(".offer")
    await expect(offer.get_by_text("Velvet Lip, Coral")).to_be_visible()
    await expect(ada.page.locator(".offer")).to_have_count(0)
    await bea.photograph("phone-offer")
    await expect(offer.get_by_role("button", name="Reserve")).not_to_have_attribute("aria-disabled", "true")
    await offer.get_by_role("button", name="Reserve").click()
    await expect(offer).to_have_count(0)
    await expect(bea.page.get_by_text("Held for you").first).to_be_visible()
    await bea.photograph("phone-offer-taken")

    host = await people.host()
    await host.open(f"/console/shows/{show.show_id}?edit")
    await expect(host.page.locator(".rule-house").get_by_text("shown 1, taken 1")).to_be_visible()
    await host.button("Add a rule").click()
    await host.page.locator(".rule-form select").nth(2).select_option(label="a cheaper one of it")
    await host.photograph("desk-rule-form", whole=True)
    await host.button("Save").first.click()
    rule = host.page.locator(
        ".rule", has_text="When anything is given back or runs out of time, offer a cheaper one of it."
    )
    await expect(rule).to_be_visible()
    await expect(host.page.locator(".edit-card .claim-code")).to_have_text("Claim code AA")
    await host.photograph("desk-offers-and-claims", whole=True)
    for person in (ada, bea, host):
        assert person.troubles == []
