"""The commands of the load tester."""

from pathlib import Path

import click

from loadtest.bench import FULL, PARTS, QUICK, run

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure a livecommerce server on this machine.

    \b
    python -m loadtest bench           all figures, beside the comparator; renews docs/benchmarks.md (minutes)
    python -m loadtest bench --quick   one small round, printed only
    """


@main.command()
@click.option("--quick", is_flag=True, help="One round, few viewers; prints and writes no page.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds, ours and the comparator in turn (default 3).")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Measure only this; may be given again.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to renew (default docs/benchmarks.md; none where --only leaves something out).",
)
def bench(quick: bool, rounds: int | None, only: tuple[str, ...], page: Path | None) -> None:
    """Fan-out, reservations and memory of one hub process, in turn with a plain Starlette server."""
    plan = QUICK if quick else FULL
    if page is None and not quick and not only:
        page = PAGE
    click.echo(run(plan, rounds or plan.rounds, only or PARTS, page, click.echo))


if __name__ == "__main__":
    main()
