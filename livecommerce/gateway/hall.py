"""One show in this process, acting: what `rooms.Room` decides is done here, and who sits in the show is known here.

What arrives: sockets that said hello, messages of the relay, ticks. What leaves: welcomes, and shared frames to every
seat. Seats stand in groups by what frame they get (subprotocol × chat rate), so that fan-out is one loop.
From reading the room's position to taking the seat nothing waits, so no event falls between a welcome and what follows.
"""

import asyncio
import contextlib
import itertools
import random
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog

from livecommerce.errors import Close, R, Refused
from livecommerce.gateway.claims import ClaimDesk
from livecommerce.gateway.frames import Shared
from livecommerce.gateway.measures import FAN_OUT, HOLES, PUBLISH_TO_WRITE, RECOVER, RESUMED, RESYNCS
from livecommerce.gateway.offers import ENDS, OfferDesk
from livecommerce.gateway.outbox import Lane, Outbox
from livecommerce.gateway.seats import Seats, send_to_all
from livecommerce.protocol.codec import JSON, MSGPACK, Subprotocol
from livecommerce.protocol.facts import Hold, Level, OrderFacts, Presence, ShowChanged, Stamped
from livecommerce.protocol.from_viewer import Hello
from livecommerce.protocol.to_viewer import Counting, Desk, Levels, Snapshot, State, Talk, ToViewer, Welcome, You
from livecommerce.reservations import keys
from livecommerce.rooms.room import (
    Fill,
    HoldNews,
    Kick,
    Out,
    Publish,
    Recounted,
    Remember,
    Resync,
    Room,
    ToAll,
    ToDesk,
    ToSeat,
    ToTalk,
    ToViewerOf,
)
from livecommerce.rooms.talk import TalkFrames
from livecommerce.shows.news import TalkLine
from livecommerce.shows.triage import LEASE_SECONDS

if TYPE_CHECKING:
    from livecommerce.gateway.hub import Hub
    from livecommerce.gateway.socket import LiveSocket
    from livecommerce.shows.snapshot import ShowSnapshot

log = structlog.get_logger(__name__)

DESK_ROLES = ("host", "moderator", "manager", "admin")
EARLY_MAX = 64  # own messages kept for a viewer while her welcome is being made
OWN_SLICE = 64  # viewers told anew at once after a break of the relay
SLICE = 256  # seats served between two looks at what is more urgent than talk or numbers
# A talk pass that wrote for t is followed by 1.7 t of rest, so that talk gets half the core at most. Not by t alone, as
# talk costs more than its writing: lines are read, judged and remembered, and the loop turns between slices. With ten
# thousand viewers and 20 lines a second those took 25 ms of CPU beside 55 ms of writing, and with a rest of t talk had
# 65 % of the core.
TALK_SHARE = 2.7
# A pass of numbers that took t is followed by 3 t of rest: a quarter of the core at most. When ten thousand viewers tap
# at once, numbers for everybody ten times a second took two thirds of it, and those who tapped waited.
LEVELS_SHARE = 4.0
SNAPSHOT_TRIES = 4
TO_LOG_MAX = 2000  # lines kept for the show log while the ledger is away; the oldest go
LINGER_SECONDS = 10.0  # an empty hall stays open for those whose line just broke
READ_AHEAD_SECONDS = 2.0  # how long a shared read of the news serves a storm of reconnects

Stream = Literal["phone", "desk"]
_GROUPS: tuple[tuple[Subprotocol, Stream], ...] = (
    (MSGPACK, "phone"), (MSGPACK, "desk"), (JSON, "phone"), (JSON, "desk"),
)  # fmt: skip


