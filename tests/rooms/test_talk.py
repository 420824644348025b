"""Thinning: one rate per room, the same lines for everybody, decided by the lines alone."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from livecommerce.protocol.facts import Line
from livecommerce.rooms.talk import BURST_SECONDS, HISTORY_MAX, TalkStream


def line(number: int, at_ms: int, role: str = "viewer") -> Line:
    return Line(f"ln_{number}", at_ms, "Ada", f"line {number}", role)  # type: ignore[arg-type]


def test_a_burst_passes_then_the_rate_holds() -> None:
    stream = TalkStream(10, 3)
    shown = [stream.hear(line(n, n)).shown for n in range(100)]
    assert sum(shown) == 10 * BURST_SECONDS
    assert shown[:20] == [True] * 20
    assert sum(stream.hear(line(n, 1000 + n)).shown for n in range(100)) in (9, 10)


def test_the_author_of_a_line_left_out_learns_when_to_try_again() -> None:
    stream = TalkStream(2, 1)
    heard = [stream.hear(line(n, 0)) for n in range(5)]
    assert [each.shown for each in heard] == [True] * 4 + [False]
    assert heard[-1].again_ms == 500
    assert stream.hear(line(9, 500)).shown


def test_phones_get_fewer_lines_and_only_such_as_desks_get() -> None:
    stream = TalkStream(10, 3)
    for n in range(50):
        stream.hear(line(n, n))
    frames = stream.take()
    assert frames is not None
    assert len(frames.desk) == 20
    assert len(frames.phone) == 6
    assert set(frames.phone) < set(frames.desk)


def test_hosts_and_moderators_are_never_thinned() -> None:
    stream = TalkStream(1, 1)
    for n in range(20):
        stream.hear(line(n, 0))
    assert all(stream.hear(line(100 + n, 0, role)).shown for n, role in enumerate(("host", "moderator") * 20))
    frames = stream.take()
    assert frames is not None
    assert len(frames.phone) == 2 + 40


def test_rate_zero_shows_everything() -> None:
    stream = TalkStream(0, 0)
    assert all(stream.hear(line(n, 0)).shown for n in range(1000))
    assert stream.shed_per_second == 0


def test_the_shed_rate_is_told_and_also_that_it_is_over() -> None:
    stream = TalkStream(1, 1)
    for n in range(22):
        stream.hear(line(n, 0))
    frames = stream.take()
    assert frames is not None
    assert frames.shed == 10.0
    assert stream.take() is None
    stream.hear(line(50, 5000))
    later = stream.take()
    assert later is not None
    assert later.shed == 0.0


def test_a_hidden_line_is_neither_sent_nor_shown_to_newcomers() -> None:
    stream = TalkStream(10, 10)
    stream.hear(line(1, 0))
    stream.hear(line(2, 0))
    stream.hide("ln_1")
    frames = stream.take()
    assert frames is not None
    assert [each.line_id for each in frames.desk] == ["ln_2"]
    assert [each.line_id for each in stream.history] == ["ln_2"]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 20), max_size=20))
def test_every_process_leaves_out_the_same_lines_whenever_it_ticks(seed: int, cuts: list[int]) -> None:
    dice = random.Random(seed)
    lines = [line(n, dice.randrange(5000)) for n in range(200)]
    one, other = TalkStream(10, 3), TalkStream(10, 3)
    shown_one = [one.hear(each).shown for each in lines]
    shown_other = []
    desk: list[Line] = []
    for number, each in enumerate(lines):
        shown_other.append(other.hear(each).shown)
        if number in cuts and (frames := other.take()):
            desk += frames.desk
    assert shown_one == shown_other
    frames = other.take()
    desk += frames.desk if frames else ()
    whole = one.take()
    assert whole is not None
    assert list(whole.desk) == desk
    assert len(one.history) <= HISTORY_MAX
