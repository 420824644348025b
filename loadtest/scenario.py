"""A scenario: what is done to the server, with which load, and what must hold. A small Python file is one.

What arrives: nothing. What leaves: a `Scenario` that the conductor plays. The file's `SCENARIO` names its parameters
with defaults and units; its `play` gives orders through the stage and reads like the evening it stands for.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from loadtest.conduct.stage import Stage

Load = Literal["open", "closed"]
Value = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """What `--set name=value` changes. The type of the default is the type that is asked for."""

    name: str
    default: Value
    about: str  # with the unit, as it stands in `--help`
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()  # of a text: what it may be; empty is anything


@dataclass(frozen=True, slots=True)
class Scenario:
    """`load` says of each kind of arrival whether it is open (a rate, whatever the server does) or closed (a population
    that waits for the server). `thresholds` are the defaults; `--threshold` adds to them and replaces those of the same
    name. `needs_own_server`: it does things to the server's processes that only whoever started them may do."""

    name: str
    about: str
    load: dict[str, Load]
    parameters: tuple[Parameter, ...]
    play: "Callable[[Stage], Awaitable[None]]"
    thresholds: tuple[str, ...] = ()
    needs_own_server: bool = False
    # How long it plays at most, in seconds, by its values; without it, all parameters that are seconds together.
    lasts: "Callable[[dict[str, Value]], float] | None" = None
    server_settings: dict[str, str] = field(default_factory=dict)  # of our own server, as environment variables
