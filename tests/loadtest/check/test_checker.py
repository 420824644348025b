"""The checker finds what was planted, says it in a sentence and shows how it came; an honest run has no breach."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from livecommerce.audit.books import Books, HoldRow, Movement, OrderRow, Pending
from livecommerce.errors import R
from loadtest.check.checker import check
from loadtest.check.findings import KINDS
from loadtest.records import Answered, AnyRecord, Asked, Disorder, Ended, EventSeen, Paid, RefusedTo, Segment, Told
from loadtest.result import CheckResult
from tests.loadtest.check.world import BUSY, DEAL, EPOCH, PATIENCE_US, Evening

Run = tuple[list[AnyRecord], Books]
LINES = ((DEAL, 1),)


def evening() -> Evening:
    """Ada buys one of two, Ben gives his back, Cleo gets that one, Dora is too late; Ben's line broke meanwhile."""
    played = Evening(units=2)
    for viewer in ("ada", "ben", "cleo", "dora"):
        played.enter(viewer)
    played.happen()
    played.tap("ada", "ada-0001")
    played.tap("ben", "ben-0001", answered=False)
    played.cut("ben")
    played.happen()
    played.enter("ben")
    played.tap("ben", "ben-0001", again=True)
    played.tap("dora", "dora-001")
    played.release("ben", "ben-0001")
    played.tap("cleo", "cleo-001")
    played.pay("ada", "ada-0001")
    played.happen()
    played.leave("dora")
    return played


def judged(run: Run, **terms: Any) -> CheckResult:
    records, books = run
    return check([records], books, **{"patience_us": PATIENCE_US} | terms)


def counted(result: CheckResult) -> dict[str, int]:
    return {kind: count for kind, count in result.counts.items() if count}


def swapped(records: list[AnyRecord], where: Callable[[AnyRecord], bool], **values: Any) -> list[AnyRecord]:
    """The first record that it is true of, changed."""
    changed = list(records)
    place = next(place for place, record in enumerate(records) if where(record))
    changed[place] = replace(records[place], **values)
    return changed


def without(records: list[AnyRecord], where: Callable[[AnyRecord], bool]) -> list[AnyRecord]:
    return [record for record in records if not where(record)]


def is_(kind: type, **values: Any) -> Callable[[AnyRecord], bool]:
    return lambda record: (
        isinstance(record, kind) and all(getattr(record, name) == value for name, value in values.items())
    )


def promised(run: Run, due_at_ms: int, expired_at_ms: int) -> Run:
    """Cleo was told "held" until then, 10 ms after she asked; her hold ran out at this instant of the server."""
    records, books = run
    key = ("cleo", "cleo-001")
    moved = [*books.movements[key], Movement(99, 0, "expired", 0, DEAL, 1, expired_at_ms)]
    books = replace(
        books,
        movements=books.movements | {key: moved},
        holds=books.holds | {key: replace(books.holds[key], state="expired")},
    )
    return swapped(records, is_(Answered, viewer="cleo"), due_at_ms=due_at_ms), books


def test_an_honest_evening_has_no_breach_and_says_how_much_was_looked_at() -> None:
    result = judged(evening().finish())

    assert result.breaches == ()
    assert result.counts == dict.fromkeys(KINDS, 0)
    assert (result.complete, result.note) == (True, "")
    assert result.checked["viewers"] == 4
    assert result.checked["requests"] == 4
    assert result.checked["questions"] == 6
    assert result.checked["events"] == result.checked["log_events"] == 3


def test_other_peoples_holds_are_no_breach() -> None:
    played = evening()
    records = list(played.records)
    played.expire("cleo", "cleo-001")
    played.tap("somebody", "else-001")
    played.tap("another", "else-002")
    others = {"somebody", "another"}
    told = without(played.finish()[0], lambda record: getattr(record, "viewer", "") in others)

    assert len(told) > len(records)
    assert counted(judged((told, played.finish()[1]))) == {}


