"""One viewer in one show, through breaks: the socket client for programs.

What arrives: the server's messages. What leaves: each of them once and in order, over as many connections as it takes.
After a break it comes back by full jitter, or when the server said, and resumes from its last (epoch, offset); requests
that have no answer yet are sent again under their own id. It does not fold messages into a picture of the show.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Literal, cast

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Origin
from websockets.typing import Subprotocol as WireSubprotocol

from livecommerce.client.refusals import refused
from livecommerce.errors import R, Refused
from livecommerce.protocol.codec import MSGPACK, Subprotocol, decode_to_viewer, encode
from livecommerce.protocol.facts import Hold
from livecommerce.protocol.from_viewer import (
    Accept,
    AnyFromViewer,
    Hello,
    Ping,
    Proof,
    Release,
    Reserve,
    Say,
    Token,
    WantLine,
)
from livecommerce.protocol.to_viewer import (
    Answer,
    AnyToViewer,
    Bye,
    Counting,
    Own,
    RefusedMessage,
    Said,
    State,
    Welcome,
)

DELAY_SECONDS_FIRST = 0.5
DELAY_SECONDS_MAX = 15.0
SILENCE_GRACE_SECONDS = 10.0
OPEN_SECONDS_MAX = 10.0


class Closed(Exception):
    """The connection ended for good: `code` and the server's words."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code} {text}")


def return_delay_seconds(tries: int, rand: Callable[[], float] = random.random) -> float:
    """Full jitter: anything up to a doubling cap, so that a crowd spreads by itself. `tries` counts from 0."""
    return rand() * min(DELAY_SECONDS_MAX, DELAY_SECONDS_FIRST * 2.0**tries)


