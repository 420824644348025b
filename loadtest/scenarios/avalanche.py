"""A deploy in the middle of a show: every web process is replaced while cards go on, and everybody comes back.

On our own server each web process is stopped as a deploy stops it, tells its viewers when to come back, and is
replaced. A server that is not ours is not restarted: there all lines are cut at once, which is the harder half of it.
"""

from loadtest.conduct.stage import Stage
from loadtest.scenario import Parameter, Scenario


async def play(stage: Stage) -> None:
    viewers, joins_per_second = stage.whole("viewers"), stage.number("joins_per_second")
    before, after = stage.number("before_seconds"), stage.number("after_seconds")
    await stage.show("Avalanche", cards=2)
    await stage.phase("joining", viewers / joins_per_second)
    await stage.join(viewers, joins_per_second)
    await stage.together(
        stage.cards(stage.number("cards_per_second"), before + after),
        stage.chat(stage.number("chat_per_second"), before + after),
        _deploy(stage, before, after),
    )
    await stage.phase("coming back", stage.number("return_seconds"))
    await stage.wait(stage.number("return_seconds"))
    await stage.finish()


async def _deploy(stage: Stage, before: float, after: float) -> None:
    await stage.phase("before the deploy", before)
    await stage.wait(before)
    await stage.phase("deploy", after)
    if stage.owns_server:
        await stage.restart_web()
    else:
        await stage.cut()


SCENARIO = Scenario(
    name="avalanche",
    about="A deploy while cards go on: all lines end, everybody comes back and resumes",
    load={"viewers": "closed", "joins": "open", "cards": "open", "chat": "open", "returns": "closed"},
    parameters=(
        Parameter("viewers", 2_000, "viewers in the room", least=1, most=200_000),
        Parameter("cards_per_second", 1.0, "cards a second", least=0.01, most=1_000),
        Parameter("chat_per_second", 2.0, "lines of chat a second", least=0, most=10_000),
        Parameter("before_seconds", 5.0, "cards before the deploy, seconds", least=0, most=3_600),
        Parameter("after_seconds", 25.0, "cards from the deploy on, seconds", least=1, most=3_600),
        Parameter("return_seconds", 6.0, "after the last card, until all are back, seconds", least=0, most=600),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    thresholds=(
        # A deploy may cost seconds, never a card.
        "state_delivered_share>=100%",
        # The server spreads the return over DRAIN_SECONDS (5 here); then a start of the new process, and one more try
        # for those who met the old one.
        "catch_up_p99<20s",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        "failed_joins_share<0.1%",
        # What was planned openly went out: else a slow server, or too small a crowd, chose its own load.
        "unsent_share<1%",
    ),
    server_settings={"DRAIN_SECONDS": "5"},
)
