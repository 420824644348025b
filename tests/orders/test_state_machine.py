"""Random histories of three viewers and two units: after each step the sums hold, and at the end both stores agree."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy.ext.asyncio import create_async_engine

from livecommerce.clock import TestClock
from livecommerce.errors import Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import metadata
from livecommerce.orders.moves import ORDER_MOVES, PAYMENT_MOVES, Event, order_step, payment_step
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.settings import Settings
from livecommerce.shows.deals import DealStocks
from tests.faults.test_order_crash_points import Fuse, Killed, doom
from tests.orders.world import SHOW, World, clear, request, seed, viewer

numbers = st.integers(1, 3)
actions = st.sampled_from(["pay", "decline", "silence", "late", "duplicate", "bad_signature"])


class Histories(RuleBasedStateMachine):
    def __init__(self, runner: asyncio.Runner, url: str, socket: str, settings: Settings) -> None:
        super().__init__()
        self.runner = runner
        self.urls: dict[int, list[str]] = {1: [], 2: [], 3: []}
        runner.run(self._open(url, socket, settings))

    async def _open(self, url: str, socket: str, settings: Settings) -> None:
        database = Database(url)
        await database.start()
        clock = TestClock()
        redis = Redis(unix_socket_path=socket, retry=Retry(NoBackoff(), 0))
        engine = ReservationEngine(redis, settings, clock)
        await engine.start()
        self.world = World(database, engine, redis, settings, clock)
        self.stocks = DealStocks(database, engine, clock)
        await clear(self.world)
        await seed(self.world, quota=2)

    def teardown(self) -> None:
        self.runner.run(self._close())

    async def _close(self) -> None:
        world = self.world
        world.shop_hears = True
        for _ in range(3):
            await world.pass_deadline(700)
            await world.redis.hincrby(keys.meta(SHOW), "clk", 1_000_000)
            await world.engine.heartbeat(SHOW)
            await world.orders.sweep_unwritten()
            await self.stocks.finish(SHOW, "dl_b")
        await world.assert_conserved()
        await world.assert_healed()
        await world.aclose()
        await world.engine.aclose()
        await world.redis.aclose()
        await world.database.aclose()

    def run_allowing_refusals(self, doing: Any) -> Any:
        async def guarded() -> Any:
            try:
                return await doing
            except Refused:
                return None

        return self.runner.run(guarded())

    @rule(number=numbers, qty=st.integers(1, 2))
    def hold(self, number: int, qty: int) -> None:
        self.run_allowing_refusals(self.world.hold(number, qty))

    @rule(number=numbers)
    def hold_a_bundle(self, number: int) -> None:
        lines = [("dl_a2", 1), ("dl_b", 1)]
        self.run_allowing_refusals(self.world.hold(number, lines=lines))

    @rule(number=numbers, arrows=st.integers(0, 14))
    def check_out_and_be_killed(self, number: int, arrows: int) -> None:
        """Between any two things it does outside of itself; a new process begins."""
        self.runner.run(self._be_killed(number, arrows))

    async def _be_killed(self, number: int, arrows: int) -> None:
        fuse = Fuse(arrows)
        doom(self.world, fuse)
        doomed = self.world.orders
        with contextlib.suppress(Killed, Refused):
            await doomed.checkout(viewer(number), request(number))
        fuse.left = min(fuse.left, 0)
        await doomed.aclose()
        self.world.restart()

    @rule()
    def close_the_bundle(self) -> None:
        self.runner.run(self._close_deal("dl_b"))

    async def _close_deal(self, deal_id: str) -> None:
        await self.world.change_deal(deal_id, status="closing")
        await self.stocks.finish(SHOW, deal_id)

    @rule(number=numbers, delivery=st.sampled_from(["ship", "pickup"]))
    def check_out(self, number: int, delivery: str) -> None:
        answer = self.run_allowing_refusals(self.world.orders.checkout(viewer(number), request(number, delivery)))
        if answer is not None and answer.pay_url:
            self.urls[number].append(answer.pay_url)

    @rule(number=numbers, action=actions, which=st.integers(0, 5))
    def press(self, number: int, action: str, which: int) -> None:
        if self.urls[number]:
            url = self.urls[number][which % len(self.urls[number])]
            self.run_allowing_refusals(self.world.press(url, action))

    @rule(number=numbers)
    def retry(self, number: int) -> None:
        self.run_allowing_refusals(self._on_order(number, self.world.orders.retry))

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        self.run_allowing_refusals(self._on_order(number, self.world.orders.cancel))

    async def _on_order(self, number: int, what: Any) -> None:
        for order in await self.world.orders.orders_of(f"vw_{number}"):
            await what(viewer(number), order.order_id)

    @rule(seconds=st.sampled_from([1, 95, 300, 600]))
    def time_passes(self, seconds: int) -> None:
        self.runner.run(self.world.pass_deadline(seconds))

    @rule(hears=st.booleans())
    def the_shop_hears_or_not(self, hears: bool) -> None:
        self.world.shop_hears = hears

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def the_sums_hold(self) -> None:
        self.runner.run(self._check())

    async def _check(self) -> None:
        await self.world.orders.run_outbox()
        await self.world.assert_conserved()
        await self.world.assert_redis_never_above_sql()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_every_history_keeps_the_sums_and_ends_with_both_stores_agreeing(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, valkey_socket: str, settings: Settings
) -> None:
    url = (
        f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}"
        if kind == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    with asyncio.Runner() as runner:
        runner.run(_make_tables(url))
        run_state_machine_as_test(
            lambda: Histories(runner, url, valkey_socket, settings),
            settings=hypothesis.settings(
                max_examples=15, stateful_step_count=20, deadline=None, print_blob=True,
                suppress_health_check=list(hypothesis.HealthCheck),
            ),
        )  # fmt: skip


async def _make_tables(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    await engine.dispose()


# --- the tables themselves ------------------------------------------------------------------------------------------


def test_money_can_arrive_in_every_state_and_always_leads_somewhere() -> None:
    for status in ("paying", "declined", "confirmed", "expired", "cancelled", "refund_due", "refunded"):
        assert order_step(status, Event.CAPTURED) is not None


def test_units_leave_paying_only_by_a_move_that_says_so() -> None:
    for (status, _), step in ORDER_MOVES.items():
        was, is_ = status in ("paying", "declined"), step.status in ("paying", "declined")
        assert (was and not is_) == (step.units in ("release", "sell"))
        assert (step.units == "resell") == (not was and step.status == "confirmed" and status != "confirmed")


def test_what_is_captured_leaves_only_by_a_refund() -> None:
    assert {move for move in PAYMENT_MOVES if move[0] == "captured"} == {("captured", "refund_due")}
    assert payment_step("refunded", "captured") is None
