"""Two clocks with one face: the machine's, and one that a test turns by hand.

What leaves: UTC in milliseconds, for instants that people see and rows that are kept; monotonic seconds, for waits.
Nothing in the project asks the operating system for the time by another way. It knows nothing of holds: their
clock is kept by the reservation script.
"""

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """What the rest of the project may know of time."""

    def now_ms(self) -> int:
        """UTC, milliseconds since 1970."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; the difference of two calls is a duration."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; cancelling it leaves nothing behind."""


class RealClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class TestClock:
    """A clock that stands still until `advance` turns it; sleepers wake in the order of their instants."""

    __test__ = False  # a clock for tests, not a test: pytest must not collect it

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._start_ms = now_ms
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._start_ms + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        """Turn the clock by `seconds`, waking each sleeper at its own instant and letting it run before the next."""
        target = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, waiter = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            if not waiter.done():
                waiter.set_result(None)
            await _let_others_run()
        self._elapsed = max(self._elapsed, target)
        await _let_others_run()

    def spend(self, seconds: float) -> None:
        """Time goes by while code runs: nobody is woken before the next `advance`."""
        self._elapsed += seconds


async def _let_others_run() -> None:
    # A woken task may itself hand over to another; a few turns of the loop settle any chain met in practice.
    for _ in range(10):
        await asyncio.sleep(0)
