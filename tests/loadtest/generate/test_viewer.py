"""One viewer by herself: the moves she may make, what she may send how often, and a line that takes only a part."""

import asyncio
import socket

import pytest

from loadtest.generate.viewer import MOVES, Allowance, Viewer


def a_viewer() -> Viewer:
    return Viewer(0, "vw_0", "token", "all")


@pytest.mark.parametrize("before", MOVES)
@pytest.mark.parametrize("after", MOVES)
def test_only_the_moves_of_the_table_are_made(before: str, after: str) -> None:
    viewer = a_viewer()
    viewer.stage = before  # type: ignore[assignment]
    if after in MOVES[before]:  # type: ignore[index]
        viewer.move(after)  # type: ignore[arg-type]
        assert viewer.stage == after
    else:
        with pytest.raises(AssertionError, match=f"from {before} to {after}"):
            viewer.move(after)  # type: ignore[arg-type]
        assert viewer.stage == before


def test_an_allowance_gives_so_many_at_once_and_then_so_many_a_second() -> None:
    allowance = Allowance()
    at_once = [allowance.take(1_000, 500_000, 3) for _ in range(5)]
    assert at_once == [True, True, True, False, False]
    assert not allowance.take(500_999, 500_000, 3)
    assert allowance.take(501_000, 500_000, 3)
    assert not allowance.take(501_000, 500_000, 3)
    assert [allowance.take(60_000_000, 500_000, 3) for _ in range(4)] == [True, True, True, False]


async def test_what_a_full_line_does_not_take_follows_in_order() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    viewer = a_viewer()
    viewer.plug = ours
    frames = [bytes([number]) * 100_000 for number in range(10)]
    for frame in frames:
        viewer.send(frame)
    assert viewer.rest
    got = b""
    while len(got) < 1_000_000:
        got += await asyncio.get_running_loop().sock_recv(theirs, 2**20)
    assert got == b"".join(frames)
    assert not viewer.rest
    viewer.hang_up()
    theirs.close()


async def test_a_broken_line_takes_nothing_and_says_nothing() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.close()
    viewer = a_viewer()
    viewer.plug = ours
    viewer.send(b"a")
    viewer.send(b"b")
    assert not viewer.rest
    viewer.hang_up()
    viewer.send(b"c")
    viewer.hang_up()


async def test_hanging_up_forgets_what_was_not_sent_yet() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    viewer = a_viewer()
    viewer.plug = ours
    viewer.send(b"x" * 2_000_000)
    assert viewer.rest
    viewer.hang_up()
    await asyncio.sleep(0)
    assert not viewer.rest
    theirs.close()
