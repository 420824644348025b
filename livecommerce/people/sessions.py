"""Staff sessions: what the browser's cookie stands for. The ledger keeps a hash of it, never the token itself.

What arrives: an account that has just proved its password, or the token of a cookie. What leaves: a new token with
its CSRF word, or who it stands for. A session ends after `IDLE_HOURS` without a request, after `LIFE_DAYS` whatever
happens, and at once where the account's generation has moved on (a reset) or the account is disabled.
"""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts, org_units, sessions
from livecommerce.people.identity import StaffIdentity

IDLE_HOURS = 12
LIFE_DAYS = 7
_IDLE_MS = IDLE_HOURS * 3_600_000
_LIFE_MS = LIFE_DAYS * 86_400_000


@dataclass(frozen=True, slots=True)
class NewSession:
    """Given to the browser once: the token in a cookie, the CSRF word in the body."""

    token: str
    csrf: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it came back, proved."""

    staff: StaffIdentity
    generation: int
    csrf: str
    expires_at_ms: int


class Sessions:
    """Begins, proves and ends sessions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, account_id: str, generation: int, replaces: str = "") -> NewSession:
        """A session under a token nobody has seen before. What the browser came with (`replaces`) ends: a token that
        was planted before the login is worth nothing after it."""
        now_ms = self._clock.now_ms()
        new = NewSession(secrets.token_urlsafe(32), secrets.token_urlsafe(24), now_ms + _IDLE_MS)

        async def work(connection: AsyncConnection) -> None:
            gone = (sessions.c.expires_at_ms <= now_ms) | (sessions.c.token_hash == _hash(replaces))
            await connection.execute(delete(sessions).where(gone))
            await connection.execute(
                insert(sessions).values(
                    token_hash=_hash(new.token),
                    account_id=account_id,
                    generation=generation,
                    csrf=new.csrf,
                    created_at_ms=now_ms,
                    expires_at_ms=new.expires_at_ms,
                )
            )

        await self._database.write(work)
        return new

    async def prove(self, token: str) -> Session:
        """Who the token stands for. Raises `Refused(SIGN_IN)` for one that is unknown, run out or ended."""
        query = (
            select(sessions, accounts.c.email, accounts.c.name, accounts.c.role, org_units.c.id, org_units.c.path)
            .join(accounts, accounts.c.id == sessions.c.account_id)
            .join(org_units, org_units.c.id == accounts.c.org_unit_id)
            .where(
                sessions.c.token_hash == _hash(token),
                sessions.c.expires_at_ms > self._clock.now_ms(),
                sessions.c.generation == accounts.c.generation,
                accounts.c.disabled_at_ms.is_(None),
            )
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise Refused(R.SIGN_IN)
        staff = StaffIdentity(row.account_id, row.name, row.email, row.role, row.id, row.path)
        expires_at_ms = await self._stay(token, row.created_at_ms, row.expires_at_ms)
        return Session(staff, row.generation, row.csrf, expires_at_ms)

    async def end(self, token: str) -> None:
        """Ending one that has ended changes nothing."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(sessions).where(sessions.c.token_hash == _hash(token)))

        await self._database.write(work)

    async def _stay(self, token: str, created_at_ms: int, expires_at_ms: int) -> int:
        """Push the end of an idle session out, at most twice in its idle time: a read must not cost a write."""
        now_ms = self._clock.now_ms()
        later_ms = min(now_ms + _IDLE_MS, created_at_ms + _LIFE_MS)
        if later_ms - expires_at_ms < _IDLE_MS // 2:
            return expires_at_ms

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                update(sessions).where(sessions.c.token_hash == _hash(token)).values(expires_at_ms=later_ms)
            )

        await self._database.write(work)
        return later_ms


def _hash(token: str) -> str:
    # 256 random bits need no slow hash; this keeps a copy of the ledger from being a bunch of keys.
    return hashlib.sha256(token.encode()).hexdigest()
