"""Random evenings, played to both receivers at once: they tell the same, in the same order, and tally the same."""

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from websockets.frames import Opcode

from loadtest.wire.receiver import CLOSED, ERROR
from tests.loadtest.wire.stand import KINDS, Stand, framed, state, talk, welcome

_OFFSETS = st.integers(1, 9)
_FRAMES = st.one_of(
    st.builds(lambda first, more: framed(state(first, first + more)), _OFFSETS, st.integers(-1, 3)),
    st.builds(lambda first, mark: framed(state(first, planned_us=mark)), _OFFSETS, st.integers(0, 5)),
    st.builds(lambda first: framed(state(first, epoch="another")), _OFFSETS),
    st.builds(lambda lines: framed(talk([f"line {at}" for at in range(lines)])), st.integers(0, 4)),
    st.builds(lambda offset: framed(welcome(offset)), _OFFSETS),
    st.builds(framed, st.binary(max_size=300)),
    st.builds(lambda payload: framed(payload, Opcode.PING), st.binary(max_size=125)),
    st.builds(lambda payload: framed(payload, Opcode.TEXT), st.binary(max_size=20)),
)
_ENDS = st.one_of(
    st.builds(lambda payload: framed(payload, Opcode.CLOSE), st.binary(max_size=20)),
    st.binary(min_size=1, max_size=12),  # no frame, or a part of one, or a wrong one
)


class Alike(RuleBasedStateMachine):
    """Each rule does the same to a stand of each kind. What was written is read before the next rule, so that both
    have seen the same bytes. `half`: what of a frame the server has not written yet; `told_before`: how many singles
    there were of a viewer when her line began."""

    def __init__(self) -> None:
        super().__init__()
        self.stands = [Stand(kind) for kind in KINDS]
        self.half: dict[int, bytes] = {}
        self.slow: set[int] = set()
        self.told_before: dict[int, int] = {}

    def teardown(self) -> None:
        for stand in self.stands:
            stand.close()

    @property
    def here(self) -> list[int]:
        return sorted(self.stands[0].plugs)

    @rule(viewer=st.integers(1, 4), rest=st.lists(_FRAMES, max_size=2), slow=st.booleans())
    def enter(self, viewer: int, rest: list[bytes], slow: bool) -> None:
        if viewer in self.here:
            return
        (self.slow.add if slow else self.slow.discard)(viewer)
        self.told_before[viewer] = len(_of(self.stands[0], viewer))
        for stand in self.stands:
            stand.enter(viewer, b"".join(rest), slow=slow)

    @precondition(lambda self: self.here)
    @rule(data=st.data(), frames=st.lists(_FRAMES, max_size=4), end=st.one_of(st.none(), _ENDS))
    def send(self, data: st.DataObject, frames: list[bytes], end: bytes | None) -> None:
        viewer = data.draw(st.sampled_from(self.here))
        whole = self.half.pop(viewer, b"") + b"".join(frames) + (end or b"")
        cut = data.draw(st.integers(0, len(whole)))
        self.half[viewer] = whole[cut:]
        for stand in self.stands:
            stand.send(viewer, whole[:cut])

    @precondition(lambda self: self.here)
    @rule(data=st.data(), offset=st.integers(0, 9), more=st.integers(0, 2))
    def position(self, data: st.DataObject, offset: int, more: int) -> None:
        viewer = data.draw(st.sampled_from(self.here))
        for stand in self.stands:
            stand.position(viewer, offset, offset + more)

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        viewer = data.draw(st.sampled_from(self.here))
        self.half.pop(viewer, None)
        for stand in self.stands:
            stand.leave(viewer)

    @precondition(lambda self: self.slow)
    @rule(data=st.data(), most=st.integers(0, 400))
    def read_some(self, data: st.DataObject, most: int) -> None:
        viewer = data.draw(st.sampled_from(sorted(self.slow)))
        if viewer in self.here:
            for stand in self.stands:
                stand.read_some(viewer, most)

    @invariant()
    def both_tell_the_same(self) -> None:
        for stand in self.stands:
            while stand.is_readable:
                stand.pump()
            stand.pump()
        native, portable = self.stands
        for viewer in range(1, 5):
            assert _of(native, viewer) == _of(portable, viewer)
            if viewer in self.here:
                assert native.receiver.offset_of(viewer) == portable.receiver.offset_of(viewer)
        # A pong is as long as its ping in both; what follows the end of a line is read by neither.
        assert native.counters == portable.counters
        for name, latencies in native.latencies.items():
            assert latencies.total() == portable.latencies[name].total()
        assert native.asked == portable.asked

    @invariant()
    def an_end_is_the_last_that_is_told_of_a_line(self) -> None:
        for viewer in self.here:
            told = [kind for kind, *_ in _of(self.stands[0], viewer)[self.told_before[viewer] :]]
            assert not {CLOSED, ERROR} & set(told[:-1])


def _of(stand: Stand, viewer: int) -> list[tuple[int, bytes, int, int]]:
    return [(each.kind, each.payload, each.a, each.b) for each in stand.singles if each.viewer == viewer]


TestAlike = Alike.TestCase
TestAlike.settings = hypothesis_settings(max_examples=60, stateful_step_count=25, deadline=None)
