"""From measured values to a page: medians, spread, ratios. Pure arithmetic and text; it measures nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
OURS = "ours"


@dataclass(frozen=True, slots=True)
class Series:
    """What was measured, in which unit, with how many digits, and whether more or less of it is better."""

    table: str
    what: str
    unit: str
    digits: int
    better: Literal["more", "less"] = "more"


Values = dict[str, list[float]]  # side → one value a round


@dataclass(slots=True)
class Figures:
    """Everything one run found. `titles` are the columns, by side, in their order; `left_out` says why one is empty."""

    machine: list[str]
    day: str
    titles: Mapping[str, str]
    load_before: float
    rounds: int = 0  # finished
    load_after: float = 0.0
    minutes: float = 0.0
    left_out: dict[str, str] = field(default_factory=dict)
    series: dict[Series, Values] = field(default_factory=dict)

    def add(self, series: Series, side: str, value: float) -> None:
        self.series.setdefault(series, {}).setdefault(side, []).append(value)


def ratio(better: Literal["more", "less"], ours: float, other: float) -> float | None:
    """How many times better `ours` is than `other`; None where that cannot be said."""
    above, below = (ours, other) if better == "more" else (other, ours)
    return above / below if below > 0 and above >= 0 else None


def times_better(series: Series, ours: Sequence[float], other: Sequence[float]) -> float | None:
    """By the medians; None where a side is missing or zero."""
    return ratio(series.better, median(ours), median(other)) if ours and other else None


def shown(values: Iterable[float], digits: int) -> str:
    """The median, and in brackets the least and the most."""
    several = sorted(values)
    if not several:
        return "–"
    if len(several) == 1:
        return f"{several[0]:,.{digits}f}"
    return f"**{median(several):,.{digits}f}** ({several[0]:,.{digits}f} … {several[-1]:,.{digits}f})"


def report(figures: Figures) -> str:
    """The figures as Markdown: a table for each kind of question, with a column for each side that has an answer."""
    lines = [
        f"Measured on {figures.day} in {figures.minutes:.0f} min: {figures.rounds} round(s), all sides in turn; the "
        "median, and in brackets the least and the most. `×` says how many times better livecommerce is by the "
        "medians: above 1 it is ahead, below 1 behind.",
        "",
        *(f"- {line}" for line in figures.machine),
        f"- Load average of the machine before the run {figures.load_before:.1f}, after it {figures.load_after:.1f}.",
        *(f"- LEFT OUT: {figures.titles[side]}: {why}" for side, why in figures.left_out.items()),
    ]
    for table in dict.fromkeys(series.table for series in figures.series):
        rows = {series: values for series, values in figures.series.items() if series.table == table and values}
        lines += ["", f"### {table}", "", *_table(figures, rows)]
    return "\n".join(lines)


def _table(figures: Figures, rows: Mapping[Series, Values]) -> list[str]:
    sides = [side for side in figures.titles if any(side in values for values in rows.values())]
    lines = [
        f"| what | unit | {' | '.join(figures.titles[side] for side in sides)} |",
        "|---" * (len(sides) + 2) + "|",
    ]
    for series, values in rows.items():
        cells = [_cell(series, values, side) for side in sides]
        lines.append(f"| {series.what} | {series.unit} | {' | '.join(cells)} |")
    return lines


def _cell(series: Series, values: Values, side: str) -> str:
    text = shown(values.get(side, ()), series.digits)
    better = None if side == OURS else times_better(series, values.get(OURS, ()), values.get(side, ()))
    return text if better is None else f"{text} · {better:.2g} ×" if better < 10 else f"{text} · {better:,.0f} ×"


def renew(page: Path, text: str) -> None:
    """Put `text` between the two marks of the page; what people wrote around it stays. Raises `ValueError` where the
    page has no marks."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the figures: expected {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
