"""The ledger's connections: many readers, one writer per process, whose waiting writes are committed together.

What arrives: functions over a connection. What leaves: their results, after the commit that holds them is on disk.
`write` queues the function; while one transaction commits, the next ones gather, and all of them go into one
transaction, each in its own savepoint: a refusal rolls back its own writes and nobody else's. A function may run again
where the database ended its transaction (a deadlock with another process), so it must change nothing but the database.
Where the store itself is in trouble (a full disk), its caller reads "unavailable", and so do all whose writes went with
it.
SQLite: WAL, `synchronous=FULL`, `BEGIN IMMEDIATE`; several processes on one host are serialised by SQLite itself.
It knows no table.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from livecommerce.ending import end
from livecommerce.errors import R, Refused

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

# A batch longer than this would make its first caller wait for the last one's work; 64 is where group commit flattens.
BATCH_MAX = 64
# Past this many waiting writes the ledger is the bottleneck: say "busy" rather than let requests pile up.
QUEUE_MAX = 4096
BUSY_TIMEOUT_MS = 10_000
DEADLOCK_TRIES = 5
_DEADLOCK_DETECTED = "40P01"  # PostgreSQL, appendix A
# The store's own trouble, whatever was asked of it: no room, no memory, a disk that fails.
_SQLITE_TROUBLE = frozenset((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM))
_POSTGRES_TROUBLE = ("53", "58")  # classes of appendix A


@dataclass(slots=True)
class _Waiting:
    work: Work[Any]
    done: asyncio.Future[Any] = field(repr=False)


class Database:
    """The ledger of one process. `start` before use, `aclose` last; both may be called once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self._reader, self._engine = _engines(url, self.is_sqlite)
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_MAX)
        self._writer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to take writes. Raises the driver's error where the database cannot be reached."""
        async with self._engine.connect():
            pass
        self._writer = asyncio.create_task(self._write_forever(), name="ledger-writer")

    async def aclose(self) -> None:
        """Commit what is queued, then close. Writes that come later are refused as unavailable."""
        if self._writer is not None:
            await self._queue.join()
            await end([self._writer])
            self._writer = None
        await self._reader.dispose()
        await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading; it sees the last commit. Writing through it is an error."""
        async with self._reader.connect() as connection:
            yield connection

    async def write(self, work: Work[T]) -> T:
        """Run `work` in the next batch and return its result once the commit is durable.

        Raises what `work` raises (its own writes are rolled back, nobody else's), `Refused(UNAVAILABLE)` where the
        commit failed, the store has no room or the writer is not running, `Refused(BUSY)` where the queue is full.
        Cancelling the caller does not take the write back: whether it was committed is asked for again by its id.
        """
        if self._writer is None or self._writer.done():
            raise Refused(R.UNAVAILABLE)
        waiting = _Waiting(work, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise Refused(R.BUSY, after_ms=1000) from None
        return await asyncio.shield(waiting.done)

    @property
    def writes_waiting(self) -> int:
        return self._queue.qsize()

    async def _write_forever(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_MAX and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._commit(batch)
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def _commit(self, batch: list[_Waiting]) -> None:
        for tries_left in reversed(range(DEADLOCK_TRIES)):
            try:
                outcomes = await self._transact(batch)
                break
            except Exception as error:
                # Of two processes whose batches crossed, PostgreSQL ends one; nothing of it was written.
                if tries_left and _is_deadlock(error):
                    continue
                for waiting in batch:
                    _settle(waiting.done, None, _unavailable(error))
                return
        for waiting, (result, failure) in zip(batch, outcomes, strict=True):
            _settle(waiting.done, result, failure)

    async def _transact(self, batch: list[_Waiting]) -> list[tuple[Any, BaseException | None]]:
        async with self._engine.connect() as connection, connection.begin():
            return [await _attempt(connection, waiting.work) for waiting in batch]


async def _attempt(connection: AsyncConnection, work: Work[Any]) -> tuple[Any, BaseException | None]:
    try:
        async with connection.begin_nested():
            return await work(connection), None
    except Exception as error:
        if connection.closed or connection.invalidated or _is_deadlock(error) or await _has_ended(connection):
            raise
        return None, _unavailable(error) if _is_trouble(error) else error


async def _has_ended(connection: AsyncConnection) -> bool:
    """True where SQLite took the whole transaction back by itself, as it may on a full disk: what was done in it for
    others is gone too, and whatever came next would be committed statement by statement."""
    if connection.dialect.name != "sqlite":
        return False
    return not (await connection.get_raw_connection()).driver_connection.in_transaction  # type: ignore[union-attr]


def _is_deadlock(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _DEADLOCK_DETECTED


def _is_trouble(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    code, state = getattr(error.orig, "sqlite_errorcode", 0), getattr(error.orig, "sqlstate", None) or ""
    return code & 0xFF in _SQLITE_TROUBLE or state.startswith(_POSTGRES_TROUBLE)


def _settle(done: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)
        # A caller that was cancelled never looks; without this, asyncio would log the error a second time.
        done.exception()


def _unavailable(cause: Exception) -> Refused:
    refused = Refused(R.UNAVAILABLE, after_ms=1000)
    refused.__cause__ = cause
    return refused


def _engines(url: str, is_sqlite: bool) -> tuple[AsyncEngine, AsyncEngine]:
    """(reader, writer). PostgreSQL's reader is read-only by transaction, SQLite's by connection.

    Parameters are hidden from error texts: they hold names and addresses, and error texts end up in logs.
    """
    if not is_sqlite:
        writer = create_async_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, hide_parameters=True)
        reader = create_async_engine(
            url,
            pool_size=5,
            max_overflow=5,
            pool_pre_ping=True,
            hide_parameters=True,
            execution_options={"postgresql_readonly": True},
        )
        return reader, writer
    if ":memory:" in url:
        raise ValueError("The ledger needs a file: an in-memory database has one connection and no durability.")
    wait = {"timeout": BUSY_TIMEOUT_MS / 1000}
    reader = create_async_engine(url, connect_args=wait, pool_size=6, max_overflow=4, hide_parameters=True)
    writer = create_async_engine(url, connect_args=wait, pool_size=1, max_overflow=0, hide_parameters=True)
    _speak_sqlite(reader, begin="BEGIN", pragmas=("query_only=ON",))
    # The write lock is taken up front, where waiting is possible, and not at the first write, where SQLite would
    # answer "locked" at once to a transaction that has already read.
    _speak_sqlite(writer, begin="BEGIN IMMEDIATE", pragmas=("journal_mode=WAL", "synchronous=FULL"))
    return reader, writer


def _speak_sqlite(engine: AsyncEngine, begin: str, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        cursor = connection.cursor()
        for pragma in ("foreign_keys=ON", "temp_store=MEMORY", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
