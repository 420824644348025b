"""Streams of instants: rates, sharing, seeds."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.crowd.arrivals import Stage, even, poisson, ramp, seeded

QUICK = settings(max_examples=60, deadline=None)
rates = st.floats(0.01, 200)
lengths = st.floats(0, 30)
stages = st.lists(st.builds(Stage, st.floats(0, 20), st.floats(0, 100), st.floats(0, 100)), max_size=4)
seeds = st.integers(0, 2**32)


def _is_a_stream(times: list[float], seconds: float) -> None:
    assert all(0 <= at <= seconds for at in times)
    assert times == sorted(times)


@QUICK
@given(rates, lengths)
def test_even_arrivals_fall_at_whole_multiples_of_the_gap_and_before_the_end(per_second: float, seconds: float) -> None:
    times = list(even(per_second, seconds))

    _is_a_stream(times, seconds)
    assert times == [k / per_second for k in range(len(times))]
    assert len(times) / per_second >= seconds or math.isclose(len(times) / per_second, seconds)


@QUICK
@given(seeds, rates, lengths)
def test_poisson_arrivals_rise_and_stay_within_the_stretch(seed: int, per_second: float, seconds: float) -> None:
    _is_a_stream(list(poisson(seeded(seed), per_second, seconds)), seconds)


@QUICK
@given(stages, st.none() | seeds)
def test_a_ramp_rises_and_stays_within_its_stages(parts: list[Stage], seed: int | None) -> None:
    rng = None if seed is None else seeded(seed)

    # Sums of lengths in another order differ in the last place.
    _is_a_stream(list(ramp(parts, rng)), sum(part.seconds for part in parts) * (1 + 1e-12))


@QUICK
@given(stages)
def test_an_even_ramp_has_as_many_arrivals_as_the_area_under_its_rate(parts: list[Stage]) -> None:
    area = sum(part.arrivals for part in parts)

    assert abs(len(list(ramp(parts))) - area) <= 1


@QUICK
@given(seeds, rates, lengths, st.integers(1, 7), st.sampled_from(["even", "poisson", "ramp"]))
def test_the_shares_of_n_generators_together_are_the_one_stream(
    seed: int, per_second: float, seconds: float, of: int, shape: str
) -> None:
    def stream(share: tuple[int, int] = (0, 1)) -> list[float]:
        match shape:
            case "even":
                return list(even(per_second, seconds, share))
            case "poisson":
                return list(poisson(seeded(seed), per_second, seconds, share))
        return list(ramp([Stage(seconds, per_second, 0.0)], seeded(seed), share))

    whole = stream()
    parts = [stream((index, of)) for index in range(of)]

    assert sorted(itertools.chain(*parts)) == whole
    assert all(part == whole[index::of] for index, part in enumerate(parts))


@QUICK
@given(seeds)
def test_the_same_seed_gives_the_same_stream_and_each_purpose_its_own(seed: int) -> None:
    assert list(poisson(seeded(seed, "chat"), 9, 5)) == list(poisson(seeded(seed, "chat"), 9, 5))
    assert seeded(seed, "chat").random() != seeded(seed, "taps").random()


def test_a_seed_is_the_same_in_every_process() -> None:
    # Python's own hash of a string differs from process to process; generators on two hosts must agree.
    assert seeded(7, "chat").random() == 0.6360978300105365


@pytest.mark.parametrize("per_second", [0.5, 7, 300])
def test_over_a_long_span_the_poisson_rate_is_the_planned_one(per_second: float) -> None:
    seconds = 40_000 / per_second
    times = list(poisson(seeded(1, "long"), per_second, seconds))
    gaps = [after - before for before, after in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))

    assert len(times) == pytest.approx(40_000, rel=0.02)
    assert deviation == pytest.approx(mean, rel=0.03)  # what tells independent arrivals from even ones


def test_over_a_long_ramp_each_half_has_its_share() -> None:
    times = list(ramp([Stage(100, 0, 400)], seeded(3)))

    assert len(times) == pytest.approx(20_000, rel=0.03)
    assert sum(at < 50 for at in times) == pytest.approx(5_000, rel=0.05)


def test_stages_follow_one_another_without_losing_a_fraction() -> None:
    assert list(ramp([Stage(1, 0.5, 0.5), Stage(1, 0.5, 0.5), Stage(1, 1, 1)])) == [0.0, 2.0]
    assert list(ramp([Stage(2, 1, 1), Stage(3, 0, 0), Stage(1, 2, 2)])) == [0.0, 1.0, 5.0, 5.5]


def test_a_rate_of_nothing_has_no_arrival_and_an_endless_stretch_ends_where_the_reader_does() -> None:
    assert list(even(0, 10)) == list(poisson(seeded(1), 0, 10)) == list(ramp([])) == []
    assert list(itertools.islice(even(4, math.inf), 5)) == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused_in_words_before_the_first_arrival(wrong: float) -> None:
    words = "A rate is a number of arrivals a second"
    with pytest.raises(ValueError, match=words):
        even(wrong, 1)
    with pytest.raises(ValueError, match=words):
        poisson(seeded(1), wrong, 1)
    with pytest.raises(ValueError, match=words):
        ramp([Stage(1, wrong, 1)])


def test_a_length_below_nothing_and_a_share_outside_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="length in seconds from 0 on, not -1"):
        even(1, -1)
    with pytest.raises(ValueError, match=r"not \(2, 2\)"):
        even(1, 1, (2, 2))
    with pytest.raises(ValueError, match=r"not \(-1, 3\)"):
        poisson(seeded(1), 1, 1, (-1, 3))
