"""The ring gives every event after an offset, or nothing; it is bounded by number, age and bytes."""

import pytest

from livecommerce.protocol.facts import Note, Stamped
from livecommerce.rooms.ring import Ring


def filled(count: int, first: int = 1, **bounds: int) -> Ring:
    ring = Ring(**bounds)  # type: ignore[arg-type]
    for offset in range(first, first + count):
        ring.add(Stamped(offset, 0, Note("n")), 10, now_seconds=float(offset))
    return ring


@pytest.mark.parametrize(
    ("asked", "offsets"),
    [(10, []), (9, [10]), (5, [6, 7, 8, 9, 10]), (4, None), (0, None), (11, None)],
)
def test_all_after_an_offset_or_nothing(asked: int, offsets: list[int] | None) -> None:
    missed = filled(5, first=6).since(asked, 10)
    assert (None if missed is None else [each.offset for each in missed]) == offsets


def test_by_number() -> None:
    ring = filled(10, events_max=3)
    assert len(ring) == 3
    assert ring.since(7, 10) is not None
    assert ring.since(6, 10) is None


def test_by_bytes() -> None:
    ring = filled(10, bytes_max=35)
    assert (len(ring), ring.bytes) == (3, 30)


def test_by_age() -> None:
    ring = filled(10, age_seconds_max=4)
    assert len(ring) == 5


def test_an_empty_ring_knows_only_that_nothing_was_missed() -> None:
    assert Ring().since(7, 7) == ()
    assert Ring().since(6, 7) is None


def test_an_offset_that_does_not_follow_begins_anew() -> None:
    ring = filled(3)
    ring.add(Stamped(9, 0, Note("n")), 10, 4.0)
    assert len(ring) == 1
    assert ring.bytes == 10


def test_a_ring_that_lags_behind_the_position_gives_nothing() -> None:
    assert filled(5).since(3, 6) is None
