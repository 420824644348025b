"""One viewer's socket: uvicorn's WebSocket class for `/live/{show_id}`; every other path is handed to uvicorn's own.

What arrives: bytes of one connection. What leaves: typed messages for the hub, in order; bytes on the wire. The
handshake is `websockets`' sans-I/O protocol, which is dropped after it; frames are read by `reading` and built by
`frames`. It does not know shows; what a message means is the hub's business.

The contract with uvicorn (undocumented, held by tests/contract/test_uvicorn.py): the class is called with `config`,
`server_state` and `app_state`, then `connection_made`, then `data_received` with the whole request, and only after that
`transport.set_protocol`. So nothing but the 101 answer is written before that: it would still be counted by the old
protocol. `shutdown` is called on every connection at once when the server stops.
"""

import asyncio
import functools
import logging
import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import WebSocketException
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol as WireSubprotocol

from livecommerce.errors import Close, R, Refused
from livecommerce.gateway.addresses import client_address
from livecommerce.gateway.admission import Credits, tokens_in
from livecommerce.gateway.asked import Asked
from livecommerce.gateway.frames import PING, close_frame, frame_of, pong_of, short_message
from livecommerce.gateway.measures import DISCONNECTS, QUEUE, REJECTED
from livecommerce.gateway.outbox import Lane, Outbox
from livecommerce.gateway.reading import Broken, Reader
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.codec import JSON, MSGPACK, SUBPROTOCOLS, Subprotocol, decode_from_viewer, encode
from livecommerce.protocol.facts import Role
from livecommerce.protocol.to_viewer import Bye, RefusedMessage, ToViewer

if TYPE_CHECKING:
    from livecommerce.gateway.hall import Hall
    from livecommerce.gateway.hub import Hub
    from livecommerce.rooms.room import HoldNews

MESSAGE_BYTES_MAX = 4096
STRIKES_MAX = 20  # messages refused for their shape or their number, before we hang up
CLOSE_SECONDS_MAX = 5.0  # for the other side to answer our close
EXPIRY_WARNING_SECONDS = 30.0
ENTER_SECONDS_MAX = 20.0
_PATH = re.compile(rb"^GET /live/([A-Za-z0-9_-]{1,40})(?:\?[^ ]*)? HTTP/1\.1\r\n")
# The sans-I/O protocol logs every frame at DEBUG; chat has no place in a log.
_quiet = logging.getLogger("livecommerce.websockets")
_quiet.setLevel(logging.WARNING)

Stage = Literal["asking", "elsewhere", "opening", "greeting", "entering", "seated", "closing", "lost"]
# asking: the request is not read yet. elsewhere: uvicorn's own class has it. opening: 101 is written, the transport is
# not ours yet. greeting: waits for `hello`. entering: credentials and snapshot are being fetched. seated: hears all.
_MOVES: dict[Stage, tuple[Stage, ...]] = {
    "asking": ("elsewhere", "opening", "closing", "lost"),
    "elsewhere": ("lost",),
    "opening": ("greeting", "closing", "lost"),
    "greeting": ("entering", "closing", "lost"),
    "entering": ("seated", "closing", "lost"),
    "seated": ("closing", "lost"),
    "closing": ("lost",),
    "lost": (),
}


_HEARING: tuple[Stage, ...] = ("seated", "greeting", "entering")
# A member of an enumeration, looked up by its name, costs as much as a call: here for each message.
_OWN = Lane.OWN
_BINARY_BIT = int(Opcode.BINARY)  # text has the other one
_TOLD = (str, int, type(None))  # what a refusal's facts may be, on the wire


def _choose(_: ServerProtocol, offered: Any) -> WireSubprotocol | None:
    return next((WireSubprotocol(ours) for ours in SUBPROTOCOLS if ours in offered), None)


class _Elsewhere(WebSocketsSansIOProtocol):
    """Uvicorn's own class, for the other sockets of this port."""

    on_lost: Callable[[], None]

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated and not self.handshake_complete:
            # A client has to wait for the answer to its handshake; the class fails over one that does not.
            self.transport.abort()
            return
        try:
            super().data_received(data)
        except WebSocketException:  # it answers a second broken text in one segment on a line that it has closed
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.on_lost()


