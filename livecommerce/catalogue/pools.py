"""Units of one variant at one location, moved between pool, deals and sold: in SQL, once per move id.

What arrives: a connection inside the caller's `Database.write`, and moves. What leaves: rows of `pools` changed and
one row of `pool_moves` for each move; or `Refused(STOCK_SHORT)` with nothing moved. The table's CHECKs have the last
word: `available + in_deals + sold = total`, none below zero. It knows no deal's own row, no Redis and no order.

| move      | available | in_deals | sold | total |
|-----------|-----------|----------|------|-------|
| stock     | + qty     |          |      | + qty |
| to_deal   | − qty     | + qty    |      |       |
| from_deal | + qty     | − qty    |      |       |
| sold      |           | − qty    | + qty|       |

A shelf (`livecommerce.shelves`) is a deal here: what is said of deals is said of both.

Lock order: pools are locked sorted by (variant id, location id), each before its move id is looked up, so that two
transactions never wait for each other in a ring and a repeated move waits for the first one's commit. Who moves for
several variants at once hands all moves to `apply_moves` in one call.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Table, and_, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import RealClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import pool_moves, pools

Kind = Literal["stock", "to_deal", "from_deal", "sold"]

# How one unit of each kind changes (total, available, in_deals, sold).
STEPS: dict[Kind, tuple[int, int, int, int]] = {
    "stock": (+1, +1, 0, 0),
    "to_deal": (0, -1, +1, 0),
    "from_deal": (0, +1, -1, 0),
    "sold": (0, 0, -1, +1),
}


@dataclass(frozen=True, slots=True)
class Move:
    """One move of `qty` units; only `stock` may be negative. The same `move_id` moves once, whoever repeats it."""

    move_id: str
    kind: Kind
    variant_id: str
    location_id: str
    qty: int
    deal_id: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """The numbers of one pool: `available + in_deals + sold = total`."""

    total: int
    available: int
    in_deals: int
    sold: int


async def allot(
    connection: AsyncConnection, move_id: str, variant_id: str, location_id: str, deal_id: str, qty: int,
    at_ms: int | None = None,
) -> None:  # fmt: skip
    """Pool → deal. Refuses `STOCK_SHORT` (fact `free`: what is available) where the pool has less than `qty`."""
    await apply_moves(connection, [Move(move_id, "to_deal", variant_id, location_id, qty, deal_id)], at_ms)


async def give_back(
    connection: AsyncConnection, move_id: str, variant_id: str, location_id: str, deal_id: str, qty: int,
    at_ms: int | None = None,
) -> None:  # fmt: skip
    """Deal → pool: what a closing deal has left, or what was freed later."""
    await apply_moves(connection, [Move(move_id, "from_deal", variant_id, location_id, qty, deal_id)], at_ms)


async def sold(
    connection: AsyncConnection, move_id: str, variant_id: str, location_id: str, deal_id: str, qty: int,
    at_ms: int | None = None,
) -> None:  # fmt: skip
    """Deal → sold, in the transaction that confirms the order."""
    await apply_moves(connection, [Move(move_id, "sold", variant_id, location_id, qty, deal_id)], at_ms)


async def apply_moves(connection: AsyncConnection, moves: Iterable[Move], at_ms: int | None = None) -> None:
    """All of `moves`, or a refusal that rolls back with the caller's work.

    A move id that was applied before is left alone; the same id with another content is `Refused(RID_REUSED)`.
    `at_ms` is when it happened, UTC milliseconds; now where none is given.
    """
    at = RealClock().now_ms() if at_ms is None else at_ms
    for move in sorted(moves, key=lambda move: (move.variant_id, move.location_id, move.move_id)):
        await _apply(connection, move, at)


async def pool_of(connection: AsyncConnection, variant_id: str, location_id: str, *, lock: bool = False) -> Pool:
    """The pool's numbers, all zero where it has no row yet. `lock` keeps others from changing it until the commit."""
    query = select(pools.c.total, pools.c.available, pools.c.in_deals, pools.c.sold).where(_is(variant_id, location_id))
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return Pool(0, 0, 0, 0) if row is None else Pool(row.total, row.available, row.in_deals, row.sold)


async def _apply(connection: AsyncConnection, move: Move, at_ms: int) -> None:
    assert move.qty > 0 or move.kind == "stock", f"a move needs units: {move}"
    if move.kind == "stock":
        await ensure_pool(connection, move.variant_id, move.location_id)
    pool = await pool_of(connection, move.variant_id, move.location_id, lock=True)
    if await _was_applied(connection, move):
        return
    total, available, in_deals, sold_units = (step * move.qty for step in STEPS[move.kind])
    if pool.available + available < 0:
        facts = {
            "free": pool.available, "short": -(pool.available + available), "variant_id": move.variant_id,
            "location_id": move.location_id,
        }  # fmt: skip
        raise Refused(R.STOCK_SHORT, free=pool.available, facts=facts)
    # Units that a deal does not have cannot leave it: no viewer and no merchant can cause this, only a bug of ours.
    assert pool.in_deals + in_deals >= 0, f"{move} from a pool with {pool.in_deals} in deals"
    await connection.execute(
        update(pools)
        .where(_is(move.variant_id, move.location_id))
        .values(
            total=pools.c.total + total,
            available=pools.c.available + available,
            in_deals=pools.c.in_deals + in_deals,
            sold=pools.c.sold + sold_units,
        )
    )
    await connection.execute(
        insert(pool_moves).values(
            move_id=move.move_id, kind=move.kind, variant_id=move.variant_id, location_id=move.location_id,
            deal_id=move.deal_id, qty=move.qty, at_ms=at_ms,
        )
    )  # fmt: skip


async def _was_applied(connection: AsyncConnection, move: Move) -> bool:
    row = (await connection.execute(select(pool_moves).where(pool_moves.c.move_id == move.move_id))).one_or_none()
    if row is None:
        return False
    if (row.kind, row.variant_id, row.location_id, row.deal_id, row.qty) != (
        move.kind, move.variant_id, move.location_id, move.deal_id, move.qty,
    ):  # fmt: skip
        raise Refused(R.RID_REUSED)
    return True


async def ensure_pool(connection: AsyncConnection, variant_id: str, location_id: str) -> None:
    """A row for this variant at this location, empty where it is new: "none left" is known, not merely unsaid."""
    await insert_new(connection, pools, variant_id=variant_id, location_id=location_id, total=0, available=0)


async def insert_new(connection: AsyncConnection, table: Table, **values: Any) -> bool:
    """Insert a row unless its key is taken; True where it was inserted. Both databases say it the same way."""
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    result: CursorResult[Any] = await connection.execute(
        dialect_insert(table).values(**values).on_conflict_do_nothing()
    )
    return result.rowcount > 0


def _is(variant_id: str, location_id: str) -> Any:
    return and_(pools.c.variant_id == variant_id, pools.c.location_id == location_id)
