"""The programme's clock: deals open and close, products launch, at their instants.

What arrives: nothing but time. What leaves: whatever `shows/programme.py` finds to do, a quarter of a second late at
most, and not late at all where the instant was known before: the turn then waits for it. It decides nothing.
"""

from dataclasses import dataclass

from livecommerce.clock import Clock
from livecommerce.shows.programme import Programme

# Longer than a turn's pause, so that an instant between two turns is waited for by the first of them.
AHEAD_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ProgrammeDuty:
    """One leader's duty."""

    programme: Programme
    clock: Clock
    name: str = "programme"
    every_seconds: float = 0.25
    deadline_seconds: float = 30.0

    async def run(self, lease_epoch: int) -> None:
        """One look at all shows, and a second one at the next instant where that is near."""
        next_at_ms = await self.programme.due_changes()
        if next_at_ms is None:
            return
        wait_seconds = (next_at_ms - self.clock.now_ms()) / 1000
        if wait_seconds <= AHEAD_SECONDS:
            await self.clock.sleep(max(0.0, wait_seconds))
            await self.programme.due_changes()