def oversold_by_what_was_told(run: Run) -> Run:
    records, books = run
    wrong = [Asked(1, "eve", "eve-0001", "reserve", LINES, 1), Answered(2, "eve", "eve-0001", "held", 9, LINES)]
    hold = HoldRow("eve", "eve-0001", "held", 9, LINES)
    books.movements["eve", "eve-0001"] = [Movement(99, 0, "held", 0, DEAL, 1, 1)]
    return [*records, *wrong], replace(books, holds=books.holds | {("eve", "eve-0001"): hold})


def oversold_in_the_ledger(run: Run) -> Run:
    records, books = run
    return records, replace(books, deals=[replace(books.deals[0], sold=3)])


def sold_more_than_there_was(run: Run) -> Run:
    records, books = run
    told = [Paid(5, f"v{number}", f"rid-000{number}", f"or_9{number}", "confirmed") for number in range(3)]
    for number in range(3):
        key = (f"v{number}", f"rid-000{number}")
        books.holds[key] = HoldRow(*key, "confirmed", 20 + number, LINES)
        books.orders.append(OrderRow(f"or_9{number}", f"9{number}", *key, "confirmed", True))
    return [*records, *told], books


def hold_lost(run: Run) -> Run:
    records, books = run
    return records, replace(books, holds={key: row for key, row in books.holds.items() if key[0] != "cleo"})


def hold_with_other_lines(run: Run) -> Run:
    records, books = run
    key = ("cleo", "cleo-001")
    return records, replace(books, holds=books.holds | {key: replace(books.holds[key], lines=((DEAL, 2),))})


def hold_ended_by_nobody(run: Run) -> Run:
    records, books = run
    key = ("cleo", "cleo-001")
    return records, replace(books, holds=books.holds | {key: replace(books.holds[key], state="released")})


def hold_expired_without_a_trace(run: Run) -> Run:
    records, books = run
    key = ("cleo", "cleo-001")
    return records, replace(books, holds=books.holds | {key: replace(books.holds[key], state="expired")})


def hold_lost_with_redis(run: Run) -> Run:
    """A rebuild found no unit for it: Redis had forgotten it, and nobody was left who could tell."""
    records, books = hold_expired_without_a_trace(run)
    key = ("cleo", "cleo-001")
    told = Told(950_000, *key, "expired", LINES)
    moved = [*books.movements[key], Movement(99, 0, "lost", 0, DEAL, 1, 900)]
    return [*records, told], replace(books, movements={**books.movements, key: moved})


def promised_hold_lost(run: Run) -> Run:
    records, books = hold_lost_with_redis(run)
    return records, replace(books, deals=[replace(deal, level="ledger") for deal in books.deals])


def two_tickets(run: Run) -> Run:
    records, books = run
    again = Answered(900_000, "cleo", "cleo-001", "held", 77, LINES)
    return [*records, again], books


def counted_twice(run: Run) -> Run:
    records, books = run
    key = ("cleo", "cleo-001")
    return records, replace(books, movements=books.movements | {key: books.movements[key] * 2})


def other_lines_under_one_id(run: Run) -> Run:
    records, books = run
    return [*records, Told(900_000, "cleo", "cleo-001", "held", ((DEAL, 2),))], books


def hold_out_of_nothing(run: Run) -> Run:
    records, books = run
    key = ("cleo", "cleo-999")
    books.movements[key] = [Movement(99, 0, "held", 0, DEAL, 1, 1)]
    return records, replace(books, holds=books.holds | {key: HoldRow(*key, "held", 9, LINES)})


def event_lost_at_the_end(run: Run) -> Run:
    records, books = run
    return swapped(records, is_(Segment, viewer="ada"), to_offset=2), books


def event_lost_over_a_break(run: Run) -> Run:
    records, books = run
    return swapped(records, is_(Segment, viewer="ben", by="resume"), from_offset=2), books


def gap(run: Run) -> Run:
    records, books = run
    return [*records, Disorder(70_000, "ada", EPOCH, 2, 3)], books


def event_seen_by_nobody(run: Run) -> Run:
    records, books = run
    return without(records, is_(EventSeen, offset=2)), books


def event_twice(run: Run) -> Run:
    records, books = run
    return [*records, Disorder(70_000, "ada", EPOCH, 3, 2)], books


