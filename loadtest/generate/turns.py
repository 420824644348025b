"""Open loads that need somebody to send them: an arrival for which nobody is free waits, and keeps its planned moment.

What arrives: planned taps and lines of chat, and viewers who have become free. What leaves: each arrival by one viewer,
the oldest plan first; at the end of its order what nobody could send is counted as skipped. A server that is slow so
makes them late, which is seen, instead of making them vanish. It does not know what a tap or a line says.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtest.crowd.behaviour import draw_speaker
from loadtest.generate.link import RunClock
from loadtest.generate.measured import Measured
from loadtest.generate.pacer import Pacer
from loadtest.generate.viewer import Viewer

# What the server allows one socket: 2 reservations a second and 10 at once. One less at once, because what we send
# evenly arrives unevenly.
RESERVE_EVERY_US, RESERVE_AT_ONCE = 500_000, 9
LOOK_US = 20_000  # lines of chat that wait look again for a speaker
DRAWS_MAX = 20
# Where all who were drawn have said enough for now, so many others are looked at: more would cost more than the line.
LOOKS_MAX = 64


@dataclass(slots=True)
class _Tap:
    order_id: int
    planned_us: int
    send: Callable[[Viewer], None]
    is_sent: bool = False


@dataclass(slots=True)
class Turns:
    """The row of one group's viewers who may tap: who has been free for longest is next."""

    clock: RunClock
    pacer: Pacer
    measured: Measured
    _row: deque[Viewer] = field(default_factory=deque)
    _waiting: deque[_Tap] = field(default_factory=deque)

    def __len__(self) -> int:
        """Taps that wait."""
        return len(self._waiting)

    def is_free(self, viewer: Viewer) -> None:
        """She can tap, as far as is known: at the end of the row, unless she stands in it."""
        if not viewer.is_in_turn:
            viewer.is_in_turn = True
            self._row.append(viewer)
            self._serve(None)

    def tap(self, order_id: int, planned_us: int, send: Callable[[Viewer], None]) -> bool:
        """`send(viewer)` now, or as soon as somebody is free; whether it was now."""
        tap = _Tap(order_id, planned_us, send)
        self._waiting.append(tap)
        self._serve(tap)
        return tap.is_sent

    def give_up(self, order_id: int) -> int:
        """The order is over: how many of its taps were never sent."""
        kept = deque(tap for tap in self._waiting if tap.order_id != order_id)
        given_up = len(self._waiting) - len(kept)
        self._waiting = kept
        return given_up

    def _serve(self, fresh: _Tap | None) -> None:
        now_us = self.clock.now_us()
        while self._waiting and self._row:
            viewer = self._row.popleft()
            viewer.is_in_turn = False
            if not viewer.can_tap:
                continue  # she comes again when she is free
            if not viewer.allowed_reserve.take(now_us, RESERVE_EVERY_US, RESERVE_AT_ONCE):
                self._later(viewer)
                continue
            tap = self._waiting.popleft()
            tap.is_sent = True
            if tap is not fresh:
                self.measured.waited(now_us - tap.planned_us)
            tap.send(viewer)

    def _later(self, viewer: Viewer) -> None:
        """She has tapped as much as the server lets one do; she keeps her place among those who are free."""
        viewer.is_in_turn = True

        def again(_planned_us: int) -> None:
            viewer.is_in_turn = False
            self.is_free(viewer)

        self.pacer.at(viewer.allowed_reserve.free_at_us(RESERVE_EVERY_US, RESERVE_AT_ONCE), again)


Say = Callable[[Viewer], bool]


class Talk:
    """The lines of one order: each by a viewer drawn from the group, or by the next who may still say something."""

    def __init__(
        self, clock: RunClock, pacer: Pacer, measured: Measured, group: list[Viewer], rng: random.Random
    ) -> None:
        self._clock, self._pacer, self._measured = clock, pacer, measured
        self._group, self._rng = group, rng
        self._waiting: deque[tuple[int, Say]] = deque()
        self._turn = 0

    def __len__(self) -> int:
        """Lines that wait."""
        return len(self._waiting)

    def line(self, planned_us: int, say: Say) -> bool:
        """`say(viewer)`, which is false where she may not, now or as soon as somebody may; whether it was now."""
        if not self._waiting and self._said(say):
            return True
        self._waiting.append((planned_us, say))
        if len(self._waiting) == 1:
            self._look_later()
        return False

    def give_up(self) -> int:
        """The order is over: how many lines were never said."""
        given_up = len(self._waiting)
        self._waiting.clear()
        return given_up

    def _look_later(self) -> None:
        self._pacer.at(self._clock.now_us() + LOOK_US, self._look)

    def _look(self, _planned_us: int) -> None:
        while self._waiting and self._said(self._waiting[0][1]):
            planned_us, _ = self._waiting.popleft()
            self._measured.waited(self._clock.now_us() - planned_us)
        if self._waiting:
            self._look_later()

    def _said(self, say: Say) -> bool:
        group = self._group
        if not group:
            return False
        if any(say(group[draw_speaker(self._rng, len(group))]) for _ in range(DRAWS_MAX)):
            return True
        for _ in range(min(LOOKS_MAX, len(group))):
            self._turn += 1
            if say(group[self._turn % len(group)]):
                return True
        return False
