"""Players of low-latency HLS as hls.js is one, without a picture: the playlist that waits for what comes next, again
and again on one connection; each new part as soon as it is told on another.

What arrives: the port of a server, where the playlist stands, how many players. What leaves: counts, and for each part
how long after its last picture was taken a player had all of it. An answer that is none of these, a part that is
missing or comes twice ends it (`LabFailed`). It knows HLS and HTTP, no show.

    python -m loadtest.bench.player PORT PATH COUNT CORE

is so many players in a process of their own: `go`, `pause`, `report` on standard input, a line each; one JSON line on
standard output for each.
"""

import asyncio
import gzip
import json
import os
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import uvloop

from loadtest.bench.lab import LabFailed

_BUFFER_BYTES = 1 << 18
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PACKED = re.compile(rb"\r\ncontent-encoding: *gzip", re.IGNORECASE)
_JOIN_PARTS = 3  # behind the newest, as PART-HOLD-BACK says
_JOIN_SECONDS_MAX = 2.0  # over which players come
_JOIN_SECONDS_EACH = 0.01
_KEPT_PLAYLISTS = 8
# What a browser sends along, shortened to what a server has to read.
_BROWSER = (
    "Host: 127.0.0.1\r\nConnection: keep-alive\r\nUser-Agent: Mozilla/5.0 (Linux; Android 15; Pixel 9) "
    "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36\r\nAccept: */*\r\n"
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
    "Referer: http://127.0.0.1/watch/shw_bench\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: fr-FR,fr;q=0.9,en;q=0.8\r\nCookie: lc_viewer="
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToldPart:
    """`ends_ms`: when its last picture was taken, by the playlist."""

    number: int
    ends_ms: float
    starts_ms: float
    epoch: str


@dataclass(frozen=True, slots=True)
class Told:
    """What one playlist says. `next_*`: what to ask for to hear of the part that comes next."""

    parts: tuple[ToldPart, ...]
    next_segment: int
    next_part: int
    first_segment: int
    segments: int
    begins_ms: float  # the first segment's
    ended: bool
    size: int


def told(text: str) -> Told:
    """Read a live playlist. Raises `ValueError` for what is none."""
    if not text.startswith("#EXTM3U\n"):
        raise ValueError(f"no playlist: {text[:60]!r}")
    parts: list[ToldPart] = []
    number = first = 0
    inside, at_ms, epoch, wholes, begins_ms = 0, 0.0, "", 0, 0.0
    for line in text.splitlines():
        tag, _, rest = line.partition(":")
        if tag == "#EXT-X-MEDIA-SEQUENCE":
            number = first = int(rest)
        elif tag == "#EXT-X-MAP":
            epoch = rest.split('"')[1]
        elif tag == "#EXT-X-PROGRAM-DATE-TIME":
            at_ms = datetime.fromisoformat(rest.replace("Z", "+00:00")).timestamp() * 1000
            begins_ms = begins_ms or at_ms
        elif tag == "#EXT-X-PART":
            ms = float(rest.partition("DURATION=")[2].partition(",")[0]) * 1000
            name = rest.partition('URI="')[2].partition(".")[0]
            parts.append(ToldPart(int(name), at_ms + ms, at_ms, epoch))
            at_ms += ms
            inside += 1
        elif line and not line.startswith("#"):
            number, inside, wholes = number + 1, 0, wholes + 1
    return Told(
        tuple(parts), number, inside, first, wholes + bool(inside), begins_ms, "#EXT-X-ENDLIST" in text, len(text)
    )  # fmt: skip


class Line(asyncio.BufferedProtocol):
    """One connection that is kept. One question at a time; what is not wanted of an answer is not copied."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookie = secrets.token_urlsafe(32)
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(_shared_buffer)
        self._head = b""
        self._left = -1
        self._body: bytearray | None = None
        self._keeps = False
        self._status = 0
        self._packed = False
        self._size = 0
        self._answered: Callable[[int, bytes, int], None] | None = None
        self._asked = b""
        self._may_open_again = self._is_lost = False
        self._opening: asyncio.Future[None] | None = None

    async def open(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._is_lost = cast("asyncio.Transport", transport), False

    def ask(self, path: str, answered: Callable[[int, bytes, int], None], *, keep: bool) -> None:
        """`answered(status, body where it is kept, bytes of it on the line)`. A line that the server has closed is
        opened again, as a browser does."""
        assert self._answered is None, "one question at a time"
        assert self._transport is not None
        self._answered, self._keeps = answered, keep
        self._asked = f"GET {path} HTTP/1.1\r\n{_BROWSER}{self._cookie}\r\n\r\n".encode()
        self._may_open_again = True
        if self._is_lost:
            self._open_again()
        elif not self._transport.is_closing():  # else its end is told in a moment
            self._transport.write(self._asked)

    def _open_again(self) -> None:
        self._may_open_again = False
        self._opening = asyncio.ensure_future(self._ask_anew())

    async def _ask_anew(self) -> None:
        try:
            await self.open()
        except OSError as error:
            self._give_up(f"the line could not be opened again: {error}")
        else:
            assert self._transport is not None
            self._transport.write(self._asked)

    async def fetch(self, path: str) -> bytes:
        """The body of one answer. Raises `LabFailed` for any status but 200."""
        got: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.ask(path, lambda status, body, _size: got.set_result((status, body)), keep=True)
        status, body = await got
        if status != 200:
            raise LabFailed(f"{path} was answered with {status}: {body[:200]!r}")
        return body

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        at = 0
        if self._left < 0:
            self._head += self._buffer[:nbytes]
            end = self._head.find(_HEAD_END)
            if end < 0:
                return
            head, rest = self._head[: end + 2], len(self._head) - end - len(_HEAD_END)
            self._head = b""
            length = _LENGTH.search(head)
            self._status = int(head[9:12])
            self._packed = _PACKED.search(head) is not None
            self._size = self._left = int(length[1]) if length else 0
            self._body = bytearray() if self._keeps or self._status != 200 else None
            at = nbytes - rest
        if self._body is not None:
            self._body += self._buffer[at:nbytes]
        self._left -= nbytes - at
        if self._left == 0:
            self._left = -1
            self._tell()

    def _tell(self) -> None:
        answered, self._answered = self._answered, None
        body = bytes(self._body) if self._body is not None else b""
        assert answered is not None
        answered(self._status, gzip.decompress(body) if self._packed and body else body, self._size)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        if self._answered is None:
            return
        if self._may_open_again and self._left < 0 and not self._head:  # it was closed while we asked
            self._open_again()
        else:
            self._give_up("the line was closed")

    def _give_up(self, why: str) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(0, why.encode(), 0)

    def close(self) -> None:
        self._answered = None
        if self._transport is not None:
            self._transport.abort()


_shared_buffer = bytearray(_BUFFER_BYTES)  # what is in it is used before the next line reads


@dataclass(slots=True)
class Watched:
    """What the players of a process have had."""

    playlists: int = 0
    parts: int = 0
    bytes: int = 0
    delays_ms: Counter[int] = field(default_factory=Counter)  # from filmed to here → parts
    faults: list[str] = field(default_factory=list)


class Player:
    """One viewer's. `run` until `watched.faults` or the end; `pause` and `go` as often as wanted."""

    def __init__(self, port: int, path: str, watched: Watched) -> None:
        self._playlist, self._media = Line(port), Line(port)
        self._path = path
        self._watched = watched
        self._wanted: list[ToldPart] = []
        self._newest = -1
        self._header = ""
        self._told: Told | None = None
        self._going = False
        self._asking = self._fetching = False

    async def open(self) -> None:
        await self._playlist.open()
        await self._media.open()

    @property
    def quiet(self) -> bool:
        """Nothing is on its way."""
        return not (self._asking or self._fetching)

    def go(self) -> None:
        """Begin, or begin again at the newest parts."""
        self._going, self._newest, self._told = True, -1, None
        self._wanted.clear()
        if not self._asking:
            self._ask()

    def pause(self) -> None:
        """Ask for nothing more; what is on its way still comes."""
        self._going = False
        self._wanted.clear()

    def close(self) -> None:
        self._playlist.close()
        self._media.close()

    def _ask(self) -> None:
        self._asking = True
        told_before = self._told
        where = f"{self._path}/live.m3u8"
        if told_before is not None and told_before.parts:
            where += f"?_HLS_msn={told_before.next_segment}&_HLS_part={told_before.next_part}"
        self._playlist.ask(where, self._hear, keep=True)

    def _hear(self, status: int, body: bytes, size: int) -> None:
        self._asking = False
        if not self._is_well(status, body):
            return
        self._watched.playlists += 1
        self._watched.bytes += size
        if not self._going:
            return
        now = self._told = _told_once(body)
        news = [each for each in now.parts if each.number > self._newest]
        if self._newest < 0:
            news = news[-_JOIN_PARTS:]
        elif news and news[0].number != self._newest + 1:
            self._watched.faults.append(f"after part {self._newest} the next one told is {news[0].number}")
            return
        if news:
            self._newest = news[-1].number
            self._wanted += news
            if not self._fetching:
                self._fetch()
        if not now.ended:
            self._ask()

    def _fetch(self) -> None:
        self._fetching = True
        part = self._wanted[0]
        if part.epoch != self._header:
            self._header = part.epoch
            self._media.ask(f"{self._path}/{part.epoch}", self._have_header, keep=False)
        else:
            self._media.ask(f"{self._path}/{part.number}.m4s", self._have, keep=False)

    def _have_header(self, status: int, body: bytes, size: int) -> None:
        self._fetching = False
        if self._is_well(status, body) and self._wanted:
            self._fetch()

    def _have(self, status: int, body: bytes, size: int) -> None:
        self._fetching = False
        if not self._is_well(status, body):
            return
        self._watched.parts += 1
        self._watched.bytes += size
        if self._wanted:
            part = self._wanted.pop(0)
            self._watched.delays_ms[round(time.time() * 1000 - part.ends_ms)] += 1
        if self._wanted:
            self._fetch()

    def _is_well(self, status: int, body: bytes) -> bool:
        if status != 200:
            self._watched.faults.append(f"an answer of {status}: {body[:200]!r}")
        return status == 200


_read: dict[bytes, Told] = {}


def _told_once(body: bytes) -> Told:
    """Everybody gets the same text, and reading it is not what is measured."""
    found = _read.get(body)
    if found is None:
        found = _read[body] = told(body.decode())
        if len(_read) > _KEPT_PLAYLISTS:
            del _read[next(iter(_read))]
    return found


# --- many of them, in a process of their own ------------------------------------------------------------------------


async def _main(port: int, path: str, count: int, answer: Callable[[dict[str, object]], None]) -> None:
    watched = Watched()
    players = [Player(port, path, watched) for _ in range(count)]
    for player in players:
        await player.open()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    answer({"ready": True})
    while line := await reader.readline():
        asked = line.strip()
        if asked == b"go":
            for player in players:
                player.go()
                await asyncio.sleep(min(_JOIN_SECONDS_EACH, _JOIN_SECONDS_MAX / count))
        elif asked == b"pause":
            for player in players:
                player.pause()
            while not watched.faults and not all(player.quiet for player in players):  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.01)
        answer(
            {"playlists": watched.playlists, "parts": watched.parts, "bytes": watched.bytes,
             "delays_ms": dict(watched.delays_ms), "faults": watched.faults[:3],
             "cpu_seconds": time.process_time()}
        )  # fmt: skip
        if asked == b"report":
            watched.playlists = watched.parts = watched.bytes = 0
            watched.delays_ms.clear()
    for player in players:
        player.close()


def main(port: int, path: str, count: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    # On the same core stands whoever reads the clock when a card comes.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    uvloop.run(_main(port, path, count, lambda told_now: print(json.dumps(told_now), flush=True)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
