"""API keys of the merchant's own site: they mint passes for its signed-in customers, and open nothing else.

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


class ApiKeys:
    """Makes, proves and revokes keys."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def make(self, name: str) -> str:
        """A new key for viewer passes. It is shown now and never again."""
        key = PREFIX + secrets.token_urlsafe(32)
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                insert(api_keys).values(key_hash=_hash(key), name=name, scope=VIEWER_TOKENS, created_at_ms=now_ms)
            )

        await self._database.write(work)
        return key

    async def prove(self, key: str) -> str:
        """The key's name. Raises `Refused(TOKEN_INVALID)` for one that is unknown or revoked."""
        query = select(api_keys.c.name).where(
            api_keys.c.key_hash == _hash(key),
            api_keys.c.scope == VIEWER_TOKENS,
            api_keys.c.revoked_at_ms.is_(None),
        )
        async with self._database.read() as connection:
            name = (await connection.execute(query)).scalar_one_or_none()
        if name is None:
            raise Refused(R.TOKEN_INVALID)
        return str(name)

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
