"""Claims by comment: what a line of chat asks for, in any script.

    keyword · code of a card · words of the variant in any order · quantity       SOLD AA 10 blue 2 · 我要AA蓝色两件

What arrives: one line, and the show's cards as a `ClaimBook`. What leaves: None for a line that is no claim, a `Claim`,
or `Unclear` with what is needed to say why. It never raises and never guesses: where two variants fit equally well it
says so. It knows no stock, no status and no person; whether the units are there is the engine's business.

How a line is read, in this order:
1. Everything is made plain: one width, no case, no accents, digits of any script as 0-9.
2. A line that does not begin with a keyword is no claim; nor is one where neither a code nor something shaped like one
   follows ("Sold out already?", 要不要).
3. The first word that is a card's code names the card. What this card's variants are called comes before any other
   meaning of a word: a size 2 is a size before it is a quantity, a shade "Un" a shade before it is French for one.
4. One number may be the quantity: a marked one (x2, 2 pcs, 两件), else one that no size is called, else, where another
   number says the size already, the last word of the line.
5. A variant fits when it has every word that is left. Words that no variant has are never passed over, save politeness.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from livecommerce.protocol.facts import CardFacts
from livecommerce.shows.codes import is_code

Trouble = Literal["no_code", "which", "words", "two_cards", "nothing"]

QTY_DIGITS_MAX = 9  # longer is no quantity; a smaller one that is too large gets the engine's own refusal
# A line with more is a letter to the host, whatever it begins with. The bounds also keep the dearest line at a
# few milliseconds: everybody may write one a second.
LINE_MAX = 160
WORDS_MAX = 16
NUMBERS_MAX = 6

# Accents and vowel points that people leave out when they type. Signs that make another letter (kana voicing, nukta,
# virama, Thai vowels and tones) have other classes and stay.
_OPTIONAL_MARKS = frozenset((*range(10, 36), 202, 214, 216, 218, 220, 222, 224, 226, 228, 230, 232, 233, 234))
_ONE_LETTER = str.maketrans({"ı": "i", "×": " x ", "✕": " x ", "✖": " x ", "*": " x "})
# Scripts without blanks between words: Thai, Lao, Myanmar, Khmer; kana; Han. Their runs are cut by the card's words.
_RUNS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3005\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
)
_TOKENS = re.compile(rf"[0-9]+(?:[.,][0-9]+)?|[{_RUNS}]+|[^\W\d_{_RUNS}]+(?:['’][^\W\d_{_RUNS}]+)*")
_IS_RUN = re.compile(rf"[{_RUNS}]")
_HAN_DIGITS = {**{each: place for place, each in enumerate("零一二三四五六七八九")}, "〇": 0, "两": 2, "兩": 2}
_HAN_NUMBER = re.compile(r"[零〇一二三四五六七八九两兩十]+")
_NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "un": 1, "une": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5,
}  # fmt: skip
# After or before a number they say that it is a quantity, and nothing else.
_UNITS = frozenset(
    ("x", "pc", "pcs", "piece", "pieces", "unit", "units", "qty", "fois", "unite", "unites", "个", "個", "件", "支",
     "只", "盒", "瓶", "份", "条", "双", "套", "款", "枚", "個入り")
)  # fmt: skip
_POLITE = frozenset(
    ("please", "pls", "plz", "thanks", "thank", "you", "thx", "for", "me", "in", "size", "colour", "color", "shade",
     "the", "and", "merci", "svp", "stp", "s'il", "vous", "plait", "te", "pour", "moi", "en", "taille", "couleur", "le",
     "la", "et", "请", "謝謝", "谢谢", "给我", "的", "号", "號", "码", "碼", "色", "一下", "吧", "哦", "了", "谢")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """What was understood: so many of each of these deals (one, or all of a bundle)."""

    code: str
    card_id: str
    deal_ids: tuple[str, ...]
    qty: int


@dataclass(frozen=True, slots=True)
class Unclear:
    """A claim that cannot be carried out as it was written."""

    why: Trouble
    code: str = ""
    choices: tuple[str, ...] = ()  # deals that fit equally well
    words: tuple[str, ...] = ()  # what nobody here is called


@dataclass(frozen=True, slots=True)
class _Shade:
    deal_id: str
    names: tuple[tuple[str, ...], ...]  # label and options, each as its words
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Page:
    """One card of the book."""

    code: str
    card_id: str
    is_bundle: bool
    shades: tuple[_Shade, ...]
    vocabulary: frozenset[str]
    noise: frozenset[str]  # politeness and words for pieces that no variant here is called
    longest: int  # letters of the longest word that a run can be cut into


class ClaimBook:
    """The cards of one show by their codes, made plain once. Make a new one when a card or the rules change."""

    def __init__(self, keywords: Iterable[str], cards: Iterable[CardFacts]) -> None:
        plain = {plain_text(keyword).strip() for keyword in keywords}
        # Longest first: 我要 is not 我 followed by a word.
        self._keywords = tuple(sorted((word for word in plain if word), key=lambda word: (-len(word), word)))
        self._pages = {plain_text(card.code): _page(card) for card in cards if card.code}

    def read(self, line: str) -> Claim | Unclear | None:
        """What `line` claims; None where it is no claim."""
        if len(line) > LINE_MAX:
            return None
        text = plain_text(line).strip()
        rest = self._after_keyword(text)
        if rest is None:
            return None
        words = _TOKENS.findall(rest)
        if len(words) > WORDS_MAX or len(rest) > LINE_MAX:
            return None
        place = next((place for place, word in enumerate(words) if word in self._pages), None)
        if place is None:
            return self._without_code(words)
        page = self._pages[words[place]]
        others = words[:place] + words[place + 1 :]
        return _read_page(page, others, self._pages.keys())

    def _after_keyword(self, text: str) -> str | None:
        for keyword in self._keywords:
            if text.startswith(keyword):
                rest = text[len(keyword) :]
                # "soldat" does not begin with "sold"; 要AA does begin with 要.
                if not rest or _IS_RUN.match(keyword[-1]) or not (rest[0].isalpha() or rest[0] == "_"):
                    return rest
        return None

    def _without_code(self, words: Sequence[str]) -> Unclear | None:
        """The keyword alone, or what looks like a code or a number after it: she means to claim, and is told how."""
        if not words or words[0].isdigit() or (is_code(words[0].upper()) and len(words[0]) <= 3):
            return Unclear("no_code", words=tuple(words[:1]))
        return None


def plain_text(text: str) -> str:
    """One width, no case, no optional marks, digits of all scripts as 0-9. Words stay words."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold().translate(_ONE_LETTER))
    kept = "".join(_digit(each) for each in folded if unicodedata.combining(each) not in _OPTIONAL_MARKS)
    return unicodedata.normalize("NFC", kept)


