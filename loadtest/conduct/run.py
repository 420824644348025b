"""One run from its call to its result: validate, start, play, settle, books, checker, facts, thresholds, files.

What arrives: a scenario, its values, options. What leaves: a `Result`, and in the run's folder its files, the records
of every generator and the books of the show, from which `check_again` proves the same once more.
Nothing starts before everything that can be known to be wrong was looked at. Whatever ends a run early, what was
measured until then is reported as incomplete, never as a whole.
"""

import asyncio
import contextlib
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from livecommerce.audit.books import Books
from livecommerce.errors import Refused
from loadtest.check.books import books_from, fetch_books
from loadtest.check.checker import check
from loadtest.check.streams import records_of
from loadtest.conduct.conductor import BrokenOff, Conductor, records_path
from loadtest.conduct.facts import OF_THE_RUN, Heard, Place, derive, expected_deliveries, marked_cards
from loadtest.conduct.final import last_place
from loadtest.conduct.options import BadCall, Options, check_options, pass_minutes
from loadtest.conduct.own_server import OwnServer, ServerFailed, own_server
from loadtest.conduct.stage import Stage, judged_from_us
from loadtest.conduct.target import Target, TargetError
from loadtest.machine import machine
from loadtest.measure.addresses import is_this_machine
from loadtest.measure.health import descriptors_max, need_descriptors
from loadtest.measure.probe import Probe
from loadtest.measure.suspect import is_conclusive, suspect
from loadtest.measure.thresholds import Threshold, judge, merge, parse
from loadtest.report.files import write_all
from loadtest.report.terminal import LiveView
from loadtest.report.ui import LivePage
from loadtest.result import CheckResult, GeneratorHealth, Percentiles, Result, SampleRow, Stop
from loadtest.scenario import Scenario, Value

log = structlog.get_logger(__name__)

T = TypeVar("T")

SECOND = 1.0
# Refused connections in a row before a server counts as gone: one may fall between two processes.
REFUSALS_MAX = 3
# A server that takes no connection for so long is gone for a show, whatever it does later.
SILENCE_SECONDS_MAX = 30.0
CONNECT_SECONDS = 5.0
# After the last arrival: what is unanswered and what is still on its way is waited for.
SETTLE_SECONDS = 20.0
SETTLE_SECONDS_BROKEN = 3.0
BOOKS_SECONDS = 60.0
KEPT = "run.json"
BOOKS = "books.ndjson"


class EndedAtOnce(Exception):
    """Somebody insisted: nothing was settled, nothing is reported."""


class Kept(msgspec.Struct, frozen=True):
    """What the checker needs beside records and books, to prove the same again later."""

    generators: int
    patience_us: int
    cuts_expected: bool
    complete: bool
    ended: tuple[bool, ...] = ()  # of each generator, whether its records came to their end
    final: Place | None = None  # of the last event that the viewers were there for; None: the log's own last
    clock_error_us: int = 0


@dataclass(slots=True)
class Outside:
    """Whoever watches: the screen, and the page where it was asked for."""

    view: LiveView
    page: LivePage | None

    def phase(self, name: str, seconds: float | None) -> None:
        self.view.phase(name, seconds)

    def say(self, text: str) -> None:
        self.view.say(text)


async def run(scenario: Scenario, values: dict[str, Value], options: Options, view: LiveView) -> Result:
    """Play it. Raises `BadCall`, `ThresholdError`, `LimitError`, `TargetError`, `ServerFailed` or `BrokenOff` where
    nothing was measured, `EndedAtOnce` after a second Ctrl+C; else returns what was found, complete or not, written."""
    check_options(scenario, options)
    minutes = pass_minutes(scenario, values)
    thresholds = merge(scenario.thresholds, options.thresholds)
    _check_descriptors(values, options)
    _make_folder(options.out)
    async with contextlib.AsyncExitStack() as stack:
        page = None
        if options.ui:
            page = LivePage(options.ui_port, scenario.name)
            stack.push_async_callback(page.aclose)
            view.say(f"Live at {await page.start()}")
        stack.callback(_drop_if_empty, options.out)
        one = _Run(scenario, values, options, thresholds, minutes, Outside(view, page))
        stack.enter_context(one.interruptible())
        return await one.whole(stack)


