"""An advisor's basket: set aside when its customer opens it, paid by her, credited to the advisor."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from livecommerce.channels.baskets import OPEN_DAYS
from livecommerce.channels.facts import NewBasket, StaffBasket, WantedLine
from livecommerce.channels.service import Channels
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import orders
from livecommerce.orders.facts import CheckoutRequest
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.protocol.facts import Hold
from tests.orders.world import ADDRESS, NORTH
from tests.shelves.world import BOOK, WEB, Shop, everywhere, viewer

CLARA = StaffIdentity("ac_1", "Clara", "clara@example.com", "advisor", "ou_north", NORTH)
ANA = ViewerIdentity("vw_1", "Ana")  # came by nobody's link


async def refused(doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    return caught.value


async def made(channels: Channels, qty: int = 2, **changes: Any) -> StaffBasket:
    given = {"customer": "Ana", "note": "As we said", "hold_minutes": 240, **changes}
    return await channels.baskets.make(CLARA, NewBasket(WEB, (WantedLine("va_a", qty),), **given))


async def test_a_basket_keeps_nothing_from_anybody_until_it_is_opened(shop: Shop, channels: Channels) -> None:
    told = await made(channels)

    assert told.url.endswith(f"/basket/{told.basket.word}")
    assert told.qr_svg.startswith("<svg")
    basket = await channels.baskets.look(told.basket.word, None)
    assert (basket.state, basket.advisor_name, basket.customer, basket.subtotal_minor) == ("open", "Clara", "Ana", 5000)
    assert await shop.redis.exists("{pool:lo_web}:meta") == 0


async def test_the_customer_takes_it_pays_it_and_the_advisor_is_credited(shop: Shop, channels: Channels) -> None:
    told = await made(channels)
    hold = await channels.baskets.take(ANA, told.basket.word)
    assert (hold.state, hold.show_id) == ("held", BOOK)
    assert hold.due_at_ms == shop.clock.now_ms() + 240 * 60_000
    again = await channels.baskets.take(ANA, told.basket.word)
    assert again.ticket == hold.ticket
    assert (await shop.shelf_level())[1] == 2
    [bag] = (await channels.bags.all(ANA)).bags
    assert (bag.from_advisor, bag.rid, bag.subtotal_minor) == ("Clara", told.basket_id, 5000)
    assert (await channels.baskets.look(told.basket.word, ANA)).state == "taken"

    request = CheckoutRequest(BOOK, bag.rid, "ship", "Ana", "ana@example.com", ADDRESS)
    await shop.press(await shop.orders.checkout(ANA, request))
    row = await shop.one(select(orders))
    assert (row.status, row.advisor_id, row.shop_id) == ("confirmed", "ac_1", "ou_north")
    [mine] = (await channels.baskets.of_advisor(CLARA)).baskets
    assert (mine.taken, mine.order_status) == (True, "confirmed")


@everywhere
async def test_who_takes_it_first_has_it(shop: Shop, channels: Channels) -> None:
    told = await made(channels)
    takes = [channels.baskets.take(viewer(number), told.basket.word) for number in range(1, 5)]
    outcomes = await asyncio.gather(*takes, return_exceptions=True)

    assert sum(isinstance(each, Hold) for each in outcomes) == 1
    assert {each.why for each in outcomes if isinstance(each, Refused)} == {R.CONFLICT}
    assert (await shop.shelf_level())[1] == 2
    assert (await channels.baskets.look(told.basket.word, None)).state == "gone"


async def test_what_was_sold_meanwhile_is_refused_and_can_be_tried_again(shop: Shop, channels: Channels) -> None:
    told = await made(channels)
    await shop.take(3, 29)
    assert (await refused(channels.baskets.take(ANA, told.basket.word))).why is R.SOLD_OUT
    await shop.engine.release(BOOK, viewer(3).viewer_id, "rid-000003")

    assert (await channels.baskets.take(ANA, told.basket.word)).state == "held"


async def test_a_basket_that_is_withdrawn_or_old_opens_no_more(shop: Shop, channels: Channels) -> None:
    told, old = await made(channels), await made(channels)
    await channels.baskets.withdraw(CLARA, told.basket_id)
    assert (await refused(channels.baskets.take(ANA, told.basket.word))).why is R.CONFLICT
    await shop.clock.advance(OPEN_DAYS * 86_400)
    assert (await refused(channels.baskets.take(ANA, old.basket.word))).why is R.CONFLICT
    assert (await channels.baskets.look(old.basket.word, ANA)).state == "gone"
    assert await shop.redis.exists("{pool:lo_web}:meta") == 0


async def test_baskets_that_cannot_be_are_refused_when_they_are_made(shop: Shop, channels: Channels) -> None:
    assert (await refused(made(channels, 11))).why is R.QUANTITY
    assert (await refused(made(channels, hold_minutes=24 * 60 + 1))).why is R.MALFORMED
    north = NewBasket("lo_north", (WantedLine("va_a"),))
    assert (await refused(channels.baskets.make(CLARA, north))).why is R.NOT_SOLD_HERE
    assert (await refused(channels.baskets.look("nothing", None))).why is R.NOT_FOUND
    assert (await refused(channels.baskets.withdraw(CLARA, "bsk_nothing"))).why is R.NOT_FOUND
