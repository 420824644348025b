"""Claims by comment: a table of lines and what each asks for, and what holds for any line whatever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.protocol.facts import CardFacts, DealFacts
from livecommerce.shows.claims import Claim, ClaimBook, Unclear, plain_text
from livecommerce.shows.codes import is_code, next_code

KEYWORDS = ("SOLD", "我要", "要", "vendu", "بيع")


def deal(deal_id: str, label: str, *options: str) -> DealFacts:
    return DealFacts(deal_id, f"v_{deal_id}", label, "", "", 1990, None, 10, 2, 300, 600, "open", options=options)


def card(code: str, *deals: DealFacts, kind: str = "deal") -> CardFacts:
    return CardFacts(f"card_{code}", kind, f"Card {code}", "", "", "", deals, code=code)  # type: ignore[arg-type]


LIPS = card("AA", deal("10blue", "10 / Blue", "10", "Blue"), deal("10red", "10 / Red", "10", "Red"),
            deal("12blue", "12 / Blue", "12", "Blue"))  # fmt: skip
ONE = card("AB", deal("one", ""))
ROSES = card("AC", deal("rose", "Rose"), deal("rosewood", "Rose Wood"), deal("ete", "Été 42,5", "42.5"))
SET = card("AD", deal("s1", "Day"), deal("s2", "Night"), kind="bundle")
LOOK = card("AE", kind="product")
HAN = card("AF", deal("lan", "蓝色 / 大", "蓝色", "大"), deal("hong", "红色 / 大", "红色", "大"), deal("no2", "二号"))
SIZES = card("AG", deal("2blue", "2 / Blue"), deal("10b", "10 / Blue"), deal("x", "X / Red"))
ARABIC = card("AH", deal("azraq", "أزرق"), deal("ahmar", "أحمر"))
BOOK = ClaimBook(KEYWORDS, (LIPS, ONE, ROSES, SET, LOOK, HAN, SIZES, ARABIC))


@pytest.mark.parametrize(
    ("line", "deals", "qty"),
    [
        ("SOLD AA 10 blue 2", "10blue", 2),
        ("sold aa blue 10", "10blue", 1),
        ("Sold AA blue, 10 - x2", "10blue", 2),
        ("SOLD AA 2x blue 10", "10blue", 2),
        ("SOLD 2 AA 10 BLUE please", "10blue", 2),
        ("ＳＯＬＤ　ＡＡ　１０　ｂｌｕｅ　２", "10blue", 2),
        ("SOLD AA10blue×2", "10blue", 2),
        ("sold aa red", "10red", 1),
        ("sold aa 12", "12blue", 1),
        ("sold aa 12 3 pcs", "12blue", 3),
        ("sold aa red two", "10red", 2),
        ("vendu AA 10 red deux", "10red", 2),
        ("SOLD AB", "one", 1),
        ("SOLD AB 3", "one", 3),
        ("SOLD AB 0", "one", 0),
        ("我要AB两件", "one", 2),
        ("要ab 三个 谢谢", "one", 3),
        ("要 AB 十二", "one", 12),
        ("SOLD AB ٣", "one", 3),
        ("SOLD AB ३", "one", 3),
        ("بيع AH أزرق ٢", "azraq", 2),
        ("بيع AH أَزْرَق", "azraq", 1),
        ("SOLD AC rose", "rose", 1),
        ("SOLD AC rose wood", "rosewood", 1),
        ("SOLD AC wood 2", "rosewood", 2),
        ("SOLD AC ete", "ete", 1),
        ("SOLD AC ÉTÉ 42,5 2", "ete", 2),
        ("SOLD AC 42.5", "ete", 1),
        ("我要AF蓝色2件", "lan", 2),
        ("要AF蓝大两件", "lan", 2),
        ("要 AF 红", "hong", 1),
        ("要AF二号三件", "no2", 3),
        ("SOLD AG blue 2", "2blue", 1),  # a size before it is a quantity
        ("SOLD AG 10 blue 2", "10b", 2),  # the quantity is written last
        ("SOLD AG blue 2 pcs 10", "10b", 2),
        ("SOLD AG 2 blue 2", "2blue", 2),
        ("SOLD AA 2 x 10 blue", "10blue", 2),
        ("SOLD AG x", "x", 1),
        ("SOLD AG red X 2", "x", 2),
    ],
)
def test_a_line_that_claims_is_understood(line: str, deals: str, qty: int) -> None:
    found = BOOK.read(line)

    assert isinstance(found, Claim), found
    assert (found.deal_ids, found.qty) == ((deals,), qty)


def test_a_bundle_is_claimed_whole() -> None:
    assert BOOK.read("SOLD AD 2") == Claim("AD", "card_AD", ("s1", "s2"), 2)
    assert BOOK.read("SOLD AD night") == Unclear("which", "AD", ("s2",))


@pytest.mark.parametrize(
    "line",
    [
        "", "hello", "is AA sold?", "Sold out already?", "soldat AA 2", "Solder AA", "要不要买", "要下雨了",
        "vendue AA",
        "sold to the lady with the hat", "SOLD" + " very" * 60 + " AA",
    ],
)  # fmt: skip
def test_a_line_of_talk_is_no_claim(line: str) -> None:
    assert BOOK.read(line) is None


@pytest.mark.parametrize(
    ("line", "why", "choices", "words"),
    [
        ("SOLD", "no_code", (), ()),
        ("要", "no_code", (), ()),
        ("SOLD ZZ", "no_code", (), ("zz",)),
        ("SOLD 2", "no_code", (), ("2",)),
        ("SOLD AA", "which", ("10blue", "10red", "12blue"), ()),
        ("SOLD AA blue", "which", ("10blue", "12blue"), ()),
        ("SOLD AA 10", "which", ("10blue", "10red"), ()),
        ("SOLD AA blue 2", "which", ("10blue", "12blue"), ()),
        ("SOLD AA 12 red", "which", ("10red", "12blue"), ()),
        ("SOLD AA green", "words", ("10blue", "10red", "12blue"), ("green",)),
        ("SOLD AA 10 blue green", "words", ("10blue", "10red", "12blue"), ("green",)),
        ("SOLD AA AB", "two_cards", (), ()),
        ("SOLD AE", "nothing", (), ()),
        ("SOLD AG 2 10 blue", "which", ("2blue", "10b"), ()),
        ("SOLD AB x2 x3", "which", ("one",), ()),
        ("要AF绿色", "words", ("lan", "hong", "no2"), ("绿",)),
    ],
)
def test_a_claim_that_could_mean_several_things_is_never_guessed(
    line: str, why: str, choices: tuple[str, ...], words: tuple[str, ...]
) -> None:
    found = BOOK.read(line)

    assert isinstance(found, Unclear), found
    assert (found.why, set(found.choices), found.words) == (why, set(choices), words)


@given(st.text(max_size=500))
def test_no_line_whatever_raises(line: str) -> None:
    for text in (line, "SOLD " + line, "SOLD AA " + line, "要AF" + line, "SOLD AG 2 " + line):
        found = BOOK.read(text)
        if isinstance(found, Claim):
            assert found.qty >= 0
            assert found.deal_ids


NUMBERS, COLOURS = ("2", "3", "10", "12", "S", "M"), ("blue", "red", "rose", "green")
SIZED = st.lists(st.tuples(st.sampled_from(NUMBERS), st.sampled_from(COLOURS)), min_size=1, max_size=8, unique=True)


@given(SIZED, st.data())
def test_with_a_marked_quantity_the_order_of_the_words_does_not_matter(
    sized: list[tuple[str, str]], data: st.DataObject
) -> None:
    book = ClaimBook(
        ("SOLD",), [card("AA", *(deal(f"{size} {colour}", f"{size} / {colour}") for size, colour in sized))]
    )
    size, colour = data.draw(st.sampled_from(sized))
    qty = data.draw(st.integers(1, 99))
    words = data.draw(st.permutations([size, colour, f"{qty}pcs"]))

    assert book.read(f"SOLD AA {' '.join(words)}") == Claim("AA", "card_AA", (f"{size} {colour}",), qty)


@given(SIZED, st.data())
def test_what_is_claimed_has_every_word_that_was_written(sized: list[tuple[str, str]], data: st.DataObject) -> None:
    book = ClaimBook(
        ("SOLD",), [card("AA", *(deal(f"{size} {colour}", f"{size} / {colour}") for size, colour in sized))]
    )
    words = data.draw(st.lists(st.sampled_from([*NUMBERS, *COLOURS]), max_size=4))
    found = book.read(f"SOLD AA {' '.join(words)}")

    if isinstance(found, Claim):
        named = found.deal_ids[0].split(" ")
        strange = [word for word in words if word not in named]
        assert strange in ([], [str(found.qty)])
        same = [each for each in sized if all(word in each for word in words if word in named)]
        if not strange:
            assert same == [tuple(named)]
    else:
        assert isinstance(found, Unclear)


@pytest.mark.parametrize(("typed", "plain"), [("Ａ１", "a1"), ("Été", "ete"), ("٤٢", "42"), ("ガ", "ガ"), ("İI", "ii")])
def test_widths_case_accents_and_digits_are_one(typed: str, plain: str) -> None:
    assert plain_text(typed) == plain


def test_codes_are_given_in_order_and_never_twice() -> None:
    assert [next_code(()), next_code(["AA"]), next_code(["AB", "AA"]), next_code(["AZ"])] == ["AA", "AB", "AC", "BA"]
    assert (next_code(["ZZ"]), next_code(["AAA", "ZZ"])) == ("AAA", "AAB")
    given_codes: list[str] = []
    for _ in range(700):
        given_codes.append(next_code(given_codes[-1:]))
    assert len(set(given_codes)) == 700
    assert all(is_code(code) and not set(code) & set("IOX") for code in given_codes)
