"""The triage of a loud room: what moderators have to decide, a few items a minute, each in one pair of hands.

What arrives: lines that were held, questions, and moderators who take items, give them back or are done with them. What
leaves: items, in which lines that say the same, or questions about one product, are one. It stands in Redis, because
moderators sit on several processes: whoever takes an item has it under a lease, and one who leaves, or whose process
dies, has it no more. It decides nothing about a line; that is a command (`settle`).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgpack
import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.protocol.facts import TriageCount
from livecommerce.reservations import keys

ITEMS_A_MINUTE_MAX = 20
HAND_MAX = 3  # what one moderator has before her at a time
LEASE_SECONDS = 45  # renewed while she is in the room
WAITING_MAX = 500
PASSED_SECONDS = 60  # what she put away goes to others meanwhile; where there are none, she gets it again
COPIES_KEPT_MAX = 200  # lines of one item that an action reaches; the count goes on
SHARED_MIN = 6  # groups of letters, of the eight that a line is found by

_SCRIPT = (Path(__file__).parent / "lua" / "triage.lua").read_text()
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class TriageLine(msgspec.Struct, frozen=True, array_like=True):
    """One line of an item. `shown` says that the room saw it before it was noticed."""

    line_id: str
    viewer_id: str
    name: str
    text: str
    shown: bool = False


class TriageItem(msgspec.Struct, frozen=True):
    """One decision to be made. `holder` is the account that has it in hand, "" while it waits."""

    id: str
    kind: Literal["held", "question"]
    since: int
    count: int
    lines: tuple[TriageLine, ...]
    why: str  # the word of the refusal, or what the merchant's own judge said
    card: str = ""
    title: str = ""  # of the product that the questions are about
    holder: str = ""


class Triage:
    """The queues of all shows over one Redis. Every method raises `Refused(BUSY)` while Redis is away."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock

    async def hold(
        self, show_id: str, lines: Sequence[TriageLine], why: str, sketch: Sequence[int], digits: str = ""
    ) -> bool:
        """A line that waits for a moderator, the first of `lines`; the others are copies that were shown. Lines with
        nearly the same sketch and the same digits are one item. False where too many wait already: the line stands in
        the show log."""
        groups = [f"l{_digest(digits)}:{group}" for group in sketch] or [f"t{_digest(lines[0].text)}"]
        return await self._offer(show_id, {"kind": "held", "why": why, "card": "", "title": ""}, lines, groups)

    async def ask(self, show_id: str, question: TriageLine, card_id: str, title: str) -> bool:
        """A question; those about one product are one item. Those that come while it is in hand are another: who
        answers has read what she answers."""
        parts = {"kind": "question", "why": "", "card": card_id, "title": title}
        return await self._offer(show_id, parts, (question,), [f"q{card_id}"])

    async def take(self, show_id: str, account_id: str) -> list[TriageItem]:
        """What this moderator has in hand, filled up with what waits, the most urgent first."""
        packed: list[bytes] = await self._call(
            show_id, "take", account_id, HAND_MAX, LEASE_SECONDS * 1000, ITEMS_A_MINUTE_MAX
        )
        return [_item(each, account_id) for each in packed]

    async def renew(self, show_id: str, account_ids: Sequence[str]) -> None:
        """They are still here: what they have in hand stays theirs."""
        if account_ids:
            await self._call(show_id, "renew", LEASE_SECONDS * 1000, *account_ids)

    async def give_back(self, show_id: str, account_id: str, item_id: str = "") -> int:
        """One item, or all that she has in hand, to whoever comes next; how many that were. One that is named does
        not come back to her for `PASSED_SECONDS`."""
        return int(await self._call(show_id, "back", account_id, item_id, PASSED_SECONDS * 1000))

    async def in_hand(self, show_id: str, account_id: str, item_id: str) -> TriageItem:
        """The item, for the one who decides it. Refuses NOT_FOUND (decided already), ITEM_TAKEN (in other hands).
        One that nobody has in hand may be decided by anybody."""
        seen: list[bytes] = await self._call(show_id, "see", item_id)
        if not seen:
            raise Refused(R.NOT_FOUND, what="item")
        item = _item(seen[0], seen[1].decode())
        if item.holder not in ("", account_id):
            raise Refused(R.ITEM_TAKEN)
        return item

    async def done(self, show_id: str, item: TriageItem) -> None:
        """It is decided as it was read. What joined it since waits again; what says the same later is a new item."""
        await self._call(show_id, "done", item.id, item.count, *(line.line_id for line in item.lines))

    async def closed(self, show_id: str, question_id: str) -> bool:
        """A question needs nobody any more. True where no other was in its item, which is gone then; one in hand stays
        as it is until it is decided or given back."""
        return bool(await self._call(show_id, "closed", question_id))

    async def count(self, show_id: str) -> TriageCount:
        waiting, in_hand = await self._call(show_id, "count")
        return TriageCount(int(waiting), int(in_hand))

    async def _offer(
        self, show_id: str, parts: dict[str, Any], lines: Sequence[TriageLine], groups: Sequence[str]
    ) -> bool:
        record = {**parts, "lines": [msgspec.to_builtins(line) for line in lines]}
        packed = msgpack.packb(record, use_bin_type=False)
        found = await self._call(
            show_id, "offer", new_id("tri"), WAITING_MAX, COPIES_KEPT_MAX, SHARED_MIN, packed, *groups
        )
        return bool(found)

    async def _call(self, show_id: str, verb: str, *arguments: Any) -> Any:
        names = keys.triage(show_id)
        values = [*names, verb, self._clock.now_ms(), *arguments]
        try:
            return await self._evaluate(len(names), values)
        except (RedisError, OSError) as error:
            raise Refused(R.BUSY, after_ms=1000) from error

    async def _evaluate(self, count: int, values: list[Any]) -> Any:
        try:
            return await self._redis.evalsha(_SHA, count, *values)
        except NoScriptError:
            return await self._redis.eval(_SCRIPT, count, *values)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _item(packed: bytes, holder: str) -> TriageItem:
    record = msgpack.unpackb(packed, raw=False, unicode_errors="surrogateescape") | {"holder": holder}
    if isinstance(record.get("groups"), dict):  # an empty table of Lua's has no kind
        record["groups"] = []
    return msgspec.convert(record, TriageItem, strict=False)
