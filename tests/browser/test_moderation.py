"""In a real browser: a flood settled in one tap, a private question answered, word lists, and what a refusal says."""

import re
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Page, expect

from livecommerce.errors import Refused
from tests.browser.conftest import PHONE, People, Person, share_url
from tests.live_server import Deal, LiveServer, Show, watcher

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SPAM = "Everybody come to my own channel, everything is half the price there"


async def say_all_the_same(show: Show, count: int, text: str = SPAM) -> None:
    async with AsyncExitStack() as here:
        bots = [await here.enter_async_context(await watcher(show, f"Bot {number}")) for number in range(count)]
        for number, bot in enumerate(bots):  # all within the ten seconds in which copies count
            try:
                await bot.socket.say(f"{text}{'!' * number}")
            except Refused:
                assert number >= 4


# What offers to take an act back goes away after five seconds: a busy machine looks later than that.
STAYS = """
const soon = window.setTimeout.bind(window);
window.setTimeout = (act, ms, ...given) => soon(act, ms === 5000 ? 120_000 : ms, ...given);
"""


async def open_desk(people: People, show: Show, **look: object) -> Person:
    host = await people.host(**look)
    await host.context.add_init_script(STAYS)
    await host.open(f"/console/shows/{show.show_id}")
    await expect(host.page.locator(".line-good")).to_have_count(1)
    return host


def tab(page: Page, name: str) -> object:
    return page.get_by_role("tab", name=re.compile(f"^{name}"))


async def test_a_flood_is_settled_in_one_tap_on_a_desk_and_on_a_phone(people: People, show: Show) -> None:
    await show.show_card(Deal(9))
    viewer = await people.person("Ada")
    await viewer.enter(await share_url(show))
    host = await open_desk(people, show)
    await say_all_the_same(show, 7)
    async with await watcher(show, "Bea") as bea, await watcher(show, "Cleo") as cleo:
        await bea.socket.say("Is it matte or does it shine?", "question")
        await cleo.socket.say("Does it last through dinner?", "question")
    await tab(host.page, "Decide").click()  # type: ignore[attr-defined]
    item = host.page.locator(".triage-held")
    await expect(item.get_by_text("×7")).to_be_visible()
    await expect(host.page.locator(".triage-question").get_by_text("about Velvet Lip")).to_be_visible()
    await host.photograph("desk-triage")

    # On another window, a phone, nothing is left to take: it is in these hands.
    phone = await open_desk(people, show, viewport=PHONE, has_touch=True)
    await phone.page.get_by_role("button", name=re.compile("^People")).click()
    await phone.photograph("phone-moderator-chat")
    await item.get_by_role("button", name="Advertising").click()
    await item.get_by_role("button", name="Hide all 7").click()
    await expect(phone.page.locator(".mod-deed")).to_contain_text(re.compile("decided.*Advertising", re.DOTALL))
    await expect(item).to_have_count(0)
    await expect(viewer.page.locator(".peek").get_by_text("half the price")).to_have_count(0)
    questions = host.page.locator(".triage-question")
    await questions.get_by_placeholder("One answer for all of them…").fill("Matte, and it lasts through dinner.")
    await questions.get_by_role("button", name="Answer for all to see").click()
    await expect(host.page.get_by_text("Nothing to decide")).to_be_visible()
    await host.photograph("desk-triage-empty")

    await tab(host.page, "Chat").click()  # type: ignore[attr-defined]
    await say_all_the_same(show, 6, "Follow me for a free gift, only tonight and only here")
    await tab(phone.page, "Decide").click()  # type: ignore[attr-defined]
    await expect(phone.page.locator(".triage-held")).to_be_visible()
    await phone.page.get_by_role("button", name="and …").click()
    await phone.photograph("phone-triage")
    for person in (viewer, host, phone):
        assert person.troubles == []


