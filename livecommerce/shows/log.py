"""The show log: everything that happens in a show, in SQL, kept for years; and the outbox of the news.

What arrives: public events, staff's actions, lines of talk, each inside the transaction that makes them true. What
leaves: rows in order. A public row is born `unpublished`; the news gives it its epoch and offset. Since it is
committed first and published from here, in the order of its ids, a process that dies in between loses nothing:
whoever comes next publishes the rest. It knows no Redis.

Ids of public rows follow the order of commits because every writer of public rows holds the show's row lock.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.ledger.tables import show_log
from livecommerce.protocol import codec
from livecommerce.protocol.facts import AnyEvent, Line
from livecommerce.shows.news import TalkLine

UNPUBLISHED = "unpublished"
# The epoch of rows whose place nobody can tell any more: the news was trimmed or lost before the row was marked.
FORGOTTEN = "forgotten"
# Spelled out in the statement: a database uses a partial index only where it sees the index's own condition.
_IS_UNPUBLISHED = show_log.c.epoch == literal_column("'unpublished'")
_IS_PUBLIC = show_log.c.epoch != literal_column("''")
PAGE_ROWS_MAX = 1000
_CATCH_UP_ROWS_MAX = 500


class LogRow(msgspec.Struct, frozen=True):
    """One entry. `offset` stands on public events only; `body` is the event, the command or the line."""

    log_id: int
    at_ms: int
    kind: str
    actor_id: str
    epoch: str
    offset: int | None
    body: Any


async def append_events(
    connection: AsyncConnection, show_id: str, events: Sequence[AnyEvent], at_ms: int, actor_id: str
) -> None:
    """Public events, to be published. The caller holds the show's row lock."""
    for event in events:  # one by one: ids must follow the order of events, which a multi-row insert need not keep
        await connection.execute(
            insert(show_log).values(
                show_id=show_id, epoch=UNPUBLISHED, at_ms=at_ms, actor_id=actor_id,
                kind=event.__struct_config__.tag, body=codec.event_to_json(event),
            )
        )  # fmt: skip


async def append_action(
    connection: AsyncConnection, show_id: str, kind: str, body: Any, at_ms: int, actor_id: str
) -> None:
    """What somebody did that is not public by itself: a command, a clock's step, a question asked."""
    text = msgspec.json.encode(body).decode()
    row = {"show_id": show_id, "at_ms": at_ms, "kind": kind, "actor_id": actor_id, "body": text}
    await connection.execute(insert(show_log).values(row))


async def append_talk(connection: AsyncConnection, show_id: str, lines: Iterable[TalkLine]) -> None:
    """Lines of talk, shown (`talk`) or held back (`held`), with who said them."""
    rows = [
        {
            "show_id": show_id, "at_ms": talk.line.at_ms, "kind": "held" if talk.held else "talk",
            "actor_id": talk.viewer_id, "body": msgspec.json.encode(talk.line).decode(),
        }
        for talk in lines
    ]  # fmt: skip
    if rows:
        await connection.execute(insert(show_log), rows)


async def unpublished(connection: AsyncConnection, show_id: str) -> list[tuple[int, int, AnyEvent]]:
    """(log id, at_ms, event) of the oldest rows that the news does not have yet, in order."""
    query = (
        select(show_log.c.id, show_log.c.at_ms, show_log.c.body)
        .where(show_log.c.show_id == show_id, _IS_UNPUBLISHED)
        .order_by(show_log.c.id)
        .limit(_CATCH_UP_ROWS_MAX)
    )
    return [(row.id, row.at_ms, codec.event_from_json(row.body)) for row in await connection.execute(query)]


async def shows_with_unpublished(connection: AsyncConnection) -> list[str]:
    query = select(show_log.c.show_id).where(_IS_UNPUBLISHED).distinct()
    return list((await connection.execute(query)).scalars())


async def mark_published(connection: AsyncConnection, epoch: str, places: Iterable[tuple[int, int]]) -> None:
    """(log id, offset) of rows that the news has now; offset 0 where it has them no more. Marking again is harmless."""
    for log_id, offset in places:
        known = {"epoch": epoch, "offset": offset} if offset else {"epoch": FORGOTTEN}
        change = update(show_log).where(show_log.c.id == log_id, _IS_UNPUBLISHED)
        await connection.execute(change.values(known))


async def page(connection: AsyncConnection, show_id: str, after_id: int, limit: int) -> list[LogRow]:
    """Up to `limit` (1000 at most) rows after `after_id`, oldest first."""
    query = (
        select(show_log)
        .where(and_(show_log.c.show_id == show_id, show_log.c.id > after_id))
        .order_by(show_log.c.id)
        .limit(max(1, min(limit, PAGE_ROWS_MAX)))
    )
    return [
        LogRow(row.id, row.at_ms, row.kind, row.actor_id, row.epoch, row.offset, msgspec.json.decode(row.body))
        for row in await connection.execute(query)
    ]


async def find_line(connection: AsyncConnection, show_id: str, line_id: str) -> TalkLine | None:
    """A line of talk that the log keeps, where it is hidden now."""
    named = show_log.c.body.contains(f'"{line_id}"', autoescape=True)
    query = select(show_log).where(show_log.c.show_id == show_id, named).order_by(show_log.c.id)
    found, hidden = None, False
    for row in await connection.execute(query.where(show_log.c.kind.in_(("talk", "line_hidden", "line_restored")))):
        if row.kind != "talk":
            hidden = row.kind == "line_hidden"
            continue
        line = msgspec.json.decode(row.body, type=Line)
        if line.line_id == line_id:
            found = TalkLine(line, row.actor_id)
    return found if hidden else None


async def events_of_kinds(connection: AsyncConnection, show_id: str, kinds: Sequence[str]) -> list[AnyEvent]:
    """The show's public events of these kinds, oldest first."""
    query = (
        select(show_log.c.body)
        .where(show_log.c.show_id == show_id, show_log.c.kind.in_(kinds), _IS_PUBLIC)
        .order_by(show_log.c.id)
    )
    return [codec.event_from_json(body) for body in (await connection.execute(query)).scalars()]
