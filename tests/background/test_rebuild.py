"""Books made anew: every proved hold lives again, no ended one, no unit twice; SQL judges, and one leader installs."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgpack
import msgspec
import pytest
from sqlalchemy import func, insert, select, update

from livecommerce.audit.books import Books, BooksReader
from livecommerce.audit.breaches import breaches
from livecommerce.audit.report import replayed
from livecommerce.audit.watch import Watch
from livecommerce.background.journal import JournalToLedger
from livecommerce.background.lease import Leases
from livecommerce.background.rebuild import NAME, WATCH_SECONDS, RebuildDuty, Rebuilt
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import deals, movements, reservations, show_books, shows
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import Hold, HoldsLengthened
from livecommerce.reservations import DealStock, ReservationEngine, keys
from livecommerce.reservations.lengthening import Lengthened
from livecommerce.shows import log as show_log
from livecommerce.shows.deals import stock_of
from tests.live_server import until
from tests.orders.conftest import world
from tests.orders.world import HOLD_MS, SHOW, World, request, rid, viewer
from tests.reservations.test_fence import Photograph

__all__ = ["world"]

DEAL = "dl_a"
Lines = list[tuple[str, int]]


async def photograph(world: World) -> Photograph:
    return {name: await world.redis.dump(name) async for name in world.redis.scan_iter()}


async def roll_back(world: World, to: Photograph) -> None:
    await world.redis.flushall()
    for name, dumped in to.items():
        await world.redis.restore(name, 0, dumped)


@dataclass
class Shop:
    """The world of orders with what a rebuild needs: a leader, and processes that come and go."""

    world: World
    engines: list[ReservationEngine] = field(default_factory=list)

    async def process(self) -> ReservationEngine:
        """One more process, which remembers nothing yet."""
        engine = ReservationEngine(self.world.redis, self.world.settings, self.world.clock, self.world.database)
        await engine.start()
        self.engines.append(engine)
        return engine

    async def restart(self) -> None:
        """The process that served so far dies; what it remembered is gone."""
        self.world.engine = await self.process()
        self.world.restart()

    def leader(self) -> RebuildDuty:
        world = self.world
        return RebuildDuty(world.redis, world.database, world.engine, world.settings, world.clock)

    async def copy_journal(self) -> None:
        world = self.world
        await JournalToLedger(world.redis, world.database, world.engine, world.clock).drain(SHOW)

    async def window(self, listeners: int = 1) -> None:
        """Return once so many rebuilds listen and wait for the clock."""
        sleepers = self.world.clock._sleepers
        await until(lambda: sum(not waiter.done() for _, _, waiter in sleepers) >= listeners, "a rebuild that listens")

    async def rebuild(self, *witnesses: ReservationEngine, proofs: dict[int, str] | None = None) -> Rebuilt | None:
        """Let the leader work, with the testimony of these processes, and these viewers' tokens handed in to the
        process that serves now."""
        world = self.world
        task = asyncio.create_task(self.leader().rebuild(SHOW, "missing", 1))
        await self.window()
        if proofs:
            with pytest.raises(Refused):
                await world.engine.levels(SHOW)  # as every page that comes back makes it ask
            for number, token in proofs.items():
                assert world.engine.prove(SHOW, f"vw_{number}", token)
            await world.engine.testify()
        for witness in witnesses:
            await witness.testify()
        await world.clock.advance(world.settings.rebuild_seconds)
        return await task

    async def books(self) -> Books:
        """The books once all that is under way is done; they must add up."""
        world = self.world
        await world.orders.run_outbox()
        await self.copy_journal()
        books = Books()
        async for piece in BooksReader(world.database, world.redis, world.engine, world.clock).pieces(SHOW):
            for row in piece:
                books.take(row)
        assert breaches(books) == []
        assert [wrong.text for wrong in replayed(books)[0].wrong] == []
        # The standing audit finds the same by the log alone.
        drift = (await Watch(world.database, world.redis, world.engine, world.clock).look()).drift
        assert (drift["impossible"], drift["log"]) == (0, 0)
        return books

    async def states(self) -> dict[int, str]:
        holds = (await self.books()).holds
        return {int(viewer_id[3:]): hold.state for (viewer_id, _), hold in sorted(holds.items())}


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    await world.database.write(
        lambda connection: connection.execute(insert(show_books).values(show_id=SHOW, opened_at_ms=1))
    )
    shop = Shop(world)
    yield shop
    for engine in shop.engines:
        await engine.aclose()


async def tap(world: World, number: int, qty: int = 1, *, wait: bool = False, deal: str = DEAL) -> Hold:
    return await world.engine.reserve(SHOW, viewer(number), rid(number), [(deal, qty)], wait=wait)


async def refusal(asked: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await asked
    return caught.value


async def turn(world: World, milliseconds: int) -> None:
    await world.redis.hincrby(keys.meta(SHOW), "clk", milliseconds)
    await world.engine.heartbeat(SHOW)


# --- who lives on ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["soft", "ledger"])
async def test_a_hold_that_a_break_lengthened_is_made_anew_with_its_longer_time(shop: Shop, level: Any) -> None:
    """By the journal alone, or by its witness in SQL: never early."""
    world, break_ms = shop.world, 40_000
    async with world.database.read() as connection:
        row = (await connection.execute(select(deals).where(deals.c.id == DEAL))).one()
    await world.database.write(
        lambda connection: connection.execute(update(deals).where(deals.c.id == DEAL).values(level=level))
    )
    await world.engine.put_deal(SHOW, replace(stock_of(row), status="open", level=level, quota=0))
    await tap(world, 1)
    event = HoldsLengthened(1, break_ms)
    await world.database.write(
        lambda connection: show_log.append_events(connection, SHOW, [event], world.clock.now_ms(), "")
    )
    assert await world.engine.lengthen(SHOW, 1, break_ms) == Lengthened(1, 0)
    await tap(world, 2)
    await shop.copy_journal()
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild()

    async def left_ms(number: int) -> int:
        [hold] = await world.engine.holds_of(SHOW, f"vw_{number}")
        assert hold.due_at_ms is not None
        return hold.due_at_ms - world.clock.now_ms()

    assert await left_ms(1) >= HOLD_MS + break_ms - 2_000
    if level == "soft":  # a witness' end is UTC, which here is not the clock that Redis has
        assert await left_ms(2) <= HOLD_MS
    await shop.books()


async def test_after_redis_lost_everything_each_unit_is_where_it_was(shop: Shop) -> None:
    """Sold, being paid, held and copied, held and only remembered, given back, and one in the line."""
    world = shop.world
    await world.press(await world.checkout(1))
    await world.checkout(2)
    await shop.copy_journal()
    held = await tap(world, 3)
    waits = await tap(world, 4, wait=True)
    await tap(world, 5, 3, deal="dl_b")
    await world.engine.release(SHOW, "vw_5", rid(5))
    before = await shop.states()
    epoch, seq, ticket = await world.redis.hmget(keys.meta(SHOW), "epoch", "seq", "ticket")
    await world.redis.flushall()

    rebuilt = await shop.rebuild(world.engine)
    assert rebuilt is not None
    assert rebuilt.lost == ()
    assert await shop.states() == before == {1: "confirmed", 2: "paying", 3: "held", 4: "waiting", 5: "released"}
    assert await world.level() == (0, 1, 1, 1)
    now = await world.redis.hmget(keys.meta(SHOW), "epoch", "seq", "ticket")
    assert now[0] != epoch
    assert int(now[1]) > int(seq)
    assert int(now[2]) >= int(ticket)
    # The same requests are answered as before, ended ones too; nothing is taken twice.
    again = await tap(world, 3)
    assert (again.state, again.ticket, again.lines) == ("held", held.ticket, held.lines)
    assert (await tap(world, 4, wait=True)).ticket == waits.ticket
    assert (await tap(world, 5, 3, deal="dl_b")).state == "released"
    assert (await refusal(tap(world, 3, 2))).why is R.RID_REUSED
    assert (await refusal(tap(world, 6))).why is R.SOLD_OUT
    # And goes on as if nothing had been.
    await world.press(await world.orders.checkout(viewer(3), request(3)))
    assert await shop.states() == {**before, 3: "confirmed"}
    await world.assert_conserved()


async def test_nothing_is_ever_made_from_the_total_alone(shop: Shop) -> None:
    """All sold, all witnesses dead, all of Redis gone: there is nothing to sell."""
    world = shop.world
    for number in (1, 2, 3):
        await world.press(await world.checkout(number))
    await world.redis.flushall()
    await shop.restart()
    assert await shop.rebuild() is not None
    assert await world.level() == (0, 0, 0, 3)
    assert (await refusal(tap(world, 4))).why is R.SOLD_OUT


async def test_a_hold_that_only_the_journal_knows_keeps_the_rest_of_its_time(shop: Shop) -> None:
    world = shop.world
    await tap(world, 1)
    await turn(world, 200_000)
    await tap(world, 2)
    await shop.copy_journal()
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild()
    left = {
        hold.rid: (hold.due_at_ms or 0) - world.clock.now_ms()
        for number in (1, 2)
        for hold in await world.engine.holds_of(SHOW, f"vw_{number}")
    }
    assert left[rid(1)] == pytest.approx(HOLD_MS - 200_000, abs=2500)
    assert left[rid(2)] == pytest.approx(HOLD_MS, abs=2500)
    await turn(world, left[rid(1)] + 2500)
    assert await shop.states() == {1: "expired", 2: "held"}


async def test_a_hold_whose_witnesses_all_died_lives_by_her_token(shop: Shop) -> None:
    """Two were told "held", the process died with Redis, nothing was copied. One comes back in time."""
    world = shop.world
    first, second = await tap(world, 1), await tap(world, 2)
    await world.redis.flushall()
    await shop.restart()
    rebuilt = await shop.rebuild(proofs={1: first.token})
    assert rebuilt is not None
    assert rebuilt.live == (("vw_1", rid(1)),)
    assert await world.level() == (2, 1, 0, 0)
    assert (await tap(world, 1)).state == "held"
    # She comes too late: her unit may be somebody else's; the same request takes another while there are some.
    assert not world.engine._batcher.memory.take_proofs(SHOW)
    assert world.engine.prove(SHOW, "vw_2", second.token)
    assert (await refusal(world.engine.release(SHOW, "vw_2", rid(2)))).why is R.NOT_FOUND
    assert (await tap(world, 2)).state == "held"
    assert await shop.states() == {1: "held", 2: "held"}


@pytest.mark.parametrize("copied", [True, False], ids=["known to the journal", "known to a living process"])
async def test_the_token_of_a_hold_that_was_given_back_proves_nothing(shop: Shop, copied: bool) -> None:
    world = shop.world
    held = await tap(world, 1)
    await world.engine.release(SHOW, "vw_1", rid(1))
    witness = world.engine
    if copied:
        await shop.copy_journal()
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild(*([] if copied else [witness]), proofs={1: held.token})
    assert await shop.states() == {1: "released"}
    assert await world.level() == (3, 0, 0, 0)


async def test_a_token_past_its_time_proves_nothing(shop: Shop) -> None:
    world = shop.world
    held = await tap(world, 1)
    await turn(world, HOLD_MS)
    await world.clock.advance(HOLD_MS / 1000)
    await tap(world, 2)
    witness = world.engine
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild(witness, proofs={1: held.token})
    assert (await shop.states())[1] == "expired"


async def test_two_histories_of_one_unit_end_with_one_holder_and_the_other_is_told(shop: Shop) -> None:
    """The server was rolled back, and a process that could not know gave the unit to somebody else."""
    world = shop.world
    await world.change_deal(DEAL, allotted=3)
    await tap(world, 1, 2)
    before = await photograph(world)
    first = world.engine
    await tap(world, 2)
    await roll_back(world, before)
    await shop.restart()
    await tap(world, 3)
    assert (await refusal(first.levels(SHOW))).why is R.REBUILDING
    heard = world.redis.pubsub()
    await heard.subscribe(keys.channel(SHOW))
    rebuilt = await shop.rebuild(first, world.engine)
    assert rebuilt is not None
    assert rebuilt.lost == (("vw_3", rid(3)),)  # the same ticket twice: the order of names decides
    assert await shop.states() == {1: "held", 2: "held", 3: "expired"}
    assert await world.level() == (0, 3, 0, 0)
    await world.redis.publish(keys.channel(SHOW), b"that was all")
    told = [message["data"] async for message in _all(heard) if message["type"] == "message"]
    assert any(b"vw_3" in each for each in told)
    await heard.aclose()


async def test_a_hold_told_after_the_loss_is_not_ended_by_the_clock_of_the_lost_history(shop: Shop) -> None:
    """The replica that leads is ten seconds behind on the hold clock. Before anybody notices it sets a unit aside; a
    process that remembers the further clock once made the rebuild take that hold's end for long past."""
    world = shop.world
    before = await photograph(world)
    first = world.engine
    for _ in range(5):
        await turn(world, 2_000)
    await roll_back(world, before)
    await world.clock.advance(1)
    await shop.restart()
    held = await tap(world, 1)
    assert (await refusal(first.levels(SHOW))).why is R.REBUILDING
    rebuilt = await shop.rebuild(first, world.engine)
    assert rebuilt is not None
    assert rebuilt.lost == ()
    again = await tap(world, 1)
    assert again.state == "held"
    assert (again.due_at_ms or 0) >= (held.due_at_ms or 0)


