"""What the server sends over the socket. The frame's type stands in `t`.

`state` is ordered and never lost; `levels` is a value, the latest wins; `own` is for one viewer; `talk` comes in
ticks and may be thinned, and says so. `answer`, `said` and `refused` answer one message of this viewer.
"""

from typing import Annotated, Literal

import msgspec

from livecommerce.protocol.facts import (
    Acted,
    CardFacts,
    Hold,
    HoldLine,
    Level,
    Line,
    OfferFacts,
    OrderFacts,
    PictureAway,
    PictureDelay,
    Presence,
    PrivateQuestion,
    Question,
    Role,
    ShowFacts,
    Stamped,
    TriageCount,
)


class ToViewer(msgspec.Struct, frozen=True, tag_field="t"):
    """Base of all messages to a viewer."""


class You(msgspec.Struct, frozen=True):
    viewer_id: str
    name: str
    role: Role
    advisor_name: str = ""
    shop_name: str = ""
    member: bool = False  # the merchant's own customer


class Snapshot(msgspec.Struct, frozen=True):
    """All of a show at (epoch, offset), the same for everybody. A viewer's own holds and orders stand in `welcome`
    itself; here they are empty.
    """

    show: ShowFacts
    cards: tuple[CardFacts, ...]
    on_air: str  # card_id, or ""
    levels: dict[str, Level]
    levels_version: int
    talk: tuple[Line, ...]
    pinned: tuple[Line, ...]
    questions: tuple[Question, ...]
    promises: dict[str, tuple[str, ...]]  # card_id → texts
    slow_seconds: int
    viewers: int
    holds: tuple[Hold, ...] = ()
    orders: tuple[OrderFacts, ...] = ()
    members_only: bool = False


class Welcome(ToViewer, frozen=True, tag="welcome"):
    """Answer to `hello`. `recovered` true: every missed event follows as `state`, in order. False: here is a snapshot.

    A resumed viewer gets her own holds and orders here too: they are never recovered by offset. With `counting` her
    holds are not known just now, and are not told: keep those you have, and send their tokens as `proof`.
    With `missed_talk` lines were said while she was away that are not sent again.
    """

    you: You
    now_ms: int
    epoch: str
    offset: int
    recovered: bool
    ping_seconds: int
    holds: tuple[Hold, ...] = ()
    orders: tuple[OrderFacts, ...] = ()
    snapshot: Snapshot | None = None
    counting: bool = False
    missed_talk: bool = False


class State(ToViewer, frozen=True, tag="state"):
    """Public events in offset order. A gap between frames means: close and come back with the last (epoch, offset)."""

    epoch: str
    events: tuple[Stamped, ...]


class Levels(ToViewer, frozen=True, tag="levels"):
    """Numbers that changed since the last tick; a lower version than one seen is stale."""

    version: int
    deals: dict[str, Level]
    viewers: int | None = None
    hearts: int | None = None


class Own(ToViewer, frozen=True, tag="own"):
    """Something of this viewer's changed: a hold, an order."""

    hold: Hold | None = None
    order: OrderFacts | None = None
    note: str = ""  # a sentence for her, e.g. a private answer
    private: PrivateQuestion | None = None  # her question to her advisor, as it stands now


class Talk(ToViewer, frozen=True, tag="talk"):
    """Lines since the last tick. `shed` lines per second were left out for everyone alike."""

    lines: tuple[Line, ...]
    shed: float = 0.0


class Said(ToViewer, frozen=True, tag="said"):
    """Receipt for a `say` or `vote`: her own line, and whether the room sees it."""

    cid: str
    shown: bool
    line: Line | None = None
    again_ms: int | None = None


class Answer(ToViewer, frozen=True, tag="answer"):
    """Answer to `reserve`, `release` or `accept`: the hold as it stands now."""

    rid: str
    hold: Hold


class RefusedMessage(ToViewer, frozen=True, tag="refused"):
    """No, with the number from the closed list. `re` is the rid or cid, or the type of the message refused."""

    re: str
    number: int
    word: str
    text: str
    again: bool
    after_ms: int | None = None
    facts: dict[str, str | int | None] = {}


class Pong(ToViewer, frozen=True, tag="pong"):
    at: float
    now_ms: int


class Bye(ToViewer, frozen=True, tag="bye"):
    """The last message before a close: come back after `after_ms`, or, where that is null, do not."""

    code: int
    text: str
    after_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Relay(ToViewer, frozen=True, tag="relay"):
    """Whether this room hears the other processes. While `up` is false, cards and stock wait; talk goes on here."""

    up: bool


class Counting(ToViewer, frozen=True, tag="counting"):
    """Whether stock is being counted again after a loss. While it is, reservations are refused with 411, and whoever
    has hold tokens sends each as `proof`, once; when it is over, everybody is told whole what is hers."""

    on: bool


class PictureTold(msgspec.Struct, frozen=True):
    """The picture was lost, or is back. `away` says why, "" where nobody knows; `said` are ffmpeg's last words."""

    word: Literal["lost", "back"]
    at_ms: int
    away: PictureAway = ""
    said: str = ""


class LengthenedTold(msgspec.Struct, frozen=True):
    """What lengthening did: holds that end later, and holds that a cap on the time held kept from it."""

    number: int
    break_ms: int
    holds: int
    capped: int


class Desk(ToViewer, frozen=True, tag="desk"):
    """For hosts and moderators only: what the room does not see."""

    private: PrivateQuestion | None = None  # to one advisor: the others do not get it
    to_account: str = ""  # whom `private` is for
    acted: Acted | None = None  # what one of the staff did with the talk
    here: tuple[Presence, ...] | None = None  # who of the staff is in the room now
    triage: TriageCount | None = None
    delay: PictureDelay | None = None  # how late the viewers see the picture
    viewer_id: str = ""
    order: OrderFacts | None = None  # an order of the show changed
    text: str = ""
    picture: PictureTold | None = None  # the machine put a slate over the picture, or took it away
    lengthened: LengthenedTold | None = None
    authors: dict[str, str] = {}  # line_id → viewer_id of the lines just shown, for mute and ban


class Claimed(ToViewer, frozen=True, tag="claimed"):
    """What was understood of a line that claims, to its author alone.

    With `hold` the units of `lines` are set aside. Without it `number` and `word` are of the closed list and say why
    not: `choices` are the deals she may have meant, `codes` those that can be claimed now, `facts` as in `refused`.
    """

    cid: str
    rid: str  # "" where nothing was asked for
    text: str
    code: str = ""
    lines: tuple[HoldLine, ...] = ()
    hold: Hold | None = None
    number: int = 0
    word: str = ""
    again: bool = False
    after_ms: int | None = None
    choices: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    facts: dict[str, str | int | None] = {}


class OfferMade(ToViewer, frozen=True, tag="offer"):
    """Something offered to this viewer at its moment. She may take it with one `reserve`, or close it."""

    offer: OfferFacts


AnyToViewer = (
    Welcome
    | State
    | Levels
    | Own
    | Talk
    | Said
    | Answer
    | RefusedMessage
    | Pong
    | Bye
    | Relay
    | Counting
    | Desk
    | Claimed
    | OfferMade
)
