"""Faults of a hub of two processes: each of them real, by a signal, while a room is full and things happen in it.

State events lost: 0. That is more than "everybody is back": who came back saw each event that was told meanwhile, in
order, and nobody had to begin anew at a snapshot.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from livecommerce.errors import Close, Refused
from livecommerce.protocol.facts import Hold
from livecommerce.protocol.to_viewer import Bye, Relay
from livecommerce.reload import Note, reload, write_note
from tests.conservation import check_conservation
from tests.faults.test_whole_server import _last_promise, _saw_every_event, _take_and_give_back
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
from tests.loadtest.conduct.runs import ran

__all__ = ["merchant_folder"]

pytestmark = pytest.mark.timeout(300)

PROCESSES, CROWD = 2, 80
PING_SECONDS = 2
ANSWERED = "livecommerce_process_answered"
LET_GO, IDLE = "livecommerce_hub_disconnects_total", f'code="{int(Close.IDLE)}"'


@pytest.fixture(scope="module")
def server(merchant_folder: Path) -> Iterator[LiveServer]:
    environ = {"WEB_PROCESSES": str(PROCESSES), "PING_SECONDS": str(PING_SECONDS), "SOCKETS_PER_ADDRESS": "0"}
    with live_server(merchant_folder, **environ) as running:
        yield running


@contextlib.asynccontextmanager
async def room(show: Show, count: int) -> AsyncIterator[list[Watcher]]:
    """So many viewers, seated."""
    async with contextlib.AsyncExitStack() as stack:
        passes = await show.server.viewers([f"Viewer {number}" for number in range(count)])
        crowd = [Watcher(show, *each) for each in passes]
        for each in crowd:
            await stack.enter_async_context(each)
        yield crowd


async def tell(show: Show, text: str) -> None:
    """One more event for everybody, whichever process takes the command, and however often it has to be asked."""
    await insist(lambda: show.command(do="promise", card_id=show.card_id, text=text))


async def nothing_was_missed(show: Show, crowd: list[Watcher]) -> None:
    """Everybody has the last event, and one unbroken run of events from her first welcome on."""
    await tell(show, "the end")
    for each in crowd:
        await each.until(lambda each=each: _last_promise(each) == "the end", "the last event")
    await show.server.settled(show.show_id)  # what was told while Redis was away has its number
    log = await show.log()
    for each in crowd:
        _saw_every_event(each, log)
        assert len(each.seen) == 1, "she had to begin anew at a snapshot: whatever was told before it is lost to her"


def relay_says(each: Watcher) -> list[bool]:
    """What she was told of the news: late, heard again, …"""
    return [message.up for message in each.messages if isinstance(message, Relay)]


async def scraped(server: LiveServer) -> str:
    """What one scrape tells of all processes that answer in time."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=WAIT_SECONDS) as client:
        return (await client.get("/metrics")).text


def told(scrape: str, name: str, label: str = "") -> list[float]:
    rows = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", scrape, re.MULTILINE)
    return [float(value) for labels, value in rows if label in labels]


async def until_measured(server: LiveServer, name: str, value: float, label: str = "") -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while sum(told(await scraped(server), name, label)) != value:  # noqa: ASYNC110  it is to be had by asking only
            await asyncio.sleep(0.1)


async def scraped_once(server: LiveServer, *answers: int) -> str:
    """The first scrape in which just so many processes answered: who is late for one stands there as silent."""
    async with asyncio.timeout(WAIT_SECONDS):
        while sorted(told(scrape := await scraped(server), ANSWERED)) != [*answers]:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.1)
        return scrape


# --- a process ends, or stands still --------------------------------------------------------------------------------


