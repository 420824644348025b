"""RTMP as encoders speak it (OBS, phones, ffmpeg), the receiving side, without I/O: bytes in, bytes and events out.

What arrives: bytes of one connection. What leaves: `Publish` with the stream key, which the caller accepts or refuses
before a single picture is taken; then FLV tags; and what to send back (`outgoing`). It does not know sockets, keys or
shows. The other side is a stranger: every length is bounded, and what is no RTMP is a `BadRtmp`.

Source: Adobe, "Real Time Messaging Protocol" 1.0 (2012); AMF0 by its specification of 2007.
"""

import enum
import os
import struct
from dataclasses import dataclass
from typing import Any

HANDSHAKE_BYTES = 1536
MESSAGE_BYTES_MAX = 4 << 20
CHUNK_BYTES_MAX = 1 << 20
# What may wait in messages that have begun, before a key was accepted: commands have some hundred bytes.
UNPROVED_BYTES_MAX = 65_536
_STREAMS_MAX = 64
_NESTED_MAX = 8
_OUT_CHUNK_BYTES = 4096
_WINDOW_BYTES = 2_500_000
_TIMESTAMP_EXTENDED = 0xFFFFFF


class _Type(enum.IntEnum):
    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_SIZE = 5
    PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    AMF3_COMMAND = 17
    DATA = 18
    COMMAND = 20


class BadRtmp(Exception):
    """The bytes are no RTMP, or more of it than anybody needs."""


@dataclass(frozen=True, slots=True)
class Publish:
    """An encoder wants to send. Answer with `accept` or `refuse`."""

    app: str
    key: str


@dataclass(frozen=True, slots=True)
class Tag:
    """One FLV tag, ready for a demuxer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The encoder says that it has finished."""


Event = Publish | Tag | Ended


@dataclass(slots=True)
class _Stream:
    """What the chunks of one chunk stream leave out because the one before said it."""

    timestamp: int = 0
    delta: int = 0
    length: int = 0
    kind: int = 0
    message_stream: int = 0
    extended: bool = False
    body: bytearray | None = None