async def _all(heard: Any) -> AsyncIterator[Any]:
    async for message in heard.listen():
        if message["data"] == b"that was all":
            return
        yield message


async def test_a_payment_that_began_and_was_not_written_is_kept_until_sql_says_void(shop: Shop) -> None:
    world = shop.world
    await tap(world, 1)
    await world.engine.begin_pay(SHOW, "vw_1", rid(1), 60_000)
    await world.redis.flushall()
    await shop.rebuild(world.engine)
    assert await world.level() == (2, 0, 1, 0)
    await turn(world, 60_000)
    await world.orders.sweep_unwritten()
    assert await world.level() == (3, 0, 0, 0)
    assert (await refusal(world.orders.checkout(viewer(1), request(1)))).why is R.HOLD_GONE


async def test_late_money_finds_its_order_in_books_made_anew(shop: Shop) -> None:
    """Expired in SQL before the loss, paid after it: taken again where a unit is left."""
    world = shop.world
    answer = await world.checkout(1)
    await world.press(answer, "late")
    await world.pass_deadline()
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild()
    assert await world.level() == (3, 0, 0, 0)
    await world.test.catch_up()
    await world.orders.sweep_deadlines()
    await world.orders.run_outbox()
    assert (await shop.states())[1] == ("confirmed" if await world.status() == "confirmed" else "expired")
    await world.assert_conserved()
    await world.assert_healed()


