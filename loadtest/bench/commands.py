"""The commands `bench` and `compare`, for the load tester's command line."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from loadtest.bench.compare import OTHER, NoSuchVersion, checkout, differences, told, too_much_worse
from loadtest.bench.lab import LabFailed
from loadtest.bench.page import OURS, Figures, renew, report
from loadtest.bench.run import Plan, planned, run
from loadtest.bench.scenarios import BENCHES
from loadtest.bench.sides import SIDES, other_version

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
WORSE = 99
_ROUNDS, _MINUTES_MAX = 3, 19.5
_NAMES = [bench.name for bench in BENCHES]


@click.command()
@click.option("--quick", is_flag=True, help="One round, few viewers; prints and writes no page.")
@click.option("--rounds", type=click.IntRange(1), help=f"Rounds, all sides in turn (default {_ROUNDS}).")
@click.option("--only", type=click.Choice(_NAMES), multiple=True, help="Measure only this; may be given again.")
@click.option("--side", "sides", type=click.Choice(list(SIDES)), multiple=True, help="Only this side; again for more.")
@click.option("--scale", type=click.FloatRange(0.001, 1), default=1.0, help="So much of every amount (default 1).")
@click.option(
    "--minutes", type=click.FloatRange(0), default=_MINUTES_MAX, help=f"No round is begun that would end later "
    f"(default {_MINUTES_MAX:g}; 0: no bound).",
)  # fmt: skip
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to renew (default docs/benchmarks.md; none where something is left out by an option).",
)
def bench(
    quick: bool, rounds: int | None, only: tuple[str, ...], sides: tuple[str, ...], scale: float, minutes: float,
    page: Path | None,
) -> None:  # fmt: skip
    """One core of the server beside the comparators: fan-out, reservations, chat, joins and memory.

    All traffic stays on this machine, and its servers are started and ended here.
    """
    chosen = [each for each in BENCHES if (each.name in only if only else not each.apart)]
    plan = Plan(
        planned(chosen, quick=quick, scale=scale),
        {key: side for key, side in SIDES.items() if not sides or key in sides},
        rounds or (1 if quick else _ROUNDS),
        minutes,
    )
    if page is None and not (quick or only or sides) and scale == 1.0:
        page = PAGE
    text = report(_run(plan))
    if page is not None:
        renew(page, text)
    click.echo(text)


@click.command()
@click.argument("other")
@click.option("--only", type=click.Choice(_NAMES), multiple=True, help="Compare only this; may be given again.")
@click.option("--rounds", type=click.IntRange(2), default=_ROUNDS, help=f"Rounds in turn (default {_ROUNDS}).")
@click.option("--quick", is_flag=True, help="Few viewers.")
@click.option("--scale", type=click.FloatRange(0.001, 1), default=1.0, help="So much of every amount (default 1).")
@click.option("--worse-than", type=click.FloatRange(0), default=10.0, help="Percent that are a failure (default 10).")
def compare(other: str, only: tuple[str, ...], rounds: int, quick: bool, scale: float, worse_than: float) -> None:
    """This version's server beside OTHER, a git ref or a folder with another checkout, in one run.

    Exit 99 where a figure is worse by more than --worse-than percent and the rounds of the two do not overlap.
    """
    # Unasked, what measures the instrument is left out: it is the same for both.
    chosen = [each for each in BENCHES if (each.name in only if only else each.sides != (OURS,) and not each.apart)]
    benches = [replace(each, sides=(OURS, OTHER)) for each in chosen]
    try:
        with checkout(other) as tree:
            sides = {OURS: SIDES[OURS], OTHER: other_version(tree, other)}
            figures = _run(Plan(planned(benches, quick=quick, scale=scale), sides, rounds))
    except NoSuchVersion as error:
        raise click.UsageError(str(error)) from None
    found = differences(figures)
    click.echo(told(figures, found, other))
    if worse := too_much_worse(found, worse_than):
        for each in worse:
            what = f"{each.series.table}: {each.series.what}, {each.series.unit}"
            click.echo(f"WORSE by {each.percent_worse:.0f} %: {what}", err=True)
        sys.exit(WORSE)


def _run(plan: Plan) -> Figures:
    try:
        return run(plan, lambda text: click.echo(text, err=True))
    except LabFailed as error:
        raise click.ClickException(str(error)) from None
