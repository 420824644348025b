"""One contract, two receivers: whatever the native one does, the portable one does too."""

import errno
import itertools
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.facts import Level
from livecommerce.protocol.to_viewer import Levels, Own, Pong, Relay
from loadtest.marks import marked
from loadtest.wire.receiver import (
    CAUGHT_UP,
    CLOSED,
    COUNTERS,
    DUPLICATE,
    ERROR,
    FRAME_BYTES_MAX,
    GAP,
    WRONG_WORDS,
    Single,
    Wrong,
    bucket_us,
)
from tests.loadtest.wire.stand import EPOCH, KINDS, Stand, framed, state, talk, welcome

OWN = encode(Own(note="only for you"), MSGPACK)
LEVELS_PAYLOAD = encode(Levels(1, {"deal_1": Level(1, 0, 0, 0, 0)}), MSGPACK)


@pytest.fixture(params=list(KINDS))
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    made = Stand(request.param)
    yield made
    made.close()


def _last(stand: Stand, kind: int) -> Single:
    return [single for single in stand.singles if single.kind == kind][-1]


def _client_frames(stand: Stand, viewer: int, count: int) -> list[tuple[Opcode, bytes]]:
    """What the viewer's side sent, read by a WebSocket library as a server would."""
    reader = StreamReader()
    found: list[tuple[Opcode, bytes]] = []
    while len(found) < count:
        reader.feed_data(stand.server[viewer].recv(65_536))
        while True:
            before = bytes(reader.buffer)
            parsing = Frame.parse(reader.read_exact, mask=True, max_size=None)
            try:
                next(parsing)
            except StopIteration as parsed:
                found.append((parsed.value.opcode, bytes(parsed.value.data)))
            else:
                reader.buffer[:] = before
                break
    return found


def _fill(plug: socket.socket, piece: bytes) -> int:
    """Send until the kernel takes no more; how many bytes that were."""
    sent = 0
    while True:
        try:
            sent += plug.send(piece)
        except BlockingIOError:
            return sent


# --- frames ---------------------------------------------------------------------------------------------------------


def test_a_frame_that_everybody_gets_is_asked_about_once_and_counted_for_each(stand: Stand) -> None:
    for viewer in (1, 2, 3):
        stand.seat(viewer)
        stand.send(viewer, framed(state(1)))
    stand.read_all()

    assert stand.asked == [state(1)]
    assert stand.singles == []
    assert (stand.counters["frames"], stand.counters["state_frames"], stand.counters["state_events"]) == (3, 3, 3)
    assert [stand.receiver.offset_of(viewer)[1] for viewer in (1, 2, 3)] == [1, 1, 1]


def test_each_lane_has_its_counters(stand: Stand) -> None:
    stand.seat(1)
    relay = encode(Relay(up=True), MSGPACK)
    stand.send(1, framed(state(1, 3)), framed(talk(["a", "b"])), framed(LEVELS_PAYLOAD), framed(relay))
    stand.read_all()

    expected = {
        "frames": 4,
        "state_frames": 1,
        "state_events": 3,
        "talk_frames": 1,
        "talk_lines": 2,
        "levels_frames": 1,
    }
    assert {name: stand.counters[name] for name in expected} == expected
    assert len(stand.asked) == 4


