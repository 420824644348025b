"""A few units, and everybody taps at the opening: the moment the whole house is built for.

The countdown runs on every screen. At its end the whole room taps within a second or two; a hundred get a unit, the
others are told so at once, or wait in line for what is given back. Some pay, some let go, some let it run out.
"""

from loadtest.conduct.stage import Stage
from loadtest.orders import After
from loadtest.scenario import Parameter, Scenario


async def play(stage: Stage) -> None:
    viewers, joins_per_second = stage.whole("viewers"), stage.number("joins_per_second")
    countdown, hold_seconds = stage.whole("countdown_seconds"), stage.whole("hold_seconds")
    handle = await stage.show("Sell-out", cards=1, deals=1, quota=stage.whole("quota"), hold_seconds=hold_seconds)
    (card,) = handle.cards
    await stage.phase("joining", viewers / joins_per_second)
    await stage.join(viewers, joins_per_second)
    await stage.phase("countdown", countdown)
    await stage.rush(
        card.deal_ids,
        share=stage.number("tap_share"),
        reaction_median_ms=stage.number("reaction_ms"),
        wait=stage.values["wait_list"] is True,
        after=After(stage.number("pay_share"), stage.number("release_share"), think_median_ms=2_000.0),
    )
    await stage.show_card(card.card_id, open_in_seconds=countdown)
    await stage.wait(countdown)
    after = stage.number("after_seconds")
    await stage.phase("the rush, and after", after)
    await stage.wait(after)
    await stage.phase("closing", hold_seconds)
    await stage.close_deal(card.deal_ids[0])
    await stage.wait(hold_seconds)
    await stage.finish()


SCENARIO = Scenario(
    name="sell-out",
    about="A few units and a room that taps at the opening; some pay, some wait in line",
    load={"viewers": "closed", "joins": "open", "rush": "closed", "checkouts": "closed"},
    parameters=(
        Parameter("viewers", 2_000, "viewers in the room", least=1, most=200_000),
        Parameter("quota", 100, "units there are", least=1, most=100_000),
        Parameter("tap_share", 1.0, "share of the viewers that taps", least=0.0, most=1.0),
        # 0.2 s is a bare reaction to light; people who watch a countdown are faster than people who are surprised.
        Parameter("reaction_ms", 600.0, "median reaction to the opening, milliseconds", least=1),
        Parameter("wait_list", True, "who comes too late asks for a place in the line (yes or no)"),
        Parameter("pay_share", 0.6, "share of the holds that is paid", least=0.0, most=1.0),
        Parameter("release_share", 0.1, "share that is given back; the rest runs out", least=0.0, most=1.0),
        Parameter("countdown_seconds", 3, "from the card to the opening, seconds", least=0, most=3_600),
        Parameter("hold_seconds", 10, "a hold ends after so long, seconds", least=5, most=3_600),
        Parameter("after_seconds", 20.0, "from the opening to the closing, seconds", least=1, most=3_600),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    thresholds=(
        # Everybody at once, on the machine that also plays everybody: the slowest hundredth may wait two seconds, which
        # people at a sell-out take for quick.
        "reserve_p99<2s",
        "unanswered==0",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        "failed_joins_share<0.1%",
        # What was planned openly went out: else a slow server, or too small a crowd, chose its own load.
        "unsent_share<1%",
        # Whoever pressed has her order, or hears that she has none.
        "checkouts_failed==0",
        "pays_unconfirmed==0",
    ),
)
