"""How late the viewers see the picture: a median, never a list.

What arrives: what viewers here say of their own pictures, and what other processes heard. What leaves: this process's
counts for the others, and the median of everybody for the desks. Kept are two short windows of counts by size, nothing
of anybody: who says it twice as often counts twice, and the socket's credits bound that. It does not know sockets.
"""

from collections import Counter
from collections.abc import Iterable

from livecommerce.protocol.facts import PictureDelay

STEP_MS = 250
DELAY_MS_MAX = 60_000  # beyond it is no delay but somebody who looks back; all of them count as this
WINDOW_SECONDS = 20.0  # pages tell it every 15 s or so: each stands in one of the two windows
REPORT_SECONDS = 5.0
EXPIRY_SECONDS = 15.0  # a process that says nothing for so long is gone

Counts = tuple[tuple[int, int], ...]  # (steps of 250 ms, how many said it), rising


class Delays:
    """Of one room over all processes."""

    def __init__(self, process_id: str) -> None:
        self._process_id = process_id
        self._now: Counter[int] = Counter()
        self._before: Counter[int] = Counter()
        self._since = float("-inf")
        self._others: dict[str, tuple[Counts, float]] = {}
        self._reported: Counts = ()
        self._reported_at = float("-inf")
        self._told = PictureDelay(0, 0)

    def take(self, delay_ms: int, now_seconds: float) -> None:
        """A viewer's own word."""
        self._turn(now_seconds)
        self._now[min(max(0, delay_ms), DELAY_MS_MAX) // STEP_MS] += 1

    def hear(self, process_id: str, counts: Iterable[tuple[int, int]], now_seconds: float) -> None:
        """Another process's counts; our own come back too."""
        if process_id != self._process_id:
            self._others[process_id] = (tuple(counts), now_seconds)

    def report(self, now_seconds: float) -> Counts | None:
        """Our counts, where it is time to tell the others: also that there are none any more, once."""
        if now_seconds - self._reported_at < REPORT_SECONDS:
            return None
        counts = self._here(now_seconds)
        if not counts and not self._reported:
            return None
        self._reported, self._reported_at = counts, now_seconds
        return counts

    def median(self, now_seconds: float) -> PictureDelay:
        """Of everybody who said it lately; of nobody: (0, 0)."""
        self._others = {name: row for name, row in self._others.items() if now_seconds - row[1] <= EXPIRY_SECONDS}
        everybody: Counter[int] = Counter()
        for counts in (self._here(now_seconds), *(counts for counts, _ in self._others.values())):
            for steps, count in counts:
                everybody[steps] += count
        middle, seen = (everybody.total() + 1) // 2, 0
        for steps in sorted(everybody):
            seen += everybody[steps]
            if seen >= middle:
                return PictureDelay(steps * STEP_MS + STEP_MS // 2, everybody.total())
        return PictureDelay(0, 0)

    def change(self, now_seconds: float) -> PictureDelay | None:
        """The median, where desks were told another one; how many said it moves all the time and is no news."""
        found = self.median(now_seconds)
        if (found.median_ms, found.reports > 0) == (self._told.median_ms, self._told.reports > 0):
            return None
        self._told = found
        return found

    def _here(self, now_seconds: float) -> Counts:
        self._turn(now_seconds)
        return tuple(sorted((self._now + self._before).items()))

    def _turn(self, now_seconds: float) -> None:
        age = now_seconds - self._since
        if age < WINDOW_SECONDS:
            return
        self._before = self._now if age < 2 * WINDOW_SECONDS else Counter()
        self._now = Counter()
        self._since = now_seconds
