"""The recording of a show for its staff: what was filmed, as files to take home, and how long it is kept.

What arrives: calls of staff. What leaves: facts, each uninterrupted piece as the file it is, and each card's stretch as
a clip that is cut when it is fetched. What viewers may see of it is `replay.py`'s.
"""

import asyncio
import math
import os
import re
from collections.abc import AsyncIterator
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

import msgspec
from starlette.responses import FileResponse, Response, StreamingResponse

from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Table
from livecommerce.gateway.http.replay import recording_of
from livecommerce.protocol.facts import ShowFacts
from livecommerce.shows.recordings import recording_ends_ms
from livecommerce.shows.replay import chapters_of
from livecommerce.shows.state import RecordingState
from livecommerce.video.cut import Cut, cuts_of

table = Table()

_BLOCK_BYTES = 1 << 18
_NUMBER = re.compile(r"[0-9]{1,8}")


class RecordingPiece(msgspec.Struct, frozen=True):
    """What was filmed without a break, a file of its own: `file` is where staff fetch it. `begins_at_ms` is on the
    events' clock."""

    begins_at_ms: float
    length_ms: float
    file: str


class RecordingClip(msgspec.Struct, frozen=True):
    """What was filmed while a card was on the picture, a file of its own that is cut when it is fetched. Where filming
    began anew on the way, there is one for each stretch."""

    card_id: str
    title: str
    begins_at_ms: float
    length_ms: float
    file: str


class RecordingFacts(msgspec.Struct, frozen=True):
    """A show's recording for staff, its pieces in their order. `until_ms`: when it will be removed, None where nobody
    means to (yet). `clips` come in their order once the show is over."""

    state: RecordingState
    bytes: int
    length_ms: float
    until_ms: int | None
    pieces: tuple[RecordingPiece, ...] = ()
    clips: tuple[RecordingClip, ...] = ()


class KeepRecording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep: bool


@table.get(
    "/api/staff/shows/{show_id}/recording/{epoch}.mp4",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    answer=Response,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)
async def recording_file(call: Call) -> Response:
    """One uninterrupted piece of the recording, as a file; the recording's facts name them all."""
    show_id, epoch = call.path("show_id"), call.path("epoch")
    await call.parts.shows.for_staff(call.the_staff(), show_id)
    path = call.parts.studio.file(show_id, int(epoch)) if _NUMBER.fullmatch(epoch) else None
    if path is None:
        raise Refused(R.NOT_FOUND, what="recording")
    return FileResponse(path, media_type="video/mp4", filename=f"{show_id}-{epoch}.mp4")


@table.get(
    "/api/staff/shows/{show_id}/recording/clips/{number}.mp4",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    answer=Response,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.NO_FFMPEG, R.VIDEO_QUOTA, R.VIDEO_BROKEN),
)
async def clip_file(call: Call) -> Response:
    """One of the `clips` of the recording's facts, by its place among them: an MP4 with its index in front, cut without
    encoding. It begins with the segment, of some two seconds, that its card came in."""
    show = (await call.parts.shows.for_staff(call.the_staff(), call.path("show_id"))).show
    number, clips = call.path("number"), await _clips(call, show)
    if not _NUMBER.fullmatch(number) or int(number) >= len(clips):
        raise Refused(R.NOT_FOUND, what="clip")
    clip = clips[int(number)]
    file = await call.parts.studio.cut(show.show_id, clip.cut)
    name = quote(f"{clip.title}.mp4", safe="")
    headers = {
        "content-length": str(os.fstat(file.fileno()).st_size),
        "content-disposition": f"attachment; filename*=utf-8''{name}",
    }
    return StreamingResponse(_blocks(file), media_type="video/mp4", headers=headers)


async def _blocks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while block := await asyncio.to_thread(file.read, _BLOCK_BYTES):
            yield block


@table.get(
    "/api/staff/shows/{show_id}/recording",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    answer=RecordingFacts,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)
async def recording_facts(call: Call) -> RecordingFacts:
    """What was filmed, how much of the disk it takes, and until when it stays."""
    show = await call.parts.shows.for_staff(call.the_staff(), call.path("show_id"))
    return await _facts(call, show.show, show.recording)


@table.put(
    "/api/staff/shows/{show_id}/recording",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    body=KeepRecording,
    answer=RecordingFacts,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.GONE),
)
async def keep_recording(call: Call, body: KeepRecording) -> RecordingFacts:
    """Keep the recording however old it is, or no longer than others."""
    staff, show_id = call.the_staff(), call.path("show_id")
    state = await call.parts.shows.recordings.keep(staff, show_id, body.keep)
    return await _facts(call, (await call.parts.shows.for_staff(staff, show_id)).show, state)


async def _facts(call: Call, show: ShowFacts, state: RecordingState) -> RecordingFacts:
    if state == "removed":
        return RecordingFacts(state, 0, 0, None)
    used = await call.parts.studio.used(show.show_id)
    ends_ms = recording_ends_ms(state, show.ended_at_ms, call.parts.settings.video_keep_days)
    at = f"/api/staff/shows/{show.show_id}/recording"
    pieces = tuple(RecordingPiece(of.programme_ms, of.recorded_ms, f"{at}/{of.epoch}.mp4") for of in used.pieces)
    clips = tuple(
        RecordingClip(each.card_id, each.title, each.cut.begins_ms, each.cut.length_ms, f"{at}/clips/{place}.mp4")
        for place, each in enumerate(await _clips(call, show))
    )
    return RecordingFacts(state, used.bytes, used.recorded_ms, ends_ms if used.bytes > 0 else None, pieces, clips)


class _Clip(NamedTuple):
    card_id: str
    title: str
    cut: Cut


async def _clips(call: Call, show: ShowFacts) -> list[_Clip]:
    recorded = await recording_of(call, show) if show.status == "ended" else None
    if recorded is None:
        return []
    return [
        _Clip(chapter.card_id, chapter.title, cut)
        for chapter in await chapters_of(call.parts.database, show.show_id)
        for cut in cuts_of(recorded, chapter.at_ms, math.inf if chapter.ends_at_ms is None else chapter.ends_at_ms)
    ]
