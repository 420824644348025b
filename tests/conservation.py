"""The books of a live server's show, read from beside it once nothing is under way, and judged by `audit.breaches`."""

from livecommerce.audit.books import Books, BooksReader
from livecommerce.audit.breaches import Answers, breaches
from livecommerce.clock import RealClock
from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import read_settings
from tests.live_server import LiveServer


async def read_books(server: LiveServer, show_id: str) -> Books:
    """Reads only, and after `LiveServer.settled`."""
    await server.settled(show_id)
    settings = read_settings({}, data=server.data, database_url=server.ledger_url)
    books = Books()
    async with server.redis() as redis:
        database, engine = Database(settings.sql_url), ReservationEngine(redis, settings, RealClock())
        await engine.start()
        try:
            async for piece in BooksReader(database, redis, engine, RealClock()).pieces(show_id):
                for row in piece:
                    books.take(row)
        finally:
            await engine.aclose()
            await database.aclose()
    return books


async def check_conservation(server: LiveServer, show_id: str, answers: Answers | None = None) -> Books:
    """Fail with every breach at once; the books, for a test that wants to say more."""
    books = await read_books(server, show_id)
    found = breaches(books, answers)
    assert not found, "\n".join(found)
    return books
