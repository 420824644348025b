"""A show that is over, as it was: its public events in order, its chapters, and what was said when.

What arrives: a show's id, and for talk a stretch of its time. What leaves: the records that the live room was told,
without a line that a moderator hid, whenever she hid it. It does not know pictures: those have a clock of their own,
which is the same as the events'.
"""

import msgspec
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import show_log
from livecommerce.protocol import codec
from livecommerce.protocol.facts import CardShown, Line, LineHidden, LinePinned, LineRestored, LineUnpinned, Stamped

LINES_MAX = 500
# What a page folds while it plays. Actions of staff are none of it, and talk is read stretch by stretch.
_EVENTS_MAX = 20_000


class Chapter(msgspec.Struct, frozen=True):
    """From here on this card was on the picture."""

    at_ms: int
    card_id: str
    title: str


class Told(msgspec.Struct, frozen=True):
    """What the room was told, oldest first, with offsets of its own: the live ones begin anew where Redis did."""

    events: tuple[Stamped, ...]
    chapters: tuple[Chapter, ...]


async def events_of(database: Database, show_id: str) -> Told:
    """All public events of a show, and its chapters."""
    async with database.read() as connection:
        hidden = await _hidden(connection, show_id)
        query = (
            select(show_log.c.at_ms, show_log.c.body)
            .where(show_log.c.show_id == show_id, show_log.c.epoch != "")
            .order_by(show_log.c.id)
            .limit(_EVENTS_MAX)
        )
        rows = (await connection.execute(query)).all()
    events: list[Stamped] = []
    for at_ms, body in rows:
        event = codec.event_from_json(body)
        if isinstance(event, LineHidden | LineRestored) or (
            isinstance(event, LinePinned) and event.line.line_id in hidden
        ):
            continue
        if isinstance(event, LineUnpinned) and event.line_id in hidden:
            continue
        events.append(Stamped(len(events) + 1, at_ms, event))
    return Told(tuple(events), tuple(_chapters(events)))


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
    """The lines that were hidden in the end: a moderator may show one again."""
    query = (
        select(show_log.c.body)
        .where(show_log.c.show_id == show_id, show_log.c.kind.in_(("line_hidden", "line_restored")))
        .order_by(show_log.c.id)
    )
    hidden: set[str] = set()
    for body in (await connection.execute(query)).scalars():
        event = codec.event_from_json(body)
        if isinstance(event, LineHidden):
            hidden |= {event.line_id, *event.copies}
        elif isinstance(event, LineRestored):
            hidden.discard(event.line.line_id)
    return hidden


def _chapters(events: list[Stamped]) -> list[Chapter]:
    chapters: list[Chapter] = []
    for stamped in events:
        event = stamped.event
        if isinstance(event, CardShown) and (not chapters or chapters[-1].card_id != event.card.card_id):
            chapters.append(Chapter(stamped.at_ms, event.card.card_id, event.card.title))
    return chapters


def web_vtt(chapters: tuple[Chapter, ...], begins_ms: float, ends_ms: float) -> str:
    """Chapters as a WebVTT file (kind "chapters"), timed from the recording's beginning, gaps and all."""
    cues = ["WEBVTT", ""]
    for place, chapter in enumerate(chapters):
        end_ms = chapters[place + 1].at_ms if place + 1 < len(chapters) else ends_ms
        if end_ms <= begins_ms or chapter.at_ms >= ends_ms:
            continue
        title = chapter.title.replace("-->", "→").replace("\n", " ")
        cues += [f"{_time(chapter.at_ms - begins_ms)} --> {_time(end_ms - begins_ms)}", title, ""]
    return "\n".join(cues)


def _time(ms: float) -> str:
    seconds, rest = divmod(max(0, round(ms)), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"