def test_what_is_hers_alone_comes_out_whole(stand: Stand) -> None:
    stand.seat(1)
    pong = encode(Pong(1.5, 5), MSGPACK)
    stand.send(1, framed(OWN), framed(pong), framed(b'{"t":"own"}', Opcode.TEXT), framed(b""), framed(b"\x81\xa1t"))
    stand.read_all()

    assert [payload for _, kind, payload in stand.told() if kind == "PAYLOAD"] == [
        OWN, pong, b'{"t":"own"}', b"", b"\x81\xa1t",
    ]  # fmt: skip
    assert stand.asked == []


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000, 3_000_000])
def test_every_way_to_write_a_length(stand: Stand, size: int) -> None:
    stand.seat(1)
    payload = bytes(index % 251 for index in range(min(size, 1000))) * (size // 1000 + 1)
    frame = framed(payload[:size])
    stand.server[1].setblocking(False)
    sent = 0
    while sent < len(frame):
        try:
            sent += stand.server[1].send(frame[sent:])
        except BlockingIOError:
            stand.pump()
    stand.until(lambda: bool(stand.singles))

    assert stand.told() == [(1, "PAYLOAD", payload[:size])]
    assert stand.counters["bytes_in"] == len(frame)


STREAM = b"".join(
    (
        framed(state(1)), framed(OWN), framed(b"hi", Opcode.PING), framed(talk(["x" * 200])), framed(welcome(1)),
        framed(state(2)), framed(OWN * 10), framed(b"\x0f\xa1later", Opcode.CLOSE),
    )
)  # fmt: skip


def _play(stand: Stand, pieces: list[bytes]) -> None:
    stand.seat(1)
    for piece in pieces:
        stand.send(1, piece)
        stand.until(lambda: stand.counters["bytes_in"] >= stand._sent or stand.kinds()[-1:] == ["WELCOME"])
        if stand.kinds()[-1:] == ["WELCOME"]:
            stand.position(1, 1, 1)
    stand.until(lambda: "CLOSED" in stand.kinds())


def _assert_played(stand: Stand) -> None:
    assert stand.kinds() == ["PAYLOAD", "WELCOME", "CAUGHT_UP", "PAYLOAD", "CLOSED"]
    assert [payload for _, kind, payload in stand.told() if kind != "CAUGHT_UP"] == [
        OWN, welcome(1), OWN * 10, b"later",
    ]  # fmt: skip
    assert stand.counters["frames"] == 8
    assert stand.counters["bytes_in"] == len(STREAM)
    assert stand.counters["pings"] == 1
    assert stand.receiver.offset_of(1)[1] == 2
    assert stand.asked == [state(1), talk(["x" * 200]), state(2)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_may_be_cut_at_every_byte(kind: str) -> None:
    for cut in range(1, len(STREAM)):
        stand = Stand(kind)
        _play(stand, [STREAM[:cut], STREAM[cut:]])
        _assert_played(stand)
        stand.close()


@pytest.mark.parametrize("kind", KINDS)
@given(cuts=st.sets(st.integers(1, len(STREAM) - 1), max_size=40))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_stream_may_be_cut_into_any_pieces(kind: str, cuts: set[int]) -> None:
    stand = Stand(kind)
    places = [0, *sorted(cuts), len(STREAM)]
    _play(stand, [STREAM[start:end] for start, end in itertools.pairwise(places)])
    _assert_played(stand)
    stand.close()


def test_one_byte_at_a_time(stand: Stand) -> None:
    _play(stand, [STREAM[at : at + 1] for at in range(len(STREAM))])
    _assert_played(stand)


def test_pings_are_answered_with_what_they_carried(stand: Stand) -> None:
    stand.seat(1)
    stand.send(1, framed(b"1234", Opcode.PING), framed(b"", Opcode.PING), framed(b"z" * 125, Opcode.PING))
    stand.read_all()

    assert _client_frames(stand, 1, 3) == [(Opcode.PONG, b"1234"), (Opcode.PONG, b""), (Opcode.PONG, b"z" * 125)]
    assert stand.counters["pings"] == 3
    assert stand.counters["bytes_out"] == 3 * 6 + 4 + 125
    assert stand.singles == []


def test_a_pong_that_finds_the_line_full_is_left_out(stand: Stand) -> None:
    stand.seat(1)
    stand.send(1, framed(b"1234", Opcode.PING), framed(OWN))
    # Small pieces too: the kernel adds a few bytes to its last packet even where the buffer is full.
    _fill(stand.plugs[1], b"\0" * 65_536)
    _fill(stand.plugs[1], b"\0")
    stand.read_all()

    assert stand.kinds() == ["PAYLOAD"]
    assert stand.counters["bytes_out"] == 0


def test_a_pong_that_nobody_asked_for_is_no_message(stand: Stand) -> None:
    stand.seat(1)
    stand.send(1, framed(b"hello?", Opcode.PONG))
    stand.read_all()

    assert (stand.singles, stand.counters["frames"]) == ([], 1)


# --- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [(b"\x11\x95not now", 4501, b"not now"), (b"\x03\xe8", 1000, b""), (b"", 1005, b""), (b"\x03", 1005, b"")],
)
def test_a_close_is_told_with_its_code_and_returned(stand: Stand, payload: bytes, code: int, reason: bytes) -> None:
    stand.seat(1)
    stand.send(1, framed(payload, Opcode.CLOSE), framed(OWN))
    stand.until(lambda: bool(stand.singles))

    assert stand.told() == [(1, "CLOSED", reason)]
    assert (stand.singles[0].a, stand.singles[0].b) == (code, 0)
    assert _client_frames(stand, 1, 1) == [(Opcode.CLOSE, payload[:2] if len(payload) >= 2 else b"")]


@pytest.mark.parametrize("before", [b"", framed(OWN), framed(OWN)[:-1], framed(OWN) + b"\x82"])
def test_an_end_without_a_close_is_1006_after_what_came_before_it(stand: Stand, before: bytes) -> None:
    stand.seat(1)
    stand.send(1, before)
    stand.server[1].close()
    stand.until(lambda: "CLOSED" in stand.kinds())

    assert stand.kinds() == ["PAYLOAD", "CLOSED"] if len(before) >= len(framed(OWN)) else ["CLOSED"]
    assert (_last(stand, CLOSED).a, _last(stand, CLOSED).b) == (1006, 0)


def test_a_reset_is_1006_too(stand: Stand) -> None:
    stand.seat(1)
    stand.reset(1)
    stand.until(lambda: bool(stand.singles))

    assert stand.kinds() == ["CLOSED"]
    assert (stand.singles[0].a, stand.singles[0].b) == (1006, errno.ECONNRESET)


def test_an_end_is_told_once(stand: Stand) -> None:
    stand.seat(1)
    stand.seat(2)
    stand.server[1].close()
    stand.until(lambda: bool(stand.singles))
    stand.send(2, framed(OWN))
    stand.until(lambda: len(stand.singles) > 1)

    assert stand.told() == [(1, "CLOSED", b""), (2, "PAYLOAD", OWN)]
    assert not stand.is_readable


def test_everybody_may_end_at_once(stand: Stand) -> None:
    for viewer in range(50):
        stand.seat(viewer)
    for viewer in range(50):
        stand.server[viewer].close()
    stand.until(lambda: len(stand.singles) == 50)

    assert {single.viewer for single in stand.singles} == set(range(50))
    for viewer in range(50):
        stand.receiver.remove(viewer)


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        (b"\x02\x01a", Wrong.FRAGMENT),
        (b"\x80\x01a", Wrong.FRAGMENT),
        (b"\xc2\x01a", Wrong.RESERVED_BITS),
        (b"\x83\x00", Wrong.OPCODE),
        (b"\x8b\x00", Wrong.OPCODE),
        (b"\x82\x81abcda", Wrong.MASKED),
        (b"\x89\x7e\x00\x7e", Wrong.CONTROL_SIZE),
        (b"\x88\x7f", Wrong.CONTROL_SIZE),
        (b"\x82\x7f" + (FRAME_BYTES_MAX + 1).to_bytes(8, "big"), Wrong.FRAME_SIZE),
        (b"\x82\x7f" + b"\xff" * 8, Wrong.FRAME_SIZE),
    ],
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_what_a_server_may_not_send_ends_the_line_in_words(
    stand: Stand, sent: bytes, wrong: Wrong, pieces: int
) -> None:
    stand.seat(1)
    stand.send(1, framed(OWN))
    if pieces == 2:
        stand.send(1, sent[:1])
        stand.read_all()
        sent = sent[1:]
    stand.send(1, sent)
    stand.until(lambda: "ERROR" in stand.kinds())
    stand.send(1, framed(OWN))
    stand.pump()

    assert stand.told() == [(1, "PAYLOAD", OWN), (1, "ERROR", WRONG_WORDS[wrong].encode())]
    assert _last(stand, ERROR).a == wrong
    assert not stand.is_readable


