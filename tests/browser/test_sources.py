"""Pictures from elsewhere and from a file, in a real Chromium: what a host does, and what a viewer's page may."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Route, expect

from tests.browser.conftest import PHONE, People, Person, share_url
from tests.browser.test_camera import plays_on, sees
from tests.live_server import LiveServer, Show, live_show
from tests.video.films import film, needs_ffmpeg

pytestmark = [pytest.mark.browser, needs_ffmpeg, pytest.mark.asyncio(loop_scope="session")]

VIDEO_ID = "dQw4w9WgXcQ"
# Stands in for YouTube's page: it tells what it was asked.
PLAYER = """<!doctype html><title>player</title><p id="asked"></p><script>
const asked = document.getElementById("asked");
addEventListener("message", (event) => (asked.textContent += JSON.parse(event.data).func + " "));
</script>"""


@pytest_asyncio.fixture(loop_scope="session")
async def show(server: LiveServer) -> AsyncIterator[Show]:
    async with live_show(server, title="The evening reds") as show:
        yield show


async def has(show: Show, **video: Any) -> None:
    """The show's picture from here on."""
    await show.host.patch(f"/api/staff/shows/{show.show_id}", {"video": video})


async def viewer_of(people: People, show: Show, **device: Any) -> Person:
    viewer = await people.person("Ana", **device)
    await viewer.enter(await share_url(show))
    return viewer


# --- YouTube --------------------------------------------------------------------------------------------------------


async def test_nothing_of_youtube_is_loaded_before_the_viewer_agrees(people: People, show: Show) -> None:
    await has(show, source="youtube", url=f"https://youtu.be/{VIDEO_ID}", delay_ms=4000)
    viewer = await people.person("Ana")
    asked: list[str] = []

    async def player(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(body=PLAYER, content_type="text/html")

    await viewer.context.route("**/*youtube*/**", player)
    await viewer.enter(await share_url(show))
    await expect(viewer.page.get_by_text("This picture comes from YouTube")).to_be_visible()
    await viewer.photograph("phone-youtube-asks")
    assert asked == []

    await viewer.page.get_by_role("button", name="Load the picture").click()
    frame = viewer.page.frame_locator("iframe.stage-frame")
    await expect(frame.locator("#asked")).to_contain_text("mute")
    assert [url.partition("?")[0] for url in asked] == [f"https://www.youtube-nocookie.com/embed/{VIDEO_ID}"]
    await viewer.page.get_by_role("button", name="Tap for sound").click()
    await expect(frame.locator("#asked")).to_contain_text("unMute")
    await viewer.photograph("phone-youtube")
    await viewer.page.reload()
    await expect(viewer.page.locator("iframe.stage-frame")).to_be_visible()  # asked once


# --- HLS on another server ------------------------------------------------------------------------------------------


@dataclass
class Elsewhere:
    """A video server of somebody else's. `/away/…` leads on to another."""

    files: dict[str, bytes]
    away: str = ""
    asked: list[str] = field(default_factory=list)
    origin: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1].decode()
        while (await reader.readline()).strip():
            pass
        self.asked.append(path)
        body = self.files.get(path.rpartition("/")[2], b"")
        head = ["HTTP/1.1 200 OK" if body else "HTTP/1.1 404 No"]
        if path.startswith("/away/"):
            head, body = [f"HTTP/1.1 302 Found\r\nlocation: {self.away}/live/x.m3u8"], b""
        head += ["access-control-allow-origin: *", f"content-length: {len(body)}", "connection: close", "", ""]
        writer.write("\r\n".join(head).encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def elsewhere(files: dict[str, bytes], away: str = "") -> AsyncIterator[Elsewhere]:
    found = Elsewhere(files, away)
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Eight seconds of HLS as another server would have them."""
    folder = tmp_path_factory.mktemp("hls")
    (folder / "film").write_bytes(film("mp4", 8.0))
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", folder / "film", "-c", "copy", "-f", "hls", "-hls_time", "2",
         "-hls_playlist_type", "vod", "-hls_segment_filename", folder / "%d.ts", folder / "x.m3u8"],
        check=True, timeout=60,
    )  # fmt: skip
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "film"}


async def test_a_picture_of_another_server_is_fetched_there_and_leads_nowhere_else(
    people: People, show: Show, stream: dict[str, bytes]
) -> None:
    async with elsewhere(stream) as inside, elsewhere(stream, inside.origin) as outside:
        await has(show, source="hls", url=f"{outside.origin}/live/x.m3u8")
        viewer = await viewer_of(people, show)
        await sees(viewer)
        assert "/live/x.m3u8" in outside.asked
        assert inside.asked == []

        # The same server, but its address leads on to another: the page's policy lets no browser follow.
        await has(show, source="hls", url=f"{outside.origin}/away/x.m3u8")
        led = await viewer_of(people, show)
        await expect(led.page.locator(".stage-words")).to_be_visible()
        while "/away/x.m3u8" not in outside.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert inside.asked == []

        # A server that the page did not know when it was loaded: it says so, and loading it again helps.
        await has(show, source="hls", url=f"{inside.origin}/live/x.m3u8")
        await expect(viewer.page.get_by_role("button", name="The picture comes from elsewhere now")).to_be_visible()
        await viewer.photograph("phone-picture-moved")
        await viewer.page.get_by_role("button", name="The picture comes from elsewhere now").click()
        await sees(viewer)


# --- a film ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute, exported whole."""
    folder = tmp_path_factory.mktemp("evening")
    (folder / "made").write_bytes(film("mp4", 30.0))
    whole = folder / "evening.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", folder / "made", "-c", "copy", whole], check=True, timeout=60)
    return whole


