"""Leases: one holder at a time, an epoch that grows, and no wait longer than the lease."""

import asyncio

from livecommerce.background.lease import LEASE_SECONDS, Leases
from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database


async def test_one_process_holds_a_lease_until_it_ends(database: Database, clock: TestClock) -> None:
    one, two = Leases(database, clock, "one"), Leases(database, clock, "two")

    assert await one.acquire("heartbeat") == 1
    assert await two.acquire("heartbeat") is None
    assert await two.acquire("journal") == 1

    await clock.advance(LEASE_SECONDS - 0.001)
    assert await two.acquire("heartbeat") is None
    await clock.advance(0.001)
    assert await two.acquire("heartbeat") == 2
    assert not await one.renew("heartbeat", 1)


async def test_a_renewed_lease_lasts_and_a_released_one_is_free_at_once(database: Database, clock: TestClock) -> None:
    one, two = Leases(database, clock, "one"), Leases(database, clock, "two")
    await one.acquire("heartbeat")

    for _ in range(5):
        await clock.advance(LEASE_SECONDS * 0.9)
        assert await one.renew("heartbeat", 1)
        assert await two.acquire("heartbeat") is None

    await two.release("heartbeat", 1)  # not hers
    assert await two.acquire("heartbeat") is None
    await one.release("heartbeat", 1)
    assert await two.acquire("heartbeat") == 2


async def test_of_many_that_ask_at_once_one_gets_it(database: Database, clock: TestClock) -> None:
    epochs = await asyncio.gather(*(Leases(database, clock, f"p{n}").acquire("heartbeat") for n in range(10)))

    assert sorted(epoch for epoch in epochs if epoch) == [1]
