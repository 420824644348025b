"""Frames built once and written to many sockets.

What arrives: a typed message of `protocol.to_viewer`. What leaves: the bytes of one unmasked, unfragmented WebSocket
frame for each subprotocol, made at the first asking and shared by reference afterwards. It does not know who gets them.
Frames are never fragmented: a direct write could fall between two fragments.
Also here: what nearly every incoming message is, one short whole frame, read without the whole reader.
"""

import struct

import msgspec
from websockets.frames import apply_mask  # type: ignore[attr-defined]  # C where the wheel has it

from livecommerce.protocol.codec import JSON, MSGPACK, Subprotocol, encode

PING = b"\x89\x00"
_BINARY, _TEXT, _CLOSE, _PONG = 0x82, 0x81, 0x88, 0x8A
_medium_head = struct.Struct("!BBH").pack


def frame_of(payload: bytes, subprotocol: Subprotocol) -> bytes:
    """`payload` as one frame: binary for msgpack, text for JSON."""
    first = _BINARY if subprotocol == MSGPACK else _TEXT
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return _medium_head(first, 126, size) + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def pong_of(payload: bytes) -> bytes:
    """The answer to a ping; a ping has at most 125 bytes."""
    return bytes((_PONG, len(payload))) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """The last frame of a connection; `reason` is cut at the 123 bytes that fit, between two letters."""
    if code is None:
        return bytes((_CLOSE, 0))
    payload = code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode()
    return bytes((_CLOSE, len(payload))) + payload


def short_message(data: bytes) -> bytes | None:
    """The payload, unmasked, where `data` is exactly one final, masked data frame of less than 126 bytes; text only
    where it is ASCII, so that nobody need ask whether it is UTF-8."""
    if len(data) < 6 or data[0] not in (_BINARY, _TEXT):
        return None
    # 0x80 says that it is masked; 126 and 127 would say that the size stands in further bytes.
    size = data[1] - 0x80
    if not 0 <= size < 126 or len(data) != size + 6:
        return None
    payload: bytes = apply_mask(data[6:], data[2:6])
    return payload if data[0] == _BINARY or payload.isascii() else None


class Shared:
    """One message on its way to many: encoded and framed at most once for each subprotocol."""

    __slots__ = ("_json", "_msgpack", "message")

    def __init__(self, message: msgspec.Struct) -> None:
        self.message = message
        self._msgpack: bytes | None = None
        self._json: bytes | None = None

    def frame(self, subprotocol: Subprotocol) -> bytes:
        if subprotocol == MSGPACK:
            if self._msgpack is None:
                self._msgpack = frame_of(encode(self.message, MSGPACK), MSGPACK)
            return self._msgpack
        if self._json is None:
            self._json = frame_of(encode(self.message, JSON), JSON)
        return self._json
