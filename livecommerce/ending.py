"""Ends tasks for certain: cancels them until they have ended.

One cancellation may get lost. redis-py swallows one that meets it while it makes or closes a broken connection, and on
Python 3.11 one that comes in the turn in which a command has just been written: `asyncio.wait_for` returns then instead
of raising (gh-86296, mended in 3.12). So may any library that waits with a time limit of its own. A task that serves
for ever goes on then, and whoever waits for its end waits for ever too.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

# Long enough for what a task closes when it is cancelled: the next cancellation would cut that short.
_AGAIN_SECONDS = 0.5


async def end(tasks: "Iterable[asyncio.Task[Any] | None]", again_seconds: float = _AGAIN_SECONDS) -> None:
    """Return once all have ended, whatever they raised. Cancelling this leaves them to the next call.

    `again_seconds`: how long a task may take to close what it has before it is cancelled again.
    """
    left = {task for task in tasks if task is not None and not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_seconds)
