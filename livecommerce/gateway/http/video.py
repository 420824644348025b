"""The picture over HTTP: playlists and media for players, and where a page finds them.

What arrives: requests of players, which send no header of ours: what opens a show's picture stands in its address.
What leaves: playlists that wait for what comes next, and media that any cache may keep. It decides nothing.
"""

import math
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Nothing, Table
from livecommerce.gateway.looking import facts_last_known
from livecommerce.people.links import qr_svg
from livecommerce.protocol.facts import ShowFacts
from livecommerce.video.adapters.contract import Asks, Ingest, MediaRequest
from livecommerce.video.film import FilmFacts
from livecommerce.video.remux import find_ffmpeg
from livecommerce.video.screen import Playlist, Screen, TooFarAhead, View
from livecommerce.video.studio import OPEN

table = Table()

_MEDIA = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?\.m4s")
_HEADER = re.compile(r"(\d{1,9})\.mp4")
_NUMBER = re.compile(r"\d{1,9}")
_INSTANT = re.compile(r"\d{1,15}")
# Longer than any segment: nobody fetches an evening in one piece.
_PARTS_MAX = 240
_NAME_CHARACTERS_MAX = 200
# The clock of what is filmed may be off by so much, and a film that begins with its show must not lose its first
# picture by it: the next that stands alone may be four seconds later.
_EARLY_MS = 500
# Whoever films looks every second or two whether the show is over; then ffmpeg gives out what is inside.
_LAST_MS = 5_000
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"


class CameraLink(msgspec.Struct, frozen=True):
    """Opens the camera page on a phone and signs it in as whoever asked: once, and for ten minutes."""

    url: str
    qr_svg: str


class SrtFacts(msgspec.Struct, frozen=True):
    """What an encoder that speaks SRT asks for. `server` is empty until a port was opened for the show; `said`: what is
    wrong with its line, where something is."""

    server: str = ""
    passphrase: str = ""
    said: str = ""


class EncoderFacts(msgspec.Struct, frozen=True):
    """What OBS asks for. `server` is empty where this server takes no encoders (RTMP_PORT), `srt` is null where it has
    no ports for them (SRT_PORTS); without ffmpeg `films` is false. `ways`: those of the show's own source, where its
    picture is sent to another server."""

    server: str
    key: str
    films: bool
    srt: SrtFacts | None
    ways: tuple[Ingest, ...]


class SourceFacts(msgspec.Struct, frozen=True):
    """One way a picture may come. `asks`: what a host has to give for it."""

    name: str
    asks: Asks


class Sources(msgspec.Struct, frozen=True):
    """`films`: whether this server can film (it has ffmpeg); `film_mb_max`: the largest film that may be uploaded."""

    sources: tuple[SourceFacts, ...]
    films: bool
    film_mb_max: int


class Picture(msgspec.Struct, frozen=True):
    """Where the picture of a show is, for whoever asked: live, and once the show is over from its beginning to its end;
    `sound` is the same without the picture, for who saves data. Before the show there is something for its own staff
    alone."""

    live: str
    replay: str
    sound: str


@table.get("/api/shows/{show_id}/picture", answer=Picture, refuses=(R.NOT_FOUND, R.NOT_INVITED, R.BANNED))
async def picture_of_show(call: Call) -> Picture:
    """Where a player finds the picture of a show: one that this server films itself, or that is signed elsewhere."""
    if await _is_before_her_show(call):
        show_id = call.path("show_id")
        at = f"/video/{show_id}/{call.parts.studio.keys.word(show_id, staff=True)}"
        return Picture(f"{at}/live.m3u8", f"{at}/replay.m3u8", f"{at}/sound/live.m3u8")
    facts = await watchable(call)
    at = address_of(call, facts)
    adapter = call.parts.adapters.of(facts.video)
    if facts.video.signed and adapter is not None:
        word = "" if facts.access == "public" else call.parts.studio.keys.word(facts.show_id)
        return Picture(adapter.address(facts.show_id, facts.video, word), "", "")
    return Picture(f"{at}/live.m3u8", f"{at}/replay.m3u8", f"{at}/sound/live.m3u8")


