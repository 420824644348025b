"""What is known of each hold after Redis lost history, and which of them live on.

What arrives: claims about holds from every witness there is, what SQL says, and the deals. What leaves: one record for
each hold, such that every deal adds up, and those that found no place any more. Pure: it reads and writes nothing.

Two thoughts make it simple. A hold only ever goes forward (waits, is offered, is held, is paying, has ended; late money
begins the next round, `n`), so of any two claims the further one is true, in whatever order they are heard. And from
PAYING on SQL alone is believed. What is left for doubt is a hold whose end was lost with every witness of it: its claim
is then one too many, and where units are short, those whom a living process or her own token vouches for come first.

Where all that is left of two holds is that they were promised (a row in SQL), the later ticket is the surer one: units
are given out one after the other, so whoever came later may have got what the earlier one gave back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from livecommerce.reservations.drawn_again import Place
from livecommerce.reservations.states import ENDED, DealState, DrawPhase, State

Key = tuple[str, str]  # (viewer_id, rid)
Lines = tuple[tuple[str, int], ...]  # (deal_id, qty)
# As the script's record has it: 0 "viewer/deal" alone, 1 its time too, else names with their amounts.
Charged = int | tuple[int | str, ...]

WAIT_UNKNOWN = 2  # the script then takes a request with either for the same

# How far along its way each state is, within one round. Two histories may have ended one hold differently: what matters
# is that the same end always wins.
_PLACE_ON_THE_WAY = {
    State.ENTERED: 0, State.WAITING: 1, State.OFFERED: 2, State.HELD: 3, State.PAYING: 4, State.CONFIRMED: 5,
    State.LAPSED: 6, State.EXPIRED: 7, State.CANCELLED: 8, State.RELEASED: 9,
}  # fmt: skip
# What becomes of a live hold that finds no place.
_END_OF = {
    State.ENTERED: State.LAPSED, State.WAITING: State.LAPSED, State.OFFERED: State.LAPSED,
    State.HELD: State.EXPIRED, State.PAYING: State.EXPIRED,
}  # fmt: skip
# States in SQL, where they are more than a witness.
_IN_SQL = {
    "paying": State.PAYING, "confirmed": State.CONFIRMED, "expired": State.EXPIRED, "cancelled": State.CANCELLED,
    "void": State.EXPIRED, "refund_due": State.EXPIRED, "refunded": State.EXPIRED, "returned": State.CONFIRMED,
}  # fmt: skip


@dataclass(slots=True)
class Claim:
    """What one witness says of a hold. `due` on the hold clock; None where it is not known or the state has none.

    `wait` as it was asked for, `WAIT_UNKNOWN` where the witness does not say. `vouched`: by a living process or a
    viewer's token, so it was true close to the end of history. `witnessed`: SQL has written down that it was promised,
    at `told_ms` (UTC) where the ticket is not known.
    `at`: the instant from which it lasts, and `charged` what it was counted under, as in the script's record; None
    where they are not known.
    """

    state: State
    n: int = 0
    ticket: int = 0
    due: int | None = None
    lines: Lines = ()
    attribution: str = ""
    wait: int = WAIT_UNKNOWN
    vouched: bool = False
    witnessed: bool = False
    told_ms: int = 0
    at: int | None = None
    charged: Charged | None = None

    @property
    def distance(self) -> tuple[int, int]:
        return self.n, _PLACE_ON_THE_WAY[self.state]


@dataclass(frozen=True, slots=True)
class DealTerms:
    """A deal as SQL has it. `allotted` are the units in it, sold ones included; `taken` numbers its way out."""

    deal_id: str
    status: DealState
    allotted: int
    limit: int
    hold_ms: int
    pay_ms: int
    opens_at_ms: int = 0
    closes_at_ms: int = 0
    level: int = 0
    head_waits: bool = False
    limit_by: int = 0
    address_cap: int = 0
    hold_cap_ms: int = 0
    taken: int = 0
    # Units that SQL counts as sold or being paid without a row that says by whom: never to be sold again.
    unaccounted: int = 0
    # How its draw goes on: DRAWN with every place given, ENTERING with a window that opens anew, VOID, or none.
    draw: DrawPhase = DrawPhase.NONE
    entrants: int = 0
    base: int = 0
    root: str = ""


@dataclass(slots=True)
class Decision:
    """Every hold as it stands from now on, and what changed for whom."""

    holds: dict[Key, Claim]
    lost: list[Key] = field(default_factory=list)  # lived by some claim, and found no unit, no place or no time
    unwritten: list[Key] = field(default_factory=list)  # of those: may have a writer of PAYING still under way


class Evidence:
    """Gathers claims; `hear` in any order, any number of times."""

    def __init__(self) -> None:
        self.claims: dict[Key, Claim] = {}
        self.ticket = 0
        self.hold_clock_ms = 0
        self.at_ms = 0  # the instant at which the hold clock stood there

    def hear(self, key: Key, claim: Claim) -> None:
        """One more claim: the further one of two is true; what either knows besides is kept."""
        self.ticket = max(self.ticket, claim.ticket)
        known = self.claims.get(key)
        if known is None:
            self.claims[key] = claim
            return
        further, other = (claim, known) if claim.distance > known.distance else (known, claim)
        if further.distance == other.distance and (other.due or 0) > (further.due or 0):
            further.due, further.at = other.due, other.at  # never early
        further.ticket = further.ticket or other.ticket
        further.attribution = further.attribution or other.attribution
        further.lines = further.lines if len(further.lines) >= len(other.lines) else other.lines
        further.wait = other.wait if further.wait == WAIT_UNKNOWN else further.wait
        further.charged = other.charged if further.charged is None else further.charged
        if other.distance == further.distance:
            further.vouched = further.vouched or other.vouched
            further.witnessed = further.witnessed or other.witnessed
            further.told_ms = max(further.told_ms, other.told_ms)
        self.claims[key] = further

    def hear_clock(self, hold_clock_ms: int, at_ms: int) -> None:
        """The hold clock was seen to stand there. It never goes back, so the furthest is true."""
        if hold_clock_ms >= self.hold_clock_ms:
            self.hold_clock_ms, self.at_ms = hold_clock_ms, at_ms


def decide(
    evidence: Evidence,
    in_sql: Mapping[Key, tuple[str, Claim]],
    deals: Mapping[str, DealTerms],
    places: Mapping[Key, Place] = MappingProxyType({}),
) -> Decision:
    """Which holds live on. `in_sql`: state there, and a claim with its ticket, lines and attribution. `places`: what
    the draws gave whom.

    Units go, in this order, to what SQL says is sold or being paid; to what began to pay; to holds that somebody
    vouches for; to holds that were witnessed, the last of these first; to those that only the journal knows; to who
    was drawn and of whom nothing else is known; to offers. Within one of the others, to who came first. Limits are
    asked per viewer: whom else the lost counts named is not known.
    """
    decision = Decision({})
    drawn = _give_places(evidence, places)
    live: list[tuple[tuple[int, int, int, Key], Key, Claim]] = []
    for key, claim in _judged(evidence, in_sql):
        if not claim.lines or any(deal_id not in deals for deal_id, _ in claim.lines):
            continue
        decision.holds[key] = claim
        if claim.state in (State.OFFERED, State.HELD) and claim.due is None:
            claim.due = evidence.hold_clock_ms + min(deals[deal_id].hold_ms for deal_id, _ in claim.lines)
        if claim.state not in ENDED:
            word, _ = in_sql.get(key, ("", None))
            turn = _DRAWN if key in drawn and claim.state == State.HELD else _turn(claim, word)
            order = (-claim.told_ms, -claim.ticket) if turn == _WITNESSED else (claim.ticket, 0)
            live.append(((turn, *order, key), key, claim))
    stock = _Stock(deals)
    for (turn, *_), key, claim in sorted(live, key=lambda each: each[0]):
        if turn == 0 or (_is_in_time(claim, evidence) and stock.has_room(key[0], claim)):
            stock.take(key[0], claim)
            continue
        if turn == _DRAWN and stock.has_room(key[0], replace(claim, state=State.WAITING)):
            claim.state, claim.due = State.WAITING, None  # her unit went to somebody else meanwhile: she is next
            stock.take(key[0], claim)
            continue
        decision.lost.append(key)
        if claim.state == State.PAYING:
            decision.unwritten.append(key)
        claim.state, claim.due = _END_OF[claim.state], None
    return decision


def _give_places(evidence: Evidence, places: Mapping[Key, Place]) -> set[Key]:
    """Entrants of whom nothing is known but that they entered get the place that was drawn; whose that were."""
    drawn = set()
    for key, place in places.items():
        claim = evidence.claims.get(key)
        if claim is not None and claim.state == State.ENTERED:
            claim.state = State.HELD if place.held else State.WAITING
            claim.ticket, claim.wait = place.ticket, WAIT_UNKNOWN
            drawn.add(key)
    return drawn


def _is_in_time(claim: Claim, evidence: Evidence) -> bool:
    return claim.state not in (State.OFFERED, State.HELD) or (claim.due or 0) > evidence.hold_clock_ms


def _judged(evidence: Evidence, in_sql: Mapping[Key, tuple[str, Claim]]) -> Iterator[tuple[Key, Claim]]:
    """Every hold with the state that its judge gives it."""
    for key in evidence.claims.keys() | in_sql.keys():
        claim = evidence.claims.get(key)
        word, row = in_sql.get(key, ("", None))
        state = _IN_SQL.get(word)
        if row is None or state is None:
            assert claim is not None  # a row that is a mere witness was heard as one
            if claim.state == State.CONFIRMED:
                claim.state = State.PAYING  # nobody but SQL may say so; the sweep asks it
            yield key, claim
            continue
        if claim is not None:
            row.ticket, row.n = row.ticket or claim.ticket, claim.n
            row.attribution, row.wait = row.attribution or claim.attribution, claim.wait
            row.charged = claim.charged
            # A void row has no lines.
            row.lines = row.lines or claim.lines
            if state in ENDED and claim.state == State.PAYING and claim.n:
                state = State.PAYING  # late money took the units again, and SQL has not said yet what it comes to
        row.state = state
        row.due = row.due if state == State.PAYING else None
        yield key, row


_WITNESSED = 3  # the turn of those of whom SQL says that they were promised, and nobody else says anything
_DRAWN = 5  # the turn of those whom a draw gave a unit, and nobody else says anything


def _turn(claim: Claim, word_in_sql: str) -> int:
    match claim.state:
        case State.CONFIRMED:
            return 0
        case State.PAYING:
            return 0 if word_in_sql == "paying" else 1
        case State.HELD:
            return 2 if claim.vouched else _WITNESSED if claim.witnessed else 4
        case State.OFFERED:
            return 6 if claim.vouched else 7
    return 8


class _Stock:
    """Units left of each deal, and what each viewer has of it."""

    def __init__(self, deals: Mapping[str, DealTerms]) -> None:
        self._deals = deals
        self._left = {deal.deal_id: deal.allotted - deal.unaccounted for deal in deals.values()}
        self._hers: dict[tuple[str, str], int] = {}
        self._waits: set[tuple[str, str]] = set()

    def has_room(self, viewer_id: str, claim: Claim) -> bool:
        """Units of every line, and room under her limit; who pays already is not asked for the limit. Who entered a
        draw stays in it where its window opens anew."""
        if claim.state == State.ENTERED and any(self._deals[id].draw != DrawPhase.ENTERING for id, _ in claim.lines):
            return False
        for deal_id, qty in _sums(claim.lines).items():
            deal = self._deals[deal_id]
            if claim.state != State.PAYING and self._hers.get((viewer_id, deal_id), 0) + qty > deal.limit:
                return False
            if claim.state in (State.ENTERED, State.WAITING):
                if deal.status >= DealState.CLOSING or (viewer_id, deal_id) in self._waits:
                    return False
            elif qty > self._left[deal_id]:
                return False
        return True

    def take(self, viewer_id: str, claim: Claim) -> None:
        """What SQL says is taken whatever the numbers are."""
        for deal_id, qty in _sums(claim.lines).items():
            self._hers[viewer_id, deal_id] = self._hers.get((viewer_id, deal_id), 0) + qty
            if claim.state in (State.ENTERED, State.WAITING):
                self._waits.add((viewer_id, deal_id))
            else:
                self._left[deal_id] -= qty


def _sums(lines: Lines) -> dict[str, int]:
    sums: dict[str, int] = {}
    for deal_id, qty in lines:
        sums[deal_id] = sums.get(deal_id, 0) + qty
    return sums
