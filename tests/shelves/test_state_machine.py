"""Random histories of one pot of units: live deals, the shop with its pick-up, advisors' baskets, articles kept for
trying, the till, stock edits, deaths and sweeps against plain numbers.

The model knows no shelves: of each article there are so many free, some in a show's deal, some with each customer. What
a channel can have is exactly what is free, whichever shelf or pool it lies on, and after each step every unit is in one
place of the real books. One seed makes a history; Hypothesis prints the shortest one that fails.
"""

import asyncio
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import create_async_engine

from livecommerce.channels.facts import NewBasket, TryOn, TryOnOutcome, TryOnRequest, WantedLine
from livecommerce.channels.service import channels_over
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import metadata, viewers
from livecommerce.orders.facts import CheckoutRequest
from livecommerce.people.identity import StaffIdentity
from livecommerce.people.service import People
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.settings import Settings
from tests.orders.world import NORTH as NORTH_PATH
from tests.orders.world import clear
from tests.shelves.test_shelves import Dies, DyingEngine
from tests.shelves.world import NORTH, Shop, seed_shop, viewer

ARTICLES = ("va_a", "va_b")
BOOK = keys.pool_book(NORTH)  # a counter: the only kind of place that all channels sell from
CLARA = StaffIdentity("ac_1", "Clara", "clara@example.com", "advisor", "ou_north", NORTH_PATH)
UNITS = 30  # more than a shelf takes at a time, so that pool and shelf both have some
DEALS = ("dl_1", "dl_2")

numbers = st.integers(1, 6)
articles = st.sampled_from(ARTICLES)
moments = st.sampled_from(["before", "after"])
amounts = st.sampled_from([1, 2, 9, 20])


