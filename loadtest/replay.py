"""How fast a long replay opens and seeks: an evening of hours on a server of our own, watched in a real Chromium.

What arrives: how many hours, how often. What leaves: times, printed. The evening is made cheaply and is real all the
same: one short film goes through the server's own remuxer, its fragments are written again and again, each with its own
time, by the recording's own writer; cards and words stand in the show log over the whole of it. What is measured is
what a viewer waits for: from the address to the first picture, and from a tap to the picture of another moment.
"""

import asyncio
import random
import shutil
import sqlite3
import statistics
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from livecommerce.client import Api
from livecommerce.video.boxes import Fragment, Header, Reader, children
from livecommerce.video.recording import open_writer
from livecommerce.video.remux import Source, command, find_ffmpeg
from loadtest.conduct.own_server import OwnServer, own_server

OPEN_MS_MAX, SEEK_MS_MAX = 2000, 1000
CLIP_SECONDS = 20
PART_MS = 500
CARDS, WORDS = 40, 400
WORSE = 99

# Notes when the first frame of the recording could be drawn, on the page's own clock: 0 is when the address was opened.
_NOTES_THE_FIRST_PICTURE = """
document.addEventListener("loadeddata", (event) => {
  if (event.target instanceof HTMLVideoElement) window.firstPictureMs ??= performance.now();
}, true);
"""
_FIRST_PICTURE = "() => window.firstPictureMs ?? null"
# From the wish to the frame of that moment.
_SEEK = """(seconds) => new Promise((done) => {
  const video = document.querySelector("video");
  const from = performance.now();
  video.addEventListener("seeked", () => done(performance.now() - from), { once: true });
  video.currentTime = seconds;
})"""


@click.command()
@click.option("--hours", type=click.FloatRange(0.01, 12), default=2.0, show_default=True, help="How long the show was.")
@click.option("--opens", type=click.IntRange(1, 100), default=5, show_default=True, help="How often it is opened.")
@click.option("--seeks", type=click.IntRange(1, 200), default=10, show_default=True, help="Seeks in each of them.")
@click.option("--kbps", type=click.IntRange(100, 8000), default=1500, show_default=True, help="Of the picture.")
def replay(hours: float, opens: int, seeks: int, kbps: int) -> None:
    """Open a long replay in a real Chromium, seek in it, and say how long both took.

    A replay of two hours is to open in under 2 s and to seek in under 1 s: exit 99 where it does not.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None or find_ffmpeg() is None:
        raise click.ClickException("This needs a Chromium and ffmpeg (Debian: apt-get install chromium ffmpeg).")
    if not asyncio.run(_measured(chromium, hours, opens, seeks, kbps)):
        raise SystemExit(WORSE)


async def _measured(chromium: str, hours: float, opens: int, seeks: int, kbps: int) -> bool:
    async with own_server({}, say=click.echo) as server, Api(server.url) as host:
        await host.post("/api/login", {"email": server.email, "password": server.password})
        show_id = await _evening(server, host, hours)
        folder = server.data / "video" / show_id
        film = await asyncio.to_thread(_film, kbps)
        parts = await asyncio.to_thread(_record, folder, film, await _started_ms(host, show_id), hours)
        size = sum(path.stat().st_size for path in folder.glob("*.mp4"))
        click.echo(f"An evening of {hours:g} h: {parts:,} parts, {size / 1e6:,.0f} MB, {CARDS} cards, {WORDS} words.")
        opened, sought = await _watch(chromium, server.url, show_id, hours, opens, seeks)
    click.echo(_line("opens", opened, OPEN_MS_MAX))
    click.echo(_line("seeks", sought, SEEK_MS_MAX))
    return max(opened) < OPEN_MS_MAX and max(sought) < SEEK_MS_MAX


def _line(what: str, times_ms: list[float], most_ms: int) -> str:
    mark = "✓" if max(times_ms) < most_ms else "✗"
    middle, worst = statistics.median(times_ms), max(times_ms)
    return f"{mark} {len(times_ms):3} {what}: median {middle:5.0f} ms, worst {worst:5.0f} ms (at most {most_ms} ms)"


# --- the evening ----------------------------------------------------------------------------------------------------


async def _evening(server: OwnServer, host: Api, hours: float) -> str:
    """A show that is over, with its cards and words over its whole length."""
    made: dict[str, Any] = await host.post("/api/staff/shows", {"title": "A long evening", "corner": "cloud_class"})
    show_id = str(made["show_id"])
    at = f"/api/staff/shows/{show_id}"
    await host.patch(at, {"video": {"kind": "own"}})
    goods: dict[str, Any] = await host.get("/api/products")
    handles = [each["handle"] for each in goods["products"]]
    cards: list[str] = []
    for number in range(CARDS):
        body = {"kind": "product", "title": f"Step {number + 1}", "product_handle": handles[number % len(handles)]}
        card: dict[str, Any] = await host.post(f"{at}/cards", body)
        cards.append(card["card_id"])
    await _command(host, at, {"do": "go_live"})
    for number in range(WORDS):
        if number % (WORDS // CARDS) == 0:
            await _command(host, at, {"do": "show_card", "card_id": cards[number * CARDS // WORDS]})
        await _command(host, at, {"do": "announce", "text": f"What is said at moment {number}"})
    await _command(host, at, {"do": "end"})
    await asyncio.to_thread(_spread, server.data / "ledger.sqlite3", show_id, hours)
    return show_id


async def _command(host: Api, at: str, what: dict[str, Any]) -> None:
    command_id = f"cmd_{random.randrange(10**12):012d}"
    await host.post(f"{at}/commands", {"command_id": command_id, "command": what})


def _spread(ledger: Path, show_id: str, hours: float) -> None:
    """The evening took minutes to make: its log and its end are stretched to its hours, in their order."""
    with sqlite3.connect(ledger, timeout=30) as connection:
        rows = connection.execute("SELECT id, at_ms FROM show_log WHERE show_id = ? ORDER BY id", (show_id,)).fetchall()
        begins_ms, step_ms = rows[0][1], hours * 3_600_000 / len(rows)
        connection.execute(
            "UPDATE shows SET ended_at_ms = started_at_ms + ? WHERE id = ?", (round(hours * 3_600_000), show_id)
        )
        for place, (log_id, _) in enumerate(rows):
            at_ms = round(begins_ms + place * step_ms)
            connection.execute(
                "UPDATE show_log SET at_ms = ?, body = CASE WHEN kind = 'talk' THEN json_set(body, '$.at_ms', ?)"
                " ELSE body END WHERE id = ?",
                (at_ms, at_ms, log_id),
            )


async def _started_ms(host: Api, show_id: str) -> float:
    return float((await host.get(f"/api/staff/shows/{show_id}"))["show"]["started_at_ms"])


# --- its recording --------------------------------------------------------------------------------------------------


def _film(kbps: int) -> tuple[Header, list[Fragment]]:
    """Some seconds as a camera makes them, through the server's own remuxer."""
    camera = [
        "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=720x1280:rate=30", "-f", "lavfi", "-i",
        "sine=440:sample_rate=48000", "-t", str(CLIP_SECONDS), "-c:v", "libx264", "-preset", "ultrafast",
        "-b:v", f"{kbps}k", "-g", "30", "-keyint_min", "30", "-c:a", "aac", "-f", "flv", "pipe:1",
    ]  # fmt: skip
    made = subprocess.run(camera, check=True, capture_output=True).stdout
    cut = subprocess.run(
        ["ffmpeg", *command(Source("flv"), PART_MS)], input=made, check=True, capture_output=True
    ).stdout
    header, *fragments = Reader().feed(cut)
    assert isinstance(header, Header)
    return header, [each for each in fragments if isinstance(each, Fragment)]


