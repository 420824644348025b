"""The log alone: movements of one show, replayed in their order, and what every deal must have after each of them.

What arrives: movements of the reservation script, in the order in which it made them. What leaves: a deal's units by
place (available, held, paying, sold), and a sentence for the first movement that cannot have happened. It remembers
only holds that are alive, so that a worker can go on from where it was for weeks. Pure: it reads nothing by itself.

Where books were made anew, what stands before may be of several histories: the one that was lost, and the one that went
on without it. Its order then says nothing, and `Fold` takes it without: of each hold the furthest movement is true, as
the rebuild itself decided, which wrote down all that it believed. From there on the log is replayed as ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

Line = tuple[str, str, int]  # (viewer_id, rid, line)

# Where the units of a line are. Who waits or is in a draw has none; "gone" are the ended, which are forgotten.
_PLACES: Final = {
    "entered": "",
    "waiting": "",
    "offered": "held",
    "held": "held",
    "paying": "paying",
    "sold": "sold",
    "": "",
}

# (state of a line, kind of movement) → state. What is absent cannot happen.
STEPS: Final[Mapping[tuple[str, str], str]] = {
    ("", "held"): "held",
    ("", "waiting"): "waiting",
    ("", "entered"): "entered",
    # The draw gave her a place: a unit, or one in the line.
    ("entered", "held"): "held",
    ("entered", "waiting"): "waiting",
    ("entered", "released"): "",
    ("entered", "lapsed"): "",
    ("entered", "cancelled"): "",
    ("waiting", "offered"): "offered",
    ("waiting", "released"): "",
    ("waiting", "lapsed"): "",
    ("waiting", "cancelled"): "",
    ("offered", "accepted"): "held",
    ("offered", "released"): "",
    ("offered", "lapsed"): "",
    ("offered", "cancelled"): "",
    ("held", "kept"): "held",
    # A break of the show: the same units, for longer.
    ("held", "lengthened"): "held",
    ("offered", "offer_lengthened"): "offered",
    ("held", "released"): "",
    ("held", "expired"): "",
    ("held", "pay_expired"): "",
    ("held", "cancelled"): "",
    ("held", "paying"): "paying",
    ("held", "confirmed"): "sold",
    ("paying", "confirmed"): "sold",
    ("paying", "pay_expired"): "",
    ("paying", "cancelled"): "",
    ("", "reacquired"): "paying",
    # Written by whoever rebuilds lost books, for what could not be proved any more.
    ("entered", "lost"): "",
    ("waiting", "lost"): "",
    ("offered", "lost"): "",
    ("held", "lost"): "",
    ("paying", "lost"): "",
}
KINDS: Final = frozenset(kind for _, kind in STEPS)
# How far along its way a hold is after each kind of movement, within one round, and where its units are then.
FURTHEST: Final[Mapping[str, tuple[int, str]]] = {
    "entered": (0, "entered"), "waiting": (1, "waiting"), "offered": (2, "offered"), "offer_lengthened": (2, "offered"),
    "held": (3, "held"), "accepted": (3, "held"), "kept": (3, "held"), "lengthened": (3, "held"),
    "paying": (4, "paying"), "reacquired": (4, "paying"),
    "confirmed": (5, "sold"), "lapsed": (6, ""), "expired": (7, ""), "pay_expired": (7, ""), "lost": (7, ""),
    "cancelled": (8, ""), "released": (9, ""),
}  # fmt: skip
ANEW: Final = "anew"  # the last movement of a rebuild, one for each deal
_QUOTA: Final = {"allotted": 1, "taken_out": -1}
SQL_KINDS: Final = ("order_paying", "order_reacquired", "order_expired", "order_cancelled", "order_confirmed")
# More sentences than this say nothing new; the first ones are those that led to the rest.
WRONG_MAX: Final = 20


@dataclass(slots=True)
class Units:
    """Where a deal's units are. `quota` is what was put in less what was taken out."""

    quota: int = 0
    held: int = 0
    paying: int = 0
    sold: int = 0

    @property
    def available(self) -> int:
        return self.quota - self.held - self.paying - self.sold


@dataclass(frozen=True, slots=True)
class Wrong:
    """A movement that cannot have happened, in words."""

    text: str
    deal_id: str
    line: Line


