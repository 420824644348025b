"""Redis dies under reservations and comes back: refused as busy meanwhile, and nothing that was promised is lost.

Twice: killed outright, then frozen, as a machine is that does not answer any more, and killed after that. The taps go
on at their open rate all the time, and afterwards it must sell as before. Only a server of the run's own is treated so.
"""

from loadtest.conduct.stage import Stage
from loadtest.scenario import Parameter, Scenario

_SELLS_SECONDS_MAX = 5.0


async def play(stage: Stage) -> None:
    viewers, joins_per_second = stage.whole("viewers"), stage.number("joins_per_second")
    part = stage.number("seconds") / 3
    await stage.show("Redis cut", cards=2, deals=2, quota=stage.whole("quota"))
    await stage.phase("joining", viewers / joins_per_second)
    await stage.join(viewers, joins_per_second)
    await stage.open_deals()
    await stage.together(
        stage.tap(
            stage.number("per_second"),
            stage.number("seconds"),
            release_after_ms=stage.whole("release_after_ms"),
        ),
        _cuts(stage, part),
    )
    await _sells_again(stage, min(part, _SELLS_SECONDS_MAX))
    await stage.phase("coming back", stage.number("return_seconds"))
    await stage.wait(stage.number("return_seconds"))
    await stage.finish()


async def _sells_again(stage: Stage, seconds: float) -> None:
    """What was sold before the cuts says nothing about a shop that came back with every deal closed."""
    await stage.phase("selling again", seconds)
    async with stage.window() as after:
        await stage.tap(stage.number("per_second"), seconds, release_after_ms=stage.whole("release_after_ms"))
    stage.facts["held_after_cuts"] = after.totals.counters.get("answers.held", 0)


async def _cuts(stage: Stage, part: float) -> None:
    await stage.phase("before", part)
    await stage.wait(part)
    await stage.phase("Redis killed", part)
    await stage.cut_redis()
    await stage.wait(part)
    await stage.phase("Redis frozen, then killed", part)
    await stage.cut_redis(stage.number("frozen_seconds"))


SCENARIO = Scenario(
    name="redis-cut",
    about="Redis is killed and frozen under reservations; nothing that was answered is lost",
    load={"viewers": "closed", "joins": "open", "taps": "open", "releases": "closed"},
    parameters=(
        Parameter("viewers", 300, "viewers who tap in turn", least=1, most=200_000),
        Parameter("per_second", 100.0, "reservations a second", least=0.1, most=100_000),
        Parameter("release_after_ms", 500, "a hold is given back so long after its answer, milliseconds", least=0),
        Parameter("seconds", 30.0, "length of the taps, seconds: a third before, a third for each cut", least=3),
        Parameter("frozen_seconds", 3.0, "Redis does not answer for so long, seconds", least=0, most=600),
        Parameter("return_seconds", 5.0, "after the last tap, until everything is settled, seconds", least=0),
        Parameter("quota", 10_000, "units of each deal", least=1, most=100_000),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    thresholds=(
        # Refused as busy is an answer; silence is none.
        "unanswered==0",
        "answers.held>0",
        "held_after_cuts>0",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        "failed_joins_share<0.1%",
        # No bound on `unsent_share`: while Redis is away everybody waits, and so does what they were to tap.
    ),
    needs_own_server=True,
)
