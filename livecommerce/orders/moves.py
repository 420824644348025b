"""The states of orders and payments and the moves between them, as two tables.

What arrives: a state and what happened. What leaves: the next state, what becomes of the units, and which errands are
due after the commit; or None: what happened is stale and changes nothing. It knows no SQL, no Redis and no provider.

An order in `paying` or `declined` keeps its units in `paying` of its deals. Late money (`captured` after the units went
back) leaves the order as it is until somebody has asked Redis whether units are left: acquire there first, then here.
"""

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

OrderStatus = Literal["paying", "confirmed", "declined", "expired", "cancelled", "refund_due", "refunded"]
PaymentStatus = Literal["open", "declined", "captured", "revoked", "refund_due", "refunded"]
# What becomes of the units in SQL: paying → free, paying → sold, free → sold.
Units = Literal["stay", "release", "sell", "resell"]
# What is done after the commit, at least once and in this order, each harmless when repeated.
ErrandKind = Literal["settle", "free", "reacquire", "refund", "revoke", "tell"]


class Event(enum.Enum):
    """What can happen to an order."""

    DECLINED = "declined"
    RETRY = "retry"
    CAPTURED = "captured"
    DEADLINE = "deadline"
    CANCEL = "cancel"
    REACQUIRED = "reacquired"
    NOT_LEFT = "not_left"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Step:
    """One row's right side."""

    status: OrderStatus
    units: Units = "stay"
    errands: tuple[ErrandKind, ...] = ("tell",)


_SOLD = Step("confirmed", "sell", ("settle", "tell"))
_LATE_AND_LEFT = Step("confirmed", "resell", ("settle", "tell"))
_LATE_AND_GONE = Step("refund_due", "stay", ("refund", "tell"))

ORDER_MOVES: MappingProxyType[tuple[str, Event], Step] = MappingProxyType(
    {
        ("paying", Event.CAPTURED): _SOLD,
        ("paying", Event.DECLINED): Step("declined"),
        ("paying", Event.DEADLINE): Step("expired", "release", ("free", "tell")),
        ("paying", Event.CANCEL): Step("cancelled", "release", ("free", "tell")),
        ("declined", Event.RETRY): Step("paying"),
        ("declined", Event.CAPTURED): _SOLD,
        ("declined", Event.DEADLINE): Step("expired", "release", ("free", "tell")),
        ("declined", Event.CANCEL): Step("cancelled", "release", ("free", "tell")),
        ("expired", Event.CAPTURED): Step("expired", "stay", ("reacquire",)),
        ("expired", Event.REACQUIRED): _LATE_AND_LEFT,
        ("expired", Event.NOT_LEFT): _LATE_AND_GONE,
        ("cancelled", Event.CAPTURED): Step("cancelled", "stay", ("reacquire",)),
        ("cancelled", Event.REACQUIRED): _LATE_AND_LEFT,
        ("cancelled", Event.NOT_LEFT): _LATE_AND_GONE,
        # Paid twice: the second payment goes back, the order stays what it is.
        ("confirmed", Event.CAPTURED): Step("confirmed", "stay", ("refund",)),
        ("refund_due", Event.CAPTURED): Step("refund_due", "stay", ("refund",)),
        ("refund_due", Event.REFUNDED): Step("refunded"),
        ("refunded", Event.CAPTURED): Step("refunded", "stay", ("refund",)),
    }
)

# (status, what the provider or we say) → status. Everything absent is stale: told twice, or out of order.
PAYMENT_MOVES: MappingProxyType[tuple[str, str], PaymentStatus] = MappingProxyType(
    {
        ("open", "captured"): "captured",
        ("open", "declined"): "declined",
        ("open", "revoked"): "revoked",
        ("declined", "captured"): "captured",
        ("declined", "revoked"): "revoked",
        ("revoked", "captured"): "captured",
        ("captured", "refund_due"): "refund_due",
        ("refund_due", "refunded"): "refunded",
    }
)

UNPAID: tuple[OrderStatus, ...] = ("paying", "declined")


def order_step(status: str, event: Event) -> Step | None:
    """What `event` makes of an order in `status`; None where it is stale."""
    return ORDER_MOVES.get((status, event))


def payment_step(status: str, event: str) -> PaymentStatus | None:
    """What `event` makes of a payment in `status`; None where it is stale."""
    return PAYMENT_MOVES.get((status, event))
