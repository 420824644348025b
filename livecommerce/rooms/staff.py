"""Who of the staff is in the room, over all processes: so that two moderators know of each other.

What arrives: who sits at a desk here, and what other processes report. What leaves: everybody, once each, and whether
that changed. A process that stops reporting is forgotten after some seconds, as with the head-count. It knows no
sockets.
"""

from collections.abc import Iterable

from livecommerce.protocol.facts import Presence

EXPIRY_SECONDS = 8.0
REPORT_SECONDS = 3.0  # also without a change: so that silence means "gone"


class Staff:
    """The desk of one room."""

    def __init__(self, process_id: str) -> None:
        self._process_id = process_id
        self._here: tuple[Presence, ...] = ()
        self._others: dict[str, tuple[tuple[Presence, ...], float]] = {}
        self._reported: tuple[Presence, ...] = ()
        self._reported_at = float("-inf")
        self._told: tuple[Presence, ...] = ()

    def sits(self, here: Iterable[Presence]) -> None:
        """Everybody who is at a desk of this process now."""
        self._here = tuple(sorted(set(here), key=lambda one: (one.name, one.account_id)))

    def hear(self, process_id: str, there: Iterable[Presence], now_seconds: float) -> None:
        """Another process's report; our own comes back too."""
        if process_id != self._process_id:
            self._others[process_id] = (tuple(there), now_seconds)

    def report(self, now_seconds: float) -> tuple[Presence, ...] | None:
        """Who is here, where that is worth telling the others."""
        due = bool(self._here) and now_seconds - self._reported_at >= REPORT_SECONDS
        if self._here == self._reported and not due:
            return None
        self._reported, self._reported_at = self._here, now_seconds
        return self._here

    def is_elsewhere(self, account_id: str, now_seconds: float) -> bool:
        """True where another process has that account at a desk."""
        self._forget(now_seconds)
        return any(one.account_id == account_id for there, _ in self._others.values() for one in there)

    def everybody(self, now_seconds: float) -> tuple[Presence, ...]:
        self._forget(now_seconds)
        there = (one for row, _ in self._others.values() for one in row)
        by_account = {one.account_id: one for one in (*there, *self._here)}
        return tuple(sorted(by_account.values(), key=lambda one: (one.name, one.account_id)))

    def change(self, now_seconds: float) -> tuple[Presence, ...] | None:
        """Everybody, where that is another list than the one told last."""
        everybody = self.everybody(now_seconds)
        if everybody == self._told:
            return None
        self._told = everybody
        return everybody

    def _forget(self, now_seconds: float) -> None:
        self._others = {name: row for name, row in self._others.items() if now_seconds - row[1] <= EXPIRY_SECONDS}
