"""Which requests of a shelf are so old, and came to so little, that Redis need not remember them.

What arrives: (viewer, rid). What leaves: those that were told their hold at least `FORGOTTEN_AFTER_DAYS` ago and never
came to an order. The ledger keeps that knowledge for ever; it knows nothing of Redis.
"""

from collections.abc import Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import reservations, shop_holds

# Three times the longest that anything is ever held.
FORGOTTEN_AFTER_DAYS = 90
_ASKED_TOGETHER = 200  # SQLite takes some hundred parameters in one statement


async def is_forgotten(connection: AsyncConnection, viewer_id: str, rid: str, now_ms: int) -> bool:
    """True where this request may not be answered from Redis any more: it ended without an order."""
    return bool(await _forgotten(connection, [(viewer_id, rid)], now_ms))


async def forgotten_of(database: Database, asked: Sequence[tuple[str, str]], now_ms: int) -> list[tuple[str, str]]:
    """Of these, the requests that may be forgotten, given that their holds have ended."""
    gone: list[tuple[str, str]] = []
    for first in range(0, len(asked), _ASKED_TOGETHER):
        async with database.read() as connection:
            gone += await _forgotten(connection, asked[first : first + _ASKED_TOGETHER], now_ms)
    return gone


async def _forgotten(
    connection: AsyncConnection, asked: Sequence[tuple[str, str]], now_ms: int
) -> list[tuple[str, str]]:
    mine = (shop_holds.c.viewer_id == reservations.c.viewer_id) & (shop_holds.c.rid == reservations.c.rid)
    query = (
        select(shop_holds.c.viewer_id, shop_holds.c.rid)
        .outerjoin(reservations, mine)
        .where(tuple_(shop_holds.c.viewer_id, shop_holds.c.rid).in_(asked))
        .where(shop_holds.c.at_ms <= now_ms - FORGOTTEN_AFTER_DAYS * 86_400_000, reservations.c.rid.is_(None))
    )
    return [(row.viewer_id, row.rid) for row in await connection.execute(query)]
