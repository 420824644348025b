"""docs/loadtest.md tells what there is: scenarios, options, exit codes, thresholds, and an example that plays."""

import re
from pathlib import Path

import click
import pytest

from livecommerce.settings import read_settings
from loadtest.commands import main
from loadtest.measure.thresholds import parse
from loadtest.report.verdict import EXIT
from loadtest.scenario import Scenario
from loadtest.scenarios import named, names

PAGE = (Path(__file__).parents[2] / "docs" / "loadtest.md").read_text()
# Of the Locust user, of git and of pip; the others are the load tester's own.
OPTIONS_OF_OTHERS = {"--show", "--card-every", "--headless", "--host", "--processes"}


def _options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def test_the_table_names_every_scenario_with_its_viewers() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| .* \| ([0-9,]+|steps) \|$", PAGE, re.MULTILINE)

    assert sorted(name for name, _ in rows) == sorted(names())
    for name, viewers in rows:
        default = next(each.default for each in named(name).parameters if each.name == "viewers")
        assert viewers == "steps" or int(viewers.replace(",", "")) == default


@pytest.mark.parametrize("name", names())
def test_each_scenario_says_of_its_loads_what_the_table_says(name: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")).split(" | ")
    told = {kind: ("open", "closed")[place] for place in (0, 1) for kind in row[2 + place].split(", ")}

    assert told == named(name).load


def test_every_option_on_the_page_exists() -> None:
    context = click.Context(main)
    commands = [main, *(main.get_command(context, name) for name in [*main.list_commands(context), *names()])]
    known = set().union(*(_options(command) for command in commands if command is not None))

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - OPTIONS_OF_OTHERS <= known


def test_every_threshold_on_the_page_can_be_asked_for() -> None:
    asked = re.findall(r"--threshold '([^']+)'", PAGE)

    assert len(asked) >= 3
    for text in asked:
        parse(text)


def test_the_exit_codes_are_those_of_the_verdict() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \| ", PAGE, re.MULTILINE)}

    assert told == {*EXIT.values(), 2}


def test_settings_are_told_with_their_defaults(tmp_path: Path) -> None:
    settings = read_settings({}, data=tmp_path)

    assert f"`SOCKETS_MAX` ({settings.sockets_max:,})" in PAGE
    assert f"(`TALK_TICK_MS`, {settings.talk_tick_ms})" in PAGE
    assert f"`OUTBOX_BYTES` ({settings.outbox_bytes_max // 1024} KiB)" in PAGE
    assert f"`ACCEPTS_PER_SECOND` ({settings.accepts_per_second:,})" in PAGE


def test_the_example_is_a_scenario(tmp_path: Path) -> None:
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "SCENARIO" in code)
    file = tmp_path / "tonight.py"
    file.write_text(example)

    scenario = named(str(file))

    assert isinstance(scenario, Scenario)
    assert scenario.name == "tonight"
    for text in scenario.thresholds:
        parse(text)
