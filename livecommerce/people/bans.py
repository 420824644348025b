"""Who may not take part in a show: read from the ledger at the door, at most a second old, and empty for most shows.

What arrives: a show and a viewer. What leaves: yes or no. Banning itself is a command of the show, which also closes
the sockets that are open; this file only keeps the door shut afterwards.
"""

from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy import select

from livecommerce.clock import Clock
from livecommerce.ledger.database import Database
from livecommerce.ledger.gathered import Gathered
from livecommerce.ledger.tables import bans

FRESH_SECONDS = 1.0
_SHOWS_MAX = 1000


class Bans:
    """The ban lists of the shows this process admits to."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lists: OrderedDict[str, tuple[float, dict[str, int | None]]] = OrderedDict()
        self._reads = Gathered(self._read)

    async def is_banned(self, show_id: str, viewer_id: str) -> bool:
        """True while a ban stands. A storm of joins costs one query a second and show."""
        now = self._clock.monotonic()
        read_at, banned = self._lists.get(show_id, (float("-inf"), {}))
        if now - read_at >= FRESH_SECONDS:
            banned = await self._reads.get(show_id)
            self._lists[show_id] = (now, banned)
            self._lists.move_to_end(show_id)
            if len(self._lists) > _SHOWS_MAX:
                self._lists.popitem(last=False)
        if viewer_id not in banned:
            return False
        until_ms = banned[viewer_id]
        return until_ms is None or until_ms > self._clock.now_ms()

    async def _read(self, show_ids: Sequence[str]) -> dict[str, dict[str, int | None]]:
        query = select(bans.c.show_id, bans.c.viewer_id, bans.c.until_ms)
        found: dict[str, dict[str, int | None]] = {show_id: {} for show_id in show_ids}
        async with self._database.read() as connection:
            for row in await connection.execute(query.where(bans.c.show_id.in_(show_ids), bans.c.kind == "ban")):
                found[row.show_id][row.viewer_id] = row.until_ms
        return found