def test_a_promise_of_much_costs_nothing_before_it_comes(stand: Stand) -> None:
    stand.seat(1)
    stand.send(1, b"\x82\x7f" + FRAME_BYTES_MAX.to_bytes(8, "big") + b"x" * 100)
    stand.read_all()
    stand.server[1].close()
    stand.until(lambda: bool(stand.singles))

    assert stand.kinds() == ["CLOSED"]


# --- welcomes and positions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["with the handshake", "in one write", "later"])
def test_nothing_is_read_past_a_welcome_until_her_position_is_known(stand: Stand, way: str) -> None:
    if way == "with the handshake":
        stand.enter(1, framed(welcome(5)) + framed(state(6)) + framed(OWN))
    else:
        stand.enter(1)
        if way == "in one write":
            stand.send(1, framed(welcome(5)), framed(state(6)), framed(OWN))
        else:
            stand.send(1, framed(welcome(5)))
            stand.until(lambda: bool(stand.singles))
            stand.send(1, framed(state(6)), framed(OWN))
    stand.until(lambda: bool(stand.singles))
    stand.pump()

    assert stand.told() == [(1, "WELCOME", welcome(5))]
    assert stand.counters["frames"] == 1
    assert stand.receiver.offset_of(1) == (0, 0)
    assert not stand.is_readable

    stand.position(1, 5, 5)
    stand.until(lambda: "PAYLOAD" in stand.kinds())
    assert stand.kinds() == ["WELCOME", "CAUGHT_UP", "PAYLOAD"]
    assert stand.receiver.offset_of(1) == (stand.receiver.epoch_number(EPOCH), 6)