class Replay:
    """Takes movements one by one. `fork` goes on from here without changing this one."""

    def __init__(self, base: "Replay | None" = None) -> None:
        self._base = base
        self._alive: dict[Line, str] = {}
        self.deals: dict[str, Units] = {}
        self.wrong: list[Wrong] = []
        self.unknown_kinds: set[str] = set()
        if base is not None:
            self.deals = {deal_id: replace(units) for deal_id, units in base.deals.items()}
            self.wrong = list(base.wrong)
            self.unknown_kinds = set(base.unknown_kinds)

    def __len__(self) -> int:
        return len(self._alive)

    def fork(self) -> "Replay":
        return Replay(self)

    def take(self, line: Line, kind: str, deal_id: str, qty: int, at_ms: int) -> None:
        """One movement. What SQL decided is passed over: `orders_of` sums that up."""
        units = self.deals.get(deal_id)
        if units is None:
            units = self.deals[deal_id] = Units()
        if kind in _QUOTA:
            units.quota += _QUOTA[kind] * qty
            if units.available < 0:
                text = f"{kind} {qty} at {at_ms} leaves {units.available} available, and {units.held} held"
                self.note(text, deal_id, line)
            return
        if kind not in KINDS:
            if kind not in (*SQL_KINDS, ANEW):
                self.unknown_kinds.add(kind)
            return
        was = self._state(line)
        now = STEPS.get((was, kind))
        if now is None:
            self.note(f"{kind} at {at_ms}, when it was {was or 'nothing any more'}", deal_id, line)
            return
        self._put(line, now)
        self._move(units, _PLACES[was], -qty)
        self._move(units, _PLACES[now], qty)
        if units.available < 0 and kind in ("held", "offered", "reacquired"):
            taken = units.quota - units.available
            text = f"OVERSOLD: {taken} of {units.quota} units are set aside or sold since it was {kind} at {at_ms}"
            self.note(text, deal_id, line)

    def begin_with(self, line: Line, state: str, deal_id: str, qty: int) -> None:
        """A line that is in this state, however it came there."""
        units = self.deals.setdefault(deal_id, Units())
        self._put(line, state)
        self._move(units, _PLACES[state], qty)

    def _state(self, line: Line) -> str:
        found = self._alive.get(line)
        if found is None:
            found = self._base._state(line) if self._base is not None else ""
        return found

    def _put(self, line: Line, state: str) -> None:
        if state in ("", "sold") and self._base is None:
            self._alive.pop(line, None)
        else:
            self._alive[line] = "" if state == "sold" else state

    def _move(self, units: Units, place: str, qty: int) -> None:
        if place:
            setattr(units, place, getattr(units, place) + qty)

    def note(self, text: str, deal_id: str, line: Line) -> None:
        if len(self.wrong) < WRONG_MAX:
            who = f"{line[0]}/{line[1]}" if line[0] else line[1]
            self.wrong.append(Wrong(f"{deal_id}: {who}: {text}", deal_id, line))


class Fold:
    """Takes movements in any order; `finish` is the replay that goes on from what they come to."""

    def __init__(self) -> None:
        self._lines: dict[Line, tuple[tuple[int, int], str, str, int]] = {}  # → (how far, state, deal, units)
        self._replay = Replay()

    def take(self, line: Line, kind: str, n: int, deal_id: str, qty: int, at_ms: int) -> None:
        step = FURTHEST.get(kind)
        if step is None:
            self._replay.take(line, kind, deal_id, qty, at_ms)  # quotas, and what is passed over
            return
        known = self._lines.get(line)
        if known is None or (n, step[0]) > known[0]:
            self._lines[line] = (n, step[0]), step[1], deal_id, qty

    def finish(self) -> Replay:
        """What was said of the quota on the way depends on the order, so it is forgotten; what is left must add up."""
        replay = self._replay
        replay.wrong.clear()
        for line, (_, state, deal_id, qty) in self._lines.items():
            replay.begin_with(line, state, deal_id, qty)
        for deal_id, units in replay.deals.items():
            if units.available < 0:
                text = f"OVERSOLD: {units.quota - units.available} of {units.quota} units when its books were made anew"
                replay.note(text, deal_id, ("", deal_id, 0))
        return replay


@dataclass(slots=True)
class Ordered:
    """What the orders' own movements say that SQL has of a deal."""

    paying: int = 0
    sold: int = 0

    def take(self, kind: str, qty: int) -> None:
        match kind:
            case "order_paying" | "order_reacquired":
                self.paying += qty
            case "order_expired" | "order_cancelled":
                self.paying -= qty
            case "order_confirmed":
                self.paying -= qty
                self.sold += qty
