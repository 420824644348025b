"""The fate of a slow viewer, step by step, and the rules of writing beside a transport."""

import asyncio
import contextlib
import dataclasses
import fcntl
import socket as plain_socket
import sys
import termios
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import Close
from livecommerce.gateway import seats
from livecommerce.gateway.fan_out import in_c, in_python
from livecommerce.gateway.measures import DROPPED
from livecommerce.gateway.outbox import NOTSENT_LOWAT_BYTES, TRANSPORT_BYTES_MAX, Lane, Outbox
from livecommerce.gateway.seats import send_to_all, use_loop
from livecommerce.protocol.facts import Note
from livecommerce.protocol.from_viewer import Ping
from livecommerce.protocol.to_viewer import Pong, State, Welcome
from livecommerce.settings import Settings
from tests.gateway.live import SHOW, live, seat, until

BOUND = 100_000


@pytest.fixture(params=["in C", "in Python"], autouse=True)
def _both_loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds with either loop."""
    monkeypatch.setattr(seats, "_loop", seats._loop)  # put back afterwards
    use_loop(in_c() if request.param == "in C" else in_python)


class Owner(asyncio.Protocol):
    """Stands where the socket class stands: passes the transport's words on and notes what it is told."""

    def __init__(self) -> None:
        self.outbox: Outbox | None = None
        self.freed: list[tuple[bool, bool]] = []
        self.too_slow = 0

    def pause_writing(self) -> None:
        assert self.outbox is not None
        self.outbox.paused()

    def resume_writing(self) -> None:
        assert self.outbox is not None
        self.outbox.resumed()

    def on_free(self, needs_snapshot: bool, needs_levels: bool) -> None:
        self.freed.append((needs_snapshot, needs_levels))

    def on_too_slow(self) -> None:
        self.too_slow += 1


@contextlib.asynccontextmanager
async def line() -> AsyncIterator[tuple[Outbox, Owner, plain_socket.socket]]:
    """An outbox on a real TCP connection, and the other end, which reads only when told."""
    listener = plain_socket.create_server(("127.0.0.1", 0))
    far = plain_socket.socket()
    far.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_RCVBUF, 4096)
    far.connect(listener.getsockname())
    near, _ = listener.accept()
    near.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_SNDBUF, 4096)
    listener.close()
    far.setblocking(False)
    owner = Owner()
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: owner, near)
    outbox = owner.outbox = Outbox(transport, owner, BOUND)
    outbox.open()
    yield outbox, owner, far
    outbox.forget()
    transport.abort()
    far.close()


async def read_everything(far: plain_socket.socket, outbox: Outbox) -> bytes:
    data = bytearray()
    idle = 0
    while outbox.waiting or _under_way(outbox) or idle < 20:
        try:
            got = far.recv(65536)
            idle = 0
            data += got
        except BlockingIOError:
            idle += 1
        await asyncio.sleep(0.001)
    return bytes(data)


