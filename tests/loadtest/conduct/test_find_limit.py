"""The search for the limit, on a stage that only takes notes: what is judged, when it ends, how many come in."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from loadtest.conduct.options import values_of
from loadtest.conduct.stage import Window
from loadtest.result import Stop
from loadtest.scenarios import named

SCENARIO = named("find-limit")


class Notes:
    """A stage on which the step with `breaks_at` breaks, and the one with `short_at` has too few viewers."""

    def __init__(
        self, *given: str, breaks_at: int = 0, short_at: int = 0, doubts_at: int = 0, holds: int = 10**9
    ) -> None:
        self.values = values_of(SCENARIO, given)
        self.findings: dict[str, Any] = {}
        self.judged: Window | None = None
        self.viewers_max = holds
        self.windows: list[Window] = []
        self.done: list[tuple[str, float]] = []  # in order; joins, loads, "window" and "end" of it
        self.left_out: set[str] = set()
        self._breaks_at, self._short_at, self._doubts_at = breaks_at, short_at, doubts_at

    def number(self, name: str) -> float:
        return float(self.values[name])

    def whole(self, name: str) -> int:
        return int(self.values[name])

    def text(self, name: str) -> str:
        return str(self.values[name])

    def say(self, _text: str) -> None: ...
    async def show(self, *_: Any, **__: Any) -> None: ...
    async def phase(self, *_: Any) -> None: ...
    async def open_deals(self) -> None: ...
    async def wait(self, _seconds: float) -> None: ...
    async def finish(self) -> None: ...

    def leave_out(self, *names: str) -> None:
        self.left_out |= set(names)

    async def join(self, count: int, _per_second: float) -> None:
        self.done.append(("join", count))

    async def cards(self, per_second: float, _seconds: float) -> None:
        self.done.append(("cards", per_second))

    async def chat(self, per_second: float, _seconds: float) -> None:
        self.done.append(("chat", per_second))

    async def tap(self, per_second: float, _seconds: float, **_: Any) -> None:
        self.done.append(("tap", per_second))

    async def together(self, *verbs: Any) -> None:
        for verb in verbs:
            await verb

    @contextlib.asynccontextmanager
    async def window(self) -> AsyncIterator[Window]:
        self.done.append(("window", 0))
        window = Window(0, to_us=1_000_000)
        window.totals.counters.update(taps_planned=100, taps_sent=80)
        self.windows.append(window)
        yield window
        self.done.append(("end", 0))

    def broken(self, _window: Window) -> list[str]:
        return ["state_p99<500ms"] if len(self.windows) == self._breaks_at else []

    def crowd_is_too_small(self, _window: Window) -> bool:
        return len(self.windows) == self._short_at

    def doubts(self, _window: Window) -> list[str]:
        return ["The generator was late."] if len(self.windows) == self._doubts_at else []

    def suspect(self, _window: Window) -> Stop:
        return Stop("server", "It was the server.")


async def played(*given: str, **also: int) -> Notes:
    stage = Notes(*given, **also)
    await SCENARIO.play(stage)  # type: ignore[arg-type]
    return stage


async def test_viewers_come_in_within_the_stretch_that_is_measured() -> None:
    stage = await played("what=viewers", "from=10", "to=20", "factor=2")

    first = [("window", 0), ("join", 10), ("cards", 1.0), ("end", 0)]
    assert stage.done == [*first, ("window", 0), ("join", 10), ("cards", 1.0), ("end", 0)]
    assert "failed_joins_share" not in stage.left_out


async def test_only_what_this_load_can_break_is_judged() -> None:
    assert (await played("what=cards", "to=2")).left_out == {
        "failed_joins_share", "reserve_p99", "said_p99", "unsent_share", "refused_share",
    }  # fmt: skip
    assert (await played("what=chat", "to=20")).left_out == {"failed_joins_share", "reserve_p99", "refused_share"}


async def test_there_are_viewers_enough_for_the_load_before_it_is_measured() -> None:
    stage = await played("what=reservations", "from=1500", "to=3000", "factor=2", "viewers=100")

    assert [each for each in stage.done if each[0] != "cards"] == [
        ("join", 100), ("join", 900), ("window", 0), ("tap", 1500), ("end", 0),
        ("join", 1000), ("window", 0), ("tap", 3000), ("end", 0),
    ]  # fmt: skip


async def test_a_load_that_the_crowd_was_too_small_for_is_not_called_held() -> None:
    stage = await played("what=reservations", "from=10", "to=40", "factor=2", short_at=2)

    assert stage.findings["held"] == "10 reservations/s"
    assert stage.findings["not played as planned"] == "20 reservations/s"
    assert "the crowd was too small for this load: 20.0% of it was not sent" in stage.findings["why"]
    assert "broke at" not in stage.findings
    assert stage.judged is stage.windows[0]


async def test_a_step_that_the_load_tester_was_too_slow_for_is_neither_held_nor_broken() -> None:
    stage = await played("what=cards", "from=10", "to=40", "factor=2", doubts_at=2, breaks_at=2)

    assert stage.findings["held"] == "10 cards/s"
    assert stage.findings["why"] == "The generator was late."
    assert "broke at" not in stage.findings


async def test_more_viewers_than_the_generators_can_hold_are_not_called_held() -> None:
    stage = await played("what=viewers", "from=10", "to=40", "factor=2", holds=15)

    assert stage.findings["held"] == "10 viewers"
    assert "may hold 15 viewers" in stage.findings["why"]


async def test_the_first_threshold_that_breaks_ends_the_search() -> None:
    stage = await played("what=cards", "from=10", "to=1000", "factor=2", breaks_at=3)

    assert stage.findings["held"] == "20 cards/s"
    assert stage.findings["broke at"] == "40 cards/s"
    assert stage.findings["likely part"] == "server"
    assert stage.judged is stage.windows[1]