def resumed_too_early(run: Run) -> Run:
    records, books = run
    return swapped(records, is_(Segment, viewer="ben", by="resume"), from_offset=0), books


def another_event(run: Run) -> Run:
    records, books = run
    return swapped(records, is_(EventSeen, offset=2), digest="f" * 32), books


def event_not_in_the_log(run: Run) -> Run:
    records, books = run
    return [*records, EventSeen(5, EPOCH, 4, "f" * 32)], books


def two_shown_differently(run: Run) -> Run:
    records, books = run
    return [*records, EventSeen(5, EPOCH, 2, "f" * 32)], replace(books, events=[])


def unanswered(run: Run) -> Run:
    records, books = run
    return without(records, is_(Answered, viewer="cleo")), books


def late(run: Run) -> Run:
    records, books = run
    asked = next(record for record in records if is_(Asked, viewer="cleo")(record))
    assert isinstance(asked, Asked)
    return swapped(records, is_(Answered, viewer="cleo"), at_us=asked.planned_us + PATIENCE_US + 1), books


def refused_and_yet_held(run: Run) -> Run:
    records, books = run
    key = ("dora", "dora-001")
    books.movements[key] = [Movement(99, 0, "held", 0, DEAL, 1, 1)]
    return records, replace(books, holds=books.holds | {key: HoldRow(*key, "held", 9, LINES)})


def refused_after_an_answer(run: Run) -> Run:
    records, books = run
    asked = Asked(800_000, "cleo", "cleo-001", "reserve", LINES, 800_000, True)
    return [*records, asked, RefusedTo(810_000, "cleo", "cleo-001", 400)], books


def told_after_a_refusal(run: Run) -> Run:
    records, books = run
    return [*records, Told(900_000, "dora", "dora-001", "held", LINES)], books


def answered_otherwise_than_asked(run: Run) -> Run:
    records, books = run
    return swapped(records, is_(Asked, viewer="cleo"), lines=((DEAL, 2),)), books


def released_and_still_held(run: Run) -> Run:
    records, books = run
    key = ("ben", "ben-0001")
    return records, replace(books, holds=books.holds | {key: replace(books.holds[key], state="held")})


def confirmed_unpaid(run: Run) -> Run:
    records, books = run
    return records, replace(books, orders=[replace(books.orders[0], paid=False)])


def told_confirmed_without_an_order(run: Run) -> Run:
    records, books = run
    return records, replace(books, orders=[replace(books.orders[0], status="expired")])


def confirmed_and_gone(run: Run) -> Run:
    records, books = run
    key = ("ada", "ada-0001")
    return records, replace(books, holds=books.holds | {key: replace(books.holds[key], state="cancelled")})


def paid_and_given_nothing(run: Run) -> Run:
    records, books = run
    return records, replace(books, orders=[replace(books.orders[0], status="expired")])


def ran_out_too_early(run: Run) -> Run:
    return promised(run, 10_000, 9_000)


def more_held_at_once_than_there_was(run: Run) -> Run:
    """Somebody held a unit while both were taken, and it ran out before anybody could wonder."""
    records, books = run
    key = ("eve", "eve-0001")
    books.movements[key] = [Movement(99, 0, "held", 0, DEAL, 1, 1), Movement(100, 0, "expired", 0, DEAL, 1, 2)]
    told = [Asked(1, *key, "reserve", LINES, 1), Answered(2, *key, "held", 9, LINES), Told(3, *key, "expired", LINES)]
    return [*records, *told], replace(books, holds=books.holds | {key: HoldRow(*key, "expired", 9, LINES)})


def counters_off_by_one(run: Run) -> Run:
    records, books = run
    return records, replace(books, pools=[replace(books.pools[0], available=1)])


