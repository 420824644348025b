"""How a run was called, and whether it can be meant: parameters, target, sizes. All of it before anything starts.

What arrives: a scenario, the words of `--set`, and options. What leaves: values by name, or `BadCall` with what to type
instead. It starts nothing.
"""

import ipaddress
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.scenario import Parameter, Scenario, Value

# The server signs passes for ten hours at most; entries, settling and slow answers need some of it.
PASS_MINUTES_MAX = 600
_SPARE_MINUTES = 30
KEY_CHARACTERS_MIN = 16  # who guesses the key of a run sends its load
_WORDS = {True: ("yes", "true", "on", "1"), False: ("no", "false", "off", "0")}


class BadCall(Exception):
    """The call cannot be meant; the text says why and what is close. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to play, beside what. Without `target` the run starts a server of its own."""

    out: Path
    thresholds: tuple[str, ...] = ()
    workers: int = 1
    expect_generators: int = 0
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    key: str = ""  # of the run; "" makes a new one
    target: str = ""
    email: str = ""
    password: str = field(default="", repr=False)
    metrics_token: str = field(default="", repr=False)
    i_own_this_host: bool = False
    verify: bool = True  # the target's certificate
    any_version: bool = False
    processes: int = 1  # web processes of our own server
    ui: bool = False
    ui_port: int = 0
    portable: bool = False
    seed: int = 1
    patience_seconds: float = 10.0
    keep_server: bool = False


def values_of(scenario: Scenario, given: Iterable[str]) -> dict[str, Value]:
    """Defaults, and over them what `--set name=value` says. Raises `BadCall`."""
    known = {parameter.name: parameter for parameter in scenario.parameters}
    values: dict[str, Value] = {parameter.name: parameter.default for parameter in scenario.parameters}
    for word in given:
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise BadCall(f"--set {word}: expected name=value, as in --set {next(iter(known), 'viewers')}=100.")
        if name not in known:
            raise BadCall(_unknown(scenario, name))
        values[name] = _read(known[name], text.strip())
    return values


def pass_minutes(scenario: Scenario, values: dict[str, Value]) -> int:
    """For how long the viewers' passes must be good. Raises `BadCall` where the plan is longer than any pass."""
    minutes = math.ceil(_planned_seconds(scenario, values) * 1.25 / 60) + _SPARE_MINUTES
    if minutes > PASS_MINUTES_MAX:
        raise BadCall(
            f"{scenario.name} would take {(minutes - _SPARE_MINUTES) / 60:.1f} hours, slow answers included. Viewers' "
            f"passes are good for {PASS_MINUTES_MAX / 60:.0f}: play it in parts."
        )
    return minutes


def _planned_seconds(scenario: Scenario, values: dict[str, Value]) -> float:
    if scenario.lasts is not None:
        return scenario.lasts(values)
    lengths = (value for name, value in values.items() if name == "seconds" or name.endswith("_seconds"))
    coming = float(values.get("viewers", 0)) / max(0.01, float(values.get("joins_per_second", 100.0)))
    return coming + sum(float(length) for length in lengths)


def check_options(scenario: Scenario, options: Options) -> None:
    """Whether these options and this scenario go together. Raises `BadCall`."""
    if options.workers < 0 or options.workers + options.expect_generators < 1:
        raise BadCall("At least one generator is needed: --workers 1, or --expect-generators for those of other hosts.")
    if options.key and len(options.key) < KEY_CHARACTERS_MIN:
        raise BadCall(
            f"LOADTEST_KEY has at least {KEY_CHARACTERS_MIN} characters: who guesses it sends the load. Leave it out "
            "and the run makes one."
        )
    host = urlsplit(options.target).hostname if options.target else "127.0.0.1"
    if options.expect_generators and _is_loopback(host or "") and not _is_loopback(options.listen_host):
        raise BadCall(
            f"Generators on other hosts cannot reach {options.target or 'a server of our own'}: loopback leads to "
            "themselves. Name a --target by an address that they can reach; for more generators here, --workers."
        )
    if not options.target:
        if options.email or options.i_own_this_host:
            raise BadCall("--email and --i-own-this-host belong to --target URL, which is missing.")
        return
    if scenario.needs_own_server:
        raise BadCall(
            f"{scenario.name} does things to the server's processes that only whoever started them may do: "
            "leave --target out, then the run starts a server of its own."
        )
    address = urlsplit(options.target)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise BadCall(f"--target {options.target}: expected an address such as http://127.0.0.1:8080.")
    if not options.email:
        raise BadCall(
            "--target needs the staff account that hosts the show: --email, and its password in LOADTEST_PASSWORD."
        )
    if not options.i_own_this_host and not _is_loopback(address.hostname):
        raise BadCall(
            f"{address.hostname} is not this machine. A load test of somebody else's server is an attack on it. "
            "If the host is yours, add --i-own-this-host."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unknown(scenario: Scenario, name: str) -> str:
    names = [parameter.name for parameter in scenario.parameters]
    close = get_close_matches(name, names, 3, 0.4)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"{scenario.name} has no parameter {name}.{meant} It has: {', '.join(names)}."


def _read(parameter: Parameter, text: str) -> Value:
    """The text as the type of the parameter's default."""
    value: Value
    try:
        match parameter.default:
            case bool():
                value = next(truth for truth, words in _WORDS.items() if text.lower() in words)
            case int():
                value = int(text.replace("_", "").replace(",", ""))
            case float():
                value = float(text.replace("_", "").replace(",", ""))
            case str():
                value = text
    except (ValueError, StopIteration):
        expected = {bool: "yes or no", int: "a whole number", float: "a number"}[type(parameter.default)]
        raise BadCall(f"--set {parameter.name}={text}: expected {expected} ({parameter.about}).") from None
    if parameter.choices and value not in parameter.choices:
        raise BadCall(f"--set {parameter.name}={text}: expected one of {', '.join(parameter.choices)}.")
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_bounds(parameter, value)
    return value


def _check_bounds(parameter: Parameter, value: float) -> None:
    if value != value or value in (float("inf"), float("-inf")):
        raise BadCall(f"--set {parameter.name}={value}: expected a number ({parameter.about}).")
    if parameter.least is not None and value < parameter.least:
        raise BadCall(f"--set {parameter.name}={value:g}: at least {parameter.least:g} ({parameter.about}).")
    if parameter.most is not None and value > parameter.most:
        raise BadCall(f"--set {parameter.name}={value:g}: at most {parameter.most:g} ({parameter.about}).")
