"""Between the processes and the real Valkey: delays, cuts, answers that get lost, commands that arrive twice or late.

What arrives: what redis-py writes on its connections. What leaves: the same bytes, executed one message at a time by
the real server in the order in which the seed lets them arrive, and the server's answers, if the seed lets them
through. The product's scripts run as they are but for one line: where they ask for the machine's time they are told
the simulation's, from the key `simulation:time`. Everything waits on virtual time; only the server itself takes real
time.
"""

import asyncio
import hashlib
import random
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection

from livecommerce.reservations.rebuild_store import CLAIM, INSTALL
from livecommerce.reservations.store import OPEN_SHOW, RESERVE
from livecommerce.reservations.wires import Script
from tests.simulation.loop import Process, SeededLoop, process_now

TIME_KEY = "simulation:time"
START_S = 1_800_000_000
# The scripts that are about a show's books, and how often each asks the machine what time it is.
_ASKS_TIME = {RESERVE: 2, OPEN_SHOW: 1, CLAIM: 0, INSTALL: 1}
_ASKED = re.compile(rb"\b(?:redis\.)?call\('TIME'\)")
_IS_TOLD = b"redis.call('HMGET', 'simulation:time', 's', 'us')"

# What happens at the same instant happens in any order, and messages on one line do not.
_APART_S = 1e-6

# What it says of its log; there is none, since what a history is about is not on a disk.
_SYNCS = b"return {'appendonly', 'yes', 'appendfsync', 'always'}"
_SYNCS_NOT = b"return {'appendonly', 'yes', 'appendfsync', 'everysec'}"


@dataclass(frozen=True)
class Weather:
    """How likely each fault is, per message. All 0 is a calm day: then nothing is ever late."""

    slow: float = 0.0  # a message or an answer that takes up to 3 s
    lost: float = 0.0  # the connection breaks before the server has the message
    answer_lost: float = 0.0  # it breaks after
    silent: float = 0.0  # nothing breaks and nothing comes: whoever waits has to give up by herself
    twice: float = 0.0  # executed twice; one of the two answers comes back
    script_flush: float = 0.0  # the server's script cache is emptied before
    late: float = 0.0  # the message arrives long after whoever sent it gave up

    @property
    def calm(self) -> bool:
        return self == Weather()


def _simulated(script: Script) -> bytes:
    body, asked = _ASKED.subn(_IS_TOLD, script.body)
    assert asked == _ASKS_TIME[script], f"{script.name} asks for the time in another way than the simulation knows"
    return body


def _sha(body: bytes) -> bytes:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()


# What a command that reached the server names a script by: the hash or the body → "reserve.lua" and the like.
SCRIPT_OF = {
    name: script.name for script in _ASKS_TIME for name in (_simulated(script), _sha(_simulated(script)))
}  # fmt: skip


class Server:
    """The real Valkey, spoken to one message at a time, and what is to be known of each."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._bodies = {script.body: _simulated(script) for script in _ASKS_TIME}
        self._shas = {script.sha: _sha(_simulated(script)) for script in _ASKS_TIME}
        self.clock_step_s = 0.0  # its machine's clock was set by so much
        self.syncs = False  # it says that it syncs each write before it answers
        self.watch: Callable[[list[bytes], Any], None] = lambda _command, _answer: None
        self.now: Callable[[], float] = lambda: 0.0

    def close(self) -> None:
        self._socket.close()

    def ask(self, *words: Any) -> Any:
        """One command of the simulation's own, at once."""
        return self._exchange(hiredis.pack_command(words), 1)[1][0]

    def execute(self, message: bytes) -> bytes:
        """All commands of a message; the bytes of their answers."""
        commands = [self._told_the_time(command) for command in _parsed(message)]
        first = hiredis.pack_command(("HSET", TIME_KEY, "s", self._seconds(), "us", self._microseconds()))
        raw, answers = self._exchange(
            first + b"".join(map(hiredis.pack_command, map(tuple, commands))), len(commands) + 1
        )
        skipped = raw.index(b"\r\n") + 2
        for command, answer in zip(commands, answers[1:], strict=True):
            self.watch(command, answer)
        return raw[skipped:]

    def now_ms(self) -> int:
        return self._seconds() * 1000 + self._microseconds() // 1000

    def _at_us(self) -> int:
        return START_S * 1_000_000 + round((self.now() + self.clock_step_s) * 1_000_000)

    def _seconds(self) -> int:
        return self._at_us() // 1_000_000

    def _microseconds(self) -> int:
        return self._at_us() % 1_000_000

    def _told_the_time(self, command: list[bytes]) -> list[bytes]:
        name = command[0]
        if name == b"EVALSHA" and command[1] in self._shas:
            return [name, self._shas[command[1]], *command[2:]]
        if name == b"EVAL" and command[1] in self._bodies:
            return [name, self._bodies[command[1]], *command[2:]]
        if name == b"CONFIG" and command[2] == b"append*":
            return [b"EVAL", _SYNCS if self.syncs else _SYNCS_NOT, b"0"]
        return command

    def _exchange(self, message: bytes, answers_due: int) -> tuple[bytes, list[Any]]:
        self._socket.sendall(message)
        raw, answers, reader = b"", [], hiredis.Reader()
        while len(answers) < answers_due:
            piece = self._socket.recv(1 << 20)
            assert piece, "the Valkey of the simulation is gone"
            raw += piece
            reader.feed(piece)
            while len(answers) < answers_due and (answer := reader.gets()) is not False:
                answers.append(answer)
        return raw, answers


