"""One show's encoder and what becomes of what it sends, whoever's line it comes over.

What arrives: chunks with their numbers, in order, from one line at a time. What leaves: a recording that grows, and
`Health` for the host. It does not know sockets: the line calls `begin`, `push`, `finish` and `lost`.

    idle ──begin──▶ sending ──lost──▶ cut ──begin, same epoch──▶ sending
      ▲               │ finish, or begin with another epoch        │ nobody came back in time
      └───────────────┴────────────────────────────────────────────┘
    over: closed for good

Every break begins a new epoch with a new ffmpeg: another camera, a turned phone, another bitrate. A line that is lost
is none, if the encoder comes back within `keep_seconds` and goes on with the chunk that is missing. An ffmpeg that
takes bytes and gives no picture for `stall_seconds` is killed, and the encoder is told to begin anew: only it can,
since a container is not read from its middle.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import PictureAway
from livecommerce.video.boxes import Header
from livecommerce.video.programme_clock import ProgrammeClock
from livecommerce.video.recording import SomebodyElse, Used, Writer, open_writer, used_by
from livecommerce.video.remux import NoFfmpeg, Remuxer, RemuxFailed, Source, source_of

log = structlog.get_logger(__name__)

CHUNK_BYTES_MAX = 1 << 20
# No encoder of a show sends ten times what a phone's camera makes; a burst after a cut may.
_BYTES_PER_SECOND_MAX = 4_000_000
_BURST_BYTES = 24_000_000
# A chunk that was kept over a cut is old; one from the future comes from a clock that is not ours.
_MADE_BEFORE_MS_MAX = 120_000
_MADE_AFTER_MS_MAX = 1_000
_LOOK_SECONDS = 0.5
# Before the first picture ffmpeg reads what it needs to know the stream: so many times the patience of later.
_PATIENCE_AT_FIRST = 3

State = Literal["idle", "sending", "cut", "over"]
MOVES: dict[State, tuple[State, ...]] = {
    "idle": ("sending", "over"),
    "sending": ("idle", "cut", "sending", "over"),
    "cut": ("sending", "idle", "over"),
    "over": (),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a show's video may use."""

    part_ms: int = 500
    keep_seconds: float = 10.0
    stall_seconds: float = 3.0
    hours_max: float = 12.0
    show_bytes_max: int = 20 << 30
    disk_free_bytes_min: int = 1 << 30
    transcodes_max: int = 2


@dataclass(slots=True)
class Picture:
    """How many pieces of a show's picture came in this process, and why none comes now, "" where nobody knows. It
    outlives the publishers of its show."""

    pieces: int = 0
    away: PictureAway = ""
    said: str = ""

    def came(self, late: bool) -> None:
        """A piece of it; `late`: of what was sent before the line broke, which says nothing of why none follows."""
        self.pieces += 1
        if not late:
            self.away, self.said = "", ""


class Health(msgspec.Struct, frozen=True):
    """How the stream does, for whoever hosts. `said`: ffmpeg's last words, where something is wrong."""

    state: State
    epoch: int
    kbps: int  # of the last seconds
    recorded_ms: int
    width: int = 0
    height: int = 0
    transcoded: bool = False
    said: tuple[str, ...] = ()
    restarts: int = 0  # how often an ffmpeg got stuck and was replaced


