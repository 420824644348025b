"""Real parts for tests: a Valkey, an SQLite ledger and, where the machine has one, a PostgreSQL, each started here.

Every server runs on a socket or port of its own with a folder of its own and ends with the test session.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy.ext.asyncio import create_async_engine

from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import metadata
from livecommerce.settings import Settings, read_settings, with_secrets
from livecommerce.valkey_child import valkey_binary


@pytest.fixture(scope="session")
def valkey_socket() -> Iterator[str]:
    """The unix socket of a Valkey of this test session, `appendfsync always` as the embedded one."""
    folder = Path(tempfile.mkdtemp(prefix="lc-valkey-"))  # a short path: a unix socket's has 107 bytes at most
    path = folder / "s"
    process = subprocess.Popen(
        [
            str(valkey_binary()), "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 10
    while not path.exists():
        assert process.poll() is None, "Valkey did not start"
        assert time.monotonic() < deadline, "Valkey took more than 10 s to start"
        time.sleep(0.01)
    yield str(path)
    process.terminate()
    process.wait(10)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def redis(valkey_socket: str) -> AsyncIterator[Redis]:
    """A client of an emptied Valkey, with no retries, as the hot path has it."""
    client = Redis(unix_socket_path=valkey_socket, retry=Retry(NoBackoff(), 0))
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return with_secrets(read_settings({}, data=tmp_path / "data", mode="development"))


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


def _postgres_bin() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of this test session on a unix socket; it runs as another user where we are root."""
    binaries = _postgres_bin()
    if binaries is None:
        pytest.skip("no PostgreSQL on this machine (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="lc-pg-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": folder}
    subprocess.run(
        [*as_user, binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8"], check=True, **quiet
    )  # type: ignore[call-overload]  # noqa: E501
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    subprocess.run([*as_user, binaries / "pg_ctl", "-D", data, "-w", "-o", options, "start"], check=True, **quiet)  # type: ignore[call-overload]
    yield f"postgresql+asyncpg://postgres@/postgres?host={folder}"
    subprocess.run([*as_user, binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False, **quiet)  # type: ignore[call-overload]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A ledger with all tables, empty; every test that uses it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'ledger.sqlite3'}"
    else:
        url = request.getfixturevalue("postgres_url")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    database = Database(url)
    await database.start()
    yield database
    await database.aclose()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was left out is said last and loudly, with what would bring it back."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    reasons: dict[str, int] = {}
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason] = reasons.get(reason, 0) + 1
    terminalreporter.section("LEFT OUT ON THIS MACHINE", sep="!")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count:4d} tests: {reason}")
