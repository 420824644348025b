"""The time line: parts in order, segments that stand alone, programme times that never run back within an epoch."""

from hypothesis import given
from hypothesis import strategies as st

from livecommerce.video.timeline import (
    SEGMENT_MS,
    SEGMENT_MS_MAX,
    ClockStep,
    EpochBegins,
    FragmentAdded,
    Row,
    Timeline,
)

T0 = 1_800_000_000_000.0


def epoch(number: int, t0_ms: float = T0) -> EpochBegins:
    return EpochBegins(number, t0_ms, 700, "avc1.42c01e,mp4a.40.2", 720, 1280)


def fragments(number: int, count: int, ms: float = 500.0, alone_every: int = 2, at_ms: float = 0.0) -> list[Row]:
    return [
        FragmentAdded(number, 700 + 1000 * place, 1000, at_ms + ms * place, ms, place % alone_every == 0)
        for place in range(count)
    ]


def told(*rows: Row | list[Row]) -> Timeline:
    timeline = Timeline()
    for each in rows:
        for row in each if isinstance(each, list) else [each]:
            timeline.add(row)
    return timeline


def test_segments_are_two_seconds_and_begin_with_a_picture_that_stands_alone() -> None:
    timeline = told(epoch(0), fragments(0, 10))

    assert [len(segment.parts) for segment in timeline.segments] == [4, 4, 2]
    assert [segment.whole for segment in timeline.segments] == [True, True, False]
    assert all(segment.parts[0].alone for segment in timeline.segments)
    assert [segment.programme_ms - T0 for segment in timeline.segments] == [0, 2000, 4000]


def test_keyframes_that_come_seldom_make_longer_segments() -> None:
    timeline = told(epoch(0), fragments(0, 20, alone_every=10))

    assert [segment.duration_ms for segment in timeline.segments] == [5000, 5000]


def test_an_encoder_without_keyframes_gets_segments_all_the_same() -> None:
    timeline = told(epoch(0), fragments(0, 60, alone_every=1000))

    assert [segment.duration_ms for segment in timeline.segments] == [SEGMENT_MS_MAX, SEGMENT_MS_MAX, 6000]


def test_a_new_epoch_ends_the_segment_and_has_a_clock_of_its_own() -> None:
    timeline = told(epoch(0), fragments(0, 3), epoch(1, T0 + 9000), fragments(1, 3))

    assert [(segment.epoch.epoch, segment.whole) for segment in timeline.segments] == [(0, True), (1, False)]
    assert timeline.segments[1].programme_ms == T0 + 9000
    assert [part.number for part in timeline.parts] == list(range(6))


def test_an_epoch_that_filmed_nothing_leaves_no_segment() -> None:
    timeline = told(epoch(0), epoch(1), fragments(1, 2))

    assert [segment.epoch.epoch for segment in timeline.segments] == [1]


def test_a_clock_that_steps_moves_what_comes_later() -> None:
    timeline = told(epoch(0), fragments(0, 4), ClockStep(0, T0 + 300), fragments(0, 4, at_ms=2000))

    assert [segment.programme_ms - T0 for segment in timeline.segments] == [0, 2300]


def test_rows_of_no_epoch_are_left_out() -> None:
    timeline = told(fragments(0, 2), epoch(1), fragments(0, 2), fragments(1, 1), ClockStep(0, 5))

    assert [(part.epoch, part.programme_ms) for part in timeline.parts] == [(1, T0)]


def test_bytes_of_parts_lie_in_one_file_or_are_none() -> None:
    timeline = told(epoch(0), fragments(0, 4), epoch(1), fragments(1, 4))

    assert timeline.span(0, 3) == (0, 700, 4000)
    assert timeline.span(5, 5) == (1, 1700, 1000)
    assert timeline.span(3, 4) is None
    assert timeline.span(7, 8) is None
    assert timeline.span(2, 1) is None
    assert timeline.span(-1, 1) is None


