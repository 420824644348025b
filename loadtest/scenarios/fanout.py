"""Cards to a full room: how long from the host's tap until every viewer has read it.

Ten thousand viewers sit still and listen; cards and a little chat come at open rates. This is the figure that a hub is
judged by.
"""

from loadtest.conduct.stage import Stage
from loadtest.scenario import Parameter, Scenario


async def play(stage: Stage) -> None:
    viewers, joins_per_second = stage.whole("viewers"), stage.number("joins_per_second")
    seconds = stage.number("seconds")
    await stage.show("Fan-out", cards=2)
    await stage.phase("joining", viewers / joins_per_second)
    await stage.join(viewers, joins_per_second)
    await stage.phase("cards", seconds)
    await stage.together(
        stage.cards(stage.number("cards_per_second"), seconds),
        stage.chat(stage.number("chat_per_second"), seconds),
    )
    await stage.finish()


SCENARIO = Scenario(
    name="fanout",
    about="Cards at an open rate to a full room that listens",
    load={"viewers": "closed", "joins": "open", "cards": "open", "chat": "open"},
    parameters=(
        Parameter("viewers", 10_000, "viewers in the room", least=1, most=200_000),
        Parameter("cards_per_second", 1.0, "cards a second", least=0.01, most=1_000),
        Parameter("chat_per_second", 2.0, "lines of chat a second", least=0, most=10_000),
        Parameter("seconds", 30.0, "length of the cards, seconds", least=1, most=86_400),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    thresholds=(
        # A card is a promise to everybody at once. Half a second is what people take for "at the same time" beside a
        # picture that is itself seconds late; it leaves two cores that server and generator share some room.
        "state_p99<500ms",
        # Each card to each viewer: one who misses a card cannot buy it.
        "state_delivered_share>=100%",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        "failed_joins_share<0.1%",
        # What was planned openly went out: else a slow server, or too small a crowd, chose its own load.
        "unsent_share<1%",
    ),
)
