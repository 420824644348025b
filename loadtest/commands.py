"""The commands of the load tester. What arrives: arguments, the environment. What leaves: a verdict, an exit code.

Exit codes: 0 it holds · 1 the run broke off, or could not begin · 2 the call was wrong · 97 no conclusion, the
generator was the bottleneck · 98 stock does not add up · 99 a threshold was breached. Nothing here decides anything:
each command reads its arguments, calls one part and prints.
"""

import asyncio
import importlib
import os
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from livecommerce import __version__
from loadtest.conduct.conductor import BrokenOff
from loadtest.conduct.options import BadCall, Options, check_options, values_of
from loadtest.conduct.own_server import ServerFailed
from loadtest.conduct.run import EndedAtOnce, check_again, run
from loadtest.conduct.target import TargetError
from loadtest.measure.health import LimitError
from loadtest.measure.thresholds import ThresholdError, known_names, merge
from loadtest.report.files import read_result, write_all
from loadtest.report.terminal import LiveView, print_verdict
from loadtest.report.verdict import EXIT, late, verdict_of, wrong
from loadtest.result import Result
from loadtest.scenario import Scenario
from loadtest.scenarios import NoScenario, named, names

_BAD_CALL = (BadCall, ThresholdError, NoScenario)
_BROKE_OFF = (BrokenOff, EndedAtOnce, TargetError, ServerFailed, LimitError, OSError)
_LATER = {"bench": "loadtest.bench.commands", "compare": "loadtest.bench.commands", "replay": "loadtest.replay"}
_RESULTS = Path("loadtest-results")


