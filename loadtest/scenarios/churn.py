"""Coming and going without end: does the server's memory grow?

Lines break at an open rate while cards and chat go on, and everybody comes back; so every second hundreds of sockets
are made and forgotten. The web processes' memory is looked at twice, under the same load: when everything has been
used once, and at the end. In between lies as long a time as is asked for; an hour is `--set seconds=3600`.
"""

from statistics import fmean

from loadtest.conduct.stage import Stage, Window
from loadtest.scenario import Parameter, Scenario


async def play(stage: Stage) -> None:
    viewers, joins_per_second = stage.whole("viewers"), stage.number("joins_per_second")
    await stage.show("Churn", cards=2)
    await stage.phase("joining", viewers / joins_per_second)
    await stage.join(viewers, joins_per_second)
    await _go_on(stage, "warming up", stage.number("warm_seconds"))
    async with stage.window() as early:
        await _go_on(stage, "first look", stage.number("look_seconds"))
    await _go_on(stage, "coming and going", stage.number("seconds"))
    async with stage.window() as late:
        await _go_on(stage, "second look", stage.number("look_seconds"))
    await stage.phase("coming back", stage.number("return_seconds"))
    await stage.wait(stage.number("return_seconds"))
    _compare(stage, early, late)
    await stage.finish()


async def _go_on(stage: Stage, name: str, seconds: float) -> None:
    await stage.phase(name, seconds)
    away_ms = stage.whole("away_ms")
    await stage.together(
        stage.cards(stage.number("cards_per_second"), seconds),
        stage.chat(stage.number("chat_per_second"), seconds),
        stage.cut(per_second=stage.number("cuts_per_second"), seconds=seconds, away_ms=(away_ms, away_ms)),
    )


def _compare(stage: Stage, early: Window, late: Window) -> None:
    before, after = _rss_mib(early), _rss_mib(late)
    if not before or not after:
        stage.leave_out("web_rss_ratio")  # the target does not tell its memory
        return
    stage.facts["web_rss_ratio"] = after / before
    stage.findings |= {
        "web processes' memory at the first look (MiB)": round(before, 1),
        "web processes' memory at the end (MiB)": round(after, 1),
        "minutes between the two": round((late.from_us - early.from_us) / 60e6, 1),
    }


def _rss_mib(window: Window) -> float:
    rows = [row.server["web_rss_mib"] for row in window.rows if row.server and "web_rss_mib" in row.server]
    return fmean(rows) if rows else 0.0


SCENARIO = Scenario(
    name="churn",
    about="Lines break and come back all the time; is the server's memory the same at the end?",
    load={"viewers": "closed", "joins": "open", "cards": "open", "chat": "open", "cuts": "open"},
    parameters=(
        Parameter("viewers", 2_000, "viewers in the room", least=1, most=200_000),
        Parameter("cuts_per_second", 100.0, "lines that break a second", least=0.01, most=10_000),
        Parameter("away_ms", 1_000, "a viewer is away so long before she tries to come back, milliseconds", least=0),
        Parameter("cards_per_second", 1.0, "cards a second", least=0.01, most=1_000),
        Parameter("chat_per_second", 5.0, "lines of chat a second", least=0, most=10_000),
        Parameter("warm_seconds", 60.0, "until everything has been used once, seconds", least=0, most=3_600),
        Parameter("look_seconds", 20.0, "length of each of the two looks, seconds", least=1, most=600),
        Parameter("seconds", 900.0, "between the two looks, seconds", least=0, most=30_000),
        Parameter("return_seconds", 4.0, "after the last cut, until all are back, seconds", least=0, most=600),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    lasts=lambda values: (
        float(values["seconds"])
        + float(values["warm_seconds"])
        + 2 * float(values["look_seconds"])
        + float(values["return_seconds"])
        + float(values["viewers"]) / float(values["joins_per_second"])
        + 20.0
    ),
    thresholds=(
        # Allocators keep some of what they had at the highest moment; a leak of one object for each return would be
        # tens of MiB after a quarter of an hour.
        "web_rss_ratio<1.1",
        "state_delivered_share>=100%",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        "failed_joins_share<0.1%",
        # What was planned openly went out: else a slow server, or too small a crowd, chose its own load.
        "unsent_share<1%",
    ),
)
