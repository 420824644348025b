"""The wiring: each long-lived object once, in the order in which they start; they stop in the reverse order."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from livecommerce.clock import Clock
from livecommerce.ledger.database import Database
from livecommerce.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from livecommerce.catalogue.service import Catalogue
    from livecommerce.gateway.door import Door
    from livecommerce.gateway.hub import Hub
    from livecommerce.orders.service import Orders
    from livecommerce.people.service import People
    from livecommerce.reservations.engine import ReservationEngine
    from livecommerce.shows.service import Shows


@dataclass(slots=True)
class Parts:
    """What one process is made of. A part that a process does not run is absent from its type's users, never None."""

    settings: Settings
    clock: Clock
    database: Database
    redis: "Redis"
    people: "People"
    door: "Door"
    catalogue: "Catalogue"
    engine: "ReservationEngine"
    shows: "Shows"
    orders: "Orders"
    hub: "Hub"