def test_a_second_welcome_stops_the_reading_again(stand: Stand) -> None:
    stand.seat(1, 3)
    stand.send(1, framed(state(4)), framed(welcome(9)), framed(state(10)))
    stand.until(lambda: "WELCOME" in stand.kinds())

    assert stand.receiver.offset_of(1)[1] == 4
    stand.position(1, 9, 9)
    stand.until(lambda: stand.receiver.offset_of(1)[1] == 10)
    assert stand.counters["state_gaps"] == 0


def test_an_end_behind_a_welcome_is_heard_after_the_position(stand: Stand) -> None:
    stand.enter(1)
    stand.send(1, framed(welcome(5)), framed(state(6)))
    stand.server[1].close()
    stand.until(lambda: bool(stand.singles))
    stand.pump()
    assert stand.kinds() == ["WELCOME"]

    stand.position(1, 5, 5)
    stand.until(lambda: "CLOSED" in stand.kinds())
    assert stand.kinds() == ["WELCOME", "CAUGHT_UP", "CLOSED"]
    assert stand.receiver.offset_of(1)[1] == 6


def test_she_has_caught_up_once_what_she_missed_was_read(stand: Stand) -> None:
    stand.enter(1)
    stand.send(1, framed(welcome(8)), framed(state(4, 6)))
    stand.until(lambda: bool(stand.singles))
    stand.position(1, 3, 8)
    stand.until(lambda: stand.receiver.offset_of(1)[1] == 6)
    assert stand.kinds() == ["WELCOME"]

    stand.send(1, framed(state(7, 9)), framed(state(10)))
    stand.read_all()
    assert stand.kinds() == ["WELCOME", "CAUGHT_UP"]
    assert (_last(stand, CAUGHT_UP).a, _last(stand, CAUGHT_UP).b) == (9, 8)


def test_with_nothing_missed_she_has_caught_up_when_her_welcome_was_read(stand: Stand) -> None:
    stand.enter(1, framed(welcome(8)))
    stand.pump()
    stand.position(1, 8, 8)
    assert stand.is_readable
    stand.pump()

    assert stand.kinds() == ["WELCOME", "CAUGHT_UP"]
    assert stand.singles[0].at_ns == stand.singles[1].at_ns
    assert not stand.is_readable


# --- order of events ------------------------------------------------------------------------------------------------


def test_a_gap_is_told_once_and_she_stays_where_she_was(stand: Stand) -> None:
    stand.seat(1, 3)
    stand.send(1, framed(state(4)), framed(state(6)), framed(state(7)), framed(OWN))
    stand.read_all()

    assert stand.told() == [(1, "GAP", state(6)), (1, "PAYLOAD", OWN)]
    assert (_last(stand, GAP).a, _last(stand, GAP).b) == (5, 6)
    assert stand.counters["state_gaps"] == 1
    assert stand.counters["state_events"] == 1
    assert stand.receiver.offset_of(1)[1] == 4


