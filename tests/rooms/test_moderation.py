"""What may be said. Rules in the order in which they win; each refusal leaves the speaker as she was."""

import pytest

from livecommerce.errors import R, Refused
from livecommerce.rooms.moderation import COPIES_MAX, REPEAT_SECONDS, Moderation, cleaned, folded, has_link


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


@pytest.mark.parametrize(
    "text",
    [
        "badword",
        "BADWORD",
        "bad word",
        "b.a.d.w.o.r.d",
        "b4dw0rd",
        "ｂａｄｗｏｒｄ",
        "bаdwоrd",
        "bádwörd",
        "b\u200badword",
        "xbadwordx",
    ],
)
def test_a_banned_word_is_found_however_it_is_written(text: str) -> None:
    assert why(Moderation(["BadWord"]), "a", text) is R.WORDS


@pytest.mark.parametrize("text", ["禁止词在这里", "禁 止 词"])
def test_banned_words_work_in_any_script(text: str) -> None:
    assert why(Moderation(["禁止词"]), "a", text) is R.WORDS


@pytest.mark.parametrize(
    "text",
    [
        "http://x.y",
        "HTTPS : //x",
        "www.shop",
        "evil.com",
        "evil . com",
        "ｅｖｉｌ．ｃｏｍ",
        "t.me/abc" * 1,
        "my-shop.io",
    ],
)
def test_links_are_refused(text: str) -> None:
    assert has_link(text)
    assert why(Moderation(), "a", text) is R.WORDS


@pytest.mark.parametrize("text", ["it costs 3.50", "nice. me too", "ok...so", "v1.2", "great!the best", "24.11.2026"])
def test_ordinary_lines_are_no_links(text: str) -> None:
    assert not has_link(text)
    assert why(Moderation(), "a", text) is None


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
    rules = Moderation(["bad"], slow_seconds=10)
    assert why(rules, "a", "bad") is R.WORDS
    assert why(rules, "a", "good") is None


def test_mute_ends_by_itself_and_can_be_lifted() -> None:
    rules = Moderation()
    rules.mute("a", 60.0)
    with pytest.raises(Refused) as refused:
        rules.check("a", "viewer", "hello", 50.0)
    assert (refused.value.why, refused.value.after_ms) == (R.MUTED, 10_000)
    assert why(rules, "a", "hello", 60.0) is None
    rules.mute("b", 60.0)
    rules.mute("b", 0.0)
    assert why(rules, "b", "hello", 1.0) is None


def test_copies_by_many_are_held_for_a_moderator() -> None:
    rules = Moderation()
    text = "everybody look at my own channel now"
    assert [why(rules, f"v{n}", text) for n in range(COPIES_MAX + 1)] == [None] * COPIES_MAX + [R.HELD_BACK]
    assert [why(rules, f"w{n}", "me too") for n in range(COPIES_MAX + 5)] == [None] * (COPIES_MAX + 5)


@pytest.mark.parametrize("role", ["host", "moderator", "manager", "admin"])
def test_staff_passes_every_rule_but_the_empty_line(role: str) -> None:
    rules = Moderation(["bad"], slow_seconds=60)
    rules.mute("a", 99.0)
    assert why(rules, "a", "bad evil.com", role=role) is None
    assert why(rules, "a", "bad evil.com", role=role) is None
    assert why(rules, "a", "", role=role) is R.EMPTY


def test_letters_are_folded_across_scripts() -> None:
    assert folded("Ｆréе  МÖNEY") == folded("free money")
