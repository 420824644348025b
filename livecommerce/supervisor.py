"""`livecommerce serve`: owns the listening socket and the private Valkey, and keeps N web processes and a worker alive.

What arrives: settings, signals, the ends of children. What leaves: started and restarted children, an exit code.
The socket is bound here, so that while a web process is replaced new connections wait in its backlog instead of being
refused. Children lead sessions of their own: Ctrl+C reaches the supervisor alone, which stops web first, then the
worker, and Valkey last. A child that dies is started again, after a pause that grows while it keeps dying.
SIGHUP replaces web processes and worker one after another: the new one first, and the old one goes only when the new
one serves. So a version that does not come up changes nothing, and there are never fewer processes than were asked for.
It knows nothing of what its children do.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import structlog

from livecommerce.certificate import certificate_for
from livecommerce.children import end_with_parent
from livecommerce.reload import Fate, Note, write_note
from livecommerce.settings import Settings, lost_without_tls, settings_environ
from livecommerce.valkey_child import ValkeyChild, lock_data_folder

log = structlog.get_logger(__name__)

_LOOK_EVERY_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 10.0
# A child that ran this long was healthy: its next restart is at once again.
_HEALTHY_SECONDS = 5.0
_BACKLOG = 4096
# A cold start takes 3 s on an idle machine. What does not serve by then does not come up.
_READY_SECONDS_MAX = 60.0
# Beyond draining, an old process has this long to end by itself.
_END_SECONDS_SPARE = 10.0


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
    ready: int = -1  # where a child that is to take another's place says that it serves; read by us


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
        self._reload = threading.Event()
        self._began_in_terminal = _has_terminal()
        self._reloading: Iterator[None] | None = None
        self._reloads = 0
        self._beside: list[Child] = []  # during a reload: on its way in, or on its way out
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
            signal.signal(signal.SIGHUP, self._on_reload)
            environ = dict(os.environ) | settings_environ(self._settings)
            if self._settings.embedded_redis:
                self._valkey = ValkeyChild(self._settings.data, lock)
                self._valkey.start()
                environ["REDIS_URL"] = self._valkey.url
                environ["LIVECOMMERCE_EMBEDDED"] = "yes"
            write_note(self._settings.data, Note(os.getpid()))
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

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        """SIGHUP has an older meaning too: the terminal that we were started in was closed. Then we end, as ever."""
        if self._began_in_terminal and not _has_terminal():
            self._stop.set()
        else:
            self._reload.set()

    def _plan(self, listener: socket.socket, environ: dict[str, str]) -> list[Child]:
        me = (sys.executable, "-m", "livecommerce")
        descriptor = listener.fileno()
        web = [
            Child(f"web-{number}", (*me, "web", "--fd", str(descriptor)), (descriptor,), environ=environ)
            for number in range(1, self._settings.web_processes + 1)
        ]
        further = [Child(name, arguments, environ=environ) for name, arguments in self._further]
        return [Child("worker", (*me, "worker"), environ=environ), *web, *further]

    def _start(self, child: Child, ready: int = -1) -> None:
        """`ready` is the end of a pipe on which the child says that it serves."""
        with self._output(child) as output:
            child.process = subprocess.Popen(
                child.arguments,
                env=child.environ
                | {"LIVECOMMERCE_RESTARTS": str(child.restarts), "LIVECOMMERCE_PROCESS": child.name}
                | ({"LIVECOMMERCE_READY_FD": str(ready)} if ready >= 0 else {}),
                pass_fds=child.pass_fds + ((ready,) if ready >= 0 else ()),
                preexec_fn=end_with_parent(),
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
            self._go_on_reloading()

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

    # --- a reload -------------------------------------------------------------------------------------------------

    def _go_on_reloading(self) -> None:
        """One step, which never waits: the other children are looked after meanwhile."""
        if self._reloading is None:
            if not self._reload.is_set():
                return
            self._reload.clear()
            self._reloads += 1
            self._reloading = self._replace_all()
        try:
            next(self._reloading)
        except StopIteration:
            self._reloading = None

    def _replace_all(self) -> Iterator[None]:
        self._tell("under_way", "The ledger is brought up to date.")
        migrating = Child(
            "migrate", (sys.executable, "-m", "livecommerce", "migrate"), environ=self._children[0].environ
        )
        self._beside.append(migrating)
        self._start(migrating)
        while migrating.process is not None and migrating.process.poll() is None:
            yield
        self._beside.remove(migrating)
        if migrating.process is None or migrating.process.returncode != 0:
            self._tell("failed", "The ledger could not be brought up to date; nothing was replaced.")
            return
        places = [
            *(place for place, child in enumerate(self._children) if child.name.startswith("web-")),
            *(place for place, child in enumerate(self._children) if child.name == "worker"),
        ]
        for done, place in enumerate(places):
            name = self._children[place].name
            self._tell("under_way", f"{name} is being replaced ({done + 1} of {len(places)}).")
            if not (yield from self._replace(place)):
                self._tell("failed", f"The new {name} did not come up; the old one serves on. See the log.")
                return
        self._tell("done", f"{len(places)} processes were replaced.")

    def _replace(self, place: int) -> Generator[None, None, bool]:
        """The new one, and when it serves the old one's end. False where it does not come up: then nothing changed."""
        old = self._children[place]
        new = Child(old.name, old.arguments, old.pass_fds, restarts=old.restarts + 1, environ=old.environ)
        self._beside.append(new)
        new.ready, ready = os.pipe()
        os.set_blocking(new.ready, False)
        try:
            self._start(new, ready)
            os.close(ready)
            serves = yield from self._until_serves(new)
        finally:
            os.close(new.ready)
        self._beside.remove(new)
        if not serves:
            _end([new], 0.1)
            return False
        self._children[place] = new
        if old.process is not None:
            self._beside.append(old)
            old.process.terminate()
            deadline = time.monotonic() + self._end_seconds
            while old.process.poll() is None:
                if time.monotonic() > deadline:
                    old.process.kill()
                yield
            self._beside.remove(old)
        return True

    def _until_serves(self, new: Child) -> Generator[None, None, bool]:
        """True once it says so; False where it ends before, or says nothing for too long."""
        assert new.process is not None
        deadline = time.monotonic() + _READY_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                return os.read(new.ready, 1) != b""
            yield
        return False

    def _tell(self, fate: Fate, text: str) -> None:
        log.info("reload", fate=fate, what=text)
        write_note(self._settings.data, Note(os.getpid(), self._reloads, fate, text))

    # --- the end --------------------------------------------------------------------------------------------------

    @property
    def _end_seconds(self) -> float:
        return self._settings.drain_seconds + _END_SECONDS_SPARE

    def _stop_all(self) -> None:
        patience = self._end_seconds
        # What plays at being people first, then what speaks to people, then the worker, which notes what they did.
        web = [child for child in self._children if child.name.startswith("web-")]
        worker = [child for child in self._children if child.name == "worker"]
        others = [child for child in self._children if child not in web + worker]
        for group in (others, web + self._beside, worker):
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


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


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


def say_what_is_lost(settings: Settings) -> None:
    """Loudly, in the log, where a network address is listened on without TLS."""
    if words := lost_without_tls(settings):
        log.warning("insecure", what=words)
