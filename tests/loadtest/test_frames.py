"""Frames of the load generator: what it counts must be what was sent."""

import pytest
from websockets.frames import Frame, Opcode

from loadtest.frames import FrameReader, frame_head_bytes, masked, pong


def _from_server(payload: bytes, opcode: Opcode = Opcode.BINARY) -> bytes:
    return Frame(opcode, payload).serialize(mask=False)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 125, 126, 4000])
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


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_whole_frame_gives_its_payload(size: int) -> None:
    payload = b"x" * size
    frame = _from_server(payload)

    assert FrameReader().feed(frame) == [payload]
    assert frame_head_bytes(size) == len(frame) - size


def test_frames_may_come_together_and_cut_anywhere() -> None:
    payloads = [b"a", b"b" * 300, b"", b"c" * 70_000]
    stream = b"".join(map(_from_server, payloads))
    for step in (1, 2, 3, 7, 1000):
        reader = FrameReader()
        found = [payload for at in range(0, len(stream), step) for payload in reader.feed(stream[at : at + step])]
        assert found == payloads
        assert reader.is_between_frames


def test_what_came_with_the_handshake_is_read_first() -> None:
    reader = FrameReader()
    reader.keep(_from_server(b"welcome"))

    assert reader.feed(_from_server(b"news")) == [b"welcome", b"news"]


def test_pings_and_the_close_are_no_messages() -> None:
    reader = FrameReader()

    assert reader.feed(_from_server(b"1234", Opcode.PING) + _from_server(b"\x11\x95bye", Opcode.CLOSE)) == []
    assert reader.pings == [b"1234"]
    assert reader.closed == 0x1195
    assert pong(b"1234")[0] == 0x8A