async def _is_before_her_show(call: Call) -> bool:
    """Whether this is staff of a show that we film and that has not begun: she looks at her own picture."""
    facts = await call.parts.shows.facts(call.path("show_id"))
    if facts.status not in ("draft", "scheduled") or facts.video.signed:
        return False
    await call.parts.door.look(call)
    if call.staff is None:
        return False
    try:
        await call.parts.shows.for_staff(call.staff, facts.show_id)
    except Refused:  # somebody else's show: she is one of its viewers
        return False
    return True


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
    word = OPEN if facts.access == "public" else call.parts.studio.keys.word(facts.show_id)
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
    show = (await parts.shows.for_staff(call.the_staff(), show_id)).show
    ours = {way.protocol: way for way in parts.adapters.named("own").ingest(show_id)}
    adapter = parts.adapters.of(show.video)
    server = ours["rtmp"].server if "rtmp" in ours else ""
    return EncoderFacts(
        server=server,
        key=parts.studio.keys.stream_key(show_id),
        films=find_ffmpeg() is not None,
        srt=_srt_facts(call, show_id) if parts.settings.srt_ports else None,
        ways=adapter.ingest(show_id) if adapter is not None and show.video.signed else (),
    )


@table.post(
    "/api/staff/shows/{show_id}/srt",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    answer=SrtFacts,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.SHOW_OVER, R.NO_FFMPEG, R.VIDEO_QUOTA),
)
async def open_srt(call: Call) -> SrtFacts:
    """A port for encoders that speak SRT, the show's own until its end. Whoever has the passphrase films this show."""
    parts, show_id = call.parts, call.path("show_id")
    show = (await parts.shows.for_staff(call.the_staff(), show_id)).show
    if show.status in ("ended", "cancelled"):
        raise Refused(R.SHOW_OVER)
    if not parts.settings.srt_ports:
        raise Refused(R.NOT_FOUND, what="port for SRT; set SRT_PORTS")
    if find_ffmpeg() is None:
        raise Refused(R.NO_FFMPEG)
    parts.studio.srt_ports.open(show_id)
    return _srt_facts(call, show_id)


def _srt_facts(call: Call, show_id: str) -> SrtFacts:
    studio = call.parts.studio
    port = studio.srt_ports.of(show_id)
    if port is None:
        return SrtFacts()
    host = urlsplit(call.parts.settings.base_url).hostname
    return SrtFacts(f"srt://{host}:{port}", studio.keys.passphrase(show_id), studio.srt_ports.said(port))


@table.get("/api/staff/video/sources", auth="staff", answer=Sources)
async def video_sources(call: Call) -> Sources:
    """Where pictures may come from here: our own ways, and those that a shop added."""
    rows = tuple(SourceFacts(adapter.name, adapter.asks) for adapter in call.parts.adapters)
    return Sources(rows, find_ffmpeg() is not None, call.parts.settings.film_mb_max)


# --- a film that goes out as if it were live --------------------------------------------------------------------------


@table.put(
    "/api/staff/shows/{show_id}/film",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    answer=FilmFacts,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.SHOW_OVER, R.TOO_LARGE, R.MALFORMED, R.FILM, R.NO_FFMPEG, R.VIDEO_QUOTA),
)
async def upload_film(call: Call) -> FilmFacts:
    """The film of a show, as the body of the request; `name` is what it was called. One before it goes."""
    parts, show_id = call.parts, call.path("show_id")
    show = (await parts.shows.for_staff(call.the_staff(), show_id)).show
    if show.status in ("ended", "cancelled"):
        raise Refused(R.SHOW_OVER)
    told = call.request.headers.get("content-length", "")
    size = int(told) if told.isdecimal() and len(told) < 16 else 0
    name = call.query("name")[:_NAME_CHARACTERS_MAX]
    return await parts.studio.films.keep(show_id, name, _body(call), size, parts.clock.now_ms())


@table.get(
    "/api/staff/shows/{show_id}/film",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    answer=FilmFacts,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)
async def film_facts(call: Call) -> FilmFacts:
    """The film of a show, if one was uploaded to this machine."""
    show_id = call.path("show_id")
    await call.parts.shows.for_staff(call.the_staff(), show_id)
    film = call.parts.studio.films.film(show_id)
    if film is None:
        raise Refused(R.NOT_FOUND, what="film")
    return film


@table.delete(
    "/api/staff/shows/{show_id}/film",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)
