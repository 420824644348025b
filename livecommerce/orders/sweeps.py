"""What the leading worker looks after: deadlines that passed, and payments that began and were never written down.

What arrives: the collaborators. What leaves: orders expired in SQL (Redis follows by errand), reservations voided in
SQL and then freed in Redis, and counts for the worker's log. Every sweep may run anywhere, any number of times.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import Select, select

from livecommerce.clock import Clock
from livecommerce.errors import Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.pages import pages
from livecommerce.ledger.tables import deals, order_lines, orders
from livecommerce.orders import books
from livecommerce.orders.links import Links
from livecommerce.orders.moves import UNPAID, Event
from livecommerce.orders.payments.provider import ProviderAway
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings

log = structlog.get_logger(__name__)


class Sweeps:
    """See the module."""

    def __init__(
        self, database: Database, engine: ReservationEngine, links: Links, settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._engine = engine
        self._links = links
        self._settings = settings
        self._clock = clock

    async def deadlines(self) -> int:
        """Expire what was not paid in time, once its link is dead. How many orders expired.

        A provider that is away keeps its orders in PAYING: their links might still be paid. One that says "paid"
        meanwhile is heard, as if its webhook had come.
        """
        now_ms = self._clock.now_ms()
        query = select(orders.c.id, orders.c.pay_by_ms).where(orders.c.status.in_(UNPAID), orders.c.pay_by_ms <= now_ms)
        return await self._end_all(query, (orders.c.pay_by_ms, orders.c.id), Event.DEADLINE)

    async def unwritten(self) -> int:
        """The gap after begin_pay: PAYING in Redis past its time. SQL answers, then Redis follows. How many followed.

        Without an order, VOID is committed first: a writer that comes late meets it and loses.
        """
        followed = 0
        for show_id in await self._engine.shows_to_watch():
            try:
                for viewer_id, rid in await self._engine.paying_past_due(show_id):
                    followed += await self._follow(show_id, viewer_id, rid)
            except Refused as refused:
                log.warning("sweep_waits", show_id=show_id, why=refused.why.value.word)
        return followed

    async def pulled(self) -> int:
        """Cancel what is being paid of deals that were pulled with "cancel": link dead, then SQL, then Redis by errand.
        How many orders were cancelled.

        Money that came meanwhile counts, and its order stays; a provider that is away keeps its orders until then.
        """
        query = (
            select(orders.c.id)
            .distinct()
            .join(order_lines, order_lines.c.order_id == orders.c.id)
            .join(deals, deals.c.id == order_lines.c.deal_id)
            .where(deals.c.pulled == "cancel", deals.c.status == "closing", orders.c.status.in_(UNPAID))
        )
        return await self._end_all(query, (orders.c.id,), Event.CANCEL)

    async def _end_all(self, query: Select[Any], order: Sequence[Any], event: Event) -> int:
        """All of them, however many: those whose provider is away keep nobody behind them waiting."""
        ended, away = 0, set[str]()
        async for page in pages(self._database, query, order):
            for row in page:
                try:
                    ended += await self._end(row.id, event, away)
                except ProviderAway as no_answer:
                    log.warning("order_waits_for_provider", order_id=row.id, event_of=event.value, why=str(no_answer))
        return ended

    async def _end(self, order_id: str, event: Event, away: set[str]) -> bool:
        if await self._links.kill(order_id, away) == "captured":
            return False
        book = books.Book(self._settings, self._clock.now_ms())
        return await self._database.write(lambda connection: books.happen(connection, book, order_id, event))

    async def _follow(self, show_id: str, viewer_id: str, rid: str) -> bool:
        book = books.Book(self._settings, self._clock.now_ms())
        state = await self._database.write(lambda connection: books.void(connection, book, show_id, viewer_id, rid))
        if state == "paying":
            return False  # SQL is the judge, and its deadline is the other sweep's
        if state == "confirmed":
            await self._engine.settle(show_id, viewer_id, rid)
        else:
            await self._engine.free(show_id, viewer_id, rid, *books.free_as(state))
        return True
