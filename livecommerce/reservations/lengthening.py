"""A break of the show: everything that is held or offered then lasts longer by it.

What arrives: a show, the number of its break and how long that was. What leaves: calls of the script until none of the
holds is left, then the witnesses of level `ledger` with their new ends. Each call moves some hundred holds and notes in
Redis how far it came, in one step; so a process may die between any two of them, and whoever asks again under the same
number goes on there. It does not know why the show was interrupted.
"""

from dataclasses import dataclass
from typing import Any

from livecommerce.clock import Clock
from livecommerce.reservations import answers, verbs
from livecommerce.reservations.batcher import Batcher, BatcherPerShow, Reply
from livecommerce.reservations.pulling import Pulling
from livecommerce.reservations.relay_format import AT, DUE, LINES, record, state_of
from livecommerce.reservations.states import State
from livecommerce.reservations.witnesses import LEDGER, LEVEL, Witnesses

BREAK_MS_MIN, BREAK_MS_MAX = 1000, 3_600_000  # as the script has them
_ROWS_TOGETHER = 256
# A record tells its end as it stood at its own instant: told later, the end would be told as later than it is. Whoever
# is not told now hears it in her next welcome.
_FRESH_MS = 1000


@dataclass(frozen=True, slots=True)
class Lengthened:
    """Of one break: holds that end later, and holds that a cap on the time held kept from it."""

    holds: int
    capped: int


class Lengthening:
    """The engine's, and as long-lived."""

    def __init__(self, batcher: Batcher | BatcherPerShow, pulling: Pulling, witnesses: Witnesses, clock: Clock) -> None:
        self._batcher = batcher
        self._pulling = pulling
        self._witnesses = witnesses
        self._clock = clock

    async def lengthen(self, show_id: str, number: int, break_ms: int) -> Lengthened:
        """As `ReservationEngine.lengthen`."""
        more = True
        while more:
            done, more = await self._batcher.ask(show_id, (verbs.LENGTHEN, number, break_ms), _stands)
        hold_clock_ms, of_ledger = await self._batcher.ask(show_id, (verbs.LEVELS,), _clock_and_ledger_deals)
        if of_ledger:
            await self._move_witnesses(show_id, hold_clock_ms, of_ledger)
        return done

    async def _move_witnesses(self, show_id: str, hold_clock_ms: int, of_ledger: frozenset[bytes]) -> None:
        """The script tells nobody "held" at level `ledger`: the rows get the new ends, and whose row is there is told.
        Ends are set and not added to, so that doing it twice is doing it once."""
        now_ms = self._clock.now_ms()
        held = {key: raw async for key, raw in self._pulling.unpaid(show_id) if _is_held_of(raw, of_ledger)}
        found = list(held.items())
        for first in range(0, len(found), _ROWS_TOGETHER):
            some = found[first : first + _ROWS_TOGETHER]
            ends = {key: now_ms + record(raw)[DUE] - hold_clock_ms for key, raw in some}
            told = [(*key, raw) for key, raw in some if hold_clock_ms - record(raw)[AT] < _FRESH_MS]
            await self._witnesses.move_ends(show_id, ends, told)


def _is_held_of(raw: bytes, of_ledger: frozenset[bytes]) -> bool:
    # A cart promises what its weakest line does.
    return state_of(raw) == State.HELD and of_ledger.issuperset(record(raw)[LINES::2])


def _stands(answer: list[Any], reply: Reply) -> tuple[Lengthened, bool]:
    answers.done(answer, reply)
    return Lengthened(answer[1], answer[2]), bool(answer[3])


def _clock_and_ledger_deals(_answer: list[Any], reply: Reply) -> tuple[int, frozenset[bytes]]:
    return reply.hold_clock_ms, frozenset(deal for deal, level in reply.levels.items() if level[LEVEL] == LEDGER)
