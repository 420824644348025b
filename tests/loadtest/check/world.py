"""Small honest evenings for the checker, made by hand: a server's books and what its viewers were told, in agreement.

`Evening` plays: each verb moves the books as the server would and writes the records as a generator would. Nothing here
is a server; what it must agree with is proved in `test_real_run`.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from livecommerce.audit.books import (
    AnyRow,
    BeginRow,
    Books,
    DealRow,
    EndRow,
    EventRow,
    HoldRow,
    LevelRow,
    MovementRow,
    OrderRow,
    Pending,
    PoolRow,
    ReservationRow,
    books_of,
)
from livecommerce.protocol.facts import HoldState
from loadtest.records import Answered, AnyRecord, Asked, EventSeen, Paid, RefusedTo, Segment, Told

EPOCH, DEAL = "ep1", "dl_a"
SOLD_OUT, BUSY = 400, 409
PATIENCE_US = 1_000_000
LIVE = ("waiting", "offered", "held", "paying")


def digest(offset: int) -> str:
    return f"{offset:032x}"


@dataclass
class Evening:
    """One deal of `units`; one unit a tap."""

    units: int = 2
    now_us: int = 0
    records: list[AnyRecord] = field(default_factory=list)
    holds: dict[tuple[str, str], HoldRow] = field(default_factory=dict)
    moved: list[tuple[str, str, str, int]] = field(default_factory=list)  # viewer, rid, kind, qty
    orders: dict[tuple[str, str], OrderRow] = field(default_factory=dict)
    events: int = 0
    seen: set[int] = field(default_factory=set)
    at: dict[str, int] = field(default_factory=dict)  # viewers who are in → offset they know
    began: dict[str, tuple[int, bool]] = field(default_factory=dict)  # viewer → where her stretch began, resumed
    left: dict[str, int] = field(default_factory=dict)  # who is away → offset she knew
    tickets: int = 0

    def __post_init__(self) -> None:
        self.moved.append(("", f"{DEAL}/opening", "allotted", self.units))

    # --- news -------------------------------------------------------------------------------------------------------

    def happen(self) -> None:
        """One public event, seen by all who are in."""
        self.events += 1
        for viewer in self.at:
            self.at[viewer] = self.events
        if self.at:
            self._see(self.events)

    def enter(self, viewer: str) -> None:
        resumed = viewer in self.left
        begin = self.left.pop(viewer, self.events)
        self.began[viewer] = (begin, resumed)
        for offset in range(begin + 1, self.events + 1):
            self._see(offset)
        self.at[viewer] = self.events

    def cut(self, viewer: str) -> None:
        self.left[viewer] = self.at[viewer]
        self._end_stretch(viewer, 0)

    def leave(self, viewer: str) -> None:
        self._end_stretch(viewer, 1000)

    def _see(self, offset: int) -> None:
        if offset not in self.seen:
            self.seen.add(offset)
            self.records.append(EventSeen(self._tick(), EPOCH, offset, digest(offset)))

    def _end_stretch(self, viewer: str, closed: int) -> None:
        begin, resumed = self.began.pop(viewer)
        how = "resume" if resumed else "snapshot"
        self.records.append(Segment(viewer, EPOCH, begin, self.at.pop(viewer), how, closed))  # type: ignore[arg-type]

    # --- stock ------------------------------------------------------------------------------------------------------

    def tap(self, viewer: str, rid: str, *, answered: bool = True, again: bool = False) -> None:
        key = (viewer, rid)
        planned_us = self.now_us
        self.records.append(Asked(self._tick(), viewer, rid, "reserve", ((DEAL, 1),), planned_us, again))
        if key not in self.holds and self.taken() < self.units:
            self.tickets += 1
            self._become(key, "held", "held", self.tickets)
        if answered:
            self._answer(key)

    def release(self, viewer: str, rid: str) -> None:
        self.records.append(Asked(self._tick(), viewer, rid, "release", (), self.now_us))
        if self.holds[viewer, rid].state == "held":
            self._become((viewer, rid), "released", "released")
        self._answer((viewer, rid))

    def expire(self, viewer: str, rid: str) -> None:
        if self.holds[viewer, rid].state == "held":
            self._become((viewer, rid), "expired", "expired")
            self.records.append(Told(self._tick(), viewer, rid, "expired", ((DEAL, 1),)))

    def pay(self, viewer: str, rid: str) -> None:
        key = (viewer, rid)
        if self.holds[key].state != "held":
            return
        for kind in ("paying", "order_paying", "order_confirmed", "confirmed"):
            self.moved.append((*key, kind, 1))
        self.holds[key] = HoldRow(*key, "confirmed", self.holds[key].ticket, ((DEAL, 1),))
        number = len(self.orders) + 1
        self.orders[key] = OrderRow(f"or_{number}", str(number), *key, "confirmed", True)
        self.records.append(Paid(self._tick(), viewer, rid, f"or_{number}", "confirmed"))
        self.records.append(Told(self._tick(), viewer, rid, "confirmed", ((DEAL, 1),)))

    def taken(self) -> int:
        return sum(hold.state in (*LIVE, "confirmed") for hold in self.holds.values())

    def _become(self, key: tuple[str, str], state: HoldState, kind: str, ticket: int = 0) -> None:
        self.holds[key] = HoldRow(*key, state, ticket or self.holds[key].ticket, ((DEAL, 1),))
        self.moved.append((*key, kind, 1))

    def _answer(self, key: tuple[str, str]) -> None:
        hold = self.holds.get(key)
        if hold is None:
            self.records.append(RefusedTo(self._tick(), *key, SOLD_OUT))
        else:
            self.records.append(Answered(self._tick(), *key, hold.state, hold.ticket, hold.lines))

    def _tick(self) -> int:
        self.now_us += 10_000  # apart by more than what a generator may be wrong about its own sending
        return self.now_us

    # --- the end ----------------------------------------------------------------------------------------------------

    def finish(self) -> tuple[list[AnyRecord], Books]:
        for viewer in list(self.at):
            self._end_stretch(viewer, -1)
        return self.records, books_of(self.rows())

    def rows(self) -> list[AnyRow]:
        states: defaultdict[str, int] = defaultdict(int)
        for hold in self.holds.values():
            states[hold.state] += 1
        held, paying, sold = states["held"], states["paying"], states["confirmed"]
        bought = [ReservationRow(*key, "confirmed", ((DEAL, 1),)) for key in self.orders]
        return [
            BeginRow("shw_1", 0, Pending(), 1),
            PoolRow("var_a", "loc_a", 100, 100 - self.units, self.units - sold, sold),
            DealRow(DEAL, "var_a", "loc_a", "open", self.units, paying, sold, 100, True),
            LevelRow(DEAL, self.units - held - paying - sold, held, paying, sold, states["waiting"]),
            *self.holds.values(),
            *bought,
            *self.orders.values(),
            *(
                MovementRow(number, viewer, rid, 0, kind, 0, DEAL, qty, number)
                for number, (viewer, rid, kind, qty) in enumerate(self.moved, 1)
            ),
            *(EventRow(EPOCH, offset, "note", digest(offset)) for offset in range(1, self.events + 1)),
            EndRow(Pending(), 1),
        ]
