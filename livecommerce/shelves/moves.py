"""Units between a pool and its shelf: the SQL side of each move, inside the caller's `Database.write`.

What arrives: a connection and a move. What leaves: rows of shelves, pools and `shelf_moves`. Each move stands in
`shelf_moves` before it begins and keeps its number, so that whoever finds it open can finish it: under its number it
counts once in SQL and once in Redis. It calls no Redis.

| move | first | then | open means |
|------|-------|------|------------|
| up   | SQL: pool → shelf | Redis: `put_deal` | units are in the shelf that nobody can take yet |
| down | Redis: `take_out` | SQL: shelf → pool | units may be out of Redis that are not back in the pool yet |

Lock order: shelves by id, then pools (`catalogue.pools`).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import Move, apply_moves, insert_new, pool_of
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.pages import pages
from livecommerce.ledger.tables import shelf_moves, shelves

# A shelf takes at least so many at a time: one write for two dozen sales. The rest stays in the pool, where a deal or
# a stock edit finds it without asking Redis.
SHELF_UNITS = 24


@dataclass(frozen=True, slots=True)
class ShelfMove:
    """A move that was begun."""

    shelf_id: str
    location_id: str
    number: int
    kind: Literal["up", "down"]
    qty: int

    @property
    def name(self) -> str:
        """Its id in Redis, where it counts once per shelf."""
        return f"{self.kind}-{self.number}"


async def begin_up(
    connection: AsyncConnection, location_id: str, wanted: Mapping[str, int], at_ms: int
) -> list[ShelfMove]:
    """Pool → shelf, for each variant as many units as wanted or as a shelf takes at a time, but no more than are there.

    Shelves that are missing are made; a move of 0 units then only makes the shelf known to Redis.
    """
    for variant_id in sorted(wanted):
        await insert_new(connection, shelves, id=new_id("shf"), variant_id=variant_id, location_id=location_id)
    query = select(shelves).where(shelves.c.location_id == location_id, shelves.c.variant_id.in_(wanted))
    rows = (await connection.execute(query.order_by(shelves.c.id).with_for_update())).all()
    begun = []
    for row in sorted(rows, key=lambda row: str(row.variant_id)):
        pool = await pool_of(connection, row.variant_id, location_id, lock=True)
        units = min(pool.available, max(wanted[row.variant_id], SHELF_UNITS))
        move = await _begin(connection, row, "up", units, at_ms)
        if units:
            await _change_allotted(connection, row.id, units)
            await apply_moves(connection, [_pool_move(move, row, "to_deal", units)], at_ms)
        begun.append(move)
    return begun


async def end_up(connection: AsyncConnection, moves: Sequence[ShelfMove]) -> None:
    """Redis has them."""
    for move in moves:
        await _close(connection, move, move.qty)


async def begin_down(
    connection: AsyncConnection, location_id: str, variant_id: str, units: int, at_ms: int
) -> ShelfMove | None:
    """Write down that up to `units` are to leave the shelf; None where it has no shelf or nothing on it."""
    row = await _locked(connection, shelves.c.location_id == location_id, shelves.c.variant_id == variant_id)
    if row is None or row.allotted <= row.sold + row.paying:
        return None
    return await _begin(connection, row, "down", units, at_ms)


async def end_down(connection: AsyncConnection, move: ShelfMove, taken: int, at_ms: int) -> bool:
    """Shelf → pool, what Redis gave; False where another process has done so."""
    row = await _locked(connection, shelves.c.id == move.shelf_id)
    assert row is not None, "a shelf with a move exists"
    if not await _close(connection, move, taken):
        return False
    if taken:
        await _change_allotted(connection, row.id, -taken)
        await apply_moves(connection, [_pool_move(move, row, "from_deal", taken)], at_ms)
    return True


async def bring_lost_home(
    connection: AsyncConnection, shelf_id: str, seen: tuple[int, int], in_redis: int, at_ms: int
) -> int:
    """Units that SQL has on the shelf and Redis does not know: back to the pool. How many they were.

    `seen` is (moves, allotted) as read before Redis was asked, `in_redis` what Redis then had that is not sold. Where a
    move came in between or is under way, nothing is certain and nothing moves. What is being paid counts on both sides
    here: this may find too few, never too many.
    """
    row = await _locked(connection, shelves.c.id == shelf_id)
    under_way = select(shelf_moves.c.number).where(shelf_moves.c.shelf_id == shelf_id, shelf_moves.c.moved.is_(None))
    if row is None or (row.moves, row.allotted) != seen or (await connection.execute(under_way)).first() is not None:
        return 0
    lost = row.allotted - row.sold - row.paying - in_redis
    if lost <= 0:
        return 0
    move = await _begin(connection, row, "down", lost, at_ms)
    await end_down(connection, move, lost, at_ms)
    return int(lost)


async def open_moves(database: Database, before_ms: int) -> AsyncIterator[ShelfMove]:
    """Moves begun before this instant that nobody has finished, the oldest first."""
    query = (
        select(shelf_moves, shelves.c.location_id)
        .join(shelves, shelves.c.id == shelf_moves.c.shelf_id)
        .where(shelf_moves.c.moved.is_(None), shelf_moves.c.at_ms <= before_ms)
    )
    async for page in pages(database, query, (shelf_moves.c.at_ms, shelf_moves.c.shelf_id, shelf_moves.c.number)):
        for row in page:
            yield ShelfMove(row.shelf_id, row.location_id, row.number, row.kind, row.qty)


async def _begin(connection: AsyncConnection, row: Any, kind: Literal["up", "down"], qty: int, at_ms: int) -> ShelfMove:
    number = row.moves + 1
    await connection.execute(update(shelves).where(shelves.c.id == row.id).values(moves=number))
    await connection.execute(
        insert(shelf_moves).values(shelf_id=row.id, number=number, kind=kind, qty=qty, at_ms=at_ms)
    )
    return ShelfMove(row.id, row.location_id, number, kind, qty)


async def _close(connection: AsyncConnection, move: ShelfMove, moved: int) -> bool:
    this = (shelf_moves.c.shelf_id == move.shelf_id, shelf_moves.c.number == move.number)
    done = await connection.execute(update(shelf_moves).where(*this, shelf_moves.c.moved.is_(None)).values(moved=moved))
    return bool(done.rowcount)


async def _locked(connection: AsyncConnection, *which: Any) -> Any | None:
    return (await connection.execute(select(shelves).where(*which).with_for_update())).one_or_none()


async def _change_allotted(connection: AsyncConnection, shelf_id: str, units: int) -> None:
    change = update(shelves).where(shelves.c.id == shelf_id)
    await connection.execute(change.values(allotted=shelves.c.allotted + units))


def _pool_move(move: ShelfMove, row: Any, kind: Literal["to_deal", "from_deal"], units: int) -> Move:
    return Move(f"{move.shelf_id}/{move.name}", kind, row.variant_id, row.location_id, units, move.shelf_id)