def _parsed(message: bytes) -> list[list[bytes]]:
    reader = hiredis.Reader()
    reader.feed(message)
    commands = []
    while (command := reader.gets()) is not False:
        commands.append(command)
    return commands


class Network:
    """The lines of all processes to the server. The seed is asked once for each fate."""

    def __init__(self, loop: SeededLoop, chance: random.Random, server: Server, weather: Weather) -> None:
        self.loop, self.chance, self.server, self.weather = loop, chance, server, weather
        self.away_until = 0.0  # until then nobody reaches the server
        self.lines: list[Line] = []

    def delay(self) -> float:
        """On a good line, a fraction of a millisecond up to three."""
        if self.weather.slow and self.chance.random() < self.weather.slow:
            return self.chance.uniform(0.05, 3.0)
        return self.chance.uniform(0.0002, 0.003)

    def cut_all(self) -> None:
        """The server died: no line of it is heard of any more, and what was on its way to it is lost."""
        for line in self.lines:
            line.cut()
        self.lines.clear()

    def later(self, seconds: float, callback: Callable[..., None], *args: Any) -> None:
        """Of the world, not of a process: it happens whoever dies meanwhile."""
        self.loop.call_later(seconds, callback, *args, context=self.loop.outside.context)


class Line:
    """One connection: a writer as redis-py wants it, and the server's end."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process
        self.reader = asyncio.StreamReader(loop=network.loop)
        self._open = True
        self._last_out = 0.0  # a line keeps its order in both directions
        self._last_in = 0.0
        # What did not come through, one way or the other, is followed by nothing on this line.
        self._loses_all = self._silent = False
        process.on_death.append(self.close)
        self._is_cut = False
        network.lines.append(self)

    # --- what redis-py calls ----------------------------------------------------------------------------------------

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def write(self, message: bytes) -> None:
        net, weather = self._network, self._network.weather
        if not self._open:
            raise ConnectionResetError("this line is broken")
        now, fate = net.loop.time(), net.chance.random() if not weather.calm else 1.0
        self._last_out = arrives = max(self._last_out + _APART_S, now + net.delay())
        if net.away_until > arrives or self._loses_all or fate < weather.lost:
            self._loses_all = True
            net.later(arrives - now, self._break)
            return
        fate -= weather.lost
        if fate < weather.late:  # it stays in somebody's buffers, and whoever sent it gives up
            self._loses_all = True
            net.later(net.chance.uniform(0.5, 9.0), self._arrive, message, "unheard")
            net.later(arrives - now, self._break)
            return
        fate -= weather.late
        for how in ("answer_lost", "silent", "twice", "script_flush"):
            share: float = getattr(weather, how)
            if fate < share:
                net.later(arrives - now, self._arrive, message, how)
                return
            fate -= share
        net.later(arrives - now, self._arrive, message, "")

    async def drain(self) -> None:
        return

    def close(self) -> None:
        self._open = False

    async def wait_closed(self) -> None:
        return

    # --- what happens on the way ------------------------------------------------------------------------------------

    def _arrive(self, message: bytes, how: str) -> None:
        net = self._network
        if self._is_cut:
            return
        if net.away_until > net.loop.time():
            self._break()
            return
        if how == "script_flush":
            net.server.ask("SCRIPT", "FLUSH")
        answer = net.server.execute(message)
        if how == "twice":
            again = net.server.execute(message)
            answer = again if net.chance.random() < 0.5 else answer
        if how == "answer_lost":
            self._break()
        elif how == "silent":
            self._silent = True
        elif how != "unheard" and not self._silent:
            now = net.loop.time()
            self._last_in = arrives = max(self._last_in + _APART_S, now + net.delay())
            net.later(arrives - now, self._hear, answer)

    def cut(self) -> None:
        self._is_cut = True
        self._break()

    def _hear(self, answer: bytes) -> None:
        if self._open and self._process.alive:
            self.reader.feed_data(answer)

    def _break(self) -> None:
        if self._open and self._process.alive:
            self._open = False
            self.reader.feed_eof()


def connection_class(network: Network) -> type[AbstractConnection]:
    class SimulatedConnection(AbstractConnection):
        async def _connect(self) -> None:
            await asyncio.sleep(network.delay())
            if network.away_until > network.loop.time():
                raise ConnectionRefusedError("the server is away")
            line = Line(network, process_now() or network.loop.outside)
            self._reader = line.reader
            self._writer = line  # type: ignore[assignment]

        async def on_connect_check_health(self, check_health: bool = True) -> None:
            self._parser.on_connect(self)  # no greeting: nothing that the shop relies on is said in it

        def repr_pieces(self) -> list[tuple[str, str]]:
            return [("simulated", "line")]

        def _host_error(self) -> str:
            return "simulated line"

        def __del__(self) -> None:
            return

    return SimulatedConnection
