"""Shelves: what every channel of a place sells, filled from its pool as it is asked for, and given back when needed."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update

from livecommerce.audit.books import BooksReader, books_of
from livecommerce.audit.breaches import breaches
from livecommerce.background.journal import JournalToLedger
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import movements, orders, products, shelves, variants
from livecommerce.reservations import keys
from tests.shelves.world import BOOK, NORTH, SHELF_UNITS, SHOW, WEB, Shop, everywhere, rid, viewer


async def refused(doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    return caught.value


async def test_nothing_lies_in_redis_before_somebody_asks(shop: Shop, redis: Redis) -> None:
    assert await redis.exists(keys.meta(BOOK)) == 0
    assert await shop.all(select(shelves)) == []


async def test_the_first_request_fills_the_shelf_by_a_shelfs_measure(shop: Shop) -> None:
    hold = await shop.take(1, 2)

    assert (hold.state, hold.show_id) == ("held", BOOK)
    assert await shop.shelf() == (SHELF_UNITS, 0, 0)
    assert await shop.shelf_level() == (SHELF_UNITS - 2, 2, 0, 0)
    # Six and two of the deals' own are there before: 36 in all, 6 of them in the deals of the show.
    assert await shop.pool_at() == (36, 30 - SHELF_UNITS, SHELF_UNITS + 6, 0)
    await shop.assert_every_unit_is_in_one_place()


async def test_sold_out_is_said_only_when_pool_and_shelf_are_empty(shop: Shop) -> None:
    for number in range(1, 31):
        await shop.take(number)
    no = await refused(shop.take(31))

    assert no.why is R.SOLD_OUT
    assert (no.facts["variant_id"], no.facts["held"]) == ("va_a", 30)
    await shop.shelves.reserve("web", viewer(1), NORTH, rid(100), [("va_b", 2)])
    assert (await refused(shop.take(32, 1, "va_b", NORTH))).why is R.SOLD_OUT
    await shop.assert_every_unit_is_in_one_place()


async def test_the_same_rid_gets_the_same_hold_and_another_body_is_refused(shop: Shop) -> None:
    first = await shop.take(1, 2)
    again = await shop.take(1, 2)

    assert (again.ticket, again.lines) == (first.ticket, first.lines)
    assert (await refused(shop.take(1, 3))).why is R.RID_REUSED
    assert (await shop.shelf_level())[1] == 2


async def test_what_a_place_has_no_pool_of_is_not_sold_there_and_leaves_no_trace(shop: Shop) -> None:
    no = await refused(shop.take(1, 1, "va_a", NORTH))

    assert no.why is R.NOT_SOLD_HERE
    assert no.facts == {"variant_id": "va_a", "location_id": NORTH}
    assert (await refused(shop.take(1, 1, "va_nothing"))).why is R.NOT_SOLD_HERE
    assert await shop.all(select(shelves)) == []


@pytest.mark.parametrize(("table", "change"), [(variants, {"retired": True}), (products, {"published": False})])
async def test_what_the_shop_does_not_show_is_sold_at_the_till_only(shop: Shop, table: Any, change: Any) -> None:
    await shop.database.write(lambda connection: connection.execute(update(table).values(change)))

    assert (await refused(shop.take(1))).why is R.NOT_SOLD_HERE
    assert (await shop.take(2, channel="till")).state == "held"


async def test_a_quantity_that_nobody_can_mean_is_refused_and_nothing_moves(shop: Shop) -> None:
    await shop.take(1)
    before = await shop.shelf_level(), await shop.shelf()

    for qty in (0, -1, 1001, 2**31):
        assert (await refused(shop.take(2, qty))).why is R.QUANTITY
    assert (await shop.shelf_level(), await shop.shelf()) == before


# --- orders ---------------------------------------------------------------------------------------------------------


@everywhere
async def test_an_order_from_the_shelf_goes_the_way_of_every_order(shop: Shop) -> None:
    await shop.take(1, 2)
    answer = await shop.shop_checkout(1)
    assert await shop.shelf() == (SHELF_UNITS, 2, 0)
    await shop.press(answer)

    assert await shop.status(1) == "confirmed"
    assert await shop.shelf() == (SHELF_UNITS, 0, 2)
    assert await shop.shelf_level() == (SHELF_UNITS - 2, 0, 0, 2)
    assert (await shop.pool_at())[3] == 2
    assert await shop.movement_kinds(1) == ["order_paying", "order_confirmed"]
    page = await shop.orders.page(viewer(1), (await shop.order(1)).id)
    assert [(line.title, line.label, line.qty) for line in page.lines] == [("Lipstick", "a", 2)]
    await shop.assert_every_unit_is_in_one_place()


async def test_what_is_not_paid_goes_back_to_the_shelf(shop: Shop) -> None:
    await shop.take(1, 2)
    await shop.shop_checkout(1)
    await shop.pass_deadline()

    assert await shop.status(1) == "expired"
    assert await shop.shelf_level() == (SHELF_UNITS, 0, 0, 0)
    await shop.assert_every_unit_is_in_one_place()


async def test_late_money_for_a_shelf_is_served_again_where_units_are_left(shop: Shop) -> None:
    await shop.take(1, 2)
    answer = await shop.shop_checkout(1)
    await shop.press(answer, "late")
    await shop.pass_deadline()
    await shop.pass_deadline()

    assert await shop.status(1) == "confirmed"
    assert (await shop.shelf_level())[3] == 2
    await shop.assert_every_unit_is_in_one_place()


async def test_the_price_is_the_one_that_stood_when_it_was_set_aside(shop: Shop) -> None:
    await shop.take(1, 2)
    change = update(variants).where(variants.c.id == "va_a").values(price_minor=9900)
    await shop.database.write(lambda connection: connection.execute(change))
    await shop.take(2, 1)
    await shop.shop_checkout(1)
    await shop.shop_checkout(2)

    assert (await shop.order(1)).subtotal_minor == 2 * 2500
    assert (await shop.order(2)).subtotal_minor == 9900


async def test_what_lies_in_a_shop_is_collected_there(shop: Shop) -> None:
    await shop.take(1, 1, "va_b", NORTH)
    request = (await refused(shop.orders.checkout(viewer(1), _shipped(NORTH)))).why
    assert request is R.DELIVERY
    answer = await shop.shop_checkout(1, NORTH)

    assert answer.order.status == "paying"
    assert (await shop.one(select(orders.c.pickup_location_id))).pickup_location_id == NORTH


async def test_a_gap_after_begin_pay_is_closed_in_the_books_of_a_place_too(shop: Shop) -> None:
    await shop.take(1, 1)
    await shop.engine.begin_pay(BOOK, viewer(1).viewer_id, rid(1), 1000)
    await shop.redis.hincrby(keys.meta(BOOK), "clk", 2000)
    await shop.engine.heartbeat(BOOK)

    assert await shop.orders.sweep_unwritten() == 1
    assert await shop.shelf_level() == (SHELF_UNITS, 0, 0, 0)
    assert (await refused(shop.shop_checkout(1))).why is R.HOLD_GONE


# --- what shows and the stock room take from a shelf ----------------------------------------------------------------


@everywhere
async def test_a_deal_opens_with_units_of_the_pool_first_and_of_the_shelf_then(shop: Shop) -> None:
    await shop.take(1, 2)  # 6 in the pool, 22 on the shelf, 2 held
    await shop.plan_deal("dl_big", 20)
    await shop.open_deal("dl_big")

    assert await shop.deal("dl_big") == (20, 0, 0)
    _, levels = await shop.engine.levels("sh_1")
    assert levels["dl_big"].available == 20
    assert await shop.shelf_level() == (8, 2, 0, 0)
    assert (await shop.pool_at())[1] == 0
    await shop.assert_every_unit_is_in_one_place()


async def test_a_deal_that_wants_more_than_there_is_is_refused_with_what_is_left(shop: Shop) -> None:
    await shop.take(1, 2)
    await shop.plan_deal("dl_big", 29)
    no = await refused(shop.open_deal("dl_big"))

    assert no.why is R.STOCK_SHORT
    assert no.facts["free"] == 28
    assert (await shop.deal("dl_big"))[0] == 0
    assert (await shop.shelf_level())[1] == 2
    await shop.assert_every_unit_is_in_one_place()
    await shop.take(2, 28)  # what came home for nothing is on sale as before


async def test_what_a_closing_deal_gives_back_is_on_sale_in_the_shop(shop: Shop) -> None:
    await shop.plan_deal("dl_all", 30)
    await shop.open_deal("dl_all")
    assert (await refused(shop.take(1))).why is R.SOLD_OUT
    await shop.close_deal("dl_all")

    assert (await shop.take(1, 30)).state == "held"
    await shop.assert_every_unit_is_in_one_place()


@everywhere
async def test_stock_can_be_taken_away_also_from_the_shelf_but_not_what_is_held(shop: Shop) -> None:
    await shop.take(1, 2)
    pool = await shop.shelves.change_stock("count-0001", "va_a", WEB, -28)
    assert (pool.total, pool.available) == (8, 0)
    assert await shop.shelf_level() == (0, 2, 0, 0)

    assert (await refused(shop.shelves.change_stock("count-0002", "va_a", WEB, -1))).why is R.STOCK_SHORT
    await shop.shelves.change_stock("count-0003", "va_a", WEB, 5)
    assert (await shop.take(2, 5)).state == "held"
    await shop.assert_every_unit_is_in_one_place()


async def test_a_shelf_is_cleared_of_all_that_nobody_holds(shop: Shop) -> None:
    await shop.take(1, 2)

    assert await shop.shelves.clear(WEB) == SHELF_UNITS - 2
    assert await shop.shelf() == (2, 0, 0)
    assert (await shop.pool_at())[1] == 28


async def test_the_shops_words_count_pool_and_shelf(shop: Shop) -> None:
    before = (await shop.catalogue.variant("va_a")).stock
    await shop.take(1)

    assert (await shop.catalogue.variant("va_a")).stock == before
    await shop.shop_checkout(1)
    listed = (await shop.catalogue.staff_products()).products[0].variants[0].pools[0]
    assert (listed.available, listed.on_shelf) == (30 - SHELF_UNITS, SHELF_UNITS - 1)


@everywhere
async def test_the_audit_proves_the_books_of_the_place_and_those_of_the_show_beside_it(shop: Shop) -> None:
    await shop.take(1, 2)
    await shop.take(2, 3)
    await shop.press(await shop.shop_checkout(1))
    await shop.plan_deal("dl_big", 20)
    await shop.open_deal("dl_big")
    await shop.engine.release(BOOK, viewer(2).viewer_id, rid(2))
    await shop.take(3, 4)
    await shop.orders.run_outbox()
    await JournalToLedger(shop.redis, shop.database, shop.engine, shop.clock).drain_all()

    reader = BooksReader(shop.database, shop.redis, shop.engine, shop.clock)
    books = books_of([row async for piece in reader.pieces(BOOK) for row in piece])
    assert breaches(books) == []
    assert books.quiet
    assert [(deal.allotted, deal.sold) for deal in books.deals] == [(await shop.shelf())[::2]]
    beside = books_of([row async for piece in reader.pieces(SHOW) for row in piece])
    # The world of these tests gives its deals under a move of its own, which left no order of events: only what can
    # be said of the pool is asked here.
    assert [text for text in breaches(beside) if text.startswith("pool")] == []
    await shop.database.write(lambda connection: connection.execute(update(shelves).values(allotted=99)))
    books = books_of([row async for piece in reader.pieces(BOOK) for row in piece])
    assert any("allotted" in text for text in breaches(books))


# --- what dies on the way -------------------------------------------------------------------------------------------


class Dies(Exception):
    """A process ends here."""


class DyingEngine:
    """The engine of a process that dies before or after the call named."""

    def __init__(self, engine: Any, call: str, when: str) -> None:
        self._engine, self._call, self._when = engine, call, when

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._engine, name)
        if name != self._call:
            return real

        async def call(*arguments: Any, **named: Any) -> Any:
            if self._when == "after":
                await real(*arguments, **named)
            raise Dies

        return call


@everywhere
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_dies_while_it_fills_a_shelf_costs_no_unit(shop: Shop, when: str) -> None:
    dying = shop.process(engine=DyingEngine(shop.engine, "put_deal", when))
    with pytest.raises(Dies):
        await dying.reserve("web", viewer(1), WEB, rid(1), [("va_a", 1)])
    await shop.assert_every_unit_is_in_one_place(healed=False)
    await shop.heal()

    await shop.assert_every_unit_is_in_one_place()
    assert await shop.shelf_level() == (SHELF_UNITS, 0, 0, 0)
    assert (await shop.take(2, 30)).state == "held"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_dies_while_it_takes_units_home_costs_no_unit(shop: Shop, when: str) -> None:
    await shop.take(1)
    dying = shop.process(engine=DyingEngine(shop.engine, "take_out", when))
    with pytest.raises(Dies):
        await dying.bring_home("va_a", WEB, 10)
    await shop.assert_every_unit_is_in_one_place(healed=False)
    await shop.heal()

    await shop.assert_every_unit_is_in_one_place()
    assert await shop.shelf_level() == (SHELF_UNITS - 11, 1, 0, 0)
    assert (await shop.pool_at())[1] == 30 - SHELF_UNITS + 10


@everywhere
async def test_a_move_that_two_processes_finish_counts_once(shop: Shop) -> None:
    await shop.take(1)
    dying = shop.process(engine=DyingEngine(shop.engine, "take_out", "before"))
    with pytest.raises(Dies):
        await dying.bring_home("va_a", WEB, 10)
    await shop.clock.advance(10)
    await asyncio.gather(*(shop.process().sweep() for _ in range(4)))

    await shop.assert_every_unit_is_in_one_place()
    assert await shop.shelf_level() == (SHELF_UNITS - 11, 1, 0, 0)


@everywhere
async def test_units_that_redis_does_not_know_come_home_and_are_sold_again(shop: Shop, redis: Redis) -> None:
    """The books are there, and a shelf in them is not: nobody could sell what SQL has on it. (Books that are lost as a
    whole are made anew: `tests/channels/test_books_made_anew.py`.)"""
    await shop.take(1, 2)
    await shop.take(2, 3)
    await shop.shop_checkout(2)
    await redis.delete(keys.deals(BOOK))
    await shop.heal()

    assert await shop.shelf() == (3, 3, 0)  # the order that SQL knows keeps its units
    assert (await shop.pool_at())[1] == 27


async def test_nothing_comes_home_while_the_books_are_missing(shop: Shop, redis: Redis) -> None:
    await shop.take(1, 2)
    for key in keys.engine_keys(BOOK):
        await redis.delete(key)
    assert (await refused(shop.engine.heartbeat(BOOK))).why is R.REBUILDING
    await shop.heal()
    assert await shop.shelf() == (SHELF_UNITS, 0, 0)


async def test_nothing_comes_home_while_a_move_is_under_way(shop: Shop) -> None:
    await shop.take(1)
    dying = shop.process(engine=DyingEngine(shop.engine, "put_deal", "before"))
    with pytest.raises(Dies):
        await dying.reserve("web", viewer(2), WEB, rid(2), [("va_a", 30)])

    assert await shop.shelves.heal(WEB) == 0
    await shop.heal()
    await shop.assert_every_unit_is_in_one_place()


# --- who watches ----------------------------------------------------------------------------------------------------


async def test_books_of_a_place_are_watched_only_while_somebody_holds_something(shop: Shop, redis: Redis) -> None:
    await shop.take(1)
    assert BOOK in await shop.engine.shows_to_watch()
    assert not await shop.engine.stop_watching_if_quiet(BOOK)

    await shop.engine.release(BOOK, viewer(1).viewer_id, rid(1))
    await redis.hincrby(keys.meta(BOOK), "clk", 3_600_000)
    await shop.engine.heartbeat(BOOK)
    await redis.xtrim(keys.journal(BOOK), 0, approximate=False)
    assert await shop.engine.stop_watching_if_quiet(BOOK)
    await shop.engine.watch_if_busy(BOOK)
    assert BOOK not in await shop.engine.shows_to_watch()

    await shop.engine.reserve(BOOK, viewer(2), rid(2), [((await shop.one(select(shelves.c.id))).id, 1)])
    await shop.heal()
    assert BOOK in await shop.engine.shows_to_watch()


async def test_who_comes_while_another_opens_the_books_gets_her_unit(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis had no books when she asked, and SQL has them opened by the time she looks there: they are not lost."""
    opening, may_open, looking, may_look = (asyncio.Event() for _ in range(4))
    open_show, was_opened = shop.engine.open_show, shop.shelves._was_opened

    async def slowly(book: str) -> Any:
        opening.set()
        await may_open.wait()
        return await open_show(book)

    async def late(book: str) -> bool:
        looking.set()
        await may_look.wait()
        return await was_opened(book)

    monkeypatch.setattr(shop.engine, "open_show", slowly)
    first = asyncio.create_task(shop.take(1))
    await opening.wait()
    monkeypatch.setattr(shop.shelves, "_was_opened", late)
    second = asyncio.create_task(shop.take(2))
    await looking.wait()
    may_open.set()
    assert (await first).state == "held"
    may_look.set()
    assert (await second).state == "held"
    await shop.assert_every_unit_is_in_one_place()


@everywhere
async def test_a_crowd_on_the_last_units_gets_exactly_those(shop: Shop) -> None:
    """Web shop, till and the opening of a live deal at once: never more than there is."""
    await shop.plan_deal("dl_late", 12)

    async def outcome(doing: Any) -> str:
        try:
            await doing
        except Refused as no:
            return no.why.value.word
        return "done"

    crowd = [shop.take(number, 1, channel="till" if number % 3 else "web") for number in range(1, 61)]
    *taken, opened = await asyncio.gather(*(outcome(each) for each in (*crowd, shop.open_deal("dl_late"))))
    assert set(taken) == {"done", "sold_out"}
    assert opened in ("done", "stock_short")
    assert taken.count("done") == 30 - (12 if opened == "done" else 0)
    await shop.assert_every_unit_is_in_one_place()
    assert await shop.all(select(movements).where(movements.c.kind == "order_paying")) == []


def _shipped(location_id: str) -> Any:
    from livecommerce.orders.facts import CheckoutRequest
    from tests.orders.world import ADDRESS

    return CheckoutRequest(
        keys.pool_book(location_id), rid(1), "ship", contact_name="Ana", contact="ana@example.com", address=ADDRESS
    )
