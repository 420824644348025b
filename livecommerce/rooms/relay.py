"""The relay: the pub/sub connection to Redis that joins the rooms of all processes; in a cluster one to each node that
has a show with viewers here.

What arrives: messages of the channels of shows that have viewers here, and talk and head-counts to pass on. What
leaves: each message, unpacked, to one callback, in the order Redis sent it; "up" and "down". Pub/sub is at-most-once:
after every break whoever listens must compare positions and fill the hole, which is what "up" is for. Where one of
several connections breaks, or a channel moves to another node, all begin anew: rare, and one rule instead of many. A
node that is away is done without: its shows stand still, and the others must not.
It does not know what a message means.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from livecommerce.clock import Clock
from livecommerce.ending import end
from livecommerce.hot_state import as_cluster, heard_at, learn_anew, listener, shards_channels

log = structlog.get_logger(__name__)

QUEUE_MAX = 10_000  # messages to pass on; the oldest go first, as pub/sub promises nothing anyway
BATCH_MAX = 500
SILENCE_SECONDS_MAX = 12.0
WATCH_SECONDS = 4.0
BACKOFF_SECONDS_MAX = 2.0


class Relay:
    """One reader, one sender. `on_message` must not wait; what it raises is logged and costs no other message."""

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        on_message: Callable[[str, list[Any]], None],
        on_change: Callable[[bool], None],
        on_lag: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._on_message = on_message
        self._on_change = on_change
        self._on_lag = on_lag
        self._wanted: set[str] = set()
        self._some_wanted = asyncio.Event()
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._ears: dict[str, _Ear] = {}
        self._opening = asyncio.Lock()  # two channels of one node must not open two connections to it
        self._sharded = False
        self._deaf: set[str] = set()  # wanted, and on a node that is away
        self._listening = False  # every channel wanted so far has been asked for
        self._broken: asyncio.Future[None] | None = None
        self._queue: deque[tuple[str, bytes]] = deque(maxlen=QUEUE_MAX)
        self._queued = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.up = False
        self.lost = 0  # messages of ours that Redis never got, since whoever counts them looked

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._read_for_ever(), name="relay-read"),
            asyncio.create_task(self._send_for_ever(), name="relay-send"),
            asyncio.create_task(self._watch_for_ever(), name="relay-watch"),
        ]

    async def aclose(self) -> None:
        """End the tasks and close the connection; the Redis client itself stays open, it is not ours."""
        await end(self._tasks)
        await self._hang_up()

    async def join(self, channel: str) -> None:
        """Hear `channel`: returns once Redis has confirmed, so that nothing published afterwards is missed.

        While Redis is away it waits for it; cancelling leaves the channel wanted until `leave`.
        """
        self._wanted.add(channel)
        self._some_wanted.set()
        waiter = self._waiters.get(channel)
        if waiter is None:
            waiter = self._waiters[channel] = asyncio.get_running_loop().create_future()
            if self._listening:
                try:
                    await self._subscribe([channel])
                except (RedisError, OSError) as error:
                    self._break(error)
        await asyncio.shield(waiter)

    async def leave(self, channel: str) -> None:
        """Hear it no more. Never raises."""
        self._wanted.discard(channel)
        self._deaf.discard(channel)
        if waiter := self._waiters.pop(channel, None):
            waiter.cancel()
        ears = [ear for ear in self._ears.values() if channel in ear.channels]
        for ear in ears:
            ear.channels.discard(channel)
            ear.heard.discard(channel)
            with contextlib.suppress(RedisError, OSError):
                await (ear.pubsub.sunsubscribe(channel) if self._sharded else ear.pubsub.unsubscribe(channel))
        self._maybe_up()

    def publish(self, channel: str, message: list[Any]) -> None:
        """Pass `message` on soon. Best effort: talk and head-counts only, never anything that must arrive."""
        # Raw strings, as the scripts' cmsgpack writes them, so that readers meet one form only.
        self._queue.append((channel, msgpack.packb(message, use_bin_type=False)))
        self._queued.set()

    # --- reading ----------------------------------------------------------------------------------------------------

    async def _read_for_ever(self) -> None:
        tries = 0
        while True:
            await self._some_wanted.wait()
            try:
                self._broken = asyncio.get_running_loop().create_future()
                await self._connect()
                tries = 0
                await self._broken
            except (RedisError, OSError, asyncio.IncompleteReadError) as error:
                log.warning("relay_down", error=type(error).__name__)
            finally:
                self._change(False)
                await self._hang_up()
            learn_anew(self._redis)
            tries += 1
            await self._clock.sleep(random.uniform(0.02, min(BACKOFF_SECONDS_MAX, 0.05 * 2**tries)))

    async def _connect(self) -> None:
        self._sharded = await shards_channels(self._redis)
        if self._sharded:
            await self._redis.ping()  # where all of it is away, nothing is asked channel by channel
        asked: set[str] = set()
        while late := self._wanted - asked:  # others come to be wanted while these are asked for
            asked |= late
            await self._subscribe(sorted(late))
        if self._wanted and not self._ears:
            raise RedisConnectionError("no node that has a show of ours answers")
        self._listening = True
        self._maybe_up()

    async def _subscribe(self, channels: list[str]) -> None:
        together: dict[_Ear, list[str]] = {}
        for channel in channels:
            try:
                together.setdefault(await self._ear_for(channel), []).append(channel)
            except (RedisError, OSError) as error:
                self._do_without([channel], error)
        for ear, names in together.items():
            ear.channels.update(names)
            try:
                await self._ask(ear, names)
            except (RedisError, OSError) as error:
                self._do_without(names, error)
                self._ears = {name: other for name, other in self._ears.items() if other is not ear}
                await ear.close(self._redis)

    async def _ask(self, ear: "_Ear", channels: list[str]) -> None:
        if not self._sharded:
            await ear.pubsub.subscribe(*channels)
        for name in channels if self._sharded else ():  # one SSUBSCRIBE takes no two slots
            await ear.pubsub.ssubscribe(name)
        if ear.reader is None:  # redis-py can read only from what has asked
            ear.reader = asyncio.create_task(self._read(ear), name="relay-ear")

    def _do_without(self, channels: list[str], error: Exception) -> None:
        if not self._sharded:
            raise error
        self._deaf.update(channels)
        learn_anew(self._redis)

    async def _ear_for(self, channel: str) -> "_Ear":
        async with self._opening:
            if not self._sharded and self._ears:
                return next(iter(self._ears.values()))
            node = await heard_at(self._redis, channel)
            name = node.name if node else ""
            ear = self._ears.get(name)
            if ear is None:
                client = listener(self._redis, node)
                ear = self._ears[name] = _Ear(client, client.pubsub(), self._clock.monotonic())
            return ear

    async def _read(self, ear: "_Ear") -> None:
        try:
            while True:
                message = await ear.pubsub.handle_message(  # type: ignore[no-untyped-call]
                    await ear.pubsub.parse_response(block=True)
                )
                ear.heard_at = self._clock.monotonic()
                if message is not None:
                    self._take(ear, message)
        except Exception as error:
            self._break(error)

    def _take(self, ear: "_Ear", message: dict[str, Any]) -> None:
        channel = message["channel"].decode() if message["channel"] else ""
        match message["type"]:
            case "message" | "smessage":
                self._deliver(channel, message["data"])
            case "pong" if ear.pinged_at is not None:
                self._on_lag(ear.heard_at - ear.pinged_at)
                ear.pinged_at = None
            case "subscribe" | "ssubscribe":
                ear.heard.add(channel)
                self._subscribed(channel)
            case "sunsubscribe" if channel in ear.channels:
                raise RedisConnectionError(f"{channel} has moved to another node")

    def _subscribed(self, channel: str) -> None:
        if channel in self._wanted:
            waiter = self._waiters.get(channel)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._maybe_up()

    def _maybe_up(self) -> None:
        """Up once all is heard that is wanted."""
        if self.up or not self._listening:
            return
        if self._ears and self._wanted - self._deaf <= {name for ear in self._ears.values() for name in ear.heard}:
            self._change(True)

    def _break(self, error: Exception) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)

    def _deliver(self, channel: str, data: bytes) -> None:
        try:
            message: list[Any] = msgpack.unpackb(data, raw=True)
            self._on_message(channel, message)
        except Exception:
            log.exception("relay_message_failed")

    def _change(self, up: bool) -> None:
        if up != self.up:
            self.up = up
            self._on_change(up)

    async def _hang_up(self) -> None:
        ears, self._ears = self._ears, {}
        self._listening = False
        self._deaf.clear()
        broken, self._broken = self._broken, None
        if broken is not None and not broken.cancel() and not broken.cancelled():
            broken.exception()  # seen: the break was met elsewhere first
        for ear in ears.values():
            await ear.close(self._redis)

    async def _watch_for_ever(self) -> None:
        """A connection that hears nothing, not even the answer to a ping, is broken without having said so."""
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            if not self.up:
                continue
            with contextlib.suppress(RedisError, OSError):
                await self._maybe_follow()
            for ear in list(self._ears.values()):
                with contextlib.suppress(RedisError, OSError):
                    if self._clock.monotonic() - ear.heard_at > SILENCE_SECONDS_MAX:
                        await _cut(ear.pubsub)
                    else:
                        # Its answer stands in line behind all that is told meanwhile: so it tells how late we hear.
                        ear.pinged_at = ear.pinged_at or self._clock.monotonic()
                        await ear.pubsub.ping()

    async def _maybe_follow(self) -> None:
        """A node that was cut off from its cluster goes on answering pings, and nobody publishes there any more; one
        that was away is back, or another has its shows."""
        if not self._sharded:
            return
        if self._deaf:
            learn_anew(self._redis)
        for channel in list(self._deaf):
            client = listener(self._redis, await heard_at(self._redis, channel))
            try:
                await client.ping()
                self._break(RedisConnectionError(f"{channel} is there again"))
                return
            except (RedisError, OSError):
                continue
            finally:
                await client.aclose()
        for name, ear in list(self._ears.items()):
            for channel in list(ear.channels):
                node = await heard_at(self._redis, channel)
                if node is not None and node.name != name:
                    self._break(RedisConnectionError(f"{channel} is heard elsewhere"))
                    return

    # --- sending ----------------------------------------------------------------------------------------------------

    async def _send_for_ever(self) -> None:
        while True:
            await self._queued.wait()
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            if not batch:
                self._queued.clear()
                continue
            try:
                await self._send(batch)
            except (RedisError, OSError):
                self.lost += len(batch)
                await self._clock.sleep(0.2)

    async def _send(self, batch: list[tuple[str, bytes]]) -> None:
        sharded = await shards_channels(self._redis)
        if as_cluster(self._redis) is not None and not sharded:
            for channel, data in batch:  # no pipeline of redis-py's takes a PUBLISH there
                await self._redis.publish(channel, data)
            return
        word = "SPUBLISH" if sharded else "PUBLISH"
        async with self._redis.pipeline(transaction=False) as together:
            for channel, data in batch:
                together.execute_command(word, channel, data)
            await together.execute()


@dataclass(eq=False)
class _Ear:
    """One connection that hears. `channels` were asked for on it, `heard` were confirmed."""

    client: Redis
    pubsub: PubSub
    heard_at: float
    channels: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    reader: asyncio.Task[None] | None = None
    pinged_at: float | None = None

    async def close(self, ours: Redis) -> None:
        if self.reader is not None:
            await end([self.reader])
        with contextlib.suppress(RedisError, OSError):
            await self.pubsub.aclose()  # type: ignore[no-untyped-call]
            if self.client is not ours:
                await self.client.aclose()


async def _cut(pubsub: PubSub) -> None:
    """Break the connection, so that the reader wakes with an error."""
    connection: Any = pubsub.connection
    if connection is not None:
        await connection.disconnect(nowait=True)
