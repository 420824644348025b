"""What one socket has asked of the engine, so that each change is told to it once.

The engine's news of a hold go to every window of its owner; the window that asked also gets an answer. Both come from
the same call of the script and carry the same version, in either order: what the answer says is not said again.

What arrives: rids asked, answers and news with their versions. What leaves: whether a piece of news is still to be
sent. It does not know holds, frames or the engine.
"""

from typing import Generic, TypeVar

T = TypeVar("T")

# Answers whose news may still be on its way. Past it the oldest is forgotten, and its news is told a second time.
ANSWERED_MAX = 8


class Asked(Generic[T]):
    """Of one socket. A version is 0 where an answer says nothing about the books."""

    __slots__ = ("_answered", "_open")

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, T] | None] = {}  # rid → the newest news that came before its answer
        self._answered: dict[str, int] = {}

    def ask(self, rid: str) -> None:
        """An answer is on its way: news of this rid wait for it."""
        self._open.setdefault(rid, None)

    def answer(self, rid: str, version: int) -> T | None:
        """The answer is about to be sent; news that came before it and that it does not tell, to be sent after it."""
        kept = self._open.pop(rid, None)
        if kept is not None and kept[0] >= version:
            return kept[1] if kept[0] > version else None
        if version:
            self._answered.pop(rid, None)
            self._answered[rid] = version
            if len(self._answered) > ANSWERED_MAX:
                del self._answered[next(iter(self._answered))]
        return None

    def news(self, rid: str, version: int, message: T) -> bool:
        """True where this is to be sent now; False where an answer tells it, told it, or told something newer."""
        if rid in self._open:
            kept = self._open[rid]
            if kept is None or kept[0] < version:
                self._open[rid] = version, message
            return False
        told = self._answered.get(rid)
        if told is None:
            return True
        if version < told:
            return False
        del self._answered[rid]
        return version > told
