"""What a location's books may forget: holds that ended long ago and came to no order.

What arrives: nothing but time. What leaves: fewer records in `rids`, a page of one location a turn, so that a place
that sells for years does not grow with every bag that was changed or left. A record is what answers a repeated rid;
before it goes, the ledger has said that the rid is old and has no order, and says so for ever: `Shelves.reserve`
asks it first, so a forgotten rid is never taken for a new one. Whatever came to an order keeps its record. An ended
hold without an order never lives again, so nothing can happen between the question and the answer.
"""

from typing import Any

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import shelves
from livecommerce.reservations import keys
from livecommerce.reservations.relay_format import STATE, record, viewer_and_rid
from livecommerce.reservations.states import ENDED, State
from livecommerce.shelves.forgotten import forgotten_of

log = structlog.get_logger(__name__)

PAGE = 500
FORGOTTEN = Counter("livecommerce_rids_forgotten", "Records of ended holds of shelves that were old enough to go")


class ForgetDuty:
    """One leader's duty; two at once do no harm."""

    name = "forget"
    every_seconds = 5.3
    deadline_seconds = 30.0

    def __init__(self, redis: Redis, database: Database, clock: Clock) -> None:
        self._redis = redis
        self._database = database
        self._clock = clock
        self._location_id = ""
        self._cursor = 0

    async def run(self, lease_epoch: int) -> None:
        """One page. Raises `Refused(BUSY)` where Redis is away."""
        if not self._cursor and not await self._next_location():
            return
        try:
            await self._page(keys.rids(keys.pool_book(self._location_id)))
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=1000) from error

    async def _page(self, rids: str) -> None:
        page: Any = await self._redis.hscan(rids, cursor=self._cursor, count=PAGE)
        self._cursor, found = page
        ended = [viewer_and_rid(key) for key, raw in found.items() if State(record(raw)[STATE]) in ENDED]
        gone = await forgotten_of(self._database, ended, self._clock.now_ms())
        if gone:
            await self._redis.hdel(rids, *(f"{viewer_id}/{rid}" for viewer_id, rid in gone))
            FORGOTTEN.inc(len(gone))
            log.info("rids_forgotten", location_id=self._location_id, rids=len(gone))

    async def _next_location(self) -> bool:
        query = select(shelves.c.location_id).order_by(shelves.c.location_id).limit(1)
        async with self._database.read() as connection:
            after = await connection.scalar(query.where(shelves.c.location_id > self._location_id))
            first = after or await connection.scalar(query)
        self._location_id = first or ""
        return first is not None
