"""Counts that can be added: merged is the same as recorded together, and nothing that was recorded is lost."""

import math
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.measure.histogram import HIGHEST_US, Histogram
from loadtest.result import Percentiles

# Merging copies 23,552 counters: no deadline holds on a busy machine.
MODEST = settings(deadline=None, max_examples=50)
LATENCIES = st.lists(st.integers(0, HIGHEST_US), max_size=60)


def recorded(*several: list[int]) -> Histogram:
    histogram = Histogram()
    for us in (us for one in several for us in one):
        histogram.record(us)
    return histogram


@MODEST
@given(st.lists(LATENCIES, max_size=4))
def test_merged_equals_recorded_together(parts: list[list[int]]) -> None:
    together = recorded(*parts)
    merged = Histogram()
    for part in parts:
        merged.merge_encoded(recorded(part).encode())

    assert merged.count == together.count == sum(map(len, parts))
    assert merged.percentiles() == together.percentiles()
    assert merged.spectrum() == together.spectrum()
    assert merged.encode() == together.encode()


@MODEST
@given(LATENCIES.filter(len), st.floats(0.01, 100))
def test_a_percentile_is_a_recorded_value_within_a_thousandth(latencies: list[int], percent: float) -> None:
    # The rank as HdrHistogram defines it: half a value is rounded up.
    rank = max(1, int(percent * len(latencies) / 100 + 0.5))
    exact = sorted(latencies)[rank - 1]

    found = recorded(latencies).percentile(percent)

    assert exact <= found <= exact * 1.001 + 1


@MODEST
@given(LATENCIES)
def test_what_was_encoded_is_what_is_decoded(latencies: list[int]) -> None:
    histogram = recorded(latencies)

    assert Histogram.decoded(histogram.encode()).spectrum() == histogram.spectrum()


def test_merging_is_not_averaging() -> None:
    quick, slow = recorded([1_000] * 99), recorded([500_000] * 1)

    quick.merge(slow)

    assert quick.percentile(99) == pytest.approx(1_000, rel=1e-3)
    assert quick.percentile(100) == pytest.approx(500_000, rel=1e-3)
    assert slow.count == 1


def test_a_count_is_as_good_as_as_many_records() -> None:
    many = Histogram()
    many.record(1_234, 7)

    assert many.encode() == recorded([1_234] * 7).encode()


@pytest.mark.parametrize(("us", "stands_as"), [(-5, 0), (HIGHEST_US * 2, HIGHEST_US)])
def test_what_lies_outside_is_counted_at_the_nearest_end(us: int, stands_as: int) -> None:
    histogram = recorded([us])

    assert histogram.count == 1
    assert histogram.percentile(50) == pytest.approx(stands_as, rel=1e-3)


def test_an_empty_one_says_so() -> None:
    histogram = Histogram()

    assert histogram.is_empty
    assert histogram.percentiles() == Percentiles(0, 0, 0, 0, 0, 0, 0)
    assert histogram.spectrum() == []
    assert Histogram.decoded(histogram.encode()).is_empty


def test_cleared_is_empty() -> None:
    histogram = recorded([5, 7])

    histogram.clear()

    assert histogram.is_empty
    assert histogram.encode() == Histogram().encode()


@pytest.mark.parametrize("text", ["", "x", "not base64!", "AAAA", recorded([1, 2, 3]).encode()[:-8]])
def test_what_is_no_histogram_is_refused_and_adds_nothing(text: str) -> None:
    histogram = recorded([9])

    with pytest.raises(ValueError, match="no encoded histogram"):
        histogram.merge_encoded(text)

    assert histogram.encode() == recorded([9]).encode()


def test_the_spectrum_grows_to_the_most_and_counts_all() -> None:
    points = recorded([*range(1, 1_000), 40_000]).spectrum()

    assert [us for _, us, _ in points] == sorted(us for _, us, _ in points)
    assert points[-1][0] == 100
    assert points[-1][1] == pytest.approx(40_000, rel=1e-3)
    assert points[-1][2] == 1_000


def test_the_text_has_mean_and_deviation_of_what_was_recorded() -> None:
    values = [100, 200, 300, 400]

    lines = recorded(values).hgrm().splitlines()

    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    words = next(line for line in lines if line.startswith("#[Mean")).replace(",", " ").replace("]", " ").split()
    mean, deviation = float(words[2]), float(words[5])
    assert math.isclose(mean, fmean(values), rel_tol=1e-2)
    assert math.isclose(deviation, pstdev(values), rel_tol=1e-2)
