"""Reads of many callers as one read: keys that come while a read is under way go together in the next.

What arrives: single keys. What leaves: each key's value, read after it was asked for: a key never joins a read that has
begun, so nobody gets an answer older than the question. Alone, a key is read at once; only between two reads there is a
moment in which keys gather. A crowd that comes in together asks the ledger the same few questions about each viewer;
one by one they cost milliseconds each. It knows no table.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from livecommerce.errors import R, Refused

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# SQLite takes 32,766 parameters in a statement; beyond some hundred keys a read's own price is spread thin already.
KEYS_MAX = 256
# At a thousand keys a second five go together instead of one or two, and nobody notices the wait.
PAUSE_SECONDS = 0.004
# All wait behind the read that is under way; one that hangs must not hold the door shut for ever.
READ_SECONDS_MAX = 10.0


class Gathered(Generic[K, V]):
    """`fetch` gets distinct keys, at most `KEYS_MAX`, and must answer each of them."""

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._fetch = fetch
        self._next: dict[K, list[asyncio.Future[V]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V:
        """The value of `key`. Raises what `fetch` raised for the read it went with, `Refused(UNAVAILABLE)` where that
        read hung or was ended. Cancelling one caller takes nothing from the others."""
        # A future for each caller: one that is cancelled cancels its own.
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._next.setdefault(key, []).append(answer)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="gathered-reads")
        return await answer

    async def _read(self) -> None:
        try:
            while self._next:
                await self._read_once()
                await asyncio.sleep(PAUSE_SECONDS)
        except asyncio.CancelledError:
            _fail(self._next.values(), Refused(R.UNAVAILABLE, after_ms=1000))
            self._next.clear()
            raise

    async def _read_once(self) -> None:
        keys = tuple(self._next)[:KEYS_MAX]
        asked = {key: self._next.pop(key) for key in keys}
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                found = await self._fetch(keys)
            answers = {key: found[key] for key in keys}
        except TimeoutError:
            _fail(asked.values(), Refused(R.UNAVAILABLE, after_ms=1000))
        except asyncio.CancelledError:
            _fail(asked.values(), Refused(R.UNAVAILABLE, after_ms=1000))
            raise
        except Exception as error:
            _fail(asked.values(), error)
        else:
            for key, futures in asked.items():
                for future in futures:
                    if not future.done():
                        future.set_result(answers[key])


def _fail(asked: Iterable[list["asyncio.Future[V]"]], error: Exception) -> None:
    for future in itertools.chain.from_iterable(asked):
        if not future.done():
            future.set_exception(error)
