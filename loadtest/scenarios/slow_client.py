"""One viewer in ten reads a kilobyte a second: do the others notice?

First the room without the slow ones, then with them, under the same cards and chat. The slow ones have a small receive
buffer: else the kernel would read on their behalf. What is compared is the delivery to the fast viewers alone.
"""

from loadtest.conduct.stage import Slow, Stage, Window
from loadtest.scenario import Parameter, Scenario


async def play(stage: Stage) -> None:
    viewers, joins_per_second = stage.whole("viewers"), stage.number("joins_per_second")
    slow = max(1, round(viewers * stage.number("slow_share")))
    fast = max(1, viewers - slow)
    slowly = Slow(stage.whole("bytes_per_second"), stage.whole("receive_buffer_bytes"))
    await stage.show("Slow readers", cards=2)
    await stage.phase("the fast ones join", fast / joins_per_second)
    await stage.join(fast, joins_per_second, group="fast")
    before = await _measured(stage, "without slow readers")
    await stage.phase("the slow ones join", slow / joins_per_second)
    await stage.join(slow, joins_per_second, group="slow", slow=slowly)
    with_slow = await _measured(stage, "with slow readers")
    _compare(stage, before, with_slow)
    # What they have not read yet would take them minutes; nobody waits for that.
    await stage.leave("slow")
    await stage.finish()


async def _measured(stage: Stage, name: str) -> Window:
    seconds = stage.number("seconds")
    await stage.phase(name, seconds)
    async with stage.window() as window:
        await stage.together(
            stage.cards(stage.number("cards_per_second"), seconds),
            stage.chat(stage.number("chat_per_second"), seconds, group="fast"),
        )
    return window


def _compare(stage: Stage, before: Window, with_slow: Window) -> None:
    figures = [window.totals.latencies().get("state") for window in (before, with_slow)]
    if figures[0] is None or figures[1] is None:
        return
    stage.facts |= {
        "fast_state_p99_before_ms": figures[0].p99 / 1000,
        "fast_state_p99_with_slow_ms": figures[1].p99 / 1000,
        "fast_state_p99_ratio": figures[1].p99 / max(1.0, figures[0].p99),
    }
    stage.findings |= {
        "fast viewers, state p99 without slow readers (ms)": round(figures[0].p99 / 1000, 2),
        "fast viewers, state p99 with slow readers (ms)": round(figures[1].p99 / 1000, 2),
        "ratio": round(figures[1].p99 / max(1.0, figures[0].p99), 3),
        "slow readers sent away": with_slow.totals.counters.get("disconnects.4001", 0),
    }


SCENARIO = Scenario(
    name="slow-client",
    about="A room without, then with, viewers who read a kilobyte a second; delivery to the others is compared",
    load={"viewers": "closed", "joins": "open", "cards": "open", "chat": "open", "slow readers": "closed"},
    parameters=(
        Parameter("viewers", 2_000, "viewers in the room, slow ones among them", least=2, most=200_000),
        Parameter("slow_share", 0.1, "share of the viewers that reads slowly", least=0.0, most=0.9),
        # AnyCable's slow-client test uses the same kilobyte.
        Parameter("bytes_per_second", 1_024, "how much a slow one reads a second", least=1),
        Parameter("receive_buffer_bytes", 4_096, "her socket's receive buffer", least=1_024),
        Parameter("cards_per_second", 4.0, "cards a second", least=0.01, most=1_000),
        Parameter("chat_per_second", 10.0, "lines of chat a second", least=0, most=10_000),
        Parameter("seconds", 15.0, "length of each of the two measured stretches, seconds", least=1, most=86_400),
        Parameter("joins_per_second", 500.0, "viewers coming in a second", least=0.1, most=5_000),
    ),
    play=play,
    lasts=lambda values: (
        2 * float(values["seconds"]) + float(values["viewers"]) / float(values["joins_per_second"]) + 10.0
    ),
    thresholds=(
        # What AnyCable's test calls a failure: a fast viewer who waits 100 ms because of a slow one. Ours allows for
        # two cores that server and generator share.
        "state_p95<250ms",
        # Twice as slow would be the slow ones' doing; below that, two stretches of one machine differ by themselves.
        "fast_state_p99_ratio<2",
        # Everybody who was in is in at the end, and the server sent nobody away for good.
        "not_back==0",
        "sent_away==0",
        "failed_joins_share<0.1%",
        # What was planned openly went out: else a slow server, or too small a crowd, chose its own load.
        "unsent_share<1%",
    ),
)
