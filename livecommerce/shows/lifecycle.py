"""The life of a show and of a deal, and which command is possible when and by whom: four tables.

What arrives: a state and what somebody wants. What leaves: the next state, or the refusal that says why not. It knows
no storage, no clock and no corner.

draft → scheduled → live ⇄ interrupted → ended, and cancelled from what was never live; who is in a hurry goes live
from a draft. Only a host ends a show: an
encoder drop or a restart is at most an interruption.
"""

from types import MappingProxyType
from typing import Literal

from livecommerce.errors import R, Refused
from livecommerce.people.identity import StaffRole
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import DealStatus, ShowStatus

Move = Literal["schedule", "unschedule", "go_live", "interrupt", "end", "cancel"]

MOVES: MappingProxyType[tuple[ShowStatus, Move], ShowStatus] = MappingProxyType(
    {
        ("draft", "schedule"): "scheduled",
        ("scheduled", "unschedule"): "draft",
        ("draft", "go_live"): "live",
        ("scheduled", "go_live"): "live",
        ("interrupted", "go_live"): "live",
        ("live", "interrupt"): "interrupted",
        ("live", "end"): "ended",
        ("interrupted", "end"): "ended",
        ("draft", "cancel"): "cancelled",
        ("scheduled", "cancel"): "cancelled",
    }
)

DealMove = Literal["announce", "open", "close", "finish", "drop"]

# `close` stops new holds; `finish` comes when nobody holds or pays any more; `drop` ends a deal that had no stock yet.
DEAL_MOVES: MappingProxyType[tuple[DealStatus, DealMove], DealStatus] = MappingProxyType(
    {
        ("draft", "announce"): "announced",
        ("announced", "announce"): "announced",
        ("draft", "open"): "open",
        ("announced", "open"): "open",
        ("announced", "close"): "closing",
        ("open", "close"): "closing",
        ("closing", "finish"): "closed",
        ("draft", "drop"): "closed",
    }
)

_ON_AIR: frozenset[ShowStatus] = frozenset({"live", "interrupted"})
_ROOM: frozenset[ShowStatus] = frozenset({"scheduled", "live", "interrupted"})
_ROOM_AND_REPLAY: frozenset[ShowStatus] = _ROOM | {"ended"}

# When a command makes sense. Life-cycle commands stand in MOVES. The room is open before the show; a line can be
# hidden and a viewer banned for the replay's sake too.
COMMAND_STATUSES: MappingProxyType[type[c.Command], frozenset[ShowStatus]] = MappingProxyType(
    {
        c.GoLive: frozenset({"draft", "scheduled", "interrupted"}),
        # Over the machine's slate too; her own is there already, see `slate.py`.
        c.Interrupt: _ON_AIR,
        c.LengthenHolds: _ON_AIR,
        c.End: _ON_AIR,
        c.ShowCard: _ON_AIR,
        c.HideCard: _ON_AIR,
        c.OpenDeal: _ON_AIR,
        c.CloseDeal: _ON_AIR,
        c.HideLine: _ROOM_AND_REPLAY,
        c.LetThrough: _ROOM,
        c.PinLine: _ROOM,
        c.UnpinLine: _ROOM,
        c.Announce: _ROOM,
        c.Mute: _ROOM,
        c.Ban: _ROOM_AND_REPLAY,
        c.SlowMode: _ROOM,
        c.TakeQuestion: _ROOM,
        c.AnswerQuestion: _ROOM_AND_REPLAY,
        c.Promise: _ON_AIR,
        c.RestoreLine: _ROOM_AND_REPLAY,
        c.MembersOnly: _ROOM,
        c.Settle: _ROOM_AND_REPLAY,
        c.SayCaption: _ON_AIR,
        c.HideCaption: _ROOM_AND_REPLAY,
    }
)

# What a moderator may do: the talk, never the show, its deals or its promises.
TALK_COMMANDS: frozenset[type[c.Command]] = frozenset(
    {
        c.HideLine, c.LetThrough, c.PinLine, c.UnpinLine, c.Mute, c.Ban, c.SlowMode, c.TakeQuestion, c.AnswerQuestion,
        c.RestoreLine, c.MembersOnly, c.Settle, c.SayCaption, c.HideCaption,
    }
)  # fmt: skip
# Of those, what the others at the desk are told: everybody sees a caption come, and there is one every few seconds.
TOLD_COMMANDS = TALK_COMMANDS - {c.SayCaption}
_HOSTS: frozenset[StaffRole] = frozenset({"admin", "manager", "advisor"})


def moved(status: ShowStatus, move: Move) -> ShowStatus:
    """The status after `move`. Refuses SHOW_OVER for what has ended, else WRONG_STATE."""
    found = MOVES.get((status, move))
    if found is None:
        raise _not_while(status)
    return found


def deal_moved(status: DealStatus, move: DealMove) -> DealStatus:
    """The deal's status after `move`. Refuses DEAL_CLOSED, or DEAL_NOT_OPEN for closing what never opened."""
    found = DEAL_MOVES.get((status, move))
    if found is None:
        raise Refused(R.DEAL_CLOSED if status in ("closing", "closed") else R.DEAL_NOT_OPEN)
    return found


def refuse_role(role: StaffRole, command: c.AnyCommand) -> None:
    """Refuses FORBIDDEN for a command that is not this role's."""
    if role not in _HOSTS and type(command) not in TALK_COMMANDS:
        raise Refused(R.FORBIDDEN)


def refuse_status(status: ShowStatus, command: c.AnyCommand) -> None:
    """Refuses SHOW_OVER, SHOW_NOT_LIVE (it may still come) or WRONG_STATE."""
    if status in COMMAND_STATUSES[type(command)]:
        return
    if status in ("draft", "scheduled"):
        raise Refused(R.SHOW_NOT_LIVE)
    raise _not_while(status)


def refuse_talk(status: ShowStatus) -> None:
    """Refuses SHOW_NOT_LIVE or SHOW_OVER where the room is not open to its viewers' words."""
    if status not in _ROOM:
        raise Refused(R.SHOW_NOT_LIVE if status == "draft" else R.SHOW_OVER)


def _not_while(status: ShowStatus) -> Refused:
    if status in ("ended", "cancelled"):
        return Refused(R.SHOW_OVER)
    return Refused(R.WRONG_STATE, state=status)
