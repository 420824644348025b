"""The way to hot state: how it is written down, and that the least version we promise has all that we send."""

import math
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.demo.board import Board, Wish, next_wish, read_board, wish, write_board
from livecommerce.doctor import examine
from livecommerce.errors import R, Refused
from livecommerce.gateway.measures import measure_redis
from livecommerce.hot_state import COMMANDS, as_cluster, connect, masters, read_address, shards_channels, transact
from livecommerce.people.attempts import PERSON_HERE_MAX, Attempts
from livecommerce.reservations import keys
from livecommerce.settings import Settings, SettingsError, read_settings
from tests.redis_servers import Cluster, Server, one_server, slot_of

PACKAGE = Path(__file__).parent.parent / "livecommerce"

# Since when a command exists, from its page at https://redis.io/docs/latest/commands/ ("Available since"), and the
# newest of the options that we use where that is later (XTRIM MINID 6.2; HSET with several fields 4.0; CONFIG GET takes
# several patterns only from 7.0 on, so we give it one). What is newer than 6.2 is sent only to those who have it.
SINCE = {
    "BLPOP": "2.0", "CLUSTER": "3.0", "COMMAND": "2.8.13", "CONFIG": "2.0", "DEL": "1.0", "EVAL": "2.6",
    "EVALSHA": "2.6", "EXEC": "1.2", "EXISTS": "1.0", "EXPIRE": "1.0", "GET": "1.0", "HDEL": "2.0",
    "HEXISTS": "2.0", "HGET": "2.0", "HGETALL": "2.0", "HLEN": "2.0", "HMGET": "2.0", "HSCAN": "2.8", "HSET": "4.0",
    "HVALS": "2.0", "INCR": "1.0", "INFO": "1.0", "LRANGE": "1.0", "LREM": "1.0", "LTRIM": "1.0", "MULTI": "1.2",
    "PEXPIRE": "2.6", "PING": "1.0", "PUBLISH": "2.0", "RENAME": "1.0", "RPUSH": "1.0", "SADD": "1.0", "SET": "1.0",
    "SMEMBERS": "1.0", "SREM": "1.0", "SUBSCRIBE": "2.0", "TIME": "2.6", "UNLINK": "4.0", "UNSUBSCRIBE": "2.0",
    "XADD": "5.0", "XLEN": "5.0", "XRANGE": "5.0", "XTRIM": "6.2", "ZADD": "1.2", "ZCARD": "1.2",
    "ZLEXCOUNT": "2.8.9", "ZRANGEBYLEX": "2.8.9", "ZRANGEBYSCORE": "1.0.5", "ZREM": "1.2",
    "ZREMRANGEBYSCORE": "1.2", "ZSCORE": "1.2",
}  # fmt: skip


def test_every_command_we_send_is_in_6_2() -> None:
    assert set(COMMANDS) <= set(SINCE)
    newer = {name for name in COMMANDS if tuple(int(part) for part in SINCE[name].split(".")[:2]) > (6, 2)}
    assert newer == set()


def test_scripts_use_only_commands_of_that_list() -> None:
    used: set[str] = set()
    for path in PACKAGE.rglob("*.lua"):
        used |= set(re.findall(r"\b(?:call|pcall|write_names|write_pairs)\('([A-Z]+)'", path.read_text()))
    assert "HMGET" in used
    assert used <= set(COMMANDS)


# Methods of redis-py's that are no command of their own name.
_METHODS = {
    "config_get": "CONFIG", "delete": "DEL", "execute": "EXEC", "execute_command": "PING", "hscan_iter": "HSCAN",
    "pipeline": "MULTI",
}  # fmt: skip
_NO_COMMANDS = {"aclose", "close", "pubsub", "client_of", "connection_pool"}


