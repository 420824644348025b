"""Weak lines: connections break here and there while cards go on, and nobody may miss one.

Breaks come at an open rate. Each viewer comes back as the page does, by full jitter, and resumes where she was.
"""

from loadtest.conduct.stage import Stage
from loadtest.scenario import Parameter, Scenario


async def play(stage: Stage) -> None:
    viewers, joins_per_second = stage.whole("viewers"), stage.number("joins_per_second")
    seconds, away_ms = stage.number("seconds"), stage.whole("away_ms_max")
    await stage.show("Jitter", cards=2)
    await stage.phase("joining", viewers / joins_per_second)
    await stage.join(viewers, joins_per_second)
    await stage.phase("cuts while cards go on", seconds)
    await stage.together(
        stage.cards(stage.number("cards_per_second"), seconds),
        stage.chat(stage.number("chat_per_second"), seconds),
        stage.cut(
            per_second=stage.number("cuts_per_second"),
            seconds=seconds,
            away_ms=(min(stage.whole("away_ms_min"), away_ms), away_ms),
        ),
    )
    await stage.phase("coming back", stage.number("return_seconds"))
    await stage.wait(stage.number("return_seconds"))
    await stage.finish()


SCENARIO = Scenario(
    name="jitter",
    about="Lines break at random while cards go on; everybody resumes",
    load={"viewers": "closed", "joins": "open", "cards": "open", "chat": "open", "cuts": "open"},
    parameters=(
        Parameter("viewers", 2_000, "viewers in the room", least=1, most=200_000),
        Parameter("cuts_per_second", 60.0, "lines that break a second", least=0.01, most=10_000),
        # AnyCable's published jitter test keeps a client away for about two seconds.
        Parameter("away_ms_min", 500, "a viewer is away at least so long, milliseconds", least=0),
        Parameter("away_ms_max", 2_500, "and at most, before she tries to come back, milliseconds", least=0),
        Parameter("cards_per_second", 1.0, "cards a second", least=0.01, most=1_000),
        Parameter("chat_per_second", 2.0, "lines of chat a second", least=0, most=10_000),
        Parameter("seconds", 25.0, "length of the cuts, seconds", least=1, most=86_400),
        Parameter("return_seconds", 4.0, "after the last cut, until all are back, seconds", least=0, most=600),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    thresholds=(
        # The point of resuming: what came while she was away comes after her, all of it.
        "state_delivered_share>=100%",
        # Everybody who was away has everything a moment after the longest absence and one jittered try (up to 1 s).
        "catch_up_p99<5s",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        "failed_joins_share<0.1%",
        # What was planned openly went out: else a slow server, or too small a crowd, chose its own load.
        "unsent_share<1%",
    ),
)
