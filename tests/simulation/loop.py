"""An event loop of which one seed decides everything: whose turn it is, and what time it is.

What arrives: a random source. What leaves: a loop for `asyncio` whose time is a number that jumps to the next timer
when nobody has anything to do, and `Process`es that can be killed. Each process has a queue of its own that keeps its
order, as `asyncio` promises it; which process goes on next is drawn. A killed process runs no line any more, not even a
`finally`, as after kill -9. Nothing here touches a socket, a thread or the machine's clock.
"""

import asyncio
import contextvars
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

_PROCESS: contextvars.ContextVar["Process"] = contextvars.ContextVar("process")


class Stuck(AssertionError):
    """Nobody has anything to do and nobody waits for an instant: somebody waits for what never comes."""


class Process:
    """What is killed together. `OUTSIDE` is the world itself, which is not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.ready: deque[asyncio.Handle] = deque()
        self.context = contextvars.copy_context()
        self.context.run(_PROCESS.set, self)
        self.tasks: list[asyncio.Task[Any]] = []  # kept to the end, so that none is collected and runs its `finally`
        self.on_death: list[Callable[[], None]] = []
        self.steps_to_live = 0  # killed after so many more steps; 0: not by this


def process_now() -> Process | None:
    """Whose code runs; None outside of any history."""
    return _PROCESS.get(None)


class SeededLoop(asyncio.BaseEventLoop):
    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self._now = 0.0
        self._busy: list[Process] = []
        self.outside = Process("outside")
        self.processes = [self.outside]
        self.graveyard: list[Any] = []
        self.steps = 0
        self.set_task_factory(_task)

    # --- processes --------------------------------------------------------------------------------------------------

    def spawn(self, name: str) -> Process:
        process = Process(name)
        self.processes.append(process)
        return process

    def kill(self, process: Process) -> None:
        """kill -9. What it had asked of others may still happen."""
        process.alive = False
        self.graveyard.append(list(process.ready))
        process.ready.clear()
        if process in self._busy:
            self._busy.remove(process)
        for tell in process.on_death:
            tell()

    def run_in(self, process: Process, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task of that process."""
        return self.create_task(work, context=process.context.copy())

    # --- what asyncio asks of a loop --------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._put(handle)
        return handle

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:
        raise AssertionError("the simulation has no threads")

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, work: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """What the product does in a thread of its own is one step here, and its answer comes in another."""
        done = self.create_future()

        def run() -> None:
            if not done.cancelled():
                done.set_result(work(*args))

        self.call_soon(run)
        return done

    def _put(self, handle: asyncio.Handle) -> None:
        process: Process = handle._context.get(_PROCESS, self.outside)  # type: ignore[attr-defined]
        if not process.alive:
            self.graveyard.append(handle)
            return
        if not process.ready:
            self._busy.append(process)
        process.ready.append(handle)

    def _run_once(self) -> None:
        if not self._busy:
            if not self._stopping:  # type: ignore[attr-defined]
                self._go_to_next_timer()
            return
        place = 0 if len(self._busy) == 1 else int(self._chance.random() * len(self._busy))
        process = self._busy[place]
        handle = process.ready.popleft()
        if not process.ready:
            del self._busy[place]
        self.steps += 1
        if not handle._cancelled:  # type: ignore[attr-defined]
            handle._run()  # type: ignore[attr-defined]
        if process.steps_to_live:
            process.steps_to_live -= 1
            if process.steps_to_live == 0 and process.alive:
                self.kill(process)

    def _go_to_next_timer(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._cancelled:  # type: ignore[attr-defined]
            heapq.heappop(timers)._scheduled = False  # type: ignore[attr-defined]
        if not timers:
            raise Stuck
        timer = heapq.heappop(timers)
        timer._scheduled = False  # type: ignore[attr-defined]
        self._now = max(self._now, timer.when())
        self._put(timer)

    def _process_events(self, _events: Any) -> None:
        return

    def _write_to_self(self) -> None:
        return


def _task(loop: asyncio.AbstractEventLoop, work: Any, **given: Any) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **given)
    context: contextvars.Context = given.get("context") or contextvars.copy_context()
    process: Process = context.get(_PROCESS, loop.outside)  # type: ignore[attr-defined]
    process.tasks.append(task)
    return task
