"""The states of a hold and the moves between them, as one table.

What leaves: the numbers that Redis stores, the words that people and messages see, and `MOVES`, which says for every
state what a move makes of it. The script, the reference model and the tests all follow this table. It knows nothing of
stock, clocks or storage.
"""

import enum
from types import MappingProxyType
from typing import Literal

from livecommerce.protocol.facts import HoldState


class State(enum.IntEnum):
    """Stored as these numbers in Redis and in the journal: never renumber."""

    ENTERED = 0  # in a draw that was not made yet
    WAITING = 1
    OFFERED = 2
    HELD = 3
    PAYING = 4
    CONFIRMED = 5
    RELEASED = 6
    EXPIRED = 7
    LAPSED = 8
    CANCELLED = 9

    @property
    def word(self) -> HoldState:
        return WORDS[self]


WORDS: dict[int, HoldState] = {
    State.ENTERED: "entered",
    State.WAITING: "waiting",
    State.OFFERED: "offered",
    State.HELD: "held",
    State.PAYING: "paying",
    State.CONFIRMED: "confirmed",
    State.RELEASED: "released",
    State.EXPIRED: "expired",
    State.LAPSED: "lapsed",
    State.CANCELLED: "cancelled",
}

LIVE = frozenset({State.ENTERED, State.WAITING, State.OFFERED, State.HELD, State.PAYING})
ENDED = frozenset({State.RELEASED, State.EXPIRED, State.LAPSED, State.CANCELLED})
# Units of these states are counted in `held` of their deal; PAYING in `paying`, CONFIRMED in `sold`.
IN_HELD = frozenset({State.OFFERED, State.HELD})


class Move(enum.Enum):
    """What can be asked of a hold that exists."""

    DRAW = "draw"  # her place in the draw's order came while units for her were left
    DRAW_LATER = "draw_later"  # it came when they were not
    OFFER = "offer"
    ACCEPT = "accept"
    RELEASE = "release"
    RUN_OUT = "run_out"  # its time on the hold clock is over, or its deal closes while it waits
    BEGIN_PAY = "begin_pay"
    PULL = "pull"  # the shop takes its deal back and cancels what is not being paid
    SETTLE = "settle"
    FREE_EXPIRED = "free_expired"
    FREE_CANCELLED = "free_cancelled"
    REACQUIRE = "reacquire"


S, M = State, Move

# (state, move) → state. What is absent is either an answer with the state as it is, or a refusal: see the engine.
MOVES: MappingProxyType[tuple[State, Move], State] = MappingProxyType(
    {
        (S.ENTERED, M.DRAW): S.HELD,
        (S.ENTERED, M.DRAW_LATER): S.WAITING,
        (S.ENTERED, M.RELEASE): S.RELEASED,
        (S.ENTERED, M.RUN_OUT): S.LAPSED,
        (S.WAITING, M.OFFER): S.OFFERED,
        (S.WAITING, M.RELEASE): S.RELEASED,
        (S.WAITING, M.RUN_OUT): S.LAPSED,
        (S.OFFERED, M.ACCEPT): S.HELD,
        (S.OFFERED, M.RELEASE): S.RELEASED,
        (S.OFFERED, M.RUN_OUT): S.LAPSED,
        (S.HELD, M.RELEASE): S.RELEASED,
        (S.HELD, M.RUN_OUT): S.EXPIRED,
        (S.ENTERED, M.PULL): S.CANCELLED,
        (S.WAITING, M.PULL): S.CANCELLED,
        (S.OFFERED, M.PULL): S.CANCELLED,
        (S.HELD, M.PULL): S.CANCELLED,
        (S.HELD, M.BEGIN_PAY): S.PAYING,
        # SQL is the judge from PAYING on: what it committed is followed even where Redis lost the begin_pay.
        (S.HELD, M.SETTLE): S.CONFIRMED,
        (S.HELD, M.FREE_EXPIRED): S.EXPIRED,
        (S.HELD, M.FREE_CANCELLED): S.CANCELLED,
        (S.PAYING, M.SETTLE): S.CONFIRMED,
        (S.PAYING, M.FREE_EXPIRED): S.EXPIRED,
        (S.PAYING, M.FREE_CANCELLED): S.CANCELLED,
        # Late money: the only way back, counted in `n` of the record.
        (S.HELD, M.REACQUIRE): S.PAYING,
        (S.RELEASED, M.REACQUIRE): S.PAYING,
        (S.EXPIRED, M.REACQUIRE): S.PAYING,
        (S.CANCELLED, M.REACQUIRE): S.PAYING,
    }
)

DealWord = Literal["announced", "open", "closing", "closed"]


class DealState(enum.IntEnum):
    """Stored as these numbers: never renumber. Only OPEN sells; CLOSING lets what is held be paid."""

    ANNOUNCED = 1
    OPEN = 2
    CLOSING = 3
    CLOSED = 4


class DrawPhase(enum.IntEnum):
    """How far the draw of a deal is. Stored as these numbers: never renumber.

    ENTERING → DRAWING when its window ends → DRAWN when everybody has a place; VOID where the deal closes before.
    """

    NONE = 0
    ENTERING = 1
    DRAWING = 2  # who is in the draw is fixed: nobody enters, nobody leaves
    DRAWN = 3
    VOID = 4


DEAL_STATES: dict[str, DealState] = {
    "announced": DealState.ANNOUNCED,
    "open": DealState.OPEN,
    "closing": DealState.CLOSING,
    "closed": DealState.CLOSED,
}
