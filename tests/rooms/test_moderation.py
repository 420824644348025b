"""What may be said. Rules in the order in which they win; each refusal leaves the speaker as she was."""

import pytest

from livecommerce.errors import R, Refused
from livecommerce.rooms.letters import cleaned
from livecommerce.rooms.moderation import (
    COPIES_MAX,
    FLOOD_LINES,
    FLOOD_SECONDS,
    REPEAT_SECONDS,
    Moderation,
    TalkRules,
)
from livecommerce.rooms.words import WordList


def why(rules: Moderation, viewer_id: str, text: str, now: float = 0.0, role: str = "viewer") -> R | None:
    try:
        rules.check(viewer_id, role, text, now)
    except Refused as refused:
        return refused.why
    return None


@pytest.mark.parametrize("text", ["", "   ", "\u200b\u200d", "\n\t", "\u202e"])
def test_nothing_to_say(text: str) -> None:
    assert why(Moderation(), "a", text) is R.EMPTY


def test_a_line_is_cleaned_and_markup_stays_text() -> None:
    assert cleaned(" a\u200b  b\x00\n<script> ") == "a b <script>"


def test_words_and_links_have_refusals_of_their_own_and_words_win() -> None:
    rules = Moderation(TalkRules(WordList(["badword"]), frozenset({"shop.example"})))
    assert why(rules, "a", "a B4DW0RD here") is R.WORDS
    assert why(rules, "a", "badword evil.com") is R.WORDS
    assert why(rules, "a", "evil.com") is R.LINK
    assert why(rules, "a", "https://shop.example/p/lip") is None


def test_members_only_lets_members_write_and_everybody_ask_in_private() -> None:
    rules = Moderation()
    rules.members_only = True
    assert why(rules, "a", "hello") is R.MEMBERS_CHAT
    assert rules.check("b", "viewer", "hello", 0.0, is_member=True) == "hello"
    assert rules.check("c", "viewer", "may I?", 0.0, privately=True) == "may I?"
    rules.mute("b", 60.0, 0.0)
    with pytest.raises(Refused) as refused:
        rules.check("b", "viewer", "hello again", 1.0, is_member=True)
    assert refused.value.why is R.MUTED


def test_too_much_by_one_person_over_all_her_windows_waits() -> None:
    rules = Moderation()
    for number in range(FLOOD_LINES):
        assert why(rules, "a", f"line {number}", number * 0.1) is None
    with pytest.raises(Refused) as refused:
        rules.check("a", "viewer", "one more", 5.0)
    assert (refused.value.why, refused.value.after_ms) == (R.FLOOD, round((FLOOD_SECONDS - 5.0) * 1000))
    assert why(rules, "b", "mine", 5.0) is None
    assert why(rules, "a", "later", FLOOD_SECONDS) is None


def test_one_line_a_second_is_no_flood() -> None:
    rules = Moderation()
    assert [why(rules, "a", f"line {number}", float(number)) for number in range(120)] == [None] * 120


def test_nearly_the_same_again_is_said_already() -> None:
    rules = Moderation()
    assert why(rules, "a", "please come and look at my own channel") is None
    assert why(rules, "a", "please come and look at my own channel!! 🎉", 1.0) is R.REPEATED
    assert why(rules, "a", "PLEASE come and look at my own channell", 2.0) is R.REPEATED


def test_slow_mode_tells_how_long_and_counts_from_the_last_line_that_passed() -> None:
    rules = Moderation(slow_seconds=10)
    assert why(rules, "a", "one") is None
    with pytest.raises(Refused) as refused:
        rules.check("a", "viewer", "two", 4.0)
    assert (refused.value.why, refused.value.after_ms) == (R.SLOW_MODE, 6000)
    assert why(rules, "b", "two", 4.0) is None
    assert why(rules, "a", "two", 10.0) is None


def test_saying_the_same_again_waits() -> None:
    rules = Moderation()
    assert why(rules, "a", "buy this!") is None
    assert why(rules, "a", "BUY  this", 1.0) is R.REPEATED
    assert why(rules, "a", "buy this", REPEAT_SECONDS) is None


def test_a_refused_line_is_not_counted_as_said() -> None:
    rules = Moderation(TalkRules(WordList(["bad"])), slow_seconds=10)
    assert why(rules, "a", "bad") is R.WORDS
    assert why(rules, "a", "good") is None


def test_mute_ends_by_itself_and_can_be_lifted() -> None:
    rules = Moderation()
    rules.mute("a", 60.0, 0.0)
    with pytest.raises(Refused) as refused:
        rules.check("a", "viewer", "hello", 50.0)
    assert (refused.value.why, refused.value.after_ms) == (R.MUTED, 10_000)
    assert why(rules, "a", "hello", 60.0) is None
    rules.mute("b", 60.0, 0.0)
    rules.mute("b", 0.0, 0.0)
    assert why(rules, "b", "hello", 1.0) is None


def test_copies_by_many_are_held_for_a_moderator() -> None:
    rules = Moderation()
    text = "everybody look at my own channel now"
    assert [why(rules, f"v{n}", text) for n in range(COPIES_MAX + 1)] == [None] * COPIES_MAX + [R.HELD_BACK]
    assert why(rules, "other", "everybody, look at my own channel now!") is R.HELD_BACK
    assert [why(rules, f"w{n}", "me too") for n in range(COPIES_MAX + 5)] == [None] * (COPIES_MAX + 5)


@pytest.mark.parametrize("role", ["host", "moderator", "manager", "admin"])
def test_staff_passes_every_rule_but_the_empty_line(role: str) -> None:
    rules = Moderation(TalkRules(WordList(["bad"])), slow_seconds=60)
    rules.mute("a", 99.0, 0.0)
    assert why(rules, "a", "bad evil.com", role=role) is None
    assert why(rules, "a", "bad evil.com", role=role) is None
    assert why(rules, "a", "", role=role) is R.EMPTY
