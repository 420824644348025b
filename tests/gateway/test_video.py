"""The picture from a camera's socket to a player's requests: who may send, who may watch, and what each is told."""

import asyncio
import contextlib
import dataclasses
import json
import re
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from redis.asyncio import Redis
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from livecommerce.clock import RealClock, TestClock
from livecommerce.errors import Close, R, Refused
from livecommerce.gateway import publish
from livecommerce.gateway.api import routes_of
from livecommerce.gateway.callers import Callers
from livecommerce.gateway.door import Door
from livecommerce.gateway.encoders import Encoders
from livecommerce.gateway.feed import Feed
from livecommerce.gateway.http.captions import table as captions
from livecommerce.gateway.http.recordings import table as recordings
from livecommerce.gateway.http.replay import table as replays
from livecommerce.gateway.http.video import PLAYLIST_TYPE, table
from livecommerce.gateway.http_line import HttpLines, make_http_line
from livecommerce.gateway.pictures import PictureReports
from livecommerce.gateway.publish import SUBPROTOCOL, publish_endpoint
from livecommerce.gateway.showings import Showings
from livecommerce.gateway.wheel import Wheel
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import shows
from livecommerce.people.identity import StaffIdentity
from livecommerce.people.service import People
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import ShowFacts
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.captions import LANGUAGES_MAX
from livecommerce.shows.plans import EditShow, NewVideo
from livecommerce.video.keys import WORD_HOURS
from livecommerce.video.recording import open_writer
from livecommerce.video.screen import Screen
from livecommerce.video.studio import Studio
from tests.ports import free_port
from tests.shows.world import ANA, BEA, HOST, STRANGER, World
from tests.video.films import MIMES, chunks, film, needs_ffmpeg, press, turned
from tests.video.sources import adapters
from tests.video.test_recording import HEADER, fragment

