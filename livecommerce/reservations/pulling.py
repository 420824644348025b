"""A deal that is pulled: everybody who holds or is offered a unit of it, found and let go.

What arrives: a deal that is no longer open. What leaves: releases of the script, in the shop's name. It knows neither
why it was pulled nor what becomes of the units.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import msgpack
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce.errors import R, Refused
from livecommerce.reservations import keys, verbs
from livecommerce.reservations.batcher import BUSY_AFTER_MS
from livecommerce.reservations.relay_format import LINES, record, state_of, viewer_and_rid
from livecommerce.reservations.states import IN_HELD, State

ASKED_TOGETHER = 512
_SCAN = 100  # queue entries, of up to 64 holds each, read at once


class Pulling:
    """The engine's, and as long-lived. `move` is a verb of the script about one hold."""

    def __init__(self, redis: Redis, move: Callable[..., Awaitable[Any]]) -> None:
        self._redis = redis
        self._move = move

    async def cancel_unpaid(self, show_id: str, deal_id: str) -> int:
        """As `ReservationEngine.cancel_unpaid`."""
        ended = 0
        while found := await self.unpaid_of(show_id, deal_id):
            for first in range(0, len(found), ASKED_TOGETHER):
                some = found[first : first + ASKED_TOGETHER]
                ended += sum(await asyncio.gather(*(self._cancel(show_id, *key) for key in some)))
        return ended

    async def _cancel(self, show_id: str, viewer_id: str, rid: str) -> bool:
        try:
            await self._move(show_id, viewer_id, rid, verbs.RELEASE, int(State.CANCELLED))
        except Refused as refused:
            # Being paid for, or gone, between the look and the call: then it is no longer ours to end.
            if refused.why in (R.CONFLICT, R.NOT_FOUND):
                return False
            raise
        return True

    async def unpaid_of(self, show_id: str, deal_id: str) -> list[tuple[str, str]]:
        """(viewer, rid) of everybody who holds a unit of the deal, or is offered one, and does not pay yet."""
        deal = deal_id.encode()
        return [key async for key, raw in self.unpaid(show_id) if deal in record(raw)[LINES::2]]

    async def unpaid(self, show_id: str) -> AsyncIterator[tuple[tuple[str, str], bytes]]:
        """(viewer, rid) and record of every hold and offer of the show that nobody pays yet. One that moves to another
        queue meanwhile may come twice. Refuses BUSY."""
        try:
            async for _, packed in self._redis.hscan_iter(keys.queues(show_id), count=_SCAN):
                names = list(dict.fromkeys(msgpack.unpackb(packed, raw=True)[1:]))
                records = await self._redis.hmget(keys.rids(show_id), names)
                for name, raw in zip(names, records, strict=True):
                    if raw and state_of(cast(bytes, raw)) in IN_HELD:
                        yield viewer_and_rid(name), cast(bytes, raw)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
