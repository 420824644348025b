"""Figures and numbers in words."""

import pytest

from livecommerce.errors import Close, R
from loadtest.report.words import CLOSES, duration_shown, error_words, errors_of, time_shown, words_of


def test_every_refusal_and_every_close_code_of_the_server_has_words() -> None:
    words = error_words()

    assert all(words[f"refused.{row.value.number}"] for row in R)
    assert all(words[f"disconnects.{int(code)}"] for code in Close)
    assert set(Close) <= set(CLOSES)
    assert not [text for text in words.values() if "{" in text]


@pytest.mark.parametrize(
    ("counter", "words"),
    [
        ("refused.400", "Sold out"),
        ("disconnects.4001", "the viewer's line could not carry the room"),
        ("join_failed.timed_out", "could not come in: timed out"),
        ("disconnects.4999", "4999"),
        ("unanswered", "requests that nobody answered"),
    ],
)
def test_a_counter_is_said_in_words(counter: str, words: str) -> None:
    assert words_of(counter) == words


def test_errors_are_what_went_wrong_most_first_without_sums_and_zeros() -> None:
    counters = {"refused": 9, "refused.400": 7, "refused.409": 2, "join_failed.full": 0, "answers": 5, "late_sends": 8}

    assert list(errors_of(counters).items()) == [("late_sends", 8), ("refused.400", 7), ("refused.409", 2)]


@pytest.mark.parametrize(
    ("us", "words"), [(0, "0 µs"), (4_200, "4.20 ms"), (42_137, "42.1 ms"), (250_400, "250 ms"), (1_500_000, "1.50 s")]
)
def test_times_have_their_unit(us: float, words: str) -> None:
    assert time_shown(us) == words


@pytest.mark.parametrize(("seconds", "words"), [(12.4, "12 s"), (150, "2:30 min"), (3_727, "1:02:07 h")])
def test_durations_read_as_a_clock(seconds: float, words: str) -> None:
    assert duration_shown(seconds) == words
