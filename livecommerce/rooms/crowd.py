"""How many are here: a number, never a list. No join and leave lines; the number moves in steps that grow with it.

What arrives: this process's count, and the counts and hearts that other processes report. What leaves: the head-count
to show, and what to report. A process that stops reporting is forgotten after some seconds.
"""

EXPIRY_SECONDS = 8.0
REPORT_SECONDS = 3.0  # also without a change: so that silence means "gone"


def step_of(viewers: int) -> int:
    """How finely a head-count is told: every change up to 100, then every 10th, 50th and 100th viewer."""
    if viewers > 10_000:
        return 100
    if viewers > 1_000:
        return 50
    return 10 if viewers > 100 else 1


def rounded(viewers: int) -> int:
    return viewers - viewers % step_of(viewers)


class Crowd:
    """The head-count of one room over all processes, and its hearts."""

    def __init__(self, process_id: str) -> None:
        self._process_id = process_id
        self._others: dict[str, tuple[int, float]] = {}
        self.here = 0
        self._hearts_here = 0
        self._hearts_heard = 0
        self._reported = -1
        self._reported_at = float("-inf")
        self._told = -1

    def heart(self) -> None:
        self._hearts_here += 1

    def hear(self, process_id: str, viewers: int, hearts: int, now_seconds: float) -> None:
        """Another process's report; our own comes back too and is not counted twice."""
        if process_id != self._process_id:
            self._others[process_id] = (viewers, now_seconds)
            self._hearts_heard += hearts

    def report(self, now_seconds: float) -> tuple[int, int] | None:
        """(viewers here, hearts since the last report) where that is worth telling the others."""
        due = now_seconds - self._reported_at >= REPORT_SECONDS
        if self.here == self._reported and not self._hearts_here and not due:
            return None
        self._reported, self._reported_at = self.here, now_seconds
        hearts, self._hearts_here = self._hearts_here, 0
        self._hearts_heard += hearts
        return self.here, hearts

    def total(self, now_seconds: float) -> int:
        """Everybody, rounded to the step of that size."""
        self._others = {process: row for process, row in self._others.items() if now_seconds - row[1] <= EXPIRY_SECONDS}
        return rounded(self.here + sum(viewers for viewers, _ in self._others.values()))

    def changes(self, now_seconds: float) -> tuple[int | None, int | None]:
        """(head-count, hearts) to tell the room, each None where there is nothing new."""
        total = self.total(now_seconds)
        viewers = None if total == self._told else total
        self._told = total
        hearts, self._hearts_heard = self._hearts_heard, 0
        return viewers, hearts or None
