"""What may be said, decided before anybody hears it. Rules in the order in which they win:

    empty → muted → members only → slow mode → banned words → links to other pages → said that already
    → too much at once → nearly the same by many (held for a moderator)

What arrives: one line, who says it, and the time. What leaves: the cleaned text, or `Refused` with the reason and,
where waiting helps, for how long. Hosts and moderators pass all rules but the first. Size was checked by the protocol
and credits by the gateway; the merchant's own judge, where there is one, is asked behind these rules
(`gateway/judge.py`). It does not know sockets, other processes or SQL.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from livecommerce.errors import R, Refused
from livecommerce.rooms.copies import Copies, Print, print_of
from livecommerce.rooms.letters import cleaned, letters
from livecommerce.rooms.links import foreign_link
from livecommerce.rooms.words import WordList

REPEAT_SECONDS = 30.0
COPIES_SECONDS = 10.0
COPIES_MAX = 4  # so many different people may say nearly the same long line; the next copy waits for a moderator
# Over all her windows: the credits of one socket let nobody say so much.
FLOOD_LINES, FLOOD_SECONDS = 20, 15.0
REMEMBERED_MAX = 5000

_EXEMPT = ("host", "moderator", "manager", "admin")


@dataclass(frozen=True, slots=True)
class TalkRules:
    """What is set for the whole shop: one object for all rooms of a process, made anew when the merchant changes it."""

    words: WordList = field(default_factory=WordList)
    own_hosts: frozenset[str] = frozenset()  # where links may lead


@dataclass(slots=True)
class _Spoken:
    """What one viewer said last, and when she said how much."""

    at: float
    what: str
    like: Print
    times: deque[float]


class Moderation:
    """The rules of one room in this process, and what they remember: at most `REMEMBERED_MAX` people."""

    def __init__(self, rules: TalkRules | None = None, slow_seconds: int = 0) -> None:
        self.rules = rules or TalkRules()
        self.slow_seconds = slow_seconds
        self.members_only = False
        self._spoke: OrderedDict[str, _Spoken] = OrderedDict()
        self._copies = Copies(COPIES_SECONDS)
        self._muted: dict[str, float] = {}

    def mute(self, viewer_id: str, until_seconds: float, now_seconds: float) -> None:
        """`viewer_id` may not speak until then; an instant that has passed lifts it."""
        self._muted.pop(viewer_id, None)
        if until_seconds > now_seconds:
            self._muted[viewer_id] = until_seconds
        if len(self._muted) > REMEMBERED_MAX:
            self._muted = {who: until for who, until in self._muted.items() if until > now_seconds}

    def check(
        self,
        viewer_id: str,
        role: str,
        text: str,
        now_seconds: float,
        is_claim: bool = False,
        *,
        is_member: bool = False,
        privately: bool = False,
    ) -> str:
        """The cleaned line. Raises `Refused`; `HELD_BACK` means that a moderator decides. A refusal is not counted
        as having spoken. Many people write the same claim, so copies of one are no flood; and what is asked in private
        is heard by nobody who could be flooded, and is open to guests too."""
        line = cleaned(text)
        if not line:
            raise Refused(R.EMPTY)
        if role in _EXEMPT:
            return line
        self.refuse_speaker(viewer_id, now_seconds, is_member=is_member or privately)
        self._check_slow(viewer_id, now_seconds)
        if self.rules.words.find(line):
            raise Refused(R.WORDS)
        if foreign_link(line, self.rules.own_hosts):
            raise Refused(R.LINK)
        what = letters(line) or line
        like = print_of(what)
        self._check_repeat(viewer_id, what, like, now_seconds)
        self._remember(viewer_id, what, like, now_seconds)
        if not is_claim and not privately and self._copies.people(like, viewer_id, now_seconds) > COPIES_MAX:
            raise Refused(R.HELD_BACK)
        return line

    def refuse_speaker(self, viewer_id: str, now_seconds: float, *, is_member: bool) -> None:
        """Raises `Refused(MUTED)` or `Refused(MEMBERS_CHAT)`: whoever she is, not what she says."""
        self._check_muted(viewer_id, now_seconds)
        if self.members_only and not is_member:
            raise Refused(R.MEMBERS_CHAT)

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
        if spoke and self.slow_seconds and now_seconds - spoke.at < self.slow_seconds:
            raise Refused(R.SLOW_MODE, after_ms=round((spoke.at + self.slow_seconds - now_seconds) * 1000))

    def _check_repeat(self, viewer_id: str, what: str, like: Print, now_seconds: float) -> None:
        spoke = self._spoke.get(viewer_id)
        if spoke is None:
            return
        if now_seconds - spoke.at < REPEAT_SECONDS and (spoke.what == what or spoke.like.is_like(like)):
            raise Refused(R.REPEATED)
        while spoke.times and now_seconds - spoke.times[0] >= FLOOD_SECONDS:
            spoke.times.popleft()
        if len(spoke.times) >= FLOOD_LINES:
            raise Refused(R.FLOOD, after_ms=round((spoke.times[0] + FLOOD_SECONDS - now_seconds) * 1000))

    def _remember(self, viewer_id: str, what: str, like: Print, now_seconds: float) -> None:
        spoke = self._spoke.pop(viewer_id, None)
        times = spoke.times if spoke else deque()
        times.append(now_seconds)
        self._spoke[viewer_id] = _Spoken(now_seconds, what, like, times)
        if len(self._spoke) > REMEMBERED_MAX:
            self._spoke.popitem(last=False)
