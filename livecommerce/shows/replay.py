"""A show that is over, as it was: its public events in order, its chapters, and what was said when.

What arrives: a show's id, and for talk a stretch of its time. What leaves: the records that the live room was told,
without a line or a question that a moderator hid, whenever she hid it. It does not know pictures: those have a clock of
their own, which is the same as the events'.
"""

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import questions, show_log
from livecommerce.protocol import codec
from livecommerce.protocol.facts import (
    AnyEvent,
    CaptionHidden,
    CaptionSaid,
    CardHidden,
    CardShown,
    Line,
    LineHidden,
    LinePinned,
    LineRestored,
    LineUnpinned,
    QuestionChanged,
    Stamped,
)
from livecommerce.shows import webvtt
from livecommerce.shows.webvtt import Cue

LINES_MAX = 500
# What a page gets at once, so that it opens as fast for a long evening as for a short one; the rest it reads meanwhile.
EVENTS_OF_PAGE = 1000
_OF_CHAPTERS = ("card_shown", "card_hidden")


class Chapter(msgspec.Struct, frozen=True):
    """From here on this card was on the picture, until `ends_at_ms`; None: as long as anything was filmed."""

    at_ms: int
    card_id: str
    title: str
    ends_at_ms: int | None = None


class Told(msgspec.Struct, frozen=True):
    """What the room was told, oldest first. Offsets rise, as the live ones do, but are the log's own: the live ones
    begin anew where Redis did. `next` asks for what follows; 0: nothing does."""

    events: tuple[Stamped, ...]
    next: int


async def events_of(database: Database, show_id: str, after: int = 0, rows_max: int = EVENTS_OF_PAGE) -> Told:
    """Public events of a show behind `after`, a page of them. Actions of staff are none of it, and talk is read stretch
    by stretch."""
    async with database.read() as connection:
        hidden = await _hidden(connection, show_id)
        query = (
            select(show_log.c.id, show_log.c.at_ms, show_log.c.body)
            .where(show_log.c.show_id == show_id, show_log.c.epoch != "", show_log.c.id > after)
            .order_by(show_log.c.id)
            .limit(rows_max + 1)
        )
        rows = (await connection.execute(query)).all()
    page = rows[:rows_max]
    events = [Stamped(row.id, row.at_ms, codec.event_from_json(row.body)) for row in page]
    shown = tuple(stamped for stamped in events if not _is_hidden(stamped.event, hidden))
    return Told(shown, page[-1].id if len(rows) > rows_max else 0)


def _is_hidden(event: AnyEvent, hidden: set[str]) -> bool:
    """What a moderator hid in the end, and what tells of hiding: nothing hidden is there to be hidden."""
    match event:
        case LineHidden() | LineRestored() | CaptionHidden():
            return True
        case LinePinned(line):
            return line.line_id in hidden
        case LineUnpinned(line_id):
            return line_id in hidden
        case QuestionChanged(question):
            return question.question_id in hidden
        case CaptionSaid(caption):
            return caption.caption_id in hidden
    return False


async def chapters_of(database: Database, show_id: str) -> tuple[Chapter, ...]:
    """Which card was on the picture from when to when, over the whole show. One that was only away for a while, with no
    other between, is one chapter."""
    async with database.read() as connection:
        query = (
            select(show_log.c.at_ms, show_log.c.body)
            .where(show_log.c.show_id == show_id, show_log.c.kind.in_(_OF_CHAPTERS), show_log.c.epoch != "")
            .order_by(show_log.c.id)
        )
        rows = (await connection.execute(query)).all()
    chapters: list[Chapter] = []
    for row in rows:
        _tell_chapters(chapters, row.at_ms, codec.event_from_json(row.body))
    return tuple(chapters)


def _tell_chapters(chapters: list[Chapter], at_ms: int, event: AnyEvent) -> None:
    last = chapters[-1] if chapters else None
    match event:
        case CardShown(card) if last is not None and last.card_id == card.card_id:
            chapters[-1] = replace(last, ends_at_ms=None)
        case CardShown(card):
            if last is not None and last.ends_at_ms is None:
                chapters[-1] = replace(last, ends_at_ms=at_ms)
            chapters.append(Chapter(at_ms, card.card_id, card.title))
        case CardHidden(card_id) if last is not None and last.card_id == card_id:
            chapters[-1] = replace(last, ends_at_ms=at_ms)


async def lines_of(database: Database, show_id: str, from_ms: int, to_ms: int) -> tuple[Line, ...]:
    """What was said and shown from `from_ms` until before `to_ms`; the first `LINES_MAX` of it."""
    async with database.read() as connection:
        hidden = await _hidden(connection, show_id)
        said = await _said(connection, and_(show_log.c.at_ms >= from_ms, show_log.c.at_ms < to_ms), show_id)
    return tuple(line for line in said if line.line_id not in hidden)


async def _said(connection: AsyncConnection, when: ColumnElement[bool], show_id: str) -> list[Line]:
    query = (
        select(show_log.c.body)
        .where(show_log.c.show_id == show_id, show_log.c.kind == "talk", when)
        .order_by(show_log.c.at_ms, show_log.c.id)
        .limit(LINES_MAX)
    )
    return [msgspec.json.decode(body, type=Line) for body in (await connection.execute(query)).scalars()]


async def _hidden(connection: AsyncConnection, show_id: str) -> set[str]:
    """The lines, questions and captions that were hidden in the end: a moderator may show a line again."""
    query = (
        select(show_log.c.body)
        .where(show_log.c.show_id == show_id, show_log.c.kind.in_(("line_hidden", "line_restored", "caption_hidden")))
        .order_by(show_log.c.id)
    )
    dropped = select(questions.c.id).where(questions.c.show_id == show_id, questions.c.status == "dropped")
    hidden = set((await connection.execute(dropped)).scalars())
    for body in (await connection.execute(query)).scalars():
        event = codec.event_from_json(body)
        if isinstance(event, LineHidden):
            hidden |= {event.line_id, *event.copies}
        elif isinstance(event, LineRestored):
            hidden.discard(event.line.line_id)
        elif isinstance(event, CaptionHidden):
            hidden.add(event.caption_id)
    return hidden


def web_vtt(chapters: tuple[Chapter, ...], begins_ms: float, ends_ms: float) -> str:
    """Chapters as a WebVTT file (kind "chapters"), timed from the recording's beginning, gaps and all."""
    cues: list[Cue] = []
    for place, chapter in enumerate(chapters):
        end_ms = chapters[place + 1].at_ms if place + 1 < len(chapters) else ends_ms
        if end_ms > begins_ms and chapter.at_ms < ends_ms:
            begin = max(0, round(chapter.at_ms - begins_ms))
            cues.append(Cue(begin, round(end_ms - begins_ms), webvtt.escaped(chapter.title)))
    return webvtt.written(cues)
