"""The verbs of `reserve.lua`, by number, and whose hold a request is about.

The numbers stand in the script and in tests: never renumber. It does not know what the verbs do.
"""

from typing import Any

RESERVE, RELEASE, ACCEPT, BEGIN_PAY, SETTLE, FREE, REACQUIRE = range(1, 8)
HEARTBEAT, PUT_DEAL, STATUS, HOLDS, LEVELS, TAKE_OUT = range(8, 14)
END_WINDOW, DRAW = 14, 15
KEEP, REPLACE = 16, 17
LENGTHEN = 18

_OF_A_HOLD = frozenset({RESERVE, RELEASE, ACCEPT, BEGIN_PAY, SETTLE, FREE, REACQUIRE, KEEP})


def hold_named(request: tuple[Any, ...]) -> tuple[str, str] | None:
    """(viewer_id, rid) of the hold that is answered, or None where the answer is something else."""
    if request[0] in _OF_A_HOLD:
        return request[1], request[2]
    return hold_named(request[2]) if request[0] == REPLACE else None