class Hall:
    """The seats of one show and the room they hear. `open` once, then `enter` and `leave` for each socket."""

    def __init__(self, hub: "Hub", show_id: str) -> None:
        settings = hub.settings
        self.show_id = show_id
        self.channel = keys.channel(show_id)
        self._hub = hub
        self._clock = hub.clock
        self.room = Room(
            show_id,
            hub.process_id,
            settings.talk_lines_per_second,
            settings.talk_lines_per_second_phone,
            hub.talk_rules,
        )
        self.ready = False
        self.empty_since = hub.clock.monotonic()
        self._groups: dict[tuple[Subprotocol, Stream], Seats] = {group: Seats() for group in _GROUPS}
        self._of_viewer: dict[str, list[LiveSocket]] = {}
        self._desk: set[LiveSocket] = set()
        self._shown: ShowSnapshot | None = None
        self._showing: asyncio.Task[ShowSnapshot] | None = None
        self._raw: tuple[tuple[Any, ...], dict[Subprotocol, bytes]] = ((), {})
        self._older: tuple[int, list[Stamped], float] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._talking: asyncio.Task[None] | None = None
        self._numbering: asyncio.Task[None] | None = None
        self._talk_not_before = 0.0
        self._levels_not_before = 0.0
        self._publish_not_before = 0.0
        self._to_remember: list[Remember] = []
        self._to_log: list[TalkLine] = []
        self._logging = asyncio.Lock()
        self._tick_seconds = settings.talk_tick_ms / 1000
        self._renew_at = 0.0
        self.last_judged: dict[str, asyncio.Event] = {}  # viewer → her newest line that a judge still looks at
        self.claims = ClaimDesk(hub, self)
        self.offers = OfferDesk(hub, self)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    # --- opening and closing ----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Hear the show's channel, then take a snapshot, then fill what came in between. Raises `Refused`."""
        hub = self._hub
        shown = await hub.shows.snapshot(self.show_id)  # first: a show that does not exist costs no subscription
        await hub.refresh_talk_rules()
        self.room.moderation.rules = hub.talk_rules
        try:
            async with asyncio.timeout(5):
                await hub.relay.join(self.channel)
        except TimeoutError:
            raise Refused(R.BUSY, after_ms=2000) from None
        shown = await hub.shows.snapshot(self.show_id)
        self._start_at(shown)
        self.room.hear_levels(*await self._levels())
        for viewer_id, until_ms in (await hub.shows.silence.mutes(self.show_id)).items():
            self.room.mute(viewer_id, until_ms, self._clock.now_ms(), self._clock.monotonic())
        for line in await hub.shows.news.recent_talk(self.show_id):
            self.room.talk.history.append(line)
        self.room.relay_up = hub.relay.up
        self.ready = True
        await self.compare()

    async def compare(self) -> None:
        """Ask the sequencer where the show stands; fill a hole. Quiet where Redis is away."""
        try:
            epoch, offset = await self._hub.shows.news.position(self.show_id)
        except Refused:
            return
        self.act(self.room.compare(epoch, offset))

    async def refresh_levels(self) -> None:
        """After a break of the relay: numbers published meanwhile are lost, so read them all. While they are counted
        again, the last ones known stay on the pages."""
        try:
            self.room.hear_levels(*await self._hub.engine.levels(self.show_id))
        except Refused:
            return

    async def tell_own_again(self) -> None:
        """After a break of the relay: own messages published meanwhile are lost, so each is told whole what is hers.
        After a rebuild: some may have lost something.

        In slices, as other work goes on meanwhile. Ends where the relay breaks again: its return begins anew.
        """
        sockets = [socket for each in self._of_viewer.values() for socket in each]
        for first in range(0, len(sockets), OWN_SLICE):
            if not self.room.relay_up:
                return
            await asyncio.gather(*(self._tell_own(socket) for socket in sockets[first : first + OWN_SLICE]))

    async def _tell_own(self, socket: "LiveSocket") -> None:
        if socket.stage != "seated" or socket.early is not None:
            return
        socket.early = []  # what is told while we read is newer than what we read
        try:
            async with self._hub.joins:
                holds, orders = await self._own_of(socket)
        except Exception as error:
            if not isinstance(error, Refused):
                log.exception("own_not_told", show_id=self.show_id)
            self._send_early(socket)
            if self.room.relay_up:
                socket.close(Close.RESYNC, "Come back for a fresh start.", random.randint(500, 3000))
            return
        if holds is None and socket.stage == "seated":
            socket.send(Counting(True))  # nothing is hers, as far as anybody knows: not a thing to tell her
            self._send_early(socket)
            return
        # No longer held back: a snapshot went to her meanwhile, with all of this.
        if socket.stage == "seated" and socket.early is not None:
            self._welcome(socket, self.room.offset, None, (), holds, orders)

    async def _levels(self) -> tuple[int, dict[str, Level]]:
        """A show whose books are not open yet, or are being counted again, has no numbers; it can be watched."""
        try:
            return await self._hub.engine.levels(self.show_id)
        except Refused as refused:
            if refused.why is R.REBUILDING:
                return 0, {}
            raise

    async def _holds_of(self, viewer_id: str) -> tuple[Hold, ...] | None:
        """None while the books of a show on air are missing: her holds are not known then, and not gone."""
        try:
            return await self._hub.engine.holds_of(self.show_id, viewer_id)
        except Refused as refused:
            if refused.why is R.REBUILDING:
                return None if self.room.status in ("live", "interrupted") else ()
            raise

    # --- entering and leaving ---------------------------------------------------------------------------------------

    def sockets_of(self, viewer_id: str) -> "list[LiveSocket]":
        return self._of_viewer.get(viewer_id, [])

    def register(self, socket: "LiveSocket") -> None:
        """Own messages are kept for this socket from here on, until its welcome."""
        assert socket.identity is not None
        socket.hall = self
        socket.early = []
        self._of_viewer.setdefault(socket.identity.viewer_id, []).append(socket)

    async def enter(self, socket: "LiveSocket", hello: Hello) -> None:
        """Welcome a registered socket and give it its seat. Raises `Refused`; a socket that left meanwhile is fine."""
        holds, orders = await self._own_of(socket)
        missed = await self._catch_up(hello)
        if hello.epoch:
            RECOVER.labels("true" if missed is not None else "false").inc()
        if missed is None:
            shown, missed = await self._snapshot()
        else:
            shown = None
        # Nothing waits from here on.
        if socket.stage != "entering":
            return
        if shown is None:
            RESUMED.inc(len(missed))
        since, all_of_it = self.room.talk.since(hello.heard) if hello.epoch else ((), True)
        self._welcome(socket, hello.offset, shown, missed, holds, orders, missed_talk=not all_of_it)
        if shown is None and since:
            socket.send(Talk(since, self.room.talk.shed_per_second))
        self.offers.knows(socket.identity, orders)
        self._groups[socket.subprotocol, socket.stream].add(socket.outbox)
        if socket.role in DESK_ROLES:
            self._desk.add(socket)
            self._staff_sits()
            now = self._clock.monotonic()
            socket.send(Desk(here=self.room.staff.everybody(now), delay=self.room.delays.median(now)))
            self._hub.in_background(self._tell_waiting(socket))
        self.room.crowd.here = len(self) - len(self._desk)  # viewers: who hosts does not watch
        socket.seat(self._clock.monotonic())

    async def _own_of(self, socket: "LiveSocket") -> tuple[tuple[Hold, ...] | None, tuple[OrderFacts, ...]]:
        assert socket.identity is not None
        viewer_id = socket.identity.viewer_id
        # Both at once, and one task less than by `gather`.
        orders = asyncio.ensure_future(self._hub.orders.orders_of(viewer_id, self.show_id))
        try:
            holds = await self._holds_of(viewer_id)
        except BaseException:
            orders.cancel()
            raise
        return holds, tuple(await orders)

    def _welcome(
        self,
        socket: "LiveSocket",
        offset: int,
        shown: "ShowSnapshot | None",
        missed: tuple[Stamped, ...],
        holds: tuple[Hold, ...] | None,
        orders: tuple[OrderFacts, ...],
        missed_talk: bool = False,
    ) -> None:
        assert socket.identity is not None
        now_ms, who = self._clock.now_ms(), socket.identity
        is_member = who.kind == "merchant" or socket.role != "viewer"
        welcome = Welcome(
            You(who.viewer_id, who.name, socket.role, member=is_member),
            now_ms,
            self.room.epoch,
            shown.offset if shown else offset,
            shown is None,
            self._hub.settings.ping_seconds,
            holds or (),
            orders,
            self._encoded(shown, socket.subprotocol) if shown else None,
            counting=holds is None,
            missed_talk=missed_talk,
        )
        socket.send(welcome)
        if missed:
            socket.send(State(self.room.epoch, missed))
        if shown is None:
            socket.send(self.room.all_levels(self._clock.monotonic()))
        self._send_early(socket)

    def _send_early(self, socket: "LiveSocket") -> None:
        early, socket.early = socket.early, None
        for message in early or ():
            socket.send(message)

    def leave(self, socket: "LiveSocket") -> None:
        """Forget a socket whose connection is lost."""
        assert socket.identity is not None
        mine = self._of_viewer.get(socket.identity.viewer_id, [])
        if socket in mine:
            mine.remove(socket)
        if not mine:
            self._of_viewer.pop(socket.identity.viewer_id, None)
        if socket.outbox is not None:
            self._groups[socket.subprotocol, socket.stream].discard(socket.outbox)
        if socket in self._desk:
            self._desk.discard(socket)
            self._staff_left(socket.identity.viewer_id)
        self.room.crowd.here = len(self) - len(self._desk)  # viewers: who hosts does not watch
        if not self._of_viewer:
            self.empty_since = self._clock.monotonic()

    def _staff_sits(self) -> None:
        sitting = [(one.identity, one.role) for one in self._desk if one.identity is not None]
        self.room.staff.sits(Presence(identity.viewer_id, identity.name, role) for identity, role in sitting)

    def _staff_left(self, account_id: str) -> None:
        """What she had in hand goes back, unless she has another window open somewhere."""
        self._staff_sits()
        here = any(one.identity and one.identity.viewer_id == account_id for one in self._desk)
        if not here and not self.room.staff.is_elsewhere(account_id, self._clock.monotonic()):
            self._hub.in_background(self._give_back(account_id))

    async def _give_back(self, account_id: str) -> None:
        shows = self._hub.shows
        with contextlib.suppress(Refused):  # then her lease ends by itself: nobody renews it any more
            if await shows.triage.give_back(self.show_id, account_id):
                await shows.tell_triage(self.show_id)

    async def _tell_waiting(self, socket: "LiveSocket") -> None:
        """How much waits for a decision, to a desk that has just been opened."""
        with contextlib.suppress(Refused):  # the next change of it is told to all
            count = await self._hub.shows.triage.count(self.show_id)
            if socket.stage == "seated":
                socket.send(Desk(triage=count))

    async def _renew_leases(self) -> None:
        sitting = {one.identity.viewer_id for one in self._desk if one.identity is not None}
        with contextlib.suppress(Refused):
            await self._hub.shows.triage.renew(self.show_id, sorted(sitting))

    @property
    def is_idle(self) -> bool:
        return not self._of_viewer and self._clock.monotonic() - self.empty_since > LINGER_SECONDS

    def on_free(self, socket: "LiveSocket", needs_snapshot: bool, needs_levels: bool) -> None:
        """A slow line is free again: give it what it skipped, as a whole."""
        if needs_snapshot:
            self._hub.in_background(self._welcome_again(socket))
        elif needs_levels:
            socket.send(self.room.all_levels(self._clock.monotonic()))

    async def _welcome_again(self, socket: "LiveSocket") -> None:
        """A fresh snapshot on a live line, for one who had to skip state or whose order was lost."""
        try:
            async with self._hub.joins:
                holds, orders = await self._own_of(socket)
                shown, missed = await self._snapshot()
        except Exception as error:
            if not isinstance(error, Refused):
                log.exception("not_welcomed_again", show_id=self.show_id)
            socket.close(Close.RESYNC, "Come back for a fresh start.", random.randint(500, 3000))
            return
        if socket.stage == "seated":
            self._welcome(socket, 0, shown, missed, holds, orders)
            group = self._groups[socket.subprotocol, socket.stream]
            if socket.outbox not in group:  # its seat was taken away when everybody began anew
                group.add(socket.outbox)

    # --- snapshots and catching up ----------------------------------------------------------------------------------

    async def _snapshot(self) -> "tuple[ShowSnapshot, tuple[Stamped, ...]]":
        """A snapshot, and the events delivered here since. One read at a time, shared by all who wait for it.

        None that is older than a change of the show itself: a page would be made up for a show on air, and in the next
        moment for one that is over, with all that somebody had begun on it lost."""
        for _ in range(SNAPSHOT_TRIES):
            if (shown := self._shown) is not None and shown.epoch == self.room.epoch:
                if shown.offset >= self.room.offset:
                    return shown, ()
                missed = self.room.ring.since(shown.offset, self.room.offset)
                if missed is not None and len(missed) <= 20 and not any(map(_changes_the_show, missed)):
                    return shown, missed
            await self._show_anew()
        raise Refused(R.BUSY, after_ms=1000)

    async def _show_anew(self) -> None:
        if self._showing is None or self._showing.done():
            self._showing = asyncio.ensure_future(self._hub.shows.snapshot(self.show_id))
        shown = await asyncio.shield(self._showing)
        if shown.epoch != self.room.epoch:
            self._start_at(shown)
        self._shown = shown

    def _start_at(self, shown: "ShowSnapshot") -> None:
        self._shown = shown
        self._older = None  # the same offsets of another epoch mean other events
        self.room.start(shown.epoch, shown.offset, shown.slow_seconds, shown.show.status, shown.members_only)
        self.room.learn_cards(shown.cards)
        self.room.shelf.start(shown.show, shown.cards, shown.on_air)

    def _encoded(self, shown: "ShowSnapshot", subprotocol: Subprotocol) -> Any:
        """The snapshot's bytes, made once for all who get the same: in a storm of joins that is nearly everybody."""
        room = self.room
        history = room.talk.history
        viewers = room.crowd.total(self._clock.monotonic())
        key = (id(shown), room.levels_version, history[-1].line_id if history else "", len(history), viewers)
        if self._raw[0] != key:
            self._raw = (key, {})
        made = self._raw[1]
        if subprotocol not in made:
            snapshot = Snapshot(
                shown.show, tuple(shown.cards), shown.on_air, room.levels, room.levels_version, tuple(history),
                tuple(shown.pinned), tuple(shown.questions), dict(shown.promises), room.moderation.slow_seconds,
                viewers, members_only=room.moderation.members_only,
            )  # fmt: skip
            encoder = msgspec.msgpack if subprotocol == MSGPACK else msgspec.json
            made[subprotocol] = encoder.encode(snapshot)
        return msgspec.Raw(made[subprotocol])

    async def _catch_up(self, hello: Hello) -> tuple[Stamped, ...] | None:
        """Every event after what she saw, up to here; None where she needs a snapshot. Never a part."""
        if not hello.epoch or hello.epoch != self.room.epoch or hello.offset > self.room.offset:
            return None
        missed = self._known_since(hello.offset)
        if missed is None:
            await self._read_news(hello.offset)
            missed = self._known_since(hello.offset)
        return missed if hello.epoch == self.room.epoch else None

    def _known_since(self, offset: int) -> tuple[Stamped, ...] | None:
        room = self.room
        if (recent := room.ring.since(offset, room.offset)) is not None:
            return recent
        if self._older is None or self._clock.monotonic() - self._older[2] > READ_AHEAD_SECONDS:
            return None
        base, events, _ = self._older
        if offset < base or (events and events[0].offset != base + 1):
            return None
        old = [stamped for stamped in events if offset < stamped.offset <= room.offset]
        last = old[-1].offset if old else offset
        rest = () if last == room.offset else room.ring.since(last, room.offset)
        return None if rest is None else (*old, *rest)

    async def _read_news(self, offset: int) -> None:
        """One shared read for a storm: who needs less finds it there; who needs more reads once more."""
        while self._reading is not None and not self._reading.done():
            await asyncio.shield(self._reading)
            if self._known_since(offset) is not None:
                return
        self._reading = asyncio.ensure_future(self._read_older(offset))
        with contextlib.suppress(Refused):
            await asyncio.shield(self._reading)

    async def _read_older(self, offset: int) -> None:
        """Once it is done, what was read is known: nobody who comes between the two reads it again."""
        epoch = self.room.epoch
        events = await self._hub.shows.news.since(self.show_id, epoch, offset)
        if events is not None and epoch == self.room.epoch:
            self._older = (offset, events, self._clock.monotonic())

    # --- what the room decided --------------------------------------------------------------------------------------

    def hear(self, message: list[Any]) -> None:
        """One message of the relay. Before the snapshot there is nothing to add it to; `open` fills the hole."""
        if not self.ready:
            return
        now = self._clock.monotonic()
        self.act(self.room.hear(message, self._clock.now_ms(), now))
        self._flush(now)

    def act(self, outs: list[Out]) -> None:
        """Do what was decided, in order."""
        for out in outs:
            match out:
                case HoldNews():  # first, because they come by the thousand in one second
                    self._tell_hold(out)
                case ToAll(message):
                    self._to_all(message)
                case ToSeat(seat, message):
                    if seat.stage == "seated":
                        seat.send(message)
                case ToViewerOf(viewer_id, message):
                    self._to_viewer(viewer_id, message)
                case ToTalk(frames):
                    self._talking = asyncio.get_running_loop().create_task(self._talk_pass(frames))
                case ToDesk(message):
                    self._to_desk(message)
                case Publish(message):
                    self._hub.relay.publish(self.channel, message)
                case Remember():
                    self._to_remember.append(out)
                case Kick(viewer_id, code):
                    self._kick(viewer_id, code)
                case Fill(epoch, after_offset):
                    self._hub.in_background(self._fill(epoch, after_offset))
                case Recounted():
                    self._hub.in_background(self.refresh_levels())
                    self._hub.in_background(self.tell_own_again())
                case Resync():
                    self._hub.in_background(self._resync())

    def _to_all(self, message: ToViewer) -> None:
        started = self._clock.monotonic()
        shared = Shared(message)
        lane = Lane.LEVELS if isinstance(message, Levels) else Lane.STATE
        for (subprotocol, _), outboxes in self._groups.items():
            if outboxes:
                send_to_all(outboxes, shared.frame(subprotocol), lane)
        FAN_OUT.observe(self._clock.monotonic() - started)
        if isinstance(message, State):
            PUBLISH_TO_WRITE.observe(max(0, self._clock.now_ms() - message.events[-1].at_ms) / 1000)

    def _to_desk(self, message: ToViewer) -> None:
        to_account = message.to_account if isinstance(message, Desk) else ""
        for socket in self._desk:
            if not to_account or (socket.identity and socket.identity.viewer_id == to_account):
                socket.send(message)

    def _to_viewer(self, viewer_id: str, message: ToViewer) -> None:
        for socket in self._of_viewer.get(viewer_id, ()):
            self._to_socket(socket, message)

    def _to_socket(self, socket: "LiveSocket", message: ToViewer) -> None:
        if socket.early is not None:
            if len(socket.early) < EARLY_MAX:
                socket.early.append(message)
        else:
            socket.tell(message)

    def _tell_hold(self, news: HoldNews) -> None:
        sockets = self._of_viewer.get(news.viewer_id)
        if sockets is None:
            return
        if news.state in ENDS and (ended := news.own().hold) is not None:
            self.offers.hold_ended(news.viewer_id, ended)
        for socket in sockets:
            if socket.asked is None or socket.asked.news(news.rid, news.version, news):
                self._to_socket(socket, news.own())

    async def _talk_pass(self, frames: TalkFrames) -> None:
        """One talk frame to everybody, in slices: what is more urgent goes out in between."""
        started = self._clock.monotonic()
        spent = 0.0
        for stream, lines in (("desk", frames.desk), ("phone", frames.phone)):
            if not lines and not frames.shed:
                continue
            shared = Shared(Talk(lines, frames.shed))
            for subprotocol in (MSGPACK, JSON):
                seats = list(self._groups[subprotocol, "desk" if stream == "desk" else "phone"])
                spent += await self._send_in_slices(seats, shared.frame(subprotocol), Lane.TALK)
        FAN_OUT.observe(spent)
        self._talk_not_before = started + max(self._tick_seconds, TALK_SHARE * spent)

    async def _levels_pass(self, message: Levels) -> None:
        """The numbers to everybody, in slices: answers and cards go out in between."""
        started = self._clock.monotonic()
        shared = Shared(message)
        spent = 0.0
        for (subprotocol, _), outboxes in list(self._groups.items()):
            if outboxes:
                spent += await self._send_in_slices(list(outboxes), shared.frame(subprotocol), Lane.LEVELS)
        FAN_OUT.observe(spent)
        self._levels_not_before = started + max(self._tick_seconds, LEVELS_SHARE * spent)

    async def _send_in_slices(self, seats: list[Outbox], frame: bytes, lane: Lane) -> float:
        """The seconds that the writing took, without what went on in between."""
        spent = 0.0
        for first in range(0, len(seats), SLICE):
            before = self._clock.monotonic()
            send_to_all(seats[first : first + SLICE], frame, lane)
            spent += self._clock.monotonic() - before
            await asyncio.sleep(0)
        return spent

    def _kick(self, viewer_id: str, code: int) -> None:
        known = Close(code) if code in Close._value2member_map_ else Close.BANNED
        for socket in list(self._of_viewer.get(viewer_id, ())):
            socket.close(known, "You cannot take part in this show." if known is Close.BANNED else "")

    async def _fill(self, epoch: str, after_offset: int) -> None:
        try:
            events = await self._hub.shows.news.since(self.show_id, epoch, after_offset)
        except Refused:
            HOLES.labels("busy").inc()
            self.room.fill_failed()
            return
        HOLES.labels("filled" if events is not None else "gone").inc()
        self.act(self.room.fill(epoch, events, self._clock.monotonic()))

    async def _resync(self) -> None:
        """A new epoch or a hole that cannot be filled: begin again at a fresh snapshot, for everybody."""
        epoch_before, offset_before = self.room.epoch, self.room.offset
        try:
            shown = await self._hub.shows.snapshot(self.show_id)
            version, levels = await self._levels()
        except Refused:
            return  # the next comparison finds it again
        if (self.room.epoch, self.room.offset) != (epoch_before, offset_before):
            return  # somebody else has begun again meanwhile
        RESYNCS.inc()
        log.warning("room_resync", show_id=self.show_id, epoch=shown.epoch, offset=shown.offset)
        self._start_at(shown)
        self.room.hear_levels(version, levels)
        # Nobody hears an event of the new order before the snapshot that it follows: a page would take it for a gap
        # and break its line, and thousands would at once.
        seated = [each for each in itertools.chain.from_iterable(self._of_viewer.values()) if each.stage == "seated"]
        for socket in seated:
            self._groups[socket.subprotocol, socket.stream].discard(socket.outbox)
        for first in range(0, len(seated), OWN_SLICE):
            await asyncio.gather(*(self._welcome_again(socket) for socket in seated[first : first + OWN_SLICE]))
        self.room.crowd.here = len(self) - len(self._desk)  # who came meanwhile was counted without them

    # --- ticks ------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Every talk tick."""
        if self.ready:
            self._flush(self._clock.monotonic())

    def said(self) -> None:
        """A line was taken: where the last tick is long past it need not wait for the next."""
        self._flush(self._clock.monotonic())

    def _flush(self, now: float) -> None:
        if now >= self._publish_not_before and (outs := self.room.take_published(now)):
            self._publish_not_before = now + self._tick_seconds
            self.act(outs)
        numbering = self._numbering is not None and not self._numbering.done()
        if now >= self._levels_not_before and not numbering and (levels := self.room.take_levels()):
            self._levels_not_before = now + self._tick_seconds
            self._numbering = asyncio.get_running_loop().create_task(self._levels_pass(levels))
        may_talk = now >= self._talk_not_before and (self._talking is None or self._talking.done())
        if may_talk:
            self.act(self.room.take_talk())
        if self._to_remember:
            rows, self._to_remember = self._to_remember, []
            self._hub.in_background(self._remember(rows))

    async def _remember(self, rows: list[Remember]) -> None:
        """Keep what was shown where a moderator's command can find it, tell the desks who said it, and write it into
        the show log. What the log cannot take now waits for the next tick, up to a bound."""
        lines = [TalkLine(row.line, row.viewer_id, row.held) for row in rows]
        news = self._hub.shows.news
        try:
            await news.remember_talk(self.show_id, lines)
            if authors := {row.line.line_id: row.viewer_id for row in rows if not row.held}:
                await news.tell_desk(self.show_id, Desk(authors=authors))
        except Refused:
            log.info("talk_not_remembered", show_id=self.show_id, lines=len(rows))
        self._to_log = (self._to_log + lines)[-TO_LOG_MAX:]
        async with self._logging:
            lines, self._to_log = self._to_log, []
            try:
                await self._hub.shows.say_record(self.show_id, lines)
            except Refused:
                self._to_log = (lines + self._to_log)[-TO_LOG_MAX:]

    async def keep_talk(self) -> None:
        """What was shown and is not in the show log yet."""
        rows, self._to_remember = self._to_remember, []
        if rows or self._to_log or self._logging.locked():
            await self._remember(rows)

    def second(self) -> None:
        """Once a second: the head-count."""
        if self.ready:
            now = self._clock.monotonic()
            self.act(self.room.take_crowd(now))
            self.act(self.room.take_staff(now))
            self.act(self.room.take_delays(now))
            if self._desk and now >= self._renew_at:
                self._renew_at = now + LEASE_SECONDS / 3
                self._hub.in_background(self._renew_leases())
            self.offers.second()

    def relay_changed(self, up: bool) -> None:
        if self.ready:
            self.act(self.room.relay_changed(up))


def _changes_the_show(stamped: Stamped) -> bool:
    return isinstance(stamped.event, ShowChanged)
