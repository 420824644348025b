"""From a hold to a confirmed order: what each step leaves in SQL, in Redis and with the viewer."""

import asyncio

import pytest
from sqlalchemy import func, select

from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import order_lines, orders, promises, reservations
from tests.orders.world import ADDRESS, SHOW, World, request, rid, viewer


async def test_a_hold_becomes_an_order_that_is_paying_with_a_link_and_a_deadline(world: World) -> None:
    answer = await world.checkout()

    assert answer.order.status == "paying"
    assert answer.order.total_minor == 1999 + 490
    assert answer.order.livemode is False
    assert answer.pay_url.startswith("http://127.0.0.1:8080/pay/test/test_")
    assert "<svg" in answer.qr_svg
    assert answer.pay_by_ms == world.clock.now_ms() + 600_000
    assert await world.deal() == (3, 1, 0)
    assert await world.level() == (2, 0, 1, 0)
    assert await world.movement_kinds() == ["order_paying"]


async def test_a_payment_confirms_the_order_and_moves_the_unit_to_sold_everywhere(world: World) -> None:
    answer = await world.checkout()

    pressed = await world.press(answer)

    assert pressed.webhooks == (200,)
    assert await world.status() == "confirmed"
    assert await world.deal() == (3, 0, 1)
    assert await world.level() == (2, 0, 0, 1)
    assert await world.pool("va_a") == (0, 5, 1)
    assert await world.payment_states() == [("captured", "captured")]
    assert await world.movement_kinds() == ["order_paying", "order_confirmed"]
    await world.assert_conserved()


async def test_the_viewer_and_the_desk_are_told_of_the_paid_order(world: World) -> None:
    await world.press(await world.checkout(delivery="pickup"))

    told_viewer, own = world.news.own[-1]
    assert told_viewer == "vw_1"
    assert own.order is not None
    assert (own.order.status, own.order.pay_url) == ("confirmed", "")
    assert len(own.order.pickup_code) == 6
    desk = world.news.desk[-1]
    assert desk.order is not None
    assert (desk.order.status, desk.order.pickup_code, desk.viewer_id) == ("confirmed", "", "vw_1")


async def test_reservation_and_order_credit_advisor_shop_and_link(world: World) -> None:
    await world.checkout()

    for table in (reservations, orders):
        row = await world.one(select(table.c.advisor_id, table.c.shop_id, table.c.link_id))
        assert tuple(row) == ("ac_1", "ou_north", "ln_1")


async def test_the_same_checkout_again_is_the_same_order_and_the_same_link(world: World) -> None:
    first = await world.checkout()
    before = await world.everything()

    second = await world.restart().checkout(viewer(), request())

    assert second == first
    assert await world.everything() == before


async def test_two_tabs_that_check_out_at_once_make_one_order_with_one_payment(world: World) -> None:
    await world.hold()
    other_process = world.restart()
    world.restart()

    answers = await asyncio.gather(
        *(orders_.checkout(viewer(), request()) for orders_ in (world.orders, other_process) for _ in range(4))
    )

    assert len({(answer.order.order_id, answer.pay_url) for answer in answers}) == 1
    assert await world.deal() == (3, 1, 0)
    assert len(await world.payment_states()) == 1


async def test_the_same_checkout_after_payment_answers_with_the_paid_order(world: World) -> None:
    await world.press(await world.checkout())

    answer = await world.orders.checkout(viewer(), request())

    assert (answer.order.status, answer.pay_url, answer.pay_by_ms) == ("confirmed", "", None)


async def test_a_corrected_address_is_taken_while_the_order_is_unpaid(world: World) -> None:
    first = await world.checkout()
    corrected = request(contact_name="Ana  Miller\n")

    second = await world.orders.checkout(viewer(), corrected)

    assert (second.order.order_id, second.pay_url) == (first.order.order_id, first.pay_url)
    assert (await world.order()).contact_name == "Ana Miller"


async def test_another_way_of_delivery_changes_the_sum_and_the_old_link_is_dead(world: World) -> None:
    first = await world.checkout()

    second = await world.orders.checkout(viewer(), request(delivery="pickup"))
    await world.orders.run_outbox()

    assert second.order.total_minor == 1999
    assert second.pay_url != first.pay_url
    assert await world.payment_states() == [("revoked", "revoked"), ("open", "open")]
    with pytest.raises(Refused) as refused:
        await world.press(first)
    assert refused.value.why is R.PAYMENT_GONE


async def test_money_for_the_old_sum_goes_back_and_the_order_waits_for_its_own(world: World) -> None:
    first = await world.checkout()
    second = await world.orders.checkout(viewer(), request(delivery="pickup"))
    await world.orders.run_outbox()

    await world.press(first, "late")

    assert await world.status() == "paying"
    assert await world.payment_states() == [("refunded", "refunded"), ("open", "open")]
    await world.press(second)
    assert await world.status() == "confirmed"


async def test_a_paid_order_takes_no_other_address(world: World) -> None:
    await world.press(await world.checkout())
    before = await world.everything()

    answer = await world.orders.checkout(viewer(), request(contact_name="Somebody else"))

    assert answer.order.status == "confirmed"
    assert await world.everything() == before


