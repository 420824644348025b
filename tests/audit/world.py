"""A show that really sells: planned, announced, reserved, paid and closed through the services, on real Redis and SQL.

The audit is asked as the worker and the command ask it. What a test plants, it plants below all of them.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import httpx
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from livecommerce.audit.report import ShowReport
from livecommerce.audit.verdict import Verdict
from livecommerce.audit.watch import LOOKS, Watch
from livecommerce.audit_command import Auditor, Outcome
from livecommerce.background.journal import JournalToLedger
from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.orders.facts import Address, CheckoutRequest
from livecommerce.orders.payments.registry import Foundation, providers_for
from livecommerce.orders.service import Orders
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol import from_host as c
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.settings import Settings
from livecommerce.shows.news import News
from livecommerce.shows.service import Shows
from tests.shows.world import World

HOLD_SECONDS, PAY_SECONDS = 300, 600
ADDRESS = Address("1 Rue de la Paix", "", "75002", "Paris", "France")


class HandyClock(TestClock):
    """Whoever sleeps wakes at once, later: the command's pauses turn the clock by themselves."""

    async def sleep(self, seconds: float) -> None:
        self.spend(seconds)
        await asyncio.sleep(0)


@dataclass
class PartsHere:
    """What the command needs of a process."""

    database: Database
    redis: Redis
    engine: ReservationEngine
    clock: TestClock
    orders: Orders
    shows: Shows


class AuditWorld:
    def __init__(
        self, database: Database, redis: Redis, settings: Settings, clock: TestClock, engine: ReservationEngine
    ) -> None:
        self.house = World(database, redis, settings, clock, engine)
        self.database, self.redis, self.engine, self.clock = database, redis, engine, clock
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(Starlette(routes=[Route("/webhooks/test", self._hear, methods=["POST"])]))
        )
        self.providers = providers_for(
            Foundation(settings, database, clock, "http://127.0.0.1:8080/webhooks/test", self._client)
        )
        self.orders = Orders(
            database, engine, News(redis), self.house.catalogue, self.providers, settings, clock
        )  # fmt: skip
        self.watch = self.new_watch()
        self.show_id = self.deal_id = ""

    async def _hear(self, request: Request) -> Response:
        await self.orders.webhook("test", await request.body(), request.headers)
        return JSONResponse({"ok": True})

    async def aclose(self) -> None:
        await self.orders.aclose()
        await self._client.aclose()

    def new_watch(self) -> Watch:
        return Watch(self.database, self.redis, self.engine, self.clock)

    # --- what people do ---------------------------------------------------------------------------------------------

    async def open(self, quota: int = 5) -> None:
        await self.house.seed()
        await self.put_up(quota)

    async def put_up(self, quota: int) -> None:
        """A show with one deal of so many units; everything below is about the last one."""
        show = await self.house.show()
        card = await self.house.card(
            show.show_id, quota, limit_per_viewer=5, hold_seconds=HOLD_SECONDS, pay_seconds=PAY_SECONDS
        )
        await self.house.do(show.show_id, c.ShowCard(card.card_id))
        self.show_id, self.deal_id = show.show_id, card.deals[0].deal_id

    async def hold(self, number: int, qty: int = 1, wait: bool = False) -> Any:
        return await self.engine.reserve(self.show_id, viewer(number), rid(number), [(self.deal_id, qty)], wait)

    async def checkout(self, number: int) -> Any:
        request = CheckoutRequest(self.show_id, rid(number), "ship", "Ana", "ana@example.com", ADDRESS)
        return await self.orders.checkout(viewer(number), request)

    async def press(self, answer: Any, action: Any = "pay") -> None:
        await self.providers.test().act(answer.pay_url.rpartition("/")[2], action)
        await self.orders.run_outbox()

    async def buy(self, number: int, qty: int = 1) -> None:
        await self.hold(number, qty)
        await self.press(await self.checkout(number))

    async def close_deal(self) -> None:
        await self.house.do(self.show_id, c.CloseDeal(self.deal_id))

    async def turn(self, seconds: float) -> None:
        """Time goes by on both clocks, and a heartbeat comes."""
        self.clock.spend(seconds)
        await self.redis.hincrby(keys.meta(self.show_id), "clk", round(seconds * 1000))
        await self.engine.heartbeat(self.show_id)

    async def drain(self) -> None:
        await JournalToLedger(self.redis, self.database, self.engine, self.clock).drain(self.show_id)

    async def duties(self) -> None:
        """What the worker's other duties do in one round."""
        await self.orders.run_outbox()
        await self.orders.sweep_deadlines()
        await self.orders.sweep_unwritten()
        await self.orders.run_outbox()
        await self.house.shows.programme.due_changes()
        await self.drain()

    # --- the audit --------------------------------------------------------------------------------------------------

    async def looks(self, times: int = LOOKS) -> Verdict:
        for _ in range(times):
            verdict = await self.watch.look()
        return verdict

    async def drift(self) -> dict[str, int]:
        """What the standing audit finds, without what it does not."""
        return {kind: units for kind, units in (await self.looks()).drift.items() if units}

    async def command(self, repair: bool = False, show_id: str = "") -> tuple[Outcome, str]:
        """(the outcome, what it printed)"""
        said: list[str] = []
        parts: Any = PartsHere(self.database, self.redis, self.engine, self.clock, self.orders, self.house.shows)
        outcome = await Auditor(parts, said.append).run(show_id, repair)
        return outcome, "\n".join(said)

    async def report(self) -> ShowReport:
        (report,) = (await self.command())[0].shows
        return report

    async def write(self, statement: Any) -> None:
        async def work(connection: Any) -> None:
            await connection.execute(statement)

        await self.database.write(work)


def viewer(number: int) -> ViewerIdentity:
    return ViewerIdentity(f"vwr_{number}", f"Viewer {number}")


def rid(number: int) -> str:
    return f"rid-{number:06d}"


async def quietly(asked: Awaitable[Any]) -> Any:
    """The answer, or the refusal as a value."""
    try:
        return await asked
    except Exception as error:
        return error