def check_again(folder: Path) -> CheckResult:
    """The checker once more, from the records and the books that the run kept. Raises `BadCall` where they are not
    there."""
    try:
        kept = msgspec.json.decode((folder / KEPT).read_bytes(), type=Kept)
        books = books_from(folder / BOOKS)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadCall(f"{folder} does not hold the records and books of a run: {error}") from None
    found = _checked(folder, kept, books)
    if kept.complete:
        return found
    return msgspec.structs.replace(found, complete=False, note=found.note or "the run broke off before its end")


class _Run:
    """The state of one run. `whole` is read from top to bottom."""

    def __init__(
        self,
        scenario: Scenario,
        values: dict[str, Value],
        options: Options,
        thresholds: Sequence[Threshold],
        minutes: int,
        outside: Outside,
    ) -> None:
        self.scenario = scenario
        self.values = values
        self.options = options
        self.thresholds = thresholds
        self.minutes = minutes
        self.outside = outside
        self.books: Books | None = None
        self.final: Place | None = None
        self.warnings: list[str] = []
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._interrupts = 0
        self._playing = False

    # --- the whole of it ----------------------------------------------------------------------------------------------

    async def whole(self, stack: contextlib.AsyncExitStack) -> Result:
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        server, target = await self._open(stack)
        probe = await self._probe(stack, server, target)
        conductor, stage = await self._conduct(stack, server, target)
        seconds = asyncio.create_task(self._seconds(conductor, stage, probe), name="seconds")
        seconds.add_done_callback(self._seconds_ended)
        stack.push_async_callback(_ended, seconds)
        watch = asyncio.create_task(self._watch(server, target), name="watch")
        stack.push_async_callback(_ended, watch)

        await self._play(stage)
        check_result = await self._settle(conductor, stage, target)
        await _ended(watch)
        await _ended(seconds)
        self._close_second(conductor, stage, await probe.sample())
        took = conductor.now_us() / 1e6

        facts = await self._facts(conductor, stage, check_result)
        latencies, verdict_counters, verdict_facts = self._judged(conductor, stage, facts)
        rows, health = self._judged_stretch(conductor, stage)
        conclusive, doubts = is_conclusive(health, rows, conductor.tally.rows)
        result = Result(
            scenario=self.scenario.name,
            about=self.scenario.about,
            load=dict(self.scenario.load),
            parameters=dict(self.values),
            target=target.url,
            own_server=server is not None,
            server_version=target.shop.version,
            machine=tuple(machine()),
            started_at=started_at,
            seconds=took,
            phases=stage.phases(),
            samples=tuple(conductor.tally.rows),
            histograms=conductor.tally.totals.encoded(),
            latencies=conductor.tally.totals.latencies(),
            counters=dict(sorted(conductor.tally.totals.counters.items())),
            facts=facts,
            thresholds=tuple(
                judge(threshold, latencies, verdict_counters, verdict_facts) for threshold in stage.thresholds
            ),
            check=check_result,
            stop=self._stop(rows, health, target),
            generators=health,
            warnings=(*self.warnings, *conductor.warnings, *doubts, *([probe.note] if probe.note else [])),
            conclusive=conclusive and not self._is_broken,
            complete=not self._is_broken,
            findings=stage.findings,
        )
        await asyncio.to_thread(write_all, result, self.options.out, say=self.outside.say)
        if self.outside.page is not None:
            self.outside.page.finish(result)
        return result

    # --- starting -----------------------------------------------------------------------------------------------------

    async def _open(self, stack: contextlib.AsyncExitStack) -> tuple[OwnServer | None, Target]:
        options, server = self.options, None
        if not options.target:
            settings = dict(self.scenario.server_settings)
            server = await stack.enter_async_context(
                own_server(settings, processes=options.processes, say=self.outside.say, keep=options.keep_server)
            )
            target = await Target.open(server.url, server.email, server.password, own=True, verify=False)
        else:
            target = await Target.open(
                options.target,
                options.email,
                options.password,
                i_own_this_host=options.i_own_this_host,
                verify=options.verify,
                any_version=options.any_version,
            )
        await stack.enter_async_context(target)
        self.warnings += target.warnings
        return server, target

    async def _probe(self, stack: contextlib.AsyncExitStack, server: OwnServer | None, target: Target) -> Probe:
        pids = server.pids if server is not None else None
        verify = self.options.verify and server is None
        probe = await Probe.of(target.url, self.options.metrics_token, pids, verify=verify)
        return await stack.enter_async_context(probe)

    async def _conduct(
        self, stack: contextlib.AsyncExitStack, server: OwnServer | None, target: Target
    ) -> tuple[Conductor, Stage]:
        options = self.options
        stage: Stage | None = None
        conductor = Conductor(
            options.out,
            key=options.key,
            on_broken=self.break_off,
            on_sampled=lambda sampled: stage.hear(sampled) if stage is not None else None,
            say=self.outside.say,
        )
        await stack.enter_async_context(conductor)
        await conductor.gather(options.workers, options.expect_generators, options.listen_host, options.listen_port)
        if conductor.elsewhere and _is_here(urlsplit(target.url).hostname or ""):
            raise BadCall(
                f"{', '.join(conductor.elsewhere)} cannot reach {target.url}: loopback leads to itself there. Name a "
                "--target by an address that all of them can reach."
            )
        stage = Stage(
            conductor,
            target,
            self.values,
            server=server,
            thresholds=self.thresholds,
            asked=[parse(text).name for text in options.thresholds],
            seed=options.seed,
            patience_seconds=options.patience_seconds,
            portable=options.portable,
            pass_minutes=self.minutes,
            say=self.outside.say,
            on_phase=self.outside.phase,
        )
        stack.push_async_callback(stage.aclose)
        return conductor, stage

    # --- playing ------------------------------------------------------------------------------------------------------

    async def _play(self, stage: Stage) -> None:
        """The scenario, until it is over or something ends it before; then `broken` says what."""
        self._playing = True
        play: asyncio.Future[None] = asyncio.ensure_future(self.scenario.play(stage))
        either: set[asyncio.Future[Any]] = {play, self.broken}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not play.done():
                play.cancel()
            await asyncio.wait({play})
        except asyncio.CancelledError:
            play.cancel()
            await asyncio.gather(play, return_exceptions=True)
            raise
        finally:
            self._playing = False
        if play.cancelled():
            return
        if error := play.exception():
            self.break_off(_words_of(error))
        if stage.handle is None:
            # Nothing was played at all: there is nothing to report.
            raise BrokenOff(self._why_broken or f"{self.scenario.name} gave the crowd no show to go to.")

    async def _settle(self, conductor: Conductor, stage: Stage, target: Target) -> CheckResult | None:
        """Nothing further is sent; what is under way comes to its end; then the books, and the proof."""
        patience = SETTLE_SECONDS_BROKEN if self._server_gone else SETTLE_SECONDS
        if stage.handle is None:
            raise BrokenOff(self._why_broken)
        if not self._server_gone:
            await stage.quiet()
            self.final = await self._last_place(stage, target)
        all_there = await conductor.finish(patience, self.final)
        if self._server_gone:
            self._keep(conductor, stage, complete=False)
            return None
        self.outside.phase("checking", None)
        try:
            books = await fetch_books(
                target.api, stage.handle.show_id, patience_seconds=BOOKS_SECONDS, keep=self.options.out / BOOKS
            )
        except Refused as refused:
            self.break_off(f"The books of the show could not be read: {refused.text}")
            self._keep(conductor, stage, complete=False)
            return None
        self.books = books
        complete = all_there and books.whole and books.quiet
        kept = self._keep(conductor, stage, complete=complete)
        found = await asyncio.to_thread(_checked, self.options.out, kept, books)
        with contextlib.suppress(Refused):
            await target.end_show(stage.handle.show_id)
        return found

    async def _last_place(self, stage: Stage, target: Target) -> Place | None:
        """Where the news end: by the server's log; where that cannot be had, by what our own viewer heard."""
        try:
            return await last_place(target.api, stage.show_handle.show_id)
        except Refused as refused:
            self.warnings.append(f"The end of the show's log could not be read: {refused.text}")
            return stage.heard_last()

    def _keep(self, conductor: Conductor, stage: Stage, *, complete: bool) -> Kept:
        kept = Kept(
            len(conductor.members),
            self._patience_us,
            stage.cuts_expected,
            complete and not self._is_broken,
            conductor.ended,
            self.final,
            conductor.clock_error_us,
        )
        (self.options.out / KEPT).write_bytes(msgspec.json.encode(kept))
        return kept

    @property
    def _patience_us(self) -> int:
        return round(self.options.patience_seconds * 1e6)

    # --- seconds ------------------------------------------------------------------------------------------------------

    async def _seconds(self, conductor: Conductor, stage: Stage, probe: Probe) -> None:
        due = time.monotonic()
        while True:
            due = max(due + SECOND, time.monotonic())  # what a hitch swallowed is one long second, not many short ones
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._close_second(conductor, stage, await probe.sample())

    def _seconds_ended(self, task: "asyncio.Task[None]") -> None:
        """A run that nobody measures any more is none."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("seconds_failed", exc_info=error)
            self.break_off(f"The run's seconds could not be measured any more: {type(error).__name__}: {error}")

    def _close_second(self, conductor: Conductor, stage: Stage, server: dict[str, float]) -> SampleRow:
        conductor.note(stage.take_own_sample())
        row = conductor.close_second(server, stage.stock())
        stage.see(row)
        totals = conductor.tally.totals
        self.outside.view.sample(row, totals.latencies(), totals.counters)
        if self.outside.page is not None:
            self.outside.page.sample(row)
        return row

    # --- what ends it early -------------------------------------------------------------------------------------------

    def break_off(self, words: str) -> None:
        """The run ends here; the first reason stands."""
        if not self.broken.done():
            self.warnings.append(words)
            self.outside.say(words)
            self.broken.set_result(words)

    @property
    def _is_broken(self) -> bool:
        return self.broken.done()

    @property
    def _why_broken(self) -> str:
        return self.broken.result() if self.broken.done() else ""

    _server_gone = False

    async def _watch(self, server: OwnServer | None, target: Target) -> None:
        """Ends the run where the server is gone. A process that is replaced is none: the port is still held."""
        refusals, silent_since = 0, time.monotonic()
        while True:
            await asyncio.sleep(SECOND)
            if server is not None and not server.is_alive:
                self._gone(f"The server went away in the middle of the run. {_last_error(server.log_end())}".strip())
                return
            outcome = await _knock(target.url)
            refusals = refusals + 1 if outcome == "refused" else 0
            if outcome == "open":
                silent_since = time.monotonic()
            if refusals >= REFUSALS_MAX:
                self._gone(f"The server at {target.url} went away in the middle of the run: nothing listens there now.")
                return
            if time.monotonic() - silent_since > SILENCE_SECONDS_MAX:
                self._gone(f"The server at {target.url} takes no connections for {SILENCE_SECONDS_MAX:.0f} s now.")
                return

    def _gone(self, words: str) -> None:
        self._server_gone = True
        self.break_off(words)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl+C, once: the play ends, what was measured is reported as incomplete. Twice, or before the play: at
        once."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            self._interrupts += 1
            if self._interrupts == 1 and self._playing:
                self.break_off("Interrupted: the run ends early. Once more Ctrl+C ends it at once.")
            else:
                task.cancel()

        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            yield
        except asyncio.CancelledError:
            if self._interrupts:
                raise EndedAtOnce("Ended at once; nothing is reported.") from None
            raise
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    # --- judging ------------------------------------------------------------------------------------------------------

    async def _facts(self, conductor: Conductor, stage: Stage, found: CheckResult | None) -> dict[str, float]:
        totals = conductor.tally.totals
        late = totals.histograms.get("late")
        heard = await asyncio.to_thread(_heard, self.options.out, len(conductor.members))
        if self.books is not None and self.books.whole:
            marked = marked_cards(self.books, stage.cards_heard(marked=False), self.final)
        else:
            marked = stage.cards_heard(marked=True)
        expected = expected_deliveries(heard.segments, marked, stage.joins_planned)
        if (received := totals.counters["state_received"]) > expected:
            self.warnings.append(f"{received:,} cards were delivered where {expected:,} were expected.")
        facts = derive(
            counters=totals.counters,
            rows=conductor.tally.rows,
            sends=late.count if late is not None else 0,
            expected=expected,
            tap_seconds=stage.tap_seconds,
            check=found,
            held=heard.taps_held,
        )
        return facts | stage.facts

    def _judged(
        self, conductor: Conductor, stage: Stage, facts: dict[str, float]
    ) -> tuple[dict[str, Percentiles], dict[str, int], dict[str, float]]:
        """What the thresholds are judged by: the whole run, or the one stretch that the scenario chose, and of the
        whole what no stretch can tell."""
        if stage.judged is None:
            return conductor.tally.totals.latencies(), dict(conductor.tally.totals.counters), facts
        totals, counters = stage.judged.totals, conductor.tally.totals.counters
        whole = {
            name: facts.get(name, float(counters.get(name, 0))) for name in OF_THE_RUN if name in {*facts, *counters}
        }
        return totals.latencies(), dict(totals.counters), stage.judged.facts() | whole | stage.facts

    def _judged_stretch(
        self, conductor: Conductor, stage: Stage
    ) -> tuple[list[SampleRow], tuple[GeneratorHealth, ...]]:
        """The seconds that thresholds are judged by, and the generators in them: of the window that the scenario chose;
        else the whole run, but for what came before the first card, tap or line of chat. Entries are bursts of work on
        both sides; where they are what is judged, nothing is left out."""
        window = stage.judged
        if window is None:
            from_us = judged_from_us(stage.thresholds, stage.loaded_from_us)
            return [row for row in conductor.tally.rows if row.until_us > from_us], conductor.health(from_us)
        from_us = judged_from_us(stage.thresholds, window.loaded_from_us, window.from_us)
        return [row for row in window.rows if row.until_us > from_us], conductor.health(from_us, window.to_us)

    def _stop(self, rows: Sequence[SampleRow], health: Sequence[GeneratorHealth], target: Target) -> Stop:
        host = urlsplit(target.url).hostname or ""
        return suspect(rows, health, this_machine=_is_here(host))


# --- steps that know no run -------------------------------------------------------------------------------------------


def _check_descriptors(values: dict[str, Value], options: Options) -> None:
    """Enough descriptors for the viewers that each process here is to hold. Raises `LimitError`."""
    viewers = int(values.get("viewers", 0))
    if options.workers:
        need_descriptors(-(-viewers // (options.workers + options.expect_generators)))
    else:
        descriptors_max()
    if not options.target:
        need_descriptors(viewers)  # after a restart one web process may hold all of them for a moment


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (KEPT, BOOKS):  # of a run before: beside new records they would say that holds were lost
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise BadCall(f"--out {folder}: {error.strerror or error}.") from None
    free = shutil.disk_usage(folder).free
    if free < 200 * 2**20:
        raise BadCall(f"--out {folder}: only {free / 2**20:.0f} MiB are free there; records need some hundred.")


def _drop_if_empty(folder: Path) -> None:
    """A run that never began leaves no folder behind."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _heard(folder: Path, generators: int) -> Heard:
    heard = Heard()
    for number in range(generators):
        heard.take(records_of(records_path(folder, number)))
    return heard