class Transcodes:
    """How many pictures this process makes anew at once: each takes a third of a core or more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0

    @property
    def free(self) -> int:
        return self._most - self._running

    def take(self) -> None:
        """Refuses VIDEO_TRANSCODES."""
        if self._running >= self._most:
            raise Refused(R.VIDEO_TRANSCODES, most=self._most)
        self._running += 1

    def give_back(self) -> None:
        self._running -= 1


@dataclass(slots=True)
class _Epoch:
    key: str
    source: Source
    remuxer: Remuxer
    clock: ProgrammeClock
    pump: "asyncio.Task[None] | None" = None
    next_chunk: int = 0
    guard: "asyncio.Task[None] | None" = None
    fed_at: float = 0.0
    feeding: bool = False  # a chunk waits for ffmpeg to take it
    made_at: float = 0.0
    header: Header | None = None
    made_ms: float | None = None  # when the newest chunk was made, by a camera that says so
    begun: bool = False  # it has its row and its file
    broke: Refused | None = None


class Publisher:
    """One show's. `open_publisher` makes it; all methods are called from one event loop."""

    def __init__(
        self, show_id: str, writer: Writer, limits: Limits, transcodes: Transcodes, clock: Clock, folder: Path,
        on_change: Callable[[], None], used: Used, picture: Picture,
    ) -> None:  # fmt: skip
        self.show_id = show_id
        self.picture = picture
        self._used = used
        self._restarts = 0
        self.state: State = "idle"
        self._line: Callable[[], None] | None = None  # ends the connection that speaks for the encoder
        self._writer = writer
        self._limits = limits
        self._transcodes = transcodes
        self._clock = clock
        self._folder = folder
        self._on_change = on_change
        self._epoch: _Epoch | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()  # one epoch ends before the next begins
        self._credit = float(_BURST_BYTES)
        self._credit_at = clock.monotonic()
        self._recent: list[tuple[float, int]] = []

    def _move(self, state: State) -> None:
        assert state in MOVES[self.state], f"a publisher does not go from {self.state} to {state}"
        changed = self.state != state
        self.state = state
        if changed:
            self._on_change()

    @property
    def health(self) -> Health:
        now = self._clock.monotonic()
        self._recent = [row for row in self._recent if row[0] > now - 5]
        bits = 8 * sum(size for _, size in self._recent)
        epoch = self._epoch
        picture = epoch.header.picture if epoch and epoch.header else None
        return Health(
            self.state,
            self._writer.epoch,
            round(bits / 5 / 1000),
            round(self._used.recorded_ms),
            picture.width if picture else 0,
            picture.height if picture else 0,
            bool(epoch and epoch.source.transcode),
            epoch.remuxer.said[-3:] if epoch else (),
            self._restarts,
        )

    # --- the line's side --------------------------------------------------------------------------------------------

    @property
    def has_line(self) -> bool:
        """Whether a connection speaks for the encoder."""
        return self._line is not None

    def take_line(self, end: Callable[[], None], key: str = "") -> None:
        """From here on the caller's connection speaks for the encoder; `end` is called where another takes its place.

        Whoever names the epoch that is running is its camera, come back before we noticed that its old line is dead (a
        phone that changed networks): the old one ends. Refuses VIDEO_TAKEN to everybody else.
        """
        before = self._line
        if before is not None:
            if self._epoch is None or not key or self._epoch.key != key:
                raise Refused(R.VIDEO_TAKEN)
            before()
        self._line = end

    def leave_line(self, end: Callable[[], None]) -> bool:
        """The connection has gone; False where another speaks for the encoder by now."""
        if self._line != end:
            return False
        self._line = None
        return True

    async def begin(self, key: str, mime: str, told_t0_ms: float | None) -> int:
        """An encoder begins an epoch, or comes back to it with the same `key`. Returns the chunk that is missing.

        Refuses VIDEO_FORMAT, VIDEO_TRANSCODES, NO_FFMPEG, VIDEO_QUOTA; where it does, what ran before has ended.
        UNAVAILABLE once it is over: the show's next publisher is another.
        """
        self._stay()
        async with self._changing:
            if self.state == "over":
                raise Refused(R.UNAVAILABLE, after_ms=1000)
            epoch = self._epoch
            if epoch is not None and epoch.key == key and epoch.broke is None:
                self._move("sending")
                return epoch.next_chunk
            await self._finish()
            source = source_of(mime)
            if source is None:
                raise Refused(R.VIDEO_FORMAT, what=mime[:80])
            self._check_quota()
            self._epoch = await self._start(key, source, told_t0_ms)
            self._move("sending")
            return 0

    async def push(self, number: int, data: bytes, made_ms: float | None = None) -> int:
        """One chunk of the epoch, made at `made_ms` of the server's clock by the camera's word. Returns the chunk that
        is missing: one that came before changes nothing.

        Waits while ffmpeg is behind. Refuses MALFORMED for a gap, VIDEO_BROKEN where the stream can go on no more,
        VIDEO_QUOTA, TOO_MANY for more bytes than any camera makes.
        """
        epoch = self._epoch
        if epoch is None or self.state != "sending":
            raise Refused(R.MALFORMED, expected="an epoch that has begun")
        if epoch.broke is not None:
            raise epoch.broke
        if number > epoch.next_chunk:
            raise Refused(R.MALFORMED, expected=f"chunk {epoch.next_chunk}")
        if number < epoch.next_chunk:
            return epoch.next_chunk
        self._spend(len(data))
        epoch.next_chunk += 1
        now_ms = self._clock.now_ms()
        believed = made_ms is not None and now_ms - _MADE_BEFORE_MS_MAX < made_ms < now_ms + _MADE_AFTER_MS_MAX
        epoch.made_ms = made_ms if believed else None
        now = self._clock.monotonic()
        if now - epoch.fed_at > self._limits.stall_seconds:
            epoch.made_at = now  # nothing came for a while, so nothing could come out
        epoch.fed_at, epoch.feeding = now, True
        try:
            await epoch.remuxer.feed(data)
        except RemuxFailed as failed:
            raise self._broke(epoch, failed.lines) from None
        finally:
            epoch.feeding = False
        self._recent.append((now, len(data)))
        return epoch.next_chunk

    async def finish(self, why: PictureAway = "stopped") -> None:
        """The encoder has ended this epoch: what is inside comes out. Without one, nothing happens."""
        self._stay()
        async with self._changing:
            epoch = self._epoch
            await self._finish()
            if epoch is not None and epoch.broke is None:
                self.picture.away = why

    async def _finish(self) -> None:
        epoch, self._epoch = self._epoch, None
        if epoch is None:
            return
        try:
            await epoch.remuxer.aclose()
            if epoch.pump is not None and epoch.guard is not None:
                epoch.guard.cancel()
                await asyncio.gather(epoch.pump, epoch.guard, return_exceptions=True)
        finally:
            if epoch.source.transcode:
                self._transcodes.give_back()
            if self.state != "over":
                self._move("idle")

    def lost(self) -> None:
        """The line broke. The encoder has `keep_seconds` to come back."""
        if self.state != "sending":
            return
        self._move("cut")
        self.picture.away = "line"
        self._leaving = asyncio.create_task(self._leave(), name=f"video-cut {self.show_id}")

    async def aclose(self) -> None:
        """End for good and let the show go."""
        if self.state == "over":
            return
        await self.finish("")
        self._move("over")
        await asyncio.to_thread(self._writer.close)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _stay(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    async def _leave(self) -> None:
        await self._clock.sleep(self._limits.keep_seconds)
        self._leaving = None  # from here on it is ending, and is not to be cancelled in the middle of it
        await self.finish("line")

    async def _start(self, key: str, source: Source, told_t0_ms: float | None) -> _Epoch:
        if source.transcode:
            self._transcodes.take()
        try:
            remuxer = Remuxer(source, self._limits.part_ms)
            try:
                await remuxer.start()
            except NoFfmpeg:
                raise Refused(R.NO_FFMPEG) from None
            now = self._clock.monotonic()
            epoch = _Epoch(key, source, remuxer, ProgrammeClock(told_t0_ms), fed_at=now, made_at=now)
            epoch.pump = asyncio.create_task(self._pump(epoch), name=f"video {self.show_id}")
            epoch.guard = asyncio.create_task(self._guard(epoch), name=f"video-guard {self.show_id}")
            return epoch
        except BaseException:
            if source.transcode:
                self._transcodes.give_back()
            raise

    async def _pump(self, epoch: _Epoch) -> None:
        """ffmpeg's fragments to the disk, one after the other."""
        try:
            async for found in epoch.remuxer.fragments():
                if isinstance(found, Header):
                    epoch.header = found
                    continue
                epoch.made_at = self._clock.monotonic()
                made, end_ms = epoch.made_ms is not None, found.at_ms + found.duration_ms
                moved = epoch.clock.there(end_ms, epoch.made_ms or self._clock.now_ms(), made=made)
                if not epoch.begun:
                    assert epoch.header is not None
                    await asyncio.to_thread(self._writer.begin, epoch.header, epoch.clock.t0_ms)
                    epoch.begun = True
                elif moved:
                    log.info("programme_clock_moved", show_id=self.show_id, t0_ms=epoch.clock.t0_ms)
                    await asyncio.to_thread(self._writer.step, epoch.clock.t0_ms)
                await asyncio.to_thread(self._writer.add, found)
                self._used.recorded_ms += found.duration_ms
                self._used.bytes += len(found.data)
                self.picture.came(late=self.state == "cut")
        except RemuxFailed as failed:
            self._broke(epoch, failed.lines)
        except OSError as error:
            log.error("recording_not_written", show_id=self.show_id, error=str(error))
            self._stop(epoch, f"the recording cannot be written ({error.strerror})")

    def _broke(self, epoch: _Epoch, lines: tuple[str, ...]) -> Refused:
        if epoch.broke is None:
            epoch.broke = Refused(R.VIDEO_BROKEN, said=lines[-1] if lines else "no word from ffmpeg")
            self.picture.away, self.picture.said = "ffmpeg", " / ".join(lines[-3:])
            log.warning("video_broken", show_id=self.show_id, said=lines)
        return epoch.broke

    def _stop(self, epoch: _Epoch, why: str) -> None:
        """No more is filmed, and another epoch would fare no better."""
        epoch.broke = Refused(R.VIDEO_QUOTA, why=why)
        self.picture.away, self.picture.said = "disk", why
        with contextlib.suppress(Exception):
            epoch.remuxer.kill()

    async def _guard(self, epoch: _Epoch) -> None:
        """Looks after one ffmpeg beside whoever feeds it, who may wait for a stuck one for ever."""
        while epoch.broke is None:
            await self._clock.sleep(_LOOK_SECONDS)
            if epoch.broke is None:
                self._look_at(epoch, self._clock.monotonic())

    def _look_at(self, epoch: _Epoch, now: float) -> None:
        patience = self._limits.stall_seconds * (1 if epoch.begun else _PATIENCE_AT_FIRST)
        # Only as long as bytes came: after the last of them a sound ffmpeg is silent too.
        silent_seconds = (now if epoch.feeding else epoch.fed_at) - epoch.made_at
        if silent_seconds > patience:
            # Bytes go in and nothing comes out: ffmpeg is stuck, or this is no video. A new epoch heals the first.
            self._restarts += 1
            log.warning("ffmpeg_stuck", show_id=self.show_id, silent_seconds=round(silent_seconds, 1))
            words = f"nothing came out of ffmpeg for {silent_seconds:.0f} s, it is replaced by a new one"
            self._broke(epoch, (*epoch.remuxer.said, words))
            epoch.remuxer.kill()
        elif (why := self._over_quota()) is not None:
            log.warning("video_over_quota", show_id=self.show_id, why=why)
            self._stop(epoch, why)

    def _spend(self, size: int) -> None:
        now = self._clock.monotonic()
        self._credit = min(_BURST_BYTES, self._credit + (now - self._credit_at) * _BYTES_PER_SECOND_MAX)
        self._credit_at = now
        if size > CHUNK_BYTES_MAX or size > self._credit:
            raise Refused(R.TOO_MANY, after_ms=1000)
        self._credit -= size

    def _check_quota(self) -> None:
        why = self._over_quota()
        if why is not None:
            self.picture.away, self.picture.said = "disk", why
            raise Refused(R.VIDEO_QUOTA, why=why)

    def _over_quota(self) -> str | None:
        """Why no more may be filmed, in words; None where more may."""
        limits = self._limits
        if self._used.recorded_ms > limits.hours_max * 3_600_000:
            return f"a show may film {limits.hours_max:g} hours (VIDEO_HOURS)"
        if self._used.bytes > limits.show_bytes_max:
            return f"the recording of a show may take {limits.show_bytes_max / (1 << 30):g} GiB (VIDEO_SHOW_GIB)"
        with contextlib.suppress(OSError):  # a disk that cannot be asked: what cannot be written is told by the writer
            if shutil.disk_usage(self._folder).free < limits.disk_free_bytes_min:
                return "the disk is nearly full; remove something, or older recordings"
        return None


async def open_publisher(
    show_id: str, folder: Path, limits: Limits, transcodes: Transcodes, clock: Clock, on_change: Callable[[], None],
    picture: Picture | None = None,
) -> Publisher:  # fmt: skip
    """The one publisher of a show. Refuses VIDEO_TAKEN where another process has one."""
    try:
        writer = await asyncio.to_thread(open_writer, folder)
    except SomebodyElse:
        raise Refused(R.VIDEO_TAKEN) from None
    used = await asyncio.to_thread(used_by, folder)
    return Publisher(show_id, writer, limits, transcodes, clock, folder, on_change, used, picture or Picture())
