"""One show in this process: what its viewers hear, and in which order. It decides without waiting.

What arrives: messages of the relay (unpacked), lines that viewers say, the time. What leaves: a list of things to be
done (`Out`), which the gateway does in this order. Positions: `(epoch, offset)` of the last event delivered here; an
event that does not follow is kept aside and the hole asked for; an event that came before is dropped. It does not know
sockets, frames, Redis or SQL.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.protocol import codec
from livecommerce.protocol.facts import (
    CardFacts,
    CardListed,
    CardShown,
    Level,
    Line,
    LineHidden,
    LineRestored,
    Presence,
    Role,
    RoomRules,
    ShowChanged,
    ShowStatus,
    Stamped,
)
from livecommerce.protocol.to_viewer import Counting, Desk, Levels, Own, Relay, Said, State, ToViewer
from livecommerce.reservations.relay_format import hold_from_relay, state_of
from livecommerce.rooms.crowd import Crowd
from livecommerce.rooms.delays import Delays
from livecommerce.rooms.moderation import Moderation, TalkRules
from livecommerce.rooms.ring import Ring
from livecommerce.rooms.shelf import Shelf
from livecommerce.rooms.staff import Staff
from livecommerce.rooms.talk import TICK_LINES_MAX, TalkFrames, TalkStream
from livecommerce.shows.lifecycle import refuse_talk

AHEAD_MAX = 1000  # events kept aside while a hole is filled; past it the fill brings them anyway
UNHEARD_SECONDS_MAX = 2.0  # a line of ours that the relay has not brought back by then is told here alone

_line_encode = msgspec.msgpack.Encoder().encode
_line_decode = msgspec.msgpack.Decoder(Line).decode
_own_decode = msgspec.msgpack.Decoder(Own).decode
_desk_decode = msgspec.msgpack.Decoder(Desk).decode
_presence_encode = msgspec.msgpack.Encoder().encode
_presence_decode = msgspec.msgpack.Decoder(Presence).decode


@dataclass(frozen=True, slots=True)
class ToAll:
    message: ToViewer


@dataclass(frozen=True, slots=True)
class ToTalk:
    frames: TalkFrames


@dataclass(frozen=True, slots=True)
class ToViewerOf:
    """To every socket of one viewer."""

    viewer_id: str
    message: ToViewer


class HoldNews(msgspec.Struct, frozen=True, gc=False):
    """A hold as of `version` of the books, to every socket of its viewer that does not know it from its own answer.

    Unpacked only where it is told: most viewers sit elsewhere, and who asked has been answered."""

    show_id: str
    viewer_id: str
    rid: str
    version: int
    raw: bytes
    at_ms: int

    @property
    def state(self) -> int:
        return state_of(self.raw)

    def own(self) -> Own:
        return Own(hold=hold_from_relay(self.show_id, self.rid, self.raw, self.at_ms))


@dataclass(frozen=True, slots=True)
class ToSeat:
    """To the one socket that asked."""

    seat: Any
    message: ToViewer


@dataclass(frozen=True, slots=True)
class ToDesk:
    """To hosts and moderators."""

    message: ToViewer


@dataclass(frozen=True, slots=True)
class Kick:
    viewer_id: str
    code: int


@dataclass(frozen=True, slots=True)
class Publish:
    message: list[Any]


@dataclass(frozen=True, slots=True)
class Remember:
    """Lines for the show's recent talk: (line, who said it, held for a moderator)."""

    line: Line
    viewer_id: str
    held: bool


@dataclass(frozen=True, slots=True)
class Fill:
    """Events after `after_offset` are missing here: read them, then call `fill`."""

    epoch: str
    after_offset: int


@dataclass(frozen=True, slots=True)
class Resync:
    """The order was lost (a new epoch, or a hole that cannot be filled): everybody needs a new snapshot."""


@dataclass(frozen=True, slots=True)
class Recounted:
    """The books were made anew: read all numbers, and tell everybody here whole what is hers."""


