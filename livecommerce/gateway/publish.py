"""The socket on which a camera sends: a page of ours, or any program that speaks the same few messages.

    camera:  {"type":"begin","epoch":"…","mime":"video/webm;codecs=h264,opus","t0_ms":…}   a recorder has started
             <binary: chunk number in 4 bytes, when it was made in 8 (a double, ms of the server's clock; 0: no
             word of it), both big-endian; then the chunk>
             {"type":"finish"}                                                            it has stopped
             {"type":"token","token":"…"}                                                  a fresh pass, when asked for
    server:  {"type":"ready","next":0}        send from this chunk on
             {"type":"ack","next":17}         everything before is with us; keep what is not until then
             {"type":"health",…}              every second
             {"type":"renew"}                 the pass of this line runs out in a minute
             {"type":"refused","number":…}    what cannot be; `again`: begin a new epoch, else stop

What arrives: one WebSocket of a member of staff whose scope the show is in. What leaves: chunks for the show's
publisher. A line that breaks leaves its publisher waiting for the next; a camera that comes back while its old line
still seems alive names its epoch, and takes its place. It does not know containers or playlists.
"""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket, WebSocketDisconnect

from livecommerce.errors import Close, R, Refused
from livecommerce.gateway.admission import tokens_in
from livecommerce.gateway.door import Admitted
from livecommerce.gateway.looking import refuse_over
from livecommerce.video.publisher import Health, Publisher

if TYPE_CHECKING:
    from livecommerce.app import Parts

log = structlog.get_logger(__name__)

SUBPROTOCOL = "livecommerce.camera.v1"
_ROLES = ("host", "manager", "admin")
_HEALTH_SECONDS = 1.0
_RENEW_BEFORE_MS = 60_000
_ASKED_AGAIN_MS = 5_000
HEAD = struct.Struct(">Id")
_Short = Annotated[str, msgspec.Meta(max_length=120)]


class Begin(msgspec.Struct, frozen=True, tag="begin", forbid_unknown_fields=True):
    epoch: Annotated[str, msgspec.Meta(min_length=8, max_length=40)]
    mime: _Short
    t0_ms: float | None = None


class Finish(msgspec.Struct, frozen=True, tag="finish", forbid_unknown_fields=True):
    """The recorder has stopped; another may begin."""


