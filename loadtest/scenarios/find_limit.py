"""How much does it carry? One load is raised step by step until the first threshold breaks.

Each step is measured by itself, entries included, and only by what this load can break. What broke first, at which
load, and which part was the likely reason stands in the findings; the run's thresholds are judged by the last step that
held. Where even the first step breaks, they are judged by that one, and the run fails. A step that was not played as
planned (the crowd too small, the load tester too slow) says nothing: the search ends there without a limit.
"""

import math
from typing import Any

from loadtest.conduct.stage import Stage, Window
from loadtest.scenario import Parameter, Scenario, Value

# What a step adds to is the room as it stands; these loads need one to be there first.
_START = {"viewers": 500.0, "cards": 2.0, "reservations": 200.0, "chat": 20.0}
_MOST = {"viewers": 20_000.0, "cards": 200.0, "reservations": 20_000.0, "chat": 2_000.0}
# What a threshold on this is about; where another load is raised there is nothing to measure it by.
_ONLY = {
    "failed_joins_share": ("viewers",),
    "reserve_p99": ("reservations",),
    "refused_share": ("reservations",),
    "said_p99": ("chat",),
    "unsent_share": ("reservations", "chat"),
}
# The server takes two taps a second of a viewer and one line of chat; some speak or tap more than others.
_EACH_PER_SECOND = {"reservations": 1.5, "chat": 0.5}
_UNITS = {"viewers": "viewers", "cards": "cards/s", "reservations": "reservations/s", "chat": "lines/s"}


async def play(stage: Stage) -> None:
    what = stage.text("what")
    load, most = _first(stage.values), _last(stage.values)
    await stage.show("Find the limit", cards=8, deals=4, quota=10_000)
    stage.leave_out(*(name for name, loads in _ONLY.items() if what not in loads))
    room = _Room(stage)
    if what != "viewers":
        await stage.phase("joining", stage.whole("viewers") / stage.number("joins_per_second"))
        await room.fill(stage.whole("viewers"))
    if what == "reservations":
        await stage.open_deals()
    steps: list[dict[str, Any]] = []
    while True:
        shown = f"{load:,.0f} {_UNITS[what]}"
        await stage.phase(shown)
        if what != "viewers":
            await room.fill(math.ceil(load / _EACH_PER_SECOND.get(what, math.inf)))
        async with stage.window() as window:
            if what == "viewers":
                await room.fill(round(load))
                await stage.wait(1.1)  # what came with the entries is told before the cards begin
            await _step(stage, what, load)
        broken, not_played = stage.broken(window), room.too_small_for(what, load) or _not_played(stage, window)
        steps.append(_row(what, load, window, broken))
        if not_played or broken or load >= most:
            break
        stage.judged = window
        stage.findings["held"] = shown
        load = _next(load, most, stage.number("factor"))
    if not_played:
        stage.judged = stage.judged or window
        stage.findings |= {"not played as planned": shown, "why": not_played}
        stage.say(f"The search ends at {shown}: {not_played}")
    elif not broken:
        stage.judged = window
        stage.findings["held"] = f"{shown}, the most that was asked for"
    else:
        stage.judged = stage.judged or window
        stop = stage.suspect(window)
        stage.findings |= {
            "broke at": shown,
            "first threshold that broke": broken[0],
            "likely part": stop.part,
            "why": stop.sentence,
        }
        stage.say(f"{broken[0]} broke at {shown}. {stop.sentence}")
    stage.findings["steps"] = steps
    await stage.finish()


class _Room:
    """Who is in: it only grows."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._viewers = 0

    async def fill(self, viewers: int) -> None:
        """As many as this step needs, or as the generators can hold; too few of them shows in the step."""
        viewers = min(viewers, self._stage.viewers_max)
        if viewers > self._viewers:
            await self._stage.join(viewers - self._viewers, self._stage.number("joins_per_second"))
            self._viewers = viewers

    def too_small_for(self, what: str, load: float) -> str:
        if what != "viewers" or self._viewers >= round(load):
            return ""
        return f"the generators may hold {self._viewers:,} viewers; more descriptors (`ulimit -n`), or more hosts."


def _not_played(stage: Stage, window: Window) -> str:
    """Why this step was another load than the one that was planned; "" where it was that one."""
    if stage.crowd_is_too_small(window):
        unsent = window.facts()["unsent_share"]
        return f"the crowd was too small for this load: {unsent:.1%} of it was not sent."
    return next(iter(stage.doubts(window)), "")


async def _step(stage: Stage, what: str, load: float) -> None:
    seconds = stage.number("step_seconds")
    cards = stage.cards(load if what == "cards" else stage.number("cards_per_second"), seconds)
    if what == "chat":
        await stage.together(cards, stage.chat(load, seconds))
    elif what == "reservations":
        await stage.together(cards, stage.tap(load, seconds, release_after_ms=300))
    else:
        await cards


def _first(values: dict[str, Value]) -> float:
    return float(values["from"]) or _START[str(values["what"])]


def _last(values: dict[str, Value]) -> float:
    return float(values["to"]) or _MOST[str(values["what"])]


def _next(load: float, most: float, factor: float) -> float:
    return min(most, max(load + 1, round(load * factor)))


def _lasts(values: dict[str, Value]) -> float:
    """Every step, and everybody who comes in on the way."""
    load, most, steps = _first(values), _last(values), 1
    while load < most:
        load, steps = _next(load, most, float(values["factor"])), steps + 1
    viewers = max(float(values["viewers"]), most / _EACH_PER_SECOND.get(str(values["what"]), 1.0))
    return steps * (float(values["step_seconds"]) + 5.0) + viewers / float(values["joins_per_second"])


def _row(what: str, load: float, window: Window, broken: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {_UNITS[what]: round(load)}
    for name, latencies in window.totals.latencies().items():
        if name in ("state", "talk", "reserve", "join"):
            row[f"{name} p99 (ms)"] = round(latencies.p99 / 1000, 1)
    row["frames/s"] = round(window.totals.counters.get("frames", 0) / max(0.001, window.seconds))
    row["broke"] = ", ".join(broken)
    return row


SCENARIO = Scenario(
    name="find-limit",
    about="Raises one load until a threshold breaks; names the load, the threshold and the likely part",
    load={"viewers": "closed", "joins": "open", "cards": "open", "chat": "open", "taps": "open"},
    parameters=(
        Parameter("what", "viewers", "the load that is raised", choices=tuple(_START)),
        Parameter("from", 0.0, "first step; 0 takes the load's own default", least=0),
        Parameter("to", 0.0, "last step; 0 takes the load's own default", least=0),
        Parameter("factor", 1.5, "each step is so many times the one before", least=1.01, most=10),
        Parameter("step_seconds", 8.0, "length of a step, seconds", least=1, most=3_600),
        Parameter("viewers", 1_000, "viewers in the room, where another load is raised", least=1, most=200_000),
        Parameter("cards_per_second", 1.0, "cards a second, where another load is raised", least=0.01, most=1_000),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    lasts=_lasts,
    thresholds=(
        # Where delivery or an answer takes longer than this, more load is no use to anybody.
        "state_p99<500ms",
        # A card that is not there a second after the step's end is too late by more than that.
        "state_delivered_share>=99%",
        "reserve_p99<500ms",
        "said_p99<1s",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        "failed_joins_share<0.1%",
        # What was planned openly went out: else a slow server, or too small a crowd, chose its own load.
        "unsent_share<1%",
    ),
)
