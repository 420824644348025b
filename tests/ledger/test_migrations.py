"""The migrations and the tables say the same, and many processes may migrate at once."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from livecommerce.ledger.migrate import migrate, newest_revision
from livecommerce.ledger.tables import metadata


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()
    return url


async def test_an_empty_database_gets_exactly_the_tables_of_the_code(empty_url: str) -> None:
    migrated = await migrate(empty_url)

    assert migrated.before is None
    assert migrated.after == newest_revision()
    engine = create_async_engine(empty_url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    await engine.dispose()
    assert differences == []


async def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    first = await migrate(empty_url)
    second = await migrate(empty_url)

    assert second.before == second.after == first.after


async def test_processes_that_migrate_at_once_wait_for_each_other(empty_url: str) -> None:
    results = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))

    assert sorted(result.before is None for result in results) == [False, False, False, True]
    assert {result.after for result in results} == {newest_revision()}


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))
