"""The way to hot state: one Redis or Valkey, the one that Sentinel names, or a cluster. Opened here and nowhere else.

What arrives: `REDIS_URL`. What leaves: redis-py's client, without its retries (what changes stock is asked for again by
its id, never sent again by a library), and the few questions whose answer differs between one server and many: which
servers are masters, where a channel is heard, how several commands of one show go together. It knows no keys and no
shows. `reservations/wires.py` owns the connections of the hot path and shares this client's map of the cluster.

    redis://  rediss://  unix://                     one server, or a name that moves with the master
    redis+sentinel://host:26379,…/service[/db]       the master of `service`, asked for at every connection
    redis+cluster://host:6379,…                      a cluster; any living node of it will do
"""

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, unquote, urlencode

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode, ClusterPipeline
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, MovedError, RedisClusterException, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

CONNECT_SECONDS_MAX = 3
LEARN_SECONDS_MIN, LEARN_SECONDS_MAX = 0.1, 5.0
# SPUBLISH and SSUBSCRIBE came with 7.0.
_SHARDED_SINCE = (7, 0)
_PORTS = {"one": 6379, "sentinel": 26379, "cluster": 6379}
_FOLLOW_MAX = 3
_BREAKS = (RedisConnectionError, RedisTimeoutError, OSError)
# Everything that we send to servers of hot state, but what only `doctor` and a cluster are asked. Each is in 6.2, with
# the options that we use (`tests/test_hot_state.py` has since when).
COMMANDS = (
    "BLPOP", "DEL", "EVAL", "EVALSHA", "EXEC", "EXISTS", "EXPIRE", "GET", "HDEL", "HEXISTS", "HGET", "HGETALL",
    "HLEN", "HMGET", "HSCAN", "HSET", "HVALS", "INCR", "INFO", "LRANGE", "LREM", "LTRIM", "MULTI", "PEXPIRE",
    "PING", "PUBLISH", "RENAME", "RPUSH", "SADD", "SET", "SMEMBERS", "SREM", "SUBSCRIBE", "TIME", "UNLINK",
    "UNSUBSCRIBE", "XADD", "XLEN", "XRANGE", "XTRIM", "ZADD", "ZCARD", "ZLEXCOUNT", "ZRANGEBYLEX", "ZRANGEBYSCORE",
    "ZREM", "ZREMRANGEBYSCORE", "ZSCORE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """`REDIS_URL` taken apart. `options` are redis-py's: user, password, db, and what stood behind the `?`."""

    kind: Literal["one", "sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...]
    options: dict[str, Any]
    service: str = ""
    sentinel_options: dict[str, Any] | None = None
    plain_channels: bool = False


def read_address(url: str) -> Address:
    """Raises `ValueError`, in words for the person who wrote it."""
    scheme, separator, rest = url.partition("://")
    scheme, _, kind = scheme.partition("+")
    if not separator or scheme not in ("redis", "rediss", "unix") or kind not in ("", "sentinel", "cluster"):
        raise ValueError("expected redis://, rediss:// or unix://, or redis+sentinel:// or redis+cluster://")
    if not kind:
        return Address("one", (), {})
    place, _, query = rest.partition("?")
    place, _, path = place.partition("/")
    who, at, hosts = place.rpartition("@")
    words = dict(parse_qsl(query))
    sentinel_options = {name: words.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    channels = words.pop("channels", "sharded")
    if channels not in ("sharded", "plain"):
        raise ValueError(f"channels={channels}: expected sharded or plain")
    service, _, db = path.partition("/") if kind == "sentinel" else ("", "", path)
    if kind == "sentinel" and not service:
        raise ValueError("the name of the master is missing: redis+sentinel://host:26379/mymaster")
    if kind == "cluster" and db not in ("", "0"):
        raise ValueError("a cluster has no databases but 0")
    tail = f"/{db}" + (f"?{urlencode(words)}" if words else "")
    options: dict[str, Any] = dict(parse_url(f"{scheme}://{who}{at}h:1{tail}"))
    for name in ("host", "port"):
        options.pop(name, None)
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return Address(
        cast("Any", kind), tuple(_host(each, _PORTS[kind]) for each in hosts.split(",")), options, unquote(service),
        {name: value for name, value in sentinel_options.items() if value}, channels == "plain",
    )  # fmt: skip


def _host(text: str, port: int) -> tuple[str, int]:
    """host, host:port, [::1] or [::1]:port."""
    head, bracket, tail = text.rpartition("]")
    host, _, given = (head + bracket, "", tail.lstrip(":")) if bracket else text.partition(":")
    if not host or (given and not given.isdecimal()):
        raise ValueError(f"{text!r} is no host:port")
    return host.strip("[]"), int(given or port)


def connect(url: str) -> Redis:
    """A client that connects when it is first used; whoever asked for it closes it. Raises `ValueError` for a URL that
    cannot be understood."""
    address = read_address(url)
    calm: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0), "socket_connect_timeout": CONNECT_SECONDS_MAX, "health_check_interval": 0,
    }  # fmt: skip
    if address.kind == "cluster":
        # It speaks the same methods; what differs is in the functions below. One cast here instead of a union of two
        # clients in every signature of the project.
        return as_redis(ClusterClient(address, calm))
    if address.kind == "sentinel":
        return _by_sentinel(address, calm)
    return Redis.from_url(url, **calm)


# --- sentinel -------------------------------------------------------------------------------------------------------


class _OfSentinel(Redis):
    """The master's client; closing it closes those of the sentinels."""

    sentinels: Sentinel

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        await self.sentinels.aclose()


def _by_sentinel(address: Address, calm: dict[str, Any]) -> Redis:
    asked = {**calm, **(address.sentinel_options or {})}
    asked |= {name: value for name, value in address.options.items() if name.startswith("ssl")}
    sentinel = Sentinel(address.hosts, sentinel_kwargs=asked, **calm, **address.options)  # type: ignore[no-untyped-call]
    client = cast("_OfSentinel", sentinel.master_for(address.service, redis_class=_OfSentinel))
    client.sentinels = sentinel
    return client


# --- cluster --------------------------------------------------------------------------------------------------------


class ClusterClient(RedisCluster):
    """redis-py's client of a cluster, with its failures as the connection errors that everybody here expects.

    It follows MOVED, ASK and TRYAGAIN by itself (none of them ran anything) and learns the cluster anew after a broken
    connection; it sends nothing twice.
    """

    def __init__(self, address: Address, calm: dict[str, Any]) -> None:
        seeds = [ClusterNode(host, port) for host, port in address.hosts]
        # Without full coverage: a show whose node is there goes on while another node is away. No periodic starting
        # over (`reinitialize_steps`): it would cut the connections of everybody else.
        super().__init__(
            startup_nodes=seeds, require_full_coverage=False, reinitialize_steps=0, **calm, **address.options
        )
        self._sharded: bool | None = False if address.plain_channels else None
        self._options = {**calm, **address.options}
        self._clients: dict[str, Redis] = {}
        self._learning = asyncio.Lock()
        self._learnt_at = -math.inf

    async def initialize(self, *arguments: Any, **named: Any) -> "ClusterClient":
        """Learn which node has what, where that is not known or something broke since.

        Instead of redis-py's, which asks one certain node for its commands each time, and is away while that one is.
        """
        if self._initialize:
            # Where no node says anything, those who wait for each other here must not wait one after another.
            async with asyncio.timeout(LEARN_SECONDS_MAX), self._learning:
                if self._initialize:
                    await self._learn(*arguments, **named)
        return self

    async def _learn(self, *arguments: Any, **named: Any) -> None:
        # Where a master is away every call to it comes here: the others must not pay for that each time.
        if time.monotonic() - self._learnt_at > LEARN_SECONDS_MIN:
            with _as_connection_error():
                await self.nodes_manager.initialize(*arguments, **named)
            node = await self._someone()
            if not self.commands_parser.commands:
                await self.commands_parser.initialize(node)
            self.set_default_node(node)
            self._learnt_at = time.monotonic()
        self._initialize = False

    async def _someone(self) -> ClusterNode:
        """A master that answers."""
        failure: Exception = RedisConnectionError("the cluster has no masters")
        for node in random.sample(self.get_primaries(), len(self.get_primaries())):
            try:
                await self.client_of(node).ping()
            except (RedisError, OSError) as error:
                failure = error
            else:
                return node
        raise failure

    async def execute_command(self, *words: Any, **named: Any) -> Any:
        if words[0] == "PUBLISH" and await self.shards_channels():
            words = ("SPUBLISH", *words[1:])
        with _as_connection_error():
            return await super().execute_command(*words, **named)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Any:
        # redis-py's runs a second event loop in a thread for it and waits there.
        assert not transaction, "use hot_state.transact"
        return _Pipeline(self, transaction)  # type: ignore[abstract]

    async def ping(self, **named: Any) -> bool:
        """A node that says that the cluster can serve; one dead node does not make every process unready."""
        await self.initialize()
        failure: Exception = ClusterDownError("no node answers")
        for node in random.sample(self.get_nodes(), len(self.get_nodes())):
            try:
                state = await self.client_of(node).execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
                if state["cluster_state"] == "ok":
                    return True
            except (RedisError, OSError) as error:
                failure = error
        raise failure

    async def aclose(self) -> None:
        self._learnt_at = -math.inf
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()
        await super().aclose()
        # redis-py leaves those open that were learnt and given up again.
        await self.nodes_manager.aclose("startup_nodes")

    def client_of(self, node: ClusterNode) -> Redis:
        """A client of this node alone."""
        client = self._clients.get(node.name)
        if client is None:
            client = self._clients[node.name] = self.another_client_of(node)
        return client

    def another_client_of(self, node: ClusterNode) -> Redis:
        """A client of this node alone that the caller closes."""
        return Redis(host=node.host, port=int(node.port), **self._options)

    async def shards_channels(self) -> bool:
        """Whether channels live in the slot of their show. Decided once per process: a cluster that is upgraded from
        6.2 under running processes goes on with plain channels until they start anew."""
        if self._sharded is None:
            await self.initialize()
            found: list[tuple[int, int]] = []
            for node in self.get_nodes():
                with contextlib.suppress(RedisError, OSError):
                    found.append(version_of(await self.client_of(node).info("server")))
            if not found:
                raise RedisConnectionError("no node of the cluster answers")
            self._sharded = min(found) >= _SHARDED_SINCE
        return self._sharded

    # --- the map, shared with the hot path --------------------------------------------------------------------------

    async def owner_of(self, slot: int) -> ClusterNode:
        """The master of this slot as far as known. Raises a connection error for a slot that nobody has."""
        await self.initialize()
        nodes = self.nodes_manager.slots_cache.get(slot)
        if not nodes:
            self.learn_anew()
            raise RedisConnectionError(f"nobody has slot {slot}")
        return nodes[0]

    async def moved(self, error: MovedError, asked: ClusterNode) -> None:
        """Note where a slot is now; an empty host means the one that was asked."""
        error.host = error.host or asked.host
        await self.nodes_manager.move_slot(error)

    def node_at(self, host: str, port: int) -> ClusterNode:
        known = self.nodes_manager.get_node(host, port)
        return known or ClusterNode(host, port, **self.connection_kwargs)

    def learn_anew(self) -> None:
        """Whoever comes next asks the nodes for the map first."""
        self._initialize = True


class _Pipeline(ClusterPipeline):
    """redis-py's, which neither learns the cluster anew after a break nor knows our errors."""

    async def execute(self, *arguments: Any, **named: Any) -> list[Any]:
        try:
            with _as_connection_error():
                return await super().execute(*arguments, **named)
        except _BREAKS:
            cast("ClusterClient", self.cluster_client).learn_anew()
            raise


@contextlib.contextmanager
def _as_connection_error() -> Any:
    """redis-py's own exceptions of the cluster are no `RedisError`; to callers they mean "away"."""
    try:
        yield
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error


def as_cluster(redis: Redis) -> ClusterClient | None:
    """The cluster's client where it is one."""
    client: object = redis
    return client if isinstance(client, ClusterClient) else None


def as_redis(cluster: ClusterClient) -> Redis:
    return cast("Redis", cluster)


# --- what differs ---------------------------------------------------------------------------------------------------


async def masters(redis: Redis) -> list[Redis]:
    """A client of each server that takes writes. Raises as any command where a cluster cannot be reached."""
    cluster = as_cluster(redis)
    if cluster is None:
        return [redis]
    await cluster.initialize()
    return [cluster.client_of(node) for node in cluster.get_primaries()]


async def transact(redis: Redis, key: str, fill: Callable[[Any], Any]) -> list[Any]:
    """MULTI … EXEC over keys that share the slot of `key`; the answers. It is sent again only where nothing ran."""
    cluster = as_cluster(redis)
    if cluster is None:
        return await _transact_on(redis, fill)
    for _ in range(_FOLLOW_MAX):
        node = await cluster.owner_of(cluster.keyslot(key))
        try:
            return await _transact_on(cluster.client_of(node), fill)
        except MovedError as error:
            await cluster.moved(error, node)
        except _BREAKS:
            cluster.learn_anew()
            raise
    raise RedisConnectionError(f"{key} moved {_FOLLOW_MAX} times")


async def _transact_on(redis: Redis, fill: Callable[[Any], Any]) -> list[Any]:
    async with redis.pipeline(transaction=True) as together:
        fill(together)
        return await together.execute()


async def shards_channels(redis: Redis) -> bool:
    """Whether channels are published and heard by SPUBLISH and SSUBSCRIBE, on the node that has the show: in a cluster
    from 7.0 on. Plain PUBLISH would reach everybody too, but each message would go to every node: measured on three
    masters, 3 to 13 µs of the publishing core for each further node, 19 of which would be a quarter of a full call."""
    cluster = as_cluster(redis)
    return cluster is not None and await cluster.shards_channels()


def with_sharded_channels(script: str) -> str:
    """The same script for a cluster that shards channels."""
    return script.replace("'PUBLISH'", "'SPUBLISH'")


async def heard_at(redis: Redis, channel: str) -> ClusterNode | None:
    """The node of a cluster where this channel is heard; None where there is but one server.

    Plain channels of a cluster are heard on every node: any will do, and another one where that one is away.
    """
    cluster = as_cluster(redis)
    if cluster is None:
        return None
    if await cluster.shards_channels():
        return await cluster.owner_of(cluster.keyslot(channel))
    await cluster.initialize()
    return cluster.get_random_node()


def listener(redis: Redis, node: ClusterNode | None) -> Redis:
    """A client of this node that the caller closes; `redis` itself where there is but one server."""
    cluster = as_cluster(redis)
    return redis if cluster is None or node is None else cluster.another_client_of(node)


def learn_anew(redis: Redis) -> None:
    """Something said that a server is not, or no longer, where it was believed to be."""
    cluster = as_cluster(redis)
    if cluster is not None:
        cluster.learn_anew()


def version_of(server: dict[str, Any]) -> tuple[int, int]:
    """(major, minor) of what `INFO server` said. Valkey calls itself Redis 7.2 beside its own version."""
    major, minor, *_ = f"{server.get('redis_version', '0')}.0".split(".")
    return int(major), int(minor)
