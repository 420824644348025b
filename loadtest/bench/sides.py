"""The sides: us, another version of us, and the comparators. How each is started, entered, and told of a card.

What arrives: a lab. What leaves: a `Stand`, the running server of that side with what a benchmark does to it. A side
that cannot run on this machine says why, and is left out loudly. It measures nothing.
"""

import contextlib
import shutil
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.facts import CardShown, HoldLevel, Stamped
from livecommerce.protocol.from_viewer import Hello
from livecommerce.protocol.to_viewer import State
from loadtest.bench.audience import EPOCH, Entry
from loadtest.bench.film import why_no_film
from loadtest.bench.lab import Lab, LabFailed, Process
from loadtest.bench.nchan import nchan_server, why_no_nchan
from loadtest.bench.servers.floor import why_no_floor
from loadtest.bench.servers.plain import CHANNEL
from loadtest.bench.stagehand import card
from loadtest.marks import marked

HUB_COMMAND = ("-P", str(Path(__file__).resolve().parent / "servers" / "hub.py"))


class Stand(ABC):
    """A running server of one side."""

    greets = True  # says a welcome to whoever comes in

    def __init__(self, lab: Lab, process: Process) -> None:
        self.lab, self.pid, self.port = lab, process.pid, process.port

    @abstractmethod
    def new_show(self, quota: int, level: HoldLevel = "soft") -> str:
        """Where viewers of one measurement meet; with one open deal of that many units, where the side has deals."""

    @abstractmethod
    def entries(self, show_id: str, count: int) -> list[Entry]:
        """How so many new viewers come in."""

    @abstractmethod
    def publish(self, show_id: str, planned_us: int) -> None:
        """A card for everybody, without waiting for anything."""

    def camera_pass(self, show_id: str) -> str:
        """What lets a camera film that show; a side that believes everybody needs none."""
        return "none"

    @abstractmethod
    def settle(self) -> None:
        """Return once all that was published has been taken. Raises `LabFailed`."""


class Hub(Stand):
    """A web process of livecommerce, of the lab's version."""

    def new_show(self, quota: int, level: HoldLevel = "soft") -> str:
        return self.lab.stagehand.show(quota, level)

    def entries(self, show_id: str, count: int) -> list[Entry]:
        hello = encode(Hello(device="phone"), MSGPACK)
        return [
            Entry(f"/live/{show_id}", f"{MSGPACK}, token.{token}", hello) for token in self.lab.stagehand.tokens(count)
        ]

    def publish(self, show_id: str, planned_us: int) -> None:
        self.lab.stagehand.card(show_id, marked("Soft, matt, and stays for a day.", planned_us))

    def camera_pass(self, show_id: str) -> str:
        return self.lab.stagehand.camera(show_id)[0]

    def settle(self) -> None:
        self.lab.stagehand.settle()


class Comparator(Stand):
    """Hears the channel in Redis and passes on what it hears; believes what the address says."""

    def __init__(self, lab: Lab, process: Process) -> None:
        super().__init__(lab, process)
        self._offset = 0
        self._shows = 0

    def new_show(self, quota: int, level: HoldLevel = "soft") -> str:
        self._shows += 1
        return f"shw_bench{self._shows}"

    def entries(self, show_id: str, count: int) -> list[Entry]:
        return [Entry(f"/live/{show_id}/vwr_{show_id}x{number:05d}") for number in range(count)]

    def publish(self, show_id: str, planned_us: int) -> None:
        self.lab.redis.publish(CHANNEL, self.next_card(planned_us))

    def next_card(self, planned_us: int) -> bytes:
        """The same bytes as ours for the same card."""
        self._offset += 1
        shown = CardShown(card(marked("Soft, matt, and stays for a day.", planned_us)))
        return encode(State(EPOCH, (Stamped(self._offset, 1_700_000_000_000, shown),)), MSGPACK)

    def settle(self) -> None:
        pass


class Plain(Comparator):
    """With books of stock, where a deal is wanted."""

    def new_show(self, quota: int, level: HoldLevel = "soft") -> str:
        return self.lab.stagehand.show(quota) if quota else super().new_show(quota)