@pytest.mark.parametrize(
    ("plant", "kind", "words"),
    [
        (oversold_by_what_was_told, "oversold", "3 units were set aside as told; 2 were ever allotted"),
        (oversold_in_the_ledger, "oversold", "3 sold and 0 being paid of 2 allotted"),
        (sold_more_than_there_was, "oversold", "4 units were told to be sold; 2 were ever allotted"),
        (more_held_at_once_than_there_was, "oversold", "3 units set aside at 1, 2 were allotted then"),
        (ran_out_too_early, "early_ends", "held for her until 00:00:09.939 at least, and expired at 00:00:09.000"),
        (paid_and_given_nothing, "paid_for_nothing", "order 1 was paid and is expired"),
        (hold_lost, "lost_holds", "she was told held, 1 × dl_a, and the books know nothing of it"),
        (hold_with_other_lines, "lost_holds", "she was told 1 × dl_a, and the books have 2 × dl_a"),
        (hold_ended_by_nobody, "lost_holds", "her hold was released and she never asked for that"),
        (hold_expired_without_a_trace, "lost_holds", "no movement says how it came to that"),
        (promised_hold_lost, "lost_holds", "it had been promised that the ledger has it"),
        (confirmed_and_gone, "lost_holds", "and the books have it cancelled"),
        (two_tickets, "double_effects", "under the same id ticket 77"),
        (counted_twice, "double_effects", "2 movements 'held' of line 0"),
        (other_lines_under_one_id, "double_effects", "under the same id 2 × dl_a"),
        (hold_out_of_nothing, "double_effects", "she never asked for"),
        (event_lost_at_the_end, "lost_state_events", "ada was in to the end and never got events 3 to 3"),
        (event_lost_over_a_break, "lost_state_events", "ben never got events 2 to 2 of epoch ep1"),
        (gap, "lost_state_events", "ada was sent event 3 where 2 was due"),
        (event_seen_by_nobody, "lost_state_events", "Event 2 of epoch ep1 was seen by nobody"),
        (event_twice, "reordered_state_events", "ada was sent event 2 where 3 was due"),
        (resumed_too_early, "reordered_state_events", "ben resumed at event 0 and had 1 already"),
        (another_event, "wrong_state_events", "the log has another one there"),
        (event_not_in_the_log, "wrong_state_events", "is not in the show's log"),
        (two_shown_differently, "wrong_state_events", "two viewers were shown different events"),
        (unanswered, "unanswered", "her reserve of"),
        (late, "late_answers", "came 1000.0 ms after it was due; 1000.0 ms were allowed"),
        (refused_and_yet_held, "contradicted_answers", "refused as sold_out (400) at"),
        (refused_after_an_answer, "contradicted_answers", "she had been told held, and was then refused as sold_out"),
        (told_after_a_refusal, "contradicted_answers", "without having asked again"),
        (answered_otherwise_than_asked, "contradicted_answers", "she asked for 2 × dl_a and was told 1 × dl_a"),
        (released_and_still_held, "contradicted_answers", "and the books have it held"),
        (confirmed_unpaid, "unpaid_confirmed", "order 1 is confirmed and nobody paid"),
        (told_confirmed_without_an_order, "unpaid_confirmed", "in the ledger the order is expired"),
        (counters_off_by_one, "books", "pool ('var_a', 'loc_a')"),
    ],
)
def test_what_was_planted_is_found_with_its_sentence(plant: Callable[[Run], Run], kind: str, words: str) -> None:
    result = judged(plant(evening().finish()))

    assert result.counts[kind] >= 1
    found = [breach for breach in result.breaches if breach.kind == kind]
    assert any(words in breach.sentence for breach in found), found


def test_a_hold_that_a_rebuild_could_not_prove_has_ended_as_it_may() -> None:
    """She was told; the same end without that movement is a breach, and so is the movement where more was promised."""
    assert judged(hold_lost_with_redis(evening().finish())).counts["lost_holds"] == 0
    assert judged(hold_expired_without_a_trace(evening().finish())).counts["lost_holds"] == 1


def test_the_history_shows_what_she_asked_what_she_was_told_and_what_the_books_say() -> None:
    (breach,) = judged(hold_expired_without_a_trace(evening().finish())).breaches[:1]

    assert breach.history == (
        "0.120000 s  asked: reserve 1 × dl_a under cleo-001, planned for 0.110000 s",
        "0.130000 s  answered: held, ticket 3, 1 × dl_a under cleo-001",
        "ledger 00:00:00.005  held: 1 × dl_a (line 0, number 0)",
        "books: cleo-001 is expired, ticket 3, 1 × dl_a",
    )