async def test_errands_wait_while_stock_is_counted_and_follow_then(shop: Shop) -> None:
    """Money moves in SQL all the while."""
    world = shop.world
    answer = await world.checkout(1)
    await world.redis.flushall()
    await world.press(answer)
    assert await world.status() == "confirmed"
    await shop.rebuild(world.engine)
    assert await world.level() == (2, 0, 0, 1)
    assert await shop.states() == {1: "confirmed"}


async def test_the_line_is_kept_in_its_order_and_served_by_the_next_heartbeat(shop: Shop) -> None:
    """Whoever held the unit cannot be proved; it goes to the first who waits, and nobody overtakes."""
    world = shop.world
    for number in (1, 2, 3):
        await tap(world, number)
    lost = await photograph(world)
    await roll_back(world, lost)
    for number in (4, 5, 6):
        assert (await tap(world, number, wait=True)).place == number - 3
    await world.engine.release(SHOW, "vw_5", rid(5))
    waiting = [piece for piece in world.engine._batcher.memory._calls if piece[1][0][0][0] in ("vw_4", "vw_5", "vw_6")]
    world.engine._batcher.memory._calls.clear()
    world.engine._batcher.memory._calls.extend(waiting)
    await world.redis.flushall()
    await shop.rebuild(world.engine)
    assert await world.level() == (3, 0, 0, 0)
    assert (await refusal(tap(world, 7))).why is R.SOLD_OUT  # those who wait come first
    await world.engine.heartbeat(SHOW)
    assert await shop.states() == {4: "offered", 5: "released", 6: "offered"}
    assert (await tap(world, 7)).state == "held"


