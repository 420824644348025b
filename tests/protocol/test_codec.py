"""Both subprotocols carry the same messages; hostile bytes are refused and nothing else."""

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecommerce.errors import R, Refused
from livecommerce.protocol.codec import (
    MSGPACK,
    SUBPROTOCOLS,
    Subprotocol,
    decode_from_viewer,
    decode_to_viewer,
    encode,
)
from livecommerce.protocol.facts import Level, Note, Stamped
from livecommerce.protocol.from_viewer import AnyFromViewer, Hello, Ping, Reserve, Say, WantLine
from livecommerce.protocol.to_viewer import AnyToViewer, Bye, Levels, State


@pytest.mark.parametrize("subprotocol", SUBPROTOCOLS)
@pytest.mark.parametrize(
    "message",
    [Hello("e", 3, "desk", "t"), Ping(1.5), Say("c", "日本 <b>"), Reserve("rid_00000001", (WantLine("d", 2),), True)],
)
def test_what_a_viewer_sends_comes_back_the_same(message: AnyFromViewer, subprotocol: str) -> None:
    assert decode_from_viewer(encode(message, subprotocol), subprotocol) == message  # type: ignore[arg-type]


@pytest.mark.parametrize("subprotocol", SUBPROTOCOLS)
@pytest.mark.parametrize(
    "message",
    [State("e", (Stamped(1, 2, Note("hi")),)), Levels(3, {"d": Level(1, 2, 3, 4, 5)}), Bye(4000, "moving", 5)],
)
def test_what_the_server_sends_comes_back_the_same(message: AnyToViewer, subprotocol: str) -> None:
    assert decode_to_viewer(encode(message, subprotocol), subprotocol) == message  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), subprotocol=st.sampled_from(SUBPROTOCOLS))
def test_any_bytes_are_a_message_or_malformed(data: bytes, subprotocol: str) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(_decoded(data, subprotocol), msgspec.Struct)


class Malformed(Exception):
    """One of the two refusals that bytes may meet."""


def _decoded(data: bytes, subprotocol: str) -> AnyFromViewer:
    try:
        return decode_from_viewer(data, subprotocol)  # type: ignore[arg-type]
    except Refused as refused:
        raise (Malformed if refused.why in (R.MALFORMED, R.UNKNOWN_TYPE) else refused) from None


@pytest.mark.parametrize("subprotocol", SUBPROTOCOLS)
@pytest.mark.parametrize("kind", ["buy_everything", "welcome", "", "hello - at `$.t`"])
def test_a_kind_that_is_none_of_ours_has_a_number_of_its_own(kind: str, subprotocol: Subprotocol) -> None:
    data = (msgspec.msgpack.encode if subprotocol == MSGPACK else msgspec.json.encode)({"t": kind})
    with pytest.raises(Refused) as refused:
        decode_from_viewer(data, subprotocol)
    assert refused.value.why is R.UNKNOWN_TYPE


@pytest.mark.parametrize(
    "fields",
    [
        {"t": "say", "cid": "", "text": "x"},
        {"t": "say", "cid": "c", "text": "x" * 501},
        {"t": "say", "cid": "c", "text": "x", "kind": "shout"},
        {"t": "reserve", "rid": "short", "lines": [{"deal_id": "d"}]},
        {"t": "reserve", "rid": "rid_00000001", "lines": []},
        {"t": "reserve", "rid": "rid_00000001", "lines": [{"deal_id": "d"}] * 9},
        {"t": "hello", "offset": -1},
        {"t": 5},
    ],
)
@pytest.mark.parametrize("subprotocol", SUBPROTOCOLS)
def test_every_bound_holds_in_both_subprotocols(fields: dict[str, object], subprotocol: str) -> None:
    data = msgspec.msgpack.encode(fields) if subprotocol.endswith("msgpack") else msgspec.json.encode(fields)
    with pytest.raises(Refused) as refused:
        decode_from_viewer(data, subprotocol)  # type: ignore[arg-type]
    assert refused.value.why is R.MALFORMED
