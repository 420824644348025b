"""From a host's camera to a viewer's phone, both in a real Chromium: the picture, its clock, and what breaks it."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from livecommerce.video.programme_clock import SETTLED_AFTER
from tests.browser.conftest import PHONE, People, Person, share_url
from tests.live_server import Deal, LiveServer, Show, live_server, live_show, until
from tests.video.films import needs_ffmpeg

pytestmark = [pytest.mark.browser, needs_ffmpeg, pytest.mark.asyncio(loop_scope="session")]

# A camera that films a clock: 32 bits of the machine's milliseconds as black and white blocks, so that whoever sees the
# picture can say when it was filmed. Chromium's own fake camera cannot be read.
FILMS_A_CLOCK = """
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 568 });
  const paint = canvas.getContext("2d");
  setInterval(() => {
    const now = Date.now() % 2 ** 32;
    for (let bit = 0; bit < 32; bit += 1) {
      paint.fillStyle = Math.floor(now / 2 ** bit) % 2 ? "#fff" : "#000";
      paint.fillRect((bit % 4) * 80, Math.floor(bit / 4) * 71, 80, 71);
    }
  }, 1000 / 30);
  const stream = canvas.captureStream(30);
  const sound = new AudioContext();
  const out = sound.createMediaStreamDestination();
  const tone = sound.createOscillator();
  tone.connect(out);
  tone.start();
  out.stream.getAudioTracks().forEach((track) => stream.addTrack(track));
  return stream;
};
"""
# What the viewer's picture shows now, and what its page takes for the programme's time; null before there is one.
READS_IT = """(selector) => {
  const video = document.querySelector(selector);
  if (!video?.videoWidth || video.paused) return null;
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 568 });
  const paint = canvas.getContext("2d");
  paint.drawImage(video, 0, 0, 320, 568);
  const seen = Date.now(), programme = video.programmeMs();
  let read = 0;
  for (let bit = 0; bit < 32; bit += 1) {
    const [red] = paint.getImageData((bit % 4) * 80 + 40, Math.floor(bit / 4) * 71 + 35, 1, 1).data;
    if (red > 127) read += 2 ** bit;
  }
  const filmed = Math.floor(seen / 2 ** 32) * 2 ** 32 + read;
  return { filmed, delay: seen - filmed, off: programme === null ? null : programme - filmed };
}"""
STAGE, REPLAY = "video.stage-video", ".replay-picture video"
# Notes of each card that comes what the picture shows at that moment.
NOTES_CARDS = f"""
window.cardsSeen = [];
let before = "";
new MutationObserver(() => {{
  const title = document.querySelector(".watch-deck article.card h2")?.textContent ?? "";
  if (title && title !== before) window.cardsSeen.push(({READS_IT})("{STAGE}")?.filmed ?? null);
  before = title;
}}).observe(document.body, {{ subtree: true, childList: true, characterData: true }});
"""


@pytest_asyncio.fixture(loop_scope="session")
async def filmed(server: LiveServer) -> AsyncIterator[Show]:
    """A show on air whose picture this server films."""
    async with live_show(server, title="The evening reds") as show:
        await show.host.patch(f"/api/staff/shows/{show.show_id}", {"video": {"kind": "own"}})
        yield show


async def camera(people: People, show: Show, script: str = "") -> Person:
    """The host with her phone in her hand, on the camera page."""
    host = await people.host(viewport=PHONE)
    if script:
        await host.page.add_init_script(script)
    await host.open(f"/camera/{show.show_id}")
    return host


async def sends(host: Person) -> None:
    await host.button("Send the picture").click()
    await expect(host.page.locator(".camera-line .line-good")).to_be_visible()


async def sees(viewer: Person) -> None:
    await expect(viewer.page.locator("video.stage-video.is-seen")).to_be_visible()


async def watched(people: People, show: Show, script: str = "") -> tuple[Person, Person]:
    """A host who films, and a viewer who sees it."""
    host = await camera(people, show, script)
    await sends(host)
    viewer = await people.person("Ana")
    await viewer.enter(await share_url(show))
    await sees(viewer)
    return host, viewer


async def plays_on(viewer: Person, seconds: float) -> None:
    """The picture moves on by so much."""
    began = await place(viewer)
    await insist_on(lambda: _beyond(viewer, began + seconds))


async def place(viewer: Person, video: str = "video.stage-video") -> float:
    """Seconds into what her player plays."""
    return float(await viewer.page.evaluate(f"document.querySelector('{video}').currentTime"))


async def _beyond(viewer: Person, seconds: float, video: str = "video.stage-video") -> bool:
    return await place(viewer, video) >= seconds


async def insist_on(true: Callable[[], Awaitable[bool]]) -> None:
    """Ask a page again and again; the test's own deadline is the bound."""
    while not await true():  # noqa: ASYNC110 - a page is asked
        await asyncio.sleep(0.2)


