"""A small shop for tests of orders: one show, deals open on real Redis and SQL, a provider whose webhooks travel.

`World.orders` is re-made by `restart`, as a new process would; nothing of the old one is kept.
"""

from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from livecommerce.catalogue.pools import Move, apply_moves
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import TestClock
from livecommerce.errors import Refused
from livecommerce.gateway.api import refusal_response
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import (
    accounts,
    cards,
    deals,
    locations,
    metadata,
    movements,
    order_lines,
    orders,
    org_units,
    payments,
    pools,
    products,
    reservations,
    shows,
    variants,
)
from livecommerce.orders.facts import Address, CheckoutAnswer, CheckoutRequest
from livecommerce.orders.payments.registry import Foundation, Providers, providers_for
from livecommerce.orders.payments.test import TestPayAnswer, TestProvider
from livecommerce.orders.service import Orders
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.protocol.to_viewer import Desk, Own
from livecommerce.reservations import DealStock, ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.news import News

SHOW = "sh_1"
HQ, NORTH, SOUTH = "/hq/", "/hq/north/", "/hq/south/"
ADDRESS = Address("1 Rue de la Paix", "", "75002", "Paris", "France")
HOLD_MS, PAY_SECONDS = 300_000, 600


def viewer(number: int = 1) -> ViewerIdentity:
    return ViewerIdentity(f"vw_{number}", f"Viewer {number}", "guest", "ac_1", "ou_north", "ln_1")


def staff(path: str = HQ, role: Any = "manager") -> StaffIdentity:
    return StaffIdentity("ac_1", "Clara", "clara@example.com", role, "ou", path)


def rid(number: int = 1) -> str:
    return f"rid-{number:06d}"


def request(number: int = 1, delivery: Any = "ship", **changes: Any) -> CheckoutRequest:
    given: dict[str, Any] = {
        "show_id": SHOW, "rid": rid(number), "delivery": delivery, "contact_name": "Ana Müller",
        "contact": "ana@example.com",
    } | ({"address": ADDRESS} if delivery == "ship" else {"pickup_location_id": "lo_north"})  # fmt: skip
    return CheckoutRequest(**{**given, **changes})


class RecordedNews(News):
    """The real news; what was told is kept as well."""

    def __init__(self, redis: Any) -> None:
        super().__init__(redis)
        self.own: list[tuple[str, Own]] = []
        self.desk: list[Desk] = []

    async def tell(self, show_id: str, viewer_id: str, own: Own) -> None:
        await super().tell(show_id, viewer_id, own)
        self.own.append((viewer_id, own))

    async def tell_desk(self, show_id: str, desk: Desk) -> None:
        await super().tell_desk(show_id, desk)
        self.desk.append(desk)


