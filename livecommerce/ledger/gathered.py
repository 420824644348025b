"""Reads of many callers as one read: keys that come while a read is under way go together in the next.

What arrives: single keys. What leaves: each key's value, read after it was asked for: a key never joins a read that has
begun, so nobody gets an answer older than the question. No timer: alone, a key is read at once. A crowd that comes in
at the same moment asks the ledger the same few questions about each viewer; one by one they cost milliseconds each.
It knows no table.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# SQLite takes 32,766 parameters in a statement; beyond some hundred keys a read's own price is spread thin already.
KEYS_MAX = 256


class Gathered(Generic[K, V]):
    """`fetch` gets distinct keys, at most `KEYS_MAX`, and must answer each of them."""

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._fetch = fetch
        self._next: dict[K, asyncio.Future[V]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V:
        """The value of `key`. Raises what `fetch` raised for the read it went with. Cancelling one caller takes
        nothing from the others."""
        answer = self._next.get(key)
        if answer is None:
            answer = self._next[key] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="gathered-reads")
        return await asyncio.shield(answer)

    async def _read(self) -> None:
        while self._next:
            keys = tuple(self._next)[:KEYS_MAX]
            asked = {key: self._next.pop(key) for key in keys}
            try:
                found = await self._fetch(keys)
                answers = [found[key] for key in keys]
            except Exception as error:
                for future in asked.values():
                    future.set_exception(error)
                    future.exception()  # a caller that was cancelled never looks
                continue
            for future, value in zip(asked.values(), answers, strict=True):
                future.set_result(value)