class ShowSocket:
    """`async with ShowSocket(url, token) as socket: async for message in socket: …`

    Iterate to receive: it is the iteration that connects and comes back, so a program always runs it. It ends with
    `Closed` where the server forbids to return, and quietly after `aclose`. `requests` (reserve, release, accept, say)
    may be awaited from other tasks meanwhile; each waits for its answer over any number of breaks, raises `Refused`
    with the server's number, or `Closed`. Cancelling one forgets the answer; what it asked may still happen.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], Awaitable[str]] = "",
        *,
        subprotocol: Subprotocol = MSGPACK,
        device: Literal["phone", "desk"] = "desk",
        invitation: str = "",
        origin: str | None = None,
        ssl: Any = None,
        rand: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url
        self.epoch = ""
        self.offset = 0
        self.tries = 0
        self.connections = 0
        self._token = token
        self._subprotocol = subprotocol
        self._device = device
        self._invitation = invitation
        self._origin = origin
        self._ssl = ssl
        self._random = rand
        self._sleep = sleep
        self._line: ClientConnection | None = None
        self._welcomed = asyncio.Event()
        self._ended = False
        self._return_seconds: float | None = None
        self._silence_seconds_max = 30.0 + SILENCE_GRACE_SECONDS
        self._waiting: dict[str, tuple[AnyFromViewer, asyncio.Future[Any]]] = {}
        self._last_bye: Bye | None = None
        self._hold_tokens: dict[str, str] = {}  # rid → proof of a hold, handed in when the server asks for it
        self._proving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "ShowSocket":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave for good; requests without an answer end with `Closed`."""
        self._ended = True
        self._give_up(Closed(1000, "closed here"))
        if self._line is not None:
            await self._line.close()

    async def drop(self) -> None:
        """Break the connection as a lost network would; the iteration comes back by itself."""
        if self._line is not None:
            self._line.transport.abort()

    # --- receiving --------------------------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[AnyToViewer]:
        while not self._ended:
            try:
                async for message in self._one_line():
                    yield message
            except InvalidStatus as error:
                if error.response.status_code < 500 and error.response.status_code != 429:
                    failed = Closed(error.response.status_code, (error.response.body or b"").decode(errors="replace"))
                    self._ended = True
                    self._give_up(failed)
                    raise failed from None
                self._return_seconds = _retry_after(error)
            except (OSError, TimeoutError, WebSocketException):
                pass
            finally:
                self._line = None
                if not self._ended:  # else it stays set, so that nobody waits for a welcome that never comes
                    self._welcomed.clear()
            if not self._ended:
                await self._wait_to_return()

    async def _wait_to_return(self) -> None:
        jitter = return_delay_seconds(self.tries, self._random)
        delay, self._return_seconds = self._return_seconds, None
        self.tries += 1
        await self._sleep(jitter if delay is None else delay)

    async def _one_line(self) -> AsyncIterator[AnyToViewer]:
        async with connect(
            self.url,
            subprotocols=[WireSubprotocol(self._subprotocol)],
            origin=cast("Origin | None", self._origin),
            ssl=self._ssl,
            compression=None,
            ping_interval=None,
            open_timeout=OPEN_SECONDS_MAX,
            max_size=2**24,
            process_exception=lambda error: error,
        ) as line:
            self._line = line
            self.connections += 1
            self._last_bye = None
            await self._hello(line)
            try:
                while True:
                    async with asyncio.timeout(self._silence_seconds_max):
                        data = await line.recv()
                    for message in self._received(decode_to_viewer(data, self._subprotocol)):
                        yield message
            except WebSocketException:
                self._line_closed(line)

    async def _hello(self, line: ClientConnection) -> None:
        token = await self._token() if callable(self._token) else self._token
        await self._write(line, Hello(self.epoch, self.offset, self._device, token, self._invitation))

    def _line_closed(self, line: ClientConnection) -> None:
        code = line.close_code or 1006
        if self._last_bye is not None and self._last_bye.after_ms is not None:
            self._return_seconds = self._last_bye.after_ms / 1000
        if code >= 4500:
            text = self._last_bye.text if self._last_bye else line.close_reason or ""
            failed = Closed(code, text)
            self._ended = True
            self._give_up(failed)
            raise failed

    def _received(self, message: AnyToViewer) -> list[AnyToViewer]:
        """Keep the position, match answers; what came before is not given out twice."""
        match message:
            case Welcome():
                if not message.recovered:
                    self.epoch, self.offset = message.epoch, message.offset
                self.tries = 0
                self._silence_seconds_max = message.ping_seconds + SILENCE_GRACE_SECONDS
                if not self._welcomed.is_set():  # a second welcome on the same line is only a fresh snapshot
                    self._welcomed.set()
                    self._send_waiting_again()
                self._keep_tokens(message.holds, whole=not message.counting)
                if message.counting:
                    self._prove()
            case State():
                fresh = tuple(event for event in message.events if event.offset > self.offset)
                if not fresh:
                    return []
                if message.epoch != self.epoch or fresh[0].offset != self.offset + 1:
                    self._return_seconds = 0.0
                    if self._line is not None:
                        self._line.transport.abort()
                    return []
                self.offset = fresh[-1].offset
                return [State(message.epoch, fresh)]
            case Answer():
                self._keep_tokens((message.hold,))
                self._settle(message.rid, message.hold)
            case Own(hold=Hold() as hold):
                self._keep_tokens((hold,))
            case Counting(on=True):
                self._prove()
            case Said():
                self._settle(message.cid, message)
            case RefusedMessage():
                self._refused(message)
            case Bye():
                self._last_bye = message
        return [message]

    def _keep_tokens(self, holds: Sequence[Hold], *, whole: bool = False) -> None:
        """A hold's token comes with the answer that made it, and in every welcome; it proves nothing after its end."""
        if whole:
            self._hold_tokens.clear()
        for hold in holds:
            if hold.state != "held":
                self._hold_tokens.pop(hold.rid, None)
            elif hold.token:
                self._hold_tokens[hold.rid] = hold.token

    def _prove(self) -> None:
        for token in self._hold_tokens.values():
            task = asyncio.ensure_future(self.send(Proof(token)))
            self._proving.add(task)
            task.add_done_callback(self._proving.discard)

    def _settle(self, re: str, outcome: Any) -> None:
        row = self._waiting.pop(re, None)
        if row is not None and not row[1].done():
            row[1].set_result(outcome)

    def _refused(self, message: RefusedMessage) -> None:
        row = self._waiting.pop(message.re, None)
        if row is not None and not row[1].done():
            row[1].set_exception(refused(message.number, message.text, message.after_ms, dict(message.facts)))

    def _give_up(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, {}
        for _, future in waiting.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever asked may be gone; that is no error of ours
        self._welcomed.set()

    # --- sending ----------------------------------------------------------------------------------------------------

    async def send(self, message: AnyFromViewer) -> None:
        """Send once, after the next welcome; a break loses it. For what needs no answer (ping, react)."""
        await self._welcomed.wait()
        if self._line is not None:
            with contextlib.suppress(WebSocketException, OSError):
                await self._write(self._line, message)

    async def reserve(self, lines: Sequence[tuple[str, int]], *, wait: bool = False, rid: str | None = None) -> Hold:
        """The hold, or `Refused`. The same `rid` again has one effect."""
        wanted = tuple(WantLine(deal_id, qty) for deal_id, qty in lines)
        return cast("Hold", await self._ask(rid or new_rid(), lambda each: Reserve(each, wanted, wait)))

    async def release(self, rid: str) -> Hold:
        return cast("Hold", await self._ask(rid, Release))

    async def accept(self, rid: str) -> Hold:
        return cast("Hold", await self._ask(rid, Accept))

    async def say(self, text: str, kind: Literal["chat", "question", "private"] = "chat") -> Said:
        """The receipt: whether the room sees the line. Raises `Refused`. Not sent again after a break: a line said
        twice is worse than one lost."""
        return cast("Said", await self._ask(new_rid(), lambda cid: Say(cid, text, kind)))

    async def ping(self, at: float = 0.0) -> None:
        await self.send(Ping(at))

    async def renew(self, token: str) -> None:
        """Hand in a renewed token for the same identity, here and for every later connection."""
        self._token = token
        await self.send(Token(token))

    async def _ask(self, re: str, make: Callable[[str], AnyFromViewer]) -> Any:
        await self._welcomed.wait()
        while (asked := self._waiting.get(re)) is not None:
            await asyncio.wait([asked[1]])  # an answer names the rid alone: one question under it at a time
        if self._ended:
            raise Closed(1000, "closed here")
        message = make(re)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        # The waiter is recorded before the question goes out: its answer may come within the same turn.
        self._waiting[re] = (message, future)
        try:
            if self._line is not None:
                with contextlib.suppress(WebSocketException, OSError):
                    await self._write(self._line, message)
            return await future
        finally:
            if self._waiting.get(re, (None, None))[1] is future:
                del self._waiting[re]

    def _send_waiting_again(self) -> None:
        line = self._line
        for re, (message, future) in list(self._waiting.items()):
            if isinstance(message, Say):
                del self._waiting[re]
                if not future.done():
                    future.set_exception(Refused(R.UNAVAILABLE, after_ms=0))
            elif line is not None:
                task = asyncio.ensure_future(self._write(line, message))
                task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _write(self, line: ClientConnection, message: msgspec.Struct) -> None:
        payload = encode(message, self._subprotocol)
        await line.send(payload if self._subprotocol == MSGPACK else payload.decode())


def new_rid() -> str:
    """A request id that nobody else has."""
    return secrets.token_urlsafe(12)


def _retry_after(error: InvalidStatus) -> float | None:
    value = error.response.headers.get("Retry-After", "")
    return float(value) * (0.5 + random.random()) if value.isdigit() else None
