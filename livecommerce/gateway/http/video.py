"""The picture over HTTP: playlists and media for players, and where a page finds them.

What arrives: requests of players, which send no header of ours: what opens a show's picture stands in its address.
What leaves: playlists that wait for what comes next, and media that any cache may keep. It decides nothing.
"""

import re
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Table
from livecommerce.people.links import qr_svg
from livecommerce.protocol.facts import ShowFacts
from livecommerce.video.remux import find_ffmpeg
from livecommerce.video.screen import Playlist, Screen, TooFarAhead
from livecommerce.video.studio import OPEN

table = Table()

_MEDIA = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?\.m4s")
_HEADER = re.compile(r"(\d{1,9})\.mp4")
_NUMBER = re.compile(r"\d{1,9}")
_INSTANT = re.compile(r"\d{1,15}")
# Longer than any segment: nobody fetches an evening in one piece.
_PARTS_MAX = 240
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"


class CameraLink(msgspec.Struct, frozen=True):
    """Opens the camera page on a phone and signs it in as whoever asked: once, and for ten minutes."""

    url: str
    qr_svg: str


class EncoderFacts(msgspec.Struct, frozen=True):
    """What OBS asks for. `server` is empty where this server takes no encoders (RTMP_PORT); without ffmpeg `films` is
    false."""

    server: str
    key: str
    films: bool


class Picture(msgspec.Struct, frozen=True):
    """Where the picture of a show is, for whoever asked: live, and everything that was filmed; `sound` is the same
    without the picture, for who saves data."""

    live: str
    replay: str
    sound: str


@table.get("/api/shows/{show_id}/picture", answer=Picture, refuses=(R.NOT_FOUND, R.NOT_INVITED, R.BANNED))
async def picture_of_show(call: Call) -> Picture:
    """Where a player finds the picture of a show that this server films itself."""
    at = address_of(call, await watchable(call))
    return Picture(f"{at}/live.m3u8", f"{at}/replay.m3u8", f"{at}/sound/live.m3u8")


async def watchable(call: Call) -> ShowFacts:
    """The show of the call, for who may watch it. Refuses NOT_FOUND, NOT_INVITED, BANNED."""
    shows, show_id = call.parts.shows, call.path("show_id")
    facts = await shows.public_facts(show_id)
    if facts.access != "public":
        await call.parts.door.look(call)
        if call.staff is None:
            await shows.may_look(show_id, call.viewer)
    return facts


def address_of(call: Call, facts: ShowFacts) -> str:
    """Where the picture of a show is, for who may watch it; a word opens what is not for everybody."""
    word = OPEN if facts.access == "public" else call.parts.studio.word(facts.show_id)
    return f"/video/{facts.show_id}/{word}"


@table.post(
    "/api/staff/shows/{show_id}/camera",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    answer=CameraLink,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)
async def camera_link(call: Call) -> CameraLink:
    """A link for the phone that films, with its QR code."""
    parts, staff, show_id = call.parts, call.the_staff(), call.path("show_id")
    await parts.shows.for_staff(staff, show_id)
    target = f"/camera/{show_id}"
    code = await parts.people.codes.issue("account", staff.account_id, target)
    # In the fragment: no log and no Referer header ever has it.
    url = f"{parts.settings.base_url}{target}#code={code}"
    return CameraLink(url, qr_svg(url))


@table.get(
    "/api/staff/shows/{show_id}/encoder",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    answer=EncoderFacts,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)
async def encoder_facts(call: Call) -> EncoderFacts:
    """Address and stream key for OBS or another encoder. Whoever has the key films this show."""
    parts, show_id = call.parts, call.path("show_id")
    await parts.shows.for_staff(call.the_staff(), show_id)
    port = parts.settings.rtmp_port
    host = urlsplit(parts.settings.base_url).hostname
    server = f"rtmp://{host}:{port}/live" if port else ""
    return EncoderFacts(server, parts.studio.stream_key(show_id), find_ffmpeg() is not None)


