"""The real `livecommerce serve` as a child of the test, and people who use it as outsiders do: over HTTP and sockets.

A server has a data folder and a port of its own and keeps both over restarts. Its shop was made by the commands a
merchant types: `import products` and `user add`. What a test may do beyond an outsider: kill processes by their id,
and, instead of sleeping, turn the server's clocks (`LiveServer.turn_hold_clock`, `LiveServer.pay_deadline_now`).
"""

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
import pytest
from redis.asyncio import Redis

from livecommerce.client import Api, ShowSocket
from livecommerce.client.socket import new_rid
from livecommerce.clock import RealClock
from livecommerce.errors import Refused
from livecommerce.hot_state import connect
from livecommerce.ids import new_id
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.tokens import Tokens
from livecommerce.protocol.codec import MSGPACK, Subprotocol
from livecommerce.protocol.facts import Hold, Level, Line, OrderFacts, Stamped
from livecommerce.protocol.to_viewer import (
    Answer,
    AnyToViewer,
    Desk,
    Levels,
    Own,
    Snapshot,
    State,
    Talk,
    Welcome,
)
from livecommerce.reservations import keys
from livecommerce.settings import read_settings, with_secrets
from livecommerce.valkey_child import socket_path
from tests.ports import free_port

EMAIL, PASSWORD = "mei@shop.example", "a long pass phrase 77"
HANDLE, WAREHOUSE_UNITS = "velvet-lip", 5000
CATALOGUE = f"""\
Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant Inventory Qty,Variant Price
{HANDLE},Velvet Lip,<p>Soft all day</p>,House,Lipstick,lips,true,Shade,Rosewood,{WAREHOUSE_UNITS},19.00
{HANDLE},,,,,,,,Coral,{WAREHOUSE_UNITS},19.00
"""
# A bound for a test that hangs, not a measure: a loaded machine takes seconds for what is over in milliseconds here.
WAIT_SECONDS = 90.0
_LOOK_SECONDS = 0.02
_ROLES = ("web", "worker", "valkey")
T = TypeVar("T")


async def until(true: Callable[[], Any], what: str = "", seconds: float = WAIT_SECONDS) -> None:
    """Return once it is true, for what has no event of its own."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what or true}"
        await asyncio.sleep(_LOOK_SECONDS)


async def insist(ask: Callable[[], Awaitable[T]]) -> T | Refused:
    """As a page does while the shop is away or asks for patience: the same request again, until the answer is one.

    What it was refused for, where trying again cannot help; sold out is an answer too.
    """
    while True:
        try:
            return await ask()
        except Refused as refused:
            if refused.why.value.status not in (429, 503):
                return refused
            await asyncio.sleep(min(refused.after_ms or 100, 500) / 1000)


# --- the server -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def merchant_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a shop, made once by the command line; servers start on copies of it."""
    folder = tmp_path_factory.mktemp("merchant")
    file = folder / "products.csv"
    file.write_text(CATALOGUE)
    data = folder / "data"
    command_line("import", "products", str(file), "--data", str(data))
    account = ("--name", "Mei Lin", "--role", "admin", "--password", PASSWORD)
    command_line("user", "add", EMAIL, *account, "--data", str(data))
    return data


