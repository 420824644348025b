"""A server of our own for one run: a shop made by the commands a merchant types, `livecommerce serve`, and an end.

What arrives: settings as environment variables. What leaves: where it answers, who may sign in, and hands that kill,
stall and replace its processes. It knows the command line and the processes, and nothing of the server's insides.
"""

import asyncio
import atexit
import contextlib
import csv
import ctypes
import io
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx

from livecommerce.settings import Settings
from loadtest.machine import free_port
from loadtest.measure.processes import (
    accepts_from,
    arguments_of,
    children_of,
    family_of,
    is_running,
    listening_inodes,
)

Say = Callable[[str], None]

# A cold start imports, migrates and loads in 2 to 4 s on an idle machine; a loaded one takes several times that.
READY_SECONDS_MAX = 60.0
# What a supervisor may take to end beyond the draining it was told to do: web, worker and Valkey have 10 s each.
_END_SECONDS_SPARE = 30.0
_LOOK_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1
_EMAIL = "rehearsal@shop.example"
# 12 products in 4 shades: 48 variants, so that a card may have many deals and an evening many cards; more units of each
# than the largest quota of a deal (100,000) takes on several cards.
_PRODUCTS, _SHADES, _UNITS = 12, ("Rosewood", "Coral", "Ginger", "Plum"), 1_000_000


class ServerFailed(Exception):
    """Our own server did not come up or did not come back, in words, with the end of its log."""


@contextlib.asynccontextmanager
async def own_server(
    settings: Mapping[str, str], *, processes: int = 1, say: Say, keep: bool = False, core: int | None = None
) -> AsyncIterator["OwnServer"]:
    """A running, ready server on a free loopback port, with an administrator and a catalogue of 48 variants.

    `settings` are environment variables; what this shell has set for a server of its own (its Redis, its database) is
    left out, so that no run ever touches it. With `core` all its processes run on that core. At the end, whatever
    happened, every process is gone, and so is its data folder unless `keep`. Raises `ServerFailed`.
    """
    folder = Path(tempfile.mkdtemp(prefix="lc-rehearsal-"))
    server = OwnServer(folder, dict(settings), processes, core)
    atexit.register(server.end_now)  # where we ourselves break down, no server is left behind
    try:
        say(f"Making a shop of our own in {server.data}.")
        await server.make_shop()
        await server.start()
        say(f"Our own server answers at {server.url}.")
        yield server
    finally:
        try:
            await _to_the_end(server.end())
        finally:
            atexit.unregister(server.end_now)
            if keep:
                say(f"The server's data and log are kept in {folder}.")
            else:
                shutil.rmtree(folder, ignore_errors=True)


