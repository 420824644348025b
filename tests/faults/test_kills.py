"""kill -9 and SIGSTOP of real processes, full disks and clocks that are set, each ended by the history checker."""

import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import text

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.reservations import DealStock, ReservationEngine, keys
from livecommerce.settings import Settings
from livecommerce.valkey_child import valkey_binary
from tests.faults.tales import TALES
from tests.orders.world import World, request, rid, seed, viewer
from tests.redis_servers import WAIT_SECONDS, listens

# The first arrow that is met and the step to the next: some seconds of a core together, and among them the arrows
# between SQL and Redis. Each arrow of each tale is met in the long form.
SHORT = (
    "pay:0:1", "cancel:3:4", "late_money_with_a_unit_left:2:8", "a_deal_opens:1:4", "a_deal_closes:2:3",
    "the_journal_is_copied:2:3",
)  # fmt: skip
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def _kill_at_every_arrow(socket: str, template: Path, every: str, *tales: str) -> None:
    command = [sys.executable, "-m", "tests.faults.doomed", socket, str(template), every, *tales]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.timeout(600)
async def test_kill_9_at_every_arrow(valkey_socket: str, redis: Redis, sqlite_template: Path) -> None:
    """The process that takes the order, hears the bank and runs the errands dies before each of its calls; the one that
    opens or closes a deal or copies the journal before some of them."""
    await asyncio.to_thread(_kill_at_every_arrow, valkey_socket, sqlite_template, "calls", *SHORT)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("every", ["calls", "statements"])
@pytest.mark.parametrize("tale", list(TALES))
async def test_kill_9_at_every_arrow_and_in_every_transaction(
    valkey_socket: str, redis: Redis, sqlite_template: Path, tale: str, every: str
) -> None:
    await asyncio.to_thread(_kill_at_every_arrow, valkey_socket, sqlite_template, every, f"{tale}:0:1")


