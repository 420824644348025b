"""The nouns of a show as they travel: on the socket, in the show log, in the API.

One vocabulary for live, replay and API: what a page folds live is what the log keeps. Money is in minor units of the
shop's currency (cents, fen). Instants are UTC milliseconds of the server; no timestamp of a client decides anything.
"""

from typing import Annotated, Literal

import msgspec

Minor = Annotated[int, msgspec.Meta(ge=0, le=100_000_000_000)]
Qty = Annotated[int, msgspec.Meta(ge=1, le=1000)]

ShowStatus = Literal["draft", "scheduled", "live", "interrupted", "ended", "cancelled"]
CornerName = Literal["new_product_day", "family_day", "cloud_class", "flash_sale", "members_evening", "open_house"]
DealStatus = Literal["draft", "announced", "open", "closing", "closed"]
HoldLevel = Literal["soft", "fsync", "ledger"]  # what "held" promises, see docs/reservations.md
LimitBy = Literal["guest", "verified", "member"]  # whom a deal's limit counts, and who may reserve
Pulled = Literal["", "honour", "cancel"]  # how a deal that was pulled treats who held a unit
Role = Literal["viewer", "host", "moderator", "manager", "admin"]


class DrawFacts(msgspec.Struct, frozen=True):
    """A deal that is drawn: taps within the window enter, then the order of service is drawn (docs/fairness.md).

    `commitment` stands from the announcement on: the SHA-256 of a seed that is told once the draw was made, with the
    root of all entrants; from the three anybody computes the order again.
    """

    window_seconds: int
    commitment: str = ""
    draws_at_ms: int | None = None  # the window's end, known once the deal is open
    drawn_at_ms: int | None = None
    entrants: int = 0
    seed: str = ""
    root: str = ""
    again: int = 0  # how often the window had to open anew, under another seed, since the entries were lost


class DealFacts(msgspec.Struct, frozen=True):
    """One variant offered in a show. A card with shades has a deal for each shade."""

    deal_id: str
    variant_id: str
    label: str  # the shade or size as people say it; "" where a product has one variant
    swatch: str  # CSS colour of the shade, or ""
    image: str  # URL, or ""
    price_minor: Minor
    was_minor: Minor | None
    quota: int
    limit_per_viewer: int
    hold_seconds: int
    pay_seconds: int
    status: DealStatus
    opens_at_ms: int | None = None
    closes_at_ms: int | None = None
    level: HoldLevel = "soft"
    head_wants_more: Literal["skip", "wait"] = "skip"  # than came back: skipped for now, or waited for
    limit_by: LimitBy = "guest"
    address_cap: int = 0  # units of one network address; 0 is none
    hold_cap_seconds: int = 0  # how long one person may hold in all without paying; 0 is none
    pulled: Pulled = ""
    options: tuple[str, ...] = ()  # size, colour: what the catalogue calls this variant, each by itself
    draw: DrawFacts | None = None  # None: first come, first served


class CardFacts(msgspec.Struct, frozen=True):
    """What the host puts on the picture: a product with deals, a product alone, or a bundle (all its deals or none)."""

    card_id: str
    kind: Literal["deal", "product", "bundle"]
    title: str
    line: str  # one talking line
    product_handle: str
    image: str
    deals: tuple[DealFacts, ...] = ()
    bundle_minor: Minor | None = None  # price of the whole bundle, where it has one
    code: str = ""  # what a viewer writes to claim it ("SOLD AA 10 blue"); unique in its show


# How a page plays a picture, and how it knows when what it shows was filmed: by the programme time in the playlist, by
# the player's distance to the newest piece, by a delay that the host measured, or not at all.
PictureKind = Literal["none", "hls", "file", "own", "youtube"]
PictureClock = Literal["pdt", "latency", "fixed", "none"]
# Why no picture comes: its line broke, the camera was stopped, ffmpeg could not go on, the disk could not; "" nobody
# said so: the camera sends nothing, or the process that filmed is gone.
PictureAway = Literal["", "line", "stopped", "ffmpeg", "disk"]


class VideoFacts(msgspec.Struct, frozen=True):
    """Where the picture comes from: `own` is filmed by this server. A picture that is `own` or `signed` is found at
    `/api/shows/{show_id}/picture`. `loop` is a clip that starts over; `started_at_ms` is its programme's zero; one that
    starts `by_hand` waits for the host. `source`: whose picture it is ("": as `kind`)."""

    kind: PictureKind
    url: str = ""
    alternates: tuple[str, ...] = ()  # the same picture in other containers
    poster: str = ""
    loop: bool = False
    started_at_ms: int | None = None
    source: str = ""
    clock: PictureClock = "pdt"
    delay_ms: int = 0  # with a `fixed` clock: how far behind; with `latency`: what comes on top of it
    signed: bool = False
    by_hand: bool = False


