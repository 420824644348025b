"""The news of a show: its public events in one order for everybody, and words to single people.

What arrives: events that the show log already keeps. What leaves: a message on the show's channel for each, with
dense offsets given by one script, and the recent ones for those who come back after a gap. Beside the events it
carries what has no order of its own: own messages, the moderators' desk, kicks, the host's lines, recent talk.
It does not know what an event means, who is in a room, or SQL.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgpack
import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from livecommerce.errors import Close, R, Refused
from livecommerce.hot_state import shards_channels, transact, with_sharded_channels
from livecommerce.protocol import codec
from livecommerce.protocol.facts import AnyEvent, Line, Stamped
from livecommerce.protocol.to_viewer import Desk, Own
from livecommerce.reservations import keys

T = TypeVar("T")

# About 50 times what a show says in its loudest minute; a client that missed more is better served by a snapshot.
NEWS_MAX = 2000
# What a moderator can still see on a console and act upon.
TALK_MAX = 200
_SCRIPT = (Path(__file__).parent / "lua" / "publish.lua").read_text()
# By whether channels are sharded.
_SCRIPTS = {False: _SCRIPT, True: with_sharded_channels(_SCRIPT)}
_SHAS = {key: hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest() for key, body in _SCRIPTS.items()}


class TalkLine(msgspec.Struct, frozen=True):
    """A line of talk and who said it; `held` is waiting for a moderator and was not shown to the room."""

    line: Line
    viewer_id: str = ""
    held: bool = False


_line_encode = msgspec.msgpack.Encoder().encode
_talk_decode = msgspec.msgpack.Decoder(TalkLine).decode


class News:
    """The news of all shows over one Redis. Every method raises `Refused(BUSY)` while Redis is away.

    A cancelled or failed `publish` may or may not have happened; publishing the same log ids again is safe.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def publish(self, show_id: str, events: Sequence[AnyEvent], at_ms: int) -> int:
        """Give `events` the next offsets, keep them in the news and tell every process. Returns the last offset."""
        rows = [(0, at_ms, codec.event_to_bytes(event)) for event in events]
        _, offset, _ = await self._sequence(show_id, rows)
        return offset

    async def publish_logged(self, show_id: str, rows: Sequence[tuple[int, int, AnyEvent]]) -> tuple[str, list[int]]:
        """Publish rows of the show log, each (log id, at_ms, event) in the order of their ids. (epoch, offsets).

        A row that was published before is not published again and gets the offset it had (0 where the news has
        trimmed it), so that a process that dies between the news and the log is healed by whoever comes next.
        """
        epoch, _, offsets = await self._sequence(show_id, [(i, at, codec.event_to_bytes(e)) for i, at, e in rows])
        return epoch, offsets

    async def position(self, show_id: str) -> tuple[str, int]:
        """(epoch, offset of the last event); a show without news gets its epoch here, with offset 0."""
        epoch, offset = await _or_busy(
            cast("Awaitable[list[bytes | None]]", self.redis.hmget(keys.news_epoch(show_id), ["epoch", "offset"]))
        )
        if epoch is None or offset is None:
            made, last, _ = await self._sequence(show_id, [])
            return made, last
        return epoch.decode(), int(offset)

    async def since(self, show_id: str, epoch: str, offset: int) -> list[Stamped] | None:
        """Every event after `offset`, in order, or None where not all of them can be had: then take a snapshot."""

        def fill(together: Any) -> None:
            together.hmget(keys.news_epoch(show_id), ["epoch", "offset"])
            together.xrange(keys.news(show_id), min=f"{offset + 1}-0")

        (now_epoch, last), entries = await _or_busy(transact(self.redis, keys.news(show_id), fill))
        if now_epoch is None or now_epoch.decode() != epoch or offset > int(last):
            return None
        missed = [_stamped(entry_id, fields) for entry_id, fields in entries]
        return missed if len(missed) == int(last) - offset else None

    async def tell(self, show_id: str, viewer_id: str, own: Own) -> None:
        """One viewer's own message, to all her sockets in this show."""
        await self._send(show_id, ["own", viewer_id, codec.encode(own, codec.MSGPACK)])

    async def tell_desk(self, show_id: str, desk: Desk) -> None:
        """To the hosts and moderators of the show only."""
        await self._send(show_id, ["desk", codec.encode(desk, codec.MSGPACK)])

    async def kick(self, show_id: str, viewer_id: str, code: Close) -> None:
        """Close all sockets of this viewer in this show, on every process."""
        await self._send(show_id, ["kick", viewer_id, int(code)])

    async def mute(self, show_id: str, viewer_id: str, until_ms: int) -> None:
        """Every process refuses her lines until then (UTC ms); an instant that has passed lifts it."""
        await self._send(show_id, ["mute", viewer_id, until_ms])

    async def say(self, show_id: str, line: Line) -> None:
        """A line that every process shows whatever its thinning: a host's announcement, a line let through."""
        await self._send(show_id, ["talk", "host", [_line_encode(line)], 0])
        await self.remember_talk(show_id, [TalkLine(line)])

    async def remember_talk(self, show_id: str, lines: Sequence[TalkLine]) -> None:
        """Keep lines where a moderator's command can find them; the last 200 stay."""
        if not lines:
            return

        def fill(together: Any) -> None:
            together.rpush(keys.recent_talk(show_id), *(_line_encode(line) for line in lines))
            together.ltrim(keys.recent_talk(show_id), -TALK_MAX, -1)

        await _or_busy(transact(self.redis, keys.recent_talk(show_id), fill))

    async def recent_talk(self, show_id: str) -> list[Line]:
        """The lines last shown to the room, oldest first."""
        shown = [talk.line for talk in await self._talk(show_id) if not talk.held]
        return sorted(shown, key=lambda line: line.at_ms)  # one that was shown again stands where it stood

    async def find_talk(self, show_id: str, line_id: str) -> TalkLine | None:
        """A recent line by its id, shown or held."""
        return next((talk for talk in reversed(await self._talk(show_id)) if talk.line.line_id == line_id), None)

    async def authors_of(self, show_id: str, line_ids: Collection[str]) -> dict[str, str]:
        """line id → who said it, of those recent lines that a viewer said."""
        recent = await self._talk(show_id)
        return {one.line.line_id: one.viewer_id for one in recent if one.line.line_id in line_ids and one.viewer_id}

    async def forget_talk(self, show_id: str, line_ids: Collection[str]) -> None:
        """Take lines out of what newcomers are shown; a line that is not there is no error."""
        for raw in await self._raw_talk(show_id):
            if _talk_decode(raw).line.line_id in line_ids:
                await _or_busy(self.redis.lrem(keys.recent_talk(show_id), 0, cast("Any", raw)))

    async def _talk(self, show_id: str) -> list[TalkLine]:
        return [_talk_decode(raw) for raw in await self._raw_talk(show_id)]

    async def _raw_talk(self, show_id: str) -> list[bytes]:
        return await _or_busy(cast("Awaitable[list[bytes]]", self.redis.lrange(keys.recent_talk(show_id), 0, -1)))

    async def _send(self, show_id: str, message: list[Any]) -> None:
        # Raw strings, as the scripts' cmsgpack writes them, so that readers meet one form only.
        packed: bytes = msgpack.packb(message, use_bin_type=False)
        await _or_busy(self.redis.publish(keys.channel(show_id), packed))

    async def _sequence(self, show_id: str, rows: Sequence[tuple[int, int, bytes]]) -> tuple[str, int, list[int]]:
        arguments: list[Any] = [
            keys.news_epoch(show_id), keys.news(show_id), keys.channel(show_id),
            secrets.token_hex(6), NEWS_MAX, *(value for row in rows for value in row),
        ]  # fmt: skip
        epoch, offset, offsets = await _or_busy(self._evaluate(arguments))
        return epoch.decode(), int(offset), [int(each) for each in offsets]

    async def _evaluate(self, arguments: list[Any]) -> list[Any]:
        sharded = await shards_channels(self.redis)
        try:
            return await cast("Awaitable[list[Any]]", self.redis.evalsha(_SHAS[sharded], 3, *arguments))
        except NoScriptError:
            return await cast("Awaitable[list[Any]]", self.redis.eval(_SCRIPTS[sharded], 3, *arguments))


async def _or_busy(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except (RedisError, OSError) as error:
        raise Refused(R.BUSY, after_ms=1000) from error


def _stamped(entry_id: bytes, fields: dict[bytes, bytes]) -> Stamped:
    offset = int(entry_id.partition(b"-")[0])
    return Stamped(offset, int(fields[b"a"]), codec.event_from_bytes(fields[b"e"]))