def test_the_package_calls_only_commands_of_that_list() -> None:
    """A new one is looked up, and written into both lists."""
    used: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name not in ("hot_state.py", "doctor.py"):
            used |= set(re.findall(r"\b_?(?:redis|together|pipeline|server)\.([a-z]+_?[a-z]*)\(", path.read_text()))
    names = {_METHODS.get(name, name.upper()) for name in used - _NO_COMMANDS}
    redis_commands = {name for name in names if hasattr(Redis, name.lower()) or name in SINCE}
    assert {"HGET", "XTRIM", "BLPOP"} <= redis_commands
    assert redis_commands - {"CONFIG"} <= set(COMMANDS)


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "options", "service"),
    [
        ("redis://h:6380/2", "one", (), {}, ""),
        ("redis+cluster://h", "cluster", (("h", 6379),), {}, ""),
        ("redis+cluster://a:1,b:2/0", "cluster", (("a", 1), ("b", 2)), {"db": 0}, ""),
        ("redis+cluster://[::1]:7000,[fe80::1]", "cluster", (("::1", 7000), ("fe80::1", 6379)), {}, ""),
        ("rediss+cluster://u:p%40@h:1", "cluster", (("h", 1),), {"username": "u", "password": "p@", "ssl": True}, ""),
        ("redis+sentinel://h/shop", "sentinel", (("h", 26379),), {}, "shop"),
        ("redis+sentinel://:p@a:1,b/shop/3", "sentinel", (("a", 1), ("b", 26379)), {"password": "p", "db": 3}, "shop"),
        ("redis+sentinel://h/shop?socket_timeout=2", "sentinel", (("h", 26379),), {"socket_timeout": 2.0}, "shop"),
    ],
)
def test_addresses_are_read(url: str, kind: str, hosts: Any, options: dict[str, Any], service: str) -> None:
    address = read_address(url)
    assert (address.kind, address.hosts, address.options, address.service) == (kind, hosts, options, service)


def test_a_sentinel_may_have_a_password_of_its_own() -> None:
    assert read_address("redis+sentinel://h/shop?sentinel_password=x").sentinel_options == {"password": "x"}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://h", "expected redis://"),
        ("redis+ring://h", "expected redis://"),
        ("redis+sentinel://h:26379", "the name of the master is missing"),
        ("redis+cluster://h/3", "no databases but 0"),
        ("redis+cluster://h:port", "is no host:port"),
        ("redis+cluster://", "is no host:port"),
        ("redis+cluster://h?channels=loud", "expected sharded or plain"),
    ],
)
def test_what_cannot_be_an_address_is_a_problem_of_the_settings(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"REDIS_URL": url})
    assert any(words in problem for problem in caught.value.problems)


# --- what differs -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Redis]:
    client = connect(cluster.url)
    await client.flushall()
    yield client
    await client.aclose()


async def test_a_transaction_runs_on_the_node_that_has_its_keys_and_follows_them(
    cluster: Cluster, client: Redis
) -> None:
    show_id = cluster.show_on(0, "sh_t")
    key = keys.recent_talk(show_id)
    assert await transact(client, key, lambda together: together.rpush(key, "a").llen(key)) == [1, 1]
    cluster.move(slot_of(show_id), cluster.masters[1])
    try:
        assert await transact(client, key, lambda together: together.rpush(key, "b").llen(key)) == [2, 2]
    finally:
        cluster.move(slot_of(show_id), cluster.masters[0])


async def test_a_cluster_is_three_masters_and_one_server_is_itself(
    cluster: Cluster, client: Redis, redis: Redis
) -> None:
    assert await masters(redis) == [redis]
    ports = {server.connection_pool.connection_kwargs["port"] for server in await masters(client)}
    assert ports == {server.port for server in cluster.masters}
    assert (as_cluster(redis), await shards_channels(redis), await shards_channels(client)) == (None, False, True)
    plain = connect(f"{cluster.url}?channels=plain")
    assert not await shards_channels(plain)
    await plain.aclose()


async def test_a_cluster_with_a_node_that_stands_still_is_up(cluster: Cluster, client: Redis) -> None:
    await client.ping()
    with cluster.masters[0].stopped():
        for server in await masters(client):
            server.connection_pool.connection_kwargs["socket_timeout"] = 0.2
        assert await client.ping()