async def test_what_a_phone_films_a_viewer_sees_with_its_card(people: People, filmed: Show) -> None:
    await filmed.add_card(Deal(5), title="Velvet Lip")
    host = await camera(people, filmed)
    await expect(host.page.locator(".camera-next")).to_contain_text("Velvet Lip")
    await host.photograph("camera-before")
    await sends(host)
    viewer = await people.person("Ana")
    await viewer.enter(await share_url(filmed))
    await sees(viewer)
    await host.page.locator(".camera-next").click()
    await expect(viewer.card).to_contain_text("Velvet Lip")
    await expect(host.page.locator(".camera-now h1")).to_have_text("Velvet Lip")
    await host.photograph("camera-live")
    await viewer.photograph("phone-watch-camera")
    await plays_on(viewer, 3.0)

    assert host.troubles == []
    # Until the first part is there, the page asks and is told that there is none.
    assert [each for each in viewer.troubles if "404" not in each] == []


# Whether the screen is kept awake, and how often that was asked for.
NOTES_THE_LOCK = """
window.locks = [];
navigator.wakeLock.request = async () => {
  const lock = { released: false, release: async () => { lock.released = true } };
  window.locks.push(lock);
  return lock;
};
"""
LETTERS_PX = {".camera-now h1": 25, ".camera-price": 23, ".camera-talk": 18, ".camera-questions li": 16}


async def test_a_host_reads_everything_at_two_metres_and_no_dialog_opens(people: People, filmed: Show) -> None:
    """Preview, microphone, flip, awake; product, price, one talking line, three questions, one NEXT."""
    for title in ("Velvet Lip", "Velvet Balm"):
        card_id, _ = await filmed.add_card(Deal(5), title=title)
        line = {"line": "Eight hours, and it does not dry"}
        await filmed.host.patch(f"/api/staff/shows/{filmed.show_id}/cards/{card_id}", line)
    host = await camera(people, filmed, NOTES_THE_LOCK)
    page = host.page
    for name in ("Ana", "Bea"):
        viewer = await people.person(name)
        await viewer.enter(await share_url(filmed))
        await viewer.button("Ask a question").click()
        for number in range(2):
            await viewer.say(f"{name} asks {number}: which shade would you take in winter?")
    await expect(page.locator(".camera-questions li")).to_have_count(3)
    assert await page.evaluate("window.locks.length") == 0
    await sends(host)
    assert await page.evaluate("window.locks.at(-1).released") is False
    await page.locator(".camera-next").click()
    await expect(page.locator(".camera-now h1")).to_have_text("Velvet Lip")
    await expect(page.locator(".camera-price")).to_contain_text("€19.00")
    await expect(page.locator(".camera-talk")).to_have_text("Eight hours, and it does not dry")
    await expect(page.locator(".camera-next")).to_contain_text("Velvet Balm")
    await expect(page.locator(".camera-next")).to_be_enabled()
    await insist_on(lambda: page.evaluate("document.querySelector('.mic').value > 0"))
    await insist_on(lambda: page.evaluate("document.querySelector('.viewfinder').videoWidth > 0"))
    await host.photograph("camera-full")
    # What is read from two metres is large, and all of it is on the screen.
    for place, least in LETTERS_PX.items():
        size = await page.evaluate(f"parseFloat(getComputedStyle(document.querySelector('{place}')).fontSize)")
        assert size >= least, place
    for place in (".camera-top", ".camera-now", ".camera-questions", ".camera-controls", ".camera-next"):
        box = await page.locator(place).bounding_box()
        assert box is not None, place
        assert box["y"] >= 0, place
        assert box["y"] + box["height"] <= PHONE["height"], place
    await host.button("Other camera").click()
    await expect(page.locator(".viewfinder.mirrored")).to_be_visible()
    await host.button("Microphone off").click()
    await expect(page.get_by_label("The microphone is off")).to_be_visible()
    assert await page.get_by_role("dialog").count() == 0
    await host.button("Stop the camera").click()
    # Armed for four seconds, in which a page that films may draw no two frames alike.
    await host.button("Tap again: viewers lose the picture").dispatch_event("click")
    await insist_on(lambda: page.evaluate("window.locks.every((lock) => lock.released)"))


