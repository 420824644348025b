"""What is believed of whom after a loss: the further claim, SQL above all, and never more units than there are."""

import copy
import random
from collections import Counter
from typing import Any

import pytest

from livecommerce.reservations.anew import lay_out
from livecommerce.reservations.evidence import Claim, DealTerms, Decision, Evidence, Key, decide
from livecommerce.reservations.states import ENDED, LIVE, DealState, State

CLOCK = 50_000
S = State


def terms(deal_id: str = "dl_a", allotted: int = 2, **changes: Any) -> DealTerms:
    given: dict[str, Any] = {"status": DealState.OPEN, "limit": 2, "hold_ms": 100_000, "pay_ms": 200_000, **changes}
    return DealTerms(deal_id, allotted=allotted, **given)


def claim(state: State = S.HELD, ticket: int = 1, qty: int = 1, **changes: Any) -> Claim:
    due = CLOCK + 1000 if state in (S.HELD, S.OFFERED) else None
    return Claim(state, **{"ticket": ticket, "due": due, "lines": (("dl_a", qty),), **changes})


def key(number: int) -> Key:
    return f"vw_{number}", f"rid-{number:04}"


def judge(
    *claims: tuple[int, Claim], sql: dict[int, tuple[str, Claim]] | None = None, deals: list[DealTerms] | None = None
) -> Decision:
    evidence = Evidence()
    evidence.hear_clock(CLOCK, 1)
    for number, each in claims:
        evidence.hear(key(number), each)
    rows = {key(number): row for number, row in (sql or {}).items()}
    return decide(evidence, rows, {deal.deal_id: deal for deal in deals or [terms()]})


def states(decision: Decision) -> dict[int, State]:
    return {int(rid[-4:]): hold.state for (_, rid), hold in sorted(decision.holds.items())}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [(S.WAITING, S.OFFERED), (S.OFFERED, S.HELD), (S.HELD, S.PAYING), (S.HELD, S.RELEASED), (S.HELD, S.EXPIRED),
     (S.OFFERED, S.LAPSED), (S.PAYING, S.CANCELLED)],
)  # fmt: skip
def test_of_two_claims_the_further_one_is_true_in_whatever_order_they_come(earlier: State, later: State) -> None:
    assert states(judge((1, claim(earlier)), (1, claim(later)))) == {1: later}
    assert states(judge((1, claim(later)), (1, claim(earlier)))) == {1: later}


def test_late_money_begins_a_new_round_that_is_further_than_any_end() -> None:
    assert states(judge((1, claim(S.PAYING, n=1)), (1, claim(S.EXPIRED)))) == {1: S.PAYING}
    assert states(judge((1, claim(S.PAYING, n=1)), (1, claim(S.CANCELLED, n=1)))) == {1: S.CANCELLED}


def test_two_claims_of_the_same_state_keep_the_later_end_and_what_either_knows() -> None:
    known = claim(due=CLOCK + 5, attribution="ac ou ln", wait=0)
    (hold,) = judge((1, claim(due=CLOCK + 9, vouched=True)), (1, known)).holds.values()
    assert (hold.due, hold.attribution, hold.wait, hold.vouched) == (CLOCK + 9, "ac ou ln", 0, True)


@pytest.mark.parametrize(
    ("word", "state"),
    [("paying", S.PAYING), ("confirmed", S.CONFIRMED), ("expired", S.EXPIRED), ("cancelled", S.CANCELLED),
     ("void", S.EXPIRED), ("refund_due", S.EXPIRED), ("refunded", S.EXPIRED)],
)  # fmt: skip
@pytest.mark.parametrize("told", [None, S.HELD, S.PAYING, S.RELEASED, S.CONFIRMED])
def test_from_paying_on_sql_alone_is_believed(word: str, state: State, told: State | None) -> None:
    claims = [] if told is None else [(1, claim(told))]
    assert states(judge(*claims, sql={1: (word, claim(S.HELD))})) == {1: state}


def test_confirmed_without_a_row_in_sql_pays_until_the_sweep_has_asked() -> None:
    assert states(judge((1, claim(S.CONFIRMED)))) == {1: S.PAYING}


def test_late_money_that_took_its_units_again_keeps_them_until_sql_says_what_it_comes_to() -> None:
    assert states(judge((1, claim(S.PAYING, n=1)), sql={1: ("expired", claim())})) == {1: S.PAYING}


def test_where_units_are_short_they_go_by_who_vouches_then_by_who_came_first() -> None:
    decision = judge(
        (1, claim(ticket=1)), (2, claim(ticket=2, vouched=True)), (3, claim(ticket=3, vouched=True)),
        (4, claim(S.PAYING, 4)), (5, claim(S.OFFERED, 5, vouched=True)), (6, claim(S.WAITING, 6)),
        sql={7: ("paying", claim())}, deals=[terms(allotted=3)],
    )  # fmt: skip
    assert states(decision) == {
        1: S.EXPIRED, 2: S.HELD, 3: S.EXPIRED, 4: S.PAYING, 5: S.LAPSED, 6: S.WAITING, 7: S.PAYING
    }  # fmt: skip
    assert sorted(decision.lost) == [key(1), key(3), key(5)]
    assert decision.unwritten == []


def test_of_those_whom_only_a_row_in_sql_vouches_for_the_later_one_is_the_surer() -> None:
    def witnessed(*numbers: int) -> list[tuple[int, Claim]]:
        return [(number, claim(ticket=number, witnessed=True)) for number in numbers]

    assert judge(*witnessed(1, 2, 3)).lost == [key(1)]
    # A living process or a token is more: it was so close to the end.
    assert judge(*witnessed(1, 2, 3), (1, claim(ticket=1, vouched=True))).lost == [key(2)]
    # Less is a mere line of the journal.
    assert judge(*witnessed(1, 2), (4, claim(ticket=9))).lost == [key(4)]


