"""Redis lost the books of a place: bags, try-ons, baskets, the till have what they had, and nothing is sold twice."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update

from livecommerce.audit.books import BooksReader, books_of
from livecommerce.audit.breaches import breaches
from livecommerce.audit.watch import Watch
from livecommerce.background.journal import JournalToLedger
from livecommerce.background.rebuild import RebuildDuty, Rebuilt
from livecommerce.channels.facts import BagChange, NewBasket, TillHoldRequest, TillLine, TryOnRequest, WantedLine
from livecommerce.channels.service import Channels
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import baskets, shelf_moves, shelves, show_books
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.relay_format import lines_of, record
from tests.channels.test_baskets import CLARA
from tests.live_server import until
from tests.shelves.test_shelves import Dies, DyingEngine
from tests.shelves.world import BOOK, NORTH, SHELF_UNITS, WEB, Shop, everywhere, rid, viewer

HOURS_MS = 36 * 3_600_000


async def refused(doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    return caught.value


async def lose(shop: Shop) -> None:
    """All of Redis; the news too, which is none of this."""
    await shop.redis.flushall()


async def rebuild(shop: Shop, book: str = BOOK, *witnesses: ReservationEngine) -> Rebuilt | None:
    duty = RebuildDuty(shop.redis, shop.database, shop.engine, shop.settings, shop.clock)
    task = asyncio.create_task(duty.rebuild(book, "missing", 1))
    sleepers = shop.clock._sleepers
    await until(lambda: task.done() or any(not waiter.done() for _, _, waiter in sleepers), "a rebuild that listens")
    for witness in witnesses:
        await witness.testify()
    await shop.clock.advance(shop.settings.rebuild_seconds)
    return await task


class Forgetful:
    """The processes that served so far died; another one serves."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def __aenter__(self) -> None:
        shop = self._shop
        self._old, shop.engine = shop.engine, ReservationEngine(shop.redis, shop.settings, shop.clock)
        await shop.engine.start()
        shop.restart()
        shop.shelves = shop.process()

    async def __aexit__(self, *_: object) -> None:
        await self._old.aclose()


async def adds_up(shop: Shop, book: str = BOOK) -> None:
    await shop.orders.run_outbox()
    await JournalToLedger(shop.redis, shop.database, shop.engine, shop.clock).drain(book)
    reader = BooksReader(shop.database, shop.redis, shop.engine, shop.clock)
    books = books_of([row async for piece in reader.pieces(book) for row in piece])
    assert breaches(books) == []
    await shop.assert_every_unit_is_in_one_place()
    await shop.engine.watch(book)
    drift = (await Watch(shop.database, shop.redis, shop.engine, shop.clock).look()).drift
    assert {kind: units for kind, units in drift.items() if units and kind != "books_missing"} == {}


async def held(shop: Shop, book: str = BOOK) -> dict[str, tuple[int, int]]:
    """viewer → (state, units) of what lives."""
    found = {}
    for name, raw in (await shop.redis.hgetall(keys.rids(book))).items():
        items = record(raw)
        found[name.decode().partition("/")[0]] = items[0], sum(line.qty for line in lines_of(items))
    return found


@everywhere
async def test_a_bag_lives_though_redis_and_every_process_are_lost(shop: Shop) -> None:
    first = await shop.take(1, 2)
    await shop.press(await shop.shop_checkout(1))
    await shop.take(2, 3)
    await shop.shop_checkout(2)
    await shop.take(3, 20)
    await lose(shop)
    assert (await refused(shop.take(4))).why is R.REBUILDING
    async with Forgetful(shop):
        assert (await refused(shop.take(4))).why is R.REBUILDING
        assert await shop.shelves.heal(WEB) == 0
        rebuilt = await rebuild(shop)
        assert rebuilt is not None
        assert rebuilt.lost == ()
        assert await held(shop) == {"vw_1": (5, 2), "vw_2": (4, 3), "vw_3": (3, 20)}
        assert (await shop.take(1, 2)).lines == first.lines
        # What is left can be sold, to the last unit and no further.
        assert (await shop.take(5, 5)).state == "held"
        assert (await refused(shop.take(6, 1))).why is R.SOLD_OUT
        await shop.press(await shop.shop_checkout(3))
        await adds_up(shop)


