"""The crowd that "Send 500 buyers" sends: a deal of its own, a process of its own, and how far it is.

What arrives: how many, and who gives them passes. What leaves: `buyers`, for the board. It lives beside the rounds: a
round that begins or ends meanwhile changes nothing for it.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from livecommerce.demo.board import Buyers, BuyersPhase
from livecommerce.demo.buyers import Progress
from livecommerce.demo.stage import SERUM, Stage
from livecommerce.ending import end
from livecommerce.errors import Refused

log = structlog.get_logger(__name__)

Passes = Callable[[int], Awaitable[list[str]]]
_progress = msgspec.json.Decoder(Progress)


class Crowd:
    """One per demo; one crowd at a time. `after` is called once the crowd has left, to show what was on air before.

    `buyers` is how far it is, `taps` how many taps all its crowds were answered.
    """

    def __init__(self, stage: Stage, passes: Passes, after: Callable[[], Awaitable[None]]) -> None:
        self.buyers = Buyers()
        self._taps_before = 0
        self._stage = stage
        self._passes = passes
        self._after = after
        self._coming: asyncio.Task[None] | None = None

    @property
    def taps(self) -> int:
        return self._taps_before + self.buyers.done

    def send(self, count: int) -> None:
        """A crowd of `count`, unless one is on its way."""
        if not self.buyers.running:
            self._taps_before = self.taps
            self.buyers = Buyers("joining", total=count)
            previous, self._coming = self._coming, asyncio.create_task(self._come(count), name="crowd")
            if previous is not None:
                previous.cancel()

    def forget(self) -> None:
        """A new round begins: the figures of a crowd that is done are somebody else's."""
        if not self.buyers.running:
            self._taps_before = self.taps
            self.buyers = Buyers()

    async def aclose(self) -> None:
        await end([self._coming])

    async def _come(self, count: int) -> None:
        try:
            passes = await self._passes(count)
            await self._stage.clear_table(SERUM)
            card_id, deals = await self._stage.card(SERUM)
            await self._stage.command(do="show_card", card_id=card_id, open_in_seconds=0)
            await self._run(next(iter(deals.values())), passes)
            await self._after()
            await self._stage.clear_table(SERUM)
        except Refused as refused:
            log.warning("crowd_refused", number=refused.why.value.number)
        finally:
            if self.buyers.running:
                self.buyers = msgspec.structs.replace(self.buyers, phase="failed")

    async def _run(self, deal_id: str, passes: list[str]) -> None:
        """Return once all have left."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "livecommerce.demo.buyers",
            "--url", self._stage.base_url, "--show", self._stage.show_id, "--deal", deal_id,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write("\n".join(passes).encode())
            process.stdin.close()
            async for line in process.stdout:
                self.buyers = told(_progress.decode(line), sum(SERUM.units.values()))
            await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()


def told(seen: Progress, units: int) -> Buyers:
    """What the board says of this progress, where `units` are for sale."""
    phase: BuyersPhase = "joining"
    if seen.joined == seen.total:
        phase = "over" if seen.done == seen.total else "tapping"
    oversold = max(0, seen.held - units)
    return Buyers(phase, seen.total, seen.joined, seen.done, seen.held, seen.sold_out, oversold, seen.slowest_ms)
