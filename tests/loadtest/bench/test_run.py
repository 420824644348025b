"""The runner: which sides are measured, in which turn, and what becomes of one that fails or is not there."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.bench import run as running
from loadtest.bench.declared import Amount, Bench, Unit, scaled
from loadtest.bench.lab import LabFailed
from loadtest.bench.run import Plan, planned, run
from loadtest.bench.scenarios import BENCHES
from loadtest.bench.sides import OURS, SIDES, Side

AMOUNT = {"viewers": 5}
measured: list[str] = []
places: list[bool] = []  # whether each lab was on a disk


def _measure(_lab: object, side: Side, amount: Amount) -> Mapping[str, float]:
    measured.append(side.key)
    return {"frames/s": float(amount["viewers"])}


BENCH = Bench(
    "a-bench", "A table", "{viewers} viewers", ("ours", "plain", "floor"), (Unit("frames/s", 0),), _measure, AMOUNT
)


@pytest.fixture(autouse=True)
def _no_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def nothing(_tree: Path, *, on_disk: bool) -> Iterator[None]:
        places.append(on_disk)
        yield

    measured.clear()
    places.clear()
    monkeypatch.setattr(running, "open_lab", nothing)


def _plan(rounds: int, **sides: Side) -> Plan:
    return Plan([(BENCH, AMOUNT)], sides or {key: SIDES[key] for key in BENCH.sides}, rounds)


def test_every_side_is_measured_once_a_round_and_nobody_is_always_first() -> None:
    figures = run(_plan(3), lambda _: None)

    assert figures.rounds == 3
    assert [sorted(measured[at : at + 3]) for at in (0, 3, 6)] == [sorted(BENCH.sides)] * 3
    assert len({measured[0], measured[3], measured[6]}) == 3
    ((series, values),) = figures.series.items()
    assert (series.what, series.unit) == ("5 viewers", "frames/s")
    assert values == {key: [5.0] * 3 for key in BENCH.sides}


def test_what_asks_for_a_disk_is_measured_on_one() -> None:
    plan = Plan([(BENCH, AMOUNT), (replace(BENCH, on_disk=True), AMOUNT)], {"ours": OURS}, 1)

    run(plan, lambda _: None)

    assert places == [False, True]


def test_a_side_that_is_not_there_is_left_out_loudly() -> None:
    said: list[str] = []
    plan = _plan(1, ours=OURS, floor=replace(SIDES["floor"], why_missing=lambda: "there is no C compiler here"))

    figures = run(plan, said.append)

    assert figures.left_out == {"floor": "there is no C compiler here"}
    assert said[0] == "LEFT OUT: C send() loop: there is no C compiler here"
    assert measured == ["ours"]


def test_a_side_that_loses_something_ends_the_run_with_its_name() -> None:
    def lose(*_: object) -> Mapping[str, float]:
        raise LabFailed("3 of 5 cards came")

    plan = Plan([(replace(BENCH, measure=lose), AMOUNT)], {"ours": OURS}, 1)

    with pytest.raises(LabFailed, match="a-bench, livecommerce: 3 of 5 cards came"):
        run(plan, lambda _: None)


def test_a_round_that_would_not_fit_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = iter(range(0, 60 * 100, 60))
    monkeypatch.setattr(running.time, "monotonic", lambda: next(minutes))
    said: list[str] = []

    figures = run(replace(_plan(5), minutes_max=4.5), said.append)

    assert figures.rounds == 2
    assert said[-1] == "Stopped after 2 of 5 rounds: the next would not fit into 4.5 min."


def test_a_quick_look_leaves_the_large_ones_out() -> None:
    names = {bench.name for bench, _ in planned(BENCHES, quick=True)}

    assert "fan-out-1000" in names
    assert "fan-out-10000" not in names


def test_scaling_never_leaves_nothing() -> None:
    assert scaled({"viewers": 1000, "bursts": 3}, 0.01) == {"viewers": 10, "bursts": 2}


def test_declarations_have_names_of_their_own_and_known_sides() -> None:
    assert len({bench.name for bench in BENCHES}) == len(BENCHES)
    for bench in BENCHES:
        assert set(bench.sides) <= set(SIDES)
        assert bench.what.format_map(bench.full)
