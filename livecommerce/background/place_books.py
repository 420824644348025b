"""What the ledger knows of a location's books beyond what it knows of a show's: shelves, their moves, and what the
shop's channels promised.

What arrives: a location. What leaves: terms of its shelves, moves of units and how they ended, holds as they were told.
Every hold of a shelf has a row in SQL before its channel answers (`shop_holds`), so a bag, a try-on or a basket
outlives all of Redis and every process; as with each witness, its end may have been lost with the journal that knew it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.ledger.tables import baskets, movements, shelf_moves, shelves, shop_holds, try_ons
from livecommerce.reservations.evidence import Claim, Key
from livecommerce.reservations.states import State
from livecommerce.settings import Settings
from livecommerce.shelves.moves import ShelfMove, end_down

# A till says how long it sets aside, at most this; how long it was, only the journal's and the processes' claims say.
TILL_MS_MAX = 86_400_000


@dataclass(frozen=True, slots=True)
class Told:
    """A hold of a shelf as its channel told it, until an instant of UTC. `most_at_ms`: how long it may have been kept
    where the journal says that it was."""

    until_ms: int
    most_at_ms: int
    claim: Claim


async def close_moves(connection: AsyncConnection, location_id: str, at_ms: int) -> None:
    """Finish every move out of a shelf that is open, with what the journal says that it took: whoever began it, and
    sleeps, finds it closed. Renumber, so that who compared SQL with the lost books finds that they went on.

    Nobody takes anything out of these books until they are installed; this comes before SQL is read.
    """
    query = select(shelves).where(shelves.c.location_id == location_id).order_by(shelves.c.id).with_for_update()
    ids = [row.id for row in (await connection.execute(query)).all()]
    open_moves = select(shelf_moves).where(
        shelf_moves.c.shelf_id.in_(ids), shelf_moves.c.kind == "down", shelf_moves.c.moved.is_(None)
    )
    for row in (await connection.execute(open_moves.order_by(shelf_moves.c.shelf_id, shelf_moves.c.number))).all():
        move = ShelfMove(row.shelf_id, location_id, row.number, "down", row.qty)
        told = select(func.sum(movements.c.qty)).where(
            movements.c.viewer_id == "", movements.c.rid == f"{row.shelf_id}/{move.name}",
            movements.c.kind == "taken_out",
        )  # fmt: skip
        await end_down(connection, move, int((await connection.execute(told)).scalar_one() or 0), at_ms)
    change = update(shelves).where(shelves.c.id.in_(ids))
    await connection.execute(change.values(moves=shelves.c.moves + 1))


async def moves_out(connection: AsyncConnection, shelf_id: str) -> dict[str, int]:
    """name → units, of the moves out of a shelf that have ended: asked again, each answers what it took."""
    query = select(shelf_moves.c.number, shelf_moves.c.moved).where(
        shelf_moves.c.shelf_id == shelf_id, shelf_moves.c.kind == "down", shelf_moves.c.moved.is_not(None)
    )
    return {f"{shelf_id}/down-{row.number}": row.moved for row in await connection.execute(query)}


async def promises_of(
    connection: AsyncConnection, location_id: str, settings: Settings, now_ms: int
) -> Mapping[Key, Told]:
    """What stands set aside by what the channels wrote down, and is not over."""
    since_ms = now_ms - max(TILL_MS_MAX, settings.basket_hours_max * 3_600_000)
    of_try_on = and_(try_ons.c.viewer_id == shop_holds.c.viewer_id, try_ons.c.rid == shop_holds.c.rid)
    query = (
        select(shop_holds, try_ons.c.state, try_ons.c.until_ms, baskets.c.hold_seconds)
        .outerjoin(try_ons, of_try_on)
        .outerjoin(baskets, baskets.c.id == shop_holds.c.rid)
        .where(shop_holds.c.location_id == location_id, shop_holds.c.replaced.is_(False))
        .where(or_(shop_holds.c.at_ms >= since_ms, try_ons.c.state.in_(("asked", "kept"))))
    )
    told = {}
    for row in await connection.execute(query):
        each = _told(row, settings.shop_hold_seconds * 1000)
        if each is not None and each.most_at_ms > now_ms:
            told[row.viewer_id, row.rid] = each
    return told


def _told(row: Any, hold_ms: int) -> Told | None:
    lines = tuple((line[0], line[1]) for line in row.lines)
    claim = Claim(State.HELD, lines=lines, wait=0, witnessed=True, told_ms=row.at_ms)
    if row.channel == "try_on":
        if row.state not in ("asked", "kept"):
            return None  # decided at the counter, or given up
        return Told(row.until_ms, row.until_ms, claim)
    if row.channel == "basket" and row.hold_seconds is not None:
        until_ms = row.at_ms + max(hold_ms, row.hold_seconds * 1000)
        return Told(until_ms, until_ms, claim)
    until_ms = row.at_ms + hold_ms
    return Told(until_ms, row.at_ms + TILL_MS_MAX if row.channel == "till" else until_ms, claim)


def claims_of(told: Mapping[Key, Told], kept: "Sequence[Key] | set[Key]") -> dict[Key, tuple[int, Claim]]:
    """(end in UTC, claim) of each; `kept` are those of whom the journal says that they were lengthened."""
    return {key: (each.most_at_ms if key in kept else each.until_ms, replace(each.claim)) for key, each in told.items()}
