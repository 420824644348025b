"""The side of Redis of a rebuild: claim, hear the witnesses, stage the new books in pieces, put them in place at once.

What arrives: a show, the generation of the rebuild, books made anew. What leaves: words: claimed, open, older,
installed. Pieces are small, so that other shows are served in between. It does not know how the books were found out.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
from redis.asyncio import Redis

from livecommerce.reservations import keys
from livecommerce.reservations.anew import BooksAnew, pack
from livecommerce.reservations.memory import Testimony
from livecommerce.reservations.wires import Script

PIECE_FIELDS = 1000
_PIECES_OF_TESTIMONY = 10

CLAIM = Script("claim_rebuild.lua")
INSTALL = Script("install_rebuild.lua")
_SORTED_SETS = ("waits", "paying")


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the old `meta` still knows; all 0 where there is none."""

    seq: int
    ticket: int
    hold_clock_ms: int
    at_ms: int
    counts: bytes


class RebuildStore:
    """Every method may raise redis-py's errors: the rebuild then begins anew under a new generation."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def needs_rebuild(self, show_id: str) -> str:
        """ "missing", "paused", or "" where the books are well."""
        epoch, paused = await self._redis.hmget(keys.meta(show_id), "epoch", "paused")
        if epoch is None:
            return "missing"
        return "paused" if paused else ""

    async def claim(self, show_id: str, generation: int) -> Claimed | str:
        """The right to rebuild, or the word why not. What an earlier try left staged goes."""
        names = (keys.meta(show_id), keys.rebuild(show_id))
        word, before, seq, ticket, clock, last, counts = await self._run(CLAIM, names, str(generation))
        if word != b"claimed":
            return str(word.decode())
        if before and before != generation:
            await self._redis.unlink(*keys.staged(show_id, before))
        return Claimed(int(seq), int(ticket), int(clock), int(last), counts)

    async def open_window(self, show_id: str, generation: int) -> None:
        """From now on processes tell what they remember, and the room's pages what they can prove."""
        await self._redis.hset(keys.REBUILDS, show_id, str(generation))
        await self._redis.publish(keys.channel(show_id), pack(["rebuild", 1]))

    async def close_window(self, show_id: str) -> None:
        await self._redis.hdel(keys.REBUILDS, show_id)

    async def testimonies(self, show_id: str, generation: int) -> AsyncIterator[Testimony]:
        """Every piece that was told for this rebuild."""
        name, first = keys.testimony(show_id, generation), 0
        while True:
            pieces: list[Any] = await self._redis.lrange(name, first, first + _PIECES_OF_TESTIMONY - 1)
            if not pieces:
                return
            first += len(pieces)
            for piece in pieces:
                yield msgspec.msgpack.decode(piece, type=Testimony)

    async def stage(self, show_id: str, generation: int, books: BooksAnew) -> None:
        """Write the books where nobody looks."""
        names = keys.staged(show_id, generation)
        await self._redis.unlink(*names)
        for book, name in zip(keys.BOOKS, names, strict=True):
            rows = list(books.hashes[book].items())
            for first in range(0, len(rows), PIECE_FIELDS):
                piece: Any = dict(rows[first : first + PIECE_FIELDS])
                if book in _SORTED_SETS:
                    await self._redis.zadd(name, piece)
                else:
                    await self._redis.hset(name, mapping=piece)

    async def install(
        self, show_id: str, generation: int, books: BooksAnew, *, epoch: str, seq: int, hold_clock_ms: int,
        ticket: int, counts: bytes, limit: int,
    ) -> tuple[str, int]:  # fmt: skip
        """(word, seq): "installed" and the number at which the new epoch begins, or why not."""
        pairs = zip(keys.books(show_id), keys.staged(show_id, generation), strict=True)
        names = (
            keys.meta(show_id),
            keys.rebuild(show_id),
            keys.tips(show_id),
            *(key for pair in pairs for key in pair),
        )
        # Watched first: books that are there while no worker knows of them would end no hold.
        await self._redis.sadd(keys.SHOWS, show_id)
        word, at = await self._run(
            INSTALL, names, str(generation), epoch, str(seq), str(hold_clock_ms), str(ticket), books.queues, counts,
            books.todo, str(limit),
        )  # fmt: skip
        return word.decode(), int(at)

    async def tell(self, show_id: str, seq: int, books: BooksAnew, ended: list[tuple[str, str, bytes]]) -> None:
        """The room hears the new numbers, those who lost something hear that, and all that counting is over."""
        channel = keys.channel(show_id)
        await self._redis.publish(channel, pack(["engine", seq, books.levels, ended]))
        await self._redis.publish(channel, pack(["rebuild", 0]))

    async def _run(self, script: Script, names: tuple[str, ...], *arguments: str | bytes) -> Any:
        # Rare: the script is sent whole instead of by its hash.
        return await self._redis.eval(script.body.decode(), len(names), *names, *arguments)