def test_a_position_after_a_gap_begins_anew(stand: Stand) -> None:
    stand.seat(1, 3)
    stand.send(1, framed(state(9)))
    stand.until(lambda: bool(stand.singles))
    stand.position(1, 9, 9)
    stand.send(1, framed(state(10)))
    stand.read_all()

    assert stand.receiver.offset_of(1)[1] == 10
    assert stand.kinds() == ["GAP", "CAUGHT_UP"]


def test_another_epoch_is_a_gap(stand: Stand) -> None:
    stand.seat(1, 3)
    stand.send(1, framed(state(4, epoch="ffff")))
    stand.read_all()

    assert stand.told() == [(1, "GAP", state(4, epoch="ffff"))]
    assert stand.receiver.offset_of(1) == (stand.receiver.epoch_number(EPOCH), 3)


def test_state_before_any_welcome_is_a_gap(stand: Stand) -> None:
    stand.enter(1)
    stand.send(1, framed(state(1)), framed(state(2)))
    stand.read_all()

    assert stand.kinds() == ["GAP"]
    assert stand.receiver.offset_of(1) == (0, 0)
    assert (stand.counters["state_gaps"], stand.counters["state_events"]) == (1, 0)


def test_what_she_had_already_is_told_and_not_counted_again(stand: Stand) -> None:
    stand.seat(1, 3)
    stand.send(1, framed(state(2, 3)))
    stand.read_all()

    assert stand.told() == [(1, "DUPLICATE", state(2, 3))]
    assert (_last(stand, DUPLICATE).a, _last(stand, DUPLICATE).b) == (4, 2)
    assert (stand.counters["state_duplicates"], stand.counters["state_events"]) == (2, 0)
    assert stand.receiver.offset_of(1)[1] == 3


def test_a_frame_that_overlaps_counts_what_is_new_in_it(stand: Stand) -> None:
    stand.seat(1, 3)
    stand.send(1, framed(state(2, 6, planned_us=1)))
    stand.read_all()

    assert stand.kinds() == ["DUPLICATE"]
    assert (stand.counters["state_duplicates"], stand.counters["state_events"]) == (2, 3)
    assert stand.counters["state_received"] == 3
    assert stand.latencies["state"].total() == 3
    assert stand.receiver.offset_of(1)[1] == 6


def test_an_empty_state_frame_says_nothing(stand: Stand) -> None:
    stand.seat(1, 3)
    stand.send(1, framed(state(1, 0)), framed(state(4)))
    stand.read_all()

    assert stand.singles == []
    assert stand.counters["state_frames"] == 2
    assert stand.receiver.offset_of(1)[1] == 4


# --- latencies ------------------------------------------------------------------------------------------------------


def test_each_mark_counts_for_each_viewer_from_its_planned_moment(stand: Stand) -> None:
    stand.receiver.set_clock(10_000_000_000 - time.monotonic_ns())
    for viewer in (1, 2):
        stand.seat(viewer)
        stand.send(viewer, framed(state(1, 2, planned_us=7_000_000)))
        stand.send(viewer, framed(talk([marked("hi", 9_000_000), "unmarked", marked("ho", 4_000_000)])))
    stand.read_all()

    assert (stand.counters["state_received"], stand.latencies["state"].total()) == (4, 4)
    assert all(3_000_000 - 2048 <= us < 30_000_000 for us in stand.latencies["state"])
    assert stand.latencies["talk"].total() == 4
    assert sum(count for us, count in stand.latencies["talk"].items() if us >= 6_000_000 - 4096) == 2


def test_a_mark_of_the_future_is_received_but_has_no_latency(stand: Stand) -> None:
    stand.receiver.set_clock(-time.monotonic_ns())
    stand.seat(1)
    stand.send(1, framed(state(1, planned_us=3_600_000_000)))
    stand.read_all()

    assert stand.counters["state_received"] == 1
    assert not stand.latencies["state"]


def test_a_mark_ahead_by_no_more_than_clocks_are_apart_took_no_time(stand: Stand) -> None:
    stand.seat(1)
    stand.receiver.set_clock(-time.monotonic_ns(), 60_000_000)
    stand.send(1, framed(state(1, planned_us=50_000_000)), framed(talk([marked("hi", 50_000_000)])))
    stand.send(1, framed(state(2, planned_us=3_600_000_000)))
    stand.read_all()

    assert stand.counters["state_received"] == 2
    assert (stand.latencies["state"], stand.latencies["talk"]) == ({0: 1}, {0: 1})


