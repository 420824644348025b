"""The slate over the picture: who put it there, and who may take it away. One table.

What arrives: a show's facts and what happened: the picture was lost or is back, the host interrupts or goes on. What
leaves: the facts after it, or None where it changes nothing. It knows no storage, no clock and no camera.

The slate is a word: "" there is none, and the machine looks after the picture; "host" she put it there and she alone
takes it away; "camera" the machine did, and takes it away when the picture is back; "waived" the host went on without
a picture, and the machine leaves her alone until it was back.
"""

from types import MappingProxyType
from typing import Literal

import msgspec

from livecommerce.protocol.facts import Interruption, ShowFacts, ShowStatus

Slate = Literal["", "host", "camera", "waived"]
Happening = Literal["lost", "back", "interrupt", "go_live"]

MOVES: MappingProxyType[tuple[ShowStatus, Slate, Happening], tuple[ShowStatus, Slate]] = MappingProxyType(
    {
        ("live", "", "lost"): ("interrupted", "camera"),
        ("live", "", "interrupt"): ("interrupted", "host"),
        ("live", "waived", "interrupt"): ("interrupted", "host"),
        ("live", "waived", "back"): ("live", ""),
        ("interrupted", "camera", "back"): ("live", ""),
        # The slate becomes hers: the picture may come back, she is not back yet.
        ("interrupted", "camera", "interrupt"): ("interrupted", "host"),
        ("interrupted", "camera", "go_live"): ("live", "waived"),
        # If there is no picture behind her slate, the machine's comes, and she may waive that.
        ("interrupted", "host", "go_live"): ("live", ""),
    }
)


def slate_of(facts: ShowFacts) -> Slate:
    """Who keeps the slate. An interruption of before slates had keepers is the host's."""
    if facts.status == "interrupted":
        return facts.interruption.by if facts.interruption else "host"
    return "waived" if facts.interruption and facts.interruption.waived else ""


def happened(facts: ShowFacts, happening: Happening, now_ms: int, for_ms: int = 0) -> ShowFacts | None:
    """The facts after it, which has gone on for `for_ms`; None where the table has no such move."""
    after = MOVES.get((facts.status, slate_of(facts), happening))
    if after is None:
        return None
    status, slate = after
    interruption = facts.interruption
    if facts.status == "live" and (slate == "host" or slate == "camera"):
        # Two interruptions never overlap, however long ago the picture was seen last.
        began_at_ms = max(now_ms - for_ms, (interruption and interruption.ended_at_ms) or 0)
        interruption = Interruption(interruption.number + 1 if interruption else 1, slate, began_at_ms)
    elif interruption is not None:
        by = slate if slate == "host" or slate == "camera" else interruption.by
        ended_at_ms = now_ms if status == "live" and facts.status == "interrupted" else interruption.ended_at_ms
        interruption = msgspec.structs.replace(interruption, by=by, ended_at_ms=ended_at_ms, waived=slate == "waived")
    return msgspec.structs.replace(facts, status=status, interruption=interruption)