async def test_kill_9_of_one_of_two_processes_with_the_room_full(server: LiveServer) -> None:
    """Half of the room loses its line in one moment, in a rush; the other half notices nothing."""
    async with live_show(server, Deal(8)) as show, room(show, CROWD) as crowd:
        await until_measured(server, "livecommerce_hub_sockets", CROWD)  # one scrape, all processes
        answers: dict[tuple[str, str], Hold | Refused] = {}
        over = asyncio.Event()
        async with asyncio.TaskGroup() as rush:
            for each in crowd[:10]:
                rush.create_task(_take_and_give_back(each, show.deals[0], answers, over))
            await tell(show, "before")
            pid = server.process_of(crowd[0].local_port())
            os.kill(pid, signal.SIGKILL)
            for number in range(10):
                await tell(show, f"meanwhile {number}")
            await server.until_replaced("web", pid)
            await tell(show, "after")
            over.set()
        await nothing_was_missed(show, crowd)
        cut = [each for each in crowd if not each.kept_her_line]
        assert crowd[0] in cut
        assert all(each.welcomes[-1].recovered for each in cut)
        await check_conservation(server, show.show_id, answers)


async def test_sigstop_of_one_of_two_processes(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its viewers' heartbeats find it out and bring them to the other one; when it wakes up, it disturbs nobody."""
    monkeypatch.setattr("livecommerce.client.socket.SILENCE_GRACE_SECONDS", 1.0)
    async with live_show(server, Deal(4)) as show, room(show, 12) as crowd:
        pid = server.process_of(crowd[0].local_port())
        mine = [each for each in crowd if server.process_of(each.local_port()) == pid]
        held = await crowd[0].tap(show.deals[0])
        before = {each: each.socket.connections for each in mine}
        os.kill(pid, signal.SIGSTOP)
        try:
            await tell(show, "meanwhile")
            for each in mine:
                await each.until_back(before[each])
            await scraped_once(server, 0, 1, 1)
            await tell(show, "still")
        finally:
            os.kill(pid, signal.SIGCONT)
        await nothing_was_missed(show, crowd)
        assert pid in server.pids("web")
        await until(server.is_ready)
        await insist(lambda: crowd[0].socket.release(held.rid))
        await crowd[0].until_state(held.rid, "released")
        await check_conservation(server, show.show_id)


@pytest.mark.long
@pytest.mark.parametrize("role", ["web", "worker", "valkey"])
async def test_sigstop_for_thirty_seconds(merchant_folder: Path, role: str) -> None:
    """At the heartbeat of a shop, with a rush and an event each second: shorter than a viewer's patience, so that all
    keep their lines, hear all of it in the end, and nothing was done twice."""
    environ = {"WEB_PROCESSES": str(PROCESSES), "SOCKETS_PER_ADDRESS": "0"}
    with live_server(merchant_folder, **environ) as server:
        async with live_show(server, Deal(8)) as show, room(show, 24) as crowd:
            pid = server.process_of(crowd[0].local_port()) if role == "web" else server.pids(role)[0]
            answers: dict[tuple[str, str], Hold | Refused] = {}
            rid = "rid-held-before"
            answers[crowd[-1].viewer_id, rid] = await crowd[-1].tap(show.deals[0], rid=rid)
            over = asyncio.Event()
            async with asyncio.TaskGroup() as rush:
                for each in crowd[:6]:
                    rush.create_task(_take_and_give_back(each, show.deals[0], answers, over, pause_seconds=0.5))
                await until(lambda: len(answers) > 10, "the rush")
                os.kill(pid, signal.SIGSTOP)
                try:
                    for second in range(30):  # what the one that stands still has taken comes once it goes on
                        rush.create_task(tell(show, f"second {second}"))
                        await asyncio.sleep(1)
                finally:
                    os.kill(pid, signal.SIGCONT)
                before = len(answers)
                await until(lambda: len(answers) > before + 10, "the rush to go on")
                over.set()
            await nothing_was_missed(show, crowd)
            assert all(each.kept_her_line for each in crowd)
            assert pid in server.pids(role), "it was not replaced: it went on"
            assert crowd[-1].holds[rid].state == "held"
            await check_conservation(server, show.show_id, answers)


async def test_redis_killed_under_a_room(server: LiveServer) -> None:
    """Everybody is told that news are late, and that they are not any more; what was told meanwhile comes, in order."""
    async with live_show(server, Deal(4)) as show, room(show, 20) as crowd:
        await tell(show, "before")
        killed = server.kill("valkey")
        for number in range(3):
            await tell(show, f"meanwhile {number}")
        await server.until_replaced("valkey", killed)
        for each in crowd:
            await each.until(lambda each=each: relay_says(each)[-1:] == [True], "news again")
            assert relay_says(each)[0] is False
        await nothing_was_missed(show, crowd)
        assert all(each.kept_her_line for each in crowd)


# --- a viewer stands still, or is gone without a word ---------------------------------------------------------------


async def test_a_page_that_stands_still_is_let_go_and_comes_back_with_everything(server: LiveServer) -> None:
    """SIGSTOP of a whole client: its machine still takes what is sent, and nobody reads it. The heartbeat finds it."""
    async with live_show(server, Deal(4)) as show, watcher_of(show) as page:
        await page.until("welcome")
        await tell(show, "before")
        await page.until("event")
        let_go = sum(told(await scraped_once(server, 1, 1, 1), LET_GO, IDLE))
        os.kill(page.process.pid, signal.SIGSTOP)
        try:
            await until_measured(server, LET_GO, let_go + 1, IDLE)
            for number in range(5):
                await tell(show, f"meanwhile {number}")
        finally:
            os.kill(page.process.pid, signal.SIGCONT)
        await page.until("welcome again")
        last = max(row["offset"] for row in await show.log() if row["offset"] is not None)
        await page.until(f"event {last}")
        began = int(page.heard[0].split()[1])
        offsets = [int(line.split()[1]) for line in page.heard if line.startswith("event")]
        assert offsets == list(range(began + 1, last + 1))


async def test_a_line_that_nobody_holds_any_more_is_found_by_the_heartbeat(server: LiveServer) -> None:
    """The viewer's side vanished without a goodbye, behind something that still takes packets; her hold stays hers."""
    async with live_show(server, Deal(4)) as show, await watcher(show, "Ada") as ada:
        held = await ada.tap(show.deals[0])
        assert ada.socket._line is not None
        lost = ada.socket._line
        lost.transport.pause_reading()  # type: ignore[attr-defined]
        port = ada.local_port()
        before = ada.socket.connections
        await until(lambda: not _is_open_at_the_server(server, port), "the server to hang up")
        lost.transport.resume_reading()  # type: ignore[attr-defined]
        await ada.until_back(before)
        byes = [message.code for message in ada.messages if isinstance(message, Bye)]
        assert byes == [Close.IDLE]
        assert ada.holds[held.rid].state == "held"
        await nothing_was_missed(show, [ada])


def _is_open_at_the_server(server: LiveServer, port: int) -> bool:
    """ESTABLISHED at its end of the connection from our `port`."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = row.split()
        ends = [int(columns[place].rpartition(":")[2], 16) for place in (1, 2)]
        if ends == [server.port, port]:
            return columns[3] == "01"
    return False


class Page:
    """A viewer in a process of her own, and the lines that she prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.heard: list[str] = []

    async def until(self, beginning: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while True:
                line = (await self.process.stdout.readline()).decode().strip()
                assert line, f"she left: {self.heard}"
                self.heard.append(line)
                if line == beginning or line.startswith(f"{beginning} "):
                    return


@contextlib.asynccontextmanager
async def watcher_of(show: Show) -> AsyncIterator[Page]:
    (one,) = await show.server.viewers(["Ben"])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.page", show.url, one[1], stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Page(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


# --- a deploy -------------------------------------------------------------------------------------------------------


async def test_a_version_that_does_not_come_up_changes_nothing(server: LiveServer) -> None:
    """The new process ends before it serves: the old ones were not touched, and whoever deploys is told."""
    secret = server.data / "secrets" / "secret"
    kept, before = secret.read_text(), {role: server.pids(role) for role in ("web", "worker", "valkey")}
    secret.write_text("")  # as good as a version that cannot start
    try:
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "livecommerce", "reload", "--data", str(server.data), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asked.communicate()
    finally:
        secret.write_text(kept)
    assert asked.returncode == 1
    assert "The new web-1 did not come up; the old one serves on." in said.decode()
    assert {role: server.pids(role) for role in before} == before
    assert server.is_ready()


def test_where_no_server_runs_there_is_nothing_to_reload(tmp_path: Path) -> None:
    for ran_before in (False, True):
        if ran_before:
            (tmp_path / "lock").touch()
            write_note(tmp_path, Note(os.getpid()))  # of one that has gone, whose number another process may have now
        with pytest.raises(RuntimeError, match="No `livecommerce serve` runs"):
            reload(tmp_path, print)


async def test_a_rolling_restart_under_load_loses_no_event_and_no_hold(
    server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cards, taps and chat by the load tester while every process is replaced; its checker has the last word. And the
    port is never closed: whoever comes while one goes is taken by another."""
    monkeypatch.setattr("tests.loadtest.conduct.runs.RUN_SECONDS_MAX", 280)
    before = {role: server.pids(role) for role in ("web", "worker", "valkey")}
    refused: list[OSError] = []
    knocking = asyncio.create_task(_knock(server.port, refused))
    scenario = Path(__file__).parent / "rolling.py"
    arguments = ["run", str(scenario), "--target", server.base_url, "--email", "mei@shop.example"]
    run = await ran(
        tmp_path, *arguments, "--set", f"data={server.data}", LOADTEST_PASSWORD="a long pass phrase 77"
    )  # fmt: skip
    knocking.cancel()
    await asyncio.gather(knocking, return_exceptions=True)
    assert run.has_result, run.said
    result = run.result
    assert result.complete, run.said
    assert result.check is not None
    assert not any(result.check.counts.values()), result.check.breaches
    assert [verdict.text for verdict in result.thresholds if not verdict.ok] == [], run.said
    assert result.counters["answers.held"] > 0
    assert result.counters["returns"] > 0
    assert result.counters["recovered"] == result.counters["returns"]
    after = {role: server.pids(role) for role in ("web", "worker", "valkey")}
    assert [len(pids) for pids in after.values()] == [PROCESSES, 1, 1]
    assert not set(after["web"]) & set(before["web"])
    assert after["worker"] != before["worker"]
    assert after["valkey"] == before["valkey"]
    assert refused == []


async def _knock(port: int, refused: list[OSError]) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
        except ConnectionRefusedError as error:
            refused.append(error)
        await asyncio.sleep(0.01)


# The first is four times what docs/faults.md has, for a machine that does other work too.
BOUNDS = [word for each in ("catch_up_p99<30s", "unsent_share<2%") for word in ("--threshold", each)]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("how", "viewers"), [("kill", 5000), ("reload", 2000)])
async def test_the_same_with_thousands_of_viewers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, viewers: int
) -> None:
    monkeypatch.setattr("tests.loadtest.conduct.runs.RUN_SECONDS_MAX", 800)
    sets = [f"how={how}", f"viewers={viewers}", "taps_per_second=50", "return_seconds=20"]
    words = [word for each in sets for word in ("--set", each)]
    run = await ran(tmp_path, "avalanche", "--processes", str(PROCESSES), *words, *BOUNDS)
    assert run.has_result, run.said
    result = run.result
    assert result.complete, run.said
    assert result.check is not None
    assert not any(result.check.counts.values()), result.check.breaches
    assert [verdict.text for verdict in result.thresholds if not verdict.ok] == [], run.said
    assert result.facts["state_delivered_share"] == 1.0
    assert result.counters["recovered"] == result.counters["returns"] > 0
