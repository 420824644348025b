"""Latencies in an HDR histogram: recorded in microseconds, merged raw, read as percentiles.

What arrives: microseconds, or the encoded histogram of somebody else. What leaves: percentiles, the spectrum, text.
Percentiles are read from merged counts alone; nothing here can average them. It does not know what was timed.
"""

import binascii
import io
import zlib
from bisect import bisect_left
from itertools import accumulate
from typing import Final, Self

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from loadtest.result import Percentiles

LOWEST_US: Final = 1
HIGHEST_US: Final = 3_600_000_000  # an hour: longer than any run waits for anything
FIGURES: Final = 3  # 0.1 %: finer than two runs on one machine ever agree

_TICKS_PER_HALF = 5  # points of the spectrum each time the distance to 100 % halves: HdrHistogram's own habit


class Histogram:
    """Counts of microseconds. What lies outside 0 … `HIGHEST_US` is counted at the nearest end, never dropped."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = _empty()

    @property
    def count(self) -> int:
        return int(self._counts.total_count)

    @property
    def is_empty(self) -> bool:
        return self.count == 0

    def record(self, us: int, count: int = 1) -> None:
        """Count `us` so often. A moment before its plan (two clocks disagree by a hair) counts as 0."""
        self._counts.record_value(min(max(int(us), 0), HIGHEST_US), count)

    def encode(self) -> str:
        """The counts as base64 of HdrHistogram's compressed V2 format: what other tools read too."""
        return str(self._counts.encode().decode())

    @classmethod
    def decoded(cls, encoded: str) -> Self:
        """Raises `ValueError` where the text is no histogram."""
        made = cls()
        made.merge_encoded(encoded)
        return made

    def merge_encoded(self, encoded: str) -> None:
        """Add the counts of another one. Raises `ValueError` where the text is no histogram; then nothing is added."""
        try:
            other = HdrHistogram.decode(encoded)
        except (HdrCookieException, HdrLengthException, binascii.Error, zlib.error, TypeError, IndexError) as error:
            raise ValueError(f"this is no encoded histogram: {error}") from None
        self._add(other)

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another one; it stays as it is."""
        self._add(other._counts)

    def percentile(self, p: float) -> float:
        """The microseconds that `p` percent (0 … 100) did not exceed; 0 where nothing was counted."""
        return self._values((p,))[0]

    def percentiles(self) -> Percentiles:
        """The summary that rows and results carry; all zero, with count 0, where nothing was counted."""
        return Percentiles(self.count, *self._values((50.0, 90.0, 95.0, 99.0, 99.9, 100.0)))

    def spectrum(self) -> list[tuple[float, float, int]]:
        """(percentile 0 … 100, microseconds, how many up to there), denser towards 100; the last one is the most."""
        return [
            (float(at.percentile_level_iterated_to), float(at.value_iterated_to), int(at.total_count_to_this_value))
            for at in self._counts.get_percentile_iterator(_TICKS_PER_HALF)
        ]

    def hgrm(self) -> str:
        """The distribution as HdrHistogram's percentile text, in microseconds."""
        # Unscaled: the library scales every figure of this text but the standard deviation.
        out = io.BytesIO()
        self._counts.output_percentile_distribution(out, 1, _TICKS_PER_HALF)
        return out.getvalue().decode()

    def clear(self) -> None:
        # A new one is made eight times faster than the old one's 23,552 counters are set back one by one.
        self._counts = _empty()

    def _add(self, other: HdrHistogram) -> None:
        if other.total_count:
            self._counts.add(other)

    def _values(self, percents: tuple[float, ...]) -> list[float]:
        """All in one pass over the counters in use: the library's own walk costs half a millisecond each."""
        counts = self._counts
        if not counts.total_count:
            return [0.0] * len(percents)
        first = counts.get_counts_array_index(counts.min_value)
        last = counts.get_counts_array_index(counts.max_value)
        reached = list(accumulate(counts.counts[first : last + 1]))
        return [
            float(
                counts.get_highest_equivalent_value(
                    counts.get_value_from_index(
                        first + bisect_left(reached, counts.get_target_count_at_percentile(percent))
                    )
                )
            )
            for percent in percents
        ]


def _empty() -> HdrHistogram:
    return HdrHistogram(LOWEST_US, HIGHEST_US, FIGURES)
