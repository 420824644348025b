"""A backlog, a page at a time: what every sweep walks.

What arrives: a query and the columns that order it, which end in a unique one and hold no NULL. What leaves: its rows
in that order. A row that is left as it is never keeps those behind it waiting, since each page begins behind the last
row of the one before, wherever that has gone. It knows no table.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, tuple_

from livecommerce.ledger.database import Database

PAGE_ROWS = 200


async def pages(
    database: Database, query: Select[Any], order: Sequence[ColumnElement[Any]], rows: int = PAGE_ROWS
) -> AsyncIterator[Sequence[Row[Any]]]:
    """The pages of `query`, which selects the columns of `order` too, until one is not full."""
    query = query.order_by(*order).limit(rows)
    page_query = query
    while True:
        async with database.read() as connection:
            page = (await connection.execute(page_query)).all()
        if page:
            yield page
        if len(page) < rows:
            return
        page_query = query.where(tuple_(*order) > tuple_(*(page[-1]._mapping[column] for column in order)))
