"""What the leading worker looks after: deadlines that passed, and payments that began and were never written down.

What arrives: the collaborators. What leaves: orders expired in SQL (Redis follows by errand), reservations voided in
SQL and then freed in Redis, and counts for the worker's log. Every sweep may run anywhere, any number of times.
"""

import structlog
from sqlalchemy import select

from livecommerce.clock import Clock
from livecommerce.errors import Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, order_lines, orders
from livecommerce.orders import books
from livecommerce.orders.links import Links
from livecommerce.orders.moves import UNPAID, Event
from livecommerce.orders.payments.provider import ProviderAway
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings

log = structlog.get_logger(__name__)

ROUND_MAX = 200


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
        query = select(orders.c.id).where(orders.c.status.in_(UNPAID), orders.c.pay_by_ms <= self._clock.now_ms())
        async with self._database.read() as connection:
            due = (await connection.execute(query.order_by(orders.c.pay_by_ms).limit(ROUND_MAX))).scalars().all()
        expired = 0
        for order_id in due:
            try:
                expired += await self._end(order_id, Event.DEADLINE)
            except ProviderAway as away:
                log.warning("deadline_waits_for_provider", order_id=order_id, why=str(away))
        return expired

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
        async with self._database.read() as connection:
            found = (await connection.execute(query.limit(ROUND_MAX))).scalars().all()
        cancelled = 0
        for order_id in found:
            try:
                cancelled += await self._end(order_id, Event.CANCEL)
            except ProviderAway as away:
                log.warning("pulled_order_waits_for_provider", order_id=order_id, why=str(away))
        return cancelled

    async def _end(self, order_id: str, event: Event) -> bool:
        if await self._links.kill(order_id) == "captured":
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
