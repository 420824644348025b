"""A place to measure in: a folder, a private Valkey, a ledger with a live show, and the two servers to compare.

What leaves: running processes, pinned, and what is needed to come in as a viewer. Both servers work on the same Valkey
binary with the same settings (`appendfsync always`) and the same books of stock. Everything ends with the `with`.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from livecommerce.app import Parts, open_parts
from livecommerce.ledger.migrate import migrate
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.from_host import GoLive
from livecommerce.protocol.from_viewer import Hello
from livecommerce.reservations.engine import DealStock
from livecommerce.settings import Settings, read_settings, settings_environ, with_secrets
from livecommerce.shows.plans import NewShow
from livecommerce.valkey_child import ValkeyChild, lock_data_folder
from loadtest.machine import Cores, cores, pin
from loadtest.viewers import Entry

T = TypeVar("T")
DEAL = "dl_bench"
LIMIT = 1000  # of the deal: out of the way; what bounds a viewer is the number of her live holds
_START_SECONDS_MAX = 20.0
# The question here is what one core of the server does. On a disk that others use too, the answer would be the disk's.
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Process:
    """A server that accepts connections."""

    pid: int
    port: int


@dataclass(slots=True)
class Lab:
    """Made by `open_lab`. Its own parts stand in for staff and for the merchant's site that mints tokens."""

    settings: Settings
    cores: Cores
    parts: Parts
    valkey_pid: int
    _runner: "asyncio.Runner"
    _made: int = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start it; it goes on with every `turn`. A busy generator need not wait for Redis's disk."""
        return self._runner.get_loop().create_task(work)

    def turn(self) -> None:
        """One turn of the event loop, without waiting."""
        loop = self._runner.get_loop()
        loop.call_soon(loop.stop)
        loop.run_forever()

    def live_show(self, quota: int) -> str:
        """A show on air with one open deal of that many units."""
        return self.run(self._live_show(quota))

    async def _live_show(self, quota: int) -> str:
        parts = self.parts
        self._made += 1
        email = f"host{self._made}@bench.example"
        staff = await parts.people.add_account(email, "Host", "admin", "", "a long bench password 7")
        show = await parts.shows.create(staff, NewShow("Bench", "open_house", scheduled_at_ms=parts.clock.now_ms()))
        await parts.shows.command(staff, show.show_id, "bench-go-live", GoLive())
        await parts.engine.open_show(show.show_id)
        deal = DealStock(DEAL, quota, LIMIT, 300_000, 600_000, status="open")
        await parts.engine.put_deal(show.show_id, deal)
        return show.show_id

    def viewers(self, count: int) -> list[ViewerIdentity]:
        self._made += 1
        return [ViewerIdentity(f"vwr_bench{self._made}x{number:05d}", "A viewer") for number in range(count)]

    def entry(self, show_id: str, viewer: ViewerIdentity) -> Entry:
        """How she comes into our hub."""
        token = self.parts.people.tokens.for_viewer(viewer).token
        offered = f"Sec-WebSocket-Protocol: {MSGPACK}, token.{token}"
        return Entry(f"/live/{show_id}", (offered,), encode(Hello(device="phone"), MSGPACK))

    def plain_entry(self, show_id: str, viewer: ViewerIdentity) -> Entry:
        """How she comes into the comparator: it believes what the address says."""
        return Entry(f"/live/{show_id}/{viewer.viewer_id}")

    @contextlib.contextmanager
    def hub(self) -> Iterator[Process]:
        """Our web process, with all its checks."""
        with self._served("loadtest.hub_process") as process:
            yield process

    @contextlib.contextmanager
    def comparator(self) -> Iterator[Process]:
        with self._served("loadtest.comparator") as process:
            yield process

    @contextlib.contextmanager
    def _served(self, module: str) -> Iterator[Process]:
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        port = listener.getsockname()[1]
        environ = dict(os.environ) | settings_environ(replace(self.settings, port=port))
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(listener.fileno()), str(self.cores.server)],
            env=environ,
            pass_fds=(listener.fileno(),),
            stdin=subprocess.DEVNULL,
        )
        listener.close()  # the child has its own; a connection made before it accepts waits in the backlog
        try:
            _wait_until_ready(process, port)
            yield Process(process.pid, port)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it served")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as plug:
            plug.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            if plug.recv(64):
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not answer within {_START_SECONDS_MAX:.0f} s")


@contextlib.contextmanager
def open_lab() -> Iterator[Lab]:
    """Valkey and this process, the generator, share a core; the server has the other."""
    folder = Path(tempfile.mkdtemp(prefix="lc-bench-", dir=_MEMORY if _MEMORY.is_dir() else None))
    ours = cores()
    before = os.sched_getaffinity(0)
    lock = lock_data_folder(folder)
    valkey = ValkeyChild(folder, lock)
    try:
        valkey.start()
        assert valkey.pid is not None
        pin(valkey.pid, ours.others)
        os.sched_setaffinity(0, {ours.others})
        settings = with_secrets(
            # Drained at once: the viewers of a bench do not come back.
            read_settings({}, data=folder, redis_url=valkey.url, drain_seconds=0, log_level="error", token_minutes=60)
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(migrate(settings.sql_url))
            parts = open_parts(settings)
            opened = runner.run(parts.__aenter__())
            try:
                yield Lab(settings, ours, opened, valkey.pid, runner)
            finally:
                runner.run(parts.__aexit__(None, None, None))
    finally:
        os.sched_setaffinity(0, before)
        valkey.stop()
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)
