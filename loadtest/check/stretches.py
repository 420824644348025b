"""What each viewer saw of the show's news: does it join up, does it reach the end, was it what the log has?

What arrives: the log's events, every event that a generator saw for the first time, and each viewer's stretches. What
leaves: findings of lost, reordered and wrong events. It knows nothing of stock.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import partial

from livecommerce.audit.books import Books
from livecommerce.errors import Close
from livecommerce.shows.log import FORGOTTEN
from loadtest.check.findings import Findings
from loadtest.check.words import line_of
from loadtest.records import Disorder, EventSeen, Segment

IN_TO_THE_END = -1
_LEFT = 1000  # she said goodbye
_DO_NOT_COME_BACK = range(4500, 5000)
# The end of the show is the only one that a run may expect unless its scenario says otherwise.
CLOSES_EXPECTED: frozenset[int] = frozenset({Close.SHOW_OVER})

Place = tuple[str, int]  # (epoch, offset)


class Log:
    """The show's public events as the ledger has them. What came after `final` is nobody's: no viewer was left."""

    def __init__(self, books: Books, final: Place | None) -> None:
        self.digests: dict[Place, str] = {}
        self._final = final
        self._order: dict[Place, int] = {}
        self.last: Place | None = final
        # Rows whose place nobody knows any more may be those that a viewer saw: then "not in the log" proves nothing.
        self.is_whole = books.whole and not books.pending.events
        for row in books.events:
            if row.epoch == FORGOTTEN or not row.place:
                self.is_whole = False
                continue
            self.digests[row.epoch, row.place] = row.digest
            self._order[row.epoch, row.place] = len(self._order)
            if final is None:
                self.last = (row.epoch, row.place)

    def is_after_the_end(self, place: Place) -> bool:
        """True for what came after the last event that is judged; of another epoch only where the log knows the order
        of both."""
        if self._final is None:
            return False
        if place[0] == self._final[0]:
            return place[1] > self._final[1]
        return self._order.get(place, -1) > self._order.get(self._final, len(self._order))


class Stretches:
    """All that was seen in one run. `see` for each event, then `check` for each viewer."""

    def __init__(self, log: Log, findings: Findings) -> None:
        self._log = log
        self._findings = findings
        self._first: dict[Place, EventSeen] = {}
        self._seen: defaultdict[int, set[Place]] = defaultdict(set)
        self._covered: set[tuple[int, str, int, int]] = set()
        self._unseen: set[tuple[int, Place]] = set()

    def see(self, generator: int, event: EventSeen) -> None:
        """A generator saw this event for the first time at this place, or something else there than before."""
        place = (event.epoch, event.offset)
        if self._log.is_after_the_end(place):
            return
        self._seen[generator].add(place)
        first = self._first.setdefault(place, event)
        if first.digest != event.digest:
            text = f"At place {event.offset} of epoch {event.epoch} two viewers were shown different events."
            self._findings.add("wrong_state_events", text, lambda: (line_of(first), line_of(event)))
        logged = self._log.digests.get(place)
        if logged is None and self._log.is_whole:
            text = f"Event {event.offset} of epoch {event.epoch} was shown to viewers and is not in the show's log."
            self._findings.add("wrong_state_events", text, lambda: (line_of(event),))
        elif logged is not None and logged != event.digest:
            text = (
                f"Event {event.offset} of epoch {event.epoch} was shown to viewers and the log has another one there."
            )
            history = (line_of(event), f"log: digest {logged}")
            self._findings.add("wrong_state_events", text, lambda: history)

    def check(
        self, generator: int, viewer: str, segments: Sequence[Segment], disorders: Sequence[Disorder]
    ) -> None:  # fmt: skip
        """One viewer's news, once every event of the run was seen. Her stretches in the order in which she had them."""
        history = partial(_history, segments, disorders)
        for disorder in disorders:
            if self._log.is_after_the_end((disorder.epoch, min(disorder.expected, disorder.got))):
                continue
            kind = "lost_state_events" if disorder.got > disorder.expected else "reordered_state_events"
            what = f"event {disorder.got} where {disorder.expected} was due (epoch {disorder.epoch})"
            self._findings.add(kind, f"{viewer} was sent {what}.", history)
        before: Segment | None = None
        for segment in segments:
            wrong = None if self._is_beyond(before) else _joins_wrongly(before, segment)
            if wrong is not None:
                self._findings.add(wrong[0], f"{viewer} {wrong[1]}.", history)
            self._cover(generator, segment)
            before = segment
        if before is not None and (missed := self._missed_at_the_end(before)):
            self._findings.add("lost_state_events", f"{viewer} was in to the end and {missed}.", history)

    def _is_beyond(self, before: Segment | None) -> bool:
        """She had all that is judged, and what followed is not: how it joined up neither."""
        return before is not None and self._log.is_after_the_end((before.epoch, before.to_offset + 1))

    def _cover(self, generator: int, segment: Segment) -> None:
        """Whatever lies in a stretch must have been seen. Thousands of viewers have the same stretches: once each."""
        covered = (generator, segment.epoch, segment.from_offset, segment.to_offset)
        if covered in self._covered:
            return
        self._covered.add(covered)
        for offset in range(segment.from_offset + 1, segment.to_offset + 1):
            place = (segment.epoch, offset)
            if self._log.is_after_the_end(place):
                break
            if place not in self._seen[generator] and (generator, place) not in self._unseen:
                self._unseen.add((generator, place))
                text = (
                    f"Event {offset} of epoch {segment.epoch} was seen by nobody, though {segment.viewer} went past it."
                )
                self._findings.add("lost_state_events", text, lambda: (line_of(segment),))

    def _missed_at_the_end(self, segment: Segment) -> str:
        if segment.closed != IN_TO_THE_END or self._log.last is None:
            return ""
        epoch, last = self._log.last
        if self._log.is_after_the_end((segment.epoch, segment.to_offset)):
            return ""
        if segment.epoch != epoch:
            return f"was left in epoch {segment.epoch}; the show went on in {epoch}, up to event {last}"
        if segment.to_offset < last:
            return f"never got events {segment.to_offset + 1} to {last} of epoch {epoch}"
        return ""


