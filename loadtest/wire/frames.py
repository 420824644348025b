"""WebSocket frames as a light viewer needs them: masked ones to send, and the heads of those that come.

What arrives: payloads to send; bytes received. What leaves: bytes to send; where a frame's payload lies, or what is
wrong with it. It knows no sockets and no messages.
"""

import os
from typing import NamedTuple

from loadtest.wire.receiver import FRAME_BYTES_MAX, Wrong

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTROL_BYTES_MAX = 125
_OPCODES = (TEXT, BINARY, CLOSE, PING, PONG)


class FrameError(Exception):
    """The server may not send this."""

    def __init__(self, wrong: Wrong) -> None:
        self.wrong = wrong
        super().__init__(wrong.name)


class Head(NamedTuple):
    """The payload is `data[start:end]`, where that much is there already."""

    opcode: int
    start: int
    end: int


def masked(payload: bytes, opcode: int = BINARY) -> bytes:
    """One final client frame; at most 65,535 bytes."""
    size, key = len(payload), os.urandom(4)
    head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    # One XOR of two large numbers: a loop over the bytes would cost more than the sending.
    pad = (key * (size // 4 + 1))[:size]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
    return head + key + body


def read_head(data: bytes, at: int) -> Head | None:
    """The frame that begins at `at`; None while its head is not whole. Raises `FrameError`, as soon as it can be known:
    fragments, compression and masks are nothing this server sends."""
    if len(data) < at + 2:
        return None
    first, size = data[at], data[at + 1]
    opcode = first & 0x0F
    if first & 0x70:
        raise FrameError(Wrong.RESERVED_BITS)
    if not first & 0x80 or opcode == 0:
        raise FrameError(Wrong.FRAGMENT)
    if opcode not in _OPCODES:
        raise FrameError(Wrong.OPCODE)
    if size & 0x80:
        raise FrameError(Wrong.MASKED)
    if opcode >= CLOSE and size > CONTROL_BYTES_MAX:
        raise FrameError(Wrong.CONTROL_SIZE)
    start = at + 2
    if size > CONTROL_BYTES_MAX:
        start += 2 if size == 126 else 8
        if len(data) < start:
            return None
        size = int.from_bytes(data[at + 2 : start], "big")
        if size > FRAME_BYTES_MAX:
            raise FrameError(Wrong.FRAME_SIZE)
    return Head(opcode, start, start + size)
