"""Level `fsync`, proved by counting: between what a call writes and what it answers, Valkey syncs.

kill -9 would prove nothing, for the page cache survives it. A small library is preloaded into a real Valkey and notes
the order of things.
"""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from livecommerce.clock import TestClock
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.valkey_child import valkey_binary
from tests.redis_servers import WAIT_SECONDS, listens
from tests.reservations.conftest import SHOW, deal, viewer

SOURCE = Path(__file__).with_name("sync_log.c")


Noted = Callable[[], str]


@pytest.fixture
def watched() -> Iterator[tuple[str, Noted]]:
    """The socket of a Valkey of its own, `appendfsync always`, and a reader of what it did so far."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine (Debian: apt-get install gcc)")
    folder = Path(tempfile.mkdtemp(prefix="lc-sync-"))
    library, noted, path = folder / "sync_log.so", folder / "noted", folder / "s"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
    process = subprocess.Popen(
        [
            str(valkey_binary()), "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", "",
            "--appendonly", "yes", "--appendfsync", "always",
        ],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"LD_PRELOAD": str(library), "SYNC_LOG": str(noted)},
    )  # fmt: skip
    deadline = time.monotonic() + WAIT_SECONDS
    while not listens(path):
        assert process.poll() is None, "Valkey did not start"
        assert time.monotonic() < deadline, "Valkey did not start in time"
        time.sleep(0.01)
    yield str(path), noted.read_text
    process.terminate()
    process.wait(WAIT_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


async def test_every_answer_of_level_fsync_has_a_sync_between_its_writes_and_itself(
    watched: tuple[str, Noted], settings: Settings, clock: TestClock
) -> None:
    path, noted = watched
    redis = Redis(unix_socket_path=path, retry=Retry(NoBackoff(), 0))
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    await engine.open_show(SHOW)
    await engine.put_deal(SHOW, deal(quota=1000, limit=1000, level="fsync"))

    begin = len(noted())
    calls = 0
    for size in (1, 1, 5, 40, 64, 200):
        taps = (engine.reserve(SHOW, viewer(n), f"rid-{size:03}-{calls}", [("dl_a", 1)]) for n in range(size))
        await asyncio.gather(*taps)
        calls += 1
    synced = noted()[begin:]

    assert unsynced(synced) == []
    assert len(re.findall("A", synced)) >= calls
    assert synced.count("F") >= synced.count("S") >= calls

    # And the counter can tell: a second behind is what `everysec` is.
    await redis.config_set("appendfsync", "everysec")
    begin = len(noted())
    for number in range(5):
        await engine.release(SHOW, f"vw_{number}", "rid-200-5")
    assert len(unsynced(noted()[begin:])) >= 4  # its thread may sync once meanwhile
    await engine.aclose()
    await redis.aclose()


def unsynced(noted: str) -> list[str]:
    """The answers that went out with bytes of the file behind them that no sync had covered."""
    return [answer for answer in re.findall("[^S]*S", noted) if "A" in answer.rpartition("F")[2]]
