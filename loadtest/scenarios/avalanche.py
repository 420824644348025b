"""A deploy in the middle of a show: every process is replaced while cards and taps go on, and everybody comes back.

On our own server it is `livecommerce reload`: new processes come up, old ones tell their viewers when to come back. Or
one web process is killed (`--set how=kill`; give it `--processes 2`). A server that is not ours is not touched: there
all lines are cut at once, which is the harder half of it.
"""

from loadtest.conduct.stage import Stage
from loadtest.scenario import Parameter, Scenario


async def play(stage: Stage) -> None:
    viewers, joins_per_second = stage.whole("viewers"), stage.number("joins_per_second")
    before, after = stage.number("before_seconds"), stage.number("after_seconds")
    await stage.show("Avalanche", cards=2)
    await stage.phase("joining", viewers / joins_per_second)
    await stage.join(viewers, joins_per_second)
    await stage.open_deals()
    await stage.together(
        stage.cards(stage.number("cards_per_second"), before + after),
        stage.chat(stage.number("chat_per_second"), before + after),
        _taps(stage, before + after),
        _deploy(stage, before, after),
    )
    await stage.phase("coming back", stage.number("return_seconds"))
    await stage.wait(stage.number("return_seconds"))
    await stage.finish()


async def _taps(stage: Stage, seconds: float) -> None:
    if stage.number("taps_per_second") > 0:
        await stage.tap(stage.number("taps_per_second"), seconds, release_after_ms=stage.whole("release_after_ms"))


async def _deploy(stage: Stage, before: float, after: float) -> None:
    await stage.phase("before the deploy", before)
    await stage.wait(before)
    await stage.phase("deploy", after)
    if stage.owns_server and stage.text("how") == "kill":
        await stage.kill_web()
    elif stage.owns_server:
        await stage.restart_web()
    else:
        await stage.cut()


SCENARIO = Scenario(
    name="avalanche",
    about="A deploy while cards and taps go on: all lines end, everybody comes back and resumes",
    load={
        "viewers": "closed",
        "joins": "open",
        "cards": "open",
        "chat": "open",
        "taps": "open",
        "releases": "closed",
        "returns": "closed",
    },
    parameters=(
        Parameter("viewers", 2_000, "viewers in the room", least=1, most=200_000),
        Parameter("cards_per_second", 1.0, "cards a second", least=0.01, most=1_000),
        Parameter("how", "reload", "what happens to a server of our own", choices=("reload", "kill")),
        Parameter("taps_per_second", 10.0, "reservations a second", least=0, most=10_000),
        Parameter("release_after_ms", 500, "a hold is given back so long after its answer, milliseconds", least=0),
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
        # Nobody may wait for an answer that never comes, nor lose a hold that she was told of.
        "unanswered==0",
        "lost_holds==0",
    ),
    server_settings={"DRAIN_SECONDS": "5"},
)
