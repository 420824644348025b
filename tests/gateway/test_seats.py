"""Seats: places, their descriptors, and that none of these ever says anything else than its outbox."""

import asyncio
import os
import select
import socket as plain_socket

import pytest

from livecommerce.gateway import seats as module
from livecommerce.gateway.fan_out import NOBODY, in_c, in_python
from livecommerce.gateway.outbox import Lane, Outbox
from livecommerce.gateway.seats import Seats, send_to_all, use_loop
from tests.gateway.live import until
from tests.gateway.test_outbox import Owner, fill, line, read_everything


@pytest.fixture(params=["in C", "in Python"], autouse=True)
def _both_loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_loop", module._loop)  # put back afterwards
    use_loop(in_c() if request.param == "in C" else in_python)


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def entry(seats: Seats, outbox: Outbox) -> int:
    return seats.descriptors[outbox.place]


async def test_the_first_free_place_is_filled_again_and_the_others_keep_theirs() -> None:
    async with line() as (a, _, _), line() as (b, _, _), line() as (c, _, _):
        seats = Seats()
        seats.add(a)
        seats.add(b)
        assert (a.place, b.place, len(seats), list(seats)) == (0, 1, 2, [a, b])
        seats.discard(a)
        assert (len(seats), list(seats), a in seats, b in seats) == (1, [b], False, True)
        assert list(seats.descriptors) == [NOBODY, b.direct]
        seats.add(c)
        assert (c.place, b.place, list(seats)) == (0, 1, [c, b])


async def test_who_does_not_sit_here_is_not_taken_out() -> None:
    async with line() as (a, _, _):
        here, elsewhere = Seats(), Seats()
        elsewhere.add(a)
        here.discard(a)
        assert list(elsewhere) == [a]


async def test_everybody_seated_gets_the_frame_once_whoever_is_first() -> None:
    async with line() as (a, _, far_a), line() as (b, _, far_b), line() as (c, _, far_c):
        seats = Seats()
        for outbox in (a, b, c):
            seats.add(outbox)
        seats.discard(b)
        for _ in range(20):
            send_to_all(seats, b"<card>", Lane.STATE)
        assert await read_everything(far_a, a) == b"<card>" * 20
        assert await read_everything(far_b, b) == b""
        assert await read_everything(far_c, c) == b"<card>" * 20


class TestTheEntryIsTheOutboxesDescriptor:
    """The conditions of a direct write, each as it stands among the seats."""

    async def test_while_its_line_is_free_and_never_while_something_waits(self) -> None:
        async with line() as (outbox, _, far):
            seats = Seats()
            seats.add(outbox)
            assert entry(seats, outbox) == outbox.direct >= 0
            fill(outbox)
            assert entry(seats, outbox) == outbox.direct == -1
            send_to_all(seats, b"<card>", Lane.STATE)
            assert (await read_everything(far, outbox)).endswith(b"<card>")
            assert entry(seats, outbox) == outbox.direct >= 0

    async def test_not_after_a_frame_that_was_taken_in_part(self) -> None:
        async with line() as (outbox, _, far):
            seats = Seats()
            seats.add(outbox)
            frame = bytes(range(256)) * 300
            send_to_all(seats, frame, Lane.STATE)
            assert entry(seats, outbox) == -1
            send_to_all(seats, b"<next>", Lane.STATE)
            assert await read_everything(far, outbox) == frame + b"<next>"

    async def test_not_before_it_is_open(self) -> None:
        async with line() as (outbox, owner, _):
            seats = Seats()
            closed = Outbox(outbox._transport, owner, 1000)
            seats.add(closed)
            assert entry(seats, closed) == -1
            closed.open()
            assert entry(seats, closed) == closed.direct >= 0
            closed.forget()

    async def test_not_after_its_last_word(self) -> None:
        async with line() as (outbox, _, far):
            seats = Seats()
            seats.add(outbox)
            outbox.end_with(b"<bye>")
            send_to_all(seats, b"<card>", Lane.STATE)
            assert entry(seats, outbox) == -1
            assert await read_everything(far, outbox) == b"<bye>"

    async def test_not_once_the_connection_is_lost_though_it_sits_here_still(self) -> None:
        """The number is given to the next connection at once: what is written to it then goes to somebody else."""
        async with line() as (outbox, _, _):
            seats = Seats()
            seats.add(outbox)
            number = outbox.direct
            stranger, far = plain_socket.socketpair()
            outbox.forget()
            outbox._transport.abort()
            await until(lambda: not is_open(number))
            os.dup2(stranger.fileno(), number)
            send_to_all(seats, b"<card>", Lane.STATE)
            os.close(number)
            stranger.close()
            assert far.recv(100) == b"", "nothing but the end"
            far.close()

    async def test_not_once_the_far_end_is_gone(self) -> None:
        async with line() as (dead, _, far), line() as (alive, _, other):
            seats = Seats()
            seats.add(dead)
            seats.add(alive)
            far.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            far.close()
            arrived = select.poll()
            arrived.register(dead.direct, 0)
            assert arrived.poll(60_000)
            for _ in range(3):
                send_to_all(seats, b"x", Lane.STATE)
            assert entry(seats, dead) == -1
            assert await read_everything(other, alive) == b"xxx"


async def test_on_tls_the_entry_stays_closed_and_frames_go_by_the_transport() -> None:
    class Tls(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__({"sslcontext": object()})
            self.written = b""

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
            pass

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.written += bytes(data)

    transport, seats = Tls(), Seats()
    outbox = Outbox(transport, Owner(), 1000)
    outbox.open()
    seats.add(outbox)
    send_to_all(seats, b"<card>", Lane.STATE)

    assert entry(seats, outbox) == -1
    assert transport.written == b"<card>"