async def test_the_picture_says_when_it_was_filmed_and_cards_come_with_it(
    people: People, filmed: Show, server: LiveServer
) -> None:
    """By the clock that is burnt into the picture: |programme clock − picture| < 300 ms, live and in the replay, and a
    card within 400 ms of what was filmed when it was put there. A machine that is busy draws frames late, which only
    adds: so it is the lower quartile that is held against the bounds."""
    cards = [(await filmed.add_card(Deal(5), title=title))[0] for title in ("Velvet Lip", "Velvet Balm")]
    host = await camera(people, filmed, FILMS_A_CLOCK)
    await sends(host)
    # What the recorder told of its start is held against what it made once there are some parts.
    index = server.data / "video" / filmed.show_id / "index.ndjson"
    await until(lambda: index.exists() and index.read_bytes().count(b'"part"') > SETTLED_AFTER, "a settled clock", 60)
    viewer = await people.person("Ana")
    await viewer.enter(await share_url(filmed))
    await sees(viewer)
    looks = await read_often(viewer, STAGE, 12)
    off, delay = statistics.median(look["off"] for look in looks), statistics.median(look["delay"] for look in looks)

    await viewer.page.evaluate(NOTES_CARDS)
    for number in range(9):
        await filmed.command(do="show_card", card_id=cards[number % 2])
        await expect(viewer.card).to_contain_text(("Velvet Lip", "Velvet Balm")[number % 2])
    seen = await viewer.page.evaluate("window.cardsSeen")
    await filmed.command(do="end")
    events = (await filmed.host.get(f"/api/shows/{filmed.show_id}/replay"))["events"]
    shown = [stamped["at_ms"] for stamped in events if stamped["event"]["kind"] == "card_shown"]
    apart = [picture - at_ms for picture, at_ms in zip(seen, shown, strict=True) if picture is not None]

    await viewer.open(f"/replay/{filmed.show_id}")
    await insist_on(lambda: viewer.page.evaluate(f"document.querySelector('{REPLAY}')?.readyState > 2"))
    await viewer.page.evaluate(f"document.querySelector('{REPLAY}').play()")
    again = [look["off"] for look in await read_often(viewer, REPLAY, 6)]

    in_replay, card = statistics.median(again), statistics.median(apart)
    print(f"glass to glass {delay:.0f} ms; programme clock off by {off:.0f} ms, in the replay {in_replay:.0f}")
    print(f"cards and what was filmed when they were put there {card:.0f} ms apart, {sorted(apart)}")
    assert abs(_quartile([look["off"] for look in looks])) < 300, looks
    assert len(apart) >= 3, seen
    assert abs(_quartile(apart)) < 400, apart
    assert abs(_quartile(again)) < 300, again


def _quartile(figures: list[float]) -> float:
    return statistics.quantiles(figures, n=4)[0]


async def read_often(viewer: Person, video: str, times: int) -> list[dict[str, Any]]:
    looks: list[dict[str, Any]] = []
    while len(looks) < times:
        look = await viewer.page.evaluate(READS_IT, video)
        if look and look["off"] is not None and look["delay"] > 0:
            looks.append(look)
        await asyncio.sleep(0.25)
    return looks


# Breaks the camera's own connection as a network does: no word to either side's program.
CAN_BE_CUT = """
const Native = window.WebSocket;
window.WebSocket = class extends Native {
  constructor(url, protocols) {
    super(url, protocols);
    if (String(url).includes("/publish/")) window.cutTheLine = () => super.close();
  }
};
"""


_SEES_BAD = """
window.seen = new Promise((done) => {
  const look = (_, watch) => {
    if (!document.querySelector(".camera-line .line-bad")) return;
    watch.disconnect();
    done(true);
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
});
0
"""


