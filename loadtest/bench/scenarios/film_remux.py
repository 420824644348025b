"""What one show's picture costs: the web process and its ffmpeg, from an encoder's bytes to a recording that grows.

A real 720p30 film comes in real time, over the camera page's socket or by RTMP from a real ffmpeg. Nobody watches. What
the web process uses while nothing happens is taken off. Beside it the same bytes, at the same pace, through a bare
ffmpeg that writes plain HLS: no numbers, no parts, no programme clock, no index.
"""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from livecommerce.video.remux import find_ffmpeg
from loadtest.bench.camera import filming
from loadtest.bench.declared import Amount, Bench, Measure, Unit
from loadtest.bench.film import HD, Film, film, made_by_ffmpeg, why_no_film
from loadtest.bench.lab import Lab, LabFailed, end, end_with_parent
from loadtest.bench.sides import Side, Stand
from loadtest.machine import children, cpu_seconds, free_port, pin

KILOBITS = 2_000
_WARM_SECONDS_MAX = 3.0  # ffmpeg looks at the stream before it begins
_IDLE_SECONDS_MAX = 5.0
_START_SECONDS_MAX = 30.0  # until the server has begun to remux
_SHOW, _FFMPEG, _IDLE = "% of a core for a show", "% of a core, of it ffmpeg", "% of a core, server without a show"


