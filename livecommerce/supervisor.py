"""`livecommerce serve`: owns the listening socket and the private Valkey, and keeps N web processes and a worker alive.

What arrives: settings, signals, the ends of children. What leaves: started and restarted children, an exit code.
The socket is bound here, so that while a web process is replaced new connections wait in its backlog instead of being
refused. Children lead sessions of their own: Ctrl+C reaches the supervisor alone, which stops web first, then the
worker, and Valkey last. A child that dies is started again, after a pause that grows while it keeps dying.
It knows nothing of what its children do.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import structlog

from livecommerce.certificate import certificate_for
from livecommerce.settings import Settings, settings_environ
from livecommerce.valkey_child import ValkeyChild, lock_data_folder

log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 10.0
# A child that ran this long was healthy: its next restart is at once again.
_HEALTHY_SECONDS = 5.0
_BACKLOG = 4096


@dataclass(slots=True)
class Child:
    """One process to keep alive. `quick_deaths` in a row lengthen the pause before the next start."""

    name: str
    arguments: tuple[str, ...]
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    quick_deaths: int = 0
    restarts: int = 0
    environ: dict[str, str] = field(default_factory=dict)


class Supervisor:
    """Runs until SIGINT or SIGTERM. `run` blocks and must be called from the main thread."""

    def __init__(
        self,
        settings: Settings,
        further: tuple[tuple[str, tuple[str, ...]], ...] = (),
        on_started: Callable[[], None] | None = None,
        *,
        before: Callable[[], None] | None = None,
        logs: Path | None = None,
    ) -> None:
        """`further` are (name, arguments) of children beside web and worker, with the same environment; `on_started`
        runs in a thread of its own once all children were started (not: are ready). `before` runs once folder and
        port are ours and nothing runs yet; Ctrl+C ends it at once. What children print goes to a file each in `logs`,
        anew at each start, else where our own output goes."""
        self._settings = settings
        self._further = further
        self._on_started = on_started
        self._before = before
        self._logs = logs
        self._stop = threading.Event()
        self._valkey: ValkeyChild | None = None
        self._children: list[Child] = []

    def run(self) -> int:
        """Start everything, watch, stop everything. Returns 0 after a requested stop.

        Raises `DataFolderInUse`, `OSError` (the port is taken) and `RuntimeError` (Valkey does not start) before any
        child of ours serves.
        """
        lock = lock_data_folder(self._settings.data)
        listener = listen(self._settings.host, self._settings.port)
        try:
            if self._before is not None:
                self._before()
            certificate_for(self._settings)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._on_signal)
            environ = dict(os.environ) | settings_environ(self._settings)
            if self._settings.embedded_redis:
                self._valkey = ValkeyChild(self._settings.data, lock)
                self._valkey.start()
                environ["REDIS_URL"] = self._valkey.url
                environ["LIVECOMMERCE_EMBEDDED"] = "yes"
            self._children = self._plan(listener, environ)
            for child in self._children:
                self._start(child)
            if self._on_started is not None:
                threading.Thread(target=self._on_started, name="on-started", daemon=True).start()
            self._watch()
        finally:
            self._stop_all()
            listener.close()
            os.close(lock)
        return 0

    def stop(self) -> None:
        """Ask `run` to stop; returns at once, may be called from any thread."""
        self._stop.set()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _plan(self, listener: socket.socket, environ: dict[str, str]) -> list[Child]:
        me = (sys.executable, "-m", "livecommerce")
        descriptor = listener.fileno()
        web = [
            Child(f"web-{number}", (*me, "web", "--fd", str(descriptor)), (descriptor,), environ=environ)
            for number in range(1, self._settings.web_processes + 1)
        ]
        further = [Child(name, arguments, environ=environ) for name, arguments in self._further]
        return [Child("worker", (*me, "worker"), environ=environ), *web, *further]

    def _start(self, child: Child) -> None:
        parent = os.getpid()

        def in_child() -> None:
            os.setsid()
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with self._output(child) as output:
            child.process = subprocess.Popen(
                child.arguments,
                env=child.environ | {"LIVECOMMERCE_RESTARTS": str(child.restarts)},
                pass_fds=child.pass_fds,
                preexec_fn=in_child,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        child.started_at = time.monotonic()

    def _output(self, child: Child) -> "contextlib.AbstractContextManager[BinaryIO | None]":
        """Where this child prints; the file stays open in the child alone."""
        if self._logs is None:
            return contextlib.nullcontext(None)
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        return (self._logs / f"{child.name}.log").open("ab" if child.restarts else "wb")

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_SECONDS):
            if self._valkey is not None and not self._valkey.is_running():
                log.error("valkey_died", what="starting it again; its log is in the data folder")
                self._valkey.start()
            for child in self._children:
                self._look_after(child)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            lived = now - child.started_at
            child.quick_deaths = 0 if lived > _HEALTHY_SECONDS else child.quick_deaths + 1
            pause = 0.0 if child.quick_deaths == 0 else min(_PAUSE_SECONDS_MAX, 0.25 * 2.0**child.quick_deaths)
            log.warning(
                "child_ended", child=child.name, code=child.process.returncode, lived_s=round(lived, 1), pause_s=pause
            )
            child.process = None
            child.start_again_at = now + pause
        if child.process is None and now >= child.start_again_at:
            child.restarts += 1
            self._start(child)

    def _stop_all(self) -> None:
        patience = self._settings.drain_seconds + 10
        # What plays at being people first, then what speaks to people, then the worker, which notes what they did.
        web = [child for child in self._children if child.name.startswith("web-")]
        worker = [child for child in self._children if child.name == "worker"]
        for group in ([child for child in self._children if child not in web + worker], web, worker):
            _end(group, patience)
        if self._valkey is not None:
            self._valkey.stop()


def _end(children: list[Child], patience_seconds: float) -> None:
    running = [child.process for child in children if child.process is not None]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + patience_seconds
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that children may inherit. Raises `OSError` where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}. Choose another PORT.") from None
    listener.listen(_BACKLOG)
    listener.set_inheritable(True)
    return listener