async def test_a_line_that_breaks_heals_and_nothing_ends(people: People, filmed: Show) -> None:
    host, viewer = await watched(people, filmed, CAN_BE_CUT)
    await host.page.evaluate(_SEES_BAD)
    await host.page.evaluate("window.cutTheLine()")
    assert await host.page.evaluate("window.seen")  # it may be for a moment only
    await expect(host.page.locator(".camera-line .line-good")).to_be_visible()
    await plays_on(viewer, 2.0)


async def test_a_phone_that_is_turned_is_seen_in_its_new_shape(people: People, filmed: Show) -> None:
    """The player goes on, and its frame follows the picture."""
    host, viewer = await watched(people, filmed)
    await expect(viewer.page.locator("video.stage-video.is-portrait")).to_be_visible()
    await host.page.set_viewport_size({"width": PHONE["height"], "height": PHONE["width"]})
    await host.page.evaluate("screen.orientation.dispatchEvent(new Event('change'))")
    await expect(viewer.page.locator("video.stage-video.is-wide")).to_be_visible()
    await viewer.photograph("phone-watch-turned")


# A line that the page takes for too weak at once, while all that is sent arrives: no word of the server's that it has a
# chunk is heard, and the page's clock runs ahead.
CAN_BE_WEAK = """
const Native = window.WebSocket;
window.weak = false;
window.WebSocket = class extends Native {
  set onmessage(hear) {
    super.onmessage = (event) => {
      if (!(window.weak && this.url.includes("/publish/") && String(event.data).includes('"ack"'))) hear(event);
    };
  }
};
for (const clock of [Date, performance]) {
  const honest = clock.now.bind(clock);
  let ahead = 0;
  clock.now = () => honest() + (ahead += window.weak ? 1_000 : 0);
}
"""


async def test_on_the_weakest_line_whoever_saw_the_picture_goes_on_hearing(people: People, filmed: Show) -> None:
    """The picture gives way to sound in the same player: its tracks stay what they were."""
    host, viewer = await watched(people, filmed, CAN_BE_WEAK)
    await host.page.evaluate("window.weak = true")
    await expect(host.page.get_by_text("only your sound and a still are sent")).to_be_visible()
    await host.page.evaluate("window.weak = false")
    await plays_on(viewer, 5.0)
    heard = await _heard_bytes(viewer)
    await insist_on(lambda: _hears_beyond(viewer, heard))
    await host.photograph("camera-sound-alone")
    await viewer.photograph("phone-watch-sound-alone")


async def _heard_bytes(viewer: Person) -> int:
    """How much sound her player has decoded."""
    return int(await viewer.page.evaluate("document.querySelector('video.stage-video').webkitAudioDecodedByteCount"))


async def _hears_beyond(viewer: Person, heard: int) -> bool:
    return await _heard_bytes(viewer) > heard


async def test_a_phone_that_dies_is_a_slate_and_one_tap_keeps_what_is_reserved_longer(
    people: People, filmed: Show
) -> None:
    """Viewers read kind words, the desk reads what happened and what to do; a new phone takes the slate away."""
    card_id, _ = await filmed.add_card(Deal(5), title="Velvet Lip")
    await filmed.command(do="show_card", card_id=card_id)
    host = await camera(people, filmed)
    await sends(host)
    viewer = await people.person("Ana")
    await viewer.enter(await share_url(filmed))
    await sees(viewer)
    await viewer.tap("Reserve")
    desk = await people.host()
    await desk.open(f"/console/shows/{filmed.show_id}")
    await expect(desk.page.locator(".desk-alerts")).to_be_visible()
    await host.context.close()

    await expect(viewer.page.locator(".slate")).to_contain_text("The picture is back in a moment")
    await expect(desk.page.locator(".interruption")).to_contain_text("line broke")
    await viewer.photograph("phone-watch-slate")
    await desk.photograph("desk-slate")
    await viewer.say("still here")
    again = await camera(people, filmed)
    await expect(again.page.locator(".interruption")).to_contain_text("line broke")
    await again.photograph("camera-slate")
    await sends(again)
    await expect(viewer.page.locator(".slate")).to_have_count(0)
    await expect(desk.page.locator(".interruption")).to_contain_text("The picture is back")
    await desk.page.get_by_role("button", name="Keep reserved items").click()
    await expect(viewer.page.get_by_text("is kept")).to_be_visible()
    await expect(desk.page.locator(".interruption")).to_contain_text("Reserved items are kept")
    await expect(desk.page.get_by_role("button", name="Keep reserved items")).to_have_count(0)
    await viewer.photograph("phone-watch-longer")
    await plays_on(viewer, 2.0)
    await desk.photograph("desk-slate-over")
    await filmed.command(do="end")
    await desk.button("Recording").click()
    await expect(desk.page.get_by_role("dialog")).to_contain_text("It stays until somebody removes it.")
    await desk.page.get_by_label("Keep it however old it is").check()
    for part in (1, 2):
        await expect(desk.page.get_by_role("link", name=f"Download part {part}")).to_be_visible()
    clips = desk.page.get_by_role("link", name="Download the clip of Velvet Lip")
    await expect(clips).to_have_count(2)  # one of each phone
    await desk.photograph("desk-recording")
    async with desk.page.expect_download() as download:
        await clips.first.click()
    clip = await download.value
    assert clip.suggested_filename == "Velvet Lip.mp4"
    assert (await clip.path()).read_bytes()[4:8] == b"ftyp"


