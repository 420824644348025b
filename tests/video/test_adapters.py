"""Where a picture may come from: which addresses are taken, by whose clock it goes, and a shop's own sources."""

import dataclasses
from importlib.metadata import EntryPoint
from typing import Any

import httpx
import pytest

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import ShowFacts, VideoFacts
from livecommerce.settings import Settings
from livecommerce.video.adapters import registry
from livecommerce.video.adapters.contract import Foundation, MediaRequest, Playback, Wish
from livecommerce.video.adapters.elsewhere import video_id
from livecommerce.video.adapters.own import Own
from livecommerce.video.keys import WORD_HOURS, Keys
from tests.video.sources import adapters

SHOW, OTHER = "shw_0123456789abcdef", "shw_fedcba9876543210"


@pytest.fixture
def production(settings: Settings) -> Settings:
    return dataclasses.replace(settings, mode="production", public_url="https://live.example.com")


async def refusal(settings: Settings, clock: TestClock, url: str, name: str = "hls") -> str:
    """Which sentence an address is refused by."""
    with pytest.raises(Refused) as caught:
        await adapters(settings, clock).playback(name, Wish(url))
    assert caught.value.why is R.VIDEO_ADDRESS
    assert caught.value.text.endswith(".")
    return str(caught.value.facts["of"])


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.0.0.1.",
        "0", "0.0.0.0", "10.1.2.3", "192.168.1.10", "172.16.0.1", "169.254.169.254", "2852039166", "0xA9FEA9FE",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[fe80::1]", "[fd00::1]",
        "[fec0::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a9fe:a9fe]", "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]", "[::127.0.0.1]", "localhost", "LOCALHOST", "localhost.", "tv.localhost",
        "１２７.０.０.１", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "inside.example.com", "both.example.com",
        "metadata.example.com", "v6.example.com", "link.example.com", "mapped.example.com", "INSIDE.example.com.",
        "10.1.2.3:8443", "[::1]:8443", "inside.example.com:8443",
    ],
)  # fmt: skip
async def test_an_address_that_leads_inside_is_refused_in_every_form(
    production: Settings, clock: TestClock, host: str
) -> None:
    """Loopback, private, link-local: as numbers of any base, in IPv6, in other letters, by a name's answer."""
    assert await refusal(production, clock, f"https://{host}/live.m3u8") == "private"
    assert await refusal(production, clock, f"https://{host}/clip.mp4", "file") == "private"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "form"), ("live.m3u8", "form"), ("//media.example.com/x", "form"), ("/live.m3u8", "form"),
        ("ftp://media.example.com/x", "form"), ("file:///etc/passwd", "form"), ("javascript:alert(1)", "form"),
        ("https://", "form"), ("https:///x", "form"), ("https://media example.com/", "form"),
        ("https://media.example.com\\@inside.example.com/", "form"), ("https://media.example.com:99999/", "form"),
        ("https://media.example.com:x/", "form"), ("https://[::1/", "form"), ("https://[fe80::1%25eth0]/", "form"),
        ("https://256.1.1.1/", "form"), ("https://1.2.3.4.5/", "form"), ("https://08.1.1.1/", "form"),
        ("https://127.0.0.1%2f.example.com/", "form"), ("https://-.example.com/", "form"), ("https://a..b/", "form"),
        (f"https://media.example.com/{'x' * 2000}", "form"), ("https://media.example.com/\n", "form"),
        ("https://media.example.com/a b", "form"),
        ("https://host:secret@media.example.com/x", "credentials"), ("https://host@media.example.com/x", "credentials"),
        ("https://media.example.com@inside.example.com/", "credentials"),
        ("http://media.example.com/x", "plain"), ("http://127.0.0.1/x", "plain"),
        ("https://nowhere.example.com/x", "unknown"), ("https://intranet/x", "unknown"),
    ],
)  # fmt: skip
async def test_what_is_no_address_of_a_picture_is_refused_with_the_reason(
    production: Settings, clock: TestClock, url: str, why: str
) -> None:
    if url == "https://media.example.com/\n":
        assert (await adapters(production, clock).playback("hls", Wish(url))).url == "https://media.example.com/"
    else:
        assert await refusal(production, clock, url) == why


