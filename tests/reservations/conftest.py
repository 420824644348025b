"""An engine on the real Valkey, viewers, and the one lever of these tests: the field that is the hold clock."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import msgpack
import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.ids import ShowId
from livecommerce.people.identity import ViewerIdentity
from livecommerce.reservations import DealStock, ReservationEngine, keys
from livecommerce.settings import Settings

SHOW = ShowId("sh_test")
HOLD_MS = 100_000
PAY_MS = 200_000


def viewer(number: int, verified: str = "", *, member: bool = False) -> ViewerIdentity:
    kind: Literal["guest", "merchant"] = "merchant" if member else "guest"
    return ViewerIdentity(f"vw_{number}", f"Viewer {number}", kind, "ac_1", "ou_1", "ln_1", verified)


def deal(deal_id: str = "dl_a", quota: int = 2, **changes: Any) -> DealStock:
    rules: dict[str, Any] = {"limit": 2, "hold_ms": HOLD_MS, "pay_ms": PAY_MS, "status": "open", **changes}
    return DealStock(deal_id, quota, **rules)


@pytest.fixture
async def engine(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[ReservationEngine]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    await engine.open_show(SHOW)
    yield engine
    await engine.aclose()


@pytest.fixture
def turn(redis: Redis) -> Callable[[int], Awaitable[None]]:
    """Turn the hold clock by so many milliseconds, as if heartbeats had come all along."""

    async def by(milliseconds: int) -> None:
        await redis.hincrby(keys.meta(SHOW), "clk", milliseconds)

    return by


@pytest.fixture
def books(redis: Redis) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Everything that says who has what; two equal books mean that nothing moved."""

    async def read() -> dict[str, Any]:
        meta = await redis.hmget(keys.meta(SHOW), "ticket", "queues")
        return {
            "ticket": meta[0],
            "queues": msgpack.unpackb(meta[1], strict_map_key=False) if meta[1] else [],
            "deals": await redis.hgetall(keys.deals(SHOW)),
            "rids": await redis.hgetall(keys.rids(SHOW)),
            "viewers": await redis.hgetall(keys.viewers(SHOW)),
            "entries": await redis.hgetall(keys.queues(SHOW)),
            "waits": await redis.zrange(keys.waits(SHOW), 0, -1),
            "paying": await redis.zrange(keys.paying(SHOW), 0, -1, withscores=True),
            "moves": await redis.hgetall(keys.moves(SHOW)),
            "journal": await redis.xlen(keys.journal(SHOW)),
        }

    return read