async def test_a_bundle_costs_its_price_spread_exactly_over_its_lines(world: World) -> None:
    await world.hold(lines=[("dl_a2", 1), ("dl_b", 1)])

    answer = await world.orders.checkout(viewer(), request(delivery="pickup"))

    assert answer.order.total_minor == 3001
    rows = await world.all(select(order_lines.c.total_minor).order_by(order_lines.c.line))
    assert [row[0] for row in rows] == [2001, 1000]


async def test_a_bundle_that_is_not_whole_costs_its_deals_own_prices(world: World) -> None:
    await world.hold(lines=[("dl_a2", 2), ("dl_b", 1)])

    answer = await world.orders.checkout(viewer(), request(delivery="pickup"))

    assert answer.order.total_minor == 3001 + 2000


async def test_what_the_host_promised_on_the_card_travels_with_the_order(world: World) -> None:
    await world.database.write(
        lambda connection: connection.execute(
            promises.insert().values(
                id="pm_1", show_id=SHOW, card_id="ca_1", text="A mini with it", by_account_id="ac_1", at_ms=1
            )
        )
    )

    await world.checkout()

    assert (await world.order()).promises == ["A mini with it"]


async def test_parcels_are_free_from_the_merchants_sum_on(world: World) -> None:
    answer = await world.checkout(qty=3)

    assert answer.order.total_minor == 3 * 1999


async def test_the_price_is_the_one_in_the_ledger_at_checkout(world: World) -> None:
    await world.hold()
    await world.change_deal("dl_a", price_minor=1500)

    answer = await world.orders.checkout(viewer(), request(delivery="pickup"))

    assert answer.order.total_minor == 1500


# --- refusals: each with nothing moved ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"contact_name": "  "}, ["name"]),
        ({"contact": "\x00"}, ["e-mail or phone"]),
        ({"address": ADDRESS.__class__()}, ["street", "postcode", "city", "country"]),
        ({"delivery": "pickup", "pickup_location_id": ""}, ["counter"]),
    ],
)
async def test_an_incomplete_delivery_is_refused_with_what_is_missing(
    world: World, changes: dict[str, object], missing: list[str]
) -> None:
    await world.hold()
    before = await world.everything()

    with pytest.raises(Refused) as refused:
        await world.orders.checkout(viewer(), request(**changes))  # type: ignore[arg-type]

    assert refused.value.why is R.DELIVERY
    assert refused.value.facts == {"missing": missing}
    assert await world.everything() == before
    assert await world.level() == (2, 1, 0, 0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rid": "short"}, R.RID_INVALID),
        ({"rid": "never-heard-of"}, R.NOT_FOUND),
        ({"show_id": "sh_other"}, R.REBUILDING),
        ({"delivery": "pickup", "pickup_location_id": "lo_none"}, R.NOT_FOUND),
        ({"delivery": "pickup", "pickup_location_id": "lo_web"}, R.DELIVERY),
    ],
)
async def test_what_cannot_be_checked_out_is_refused_and_nothing_moves(
    world: World, changes: dict[str, object], why: R
) -> None:
    await world.hold()
    before = await world.everything()

    with pytest.raises(Refused) as refused:
        await world.orders.checkout(viewer(), request(**changes))  # type: ignore[arg-type]

    assert refused.value.why is why
    assert await world.everything() == before
    assert await world.level() == (2, 1, 0, 0)


async def test_another_viewers_hold_cannot_be_checked_out(world: World) -> None:
    await world.hold(1)

    with pytest.raises(Refused) as refused:
        await world.orders.checkout(viewer(2), request(1))

    assert refused.value.why is R.NOT_FOUND
    assert (await world.one(select(func.count()).select_from(orders)))[0] == 0


async def test_the_rid_of_an_order_in_another_show_is_refused(world: World) -> None:
    await world.checkout()

    with pytest.raises(Refused) as refused:
        await world.orders.checkout(viewer(), request(show_id="sh_2"))

    assert refused.value.why is R.RID_REUSED


async def test_a_released_hold_is_gone(world: World) -> None:
    await world.hold()
    await world.engine.release(SHOW, "vw_1", rid())

    with pytest.raises(Refused) as refused:
        await world.orders.checkout(viewer(), request())

    assert refused.value.why is R.HOLD_GONE
    assert await world.deal() == (3, 0, 0)


async def test_sql_has_the_last_word_where_redis_promises_more_than_there_is(world: World) -> None:
    await world.hold()
    await world.change_deal("dl_a", allotted=0)
    before = await world.everything()

    with pytest.raises(Refused) as refused:
        await world.orders.checkout(viewer(), request())

    assert refused.value.why is R.HOLD_GONE
    assert await world.everything() == before


async def test_whatever_is_told_of_an_order_says_how_late_it_is(world: World) -> None:
    """Socket, answer and a look at the ledger may pass each other on the way: each change has a number above those
    before it, her link too, and the desk is told under the same numbers."""
    answer = await world.checkout()
    await world.orders.run_outbox()
    seen = [answer.order.version, (await world.order()).version]
    await world.press(answer, "decline")
    seen.append((await world.order()).version)
    again = await world.orders.retry(viewer(1), answer.order.order_id)
    seen.append(again.order.version)
    await world.press(again)
    seen.append((await world.order()).version)
    assert seen[0] == seen[1]
    assert seen[1:] == sorted(set(seen[1:]))
    hers = [own.order.version for _, own in world.news.own if own.order]
    assert hers == sorted(hers)
    assert hers[-1] == seen[-1]
    assert [desk.order.version for desk in world.news.desk if desk.order] == hers
