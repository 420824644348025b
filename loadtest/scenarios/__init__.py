"""The scenarios that come with the load tester, and how a file becomes one.

What arrives: a name, or the path of a file. What leaves: its `Scenario`; or `NoScenario` in words, with what is close.
"""

import importlib
import importlib.util
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from loadtest.scenario import Scenario

# name → module; in the order in which `loadtest list` tells them: what is asked first, first.
MODULES = {
    "hammer": "hammer",
    "fanout": "fanout",
    "show": "show",
    "jitter": "jitter",
    "churn": "churn",
    "avalanche": "avalanche",
    "slow-client": "slow_client",
    "redis-cut": "redis_cut",
    "sell-out": "sell_out",
    "find-limit": "find_limit",
}


class NoScenario(Exception):
    """There is no such scenario, or the file is none; the text says what to do."""


def names() -> tuple[str, ...]:
    return tuple(MODULES)


def named(name: str) -> Scenario:
    """A built-in scenario, or the `SCENARIO` of a Python file. Raises `NoScenario`."""
    if name.endswith(".py") or "/" in name:
        return _of_file(Path(name))
    if name not in MODULES:
        close = get_close_matches(name.replace("_", "-"), MODULES, 3, 0.4)
        meant = f" Did you mean {' or '.join(close)}?" if close else ""
        raise NoScenario(
            f"There is no scenario {name}.{meant} `loadtest list` shows them all; a file of your own ends in .py."
        )
    return _of_module(importlib.import_module(f"loadtest.scenarios.{MODULES[name]}"), name)


def _of_file(path: Path) -> Scenario:
    if not path.is_file():
        raise NoScenario(f"There is no file {path}.")
    spec = importlib.util.spec_from_file_location(f"loadtest_scenario_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise NoScenario(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses of the file look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        # It is somebody's own file: whatever it raises, they want to read that.
        raise NoScenario(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    return _of_module(module, str(path))


def _of_module(module: ModuleType, name: str) -> Scenario:
    scenario = getattr(module, "SCENARIO", None)
    if not isinstance(scenario, Scenario):
        raise NoScenario(f"{name} has no SCENARIO = Scenario(…); loadtest/scenarios/fanout.py is a short example.")
    return scenario
