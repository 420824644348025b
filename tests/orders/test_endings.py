"""Every way a payment can go other than well: decline, silence, cancelling, late money, paid twice."""

from typing import Any

import pytest

from livecommerce.errors import R, Refused
from tests.orders.world import SHOW, World, request, rid, viewer


async def test_a_declined_payment_keeps_the_unit_and_says_until_when_to_try_again(world: World) -> None:
    answer = await world.checkout()

    await world.press(answer, "decline")

    page = await world.orders.page(viewer(), answer.order.order_id)
    assert page.order.status == "declined"
    assert page.order.retry_by_ms == answer.pay_by_ms
    assert page.order.pay_url == ""
    assert await world.deal() == (3, 1, 0)


async def test_a_decline_near_the_deadline_leaves_ninety_seconds_for_another_try(world: World) -> None:
    answer = await world.checkout()
    await world.clock.advance(599)

    await world.press(answer, "decline")

    assert (await world.order()).pay_by_ms == world.clock.now_ms() + 90_000


async def test_declining_again_and_again_does_not_keep_the_unit_for_ever(world: World) -> None:
    answer = await world.checkout()
    last_instant = (answer.pay_by_ms or 0) + 90_000
    await world.clock.advance(599)
    for _ in range(3):
        await world.press(answer, "decline")
        answer = await world.orders.retry(viewer(), answer.order.order_id)
        await world.clock.advance(20)

    assert (await world.order()).pay_by_ms <= last_instant
    assert await world.pass_deadline(90) == 1


async def test_another_try_has_a_new_link_and_the_old_one_is_dead(world: World) -> None:
    first = await world.checkout()
    await world.press(first, "decline")

    second = await world.orders.retry(viewer(), first.order.order_id)
    again = await world.orders.retry(viewer(), first.order.order_id)

    assert second.order.status == "paying"
    assert second.pay_url == again.pay_url != first.pay_url
    with pytest.raises(Refused) as refused:
        await world.press(first)
    assert refused.value.why is R.PAYMENT_GONE
    await world.press(second)
    assert await world.status() == "confirmed"


async def test_checking_out_again_after_a_decline_is_another_try(world: World) -> None:
    first = await world.checkout()
    await world.press(first, "decline")

    second = await world.orders.checkout(viewer(), request())

    assert (second.order.order_id, second.order.status) == (first.order.order_id, "paying")
    assert second.pay_url not in ("", first.pay_url)


async def test_after_its_deadline_a_declined_order_takes_no_other_try(world: World) -> None:
    first = await world.checkout()
    await world.press(first, "decline")
    await world.clock.advance(600)

    with pytest.raises(Refused) as refused:
        await world.orders.retry(viewer(), first.order.order_id)

    assert refused.value.why is R.PAYMENT_GONE
    assert await world.status() == "declined"


async def test_silence_ends_at_the_deadline_with_a_dead_link_and_the_unit_back(world: World) -> None:
    answer = await world.checkout()
    await world.press(answer, "silence")

    assert await world.pass_deadline(599) == 0
    assert await world.pass_deadline(1) == 1

    assert await world.status() == "expired"
    assert await world.deal() == (3, 0, 0)
    assert await world.level() == (3, 0, 0, 0)
    assert await world.payment_states() == [("revoked", "revoked")]
    assert await world.movement_kinds() == ["order_paying", "order_expired"]
    assert world.news.own[-1][1].order.status == "expired"  # type: ignore[union-attr]
    with pytest.raises(Refused) as refused:
        await world.press(answer)
    assert refused.value.why is R.PAYMENT_GONE


async def test_the_unit_of_a_silent_payer_goes_to_whoever_waits(world: World) -> None:
    await world.checkout(1, qty=3)
    await world.engine.reserve(SHOW, viewer(2), rid(2), [("dl_a", 1)], wait=True)

    await world.pass_deadline()

    (offer,) = await world.engine.holds_of(SHOW, "vw_2")
    assert offer.state == "offered"


async def test_an_expired_order_cannot_be_checked_out_retried_or_cancelled(world: World) -> None:
    answer = await world.checkout()
    await world.pass_deadline()
    before = await world.everything()

    for again in (
        world.orders.checkout(viewer(), request()),
        world.orders.retry(viewer(), answer.order.order_id),
        world.orders.cancel(viewer(), answer.order.order_id),
    ):
        with pytest.raises(Refused) as refused:
            await again
        assert refused.value.why is R.HOLD_GONE
    assert await world.everything() == before


