"""The relay: one Redis pub/sub connection that joins the rooms of all processes.

What arrives: messages of the channels of shows that have viewers here, and talk and head-counts to pass on. What
leaves: each message, unpacked, to one callback, in the order Redis sent it; "up" and "down". Pub/sub is at-most-once:
after every break whoever listens must compare positions and fill the hole, which is what "up" is for.
It does not know what a message means.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import msgpack
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from livecommerce.clock import Clock

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
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._on_message = on_message
        self._on_change = on_change
        self._wanted: set[str] = set()
        self._some_wanted = asyncio.Event()
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._pubsub: PubSub | None = None
        self._queue: deque[tuple[str, bytes]] = deque(maxlen=QUEUE_MAX)
        self._queued = asyncio.Event()
        self._heard_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self.up = False
        self.lost = 0  # messages of ours that Redis never got

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._read_for_ever(), name="relay-read"),
            asyncio.create_task(self._send_for_ever(), name="relay-send"),
            asyncio.create_task(self._watch_for_ever(), name="relay-watch"),
        ]

    async def aclose(self) -> None:
        """End the tasks and close the connection; the Redis client itself stays open, it is not ours."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
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
            if self._pubsub is not None and self.up:
                with contextlib.suppress(RedisError, OSError):  # the reader meets the same break and starts over
                    await self._pubsub.subscribe(channel)
        await asyncio.shield(waiter)

    async def leave(self, channel: str) -> None:
        """Hear it no more. Never raises."""
        self._wanted.discard(channel)
        if waiter := self._waiters.pop(channel, None):
            waiter.cancel()
        if self._pubsub is not None and self.up:
            with contextlib.suppress(RedisError, OSError):
                await self._pubsub.unsubscribe(channel)

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
                await self._connect()
                tries = 0
                await self._read()
            except (RedisError, OSError, asyncio.IncompleteReadError) as error:
                log.warning("relay_down", error=type(error).__name__)
            finally:
                self._change(False)
                await self._hang_up()
            tries += 1
            await self._clock.sleep(random.uniform(0.02, min(BACKOFF_SECONDS_MAX, 0.05 * 2**tries)))

    async def _connect(self) -> None:
        pubsub = self._pubsub = self._redis.pubsub()
        await pubsub.subscribe(*sorted(self._wanted))
        self._heard_at = self._clock.monotonic()

    async def _read(self) -> None:
        pubsub = self._pubsub
        assert pubsub is not None
        while True:
            message = await pubsub.handle_message(  # type: ignore[no-untyped-call]
                await pubsub.parse_response(block=True)
            )
            self._heard_at = self._clock.monotonic()
            if message is None:
                continue
            if message["type"] == "message":
                self._deliver(message["channel"].decode(), message["data"])
            elif message["type"] == "subscribe":
                await self._subscribed(pubsub, message["channel"].decode())

    async def _subscribed(self, pubsub: PubSub, channel: str) -> None:
        if channel in self._wanted:
            waiter = self._waiters.get(channel)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        if not self.up:
            self._change(True)
            # Channels asked for while this connection was being made.
            if late := self._wanted - {name.decode() for name in pubsub.channels}:
                await pubsub.subscribe(*sorted(late))

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
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _watch_for_ever(self) -> None:
        """A connection that hears nothing, not even the answer to a ping, is broken without having said so."""
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            if self._pubsub is None or not self.up:
                continue
            with contextlib.suppress(RedisError, OSError):
                if self._clock.monotonic() - self._heard_at > SILENCE_SECONDS_MAX:
                    await _cut(self._pubsub)
                else:
                    await self._pubsub.ping()

    # --- sending ----------------------------------------------------------------------------------------------------

    async def _send_for_ever(self) -> None:
        while True:
            await self._queued.wait()
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            if not batch:
                self._queued.clear()
                continue
            try:
                async with self._redis.pipeline(transaction=False) as together:
                    for channel, data in batch:
                        together.publish(channel, data)
                    await together.execute()
            except (RedisError, OSError):
                self.lost += len(batch)
                await self._clock.sleep(0.2)


async def _cut(pubsub: PubSub) -> None:
    """Break the connection, so that the reader wakes with an error."""
    connection: Any = pubsub.connection
    if connection is not None:
        await connection.disconnect(nowait=True)