def _under_way(outbox: Outbox) -> int:
    """Bytes that the kernel has sent, or is to send, and the far end has not confirmed."""
    number = outbox._transport.get_extra_info("socket").fileno()
    return 0 if number < 0 else int.from_bytes(fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def fill(outbox: Outbox) -> None:
    """Until nothing more can be written at once."""
    while not outbox.waiting:
        outbox.send(b"f" * 1000, Lane.OWN)


async def test_a_free_line_is_written_directly_and_nothing_waits() -> None:
    async with line() as (outbox, _, far):
        assert outbox.direct >= 0
        send_to_all([outbox], b"hello", Lane.STATE)
        assert outbox.waiting_bytes == 0
        assert await read_everything(far, outbox) == b"hello"


async def test_every_byte_arrives_in_order_over_short_writes() -> None:
    async with line() as (outbox, _, far):
        sent = b""
        for number in range(90):
            frame = bytes([number]) * (1 if number % 3 else 999)
            sent += frame
            outbox.send(frame, Lane.OWN)
        assert await read_everything(far, outbox) == sent
        assert outbox.waiting_bytes == 0
        assert outbox.direct >= 0


async def test_a_frame_larger_than_the_transports_share_arrives_whole() -> None:
    async with line() as (outbox, _, far):
        frame = bytes(range(256)) * 300
        outbox.send(frame, Lane.OWN)
        assert outbox._transport.get_write_buffer_size() <= TRANSPORT_BYTES_MAX
        assert await read_everything(far, outbox) == frame


async def test_urgent_frames_go_before_waiting_talk() -> None:
    async with line() as (outbox, _, far):
        fill(outbox)
        outbox.send(b"<talk>", Lane.TALK)
        outbox.send(b"<state>", Lane.STATE)
        outbox.send(b"<own>", Lane.OWN)
        assert (await read_everything(far, outbox)).endswith(b"<state><own><talk>")


async def test_first_talk_is_skipped_then_state_collapses_then_the_line_is_closed() -> None:
    async with line() as (outbox, owner, far):
        fill(outbox)
        for _ in range(50):
            outbox.send(b"t" * 1000, Lane.TALK)
        assert outbox.waiting_bytes >= 50_000
        for _ in range(80):
            outbox.send(b"s" * 1000, Lane.STATE)
        assert not outbox._talk, "step 1"
        assert outbox.waiting_bytes <= BOUND
        assert not outbox._collapsed
        for _ in range(40):
            outbox.send(b"s" * 1000, Lane.STATE)
        assert outbox._collapsed, "step 2"
        assert outbox.waiting_bytes < 5000
        assert owner.too_slow == 0
        for _ in range(110):
            outbox.send(b"s" * 1000, Lane.STATE)
        assert owner.too_slow >= 1, "step 3"
        assert far is not None


async def test_own_messages_are_never_dropped_they_close_the_line_instead() -> None:
    async with line() as (outbox, owner, _):
        fill(outbox)
        for _ in range(99):
            outbox.send(b"o" * 1000, Lane.OWN)
        waiting = outbox.waiting_bytes
        outbox.send(b"o" * 5000, Lane.OWN)
        assert owner.too_slow == 1
        assert outbox.waiting_bytes == waiting


async def test_talk_alone_never_costs_anybody_the_line() -> None:
    async with line() as (outbox, owner, _):
        fill(outbox)
        for _ in range(1000):
            outbox.send(b"t" * 1000, Lane.TALK)
        assert outbox.waiting_bytes <= BOUND
        assert owner.too_slow == 0
        assert not outbox._collapsed


async def test_when_the_line_is_free_again_the_snapshot_is_asked_for_once() -> None:
    async with line() as (outbox, owner, far):
        fill(outbox)
        for _ in range(101):
            outbox.send(b"s" * 1000, Lane.STATE)
        outbox.send(b"n", Lane.LEVELS)
        assert b"s" * 1000 not in await read_everything(far, outbox)
        assert owner.freed == [(True, True)]
        outbox.send(b"<after>", Lane.STATE)
        assert await read_everything(far, outbox) == b"<after>"


async def test_numbers_never_wait_they_are_asked_for_again() -> None:
    async with line() as (outbox, owner, far):
        fill(outbox)
        waiting = outbox.waiting_bytes
        for _ in range(1000):
            outbox.send(b"n" * 1000, Lane.LEVELS)
        assert outbox.waiting_bytes == waiting
        await read_everything(far, outbox)
        assert owner.freed == [(False, True)]


async def test_after_the_last_word_nothing_more_is_written() -> None:
    async with line() as (outbox, _, far):
        outbox.end_with(b"<bye>")
        outbox.send(b"more", Lane.OWN)
        assert await read_everything(far, outbox) == b"<bye>"


async def test_a_forgotten_descriptor_is_never_written_again() -> None:
    async with line() as (outbox, _, far):
        outbox.forget()
        send_to_all([outbox], b"for somebody else", Lane.STATE)
        assert outbox.direct == -1
        assert await read_everything(far, outbox) == b""


async def test_the_far_end_gone_costs_the_others_nothing() -> None:
    async with line() as (dead, _, far), line() as (alive, _, other):
        far.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        far.close()
        await asyncio.sleep(0.01)
        for _ in range(3):
            send_to_all([dead, alive], b"x", Lane.STATE)
        assert await read_everything(other, alive) == b"xxx"


class TestInARoom:
    async def test_a_viewer_who_reads_nothing_is_closed_as_slow_and_the_others_miss_nothing(
        self, redis: Redis, settings: Settings, clock: TestClock
    ) -> None:
        async with live(redis, dataclasses.replace(settings, outbox_bytes_max=32_768), clock) as one:
            slow, _ = await seat(one, "slow", receive_bytes=4096)
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            quick, _ = await seat(one, "quick")
            slow_socket = one.hub.rooms[SHOW].sockets_of("slow")[0]
            offsets: list[int] = []
            published = 0
            while slow_socket.stage == "seated":
                published = await one.shows.news.publish(SHOW, [Note("n" * 400)] * 20, one.clock.now_ms())
                while not offsets or offsets[-1] < published:
                    offsets += [event.offset for event in (await quick.read_until(State)).events]
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await slow.read_all()
            assert slow.close_code == Close.SLOW
            assert offsets == list(range(1, published + 1))

    async def test_a_viewer_who_reads_again_gets_one_snapshot_instead_of_what_she_missed(
        self, redis: Redis, settings: Settings, clock: TestClock
    ) -> None:
        async with live(redis, dataclasses.replace(settings, outbox_bytes_max=262_144), clock) as one:
            slow, _ = await seat(one, "slow", receive_bytes=4096)
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            outbox = one.hub.rooms[SHOW].sockets_of("slow")[0].outbox
            outbox.bytes_max = 40_000
            while not outbox._collapsed:
                await one.shows.news.publish(SHOW, [Note("n" * 400)] * 10, one.clock.now_ms())
                await asyncio.sleep(0.002)
            epoch, last = await one.shows.news.position(SHOW)
            await until(lambda: one.hub.rooms[SHOW].room.offset == last)
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            welcome = await slow.read_until(Welcome)
            assert (welcome.recovered, welcome.epoch, welcome.offset) == (False, epoch, last)
            slow.send(Ping(1.0))
            assert (await slow.read_until(Pong)).at == 1.0


class TestConditions:
    """What must be true before a frame goes past the transport, and what is told when it cannot."""

    async def test_the_kernel_keeps_no_more_unsent_than_we_said(self) -> None:
        async with line() as (outbox, _, _):
            plug = outbox._transport.get_extra_info("socket")
            option = plain_socket.TCP_NOTSENT_LOWAT
            assert plug.getsockopt(plain_socket.IPPROTO_TCP, option) == NOTSENT_LOWAT_BYTES

    async def test_a_number_that_belongs_to_somebody_else_by_now_is_not_written_to(
        self, redis: Redis, settings: Settings
    ) -> None:
        """A real one: the kernel gives the lowest free number to the next connection."""
        async with live(redis, settings) as one:
            gone, _ = await seat(one, "gone")
            outbox = one.hub.rooms[SHOW].sockets_of("gone")[0].outbox
            number = outbox.direct
            assert number >= 0
            gone.close()
            await until(lambda: one.hub.admission.sockets == 0)
            listener = plain_socket.create_server(("127.0.0.1", 0))
            others, accepted = list[plain_socket.socket](), list[plain_socket.socket]()
            while number not in {each.fileno() for each in (*others, *accepted)}:  # until it is in use again
                assert len(others) < 300
                others.append(plain_socket.create_connection(listener.getsockname()))
                accepted.append(listener.accept()[0])
            for lane in Lane:
                send_to_all([outbox], b"for the one who left", lane)
                outbox.send(b"for the one who left", lane)
            for each in (*others, *accepted):
                each.setblocking(False)
                with pytest.raises(BlockingIOError):
                    each.recv(1)
            for each in (*others, *accepted, listener):
                each.close()

    async def test_while_the_transport_holds_a_byte_nothing_goes_past_it(self) -> None:
        async with line() as (outbox, _, far):
            fill(outbox)
            assert outbox.direct == -1
            before = outbox.waiting_bytes
            outbox.send(b"<later>", Lane.OWN)
            assert outbox.waiting_bytes == before + len(b"<later>")
            data = await read_everything(far, outbox)
            assert data.endswith(b"<later>")
            assert outbox.direct >= 0
            outbox.send(b"<at once>", Lane.OWN)
            assert outbox.waiting_bytes == 0
            assert await read_everything(far, outbox) == b"<at once>"

    async def test_pause_and_resume_again_and_again_keep_the_order(self) -> None:
        async with line() as (outbox, _, far):
            sent, got = b"", b""
            for number in range(30):
                while not outbox.waiting:
                    frame = bytes([number]) * 700
                    outbox.send(frame, Lane.STATE)
                    sent += frame
                got += await read_everything(far, outbox)
                assert not outbox.waiting
            assert got == sent

    async def test_what_closes_the_line_waits_for_the_last_byte_of_what_had_begun(self) -> None:
        async with line() as (outbox, _, far):
            fill(outbox)
            closed: list[int] = []
            outbox.send(b"t" * 1000, Lane.TALK)
            outbox.end_with(b"<bye>", lambda: closed.append(1))
            assert not closed, "the far end has not read yet"
            assert (await read_everything(far, outbox)).endswith(b"<bye>")
            assert closed == [1]

    async def test_each_step_is_counted_by_its_lane_and_reason(self) -> None:
        def counted(lane: str, reason: str) -> float:
            return DROPPED.labels(lane, reason)._value.get()

        async with line() as (outbox, owner, _):
            before = [counted("talk", "full"), counted("state", "collapsed"), counted("talk", "collapsed")]
            fill(outbox)
            for _ in range(10):
                outbox.send(b"t" * 1000, Lane.TALK)
            while not outbox._collapsed:
                outbox.send(b"s" * 1000, Lane.STATE)
            assert counted("talk", "full") == before[0] + 10
            assert counted("state", "collapsed") > before[1] + 80, "those that waited, and the one that did not fit"
            outbox.send(b"t", Lane.TALK)
            assert counted("talk", "collapsed") == before[2] + 1
            assert owner.too_slow == 0
