"""The check that every proof of stock relies on finds what it says it finds."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from livecommerce.audit.books import (
    Books,
    DealRow,
    HoldRow,
    Movement,
    OrderRow,
    PoolRow,
    ReservationRow,
)
from livecommerce.audit.breaches import Answers, breaches, oversold
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold, HoldLine, HoldState, Level

ADA, BEN = ("vw_ada", "rid-0001"), ("vw_ben", "rid-0001")
LINES = (("dl_a", 1),)
DEAL = DealRow("dl_a", "var_a", "loc_a", "open", 5, 0, 1, 1, True)
POOL = PoolRow("var_a", "loc_a", 10, 5, 4, 1)
SOLD = ReservationRow(*BEN, "confirmed", LINES)
ORDER = OrderRow("or_1", "1", *BEN, "confirmed", True)


def moved(*kinds: str) -> list[Movement]:
    return [Movement(place, 0, kind, 0, "dl_a", 1, place) for place, kind in enumerate(kinds, 1)]


GOOD = Books(
    levels={"dl_a": Level(3, 1, 0, 1, 0)},
    holds={ADA: HoldRow(*ADA, "held", 1, LINES), BEN: HoldRow(*BEN, "confirmed", 2, LINES)},
    deals=[DEAL],
    pool_deals=[DEAL],
    pools=[POOL],
    reservations=[SOLD],
    orders=[ORDER],
    movements={ADA: moved("held"), BEN: moved("held", "paying", "confirmed", "order_paying", "order_confirmed")},
)
TOLD: Answers = {key: Hold(key[1], "sh_1", (HoldLine("dl_a", 1),), "held") for key in (ADA, BEN)}


def changed(row: msgspec.Struct, **values: Any) -> list[Any]:
    return [replace(row, **values)]


def test_books_that_agree_have_no_breach() -> None:
    assert breaches(GOOD) == []
    assert breaches(GOOD, TOLD) == []


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"levels": {"dl_a": Level(3, 2, 0, 1, 0)}}, "the counters say"),
        ({"levels": {"dl_a": Level(4, 1, 0, 1, 0)}}, "6 units in Redis, 5 allotted"),
        ({"levels": {"dl_a": Level(4, -1, 0, 1, 0)}}, "below zero"),
        ({"levels": {}}, "in the ledger, not in Redis"),
        ({"deals": changed(DEAL, sold=2)}, "the ledger says paying 0, sold 2"),
        ({"deals": changed(DEAL, allotted=0)}, "OVERSOLD"),
        ({"pools": changed(POOL, in_deals=3, available=6)}, "3 in deals, the deals have 4"),
        ({"pools": changed(POOL, total=11)}, "pool ('var_a', 'loc_a')"),
        ({"reservations": changed(SOLD, state="paying")}, "paying in the ledger"),
        ({"reservations": []}, "reservations (paying, confirmed) (0, 0)"),
        ({"orders": changed(ORDER, status="expired")}, "order 1: expired, its reservation confirmed"),
        ({"orders": changed(ORDER, paid=False)}, "order 1 is confirmed and nobody paid"),
        ({"orders": changed(ORDER, status="expired")}, "order 1 was paid and is expired"),
        ({"orders": []}, "confirmed without a confirmed order"),
        ({"orders": [ORDER, ORDER]}, "2 orders of one request"),
        ({"deals": changed(DEAL, limit_per_viewer=0)}, "whose limit is 0"),
        ({"movements": GOOD.movements | {BEN: moved("held")}}, "without a movement"),
        ({"movements": GOOD.movements | {ADA: moved("held") * 2}}, "2 movements 'held' of line 0, number 0"),
        ({"movements": GOOD.movements | {ADA: [*moved("held"), Movement(9, 0, "held", 1, "dl_a", 1, 9)]}}, "held anew"),
    ],
)
def test_every_kind_of_breach_is_found(wrong: dict[str, Any], word: str) -> None:
    assert any(word in each for each in breaches(replace(GOOD, **wrong)))


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (TOLD | {ADA: Refused(R.SOLD_OUT)}, "was refused (sold_out) and yet is held"),
        (TOLD | {("vw_cleo", "rid-0001"): TOLD[ADA]}, "was told held and has nothing"),
        (TOLD | {ADA: Hold(ADA[1], "sh_1", (HoldLine("dl_a", 2),), "held")}, "was told"),
        ({BEN: TOLD[BEN]}, "holds what nobody was told"),
    ],
)
def test_an_answer_that_is_not_kept_is_found(told: Answers, word: str) -> None:
    assert any(word in each for each in breaches(GOOD, told))


def test_a_moment_at_which_too_much_was_being_paid_is_found_after_it_is_over() -> None:
    """Two were being paid of one unit; one of them expired since, so that today everything adds up."""
    deal = replace(DEAL, allotted=1)
    story = [
        Movement(place, 0, kind, 0, "dl_a", 1, place * 1000)
        for place, kind in enumerate(("allotted", "order_paying", "order_paying", "order_expired"), 1)
    ]
    books = replace(GOOD, deals=[deal], movements={ADA: story})

    (found,) = oversold(books)
    assert found.text == "dl_a: OVERSOLD: 2 being paid or sold at 3000, 1 were ever allotted"
    assert oversold(replace(books, movements={ADA: story[:2]})) == []


def told_of(*steps: tuple[str, str], state: HoldState = "expired", deal: DealRow = DEAL) -> Books:
    """(whose, what) of one unit each, in this order; whose "" are moves between pool and deal."""
    movements: dict[tuple[str, str], list[Movement]] = {}
    for place, (whose, kind) in enumerate(steps, 1):
        key = (whose, "rid-0001") if whose else ("", f"move-{place}")
        movements.setdefault(key, []).append(Movement(place, 0, kind, 0, "dl_a", 1, place * 1000))
    holds = {key: HoldRow(*key, state, 1, LINES) for key in movements if key[0]}
    return replace(GOOD, deals=[deal], movements=movements, holds=holds, orders=[])


def test_more_holds_than_units_are_found_although_most_of_them_ran_out() -> None:
    """150 were told held of 100; 60 of them paid, the others' time ran out: at the end every counter adds up."""
    deal = replace(DEAL, allotted=100, sold=60)
    crowd = [f"v{number:03}" for number in range(150)]
    opening = [("", "allotted")] * 100
    ended = [(who, "expired") for who in crowd[60:]]
    paid = [(who, kind) for who in crowd[:60] for kind in ("paying", "order_paying", "order_confirmed", "confirmed")]

    (found,) = oversold(told_of(*opening, *((who, "held") for who in crowd), *paid, *ended, deal=deal))

    assert found.text == (
        "dl_a: OVERSOLD: 101 units set aside at 201000, 100 were allotted then; the last one by v100/rid-0001"
    )
    assert found.key == ("v100", "rid-0001")
    in_turn = [*((who, "held") for who in crowd[:100]), *ended[:40], *((who, "held") for who in crowd[100:140])]
    assert oversold(told_of(*opening, *in_turn, *paid, *ended[40:], deal=deal)) == []


