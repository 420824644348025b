"""What the ledger knows of a show's holds, and what the witnesses told: all that a rebuild may build on.

What arrives: a show, the ledger, pieces of testimony. What leaves: `Known`: claims about holds, what SQL itself judges,
the deals and the moves that count. It decides nothing: `reservations.evidence` does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, movements, pool_moves, reservations
from livecommerce.reservations.evidence import WAIT_UNKNOWN, Claim, DealTerms, Evidence, Key
from livecommerce.reservations.memory import Testimony
from livecommerce.reservations.relay_format import (
    ATTRIBUTION,
    DUE,
    STATE,
    TICKET,
    WAIT,
    N,
    attribution_to,
    lines_of,
    record,
)
from livecommerce.reservations.states import DEAL_STATES, IN_HELD, State
from livecommerce.reservations.tokens import LEVELS, HoldPromise
from livecommerce.reservations.witnesses import Witness, live_witnesses
from livecommerce.shows.deals import stock_of

_PAGE = 5000
_TRIES = 5

# What the script's movements say of a hold. Those of orders are left out: SQL's own rows are the judge.
_STATE_AFTER = {
    "entered": State.ENTERED, "waiting": State.WAITING, "offered": State.OFFERED, "held": State.HELD,
    "accepted": State.HELD,
    "paying": State.PAYING, "reacquired": State.PAYING, "confirmed": State.CONFIRMED, "released": State.RELEASED,
    "expired": State.EXPIRED, "pay_expired": State.EXPIRED, "cancelled": State.CANCELLED, "lapsed": State.LAPSED,
    "lost": State.EXPIRED,
}  # fmt: skip


class NotStill(Exception):
    """The ledger went on while it was read: read it again."""


@dataclass(slots=True)
class Known:
    """Everything about one show. `journal`: how far the movements have each hold, so that the rest can be added."""

    evidence: Evidence = field(default_factory=Evidence)
    in_sql: dict[Key, tuple[str, Claim]] = field(default_factory=dict)
    deals: dict[str, DealTerms] = field(default_factory=dict)
    moves: dict[str, int] = field(default_factory=dict)
    journal: dict[Key, tuple[int, int]] = field(default_factory=dict)
    witness_rows: dict[Key, tuple[int | None, Claim]] = field(default_factory=dict)
    paying_for_ms: dict[Key, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Told:
    """One hold as the movements tell it, folded row by row."""

    claim: Claim
    hold_clock_ms: int | None
    lines: dict[int, tuple[str, int]]


async def read_ledger(database: Database, show_id: str, offer_ms: int, now_ms: int, known: Known) -> None:
    """Add all that the ledger has. Raises `NotStill` where orders went on all the while."""
    rows = await _judged_rows(database, show_id)
    async with database.read() as connection:
        taken = {row.id: await _moves_of(connection, row.id, known) for row in rows[0]}
    for row in rows[0]:
        known.deals[row.id] = _terms(row, taken[row.id], rows[1])
    told: dict[Key, _Told] = {}
    for deal_id in known.deals:
        await _movements_of(database, show_id, deal_id, told)
    _hear_journal(told, offer_ms, known)
    await _hear_last_clock(database, show_id, known)
    for judged in rows[1]:
        _hear_row(judged, now_ms, known)
    async with database.read() as connection:
        for witness in await live_witnesses(connection, show_id):
            known.witness_rows[witness.viewer_id, witness.rid] = witness.due_at_ms, _claim_of(witness)


def hear_testimony(piece: Testimony, known: Known) -> None:
    """Add what one process remembers."""
    known.evidence.hear_clock(piece.hold_clock_ms, piece.at_ms)
    for viewer_id, rid, raw in piece.holds:
        items = record(raw)
        state = State(items[STATE])
        lines = tuple((line.deal_id, line.qty) for line in lines_of(items))
        due = items[DUE] if state in IN_HELD or state == State.PAYING else None
        known.evidence.hear(
            (viewer_id, rid),
            Claim(state, items[N], items[TICKET], due, lines, items[ATTRIBUTION].decode(), items[WAIT], vouched=True),
        )


def hear_proofs(proofs: Iterable[HoldPromise], known: Known) -> None:
    """Add what viewers proved by their tokens. After every other witness: a token has its end in UTC, and how the hold
    clock stood to that is known from the others."""
    for promise in proofs:
        due = _due_of(promise.due_at_ms, promise.lines, known)
        claim = Claim(State.HELD, 0, promise.ticket, due, tuple(promise.lines), vouched=True)
        known.evidence.hear((promise.viewer_id, promise.rid), claim)


def hear_instants(known: Known) -> None:
    """Put on the hold clock what SQL has in UTC, once the clock is known as far as anybody knows it. HELD rows are
    witnesses: they say what was promised, and Redis alone would have been the judge."""
    for key, (due_at_ms, claim) in known.witness_rows.items():
        claim.due = None if due_at_ms is None else _due_of(due_at_ms, claim.lines, known)
        known.evidence.hear(key, claim)
    for key, left_ms in known.paying_for_ms.items():
        known.in_sql[key][1].due = known.evidence.hold_clock_ms + left_ms


def _due_of(due_at_ms: int, lines: Iterable[tuple[str, int]], known: Known) -> int | None:
    """On the hold clock: never later than a hold that begins now, and not before what was told."""
    evidence = known.evidence
    hold_ms = min((known.deals[deal_id].hold_ms for deal_id, _ in lines if deal_id in known.deals), default=0)
    if not evidence.at_ms:
        return None
    return evidence.hold_clock_ms + min(hold_ms, due_at_ms - evidence.at_ms)


# --- SQL ------------------------------------------------------------------------------------------------------------


async def _judged_rows(database: Database, show_id: str) -> tuple[list[Any], list[Any]]:
    """Deals and reservations of one moment: PostgreSQL shows each query a moment of its own, so the deals are looked
    at twice."""
    own_deals = select(deals).where(deals.c.show_id == show_id, deals.c.status != "draft").order_by(deals.c.id)
    own_rows = select(reservations).where(reservations.c.show_id == show_id)
    for _ in range(_TRIES):
        async with database.read() as connection:
            before = list((await connection.execute(own_deals)).all())
            rows = list((await connection.execute(own_rows)).all())
            if list((await connection.execute(own_deals)).all()) == before:
                return before, rows
    raise NotStill


def _terms(row: "Row[Any]", taken: int, rows: list[Any]) -> DealTerms:
    stock = stock_of(row)
    said_by_rows = sum(
        line[1] for each in rows if each.state in ("paying", "confirmed") for line in each.lines if line[0] == row.id
    )
    return DealTerms(
        row.id, DEAL_STATES[row.status], row.allotted, stock.limit, stock.hold_ms, stock.pay_ms,
        stock.opens_at_ms or 0, stock.closes_at_ms or 0, LEVELS.index(stock.level), stock.head_wants_more == "wait",
        taken, max(0, row.sold + row.paying - said_by_rows),
    )  # fmt: skip


async def _hear_last_clock(database: Database, show_id: str, known: Known) -> None:
    """The furthest that the hold clock is written down."""
    query = (
        select(movements.c.hold_clock_ms, movements.c.at_ms)
        .where(movements.c.deal_id.in_(known.deals), movements.c.show_id == show_id)
        .where(movements.c.hold_clock_ms.is_not(None))
        .order_by(movements.c.hold_clock_ms.desc())
        .limit(1)
    )
    async with database.read() as connection:
        found = (await connection.execute(query)).one_or_none()
    if found is not None:
        known.evidence.hear_clock(found.hold_clock_ms, found.at_ms)


async def _moves_of(connection: AsyncConnection, deal_id: str, known: Known) -> int:
    """Learn which moves into the deal count; the number at which its moves out go on."""
    into = select(pool_moves.c.move_id, pool_moves.c.qty).where(
        pool_moves.c.deal_id == deal_id, pool_moves.c.kind == "to_deal"
    )
    for row in await connection.execute(into):
        name = row.move_id if row.move_id.startswith(f"{deal_id}/") else f"{deal_id}/{row.move_id}"
        known.moves[name] = row.qty
    told = select(movements.c.kind, movements.c.rid, movements.c.qty).where(
        movements.c.deal_id == deal_id, movements.c.viewer_id == "", movements.c.kind.in_(("allotted", "taken_out"))
    )
    taken = 0
    for moved in await connection.execute(told):
        if moved.kind == "allotted":
            known.moves.setdefault(moved.rid, moved.qty)
        else:
            taken = max(taken, int(moved.rid.rpartition("/")[2]) + moved.qty)
    return taken


async def _movements_of(database: Database, show_id: str, deal_id: str, told: dict[Key, _Told]) -> None:
    # By deal, because that is the index there is; the lines of a cart meet again in `told`.
    query = (
        select(movements)
        .where(movements.c.deal_id == deal_id, movements.c.show_id == show_id, movements.c.kind.in_(_STATE_AFTER))
        .order_by(movements.c.id)
        .limit(_PAGE)
    )
    after = 0
    while True:
        async with database.read() as connection:
            rows = (await connection.execute(query.where(movements.c.id > after))).all()
        if not rows:
            return
        after = rows[-1].id
        for row in rows:
            _fold(row, told)


def _fold(row: "Row[Any]", told: dict[Key, _Told]) -> None:
    key = row.viewer_id, row.rid
    wait = 1 if row.kind == "waiting" else WAIT_UNKNOWN
    claim = Claim(_STATE_AFTER[row.kind], row.n, row.ticket or 0, None, (), row.attribution, wait)
    known = told.get(key)
    if known is None:
        told[key] = _Told(claim, row.hold_clock_ms, {row.line: (row.deal_id, row.qty)})
        return
    known.lines[row.line] = row.deal_id, row.qty
    if known.claim.state == State.ENTERED:
        wait = WAIT_UNKNOWN  # the draw gave her the place in the line, whatever she asked for
    wait = min(known.claim.wait, wait)  # 1 where any of them says so
    if claim.distance > known.claim.distance:
        known.claim, known.hold_clock_ms = claim, row.hold_clock_ms
    elif claim.distance == known.claim.distance and row.hold_clock_ms is not None:
        known.hold_clock_ms = max(known.hold_clock_ms or 0, row.hold_clock_ms)
    known.claim.wait = wait


def _hear_journal(told: dict[Key, _Told], offer_ms: int, known: Known) -> None:
    for key, each in told.items():
        claim = each.claim
        claim.lines = tuple(each.lines[line] for line in sorted(each.lines))
        if claim.state in IN_HELD and each.hold_clock_ms is not None:
            hold_ms = min(known.deals[deal_id].hold_ms for deal_id, _ in claim.lines)
            claim.due = each.hold_clock_ms + (offer_ms if claim.state == State.OFFERED else hold_ms)
        known.journal[key] = claim.distance
        known.evidence.hear(key, claim)


def _claim_of(witness: Witness) -> Claim:
    """A hold of level `ledger`: its row is the script's own record."""
    items = record(witness.record)
    lines = tuple((line.deal_id, line.qty) for line in witness.lines)
    attribution = items[ATTRIBUTION].decode()
    return Claim(State.HELD, items[N], witness.ticket, None, lines, attribution, items[WAIT], vouched=True)


def _hear_row(row: "Row[Any]", now_ms: int, known: Known) -> None:
    lines = tuple((line[0], line[1]) for line in row.lines)
    attribution = attribution_to(row.advisor_id, row.shop_id, row.link_id)
    claim = Claim(State.HELD, 0, row.ticket, None, lines, attribution)
    if row.state == "held":
        known.witness_rows[row.viewer_id, row.rid] = row.due_at_ms, replace(claim, vouched=True)
        return
    if row.state == "paying" and row.due_at_ms is not None:
        # Only the list of those to look after; when the time to pay is over, SQL says.
        known.paying_for_ms[row.viewer_id, row.rid] = max(0, row.due_at_ms - now_ms)
    known.in_sql[row.viewer_id, row.rid] = row.state, claim
