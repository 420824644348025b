"""One-off jobs of the command line: goods, accounts and tokens, in a line or two each.

What arrives: checked settings and what the command was given. What leaves: the result of the job. No hot state is
needed, and no server has to run.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from livecommerce.catalogue.importer import import_bytes
from livecommerce.clock import RealClock
from livecommerce.hot_state import connect
from livecommerce.ledger.database import Database
from livecommerce.ledger.migrate import migrate
from livecommerce.people.identity import StaffRole
from livecommerce.people.service import People
from livecommerce.settings import Settings


async def import_products(settings: Settings, file: Path, say: Callable[[str], None]) -> int:
    """Import a product CSV and say what became of it. Returns 1 where lines were refused, else 0."""
    await migrate(settings.sql_url)
    async with _people_of(settings) as (database, _):
        report = await import_bytes(database, await asyncio.to_thread(file.read_bytes), settings, None, RealClock())
    say(f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged, {len(report.refused)} refused.")
    for row in report.refused:
        say(f"  line {row.line}, {row.column_name or row.column}: {row.why} {row.what_to_do}")
    return 1 if report.refused else 0


async def add_user(settings: Settings, email: str, name: str, role: StaffRole, unit: str, password: str) -> None:
    """A new staff account. Refuses as `People.add_account`."""
    await migrate(settings.sql_url)
    async with _people_of(settings) as (_, people):
        await people.add_account(email, name, role, unit, password)


async def reset_user(settings: Settings, email: str, password: str) -> None:
    """A new password for an account. Refuses as `People.reset_password`."""
    async with _people_of(settings) as (_, people):
        await people.reset_password(email, password)


async def make_token(settings: Settings, kind: str, name: str, location_id: str = "") -> str:
    """A viewer's socket token, or a new API key; either is shown once and not kept in the clear."""
    await migrate(settings.sql_url)
    async with _people_of(settings) as (_, people):
        if kind == "api-key":
            return await people.api_keys.make(name)
        if kind == "till-key":
            return await people.api_keys.make_for_till(name, location_id)
        return people.tokens.for_viewer(await people.new_viewer(name)).token


@contextlib.asynccontextmanager
async def _people_of(settings: Settings) -> AsyncIterator[tuple[Database, People]]:
    """The ledger and the people alone, for commands that need no hot state."""
    redis = connect(settings.redis_url or "redis://127.0.0.1:1")  # never connected: nobody signs in here
    database = Database(settings.sql_url)
    await database.start()
    try:
        yield database, People(database, redis, settings, RealClock())
    finally:
        await database.aclose()
        await redis.aclose()
