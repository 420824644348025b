"""What one process remembers of the shows it serves: the history fence's witness, and what it has acknowledged.

What arrives: the answers of the script, once a call, and promises that viewers proved by their tokens. What leaves: the
witness for the next call, and a testimony in pieces, for a rebuild after Redis lost what people were told. Bounded: the
oldest goes first; the journal has copied it into the ledger long before. It knows no Redis and decides nothing.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from livecommerce.reservations.tokens import HoldPromise
from livecommerce.reservations.verbs import hold_named

# Holds, not calls: about 20 MB at the most. The journal is copied several times a second, so this is what one core
# gives out in two seconds at its fastest.
ACKNOWLEDGED_MAX = 65_536
PROOFS_MAX = 65_536
SHOWS_MAX = 10_000
# Of one piece of testimony: about 200 KB.
PIECE_HOLDS = 1000


@dataclass(slots=True)
class Witness:
    """The last call of a show that was answered: epoch, `seq`, `tip`, and how its hold clock stood at what instant."""

    epoch: bytes = b""
    seq: int = 0
    tip: bytes = b""
    hold_clock_ms: int = 0
    at_ms: int = 0


class Testimony(msgspec.Struct, frozen=True, array_like=True):
    """One piece of what a process knows about a show. `holds`: viewer, rid, the record as the script answered it."""

    seq: int
    hold_clock_ms: int
    at_ms: int
    holds: tuple[tuple[str, str, bytes], ...]
    proofs: tuple[HoldPromise, ...]


class Memory:
    """One per process."""

    def __init__(self) -> None:
        self._witnesses: dict[str, Witness] = {}
        self._calls: deque[tuple[str, list[tuple[tuple[str, str], bytes]]]] = deque()
        self._count = 0
        self._counted_again: set[str] = set()
        self._proofs: dict[tuple[str, str, str], HoldPromise] = {}

    def __bool__(self) -> bool:
        return bool(self._witnesses or self._proofs)

    def witness_of(self, show_id: str) -> Witness:
        """The show's witness, kept up to date by `learn`; all zero where nothing was answered yet."""
        witness = self._witnesses.get(show_id)
        if witness is None:
            if len(self._witnesses) >= SHOWS_MAX:
                del self._witnesses[next(iter(self._witnesses))]
            witness = self._witnesses[show_id] = Witness()
        return witness

    def learn(self, show_id: str, requests: Sequence[tuple[Any, ...]], answers: Sequence[list[Any]]) -> None:
        """The holds of one call that was answered. Refusals are not remembered: a crowd that comes too late must not
        push out those who were in time."""
        if show_id in self._counted_again:
            self._counted_again.discard(show_id)
            self.take_proofs(show_id)  # they have served
        kept = [
            (key, answer[1])
            for request, answer in zip(requests, answers, strict=True)
            if answer[0] == 0 and (key := hold_named(request)) is not None
        ]
        if kept:
            self._calls.append((show_id, kept))
            self._count += len(kept)
            while self._count > ACKNOWLEDGED_MAX:
                self._count -= len(self._calls.popleft()[1])

    # --- while a show is counted again ------------------------------------------------------------------------------

    def is_counted_again(self, show_id: str) -> bool:
        """True since this process was told so, until it was answered again."""
        return show_id in self._counted_again

    def told_to_wait(self, show_id: str) -> None:
        """The script said that nobody may count in this show now."""
        if len(self._counted_again) < SHOWS_MAX:
            self._counted_again.add(show_id)

    def prove(self, promise: HoldPromise) -> None:
        """A promise of ours that a viewer came back with."""
        self._proofs[promise.show_id, promise.viewer_id, promise.rid] = promise
        if len(self._proofs) > PROOFS_MAX:
            del self._proofs[next(iter(self._proofs))]

    def take_proofs(self, show_id: str) -> list[HoldPromise]:
        """What was proved since the last time."""
        mine = [key for key in self._proofs if key[0] == show_id]
        return [self._proofs.pop(key) for key in mine]

    def testimony(self, show_id: str) -> Iterator[Testimony]:
        """All that was acknowledged in this show, oldest first; at least one piece, for the clock."""
        witness = self.witness_of(show_id)
        calls = [kept for each, kept in self._calls if each == show_id]
        holds = [(viewer_id, rid, record) for kept in calls for (viewer_id, rid), record in kept]
        for first in range(0, max(1, len(holds)), PIECE_HOLDS):
            piece = tuple(holds[first : first + PIECE_HOLDS])
            yield Testimony(witness.seq, witness.hold_clock_ms, witness.at_ms, piece, ())
