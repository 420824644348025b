"""The viewers' lines by themselves, over a receiver that says what the test wants: how they end, and that once."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.to_viewer import AnyToViewer, Bye
from loadtest.generate.lines import Lines, Welcome
from loadtest.generate.link import RunClock
from loadtest.generate.measured import Measured
from loadtest.generate.pacer import Pacer
from loadtest.generate.shared import SharedFrames
from loadtest.generate.viewer import Viewer
from loadtest.records import Ended, Segment, read
from loadtest.wire.receiver import CAUGHT_UP, CLOSED, PAYLOAD, WELCOME, Single
from tests.loadtest.generate.test_pacer import HandClock


class Ear:
    """A receiver that reads nothing by itself."""

    def __init__(self) -> None:
        self.ear, self.bell = socket.socketpair()
        self.said: list[Single] = []
        self.targets: dict[int, int] = {}
        self.offsets: dict[int, int] = {}

    def fileno(self) -> int:
        return self.ear.fileno()

    def pump(self) -> list[Single]:
        said, self.said = self.said, []
        return said

    def position(self, viewer: int, epoch: int, offset: int, target: int) -> None:
        self.offsets[viewer], self.targets[viewer] = offset, target

    def offset_of(self, viewer: int) -> tuple[int, int]:
        return 1, self.offsets[viewer]

    def epoch_number(self, text: str) -> int:
        return 1

    def remove(self, viewer: int) -> None:
        pass

    def close(self) -> None:
        self.ear.close()
        self.bell.close()


class Nobody:
    def on_welcome(self, viewer: Viewer, welcome: Welcome, at_us: int) -> None:
        pass

    def on_message(self, viewer: Viewer, message: AnyToViewer, at_us: int) -> None:
        pass


class Stand:
    def __init__(self) -> None:
        self.ear, self.measured, self.clock = Ear(), Measured(), RunClock()
        hand = HandClock()
        self.pacer = Pacer(self.clock, hand.timer, self.measured.late)
        self.shared = SharedFrames(self.clock, self.measured, lambda _deal: None)
        self.lines = Lines(
            "http://127.0.0.1:9", "show", self.clock, self.pacer, self.measured, self.shared, self.ear,  # type: ignore[arg-type]
            None, random.Random(1),
        )  # fmt: skip
        self.lines.player = Nobody()
        asyncio.get_running_loop().add_reader(self.ear.fileno(), self.lines._listen)
        self.plugs: list[socket.socket] = []

    def a_viewer(self, number: int, *, is_in: bool = True) -> Viewer:
        viewer = Viewer(number, f"vw_{number}", "token", "all")
        self.lines._viewers[number] = viewer
        viewer.move("coming")
        if is_in:
            self.plug_in(viewer)
            self.hear_welcome(viewer, offset=4, recovered=False)
        return viewer

    def plug_in(self, viewer: Viewer) -> None:
        viewer.plug, other = socket.socketpair()
        self.plugs.append(other)

    def hear(self, viewer: Viewer, kind: int, payload: bytes = b"", a: int = 0) -> None:
        self.lines._hear([Single(viewer.number, 0, kind, payload, a, 0)])

    def hear_welcome(self, viewer: Viewer, *, offset: int, recovered: bool) -> None:
        welcome = Welcome("epoch", offset, recovered, snapshot=msgspec.Raw(b"\xc0"))
        self.hear(viewer, WELCOME, msgspec.msgpack.encode(welcome))

    def segments(self) -> list[Segment]:
        return [each for each in read(bytes(self.measured._records)) if isinstance(each, Segment)]

    def stages(self) -> dict[str, str]:
        return {each.viewer: each.stage for each in read(bytes(self.measured._records)) if isinstance(each, Ended)}


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    one = Stand()
    yield one
    await one.lines.aclose()
    for plug in one.plugs:
        plug.close()


async def test_after_the_end_nothing_is_heard_and_no_stretch_is_written_twice(stand: Stand) -> None:
    viewer, other = stand.a_viewer(0), stand.a_viewer(1)
    stand.lines.end_stretches()
    stand.hear(viewer, CLOSED, a=1006)
    stand.lines.cut(other, 0.0)
    assert [(each.viewer, each.closed) for each in stand.segments()] == [("vw_0", -1), ("vw_1", -1)]
    assert "disconnects" not in stand.measured.counters
    stand.ear.said = [Single(0, 0, CLOSED, b"", 1006, 0)]
    stand.ear.bell.send(b"!")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert stand.ear.said, "the reader is gone"


async def test_who_was_on_her_way_back_does_not_come_any_more(stand: Stand) -> None:
    viewer = stand.a_viewer(0)
    stand.hear(viewer, CLOSED, a=1006)
    assert viewer.stage == "away"
    stand.lines.end_stretches()
    stand.lines._come(viewer)
    assert viewer.stage == "away"
    assert stand.stages() == {"vw_0": "away"}
    assert stand.measured.counters["not_back"] == 1


async def test_who_never_came_in_and_would_have_tried_on_has_failed(stand: Stand) -> None:
    stand.a_viewer(0, is_in=False)
    stand.lines.end_stretches()
    assert stand.measured.counters["join_failed"] == stand.measured.counters["join_failed.unsettled"] == 1
    assert "not_back" not in stand.measured.counters
    assert stand.stages() == {"vw_0": "coming"}


@pytest.mark.parametrize(("code", "sent_away", "stage"), [(4503, 1, "gone"), (1013, 0, "away")])
async def test_who_is_sent_away_for_good_is_counted(stand: Stand, code: int, sent_away: int, stage: str) -> None:
    viewer = stand.a_viewer(0)
    stand.hear(viewer, PAYLOAD, encode(Bye(code, "", None), MSGPACK))
    stand.hear(viewer, CLOSED, a=code)
    assert stand.measured.counters["sent_away"] == sent_away
    assert viewer.stage == stage


async def test_who_is_sent_away_on_her_way_back_is_counted_too(stand: Stand) -> None:
    viewer = stand.a_viewer(0)
    stand.hear(viewer, CLOSED, a=1006)
    viewer.move("coming")
    stand.plug_in(viewer)
    stand.hear(viewer, CLOSED, a=4501)
    assert stand.measured.counters["sent_away"] == 1
    assert viewer.stage == "gone"


async def test_she_has_caught_up_with_the_highest_that_any_viewer_was_told_of_and_only_once(stand: Stand) -> None:
    viewer, other = stand.a_viewer(0), stand.a_viewer(1)
    for each in (viewer, other):
        stand.hear(each, CLOSED, a=1006)
        each.move("coming")
        stand.plug_in(each)
    stand.hear_welcome(other, offset=9, recovered=False)
    stand.hear_welcome(viewer, offset=4, recovered=True)
    assert stand.ear.targets == {0: 9, 1: 9}
    for _ in range(2):
        stand.hear(viewer, CAUGHT_UP)
    assert len(stand.measured._times["catch_up"]) == 1
    assert len(stand.measured._times["return"]) == 1