class _Commands(click.Group):
    """Scenarios by their own name, as short for `run NAME`; `bench`, `compare` and `replay` are read when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_LATER]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LATER:
            found: click.Command = getattr(importlib.import_module(_LATER[cmd_name]), cmd_name)
            return found
        if cmd_name in names():
            return _scenario_command(cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A word that is no command may be a scenario with a slip in it."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            try:
                named(args[0])
            except NoScenario as error:
                _refuse(error)
            return args[0], _scenario_command(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def _refuse(error: Exception) -> None:
    click.secho(f"✗ {error}", fg="red", err=True)
    sys.exit(2)


def _reports_failures(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def safely(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except _BAD_CALL as error:
            _refuse(error)
        except BrokenPipeError:  # the reader had enough: `loadtest list | head`
            sys.exit(0)
        except _BROKE_OFF as error:
            click.secho(f"✗ {error}", fg="red", err=True)
            sys.exit(EXIT["broken_off"])
        except KeyboardInterrupt:
            click.secho("✗ Ended at once; nothing is reported.", fg="red", err=True)
            sys.exit(EXIT["broken_off"])

    return safely


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="livecommerce loadtest")
def main() -> None:
    """Prove tonight's drop will hold, before tonight.

    \b
    loadtest fanout                                  a server of its own, 10,000 viewers, a verdict
    loadtest hammer --set per_second=800 --ui        with a live page
    loadtest sell-out --threshold 'reserve_p99<1s'   exit 99 where it does not hold
    loadtest show --target http://127.0.0.1:8080 --email admin@example.com
    loadtest list                                    all scenarios and their parameters
    loadtest run mine.py                             a scenario of your own

    \b
    Exit codes: 0 it holds · 1 broke off · 2 wrong call · 97 no conclusion, the generator was the bottleneck
                98 stock does not add up · 99 a threshold was breached
    """


# --- run --------------------------------------------------------------------------------------------------------------

_RUN_OPTIONS = (
    click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="A parameter; may be given again."),
    click.option(
        "--threshold", "thresholds", multiple=True, metavar="NAME<VALUE", help="What must hold, as 'state_p99<100ms'; "
        "replaces the scenario's own of the same name. `loadtest thresholds` lists the names.",
    ),
    click.option("--workers", type=click.IntRange(0, 256), default=1, help="Generators started here (default 1)."),
    click.option(
        "--expect-generators", type=click.IntRange(0, 256), default=0, help="Generators that join from other hosts."
    ),
    click.option("--listen", default="127.0.0.1", metavar="HOST[:PORT]", help="Where those find the conductor."),
    click.option("--target", default="", metavar="URL", help="A server that runs already (default: one of our own)."),
    click.option("--email", default="", help="An admin's account there; the password comes from LOADTEST_PASSWORD."),
    click.option("--i-own-this-host", is_flag=True, help="Needed where the target is not this machine."),
    click.option("--no-verify", is_flag=True, help="Take any certificate of the target."),
    click.option("--any-version", is_flag=True, help="Take a target of another version."),
    click.option("--processes", type=click.IntRange(1, 64), help="Web processes of our own server (default 1)."),
    click.option("--keep-server", is_flag=True, help="Keep our own server's data and log."),
    click.option("--ui", is_flag=True, help="A local page with live plots."),
    click.option("--ui-port", type=click.IntRange(0, 65_535), default=0, help="Its port (default: any)."),
    click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the report and records."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output."),
    click.option("--plain", is_flag=True, help="Lines instead of a live screen."),
    click.option("--portable", is_flag=True, help="Read with the receiver in Python."),
    click.option("--seed", type=int, default=1, show_default=True, help="Of every draw of the crowd."),
    click.option(
        "--patience", type=click.FloatRange(0.1, 600), default=10.0, show_default=True,
        help="An answer later than so many seconds is a late answer.",
    ),
)  # fmt: skip


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


@main.command(name="run")
@click.argument("scenario")
@_run_options
@_reports_failures
def run_command(scenario: str, **given: Any) -> None:
    """Play SCENARIO: a name of `loadtest list`, or a Python file with a SCENARIO.

    \b
    loadtest run fanout --set viewers=2000
    loadtest run ./tonight.py --threshold 'oversold==0'
    """
    _play(named(scenario), **given)


def _scenario_command(name: str) -> click.Command:
    scenario = named(name)

    @click.command(name=scenario.name, help=_about(scenario), short_help=scenario.about)
    @_run_options
    @_reports_failures
    def command(**given: Any) -> None:
        _play(scenario, **given)

    return command


def _play(scenario: Scenario, *, sets: tuple[str, ...], as_json: bool, plain: bool, **given: Any) -> None:
    values = values_of(scenario, sets)
    options = _options(scenario, **given)
    # Looked at before a password is asked for, and once more by the run itself.
    merge(scenario.thresholds, options.thresholds)
    check_options(scenario, options)
    options = _with_password(options)
    console = Console(stderr=True)
    result = _run(scenario, values, options, plain, console)
    print_verdict(result, console)
    console.print(f"  The report lies in {options.out / 'report.html'}", highlight=False, soft_wrap=True)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    sys.exit(verdict_of(result).exit_code)


def _run(scenario: Scenario, values: dict[str, Any], options: Options, plain: bool, console: Console) -> Result:
    with LiveView(None, scenario.name, plain, console) as view:
        return asyncio.run(run(scenario, values, options, view))


def _options(
    scenario: Scenario, *, listen: str, out: Path | None, no_verify: bool, processes: int | None, patience: float,
    **given: Any,
) -> Options:  # fmt: skip
    host, port = _host_and_port(listen)
    if processes and given["target"]:
        raise BadCall("--processes is about our own server, and --target names another one.")
    return Options(
        out=out or _RESULTS / f"{scenario.name}-{datetime.now():%Y%m%d-%H%M%S}",
        listen_host=host,
        listen_port=port,
        key=os.environ.get("LOADTEST_KEY", "") if given["expect_generators"] else "",
        metrics_token=os.environ.get("LOADTEST_METRICS_TOKEN", ""),
        verify=not no_verify,
        processes=processes or 1,
        patience_seconds=patience,
        **given,
    )


def _host_and_port(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or listen.endswith("]"):
        return listen.strip("[]"), 0
    if not port.isdigit() or int(port) > 65_535:
        raise BadCall(f"--listen {listen}: expected HOST or HOST:PORT.")
    return host.strip("[]"), int(port)


def _with_password(options: Options) -> Options:
    """Never an argument: those everybody on this machine can read."""
    if not options.target:
        return options
    password = os.environ.get("LOADTEST_PASSWORD", "")
    if not password and sys.stdin.isatty():
        password = click.prompt(f"Password of {options.email}", hide_input=True, err=True)
    if not password:
        raise BadCall(f"The password of {options.email} is missing: set LOADTEST_PASSWORD.")
    from dataclasses import replace

    return replace(options, password=password)


# --- what there is ----------------------------------------------------------------------------------------------------


@main.command(name="list")
def list_scenarios() -> None:
    """All scenarios: what is open and what is closed, and every parameter with its default."""
    for name in names():
        scenario = named(name)
        click.secho(scenario.name, bold=True)
        click.echo(f"  {scenario.about}")
        click.echo(f"  {_load(scenario)}")
        for line in _parameters(scenario):
            click.echo(f"    {line}")
        click.echo()


@main.command(name="show-scenario")
@click.argument("scenario")
@_reports_failures
def show_scenario(scenario: str) -> None:
    """Everything about one scenario: load, parameters, default thresholds."""
    click.echo(_about(named(scenario)).replace("\b\n", ""))


@main.command()
def thresholds() -> None:
    """Every name that a --threshold may use."""
    for name in known_names():
        click.echo(name)


def _about(scenario: Scenario) -> str:
    blocks = [
        scenario.about + ".",
        "\b\n" + _load(scenario),
        "\b\nParameters (--set name=value):\n" + "\n".join(f"  {line}" for line in _parameters(scenario)),
    ]
    if scenario.thresholds:
        blocks.append("\b\nThresholds, where --threshold says nothing else:\n  " + "\n  ".join(scenario.thresholds))
    if scenario.needs_own_server:
        blocks.append("It needs a server of its own: --target is refused.")
    return "\n\n".join(blocks)


def _load(scenario: Scenario) -> str:
    return ", ".join(f"{kind}: {load}" for kind, load in scenario.load.items())


def _parameters(scenario: Scenario) -> list[str]:
    shown = {parameter.name: _shown(parameter.default) for parameter in scenario.parameters}
    width = max((len(name) + len(default) for name, default in shown.items()), default=0) + 1
    return [
        f"{f'{parameter.name}={shown[parameter.name]}':{width}}  {parameter.about}"
        + (f" ({', '.join(parameter.choices)})" if parameter.choices else "")
        for parameter in scenario.parameters
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- other hosts ------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("address", metavar="HOST:PORT")
@_reports_failures
def join(address: str) -> None:
    """Be a generator of a run that is conducted elsewhere. LOADTEST_KEY holds the key which the conductor shows.

    \b
    LOADTEST_KEY=… loadtest join 10.0.0.5:7000
    """
    from loadtest.generate.__main__ import main as generate

    generate(["--join", address], prog_name="loadtest join")


# --- afterwards -------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_reports_failures
def check(folder: Path) -> None:
    """Does stock add up? Replay the records of the run in FOLDER against its books, once more. Exit 98 where not, 97
    where not everything is there to be read, 99 where answers were right and too late."""
    found = check_again(folder)
    for kind, count in found.counts.items():
        click.echo(f"{count:8,}  {kind.replace('_', ' ')}")
    for breach in found.breaches:
        click.secho(f"✗ {breach.kind.replace('_', ' ')}: {breach.sentence}", fg="red")
        for line in breach.history:
            click.echo(f"    {line}")
    looked_at = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found.checked.items())
    click.echo(f"Looked at {looked_at or 'nothing'}.")
    if wrong(found):
        sys.exit(EXIT["wrong_stock"])
    if not found.complete:
        click.secho(f"✗ Not everything could be read, so this proves nothing: {found.note}", fg="red", err=True)
        sys.exit(EXIT["inconclusive"])
    if late(found):
        sys.exit(EXIT["breached"])


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@_reports_failures
def report(folder: Path) -> None:
    """Write the report again from FOLDER's result.json, and print the verdict. Exits as the run did."""
    try:
        result = read_result(folder)
    except ValueError as error:
        raise BadCall(str(error)) from None
    for path in write_all(result, folder if folder.is_dir() else folder.parent):
        click.echo(path)
    print_verdict(result, Console(stderr=True))
    sys.exit(verdict_of(result).exit_code)
