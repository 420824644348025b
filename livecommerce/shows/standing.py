"""How the ledger knows those who come in: banned, or with a place that an invitation gave. Asked for many at once.

What arrives: (show, viewer). What leaves: her standing, read together with everybody's who comes at that moment. It
knows nothing of the kinds of access: whether she needs a place is the show's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.ledger.database import Database
from livecommerce.ledger.gathered import Gathered
from livecommerce.ledger.tables import bans
from livecommerce.shows import invitations


@dataclass(frozen=True, slots=True)
class Standing:
    """How the ledger knows a viewer in a show."""

    is_banned: bool
    has_place: bool


class Standings:
    """One per process; keeps nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._gathered = Gathered(self._read)

    async def get(self, show_id: str, viewer_id: str) -> Standing:
        return await self._gathered.get((show_id, viewer_id))

    async def _read(self, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Standing]:
        banned: set[tuple[str, str]] = set()
        placed: set[tuple[str, str]] = set()
        now_ms = self._clock.now_ms()
        async with self._database.read() as connection:
            for show_id in {show_id for show_id, _ in asked}:
                viewer_ids = [viewer_id for each, viewer_id in asked if each == show_id]
                banned |= {(show_id, each) for each in await _banned(connection, show_id, viewer_ids, now_ms)}
                having = await invitations.having_place(connection, show_id, viewer_ids)
                placed |= {(show_id, each) for each in having}
        return {key: Standing(key in banned, key in placed) for key in asked}


async def _banned(connection: AsyncConnection, show_id: str, viewer_ids: Sequence[str], now_ms: int) -> set[str]:
    query = select(bans.c.viewer_id).where(
        bans.c.show_id == show_id,
        bans.c.viewer_id.in_(viewer_ids),
        bans.c.kind == "ban",
        or_(bans.c.until_ms.is_(None), bans.c.until_ms > now_ms),
    )
    return set((await connection.execute(query)).scalars())