class ClaimRules(msgspec.Struct, frozen=True):
    """Whether a line of chat may claim, and with which words it begins. `lines_shown` false keeps such lines out of
    the chat; their author is answered all the same."""

    on: bool = False
    keywords: tuple[str, ...] = ("SOLD", "我要", "要", "vendu")
    lines_shown: bool = True


class Interruption(msgspec.Struct, frozen=True):
    """The newest interruption of a show, the first of which has number 1. `by` says who put the slate there: the host,
    or the machine, since the camera was lost. `waived`: she went on without a picture. `lengthened_ms`: by so much were
    holds lengthened for it; 0: they were not."""

    number: int
    by: Literal["host", "camera"]
    began_at_ms: int
    ended_at_ms: int | None = None
    waived: bool = False
    lengthened_ms: int = 0


class ShowFacts(msgspec.Struct, frozen=True):
    """A show as everyone may see it."""

    show_id: str
    title: str
    corner: CornerName
    status: ShowStatus
    host_name: str
    access: Literal["public", "invited", "members"]
    video: VideoFacts
    scheduled_at_ms: int | None = None
    launch_at_ms: int | None = None  # New Product Day: the product is hidden until this instant
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    about: str = ""
    limit_per_person: int = 0  # units in the whole show; 0 is none
    claims: ClaimRules = ClaimRules()
    interruption: Interruption | None = None


class Line(msgspec.Struct, frozen=True):
    """One line of talk. `simulated` marks the demo's players."""

    line_id: str
    at_ms: int
    name: str
    text: str
    role: Role = "viewer"
    kind: Literal["chat", "question", "answer", "notice"] = "chat"
    simulated: bool = False


class Caption(msgspec.Struct, frozen=True):
    """A line of what is being said, in writing. It belongs to the picture of `said_at_ms`."""

    caption_id: str
    said_at_ms: int
    text: str


class Question(msgspec.Struct, frozen=True):
    """A question in the queue of a Cloud Class."""

    question_id: str
    name: str
    text: str
    votes: int
    status: Literal["queued", "answering", "answered", "dropped"]  # dropped: nobody shows it any more
    answer: str = ""


class PrivateQuestion(msgspec.Struct, frozen=True):
    """A question to one advisor, which the room never sees, and what she answered."""

    question_id: str
    show_id: str
    at_ms: int
    name: str  # who asked
    advisor_name: str
    text: str
    answer: str = ""
    answered_at_ms: int | None = None


class Presence(msgspec.Struct, frozen=True):
    """Somebody of the staff in the room."""

    account_id: str
    name: str
    role: Role


class PictureDelay(msgspec.Struct, frozen=True):
    """How late the viewers see the picture: the median of what their pages told lately, in `reports` messages; none
    told it: 0 of 0."""

    median_ms: int
    reports: int


class Acted(msgspec.Struct, frozen=True):
    """What one of the staff just did with the talk, so that the others see it."""

    account_id: str
    name: str
    do: str
    about: str  # the line, the name or the number it was about
    reason: str
    at_ms: int


class TriageCount(msgspec.Struct, frozen=True):
    """Items of the triage: how many wait, how many somebody has in hand."""

    waiting: int
    in_hand: int


class HoldLine(msgspec.Struct, frozen=True):
    deal_id: str
    qty: int


HoldState = Literal[
    "entered", "waiting", "offered", "held", "paying", "confirmed", "released", "expired", "lapsed", "cancelled"
]  # fmt: skip


class Hold(msgspec.Struct, frozen=True):
    """A viewer's own reservation. `due_at_ms` is when held / offered / paying ends; `place` in the line is from 1.

    `entered` is a place in the draw of its deal; after the draw the hold is `held` or `waiting`, and its `ticket` is
    the one that was drawn.
    """

    rid: str
    show_id: str
    lines: tuple[HoldLine, ...]
    state: HoldState
    ticket: int = 0
    due_at_ms: int | None = None
    place: int | None = None
    token: str = ""  # the signed hold token; only in the answer that made the hold
    order_id: str = ""


class OrderFacts(msgspec.Struct, frozen=True):
    """A viewer's own order in one line. It is told from several places at once, so one with a lower `version` than what
    is known of the order is older news: leave it."""

    order_id: str
    number: str
    rid: str
    status: Literal["paying", "confirmed", "declined", "expired", "cancelled", "refund_due", "refunded"]
    total_minor: Minor
    currency: str
    livemode: bool
    pickup_code: str = ""
    pay_url: str = ""
    pay_by_ms: int | None = None
    retry_by_ms: int | None = None
    lines: tuple[HoldLine, ...] = ()  # once confirmed: what is hers for good
    version: int = 0


class Level(msgspec.Struct, frozen=True, array_like=True):
    """The numbers of one deal: `available + held + paying + sold = quota`. `waiting` is the length of the line."""

    available: int
    held: int
    paying: int
    sold: int
    waiting: int


OfferMoment = Literal["sold_out", "released", "paid", "closing_soon"]
OfferKind = Literal[
    "another_shade", "counter", "wait_list", "like_it", "cheaper", "card", "product", "variant", "tag", "most_left"
]


