"""What may be said, decided before anybody hears it. Rules in the order in which they win:

    empty → muted → slow mode → banned words and links → said that already → many copies (held for a moderator)

What arrives: one line, who says it, and the time. What leaves: the cleaned text, or `Refused` with the reason and,
where waiting helps, for how long. Hosts and moderators pass all rules but the first. Size was checked by the protocol
and credits by the gateway. It does not know sockets, other processes or SQL.
"""

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from livecommerce.errors import R, Refused

V = TypeVar("V")

REPEAT_SECONDS = 30.0
COPIES_SECONDS = 10.0
COPIES_MAX = 4  # so many different people may say the same long line; the next copy waits for a moderator
COPY_CHARACTERS_MIN = 20  # "hi" and "me!" are not a flood
REMEMBERED_MAX = 5000

# Letters that look like others, as those who get round word lists use them. Small on purpose: NFKC does the rest.
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝзвнкмтгαεοικνρτυχ013457@$€|",
    "aeopcyxijsdhqwzbhkmtraeoiknptuxoieastasel",
)
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad\ufe00-\ufe0f\U000e0000-\U000e007f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SPACES = re.compile(r"\s+")
_NO_LETTER = re.compile(r"[\W_]+")
# Written together any known ending counts; with blanks around the dot only the endings that are no words.
_LINK = re.compile(
    r"(?:https?|ftp)\s*:\s*/\s*/|www\s*\.|\b[\w-]+(?:\s*\.\s*(?:com|net|org)"
    r"|\.(?:io|co|cn|ru|shop|store|xyz|top|info|link|me|app|fr|de|uk|ly|gg|tv))\b",
    re.IGNORECASE,
)
_EXEMPT = ("host", "moderator", "manager", "admin")


def cleaned(text: str) -> str:
    """The line as it is shown: no control or invisible characters, spaces joined. Text stays text, never markup."""
    return _SPACES.sub(" ", _CONTROL.sub("", _INVISIBLE.sub("", unicodedata.normalize("NFC", text)))).strip()


def folded(text: str) -> str:
    """The line as word lists see it: one width, no case, no accents, look-alike letters made plain, letters only."""
    plain = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)).casefold()
    plain = "".join(each for each in plain if not unicodedata.combining(each)).translate(_LOOKALIKES)
    return _NO_LETTER.sub("", plain)


def has_link(text: str) -> bool:
    """True for addresses, also written with blanks around their dots and in other widths."""
    return _LINK.search(unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))) is not None


class Moderation:
    """The rules of one room in this process, and what they remember: at most `REMEMBERED_MAX` people and lines."""

    def __init__(self, banned_words: Iterable[str] = (), slow_seconds: int = 0) -> None:
        self._banned = tuple(word for word in (folded(each) for each in banned_words) if word)
        self.slow_seconds = slow_seconds
        self._spoke: OrderedDict[str, tuple[float, str]] = OrderedDict()  # viewer → when, what
        self._copies: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()  # line → since when, who
        self._muted: dict[str, float] = {}

    def mute(self, viewer_id: str, until_seconds: float) -> None:
        """`viewer_id` may not speak until then; an instant that has passed lifts it."""
        self._muted[viewer_id] = until_seconds

    def check(self, viewer_id: str, role: str, text: str, now_seconds: float, is_claim: bool = False) -> str:
        """The cleaned line. Raises `Refused`; `HELD_BACK` means that a moderator decides. A refusal is not counted
        as having spoken. Many people write the same claim, so copies of one are no flood."""
        line = cleaned(text)
        if not line:
            raise Refused(R.EMPTY)
        if role in _EXEMPT:
            return line
        self._check_muted(viewer_id, now_seconds)
        self._check_slow(viewer_id, now_seconds)
        what = folded(line) or line
        if has_link(line) or any(word in what for word in self._banned):
            raise Refused(R.WORDS)
        self._check_repeat(viewer_id, what, now_seconds)
        _remember(self._spoke, viewer_id, (now_seconds, what))
        if not is_claim:
            self._check_copies(viewer_id, what, now_seconds)
        return line

    def _check_muted(self, viewer_id: str, now_seconds: float) -> None:
        until = self._muted.get(viewer_id)
        if until is None:
            return
        if until <= now_seconds:
            del self._muted[viewer_id]
            return
        raise Refused(R.MUTED, after_ms=round((until - now_seconds) * 1000))

    def _check_slow(self, viewer_id: str, now_seconds: float) -> None:
        spoke = self._spoke.get(viewer_id)
        if spoke and self.slow_seconds and now_seconds - spoke[0] < self.slow_seconds:
            raise Refused(R.SLOW_MODE, after_ms=round((spoke[0] + self.slow_seconds - now_seconds) * 1000))

    def _check_repeat(self, viewer_id: str, what: str, now_seconds: float) -> None:
        spoke = self._spoke.get(viewer_id)
        if spoke and spoke[1] == what and now_seconds - spoke[0] < REPEAT_SECONDS:
            raise Refused(R.REPEATED)

    def _check_copies(self, viewer_id: str, what: str, now_seconds: float) -> None:
        if len(what) < COPY_CHARACTERS_MIN:
            return
        since, people = self._copies.get(what, (now_seconds, set()))
        if now_seconds - since > COPIES_SECONDS:
            since, people = now_seconds, set()
        people.add(viewer_id)
        _remember(self._copies, what, (since, people))
        if len(people) > COPIES_MAX:
            raise Refused(R.HELD_BACK)


def _remember(memory: OrderedDict[str, V], key: str, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED_MAX:
        memory.popitem(last=False)
