"""Films on air: which shows have one that should be running, and where in it the programme is.

What arrives: the shows on air, as the ledger has them, once a second; the films of this machine. What leaves: each film
to its show's publisher, at its real pace. Where a film is follows from the clock and the instant at which it began, so
that after a crash or a deploy whichever web process of the machine takes it goes on where viewers expect it. It does
not know containers, playlists or requests.
"""

import asyncio
import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from livecommerce.errors import R, Refused
from livecommerce.gateway.feed import Feed
from livecommerce.gateway.looking import facts_if_known
from livecommerce.protocol.facts import ShowFacts
from livecommerce.video.film import FILM_MIME, FilmFacts, Showing, not_taken

if TYPE_CHECKING:
    from livecommerce.app import Parts

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
# A film that is nearly over is not begun again for its last moment.
_LEFT_MS_MIN = 1500
# One that has just begun is shown from its first picture, though it took a moment until somebody looked.
_BEGINNING_MS_MAX = 2000


@dataclass(frozen=True, slots=True)
class Running:
    """What should be on air; while it stays the same, so does the child that reads it."""

    film_id: str
    started_at_ms: int
    loop: bool


def should_run(facts: ShowFacts, film: FilmFacts | None) -> Running | None:
    """What should be on air for this show."""
    video = facts.video
    if facts.status not in ("live", "interrupted") or video.source != "film" or video.started_at_ms is None:
        return None
    return None if film is None else Running(film.film_id, video.started_at_ms, video.loop)


def place_ms(running: Running, film: FilmFacts, now_ms: int) -> int | None:
    """Where in the film the programme is; None where it is over, or in its last moment."""
    since_ms = max(0, now_ms - running.started_at_ms)
    at_ms = since_ms % film.duration_ms if running.loop else since_ms
    return at_ms if film.duration_ms - at_ms >= min(_LEFT_MS_MIN, film.duration_ms // 2) else None


class Showings:
    """The films that this process sends out."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._films = parts.studio.films
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look_forever(), name="showings")

    async def aclose(self) -> None:
        tasks = [task for task in (self._looking, *self._tasks.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_forever(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # the ledger may be away for a while; films go on meanwhile
                log.warning("showings_look_failed", exc_info=True)
            await self._parts.clock.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Begin what should run and does not."""
        for facts in await self._parts.shows.on_air():
            show_id = facts.show_id
            if show_id in self._tasks or facts.video.source != "film":
                continue
            film = await asyncio.to_thread(self._films.film, show_id)
            running = should_run(facts, film)
            if film and running and place_ms(running, film, self._parts.clock.now_ms()) is not None:
                task = self._tasks[show_id] = asyncio.create_task(self._show(show_id, film, running), name="showing")
                task.add_done_callback(functools.partial(self._forget, show_id))

    def _forget(self, show_id: str, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(show_id, None)
        if not task.cancelled() and (error := task.exception()):
            log.error("film_failed", show_id=show_id, error=repr(error))

    async def _show(self, show_id: str, film: FilmFacts, running: Running) -> None:
        # Nobody takes a film's place: its epochs have no name that another could know.
        feed = Feed(self._parts, show_id, _nothing)
        try:
            await self._send(feed, film, running)
            await self._tell(show_id, "")
        except Refused as refused:
            if refused.why is not R.VIDEO_TAKEN:  # another process has it, or a camera
                log.warning("film_stopped", show_id=show_id, why=refused.text)
                await self._tell(show_id, refused.text)
        finally:
            await feed.leave("stopped")

    async def _send(self, feed: Feed, film: FilmFacts, running: Running) -> None:
        transcodes = self._parts.studio.transcodes
        if film.made_anew:
            transcodes.take()
        try:
            await feed.begin(FILM_MIME)
            at_ms = place_ms(running, film, self._parts.clock.now_ms())
            if at_ms is None:
                return
            at_ms = at_ms if at_ms > _BEGINNING_MS_MAX else 0
            await self._tell(feed.show_id, "")
            log.info("film_began", show_id=feed.show_id, at_ms=at_ms)
            await self._pump(feed, Showing(self._films.path(feed.show_id, film), film, at_ms), running)
        finally:
            if film.made_anew:
                transcodes.give_back()

    async def _pump(self, feed: Feed, showing: Showing, running: Running) -> None:
        await showing.start()
        pushed = 0
        try:
            async for chunk in showing.chunks():
                await feed.push(chunk)
                pushed += len(chunk)
                if not await self._still(feed.show_id, running):
                    return
        finally:
            await showing.aclose()
        if not pushed:
            raise not_taken("unreadable")

    async def _still(self, show_id: str, running: Running) -> bool:
        """Whether the same is still wanted, as far as anybody knows; the facts are at most a second old."""
        facts = await facts_if_known(self._parts.shows, show_id)
        return facts is None or should_run(facts, self._films.film(show_id)) == running

    async def _tell(self, show_id: str, trouble: str) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._films.tell, show_id, trouble)


def _nothing() -> None:
    return None