async def test_cancelling_kills_the_link_and_gives_the_unit_back(world: World) -> None:
    answer = await world.checkout()

    page = await world.orders.cancel(viewer(), answer.order.order_id)
    again = await world.orders.cancel(viewer(), answer.order.order_id)
    await world.orders.run_outbox()

    assert page.order.status == again.order.status == "cancelled"
    assert await world.level() == (3, 0, 0, 0)
    assert await world.payment_states() == [("revoked", "revoked")]
    assert await world.movement_kinds() == ["order_paying", "order_cancelled"]


async def test_a_paid_order_is_not_cancelled_retried_or_moved(world: World) -> None:
    answer = await world.checkout()
    await world.press(answer)
    before = await world.everything()

    for again in (
        world.orders.retry(viewer(), answer.order.order_id),
        world.orders.cancel(viewer(), answer.order.order_id),
    ):
        with pytest.raises(Refused) as refused:
            await again
        assert refused.value.why is R.ALREADY_PAID
    assert await world.everything() == before


async def test_money_taken_while_the_shop_was_away_wins_over_cancelling(world: World) -> None:
    answer = await world.checkout()
    world.shop_hears = False
    await world.press(answer)
    world.shop_hears = True

    with pytest.raises(Refused) as refused:
        await world.orders.cancel(viewer(), answer.order.order_id)

    assert refused.value.why is R.ALREADY_PAID
    assert await world.status() == "confirmed"


async def test_money_taken_while_the_shop_was_away_wins_over_the_deadline(world: World) -> None:
    answer = await world.checkout()
    world.shop_hears = False
    assert (await world.press(answer)).webhooks == (503,)

    await world.clock.advance(600)
    assert await world.orders.sweep_deadlines() == 0

    assert await world.status() == "confirmed"


async def test_what_the_shop_did_not_hear_is_told_again(world: World) -> None:
    paid, declined = await world.checkout(1), await world.checkout(2)
    world.shop_hears = False
    await world.press(paid)
    await world.press(declined, "decline")
    assert (await world.status(1), await world.status(2)) == ("paying", "paying")
    world.shop_hears = True

    await world.orders.sweep_deadlines()

    assert (await world.status(1), await world.status(2)) == ("confirmed", "declined")


async def test_late_money_is_served_where_the_unit_is_left(world: World) -> None:
    answer = await world.checkout()
    await world.press(answer, "late")
    await world.pass_deadline()
    assert await world.status() == "expired"

    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()

    assert await world.status() == "confirmed"
    assert await world.deal() == (3, 0, 1)
    assert await world.level() == (2, 0, 0, 1)
    assert await world.movement_kinds() == [
        "order_paying", "order_expired", "order_reacquired", "order_confirmed",
    ]  # fmt: skip
    await world.assert_conserved()


async def test_late_money_without_a_unit_left_goes_back_by_itself_and_says_so(world: World) -> None:
    answer = await world.checkout(1, qty=3)
    await world.press(answer, "late")
    await world.pass_deadline()
    await world.hold(2, qty=3)

    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()

    assert await world.status() == "refunded"
    assert await world.payment_states() == [("refunded", "refunded")]
    assert await world.level() == (0, 3, 0, 0)
    told = [own.order.status for _, own in world.news.own if own.order]
    assert told[-1] == "refunded"
    page = await world.orders.page(viewer(), answer.order.order_id)
    assert "given back" in page.story
    await world.assert_conserved()


async def test_late_money_goes_back_where_sql_has_nothing_left_whatever_redis_says(world: World) -> None:
    answer = await world.checkout()
    await world.press(answer, "late")
    await world.pass_deadline()
    await world.change_deal("dl_a", allotted=0)

    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()

    assert await world.status() == "refunded"
    assert await world.deal() == (0, 0, 0)
    assert await world.level() == (3, 0, 0, 0)


async def test_late_money_goes_back_where_redis_forgot_the_reservation(world: World) -> None:
    answer = await world.checkout()
    await world.press(answer, "late")
    await world.pass_deadline()
    await world.redis.hdel(f"{{show:{SHOW}}}:rids", f"vw_1/{rid()}")

    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()

    assert await world.status() == "refunded"


