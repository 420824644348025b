"""The connections of the hot path: one to one server, or one to each node of a cluster that has a show of ours.

What arrives: a script, its keys, its arguments. What leaves: the raw answer, or redis-py's error. Questions on one wire
are answered in the order in which they were asked, all on one connection or not at all; redis-py's own retries are off:
an unknown outcome is asked for again under the same rid, by whoever asked. In a cluster MOVED, ASK and TRYAGAIN are
followed here, within bounds: none of them ran the script. It does not know what scripts mean.
"""

import asyncio
import hashlib
from importlib import resources
from typing import Any, Protocol

import hiredis
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from livecommerce.hot_state import ClusterClient, as_cluster, with_sharded_channels
from livecommerce.reservations.lua_constants import with_constants

# Longer than any pause a healthy Redis makes; a stopped one is told apart from a slow one here.
CALL_SECONDS_MAX = 5.0
# Following one question through a cluster: so many answers that were none, and so long. A slot that is moved key by key
# says TRYAGAIN until it has moved; whoever asked is then told "busy" and asks again under the same rid.
FOLLOW_MAX = 40
FOLLOW_SECONDS_MAX = 1.0
FOLLOW_PAUSE_SECONDS = 0.03
# The server that was asked is no longer, or not yet, the one that decides.
_WRONG_SERVER = (ReadOnlyError, MasterDownError, ClusterDownError)


class Script:
    """A `.lua` file, its constants in their places, and the hash Redis knows it by; `sharded` is the same for a cluster
    with sharded channels."""

    def __init__(self, name: str, body: str = "", *, sharded: bool = False) -> None:
        self.name = name
        if not body:
            body = with_constants(resources.files(__package__).joinpath("lua", name).read_text())
        self.body = body.encode()
        self.sha = hashlib.sha1(self.body, usedforsecurity=False).hexdigest().encode()
        self.sharded = self if sharded else Script(name, with_sharded_channels(body), sharded=True)


class Wires(Protocol):
    """What carries scripts to the server that has their keys."""

    # Questions of one show that may be on their way at once, such that none overtakes another (but after SCRIPT FLUSH).
    questions_max: int

    async def ask(self, script: Script, names: tuple[str, ...], *arguments: bytes) -> bytes:
        """By the script's hash, and with the script itself where the server does not know it yet."""

    async def aclose(self) -> None: ...


def wires_to(redis: Redis) -> "Wires":
    """Connections of our own to where this client goes; they are closed before it is."""
    cluster = as_cluster(redis)
    if cluster is not None:
        return ClusterWires(cluster)
    pool = redis.connection_pool
    return Wire(pool.connection_class(**pool.connection_kwargs))


class Wire:
    """One connection. It connects when it is asked, and again after a break: a name or a Sentinel may then say another
    server.

    A question that is asked while another is on its way goes to the server that has that one, or one of the two fails:
    what the caller knew when it asked cannot be older than what that server has answered to others meanwhile.
    """

    questions_max = 2

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        connection.retry = Retry(NoBackoff(), 0)
        self.life = 0  # which connection it is, counted by their ends
        self._knows: set[bytes] = set()  # hashes of scripts that this connection's server has run
        # Both are fair: who wrote first reads first.
        self._writing = asyncio.Lock()
        self._reading = asyncio.Lock()

    async def aclose(self) -> None:
        await self._end(self.life)

    async def ask(self, script: Script, names: tuple[str, ...], *arguments: bytes) -> bytes:
        """With the script itself until an answer has come on this connection: of two questions whose hash is unknown
        the first would be asked again behind the second."""
        life = self.life
        if script.sha not in self._knows:
            answer = await self.send(_packed(script, False, names, *arguments))
            self._knows.add(script.sha)
            return answer
        try:
            return await self.send(_packed(script, True, names, *arguments), life=life)
        except NoScriptError:  # its scripts were flushed
            return await self.send(_packed(script, False, names, *arguments), life=life)

    async def send(self, packed: bytes, asking: bool = False, life: int | None = None) -> bytes:
        """The answer to one command; with `asking`, as one who was sent here by ASK; with `life`, on that connection
        only.

        Cancelling it closes the connection: the next caller never reads this one's answer, and whoever else waits
        hears that hers is lost.
        """
        connection = self._connection
        awaited = 2 if asking else 1
        mine = -1  # none, until it is this one's turn to write
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                async with self._writing:
                    if life is not None:
                        self._must_live(life)
                    mine = self.life
                    if not connection.is_connected:
                        await connection.connect()  # type: ignore[no-untyped-call]
                        if mine != self.life:  # ended while it was being made: it is nobody's
                            await connection.disconnect(nowait=True)
                            self._must_live(mine)
                    # Both in one write: on a connection that others use as well, ASKING would be theirs.
                    await connection.send_packed_command(_ASKING + packed if asking else packed, check_health=False)
                async with self._reading:
                    self._must_live(mine)
                    if asking:
                        await connection.read_response(disable_decoding=True)
                        awaited = 1
                    answer: bytes = await connection.read_response(disable_decoding=True)
                    self._must_live(mine)
                    return answer
        except ResponseError as error:
            # A replica, or a master that was set back: the name may lead to another server by now.
            if awaited > 1 or isinstance(error, ReadOnlyError | MasterDownError):
                await self._end(mine)
            raise
        except BaseException as error:
            # The connection may still carry an answer that nobody waits for: it must never be read by another.
            ended_by_another = mine not in (-1, self.life)
            await self._end(mine)
            if ended_by_another and isinstance(error, Exception):
                raise RedisConnectionError("the connection ended before the answer") from error
            raise

    def _must_live(self, life: int) -> None:
        if life != self.life:
            raise RedisConnectionError("the connection ended before the answer")

    async def _end(self, life: int) -> None:
        if life == self.life:
            self.life += 1
            self._knows.clear()
            await self._connection.disconnect(nowait=True)