class LiveSocket(asyncio.Protocol):
    """One connection. `make_protocol(hub)` gives the class that uvicorn calls."""

    # fmt: off
    __slots__ = (
        "__weakref__", "_app_state", "_config", "_heard", "_inner", "_ping_at", "_reader", "_server_state",
        "_strikes", "_too_early", "_transport", "_warned", "address", "address_mark", "admitted", "asked", "cookie",
        "credits", "early", "hall", "host", "identity", "in_flight", "origin", "outbox", "renewing", "role", "show_id",
        "stage", "stream", "subprotocol", "token", "until_ms", "wheel_slot",
    )
    # fmt: on

    hub: ClassVar["Hub"]

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._inner: WebSocketsSansIOProtocol | None = None
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connection_made
        self._reader = Reader(MESSAGE_BYTES_MAX)
        self._too_early = b""  # what came before the transport was ours
        self._heard = True
        self._ping_at = 0.0
        self._strikes = 0
        self._warned = False
        self.stage: Stage = "asking"
        self.wheel_slot = -1
        self.show_id = ""
        self.address = ""
        self.address_mark = ""  # what limits per address count by
        self.admitted = False
        self.subprotocol: Subprotocol = JSON
        self.stream: Literal["phone", "desk"] = "phone"
        # Until `hello` is answered: how this connection can prove who it is.
        self.token = self.cookie = self.origin = self.host = ""
        self.outbox: Outbox = None  # type: ignore[assignment]  # until opened
        self.credits: Credits | None = None
        self.identity: ViewerIdentity | None = None
        self.role: Role = "viewer"
        self.until_ms = 0
        self.hall: Hall | None = None
        self.early: list[ToViewer] | None = None  # own messages that came before the welcome
        self.in_flight = 0
        self.asked: Asked[HoldNews] | None = None  # made when first needed
        self.renewing: asyncio.Future[None] | None = None  # a renewed pass that is being looked at

    def _move(self, stage: Stage) -> None:
        assert stage in _MOVES[self.stage], f"a socket does not go from {self.stage} to {stage}"
        self.stage = stage

    # --- asyncio's side ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server_state.connections.add(cast("Any", self))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.outbox is not None:
            self.outbox.forget()
        self._server_state.connections.discard(cast("Any", self))
        if self.stage == "elsewhere":
            assert self._inner is not None
            self._inner.connection_lost(exc)
        self._move("lost")
        self.hub.lost(self)

    def eof_received(self) -> None:
        """The other side will send no more: asyncio closes the transport after this."""

    def pause_writing(self) -> None:
        if self.outbox is not None:
            self.outbox.paused()

    def resume_writing(self) -> None:
        if self.outbox is not None:
            self.outbox.resumed()

    def data_received(self, data: bytes) -> None:
        if self.stage == "asking":
            self._read_request(data)
            return
        if self.stage == "elsewhere":
            assert self._inner is not None
            self._inner.data_received(data)
            return
        if self.stage == "opening":
            self._too_early += data
            return
        self._heard = True
        reader = self._reader
        # The whole reader costs as much as all the rest of a short message; it is passed by only where it holds no
        # half of anything.
        if reader.is_between and (payload := short_message(data)) is not None:
            if self.stage in _HEARING:
                self._read_message(data[0] & _BINARY_BIT != 0, payload)
            return
        for heard in reader.feed(data):
            if isinstance(heard, Broken):
                self._end(heard.code, heard.why, self._stop_writing)
            else:
                self._read(*heard)

    def _end(self, code: int | None, why: str, then: Callable[[], None]) -> None:
        """Say the last word of a connection whose end the other side brought about."""
        if self.stage == "closing":
            self._hang_up()
            return
        DISCONNECTS.labels(_label_of(code)).inc()
        self._move("closing")
        self._reader.end()
        self.hub.wheel.put(self, CLOSE_SECONDS_MAX)
        self.outbox.end_with(close_frame(code, why), then)

    def _hang_up(self) -> None:
        """Both have said goodbye. The server hangs up first: the side that does so keeps the port busy for a while,
        and that should be nobody's phone."""
        self._reader.end()
        self._transport.close()

    def _stop_writing(self) -> None:
        """Whoever breaks the rules may have sent more that we never read; to close over it would reset the connection,
        and our reason could be lost with it. So what still comes is read past, for `CLOSE_SECONDS_MAX`."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    # --- the handshake ----------------------------------------------------------------------------------------------

    def _read_request(self, data: bytes) -> None:
        wire = ServerProtocol(select_subprotocol=_choose, max_size=MESSAGE_BYTES_MAX, logger=_quiet)
        wire.receive_data(data)
        request = next((event for event in wire.events_received() if isinstance(event, Request)), None)
        if request is not None:
            path = _PATH.match(data)
            if path is None:  # read here first all the same: uvicorn's class fails over a request that cannot be read
                self._hand_over(wire, request, data)
                return
            self.show_id = path[1].decode()
            wire.send_response(self._answer(wire, request))
        answer = b"".join(wire.data_to_send())
        if not answer:  # uvicorn took it for a request, and a WebSocket's must be simpler: no body, for one
            REJECTED.labels("handshake").inc()
            answer = _rejection(wire, Refused(R.MALFORMED, expected="a WebSocket handshake")).serialize()
        self._transport.write(answer)
        if wire.state is not OPEN:
            self._transport.close()
            return
        self._move("opening")
        asyncio.get_running_loop().call_soon(self._opened)

    def _answer(self, wire: ServerProtocol, request: Request) -> Response:
        response = wire.accept(request)
        if response.status_code != 101:
            REJECTED.labels("handshake").inc()
            return response
        try:
            self._admit(request)
        except Refused as refused:
            REJECTED.labels(refused.why.value.word).inc()
            return _rejection(wire, refused)
        self.subprotocol = cast("Subprotocol", wire.subprotocol or JSON)
        return response

    def _admit(self, request: Request) -> None:
        headers = request.headers
        offered = [each.strip() for row in headers.get_all("Sec-WebSocket-Protocol") for each in row.split(",")]
        if offered and not any(ours in offered for ours in SUBPROTOCOLS):
            raise Refused(R.MALFORMED, expected=f"the subprotocol {MSGPACK} or {JSON}")
        self.token = tokens_in(offered)
        self.cookie = ", ".join(headers.get_all("Cookie"))
        self.origin = ", ".join(headers.get_all("Origin"))
        self.host = ", ".join(headers.get_all("Host"))
        self.address = self._address_of(request)
        self.hub.admit(self)

    def _address_of(self, request: Request) -> str:
        peer = self._transport.get_extra_info("peername")
        # Only what `client_address` looks at: all headers, encoded again, cost a twentieth of a join.
        forwarded = request.headers.get_all("X-Forwarded-For")
        return client_address(
            [(b"x-forwarded-for", value.encode("latin-1", "replace")) for value in forwarded],
            str(peer[0]) if isinstance(peer, tuple) and peer else "",
            self.hub.settings,
        )

    def _hand_over(self, wire: ServerProtocol, request: Request, data: bytes) -> None:
        """Another's socket, which takes a place here like any: the same caps, the same bucket."""
        address = self._address_of(request)
        try:
            self.hub.admission.enter(address, self.hub.clock.monotonic())
        except Refused as refused:
            REJECTED.labels(refused.why.value.word).inc()
            self._transport.write(_rejection(wire, refused).serialize())
            self._transport.close()
            return
        self._move("elsewhere")
        self._server_state.connections.discard(cast("Any", self))
        inner = _Elsewhere(self._config, self._server_state, self._app_state)
        inner.on_lost = functools.partial(self.hub.admission.leave, address)
        self._inner = inner
        inner.connection_made(self._transport)
        inner.data_received(data)
        asyncio.get_running_loop().call_soon(self._pass_transport, inner)

    def _pass_transport(self, inner: WebSocketsSansIOProtocol) -> None:
        if self.stage == "elsewhere":
            self._transport.set_protocol(inner)

    def _opened(self) -> None:
        if self.stage != "opening":
            return
        self.outbox = Outbox(self._transport, self, self.hub.settings.outbox_bytes_max)
        self.outbox.open()
        self._move("greeting")
        self.hub.is_stranger(self)
        self.hub.wheel.put(self, self.hub.settings.hello_seconds)
        if too_early := self._too_early:
            self._too_early = b""
            self.data_received(too_early)

    # --- frames in --------------------------------------------------------------------------------------------------

    def _read(self, opcode: Opcode, data: bytes) -> None:
        if opcode is Opcode.CLOSE:
            self._end(int.from_bytes(data[:2], "big") if data else None, "", self._hang_up)
        elif self.stage not in _HEARING:
            return
        elif opcode is Opcode.PING or opcode is Opcode.PONG:
            self._read_control(opcode, data)
        else:
            self._read_message(opcode is Opcode.BINARY, data)

    def _read_control(self, opcode: Opcode, data: bytes) -> None:
        if self.credits is None:
            self.credits = Credits()
        try:
            self.credits.take("control", self.hub.clock.monotonic())
        except Refused:
            self._strike()
        else:
            if opcode is Opcode.PING:
                self.outbox.send(pong_of(data), Lane.OWN)

    def _read_message(self, is_binary: bool, data: bytes) -> None:
        if is_binary != (self.subprotocol == MSGPACK):
            kind = "binary" if self.subprotocol == MSGPACK else "text"
            self.refuse("message", Refused(R.MALFORMED, expected=f"{kind} messages in {self.subprotocol}"), strike=True)
            return
        try:
            message = decode_from_viewer(data, self.subprotocol)
        except Refused as refused:
            self.refuse(_named(data, self.subprotocol), refused, strike=True)
            return
        self.hub.received(self, message)

    # --- messages out -----------------------------------------------------------------------------------------------

    def send(self, message: msgspec.Struct) -> None:
        """One message for this viewer alone."""
        self.outbox.send(frame_of(encode(message, self.subprotocol), self.subprotocol), _OWN)

    def tell(self, message: msgspec.Struct) -> None:
        """`send`, to one who has not left meanwhile."""
        if self.stage == "seated":
            self.send(message)

    def refuse(self, re: str, refused: Refused, *, strike: bool = False) -> None:
        """Say no. `strike` counts towards hanging up on someone who sends what is no message, again and again."""
        row = refused.row
        facts = {key: value for key, value in refused.facts.items() if isinstance(value, _TOLD)}
        self.send(RefusedMessage(re, row.number, row.word, refused.text, row.again, refused.after_ms, facts))
        if strike:
            self._strike()

    def _strike(self) -> None:
        self._strikes += 1
        if self._strikes >= STRIKES_MAX:
            self.close(Close.BROKE_RULES, "Too many messages that could not be taken.")

    def close(self, code: Close, text: str, after_ms: int | None = None) -> None:
        """Say goodbye with a reason and close. Calling it again, or on a socket that closes, does nothing."""
        if self.stage not in ("greeting", "entering", "seated"):
            return
        self._move("closing")
        DISCONNECTS.labels(str(int(code))).inc()
        bye = Bye(int(code), text, after_ms if code.come_back else None)
        farewell = frame_of(encode(bye, self.subprotocol), self.subprotocol)
        self.outbox.end_with(farewell + close_frame(int(code), text))
        self.hub.wheel.put(self, CLOSE_SECONDS_MAX)

    def give_way(self) -> None:
        """Others need the place of one who has not said who it is: nobody waits here for the answer to our close."""
        self.hub.is_no_stranger(self)
        if self.stage == "closing":
            self._transport.abort()
            return
        self.close(Close.FULL, "Too many are waiting to come in.", after_ms=random.randint(1000, 5000))
        self._hang_up()

    def cut(self) -> None:
        """Break the connection, without a word."""
        self._transport.abort()

    def on_too_slow(self) -> None:
        self.close(Close.SLOW, "Your connection is too slow for this room.", after_ms=random.randint(500, 3000))

    def on_free(self, needs_snapshot: bool, needs_levels: bool) -> None:
        if self.hall is not None and self.stage == "seated":
            self.hall.on_free(self, needs_snapshot, needs_levels)

    # --- stages -----------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """`hello` came: its answer is being prepared."""
        self._move("entering")
        self.hub.is_no_stranger(self)
        self.hub.wheel.put(self, ENTER_SECONDS_MAX)

    def seat(self, now_seconds: float) -> None:
        """`welcome` is on its way. The first ping comes at a random moment, so that a storm of joins is not followed
        by a storm of pings."""
        self._move("seated")
        self._ping_at = now_seconds + random.uniform(0.2, 1.0) * self.hub.settings.ping_seconds
        self.hub.wheel.put(self, self._ping_at - now_seconds)

    def renewed(self, until_ms: int) -> None:
        self.until_ms = until_ms
        self._warned = False

    def look(self, now_seconds: float) -> float | None:
        """The wheel's call: deadlines of each stage, pings, and the end of the token."""
        if self.stage in ("greeting", "entering"):
            if self.stage == "greeting":
                self.close(Close.TOO_LATE, "No valid hello came in time.")
            else:
                self.close(Close.RESYNC, "The shop is busy. Come back in a moment.", random.randint(1000, 5000))
            return None
        if self.stage == "closing":
            self._transport.abort()
            return None
        if self.stage != "seated":
            return None
        return self._look_at_seat(now_seconds)

    def _look_at_seat(self, now_seconds: float) -> float | None:
        left_seconds = (self.until_ms - self.hub.clock.now_ms()) / 1000
        if left_seconds <= 0:
            self.close(Close.TOKEN_EXPIRED, "Your pass ran out.", after_ms=random.randint(0, 2000))
            return None
        if left_seconds <= EXPIRY_WARNING_SECONDS and not self._warned:
            self._warned = True
            self.refuse("token", Refused(R.TOKEN_EXPIRED, after_ms=round(left_seconds * 1000)))
        if now_seconds >= self._ping_at:
            if not self._heard:
                self.close(Close.IDLE, "No sign of life came.", after_ms=random.randint(0, 2000))
                return None
            self._heard = False
            QUEUE.observe(self.outbox.waiting_bytes)
            self._ping_at = now_seconds + self.hub.settings.ping_seconds
            self.outbox.send(PING, Lane.OWN)
        until_warning = left_seconds - (0 if self._warned else EXPIRY_WARNING_SECONDS)
        return min(self._ping_at - now_seconds, max(1.0, until_warning))

    # --- uvicorn's side ---------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """The server stops: the hub sends everybody away in batches, this one among them."""
        if self.stage in ("greeting", "entering", "seated"):
            self.hub.drain_soon(self)
        else:
            self._transport.close()