def _digit(letter: str) -> str:
    if letter.isascii():
        return letter
    value = unicodedata.decimal(letter, None)
    return letter if value is None else str(value)


def _page(card: CardFacts) -> _Page:
    shades = []
    for deal in card.deals:
        parts = [part for name in (deal.label, *deal.options) for part in re.split(r"\s*[/|·,、]\s*", plain_text(name))]
        names = dict.fromkeys(tuple(_TOKENS.findall(part.replace(",", "."))) for part in parts)
        named = tuple(name for name in names if name)
        words = {word for name in named for word in name}
        words |= {word[:-1] for word in words if len(word) > 1 and word.endswith("色")}
        # 十号 is also said 10号: a number is the same word in all its spellings.
        words |= {str(number) for word in words if (number := _han_number(word)) is not None}
        shades.append(_Shade(deal.deal_id, named, frozenset(words)))
    vocabulary = frozenset(word for shade in shades for word in shade.words)
    noise = (_POLITE | _UNITS) - vocabulary
    longest = max(map(len, vocabulary | noise))
    return _Page(card.code, card.card_id, card.kind == "bundle", tuple(shades), vocabulary, noise, longest)


# --- one card -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the line: what it is called, which quantity it could be, and whether somebody marked it as one."""

    text: str
    number: int | None = None
    marked: bool = False


