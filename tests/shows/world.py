"""A small house for tests of shows: an organisation, a host, a product in three shades with stock, real Redis and SQL.

`World.process()` makes another process's `Shows` over the same Redis and ledger.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, select

from livecommerce.background.journal import JournalToLedger
from livecommerce.catalogue.pools import Move, apply_moves
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import (
    accounts,
    deals,
    locations,
    org_units,
    pools,
    products,
    show_log,
    variants,
)
from livecommerce.people.identity import StaffIdentity, StaffRole, ViewerIdentity
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import ShowFacts
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.news import News
from livecommerce.shows.plans import NewCard, NewDeal, NewShow, StaffCard
from livecommerce.shows.service import Shows

STOCK = 100
SHADES = ("Rosewood", "Plum", "Coral")
VARIANTS = tuple(f"var_{shade.lower()}" for shade in SHADES)
LOCATION = "loc_warehouse"
HOST = StaffIdentity("acc_host", "Clara", "clara@example.com", "advisor", "org_north", "/hq/north/")
MODERATOR = StaffIdentity("acc_mod", "Max", "max@example.com", "moderator", "org_north", "/hq/north/")
MANAGER = StaffIdentity("acc_manager", "Mona", "mona@example.com", "manager", "org_hq", "/hq/")
STRANGER = StaffIdentity("acc_south", "Sol", "sol@example.com", "advisor", "org_south", "/hq/south/")
ANA = ViewerIdentity("vwr_ana", "Ana")
BEA = ViewerIdentity("vwr_bea", "Bea")


@dataclass(frozen=True, slots=True)
class Pool:
    available: int
    in_deals: int
    sold: int


class World:
    def __init__(
        self, database: Database, redis: Redis, settings: Settings, clock: TestClock, engine: ReservationEngine
    ) -> None:
        self.database = database
        self.redis = redis
        self.settings = settings
        self.clock = clock
        self.engine = engine
        self.catalogue = Catalogue(database, settings, clock)
        self.shows = self.process()
        self._commands = 0

    def process(self) -> Shows:
        journal = JournalToLedger(self.redis, self.database, self.engine, self.clock)
        news = News(self.redis)
        return Shows(
            self.database, self.engine, self.catalogue, news, self.clock, self.settings, copy_journal=journal.drain
        )

    async def seed(self) -> None:
        async def work(connection: Any) -> None:
            for unit, parent, path in (
                ("org_hq", None, "/hq/"), ("org_north", "org_hq", "/hq/north/"), ("org_south", "org_hq", "/hq/south/"),
            ):  # fmt: skip
                row = {"id": unit, "parent_id": parent, "kind": "region", "name": unit, "path": path}
                await connection.execute(insert(org_units).values(row))
            for staff in (HOST, MODERATOR, MANAGER, STRANGER):
                await connection.execute(
                    insert(accounts).values(
                        id=staff.account_id, email=staff.email, name=staff.name, password_hash="-", role=staff.role,
                        org_unit_id=staff.org_unit_id, created_at_ms=0,
                    )
                )  # fmt: skip
            await connection.execute(insert(locations).values(id=LOCATION, kind="warehouse", name="W", is_default=True))
            await connection.execute(
                insert(products).values(
                    id="prd_lip", handle="velvet-lip", title="Velvet Lip", published=True, tags=[],
                    option_names=["Shade"], extra={}, created_at_ms=0, updated_at_ms=0,
                )
            )  # fmt: skip
            for place, (variant_id, shade) in enumerate(zip(VARIANTS, SHADES, strict=True), 1):
                await connection.execute(
                    insert(variants).values(
                        id=variant_id, product_id="prd_lip", position=place, options_key=shade, options=[shade],
                        price_minor=2900, swatch="#aa3344", extra={},
                    )
                )  # fmt: skip
                await apply_moves(connection, [Move(f"seed/{shade}", "stock", variant_id, LOCATION, STOCK)], 0)

        await self.database.write(work)

    async def show(self, corner: Any = "open_house", live: bool = True, **plan: Any) -> ShowFacts:
        facts = await self.shows.planning.create(
            HOST, NewShow("Evening", corner, scheduled_at_ms=self.clock.now_ms(), **plan)
        )
        if live:
            await self.do(facts.show_id, c.GoLive())
        return facts

    async def card(
        self, show_id: str, *quotas: int, kind: Any = "deal", title: str = "", hidden: bool = False, **deal: Any
    ) -> StaffCard:
        wanted = [
            NewDeal(variant, quota, **{"price_minor": 1990, **deal})
            for variant, quota in zip(VARIANTS, quotas or (10,), strict=False)
        ]
        new = NewCard(kind, title, hidden_until_launch=hidden, notes="say it slowly", deals=tuple(wanted))
        return await self.shows.planning.add_card(HOST, show_id, new)

    async def do(self, show_id: str, command: c.AnyCommand, staff: StaffIdentity = HOST) -> c.Done:
        self._commands += 1
        return await self.shows.command(staff, show_id, f"command-{self._commands:06d}", command)

    async def pool(self, place: int = 0) -> Pool:
        async with self.database.read() as connection:
            row = (await connection.execute(select(pools).where(pools.c.variant_id == VARIANTS[place]))).one()
        assert row.available + row.in_deals + row.sold == row.total == STOCK
        return Pool(row.available, row.in_deals, row.sold)

    async def deal(self, deal_id: str) -> Any:
        async with self.database.read() as connection:
            return (await connection.execute(select(deals).where(deals.c.id == deal_id))).one()

    async def log_kinds(self, show_id: str, public: bool = True) -> list[str]:
        query = select(show_log.c.kind).where(show_log.c.show_id == show_id).order_by(show_log.c.id)
        async with self.database.read() as connection:
            found = await connection.execute(query.where(show_log.c.epoch != "") if public else query)
            return list(found.scalars())

    async def heard(self, show_id: str) -> list[str]:
        """Kinds of all events in the news, whose offsets are dense from 1."""
        epoch, last = await self.shows.news.position(show_id)
        events = await self.shows.news.since(show_id, epoch, 0)
        assert events is not None
        assert [stamped.offset for stamped in events] == list(range(1, last + 1))
        return [str(stamped.event.__struct_config__.tag) for stamped in events]


async def refused(why: R, doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    assert caught.value.why is why, caught.value
    return caught.value


def staff_of(role: StaffRole) -> StaffIdentity:
    return StaffIdentity(HOST.account_id, "Clara", HOST.email, role, HOST.org_unit_id, HOST.org_path)


def viewer(number: int) -> ViewerIdentity:
    return ViewerIdentity(f"vwr_{number}", f"Viewer {number}")


def unknown(prefix: str) -> str:
    return new_id(prefix)