pytestmark = [needs_ffmpeg, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


class House:
    def __init__(self, world: World, people: People, parts: Any, port: int, rtmp_port: int) -> None:
        self.world = world
        self.people = people
        self.parts = parts
        self.studio: Studio = parts.studio
        self.port = port
        self.rtmp_port = rtmp_port
        self.pictures = PictureReports(parts)
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")

    def token(self, who: Any) -> str:
        tokens = self.people.tokens
        return (tokens.for_staff(who.account_id, 1) if isinstance(who, StaffIdentity) else tokens.for_viewer(who)).token

    def camera(self, show_id: str, who: Any = HOST, **options: Any) -> Any:
        return connect(
            f"ws://127.0.0.1:{self.port}/publish/{show_id}",
            subprotocols=[SUBPROTOCOL, f"token.{self.token(who)}"] if who else [SUBPROTOCOL],  # type: ignore[list-item]
            **options,
        )

    async def refusal(self, show_id: str, who: Any, **options: Any) -> tuple[int, int]:
        """(number of the refusal, close code) of a camera that may not be here."""
        async with self.camera(show_id, who, **options) as camera:
            told = json.loads(await camera.recv())
            with pytest.raises(ConnectionClosed) as closed:
                await camera.recv()
        assert closed.value.rcvd is not None
        return told["number"], closed.value.rcvd.code

    async def show(self, *, live: bool = True, **facts: Any) -> ShowFacts:
        """One that went live a minute ago: a film that is sent in a moment is dated before that moment."""
        show = await self.world.show(live=live, **facts)
        if live:
            await self.dated(show.show_id, started_at_ms=self.world.clock.now_ms() - 60_000)
        return show

    async def over(self, show_id: str) -> None:
        """The show ends, a minute later."""
        await self.world.clock.advance(60)
        await self.world.do(show_id, c.End())

    async def dated(self, show_id: str, **values: Any) -> None:
        """Its beginning, or its end, at another instant."""
        query = update(shows).where(shows.c.id == show_id).values(values)
        await self.world.database.write(lambda connection: connection.execute(query))
        self.world.shows._kept.clear()  # facts are at most a second old, and the clock stands still


@pytest.fixture
def clock() -> TestClock:
    """The machine's time, standing still: what is filmed here is dated by the machine."""
    return TestClock(RealClock().now_ms())


@pytest.fixture
async def house(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[House]:
    settings = dataclasses.replace(settings, srt_ports=str(free_port()), film_mb_max=1)
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()
    people = People(database, redis, settings, clock)
    door = Door(people, database, settings, clock)
    studio = Studio(settings, RealClock())
    parts: Any = SimpleNamespace(
        settings=settings, clock=RealClock(), people=people, door=door, shows=world.shows, studio=studio,
        database=database, adapters=adapters(settings, RealClock(), world.shows.facts),
    )  # fmt: skip
    routes = [
        *routes_of(table.endpoints, parts),
        *routes_of(replays.endpoints, parts),
        *routes_of(recordings.endpoints, parts),
        *routes_of(captions.endpoints, parts),
        WebSocketRoute("/publish/{show_id}", publish_endpoint(parts)),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, lifespan="off", log_config=None, ws="websockets-sansio", loop="asyncio",
        http=make_http_line(HttpLines(Wheel(parts.clock.monotonic()), parts.clock, 100)),
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by a flag alone
        await asyncio.sleep(0.01)
    encoders = Encoders(parts)
    rtmp_port = await encoders.start("127.0.0.1", 0)
    found = House(world, people, parts, server.servers[0].sockets[0].getsockname()[1], rtmp_port)
    yield found
    await found.http.aclose()
    await encoders.aclose()
    server.should_exit = True
    await serving
    await studio.aclose()
    await engine.aclose()


async def begin(camera: ClientConnection, kind: str = "webm-h264", epoch: str = "epoch-01") -> Any:
    await camera.send(json.dumps({"type": "begin", "epoch": epoch, "mime": MIMES[kind], "t0_ms": None}))
    return await heard(camera, "ready", "refused")


async def heard(camera: ClientConnection, *kinds: str) -> Any:
    """The next message of one of these kinds."""
    while True:
        told = json.loads(await camera.recv())
        if told["type"] in kinds:
            return told


async def send(camera: ClientConnection, kind: str = "webm-h264", first: int = 0, last: int | None = None) -> int:
    """The rest of a film from a chunk on. Returns the chunk that the server waits for."""
    acked = first
    for number, chunk in list(enumerate(chunks(film(kind))))[first:last]:
        await camera.send(struct.pack(">Id", number, 0) + chunk)
        acked = (await heard(camera, "ack"))["next"]
    return acked


async def refused_until_closed(camera: ClientConnection) -> None:
    while True:
        await camera.send("{}")
        await heard(camera, "refused")


async def published(house: House, show_id: str, who: Any = HOST, epoch: int = 1) -> None:
    async with house.camera(show_id, who) as camera:
        assert (await begin(camera, epoch=f"epoch-{epoch:02}"))["next"] == 0
        await send(camera)
        await camera.send(json.dumps({"type": "finish"}))
        while (screen := await house.studio.screen(show_id)).timeline.duration_ms < 3800 * epoch:
            screen.look()
            await asyncio.sleep(0.01)


async def test_what_a_camera_sends_a_player_plays(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)

    where = (await house.http.get(f"/api/shows/{show.show_id}/picture")).json()
    playlist = await house.http.get(where["live"])
    assert playlist.headers["content-type"].startswith(PLAYLIST_TYPE)
    assert playlist.headers["cache-control"] == "no-store"
    names = [line for line in playlist.text.splitlines() if line and not line.startswith("#")]
    assert names
    header = await house.http.get(where["live"].replace("live.m3u8", "0.mp4"))
    assert header.content[4:8] == b"ftyp"
    for name in names:
        media = await house.http.get(where["live"].replace("live.m3u8", name))
        assert media.content[4:8] == b"moof"
        assert media.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert media.headers["content-type"] == "video/mp4"
    assert (await house.http.get(where["replay"])).status_code == 404  # not before its end
    await house.over(show.show_id)
    assert (await house.http.get(where["replay"])).text.endswith("#EXT-X-ENDLIST\n")


async def test_who_saves_data_fetches_the_sound_alone_by_the_same_playlist(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)
    where = (await house.http.get(f"/api/shows/{show.show_id}/picture")).json()
    at = where["sound"].removesuffix("live.m3u8")

    assert (await house.http.get(where["sound"])).text == (await house.http.get(where["live"])).text
    header = await house.http.get(f"{at}0.mp4")
    assert header.headers["content-type"] == "audio/mp4"
    assert b"soun" in header.content
    assert b"vide" not in header.content
    for number in range(4):
        part = await house.http.get(f"{at}{number}.m4s")
        assert part.headers["cache-control"] == "public, max-age=31536000, immutable"
        both = await house.http.get(where["live"].replace("live.m3u8", f"{number}.m4s"))
        assert 1000 < len(part.content) < len(both.content)
    missing = await house.http.get(f"{at}7.mp4")
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")
    await house.over(show.show_id)
    whole = await house.http.get(f"{at}replay.m3u8")
    assert whole.status_code == 200
    assert whole.text == (await house.http.get(where["replay"])).text


NAMES = ("live.m3u8", "replay.m3u8", "0.mp4", "0.m4s", "0-1.m4s", "sound/live.m3u8", "sound/0.mp4", "sound/0.m4s")


@pytest.mark.parametrize("access", ["public", "invited"])
async def test_before_the_show_its_own_staff_alone_sees_what_is_filmed(house: House, access: Any) -> None:
    show = await house.show(live=False, access=access)
    await published(house, show.show_id)
    where, keys = f"/api/shows/{show.show_id}/picture", house.studio.keys
    word = "open" if access == "public" else keys.word(show.show_id)
    for name in NAMES:
        answer = await house.http.get(f"/video/{show.show_id}/{word}/{name}")
        assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store"), name
    for headers in ({}, bearer(house, ANA), bearer(house, STRANGER)):
        answer = await house.http.get(where, headers=headers)
        word = answer.json()["live"].split("/")[3] if answer.status_code == 200 else ""
        assert not keys.opens(word, show.show_id, staff=True)

    mine = (await house.http.get(where, headers=bearer(house))).json()["live"]
    for name in NAMES:
        answer = await house.http.get(mine.replace("live.m3u8", name))
        assert answer.status_code == 200, name
        assert not answer.headers["cache-control"].startswith("public"), name
    other = await house.show(live=False)
    assert (await house.http.get(mine.replace(show.show_id, other.show_id))).status_code == 403


async def test_a_show_that_was_cancelled_shows_nothing_of_what_was_filmed(house: House) -> None:
    show = await house.show(live=False)
    await published(house, show.show_id)
    await house.dated(show.show_id, status="cancelled")
    for name in NAMES:
        assert (await house.http.get(f"/video/{show.show_id}/open/{name}")).status_code == 404, name


async def test_viewers_see_nothing_of_before_the_beginning_and_the_replay_nothing_of_after_the_end(
    house: House,
) -> None:
    """The show is the second segment, but for its last part."""
    show = await house.show()
    press(house.studio.folder_of(show.show_id), house.world.clock.now_ms() - 4000)
    screen = await house.studio.screen(show.show_id)
    first, second = screen.timeline.segments
    middle = second.parts[-1]
    at = f"/video/{show.show_id}/open"
    await house.dated(show.show_id, started_at_ms=round(second.programme_ms))
    names = [each for each in (await house.http.get(f"{at}/live.m3u8")).text.splitlines() if ".m4s" in each]
    assert names
    assert not any(re.search(rf"\b{part.number}(-\d+)?\.m4s", name) for part in first.parts for name in names)
    for part in first.parts:
        for name in (f"{part.number}.m4s", f"{part.number}-{second.parts[0].number}.m4s", f"sound/{part.number}.m4s"):
            assert (await house.http.get(f"{at}/{name}")).status_code == 404, name
    assert (await house.http.get(f"{at}/{second.parts[0].number}.m4s")).status_code == 200

    await house.world.do(show.show_id, c.End())
    await house.dated(show.show_id, ended_at_ms=round(middle.programme_ms))
    told = (await house.http.get(f"/api/shows/{show.show_id}/replay")).json()
    assert told["begins_at_ms"] == second.programme_ms
    seen = f"{second.parts[0].number}-{middle.number - 1}.m4s"
    for kind in ("picture", "sound"):
        replay = await house.http.get(told[kind])
        assert re.findall(r"^\d.*m4s$", replay.text, re.M) == [seen]
        assert (await house.http.get(f"{told[kind]}?from=0&to=9999999999999")).text == replay.text
    assert told["length_ms"] == pytest.approx(middle.programme_ms - second.programme_ms, abs=1)
    file = await house.http.get(f"/api/staff/shows/{show.show_id}/recording/0.mp4", headers=bearer(house))
    assert len(file.content) > screen.timeline.parts[-1].offset  # the merchant's own is whole


async def nearly_all(house: House, camera: ClientConnection, show_id: str) -> tuple[Screen, list[tuple[int, bytes]]]:
    """A camera that has sent all but its last chunks, and those with their numbers; what came can be looked at."""
    await begin(camera)
    everything = list(enumerate(chunks(film("webm-h264"))))
    for number, chunk in everything[:-4]:
        await camera.send(struct.pack(">Id", number, 0) + chunk)
    await heard(camera, "ack")
    screen = await house.studio.screen(show_id)
    while not screen.timeline.parts:
        screen.look()
        await asyncio.sleep(0.01)
    return screen, everything[-4:]


async def test_who_waits_for_a_show_sees_it_as_soon_as_a_picture_stands_alone(house: House) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        screen, rest = await nearly_all(house, camera, show.show_id)
        begins_ms = screen.timeline.segments[0].programme_ms  # the next one stands alone too, and is still to come
        await house.dated(show.show_id, started_at_ms=round(begins_ms) + 501)
        waiting = asyncio.create_task(house.http.get(f"/video/{show.show_id}/open/live.m3u8", timeout=30))
        for number, chunk in rest:
            await camera.send(struct.pack(">Id", number, 0) + chunk)
        await camera.send(json.dumps({"type": "finish"}))
        assert ".m4s" in (await waiting).text


async def test_what_is_not_there_yet_is_kept_by_no_cache(house: House) -> None:
    """A cache that keeps "not found" of the part that comes next would keep it from everybody."""
    show = await house.show()
    await published(house, show.show_id)
    for name in ("99.m4s", "9.mp4", "live.m3u8?_HLS_msn=500"):
        answer = await house.http.get(f"/video/{show.show_id}/open/{name}")
        assert answer.status_code >= 400
        assert answer.headers["cache-control"] == "no-store", name


async def test_a_player_that_waits_is_answered_when_the_part_is_there(house: House) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        screen, rest = await nearly_all(house, camera, show.show_id)
        segment, part = len(screen.timeline.segments) - 1, len(screen.timeline.segments[-1].parts)
        url = f"/video/{show.show_id}/open/live.m3u8?_HLS_msn={segment}&_HLS_part={part}"
        waiting = asyncio.create_task(house.http.get(url, timeout=30))
        for number, chunk in rest:
            await camera.send(struct.pack(">Id", number, 0) + chunk)
        await camera.send(json.dumps({"type": "finish"}))
        answer = await waiting

    assert answer.status_code == 200
    assert screen.timeline.has(segment, part)


async def test_a_line_that_broke_goes_on_where_it_was(house: House) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        for number, chunk in list(enumerate(chunks(film("webm-h264"))))[:3]:
            await camera.send(struct.pack(">Id", number, 0) + chunk)
            await heard(camera, "ack")
        camera.transport.abort()
    async with house.camera(show.show_id) as camera:
        assert (await begin(camera))["next"] == 3
        await send(camera, first=3)
        await camera.send(json.dumps({"type": "finish"}))
        screen = await house.studio.screen(show.show_id)
        while screen.timeline.duration_ms < 3800:
            screen.look()
            await asyncio.sleep(0.01)
    assert list(screen.timeline.epochs) == [0]


async def test_a_show_has_one_camera_at_a_time(house: House) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera, house.camera(show.show_id) as second:
        await begin(camera)
        assert (await begin(second, epoch="epoch-02"))["number"] == R.VIDEO_TAKEN.value.number
        await second.send(struct.pack(">Id", 0, 0) + b"not yours")
        assert (await heard(second, "refused"))["number"] == R.MALFORMED.value.number
        await second.send(json.dumps({"type": "finish"}))
        assert await send(camera) == len(chunks(film("webm-h264")))


async def test_a_camera_that_comes_back_takes_the_place_of_its_own_dead_line(house: House) -> None:
    """A phone that changed networks: the server still takes the old line for alive."""
    show = await house.show()
    async with house.camera(show.show_id) as old, house.camera(show.show_id) as new:
        await begin(old)
        for number, chunk in list(enumerate(chunks(film("webm-h264"))))[:3]:
            await old.send(struct.pack(">Id", number, 0) + chunk)
            await heard(old, "ack")
        assert (await begin(new))["next"] == 3
        with pytest.raises(ConnectionClosed):
            await heard(old, "never")
        assert await send(new, first=3) == len(chunks(film("webm-h264")))
        await new.send(json.dumps({"type": "finish"}))
        screen = await house.studio.screen(show.show_id)
        while screen.timeline.duration_ms < 3800:
            screen.look()
            await asyncio.sleep(0.01)
    assert list(screen.timeline.epochs) == [0]


async def test_another_line_that_left_before_a_camera_began_takes_nothing_from_it(house: House) -> None:
    """Whoever leaves last lets the show go, also while a camera is about to begin."""
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await heard(camera, "health")
        before = house.studio.publishing(show.show_id)
        async with house.camera(show.show_id) as second:
            await heard(second, "health")
        await nobody_films(house, show.show_id)
        assert (await begin(camera))["next"] == 0
        assert await send(camera) == len(chunks(film("webm-h264")))
        assert house.studio.publishing(show.show_id) is not before
        await camera.send(json.dumps({"type": "finish"}))
    await nobody_films(house, show.show_id)


async def test_a_pass_is_renewed_on_the_live_line(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_RENEW_BEFORE_MS", 10**13)
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        await heard(camera, "renew")
        await camera.send(json.dumps({"type": "token", "token": "nonsense"}))
        assert (await heard(camera, "refused"))["number"] == R.TOKEN_INVALID.value.number
        await camera.send(json.dumps({"type": "token", "token": house.token(ANA)}))
        assert (await heard(camera, "refused"))["number"] == R.FORBIDDEN.value.number
        await camera.send(json.dumps({"type": "token", "token": house.token(HOST)}))
        assert await send(camera) == len(chunks(film("webm-h264")))


async def standing(house: House, show_id: str) -> tuple[str, str]:
    """The show's status, and why its picture is away as the desk sees it."""
    await house.pictures.tell()
    await house.world.shows.filmed.watch()
    show = await house.world.shows.for_staff(HOST, show_id)
    assert show.picture is not None
    return show.show.status, show.picture.away


async def slated(house: House, clock: TestClock, show_id: str) -> str:
    """Second by second until the machine's slate comes: why, as the desk sees it."""
    while (told := await standing(house, show_id))[0] != "interrupted":
        await clock.advance(1.0)
        await asyncio.sleep(0)
    return told[1]


async def own_show(house: House) -> ShowFacts:
    show = await house.show()
    await house.world.shows.planning.edit(HOST, show.show_id, EditShow(video=NewVideo("own")))
    return show


async def comes(house: House, show_id: str) -> None:
    """Until pieces of its picture came in this process."""
    while not house.studio.news_of_pictures().get(show_id, (False,))[0]:  # noqa: ASYNC110 - ffmpeg is waited for
        await asyncio.sleep(0.01)


async def test_a_camera_whose_line_breaks_is_a_slate_that_goes_when_it_is_back(house: House, clock: TestClock) -> None:
    show = await own_show(house)
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        await send(camera, last=4)
        await comes(house, show.show_id)
        assert await standing(house, show.show_id) == ("live", "")
    while house.studio.publishing(show.show_id).state != "cut":  # type: ignore[union-attr]  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert await slated(house, clock, show.show_id) == "line"

    async with house.camera(show.show_id) as camera:
        assert (await begin(camera))["next"] == 4  # its own epoch goes on
        for first in (4, 8):
            await send(camera, first=first, last=first + 4)
            await comes(house, show.show_id)
            await clock.advance(1.0)
            told = await standing(house, show.show_id)
        assert told == ("live", "")


async def test_an_encoder_that_goes_away_is_a_slate_too_and_stopping_is_told_from_breaking(
    house: House, clock: TestClock
) -> None:
    show = await own_show(house)
    key = house.studio.keys.stream_key(show.show_id)
    assert await encoded(house, key, 2.0) == 0  # it said goodbye
    await nobody_films(house, show.show_id)
    assert await slated(house, clock, show.show_id) == "stopped"

    encoder = await start_encoder(house, key, 600.0, realtime=True)
    while (await standing(house, show.show_id))[0] != "live":
        await comes(house, show.show_id)
    encoder.kill()
    await encoder.wait()
    await nobody_films(house, show.show_id)
    assert await slated(house, clock, show.show_id) == "line"


async def test_what_was_told_is_not_told_again_and_a_ledger_that_is_away_hears_it_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await own_show(house)
    await published(house, show.show_id)
    await nobody_films(house, show.show_id)  # else there is news between two looks

    async def away(*_: object) -> None:
        raise Refused(R.BUSY)

    with monkeypatch.context() as patched:
        patched.setattr(house.world.shows.filmed, "report", away)
        with pytest.raises(Refused):
            await house.pictures.tell()
    assert await house.pictures.tell() == 1
    assert await house.pictures.tell() == 0


async def test_a_recording_that_was_removed_is_said_to_be_gone_and_the_rest_of_the_replay_stays(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)
    card = await house.world.card(show.show_id)
    await house.world.do(show.show_id, c.ShowCard(card.card_id))
    await house.over(show.show_id)
    path, staff = f"/api/shows/{show.show_id}/replay", {"authorization": f"Bearer {house.token(HOST)}"}
    recording = f"/api/staff/shows/{show.show_id}/recording"
    assert (await house.http.get(path)).json()["removed"] is False
    facts = (await house.http.get(recording, headers=staff)).json()
    assert (facts["state"], facts["until_ms"]) == ("", None)
    assert facts["bytes"] > 50_000
    assert facts["length_ms"] == pytest.approx(4000, abs=150)
    kept = await house.http.put(recording, headers=staff, json={"keep": True})
    assert (kept.status_code, kept.json()["state"]) == (200, "kept")
    assert not await house.world.shows.recordings.removed(show.show_id, 1)
    assert (await house.http.put(recording, headers=staff, json={"keep": False})).json()["state"] == ""
    assert await house.world.shows.recordings.removed(show.show_id, 1)

    told = (await house.http.get(path)).json()
    assert (told["picture"], told["removed"]) == ("", True)
    assert [chapter["card_id"] for chapter in told["chapters"]] == [card.card_id]
    assert (await house.http.put(recording, headers=staff, json={"keep": True})).json()["number"] == R.GONE.value.number
    assert (await house.http.get(recording, headers=staff)).json()["state"] == "removed"
    assert (await house.http.get(recording)).status_code == 401
    stranger = {"authorization": f"Bearer {house.token(STRANGER)}"}
    assert (await house.http.put(recording, headers=stranger, json={"keep": True})).status_code == 403


async def test_only_hosts_of_the_show_send(house: House) -> None:
    show = await house.show()

    assert (await house.refusal(show.show_id, ANA))[0] == R.FORBIDDEN.value.number
    assert (await house.refusal(show.show_id, STRANGER))[0] == R.FORBIDDEN.value.number
    assert (await house.refusal(show.show_id, None))[0] == R.SIGN_IN.value.number
    assert (await house.refusal("shw_nothing0000", HOST))[0] == R.NOT_FOUND.value.number
    foreign = await house.refusal(show.show_id, HOST, origin="https://elsewhere.example")
    assert foreign[0] == R.ORIGIN.value.number
    assert (await house.http.get(f"/video/{show.show_id}/open/live.m3u8")).status_code == 404


@pytest.mark.parametrize(
    "message",
    [b"", b"\0" * 12, "", "nonsense", "{}", '{"type":"begin"}', '{"type":"begin","epoch":"x","mime":"y"}', "[1]"],
)
async def test_what_is_no_message_is_refused_by_number_and_the_camera_goes_on(
    house: House, message: bytes | str
) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await camera.send(message)
        assert (await heard(camera, "refused"))["number"] == R.MALFORMED.value.number
        assert (await begin(camera))["next"] == 0
        assert await send(camera) == len(chunks(film("webm-h264")))


async def test_a_format_that_cannot_be_taken_says_so(house: House) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await camera.send(json.dumps({"type": "begin", "epoch": "epoch-01", "mime": "image/gif"}))
        told = await heard(camera, "refused")
    assert told["number"] == R.VIDEO_FORMAT.value.number
    assert not told["again"]


async def test_nobody_films_on_after_the_end_of_the_show(house: House) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        await send(camera)
        await house.world.do(show.show_id, c.End())
        with pytest.raises(ConnectionClosed) as closed:
            await refused_until_closed(camera)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == Close.FORBIDDEN
    assert (await house.refusal(show.show_id, HOST))[0] == R.SHOW_OVER.value.number


AWAY = [OSError("no route to host"), OperationalError("SELECT", {}, Exception("gone")), Refused(R.UNAVAILABLE)]


def ledger_away(house: House, monkeypatch: pytest.MonkeyPatch, error: Exception = AWAY[1]) -> None:
    async def away(*_: object) -> None:
        raise error

    monkeypatch.setattr(house.world.shows, "facts", away)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_a_camera_films_on_while_the_ledger_is_away_and_ends_with_its_show_when_it_is_back(
    house: House, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_HEALTH_SECONDS", 0.02)
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        with monkeypatch.context() as patched:
            ledger_away(house, patched, error)
            for number, chunk in enumerate(chunks(film("webm-h264"))):
                await camera.send(struct.pack(">Id", number, 0) + chunk)
                assert (await heard(camera, "ack"))["next"] == number + 1
                await heard(camera, "health")
        await house.over(show.show_id)
        with pytest.raises(ConnectionClosed):
            await refused_until_closed(camera)


@pytest.mark.parametrize("access", ["public", "invited"])
async def test_players_fetch_on_while_the_ledger_is_away(
    house: House, access: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await house.show(access=access)
    press(house.studio.folder_of(show.show_id), house.world.clock.now_ms())
    word = "open" if access == "public" else house.studio.keys.word(show.show_id)
    at = f"/video/{show.show_id}/{word}"
    assert (await house.http.get(f"{at}/live.m3u8")).status_code == 200
    ledger_away(house, monkeypatch)
    for name in ("live.m3u8", "0.mp4", "1.m4s"):
        assert (await house.http.get(f"{at}/{name}")).status_code == 200


async def test_who_was_let_in_stays_where_the_ledger_cannot_say_who_she_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_ASKED_AGAIN_MS", 0)
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        with monkeypatch.context() as patched:

            async def away(*_: object) -> None:
                raise AWAY[0]

            patched.setattr(house.parts.door, "verify_socket", away)
            await camera.send(json.dumps({"type": "token", "token": house.token(HOST)}))  # it was to be believed
            for number, chunk in enumerate(chunks(film("webm-h264"))):
                await camera.send(struct.pack(">Id", number, 0) + chunk)
                assert (await heard(camera, "ack", "refused"))["type"] == "ack"
        await camera.send(json.dumps({"type": "token", "token": house.token(ANA)}))
        assert (await heard(camera, "refused"))["number"] == R.FORBIDDEN.value.number


async def test_encoders_and_callers_stay_while_the_ledger_is_away_and_go_with_their_show(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livecommerce.gateway.looking._PATIENCE_SECONDS", 60.0)
    show, clock = await house.show(), TestClock()
    callers = Callers(SimpleNamespace(**vars(house.parts) | {"clock": clock}))
    feed, hung_up = Feed(house.parts, show.show_id, lambda: None), asyncio.Event()
    listener: Any = SimpleNamespace(hang_up=hung_up.set)
    watching = asyncio.create_task(callers._hang_up_at_the_end(feed, listener))
    await asyncio.sleep(0)
    for error in AWAY:
        with monkeypatch.context() as patched:
            ledger_away(house, patched, error)
            await feed.look()
            feed._looked_at = 0.0
            await clock.advance(2.0)
    assert not watching.done()
    assert not hung_up.is_set()
    await house.over(show.show_id)
    with pytest.raises(Refused, match="over"):
        await feed.look()
    while not hung_up.is_set():
        await clock.advance(2.0)
        await asyncio.sleep(0.01)
    watching.cancel()


@pytest.mark.parametrize("access", ["public", "invited"])
async def test_a_show_that_is_over_ends_its_live_playlist_whoever_filmed_it_and_however_that_ended(
    house: House, access: Any
) -> None:
    """Players that are not our page know the end by nothing else; nobody need be there to write it down."""
    show = await house.show(access=access)
    press(house.studio.folder_of(show.show_id), house.world.clock.now_ms() - 4000)
    word = "open" if access == "public" else house.studio.keys.word(show.show_id)
    staff = house.studio.keys.word(show.show_id, staff=True)
    at = [f"/video/{show.show_id}/{each}" for each in (word, staff)]
    await house.world.do(show.show_id, c.End())
    await house.dated(show.show_id, ended_at_ms=RealClock().now_ms() + 60_000)
    for each in at:  # what was still on its way comes within seconds
        assert "ENDLIST" not in (await house.http.get(f"{each}/live.m3u8")).text
    await house.dated(show.show_id, ended_at_ms=house.world.clock.now_ms() - 10_000)
    for each in at:
        # Another address than before: one answer is for all who ask within a tenth of a second.
        for name in ("live.m3u8?again=1", "sound/live.m3u8", "live.m3u8?_HLS_msn=2&_HLS_part=0"):
            told = (await house.http.get(f"{each}/{name}")).text  # at once: nothing more is waited for
            assert told.endswith("4-7.m4s\n#EXT-X-ENDLIST\n"), name
        assert (await house.http.get(f"{each}/8.m4s")).status_code == 404


async def test_health_is_told_every_second(house: House) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        await send(camera)
        health = (await heard(camera, "health"))["health"]
    assert health["state"] == "sending"


async def test_the_picture_of_an_invited_show_opens_by_a_signed_word_alone(house: House) -> None:
    show = await house.show(access="invited")
    await published(house, show.show_id)
    where = f"/api/shows/{show.show_id}/picture"

    assert (await house.http.get(where)).status_code == R.NOT_INVITED.value.status
    stranger = await house.http.get(where, headers={"authorization": f"Bearer {house.token(BEA)}"})
    assert stranger.status_code == R.NOT_INVITED.value.status
    host = await house.http.get(where, headers={"authorization": f"Bearer {house.token(HOST)}"})
    live = host.json()["live"]
    assert (await house.http.get(live)).status_code == 200
    for kind in ("", "sound/"):
        part = await house.http.get(live.replace("live.m3u8", f"{kind}0.m4s"))
        assert part.headers["cache-control"] == "private, max-age=31536000, immutable"

    word = live.split("/")[3]
    until, _, signature = word.partition("-")
    other = await house.show(access="invited")
    for bad in ("open", "x", "-", f"{int(until, 16) + 3600:x}-{signature}", f"{until}-{signature[:-1]}0" + "0"):
        for name in ("live.m3u8", "replay.m3u8", "0.mp4", "0.m4s", "sound/live.m3u8", "sound/0.m4s"):
            answer = await house.http.get(live.replace(word, bad).replace("live.m3u8", name))
            assert (answer.status_code, answer.headers["cache-control"]) == (403, "no-store"), (bad, name)
    assert not house.studio.keys.opens(word, other.show_id)
    assert house.studio.keys.opens(word, show.show_id)


async def test_a_signed_word_ends(house: House, settings: Settings) -> None:
    clock = TestClock()
    studio = Studio(settings, clock)
    word = studio.keys.word("shw_000000000001")
    assert studio.keys.opens(word, "shw_000000000001")
    await clock.advance(WORD_HOURS * 3600)
    assert not studio.keys.opens(word, "shw_000000000001")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("99.mp4", 404), ("99.m4s", 404), ("0-999.m4s", 404), ("3-1.m4s", 404), ("x.m4s", 404), ("index.ndjson", 404),
        ("..%2Flock", 404), ("0.mp4.m4s", 404), ("99999999999999.m4s", 404),
        ("live.m3u8?_HLS_msn=x", 400), ("live.m3u8?_HLS_part=1", 400), ("live.m3u8?_HLS_msn=500", 400),
        ("live.m3u8?_HLS_msn=-1", 400),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_not_found_and_nonsense_is_refused(house: House, name: str, status: int) -> None:
    show = await house.show()
    await published(house, show.show_id)

    assert (await house.http.get(f"/video/{show.show_id}/open/{name}", timeout=30)).status_code == status


async def test_a_show_that_never_filmed_has_no_picture(house: House) -> None:
    show = await house.show()

    assert (await house.http.get(f"/video/{show.show_id}/open/live.m3u8")).status_code == 404
    assert (await house.http.get("/video/shw_nothing0000/open/live.m3u8")).status_code == 404
    assert (await house.http.get("/api/shows/shw_nothing0000/picture")).status_code == 404


async def test_a_show_may_be_planned_with_a_picture_of_our_own(house: House) -> None:
    show = await house.show()
    facts = await house.world.shows.planning.edit(HOST, show.show_id, EditShow(video=NewVideo("own")))
    assert facts.video.kind == "own"


async def test_a_show_that_is_over_is_told_again_with_its_recording(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)
    card = await house.world.card(show.show_id)
    await house.world.do(show.show_id, c.ShowCard(card.card_id))
    path = f"/api/shows/{show.show_id}/replay"
    assert (await house.http.get(path)).json()["number"] == R.WRONG_STATE.value.number
    await house.over(show.show_id)

    told = (await house.http.get(path)).json()
    assert [chapter["card_id"] for chapter in told["chapters"]] == [card.card_id]
    assert told["length_ms"] == pytest.approx(4000, abs=150)
    assert told["begins_at_ms"] is not None
    assert (await house.http.get(told["picture"])).text.endswith("#EXT-X-ENDLIST\n")
    whole, begins = (await house.http.get(told["picture"])).text, int(told["begins_at_ms"])
    assert (await house.http.get(f"{told['picture']}?from=0&to={begins + 60_000}")).text == whole
    assert "#EXTINF" not in (await house.http.get(f"{told['picture']}?from={begins + 60_000}")).text
    assert (await house.http.get(f"{told['picture']}?from=x")).status_code == 400
    assert (await house.http.get(f"/api/shows/{show.show_id}/chapters.vtt")).text.startswith("WEBVTT")


async def test_of_four_seconds_the_two_that_a_card_was_shown_are_its_clip(house: House) -> None:
    show = await house.show()
    card, other = await house.world.card(show.show_id), await house.world.card(show.show_id)
    filming = open_writer(house.studio.folder_of(show.show_id))
    filming.begin(HEADER, house.world.clock.now_ms())
    for number in range(8):  # half a second each
        filming.add(fragment(number))
    filming.close()
    for after, asked in (
        (2, c.ShowCard(card.card_id)), (2, c.HideCard(card.card_id)), (60, c.ShowCard(other.card_id)), (1, c.End()),
    ):  # fmt: skip
        await house.world.clock.advance(after)
        await house.world.do(show.show_id, asked)

    told = (await house.http.get(f"/api/shows/{show.show_id}/replay")).json()

    shown, after = told["chapters"]
    clip = (await house.http.get(shown["clip"])).text
    assert sum(map(float, re.findall(r"#EXTINF:([\d.]+)", clip))) == 2.0
    assert clip.endswith("#EXT-X-ENDLIST\n")
    assert shown["ends_at_ms"] - shown["at_ms"] == 2000
    assert (after["ends_at_ms"], after["clip"]) == (None, "")  # nothing of it was filmed


@pytest.mark.parametrize("query", ["", "?from=1", "?from=x&to=2", "?from=5&to=5", "?from=0&to=600001", "?from=-1&to=5"])
async def test_talk_is_asked_for_by_a_stretch(house: House, query: str) -> None:
    show = await house.show()
    await house.world.do(show.show_id, c.End())
    path = f"/api/shows/{show.show_id}/replay/lines"

    assert (await house.http.get(path + query)).json()["number"] == R.MALFORMED.value.number
    assert (await house.http.get(f"{path}?from=0&to=1000")).json() == {"lines": [], "more": False}


async def test_a_show_that_was_not_filmed_is_told_again_without_a_picture(house: House) -> None:
    show = await house.show()
    await house.world.do(show.show_id, c.End())

    told = (await house.http.get(f"/api/shows/{show.show_id}/replay")).json()
    assert (told["picture"], told["begins_at_ms"], told["length_ms"]) == ("", None, 0)
    assert (await house.http.get(f"/api/shows/{show.show_id}/chapters.vtt")).status_code == 404


async def test_the_replay_of_an_invited_show_is_for_the_invited(house: House) -> None:
    show = await house.show(access="invited")
    await house.world.do(show.show_id, c.End())
    path = f"/api/shows/{show.show_id}/replay"

    assert (await house.http.get(path)).json()["number"] == R.NOT_INVITED.value.number
    assert (await house.http.get(f"{path}/lines?from=0&to=9")).json()["number"] == R.NOT_INVITED.value.number
    host = {"authorization": f"Bearer {house.token(HOST)}"}
    assert (await house.http.get(path, headers=host)).status_code == 200


async def test_the_merchant_takes_the_recording_home(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)
    path = f"/api/staff/shows/{show.show_id}/recording"
    host = {"authorization": f"Bearer {house.token(HOST)}"}

    file = await house.http.get(f"{path}/0.mp4", headers=host)
    assert file.content[4:8] == b"ftyp"
    assert f'filename="{show.show_id}-0.mp4"' in file.headers["content-disposition"]
    assert (await house.http.get(f"{path}/0.mp4")).status_code == 401
    for name in ("1", "x", "²", "9999999999"):
        assert (await house.http.get(f"{path}/{name}.mp4", headers=host)).status_code == 404
    stranger = {"authorization": f"Bearer {house.token(STRANGER)}"}
    assert (await house.http.get(f"{path}/0.mp4", headers=stranger)).status_code == R.FORBIDDEN.value.status


async def test_the_merchant_is_told_every_piece_of_a_recording_that_had_a_break(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)
    await published(house, show.show_id, epoch=2)
    host = {"authorization": f"Bearer {house.token(HOST)}"}

    facts = (await house.http.get(f"/api/staff/shows/{show.show_id}/recording", headers=host)).json()

    pieces = facts["pieces"]
    assert [piece["length_ms"] for piece in pieces] == [pytest.approx(4000, abs=150)] * 2
    assert sum(piece["length_ms"] for piece in pieces) == pytest.approx(facts["length_ms"])
    assert pieces[1]["begins_at_ms"] > pieces[0]["begins_at_ms"]
    files = [(await house.http.get(piece["file"], headers=host)).content for piece in pieces]
    assert sum(map(len, files)) == facts["bytes"]
    assert all(file[4:8] == b"ftyp" for file in files)


async def test_what_a_card_was_shown_for_is_a_file_that_the_merchant_passes_on(house: House) -> None:
    """Two cards over eight seconds in which filming began anew once, in the middle of the second."""
    show = await house.show()
    now_ms = house.world.clock.now_ms()
    folder, path = house.studio.folder_of(show.show_id), f"/api/staff/shows/{show.show_id}/recording"
    press(folder, now_ms)
    press(folder, now_ms + 4500)
    first = await house.world.card(show.show_id)
    second = await house.world.card(show.show_id, title="Crème « Aube »")
    await house.world.do(show.show_id, c.ShowCard(first.card_id))
    await house.world.clock.advance(3)
    await house.world.do(show.show_id, c.ShowCard(second.card_id))
    assert (await house.http.get(path, headers=bearer(house))).json()["clips"] == []
    await house.over(show.show_id)

    clips = (await house.http.get(path, headers=bearer(house))).json()["clips"]

    assert [(clip["card_id"], clip["title"]) for clip in clips] == [
        (first.card_id, first.title), (second.card_id, "Crème « Aube »"), (second.card_id, "Crème « Aube »"),
    ]  # fmt: skip
    assert [clip["begins_at_ms"] - now_ms for clip in clips] == [
        pytest.approx(begin, abs=150) for begin in (0, 2000, 4500)
    ]
    assert [clip["length_ms"] for clip in clips] == [pytest.approx(length, abs=600) for length in (3000, 2000, 4000)]
    for clip in clips:
        file = await house.http.get(clip["file"], headers=bearer(house))
        assert (file.status_code, file.headers["content-type"]) == (200, "video/mp4")
        assert file.content[4:8] == b"ftyp"
        assert int(file.headers["content-length"]) == len(file.content)
    assert file.headers["content-disposition"] == "attachment; filename*=utf-8''Cr%C3%A8me%20%C2%AB%20Aube%20%C2%BB.mp4"


async def test_clips_are_the_staff_s_and_those_of_their_show(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    show = await house.show()
    path = f"/api/staff/shows/{show.show_id}/recording"
    press(house.studio.folder_of(show.show_id), house.world.clock.now_ms())
    card = await house.world.card(show.show_id)
    await house.world.do(show.show_id, c.ShowCard(card.card_id))
    clip = f"{path}/clips/0.mp4"
    assert (await house.http.get(clip, headers=bearer(house))).status_code == 404  # not before its end
    await house.over(show.show_id)

    assert (await house.http.get(clip)).status_code == 401
    assert (await house.http.get(clip, headers=bearer(house, STRANGER))).status_code == R.FORBIDDEN.value.status
    for name in ("1", "x", "²", "-1", "9999999999"):
        assert (await house.http.get(f"{path}/clips/{name}.mp4", headers=bearer(house))).status_code == 404, name
    with monkeypatch.context() as bare:
        bare.setenv("PATH", str(tmp_path))
        refused = await house.http.get(clip, headers=bearer(house))
    assert refused.json()["number"] == R.NO_FFMPEG.value.number
    assert (await house.http.get(clip, headers=bearer(house))).status_code == 200
    assert await house.world.shows.recordings.removed(show.show_id, 1)
    assert (await house.http.get(path, headers=bearer(house))).json()["clips"] == []


async def encoded(house: House, key: str, seconds: float = 3.0) -> int:
    """The exit code of a real encoder that sends a film with this key."""
    return await (await start_encoder(house, key, seconds)).wait()


async def start_encoder(
    house: House, key: str, seconds: float, *, realtime: bool = False
) -> asyncio.subprocess.Process:
    pace = ["-re"] if realtime else []
    return await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", *pace, "-f", "lavfi", "-i", "testsrc2=size=160x284:rate=15",
        "-f", "lavfi", "-i", "sine",
        "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-c:a", "aac", "-f", "flv",
        f"rtmp://127.0.0.1:{house.rtmp_port}/live/{key}", stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def nobody_films(house: House, show_id: str) -> None:
    while house.studio.publishing(show_id) is not None:  # noqa: ASYNC110 - ffmpeg's last fragment is waited for
        await asyncio.sleep(0.01)


async def test_an_encoder_with_the_shows_key_films_it(house: House) -> None:
    show = await house.show()
    host = {"authorization": f"Bearer {house.token(HOST)}"}
    key = (await house.http.get(f"/api/staff/shows/{show.show_id}/encoder", headers=host)).json()["key"]

    assert await encoded(house, key) == 0
    await nobody_films(house, show.show_id)
    screen = await house.studio.screen(show.show_id)
    screen.look()
    assert screen.timeline.duration_ms == pytest.approx(3000, abs=200)
    assert await encoded(house, key) == 0  # and again, as a new epoch
    await nobody_films(house, show.show_id)
    screen.look()
    assert list(screen.timeline.epochs) == [0, 1]


async def test_an_encoder_that_changes_its_size_without_a_word_begins_a_new_epoch(house: House, tmp_path: Path) -> None:
    """Under the first header its picture would be decoded as one of another size."""
    show = await house.show()
    source = tmp_path / "turned.flv"
    source.write_bytes(turned(3.0))
    key = house.studio.keys.stream_key(show.show_id)
    encoder = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", "-i", source, "-c", "copy", "-f", "flv",
        f"rtmp://127.0.0.1:{house.rtmp_port}/live/{key}", stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await encoder.wait() == 0
    await nobody_films(house, show.show_id)

    timeline = (await house.studio.screen(show.show_id)).timeline
    assert [(epoch.width, epoch.height) for epoch in timeline.epochs.values()] == [(160, 284), (284, 160)]
    for epoch in timeline.epochs:
        filmed = sum(part.duration_ms for part in timeline.parts if part.epoch == epoch)
        assert filmed == pytest.approx(3000, abs=200)


async def test_a_wrong_key_films_nothing(house: House) -> None:
    show, other = await house.show(), await house.show()
    key = house.studio.keys.stream_key(show.show_id)
    for wrong in ("x", key[:-1], key.replace(show.show_id, other.show_id), f"{show.show_id}."):
        assert await encoded(house, wrong) != 0
    for each in (show, other):
        assert (await house.http.get(f"/video/{each.show_id}/open/live.m3u8")).status_code == 404


async def test_an_encoder_is_refused_where_somebody_films_and_after_the_end(house: House) -> None:
    show = await house.show()
    key = house.studio.keys.stream_key(show.show_id)
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        assert await encoded(house, key) != 0
        assert await send(camera) == len(chunks(film("webm-h264")))
    await house.world.do(show.show_id, c.End())
    assert await encoded(house, key) != 0


VTT = "WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nGood evening\n"


async def test_captions_typed_or_uploaded_are_played_with_the_recording(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)
    await house.world.do(show.show_id, c.SayCaption("typed"))
    mine = {"authorization": f"Bearer {house.token(HOST)}"}
    upload, public = f"/api/staff/shows/{show.show_id}/captions", f"/api/shows/{show.show_id}/captions"

    async def put(body: str | bytes, language: str = "en", **headers: str) -> httpx.Response:
        return await house.http.put(f"{upload}/{language}", content=body, headers=headers or mine)

    assert (await put(VTT)).json()["number"] == R.WRONG_STATE.value.number
    assert (await house.http.get(f"{public}/en.vtt")).json()["number"] == R.WRONG_STATE.value.number
    await house.over(show.show_id)
    assert (await put(VTT, authorization=f"Bearer {house.token(ANA)}")).status_code in (401, 403)
    assert (await put(VTT, accept="*/*")).status_code == 401
    assert (await put(VTT, "English")).json()["number"] == R.MALFORMED.value.number
    assert (await put("1\n00:01,0 --> 00:02,0\nx")).json()["number"] == R.IMPORT.value.number
    assert (await put(VTT.replace("00:00:0", "01:00:0"))).json()["number"] == R.IMPORT.value.number
    assert (await put(b"WEBVTT" + bytes(1 << 20))).json()["number"] == R.TOO_LARGE.value.number
    told = (await house.http.get(f"/api/shows/{show.show_id}/replay")).json()
    assert told["captions"] == [{"language": "live", "lines": 1}]  # nothing of what was refused

    assert (await put(VTT.replace("Good", "Fair"))).json() == {"language": "en", "lines": 1}
    assert (await put(VTT)).json() == {"language": "en", "lines": 1}
    assert (await put(VTT, "zh-Hans")).status_code == 200
    told = (await house.http.get(f"/api/shows/{show.show_id}/replay")).json()
    assert [track["language"] for track in told["captions"]] == ["en", "zh-Hans", "live"]
    played = await house.http.get(f"{public}/en.vtt")
    assert played.headers["content-type"].startswith("text/vtt")
    assert played.text == VTT
    # The film's four seconds were sent in a moment, and the line came after them.
    assert (await house.http.get(f"{public}/live.vtt")).text.startswith("WEBVTT\n")
    assert (await house.http.get(f"{public}/fr.vtt")).status_code == 404

    staff = (await house.http.get(upload, headers=mine)).json()
    assert (staff["recorded"], staff["tracks"]) == (True, told["captions"])
    assert (await house.http.delete(f"{upload}/zh-Hans", headers=mine)).status_code == 200
    assert (await house.http.delete(f"{upload}/zh-Hans", headers=mine)).status_code == 404
    assert (await house.http.get(f"{public}/zh-Hans.vtt")).status_code == 404


async def test_a_show_has_so_many_caption_files_and_a_new_one_may_take_the_place_of_one(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)
    await house.over(show.show_id)
    mine = {"authorization": f"Bearer {house.token(HOST)}"}
    upload = f"/api/staff/shows/{show.show_id}/captions"
    for number in range(LANGUAGES_MAX):
        language = f"q{chr(ord('a') + number)}"
        assert (await house.http.put(f"{upload}/{language}", content=VTT, headers=mine)).status_code == 200
    full = await house.http.put(f"{upload}/en", content=VTT, headers=mine)
    assert full.json()["number"] == R.LIMIT.value.number
    assert (await house.http.put(f"{upload}/qa", content=VTT, headers=mine)).status_code == 200


async def test_a_show_that_was_not_filmed_has_nothing_to_caption(house: House) -> None:
    show = await house.show()
    await house.world.do(show.show_id, c.End())
    mine = {"authorization": f"Bearer {house.token(HOST)}"}
    refused = await house.http.put(f"/api/staff/shows/{show.show_id}/captions/en", content=VTT, headers=mine)
    assert refused.json()["number"] == R.NOT_FOUND.value.number
    assert (await house.http.get(f"/api/shows/{show.show_id}/captions/live.vtt")).status_code == 404


async def test_the_events_of_a_replay_are_read_page_by_page(house: House) -> None:
    show = await house.show()
    await house.world.do(show.show_id, c.End())
    path = f"/api/shows/{show.show_id}/replay"
    whole = (await house.http.get(path)).json()
    assert whole["next"] == 0
    first = whole["events"][0]["offset"]
    assert (await house.http.get(f"{path}/events?after={first}")).json()["events"] == whole["events"][1:]
    for bad in ("x", "-1", "\u0663", "9" * 16):
        assert (await house.http.get(f"{path}/events?after={bad}")).json()["number"] == R.MALFORMED.value.number


# --- SRT ------------------------------------------------------------------------------------------------------------


def bearer(house: House, who: Any = HOST) -> dict[str, str]:
    return {"authorization": f"Bearer {house.token(who)}"}


async def called(server: str, passphrase: str, kind: str = "ts", seconds: float = 3.0) -> int:
    """The exit code of a real encoder that sends a film by SRT at its pace."""
    encoder = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "quiet", "-re", "-f", "mpegts", "-i", "pipe:0", "-c", "copy", "-f", "mpegts",
        f"{server}?passphrase={passphrase}&pbkeylen=16", stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await encoder.communicate(film(kind, seconds))
    return encoder.returncode or 0


async def taken(house: House, facts: Any, passphrase: str, **film: Any) -> None:
    """Call until somebody listens there: the child needs a moment."""
    while await called(facts["server"], passphrase, **film) != 0:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def test_an_encoder_that_speaks_srt_films_its_show_and_no_other(house: House) -> None:
    show, other = await house.show(), await house.show()
    where = f"/api/staff/shows/{show.show_id}"
    before = (await house.http.get(f"{where}/encoder", headers=bearer(house))).json()
    assert before["srt"] == {"server": "", "passphrase": "", "said": ""}
    facts = (await house.http.post(f"{where}/srt", headers=bearer(house))).json()
    assert (await house.http.get(f"{where}/encoder", headers=bearer(house))).json()["srt"] == facts
    callers = Callers(house.parts)
    try:
        callers.look()
        assert await called(facts["server"], house.studio.keys.passphrase(other.show_id), seconds=1.0) != 0
        await taken(house, facts, facts["passphrase"])
        await nobody_films(house, show.show_id)
    finally:
        await callers.aclose()

    screen = await house.studio.screen(show.show_id)
    screen.look()
    assert screen.timeline.duration_ms > 0  # the line may lose some of it on a machine that is late
    assert (await house.http.get(f"/video/{other.show_id}/open/live.m3u8")).status_code == 404
    # The one port of this server is the show's until it is over.
    refused = await house.http.post(f"/api/staff/shows/{other.show_id}/srt", headers=bearer(house))
    assert refused.json()["word"] == "video_quota"


async def test_a_port_is_free_again_once_its_show_is_over(house: House) -> None:
    show, other = await house.show(), await house.show()
    assert (await house.http.post(f"/api/staff/shows/{show.show_id}/srt", headers=bearer(house))).status_code == 200
    await house.world.do(show.show_id, c.End())
    callers = Callers(house.parts)
    try:
        callers.look()
        while house.studio.srt_ports.claims():  # noqa: ASYNC110 - the line looks for itself
            await asyncio.sleep(0.01)
    finally:
        await callers.aclose()

    after = await house.http.post(f"/api/staff/shows/{show.show_id}/srt", headers=bearer(house))
    assert after.json()["word"] == "show_over"
    assert (await house.http.post(f"/api/staff/shows/{other.show_id}/srt", headers=bearer(house))).status_code == 200


async def test_a_line_that_cannot_be_taken_says_why_beside_its_address(house: House) -> None:
    show = await house.show()
    where = f"/api/staff/shows/{show.show_id}"
    facts = (await house.http.post(f"{where}/srt", headers=bearer(house))).json()
    callers = Callers(house.parts)
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        try:
            callers.look()
            while not (await house.http.get(f"{where}/encoder", headers=bearer(house))).json()["srt"]["said"]:
                await called(facts["server"], facts["passphrase"], seconds=1.0)
        finally:
            await callers.aclose()
        assert await send(camera) == len(chunks(film("webm-h264")))
    said = (await house.http.get(f"{where}/encoder", headers=bearer(house))).json()["srt"]["said"]
    assert said == R.VIDEO_TAKEN.value.text


# --- a film as if it were live --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four seconds, exported whole: what a merchant uploads."""
    folder = tmp_path_factory.mktemp("evening")
    (folder / "made").write_bytes(film("mp4"))
    command = ["ffmpeg", "-v", "error", "-i", folder / "made", "-c", "copy", folder / "evening.mp4"]
    subprocess.run(command, check=True, timeout=60)
    return (folder / "evening.mp4").read_bytes()


async def upload(house: House, show_id: str, data: bytes) -> httpx.Response:
    where = f"/api/staff/shows/{show_id}/film"
    return await house.http.put(where, params={"name": "evening.mp4"}, content=data, headers=bearer(house))


async def film_show(house: House, **video: Any) -> ShowFacts:
    return await house.show(video=NewVideo("own", source="film", **video))


@contextlib.asynccontextmanager
async def films_running(house: House) -> AsyncIterator[Showings]:
    """What a web process does once a second, by hand; the programme's clock is the test's."""
    running = Showings(SimpleNamespace(**vars(house.parts) | {"clock": house.world.clock}))
    try:
        yield running
    finally:
        await running.aclose()


async def recorded(house: House, show_id: str, at_least_ms: float) -> Any:
    while True:
        with contextlib.suppress(Refused):
            screen = await house.studio.screen(show_id)
            screen.look()
            if screen.timeline.duration_ms >= at_least_ms:
                return screen.timeline
        await asyncio.sleep(0.02)


async def test_a_film_goes_out_at_its_pace_as_the_picture_of_its_show(house: House, evening: bytes) -> None:
    show = await film_show(house)
    found = await upload(house, show.show_id, evening)
    assert (found.status_code, found.json()["made_anew"], found.json()["trouble"]) == (200, False, "")
    async with films_running(house) as running:
        await running.look()
        await running.look()  # it runs once
        await recorded(house, show.show_id, 3500)
        await nobody_films(house, show.show_id)
        await house.world.clock.advance(4)
        await running.look()  # it is over
        assert house.studio.publishing(show.show_id) is None
    where = (await house.http.get(f"/api/shows/{show.show_id}/picture")).json()
    assert "#EXTM3U" in (await house.http.get(where["live"])).text


async def test_a_film_goes_on_while_the_ledger_is_away(
    house: House, evening: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await film_show(house)
    await upload(house, show.show_id, evening)
    async with films_running(house) as running:
        await running.look()
        await recorded(house, show.show_id, 1)
        ledger_away(house, monkeypatch)
        await recorded(house, show.show_id, 3500)
        monkeypatch.undo()


async def test_after_a_crash_a_film_goes_on_where_viewers_expect_it(house: House, evening: bytes) -> None:
    show = await film_show(house)
    await upload(house, show.show_id, evening)
    await house.world.clock.advance(2.1)
    async with films_running(house) as running:
        await running.look()
        await recorded(house, show.show_id, 1000)
        await nobody_films(house, show.show_id)
    timeline = await recorded(house, show.show_id, 1000)
    assert timeline.duration_ms < 2600  # what was left of four seconds, from a keyframe on


async def test_a_film_that_waits_for_the_host_begins_with_her_tap_and_ends_with_the_show(
    house: House, evening: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await film_show(house, by_hand=True, loop=True)
    await upload(house, show.show_id, evening)
    async with films_running(house) as running:
        await running.look()
        assert house.studio.publishing(show.show_id) is None
        tap = NewVideo("own", source="film", by_hand=True, loop=True, restart=True)
        await house.world.shows.planning.edit(HOST, show.show_id, EditShow(video=tap))
        await running.look()
        await recorded(house, show.show_id, 500)
        await house.world.do(show.show_id, c.End())
        await house.world.clock.advance(2)  # facts are at most a second old
        await nobody_films(house, show.show_id)


async def test_two_processes_do_not_show_a_film_twice_and_a_camera_keeps_its_place(
    house: House, evening: bytes
) -> None:
    show = await film_show(house)
    await upload(house, show.show_id, evening)
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        async with films_running(house) as running, films_running(house) as second:
            await running.look()
            await second.look()
            assert await send(camera) == len(chunks(film("webm-h264")))
    film_now = await house.http.get(f"/api/staff/shows/{show.show_id}/film", headers=bearer(house))
    assert film_now.json()["trouble"] == ""


async def test_a_film_that_cannot_be_converted_now_says_why(house: House, tmp_path: Path) -> None:
    (tmp_path / "vp8").write_bytes(film("webm-vp8", 2.0))
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "vp8"), "-c", "copy", str(tmp_path / "whole.webm")]
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
    show = await film_show(house)
    found = await upload(house, show.show_id, (tmp_path / "whole.webm").read_bytes())
    assert found.json()["made_anew"]
    while house.studio.transcodes.free:
        house.studio.transcodes.take()
    where = f"/api/staff/shows/{show.show_id}/film"
    async with films_running(house) as running:
        await running.look()
        while not (await house.http.get(where, headers=bearer(house))).json()["trouble"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        house.studio.transcodes.give_back()
        await running.look()
        await recorded(house, show.show_id, 500)
        assert (await house.http.get(where, headers=bearer(house))).json()["trouble"] == ""


async def test_only_the_shows_own_staff_uploads_and_a_refusal_leaves_nothing(house: House, evening: bytes) -> None:
    show = await film_show(house)
    where = f"/api/staff/shows/{show.show_id}/film"

    assert (await house.http.put(where, content=evening)).status_code == 401
    for who, status in ((ANA, 401), (STRANGER, 403)):
        answer = await house.http.put(where, content=evening, headers=bearer(house, who))
        assert answer.status_code in (status, 403), who
    assert (await upload(house, show.show_id, b"a letter and no film, whatever it is called")).json()["word"] == "film"
    too_large = await upload(house, show.show_id, evening + bytes(1_000_000))
    assert (too_large.status_code, too_large.json()["word"]) == (413, "too_large")
    assert (await house.http.get(where, headers=bearer(house))).status_code == 404
    assert (await upload(house, show.show_id, evening)).status_code == 200
    assert (await house.http.delete(where, headers=bearer(house))).status_code == 200
    assert (await house.http.get(where, headers=bearer(house))).status_code == 404
    await house.world.do(show.show_id, c.End())
    assert (await upload(house, show.show_id, evening)).json()["word"] == "show_over"


# --- which sources there are ----------------------------------------------------------------------------------------


async def test_a_host_is_told_where_pictures_may_come_from(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    found = (await house.http.get("/api/staff/video/sources", headers=bearer(house))).json()
    asks = {row["name"]: row["asks"] for row in found["sources"]}
    assert asks == {"own": "nothing", "film": "film", "hls": "address", "file": "address", "youtube": "address"}
    assert (found["films"], found["film_mb_max"]) == (True, 1)
    assert (await house.http.get("/api/staff/video/sources")).status_code == 401
    monkeypatch.setattr("livecommerce.gateway.http.video.find_ffmpeg", lambda: None)
    assert not (await house.http.get("/api/staff/video/sources", headers=bearer(house))).json()["films"]
    show = await house.show()
    refused = await house.http.post(f"/api/staff/shows/{show.show_id}/srt", headers=bearer(house))
    assert refused.json()["word"] == "no_ffmpeg"
    assert house.studio.srt_ports.claims() == {}


async def test_a_picture_at_mediamtx_is_found_with_a_word_where_it_is_not_for_everybody(house: House) -> None:
    settings = dataclasses.replace(
        house.parts.settings, mediamtx_url="https://media.example.com", mediamtx_ingest=("rtmp://media.example.com",)
    )
    house.parts.adapters = adapters(settings, RealClock(), house.world.shows.facts)
    video = NewVideo("hls", "https://media.example.com", source="mediamtx", signed=True)
    public, invited = await house.show(video=video), await house.show(video=video, access="invited")

    found = (await house.http.get(f"/api/shows/{public.show_id}/picture")).json()
    assert found == {"live": f"https://media.example.com/{public.show_id}/index.m3u8", "replay": "", "sound": ""}
    where = f"/api/shows/{invited.show_id}/picture"
    assert (await house.http.get(where)).status_code == R.NOT_INVITED.value.status
    live = (await house.http.get(where, headers=bearer(house))).json()["live"]
    address, _, word = live.partition("?word=")
    assert address == f"https://media.example.com/{invited.show_id}/index.m3u8"
    assert house.studio.keys.opens(word, invited.show_id)
    ways = (await house.http.get(f"/api/staff/shows/{public.show_id}/encoder", headers=bearer(house))).json()["ways"]
    key = house.studio.keys.stream_key(public.show_id)
    assert [way["server"] for way in ways] == [f"rtmp://media.example.com/{public.show_id}?user=host&pass={key}"]
