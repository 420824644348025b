"""A place to measure in: a folder, a private Valkey, the hands that prepare a show, and the cores.

What leaves: what a side needs to start its server and to let viewers in. Every side works on the same Valkey binary
with the same settings (`appendfsync always`). Everything ends with the `with`.
"""

import asyncio
import contextlib
import ctypes
import dataclasses
import json
import os
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from redis import Redis

from livecommerce.protocol.facts import HoldLevel
from livecommerce.settings import Settings
from livecommerce.valkey_child import ValkeyChild, lock_data_folder
from loadtest.machine import Cores, cores, pin
from loadtest.measure.processes import accepts_from, listening_inodes

# The tree that holds the packages of this version.
OUR_TREE = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).resolve().parent
_START_SECONDS_MAX = 30.0
# The question here is what one core of the server does. On a disk that others use too, the answer would be the disk's.
_MEMORY = Path("/dev/shm")
_DESCRIPTORS = 15_000  # of the generator, and of a server: 10,000 viewers and what else is open
_PR_SET_PDEATHSIG = 1


class LabFailed(Exception):
    """Something was lost, refused or did not start: there are no figures. In words for a person."""


@dataclass(frozen=True, slots=True)
class Process:
    """A server that accepts connections; `pids` are all of its processes where there are several."""

    pid: int
    port: int
    pids: tuple[int, ...] = ()


