"""One timer for all sockets: a wheel of slots that turns by one second at a time.

What arrives: things that want to be looked at in n seconds. What leaves: a call of `look(now_seconds)` on each thing
whose time has come; it answers in how many seconds it wants to be looked at again, or None for never. A timer per
socket would cost ten thousand heap entries and as many wake-ups; here a socket is in one slot at a time.
"""

from typing import Protocol

import structlog

log = structlog.get_logger(__name__)


class Looked(Protocol):
    """Something with a next thing to do at a certain time. `wheel_slot` belongs to the wheel; begin with -1."""

    wheel_slot: int

    def look(self, now_seconds: float) -> float | None:
        """Do what is due; return the seconds until the next look, or None."""


class Wheel:
    """Times up to `len(slots) - 1` seconds; longer ones are cut to that, and the thing asked again then."""

    def __init__(self, now_seconds: float, slots: int = 128) -> None:
        self._slots: list[set[Looked]] = [set() for _ in range(slots)]
        self._tick = int(now_seconds)

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots)

    def put(self, thing: Looked, seconds: float) -> None:
        """Look at `thing` in `seconds`, rounded up to a whole tick; an earlier appointment is dropped."""
        self.drop(thing)
        ticks = min(max(1, -int(-seconds // 1)), len(self._slots) - 1)
        thing.wheel_slot = (self._tick + ticks) % len(self._slots)
        self._slots[thing.wheel_slot].add(thing)

    def drop(self, thing: Looked) -> None:
        """Forget `thing`; harmless where it is not on the wheel."""
        if thing.wheel_slot >= 0:
            self._slots[thing.wheel_slot].discard(thing)
            thing.wheel_slot = -1

    def turn(self, now_seconds: float) -> None:
        """Look at everything due up to now. A look that raises is logged and costs the others nothing."""
        while self._tick < int(now_seconds):
            self._tick += 1
            place = self._tick % len(self._slots)
            due, self._slots[place] = self._slots[place], set()
            for thing in due:
                thing.wheel_slot = -1
                self._look(thing, now_seconds)

    def _look(self, thing: Looked, now_seconds: float) -> None:
        try:
            again_seconds = thing.look(now_seconds)
        except Exception:
            log.exception("look_failed")
            return
        if again_seconds is not None and thing.wheel_slot < 0:
            self.put(thing, again_seconds)
