"""Lines that say nearly the same, by whom and how many; and those that only look so."""

from livecommerce.rooms.copies import Copies, print_of
from livecommerce.rooms.letters import letters
from loadtest.crowd.arrivals import seeded
from loadtest.crowd.talk import line_of_chat

SPAM = "everybody come and look at my own channel right now"


def count(copies: Copies, lines: list[str], now: float = 0.0) -> list[int]:
    return [copies.people(print_of(letters(line)), f"v{n}", now) for n, line in enumerate(lines)]


def test_a_few_changed_letters_make_no_other_line() -> None:
    lines = [SPAM, f"{SPAM}!!! 🎉", SPAM.upper(), f"{SPAM} pls", SPAM.replace("own", "own own"), f"xq {SPAM}"]
    assert count(Copies(10), lines) == [1, 2, 3, 4, 5, 6]


def test_the_same_in_chinese() -> None:
    lines = ["大家快来看我的直播间便宜又好看", "大家快来看我的直播间便宜又好看！！", "大家快来看我的直播間便宜又好看呀"]
    assert count(Copies(10), lines) == [1, 2, 3]


def test_numbers_tell_lines_apart() -> None:
    lines = [f"do you have the velvet lip in size {n} please" for n in range(38, 44)]
    assert count(Copies(10), lines) == [1] * 6


def test_short_lines_are_no_copies() -> None:
    assert count(Copies(10), ["me too", "me too", "yes please"]) == [1, 1, 1]


def test_one_person_is_counted_once_and_the_window_ends() -> None:
    copies, what = Copies(10), print_of(letters(SPAM))
    assert [copies.people(what, "a", 0), copies.people(what, "a", 1), copies.people(what, "b", 2)] == [1, 1, 2]
    assert copies.people(what, "c", 10.1) == 1


def test_ordinary_talk_of_a_loud_room_is_no_flood_and_memory_is_bounded() -> None:
    rng, copies = seeded(5, "fr"), Copies(10)
    most = max(copies.people(print_of(letters(line_of_chat(rng, "fr"))), f"v{n}", n / 500) for n in range(5_000))
    assert most <= 4
    assert len(copies._clusters) <= 2000
    assert len(copies._by_group) <= 2000 * 8
