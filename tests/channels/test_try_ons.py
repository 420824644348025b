"""Try at the counter: unpaid for a day or two, few per person, and not for those who never come."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from livecommerce.channels.facts import TryOn, TryOnOutcome, TryOnRequest
from livecommerce.channels.service import Channels, channels_over
from livecommerce.channels.try_ons import ASKED_SECONDS, GRACE_SECONDS, MOVES
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import locations, try_ons
from livecommerce.people.service import People
from livecommerce.reservations import keys
from tests.orders.world import NORTH as NORTH_PATH
from tests.orders.world import SOUTH as SOUTH_PATH
from tests.shelves.test_shelves import Dies, DyingEngine
from tests.shelves.world import NORTH, WEB, Shop, everywhere, rid, staff, viewer

BOOK = keys.pool_book(NORTH)
HOURS_MS = 36 * 3_600_000


def wish(number: int, variant_id: str = "va_b", location_id: str = NORTH) -> TryOnRequest:
    return TryOnRequest(rid(number), variant_id, location_id)


async def refused(doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    return caught.value


async def more(shop: Shop, units: int = 10) -> None:
    await shop.stock(units, "va_b", NORTH, "more")


async def pass_time(shop: Shop, channels: Channels, seconds: int) -> None:
    await shop.clock.advance(seconds)
    await shop.redis.hincrby(keys.meta(BOOK), "clk", seconds * 1000)
    await shop.engine.heartbeat(BOOK)
    await channels.try_ons.sweep()


async def states(shop: Shop) -> list[str]:
    return [row.state for row in await shop.all(select(try_ons.c.state).order_by(try_ons.c.at_ms, try_ons.c.id))]


async def test_one_unit_waits_at_the_counter_under_a_code(shop: Shop, channels: Channels) -> None:
    told = await channels.try_ons.ask(viewer(1), wish(1))

    assert (told.state, told.place.name, told.article.label, told.article.qty) == ("kept", "Counter north", "b", 1)
    assert told.until_ms == shop.clock.now_ms() + HOURS_MS
    assert await shop.shelf_level("va_b", NORTH) == (1, 1, 0, 0)
    assert await channels.try_ons.ask(viewer(1), wish(1)) == told
    mine = await channels.try_ons.mine(viewer(1))
    assert (mine.try_ons, mine.most, mine.hours) == ((told,), 2, 36)
    # A day later it still waits; the shop has one unit less all the time.
    await pass_time(shop, channels, 24 * 3600)
    assert await shop.shelf_level("va_b", NORTH) == (1, 1, 0, 0)


@everywhere
async def test_two_at_a_time_and_a_third_when_one_is_decided(shop: Shop, channels: Channels) -> None:
    await more(shop)
    outcomes = await asyncio.gather(
        *(channels.try_ons.ask(viewer(1), wish(number)) for number in range(1, 5)), return_exceptions=True
    )
    kept = [each for each in outcomes if isinstance(each, TryOn)]
    no = [each for each in outcomes if isinstance(each, Refused)]
    assert len(kept) == 2
    assert {each.why for each in no} == {R.TRY_ON_LIMIT}
    assert (await shop.shelf_level("va_b", NORTH))[1] == 2
    assert (await channels.try_ons.ask(viewer(2), wish(9))).state == "kept"  # another person's limit is hers

    await channels.try_ons.give_up(viewer(1), kept[0].try_on_id)
    assert (await shop.shelf_level("va_b", NORTH))[1] == 2
    assert (await channels.try_ons.ask(viewer(1), wish(5))).state == "kept"


async def test_who_does_not_come_is_remembered_for_a_while(shop: Shop, channels: Channels) -> None:
    await more(shop)
    for number in (1, 2, 3):
        await channels.try_ons.ask(viewer(1), wish(number))
        await pass_time(shop, channels, HOURS_MS // 1000 + GRACE_SECONDS)
    assert await states(shop) == ["missed"] * 3
    assert (await shop.shelf_level("va_b", NORTH))[1] == 0

    no = await refused(channels.try_ons.ask(viewer(1), wish(4)))
    assert (no.why, no.facts["count"]) == (R.NO_SHOWS, 3)
    assert no.text.startswith("Items set aside for you were not tried 3 times. You can ask again from 20")
    assert (await shop.shelf_level("va_b", NORTH))[1] == 0
    assert (await channels.try_ons.ask(viewer(2), wish(5))).state == "kept"
    await shop.clock.advance(30 * 86_400)
    assert (await channels.try_ons.ask(viewer(1), wish(6))).state == "kept"


async def test_a_clock_that_stood_still_makes_no_no_show(shop: Shop, channels: Channels) -> None:
    """While Redis was away the hold lived on, and so does what she was told."""
    await channels.try_ons.ask(viewer(1), wish(1))
    await shop.clock.advance(HOURS_MS / 1000 + 2 * GRACE_SECONDS)
    await channels.try_ons.sweep()

    assert await states(shop) == ["kept"]


async def test_sold_out_is_refused_counts_for_nothing_and_may_be_asked_again(shop: Shop, channels: Channels) -> None:
    await shop.take(3, 2, "va_b", NORTH)
    assert (await refused(channels.try_ons.ask(viewer(1), wish(1)))).why is R.SOLD_OUT
    assert await states(shop) == ["refused"]
    assert (await channels.try_ons.mine(viewer(1))).try_ons == ()
    await shop.engine.release(BOOK, viewer(3).viewer_id, rid(3))

    assert (await channels.try_ons.ask(viewer(1), wish(1))).state == "kept"


async def test_a_warehouse_is_no_counter_and_a_rid_is_one_wish(shop: Shop, channels: Channels) -> None:
    assert (await refused(channels.try_ons.ask(viewer(1), wish(1, "va_a", WEB)))).why is R.NOT_SOLD_HERE
    assert (await refused(channels.try_ons.ask(viewer(1), wish(1, "va_a")))).why is R.NOT_SOLD_HERE
    await channels.try_ons.ask(viewer(1), wish(2))
    assert (await refused(channels.try_ons.ask(viewer(1), wish(2, "va_a")))).why is R.RID_REUSED


# --- at the counter -------------------------------------------------------------------------------------------------


@everywhere
async def test_she_comes_and_buys(shop: Shop, channels: Channels) -> None:
    told = await channels.try_ons.ask(viewer(1), wish(1))
    at_counter = await channels.try_ons.at_counter(staff(NORTH_PATH, "advisor"), NORTH)
    assert [(each.code, each.name) for each in at_counter.try_ons] == [(told.code, "Viewer 1")]

    bought = TryOnOutcome("bought", "R-77")
    done = await channels.try_ons.outcome(staff(NORTH_PATH, "advisor"), told.code.lower(), bought)
    assert done.state == "bought"
    assert await channels.try_ons.outcome(staff(NORTH_PATH, "advisor"), told.code, bought) == done
    await shop.orders.run_outbox()
    page = await shop.orders.page(viewer(1), done.order_id)
    assert (page.order.status, page.lines[0].qty) == ("confirmed", 1)
    assert await shop.shelf_level("va_b", NORTH) == (1, 0, 0, 1)
    await shop.assert_every_unit_is_in_one_place()


@pytest.mark.parametrize("outcome", ["came", "missed"])
async def test_she_does_not_buy_and_the_unit_is_on_sale_again(shop: Shop, channels: Channels, outcome: Any) -> None:
    told = await channels.try_ons.ask(viewer(1), wish(1))
    done = await channels.try_ons.outcome(staff(), told.code, TryOnOutcome(outcome))

    assert done.state == outcome
    assert await channels.try_ons.outcome(staff(), told.code, TryOnOutcome(outcome)) == done
    assert await shop.shelf_level("va_b", NORTH) == (2, 0, 0, 0)
    other: Any = "missed" if outcome == "came" else "came"
    assert (await refused(channels.try_ons.outcome(staff(), told.code, TryOnOutcome(other)))).why is R.CONFLICT
    assert (await refused(channels.try_ons.outcome(staff(), told.code, TryOnOutcome("bought", "R")))).why is R.CONFLICT
    assert (await refused(channels.try_ons.give_up(viewer(1), told.try_on_id))).why is R.CONFLICT


async def test_only_her_own_counter_decides(shop: Shop, channels: Channels) -> None:
    told = await channels.try_ons.ask(viewer(1), wish(1))
    stranger = staff(SOUTH_PATH, "advisor")

    assert (await refused(channels.try_ons.at_counter(stranger, NORTH))).why is R.FORBIDDEN
    assert (await refused(channels.try_ons.outcome(stranger, told.code, TryOnOutcome("came")))).why is R.FORBIDDEN
    assert (await refused(channels.try_ons.outcome(staff(), "AAAAAA", TryOnOutcome("came")))).why is R.NOT_FOUND
    assert (await refused(channels.try_ons.outcome(staff(), told.code, TryOnOutcome("bought")))).why is R.MALFORMED
    assert (await refused(channels.try_ons.give_up(viewer(2), told.try_on_id))).why is R.NOT_FOUND
    assert await states(shop) == ["kept"]


# --- what dies on the way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "ends_as"), [("before", "refused"), ("after", "kept")])
async def test_a_process_that_dies_while_it_sets_aside_is_settled_by_what_redis_knows(
    shop: Shop, channels: Channels, when: str, ends_as: str
) -> None:
    engine: Any = DyingEngine(shop.engine, "keep", when)
    if when == "before":
        engine = DyingEngine(shop.engine, "reserve", when)
    people = People(shop.database, shop.redis, shop.settings, shop.clock)
    dying = channels_over(
        shop.database, engine, shop.process(engine=engine), shop.orders, people, shop.catalogue, shop.settings,
        shop.clock,
    )  # fmt: skip
    with pytest.raises(Dies):
        await dying.try_ons.ask(viewer(1), wish(1))
    assert await states(shop) == ["asked"]
    await shop.clock.advance(ASKED_SECONDS)
    await channels.try_ons.sweep()

    assert await states(shop) == [ends_as]
    assert (await shop.shelf_level("va_b", NORTH))[1] == (1 if ends_as == "kept" else 0)


async def test_a_decision_whose_process_died_frees_the_unit_by_the_sweep(shop: Shop, channels: Channels) -> None:
    told = await channels.try_ons.ask(viewer(1), wish(1))
    decided = update(try_ons).where(try_ons.c.id == told.try_on_id)
    values = {"state": "came", "decided_at_ms": shop.clock.now_ms()}
    await shop.database.write(lambda connection: connection.execute(decided.values(values)))
    await channels.try_ons.sweep()

    assert await shop.shelf_level("va_b", NORTH) == (2, 0, 0, 0)


def test_no_state_leads_back_to_a_wish_that_was_decided() -> None:
    assert {after for afters in MOVES.values() for after in afters} - set(MOVES) == {
        "came", "bought", "missed", "given_up",
    }  # fmt: skip


async def test_a_place_of_nobody_is_headquarters(shop: Shop, channels: Channels) -> None:
    await shop.database.write(
        lambda connection: connection.execute(insert(locations).values(id="lo_x", kind="shop", name="X"))
    )
    assert (await channels.try_ons.at_counter(staff(), "lo_x")).try_ons == ()
    assert (await refused(channels.try_ons.at_counter(staff(NORTH_PATH), "lo_x"))).why is R.FORBIDDEN