def test_only_the_first_few_of_a_kind_are_kept_and_all_are_counted() -> None:
    records, books = evening().finish()
    asked = [Asked(1, "cleo", f"rid-{number:04}", "reserve", LINES, 1) for number in range(50)]

    result = judged(([*asked, *records], books))

    assert counted(result) == {"unanswered": 50}
    assert len(result.breaches) == 5


def test_a_question_asked_again_counts_once_and_from_its_return_where_cuts_are_expected() -> None:
    asked = [
        Asked(1_000, "ada", "ada-0009", "reserve", LINES, 1_000),
        Asked(5_000_000, "ada", "ada-0009", "reserve", LINES, 1_000, again=True),
    ]
    records, books = evening().finish()
    told = [*asked, RefusedTo(5_000_100, "ada", "ada-0009", BUSY), *records]

    assert counted(judged(([*asked, *records], books))) == {"unanswered": 1}
    assert counted(judged((told, books))) == {}
    assert counted(judged((told, books), cuts_expected=False)) == {"late_answers": 1}


@pytest.mark.parametrize(("closed", "count"), [(1000, 0), (4507, 0), (0, 1), (1006, 1), (4000, 1), (4503, 1)])
def test_who_left_or_saw_the_show_out_is_owed_no_answer(closed: int, count: int) -> None:
    records, books = evening().finish()
    asked = Asked(1_000, "zoe", "zoe-0001", "reserve", LINES, 1_000)
    stretch = Segment("zoe", EPOCH, 1, 3, "snapshot", closed)

    assert judged(([*records, asked, stretch], books)).counts["unanswered"] == count


def test_records_that_break_off_leave_questions_unanswered_and_invent_no_double_effect() -> None:
    records, books = evening().finish()

    result = judged((without(records[:-8], is_(Segment)), books))

    assert set(counted(result)) <= {"unanswered"}


def test_books_that_never_came_to_rest_are_not_compared_with_each_other() -> None:
    records, books = evening().finish()
    restless = replace(books, quiet=False, pending=Pending(3, 1, 0), pools=[replace(books.pools[0], available=1)])

    result = judged((records, restless))

    assert counted(result) == {}
    assert not result.complete
    assert "3 calls, 1 errands and 0 events" in result.note


def test_a_place_that_the_log_has_forgotten_accuses_nobody() -> None:
    records, books = evening().finish()
    events = [replace(books.events[0], epoch="forgotten", place=0, digest=""), *books.events[1:]]

    assert counted(judged((records, replace(books, events=events)))) == {}


def test_what_the_host_did_after_the_viewers_had_gone_is_missed_by_nobody() -> None:
    played = evening()
    records, _ = played.finish()
    played.happen()
    books = played.finish()[1]

    assert judged((records, books)).counts["lost_state_events"] == 3
    assert counted(judged((records, books), final=(EPOCH, 3))) == {}


def test_what_came_after_the_last_event_for_the_viewers_is_not_judged() -> None:
    played = evening()
    records, _ = played.finish()
    for _ in range(3):
        played.happen()
    books = played.finish()[1]
    after = [
        EventSeen(5, EPOCH, 4, "f" * 32),
        EventSeen(6, EPOCH, 9, "f" * 32),
        Disorder(7, "ada", EPOCH, 4, 5),
        Segment("ada", EPOCH, 3, 5, "snapshot", 0),
        Segment("ada", EPOCH, 6, 6, "resume", -1),
    ]

    judged_all = counted(judged(([*records, *after], books)))
    assert {"lost_state_events", "wrong_state_events"} <= judged_all.keys()
    assert counted(judged(([*records, *after], books), final=(EPOCH, 3))) == {}
    lost = [each for each in records if not is_(EventSeen, offset=2)(each)]
    assert counted(judged(([*lost, *after], books), final=(EPOCH, 3))) == {"lost_state_events": 1}


