"""Level `ledger`: "held" is said after the commit and never without it, and a witness is never a judge."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, func, select, text, update

from livecommerce.background.journal import JournalToLedger
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database, Work
from livecommerce.ledger.tables import movements, witnesses
from livecommerce.protocol.facts import HoldLine, Level
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations import witnesses as module
from livecommerce.reservations.relay_format import attribution_of, record
from livecommerce.reservations.witnesses import Witness, close_stale, live_witnesses
from livecommerce.settings import Settings
from tests.redis_servers import WAIT_SECONDS
from tests.reservations.conftest import HOLD_MS, SHOW, deal, viewer

RID = "rid-0001"
Turn = Callable[[int], Awaitable[None]]


class Gated(Database):
    """A ledger whose writes wait until they are let go, or fail."""

    def __init__(self, behind: Database) -> None:
        super().__init__(behind.url)
        self.gate = asyncio.Event()
        self.asked = 0
        self.away = False

    async def write(self, work: Work[Any]) -> Any:
        self.asked += 1
        await self.gate.wait()
        if self.away:
            raise Refused(R.UNAVAILABLE)
        return await super().write(work)


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Gated]:
    ledger = Gated(database)
    await ledger.start()
    ledger.gate.set()
    yield ledger
    ledger.gate.set()
    await ledger.aclose()


@pytest.fixture
async def engine(redis: Redis, settings: Settings, clock: TestClock, ledger: Gated) -> AsyncIterator[ReservationEngine]:
    engine = ReservationEngine(redis, settings, clock, ledger)
    await engine.start()
    await engine.open_show(SHOW)
    await engine.put_deal(SHOW, deal(quota=5, level="ledger"))
    await engine.put_deal(SHOW, deal("dl_soft", quota=5))
    yield engine
    await engine.aclose()


@pytest.fixture
async def another(
    redis: Redis, settings: Settings, clock: TestClock, database: Database
) -> AsyncIterator[ReservationEngine]:
    """A process that remembers nothing."""
    engine = ReservationEngine(redis, settings, clock, database)
    await engine.start()
    yield engine
    await engine.aclose()


async def reserve(engine: ReservationEngine, number: int = 1, *lines: tuple[str, int], wait: bool = False) -> Any:
    return await engine.reserve(SHOW, viewer(number), RID, list(lines) or [("dl_a", 1)], wait=wait)


async def refused(asked: Awaitable[Any]) -> R:
    with pytest.raises(Refused) as caught:
        await asked
    return caught.value.why


async def live(database: Database) -> list[Witness]:
    async with database.read() as connection:
        return await live_witnesses(connection, SHOW)


async def names(database: Database) -> list[str]:
    return [each.viewer_id for each in await live(database)]


async def drain(redis: Redis, database: Database, engine: ReservationEngine, clock: TestClock) -> None:
    await JournalToLedger(redis, database, engine, clock).drain(SHOW)


async def answered_by_redis(engine: ReservationEngine) -> None:
    """All that was asked before this has been answered by Redis: calls go one after the other."""
    for _ in range(3):
        await asyncio.sleep(0)
        await engine.levels(SHOW)


# --- the commit, then the answer --------------------------------------------------------------------------------------


async def test_held_is_answered_once_its_row_is_committed(engine: ReservationEngine, ledger: Gated) -> None:
    ledger.gate.clear()
    asked = asyncio.ensure_future(reserve(engine, 1, ("dl_a", 2)))
    soft = await reserve(engine, 2, ("dl_soft", 1))  # nobody waits for somebody else's promise

    assert (soft.state, asked.done(), await live(ledger)) == ("held", False, [])

    ledger.gate.set()
    hold = await asked
    (witness,) = await live(ledger)
    promise = engine.promise_of(hold.token)
    assert promise is not None
    assert (hold.state, promise.level, promise.due_at_ms) == ("held", "ledger", witness.due_at_ms)
    assert (witness.viewer_id, witness.rid, witness.ticket, witness.epoch) == ("vw_1", RID, hold.ticket, promise.epoch)
    assert witness.lines == (HoldLine("dl_a", 2),)


async def test_the_row_keeps_the_hold_as_the_script_wrote_it(
    engine: ReservationEngine, redis: Redis, database: Database
) -> None:
    await reserve(engine)
    (witness,) = await live(database)
    assert witness.record == await redis.hget(keys.rids(SHOW), f"vw_1/{RID}")
    assert attribution_of(record(witness.record)) == ("ac_1", "ou_1", "ln_1")


async def test_the_end_is_counted_from_the_answer_of_redis_not_from_the_commit(
    engine: ReservationEngine, ledger: Gated, clock: TestClock
) -> None:
    told_at_ms = clock.now_ms()
    ledger.gate.clear()
    asked = asyncio.ensure_future(reserve(engine))
    await answered_by_redis(engine)
    await clock.advance(3)
    ledger.gate.set()
    assert (await asked).due_at_ms == told_at_ms + HOLD_MS


async def test_many_are_committed_together_while_the_script_goes_on(engine: ReservationEngine, ledger: Gated) -> None:
    await engine.put_deal(SHOW, deal("dl_big", quota=300, level="ledger"))
    ledger.gate.clear()
    before = ledger.asked
    taps = [asyncio.ensure_future(reserve(engine, n, ("dl_big", 1))) for n in range(300)]
    await answered_by_redis(engine)
    assert (await engine.levels(SHOW))[1]["dl_big"].held == 300  # five calls of the script, one commit under way
    assert ledger.asked == before + 1

    ledger.gate.set()
    assert {hold.state for hold in await asyncio.gather(*taps)} == {"held"}
    assert ledger.asked == before + 2
    assert len(await live(ledger)) == 300


async def test_a_cart_promises_what_its_weakest_line_does(engine: ReservationEngine, ledger: Gated) -> None:
    soft = await reserve(engine, 1, ("dl_a", 1), ("dl_soft", 1))
    await engine.put_deal(SHOW, deal("dl_b", level="ledger"))
    whole = await reserve(engine, 2, ("dl_a", 1), ("dl_b", 1))

    levels = [promise.level for hold in (soft, whole) if (promise := engine.promise_of(hold.token))]
    assert levels == ["soft", "ledger"]
    assert await names(ledger) == ["vw_2"]


async def test_a_place_in_the_line_needs_no_witness_and_accepting_the_offer_does(
    engine: ReservationEngine, ledger: Gated
) -> None:
    await engine.put_deal(SHOW, deal("dl_one", quota=1, level="ledger"))
    await reserve(engine, 1, ("dl_one", 1))
    assert (await reserve(engine, 2, ("dl_one", 1), wait=True)).state == "waiting"
    await engine.release(SHOW, "vw_1", RID)
    assert [hold.state for hold in await engine.holds_of(SHOW, "vw_2")] == ["offered"]
    ledger.gate.clear()
    asked = asyncio.ensure_future(engine.accept(SHOW, "vw_2", RID))
    await answered_by_redis(engine)
    assert not asked.done()
    ledger.gate.set()
    assert (await asked).state == "held"
    assert "vw_2" in await names(ledger)


# --- asked again ------------------------------------------------------------------------------------------------------


async def test_a_repeat_and_a_welcome_write_the_row_that_is_missing_first(
    engine: ReservationEngine, another: ReservationEngine, ledger: Gated, database: Database
) -> None:
    """Its process died between the script and the commit; the viewer asks again, or comes in anew, elsewhere."""
    hold = await reserve(engine)
    for again in (lambda: reserve(another), lambda: another.holds_of(SHOW, "vw_1")):
        await database.write(lambda connection: connection.execute(delete(witnesses)))
        another._witnesses._known.clear()
        answer = await again()
        assert hold.ticket in [each.ticket for each in (answer if isinstance(answer, tuple) else [answer])]
        assert await names(ledger) == ["vw_1"]


async def test_what_this_process_committed_is_not_written_again(engine: ReservationEngine, ledger: Gated) -> None:
    await reserve(engine)
    before = ledger.asked
    await reserve(engine)
    assert [hold.state for hold in await engine.holds_of(SHOW, "vw_1")] == ["held"]
    assert ledger.asked == before


async def test_two_processes_that_answer_one_rid_leave_one_row(
    engine: ReservationEngine, another: ReservationEngine, ledger: Gated
) -> None:
    first, second = await asyncio.gather(reserve(engine), reserve(another))
    assert first.ticket == second.ticket
    assert await names(ledger) == ["vw_1"]


async def test_what_is_remembered_has_a_bound(
    engine: ReservationEngine, monkeypatch: pytest.MonkeyPatch, ledger: Gated
) -> None:
    monkeypatch.setattr(module, "REMEMBERED_MAX", 2)
    for number in range(4):
        await reserve(engine, number)
    assert [key[1] for key in engine._witnesses._known] == ["vw_2", "vw_3"]


# --- the ledger is away -----------------------------------------------------------------------------------------------


async def test_without_the_commit_it_is_busy_and_the_same_rid_finds_the_hold(
    engine: ReservationEngine, ledger: Gated
) -> None:
    ledger.away = True
    assert await refused(reserve(engine)) is R.BUSY
    assert (await engine.levels(SHOW))[1]["dl_a"] == Level(4, 1, 0, 0, 0)
    assert await refused(reserve(engine)) is R.BUSY
    assert await live(ledger) == []
    ledger.away = False
    assert (await reserve(engine)).state == "held"
    assert (await engine.levels(SHOW))[1]["dl_a"] == Level(4, 1, 0, 0, 0)
    assert await names(ledger) == ["vw_1"]


async def test_a_ledger_that_hangs_is_not_waited_for(
    engine: ReservationEngine, ledger: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_SECONDS_MAX", 0.01)
    ledger.gate.clear()
    assert await refused(reserve(engine)) is R.BUSY
    monkeypatch.undo()
    ledger.gate.set()
    assert (await reserve(engine)).state == "held"


async def test_more_waiting_rows_than_the_bound_are_busy(
    engine: ReservationEngine, ledger: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_WAITING_MAX", 1)
    ledger.gate.clear()
    first = asyncio.ensure_future(reserve(engine, 1))
    await answered_by_redis(engine)
    assert await refused(reserve(engine, 2)) is R.BUSY
    ledger.gate.set()
    assert (await first).state == "held"
    assert (await reserve(engine, 2)).state == "held"


async def test_closing_refuses_the_answers_that_wait(engine: ReservationEngine, ledger: Gated) -> None:
    ledger.gate.clear()
    asked = asyncio.ensure_future(reserve(engine))
    await answered_by_redis(engine)
    await engine.aclose()
    assert await refused(asked) is R.BUSY


async def test_a_process_without_a_ledger_offers_no_such_level_and_never_says_held(
    engine: ReservationEngine, redis: Redis, settings: Settings, clock: TestClock
) -> None:
    without = ReservationEngine(redis, settings, clock)
    await without.start()
    assert await refused(without.put_deal(SHOW, deal("dl_c", level="ledger"))) is R.MALFORMED
    assert await refused(reserve(without)) is R.BUSY
    assert (await reserve(without, 2, ("dl_soft", 1))).state == "held"
    await without.aclose()


@pytest.mark.postgres
async def test_a_ledger_that_commits_to_memory_offers_no_such_level(
    redis: Redis, settings: Settings, clock: TestClock, postgres_tables: str
) -> None:
    database = Database(postgres_tables)
    await database.start()
    engine = ReservationEngine(redis, settings, clock, database)
    await engine.start()
    await engine.open_show(SHOW)
    for commit, offered in (("off", False), ("on", True)):
        alter = text(f"ALTER ROLE postgres SET synchronous_commit = {commit}")
        await database.write(lambda connection, alter=alter: connection.execute(alter))  # type: ignore[misc]
        await database._reader.dispose()  # a role's setting counts from the next connection on
        if offered:
            await engine.put_deal(SHOW, deal(level="ledger"))
        else:
            assert await refused(engine.put_deal(SHOW, deal(level="ledger"))) is R.MALFORMED
    await database.write(lambda connection: connection.execute(text("ALTER ROLE postgres RESET synchronous_commit")))
    await engine.aclose()
    await database.aclose()


# --- what others hear -------------------------------------------------------------------------------------------------


async def heard(pubsub: Any, redis: Redis) -> list[tuple[bytes, int]]:
    """(viewer, state) of the holds told on the channel until now: what is published after it closes the list."""
    await redis.publish(keys.channel(SHOW), msgpack.packb(["end", 0, {}, []]))
    told = []
    while True:
        message = await pubsub.get_message(timeout=WAIT_SECONDS)
        if message is None or message["type"] != "message":
            continue
        word, _, _, holds = msgpack.unpackb(message["data"], raw=True)
        if word == b"end":
            return told
        told += [(viewer_id, record(raw)[0]) for viewer_id, _, raw in holds or ()]


async def all_told(engine: ReservationEngine) -> None:
    telling = engine._witnesses._telling
    assert telling is not None
    await telling


async def test_her_other_devices_hear_of_it_after_the_commit(
    engine: ReservationEngine, redis: Redis, ledger: Gated
) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(keys.channel(SHOW))
        ledger.gate.clear()
        asked = asyncio.ensure_future(reserve(engine))
        await answered_by_redis(engine)
        assert await heard(pubsub, redis) == []
        ledger.gate.set()
        await asked
        await all_told(engine)
        assert await heard(pubsub, redis) == [(b"vw_1", 3)]


async def test_what_was_released_before_the_commit_is_never_told_as_held_after_it(
    engine: ReservationEngine, redis: Redis, ledger: Gated
) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(keys.channel(SHOW))
        ledger.gate.clear()
        asked = asyncio.ensure_future(reserve(engine))
        await answered_by_redis(engine)
        assert (await engine.release(SHOW, "vw_1", RID)).state == "released"
        assert await heard(pubsub, redis) == [(b"vw_1", 6)]
        ledger.gate.set()
        await asked
        await all_told(engine)
        assert await heard(pubsub, redis) == []


async def test_who_is_drawn_hears_of_it_after_the_commit(
    engine: ReservationEngine, redis: Redis, ledger: Gated, database: Database
) -> None:
    """A draw answers the worker and no viewer, so it is he who has the rows written; without them he is refused, and
    whoever draws next tells all who were drawn."""
    await engine.put_deal(SHOW, deal("dl_drawn", quota=2, level="ledger", drawn=True))
    for number in (1, 2, 3):
        assert (await reserve(engine, number, ("dl_drawn", 1))).state == "entered"
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(keys.channel(SHOW))
        ledger.away = True
        assert await refused(engine.draw(SHOW, "dl_drawn", "a" * 64, "b" * 64)) is R.BUSY
        assert [state for _, state in await heard(pubsub, redis)] == [1]  # the one who waits
        ledger.away = False
        made = await engine.draw(SHOW, "dl_drawn", "a" * 64, "b" * 64)
        assert (made.drawn, made.waiting) == (3, 1)
        await all_told(engine)
        told = await heard(pubsub, redis)
    assert [state for _, state in told] == [3, 3]
    assert sorted(viewer_id.decode() for viewer_id, _ in told) == sorted(await names(database))


# --- the ends of witnesses --------------------------------------------------------------------------------------------


async def test_the_journal_marks_the_witnesses_of_what_is_no_longer_held(
    engine: ReservationEngine, redis: Redis, database: Database, clock: TestClock, turn: Turn
) -> None:
    for number in range(1, 5):
        await reserve(engine, number)
    await engine.release(SHOW, "vw_1", RID)
    await engine.begin_pay(SHOW, "vw_2", RID, 5000)
    assert await names(database) == ["vw_1", "vw_2", "vw_3", "vw_4"]  # later: no answer waits for it
    await drain(redis, database, engine, clock)
    assert await names(database) == ["vw_3", "vw_4"]
    await turn(HOLD_MS)
    await engine.heartbeat(SHOW)
    await drain(redis, database, engine, clock)
    assert await names(database) == []
    async with database.read() as connection:
        states = select(witnesses.c.viewer_id, witnesses.c.state).order_by(witnesses.c.viewer_id)
        found = [tuple(row) for row in await connection.execute(states)]
    assert found == [("vw_1", "released"), ("vw_2", "paying"), ("vw_3", "expired"), ("vw_4", "expired")]


async def test_a_witness_that_was_written_after_its_end_is_not_taken_for_a_hold(
    engine: ReservationEngine, redis: Redis, ledger: Gated, database: Database, clock: TestClock
) -> None:
    ledger.gate.clear()
    asked = asyncio.ensure_future(reserve(engine))
    await answered_by_redis(engine)
    await engine.release(SHOW, "vw_1", RID)
    await drain(redis, database, engine, clock)
    ledger.gate.set()
    await asked
    assert await live(database) == []
    assert await database.write(lambda connection: close_stale(connection, SHOW)) == 1
    assert await database.write(lambda connection: close_stale(connection, SHOW)) == 0


async def test_witnesses_whose_time_is_over_can_be_left_out(engine: ReservationEngine, database: Database) -> None:
    hold = await reserve(engine)
    async with database.read() as connection:
        assert len(await live_witnesses(connection, SHOW, hold.due_at_ms - 1)) == 1
        assert await live_witnesses(connection, SHOW, hold.due_at_ms) == []


async def test_all_of_redis_is_lost_and_every_hold_that_was_told_stands_in_sql(
    engine: ReservationEngine, redis: Redis, database: Database
) -> None:
    told = await asyncio.gather(*(reserve(engine, number, ("dl_a", 1)) for number in range(5)))
    await redis.flushall()
    assert [(each.ticket, each.lines) for each in await live(database)] == sorted(
        (hold.ticket, hold.lines) for hold in told
    )


async def test_the_journal_of_soft_deals_costs_no_look_at_each_hold(
    engine: ReservationEngine, redis: Redis, database: Database, clock: TestClock
) -> None:
    await reserve(engine, 1, ("dl_soft", 1))
    await engine.release(SHOW, "vw_1", RID)
    await drain(redis, database, engine, clock)
    async with database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(witnesses))).scalar_one() == 0
        seqs = (await connection.execute(select(movements.c.seq).order_by(movements.c.id))).scalars().all()
    assert seqs == sorted(seqs)
    assert min(seqs) > 0


async def test_a_hold_told_before_the_level_was_raised_gets_its_row_when_asked_for(
    engine: ReservationEngine, database: Database
) -> None:
    await reserve(engine, 1, ("dl_soft", 1))
    await engine.put_deal(SHOW, deal("dl_soft", quota=5, level="ledger"))
    assert (await reserve(engine, 1, ("dl_soft", 1))).state == "held"
    assert await names(database) == ["vw_1"]


async def test_a_state_that_the_ledger_set_is_never_set_back(
    engine: ReservationEngine, another: ReservationEngine, database: Database
) -> None:
    await reserve(engine)
    await database.write(lambda connection: connection.execute(update(witnesses).values(state="released")))
    await reserve(another)
    assert await live(database) == []
