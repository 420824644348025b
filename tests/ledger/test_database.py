"""The ledger's writer: batches, savepoints, what callers learn, what survives."""

import asyncio

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.errors import R, Refused
from livecommerce.ledger.database import DEADLOCK_TRIES, QUEUE_MAX, Database
from livecommerce.ledger.tables import leases


def lease(name: str, epoch: int = 1) -> dict[str, object]:
    return {"name": name, "holder": "me", "epoch": epoch, "expires_at_ms": 1}


async def names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(select(leases.c.name).order_by(leases.c.name))).scalars())


async def test_a_write_returns_its_result_and_a_reader_sees_it(database: Database) -> None:
    async def work(connection: AsyncConnection) -> int:
        await connection.execute(leases.insert().values(lease("a")))
        return 7

    assert await database.write(work) == 7
    assert await names(database) == ["a"]


async def test_of_writes_that_go_together_a_failing_one_undoes_only_itself(database: Database) -> None:
    async def good(connection: AsyncConnection, name: str) -> str:
        await connection.execute(leases.insert().values(lease(name)))
        return name

    async def bad(connection: AsyncConnection) -> None:
        await connection.execute(leases.insert().values(lease("undone")))
        raise Refused(R.CONFLICT)

    outcomes = await asyncio.gather(
        database.write(lambda c: good(c, "a")),
        database.write(bad),
        database.write(lambda c: good(c, "b")),
        return_exceptions=True,
    )

    assert outcomes[0] == "a"
    assert isinstance(outcomes[1], Refused)
    assert outcomes[2] == "b"
    assert await names(database) == ["a", "b"]


async def test_a_broken_constraint_is_told_to_its_own_caller_alone(database: Database) -> None:
    async def twice(connection: AsyncConnection) -> None:
        await connection.execute(leases.insert().values(lease("same")))

    outcomes = await asyncio.gather(database.write(twice), database.write(twice), return_exceptions=True)

    assert [type(outcome).__name__ for outcome in outcomes].count("IntegrityError") == 1
    assert await names(database) == ["same"]


async def test_where_the_disk_is_full_nobody_is_told_that_it_was_written_and_it_was_not(database: Database) -> None:
    """SQLite takes back the whole transaction then, with what others wrote in it before; PostgreSQL the statement."""

    async def good(connection: AsyncConnection, name: str) -> str:
        await connection.execute(leases.insert().values(lease(name)))
        return name

    async def big(connection: AsyncConnection) -> None:
        if database.is_sqlite:
            await connection.execute(leases.insert().values({**lease("big"), "holder": "x" * 1_000_000}))
        else:  # its disk is nobody's to fill here; this is what it says then
            await connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$"))

    async def pages_max(count: int) -> None:
        if database.is_sqlite:
            await database.write(lambda connection: connection.execute(text(f"PRAGMA max_page_count = {count}")))

    async def together() -> list[object]:
        works = [lambda c: good(c, "a"), big, lambda c: good(c, "b")]
        return await asyncio.gather(*map(database.write, works), return_exceptions=True)

    await pages_max(1)  # SQLite takes what it has for the least
    outcomes = await together()

    assert isinstance(outcomes[1], Refused)
    assert outcomes[1].why is R.UNAVAILABLE
    if database.is_sqlite:
        assert [outcome.why for outcome in outcomes if isinstance(outcome, Refused)] == [R.UNAVAILABLE] * 3
    assert await names(database) == [outcome for outcome in outcomes if isinstance(outcome, str)]
    await database.write(lambda c: c.execute(leases.delete()))
    await pages_max(2**30)
    assert (await together())[::2] == ["a", "b"]
    assert await names(database) == (["a", "b", "big"] if database.is_sqlite else ["a", "b"])


async def test_a_cancelled_caller_does_not_take_its_write_back(database: Database) -> None:
    began = asyncio.Event()

    async def work(connection: AsyncConnection) -> None:
        began.set()
        await connection.execute(leases.insert().values(lease("kept")))

    task = asyncio.create_task(database.write(work))
    await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.write(lambda c: c.execute(select(1)))  # a later batch: the first has committed

    assert await names(database) == ["kept"]


async def test_a_full_queue_answers_busy_and_nothing_is_written(database: Database) -> None:
    gate = asyncio.Event()

    async def wait(_: AsyncConnection) -> None:
        await gate.wait()

    async def nothing(_: AsyncConnection) -> None:
        return None

    first = asyncio.create_task(database.write(wait))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(database.write(nothing)) for _ in range(QUEUE_MAX)]
    await asyncio.sleep(0)

    with pytest.raises(Refused) as caught:
        await database.write(lambda c: c.execute(leases.insert().values(lease("refused"))))

    assert caught.value.why is R.BUSY
    gate.set()
    await asyncio.gather(first, *waiting)
    assert await names(database) == []


async def test_readers_cannot_write(database: Database) -> None:
    async with database.read() as connection:
        with pytest.raises(Exception, match=r"(?i)read-?only"):
            await connection.execute(leases.insert().values(lease("never")))

    assert await names(database) == []


async def test_after_closing_a_write_is_refused_as_unavailable(database: Database) -> None:
    await database.aclose()

    with pytest.raises(Refused) as caught:
        await database.write(lambda c: c.execute(text("SELECT 1")))

    assert caught.value.why is R.UNAVAILABLE


async def test_batches_of_two_processes_that_cross_both_commit(database: Database) -> None:
    other = Database(database.url)
    await other.start()
    for name in ("a", "b"):
        await database.write(lambda c, name=name: c.execute(leases.insert().values(lease(name, 0))))
    both_hold_one = asyncio.Barrier(2)

    async def bump(connection: AsyncConnection, first: str, second: str, tries: list[int]) -> None:
        tries.append(1)
        await connection.execute(update(leases).where(leases.c.name == first).values(epoch=leases.c.epoch + 1))
        if len(tries) == 1 and not database.is_sqlite:  # SQLite takes one lock for all: they cannot cross there
            await both_hold_one.wait()
        await connection.execute(update(leases).where(leases.c.name == second).values(epoch=leases.c.epoch + 1))

    tries_one: list[int] = []
    tries_two: list[int] = []
    await asyncio.gather(
        database.write(lambda c: bump(c, "a", "b", tries_one)), other.write(lambda c: bump(c, "b", "a", tries_two))
    )
    await other.aclose()

    async with database.read() as connection:
        assert list((await connection.execute(select(leases.c.epoch))).scalars()) == [2, 2]
    if not database.is_sqlite:
        # Whoever was sent away may be back before the other has what it waited for, and cross with it once more.
        assert 3 <= len(tries_one) + len(tries_two) <= 2 * DEADLOCK_TRIES
