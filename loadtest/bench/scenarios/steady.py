"""A room at an even pace: so many cards and lines of chat a second, and what the viewers heard of them.

For questions about delay, which have no answer where everything goes as fast as it can. Times run from the moment each
was due.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.from_viewer import Say
from loadtest.bench.audience import Audience
from loadtest.bench.lab import LabFailed
from loadtest.bench.sides import Stand
from loadtest.machine import cpu_seconds
from loadtest.marks import marked
from loadtest.wire.frames import masked
from loadtest.wire.receiver import PAYLOAD, Single

_SPEAKERS = 40
_TAG = slice(3, 11)  # after the map's head and the key "t"
_REFUSED = b"\xa7refused"
_LOOK_SECONDS = 0.002


@dataclass(slots=True)
class Played:
    """`cards_us`: delay → viewers. `first_us`, `last_us`: of each card, at the viewer who had it first and last."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    cards_us: Counter[int] = field(default_factory=Counter)
    first_us: list[int] = field(default_factory=list)
    last_us: list[int] = field(default_factory=list)
    lines_read: int = 0

    def ms(self, share: float) -> float:
        """The delay that so great a share of all cards at all viewers stayed within."""
        return weighted(self.cards_us, share) / 1000


def play(
    stand: Stand,
    pids: Iterable[int],
    show_id: str,
    audience: Audience,
    *,
    seconds: float,
    cards_per_second: float = 0.0,
    lines_per_second: float = 0.0,
) -> Played:
    """Until all of it was read by everybody. Raises `LabFailed` where something is lost or refused."""
    return _Room(stand, show_id, audience).play(tuple(pids), seconds, cards_per_second, lines_per_second)


class _Room:
    def __init__(self, stand: Stand, show_id: str, audience: Audience) -> None:
        self._stand, self._show_id, self._audience = stand, show_id, audience
        self._played = Played()
        self._card: Counter[int] = Counter()  # of the one that is being delivered
        self._look_at = 0.0

    def play(self, pids: tuple[int, ...], seconds: float, cards_per_second: float, lines_per_second: float) -> Played:
        audience, played = self._audience, self._played
        audience.heard()  # what came before is not ours
        cards, lines = round(seconds * cards_per_second), round(seconds * lines_per_second)
        began, began_us = time.monotonic(), audience.now_us
        cpu = sum(map(cpu_seconds, pids))
        published = said = 0
        ends = began + seconds
        while (now := time.monotonic()) < ends or published < cards or said < lines:  # late, but all of it
            card_at = began + published / cards_per_second if published < cards else ends
            line_at = began + said / lines_per_second if said < lines else ends
            if now >= card_at and published < cards:
                self._stand.publish(self._show_id, began_us + round((card_at - began) * 1e6))
                published += 1
            elif now >= line_at and said < lines:
                self._say(said)
                said += 1
            else:
                self._hear(audience.listen(max(0.0, min(card_at, line_at, ends, now + _LOOK_SECONDS) - now)))
        played.seconds, played.cpu_seconds = time.monotonic() - began, sum(map(cpu_seconds, pids)) - cpu
        viewers = len(audience)

        def all_read(singles: list[Single]) -> bool:
            self._hear(singles)
            return sum(played.cards_us.values()) >= cards * viewers and played.lines_read >= lines * viewers

        audience.until(all_read, f"{cards} cards and {lines} lines for {viewers} viewers")
        self._stand.settle()
        return played

    def _say(self, number: int) -> None:
        text = marked(f"Does shade {number} suit dry skin?", self._audience.now_us)
        frame = masked(encode(Say(f"cid-{number:06d}-{self._audience.now_us}"[:40], text), MSGPACK))
        self._audience.send(number % min(_SPEAKERS, len(self._audience)), frame)

    def _hear(self, singles: list[Single]) -> None:
        if any(single.kind == PAYLOAD and single.payload[_TAG] == _REFUSED for single in singles):
            raise LabFailed("a line of chat was refused")
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        heard = self._audience.heard()
        self._played.lines_read += heard.lines
        self._played.cards_us.update(heard.cards_us)
        self._card.update(heard.cards_us)
        if sum(self._card.values()) >= len(self._audience):
            self._played.first_us.append(min(self._card))
            self._played.last_us.append(max(self._card))
            self._card.clear()


def weighted(counts: Counter[int], share: float) -> int:
    """The value that so great a share of all counted stays within."""
    wanted, seen = share * sum(counts.values()), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return value
    return 0


def quantile(values: list[int], share: float) -> int:
    return weighted(Counter(values), share)