class World:
    def __init__(
        self, database: Database, engine: ReservationEngine, redis: Any, settings: Settings, clock: TestClock
    ) -> None:
        self.database = database
        self.engine = engine
        self.redis = redis
        self.settings = settings
        self.clock = clock
        self.news = RecordedNews(redis)
        self.catalogue = Catalogue(database, settings, clock)
        app = Starlette(routes=[Route("/webhooks/test", self._hear, methods=["POST"])])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app))
        self.webhooks: list[tuple[bytes, Mapping[str, str]]] = []
        self.shop_hears = True
        self.providers = self.providers_over(self.client)
        self.orders = self.restart()

    def providers_over(self, client: httpx.AsyncClient) -> Providers:
        return providers_for(
            Foundation(self.settings, self.database, self.clock, "http://127.0.0.1:8080/webhooks/test", client)
        )

    def restart(self, **parts: Any) -> Orders:
        """A new process over the same Redis and SQL; `parts` replaces collaborators of this one."""
        self.orders = Orders(
            parts.get("database", self.database), parts.get("engine", self.engine), parts.get("news", self.news),
            self.catalogue, parts.get("providers", self.providers), self.settings, self.clock,
        )  # fmt: skip
        return self.orders

    async def aclose(self) -> None:
        await self.orders.aclose()
        await self.client.aclose()

    async def _hear(self, request: Request) -> Response:
        raw = await request.body()
        self.webhooks.append((raw, dict(request.headers)))
        if not self.shop_hears:
            return Response(status_code=503)
        try:
            await self.orders.webhook("test", raw, request.headers)
        except Refused as refused:
            return refusal_response(refused)
        return JSONResponse({"ok": True})

    # --- what people do ---------------------------------------------------------------------------------------------

    async def hold(self, number: int = 1, qty: int = 1, lines: Any = None) -> None:
        await self.engine.reserve(SHOW, viewer(number), rid(number), lines or [("dl_a", qty)], wait=False)

    async def checkout(self, number: int = 1, delivery: Any = "ship", qty: int = 1) -> CheckoutAnswer:
        await self.hold(number, qty)
        return await self.orders.checkout(viewer(number), request(number, delivery))

    async def press(self, answer: CheckoutAnswer | str, action: Any = "pay") -> TestPayAnswer:
        url = answer if isinstance(answer, str) else answer.pay_url
        pressed = await self.test.act(url.rpartition("/")[2], action)
        await self.orders.run_outbox()
        return pressed

    @property
    def test(self) -> TestProvider:
        return self.providers.test()

    async def pass_deadline(self, seconds: float = PAY_SECONDS) -> int:
        await self.clock.advance(seconds)
        expired = await self.orders.sweep_deadlines()
        await self.orders.run_outbox()
        return expired

    # --- what stands in the books -----------------------------------------------------------------------------------

    async def order(self, number: int = 1) -> Any:
        return await self.one(select(orders).where(orders.c.rid == rid(number)))

    async def status(self, number: int = 1) -> str:
        return str((await self.order(number)).status)

    async def payment_states(self, number: int = 1) -> list[tuple[str, str]]:
        order = await self.order(number)
        query = select(payments.c.status, payments.c.provider_side).where(payments.c.order_id == order.id)
        return [tuple(row) for row in await self.all(query.order_by(payments.c.created_at_ms, payments.c.id))]

    async def deal(self, deal_id: str = "dl_a") -> tuple[int, int, int]:
        """(allotted, paying, sold) in SQL."""
        row = await self.one(select(deals).where(deals.c.id == deal_id))
        return row.allotted, row.paying, row.sold

    async def level(self, deal_id: str = "dl_a") -> tuple[int, int, int, int]:
        """(available, held, paying, sold) in Redis."""
        _, levels = await self.engine.levels(SHOW)
        level = levels[deal_id]
        return level.available, level.held, level.paying, level.sold

    async def pool(self, variant_id: str = "va_a") -> tuple[int, int, int]:
        """(available, in_deals, sold) in SQL."""
        row = await self.one(select(pools).where(pools.c.variant_id == variant_id))
        return row.available, row.in_deals, row.sold

    async def movement_kinds(self, number: int = 1) -> list[str]:
        query = select(movements.c.kind).where(movements.c.rid == rid(number)).order_by(movements.c.id)
        return [row[0] for row in await self.all(query)]

    async def one(self, query: Any) -> Any:
        async with self.database.read() as connection:
            return (await connection.execute(query)).one()

    async def all(self, query: Any) -> Any:
        async with self.database.read() as connection:
            return (await connection.execute(query)).all()

    async def everything(self) -> Any:
        """All rows that orders write; two equal answers mean that nothing moved."""
        tables = (orders, order_lines, payments, reservations, movements, deals, pools)
        return [sorted(map(repr, await self.all(select(table)))) for table in tables]

    async def change_deal(self, deal_id: str, **values: Any) -> None:
        await self.database.write(
            lambda connection: connection.execute(update(deals).where(deals.c.id == deal_id).values(**values))
        )

    async def assert_conserved(self) -> None:
        """The sums that must hold after each step, in SQL, and between SQL and its own movements."""
        by_state = dict(
            await self.all(
                select(reservations.c.state, func.sum(order_lines.c.qty))
                .join(orders, (orders.c.viewer_id == reservations.c.viewer_id) & (orders.c.rid == reservations.c.rid))
                .join(order_lines, order_lines.c.order_id == orders.c.id)
                .group_by(reservations.c.state)
            )
        )  # fmt: skip
        row = await self.one(select(func.sum(deals.c.allotted), func.sum(deals.c.paying), func.sum(deals.c.sold)))
        allotted, paying, sold = row
        assert paying == by_state.get("paying", 0)
        assert sold == by_state.get("confirmed", 0)
        assert sold + paying <= allotted
        moved = dict(await self.all(select(movements.c.kind, func.sum(movements.c.qty)).group_by(movements.c.kind)))
        freed = moved.get("order_expired", 0) + moved.get("order_cancelled", 0)
        confirmed = moved.get("order_confirmed", 0)
        assert sold == confirmed
        assert paying == moved.get("order_paying", 0) + moved.get("order_reacquired", 0) - freed - confirmed
        for pool in await self.all(select(pools)):
            assert pool.available + pool.in_deals + pool.sold == pool.total
        assert (await self.one(select(func.sum(pools.c.sold))))[0] == sold

    async def assert_redis_never_above_sql(self) -> None:
        for deal_id in ("dl_a", "dl_b"):
            allotted, paying, sold = await self.deal(deal_id)
            available, held, _, _ = await self.level(deal_id)
            assert available + held <= allotted - paying - sold

    async def assert_healed(self) -> None:
        """Redis and SQL say the same."""
        for deal_id in ("dl_a", "dl_b"):
            allotted, paying, sold = await self.deal(deal_id)
            available, held, redis_paying, redis_sold = await self.level(deal_id)
            assert (redis_paying, redis_sold) == (paying, sold)
            assert available + held == allotted - paying - sold