async def test_no_viewer_sees_what_is_filmed_before_the_show_and_all_do_once_it_is_live(
    people: People, server: LiveServer
) -> None:
    """A camera is set up, and somebody dresses, in front of it."""
    staff = await server.staff()
    made = await staff.post("/api/staff/shows", {"title": "Not yet", "corner": "flash_sale"})
    show = Show(server, staff, made["show_id"])
    soon = round(time.time() * 1000) + 600_000
    plan = {"video": {"kind": "own"}, "scheduled_at_ms": soon, "move": "schedule"}
    await staff.patch(f"/api/staff/shows/{show.show_id}", plan)
    host = await camera(people, show)
    await sends(host)
    viewer, desk = await people.person("Ana"), await people.host()
    fetched: set[int] = set()
    viewer.page.on("response", lambda told: fetched.add(told.status) if "/video/" in told.url else None)
    await desk.open(f"/console/shows/{show.show_id}")
    await viewer.enter(await share_url(show))
    index = server.data / "video" / show.show_id / "index.ndjson"
    await until(lambda: index.exists() and index.read_bytes().count(b"part") >= 4, "parts on disk")
    before = desk.page.locator(".preview-before")
    await insist_on(lambda: _beyond(desk, 1.0, ".preview-before video"))
    await expect(before.get_by_text("Waiting for the picture")).to_have_count(0)
    await desk.photograph("desk-before-picture")
    assert fetched <= {404}

    await show.command(do="go_live")
    await sees(viewer)
    await expect(desk.page.locator("video.preview-moving")).to_be_visible()
    await insist_on(lambda: _beyond(desk, 1.0, "video.preview-moving"))
    await staff.aclose()


async def test_the_code_of_the_console_opens_the_camera_on_a_phone(people: People, filmed: Show) -> None:
    desk = await people.host()
    await desk.open(f"/console/shows/{filmed.show_id}")
    await desk.button("Camera").click()
    await expect(desk.page.get_by_role("img", name="Code that opens the camera on a phone")).to_be_visible()
    await desk.photograph("desk-camera-code")
    link = await filmed.host.post(f"/api/staff/shows/{filmed.show_id}/camera", {})
    phone = await people.person("the phone")
    await phone.open(link["url"])
    await expect(phone.button("Send the picture")).to_be_enabled()
    assert "#" not in phone.page.url

    other = await people.person("another phone")
    await other.open(link["url"])
    await other.page.wait_for_url("**/login**")


async def test_without_a_camera_the_page_says_what_to_do(people: People, filmed: Show) -> None:
    host = await camera(
        people, filmed,
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError') }",
    )  # fmt: skip
    await expect(host.page.get_by_role("alert")).to_contain_text("The camera is not allowed")
    await host.photograph("camera-denied")
    await expect(host.button("Send the picture")).to_be_disabled()


async def test_without_ffmpeg_the_console_says_so_and_the_show_sells(
    browser: Browser, merchant_folder: Path, tmp_path: Path
) -> None:
    with live_server(merchant_folder, PATH=str(tmp_path)) as bare:  # nothing is installed on such a machine
        async with live_show(bare, Deal(5)) as show, AsyncExitStack() as ends:
            await show.host.patch(f"/api/staff/shows/{show.show_id}", {"video": {"kind": "own"}})
            people = People(browser, bare, ends)
            desk = await people.host()
            await desk.open(f"/console/shows/{show.show_id}")
            await desk.button("Camera").click()
            await expect(desk.page.get_by_role("alert").get_by_text("it has no ffmpeg")).to_be_visible()
            await desk.photograph("desk-no-ffmpeg")
            host = await camera(people, show)
            await host.button("Send the picture").click()
            await expect(host.page.locator(".camera-line .line-bad")).to_contain_text("ffmpeg")
            await host.photograph("camera-no-ffmpeg")
            viewer = await people.person("Ana")
            await viewer.enter(await share_url(show))
            await viewer.tap("Reserve")
            await expect(viewer.act).to_have_text("Check out")