@pytest.mark.parametrize(
    ("url", "tidy"),
    [
        ("https://media.example.com/live.m3u8", "https://media.example.com/live.m3u8"),
        ("  https://MEDIA.Example.COM:443/live.m3u8?a=1#t=3 ", "https://media.example.com/live.m3u8?a=1"),
        ("https://cdn.example.com:8443", "https://cdn.example.com:8443/"),
        ("https://93.184.216.34/x", "https://93.184.216.34/x"),
        ("https://[2606:2800:220:1::1]/x", "https://[2606:2800:220:1::1]/x"),
    ],
)
async def test_an_address_of_the_public_internet_is_taken_and_tidied(
    production: Settings, clock: TestClock, url: str, tidy: str
) -> None:
    assert await adapters(production, clock).playback("hls", Wish(url)) == Playback("hls", tidy, "pdt")


async def test_the_operator_may_trust_an_origin_of_her_own_network(production: Settings, clock: TestClock) -> None:
    trusting = dataclasses.replace(production, video_origins=("http://192.168.1.10:8888",))

    found = await adapters(trusting, clock).playback("hls", Wish("http://192.168.1.10:8888/x.m3u8"))

    assert found.url == "http://192.168.1.10:8888/x.m3u8"
    assert await refusal(trusting, clock, "https://192.168.1.10:8889/x.m3u8") == "private"
    assert await refusal(trusting, clock, "https://192.168.1.11:8888/x.m3u8") == "private"


async def test_while_a_shop_is_built_a_picture_of_the_own_machine_is_taken_and_nothing_else_inside(
    settings: Settings, clock: TestClock
) -> None:
    for url in (
        "http://127.0.0.1:8888/x.m3u8",
        "http://localhost/x.m3u8",
        "https://me.example.com/x",
        "http://[::1]/x",
    ):
        assert (await adapters(settings, clock).playback("hls", Wish(url))).url == url
    assert await refusal(settings, clock, "http://192.168.1.10/x.m3u8") == "private"
    assert await refusal(settings, clock, "http://media.example.com/x.m3u8") == "plain"


async def test_a_clip_of_this_server_needs_no_other_servers_address(production: Settings, clock: TestClock) -> None:
    found = await adapters(production, clock).playback("file", Wish("/clip.mp4"))

    assert (found.kind, found.url, found.clock) == ("file", "/clip.mp4", "none")
    assert await refusal(production, clock, "//media.example.com/clip.mp4", "file") == "form"
    assert await refusal(production, clock, "/\\media.example.com/clip.mp4", "file") == "form"


# --- YouTube ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        "dQw4w9WgXcQ", "https://youtu.be/dQw4w9WgXcQ", "https://youtu.be/dQw4w9WgXcQ?si=abc&t=3",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ", "http://youtube.com/watch?list=x&v=dQw4w9WgXcQ#t=1",
        "https://m.youtube.com/watch?v=dQw4w9WgXcQ", "https://music.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://www.youtube.com/live/dQw4w9WgXcQ?feature=share", "https://www.youtube.com/embed/dQw4w9WgXcQ",
        "https://www.youtube.com/shorts/dQw4w9WgXcQ", "https://www.youtube.com/v/dQw4w9WgXcQ",
        "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ", "youtu.be/dQw4w9WgXcQ",
        "www.youtube.com/watch?v=dQw4w9WgXcQ", "  https://youtu.be/dQw4w9WgXcQ ",
    ],
)  # fmt: skip
def test_a_video_is_found_in_every_form_of_its_link(link: str) -> None:
    assert video_id(link) == "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    "link",
    [
        "", "x", "https://youtu.be/", "https://youtu.be/tooshort", "https://www.youtube.com/", "https://vimeo.com/1",
        "https://www.youtube.com/@channel/live", "https://www.youtube.com/watch", "https://www.youtube.com/watch?v=a",
        "https://youtube.com.example.com/watch?v=dQw4w9WgXcQ", "https://evil.example/youtu.be/dQw4w9WgXcQ",
        "https://youtube.com@evil.example/watch?v=dQw4w9WgXcQ", "ftp://youtu.be/dQw4w9WgXcQ",
        "https://www.youtube.com/watch?v=dQw4w9WgXc%22", "javascript://youtu.be/dQw4w9WgXcQ",
    ],
)  # fmt: skip
async def test_what_is_no_video_is_refused(settings: Settings, clock: TestClock, link: str) -> None:
    assert await refusal(settings, clock, link, "youtube") == "video_id"


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wish", "clock_word", "delay_ms"),
    [
        ("hls", Wish("https://media.example.com/"), "pdt", 0),
        ("hls", Wish("https://media.example.com/", delay_ms=8000), "fixed", 8000),
        ("hls", Wish("https://media.example.com/", "latency", 1500), "latency", 1500),
        ("hls", Wish("https://media.example.com/", "none", 1500), "none", 0),
        ("youtube", Wish("dQw4w9WgXcQ"), "none", 0),
        ("youtube", Wish("dQw4w9WgXcQ", delay_ms=12_000), "fixed", 12_000),
        ("youtube", Wish("dQw4w9WgXcQ", "pdt"), "none", 0),
        ("own", Wish(), "pdt", 0),
        ("film", Wish(), "pdt", 0),
    ],
)
async def test_each_picture_says_by_which_clock_it_goes(
    settings: Settings, clock: TestClock, name: str, wish: Wish, clock_word: str, delay_ms: int
) -> None:
    found = await adapters(settings, clock).playback(name, wish)

    assert (found.clock, found.delay_ms) == (clock_word, delay_ms)


