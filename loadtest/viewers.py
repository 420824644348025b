"""Many light viewers in one process: plain sockets under one epoll, no task and no protocol object for each.

What arrives: an address, what each viewer says first. What leaves: the payloads they get, handed to one function with
the number of the viewer. The generator must cost less than what it measures; so it parses frame heads and no more.
"""

import base64
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.frames import FrameReader, frame_head_bytes, masked, pong

_TOGETHER = 100  # handshakes on their way at once
_RECEIVE_BYTES = 65_536
_PATIENCE_SECONDS = 60.0
_BINARY_HEAD = 0x82


class ViewersFailed(Exception):
    """The server refused or dropped viewers: the figures would be of something else."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How one viewer comes in: the path, further header lines, and what she sends once she is in."""

    path: str
    headers: tuple[str, ...] = ()
    hello: bytes = b""


Heard = Callable[[int, list[bytes]], None]


class Viewers:
    """`enter`, then `listen` as often as wanted, `close` last. Each viewer is known by her number from 0."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._epoll = select.epoll()
        self._plugs: list[socket.socket] = []
        self._readers: list[FrameReader] = []
        self._number_of: dict[int, int] = {}
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._frame_bytes = 0  # on the wire, of the last message that was counted
        self.message_bytes = 0

    def __len__(self) -> int:
        return len(self._plugs)

    def enter(self, entries: Sequence[Entry]) -> None:
        """Open all of them and wait until each has heard her first message. Raises `ViewersFailed`."""
        before = len(self)
        for first in range(0, len(entries), _TOGETHER):
            self._open(entries[first : first + _TOGETHER])
        greeted: set[int] = set()

        def welcome(number: int, _payloads: list[bytes]) -> None:
            greeted.add(number)

        for number, reader in enumerate(self._readers[before:], before):
            if early := reader.feed(b""):
                welcome(number, early)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(greeted) < len(entries):
            self.listen(welcome)
            if time.monotonic() > deadline:
                raise ViewersFailed(f"{len(greeted)} of {len(entries)} viewers were welcomed")

    def _open(self, entries: Sequence[Entry]) -> None:
        opened = []
        for entry in entries:
            plug = socket.create_connection(self._address, 10)
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            key = base64.b64encode(os.urandom(16)).decode()
            lines = (
                f"GET {entry.path} HTTP/1.1", f"Host: {self._address[0]}:{self._address[1]}", "Upgrade: websocket",
                "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *entry.headers,
            )  # fmt: skip
            plug.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            opened.append(plug)
        for plug, entry in zip(opened, entries, strict=True):
            self._seat(plug, entry)

    def _seat(self, plug: socket.socket, entry: Entry) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = plug.recv(_RECEIVE_BYTES)
            if not part:
                break
            answer += part
        head, _, rest = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ViewersFailed(f"the handshake was refused: {answer[:200].decode('latin-1')}")
        if entry.hello:
            plug.sendall(masked(entry.hello))
        plug.setblocking(False)
        self._number_of[plug.fileno()] = len(self._plugs)
        self._plugs.append(plug)
        reader = FrameReader()
        reader.keep(rest)
        self._readers.append(reader)
        self._epoll.register(plug.fileno(), select.EPOLLIN)

    def send(self, number: int, frame: bytes) -> None:
        """A frame made beforehand. It is small and the line empty: a part is not expected, and would be an error."""
        if self._plugs[number].send(frame) != len(frame):
            raise ViewersFailed("a request did not fit into the socket")

    def listen(self, heard: Heard, seconds: float = 0.05) -> None:
        """Read what has come, waiting at most that long for the first. Raises `ViewersFailed` where a line ended."""
        numbers, plugs, readers = self._number_of, self._plugs, self._readers
        for descriptor, _ in self._epoll.poll(seconds):
            number = numbers[descriptor]
            data = plugs[number].recv(_RECEIVE_BYTES)
            reader = readers[number]
            payloads = reader.feed(data)
            if payloads:
                heard(number, payloads)
            if reader.pings:
                self._answer_pings(number, reader)
            if not data or reader.closed:
                raise ViewersFailed(f"the server closed a line with {reader.closed or 'no word'}")

    def count(self, at_least_bytes: int, seconds: float = 0.005) -> int:
        """Read what has come and count the messages of at least that size, as cheaply as can be: where the last one
        repeats itself, byte for byte in size, its head alone is looked at."""
        found = 0
        buffer, size_before = self._buffer, self._frame_bytes
        for descriptor, _ in self._epoll.poll(seconds):
            number = self._number_of[descriptor]
            size = self._plugs[number].recv_into(buffer)
            reader = self._readers[number]
            if size == size_before and buffer[0] == _BINARY_HEAD and reader.is_between_frames:
                found += 1
                continue
            for payload in reader.feed(bytes(buffer[:size])):
                if len(payload) >= at_least_bytes:
                    found += 1
                    self.message_bytes = len(payload)
                    self._frame_bytes = len(payload) + frame_head_bytes(len(payload))
            self._answer_pings(number, reader)
            if not size or reader.closed:
                raise ViewersFailed(f"the server closed a line with {reader.closed or 'no word'}")
        return found

    def _answer_pings(self, number: int, reader: FrameReader) -> None:
        for payload in reader.pings:
            self.send(number, pong(payload))
        reader.pings.clear()

    def close(self) -> None:
        self._epoll.close()
        for plug in self._plugs:
            plug.close()
