"""`livecommerce doctor`: looks at everything the server needs and says, for each, what is so and what to do.

What arrives: settings. What leaves: one `Finding` per check; `bad` means that the server will not work, `warn` that a
part of it will not. It changes nothing but the cache of compiled files: where a server already runs on the data folder,
it asks that server's Valkey.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy.ext.asyncio import create_async_engine

from livecommerce.hot_state import COMMANDS, ClusterClient, as_cluster, as_redis, connect, masters, version_of
from livecommerce.ledger.migrate import newest_revision
from livecommerce.settings import Settings, is_weak, lost_without_tls
from livecommerce.valkey_child import DataFolderInUse, lock_data_folder, socket_path, valkey_binary

Verdict = Literal["ok", "warn", "bad"]
_REDIS_OLDEST = (6, 2)
_LEDGER_SECONDS_MAX = 5.0
_REDIS_SECONDS_MAX = 15.0
_FREE_BYTES_WARN = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `do` is empty where there is nothing to do."""

    what: str
    verdict: Verdict
    found: str
    do: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """All checks, in the order in which a server start would meet them. Never raises for what it finds."""
    running = is_running(settings)
    findings = [_data_folder(settings, running), _port(settings, running), _secrets(settings), _clock(), _ffmpeg()]
    findings += [_pages(), _descriptors(settings), _fan_out(), _network(settings)]
    findings += await _redis(settings, running)
    findings.append(await _database(settings))
    return findings


def is_running(settings: Settings) -> bool:
    if not (settings.data / "lock").exists():
        return False
    try:
        os.close(lock_data_folder(settings.data))
    except DataFolderInUse:
        return True
    except OSError:
        return False
    return False


def _data_folder(settings: Settings, running: bool) -> Finding:
    data = settings.data.resolve()
    # The first start makes it: until then, the folder that it will stand in must be one to write to.
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"x")
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding("data folder", "bad", f"{settings.data}: {error.strerror}", "give --data a folder you may write")
    state = ", a server runs on it" if running else "" if place == data else "; made at the first start"
    found = f"{data}, {free / 1024**3:.1f} GiB free{state}"
    if free < _FREE_BYTES_WARN:
        return Finding("data folder", "warn", found, "make room: recordings take about 1.1 GB an hour")
    return Finding("data folder", "ok", found)


def _port(settings: Settings, running: bool) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if running:
                return Finding("port", "ok", f"{settings.host}:{settings.port} is in use, as a server runs")
            words = f"{settings.host}:{settings.port}: {error.strerror}"
            return Finding("port", "bad", words, "stop what listens there, or set PORT")
    return Finding("port", "ok", f"{settings.host}:{settings.port} is free")


def _secrets(settings: Settings) -> Finding:
    given = {name: value for name in ("secret", "webhook_secret") if (value := getattr(settings, name))}
    kept = {path.name: path for path in (settings.data / "secrets").glob("*secret") if path.name not in given}
    loose = [str(path) for path in kept.values() if path.stat().st_mode & 0o077]
    if loose:
        return Finding("secrets", "bad", f"readable by others: {', '.join(loose)}", f"chmod 600 {' '.join(loose)}")
    try:
        values = given | {name: path.read_text().strip() for name, path in kept.items()}
    except (OSError, UnicodeError) as error:
        return Finding("secrets", "bad", f"cannot be read: {_first_line(error)}", "let the server's user read them")
    weak = [name for name, value in values.items() if is_weak(value)]
    if weak:
        do = "use 32 random characters or more (`openssl rand -hex 32`); production refuses less"
        return Finding("secrets", "bad" if settings.mode == "production" else "warn", f"weak: {', '.join(weak)}", do)
    if not values:
        return Finding("secrets", "ok", "none yet; they are made at the first start")
    found = (["given by the environment"] if given else []) + ([f"kept in {settings.data / 'secrets'}"] if kept else [])
    return Finding("secrets", "ok", ", ".join(found))


def _clock() -> Finding:
    # Holds live on the clock of Redis, deals open on ours; a year that cannot be right is the commonest fault.
    year = time.gmtime().tm_year
    if year < 2025:
        return Finding("clock", "bad", f"the machine thinks it is {year}", "start time synchronisation (chrony, ntpd)")
    return Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


def _ffmpeg() -> Finding:
    found = shutil.which("ffmpeg")
    if found:
        return Finding("ffmpeg", "ok", found)
    do = "apt-get install ffmpeg, to take pictures from cameras; shows from files work"
    return Finding("ffmpeg", "warn", "not on the PATH", do)


def _pages() -> Finding:
    from livecommerce.pages import pages_folder

    folder = pages_folder()
    if folder is None:
        return Finding("web pages", "bad", "not built", "run `make web` in the checkout, or install the wheel")
    return Finding("web pages", "ok", str(folder))


def _fan_out() -> Finding:
    from livecommerce.gateway.fan_out import best

    _, why_in_python = best()
    if not why_in_python:
        return Finding("fan-out loop", "ok", "compiled")
    do = "install a C compiler (Debian: gcc and libc6-dev): a frame to thousands costs the web process less"
    return Finding("fan-out loop", "ok", f"in Python: {why_in_python}", do)


def _descriptors(settings: Settings) -> Finding:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.sockets_max + settings.http_lines_max + 256
    if hard != resource.RLIM_INFINITY and hard < needed:
        words = f"{hard} allowed, {needed} wanted for SOCKETS_MAX and HTTP_LINES_MAX"
        return Finding("descriptors", "warn", words, f"LimitNOFILE={needed} in the unit, or smaller ones")
    return Finding("descriptors", "ok", f"{soft} now, up to {hard} (web processes raise it themselves)")


