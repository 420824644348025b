"""One viewer's requests: what she asked, what she was told, and what the books say of it in the end.

What arrives: her records in the order in which they were made, and the books. What leaves: findings about her requests,
and, for the whole of the crowd, how many units were promised at once. Pure. Holds of others in the same show are not
looked at.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from livecommerce.audit.books import Books, HoldRow, Key, Lines
from livecommerce.audit.breaches import LIVE_WORDS, allotted_most, movements_by_deal
from livecommerce.errors import R
from loadtest.check.findings import Findings
from loadtest.check.words import at, line_of, lines, lines_of_books, lines_of_movements, refusal, utc
from loadtest.records import Answered, AnyRecord, Asked, Paid, RefusedTo, Told

# Refusals of a reservation after which the server has nothing under that request id. The others leave it open (busy),
# or are about a hold that there is.
NOTHING_TAKEN = frozenset(
    refusal.value.number
    for refusal in (
        R.SOLD_OUT, R.LIMIT, R.DEAL_NOT_OPEN, R.DEAL_CLOSED, R.UNKNOWN_DEAL, R.QUANTITY, R.ALREADY_WAITING, R.BUNDLE,
        R.VERIFIED_ONLY, R.MEMBERS_ONLY, R.HOLD_TIME,
    )
)  # fmt: skip
# Her units are set aside in these states.
_SET_ASIDE = frozenset({"offered", "held", "paying", "confirmed"})
_ENDED = frozenset({"released", "expired", "lapsed", "cancelled"})
# How a hold may have come to its end, and which movement says so. "lost" is a rebuild's word for what Redis forgot and
# nobody could prove: she was told so, and no more was promised, but at level `ledger`.
_ENDED_BY = {
    "released": {"released"},
    "expired": {"expired", "pay_expired", "lost"},
    "lapsed": {"lapsed", "lost"},
    "cancelled": {"cancelled"},
}
_BACK_AGAIN = frozenset({"reacquired", "order_reacquired"})
# Which movement ends her units, by the state that she was told an end of.
_RUNS_OUT_BY = {"held": "expired", "offered": "lapsed"}
# Clocks of web processes and of Redis are that much apart, and both say whole milliseconds.
_EARLY_MS = 50
# What she is told without asking was on its way through the relay, and what remains is counted from its coming; the
# hold clock, where it is read and not turned, stands up to one step (2 s) behind. Both tell her too late an end.
_TOLD_LATE_MS = 2_000
# Whether it happened is not known after these: the same is asked again, and is answered by then.
UNKNOWN_OUTCOME = frozenset(each.value.number for each in (R.BUSY, R.REBUILDING, R.UNAVAILABLE))
# A server that asks for another try asks for it within seconds. Whoever took longer was away meanwhile.
_AGAIN_WITHIN_US = 5_000_000
# A generator notes the instant of a request beside its sending, not in it.
_SENDING_US = 2_000
_FOR_EVER = 1 << 62


@dataclass(slots=True)
class _Request:
    """All that happened under one request id."""

    asked: Lines = ()
    verb: str = ""  # of the last question
    open_since_us: int | None = None  # from when on an answer is waited for
    asked_us: int | None = None  # sent first since it was last answered
    put_off_us: int | None = None  # told to try again, and has not yet
    # State → until when, at the least, her units were promised to her: by answers, by what she was told unasked.
    answered_due_ms: dict[str, int] = field(default_factory=dict)
    told_due_ms: dict[str, int] = field(default_factory=dict)
    released_us: int | None = None  # first asked to release
    told: Lines = ()
    ticket: int = 0
    set_aside_us: int | None = None
    confirmed_us: int | None = None
    ended: str = ""
    ended_us: int = 0
    refused: int = 0  # by this number, and not asked again since
    refused_us: int = 0
    was_told: str = ""  # the last state


@dataclass(slots=True)
class _Promised:
    """Units of one deal, as the crowd was told: when they were certainly set aside, and how many are sold."""

    changes: list[tuple[int, int, Key]] = field(default_factory=list)
    confirmed: int = 0
    last: Key = ("", "")


class Stories:
    """All requests of one run. `check` for each viewer, then `check_promises` once."""

    def __init__(
        self, books: Books, findings: Findings, *, patience_us: int, cuts_expected: bool, clock_error_us: int
    ) -> None:
        self._books = books
        self._findings = findings
        self._patience_us = patience_us
        self._cuts_expected = cuts_expected
        self._early_us = _SENDING_US + clock_error_us
        self._orders = {(order.viewer_id, order.rid): order for order in books.orders}
        self._rids_of: defaultdict[str, list[str]] = defaultdict(list)
        for viewer_id, rid in books.holds:
            self._rids_of[viewer_id].append(rid)
        self._promised: defaultdict[str, _Promised] = defaultdict(_Promised)
        self.requests = 0

    # --- one viewer -------------------------------------------------------------------------------------------------

    def check(
        self, viewer: str, story: Sequence[AnyRecord], *, gone: bool, whole: bool, broke_off: bool = False
    ) -> None:
        """Everything about one viewer. `gone`: for good, nobody owes her an answer. `whole`: her generator wrote her
        records to their end; `broke_off`: it certainly did not, so that she may have asked more than is known."""
        requests: defaultdict[str, _Request] = defaultdict(_Request)
        for record in story:
            match record:
                case Asked():
                    self._ask(requests[record.rid], record)
                case Answered() | Told():
                    self._hear(requests[record.rid], record, story)
                case RefusedTo():
                    self._refuse(requests[record.rid], record, story)
                case Paid(status="confirmed"):
                    one = requests[record.rid]
                    one.confirmed_us = one.confirmed_us or record.at_us
        self.requests += len(requests)
        for rid, one in requests.items():
            self._judge((viewer, rid), one, story, gone, broke_off)
        if whole:
            for rid in self._rids_of.get(viewer, ()):
                if rid not in requests:
                    text = f"{viewer}/{rid}: the books have a hold of hers that she never asked for."
                    self._findings.add("double_effects", text, partial(self._history, (viewer, rid), story))

    def _ask(self, one: _Request, record: Asked) -> None:
        one.verb = record.verb
        one.refused = 0
        if record.verb == "reserve":
            one.asked = record.lines
        elif record.verb == "release" and one.released_us is None:
            one.released_us = record.at_us
        self._open(one, record)
        one.asked_us = record.at_us if one.asked_us is None else one.asked_us
        one.put_off_us = None

    def _open(self, one: _Request, record: Asked) -> None:
        """From when on the answer to this question is waited for."""
        if one.open_since_us is None:
            since_us = record.at_us if record.again else record.planned_us or record.at_us
        elif not record.again:
            since_us = record.planned_us or record.at_us
        elif one.put_off_us is not None and record.at_us - one.put_off_us <= _AGAIN_WITHIN_US:
            return  # as the server asked her to: she has waited all the while
        elif self._cuts_expected:
            # While her line was broken nobody could answer: the server's time begins with the question's return.
            since_us = record.at_us
        else:
            return
        one.open_since_us = since_us

    def _settle(self, one: _Request, record: Answered | RefusedTo, story: Sequence[AnyRecord]) -> None:
        if one.open_since_us is None:
            return
        if isinstance(record, RefusedTo) and record.number in UNKNOWN_OUTCOME:
            one.put_off_us = record.at_us
            return
        self._was_answered((record.viewer, record.rid), one, record.at_us, story)

    def _was_answered(self, key: Key, one: _Request, at_us: int, story: Sequence[AnyRecord]) -> None:
        assert one.open_since_us is not None
        took_us = at_us - one.open_since_us
        one.open_since_us = one.asked_us = one.put_off_us = None
        if took_us > self._patience_us:
            text = (
                f"{key[0]}/{key[1]}: the answer to her {one.verb} came {took_us / 1000:.1f} ms after it was "
                f"due; {self._patience_us / 1000:.1f} ms were allowed."
            )
            self._findings.add("late_answers", text, partial(self._history, key, story))

    def _hear(self, one: _Request, record: Answered | Told, story: Sequence[AnyRecord]) -> None:
        name = f"{record.viewer}/{record.rid}"
        history = partial(self._history, (record.viewer, record.rid), story)
        ticket = 0
        _note_end(one, record)
        if isinstance(record, Answered):
            self._settle(one, record, story)
            # A place in a draw has the ticket of its arrival; what is drawn has the one it was drawn under.
            ticket = 0 if record.state == "entered" else record.ticket
        if one.told and record.lines != one.told:
            text = f"{name}: she was told {lines(one.told)}, and under the same id {lines(record.lines)}."
            self._findings.add("double_effects", text, history)
        elif not one.told and one.asked and record.lines != one.asked:
            text = f"{name}: she asked for {lines(one.asked)} and was told {lines(record.lines)}."
            self._findings.add("contradicted_answers", text, history)
        if ticket and one.ticket and ticket != one.ticket:
            text = f"{name}: she was told ticket {one.ticket}, and under the same id ticket {ticket}."
            self._findings.add("double_effects", text, history)
        if one.refused:
            text = (
                f"{name}: refused as {refusal(one.refused)} at {at(one.refused_us)}, told {record.state} at "
                f"{at(record.at_us)} without having asked again."
            )
            self._findings.add("contradicted_answers", text, history)
            one.refused = 0
        one.told, one.ticket, one.was_told = record.lines, ticket or one.ticket, record.state
        if record.state in _SET_ASIDE and one.set_aside_us is None:
            one.set_aside_us = record.at_us
        if record.state == "confirmed" and one.confirmed_us is None:
            one.confirmed_us = record.at_us
        if record.state in _ENDED and not one.ended:
            one.ended, one.ended_us = record.state, record.at_us

    def _refuse(self, one: _Request, record: RefusedTo, story: Sequence[AnyRecord]) -> None:
        self._settle(one, record, story)
        if one.verb != "reserve" or record.number not in NOTHING_TAKEN:
            return
        if one.told:
            text = (
                f"{record.viewer}/{record.rid}: she had been told {one.was_told}, and was then refused as "
                f"{refusal(record.number)} under the same id."
            )
            history = partial(self._history, (record.viewer, record.rid), story)
            self._findings.add("contradicted_answers", text, history)
            return
        one.refused, one.refused_us = record.number, record.at_us

    # --- one request, in the end ------------------------------------------------------------------------------------

    def _judge(self, key: Key, one: _Request, story: Sequence[AnyRecord], gone: bool, broke_off: bool) -> None:
        history = partial(self._history, key, story)
        name = f"{key[0]}/{key[1]}"
        hold = self._books.holds.get(key)
        if one.put_off_us is not None:  # she gave up: that was her answer
            self._was_answered(key, one, one.put_off_us, story)
        if one.open_since_us is not None and not gone:
            since = at(one.open_since_us)
            self._findings.add("unanswered", f"{name}: her {one.verb} of {since} was never answered.", history)
        if one.refused and one.open_since_us is None and hold is not None and not broke_off:
            said = f"refused as {refusal(one.refused)} at {at(one.refused_us)}"
            self._findings.add("contradicted_answers", f"{name}: {said}, and the books have it {hold.state}.", history)
        for text in self._early(key, one):
            self._findings.add("early_ends", f"{name}: {text}.", history)
        if one.told or one.confirmed_us is not None:
            for kind, text in self._wrong(key, one, hold, broke_off):
                self._findings.add(kind, f"{name}: {text}.", history)
            self._promise(key, one, hold)

    def _early(self, key: Key, one: _Request) -> list[str]:
        """Which of her stretches of time ended before what she was promised."""
        found = []
        for state, due_ms in (one.told_due_ms | one.answered_due_ms).items():
            kind = _RUNS_OUT_BY[state]
            ends_ms = [each.at_ms for each in self._books.movements.get(key, ()) if each.kind == kind]
            if ends_ms and min(ends_ms) < due_ms:
                text = f"her units were {state} for her until {utc(due_ms)} at least, and {kind} at {utc(min(ends_ms))}"
                found.append(text)
        return found

    def _wrong(self, key: Key, one: _Request, hold: HoldRow | None, broke_off: bool) -> list[tuple[str, str]]:
        """(kind, what) of everything that the books say otherwise than she was told."""
        told = one.was_told or "an order"
        if hold is None:
            return [("lost_holds", f"she was told {told}, {lines(one.told)}, and the books know nothing of it")]
        found = []
        if one.told and hold.lines != one.told:
            text = f"she was told {lines(one.told)}, and the books have {lines(hold.lines)}"
            found.append(("lost_holds", text))
        if one.ticket and hold.ticket and one.ticket != hold.ticket:
            text = f"she was told ticket {one.ticket}, and the books have ticket {hold.ticket}"
            found.append(("double_effects", text))
        if one.confirmed_us is not None:
            found += self._wrong_confirmed(key, one.confirmed_us, hold)
        elif (why := self._unexplained(key, one, hold, broke_off)) != "":
            found.append(("lost_holds", why))
        elif one.ended and hold.state in ("waiting", "offered", "held"):
            text = f"she was told {one.ended} at {at(one.ended_us)}, and the books have it {hold.state}"
            found.append(("contradicted_answers", text))
        return found

    def _wrong_confirmed(self, key: Key, confirmed_us: int, hold: HoldRow) -> list[tuple[str, str]]:
        found = []
        order = self._orders.get(key)
        # While errands are under way Redis may still follow what SQL has confirmed.
        if hold.state != "confirmed" and (self._books.quiet or hold.state != "paying"):
            text = f"she was told confirmed at {at(confirmed_us)}, and the books have it {hold.state}"
            found.append(("lost_holds", text))
        if order is None or order.status != "confirmed":
            status = f"the order is {order.status}" if order else "there is no order"
            text = f"she was told confirmed at {at(confirmed_us)}, and in the ledger {status}"
            found.append(("unpaid_confirmed", text))
        return found

    def _unexplained(self, key: Key, one: _Request, hold: HoldRow, broke_off: bool) -> str:
        """Why the end of her hold is none that it may come to; "" where it lives, or ended as it should."""
        if hold.state == "released" and one.released_us is None and not broke_off:
            return "her hold was released and she never asked for that"
        if hold.state in _ENDED_BY and self._books.quiet and not self._books.kinds(key) & _ENDED_BY[hold.state]:
            return f"her hold is {hold.state} and no movement says how it came to that"
        if hold.state == "expired" and "lost" in self._books.kinds(key) and self._is_of_ledger(hold):
            return "her hold was lost, and it had been promised that the ledger has it"
        return ""

    def _is_of_ledger(self, hold: HoldRow) -> bool:
        """A cart promises what its weakest line does."""
        levels = {deal.deal_id: deal.level for deal in self._books.deals}
        return all(levels.get(deal_id) == "ledger" for deal_id, _ in hold.lines)

    def _history(self, key: Key, story: Sequence[AnyRecord]) -> list[str]:
        mine = (record for record in story if getattr(record, "rid", None) == key[1])
        return [*map(line_of, mine), *lines_of_books(self._books, key)]

    # --- the whole crowd --------------------------------------------------------------------------------------------

    def _promise(self, key: Key, one: _Request, hold: HoldRow | None) -> None:
        for deal_id, qty in one.told or (hold.lines if hold else ()):
            promised = self._promised[deal_id]
            if one.confirmed_us is not None:
                promised.confirmed += qty
                promised.last = key
            stretch = self._certainly_set_aside(key, one, hold)
            if stretch is not None:
                promised.changes += ((stretch[0], qty, key), (stretch[1], -qty, key))

    def _certainly_set_aside(self, key: Key, one: _Request, hold: HoldRow | None) -> tuple[int, int] | None:
        """From when to when (µs) her units were certainly set aside at the server, whatever is still on its way to her:
        from what she was told until she asked to give them back, or for ever. None where their end is not known by the
        run's clock."""
        if hold is None or one.set_aside_us is None or not self._books.quiet:
            return None
        if self._books.kinds(key) & _BACK_AGAIN:
            return None
        if hold.state == "confirmed" or hold.state in LIVE_WORDS - {"waiting", "entered"}:
            return one.set_aside_us, _FOR_EVER
        if hold.state != "released" or one.released_us is None:
            return None
        until_us = one.released_us - self._early_us
        return (one.set_aside_us, until_us) if until_us > one.set_aside_us else None

    def check_promises(self) -> None:
        """More promised than there ever was, at any moment of the run."""
        most_of = self._allotted()
        for deal_id, promised in self._promised.items():
            most = most_of.get(deal_id, 0)
            history = partial(self._history_of_deal, deal_id, promised)
            if promised.confirmed > most:
                text = f"{deal_id}: {promised.confirmed} units were told to be sold; {most} were ever allotted."
                self._findings.add("oversold", text, history)
                continue
            at_us, units = _first_above(promised.changes, most)
            if units > most:
                text = f"{deal_id}: at {at(at_us)} {units} units were set aside as told; {most} were ever allotted."
                self._findings.add("oversold", text, history)

    def _allotted(self) -> dict[str, int]:
        movements = movements_by_deal(self._books)
        return {deal.deal_id: allotted_most(deal, movements[deal.deal_id]) for deal in self._books.deals}

    def _history_of_deal(self, deal_id: str, promised: _Promised) -> list[str]:
        told = [
            f"{at(at_us)}  {viewer}/{rid}: {abs(units)} × {deal_id} {'told' if units > 0 else 'asked to give back'}"
            for at_us, units, (viewer, rid) in sorted(promised.changes)
            if at_us < _FOR_EVER
        ]
        moved = movements_by_deal(self._books)[deal_id]
        return [*lines_of_movements(moved), *told]


def _note_end(one: _Request, record: Answered | Told) -> None:
    """Keep until when her units were certainly promised to her: what she was told, less what may have passed between
    the server's counting and her hearing of it. Of an answer that is its own way there and back at the most."""
    state = record.state
    if not record.due_at_ms or state not in _RUNS_OUT_BY:
        return
    if isinstance(record, Answered) and one.asked_us is not None:
        due_ms = record.due_at_ms - (record.at_us - one.asked_us) // 1000 - 1 - _EARLY_MS
        one.answered_due_ms[state] = max(due_ms, one.answered_due_ms.get(state, due_ms))
    else:  # the earliest is the one that was on its way for the shortest time
        due_ms = record.due_at_ms - _TOLD_LATE_MS - _EARLY_MS
        one.told_due_ms[state] = min(due_ms, one.told_due_ms.get(state, due_ms))


def _first_above(changes: list[tuple[int, int, Key]], most: int) -> tuple[int, int]:
    """(when, units) at the first moment with more than `most`; at one instant, what ends ends first."""
    running = 0
    for at_us, units, _ in sorted(changes):
        running += units
        if running > most:
            return at_us, running
    return 0, 0
