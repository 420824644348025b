"""A generator at work: every order of the conductor becomes planned instants, and each second it tells what came of it.

What arrives: orders of the link. What leaves: arrivals for the pacer, `Ready` when an order's last arrival was sent,
samples and records. Which viewer and when is drawn from the run's seed, so that a run can be repeated. It knows no
socket and no request: `Lines` and `Requests` play the viewers.
"""

import asyncio
import contextlib
import gc
import random
import ssl
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import structlog

from loadtest.crowd.arrivals import even, poisson, seeded
from loadtest.crowd.behaviour import Reaction, check_after, draw_away_ms, draw_of, is_question, taps
from loadtest.crowd.parameters import CrowdParameters
from loadtest.crowd.talk import LANGUAGES, line_of_chat, question
from loadtest.generate.checkout import Checkout
from loadtest.generate.lines import Lines
from loadtest.generate.link import GeneratorLink, LinkClosed
from loadtest.generate.measured import RECORD_BYTES_MAX, Measured
from loadtest.generate.pacer import Pacer
from loadtest.generate.requests import Requests
from loadtest.generate.shared import SharedFrames
from loadtest.generate.timer import finest_timer
from loadtest.generate.turns import Talk, Turns
from loadtest.generate.viewer import Errand, Viewer
from loadtest.machine import boot_id
from loadtest.marks import marked
from loadtest.measure.addresses import is_loopback
from loadtest.measure.health import Health, LimitError, need_descriptors, source_addresses
from loadtest.orders import (
    AnyOrder,
    Chat,
    Cut,
    Done,
    Failed,
    Finish,
    Join,
    Leave,
    Prepare,
    Prepared,
    Ready,
    Recorded,
    Rush,
    Sampled,
    Tap,
    ViewerPass,
)
from loadtest.wire.choose import open_receiver
from loadtest.wire.receiver import Receiver

log = structlog.get_logger(__name__)

SAMPLE_US = 1_000_000
RECORD_SECONDS = 0.25
RECORD_PIECE_BYTES = 2**20
LOOK_SECONDS = 0.02
DRAWS_MAX = 20


class OutOfReach(Exception):
    """The address to measure does not lead there from this host; the text says so, for a person."""


