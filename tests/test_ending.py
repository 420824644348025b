"""A task ends though a library swallowed the cancellation that met it."""

import asyncio

from redis.asyncio import Redis

from livecommerce.ending import end


async def deaf_once(heard: list[str]) -> None:
    """As redis-py is while it closes a broken connection."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        heard.append("swallowed")
    await asyncio.Event().wait()


async def test_a_task_that_swallowed_its_cancellation_is_cancelled_again() -> None:
    heard: list[str] = []
    task = asyncio.create_task(deaf_once(heard))
    await asyncio.sleep(0)

    await end([task])

    assert task.cancelled()
    assert heard == ["swallowed"]


async def test_a_task_that_asks_redis_again_and_again_ends_in_whichever_turn_it_is_cancelled(redis: Redis) -> None:
    """On Python 3.11 the turn in which a command was just written swallows the cancellation."""

    async def ask_forever() -> None:
        while True:
            await redis.ping()

    for turns in range(50):
        task = asyncio.create_task(ask_forever())
        for _ in range(turns):
            await asyncio.sleep(0)

        await end([task], again_seconds=0.01)

        assert task.cancelled()


async def test_what_a_task_raises_at_its_end_stays_with_it() -> None:
    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while closing")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)

    await end([None, task])

    assert isinstance(task.exception(), ValueError)


async def test_without_tasks_it_returns_at_once() -> None:
    done = asyncio.create_task(asyncio.sleep(0))
    await done

    await end([])
    await end([None, done])
