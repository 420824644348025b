"""The rules of reservation in plain Python: dictionaries where the script has hashes, no packing, no bounds of a call.

What arrives: the engine's verbs and turns of the clock. What leaves: the same answers, refusals by their `R`. It is
what the tests compare the script with, and the shortest place to read the rules. Time is whatever `turn` said.
"""

from dataclasses import dataclass, field

from livecommerce.errors import R
from livecommerce.protocol.facts import LimitBy
from livecommerce.reservations.states import IN_HELD, LIVE, MOVES, DealState, DrawPhase, Move, State

Key = tuple[str, str]  # (viewer_id, rid)
Lines = tuple[tuple[str, int], ...]
QTY_UNITS_OF = {State.OFFERED: "held", State.HELD: "held", State.PAYING: "paying", State.CONFIRMED: "sold"}
LIVE_RIDS_MAX = 24
LONGEST_MS = 2_592_000_000
IN_LINE = frozenset({State.ENTERED, State.WAITING})
UNDRAWN = frozenset({DrawPhase.ENTERING, DrawPhase.DRAWING})


class No(Exception):
    """A refusal of the model."""

    def __init__(self, why: R) -> None:
        self.why = why
        super().__init__(why.name)


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks. `person` is "" for a guest, "v…" verified, "m…" a member; `address` "" is not counted."""

    viewer_id: str
    person: str = ""
    address: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.viewer_id, f"~{self.person}") if self.person else (self.viewer_id,)


@dataclass(slots=True)
class ModelDeal:
    quota: int
    limit: int
    hold_ms: int
    pay_ms: int
    status: DealState
    waits_for_head: bool = False
    available: int = 0
    limit_by: LimitBy = "guest"
    address_cap: int = 0
    hold_cap_ms: int = 0
    draw: DrawPhase = DrawPhase.NONE
    # Of the draw, from the end of its window on: who is in it by arrival, the last ticket before the drawn ones, how
    # many have their place, and how many of those wait.
    entered: dict[int, Key] = field(default_factory=dict)
    base: int = 0
    drawn: int = 0
    in_line: int = 0


@dataclass(slots=True)
class ModelHold:
    lines: Lines
    wait: bool | None  # None after a loss: it is not known whether she would have waited
    state: State
    ticket: int
    due: int = 0
    n: int = 0
    # What it is counted under, as it was decided when it was made: (name, units).
    charged: tuple[tuple[str, int], ...] = ()
    times: tuple[str, ...] = ()
    at: int = 0
    queue: tuple[int, int] = (0, 0)  # where it stands among those that end: the queue's name, and its number there


@dataclass(slots=True)
class Model:
    """One show."""

    offer_ms: int
    now: int = 0
    ticket: int = 0
    deals: dict[str, ModelDeal] = field(default_factory=dict)
    holds: dict[Key, ModelHold] = field(default_factory=dict)
    moves: set[tuple[str, str]] = field(default_factory=set)
    taken: dict[tuple[str, str], int] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)  # made anew with units for those who wait: the next heartbeat's
    show_limit: int = 0
    held_ms: dict[str, int] = field(default_factory=dict)  # who/deal → how long units stood held unpaid
    queued: int = 0
    breaks: dict[int, tuple[int, int]] = field(default_factory=dict)  # number → holds lengthened, holds capped

    # --- what can be asked ------------------------------------------------------------------------------------------

    def level(self, deal_id: str) -> tuple[int, int, int, int, int]:
        """(available, held, paying, sold, waiting)"""
        held, paying, sold = (self._units(deal_id, where) for where in ("held", "paying", "sold"))
        return self.deals[deal_id].available, held, paying, sold, len(self._line(deal_id))

    def place(self, key: Key) -> int:
        return self._line(self.holds[key].lines[0][0]).index(key) + 1

    def counts(self) -> dict[str, int]:
        """name → units that count toward a limit: all that is waited for, held, paid or bought.

        "who/deal", where who is the viewer or "~person"; "who/" for the whole show; "@address/deal".
        """
        counts: dict[str, int] = {}
        for hold in self.holds.values():
            if hold.state in LIVE or hold.state == State.CONFIRMED:
                for name, units in hold.charged:
                    counts[name] = counts.get(name, 0) + units
        return counts

    def live_of(self, viewer_id: str) -> list[Key]:
        return [key for key, hold in self.holds.items() if key[0] == viewer_id and hold.state in LIVE]

    # --- verbs: after each, `end_of_call` offers what came back ----------------------------------------------------

    def put_deal(self, deal_id: str, deal: ModelDeal, move_id: str) -> None:
        units = 0 if (deal_id, move_id) in self.moves else deal.quota
        self.moves.add((deal_id, move_id))
        known = self.deals.get(deal_id)
        if known is None:
            known = self.deals[deal_id] = ModelDeal(0, deal.limit, deal.hold_ms, deal.pay_ms, deal.status)
            known.draw = deal.draw
        known.limit, known.hold_ms, known.pay_ms = deal.limit, deal.hold_ms, deal.pay_ms
        known.waits_for_head = deal.waits_for_head
        known.limit_by, known.address_cap, known.hold_cap_ms = deal.limit_by, deal.address_cap, deal.hold_cap_ms
        known.quota += units
        known.available += units
        self.freed.add(deal_id)

    def set_status(self, deal_id: str, status: DealState) -> int:
        if deal_id not in self.deals:
            raise No(R.UNKNOWN_DEAL)
        deal, units = self.deals[deal_id], 0
        if status >= DealState.CLOSING:
            units = deal.available
            deal.quota -= units
            deal.available = 0
            deal.draw = DrawPhase.VOID if deal.draw in UNDRAWN else deal.draw
            if self._units(deal_id, "held") or self._units(deal_id, "paying"):
                status = DealState.CLOSING
        deal.status = status
        if status >= DealState.CLOSING:
            for key in self._line(deal_id):
                self._become(key, Move.RUN_OUT)
        self.freed.add(deal_id)
        return units

    def take_out(self, deal_id: str, move_id: str, units: int) -> int:
        if (deal_id, move_id) in self.taken:
            return self.taken[deal_id, move_id]
        if deal_id not in self.deals:
            raise No(R.UNKNOWN_DEAL)
        self._offer_back({deal_id})
        if self._public(deal_id) < units:
            self._end_due()
            self._offer_back({deal_id})
        taken = min(units, self._public(deal_id))
        self.deals[deal_id].available -= taken
        self.deals[deal_id].quota -= taken
        self.taken[deal_id, move_id] = taken
        return taken

    def keep(self, key: Key, keep_ms: int) -> ModelHold:
        hold = self._known(key)
        if hold.state in (*IN_LINE, State.OFFERED):
            raise No(R.CONFLICT)
        if hold.state > State.CONFIRMED:
            raise No(R.HOLD_GONE)
        if hold.state == State.HELD and hold.due - hold.at < keep_ms:
            self._charge_time(hold, self.now + keep_ms - hold.due)
            hold.at, hold.due = self.now, self.now + keep_ms
            self._enqueue(hold, keep_ms)
        return hold

    def lengthen(self, number: int, break_ms: int) -> tuple[int, int]:
        """Everything held or offered ends later by a break, queue by queue, first what ends first; what a cap on the
        time held does not allow stays as it is."""
        if number < max(self.breaks, default=0):
            return 0, 0
        if number in self.breaks:
            return self.breaks[number]
        holds = capped = 0
        names: dict[int, int] = {}
        held = (hold for hold in self.holds.values() if hold.state in IN_HELD and hold.due > self.now)
        for hold in sorted(held, key=lambda hold: hold.queue):
            if not all(self._allows(name, break_ms) for name in hold.times):
                capped += 1
                continue
            holds += 1
            self._charge_time(hold, break_ms)
            hold.at, hold.due = self.now, hold.due + break_ms
            name = names.setdefault(hold.queue[0], LONGEST_MS + self.queued + 1)
            self._enqueue(hold, name)
        self.breaks[number] = holds, capped
        return holds, capped

    def _allows(self, name: str, break_ms: int) -> bool:
        cap = self.deals[name.partition("/")[2]].hold_cap_ms
        return not cap or self.held_ms.get(name, 0) + break_ms <= cap

    def _enqueue(self, hold: ModelHold, name: int) -> None:
        self.queued += 1
        hold.queue = name, self.queued

    def replace(self, key: Key, old_key: Key, lines: Lines, person: str = "", address: str = "") -> ModelHold:
        self._run_out(key)
        if key in self.holds:
            return self.reserve(key, lines, False, person, address)
        old = self._known(old_key)
        if old.state != State.HELD:
            raise No(R.HOLD_GONE if old.state > State.CONFIRMED else R.CONFLICT)
        if any(self._line(deal_id) for deal_id, _ in old.lines):
            raise No(R.CONFLICT)
        if any(self.deals[deal_id].draw in UNDRAWN for deal_id, _ in lines if deal_id in self.deals):
            raise No(R.DRAW_ALONE)
        due, at, queue = old.due, old.at, old.queue
        self._become(old_key, Move.RELEASE)
        try:
            return self.reserve(key, lines, False, person, address)
        except No:
            old.state, old.due, old.at, old.queue = State.HELD, due, at, queue
            self._charge_time(old, due - self.now)
            for deal_id, qty in old.lines:
                self.deals[deal_id].available -= qty
            raise

    def reserve(self, key: Key, lines: Lines, wait: bool, person: str = "", address: str = "") -> ModelHold:
        self._run_out(key)
        if key in self.holds:
            hold = self.holds[key]
            if hold.lines != lines or hold.wait not in (wait, None):
                raise No(R.RID_REUSED)
            return hold
        self._refuse_lines(lines)
        who = Who(key[0], person, address)
        self._refuse_viewer(who, lines)
        if any(self.deals[deal_id].draw in UNDRAWN for deal_id, _ in lines):
            return self._enter(key, lines, wait, who)
        if not self._fits(lines):
            self._end_due()
        if not self._fits(lines):
            if not wait or len(lines) != 1:
                raise No(R.SOLD_OUT)
            if self._stands_in_line(who, lines[0][0]):
                raise No(R.ALREADY_WAITING)
            return self._new(key, lines, wait, who, State.WAITING, 0)
        for deal_id, qty in lines:
            self.deals[deal_id].available -= qty
        return self._new(key, lines, wait, who, State.HELD, self._hold_ms(lines))

    def draw(self, deal_id: str, drawn: list[Key]) -> None:
        """The window is over and the draw is made at once, in this order: who can be served is, the rest wait."""
        if self.end_window(deal_id).draw == DrawPhase.DRAWING:
            self.give_places(deal_id, drawn)

    def end_window(self, deal_id: str) -> ModelDeal:
        """From here on nobody enters and nobody leaves, until `give_places` has named every entrant."""
        if deal_id not in self.deals:
            raise No(R.UNKNOWN_DEAL)
        deal = self.deals[deal_id]
        if deal.draw == DrawPhase.ENTERING and deal.status == DealState.OPEN:
            deal.draw, deal.entered, deal.base = DrawPhase.DRAWING, self.entrants(deal_id), self.ticket
            self.ticket += len(deal.entered)
            self._maybe_drawn(deal_id)
        return deal

    def give_places(self, deal_id: str, part: list[Key]) -> None:
        """The next of the draw's order. The caller has seen to it that they are: see `end_window`."""
        deal = self.deals[deal_id]
        for key in part:
            deal.drawn += 1
            hold = self.holds[key]
            hold.ticket = deal.base + deal.drawn
            qty = hold.lines[0][1]
            if qty <= deal.available and not (deal.waits_for_head and deal.in_line):
                deal.available -= qty
                self._become(key, Move.DRAW, deal.hold_ms)
            else:
                deal.in_line += 1
                self._become(key, Move.DRAW_LATER)
        self._maybe_drawn(deal_id)

    def _maybe_drawn(self, deal_id: str) -> None:
        deal = self.deals[deal_id]
        if deal.drawn == len(deal.entered):
            deal.draw = DrawPhase.DRAWN
            self.freed.add(deal_id)

    def entrants(self, deal_id: str) -> dict[int, Key]:
        """Arrival ticket → key."""
        return {hold.ticket: key for key, hold in self.holds.items()
                if hold.state == State.ENTERED and self._is_for(key, deal_id)}  # fmt: skip

    def release(self, key: Key, move: Move = Move.RELEASE) -> ModelHold:
        """By her (RELEASE), or by the shop that pulls its deal (PULL)."""
        hold = self._known(key)
        if hold.state in (State.PAYING, State.CONFIRMED):
            raise No(R.CONFLICT)
        if hold.state == State.ENTERED and self.deals[hold.lines[0][0]].draw == DrawPhase.DRAWING:
            raise No(R.DRAW_RUNS)
        return self._become(key, move)

    def cancel_unpaid(self, deal_id: str) -> int:
        mine = [key for key, hold in self.holds.items() if hold.state in IN_HELD and self._is_for(key, deal_id)]
        for key in mine:
            self._run_out(key)
            self._become(key, Move.PULL)
        return len(mine)

    def accept(self, key: Key) -> ModelHold:
        hold = self._known(key)
        if hold.state in IN_LINE:
            raise No(R.CONFLICT)
        if hold.state > State.CONFIRMED:
            raise No(R.HOLD_GONE)
        return self._become(key, Move.ACCEPT, self.deals[hold.lines[0][0]].hold_ms)

    def begin_pay(self, key: Key, pay_ms: int) -> ModelHold:
        hold = self._known(key)
        if hold.state in (*IN_LINE, State.OFFERED):
            raise No(R.CONFLICT)
        if hold.state > State.CONFIRMED:
            raise No(R.HOLD_GONE)
        return self._become(key, Move.BEGIN_PAY, pay_ms)

    def settle(self, key: Key) -> ModelHold:
        hold = self._known(key)
        if hold.state not in (State.HELD, State.PAYING, State.CONFIRMED):
            raise No(R.CONFLICT)
        return self._become(key, Move.SETTLE)

    def free(self, key: Key, move: Move, n: int | None = None) -> ModelHold | None:
        if key not in self.holds:
            return None
        hold = self._known(key)
        if n is not None and hold.n > n:  # late money took the units again since that was decided
            return hold
        if hold.state in (*IN_LINE, State.OFFERED, State.CONFIRMED):
            raise No(R.CONFLICT)
        return self._become(key, move)

    def reacquire(self, key: Key) -> bool:
        hold = self._known(key)
        if hold.state in (State.PAYING, State.CONFIRMED):
            return True
        if hold.state in (*IN_LINE, State.OFFERED, State.LAPSED):
            raise No(R.CONFLICT)
        pay_ms = max(self.deals[deal_id].pay_ms for deal_id, _ in hold.lines)
        if hold.state != State.HELD:
            if not self._fits(hold.lines):
                self._end_due()
            if not self._fits(hold.lines):
                return False
            hold.n += 1
            for deal_id, qty in hold.lines:
                self.deals[deal_id].available -= qty
        self._become(key, Move.REACQUIRE, pay_ms)
        return True

    def end_of_call(self) -> None:
        self._offer_freed()

    def turn(self, milliseconds: int) -> None:
        """The clock goes on and a heartbeat comes: what is due ends, what came back is offered."""
        self.now += milliseconds
        self._end_due()
        self._offer_freed()

    # --- rules ------------------------------------------------------------------------------------------------------

    def _refuse_lines(self, lines: Lines) -> None:
        late: R | None = None
        for deal_id, qty in lines:
            deal = self.deals.get(deal_id)
            if deal is None:
                raise No(R.UNKNOWN_DEAL)
            if not 1 <= qty <= deal.limit:
                raise No(R.QUANTITY)
            if deal.status != DealState.OPEN:
                late = late or (R.DEAL_NOT_OPEN if deal.status == DealState.ANNOUNCED else R.DEAL_CLOSED)
        if late:
            raise No(late)

    def _refuse_viewer(self, who: "Who", lines: Lines) -> None:
        for deal_id, _ in lines:
            limit_by = self.deals[deal_id].limit_by
            if limit_by == "verified" and not who.person:
                raise No(R.VERIFIED_ONLY)
            if limit_by == "member" and not who.person.startswith("m"):
                raise No(R.MEMBERS_ONLY)
        if len(self.live_of(who.viewer_id)) >= LIVE_RIDS_MAX:
            raise No(R.TOO_MANY)
        counts, sums = self.counts(), _sums(lines)
        most = {self._named(who, deal_id): self.deals[deal_id].limit for deal_id in sums}
        most |= {f"{name}/": self.show_limit for name in who.names}
        most |= {f"@{who.address}/{deal_id}": self.deals[deal_id].address_cap for deal_id in sums}
        if any(counts.get(name, 0) + units > most[name] for name, units in self._charged(who, lines)):
            raise No(R.LIMIT)
        for deal_id in sums:
            used, cap = self.held_ms.get(self._named(who, deal_id), 0), self.deals[deal_id].hold_cap_ms
            if cap and used + self._hold_ms(lines) > cap:
                raise No(R.HOLD_TIME)

    def _named(self, who: "Who", deal_id: str) -> str:
        """Whom this deal counts."""
        return f"{who.viewer_id if self.deals[deal_id].limit_by == 'guest' else '~' + who.person}/{deal_id}"

    def _charged(self, who: "Who", lines: Lines) -> tuple[tuple[str, int], ...]:
        sums = _sums(lines)
        charged = [(self._named(who, deal_id), qty) for deal_id, qty in sums.items()]
        if self.show_limit:
            charged += [(f"{name}/", sum(sums.values())) for name in who.names]
        if who.address:
            charged += [(f"@{who.address}/{d}", qty) for d, qty in sums.items() if self.deals[d].address_cap]
        return tuple(charged)

    def _hold_ms(self, lines: Lines) -> int:
        return min(self.deals[deal_id].hold_ms for deal_id, _ in lines)

    def _enter(self, key: Key, lines: Lines, wait: bool, who: "Who") -> ModelHold:
        if len(lines) != 1:
            raise No(R.DRAW_ALONE)
        if self._stands_in_line(who, lines[0][0]):
            raise No(R.ALREADY_IN)
        if self.deals[lines[0][0]].draw == DrawPhase.DRAWING:
            raise No(R.DRAW_RUNS)
        return self._new(key, lines, wait, who, State.ENTERED, 0)

    def _stands_in_line(self, who: "Who", deal_id: str) -> bool:
        mine = self._named(who, deal_id)
        return any(hold.state in IN_LINE and hold.charged[0][0] == mine for hold in self.holds.values())

    def _fits(self, lines: Lines) -> bool:
        self._offer_back({deal_id for deal_id, _ in lines})
        return all(qty <= self._public(deal_id) for deal_id, qty in _sums(lines).items())

    def _public(self, deal_id: str) -> int:
        """No overtaking: where the head of the line is waited for, nothing is public while anyone waits."""
        deal = self.deals[deal_id]
        if deal.draw in UNDRAWN and deal.status != DealState.ANNOUNCED:
            return 0
        first_come = deal.waits_for_head or deal_id in self.owed
        return 0 if first_come and self._line(deal_id) else deal.available

    def _known(self, key: Key) -> ModelHold:
        self._run_out(key)
        if key not in self.holds:
            raise No(R.NOT_FOUND)
        return self.holds[key]

    def _run_out(self, key: Key) -> None:
        hold = self.holds.get(key)
        if hold and hold.state in (State.HELD, State.OFFERED) and hold.due <= self.now:
            self._become(key, Move.RUN_OUT)

    def _new(self, key: Key, lines: Lines, wait: bool, who: "Who", state: State, duration_ms: int) -> ModelHold:
        self.ticket += 1
        # Where one of a cart's deals counts time, all of them do.
        timed = any(self.deals[deal_id].hold_cap_ms for deal_id, _ in lines)
        times = tuple(self._named(who, deal_id) for deal_id in _sums(lines)) if timed else ()
        due = self.now + duration_ms if duration_ms else 0
        hold = ModelHold(lines, wait, state, self.ticket, due, 0, self._charged(who, lines), times, self.now)
        self.holds[key] = hold
        self._charge_time(hold, duration_ms)
        self._enqueue(hold, duration_ms)
        return hold

    def _charge_time(self, hold: ModelHold, milliseconds: int) -> None:
        for name in hold.times:
            self.held_ms[name] = self.held_ms.get(name, 0) + milliseconds

    def _become(self, key: Key, move: Move, duration_ms: int = 0) -> ModelHold:
        hold = self.holds[key]
        new = MOVES.get((hold.state, move))
        if new is None:  # a second attempt: the answer is the state as it is
            return hold
        # Time held unpaid is counted whole when it begins; what was not used comes back.
        if hold.state in IN_HELD:
            self._charge_time(hold, -max(0, hold.due - self.now))
        if new in IN_HELD:
            self._charge_time(hold, duration_ms)
        was, hold.state = hold.state, new
        hold.due = self.now + duration_ms if duration_ms else 0
        hold.at = self.now
        self._enqueue(hold, duration_ms)
        if was in QTY_UNITS_OF and new not in QTY_UNITS_OF:
            for deal_id, qty in hold.lines:
                self.deals[deal_id].available += qty
                self.freed.add(deal_id)
        return hold

    def _end_due(self) -> None:
        for key in list(self.holds):
            self._run_out(key)

    def _offer_back(self, deal_ids: set[str]) -> None:
        """What came back of these deals. The others' turn is at the end of the call."""
        for deal_id in self.freed & deal_ids:
            self.freed.discard(deal_id)
            self._offer(deal_id)

    def _offer_freed(self) -> None:
        """What came back in one call is offered together, so that a head that wants two gets two."""
        while self.freed:
            self._offer(self.freed.pop())

    def _offer(self, deal_id: str) -> None:
        deal = self.deals[deal_id]
        self.owed.discard(deal_id)
        if deal.status != DealState.OPEN or deal.draw in UNDRAWN:
            return
        for key in self._line(deal_id):
            qty = self.holds[key].lines[0][1]
            if qty <= deal.available:
                deal.available -= qty
                self._become(key, Move.OFFER, self.offer_ms)
            elif deal.waits_for_head:
                return

    def _line(self, deal_id: str) -> list[Key]:
        """Who waits for this deal, first come first; also who is in its draw."""
        waiting = [k for k, hold in self.holds.items() if hold.state in IN_LINE and self._is_for(k, deal_id)]
        return sorted(waiting, key=lambda key: self.holds[key].ticket)

    def _is_for(self, key: Key, deal_id: str) -> bool:
        return any(deal == deal_id for deal, _ in self.holds[key].lines)

    def _units(self, deal_id: str, where: str) -> int:
        return sum(
            qty
            for hold in self.holds.values()
            if QTY_UNITS_OF.get(hold.state) == where
            for deal, qty in hold.lines
            if deal == deal_id
        )


def _sums(lines: Lines) -> dict[str, int]:
    sums: dict[str, int] = {}
    for deal_id, qty in lines:
        sums[deal_id] = sums.get(deal_id, 0) + qty
    return sums