def test_marks_from_before_a_viewer_came_are_received_but_no_latency_of_hers(stand: Stand) -> None:
    stand.receiver.set_clock(10_000_000_000 - time.monotonic_ns())
    for viewer, since_us in ((1, 5_000_000), (2, 5_000_001)):
        stand.enter(viewer, since_us=since_us)
        stand.position(viewer, 0, 0)
        stand.send(viewer, framed(state(1, planned_us=5_000_000)), framed(talk([marked("hi", 5_000_000)])))
    stand.read_all()

    assert stand.counters["state_received"] == 2
    assert (stand.latencies["state"].total(), stand.latencies["talk"].total()) == (1, 1)


@pytest.mark.parametrize("seconds", [0, 0.001, 0.002, 0.0021, 0.5, 1, 77, 3_599, 3_600, 7_200])
def test_latencies_come_as_the_lowest_value_of_their_bucket(stand: Stand, seconds: float) -> None:
    began_ns = time.monotonic_ns() - 10_000_000_000_000
    stand.receiver.set_clock(-began_ns)
    planned_us = (time.monotonic_ns() - began_ns) // 1000 - int(seconds * 1e6)
    stand.seat(1)
    stand.send(1, framed(state(1, planned_us=planned_us)))
    stand.read_all()
    latest_us = (time.monotonic_ns() - began_ns) // 1000 - planned_us

    ((us, count),) = stand.latencies["state"].items()
    assert count == 1
    assert us == bucket_us(us)
    assert bucket_us(int(seconds * 1e6)) <= us <= bucket_us(latest_us)


def test_taking_begins_anew(stand: Stand) -> None:
    stand.seat(1)
    stand.send(1, framed(state(1, planned_us=1)))
    stand.read_all()
    taken = stand.receiver.take()

    assert taken.counters == dict.fromkeys(COUNTERS, 0)
    assert taken.latencies == {"state": [], "talk": []}


# --- slow viewers ---------------------------------------------------------------------------------------------------


def test_a_slow_viewer_is_read_by_hand_and_no_more_than_asked(stand: Stand) -> None:
    stand.seat(1, slow=True)
    stand.send(1, framed(OWN), framed(state(1)))
    stand.seat(2)
    stand.send(2, framed(OWN))
    stand.until(lambda: bool(stand.singles))
    assert stand.kinds(1) == []
    read = stand.counters["bytes_in"]

    stand.read_some(1, 10)
    assert stand.counters["bytes_in"] - read == 10
    assert stand.kinds(1) == []
    stand.read_some(1, 100_000)
    assert stand.kinds(1) == ["PAYLOAD"]
    assert stand.receiver.offset_of(1)[1] == 1
    stand.read_some(1, 100)
    stand.read_some(1, 0)
    stand.server[1].close()
    stand.read_some(1, 100)
    assert stand.kinds(1) == ["PAYLOAD", "CLOSED"]


def test_a_slow_viewer_waits_at_her_welcome_too(stand: Stand) -> None:
    stand.enter(1, slow=True)
    stand.send(1, framed(welcome(5)), framed(state(6)))
    stand.read_some(1, 100_000)
    stand.send(1, framed(state(7)))
    stand.read_some(1, 100_000)
    assert stand.kinds() == ["WELCOME"]

    stand.position(1, 5, 5)
    assert stand.receiver.offset_of(1)[1] == 6
    stand.read_some(1, 100_000)
    assert stand.receiver.offset_of(1)[1] == 7
    assert stand.kinds() == ["WELCOME", "CAUGHT_UP"]


# --- who is here ----------------------------------------------------------------------------------------------------


def test_who_was_removed_is_not_told_of(stand: Stand) -> None:
    stand.enter(1, framed(OWN))
    stand.enter(2, framed(OWN))
    stand.send(1, framed(OWN))
    stand.leave(1)
    stand.pump()

    assert stand.told() == [(2, "PAYLOAD", OWN)]
    stand.receiver.remove(1)
    stand.receiver.remove(99)


