"""The recent public events of one show, for viewers who come back within two minutes.

What arrives: events in offset order. What leaves: every event after an offset, or None; never a part. Bounded three
ways: 300 events, 2 minutes, 1 MiB. It does not know epochs or viewers.
"""

from collections import deque

from livecommerce.protocol.facts import Stamped

EVENTS_MAX = 300
AGE_SECONDS_MAX = 120.0
BYTES_MAX = 1_048_576


class Ring:
    """Events with dense offsets; whoever asks for more than it holds gets None."""

    def __init__(
        self, events_max: int = EVENTS_MAX, age_seconds_max: float = AGE_SECONDS_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._events_max = events_max
        self._age_seconds_max = age_seconds_max
        self._bytes_max = bytes_max
        self._rows: deque[tuple[Stamped, int, float]] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, stamped: Stamped, size_bytes: int, now_seconds: float) -> None:
        """Keep the next event. An offset that does not follow the last one means a new beginning."""
        if self._rows and stamped.offset != self._rows[-1][0].offset + 1:
            self.clear()
        self._rows.append((stamped, size_bytes, now_seconds))
        self.bytes += size_bytes
        while self._rows and self._too_much(now_seconds):
            self.bytes -= self._rows.popleft()[1]

    def _too_much(self, now_seconds: float) -> bool:
        return (
            len(self._rows) > self._events_max
            or self.bytes > self._bytes_max
            or now_seconds - self._rows[0][2] > self._age_seconds_max
        )

    def clear(self) -> None:
        self._rows.clear()
        self.bytes = 0

    def since(self, offset: int, last_offset: int) -> tuple[Stamped, ...] | None:
        """All events after `offset` up to `last_offset`, the newest there is; None where one of them is missing."""
        if offset == last_offset:
            return ()
        if offset > last_offset or not self._rows or self._rows[-1][0].offset != last_offset:
            return None
        first = self._rows[0][0].offset
        if offset + 1 < first:
            return None
        return tuple(row[0] for row in list(self._rows)[offset + 1 - first :])
