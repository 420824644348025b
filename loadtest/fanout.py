"""Fan-out: one card to everybody in the room, again and again, as fast as it is delivered.

The whole path counts: published in Redis, heard by the server, framed, written, and read by the last viewer.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.facts import CardFacts, CardShown, DealFacts, Stamped
from livecommerce.protocol.to_viewer import State
from loadtest.comparator import CHANNEL
from loadtest.lab import DEAL, Lab
from loadtest.machine import cpu_seconds
from loadtest.viewers import Viewers

# Events on their way at once: the server always has the next one waiting, and rarely two, which would let it write both
# in one system call, as no real show does.
WINDOW = 2
_CARD_BYTES_MIN = 250  # smaller frames are head-counts and greetings
_PATIENCE_SECONDS = 120.0

CARD = CardFacts(
    "crd_bench", "deal", "Velvet lip in Rosewood", "Soft, matt, and stays for a day.", "velvet-lip", "/media/v/640",
    (DealFacts(DEAL, "var_rosewood", "Rosewood", "#aa3344", "", 1990, 2900, 1000, 2, 300, 600, "open"),),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FanOut:
    frames: int
    frame_bytes: int
    seconds: float
    server_cpu_seconds: float


def card_payload(at_ms: int) -> bytes:
    """What one viewer gets: the size of it is the same for both servers."""
    return encode(State("0123456789ab", (Stamped(1000, at_ms, CardShown(CARD)),)), MSGPACK)


def measure_ours(lab: Lab, viewers: int, events: int) -> FanOut:
    show_id = lab.live_show(0)
    news, clock = lab.parts.news, lab.parts.clock

    async def publish() -> None:
        await news.publish(show_id, [CardShown(CARD)], clock.now_ms())

    with lab.hub() as process:
        crowd = Viewers(process.port)
        crowd.enter([lab.entry(show_id, viewer) for viewer in lab.viewers(viewers)])
        return _measure(lab, crowd, process.pid, events, publish)


def measure_comparator(lab: Lab, viewers: int, events: int) -> FanOut:
    payload = card_payload(lab.parts.clock.now_ms())
    redis = lab.parts.redis

    async def publish() -> None:
        await redis.publish(CHANNEL, payload)

    with lab.comparator() as process:
        crowd = Viewers(process.port)
        crowd.enter([lab.plain_entry("shw_bench", viewer) for viewer in lab.viewers(viewers)])
        return _measure(lab, crowd, process.pid, events, publish)


Publish = Callable[[], Coroutine[Any, Any, None]]


def _measure(lab: Lab, crowd: Viewers, pid: int, events: int, publish: Publish) -> FanOut:
    try:
        _deliver(lab, crowd, 10, publish)  # warm: everybody has been written to
        cpu_before, started = cpu_seconds(pid), time.monotonic()
        frame_bytes = _deliver(lab, crowd, events, publish)
        seconds = time.monotonic() - started
        return FanOut(events * len(crowd), frame_bytes, seconds, cpu_seconds(pid) - cpu_before)
    finally:
        crowd.close()


def _deliver(lab: Lab, crowd: Viewers, events: int, publish: Publish) -> int:
    """Publish so many events and read them all; the payload's size in bytes."""
    viewers = len(crowd)
    published = got = 0
    calls = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while got < events * viewers:
        while published < events and published * viewers - got < WINDOW * viewers:
            calls.append(lab.begin(publish()))
            published += 1
        lab.turn()
        got += crowd.count(_CARD_BYTES_MIN)
        assert time.monotonic() < deadline, f"{got} of {events * viewers} frames came"
    assert got == events * viewers, "a frame came twice"
    for call in calls:
        lab.run(_wait_for(call))
    return crowd.message_bytes


async def _wait_for(call: "asyncio.Task[None]") -> None:
    await call