def _network(settings: Settings) -> Finding:
    if words := lost_without_tls(settings):
        what, _, do = words.partition(": ")
        return Finding("network", "warn", what, do)
    return Finding("network", "ok", settings.base_url)


async def _redis(settings: Settings, running: bool) -> list[Finding]:
    if settings.embedded_redis and not running:
        try:
            return [Finding("redis", "ok", f"embedded: {valkey_binary()}")]
        except FileNotFoundError as error:
            return [Finding("redis", "bad", "no binary", str(error))]
    url = settings.redis_url or f"unix://{socket_path(settings.data)}"
    client = connect(url)
    try:
        async with asyncio.timeout(_REDIS_SECONDS_MAX):
            cluster = as_cluster(client)
            if cluster is None:
                return [await _redis_server(client)]
            findings = [await _redis_server(server, _place(server)) for server in await masters(client)]
            return [*findings, await _redis_cluster(cluster, len(findings))]
    except (RedisError, OSError) as error:
        words = str(error) or "no answer in time"
        return [Finding("redis", "bad", f"{_without_password(url)}: {words}", "start it, or correct REDIS_URL")]
    finally:
        await client.aclose()


def _place(client: Redis) -> str:
    known = client.connection_pool.connection_kwargs
    return f"{known['host']}:{known['port']} "


async def _redis_server(client: Redis, place: str = "") -> Finding:
    """One server that takes writes, by what every version and most hosted ones say of themselves."""
    said = {**await client.info("server"), **await client.info("memory"), **await client.info("replication")}
    said |= await client.info("persistence")
    # A pattern, as before 7.0 CONFIG GET takes one word only; hosted ones may refuse it.
    config: Any = {}
    with contextlib.suppress(ResponseError):
        config = await client.config_get("append*")
    fork = said.get("server_name", "valkey" if "valkey_version" in said else "redis")
    version = said.get("valkey_version") or said.get("redis_version", "0")
    synced = f"appendfsync {config.get('appendfsync', 'unknown')}"
    replicas = f", replicas: {said['connected_slaves']}" if said.get("connected_slaves") else ""
    found = (
        f"{place}{str(fork).capitalize()} {version}, appendonly {'yes' if said.get('aof_enabled') else 'no'}, {synced}"
    )
    found += replicas
    if version_of(said) < _REDIS_OLDEST:
        return Finding("redis", "bad", found, "6.2 or newer is needed")
    if said.get("redis_mode") == "cluster" and not place:
        return Finding(
            "redis", "bad", f"{found}, a node of a cluster", "name it as REDIS_URL=redis+cluster://HOST:PORT"
        )
    if said.get("role") == "slave":
        return Finding("redis", "bad", f"{found}, a replica", "name the master, or reach it through Sentinel")
    if missing := await _missing_commands(client):
        return Finding("redis", "bad", f"{found}, lacks {', '.join(missing)}", "use Redis >= 6.2 or Valkey itself")
    if said.get("maxmemory_policy") not in (None, "noeviction"):
        do = "set maxmemory-policy noeviction: evicted keys are lost stock"
        return Finding("redis", "bad", f"{found}, maxmemory-policy {said['maxmemory_policy']}", do)
    if not said.get("aof_enabled"):
        return Finding("redis", "warn", found, "set appendonly yes: without it every hold is lost with the process")
    return Finding("redis", "ok", found)


async def _missing_commands(client: Redis) -> list[str]:
    """Of the commands that we send, those a fork does not have. What it refuses to say is not held against it."""
    try:
        known: Any = await client.execute_command("COMMAND INFO", *COMMANDS)  # type: ignore[no-untyped-call]
    except ResponseError:
        return []
    return [name for name, row in zip(COMMANDS, known, strict=True) if not row]


async def _redis_cluster(cluster: ClusterClient, count: int) -> Finding:
    """What only a cluster has: its state, and masters that nobody would follow."""
    state: Any = {}
    for client in await masters(as_redis(cluster)):
        with contextlib.suppress(RedisError, OSError):
            state = await client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
            break
    covered = int(state.get("cluster_slots_ok", 0))
    channels = "sharded" if await cluster.shards_channels() else "plain"
    found = f"masters: {count}, replicas: {len(cluster.get_replicas())}, {covered} of 16384 slots, {channels} channels"
    if state.get("cluster_state") != "ok" or covered < 16384:
        return Finding("redis cluster", "bad", found, "redis-cli --cluster check HOST:PORT says what is missing")
    if len(cluster.get_replicas()) < count:
        do = "give every master a replica: without one its shows stand still when it dies"
        return Finding("redis cluster", "warn", found, do)
    return Finding("redis cluster", "ok", found)


async def _database(settings: Settings) -> Finding:
    shown = "SQLite in the data folder" if not settings.database_url else _without_password(settings.sql_url)
    if not settings.database_url and not (settings.data / "ledger.sqlite3").exists():
        return Finding("ledger", "ok", f"{shown}; made at the first start")
    engine = create_async_engine(settings.sql_url)
    try:
        async with asyncio.timeout(_LEDGER_SECONDS_MAX), engine.connect() as connection:
            revision = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar()
    except Exception as error:
        words = f"{shown}: {_first_line(error)}"
        return Finding("ledger", "bad", words, "start it, or run `livecommerce migrate`")
    finally:
        await engine.dispose()
    if revision != newest_revision():
        return Finding("ledger", "warn", f"{shown}, revision {revision}", "run `livecommerce migrate`")
    return Finding("ledger", "ok", f"{shown}, revision {revision}")


def _first_line(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return next(iter(str(error).splitlines()), type(error).__name__)


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at else url
