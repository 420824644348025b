"""The journal of the reservation script becomes movement rows: every hold, paid or not, stands in SQL for the audit.

What arrives: one stream entry per call that changed anything. What leaves: rows of `movements`, then a shorter stream,
in this order: an entry is trimmed only after the commit that holds its rows. A crash between the two shows the same
entries again, and the table's own uniqueness keeps each row single; so does a second worker that copies at the same
time. It decides nothing about holds.
"""

from collections.abc import Iterator
from typing import Any

import msgpack
import structlog
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import movements
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine

log = structlog.get_logger(__name__)

# Up to 64 holds an entry: some thousand rows a commit, a few tens of milliseconds.
ENTRIES_PER_COMMIT = 100
# Uneven on purpose: duties of one worker must not march in step.
PERIOD_SECONDS = 0.31

ROWS = Counter("livecommerce_journal_rows", "Movement rows copied from the journal")
LAG = Gauge("livecommerce_journal_lag_entries", "Journal entries of all shows that were waiting at the last look")


class JournalToLedger:
    """One worker's duty. `drain` copies one show's journal; `run_forever` does it for every show that has one."""

    def __init__(self, redis: Redis, database: Database, engine: ReservationEngine, clock: Clock) -> None:
        self._redis = redis
        self._database = database
        self._engine = engine
        self._clock = clock

    async def run_forever(self) -> None:
        """Copy again and again until cancelled. What is away (Redis, the ledger) is tried again at the next turn."""
        while True:
            try:
                await self.drain_all()
            except (Refused, RedisError, OSError) as error:
                log.warning("journal_waits", why=str(error))
            await self._clock.sleep(PERIOD_SECONDS)

    async def drain_all(self) -> int:
        """Entries copied, over all shows."""
        shows = await self._engine.shows_to_watch()
        LAG.set(sum([await self._redis.xlen(keys.journal(show_id)) for show_id in shows]))
        return sum([await self.drain(show_id) for show_id in shows])

    async def drain(self, show_id: str) -> int:
        """Copy what the show's journal holds now; the number of entries.

        Raises `Refused` where the commit failed and `RedisError` where Redis is away: then the rest waits, nothing is
        lost and nothing is counted twice. Cancelling it is the same.
        """
        copied = 0
        while entries := await self._entries(show_id):
            rows = [row for _, packed in entries for row in rows_of(show_id, packed)]
            await self._database.write(lambda connection, rows=rows: _insert(connection, rows))  # type: ignore[misc]
            ROWS.inc(len(rows))
            await self._redis.xtrim(keys.journal(show_id), minid=_after(entries[-1][0]), approximate=False)
            copied += len(entries)
        return copied

    async def _entries(self, show_id: str) -> list[tuple[bytes, bytes]]:
        """(id, packed body) of the oldest entries."""
        found: Any = await self._redis.xrange(keys.journal(show_id), count=ENTRIES_PER_COMMIT)
        return [(entry_id, fields[b"b"]) for entry_id, fields in found]


def rows_of(show_id: str, packed: bytes) -> Iterator[dict[str, Any]]:
    """The movement rows of one journal entry: one for each line of each hold that changed."""
    _seq, _hold_clock_ms, at_ms, events = msgpack.unpackb(packed)
    for kind, viewer_id, rid, n, ticket, _attribution, *lines in events:
        for line in range(len(lines) // 2):
            yield {
                "show_id": show_id, "deal_id": lines[2 * line], "viewer_id": viewer_id, "rid": rid, "line": line,
                "kind": kind, "n": n, "qty": lines[2 * line + 1], "at_ms": at_ms, "ticket": ticket,
            }  # fmt: skip


async def _insert(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    await connection.execute(insert(movements).on_conflict_do_nothing(), rows)


def _after(entry_id: bytes) -> str:
    """The smallest id above `entry_id`."""
    milliseconds, number = entry_id.decode().split("-")
    return f"{milliseconds}-{int(number) + 1}"
