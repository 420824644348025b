"""What one process tells a rebuild: all that it has acknowledged, and the proofs that viewers hand in.

What arrives: nothing but time, and windows that somebody opens in Redis. What leaves: pieces of testimony there, behind
every call of this process that may still be answered. It decides nothing: `evidence` does.
"""

from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.reservations import keys, verbs
from livecommerce.reservations.batcher import BUSY_AFTER_MS, Batcher, BatcherPerShow
from livecommerce.reservations.memory import Testimony

log = structlog.get_logger(__name__)

# How often a process looks whether somebody rebuilds a show's books: many times in the shortest sensible window.
_TESTIFY_SECONDS = 0.23
_TESTIMONY_SECONDS = 600


class Testifier:
    """One per process that asks for anything. Its memory is the batcher's."""

    def __init__(self, redis: Redis, batcher: Batcher | BatcherPerShow, clock: Clock) -> None:
        self._redis = redis
        self._batcher = batcher
        self._clock = clock
        self._testified: dict[str, int] = {}  # show → generation of the rebuild that was told all we remember

    async def testify(self) -> int:
        """Tell every rebuild whose window is open what this process remembers, all of it once and proofs as they come.
        The number of shows for which something was told. Raises `Refused(BUSY)`: again later, nothing is told twice
        that matters."""
        memory = self._batcher.memory
        if not memory:
            return 0
        try:
            windows: dict[Any, Any] = await self._redis.hgetall(keys.REBUILDS)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        told = 0
        for name, generation in windows.items():
            told += await self._testify_in(name.decode(), int(generation))
        return told

    async def _testify_in(self, show_id: str, generation: int) -> bool:
        memory = self._batcher.memory
        pieces: list[Testimony] = []
        if self._testified.get(show_id) != generation:
            # Through the batcher, behind every call of ours that may still be answered: what comes back is complete.
            try:
                await self._batcher.ask(show_id, (verbs.LEVELS,), lambda _answer, _reply: None)
                return False  # it counts again already
            except Refused as refused:
                if refused.why is not R.REBUILDING:
                    raise
            pieces += memory.testimony(show_id)
        if proofs := memory.take_proofs(show_id):
            pieces.append(Testimony(0, 0, 0, (), tuple(proofs)))
        if not pieces:
            return False
        key = keys.testimony(show_id, generation)
        try:
            for piece in pieces:
                await self._redis.rpush(key, msgspec.msgpack.encode(piece))
            await self._redis.expire(key, _TESTIMONY_SECONDS)
        except (RedisError, OSError) as error:
            for proof in proofs:
                memory.prove(proof)
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error
        self._testified[show_id] = generation
        return True

    async def testify_forever(self) -> None:
        """`testify` again and again until cancelled: every process that asks this engine for anything runs it."""
        while True:
            await self._clock.sleep(_TESTIFY_SECONDS)
            try:
                await self.testify()
            except Refused as refused:
                log.info("testimony_waits", why=refused.why.value.word)
            except Exception:
                log.exception("testimony_failed")
