"""The picture of shows on air as this server films it: the slate goes over one that is lost and off one that is back.

What arrives: reports of those who film, and the worker's tick. What leaves: how each picture does, as rows, and the
moves of `slate.py`, decided under the show's lock and told to the desk with why. The show itself, its deals and its
talk go on. It knows no cameras, and what was filmed is `recordings.py`'s.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import pictures, shows
from livecommerce.protocol.to_viewer import Desk, PictureTold
from livecommerce.settings import Settings
from livecommerce.shows import log as show_log
from livecommerce.shows import slate
from livecommerce.shows.carrying_out import carry_out
from livecommerce.shows.commands import decide_picture
from livecommerce.shows.news import News
from livecommerce.shows.outbox import Outbox
from livecommerce.shows.pictures import PictureReport, PictureWatch, write_reports
from livecommerce.shows.programme import guarded
from livecommerce.shows.reading import PLAIN, lock_show, read_show, read_state, show_facts
from livecommerce.shows.state import CLOCK

log = structlog.get_logger(__name__)


class Filmed:
    """One per process; a restart forgets what its watch saw, see `PictureWatch`."""

    def __init__(self, database: Database, news: News, outbox: Outbox, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._news = news
        self._outbox = outbox
        self._clock = clock
        self._lost_after_seconds = settings.video_slate_after_seconds
        self._watch = PictureWatch(self._lost_after_seconds or math.inf)

    async def report(self, reports: Sequence[PictureReport]) -> None:
        """What a process that films says of its shows. Refuses BUSY: say it again."""
        await self._database.write(lambda connection: write_reports(connection, reports, self._clock.now_ms()))

    async def watch(self) -> None:
        """One look at the pictures of all shows on air.

        May be run by two processes at once: each move is decided anew under the show's lock. Nothing happens where
        VIDEO_SLATE_AFTER_SECONDS is 0, but for a slate that is there.
        """
        query = (
            select(shows.c.id, shows.c.video, pictures.c.beats, pictures.c.seen_at_ms, pictures.c.away, pictures.c.said)
            .join(pictures, pictures.c.show_id == shows.c.id)
            .where(shows.c.status.in_(("live", "interrupted")))
        )
        async with self._database.read() as connection:
            rows = {row.id: row for row in await connection.execute(query)}
        own = {show_id: row.beats for show_id, row in rows.items() if row.video["kind"] == "own"}
        found = self._watch.look(own, self._clock.monotonic())
        for show_id, row in rows.items():
            # Whoever shows a clip instead has no camera to wait for.
            happening = found.get(show_id) if show_id in own else "back"
            if happening is not None:
                await guarded(show_id, self._moved(show_id, happening, row))

    async def _moved(self, show_id: str, happening: Literal["lost", "back"], row: Any) -> None:
        async with self._database.read() as connection:
            facts = show_facts(await read_show(connection, show_id))
        if slate.happened(facts, happening, self._clock.now_ms()) is None:
            return  # looked at without the lock, since nearly always there is nothing to do
        told, for_ms = PictureTold(happening, self._clock.now_ms()), 0
        if happening == "lost":
            for_ms = self._lost_after_seconds * 1000  # the break began when the picture stood still
            told = msgspec.structs.replace(told, away=row.away, said=row.said)

        async def work(connection: AsyncConnection) -> bool:
            await lock_show(connection, show_id)
            state = await read_state(connection, show_id, PLAIN, self._clock.now_ms())
            decision = decide_picture(state, happening, for_ms)
            if decision.changes:
                body = {"step": f"picture_{happening}", "away": told.away, "said": told.said}
                await show_log.append_action(connection, show_id, "clock", body, state.now_ms, "")
                await carry_out(connection, state, decision, CLOCK)
            return bool(decision.changes)

        if await self._database.write(work):
            log.warning("picture_moved", show_id=show_id, word=happening, away=told.away, said=told.said)
            await self._outbox.catch_up_or_wait(show_id)
            await self._news.tell_desk(show_id, Desk(picture=told))
