"""The programme of all shows, run by the clock: deals open and close, products launch, draws are made.

What arrives: the worker's tick. What leaves: steps that are due, decided by `commands.py` under their show's lock and
committed like a command; and what a process that died left, taken up again: events that wait for the news, deals that
wait to be closed, votes that the room was not told. It knows no staff.
"""

import contextlib
from collections.abc import Awaitable
from typing import TypeVar

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, draws, shows
from livecommerce.protocol.facts import QuestionChanged
from livecommerce.protocol.to_viewer import Desk
from livecommerce.shelves.service import Shelves
from livecommerce.shows import log as show_log
from livecommerce.shows import questions
from livecommerce.shows.carrying_out import carry_out
from livecommerce.shows.commands import AnnounceDue, DrawDue, OpenDue, Step, decide_step, due_steps, next_instant_ms
from livecommerce.shows.deals import DealStocks
from livecommerce.shows.draws import Draws
from livecommerce.shows.news import News
from livecommerce.shows.outbox import Outbox
from livecommerce.shows.reading import PLAIN, Looks, lock_show, read_looks, read_state
from livecommerce.shows.state import CLOCK

log = structlog.get_logger(__name__)
T = TypeVar("T")

# A launch lists cards, which announces deals, which opens them: no chain of steps is longer.
_STEP_ROUNDS_MAX = 3


class Programme:
    """One per process; what it keeps only spares it looks."""

    def __init__(
        self, database: Database, catalogue: Catalogue, shelves: Shelves, stocks: DealStocks, draws: Draws,
        outbox: Outbox, news: News, clock: Clock,
    ) -> None:  # fmt: skip
        self._database = database
        self._catalogue = catalogue
        self._shelves = shelves
        self._stocks = stocks
        self._draws = draws
        self._outbox = outbox
        self._news = news
        self._clock = clock
        # Shows on air → (version looked at, next instant of their programme).
        self._looked_at: dict[str, tuple[int, int | None]] = {}

    async def due_changes(self) -> int | None:
        """Do what the programme's clock asks for in all shows; heal what a dead process left; tell the votes.

        Returns the next instant (UTC ms) that is known, or None. One show's trouble never keeps the others waiting. May
        be run by two processes at once: every step is decided anew under the show's lock.
        """
        async with self._database.read() as connection:
            behind = await show_log.shows_with_unpublished(connection)
            query = select(shows.c.id, shows.c.version).where(shows.c.status.in_(("live", "interrupted")))
            on_air = {row.id: row.version for row in await connection.execute(query)}
            closing = select(deals.c.show_id, deals.c.id).where(deals.c.status == "closing")
            to_finish = (await connection.execute(closing)).all()
            with_votes = await questions.shows_with_untold_votes(connection, list(on_air))
        for show_id in behind:
            await guarded(show_id, self._outbox.catch_up(show_id))
        for show_id in with_votes:
            await guarded(show_id, self._tell_votes(show_id))
        for row in to_finish:
            await guarded(row.show_id, self._finish(row.show_id, row.id))
        self._looked_at = {show_id: seen for show_id, seen in self._looked_at.items() if show_id in on_air}
        for show_id, version in on_air.items():
            if self._is_due(show_id, version):
                await guarded(show_id, self._run(show_id, version))
        return min((at for _, at in self._looked_at.values() if at is not None), default=None)

    def _is_due(self, show_id: str, version: int) -> bool:
        """False while nobody changed the show since it was looked at and its next instant has not come."""
        seen_version, next_at_ms = self._looked_at.get(show_id, (0, None))
        return version != seen_version or (next_at_ms is not None and next_at_ms <= self._clock.now_ms())

    async def _run(self, show_id: str, version: int) -> None:
        for _ in range(_STEP_ROUNDS_MAX):
            async with self._database.read() as connection:
                state = await read_state(connection, show_id, PLAIN, self._clock.now_ms())
            steps = due_steps(state)
            if not steps:
                # `version` was read before the state: a change in between is looked at again at the next tick.
                self._looked_at[show_id] = (version, next_instant_ms(state))
                return
            looks = await read_looks(self._database, self._catalogue, show_id)
            for step in steps:
                if isinstance(step, DrawDue):
                    await self._draws.make(show_id, step.deal_id)
                else:
                    await self._step(show_id, step, looks)
            await self._outbox.catch_up(show_id)

    async def _step(self, show_id: str, step: Step, looks: Looks) -> None:
        async def work(connection: AsyncConnection) -> None:
            await lock_show(connection, show_id)
            state = await read_state(connection, show_id, looks, self._clock.now_ms())
            decision = decide_step(state, step)
            if not decision.changes:
                return
            body = {"step": type(step).__name__, "deal_id": getattr(step, "deal_id", "")}
            await show_log.append_action(connection, show_id, "clock", body, state.now_ms, "")
            await carry_out(connection, state, decision, CLOCK)

        try:
            await self._shelves.with_room(lambda: self._database.write(work))
        except Refused as refused:
            if refused.why is not R.STOCK_SHORT or not isinstance(step, AnnounceDue | OpenDue):
                raise
            await self._cannot_open(show_id, step.deal_id, refused)

    async def _cannot_open(self, show_id: str, deal_id: str, refused: Refused) -> None:
        """A planned opening without stock becomes a draft again, and the desk is told; the clock asks no more."""

        async def work(connection: AsyncConnection) -> None:
            await lock_show(connection, show_id)
            change = update(deals).where(deals.c.id == deal_id, deals.c.status == "draft")
            await connection.execute(change.values(opens_at_ms=None))
            body = {"step": "not_opened", "deal_id": deal_id, "why": refused.text}
            await show_log.append_action(connection, show_id, "clock", body, self._clock.now_ms(), "")

        await self._database.write(work)
        with contextlib.suppress(Refused):
            await self._news.tell_desk(show_id, Desk(text=refused.text))

    async def _finish(self, show_id: str, deal_id: str) -> None:
        """A deal that closes: a draw that was made is told before the books are closed, also after the show."""
        query = select(draws.c.deal_id).where(
            draws.c.deal_id == deal_id, draws.c.draws_at_ms.is_not(None), draws.c.drawn_at_ms.is_(None)
        )
        async with self._database.read() as connection:
            untold = (await connection.execute(query)).first()
        if untold:
            try:
                await self._draws.make(show_id, deal_id)
                await self._outbox.catch_up(show_id)
            except Refused as refused:
                if refused.why is not R.UNKNOWN_DEAL:  # Redis lost the deal: then there is no draw to tell
                    raise
        await self._stocks.finish(show_id, deal_id)

    async def _tell_votes(self, show_id: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await lock_show(connection, show_id)
            changed = [QuestionChanged(question) for question in await questions.told(connection, show_id)]
            await show_log.append_events(connection, show_id, changed, self._clock.now_ms(), "")

        await self._database.write(work)
        await self._outbox.catch_up(show_id)


async def guarded(show_id: str, doing: Awaitable[T]) -> T | None:
    """What a tick does for one show; None where it failed, which is logged and tried again at the next tick."""
    try:
        return await doing
    except Refused as refused:
        log.warning("programme_waits", show_id=show_id, refusal=refused.why.value.word)
    except Exception:
        log.exception("programme_failed", show_id=show_id)
    return None
