"""Kill the process at every arrow between viewer, Redis, SQL and provider: nothing is oversold, and everything heals.

Each story is told again and again; the k-th time its process dies right before the k-th thing it does outside of
itself, and never comes back. A new process then does what a worker does. That covers "before" and "after" of every
arrow: after one is before the next.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import orders, outbox, payments
from livecommerce.orders.payments.registry import Providers
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.settings import Settings
from tests.orders.world import HOLD_MS, PAY_SECONDS, SHOW, World, clear, request, seed, viewer

ARROWS_MAX = 60


class Killed(BaseException):
    """The process is gone; no handler of ours may catch it."""


class Fuse:
    """Burns down by one at each arrow; once it is out, the process does nothing any more."""

    def __init__(self, arrows: int) -> None:
        self.left = arrows

    def cross(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


class Wire:
    """A part as the doomed process reaches it."""

    def __init__(self, target: Any, arrows: set[str], fuse: Fuse) -> None:
        self._target = target
        self._arrows = arrows
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        reached = getattr(self._target, name)
        if name not in self._arrows:
            return reached

        async def cross(*args: Any, **kwargs: Any) -> Any:
            self._fuse.cross()
            return await reached(*args, **kwargs)

        return cross


def doom(world: World, fuse: Fuse) -> None:
    """Make `world.orders` a process that dies when the fuse is out."""
    provider = Wire(world.providers.current, {"create", "revoke", "refund", "catch_up"}, fuse)
    world.restart(
        database=Wire(world.database, {"write"}, fuse),
        engine=Wire(world.engine, {"begin_pay", "settle", "free", "reacquire", "holds_of"}, fuse),
        news=Wire(world.news, {"tell", "tell_desk"}, fuse),
        providers=Providers(provider, {"test": provider}),  # type: ignore[arg-type]
    )


async def pay(world: World) -> None:
    await world.press(await world.orders.checkout(viewer(), request(delivery="pickup")))


async def decline_then_pay(world: World) -> None:
    first = await world.orders.checkout(viewer(), request())
    await world.press(first, "decline")
    await world.press(await world.orders.retry(viewer(), first.order.order_id))


async def change_delivery_then_pay(world: World) -> None:
    await world.orders.checkout(viewer(), request())
    await world.press(await world.orders.checkout(viewer(), request(delivery="pickup")))


async def cancel(world: World) -> None:
    answer = await world.orders.checkout(viewer(), request())
    await world.orders.cancel(viewer(), answer.order.order_id)
    await world.orders.run_outbox()


async def silence(world: World) -> None:
    await world.press(await world.orders.checkout(viewer(), request()), "silence")
    await world.pass_deadline()


async def late_money_with_a_unit_left(world: World) -> None:
    await world.press(await world.orders.checkout(viewer(), request()), "late")
    await world.pass_deadline()
    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()


async def late_money_without_a_unit_left(world: World) -> None:
    await world.press(await world.orders.checkout(viewer(), request()), "late")
    await world.pass_deadline()
    await world.hold(2, qty=3)
    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()


Story = Callable[[World], Awaitable[None]]
STORIES: list[Story] = [
    pay, decline_then_pay, change_delivery_then_pay, cancel, silence, late_money_with_a_unit_left,
    late_money_without_a_unit_left,
]  # fmt: skip


@pytest.fixture
async def fresh_world(
    database: Database, redis: Redis, settings: Settings, clock: TestClock
) -> AsyncIterator[Callable[[], Awaitable[World]]]:
    opened: list[World] = []

    async def close() -> None:
        for world in opened:
            await world.aclose()
            await world.engine.aclose()
        opened.clear()

    async def fresh() -> World:
        await close()
        engine = ReservationEngine(redis, settings, clock)
        await engine.start()
        world = World(database, engine, redis, settings, clock)
        await clear(world)
        await seed(world)
        opened.append(world)
        return world

    yield fresh
    await close()


@pytest.mark.parametrize("comes_back", [True, False], ids=["she_comes_back", "she_is_gone"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_process_killed_at_any_arrow_oversells_nothing_and_everything_heals(
    fresh_world: Callable[[], Awaitable[World]], database: Database, story: Story, comes_back: bool
) -> None:
    # The arrows are the same on both databases; PostgreSQL, slower to begin anew, takes every third.
    for arrows in range(0, ARROWS_MAX, 1 if database.is_sqlite else 3):
        world = await fresh_world()
        await world.hold()
        survived = await _tell_until_killed(world, story, arrows)

        await world.assert_conserved()
        await world.assert_redis_never_above_sql()

        world.restart()
        if comes_back:
            await _come_back(world)
        await _work_as_a_worker(world)

        await world.assert_conserved()
        await world.assert_healed()
        await _assert_money_and_units_agree(world)
        if survived:
            assert arrows > 5, "the story crossed no arrows: the wires are not where they should be"
            return
    raise AssertionError(f"the story has more than {ARROWS_MAX} arrows")


async def _tell_until_killed(world: World, story: Story, arrows: int) -> bool:
    fuse = Fuse(arrows)
    doom(world, fuse)
    doomed = world.orders
    try:
        await story(world)
        await doomed.aclose()
    except Killed:
        pass
    survived = fuse.left >= 0
    fuse.left = min(fuse.left, 0)  # whatever its background still tries, it is dead
    await doomed.aclose()
    return survived


async def _come_back(world: World) -> None:
    """She taps "pay" again under the same rid, and pays if there is something to pay."""
    try:
        answer = await world.orders.checkout(viewer(), request(delivery="pickup"))
        if answer.pay_url:
            await world.press(answer)
    except Refused:
        pass  # whatever she reads, the books below must agree


async def _work_as_a_worker(world: World) -> None:
    """Time passes on both clocks, and every sweep has its turn."""
    for _ in range(3):
        await world.redis.hincrby(keys.meta(SHOW), "clk", HOLD_MS + PAY_SECONDS * 1000)
        await world.engine.heartbeat(SHOW)
        await world.clock.advance(PAY_SECONDS + 90)
        await world.orders.sweep_deadlines()
        await world.orders.run_outbox()
        await world.orders.sweep_unwritten()


async def _assert_money_and_units_agree(world: World) -> None:
    """Nothing is left half done: who has the unit has paid once, and nobody else has paid."""
    assert await world.all(select(outbox.c.id).where(outbox.c.done_at_ms.is_(None))) == []
    states = [row.status for row in await world.all(select(orders.c.status))]
    kept = [row for row in await world.all(select(payments)) if "captured" in (row.status, row.provider_side)]
    assert all(state in ("confirmed", "expired", "cancelled", "refunded") for state in states)
    assert [(row.status, row.provider_side) for row in kept] == [("captured", "captured")] * states.count("confirmed")
    assert (await world.level())[2] == 0


async def test_a_writer_that_comes_after_the_sweeper_meets_void_and_loses(
    fresh_world: Callable[[], Awaitable[World]],
) -> None:
    world = await fresh_world()
    await world.hold()
    doom(world, Fuse(2))  # holds_of, begin_pay; dies before the commit
    with pytest.raises(Killed):
        await world.orders.checkout(viewer(), request())
    assert await world.level() == (2, 0, 1, 0)

    world.restart()
    assert await world.orders.sweep_unwritten() == 0, "its time is not over"
    await world.redis.hincrby(keys.meta(SHOW), "clk", PAY_SECONDS * 1000)
    assert await world.orders.sweep_unwritten() == 1

    assert await world.level() == (3, 0, 0, 0)
    with pytest.raises(Refused) as refused:
        await world.orders.checkout(viewer(), request())
    assert refused.value.why is R.HOLD_GONE
    assert await world.deal() == (3, 0, 0)


class Stalled:
    """A process that stops (as by SIGSTOP) right before its commits, and goes on when it is let."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.stopped = asyncio.Event()
        self.go_on = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, work: Any) -> Any:
        self.stopped.set()
        await self.go_on.wait()
        return await self._database.write(work)


