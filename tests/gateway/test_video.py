"""The picture from a camera's socket to a player's requests: who may send, who may watch, and what each is told."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from livecommerce.clock import RealClock, TestClock
from livecommerce.errors import Close, R
from livecommerce.gateway import publish
from livecommerce.gateway.api import routes_of
from livecommerce.gateway.door import Door
from livecommerce.gateway.encoders import Encoders
from livecommerce.gateway.http.replay import table as replays
from livecommerce.gateway.http.video import PLAYLIST_TYPE, table
from livecommerce.gateway.http_line import HttpLines, make_http_line
from livecommerce.gateway.publish import SUBPROTOCOL, publish_endpoint
from livecommerce.gateway.wheel import Wheel
from livecommerce.ledger.database import Database
from livecommerce.people.identity import StaffIdentity
from livecommerce.people.service import People
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import ShowFacts
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.plans import EditShow, NewVideo
from livecommerce.video.studio import WORD_HOURS, Studio
from tests.shows.world import ANA, BEA, HOST, STRANGER, World
from tests.video.films import MIMES, chunks, film, needs_ffmpeg

pytestmark = [needs_ffmpeg, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


class House:
    def __init__(self, world: World, people: People, studio: Studio, port: int, rtmp_port: int) -> None:
        self.world = world
        self.people = people
        self.studio = studio
        self.port = port
        self.rtmp_port = rtmp_port
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

    async def show(self, **facts: Any) -> ShowFacts:
        return await self.world.show(**facts)


@pytest.fixture
async def house(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[House]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()
    people = People(database, redis, settings, clock)
    door = Door(people, database, settings, clock)
    studio = Studio(settings, RealClock())
    parts: Any = SimpleNamespace(
        settings=settings, clock=RealClock(), people=people, door=door, shows=world.shows, studio=studio,
        database=database,
    )  # fmt: skip
    routes = [
        *routes_of(table.endpoints, parts),
        *routes_of(replays.endpoints, parts),
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
    found = House(world, people, studio, server.servers[0].sockets[0].getsockname()[1], rtmp_port)
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


async def send(camera: ClientConnection, kind: str = "webm-h264", first: int = 0) -> int:
    """The rest of a film from a chunk on. Returns the chunk that the server waits for."""
    acked = first
    for number, chunk in list(enumerate(chunks(film(kind))))[first:]:
        await camera.send(struct.pack(">Id", number, 0) + chunk)
        acked = (await heard(camera, "ack"))["next"]
    return acked


async def refused_until_closed(camera: ClientConnection) -> None:
    while True:
        await camera.send("{}")
        await heard(camera, "refused")


async def published(house: House, show_id: str, who: Any = HOST) -> None:
    async with house.camera(show_id, who) as camera:
        assert (await begin(camera))["next"] == 0
        await send(camera)
        await camera.send(json.dumps({"type": "finish"}))
        while (screen := await house.studio.screen(show_id)).timeline.duration_ms < 3800:
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
    replay = (await house.http.get(where["replay"])).text
    assert replay.endswith("#EXT-X-ENDLIST\n")


async def test_a_player_that_waits_is_answered_when_the_part_is_there(house: House) -> None:
    show = await house.show()
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        everything = list(enumerate(chunks(film("webm-h264"))))
        for number, chunk in everything[:-4]:
            await camera.send(struct.pack(">Id", number, 0) + chunk)
        await heard(camera, "ack")
        screen = await house.studio.screen(show.show_id)
        while not screen.timeline.parts:
            screen.look()
            await asyncio.sleep(0.01)
        segment, part = len(screen.timeline.segments) - 1, len(screen.timeline.segments[-1].parts)
        url = f"/video/{show.show_id}/open/live.m3u8?_HLS_msn={segment}&_HLS_part={part}"
        waiting = asyncio.create_task(house.http.get(url, timeout=30))
        for number, chunk in everything[-4:]:
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
    part = await house.http.get(live.replace("live.m3u8", "0.m4s"))
    assert part.headers["cache-control"].startswith("private")

    word = live.split("/")[3]
    until, _, signature = word.partition("-")
    other = await house.show(access="invited")
    for bad in ("open", "x", "-", f"{int(until, 16) + 3600:x}-{signature}", f"{until}-{signature[:-1]}0" + "0"):
        assert (await house.http.get(live.replace(word, bad))).status_code == 403, bad
    assert not house.studio.opens(word, other.show_id)
    assert house.studio.opens(word, show.show_id)


async def test_a_signed_word_ends(house: House, settings: Settings) -> None:
    clock = TestClock()
    studio = Studio(settings, clock)
    word = studio.word("shw_000000000001")
    assert studio.opens(word, "shw_000000000001")
    await clock.advance(WORD_HOURS * 3600)
    assert not studio.opens(word, "shw_000000000001")


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
    facts = await house.world.shows.edit(HOST, show.show_id, EditShow(video=NewVideo("own")))
    assert facts.video.kind == "own"


async def test_a_show_that_is_over_is_told_again_with_its_recording(house: House) -> None:
    show = await house.show()
    await published(house, show.show_id)
    card = await house.world.card(show.show_id)
    await house.world.do(show.show_id, c.ShowCard(card.card_id))
    path = f"/api/shows/{show.show_id}/replay"
    assert (await house.http.get(path)).json()["number"] == R.WRONG_STATE.value.number
    await house.world.do(show.show_id, c.End())

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
    for name in ("1", "x", "9999999999"):
        assert (await house.http.get(f"{path}/{name}.mp4", headers=host)).status_code == 404
    stranger = {"authorization": f"Bearer {house.token(STRANGER)}"}
    assert (await house.http.get(f"{path}/0.mp4", headers=stranger)).status_code == R.FORBIDDEN.value.status


async def encoded(house: House, key: str, seconds: float = 3.0) -> int:
    """The exit code of a real encoder that sends a film with this key."""
    encoder = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x284:rate=15", "-f", "lavfi", "-i", "sine",
        "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-c:a", "aac", "-f", "flv",
        f"rtmp://127.0.0.1:{house.rtmp_port}/live/{key}", stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await encoder.wait()


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


async def test_a_wrong_key_films_nothing(house: House) -> None:
    show, other = await house.show(), await house.show()
    key = house.studio.stream_key(show.show_id)
    for wrong in ("x", key[:-1], key.replace(show.show_id, other.show_id), f"{show.show_id}."):
        assert await encoded(house, wrong) != 0
    for each in (show, other):
        assert (await house.http.get(f"/video/{each.show_id}/open/live.m3u8")).status_code == 404


async def test_an_encoder_is_refused_where_somebody_films_and_after_the_end(house: House) -> None:
    show = await house.show()
    key = house.studio.stream_key(show.show_id)
    async with house.camera(show.show_id) as camera:
        await begin(camera)
        assert await encoded(house, key) != 0
        assert await send(camera) == len(chunks(film("webm-h264")))
    await house.world.do(show.show_id, c.End())
    assert await encoded(house, key) != 0