def _rejection(wire: ServerProtocol, refused: Refused) -> Response:
    row = refused.why.value
    response = wire.reject(row.status, f"{row.number} {row.word}: {refused.text}\n")
    if refused.after_ms is not None:
        response.headers["Retry-After"] = str(max(1, -(-refused.after_ms // 1000)))
    return response


def _label_of(code: int | None) -> str:
    """A code that the other side chose, for the metrics: what it may choose must not become thousands of labels."""
    return "none" if code is None else str(code) if code < 3000 else "other"


_kind_of_msgpack = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_kind_of_json = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _named(data: bytes, subprotocol: Subprotocol) -> str:
    """What a message that could not be taken calls itself: its rid, cid or type, so that the page can match it."""
    try:
        if subprotocol == MSGPACK:
            fields = _kind_of_msgpack.decode(data)
            texts = {key: msgspec.msgpack.decode(fields[key]) for key in ("rid", "cid", "t") if key in fields}
        else:
            fields = _kind_of_json.decode(data)
            texts = {key: msgspec.json.decode(fields[key]) for key in ("rid", "cid", "t") if key in fields}
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "message"
    return next((text[:40] for text in texts.values() if isinstance(text, str) and text), "message")


def make_protocol(hub: "Hub") -> type[LiveSocket]:
    """The class for `uvicorn.Config(ws=…)`: `LiveSocket` bound to one hub."""
    return type("BoundLiveSocket", (LiveSocket,), {"__slots__": (), "hub": hub})