async def test_a_writer_that_slept_while_the_sweeper_freed_its_unit_meets_void_and_gets_nothing(
    fresh_world: Callable[[], Awaitable[World]],
) -> None:
    world = await fresh_world()
    await world.hold(1, qty=3)
    stalled = Stalled(world.database)
    late_writer = asyncio.create_task(world.restart(database=stalled).checkout(viewer(), request()))
    await stalled.stopped.wait()
    world.restart()
    await world.redis.hincrby(keys.meta(SHOW), "clk", PAY_SECONDS * 1000)
    assert await world.orders.sweep_unwritten() == 1
    await world.hold(2, qty=3)  # somebody else has the units by now

    stalled.go_on.set()
    with pytest.raises(Refused) as refused:
        await late_writer

    assert refused.value.why is R.HOLD_GONE
    assert await world.deal() == (3, 0, 0)
    await world.orders.checkout(viewer(2), request(2))
    assert await world.deal() == (3, 3, 0)


async def test_a_link_made_for_an_order_that_ended_meanwhile_is_killed_and_not_given_out(
    fresh_world: Callable[[], Awaitable[World]],
) -> None:
    world = await fresh_world()
    await world.hold()
    other_tab = world.orders
    revoked: list[str] = []

    class SlowProvider(Wire):
        async def create(self, intent: Any, idem_key: str) -> Any:
            await other_tab.cancel(viewer(), intent.order_id)
            return await self._target.create(intent, idem_key)

        async def revoke(self, ref: str) -> Any:
            revoked.append(ref)
            return await self._target.revoke(ref)

    slow = SlowProvider(world.providers.current, set(), Fuse(0))
    doomed = world.restart(providers=Providers(slow, {"test": slow}))  # type: ignore[arg-type]

    with pytest.raises(Refused) as refused:
        await doomed.checkout(viewer(), request())

    assert refused.value.why is R.PAYMENT_GONE
    assert len(revoked) == 1
    assert await world.payment_states() == []


async def test_what_sql_confirmed_is_settled_by_the_sweep_where_redis_still_has_it_as_paying(
    fresh_world: Callable[[], Awaitable[World]],
) -> None:
    world = await fresh_world()
    answer = await world.checkout()
    await world.press(answer)
    await world.redis.hincrby(keys.meta(SHOW), "clk", PAY_SECONDS * 1000)

    await world.orders.sweep_unwritten()

    await world.assert_healed()
