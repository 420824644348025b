"""The books of a show made anew: what the script must find in each of its hashes, from holds and deals alone.

What arrives: holds as they were decided, deals, the moves of stock that count, the hold clock. What leaves: field and
value for each key of `keys.BOOKS`, and the fields of `meta` that depend on them. Pure. The records are those that
`lua/reserve.lua` describes; this is the one other place that writes them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from livecommerce.reservations.evidence import Claim, DealTerms, Key
from livecommerce.reservations.states import IN_HELD, LIVE, DealState, DrawPhase, State

# All restored holds stand in the queue of the longest duration there is: whatever is held later for that long ends
# after each of them, so the queue stays in order, and no deal's hold time need be what it was.
_QUEUE_MS = 2_592_000_000
_ENTRY_HOLDS_MAX = 64
# A step of the time in a count of `viewers`; see the script.
_TIME_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class BooksAnew:
    """`hashes` by the names of `keys.BOOKS`; `waits` and `paying` are sorted sets, member → score."""

    hashes: dict[str, dict[str, bytes | int | float]]
    queues: bytes
    todo: bytes
    levels: dict[str, list[int]]


def lay_out(
    holds: Mapping[Key, Claim], deals: Iterable[DealTerms], moves: Mapping[str, int], hold_clock_ms: int
) -> BooksAnew:
    """Everything but the counts. Whoever waits where units are left is served by the first heartbeat, and nobody
    overtakes until then."""
    records = {deal.deal_id: _deal_record(deal) for deal in deals}
    viewers = _Viewers()
    rids: dict[str, bytes | int | float] = {}
    waits: dict[str, bytes | int | float] = {}
    paying: dict[str, bytes | int | float] = {}
    ends: defaultdict[int, list[str]] = defaultdict(list)
    for (viewer_id, rid), hold in holds.items():
        key = f"{viewer_id}/{rid}"
        due = _due(hold, hold_clock_ms, records)
        rids[key] = pack(hold_record(hold, due, hold_clock_ms))
        if hold.state not in LIVE and hold.state != State.CONFIRMED:
            continue
        viewers.count(viewer_id, rid, hold, due, hold_clock_ms)
        for deal_id, qty in hold.lines:
            _count(records[deal_id], hold.state, qty)
        if hold.state in IN_HELD:
            ends[due].append(key)
        elif hold.state == State.PAYING:
            paying[key] = due
        elif hold.state in _IN_LINE:
            waits[f"{hold.lines[0][0]}:{hold.ticket:016d}:{key}"] = 0
    entries = [
        [due, *keys[first : first + _ENTRY_HOLDS_MAX]]
        for due, keys in sorted(ends.items())
        for first in range(0, len(keys), _ENTRY_HOLDS_MAX)
    ]
    owed = _close_records(records)
    return BooksAnew(
        {
            "deals": {deal_id: pack(record) for deal_id, record in records.items()},
            "rids": rids,
            "viewers": viewers.fields(),
            "queues": {f"{_QUEUE_MS}:{at}": pack(entry) for at, entry in enumerate(entries, 1)},
            "waits": waits,
            "paying": paying,
            "moves": dict(moves),
        },
        pack({_QUEUE_MS: [1, len(entries), entries[0][0]]} if entries else {}),
        pack(owed),
        {deal_id: record[_AVAILABLE : _WAITING + 1] for deal_id, record in records.items()},
    )


# Places in a deal's record; Lua counts from 1, Python from 0.
_STATUS, _QUOTA, _AVAILABLE, _HELD, _PAYING, _SOLD, _WAITING, _LIMIT = range(8)
_HOLD_MS, _PAY_MS, _OPENS, _CLOSES, _TAKEN, _LEVEL, _RULE, _OWED, _BY, _ADDRESS_CAP, _HOLD_CAP, _DRAW = range(8, 20)
# They stand in one list: who waits, and who is in a draw.
_IN_LINE = frozenset({State.ENTERED, State.WAITING})


def _deal_record(deal: DealTerms) -> list[Any]:
    record: list[Any] = [
        int(deal.status), deal.allotted - deal.unaccounted, 0, 0, 0, 0, 0, deal.limit, deal.hold_ms, deal.pay_ms,
        deal.opens_at_ms, deal.closes_at_ms, deal.taken, deal.level, int(deal.head_waits), 0,
        deal.limit_by, deal.address_cap, deal.hold_cap_ms,
    ]  # fmt: skip
    if deal.draw != DrawPhase.NONE:
        record.append([int(deal.draw), deal.entrants, deal.base, deal.entrants, 0, deal.root])
    return record


def _count(record: list[Any], state: State, qty: int) -> None:
    if state in _IN_LINE:
        record[_WAITING] += 1
    elif state in IN_HELD:
        record[_HELD] += qty
    else:
        record[_PAYING if state == State.PAYING else _SOLD] += qty


def _close_records(records: dict[str, list[Any]]) -> list[str]:
    """What nobody has is available. The deals on which the first heartbeat has work."""
    owed = []
    for deal_id, record in records.items():
        taken = record[_HELD] + record[_PAYING] + record[_SOLD]
        record[_QUOTA] = max(record[_QUOTA], taken)
        record[_AVAILABLE] = record[_QUOTA] - taken
        undrawn = len(record) > _DRAW and record[_DRAW][0] < DrawPhase.DRAWN
        if record[_WAITING] and record[_STATUS] == DealState.OPEN and record[_AVAILABLE] and not undrawn:
            record[_OWED] = 1
            owed.append(deal_id)
    return owed


def hold_record(hold: Claim, due: int, hold_clock_ms: int) -> list[Any]:
    """As `rids` keeps it; see `relay_format`."""
    flat = [word for line in hold.lines for word in line]
    at = hold_clock_ms if hold.at is None or hold.state not in IN_HELD else hold.at
    return [
        int(hold.state), hold.ticket, due, at, hold.n, 0, hold.attribution, hold.wait, hold.charged or 0, *flat
    ]  # fmt: skip


def _due(hold: Claim, hold_clock_ms: int, records: Mapping[str, list[Any]]) -> int:
    if hold.state in IN_HELD:
        assert hold.due is not None
        return hold.due
    if hold.state == State.PAYING:
        pay_ms = max(records[deal_id][_PAY_MS] for deal_id, _ in hold.lines)
        return hold_clock_ms + pay_ms if hold.due is None else hold.due
    return 0


class _Viewers:
    """viewer → her live rids, oldest first; and the counts of `viewers`, under exactly the names from which the records
    will give back. What ended holds used of a cap on time is not known any more."""

    def __init__(self) -> None:
        self._live: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self._counts: defaultdict[str, int] = defaultdict(int)

    def count(self, viewer_id: str, rid: str, hold: Claim, due: int, hold_clock_ms: int) -> None:
        if hold.state in LIVE:
            self._live[viewer_id].append((hold.ticket, rid))
        charged = [(f"{viewer_id}/{deal_id}", 2 * qty) for deal_id, qty in hold.lines]
        timed = 1 if hold.charged == 1 else 0
        if isinstance(hold.charged, tuple):
            timed, *flat = hold.charged  # type: ignore[assignment]
            charged = list(zip(flat[::2], flat[1::2], strict=True))  # type: ignore[arg-type]
        for name, amount in charged:
            self._counts[name] += amount
        if hold.state in _IN_LINE:
            self._counts[charged[0][0]] += 1
        if hold.state in IN_HELD:
            began = hold_clock_ms if hold.at is None else min(hold.at, hold_clock_ms)
            for name, _ in charged[:timed]:
                self._counts[name] += (due - began) * _TIME_STEP

    def fields(self) -> dict[str, bytes | int | float]:
        live = {viewer_id: " ".join(rid for _, rid in sorted(rids)).encode() for viewer_id, rids in self._live.items()}
        return {**live, **self._counts}


def pack(value: Any) -> bytes:
    """As the script reads it: its msgpack knows no bin type."""
    packed: bytes = msgpack.packb(value, use_bin_type=False)
    return packed
