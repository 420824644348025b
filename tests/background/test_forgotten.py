"""Books of a place forget what ended long ago without an order, and nothing else; what is forgotten is never new."""

import pytest

from livecommerce.background.forgotten import ForgetDuty
from livecommerce.background.journal import JournalToLedger
from livecommerce.errors import R, Refused
from livecommerce.reservations import keys
from livecommerce.shelves.forgotten import FORGOTTEN_AFTER_DAYS
from tests.shelves.conftest import database, shop
from tests.shelves.world import BOOK, Shop, everywhere, rid

__all__ = ["database", "shop"]

LONG_SECONDS = FORGOTTEN_AFTER_DAYS * 86_400


async def known(shop: Shop) -> set[int]:
    return {int(key.split(b"/")[0][3:]) for key in await shop.redis.hkeys(keys.rids(BOOK))}


async def forget(shop: Shop) -> None:
    await ForgetDuty(shop.redis, shop.database, shop.clock).run(1)


@everywhere
async def test_what_ended_long_ago_without_an_order_is_forgotten_and_nothing_else(shop: Shop) -> None:
    """Released; run out; sold; paid for in vain; still held; and one that is not old enough."""
    await shop.take(1)
    await shop.engine.release(BOOK, "vw_1", rid(1))
    await shop.take(2)
    await shop.redis.hincrby(keys.meta(BOOK), "clk", shop.settings.shop_hold_seconds * 1000)
    await shop.engine.heartbeat(BOOK)
    await shop.take(3)
    await shop.press(await shop.shop_checkout(3))
    await shop.take(4)
    await shop.shop_checkout(4)
    await shop.pass_deadline()
    await shop.take(5)
    await shop.engine.keep(BOOK, "vw_5", rid(5), 2_000_000_000)
    await forget(shop)
    assert await known(shop) == {1, 2, 3, 4, 5}

    await shop.clock.advance(LONG_SECONDS)
    await shop.take(6)
    await shop.engine.release(BOOK, "vw_6", rid(6))
    await forget(shop)
    assert await known(shop) == {3, 4, 5, 6}
    # Whatever came to an order answers as ever; a rid that is forgotten is old, and not new.
    assert (await shop.take(3)).state == "confirmed"
    assert (await shop.take(4)).state == "expired"
    level = await shop.shelf_level()
    for number in (1, 2):
        with pytest.raises(Refused) as caught:
            await shop.take(number)
        assert caught.value.why is R.HOLD_GONE
    assert await shop.shelf_level() == level
    assert (await shop.take(6)).state == "released"
    await JournalToLedger(shop.redis, shop.database, shop.engine, shop.clock).drain(BOOK)
    await shop.assert_every_unit_is_in_one_place()


async def test_one_page_a_turn_and_every_place_has_its_turn(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.background.forgotten.PAGE", 1)
    for number in (1, 2, 3):
        await shop.take(number)
        await shop.engine.release(BOOK, f"vw_{number}", rid(number))
    await shop.stock(5, "va_a", "lo_north")
    await shop.take(4, location_id="lo_north")
    north = keys.pool_book("lo_north")
    await shop.engine.release(north, "vw_4", rid(4))
    await shop.clock.advance(LONG_SECONDS)
    duty = ForgetDuty(shop.redis, shop.database, shop.clock)
    for _ in range(20):
        await duty.run(1)
    assert await known(shop) == set()
    assert await shop.redis.hlen(keys.rids(north)) == 0
