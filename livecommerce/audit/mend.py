"""Mending what the audit found, in the safe direction only: nothing here makes a unit available that SQL does not
prove.

What arrives: the books of a quiet moment. What leaves: steps in words, for a person to read first; then their doing,
each harmless when repeated, and each decided anew by the one judge of its state at the moment it is done.

| step      | where                                                        | what it does                            |
|-----------|--------------------------------------------------------------|-----------------------------------------|
| settle    | SQL says confirmed, Redis has it as held or paying           | Redis counts it as sold                 |
| free      | SQL has given it back, no errand is about to decide          | Redis gives it back, where SQL has      |
|           | otherwise, Redis has it as paying                            | those units for the deal                |
| finish    | a deal closes, nobody holds or pays                          | SQL brings home what is not sold        |
| witnesses | a witness says held, its end stands in the movements         | it is marked as ended                   |

What is left is told and not touched: units that Redis counts and SQL does not have, movements that cannot have
happened, rows of SQL that contradict each other. A person must look at those.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import func, select

from livecommerce.audit.books import Books
from livecommerce.audit.sums import Sums
from livecommerce.clock import Clock
from livecommerce.errors import Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, outbox, reservations, shelves
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.reservations.witnesses import close_stale
from livecommerce.shows.deals import DealStocks

StepKind = Literal["settle", "free", "finish", "witnesses"]
# States in SQL in which the units have gone back for good.
_GIVEN_BACK = frozenset({"void", "expired", "cancelled", "refund_due", "refunded"})


class Step(msgspec.Struct, frozen=True):
    """One thing to be done; `text` says it before it is done."""

    kind: StepKind
    show_id: str
    text: str
    viewer_id: str = ""
    rid: str = ""
    deal_id: str = ""
    units: tuple[tuple[str, int], ...] = ()


def plan(books: Books, sums: Sums, stale_witnesses: int) -> list[Step]:
    """What can be mended, in the order in which it is done. Empty for books that are not quiet: what is on its way
    looks like what was lost."""
    if not books.quiet:
        return []
    return [*_follow(books), *_bring_home(books, sums), *_close_witnesses(books, stale_witnesses)]


def _follow(books: Books) -> list[Step]:
    steps = []
    for row in books.reservations:
        hold = books.holds.get((row.viewer_id, row.rid))
        if hold is None:
            continue
        who = f"{row.viewer_id}/{row.rid}"
        units = sum(qty for _, qty in hold.lines)
        if row.state == "confirmed" and hold.state in ("held", "paying"):
            text = f"{who}: count {units} as sold in Redis, as SQL confirmed it"
            steps.append(Step("settle", books.show_id, text, row.viewer_id, row.rid))
        elif row.state in _GIVEN_BACK and hold.state == "paying":
            text = f"{who}: give {units} back in Redis, as SQL says {row.state}"
            steps.append(Step("free", books.show_id, text, row.viewer_id, row.rid, units=hold.lines))
    return steps


def _bring_home(books: Books, sums: Sums) -> list[Step]:
    steps = []
    for deal in sums.deals.values():
        level = books.levels.get(deal.deal_id)
        if deal.status != "closing" or deal.paying or (level is not None and (level.held or level.paying)):
            continue
        text = f"{deal.deal_id}: close it and bring {deal.allotted - deal.sold} home to the pool: nobody holds or pays"
        steps.append(Step("finish", books.show_id, text, deal_id=deal.deal_id))
    return steps


def _close_witnesses(books: Books, stale: int) -> list[Step]:
    if not stale:
        return []
    text = f"mark {stale} witnesses of level ledger whose holds have ended"
    return [Step("witnesses", books.show_id, text)]


class Mender:
    """Does steps. Each asks SQL once more before it acts."""

    def __init__(self, database: Database, engine: ReservationEngine, clock: Clock) -> None:
        self._database = database
        self._engine = engine
        self._stocks = DealStocks(database, engine, clock)

    async def do(self, step: Step) -> str:
        """What came of it, in words; "" where it is done. Raises `Refused(BUSY)` where Redis is away: do it again."""
        match step.kind:
            case "settle":
                return await self._settle(step)
            case "free":
                return await self._free(step)
            case "finish":
                done = await self._stocks.finish(step.show_id, step.deal_id)
                return "" if done else "somebody holds or pays by now, or it is closed already"
            case "witnesses":
                await self._database.write(lambda connection: close_stale(connection, step.show_id))
                return ""

    async def _settle(self, step: Step) -> str:
        state, _ = await self._now(step)
        if state != "confirmed":
            return f"SQL says {state or 'nothing'} by now"
        try:
            await self._engine.settle(step.show_id, step.viewer_id, step.rid)
        except Refused as refused:
            if refused.why.value.again:
                raise
            return f"Redis no longer has the units: {refused.text}"
        return ""

    async def _free(self, step: Step) -> str:
        state, errands = await self._now(step)
        if state not in _GIVEN_BACK:
            return f"SQL says {state or 'nothing'} by now"
        if errands:
            return "an errand about it is under way"  # late money may be about to take the units again
        short = await self._unproved(step)
        if short:
            return f"SQL does not have so many units for {short}: it would be sold twice"
        reason: Literal["expired", "cancelled"] = "cancelled" if state == "cancelled" else "expired"
        try:
            await self._engine.free(step.show_id, step.viewer_id, step.rid, reason)
        except Refused as refused:
            if refused.why.value.again:
                raise
            return f"Redis no longer has it so: {refused.text}"
        return ""

    async def _now(self, step: Step) -> tuple[str, int]:
        """(the state in SQL, open errands about this request)"""
        mine = reservations.c.viewer_id == step.viewer_id, reservations.c.rid == step.rid
        body = outbox.c.body
        about = body["viewer_id"].as_string() == step.viewer_id, body["rid"].as_string() == step.rid
        async with self._database.read() as connection:
            state = (await connection.execute(select(reservations.c.state).where(*mine))).scalar_one_or_none()
            open_errands = select(func.count()).where(outbox.c.done_at_ms.is_(None), *about)
            return state or "", (await connection.execute(open_errands)).scalar_one()

    async def _unproved(self, step: Step) -> str:
        """The deal of which Redis would have more to give than SQL has, or ""."""
        _, levels = await self._engine.levels(step.show_id)
        wanted: dict[str, int] = {}
        for deal_id, qty in step.units:
            wanted[deal_id] = wanted.get(deal_id, 0) + qty
        async with self._database.read() as connection:
            rows: list[Any] = []
            for table in (deals, shelves):
                rows += (await connection.execute(select(table).where(table.c.id.in_(wanted)))).all()
        free: Mapping[str, int] = {row.id: row.allotted - row.paying - row.sold for row in rows}
        for deal_id, qty in wanted.items():
            level = levels.get(deal_id)
            if level is None or level.available + level.held + qty > free.get(deal_id, 0):
                return deal_id
        return ""
