"""Who is silenced in a show: may not speak (`mute`) or not come in (`ban`), as the ledger has it.

What arrives: a show. What leaves: for its room until when each of them may not speak, at most a second old; for staff
all who are silenced, until when, and who said so. Silencing is a command, and the door asks `standing.py`. It knows no
sockets.
"""

from collections import OrderedDict
from typing import Literal

import msgspec
from sqlalchemy import or_, select

from livecommerce.clock import Clock
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts, bans, viewers
from livecommerce.people.identity import StaffIdentity
from livecommerce.shows.edits import refuse_scope
from livecommerce.shows.reading import FRESH_SECONDS, read_show

_SHOWS_MAX = 1000


class Silenced(msgspec.Struct, frozen=True):
    """A viewer who may not speak (`mute`) or not come in (`ban`), until when, and who said so."""

    viewer_id: str
    name: str
    kind: Literal["mute", "ban"]
    until_ms: int | None
    by: str
    at_ms: int


class Silence:
    """One per process; what it keeps can be read again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._mutes: OrderedDict[str, tuple[float, dict[str, int]]] = OrderedDict()  # show → read at, its mutes

    async def mutes(self, show_id: str) -> dict[str, int]:
        """viewer id → until when (UTC ms) she may not speak; at most a second old."""
        read_at, muted = self._mutes.get(show_id, (float("-inf"), {}))
        if self._clock.monotonic() - read_at >= FRESH_SECONDS:
            muted = await self._read(show_id)
            self._mutes[show_id] = (self._clock.monotonic(), muted)
            self._mutes.move_to_end(show_id)
            if len(self._mutes) > _SHOWS_MAX:
                self._mutes.popitem(last=False)
        now_ms = self._clock.now_ms()
        return {viewer_id: until_ms for viewer_id, until_ms in muted.items() if until_ms > now_ms}

    def forget(self, show_id: str) -> None:
        """Somebody may have been silenced there, or let speak again: whoever asks next reads anew."""
        self._mutes.pop(show_id, None)

    async def listed(self, staff: StaffIdentity, show_id: str) -> tuple[Silenced, ...]:
        """Who may not speak or come in now, the newest first. Refuses NOT_FOUND, FORBIDDEN."""
        query = (
            select(bans, viewers.c.name.label("viewer_name"), accounts.c.name.label("by_name"))
            .outerjoin(viewers, viewers.c.id == bans.c.viewer_id)
            .outerjoin(accounts, accounts.c.id == bans.c.by_account_id)
            .where(bans.c.show_id == show_id, or_(bans.c.until_ms.is_(None), bans.c.until_ms > self._clock.now_ms()))
            .order_by(bans.c.created_at_ms.desc(), bans.c.viewer_id)
        )
        async with self._database.read() as connection:
            refuse_scope(staff, (await read_show(connection, show_id)).org_path)
            rows = (await connection.execute(query)).all()
        return tuple(
            Silenced(row.viewer_id, row.viewer_name or "", row.kind, row.until_ms, row.by_name or "", row.created_at_ms)
            for row in rows
        )

    async def _read(self, show_id: str) -> dict[str, int]:
        query = select(bans.c.viewer_id, bans.c.until_ms).where(bans.c.show_id == show_id, bans.c.kind == "mute")
        async with self._database.read() as connection:
            return {row.viewer_id: row.until_ms for row in await connection.execute(query)}
