"""What players fetch of one show, in this process: playlists that wait for what comes next, headers, parts.

What arrives: questions of any number of players. What leaves: text and bytes. The recording is read once for all of
them: while somebody waits, one task looks at the disk every few hundredths of a second, everybody gets the same text,
packed once, and the newest parts from memory. So who publishes may be another process, and Redis may be away. It does
not know requests or who may watch.
"""

import asyncio
import gzip
import math
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from livecommerce.clock import Clock
from livecommerce.video.boxes import BadStream
from livecommerce.video.playlist import live_playlist, replay_playlist
from livecommerce.video.recording import Recording, note_watched
from livecommerce.video.sound import header_of_sound, parts_of_sound, track_of_sound
from livecommerce.video.timeline import Timeline

LOOK_SECONDS = 0.04
NOTE_SECONDS = 60.0
# Beyond this nobody asks in good faith: what comes next is never further away (RFC 8216bis, 6.2.5.2).
AHEAD_SEGMENTS_MAX = 2
# A thousand players want the same part within a tenth of a second: it is read once. Some 25 s of a show.
KEPT_BYTES_MAX = 8_000_000
# The public's and the staff's; another one only where a show begins or ends.
VIEWS_MAX = 4
# Texts of replays, 100 KB for an evening: the whole one, and clips that people pass on to each other.
REPLAYS_MAX = 8


class TooFarAhead(Exception):
    """A player asks for what cannot come next."""


class _Wanted(NamedTuple):
    """What players fetch: parts from `first` to `last`, the picture with its sound or the sound alone."""

    first: int
    last: int
    sound: bool


class _Clip(NamedTuple):
    """What is asked of a replay of so many parts, and what of it who asks may see."""

    parts: int
    from_ms: float
    to_ms: float
    seen_from_ms: float
    seen_to_ms: float


class View(NamedTuple):
    """What of a recording somebody may see: of the programme's time from `from_ms` on, a replay until `to_ms`. What is
    live is seen up to its newest part. `over`: nothing more will come."""

    from_ms: float = -math.inf
    to_ms: float = math.inf
    over: bool = False


WHOLE = View()


class Playlist(NamedTuple):
    """One text for everybody, plain and packed."""

    plain: bytes
    packed: bytes


