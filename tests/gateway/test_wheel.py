"""One wheel for all timers: things are looked at when due, once, and a failing one costs the others nothing."""

from livecommerce.gateway.wheel import Wheel


class Thing:
    def __init__(self, again: float | None = None, *, fails: bool = False) -> None:
        self.wheel_slot = -1
        self.looks: list[float] = []
        self.again = again
        self.fails = fails

    def look(self, now_seconds: float) -> float | None:
        self.looks.append(now_seconds)
        if self.fails:
            raise RuntimeError("on purpose")
        return self.again


def turn(wheel: Wheel, until: int) -> None:
    for second in range(1, until + 1):
        wheel.turn(float(second))


def test_a_thing_is_looked_at_once_when_due() -> None:
    wheel, thing = Wheel(0.0), Thing()
    wheel.put(thing, 2.5)
    turn(wheel, 10)
    assert thing.looks == [3.0]
    assert len(wheel) == 0


def test_a_thing_that_wants_more_is_looked_at_again() -> None:
    wheel, thing = Wheel(0.0), Thing(again=2)
    wheel.put(thing, 1)
    turn(wheel, 7)
    assert thing.looks == [1.0, 3.0, 5.0, 7.0]


def test_a_new_appointment_replaces_the_old_and_a_dropped_one_is_gone() -> None:
    wheel, moved, dropped = Wheel(0.0), Thing(), Thing()
    wheel.put(moved, 1)
    wheel.put(moved, 4)
    wheel.put(dropped, 1)
    wheel.drop(dropped)
    wheel.drop(dropped)
    turn(wheel, 5)
    assert (moved.looks, dropped.looks) == ([4.0], [])


def test_a_thing_that_fails_costs_the_others_nothing() -> None:
    wheel, bad, good = Wheel(0.0), Thing(fails=True), Thing()
    for thing in (bad, good):
        wheel.put(thing, 1)
    turn(wheel, 2)
    assert good.looks == [1.0]
    assert bad.looks == [1.0]


def test_a_loop_that_slept_long_catches_up() -> None:
    wheel, thing = Wheel(0.0), Thing()
    wheel.put(thing, 3)
    wheel.turn(60.0)
    assert thing.looks == [60.0]


def test_times_beyond_the_wheel_are_cut_to_its_size() -> None:
    wheel, thing = Wheel(0.0, slots=8), Thing()
    wheel.put(thing, 1000)
    turn(wheel, 8)
    assert thing.looks == [7.0]
