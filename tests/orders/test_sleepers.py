"""Processes that sleep at the worst moment (SIGSTOP, a long pause) and go on when the world has changed.

Each test is a hole that `docs/unit-walk.md` found on paper, or that the simulation found: what it cost, and that it is
closed.
"""

import asyncio
import functools
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from livecommerce.errors import R, Refused
from livecommerce.ledger.pages import pages
from livecommerce.ledger.tables import orders, outbox, payments
from livecommerce.orders import books, sweeps
from livecommerce.orders.errands import ROUND_MAX
from livecommerce.orders.payments.provider import ProviderAway
from livecommerce.orders.payments.registry import Providers
from livecommerce.reservations import keys
from livecommerce.shows.deals import DealStocks
from tests.orders.world import PAY_SECONDS, SHOW, World, request, rid, viewer


class Part:
    """A part of a process of which one verb is replaced."""

    def __init__(self, part: Any, **verbs: Any) -> None:
        self._part = part
        self.__dict__.update(verbs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


class Nap:
    """A verb that falls asleep before it does anything."""

    def __init__(self, verb: Any) -> None:
        self._verb = verb
        self.asleep = asyncio.Event()
        self.wake = asyncio.Event()

    async def __call__(self, *args: Any) -> Any:
        self.asleep.set()
        await self.wake.wait()
        return await self._verb(*args)


async def anew(world: World, **parts: Any) -> Any:
    """A process with these parts; what the one before had begun in the background is done."""
    await world.orders.aclose()
    return world.restart(**parts)


async def busy(*_args: Any) -> None:
    raise Refused(R.BUSY, after_ms=1000)


async def test_who_slept_before_freeing_takes_no_unit_from_late_money(world: World) -> None:
    """It read "expired", slept, and the money came after all: without the count of returns it freed a sold unit, and
    Redis offered one more than there was."""
    answer = await world.checkout()
    await world.press(answer, "late")
    nap = Nap(world.engine.free)
    sleeper = await anew(world, engine=Part(world.engine, free=nap))
    await world.clock.advance(PAY_SECONDS)
    await sleeper.sweep_deadlines()
    await nap.asleep.wait()
    await world.restart(engine=Part(world.engine, settle=busy)).run_outbox()
    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()
    assert await world.status() == "confirmed"
    assert await world.level() == (2, 0, 1, 0)

    nap.wake.set()
    await sleeper.aclose()

    await world.assert_redis_never_above_sql()
    await world.restart().run_outbox()
    await world.assert_healed()


async def test_the_sweep_leaves_units_alone_whose_late_money_is_being_decided(world: World) -> None:
    """Redis took them again, SQL has not said so yet, and the time to pay is over once more: the errand decides."""
    answer = await world.checkout()
    await world.press(answer, "late")
    await world.pass_deadline()
    await anew(world, engine=Part(world.engine, reacquire=busy))
    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()
    assert await world.engine.reacquire(SHOW, "vw_1", rid())  # and then its process slept
    await world.redis.hincrby(keys.meta(SHOW), "clk", PAY_SECONDS * 1000 + 1)

    await world.restart().sweep_unwritten()

    assert await world.level() == (2, 0, 1, 0)
    await world.orders.run_outbox()
    assert await world.status() == "confirmed"
    await world.assert_healed()


async def test_what_redis_gave_back_although_sql_sold_it_is_taken_out_again(world: World) -> None:
    answer = await world.checkout()
    await anew(world, engine=Part(world.engine, settle=busy))
    await world.press(answer)
    await world.engine.free(SHOW, "vw_1", rid(), "expired")  # as a Redis has it that lost the payment
    assert await world.level() == (3, 0, 0, 0)

    await world.restart().run_outbox()

    await world.assert_healed()


async def test_where_nothing_is_left_to_take_out_sql_refuses_who_has_it(world: World) -> None:
    answer = await world.checkout()
    await anew(world, engine=Part(world.engine, settle=busy))
    await world.press(answer)
    await world.engine.free(SHOW, "vw_1", rid(), "expired")
    await world.hold(2, qty=3)

    await world.restart().run_outbox()

    with pytest.raises(Refused) as refused:
        await world.orders.checkout(viewer(2), request(2))
    assert refused.value.why is R.HOLD_GONE
    assert await world.deal() == (3, 0, 1)


async def test_a_deal_is_not_closed_with_a_unit_inside(world: World) -> None:
    """One comes back between the last taking out and the look at who still holds."""
    await world.checkout()
    await world.change_deal("dl_a", status="closing")
    await anew(world, engine=Part(world.engine, free=busy))
    await world.pass_deadline()

    async def levels(show_id: str) -> Any:
        await world.engine.free(SHOW, "vw_1", rid(), "expired", 0)
        return await world.engine.levels(show_id)

    stocks = DealStocks(world.database, Part(world.engine, levels=levels), world.clock)
    assert not await stocks.finish(SHOW, "dl_a")
    assert await stocks.finish(SHOW, "dl_a")
    assert await world.level() == (0, 0, 0, 0)
    assert await world.deal() == (0, 0, 0)


async def test_a_crash_after_taking_units_out_leaves_them_nowhere_until_the_deal_is_finished(world: World) -> None:
    """Redis took them out, nobody put them into the pool: not for sale, never twice, home when nobody holds more."""
    await world.hold(1)
    await world.change_deal("dl_a", status="closing")
    before = await world.pool("va_a")
    assert await world.engine.set_deal_status(SHOW, "dl_a", "closing") == 2  # and its process died
    stocks = DealStocks(world.database, world.engine, world.clock)
    assert not await stocks.finish(SHOW, "dl_a")
    assert await world.pool("va_a") == before

    await world.engine.release(SHOW, "vw_1", rid())
    assert await stocks.finish(SHOW, "dl_a")

    assert await world.pool("va_a") == (before[0] + 3, before[1] - 3, 0)


async def test_errands_that_wait_for_a_provider_hold_nobody_else_up(world: World) -> None:
    """More than a round's worth of them stood before everybody's, for as long as the provider was away."""
    asked: list[str] = []

    async def away(ref: str) -> None:
        asked.append(ref)
        raise ProviderAway("no answer")

    rows = [
        {
            "kind": "revoke", "created_at_ms": 1,
            "body": {"order_id": f"or_{number}", "show_id": SHOW, "viewer_id": "vw_9", "rid": "rid-old-one",
                     "provider": "test", "ref": f"old_{number}"},
        }
        for number in range(ROUND_MAX + 1)
    ]  # fmt: skip
    await world.database.write(lambda connection: connection.execute(insert(outbox), rows))
    provider = Part(world.providers.current, revoke=away)
    world.restart(providers=Providers(provider, {"test": provider}))
    answer = await world.checkout()

    await world.test.act(answer.pay_url.rpartition("/")[2], "pay")
    await world.orders.aclose()
    asked.clear()
    await world.orders.run_outbox()

    assert await world.level() == (2, 0, 0, 1)
    assert len(asked) == 1, "a provider that does not answer is asked once in a round"


async def test_deadlines_that_wait_for_a_provider_hold_nobody_else_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page full of them stood before everybody's, and each was asked for as long as its provider takes to say no."""
    monkeypatch.setattr(sweeps, "pages", functools.partial(pages, rows=1))
    asked: list[str] = []

    async def away(ref: str) -> None:
        asked.append(ref)
        raise ProviderAway("no answer")

    for number in (1, 2, 3):
        await world.checkout(number)
    of_two = select(orders.c.id).where(orders.c.viewer_id.in_(("vw_1", "vw_2")))
    elsewhere = update(payments).where(payments.c.order_id.in_(of_two)).values(provider="gone")
    await world.database.write(lambda connection: connection.execute(elsewhere))
    gone = Part(world.providers.current, revoke=away)
    world.restart(providers=Providers(world.providers.current, {"test": world.providers.current, "gone": gone}))
    await world.pass_deadline()

    async with world.database.read() as connection:
        rows = await connection.execute(select(orders.c.viewer_id, orders.c.status))
        status = {row.viewer_id: row.status for row in rows}
    assert status == {"vw_1": "paying", "vw_2": "paying", "vw_3": "expired"}
    assert len(asked) == 1, "a provider that does not answer is asked once in a round"


async def test_two_tabs_that_want_other_deliveries_get_no_link_over_the_others_sum(world: World) -> None:
    """The sum changed while the link was being made: the payment was kept with a sum that its link was not over, and
    would have been refunded by more than was paid."""
    await world.hold()
    sums: dict[str, int] = {}

    async def create(intent: Any, idem_key: str) -> Any:
        session = await world.test.create(intent, idem_key)
        sums.setdefault(session.ref, intent.amount_minor)
        if len(sums) == 1:
            order = await world.order()
            book = books.Book(world.settings, world.clock.now_ms())
            wanted = request(delivery="pickup")
            await world.database.write(lambda connection: books.correct(connection, book, order.id, wanted))
        return session

    slow = Part(world.providers.current, create=create)
    answer = await world.restart(providers=Providers(slow, {"test": slow})).checkout(viewer(), request())

    order = await world.order()
    open_ones = await world.all(select(payments).where(payments.c.status == "open"))
    assert [(row.amount_minor, row.url) for row in open_ones] == [(order.total_minor, answer.pay_url)]
    assert sums[open_ones[0].provider_ref] == order.total_minor
    await world.press(answer)
    assert await world.status() == "confirmed"
    assert await world.payment_states() == [("captured", "captured")]


async def test_a_checkout_that_overtakes_its_reservation_gets_the_deals_own_time_to_pay(world: World) -> None:
    """Her tap was still on its way when she was asked what she holds: the default, ten minutes, was taken instead."""
    await world.change_deal("dl_a", pay_seconds=30)

    async def holds_of(*_args: Any) -> Any:
        await world.hold()
        return ()

    await world.restart(engine=Part(world.engine, holds_of=holds_of)).checkout(viewer(), request())

    assert (await world.order()).pay_by_ms == world.clock.now_ms() + 30_000
    assert await world.engine.paying_past_due(SHOW) == []
    await world.redis.hincrby(keys.meta(SHOW), "clk", 30_001)
    assert await world.engine.paying_past_due(SHOW) == [("vw_1", rid())]
