"""A merchant's list of words that no line may contain, and whether one does.

What arrives: the list as people wrote it, and lines. What leaves: the entry that was found, or "". In a list,

    word          that word, however it is written, and not a part of another ("ass" leaves "class" alone)
    two words     these words in this order
    word*         words that begin so;  *word  that end so;  *word*  that contain it
    # …           a remark

Scripts without blanks between words (Chinese, Japanese, Korean, Thai, …) have no such borders: there an entry is found
anywhere, unless it stands within one of the `allowed` phrases. What people do to get round a list is undone first:
look-alike letters, digits for letters, blanks or signs between letters, stars for letters, letters said many times.
It knows no viewer and no time. Looking a line up costs by the line's length and by how many
lengths entries have, not by how many they are.
"""

import re
from collections.abc import Iterable, Iterator

from livecommerce.rooms.letters import LEET_SIGNS, plain, readings

ENTRY_CHARACTERS_MAX = 60
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SIGNS = re.escape(LEET_SIGNS)
# Letters and digits of scripts with blanks, with marks that are vowels there, and signs that pass for letters.
_TOKEN = re.compile(rf"(?:[^\W_{_UNSPACED}]|[\u0900-\u0dff]|[{_SIGNS}])+")
_CHUNK = re.compile(r"\S+")
_MASKED = re.compile(r"(?<![^\W\d_])[^\W\d_]+(?:[*#•_]+[^\W\d_]+)+|(?<![^\W\d_])[^\W\d_]+[*#•]+(?=\s|$)")
_MASK = re.compile(r"[*#•_]")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_LETTERS_ONLY = re.compile(rf"[\W_]+|[{_SIGNS}]+")
# Where one sentence ends and the next begins, a word does not go on.
_SENTENCE_ENDS = re.compile(r"[。！？!?；;，,、：:\n]+")
_SPELT_MIN = 3  # so many single letters in a row are a word that is spelt out


