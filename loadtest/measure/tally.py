"""All generators as one: their samples of a second become one row, and everything adds up to the totals of the run.

What arrives: `Sampled` of each generator as they come, and once a second what the server's probe and the books said.
What leaves: `SampleRow`s, totals. Histograms are merged by their counts. It does not know lines, clocks or screens.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.measure.histogram import Histogram
from loadtest.orders import Sampled
from loadtest.result import Percentiles, SampleRow

# A generator's second ends a little after the conductor's: what ends nearer to this row than to the next belongs here.
TOLERANCE_US = 500_000

_SUMMED = ("in", "outstanding", "descriptors", "rss_mib")


@dataclass(slots=True)
class Totals:
    """Of the whole run so far, all generators."""

    counters: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, Histogram] = field(default_factory=dict)

    def latencies(self) -> dict[str, Percentiles]:
        return {name: one.percentiles() for name, one in sorted(self.histograms.items()) if not one.is_empty}

    def encoded(self) -> dict[str, str]:
        """What was measured at all, for `Result.histograms`."""
        return {name: one.encode() for name, one in sorted(self.histograms.items()) if not one.is_empty}


@dataclass(frozen=True, slots=True)
class _Taken:
    """A sample that waits for its row, its histograms decoded."""

    generator: int
    sampled: Sampled
    histograms: dict[str, Histogram]


class Tally:
    """Merges samples by second. Gauges: what can be added is (`in` …), `cpu` and `cpu_wait` are the worst generator's,
    `cpu.<generator>` each one's. A generator that says nothing in a second still counts with what it said last, but for
    its `cpu`."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.rows: list[SampleRow] = []
        self._pending: list[_Taken] = []
        self._gauges: dict[int, dict[str, float]] = {}

    def add(self, generator: int, sampled: Sampled) -> None:
        """Take a sample in. The totals have it at once. Raises `ValueError` for what is no histogram; then the sample
        is not counted at all."""
        histograms = {name: Histogram.decoded(encoded) for name, encoded in sampled.histograms.items()}
        _merge(self.totals.histograms, histograms)
        self.totals.counters.update(sampled.counters)
        self._pending.append(_Taken(generator, sampled, histograms))

    def close_second(
        self,
        until_us: int,
        server: Mapping[str, float],
        stock: Mapping[str, tuple[int, int, int, int, int]] | None = None,
    ) -> SampleRow:
        """The row of what ended by `until_us`; what ended later waits for the next row."""
        due = [taken for taken in self._pending if taken.sampled.until_us <= until_us + TOLERANCE_US]
        self._pending = [taken for taken in self._pending if taken.sampled.until_us > until_us + TOLERANCE_US]
        counters: Counter[str] = Counter()
        histograms: dict[str, Histogram] = {}
        cpu: dict[int, float] = {}
        for taken in due:
            who, gauges = taken.generator, taken.sampled.gauges
            counters.update(taken.sampled.counters)
            _merge(histograms, taken.histograms)
            self._gauges[who] = gauges
            if "cpu" in gauges:
                cpu[who] = max(cpu.get(who, 0.0), gauges["cpu"])
        row = SampleRow(
            until_us=until_us,
            counters=dict(sorted(counters.items())),
            gauges=self._merged_gauges(cpu),
            latencies={name: one.percentiles() for name, one in sorted(histograms.items()) if not one.is_empty},
            server=dict(server),
            stock=dict(stock or {}),
        )
        self.rows.append(row)
        return row

    def _merged_gauges(self, cpu: dict[int, float]) -> dict[str, float]:
        merged = {
            name: sum(said.get(name, 0.0) for said in self._gauges.values())
            for name in _SUMMED
            if any(name in said for said in self._gauges.values())
        }
        if cpu:
            merged["cpu"] = max(cpu.values())
            if waited := [said["cpu_wait"] for said in self._gauges.values() if "cpu_wait" in said]:
                merged["cpu_wait"] = max(waited)
            merged |= {f"cpu.{who}": share for who, share in sorted(cpu.items())}
        return merged


def _merge(into: dict[str, Histogram], more: Mapping[str, Histogram]) -> None:
    for name, one in more.items():
        into.setdefault(name, Histogram()).merge(one)
