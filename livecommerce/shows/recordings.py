"""Whether a show's recording is kept, was removed, or goes the way of all others: a word in the ledger.

What arrives: staff who keep it or let it go, and the worker that removes what is old. What leaves: the word, and a line
in the show log. It knows no files: removing them is the worker's (`background/recordings.py`).
"""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import shows
from livecommerce.people.identity import StaffIdentity
from livecommerce.shows import log as show_log
from livecommerce.shows.planning import Planning
from livecommerce.shows.reading import lock_show, read_show
from livecommerce.shows.state import RecordingState, ShowState

DAY_MS = 86_400_000


class Recordings:
    """One per process; keeps nothing."""

    def __init__(self, database: Database, planning: Planning, clock: Clock) -> None:
        self._database = database
        self._planning = planning
        self._clock = clock

    async def keep(self, staff: StaffIdentity, show_id: str, keep: bool) -> RecordingState:
        """Keep the show's recording however old it is, or let it go the way of all others. Refuses FORBIDDEN,
        NOT_FOUND, and GONE where it was removed already."""

        async def work(connection: AsyncConnection, state: ShowState) -> RecordingState:
            if state.recording == "removed":
                raise Refused(R.GONE, what="recording")
            await connection.execute(
                update(shows).where(shows.c.id == show_id).values(recording="kept" if keep else "")
            )
            body = {"do": "keep_recording", "keep": keep}
            await show_log.append_action(connection, show_id, "command", body, state.now_ms, staff.account_id)
            return "kept" if keep else ""

        return await self._planning.change(staff, show_id, work)

    async def removed(self, show_id: str, size: int) -> bool:
        """Say that the recording, of `size` bytes, is gone, before it goes; False where it is kept by now."""

        async def work(connection: AsyncConnection) -> bool:
            await lock_show(connection, show_id)
            known = (await connection.execute(select(shows.c.recording).where(shows.c.id == show_id))).scalar_one()
            if not known:
                await connection.execute(update(shows).where(shows.c.id == show_id).values(recording="removed"))
                body = {"step": "recording_removed", "bytes": size}
                await show_log.append_action(connection, show_id, "clock", body, self._clock.now_ms(), "")
            return bool(known != "kept")

        return await self._database.write(work)

    async def state_of(self, show_id: str) -> RecordingState:
        """Whether the show's recording is kept or was removed. Refuses NOT_FOUND."""
        async with self._database.read() as connection:
            state: RecordingState = (await read_show(connection, show_id)).recording
            return state


def recording_ends_ms(recording: RecordingState, ended_at_ms: int | None, keep_days: int) -> int | None:
    """When the recording of a show that ended then is old enough to be removed; None where nobody means to (yet)."""
    if not keep_days or recording or ended_at_ms is None:
        return None
    return ended_at_ms + keep_days * DAY_MS
