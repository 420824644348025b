"""The check that the whole-server tests rely on finds what it says it finds."""

from dataclasses import replace
from typing import Any

import pytest

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold, HoldLine, Level
from livecommerce.reservations.states import State
from tests.conservation import Answers, Books, breaches

ADA, BEN = ("vw_ada", "rid-0001"), ("vw_ben", "rid-0001")
DEAL: dict[str, Any] = {
    "id": "dl_a", "variant_id": "var_a", "location_id": "loc_a", "allotted": 5, "paying": 0, "sold": 1,
    "limit_per_viewer": 1,
}  # fmt: skip
POOL = {"variant_id": "var_a", "location_id": "loc_a", "total": 10, "available": 5, "in_deals": 4, "sold": 1}
SOLD = {"viewer_id": BEN[0], "rid": BEN[1], "state": "confirmed", "lines": '[["dl_a", 1, 1900]]'}
ORDER = {"number": "1", "viewer_id": BEN[0], "rid": BEN[1], "status": "confirmed"}
GOOD = Books(
    levels={"dl_a": Level(3, 1, 0, 1, 0)},
    holds={ADA: (State.HELD, (("dl_a", 1),)), BEN: (State.CONFIRMED, (("dl_a", 1),))},
    deals=[DEAL],
    pools=[POOL],
    all_deals=[DEAL],
    reservations=[SOLD],
    orders=[ORDER],
    movements={ADA: {"held"}, BEN: {"held", "paying", "confirmed"}},
)
TOLD: Answers = {key: Hold(key[1], "sh_1", (HoldLine("dl_a", 1),), "held") for key in (ADA, BEN)}


def test_books_that_agree_have_no_breach() -> None:
    assert breaches(GOOD, {}) == []
    assert breaches(GOOD, TOLD) == []


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"levels": {"dl_a": Level(3, 2, 0, 1, 0)}}, "the counters say"),
        ({"levels": {"dl_a": Level(4, 1, 0, 1, 0)}}, "6 units in Redis, 5 allotted"),
        ({"levels": {}}, "in the ledger, not in Redis"),
        ({"deals": [DEAL | {"sold": 2}]}, "the ledger says paying 0, sold 2"),
        ({"deals": [DEAL | {"allotted": 0}]}, "OVERSOLD"),
        ({"pools": [POOL | {"in_deals": 3, "available": 6}]}, "3 in deals, the deals have 4"),
        ({"pools": [POOL | {"total": 11}]}, "pool ('var_a', 'loc_a')"),
        ({"reservations": [SOLD | {"state": "paying"}]}, "paying in the ledger"),
        ({"orders": [ORDER | {"status": "expired"}]}, "order 1: expired, its reservation confirmed"),
        ({"deals": [DEAL | {"limit_per_viewer": 0}]}, "whose limit is 0"),
        ({"movements": GOOD.movements | {BEN: {"held"}}}, "without a movement"),
    ],
)
def test_every_kind_of_breach_is_found(wrong: dict[str, Any], word: str) -> None:
    assert any(word in each for each in breaches(replace(GOOD, **wrong), {}))


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
