"""A server of our own: it comes up ready, is killed, stalled and replaced at will, and leaves nothing behind."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtest.conduct.own_server import OwnServer, ServerFailed, _to_the_end, own_server
from loadtest.measure.processes import is_running
from tests.live_server import until
from tests.loadtest.conduct.support import running


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with running(processes=2, SHOP_NAME="A rehearsal") as server:
        yield server


def all_of(server: OwnServer) -> set[int]:
    return {pid for pids in server.pids().values() for pid in pids}


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_it_is_ready_with_its_settings_and_all_its_processes(server: OwnServer) -> None:
    assert server.is_alive
    await server._until_ready("does not go on")
    assert {role: len(pids) for role, pids in server.pids().items()} == {"web": 2, "worker": 1, "redis": 1}
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{server.url}/api/shop")).json()["name"] == "A rehearsal"
    assert "web_ready" in server.log_end()


async def test_a_rolling_restart_replaces_web_processes_and_worker_and_leaves_redis_alone(server: OwnServer) -> None:
    before = server.pids()

    assert await server.restart_web() == 2

    after = server.pids()
    assert len(after["web"]) == 2
    assert not set(after["web"]) & set(before["web"])
    assert len(after["worker"]) == 1
    assert after["worker"] != before["worker"]
    assert after["redis"] == before["redis"]
    await server._until_ready("does not go on")


@pytest.mark.parametrize("role", ["web", "worker", "redis"])
async def test_what_was_killed_is_gone_and_comes_back(server: OwnServer, role: str) -> None:
    before = server.pids()[role]

    pid = await server.kill(role)

    assert pid in before
    assert not is_running(pid)
    await server.until_back(role, pid)
    assert len(server.pids()[role]) == len(before)
    assert pid not in server.pids()[role]
    await server._until_ready("does not go on")


async def test_what_was_stalled_goes_on_afterwards(server: OwnServer) -> None:
    pids = server.pids()["web"]

    await server.stall("web", 0.0)

    assert not {state_of(pid) for pid in pids} & {"T"}
    await server._until_ready("does not go on")


async def test_a_stall_that_is_cancelled_wakes_everybody(server: OwnServer) -> None:
    (pid,) = server.pids()["redis"]
    stall = asyncio.create_task(server.stall("redis", 3600))
    await until(lambda: state_of(pid) == "T", "stopped")

    stall.cancel()
    await asyncio.gather(stall, return_exceptions=True)

    assert state_of(pid) != "T"
    await server._until_ready("does not go on")


async def test_nothing_is_left_of_it_even_where_the_run_breaks_off_in_the_middle_of_a_stall() -> None:
    said: list[str] = []
    ours: list[OwnServer] = []
    pids: set[int] = set()

    async def run() -> None:
        async with own_server({"DRAIN_SECONDS": "0"}, say=said.append) as server, asyncio.TaskGroup() as group:
            ours.append(server)
            pids.update(all_of(server))
            group.create_task(server.stall("web", 3600))
            (web,) = server.pids()["web"]
            await until(lambda: state_of(web) == "T", "stopped")
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await run()

    assert len(pids) == 3
    assert not any(is_running(pid) for pid in pids)
    assert not ours[0].is_alive
    assert not ours[0].data.parent.exists()
    assert any(ours[0].url in each for each in said)


async def test_a_server_that_does_not_come_up_says_why() -> None:
    with pytest.raises(ServerFailed, match="HOLD_SECONDS"):
        async with own_server({"HOLD_SECONDS": "many"}, say=lambda _: None):
            raise AssertionError


async def test_what_this_shell_has_set_for_a_real_server_never_reaches_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://192.0.2.1")
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://192.0.2.1/shop")

    environ = OwnServer(Path("/nowhere"), {"DRAIN_SECONDS": "0"})._environ

    assert {"REDIS_URL", "DATABASE_URL"} & environ.keys() == set()
    assert environ["PATH"] == os.environ["PATH"]
    assert environ["LIVECOMMERCE_DATA"] == "/nowhere/data"


async def test_its_end_is_not_cut_short_by_a_second_ctrl_c() -> None:
    begun, over = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def end() -> None:
        begun.set()
        await over.wait()
        ended.append("all")

    ending = asyncio.create_task(_to_the_end(end()))
    await begun.wait()
    for _ in range(2):
        ending.cancel()
        await asyncio.sleep(0)
    over.set()

    with pytest.raises(asyncio.CancelledError):
        await ending
    assert ended == ["all"]