async def clear(world: World) -> None:
    """No row and no key is left: a test that lives through many histories begins each anew."""

    async def work(connection: AsyncConnection) -> None:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(delete(table))

    await world.database.write(work)
    await world.redis.flushall()


async def seed(world: World, quota: int = 3) -> None:
    """Headquarters, two shops, a card with deal `dl_a` and a bundle card with `dl_a2` and `dl_b`; all open."""

    async def work(connection: AsyncConnection) -> None:
        async def add(table: Any, **values: Any) -> None:
            await connection.execute(insert(table).values(**values))

        await add(org_units, id="ou_hq", kind="headquarters", name="HQ", path=HQ)
        for name, path in (("north", NORTH), ("south", SOUTH)):
            await add(org_units, id=f"ou_{name}", parent_id="ou_hq", kind="shop", name=name, path=path)
            await add(
                locations, id=f"lo_{name}", kind="shop", name=f"Counter {name}", address="Main street 1", city="Lyon",
                hours="10–19", org_unit_id=f"ou_{name}",
            )  # fmt: skip
        await add(locations, id="lo_web", kind="warehouse", name="Warehouse", is_default=True)
        await add(
            accounts, id="ac_1", email="clara@example.com", name="Clara", password_hash="-", role="advisor",
            org_unit_id="ou_north", created_at_ms=1,
        )  # fmt: skip
        await add(
            shows, id=SHOW, title="Show", corner="flash_sale", corner_settings={}, status="live",
            host_account_id="ac_1", org_unit_id="ou_north", video={}, created_at_ms=1,
        )  # fmt: skip
        await add(
            products, id="pr_1", handle="lipstick", title="Lipstick", tags=[], published=True, option_names=[],
            extra={}, created_at_ms=1, updated_at_ms=1,
        )  # fmt: skip
        for name in ("a", "b"):
            await add(
                variants, id=f"va_{name}", product_id="pr_1", position=0, options_key=name, options=[name],
                price_minor=2500, extra={},
            )  # fmt: skip
        await add(cards, id="ca_1", show_id=SHOW, position=1, kind="deal", title="Lipstick", product_id="pr_1")
        await add(cards, id="ca_2", show_id=SHOW, position=2, kind="bundle", title="Duo", bundle_minor=3001)
        for deal_id, card, variant, price in (
            ("dl_a", "ca_1", "va_a", 1999), ("dl_a2", "ca_2", "va_a", 2000), ("dl_b", "ca_2", "va_b", 1000),
        ):  # fmt: skip
            await add(
                deals, id=deal_id, show_id=SHOW, card_id=card, position=0, variant_id=variant, location_id="lo_web",
                label=deal_id, price_minor=price, quota=quota, allotted=quota, limit_per_viewer=10,
                hold_seconds=HOLD_MS // 1000, pay_seconds=PAY_SECONDS, status="open",
            )  # fmt: skip
            moves = [
                Move(f"in-{deal_id}", "stock", variant, "lo_web", quota),
                Move(f"to-{deal_id}", "to_deal", variant, "lo_web", quota, deal_id),
            ]
            for move in moves:
                await apply_moves(connection, [move], 1)

    await world.database.write(work)
    await world.engine.open_show(SHOW)
    for deal_id in ("dl_a", "dl_a2", "dl_b"):
        await world.engine.put_deal(
            SHOW, DealStock(deal_id, quota, 10, HOLD_MS, PAY_SECONDS * 1000, "open", move_id=f"to-{deal_id}")
        )
