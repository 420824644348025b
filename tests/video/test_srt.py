"""SRT: a port for each show, and a passphrase that is checked before a byte is taken. The callers are real ffmpegs."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from livecommerce.errors import R, Refused
from livecommerce.video.srt import Listener, Ports
from tests.ports import free_port
from tests.video.films import film, needs_ffmpeg

RIGHT, WRONG = "the-right-passphrase", "the-wrong-passphrase"
SHOW, OTHER, THIRD = "shw_0123456789abcdef", "shw_fedcba9876543210", "shw_00000000000000aa"


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return Ports(tmp_path / "srt", range(9000, 9002))


def test_a_show_has_a_port_of_its_own_and_keeps_it(ports: Ports) -> None:
    first, second = ports.open(SHOW), ports.open(OTHER)

    assert {first, second} == {9000, 9001}
    assert (ports.open(SHOW), ports.of(OTHER), ports.of(THIRD)) == (first, second, None)
    assert ports.claims() == {first: SHOW, second: OTHER}
    with pytest.raises(Refused) as caught:
        ports.open(THIRD)
    assert caught.value.why is R.VIDEO_QUOTA
    ports.tell(first, "something")
    ports.free(first)
    assert (ports.open(THIRD), ports.said(first)) == (first, "")


def test_of_all_processes_one_listens_and_another_follows_when_it_is_gone(ports: Ports) -> None:
    port = ports.open(SHOW)
    lock = ports.lock(port)
    assert lock is not None
    with multiprocessing.get_context("spawn").Pool(1) as others:
        assert others.apply(_locks, (ports, port)) is False
        os.close(lock)
        assert others.apply(_locks, (ports, port)) is True


def _locks(ports: Ports, port: int) -> bool:
    return ports.lock(port) is not None


def test_a_claim_that_was_freed_and_made_anew_meanwhile_is_not_the_old_one(ports: Ports) -> None:
    port = ports.open(SHOW)
    lock = ports.lock(port)
    assert lock is not None
    ports.free(port)
    assert ports.lock(port) is None
    assert ports.open(OTHER) == port
    fresh = ports.lock(port)
    assert fresh is not None
    os.close(lock)
    os.close(fresh)


# --- callers ----------------------------------------------------------------------------------------------------------


async def call(port: int, *options: str) -> int:
    """A caller that sends a second at its pace, as SRT wants it. Its exit code."""
    address = "&".join([f"srt://127.0.0.1:{port}?mode=caller", *options])
    process = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "quiet", "-re", "-f", "mpegts", "-i", "pipe:0", "-c", "copy", "-f", "mpegts", address,
        stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await process.communicate(film("ts", 1.0))
    return process.returncode or 0


@pytest.fixture
async def listener() -> AsyncIterator[tuple[Listener, int]]:
    port = free_port()
    made = Listener("127.0.0.1", port, RIGHT)
    await made.start()
    yield made, port
    await made.aclose()


async def until_it_listens(port: int) -> None:
    wanted = f":{port:04X} "
    while wanted not in Path("/proc/net/udp").read_text():  # noqa: ASYNC110, ASYNC240  the kernel tells nobody
        await asyncio.sleep(0.01)


@needs_ffmpeg
async def test_whoever_does_not_know_the_passphrase_is_turned_away_and_the_line_waits_on(
    listener: tuple[Listener, int],
) -> None:
    line, port = listener
    await until_it_listens(port)
    came = asyncio.create_task(_all(line))

    assert await call(port, f"passphrase={WRONG}", "pbkeylen=16") != 0
    assert await call(port) != 0
    assert not came.done()
    while await call(port, f"passphrase={RIGHT}", "pbkeylen=16", "streamid=anything") != 0:
        assert not came.done()  # a caller gives up after some seconds, and calls again
        await asyncio.sleep(0.05)

    data = await came
    assert data[:1] == b"\x47"
    assert len(data) > 10_000
    assert RIGHT not in line.said


async def _all(line: Listener) -> bytes:
    return b"".join([chunk async for chunk in line.chunks()])


@needs_ffmpeg
async def test_a_line_that_nobody_called_ends_when_it_is_told(listener: tuple[Listener, int]) -> None:
    line, port = listener
    await until_it_listens(port)
    line.hang_up()

    assert await _all(line) == b""


@needs_ffmpeg
async def test_a_port_that_another_program_has_is_told_without_the_passphrase() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
    port: Any = transport.get_extra_info("sockname")[1]
    line = Listener("127.0.0.1", port, RIGHT)
    await line.start()
    try:
        assert await _all(line) == b""
    finally:
        await line.aclose()
        transport.close()
    assert line.said
    assert RIGHT not in line.said