def _record(folder: Path, film: tuple[Header, list[Fragment]], begins_ms: float, hours: float) -> int:
    """The film again and again, each time later, as long as the evening was. Returns how many parts."""
    header, fragments = film
    scales = {track.track_id: track.timescale for track in header.tracks}
    length_ms = fragments[-1].at_ms + fragments[-1].duration_ms
    writer = open_writer(folder)
    parts = 0
    try:
        writer.begin(header, begins_ms)
        for turn in range(int(hours * 3_600_000 / length_ms) + 1):
            for each in fragments:
                data = _later(each.data, turn * length_ms, scales)
                writer.add(Fragment(data, each.at_ms + turn * length_ms, each.duration_ms, each.alone))
                parts += 1
    finally:
        writer.close()
    return parts


def _later(fragment: bytes, by_ms: float, scales: dict[int, int]) -> bytes:
    """The same fragment with its decode times moved."""
    data = bytearray(fragment)
    for place, long, track in _decode_times(fragment):
        form = ">Q" if long else ">I"
        (at,) = struct.unpack_from(form, data, place)
        struct.pack_into(form, data, place, at + round(by_ms * scales[track] / 1000))
    return bytes(data)


def _decode_times(data: bytes) -> Iterator[tuple[int, bool, int]]:
    """(where it stands, whether it has 64 bits, of which track) of each run's decode time."""
    for kind, start, end in children(data, 0, len(data)):
        if kind != b"moof":
            continue
        for run, at, stop in children(data, start, end):
            boxes = {name: place for name, place, _ in children(data, at, stop)} if run == b"traf" else {}
            if b"tfdt" in boxes:
                (track,) = struct.unpack_from(">I", data, boxes[b"tfhd"] + 4)
                yield boxes[b"tfdt"] + 4, data[boxes[b"tfdt"]] == 1, track


# --- a viewer -------------------------------------------------------------------------------------------------------


async def _watch(
    chromium: str, url: str, show_id: str, hours: float, opens: int, seeks: int
) -> tuple[list[float], list[float]]:
    from playwright.async_api import async_playwright  # only who measures this needs it

    chance = random.Random(1)
    opened: list[float] = []
    sought: list[float] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        for _ in range(opens):
            context = await browser.new_context(
                viewport={"width": 390, "height": 844}
            )  # nothing kept from the time before
            page = await context.new_page()
            await page.add_init_script(_NOTES_THE_FIRST_PICTURE)
            await page.goto(f"{url}/replay/{show_id}")
            while (first := await page.evaluate(_FIRST_PICTURE)) is None:  # noqa: ASYNC110 - a page is asked
                await asyncio.sleep(0.05)
            opened.append(float(first))
            for _ in range(seeks):
                sought.append(float(await page.evaluate(_SEEK, chance.uniform(0, hours * 3600 - 10))))
            await context.close()
        await browser.close()
    return opened, sought