async def test_limits_count_what_lives_on(shop: Shop) -> None:
    world = shop.world
    await world.change_deal(DEAL, limit_per_viewer=1)
    await world.press(await world.checkout(1))
    await tap(world, 2)
    await world.redis.flushall()
    await shop.rebuild(world.engine)
    for number in (1, 2):
        asked = world.engine.reserve(SHOW, viewer(number), rid(90 + number), [(DEAL, 1)])
        assert (await refusal(asked)).why is R.LIMIT
    await world.engine.release(SHOW, "vw_2", rid(2))
    assert (await world.engine.reserve(SHOW, viewer(2), rid(93), [(DEAL, 1)])).state == "held"


async def test_what_a_closing_deal_gave_back_stays_given_back(shop: Shop) -> None:
    world = shop.world
    await tap(world, 1)
    assert await world.engine.set_deal_status(SHOW, DEAL, "closing") == 2
    await world.change_deal(DEAL, status="closing", allotted=1)
    await shop.copy_journal()
    await world.redis.flushall()
    await shop.rebuild(world.engine)
    assert await world.level() == (0, 1, 0, 0)
    assert (await refusal(tap(world, 2))).why is R.DEAL_CLOSED
    await world.engine.release(SHOW, "vw_1", rid(1))
    assert await world.engine.set_deal_status(SHOW, DEAL, "closed") == 1
    await shop.copy_journal()
    out = await world.all(select(movements.c.rid, movements.c.qty).where(movements.c.kind == "taken_out"))
    assert sorted(tuple(row) for row in out) == [(f"{DEAL}/0", 2), (f"{DEAL}/2", 1)]


async def test_a_held_row_in_sql_is_proof_of_what_was_promised(shop: Shop) -> None:
    world = shop.world
    await world.database.write(
        lambda connection: connection.execute(
            insert(reservations).values(
                viewer_id="vw_1", rid=rid(1), show_id=SHOW, state="held", ticket=7, lines=[[DEAL, 2, 1999]],
                due_at_ms=world.clock.now_ms() + 60_000, created_at_ms=1, updated_at_ms=1,
            )
        )
    )  # fmt: skip
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild()
    (hold,) = await world.engine.holds_of(SHOW, "vw_1")
    assert (hold.state, hold.ticket, hold.lines[0].qty) == ("held", 7, 2)


async def test_what_was_lost_once_may_be_lost_again(shop: Shop) -> None:
    """What a rebuild believed stands in the journal: the second one needs no witness any more."""
    world = shop.world
    held = await tap(world, 1)
    await tap(world, 2)
    witness = world.engine
    await world.redis.flushall()
    await shop.rebuild(witness)
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild()
    assert await shop.states() == {1: "held", 2: "held"}
    again = await tap(world, 1)
    assert again.ticket == held.ticket
    # Both windows passed on the wall and not on the hold clock.
    windows_ms = 2000 * world.settings.rebuild_seconds
    assert again.due_at_ms == pytest.approx((held.due_at_ms or 0) + windows_ms, abs=3000)


async def test_a_crowd_is_made_anew_in_pieces(shop: Shop) -> None:
    world, crowd = shop.world, 2600
    await world.change_deal(DEAL, quota=crowd, allotted=crowd)
    await world.engine.put_deal(SHOW, DealStock(DEAL, crowd - 3, 10, HOLD_MS, 600_000, "open", move_id="more"))
    await asyncio.gather(*(tap(world, number) for number in range(crowd)))
    await world.redis.flushall()
    rebuilt = await shop.rebuild(world.engine)
    assert rebuilt is not None
    assert len(rebuilt.live) == crowd
    assert await world.level() == (0, crowd, 0, 0)
    await turn(world, HOLD_MS)
    for _ in range(3):
        await world.engine.heartbeat(SHOW)
    assert await world.level() == (crowd, 0, 0, 0)


