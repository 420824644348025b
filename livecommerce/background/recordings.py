"""Recordings that are older than the merchant keeps them (VIDEO_KEEP_DAYS): removed, and said so.

What arrives: nothing but time. What leaves: the folders of shows that ended long ago, one after the other: SQL says
first that a recording is removed, under the show's lock and with a line in its log, then its files go. So a death in
between leaves files of which SQL says that they are gone, and the next turn removes them. What the merchant keeps, what
is being filmed and what was watched within the last minutes stays. It knows nothing of playlists.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select

from livecommerce.clock import Clock
from livecommerce.ids import is_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import shows
from livecommerce.settings import Settings
from livecommerce.shows.recordings import Recordings, recording_ends_ms
from livecommerce.video.recording import Removal, SomebodyElse, used_by, watched_at_ms

log = structlog.get_logger(__name__)

# A clip or a replay that is being watched is not taken away from under its viewer.
WATCHED_MS = 900_000
_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class RecordingsDuty:
    """One leader's duty, over the data folder of its machine."""

    recordings: Recordings
    database: Database
    settings: Settings
    clock: Clock
    name: str = "recordings"
    every_seconds: float = 607.0
    deadline_seconds: float = 300.0

    async def run(self, lease_epoch: int) -> None:
        """One turn over all recordings of this machine."""
        folder = self.settings.data / "video"
        show_ids = await asyncio.to_thread(_recorded, folder)
        for first in range(0, len(show_ids), _TOGETHER):
            some = show_ids[first : first + _TOGETHER]
            query = select(shows.c.id, shows.c.status, shows.c.ended_at_ms, shows.c.recording)
            async with self.database.read() as connection:
                rows = (await connection.execute(query.where(shows.c.id.in_(some)))).all()
            for row in rows:
                if row.recording == "removed" or self._is_old(row):
                    await self._remove(row.id, folder / row.id)

    def _is_old(self, row: Any) -> bool:
        ends_ms = recording_ends_ms(row.recording, row.ended_at_ms, self.settings.video_keep_days)
        return row.status == "ended" and ends_ms is not None and ends_ms <= self.clock.now_ms()

    async def _remove(self, show_id: str, folder: Path) -> None:
        if await asyncio.to_thread(watched_at_ms, folder) + WATCHED_MS > self.clock.now_ms():
            return
        try:
            removal = Removal(folder)
        except SomebodyElse:
            return  # it is being filmed
        try:
            used = await asyncio.to_thread(used_by, folder)
            if await self.recordings.removed(show_id, used.bytes):
                await asyncio.to_thread(removal.remove)
                log.info("recording_removed", show_id=show_id, bytes=used.bytes)
        except OSError as error:
            log.error("recording_not_removed", show_id=show_id, error=str(error))
        finally:
            removal.close()


def _recorded(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if is_id(each.name)) if folder.is_dir() else []