class Stagehand:
    """The process that prepares shows with the parts of one version. Not for several threads."""

    def __init__(self, tree: Path, environ: dict[str, str], core: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_HERE / "stagehand.py"), str(core)],
            env=environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=end_with_parent,
        )
        self._unread = 1  # its word that it is ready

    def show(self, quota: int, level: HoldLevel = "soft", deals: int = 1) -> str:
        """A new show on air with so many open deals of that many units; its id."""
        return str(self._ask(do="show", quota=quota, level=level, deals=deals)["show_id"])

    def small_shows(self, count: int, quota: int) -> list[str]:
        """So many shows with an open deal of that many units each, in the engine's books alone; their ids."""
        ids: list[str] = self._ask(do="small_shows", count=count, quota=quota)["show_ids"]
        return ids

    def hammer(
        self, show_ids: Sequence[str], askers: int, each: int, core: int, together: int = 0
    ) -> tuple[float, float]:
        """Engine calls in that process, from that core, the askers over the shows in turn, `together` at most in a call
        of the script (0: as the product has it): the seconds they took, and the process's own of them."""
        done = self._ask(do="hammer", show_ids=list(show_ids), askers=askers, each=each, core=core, together=together)
        return done["seconds"], done["cpu_seconds"]

    def camera(self, show_id: str) -> tuple[str, str]:
        """A pass for the show's camera page, and its key for encoders."""
        opens = self._ask(do="camera", show_id=show_id)
        return str(opens["token"]), str(opens["key"])

    def script(self) -> str:
        """The text of the version's script that reserves."""
        return str(self._ask(do="script")["text"])

    def tokens(self, count: int) -> list[str]:
        """Tokens of so many new viewers."""
        tokens: list[str] = self._ask(do="tokens", count=count)["tokens"]
        return tokens

    def card(self, show_id: str, text: str) -> None:
        """Publish a card, without waiting: `settle` tells whether it went well."""
        self._tell(do="card", show_id=show_id, text=text)

    def settle(self) -> dict[str, Any]:
        """Read all answers; the last one. Raises `LabFailed` with the words of one that failed."""
        answer: dict[str, Any] = {}
        assert self._process.stdout is not None
        while self._unread:
            line = self._process.stdout.readline()
            if not line:
                raise LabFailed("the version's own parts could not prepare a show; their last words stand above")
            self._unread -= 1
            answer = json.loads(line)
            if "error" in answer:
                raise LabFailed(f"the version's own parts could not prepare a show: {answer['error']}")
        return answer

    def _ask(self, **asked: Any) -> dict[str, Any]:
        self._tell(**asked)
        return self.settle()

    def _tell(self, **asked: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._unread = max(1, self._unread)
            self.settle()
        self._unread += 1

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        end(self._process)
        self._process.stdout.close()


@dataclass(slots=True)
class Lab:
    """Made by `open_lab`, for the version in `tree`."""

    tree: Path
    folder: Path
    cores: Cores
    valkey_pid: int
    valkey_socket: Path
    redis: "Redis"
    runner: "asyncio.Runner"
    environ: dict[str, str]
    _stagehand: Stagehand | None = field(default=None)

    @property
    def stagehand(self) -> Stagehand:
        """Started when first needed: not every side has a show."""
        if self._stagehand is None:
            self._stagehand = Stagehand(self.tree, self.environ, self.cores.others)
            self._stagehand.settle()
        return self._stagehand

    @contextlib.contextmanager
    def served(self, command: Sequence[str], count: int = 1) -> Iterator[Process]:
        """`python COMMAND FD CORE` on a listening socket of its own, until the `with` ends; so many of them on it."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        port = listener.getsockname()[1]
        pids: list[int] = []
        with contextlib.ExitStack() as ends:
            ends.callback(listener.close)
            for _ in range(count):
                process = subprocess.Popen(
                    [sys.executable, *command, str(listener.fileno()), str(self.cores.server)],
                    env=self.environ | {"PORT": str(port), "PYTHONPATH": str(self.tree)},
                    pass_fds=(listener.fileno(),),
                    stdin=subprocess.DEVNULL,
                    preexec_fn=end_with_parent,
                )
                ends.callback(end, process)
                wait_until_served(process, port)  # by this one, or by one that serves already
                _wait_until_it_accepts(process, port)
                pids.append(process.pid)
            listener.close()  # the children have their own; a connection made before they accept waits in the backlog
            yield Process(pids[0], port, tuple(pids))

    def close(self) -> None:
        if self._stagehand is not None:
            self._stagehand.close()


def wait_until_served(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return once something answers HTTP there. Raises `LabFailed`."""
    deadline = time.monotonic() + _START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LabFailed(f"a server ended with {process.returncode} before it served; its last words stand above")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as plug:
            plug.settimeout(5)
            plug.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            if plug.recv(64):
                return
        time.sleep(0.02)
    raise LabFailed(f"a server did not answer within {_START_SECONDS_MAX:.0f} s")


def _wait_until_it_accepts(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return once this very process takes connections on the port that it shares. Raises `LabFailed`."""
    deadline, inodes = time.monotonic() + _START_SECONDS_MAX, listening_inodes(port)
    while not accepts_from(process.pid, inodes):
        if process.poll() is not None or time.monotonic() > deadline:
            raise LabFailed("one of several servers did not begin to serve")
        time.sleep(0.02)


def end_with_parent() -> None:
    """Between fork and exec: a bench that is killed leaves no server behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, and SIGKILL where ten thousand goodbyes take too long: nobody waits for them here."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def open_lab(tree: Path = OUR_TREE, *, on_disk: bool = False) -> Iterator[Lab]:
    """Valkey, the stagehand and this process, the generator, share a core; the server has the other. `on_disk`: what
    Valkey and the ledger write lies where temporary files lie, and not in memory."""
    _raise_descriptor_limit()
    folder = Path(tempfile.mkdtemp(prefix="lc-bench-", dir=None if on_disk or not _MEMORY.is_dir() else _MEMORY))
    place = cores()
    before = os.sched_getaffinity(0)
    lock = lock_data_folder(folder)
    valkey = ValkeyChild(folder, lock)
    try:
        valkey.start()
        assert valkey.pid is not None
        pin(valkey.pid, place.others)
        os.sched_setaffinity(0, {place.others})
        with (
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            contextlib.closing(Redis(unix_socket_path=str(valkey.socket))) as redis,
        ):
            environ = _environ(folder, valkey.url)
            lab = Lab(tree, folder, place, valkey.pid, valkey.socket, redis, runner, environ)
            try:
                yield lab
            finally:
                lab.close()
    finally:
        os.sched_setaffinity(0, before)
        valkey.stop()
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _environ(folder: Path, redis_url: str) -> dict[str, str]:
    """What was set for another server on this machine must not reach the one that is measured."""
    settings = {setting.metadata["env"] for setting in dataclasses.fields(Settings)}
    return {name: value for name, value in os.environ.items() if name not in settings | {"PYTHONPATH"}} | {
        "LIVECOMMERCE_DATA": str(folder),
        "REDIS_URL": redis_url,
        "LIVECOMMERCE_SECRET": secrets.token_urlsafe(32),
        "LOG_LEVEL": "error",
        "DRAIN_SECONDS": "0",  # the viewers of a bench do not come back
        "TOKEN_MINUTES": "60",
        "ACCEPTS_PER_SECOND": "1000000",  # how fast they can come in is the question
        "TALK_LINES_PER_SECOND": "0",
        "TALK_LINES_PHONE": "0",
    }


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _DESCRIPTORS:
        wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
