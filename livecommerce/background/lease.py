"""Leases: which process does a duty, with an epoch that grows at every change of hands.

What arrives: the name of a duty. What leaves: an epoch while this process holds it, or None. A lease is a row with an
end: a process that dies stops renewing, and after `LEASE_SECONDS` the next one takes over. Duties are safe to run
twice at once; the lease keeps that rare, it is not what makes them right. It does not know what the duties do.
"""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.clock import Clock
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import leases

# Short, because while nobody holds the heartbeat's lease no hold ends; long enough for two failed renewals.
LEASE_SECONDS = 3.0
RENEW_SECONDS = 1.0


class Leases:
    """The leases of one process, which calls itself `holder`, a name nobody else has."""

    def __init__(self, database: Database, clock: Clock, holder: str) -> None:
        self._database = database
        self._clock = clock
        self.holder = holder

    async def acquire(self, name: str) -> int | None:
        """The epoch under which this process holds the lease from now on, or None while another one does.

        Raises `Refused(UNAVAILABLE)` where the ledger cannot be written. Cancelled: the lease may be held; it ends.
        """
        now_ms = self._clock.now_ms()
        until_ms = now_ms + round(LEASE_SECONDS * 1000)

        async def work(connection: AsyncConnection) -> int | None:
            row = {"name": name, "holder": self.holder, "epoch": 1, "expires_at_ms": until_ms}
            if await insert_new(connection, leases, **row):
                return 1
            free = update(leases).where(leases.c.name == name, leases.c.expires_at_ms <= now_ms)
            taken = free.values(holder=self.holder, epoch=leases.c.epoch + 1, expires_at_ms=until_ms)
            row_taken = (await connection.execute(taken.returning(leases.c.epoch))).first()
            return None if row_taken is None else int(row_taken.epoch)

        return await self._database.write(work)

    async def renew(self, name: str, epoch: int) -> bool:
        """Hold it for another `LEASE_SECONDS`; False where it went to somebody else."""
        until_ms = self._clock.now_ms() + round(LEASE_SECONDS * 1000)
        return await self._set_end(name, epoch, until_ms)

    async def release(self, name: str, epoch: int) -> None:
        """Let the next one have it at once; nothing happens where it is not ours any more."""
        await self._set_end(name, epoch, 0)

    async def _set_end(self, name: str, epoch: int, until_ms: int) -> bool:
        ours = (leases.c.name == name, leases.c.holder == self.holder, leases.c.epoch == epoch)

        async def work(connection: AsyncConnection) -> bool:
            change = update(leases).where(*ours).values(expires_at_ms=until_ms).returning(leases.c.epoch)
            return (await connection.execute(change)).first() is not None

        return await self._database.write(work)
