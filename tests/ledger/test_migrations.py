"""The migrations and the tables say the same, and many processes may migrate at once."""

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from livecommerce.ledger.migrate import alembic_config, migrate, newest_revision
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


async def test_cards_of_a_shop_that_is_older_than_codes_get_theirs_in_the_order_of_the_rundown(empty_url: str) -> None:
    engine = create_async_engine(empty_url)
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade_to, "0001")
        for statement in (
            "INSERT INTO org_units (id, kind, name, path) VALUES ('o', 'shop', 'O', '/o/')",
            "INSERT INTO accounts (id, email, name, password_hash, role, org_unit_id, created_at_ms)"
            " VALUES ('a', 'a', 'A', '-', 'admin', 'o', 0)",
            *(
                "INSERT INTO shows (id, title, corner, corner_settings, status, host_account_id, org_unit_id, video,"
                f" created_at_ms) VALUES ('{show}', 'S', 'flash_sale', '{{}}', 'draft', 'a', 'o', '{{}}', 0)"
                for show in ("s1", "s2")
            ),
            *(
                "INSERT INTO cards (id, show_id, position, kind, title)"
                f" VALUES ('{card}', '{show}', {place}, 'deal', 'C')"
                for card, show, place in (("c1", "s1", 2), ("c2", "s1", 1), ("c3", "s2", 1))
            ),
        ):
            await connection.execute(text(statement))

    await migrate(empty_url)

    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT id, code FROM cards ORDER BY id"))
        assert [tuple(row) for row in rows] == [("c1", "AB"), ("c2", "AA"), ("c3", "AA")]
    await engine.dispose()


def _upgrade_to(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))
