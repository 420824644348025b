"""The replay over HTTP: a show that is over, for who might have watched it live.

What arrives: calls with a settled identity. What leaves: what `shows.replay` and the recording have. It decides
nothing, except who may look: whoever could have come in.
"""

import math

import msgspec
from starlette.responses import Response

from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Table
from livecommerce.gateway.http.video import address_of, view_of, watchable
from livecommerce.protocol.facts import Line, ShowFacts, Stamped
from livecommerce.shows import captions, replay
from livecommerce.shows.captions import CaptionTrack
from livecommerce.shows.replay import LINES_MAX, Chapter
from livecommerce.video.timeline import Stretch

table = Table()

_REFUSES = (R.NOT_FOUND, R.NOT_INVITED, R.BANNED, R.WRONG_STATE)
_WINDOW_MS_MAX = 600_000


class ReplayChapter(Chapter, frozen=True):
    """`clip`: the playlist of this stretch alone, for any player; "" where nothing of it was filmed."""

    clip: str = ""


class Replay(msgspec.Struct, frozen=True):
    """A show as it was. `picture`: where its recording is played, "" where nothing was filmed, and `sound` the same
    without the picture; `begins_at_ms` is the recording's first moment on the events' clock, `length_ms` what can be
    played. `events` are the first of them: the rest, where `next` is not 0, stand in pages behind it. `removed`: it was
    filmed, and the shop keeps recordings no longer; cards and talk stay."""

    show: ShowFacts
    events: tuple[Stamped, ...]
    next: int
    chapters: tuple[ReplayChapter, ...]
    picture: str
    sound: str
    begins_at_ms: float | None
    length_ms: float
    captions: tuple[CaptionTrack, ...]
    removed: bool = False


class Events(msgspec.Struct, frozen=True):
    """A page of a show's events; `next` asks for the one behind it, 0: this is the last."""

    events: tuple[Stamped, ...]
    next: int


class Lines(msgspec.Struct, frozen=True):
    """What was said in a stretch; `more`: it holds more than these."""

    lines: tuple[Line, ...]
    more: bool


@table.get("/api/shows/{show_id}/replay", answer=Replay, refuses=_REFUSES)
async def replay_of_show(call: Call) -> Replay:
    """A show that is over: its events, its chapters, its recording."""
    facts = await over(call)
    database = call.parts.database
    told, chapters = await replay.events_of(database, facts.show_id), await replay.chapters_of(database, facts.show_id)
    removed = await call.parts.shows.recordings.state_of(facts.show_id) == "removed"
    recorded = None if removed else await recording_of(call, facts)
    if recorded is None:
        bare = tuple(_told(chapter, "") for chapter in chapters)
        return Replay(facts, told.events, told.next, bare, "", "", None, 0, (), removed)
    at = address_of(call, facts)
    return Replay(
        facts,
        told.events,
        told.next,
        tuple(_with_clip(chapter, recorded, f"{at}/replay.m3u8") for chapter in chapters),
        f"{at}/replay.m3u8",
        f"{at}/sound/replay.m3u8",
        recorded.begins_ms,
        recorded.duration_ms,
        await captions.tracks_of(database, facts.show_id),
    )


def _with_clip(chapter: Chapter, recorded: Stretch, playlist: str) -> ReplayChapter:
    begin_ms, end_ms = chapter.at_ms, chapter.ends_at_ms
    if not recorded.filmed(begin_ms, math.inf if end_ms is None else end_ms):
        return _told(chapter, "")
    return _told(chapter, f"{playlist}?from={begin_ms}" + ("" if end_ms is None else f"&to={end_ms}"))


def _told(chapter: Chapter, clip: str) -> ReplayChapter:
    return ReplayChapter(chapter.at_ms, chapter.card_id, chapter.title, chapter.ends_at_ms, clip)


@table.get("/api/shows/{show_id}/replay/events", answer=Events, refuses=(*_REFUSES, R.MALFORMED))
async def replay_events(call: Call) -> Events:
    """Events of a show that is over, page by page: `after` is the `next` of the page before, 0 for the first."""
    facts, after = await over(call), call.query("after", "0")
    if not after.isascii() or not after.isdigit() or len(after) > 15:
        raise Refused(R.MALFORMED, expected="the `next` of the page before as `after`")
    told = await replay.events_of(call.parts.database, facts.show_id, int(after))
    return Events(told.events, told.next)


@table.get("/api/shows/{show_id}/replay/lines", answer=Lines, refuses=(*_REFUSES, R.MALFORMED))
async def replay_lines(call: Call) -> Lines:
    """What was said between two instants (`from`, `to`; milliseconds, ten minutes at most)."""
    facts = await over(call)
    try:
        from_ms, to_ms = int(call.query("from")), int(call.query("to"))
    except ValueError:
        raise Refused(R.MALFORMED, expected="from and to in milliseconds") from None
    if not 0 <= from_ms < to_ms <= from_ms + _WINDOW_MS_MAX:
        raise Refused(R.MALFORMED, expected=f"from before to, at most {_WINDOW_MS_MAX // 60_000} minutes apart")
    lines = await replay.lines_of(call.parts.database, facts.show_id, from_ms, to_ms)
    return Lines(lines, len(lines) == LINES_MAX)


@table.get("/api/shows/{show_id}/chapters.vtt", answer=Response, refuses=_REFUSES)
async def chapters_file(call: Call) -> Response:
    """The chapters as WebVTT, timed from the recording's beginning."""
    facts = await over(call)
    chapters = await replay.chapters_of(call.parts.database, facts.show_id)
    recorded = await recording_of(call, facts)
    if recorded is None:
        raise Refused(R.NOT_FOUND, what="recording")
    text = replay.web_vtt(chapters, recorded.begins_ms, recorded.ends_ms)
    return Response(text, media_type="text/vtt; charset=utf-8")


async def over(call: Call) -> ShowFacts:
    """The facts of a show that is over and that the caller could have watched."""
    facts = await watchable(call)
    if facts.status != "ended":
        raise Refused(R.WRONG_STATE, state=facts.status)
    return facts


async def recording_of(call: Call, facts: ShowFacts) -> Stretch | None:
    """The show's recording from its beginning to its end, if anything was filmed then."""
    view = view_of(facts)
    if view is None:
        return None
    try:
        screen = await call.parts.studio.screen(facts.show_id)
    except Refused:
        return None
    screen.look()
    stretch = screen.timeline.between(view.from_ms, view.to_ms)
    return stretch if stretch.segments else None
