"""What a host's console may command while it runs a show: the body of `POST /api/staff/shows/{show_id}/commands`.

Commands go over HTTP, not the socket: each is answered, each carries the console's own id so that a double click or a
retry has one effect, and any tool can send them. The command's name stands in `do`.
"""

from typing import Annotated, Literal

import msgspec

from livecommerce.protocol.from_viewer import ShortId

Reason = Annotated[str, msgspec.Meta(max_length=200)]  # why; it stands in the show log beside who
CommandId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,40}$")]


class Command(msgspec.Struct, frozen=True, tag_field="do"):
    """Base of all commands."""


class GoLive(Command, frozen=True, tag="go_live"):
    """draft, scheduled or interrupted → live."""


class Interrupt(Command, frozen=True, tag="interrupt"):
    """live → interrupted: a slate shows, deals go on. A slate that the machine put there becomes the host's."""

    text: Annotated[str, msgspec.Meta(max_length=200)] = ""


class LengthenHolds(Command, frozen=True, tag="lengthen_holds"):
    """Everything that is held or offered ends later by the length of this interruption, as long as it lasted until
    now, an hour at most. Once for each; who pays already keeps her deadline."""

    number: Annotated[int, msgspec.Meta(ge=1)]


class End(Command, frozen=True, tag="end"):
    """live or interrupted → ended: closes every deal. Only a host ends a show."""


class ShowCard(Command, frozen=True, tag="show_card"):
    """Put a card on the picture. Its deals that are still drafts open at once, or in `open_in_seconds`."""

    card_id: ShortId
    open_in_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] | None = None


class HideCard(Command, frozen=True, tag="hide_card"):
    """Take the card off the picture; its deals go on."""

    card_id: ShortId


class OpenDeal(Command, frozen=True, tag="open_deal"):
    deal_id: ShortId
    in_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 0
    for_seconds: Annotated[int, msgspec.Meta(ge=5, le=86400)] | None = None


class CloseDeal(Command, frozen=True, tag="close_deal"):
    """No new holds, and who waits is told so. `pulled` says that the host withdraws it, `holds` what becomes of those
    who hold a unit: `honour`, they may still pay; `cancel`, what is not paid ends at once, with an apology. A deal that
    is closing can still be pulled, and one that was honoured can still be cancelled.
    """

    deal_id: ShortId
    pulled: bool = False
    holds: Literal["honour", "cancel"] = "honour"


class HideLine(Command, frozen=True, tag="hide_line"):
    """Nobody sees the line any more, here and in the replay."""

    line_id: ShortId
    reason: Reason = ""


class RestoreLine(Command, frozen=True, tag="restore_line"):
    """Show a hidden line again, where it stood."""

    line_id: ShortId
    reason: Reason = ""


class LetThrough(Command, frozen=True, tag="let_through"):
    """Show a held line to the room after all."""

    line_id: ShortId
    reason: Reason = ""


class PinLine(Command, frozen=True, tag="pin_line"):
    line_id: ShortId


class UnpinLine(Command, frozen=True, tag="unpin_line"):
    line_id: ShortId


class Announce(Command, frozen=True, tag="announce"):
    """A line of talk as the host."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Mute(Command, frozen=True, tag="mute"):
    """A viewer, or whoever said the line, may not speak for `minutes`; 0 lifts it."""

    viewer_id: Annotated[str, msgspec.Meta(max_length=40)] = ""
    minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 10
    line_id: Annotated[str, msgspec.Meta(max_length=40)] = ""  # where `viewer_id` is empty
    reason: Reason = ""


class Ban(Command, frozen=True, tag="ban"):
    """A viewer, or whoever said the line, leaves this show for good; `lift` lets her in again."""

    viewer_id: Annotated[str, msgspec.Meta(max_length=40)] = ""
    lift: bool = False
    line_id: Annotated[str, msgspec.Meta(max_length=40)] = ""  # where `viewer_id` is empty
    reason: Reason = ""


class SlowMode(Command, frozen=True, tag="slow_mode"):
    seconds: Annotated[int, msgspec.Meta(ge=0, le=300)]
    reason: Reason = ""


class MembersOnly(Command, frozen=True, tag="members_only"):
    """Only the merchant's own customers may write; everybody reads on."""

    on: bool
    reason: Reason = ""


class Settle(Command, frozen=True, tag="settle"):
    """One decision for everything in an item of the triage: its line with all copies, or the questions about one
    product. `let_through` shows the line once; `hide` takes every copy away, the shown ones too, and may silence or ban
    all who wrote it; `answer` answers every question, each asker alone where it is `privately`.
    """

    item_id: ShortId
    act: Literal["let_through", "hide", "answer"]
    text: Annotated[str, msgspec.Meta(max_length=500)] = ""
    privately: bool = False
    mute_minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 0
    ban: bool = False
    reason: Reason = ""


class TakeQuestion(Command, frozen=True, tag="take_question"):
    """queued → answering: it stands on the picture."""

    question_id: ShortId


class AnswerQuestion(Command, frozen=True, tag="answer_question"):
    """→ answered; with `text` the answer is written under it. `privately` sends it to the asker alone."""

    question_id: ShortId
    text: Annotated[str, msgspec.Meta(max_length=500)] = ""
    privately: bool = False


class Promise(Command, frozen=True, tag="promise"):
    card_id: ShortId
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class SayCaption(Command, frozen=True, tag="caption"):
    """A line of captions. `said_at_ms`: when it was said, by the picture that the writer sees and hears; without it,
    now. Within the last minute: who writes it down is a little late, never early."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    said_at_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class HideCaption(Command, frozen=True, tag="hide_caption"):
    """It was wrong: nobody sees it any more, here and in the replay."""

    caption_id: ShortId
    reason: Reason = ""


AnyCommand = (
    GoLive
    | Interrupt
    | LengthenHolds
    | End
    | ShowCard
    | HideCard
    | OpenDeal
    | CloseDeal
    | HideLine
    | LetThrough
    | PinLine
    | UnpinLine
    | Announce
    | Mute
    | Ban
    | SlowMode
    | TakeQuestion
    | AnswerQuestion
    | Promise
    | RestoreLine
    | MembersOnly
    | Settle
    | SayCaption
    | HideCaption
)


class CommandEnvelope(msgspec.Struct, frozen=True):
    """The body: the console's own id for this command, and the command."""

    command_id: CommandId
    command: AnyCommand


Done = Literal["done", "already"]
