"""Ids, one type per kind of thing, so that a viewer's id cannot be passed where a deal's is meant.

What leaves: `prefix_` and 16 characters: 48 bits of milliseconds, then 32 random bits, in Crockford's base 32,
so that ids sort by the time they were made: those of one process always, those of several to the millisecond.
What this file does not know: what any id stands for.
"""

import re
import secrets
import threading
import time
from typing import NewType

ShowId = NewType("ShowId", str)
CardId = NewType("CardId", str)
DealId = NewType("DealId", str)
ViewerId = NewType("ViewerId", str)
AccountId = NewType("AccountId", str)
OrgUnitId = NewType("OrgUnitId", str)
LinkId = NewType("LinkId", str)
ProductId = NewType("ProductId", str)
VariantId = NewType("VariantId", str)
LocationId = NewType("LocationId", str)
OrderId = NewType("OrderId", str)
PaymentId = NewType("PaymentId", str)
LineId = NewType("LineId", str)
QuestionId = NewType("QuestionId", str)
# A rid is made by the client: one request of one viewer, kept per (viewer, rid).
Rid = NewType("Rid", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_PATTERN = r"^[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{16}$"
RID_PATTERN = r"^[A-Za-z0-9_-]{8,40}$"
_ID = re.compile(ID_PATTERN)
_RID = re.compile(RID_PATTERN)


class _Numbers:
    """80 bits each, and each greater than the one before it: also within a millisecond, and after a clock that was set
    back. The step is random, so that nobody counts from one id to the next."""

    def __init__(self) -> None:
        self._last = 0
        self._making = threading.Lock()

    def new(self) -> int:
        with self._making:
            now = (time.time_ns() // 1_000_000) << 32 | secrets.randbits(32)
            self._last = now if now > self._last else self._last + 1 + secrets.randbits(20)
            return self._last


_numbers = _Numbers()


def new_id(prefix: str) -> str:
    """A new id: `prefix`, an underscore and 16 characters that sort by time."""
    number = _numbers.new()
    return f"{prefix}_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -5, -5))


def is_id(text: str) -> bool:
    """True for what `new_id` can have made. Asked before a stranger's word goes into a query."""
    return _ID.match(text) is not None


def is_rid(text: str) -> bool:
    """True for 8 to 40 characters of letters, digits, `_` and `-`."""
    return _RID.match(text) is not None