def _checked(folder: Path, kept: Kept, books: Books) -> CheckResult:
    return check(
        [records_of(records_path(folder, number)) for number in range(kept.generators)],
        books,
        patience_us=kept.patience_us,
        cuts_expected=kept.cuts_expected,
        clock_error_us=kept.clock_error_us,
        final=kept.final,
        ended=kept.ended or None,
    )


def _is_here(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return is_this_machine("127.0.0.1" if host == "localhost" else host)
    return False


async def _knock(url: str) -> str:
    """`open`, `refused` or `silent`: whether the server takes connections."""
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address.hostname, port)
    except ConnectionRefusedError:
        return "refused"
    except (OSError, TimeoutError):
        return "silent"
    writer.close()
    return "open"


def _words_of(error: BaseException) -> str:
    """The first thing that went wrong, in words; a fault of the scenario itself with its kind."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, BrokenOff | TargetError | ServerFailed | Refused):
        return str(error)
    log.error("scenario_failed", exc_info=error)
    return f"The scenario failed: {type(error).__name__}: {error}"


def _last_error(log_end: str) -> str:
    """The last line that is about an error, where there is one; whoever was killed said nothing of it."""
    lines = [line for line in log_end.splitlines() if "error" in line.lower() and "[uvicorn.error" not in line]
    return f"The last error in its log: {lines[-1][:300]}" if lines else ""


async def _ended(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
