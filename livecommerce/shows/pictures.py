"""How the picture of a show does, as the ledger knows it: told by whoever films, read by the worker's clock.

What arrives: once a second, from every process that films, whether new pieces of picture came and, where they stopped,
why. What leaves: rows, and by comparing two looks at them "lost" or "back". Beats are counted and not timed: a row
that has not moved for so long on the looker's own clock is a picture that stands still, whichever machine's clock
jumped, and a looker that begins anew waits a little longer. It does not know what becomes of a picture that is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.ledger.tables import pictures
from livecommerce.protocol.facts import PictureAway

# One piece may be the last of a flapping line: the picture is back with the second beat.
BACK_BEATS = 2


@dataclass(frozen=True, slots=True)
class PictureReport:
    """What one process says of one show. `came`: new pieces since it said so last; `said`: ffmpeg's last words."""

    show_id: str
    came: bool
    away: PictureAway = ""
    said: str = ""


class PictureFacts(msgspec.Struct, frozen=True):
    """How the picture of a show does, for staff. `seen_at_ms`: when a piece of it came last; `away`: why none comes, ""
    while it does or where nobody knows; `said`: ffmpeg's last words then."""

    seen_at_ms: int | None
    away: PictureAway
    said: str


async def write_reports(connection: AsyncConnection, reports: Sequence[PictureReport], now_ms: int) -> None:
    """Each report once; in the order of shows, so that two processes never wait for each other in a ring."""
    for report in sorted(reports, key=lambda report: report.show_id):
        await insert_new(connection, pictures, show_id=report.show_id)
        values: dict[str, Any] = {"away": report.away, "said": report.said}
        if report.came:
            values |= {"beats": pictures.c.beats + 1, "seen_at_ms": now_ms}
        await connection.execute(update(pictures).where(pictures.c.show_id == report.show_id).values(values))


async def read_picture(connection: AsyncConnection, show_id: str) -> PictureFacts | None:
    """How the picture of a show does; None where nobody ever filmed it."""
    row = (await connection.execute(select(pictures).where(pictures.c.show_id == show_id))).first()
    return None if row is None else PictureFacts(row.seen_at_ms, row.away, row.said)


@dataclass(slots=True)
class _Looked:
    beats: int
    moved_at: float
    still_beats: int  # how many there were when it began to be watched, or stood still last


class PictureWatch:
    """One looker's memory. A restart forgets it, which costs a lost picture as long again and nothing else."""

    def __init__(self, lost_after_seconds: float) -> None:
        self._lost_after_seconds = lost_after_seconds
        self._looked: dict[str, _Looked] = {}

    def look(self, beats: Mapping[str, int], now: float) -> dict[str, Literal["lost", "back"]]:
        """(show → its beats now, monotonic seconds) → what is known of each; nothing while it is between the two."""
        self._looked = {show_id: each for show_id, each in self._looked.items() if show_id in beats}
        found: dict[str, Literal["lost", "back"]] = {}
        for show_id, count in beats.items():
            looked = self._looked.setdefault(show_id, _Looked(count, now, count))
            if count != looked.beats:
                looked.beats, looked.moved_at = count, now
            if now - looked.moved_at >= self._lost_after_seconds:
                looked.still_beats = count
                found[show_id] = "lost"
            elif count - looked.still_beats >= BACK_BEATS:
                found[show_id] = "back"
        return found
