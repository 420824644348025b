"""Does stock add up? Compares what Redis counts, what the ledger has, and what viewers were told.

Three books are kept by three parts of a server; each breach is a sentence. It reads only, and after
`LiveServer.settled`, when nothing is under way.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from livecommerce.clock import RealClock
from livecommerce.errors import Refused
from livecommerce.protocol.facts import Hold, Level
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.relay_format import STATE, lines_of, record
from livecommerce.reservations.states import IN_HELD, LIVE, State
from livecommerce.settings import read_settings
from tests.live_server import LiveServer

Key = tuple[str, str]  # (viewer_id, rid)
Answers = Mapping[Key, Hold | Refused]

# What each state of a hold must have left in the movements, at the least.
_LEFT_BEHIND = {
    State.HELD: {"held"},
    State.PAYING: {"held", "paying"},
    State.CONFIRMED: {"held", "paying", "confirmed"},
    State.RELEASED: {"released"},
    State.EXPIRED: {"held"},
}


@dataclass
class Books:
    """All three at one quiet moment."""

    levels: dict[str, Level]
    holds: dict[Key, tuple[State, tuple[tuple[str, int], ...]]]
    deals: list[dict[str, Any]]
    pools: list[dict[str, Any]]
    all_deals: list[dict[str, Any]]
    reservations: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    movements: dict[Key, set[str]]


async def read_books(server: LiveServer, show_id: str) -> Books:
    await server.settled(show_id)
    async with server.redis() as redis:
        engine = ReservationEngine(redis, read_settings({}, data=server.data), RealClock())
        await engine.start()
        try:
            _, levels = await engine.levels(show_id)
        finally:
            await engine.aclose()
        rids: dict[bytes, bytes] = await redis.hgetall(keys.rids(show_id))  # type: ignore[misc]
    moved = defaultdict(set)
    for row in server.rows("SELECT viewer_id, rid, kind FROM movements WHERE show_id = ?", show_id):
        moved[row["viewer_id"], row["rid"]].add(row["kind"])
    return Books(
        levels,
        {_key(packed): _hold(raw) for packed, raw in rids.items()},
        server.rows("SELECT * FROM deals WHERE show_id = ? AND status <> 'draft'", show_id),
        server.rows("SELECT * FROM pools"),
        server.rows("SELECT * FROM deals"),
        server.rows("SELECT * FROM reservations WHERE show_id = ?", show_id),
        server.rows("SELECT * FROM orders WHERE show_id = ?", show_id),
        dict(moved),
    )


def _key(packed: bytes) -> Key:
    viewer_id, _, rid = packed.decode().rpartition("/")
    return viewer_id, rid


def _hold(raw: bytes) -> tuple[State, tuple[tuple[str, int], ...]]:
    items = record(raw)
    return State(items[STATE]), tuple((line.deal_id, line.qty) for line in lines_of(items))


async def check_conservation(server: LiveServer, show_id: str, answers: Answers | None = None) -> Books:
    """Fail with every breach at once; the books, for a test that wants to say more."""
    books = await read_books(server, show_id)
    found = breaches(books, answers or {})
    assert not found, "\n".join(found)
    return books


def breaches(books: Books, answers: Answers) -> list[str]:
    """A sentence for each thing that does not add up.

    `answers` is the last answer each request got, all of them or none: who was told "held" has it or has done something
    with it since, who was refused has nothing, and nobody has what nobody was told.
    """
    return [
        *_redis_adds_up(books), *_redis_agrees_with_ledger(books), *_ledger_adds_up(books), *_limits(books),
        *_movements(books), *_answers(books, answers),
    ]  # fmt: skip


def _units(books: Books, deal_id: str, states: frozenset[State]) -> int:
    return sum(
        qty for state, lines in books.holds.values() if state in states for deal, qty in lines if deal == deal_id
    )


def _redis_adds_up(books: Books) -> list[str]:
    found = []
    for deal_id, level in books.levels.items():
        if min(level.available, level.held, level.paying, level.sold, level.waiting) < 0:
            found.append(f"{deal_id}: below zero: {level}")
        counted = [_units(books, deal_id, states) for states in _COUNTED]
        if counted != [level.held, level.paying, level.sold]:
            found.append(f"{deal_id}: the holds are (held, paying, sold) {counted}, the counters say {level}")
    return found


_COUNTED = (IN_HELD, frozenset({State.PAYING}), frozenset({State.CONFIRMED}))


def _redis_agrees_with_ledger(books: Books) -> list[str]:
    found = []
    for deal in books.deals:
        level = books.levels.get(deal["id"])
        if level is None:
            found.append(f"{deal['id']}: in the ledger, not in Redis")
            continue
        here = level.available + level.held + level.paying + level.sold
        if here != deal["allotted"]:
            found.append(f"{deal['id']}: {here} units in Redis, {deal['allotted']} allotted")
        if (level.paying, level.sold) != (deal["paying"], deal["sold"]):
            told = f"paying {deal['paying']}, sold {deal['sold']}"
            found.append(f"{deal['id']}: the ledger says {told}, Redis {level}")
    for row in books.reservations:
        state = books.holds.get((row["viewer_id"], row["rid"]), (None, ()))[0]
        if row["state"] in ("paying", "confirmed", "expired", "cancelled") and (
            state is None or _of(state) != _of_row(row)
        ):
            found.append(f"{row['viewer_id']}/{row['rid']}: {row['state']} in the ledger, {state} in Redis")
    return found


def _of(state: State) -> str:
    return state.name.lower()


def _of_row(row: dict[str, Any]) -> str:
    return str(row["state"])


def _ledger_adds_up(books: Books) -> list[str]:
    found = []
    for pool in books.pools:
        where = pool["variant_id"], pool["location_id"]
        in_deals = sum(
            deal["allotted"] - deal["sold"]
            for deal in books.all_deals
            if (deal["variant_id"], deal["location_id"]) == where
        )
        if pool["in_deals"] != in_deals:
            found.append(f"pool {where}: {pool['in_deals']} in deals, the deals have {in_deals}")
        if pool["available"] + pool["in_deals"] + pool["sold"] != pool["total"]:
            found.append(f"pool {where}: {pool}")
    for deal in books.deals:
        counted = dict.fromkeys(("paying", "confirmed"), 0)
        for row in books.reservations:
            if row["state"] in counted:
                counted[row["state"]] += sum(line[1] for line in _lines(row) if line[0] == deal["id"])
        if (counted["paying"], counted["confirmed"]) != (deal["paying"], deal["sold"]):
            found.append(f"{deal['id']}: reservations {counted}, the deal says {deal['paying']}, {deal['sold']}")
        if deal["sold"] + deal["paying"] > deal["allotted"]:
            found.append(f"{deal['id']}: OVERSOLD: {deal}")
    states = {(row["viewer_id"], row["rid"]): row["state"] for row in books.reservations}
    for order in books.orders:
        state = states.get((order["viewer_id"], order["rid"]))
        wanted = "paying" if order["status"] == "declined" else order["status"]
        if wanted in ("paying", "confirmed", "expired", "cancelled") and state != wanted:
            found.append(f"order {order['number']}: {order['status']}, its reservation {state}")
    return found


def _lines(row: dict[str, Any]) -> list[list[Any]]:
    return msgspec.json.decode(row["lines"], type=list[list[Any]])


def _limits(books: Books) -> list[str]:
    mine: Counter[tuple[str, str]] = Counter()
    for (viewer_id, _), (state, lines) in books.holds.items():
        if state in LIVE or state is State.CONFIRMED:
            for deal_id, qty in lines:
                mine[viewer_id, deal_id] += qty
    limits = {deal["id"]: deal["limit_per_viewer"] for deal in books.deals}
    return [
        f"{viewer_id} has {units} of {deal_id}, whose limit is {limits[deal_id]}"
        for (viewer_id, deal_id), units in mine.items()
        if units > limits.get(deal_id, 0)
    ]


def _movements(books: Books) -> list[str]:
    found = []
    for (viewer_id, rid), (state, _) in books.holds.items():
        kinds = books.movements.get((viewer_id, rid), set())
        missing = _LEFT_BEHIND.get(state, set()) - kinds
        if "offered" in kinds:  # who waited was never "held" by her tap: she accepted
            missing -= {"held"}
        if missing:
            found.append(
                f"{viewer_id}/{rid} is {state.word} without a movement {sorted(missing)}, only {sorted(kinds)}"
            )
    return found


def _answers(books: Books, answers: Answers) -> list[str]:
    found = []
    for key, answer in answers.items():
        known = books.holds.get(key)
        if isinstance(answer, Refused):
            if known is not None:
                found.append(f"{key} was refused ({answer.why.value.word}) and yet is {known[0].word}")
        elif known is None:
            found.append(f"{key} was told {answer.state} and has nothing")
        elif known[1] != tuple((line.deal_id, line.qty) for line in answer.lines):
            found.append(f"{key} was told {answer.lines} and has {known[1]}")
    # Only where every request of a test is known can what nobody was told be a breach.
    if answers:
        found += [f"{key} holds what nobody was told" for key in books.holds if key not in answers]
    return found