# --- rules ----------------------------------------------------------------------------------------------------------


RULES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a show": {"show_limit": 6},
    "persons": {"limit_by": "verified"},
    "addresses": {"address_cap": 4},
    "time": {"hold_cap_ms": 3 * HOLD_MS},
    "all at once": {"show_limit": 9, "limit_by": "verified", "address_cap": 4, "hold_cap_ms": 3 * HOLD_MS},
}


async def with_rules(shop: Shop, rules: dict[str, Any]) -> None:
    """The deals under these rules, in SQL and in the books."""
    world, columns = shop.world, {name: value for name, value in rules.items() if name != "show_limit"}
    if cap_ms := columns.pop("hold_cap_ms", 0):
        columns["hold_cap_seconds"] = cap_ms // 1000
    limit = rules.get("show_limit", 0)
    await world.database.write(lambda c: c.execute(update(shows).values(limit_per_person=limit)))
    await world.engine.open_show(SHOW, limit)
    for deal_id in (DEAL, "dl_b"):
        if columns:
            await world.change_deal(deal_id, **columns)
        row = await world.one(select(deals).where(deals.c.id == deal_id))
        await world.engine.put_deal(SHOW, replace(stock_of(row), quota=0, move_id="rules"))


async def counts(world: World) -> dict[str, tuple[int, int]]:
    """name → (units and the mark, seconds held) of each count in the books."""
    fields = await world.redis.hgetall(keys.viewers(SHOW))
    found = {name.decode(): int(value) for name, value in fields.items() if b"/" in name}
    assert min(found.values(), default=0) >= 0
    return {name: (value % 2**20, round((value >> 20) / 1000)) for name, value in found.items()}


def person(number: int) -> ViewerIdentity:
    return msgspec.structs.replace(viewer(number), verified=f"v_{number % 2}")


async def she_takes(world: World, number: int, lines: Lines, *, wait: bool = False) -> Hold:
    return await world.engine.reserve(SHOW, person(number), rid(number), list(lines), wait, address="house")


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
async def test_each_hold_gives_back_exactly_what_it_was_charged_before_the_loss(
    shop: Shop, rules: dict[str, Any]
) -> None:
    """Held, a cart, a line, a payment: known to a living process, so the counts are what they were."""
    world = shop.world
    await with_rules(shop, rules)
    await she_takes(world, 1, [(DEAL, 1)])
    await she_takes(world, 2, [(DEAL, 2), ("dl_b", 1)])
    await she_takes(world, 3, [(DEAL, 1)], wait=True)
    await she_takes(world, 4, [("dl_b", 1)])
    await world.engine.begin_pay(SHOW, "vw_4", rid(4), 60_000)
    before = await counts(world)
    assert before
    await world.redis.flushall()
    await shop.rebuild(world.engine)
    assert await counts(world) == before

    if limit := rules.get("show_limit"):
        assert await world.redis.hget(keys.meta(SHOW), "limit") == str(limit).encode()
    for number in (1, 2, 3):
        await world.engine.release(SHOW, f"vw_{number}", rid(number))
    await world.engine.free(SHOW, "vw_4", rid(4), "expired")
    # Seconds that were used stay used; units are all given back.
    assert all(units == 0 for units, _ in (await counts(world)).values())


async def test_a_limit_of_persons_holds_in_books_made_anew(shop: Shop) -> None:
    world = shop.world
    await with_rules(shop, {"limit_by": "verified", "limit_per_viewer": 1})
    await she_takes(world, 1, [(DEAL, 1)])
    await world.redis.flushall()
    await shop.rebuild(world.engine)
    # Another browser of the same person.
    assert (await refusal(she_takes(world, 3, [(DEAL, 1)]))).why is R.LIMIT
    assert (await refusal(tap(world, 2))).why is R.VERIFIED_ONLY
    await world.engine.release(SHOW, "vw_1", rid(1))
    assert (await she_takes(world, 3, [(DEAL, 1)])).state == "held"


async def test_a_hold_of_which_only_the_journal_knows_counts_for_its_viewer_alone(shop: Shop) -> None:
    world = shop.world
    await with_rules(shop, RULES["all at once"])
    await she_takes(world, 1, [(DEAL, 1)])
    await shop.copy_journal()
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild()
    assert await counts(world) == {f"vw_1/{DEAL}": (2, 0)}
    await world.engine.release(SHOW, "vw_1", rid(1))
    assert await counts(world) == {}


async def test_who_was_cancelled_with_a_pulled_deal_stays_cancelled(shop: Shop) -> None:
    world = shop.world
    await tap(world, 1, 3)
    await tap(world, 2, wait=True)
    await world.change_deal(DEAL, status="closing", pulled="cancel")
    await world.engine.set_deal_status(SHOW, DEAL, "closing")
    await world.engine.cancel_unpaid(SHOW, DEAL)
    await world.redis.flushall()
    await shop.rebuild(world.engine)
    assert (await shop.states())[1] == "cancelled"
    assert (await world.level())[1:] == (0, 0, 0)


