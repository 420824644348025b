"""Where OBS and other encoders connect: RTMP on a port of its own, with a key for each show.

What arrives: connections of strangers. What leaves: FLV for the publisher of the show whose key was right; everybody
else is refused before a picture is taken, and hears why. It does not know RTMP's bytes (`video/rtmp.py`) or containers.
Several web processes listen on the same port; whichever gets the connection publishes.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from livecommerce.errors import R, Refused
from livecommerce.gateway.feed import Feed
from livecommerce.video import flv
from livecommerce.video.adapters.contract import MediaRequest
from livecommerce.video.remux import FLV_MIME
from livecommerce.video.rtmp import BadRtmp, Ended, Event, Publish, RtmpReceiver, Tag

if TYPE_CHECKING:
    from livecommerce.app import Parts

log = structlog.get_logger(__name__)

CONNECTIONS_MAX = 100
_READ_BYTES = 65_536
# For the handshake and the key together, and for any silence after them.
_SILENCE_SECONDS_MAX = 15.0


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
        self._feed: Feed | None = None
        self._descriptions = flv.Descriptions()
        self._tags = bytearray()  # taken and not pushed yet
        self._answered = False
        self._ended = False

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + _SILENCE_SECONDS_MAX
        try:
            while True:
                async with asyncio.timeout_at(until):
                    data = await self._reader.read(_READ_BYTES)
                if not data:
                    return
                for event in self._receiver.feed(data):
                    await self._take(event)
                self._writer.write(self._receiver.outgoing())
                async with asyncio.timeout_at(until):
                    await self._writer.drain()
                if self._feed is not None:
                    # Renewed by encoders with a key alone: a stranger's bytes, one by one, keep no place for ever.
                    until = clock() + _SILENCE_SECONDS_MAX
                    await self._push(self._feed)
                    if self._ended:
                        return
                    await self._feed.look()
                elif self._answered:
                    return  # refused; it has been told
        except Refused as refused:
            log.info("encoder_stopped", show_id=self._feed.show_id if self._feed else "", why=refused.text)
        finally:
            if self._feed is not None:
                await self._feed.leave("stopped" if self._ended else "line")

    async def _take(self, event: Event) -> None:
        if isinstance(event, Tag):
            assert self._feed is not None, "a tag before its key was accepted"
            if self._descriptions.changed_by(event.data):
                await self._begin_again(self._feed, event.data)
            self._tags += event.data
        elif isinstance(event, Publish):
            self._answered = True
            try:
                await self._begin(event.key)
            except Refused as refused:
                self._receiver.refuse(refused.text)
            else:
                self._receiver.accept()
        elif isinstance(event, Ended):
            self._ended = True

    async def _push(self, feed: Feed) -> None:
        await feed.push(bytes(self._tags))
        self._tags.clear()

    async def _begin_again(self, feed: Feed, tag: bytes) -> None:
        """Another size or another sound from `tag` on: what came before it belongs to the epoch that ends here."""
        await self._push(feed)
        await feed.begin_again(FLV_MIME)
        self._tags += self._descriptions.before(tag)
        log.info("encoder_changed", show_id=feed.show_id)

    async def _begin(self, key: str) -> None:
        """Refuses NOT_FOUND for a wrong key, and as `Feed.begin`."""
        show_id = key.partition(".")[0]
        if not await self._parts.adapters.named("own").authorize(MediaRequest("publish", show_id, key)):
            raise Refused(R.NOT_FOUND, what="stream key")
        # Nobody takes an encoder's place: its epochs have no name that another could know.
        feed = Feed(self._parts, show_id, self._writer.close)
        await feed.begin(FLV_MIME)
        self._feed = feed
        await feed.push(flv.HEADER)
        log.info("encoder_began", show_id=show_id)
