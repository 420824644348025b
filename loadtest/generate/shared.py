"""What the frames say that everybody gets: their marks, the events' digests, which deals are open.

What arrives: each distinct shared frame, normally once, and snapshots. What leaves: `FrameFacts` for the receiver, who
counts them per viewer; a record the first time an event is seen; and the news that a deal has opened. It knows no
viewer.
"""

from collections.abc import Callable, Iterable

import msgspec

from livecommerce.audit.digest import digest_of
from livecommerce.protocol.codec import MSGPACK, decode_to_viewer
from livecommerce.protocol.facts import (
    CardFacts,
    CardListed,
    CardShown,
    DealClosed,
    DealOpened,
    Stamped,
)
from livecommerce.protocol.to_viewer import Levels, Relay, State, Talk
from loadtest.generate.link import RunClock
from loadtest.generate.measured import Measured
from loadtest.marks import planned_us_of
from loadtest.records import EventSeen
from loadtest.wire.receiver import LEVELS, RELAY, STATE, TALK, FrameFacts


class _Snapshot(msgspec.Struct, frozen=True):
    """Of a snapshot no more than is needed here."""

    cards: tuple[CardFacts, ...]


_snapshots = msgspec.msgpack.Decoder(_Snapshot)


class SharedFrames:
    """`facts_of` is what the receiver asks. `on_open(deal_id)` is called the first time a deal is heard to be open, in
    a later turn of the loop than the frame's."""

    def __init__(self, clock: RunClock, measured: Measured, on_open: Callable[[str], None]) -> None:
        self.open_deals: set[str] = set()
        self._clock = clock
        self._measured = measured
        self._on_open = on_open
        self._epoch_number: Callable[[str], int] = _unset
        self._seen: dict[tuple[str, int], str] = {}
        self._last: dict[str, int] = {}
        self._snapshot_at: tuple[str, int] = ("", -1)

    def number_epochs_by(self, number: Callable[[str], int]) -> None:
        """The receiver's own `epoch_number`: it exists only after it was told whom to ask, us."""
        self._epoch_number = number

    def know(self, epoch: str, offset: int) -> None:
        """The show has come so far: somebody was told so."""
        if offset > self._last.get(epoch, -1):
            self._last[epoch] = offset

    def last_offset(self, epoch: str) -> int:
        """The highest offset of the epoch that this generator has heard of: in events, snapshots, or told by `know`."""
        return self._last.get(epoch, 0)

    def facts_of(self, payload: bytes) -> FrameFacts:
        message = decode_to_viewer(payload, MSGPACK)
        match message:
            case State(epoch, events):
                return self._state(epoch, events)
            case Talk(lines):
                marks = (planned_us_of(line.text) for line in lines)
                return FrameFacts(TALK, 0, 1, len(lines), tuple(mark for mark in marks if mark is not None))
            case Levels():
                return FrameFacts(LEVELS, 0, 0, 0, ())
            case Relay():
                return FrameFacts(RELAY, 0, 0, 0, ())
        raise AssertionError(f"{type(message).__name__} is for one viewer")

    def hear_snapshot(self, epoch: str, offset: int, snapshot: bytes) -> None:
        """A welcome's snapshot: all get the same, so only a newer one than the last is looked at."""
        self.know(epoch, offset)
        last_epoch, last_offset = self._snapshot_at
        if epoch == last_epoch and offset <= last_offset:
            return
        self._snapshot_at = (epoch, offset)
        self._hear_cards(_snapshots.decode(snapshot).cards)

    def _state(self, epoch: str, events: tuple[Stamped, ...]) -> FrameFacts:
        now_us = self._clock.now_us()
        planned: list[int] = []
        marked: list[int] = []
        for stamped in events:
            self._see(epoch, stamped, now_us)
            if isinstance(stamped.event, CardShown):
                mark = planned_us_of(stamped.event.card.line)
                if mark is not None and mark <= now_us + self._clock.apart_us:
                    planned.append(mark)
                    marked.append(stamped.offset)
        first, last = (events[0].offset, events[-1].offset) if events else (1, 0)
        return FrameFacts(STATE, self._epoch_number(epoch), first, last, tuple(planned), tuple(marked))

    def _see(self, epoch: str, stamped: Stamped, now_us: int) -> None:
        """Recorded once; again where the same place holds something else, which the checker must hear of."""
        place, digest = (epoch, stamped.offset), digest_of(stamped)
        known = self._seen.get(place)
        if known == digest:
            return
        self._seen[place] = digest
        self._measured.record(EventSeen(now_us, epoch, stamped.offset, digest))
        self.know(epoch, stamped.offset)
        if known is None:
            self._follow(stamped)

    def _follow(self, stamped: Stamped) -> None:
        match stamped.event:
            case DealOpened(deal_id):
                self._opened(deal_id)
            case DealClosed(deal_id):
                self.open_deals.discard(deal_id)
            case CardShown(card) | CardListed(card):
                self._hear_cards((card,))

    def _hear_cards(self, cards: Iterable[CardFacts]) -> None:
        for card in cards:
            for deal in card.deals:
                if deal.status == "open":
                    self._opened(deal.deal_id)

    def _opened(self, deal_id: str) -> None:
        if deal_id not in self.open_deals:
            self.open_deals.add(deal_id)
            self._on_open(deal_id)


def _unset(_epoch: str) -> int:
    raise AssertionError("`number_epochs_by` comes before the first frame")
