"""One connection before its upgrade and between requests: what it may cost us until a request is whole.

What arrives: bytes of strangers. What leaves: the requests that uvicorn's own class makes of them, or a refusal in
words and the end of the connection. Uvicorn bounds neither the size of a head nor the time that a head, a body or the
reading of an answer may take, nor how many connections say nothing at all; a few thousand of those would take every
descriptor that a viewer needs. All deadlines are looks of the hub's one timer wheel.
It does not know what requests are about.

The contract is uvicorn's, as in `socket`: the pinned class is extended, and tests/contract says by what.
"""

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.gateway.measures import REJECTED
from livecommerce.gateway.shared_answers import SharedAnswers

if TYPE_CHECKING:
    from livecommerce.gateway.wheel import Wheel

# What browsers send has 1 to 4 KiB; cookies of neighbours under one domain may add some.
HEAD_BYTES_MAX = 32_768
HEAD_SECONDS_MAX = 10.0  # from its first byte to its end
IDLE_SECONDS_MAX = 30.0  # without a byte, before the first request and after each answer
LOOK_SECONDS = 10.0
# A phone at the edge of a network sends more than this, or nothing.
BODY_BYTES_PER_SECOND_MIN = 1024
# At most 320 KiB each: the body of an endpoint of anybody's, and what uvicorn reads ahead.
BODIES_MAX = 512
STUCK_LOOKS_MAX = 3  # looks at an answer of which not one byte was taken in between
# Requests sent ahead of their answers. One segment has room for 14,000, and each costs 3 KB once it is parsed.
PIPELINE_MAX = 8
_GOODBYE_SECONDS = 5.0  # for our last words to be read

_WORDS = {408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}


class _TooMuch(Exception):
    """More head than anybody needs, or more requests than anybody waits for."""


class HttpLines:
    """All plain connections of one process, and the bound on their number: whoever has waited longest without a whole
    request makes room, so that those who ask are served while others only hold the line."""

    def __init__(self, wheel: "Wheel", clock: Clock, lines_max: int) -> None:
        self.wheel = wheel
        self.clock = clock
        self.shared = SharedAnswers(clock)
        self._lines_max = lines_max
        self._open: set[HttpLine] = set()
        self._waiting: dict[HttpLine, None] = {}  # without a whole request, in the order in which they began to wait
        self._bodies: set[HttpLine] = set()

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, line: "HttpLine") -> bool:
        """Count a line in; False where all others are at work and it has to go."""
        if len(self._open) >= self._lines_max:
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                return False
            oldest.give_way()
        self._open.add(line)
        self.waits(line)
        return True

    def leave(self, line: "HttpLine") -> None:
        """Upgraded or lost."""
        self._open.discard(line)
        self._waiting.pop(line, None)
        self._bodies.discard(line)
        self.shared.forget(line)
        self.wheel.drop(line)

    def waits(self, line: "HttpLine") -> None:
        self._waiting.pop(line, None)
        self._waiting[line] = None

    def asks(self, line: "HttpLine") -> None:
        """A whole head has come."""
        self._waiting.pop(line, None)

    def sends_body(self, line: "HttpLine") -> bool:
        """Its body takes more than one segment; False where as many as may do so do."""
        if line not in self._bodies and len(self._bodies) >= BODIES_MAX:
            return False
        self._bodies.add(line)
        return True

    def has_sent(self, line: "HttpLine") -> None:
        self._bodies.discard(line)


