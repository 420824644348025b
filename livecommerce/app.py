"""The wiring: each long-lived object once, in the order in which they start; they stop in the reverse order."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
from redis.asyncio import Redis

from livecommerce.background.journal import JournalToLedger
from livecommerce.catalogue.service import Catalogue
from livecommerce.channels.service import Channels, channels_over
from livecommerce.clock import Clock, RealClock
from livecommerce.ending import end
from livecommerce.gateway.door import Door
from livecommerce.gateway.hub import Hub
from livecommerce.gateway.judge import judge_of
from livecommerce.hot_state import connect
from livecommerce.ledger.database import Database
from livecommerce.orders.payments.registry import Foundation, providers_for
from livecommerce.orders.service import Orders
from livecommerce.people.service import People
from livecommerce.public_address import addresses_of
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import Shelves
from livecommerce.shows.news import News
from livecommerce.shows.offer_books import OfferBooks
from livecommerce.shows.service import Shows
from livecommerce.video.adapters.contract import Foundation as VideoFoundation
from livecommerce.video.adapters.registry import Adapters, adapters_for
from livecommerce.video.studio import Studio


@dataclass(slots=True)
class Parts:
    """What one process is made of. Worker and web have the same; only a web process starts the hub."""

    settings: Settings
    clock: Clock
    database: Database
    redis: Redis
    people: People
    door: Door
    catalogue: Catalogue
    engine: ReservationEngine
    news: News
    shows: Shows
    orders: Orders
    offers: OfferBooks
    hub: Hub
    shelves: Shelves
    channels: Channels
    studio: Studio
    adapters: Adapters


@contextlib.asynccontextmanager
async def open_parts(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Parts]:
    """All parts of a process, started; they are stopped on the way out, Redis last."""
    clock = clock or RealClock()
    redis = connect(settings.redis_url)
    database = Database(settings.sql_url)
    await database.start()
    try:
        people = People(database, redis, settings, clock)
        door = Door(people, database, settings, clock)
        catalogue = Catalogue(database, settings, clock)
        engine = ReservationEngine(redis, settings, clock, database)
        await engine.start()
        witness = asyncio.create_task(engine.testify_forever(), name="reservation-witness")
        news = News(redis)
        shelves = Shelves(database, engine, catalogue, settings, clock)
        journal = JournalToLedger(redis, database, engine, clock)
        shows = Shows(database, engine, catalogue, news, clock, settings, shelves, journal.drain)
        async with httpx.AsyncClient(verify=own_trust(settings)) as client:
            foundation = Foundation(settings, database, clock, f"{_own_url(settings)}/webhooks/test", client)
            orders = Orders(database, engine, news, catalogue, providers_for(foundation), settings, clock)
            channels = channels_over(database, engine, shelves, orders, people, catalogue, settings, clock)
            offers = OfferBooks(database, clock)
            judge, close_judge = judge_of(settings, clock)
            hub = Hub(settings, clock, redis, door, shows, engine, orders, offers, judge)
            studio = Studio(settings, clock)
            adapters = adapters_for(VideoFoundation(settings, clock, studio.keys, shows.facts, addresses_of))
            try:
                yield Parts(
                    settings, clock, database, redis, people, door, catalogue, engine, news, shows, orders, offers, hub,
                    shelves, channels, studio, adapters,
                )  # fmt: skip
            finally:
                await studio.aclose()
                await orders.aclose()
                await close_judge()
                await end([witness])
                await engine.aclose()
    finally:
        await database.aclose()
        await redis.aclose()


def _own_url(settings: Settings) -> str:
    """Where this server hears itself. On one machine that is loopback: the public address may be a proxy's, or one
    that only phones can reach."""
    if settings.public_url and not settings.embedded:
        return settings.base_url
    return f"{'https' if settings.tls else 'http'}://127.0.0.1:{settings.port}"


def own_trust(settings: Settings) -> ssl.SSLContext | bool:
    """What our own calls to this server trust: its own certificate where it has one, else the machine's authorities."""
    certificate = settings.data / "tls" / "certificate.pem"
    if not settings.tls or not certificate.exists():
        return True
    context = ssl.create_default_context()
    context.load_verify_locations(certificate)
    return context
