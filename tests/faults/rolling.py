"""A scenario for the load tester: cards, taps and chat go on until `livecommerce reload` has replaced everything."""

import asyncio
import sys

from loadtest.conduct.conductor import BrokenOff
from loadtest.conduct.stage import Stage
from loadtest.scenario import Parameter, Scenario

STRETCH_SECONDS = 2.0


async def play(stage: Stage) -> None:
    await stage.show("Rolling restart", cards=2, quota=200)
    await stage.join(stage.whole("viewers"), 100)
    await stage.open_deals()
    stage.cuts_expected = True
    await stage.phase("reload")
    reloading = asyncio.create_task(_reload(stage.text("data")))
    # However long it takes on this machine, it is under load to its end, and a stretch beyond.
    while not reloading.done():
        await _load(stage)
    reloading.result()
    await _load(stage)
    await stage.phase("coming back")
    await stage.wait(4 * STRETCH_SECONDS)
    await stage.finish()


async def _load(stage: Stage) -> None:
    await stage.together(
        stage.cards(2, STRETCH_SECONDS),
        stage.tap(8, STRETCH_SECONDS, release_after_ms=300),
        stage.chat(2, STRETCH_SECONDS),
    )


async def _reload(data: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "livecommerce", "reload", "--data", data,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise BrokenOff(f"The reload failed: {said.decode()}")


SCENARIO = Scenario(
    name="rolling",
    about="A rolling restart under load",
    load={"viewers": "closed", "joins": "open", "cards": "open", "taps": "open", "releases": "closed", "chat": "open"},
    parameters=(
        Parameter("viewers", 60, "viewers in the room", least=1, most=200_000),
        Parameter("data", "", "the data folder of the server under test"),
    ),
    play=play,
    thresholds=(
        "state_delivered_share>=100%", "unanswered==0", "lost_holds==0", "oversold==0", "not_back==0", "sent_away==0",
        "failed_joins_share<0.1%",
    ),
    lasts=lambda values: 600.0,
)  # fmt: skip
