"""A live hub over the real door, shows, engine, ledger and offers: what the tests of claims and of offers share."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.gateway.door import Door
from livecommerce.ledger.database import Database
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.service import People
from livecommerce.protocol import from_host as c
from livecommerce.protocol.from_viewer import Say
from livecommerce.protocol.to_viewer import Welcome
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.offer_books import OfferBooks
from livecommerce.shows.plans import StaffCard
from tests.gateway.live import Live, Raw, connect, live
from tests.shows.world import World


@dataclass
class House:
    one: Live
    world: World
    people: People
    offers: OfferBooks

    async def seat(self, show_id: str, who: Any) -> tuple[Raw, Welcome]:
        raw = await connect(self.one.port, show_id, token=self.token(who))
        return raw, await raw.hello(device="desk")

    def token(self, who: Any) -> str:
        tokens = self.people.tokens
        if isinstance(who, ViewerIdentity):
            return tokens.for_viewer(who).token
        return tokens.for_staff(who.account_id, 1).token

    async def on_air(self, show_id: str, *quotas: int, kind: Any = "deal", **deal: Any) -> StaffCard:
        """A card with its deals open."""
        card = await self.world.card(show_id, *quotas, kind=kind, **deal)
        await self.world.do(show_id, c.ShowCard(card.card_id))
        return card


@contextlib.asynccontextmanager
async def sqlite_ledger(template: Path, folder: Path) -> AsyncIterator[Database]:
    """An empty ledger on SQLite alone, for what says nothing of its own to SQL."""
    path = folder / "ledger.sqlite3"
    shutil.copyfile(template, path)
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.start()
    yield database
    await database.aclose()


def say(raw: Raw, text: str, cid: str = "say_1") -> None:
    raw.send(Say(cid, text))


@contextlib.asynccontextmanager
async def open_house(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[House]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()
    people = People(database, redis, settings, clock)
    door = Door(people, database, settings, clock)
    offers = OfferBooks(database, clock)
    async with live(redis, settings, clock, real_shows=world.shows, real_door=door, offers=offers) as one:
        yield House(one, world, people, offers)
    await engine.aclose()
