"""How the pictures that are filmed in this process do, told once a second to the ledger, where the worker looks.

What arrives: nothing but time. What leaves: reports of the shows whose picture moved or stopped. So the worker and the
host's desk may be other processes than the one that has the camera; one that dies tells nothing more, which is how it
is found. It decides nothing.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from livecommerce.ending import end
from livecommerce.errors import Refused
from livecommerce.shows.pictures import PictureReport

if TYPE_CHECKING:
    from livecommerce.app import Parts

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 1.0


class PictureReports:
    """One a web process."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._telling = asyncio.create_task(self._tell_forever(), name="picture-reports")

    async def aclose(self) -> None:
        await end([self._telling])

    async def tell(self) -> int:
        """Tell what changed; the number of shows. Refuses BUSY where the ledger is away: the next turn tells it."""
        news = self._parts.studio.news_of_pictures()
        if not news:
            return 0
        reports = [PictureReport(show_id, came, each.away, each.said[:400]) for show_id, (came, each) in news.items()]
        await self._parts.shows.filmed.report(reports)
        self._parts.studio.pictures_told({show_id: each for show_id, (_, each) in news.items()})
        return len(reports)

    async def _tell_forever(self) -> None:
        while True:
            with contextlib.suppress(Refused):
                await self.tell()
            await self._parts.clock.sleep(_EVERY_SECONDS)