async def test_a_private_question_reaches_the_host_alone_and_the_answer_her_alone(people: People, show: Show) -> None:
    await show.show_card(Deal(9))
    host = await open_desk(people, show)
    url = await share_url(show)
    ada, bea = await people.person("Ada"), await people.person("Bea")
    for viewer in (ada, bea):
        await viewer.enter(url)
        await viewer.page.locator(".peek").click()
    await tab(ada.page, "Private").click()  # type: ignore[attr-defined]
    await expect(ada.page.get_by_text("only the two of you read it")).to_be_visible()
    await ada.photograph("phone-private-empty")
    sheet = ada.page.locator(".chat-sheet")
    await sheet.locator(".composer-input").fill("My skin is very dry. Is it for me?")
    await sheet.locator(".composer-input").press("Enter")
    await expect(sheet.get_by_text("The answer comes here")).to_be_visible()
    await tab(ada.page, "Chat").click()  # type: ignore[attr-defined]

    await tab(host.page, "Questions").click()  # type: ignore[attr-defined]
    asked = host.page.locator(".question.private", has_text="very dry")
    await asked.get_by_placeholder("Answer Ada in private…").fill("It is, Ada: it has shea butter.")
    await host.photograph("desk-inbox")
    await asked.get_by_role("button", name="Answer").click()
    await expect(asked.get_by_text("shea butter")).to_be_visible()
    await expect(ada.page.get_by_text("answered you in private")).to_be_visible()
    await tab(ada.page, "Private").click()  # type: ignore[attr-defined]
    await expect(sheet.get_by_text("shea butter")).to_be_visible()
    await ada.photograph("phone-private-answer")
    # Away when it came, or not: it is there when she comes back.
    await ada.page.reload()
    await expect(ada.page.locator(".watch-deck")).to_be_visible()
    await ada.page.locator(".peek").click()
    await tab(ada.page, "Private").click()  # type: ignore[attr-defined]
    await expect(ada.page.locator(".chat-sheet").get_by_text("shea butter")).to_be_visible()
    await tab(bea.page, "Private").click()  # type: ignore[attr-defined]
    await expect(bea.page.get_by_text("only the two of you read it")).to_be_visible()
    for person in (ada, bea, host):
        assert person.troubles == []


