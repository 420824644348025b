"""`livecommerce demo` where it cannot start: said in words, before anything is made in the folder."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from livecommerce.valkey_child import lock_data_folder
from tests.live_server import WAIT_SECONDS
from tests.ports import free_port


def start(data: Path, port: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "livecommerce", "demo", "--data", str(data), "--port", str(port)]
    return subprocess.run([*command, "--host", "127.0.0.1"], capture_output=True, text=True, timeout=WAIT_SECONDS)


def test_on_a_folder_in_use_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    lock = lock_data_folder(tmp_path)
    try:
        ended = start(tmp_path, free_port())
    finally:
        os.close(lock)
    assert ended.returncode == 1
    assert "runs on the data folder" in ended.stderr
    assert not list(tmp_path.glob("ledger*"))


def test_on_a_port_that_is_taken_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        ended = start(tmp_path, port)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert not list(tmp_path.glob("ledger*"))