class Renewed(msgspec.Struct, frozen=True, tag="token", forbid_unknown_fields=True):
    token: Annotated[str, msgspec.Meta(max_length=4096)]


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    """Nothing else: the camera knows how."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    next: int


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    next: int


class HealthTold(msgspec.Struct, frozen=True, tag="health"):
    health: Health


class RefusedTold(msgspec.Struct, frozen=True, tag="refused"):
    number: int
    word: str
    text: str
    again: bool
    after_ms: int | None = None


_decode = msgspec.json.Decoder(Begin | Finish | Renewed).decode
_Told = Ready | Ack | HealthTold | Renew | RefusedTold


def publish_endpoint(parts: "Parts") -> Callable[[WebSocket], Awaitable[None]]:
    """The endpoint over these parts."""

    async def serve(socket: WebSocket) -> None:
        offered = [each.strip() for each in socket.headers.get("sec-websocket-protocol", "").split(",")]
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        line = _Line(parts, socket, tokens_in(offered))
        try:
            await line.run()
        except Refused as refused:
            await line.hang_up(refused)
        except WebSocketDisconnect:
            pass

    return serve


class _Line:
    """One camera's connection, from its proof of who it is to its end."""

    _publisher: Publisher  # the show's, as soon as it has proved who it is

    def __init__(self, parts: "Parts", socket: WebSocket, token: str) -> None:
        self._parts = parts
        self._socket = socket
        self._token = token
        self._show_id: str = socket.path_params["show_id"]
        self._until_ms = 0
        self._asked_to_renew = False
        self._over = False
        self._mine = False  # this line speaks for the encoder
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the camera goes. Raises `Refused` where it may not be here, `WebSocketDisconnect` where it left."""
        self._until_ms = (await self._prove()).until_ms
        studio = self._parts.studio
        self._publisher = await studio.publisher(self._show_id)
        telling = asyncio.create_task(self._tell_health(), name="camera-health")
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message.get("code", 1006))
                if self._closing is not None:
                    return  # its camera has come back on another line
                if self._parts.clock.now_ms() >= self._until_ms:
                    await self._prove_again()
                if self._over:
                    await self._publisher.finish()
                    raise Refused(R.SHOW_OVER)
                await self._answer(message.get("bytes"), message.get("text"))
        finally:
            telling.cancel()
            if self._publisher.leave_line(self._replaced):
                self._publisher.lost()
            await studio.let_go(self._show_id)
            if self._closing is not None:
                await asyncio.gather(self._closing, return_exceptions=True)

    def _replaced(self) -> None:
        """Its camera has come back on another line before we noticed that this one is dead."""
        self._mine = False
        self._closing = asyncio.create_task(self._socket.close(Close.RESYNC, "another line"), name="camera-replaced")

    async def _prove(self) -> Admitted:
        """By cookie the session is asked again and again; a short token must be a fresh one by then."""
        headers = self._socket.headers
        admitted = await self._parts.door.verify_socket(
            self._token, headers.get("cookie", ""), headers.get("origin", ""), self._show_id, headers.get("host", "")
        )
        if admitted.role not in _ROLES:
            raise Refused(R.FORBIDDEN)
        await refuse_over(self._parts.shows, self._show_id)
        return admitted

    async def _prove_again(self) -> None:
        """Where the ledger is away nobody can say who may film: whoever was let in is asked again a little later."""
        try:
            self._until_ms = (await self._prove()).until_ms
            return
        except Refused as refused:
            if refused.why not in (R.BUSY, R.UNAVAILABLE):
                raise
        except (SQLAlchemyError, OSError) as error:
            log.warning("camera_not_proved_again", show_id=self._show_id, error=repr(error))
        self._until_ms = max(self._until_ms, self._parts.clock.now_ms() + _ASKED_AGAIN_MS)

    async def _answer(self, data: bytes | None, text: str | None) -> None:
        try:
            if data is not None:
                if len(data) <= HEAD.size:
                    raise Refused(R.MALFORMED, expected=f"{HEAD.size} bytes of number and time, and a chunk")
                if not self._mine:
                    raise Refused(R.MALFORMED, expected="an epoch that has begun")
                number, made_ms = HEAD.unpack_from(data)
                await self._send(Ack(await self._publisher.push(number, data[HEAD.size :], made_ms or None)))
            elif text is not None:
                await self._obey(text)
        except Refused as refused:
            row = refused.why.value
            await self._send(RefusedTold(row.number, row.word, refused.text, row.again, refused.after_ms))

    async def _obey(self, text: str) -> None:
        try:
            wish = _decode(text)
        except msgspec.DecodeError as error:
            raise Refused(R.MALFORMED, expected=str(error)[:200]) from None
        if isinstance(wish, Begin):
            if not self._mine:
                # The one from the beginning may be over: another line that left has let the show go.
                self._publisher = await self._parts.studio.publisher(self._show_id)
                self._publisher.take_line(self._replaced, wish.epoch)
                self._mine = True
            await self._send(Ready(await self._publisher.begin(wish.epoch, wish.mime, wish.t0_ms)))
        elif isinstance(wish, Renewed):
            self._token, self._asked_to_renew = wish.token, False
            await self._prove_again()
        elif self._mine:
            await self._publisher.finish()

    async def _tell_health(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await self._parts.clock.sleep(_HEALTH_SECONDS)
                await self._send(HealthTold(self._publisher.health))
                self._over = await self._is_over()
                await self._ask_to_renew()

    async def _ask_to_renew(self) -> None:
        if self._token and not self._asked_to_renew and self._left_ms() < _RENEW_BEFORE_MS:
            self._asked_to_renew = True
            await self._send(Renew())

    def _left_ms(self) -> int:
        return self._until_ms - self._parts.clock.now_ms()

    async def _is_over(self) -> bool:
        """Nobody films on after the end. Where the ledger is away, nobody knows, and filming goes on."""
        try:
            await refuse_over(self._parts.shows, self._show_id)
        except Refused as refused:
            return refused.why is R.SHOW_OVER
        return False

    async def _send(self, told: _Told) -> None:
        await self._socket.send_text(msgspec.json.encode(told).decode())

    async def hang_up(self, refused: Refused) -> None:
        """Say why, then close: for good, or to come back."""
        row = refused.why.value
        log.info("camera_refused", show_id=self._show_id, word=row.word)
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._send(RefusedTold(row.number, row.word, refused.text, row.again, refused.after_ms))
            await self._socket.close(Close.FULL if row.again else Close.FORBIDDEN, row.word)
