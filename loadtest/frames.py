"""WebSocket frames as the generator needs them: masked ones made beforehand, and a reader that costs next to nothing.

What arrives: payloads to send, bytes received. What leaves: bytes to send, payloads received. It knows no sockets. It
checks nothing that the server owes us by the protocol but what would make the count wrong.
"""

import os

_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10


def masked(payload: bytes, opcode: int = _BINARY) -> bytes:
    """One final client frame; at most 65,535 bytes."""
    size, key = len(payload), os.urandom(4)
    head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    # One XOR of two large numbers: a loop over the bytes would cost more than the sending.
    pad = (key * (size // 4 + 1))[:size]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
    return head + key + body


def pong(payload: bytes) -> bytes:
    return masked(payload, _PONG)


def frame_head_bytes(size: int) -> int:
    """Of a frame of the server, which is not masked."""
    return 2 if size < 126 else 4 if size < 65_536 else 10


class FrameReader:
    """The frames of one connection. `pings` are to be answered; `closed` is the server's close code, 0 before."""

    __slots__ = ("_rest", "closed", "pings")

    def __init__(self) -> None:
        self._rest = b""
        self.pings: list[bytes] = []
        self.closed = 0

    @property
    def is_between_frames(self) -> bool:
        return not self._rest

    def keep(self, data: bytes) -> None:
        """What came together with the handshake's answer; it is read with the next `feed`."""
        self._rest += data

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the messages that are complete now."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        payloads = []
        while end - at >= 2:
            size = data[at + 1]
            start = at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if start > end:
                    break
                size = int.from_bytes(data[at + 2 : start], "big")
            if start + size > end:
                break
            opcode = data[at] & 0x0F
            if opcode < _CLOSE:
                payloads.append(data[start : start + size])
            elif opcode == _PING:
                self.pings.append(data[start : start + size])
            elif opcode == _CLOSE:
                self.closed = int.from_bytes(data[start : start + 2], "big") or 1005
            at = start + size
        self._rest = data[at:] if at < end else b""
        return payloads
