"""What everybody gets, read once: which marks count, by a clock that another host's may go ahead of."""

import pytest

from loadtest.generate.link import RunClock
from loadtest.generate.measured import Measured
from loadtest.generate.shared import SharedFrames
from tests.loadtest.wire.stand import state


@pytest.mark.parametrize(("ahead_us", "counts"), [(-1_000, True), (1_000_000, True), (60_000_000, False)])
def test_a_mark_counts_unless_it_lies_further_ahead_than_clocks_are_apart(ahead_us: int, counts: bool) -> None:
    clock = RunClock()
    clock.apart_us = 2_000_000
    shared = SharedFrames(clock, Measured(), lambda _deal: None)
    shared.number_epochs_by(lambda _epoch: 1)
    planned_us = clock.now_us() + ahead_us
    assert shared.facts_of(state(1, planned_us=planned_us)).planned == ((planned_us,) if counts else ())


def test_the_last_place_is_the_highest_that_anybody_told() -> None:
    shared = SharedFrames(RunClock(), Measured(), lambda _deal: None)
    for offset in (3, 9, 5):
        shared.know("epoch", offset)
    assert (shared.last_offset("epoch"), shared.last_offset("another")) == (9, 0)