class CounterFacts(msgspec.Struct, frozen=True):
    """A counter that has the thing now: a pointer with a number of this moment, no hold."""

    name: str
    address: str
    city: str
    hours: str
    units: int


class OfferFacts(msgspec.Struct, frozen=True):
    """One thing offered to one viewer at its moment.

    `deal_ids` are what a tap reserves, with `wait` for a place in the line; empty where `counter` is what is offered.
    `words` are the merchant's own, by language; the page has its own where they are empty.
    """

    offer_id: str
    moment: OfferMoment
    kind: OfferKind
    about_deal_id: str  # what she wanted, gave back or bought
    deal_ids: tuple[str, ...] = ()
    wait: bool = False
    place: int | None = None  # in the line, where `wait`
    counter: CounterFacts | None = None
    words: dict[str, str] = {}
    until_ms: int | None = None  # when what is offered closes


# --- what happens in a show: each is an event of its log, in order -------------------------------------------------


class Event(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower):
    """Base of the public events. `kind` names the event on the wire."""


class ShowChanged(Event, frozen=True, tag="show_changed"):
    """Life cycle, title, video or programme of the show: the whole new facts."""

    show: ShowFacts
    reason: str = ""


class CardShown(Event, frozen=True, tag="card_shown"):
    card: CardFacts


class CardHidden(Event, frozen=True, tag="card_hidden"):
    card_id: str


class CardListed(Event, frozen=True, tag="card_listed"):
    """A card was added or changed (price, deals, words) without going on the picture."""

    card: CardFacts


class DealAnnounced(Event, frozen=True, tag="deal_announced"):
    """The countdown: the deal opens for everyone at `opens_at_ms` on the server's clock."""

    deal_id: str
    opens_at_ms: int
    draw: DrawFacts | None = None


class DealOpened(Event, frozen=True, tag="deal_opened"):
    """Until `draw.draws_at_ms`, where there is a draw, taps enter it."""

    deal_id: str
    closes_at_ms: int | None = None
    draw: DrawFacts | None = None


class DealDrawn(Event, frozen=True, tag="deal_drawn"):
    """The draw was made: who was drawn holds a unit, the others stand in the line in the order drawn."""

    deal_id: str
    draw: DrawFacts


class DrawReopened(Event, frozen=True, tag="draw_reopened"):
    """Entries of a draw may be lost, and nobody had a place yet: its window opens anew, under a new commitment.
    Who is known to be in it stays in; everybody else may tap again."""

    deal_id: str
    draw: DrawFacts


class DealClosed(Event, frozen=True, tag="deal_closed"):
    deal_id: str
    reason: Literal["time", "host", "pulled", "show_over"] = "host"
    pulled: Pulled = ""  # "honour": who holds may still pay. "cancel": what is not paid ends, with an apology


class LinePinned(Event, frozen=True, tag="line_pinned"):
    line: Line


class LineUnpinned(Event, frozen=True, tag="line_unpinned"):
    line_id: str


class LineHidden(Event, frozen=True, tag="line_hidden"):
    """Nobody sees it any more. `copies` are further lines that said the same."""

    line_id: str
    copies: tuple[str, ...] = ()


class LineRestored(Event, frozen=True, tag="line_restored"):
    """A hidden line is shown again, where it stood."""

    line: Line


class QuestionChanged(Event, frozen=True, tag="question_changed"):
    question: Question


class RoomRules(Event, frozen=True, tag="room_rules"):
    """Slow mode in seconds (0 is off), members only."""

    slow_seconds: int
    members_only: bool = False


class PromiseMade(Event, frozen=True, tag="promise_made"):
    """What the host promised on air; it stands on the card."""

    card_id: str
    text: str


class Note(Event, frozen=True, tag="note"):
    """A sentence from the show itself, as a slate shows it: "we are back in a moment"."""

    text: str


class CaptionSaid(Event, frozen=True, tag="caption_said"):
    """Somebody at the desk writes down what is said. Shown with its picture, and read until the next one."""

    caption: Caption


class CaptionHidden(Event, frozen=True, tag="caption_hidden"):
    """It was wrong: nobody sees it any more, here and in the replay."""

    caption_id: str


class HoldsLengthened(Event, frozen=True, tag="holds_lengthened"):
    """What was held or offered ends later, by the length of this interruption. Each holder is told her own new end."""

    number: int
    break_ms: int


AnyEvent = (
    ShowChanged
    | CardShown
    | CardHidden
    | CardListed
    | DealAnnounced
    | DealOpened
    | DealDrawn
    | DrawReopened
    | DealClosed
    | LinePinned
    | LineUnpinned
    | LineHidden
    | QuestionChanged
    | RoomRules
    | PromiseMade
    | Note
    | LineRestored
    | CaptionSaid
    | CaptionHidden
    | HoldsLengthened
)


class Stamped(msgspec.Struct, frozen=True):
    """An event with its place in the show: dense offsets from 1, within one epoch."""

    offset: int
    at_ms: int
    event: AnyEvent