def test_an_epoch_that_began_after_the_last_event_for_the_viewers_is_not_judged() -> None:
    records, books = evening().finish()
    books = replace(books, events=[*books.events, replace(books.events[0], epoch="ep2", place=1)])
    after = swapped(records, is_(Segment, viewer="ada"), epoch="ep2", to_offset=1, by="snapshot", from_offset=0)

    assert "lost_state_events" in counted(judged((after, books)))
    assert counted(judged((after, books), final=(EPOCH, 3))) == {}


def test_the_ticket_of_an_entry_gives_way_to_the_one_that_was_drawn() -> None:
    """In a draw she arrives under one ticket and is served under another: no second effect."""
    records, books = evening().finish()
    entered = swapped(records, is_(Answered, viewer="ada"), state="entered", ticket=77)

    assert counted(judged((entered, books))) == {}


def test_viewers_of_a_generator_that_died_are_not_asked_for_what_its_last_records_would_show() -> None:
    """Nobody knows whether Ada was answered, Ben asked to give back, Cleo ever asked."""
    records, books = evening().finish()
    cut = without(records, is_(Answered, viewer="cleo"))
    cut = without(cut, is_(Asked, verb="release"))
    cut = without(cut, is_(Asked, viewer="ada"))
    cut = without(cut, is_(Answered, viewer="ada"))
    cut = without(cut, is_(Paid))
    cut = without(cut, is_(Told, viewer="ada"))

    assert counted(judged((cut, books))) == {"unanswered": 1, "lost_holds": 1, "double_effects": 1}
    result = check([[], cut], books, patience_us=PATIENCE_US, ended=[True, False])
    assert counted(result) == {}
    assert (result.checked["viewers"], result.checked["not_checked"], result.complete) == (4, 4, False)
    assert "1 of 2 generators break off: what their 4 viewers were told last" in result.note
    assert check([[], records], books, patience_us=PATIENCE_US, ended=[True, True]) == check(
        [[], records], books, patience_us=PATIENCE_US
    )


def test_what_a_dead_generators_viewers_were_certainly_told_is_checked_all_the_same() -> None:
    for plant, kind in ((hold_lost, "lost_holds"), (two_tickets, "double_effects"), (gap, "lost_state_events")):
        records, books = plant(evening().finish())

        result = check([records], books, patience_us=PATIENCE_US, ended=[False])

        assert result.counts[kind] >= 1


def test_the_viewers_of_the_other_generators_are_checked_whole() -> None:
    records, books = evening().finish()
    cleo = without(records, lambda record: getattr(record, "viewer", "") != "cleo")
    cleo = without(cleo, is_(Answered))
    others = without(records, lambda record: getattr(record, "viewer", "") == "cleo")

    alive = check([others, cleo], books, patience_us=PATIENCE_US, ended=[False, True])
    dead = check([others, cleo], books, patience_us=PATIENCE_US, ended=[True, False])

    assert (alive.counts["unanswered"], alive.checked["not_checked"]) == (1, 3)
    assert (dead.counts["unanswered"], dead.checked["not_checked"]) == (0, 1)


@pytest.mark.parametrize(("expired_at_ms", "early"), [(10_000, 0), (9_939, 0), (9_938, 1), (60_000, 0)])
def test_a_hold_lasts_until_what_she_was_told_less_the_way_of_her_answer(expired_at_ms: int, early: int) -> None:
    """She asked and had her answer within 10 ms; two clocks may be 50 ms apart."""
    assert judged(promised(evening().finish(), 10_000, expired_at_ms)).counts["early_ends"] == early


@pytest.mark.parametrize(("expired_at_ms", "early"), [(7_950, 0), (7_949, 1)])
def test_what_she_was_told_unasked_may_have_been_on_its_way_for_longer(expired_at_ms: int, early: int) -> None:
    records, books = promised(evening().finish(), 0, expired_at_ms)
    told = [Told(1, "cleo", "cleo-001", "held", LINES, due_at_ms) for due_at_ms in (30_000, 10_000)]

    assert judged(([*records, *told], books)).counts["early_ends"] == early


