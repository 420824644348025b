"""What comes in after the upgrade: bytes as the network cut them → whole messages and control frames, by RFC 6455.

What arrives: bytes of one connection, in order. What leaves: `Heard` for each whole message and control frame, or one
`Broken` with the close code that the standard asks for, after which nothing more is read. A rule is broken as soon as
the bytes that break it are here: a header is judged before its payload comes, a text at the end of each frame.
It does not know what a message means, and writes nothing.

Nothing waits here beyond one message: at most `message_bytes_max` of payload and one header, however it is cut.
"""

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from websockets.exceptions import ProtocolError
from websockets.frames import Close, Opcode, apply_mask  # type: ignore[attr-defined]  # apply_mask is C in the wheel

# Pages send whole messages. More parts than this is somebody who makes us work for nothing: an empty part costs her
# six bytes and us a turn.
FRAGMENTS_MAX = 128
CONTROL_BYTES_MAX = 125

PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG = 1002, 1007, 1009

_OPCODES = {int(opcode): opcode for opcode in Opcode}
_CONTROL = 0x08  # the bit that all control frames have


class Heard(NamedTuple):
    """One whole message (`TEXT`, `BINARY`) or control frame (`PING`, `PONG`, `CLOSE`), unmasked."""

    opcode: Opcode
    data: bytes


class Broken(NamedTuple):
    """The other side broke a rule: say so with this code, and end."""

    code: int
    why: str


class _Rule(Exception):
    """A rule of the standard was broken."""


class Reader:
    """The reading half of one connection."""

    __slots__ = ("_bytes", "_fragments", "_kind", "_message", "_message_bytes_max", "_text", "ended")

    def __init__(self, message_bytes_max: int) -> None:
        self._message_bytes_max = message_bytes_max
        self._bytes = b""  # the beginning of a frame
        self._kind: Opcode | None = None  # of the message whose fragments are coming
        self._message = b""
        self._fragments = 0
        self._text: codecs.IncrementalDecoder | None = None
        self.ended = False

    @property
    def is_between(self) -> bool:
        """True where it holds no half of anything: no part of a frame, no fragment of a message."""
        return not self._bytes and self._kind is None and not self.ended

    def end(self) -> None:
        """Read nothing more: whoever asks has heard enough."""
        self.ended = True
        self._bytes = self._message = b""
        self._text = None

    def feed(self, data: bytes) -> Iterator[Heard | Broken]:
        """What `data` completes, in order. One at a time: thousands of frames fit into one segment, and whoever reads
        them may have had enough after some."""
        if self.ended:
            return
        if self._bytes:
            data = self._bytes + data
            self._bytes = b""
        at = 0
        try:
            while not self.ended:
                frame = self._frame(data, at)
                if frame is None:
                    self._bytes = data[at:]
                    return
                opcode, fin, payload, at = frame
                heard = self._take(opcode, fin, payload)
                if heard is not None:
                    if heard.opcode is Opcode.CLOSE:
                        self.end()
                    yield heard
        except _Rule as rule:
            self.end()
            yield Broken(*rule.args)

    def _frame(self, data: bytes, at: int) -> tuple[Opcode, bool, bytes, int] | None:
        """(opcode, final, payload, where the next begins) of the frame at `at`, or None where it is not whole yet.
        Its header is judged as soon as it is here."""
        if len(data) < at + 2:
            return None
        first, second = data[at], data[at + 1]
        opcode = self._judged(first, second)
        size = second & 0x7F
        at += 2
        if size > CONTROL_BYTES_MAX:
            width = 2 if size == 126 else 8
            if len(data) < at + width:
                return None
            size = int.from_bytes(data[at : at + width], "big")
            at += width
            if size < (126 if width == 2 else 65_536):
                raise _Rule(PROTOCOL_ERROR, "a length in more bytes than it needs")
            if size >> 63:
                raise _Rule(PROTOCOL_ERROR, "a length with its highest bit set")
        if not opcode & _CONTROL and len(self._message) + size > self._message_bytes_max:
            raise _Rule(TOO_BIG, f"more than {self._message_bytes_max} bytes")
        if len(data) < at + 4 + size:
            return None
        mask = data[at : at + 4]
        at += 4
        return opcode, first >= 0x80, apply_mask(data[at : at + size], mask), at + size

    def _judged(self, first: int, second: int) -> Opcode:
        if first & 0x70:
            raise _Rule(PROTOCOL_ERROR, "a reserved bit is set")
        opcode = _OPCODES.get(first & 0x0F)
        if opcode is None:
            raise _Rule(PROTOCOL_ERROR, "an unknown opcode")
        if not second & 0x80:
            raise _Rule(PROTOCOL_ERROR, "a frame without a mask")
        if opcode & _CONTROL:
            if not first & 0x80:
                raise _Rule(PROTOCOL_ERROR, "a control frame in fragments")
            if second & 0x7F > CONTROL_BYTES_MAX:
                raise _Rule(PROTOCOL_ERROR, "a control frame of more than 125 bytes")
        elif opcode is Opcode.CONT:
            if self._kind is None:
                raise _Rule(PROTOCOL_ERROR, "a continuation of nothing")
        elif self._kind is not None:
            raise _Rule(PROTOCOL_ERROR, "a new message inside of another")
        return opcode

    def _take(self, opcode: Opcode, fin: bool, payload: bytes) -> Heard | None:
        if opcode is Opcode.CLOSE:
            _judge_close(payload)
        if opcode & _CONTROL:
            return Heard(opcode, payload)
        kind = opcode if self._kind is None else self._kind
        if kind is Opcode.TEXT:
            self._judge_text(payload, fin)
        if fin and opcode is not Opcode.CONT:
            return Heard(kind, payload)
        self._fragments += 1
        if self._fragments > FRAGMENTS_MAX:
            raise _Rule(TOO_BIG, f"a message in more than {FRAGMENTS_MAX} parts")
        if not fin:
            self._kind = kind
            self._message += payload
            return None
        heard = Heard(kind, self._message + payload)
        self._kind, self._message, self._fragments, self._text = None, b"", 0, None
        return heard

    def _judge_text(self, payload: bytes, fin: bool) -> None:
        """Bytes that can begin no UTF-8 end the connection with this frame; a letter may be cut between two."""
        try:
            if fin and self._text is None:
                payload.decode()
                return
            if self._text is None:
                self._text = codecs.getincrementaldecoder("utf-8")()
            self._text.decode(payload, fin)
        except UnicodeDecodeError:
            raise _Rule(INVALID_TEXT, "text that is not UTF-8") from None


def _judge_close(payload: bytes) -> None:
    if len(payload) == 1:
        raise _Rule(PROTOCOL_ERROR, "a close code of one byte")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise _Rule(INVALID_TEXT, "a reason that is not UTF-8") from None
    if payload:
        try:
            Close(int.from_bytes(payload[:2], "big"), reason).check()
        except ProtocolError:
            raise _Rule(PROTOCOL_ERROR, "a close code that nobody may send") from None