def test_without_a_ticket_the_instant_at_which_it_was_told_says_who_came_later() -> None:
    told = [(number, claim(ticket=0, witnessed=True, told_ms=100 - number)) for number in (1, 2, 3)]
    assert judge(*told).lost == [key(3)]


def test_who_pays_by_redis_alone_and_finds_no_unit_must_be_voided_in_sql_first() -> None:
    decision = judge((1, claim(S.PAYING)), sql={2: ("confirmed", claim())}, deals=[terms(allotted=1)])
    assert (states(decision), decision.unwritten) == ({1: S.EXPIRED, 2: S.CONFIRMED}, [key(1)])


def test_units_that_sql_counts_and_no_row_explains_are_given_to_nobody() -> None:
    assert states(judge((1, claim()), deals=[terms(allotted=1, unaccounted=1)])) == {1: S.EXPIRED}


def test_a_hold_whose_time_is_over_on_the_furthest_clock_has_ended_and_takes_nothing() -> None:
    decision = judge((1, claim(due=CLOCK, vouched=True)), (2, claim(ticket=9)), deals=[terms(allotted=1)])
    assert states(decision) == {1: S.EXPIRED, 2: S.HELD}


def test_a_hold_of_unknown_end_has_its_whole_time_anew() -> None:
    (hold,) = judge((1, claim(due=None))).holds.values()
    assert hold.due == CLOCK + 100_000


def test_a_cart_is_kept_whole_or_not_at_all() -> None:
    both = (("dl_a", 1), ("dl_b", 1))
    decision = judge((1, claim(lines=both)), deals=[terms(), terms("dl_b", 0)])
    assert states(decision) == {1: S.EXPIRED}
    assert lay_out(decision.holds, [terms()], {}, CLOCK).levels == {"dl_a": [2, 0, 0, 0, 0]}


def test_a_viewer_of_two_histories_keeps_no_more_than_her_limit() -> None:
    mine = ("vw_1", "rid-aaaa"), ("vw_1", "rid-bbbb")
    evidence = Evidence()
    for number, each in enumerate(mine):
        evidence.hear(each, claim(ticket=number))
    decision = decide(evidence, {}, {"dl_a": terms(allotted=9, limit=1)})
    assert [decision.holds[each].state for each in mine] == [S.HELD, S.EXPIRED]


@pytest.mark.parametrize(("status", "state"), [(DealState.OPEN, S.WAITING), (DealState.CLOSING, S.LAPSED)])
def test_a_line_is_kept_while_its_deal_is_open(status: DealState, state: State) -> None:
    assert states(judge((1, claim(S.WAITING)), deals=[terms(status=status)])) == {1: state}


def test_holds_of_deals_that_nobody_knows_are_left_out() -> None:
    assert judge((1, claim(lines=(("dl_gone", 1),)))).holds == {}


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_claimed_deals_add_up_and_the_order_of_witnesses_changes_nothing(seed: int) -> None:
    dice = random.Random(seed)
    deals = [terms(name, dice.randint(0, 6), limit=dice.randint(1, 3)) for name in ("dl_a", "dl_b")]
    heard: list[tuple[Key, Claim]] = []
    sql: dict[Key, tuple[str, Claim]] = {}
    left = {deal.deal_id: deal.allotted for deal in deals}
    for _ in range(dice.randint(1, 40)):
        number = dice.randint(1, 12)
        lines = tuple((name, number % 2 + 1) for name in ("dl_a", "dl_b")[: 1 + number % 2])
        state = dice.choice([S.HELD, S.PAYING, *(s for s in S if s != S.CONFIRMED)])
        state = S.HELD if len(lines) > 1 and state in (S.WAITING, S.OFFERED, S.LAPSED) else state
        heard.append((key(number), claim(state, number, lines=lines, vouched=dice.random() < 0.5)))
        if dice.random() < 0.2 and key(number) not in sql and all(qty <= left[name] for name, qty in lines):
            sql[key(number)] = dice.choice(["paying", "confirmed"]), claim(ticket=number, lines=lines)
            for name, qty in lines:
                left[name] -= qty

    def once() -> dict[Key, State]:
        evidence = Evidence()
        evidence.hear_clock(CLOCK, 1)
        for each, what in heard:
            evidence.hear(each, copy.copy(what))
        decision = decide(evidence, copy.deepcopy(sql), {deal.deal_id: deal for deal in deals})
        books = lay_out(decision.holds, deals, {}, CLOCK)
        for deal in deals:
            available, held, paying, sold, _ = books.levels[deal.deal_id]
            assert min(available, held, paying, sold) >= 0
            assert available + held + paying + sold == deal.allotted
        units: Counter[tuple[str, str]] = Counter()
        for (viewer_id, rid), hold in decision.holds.items():
            if hold.state in LIVE and (viewer_id, rid) not in sql and hold.state != S.PAYING:
                for name, qty in hold.lines:
                    units[viewer_id, name] += qty
        limits = {deal.deal_id: deal.limit for deal in deals}
        assert all(qty <= limits[name] for (_, name), qty in units.items())
        assert {decision.holds[each].state for each in decision.lost} <= ENDED
        return {each: hold.state for each, hold in decision.holds.items()}

    first = once()
    for _ in range(5):
        dice.shuffle(heard)
        assert once() == first
