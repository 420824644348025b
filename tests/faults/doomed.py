"""Real processes, really killed: each arrow of a story gets a process of its own that dies at it by kill -9.

Run as `python -m tests.faults.doomed SOCKET LEDGER STORY EVERY`, because it forks: the test's own process has threads.
For each k a fresh shop is made, a child tells the story and kills itself right before its k-th call outside (or its
k-th SQL statement, in the middle of a transaction), and a new process then does what a worker does. The checks are
those of `test_order_crash_points`; the history checker has the last word.
"""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import event

from livecommerce.audit.books import Books, BooksReader
from livecommerce.audit.breaches import breaches
from livecommerce.background.journal import JournalToLedger
from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import read_settings, with_secrets
from tests.faults import test_order_crash_points as crash_points
from tests.orders.world import PAY_SECONDS, SHOW, World, seed

STORIES = {story.__name__: story for story in crash_points.STORIES}
ARROWS_MAX = 400


class LastFuse(crash_points.Fuse):
    """Where it burns out, the process is gone: no exception, no handler, no goodbye."""

    def cross(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Shop:
    """The stores, which outlive every process."""

    def __init__(self, socket: str, template: Path) -> None:
        self.socket = socket
        self.template = template
        self.ledger = template.with_name("doomed.sqlite3")
        self.settings = with_secrets(read_settings({}, data=template.parent / "data", mode="development"))

    async def process(self, live: Any, elapsed: float = 0.0) -> None:
        database = Database(f"sqlite+aiosqlite:///{self.ledger}")
        await database.start()
        redis, clock = Redis(unix_socket_path=self.socket), TestClock()
        clock.spend(elapsed)
        engine = ReservationEngine(redis, self.settings, clock)
        await engine.start()
        world = World(database, engine, redis, self.settings, clock)
        await live(world)
        await world.aclose()
        await engine.aclose()
        await database.aclose()
        await redis.aclose()

    async def begin(self, world: World) -> None:
        await world.redis.flushall()
        await seed(world)
        await world.hold()

    async def heal_and_check(self, world: World) -> None:
        await world.assert_conserved()
        await world.assert_redis_never_above_sql()
        await crash_points._come_back(world)
        await crash_points._work_as_a_worker(world)
        await world.assert_conserved()
        await world.assert_healed()
        await crash_points._assert_money_and_units_agree(world)
        await JournalToLedger(world.redis, world.database, world.engine, world.clock).drain(SHOW)
        books = Books()
        async for piece in BooksReader(world.database, world.redis, world.engine, world.clock).pieces(SHOW):
            for row in piece:
                books.take(row)
        found = breaches(books)
        assert not found, "\n".join(found)


def killed(shop: Shop, story: str, arrows: int, statements: bool) -> bool:
    """True where the child died by our signal; False where the story has fewer arrows."""
    child = os.fork()
    if child == 0:
        fuse = LastFuse(arrows)

        async def live(world: World) -> None:
            if statements:
                event.listen(world.database._engine.sync_engine, "before_cursor_execute", lambda *_: fuse.cross())
            crash_points.doom(world, fuse)
            await STORIES[story](world)
            await world.orders.aclose()

        code = 1
        try:
            asyncio.run(shop.process(live))
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), f"the child failed by itself: {status}"
    return status != 0


def main(socket: str, template: str, story: str, every: str) -> None:
    """`every` is `calls`, or `statements`: then in the middle of transactions too."""
    shop = Shop(socket, Path(template))
    for arrows in range(ARROWS_MAX):
        for end in ("", "-wal", "-shm"):
            Path(f"{shop.ledger}{end}").unlink(missing_ok=True)
        shutil.copyfile(shop.template, shop.ledger)
        asyncio.run(shop.process(shop.begin))
        died = killed(shop, story, arrows, every == "statements")
        try:
            asyncio.run(shop.process(shop.heal_and_check, elapsed=0.0 if died else 3 * PAY_SECONDS))
        except BaseException:
            print(f"{story}: killed at arrow {arrows} ({every})")
            raise
        if not died:
            assert arrows > 5, "the story crossed no arrows"
            print(f"{story}: {arrows} processes were killed")
            return
    raise AssertionError(f"{story} has more than {ARROWS_MAX} arrows")


if __name__ == "__main__":
    main(*sys.argv[1:])