class WordList:
    """An immutable list, ready to be asked."""

    def __init__(self, entries: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        self._whole: dict[str, str] = {}  # a single word → its entry
        self._phrases: dict[str, list[tuple[tuple[str, ...], str]]] = {}  # the first word → phrases
        self._parts: dict[str, list[tuple[str, bool, bool]]] = {}  # word → (entry, from the beginning, to the end)
        self._by_length: dict[int, list[str]] = {}
        self._anywhere: dict[str, str] = {}
        self._lengths: tuple[int, ...] = ()
        for entry in _entries(entries):
            self._take(entry)
        self._lengths = tuple(sorted({len(word) for word in self._anywhere}))
        self._part_lengths = tuple(sorted({len(part) for part in self._parts}))
        self._spelt_lengths = tuple(
            sorted({len(word) for word in (*self._whole, *self._parts) if len(word) >= _SPELT_MIN})
        )
        self._allowed = tuple(sorted({_joined(each) for each in _entries(allowed)} - {""}, key=len, reverse=True))
        self._allowed_words = frozenset(token for each in _entries(allowed) for token in _tokens(plain(each)))

    def __len__(self) -> int:
        parts, phrases = sum(map(len, self._parts.values())), sum(map(len, self._phrases.values()))
        return len(self._whole) + len(self._anywhere) + parts + phrases

    def find(self, line: str) -> str:
        """The entry that `line` contains, or ""."""
        if not len(self):
            return ""
        text = plain(line)
        found = self._find_anywhere(text) if self._lengths and _HAS_UNSPACED.search(text) else ""
        return found or self._find_words(text)

    # --- making ---------------------------------------------------------------------------------------------------

    def _take(self, entry: str) -> None:
        bare = plain(entry.strip("*"))
        if _HAS_UNSPACED.search(bare):
            if word := _joined(bare):
                self._anywhere[word] = entry
            return
        words = tuple(_read_once(token) for token in _tokens(bare))
        if not words:
            return
        if len(words) > 1:
            self._phrases.setdefault(words[0], []).append((words, entry))
        elif entry[:1] == "*" or entry[-1:] == "*":
            self._parts.setdefault(words[0], []).append((entry, entry[:1] != "*", entry[-1:] != "*"))
        else:
            self._whole[words[0]] = entry
            self._by_length.setdefault(len(words[0]), []).append(words[0])

    # --- asking ---------------------------------------------------------------------------------------------------

    def _find_anywhere(self, text: str) -> str:
        for sentence in _SENTENCE_ENDS.split(text):
            run = _joined(sentence)
            for phrase in self._allowed:
                run = run.replace(phrase, "\0")
            for start in range(len(run)):
                for length in self._lengths:
                    found = self._anywhere.get(run[start : start + length])
                    if found and _stands_alone(run, start, start + length):
                        return found
        return ""

    def _find_words(self, text: str) -> str:
        tokens = _tokens(text)
        for candidate in dict.fromkeys(self._candidates(text, tokens)):
            for word in _forms(candidate):
                if found := self._word(word):
                    return found
        return self._find_spelt(tokens) or self._find_masked(text) or self._find_phrase(tokens)

    def _candidates(self, text: str, tokens: list[str]) -> Iterator[str]:
        yield from (token for token in tokens if token not in self._allowed_words)
        for chunk in _CHUNK.findall(text):
            joined = "".join(_tokens(chunk))
            if len(joined) < len(chunk) and joined not in self._allowed_words and not _HAS_UNSPACED.search(chunk):
                yield joined

    def _word(self, word: str) -> str:
        if found := self._whole.get(word, ""):
            return found
        size = len(word)
        for length in self._part_lengths:
            for start in range(size - length + 1):
                for entry, from_beginning, to_end in self._parts.get(word[start : start + length], ()):
                    if (not from_beginning or not start) and (not to_end or start + length == size):
                        return entry
        return ""

    def _find_spelt(self, tokens: list[str]) -> str:
        """A word that was spelt out, "s h i t", whatever single letters stand before and behind it."""
        if not self._spelt_lengths:
            return ""
        for run in _spelt(tokens):
            for form in _forms(run):
                for start in range(len(form)):
                    for length in self._spelt_lengths:
                        word = form[start : start + length]
                        if found := self._whole.get(word, ""):
                            return found
                        if parts := self._parts.get(word):
                            return parts[0][0]
        return ""

    def _find_masked(self, text: str) -> str:
        for masked in _MASKED.findall(text):
            shape = re.compile(re.sub(r"(?:[*#•_])", ".", masked))  # only letters stand beside the signs
            if len(_MASK.findall(masked)) * 2 > len(masked):
                continue
            for word in self._by_length.get(len(masked), ()):
                if shape.fullmatch(word):
                    return self._whole[word]
        return ""

    def _find_phrase(self, tokens: list[str]) -> str:
        if not self._phrases:
            return ""
        read = [_read_once(token) for token in tokens]
        for place, first in enumerate(read):
            for words, entry in self._phrases.get(first, ()):
                if tuple(read[place : place + len(words)]) == words:
                    return entry
        return ""


def lines_of(text: str) -> tuple[str, ...]:
    """The entries of a list that was written into one field, one to a line or by comma."""
    return tuple(_entries(re.split(r"[\n,，、;；]", text)))


def _entries(written: Iterable[str]) -> Iterator[str]:
    for each in written:
        entry = " ".join(each.partition("#")[0].split())[:ENTRY_CHARACTERS_MAX]
        if entry.strip("* "):
            yield entry


def _tokens(text: str) -> list[str]:
    """The words of plain text, signs that end one taken for what they are ("great!" is no "greati")."""
    found = (each.strip("!¡+|€£¢") for each in _TOKEN.findall(text))
    return [token for token in found if any(map(str.isalpha, token))]


def _joined(text: str) -> str:
    return _LETTERS_ONLY.sub("", plain(text))


def _read_once(token: str) -> str:
    """A token of a list or of a phrase as one word."""
    return readings(token)[-1]


def _spelt(tokens: list[str]) -> Iterator[str]:
    """Runs of single letters that are long enough to be spelt."""
    run: list[str] = []
    for token in [*tokens, ""]:
        if len(token) == 1:
            run.append(token)
            continue
        if len(run) >= _SPELT_MIN:
            yield "".join(run)
        run = []


def _forms(token: str) -> Iterator[str]:
    for word in readings(token):
        yield word
        if _LONG_RUN.search(word):  # "soooo" is "so" or "soo"
            yield _LONG_RUN.sub(r"\1", word)
            yield _LONG_RUN.sub(r"\1\1", word)


def _stands_alone(run: str, start: int, end: int) -> bool:
    """Where an entry of a script without blanks begins or ends in Latin letters, those end there too ("加v")."""
    before, after = run[start - 1 : start], run[end : end + 1]
    return not (
        (before.isascii() and before.isalnum() and run[start].isascii())
        or (after.isascii() and after.isalnum() and run[end - 1].isascii())
    )