def is_gone(segments: Sequence[Segment], closes_expected: Collection[int]) -> bool:
    """True where she left, or her line was closed for a reason that the run expects: nobody owes her anything."""
    return bool(segments) and (segments[-1].closed == _LEFT or segments[-1].closed in closes_expected)


def is_sent_away(segments: Sequence[Segment], closes_expected: Collection[int]) -> bool:
    """True where she was told not to come back, and the run expects no such thing."""
    if not segments:
        return False
    return segments[-1].closed in _DO_NOT_COME_BACK and segments[-1].closed not in closes_expected


def _joins_wrongly(before: Segment | None, segment: Segment) -> tuple[str, str] | None:
    """(kind, what happened), or None where the stretch follows the one before. A snapshot may begin anywhere: with it
    she was told all that there is."""
    if segment.to_offset < segment.from_offset:
        return "reordered_state_events", f"went back from event {segment.from_offset} to {segment.to_offset}"
    if segment.by == "snapshot":
        return None
    if before is None:
        return "lost_state_events", f"resumed at event {segment.from_offset} without ever having been in"
    if before.epoch != segment.epoch:
        return "lost_state_events", f"resumed in epoch {segment.epoch}, and had known {before.epoch}"
    if segment.from_offset > before.to_offset:
        missed = f"events {before.to_offset + 1} to {segment.from_offset} of epoch {segment.epoch}"
        return "lost_state_events", f"never got {missed}: she resumed behind them"
    if segment.from_offset < before.to_offset:
        return "reordered_state_events", f"resumed at event {segment.from_offset} and had {before.to_offset} already"
    return None


def _history(segments: Sequence[Segment], disorders: Sequence[Disorder]) -> list[str]:
    return [*map(line_of, segments), *map(line_of, disorders)]
