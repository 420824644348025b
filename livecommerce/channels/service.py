"""The wiring of the shop's channels: each of them once, over the same shelves."""

from dataclasses import dataclass

from livecommerce.catalogue.service import Catalogue
from livecommerce.channels.bags import ShopBags
from livecommerce.channels.baskets import AdvisorBaskets
from livecommerce.channels.goods import Names
from livecommerce.channels.tills import Tills
from livecommerce.channels.try_ons import CounterTryOns
from livecommerce.clock import Clock
from livecommerce.ledger.database import Database
from livecommerce.orders.service import Orders
from livecommerce.people.service import People
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import Shelves


@dataclass(frozen=True, slots=True)
class Channels:
    bags: ShopBags
    tills: Tills
    try_ons: CounterTryOns
    baskets: AdvisorBaskets


def channels_over(
    database: Database, engine: ReservationEngine, shelves: Shelves, orders: Orders, people: People,
    catalogue: Catalogue, settings: Settings, clock: Clock,
) -> Channels:  # fmt: skip
    names = Names(database, catalogue)
    return Channels(
        ShopBags(database, engine, shelves, names, settings, clock),
        Tills(database, engine, shelves, orders, catalogue, names, settings),
        CounterTryOns(database, engine, shelves, orders, people, catalogue, names, settings, clock),
        AdvisorBaskets(database, engine, shelves, orders, people, names, settings, clock),
    )
