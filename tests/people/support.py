"""A shop for tests of people, door and API: the real people, door and application over real Redis and ledger."""

from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any, cast

import httpx
from argon2 import PasswordHasher
from redis.asyncio import Redis
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette

from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import TestClock
from livecommerce.gateway.door import Door
from livecommerce.gateway.web import build_app
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import shows
from livecommerce.people.identity import StaffIdentity
from livecommerce.people.passwords import Passwords
from livecommerce.people.service import People
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.news import News
from livecommerce.shows.service import Shows
from tests.video.sources import adapters

ORIGIN = "http://127.0.0.1:8080"
PASSWORD = "three small teapots"
EMAIL = "mei@example.com"


def quick_passwords() -> Passwords:
    """argon2id with parameters that protect nothing and take a millisecond."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass
class Shop:
    """One process of the shop, without the parts that these tests do not touch."""

    settings: Settings
    database: Database
    redis: Redis
    clock: TestClock

    def __post_init__(self) -> None:
        self.people = People(self.database, self.redis, self.settings, self.clock, quick_passwords())
        self.door = Door(self.people, self.database, self.settings, self.clock)
        # Only the parts that these endpoints ask: the others have tests of their own.
        self.parts: Any = SimpleNamespace(
            settings=self.settings,
            clock=self.clock,
            database=self.database,
            redis=self.redis,
            people=self.people,
            door=self.door,
            shows=self._shows(),
            adapters=adapters(self.settings, self.clock),
        )

    @cached_property
    def app(self) -> Starlette:
        return build_app(self.parts)

    def _shows(self) -> Shows:
        engine = ReservationEngine(self.redis, self.settings, self.clock)
        catalogue = Catalogue(self.database, self.settings, self.clock)
        return Shows(self.database, engine, catalogue, News(self.redis), self.clock, self.settings)

    def with_settings(self, **changes: Any) -> "Shop":
        """The same state behind other settings, as after a restart."""
        return Shop(replace(self.settings, **changes), self.database, self.redis, self.clock)

    def browser(self, origin: str | None = ORIGIN, peer: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        """A client with a cookie jar of its own that names `origin` as a page of ours would."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(peer, 50_000))
        named = {"origin": origin} if origin is not None else {}
        return httpx.AsyncClient(transport=transport, base_url=self.settings.base_url, headers=named | headers)

    async def staff(self, role: str = "advisor", unit: str = "", email: str = EMAIL) -> StaffIdentity:
        return await self.people.add_account(email, "Mei Lin", cast(Any, role), unit, PASSWORD)

    async def show_in(self, org_unit_id: str, host_account_id: str, video: dict[str, Any] | None = None) -> str:
        """The id of a show of this unit, as the ledger keeps it."""
        show_id = new_id("sh")

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                insert(shows).values(
                    id=show_id,
                    title="Test show",
                    corner="flash_sale",
                    corner_settings={},
                    status="live",
                    host_account_id=host_account_id,
                    org_unit_id=org_unit_id,
                    video=video or {"kind": "none"},
                    created_at_ms=self.clock.now_ms(),
                )
            )

        await self.database.write(work)
        return show_id


async def refusal(answer: httpx.Response) -> tuple[int, str]:
    """(status, word) of a refusal, whose shape is checked on the way."""
    body = answer.json()
    assert set(body) == {"number", "word", "text", "again", "after_ms", "facts"}, body
    return answer.status_code, body["word"]