async def test_money_that_arrives_after_cancelling_is_late_money_too(world: World) -> None:
    answer = await world.checkout()
    await world.orders.cancel(viewer(), answer.order.order_id)
    await world.orders.run_outbox()

    await world.press(answer, "late")

    assert await world.status() == "confirmed"
    await world.assert_healed()


async def test_an_order_paid_twice_gives_the_second_payment_back(world: World) -> None:
    first = await world.checkout()
    await world.press(first, "decline")
    second = await world.orders.retry(viewer(), first.order.order_id)
    await world.press(second)

    await world.press(first, "late")

    assert await world.status() == "confirmed"
    assert await world.payment_states() == [("refunded", "refunded"), ("captured", "captured")]
    assert await world.deal() == (3, 0, 1)


class RedisAway:
    """An engine whose Redis cannot be reached: every question is answered "busy"."""

    def __getattr__(self, name: str) -> Any:
        async def busy(*_args: Any) -> None:
            raise Refused(R.BUSY, after_ms=1000)

        return busy


async def test_two_late_payments_that_wait_for_redis_are_one_unit_and_one_refund(world: World) -> None:
    first = await world.checkout()
    await world.press(first, "decline")
    second = await world.orders.retry(viewer(), first.order.order_id)
    await world.pass_deadline()
    await world.orders.aclose()  # the process before has done its errands: its Redis was there
    world.restart(engine=RedisAway())
    for answer in (first, second):
        await world.press(answer, "late")
    assert await world.status() == "expired"
    assert await world.payment_states() == [("captured", "captured")] * 2

    await world.restart().run_outbox()

    assert await world.status() == "confirmed"
    assert sorted(await world.payment_states()) == [("captured", "captured"), ("refunded", "refunded")]
    await world.assert_conserved()
    await world.assert_healed()


async def test_while_redis_is_away_a_payment_is_confirmed_and_redis_follows_later(world: World) -> None:
    answer = await world.checkout()
    await world.orders.aclose()  # the process before has done its errands: its Redis was there
    world.restart(engine=RedisAway())

    await world.press(answer)

    assert await world.status() == "confirmed"
    assert await world.level() == (2, 0, 1, 0)
    await world.restart().run_outbox()
    assert await world.level() == (2, 0, 0, 1)


async def test_the_page_tells_the_truth_in_every_state(world: World) -> None:
    answer = await world.checkout(delivery="pickup")

    page = await world.orders.page(viewer(), answer.order.order_id)
    assert (page.test_notice, page.pickup_promise, page.order.pickup_code) == ("TEST — no money moves", "", "")
    assert "Do not pay twice" in page.story
    assert page.order.pay_url == answer.pay_url
    assert (page.subtotal_minor, page.shipping_minor, page.tax_minor) == (1999, 0, 333)

    await world.press(answer)
    page = await world.orders.page(viewer(), answer.order.order_id)
    assert page.pickup_promise.startswith("Ready at Counter north, Main street 1, Lyon (10–19). Show code ")
    assert page.counter is not None
    assert b"<svg" in await world.orders.pickup_svg(viewer(), answer.order.order_id)


async def test_orders_of_others_do_not_exist(world: World) -> None:
    answer = await world.checkout()

    for asked in (
        world.orders.page(viewer(2), answer.order.order_id),
        world.orders.retry(viewer(2), answer.order.order_id),
        world.orders.cancel(viewer(2), answer.order.order_id),
        world.orders.pickup_svg(viewer(2), answer.order.order_id),
        world.orders.page(viewer(1), "or_none"),
    ):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.why is R.NOT_FOUND


async def test_a_viewer_sees_her_own_orders_newest_first(world: World) -> None:
    await world.checkout(1)
    await world.checkout(2)
    await world.clock.advance(1)
    await world.engine.reserve(SHOW, viewer(1), rid(3), [("dl_b", 1)], wait=False)
    await world.orders.checkout(viewer(1), request(3))

    facts = await world.orders.orders_of("vw_1", SHOW)

    assert [order.rid for order in facts] == [rid(3), rid(1)]
    assert all(order.pay_url for order in facts)
    assert await world.orders.orders_of("vw_1", "sh_other") == ()
    assert [page.order for page in await world.orders.pages(viewer(1))] == list(facts)