async def test_who_may_write_and_which_words_are_changed_at_the_desk_and_told_on_the_page(
    people: People, show: Show, server: LiveServer
) -> None:
    await show.show_card(Deal(9))
    await show.add_card(Deal(3), title="The next one")  # what a key of the desk would put on the picture
    host = await open_desk(people, show)
    ada = await people.person("Ada")
    await ada.enter(await share_url(show))
    await host.button("Moderation").click()
    sheet = host.page.get_by_role("dialog", name="Moderation")
    for key in ("Space", "ArrowRight", "2"):  # the sheet itself has the focus now
        await host.page.keyboard.press(key)
    slow = sheet.get_by_role("radio", name="Off")
    await slow.focus()
    await host.page.keyboard.press("ArrowRight")
    await expect(sheet.get_by_role("radio", name="10 s")).to_be_checked()
    await expect(host.page.locator(".mod-deed")).to_contain_text("changed slow mode")
    await host.page.keyboard.press("ArrowLeft")
    await expect(slow).to_be_checked()
    await server.settled(show.show_id)
    assert [row["body"]["do"] for row in await show.log() if row["kind"] == "command"].count("show_card") == 1
    await sheet.get_by_label("Your own words").fill("knock-off\n高仿")
    await sheet.get_by_role("switch", name=re.compile("^French")).check()
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_text("Every room follows")).to_be_visible()
    # A colleague saves while she writes: what she typed stays, on top of what he changed.
    lists = {"words": ["knock-off", "his"], "allowed": [], "link_hosts": [], "starters": ["fr"]}
    rules = await show.host.get("/api/staff/talk-rules")
    await show.host.put("/api/staff/talk-rules", {"version": rules["rules"]["version"], **lists})
    await sheet.get_by_label("Your own words").fill("knock-off\n高仿\nhers")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_text("changed the lists meanwhile")).to_be_visible()
    await expect(sheet.get_by_label("Your own words")).to_have_value("knock-off\nhis\nhers")
    await host.photograph("desk-lists-merged", whole=True)
    assert host.troubles
    assert all("409" in trouble for trouble in host.troubles)
    host.troubles.clear()
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_text("Every room follows")).to_be_visible()
    await sheet.get_by_label("Would this line pass?").fill("is this a KN0CK-0FF?")
    await sheet.get_by_role("button", name="Try").click()
    await expect(sheet.get_by_text("“knock-off” is on a list")).to_be_visible()
    await host.photograph("desk-moderation", whole=True)

    await ada.page.locator(".peek").click()
    chat = ada.page.locator(".chat-sheet")

    async def say(text: str) -> None:
        await chat.locator(".composer-input").fill(text)
        await chat.locator(".composer-input").press("Enter")

    await say("is it a knock off?")
    await say("look at www.elsewhere.com")
    await expect(chat.get_by_text("Links to other pages are not allowed here.")).to_be_visible()
    await say("such a knock-off")
    await expect(chat.get_by_text("This line contains a word that is not allowed here.").first).to_be_visible()
    await sheet.get_by_text("60 s", exact=True).click()
    await expect(host.page.get_by_text("Slow: 60 s", exact=True)).to_be_visible()
    await say("lovely colour")
    await say("and so light")
    await expect(chat.get_by_text(re.compile(r"slow mode\. Try again in \d+ seconds?\."))).to_be_visible()
    await ada.photograph("phone-refusals")
    await sheet.get_by_role("switch", name=re.compile("^Members only")).click()
    await expect(chat.locator(".composer-input")).to_have_attribute("placeholder", "Right now the chat is for members")
    await expect(chat.locator(".composer-input")).to_be_disabled()
    await ada.photograph("phone-members-only")
    await sheet.get_by_role("switch", name=re.compile("^Members only")).click()
    await expect(chat.locator(".composer-input")).to_be_enabled()
    assert host.troubles == []
    phone = await open_desk(people, show, viewport=PHONE, has_touch=True)
    await phone.page.get_by_role("button", name=re.compile("^People")).click()
    await phone.button("Moderation").click()
    await expect(phone.page.get_by_label("Would this line pass?")).to_be_visible()
    await phone.photograph("phone-moderation")
    assert phone.troubles == []
    rules = await show.host.get("/api/staff/talk-rules")
    lists = {"words": [], "allowed": [], "link_hosts": [], "starters": []}
    await show.host.put("/api/staff/talk-rules", {"version": rules["rules"]["version"], **lists})


async def test_a_line_is_hidden_shown_again_and_its_author_silenced(people: People, show: Show) -> None:
    await show.show_card(Deal(9))
    host = await open_desk(people, show)
    ada = await people.person("Ada", desk=True)
    await ada.enter(await share_url(show))
    await ada.say("what a silly colour")
    line = host.page.locator(".chat-line", has_text="silly colour")
    await line.hover()
    await line.get_by_role("button", name="Hide").click()
    await expect(line).to_have_count(0)
    await expect(ada.page.locator(".line", has_text="silly colour")).to_have_count(0)
    await host.page.locator(".undo-toast").get_by_role("button", name="Undo").click()
    await expect(line).to_have_count(1)
    await expect(ada.page.locator(".line", has_text="silly colour")).to_have_count(1)
    await line.hover()
    await line.get_by_role("button", name="More about this line").click()
    dialog = host.page.get_by_role("dialog", name="Ada wrote")
    await dialog.get_by_role("button", name="Insult").click()
    await host.photograph("desk-line")
    await dialog.get_by_role("button", name="5 min").click()
    await expect(host.page.get_by_text("“Ada” is muted for 5 minutes.")).to_be_visible()
    await ada.say("but why")
    await expect(ada.page.get_by_text("A moderator asked you to listen for a while.")).to_be_visible()
    await host.button("Moderation").click()
    sheet = host.page.get_by_role("dialog", name="Moderation")
    await sheet.get_by_role("button", name="Lift").click()
    await expect(sheet.get_by_text("Nobody.")).to_be_visible()
    await expect(sheet.locator(".mod-deeds")).to_contain_text("Insult")
    assert host.troubles == []
