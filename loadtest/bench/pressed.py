"""An evening of video in a minute: the publisher, its real ffmpeg, the recording and the screen, on a clock that is
turned by hand.

    python -m loadtest.bench.pressed SECONDS SLOW_PPM FOLDER

What arrives: how long a film, and by how much the camera's quartz is too slow. What leaves: what was seen at a twelfth
of it and at its end, and the worst of every second between, as one JSON line. A chunk is fed when the clock shows the
moment it was made, and the clock goes on when ffmpeg has given out what that chunk completes: so for the programme
clock the hour is an hour. Sockets and requests are left out: they have no memory of a show. It sees no server.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from livecommerce.clock import TestClock
from livecommerce.ids import new_id
from livecommerce.settings import read_settings, with_secrets
from livecommerce.video.boxes import Fragment, Reader
from livecommerce.video.publisher import Publisher
from livecommerce.video.remux import PART_ROOM
from livecommerce.video.screen import Screen
from livecommerce.video.studio import Studio
from loadtest.bench.film import MIME, film
from loadtest.bench.player import ToldPart, told
from loadtest.machine import memory

SHOW = new_id("shw")
_KILOBITS = 300
_PATIENCE_SECONDS = 10.0
_BEHIND_MS = 150  # ffmpeg waits for the picture after, and for the sound beside it
_ROUNDED_MS = 40  # a picture
_LOOKS = 12
_NEAR_END_MS = 1_000


@dataclass(slots=True)
class _Worst:
    """Over all seconds of the film. `off_ms`: by how much the programme time of a part was off."""

    off_ms: float = 0.0
    bytes: int = 0
    segments: int = 0
    told_ms: float = 0.0


class Evening:
    """One show that is filmed and watched, in this process."""

    def __init__(self, folder: Path, slow_ppm: float) -> None:
        self._picture = film(_KILOBITS)
        self._clock = TestClock(round(time.time() * 1000))
        settings = with_secrets(read_settings({"LIVECOMMERCE_DATA": str(folder)}))
        self._studio = Studio(settings, self._clock)
        self._index = folder / "video" / SHOW / "index.ndjson"
        self._pace = 1 + slow_ppm / 1e6
        self._cuts = self._picture.parts_end_ms(settings.video_part_ms * PART_ROOM)
        self._began_ms = 0.0
        self._worst = _Worst()

    async def run(self, seconds: float) -> dict[str, float]:
        publisher = await self._studio.publisher(SHOW)
        self._began_ms = self._clock.now_ms()
        began = time.monotonic()
        await publisher.begin("epoch-pressed", MIME, self._began_ms)
        first: dict[str, float] = {}
        look_at_ms = seconds * 1000 / _LOOKS
        screen: Screen | None = None
        for number, chunk in enumerate(self._picture.chunks(seconds)):
            made_ms = self._began_ms + chunk.end_ms * self._pace
            await self._clock.advance((made_ms - self._clock.now_ms()) / 1000)
            await publisher.push(number, chunk.data, made_ms)
            await self._until(publisher, self._due_ms(chunk.end_ms))
            if chunk.end_ms % 1000 == 0 and publisher.health.recorded_ms:
                screen = screen or await self._studio.screen(SHOW)
                await self._watch(screen)
            if not first and chunk.end_ms >= look_at_ms:
                assert screen is not None
                first = self._look(screen)
            if chunk.end_ms == seconds * 1000 - _NEAR_END_MS:
                assert screen is not None
                last = self._look(screen)
        await self._studio.aclose()
        worst = self._worst
        return {f"first_{name}": value for name, value in first.items()} | last | {
            "off_ms": worst.off_ms, "playlist_bytes": worst.bytes, "segments": worst.segments,
            "told_ms": worst.told_ms, "seconds": time.monotonic() - began,
            "clock_steps": sum(b'"clock"' in row for row in self._index.read_bytes().splitlines()),
        }  # fmt: skip

    def _due_ms(self, film_ms: float) -> float:
        """What must have come out, once so much of the film has gone in."""
        rounds, inside_ms = divmod(film_ms - _BEHIND_MS, self._picture.loop_ms)
        cuts = [cut for cut in self._cuts if cut <= inside_ms]
        return rounds * self._picture.loop_ms + (cuts[-1] if cuts else 0.0)

    async def _until(self, publisher: Publisher, wanted_ms: float) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (now_ms := publisher.health.recorded_ms) < wanted_ms - _ROUNDED_MS:
            await asyncio.sleep(0.0002)
            if time.monotonic() > deadline:
                raise TimeoutError(f"ffmpeg gave out {now_ms:.0f} ms of {wanted_ms:.0f} ms")

    async def _watch(self, screen: Screen) -> None:
        """As a player does once a second: the playlist, its newest part; and what it says is held against the truth."""
        playlist = await screen.live()
        now = told(playlist.plain.decode())
        newest = now.parts[-1]
        at_ms = await self._place_ms(screen, newest)
        worst = self._worst
        worst.off_ms = max(worst.off_ms, abs(newest.starts_ms - self._began_ms - at_ms * self._pace))
        worst.bytes, worst.segments = max(worst.bytes, len(playlist.plain)), max(worst.segments, now.segments)
        worst.told_ms = max(worst.told_ms, now.parts[-1].ends_ms - now.begins_ms)

    @staticmethod
    async def _place_ms(screen: Screen, part: ToldPart) -> float:
        """Where in the film a part begins, by its own word."""
        reader = Reader()
        reader.feed(await screen.header(int(part.epoch.partition(".")[0])) or b"")
        (found,) = reader.feed(await screen.parts(part.number, part.number) or b"")
        assert isinstance(found, Fragment)
        return found.at_ms

    def _look(self, screen: Screen) -> dict[str, float]:
        return {
            "rss": memory(os.getpid()).rss, "files": len(os.listdir("/proc/self/fd")),
            "parts": len(screen.timeline.parts), "filmed_ms": screen.timeline.duration_ms,
            "index_bytes": self._index.stat().st_size,
        }  # fmt: skip


async def _main(seconds: float, slow_ppm: float, folder: Path) -> None:
    print(json.dumps(await Evening(folder, slow_ppm).run(seconds)), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])))
