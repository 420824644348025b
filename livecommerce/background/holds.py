"""The heartbeat of the hold clock: what drives it, ends what is due, and offers what came back.

What arrives: nothing but time. What leaves: one heartbeat for each show that has holds, every 250 ms, and a look every
second at those that have none, or none that ends within the hour (an article that waits at a counter until tomorrow). A
show whose deals are all closed and whose books are quiet is no longer looked at. What ends and who is next is the
script's business; payments whose time is over are the orders' business.
"""

import asyncio

import structlog
from prometheus_client import Counter

from livecommerce.clock import Clock
from livecommerce.errors import Refused
from livecommerce.reservations.engine import Beat, ReservationEngine

log = structlog.get_logger(__name__)

BEAT_SECONDS = 0.25  # a hold ends at most 500 ms late: one beat, and as much again for a busy machine
# A worker's turns are uneven by a tenth. A show whose beat were due after the whole 250 ms would miss each turn that
# comes a little early, and be beaten every 500 ms: also found by the simulation.
_BEAT_DUE_SECONDS = 0.8 * BEAT_SECONDS
# Below the script's largest step of 2 s, so that the first hold of a quiet show loses no time; and no longer than the
# shortest hold, which may begin right after a look: found by the simulation, where 1.5 s ended it 671 ms late.
IDLE_SECONDS = 1.0
FORGET_SECONDS = 61.0
BEAT_SECONDS_MAX = 1.0
FAR_MS = 3_600_000

EXPIRED = Counter("livecommerce_holds_expired", "Holds whose time ran out")
LAPSED = Counter("livecommerce_offers_lapsed", "Offers and places in a line that ended")
OFFERED = Counter("livecommerce_units_offered", "Offers made to those who wait")


class Heartbeats:
    """One leader's duty. Two at once do no harm: the script decides, and decides each hold once."""

    def __init__(self, engine: ReservationEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._look_at: dict[str, float] = {}  # show → when to look next, monotonic
        self._forget_at: dict[str, float] = {}
        self._shows_at = 0.0

    async def run_forever(self) -> None:
        """Beat until cancelled. While Redis is away nothing ends early: the clock stands, and holds live longer."""
        while True:
            try:
                await self.beat_due()
            except Refused as refused:
                log.warning("heartbeat_waits", why=refused.text)
            await self._clock.sleep(BEAT_SECONDS)

    async def beat_due(self) -> dict[str, Beat]:
        """One heartbeat for each show whose turn it is."""
        now = self._clock.monotonic()
        if now >= self._shows_at:
            await self._refresh(now)
        turn = [show_id for show_id, at in self._look_at.items() if at <= now]
        beats = await asyncio.gather(*(self._beat(show_id, now) for show_id in turn))
        return {show_id: beat for show_id, beat in zip(turn, beats, strict=True) if beat is not None}

    async def _refresh(self, now: float) -> None:
        try:
            known = await self._engine.shows_to_watch()
        except Refused:
            # In a cluster the list lies on one node and shows on others: those go on while that one is away.
            if not self._look_at:
                raise
            self._shows_at = now + IDLE_SECONDS
            return
        self._look_at = {show_id: self._look_at.get(show_id, now) for show_id in known}
        self._forget_at = {show_id: self._forget_at.get(show_id, now + FORGET_SECONDS) for show_id in known}
        self._shows_at = now + IDLE_SECONDS

    async def _beat(self, show_id: str, now: float) -> Beat | None:
        try:
            # One show's node that stands still must not keep the clocks of the others waiting.
            async with asyncio.timeout(BEAT_SECONDS_MAX):
                beat = await self._engine.heartbeat(show_id)
                await self._maybe_forget(show_id, beat, now)
        except (Refused, TimeoutError) as error:
            why = error.text if isinstance(error, Refused) else "no answer in time"
            log.warning("heartbeat_refused", show_id=show_id, why=why)
            self._look_at[show_id] = now + IDLE_SECONDS
            return None
        far = beat.next_due_ms is None or beat.next_due_ms > self._clock.now_ms() + FAR_MS
        self._look_at[show_id] = now + (IDLE_SECONDS if far else _BEAT_DUE_SECONDS)
        EXPIRED.inc(beat.expired)
        LAPSED.inc(beat.lapsed)
        OFFERED.inc(beat.offered)
        return beat

    async def _maybe_forget(self, show_id: str, beat: Beat, now: float) -> None:
        if beat.next_due_ms is None and now >= self._forget_at[show_id]:
            self._forget_at[show_id] = now + FORGET_SECONDS
            if await self._engine.stop_watching_if_quiet(show_id):
                log.info("show_is_quiet", show_id=show_id)