class Generator:
    """One run of one generator. `run` returns after `Finish`, or raises what broke it off."""

    def __init__(self, link: GeneratorLink) -> None:
        self._link = link
        self._clock = link.clock
        self._measured = Measured()
        self._health = Health(partial(self._measured.time, "loop_lag"))
        self._crew: _Crew | None = None
        self._telling: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._failed = False
        self._sending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Do what is ordered until `Finish`. Raises `LinkClosed` or `JoinRefused`; whatever else goes wrong is told to
        the conductor as `Failed` first. Cancelling it cuts all lines."""
        loop = asyncio.get_running_loop()
        handler_before = loop.get_exception_handler()
        loop.set_exception_handler(self._callback_failed)
        try:
            async for order in self._link:
                if isinstance(order, Prepare):
                    await asyncio.to_thread(_check_reach, order)
                    self._crew = await self._prepare(order)
                    self._telling = asyncio.create_task(self._tell())
                    self._telling.add_done_callback(self._task_ended)
                    continue
                assert self._crew is not None, "prepare comes before all else"
                if isinstance(order, Finish):
                    await self._crew.finish(order)
                    break
                await self._crew.obey(order)
            await self._tell_last()
        except (LimitError, OutOfReach, OSError, ValueError) as error:
            await self._link.send(Failed(str(error)))
            raise
        finally:
            self._health.stop()
            if self._telling is not None:
                self._telling.cancel()
                await asyncio.gather(self._telling, return_exceptions=True)
            if self._crew is not None:
                await self._crew.aclose()
            loop.set_exception_handler(handler_before)

    def _callback_failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A bug of ours in a callback: what follows would be no measurement, so it is told and the run breaks off."""
        error = context.get("exception")
        log.error("generator_failed", what=context.get("message"), exc_info=error)
        self._fail(f"A bug in the generator: {type(error).__name__}: {error}" if error else str(context.get("message")))

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, LinkClosed):
            self._fail(str(error))

    def _fail(self, text: str) -> None:
        if not self._failed:
            self._failed = True
            self._sending = asyncio.get_running_loop().create_task(self._link.send(Failed(text)))
            self._sending.add_done_callback(_quietly)

    async def _prepare(self, order: Prepare) -> "_Crew":
        crew = _Crew(order, self._link, self._measured)
        await crew.start()
        self._health.start()
        await self._link.send(Prepared(crew.receiver.name, crew.why_portable))
        return crew

    # --- telling ----------------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Records a few times a second, a sample at every full second of the run's clock."""
        due_us = (self._clock.now_us() // SAMPLE_US + 1) * SAMPLE_US
        while not self._over.is_set():
            wait_seconds = (due_us - self._clock.now_us()) / 1e6
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), max(0.0, min(wait_seconds, RECORD_SECONDS)))
            await self._tell_records()
            if self._clock.now_us() >= due_us:
                await self._tell_sample()
                due_us = (self._clock.now_us() // SAMPLE_US + 1) * SAMPLE_US

    async def _tell_last(self) -> None:
        """After `Finish`: what is left to tell, then `Done`. A sample that is on its way goes first."""
        self._over.set()
        if self._telling is not None:
            await self._telling
        await self._tell_records()
        await self._tell_sample()
        await self._link.send(Done())

    async def _tell_records(self) -> None:
        if self._measured.record_bytes > RECORD_BYTES_MAX:
            raise LimitError("The conductor does not read what this generator records: there would be no proof.")
        while piece := self._measured.take_records(RECORD_PIECE_BYTES):
            await self._link.send(Recorded(piece))

    async def _tell_sample(self) -> None:
        assert self._crew is not None
        crew = self._crew
        until_us = self._clock.now_us()
        received = crew.receiver.take()
        counters = self._measured.take_counters(received.counters)
        gauges = {
            "in": float(crew.lines.welcomed),
            "outstanding": float(crew.requests.outstanding),
            "waiting": float(crew.waiting),
        }
        gauges |= self._health.interval()
        histograms = {}
        for name, encoded in self._measured.take_times(received):
            histograms[name] = encoded
            await asyncio.sleep(0)
        await self._link.send(Sampled(until_us, counters, gauges, histograms))
        for problem in crew.take_problems():
            await self._link.send(Failed(problem, fatal=False))


class _Crew:
    """The viewers of one generator and what they were ordered to do. Made by `Prepare`, it lasts until `Finish`."""

    def __init__(self, order: Prepare, link: GeneratorLink, measured: Measured) -> None:
        self._link, self._clock, self._measured = link, link.clock, measured
        self._seed, self._share = order.seed, order.share
        self._url = order.url
        tls = _tls(order.url)
        self._pacer = Pacer(link.clock, finest_timer, measured.late)
        self._shared = SharedFrames(link.clock, measured, self._deal_opened)
        self.receiver: Receiver
        self.receiver, self.why_portable = open_receiver(
            self._shared.facts_of, portable=order.portable, tls=tls is not None
        )
        self._shared.number_epochs_by(self.receiver.epoch_number)
        self.lines = Lines(
            order.url, order.show_id, link.clock, self._pacer, measured, self._shared, self.receiver, tls,
            self._rng("lines"),
        )  # fmt: skip
        self.requests = Requests(
            link.clock, self._pacer, measured, self.lines, Checkout(order.url, order.show_id, tls),
            self._rng("requests"), f"lt{order.share[0]}-", int(order.patience_seconds * 1e6),
        )  # fmt: skip
        self.lines.player = self.requests
        self.requests.on_free = self._is_free
        self._turns: dict[str, Turns] = {}
        self._talks: dict[int, Talk] = {}
        self._give_up: dict[int, Callable[[], None]] = {}  # by order: count what it has planned and never sent
        self._groups: dict[str, list[Viewer]] = {}
        self._viewers: list[Viewer] = []
        self._rushes: list[_ArmedRush] = []
        self._told_problems: set[str] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._finishing = False

    @property
    def waiting(self) -> int:
        """Arrivals that are due and wait for somebody who is free."""
        return sum(map(len, self._turns.values())) + sum(map(len, self._talks.values()))

    async def start(self) -> None:
        self._set_clock()
        self._link.on_clock = self._set_clock
        await self.lines.start()

    def _set_clock(self) -> None:
        self.receiver.set_clock(self._clock.offset_ns, self._clock.apart_us)

    async def aclose(self) -> None:
        self._link.on_clock = lambda: None
        self._pacer.close()
        await self.requests.aclose()
        await self.lines.aclose()

    def take_problems(self) -> list[str]:
        """What a person should know and was not told yet."""
        fresh = sorted(self.lines.problems - self._told_problems)
        self._told_problems.update(fresh)
        return fresh

    def _rng(self, *purpose: str | int) -> random.Random:
        """Draws of this generator alone."""
        return seeded(self._seed, *purpose, "of", self._share[0])

    async def obey(self, order: AnyOrder) -> None:
        match order:
            case Join():
                await self._join(order)
            case Chat():
                self._chat(order)
            case Tap():
                self._tap(order)
            case Rush():
                self._arm(order)
            case Cut():
                self._cut(order)
            case Leave():
                self._leave(order)
            case _:
                raise AssertionError(f"{type(order).__name__} is no order for a crew")

    def _ready(self, order_id: int) -> None:
        task = asyncio.get_running_loop().create_task(self._link.send(Ready(order_id)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        task.add_done_callback(_quietly)

    def _group(self, name: str) -> list[Viewer]:
        return self._groups.setdefault(name, [])

    # --- join -------------------------------------------------------------------------------------------------------

    async def _join(self, order: Join) -> None:
        total = len(self._viewers) + len(order.passes)
        need_descriptors(total)
        self.lines.source_addresses = await asyncio.to_thread(source_addresses, total, self._url, place=self._share[0])
        newcomers = [self._newcomer(order, each) for each in order.passes]
        unsettled = len(newcomers)

        def settled() -> None:
            nonlocal unsettled
            unsettled -= 1
            if not unsettled:
                # Ten thousand viewers stay: the collector need not walk over them again and again.
                gc.freeze()
                self._ready(order.order_id)

        if not newcomers:
            self._ready(order.order_id)
            return
        for viewer in newcomers:
            viewer.settled = settled
        coming = iter(newcomers)
        self._pacer.stream(
            self._instants(order.at_us, self._joins(order)),
            lambda planned_us: self.lines.enter(next(coming), planned_us),
        )

    def _newcomer(self, order: Join, each: ViewerPass) -> Viewer:
        viewer = Viewer(len(self._viewers), each.viewer_id, each.token, order.group)
        viewer.device = order.device
        viewer.tries_left = order.tries_max
        viewer.read_bytes_per_second = order.read_bytes_per_second
        viewer.receive_buffer_bytes = order.receive_buffer_bytes
        self._viewers.append(viewer)
        self._group(order.group).append(viewer)
        return viewer

    def _joins(self, order: Join) -> Iterator[float]:
        """So many arrivals as there are passes; the rate is this generator's own."""
        if order.arrivals == "even":
            stream = even(order.per_second, float("inf"))
        else:
            stream = poisson(self._rng("join", order.order_id), order.per_second, float("inf"))
        return islice(stream, len(order.passes))

    # --- open loads -------------------------------------------------------------------------------------------------

    def _arrivals(self, order: Chat | Tap | Cut, kind: str) -> Iterable[int]:
        """Our part of a stream that all generators draw alike."""
        if kind == "even":
            stream = even(order.per_second, order.seconds, self._share)
        else:
            rng = seeded(self._seed, type(order).__name__, order.order_id)
            stream = poisson(rng, order.per_second, order.seconds, self._share)
        return self._instants(order.at_us, stream)

    @staticmethod
    def _instants(at_us: int, seconds: Iterable[float]) -> Iterator[int]:
        return (at_us + round(each * 1e6) for each in seconds)

    def _chat(self, order: Chat) -> None:
        group, rng = self._group(order.group), self._rng("chat", order.order_id)
        shares = CrowdParameters().languages
        languages = {language: shares.get(language, 0.0) for language in LANGUAGES}

        talk = self._talks[order.order_id] = Talk(self._clock, self._pacer, self._measured, group, rng)

        def speak(planned_us: int) -> bool:
            self._measured.counters["chat_planned"] += 1
            is_asked = is_question(rng, order.question_share)
            text = marked((question if is_asked else line_of_chat)(rng, draw_of(rng, languages)), planned_us)
            return talk.line(
                planned_us, partial(self.requests.say, text=text, question=is_asked, planned_us=planned_us)
            )

        def give_up() -> None:
            del self._talks[order.order_id]
            self._count_skipped("chat_skipped", talk.give_up(), group)

        self._open_load(order, speak, give_up)

    def _tap(self, order: Tap) -> None:
        group = self._group(order.group)
        release_after_us = None if order.release_after_ms is None else order.release_after_ms * 1000
        turns = self._turns.get(order.group)
        if turns is None:
            turns = self._turns[order.group] = Turns(self._clock, self._pacer, self._measured)
            for viewer in group:
                turns.is_free(viewer)
        taps_planned = 0

        def tap(planned_us: int) -> bool:
            nonlocal taps_planned
            deal_id = order.deal_ids[taps_planned % len(order.deal_ids)]
            taps_planned += 1
            self._measured.count("taps_planned")

            def send(viewer: Viewer) -> None:
                errand = Errand(((deal_id, order.qty),), planned_us, release_after_us=release_after_us)
                self.requests.tap(viewer, errand)

            return turns.tap(order.order_id, planned_us, send)

        def give_up() -> None:
            self._count_skipped("taps_skipped", turns.give_up(order.order_id), group)

        self._open_load(order, tap, give_up)

    def _is_free(self, viewer: Viewer) -> None:
        turns = self._turns.get(viewer.group)
        if turns is not None:
            turns.is_free(viewer)

    def _open_load(self, order: Chat | Tap, arrive: Callable[[int], bool], give_up: Callable[[], None]) -> None:
        """What waits when the order's time is over is given up; then it is ready."""
        self._give_up[order.order_id] = give_up

        def over(_planned_us: int) -> None:
            if (last := self._give_up.pop(order.order_id, None)) is not None:
                last()
                self._ready(order.order_id)

        ends_us = order.at_us + round(order.seconds * 1e6)
        self._pacer.stream(self._arrivals(order, order.arrivals), arrive, lambda: self._pacer.at(ends_us, over))

    def _count_skipped(self, name: str, skipped: int, group: list[Viewer]) -> None:
        """`skipped_by_server`: of those, as many as there were viewers who could not because the server had not
        answered them or had lost them. The crowd was large enough for these."""
        if skipped:
            self._measured.count(name, skipped)
            held_up = sum(bool(viewer.requests) or viewer.stage in ("coming", "away") for viewer in group)
            self._measured.count("skipped_by_server", min(skipped, held_up))

    def _cut(self, order: Cut) -> None:
        group, rng = self._group(order.group), self._rng("cut", order.order_id)

        def cut_one(_planned_us: int) -> None:
            for _ in range(DRAWS_MAX if group else 0):
                viewer = rng.choice(group)
                if viewer.stage == "in":
                    self.lines.cut(viewer, draw_away_ms(rng, order.away_ms))
                    return

        def cut_this(viewer: Viewer) -> None:
            if viewer.stage == "in":
                self.lines.cut(viewer, draw_away_ms(rng, order.away_ms))

        if order.per_second > 0:
            self._pacer.stream(self._arrivals(order, "even"), cut_one, partial(self._ready, order.order_id))
            return
        each = iter(list(group))
        # All in one instant is no plan that anybody could keep: how long it takes is not lateness.
        self._pacer.stream(
            [order.at_us] * len(group),
            lambda _planned_us: cut_this(next(each)),
            partial(self._ready, order.order_id),
            counted=False,
        )

    def _leave(self, order: Leave) -> None:
        """Who still waits for an answer, or for her order, goes when she has it, or when the run ends."""
        each = iter(list(self._group(order.group)))
        leaving: list[Viewer] = []

        def leave(_planned_us: int) -> None:
            viewer = next(each)
            viewer.leaving = True
            leaving.append(viewer)

        def look(planned_us: int) -> None:
            for viewer in [viewer for viewer in leaving if not viewer.requests and not viewer.paying]:
                leaving.remove(viewer)
                self.lines.leave(viewer)
            if leaving and not self._finishing:
                self._pacer.at(planned_us + int(LOOK_SECONDS * 1e6), look)
            else:
                self._ready(order.order_id)

        count = len(self._group(order.group))
        self._pacer.stream(
            [order.at_us] * count, leave, lambda: self._pacer.at(self._clock.now_us(), look), counted=False
        )

    # --- rushes -----------------------------------------------------------------------------------------------------

    def _arm(self, order: Rush) -> None:
        check_after(order.after)
        rush = _ArmedRush(order, self._group(order.group), self._rng("rush", order.order_id))
        if order.at_us is not None:
            for deal_id in order.deal_ids:
                self._set_off(rush, deal_id, order.at_us)
        else:
            self._rushes.append(rush)
            for deal_id in self._shared.open_deals & set(order.deal_ids):
                self._set_off(rush, deal_id, self._clock.now_us())
        self._ready(order.order_id)

    def _deal_opened(self, deal_id: str) -> None:
        now_us = self._clock.now_us()
        for rush in self._rushes:
            if deal_id in rush.plans:
                self._set_off(rush, deal_id, now_us)

    def _set_off(self, rush: "_ArmedRush", deal_id: str, opened_us: int) -> None:
        order, plan = rush.order, rush.plans.pop(deal_id, None)
        if plan is None:
            return
        viewers = iter([viewer for _, viewer in plan])

        def tap(planned_us: int) -> None:
            viewer = next(viewers)
            self._measured.count("taps_planned")
            if viewer.stage in ("out", "gone") or viewer.leaving:
                self._measured.count("taps_skipped")
            else:
                lines = ((deal_id, order.qty),)
                self.requests.tap(viewer, Errand(lines, planned_us, wait=order.wait, after=order.after))

        self._pacer.stream([opened_us + reaction_us for reaction_us, _ in plan], tap)

    # --- the end ----------------------------------------------------------------------------------------------------

    async def finish(self, order: Finish) -> None:
        """Nothing new; wait for answers, for those who are on their way back, and for state that is missing."""
        self._finishing = True
        self._pacer.drop_counted()
        for give_up in self._give_up.values():
            give_up()
        self._give_up.clear()
        self.requests.stop()
        if order.final is not None:
            self._shared.know(*order.final)
        deadline_us = self._clock.now_us() + int(order.patience_seconds * 1e6)
        behind = list(self._viewers)
        while self._clock.now_us() < deadline_us:
            behind = [viewer for viewer in behind if self._is_behind(viewer, order.final)]
            if not behind and self.requests.is_settled:
                break
            await asyncio.sleep(LOOK_SECONDS)
        self.lines.end_stretches()
        self._pacer.close()
        await self.requests.end(self._viewers)

    def _is_behind(self, viewer: Viewer, final: tuple[str, int] | None) -> bool:
        if viewer.stage in ("out", "gone"):
            return False
        if viewer.stage != "in":
            return True
        return final is not None and viewer.epoch == final[0] and self.lines.offset_of(viewer) < final[1]


class _ArmedRush:
    """Who will tap which deal, and how long after its opening: drawn when the order comes, for the opening itself is
    the worst moment to draw ten thousand numbers."""

    def __init__(self, order: Rush, group: list[Viewer], rng: random.Random) -> None:
        self.order = order
        reaction = Reaction(order.reaction_median_ms, order.reaction_sigma)
        self.plans: dict[str, list[tuple[int, Viewer]]] = {}
        for deal_id in order.deal_ids:
            plan = [(int(reaction.draw_ms(rng) * 1000), viewer) for viewer in group if taps(rng, order.share)]
            plan.sort(key=lambda row: row[0])
            self.plans[deal_id] = plan


def _check_reach(order: Prepare) -> None:
    """A loopback address is the conductor's own. Blocks for as long as a name takes to be found."""
    host = urlsplit(order.url).hostname or ""
    if order.boot_id and order.boot_id != boot_id() and is_loopback(host):
        raise OutOfReach(
            f"{order.url} leads to this host itself, not to the conductor's: give the target by an address that all "
            "hosts reach."
        )


def _tls(url: str) -> ssl.SSLContext | None:
    """None for plain http. A certificate of our own, which nobody vouches for, is no reason not to measure."""
    if urlsplit(url).scheme != "https":
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _quietly(task: "asyncio.Task[None]") -> None:
    """Of a report that could not be sent: that the line is gone is found out by whoever reads it."""
    if not task.cancelled():
        task.exception()
