"""The camera page's part, without a page: a film goes to a show over the real socket, at the pace it was filmed.

What arrives: a film, the port of a server, a pass. What leaves: chunks with their numbers and moments, each at the
moment its last picture would have been taken; the pass is renewed when the server asks. It looks at every answer: a
refusal ends the measurement. It does not know what becomes of the film.

    python -m loadtest.bench.camera PORT SHOW PASS KILOBITS SECONDS CORE

is one in a process of its own, for measurements that have no time for it; it says when it begins.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from livecommerce.errors import R
from livecommerce.gateway.publish import HEAD, SUBPROTOCOL
from loadtest.bench.film import CHUNK_MS, MIME, Film, film
from loadtest.bench.lab import LabFailed

_UNANSWERED_MAX = 40  # ten seconds of film: the server does not keep up


class Camera:
    """`filming` makes it. `began_ms`: the server's clock at the first picture of the film."""

    def __init__(self, line: ClientConnection, film: Film, new_pass: Callable[[], str], slow_ppm: float) -> None:
        self._line = line
        self._film = film
        self._new_pass = new_pass
        self._pace = 1 + slow_ppm / 1e6  # seconds of ours in one of its film's
        self._answered = 0
        self.began_ms = 0.0
        self.sent = 0
        self.breaks = 0  # the server could go on no more, and another epoch began
        self.renewed = 0
        self.late_ms_max = 0.0  # by which a chunk went out after its moment: the instrument's own fault

    async def film(self, seconds: float) -> None:
        """Until so much of it has been sent and taken. Raises `LabFailed` with the server's words of refusal."""
        ends = time.monotonic() + seconds * self._pace
        while (left := ends - time.monotonic()) > CHUNK_MS / 1000:
            try:
                await self._film_epoch(left)
            except _BeginAnew:
                self.breaks += 1

    async def _film_epoch(self, seconds: float) -> None:
        self._answered = self.sent = 0
        hearing = asyncio.ensure_future(self._hear())
        sending = asyncio.ensure_future(self._send(seconds))
        try:
            await asyncio.wait((hearing, sending), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                hearing.result()
                raise LabFailed("the server closed the camera's line")
            await sending
        except ConnectionClosed as closed:
            raise LabFailed(f"the camera's line was closed: {closed}") from None
        finally:
            hearing.cancel()
            sending.cancel()
            await asyncio.gather(hearing, sending, return_exceptions=True)

    async def _send(self, seconds: float) -> None:
        began = time.monotonic()
        self.began_ms = time.time() * 1000
        begin = {"type": "begin", "epoch": secrets.token_hex(8), "mime": MIME, "t0_ms": self.began_ms}
        await self._line.send(json.dumps(begin))
        for number, chunk in enumerate(self._film.chunks(seconds)):
            made_ms = chunk.end_ms * self._pace
            await asyncio.sleep(began + made_ms / 1000 - time.monotonic())
            self.late_ms_max = max(self.late_ms_max, (time.monotonic() - began) * 1000 - made_ms)
            await self._line.send(HEAD.pack(number, self.began_ms + made_ms) + chunk.data)
            self.sent = number + 1
            if self.sent - self._answered > _UNANSWERED_MAX:
                raise LabFailed(f"the server has taken {self._answered} of {self.sent} chunks")
        while self._answered < self.sent:  # noqa: ASYNC110 - the answers come to the other task
            await asyncio.sleep(0.01)

    def filmed_ms(self, film_ms: float) -> float:
        """The server's clock when the picture at that place of the epoch was taken: what a playlist should say."""
        return self.began_ms + film_ms * self._pace

    async def _hear(self) -> None:
        async for text in self._line:
            told = json.loads(text)
            if told["type"] == "ack":
                self._answered = told["next"]
            elif told["type"] == "renew":
                fresh = await asyncio.to_thread(self._new_pass)
                await self._line.send(json.dumps({"type": "token", "token": fresh}))
                self.renewed += 1
            elif told["type"] == "refused" and told["number"] == R.VIDEO_BROKEN.value.number:
                raise _BeginAnew
            elif told["type"] == "refused":
                raise LabFailed(f"the camera was refused: {told['number']} {told['word']}: {told['text']}")


class _BeginAnew(Exception):
    """The server can take no more of this epoch; the page's recorder begins another, and so do we."""


@contextlib.asynccontextmanager
async def filming(
    port: int, show_id: str, film: Film, new_pass: Callable[[], str], *, slow_ppm: float = 0.0
) -> AsyncIterator[Camera]:
    """A camera on its line, whose quartz is so much too slow."""
    passes = [Subprotocol(SUBPROTOCOL), Subprotocol(f"token.{new_pass()}")]
    try:
        line = await connect(
            f"ws://127.0.0.1:{port}/publish/{show_id}", subprotocols=passes, compression=None, max_size=None
        )
    except OSError as error:
        raise LabFailed(f"the camera was not let in: {error}") from None
    async with line:
        yield Camera(line, film, new_pass, slow_ppm)


async def _main(port: int, show_id: str, token: str, kilobits: int, seconds: float) -> None:
    async with filming(port, show_id, film(kilobits), lambda: token) as camera:
        print("filming", flush=True)  # the film is made: from here on it costs next to nothing
        await camera.film(seconds)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[6])})
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