async def remove_film(call: Call) -> Nothing:
    """Remove the film; one that is on air stops. What was filmed of it stays in the recording."""
    show_id = call.path("show_id")
    await call.parts.shows.for_staff(call.the_staff(), show_id)
    call.parts.studio.films.forget(show_id)
    return Nothing()


async def _body(call: Call) -> AsyncIterator[bytes]:
    """As it comes. Refuses MALFORMED where the line ends before it does."""
    try:
        async for chunk in call.request.stream():
            yield chunk
    except ClientDisconnect:
        raise Refused(R.MALFORMED, expected="the whole film") from None


@table.get("/video/{show_id}/{word}/live.m3u8", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN, R.MALFORMED))
async def live_playlist(call: Call) -> Response:
    """The newest minute, as HLS with parts. `_HLS_msn` and `_HLS_part` wait for what comes next."""
    screen, view = await _screen(call)
    segment, part = _asked(call, "_HLS_msn"), _asked(call, "_HLS_part")
    if part is not None and segment is None:
        raise Refused(R.MALFORMED, expected="_HLS_msn beside _HLS_part")
    try:
        return _playlist(call, await screen.live(segment, part, view))
    except TooFarAhead:
        raise Refused(R.MALFORMED, expected="a segment that comes next") from None


@table.get("/video/{show_id}/{word}/replay.m3u8", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN, R.MALFORMED))
async def replay_playlist(call: Call) -> Response:
    """A show that is over, as HLS; with `from` and `to` (milliseconds of the programme) a clip of it."""
    from_ms, to_ms = _asked(call, "from", _INSTANT), _asked(call, "to", _INSTANT)
    screen, view = await _screen(call)
    if view.to_ms == math.inf and view.from_ms > -math.inf:
        raise Refused(R.NOT_FOUND, what="recording of a show that is over")
    return _playlist(call, await screen.replay(from_ms, to_ms, view))


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
    """A show that is over, without its picture."""
    return await replay_playlist(call)


@table.get("/video/{show_id}/{word}/sound/{name}", answer=Response, refuses=(R.NOT_FOUND, R.FORBIDDEN))
async def sound(call: Call) -> Response:
    """A header, a part or a segment of the sound alone."""
    return await _media(call, sound=True)


async def _screen(call: Call) -> tuple[Screen, View]:
    """The show's picture, and what of it the word in the address opens."""
    show_id, word, studio = call.path("show_id"), call.path("word"), call.parts.studio
    staff = studio.keys.opens(word, show_id, staff=True)
    if (
        not staff
        and word != OPEN
        and not await call.parts.adapters.named("own").authorize(MediaRequest("read", show_id, word))
    ):
        raise Refused(R.FORBIDDEN)
    facts = await facts_last_known(call.parts.shows, show_id)
    if word == OPEN and facts.access != "public":
        raise Refused(R.FORBIDDEN)
    view = View() if staff else view_of(facts)
    if view is None:
        raise Refused(R.NOT_FOUND, what="picture")
    return await studio.screen(show_id), view._replace(over=_is_over(facts, call.parts.clock.now_ms()))


def _is_over(facts: ShowFacts, now_ms: int) -> bool:
    """Whether nothing more will be filmed: whoever films has noticed the end, and what was on its way has come. The
    show says so, and not its recording: nobody may have been there to write it down."""
    return facts.status == "cancelled" or (facts.ended_at_ms is not None and now_ms > facts.ended_at_ms + _LAST_MS)


def view_of(facts: ShowFacts) -> View | None:
    """What viewers may see of a show that we film: from its beginning on, and in its replay until its end. Nothing
    before: a camera is set up, and somebody dresses, in front of it."""
    if facts.started_at_ms is None or facts.status == "cancelled":
        return None
    return View(facts.started_at_ms - _EARLY_MS, math.inf if facts.ended_at_ms is None else facts.ended_at_ms)


async def _media(call: Call, *, sound: bool = False) -> Response:
    (screen, view), name = await _screen(call), call.path("name")
    data: bytes | None = None
    if found := _HEADER.fullmatch(name):
        data = await screen.header(int(found[1]), sound=sound)
    elif found := _MEDIA.fullmatch(name):
        first, last = int(found[1]), int(found[2] or found[1])
        data = await screen.parts(first, last, sound=sound, view=view) if last - first < _PARTS_MAX else None
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