async def test_what_was_kept_for_longer_is_kept_as_long(shop: Shop) -> None:
    world = shop.world
    await tap(world, 1)
    kept = await world.engine.keep(SHOW, "vw_1", rid(1), 10 * HOLD_MS)
    await world.redis.flushall()
    await shop.rebuild(world.engine)
    again = await world.engine.keep(SHOW, "vw_1", rid(1), 10 * HOLD_MS)
    assert again.due_at_ms == pytest.approx((kept.due_at_ms or 0) + 1000 * world.settings.rebuild_seconds, abs=3000)
    assert await shop.states() == {1: "held"}


# --- level `ledger` -------------------------------------------------------------------------------------------------


async def promised_by_sql(shop: Shop) -> None:
    """The deal promises the ledger, and whoever serves now has one."""
    await shop.world.change_deal(DEAL, level="ledger")
    await shop.restart()
    await with_rules(shop, {})


async def test_a_hold_of_level_ledger_lives_when_redis_and_all_processes_are_lost(shop: Shop) -> None:
    world = shop.world
    await promised_by_sql(shop)
    held = await tap(world, 1, 2)
    await world.redis.flushall()
    await shop.restart()
    assert await shop.rebuild() is not None
    assert await world.level() == (1, 2, 0, 0)
    again = await tap(world, 1, 2)
    assert (again.state, again.ticket, again.lines) == ("held", held.ticket, held.lines)
    assert (await refusal(tap(world, 2, 2))).why is R.SOLD_OUT
    await world.press(await world.orders.checkout(viewer(1), request(1)))
    assert await shop.states() == {1: "confirmed"}


async def test_of_two_witnesses_of_one_unit_the_later_ticket_is_the_surer_one(shop: Shop) -> None:
    """The first gave it back, and all that knew of that is lost."""
    world = shop.world
    await promised_by_sql(shop)
    await tap(world, 1, 3)
    await world.engine.release(SHOW, "vw_1", rid(1))
    await tap(world, 2, 3)
    await world.redis.flushall()
    await shop.restart()
    rebuilt = await shop.rebuild()
    assert rebuilt is not None
    assert rebuilt.lost == (("vw_1", rid(1)),)
    assert await shop.states() == {1: "expired", 2: "held"}
    assert await world.level() == (0, 3, 0, 0)


async def test_a_witness_whose_end_was_copied_is_none(shop: Shop) -> None:
    world = shop.world
    await promised_by_sql(shop)
    await tap(world, 1, 3)
    await world.engine.release(SHOW, "vw_1", rid(1))
    await shop.copy_journal()
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild()
    assert await shop.states() == {1: "released"}
    assert await world.level() == (3, 0, 0, 0)


# --- the log afterwards ---------------------------------------------------------------------------------------------


async def test_two_histories_in_the_log_add_up_from_the_rebuild_on(shop: Shop) -> None:
    """Both were copied: read in their order, one unit was held twice. The rebuild says who has it."""
    world = shop.world
    before = await photograph(world)
    first = world.engine
    await tap(world, 1, 2)
    await shop.copy_journal()
    await roll_back(world, before)
    await shop.restart()
    await tap(world, 2, 2)
    await shop.copy_journal()
    assert (await refusal(first.levels(SHOW))).why is R.REBUILDING
    await shop.rebuild(first, world.engine)
    assert sorted((await shop.states()).values()) == ["expired", "held"]
    watch = Watch(world.database, world.redis, world.engine, world.clock)
    await tap(world, 3)
    assert (await watch.look()).drift["log"] == 0
    # What does not add up from there on is found as ever.
    await world.redis.hdel(keys.deals(SHOW), "dl_b")
    record = msgpack.unpackb(await world.redis.hget(keys.deals(SHOW), DEAL))
    record[1:3] = [record[1] + 1, record[2] + 1]
    await world.redis.hset(keys.deals(SHOW), DEAL, msgpack.packb(record))
    assert (await watch.look()).drift["log"] == 1


async def test_units_whose_move_history_lost_stand_in_the_log_as_one_sum(shop: Shop) -> None:
    """The deal gave two back, SQL has them in the pool, and the movement that told it is gone."""
    world = shop.world
    assert await world.engine.set_deal_status(SHOW, DEAL, "closing") == 3
    await world.change_deal(DEAL, status="closing", allotted=0)
    await world.redis.flushall()
    await shop.restart()
    await shop.rebuild()
    assert await world.level() == (0, 0, 0, 0)
    out = await world.all(select(movements.c.rid, movements.c.qty).where(movements.c.kind == "taken_out"))
    assert sum(row.qty for row in out if row.rid.startswith(DEAL)) == 3
    drift = (await Watch(world.database, world.redis, world.engine, world.clock).look()).drift
    assert (drift["impossible"], drift["log"]) == (0, 0)


# --- one leader -----------------------------------------------------------------------------------------------------


