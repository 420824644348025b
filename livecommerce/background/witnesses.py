"""What the ledger knows of the holds of a show or a location, and what the witnesses told: all that a rebuild may build
on.

What arrives: the id of books, the ledger, pieces of testimony. What leaves: `Known`: claims about holds, what SQL
itself judges, the deals (or shelves) and the moves that count. It decides nothing: `reservations.evidence` does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.background.place_books import Told, claims_of, moves_out, promises_of
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, draws, movements, pool_moves, reservations, shelves, shows
from livecommerce.protocol.facts import HoldsLengthened
from livecommerce.reservations import keys
from livecommerce.reservations.drawn_again import DrawTerms, Entry, Place, places_of
from livecommerce.reservations.engine import LIMIT_BY, DealStock
from livecommerce.reservations.evidence import WAIT_UNKNOWN, Charged, Claim, DealTerms, Evidence, Key
from livecommerce.reservations.memory import Testimony
from livecommerce.reservations.relay_format import (
    AT,
    ATTRIBUTION,
    CHARGED,
    DUE,
    STATE,
    TICKET,
    WAIT,
    N,
    attribution_to,
    lines_of,
    record,
)
from livecommerce.reservations.states import DEAL_STATES, IN_HELD, DealState, DrawPhase, State
from livecommerce.reservations.tokens import LEVELS, HoldPromise
from livecommerce.reservations.witnesses import Witness, live_witnesses
from livecommerce.settings import Settings
from livecommerce.shelves.service import stock_of_shelf
from livecommerce.shows import log as show_log
from livecommerce.shows.deals import stock_of

log = structlog.get_logger(__name__)

_PAGE = 5000
_TRIES = 5

# What the script's movements say of a hold. Those of orders are left out: SQL's own rows are the judge.
_STATE_AFTER = {
    "entered": State.ENTERED, "waiting": State.WAITING, "offered": State.OFFERED, "held": State.HELD,
    "accepted": State.HELD, "kept": State.HELD, "lengthened": State.HELD, "offer_lengthened": State.OFFERED,
    "paying": State.PAYING, "reacquired": State.PAYING, "confirmed": State.CONFIRMED, "released": State.RELEASED,
    "expired": State.EXPIRED, "pay_expired": State.EXPIRED, "cancelled": State.CANCELLED, "lapsed": State.LAPSED,
    "lost": State.EXPIRED,
}  # fmt: skip


class NotStill(Exception):
    """The ledger went on while it was read: read it again."""


@dataclass(slots=True)
class Known:
    """Everything about one show or location. `journal`: how far the movements have each hold, so that the rest can be
    added; `logged`: what they say was put into each deal less what was taken out, by the names of the moves.

    `moves` into deals and `moves_out` of them count once. `seq` is the highest number that stands in a movement.
    """

    evidence: Evidence = field(default_factory=Evidence)
    in_sql: dict[Key, tuple[str, Claim]] = field(default_factory=dict)
    deals: dict[str, DealTerms] = field(default_factory=dict)
    moves: dict[str, int] = field(default_factory=dict)
    moves_out: dict[str, int] = field(default_factory=dict)
    logged: dict[str, dict[str, int]] = field(default_factory=dict)
    limit: int = 0
    seq: int = 0
    journal: dict[Key, tuple[int, int]] = field(default_factory=dict)
    witness_rows: dict[Key, tuple[int | None, Claim]] = field(default_factory=dict)
    paying_for_ms: dict[Key, int] = field(default_factory=dict)
    # What living processes told of holds that end: (hold clock and UTC as each had them last, end on that clock).
    told_ends: dict[Key, list[tuple[int, int, int]]] = field(default_factory=dict)
    of_place: bool = False  # a location's books
    lasting_ms: dict[Key, int] = field(default_factory=dict)  # of holds whose time is not that of their deals
    lengthened_ms: int = 0  # by all breaks of the show together
    places: dict[Key, Place] = field(default_factory=dict)  # of entrants of draws that can be proved
    placed: set[Key] = field(default_factory=set)  # of those, whose place stands in the movements
    reopened: list[str] = field(default_factory=list)  # deals whose draw nobody can prove: its window opens anew


@dataclass(slots=True)
class _Told:
    """One hold as the movements tell it, folded row by row."""

    claim: Claim
    hold_clock_ms: int | None
    lines: dict[int, tuple[str, int]]
    kept: bool = False
    lengthened: bool = False  # by one break or by several
    entered: int = 0  # the ticket of her arrival in a draw
    entered_id: int = (
        0  # the number of that movement, of the next one of hers, and of those that may be her place in it
    )
    next_id: int = 0
    placed_ids: list[int] = field(default_factory=list)


async def read_ledger(database: Database, show_id: str, settings: Settings, now_ms: int, known: Known) -> None:
    """Add all that the ledger has. Raises `NotStill` where orders or moves went on all the while."""
    offer_ms, location_id = settings.offer_seconds * 1000, keys.location_of(show_id)
    own, rows, taken = await _judged_rows(database, show_id, known)
    for row in own:
        stock = stock_of_shelf(row.id, settings) if location_id else stock_of(row)
        known.deals[row.id] = _terms(row, stock, taken[row.id], rows)
    told: dict[Key, _Told] = {}
    for deal_id in known.deals:
        await _movements_of(database, show_id, deal_id, told)
    for row in own:
        if not location_id and row.fairness == "draw":
            await _hear_draw(database, row.id, told, known)
    await _hear_last_clock(database, show_id, known)
    async with database.read() as connection:
        limit = select(shows.c.limit_per_person).where(shows.c.id == show_id)
        known.limit = (await connection.execute(limit)).scalar_one_or_none() or 0
        breaks = await show_log.events_of_kinds(connection, show_id, ("holds_lengthened",))
        known.lengthened_ms = sum(event.break_ms for event in breaks if isinstance(event, HoldsLengthened))
        if location_id:
            _hear_promises(await promises_of(connection, location_id, settings, now_ms), told, known)
        for witness in await live_witnesses(connection, show_id):
            known.witness_rows[witness.viewer_id, witness.rid] = witness.due_at_ms, _claim_of(witness)
    _hear_journal(told, offer_ms, known)
    for judged in rows:
        _hear_row(judged, now_ms, known)


def hear_testimony(piece: Testimony, known: Known) -> None:
    """Add what one process remembers."""
    known.evidence.hear_clock(piece.hold_clock_ms, piece.at_ms)
    for viewer_id, rid, raw in piece.holds:
        items = record(raw)
        state = State(items[STATE])
        lines = tuple((line.deal_id, line.qty) for line in lines_of(items))
        due = items[DUE] if state in IN_HELD or state == State.PAYING else None
        key = viewer_id, rid
        if state in IN_HELD:
            known.told_ends.setdefault(key, []).append((piece.hold_clock_ms, piece.at_ms, items[DUE]))
        known.evidence.hear(
            key,
            Claim(
                state, items[N], items[TICKET], due, lines, items[ATTRIBUTION].decode(), items[WAIT], vouched=True,
                at=items[AT], charged=_charged(items[CHARGED]),
            ),
        )  # fmt: skip


def _charged(raw: Any) -> Charged:
    if isinstance(raw, int):
        return raw
    return tuple(each.decode() if isinstance(each, bytes) else each for each in raw)


def hear_proofs(proofs: Iterable[HoldPromise], known: Known) -> None:
    """Add what viewers proved by their tokens. After every other witness: a token has its end in UTC, and how the hold
    clock stood to that is known from the others."""
    for promise in proofs:
        key = promise.viewer_id, promise.rid
        due = _due_of(key, promise.due_at_ms, promise.lines, known)
        known.evidence.hear(key, Claim(State.HELD, 0, promise.ticket, due, tuple(promise.lines), vouched=True))


def hear_instants(known: Known) -> None:
    """Put on the hold clock what SQL has in UTC, once the clock is known as far as anybody knows it. HELD rows are
    witnesses: they say what was promised, and Redis alone would have been the judge."""
    for key, (due_at_ms, claim) in known.witness_rows.items():
        claim.due = None if due_at_ms is None else _due_of(key, due_at_ms, claim.lines, known)
        known.evidence.hear(key, claim)
    for key, left_ms in known.paying_for_ms.items():
        known.in_sql[key][1].due = known.evidence.hold_clock_ms + left_ms
    for key, ends in known.told_ends.items():
        _follow_clock_that_went_back(key, ends, known)


def _follow_clock_that_went_back(key: Key, ends: Iterable[tuple[int, int, int]], known: Known) -> None:
    """Whoever was served after the loss, before anybody noticed, was told an end on a clock that had gone back. Beside
    the furthest clock, which is of the lost history, it would be long past: so it is counted in UTC."""
    evidence = known.evidence
    claim = evidence.claims[key]
    if claim.state not in IN_HELD or claim.due is None:
        return
    for hold_clock_ms, at_ms, due in ends:
        if hold_clock_ms < evidence.hold_clock_ms and at_ms > evidence.at_ms:
            claim.due = max(claim.due, _due_of(key, at_ms + due - hold_clock_ms, claim.lines, known) or 0)


def _due_of(key: Key, due_at_ms: int, lines: Iterable[tuple[str, int]], known: Known) -> int | None:
    """On the hold clock: never later than a hold that begins now and is lengthened by every break, and not before what
    was told."""
    evidence = known.evidence
    if not evidence.at_ms:
        return None
    lasts_ms = _lasts_ms(key, lines, known) + known.lengthened_ms
    return evidence.hold_clock_ms + min(lasts_ms, due_at_ms - evidence.at_ms)


def _lasts_ms(key: Key, lines: Iterable[tuple[str, int]], known: Known) -> int:
    """How long a hold lasts from its own instant: as its channel says, else as its deals do."""
    hold_ms = min((known.deals[deal_id].hold_ms for deal_id, _ in lines if deal_id in known.deals), default=0)
    return known.lasting_ms.get(key, hold_ms)


def _hear_promises(promised: Mapping[Key, Told], told: Mapping[Key, _Told], known: Known) -> None:
    """What the channels wrote down. Where the journal has a hold too, its end is counted from there, on the hold
    clock."""
    kept = {key for key, each in told.items() if each.kept}
    for key, (until_ms, claim) in claims_of(promised, kept).items():
        known.lasting_ms[key] = until_ms - claim.told_ms
        in_journal = key in told and told[key].hold_clock_ms is not None
        known.witness_rows[key] = None if in_journal else until_ms, claim


# --- SQL ------------------------------------------------------------------------------------------------------------


async def _judged_rows(database: Database, show_id: str, known: Known) -> tuple[list[Any], list[Any], dict[str, int]]:
    """Deals (or shelves), reservations and moves of one moment, and the number at which each deal's moves out go on:
    PostgreSQL shows each query a moment of its own, so the deals are looked at twice."""
    own_deals: Any = select(deals).where(deals.c.show_id == show_id, deals.c.status != "draft").order_by(deals.c.id)
    if location_id := keys.location_of(show_id):
        known.of_place = True
        own_deals = select(shelves).where(shelves.c.location_id == location_id).order_by(shelves.c.id)
    own_rows = select(reservations).where(reservations.c.show_id == show_id)
    for _ in range(_TRIES):
        async with database.read() as connection:
            before = list((await connection.execute(own_deals)).all())
            rows = list((await connection.execute(own_rows)).all())
            taken = {row.id: await _moves_of(connection, row.id, known) for row in before}
            if list((await connection.execute(own_deals)).all()) == before:
                return before, rows, taken
        known.moves, known.moves_out, known.logged = {}, {}, {}
    raise NotStill


def _terms(row: "Row[Any]", stock: DealStock, taken: int, rows: list[Any]) -> DealTerms:
    said_by_rows = sum(
        line[1] for each in rows if each.state in ("paying", "confirmed") for line in each.lines if line[0] == row.id
    )
    return DealTerms(
        row.id, DEAL_STATES[stock.status], row.allotted, stock.limit, stock.hold_ms, stock.pay_ms,
        stock.opens_at_ms or 0, stock.closes_at_ms or 0, LEVELS.index(stock.level), stock.head_wants_more == "wait",
        LIMIT_BY.index(stock.limit_by), stock.address_cap, stock.hold_cap_ms, taken,
        max(0, row.sold + row.paying - said_by_rows),
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
        newest = select(func.max(movements.c.seq)).where(movements.c.show_id == show_id)
        known.seq = (await connection.execute(newest)).scalar_one() or 0
    if found is not None:
        known.evidence.hear_clock(found.hold_clock_ms, found.at_ms)


async def _moves_of(connection: AsyncConnection, deal_id: str, known: Known) -> int:
    """Learn which moves into the deal and out of it count; the number at which those go on that have no name."""
    into = select(pool_moves.c.move_id, pool_moves.c.qty).where(
        pool_moves.c.deal_id == deal_id, pool_moves.c.kind == "to_deal"
    )
    for row in await connection.execute(into):
        name = row.move_id if row.move_id.startswith(f"{deal_id}/") else f"{deal_id}/{row.move_id}"
        known.moves[name] = row.qty
    told = select(movements.c.kind, movements.c.rid, movements.c.qty).where(
        movements.c.deal_id == deal_id, movements.c.viewer_id == "", movements.c.kind.in_(("allotted", "taken_out"))
    )
    taken, sum_taken, logged = 0, 0, known.logged.setdefault(deal_id, {})
    if known.of_place:
        known.moves_out |= await moves_out(connection, deal_id)
    for moved in await connection.execute(told):
        if moved.kind == "allotted":
            known.moves.setdefault(moved.rid, moved.qty)
            logged[moved.rid] = moved.qty
            continue
        logged[moved.rid] = -moved.qty
        sum_taken += moved.qty
        number = moved.rid.rpartition("/")[2]
        if number.isdecimal():
            taken = max(taken, int(number) + moved.qty)
        else:
            known.moves_out.setdefault(moved.rid, moved.qty)
    return max(taken, sum_taken)


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
        told[key] = known = _Told(claim, row.hold_clock_ms, {row.line: (row.deal_id, row.qty)})
        if row.kind == "entered":
            known.entered, known.entered_id = claim.ticket, row.id
        return
    if known.entered:
        known.next_id = known.next_id or row.id
        known.placed_ids += [row.id] if row.kind in ("held", "waiting") else []
    known.lines[row.line] = row.deal_id, row.qty
    if known.claim.state == State.ENTERED:
        wait = WAIT_UNKNOWN  # the draw gave her the place in the line, whatever she asked for
    known.kept = known.kept or row.kind == "kept"
    if row.kind in ("lengthened", "offer_lengthened"):
        known.lengthened = True  # its time goes on counting from where it began
        return
    wait = min(known.claim.wait, wait)  # 1 where any of them says so
    if claim.distance > known.claim.distance:
        known.claim, known.hold_clock_ms = claim, row.hold_clock_ms
    elif claim.distance == known.claim.distance and row.hold_clock_ms is not None:
        known.hold_clock_ms = max(known.hold_clock_ms or 0, row.hold_clock_ms)
    known.claim.wait = wait


async def _hear_draw(database: Database, deal_id: str, told: Mapping[Key, _Told], known: Known) -> None:
    """How the draw of a deal goes on. Its entries stood in the movements before its root was written, and its root
    before anybody had a place: so either every place is known, or nobody had one and the window opens anew. What other
    histories wrote after that says nothing."""
    async with database.read() as connection:
        row = (await connection.execute(select(draws).where(draws.c.deal_id == deal_id))).one_or_none()
    deal = known.deals[deal_id]
    if row is None or row.base is None or row.entries_to is None:
        known.deals[deal_id] = replace(deal, draw=_phase_without_places(row, deal))
    else:
        draw = DrawTerms(row.seed, row.salt, row.root, row.base, row.entrants, row.drawn_at_ms is not None)
        entries = {key: each for key, each in told.items() if _is_entry(each, deal_id, row.entries_to)}
        places = places_of(
            draw,
            (Entry(*key, each.entered, sum(qty for _, qty in each.lines.values())) for key, each in entries.items()),
            sum(qty for move, qty in known.moves.items() if move.rpartition("/")[0] == deal_id),
            deal.head_waits,
        )
        if places is None:  # against all that the ledger promises: what is known to be held stays, the rest are told
            log.error("draw_not_proved", deal_id=deal_id, entries=len(entries), root=row.root)
            known.deals[deal_id] = replace(deal, draw=DrawPhase.DRAWN if draw.told else DrawPhase.NONE)
        else:
            known.places |= places
            known.placed |= {key for key, each in entries.items() if max(each.placed_ids, default=0) > row.entries_to}
            known.deals[deal_id] = replace(
                deal, draw=DrawPhase.DRAWN, entrants=row.entrants, base=row.base, root=row.root
            )
    if known.deals[deal_id].draw == DrawPhase.ENTERING and deal.status == DealState.OPEN:
        known.reopened.append(deal_id)


def _is_entry(told: _Told, deal_id: str, entries_to: int) -> bool:
    """Whether she was in the draw when its window ended: nothing else was told of her by then."""
    is_of_deal = bool(told.entered) and any(each == deal_id for each, _ in told.lines.values())
    return is_of_deal and told.entered_id <= entries_to and not 0 < told.next_id <= entries_to


def _phase_without_places(row: "Row[Any] | None", deal: DealTerms) -> DrawPhase:
    if row is not None and row.drawn_at_ms is not None:
        return DrawPhase.DRAWN  # of nobody
    return DrawPhase.VOID if deal.status >= DealState.CLOSING else DrawPhase.ENTERING


def _hear_journal(told: dict[Key, _Told], offer_ms: int, known: Known) -> None:
    for key, each in told.items():
        claim = each.claim
        claim.lines = tuple(each.lines[line] for line in sorted(each.lines))
        if claim.state in IN_HELD and each.hold_clock_ms is not None:
            lasts_ms = offer_ms if claim.state == State.OFFERED else _lasts_ms(key, claim.lines, known)
            # Which of the breaks it was is not told apart: rather too late than too early.
            claim.due = each.hold_clock_ms + lasts_ms + (known.lengthened_ms if each.lengthened else 0)
            claim.at = each.hold_clock_ms
        known.journal[key] = claim.distance
        known.evidence.hear(key, claim)


def _claim_of(witness: Witness) -> Claim:
    """A hold of level `ledger`: its row is the script's own record."""
    items = record(witness.record)
    lines = tuple((line.deal_id, line.qty) for line in witness.lines)
    attribution = items[ATTRIBUTION].decode()
    return Claim(
        State.HELD, items[N], witness.ticket, None, lines, attribution, items[WAIT], witnessed=True,
        charged=_charged(items[CHARGED]),
    )  # fmt: skip


def _hear_row(row: "Row[Any]", now_ms: int, known: Known) -> None:
    lines = tuple((line[0], line[1]) for line in row.lines)
    attribution = attribution_to(row.advisor_id, row.shop_id, row.link_id)
    claim = Claim(State.HELD, 0, row.ticket, None, lines, attribution)
    if row.state == "held":
        known.witness_rows[row.viewer_id, row.rid] = row.due_at_ms, replace(claim, witnessed=True)
        return
    if row.state == "paying" and row.due_at_ms is not None:
        # Only the list of those to look after; when the time to pay is over, SQL says.
        known.paying_for_ms[row.viewer_id, row.rid] = max(0, row.due_at_ms - now_ms)
    known.in_sql[row.viewer_id, row.rid] = row.state, claim
