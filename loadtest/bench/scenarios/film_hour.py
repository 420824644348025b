"""An hour of live video: does the programme clock stay, and does anything grow that must not?

In real time: two cameras film two shows over the real socket, one with a true quartz and one that is off as a phone's
may be; each has a few players that watch to the end. Now and then everything that could grow is looked at from outside:
memory and open files of the server, the playlist, what is told of the film, and how far the moment that the playlist
gives for a picture is from the moment the picture was taken.

Pressed: the same hour in a minute or two, on a clock that is turned by hand (`loadtest.bench.pressed`), with a quartz
that is off by more, once to each side. Every second of it is looked at.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from livecommerce.video.boxes import Fragment, Reader
from loadtest.bench.camera import Camera, filming
from loadtest.bench.declared import Amount, Bench, Measure, Unit
from loadtest.bench.film import film, why_no_film
from loadtest.bench.lab import Lab, LabFailed, end_with_parent
from loadtest.bench.player import Line, Player, Told, Watched, told
from loadtest.bench.sides import Side, Stand
from loadtest.machine import children, cpu_seconds, memory

_LOOKS = 12  # every five minutes of an hour; the first is what the last is held against
_BEFORE_END_SECONDS = 6.0  # the looks begin when there is something to see
_PLAYERS = 3  # of each show
_KILOBITS = 500
_QUARTZ_PPM = 100.0
_BAD_QUARTZ_PPM = 200.0
_FIRST_PART_SECONDS_MAX = 20.0
_TRUE, _FAST = "ms off, most: true quartz", f"ms off, most: quartz {_QUARTZ_PPM:g} ppm fast"
_FAST_PRESSED, _SLOW_PRESSED = (f"ms off, most: quartz {_BAD_QUARTZ_PPM:g} ppm {way}" for way in ("fast", "slow"))
_RSS_FIRST, _RSS_LAST = "MiB RSS at a twelfth", "MiB RSS at the end"
_FILES_FIRST, _FILES_LAST = "open files at a twelfth", "open files at the end"
_PLAYLIST, _PARTS, _INDEX = "bytes of the playlist, most", "parts for a second of film", "KiB of index at the end"
_STEPS, _BREAKS = "steps of the programme clock", "epochs that broke"
_CPU = "% of a core, server and ffmpeg"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at everything; `off_ms` by show."""

    rss_kib: int
    files: int
    cpu_seconds: float
    playlist_bytes: int
    parts: int
    told_to_ms: float
    off_ms: tuple[float, float]


class _Show:
    def __init__(self, stand: Stand, show_id: str, camera: Camera) -> None:
        self.camera = camera
        self.path = f"/video/{show_id}/open"
        self.watched = Watched()
        self.players = [Player(stand.port, self.path, self.watched) for _ in range(_PLAYERS)]
        self._port = stand.port

    async def begin(self) -> None:
        await self._until_there()
        for player in self.players:
            await player.open()
            player.go()

    async def _until_there(self) -> None:
        deadline = time.monotonic() + _FIRST_PART_SECONDS_MAX
        line = Line(self._port)
        await line.open()
        try:
            while time.monotonic() < deadline:
                answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

                def tell(status: int, body: bytes, _size: int, told_of: "asyncio.Future[bool]" = answered) -> None:
                    told_of.set_result(status == 200 and b"#EXT-X-PART:" in body)

                line.ask(f"{self.path}/live.m3u8", tell, keep=True)
                if await answered:
                    return
                await asyncio.sleep(0.1)
        finally:
            line.close()
        raise LabFailed(f"nothing of the film was told within {_FIRST_PART_SECONDS_MAX:.0f} s")

    async def look(self) -> tuple[Told, float]:
        """(what is told, by how much the newest part's programme time is off, ms)."""
        line = Line(self._port)  # a new one: minutes have passed since the last look
        await line.open()
        try:
            now = told((await line.fetch(f"{self.path}/live.m3u8")).decode())
            newest = now.parts[-1]
            reader = Reader()
            reader.feed(await line.fetch(f"{self.path}/{newest.epoch}"))
            (fragment,) = reader.feed(await line.fetch(f"{self.path}/{newest.number}.m4s"))
        finally:
            line.close()
        assert isinstance(fragment, Fragment)
        if self.watched.faults:
            raise LabFailed(f"a player: {self.watched.faults[0]}")
        return now, newest.starts_ms - self.camera.filmed_ms(fragment.at_ms)

    def end(self) -> None:
        for player in self.players:
            player.close()


