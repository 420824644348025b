"""Encoders that call by SRT: on each port that a show has, a child listens, and its caller sends the picture.

What arrives: claims of ports (`video/srt.py`). What leaves: chunks for publishers, and, beside each claim, what is
wrong with its line. Whichever web process of the machine holds a claim's lock looks after its child: one that ends is
started again, after a pause that grows while it keeps ending. It does not know SRT, nor what is in the stream but its
codec.
"""

import asyncio
import contextlib
import functools
import os
from typing import TYPE_CHECKING

import structlog

from livecommerce.errors import R, Refused
from livecommerce.gateway.feed import Feed
from livecommerce.video.mpegts import picture_codec
from livecommerce.video.srt import Listener

if TYPE_CHECKING:
    from livecommerce.app import Parts

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_PAUSE_SECONDS_MIN, _PAUSE_SECONDS_MAX = 0.2, 10.0
# The tables of a transport stream come several times a second.
_HEAD_BYTES_MAX = 500_000


class Callers:
    """The SRT lines of one process."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._ports = parts.studio.srt_ports
        self._lines: dict[int, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look_forever(), name="srt-ports")

    async def aclose(self) -> None:
        """End all lines: callers come back by themselves, to another process."""
        tasks = [task for task in (self._looking, *self._lines.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_forever(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                self.look()
            await self._parts.clock.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Listen on every claimed port on which nobody does."""
        for port, show_id in self._ports.claims().items():
            if port in self._lines:
                continue
            lock = self._ports.lock(port)
            if lock is not None:
                task = self._lines[port] = asyncio.create_task(self._serve(port, show_id, lock), name=f"srt {port}")
                task.add_done_callback(functools.partial(self._forget, port))

    def _forget(self, port: int, task: "asyncio.Task[None]") -> None:
        self._lines.pop(port, None)
        if not task.cancelled() and (error := task.exception()):
            log.error("caller_failed", port=port, error=repr(error))

    async def _serve(self, port: int, show_id: str, lock: int) -> None:
        """Caller after caller, until the show is over."""
        pause = _PAUSE_SECONDS_MIN
        try:
            while True:
                try:
                    had_caller = await self._one_caller(port, show_id)
                except Refused as refused:
                    log.info("caller_stopped", show_id=show_id, why=refused.text)
                    if refused.why in (R.SHOW_OVER, R.NOT_FOUND):
                        self._ports.free(port)
                        return
                    self._ports.tell(port, refused.text)
                    had_caller = False
                pause = _PAUSE_SECONDS_MIN if had_caller else min(_PAUSE_SECONDS_MAX, pause * 2)
                await self._parts.clock.sleep(pause)
        finally:
            os.close(lock)

    async def _one_caller(self, port: int, show_id: str) -> bool:
        """Whether anybody came. Refuses SHOW_OVER, NO_FFMPEG, VIDEO_FORMAT, and as `Feed`."""
        listener = Listener(self._parts.settings.host, port, self._parts.studio.keys.passphrase(show_id))
        feed = Feed(self._parts, show_id, listener.hang_up)
        await feed.refuse_over()
        await listener.start()
        watching = asyncio.create_task(self._hang_up_at_the_end(feed, listener), name=f"srt-end {show_id}")
        head = bytearray()
        try:
            async for chunk in listener.chunks():
                if feed.is_open:
                    await feed.push(chunk)
                    continue
                head += chunk
                mime = _mime(bytes(head))
                if mime is not None:
                    await feed.begin(mime)
                    await feed.push(bytes(head))
                    self._ports.tell(port, "")
                    log.info("caller_began", show_id=show_id, port=port)
            if not head:
                self._ports.tell(port, listener.said)
            return bool(head)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await feed.leave()
            await listener.aclose()

    async def _hang_up_at_the_end(self, feed: Feed, listener: Listener) -> None:
        """A caller, and a child that waits for one, goes with its show."""
        while True:
            await self._parts.clock.sleep(2.0)
            try:
                await feed.refuse_over()
            except Refused as refused:
                if refused.why in (R.SHOW_OVER, R.NOT_FOUND):
                    listener.hang_up()


def _mime(head: bytes) -> str | None:
    """What the publisher is told; None where it is not known yet. Refuses VIDEO_FORMAT."""
    try:
        codec = picture_codec(head)
    except ValueError:
        raise Refused(R.VIDEO_FORMAT, what="what came by SRT is no MPEG transport stream") from None
    if codec is None and len(head) > _HEAD_BYTES_MAX:
        raise Refused(R.VIDEO_FORMAT, what="a stream without a table of what is in it")
    return None if codec is None else f"video/mp2t;codecs={codec or 'h264'}"
