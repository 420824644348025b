"""Two hosts: each with a supervisor, a web process and a worker of its own, on an address of its own; one Redis and one
PostgreSQL for both. What happens at one is seen at the other, and either may be cut off or die."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis as plain_redis
from sqlalchemy.engine import make_url

from livecommerce.client.socket import new_rid
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Level
from tests.conftest import _make_database, _run
from tests.conservation import check_conservation
from tests.cutter import Cutter, cutter
from tests.faults.test_hub_faults import nothing_was_missed, relay_says, tell
from tests.live_server import (
    CATALOGUE,
    EMAIL,
    PASSWORD,
    Deal,
    LiveServer,
    Show,
    Watcher,
    command_line,
    insist,
    is_running,
    live_show,
    until,
)

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]


class Host(LiveServer):
    """`livecommerce serve` on an address of its own, with Redis and ledger elsewhere."""

    def __init__(self, folder: Path, address: str, redis_url: str, ledger_url: str) -> None:
        super().__init__(folder, ("--host", address), {"REDIS_URL": redis_url, "DATABASE_URL": ledger_url})
        self._environ |= {"LIVECOMMERCE_INSECURE": "yes", "PING_SECONDS": "2"}  # the second address is loopback too
        self.address = address
        self.ledger_url = ledger_url
        self._ledger = make_url(ledger_url)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async def read() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(
                user=self._ledger.username, database=self._ledger.database, host=str(self._ledger.query["host"])
            )
            try:
                numbered = query
                for number in range(1, len(values) + 1):
                    numbered = numbered.replace("?", f"${number}", 1)
                return [dict(row) for row in await connection.fetch(numbered, *values)]
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:  # asked for by a test's running loop
            return thread.submit(asyncio.run, read()).result()


@dataclass
class Hosts:
    one: Host
    other: Host
    line: Cutter  # between the other host and Redis


@pytest.fixture(scope="module")
def hosts(postgres_url: str, valkey_socket: str) -> Iterator[Hosts]:
    _run(_make_database(postgres_url, "hosts"))
    ledger_url = postgres_url.replace("/postgres?", "/hosts?")
    plain_redis.Redis(unix_socket_path=valkey_socket).flushall()
    folder = Path(tempfile.mkdtemp(prefix="lc-hosts-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        line = stack.enter_context(cutter(lambda: asyncio.open_unix_connection(valkey_socket)))
        _make_shop(folder / "one" / "data", ledger_url)
        # One secret for all, as they share people and passes.
        shutil.copytree(folder / "one", folder / "other")
        one = Host(folder / "one", "127.0.0.1", f"unix://{valkey_socket}", ledger_url)
        other = Host(folder / "other", "127.0.0.2", f"redis://127.0.0.1:{line.port}", ledger_url)
        for host in (one, other):
            stack.callback(host.end)
            host.start()
        yield Hosts(one, other, line)


def _make_shop(data: Path, ledger_url: str) -> None:
    data.mkdir(parents=True)
    file = data.parent / "products.csv"
    file.write_text(CATALOGUE)
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("DATABASE_URL", ledger_url)
        command_line("import", "products", str(file), "--data", str(data))
        account = ("--name", "Mei Lin", "--role", "admin", "--password", PASSWORD)
        command_line("user", "add", EMAIL, *account, "--data", str(data))


@contextlib.asynccontextmanager
async def seen_from(hosts: Hosts, *deals: Deal) -> AsyncIterator[tuple[Show, Show]]:
    """A show made at the one host, as each of the two has it."""
    async with live_show(hosts.one, *deals) as here:
        yield here, replace(here, server=hosts.other)


async def test_a_card_and_a_hold_of_one_host_are_seen_at_the_other(hosts: Hosts) -> None:
    async with seen_from(hosts, Deal(1)) as (here, there):
        ada_pass, ben_pass = await hosts.one.viewers(["Ada", "Ben"])
        async with (
            Watcher(here, *ada_pass) as ada,
            Watcher(there, *ada_pass) as ada_too,
            Watcher(there, *ben_pass) as ben,
        ):
            (deal,) = await here.show_card(Deal(1, label="Coral"))
            for each in (ada, ada_too, ben):
                await each.until(lambda each=each: each.saw("card_shown"), "the card")
            rid = new_rid()
            held = await ada.tap(deal, rid=rid)
            assert (await ada_too.until_state(rid, "held")).ticket == held.ticket
            await ben.until_level(deal, Level(0, 1, 0, 0, 0))
            with pytest.raises(Refused) as no:
                await ben.tap(deal)
            assert no.value.why is R.SOLD_OUT
            # The same tap from her other device, at the other host: the same hold.
            assert (await ada_too.tap(deal, rid=rid)).ticket == held.ticket
            await ben.socket.say("hello from the other house")
            await ada.until(lambda: [line.text for line in ada.lines] == ["hello from the other house"], "his line")
            await nothing_was_missed(here, [ada, ada_too, ben])


async def test_a_host_that_is_cut_off_says_so_talks_on_and_misses_nothing(hosts: Hosts) -> None:
    """State waits, and comes whole and in order afterwards; so does what happened to her hold meanwhile."""
    async with seen_from(hosts, Deal(4)) as (here, there):
        (deal,) = here.deals
        ada_pass, ben_pass = await hosts.one.viewers(["Ada", "Ben"])
        async with (
            Watcher(here, *ada_pass) as ada,
            Watcher(there, *ada_pass) as ada_too,
            Watcher(there, *ben_pass) as ben,
        ):
            held = await ada_too.tap(deal)
            hosts.line.go_away()
            try:
                await ben.until(lambda: relay_says(ben) == [False], "the note that news are late")
                for number in range(5):
                    await tell(here, f"meanwhile {number}")
                await ada.until(lambda: len(ada.saw("promise_made")) == 5, "the news at the other host")
                await ada.socket.release(held.rid)
                assert ben.saw("promise_made") == []
                said = await ben.socket.say("is anybody in this house?")
                assert said.shown
                await ada_too.until(lambda: [line.text for line in ada_too.lines], "talk inside one process")
                with pytest.raises(Refused) as no:
                    await ben.tap(deal)
                assert no.value.why is R.BUSY
            finally:
                hosts.line.come_back()
            await ben.until(lambda: relay_says(ben) == [False, True], "the note that it hears again")
            await ben.until(lambda: len(ben.saw("promise_made")) == 5, "what was told meanwhile")
            await ada_too.until(
                lambda: held.rid not in ada_too.holds or ada_too.holds[held.rid].state == "released", ""
            )
            await ben.until_level(deal, Level(4, 0, 0, 0, 0))
            await nothing_was_missed(here, [ada, ada_too, ben])
            assert all(each.kept_her_line for each in (ada, ada_too, ben))
            await check_conservation(hosts.one, here.show_id)


async def test_a_host_that_dies_is_followed_by_the_other(hosts: Hosts) -> None:
    """kill -9 of its supervisor, and its processes with it. Its viewers are led to the other host, as a balancer does
    it; each has her place and her hold there."""
    async with seen_from(hosts, Deal(20)) as (here, there), contextlib.AsyncExitStack() as room:
        (deal,) = here.deals
        passes = await hosts.one.viewers([f"Viewer {number}" for number in range(12)])
        crowd = [Watcher(there if number % 2 else here, *each) for number, each in enumerate(passes)]
        for each in crowd:
            await room.enter_async_context(each)
        theirs = crowd[1::2]
        holds = {each: await each.tap(deal) for each in crowd}
        await tell(here, "before")
        children = hosts.other.kill_supervisor()
        for each in theirs:
            each.socket.url = here.url
        await tell(here, "meanwhile")
        await until(lambda: not any(map(is_running, children)), "its processes to end with it")
        for each in theirs:
            await each.until_back(each.came_in_by)
            assert each.welcomes[-1].recovered
            assert each.holds[holds[each].rid].ticket == holds[each].ticket
        await nothing_was_missed(here, crowd)
        await insist(lambda: theirs[0].socket.release(holds[theirs[0]].rid))
        for each in crowd:
            await each.until_level(deal, Level(9, 11, 0, 0, 0))
        await check_conservation(hosts.one, here.show_id)
