"""Orders of deals of level `ledger`: the witness stands aside, and SQL judges as it always does."""

import asyncio

import pytest
from sqlalchemy import select

from livecommerce.background.journal import JournalToLedger
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import reservations, witnesses
from livecommerce.reservations import DealStock, keys
from livecommerce.reservations.witnesses import live_witnesses
from tests.orders.world import HOLD_MS, PAY_SECONDS, SHOW, World, request, rid, viewer


@pytest.fixture
async def promised(world: World) -> World:
    """`dl_a` is of level ledger."""
    rules = DealStock("dl_a", 3, 10, HOLD_MS, PAY_SECONDS * 1000, "open", move_id="to-dl_a", level="ledger")
    await world.engine.put_deal(SHOW, rules)
    return world


async def states(world: World) -> tuple[list[str], list[str]]:
    """(what the judge says, what the witnesses say)"""
    judge, witness = await world.all(select(reservations.c.state)), await world.all(select(witnesses.c.state))
    return [row[0] for row in judge], [row[0] for row in witness]


async def drain(world: World) -> None:
    await JournalToLedger(world.redis, world.database, world.engine, world.clock).drain(SHOW)


async def test_a_hold_with_a_witness_is_bought_like_any_other(promised: World) -> None:
    world = promised
    answer = await world.checkout(1)
    assert await states(world) == (["paying"], ["held"])
    await world.press(answer)
    await drain(world)
    assert await states(world) == (["confirmed"], ["paying"])
    await world.assert_conserved()
    await world.assert_healed()


async def test_void_wins_over_a_witness_that_still_says_held(promised: World) -> None:
    """begin_pay reached Redis, its process died, the sweep was first: a late writer meets VOID, whatever a row of
    another table remembers."""
    world = promised
    await world.hold(1)
    await world.engine.begin_pay(SHOW, viewer(1).viewer_id, rid(1), PAY_SECONDS * 1000)
    await world.redis.hincrby(keys.meta(SHOW), "clk", PAY_SECONDS * 1000)
    await world.engine.heartbeat(SHOW)
    await world.orders.sweep_unwritten()
    assert await states(world) == (["void"], ["held"])

    with pytest.raises(Refused) as caught:
        await world.orders.checkout(viewer(1), request(1))
    assert caught.value.why is R.HOLD_GONE
    assert await world.deal() == (3, 0, 0)
    assert await world.level() == (3, 0, 0, 0)
    await drain(world)
    assert await states(world) == (["void"], ["paying"])


async def test_a_witness_that_comes_after_void_changes_nothing(promised: World) -> None:
    """The same viewer's other device is answered from a process that lost the race by seconds."""
    world = promised
    await world.hold(1)
    await world.engine.begin_pay(SHOW, viewer(1).viewer_id, rid(1), PAY_SECONDS * 1000)
    await world.redis.hincrby(keys.meta(SHOW), "clk", PAY_SECONDS * 1000)
    await world.engine.heartbeat(SHOW)
    await world.orders.sweep_unwritten()
    await drain(world)
    before = await world.everything()
    again = await world.engine.reserve(SHOW, viewer(1), rid(1), [("dl_a", 1)])
    assert again.state == "expired"
    assert await world.everything() == before
    async with world.database.read() as connection:
        assert await live_witnesses(connection, SHOW) == []


async def test_a_crowd_that_reserves_and_pays_at_once_leaves_books_that_agree(promised: World) -> None:
    world = promised
    answers = await asyncio.gather(*(world.checkout(number) for number in range(1, 7)), return_exceptions=True)
    paid = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(paid) == 3
    await asyncio.gather(*(world.press(answer) for answer in paid))
    await world.orders.run_outbox()
    await drain(world)
    assert await world.deal() == (3, 0, 3)
    await world.assert_conserved()
    await world.assert_healed()
    async with world.database.read() as connection:
        assert await live_witnesses(connection, SHOW) == []
