"""Breaches as they are found: each is counted, the first few of a kind are kept with the history that shows them.

What arrives: a kind of `KINDS`, a sentence, and a function that writes the history, called only for what is kept: a run
that fails throughout finds a million. What leaves: counts, 0 included, and `Breach`es. It judges nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from loadtest.result import Breach

KINDS = (
    "oversold",
    "lost_holds",
    "early_ends",
    "double_effects",
    "lost_state_events",
    "reordered_state_events",
    "wrong_state_events",
    "unanswered",
    "late_answers",
    "contradicted_answers",
    "unpaid_confirmed",
    "paid_for_nothing",
    "books",
)
KEPT_OF_EACH = 5
# From the beginning and from the end, where a history is longer.
_HISTORY_LINES_MAX = 40

History = Callable[[], Sequence[str]]


def nothing() -> Sequence[str]:
    return ()


class Findings:
    """One run's breaches."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self._kept: defaultdict[str, list[Breach]] = defaultdict(list)

    def add(self, kind: str, sentence: str, history: History = nothing) -> None:
        self.counts[kind] += 1
        if len(self._kept[kind]) < KEPT_OF_EACH:
            self._kept[kind].append(Breach(kind, sentence, _shortened(history())))

    def kept(self) -> tuple[Breach, ...]:
        """In the order of `KINDS`: what must never happen stands first."""
        return tuple(breach for kind in KINDS for breach in self._kept[kind])


def _shortened(lines: Sequence[str]) -> tuple[str, ...]:
    if len(lines) <= _HISTORY_LINES_MAX:
        return tuple(lines)
    half = _HISTORY_LINES_MAX // 2
    return (*lines[:half], f"… {len(lines) - 2 * half} lines left out …", *lines[-half:])