@pytest.mark.parametrize(
    ("steps", "units"),
    [
        # Who leaves the line of those who wait gives nothing back.
        ([("", "allotted"), ("a", "held"), ("b", "waiting"), ("b", "lapsed"), ("c", "held")], 2),
        ([("", "allotted"), ("a", "held"), ("b", "waiting"), ("b", "released"), ("c", "held")], 2),
        # What was taken out of the deal is not there any more, though it once was.
        ([("", "allotted"), ("", "allotted"), ("", "taken_out"), ("a", "held"), ("b", "held")], 2),
        ([("", "allotted"), ("a", "held"), ("b", "offered")], 2),
        ([("", "allotted"), ("a", "held"), ("a", "expired"), ("b", "held"), ("a", "reacquired")], 2),
        ([("", "allotted"), ("a", "held"), ("a", "expired"), ("a", "expired"), ("b", "held"), ("c", "held")], 2),
        # And in order: given back first, then given to the next.
        ([("", "allotted"), ("a", "held"), ("b", "waiting"), ("a", "released"), ("b", "offered"), ("b", "lapsed")], 0),
        ([("", "allotted"), ("a", "held"), ("a", "paying"), ("a", "pay_expired"), ("b", "held")], 0),
        ([("", "allotted"), ("a", "held"), ("a", "paying"), ("a", "cancelled"), ("b", "held")], 0),
        ([("", "allotted"), ("a", "held"), ("a", "expired"), ("a", "reacquired")], 0),
        ([("", "allotted"), ("", "taken_out"), ("", "allotted"), ("a", "held")], 0),
    ],
)
def test_the_holds_are_replayed_against_what_the_deal_had_at_each_moment(
    steps: list[tuple[str, str]], units: int
) -> None:
    found = [each.text for each in oversold(told_of(*steps))]

    assert len(found) == bool(units)
    assert all(f"OVERSOLD: {units} units set aside" in text for text in found)


def test_a_hold_that_redis_lost_took_nothing_from_those_who_came_after() -> None:
    books = told_of(("", "allotted"), ("a", "held"), ("b", "held"))
    del books.holds["a", "rid-0001"]

    assert oversold(books) == []
