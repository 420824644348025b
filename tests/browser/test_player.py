"""The player in a real Chromium, live and in the replay: data saver, captions, the small picture, back to live."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import WAIT_MS, People, Person, share_url
from tests.browser.test_accessibility import axe, no_barriers
from tests.browser.test_camera import camera, filmed, insist_on, plays_on, sees, sends, watched
from tests.live_server import Deal, Show
from tests.video.films import needs_ffmpeg

pytestmark = [pytest.mark.browser, needs_ffmpeg, pytest.mark.asyncio(loop_scope="session")]
__all__ = ["axe", "filmed"]

SAVES_DATA = """
Object.defineProperty(navigator, "connection", { value: Object.assign(new EventTarget(), { saveData: true }) });
"""
VTT = "WEBVTT\n\n00:00:00.000 --> 00:00:30.000\nGood evening from the recording\n"


def fetched(viewer: Person) -> list[str]:
    """The pieces of the picture, or of its sound, that her player asks for from now on."""
    pieces: list[str] = []
    viewer.page.on("request", lambda call: pieces.append(call.url) if call.url.endswith(".m4s") else None)
    return pieces


async def video(viewer: Person, what: str, element: str = "video.stage-video") -> Any:
    return await viewer.page.evaluate(f"document.querySelector('{element}')?.{what}")


async def holds(viewer: Person, script: str) -> None:
    """Ask her page until it is so; it may not evaluate text by itself. A bound for what hangs, not a measure."""
    try:
        async with asyncio.timeout(WAIT_MS / 1000):
            await insist_on(lambda: viewer.page.evaluate(script))
    except TimeoutError:
        raise AssertionError(script) from None


async def chooses(viewer: Person, *words: str) -> None:
    await viewer.button("Picture and captions").click()
    for word in words:
        await viewer.page.get_by_role("radio", name=word).click()


async def test_who_saves_data_hears_the_show_without_its_picture_and_comes_back_to_it(
    people: People, filmed: Show
) -> None:
    await filmed.add_card(Deal(5), title="Velvet Lip")
    host, viewer = await watched(people, filmed)
    await chooses(viewer, "Data saver")
    await viewer.photograph("phone-viewing")
    await viewer.button("Close").click()
    await expect(viewer.page.locator("video.stage-video")).to_have_count(0)  # nothing is fetched before she asks
    await viewer.photograph("phone-data-saver")
    pieces = fetched(viewer)
    await viewer.button("Listen").click()
    await plays_on(viewer, 1.5)
    assert await video(viewer, "videoWidth") == 0
    assert not await video(viewer, "muted")
    assert pieces
    assert all("/sound/" in piece for piece in pieces)
    await host.page.locator(".camera-next").click()
    await expect(viewer.card).to_contain_text("Velvet Lip")  # the card still comes, by the sound's own clock
    await viewer.photograph("phone-sound-only")

    await viewer.page.reload()
    await expect(viewer.button("Listen")).to_be_visible()  # her choice is remembered
    await viewer.button("Show the picture").click()
    await sees(viewer)
    assert await viewer.page.evaluate("localStorage.getItem('lc.picture')") == "picture"
    # While she pays, the picture goes on small.
    await viewer.tap("Reserve")
    await viewer.act.click()
    await expect(viewer.page.locator(".sheet-full")).to_be_visible()
    box = await viewer.page.locator(".stage").bounding_box()
    assert box is not None
    assert box["width"] < 120
    await plays_on(viewer, 0.5)
    await viewer.photograph("phone-mini")
    await viewer.button("Close").click()

    # She looks back, and is led to live again.
    await video(viewer, "pause()")
    await viewer.page.evaluate(
        "(video => (video.currentTime = video.seekable.start(0)))(document.querySelector('video'))"
    )
    await expect(viewer.button("Go to live")).to_be_visible()
    await viewer.photograph("phone-behind")
    await viewer.page.keyboard.press("l")
    await expect(viewer.button("Go to live")).to_have_count(0)
    await plays_on(viewer, 0.5)


async def test_a_device_that_saves_data_gets_no_picture_before_it_is_asked_for(people: People, filmed: Show) -> None:
    host = await camera(people, filmed)
    await sends(host)
    viewer = await people.person("Ana")
    await viewer.page.add_init_script(SAVES_DATA)
    pieces = fetched(viewer)
    await viewer.enter(await share_url(filmed))
    await expect(viewer.button("Listen")).to_be_visible()
    assert pieces == []
    await viewer.button("Picture and captions").click()
    await expect(viewer.page.get_by_text("This device saves data: no picture")).to_be_visible()


GREETING = (
    "Good evening from the counter, where everything that you will see tonight stands ready: "
    "shade by shade, for you to choose"
)
MISTAKE = (
    "and this one is wrong, as whoever reads to its end will notice, "
    "for it says nothing at all that anybody ever wished to know"
)


async def test_what_the_desk_writes_stands_under_its_picture_and_in_the_replay(
    people: People, filmed: Show, axe: str
) -> None:
    await filmed.add_card(Deal(5), title="Velvet Lip")
    host, viewer = await watched(people, filmed)
    desk = await people.host(bypass_csp=True)
    await desk.open(f"/console/shows/{filmed.show_id}")
    await desk.page.get_by_role("tab", name="Captions").click()
    for text in (GREETING, MISTAKE):  # long: they stand for eight seconds
        await desk.page.get_by_label("What is being said…").fill(text)
        await desk.page.keyboard.press("Enter")
        await expect(viewer.page.locator(".captions")).to_have_text(text)
        await viewer.photograph(f"phone-captions-{len(text)}")
    await desk.button("Take this line away").nth(1).click()
    await expect(viewer.page.locator(".captions")).to_have_count(0)
    # How late she sees it reaches the desk, and the phone that films, by her own word.
    await expect(desk.page.locator(".desk-delay")).to_contain_text("viewers see you")
    await expect(host.page.locator(".camera-line")).to_contain_text("late")
    await host.page.locator(".camera-next").click()
    await host.photograph("camera-delay")
    await desk.photograph("desk-captions")

    await chooses(viewer, "Never")
    await viewer.button("Close").click()
    await desk.page.get_by_label("What is being said…").fill("seen by those who want it")
    await desk.page.keyboard.press("Enter")
    await expect(desk.page.locator(".caption-line")).to_have_count(2)
    await expect(viewer.page.locator(".captions")).to_have_count(0)

    await filmed.command(do="end")
    await expect(desk.page.locator(".stage-after")).to_be_visible()  # the room has heard it: a new page begins with it
    await desk.page.reload()
    await desk.page.locator("input[type=file]").set_input_files(
        {"name": "en.srt", "mimeType": "text/plain", "buffer": b"1\n00:00:01,000 --> 00:00:02,000\nno\n"}
    )
    await expect(desk.page.get_by_role("alert")).to_contain_text("WEBVTT")
    await desk.page.locator("input[type=file]").set_input_files(
        {"name": "en.vtt", "mimeType": "text/vtt", "buffer": VTT.encode()}
    )
    await expect(desk.page.get_by_text("1 line is under the recording now.")).to_be_visible()
    await desk.photograph("desk-caption-files")
    await no_barriers(desk, axe, "the desk of a show that is over, with captions")
    await replayed(people, filmed, axe)


async def replayed(people: People, filmed: Show, axe: str) -> None:
    """Captions chosen, kept, and shown by the browser's own player; small while she reads on; sound alone."""
    viewer = await people.person("Bea", bypass_csp=True)
    await viewer.open(f"/replay/{filmed.show_id}")
    page = viewer.page
    await page.get_by_label("Captions").select_option(label="English")
    await holds(
        viewer, "document.querySelector('video').textTracks[0].cues?.[0]?.text === 'Good evening from the recording'"
    )
    await page.reload()
    await expect(page.get_by_label("Captions")).to_have_value("en")
    await page.get_by_label("Captions").select_option(label="As typed during the show")
    await holds(
        viewer,
        "[...(document.querySelector('video').textTracks[1].cues ?? [])].map((cue) => cue.text).join('|')"
        f" === '{GREETING}|seen by those who want it'",
    )
    await page.evaluate("document.querySelector('video').play()")
    await page.keyboard.press("m")
    await holds(viewer, "document.querySelector('video').muted")
    await viewer.photograph("phone-replay-captions")
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await expect(page.locator(".screen.is-mini")).to_be_visible()
    await viewer.photograph("phone-replay-mini")
    await no_barriers(viewer, axe, "a replay, its picture small")
    await viewer.button("Back to the picture").click()
    await expect(page.locator(".screen.is-mini")).to_have_count(0)
    pieces = fetched(viewer)
    await page.get_by_role("switch", name="Data saver").check()
    # Both at once: between the two players the element has no picture, and has fetched nothing either.
    await holds(viewer, "(video => video.readyState > 2 && video.videoWidth === 0)(document.querySelector('video'))")
    # The old player may have asked for one more piece before it ended.
    first = next(number for number, piece in enumerate(pieces) if "/sound/" in piece)
    assert all("/sound/" in piece for piece in pieces[first:])
    await viewer.photograph("phone-replay-sound")
