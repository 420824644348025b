"""Several generators add up to one: rows by second, totals over all."""

import pytest

from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Tally
from loadtest.orders import Sampled

SECOND = 1_000_000


def sampled(until_us: int, *latencies_us: int, frames: int = 0, **gauges: float) -> Sampled:
    histogram = Histogram()
    for us in latencies_us:
        histogram.record(us)
    return Sampled(until_us, {"frames": frames}, gauges, {"state": histogram.encode()})


def test_a_row_adds_counters_and_merges_histograms() -> None:
    tally = Tally()
    tally.add(0, sampled(SECOND, 1_000, 1_000, 1_000, frames=3))
    tally.add(1, sampled(SECOND, 900_000, frames=1))

    row = tally.close_second(SECOND, {"web_cpu": 0.5}, {"deal": (1, 2, 3, 4, 5)})

    assert row.counters == {"frames": 4}
    assert row.latencies["state"].count == 4
    assert row.latencies["state"].p50 == pytest.approx(1_000, rel=1e-3)
    assert row.latencies["state"].max == pytest.approx(900_000, rel=1e-3)
    assert (row.server, row.stock) == ({"web_cpu": 0.5}, {"deal": (1, 2, 3, 4, 5)})


def test_gauges_are_added_but_the_busiest_cpu_is_named() -> None:
    tally = Tally()
    tally.add(0, sampled(SECOND, **{"in": 100.0, "outstanding": 2.0, "cpu": 0.3, "cpu_wait": 0.2}))
    tally.add(1, sampled(SECOND, **{"in": 50.0, "outstanding": 1.0, "cpu": 0.8, "cpu_wait": 0.1}))

    gauges = tally.close_second(SECOND, {}).gauges

    assert gauges == {"in": 150.0, "outstanding": 3.0, "cpu": 0.8, "cpu_wait": 0.2, "cpu.0": 0.3, "cpu.1": 0.8}


def test_who_says_nothing_still_has_her_viewers_but_no_cpu() -> None:
    tally = Tally()
    tally.add(0, sampled(SECOND, **{"in": 100.0, "cpu": 0.3}))
    tally.close_second(SECOND, {})

    row = tally.close_second(2 * SECOND, {})

    assert row.gauges == {"in": 100.0}
    assert row.counters == {}
    assert row.latencies == {}


def test_a_second_that_ends_a_little_later_belongs_here_and_the_next_one_does_not() -> None:
    tally = Tally()
    tally.add(0, sampled(SECOND + 30_000, frames=1))
    tally.add(0, sampled(2 * SECOND + 30_000, frames=10))

    assert tally.close_second(SECOND, {}).counters == {"frames": 1}
    assert tally.close_second(2 * SECOND, {}).counters == {"frames": 10}


def test_the_totals_are_of_all_seconds_and_all_generators() -> None:
    tally = Tally()
    for second in (1, 2, 3):
        for generator in (0, 1):
            tally.add(generator, sampled(second * SECOND, second * 1_000, frames=5))
        tally.close_second(second * SECOND, {})

    assert tally.totals.counters == {"frames": 30}
    assert tally.totals.latencies()["state"].count == 6
    assert Histogram.decoded(tally.totals.encoded()["state"]).count == 6
    assert sum(row.latencies["state"].count for row in tally.rows) == 6


def test_what_was_never_measured_is_in_no_total() -> None:
    tally = Tally()
    tally.add(0, sampled(SECOND))

    assert tally.totals.latencies() == tally.totals.encoded() == {}


def test_a_sample_with_a_broken_histogram_counts_nowhere() -> None:
    tally = Tally()

    with pytest.raises(ValueError):
        tally.add(0, Sampled(SECOND, {"frames": 9}, {}, {"state": Histogram().encode(), "talk": "broken"}))

    assert tally.totals.counters == {}
    assert tally.close_second(SECOND, {}).counters == {}
