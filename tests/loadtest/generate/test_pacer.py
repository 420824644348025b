"""The pacer, its clock turned by hand: never early, in order; every planned act happens or is counted as dropped."""

import asyncio
import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.generate.pacer import BURST_US, GRAIN_US, Pacer
from loadtest.generate.timer import KernelTimer, LoopTimer, finest_timer
from tests.live_server import until


class HandClock:
    """A clock and its one alarm. Acts may cost time: they turn the clock themselves."""

    def __init__(self) -> None:
        self.us = 0
        self.alarm_us: int | None = None
        self._ring: Callable[[], None] = lambda: None

    def now_us(self) -> int:
        return self.us

    def timer(self, alarm: Callable[[], None]) -> "HandClock":
        self._ring = alarm
        return self

    def set(self, after_us: int) -> None:
        self.alarm_us = self.us + after_us

    def close(self) -> None:
        self.alarm_us = None

    def run(self, late_by: Callable[[], int] = lambda: 0) -> None:
        """Let every alarm ring, each so much after its time, until none is set."""
        while self.alarm_us is not None:
            self.us, self.alarm_us = max(self.us, self.alarm_us) + late_by(), None
            self._ring()


def a_pacer() -> tuple[Pacer, HandClock, list[int]]:
    clock, late = HandClock(), list[int]()
    return Pacer(clock, clock.timer, late.append), clock, late


@settings(max_examples=200, deadline=None)
@given(
    plans=st.lists(st.lists(st.integers(0, 200_000), max_size=30), min_size=1, max_size=4),
    costs=st.integers(0, 3_000),
    lags=st.integers(0, 5_000),
    seed=st.integers(0, 1000),
)
def test_no_act_is_early_or_lost_and_all_keep_their_order(
    plans: list[list[int]], costs: int, lags: int, seed: int
) -> None:
    pacer, clock, late = a_pacer()
    rng = random.Random(seed)
    done: list[tuple[int, int]] = []  # planned, when
    over: list[int] = []

    def act(planned_us: int) -> None:
        done.append((planned_us, clock.us))
        clock.us += rng.randint(0, costs)

    for number, plan in enumerate(plans):
        pacer.stream(sorted(plan), act, lambda number=number: over.append(number))  # type: ignore[misc]
    clock.run(lambda: rng.randint(0, lags))

    assert all(when >= planned for planned, when in done)
    assert sorted(planned for planned, _ in done) == sorted(at for plan in plans for at in plan)
    assert [planned for planned, _ in done] == sorted(planned for planned, _ in done)
    assert sorted(over) == list(range(len(plans)))
    assert len(late) == len(done)
    assert all(us >= 0 for us in late)
    assert len(pacer) == 0


@settings(max_examples=50, deadline=None)
@given(planned=st.lists(st.integers(0, 100_000), max_size=40), end_us=st.integers(0, 100_000))
def test_what_is_dropped_is_told_and_the_rest_has_happened(planned: list[int], end_us: int) -> None:
    pacer, clock, late = a_pacer()
    acts: list[int] = []
    for at_us in planned:
        pacer.at(at_us, acts.append, counted=True)
    while clock.alarm_us is not None and clock.alarm_us <= end_us:
        clock.us, clock.alarm_us = clock.alarm_us, None
        pacer.run_due()
    dropped = pacer.drop_counted()
    assert len(acts) + dropped == len(planned)
    assert len(late) == len(acts)


def test_what_is_not_counted_stays_planned_when_arrivals_end() -> None:
    pacer, clock, late = a_pacer()
    acts: list[int] = []
    pacer.at(10, acts.append)
    pacer.stream([20, 30], acts.append, lambda: acts.append(-1))
    assert pacer.drop_counted() == 1
    clock.run()
    assert acts == [10]
    assert late == []


def test_lateness_is_what_passed_since_the_plan() -> None:
    pacer, clock, late = a_pacer()
    pacer.at(1_000, lambda _planned_us: None, counted=True)
    clock.run(lambda: 700)
    assert late == [700]


def test_a_plan_in_the_past_happens_at_once_and_counts_as_late() -> None:
    pacer, clock, late = a_pacer()
    clock.us = 5_000
    pacer.at(2_000, lambda _planned_us: None, counted=True)
    clock.run()
    assert late == [3_000]


def test_an_earlier_plan_moves_the_alarm_forward() -> None:
    pacer, clock, _ = a_pacer()
    pacer.at(50_000, lambda _planned_us: None)
    pacer.at(20_000, lambda _planned_us: None)
    assert clock.alarm_us == 20_000
    pacer.at(90_000, lambda _planned_us: None)
    assert clock.alarm_us == 20_000


def test_close_plans_share_a_wake_up() -> None:
    pacer, clock, _ = a_pacer()
    acts: list[int] = []
    for at_us in (10, 20, 30):
        pacer.at(at_us, acts.append)
    assert clock.alarm_us == GRAIN_US
    clock.run()
    assert acts == [10, 20, 30]


def test_a_long_burst_lets_the_loop_listen_in_between() -> None:
    pacer, clock, _ = a_pacer()
    acts: list[int] = []

    def dear(planned_us: int) -> None:
        acts.append(planned_us)
        clock.us += BURST_US // 2

    for _ in range(5):
        pacer.at(0, dear)
    clock.alarm_us = None
    pacer.run_due()
    assert len(acts) == 2
    assert clock.alarm_us == clock.us, "the rest is due at the loop's next turn"
    clock.run()
    assert len(acts) == 5


def test_after_close_nothing_happens() -> None:
    pacer, clock, _ = a_pacer()
    acts: list[int] = []
    pacer.at(10, acts.append)
    pacer.close()
    pacer.at(20, acts.append)
    assert clock.alarm_us is None
    assert acts == []


async def test_the_kernel_timer_rings_once_for_each_time_it_is_set() -> None:
    rung: list[int] = []
    timer = finest_timer(lambda: rung.append(1))
    assert isinstance(timer, KernelTimer)
    timer.set(0)
    await until(lambda: rung == [1])
    timer.set(50_000_000)
    timer.set(1)  # moved
    await until(lambda: rung == [1, 1])
    timer.set(1)
    timer.close()
    await asyncio.sleep(0)
    assert rung == [1, 1]


async def test_the_loops_own_timer_does_the_same() -> None:
    rung: list[int] = []
    timer = LoopTimer(lambda: rung.append(1))
    timer.set(50_000_000)
    timer.set(0)
    await until(lambda: rung == [1])
    timer.set(0)
    timer.close()
    await asyncio.sleep(0)
    assert rung == [1]


def test_an_arrival_that_waits_for_somebody_is_timed_by_who_sends_it() -> None:
    pacer, clock, late = a_pacer()
    pacer.stream([10, 20, 30], lambda planned_us: planned_us != 20)
    clock.run(lambda: 5_000)
    assert len(late) == 2
