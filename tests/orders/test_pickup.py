"""Codes at the counter: readable, found however they are typed, handed out once, and only where one may act."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.errors import R, Refused
from livecommerce.orders.pickup import CODE_ALPHABET, CODE_LENGTH, new_code, qr_svg_file, read_code
from livecommerce.protocol.facts import HoldLine
from tests.orders.world import HQ, NORTH, SOUTH, World, staff, viewer

codes = st.text(CODE_ALPHABET, min_size=CODE_LENGTH, max_size=CODE_LENGTH)


async def paid(world: World, number: int = 1) -> str:
    await world.press(await world.checkout(number, "pickup"))
    return str((await world.order(number)).pickup_code)


def test_codes_have_no_letters_that_look_alike() -> None:
    assert not set(CODE_ALPHABET) & set("0O1IL2Z5S8BU")
    assert read_code(new_code()) is not None


@given(code=codes)
def test_a_code_is_read_however_it_is_typed_or_scanned(code: str) -> None:
    for typed in (code.lower(), f" {code[:3]}-{code[3:]} ", f"https://shop.example/console/pickups/{code}/"):
        assert read_code(typed) == code


@pytest.mark.parametrize("typed", ["", "ABC", "AAAAAAA", "AAAA1A", "../../etc", "AAAAA\x00"])
def test_what_is_no_code_is_not_read(typed: str) -> None:
    assert read_code(typed) is None


def test_a_qr_code_is_a_document_of_its_own() -> None:
    svg = qr_svg_file("KMP4TX").decode()

    assert svg.startswith("<?xml")
    assert 'xmlns="http://www.w3.org/2000/svg"' in svg


async def test_an_order_is_handed_out_once_and_the_second_time_is_told_apart(world: World) -> None:
    code = await paid(world)
    looked = await world.orders.pickup(staff(NORTH), code)

    first = await world.orders.collect(staff(NORTH), code.lower())
    await world.clock.advance(60)
    second = await world.orders.collect(staff(NORTH), code)

    assert (looked.already, first.already, second.already) == (False, False, True)
    assert first.collected_at_ms == second.collected_at_ms == world.clock.now_ms() - 60_000
    assert [line.title for line in first.lines] == ["Lipstick"]
    assert first.test


async def test_the_days_list_has_what_waits_and_what_was_handed_out_today(world: World) -> None:
    first, second = await paid(world, 1), await paid(world, 2)
    await world.orders.collect(staff(NORTH), first)

    today = await world.orders.pickups(staff(NORTH), "lo_north")
    await world.clock.advance(24 * 3600)
    tomorrow = await world.orders.pickups(staff(NORTH), "lo_north")

    assert [(pickup.code, pickup.already) for pickup in today] == [(second, False), (first, True)]
    assert [pickup.code for pickup in tomorrow] == [second]
    assert await world.orders.pickups(staff(HQ), "lo_south") == ()


async def test_another_shops_staff_neither_see_nor_hand_out(world: World) -> None:
    code = await paid(world)
    before = await world.everything()

    for asked in (
        world.orders.pickup(staff(SOUTH), code),
        world.orders.collect(staff(SOUTH), code),
        world.orders.pickups(staff(SOUTH), "lo_north"),
        world.orders.pickups(staff(SOUTH), "lo_web"),
    ):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.why is R.FORBIDDEN
    assert await world.everything() == before


async def test_unknown_codes_and_locations_are_not_found(world: World) -> None:
    for asked in (
        world.orders.collect(staff(), "AAAAAA"),
        world.orders.collect(staff(), "nonsense"),
        world.orders.pickup(staff(), ""),
        world.orders.pickups(staff(), "lo_none"),
    ):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.why is R.NOT_FOUND


async def test_an_order_that_is_sent_has_no_code(world: World) -> None:
    answer = await world.checkout()
    await world.press(answer)

    assert (await world.order()).pickup_code == ""
    with pytest.raises(Refused) as refused:
        await world.orders.pickup_svg(viewer(), answer.order.order_id)
    assert refused.value.why is R.NOT_FOUND
    with pytest.raises(Refused):
        await world.orders.pickup(staff(), "")


async def test_the_desk_sees_orders_and_sums_with_test_orders_left_out_of_revenue(world: World) -> None:
    await world.press(await world.checkout(1, "pickup"))
    await world.checkout(2)
    await world.hold(3)

    seen = await world.orders.orders_of_show(staff(NORTH), "sh_1")

    assert (seen.totals.units_held, seen.totals.units_paying, seen.totals.units_sold) == (1, 1, 1)
    assert (seen.totals.revenue_minor, seen.totals.test_orders, seen.totals.test_minor) == (0, 1, 1999)
    assert seen.totals.orders_confirmed == 1
    assert {(order.order.status, order.test, order.advisor_id) for order in seen.orders} == {
        ("confirmed", True, "ac_1"), ("paying", True, "ac_1"),
    }  # fmt: skip
    assert all(order.order.pay_url == order.order.pickup_code == "" for order in seen.orders)
    assert {(order.order.status, order.counter_name) for order in seen.orders} == {
        ("confirmed", "Counter north"), ("paying", ""),
    }  # fmt: skip


async def test_an_order_names_its_lines_once_they_are_hers_for_good(world: World) -> None:
    answer = await world.checkout()
    (paying,) = await world.orders.orders_of("vw_1", "sh_1")
    await world.press(answer)
    (confirmed,) = await world.orders.orders_of("vw_1", "sh_1")

    assert (paying.lines, confirmed.lines) == ((), (HoldLine("dl_a", 1),))


async def test_the_desk_of_another_shop_sees_nothing(world: World) -> None:
    for who, show, why in ((staff(SOUTH), "sh_1", R.FORBIDDEN), (staff(), "sh_none", R.NOT_FOUND)):
        with pytest.raises(Refused) as refused:
            await world.orders.orders_of_show(who, show)
        assert refused.value.why is why
