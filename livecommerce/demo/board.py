"""What the demo's page and its director tell each other, through Redis.

What leaves: the shapes, and four small functions. The page's process writes wishes and reads the board; the director
reads wishes and writes the board. Neither knows the other.
"""

from typing import Literal

import msgspec
from redis.asyncio import Redis

from livecommerce.reservations.keys import DEMO_BOARD, DEMO_WISHES

Phase = Literal["preparing", "story", "sum"]


BuyersPhase = Literal["away", "joining", "tapping", "over", "failed"]


class Buyers(msgspec.Struct, frozen=True):
    """The crowd that "Send 500 buyers" sends. `joined` of `total` are in the room, `done` have their answer: `held`,
    `sold_out`, or, where neither word came back, unanswered. `oversold` counts units held beyond those there were."""

    phase: BuyersPhase = "away"
    total: int = 0
    joined: int = 0
    done: int = 0
    held: int = 0
    sold_out: int = 0
    oversold: int = 0
    slowest_ms: int = 0

    @property
    def running(self) -> bool:
        return self.phase in ("joining", "tapping")


class Board(msgspec.Struct, frozen=True):
    """The sum of the round that runs. `slowest_answer_ms` is from a player's tap to her answer, over real sockets."""

    show_id: str = ""
    phase: Phase = "preparing"
    story_began_ms: int = 0
    rearm_at_ms: int = 0
    units: int = 0
    taps: int = 0
    held: int = 0
    sold: int = 0
    oversold: int = 0
    waiting: int = 0
    slowest_answer_ms: int = 0
    buyers: Buyers = Buyers()


class Wish(msgspec.Struct, frozen=True):
    """A visitor arrived (`rival_id` is the viewer whom the director plays), or pressed "Send 500 buyers"."""

    kind: Literal["arrived", "buyers"]
    visitor_id: str = ""
    rival_id: str = ""
    count: int = 0


_board = msgspec.json.Decoder(Board)
_wish = msgspec.json.Decoder(Wish)
# A director that is away must not come back to a crowd of old wishes.
_WISHES_MAX = 50


async def read_board(redis: Redis) -> Board:
    """What the director wrote last; an empty board before it did."""
    raw = await redis.get(DEMO_BOARD)
    return _board.decode(raw) if raw else Board()


async def write_board(redis: Redis, board: Board) -> None:
    await redis.set(DEMO_BOARD, msgspec.json.encode(board))


async def wish(redis: Redis, wanted: Wish) -> None:
    await redis.rpush(DEMO_WISHES, msgspec.json.encode(wanted))
    await redis.ltrim(DEMO_WISHES, -_WISHES_MAX, -1)


async def next_wish(redis: Redis, timeout_seconds: float) -> Wish | None:
    """The oldest wish, or None after `timeout_seconds` without one."""
    taken = await redis.blpop([DEMO_WISHES], timeout=timeout_seconds)
    return _wish.decode(taken[1]) if taken else None
