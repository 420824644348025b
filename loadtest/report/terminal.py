"""The run in the terminal: drawn anew each second where there is a terminal, a line now and then where there is none.

What arrives: phases, rows, totals, words. What leaves: text. It takes what it is given and asks nobody.
"""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtest.report.verdict import Word, verdict_of
from loadtest.report.words import ORDINARY, duration_shown, errors_of, time_shown, words_of
from loadtest.result import Percentiles, Result, SampleRow

RATES: Final = {  # counter of a second → how it is called
    "joined": "came in",
    "state_frames": "state frames",
    "talk_frames": "talk frames",
    "levels_frames": "levels frames",
    "chat_sent": "lines of chat",
    "taps_sent": "taps",
    "answers": "answers",
    "refused": "refused",
    "orders_confirmed": "orders",
}
ERRORS_SHOWN: Final = 6
CPU_FULL: Final = 0.95  # of a core: from here on the generator holds the run back

_COLOUR: dict[Word, str] = {
    "passed": "green", "breached": "red", "wrong_stock": "red", "inconclusive": "yellow", "broken_off": "red",
}  # fmt: skip


class LiveView:
    """A context manager around the run. `plain` for where nobody watches: log files, pipes, CI. What is said goes to
    the console above the picture, and stays."""

    def __init__(self, total_seconds: float | None, title: str, plain: bool, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._plain = plain or not self._console.is_terminal
        self._title = title
        self._total_seconds = total_seconds
        self._began = time.monotonic()
        self._phase: tuple[str, float, float | None] | None = None  # name, since, seconds
        self._phases_done: list[str] = []
        self._row: SampleRow | None = None
        self._latencies: Mapping[str, Percentiles] = {}
        self._counters: Mapping[str, int] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if not self._plain:
            self._live = Live(
                get_renderable=self.picture, console=self._console, refresh_per_second=2, vertical_overflow="ellipsis"
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def phase(self, name: str, seconds: float | None = None) -> None:
        """A stretch of the run begins; the one before has ended."""
        if self._phase is not None:
            self._phases_done.append(self._phase[0])
        self._phase = (name, time.monotonic(), seconds)
        if self._plain:
            self.say(f"— {name}{f' ({duration_shown(seconds)})' if seconds else ''}")

    def sample(
        self, row: SampleRow, latencies_total: Mapping[str, Percentiles], counters_total: Mapping[str, int]
    ) -> None:
        """One more second, and the totals so far."""
        self._row, self._latencies, self._counters = row, latencies_total, counters_total
        if self._plain:
            self._console.print(ticker(row, latencies_total), markup=False, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Something a person should know, now."""
        # While the picture is drawn, rich puts what is printed above it.
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def picture(self) -> RenderableType:
        """All of it as it stands."""
        parts: list[RenderableType] = [self._head()]
        if self._row is not None:
            # Side by side where there is room: a grid of two; else one under the other.
            blocks = [_rates(self._row, self._counters), _latencies(self._row, self._latencies)]
            blocks += [_health(self._row), _errors(self._counters)]
            parts.append(_two_columns(blocks) if self._console.width >= 110 else Group(*blocks))
            if self._row.stock:
                parts.append(_stock(self._row))
        return Group(*parts)

    def _head(self) -> RenderableType:
        passed = time.monotonic() - self._began
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right")
        total = self._total_seconds
        table.add_row(
            Text(self._title, style="bold"),
            ProgressBar(total=total or 1, completed=min(passed, total or 0), pulse=total is None),
            Text(duration_shown(passed) + (f" of {duration_shown(total)}" if total else "")),
        )
        if self._phase is not None:
            name, since, seconds = self._phase
            here = time.monotonic() - since
            line = Text("".join(f"{done} ✓  " for done in self._phases_done[-4:]), style="dim")
            line.append(f"▸ {name}", style="bold cyan")
            rest = f"{duration_shown(max(0.0, seconds - here))} left" if seconds else duration_shown(here)
            bar = ProgressBar(total=seconds or 1, completed=min(here, seconds or 0), pulse=not seconds)
            table.add_row(line, bar, Text(rest))
        return table


def ticker(row: SampleRow, latencies: Mapping[str, Percentiles]) -> str:
    """One second as one line, for logs."""
    parts = [f"{row.until_us / 1e6:7.0f} s", f"in {row.gauges.get('in', 0):,.0f}"]
    parts += [f"{label} {row.counters[name]:,}/s" for name, label in RATES.items() if row.counters.get(name)]
    for name in ("state", "reserve"):
        if name in row.latencies:
            so_far = f" (run {time_shown(latencies[name].p99)})" if name in latencies else ""
            parts.append(f"{name} p99 {time_shown(row.latencies[name].p99)}{so_far}")
    parts += [f"{name} {count:,}" for name, count in errors_of(row.counters).items() if name not in ORDINARY]
    cpu = [f"{name.removesuffix('_cpu')} {row.server[name]:.2f}" for name in _CPUS if name in row.server]
    if cpu or "cpu" in row.gauges:
        parts.append("cpu " + " ".join([*cpu, f"generator {row.gauges.get('cpu', 0):.2f}"]))
    return "  ".join(parts)


def print_verdict(result: Result, console: Console) -> None:
    """The end of the run: the verdict in words, thresholds, what the checker found with its first counter-example,
    errors, warnings."""
    verdict = verdict_of(result)
    colour = _COLOUR[verdict.word]
    console.print()
    console.print(Text(f" {verdict.headline} ", style=f"bold reverse {colour}"), Text(_run_line(result), style="dim"))
    for sentence in verdict.sentences:
        console.print(Text(f"  {sentence}"))
    if result.latencies:
        console.print(_latencies(None, result.latencies))
    if result.thresholds:
        console.print(_thresholds(result))
    if errors_of(result.counters):
        console.print(_errors(result.counters))
    _print_breaches(result, console)
    for warning in result.warnings:
        console.print(Text(f"  ! {warning}", style="yellow"))


def _run_line(result: Result) -> str:
    of_its_own = "own server" if result.own_server else result.target
    return f"{result.scenario} · {duration_shown(result.seconds)} · {of_its_own} {result.server_version}".rstrip()


def _print_breaches(result: Result, console: Console) -> None:
    if result.check is None:
        return
    shown = set()
    for breach in result.check.breaches:
        if breach.kind in shown:
            continue
        shown.add(breach.kind)
        count = result.check.counts.get(breach.kind, 0)
        console.print(Text(f"  {breach.kind.replace('_', ' ')}: {count:,}", style="bold red"))
        console.print(Text(f"    {breach.sentence}"))
        for line in breach.history:
            console.print(Text(f"      {line}", style="dim"))


_CPUS: Final = ("web_cpu", "worker_cpu", "redis_cpu")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=index > 0, header_style="dim")
    return table


def _rates(row: SampleRow, total: Mapping[str, int]) -> Table:
    table = _table("Rates", "", "a second", "in all")
    table.add_row("viewers in", f"{row.gauges.get('in', 0):,.0f}", "")
    for name, label in RATES.items():
        if total.get(name):
            table.add_row(label, f"{row.counters.get(name, 0):,}", f"{total[name]:,}")
    if row.gauges.get("outstanding"):
        table.add_row("waiting for an answer", f"{row.gauges['outstanding']:,.0f}", "")
    return table


def _latencies(row: SampleRow | None, total: Mapping[str, Percentiles]) -> Table:
    now = ("p99 now",) if row is not None else ()
    table = _table("Latency from the planned moment", "", *now, "p50", "p90", "p99", "p99.9", "most", "how many")
    for name, whole in total.items():
        if not whole.count:
            continue
        last = row.latencies.get(name) if row is not None else None
        first = [time_shown(last.p99) if last else "·"] if row is not None else []
        points = [time_shown(us) for us in (whole.p50, whole.p90, whole.p99, whole.p999, whole.max)]
        table.add_row(name.replace("_", " "), *first, *points, f"{whole.count:,}")
    return table


def _health(row: SampleRow) -> Table:
    table = _table("Health", "", "now")
    each = {name: share for name, share in row.gauges.items() if name.startswith("cpu.")}
    for name, share in (each or {"cpu": row.gauges.get("cpu", 0.0)}).items():
        number = name.partition(".")[2]
        label = f"generator {int(number) + 1}, core in use" if len(each) > 1 else "generator, core in use"
        table.add_row(label, Text(f"{share:.0%}", style="yellow" if share > CPU_FULL else ""))
    if "loop_lag" in row.latencies:
        table.add_row("generator loop lag p99", time_shown(row.latencies["loop_lag"].p99))
    if row.counters.get("late_sends"):
        table.add_row("late sends this second", Text(f"{row.counters['late_sends']:,}", style="yellow"))
    if row.gauges.get("descriptors"):
        table.add_row("descriptors", f"{row.gauges['descriptors']:,.0f}")
    for name in _CPUS:
        if name in row.server:
            table.add_row(f"{name.removesuffix('_cpu')}, cores in use", f"{row.server[name]:.2f}")
    if "web_rss_mib" in row.server:
        table.add_row("web, memory", f"{row.server['web_rss_mib']:,.0f} MiB")
    return table


def _errors(counters: Mapping[str, int]) -> Table:
    errors = errors_of(counters)
    table = _table("Refused and failed", "what", "times", "number")
    for name, count in list(errors.items())[:ERRORS_SHOWN]:
        style = "" if name in ORDINARY else "red"
        table.add_row(Text(words_of(name), style=style), f"{count:,}", name.partition(".")[2])
    if len(errors) > ERRORS_SHOWN:
        rest = list(errors.values())[ERRORS_SHOWN:]
        table.add_row(f"{len(rest)} more kinds", f"{sum(rest):,}", "")
    if not errors:
        table.add_row(Text("nothing yet", style="dim"), "", "")
    return table


def _stock(row: SampleRow) -> Table:
    table = _table("Stock", "deal", "free", "held", "paying", "sold", "waiting")
    for deal, numbers in row.stock.items():
        table.add_row(deal, *(f"{number:,}" for number in numbers))
    return table


def _thresholds(result: Result) -> Table:
    table = _table("Thresholds", "", "", "")
    for threshold in result.thresholds:
        mark = Text("held", style="green") if threshold.ok else Text("breached", style="bold red")
        table.add_row(threshold.text, mark, Text(threshold.why, style="dim"))
    return table


def _two_columns(blocks: list[Table]) -> Table:
    grid = Table.grid(padding=(0, 4))
    for at in range(0, len(blocks), 2):
        grid.add_row(*blocks[at : at + 2])
    return grid
