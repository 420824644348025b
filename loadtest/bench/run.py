"""The run: all sides in turn, round after round, so that a busy machine is busy for each of them.

What arrives: which benchmarks, which sides, how many rounds and minutes. What leaves: `Figures`. It knows no server:
what is measured and how stands in the declarations.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loadtest.bench.declared import Amount, Bench, scaled
from loadtest.bench.lab import OUR_TREE, LabFailed, open_lab
from loadtest.bench.page import Figures, Series
from loadtest.bench.sides import Side
from loadtest.machine import load_average, machine

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """`minutes_max` 0 is no bound. A round that would not fit any more is not begun."""

    benches: Sequence[tuple[Bench, Amount]]
    sides: Mapping[str, Side]
    rounds: int
    minutes_max: float = 0.0


def planned(benches: Sequence[Bench], *, quick: bool, scale: float = 1.0) -> list[tuple[Bench, Amount]]:
    """With the amount of each; a quick look leaves the large ones out."""
    amounts = [(bench, bench.quick if quick else bench.full) for bench in benches]
    return [(bench, amount if scale == 1.0 else scaled(amount, scale)) for bench, amount in amounts if amount]


def run(plan: Plan, say: Say) -> Figures:
    """Measure. Raises `LabFailed` with the benchmark's and the side's name: figures of a broken server are none."""
    figures = Figures(
        machine(), time.strftime("%Y-%m-%d"), {side.key: side.title for side in plan.sides.values()}, load_average()
    )
    present = {}
    for key in _wanted(plan):
        if why := plan.sides[key].why_missing():
            figures.left_out[key] = why
            say(f"LEFT OUT: {plan.sides[key].title}: {why}")
        else:
            present[key] = plan.sides[key]
    began = time.monotonic()
    for number in range(1, plan.rounds + 1):
        round_began = time.monotonic()
        for bench, amount in plan.benches:
            _measure_all(figures, bench, amount, present, number, say)
        figures.rounds = number
        ended = time.monotonic()
        if plan.minutes_max and number < plan.rounds and ended - began + ended - round_began > plan.minutes_max * 60:
            say(
                f"Stopped after {number} of {plan.rounds} rounds: the next would not fit into {plan.minutes_max:g} min."
            )
            break
    figures.minutes = (time.monotonic() - began) / 60
    figures.load_after = load_average()
    return figures


def _wanted(plan: Plan) -> list[str]:
    """In the order of the columns."""
    named = {key for bench, _ in plan.benches for key in bench.sides}
    return [key for key in plan.sides if key in named]


def _measure_all(
    figures: Figures, bench: Bench, amount: Amount, sides: Mapping[str, Side], number: int, say: Say
) -> None:
    what = bench.what.format_map(amount)
    rows = {unit.name: Series(bench.table, what, unit.name, unit.digits, unit.better) for unit in bench.units}
    for row in rows.values():
        figures.series.setdefault(row, {})  # in the declared order, whoever is measured first
    keys = [key for key in bench.sides if key in sides]
    # Nobody is always the first after a pause, or always the last.
    turn = number % len(keys) if keys else 0
    for key in keys[turn:] + keys[:turn]:
        side = sides[key]
        say(f"round {number}, {bench.name}: {what}: {side.title}")
        for unit, value in _measure(bench, side, amount).items():
            figures.add(rows[unit], key, value)


def _measure(bench: Bench, side: Side, amount: Amount) -> Mapping[str, float]:
    try:
        with open_lab(side.tree or OUR_TREE, on_disk=bench.on_disk) as lab:
            return bench.measure(lab, side, amount)
    except LabFailed as error:
        raise LabFailed(f"{bench.name}, {side.title}: {error}") from error
