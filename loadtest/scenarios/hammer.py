"""Reservations and nothing else: how many a second are answered, and how fast.

A closed population taps at an open rate: each viewer gives her unit back after a while, so the same few deals are
reserved again and again. What limits here is the script in Redis and the web process around it, not the room.
"""

from loadtest.conduct.stage import Stage
from loadtest.scenario import Parameter, Scenario


async def play(stage: Stage) -> None:
    per_second, seconds = stage.number("per_second"), stage.number("seconds")
    await stage.show("Hammer", cards=1, deals=stage.whole("deals"), quota=stage.whole("quota"), limit=1)
    await stage.phase("joining", stage.whole("viewers") / stage.number("joins_per_second"))
    await stage.join(stage.whole("viewers"), stage.number("joins_per_second"))
    await stage.open_deals()
    await stage.phase("hammering", seconds)
    await stage.tap(per_second, seconds, release_after_ms=stage.whole("release_after_ms"))
    await stage.finish()


SCENARIO = Scenario(
    name="hammer",
    about="Reservations at an open rate over a closed population that gives its units back",
    load={"viewers": "closed", "joins": "open", "taps": "open", "releases": "closed"},
    parameters=(
        Parameter("viewers", 1_000, "viewers who tap in turn", least=1, most=200_000),
        Parameter("per_second", 400.0, "reservations a second", least=0.1, most=100_000),
        Parameter("seconds", 30.0, "length of the hammering, seconds", least=1, most=86_400),
        Parameter("release_after_ms", 500, "a hold is given back so long after its answer, milliseconds", least=0),
        Parameter("deals", 4, "deals that share the taps", least=1, most=40),
        Parameter("quota", 10_000, "units of each deal", least=1, most=100_000),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    thresholds=(
        # A tap that is answered within a quarter of a second feels answered at once; this is its slowest hundredth.
        "reserve_p99<250ms",
        "release_p99<250ms",
        # Nobody may wait for an answer that never comes, whatever the load.
        "unanswered==0",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        # A viewer who cannot come in is a customer lost; one in a thousand is what a weak line explains.
        "failed_joins_share<0.1%",
        # What was planned openly went out: else a slow server, or too small a crowd, chose its own load.
        "unsent_share<1%",
        # Turned away for want of time is an answer, and no reservation.
        "refused_share<1%",
    ),
)
