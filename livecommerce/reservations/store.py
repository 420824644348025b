"""The engine's scripts, by name: what each is asked, and what an answer that is none means.

What arrives: a show and the packed batch. What leaves: the unpacked answer, or an error that says whether the outcome
is known. `wires.py` owns the connections and finds the server. It does not know what the requests mean.
"""

from collections.abc import Sequence
from typing import Any

import msgpack
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from livecommerce.reservations import keys
from livecommerce.reservations.wires import Script, wires_to

# Some microseconds each: far below the millisecond that one script may hold Redis.
TOLD_PER_CALL = 256


class StoreAway(Exception):
    """Redis could not be reached, or cannot take writes now. What was asked may or may not have happened."""


class StoreBroken(Exception):
    """The script refused the whole batch: a broken promise of our own code. Nothing was written."""


# Answers of a Redis that will be able to help later: it loads, is a replica, is full, may not write without its disk or
# its replicas, is busy with a script, or the slot is elsewhere. None of them ran ours: the first write of a script is
# where the server says so, and before 7.0 the word stands in the middle of an "ERR Error running script".
_LATER = (
    "ASK", "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "MOVED", "NOREPLICAS", "OOM", "READONLY",
    "TRYAGAIN", "UNBLOCKED",
)  # fmt: skip


RESERVE = Script("reserve.lua")
OPEN_SHOW = Script("open_show.lua")
WITNESSED = Script("witnessed.lua")


class Store:
    """The scripts, and the wires they go by. `calls_max` calls of one show at once keep their order. `aclose` last."""

    def __init__(self, redis: Redis) -> None:
        self._wires = wires_to(redis)
        self.calls_max = self._wires.questions_max
        self._keys: dict[str, tuple[str, ...]] = {}

    async def aclose(self) -> None:
        await self._wires.aclose()

    async def call(self, show_id: str, batch: bytes) -> list[Any]:
        """The answer of `reserve.lua`, unpacked, text as bytes.

        Raises `StoreAway` (outcome unknown: ask again under the same rid) or `StoreBroken` (nothing was written).
        Cancelling it closes the connection: the next caller never reads this one's answer, and a call beside it is
        `StoreAway`.
        """
        names = self._keys.get(show_id) or self._remember(show_id)
        raw = await self._run(RESERVE, names, batch)
        answer: list[Any] = msgpack.unpackb(raw, raw=True, strict_map_key=False)
        return answer

    async def open_show(self, show_id: str, epoch: str, limit: int | None = None) -> str:
        """Make the books of the show where they are missing, and set its limit where one is said; the epoch that
        holds. With no epoch none are made, nor while a rebuild is to make them: "" where there are none."""
        arguments = (epoch.encode(), b"" if limit is None else b"%d" % limit)
        names = (keys.meta(show_id), keys.rebuild(show_id))
        return (await self._run(OPEN_SHOW, names, *arguments)).decode()

    async def tell_witnessed(self, show_id: str, told: Sequence[tuple[str, str, bytes]]) -> None:
        """Let everybody in the show know of holds that are committed in SQL; (viewer_id, rid, record) of each."""
        for first in range(0, len(told), TOLD_PER_CALL):
            some = msgpack.packb(told[first : first + TOLD_PER_CALL], use_bin_type=False)
            await self._run(WITNESSED, (keys.rids(show_id), keys.channel(show_id)), some)

    def _remember(self, show_id: str) -> tuple[str, ...]:
        if len(self._keys) >= 10_000:  # one process never serves so many shows at once; rebuilt when needed
            self._keys.clear()
        names = self._keys[show_id] = keys.engine_keys(show_id)
        return names

    async def _run(self, script: Script, names: tuple[str, ...], *arguments: bytes) -> bytes:
        try:
            return await self._wires.ask(script, names, *arguments)
        except (RedisConnectionError, OSError, TimeoutError) as error:
            raise StoreAway(str(error)) from error
        except ResponseError as error:
            raise (StoreAway if _is_later(error) else StoreBroken)(str(error)) from error
        except RedisError as error:
            raise StoreAway(str(error)) from error


def _is_later(error: ResponseError) -> bool:
    # redis-py has the first word apart where it knows it, and leaves it in the text where it does not.
    words = f"{error.status_code or ''} {error}".replace("-", " ").split()
    return any(word in words for word in _LATER)
