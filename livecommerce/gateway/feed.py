"""What whoever sends a show's picture has to do with the show's publisher: begin, push, look, leave.

What arrives: chunks of one container, in order. What leaves: a recording that grows. Used by everybody who sends
without numbering its chunks: RTMP, SRT, a film. It does not know where the bytes come from.
"""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from livecommerce.errors import Refused
from livecommerce.gateway.looking import refuse_over
from livecommerce.protocol.facts import PictureAway
from livecommerce.video.publisher import CHUNK_BYTES_MAX, Publisher

if TYPE_CHECKING:
    from livecommerce.app import Parts

_LOOK_SECONDS = 2.0


class Feed:
    """One sender's. `end` closes it where somebody else takes its place. `leave` always, at the end."""

    def __init__(self, parts: "Parts", show_id: str, end: Callable[[], None]) -> None:
        self.show_id = show_id
        self._parts = parts
        self._end = end
        self._publisher: Publisher | None = None
        self._next = 0
        self._looked_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._publisher is not None

    async def begin(self, mime: str) -> None:
        """Refuses SHOW_OVER, VIDEO_TAKEN, and as `Publisher.begin`."""
        await self.refuse_over()
        publisher = await self._parts.studio.publisher(self.show_id)
        publisher.take_line(self._end)
        self._publisher = publisher
        await self.begin_again(mime)

    async def begin_again(self, mime: str) -> None:
        """The same sender goes on with another container: a new epoch. Refuses as `Publisher.begin`."""
        assert self._publisher is not None, "began again before it began"
        self._next = 0
        try:
            await self._publisher.begin(secrets.token_hex(8), mime, None)
        except Refused:
            await self.leave()
            raise

    async def push(self, data: bytes) -> None:
        """Refuses as `Publisher.push`."""
        assert self._publisher is not None, "pushed before it began"
        for at in range(0, len(data), CHUNK_BYTES_MAX):
            self._next = await self._publisher.push(self._next, data[at : at + CHUNK_BYTES_MAX])

    async def look(self) -> None:
        """Every few seconds: nobody sends on after the end. Refuses SHOW_OVER."""
        now = self._parts.clock.monotonic()
        if now - self._looked_at > _LOOK_SECONDS:
            self._looked_at = now
            await self.refuse_over()

    async def refuse_over(self) -> None:
        """Refuses SHOW_OVER, NOT_FOUND; nothing where the ledger is away."""
        await refuse_over(self._parts.shows, self.show_id)

    async def leave(self, why: PictureAway = "line") -> None:
        """Whoever comes back begins anew, so nobody waits for the rest of this epoch. Calling it twice does nothing.
        `why` the picture is gone: "stopped" where the sender said so."""
        publisher, self._publisher = self._publisher, None
        if publisher is None:
            return
        await publisher.finish(why)
        publisher.leave_line(self._end)
        await self._parts.studio.let_go(self.show_id)
