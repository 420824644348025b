"""Holds the generators: one conductor and n of them, on this host or on others.

What arrives: orders for the crowd as a whole, reports of the generators. What leaves: to each generator its part of an
order, one row for each second of the run, and the records in a file per generator. The run's clock begins here.
It knows no scenario, no show and nothing of the server.
"""

import asyncio
import contextlib
import math
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

import structlog

import loadtest
from loadtest.generate.link import Link, LinkClosed, Links, listen
from loadtest.machine import boot_id
from loadtest.measure.health import DESCRIPTORS_SPARE
from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Tally
from loadtest.orders import (
    AnyOrder,
    AnyReport,
    Done,
    Failed,
    Finish,
    Prepare,
    Prepared,
    Ready,
    Recorded,
    Sampled,
)
from loadtest.result import GeneratorHealth, SampleRow

log = structlog.get_logger(__name__)

T = TypeVar("T")

START_SECONDS = 30.0
JOIN_SECONDS = 600.0
_LOOK_SECONDS = 0.2
PREPARE_SECONDS = 60.0  # the compiled receiver is built on first use
END_SECONDS = 5.0
# A generator tells something every second. One that says nothing for so long is frozen or cut off without a word, and
# what its viewers do meanwhile nobody knows.
SILENCE_SECONDS_MAX = 15.0
# Where our own loop stood still for so long, what they said meanwhile is still to be read.
_HITCH_SECONDS = 5.0
_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class BrokenOff(Exception):
    """The run cannot go on; the text says why, for a person."""


class NotReady(BrokenOff):
    """A generator was not ready with an order in its time."""


@dataclass(slots=True)
class Member:
    """One generator, as the conductor knows it."""

    number: int
    link: Link
    records: BinaryIO
    records_path: Path
    receiver: str = ""
    prepared: asyncio.Event = field(default_factory=asyncio.Event)
    ready: dict[int, asyncio.Event] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # its last word came, or its line is gone
    is_done: bool = False
    seconds: list[tuple[int, float, str]] = field(default_factory=list)  # until_us, share of a core, loop_lag encoded
    heard_at: float = field(default_factory=time.monotonic)
    sampled_until_us: int = 0
    cpu_seconds: float = 0.0
    late_sends: int = 0
    frames: int = 0
    descriptors_used: int = 0

    @property
    def name(self) -> str:
        return f"generator {self.number + 1} ({self.link.name})"

    @property
    def viewers_max(self) -> int:
        """How many its descriptors allow."""
        return max(0, self.link.hello.descriptors_max - DESCRIPTORS_SPARE)

    def health(self, from_us: int, to_us: float) -> GeneratorHealth:
        """Loop and CPU of that stretch of the run's clock, all else of the whole run."""
        stretch = [second for second in self.seconds if from_us < second[0] <= to_us]
        lag = Histogram()
        for _, _, encoded in stretch:
            if encoded:
                lag.merge_encoded(encoded)
        return GeneratorHealth(
            host=self.link.hello.host,
            pid=self.link.hello.pid,
            receiver=self.receiver,
            clock_offset_us=self.link.clock_offset_us,
            clock_error_us=self.link.clock_error_us,
            cpu_share_max=max((cpu for _, cpu, _ in stretch), default=0.0),
            cpu_seconds=self.cpu_seconds,
            loop_lag_p99_us=lag.percentile(99.0),
            late_sends=self.late_sends,
            frames=self.frames,
            descriptors_used=self.descriptors_used,
            descriptors_max=self.link.hello.descriptors_max,
        )


