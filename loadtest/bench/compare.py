"""Two versions of the server in one run: the same benchmarks, in turn, and what differs by more than the noise.

What arrives: a git ref or a folder with another checkout. What leaves: for every figure the ratio with its spread and
a verdict. The other version's server and stagehand run with its own tree; generator and Valkey are ours, for both.
"""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from loadtest.bench.lab import OUR_TREE
from loadtest.bench.page import OURS, Figures, Series, ratio, shown

OTHER = "other"
Verdict = Literal["better", "worse", "within the noise"]


class NoSuchVersion(Exception):
    """In words for a person."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one figure. Ratios say how many times better this version is, one for each round, least first."""

    series: Series
    ours: list[float]
    other: list[float]
    ratios: list[float]
    verdict: Verdict

    @property
    def percent_worse(self) -> float:
        """By the median ratio; below 0 where this version is better."""
        return (1 / median(self.ratios) - 1) * 100


@contextlib.contextmanager
def checkout(other: str) -> Iterator[Path]:
    """A folder with that version: the folder itself, or a work tree of the ref in a temporary folder, removed at the
    end. Raises `NoSuchVersion`."""
    folder = Path(other)
    if folder.is_dir():
        if not (folder / "livecommerce" / "__init__.py").exists():
            raise NoSuchVersion(f"{other} is a folder, but there is no livecommerce/ in it")
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="lc-other-") as temporary:
        tree = Path(temporary) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), other, about=other)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree), about=other)


def _git(*words: str, about: str) -> None:
    try:
        subprocess.run(["git", "-C", str(OUR_TREE), *words], check=True, capture_output=True)
    except FileNotFoundError:
        raise NoSuchVersion("there is no git here; give a folder with the other checkout") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise NoSuchVersion(f"git cannot give the version {about}: {said[-1] if said else 'no reason'}") from None


def differences(figures: Figures) -> list[Difference]:
    """For every figure that both versions have."""
    return [
        _difference(series, values[OURS], values[OTHER])
        for series, values in figures.series.items()
        if values.get(OURS) and values.get(OTHER)
    ]


def _difference(series: Series, ours: list[float], other: list[float]) -> Difference:
    pairs = (ratio(series.better, mine, theirs) for mine, theirs in zip(ours, other, strict=True))
    ratios = sorted(each for each in pairs if each)
    verdict: Verdict = "within the noise"
    if ratios and (min(ours) > max(other) or max(ours) < min(other)):
        verdict = "better" if (median(ours) > median(other)) == (series.better == "more") else "worse"
    return Difference(series, ours, other, ratios or [1.0], verdict)


def too_much_worse(found: list[Difference], percent_max: float) -> list[Difference]:
    """What is worse beyond the noise and by more than that."""
    return [each for each in found if each.verdict == "worse" and each.percent_worse > percent_max]


def told(figures: Figures, found: list[Difference], other: str) -> str:
    """For the terminal."""
    lines = [
        f"This version beside {other}: {figures.rounds} rounds in turn, {figures.minutes:.1f} min; load average before "
        f"{figures.load_before:.1f}, after {figures.load_after:.1f}. × above 1: this version is better.",
        *figures.machine,
    ]
    for each in found:
        series, ratios = each.series, each.ratios
        lines += [
            f"{series.table}: {series.what}, {series.unit}",
            f"    this {_plain(each.ours, series.digits)}   other {_plain(each.other, series.digits)}   "
            f"{median(ratios):.2f} × ({ratios[0]:.2f} … {ratios[-1]:.2f})   {each.verdict}",
        ]
    return "\n".join(lines)


def _plain(values: list[float], digits: int) -> str:
    return shown(values, digits).replace("*", "")
