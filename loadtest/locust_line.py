"""One connection of one viewer with blocking calls: for Locust, whose gevent makes sockets and locks cooperative.

What arrives: the address of a show, and messages to send. What leaves: the server's messages in order, or `LineEnded`
with the server's number and words. It does not come back after a break and knows nothing of Locust.

The WebSocket rules come from `websockets`' own protocol object, which does no input or output; the asyncio client of
this project cannot run under gevent.
"""

import contextlib
import socket
import ssl
import threading
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from livecommerce.errors import Close
from livecommerce.protocol.codec import MSGPACK, decode_to_viewer, encode
from livecommerce.protocol.from_viewer import AnyFromViewer, Hello
from livecommerce.protocol.to_viewer import AnyToViewer, Bye, Welcome

OPEN_SECONDS_MAX = 10.0
SILENCE_GRACE_SECONDS = 10.0
_READ_BYTES = 65_536
_MESSAGE_BYTES_MAX = 2**24
_NAMES = {int(code): code.name.lower() for code in Close}


class LineEnded(Exception):
    """The connection could not be made, or is over. `number` is a close code of the server, an HTTP status of its door,
    or 0 where the network broke; `come_back` says whether trying again can help, `after_seconds` when."""

    def __init__(self, number: int, words: str, *, come_back: bool, after_seconds: float | None = None) -> None:
        self.number = number
        self.words = words
        self.come_back = come_back
        self.after_seconds = after_seconds
        super().__init__(f"{number} {words}" if number else words)


class Line:
    """An open connection. `receive` belongs to one caller, `send` may be called by several. End it with `close`."""

    def __init__(self, base_url: str, show_id: str) -> None:
        """Connect and shake hands. Raises `LineEnded`; then nothing is left open."""
        address = urlsplit(base_url)
        scheme = "wss" if address.scheme == "https" else "ws"
        self._protocol = ClientProtocol(
            parse_uri(f"{scheme}://{address.netloc}/live/{show_id}"),
            subprotocols=[Subprotocol(MSGPACK)],
            max_size=_MESSAGE_BYTES_MAX,
        )
        self._writing = threading.Lock()
        self._bye: Bye | None = None
        try:
            self._plug = _connected(address.hostname or "", address.port, address.scheme == "https")
        except OSError as error:
            raise _broken(error) from None
        try:
            self._early = self._shake_hands()
        except BaseException:
            self._plug.close()
            raise

    def enter(self, hello: Hello) -> Welcome:
        """Say hello and return the welcome. From then on a line that stays silent for longer than the server pings is
        taken for broken. Raises `LineEnded`, with the server's close code where it does not let her in."""
        self.send(hello)
        while True:
            heard = self.receive()
            for number, (message, _) in enumerate(heard):
                if isinstance(message, Welcome):
                    self._early = heard[number + 1 :]
                    self._plug.settimeout(message.ping_seconds + SILENCE_GRACE_SECONDS)
                    return message

    def send(self, message: AnyFromViewer) -> None:
        """Raises `LineEnded` where the line is known to be broken."""
        self._write(encode(message, MSGPACK))

    def receive(self) -> list[tuple[AnyToViewer, int]]:
        """The next messages, each with its size in bytes; waits for one. Raises `LineEnded` once the line is over and
        everything before its end was given out."""
        if self._early:
            early, self._early = self._early, []
            return early
        while True:
            messages = self._taken()
            self._write(None)  # pongs, and the answer to a close
            if messages:
                return messages
            if self._protocol.close_expected() or self._protocol.state.name == "CLOSED":
                self._end()
            try:
                data = self._plug.recv(_READ_BYTES)
            except OSError as error:
                raise _broken(error) from None
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()

    def close(self) -> None:
        """Say goodbye where the line still stands, and let go of it."""
        with contextlib.suppress(LineEnded, Exception):
            self._protocol.send_close(1000)
            self._write(None)
        self.drop()

    def drop(self) -> None:
        """Break the line as a lost network would."""
        with contextlib.suppress(OSError):
            self._plug.shutdown(socket.SHUT_RDWR)
        self._plug.close()

    def _shake_hands(self) -> list[tuple[AnyToViewer, int]]:
        self._protocol.send_request(self._protocol.connect())
        self._write(None)
        while self._protocol.handshake_exc is None and self._protocol.state.name == "CONNECTING":
            try:
                data = self._plug.recv(_READ_BYTES)
            except OSError as error:
                raise _broken(error) from None
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
        if self._protocol.handshake_exc is not None:
            raise _refused(self._protocol.handshake_exc)
        return self._taken()

    def _taken(self) -> list[tuple[AnyToViewer, int]]:
        messages = []
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                message = _decoded(bytes(event.data))
                if isinstance(message, Bye):
                    self._bye = message
                messages.append((message, len(event.data)))
        return messages

    def _write(self, payload: bytes | None) -> None:
        # Two greenlets must not mix the bytes of their frames where a send has to wait.
        with self._writing:
            try:
                if payload is not None:
                    self._protocol.send_binary(payload)
                data = b"".join(self._protocol.data_to_send())
                if data:
                    self._plug.sendall(data)
            except OSError as error:
                raise _broken(error) from None
            except Exception as error:  # the protocol's own: the line was closed meanwhile
                raise LineEnded(0, f"The line is closed: {error}", come_back=True) from None

    def _end(self) -> None:
        code, reason = self._protocol.close_code or 1006, self._protocol.close_reason or ""
        bye, words = self._bye, f"{_NAMES.get(code, 'closed')}: {self._bye.text if self._bye else reason}".rstrip(": ")
        after_seconds = None if bye is None or bye.after_ms is None else bye.after_ms / 1000
        raise LineEnded(code, words, come_back=code < Close.TOO_LATE, after_seconds=after_seconds)


@lru_cache(maxsize=64)
def _decoded(payload: bytes) -> AnyToViewer:
    """What goes to the whole room comes as the same bytes to every viewer of the process: one of them decodes it."""
    return decode_to_viewer(payload, MSGPACK)


def _connected(host: str, port: int | None, tls: bool) -> socket.socket:
    plug = socket.create_connection((host, port or (443 if tls else 80)), OPEN_SECONDS_MAX)
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return plug
    try:
        return ssl.create_default_context().wrap_socket(plug, server_hostname=host)
    except BaseException:
        plug.close()
        raise


def _broken(error: OSError) -> LineEnded:
    if isinstance(error, TimeoutError):
        return LineEnded(0, "The server said nothing for too long.", come_back=True)
    return LineEnded(0, f"The network broke: {error.strerror or error}", come_back=True)


class _Error(msgspec.Struct):
    number: int
    text: str = ""


def _refused(error: Exception) -> LineEnded:
    """The door's answer to the handshake, in the server's words where it said some."""
    if not isinstance(error, InvalidStatus):
        return LineEnded(0, f"This does not answer like a show's socket: {error}", come_back=True)
    status, body = error.response.status_code, error.response.body or b""
    try:
        told = msgspec.json.decode(body, type=_Error)
        words = f"{told.number} {told.text}"
    except msgspec.DecodeError:
        words = body.decode(errors="replace").strip()[:200] or error.response.reason_phrase
    after = error.response.headers.get("Retry-After", "")
    return LineEnded(
        status, words, come_back=status in (429, 503), after_seconds=float(after) if after.isdigit() else None
    )
