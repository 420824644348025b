"""Captions of a recording over HTTP: who may watch it reads them, who hosts uploads them.

What arrives: calls with a settled identity; files as they are. What leaves: WebVTT timed as the recording is played.
It decides nothing.
"""

import re

import msgspec
from starlette.responses import Response

from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Nothing, Table, read_body
from livecommerce.gateway.http.replay import over, recording_of
from livecommerce.people.identity import StaffRole
from livecommerce.shows import captions, webvtt
from livecommerce.shows.captions import LIVE, CaptionTrack

table = Table()

_HOSTS: tuple[StaffRole, ...] = ("admin", "manager", "advisor")
_REFUSES = (R.NOT_FOUND, R.NOT_INVITED, R.BANNED, R.WRONG_STATE)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")


@table.get("/api/shows/{show_id}/captions/{language}.vtt", answer=Response, refuses=_REFUSES)
async def caption_track(call: Call) -> Response:
    """Captions as WebVTT; `live` is what was typed during the show."""
    facts, language = await over(call), call.path("language")
    recorded = await recording_of(call, facts)
    if recorded is None:
        raise Refused(R.NOT_FOUND, what="recording")
    if language == LIVE:
        text = await captions.typed_file(call.parts.database, facts.show_id, recorded.placer(), recorded.duration_ms)
    else:
        text = await captions.file_of(call.parts.database, facts.show_id, language)
    return Response(text, media_type="text/vtt; charset=utf-8")


class Captions(msgspec.Struct, frozen=True):
    """Captions of a show's recording; without one (`recorded`) there is nothing to put them under."""

    tracks: tuple[CaptionTrack, ...]
    recorded: bool


@table.get("/api/staff/shows/{show_id}/captions", auth="staff", answer=Captions, refuses=(R.NOT_FOUND, R.FORBIDDEN))
async def captions_of_show(call: Call) -> Captions:
    """What captions a show's recording has, uploaded or typed."""
    show_id = call.path("show_id")
    facts = (await call.parts.shows.for_staff(call.the_staff(), show_id)).show
    tracks = await captions.tracks_of(call.parts.database, show_id)
    return Captions(tracks, await recording_of(call, facts) is not None)


@table.put(
    "/api/staff/shows/{show_id}/captions/{language}",
    auth="staff",
    roles=_HOSTS,
    answer=CaptionTrack,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.WRONG_STATE, R.TOO_LARGE, R.IMPORT, R.LIMIT, R.MALFORMED),
)
async def upload_captions(call: Call) -> CaptionTrack:
    """A WebVTT file for the recording of a show that is over, in the place of the one before.

    The body is the file. Its times are those of the recording as it is played, from its first picture, without gaps.
    """
    parts, show_id, language = call.parts, call.path("show_id"), call.path("language")
    facts = (await parts.shows.for_staff(call.the_staff(), show_id)).show
    if not _LANGUAGE.fullmatch(language):
        raise Refused(R.MALFORMED, expected='a language like "en", "fr" or "zh-Hans"')
    if facts.status != "ended":
        raise Refused(R.WRONG_STATE, state=facts.status)
    recorded = await recording_of(call, facts)
    if recorded is None:
        raise Refused(R.NOT_FOUND, what="recording")
    cues = webvtt.read(await read_body(call.request, webvtt.FILE_BYTES_MAX), recorded.duration_ms)
    account_id, now_ms = call.the_staff().account_id, parts.clock.now_ms()
    return await parts.database.write(
        lambda connection: captions.keep_file(connection, show_id, language, cues, now_ms, account_id)
    )


@table.delete(
    "/api/staff/shows/{show_id}/captions/{language}",
    auth="staff",
    roles=_HOSTS,
    answer=Nothing,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)
async def delete_captions(call: Call) -> Nothing:
    """Take an uploaded file away. Lines typed during the show are hidden one by one, at the desk."""
    show_id, language = call.path("show_id"), call.path("language")
    await call.parts.shows.for_staff(call.the_staff(), show_id)
    await call.parts.database.write(lambda connection: captions.drop_file(connection, show_id, language))
    return Nothing()