class RtmpReceiver:
    """One connection. `feed` it; send `outgoing()`; answer `Publish`."""

    def __init__(self) -> None:
        self._in = bytearray()
        self._out = bytearray()
        self._stage: str = "hello"
        self._chunk_bytes = 128
        self._streams: dict[int, _Stream] = {}
        self._app = ""
        self._wants: int | None = None  # the message stream of a publish that is not answered yet
        self._accepted = False
        self._read = 0
        self._told_read = 0
        self._window = _WINDOW_BYTES

    def feed(self, data: bytes) -> list[Event]:
        """Raises `BadRtmp`; the connection is of no use after that."""
        self._in += data
        self._read += len(data)
        most = CHUNK_BYTES_MAX if self._accepted else UNPROVED_BYTES_MAX
        if len(self._in) > most + len(data) + HANDSHAKE_BYTES:
            raise BadRtmp("more than one message may hold")
        events: list[Event] = []
        while self._step(events):
            pass
        if self._read - self._told_read >= self._window:
            self._told_read = self._read
            self._send(2, _Type.ACKNOWLEDGEMENT, 0, struct.pack(">I", self._read & 0xFFFFFFFF))
        return events

    def outgoing(self) -> bytes:
        """What to send now."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def accept(self) -> None:
        """The key is right: the encoder may send."""
        self._answer("status", "NetStream.Publish.Start", "You are on.")
        self._accepted = True

    def refuse(self, text: str) -> None:
        """The key is wrong, or there is another reason, which the encoder's owner reads in its log."""
        self._answer("error", "NetStream.Publish.BadName", text)

    def _answer(self, level: str, code: str, text: str) -> None:
        if self._wants is None:
            return
        stream, self._wants = self._wants, None
        facts = {"level": level, "code": code, "description": text}
        self._send(5, _Type.COMMAND, stream, encode_amf("onStatus", 0.0, None, facts))

    # --- reading ----------------------------------------------------------------------------------------------------

    def _step(self, events: list[Event]) -> bool:
        if self._stage == "hello":
            return self._read_hello()
        if self._stage == "echo":
            return self._read_echo()
        return self._read_chunk(events)

    def _read_hello(self) -> bool:
        if len(self._in) < 1 + HANDSHAKE_BYTES:
            if self._in and self._in[0] != 3:
                raise BadRtmp("another version of RTMP, or none")
            return False
        if self._in[0] != 3:
            raise BadRtmp("another version of RTMP, or none")
        theirs = bytes(self._in[1 : 1 + HANDSHAKE_BYTES])
        del self._in[: 1 + HANDSHAKE_BYTES]
        self._out += b"\x03" + bytes(8) + os.urandom(HANDSHAKE_BYTES - 8) + theirs
        self._stage = "echo"
        return True

    def _read_echo(self) -> bool:
        if len(self._in) < HANDSHAKE_BYTES:
            return False
        del self._in[:HANDSHAKE_BYTES]
        self._stage = "messages"
        return True

    def _read_chunk(self, events: list[Event]) -> bool:
        head = self._chunk_head()
        if head is None:
            return False
        at, stream_id, stream = head
        begun = stream.body or bytearray()
        wanted = min(self._chunk_bytes, stream.length - len(begun))
        if len(self._in) < at + wanted:
            return False
        begun += self._in[at : at + wanted]
        del self._in[: at + wanted]
        stream.body = begun
        self._streams[stream_id] = stream
        if len(self._streams) > _STREAMS_MAX:
            raise BadRtmp("too many streams in one connection")
        waiting = sum(len(each.body) for each in self._streams.values() if each.body is not None)
        if waiting > (MESSAGE_BYTES_MAX * 2 if self._accepted else UNPROVED_BYTES_MAX):
            raise BadRtmp("too much begun and not ended")
        if len(begun) >= stream.length:
            stream.body = None
            self._message(stream, bytes(begun), events)
        return True

    def _chunk_head(self) -> tuple[int, int, _Stream] | None:
        """(where the chunk's bytes begin, its chunk stream, that stream as it is with this chunk)."""
        data = self._in
        if not data:
            return None
        form, stream_id, at = data[0] >> 6, data[0] & 0x3F, 1
        if stream_id < 2:
            more = stream_id + 1
            if len(data) < 1 + more:
                return None
            stream_id = 64 + int.from_bytes(data[1 : 1 + more], "little")
            at += more
        size = (11, 7, 3, 0)[form]
        if len(data) < at + size + 4:  # an extended timestamp may follow
            if len(data) < at + size:
                return None
            extends = self._extends(form, data, at, stream_id)
            if extends:
                return None
        known = self._streams.get(stream_id)
        if known is None and form == 3:
            raise BadRtmp("a stream that goes on without having begun")
        stream = _Stream() if known is None else _copy(known)
        at = self._fields(form, stream, at, fresh=stream.body is None)
        if stream.length > MESSAGE_BYTES_MAX:
            raise BadRtmp(f"a message of {stream.length} bytes")
        return at, stream_id, stream

    def _extends(self, form: int, data: bytearray, at: int, stream_id: int) -> bool:
        if form < 3:
            return int.from_bytes(data[at : at + 3], "big") == _TIMESTAMP_EXTENDED
        known = self._streams.get(stream_id)
        return known is not None and known.extended

    def _fields(self, form: int, stream: _Stream, at: int, *, fresh: bool) -> int:
        data = self._in
        if form < 3:
            time = int.from_bytes(data[at : at + 3], "big")
            if form < 2:
                stream.length = int.from_bytes(data[at + 3 : at + 6], "big")
                stream.kind = data[at + 6]
            if form == 0:
                stream.message_stream = int.from_bytes(data[at + 7 : at + 11], "little")
            at += (11, 7, 3)[form]
            stream.extended = time == _TIMESTAMP_EXTENDED
            if stream.extended:
                time = int.from_bytes(data[at : at + 4], "big")
                at += 4
            stream.delta = time
            stream.timestamp = time if form == 0 else (stream.timestamp + time) & 0xFFFFFFFF
            if form == 0:
                stream.delta = 0
        else:
            if stream.extended:
                at += 4
            if fresh:
                stream.timestamp = (stream.timestamp + stream.delta) & 0xFFFFFFFF
        return at

    # --- messages ---------------------------------------------------------------------------------------------------

    def _message(self, stream: _Stream, body: bytes, events: list[Event]) -> None:
        kind = stream.kind
        if kind == _Type.SET_CHUNK_SIZE:
            self._chunk_bytes = _number(body) & 0x7FFFFFFF
            if not 1 <= self._chunk_bytes <= CHUNK_BYTES_MAX:
                raise BadRtmp(f"chunks of {self._chunk_bytes} bytes")
        elif kind == _Type.ABORT:
            if aborted := self._streams.get(_number(body)):
                aborted.body = None
        elif kind == _Type.WINDOW_SIZE:
            self._window = max(1000, _number(body))
        elif kind in (_Type.COMMAND, _Type.AMF3_COMMAND):
            self._command(decode_amf(body[1:] if kind == _Type.AMF3_COMMAND else body), stream.message_stream, events)
        elif kind in (_Type.AUDIO, _Type.VIDEO) and self._accepted and body:
            events.append(Tag(_tag(kind, stream.timestamp, body)))
        elif kind == _Type.DATA and self._accepted:
            name = encode_amf("@setDataFrame")
            events.append(Tag(_tag(kind, stream.timestamp, body.removeprefix(name))))

    def _command(self, values: list[Any], message_stream: int, events: list[Event]) -> None:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
        if name == "connect":
            facts = values[2] if len(values) > 2 and isinstance(values[2], dict) else {}
            self._app = str(facts.get("app", ""))[:200]
            self._connected(transaction)
        elif name == "createStream":
            self._send(3, _Type.COMMAND, 0, encode_amf("_result", transaction, None, 1.0))
        elif name == "publish":
            key = values[3] if len(values) > 3 and isinstance(values[3], str) else ""
            if self._accepted or self._wants is not None:
                raise BadRtmp("a second publish in one connection")
            self._wants = message_stream
            events.append(Publish(self._app, key[:400]))
        elif name in ("FCUnpublish", "deleteStream", "closeStream"):
            if self._accepted:
                events.append(Ended())
                self._accepted = False
        elif name in ("releaseStream", "FCPublish"):
            self._send(3, _Type.COMMAND, 0, encode_amf("_result", transaction, None, None))
        elif name == "play":
            raise BadRtmp("only encoders connect here; players use the playlist")

    def _connected(self, transaction: float) -> None:
        self._send(2, _Type.WINDOW_SIZE, 0, struct.pack(">I", _WINDOW_BYTES))
        self._send(2, _Type.PEER_BANDWIDTH, 0, struct.pack(">IB", _WINDOW_BYTES, 2))
        self._send(2, _Type.SET_CHUNK_SIZE, 0, struct.pack(">I", _OUT_CHUNK_BYTES))
        about = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}
        said = {"level": "status", "code": "NetConnection.Connect.Success", "description": "", "objectEncoding": 0.0}
        self._send(3, _Type.COMMAND, 0, encode_amf("_result", transaction, about, said))

    def _send(self, chunk_stream: int, kind: int, message_stream: int, body: bytes) -> None:
        """One message in one chunk: what we say is always shorter than the chunks we announced, or fits 128 bytes."""
        self._out += struct.pack(">B3xI", chunk_stream, len(body) << 8 | kind)
        self._out += struct.pack("<I", message_stream)
        size = _OUT_CHUNK_BYTES if kind == _Type.COMMAND else 128
        for at in range(0, len(body), size):
            if at:
                self._out.append(0xC0 | chunk_stream)
            self._out += body[at : at + size]


