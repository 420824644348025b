"""One answer for the thousand players who ask for the same piece of the picture within a tenth of a second.

What arrives: requests of players, as bytes, from lines that are at rest. What leaves: for each the whole answer, made
once by the application for all who ask for the same address, with every check of it; in small slices, so that whatever
else the process does comes in between. A player sends nothing of its own: what opens a picture stands in its address.
So the same address has the same answer, and a request that says more than usual (an origin, a body, an id) is none for
here: the line takes it the long way, as it does everything. It does not know shows, playlists or who may watch.
"""

import asyncio
import re
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from livecommerce.clock import Clock
from livecommerce.gateway.access import seconds_of

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from livecommerce.gateway.http_line import HttpLine

log = structlog.get_logger(__name__)

# A playlist without its newest part is still one; what it names never changes, but who may have it may.
PLAYLIST_KEPT_SECONDS = 0.1
MEDIA_KEPT_SECONDS = 1.0
KEPT_BYTES_MAX = 8_000_000
REQUEST_BYTES_MAX = 8_192
# Between two looks of the loop at everything else. A thousand answers at once would be a tenth of a second.
SLICE_SECONDS = 0.0003
_LOOK_EVERY = 4

_ASKED = re.compile(
    rb"GET (/video/[A-Za-z0-9_-]{1,40}/[A-Za-z0-9_-]{1,60}/(?:sound/)?"
    rb"(?:live\.m3u8(?:\?[A-Za-z0-9_=&]{1,60})?|[0-9-]{1,19}\.m4s|[0-9]{1,9}\.mp4)) HTTP/1\.1\r\n"
)
# Anything that changes the answer or the line, or is more than a head.
_UNUSUAL = re.compile(
    rb"\r\n(?:content-length|transfer-encoding|connection:(?! *keep-alive\r)|upgrade|expect|origin|x-request-id|[ \t])",
    re.IGNORECASE,
)
_PACKS = re.compile(rb"\r\naccept-encoding:[^\r]*\bgzip\b(?! *;)", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost: *([^\r]*)", re.IGNORECASE)

_Key = tuple[bytes, bool]  # the address; whether who asks can unpack


class Answer(NamedTuple):
    """All bytes of it, and until when somebody else may have it; `seconds`: the measure of its route."""

    whole: bytes
    kept_until: float
    seconds: "Histogram"


class _Waiting(NamedTuple):
    """One request of one line. Compared by what it is, not by what is in it: a line may ask the same twice."""

    line: "HttpLine"
    key: _Key
    since: float
    counted: bool  # the application has measured this one


class _Asked:
    """One address that is being answered, and who waits for it."""

    def __init__(self, first: _Waiting) -> None:
        self.waiting: dict[int, _Waiting] = {id(first): first}
        self.task: asyncio.Task[None] | None = None


class SharedAnswers:
    """One a process. A line asks; it hears `take_answer` or `go_long_way`, unless it says `forget` before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[_Key, _Asked] = {}
        self._of_line: dict[HttpLine, _Waiting] = {}
        self._kept: OrderedDict[_Key, Answer] = OrderedDict()
        self._kept_bytes = 0
        self._due: deque[tuple[_Waiting, Answer]] = deque()

    def __len__(self) -> int:
        """How many lines wait."""
        return len(self._of_line)

    def ask(self, line: "HttpLine", request: bytes) -> bool:
        """Take a request that came in one piece; False where it is none for here."""
        found = _ASKED.match(request) if len(request) <= REQUEST_BYTES_MAX else None
        if found is None or not _is_usual(request):
            return False
        key = found[1], _PACKS.search(request) is not None
        now = self._clock.monotonic()
        kept, asked = self._kept.get(key), self._asked.get(key)
        if kept is not None and kept.kept_until > now:
            self._of_line[line] = waiting = _Waiting(line, key, now, counted=False)
            self._give(waiting, kept)
        elif asked is not None:
            self._of_line[line] = waiting = _Waiting(line, key, now, counted=False)
            asked.waiting[id(waiting)] = waiting
        else:
            self._of_line[line] = waiting = _Waiting(line, key, now, counted=True)
            self._asked[key] = asked = _Asked(waiting)
            asked.task = asyncio.ensure_future(self._answer(key, asked, line, _scope(line, key, request)))
        return True

    def forget(self, line: "HttpLine") -> None:
        """The line waits no more. What nobody waits for is given up."""
        waiting = self._of_line.pop(line, None)
        asked = self._asked.get(waiting.key) if waiting is not None else None
        if asked is None or asked.waiting.pop(id(waiting), None) is None or asked.waiting:
            return
        assert waiting is not None
        assert asked.task is not None
        del self._asked[waiting.key]  # who asks from here on is not given up with it
        asked.task.cancel()

    # --- making it, once --------------------------------------------------------------------------------------------

    async def _answer(self, key: _Key, asked: _Asked, first: "HttpLine", scope: dict[str, Any]) -> None:
        answer: Answer | None = None
        try:
            answer = await self._made(key, first, scope)
        except Exception:
            log.exception("shared_answer_failed")
        del self._asked[key]
        for waiting in asked.waiting.values():
            if answer is not None:
                self._give(waiting, answer)
            elif self._of_line.pop(waiting.line, None) is waiting:
                waiting.line.go_long_way()

    async def _made(self, key: _Key, first: "HttpLine", scope: dict[str, Any]) -> Answer | None:
        """The application's own answer; None where it is none that can be told in one piece."""
        start: dict[str, Any] = {}
        body: list[bytes] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                body.append(message.get("body", b""))

        await first.app(scope, receive, send)
        if start.get("status") != 200:
            return None  # who asks for what is not to be had is told so one by one
        headers = [*first.server_state.default_headers, *start["headers"]]
        if not any(name == b"content-length" for name, _ in headers):
            return None
        rows = b"".join(b"%b: %b\r\n" % row for row in headers)
        whole = b"HTTP/1.1 200 OK\r\n" + rows + b"\r\n" + b"".join(body)
        kept_seconds = PLAYLIST_KEPT_SECONDS if b".m3u8" in key[0] else MEDIA_KEPT_SECONDS
        made = Answer(whole, self._clock.monotonic() + kept_seconds, seconds_of(scope, 200))
        self._keep(key, made)
        return made

    def _keep(self, key: _Key, made: Answer) -> None:
        self._drop(key)
        self._kept[key] = made
        self._kept_bytes += len(made.whole)
        now = self._clock.monotonic()
        while self._kept and (self._kept_bytes > KEPT_BYTES_MAX or next(iter(self._kept.values())).kept_until < now):
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._kept_bytes -= len(dropped.whole)

    # --- handing it out, slice by slice -----------------------------------------------------------------------------

    def _give(self, waiting: _Waiting, answer: Answer) -> None:
        if not self._due:
            asyncio.get_running_loop().call_soon(self._hand_out)
        self._due.append((waiting, answer))

    def _hand_out(self) -> None:
        ends, count = self._clock.monotonic() + SLICE_SECONDS, 0
        while self._due:
            waiting, answer = self._due.popleft()
            if self._of_line.get(waiting.line) is waiting:
                del self._of_line[waiting.line]
                waiting.line.take_answer(answer.whole)
                if not waiting.counted:
                    answer.seconds.observe(self._clock.monotonic() - waiting.since)
            count += 1
            if count % _LOOK_EVERY == 0 and self._clock.monotonic() >= ends:
                break
        if self._due:
            asyncio.get_running_loop().call_soon(self._hand_out)


def _is_usual(request: bytes) -> bool:
    """One head, whole and alone, that asks for nothing but the address."""
    end = request.find(b"\r\n\r\n")
    return end == len(request) - 4 and _UNUSUAL.search(request) is None


def _scope(line: "HttpLine", key: _Key, request: bytes) -> dict[str, Any]:
    """The request as the application sees it: the address and what it may pack with, nothing of who asked first."""
    path, _, query = key[0].partition(b"?")
    host = _HOST.search(request)
    headers = [(b"host", host[1] if host else b"")]
    if key[1]:
        headers.append((b"accept-encoding", b"gzip"))
    return {
        "type": "http", "asgi": {"version": line.asgi_version, "spec_version": "2.3"}, "http_version": "1.1",
        "server": line.server, "client": None, "scheme": line.scheme, "root_path": line.root_path, "method": "GET",
        "path": path.decode(), "raw_path": path, "query_string": query, "headers": headers,
        "state": line.app_state.copy(),
    }  # fmt: skip