async def test_a_film_goes_up_from_a_phone_and_is_seen_as_if_it_were_live(
    people: People, show: Show, evening: Path, tmp_path: Path
) -> None:
    host = await people.host(viewport=PHONE)
    await host.open(f"/console/shows/{show.show_id}?edit")
    await host.button("Title, date, picture").click()
    await host.page.get_by_text("A film", exact=True).click()
    await expect(host.page.get_by_text("No film yet")).to_be_visible()
    await host.page.get_by_text("It waits for my tap").click()
    letter = tmp_path / "letter.mp4"
    letter.write_text("Dear shop, this is no film. " * 20)
    await host.page.get_by_label("Choose a film").set_input_files(letter)
    await expect(host.page.get_by_role("alert")).to_contain_text("none of MP4, MOV, MKV and WebM")
    await host.photograph("phone-film-refused")
    await host.page.get_by_label("Choose a film").set_input_files(evening)
    await expect(host.page.locator(".film-facts")).to_contain_text("evening.mp4")
    await host.photograph("phone-film-there")
    await host.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(host.page.get_by_text("Saved")).to_be_visible()

    viewer = await viewer_of(people, show)
    desk = await people.host()
    await desk.open(f"/console/shows/{show.show_id}")
    await desk.button("Picture").click()
    await desk.button("Start the film").click()
    await desk.button("Tap again: it starts for everybody").dispatch_event("click")  # it is armed for four seconds
    await sees(viewer)
    await plays_on(viewer, 1.0)
    await expect(desk.page.locator(".film")).to_contain_text("Start it over")
    await desk.photograph("desk-film")
    await viewer.photograph("phone-film-on-air")


# --- choosing ---------------------------------------------------------------------------------------------------------


async def test_a_host_is_told_what_is_wrong_with_an_address_and_what_to_do(people: People, show: Show) -> None:
    host = await people.host()
    await host.open(f"/console/shows/{show.show_id}?edit")
    await host.button("Title, date, picture").click()
    await host.page.get_by_text("An address", exact=True).click()
    await host.page.get_by_label("Address of the picture").fill("https://192.168.1.10/live.m3u8")
    await host.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(host.page.get_by_role("alert")).to_contain_text("private network, where viewers cannot go")
    await host.photograph("desk-address-private")
    await host.page.get_by_text("YouTube", exact=True).click()
    await host.photograph("desk-source-youtube")
    await host.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(host.page.get_by_role("alert")).to_contain_text("Give the address")
    await host.page.get_by_label("Link of the video").fill(VIDEO_ID)
    await host.page.get_by_label("How far behind is the picture").fill("8")
    await host.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(host.page.get_by_text("Saved")).to_be_visible()
    facts = (await show.host.get(f"/api/shows/{show.show_id}"))["show"]["video"]
    assert (facts["kind"], facts["delay_ms"], facts["clock"]) == ("youtube", 8000, "fixed")
