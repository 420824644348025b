"""The two subprotocols: the same messages as msgpack (our own pages and tools) and as JSON (people with a terminal).

What arrives: bytes or text of one WebSocket message. What leaves: a typed message, or `Refused(MALFORMED)`.
Encoding never fails: the types are ours. Frames, masks and sizes on the wire are the gateway's business.
"""

from typing import Literal

import msgspec

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import AnyEvent, Stamped
from livecommerce.protocol.from_viewer import AnyFromViewer
from livecommerce.protocol.to_viewer import AnyToViewer

Subprotocol = Literal["livecommerce.v1.msgpack", "livecommerce.v1.json"]
MSGPACK: Subprotocol = "livecommerce.v1.msgpack"
JSON: Subprotocol = "livecommerce.v1.json"
SUBPROTOCOLS: tuple[Subprotocol, ...] = (MSGPACK, JSON)

_from_viewer_msgpack: msgspec.msgpack.Decoder[AnyFromViewer] = msgspec.msgpack.Decoder(AnyFromViewer)
_from_viewer_json: msgspec.json.Decoder[AnyFromViewer] = msgspec.json.Decoder(AnyFromViewer)
_to_viewer_msgpack: msgspec.msgpack.Decoder[AnyToViewer] = msgspec.msgpack.Decoder(AnyToViewer)
_to_viewer_json: msgspec.json.Decoder[AnyToViewer] = msgspec.json.Decoder(AnyToViewer)
_encode_msgpack = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode
_stamped = msgspec.msgpack.Decoder(Stamped)
_event_json: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_event_msgpack: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


def decode_from_viewer(data: bytes | str, subprotocol: Subprotocol) -> AnyFromViewer:
    """One message of a viewer. Raises `Refused(UNKNOWN_TYPE)` for a `t` that is none of ours, else `MALFORMED` with
    what was expected, in msgspec's words."""
    try:
        if subprotocol == MSGPACK:
            return _from_viewer_msgpack.decode(data if isinstance(data, bytes) else data.encode())
        return _from_viewer_json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        text = str(error)
        if text.startswith("Invalid value ") and text.endswith(" - at `$.t`"):
            raise Refused(R.UNKNOWN_TYPE) from None
        raise Refused(R.MALFORMED, expected=text[:200] or "a message") from None


def decode_to_viewer(data: bytes | str, subprotocol: Subprotocol) -> AnyToViewer:
    """One message of the server, for clients and tests. Raises `msgspec.DecodeError`."""
    if subprotocol == MSGPACK:
        return _to_viewer_msgpack.decode(data if isinstance(data, bytes) else data.encode())
    return _to_viewer_json.decode(data)


def encode(message: msgspec.Struct, subprotocol: Subprotocol) -> bytes:
    """One message as the payload of one frame (binary for msgpack, text for JSON)."""
    return _encode_msgpack(message) if subprotocol == MSGPACK else _encode_json(message)


def encode_stamped(stamped: Stamped) -> bytes:
    """An event with its offset, as the relay between processes carries it."""
    return _encode_msgpack(stamped)


def decode_stamped(data: bytes) -> Stamped:
    return _stamped.decode(data)


def event_to_json(event: AnyEvent) -> str:
    """An event as the show log keeps it."""
    return _encode_json(event).decode()


def event_from_json(text: str | bytes) -> AnyEvent:
    return _event_json.decode(text)


def event_to_bytes(event: AnyEvent) -> bytes:
    """An event as the news of a show carries it: msgpack, without its offset, which the sequencer gives."""
    return _encode_msgpack(event)


def event_from_bytes(data: bytes) -> AnyEvent:
    return _event_msgpack.decode(data)
