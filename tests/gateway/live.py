"""A live hub for tests: the real uvicorn class on a loopback port, the real Valkey, the real engine and news.

Stand-ins only where another part has its own tests: who somebody is (a token is `role.viewer_id`), what a show is (its
facts are made here), and orders (there are none).
"""

import asyncio
import base64
import contextlib
import os
import socket as plain_socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.frames import Frame, Opcode

from livecommerce.clock import Clock, TestClock
from livecommerce.errors import R, Refused
from livecommerce.gateway.hub import Hub
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.codec import JSON, MSGPACK, Subprotocol, decode_to_viewer, encode
from livecommerce.protocol.facts import PrivateQuestion, Question, ShowFacts, VideoFacts
from livecommerce.protocol.from_viewer import AnyFromViewer, Hello
from livecommerce.protocol.to_viewer import AnyToViewer, Desk, Welcome
from livecommerce.reservations.engine import DealStock, ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.news import News, TalkLine
from livecommerce.shows.talk_rules import KeptTalkRules
from livecommerce.shows.triage import Triage

SHOW = "shw_1"


@dataclass
class Shown:
    show: ShowFacts
    epoch: str
    offset: int
    cards: tuple[Any, ...] = ()
    on_air: str = ""
    pinned: tuple[Any, ...] = ()
    questions: tuple[Any, ...] = ()
    promises: dict[str, tuple[str, ...]] = field(default_factory=dict)
    slow_seconds: int = 0
    members_only: bool = False


class StandInSilence:
    async def mutes(self, show_id: str) -> dict[str, int]:
        return {}


class StandInPrivateQuestions:
    def __init__(self, news: News) -> None:
        self._news = news

    async def ask(self, show_id: str, viewer: ViewerIdentity, text: str) -> PrivateQuestion:
        asked = PrivateQuestion("prq_1", show_id, 0, viewer.name, "Clara", text)
        await self._news.tell_desk(show_id, Desk(private=asked, to_account=viewer.advisor_id or "clara"))
        return asked


class StandInTalkRules:
    async def get(self) -> KeptTalkRules:
        return KeptTalkRules()


class StandInShows:
    def __init__(self, redis: Redis, clock: Clock) -> None:
        self.news = News(redis)
        self.refuse_entry: Refused | None = None
        self.slow_seconds = 0
        self.snapshots = 0
        self.silence = StandInSilence()
        self.private = StandInPrivateQuestions(self.news)
        self.talk_rules = StandInTalkRules()
        self.recorded: list[TalkLine] = []
        self.voted: list[tuple[str, str]] = []
        self.triage = Triage(redis, clock)

    async def snapshot(self, show_id: str) -> Shown:
        if show_id == "shw_none":
            raise Refused(R.NOT_FOUND, what="show")
        self.snapshots += 1
        epoch, offset = await self.news.position(show_id)
        facts = ShowFacts(show_id, "A show", "flash_sale", "live", "Ada", "public", VideoFacts("none"))
        return Shown(facts, epoch, offset, slow_seconds=self.slow_seconds)

    async def may_enter(
        self, show_id: str, viewer: ViewerIdentity, invitation_id: str = "", *, staff_role: str = ""
    ) -> None:
        if self.refuse_entry:
            raise self.refuse_entry

    async def say_record(self, show_id: str, lines: Sequence[TalkLine]) -> None:
        self.recorded += lines

    async def ask(self, show_id: str, viewer: ViewerIdentity, text: str) -> Question:
        return Question("qst_1", viewer.name, text, 0, "queued")

    async def tell_triage(self, show_id: str) -> None:
        await self.news.tell_desk(show_id, Desk(triage=await self.triage.count(show_id)))

    async def vote(self, show_id: str, viewer: ViewerIdentity, question_id: str) -> None:
        self.voted.append((viewer.viewer_id, question_id))


class StandInOrders:
    async def orders_of(self, viewer_id: str, show_id: str = "") -> list[Any]:
        return []


class StandInDoor:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.life_ms = 600_000
        self.verified: dict[str, str] = {}  # viewer → the word for the address she confirmed

    async def verify_socket(
        self, token: str, cookie_header: str, origin: str, show_id: str, host: str = ""
    ) -> tuple[ViewerIdentity, Any, int]:
        if not token:
            raise Refused(R.SIGN_IN)
        role, _, viewer_id = token.partition(".")
        if role == "expired":
            raise Refused(R.TOKEN_EXPIRED)
        if role not in ("viewer", "host", "moderator"):
            raise Refused(R.TOKEN_INVALID)
        word = self.verified.get(viewer_id, "")
        return ViewerIdentity(viewer_id, viewer_id.title(), verified=word), role, self.clock.now_ms() + self.life_ms


# A bound for a test that hangs, not a measure.
WAIT_SECONDS = 60.0


@dataclass
class Live:
    """One web process of a test."""

    hub: Hub
    server: uvicorn.Server
    port: int
    shows: StandInShows
    engine: ReservationEngine
    door: StandInDoor
    clock: Any

    def url(self, show_id: str = SHOW) -> str:
        return f"ws://127.0.0.1:{self.port}/live/{show_id}"

    async def until_seated(self, count: int, show_id: str = SHOW) -> None:
        await until(lambda: len(self.hub.rooms.get(show_id, ())) == count)