class ClusterWires:
    """A wire to each node that has a show of ours, each used by one question at a time, in the order of asking.

    Questions to different nodes are in flight at once; so are those of different tasks, which wait for each other
    only where they want the same node.
    """

    # A second one could go to another server than the first, after a failover that it knows nothing of.
    questions_max = 1

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._wires: dict[str, tuple[Wire, asyncio.Lock]] = {}

    async def aclose(self) -> None:
        for wire, _ in self._wires.values():
            await wire.aclose()

    async def ask(self, script: Script, names: tuple[str, ...], *arguments: bytes) -> bytes:
        if await self._cluster.shards_channels():
            script = script.sharded
        try:
            return await self._follow(names[0], _packed(script, True, names, *arguments))
        except NoScriptError:
            return await self._follow(names[0], _packed(script, False, names, *arguments))

    async def _follow(self, key: str, packed: bytes) -> bytes:
        cluster = self._cluster
        slot = key_slot(key.encode())
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + FOLLOW_SECONDS_MAX
        node, asking = await cluster.owner_of(slot), False
        for left in range(FOLLOW_MAX - 1, -1, -1):
            try:
                return await self._send(node, packed, asking)
            except MovedError as error:
                if not left:
                    raise
                await cluster.moved(error, node)
                node, asking = await cluster.owner_of(slot), False
            except AskError as error:
                if not left:
                    raise
                node, asking = cluster.node_at(error.host or node.host, error.port), True
            except (TryAgainError, *_WRONG_SERVER) as error:
                if not left or loop.time() + FOLLOW_PAUSE_SECONDS > give_up_at:
                    raise
                await asyncio.sleep(FOLLOW_PAUSE_SECONDS)
                if isinstance(error, _WRONG_SERVER):
                    cluster.learn_anew()
                node, asking = await cluster.owner_of(slot), False
            except ResponseError:
                raise
            except Exception:
                # It may be dead and another one master in its place: the next to ask finds out first.
                cluster.learn_anew()
                raise
        raise AssertionError("the last turn returns or raises")

    async def _send(self, node: ClusterNode, packed: bytes, asking: bool) -> bytes:
        found = self._wires.get(node.name)
        if found is None:
            found = self._wires[node.name] = (Wire(node.connection_class(**node.connection_kwargs)), asyncio.Lock())
        wire, turn = found
        async with turn:
            return await wire.send(packed, asking)


def _packed(script: Script, by_hash: bool, names: tuple[str, ...], *arguments: bytes) -> bytes:
    command = (b"EVALSHA", script.sha) if by_hash else (b"EVAL", script.body)
    words: tuple[Any, ...] = (*command, len(names), *names, *arguments)
    packed: bytes = hiredis.pack_command(words)
    return packed


_ASKING: bytes = hiredis.pack_command((b"ASKING",))
