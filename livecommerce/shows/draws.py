"""Draws as the ledger keeps them: what is written before the first place is given, and what after books were lost.

What arrives: a window that is over, or deals whose draw nobody can prove any more. What leaves: rows of `draws`,
and the public events that say that a draw was made or a window opens anew. The arithmetic is
`reservations/draw.py`; the engine gives the places.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import structlog
from redis.exceptions import RedisError
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, draws, movements
from livecommerce.protocol.facts import DrawFacts, DrawReopened
from livecommerce.reservations.batcher import BUSY_AFTER_MS
from livecommerce.reservations.draw import commitment_of, new_seed, root_of
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.reservations.states import DrawPhase
from livecommerce.shows import log as show_log
from livecommerce.shows.carrying_out import carry_out
from livecommerce.shows.commands import record_draw
from livecommerce.shows.reading import PLAIN, lock_show, read_state
from livecommerce.shows.state import CLOCK, NOTHING

log = structlog.get_logger(__name__)

CopyJournal = Callable[[str], Awaitable[Any]]  # brings what a show's journal holds into the ledger


class Draws:
    """Of one process. Without `copy_journal` a draw whose books are lost has to begin anew."""

    def __init__(
        self, database: Database, engine: ReservationEngine, clock: Clock, copy_journal: CopyJournal | None
    ) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._copy_journal = copy_journal

    async def make(self, show_id: str, deal_id: str) -> None:
        """Draw, where it was not done yet, and tell everybody. The engine first, as always when units are taken: who
        dies in between leaves a draw that was made and not told, and the next one tells it."""
        async with self._database.read() as connection:
            secret = (await connection.execute(select(draws).where(draws.c.deal_id == deal_id))).one()
        if secret.drawn_at_ms is not None:
            return

        async def fix(root: str, entrants: int, base: int) -> None:
            await self._fix(show_id, deal_id, secret.seed, root, entrants, base)

        made = await self._engine.draw(show_id, deal_id, secret.seed, secret.salt, fix)
        # A deal whose books know of no draw is first come: it is told as one of nobody.
        if made.phase not in (DrawPhase.DRAWN, DrawPhase.NONE):
            return  # closed before it was drawn, or not open in the engine yet: then the opening comes first

        async def work(connection: AsyncConnection) -> None:
            await lock_show(connection, show_id)
            state = await read_state(connection, show_id, PLAIN, self._clock.now_ms())
            found = state.card_of_deal(deal_id)
            root = made.root or root_of({})
            decision = record_draw(found[1], secret.seed, root, made.entrants, state.now_ms) if found else NOTHING
            if decision.changes:
                body = {"step": "DrawDue", "deal_id": deal_id}
                await show_log.append_action(connection, show_id, "clock", body, state.now_ms, "")
                await carry_out(connection, state, decision, CLOCK)

        await self._database.write(work)

    async def _fix(self, show_id: str, deal_id: str, seed: str, root: str, entrants: int, base: int) -> None:
        """Entries first, then their root, then places: so whoever has a place can be proved by the ledger alone."""
        if self._copy_journal is not None:
            try:
                await self._copy_journal(show_id)
            except (RedisError, OSError) as error:
                raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        word = await self._database.write(lambda c: fix_draw(c, deal_id, seed, root, entrants, base))
        if word == "another":
            log.error("draw_of_lost_history", show_id=show_id, deal_id=deal_id)
            await self._engine.pause(show_id)
        if word != "fixed":
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS)


async def fix_draw(
    connection: AsyncConnection, deal_id: str, seed: str, root: str, entrants: int, base: int
) -> Literal["fixed", "outdated", "another"]:
    """Write down who is in the draw, before anybody has a place: "fixed", also where the same stood there before.

    "outdated": its window opened anew under another seed meanwhile. "another": other entrants were drawn under this
    seed, so the books that these came from have lost history.
    """
    row = (await connection.execute(_locked(deal_id))).one()
    if row.seed != seed:
        return "outdated"
    if row.root:
        return "fixed" if row.root == root else "another"
    last = await connection.execute(select(func.max(movements.c.id)).where(movements.c.deal_id == deal_id))
    values = {"root": root, "entrants": entrants, "base": base, "entries_to": last.scalar_one() or 0}
    await connection.execute(update(draws).where(draws.c.deal_id == deal_id).values(values))
    return "fixed"


async def reopen_draws(connection: AsyncConnection, show_id: str, deal_ids: Sequence[str], now_ms: int) -> None:
    """A new seed and a new window for each, told to everybody; the seed that comes to nothing is kept for the list of
    tickets. A seed is for one set of entrants: whoever might have seen what it would have given some of them must not
    see others drawn by it."""
    await lock_show(connection, show_id)
    events = [await _reopen(connection, deal_id, now_ms) for deal_id in deal_ids]
    await show_log.append_events(connection, show_id, events, now_ms, "")


async def _reopen(connection: AsyncConnection, deal_id: str, now_ms: int) -> DrawReopened:
    row = (await connection.execute(_locked(deal_id))).one()
    query = select(deals.c.draw_seconds).where(deals.c.id == deal_id)
    seconds: int = (await connection.execute(query)).scalar_one()
    seed, draws_at_ms = new_seed(), now_ms + seconds * 1000
    void = [*(row.void or ()), {"seed": row.seed, "commitment": commitment_of(row.seed), "at_ms": now_ms}]
    values: dict[str, Any] = {
        "seed": seed, "draws_at_ms": draws_at_ms, "root": "", "entrants": 0, "base": None, "entries_to": None,
        "void": void,
    }  # fmt: skip
    await connection.execute(update(draws).where(draws.c.deal_id == deal_id).values(values))
    return DrawReopened(deal_id, DrawFacts(seconds, commitment_of(seed), draws_at_ms, again=len(void)))


def _locked(deal_id: str) -> Any:
    query: Any = select(draws).where(draws.c.deal_id == deal_id).with_for_update()
    return query
