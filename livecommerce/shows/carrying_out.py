"""What was decided becomes rows: the one place that writes a decision's changes, in the transaction of its events.

What arrives: a decision about one show, under that show's lock. What leaves: rows, events to be published, lines said.
It decides nothing, and what is said to single people (`Word`) is its caller's.
"""

from collections.abc import Awaitable, Callable

from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.ids import new_id
from livecommerce.ledger.tables import bans, cards, deals, draws, promises, shows
from livecommerce.ledger.tables import questions as questions_table
from livecommerce.shows import deals as stock
from livecommerce.shows import log as show_log
from livecommerce.shows.news import TalkLine
from livecommerce.shows.state import (
    Actor,
    Change,
    Decision,
    KeepPromise,
    SayLine,
    SetBan,
    SetCard,
    SetDeal,
    SetDraw,
    SetQuestion,
    SetShow,
    ShowState,
)


async def _set_show(connection: AsyncConnection, show_id: str, change: SetShow, _now_ms: int, _actor: Actor) -> None:
    await connection.execute(update(shows).where(shows.c.id == show_id).values(change.values))


async def _set_card(connection: AsyncConnection, _show_id: str, change: SetCard, _now_ms: int, _actor: Actor) -> None:
    await connection.execute(update(cards).where(cards.c.id == change.card_id).values(change.values))


async def _set_deal(connection: AsyncConnection, _show_id: str, change: SetDeal, now_ms: int, _actor: Actor) -> None:
    await connection.execute(update(deals).where(deals.c.id == change.deal_id).values(change.values))
    if change.allot:
        await stock.allot(connection, change.deal_id, now_ms)


async def _set_draw(connection: AsyncConnection, show_id: str, change: SetDraw, _now_ms: int, _actor: Actor) -> None:
    if "seed" in change.values:
        # Whatever was committed to stands: a second commitment would be a choice between two draws.
        await insert_new(connection, draws, deal_id=change.deal_id, show_id=show_id, **change.values)
    else:
        await connection.execute(update(draws).where(draws.c.deal_id == change.deal_id).values(change.values))


async def _keep_promise(
    connection: AsyncConnection, show_id: str, change: KeepPromise, now_ms: int, actor: Actor
) -> None:
    await connection.execute(
        insert(promises).values(
            id=new_id("prm"),
            show_id=show_id,
            card_id=change.card_id,
            text=change.text,
            by_account_id=actor.account_id,
            at_ms=now_ms,
        )
    )


async def _set_ban(connection: AsyncConnection, show_id: str, change: SetBan, now_ms: int, actor: Actor) -> None:
    same = (bans.c.show_id == show_id, bans.c.viewer_id == change.viewer_id, bans.c.kind == change.kind)
    await connection.execute(delete(bans).where(*same))
    if not change.lift:
        await connection.execute(
            insert(bans).values(
                show_id=show_id,
                viewer_id=change.viewer_id,
                kind=change.kind,
                until_ms=change.until_ms,
                by_account_id=actor.account_id,
                created_at_ms=now_ms,
            )
        )


async def _set_question(
    connection: AsyncConnection, _show_id: str, change: SetQuestion, _now_ms: int, _actor: Actor
) -> None:
    here = questions_table.c.id == change.question_id
    # The event carries the votes as they are: the room need not be told them again.
    values = {**change.values, "votes_told": questions_table.c.votes}
    await connection.execute(update(questions_table).where(here).values(values))


_WRITERS: dict[type[Change], Callable[..., Awaitable[None]]] = {
    SetShow: _set_show,
    SetCard: _set_card,
    SetDeal: _set_deal,
    SetDraw: _set_draw,
    KeepPromise: _keep_promise,
    SetBan: _set_ban,
    SetQuestion: _set_question,
}


async def carry_out(connection: AsyncConnection, state: ShowState, decision: Decision, actor: Actor) -> None:
    """Everything of the decision but its words."""
    show_id, now_ms = state.facts.show_id, state.now_ms
    for change in decision.changes:
        await _WRITERS[type(change)](connection, show_id, change, now_ms, actor)
    await show_log.append_events(connection, show_id, decision.events, now_ms, actor.account_id)
    said = [TalkLine(word.line, actor.account_id) for word in decision.words if isinstance(word, SayLine)]
    await show_log.append_talk(connection, show_id, said)
