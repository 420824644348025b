"""Real parts for tests: a Valkey, an SQLite ledger and, where the machine has one, a PostgreSQL, each started here.

Every server runs on a socket or port of its own with a folder of its own and ends with the test session.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Thread

import asyncpg
import hypothesis
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from livecommerce.clock import TestClock
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import metadata
from livecommerce.settings import Settings, read_settings, with_secrets
from livecommerce.valkey_child import valkey_binary
from tests.redis_servers import OLDEST, Cluster, Server, cluster_of, listens, one_server

# A machine that does other work takes a second for what takes none. Whatever else CI's own profile says stays.
hypothesis.settings.register_profile(
    "test",
    hypothesis.settings.get_profile(hypothesis.settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("long", hypothesis.settings.get_profile("test"), max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))

# A bound for a server that never comes, not a measure.
START_SECONDS_MAX = 60
_MEMORY, _ROOM_BYTES_MIN = Path("/dev/shm"), 2 * 2**30
# Whose files take minutes comes first: what is left for the end is then short, and all workers end together.
_LONGEST_FIRST = (
    "loadtest/bench/test_real.py", "browser/", "loadtest/conduct/", "faults/", "loadtest/test_", "loadtest/",
    "simulation/", "orders/", "audit/", "background/", "demo/", "video/",
)  # fmt: skip


def _lie_in_memory() -> None:
    """Give the folders of tests to memory where the machine has room for them.

    Every answer of a Valkey with `appendfsync always` and every commit of a ledger waits for the disk, and a disk that
    others use too lets tests stand idle for minutes. A kill -9 is survived by the page cache there as here; a power
    failure nobody can try. That the log is synced at all is counted in tests/reservations/test_fsync.py.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir():
        return
    there = os.statvfs(_MEMORY)
    if there.f_bavail * there.f_frsize >= _ROOM_BYTES_MIN and not there.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(_MEMORY)  # for the processes that tests start, and for pytest's own workers
        tempfile.tempdir = None


_lie_in_memory()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((n for n, start in enumerate(_LONGEST_FIRST) if path.startswith(start)), len(_LONGEST_FIRST))

    items.sort(key=place)


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
    deadline = time.monotonic() + START_SECONDS_MAX
    while not listens(path):
        assert process.poll() is None, "Valkey did not start"
        assert time.monotonic() < deadline, f"Valkey took more than {START_SECONDS_MAX} s to start"
        time.sleep(0.01)
    yield str(path)
    process.terminate()
    process.wait(START_SECONDS_MAX)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def redis(valkey_socket: str) -> AsyncIterator[Redis]:
    """A client of an emptied Valkey, with no retries, as the hot path has it."""
    client = Redis(unix_socket_path=valkey_socket, retry=Retry(NoBackoff(), 0))
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def debian_server() -> Iterator[Server]:
    """Debian's Redis, alone, for the whole session; a test that needs it is left out, loudly, where there is none."""
    with one_server("redis") as server:
        yield server


@pytest.fixture(scope="session")
def oldest_server() -> Iterator[Server]:
    """The oldest Redis that we promise to run on, alone, for the whole session."""
    with one_server(OLDEST) as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three masters of Debian's Redis for the whole session: whoever kills or moves something starts a cluster of its
    own."""
    with cluster_of("redis") as cluster:
        yield cluster


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
    )  # type: ignore[call-overload]
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    subprocess.run([*as_user, binaries / "pg_ctl", "-D", data, "-w", "-o", options, "start"], check=True, **quiet)  # type: ignore[call-overload]
    yield f"postgresql+asyncpg://postgres@/postgres?host={folder}"
    subprocess.run([*as_user, binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False, **quiet)  # type: ignore[call-overload]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger as a file, to be copied: making 32 tables costs more than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "template.sqlite3"
    _run(_make_tables(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_tables(postgres_url: str) -> str:
    """A database with all tables on the session's PostgreSQL; each test empties it."""
    _run(_make_database(postgres_url, "ledger"))
    url = postgres_url.replace("/postgres?", "/ledger?")
    _run(_make_tables(url))
    return url


def _run(work: Coroutine[object, object, None]) -> None:
    """Run to the end in a thread of its own: a session's fixture may be asked for by a test's running loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def _make_database(url: str, name: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()


async def _make_tables(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()


# TRUNCATE gives each table new files, however empty it is, and with 40 tables that costs more than most tests: only
# what has rows is emptied, and row by row where these are few.
_EMPTY = """
DO $$ DECLARE name text; has_rows bool; BEGIN
  SET LOCAL session_replication_role = replica;  -- no foreign keys: in the end all are empty
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO has_rows;
    IF has_rows AND pg_relation_size(quote_ident(name)::regclass) > 262144 THEN
      EXECUTE format('TRUNCATE %I CASCADE', name);
    ELSIF has_rows THEN
      EXECUTE format('DELETE FROM %I', name);
    END IF;
  END LOOP;
  PERFORM setval(format('%I', sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;
END $$
"""


class _Cleaner:
    """A connection for the whole session, on a loop of its own: to connect costs more than to empty the tables."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, name="cleaner", daemon=True).start()
        opening = asyncpg.connect(url.replace("+asyncpg", ""))
        self._connection = asyncio.run_coroutine_threadsafe(opening, self._loop).result(START_SECONDS_MAX)

    async def empty(self) -> None:
        doing = self._connection.execute(_EMPTY)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(doing, self._loop))


_cleaner_of = cache(_Cleaner)


async def _empty_tables(url: str) -> None:
    """On PostgreSQL: no rows, and numbers begin anew."""
    await _cleaner_of(url).empty()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A ledger with all tables, empty; every test that uses it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite+aiosqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres_tables")
        await _empty_tables(url)
    database = Database(url)
    await database.start()
    yield database
    await database.aclose()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where nothing may be left out (CI), a test that skips has failed: the machine lacks something."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("LIVECOMMERCE_TESTS_LEAVE_NOTHING_OUT"):
        report.outcome = "failed"
        report.longrepr = f"left out, where nothing may be: {report.longrepr}"


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
