"""Those who get the same frames, and the hot loop over them.

What arrives: outboxes that come and go, and shared frames. What leaves: one system call per viewer whose line is free;
the others' outboxes are told. Descriptors stand side by side with the outboxes, so that a frame to ten thousand touches
no object of theirs: an outbox keeps its own entry true (`Outbox._aim`) and takes it out when its connection is lost.

Places are stable and filled again last out, first in. So neighbours here are mostly neighbours in the kernel's memory,
too, which is worth a sixth of what a frame costs at ten thousand; in the order of a set each send misses the cache.
"""

import random
from array import array
from collections.abc import Collection, Iterator

from livecommerce.gateway.fan_out import NOBODY, Loop, in_python
from livecommerce.gateway.outbox import Lane, Outbox

_loop: Loop = in_python


class Seats(Collection[Outbox]):
    """One group of a hall. An outbox is in one of them at most."""

    def __init__(self) -> None:
        self.descriptors = array("i")
        self.rows: list[Outbox | None] = []
        self._empty: list[int] = []

    def __len__(self) -> int:
        return len(self.rows) - len(self._empty)

    def __iter__(self) -> Iterator[Outbox]:
        return (outbox for outbox in self.rows if outbox is not None)

    def __contains__(self, outbox: object) -> bool:
        return isinstance(outbox, Outbox) and outbox.seats is self

    def add(self, outbox: Outbox) -> None:
        assert outbox.seats is None, "an outbox has one seat"
        if self._empty:
            outbox.place = self._empty.pop()
            self.rows[outbox.place] = outbox
            self.descriptors[outbox.place] = outbox.direct
        else:
            outbox.place = len(self.rows)
            self.rows.append(outbox)
            self.descriptors.append(outbox.direct)
        outbox.seats = self

    def discard(self, outbox: Outbox) -> None:
        """Harmless where it does not sit here."""
        if outbox.seats is not self:
            return
        self.rows[outbox.place] = None
        self.descriptors[outbox.place] = NOBODY
        self._empty.append(outbox.place)
        outbox.seats, outbox.place = None, -1


def send_to_all(outboxes: Collection[Outbox], frame: bytes, lane: Lane) -> None:
    """The same bytes to each, one system call per viewer whose line is free."""
    rows: list[Outbox | None] | list[Outbox]
    if isinstance(outboxes, Seats):
        rows, descriptors = outboxes.rows, outboxes.descriptors
    else:
        # Read in this very turn of the event loop, never kept: a number is reused as soon as it is closed.
        rows = list(outboxes)
        descriptors = array("i", [outbox.direct for outbox in rows])
    # From another one on each time: the last of ten thousand hears a card 40 ms after the first, and it should not
    # always be the same who can tap first.
    first = random.randrange(len(rows)) if len(rows) > 1 else 0
    for place, taken in _loop(descriptors, frame, first):
        outbox = rows[place]
        assert outbox is not None
        outbox.not_whole(frame, lane, taken)


def use_loop(loop: Loop) -> None:
    """Whose loop it is in this process: settled once, before the first viewer comes in."""
    global _loop
    _loop = loop
