"""The till: sets aside, sells with a receipt, gives back, and reads stock; each rid is one thing, once."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update

from livecommerce.channels.facts import TillHoldRequest, TillLine, TillSaleRequest
from livecommerce.channels.service import Channels
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import orders, payments, variants
from livecommerce.people.merchant import ApiKeys
from livecommerce.reservations import keys
from tests.shelves.world import BOOK, NORTH, WEB, Shop, everywhere, rid, viewer


def lines(*wanted: tuple[str, int]) -> tuple[TillLine, ...]:
    return tuple(TillLine(variant_id, qty=qty) for variant_id, qty in wanted)


def sale(number: int, *wanted: tuple[str, int], receipt: str = "") -> TillSaleRequest:
    return TillSaleRequest(rid(number), receipt or f"R-{number}", lines(*wanted))


async def refused(doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    return caught.value


async def test_a_sale_is_paid_and_handed_out_in_one_go(shop: Shop, channels: Channels) -> None:
    sold = await channels.tills.sell(NORTH, sale(1, ("va_b", 2)))
    await shop.orders.run_outbox()

    order = sold.order
    assert (order.order.status, order.order.total_minor, order.order.pickup_code) == ("confirmed", 5000, "")
    assert order.collected_at_ms == order.paid_at_ms == shop.clock.now_ms()
    assert (await shop.shelf("va_b", NORTH), await shop.shelf_level("va_b", NORTH)) == ((2, 0, 2), (0, 0, 0, 2))
    row = await shop.one(select(orders))
    assert (row.shop_id, row.show_id) == ("ou_north", keys.pool_book(NORTH))
    paid = await shop.one(select(payments))
    assert (paid.provider, paid.provider_ref, paid.status) == ("till", f"{NORTH}/R-1", "captured")
    await shop.assert_every_unit_is_in_one_place()


@everywhere
async def test_a_sale_that_is_sent_again_is_the_same_sale(shop: Shop, channels: Channels) -> None:
    first = await channels.tills.sell(WEB, sale(1, ("va_a", 2)))
    again = await asyncio.gather(*(channels.tills.sell(WEB, sale(1, ("va_a", 2))) for _ in range(5)))

    assert {each.order.order.number for each in again} == {first.order.order.number}
    assert (await shop.shelf())[2] == 2
    assert len(await shop.all(select(payments))) == 1


@everywhere
async def test_a_rid_or_a_receipt_of_another_sale_is_refused_and_sells_nothing(shop: Shop, channels: Channels) -> None:
    await channels.tills.sell(WEB, sale(1, ("va_a", 2)))

    assert (await refused(channels.tills.sell(WEB, sale(1, ("va_a", 3))))).why is R.RID_REUSED
    assert (await refused(channels.tills.sell(WEB, sale(1, ("va_a", 2), receipt="R-9")))).why is R.RID_REUSED
    no = await refused(channels.tills.sell(WEB, sale(2, ("va_a", 1), receipt="R-1")))
    assert (no.why, no.text) == (R.RECEIPT, "This receipt stands under another sale already.")
    assert (await shop.shelf())[1:] == (0, 2)
    await shop.orders.run_outbox()
    assert await shop.shelf_level() == (22, 0, 0, 2)
    await shop.assert_every_unit_is_in_one_place()


async def test_one_receipt_for_two_sales_at_once_is_settled_by_the_commit(shop: Shop, channels: Channels) -> None:
    sales = [channels.tills.sell(WEB, sale(number, ("va_a", 1), receipt="R-1")) for number in (1, 2)]
    outcomes = await asyncio.gather(*sales, return_exceptions=True)

    assert [each.why for each in outcomes if isinstance(each, Refused)] == [R.RECEIPT]
    assert (await shop.shelf())[1:] == (0, 1)
    await shop.redis.hincrby(keys.meta(BOOK), "clk", 60_000)  # what was taken for the refused one goes back
    assert await shop.orders.sweep_unwritten() == 1
    await shop.orders.run_outbox()
    await shop.assert_every_unit_is_in_one_place()


async def test_what_the_till_set_aside_is_sold_later_or_given_back(shop: Shop, channels: Channels) -> None:
    held = await channels.tills.hold(WEB, TillHoldRequest(rid(1), lines(("va_a", 3)), minutes=120))
    assert (held.state, held.total_minor) == ("held", 7500)
    assert held.due_at_ms == shop.clock.now_ms() + 120 * 60_000
    again = await channels.tills.hold(WEB, TillHoldRequest(rid(1), lines(("va_a", 3)), minutes=120))
    assert again.due_at_ms is not None
    assert again.due_at_ms <= held.due_at_ms

    await channels.tills.hold(WEB, TillHoldRequest(rid(2), lines(("va_a", 1))))
    assert (await channels.tills.release(WEB, rid(2))).state == "released"
    assert (await channels.tills.sell(WEB, sale(1))).order.order.status == "confirmed"
    assert (await refused(channels.tills.release(WEB, rid(1)))).why is R.CONFLICT
    assert (await refused(channels.tills.sell(WEB, sale(2)))).why is R.HOLD_GONE
    assert (await refused(channels.tills.sell(WEB, sale(3)))).why is R.NOT_FOUND


async def test_an_article_goes_by_its_bar_code_where_only_one_carries_it(shop: Shop, channels: Channels) -> None:
    async def print_codes(**by_variant: str) -> None:
        for variant_id, code in by_variant.items():
            change = update(variants).where(variants.c.id == variant_id).values(barcode=code)
            await shop.database.write(lambda connection, change=change: connection.execute(change))  # type: ignore[misc]

    await print_codes(va_a="4006381333931")
    request = TillSaleRequest(rid(1), "R-1", (TillLine(barcode="4006381333931"),))
    assert (await channels.tills.sell(WEB, request)).order.lines[0].label == "a"
    assert (await refused(channels.tills.sell(NORTH, request))).why is R.NOT_SOLD_HERE

    await print_codes(va_b="4006381333931")
    again = TillSaleRequest(rid(2), "R-2", (TillLine(barcode="4006381333931"),))
    assert (await refused(channels.tills.sell(WEB, again))).why is R.MALFORMED
    assert (await refused(channels.tills.sell(WEB, TillSaleRequest(rid(3), "R-3", (TillLine(),))))).why is R.MALFORMED


@everywhere
async def test_stock_says_what_is_free_and_where_the_rest_is(shop: Shop, channels: Channels) -> None:
    await shop.take(1, 2)
    await channels.tills.sell(WEB, sale(5, ("va_a", 4)))
    await shop.take(2, 1)
    await shop.shop_checkout(2)
    await shop.orders.run_outbox()

    stock = await channels.tills.stock(WEB, variant_id="va_a")
    [line] = stock.lines
    assert (line.free, line.set_aside, line.being_paid, line.in_shows) == (30 - 7, 2, 1, 6)
    assert (await channels.tills.stock(NORTH)).lines[0].free == 2
    assert [each.variant_id for each in (await channels.tills.stock(WEB, after="va_a")).lines] == ["va_b"]
    assert (await refused(channels.tills.stock("lo_nowhere"))).why is R.NOT_FOUND


@everywhere
async def test_tills_web_shop_and_a_live_deal_never_sell_one_unit_twice(shop: Shop, channels: Channels) -> None:
    """The race for the last units: every sale that was answered stands, and no more than there were."""
    await shop.plan_deal("dl_race", 10)

    async def outcome(doing: Any) -> str:
        try:
            await doing
        except Refused as no:
            return no.why.value.word
        return "done"

    tills = [channels.tills.sell(WEB, sale(number, ("va_a", 1))) for number in range(100, 120)]
    shoppers = [shop.take(number) for number in range(1, 21)]
    *taken, opened = await asyncio.gather(*map(outcome, (*tills, *shoppers, shop.open_deal("dl_race"))))
    await shop.orders.run_outbox()

    assert set(taken) <= {"done", "sold_out"}
    assert taken.count("done") == 30 - (10 if opened == "done" else 0)
    assert (await shop.shelf())[2] == taken[:20].count("done")
    await shop.assert_every_unit_is_in_one_place()


async def test_a_tills_key_opens_its_own_place_and_nothing_else(shop: Shop) -> None:
    api_keys = ApiKeys(shop.database, shop.clock)
    here, everywhere, site = (
        await api_keys.make_for_till("till 1", NORTH), await api_keys.make_for_till("all tills"),
        await api_keys.make("web shop"),
    )  # fmt: skip

    assert await api_keys.prove_till(here, NORTH) == "till 1"
    assert await api_keys.prove_till(everywhere, WEB) == "all tills"
    assert (await refused(api_keys.prove_till(here, WEB))).why is R.FORBIDDEN
    assert (await refused(api_keys.prove_till(site, NORTH))).why is R.TOKEN_INVALID
    assert (await refused(api_keys.prove(here))).why is R.TOKEN_INVALID
    await api_keys.revoke(here)
    assert (await refused(api_keys.prove_till(here, NORTH))).why is R.TOKEN_INVALID


async def test_a_viewer_cannot_be_mistaken_for_a_till(shop: Shop, channels: Channels) -> None:
    await shop.take(1, 1)
    assert (await refused(channels.tills.release(WEB, rid(1)))).why is R.NOT_FOUND
    assert viewer(1).viewer_id != (await channels.tills._till(WEB, rid(1))).viewer_id