def _read_page(page: _Page, raw: Sequence[str], codes: Iterable[str]) -> Claim | Unclear:
    if not page.shades:
        return Unclear("nothing", page.code)
    cut = [word for each in raw for word in _cut(each, page)]
    if len(cut) > WORDS_MAX:
        return Unclear("which", page.code, choices=tuple(shade.deal_id for shade in page.shades))
    words = _marked(cut, page.vocabulary)
    other_codes = set(codes) - page.vocabulary
    if any(word.text in other_codes and word.text != page.code.casefold() for word in words):
        return Unclear("two_cards", page.code)
    words = [word for word in words if word.text in page.vocabulary or word.text != page.code.casefold()]
    readings = list(_readings(words, page))
    found = _best(readings)
    if found is not None:
        return found
    if fitting := _choices(readings):
        return Unclear("which", page.code, choices=fitting)
    strange = tuple(dict.fromkeys(word.text for word in words if not _is_known(word, page)))
    everything = tuple(shade.deal_id for shade in page.shades)
    if strange:
        return Unclear("words", page.code, choices=everything, words=strange)
    # Each word is somebody's, but nobody has them all: "S" and "red", where red is left in M alone.
    return Unclear("which", page.code, choices=_nearest(words, page) or everything)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read the line: this number is the quantity, and these deals have all the other words."""

    claim: Claim | None  # where exactly one deal fits, or a bundle
    deal_ids: tuple[str, ...]
    worth: int  # how plainly the quantity was said


_NO_QUANTITY, _ANY_NUMBER, _LAST_WORD, _MARKED = range(4)


def _readings(words: Sequence[_Word], page: _Page) -> Iterator[_Reading]:
    marked = [place for place, word in enumerate(words) if word.marked]
    if len(marked) > 1:
        return
    for place in marked or _places_of_quantity(words, page):
        left = [word.text for at, word in enumerate(words) if at != place and word.text not in page.noise]
        qty = 1 if place is None else words[place].number
        assert qty is not None
        worth = _worth(place, words)
        if page.is_bundle:
            if not left:
                ids = tuple(shade.deal_id for shade in page.shades)
                yield _Reading(Claim(page.code, page.card_id, ids, qty), (), worth)
            continue
        ids = tuple(shade.deal_id for shade in _fitting(left, page))
        if ids:
            claim = Claim(page.code, page.card_id, ids, qty) if len(ids) == 1 else None
            yield _Reading(claim, ids, worth)


def _places_of_quantity(words: Sequence[_Word], page: _Page) -> list[int | None]:
    """Where the quantity may stand: nowhere, or at a number. What a size is called is a size, unless there is another
    number to be the size, or the same one twice, or the other words are already a variant's whole name."""
    numbers = [place for place, word in enumerate(words) if word.number is not None]
    if len(numbers) > NUMBERS_MAX:
        return []
    sizes = [words[place].text for place in numbers if words[place].text in page.vocabulary]
    may: list[int | None] = [
        place
        for place in numbers
        if words[place].text not in page.vocabulary or len(sizes) > 1 or _is_whole(words, place, page)
    ]
    return may if len(set(sizes)) < len(sizes) else [None, *may]


def _is_whole(words: Sequence[_Word], without: int, page: _Page) -> bool:
    said = {word.text for at, word in enumerate(words) if at != without} - page.noise
    return any({word for name in shade.names for word in name} == said for shade in page.shades)


def _worth(place: int | None, words: Sequence[_Word]) -> int:
    if place is None:
        return _NO_QUANTITY
    if words[place].marked:
        return _MARKED
    return _LAST_WORD if place == len(words) - 1 else _ANY_NUMBER


def _best(readings: Sequence[_Reading]) -> Claim | None:
    """The one reading that stands. A number that is a size is no quantity as long as it picks the same variant; of
    two variants the one stands whose quantity was the line's last word; else none does."""
    single = [reading for reading in readings if reading.claim is not None]
    deals = {reading.claim.deal_ids for reading in single if reading.claim}
    if len(deals) == 1:
        return min(single, key=lambda reading: reading.worth).claim
    last = [reading for reading in single if reading.worth == _LAST_WORD]
    if len(last) == 1 and not any(reading.worth == _NO_QUANTITY for reading in single):
        return last[0].claim
    return None


def _choices(readings: Sequence[_Reading]) -> tuple[str, ...]:
    """What she may have meant: the variants of all readings that pick one, else of the narrowest."""
    single = [reading for reading in readings if reading.claim is not None]
    narrow = single or sorted(readings, key=lambda reading: len(reading.deal_ids))[:1]
    return tuple(dict.fromkeys(deal_id for reading in narrow for deal_id in reading.deal_ids))


