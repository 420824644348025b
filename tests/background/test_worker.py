"""The worker: every duty under its own lease, and no duty's trouble is another's."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.background.duties import Repeated
from livecommerce.background.lease import LEASE_SECONDS, Leases
from livecommerce.background.worker import Worker
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database


@dataclass
class Counted:
    """A duty that notes its turns."""

    name: str
    every_seconds: float = 1.0
    deadline_seconds: float = 5.0
    failure: Exception | None = None
    epochs: list[int] = field(default_factory=list)

    async def run(self, lease_epoch: int) -> None:
        self.epochs.append(lease_epoch)
        if self.failure:
            raise self.failure


@dataclass
class Stuck:
    """A duty that never comes to its end by itself. `deaf`: the cancellations that a library swallows in its turns."""

    deadline_seconds: float
    name: str = "stuck"
    every_seconds: float = 1.0
    deaf: int = 0
    begun: int = 0
    cancelled: int = 0

    async def run(self, lease_epoch: int) -> None:
        self.begun += 1
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                if self.cancelled > self.deaf:
                    raise


async def turn_until(database: Database, clock: TestClock, *, done: Callable[[], bool]) -> None:
    """Turn the clock in small steps, letting the ledger's real I/O finish in between, until `done()`. What waits to be
    written is written before time goes on: else leases would run out while a commit takes its time."""
    while not done():
        await clock.advance(0.1)
        await database.write(_nothing)
        await asyncio.sleep(0.005)  # real time for the ledger's threads, not a wait for an outcome


async def _nothing(_: AsyncConnection) -> None:
    """A write that waits its turn."""


async def test_a_duty_that_fails_is_tried_again_and_the_others_go_on(database: Database, clock: TestClock) -> None:
    well, refused, broken = (
        Counted("well"), Counted("refused", failure=Refused(R.BUSY)), Counted("broken", failure=ValueError("bug")),
    )  # fmt: skip
    worker = Worker(database, clock, [well, refused, broken])
    await worker.start()

    await turn_until(database, clock, done=lambda: all(len(duty.epochs) >= 3 for duty in (well, refused, broken)))

    assert set(worker.held) == {"well", "refused", "broken"}
    await worker.aclose()


async def test_a_duty_that_waits_for_redis_says_so_once_and_once_that_it_goes_on(
    database: Database, clock: TestClock
) -> None:
    duty = Counted("heartbeat", failure=Refused(R.BUSY))
    worker = Worker(database, clock, [duty])
    with structlog.testing.capture_logs() as lines:
        await worker.start()
        await turn_until(database, clock, done=lambda: len(duty.epochs) >= 3)
        duty.failure = None
        await turn_until(database, clock, done=lambda: len(duty.epochs) >= 6)
        await worker.aclose()
    events = [line["event"] for line in lines]
    assert (events.count("duty_stopped"), events.count("duty_goes_on")) == (1, 1)


async def test_only_one_of_two_workers_does_a_duty_and_the_other_takes_over(
    database: Database, clock: TestClock
) -> None:
    first_duty, second_duty = Counted("heartbeat"), Counted("heartbeat")
    first = Worker(database, clock, [first_duty], "first")
    second = Worker(database, clock, [second_duty], "second")
    await first.start()
    await turn_until(database, clock, done=lambda: len(first_duty.epochs) >= 2)
    await second.start()
    await turn_until(database, clock, done=lambda: len(first_duty.epochs) >= 6)
    assert second_duty.epochs == []

    await first.aclose()
    await turn_until(database, clock, done=lambda: len(second_duty.epochs) >= 2)

    assert set(first_duty.epochs) == {1}
    assert set(second_duty.epochs) == {2}
    await second.aclose()


async def test_a_turn_past_its_deadline_is_cancelled_and_begun_again(database: Database, clock: TestClock) -> None:
    stuck = Stuck(deadline_seconds=0.01)
    worker = Worker(database, clock, [stuck])
    await worker.start()

    await turn_until(database, clock, done=lambda: stuck.begun >= 2)

    assert stuck.cancelled >= 1
    await worker.aclose()


async def test_a_lost_lease_stops_the_turn_that_runs(database: Database, clock: TestClock) -> None:
    stuck = Stuck(deadline_seconds=60)
    worker = Worker(database, clock, [stuck], "frozen")
    await worker.start()
    await turn_until(database, clock, done=lambda: stuck.begun == 1)

    # The process was stopped for longer than its lease; another one has it when this one wakes up.
    thief_clock = TestClock(clock.now_ms() + round(LEASE_SECONDS * 1000) + 10_000)
    assert await Leases(database, thief_clock, "thief").acquire("stuck") == 2
    await turn_until(database, clock, done=lambda: stuck.cancelled == 1)

    assert worker.held == {}
    await worker.aclose()


async def test_closing_stops_turns_and_gives_leases_back(database: Database, clock: TestClock) -> None:
    stuck = Stuck(deadline_seconds=60)
    worker = Worker(database, clock, [stuck])
    await worker.start()
    await turn_until(database, clock, done=lambda: stuck.begun == 1)

    await worker.aclose()

    assert stuck.cancelled == 1
    assert await Leases(database, clock, "next").acquire("stuck") == 2


async def test_closing_ends_a_turn_that_did_not_hear_its_cancellation(database: Database, clock: TestClock) -> None:
    stuck = Stuck(deadline_seconds=60, deaf=1)
    worker = Worker(database, clock, [stuck])
    await worker.start()
    await turn_until(database, clock, done=lambda: stuck.begun == 1)

    await worker.aclose()

    assert stuck.cancelled == 2
    assert [task for task in asyncio.all_tasks() if task.get_name() == "turn-stuck"] == []


async def test_a_repeated_call_is_a_duty() -> None:
    calls: list[int] = []

    async def call() -> None:
        calls.append(1)

    await Repeated("sweep", call, 1.0).run(7)

    assert calls == [1]
