"""The draw of a deal, carried out: its window ended, its entrants read, its places given part by part.

What arrives: a deal, its seed and salt. What leaves: requests of the script, and how the draw stands. Who is in it is
fixed by the first call, and the order is a function of that (`draw.py`), so any number of workers may carry it on. It
knows no SQL: what is to be written down before anybody has a place is the caller's `fix`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce.errors import R, Refused
from livecommerce.reservations import answers, keys, verbs
from livecommerce.reservations.batcher import BUSY_AFTER_MS, Batcher, BatcherPerShow, Finish, Reply
from livecommerce.reservations.draw import order_of, root_and_order
from livecommerce.reservations.pulling import ASKED_TOGETHER, Pulling
from livecommerce.reservations.relay_format import viewer_and_rid
from livecommerce.reservations.states import DrawPhase
from livecommerce.reservations.witnesses import LEDGER, LEVEL

# Entrants that one call gives their places, and that one question to Redis lists: either keeps it near 1 ms.
_DRAWN_PER_CALL = 32
_ENTRANTS_PER_PAGE = 1000
# Looks in a row at a draw that another worker carries on with, before this one leaves it to the next turn.
_DRAW_LOOKS_MAX = 8


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the draw of a deal stands. `drawn` entrants have their place; `waiting` of them got no unit then. `root`
    is what all entrants come to in one hash, "" before the first has a place. Tickets above `base` are drawn ones.
    `in_ledger`: "held" may be told only once its row is committed."""

    phase: DrawPhase
    entrants: int
    base: int
    drawn: int
    waiting: int
    root: str
    in_ledger: bool


Fix = Callable[[str, int, int], Awaitable[None]]  # root, entrants, the ticket before the first drawn one


class Draws:
    """The engine's, and as long-lived."""

    def __init__(
        self,
        redis: Redis,
        batcher: Batcher | BatcherPerShow,
        pulling: Pulling,
        holds_of: Callable[[str, str], Awaitable[Any]],
    ) -> None:
        self._redis = redis
        self._batcher = batcher
        self._pulling = pulling
        self._holds_of = holds_of

    async def draw(self, show_id: str, deal_id: str, seed: str, salt: str, fix: Fix | None = None) -> Drawing:
        """As `ReservationEngine.draw`."""
        stands = await self._batcher.ask(show_id, (verbs.END_WINDOW, deal_id), _stands(deal_id))
        looks = 0
        while stands.phase == DrawPhase.DRAWING:
            if looks == _DRAW_LOOKS_MAX:
                raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS)
            stands, given = await self._carry_on(show_id, deal_id, stands, seed, salt, fix)
            looks = 0 if given else looks + 1
        if stands.phase == DrawPhase.DRAWN and stands.in_ledger:
            await self._tell_drawn(show_id, deal_id)
        return stands

    async def _carry_on(
        self, show_id: str, deal_id: str, stands: Drawing, seed: str, salt: str, fix: Fix | None
    ) -> tuple[Drawing, bool]:
        """Serve the rest of a draw, part by part, until it is made or stands elsewhere than expected; and whether any
        part went through. Who is outrun each time gives up, so of several workers one always stays."""
        left = await self._entrants(show_id, deal_id, stands.base)
        if stands.root:
            order = await asyncio.to_thread(order_of, seed, stands.root, list(left))
            root = stands.root
        elif len(left) == stands.entrants:
            entrants = {ticket: viewer_and_rid(key)[0] for ticket, key in left.items()}
            root, order = await asyncio.to_thread(root_and_order, seed, salt, entrants)
        else:  # somebody else has begun to give places meanwhile, and has told the root
            return await self._batcher.ask(show_id, (verbs.END_WINDOW, deal_id), _stands(deal_id)), False
        if fix is not None:
            await fix(root, stands.entrants, stands.base)
        given = False
        for first in range(0, len(order), _DRAWN_PER_CALL):
            part = [left[ticket] for ticket in order[first : first + _DRAWN_PER_CALL]]
            request = (verbs.DRAW, deal_id, root, stands.drawn, *part)
            # Not to be seen from the numbers: who read the entrants late may have asked for a later part than was due,
            # and find that another has just given as many.
            stands, ours = await self._batcher.ask(show_id, request, _part(deal_id))
            given = given or ours
            if not ours or stands.phase != DrawPhase.DRAWING:
                break
        return stands, given

    async def _tell_drawn(self, show_id: str, deal_id: str) -> None:
        """At level `ledger` the draw itself tells nobody "held": asked for as in a welcome, each hold is written down
        and then told. Not knowing whom an earlier try reached, it asks for all who hold; those cost no second row."""
        viewers = list(dict.fromkeys(viewer_id for viewer_id, _ in await self._pulling.unpaid_of(show_id, deal_id)))
        for first in range(0, len(viewers), ASKED_TOGETHER):
            some = viewers[first : first + ASKED_TOGETHER]
            await asyncio.gather(*(self._holds_of(show_id, viewer_id) for viewer_id in some))

    async def _entrants(self, show_id: str, deal_id: str, up_to: int) -> dict[int, bytes]:
        """Arrival ticket → viewer/rid of those in the draw who have no place yet; they stand in the wait-list."""
        entrants: dict[int, bytes] = {}
        after, end = f"[{deal_id}:".encode(), f"({deal_id}:{up_to + 1:016d}".encode()
        name = keys.waits(show_id)
        try:
            while True:
                page: Any = await self._redis.zrangebylex(name, after, end, start=0, num=_ENTRANTS_PER_PAGE)
                for member in page:
                    _, ticket, key = member.split(b":", 2)
                    entrants[int(ticket)] = key
                if len(page) < _ENTRANTS_PER_PAGE:
                    return entrants
                after = b"(" + page[-1]
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=BUSY_AFTER_MS) from error


def _part(deal_id: str) -> Finish[tuple[Drawing, bool]]:
    """How the draw stands, and whether this very call gave the places it names."""
    stands = _stands(deal_id)
    return lambda answer, reply: (stands(answer, reply), len(answer) == 8)


def _stands(deal_id: str) -> Finish[Drawing]:
    def finish(answer: list[Any], reply: Reply) -> Drawing:
        if answer[0] == answers.UNKNOWN_DEAL:
            raise Refused(R.UNKNOWN_DEAL, facts={"deal_id": answer[1].decode()})
        answers.done(answer, reply)
        _, phase, entrants, base, drawn, waiting, root, *_ours = answer
        in_ledger = reply.levels[deal_id.encode()][LEVEL] == LEDGER
        return Drawing(DrawPhase(phase), entrants, base, drawn, waiting, root.decode(), in_ledger)

    return finish