Out = ToAll | ToTalk | ToViewerOf | HoldNews | ToSeat | ToDesk | Kick | Publish | Remember | Fill | Resync | Recounted


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says a line, and the socket that waits for the receipt."""

    viewer_id: str
    name: str
    role: Role
    simulated: bool
    seat: Any
    member: bool = False  # the merchant's own customer


@dataclass(slots=True)
class _Unheard:
    """A line of ours that has not come back from the relay yet."""

    line: Line
    speaker: Speaker
    cid: str
    since: float


class Room:
    """The state of one show as this process last heard it."""

    def __init__(
        self, show_id: str, process_id: str, desk_rate: int, phone_rate: int, rules: TalkRules | None = None
    ) -> None:
        self.show_id = show_id
        self._process_id = process_id
        self.epoch = ""
        self.offset = 0
        self.status: ShowStatus = "scheduled"
        self.levels: dict[str, Level] = {}
        self.levels_version = 0
        self.ring = Ring()
        self.talk = TalkStream(desk_rate, phone_rate)
        self.crowd = Crowd(process_id)
        self.moderation = Moderation(rules)
        self.staff = Staff(process_id)
        self.delays = Delays(process_id)
        self.relay_up = True
        self._ahead: dict[int, tuple[Stamped, int]] = {}
        self._filling = False
        self._changed_deals: set[str] = set()
        self._crowd_news: tuple[int | None, int] = (None, 0)  # head-count and hearts that the room has not heard yet
        self._to_publish: list[Line] = []
        self._unheard: dict[str, _Unheard] = {}
        self._bundles: dict[str, frozenset[str]] = {}
        self.shelf = Shelf()

    def learn_cards(self, cards: Iterable[CardFacts]) -> None:
        """Which deals go together: those of a bundle card."""
        for card in cards:
            if card.kind == "bundle":
                together = frozenset(deal.deal_id for deal in card.deals)
                self._bundles.update(dict.fromkeys(together, together))

    def refuse_part_of_bundle(self, lines: Iterable[tuple[str, int]]) -> None:
        """Raises `Refused(BUNDLE)` where a deal of a bundle is wanted without the others, or in another quantity.

        Asked here and not of the engine, which knows deals and no cards; a rid that was answered before had whole
        lines then, so asking again is answered as before.
        """
        if not self._bundles:
            return
        wanted = dict(lines)
        for deal_id, qty in wanted.items():
            if any(wanted.get(other) != qty for other in self._bundles.get(deal_id, ())):
                raise Refused(R.BUNDLE)

    def start(self, epoch: str, offset: int, slow_seconds: int, status: ShowStatus, members_only: bool = False) -> None:
        """Begin at a snapshot's position. What was kept aside follows it only within its epoch: in another one the same
        offsets mean other events."""
        if epoch != self.epoch:
            self._ahead.clear()
        self.epoch, self.offset = epoch, offset
        self.status = status
        self.moderation.slow_seconds = slow_seconds
        self.moderation.members_only = members_only
        self.ring.clear()
        self._ahead = {n: row for n, row in self._ahead.items() if n > offset}
        self._filling = False

    # --- from the relay ---------------------------------------------------------------------------------------------

    def hear(self, message: list[Any], now_ms: int, now_seconds: float) -> list[Out]:
        """One message of the relay. An unknown first word is from a newer version and is passed over."""
        match message:
            case [b"state", epoch, offset, at_ms, event]:
                stamped = Stamped(offset, at_ms, codec.event_from_bytes(event))
                return self.hear_state(epoch.decode(), stamped, len(event), now_seconds)
            case [b"engine", version, levels, holds]:
                return self._hear_engine(version, levels, holds, now_ms)
            case [b"talk", process_id, lines, _]:
                return self._hear_talk(process_id.decode(), [_line_decode(line) for line in lines])
            case [b"own", viewer_id, own]:
                return [ToViewerOf(viewer_id.decode(), _own_decode(own))]
            case [b"desk", desk]:
                return [ToDesk(_desk_decode(desk))]
            case [b"crowd", process_id, viewers, hearts]:
                self.crowd.hear(process_id.decode(), viewers, hearts, now_seconds)
                return []
            case [b"staff", process_id, there]:
                self.staff.hear(process_id.decode(), [_presence_decode(one) for one in there], now_seconds)
                return self._staff_changed(now_seconds)
            case [b"delays", process_id, counts]:
                self.delays.hear(process_id.decode(), ((steps, count) for steps, count in counts), now_seconds)
                return []
            case [b"kick", viewer_id, code]:
                return [Kick(viewer_id.decode(), code)]
            case [b"rebuild", 1]:
                return [ToAll(Counting(True))]
            case [b"rebuild", 0]:
                return [ToAll(Counting(False)), Recounted()]
            case [b"mute", viewer_id, until_ms]:
                self.mute(viewer_id.decode(), until_ms, now_ms, now_seconds)
                return []
        return []

    def mute(self, viewer_id: str, until_ms: int, now_ms: int, now_seconds: float) -> None:
        """She may not speak until then; an instant that has passed lifts it."""
        self.moderation.mute(viewer_id, now_seconds + (until_ms - now_ms) / 1000, now_seconds)

    def hear_state(self, epoch: str, stamped: Stamped, size_bytes: int, now_seconds: float) -> list[Out]:
        """The next event is delivered; an earlier one dropped; a later one kept while the hole is filled."""
        if epoch != self.epoch:
            return [Resync()]
        if stamped.offset <= self.offset:
            return []
        if stamped.offset > self.offset + 1:
            if len(self._ahead) < AHEAD_MAX:
                self._ahead[stamped.offset] = (stamped, size_bytes)
            return self._ask_fill()
        return self._deliver([(stamped, size_bytes)], now_seconds)

    def compare(self, epoch: str, offset: int) -> list[Out]:
        """Where the sequencer stands. Being behind at two moments is normal only for a message still on its way;
        asking for it then costs one read."""
        if epoch != self.epoch:
            return [Resync()]
        return self._ask_fill() if offset > self.offset else []

    def fill(self, epoch: str, events: list[Stamped] | None, now_seconds: float) -> list[Out]:
        """The answer to `Fill`; None where the hole cannot be filled."""
        self._filling = False
        if epoch != self.epoch:
            return []
        if events is None:
            return [Resync()]
        new = [
            (stamped, len(codec.event_to_bytes(stamped.event))) for stamped in events if stamped.offset > self.offset
        ]
        if new and new[0][0].offset != self.offset + 1:
            return [Resync()]
        return self._deliver(new, now_seconds)

    def fill_failed(self) -> None:
        """The read did not come through; the next comparison asks again."""
        self._filling = False

    def _ask_fill(self) -> list[Out]:
        if self._filling:
            return []
        self._filling = True
        return [Fill(self.epoch, self.offset)]

    def _deliver(self, rows: list[tuple[Stamped, int]], now_seconds: float) -> list[Out]:
        events: list[Stamped] = []
        for stamped, size_bytes in rows:
            self._take(stamped, size_bytes, now_seconds)
            events.append(stamped)
        while row := self._ahead.pop(self.offset + 1, None):
            self._take(*row, now_seconds)
            events.append(row[0])
        self._ahead = {offset: row for offset, row in self._ahead.items() if offset > self.offset}
        outs: list[Out] = [ToAll(State(self.epoch, tuple(events)))] if events else []
        return outs + (self._ask_fill() if self._ahead else [])

    def _take(self, stamped: Stamped, size_bytes: int, now_seconds: float) -> None:
        self.offset = stamped.offset
        self.ring.add(stamped, size_bytes, now_seconds)
        event = stamped.event
        self.shelf.take(event)
        if isinstance(event, RoomRules):
            self.moderation.slow_seconds = event.slow_seconds
            self.moderation.members_only = event.members_only
        elif isinstance(event, CardShown | CardListed):
            self.learn_cards((event.card,))
        elif isinstance(event, ShowChanged):
            self.status = event.show.status
        elif isinstance(event, LineHidden):
            self.talk.hide((event.line_id, *event.copies))
        elif isinstance(event, LineRestored):
            self.talk.restore(event.line)

    def _hear_engine(
        self, version: int, levels: dict[bytes, list[int]], holds: list[list[Any]], now_ms: int
    ) -> list[Out]:
        if version >= self.levels_version:
            self.levels_version = version
            for deal_id, numbers in (levels or {}).items():
                self.levels[deal_id.decode()] = Level(*numbers)
                self._changed_deals.add(deal_id.decode())
        return [
            HoldNews(self.show_id, viewer_id.decode(), rid.decode(), version, raw, now_ms)
            for viewer_id, rid, raw in holds or ()
        ]

    def hear_levels(self, version: int, levels: dict[str, Level]) -> None:
        """All levels, read anew: at the start, and after a break of the relay."""
        self.levels_version = version
        self._changed_deals |= {deal_id for deal_id, level in levels.items() if self.levels.get(deal_id) != level}
        self.levels = dict(levels)

    def _hear_talk(self, process_id: str, lines: list[Line]) -> list[Out]:
        outs: list[Out] = []
        for line in lines:
            mine = self._unheard.pop(line.line_id, None)
            if mine is None and process_id == self._process_id:
                continue  # told here alone meanwhile, because the relay was too slow
            heard = self.talk.hear(line)
            if mine is not None:
                outs.append(ToSeat(mine.speaker.seat, Said(mine.cid, heard.shown, line, heard.again_ms)))
                if heard.shown:
                    outs.append(Remember(line, mine.speaker.viewer_id, False))
        return outs

    def relay_changed(self, up: bool) -> list[Out]:
        """Tell the room. While the relay is away, lines said here are told here."""
        if up == self.relay_up:
            return []
        self.relay_up = up
        return [ToAll(Relay(up))] + ([] if up else self._tell_unheard())

    def _tell_unheard(self, before: float = float("inf")) -> list[Out]:
        lines = [unheard.line for unheard in self._unheard.values() if unheard.since <= before]
        return self._hear_talk(self._process_id, lines)

    # --- from viewers here ------------------------------------------------------------------------------------------

    def may_say(
        self, speaker: Speaker, text: str, now_seconds: float, is_claim: bool = False, privately: bool = False
    ) -> str:
        """The cleaned line. Raises `Refused`: the room is not open for talk, or a rule of moderation."""
        if speaker.role == "viewer":
            refuse_talk(self.status)
        return self.moderation.check(
            speaker.viewer_id, speaker.role, text, now_seconds, is_claim,
            is_member=speaker.member, privately=privately,
        )  # fmt: skip

    def may_still_say(self, speaker: Speaker, now_seconds: float, privately: bool = False) -> None:
        """Behind the merchant's judge, who took a moment: raises `Refused` where she may not speak any more."""
        refuse_talk(self.status)
        self.moderation.refuse_speaker(speaker.viewer_id, now_seconds, is_member=speaker.member or privately)

    def say(self, speaker: Speaker, cid: str, text: str, now_ms: int, now_seconds: float) -> None:
        """Take a line that passed `may_say`; its receipt follows when the thinning has decided.

        Past the tick's size the line is left out as thinned.
        """
        line = Line(new_id("ln"), now_ms, speaker.name, text, speaker.role, "chat", speaker.simulated)
        self._unheard[line.line_id] = _Unheard(line, speaker, cid, now_seconds)
        self._to_publish.append(line)

    def take_published(self, now_seconds: float) -> list[Out]:
        """Hand the lines said since the last time to the relay, or tell them here while it is away."""
        outs = self._tell_unheard(now_seconds - UNHEARD_SECONDS_MAX) if self._unheard else []
        lines, self._to_publish = self._to_publish, []
        if not lines:
            return outs
        if not self.relay_up:
            return outs + self._hear_talk(self._process_id, lines)
        for line in lines[TICK_LINES_MAX:]:
            if mine := self._unheard.pop(line.line_id, None):
                outs.append(ToSeat(mine.speaker.seat, Said(mine.cid, False, line, 1000)))
        packed = [_line_encode(line) for line in lines[:TICK_LINES_MAX]]
        return [*outs, Publish(["talk", self._process_id, packed, 0])]

    def take_talk(self) -> list[Out]:
        """The talk frames that are due."""
        frames = self.talk.take()
        return [ToTalk(frames)] if frames else []

    def take_levels(self) -> Levels | None:
        """Numbers that changed since the last time, only the latest of each: stock, head-count and hearts in one
        message. A page drops what has a lower version than it has seen, so there is one row of them."""
        (viewers, hearts), self._crowd_news = self._crowd_news, (None, 0)
        if not self._changed_deals and viewers is None and not hearts:
            return None
        deals = {deal_id: self.levels[deal_id] for deal_id in self._changed_deals if deal_id in self.levels}
        self._changed_deals.clear()
        return Levels(self.levels_version, deals, viewers, hearts or None)

    def take_staff(self, now_seconds: float) -> list[Out]:
        """Once a second: who sits at a desk here, to the others; who came or went, to the desks."""
        outs: list[Out] = []
        if (here := self.staff.report(now_seconds)) is not None:
            outs.append(Publish(["staff", self._process_id, [_presence_encode(one) for one in here]]))
        return outs + self._staff_changed(now_seconds)

    def take_delays(self, now_seconds: float) -> list[Out]:
        """Once a second: how late viewers here see the picture, to the others; the median of all, to the desks."""
        outs: list[Out] = []
        if (counts := self.delays.report(now_seconds)) is not None:
            outs.append(Publish(["delays", self._process_id, counts]))
        changed = self.delays.change(now_seconds)
        return outs if changed is None else [*outs, ToDesk(Desk(delay=changed))]

    def _staff_changed(self, now_seconds: float) -> list[Out]:
        everybody = self.staff.change(now_seconds)
        return [] if everybody is None else [ToDesk(Desk(here=everybody))]

    def take_crowd(self, now_seconds: float) -> list[Out]:
        """Once a second: the head-count and hearts, to the others, and to the room with its next numbers."""
        outs: list[Out] = []
        if report := self.crowd.report(now_seconds):
            outs.append(Publish(["crowd", self._process_id, *report]))
        viewers, hearts = self.crowd.changes(now_seconds)
        told, kept = self._crowd_news
        self._crowd_news = (told if viewers is None else viewers, kept + (hearts or 0))
        return outs

    def all_levels(self, now_seconds: float) -> Levels:
        """Every number, for a viewer who missed some."""
        return Levels(self.levels_version, self.levels, self.crowd.total(now_seconds))