async def test_a_leader_that_wakes_up_late_writes_nothing(shop: Shop) -> None:
    """Its successor has rebuilt and the shop sells again, when the old one goes on with what it had."""
    world = shop.world
    held = await tap(world, 1)
    await world.redis.flushall()
    await shop.restart()
    first = asyncio.create_task(shop.leader().rebuild(SHOW, "missing", 1))
    await shop.window()
    second = asyncio.create_task(shop.leader().rebuild(SHOW, "missing", 1))
    await shop.window(2)
    with pytest.raises(Refused):
        await world.engine.levels(SHOW)
    assert world.engine.prove(SHOW, "vw_1", held.token)
    await world.engine.testify()
    await world.clock.advance(world.settings.rebuild_seconds)
    done = [await task for task in (first, second)]
    assert done[0] is None
    assert done[1] is not None
    assert done[1].live == (("vw_1", rid(1)),)
    assert await shop.states() == {1: "held"}
    assert not await world.redis.exists(*keys.staged(SHOW, 1), *keys.staged(SHOW, 2), keys.rebuild(SHOW))


async def test_a_leader_without_the_lease_begins_nothing(shop: Shop) -> None:
    world = shop.world
    await world.redis.flushall()
    epoch = await Leases(world.database, world.clock, "another").acquire(NAME)
    assert epoch is not None
    assert await shop.leader().rebuild(SHOW, "missing", epoch - 1) is None
    assert await world.redis.keys() == []


async def test_movements_of_an_overtaken_leader_are_not_written(shop: Shop) -> None:
    world = shop.world
    await tap(world, 1)
    await world.redis.flushall()
    task = asyncio.create_task(shop.leader().rebuild(SHOW, "missing", 1))
    await shop.window()
    await world.engine.testify()
    await world.database.write(lambda c: c.execute(update(show_books).values(generation=9)))
    await world.clock.advance(world.settings.rebuild_seconds)
    assert await task is None
    assert (await world.one(select(func.count()).select_from(movements).where(movements.c.viewer_id == "vw_1")))[0] == 0
    assert (await refusal(world.engine.levels(SHOW))).why is R.REBUILDING


async def test_books_that_are_well_are_left_alone(shop: Shop) -> None:
    world = shop.world
    await tap(world, 1)
    before = await photograph(world)
    await shop.leader().run(1)
    assert await shop.leader().rebuild(SHOW, "missing", 1) is None
    assert await photograph(world) == before


async def test_a_show_that_opens_while_a_rebuild_has_found_its_books_missing_waits_for_it(shop: Shop) -> None:
    """SQL says that a show has books a moment before Redis has them. A rebuild that looked in between once went on
    beside the show, and wrote into the log that holds of its first customers had ended."""
    world = shop.world
    await world.redis.flushall()
    task = asyncio.create_task(shop.leader().rebuild(SHOW, "missing", 1))
    await shop.window()
    assert (await refusal(world.engine.open_show(SHOW))).why is R.REBUILDING
    assert not await world.engine.has_books(SHOW)
    await world.clock.advance(world.settings.rebuild_seconds)
    rebuilt = await task
    assert rebuilt is not None
    await world.engine.open_show(SHOW, 5)
    assert await world.redis.hget(keys.meta(SHOW), "limit") == b"5"
    assert (await tap(world, 1)).state == "held"
    assert await shop.states() == {1: "held"}


async def test_the_duty_finds_what_is_missing_or_paused_and_leaves_quiet_shows_alone(shop: Shop) -> None:
    world = shop.world
    await world.redis.flushall()
    task = asyncio.create_task(shop.leader().run(1))
    await shop.window()
    assert (await refusal(tap(world, 1))).why is R.REBUILDING
    await world.clock.advance(world.settings.rebuild_seconds)
    await task
    assert (await tap(world, 1)).state == "held"
    assert SHOW in await world.engine.shows_to_watch()
    await world.redis.hset(keys.meta(SHOW), "paused", 1)
    task = asyncio.create_task(shop.leader().run(1))
    await shop.window()
    await world.engine.testify()
    await world.clock.advance(world.settings.rebuild_seconds)
    await task
    assert (await tap(world, 1)).state == "held"


async def test_shows_that_nobody_watches_any_more_are_watched_again(shop: Shop) -> None:
    """As in a cluster, where the node that has the list lost its data and the show's node did not."""
    world = shop.world
    await tap(world, 1)
    leader = shop.leader()
    await leader.run(1)
    await world.redis.delete(keys.SHOWS)
    await leader.run(1)
    assert await world.engine.shows_to_watch() == ()  # not at every turn
    await world.clock.advance(WATCH_SECONDS)
    await leader.run(1)
    assert await world.engine.shows_to_watch() == (SHOW,)


async def test_it_is_cancelled_anywhere_and_the_next_one_finds_as_much(shop: Shop) -> None:
    world = shop.world
    held = await tap(world, 1)
    await world.redis.flushall()
    task = asyncio.create_task(shop.leader().rebuild(SHOW, "missing", 1))
    await shop.window()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await refusal(world.engine.levels(SHOW))).why is R.REBUILDING
    assert await shop.rebuild(world.engine) is not None
    assert (await tap(world, 1)).ticket == held.ticket


# --- random histories -----------------------------------------------------------------------------------------------


