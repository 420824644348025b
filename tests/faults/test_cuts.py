"""The line between any two parts is cut: before the question arrives, before the answer does, and in a rush."""

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.exc import DBAPIError

from livecommerce.clock import TestClock
from livecommerce.errors import Refused
from livecommerce.ledger.database import Database
from livecommerce.protocol.facts import Hold
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from tests.conftest import _empty_tables
from tests.conservation import check_conservation
from tests.cutter import Cutter, cutter
from tests.live_server import Deal, Show, Watcher, insist, live_server, live_show, merchant_folder
from tests.orders.world import World, request, seed, viewer

__all__ = ["merchant_folder"]

pytestmark = pytest.mark.timeout(300)


@dataclass
class ShowThroughALine(Show):
    line: Cutter | None = None

    @property
    def url(self) -> str:
        assert self.line is not None
        return super().url.replace(f":{self.server.port}", f":{self.line.port}")


async def test_tcp_cut_between_a_viewer_and_the_gateway(merchant_folder: Path) -> None:
    """Her tap or its answer is lost on the way, each time: she comes back by herself, asks again under the same rid,
    and has one hold for each."""
    with (
        live_server(merchant_folder) as server,
        cutter(lambda: asyncio.open_connection("127.0.0.1", server.port)) as line,
    ):
        async with live_show(server, Deal(8, limit=8, hold_cap_seconds=0)) as show:
            through = ShowThroughALine(
                server, show.host, show.show_id, show.card_id, show.deals, show.counter_id, line=line
            )
            answers: dict[tuple[str, str], Hold | Refused] = {}
            async with Watcher(through, *await server.viewer("Ada")) as ada:
                for number in range(6):
                    rid = f"rid-cut-{number}"
                    before = ada.socket.connections
                    line.cut_at(1, "there" if number % 2 else "back")
                    answer = await insist(lambda rid=rid: ada.tap(show.deals[0], rid=rid))
                    assert isinstance(answer, Hold)
                    assert answer.state == "held"
                    answers[ada.viewer_id, rid] = answer
                    await ada.until(lambda before=before: ada.socket.connections > before, "her return")
                tickets = [answer.ticket for answer in answers.values() if isinstance(answer, Hold)]
                assert len(set(tickets)) == 6
            await check_conservation(server, show.show_id, answers)


@pytest.mark.postgres
async def test_tcp_cut_between_our_processes_and_the_ledger(
    postgres_tables: str, redis: Redis, settings: Settings, clock: TestClock
) -> None:
    """At every message of a checkout, the commit's own among them: she asks again and has one order, paid for once."""
    await _empty_tables(postgres_tables)
    real = Path(postgres_tables.partition("host=")[2])
    folder = Path(tempfile.mkdtemp(prefix="lc-pg-cut-"))
    name = ".s.PGSQL.5432"
    with cutter(lambda: asyncio.open_unix_connection(str(real / name)), folder / name) as line:
        database = Database(f"postgresql+asyncpg://postgres@/ledger?host={folder}")
        await database.start()
        engine = ReservationEngine(redis, settings, clock)
        await engine.start()
        world = World(database, engine, redis, settings, clock)
        await seed(world, quota=40)
        broken = 0
        for number in range(1, 13):
            await world.hold(number)
            line.cut_at(2 * number - 1, "back" if number % 3 else "there")
            cuts = line.cuts
            answer = None
            while answer is None:
                with contextlib.suppress(Refused, DBAPIError, OSError):
                    answer = await world.orders.checkout(viewer(number), request(number))
            broken += line.cuts > cuts
            assert answer.pay_url
        line.cut_at(0, "back")
        assert broken > 8, "the cuts did not meet the checkouts"
        await world.orders.run_outbox()
        assert await world.deal() == (40, 12, 0)
        await world.assert_conserved()
        await world.assert_healed()
        await world.aclose()
        await engine.aclose()
        await database.aclose()
    shutil.rmtree(folder, ignore_errors=True)
