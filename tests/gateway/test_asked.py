"""Each change of a hold is told once to the window that asked, whatever order answers and news arrive in."""

from hypothesis import given
from hypothesis import strategies as st

from livecommerce.gateway.asked import ANSWERED_MAX, Asked

RID = "rid_00000001"


def test_news_that_come_before_the_answer_are_told_by_it() -> None:
    asked = Asked[str]()
    asked.ask(RID)

    assert not asked.news(RID, 7, "held")
    assert asked.answer(RID, 7) is None


def test_news_that_come_after_the_answer_are_not_told_again() -> None:
    asked = Asked[str]()
    asked.ask(RID)

    assert asked.answer(RID, 7) is None
    assert not asked.news(RID, 7, "held")
    assert asked.news(RID, 9, "expired")


def test_newer_news_that_came_before_the_answer_follow_it() -> None:
    asked = Asked[str]()
    asked.ask(RID)

    assert not asked.news(RID, 9, "expired")
    assert asked.answer(RID, 7) == "expired"


def test_older_news_are_not_told_after_a_newer_answer() -> None:
    asked = Asked[str]()
    asked.ask(RID)
    asked.answer(RID, 7)

    assert not asked.news(RID, 6, "waiting")
    assert not asked.news(RID, 7, "offered")


def test_where_the_outcome_stays_unknown_the_news_are_told() -> None:
    asked = Asked[str]()
    asked.ask(RID)

    assert not asked.news(RID, 7, "held")
    assert asked.answer(RID, 0) == "held"
    assert asked.news(RID, 8, "expired")


def test_news_of_what_was_not_asked_here_are_told() -> None:
    assert Asked[str]().news(RID, 7, "offered")


def test_answers_without_news_are_forgotten_beyond_a_bound() -> None:
    asked = Asked[str]()
    for n in range(ANSWERED_MAX + 1):
        asked.ask(f"rid_{n}")
        asked.answer(f"rid_{n}", 10 + n)

    assert asked.news("rid_0", 10, "held")  # a second time, and harmless
    assert not asked.news("rid_1", 11, "held")


@given(st.integers(0, 3), st.integers(1, 3), st.booleans())
def test_a_window_ends_with_the_newest_state_and_hears_none_twice(before: int, answered: int, is_known: bool) -> None:
    """News 1, 2 and 3 in their order, `before` of them ahead of an answer that tells the state as of `answered`."""
    asked = Asked[int]()
    asked.ask(RID)
    heard: list[int] = []
    for version in range(1, 5):
        if version == before + 1:
            later = asked.answer(RID, answered if is_known else 0)
            heard += [answered] * is_known + [each for each in (later,) if each is not None]
        if version < 4 and asked.news(RID, version, version):
            heard.append(version)

    assert heard[-1] == 3
    assert heard == sorted(set(heard))
