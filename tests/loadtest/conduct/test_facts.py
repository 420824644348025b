"""What is derived from a run: shares, costs, expected deliveries."""

import pytest

from livecommerce.audit.books import Books, EventRow
from livecommerce.errors import R
from loadtest.conduct.facts import Heard, derive, expected_deliveries, marked_cards
from loadtest.records import Answered, Segment
from loadtest.result import CheckResult, SampleRow

MARKED = [("e1", 5), ("e1", 8), ("e1", 11)]


def seg(viewer: str, begin: int, end: int, epoch: str = "e1", closed: int = -1) -> Segment:
    return Segment(viewer, epoch, begin, end, "snapshot", closed)


def test_each_viewer_should_get_every_card_from_her_entry_on() -> None:
    assert expected_deliveries([seg("a", 0, 12), seg("b", 6, 12)], MARKED, 2) == 3 + 2


def test_who_comes_back_should_get_what_she_missed() -> None:
    segments = [seg("a", 0, 4, closed=0), seg("a", 9, 12)]

    assert expected_deliveries(segments, MARKED, 1) == 3


def test_who_was_cut_and_never_came_back_missed_the_rest() -> None:
    assert expected_deliveries([seg("a", 0, 5, closed=0)], MARKED, 1) == 3


def test_who_left_misses_nothing_after() -> None:
    assert expected_deliveries([seg("a", 0, 9, closed=1000), seg("b", 0, 12)], MARKED, 2) == 2 + 3


def test_a_failed_entry_stays_in_the_denominator() -> None:
    assert expected_deliveries([seg("a", 0, 12)], MARKED, 3) == 9


def test_a_new_epoch_follows_the_old_one() -> None:
    marked = [*MARKED, ("e2", 1), ("e2", 2)]

    assert expected_deliveries([seg("a", 9, 12), seg("b", 1, 2, "e2")], marked, 2) == 3 + 1


def test_shares_are_of_what_was_planned() -> None:
    counters = {
        "joins_planned": 10,
        "joined": 8,
        "join_failed": 2,
        "state_received": 27,
        "late_sends": 3,
        "answers.held": 40,
    }

    facts = derive(counters=counters, rows=[], sends=30, expected=30, tap_seconds=8.0, check=None)

    assert facts == {
        "failed_joins_share": pytest.approx(0.2),
        "state_expected": 30.0,
        "state_delivered_share": pytest.approx(0.9),
        "late_send_share": pytest.approx(0.1),
        "unsent_share": 0.0,
        "accepted_per_second": pytest.approx(5.0),
    }


def facts_of(**counters: int) -> dict[str, float]:
    return derive(counters=counters, rows=[], sends=0, expected=0, tap_seconds=0.0, check=None)


def test_who_neither_came_in_nor_was_refused_is_not_in() -> None:
    assert facts_of(joins_planned=10, joined=7, join_failed=1)["failed_joins_share"] == pytest.approx(0.3)


def test_what_was_planned_and_not_sent_is_a_share_of_what_was_planned() -> None:
    facts = facts_of(taps_planned=60, chat_planned=40, taps_sent=50, chat_sent=40)

    assert facts["unsent_share"] == pytest.approx(0.1)
    assert facts_of(taps_planned=5, taps_sent=7)["unsent_share"] == 0.0


def test_taps_that_were_turned_away_for_want_of_time_are_a_share_and_sold_out_is_an_answer() -> None:
    busy, too_many, sold_out = (f"taps_refused.{why.value.number}" for why in (R.BUSY, R.TOO_MANY, R.SOLD_OUT))

    facts = facts_of(**{"taps_sent": 100, busy: 3, too_many: 2, sold_out: 50})

    assert facts["refused_share"] == pytest.approx(0.05)


def test_a_hold_that_is_told_twice_was_accepted_once() -> None:
    heard = Heard()
    answered = Answered(1, "v", "r1", "held", 1, (("d", 1),))

    heard.take([answered, answered, Answered(2, "v", "r2", "waiting", 2, ()), seg("a", 0, 1)])
    heard.take([Answered(3, "w", "r3", "held", 3, ())])

    assert heard.taps_held == 2
    assert heard.segments == [seg("a", 0, 1)]
    facts = derive(counters={"answers.held": 3}, rows=[], sends=0, expected=0, tap_seconds=2.0, check=None, held=2)
    assert facts["accepted_per_second"] == 1.0


def test_the_cards_that_count_are_those_of_the_log_up_to_its_end_for_the_viewers() -> None:
    kinds = ["card_shown", "deal_opened", "card_shown", "card_shown", "card_shown"]
    books = Books(events=[EventRow("e1", place, kind, "") for place, kind in enumerate(kinds, 1)])
    books.events.append(EventRow("forgotten", 0, "card_shown", ""))

    assert marked_cards(books, [("e1", 3)], ("e1", 4)) == [("e1", 1), ("e1", 4)]
    assert marked_cards(books, [], None) == [("e1", 1), ("e1", 3), ("e1", 4), ("e1", 5)]


def test_what_was_not_done_has_no_fact() -> None:
    assert derive(counters={}, rows=[], sends=0, expected=0, tap_seconds=0.0, check=None) == {}


def test_the_checkers_counts_are_facts() -> None:
    found = CheckResult({}, {"oversold": 0, "lost_holds": 2, "books": 1}, (), True)

    facts = derive(counters={}, rows=[], sends=0, expected=0, tap_seconds=0.0, check=found)

    assert facts == {"oversold": 0.0, "lost_holds": 2.0}


def row(
    at: int, *, viewers: float = 100.0, joins: int = 0, frames: int = 0, cpu: float = 0.0, rss: float = 0.0
) -> SampleRow:
    counters = {"joins_planned": joins, "frames": frames}
    return SampleRow(
        at * 1_000_000, counters, {"in": viewers, "cpu.0": cpu}, {}, {"web_cpu": 2 * cpu, "web_rss_mib": rss}
    )


def test_a_frame_costs_what_was_used_in_seconds_without_entries() -> None:
    rows = [row(1, joins=100, frames=500, cpu=1.0), row(2, frames=1000, cpu=0.1), row(3, frames=1000, cpu=0.3)]

    facts = derive(counters={}, rows=rows, sends=0, expected=0, tap_seconds=0.0, check=None)

    assert facts["frames_per_second"] == pytest.approx(1000)
    assert facts["generator_cpu_us_per_frame"] == pytest.approx(200)
    assert facts["server_cpu_us_per_frame"] == pytest.approx(400)


def test_a_viewer_costs_what_the_server_grew_by() -> None:
    rows = [row(1, viewers=0, rss=80.0), row(2, viewers=100, rss=81.0), row(3, viewers=50, rss=90.0)]

    facts = derive(counters={}, rows=rows, sends=0, expected=0, tap_seconds=0.0, check=None)

    assert facts["server_rss_kib_per_viewer"] == pytest.approx(10.24)