class Screen:
    """One show's. Every answer is as new as the disk. `open` it before anything else, `close` it at the end."""

    def __init__(self, folder: Path, clock: Clock, wait_seconds_max: float) -> None:
        self._recording = Recording(folder)
        self._clock = clock
        self._wait_seconds_max = wait_seconds_max
        self._waiting: dict[asyncio.Future[None], Callable[[Timeline], bool]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._live: dict[View, tuple[tuple[int, int], Playlist]] = {}
        self._replays: OrderedDict[_Clip, asyncio.Future[Playlist]] = OrderedDict()
        self._writing = asyncio.Lock()
        self._kept: OrderedDict[_Wanted, asyncio.Future[bytes | None]] = OrderedDict()
        self._kept_bytes = 0
        self.used_at = clock.monotonic()
        self._folder = folder
        self._noted_at = -math.inf

    @property
    def timeline(self) -> Timeline:
        return self._recording.timeline

    async def open(self) -> None:
        """Take in what was filmed so far: an evening's rows take a tenth of a second, in which others are served."""
        await asyncio.to_thread(self._recording.refresh)

    def close(self) -> None:
        self._recording.close()

    async def live(self, segment: int | None = None, part: int | None = None, view: View = WHOLE) -> Playlist:
        """The live playlist; with `segment` (and `part`) as soon as it has that, else as soon as there is anything for
        this view of what is being filmed; after a while as it is. Raises `TooFarAhead`."""
        self.look()
        if segment is not None:
            if segment > len(self.timeline.segments) + AHEAD_SEGMENTS_MAX:
                raise TooFarAhead
            await self._until(lambda timeline: view.over or timeline.has(segment, part))
        elif self.timeline.parts:
            await self._until(lambda timeline: view.over or _begun(timeline, view))
        timeline = self.timeline
        state = (len(timeline.parts), len(timeline.segments))
        known = self._live.get(view)
        if known is None or known[0] != state:
            if known is None and len(self._live) >= VIEWS_MAX:
                self._live.clear()
            known = self._live[view] = state, _playlist(live_playlist(timeline, view.from_ms, over=view.over))
        return known[1]

    async def replay(self, from_ms: float | None = None, to_ms: float | None = None, view: View = WHOLE) -> Playlist:
        """All of it as it stands, or the stretch between two programme times."""
        self.look()
        begin, end = -math.inf if from_ms is None else from_ms, math.inf if to_ms is None else to_ms
        wanted = _Clip(len(self.timeline.parts), begin, end, view.from_ms, view.to_ms)
        written = self._replays.get(wanted)
        if written is None:
            written = self._replays[wanted] = asyncio.ensure_future(self._write(wanted))
            if len(self._replays) > REPLAYS_MAX:
                self._replays.popitem(last=False)
        self._replays.move_to_end(wanted)
        # Nobody who leaves takes it away from the others.
        return await asyncio.shield(written)

    async def _write(self, wanted: _Clip) -> Playlist:
        """One after the other: whoever asks for a thousand clips leaves threads for what others fetch."""
        try:
            async with self._writing:
                return await asyncio.to_thread(_replay, self.timeline, wanted)
        except BaseException:
            self._replays.pop(wanted, None)  # the next time it may go well
            raise

    async def header(self, epoch: int, *, sound: bool = False) -> bytes | None:
        """With `sound` of the sound alone. None for an epoch that is not there, or has no sound."""
        self.look()
        return await asyncio.to_thread(self._header, epoch, sound)

    async def parts(self, first: int, last: int, *, sound: bool = False, view: View = WHOLE) -> bytes | None:
        """Bytes of these parts, with `sound` of the sound alone; of the one that comes next as soon as it is there.
        None for others, and for what was filmed before the view begins."""
        self.look()
        if first == last == len(self.timeline.parts) and not view.over:
            await self._until(lambda timeline: len(timeline.parts) > first)
        if self.timeline.span(first, last) is None or not self._is_seen(first, view):
            return None
        wanted = _Wanted(first, last, sound)
        reading = self._kept.get(wanted)
        if reading is None:
            reading = asyncio.ensure_future(asyncio.to_thread(self._parts, wanted))
            self._keep(wanted, reading)
        # Nobody who leaves takes it away from the others.
        return await asyncio.shield(reading)

    def _is_seen(self, part: int, view: View) -> bool:
        segments = self.timeline.segments
        first = self.timeline.first_from(view.from_ms)
        return first < len(segments) and part >= segments[first].parts[0].number

    def _header(self, epoch: int, sound: bool) -> bytes | None:
        data = self._recording.header(epoch)
        try:
            return header_of_sound(data) if sound and data is not None else data
        except BadStream:
            return None

    def _parts(self, wanted: _Wanted) -> bytes | None:
        data = self._recording.parts(wanted.first, wanted.last)
        header = self._recording.header(self.timeline.parts[wanted.first].epoch) if wanted.sound else None
        if data is None or header is None:
            return None if wanted.sound else data
        try:
            track = track_of_sound(header)
            return None if track is None else parts_of_sound(data, track)
        except BadStream:
            return None

    def look(self) -> None:
        """Take in what was filmed since."""
        self.used_at = self._clock.monotonic()
        if self.used_at - self._noted_at > NOTE_SECONDS:
            self._noted_at = self.used_at
            note_watched(self._folder, self._clock.now_ms())
        if self._recording.refresh():
            for waiting, enough in list(self._waiting.items()):
                if enough(self.timeline) and not waiting.done():
                    waiting.set_result(None)

    def _keep(self, wanted: _Wanted, reading: "asyncio.Future[bytes | None]") -> None:
        """Until newer ones need the room. A reading that failed is not kept: the disk may be well the next time."""
        size = self._size(wanted)
        self._kept[wanted] = reading
        self._kept_bytes += size
        while self._kept_bytes > KEPT_BYTES_MAX and len(self._kept) > 1:
            oldest, _ = self._kept.popitem(last=False)
            self._kept_bytes -= self._size(oldest)

        def failed(done: "asyncio.Future[bytes | None]") -> None:
            bad = done.cancelled() or done.exception() is not None or done.result() is None
            if bad and self._kept.get(wanted) is done:
                del self._kept[wanted]
                self._kept_bytes -= size

        reading.add_done_callback(failed)

    def _size(self, wanted: _Wanted) -> int:
        found = self.timeline.span(wanted.first, wanted.last)
        return found[2] if found else 0

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


def _begun(timeline: Timeline, view: View) -> bool:
    return timeline.first_from(view.from_ms) < len(timeline.segments)


def _replay(timeline: Timeline, wanted: _Clip) -> Playlist:
    stretch = timeline.between(wanted.seen_from_ms, wanted.seen_to_ms)
    return _playlist(replay_playlist(stretch, wanted.from_ms, wanted.to_ms))


def _playlist(text: str) -> Playlist:
    plain = text.encode()
    return Playlist(plain, gzip.compress(plain, 6))
