"""The short form of the campaign: what was worth keeping, and changes of it by a seed that is told where one fails."""

import gc
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from livecommerce.errors import Refused
from livecommerce.gateway.reading import Broken, Heard, Reader
from livecommerce.gateway.socket import MESSAGE_BYTES_MAX, _named
from livecommerce.protocol.codec import MSGPACK, SUBPROTOCOLS, Subprotocol, decode_from_viewer, encode
from livecommerce.protocol.from_viewer import AnyFromViewer
from tests.fuzz import targets
from tests.fuzz.__main__ import CORPUS, NAMES
from tests.fuzz.change import changed
from tests.fuzz.targets import TARGETS, _house

CHANGES = 800


@pytest.fixture(scope="module", autouse=True)
def _end() -> Iterator[None]:
    yield
    if _house.cache_info().currsize:
        _house().close()
        _house.cache_clear()


def _known(name: str) -> list[Path]:
    return sorted((CORPUS / name).iterdir())


def test_every_target_can_be_named_and_has_something_to_begin_with() -> None:
    assert tuple(TARGETS) == NAMES
    assert all(len(_known(name)) >= 4 for name in NAMES)
    assert {path.name for path in CORPUS.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_once_breaks_nothing_any_more(name: str) -> None:
    for path in _known(name):
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_changes_of_it_break_no_promise(name: str) -> None:
    known = [path.read_bytes() for path in _known(name)]
    for seed in range(CHANGES if name != "bodies" else CHANGES // 20):
        chance = random.Random(seed)
        data = changed(chance.choice(known), chance)
        try:
            TARGETS[name](data)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}: {data!r}") from error


def test_connections_of_all_kinds_leave_no_memory_behind() -> None:
    known = [path.read_bytes() for path in _known("connection")]

    def all_of_them(times: int) -> int:
        for seed in range(times):
            chance = random.Random(seed)
            TARGETS["connection"](changed(chance.choice(known), chance))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = all_of_them(300)  # caches and labels are filled
        assert all_of_them(600) - before < 100_000
    finally:
        tracemalloc.stop()


# --- frames -----------------------------------------------------------------------------------------------------------

_OPCODES = st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.CLOSE])
_FRAMES = st.builds(Frame, _OPCODES, st.binary(max_size=300), st.booleans())
_MESSAGES = st.lists(st.tuples(st.binary(max_size=1000), st.integers(1, 9)), max_size=6)


@given(_MESSAGES, st.integers(1, 4000))
def test_messages_in_any_number_of_fragments_and_cuts_are_heard_whole(
    messages: list[tuple[bytes, int]], step: int
) -> None:
    wire = b""
    for data, parts in messages:
        size = -(-len(data) // parts) or 1
        pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        for place, piece in enumerate(pieces):
            opcode = Opcode.CONT if place else Opcode.BINARY
            wire += Frame(opcode, piece, place == len(pieces) - 1).serialize(mask=True)
            wire += Frame(Opcode.PING, b"between").serialize(mask=True)
    reader = Reader(MESSAGE_BYTES_MAX)
    heard = [each for at in range(0, len(wire), step) for each in reader.feed(wire[at : at + step])]
    assert [each.data for each in heard if isinstance(each, Heard) and each.opcode is Opcode.BINARY] == [
        data for data, _ in messages
    ]
    assert reader.is_between


@given(st.lists(_FRAMES, max_size=8), st.integers(1, 40))
def test_any_frames_mean_the_same_however_they_are_cut(frames: list[Frame], step: int) -> None:
    targets.frames(bytes([step]) + b"".join(frame.serialize(mask=True) for frame in frames if _can_be_sent(frame)))
    whole = b"".join(frame.serialize(mask=True) for frame in frames if _can_be_sent(frame))
    once, cut = Reader(MESSAGE_BYTES_MAX), Reader(MESSAGE_BYTES_MAX)
    heard = list(once.feed(whole))
    assert heard == [each for at in range(0, len(whole), step) for each in cut.feed(whole[at : at + step])]
    assert all(isinstance(each, Heard) for each in heard[:-1]), "nothing is read after a rule was broken"
    assert once.ended == bool(heard and (isinstance(heard[-1], Broken) or heard[-1].opcode is Opcode.CLOSE))


def _can_be_sent(frame: Frame) -> bool:
    """The library writes no control frame that breaks a rule."""
    return frame.opcode < 8 or (frame.fin and len(frame.data) <= 125)


# --- messages ---------------------------------------------------------------------------------------------------------

_SIMPLE = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=30)
_ANYTHING = st.recursive(
    _SIMPLE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
_FIELDS = st.sampled_from(
    ["t", "rid", "cid", "text", "kind", "lines", "deal_id", "qty", "token", "epoch", "offset", "device", "at", "wait"]
)
_KINDS = st.sampled_from(["hello", "token", "ping", "say", "vote", "react", "reserve", "release", "accept", "proof"])


@pytest.mark.parametrize("subprotocol", SUBPROTOCOLS)
@given(kind=_KINDS, fields=st.dictionaries(_FIELDS, _ANYTHING, max_size=5))
@example(kind="reserve", fields={"rid": "rid_00000001", "lines": [{"deal_id": "d", "qty": 2**63 - 1}]})
def test_any_types_in_any_field_are_a_message_or_a_refusal(
    subprotocol: Subprotocol, kind: str, fields: dict[str, object]
) -> None:
    encoder = msgspec.msgpack if subprotocol == MSGPACK else msgspec.json
    targets.message(subprotocol, encoder.encode({"t": kind} | fields))


@pytest.mark.parametrize("subprotocol", SUBPROTOCOLS)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_refusal(subprotocol: Subprotocol, data: bytes) -> None:
    targets.message(subprotocol, data)


@pytest.mark.parametrize(
    ("subprotocol", "bomb"),
    [
        (SUBPROTOCOLS[0], b"\x91" * MESSAGE_BYTES_MAX),
        (SUBPROTOCOLS[0], b"\x82\xa1t\xa4ping\xa1x" + b"\x91" * 4000),
        (SUBPROTOCOLS[0], b"\x81\xa1x" * 1300),
        (SUBPROTOCOLS[0], b"\xdd\xff\xff\xff\xff"),
        (SUBPROTOCOLS[0], b"\xdf\xff\xff\xff\xff\xa1t\xa4ping"),
        (SUBPROTOCOLS[0], b"\x82\xa1t\xa5hello\xa5token\xdb\xff\xff\xff\xff"),
        (SUBPROTOCOLS[1], b"[" * MESSAGE_BYTES_MAX),
        (SUBPROTOCOLS[1], b'{"t":"ping","x":' + b"[" * 4000),
        (SUBPROTOCOLS[1], b'{"x":' * 800),
        (SUBPROTOCOLS[1], b'{"t":"ping","at":' + b"9" * 4000 + b"}"),
    ],
)
def test_a_bomb_of_nested_lists_or_of_claimed_sizes_is_refused(subprotocol: Subprotocol, bomb: bytes) -> None:
    assert _named(bomb, subprotocol)
    with pytest.raises(Refused):
        decode_from_viewer(bomb, subprotocol)


@given(st.from_type(AnyFromViewer))  # type: ignore[arg-type]
def test_every_message_is_read_as_it_was_written(message: AnyFromViewer) -> None:
    for subprotocol in SUBPROTOCOLS:
        try:
            read = decode_from_viewer(encode(message, subprotocol), subprotocol)
        except (Refused, OverflowError):
            continue  # beyond a bound that stands beside its type, or beyond what either format can carry
        assert repr(read) == repr(message)
