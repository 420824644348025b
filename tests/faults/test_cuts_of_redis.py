"""The lines between our processes and Redis are cut: all of them in a rush, or for long the one that news come by."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis as plain_redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from livecommerce.errors import Refused
from livecommerce.protocol.facts import Hold, Level
from tests.conservation import check_conservation
from tests.cutter import Cutter, cutter
from tests.faults.test_hub_faults import nothing_was_missed, relay_says, room, tell
from tests.faults.test_whole_server import _take_and_give_back
from tests.live_server import Deal, LiveServer, live_show, merchant_folder, until

__all__ = ["merchant_folder"]

pytestmark = pytest.mark.timeout(300)


class ServerWithRedisElsewhere(LiveServer):
    socket = ""

    @contextlib.asynccontextmanager
    async def redis(self) -> AsyncIterator[Redis]:
        client = Redis(unix_socket_path=self.socket, retry=Retry(NoBackoff(), 0))
        try:
            yield client
        finally:
            await client.aclose()


@pytest.fixture(scope="module")
def line(valkey_socket: str) -> Iterator[Cutter]:
    """Between all processes of the server and Redis."""
    with cutter(lambda: asyncio.open_unix_connection(valkey_socket)) as line:
        yield line


@pytest.fixture(scope="module")
def server(merchant_folder: Path, valkey_socket: str, line: Cutter) -> Iterator[LiveServer]:
    """Two web processes, the heartbeat of a shop."""
    plain_redis.Redis(unix_socket_path=valkey_socket).flushall()
    folder = Path(tempfile.mkdtemp(prefix="lc-cut-"))
    shutil.copytree(merchant_folder, folder / "data")
    environ = {"REDIS_URL": f"redis://127.0.0.1:{line.port}", "WEB_PROCESSES": "2"}
    server = ServerWithRedisElsewhere(folder, (), environ)
    server.socket = valkey_socket
    try:
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


async def test_tcp_cut_between_our_processes_and_redis(server: LiveServer, line: Cutter) -> None:
    """In a rush, every line of gateway and worker, again and again: what was answered stands, nothing happens twice."""
    async with live_show(server, Deal(3)) as show, room(show, 5) as crowd:
        cuts, answers = line.cuts, dict[tuple[str, str], Hold | Refused]()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as rush:
            for each in crowd:
                rush.create_task(_take_and_give_back(each, show.deals[0], answers, over))
            for _ in range(6):
                answered = len(answers)
                await until(lambda answered=answered: len(answers) > answered + 3, "the rush to go on")
                await asyncio.to_thread(line.cut)
            over.set()
        held = [answer for (_, rid), answer in answers.items() if rid == "rid-the-last" and isinstance(answer, Hold)]
        assert len(held) == 3
        assert line.cuts >= cuts + 6
        await check_conservation(server, show.show_id, answers)


@pytest.mark.parametrize("seconds", [0, pytest.param(20, marks=pytest.mark.long)])
async def test_the_relay_alone_is_cut(server: LiveServer, line: Cutter, seconds: int) -> None:
    """Redis answers, and what is published there is not heard: holds are given and taken back as ever, news are late
    and say so, and come whole and in order."""
    async with live_show(server, Deal(4)) as show, room(show, 8) as crowd, server.redis() as redis:
        (deal,) = show.deals
        ada, ben, *_ = crowd
        held = await ada.tap(deal)
        line.refused = b"SUBSCRIBE"
        try:
            await redis.client_kill_filter(_type="pubsub")
            for each in crowd:
                await each.until(lambda each=each: relay_says(each) == [False], "the note that news are late")
            for second in range(seconds or 3):
                await tell(show, f"second {second}")
                await asyncio.sleep(seconds and 1)
            assert (await ben.tap(deal)).state == "held"
            assert (await ada.socket.release(held.rid)).state == "released"
            assert all(relay_says(each) == [False] for each in crowd)
        finally:
            line.refused = b""
        for each in crowd:
            await each.until(lambda each=each: relay_says(each) == [False, True], "the note that it hears again")
            await each.until_level(deal, Level(3, 1, 0, 0, 0))
        await nothing_was_missed(show, crowd)
        assert all(each.kept_her_line for each in crowd)
        await check_conservation(server, show.show_id)