ROWS = st.lists(
    st.one_of(
        st.tuples(st.just("epoch"), st.floats(0, 20_000)),
        st.tuples(st.just("part"), st.floats(20, 1500), st.booleans()),
        st.tuples(st.just("step"), st.floats(-400, 400)),
    ),
    max_size=80,
)


@given(ROWS)
def test_whatever_was_filmed_parts_add_up_to_segments_and_what_was_told_stays(rows: list[tuple[object, ...]]) -> None:
    timeline = Timeline()
    number, at_ms, offset, t0 = -1, 0.0, 0, T0
    seen: list[tuple[int, float, tuple[int, ...]]] = []
    for kind, *values in rows:
        if kind == "epoch":
            number, at_ms, offset, t0 = number + 1, 0.0, 700, T0 + float(str(values[0]))
            timeline.add(epoch(number, t0))
        elif kind == "part" and number >= 0:
            ms = float(str(values[0]))
            timeline.add(FragmentAdded(number, offset, 10, at_ms, ms, bool(values[1])))
            at_ms, offset = at_ms + ms, offset + 10
        elif kind == "step" and number >= 0:
            timeline.add(ClockStep(number, t0 + float(str(values[0]))))
        whole = [
            (each.number, each.programme_ms, tuple(part.number for part in each.parts))
            for each in timeline.segments
            if each.whole
        ]
        assert whole[: len(seen)] == seen
        seen = whole
    assert [part for segment in timeline.segments for part in segment.parts] == timeline.parts
    assert all(segment.parts for segment in timeline.segments)
    assert all(segment.whole for segment in timeline.segments[:-1])
    for segment in timeline.segments:
        assert len({part.epoch for part in segment.parts}) == 1
        assert sum(part.duration_ms for part in segment.parts[:-1]) < max(SEGMENT_MS_MAX, SEGMENT_MS) + 1


def test_an_instant_lies_where_the_player_is_then_and_a_gap_where_it_goes_on() -> None:
    timeline = Timeline()
    assert timeline.between().placer()(0) is None
    timeline.add(EpochBegins(0, 10_000.0, 10, "avc1"))
    for number in range(4):
        timeline.add(FragmentAdded(0, number, 1, number * 1000.0, 1000.0, alone=True))
    timeline.add(EpochBegins(1, 60_000.0, 10, "avc1"))
    timeline.add(FragmentAdded(1, 0, 1, 0.0, 1000.0, alone=True))

    place = timeline.between().placer()
    wanted = {9_999: None, 10_000: 0.0, 13_500: 3500.0, 14_000: 4000.0, 40_000: 4000.0, 60_000: 4000.0, 60_500: 4500.0}
    assert {at: place(at) for at in wanted} == wanted
    assert place(61_000) is None


def test_a_stretch_begins_where_a_picture_stands_alone_and_ends_with_its_last_part() -> None:
    timeline = told(epoch(0), fragments(0, 10), epoch(1, T0 + 9000), fragments(1, 3))

    def numbers(from_ms: float, to_ms: float) -> list[int]:
        return [part.number for each in timeline.between(from_ms, to_ms).segments for part in each.parts]

    assert numbers(T0, T0 + 99_000) == list(range(13))
    assert numbers(T0 + 1, T0 + 4001) == [4, 5, 6, 7, 8]
    assert numbers(T0 + 2000, T0 + 9500) == [4, 5, 6, 7, 8, 9, 10]
    assert numbers(T0 + 2001, T0 + 4000) == numbers(T0 + 9001, T0 + 99_000) == numbers(T0 - 9, T0) == []
    cut = timeline.between(T0 + 1, T0 + 3200)
    assert (cut.begins_ms, cut.ends_ms, cut.duration_ms) == (T0 + 2000, T0 + 3500, 1500)
    assert len(timeline.segments[1].parts) == 4  # nothing of the recording itself is cut
