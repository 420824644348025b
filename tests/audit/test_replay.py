"""The log alone: each movement leads where the table says; what cannot have happened is found at its first word."""

import itertools

import pytest

from livecommerce.audit.replay import FURTHEST, KINDS, STEPS, WRONG_MAX, Fold, Ordered, Replay, Units

LINE = ("vw_1", "rid-0001", 0)
# A way into each state.
WAYS = {
    "": (), "entered": ("entered",), "held": ("held",), "waiting": ("waiting",), "offered": ("waiting", "offered"),
    "paying": ("held", "paying"),
}  # fmt: skip
STATES = sorted(WAYS)


def told(*kinds: str, quota: int = 5, line: tuple[str, str, int] = LINE) -> Replay:
    replay = Replay()
    replay.take(("", "dl_a/opening", 0), "allotted", "dl_a", quota, 1)
    for at_ms, kind in enumerate(kinds, 2):
        replay.take(line, kind, "dl_a", 2, at_ms)
    return replay


@pytest.mark.parametrize(("state", "kind"), sorted(STEPS))
def test_every_step_of_the_table_moves_units_and_makes_none(state: str, kind: str) -> None:
    replay = told(*WAYS[state], kind)

    assert replay.wrong == []
    place = {"held": "held", "offered": "held", "paying": "paying", "sold": "sold"}.get(STEPS[state, kind])
    expected = Units(5, **({place: 2} if place else {}))
    assert replay.deals == {"dl_a": expected}
    assert expected.available == (3 if place else 5)


@pytest.mark.parametrize(
    ("state", "kind"), sorted(set(itertools.product(STATES, KINDS)) - set(STEPS)), ids=lambda text: text or "nothing"
)
def test_every_other_step_is_found_and_moves_nothing(state: str, kind: str) -> None:
    before = told(*WAYS[state])
    replay = told(*WAYS[state], kind)

    (wrong,) = replay.wrong
    assert wrong.line == LINE
    assert f"vw_1/rid-0001: {kind} at {len(WAYS[state]) + 2}, when it was {state or 'nothing any more'}" in wrong.text
    assert replay.deals == before.deals


def test_one_unit_too_many_is_found_at_the_hold_that_took_it() -> None:
    replay = told("held", quota=3)
    replay.take(("vw_2", "rid-0002", 0), "held", "dl_a", 2, 77)

    (wrong,) = replay.wrong
    assert wrong.text == (
        "dl_a: vw_2/rid-0002: OVERSOLD: 4 of 3 units are set aside or sold since it was held at 77"
    )  # fmt: skip


def test_units_that_were_set_aside_cannot_be_taken_out() -> None:
    replay = told("held", quota=3)
    replay.take(("", "dl_a/0", 0), "taken_out", "dl_a", 2, 9)

    assert "taken_out 2 at 9 leaves -1 available, and 2 held" in replay.wrong[0].text


def test_a_fork_goes_on_and_leaves_what_it_came_from_alone() -> None:
    replay = told("held")
    fork = replay.fork()
    fork.take(LINE, "paying", "dl_a", 2, 8)
    fork.take(LINE, "confirmed", "dl_a", 2, 9)
    fork.take(("vw_2", "rid-0002", 0), "held", "dl_a", 1, 10)

    assert fork.deals["dl_a"] == Units(5, 1, 0, 2)
    assert replay.deals["dl_a"] == Units(5, 2, 0, 0)
    replay.take(LINE, "released", "dl_a", 2, 8)
    assert (fork.wrong, replay.wrong) == ([], [])


def test_what_ended_is_forgotten_so_that_it_can_go_on_for_weeks() -> None:
    replay = Replay()
    replay.take(("", "dl_a/opening", 0), "allotted", "dl_a", 10, 1)
    for number in range(1000):
        line = (f"vw_{number}", "rid-0001", 0)
        replay.take(line, "held", "dl_a", 1, 2)
        replay.take(line, "released", "dl_a", 1, 3)

    assert (len(replay), replay.wrong) == (0, [])


def test_a_broken_log_is_told_by_its_first_sentences() -> None:
    replay = told(*["released"] * 100)

    assert len(replay.wrong) == WRONG_MAX


def test_what_sql_decided_is_passed_over_and_what_nobody_knows_is_named() -> None:
    replay = told("held", "order_paying", "order_confirmed", "polished")

    assert (replay.wrong, replay.unknown_kinds) == ([], {"polished"})


@pytest.mark.parametrize(
    ("kinds", "sums"),
    [
        (("order_paying",), (2, 0)),
        (("order_paying", "order_confirmed"), (0, 2)),
        (("order_paying", "order_expired"), (0, 0)),
        (("order_paying", "order_cancelled"), (0, 0)),
        (("order_paying", "order_expired", "order_reacquired", "order_confirmed"), (0, 2)),
        (("held", "allotted"), (0, 0)),
    ],
)
def test_the_orders_own_movements_add_up(kinds: tuple[str, ...], sums: tuple[int, int]) -> None:
    ordered = Ordered()
    for kind in kinds:
        ordered.take(kind, 2)

    assert (ordered.paying, ordered.sold) == sums


# --- books that were made anew --------------------------------------------------------------------------------------


def test_the_fold_knows_every_kind_and_places_it_as_the_table_does() -> None:
    assert set(FURTHEST) == KINDS
    for (_, kind), state in STEPS.items():
        assert FURTHEST[kind][1] == state, kind


def folded(*rows: tuple[str, str, int, int], quota: int = 5) -> Replay:
    """(rid, kind, n, units), in any order."""
    fold = Fold()
    for rid, kind, n, qty in rows:
        fold.take(("vw_1", rid, 0), kind, n, "dl_a", qty, 1)
    fold.take(("", "dl_a/opening", 0), "allotted", 0, "dl_a", quota, 1)
    return fold.finish()


def test_of_what_several_histories_wrote_the_furthest_is_true_in_any_order() -> None:
    rows = [
        ("a", "held", 0, 2), ("a", "expired", 0, 2), ("b", "held", 0, 3), ("b", "paying", 0, 3), ("c", "held", 0, 1),
        ("c", "lost", 0, 1), ("d", "cancelled", 0, 1), ("d", "reacquired", 1, 1), ("d", "confirmed", 1, 1),
    ]  # fmt: skip
    for order in (rows, rows[::-1], rows[4:] + rows[:4]):
        replay = folded(*order)
        assert replay.deals == {"dl_a": Units(5, 0, 3, 1)}
        assert replay.wrong == []


def test_what_a_fold_comes_to_must_add_up_and_what_follows_is_judged_as_ever() -> None:
    assert "OVERSOLD: 6 of 5" in folded(("a", "held", 0, 3), ("b", "held", 0, 3)).wrong[0].text
    replay = folded(("a", "held", 0, 3))
    replay.take(("vw_1", "a", 0), "paying", "dl_a", 3, 2)
    replay.take(("vw_1", "b", 0), "held", "dl_a", 2, 3)
    assert replay.wrong == []
    replay.take(("vw_1", "c", 0), "held", "dl_a", 1, 4)
    assert len(replay.wrong) == 1


def test_a_fold_forgets_what_has_ended() -> None:
    assert len(folded(("a", "held", 0, 1), ("b", "held", 0, 1), ("b", "released", 0, 1))) == 1
