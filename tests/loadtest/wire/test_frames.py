"""Frames of the load generator: what it counts must be what was sent."""

import pytest
from websockets.frames import Frame, Opcode

from loadtest.wire.frames import BINARY, PING, PONG, FrameError, Head, masked, read_head
from loadtest.wire.receiver import FRAME_BYTES_MAX, WRONG_WORDS, Wrong


@pytest.mark.parametrize("size", [0, 1, 3, 4, 125, 126, 4000, 65_535])
def test_a_masked_frame_carries_its_payload(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    frame = masked(payload)

    head = 2 if size < 126 else 4
    assert frame[0] == 0x82
    assert frame[1] & 0x80
    key, body = frame[head : head + 4], frame[head + 4 :]
    assert bytes(byte ^ key[index % 4] for index, byte in enumerate(body)) == payload


def test_each_frame_has_a_mask_of_its_own() -> None:
    assert masked(b"the same words") != masked(b"the same words")


def test_other_kinds_are_named() -> None:
    assert masked(b"1234", PONG)[0] == 0x8A


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, FRAME_BYTES_MAX])
def test_a_head_says_where_the_payload_lies(size: int) -> None:
    head_bytes = 2 if size < 126 else 4 if size < 65_536 else 10
    frame = Frame(Opcode.BINARY, b"x" * size).serialize(mask=False)

    assert len(frame) == head_bytes + size
    assert read_head(b"before" + frame[:head_bytes], 6) == Head(BINARY, 6 + head_bytes, 6 + head_bytes + size)
    for missing in range(head_bytes):
        assert read_head(frame[:missing], 0) is None


def test_a_ping_is_known_by_its_head() -> None:
    assert read_head(b"\x89\x04", 0) == Head(PING, 2, 6)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"\x02\x00", Wrong.FRAGMENT),
        (b"\x80\x00", Wrong.FRAGMENT),
        (b"\xa2\x00", Wrong.RESERVED_BITS),
        (b"\x83\x00", Wrong.OPCODE),
        (b"\x82\x80", Wrong.MASKED),
        (b"\x89\x7e", Wrong.CONTROL_SIZE),
        (b"\x82\x7f" + (FRAME_BYTES_MAX + 1).to_bytes(8, "big"), Wrong.FRAME_SIZE),
    ],
)
def test_what_a_server_may_not_send_is_named(data: bytes, wrong: Wrong) -> None:
    with pytest.raises(FrameError) as raised:
        read_head(data, 0)

    assert raised.value.wrong is wrong


def test_every_wrong_has_words() -> None:
    assert set(WRONG_WORDS) == set(Wrong)
