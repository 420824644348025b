"""Arrivals that nobody can send yet: they wait in the order of their plans, none vanishes, none is sent twice."""

import random

from loadtest.generate.measured import Measured
from loadtest.generate.pacer import Pacer
from loadtest.generate.turns import LOOK_US, RESERVE_AT_ONCE, RESERVE_EVERY_US, Talk, Turns
from loadtest.generate.viewer import Errand, Viewer
from tests.loadtest.generate.test_pacer import HandClock


def a_viewer(number: int) -> Viewer:
    viewer = Viewer(number, f"vw_{number}", "token", "all")
    viewer.stage = "in"
    return viewer


class Floor:
    """One group's taps, and what was sent: (viewer, planned, when)."""

    def __init__(self, viewers: int) -> None:
        self.clock, self.measured = HandClock(), Measured()
        self.pacer = Pacer(self.clock, self.clock.timer, self.measured.late)
        self.turns = Turns(self.clock, self.pacer, self.measured)  # type: ignore[arg-type]
        self.viewers = [a_viewer(number) for number in range(viewers)]
        self.sent: list[tuple[int, int, int]] = []
        for viewer in self.viewers:
            self.turns.is_free(viewer)

    def tap(self, planned_us: int, order_id: int = 1) -> bool:
        def send(viewer: Viewer) -> None:
            viewer.errands["rid"] = Errand((("deal", 1),), planned_us)
            self.sent.append((viewer.number, planned_us, self.clock.us))

        return self.turns.tap(order_id, planned_us, send)

    def free(self, viewer: Viewer) -> None:
        viewer.errands.clear()
        self.turns.is_free(viewer)

    def late(self) -> list[int]:
        return sorted(self.measured._times["late"])


def test_who_has_been_free_for_longest_is_next() -> None:
    floor = Floor(3)
    assert [floor.tap(at) for at in (1, 2)] == [True, True]
    floor.free(floor.viewers[0])
    assert [floor.tap(at) for at in (3, 4)] == [True, True]
    assert [viewer for viewer, _, _ in floor.sent] == [0, 1, 2, 0]


def test_a_tap_for_which_nobody_is_free_waits_and_keeps_its_plan() -> None:
    floor = Floor(1)
    assert floor.tap(0)
    floor.clock.us = 100
    assert not floor.tap(100)
    assert not floor.tap(101)
    assert len(floor.turns) == 2
    floor.clock.us = 70_000
    floor.free(floor.viewers[0])
    assert floor.sent[1:] == [(0, 100, 70_000)]
    assert floor.late() == [69_900]
    # The server was slow, not we: it counts as waited for, not as sent late by this generator.
    assert dict(floor.measured.counters) == {"waited_sends": 1}


def test_what_never_found_anybody_is_given_up_for_its_own_order_alone() -> None:
    floor = Floor(1)
    floor.tap(0)
    for order_id in (1, 1, 2):
        floor.tap(5, order_id)
    assert floor.turns.give_up(1) == 2
    assert len(floor.turns) == 1
    floor.free(floor.viewers[0])
    assert len(floor.sent) == 2
    assert floor.turns.give_up(2) == 0


def test_who_is_away_or_busy_is_passed_over_until_she_is_free_again() -> None:
    floor = Floor(3)
    floor.viewers[0].stage = "away"
    floor.viewers[1].errands["other"] = Errand((), 0)
    assert floor.tap(1)
    assert not floor.tap(2)
    floor.viewers[0].stage = "in"
    floor.turns.is_free(floor.viewers[0])
    assert [viewer for viewer, _, _ in floor.sent] == [2, 0]


def test_who_tapped_as_much_as_the_server_lets_her_waits_and_taps_as_soon_as_she_may() -> None:
    floor = Floor(1)
    for _ in range(RESERVE_AT_ONCE):
        assert floor.tap(0)
        floor.free(floor.viewers[0])
    assert not floor.tap(0)
    floor.clock.run()
    assert floor.sent[-1] == (0, 0, RESERVE_EVERY_US)
    assert len(floor.sent) == RESERVE_AT_ONCE + 1


def test_a_line_that_nobody_may_say_yet_is_said_later_in_its_turn() -> None:
    clock, measured = HandClock(), Measured()
    pacer = Pacer(clock, clock.timer, measured.late)
    talk = Talk(clock, pacer, measured, [a_viewer(0), a_viewer(1)], random.Random(1))  # type: ignore[arg-type]
    said: list[str] = []
    is_open = False

    def say(text: str) -> bool:
        if is_open:
            said.append(text)
        return is_open

    assert not talk.line(0, lambda _viewer: say("first"))
    is_open = True
    assert not talk.line(1, lambda _viewer: say("second")), "it does not overtake"
    clock.run()
    assert said == ["first", "second"]
    assert measured._times["late"] == [LOOK_US, LOOK_US - 1]
    is_open = False
    assert not talk.line(LOOK_US, lambda _viewer: say("third"))
    assert talk.give_up() == 1
    assert len(talk) == 0


def test_a_line_finds_the_only_one_who_may_speak() -> None:
    clock, measured = HandClock(), Measured()
    pacer = Pacer(clock, clock.timer, measured.late)
    group = [a_viewer(number) for number in range(60)]
    talk = Talk(clock, pacer, measured, group, random.Random(1))  # type: ignore[arg-type]
    assert talk.line(0, lambda viewer: viewer.number == 41)
