"""One frame, built once: the header by the standard, the same bytes for everybody."""

import pytest
from websockets.frames import Frame, Opcode

from livecommerce.gateway.frames import PING, Shared, frame_of, short_message
from livecommerce.protocol.codec import JSON, MSGPACK
from livecommerce.protocol.to_viewer import Relay


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
def test_a_frame_is_what_the_library_would_write(size: int) -> None:
    payload = b"x" * size
    assert frame_of(payload, MSGPACK) == Frame(Opcode.BINARY, payload).serialize(mask=False)
    assert frame_of(payload, JSON) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_the_ping_is_a_ping() -> None:
    assert Frame(Opcode.PING, b"").serialize(mask=False) == PING


def test_a_shared_message_is_encoded_once_for_each_subprotocol() -> None:
    shared = Shared(Relay(True))
    assert shared.frame(MSGPACK) is shared.frame(MSGPACK)
    assert shared.frame(JSON) is shared.frame(JSON)
    assert shared.frame(JSON).endswith(b'{"t":"relay","up":true}')


@pytest.mark.parametrize("opcode", [Opcode.BINARY, Opcode.TEXT])
@pytest.mark.parametrize("size", [0, 1, 5, 125])
def test_one_short_whole_message_is_read_at_once(opcode: Opcode, size: int) -> None:
    payload = bytes(range(size))
    assert short_message(Frame(opcode, payload).serialize(mask=True)) == payload


WHOLE = Frame(Opcode.BINARY, b"hello").serialize(mask=True)


OTHERS = {
    "nothing": b"",
    "half a header": WHOLE[:1],
    "all but the last byte": WHOLE[:-1],
    "one and a byte": WHOLE + b"\x82",
    "two": WHOLE + WHOLE,
    "a reserved bit": bytes((WHOLE[0] | 0x40,)) + WHOLE[1:],
    "unmasked": Frame(Opcode.BINARY, b"hello").serialize(mask=False),
    "the first of several": Frame(Opcode.BINARY, b"hello", False).serialize(mask=True),
    "longer than 125": Frame(Opcode.BINARY, b"x" * 126).serialize(mask=True),
    "a continuation": Frame(Opcode.CONT, b"hello").serialize(mask=True),
    "a ping": Frame(Opcode.PING, b"hello").serialize(mask=True),
    "a close": Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True),
}


# By name: the masks are random, and workers that run in parallel must collect the same tests.
@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS.keys())
def test_everything_else_is_left_to_the_parser(data: bytes) -> None:
    assert short_message(data) is None
