"""The real SQLite ledger without its thread: every statement runs in one step of the simulation, after a drawn pause.

What arrives: what SQLAlchemy asks of `aiosqlite`. What leaves: the answers of `sqlite3` on a real file in memory
(`/dev/shm`), with the shop's own tables, transactions, savepoints and locks. The file survives every process that dies;
what its open transaction had written does not. Power cuts are not simulated: a memory file has no disk to lose.
"""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable
from typing import Any

import livecommerce.ledger.database as ledger_database
from livecommerce.ledger.database import Database
from tests.simulation.loop import process_now

_LOCK_SECONDS_MAX = 10.0


class Disk:
    """How long a statement takes and whether the disk is full, by the seed."""

    def __init__(self, chance: random.Random, full: float) -> None:
        self._chance = chance
        self.full = full

    async def pause(self) -> None:
        if self._chance.random() < 0.1:
            await asyncio.sleep(self._chance.uniform(0.0001, 0.02))

    def maybe_full(self) -> None:
        if self.full and self._chance.random() < self.full:
            raise sqlite3.OperationalError("database or disk is full")


class _Now:
    """The place where the adapter puts what must run in the connection's thread."""

    @staticmethod
    def put_nowait(job: tuple["asyncio.Future[Any]", Callable[[], Any]]) -> None:
        future, function = job
        future.set_result(function())


class SteppedConnection:
    """`aiosqlite.Connection`, each call one step."""

    _tx = _Now

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._conn = sqlite3.connect(path, timeout=0, check_same_thread=False, cached_statements=512)
        self._connection: sqlite3.Connection | None = self._conn
        process = process_now()
        if process is not None:
            process.on_death.append(self.stop)

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return self

    @property
    def isolation_level(self) -> str | None:
        return self._conn.isolation_level

    @property
    def in_transaction(self) -> bool:
        return self._conn.in_transaction

    def cursor(self) -> "SteppedCursor":
        return SteppedCursor(self._disk, self._conn.cursor())

    async def execute(self, sql: str, parameters: Any = ()) -> "SteppedCursor":
        return await self.cursor().execute(sql, parameters)

    async def commit(self) -> None:
        await self._disk.pause()
        if self._conn.in_transaction:
            self._disk.maybe_full()
        self._conn.commit()

    async def rollback(self) -> None:
        await self._disk.pause()
        self._conn.rollback()

    async def close(self) -> None:
        self.stop()

    async def create_function(self, *args: Any, **kwargs: Any) -> None:
        self._conn.create_function(*args, **kwargs)

    def stop(self) -> None:
        self._connection = None
        with contextlib.suppress(sqlite3.Error):
            self._conn.close()


class SteppedCursor:
    """`aiosqlite.Cursor`, each call one step."""

    def __init__(self, disk: Disk, cursor: sqlite3.Cursor) -> None:
        self._disk = disk
        self._cursor = cursor

    async def __aenter__(self) -> "SteppedCursor":
        return self

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> Any:
        return self._cursor.lastrowid

    arraysize = 1

    async def execute(self, sql: str, parameters: Any = ()) -> "SteppedCursor":
        await self._disk.pause()
        await self._insist(lambda: self._cursor.execute(sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Any) -> "SteppedCursor":
        await self._disk.pause()
        await self._insist(lambda: self._cursor.executemany(sql, parameters))
        return self

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()

    async def _insist(self, ask: Callable[[], Any]) -> None:
        """SQLite's own busy timeout, on virtual time."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _LOCK_SECONDS_MAX
        while True:
            try:
                ask()
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or loop.time() > give_up:
                    raise
                await asyncio.sleep(0.003)


class SteppedDatabase(Database):
    """A process's ledger. Its engines are lent: what they have compiled is worth more than what they hold."""

    def __init__(self, engines: tuple[Any, Any], url: str) -> None:
        self.url, self.is_sqlite = url, True
        self._reader, self._engine = engines
        for engine in engines:
            engine.sync_engine.dispose(close=False)
        self._queue = asyncio.Queue(ledger_database.QUEUE_MAX)
        self._writer = None


def engines_for(url: str, connect: Callable[[], SteppedConnection]) -> tuple[Any, Any]:
    """Reader and writer as the product makes them, over stepped connections."""
    made = ledger_database.create_async_engine

    def create(url: str, connect_args: Any = None, **given: Any) -> Any:
        return made(url, connect_args={"async_creator_fn": lambda *_args, **_given: connect()}, **given)

    ledger_database.create_async_engine = create  # type: ignore[assignment]
    try:
        return ledger_database._engines(url, is_sqlite=True)
    finally:
        ledger_database.create_async_engine = made