def in_real_time(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    if why := why_no_film():
        raise LabFailed(why)
    with side.serve(lab) as stand:
        looks, breaks = lab.runner.run(_film(stand, amount["seconds"]))
    first, last = looks[0], looks[-1]
    film_seconds = (last.told_to_ms - first.told_to_ms) / 1000
    return {
        _TRUE: max(abs(look.off_ms[0]) for look in looks), _FAST: max(abs(look.off_ms[1]) for look in looks),
        _RSS_FIRST: first.rss_kib / 1024, _RSS_LAST: last.rss_kib / 1024,
        _FILES_FIRST: first.files, _FILES_LAST: last.files,
        _PLAYLIST: max(look.playlist_bytes for look in looks),
        _PARTS: (last.parts - first.parts) / film_seconds,
        _CPU: 100 * (last.cpu_seconds - first.cpu_seconds) / film_seconds,
        _BREAKS: breaks,
    }  # fmt: skip


async def _film(stand: Stand, seconds: float) -> tuple[list[Look], int]:
    """What was seen, and how many epochs broke."""
    ids = [stand.new_show(0), stand.new_show(0)]

    async with (
        filming(stand.port, ids[0], film(_KILOBITS), lambda: stand.camera_pass(ids[0])) as true,
        filming(stand.port, ids[1], film(_KILOBITS), lambda: stand.camera_pass(ids[1]), slow_ppm=-_QUARTZ_PPM) as fast,
    ):
        sending = [asyncio.ensure_future(camera.film(seconds)) for camera in (true, fast)]
        shows = [_Show(stand, show_id, camera) for show_id, camera in zip(ids, (true, fast), strict=True)]
        try:
            for show in shows:
                await show.begin()
            began, looks = time.monotonic(), []
            for number in range(1, _LOOKS + 1):
                at_seconds = (seconds - _BEFORE_END_SECONDS) * number / _LOOKS
                ended, _ = await asyncio.wait(
                    sending, timeout=max(0, began + at_seconds - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
                )
                for each in ended:
                    each.result()
                looks.append(await _look(stand.pid, shows))
            await asyncio.gather(*sending)
        finally:
            for show in shows:
                show.end()
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
        return looks, true.breaks + fast.breaks


async def _look(pid: int, shows: list[_Show]) -> Look:
    (one, one_off_ms), (_, other_off_ms) = [await show.look() for show in shows]
    return Look(
        rss_kib=memory(pid).rss,
        files=len(os.listdir(f"/proc/{pid}/fd")),
        cpu_seconds=sum(map(cpu_seconds, [pid, *children(pid)])),
        playlist_bytes=one.size,
        parts=one.parts[-1].number + 1,
        told_to_ms=one.parts[-1].ends_ms,
        off_ms=(one_off_ms, other_off_ms),
    )


def pressed(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    if why := why_no_film():
        raise LabFailed(why)
    fast, slow = (_pressed(lab, amount["seconds"], ppm) for ppm in (-_BAD_QUARTZ_PPM, _BAD_QUARTZ_PPM))
    return {
        _FAST_PRESSED: fast["off_ms"], _SLOW_PRESSED: slow["off_ms"],
        _STEPS: fast["clock_steps"] + slow["clock_steps"],
        _RSS_FIRST: fast["first_rss"] / 1024, _RSS_LAST: fast["rss"] / 1024,
        _FILES_FIRST: fast["first_files"], _FILES_LAST: fast["files"],
        _PLAYLIST: fast["playlist_bytes"], _PARTS: 1000 * fast["parts"] / fast["filmed_ms"],
        _INDEX: fast["index_bytes"] / 1024,
    }  # fmt: skip


def _pressed(lab: Lab, seconds: int, slow_ppm: float) -> dict[str, float]:
    folder = lab.folder / f"pressed{slow_ppm:+g}"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "loadtest.bench.pressed", str(seconds), str(slow_ppm), str(folder)],
        env=lab.environ | {"PYTHONPATH": str(lab.tree)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        preexec_fn=end_with_parent, check=False,
    )  # fmt: skip
    if done.returncode:
        raise LabFailed("an evening could not be pressed; its last words stand above")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _hour(name: str, what: str, measure: Measure, full: Amount, quick: Amount, *own: Unit) -> Bench:
    return Bench(
        name=name,
        table="An hour of video",
        what=what,
        sides=("ours",),
        units=(
            *own,
            Unit(_RSS_FIRST, 1, "less"), Unit(_RSS_LAST, 1, "less"), Unit(_FILES_FIRST, 0, "less"),
            Unit(_FILES_LAST, 0, "less"), Unit(_PLAYLIST, 0, "less"), Unit(_PARTS, 3, "less"),
        ),
        measure=measure,
        full=full,
        quick=quick,
        apart=True,
    )  # fmt: skip


FILM_HOURS = (
    _hour(
        "film-hour", "real time, {seconds:,} s, two shows, three players each", in_real_time,
        {"seconds": 3_600}, {"seconds": 15},
        Unit(_TRUE, 1, "less"), Unit(_FAST, 1, "less"), Unit(_BREAKS, 0, "less"), Unit(_CPU, 1, "less"),
    ),
    _hour(
        "film-hour-pressed", "pressed, {seconds:,} s, one show", pressed, {"seconds": 3_600}, {"seconds": 240},
        Unit(_FAST_PRESSED, 1, "less"), Unit(_SLOW_PRESSED, 1, "less"), Unit(_STEPS, 0, "less"),
        Unit(_INDEX, 0, "less"),
    ),
)  # fmt: skip