# --- the disk -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _no_file_may_grow_beyond(size: int) -> Iterator[None]:
    """As on a full disk: writes beyond `size` fail. Python leaves SIGXFSZ ignored, so that the write says so."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
async def world_on_sqlite(
    redis: Redis, settings: Settings, clock: TestClock, sqlite_template: Path, tmp_path: Path
) -> AsyncIterator[World]:
    path = tmp_path / "ledger.sqlite3"
    shutil.copyfile(sqlite_template, path)
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.start()
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, engine, redis, settings, clock)
    yield world
    await world.aclose()
    await engine.aclose()
    await database.aclose()


async def test_disk_full_under_sqlite(world_on_sqlite: World, tmp_path: Path) -> None:
    """Checkouts, payments and errands are refused as "unavailable"; with room again the same requests go on, and
    nothing was lost or done twice."""
    world = world_on_sqlite
    await seed(world)
    paid = await world.checkout(1)
    await world.hold(2)
    before = await world.everything()
    with _no_file_may_grow_beyond(os.path.getsize(tmp_path / "ledger.sqlite3-wal")):  # noqa: ASYNC240
        with pytest.raises(Refused) as refused:
            await world.orders.checkout(viewer(2), request(2))
        assert refused.value.why is R.UNAVAILABLE
        with pytest.raises(Refused) as refused:
            await world.test.act(paid.pay_url.rpartition("/")[2], "pay")
        assert refused.value.why is R.UNAVAILABLE
        with pytest.raises(Refused) as refused:
            await world.orders.cancel(viewer(1), paid.order.order_id)
        assert refused.value.why is R.UNAVAILABLE
        assert await world.everything() == before, "readers go on, and nothing was written"
        assert await world.level() == (1, 0, 2, 0)
    again = await world.orders.checkout(viewer(2), request(2))
    for answer in (paid, again):
        await world.press(answer)
    assert (await world.status(1), await world.status(2)) == ("confirmed", "confirmed")
    await world.assert_conserved()
    await world.assert_healed()


@contextlib.asynccontextmanager
async def _no_page_more(database: Database) -> AsyncIterator[None]:
    """A full disk in SQLite's own words, SQLITE_FULL: what needs a further page is refused in the middle of a
    transaction, which may end with it. What the file has is the least that it takes for a limit."""

    async def pages_max(count: int) -> None:
        await database.write(lambda connection: connection.execute(text(f"PRAGMA max_page_count = {count}")))

    await pages_max(1)
    try:
        yield
    finally:
        await pages_max(2**30)


async def test_disk_full_in_the_middle_of_a_transaction(world_on_sqlite: World) -> None:
    """The disk fills up while people order, two at a time and in one commit: who got an answer has an order, who was
    refused as "unavailable" goes on with the same request once there is room."""
    world = world_on_sqlite
    await seed(world, quota=100)
    await world.hold(1)
    answers: list[Any] = [await world.orders.checkout(viewer(1), request(1))]
    async with _no_page_more(world.database):
        while not any(isinstance(answer, Exception) for answer in answers):
            pair = (len(answers) + 1, len(answers) + 2)
            for number in pair:
                await world.hold(number)
            asked = (world.orders.checkout(viewer(number), request(number)) for number in pair)
            answers += await asyncio.gather(*asked, return_exceptions=True)
            await world.assert_conserved()
            await world.assert_redis_never_above_sql()
        assert {answer.why for answer in answers if isinstance(answer, Exception)} == {R.UNAVAILABLE}
        for number, answer in enumerate(answers, 1):
            if not isinstance(answer, Exception):
                assert await world.payment_states(number) == [("open", "open")], "what she was told is not there"
    for number, answer in enumerate(answers, 1):
        again = await world.orders.checkout(viewer(number), request(number))
        assert isinstance(answer, Exception) or again.pay_url == answer.pay_url
        await world.press(again)
        assert await world.status(number) == "confirmed"
    assert await world.deal() == (100, 0, len(answers))
    await world.assert_conserved()
    await world.assert_healed()


# --- the clock ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def valkey_with_a_clock_to_set() -> AsyncIterator[tuple[Redis, Path]]:
    """The embedded Valkey, its clock off by what a file says."""
    if FAKETIME is None:
        pytest.skip("no libfaketime on this machine (Debian: apt-get install faketime)")
    folder = Path(tempfile.mkdtemp(prefix="lc-faketime-"))
    step = folder / "step"
    step.write_text("+0")
    environ = {
        **os.environ, "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(step), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    path = folder / "s"
    process = subprocess.Popen(  # noqa: ASYNC220
        [str(valkey_binary()), "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL, env=environ,
    )  # fmt: skip
    deadline = time.monotonic() + WAIT_SECONDS
    while not listens(path):
        assert process.poll() is None, "Valkey did not start under libfaketime"
        assert time.monotonic() < deadline, "Valkey did not start in time"
        await asyncio.sleep(0.02)
    redis = Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
    yield redis, step
    await redis.aclose()
    process.terminate()
    process.wait(WAIT_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("hours", [1, -1], ids=["an_hour_ahead", "an_hour_back"])
async def test_clock_step_of_an_hour(
    valkey_with_a_clock_to_set: tuple[Redis, Path], settings: Settings, clock: TestClock, hours: int
) -> None:
    """The server's clock is set while units are held: none is lost, and each still ends, at the end of its own time."""
    redis, step = valkey_with_a_clock_to_set
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    await engine.open_show("sh_1")
    await engine.put_deal("sh_1", DealStock("dl_a", 3, 3, 100_000, 200_000, "open"))
    held = await engine.reserve("sh_1", viewer(), rid(), [("dl_a", 1)])
    await engine.reserve("sh_1", viewer(2), rid(2), [("dl_a", 1)])
    await engine.begin_pay("sh_1", "vw_2", rid(2), 200_000)
    assert held.due_at_ms is not None
    began = (await redis.time())[0]

    for sign in (hours, 0):  # set, and set right again
        # At once: the server looks at the time by itself, and an empty file would be the end of it.
        step.with_suffix(".new").write_text(f"{sign * 3600:+d}")
        step.with_suffix(".new").replace(step)
        async with asyncio.timeout(WAIT_SECONDS):  # its clock looks at the file now and then
            while abs((await redis.time())[0] - began - sign * 3600) >= 600:
                assert (await engine.heartbeat("sh_1")).expired == 0
        for _ in range(3):
            assert (await engine.heartbeat("sh_1")).expired == 0
    assert (await engine.counts("sh_1"))["clock_clamped"] >= 1, "the step was never seen"
    (still,) = await engine.holds_of("sh_1", "vw_1")
    assert still.state == "held"
    assert still.due_at_ms is not None
    # At most one step of 2 s for each of the two settings was taken from her time, and none of it was given twice.
    assert -4_100 - 60_000 <= still.due_at_ms - held.due_at_ms <= 0
    assert await engine.paying_past_due("sh_1") == []

    await redis.hincrby(keys.meta("sh_1"), "clk", 100_000)  # type: ignore[misc]
    assert (await engine.heartbeat("sh_1")).expired == 1
    assert [level.held for level in (await engine.levels("sh_1"))[1].values()] == [0]
    await engine.aclose()
