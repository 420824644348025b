"""One connection to Redis on which the engine's script runs, one call at a time.

What arrives: a show and the packed batch. What leaves: the unpacked answer, or an error that says whether the outcome
is known. It owns its connection (redis-py's, without its retries: an unknown outcome is asked for again under the
same rid, by whoever asked) and is used by one task only. It does not know what the requests mean.
"""

import asyncio
import hashlib
from importlib import resources
from typing import Any

import hiredis
import msgpack
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from livecommerce.reservations import keys

# Longer than any pause a healthy Redis makes; a stopped one is told apart from a slow one here.
CALL_SECONDS_MAX = 5.0


class StoreAway(Exception):
    """Redis could not be reached, or cannot take writes now. What was asked may or may not have happened."""


class StoreBroken(Exception):
    """The script refused the whole batch: a broken promise of our own code. Nothing was written."""


# Answers of a Redis that will be able to help later; none of them ran the script.
_LATER = (
    AskError, BusyLoadingError, ClusterDownError, MasterDownError, MovedError, OutOfMemoryError, ReadOnlyError,
    TryAgainError,
)  # fmt: skip


class Script:
    """A `.lua` file and the hash Redis knows it by."""

    def __init__(self, name: str) -> None:
        self.body = resources.files(__package__).joinpath("lua", name).read_bytes()
        self.sha = hashlib.sha1(self.body, usedforsecurity=False).hexdigest().encode()


RESERVE = Script("reserve.lua")
OPEN_SHOW = Script("open_show.lua")


class Store:
    """The connection. `call` from one task at a time; `aclose` last."""

    def __init__(self, redis: Redis) -> None:
        pool = redis.connection_pool
        self._connection: AbstractConnection = pool.connection_class(**pool.connection_kwargs)
        self._connection.retry = Retry(NoBackoff(), 0)
        self._keys: dict[str, tuple[str, ...]] = {}

    async def aclose(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def call(self, show_id: str, batch: bytes) -> list[Any]:
        """The answer of `reserve.lua`, unpacked, text as bytes.

        Raises `StoreAway` (outcome unknown: ask again under the same rid) or `StoreBroken` (nothing was written).
        Cancelling it closes the connection: the next caller never reads this one's answer.
        """
        names = self._keys.get(show_id) or self._remember(show_id)
        raw = await self._run(RESERVE, names, batch)
        answer: list[Any] = msgpack.unpackb(raw, raw=True, strict_map_key=False)
        return answer

    async def open_show(self, show_id: str, epoch: str, limit: int | None = None) -> str:
        """Make the books of the show where they are missing, and set its limit where one is said; the epoch that
        holds."""
        arguments = (epoch.encode(), b"" if limit is None else b"%d" % limit)
        return (await self._run(OPEN_SHOW, (keys.meta(show_id),), *arguments)).decode()

    def _remember(self, show_id: str) -> tuple[str, ...]:
        if len(self._keys) >= 10_000:  # one process never serves so many shows at once; rebuilt when needed
            self._keys.clear()
        names = self._keys[show_id] = keys.engine_keys(show_id)
        return names

    async def _run(self, script: Script, names: tuple[str, ...], *arguments: bytes) -> bytes:
        try:
            try:
                return await self._ask(b"EVALSHA", script.sha, names, *arguments)
            except NoScriptError:
                return await self._ask(b"EVAL", script.body, names, *arguments)
        except _LATER as error:
            raise StoreAway(str(error)) from error
        except (RedisConnectionError, OSError, TimeoutError) as error:
            raise StoreAway(str(error)) from error
        except ResponseError as error:
            raise StoreBroken(str(error)) from error
        except RedisError as error:
            raise StoreAway(str(error)) from error

    async def _ask(self, command: bytes, script: bytes, names: tuple[str, ...], *arguments: bytes) -> bytes:
        connection = self._connection
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                if not connection.is_connected:
                    await connection.connect()  # type: ignore[no-untyped-call]
                words: tuple[Any, ...] = (command, script, len(names), *names, *arguments)
                packed = hiredis.pack_command(words)
                await connection.send_packed_command(packed, check_health=False)
                answer: bytes = await connection.read_response(disable_decoding=True)
                return answer
        except ResponseError:
            raise
        except BaseException:
            # The connection may still carry an answer that nobody waits for: it must never be read by another.
            await connection.disconnect(nowait=True)
            raise