def test_an_answer_says_better_than_what_came_late_when_her_hold_ends() -> None:
    records, books = promised(evening().finish(), 10_000, 10_000)
    late = Told(900_000, "cleo", "cleo-001", "held", LINES, 30_000)

    assert judged(([*records, late], books)).counts["early_ends"] == 0


def test_an_offer_lasts_too() -> None:
    records, books = evening().finish()
    key = ("eve", "eve-0001")
    books.movements[key] = [Movement(99, 0, "offered", 0, DEAL, 1, 1), Movement(100, 0, "lapsed", 0, DEAL, 1, 20_000)]
    books = replace(books, holds=books.holds | {key: HoldRow(*key, "lapsed", 9, LINES)})
    asked = Asked(1, *key, "reserve", LINES, 1)
    told = [asked, Answered(2, *key, "waiting", 9, LINES), Told(3, *key, "offered", LINES, 30_000)]

    assert judged(([*records, *told], books)).counts["early_ends"] == 1


@pytest.mark.parametrize("number", [BUSY, 411, R.UNAVAILABLE.value.number])
@pytest.mark.parametrize("cuts_expected", [True, False])
def test_to_be_asked_to_try_again_is_no_answer_and_she_waits_all_the_while(number: int, cuts_expected: bool) -> None:
    records, books = evening().finish()
    tries: list[AnyRecord] = []
    for second in range(4):
        at_us = second * 300_000
        tries += [
            Asked(at_us + 1, "ada", "ada-0009", "reserve", LINES, 1, second > 0),
            RefusedTo(at_us + 100_000, "ada", "ada-0009", number),
        ]
    last = [
        Asked(1_200_000, "ada", "ada-0009", "reserve", LINES, 1, True),
        RefusedTo(1_210_000, "ada", "ada-0009", 400),
    ]
    late = judged(([*tries, *last, *records], books), cuts_expected=cuts_expected)
    soon = judged(([*tries[:2], *last, *records], books), cuts_expected=cuts_expected, patience_us=1_300_000)

    assert counted(late) == {"late_answers": 1}
    assert "came 1210.0 ms after it was due" in late.breaches[0].sentence
    assert counted(soon) == {}
    assert counted(judged(([*tries, *last[:1], *records], books), cuts_expected=cuts_expected)) == {"unanswered": 1}
    assert counted(judged(([*tries[:2], *records], books), cuts_expected=cuts_expected)) == {}  # she gave up in time


def test_who_was_put_off_and_then_away_is_waited_for_from_her_return() -> None:
    records, books = evening().finish()
    told: list[AnyRecord] = [
        Asked(1, "dora", "dora-009", "reserve", LINES, 1),
        RefusedTo(100_000, "dora", "dora-009", BUSY),
        Asked(9_000_000, "dora", "dora-009", "reserve", LINES, 1, True),
        RefusedTo(9_010_000, "dora", "dora-009", 400),
    ]

    assert counted(judged(([*told, *records], books))) == {}
    assert counted(judged(([*told, *records], books), cuts_expected=False)) == {"late_answers": 1}


def test_who_never_got_back_and_who_was_sent_away_are_counted() -> None:
    records, books = evening().finish()
    stages = ("away", "coming", "in", "gone", "out")
    ends = [Ended(f"v{place}", stage) for place, stage in enumerate(stages)]  # type: ignore[arg-type]
    closes = [Segment(f"w{code}", EPOCH, 3, 3, "snapshot", code) for code in (1000, 1006, 4001, 4501, 4503, 4507)]

    result = judged(([*records, *ends, *closes], books))

    assert counted(result) == {}
    assert (result.checked["not_back"], result.checked["sent_away"], result.checked["ends"]) == (2, 2, 5)
    banned = judged(([*records, *ends, *closes], books), closes_expected={4503, 4507})
    assert banned.checked["sent_away"] == 1


def test_while_the_books_are_not_quiet_late_money_may_still_find_its_way() -> None:
    records, books = paid_and_given_nothing(evening().finish())

    assert judged((records, replace(books, quiet=False))).counts["paid_for_nothing"] == 0
