"""What a newcomer is shown of a show, without levels and without anything of her own.

What arrives: the show's state and rows. What leaves: a `ShowSnapshot` at (epoch, offset). The position is read before
the rows and rows are committed before they are published, so a snapshot may know an event that follows it, never miss
one that came before. It knows no viewer.
"""

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.ledger.tables import promises
from livecommerce.protocol.facts import CardFacts, Line, LineHidden, LinePinned, LineUnpinned, Question, ShowFacts
from livecommerce.shows import log, questions
from livecommerce.shows.state import ShowState

PINNED_MAX = 20


class ShowSnapshot(msgspec.Struct, frozen=True):
    """All of a show that everyone sees at (epoch, offset)."""

    epoch: str
    offset: int
    show: ShowFacts
    cards: tuple[CardFacts, ...]
    on_air: str
    pinned: tuple[Line, ...]
    questions: tuple[Question, ...]
    promises: dict[str, tuple[str, ...]]
    slow_seconds: int
    members_only: bool = False


async def read_snapshot(connection: AsyncConnection, state: ShowState, epoch: str, offset: int) -> ShowSnapshot:
    show_id = state.facts.show_id
    return ShowSnapshot(
        epoch=epoch,
        offset=offset,
        show=state.facts,
        cards=public_cards(state),
        on_air=state.on_air,
        pinned=await _pinned(connection, show_id),
        questions=await questions.queue(connection, show_id),
        promises=await _promises(connection, show_id),
        slow_seconds=state.slow_seconds,
        members_only=state.members_only,
    )


def public_cards(state: ShowState) -> tuple[CardFacts, ...]:
    """The rundown as everyone may see it: nothing that is hidden until the launch."""
    return tuple(card.facts for card in state.cards if not card.hidden_until_launch)


async def _pinned(connection: AsyncConnection, show_id: str) -> tuple[Line, ...]:
    pinned: dict[str, Line] = {}
    for event in await log.events_of_kinds(connection, show_id, ("line_pinned", "line_unpinned", "line_hidden")):
        if isinstance(event, LinePinned):
            pinned[event.line.line_id] = event.line
        elif isinstance(event, LineUnpinned | LineHidden):
            for line_id in (event.line_id, *(event.copies if isinstance(event, LineHidden) else ())):
                pinned.pop(line_id, None)
    return tuple(pinned.values())[-PINNED_MAX:]


async def _promises(connection: AsyncConnection, show_id: str) -> dict[str, tuple[str, ...]]:
    made: dict[str, tuple[str, ...]] = {}
    query = select(promises).where(promises.c.show_id == show_id).order_by(promises.c.at_ms, promises.c.id)
    for row in await connection.execute(query):
        made[row.card_id] = (*made.get(row.card_id, ()), row.text)
    return made
