"""Journal → movement rows: each exactly once, whatever is interrupted or repeated; the stream shortens only after."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select

from livecommerce.background.journal import JournalToLedger
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import movements
from livecommerce.people.identity import ViewerIdentity
from livecommerce.reservations import DealStock, ReservationEngine, keys
from livecommerce.settings import Settings

SHOW = "sh_journal"
RID = "rid-0001"


@pytest.fixture
async def engine(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[ReservationEngine]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    await engine.open_show(SHOW)
    for deal_id in ("dl_a", "dl_b"):
        await engine.put_deal(SHOW, DealStock(deal_id, 3, 2, 100_000, 100_000, "open"))
    yield engine
    await engine.aclose()


@pytest.fixture
def journal(redis: Redis, database: Database, engine: ReservationEngine, clock: TestClock) -> JournalToLedger:
    return JournalToLedger(redis, database, engine, clock)


async def rows(database: Database) -> list[tuple[Any, ...]]:
    columns = (movements.c.viewer_id, movements.c.rid, movements.c.line, movements.c.kind, movements.c.n,
               movements.c.deal_id, movements.c.qty)  # fmt: skip
    async with database.read() as connection:
        found = await connection.execute(select(*columns).order_by(movements.c.id))
        return [tuple(row) for row in found]


async def a_history(engine: ReservationEngine) -> list[tuple[Any, ...]]:
    """A cart that is paid late, and what must stand in the ledger for it."""
    await engine.reserve(SHOW, ViewerIdentity("vw_1", "One"), RID, [("dl_a", 2), ("dl_b", 1)])
    await engine.begin_pay(SHOW, "vw_1", RID, 5000)
    await engine.free(SHOW, "vw_1", RID, "expired")
    await engine.reacquire(SHOW, "vw_1", RID)
    await engine.settle(SHOW, "vw_1", RID)
    await engine.set_deal_status(SHOW, "dl_a", "closed")
    expected: list[tuple[Any, ...]] = [
        ("", "dl_a/opening", 0, "allotted", 0, "dl_a", 3),
        ("", "dl_b/opening", 0, "allotted", 0, "dl_b", 3),
    ]
    for kind, n in (("held", 0), ("paying", 0), ("pay_expired", 0), ("reacquired", 1), ("confirmed", 1)):
        expected += [("vw_1", RID, 0, kind, n, "dl_a", 2), ("vw_1", RID, 1, kind, n, "dl_b", 1)]
    return [*expected, ("", "dl_a/0", 0, "taken_out", 0, "dl_a", 1)]


async def test_every_line_of_every_change_becomes_one_row(
    engine: ReservationEngine, journal: JournalToLedger, database: Database, redis: Redis
) -> None:
    expected = await a_history(engine)
    assert await journal.drain(SHOW) == 8
    assert await rows(database) == expected
    assert await redis.xlen(keys.journal(SHOW)) == 0
    assert await journal.drain_all() == 0


async def test_entries_seen_twice_leave_single_rows(
    engine: ReservationEngine, journal: JournalToLedger, database: Database, redis: Redis, clock: TestClock
) -> None:
    """The worker dies after the commit and before the trim; its successor sees the same entries again."""
    expected = await a_history(engine)
    trim = redis.xtrim

    async def die(*_args: Any, **_kwargs: Any) -> None:
        raise ConnectionError("killed before the trim")

    redis.xtrim = die  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await journal.drain(SHOW)
    redis.xtrim = trim  # type: ignore[method-assign]
    assert await redis.xlen(keys.journal(SHOW)) == 8
    assert await JournalToLedger(redis, database, engine, clock).drain(SHOW) == 8
    assert await rows(database) == expected


async def test_nothing_is_trimmed_where_the_commit_failed(
    engine: ReservationEngine, journal: JournalToLedger, database: Database, redis: Redis
) -> None:
    await a_history(engine)
    await database.aclose()
    with pytest.raises(Refused) as caught:
        await journal.drain(SHOW)
    assert caught.value.why is R.UNAVAILABLE
    assert await redis.xlen(keys.journal(SHOW)) == 8


async def test_more_entries_than_one_commit_takes_are_all_copied(
    engine: ReservationEngine, journal: JournalToLedger, database: Database
) -> None:
    for n in range(120):
        await engine.reserve(SHOW, ViewerIdentity(f"vw_{n}", ""), RID, [("dl_a", 1)])
        await engine.release(SHOW, f"vw_{n}", RID)
    assert await journal.drain(SHOW) == 242
    found = await rows(database)
    assert len(found) == len(set(found)) == 242


async def test_one_show_s_node_that_is_away_does_not_stop_the_others(
    engine: ReservationEngine, journal: JournalToLedger, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.open_show("sh_a_dead_one")
    await engine.put_deal("sh_a_dead_one", DealStock("dl_a", 3, 2, 100_000, 100_000, "open"))
    xlen = redis.xlen

    async def ask(key: str) -> int:
        if key == keys.journal("sh_a_dead_one"):
            raise RedisConnectionError("away")
        return await xlen(key)

    monkeypatch.setattr(redis, "xlen", ask)
    with pytest.raises(RedisConnectionError):
        await journal.drain_all()
    assert await xlen(keys.journal(SHOW)) == 0
    assert await xlen(keys.journal("sh_a_dead_one")) == 1


async def test_a_row_has_what_a_lost_hold_is_made_of_again(
    engine: ReservationEngine, journal: JournalToLedger, database: Database
) -> None:
    """Ticket, hold clock and whom it credits, beside its lines."""
    viewer = ViewerIdentity("vw_1", "One", "guest", "ac_1", "ou_1", "ln_1")
    hold = await engine.reserve(SHOW, viewer, RID, [("dl_a", 2)])
    await journal.drain(SHOW)
    async with database.read() as connection:
        (row,) = (await connection.execute(select(movements).where(movements.c.kind == "held"))).all()
    assert (row.ticket, row.attribution) == (hold.ticket, "ac_1 ou_1 ln_1")
    assert row.hold_clock_ms >= 0
