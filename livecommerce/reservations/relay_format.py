"""The stored record of a hold, and how it becomes the `Hold` that people see.

What arrives: the record as the script packs it into `rids` and, the same bytes, into the relay's "engine" message.
What leaves: `facts.Hold` with its end in UTC. Due times are instants of the show's hold clock, which only the script
turns; so what is told is always "now plus what remains", never a comparison of two clocks.
"""

from typing import Any

import msgpack

from livecommerce.protocol.facts import Hold, HoldLine
from livecommerce.reservations.states import WORDS, State

# Places in the record, a flat msgpack array. Lua counts from 1, Python from 0.
STATE, TICKET, DUE, AT, N, PLACE, ATTRIBUTION, WAIT, CHARGED, LINES = range(10)

_WITH_DUE = tuple(map(int, (State.OFFERED, State.HELD, State.PAYING)))
_WAITING = int(State.WAITING)


def record(raw: bytes) -> list[Any]:
    """The record's items; text stays bytes. Raises `msgpack`'s error on bytes that are no record."""
    items: list[Any] = msgpack.unpackb(raw, raw=True)
    return items


def viewer_and_rid(key: Any) -> tuple[str, str]:
    """(viewer_id, rid) of a record's name."""
    viewer_id, _, rid = key.decode().rpartition("/")
    return viewer_id, rid


def state_of(raw: bytes) -> int:
    """The state, without unpacking the rest: it stands first in the array, whose head has one byte or three."""
    return raw[1] if raw[0] & 0xF0 == 0x90 else raw[3]


def hold_from_relay(show_id: str, rid: str, raw: bytes, now_ms: int) -> Hold:
    """The hold as it stood when it was published: what remained then is counted from `now_ms`."""
    items = record(raw)
    return hold_of(show_id, rid, items, now_ms, items[AT])


def hold_of(
    show_id: str, rid: str, items: list[Any], now_ms: int, hold_clock_ms: int, place: int = 0, token: str = ""
) -> Hold:
    """The hold of a record, read while the show's hold clock stood at `hold_clock_ms`."""
    state = items[STATE]
    waiting = state == _WAITING
    return Hold(
        rid,
        show_id,
        lines_of(items),
        WORDS[state],
        items[TICKET],
        now_ms + items[DUE] - hold_clock_ms if state in _WITH_DUE else None,
        (place or items[PLACE]) if waiting else None,
        token,
    )


def lines_of(items: list[Any]) -> tuple[HoldLine, ...]:
    """The lines of a record: deal and quantity."""
    if len(items) == LINES + 2:
        return (HoldLine(items[LINES].decode(), items[LINES + 1]),)
    return tuple(HoldLine(items[i].decode(), items[i + 1]) for i in range(LINES, len(items), 2))


def attribution_of(items: list[Any]) -> tuple[str, str, str]:
    """(advisor_id, shop_id, link_id) that the hold credits."""
    return attribution_from(items[ATTRIBUTION])


def attribution_to(advisor_id: str, shop_id: str, link_id: str) -> str:
    """As the record keeps it: three ids, a space between them; "" where all are absent."""
    return f"{advisor_id} {shop_id} {link_id}" if advisor_id or shop_id or link_id else ""


def attribution_from(packed: bytes) -> tuple[str, str, str]:
    if not packed:
        return "", "", ""
    advisor_id, shop_id, link_id = packed.decode().split(" ")
    return advisor_id, shop_id, link_id
