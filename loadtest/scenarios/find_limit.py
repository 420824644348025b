"""How much does it carry? One load is raised step by step until the first threshold breaks.

Each step is measured by itself. What broke first, at which load, and which part was the likely reason stands in the
findings; the run's thresholds are judged by the last step that held. Where even the first step breaks, they are judged
by that one, and the run fails.
"""

from typing import Any

from loadtest.conduct.stage import Stage, Window
from loadtest.scenario import Parameter, Scenario

# What a step adds to is the room as it stands; these loads need one to be there first.
_START = {"viewers": 500.0, "cards": 2.0, "reservations": 200.0, "chat": 20.0}
_MOST = {"viewers": 20_000.0, "cards": 200.0, "reservations": 20_000.0, "chat": 2_000.0}
# Without such a load there is nothing that these could be measured by.
_ONLY = {"reservations": "reserve_p99", "chat": "said_p99"}
_UNITS = {"viewers": "viewers", "cards": "cards/s", "reservations": "reservations/s", "chat": "lines/s"}


async def play(stage: Stage) -> None:
    what = stage.text("what")
    load, most = stage.number("from") or _START[what], stage.number("to") or _MOST[what]
    await stage.show("Find the limit", cards=8, deals=4, quota=10_000)
    present = 0
    stage.leave_out(*(name for load_of, name in _ONLY.items() if load_of != what))
    if what != "viewers":
        present = stage.whole("viewers")
        await stage.phase("joining", present / stage.number("joins_per_second"))
        await stage.join(present, stage.number("joins_per_second"))
    if what == "reservations":
        await stage.open_deals()
    steps: list[dict[str, Any]] = []
    while True:
        await stage.phase(f"{load:,.0f} {_UNITS[what]}")
        if what == "viewers":
            await stage.join(round(load) - present, stage.number("joins_per_second"))
            present = round(load)
        async with stage.window() as window:
            await _step(stage, what, load)
        broken = stage.broken(window)
        steps.append(_row(what, load, window, broken))
        if broken or (load >= most):
            break
        stage.judged = window
        stage.findings["held"] = f"{load:,.0f} {_UNITS[what]}"
        load = min(most, max(load + 1, round(load * stage.number("factor"))))
    if not broken:
        stage.judged = window
        stage.findings["held"] = f"{load:,.0f} {_UNITS[what]}, the most that was asked for"
    else:
        stage.judged = stage.judged or window
        stop = stage.suspect(window)
        stage.findings |= {
            "broke at": f"{load:,.0f} {_UNITS[what]}",
            "first threshold that broke": broken[0],
            "likely part": stop.part,
            "why": stop.sentence,
        }
        stage.say(f"{broken[0]} broke at {load:,.0f} {_UNITS[what]}. {stop.sentence}")
    stage.findings["steps"] = steps
    await stage.finish()


async def _step(stage: Stage, what: str, load: float) -> None:
    seconds = stage.number("step_seconds")
    cards = stage.cards(load if what == "cards" else stage.number("cards_per_second"), seconds)
    if what == "chat":
        await stage.together(cards, stage.chat(load, seconds))
    elif what == "reservations":
        await stage.together(cards, stage.tap(load, seconds, release_after_ms=300))
    else:
        await cards


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
    thresholds=(
        # Where delivery or an answer takes longer than this, more load is no use to anybody.
        "state_p99<500ms",
        "reserve_p99<500ms",
        "said_p99<1s",
        "failed_joins_share<0.1%",
    ),
)
