"""The web shop's bag: one hold per viewer and place, changed as a whole, and not for ever."""

from typing import Any

import pytest

from livecommerce.channels.facts import Bag, BagChange, WantedLine
from livecommerce.channels.service import Channels
from livecommerce.errors import R, Refused
from livecommerce.reservations import keys
from tests.shelves.world import BOOK, NORTH, WEB, Shop, everywhere, rid, viewer


def change(number: int, *lines: tuple[str, int], replaces: int = 0, location_id: str = WEB) -> BagChange:
    wanted = tuple(WantedLine(variant_id, qty) for variant_id, qty in lines)
    return BagChange(location_id, rid(number), wanted, rid(replaces) if replaces else "")


async def refused(doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    return caught.value


def told(bag: Bag) -> list[tuple[str, int, int]]:
    return [(line.variant_id, line.qty, line.unit_minor) for line in bag.lines]


async def test_what_is_put_into_the_bag_is_hers_until_its_clock_ends(shop: Shop, channels: Channels) -> None:
    bag = await channels.bags.change(viewer(1), change(1, ("va_a", 2)))

    assert told(bag) == [("va_a", 2, 2500)]
    assert (bag.book_id, bag.place.name, bag.subtotal_minor, bag.qty_most) == (BOOK, "Warehouse", 5000, 10)
    assert bag.due_at_ms == shop.clock.now_ms() + 900_000
    assert (await shop.shelf_level())[1] == 2
    [listed] = (await channels.bags.all(viewer(1))).bags
    assert (listed.rid, listed.lines, listed.place) == (bag.rid, bag.lines, bag.place)
    assert (await channels.bags.all(viewer(2))).bags == ()

    await shop.redis.hincrby(keys.meta(BOOK), "clk", 900_000)
    assert (await channels.bags.all(viewer(1))).bags == ()
    assert (await shop.shelf_level())[1] == 0


@everywhere
async def test_a_change_takes_the_place_of_the_bag_that_was(shop: Shop, channels: Channels) -> None:
    await channels.bags.change(viewer(1), change(1, ("va_a", 2)))
    bag = await channels.bags.change(viewer(1), change(2, ("va_a", 5), replaces=1))
    again = await channels.bags.change(viewer(1), change(2, ("va_a", 5), replaces=1))

    assert told(bag) == told(again) == [("va_a", 5, 2500)]
    assert [each.rid for each in (await channels.bags.all(viewer(1))).bags] == [rid(2)]
    assert (await shop.shelf_level())[1] == 5


async def test_the_last_units_in_her_own_bag_are_no_obstacle_to_her(shop: Shop, channels: Channels) -> None:
    await shop.take(9, 21)
    await channels.bags.change(viewer(1), change(1, ("va_a", 8)))
    no = await refused(channels.bags.change(viewer(1), change(2, ("va_a", 10), replaces=1)))
    assert no.why is R.SOLD_OUT
    assert told((await channels.bags.all(viewer(1))).bags[0]) == [("va_a", 8, 2500)]

    bag = await channels.bags.change(viewer(1), change(3, ("va_a", 9), replaces=1))
    assert told(bag) == [("va_a", 9, 2500)]
    await shop.assert_every_unit_is_in_one_place()


async def test_a_second_tab_cannot_make_a_second_bag_of_one_place(shop: Shop, channels: Channels) -> None:
    await channels.bags.change(viewer(1), change(1, ("va_a", 2)))
    no = await refused(channels.bags.change(viewer(1), change(2, ("va_a", 1))))

    assert (no.why, no.facts) == (R.CONFLICT, {"rid": rid(1)})
    other = await channels.bags.change(viewer(1), change(3, ("va_b", 1), location_id=NORTH))
    assert [bag.place.kind for bag in (await channels.bags.all(viewer(1))).bags] == ["warehouse", "shop"]
    assert other.place.hours == "10–19"


async def test_a_bag_that_is_changed_for_ever_comes_to_its_end(shop: Shop, channels: Channels) -> None:
    await channels.bags.change(viewer(1), change(1, ("va_a", 1)))
    await shop.clock.advance(50 * 60)
    await channels.bags.change(viewer(1), change(2, ("va_a", 2), replaces=1))
    await shop.clock.advance(11 * 60)
    no = await refused(channels.bags.change(viewer(1), change(3, ("va_a", 3), replaces=2)))

    assert no.why is R.BAG_TIME
    assert "60 minutes" in no.text
    assert (await shop.shelf_level())[1] == 2


@pytest.mark.parametrize("qty", [0, -1, 11, 2**31])
async def test_quantities_outside_of_the_shops_limit_move_nothing(shop: Shop, channels: Channels, qty: int) -> None:
    no = await refused(channels.bags.change(viewer(1), change(1, ("va_a", qty))))

    assert (no.why, no.facts) == (R.QUANTITY, {"variant_id": "va_a", "most": 10})
    assert await shop.redis.exists(keys.meta(BOOK)) == 0


async def test_a_bag_is_let_go_once_and_strangers_bags_are_not_there(shop: Shop, channels: Channels) -> None:
    await channels.bags.change(viewer(1), change(1, ("va_a", 2)))
    assert (await refused(channels.bags.let_go(viewer(2), rid(1)))).why is R.NOT_FOUND
    assert (await refused(channels.bags.change(viewer(2), change(2, ("va_a", 1), replaces=1)))).why is R.NOT_FOUND

    assert (await channels.bags.let_go(viewer(1), rid(1))).bags == ()
    assert (await channels.bags.let_go(viewer(1), rid(1))).bags == ()
    assert (await shop.shelf_level())[1] == 0
    assert (await refused(channels.bags.change(viewer(1), change(3, ("va_a", 1), replaces=1)))).why is R.HOLD_GONE


async def test_a_bag_is_paid_like_everything_else(shop: Shop, channels: Channels) -> None:
    await channels.bags.change(viewer(1), change(1, ("va_a", 2)))
    answer = await shop.shop_checkout(1)
    assert [bag.state for bag in (await channels.bags.all(viewer(1))).bags] == ["paying"]
    assert (await refused(channels.bags.let_go(viewer(1), rid(1)))).why is R.CONFLICT
    await shop.press(answer)

    assert await shop.status(1) == "confirmed"
    assert (await channels.bags.all(viewer(1))).bags == ()
    await shop.assert_every_unit_is_in_one_place()
