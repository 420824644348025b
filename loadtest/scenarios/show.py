"""A whole evening, small: doors, chat, cards with countdowns, the rush at each, checkout, the line, closing.

The host plays the show's own rundown, as the rehearsal of a real show would; the crowd is `loadtest.crowd`'s, with its
stated defaults where a parameter does not say otherwise. Times are shortened so that an evening takes two minutes.
"""

from collections.abc import Awaitable
from typing import Any

from loadtest.conduct.stage import Stage
from loadtest.crowd.parameters import CrowdParameters
from loadtest.crowd.rundown import HostAction, Pace, read_rundown, timed
from loadtest.scenario import Parameter, Scenario

# Joins have one rate each: the curve of the arrivals is played in so many steps a stage.
_STEPS = 4
_DEFAULTS = CrowdParameters()


async def play(stage: Stage) -> None:
    crowd = _crowd(stage)
    await stage.show(
        "A whole evening",
        cards=stage.whole("cards"),
        deals=stage.whole("deals_per_card"),
        quota=stage.whole("quota"),
        hold_seconds=stage.whole("hold_seconds"),
    )
    host = await _host_plan(stage)
    evening = host[-1].at_seconds if host else 0.0
    await stage.phase("doors", crowd.doors_seconds)
    await stage.together(
        _arrive(stage, crowd),
        stage.chat(crowd.chat_per_second, crowd.doors_seconds + evening, question_share=crowd.question_share),
        _play_rundown(stage, crowd, host),
    )
    # Holds of the last card are still paid, released or running out.
    await stage.phase("last payments", stage.number("hold_seconds"))
    await stage.wait(stage.number("hold_seconds"))
    await stage.finish()


def _crowd(stage: Stage) -> CrowdParameters:
    return CrowdParameters(
        viewers=stage.whole("viewers"),
        doors_seconds=stage.number("doors_seconds"),
        arriving_seconds=stage.number("arriving_seconds"),
        chat_per_second=stage.number("chat_per_second"),
        tap_share=stage.number("tap_share"),
        pay_share=stage.number("pay_share"),
        release_share=stage.number("release_share"),
        think_median_ms=stage.number("think_ms"),
    )


async def _host_plan(stage: Stage) -> tuple[HostAction, ...]:
    answer: dict[str, Any] = await stage.target.api.get(f"/api/staff/shows/{stage.show_handle.show_id}")
    pace = Pace(
        welcome_seconds=2.0,
        countdown_seconds=stage.whole("countdown_seconds"),
        deal_seconds=stage.number("deal_seconds"),
        pause_seconds=2.0,
        farewell_seconds=0.0,
    )
    return timed(read_rundown(answer), pace, end=False)


async def _arrive(stage: Stage, crowd: CrowdParameters) -> None:
    """Viewers by the crowd's curve. The last step takes what rounding left, so that exactly all of them come. Each step
    begins when the curve says, however long the door takes for those of the step before."""
    left, at_us = crowd.viewers, stage.soon_us()
    steps = [
        (piece.seconds / _STEPS, piece.from_per_second + (piece.to_per_second - piece.from_per_second) * middle)
        for piece in crowd.arrivals()
        for middle in ((step + 0.5) / _STEPS for step in range(_STEPS))
    ]
    joins: list[Awaitable[None]] = []
    for number, (seconds, per_second) in enumerate(steps):
        count = left if number == len(steps) - 1 else min(left, round(seconds * per_second))
        if count and per_second > 0:
            left -= count
            joins.append(_join_at(stage, at_us, count, per_second))
        at_us += round(seconds * 1e6)
    await stage.together(*joins)


async def _join_at(stage: Stage, at_us: int, count: int, per_second: float) -> None:
    await stage.until(at_us)
    await stage.join(count, per_second)


async def _play_rundown(stage: Stage, crowd: CrowdParameters, actions: tuple[HostAction, ...]) -> None:
    await stage.wait(crowd.doors_seconds)
    began_us = stage.soon_us()
    for action in actions:
        at_us = began_us + round(action.at_seconds * 1e6)
        if action.do != "show_card":
            await stage.until(at_us)
            await stage.command(**action.command())
            continue
        await stage.phase(f"card {stage.number_of(action.card_id)}")
        if action.opens:
            await stage.rush(
                action.opens,
                share=crowd.tap_share,
                reaction_median_ms=crowd.reaction_median_ms,
                reaction_sigma=crowd.reaction_sigma,
                wait=True,
                after=crowd.after,
            )
        await stage.show_card(action.card_id, at_us=at_us, open_in_seconds=action.countdown_seconds or None)


SCENARIO = Scenario(
    name="show",
    about="A whole evening by its rundown: doors, chat, cards, rushes, checkout, the line, closing",
    load={
        "viewers": "closed",
        "joins": "open",
        "chat": "open",
        "cards": "open",
        "rush": "closed",
        "checkouts": "closed",
    },
    parameters=(
        Parameter("viewers", 2_000, "viewers over the evening", least=1, most=200_000),
        Parameter("doors_seconds", 12.0, "the early ones come in before the show, seconds", least=1, most=3_600),
        Parameter("arriving_seconds", 30.0, "the others come in after its start, seconds", least=1, most=3_600),
        Parameter("chat_per_second", 20.0, "lines of chat a second", least=0, most=10_000),
        Parameter("cards", 3, "cards of the rundown", least=1, most=20),
        Parameter("deals_per_card", 2, "deals of each card", least=1, most=4),
        Parameter("quota", 60, "units of each deal", least=1, most=100_000),
        Parameter("countdown_seconds", 3, "from a card to its opening, seconds", least=0, most=3_600),
        Parameter("deal_seconds", 15.0, "how long a card's deals are open, seconds", least=1, most=3_600),
        Parameter("hold_seconds", 10, "a hold ends after so long, seconds", least=5, most=3_600),
        Parameter("tap_share", _DEFAULTS.tap_share, "share of the viewers that taps for a card", least=0.0, most=1.0),
        Parameter("pay_share", _DEFAULTS.pay_share, "share of the holds that is paid", least=0.0, most=1.0),
        Parameter("release_share", _DEFAULTS.release_share, "share of the holds given back", least=0.0, most=1.0),
        Parameter("think_ms", 2_000.0, "median of what she thinks before she pays, milliseconds", least=1),
    ),
    play=play,
    lasts=lambda values: (
        sum(float(values[name]) for name in ("doors_seconds", "arriving_seconds", "hold_seconds"))
        + float(values["cards"]) * (float(values["countdown_seconds"]) + float(values["deal_seconds"]) + 5.0)
    ),
    thresholds=(
        # As in fanout and hammer; under everything at once.
        "state_p99<500ms",
        "reserve_p99<1s",
        "state_delivered_share>=100%",
        "unanswered==0",
        # From the tap on "pay" to the payment page, and from the press there to the confirmed order: beyond some
        # seconds people press again.
        "checkout_p99<3s",
        "pay_p99<5s",
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
