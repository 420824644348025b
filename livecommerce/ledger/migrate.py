"""Brings the ledger's tables up to date, one process at a time.

What arrives: the ledger's address. What leaves: the revision before and after. Several processes may call it at once
(every server does at its start): a lock lets one work and the others wait and find nothing left to do. On SQLite the
lock is a file beside the database, on PostgreSQL an advisory lock.
"""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

MIGRATIONS = Path(__file__).parent / "migrations"
# Any number, the same in all our processes and unlikely in a neighbour's.
_ADVISORY_LOCK = 7_402_118_331


@dataclass(frozen=True, slots=True)
class Migrated:
    """Revisions before and after; None is an empty database."""

    before: str | None
    after: str | None


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file: the migrations are part of the package."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def newest_revision() -> str | None:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


async def migrate(url: str) -> Migrated:
    """Upgrade to the newest revision. Raises the driver's error where the database cannot be reached."""
    async with _file_lock(url):
        engine = create_async_engine(url)
        try:
            async with engine.connect() as connection:
                return await _migrate_locked(connection)
        finally:
            await engine.dispose()


async def _migrate_locked(connection: AsyncConnection) -> Migrated:
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
    try:
        before = await connection.run_sync(_revision)
        await connection.run_sync(_upgrade)
        after = await connection.run_sync(_revision)
        await connection.commit()
    finally:
        if is_postgres:
            await connection.rollback()
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
            await connection.commit()
    return Migrated(before, after)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextlib.asynccontextmanager
async def _file_lock(url: str) -> AsyncIterator[None]:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        yield
        return
    path = Path(parsed.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.with_name(path.name + ".migrate-lock")).open("w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield
