"""Where OBS and other encoders connect: RTMP on a port of its own, with a key for each show.

What arrives: connections of strangers. What leaves: FLV for the publisher of the show whose key was right; everybody
else is refused before a picture is taken, and hears why. It does not know RTMP's bytes (`video/rtmp.py`) or containers.
Several web processes listen on the same port; whichever gets the connection publishes.
"""

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING

import structlog

from livecommerce.errors import R, Refused
from livecommerce.video.publisher import CHUNK_BYTES_MAX, Publisher
from livecommerce.video.remux import FLV_MIME
from livecommerce.video.rtmp import FLV_HEADER, BadRtmp, Ended, Event, Publish, RtmpReceiver, Tag

if TYPE_CHECKING:
    from livecommerce.app import Parts

log = structlog.get_logger(__name__)

CONNECTIONS_MAX = 100
_READ_BYTES = 65_536
# For the handshake, the key, and any silence after it.
_SILENCE_SECONDS_MAX = 15.0
_LOOK_SECONDS = 2.0


class Encoders:
    """The listener of one process."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen. Returns the port. Raises `OSError` where it is taken."""
        self._server = await asyncio.start_server(self._accept, host, port, reuse_port=True)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def aclose(self) -> None:
        """End all connections: encoders come back by themselves, to another process."""
        if self._server is not None:
            self._server.close()
        for line in list(self._lines):
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        if len(self._lines) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._lines.add(line)
        try:
            await _Encoder(self._parts, reader, writer).run()
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # cancelled by `aclose` alone; asyncio's own callback takes it for an error where it goes further
        except BadRtmp as error:
            log.info("encoder_refused", why=str(error))
        finally:
            self._lines.discard(line)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class _Encoder:
    """One connection, from the handshake to its end."""

    def __init__(self, parts: "Parts", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._parts = parts
        self._reader = reader
        self._writer = writer
        self._receiver = RtmpReceiver()
        self._publisher: Publisher | None = None
        self._show_id = ""
        self._next = 0
        self._ended = False
        self._looked_at = 0.0

    async def run(self) -> None:
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS_MAX):
                    data = await self._reader.read(_READ_BYTES)
                if not data:
                    return
                tags = bytearray()
                for event in self._receiver.feed(data):
                    tags += await self._take(event)
                self._writer.write(self._receiver.outgoing())
                await self._writer.drain()
                if self._publisher is not None:
                    await self._push(bytes(tags))
                    if self._ended:
                        return
                    await self._look()
                elif self._show_id:
                    return  # refused; it has been told
        except Refused as refused:
            log.info("encoder_stopped", show_id=self._show_id, why=refused.text)
        finally:
            await self._leave()

    async def _take(self, event: Event) -> bytes:
        if isinstance(event, Tag):
            return event.data
        if isinstance(event, Publish):
            try:
                await self._begin(event.key)
            except Refused as refused:
                self._receiver.refuse(refused.text)
            else:
                self._receiver.accept()
        elif isinstance(event, Ended):
            self._ended = True
        return b""

    async def _begin(self, key: str) -> None:
        """Refuses FORBIDDEN for a wrong key, SHOW_OVER, VIDEO_TAKEN, and as `Publisher.begin`."""
        studio = self._parts.studio
        show_id = studio.show_of_key(key)
        self._show_id = show_id or "-"
        if not show_id:
            raise Refused(R.FORBIDDEN)
        await self._refuse_over()
        publisher = await studio.publisher(show_id)
        publisher.take_line(self._hang_up)
        self._publisher = publisher
        try:
            await publisher.begin(secrets.token_hex(8), FLV_MIME, None)
        except Refused:
            await self._leave()
            raise
        await self._push(FLV_HEADER)
        log.info("encoder_began", show_id=show_id)

    async def _push(self, data: bytes) -> None:
        assert self._publisher is not None
        for at in range(0, len(data), CHUNK_BYTES_MAX):
            self._next = await self._publisher.push(self._next, data[at : at + CHUNK_BYTES_MAX])

    async def _look(self) -> None:
        now = self._parts.clock.monotonic()
        if now - self._looked_at > _LOOK_SECONDS:
            self._looked_at = now
            await self._refuse_over()

    async def _refuse_over(self) -> None:
        if (await self._parts.shows.facts(self._show_id)).status in ("ended", "cancelled"):
            raise Refused(R.SHOW_OVER)

    def _hang_up(self) -> None:
        """Nobody takes an encoder's place: its epochs have no name that another could know."""
        self._writer.close()

    async def _leave(self) -> None:
        """An encoder that comes back begins anew, so nobody waits for the rest of this epoch."""
        publisher, self._publisher = self._publisher, None
        if publisher is None:
            return
        await publisher.finish("stopped" if self._ended else "line")
        publisher.leave_line(self._hang_up)
        await self._parts.studio.let_go(self._show_id)
