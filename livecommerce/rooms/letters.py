"""Letters as a reader sees them, whatever code points they were written with: the ground under word lists.

What arrives: text as somebody typed it. What leaves: the text as it is shown (`cleaned`), and forms of it that are only
ever compared: `plain` (one width, one case, no accents, nothing invisible, simplified Chinese), `letters` (of a plain
text only what can be said), and the Latin letters that a word of another script imitates. It knows no list and no rule.

The look-alikes are those pairs of Unicode's confusables that a keyboard or a "fancy text" page gives: the whole table
would also fold words of other languages into each other. NFKC already joins full width, mathematical, circled and
superscript forms.
"""

import re
import unicodedata
from functools import lru_cache

from livecommerce.rooms.simplified import SIMPLIFIED

INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NO_LETTER = re.compile(r"[\W_]+")
_SPACES = re.compile(r"\s+")
# Marks that decorate a letter. Vowel signs of Indian scripts and of Thai are marks too, and are no decoration.
_DECORATION = re.compile(
    r"[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_LATIN_FORMS = str.maketrans(
    {
        "ı": "i", "ȷ": "j", "ɑ": "a", "ɡ": "g", "ɩ": "i", "ɪ": "i", "ʏ": "y", "ʟ": "l", "ɴ": "n", "ʀ": "r", "ʜ": "h",
        "ɢ": "g", "ʙ": "b", "ᴀ": "a", "ᴄ": "c", "ᴅ": "d", "ᴇ": "e", "ꜰ": "f", "ᴊ": "j", "ᴋ": "k", "ᴍ": "m", "ᴏ": "o",
        "ᴘ": "p", "ꜱ": "s", "ᴛ": "t", "ᴜ": "u", "ᴠ": "v", "ᴡ": "w", "ᴢ": "z", "ł": "l", "ø": "o", "đ": "d", "ħ": "h",
        "ŧ": "t", "ƒ": "f", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ɱ": "m", "ƞ": "n", "ŋ": "n", "ƥ": "p", "ʂ": "s", "ƭ": "t",
        "ʋ": "v", "ƴ": "y", "ʐ": "z", "ɇ": "e", "ɨ": "i", "ʉ": "u", "ƀ": "b", "ƶ": "z", "æ": "ae", "œ": "oe", "ß": "ss",
        "þ": "th", "ð": "d", "🅰": "a", "🅱": "b", "🅾": "o", "🅿": "p",
        **{chr(0x1F170 + n): chr(97 + n) for n in range(26)},  # white letters on black squares
        **{chr(0x1F150 + n): chr(97 + n) for n in range(26)},  # … and on black circles
        **{chr(0x1F1E6 + n): chr(97 + n) for n in range(26)},  # regional indicators
    }
)  # fmt: skip

# Letters of other scripts that nobody can tell from a Latin one …
_STRONG = {
    "а": "a", "е": "e", "о": "o", "р": "p", "с": "c", "у": "y", "х": "x", "і": "i", "ј": "j", "ѕ": "s", "ԁ": "d",
    "һ": "h", "ԛ": "q", "ԝ": "w", "ѵ": "v", "ӏ": "l", "ο": "o", "α": "a", "ν": "v", "ρ": "p", "υ": "u", "χ": "x",
    "ι": "i", "ϲ": "c", "օ": "o", "ո": "n", "ս": "u", "ց": "g", "հ": "h", "զ": "q", "ӕ": "ae",
}  # fmt: skip
# … and those that pass for one among Latin letters.
_WEAK = {
    "б": "b", "в": "b", "г": "r", "з": "3", "и": "u", "к": "k", "м": "m", "н": "h", "п": "n", "т": "t", "ш": "w",
    "щ": "w", "ь": "b", "э": "e", "я": "r", "ё": "e", "є": "e", "ғ": "f", "қ": "k", "ү": "y", "ў": "y", "й": "u",
    "β": "b", "γ": "y", "δ": "d", "ε": "e", "η": "n", "κ": "k", "λ": "l", "μ": "m", "π": "n", "σ": "o",
    "τ": "t", "ω": "w",
}  # fmt: skip
_TO_LATIN = str.maketrans({**_STRONG, **_WEAK})
_LATIN = re.compile(r"[a-z]")
_FOREIGN = re.compile(r"[\u0370-\u03ff\u0400-\u052f\u0530-\u058f]")
_UNLIKE_MIN = 3  # a whole word of another script that only looks Latin counts from so many letters on

# Digits and signs that stand for letters; where one stands for two, both are tried.
_LEET = str.maketrans("013457$@€¢£+89|!¡", "oieastsaecltbglii")
_LEET_OTHER = str.maketrans("013457$@€¢£+89|!¡", "oleastsaecltbgill")
LEET_SIGNS = "$@€¢£+|!¡"


def cleaned(text: str) -> str:
    """The line as it is shown: no control or invisible characters, spaces joined. Text stays text, never markup."""
    return unicodedata.normalize("NFC", _SPACES.sub(" ", _CONTROL.sub("", INVISIBLE.sub("", text))).strip())


@lru_cache(maxsize=1024)
def plain(text: str) -> str:
    """`text` for comparing: one width, no case, no accents, nothing invisible, simplified Chinese. Idempotent."""
    if text.isascii():
        return text.lower()
    for _ in range(4):  # a fold may give what another takes further; two turns settle all that is known
        folded = _fold(text)
        if folded == text:
            break
        text = folded
    return text


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).casefold().translate(_LATIN_FORMS)
    text = _DECORATION.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", INVISIBLE.sub("", text)).casefold().translate(SIMPLIFIED)


def letters(text: str) -> str:
    """Of `plain` text the letters and digits alone: two lines that say the same have the same."""
    return _NO_LETTER.sub("", plain(text))


def readings(token: str) -> tuple[str, ...]:
    """What a plain token of letters, digits and signs can be read as: itself, and the Latin word that it imitates.

    Digits are letters only beside letters, so that a price is never a word. A word that is wholly of another script is
    read as Latin only where every letter is a twin of a Latin one: "но" is Russian and no "ho".
    """
    found = [token]
    latin, foreign = bool(_LATIN.search(token)), bool(_FOREIGN.search(token))
    mixed = latin and foreign
    if mixed or (foreign and len(token) >= _UNLIKE_MIN and all(each in _STRONG for each in token if each.isalpha())):
        token = token.translate(_TO_LATIN)
        found.append(token)
        latin = True
    if latin and any(not each.isalpha() for each in token):
        found += [token.translate(_LEET), token.translate(_LEET_OTHER)]
    return tuple(dict.fromkeys(found))
