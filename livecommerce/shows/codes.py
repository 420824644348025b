"""Claim codes: the two letters by which a viewer names a card in a line of chat ("SOLD AA").

What arrives: the codes a show has given so far. What leaves: the next one. A code is never given twice in a show, also
not after its card was taken out: what was said on air must not come to mean something else.
"""

from collections.abc import Iterable

# Without I and O, which are read as digits, and without X, which with another letter is a size (XS, XL, XX).
LETTERS = "ABCDEFGHJKLMNPQRSTUVWYZ"
FIRST_LENGTH = 2


def next_code(given: Iterable[str]) -> str:
    """The code after the last of `given`: AA, AB, … ZZ, AAA. Words that are no code are passed over."""
    last = max((_number(code) for code in given if is_code(code)), default=-1)
    return _code(last + 1)


def is_code(word: str) -> bool:
    """True for what `next_code` can have made."""
    return len(word) >= FIRST_LENGTH and all(letter in LETTERS for letter in word)


def _number(code: str) -> int:
    before = place = 0
    for length, letter in enumerate(code):
        before += len(LETTERS) ** length if length >= FIRST_LENGTH else 0
        place = place * len(LETTERS) + LETTERS.index(letter)
    return before + place


def _code(number: int) -> str:
    length, many = FIRST_LENGTH, len(LETTERS) ** FIRST_LENGTH
    while number >= many:
        number -= many
        length, many = length + 1, many * len(LETTERS)
    letters = ""
    for _ in range(length):
        number, place = divmod(number, len(LETTERS))
        letters = LETTERS[place] + letters
    return letters
