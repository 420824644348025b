"""What a receiver costs per frame, beside the plainest sender: `python -m loadtest.wire.measure`.

What arrives: how many viewers and frames. What leaves: CPU time per frame of the native and the portable receiver and
of the sender, in turn, several times. The sender writes each frame to every line with one system call, as the server's
hot loop does, and has two frames on their way at most, so that a read finds one frame and rarely two, as in a show.
"""

import asyncio
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import click
import uvloop

from livecommerce.protocol.codec import MSGPACK, decode_to_viewer, encode
from livecommerce.protocol.facts import CardFacts, CardShown, Stamped
from livecommerce.protocol.to_viewer import State
from loadtest.machine import cores
from loadtest.marks import marked, planned_us_of
from loadtest.wire.native import NativeReceiver
from loadtest.wire.portable import PortableReceiver
from loadtest.wire.receiver import STATE, FrameFacts, Receiver

PAYLOAD_BYTES = 457  # a card with one deal
_EPOCH = "0123456789ab"
_WINDOW = 2
_PATIENCE_SECONDS = 120.0
_KINDS = (NativeReceiver, PortableReceiver)


class Cost(NamedTuple):
    """Microseconds of CPU time per frame and viewer; `seconds` by the clock on the wall."""

    user_us: float
    system_us: float
    sender_us: float
    seconds: float
    frames_per_pump: float

    @property
    def total_us(self) -> float:
        return self.user_us + self.system_us


def state_frame(offset: int) -> bytes:
    """As it goes over the wire: a marked card, filled up to the size of a real one."""
    bare = _payload(offset, "")
    payload = _payload(offset, "x" * (PAYLOAD_BYTES - len(bare) - 1))
    # A text of more than 31 bytes has a longer head in msgpack: one byte more, which the filling left room for.
    assert abs(len(payload) - PAYLOAD_BYTES) <= 1
    return b"\x82\x7e" + len(payload).to_bytes(2, "big") + payload


def _payload(offset: int, filling: str) -> bytes:
    card = CardFacts(
        "crd_bench", "deal", filling, marked("Soft, matt, and stays", offset), "velvet-lip", "/media/v", ()
    )
    return encode(State(_EPOCH, (Stamped(offset, 1_700_000_000_000, CardShown(card)),)), MSGPACK)


# --- the sender's process -------------------------------------------------------------------------------------------


def _send(port: int, viewers: int, frames: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    plugs = [socket.create_connection(("127.0.0.1", port)) for _ in range(viewers)]
    for plug in plugs:
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    descriptors = [plug.fileno() for plug in plugs]
    ready = [state_frame(offset) for offset in range(1, frames + 1)]
    sys.stdin.buffer.read(1)
    began = _cpu_seconds()
    for number, frame in enumerate(ready, 1):
        for descriptor in descriptors:
            os.write(descriptor, frame)
        if number >= _WINDOW:
            sys.stdin.buffer.read(1)  # one byte for each frame that everybody has
    print(sum(_cpu_seconds()) - sum(began), flush=True)
    sys.stdin.buffer.read()  # until everything has been read


def _cpu_seconds() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime, used.ru_stime


# --- ours -----------------------------------------------------------------------------------------------------------


def measure(make: Callable[[Callable[[bytes], FrameFacts]], Receiver], viewers: int, frames: int) -> Cost:
    """One run; the process is pinned to the last core, the sender to the first."""
    place = cores()
    os.sched_setaffinity(0, {place.others})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(make, viewers, frames, place.server))