class Histories(RuleBasedStateMachine):
    def __init__(self, runner: asyncio.Runner, url: str, socket: str, settings: Settings) -> None:
        super().__init__()
        self.runner = runner
        self.free = dict.fromkeys(ARTICLES, UNITS)
        self.held: dict[int, tuple[str, int]] = {}
        self.rids: dict[int, str] = {}
        self.kept: dict[int, tuple[str, TryOn]] = {}
        self.paying: dict[int, tuple[str, int, Any]] = {}
        self.ended: set[int] = set()
        self.in_deals: dict[str, tuple[str, int]] = {}
        self.planned: dict[str, tuple[str, int]] = {}
        self.closed: set[str] = set()
        self.sold = dict.fromkeys(ARTICLES, 0)
        self.edits = self.wishes = 0
        runner.run(self._open(url, socket, settings))

    async def _open(self, url: str, socket: str, settings: Settings) -> None:
        database = Database(url)
        await database.start()
        redis = Redis(unix_socket_path=socket, retry=Retry(NoBackoff(), 0))
        clock = TestClock()
        engine = ReservationEngine(redis, settings, clock)
        await engine.start()
        self.shop = Shop(database, engine, redis, settings, clock)
        await clear(self.shop)
        await seed_shop(self.shop)
        for variant_id, there in zip(ARTICLES, (0, 2), strict=True):
            await self.shop.stock(UNITS - there, variant_id, NORTH)
        rows = [{"id": viewer(n).viewer_id, "name": f"V {n}", "kind": "guest", "created_at_ms": 1} for n in range(1, 7)]
        await database.write(lambda connection: connection.execute(insert(viewers), rows))
        people = People(database, redis, settings, clock)
        shop = self.shop
        self.channels = channels_over(
            database, engine, shop.shelves, shop.orders, people, shop.catalogue, settings, clock
        )

    def teardown(self) -> None:
        self.runner.run(self._close())

    async def _close(self) -> None:
        shop = self.shop
        await shop.heal()
        await shop.assert_every_unit_is_in_one_place()
        for variant_id in ARTICLES:  # what is free can really be had, to the last unit
            if self.free[variant_id]:
                await shop.take(99 + ARTICLES.index(variant_id), self.free[variant_id], variant_id, NORTH)
        await shop.aclose()
        await shop.engine.aclose()
        await shop.redis.aclose()
        await shop.database.aclose()

    def tell(self, doing: Any) -> R | None:
        async def told() -> R | None:
            try:
                await doing
            except Refused as refused:
                return refused.why
            return None

        return self.runner.run(told())

    # --- the shop's channels ----------------------------------------------------------------------------------------

    @rule(number=numbers, variant_id=articles, qty=amounts, channel=st.sampled_from(["web", "till"]))
    def set_aside(self, number: int, variant_id: str, qty: int, channel: str) -> None:
        if self._is_busy(number):
            return
        told = self.tell(self.shop.take(number, qty, variant_id, NORTH, channel))
        self._took(told, number, variant_id, qty, f"rid-{number:06d}")

    @rule(number=numbers, variant_id=articles, qty=st.sampled_from([1, 2, 9]))
    def take_a_basket(self, number: int, variant_id: str, qty: int) -> None:
        if self._is_busy(number):
            return
        new = NewBasket(NORTH, (WantedLine(variant_id, qty),), "Ana", "", 240)
        made = self.runner.run(self.channels.baskets.make(CLARA, new))
        told = self.tell(self.channels.baskets.take(viewer(number), made.basket.word))
        self._took(told, number, variant_id, qty, made.basket_id)

    def _is_busy(self, number: int) -> bool:
        return any(number in each for each in (self.held, self.kept, self.paying, self.ended))

    def _took(self, told: R | None, number: int, variant_id: str, qty: int, rid: str) -> None:
        assert told is (None if qty <= self.free[variant_id] else R.SOLD_OUT)
        if told is None:
            self.free[variant_id] -= qty
            self.held[number] = variant_id, qty
            self.rids[number] = rid

    @rule(number=numbers, variant_id=articles)
    def keep_one_to_be_tried(self, number: int, variant_id: str) -> None:
        if self._is_busy(number):
            return
        self.wishes += 1
        wish = TryOnRequest(f"wish-{self.wishes:06d}", variant_id, NORTH)
        told = self.tell(self.channels.try_ons.ask(viewer(number), wish))
        assert told is (None if self.free[variant_id] else R.SOLD_OUT)
        if told is None:
            self.free[variant_id] -= 1
            (kept,) = self.runner.run(self.channels.try_ons.mine(viewer(number))).try_ons
            self.kept[number] = variant_id, kept

    @rule(number=numbers, buys=st.booleans())
    def she_tries_it(self, number: int, buys: bool) -> None:
        if not self.kept:
            return
        number = sorted(self.kept)[number % len(self.kept)]
        variant_id, kept = self.kept.pop(number)
        outcome = TryOnOutcome("bought", f"receipt-{number}") if buys else TryOnOutcome("came")
        told = self.runner.run(self.channels.try_ons.outcome(CLARA, kept.code, outcome))
        assert told.state == outcome.outcome
        self.ended.add(number)
        if buys:
            self.sold[variant_id] += 1
        else:
            self._back((variant_id, 1))

    @rule(number=numbers)
    def give_back(self, number: int) -> None:
        if number in self.held:
            self.runner.run(self.shop.engine.release(BOOK, viewer(number).viewer_id, self.rids[number]))
            self._back(self.held.pop(number))
            self.ended.add(number)

    @rule(number=numbers, variant_id=articles, qty=amounts)
    def change_the_bag(self, number: int, variant_id: str, qty: int) -> None:
        """Under a new rid, with what she had free for it; a refusal leaves her what she had."""
        if number not in self.held:
            return
        had, had_qty = self.held[number]
        shop, old = self.shop, self.rids[number]
        new_number = next(n for n in range(10 + number * 10, 10_000) if n not in self.ended)
        new, lines = f"rid-{new_number:06d}", [(variant_id, qty)]
        told = self.tell(shop.shelves.reserve("web", viewer(number), NORTH, new, lines, instead_of=old))
        fits = qty <= self.free[variant_id] + (had_qty if had == variant_id else 0)
        assert told is (None if fits else R.SOLD_OUT)
        if told is None:
            self._back((had, had_qty))
            self.free[variant_id] -= qty
            self.ended.add(number)
            del self.held[number]
            self.runner.run(shop.engine.release(BOOK, viewer(number).viewer_id, new))
            self.ended.add(new_number)
            self._back((variant_id, qty))

    @rule(number=numbers)
    def check_out(self, number: int) -> None:
        if number in self.held:
            answer = self.runner.run(self._check_out(number))
            self.paying[number] = (*self.held.pop(number), answer)

    async def _check_out(self, number: int) -> Any:
        request = CheckoutRequest(BOOK, self.rids[number], "pickup", "Ana", "ana@example.com", pickup_location_id=NORTH)
        return await self.shop.orders.checkout(viewer(number), request)

    @rule(number=numbers)
    def pay(self, number: int) -> None:
        if number in self.paying:
            variant_id, qty, answer = self.paying.pop(number)
            self.runner.run(self.shop.press(answer))
            self.sold[variant_id] += qty
            self.ended.add(number)

    @rule()
    def everybody_pays_too_late(self) -> None:
        self.runner.run(self.shop.pass_deadline(700))
        for number, (variant_id, qty, _) in self.paying.items():
            self._back((variant_id, qty))
            self.ended.add(number)
        self.paying.clear()

    @rule(number=numbers)
    def sell_at_the_till(self, number: int) -> None:
        if number in self.held:
            variant_id, qty = self.held.pop(number)
            page = self.runner.run(self._sell(number))
            assert page.order.status == "confirmed"
            self.sold[variant_id] += qty
            self.ended.add(number)

    async def _sell(self, number: int) -> Any:
        page = await self.shop.orders.sell_at_till(viewer(number), NORTH, self.rids[number], f"receipt-{number}")
        await self.shop.orders.run_outbox()
        return page

    # --- shows and the stock room -----------------------------------------------------------------------------------

    @rule(deal_id=st.sampled_from(DEALS), variant_id=articles, quota=st.sampled_from([1, 12, 25, 31]))
    def open_a_deal(self, deal_id: str, variant_id: str, quota: int) -> None:
        if deal_id in self.in_deals or deal_id in self.closed:
            return
        if deal_id not in self.planned:
            self.runner.run(self.shop.plan_deal(deal_id, quota, variant_id, NORTH))
            self.planned[deal_id] = variant_id, quota
        variant_id, quota = self.planned[deal_id]
        told = self.tell(self.shop.open_deal(deal_id))
        assert told is (None if quota <= self.free[variant_id] else R.STOCK_SHORT)
        if told is None:
            self.free[variant_id] -= quota
            self.in_deals[deal_id] = variant_id, quota

    @rule(deal_id=st.sampled_from(DEALS))
    def close_a_deal(self, deal_id: str) -> None:
        if deal_id in self.in_deals:
            self.runner.run(self.shop.close_deal(deal_id))
            self._back(self.in_deals.pop(deal_id))
            self.closed.add(deal_id)

    @rule(variant_id=articles, delta=st.sampled_from([-20, -3, 1, 10]))
    def count_the_stock(self, variant_id: str, delta: int) -> None:
        self.edits += 1
        told = self.tell(self.shop.shelves.change_stock(f"edit-{self.edits:06d}", variant_id, NORTH, delta))
        assert told is (None if self.free[variant_id] + delta >= 0 else R.STOCK_SHORT)
        if told is None:
            self.free[variant_id] += delta

    # --- what goes wrong --------------------------------------------------------------------------------------------

    @rule(
        variant_id=articles, call=st.sampled_from(["put_deal", "take_out"]), when=st.sampled_from(["before", "after"])
    )
    def a_process_dies_while_it_moves_units(self, variant_id: str, call: str, when: str) -> None:
        """No unit of anybody is touched by that, but some may be hard to reach until a sweep."""
        self.runner.run(self._die(variant_id, call, when))

    async def _die(self, variant_id: str, call: str, when: str) -> None:
        dying = self.shop.process(engine=DyingEngine(self.shop.engine, call, when))
        for doing in (dying._fill(NORTH, {variant_id: 2}), dying.bring_home(variant_id, NORTH, 5)):
            try:
                await doing
            except Dies:
                continue
        await self.shop.assert_every_unit_is_in_one_place(healed=False)
        await self.shop.heal()

    @invariant()
    def every_unit_is_in_one_place(self) -> None:
        self.runner.run(self._check())

    async def _check(self) -> None:
        await self.shop.orders.run_outbox()
        await self.shop.assert_every_unit_is_in_one_place()
        for variant_id in ARTICLES:
            _, _, _, sold = await self.shop.pool_at(variant_id, NORTH)
            assert sold == self.sold[variant_id]

    def _back(self, units: tuple[str, int]) -> None:
        variant_id, qty = units
        self.free[variant_id] += qty


def _run(runner: asyncio.Runner, url: str, socket: str, settings: Settings, examples: int, steps: int) -> None:
    runner.run(_make_tables(url))
    run_state_machine_as_test(
        lambda: Histories(runner, url, socket, settings),
        settings=hypothesis.settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, print_blob=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_all_channels_draw_from_one_pot(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, valkey_socket: str, settings: Settings
) -> None:
    with asyncio.Runner() as runner:
        _run(
            runner, _url(kind, request, tmp_path), valkey_socket, settings, *((5, 20) if kind == "sqlite" else (3, 20))
        )


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_campaign_of_all_channels_on_one_pot(tmp_path: Path, valkey_socket: str, settings: Settings) -> None:
    with asyncio.Runner() as runner:
        _run(runner, f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}", valkey_socket, settings, 400, 40)


def _url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}"
    return str(request.getfixturevalue("postgres_url"))


async def _make_tables(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