async def test_a_source_that_is_not_there_is_refused_with_those_that_are(settings: Settings, clock: TestClock) -> None:
    with pytest.raises(Refused) as caught:
        await adapters(settings, clock).playback("mediamtx", Wish())

    assert caught.value.why is R.NOT_FOUND
    assert "film, hls, own, youtube" in caught.value.text


# --- a shop's own -----------------------------------------------------------------------------------------------------


class Studio(Own):
    """A plug-in as a shop would write it."""

    name = "studio"

    async def playback(self, wish: Wish) -> Playback:
        return Playback("hls", f"https://studio.example.com/{wish.url}", "latency", 700)


def broken(foundation: Foundation) -> Any:
    raise RuntimeError("no licence")


async def test_a_shop_adds_its_own_source_and_a_broken_one_closes_nothing(
    settings: Settings, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [
        EntryPoint("studio", f"{__name__}:Studio", registry.GROUP),
        EntryPoint("broken", f"{__name__}:broken", registry.GROUP),
        EntryPoint("gone", "no.such.module:thing", registry.GROUP),
        EntryPoint("own", f"{__name__}:Studio", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)

    found = adapters(settings, clock)

    assert (await found.playback("studio", Wish("a"))).url == "https://studio.example.com/a"
    assert sorted(adapter.name for adapter in found) == ["file", "film", "hls", "own", "studio", "youtube"]
    assert type(found.named("own")) is Own


# --- who may send and watch -------------------------------------------------------------------------------------------


async def test_our_own_picture_opens_by_its_key_and_its_word_alone(settings: Settings, clock: TestClock) -> None:
    own, keys = adapters(settings, clock).named("own"), Keys(settings, clock)

    assert await own.authorize(MediaRequest("publish", SHOW, keys.stream_key(SHOW)))
    assert await own.authorize(MediaRequest("read", SHOW, keys.word(SHOW)))
    for request in (
        MediaRequest("publish", OTHER, keys.stream_key(SHOW)),
        MediaRequest("publish", "", ""),
        MediaRequest("publish", SHOW, keys.word(SHOW)),
        MediaRequest("read", OTHER, keys.word(SHOW)),
        MediaRequest("read", SHOW, keys.stream_key(SHOW)),
    ):
        assert not await own.authorize(request), request


# --- MediaMTX ---------------------------------------------------------------------------------------------------------


class Programme:
    """Shows as MediaMTX's adapter sees them."""

    def __init__(self) -> None:
        self.shows: dict[str, ShowFacts] = {}

    def has(self, show_id: str, status: Any = "live", access: Any = "public", source: str = "mediamtx") -> None:
        video = VideoFacts("hls", source=source, signed=True)
        self.shows[show_id] = ShowFacts(show_id, "Evening", "open_house", status, "Mei", access, video)

    async def facts(self, show_id: str) -> ShowFacts:
        if show_id not in self.shows:
            raise Refused(R.NOT_FOUND, what="show")
        return self.shows[show_id]


@pytest.fixture
def programme() -> Programme:
    return Programme()


@pytest.fixture
def beside(settings: Settings) -> Settings:
    return dataclasses.replace(
        settings,
        mediamtx_url="https://media.example.com:8888",
        mediamtx_ingest=(
            "rtmp://media.example.com:1935",
            "https://media.example.com:8889/",
            "srt://media.example.com:8890",
        ),
    )


# The shape of its documentation: every field is there, and what a client did not say is an empty string.
EMPTY = {
    "user": "", "password": "", "token": "", "ip": "203.0.113.9", "action": "publish", "path": SHOW,
    "protocol": "rtmp", "id": "0b6c5b1e-0d3a-4b53-9d5a-0f3f6ce2f1d9", "query": "",
}  # fmt: skip


async def asked(settings: Settings, clock: TestClock, programme: Programme, body: Any) -> int:
    webhook = adapters(settings, clock, programme.facts).named("mediamtx").webhook()
    assert webhook is not None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(webhook), base_url="http://here") as client:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return (await client.post("/auth", **content)).status_code


async def test_mediamtx_is_told_yes_for_the_shows_own_key_in_each_protocols_form(
    beside: Settings, clock: TestClock, programme: Programme
) -> None:
    programme.has(SHOW)
    key = Keys(beside, clock).stream_key(SHOW)
    for said in (
        {"protocol": "rtmp", "user": "host", "password": key, "query": f"user=host&pass={key}"},
        {"protocol": "srt", "user": "host", "password": key},
        {"protocol": "rtsp", "user": "anybody", "password": key},
        {"protocol": "webrtc", "token": key},
        {"protocol": "webrtc", "token": f"host:{key}"},
        {"protocol": "rtmp", "token": key, "query": f"token={key}"},
        {"protocol": "rtmp", "user": "host", "password": key, "id": None, "userAgent": "OBS"},
    ):
        assert await asked(beside, clock, programme, EMPTY | said) == 204, said


async def test_mediamtx_is_told_no_for_everybody_else(beside: Settings, clock: TestClock, programme: Programme) -> None:
    programme.has(SHOW)
    programme.has(OTHER)
    keys = Keys(beside, clock)
    key = keys.stream_key(SHOW)
    for said in (
        {},  # RTSP clients say who they are only when they were refused once
        {"password": "wrong"},
        {"password": key[:-1]},
        {"password": key, "path": OTHER},
        {"password": key, "path": "shw_0000000000000000"},
        {"password": key, "path": ""},
        {"password": key, "path": f"{SHOW}/../{SHOW}"},
        {"password": keys.word(SHOW)},
        {"query": f"word={key}"},
        {"password": key, "action": "api"},
        {"password": key, "action": "metrics"},
        {"password": key, "action": "playback"},
    ):
        assert await asked(beside, clock, programme, EMPTY | said) == 401, said
    for body in (b"", b"[]", b"{}", b"nonsense", b"\xff", b'{"action":"publish","password":1}', b" " * 20_000):
        assert await asked(beside, clock, programme, body) == 401, body[:20]


@pytest.mark.parametrize(("status", "source"), [("ended", "mediamtx"), ("cancelled", "mediamtx"), ("live", "own")])
async def test_nobody_sends_to_mediamtx_for_a_show_that_is_over_or_is_filmed_elsewhere(
    beside: Settings, clock: TestClock, programme: Programme, status: str, source: str
) -> None:
    programme.has(SHOW, status, source=source)
    key = Keys(beside, clock).stream_key(SHOW)

    assert await asked(beside, clock, programme, EMPTY | {"password": key}) == 401


async def test_a_public_show_is_watched_by_everybody_and_an_invited_one_by_its_word(
    beside: Settings, clock: TestClock, programme: Programme
) -> None:
    programme.has(SHOW)
    programme.has(OTHER, access="invited")
    keys = Keys(beside, clock)
    adapter = adapters(beside, clock, programme.facts).named("mediamtx")
    watching = EMPTY | {"action": "read", "protocol": "hls"}
    word = keys.word(OTHER)

    assert await asked(beside, clock, programme, watching) == 204
    assert await asked(beside, clock, programme, watching | {"path": OTHER}) == 401
    assert await asked(beside, clock, programme, watching | {"path": OTHER, "query": f"word={keys.word(SHOW)}"}) == 401
    assert await asked(beside, clock, programme, watching | {"path": OTHER, "query": f"_HLS_msn=7&word={word}"}) == 204
    facts = programme.shows[OTHER]
    where = adapter.address(OTHER, facts.video, word)
    assert where == f"https://media.example.com:8888/{OTHER}/index.m3u8?word={word}"
    await clock.advance(WORD_HOURS * 3600 + 3600)
    assert await asked(beside, clock, programme, watching | {"path": OTHER, "query": f"word={word}"}) == 401


def test_an_encoder_is_told_where_mediamtx_is_for_each_protocol(beside: Settings, clock: TestClock) -> None:
    key = Keys(beside, clock).stream_key(SHOW)
    ways = {way.protocol: way for way in adapters(beside, clock).named("mediamtx").ingest(SHOW)}

    assert ways["rtmp"].server == f"rtmp://media.example.com:1935/{SHOW}?user=host&pass={key}"
    assert (ways["whip"].server, ways["whip"].key) == (f"https://media.example.com:8889/{SHOW}/whip", key)
    assert ways["srt"].server == f"srt://media.example.com:8890?streamid=publish:{SHOW}:host:{key}&pkt_size=1316"
