"""Real processes, really killed: each arrow of a tale gets a process of its own that dies at it by kill -9.

Run as `python -m tests.faults.doomed SOCKET LEDGER EVERY TALE:FIRST:STEP …`, because it forks: the test's own
process has threads. For each k a fresh shop is made, a child tells the tale and kills itself right before its k-th call
outside (or its k-th SQL statement or commit, in the middle of a transaction), and a new process then does what a
successor does. What there is to tell, and what must stand afterwards, is in `tales`.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis.asyncio import Redis
from sqlalchemy import event

from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import read_settings, with_secrets
from tests.faults.tales import TALES, Parts, Tale
from tests.faults.test_order_crash_points import Fuse
from tests.orders.world import PAY_SECONDS

ARROWS_MAX = 400


class LastFuse(Fuse):
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

    async def process(self, live: Callable[[Parts], Awaitable[None]], elapsed: float = 0.0) -> None:
        database = Database(f"sqlite+aiosqlite:///{self.ledger}")
        await database.start()
        redis, clock = Redis(unix_socket_path=self.socket), TestClock()
        clock.spend(elapsed)
        engine = ReservationEngine(redis, self.settings, clock, database)
        await engine.start()
        await live(Parts(database, engine, redis, self.settings, clock))
        await engine.aclose()
        await database.aclose()
        await redis.aclose()

    def begin(self, tale: Tale) -> None:
        """Stores that are empty, and what the tale begins with."""
        for end in ("", "-wal", "-shm"):
            Path(f"{self.ledger}{end}").unlink(missing_ok=True)
        shutil.copyfile(self.template, self.ledger)

        async def live(parts: Parts) -> None:
            await parts.redis.flushall()
            await tale.begin(parts)

        asyncio.run(self.process(live))


def killed(shop: Shop, tale: Tale, arrows: int, statements: bool) -> bool:
    """True where the child died by our signal; False where the tale has fewer arrows."""
    child = os.fork()
    if child == 0:
        fuse = LastFuse(arrows)

        async def live(parts: Parts) -> None:
            if statements:
                writer = parts.database._engine.sync_engine
                event.listen(writer, "before_cursor_execute", lambda *_: fuse.cross())
                event.listen(writer, "commit", lambda *_: fuse.cross())
            await tale.tell(parts, fuse)

        code = 1
        try:
            asyncio.run(shop.process(live))
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WIFSIGNALED(status), f"the child failed by itself: {status}"
    return status != 0


def tell(shop: Shop, name: str, every: str, points: range) -> None:
    tale = TALES[name]
    for arrows in points:
        shop.begin(tale)
        died = killed(shop, tale, arrows, every == "statements")
        try:
            asyncio.run(shop.process(tale.heal_and_check, elapsed=0.0 if died else 3 * PAY_SECONDS))
        except BaseException:
            print(f"{name}: killed at arrow {arrows} ({every})")
            raise
        if not died:
            assert arrows > 5, "the tale crossed no arrows"
            print(f"{name}: killed at {len(range(points.start, arrows, points.step))} of less than {arrows + 1} arrows")
            return
    raise AssertionError(f"{name} has more than {ARROWS_MAX} arrows")


def main(socket: str, template: str, every: str, *tales: str) -> None:
    """`every` is `calls`, or `statements`: then in the middle of transactions too. Of these the first that is met, and
    the step to the next, stand behind each tale's name."""
    shop = Shop(socket, Path(template))
    for each in tales:
        name, first, step = each.split(":")
        tell(shop, name, every, range(int(first), ARROWS_MAX, int(step)))


if __name__ == "__main__":
    main(*sys.argv[1:])
