"""API keys of the merchant's own machines. A key of the site mints passes for its signed-in customers; a key of a till
sells at its location, or at all of them. Neither opens anything else.

What arrives: a name for a new key, or a key. What leaves: the key (once), later whose it is. The ledger keeps a hash.
"""

import hashlib
import secrets

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import api_keys

PREFIX = "lck_"
VIEWER_TOKENS = "viewer_tokens"
TILL = "till"  # or "till:LOCATION"


class ApiKeys:
    """Makes, proves and revokes keys."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def make(self, name: str) -> str:
        """A new key for viewer passes. It is shown now and never again."""
        return await self._make(name, VIEWER_TOKENS)

    async def make_for_till(self, name: str, location_id: str = "") -> str:
        """A new key for a till of this location; of all locations where none is named."""
        return await self._make(name, f"{TILL}:{location_id}" if location_id else TILL)

    async def _make(self, name: str, scope: str) -> str:
        key = PREFIX + secrets.token_urlsafe(32)
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                insert(api_keys).values(key_hash=_hash(key), name=name, scope=scope, created_at_ms=now_ms)
            )

        await self._database.write(work)
        return key

    async def prove(self, key: str) -> str:
        """The key's name. Raises `Refused(TOKEN_INVALID)` for one that is unknown or revoked."""
        name, scope = await self._of(key)
        if scope != VIEWER_TOKENS:
            raise Refused(R.TOKEN_INVALID)
        return name

    async def prove_till(self, key: str, location_id: str) -> str:
        """The name of a till's key. Raises `Refused(TOKEN_INVALID)` for one that is unknown, revoked or no till's,
        `Refused(FORBIDDEN)` for a till of another location."""
        name, scope = await self._of(key)
        kind, _, place = scope.partition(":")
        if kind != TILL:
            raise Refused(R.TOKEN_INVALID)
        if place and place != location_id:
            raise Refused(R.FORBIDDEN)
        return name

    async def _of(self, key: str) -> tuple[str, str]:
        query = select(api_keys.c.name, api_keys.c.scope).where(
            api_keys.c.key_hash == _hash(key), api_keys.c.revoked_at_ms.is_(None)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise Refused(R.TOKEN_INVALID)
        return str(row.name), str(row.scope)

    async def revoke(self, key: str) -> None:
        """The key is worth nothing from the next request on; passes it minted run out by themselves."""
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> None:
            mine = api_keys.c.key_hash == _hash(key)
            still = api_keys.c.revoked_at_ms.is_(None)
            await connection.execute(update(api_keys).where(mine, still).values(revoked_at_ms=now_ms))

        await self._database.write(work)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