class Nchan(Comparator):
    """Cards come over HTTP, one request after the other on one connection."""

    greets = False

    def __init__(self, lab: Lab, process: Process) -> None:
        super().__init__(lab, process)
        self._plug = socket.create_connection(("127.0.0.1", self.port), 10)
        self._answers = self._plug.makefile("rb")
        self._unread = 0

    def publish(self, show_id: str, planned_us: int) -> None:
        body = self.next_card(planned_us)
        head = (
            f"POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._plug.sendall(head.encode() + body)
        self._unread += 1

    def settle(self) -> None:
        while self._unread:
            status, size = self._answers.readline(), 0
            while (row := self._answers.readline()) not in (b"\r\n", b""):
                name, _, value = row.partition(b":")
                if name.lower() == b"content-length":
                    size = int(value)
            self._answers.read(size)
            self._unread -= 1
            if status.split(b" ")[1:2] not in ([b"200"], [b"201"], [b"202"]):
                raise LabFailed(f"nchan did not take a card: {status.decode('latin-1').strip()}")

    def close(self) -> None:
        self._answers.close()
        self._plug.close()


@dataclass(frozen=True, slots=True)
class Side:
    """`why_missing` returns "" where this machine has what it needs. `serve` is for sides that are servers; the others
    (a script called straight) are known to the benchmark that declares them. `tree` is another version's."""

    key: str
    title: str
    why_missing: Callable[[], str]
    serve: "Callable[[Lab], contextlib.AbstractContextManager[Stand]]"
    tree: Path | None = None


def _always_there() -> str:
    return ""


@contextlib.contextmanager
def _hub(lab: Lab) -> Iterator[Stand]:
    lab.stagehand.settle()  # it makes the ledger first
    with lab.served(HUB_COMMAND) as process:
        yield Hub(lab, process)


@contextlib.contextmanager
def _plain(lab: Lab) -> Iterator[Stand]:
    with lab.served(["-m", "loadtest.bench.servers.plain"]) as process:
        yield Plain(lab, process)


@contextlib.contextmanager
def _plain_film(lab: Lab) -> Iterator[Stand]:
    with lab.served(["-m", "loadtest.bench.servers.film"]) as process:
        yield Comparator(lab, process)


@contextlib.contextmanager
def _broadcast(lab: Lab) -> Iterator[Stand]:
    with lab.served(["-m", "loadtest.bench.servers.broadcast"]) as process:
        yield Comparator(lab, process)


@contextlib.contextmanager
def _floor(lab: Lab) -> Iterator[Stand]:
    with lab.served(["-m", "loadtest.bench.servers.floor"]) as process:
        yield Comparator(lab, process)


@contextlib.contextmanager
def _nchan(lab: Lab) -> Iterator[Stand]:
    with nchan_server(lab) as process, contextlib.closing(Nchan(lab, process)) as stand:
        yield stand


def _no_server(_lab: Lab) -> "contextlib.AbstractContextManager[Stand]":
    raise AssertionError("this side is no server")


def why_no_redis_benchmark() -> str:
    return "" if redis_benchmark() else "there is no redis-benchmark here (Debian: redis-tools)"


def redis_benchmark() -> str | None:
    return shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")


OURS = Side("ours", "livecommerce", _always_there, _hub)
# In the order of the columns.
SIDES: dict[str, Side] = {
    side.key: side
    for side in (
        OURS,
        Side("plain", "Starlette route", _always_there, _plain),
        Side("broadcast", "websockets.broadcast()", _always_there, _broadcast),
        Side("nchan", "nchan", why_no_nchan, _nchan),
        Side("floor", "C send() loop", why_no_floor, _floor),
        Side("evalsha_1", "EVALSHA, 1 a call", _always_there, _no_server),
        Side("evalsha_64", "EVALSHA, 64 a call", _always_there, _no_server),
        Side("plain_film", "Starlette routes", _always_there, _plain_film),
        Side("ffmpeg_hls", "ffmpeg alone, plain HLS", why_no_film, _no_server),
        Side("redis_benchmark", "redis-benchmark, 1 a call", why_no_redis_benchmark, _no_server),
    )
}


def other_version(tree: Path, title: str) -> Side:
    """Our hub from another checkout."""
    return replace(OURS, key="other", title=title, tree=tree)