async def test_what_has_no_show_works_on_a_cluster_too(client: Redis, settings: Settings, clock: TestClock) -> None:
    """Keys without a tag lie on different nodes: each command has one of them."""
    attempts = Attempts(client, settings, clock)
    await attempts.count_newcomer("192.0.2.1")
    for _ in range(PERSON_HERE_MAX):
        await attempts.count("mei@shop.example", "192.0.2.1")
    with pytest.raises(Refused) as refused:
        await attempts.count("mei@shop.example", "192.0.2.1")
    assert refused.value.why is R.LOCKED_OUT
    await attempts.forgive("mei@shop.example", "192.0.2.1")
    await attempts.count("mei@shop.example", "192.0.2.1")

    await write_board(client, Board(show_id="sh_1"))
    assert (await read_board(client)).show_id == "sh_1"
    await wish(client, Wish("buyers", count=5))
    assert await next_wish(client, 1) == Wish("buyers", count=5)
    assert await next_wish(client, 0.01) is None

    await measure_redis(client)
    assert not math.isnan(REGISTRY.get_sample_value("livecommerce_redis_cpu_seconds") or math.nan)


# --- doctor -----------------------------------------------------------------------------------------------------------


async def _found(url: str, tmp_path: Path) -> list[tuple[str, str, str]]:
    findings = await examine(read_settings({"REDIS_URL": url}, data=tmp_path))
    return [
        (each.what, each.verdict, each.found + " → " + each.do) for each in findings if each.what.startswith("redis")
    ]


async def test_doctor_says_what_stands_at_the_address(cluster: Cluster, debian_server: Server, tmp_path: Path) -> None:
    [(what, verdict, words)] = await _found(debian_server.url, tmp_path)
    assert (what, verdict) == ("redis", "ok")
    assert "appendonly yes, appendfsync always" in words

    *each, (what, verdict, words) = await _found(cluster.url, tmp_path)
    assert [row[:2] for row in each] == [("redis", "ok")] * 3
    assert (what, verdict) == ("redis cluster", "warn")
    assert "masters: 3, replicas: 0, 16384 of 16384 slots, sharded channels" in words
    assert "give every master a replica" in words

    [(_, verdict, words)] = await _found(cluster.masters[0].url, tmp_path)
    assert (verdict, "redis+cluster://" in words) == ("bad", True)
    [(_, verdict, words)] = await _found(f"redis+cluster://127.0.0.1:{debian_server.port}", tmp_path)
    assert (verdict, "Cluster mode is not enabled" in words) == ("bad", True)


async def test_doctor_finds_every_command_on_the_oldest_redis_we_promise(oldest_server: Server, tmp_path: Path) -> None:
    """Asked of the server itself, and not only of the pages that say since when a command exists."""
    [(_, verdict, words)] = await _found(oldest_server.url, tmp_path)
    assert (verdict, "6.2." in words) == ("ok", True), words
    found = oldest_server.ask("COMMAND", "INFO", *COMMANDS)
    assert set(found) >= {name.lower() for name in COMMANDS}


async def test_doctor_warns_of_a_server_that_forgets(tmp_path: Path) -> None:
    with one_server("redis", "--maxmemory-policy", "allkeys-lru") as server:
        [(_, verdict, words)] = await _found(server.url, tmp_path)
        assert (verdict, "noeviction" in words) == ("bad", True)
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.ask("CONFIG", "SET", "appendonly", "no")
        [(_, verdict, words)] = await _found(server.url, tmp_path)
        assert (verdict, "set appendonly yes" in words) == ("warn", True)
        server.ask("REPLICAOF", "127.0.0.1", 1)
        [(_, verdict, words)] = await _found(server.url, tmp_path)
        assert (verdict, "a replica" in words) == ("bad", True)


@pytest.mark.parametrize(
    ("renamed", "words"),
    [("ZLEXCOUNT", "lacks ZLEXCOUNT"), ("CONFIG", "appendfsync unknown")],
    ids=["lacks", "refuses"],
)
async def test_doctor_knows_a_fork_that_lacks_a_command_and_a_host_that_hides_one(
    renamed: str, words: str, tmp_path: Path
) -> None:
    with one_server("redis", "--rename-command", renamed, "") as server:
        [(_, verdict, found)] = await _found(server.url, tmp_path)
        assert words in found
        assert verdict == ("bad" if renamed == "ZLEXCOUNT" else "ok")
