"""The shop of these tests, with thirty units of `va_a` in the warehouse."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.conftest import _empty_tables
from tests.shelves.world import Shop, seed_shop


@pytest.fixture
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """SQLite; and PostgreSQL for the tests marked `everywhere`, where two writers can really meet."""
    if getattr(request, "param", "sqlite") == "sqlite":
        path = tmp_path / "ledger.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite+aiosqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres_tables")
        await _empty_tables(url)
    database = Database(url)
    await database.start()
    yield database
    await database.aclose()


@pytest.fixture
async def shop(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Shop]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    shop = Shop(database, engine, redis, settings, clock)
    await seed_shop(shop, units=30)
    yield shop
    await shop.aclose()
    await engine.aclose()
