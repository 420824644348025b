"""What the script answers, in words: its codes, and the refusal that each of them is.

What arrives: one answer of a call and what the call said beside it. What leaves: nothing where it is a yes, else a
`Refused` from the closed list with the facts that a person wants to know. Pure: it asks nobody.
"""

from typing import Any

from livecommerce.errors import R, Refused
from livecommerce.reservations.batcher import BUSY_AFTER_MS, Reply
from livecommerce.reservations.states import WORDS

# The codes of `reserve.lua`.
OK, SOLD_OUT, _LIMIT, _NOT_OPEN, _DEAL_CLOSED, UNKNOWN_DEAL, _QUANTITY, _RID_REUSED = range(8)
_HOLD_GONE, _BUSY, _ALREADY_WAITING, _NOT_FOUND, _CONFLICT, _TOO_MANY, _MALFORMED = range(8, 15)
_ALREADY_IN, _DRAW_RUNS, _DRAW_ALONE = range(20, 23)
REFUSALS = {
    SOLD_OUT: R.SOLD_OUT, _LIMIT: R.LIMIT, _NOT_OPEN: R.DEAL_NOT_OPEN, _DEAL_CLOSED: R.DEAL_CLOSED,
    UNKNOWN_DEAL: R.UNKNOWN_DEAL, _QUANTITY: R.QUANTITY, _RID_REUSED: R.RID_REUSED, _HOLD_GONE: R.HOLD_GONE,
    _BUSY: R.BUSY, _ALREADY_WAITING: R.ALREADY_WAITING, _NOT_FOUND: R.NOT_FOUND, _CONFLICT: R.CONFLICT,
    _TOO_MANY: R.TOO_MANY, _MALFORMED: R.MALFORMED, _ALREADY_IN: R.ALREADY_IN, _DRAW_RUNS: R.DRAW_RUNS,
    _DRAW_ALONE: R.DRAW_ALONE,
    # Later ones go by the refusal's own number.
    414: R.VERIFIED_ONLY, 415: R.MEMBERS_ONLY, 416: R.HOLD_TIME,
}  # fmt: skip
# Refusals that say no more than which deal it is.
_ABOUT_A_DEAL = frozenset({
    R.DEAL_CLOSED, R.UNKNOWN_DEAL, R.ALREADY_WAITING, R.VERIFIED_ONLY, R.MEMBERS_ONLY, R.ALREADY_IN, R.DRAW_ALONE,
})  # fmt: skip
_LIMITED = {b"deal": "this deal", b"show": "this show", b"address": "one address"}
# The draw of the largest crowd takes about two seconds; of a hundred entrants no time at all.
_DRAW_RUNS_AFTER_MS = 500


def refusal_of(answer: list[Any], reply: Reply, now_ms: int) -> Refused:
    """The refusal that an answer is, which is no yes."""
    code = answer[0]
    if code == _NOT_OPEN:
        return _not_open(answer, now_ms)
    if code == SOLD_OUT:
        return _sold_out(answer, reply)
    why = REFUSALS[code]
    if code == _LIMIT:
        return _over_the_limit(answer)
    if code == _QUANTITY:
        return Refused(why, facts={"deal_id": answer[1].decode(), "most": answer[2]}, most=answer[2])
    if why is R.HOLD_TIME:
        return Refused(why, facts={"deal_id": answer[1].decode(), "most_ms": answer[2], "yours_ms": answer[3]})
    if code == _DRAW_RUNS:
        return Refused(why, after_ms=_DRAW_RUNS_AFTER_MS, facts={"deal_id": answer[1].decode()})
    if why in _ABOUT_A_DEAL:
        return Refused(why, facts={"deal_id": answer[1].decode()})
    if code in (_HOLD_GONE, _CONFLICT):
        return Refused(why, facts={"state": WORDS[answer[1]]}, what="This reservation")
    if code == _NOT_FOUND:
        return Refused(why, what="reservation")
    if code == _BUSY:
        return Refused(why, after_ms=BUSY_AFTER_MS)
    return Refused(why)


def _not_open(answer: list[Any], now_ms: int) -> Refused:
    facts: dict[str, Any] = {"deal_id": answer[1].decode()}
    if not answer[2]:
        return Refused(R.DEAL_NOT_OPEN, facts=facts)
    facts["opens_at_ms"] = answer[2]
    return Refused(R.DEAL_NOT_OPEN, after_ms=max(0, answer[2] - now_ms), facts=facts)


def done(answer: list[Any], _reply: Reply) -> None:
    """Nothing, where it is a yes."""
    if answer[0] != OK:
        raise Refused(REFUSALS[answer[0]], expected="a deal's numbers and names within their bounds")


def number(answer: list[Any], _reply: Reply) -> int:
    """The number that a yes carries."""
    if answer[0] == UNKNOWN_DEAL:
        raise Refused(R.UNKNOWN_DEAL, facts={"deal_id": answer[1].decode()})
    done(answer, _reply)
    found: int = answer[1]
    return found


def _over_the_limit(answer: list[Any]) -> Refused:
    _, deal_id, limit, yours, what = answer
    facts: dict[str, Any] = {"deal_id": deal_id.decode(), "limit": limit, "of": what.decode()}
    if what != b"address":  # what others behind the same address have is not hers to know
        facts["yours"] = yours
    return Refused(R.LIMIT, facts=facts, what=_LIMITED[what])


def _sold_out(answer: list[Any], reply: Reply) -> Refused:
    """With what a person wants to know: how many may still come back, how many wait before her, when to look again."""
    _, deal_id, available, held, paying, sold, waiting = answer
    after_ms = None if reply.next_due is None else max(0, reply.next_due - reply.hold_clock_ms)
    facts = {
        "deal_id": deal_id.decode(), "available": available, "held": held, "paying": paying, "sold": sold,
        "waiting": waiting, "place": waiting + 1,
    }  # fmt: skip
    return Refused(R.SOLD_OUT, after_ms=after_ms, facts=facts)
