"""How a benchmark is declared: a small record, like a scenario. The runner is one for all of them.

What arrives: nothing. What leaves: `Bench` records, made in `loadtest/bench/scenarios/`. It knows no server and no
page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from loadtest.bench.lab import Lab
    from loadtest.bench.sides import Side

Measure = Callable[["Lab", "Side", "Amount"], Mapping[str, float]]
Amount = Mapping[str, int]  # how much is measured: viewers, cards … More makes the spread smaller, nothing else.


@dataclass(frozen=True, slots=True)
class Unit:
    """One figure of a benchmark: what it is called, how many digits are shown, whether more or less of it is better."""

    name: str
    digits: int
    better: Literal["more", "less"] = "more"


@dataclass(frozen=True, slots=True)
class Bench:
    """`measure` returns a value for each of `units` that makes sense for that side, by the unit's name, and raises
    `LabFailed` where something was lost: figures of a broken server are none. `what` is filled in from the amount."""

    name: str
    table: str
    what: str
    sides: tuple[str, ...]
    units: tuple[Unit, ...]
    measure: Measure
    full: Amount
    quick: Amount | None = None  # None: too large for a quick look
    apart: bool = False  # takes minutes and has a page of its own: measured where it is named, not with all others
    on_disk: bool = False  # what a disk costs is part of the question


def scaled(amount: Amount, scale: float) -> Amount:
    """So much less of everything, but never nothing."""
    return {name: max(2, round(number * scale)) for name, number in amount.items()}