async def test_a_server_that_is_killed_loses_no_fragment_and_filming_goes_on(
    people: People, filmed: Show, server: LiveServer
) -> None:
    host = await camera(people, filmed)
    await sends(host)
    index = server.data / "video" / filmed.show_id / "index.ndjson"
    await until(lambda: index.exists() and index.read_bytes().count(b"part") >= 4, "parts on disk")
    before = index.read_bytes()
    pid = server.kill("web")
    await server.until_replaced("web", pid)
    await until(lambda: index.read_bytes().count(b'"epoch"') > before.count(b'"epoch"'), "a new epoch")

    assert index.read_bytes().startswith(before)


async def test_a_show_that_is_over_is_watched_again_with_its_cards_and_words(people: People, filmed: Show) -> None:
    """The picture plays, its card and chat stand at their moments, today's price beside them."""
    card_id, _ = await filmed.add_card(Deal(5), title="Velvet Lip for the long evenings of the winter")
    host, viewer = await watched(people, filmed)
    await viewer.say("I love this red")
    await host.page.locator(".camera-next").click()
    await expect(viewer.card).to_contain_text("Velvet Lip")
    await plays_on(viewer, 3.0)
    await filmed.command(do="hide_card", card_id=card_id)
    await plays_on(viewer, 3.0)
    await filmed.command(do="end")
    await viewer.page.get_by_role("link", name="Watch again").click()
    page = viewer.page
    await expect(page.locator(".replay-card")).to_contain_text("No card")
    await page.locator(".replay-chapters").get_by_role("button", name="Velvet Lip").click()
    await expect(page.locator(".replay-card")).to_contain_text("€19.00 in the show")
    await expect(page.locator(".replay-now").first).to_contain_text("today")
    await expect(page.locator(".replay-card")).to_contain_text("Still at the show’s price.")
    await expect(page.locator(".replay-lines")).to_contain_text("I love this red")
    await insist_on(lambda: _has_picture(viewer))
    await viewer.photograph("phone-replay", whole=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The thing's stretch is played by itself: it stops where the card left the picture, not where the picture ends.
    await page.get_by_role("button", name="Show me Velvet Lip").click()
    await insist_on(lambda: page.evaluate("!document.querySelector('.replay-picture video').paused"))
    await insist_on(lambda: page.evaluate("document.querySelector('.replay-picture video').paused"))
    assert not await page.evaluate("document.querySelector('.replay-picture video').ended")
    desk = await people.person("Bea", desk=True)
    await desk.open(f"/replay/{filmed.show_id}")
    await expect(desk.page.get_by_role("heading", name="The evening reds")).to_be_visible()
    await desk.page.locator(".replay-chapters").get_by_role("button", name="Velvet Lip").click()
    await insist_on(lambda: _has_picture(desk))
    await desk.photograph("desk-replay")
    await desk.page.get_by_role("link", name="See it in the shop").first.click()
    await expect(desk.page.get_by_role("heading", name="Velvet Lip").first).to_be_visible()
    await desk.page.get_by_role("button", name="Reserve: By parcel to you").click()
    await expect(desk.page.get_by_role("link", name="Bag: 1 piece")).to_be_visible()


async def _has_picture(viewer: Person) -> bool:
    return bool(await viewer.page.evaluate("document.querySelector('.replay-picture video').videoWidth > 0"))


async def test_a_show_that_is_not_over_leads_to_its_room(people: People, filmed: Show) -> None:
    viewer = await people.person("Ana")
    await viewer.open(f"/replay/{filmed.show_id}")
    await viewer.page.wait_for_url(f"**/watch/{filmed.show_id}")
    await viewer.open("/replay/shw_nothing0000")
    await expect(viewer.page.get_by_text("There is no replay here")).to_be_visible()