def _fitting(words: Sequence[str], page: _Page) -> list[_Shade]:
    """Deals that have every word. One whose whole name was written comes before those that merely contain it."""
    fitting = [shade for shade in page.shades if all(word in shade.words for word in words)]
    if len(fitting) < 2 or not words:
        return fitting
    said = set(words)
    whole = [shade for shade in fitting if {word for name in shade.names for word in name} == said]
    if not whole:
        whole = [shade for shade in fitting if any(set(name) == said for name in shade.names)]
    return whole or fitting


def _nearest(words: Sequence[_Word], page: _Page) -> tuple[str, ...]:
    hits = [sum(word.text in shade.words for word in words) for shade in page.shades]
    most = max(hits)
    return tuple(shade.deal_id for shade, hit in zip(page.shades, hits, strict=True) if hit == most > 0)


def _is_known(word: _Word, page: _Page) -> bool:
    return word.text in page.vocabulary or word.text in page.noise or word.number is not None


def _cut(word: str, page: _Page) -> list[str]:
    """A word as the card knows words: "10,2" is two numbers unless a size is called so; a run of Han, kana or Thai is
    cut by the longest names first."""
    if word[0].isdigit() and ("." in word or "," in word):
        dotted = word.replace(",", ".")
        return [dotted] if dotted in page.vocabulary else re.split("[.,]", word)
    if not _IS_RUN.match(word):
        return [word]
    parts, strange, place = list[str](), "", 0
    while place < len(word):
        found = _longest(word, place, page)
        if found:
            parts += [strange, found] if strange else [found]
            strange, place = "", place + len(found)
        else:
            strange, place = strange + word[place], place + 1
    return [*parts, strange] if strange else parts


def _longest(word: str, place: int, page: _Page) -> str:
    ends = range(min(len(word), place + page.longest), place, -1)
    found = next((word[place:end] for end in ends if word[place:end] in page.vocabulary), "")
    if found:
        return found
    if number := _HAN_NUMBER.match(word, place):
        return number[0]
    return next((word[place:end] for end in ends if word[place:end] in page.noise), "")


def _marked(texts: Sequence[str], vocabulary: frozenset[str]) -> list[_Word]:
    """Numbers with what they could be; one beside a word for pieces is marked as the quantity."""
    words = [_Word(text, _number_of(text)) for text in texts]
    words = [_spelled(word, vocabulary) for word in words]
    for place, word in enumerate(words):
        if (
            word.text in _UNITS
            and word.text not in vocabulary
            and (at := _counted(words, place, vocabulary)) is not None
        ):
            words[at] = _Word(words[at].text, words[at].number, True)
    return words


def _counted(words: Sequence[_Word], unit: int, vocabulary: frozenset[str]) -> int | None:
    """Which number the word for pieces at `unit` belongs to. Between two numbers, "10 x 2", to the one that is no size;
    where both are, or none is, to neither."""
    beside = [unit - 1, unit + 1] if words[unit].text in ("x", "qty") else [unit - 1]
    numbers = [at for at in beside if 0 <= at < len(words) and words[at].number is not None]
    if len(numbers) > 1:
        numbers = [at for at in numbers if words[at].text not in vocabulary]
    return numbers[0] if len(numbers) == 1 else None


def _spelled(word: _Word, vocabulary: frozenset[str]) -> _Word:
    """十 is "10" where the card knows a 10 and no 十."""
    plain = str(word.number)
    return _Word(plain, word.number) if word.text not in vocabulary and word.number is not None else word


def _number_of(text: str) -> int | None:
    if text.isdigit() and text.isascii():
        return int(text) if len(text) <= QTY_DIGITS_MAX else None
    return _NUMBER_WORDS.get(text, _han_number(text))


def _han_number(text: str) -> int | None:
    """一 … 九十九, 〇 to 九 in a row, 两 for two; None for anything else."""
    if not _HAN_NUMBER.fullmatch(text) or len(text) > 4:
        return None
    if "十" not in text:
        return int("".join(str(_HAN_DIGITS[each]) for each in text))
    tens, _, ones = text.partition("十")
    if len(tens) > 1 or len(ones) > 1:
        return None
    return (_HAN_DIGITS[tens] if tens else 1) * 10 + (_HAN_DIGITS[ones] if ones else 0)
