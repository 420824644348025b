"""A backlog walked a page at a time: each row once, in order, whatever becomes of those before it."""

from sqlalchemy import insert, select, update

from livecommerce.ledger.database import Database
from livecommerce.ledger.pages import pages
from livecommerce.ledger.tables import leases


async def test_every_row_comes_once_and_in_order_though_rows_go_and_change_meanwhile(database: Database) -> None:
    rows = [{"name": f"{n:03}", "holder": "-", "epoch": n // 10, "expires_at_ms": 1} for n in range(95)]
    await database.write(lambda connection: connection.execute(insert(leases), rows))
    seen, sizes = [], []
    due = select(leases).where(leases.c.expires_at_ms == 1)
    async for page in pages(database, due, (leases.c.epoch, leases.c.name), rows=10):
        seen += [row.name for row in page]
        sizes.append(len(page))
        gone = update(leases).where(leases.c.name.in_([row.name for row in page][:7])).values(expires_at_ms=2)
        await database.write(lambda connection, gone=gone: connection.execute(gone))  # type: ignore[misc]
    assert seen == [row["name"] for row in rows]
    assert sizes == [10] * 9 + [5]


async def test_nothing_due_is_no_page(database: Database) -> None:
    assert [page async for page in pages(database, select(leases), (leases.c.name,))] == []
