"""Planned instants become acts: a heap of what is due when, and one timer for its head.

What arrives: instants of the run's clock (microseconds), and what to do then. What leaves: the acts, never before
their instant, in the order of their instants, each told what was planned; and how late each really was. Whatever the
server does, plans do not move: that is what makes a load open. It knows neither viewers nor sockets.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

Act = Callable[[int], bool | None]

# The loop must hear sockets in between: acts that are late anyway wait so much longer at most.
BURST_US = 4_000
# Acts closer than that are done in one go: a wake-up of the loop costs as much as several sends.
GRAIN_US = 250


class Clock(Protocol):
    def now_us(self) -> int: ...


class Timer(Protocol):
    """One alarm. Setting it again moves it."""

    def set(self, after_us: int) -> None: ...
    def close(self) -> None: ...


def _nothing() -> None:
    pass


class Pacer:
    """`at` plans one act, `stream` a whole row of arrivals. Used from the loop's thread alone.

    `late` is called with microseconds for every act that was planned with `counted` (the arrivals of an open load),
    unless the act returns false: then nothing was sent yet, and whoever sends it says how late it is.
    """

    def __init__(self, clock: Clock, timer: Callable[[Callable[[], None]], Timer], late: Callable[[int], None]) -> None:
        self._clock = clock
        self._late = late
        self._heap: list[tuple[int, int, Act, bool]] = []
        self._order = itertools.count()
        self._timer = timer(self.run_due)
        self._running = False
        self._closed = False

    def __len__(self) -> int:
        """Acts that are planned; of a stream, its next one."""
        return len(self._heap)

    def at(self, planned_us: int, act: Act, *, counted: bool = False) -> None:
        """`act(planned_us)` at that instant, or at once where it is past. After `close` nothing is planned."""
        if self._closed:
            return
        heapq.heappush(self._heap, (planned_us, next(self._order), act, counted))
        if not self._running and self._heap[0][0] == planned_us:
            self._arm()

    def stream(
        self, planned: Iterable[int], act: Act, done: Callable[[], None] = _nothing, *, counted: bool = True
    ) -> None:
        """`act` at each of these instants, which never fall; `done()` after the last. One of them is held at a time."""
        self._go_on(iter(planned), act, done, counted)

    def _go_on(self, rest: Iterator[int], act: Act, done: Callable[[], None], counted: bool) -> None:
        following = next(rest, None)
        if following is None:
            done()
            return

        def arrive(planned_us: int) -> bool | None:
            sent = act(planned_us)
            self._go_on(rest, act, done, counted)
            return sent

        self.at(following, arrive, counted=counted)

    def run_due(self) -> None:
        """Do what is due now; after `BURST_US` the rest waits for the loop's next turn. The timer calls this."""
        heap, clock, late = self._heap, self._clock, self._late
        now_us = begun_us = clock.now_us()
        self._running = True
        try:
            while heap and heap[0][0] <= now_us and now_us - begun_us < BURST_US:
                planned_us, _, act, counted = heapq.heappop(heap)
                if act(planned_us) is not False and counted:
                    late(now_us - planned_us)
                now_us = clock.now_us()
        finally:
            self._running = False
            self._arm()

    def _arm(self) -> None:
        if self._heap and not self._closed:
            wait_us = self._heap[0][0] - self._clock.now_us()
            self._timer.set(max(wait_us, 0 if wait_us <= 0 else GRAIN_US))

    def drop_counted(self) -> int:
        """No further arrivals; what is planned otherwise stays. How many streams were ended so."""
        kept = [each for each in self._heap if not each[3]]
        dropped = len(self._heap) - len(kept)
        self._heap[:] = kept
        heapq.heapify(self._heap)
        return dropped

    def close(self) -> None:
        """Nothing is done any more."""
        self._closed = True
        self._heap.clear()
        self._timer.close()
