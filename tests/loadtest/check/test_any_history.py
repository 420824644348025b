"""Random honest evenings have no breach; one random lie in any of them is found."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from livecommerce.audit.books import Books
from loadtest.check.checker import check
from loadtest.records import Answered, AnyRecord, Disorder, EventSeen, RefusedTo, Segment
from tests.loadtest.check.world import DEAL, EPOCH, PATIENCE_US, Evening

Run = tuple[list[AnyRecord], Books]
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VIEWERS = ("ada", "ben", "cleo", "dora")
RIDS = ("rid-0001", "rid-0002", "rid-0003")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("event", "tap", "tap", "tap", "unheard", "release", "expire", "pay", "cut", "enter")),
        st.sampled_from(VIEWERS),
        st.sampled_from(RIDS),
    ),
    max_size=50,
)


def played(units: int, steps: list[tuple[str, str, str]]) -> Run:
    evening = Evening(units=units)
    unheard: set[tuple[str, str]] = set()
    for viewer in VIEWERS:
        evening.enter(viewer)
    evening.happen()
    for verb, viewer, rid in steps:
        _step(evening, unheard, verb, viewer, rid)
    for viewer in VIEWERS:  # whoever is away comes back, and asks again what nobody answered
        if viewer not in evening.at:
            evening.enter(viewer)
    for viewer, rid in sorted(unheard):
        evening.tap(viewer, rid, again=True)
    # What every kind of lie needs: one who has, one who was refused.
    evening.tap("ada", "first-01")
    if evening.holds.get(("ada", "first-01")):
        evening.tap("ben", "second-1")
    return evening.finish()


def _step(evening: Evening, unheard: set[tuple[str, str]], verb: str, viewer: str, rid: str) -> None:
    key, is_in = (viewer, rid), viewer in evening.at
    if verb == "event":
        evening.happen()
    elif verb == "enter" and not is_in:
        evening.enter(viewer)
    elif verb == "cut" and is_in:
        evening.cut(viewer)
    elif verb == "unheard" and is_in:
        evening.tap(viewer, rid, answered=False)
        evening.cut(viewer)
        unheard.add(key)
    elif verb == "tap" and is_in:
        evening.tap(viewer, rid, again=key in unheard)
        unheard.discard(key)
    elif key in evening.holds and key not in unheard and is_in:
        {"release": evening.release, "expire": evening.expire, "pay": evening.pay}.get(verb, _nothing)(viewer, rid)


def _nothing(viewer: str, rid: str) -> None:
    pass


@QUICK
@given(units=st.integers(1, 5), steps=STEPS)
def test_an_honest_evening_never_has_a_breach(units: int, steps: list[tuple[str, str, str]]) -> None:
    records, books = played(units, steps)

    result = check([records], books, patience_us=PATIENCE_US)

    assert result.breaches == ()
    assert result.complete


def _told(records: list[AnyRecord]) -> list[Answered]:
    return [record for record in records if isinstance(record, Answered)]


def forget_a_hold(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    if not (told := _told(records)):
        return None
    one = told[pick % len(told)]
    holds = {key: hold for key, hold in books.holds.items() if key != (one.viewer, one.rid)}
    return (records, replace(books, holds=holds)), "lost_holds"


def change_lines(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    if not (told := _told(records)):
        return None
    key = (told[pick % len(told)].viewer, told[pick % len(told)].rid)
    changed = replace(books.holds[key], lines=((DEAL, 7),))
    return (records, replace(books, holds=books.holds | {key: changed})), "lost_holds"


def give_two_tickets(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    if not (told := _told(records)):
        return None
    one = told[pick % len(told)]
    place = records.index(one)
    again = replace(one, ticket=one.ticket + 1000)
    return ([*records[: place + 1], again, *records[place + 1 :]], books), "double_effects"


def count_twice(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    if not books.holds:
        return None
    key = sorted(books.holds)[pick % len(books.holds)]
    return (records, replace(books, movements=books.movements | {key: books.movements[key] * 2})), "double_effects"


def drop_an_answer(run: Run, pick: int) -> tuple[Run, str] | None:
    """The last one under its id: an earlier one is asked for again."""
    records, books = run
    last = {(each.viewer, each.rid): each for each in records if isinstance(each, Answered | RefusedTo)}
    if not last:
        return None
    one = list(last.values())[pick % len(last)]
    return (records[: records.index(one)] + records[records.index(one) + 1 :], books), "unanswered"


def answer_late(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    if not (told := [each for each in records if isinstance(each, Answered | RefusedTo)]):
        return None
    one = told[pick % len(told)]
    place = records.index(one)
    late = replace(one, at_us=one.at_us + 2 * PATIENCE_US)
    return ([*records[:place], late, *records[place + 1 :]], books), "late_answers"


def refuse_what_is_held(run: Run, pick: int) -> tuple[Run, str] | None:
    """Told sold out instead of held, while the books keep it."""
    records, books = run
    alone = [
        each for each in _told(records) if sum(getattr(one, "rid", "") == each.rid for one in records) == 2
    ]  # asked once, answered once, nothing since
    if not alone:
        return None
    one = alone[pick % len(alone)]
    place = records.index(one)
    refused = RefusedTo(one.at_us, one.viewer, one.rid, 400)
    return ([*records[:place], refused, *records[place + 1 :]], books), "contradicted_answers"


def lose_the_last_event(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    ends = [each for each in records if isinstance(each, Segment) and each.closed == -1]
    one = ends[pick % len(ends)]
    short = replace(one, to_offset=one.to_offset - 1)
    return ([*(short if each is one else each for each in records)], books), "lost_state_events"


def lose_an_event_in_between(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    return ([*records, Disorder(1, VIEWERS[pick % len(VIEWERS)], EPOCH, 1, 2)], books), "lost_state_events"


def show_another_event(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    seen = [each for each in records if isinstance(each, EventSeen)]
    one = seen[pick % len(seen)]
    return ([*(replace(one, digest="0" * 31 + "x") if each is one else each for each in records)], books), (
        "wrong_state_events"
    )


def sell_beyond(run: Run, pick: int) -> tuple[Run, str] | None:
    records, books = run
    deal = books.deals[0]
    return (records, replace(books, deals=[replace(deal, paying=deal.allotted - deal.sold + 1)])), "oversold"


def take_the_quota_away(run: Run, pick: int) -> tuple[Run, str] | None:
    """The books say that there was less than viewers were told they had."""
    records, books = run
    alive = sum(hold.state in ("held", "confirmed") for hold in books.holds.values())
    if not alive:
        return None
    fewer = {key: moved for key, moved in books.movements.items() if key[0]}
    return (records, replace(books, deals=[replace(books.deals[0], allotted=alive - 1)], movements=fewer)), "oversold"


LIES: list[Callable[[Run, int], tuple[Run, str] | None]] = [
    forget_a_hold, change_lines, give_two_tickets, count_twice, drop_an_answer, answer_late, refuse_what_is_held,
    lose_the_last_event, lose_an_event_in_between, show_another_event, sell_beyond, take_the_quota_away,
]  # fmt: skip


@QUICK
@given(units=st.integers(1, 5), steps=STEPS, lie=st.sampled_from(LIES), pick=st.integers(0, 1000))
def test_one_lie_anywhere_is_found(
    units: int, steps: list[tuple[str, str, str]], lie: Callable[[Run, int], tuple[Run, str] | None], pick: int
) -> None:
    told = lie(played(units, steps), pick)
    if told is None:
        return
    (records, books), kind = told

    result = check([records], books, patience_us=PATIENCE_US)

    assert result.counts[kind] >= 1, (lie.__name__, result.counts)
    assert any(breach.kind == kind for breach in result.breaches)