async def until(true: Any, seconds: float = WAIT_SECONDS) -> None:
    """Let the others run until it is true. A bound for a test that hangs, not a measure."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  whatever is waited for has no event of its own
            await asyncio.sleep(0.002)


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def _app() -> Starlette:
    return Starlette(
        routes=[Route("/healthz", lambda request: PlainTextResponse("ok")), WebSocketRoute("/echo", _echo)]
    )


@contextlib.asynccontextmanager
async def live(
    redis: Redis,
    settings: Settings,
    clock: Any = None,
    http: str = "",
    real_shows: Any = None,
    real_door: Any = None,
    offers: Any = None,
    judge: Any = None,
    **config: Any,
) -> AsyncIterator[Live]:
    """A running process; its clock stands still unless another is given."""
    clock = clock or TestClock()
    shows, door = real_shows or StandInShows(redis, clock), real_door or StandInDoor(clock)
    # Real shows have a ledger, and so has the engine then: it takes deals of level `ledger` too.
    engine = ReservationEngine(redis, settings, clock, getattr(real_shows, "database", None))
    await engine.start()
    hub = Hub(settings, clock, redis, door, shows, engine, StandInOrders(), offers, judge)  # type: ignore[arg-type]
    await hub.start()
    server = uvicorn.Server(
        uvicorn.Config(
            config.pop("app", None) or _app(), ws=hub.protocol_class, http=http or hub.http_class,  # type: ignore[arg-type]
            lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=5, **config,
        )
    )  # fmt: skip
    listener = plain_socket.socket()
    listener.bind(("127.0.0.1", 0))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve([listener]))
    await until(lambda: server.started)
    try:
        yield Live(hub, server, listener.getsockname()[1], shows, engine, door, clock)
    finally:
        server.should_exit = True
        while not serving.done():
            if isinstance(clock, TestClock):
                await clock.advance(1)
            await asyncio.sleep(0.005)
        await hub.aclose()
        await engine.aclose()


async def open_deal(engine: ReservationEngine, deal_id: str = "dl_1", quota: int = 5, limit: int = 2) -> None:
    await engine.open_show(SHOW)
    await engine.put_deal(SHOW, DealStock(deal_id, quota, limit, 300_000, 600_000, status="open"))


class Raw:
    """A client that speaks WebSocket byte by byte, so that a test can break every rule."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, subprotocol: Subprotocol) -> None:
        self.reader = reader
        self.writer = writer
        self.subprotocol = subprotocol
        self.close_code = 0

    async def frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame."""
        first, second = await self.reader.readexactly(2)
        assert first & 0x80, "the server never fragments"
        assert not first & 0x70, "no extension was negotiated"
        size = second & 0x7F
        assert not second & 0x80, "a server does not mask"
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0x0F, await self.reader.readexactly(size)

    async def read(self) -> AnyToViewer | None:
        """The next message, past pings; None where the server closed, with the code in `close_code`."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                opcode, payload = await self.frame()
                if opcode in (Opcode.TEXT, Opcode.BINARY):
                    assert (opcode == Opcode.BINARY) == (self.subprotocol == MSGPACK)
                    return decode_to_viewer(payload, self.subprotocol)
                if opcode == Opcode.CLOSE:
                    self.close_code = int.from_bytes(payload[:2], "big")
                    return None

    async def read_until(self, kind: type[Any]) -> Any:
        """The next message of that kind; the others are passed over."""
        while (message := await self.read()) is not None:
            if isinstance(message, kind):
                return message
        raise AssertionError(f"closed with {self.close_code} before a {kind.__name__} came")

    async def read_all(self) -> list[AnyToViewer]:
        """Everything up to the server's close."""
        messages = []
        while (message := await self.read()) is not None:
            messages.append(message)
        return messages

    def write(self, opcode: Opcode, data: bytes, *, fin: bool = True) -> None:
        self.writer.write(Frame(opcode, data, fin).serialize(mask=True))

    def send(self, message: AnyFromViewer) -> None:
        self.write(Opcode.BINARY if self.subprotocol == MSGPACK else Opcode.TEXT, encode(message, self.subprotocol))

    async def hello(self, **fields: Any) -> Welcome:
        self.send(Hello(**fields))
        message: Welcome = await self.read_until(Welcome)
        return message

    async def ended(self) -> bool:
        """True once the server has closed the connection."""
        async with asyncio.timeout(WAIT_SECONDS):
            while await self.reader.read(65536):
                pass
        return True

    def close(self) -> None:
        self.writer.close()


async def handshake(
    port: int,
    path: str = f"/live/{SHOW}",
    *,
    token: str = "",
    subprotocol: str | None = MSGPACK,
    headers: dict[str, str] | None = None,
    receive_bytes: int | None = None,
) -> tuple[int, dict[str, str], Raw]:
    """(status, headers of the answer, the client)."""
    plug = plain_socket.socket()
    if receive_bytes:
        plug.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_RCVBUF, receive_bytes)
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=plug, limit=2**16)
    offered = ", ".join(each for each in (subprotocol, f"token.{token}" if token else "") if each)
    lines = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **({"Sec-WebSocket-Protocol": offered} if offered else {}),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    async with asyncio.timeout(WAIT_SECONDS):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    got = {name.lower(): value for name, _, value in (row.partition(": ") for row in answer[1:] if row)}
    kind: Subprotocol = MSGPACK if subprotocol == MSGPACK else JSON
    return int(answer[0].split()[1]), got, Raw(reader, writer, kind)


async def connect(port: int, show_id: str = SHOW, **options: Any) -> Raw:
    status, _, raw = await handshake(port, f"/live/{show_id}", **options)
    assert status == 101
    return raw


async def seat(live: Live, viewer_id: str, role: str = "viewer", **options: Any) -> tuple[Raw, Welcome]:
    """A seated viewer and her welcome."""
    device = options.pop("device", "desk")
    raw = await connect(live.port, token=f"{role}.{viewer_id}", **options)
    return raw, await raw.hello(device=device)
