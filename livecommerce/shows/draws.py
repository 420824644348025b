"""Draws as the ledger keeps them: what is written before the first place is given, and what after books were lost.

What arrives: a root that the engine computed, or deals whose draw nobody can prove any more. What leaves: rows of
`draws`, and the public event that says that a window opens anew. Functions over the caller's transaction; the
arithmetic is `reservations/draw.py`, who gets what is decided elsewhere.
"""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.ledger.tables import deals, draws, movements
from livecommerce.protocol.facts import DrawFacts, DrawReopened
from livecommerce.reservations.draw import commitment_of, new_seed
from livecommerce.shows import log as show_log
from livecommerce.shows.reading import lock_show


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
