"""What the host says, in writing: typed line by line while she says it, or uploaded for a recording afterwards.

What arrives: a show's log, and files that a merchant uploads. What leaves: WebVTT, timed as the recording's player
shows it. A line that a moderator hid is not in it, whenever she hid it. It does not know recordings: where an instant
of the programme lies in one is asked of its caller.
"""

from collections.abc import Callable

import msgspec
from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import caption_files
from livecommerce.protocol.facts import Caption, CaptionHidden, CaptionSaid
from livecommerce.shows import webvtt
from livecommerce.shows.log import events_of_kinds
from livecommerce.shows.webvtt import Cue

LIVE = "live"  # the name of the track that was typed during the show; no language is called that
LANGUAGES_MAX = 20

# How long a typed line stands where no other takes its place: to be read once at leisure.
_STANDS_MS_MIN = 2_500
_STANDS_MS_MAX = 8_000
_READ_MS_PER_LETTER = 75
_READ_MS_PER_IDEOGRAM = 220


class CaptionTrack(msgspec.Struct, frozen=True):
    """Captions of a recording. `language` is a tag of BCP 47, or "live" for what was typed during the show."""

    language: str
    lines: int


async def tracks_of(database: Database, show_id: str) -> tuple[CaptionTrack, ...]:
    """What there is, uploaded files first."""
    async with database.read() as connection:
        query = select(caption_files.c.language, caption_files.c.lines).where(caption_files.c.show_id == show_id)
        rows = (await connection.execute(query.order_by(caption_files.c.language))).all()
        typed = await _typed(connection, show_id)
    uploaded = tuple(CaptionTrack(row.language, row.lines) for row in rows)
    return (*uploaded, CaptionTrack(LIVE, len(typed))) if typed else uploaded


async def file_of(database: Database, show_id: str, language: str) -> str:
    """An uploaded file, as it is played. Refuses NOT_FOUND."""
    async with database.read() as connection:
        query = select(caption_files.c.body).where(*_named(show_id, language))
        body = (await connection.execute(query)).scalar()
    if body is None:
        raise Refused(R.NOT_FOUND, what="captions")
    return str(body)


async def typed_file(
    database: Database, show_id: str, place_ms: Callable[[float], float | None], ends_ms: float
) -> str:
    """What was typed during the show. `place_ms`: where in the recording an instant lies, None outside of it."""
    async with database.read() as connection:
        typed = await _typed(connection, show_id)
    return webvtt.written(cues_of(typed, place_ms, ends_ms))


def cues_of(typed: list[Caption], place_ms: Callable[[float], float | None], ends_ms: float) -> list[Cue]:
    """Each stands until the next one, or until it was read."""
    placed = [(place, caption.text) for caption in typed if (place := place_ms(caption.said_at_ms)) is not None]
    placed.sort(key=lambda row: row[0])
    cues: list[Cue] = []
    for index, (begin_ms, text) in enumerate(placed):
        follows_ms = placed[index + 1][0] if index + 1 < len(placed) else ends_ms
        end_ms = min(begin_ms + stands_ms(text), max(follows_ms, begin_ms + 1))
        cues.append(Cue(round(begin_ms), round(max(end_ms, begin_ms + 1)), webvtt.escaped(text)))
    return cues


def stands_ms(text: str) -> int:
    """How long a line takes to be read."""
    reading = sum(_READ_MS_PER_IDEOGRAM if letter >= "\u2e80" else _READ_MS_PER_LETTER for letter in text)
    return max(_STANDS_MS_MIN, min(_STANDS_MS_MAX, reading))


async def keep_file(
    connection: AsyncConnection, show_id: str, language: str, cues: list[Cue], now_ms: int, account_id: str
) -> CaptionTrack:
    """Put a file in the place of the one before. Refuses LIMIT for more languages than a show may have."""
    query = select(func.count()).where(caption_files.c.show_id == show_id, caption_files.c.language != language)
    others = (await connection.execute(query)).scalar() or 0
    if others >= LANGUAGES_MAX:
        raise Refused(R.LIMIT, what=f"caption files of a show ({LANGUAGES_MAX})")
    await connection.execute(delete(caption_files).where(*_named(show_id, language)))
    await connection.execute(
        insert(caption_files).values(
            show_id=show_id, language=language, body=webvtt.written(cues), lines=len(cues), changed_at_ms=now_ms,
            changed_by=account_id,
        )
    )  # fmt: skip
    return CaptionTrack(language, len(cues))


async def drop_file(connection: AsyncConnection, show_id: str, language: str) -> None:
    """Refuses NOT_FOUND."""
    done = await connection.execute(delete(caption_files).where(*_named(show_id, language)))
    if not done.rowcount:
        raise Refused(R.NOT_FOUND, what="captions")


def _named(show_id: str, language: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return caption_files.c.show_id == show_id, caption_files.c.language == language


async def _typed(connection: AsyncConnection, show_id: str) -> list[Caption]:
    typed: dict[str, Caption] = {}
    for event in await events_of_kinds(connection, show_id, ("caption_said", "caption_hidden")):
        if isinstance(event, CaptionSaid):
            typed[event.caption.caption_id] = event.caption
        elif isinstance(event, CaptionHidden):
            typed.pop(event.caption_id, None)
    return list(typed.values())
