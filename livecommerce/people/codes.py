"""One-time codes: a link that signs somebody in once. Kept as a hash, spent by one update that only one caller wins.

What arrives: for whom, where to, how long. What leaves: the code (once), later what it stood for. It does not know
how a code travels: in the fragment of a link, so that no log and no Referer header ever has it.
"""

import hashlib
import secrets
from typing import Literal, NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import one_time_codes

CodeKind = Literal["viewer", "account"]
LIFE_SECONDS_DEFAULT = 600
_KEEP_SPENT_MS = 86_400_000


class Spent(NamedTuple):
    """What a code stood for."""

    kind: CodeKind
    subject_id: str
    target: str


class Codes:
    """Issues and spends."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def issue(
        self, kind: CodeKind, subject_id: str, target: str = "/", life_seconds: int = LIFE_SECONDS_DEFAULT
    ) -> str:
        """A new code. `target` is a path of this server; another one is our own mistake."""
        assert target.startswith("/"), "a code leads to a page of this server"
        assert not target.startswith("//"), "a code leads to a page of this server"
        code = secrets.token_urlsafe(24)
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> None:
            old = one_time_codes.c.expires_at_ms < now_ms - _KEEP_SPENT_MS
            await connection.execute(delete(one_time_codes).where(old))
            await connection.execute(
                insert(one_time_codes).values(
                    code_hash=_hash(code),
                    kind=kind,
                    subject_id=subject_id,
                    target=target,
                    expires_at_ms=now_ms + life_seconds * 1000,
                )
            )

        await self._database.write(work)
        return code

    async def spend(self, code: str) -> Spent:
        """What the code stood for, to the first who asks. Raises `Refused(CODE_SPENT)` for a used, old or unknown
        one. Cancelled after the commit, the code is spent all the same."""
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> Spent:
            mine = one_time_codes.c.code_hash == _hash(code)
            still_good = one_time_codes.c.used_at_ms.is_(None) & (one_time_codes.c.expires_at_ms > now_ms)
            taken = await connection.execute(update(one_time_codes).where(mine, still_good).values(used_at_ms=now_ms))
            if taken.rowcount != 1:
                raise Refused(R.CODE_SPENT)
            row = (await connection.execute(select(one_time_codes).where(mine))).one()
            return Spent(row.kind, row.subject_id, row.target)

        return await self._database.write(work)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
