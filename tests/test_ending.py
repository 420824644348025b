"""A task ends though a library swallowed the cancellation that met it."""

import asyncio

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
