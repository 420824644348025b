"""A show that really sells: `selling` on SQLite and PostgreSQL, `sqlite_selling` where the ledger is not the point."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.audit.world import AuditWorld, HandyClock


@contextlib.asynccontextmanager
async def a_show(database: Database, redis: Redis, settings: Settings) -> AsyncIterator[AuditWorld]:
    clock = HandyClock()
    engine = ReservationEngine(redis, settings, clock, database)
    await engine.start()
    world = AuditWorld(database, redis, settings, clock, engine)
    await world.open()
    yield world
    await world.aclose()
    await engine.aclose()


@pytest.fixture
async def selling(database: Database, redis: Redis, settings: Settings) -> AsyncIterator[AuditWorld]:
    async with a_show(database, redis, settings) as world:
        yield world


@pytest.fixture
async def sqlite_selling(
    sqlite_template: Path, tmp_path: Path, redis: Redis, settings: Settings
) -> AsyncIterator[AuditWorld]:
    path = tmp_path / "ledger.sqlite3"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.start()
    async with a_show(database, redis, settings) as world:
        yield world
    await database.aclose()