async def _measure(
    make: Callable[[Callable[[bytes], FrameFacts]], Receiver], viewers: int, frames: int, core: int
) -> Cost:
    receiver = make(lambda payload: _facts(receiver, payload))
    listener = socket.create_server(("127.0.0.1", 0), backlog=viewers)
    arguments = (str(listener.getsockname()[1]), str(viewers), str(frames), str(core))
    sender = subprocess.Popen(  # noqa: ASYNC220  # nothing else runs on this loop yet
        [sys.executable, "-m", __name__ if __name__ != "__main__" else "loadtest.wire.measure", "send", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert sender.stdin is not None
    assert sender.stdout is not None
    plugs = []
    try:
        epoch = receiver.epoch_number(_EPOCH)
        for viewer in range(viewers):
            plug, _ = listener.accept()
            plug.setblocking(False)
            plugs.append(plug)
            receiver.add(viewer, plug, b"")
            receiver.position(viewer, epoch, 0, 0)
        receiver.pump()
        began_at, began = time.monotonic(), _cpu_seconds()
        sender.stdin.write(b"g")
        sender.stdin.flush()
        pumps = await _read(receiver, viewers, frames, sender.stdin.fileno())
        user, system = (now - then for now, then in zip(_cpu_seconds(), began, strict=True))
        seconds = time.monotonic() - began_at
        sender.stdin.close()
        sent = float(sender.stdout.read())
    finally:
        sender.kill()
        sender.wait()
        receiver.close()
        for plug in plugs:
            plug.close()
        listener.close()
    each = 1e6 / (viewers * frames)
    return Cost(user * each, system * each, sent * each, seconds, viewers * frames / pumps)


async def _read(receiver: Receiver, viewers: int, frames: int, bell: int) -> int:
    """Until all has been read; how many pumps that took."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    pumps = heard = rounds = 0

    def hear() -> None:
        nonlocal pumps, heard, rounds
        pumps += 1
        singles = receiver.pump()
        assert not singles, f"this is not what was sent: {singles[0]}"
        heard += receiver.take().counters["state_events"]
        while rounds < heard // viewers:
            rounds += 1
            os.write(bell, b"+")
        if heard == viewers * frames and not done.done():
            done.set_result(None)

    loop.add_reader(receiver.fileno(), hear)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await done
    loop.remove_reader(receiver.fileno())
    return pumps


def _facts(receiver: Receiver, payload: bytes) -> FrameFacts:
    message = decode_to_viewer(payload, MSGPACK)
    assert isinstance(message, State)
    (event,) = message.events
    assert isinstance(event.event, CardShown)
    planned = planned_us_of(event.event.card.line)
    assert planned is not None
    return FrameFacts(STATE, receiver.epoch_number(message.epoch), event.offset, event.offset, (planned,))


@click.group(invoke_without_command=True)
@click.option("--viewers", default=2000, show_default=True)
@click.option("--frames", default=200, show_default=True)
@click.option("--times", default=3, show_default=True, help="Runs of each, in turn; medians are printed.")
@click.pass_context
def main(context: click.Context, viewers: int, frames: int, times: int) -> None:
    """CPU time per frame of both receivers, beside the sender's."""
    if context.invoked_subcommand is not None:
        return
    costs = {kind: [measure(kind, viewers, frames)] for kind in _KINDS}
    for _ in range(times - 1):
        for kind, found in costs.items():
            found.append(measure(kind, viewers, frames))
    print(f"{viewers} viewers, {frames} frames of {len(state_frame(frames))} bytes, median of {times}")
    print(f"{'receiver':<10}{'user':>8}{'system':>8}{'CPU us':>8}{'sender':>8}{'per pump':>10}{'frames/s':>12}")
    for kind, found in costs.items():
        middle = Cost(*(statistics.median(column) for column in zip(*found, strict=True)))
        print(
            f"{kind.name:<10}{middle.user_us:8.2f}{middle.system_us:8.2f}{middle.total_us:8.2f}"
            f"{middle.sender_us:8.2f}{middle.frames_per_pump:10.0f}{viewers * frames / middle.seconds:12,.0f}"
        )


@main.command(hidden=True)
@click.argument("port", type=int)
@click.argument("viewers", type=int)
@click.argument("frames", type=int)
@click.argument("core", type=int)
def send(port: int, viewers: int, frames: int, core: int) -> None:
    _send(port, viewers, frames, core)


if __name__ == "__main__":
    main()
