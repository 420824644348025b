"""A deal is pulled while somebody pays: the link dies first, then SQL, then Redis; money that was faster counts."""

import pytest

from livecommerce.errors import R, Refused
from tests.orders.world import SHOW, World, request, rid, viewer


async def pull(world: World, deal_id: str = "dl_a") -> None:
    """What the show does: SQL says so, then the engine closes the deal and ends what nobody pays."""
    await world.change_deal(deal_id, status="closing", pulled="cancel")
    await world.engine.set_deal_status(SHOW, deal_id, "closing")
    await world.engine.cancel_unpaid(SHOW, deal_id)


async def sweep(world: World) -> int:
    cancelled = await world.orders.sweep_pulled()
    await world.orders.run_outbox()
    return cancelled


async def test_what_is_being_paid_ends_with_a_dead_link_and_its_units_back(world: World) -> None:
    answer = await world.checkout()
    await pull(world)
    assert await world.level() == (0, 0, 1, 0)
    assert await sweep(world) == 1
    assert await sweep(world) == 0
    assert await world.status() == "cancelled"
    assert await world.payment_states() == [("revoked", "revoked")]
    assert await world.level() == (1, 0, 0, 0)
    assert world.news.own[-1][1].order.status == "cancelled"  # type: ignore[union-attr]
    with pytest.raises(Refused) as refused:
        await world.press(answer)
    assert refused.value.why is R.PAYMENT_GONE
    await world.assert_conserved()


async def test_a_declined_order_is_cancelled_too(world: World) -> None:
    answer = await world.checkout()
    await world.press(answer, "decline")
    await pull(world)
    assert await sweep(world) == 1
    assert await world.status() == "cancelled"


async def test_money_that_was_faster_counts(world: World) -> None:
    answer = await world.checkout()
    await pull(world)
    world.shop_hears = False  # paid, and its webhook is still on its way
    await world.press(answer)
    assert await sweep(world) == 0
    assert await world.status() == "confirmed"
    await world.assert_conserved()


async def test_what_is_honoured_is_left_alone(world: World) -> None:
    await world.checkout()
    await world.change_deal("dl_a", status="closing", pulled="honour")
    assert await sweep(world) == 0
    assert await world.status() == "paying"


async def test_orders_of_other_deals_are_left_alone(world: World) -> None:
    await world.checkout()
    await pull(world, "dl_b")
    assert await sweep(world) == 0


async def test_an_order_with_one_pulled_line_is_cancelled_whole(world: World) -> None:
    await world.hold(1, lines=[("dl_a2", 1), ("dl_b", 1)])
    await world.orders.checkout(viewer(1), request(1))
    await pull(world, "dl_b")
    assert await sweep(world) == 1
    assert await world.status() == "cancelled"
    assert await world.deal("dl_a2") == (3, 0, 0)
    await world.assert_conserved()


async def test_late_money_for_a_cancelled_deal_goes_back_although_units_are_there(world: World) -> None:
    answer = await world.checkout()
    await pull(world)
    assert await sweep(world) == 1
    assert await world.level() == (1, 0, 0, 0)
    await world.press(answer, "late")
    await world.orders.run_outbox()
    assert await world.status() == "refunded"
    assert await world.deal() == (3, 0, 0)
    assert (await world.level())[2:] == (0, 0)


async def test_who_slipped_from_hold_to_payment_is_found_by_the_next_sweep(world: World) -> None:
    await world.hold()
    await world.change_deal("dl_a", status="closing", pulled="cancel")
    await world.engine.set_deal_status(SHOW, "dl_a", "closing")
    await world.orders.checkout(viewer(), request())  # between the closing and the look for holds
    assert await world.engine.cancel_unpaid(SHOW, "dl_a") == 0
    assert await sweep(world) == 1
    assert (await world.engine.release(SHOW, "vw_1", rid(1))).state == "cancelled"