@everywhere
async def test_what_was_given_back_and_copied_is_on_sale_again(shop: Shop) -> None:
    await shop.take(1, 20)
    await shop.engine.release(BOOK, viewer(1).viewer_id, rid(1))
    await JournalToLedger(shop.redis, shop.database, shop.engine, shop.clock).drain(BOOK)
    await shop.take(2, 4)
    await lose(shop)
    async with Forgetful(shop):
        await rebuild(shop)
        assert await held(shop) == {"vw_1": (6, 20), "vw_2": (3, 4)}
        assert (await shop.take(3, 26)).state == "held"
        await adds_up(shop)


async def test_of_two_bags_of_the_same_units_the_later_one_lives(shop: Shop) -> None:
    """The first was given back, and nobody is left who knows; both were written down when they were told."""
    await shop.take(1, 30)
    await shop.engine.release(BOOK, viewer(1).viewer_id, rid(1))
    await shop.clock.advance(1)
    await shop.take(2, 30)
    await lose(shop)
    async with Forgetful(shop):
        rebuilt = await rebuild(shop)
        assert rebuilt is not None
        assert rebuilt.lost == ((viewer(1).viewer_id, rid(1)),)
        assert await shop.shelf_level() == (0, 30, 0, 0)
        await adds_up(shop)


async def test_a_bag_whose_time_was_over_is_not_brought_back(shop: Shop) -> None:
    await shop.take(1, 2)
    await lose(shop)
    await shop.clock.advance(shop.settings.shop_hold_seconds + 1)
    async with Forgetful(shop):
        await rebuild(shop)
        assert await held(shop) == {}
        assert await shop.shelf_level() == (SHELF_UNITS, 0, 0, 0)


@everywhere
async def test_try_on_basket_and_till_keep_the_rest_of_their_hours(shop: Shop, channels: Channels) -> None:
    north = keys.pool_book(NORTH)
    await shop.stock(20, "va_b", NORTH, "more")
    told = await channels.try_ons.ask(viewer(1), TryOnRequest(rid(1), "va_b", NORTH))
    new = NewBasket(NORTH, (WantedLine("va_b", 2),), hold_minutes=300)
    await channels.baskets.make(CLARA, new)
    (word,) = await shop.one(select(baskets.c.link_word))
    await channels.baskets.take(viewer(2), word)
    till = TillHoldRequest(rid(3), (TillLine("va_b", qty=3),), 120)
    await channels.tills.hold(NORTH, till)
    await JournalToLedger(shop.redis, shop.database, shop.engine, shop.clock).drain(north)
    await shop.clock.advance(3600)
    await shop.redis.hincrby(keys.meta(north), "clk", 3_600_000)
    await shop.engine.heartbeat(north)
    await shop.take(4, 1, "va_b", NORTH)  # so that the journal tells how the clock stands
    await JournalToLedger(shop.redis, shop.database, shop.engine, shop.clock).drain(north)
    await lose(shop)
    async with Forgetful(shop):
        await rebuild(shop, north)
        assert await shop.shelf_level("va_b", NORTH) == (22 - 7, 7, 0, 0)
        (hers,) = await shop.engine.holds_of(north, viewer(1).viewer_id)
        # The window passed on the wall and not on the hold clock.
        assert hers.due_at_ms == pytest.approx(told.until_ms + 1000 * shop.settings.rebuild_seconds, abs=10_000)
        (basket,) = await shop.engine.holds_of(north, viewer(2).viewer_id)
        assert (basket.due_at_ms or 0) - shop.clock.now_ms() == pytest.approx(4 * 3_600_000, abs=10_000)
        await adds_up(shop, north)


async def test_a_try_on_that_was_given_up_is_not_brought_back(shop: Shop, channels: Channels) -> None:
    north = keys.pool_book(NORTH)
    told = await channels.try_ons.ask(viewer(1), TryOnRequest(rid(1), "va_b", NORTH))
    await channels.try_ons.give_up(viewer(1), told.try_on_id)
    await lose(shop)
    async with Forgetful(shop):
        await rebuild(shop, north)
        assert await held(shop, north) == {}
        assert await shop.shelf_level("va_b", NORTH) == (2, 0, 0, 0)


