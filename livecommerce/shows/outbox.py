"""The show log as the outbox of the news: what was committed is carried over, in order, by whoever comes first.

What arrives: a show some of whose rows the news does not have yet. What leaves: the engine's books first, then the
news, then the mark that says so. A process that dies anywhere in between loses nothing, since repeating it does no
harm. It decides nothing, and it knows no commands.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import Refused
from livecommerce.ledger.database import Database
from livecommerce.protocol.facts import AnyEvent, HoldsLengthened, ShowChanged
from livecommerce.protocol.to_viewer import Desk, LengthenedTold
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.shows import log as show_log
from livecommerce.shows.deals import DealStocks
from livecommerce.shows.news import News

log = structlog.get_logger(__name__)


class Outbox:
    """One per process; keeps nothing that a restart could lose. `changed` hears of shows whose facts are others now."""

    def __init__(
        self, database: Database, engine: ReservationEngine, stocks: DealStocks, news: News, clock: Clock,
        changed: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._database = database
        self._engine = engine
        self._stocks = stocks
        self._news = news
        self._clock = clock
        self._changed = changed
        self._catching_up: dict[str, asyncio.Lock] = {}

    async def catch_up(self, show_id: str) -> None:
        """Carry every row that the news does not have yet over to the engine and the news, in the order of the log.

        Refuses BUSY or REBUILDING with the rest still waiting; repeating it is safe, in any number of processes.
        """
        async with self._catching_up.setdefault(show_id, asyncio.Lock()):
            while True:
                async with self._database.read() as connection:
                    rows = await show_log.unpublished(connection, show_id)
                if not rows:
                    return
                await self._publish(show_id, rows)

    async def catch_up_or_wait(self, show_id: str) -> None:
        """After a commit the answer is "done" whatever Redis says: the worker carries over what waits."""
        self._changed(show_id)
        try:
            await self.catch_up(show_id)
        except Refused as refused:
            log.warning("news_wait", show_id=show_id, refusal=refused.why.value.word)

    def forget(self, show_id: str) -> None:
        """Nobody asked for this show for long."""
        if show_id in self._catching_up and not self._catching_up[show_id].locked():
            del self._catching_up[show_id]

    async def _publish(self, show_id: str, rows: list[tuple[int, int, AnyEvent]]) -> None:
        epoch, places = "", list[tuple[int, int]]()
        try:
            for row in rows:
                await self._follow(show_id, row[2])
                epoch, offsets = await self._news.publish_logged(show_id, [row])
                places.append((row[0], offsets[0]))
                if isinstance(row[2], ShowChanged):
                    self._changed(show_id)
        finally:
            if places:

                async def work(connection: AsyncConnection) -> None:
                    await show_log.mark_published(connection, epoch, places)

                await self._database.write(work)

    async def _follow(self, show_id: str, event: AnyEvent) -> None:
        try:
            if isinstance(event, HoldsLengthened):
                await self._lengthen(show_id, event)
            else:
                await self._stocks.follow(show_id, event)
        except Refused as refused:
            if refused.why.value.again:
                raise
            # The engine will refuse it tomorrow too. The room must not wait for it for ever.
            log.error("engine_refused_event", show_id=show_id, refusal=refused.why.value.word)

    async def _lengthen(self, show_id: str, event: HoldsLengthened) -> None:
        """The engine first: a process that dies before the event is published leaves it to whoever comes next, who
        asks the engine for the same break again."""
        done = await self._engine.lengthen(show_id, event.number, event.break_ms)
        told = LengthenedTold(event.number, event.break_ms, done.holds, done.capped)

        async def work(connection: AsyncConnection) -> None:
            await show_log.append_action(connection, show_id, "lengthened", told, self._clock.now_ms(), "")

        await self._database.write(work)
        with contextlib.suppress(Refused):
            await self._news.tell_desk(show_id, Desk(lengthened=told))