def command_line(*arguments: str) -> str:
    """What `livecommerce …` printed; it must succeed."""
    done = subprocess.run([sys.executable, "-m", "livecommerce", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"livecommerce {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def live_server(merchant_folder: Path, *arguments: str, **environ: str) -> Iterator["LiveServer"]:
    """A running server on a copy of the merchant's folder; it is gone, with all its children, at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lc-live-"))
    shutil.copytree(merchant_folder, folder / "data")
    server = LiveServer(folder, arguments, environ)
    atexit.register(server.end)  # where the test run itself breaks down, no server is left behind
    try:
        server.start()
        yield server
    finally:
        server.end()
        atexit.unregister(server.end)
        shutil.rmtree(folder, ignore_errors=True)


class LiveServer:
    """One data folder, one port, and the processes that run on them now."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], environ: dict[str, str]) -> None:
        self.data = folder / "data"
        self.address = "127.0.0.1"
        self.ledger_url = ""  # SQLite in the data folder
        self.port = free_port()
        self.log = folder / "log"
        self._arguments = arguments
        self._environ = {"DRAIN_SECONDS": "0", **environ}
        self._process: subprocess.Popen[bytes] | None = None
        self._cookies: httpx.Cookies | None = None
        self._mine: set[int] = set()  # every process of ours that was ever seen

    @property
    def base_url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def socket_url(self, show_id: str) -> str:
        return f"ws://{self.address}:{self.port}/live/{show_id}"

    # --- processes --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start and return once it is ready to serve."""
        self._process = self.spawn()
        self.wait_ready()

    def spawn(self, *further: str) -> "subprocess.Popen[bytes]":
        """`livecommerce serve` on this folder, not waited for. What it prints goes to `log`."""
        environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | self._environ
        given = ("--data", str(self.data), "--port", str(self.port), *self._arguments, *further)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "livecommerce", "serve", *given],
                env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def wait_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.is_ready():
            assert self._process.poll() is None, f"the server ended:\n{self.log_end()}"
            assert time.monotonic() < deadline, f"the server is not ready:\n{self.log_end()}"
            time.sleep(_LOOK_SECONDS)
        self._mine |= {self._process.pid, *self.children_of(self._process.pid)}

    def is_ready(self) -> bool:
        """`/readyz` says yes."""
        connection = HTTPConnection(self.address, self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._process is not None
        return self._process.pid

    def pids(self, role: str) -> list[int]:
        """The children that are `web`, `worker` or `valkey`."""
        assert role in _ROLES
        found = sorted(pid for pid in self.children_of(self.pid) if _role_of(pid) == role)
        self._mine.update(found)
        return found

    @staticmethod
    def children_of(parent: int) -> list[int]:
        return [pid for pid, ppid in _processes() if ppid == parent]

    def kill(self, role: str) -> int:
        """kill -9 one child; its id."""
        pid = self.pids(role)[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    async def until_replaced(self, role: str, pid: int) -> None:
        """Return once the supervisor has started another child in its place and the server is ready."""
        count = int(self._environ.get("WEB_PROCESSES", 1)) if role == "web" else 1
        await until(lambda: pid not in (now := self.pids(role)) and len(now) >= count, f"another {role}")
        async with asyncio.timeout(WAIT_SECONDS):
            # Asked beside the loop, which answers viewers' pings meanwhile.
            while not await asyncio.to_thread(self.is_ready):  # noqa: ASYNC110  it is to be had by asking only
                await asyncio.sleep(_LOOK_SECONDS)

    def stop(self) -> int:
        """SIGTERM, as a service manager sends it; the exit code."""
        assert self._process is not None
        self._remember()
        self._process.terminate()
        return self._process.wait(WAIT_SECONDS)

    def restart(self) -> None:
        """SIGTERM, and start again on the same folder and port."""
        assert self.stop() == 0, self.log_end()
        self.start()

    def kill_supervisor(self) -> list[int]:
        """kill -9 the supervisor; the ids of the children it left behind."""
        assert self._process is not None
        children = self.children_of(self.pid)
        self._mine.update(children)
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait()
        return children

    def _remember(self) -> None:
        self._mine |= {self.pid, *self.children_of(self.pid)}

    def end(self) -> None:
        """Gone for certain, whatever the test left running."""
        if self._process is not None and self._process.poll() is None:
            self._remember()
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pid in self._mine:
            if _is_ours(pid, self.data):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def process_of(self, local_port: int) -> int:
        """The web process that serves the connection from our side's `local_port`."""
        inode = _server_inode(self.port, local_port)
        for pid in self.pids("web"):
            with contextlib.suppress(OSError):
                for each in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if os.readlink(each) == f"socket:[{inode}]":
                            return pid
        raise AssertionError(f"no web process has the connection from port {local_port}")

    # --- its stores, looked at from outside -------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def redis(self) -> AsyncIterator[Redis]:
        """A client of its hot state: the private Valkey where nothing else was given."""
        client = connect(self._environ.get("REDIS_URL") or f"unix://{socket_path(self.data)}")
        try:
            yield client
        finally:
            await client.aclose()

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the ledger."""
        connection = sqlite3.connect(self.data / "ledger.sqlite3", timeout=WAIT_SECONDS)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    async def turn_hold_clock(self, show_id: str, milliseconds: int) -> None:
        """The show's hold clock goes forward; the worker's next heartbeat ends what is due then."""
        async with self.redis() as redis:
            await redis.hincrby(keys.meta(show_id), "clk", milliseconds)  # type: ignore[misc]

    def pay_deadline_now(self, order_id: str) -> None:
        """The time to pay of this order is over."""
        connection = sqlite3.connect(self.data / "ledger.sqlite3", timeout=WAIT_SECONDS)
        try:
            with connection:
                connection.execute("UPDATE orders SET pay_by_ms = 1 WHERE id = ?", (order_id,))
        finally:
            connection.close()

    async def settled(self, show_id: str) -> None:
        """Return once nothing is under way behind the scenes: journal copied, errands done, news numbered."""
        async with self.redis() as redis:
            deadline = time.monotonic() + WAIT_SECONDS
            while True:
                journal = await redis.xlen(keys.journal(show_id))
                errands = self.rows("SELECT count(*) AS n FROM outbox WHERE done_at_ms IS NULL")[0]["n"]
                unpublished = self.rows("SELECT count(*) AS n FROM show_log WHERE epoch = 'unpublished'")[0]["n"]
                if not (journal or errands or unpublished):
                    return
                left = f"journal {journal}, errands {errands}, news {unpublished}"
                assert time.monotonic() < deadline, f"never settles: {left}\n{self.log_end()}"
                await asyncio.sleep(_LOOK_SECONDS)

    # --- people -----------------------------------------------------------------------------------------------------

    async def staff(self) -> Api:
        """The host, signed in by password; the caller closes it. Later ones share the session, as tabs do."""
        api = Api(self.base_url, verify=False)
        if self._cookies is None:
            await api.post("/api/login", {"email": EMAIL, "password": PASSWORD})
            self._cookies = api.cookies
        api.cookies.update(self._cookies)
        return api

    async def viewer(self, name: str) -> tuple[str, str]:
        """(viewer id, token) of a newcomer."""
        return (await self.viewers([name]))[0]

    async def viewers(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """(viewer id, token) of newcomers, each with a browser of her own."""
        async with Api(self.base_url, verify=False) as api:
            # Without cookies every call is a stranger's.
            api.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            made = await asyncio.gather(*(api.post("/api/viewers", {"name": name}) for name in names))
        return [(each["viewer"]["viewer_id"], each["token"]) for each in made]

    def crowd(self, count: int) -> list[tuple[str, str]]:
        """(viewer id, pass) of so many newcomers, signed here instead of asked for one by one: a commit for each is
        most of what a crowd's arrival costs, and not what a race is about."""
        tokens = Tokens(with_secrets(read_settings({}, data=self.data)), RealClock())
        viewers = [ViewerIdentity(new_id("vw"), f"Viewer {number}") for number in range(count)]
        return [(viewer.viewer_id, tokens.for_viewer(viewer).token) for viewer in viewers]


def _processes() -> Iterator[tuple[int, int]]:
    """(pid, ppid) of everything that runs; what has ended and waits for its parent is left out."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, ppid = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    yield int(entry.name), int(ppid)


def is_running(pid: int) -> bool:
    return any(pid == each for each, _ in _processes())


def _arguments_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _role_of(pid: int) -> str:
    arguments = _arguments_of(pid)
    if "livecommerce" in arguments:
        return next((role for role in ("web", "worker") if role in arguments), "")
    return "valkey" if "unixsocket" in " ".join(arguments) else ""  # a running one rewrites its own arguments


def _is_ours(pid: int, data: Path) -> bool:
    """Still the process we started, not another one that got its number."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    named = str(data)
    return f"LIVECOMMERCE_DATA={named}".encode() in environ or any(named in each for each in _arguments_of(pid))


def _server_inode(server_port: int, client_port: int) -> str:
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = row.split()
        local, remote = (int(columns[place].rpartition(":")[2], 16) for place in (1, 2))
        if (local, remote) == (server_port, client_port):
            return columns[9]
    raise AssertionError(f"no connection from port {client_port}")


# --- a show ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deal:
    """What a test wants of one deal, on the shade named by `label`."""

    units: int
    limit: int = 1
    hold_seconds: int = 300
    pay_seconds: int = 600
    label: str = "Rosewood"
    draw_seconds: int = 0  # 0: first come
    hold_cap_seconds: int | None = None  # None: what the server takes for right


@dataclass
class Show:
    """A live show with one card, and its host's hands."""

    server: LiveServer
    host: Api
    show_id: str
    card_id: str = ""
    deals: list[str] = field(default_factory=list)
    counter_id: str = ""

    @property
    def url(self) -> str:
        return self.server.socket_url(self.show_id)

    async def command(self, **command: Any) -> None:
        """A command of the host. Raises `Refused`."""
        body = {"command_id": new_rid(), "command": command}
        await self.host.post(f"/api/staff/shows/{self.show_id}/commands", body)

    async def add_card(self, *deals: Deal, title: str = "") -> tuple[str, list[str]]:
        """(card id, deal ids) of a further card, not shown yet."""
        product = await self.host.get(f"/api/products/{HANDLE}")
        variants = {variant["label"]: variant["variant_id"] for variant in product["variants"]}
        rows = [
            {
                "variant_id": variants[deal.label], "quota": deal.units, "price_minor": 1900,
                "limit_per_viewer": deal.limit, "hold_seconds": deal.hold_seconds, "pay_seconds": deal.pay_seconds,
                **({"fairness": "draw", "draw_seconds": deal.draw_seconds} if deal.draw_seconds else {}),
                "hold_cap_seconds": deal.hold_cap_seconds,
            }
            for deal in deals
        ]  # fmt: skip
        card = {"kind": "deal", "product_handle": HANDLE, "title": title, "deals": rows}
        made = await self.host.post(f"/api/staff/shows/{self.show_id}/cards", card)
        return made["card_id"], [deal["deal_id"] for deal in made["deals"]]

    async def show_card(self, *deals: Deal) -> list[str]:
        """Put a card with these deals on the picture; their ids, in this order, all of them open."""
        self.card_id, self.deals = await self.add_card(*deals)
        await self.command(do="show_card", card_id=self.card_id)
        await self.until_deals("open")
        return self.deals

    async def until_deals(self, status: str) -> None:
        """Return once the last card's deals are all in this status."""
        marks = ",".join("?" * len(self.deals))
        query = f"SELECT status FROM deals WHERE id IN ({marks})"
        await until(
            lambda: {row["status"] for row in self.server.rows(query, *self.deals)} == {status}, f"deals {status}"
        )
        await self.server.settled(self.show_id)

    async def log(self) -> list[dict[str, Any]]:
        """The whole show log."""
        rows: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            path = f"/api/staff/shows/{self.show_id}/log"
            page = await self.host.get(path, after=str(after), limit="1000")
            rows += page["rows"]
            after = page["next_after"]
        return rows


@contextlib.asynccontextmanager
async def live_show(server: LiveServer, *deals: Deal, title: str = "A live show") -> AsyncIterator[Show]:
    """A show of its own for one test, on air, with one card shown where `deals` are given."""
    host = await server.staff()
    try:
        made = await host.post("/api/staff/shows", {"title": title, "corner": "flash_sale"})
        show = Show(server, host, made["show_id"])
        show.counter_id = await _counter(host)
        await show.command(do="go_live")
        if deals:
            await show.show_card(*deals)
        yield show
    finally:
        await host.aclose()


async def _counter(host: Api) -> str:
    counters = (await host.get("/api/locations"))["locations"]
    if counters:
        return str(counters[0]["location_id"])
    new = {"kind": "shop", "name": "Lyon Bellecour", "address": "12 rue de la République", "city": "Lyon"}
    return str((await host.post("/api/staff/locations", new))["location_id"])


# --- a viewer -------------------------------------------------------------------------------------------------------


class Watcher:
    """One person in one show: her socket, everything she heard, and what her page would show of it now."""

    def __init__(self, show: Show, viewer_id: str, token: str, **socket: Any) -> None:
        self.show = show
        self.viewer_id = viewer_id
        self.token = token
        # A test waits for nothing that chance decides: she comes back quickly, and again and again.
        self.socket = ShowSocket(show.url, token, rand=lambda: 0.2, **socket)
        self.messages: list[AnyToViewer] = []
        self.welcomes: list[Welcome] = []
        # What she saw, a part for each unbroken run of offsets: (epoch, offset it began at, events).
        self.seen: list[tuple[str, int, list[Stamped]]] = []
        self.holds: dict[str, Hold] = {}
        self.orders: dict[str, OrderFacts] = {}
        self.levels: dict[str, Level] = {}
        self.lines: list[Line] = []
        self.desk: list[Desk] = []
        self.came_in_by = 0  # the connection of her first welcome, counted from 1
        self._welcomed_on = 0
        self._changed = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen(), name=f"watcher-{viewer_id}")

    async def __aenter__(self) -> "Watcher":
        await self.until(lambda: self.welcomes, "a welcome")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.socket.aclose()
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        async for message in self.socket:
            async with self._changed:
                self.messages.append(message)
                self._fold(message)
                self._changed.notify_all()

    def _fold(self, message: AnyToViewer) -> None:
        match message:
            case Welcome():
                self.welcomes.append(message)
                self._welcomed_on = self.socket.connections
                self.came_in_by = self.came_in_by or self._welcomed_on
                self.holds = {hold.rid: hold for hold in message.holds}
                self.orders = {order.order_id: order for order in message.orders}
                if not message.recovered:
                    self.seen.append((message.epoch, message.offset, []))
                if isinstance(message.snapshot, Snapshot):
                    self.levels = dict(message.snapshot.levels)
            case State(epoch, events):
                assert epoch == self.seen[-1][0]
                self.seen[-1][2].extend(events)
            case Levels(deals=deals):
                self.levels.update(deals)
            case Answer(hold=hold) | Own(hold=Hold() as hold):
                self.holds[hold.rid] = hold
            case Own(order=OrderFacts() as order):
                self.orders[order.order_id] = order
            case Talk(lines=lines):
                self.lines += lines
            case Desk():
                self.desk.append(message)

    async def until(self, true: Callable[[], T], what: str = "") -> T:
        """What `true` says, once it is true of what she has heard."""
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._changed:
                while not (result := true()):
                    if self._listening.done():
                        self._listening.result()
                        raise AssertionError(f"{self.viewer_id} left before: {what}")
                    await self._changed.wait()
                return result
        except TimeoutError:
            heard = ", ".join(type(message).__name__ for message in self.messages[-12:])
            raise AssertionError(f"{self.viewer_id} waited in vain for {what}; heard last: {heard}") from None

    @property
    def kept_her_line(self) -> bool:
        """Still on the connection she came in by: which need not be her first, where a fault was just before her."""
        return self.socket.connections == self.came_in_by

    async def until_back(self, connections: int) -> Welcome:
        """Her welcome on a connection after the first `connections`."""
        return await self.until(lambda: self._fresh(connections), "return")

    def _fresh(self, connections: int) -> Welcome | None:
        return self.welcomes[-1] if self._welcomed_on > connections else None

    def order_is(self, order_id: str, status: str) -> bool:
        return order_id in self.orders and self.orders[order_id].status == status

    async def until_state(self, rid: str, *states: str) -> Hold:
        """Her hold, once it is in one of these states."""
        return await self.until(
            lambda: self.holds[rid] if rid in self.holds and self.holds[rid].state in states else None,
            f"{rid} to be {' or '.join(states)}",
        )

    async def until_level(self, deal_id: str, level: Level) -> None:
        """Return once her page shows these numbers."""
        await self.until(lambda: self.levels.get(deal_id) == level, f"{deal_id} at {level}")

    def saw(self, kind: str) -> list[Any]:
        """The events of that kind she saw, in order."""
        return [
            stamped.event
            for _, _, events in self.seen
            for stamped in events
            if type(stamped.event).__struct_config__.tag == kind
        ]

    async def tap(self, deal_id: str, qty: int = 1, *, wait: bool = False, rid: str | None = None) -> Hold:
        return await self.socket.reserve([(deal_id, qty)], wait=wait, rid=rid)

    async def check_out(self, rid: str) -> dict[str, Any]:
        """Begin to pay, to be collected at the counter. Raises `Refused`."""
        body = {
            "show_id": self.show.show_id, "rid": rid, "delivery": "pickup", "contact_name": "Ada",
            "contact": "ada@example.com", "pickup_location_id": self.show.counter_id,
        }  # fmt: skip
        async with Api(self.show.server.base_url, self.token, verify=False) as api:
            answer: dict[str, Any] = await api.post("/api/checkouts", body)
        return answer

    async def press(self, pay_url: str, button: str) -> dict[str, Any]:
        """Press a button of the test provider's page; its webhook does the rest."""
        async with Api(self.show.server.base_url, verify=False) as api:
            answer: dict[str, Any] = await api.post(f"/api/pay/test/{pay_url.rpartition('/')[2]}/{button}")
        return answer

    async def my_orders(self) -> list[dict[str, Any]]:
        async with Api(self.show.server.base_url, self.token, verify=False) as api:
            answer = await api.get("/api/orders")
        orders: list[dict[str, Any]] = answer["orders"]
        return orders

    def local_port(self) -> int:
        """Our side's port of her connection."""
        assert self.socket._line is not None
        port: int = self.socket._line.local_address[1]
        return port


async def watcher(show: Show, name: str, *, subprotocol: Subprotocol = MSGPACK) -> Watcher:
    """A newcomer in the show; use it with `async with await watcher(…) as ada`."""
    return Watcher(show, *await show.server.viewer(name), subprotocol=subprotocol)


async def desk(show: Show) -> Watcher:
    """The host's own socket."""
    answer = await show.host.post("/api/staff/token")
    return Watcher(show, "host", answer["token"])