# --- moves under way ------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("copied", [True, False])
async def test_units_on_their_way_home_come_home_or_stay_and_never_both(shop: Shop, copied: bool) -> None:
    await shop.take(1, 2)
    dying = shop.process(engine=DyingEngine(shop.engine, "take_out", "after"))
    with pytest.raises(Dies):
        await dying.bring_home("va_a", WEB, 10)
    if copied:
        await JournalToLedger(shop.redis, shop.database, shop.engine, shop.clock).drain(BOOK)
    await lose(shop)
    await rebuild(shop, BOOK, shop.engine)
    taken = 10 if copied else 0
    assert await shop.shelf_level() == (SHELF_UNITS - 2 - taken, 2, 0, 0)
    assert await shop.all(select(shelf_moves).where(shelf_moves.c.moved.is_(None))) == []
    # Whoever slept with that move in its hands finds it done, in SQL and in Redis.
    (shelf_id,) = await shop.one(select(shelves.c.id))
    move = (await shop.one(select(shelf_moves.c.number).where(shelf_moves.c.kind == "down"))).number
    assert await shop.engine.take_out(BOOK, shelf_id, f"down-{move}", 10) == taken
    await adds_up(shop)


@everywhere
@pytest.mark.parametrize("when", ["before", "after"])
async def test_units_on_their_way_up_are_on_the_shelf_once(shop: Shop, when: str) -> None:
    await shop.take(1)
    dying = shop.process(engine=DyingEngine(shop.engine, "put_deal", when))
    with pytest.raises(Dies):
        await dying.reserve("web", viewer(2), WEB, rid(2), [("va_a", 26)])
    await lose(shop)
    await rebuild(shop, BOOK, shop.engine)
    assert await shop.shelf_level() == (29, 1, 0, 0)
    await shop.heal()
    assert await shop.shelf_level() == (29, 1, 0, 0)
    await adds_up(shop)


async def test_healing_that_compared_with_lost_books_moves_nothing(shop: Shop) -> None:
    """A worker read SQL and the old Redis, slept over loss and rebuild, and wakes up."""
    await shop.take(1, 2)
    row = await shop.one(select(shelves))
    await lose(shop)
    await rebuild(shop, BOOK, shop.engine)
    assert await shop.shelves._bring_lost_home(row.id, (row.moves, row.allotted), 0) == 0
    await adds_up(shop)


async def test_books_that_lost_history_are_closed_until_they_are_made_anew(shop: Shop) -> None:
    """Every try to sell meanwhile leaves the pool as it is."""
    await shop.take(1, 2)
    await shop.redis.hset(keys.meta(BOOK), "paused", 1)
    pool = await shop.pool_at()
    for number in range(2, 5):
        assert (await refused(shop.take(number))).why is R.REBUILDING
    assert await shop.pool_at() == pool
    assert await shop.shelves.heal(WEB) == 0
    leader = RebuildDuty(shop.redis, shop.database, shop.engine, shop.settings, shop.clock)
    assert await leader._needing(await leader._candidates()) == {BOOK: "paused"}
    await rebuild(shop, BOOK, shop.engine)
    assert (await shop.take(5)).state == "held"
    await adds_up(shop)


async def test_books_are_opened_once_and_sql_remembers(shop: Shop) -> None:
    await shop.take(1)
    assert (await shop.one(select(show_books.c.show_id).where(show_books.c.show_id == BOOK))).show_id == BOOK
    await lose(shop)
    async with Forgetful(shop):
        with pytest.raises(Refused) as no:
            await shop.shelves.bring_home("va_a", WEB, 1)
        assert no.value.why is R.REBUILDING
        assert not await shop.engine.has_books(BOOK)


async def test_drift_that_is_planted_after_a_rebuild_is_found(shop: Shop) -> None:
    await shop.take(1, 2)
    await lose(shop)
    await rebuild(shop, BOOK, shop.engine)
    await adds_up(shop)
    await shop.database.write(lambda connection: connection.execute(update(shelves).values(allotted=99)))
    drift = (await Watch(shop.database, shop.redis, shop.engine, shop.clock).look()).drift
    assert drift["ledger"] >= 1


async def test_nobody_is_told_that_her_bag_or_wish_is_gone_while_stock_is_counted(
    shop: Shop, channels: Channels
) -> None:
    """And where no books were ever opened nothing can be lost: then she has nothing."""
    assert (await channels.bags.all(viewer(1))).bags == ()
    await channels.bags.change(viewer(1), BagChange(WEB, rid(1), (WantedLine("va_a", 2),)))
    wish = await channels.try_ons.ask(viewer(1), TryOnRequest(rid(2), "va_b", NORTH))
    await lose(shop)
    assert (await refused(channels.bags.all(viewer(1)))).why is R.REBUILDING
    await shop.clock.advance(HOURS_MS / 1000 + 600)
    await channels.try_ons.sweep()
    assert (await channels.try_ons.mine(viewer(1))).try_ons[0].state == wish.state == "kept"
