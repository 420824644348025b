"""Rooms of two processes against the plain list of what was published.

Whatever the relay loses, doubles, swaps or delays, whoever comes back when, and however often Redis loses a show's
news, each viewer sees the list, in order, without a hole, from where her last snapshot stood.

Real: room, ring and how a hall finds what a returning viewer missed. Stood in for: the wire and the news, which may do
whatever Redis' pub/sub and a trimmed stream may do.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from livecommerce.gateway.hall import Hall
from livecommerce.protocol import codec
from livecommerce.protocol.facts import Note, Stamped
from livecommerce.protocol.to_viewer import State
from livecommerce.rooms.ring import Ring
from livecommerce.rooms.room import Fill, Out, Resync, Room, ToAll

PROCESSES = 2
VIEWERS = 4
ROUNDS_MAX = 50  # of comparing and reading, until a room that is left alone has everything


@dataclass
class Viewer:
    """What one page knows, and whether it is on a line."""

    epoch: str = ""
    offset: int = 0
    at: "Process | None" = None

    def snapshot(self, epoch: str, offset: int) -> None:
        self.epoch, self.offset = epoch, offset

    def hear(self, epoch: str, events: tuple[Stamped, ...], published: list[str]) -> None:
        assert epoch == self.epoch
        for stamped in events:
            assert stamped.offset == self.offset + 1, f"{stamped.offset} after {self.offset}"
            assert stamped.event == Note(published[stamped.offset - 1])
            self.offset = stamped.offset


@dataclass
class Process:
    """One web process: its room, what is on the wire to it, and what it has asked the news for."""

    room: Room
    hall: Any
    up: bool = True
    wire: list[list[Any]] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    must_resync: bool = False


class Rooms(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.epochs: dict[str, list[str]] = {}
        self.epoch = ""
        self.trimmed = 0  # so many events of this epoch the news have no more
        self.processes: list[Process] = []
        self.viewers = [Viewer() for _ in range(VIEWERS)]

    # --- the sequencer --------------------------------------------------------------------------------------------

    @property
    def published(self) -> list[str]:
        return self.epochs[self.epoch]

    @initialize(events=st.integers(0, 4))
    def begin(self, events: int) -> None:
        self.lose_history()
        self.published.extend(f"before {n}" for n in range(events))
        for number in range(PROCESSES):
            room = Room("shw_1", f"p{number}", 10, 3)
            room.ring = Ring(events_max=4, age_seconds_max=10.0)
            clock = SimpleNamespace(monotonic=lambda: self.now)
            process = Process(room, SimpleNamespace(room=room, _older=None, _clock=clock))
            self.processes.append(process)
            self._start(process)

    @rule(count=st.integers(1, 3))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.published.append(f"{self.epoch} {len(self.published) + 1}")
            offset = len(self.published)
            message = ["state", self.epoch, offset, 0, codec.event_to_bytes(Note(self.published[-1]))]
            for process in self.processes:
                if process.up:
                    packed = msgpack.packb(message, use_bin_type=False)
                    process.wire.append(msgpack.unpackb(packed, raw=True))

    @rule()
    def lose_history(self) -> None:
        """Redis begins this show's news anew."""
        self.epoch = f"e{len(self.epochs) + 1}"
        self.epochs[self.epoch] = []
        self.trimmed = 0

    @rule(which=st.integers(0, PROCESSES - 1), count=st.integers(1, 9))
    def lose_history_and_notice(self, which: int, count: int) -> None:
        """What was kept of the old news, aside or as read ahead, must not be taken for the new."""
        self.lose_history()
        self.compares(which)
        self.begins_anew(which)
        self.publish(count)
        self.all_arrives(which)

    @rule(keep=st.integers(0, 3))
    def trim(self, keep: int) -> None:
        self.trimmed = max(self.trimmed, len(self.published) - keep)

    def _since(self, epoch: str, offset: int) -> list[Stamped] | None:
        """As `News.since` says it: all or nothing."""
        if epoch != self.epoch or offset > len(self.published) or offset < self.trimmed:
            return None
        return [Stamped(n, 0, Note(self.published[n - 1])) for n in range(offset + 1, len(self.published) + 1)]

    # --- the wire ---------------------------------------------------------------------------------------------------

    @rule(which=st.integers(0, PROCESSES - 1), place=st.integers(0, 5))
    def arrives(self, which: int, place: int) -> None:
        """Not always the oldest first."""
        process = self.processes[which]
        if process.wire:
            message = process.wire.pop(min(place, len(process.wire) - 1))
            self._act(process, process.room.hear(message, 0, self.now))

    @rule(which=st.integers(0, PROCESSES - 1))
    def all_arrives(self, which: int) -> None:
        while self.processes[which].wire:
            self.arrives(which, 0)

    @rule(which=st.integers(0, PROCESSES - 1), place=st.integers(0, 5))
    def is_lost(self, which: int, place: int) -> None:
        wire = self.processes[which].wire
        del wire[place : place + 1]

    @rule(which=st.integers(0, PROCESSES - 1), place=st.integers(0, 5))
    def comes_twice(self, which: int, place: int) -> None:
        wire = self.processes[which].wire
        wire += wire[place : place + 1]

    @rule(which=st.integers(0, PROCESSES - 1))
    def breaks(self, which: int) -> None:
        process = self.processes[which]
        process.up = False
        process.wire.clear()
        self._act(process, process.room.relay_changed(False))

    @rule(which=st.integers(0, PROCESSES - 1))
    def is_mended(self, which: int) -> None:
        process = self.processes[which]
        process.up = True
        self._act(process, process.room.relay_changed(True))
        self.compares(which)

    @rule(seconds=st.floats(0.1, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # --- what a process asks ----------------------------------------------------------------------------------------

    @rule(which=st.integers(0, PROCESSES - 1))
    def compares(self, which: int) -> None:
        process = self.processes[which]
        self._act(process, process.room.compare(self.epoch, len(self.published)))

    @rule(which=st.integers(0, PROCESSES - 1), fails=st.booleans())
    def is_answered(self, which: int, fails: bool) -> None:
        process = self.processes[which]
        if not process.fills:
            return
        fill = process.fills.pop(0)
        if fails:
            process.room.fill_failed()
        else:
            events = self._since(fill.epoch, fill.after_offset)
            self._act(process, process.room.fill(fill.epoch, events, self.now))

    @rule(which=st.integers(0, PROCESSES - 1))
    def begins_anew(self, which: int) -> None:
        process = self.processes[which]
        if process.must_resync:
            self._start(process)
            for viewer in self._seated(process):
                viewer.snapshot(process.room.epoch, process.room.offset)

    def _start(self, process: Process) -> None:
        process.must_resync = False
        shown = SimpleNamespace(
            epoch=self.epoch, offset=len(self.published), slow_seconds=0, members_only=False, cards=(), on_air="",
            show=SimpleNamespace(status="live", claims=None),
        )  # fmt: skip
        process.hall.room.shelf = SimpleNamespace(start=lambda *_: None, take=lambda _: None)
        Hall._start_at(cast("Hall", process.hall), cast("Any", shown))

    def _act(self, process: Process, outs: list[Out]) -> None:
        for out in outs:
            match out:
                case ToAll(State(epoch, events)):
                    for viewer in self._seated(process):
                        viewer.hear(epoch, events, self.epochs[epoch])
                case Fill():
                    process.fills.append(out)
                case Resync():
                    process.must_resync = True

    # --- viewers ----------------------------------------------------------------------------------------------------

    def _seated(self, process: Process) -> list[Viewer]:
        return [viewer for viewer in self.viewers if viewer.at is process]

    @rule(who=st.integers(0, VIEWERS - 1))
    def leaves(self, who: int) -> None:
        self.viewers[who].at = None

    @rule(who=st.integers(0, VIEWERS - 1), which=st.integers(0, PROCESSES - 1), fails=st.booleans())
    def comes(self, who: int, which: int, fails: bool) -> None:
        """For the first time, or back with her place, to whichever process takes the connection."""
        viewer, process = self.viewers[who], self.processes[which]
        if viewer.at is not None:
            return
        room = process.room
        missed = None if fails else self._missed(process, viewer)
        viewer.at = process
        if missed is None:
            viewer.snapshot(room.epoch, room.offset)
        else:
            viewer.hear(room.epoch, missed, self.epochs[room.epoch])
            assert viewer.offset == room.offset, "a part"

    def _missed(self, process: Process, viewer: Viewer) -> tuple[Stamped, ...] | None:
        """As `Hall._catch_up` asks, step by step: the ring, then one reading of the news that others share."""
        room, hall = process.room, cast("Hall", process.hall)
        if not viewer.epoch or viewer.epoch != room.epoch or viewer.offset > room.offset:
            return None
        missed = Hall._known_since(hall, viewer.offset)
        if missed is None:
            events = self._since(room.epoch, viewer.offset)
            if events is not None:
                process.hall._older = (viewer.offset, events, self.now)
            missed = Hall._known_since(hall, viewer.offset)
        return missed

    # --- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def a_room_has_what_was_published_and_is_not_ahead_of_it(self) -> None:
        for process in self.processes:
            room, published = process.room, self.epochs[process.room.epoch]
            assert room.offset <= len(published)
            assert len(room.ring) <= 4
            for stamped in room.ring.since(room.offset - len(room.ring), room.offset) or ():
                assert stamped.event == Note(published[stamped.offset - 1]), "an event of other news"

    @invariant()
    def who_is_seated_has_seen_what_her_room_delivered(self) -> None:
        for viewer in self.viewers:
            if viewer.at is not None:
                assert (viewer.epoch, viewer.offset) == (viewer.at.room.epoch, viewer.at.room.offset)

    @precondition(lambda self: self.processes)
    @rule()
    def left_alone_every_room_has_everything(self) -> None:
        """Nothing further is published; comparing and reading is enough, whatever the wire still holds or lost."""
        for which, process in enumerate(self.processes):
            process.up = True
            for _ in range(ROUNDS_MAX):
                self.compares(which)
                while process.fills:
                    self.is_answered(which, fails=False)
                self.begins_anew(which)
                if (process.room.epoch, process.room.offset) == (self.epoch, len(self.published)):
                    break
            else:
                raise AssertionError(f"process {which} never has everything")

    def teardown(self) -> None:
        if self.processes:
            self.left_alone_every_room_has_everything()
            for which in range(PROCESSES):
                self.all_arrives(which)
            self.who_is_seated_has_seen_what_her_room_delivered()


def test_every_viewer_sees_what_was_published_in_order_without_a_hole() -> None:
    run_state_machine_as_test(Rooms, settings=settings(max_examples=40, stateful_step_count=50, deadline=None))


@pytest.mark.long
def test_the_same_over_thousands_of_histories() -> None:
    run_state_machine_as_test(Rooms, settings=settings(max_examples=5000, stateful_step_count=80, deadline=None))