def by_camera(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    _refuse_without_ffmpeg()
    picture = film(KILOBITS, HD)
    if side.key == "ffmpeg_hls":
        return lab.runner.run(_bare(lab, picture, amount["seconds"]))
    with side.serve(lab) as stand:
        return lab.runner.run(_by_camera(stand, picture, amount["seconds"]))


async def _by_camera(stand: Stand, picture: Film, seconds: float) -> Mapping[str, float]:
    show_id = stand.new_show(0)
    idle = await _idle(stand, seconds)
    async with filming(stand.port, show_id, picture, lambda: stand.camera_pass(show_id)) as camera:
        sending = asyncio.ensure_future(camera.film(_START_SECONDS_MAX + _warm(seconds) + seconds))
        try:
            return await _used(stand, idle, sending, seconds)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


def by_rtmp(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    _refuse_without_ffmpeg()
    source = lab.folder / "film.flv"
    if not source.exists():
        source.write_bytes(made_by_ffmpeg(KILOBITS, HD, "-c:a", "aac", "-b:a", "96k", "-f", "flv"))
    lab.environ["RTMP_PORT"] = str(free_port())
    with side.serve(lab) as stand:
        return lab.runner.run(_by_rtmp(lab, stand, source, amount["seconds"]))


async def _by_rtmp(lab: Lab, stand: Stand, source: Path, seconds: float) -> Mapping[str, float]:
    show_id = stand.new_show(0)
    key = lab.stagehand.camera(show_id)[1]
    idle = await _idle(stand, seconds)
    async with _encoder(source, f"rtmp://127.0.0.1:{lab.environ['RTMP_PORT']}/live/{key}") as ended:
        return await _used(stand, idle, ended, seconds)


@contextlib.asynccontextmanager
async def _encoder(source: Path, address: str) -> "AsyncIterator[asyncio.Future[None]]":
    """An ffmpeg that sends the film again and again in real time; the future ends with it."""
    path = find_ffmpeg()
    assert path is not None
    process = subprocess.Popen(  # noqa: ASYNC220 - nobody else waits
        [path, "-v", "error", "-re", "-stream_loop", "-1", "-i", str(source), "-c", "copy", "-f", "flv", address],
        stdin=subprocess.DEVNULL,
        preexec_fn=end_with_parent,
    )

    async def wait() -> None:
        while process.poll() is None:  # noqa: ASYNC110 - a process that was started so has no event for it
            await asyncio.sleep(0.2)
        raise LabFailed(f"the encoder ended with {process.returncode}; its last words stand above")

    waiting = asyncio.ensure_future(wait())
    try:
        yield waiting
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        end(process)


async def _idle(stand: Stand, seconds: float) -> float:
    """Seconds of CPU in a second."""
    seconds = min(seconds, _IDLE_SECONDS_MAX)
    await asyncio.sleep(0.5)  # the show was made a moment ago
    before = cpu_seconds(stand.pid)
    await asyncio.sleep(seconds)
    return (cpu_seconds(stand.pid) - before) / seconds


async def _used(stand: Stand, idle: float, sending: "asyncio.Future[None]", seconds: float) -> Mapping[str, float]:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while not children(stand.pid) and time.monotonic() < deadline:
        await _unless_ended(sending, 0.1)
    await _unless_ended(sending, _warm(seconds))
    encoders = children(stand.pid)
    if len(encoders) != 1:
        raise LabFailed(f"one ffmpeg was expected under the server, there are {len(encoders)}")
    began, server, ffmpeg = time.monotonic(), cpu_seconds(stand.pid), cpu_seconds(encoders[0])
    await _unless_ended(sending, seconds)
    took = time.monotonic() - began
    server, ffmpeg = (cpu_seconds(stand.pid) - server) / took - idle, (cpu_seconds(encoders[0]) - ffmpeg) / took
    return {_SHOW: 100 * (server + ffmpeg), _FFMPEG: 100 * ffmpeg, _IDLE: 100 * idle}


def _warm(seconds: float) -> float:
    return min(seconds, _WARM_SECONDS_MAX)


async def _unless_ended(sending: "asyncio.Future[None]", seconds: float) -> None:
    done, _ = await asyncio.wait([sending], timeout=seconds)
    for each in done:
        each.result()


async def _bare(lab: Lab, picture: Film, seconds: float) -> Mapping[str, float]:
    path = find_ffmpeg()
    assert path is not None
    process = subprocess.Popen(  # noqa: ASYNC220 - nobody else waits
        [path, "-v", "error", "-f", "matroska", "-i", "pipe:0", "-c:v", "copy", "-c:a", "aac", "-b:a", "96k",
         "-f", "hls", "-hls_time", "2", str(lab.folder / "bare.m3u8")],
        stdin=subprocess.PIPE,
        preexec_fn=end_with_parent,
    )  # fmt: skip
    pin(process.pid, lab.cores.server)
    assert process.stdin is not None
    try:
        began, warm = time.monotonic(), 0.0
        for chunk in picture.chunks(_warm(seconds) + seconds):
            await asyncio.sleep(began + chunk.end_ms / 1000 - time.monotonic())
            process.stdin.write(chunk.data)
            process.stdin.flush()
            if chunk.end_ms == _warm(seconds) * 1000:
                warm = cpu_seconds(process.pid)
        used = (cpu_seconds(process.pid) - warm) / (time.monotonic() - began - _warm(seconds))
        return {_SHOW: 100 * used, _FFMPEG: 100 * used}
    finally:
        process.stdin.close()
        end(process)


def _refuse_without_ffmpeg() -> None:
    if why := why_no_film():
        raise LabFailed(why)


def _remux(name: str, source: str, sides: tuple[str, ...], measure: Measure) -> Bench:
    return Bench(
        name=name,
        table="One show's picture, nobody watching",
        what=f"720p30 H.264 at {KILOBITS:,} kb/s, {source}",
        sides=sides,
        units=(Unit(_SHOW, 2, "less"), Unit(_FFMPEG, 2, "less"), Unit(_IDLE, 2, "less")),
        measure=measure,
        full={"seconds": 60},
        quick={"seconds": 5},
        apart=True,
    )


FILM_REMUXES = (
    _remux("film-remux", "Opus, camera page", ("ours", "ffmpeg_hls"), by_camera),
    _remux("film-remux-rtmp", "AAC, RTMP", ("ours",), by_rtmp),
)
