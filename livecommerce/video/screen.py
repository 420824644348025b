"""What players fetch of one show, in this process: playlists that wait for what comes next, headers, parts.

What arrives: questions of any number of players. What leaves: text and bytes. The recording is read once for all of
them: while somebody waits, one task looks at the disk every few hundredths of a second, and everybody gets the same
text. So who publishes may be another process, and Redis may be away. It does not know requests or who may watch.
"""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

from livecommerce.clock import Clock
from livecommerce.video.playlist import live_playlist, replay_playlist
from livecommerce.video.recording import Recording
from livecommerce.video.timeline import Timeline

LOOK_SECONDS = 0.04
# Beyond this nobody asks in good faith: what comes next is never further away (RFC 8216bis, 6.2.5.2).
AHEAD_SEGMENTS_MAX = 2


class TooFarAhead(Exception):
    """A player asks for what cannot come next."""


class Screen:
    """One show's. Every answer is as new as the disk."""

    def __init__(self, folder: Path, clock: Clock, wait_seconds_max: float) -> None:
        self._recording = Recording(folder)
        self._clock = clock
        self._wait_seconds_max = wait_seconds_max
        self._waiting: dict[asyncio.Future[None], Callable[[Timeline], bool]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._live: tuple[tuple[int, int, bool], bytes] | None = None
        self.used_at = clock.monotonic()

    @property
    def timeline(self) -> Timeline:
        return self._recording.timeline

    async def live(self, segment: int | None = None, part: int | None = None) -> bytes:
        """The live playlist; with `segment` (and `part`) as soon as it has that, or after a while as it is.
        Raises `TooFarAhead`."""
        self.look()
        if segment is not None:
            if segment > len(self.timeline.segments) + AHEAD_SEGMENTS_MAX:
                raise TooFarAhead
            await self._until(lambda timeline: timeline.ended or timeline.has(segment, part))
        timeline = self.timeline
        state = (len(timeline.parts), len(timeline.segments), timeline.ended)
        if self._live is None or self._live[0] != state:
            self._live = state, live_playlist(timeline).encode()
        return self._live[1]

    async def replay(self, from_ms: float | None = None, to_ms: float | None = None) -> bytes:
        """All of it as it stands, or the stretch between two programme times."""
        self.look()
        begin, end = -math.inf if from_ms is None else from_ms, math.inf if to_ms is None else to_ms
        return replay_playlist(self.timeline, begin, end).encode()

    async def header(self, epoch: int) -> bytes | None:
        self.look()
        return await asyncio.to_thread(self._recording.header, epoch)

    async def parts(self, first: int, last: int) -> bytes | None:
        """Bytes of these parts; of the one that comes next as soon as it is there. None for others."""
        self.look()
        if first == last == len(self.timeline.parts) and not self.timeline.ended:
            await self._until(lambda timeline: timeline.ended or len(timeline.parts) > first)
        return await asyncio.to_thread(self._recording.parts, first, last)

    def look(self) -> None:
        """Take in what was filmed since."""
        self.used_at = self._clock.monotonic()
        if self._recording.refresh():
            for waiting, enough in list(self._waiting.items()):
                if enough(self.timeline) and not waiting.done():
                    waiting.set_result(None)

    async def _until(self, enough: Callable[[Timeline], bool]) -> None:
        if enough(self.timeline):
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = enough
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_while_waited(), name="screen")
        try:
            async with asyncio.timeout(self._wait_seconds_max):
                await waiting
        except TimeoutError:
            pass  # as it is: the player asks again
        finally:
            del self._waiting[waiting]

    async def _look_while_waited(self) -> None:
        while self._waiting:
            await self._clock.sleep(LOOK_SECONDS)
            self.look()