class HttpLine(HttpToolsProtocol):
    """One connection. `make_http_line(lines)` gives the class that uvicorn calls."""

    lines: ClassVar[HttpLines]

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.wheel_slot = -1
        self._since = 0.0  # when it began to wait for a whole request
        self._begun = False  # some byte of the next request is here
        self._head_bytes = 0
        self._silent_bytes = 0  # since something was whole: a head, a part of a body
        self._body_bytes = 0
        self._body_bytes_then = 0
        self._unsent_then = 0
        self._stuck_looks = 0
        self._is_between = True  # two requests, by the parser's word: no body may be taken for a request
        self._shares: bytes | None = None  # a request that waits for the answer of all who ask the same

    # --- coming and going -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._since = self.lines.clock.monotonic()
        if not self.lines.enter(self):
            self._refuse(503, Refused(R.SERVER_FULL, after_ms=2000))
            return
        self.lines.wheel.put(self, IDLE_SECONDS_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lines.leave(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self.lines.leave(self)
        super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        # Uvicorn would hand an old client's request over as one of today's.
        return super()._should_upgrade() and bool(self.scope["http_version"] == "1.1")

    def give_way(self) -> None:
        """Another needs the place: nothing of a request is lost, as none is here."""
        self.lines.leave(self)
        self.transport.abort()

    # --- bytes in ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """As uvicorn's, with bounds; and what came behind an upgrade goes to whom it was meant for."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if self._shares is not None:
            data = self._take_back() + data
        elif self._is_at_rest and self.lines.shared.ask(self, data):
            self._shares = data
            self.lines.asks(self)
            return
        if not self._begun:
            self._begun = True
            self._since = self.lines.clock.monotonic()
            self.lines.wheel.put(self, HEAD_SECONDS_MAX)
        self._silent_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._should_upgrade():
                return  # answered like any other request
            self.handle_websocket_upgrade()
            rest = data[cast("int", upgrade.args[0]) :]
            if rest and not self.transport.is_closing():  # refused: what follows is no second try
                cast("asyncio.Protocol", self.transport.get_protocol()).data_received(rest)
            return
        except httptools.HttpParserCallbackError:
            self._refuse(431, Refused(R.TOO_LARGE, limit=f"{HEAD_BYTES_MAX // 1024} KiB of a head"))
            return
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if self._silent_bytes > HEAD_BYTES_MAX:
            self._refuse(431, Refused(R.TOO_LARGE, limit=f"{HEAD_BYTES_MAX // 1024} KiB of a head"))
        elif self._is_sending_body and not self.lines.sends_body(self):
            self._refuse(503, Refused(R.SERVER_FULL, after_ms=2000))

    # --- answers that many share ------------------------------------------------------------------------------------

    @property
    def _is_at_rest(self) -> bool:
        """Nothing of a request is here, and all of the last answer has been taken."""
        answered = self.cycle is None or (self.cycle.response_complete and not self.pipeline)
        nothing_here = self._is_between and not self._begun
        return answered and nothing_here and not self.transport.get_write_buffer_size()

    def take_answer(self, whole: bytes) -> None:
        """What was asked for, in one piece. The next request has to come in time, as after any other answer."""
        self._shares = None
        if not self.transport.is_closing():
            self.transport.write(whole)
            self._since = self.lines.clock.monotonic()
            self.lines.waits(self)

    def go_long_way(self) -> None:
        """Nothing was found that many could share: the request is one like any other."""
        if self._shares is not None and not self.transport.is_closing():
            self.data_received(b"")

    def _take_back(self) -> bytes:
        self.lines.shared.forget(self)
        request, self._shares = self._shares, None
        assert request is not None
        return request

    def shutdown(self) -> None:
        """As uvicorn's: whoever waits for an answer gets it."""
        self.go_long_way()
        super().shutdown()

    @property
    def _is_sending_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_between = False
        self._head_bytes = 0
        self._body_bytes = self._body_bytes_then = 0

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            raise _TooMuch

    def on_headers_complete(self) -> None:
        self._silent_bytes = 0
        if len(self.pipeline) >= PIPELINE_MAX:
            raise _TooMuch
        self.lines.asks(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._silent_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._silent_bytes = 0
        self._is_between = True
        self.lines.has_sent(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline and not self.transport.is_closing():
            # The next request, or the rest of a body that nobody read: both have to come in time.
            self._begun = False
            self._since = self.lines.clock.monotonic()
            self.lines.waits(self)

    # --- deadlines --------------------------------------------------------------------------------------------------

    def look(self, now_seconds: float) -> float | None:
        """The wheel's call: a request that does not come, comes too slowly, or whose answer nobody takes."""
        if self.transport.is_closing():
            self.transport.abort()
            return None
        if self._shares is not None or self.transport.get_write_buffer_size():
            return self._look_at_answer()
        if self.cycle is not None and not self.cycle.response_complete:
            return self._look_at_body() if self.cycle.more_body else self._look_at_answer()
        left_seconds = self._since + (HEAD_SECONDS_MAX if self._begun else IDLE_SECONDS_MAX) - now_seconds
        if left_seconds > 0:
            return left_seconds
        self.transport.close()
        return _GOODBYE_SECONDS

    def _look_at_body(self) -> float:
        came = self._body_bytes - self._body_bytes_then
        self._body_bytes_then = self._body_bytes
        # Where we do not read it is we who are slow.
        if not self.flow.read_paused and came < BODY_BYTES_PER_SECOND_MIN * LOOK_SECONDS:
            self._refuse(408, Refused(R.MALFORMED, expected=f"at least {BODY_BYTES_PER_SECOND_MIN} bytes a second"))
            return _GOODBYE_SECONDS
        return LOOK_SECONDS

    def _look_at_answer(self) -> float | None:
        """An answer of which nothing was taken for a while: the very same bytes wait as at the last looks."""
        unsent = self.transport.get_write_buffer_size()
        self._stuck_looks = self._stuck_looks + 1 if unsent and unsent == self._unsent_then else 0
        self._unsent_then = unsent
        if self._stuck_looks >= STUCK_LOOKS_MAX:
            self.transport.abort()
            return None
        return LOOK_SECONDS

    # --- saying no --------------------------------------------------------------------------------------------------

    def _refuse(self, status: int, refused: Refused) -> None:
        """Say no in words and hang up; what is being answered on this line is given up."""
        row = refused.why.value
        REJECTED.labels(row.word).inc()
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            body = f"{row.number} {row.word}: {refused.text}\n".encode()
            after = "" if refused.after_ms is None else f"retry-after: {max(1, -(-refused.after_ms // 1000))}\r\n"
            self.transport.write(
                f"HTTP/1.1 {status} {_WORDS[status]}\r\ncontent-type: text/plain; charset=utf-8\r\n"
                f"content-length: {len(body)}\r\n{after}connection: close\r\n\r\n".encode()
                + body
            )
        self.transport.close()
        self.lines.wheel.put(self, _GOODBYE_SECONDS)


def make_http_line(lines: HttpLines) -> type[HttpLine]:
    """The class for `uvicorn.Config(http=…)`: `HttpLine` bound to the lines of one process."""
    return type("BoundHttpLine", (HttpLine,), {"lines": lines})