class OwnServer:
    """One data folder, one port, and the processes that run on them now."""

    def __init__(self, folder: Path, settings: dict[str, str], processes: int = 1, core: int | None = None) -> None:
        self.data = folder / "data"
        self.log = folder / "log"
        self.email = _EMAIL
        self.password = secrets.token_urlsafe(18)
        self.port = free_port()
        self.processes = processes
        tls = settings.get("LIVECOMMERCE_TLS", "").lower() in ("1", "true", "yes", "on")
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._environ = _bare_environ() | settings | {"LIVECOMMERCE_DATA": str(self.data)}
        self._end_seconds = float(settings.get("DRAIN_SECONDS") or Settings().drain_seconds) + _END_SECONDS_SPARE
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None
        self._mine: set[int] = set()  # every process of ours that was ever seen

    # --- looking ----------------------------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """The supervisor runs. Its children may be on their way back all the same."""
        return self._process is not None and self._process.poll() is None

    def pids(self) -> dict[str, list[int]]:
        """The processes that run now, by role: web, worker, redis."""
        if self._process is None:
            return {role: [] for role in ("web", "worker", "redis")}
        found = family_of(self._process.pid)
        self._mine.update(pid for pids in found.values() for pid in pids)
        return {role: list(pids) for role, pids in found.items()}

    def log_end(self, lines: int = 30) -> str:
        """The last lines of what supervisor and children printed."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    async def is_ready(self) -> bool:
        """`/readyz` says yes."""
        async with httpx.AsyncClient(verify=False, timeout=5) as client:
            try:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

    # --- its life ---------------------------------------------------------------------------------------------------

    async def make_shop(self) -> None:
        """Catalogue and administrator, by the command line. Raises `ServerFailed`."""
        self.data.mkdir(mode=0o700)
        catalogue = self.data.parent / "products.csv"
        catalogue.write_text(_catalogue())
        await self._command("import", "products", str(catalogue))
        # The password goes in as typed, twice: an argument could be read by everybody on this machine.
        account = ("user", "add", self.email, "--name", "Rehearsal", "--role", "admin")
        await self._command(*account, typed=f"{self.password}\n{self.password}\n")

    async def start(self) -> None:
        """`livecommerce serve`, until it is ready. Raises `ServerFailed`."""
        self._process = self._spawn()
        self._mine.add(self._process.pid)
        await self._until_ready("is not ready")
        self.pids()

    async def end(self) -> None:
        """SIGTERM, and SIGKILL for what is left after the time it has to drain. May be called again."""
        process = self._process
        if process is None:
            return
        self._remember()
        self._wake_all()
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, self._end_seconds)
        self.end_now()

    def end_now(self) -> None:
        """SIGKILL for every process of ours that still runs; the supervisor first, which would start others."""
        if self._process is not None and self._process.poll() is None:
            self._remember()
            self._process.kill()
            self._process.wait()
        for pid in sorted(self._mine):
            if self._is_ours(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    # --- what is done to it -----------------------------------------------------------------------------------------

    async def restart_web(self) -> int:
        """Replace web processes and worker one after the other, as a deploy does. Returns how many web processes were
        replaced. Raises `ServerFailed`."""
        pids = self.pids()["web"]
        await self._command("reload")
        self.pids()
        return len(pids)

    async def kill(self, role: str) -> int:
        """SIGKILL the first process of that role; its id. The supervisor starts another one: `until_back` waits."""
        pid = self._first(role)
        os.kill(pid, signal.SIGKILL)
        await self._until(lambda: not is_running(pid), f"still has {role} process {pid}")
        return pid

    async def until_back(self, role: str, pid: int) -> None:
        """Return once another process stands in for `pid` and the server is ready. Raises `ServerFailed`."""
        await self._until(lambda: self._has_replaced(role, pid), f"has no new {role} process")
        await self._until_ready(f"is not ready with its new {role} process")

    async def stall(self, role: str, seconds: float) -> None:
        """SIGSTOP every process of that role, SIGCONT after `seconds`, and also where this is cancelled."""
        pids = self.pids()[role]
        if not pids:
            raise ServerFailed(f"Our own server has no {role} process to stop.")
        try:
            for pid in pids:
                _signal(pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    # --- steps ------------------------------------------------------------------------------------------------------

    def _has_replaced(self, role: str, pid: int) -> bool:
        """As many as before, without that one; a web process counts once its loop accepts connections."""
        pids = self.pids()[role]
        if pid in pids or len(pids) < (self.processes if role == "web" else 1):
            return False
        if role != "web":
            return True
        inodes = listening_inodes(self.port)
        return all(accepts_from(each, inodes) for each in pids)

    def _first(self, role: str) -> int:
        pids = self.pids()[role]
        if not pids:
            raise ServerFailed(f"Our own server has no {role} process now.")
        return pids[0]

    async def _until(self, true: Callable[[], bool], what: str) -> None:
        async with self._patience(what):
            while not true():
                await self._look_again()

    async def _until_ready(self, what: str) -> None:
        async with self._patience(what):
            while not await self.is_ready():
                await self._look_again()

    @contextlib.asynccontextmanager
    async def _patience(self, what: str) -> AsyncIterator[None]:
        seconds = READY_SECONDS_MAX + self._end_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise ServerFailed(f"After {seconds:.0f} s our own server {what}.\n{self.log_end()}") from None

    async def _look_again(self) -> None:
        if not self.is_alive:
            raise ServerFailed(f"Our own server ended by itself.\n{self.log_end()}")
        await asyncio.sleep(_LOOK_SECONDS)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        given = ("--port", str(self.port), "--host", "127.0.0.1", "--processes", str(self.processes))
        with self.log.open("ab") as log:
            # In a session of its own: Ctrl+C is for the run, which then ends the server itself, last.
            return subprocess.Popen(
                [sys.executable, "-m", "livecommerce", "serve", *given],
                env=self._environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True, preexec_fn=_in_child(os.getpid(), self._core),
            )  # fmt: skip

    async def _command(self, *arguments: str, typed: str = "") -> None:
        """`livecommerce …` on our folder; it is killed where this is cancelled. Raises `ServerFailed`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "livecommerce", *arguments, "--data", str(self.data),
            env=self._environ, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            printed, _ = await process.communicate(typed.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise ServerFailed(f"`livecommerce {' '.join(arguments[:2])}` failed:\n{printed.decode(errors='replace')}")

    def _remember(self) -> None:
        if self._process is not None:
            self._mine |= set(children_of(self._process.pid))

    def _wake_all(self) -> None:
        """One that is stopped would sleep through its SIGTERM."""
        for pid in self._mine:
            if self._is_ours(pid):
                _signal(pid, signal.SIGCONT)

    def _is_ours(self, pid: int) -> bool:
        """Still the process we started, not another one that got its number."""
        named = str(self.data)
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return f"LIVECOMMERCE_DATA={named}".encode() in environ.split(b"\0") or any(
            named in each for each in arguments_of(pid)
        )


# --- helpers ----------------------------------------------------------------------------------------------------------


def _catalogue() -> str:
    """A product file as a merchant exports it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["Handle", "Title", "Vendor", "Type", "Published", "Option1 Name", "Option1 Value",
         "Variant Inventory Qty", "Variant Price"]
    )  # fmt: skip
    for number in range(1, _PRODUCTS + 1):
        handle = f"rehearsal-lip-{number:02}"
        for place, shade in enumerate(_SHADES):
            first = [f"Rehearsal Lip {number}", "House", "Lipstick", "true", "Shade"] if place == 0 else [""] * 5
            writer.writerow([handle, *first, shade, _UNITS, f"{18 + number}.00"])
    return out.getvalue()


def _bare_environ() -> dict[str, str]:
    """This shell's environment without any setting of a livecommerce server."""
    ours = {setting.metadata["env"] for setting in fields(Settings)}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _in_child(parent: int, core: int | None) -> Callable[[], None]:
    """Runs between fork and exec: the server ends with us even where we are killed, and stays on its core."""

    def run() -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        if core is not None:
            os.sched_setaffinity(0, {core})

    return run


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def _to_the_end(end: Coroutine[Any, Any, None]) -> None:
    """What was begun here is finished, even where we are cancelled once more meanwhile; the cancelling comes after."""
    task = asyncio.ensure_future(end)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
