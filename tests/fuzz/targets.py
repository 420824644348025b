"""What is fuzzed: each target takes any bytes, and raises where a promise is broken. A refusal is no failure."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import msgspec

from livecommerce.catalogue.csv_shape import read_sheet
from livecommerce.catalogue.plan import make_plan
from livecommerce.clock import TestClock
from livecommerce.errors import Refused
from livecommerce.gateway.addresses import address_group, client_address
from livecommerce.gateway.api import _decoded
from livecommerce.gateway.frames import short_message
from livecommerce.gateway.origins import Origins
from livecommerce.gateway.reading import Broken, Reader
from livecommerce.gateway.socket import MESSAGE_BYTES_MAX, _named
from livecommerce.gateway.web import endpoints_of_the_house
from livecommerce.people.tokens import Tokens
from livecommerce.protocol.codec import SUBPROTOCOLS, Subprotocol, decode_from_viewer, encode
from livecommerce.rooms.letters import cleaned
from livecommerce.rooms.moderation import Moderation, TalkRules
from livecommerce.rooms.words import WordList
from livecommerce.settings import Settings
from livecommerce.video.rtmp import HANDSHAKE_BYTES, BadRtmp, Publish, RtmpReceiver
from tests.fuzz.memory_line import MemoryHouse

Target = Callable[[bytes], None]
_RTMP_HELLO = b"\x03" + bytes(HANDSHAKE_BYTES * 2)


def frames(data: bytes) -> None:
    """Frames mean the same however the network cuts them, and never more than a message waits."""
    whole, _ = _read([data])
    step = 1 + data[0] % 7 if data else 1
    cut, most = _read([data[at : at + step] for at in range(0, len(data), step)])
    assert whole == cut
    assert most <= MESSAGE_BYTES_MAX * 2 + 14 + step
    if (payload := short_message(data)) is not None:
        assert [(heard.data) for heard in whole if not isinstance(heard, Broken)] == [payload]


def _read(pieces: list[bytes]) -> tuple[list[Any], int]:
    reader, heard, most = Reader(MESSAGE_BYTES_MAX), [], 0
    for piece in pieces:
        heard += list(reader.feed(piece))
        most = max(most, len(reader._bytes) + len(reader._message))
    return heard, most


def message(subprotocol: Subprotocol, data: bytes) -> None:
    """Bytes are a message of ours, which can be written and read again, or a refusal; either way there is a name."""
    assert 0 < len(_named(data, subprotocol)) <= 40
    try:
        said = decode_from_viewer(data, subprotocol)
    except Refused:
        return
    assert repr(decode_from_viewer(encode(said, subprotocol), subprotocol)) == repr(said)  # NaN is not itself


@functools.cache
def _bodies() -> tuple["msgspec.json.Decoder[Any]", ...]:
    kinds = dict.fromkeys(row.body for row in endpoints_of_the_house() if row.body is not None)
    return tuple(msgspec.json.Decoder(kind) for kind in kinds)


def bodies(data: bytes) -> None:
    """A body of any endpoint is its type, or a refusal."""
    for decoder in _bodies():
        try:
            _decoded(decoder, data)
        except Refused:
            continue


def csv(data: bytes) -> None:
    """A file is a plan with its problems, or is refused as a whole, with a line."""
    with contextlib.suppress(Refused):
        plan = make_plan(read_sheet(data), "EUR")
        assert all(problem.line >= 1 for problem in plan.problems)


@functools.cache
def _settings() -> Settings:
    return Settings(secret="f" * 40, trusted_proxies=("10.0.0.0/8", "unix"), allowed_origins=("https://a.example",))


@functools.cache
def _tokens() -> Tokens:
    return Tokens(_settings(), TestClock())


def headers(data: bytes) -> None:
    """Addresses, origins and passes of strangers: an answer or a refusal."""
    first, _, second = data.decode("latin-1").partition("\n")
    address_group(client_address([(b"x-forwarded-for", first.encode("latin-1"))], "10.1.1.1", _settings()))
    assert not Origins(_settings()).allows(first, second) or first
    for text in (first, data.decode("utf-8", "surrogateescape")):
        assert _tokens().audience(text) in (None, "viewer", "staff", "viewer-renew", "staff-renew")
        try:
            _tokens().viewer_or_rehearsal(text)
            raise AssertionError("nobody can sign without the secret")
        except Refused:
            pass


@functools.cache
def _rules() -> TalkRules:
    words = WordList(["verboten", "two words", "stem*", "*inside*", "坏话"], ["好坏话"])
    return TalkRules(words, frozenset({"shop.example"}))


def talk(data: bytes) -> None:
    """A line of chat is cleaned or refused; cleaning it again changes nothing."""
    text = data.decode("utf-8", "replace")[:500]
    line = cleaned(text)
    assert cleaned(line) == line
    with contextlib.suppress(Refused):
        Moderation(_rules()).check("v", "viewer", text, 1.0)


@functools.cache
def _house() -> MemoryHouse:
    return MemoryHouse()


def connection(data: bytes) -> None:
    """A whole connection, from its first byte: HTTP, the handshake, frames, messages. It ends, and leaves nothing."""
    _house().run(data)


def rtmp(data: bytes) -> None:
    """An encoder's bytes, its handshake done: read or refused, and no more waits than one without a key may leave."""
    receiver = RtmpReceiver()
    receiver.feed(_RTMP_HELLO)
    with contextlib.suppress(BadRtmp):
        for at in range(0, len(data), 700):
            for event in receiver.feed(data[at : at + 700]):
                if isinstance(event, Publish) and event.key != "right":
                    receiver.refuse("no")
                elif isinstance(event, Publish):
                    receiver.accept()
    waiting = sum(len(stream.body or b"") for stream in receiver._streams.values()) + len(receiver._in)
    assert waiting <= len(data)
    assert len(receiver.outgoing()) <= 4096 + 400 * len(data)


TARGETS: dict[str, Target] = {
    "frames": frames,
    "message_msgpack": functools.partial(message, SUBPROTOCOLS[0]),
    "message_json": functools.partial(message, SUBPROTOCOLS[1]),
    "bodies": bodies,
    "csv": csv,
    "headers": headers,
    "talk": talk,
    "rtmp": rtmp,
    "connection": connection,
}
