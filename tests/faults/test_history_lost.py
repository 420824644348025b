"""Redis restarted empty, restarted with a log cut short, or replaced by a replica that lagged, under a small load.

The whole server as it runs in a shop, on a Redis of the test's own that it can hurt. While processes live that were
answered, nobody loses what she was told; where they die too, her token proves it. At the end the books are checked, and
every answer against them.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce.errors import Refused
from livecommerce.protocol.facts import Hold, Level
from livecommerce.reservations import keys
from livecommerce.valkey_child import socket_path, valkey_binary
from tests.conservation import check_conservation
from tests.faults.test_whole_server import LAST_RID, RID, _take_and_give_back
from tests.live_server import (
    WAIT_SECONDS,
    Deal,
    LiveServer,
    Show,
    Watcher,
    insist,
    live_server,
    live_show,
    merchant_folder,
    until,
    watcher,
)
from tests.ports import free_port

__all__ = ["merchant_folder"]

Answers = dict[tuple[str, str], Hold | Refused]


class OwnRedis:
    """One Redis with a folder and a port; `name` is a link under which the server finds whichever leads."""

    def __init__(self, folder: Path, name: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self._name = name
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *further: str) -> None:
        """Start on what the folder has, and return once it is loaded."""
        self.folder.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [
                str(valkey_binary()), "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket),
                "--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always",
                "--aof-load-truncated", "yes", "--maxmemory-policy", "noeviction", *further,
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "Redis did not start"
            assert time.monotonic() < deadline, "Redis does not answer"
            time.sleep(0.02)

    def lead(self) -> None:
        """From now on the server finds this one."""
        link = self._name.with_suffix(".new")
        link.unlink(missing_ok=True)
        link.symlink_to(self.socket)
        link.replace(self._name)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    @property
    def log(self) -> Path:
        return max((self.folder / "appendonlydir").glob("*.incr.aof"))

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(self.socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        return False


class Stage:
    """A server, and the Redis under it."""

    def __init__(self, server: LiveServer, master: OwnRedis, spare: OwnRedis) -> None:
        self.server = server
        self.master = master
        self.spare = spare
        self.seed = random.randrange(2**32)
        self.dice = random.Random(self.seed)

    async def command(self, of: OwnRedis, *words: str) -> object:
        client = Redis(unix_socket_path=str(of.socket))
        try:
            return await client.execute_command(*words)
        finally:
            await client.aclose()


@pytest.fixture(scope="module")
def stage(merchant_folder: Path) -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="lc-lost-"))
    name = folder / "lead"
    master, spare = OwnRedis(folder / "one", name), OwnRedis(folder / "two", name)
    master.start()
    master.lead()
    try:
        with live_server(merchant_folder, REDIS_URL=f"unix://{name}", REBUILD_SECONDS="4") as server:
            # Where the tests look for the private Valkey they find ours.
            path = socket_path(server.data)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(name)
            yield Stage(server, master, spare)
    finally:
        master.kill()
        spare.kill()
        shutil.rmtree(folder, ignore_errors=True)


# --- the ways to lose history ---------------------------------------------------------------------------------------

Lose = Callable[[], Awaitable[None]]


async def _restarted_empty(stage: Stage) -> Lose:
    async def lose() -> None:
        stage.master.kill()
        shutil.rmtree(stage.master.folder / "appendonlydir")
        await asyncio.to_thread(stage.master.start)

    return lose


async def _restarted_with_its_log_cut(stage: Stage) -> Lose:
    """Somewhere after this moment, in the middle of whatever stands there."""
    kept = stage.master.log.stat().st_size

    async def lose() -> None:
        stage.master.kill()
        size = stage.master.log.stat().st_size
        os.truncate(stage.master.log, stage.dice.randint(kept, max(kept, (kept + size) // 2)))
        await asyncio.to_thread(stage.master.start)

    return lose


async def _replaced_by_a_replica_that_lagged(stage: Stage) -> Lose:
    """The replica has all up to this moment; then it leads, and the old one is gone."""
    await asyncio.to_thread(stage.spare.start, "--replicaof", f"127.0.0.1 {stage.master.port}")
    await until_true(lambda: _is_in_step(stage.spare), "the replica")
    await stage.command(stage.spare, "REPLICAOF", "NO", "ONE")

    async def lose() -> None:
        stage.spare.lead()
        stage.master.kill()
        stage.master, stage.spare = stage.spare, OwnRedis(stage.spare.folder.with_name("three"), stage.spare._name)

    return lose


@pytest.mark.parametrize("fault", [_restarted_empty, _restarted_with_its_log_cut, _replaced_by_a_replica_that_lagged])
async def test_nobody_loses_what_she_was_told_and_nothing_is_sold_twice(
    stage: Stage, fault: Callable[[Stage], Awaitable[Lose]]
) -> None:
    print(f"seed {stage.seed}")
    server = stage.server
    units, names = 7, [f"Viewer {number}" for number in range(9)]
    async with live_show(server, Deal(units)) as show, contextlib.AsyncExitStack() as room:
        crowd = [
            await room.enter_async_context(Watcher(show, *each, subprotocol="livecommerce.v1.msgpack"))
            for each in await server.viewers(names)
        ]
        ada, ben, cleo, dora, *others = crowd
        (deal,) = show.deals
        answers: Answers = {}
        for each in (ada, ben):
            answers[each.viewer_id, RID] = await each.tap(deal, rid=RID)
        to_pay = await ada.check_out(RID)
        lose = await fault(stage)

        # From here on Redis will know nothing of what it answered.
        answers[cleo.viewer_id, RID] = await cleo.tap(deal, rid=RID)
        ben_pays = await ben.check_out(RID)
        await dora.tap(deal, rid=RID)
        answers[dora.viewer_id, RID] = await dora.socket.release(RID)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as rush:
            for each in others:
                rush.create_task(_take_and_give_back(each, deal, answers, over))
            await until(lambda: len(answers) > 25, "the rush")
            rush.create_task(insist(lambda: ada.press(to_pay["pay_url"], "pay")))
            await lose()
            await _until_counted(stage, show)
            over.set()

        await ben.press(ben_pays["pay_url"], "pay")
        for each in (ada, ben):
            await each.until(
                lambda each=each: [order.status for order in each.orders.values()] == ["confirmed"], "paid"
            )
        await cleo.until_state(RID, "held")
        await dora.until(lambda: RID not in dora.holds or dora.holds[RID].state == "released", "nothing of hers")
        kept = [answers[each.viewer_id, LAST_RID] for each in others]
        held = sum(isinstance(answer, Hold) for answer in kept)
        assert held == units - 3
        for each in crowd:
            await each.until_level(deal, Level(0, units - 2, 0, 2, 0))
        checkout = await cleo.check_out(RID)
        await cleo.press(checkout["pay_url"], "pay")
        await cleo.until_state(RID, "confirmed")
        await check_conservation(server, show.show_id, answers)
    log = server.log.read_text(errors="replace")
    assert "books_made_anew" in log
    assert fault is _restarted_empty or "history_lost" in log


async def test_where_the_web_process_died_too_her_token_proves_her_hold(stage: Stage) -> None:
    """Nothing was copied, nobody who was answered lives: two come back to the new process with what they hold."""
    server = stage.server
    async with live_show(server, Deal(3)) as show, await watcher(show, "Ada") as ada, await watcher(show, "Ben") as ben:
        (deal,) = show.deals
        (worker,) = server.pids("worker")
        os.kill(worker, signal.SIGSTOP)  # so that the journal is not copied
        try:
            held = {each: await each.tap(deal, rid=RID) for each in (ada, ben)}
            connections = {each: each.socket.connections for each in (ada, ben)}
            web = server.kill("web")
            stage.master.kill()
            shutil.rmtree(stage.master.folder / "appendonlydir")
            await asyncio.to_thread(stage.master.start)
            await until(lambda: server.pids("web") and web not in server.pids("web"), "another web process")
            for each in (ada, ben):
                welcome = await each.until_back(connections[each])
                assert welcome.counting
        finally:
            os.kill(worker, signal.SIGCONT)
        await _until_counted(stage, show)
        for each in (ada, ben):
            hold = await each.until_state(RID, "held")
            assert hold.ticket == held[each].ticket
            await each.until_level(deal, Level(1, 2, 0, 0, 0))
        for each in (ada, ben):
            await each.press((await each.check_out(RID))["pay_url"], "pay")
            await each.until_state(RID, "confirmed")
        await check_conservation(server, show.show_id)


async def _until_counted(stage: Stage, show: Show) -> None:
    """Return once the show's books are there again and count."""

    async def counts() -> bool:
        with contextlib.suppress(OSError, RedisError):
            async with stage.server.redis() as redis:
                epoch, paused, generation = await redis.hmget(keys.meta(show.show_id), "epoch", "paused", "generation")
                return epoch is not None and paused is None and generation is not None
        return False

    await until_true(counts, "books that count")


async def until_true(asked: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not await asked():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.05)


async def _is_in_step(replica: OwnRedis) -> bool:
    client = Redis(unix_socket_path=str(replica.socket))
    try:
        return bool((await client.info("replication"))["master_link_status"] == "up")
    finally:
        await client.aclose()