def _copy(stream: _Stream) -> _Stream:
    return _Stream(
        stream.timestamp, stream.delta, stream.length, stream.kind, stream.message_stream, stream.extended, stream.body
    )


def _number(body: bytes) -> int:
    if len(body) < 4:
        raise BadRtmp("a number that is cut off")
    return int.from_bytes(body[:4], "big")


def _tag(kind: int, timestamp: int, body: bytes) -> bytes:
    size = len(body)
    head = struct.pack(">B3s", kind, size.to_bytes(3, "big"))
    time = (timestamp & 0xFFFFFF).to_bytes(3, "big") + bytes([timestamp >> 24 & 0xFF])
    return head + time + bytes(3) + body + struct.pack(">I", size + 11)


# --- AMF0 -----------------------------------------------------------------------------------------------------------


def encode_amf(*values: Any) -> bytes:
    """Strings, numbers, booleans, None and dicts of them."""
    out = bytearray()
    for value in values:
        if value is None:
            out.append(5)
        elif isinstance(value, bool):
            out += bytes([1, value])
        elif isinstance(value, float):
            out += b"\x00" + struct.pack(">d", value)
        elif isinstance(value, str):
            text = value.encode()
            out += b"\x02" + struct.pack(">H", len(text)) + text
        else:
            out.append(3)
            for name, each in value.items():
                out += encode_amf(name)[1:] + encode_amf(each)
            out += b"\x00\x00\x09"
    return bytes(out)


def decode_amf(data: bytes) -> list[Any]:
    """All values of a message; what follows one that we do not know is left out. Raises `BadRtmp`."""
    values: list[Any] = []
    at = 0
    while at < len(data):
        try:
            value, at = _value(data, at, 0)
        except (struct.error, IndexError, UnicodeDecodeError):
            raise BadRtmp("a message that is cut off") from None
        if at < 0:
            break
        values.append(value)
    return values


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > _NESTED_MAX:
        raise BadRtmp("objects within objects within objects")
    kind, at = data[at], at + 1
    if kind == 0:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind == 1:
        return bool(data[at]), at + 1
    if kind == 2:
        return _text(data, at)
    if kind in (3, 8):
        return _object(data, at + (4 if kind == 8 else 0), depth)
    if kind in (5, 6):
        return None, at
    return None, -1


def _text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from(">H", data, at)
    end = at + 2 + size
    if end > len(data):
        raise BadRtmp("a text that is cut off")
    return data[at + 2 : end].decode(), end


def _object(data: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while True:
        name, at = _text(data, at)
        if not name and data[at] == 9:
            return found, at + 1
        found[name], at = _value(data, at, depth + 1)
        if at < 0:
            return found, -1
