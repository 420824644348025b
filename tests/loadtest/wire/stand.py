"""A receiver and the servers' ends of its lines, all of them real TCP on this machine.

What a test says: what the server sends to whom. What it asks: what the receiver told and tallied. Nothing sleeps: the
stand waits on the receiver's own descriptor, and gives up after `WAIT_SECONDS`, which is a bound for a test that hangs.
"""

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable

from websockets.frames import Frame, Opcode

from livecommerce.protocol.codec import MSGPACK, decode_to_viewer, encode
from livecommerce.protocol.facts import CardFacts, CardShown, Line, Note, Stamped
from livecommerce.protocol.to_viewer import Levels, State, Talk, Welcome, You
from loadtest.marks import marked, planned_us_of
from loadtest.wire.native import NativeReceiver
from loadtest.wire.portable import PortableReceiver
from loadtest.wire.receiver import KIND_NAMES, LEVELS, RELAY, STATE, TALK, FrameFacts, Receiver, Single

WAIT_SECONDS = 60.0
EPOCH = "0123456789ab"
KINDS: dict[str, Callable[[Callable[[bytes], FrameFacts]], Receiver]] = {
    "native": NativeReceiver,
    "portable": PortableReceiver,
}


class Stand:
    """`enter` viewers, let the server `send`, then look at `singles` and `counters`, which gather what came."""

    def __init__(self, kind: str) -> None:
        self.receiver = KINDS[kind](self.on_shared)
        self.asked: list[bytes] = []
        self.refuse: set[bytes] = set()  # payloads whose reading fails
        self.singles: list[Single] = []
        self.counters: Counter[str] = Counter()
        self.latencies: dict[str, Counter[int]] = {"state": Counter(), "talk": Counter()}
        self.server: dict[int, socket.socket] = {}
        self.plugs: dict[int, socket.socket] = {}
        self._sent = 0
        self._poll = select.poll()
        self._poll.register(self.receiver.fileno(), select.POLLIN)
        self._listener = socket.create_server(("127.0.0.1", 0))

    def close(self) -> None:
        self.receiver.close()
        for plug in (*self.server.values(), *self.plugs.values(), self._listener):
            plug.close()

    def on_shared(self, payload: bytes) -> FrameFacts:
        self.asked.append(payload)
        if payload in self.refuse:
            raise ValueError("this frame is not to be read")
        match decode_to_viewer(payload, MSGPACK):
            case State(epoch, events):
                found = [(planned, event.offset) for event in events if (planned := _planned(event)) is not None]
                first, last = (events[0].offset, events[-1].offset) if events else (1, 0)
                number = self.receiver.epoch_number(epoch)
                return FrameFacts(
                    STATE, number, first, last, tuple(each[0] for each in found), tuple(each[1] for each in found)
                )
            case Talk(lines):
                marks = [planned for line in lines if (planned := planned_us_of(line.text)) is not None]
                return FrameFacts(TALK, 0, 1, len(lines), tuple(marks))
            case Levels():
                return FrameFacts(LEVELS, 0, 0, 0, ())
            case _:
                return FrameFacts(RELAY, 0, 0, 0, ())

    # --- lines ------------------------------------------------------------------------------------------------------

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """(the server's end, the viewer's), the latter not blocking."""
        plug = socket.create_connection(self._listener.getsockname())
        end, _ = self._listener.accept()
        for each in (plug, end):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.settimeout(WAIT_SECONDS)
        plug.setblocking(False)
        return end, plug

    def enter(self, viewer: int, rest: bytes = b"", *, slow: bool = False, since_us: int = 0) -> None:
        self.server[viewer], self.plugs[viewer] = self.pair()
        self._sent += len(rest)
        self.receiver.add(viewer, self.plugs[viewer], rest, slow=slow, since_us=since_us)

    def seat(self, viewer: int, offset: int = 0, *, slow: bool = False) -> None:
        """`enter` and a position, as if she had been welcomed with nothing missed."""
        self.enter(viewer, slow=slow)
        self.position(viewer, offset, offset)
        self.pump()
        self.singles.clear()

    def position(self, viewer: int, offset: int, target: int, epoch: str = EPOCH) -> None:
        self.receiver.position(viewer, self.receiver.epoch_number(epoch), offset, target)

    def leave(self, viewer: int) -> None:
        self.receiver.remove(viewer)
        self.plugs.pop(viewer).close()
        self.server.pop(viewer).close()

    def send(self, viewer: int, *frames: bytes) -> None:
        """All of it in one write of the server."""
        data = b"".join(frames)
        self.server[viewer].sendall(data)
        self._sent += len(data)

    def reset(self, viewer: int) -> None:
        """The server's end breaks: RST instead of FIN."""
        end = self.server[viewer]
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()

    # --- what came --------------------------------------------------------------------------------------------------

    def pump(self, budget_ms: float = 5.0) -> None:
        self.singles += self.receiver.pump(budget_ms)
        self._take()

    def _take(self) -> None:
        taken = self.receiver.take()
        self.counters.update(taken.counters)
        for name, pairs in taken.latencies.items():
            for us, count in pairs:
                self.latencies[name][us] += count

    def read_some(self, viewer: int, most: int) -> None:
        self.singles += self.receiver.read_some(viewer, most)
        self._take()

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        self.pump()
        while not true():
            assert time.monotonic() < deadline, f"waited in vain; {self.told()} {dict(self.counters)}"
            if self._poll.poll(100):
                self.pump()

    def read_all(self) -> None:
        """Until every byte that the server sent has been read."""
        self.until(lambda: self.counters["bytes_in"] >= self._sent)

    def told(self) -> list[tuple[int, str, bytes]]:
        """(viewer, kind, payload) of every single so far."""
        return [(single.viewer, KIND_NAMES[single.kind], single.payload) for single in self.singles]

    def kinds(self, viewer: int = 1) -> list[str]:
        return [kind for who, kind, _ in self.told() if who == viewer]

    @property
    def is_readable(self) -> bool:
        return bool(self._poll.poll(0))


def _planned(stamped: Stamped) -> int | None:
    return planned_us_of(stamped.event.card.line) if isinstance(stamped.event, CardShown) else None


def framed(payload: bytes, opcode: Opcode = Opcode.BINARY) -> bytes:
    return Frame(opcode, payload).serialize(mask=False)


def state(first: int, last: int | None = None, epoch: str = EPOCH, planned_us: int | None = None) -> bytes:
    """The payload of a state frame with events first…last; each a marked card, or a note."""
    events = tuple(
        Stamped(offset, 5, Note(f"event {offset}") if planned_us is None else card(planned_us))
        for offset in range(first, (first if last is None else last) + 1)
    )
    return encode(State(epoch, events), MSGPACK)


def card(planned_us: int) -> CardShown:
    return CardShown(CardFacts("crd_1", "product", "Velvet lip", marked("Soft", planned_us), "velvet-lip", "", ()))


def talk(texts: Iterable[str]) -> bytes:
    lines = tuple(Line(f"l{at}", 5, "Mei", text) for at, text in enumerate(texts))
    return encode(Talk(lines), MSGPACK)


def welcome(offset: int, *, recovered: bool = True) -> bytes:
    return encode(Welcome(You("vwr_1", "Mei", "viewer"), 5, EPOCH, offset, recovered, 25), MSGPACK)
