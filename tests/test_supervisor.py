"""The supervisor and its Valkey: one per folder, ended with their parent, started again when they die."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livecommerce.supervisor import listen
from livecommerce.valkey_child import DataFolderInUse, ValkeyChild, lock_data_folder, socket_path

WAIT_SECONDS_MAX = 60.0


def wait_for(what: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[ValkeyChild]:
    folder = tmp_path / "a folder with spaces"
    child = ValkeyChild(folder, lock_data_folder(folder))
    child.start()
    yield child
    child.stop()


def say(path: Path, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(command)
        return client.recv(4096)


def test_the_child_answers_on_its_socket_even_in_a_folder_with_spaces(child: ValkeyChild) -> None:
    assert say(child.socket, b"PING\r\n") == b"+PONG\r\n"
    assert b"always" in say(child.socket, b"CONFIG GET appendfsync\r\n")
    assert b"noeviction" in say(child.socket, b"CONFIG GET maxmemory-policy\r\n")


def test_what_was_written_is_there_after_a_kill(child: ValkeyChild) -> None:
    say(child.socket, b"SET unit sold\r\n")
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    wait_for(lambda: not child.is_running(), "it survived SIGKILL")

    child.start()

    assert say(child.socket, b"GET unit\r\n") == b"$4\r\nsold\r\n"


def test_a_deep_folder_gets_a_short_socket_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)

    assert len(os.fsencode(socket_path(deep))) <= 107
    assert socket_path(deep) == socket_path(deep)
    assert socket_path(deep) != socket_path(tmp_path / ("d" * 60) / ("f" * 60))


def test_a_second_server_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    lock = lock_data_folder(tmp_path)

    with pytest.raises(DataFolderInUse, match="Another livecommerce server"):
        lock_data_folder(tmp_path)

    os.close(lock)
    os.close(lock_data_folder(tmp_path))


def test_the_folder_stays_locked_while_the_child_lives_though_its_parent_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from livecommerce.valkey_child import *\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "child = ValkeyChild(folder, lock_data_folder(folder)); child.start()\n"
        "print(child.pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    valkey_pid = int(parent.stdout.readline())

    parent.kill()
    parent.wait()

    # The kernel tells the child that its parent died; once it has gone, the folder is free again.
    wait_for(lambda: not _alive(valkey_pid), "Valkey outlived its parent")
    os.close(lock_data_folder(tmp_path))


def test_a_taken_port_is_said_in_words() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match="Choose another PORT"):
        listen("127.0.0.1", listener.getsockname()[1])


def test_a_closed_terminal_ends_the_supervisor_and_no_hangup_of_a_service_does(tmp_path: Path) -> None:
    """SIGHUP of a process that has, or has no more, or never had a terminal."""
    program = (
        "import os, signal, sys, time\n"
        "from livecommerce.settings import read_settings\n"
        "from livecommerce.supervisor import Supervisor\n"
        "supervisor = Supervisor(read_settings({}))\n"
        "signal.signal(signal.SIGHUP, supervisor._on_reload)\n"
        "os.write(int(sys.argv[1]), b'ready\\n')\n"
        "while not (supervisor._stop.is_set() or supervisor._reload.is_set()): time.sleep(0.01)\n"
        "os.write(int(sys.argv[1]), b'stop\\n' if supervisor._stop.is_set() else b'reload\\n')\n"
    )

    def outcome(in_terminal: bool, close_it: bool) -> str:
        told, tell = os.pipe()
        pid, terminal = pty.fork() if in_terminal else (os.fork(), -1)
        if pid == 0:
            if not in_terminal:
                os.setsid()
            os.set_inheritable(tell, True)
            os.execv(sys.executable, [sys.executable, "-c", program, str(tell)])
        os.close(tell)
        try:
            with os.fdopen(told) as lines:
                assert lines.readline() == "ready\n"
                if close_it:
                    os.close(terminal)  # the kernel says SIGHUP
                else:
                    os.kill(pid, signal.SIGHUP)
                return lines.readline().strip()
        finally:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            if in_terminal and not close_it:
                os.close(terminal)

    assert outcome(in_terminal=True, close_it=True) == "stop"
    assert outcome(in_terminal=True, close_it=False) == "reload"
    assert outcome(in_terminal=False, close_it=False) == "reload"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
