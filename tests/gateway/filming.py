"""A web process that films a show, as a child that a test kills: `python -m tests.gateway.filming SOCKET LEDGER DATA`.

It says after each promise of the host's that was accepted how many there were, and how many pieces of the picture are
written down by then.
"""

import asyncio
import itertools
import sys
from pathlib import Path

import structlog
from redis.asyncio import Redis

from livecommerce.clock import RealClock
from livecommerce.clock import TestClock as StillClock
from livecommerce.ledger.database import Database
from livecommerce.protocol import from_host as c
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import read_settings, with_secrets
from livecommerce.video.studio import Studio
from tests.shows.world import World
from tests.video.films import MIMES, chunks, film


async def main(socket: str, ledger: str, data: Path) -> None:
    settings = with_secrets(read_settings({}, data=data, mode="development"))
    database, redis, clock = Database(f"sqlite+aiosqlite:///{ledger}"), Redis(unix_socket_path=socket), StillClock()
    await database.start()
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()
    show = await world.show()
    card = await world.card(show.show_id)
    studio = Studio(settings, RealClock())
    publisher = await studio.publisher(show.show_id)
    publisher.take_line(lambda: None)
    print(show.show_id, flush=True)
    said = 0
    for epoch in itertools.count():
        await publisher.begin(f"epoch-{epoch:04d}", MIMES["webm-h264"], None)
        for number, chunk in enumerate(chunks(film("webm-h264"), 5000)):
            await publisher.push(number, chunk)
            await world.do(show.show_id, c.Promise(card.card_id, f"promise {said}"))
            said += 1
            print(said, publisher.picture.pieces, flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the test reads what is printed
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
