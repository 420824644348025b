"""The list of duties a worker runs. Adding one is a row here.

What arrives: the parts of a process. What leaves: duties with their period and deadline, the periods uneven so that
they do not march in step. What each duty does is its own module's business.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from redis.asyncio import Redis

from livecommerce.audit.watch import PERIOD_SECONDS as AUDIT_SECONDS
from livecommerce.audit.watch import Watch
from livecommerce.background.forgotten import ForgetDuty
from livecommerce.background.holds import BEAT_SECONDS, Heartbeats
from livecommerce.background.journal import PERIOD_SECONDS, JournalToLedger
from livecommerce.background.programme import ProgrammeDuty
from livecommerce.background.rebuild import RebuildDuty
from livecommerce.background.recordings import RecordingsDuty
from livecommerce.background.ticket_lists import TicketListDuty
from livecommerce.background.worker import Duty
from livecommerce.channels.service import Channels
from livecommerce.clock import Clock
from livecommerce.ledger.database import Database
from livecommerce.orders.service import Orders
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import Shelves
from livecommerce.shows.service import Shows


class PartsOfAWorker(Protocol):
    """What duties are made of."""

    settings: Settings
    clock: Clock
    database: Database
    redis: Redis
    engine: ReservationEngine
    shows: Shows
    orders: Orders
    shelves: Shelves
    channels: Channels


@dataclass(frozen=True, slots=True)
class Repeated:
    """A duty that is one call of another part."""

    name: str
    call: Callable[[], Awaitable[Any]]
    every_seconds: float
    deadline_seconds: float = 30.0

    async def run(self, lease_epoch: int) -> None:
        """One call. None of these needs the epoch: each decides under locks of its own."""
        await self.call()


def duties_of(parts: PartsOfAWorker) -> list[Duty]:
    heartbeats = Heartbeats(parts.engine, parts.clock)
    journal = JournalToLedger(parts.redis, parts.database, parts.engine, parts.clock)
    watch = Watch(parts.database, parts.redis, parts.engine, parts.clock)
    return [
        Repeated("heartbeat", heartbeats.beat_due, BEAT_SECONDS, deadline_seconds=5.0),
        Repeated("journal", journal.drain_all, PERIOD_SECONDS),
        ProgrammeDuty(parts.shows.programme, parts.clock),
        Repeated("pictures", parts.shows.filmed.watch, 0.47),
        TicketListDuty(parts.shows.tickets, journal, parts.engine),
        Repeated("outbox", parts.orders.run_outbox, 0.53),
        Repeated("deadlines", parts.orders.sweep_deadlines, 1.07),
        Repeated("unwritten", parts.orders.sweep_unwritten, 2.03),
        RebuildDuty(parts.redis, parts.database, parts.engine, parts.settings, parts.clock),
        Repeated("audit", watch.look, AUDIT_SECONDS),
        Repeated("pulled", parts.orders.sweep_pulled, 1.13),
        Repeated("shelves", parts.shelves.sweep, 1.51),
        ForgetDuty(parts.redis, parts.database, parts.clock),
        RecordingsDuty(parts.shows.recordings, parts.database, parts.settings, parts.clock),
        Repeated("try-ons", parts.channels.try_ons.sweep, 7.3),
    ]
