"""Errands: what a commit made due outside of SQL, done at least once, each harmless when repeated.

What arrives: open rows of the outbox, in their order. What leaves: calls to the engine, the news and the providers, and
rows marked as done. An errand that fails is left for the next round together with the later ones of its order, so that
no order is told or settled out of order; other orders go on. It decides nothing but what late money comes to, and that
by the answer of the engine.

Several processes may run the same row at once; that is why each errand is harmless when repeated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import orders, outbox
from livecommerce.orders import books
from livecommerce.orders.payments.provider import ProviderAway
from livecommerce.orders.payments.registry import Providers
from livecommerce.orders.receipts import order_facts
from livecommerce.protocol.to_viewer import Desk, Own
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.news import News

log = structlog.get_logger(__name__)

ROUND_MAX = 200
# Redis no longer has what SQL decided about (its books were lost and rebuilt): nothing to follow there. The audit
# compares the two and says so; repeating the errand would never help.
_NOTHING_TO_FOLLOW = (R.NOT_FOUND, R.CONFLICT, R.HOLD_GONE)
_MINE = ("settle", "free", "reacquire", "refund", "revoke", "tell")


class Errands:
    """The outbox of orders. `run` by hand or `kick` in the background; `aclose` waits for what was kicked."""

    def __init__(
        self, database: Database, engine: ReservationEngine, news: News, providers: Providers, settings: Settings,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._database = database
        self._engine = engine
        self._news = news
        self._providers = providers
        self._settings = settings
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._again = False
        self._running: asyncio.Task[None] | None = None
        self._errands: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "settle": self._settle,
            "free": self._free,
            "reacquire": self._reacquire,
            "refund": self._refund,
            "revoke": self._revoke,
            "tell": self._tell,
        }

    def kick(self) -> None:
        """Run soon, without waiting for it. One run at a time; a kick meanwhile makes it go round once more."""
        self._again = True
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run_kicked(), name="order-errands")

    async def aclose(self) -> None:
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    async def run(self) -> int:
        """Do all that is due now, also what doing it makes due. How many errands were done."""
        done = 0
        async with self._one_at_a_time:
            while count := await self._round():
                done += count
        return done

    async def _run_kicked(self) -> None:
        while self._again:
            self._again = False
            try:
                await self.run()
            except Refused as refused:
                log.warning("errands_wait", why=refused.why.value.word)

    async def _round(self) -> int:
        """Every open errand once, a page at a time: however many wait for a provider, the others behind them go on."""
        query = select(outbox.c.id, outbox.c.kind, outbox.c.body).where(
            outbox.c.done_at_ms.is_(None), outbox.c.kind.in_(_MINE)
        )
        count, after = 0, 0
        waiting: set[str] = set()
        away: set[str] = set()
        while rows := await self._page(query.where(outbox.c.id > after)):
            after = rows[-1].id
            done: list[int] = []
            for row in rows:
                if row.body["order_id"] in waiting:
                    continue
                if await self._done(row.kind, row.body, away):
                    done.append(row.id)
                else:
                    waiting.add(row.body["order_id"])
            if done:
                await self._mark(done)
            count += len(done)
        return count

    async def _page(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with self._database.read() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(query.order_by(outbox.c.id).limit(ROUND_MAX))).all()
            return rows

    async def _done(self, kind: str, body: dict[str, Any], away: set[str]) -> bool:
        """`away` names the providers that did not answer in this round: asking each once is enough."""
        if body.get("provider") in away:
            return False
        try:
            await self._errands[kind](body)
        except Refused as refused:
            if refused.why in _NOTHING_TO_FOLLOW:
                log.warning("errand_has_nothing_to_follow", kind=kind, order_id=body["order_id"], why=refused.text)
                return True
            log.warning("errand_waits", kind=kind, order_id=body["order_id"], why=refused.why.value.word)
            return False
        except ProviderAway as no_answer:
            away.add(body["provider"])
            log.warning("errand_waits", kind=kind, order_id=body["order_id"], why=str(no_answer))
            return False
        return True

    async def _mark(self, ids: list[int]) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(done_at_ms=self._clock.now_ms()))

        await self._database.write(work)

    # --- the errands ------------------------------------------------------------------------------------------------

    async def _settle(self, body: dict[str, Any]) -> None:
        whose = (body["show_id"], body["viewer_id"], body["rid"])
        try:
            await self._engine.settle(*whose)
        except Refused as refused:
            # Redis lost the payment and has given the units back since. SQL sold them: out of what is available they
            # go, or Redis would offer more than there is. Where nothing is left, SQL refuses whoever has them.
            if refused.why is not R.CONFLICT or not await self._engine.reacquire(*whose):
                raise
            await self._engine.settle(*whose)

    async def _free(self, body: dict[str, Any]) -> None:
        status = await self._status(body["order_id"])
        if status == "confirmed":
            return  # sold after all by late money: the unit must not go back
        await self._engine.free(body["show_id"], body["viewer_id"], body["rid"], *books.free_as(status))

    async def _reacquire(self, body: dict[str, Any]) -> None:
        if await self._status(body["order_id"]) not in ("expired", "cancelled"):
            return  # decided already by an earlier run
        try:
            left = await self._engine.reacquire(body["show_id"], body["viewer_id"], body["rid"])
        except Refused as refused:
            if refused.why not in _NOTHING_TO_FOLLOW:
                raise
            left = False
        book = books.Book(self._settings, self._clock.now_ms())
        await self._database.write(lambda connection: books.late_money(connection, book, body["order_id"], left))

    async def _refund(self, body: dict[str, Any]) -> None:
        async with self._database.read() as connection:
            payment = next(
                row for row in await books.payments_of(connection, body["order_id"]) if row.provider_ref == body["ref"]
            )
        provider = self._providers.named(body["provider"])
        await provider.refund(body["ref"], payment.amount_minor, payment.currency, f"refund:{body['ref']}")
        book = books.Book(self._settings, self._clock.now_ms())
        await self._database.write(lambda connection: books.refunded(connection, book, body["order_id"], body["ref"]))

    async def _revoke(self, body: dict[str, Any]) -> None:
        await self._providers.named(body["provider"]).revoke(body["ref"])

    async def _tell(self, body: dict[str, Any]) -> None:
        # As it is now, not as it was when the errand was written: a late errand never tells something that is over.
        async with self._database.read() as connection:
            order = (await connection.execute(select(orders).where(orders.c.id == body["order_id"]))).one()
            payments = await books.payments_of(connection, order.id)
            lines = await books.lines_of(connection, order.id)
        url = next((row.url for row in payments if row.status == "open"), "")
        await self._news.tell(body["show_id"], body["viewer_id"], Own(order=order_facts(order, url, lines=lines)))
        # The desk sees the order, and neither the link that pays it nor the code that collects it.
        desk = Desk(order=order_facts(order, with_code=False), viewer_id=body["viewer_id"])
        await self._news.tell_desk(body["show_id"], desk)

    async def _status(self, order_id: str) -> str:
        async with self._database.read() as connection:
            return str((await connection.execute(select(orders.c.status).where(orders.c.id == order_id))).scalar_one())
