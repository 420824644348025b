"""A deal that is drawn, in a real browser: two tap, one is drawn, both can check it afterwards."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from livecommerce.reservations.ticket_list import verify
from tests.browser.conftest import CLIP, People, share_url
from tests.live_server import Deal, LiveServer, live_show

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_two_tap_one_is_drawn_and_both_find_themselves_in_the_list(
    people: People, server: LiveServer, tmp_path: Path
) -> None:
    async with live_show(server, title="The evening reds") as show:
        await show.host.patch(f"/api/staff/shows/{show.show_id}", {"video": CLIP})
        url = await share_url(show)
        ada, bea = await people.person("Ada"), await people.person("Bea")
        for viewer in (ada, bea):
            await viewer.enter(url)
        show.card_id, show.deals = await show.add_card(Deal(1, draw_seconds=15))
        await show.command(do="show_card", card_id=show.card_id)
        for viewer in (ada, bea):
            await expect(viewer.card.get_by_text("Everyone who taps in time has the same chance.")).to_be_visible()
        await ada.photograph("phone-draw-open")
        await asyncio.gather(*(viewer.tap("Tap to enter the draw") for viewer in (ada, bea)))
        await expect(ada.card.get_by_text("You are in, 2 so far. Result in")).to_be_visible()
        await ada.photograph("phone-draw-entered")

        drawn = {
            viewer.name: viewer.card.get_by_text(re.compile("Held for you|You are 1st in line"))
            for viewer in (ada, bea)
        }
        for words in drawn.values():
            await expect(words).to_be_visible()
        winner, other = (ada, bea) if "Held" in await drawn["Ada"].inner_text() else (bea, ada)
        await expect(other.act).to_have_text("Leave the line")
        await winner.photograph("phone-draw-won")
        await other.photograph("phone-draw-lost")

        await winner.button("Give it back").click()
        await expect(other.act).to_have_text("Take it")
        await other.button("No, thank you").click()
        await show.command(do="end")
        await server.settled(show.show_id)
        for viewer, place in ((winner, "1st"), (other, "2nd")):
            await expect(viewer.button("Check the list")).to_be_visible()
            row = viewer.page.get_by_text(re.compile(f"Your ticket: no. [12] · drawn {place} · given back"))
            await viewer.button("Check the list").click()  # signed a few seconds after; it comes while she looks
            await expect(row).to_be_visible()
        await winner.photograph("phone-draw-list")
        async with winner.page.expect_download() as download:
            await winner.page.get_by_role("link", name="Download the signed list").click()
        await (await download.value).save_as(tmp_path / "tickets.json")
        file = (tmp_path / "tickets.json").read_bytes()
        keys = await show.host.get("/.well-known/livecommerce-tickets.json")
        commitment = json.loads(file)["list"]["draw"]["commitment"]
        opened = [row["body"] for row in await show.log() if row["kind"] == "deal_opened"]
        assert [event["draw"]["commitment"] for event in opened] == [commitment]
        assert all(finding.holds for finding in verify(file, key=keys["keys"][0], commitment=commitment))
        assert ada.troubles + bea.troubles == []