@table.get("/video/{show_id}/{word}/live.m3u8", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN, R.MALFORMED))
async def live_playlist(call: Call) -> Response:
    """The newest minute, as HLS with parts. `_HLS_msn` and `_HLS_part` wait for what comes next."""
    screen = await _screen(call)
    segment, part = _asked(call, "_HLS_msn"), _asked(call, "_HLS_part")
    if part is not None and segment is None:
        raise Refused(R.MALFORMED, expected="_HLS_msn beside _HLS_part")
    try:
        return _playlist(call, await screen.live(segment, part))
    except TooFarAhead:
        raise Refused(R.MALFORMED, expected="a segment that comes next") from None


@table.get("/video/{show_id}/{word}/replay.m3u8", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN, R.MALFORMED))
async def replay_playlist(call: Call) -> Response:
    """Everything that was filmed, as HLS; with `from` and `to` (milliseconds of the programme) a clip of it."""
    from_ms, to_ms = _asked(call, "from", _INSTANT), _asked(call, "to", _INSTANT)
    return _playlist(call, await (await _screen(call)).replay(from_ms, to_ms))


@table.get("/video/{show_id}/{word}/{name}", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN))
async def media(call: Call) -> Response:
    """A header (7.mp4), a part (812.m4s) or a segment (809-812.m4s). The part that comes next is waited for."""
    return await _media(call)


# Addresses in a playlist are relative to it: the same text, one folder deeper, names the same moments without picture.


@table.get("/video/{show_id}/{word}/sound/live.m3u8", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN, R.MALFORMED))
async def live_sound_playlist(call: Call) -> Response:
    """The newest minute without its picture."""
    return await live_playlist(call)


@table.get(
    "/video/{show_id}/{word}/sound/replay.m3u8", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN, R.MALFORMED)
)
async def replay_sound_playlist(call: Call) -> Response:
    """Everything that was filmed, without its picture."""
    return await replay_playlist(call)


@table.get("/video/{show_id}/{word}/sound/{name}", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN))
async def sound(call: Call) -> Response:
    """A header, a part or a segment of the sound alone."""
    return await _media(call, sound=True)


async def _screen(call: Call) -> Screen:
    show_id, word = call.path("show_id"), call.path("word")
    if word == OPEN:
        facts = await call.parts.shows.public_facts(show_id)
        if facts.access != "public":
            raise Refused(R.FORBIDDEN)
    elif not call.parts.studio.opens(word, show_id):
        raise Refused(R.FORBIDDEN)
    return await call.parts.studio.screen(show_id)


async def _media(call: Call, *, sound: bool = False) -> Response:
    screen, name = await _screen(call), call.path("name")
    data: bytes | None = None
    if found := _HEADER.fullmatch(name):
        data = await screen.header(int(found[1]), sound=sound)
    elif found := _MEDIA.fullmatch(name):
        first, last = int(found[1]), int(found[2] or found[1])
        data = await screen.parts(first, last, sound=sound) if last - first < _PARTS_MAX else None
    if data is None:
        raise Refused(R.NOT_FOUND, what="media")
    kept_by = "public" if call.path("word") == OPEN else "private"
    kind = "audio/mp4" if sound else "video/mp4"
    return Response(data, media_type=kind, headers={"cache-control": f"{kept_by}, max-age=31536000, immutable"})


def _playlist(call: Call, text: Playlist) -> Response:
    """Packed by us, once for all: the middleware would do it again for each of a thousand players."""
    headers = {"cache-control": "no-store", "vary": "accept-encoding"}
    if "gzip" in call.request.headers.get("accept-encoding", ""):
        return Response(text.packed, media_type=PLAYLIST_TYPE, headers={**headers, "content-encoding": "gzip"})
    return Response(text.plain, media_type=PLAYLIST_TYPE, headers=headers)


def _asked(call: Call, name: str, shape: "re.Pattern[str]" = _NUMBER) -> int | None:
    text = call.query(name)
    if not text:
        return None
    if not shape.fullmatch(text):
        raise Refused(R.MALFORMED, expected=f"a number for {name}")
    return int(text)
