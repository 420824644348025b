"""From measured values to a page: medians, spread, ratios. Pure arithmetic and text; it measures nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
Side = Literal["ours", "comparator"]


@dataclass(frozen=True, slots=True)
class Series:
    """What was measured, in which unit, with how many digits, and whether more or less of it is better."""

    what: str
    unit: str
    digits: int
    better: Literal["more", "less"] = "more"


@dataclass(slots=True)
class Values:
    """One value a round, for both."""

    ours: list[float] = field(default_factory=list)
    comparator: list[float] = field(default_factory=list)

    def add(self, side: str, value: float) -> None:
        (self.ours if side == "ours" else self.comparator).append(value)


@dataclass(slots=True)
class Figures:
    """Everything one run found."""

    machine: list[str]
    day: str
    rounds: int
    load_before: float
    load_after: float = 0.0
    message_bytes: int = 0
    series: dict[Series, Values] = field(default_factory=dict)

    def of(self, series: Series) -> Values:
        return self.series.setdefault(series, Values())


def times_better(series: Series, values: Values) -> float | None:
    """How many times better our median is than the comparator's; None where that cannot be said."""
    if not values.ours or not values.comparator:
        return None
    ours, other = median(values.ours), median(values.comparator)
    above, below = (ours, other) if series.better == "more" else (other, ours)
    return above / below if below > 0 and above >= 0 else None


def shown(values: Iterable[float], digits: int) -> str:
    """The median, and in brackets the least and the most."""
    several = sorted(values)
    if not several:
        return "–"
    if len(several) == 1:
        return f"{several[0]:,.{digits}f}"
    return f"**{median(several):,.{digits}f}** ({several[0]:,.{digits}f} … {several[-1]:,.{digits}f})"


def report(figures: Figures) -> str:
    """The figures as Markdown."""
    lines = [
        f"Measured on {figures.day}: {figures.rounds} round(s), ours and the comparator in turn; the median, and in "
        "brackets the least and the most.",
        "",
        *(f"- {line}" for line in figures.machine),
        f"- Load average of the machine before the run {figures.load_before:.1f}, after it {figures.load_after:.1f}.",
    ]
    if figures.message_bytes:
        lines.append(f"- The card's message has {figures.message_bytes} bytes, for both.")
    lines += ["", "| what | unit | livecommerce | comparator | times better |", "|---|---|---|---|---|"]
    for series, values in figures.series.items():
        better = times_better(series, values)
        lines.append(
            f"| {series.what} | {series.unit} | {shown(values.ours, series.digits)} | "
            f"{shown(values.comparator, series.digits)} | {'–' if better is None else f'{better:.1f} ×'} |"
        )
    return "\n".join(lines)


def renew(page: Path, text: str) -> None:
    """Put `text` between the two marks of the page; what people wrote around it stays. Raises `ValueError` where the
    page has no marks."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the figures: expected {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
