"""Talk: what the room hears of it. One thinning per room, so that everybody gets the same lines in the same frame.

What arrives: lines in the order in which the relay carried them, the same in every process. What leaves: lines for
desks and, fewer, for phones, and how many were left out. Thinning looks at the lines' own instants and never at this
process's clock, so that every process leaves out the same lines. Hosts and moderators are never thinned.
It does not know who said a line, or sockets.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from livecommerce.protocol.facts import Line

BURST_SECONDS = 2  # a quiet room may say this many seconds' worth of lines at once
HISTORY_MAX = 50  # lines a newcomer is shown
TICK_LINES_MAX = 400  # lines one process hands to the relay in one tick; more are shed there and told
_SHED_WINDOW_MS = 2000


class Thinner:
    """A bucket of lines: `lines_per_second`, with a burst. 0 lets everything through."""

    __slots__ = ("_at_ms", "_lines", "lines_per_second")

    def __init__(self, lines_per_second: int) -> None:
        self.lines_per_second = lines_per_second
        self._lines = float(lines_per_second * BURST_SECONDS)
        self._at_ms = 0

    def lets(self, at_ms: int) -> bool:
        """Take one line at `at_ms`; instants that go back count as the latest seen."""
        if self.lines_per_second == 0:
            return True
        if at_ms > self._at_ms:
            most = float(self.lines_per_second * BURST_SECONDS)
            self._lines = min(most, self._lines + (at_ms - self._at_ms) * self.lines_per_second / 1000)
            self._at_ms = at_ms
        if self._lines < 1:
            return False
        self._lines -= 1
        return True

    @property
    def again_ms(self) -> int:
        """When a line can pass again."""
        return 0 if self.lines_per_second == 0 else round(max(0.0, 1 - self._lines) * 1000 / self.lines_per_second)


@dataclass(slots=True)
class Heard:
    """What became of one line."""

    line: Line
    shown: bool
    again_ms: int | None = None


@dataclass(slots=True)
class TalkFrames:
    """What goes out now: two shared streams, and the lines left out each second."""

    desk: tuple[Line, ...]
    phone: tuple[Line, ...]
    shed: float


class TalkStream:
    """The lines of one room on their way to its viewers."""

    def __init__(self, desk_rate: int, phone_rate: int) -> None:
        self.history: deque[Line] = deque(maxlen=HISTORY_MAX)
        self._desk = Thinner(desk_rate)
        self._phone = Thinner(phone_rate)
        self._desk_lines: list[Line] = []
        self._phone_lines: list[Line] = []
        self._shed_at_ms: deque[int] = deque(maxlen=4096)
        self._told_shed = 0.0
        self._latest_ms = 0

    def hear(self, line: Line) -> Heard:
        """Let the line through to the next frame, or leave it out for everybody."""
        self._latest_ms = max(self._latest_ms, line.at_ms)
        staff = line.role != "viewer"
        if not staff and not self._desk.lets(line.at_ms):
            self._shed_at_ms.append(line.at_ms)
            return Heard(line, False, self._desk.again_ms)
        self.history.append(line)
        self._desk_lines.append(line)
        if staff or self._phone.lets(line.at_ms):
            self._phone_lines.append(line)
        return Heard(line, True)

    def take(self) -> TalkFrames | None:
        """The next frames; None where there is nothing to say, not even that shedding changed."""
        shed = self.shed_per_second
        if not self._desk_lines and not (self._shed_at_ms and shed != self._told_shed):
            return None
        self._told_shed = shed
        desk, self._desk_lines = tuple(self._desk_lines), []
        phone, self._phone_lines = tuple(self._phone_lines), []
        return TalkFrames(desk, phone, shed)

    @property
    def shed_per_second(self) -> float:
        while self._shed_at_ms and self._shed_at_ms[0] <= self._latest_ms - _SHED_WINDOW_MS:
            self._shed_at_ms.popleft()
        return len(self._shed_at_ms) * 1000 / _SHED_WINDOW_MS

    def since(self, line_id: str) -> tuple[tuple[Line, ...], bool]:
        """The lines after `line_id`, and whether that is all that was said since. Without an id: since ever."""
        lines = tuple(self.history)
        if not line_id:
            return lines, len(lines) < HISTORY_MAX
        at = next((at for at, line in enumerate(lines) if line.line_id == line_id), None)
        return (lines, not lines) if at is None else (lines[at + 1 :], True)

    def hide(self, line_ids: Collection[str]) -> None:
        """Take lines out of what is shown to newcomers and of what has not gone out yet."""
        self._keep([line for line in self.history if line.line_id not in line_ids])
        self._desk_lines = [line for line in self._desk_lines if line.line_id not in line_ids]
        self._phone_lines = [line for line in self._phone_lines if line.line_id not in line_ids]

    def restore(self, restored: Line) -> None:
        """Show newcomers a hidden line again, where it stood."""
        others = [line for line in self.history if line.line_id != restored.line_id]
        self._keep(sorted((*others, restored), key=lambda line: line.at_ms))

    def _keep(self, lines: Sequence[Line]) -> None:
        self.history.clear()
        self.history.extend(lines)
