"""A show as decisions see it: one frozen picture of its rows, and the words in which a decision is said.

What leaves: plain records. `commands.py` makes a `Decision` from a `ShowState`; `carrying_out.py` writes it. It knows
no storage; how the picture is read is `reading.py`.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from livecommerce.protocol.facts import AnyEvent, CardFacts, DealFacts, Line, Question, ShowFacts, VideoFacts
from livecommerce.shows.news import TalkLine
from livecommerce.shows.triage import TriageItem

if TYPE_CHECKING:
    from livecommerce.shows.plans import NewVideo

CardState = Literal["planned", "on_air", "done"]
RecordingState = Literal["", "kept", "removed"]  # kept: for as long as the merchant wants, however old


@dataclass(frozen=True, slots=True)
class Actor:
    """Who wants it: a member of staff, or the programme's clock (without an account)."""

    account_id: str
    name: str


CLOCK = Actor("", "")


def has_zero(video: "VideoFacts | NewVideo") -> bool:
    """Whether this picture has a beginning that everybody shares: a clip or a film, not a camera."""
    return video.kind == "file" or video.source == "film"


@dataclass(frozen=True, slots=True)
class PlannedCard:
    """A card of the rundown: what everyone may see of it, and what only staff sees."""

    facts: CardFacts
    state: CardState
    hidden_until_launch: bool
    notes: str


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question and who asked it."""

    question: Question
    viewer_id: str


@dataclass(frozen=True, slots=True)
class ShowState:
    """One show at one instant, read under its lock. `line`, `question` and `item` are what the command
    names, if any."""

    facts: ShowFacts
    on_air: str
    slow_seconds: int
    cards: tuple[PlannedCard, ...]
    now_ms: int
    org_path: str = ""
    host_account_id: str = ""
    org_unit_id: str = ""
    corner_settings: dict[str, Any] = field(default_factory=dict)
    recording: RecordingState = ""
    line: TalkLine | None = None
    question: AskedQuestion | None = None
    members_only: bool = False
    item: TriageItem | None = None
    item_questions: tuple[AskedQuestion, ...] = ()  # those of `item`, as they stand now

    def card(self, card_id: str) -> PlannedCard | None:
        return next((card for card in self.cards if card.facts.card_id == card_id), None)

    def card_of_deal(self, deal_id: str) -> tuple[PlannedCard, DealFacts] | None:
        return next(((card, deal) for card in self.cards for deal in card.facts.deals if deal.deal_id == deal_id), None)

    def deals(self) -> tuple[DealFacts, ...]:
        return tuple(deal for card in self.cards for deal in card.facts.deals)

    @property
    def before_launch(self) -> bool:
        """True while there is a launch instant and it has not come, on the server's clock."""
        return self.facts.launch_at_ms is not None and self.now_ms < self.facts.launch_at_ms


# --- what a decision changes in the ledger ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetShow:
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SetCard:
    card_id: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SetDeal:
    """`allot` moves the deal's quota out of its pool in the same transaction, or the whole decision is refused."""

    deal_id: str
    values: dict[str, Any]
    allot: bool = False


@dataclass(frozen=True, slots=True)
class KeepPromise:
    card_id: str
    text: str


@dataclass(frozen=True, slots=True)
class SetBan:
    """`lift` takes it away; `until_ms` None is for good."""

    viewer_id: str
    kind: Literal["ban", "mute"]
    until_ms: int | None = None
    lift: bool = False


@dataclass(frozen=True, slots=True)
class SetQuestion:
    question_id: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SetDraw:
    """The draw of a deal: made with its seed and salt when the deal is announced or opened, changed later."""

    deal_id: str
    values: dict[str, Any]


Change = SetShow | SetCard | SetDeal | SetDraw | KeepPromise | SetBan | SetQuestion

# --- what is said afterwards, outside the public order -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KickViewer:
    viewer_id: str


@dataclass(frozen=True, slots=True)
class MuteViewer:
    """She may not speak until `until_ms`; an instant that has passed lets her speak again."""

    viewer_id: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class TellViewer:
    viewer_id: str
    text: str


@dataclass(frozen=True, slots=True)
class SayLine:
    line: Line


@dataclass(frozen=True, slots=True)
class ForgetLines:
    """Newcomers are not shown them, and no command finds them any more."""

    line_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RememberLine:
    """Newcomers are shown it again."""

    line: TalkLine


@dataclass(frozen=True, slots=True)
class ItemDone:
    """The triage's item is decided, as it was read."""

    item: TriageItem


@dataclass(frozen=True, slots=True)
class QuestionClosed:
    """Answered beside the triage: no moderator needs to look at it any more."""

    question_id: str


Word = KickViewer | MuteViewer | TellViewer | SayLine | ForgetLines | RememberLine | ItemDone | QuestionClosed


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that follows from one command: rows, public events in order, words to single people."""

    changes: tuple[Change, ...] = ()
    events: tuple[AnyEvent, ...] = ()
    words: tuple[Word, ...] = ()

    def __add__(self, other: "Decision") -> "Decision":
        return Decision(self.changes + other.changes, self.events + other.events, self.words + other.words)


NOTHING = Decision()
