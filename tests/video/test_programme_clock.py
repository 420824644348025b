"""The zero of a stream on the server's clock: believed where told, found where not, moved where it runs off."""

import random

import pytest

from livecommerce.video.programme_clock import LEAST_DELAY_MS, ProgrammeClock

NOW = 1_800_000_000_000.0


def _play(clock: ProgrammeClock, minutes: float, delay: float = 400.0, ppm: float = 0.0, jitter: float = 80.0) -> int:
    chance, steps = random.Random(7), 0
    for place in range(int(minutes * 120)):
        filmed = (place + 1) * 500.0
        end = filmed * (1 + ppm / 1e6)
        steps += clock.there(end, NOW + filmed + delay + chance.random() * jitter)
    return steps


def test_a_browser_that_knows_when_it_began_is_believed() -> None:
    clock = ProgrammeClock(NOW)

    assert _play(clock, 2) == 0
    assert clock.t0_ms == NOW


@pytest.mark.parametrize("told", [NOW - 3_600_000, NOW + 3_600_000])
def test_one_whose_clock_is_an_hour_off_is_not(told: float) -> None:
    clock = ProgrammeClock(told)
    _play(clock, 1)

    assert clock.t0_ms == pytest.approx(NOW + 400, abs=90)


def test_who_says_nothing_is_placed_by_arrival() -> None:
    clock = ProgrammeClock(None)
    _play(clock, 1)

    assert clock.t0_ms == pytest.approx(NOW + 400, abs=90)


@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_an_encoders_clock_that_runs_off_is_followed_within_a_quarter_of_a_second_and_some_jitter(ppm: float) -> None:
    clock = ProgrammeClock(NOW)
    steps = _play(clock, 60, ppm=ppm)
    end = 3_600_000 * (1 + ppm / 1e6)

    assert steps >= 3
    assert clock.t0_ms + end == pytest.approx(NOW + 3_600_000, abs=300)


def test_a_steady_clock_never_steps_in_an_hour() -> None:
    assert _play(ProgrammeClock(NOW), 60) == 0


@pytest.mark.parametrize("late", [-260.0, 0.0, 400.0])
def test_a_recorder_that_told_a_wrong_beginning_is_corrected_by_what_it_made(late: float) -> None:
    clock = ProgrammeClock(NOW - late)
    steps = 0
    for place in range(60):
        filmed = (place + 1) * 500.0
        steps += clock.there(filmed, NOW + filmed + LEAST_DELAY_MS + (place % 4) * 40, made=True)

    assert steps == (late != 0.0)
    assert clock.t0_ms == pytest.approx(NOW, abs=50)


def test_what_a_cut_held_up_moves_no_clock() -> None:
    clock = ProgrammeClock(NOW)
    for place in range(120):
        filmed = (place + 1) * 500.0
        made = NOW + filmed + LEAST_DELAY_MS
        clock.there(filmed, made + (20_000 if 40 <= place < 80 else 0), made=True)

    assert clock.t0_ms == pytest.approx(NOW, abs=50)


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize(("set_by", "at"), [(-20_000, 60), (-20_000, 4), (-300, 60), (900, 60)])
def test_a_camera_whose_own_clock_is_set_moves_nothing(set_by: float, at: int, for_good: bool) -> None:
    """What it says of when it made a chunk is one clock's word; a quartz explains half a millisecond a second."""
    clock = ProgrammeClock(NOW)
    for place in range(240):
        filmed = (place + 1) * 500.0
        off = set_by if place >= at and (for_good or place < at + 10) else 0.0
        assert not clock.there(filmed, NOW + filmed + LEAST_DELAY_MS + off, made=True)

    assert clock.t0_ms == pytest.approx(NOW, abs=50)


@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_a_cameras_quartz_that_runs_off_is_followed_by_what_it_says_either_way(ppm: float) -> None:
    clock, steps = ProgrammeClock(NOW), 0
    for place in range(7200):
        filmed = (place + 1) * 500.0
        steps += clock.there(filmed * (1 + ppm / 1e6), NOW + filmed + LEAST_DELAY_MS, made=True)

    assert steps >= 3
    assert clock.t0_ms + 3_600_000 * (1 + ppm / 1e6) == pytest.approx(NOW + 3_600_000, abs=250)


def test_a_line_that_became_slower_is_no_clock_that_runs_off() -> None:
    clock = ProgrammeClock(NOW)
    _play(clock, 1)
    for place in range(240):
        filmed = 60_000 + (place + 1) * 500.0
        clock.there(filmed, NOW + filmed + 2400)

    assert clock.t0_ms == NOW
