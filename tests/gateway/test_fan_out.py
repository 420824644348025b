"""One frame to many descriptors: both loops say the same of every way a write can go."""

import os
import select
import socket
import subprocess
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecommerce.gateway import fan_out
from livecommerce.gateway.fan_out import BROKEN, HELD, NOBODY, Loop, best, in_c, in_python

FRAME = b"f" * 1000


@pytest.fixture(params=["in C", "in Python"])
def loop(request: pytest.FixtureRequest) -> Loop:
    return in_c() if request.param == "in C" else in_python


@pytest.fixture
def lines() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connected pairs: ours, which does not block and has a small buffer, and the far end."""
    listener = socket.create_server(("127.0.0.1", 0))
    pairs = []
    for _ in range(5):
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        near.setblocking(False)
        pairs.append((near, far))
    yield pairs
    for near, far in pairs:
        near.close()
        far.close()
    listener.close()


def descriptors(*numbers: int) -> "array[int]":
    return array("i", numbers)


def test_everybody_gets_the_frame_and_nobody_is_noted(
    loop: Loop, lines: list[tuple[socket.socket, socket.socket]]
) -> None:
    assert loop(descriptors(*(near.fileno() for near, _ in lines)), FRAME, 0) == []
    for _, far in lines:
        assert far.recv(5000) == FRAME


def test_nobody_is_nobody(loop: Loop) -> None:
    assert loop(descriptors(), FRAME, 0) == []


def test_a_line_that_is_not_free_is_noted_and_the_others_are_served(
    loop: Loop, lines: list[tuple[socket.socket, socket.socket]]
) -> None:
    near, far = lines[0]

    assert loop(descriptors(-1, near.fileno(), -1), FRAME, 0) == [(0, HELD), (2, HELD)]
    assert far.recv(5000) == FRAME


def test_an_empty_seat_is_passed_over(loop: Loop, lines: list[tuple[socket.socket, socket.socket]]) -> None:
    near, far = lines[0]

    assert loop(descriptors(NOBODY, near.fileno(), NOBODY), FRAME, 2) == []
    assert far.recv(5000) == FRAME


def test_it_begins_where_it_is_told_and_serves_everybody_once(
    loop: Loop, lines: list[tuple[socket.socket, socket.socket]]
) -> None:
    near, far = lines[0]

    assert loop(descriptors(-1, -1, near.fileno(), -1), FRAME, 1) == [(1, HELD), (3, HELD), (0, HELD)]
    assert far.recv(5000) == FRAME


def test_a_socket_that_fills_up_is_noted_with_what_it_took_then_with_nothing(
    loop: Loop, lines: list[tuple[socket.socket, socket.socket]]
) -> None:
    (full, reads_nothing), (near, far) = lines[:2]
    frame = bytes(range(256)) * 40_000  # more than any two buffers of one line hold
    ((place, taken),) = loop(descriptors(full.fileno()), frame, 0)
    assert place == 0
    assert 0 < taken < len(frame)
    for _ in range(100):  # what the far end confirms late makes room once more
        while taken > 0:
            ((_, taken),) = loop(descriptors(full.fileno()), frame, 0)
        noted = loop(descriptors(near.fileno(), full.fileno()), FRAME, 0)
        assert far.recv(5000) == FRAME
        if noted == [(1, 0)]:
            break
        taken = 1
    assert noted == [(1, 0)]
    assert reads_nothing.recv(256) == frame[:256]


def test_a_far_end_that_is_gone_is_noted_as_broken_and_raises_no_signal(
    loop: Loop, lines: list[tuple[socket.socket, socket.socket]]
) -> None:
    (dead, gone), (near, far) = lines[:2]
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    gone.close()  # with a reset
    arrived = select.poll()
    arrived.register(dead.fileno(), 0)
    assert arrived.poll(60_000)

    assert loop(descriptors(dead.fileno(), near.fileno()), FRAME, 0) == [(0, BROKEN)]
    assert loop(descriptors(dead.fileno(), near.fileno()), FRAME, 0) == [(0, BROKEN)]
    assert far.recv(2 * len(FRAME), socket.MSG_WAITALL) == 2 * FRAME


def test_a_descriptor_that_is_closed_is_broken(loop: Loop) -> None:
    number = os.dup(0)
    os.close(number)

    assert loop(descriptors(number), FRAME, 0) == [(0, BROKEN)]


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    flags = ("-O2", "-std=c11", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wconversion", "-Werror")
    source = Path(fan_out.__file__).with_suffix(".c")

    subprocess.run(["cc", *flags, "-o", str(tmp_path / "fan_out.so"), str(source)], check=True)


def test_without_a_compiler_python_does_it_and_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert best() == (in_python, "there is no C compiler (cc, gcc, clang) on this machine")