class Conductor:
    """One per run, used as `async with Conductor(…) as conductor`; leaving ends the generators it started.

    `on_broken` is called, once, with the reason in words when a generator is lost or says that it cannot go on;
    `on_sampled` with each generator's second; `say` with what a person should do now.
    `warnings` collects what a person should know of and the run survives.
    """

    def __init__(
        self,
        folder: Path,
        *,
        on_broken: Callable[[str], None],
        on_sampled: Callable[[Sampled], None],
        say: Callable[[str], None],
        key: str = "",
    ) -> None:
        self.key = key or secrets.token_urlsafe(24)
        self._made_the_key = not key
        self.t0_ns = time.monotonic_ns()
        self.members: list[Member] = []
        self.tally = Tally()
        self.warnings: list[str] = []
        self._folder = folder
        self._on_broken = on_broken
        self._on_sampled = on_sampled
        self._say = say
        self._broken = False
        self._processes: list[subprocess.Popen[bytes]] = []
        self._door: Links | None = None
        self._listening: list[asyncio.Task[None]] = []
        self._order_id = 0

    async def __aenter__(self) -> "Conductor":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def now_us(self) -> int:
        """The run's clock."""
        return (time.monotonic_ns() - self.t0_ns) // 1000

    async def sleep_until(self, at_us: int) -> None:
        """Return at that instant of the run's clock, at once where it is past."""
        await asyncio.sleep(max(0, at_us - self.now_us()) / 1e6)

    # --- generators come ---------------------------------------------------------------------------------------------

    async def gather(self, workers: int, expected: int, host: str, port: int) -> None:
        """Start `workers` generators here and wait for `expected` from other hosts, to whom `host` and `port` are open.

        Raises `BrokenOff`. Waiting for other hosts takes as long as a person needs to go there.
        """
        try:
            self._door = await listen(host if expected else "127.0.0.1", port, self.key, t0_ns=self.t0_ns)
        except OSError as error:
            raise BrokenOff(f"Generators cannot be waited for at {host}:{port}: {error.strerror or error}.") from None
        address = _address(_ANY_ADDRESS.get(host, host) if expected else "127.0.0.1", self._door.port)
        for number in range(workers):
            self._start_worker(number, address)
        if expected:
            # A key that somebody gave is theirs to pass on: what is printed lies in a terminal's or a CI job's log.
            key = self.key if self._made_the_key else "…"
            self._say(
                f"Waiting for {expected} more: on each other host run "
                f"`LOADTEST_KEY={key} python -m loadtest join {_address(host, self._door.port)}`."
            )
        patience = JOIN_SECONDS if expected else START_SECONDS
        try:
            async with asyncio.timeout(patience):
                while len(self.members) < workers + expected:
                    self._take(await self._next_newcomer(self._door))
            await self._door.shut()
        except TimeoutError:
            missing = workers + expected - len(self.members)
            why = "".join(f" Refused: {words}" for words in self._door.refused[-3:])
            raise BrokenOff(
                f"{missing} of {workers + expected} generators did not come within {patience:.0f} s.{why}"
            ) from None

    def _start_worker(self, number: int, address: str) -> None:
        environ = dict(os.environ) | {"LOADTEST_KEY": self.key}
        root = str(Path(loadtest.__file__).parent.parent)
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH", ""))))
        with self._log_path(number).open("wb") as output:
            self._processes.append(
                subprocess.Popen(
                    (sys.executable, "-m", "loadtest.generate", "--join", address),
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    # Ctrl+C is the conductor's to understand: a generator that heard it too would leave half-way.
                    start_new_session=True,
                )
            )

    def _log_path(self, number: int) -> Path:
        return self._folder / f"generator-{number + 1}.log"

    async def _next_newcomer(self, door: Links) -> Link:
        """The next generator that joins; ends with `BrokenOff` where a process of ours died instead."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    return await door.next()
            except TimeoutError:
                dead = next((each for each in self._processes if each.poll() is not None), None)
                if dead is not None:
                    raise BrokenOff(
                        f"A generator ended at its start, with exit code {dead.returncode}.{self._last_words()}"
                    ) from None

    def _take(self, link: Link) -> None:
        number = len(self.members)
        path = records_path(self._folder, number)
        member = Member(number, link, path.open("wb"), path)
        self.members.append(member)
        self._listening.append(asyncio.create_task(self._listen(member), name=f"generator-{number + 1}"))

    async def prepare(self, url: str, show_id: str, *, seed: int, patience_seconds: float, portable: bool) -> None:
        """Tell every generator where the show is, and set its clock. Raises `BrokenOff`."""
        count = len(self.members)
        for member in self.members:
            share = (member.number, count)
            await member.link.send(Prepare(url, show_id, seed, share, patience_seconds, portable, boot_id()))
        for member in self.members:
            await self._within(PREPARE_SECONDS, member.prepared.wait(), f"{member.name} did not get ready")
        self._listening.append(asyncio.create_task(self._watch(), name="silence"))

    async def _watch(self) -> None:
        """Breaks off where a generator falls silent."""
        for member in self.members:
            member.heard_at = time.monotonic()
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            if now - looked_at > _HITCH_SECONDS:
                for member in self.members:
                    member.heard_at = now
            looked_at = now
            for member in self.members:
                if not member.ended.is_set() and now - member.heard_at > SILENCE_SECONDS_MAX:
                    self.break_off(f"{member.name} has said nothing for {SILENCE_SECONDS_MAX:.0f} s.")
                    member.ended.set()  # its last word is not waited for

    def viewers_max(self) -> int:
        """How many viewers all generators together may hold, each its even share."""
        return min((member.viewers_max for member in self.members), default=0) * len(self.members)

    @property
    def elsewhere(self) -> list[str]:
        """The generators on other machines than this one, by name."""
        return [member.name for member in self.members if not member.link.is_here]

    @property
    def clock_error_us(self) -> int:
        """How far two generators' clocks may be apart at most."""
        errors = sorted((member.link.clock_error_us for member in self.members), reverse=True)
        return round(sum(errors[:2]))

    @property
    def ended(self) -> tuple[bool, ...]:
        """Of each generator, whether its records came to their end."""
        return tuple(member.is_done for member in self.members)

    # --- orders ------------------------------------------------------------------------------------------------------

    async def order(self, make: Callable[[int, int, int], AnyOrder], within_seconds: float) -> None:
        """Give every generator its part: `make(order_id, index, of how many)`. Return when all are ready with it.

        Raises `BrokenOff` where one is not within so many seconds. Cancelling stops the waiting, not the order.
        """
        self._order_id += 1
        order_id, count = self._order_id, len(self.members)
        waits = []
        for member in self.members:
            event = member.ready[order_id] = asyncio.Event()
            waits.append((member, event))
            await member.link.send(make(order_id, member.number, count))
        deadline = time.monotonic() + within_seconds
        for member, event in waits:
            left = max(0.1, deadline - time.monotonic())
            try:
                async with asyncio.timeout(left):
                    await event.wait()
            except TimeoutError:
                raise NotReady(
                    f"{member.name} was not ready with an order within {within_seconds:.0f} s.{self._last_words()}"
                ) from None
            finally:
                member.ready.pop(order_id, None)

    async def tried(self, make: Callable[[int, int, int], AnyOrder], within_seconds: float) -> bool:
        """As `order`, where being late is no reason to break off: false then."""
        try:
            await self.order(make, within_seconds)
        except NotReady:
            return False
        return True

    async def finish(self, patience_seconds: float, final: tuple[str, int] | None) -> bool:
        """Last order; true where every generator said that it is done, with all its records here."""
        order = Finish(patience_seconds, final)
        for member in self.members:
            # To one that reads nothing any more nothing can be sent either.
            with contextlib.suppress(LinkClosed, TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await member.link.send(order)
        waits = [asyncio.create_task(member.ended.wait()) for member in self.members]
        if waits:
            await asyncio.wait(waits, timeout=patience_seconds + PREPARE_SECONDS)
        for wait in waits:
            wait.cancel()
        for member in self.members:
            member.records.flush()
        late = [member.name for member in self.members if not member.is_done]
        for member in self.members:
            if drift_us := member.link.clock_drift_us:
                self.warnings.append(f"The clock of {member.name} moved by {drift_us / 1000:.1f} ms; it was set anew.")
        if late:
            self.warnings.append(f"No last word from {', '.join(late)}: its records are not whole.")
        return not late

    async def _within(self, seconds: float, what: Awaitable[T], words: str) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await what
        except TimeoutError:
            raise BrokenOff(f"{words}.{self._last_words()}") from None

    # --- reports -----------------------------------------------------------------------------------------------------

    async def _listen(self, member: Member) -> None:
        try:
            async for report in member.link:
                member.heard_at = time.monotonic()
                self._hear(member, report)
            member.is_done = True
        except LinkClosed as closed:
            self.break_off(f"The line to {member.name} ended: {closed}.{self._last_words()}")
        except Exception as error:
            # Whatever a generator sends, the run ends in words.
            log.exception("report_not_understood")
            self.break_off(f"What {member.name} reports cannot be read: {error}")
        finally:
            member.ended.set()

    def _hear(self, member: Member, report: AnyReport) -> None:
        match report:
            case Sampled():
                self._sampled(member, report)
            case Recorded(chunk):
                member.records.write(chunk)
            case Ready(order_id):
                if event := member.ready.get(order_id):
                    event.set()
            case Prepared(receiver, reason):
                member.receiver = receiver
                if reason:
                    self.warnings.append(f"{member.name} reads with the portable receiver: {reason}")
                member.prepared.set()
            case Failed(text, fatal):
                if fatal:
                    self.break_off(f"{member.name}: {text}")
                else:
                    self.warnings.append(f"{member.name}: {text}")
            case Done():
                pass  # the iteration ends with it

    def _sampled(self, member: Member, sampled: Sampled) -> None:
        seconds = max(0, sampled.until_us - member.sampled_until_us) / 1e6 if member.sampled_until_us else 1.0
        member.sampled_until_us = sampled.until_us
        cpu = sampled.gauges.get("cpu", 0.0)
        member.cpu_seconds += cpu * seconds
        member.descriptors_used = max(member.descriptors_used, int(sampled.gauges.get("descriptors", 0)))
        member.late_sends += sampled.counters.get("late_sends", 0)
        member.frames += sampled.counters.get("frames", 0)
        member.seconds.append((sampled.until_us, cpu, sampled.histograms.get("loop_lag", "")))
        self.tally.add(member.number, sampled)
        self._on_sampled(sampled)

    def note(self, sampled: Sampled) -> None:
        """What the conductor itself sent counts as one more generator's sample."""
        self.tally.add(len(self.members), sampled)
        self._on_sampled(sampled)

    def close_second(self, server: dict[str, float], stock: dict[str, tuple[int, int, int, int, int]]) -> SampleRow:
        return self.tally.close_second(self.now_us(), server, stock)

    def health(self, from_us: int = 0, to_us: float = math.inf) -> tuple[GeneratorHealth, ...]:
        """How the generators were in that stretch of the run's clock; without it, in the whole run."""
        return tuple(member.health(from_us, to_us) for member in self.members)

    def break_off(self, words: str) -> None:
        """Say, once, why the run cannot go on."""
        if not self._broken:
            self._broken = True
            self._on_broken(words)

    def _last_words(self) -> str:
        """The last line of what our own generators printed, where there is one."""
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                lines = self._log_path(number).read_text(errors="replace").strip().splitlines()
                if lines:
                    return f" Its last words: {lines[-1][:300]}"
        return ""

    # --- the end -----------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close the lines; end the processes we started. Safe to call twice."""
        if self._door is not None:
            await self._door.aclose()
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        for member in self.members:
            member.link.close()
            member.records.close()
        await asyncio.to_thread(_end, self._processes)
        self._processes = []


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    for process in processes:
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def records_path(folder: Path, number: int) -> Path:
    """Where the records of generator `number` (from 0) lie in the run's folder."""
    return folder / f"generator-{number + 1}.records"
