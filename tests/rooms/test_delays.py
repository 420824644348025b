"""How late the viewers see the picture: one median over all processes, of what was said lately."""

from livecommerce.protocol.facts import PictureDelay
from livecommerce.protocol.to_viewer import Desk
from livecommerce.rooms.delays import DELAY_MS_MAX, EXPIRY_SECONDS, REPORT_SECONDS, STEP_MS, WINDOW_SECONDS, Delays
from livecommerce.rooms.room import Publish, Room, ToDesk


def _middle(ms: int) -> int:
    return ms // STEP_MS * STEP_MS + STEP_MS // 2


def test_nobody_says_anything() -> None:
    delays = Delays("a")
    assert delays.median(0.0) == PictureDelay(0, 0)
    assert delays.report(0.0) is None
    assert delays.change(0.0) is None


def test_the_median_stands_whatever_a_few_say() -> None:
    delays = Delays("a")
    for ms in (2900, 3000, 3100, 3200, 3_600_000, 0, 3010):
        delays.take(ms, 1.0)
    assert delays.median(1.0) == PictureDelay(_middle(3010), 7)


def test_what_lies_beyond_all_bounds_counts_as_the_bound() -> None:
    delays = Delays("a")
    delays.take(-5, 0.0)
    assert delays.median(0.0).median_ms == STEP_MS // 2
    for _ in range(2):
        delays.take(10**9, 0.0)
    assert delays.median(0.0).median_ms == _middle(DELAY_MS_MAX)


def test_other_processes_count_until_they_fall_silent_and_our_own_word_does_not_come_back() -> None:
    here, there = Delays("a"), Delays("b")
    here.take(1000, 0.0)
    for _ in range(4):
        there.take(5000, 0.0)
    counts = there.report(0.0)
    assert counts == ((5000 // STEP_MS, 4),)
    here.hear("b", counts, 0.0)
    here.hear("a", ((1, 900),), 0.0)
    assert here.median(0.0) == PictureDelay(_middle(5000), 5)
    assert here.median(EXPIRY_SECONDS + 0.1) == PictureDelay(_middle(1000), 1)


def test_what_was_said_long_ago_is_forgotten_and_that_is_told_once() -> None:
    delays = Delays("a")
    delays.take(1000, 0.0)
    assert delays.report(0.0) == ((4, 1),)
    assert delays.report(REPORT_SECONDS - 0.1) is None
    delays.take(9000, WINDOW_SECONDS + 1)
    assert delays.median(WINDOW_SECONDS + 1).reports == 2
    assert delays.median(2 * WINDOW_SECONDS + 2) == PictureDelay(_middle(9000), 1)
    assert delays.report(9 * WINDOW_SECONDS) == ()
    assert delays.report(10 * WINDOW_SECONDS) is None


def test_desks_hear_of_another_median_and_of_nothing_else() -> None:
    delays = Delays("a")
    delays.take(1000, 0.0)
    assert delays.change(0.0) == PictureDelay(_middle(1000), 1)
    delays.take(1010, 1.0)
    assert delays.change(1.0) is None
    assert delays.change(9 * WINDOW_SECONDS) == PictureDelay(0, 0)


def test_a_room_tells_the_others_its_counts_and_the_desks_the_median_of_all() -> None:
    room = Room("shw_1", "a", 10, 3)
    room.delays.take(2000, 0.0)
    assert room.take_delays(0.0) == [
        Publish(["delays", "a", ((8, 1),)]),
        ToDesk(Desk(delay=PictureDelay(_middle(2000), 1))),
    ]
    assert room.hear([b"delays", b"b", [[40, 3]]], 0, 1.0) == []
    assert room.take_delays(1.0) == [ToDesk(Desk(delay=PictureDelay(_middle(10_000), 4)))]
    assert room.take_delays(2.0) == []