def test_a_descriptor_used_again_belongs_to_the_new_viewer(stand: Stand) -> None:
    stand.seat(1)
    stand.seat(2)
    number = stand.plugs[1].fileno()
    stand.send(1, framed(b"of the old line"))
    stand.server[1].shutdown(socket.SHUT_WR)
    stand.leave(1)
    stand.seat(3, offset=7)
    assert stand.plugs[3].fileno() == number
    stand.send(3, framed(OWN), framed(state(8)))
    stand.until(lambda: stand.counters["state_events"] == 1)

    assert stand.told() == [(3, "PAYLOAD", OWN)]
    stand.enter(1, framed(OWN))
    stand.pump()
    assert stand.kinds(1) == ["PAYLOAD"]


def test_a_line_that_ended_is_removed_after_its_descriptor_went_to_another(stand: Stand) -> None:
    stand.seat(1)
    number = stand.plugs[1].fileno()
    stand.server[1].close()
    stand.until(lambda: bool(stand.singles))
    stand.plugs.pop(1).close()
    stand.seat(2)
    assert stand.plugs[2].fileno() == number
    stand.receiver.remove(1)
    stand.send(2, framed(OWN))
    stand.until(lambda: bool(stand.singles))

    assert stand.kinds(2) == ["PAYLOAD"]


def test_nobody_is_here_twice(stand: Stand) -> None:
    stand.seat(1)
    _, plug = stand.pair()
    with plug, pytest.raises(ValueError, match="1 is here already"):
        stand.receiver.add(1, plug, b"")


def test_a_closed_native_receiver_refuses_instead_of_reading_what_was_freed() -> None:
    native = Stand("native")
    native.close()

    with pytest.raises(ValueError, match="closed"):
        native.receiver.take()
    with pytest.raises(ValueError, match="closed"):
        native.receiver.pump()


def test_a_plug_that_is_closed_cannot_be_added(stand: Stand) -> None:
    end, plug = stand.pair()
    end.close()
    plug.close()
    with pytest.raises((OSError, ValueError)):
        stand.receiver.add(1, plug, b"")
    stand.seat(1)


def test_epochs_keep_their_numbers(stand: Stand) -> None:
    first, second = stand.receiver.epoch_number("a"), stand.receiver.epoch_number("b")

    assert (first, second, stand.receiver.epoch_number("a")) == (1, 2, 1)


# --- the pump -------------------------------------------------------------------------------------------------------


def test_what_a_budget_leaves_keeps_the_descriptor_readable(stand: Stand) -> None:
    for viewer in range(200):
        stand.seat(viewer)
    for viewer in range(200):
        stand.send(viewer, framed(OWN))
    pumps = 0
    while stand.is_readable:
        stand.pump(budget_ms=0.0)
        pumps += 1

    assert pumps > 2
    assert sorted(single.viewer for single in stand.singles) == list(range(200))


def test_one_viewer_who_gets_much_does_not_starve_the_rest(stand: Stand) -> None:
    stand.seat(1)
    stand.seat(2)
    stand.server[1].setblocking(False)
    stand.counters["bytes_in"] -= _fill(stand.server[1], framed(OWN) * 1000)
    stand.send(2, framed(OWN))
    stand.until(lambda: bool(stand.kinds(2)))
    stand.read_all()

    assert len(stand.kinds(1)) == stand.counters["frames"] - 1


def test_a_frame_that_cannot_be_read_fails_the_pump_and_nothing_else(stand: Stand) -> None:
    stand.refuse = {talk(["bad"])}
    stand.seat(1)
    stand.seat(2)
    for viewer in (1, 2):
        stand.send(viewer, framed(OWN), framed(talk(["bad"])), framed(state(1)))
    failures = 0
    while stand.is_readable:
        try:
            stand.pump()
        except ValueError:
            failures += 1
    stand.pump()

    assert failures == 2
    assert stand.told() == [(1, "PAYLOAD", OWN), (2, "PAYLOAD", OWN)]
    assert stand.counters["state_events"] == 2
    assert stand.counters["talk_frames"] == 0


def test_what_is_known_is_bounded(stand: Stand) -> None:
    stand.seat(1)
    for number in range(1200):
        stand.send(1, framed(talk([f"line {number}"])))
        if number % 100 == 0:
            stand.read_all()
    stand.send(1, framed(talk(["line 1199"])))
    stand.read_all()

    assert len(stand.asked) == 1200
    assert stand.counters["talk_lines"] == 1201
