"""Where a show's news end: the place of the last event that the server's own log has.

What arrives: an API signed in as admin or manager, and a show. What leaves: (epoch, offset), the same for the viewers,
who are waited for until they have it, and for the checker, who judges nothing after it. It knows no viewer.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import msgspec

from livecommerce.audit.books import AnyRow, BeginRow, EventRow
from livecommerce.client.api import Api
from livecommerce.shows.log import FORGOTTEN
from loadtest.conduct.facts import Place

# What the log has and the news has not yet is on its way for milliseconds, or as long as Redis is away.
PATIENCE_SECONDS = 15.0
_AGAIN_SECONDS = 0.25
_decode = msgspec.json.Decoder(AnyRow).decode
_TOLD = (b'"row":"event"', b'"row":"begin"')


async def last_place(api: Api, show_id: str, *, patience_seconds: float = PATIENCE_SECONDS) -> Place | None:
    """The place of the log's last event once none is on its way any more, or after `patience_seconds`; None where the
    log has none whose place is known. Raises `Refused` as the API does. Cancelling it changes nothing."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    while True:
        last: Place | None = None
        on_its_way = 0
        async with contextlib.aclosing(_rows(api, show_id)) as rows:
            async for row in rows:
                if isinstance(row, BeginRow):
                    on_its_way = row.pending.events
                    if on_its_way and loop.time() < deadline:
                        break
                elif isinstance(row, EventRow) and row.place and row.epoch != FORGOTTEN:
                    last = (row.epoch, row.place)
        if not on_its_way or loop.time() >= deadline:
            return last
        await asyncio.sleep(_AGAIN_SECONDS)


async def _rows(api: Api, show_id: str) -> AsyncGenerator[AnyRow, None]:
    """The books' beginning and their events; a long show's other rows are not even decoded."""
    rest = b""
    async with contextlib.aclosing(api.pieces(f"/api/staff/shows/{show_id}/books")) as pieces:
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if any(told in line[:80] for told in _TOLD):
                    yield _decode(line)
