"""A shop with two places, a show, and stock in pools: what the live card and the shop's own channels fight for.

Built on the world of orders (payments that travel, deals that are open), with shelves and the show's real commands.
"""

from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import Move, apply_moves
from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, pool_moves, pools, shelf_moves, shelves, shows
from livecommerce.orders.facts import CheckoutAnswer, CheckoutRequest
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Hold
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.settings import Settings
from livecommerce.shelves.moves import SHELF_UNITS
from livecommerce.shelves.service import MOVE_SECONDS, Shelves
from livecommerce.shows.service import Shows
from tests.orders.world import ADDRESS, HOLD_MS, PAY_SECONDS, SHOW, World, rid, seed, staff, viewer

WEB, NORTH = "lo_web", "lo_north"
# A test that two databases must tell the same.
everywhere = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
BOOK = keys.pool_book(WEB)


class Shop(World):
    def __init__(
        self, database: Database, engine: ReservationEngine, redis: Any, settings: Settings, clock: TestClock
    ) -> None:
        super().__init__(database, engine, redis, settings, clock)
        self.shelves = self.process()
        self.shows = Shows(database, engine, self.catalogue, self.news, clock, settings, self.shelves)
        self._commands = 0

    def process(self, **parts: Any) -> Shelves:
        """Another process's shelves over the same Redis and SQL."""
        return Shelves(
            parts.get("database", self.database), parts.get("engine", self.engine), self.catalogue, self.settings,
            self.clock,
        )  # fmt: skip

    # --- what people do ---------------------------------------------------------------------------------------------

    async def stock(self, units: int, variant_id: str = "va_a", location_id: str = WEB, name: str = "in") -> None:
        move = Move(f"{name}-{variant_id}-{location_id}", "stock", variant_id, location_id, units)
        await self.database.write(lambda connection: apply_moves(connection, [move], 1))

    async def take(
        self, number: int = 1, qty: int = 1, variant_id: str = "va_a", location_id: str = WEB, channel: Any = "web"
    ) -> Hold:
        return await self.shelves.reserve(channel, viewer(number), location_id, rid(number), [(variant_id, qty)])

    async def shop_checkout(self, number: int = 1, location_id: str = WEB) -> CheckoutAnswer:
        book = keys.pool_book(location_id)
        where: dict[str, Any] = {"delivery": "ship", "address": ADDRESS}
        if location_id != WEB:
            where = {"delivery": "pickup", "pickup_location_id": location_id}
        request = CheckoutRequest(book, rid(number), contact_name="Ana", contact="ana@example.com", **where)
        return await self.orders.checkout(viewer(number), request)

    async def plan_deal(self, deal_id: str, quota: int, variant_id: str = "va_a", location_id: str = WEB) -> None:
        row = {
            "id": deal_id, "show_id": SHOW, "card_id": "ca_1", "position": 9, "variant_id": variant_id,
            "location_id": location_id, "price_minor": 1500, "quota": quota, "limit_per_viewer": 10,
            "hold_seconds": HOLD_MS // 1000, "pay_seconds": PAY_SECONDS, "status": "draft",
        }  # fmt: skip
        await self.database.write(lambda connection: connection.execute(insert(deals).values(row)))

    async def open_deal(self, deal_id: str) -> None:
        await self._command(c.OpenDeal(deal_id))

    async def close_deal(self, deal_id: str) -> None:
        await self._command(c.CloseDeal(deal_id))
        await self.shows.programme.due_changes()

    async def _command(self, command: Any) -> None:
        self._commands += 1
        await self.shows.command(staff(), SHOW, f"command-{self._commands:06d}", command)

    async def heal(self) -> None:
        """What the worker does in time: moves whose process died are finished, what Redis lost comes home."""
        await self.clock.advance(MOVE_SECONDS + 1)
        for _ in range(3):  # one location a turn
            await self.shelves.sweep()
        await self.orders.run_outbox()

    # --- what stands in the books -----------------------------------------------------------------------------------

    async def shelf(self, variant_id: str = "va_a", location_id: str = WEB) -> tuple[int, int, int]:
        """(allotted, paying, sold) in SQL."""
        query = select(shelves).where(shelves.c.variant_id == variant_id, shelves.c.location_id == location_id)
        row = await self.one(query)
        return row.allotted, row.paying, row.sold

    async def shelf_level(self, variant_id: str = "va_a", location_id: str = WEB) -> tuple[int, int, int, int]:
        """(available, held, paying, sold) in Redis; zeros where it knows no such shelf."""
        query = select(shelves.c.id).where(shelves.c.variant_id == variant_id, shelves.c.location_id == location_id)
        [(shelf_id,)] = await self.all(query)
        level = (await self.engine.levels_of(keys.pool_book(location_id), [shelf_id])).get(shelf_id)
        return (level.available, level.held, level.paying, level.sold) if level else (0, 0, 0, 0)

    async def pool_at(self, variant_id: str = "va_a", location_id: str = WEB) -> tuple[int, int, int, int]:
        """(total, available, in_deals, sold) in SQL."""
        row = await self.one(select(pools).where(pools.c.variant_id == variant_id, pools.c.location_id == location_id))
        return row.total, row.available, row.in_deals, row.sold

    async def assert_every_unit_is_in_one_place(self, *, healed: bool = True) -> None:
        """Pools, shows' deals and shelves in SQL add up to each other and to their moves; Redis never has more of a
        shelf than SQL, and the same of it once nothing is under way."""
        for pool in await self.all(select(pools)):
            here = (pool.variant_id, pool.location_id)
            assert pool.available + pool.in_deals + pool.sold == pool.total
            unsold = sold = 0
            for table in (deals, shelves):
                sums = select(func.sum(table.c.allotted), func.sum(table.c.sold)).where(
                    table.c.variant_id == here[0], table.c.location_id == here[1]
                )
                allotted, gone = await self.one(sums)
                unsold, sold = unsold + int(allotted or 0) - int(gone or 0), sold + int(gone or 0)
            assert (pool.in_deals, pool.sold) == (unsold, sold), here
            moved = dict(
                await self.all(
                    select(pool_moves.c.kind, func.sum(pool_moves.c.qty))
                    .where(pool_moves.c.variant_id == here[0], pool_moves.c.location_id == here[1])
                    .group_by(pool_moves.c.kind)
                )
            )
            assert pool.total == moved.get("stock", 0)
            assert pool.sold == moved.get("sold", 0)
        for shelf in await self.all(select(shelves)):
            level = (await self.engine.levels_of(keys.pool_book(shelf.location_id), [shelf.id])).get(shelf.id)
            units = level.available + level.held + level.paying + level.sold if level else 0
            assert units <= shelf.allotted, shelf
            if healed:
                assert (
                    (units, level.paying, level.sold) == (shelf.allotted, shelf.paying, shelf.sold)
                    if level
                    else (shelf.allotted == 0)
                )
        if healed:
            assert await self.all(select(shelf_moves).where(shelf_moves.c.moved.is_(None))) == []


async def seed_shop(shop: Shop, units: int = 0) -> None:
    """The world of orders (three deals open, each with its own three units), and `units` more in the warehouse."""

    await seed(shop)

    async def more(connection: AsyncConnection) -> None:
        await connection.execute(update(shows).values(video={"kind": "none"}))
        await apply_moves(connection, [Move("north", "stock", "va_b", NORTH, 2)], 1)

    await shop.database.write(more)
    if units:
        await shop.stock(units)


__all__ = [
    "BOOK", "NORTH", "PAY_SECONDS", "SHELF_UNITS", "SHOW", "WEB", "Shop", "everywhere", "rid", "seed_shop", "staff",
    "viewer",
]  # fmt: skip