SEEDS = [*range(2), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 80))]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_random_history_a_crash_and_every_promise_that_can_be_proved(shop: Shop, seed: int) -> None:
    """Two processes serve; Redis loses all or its end; one of them may die; some viewers come back with tokens."""
    dice = random.Random(seed)
    world = shop.world
    processes = [world.engine, await shop.process()]
    told: dict[tuple[int, str], tuple[str, int]] = {}  # (viewer, rid) → last state she was told, and by which process
    tokens: dict[tuple[int, str], tuple[str, int]] = {}
    copied: dict[tuple[int, str], str] = {}
    pictures: list[Photograph] = []
    for _ in range(dice.randint(20, 60)):
        at = dice.randrange(2)
        engine, number = processes[at], dice.randint(1, 8)
        world.engine = engine
        world.restart()
        name = rid(dice.randint(1, 3) + 10 * number)
        deal = dice.choice([DEAL, "dl_b"])
        try:
            match dice.choice(["tap"] * 5 + ["wait", "release", "release", "accept", "pay", "buy", "copy", "picture"]):
                case "tap":
                    hold = await engine.reserve(SHOW, viewer(number), name, [(deal, dice.randint(1, 2))])
                    told[number, name] = hold.state, at
                    if hold.token:
                        tokens[number, name] = hold.token, at
                case "wait":
                    hold = await engine.reserve(SHOW, viewer(number), name, [(deal, 1)], wait=True)
                    told[number, name] = hold.state, at
                case "release":
                    told[number, name] = (await engine.release(SHOW, f"vw_{number}", name)).state, at
                case "accept":
                    told[number, name] = (await engine.accept(SHOW, f"vw_{number}", name)).state, at
                case "pay":
                    await world.orders.checkout(viewer(number), request(rid=name))
                    told[number, name] = "paying", at
                case "buy":
                    answer = await world.orders.checkout(viewer(number), request(rid=name))
                    await world.press(answer)
                    told[number, name] = "confirmed", at
                case "copy":
                    await shop.copy_journal()
                    copied = {each: state for each, (state, _) in told.items()}
                case "picture":
                    pictures.append(await photograph(world))
        except Refused:
            pass
    if pictures and dice.random() < 0.6:
        await roll_back(world, dice.choice(pictures))
    else:
        await world.redis.flushall()
    alive = dice.choice([(0, 1), (0, 1), (0,), (1,), ()])
    living = [processes[at] for at in alive]
    world.engine = await shop.process()
    world.restart()
    for engine in living:  # whoever lives is asked for something sooner or later
        await asyncio.gather(engine.levels(SHOW), return_exceptions=True)
    if not living and await world.engine.has_books(SHOW):
        return  # the stated hole: nobody is left who could tell
    if await world.engine.has_books(SHOW) and not await world.redis.hexists(keys.meta(SHOW), "paused"):
        await _nothing_is_lost(shop, {each: state for each, (state, at) in told.items() if at in alive})
        return
    proofs = {each: token for each, (token, _) in tokens.items() if dice.random() < 0.5}
    task = asyncio.create_task(shop.leader().rebuild(SHOW, "lost", 1))
    await shop.window()
    await asyncio.gather(world.engine.levels(SHOW), return_exceptions=True)
    for (number, _), token in proofs.items():
        assert world.engine.prove(SHOW, f"vw_{number}", token)
    for engine in (*living, world.engine):
        await engine.testify()
    await world.clock.advance(world.settings.rebuild_seconds)
    rebuilt = await task
    assert rebuilt is not None

    books = await shop.books()  # conservation, limits, movements: all of it
    await world.assert_conserved()
    now = {(int(viewer_id[3:]), name): hold.state for (viewer_id, name), hold in books.holds.items()}
    lost = {(int(viewer_id[3:]), name) for viewer_id, name in rebuilt.lost}
    for each, (state, at) in told.items():
        proved = at in alive or copied.get(each) == state
        if state in ("confirmed", "paying"):
            assert now[each] == state
        elif state == "released" and proved:
            assert now[each] in ("released", "expired"), each
        elif state == "held" and (proved or each in proofs) and each not in lost:
            assert now[each] in ("held", "released", "lapsed", "expired") if not proved else now[each] == "held", each
    if len(alive) == 2:
        assert not lost, "with every witness alive nobody loses anything"
    # What is left can be sold, to the last unit and no further.
    await world.engine.heartbeat(SHOW)  # those who wait come first
    number = 500
    for deal in (DEAL, "dl_b"):
        for _ in range((await world.level(deal))[0]):
            number += 1
            await world.engine.reserve(SHOW, viewer(number), rid(number), [(deal, 1)])
            await world.press(await world.orders.checkout(viewer(number), request(number)))
        assert (await refusal(world.engine.reserve(SHOW, viewer(99), rid(999), [(deal, 1)]))).why is R.SOLD_OUT
    await shop.books()
    await world.assert_conserved()


async def _nothing_is_lost(shop: Shop, told: dict[tuple[int, str], str]) -> None:
    """The server was rolled back to a moment after the last answer of everybody who lives."""
    for (number, name), state in told.items():
        holds = await shop.world.engine.holds_of(SHOW, f"vw_{number}")
        assert state != "held" or any(hold.rid == name for hold in holds)
