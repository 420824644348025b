"""What simulated viewers do."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.crowd.arrivals import seeded
from loadtest.crowd.behaviour import (
    Reaction,
    accepts_offer,
    check_after,
    decide_after_hold,
    draw_away_ms,
    draw_of,
    draw_speaker,
    draw_stay_seconds,
    is_question,
    taps,
)
from loadtest.orders import After

QUICK = settings(max_examples=60, deadline=None)
shares = st.floats(0, 1)
MANY = 20_000


def test_half_of_the_reactions_lie_below_the_median_and_one_in_six_above_a_sigma() -> None:
    rng, reaction = seeded(1), Reaction(900, 0.5)
    drawn = [reaction.draw_ms(rng) for _ in range(MANY)]

    assert min(drawn) > 0
    assert sum(ms < 900 for ms in drawn) / MANY == pytest.approx(0.5, abs=0.02)
    assert sum(ms > 900 * 2.718281828**0.5 for ms in drawn) / MANY == pytest.approx(0.1587, abs=0.02)
    assert Reaction(900, 0).draw_seconds(rng) == pytest.approx(0.9)
    assert Reaction(0, 1).draw_ms(rng) == 0


@pytest.mark.parametrize(
    ("median_ms", "sigma", "words"),
    [(-1, 0.5, "median is a time in milliseconds from 0 on, not -1"), (900, float("nan"), "sigma is a number")],
)
def test_a_reaction_that_cannot_be_is_refused_in_words(median_ms: float, sigma: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Reaction(median_ms, sigma)


def test_holds_are_paid_given_back_or_left_by_their_shares() -> None:
    rng, after = seeded(2), After(pay_share=0.6, release_share=0.1, think_median_ms=2_000, think_sigma=0.3)
    decisions = [decide_after_hold(rng, after) for _ in range(MANY)]
    what = Counter(decision.action for decision in decisions)

    assert what["pay"] / MANY == pytest.approx(0.6, abs=0.02)
    assert what["release"] / MANY == pytest.approx(0.1, abs=0.02)
    assert what["let_lapse"] / MANY == pytest.approx(0.3, abs=0.02)
    assert sum(decision.think_seconds < 2 for decision in decisions) / MANY == pytest.approx(0.5, abs=0.02)


@QUICK
@given(st.integers(0, 2**32), shares, shares)
def test_a_changed_share_does_not_move_what_is_drawn_afterwards(seed: int, pay: float, other: float) -> None:
    one, two = seeded(seed), seeded(seed)

    first = decide_after_hold(one, After(pay_share=pay))
    second = decide_after_hold(two, After(pay_share=other))

    assert first.think_seconds == second.think_seconds
    assert one.random() == two.random()


@QUICK
@given(shares, shares)
def test_shares_of_the_holds_above_one_are_refused_in_words(pay: float, release: float) -> None:
    after = After(pay_share=pay, release_share=release)
    if pay + release <= 1:
        assert check_after(after) is after
    elif pay + release > 1.000001:
        with pytest.raises(ValueError, match="there is only 1 to share"):
            check_after(after)


def test_shares_that_make_one_in_tenths_are_taken() -> None:
    assert check_after(After(pay_share=0.7, release_share=0.3))
    assert check_after(After(pay_share=0.1 + 0.2, release_share=0.7))


@pytest.mark.parametrize("name", ["pay_share", "release_share", "accept_share"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_outside_is_refused_by_its_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is a share from 0 to 1"):
        check_after(After(**{name: value}))


@QUICK
@given(st.integers(0, 2**32), st.integers(1, 5_000), shares)
def test_a_speaker_is_always_somebody_of_the_group(seed: int, viewers: int, talkative: float) -> None:
    assert 0 <= draw_speaker(seeded(seed), viewers, talkative) < viewers


def test_the_talkative_do_all_the_talking_alike_and_sit_all_over_the_group() -> None:
    rng = seeded(4)
    spoke = Counter(draw_speaker(rng, 1_000, 0.1) for _ in range(MANY))

    assert len(spoke) == 100
    assert max(spoke.values()) < 2 * MANY / 100
    assert {place // 100 for place in spoke} == set(range(10))
    with pytest.raises(ValueError, match="Nobody is there to speak"):
        draw_speaker(rng, 0)


def test_choices_come_by_their_weights() -> None:
    rng = seeded(5)

    assert Counter(draw_of(rng, {"phone": 0.9, "desk": 0.1}) for _ in range(MANY))["phone"] == pytest.approx(
        0.9 * MANY, rel=0.02
    )
    assert sum(taps(rng, 0.2) for _ in range(MANY)) == pytest.approx(0.2 * MANY, rel=0.05)
    assert sum(is_question(rng, 0.05) for _ in range(MANY)) == pytest.approx(0.05 * MANY, rel=0.12)
    assert sum(accepts_offer(rng, After(accept_share=0.8)) for _ in range(MANY)) == pytest.approx(0.8 * MANY, rel=0.02)
    with pytest.raises(ValueError, match="one of them is above 0"):
        draw_of(rng, {"en": 0})


def test_stays_and_times_away_are_drawn_within_their_bounds() -> None:
    rng = seeded(6)
    stays = [draw_stay_seconds(rng, 1_200, 1.0) for _ in range(MANY)]

    assert sum(seconds < 1_200 for seconds in stays) / MANY == pytest.approx(0.5, abs=0.02)
    assert all(1_500 <= draw_away_ms(rng, (1_500, 2_500)) <= 2_500 for _ in range(100))
    with pytest.raises(ValueError, match="from 0 on and rises"):
        draw_away_ms(rng, (5, 4))
