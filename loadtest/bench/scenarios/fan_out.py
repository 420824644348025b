"""Fan-out: one card to everybody in the room.

As fast as it is delivered: the whole path counts, published in Redis (nchan: over HTTP), heard by the server, framed,
written, and read by the last viewer. And one at a time: how long after the moment it was due the last viewer has it.
"""

import time
from collections.abc import Mapping

from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab, LabFailed
from loadtest.bench.sides import Side, Stand
from loadtest.machine import cpu_seconds
from loadtest.wire.receiver import Single

SERVER, GENERATOR = "server CPU µs per frame", "generator CPU µs per frame"
# Cards on their way at once: the server always has the next one waiting, and rarely two, which would let it write both
# in one system call, as no real show does.
WINDOW = 2
_WARM_CARDS = 3
_QUIET_SECONDS = 0.02  # between single cards, so that each finds an idle server
_LOOK_SECONDS = 0.001  # how often the counts are looked at: a look costs the generator some µs


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    with side.serve(lab) as stand:
        audience = Audience(lab.runner, stand.port, greeted=stand.greets)
        try:
            show_id = stand.new_show(0)
            audience.enter(stand.entries(show_id, amount["viewers"]))
            deliver(stand, show_id, audience, _WARM_CARDS)
            found = throughput(stand, show_id, audience, amount["cards"])
            if singles := amount.get("singles", 0):
                found |= delays(stand, show_id, audience, singles)
            del found[GENERATOR]  # has a table of its own
            return found
        finally:
            audience.close()


def throughput(stand: Stand, show_id: str, audience: Audience, cards: int) -> dict[str, float]:
    """So many cards as fast as they are delivered."""
    frames = cards * len(audience)
    server, generator, started = cpu_seconds(stand.pid), time.process_time(), time.monotonic()
    deliver(stand, show_id, audience, cards)
    return {
        "frames/s": frames / (time.monotonic() - started),
        SERVER: (cpu_seconds(stand.pid) - server) / frames * 1e6,
        GENERATOR: (time.process_time() - generator) / frames * 1e6,
    }


def deliver(stand: Stand, show_id: str, audience: Audience, cards: int) -> None:
    """Publish so many and read them all. Raises `LabFailed` where one is lost or comes twice."""
    viewers, published, got, look_at = len(audience), 0, 0, 0.0

    def all_read(_singles: list[Single]) -> bool:
        nonlocal published, got, look_at
        if time.monotonic() >= look_at:
            got += audience.heard().cards
            look_at = time.monotonic() + _LOOK_SECONDS
        while published < cards and published * viewers - got < WINDOW * viewers:
            stand.publish(show_id, audience.now_us)
            published += 1
        return got >= cards * viewers

    audience.until(all_read, f"{cards} cards for {viewers} viewers")
    stand.settle()
    _refuse_surplus(got, cards * viewers)


def delays(stand: Stand, show_id: str, audience: Audience, cards: int) -> dict[str, float]:
    """Cards one at a time: for each the delay of the viewer who gets it last."""
    last_us = []
    for _ in range(cards):
        time.sleep(_QUIET_SECONDS)
        stand.publish(show_id, audience.now_us)
        last_us.append(_last_delay_us(audience))
        stand.settle()
    last_us.sort()
    return {
        "ms to the last viewer, p50": last_us[len(last_us) // 2] / 1000,
        "ms to the last viewer, p99": last_us[len(last_us) * 99 // 100] / 1000,
    }


def _last_delay_us(audience: Audience) -> int:
    got = latest_us = 0
    look_at = 0.0

    def all_read(_singles: list[Single]) -> bool:
        nonlocal got, latest_us, look_at
        if time.monotonic() >= look_at:
            heard = audience.heard()
            got += heard.cards
            latest_us = max(latest_us, *heard.cards_us, 0)
            look_at = time.monotonic() + _LOOK_SECONDS
        return got >= len(audience)

    audience.until(all_read, f"a card for {len(audience)} viewers")
    _refuse_surplus(got, len(audience))
    return latest_us


def _refuse_surplus(got: int, expected: int) -> None:
    if got != expected:
        raise LabFailed(f"{got} cards were read where {expected} were sent: one came twice")


_UNITS = (
    Unit("frames/s", 0),
    Unit(SERVER, 2, "less"),
)
_DELAYS = (
    Unit("ms to the last viewer, p50", 1, "less"),
    Unit("ms to the last viewer, p99", 1, "less"),
)
_SIDES = ("ours", "plain", "broadcast", "nchan", "floor")


def _fan_out(viewers: int, cards: int, singles: int, quick: Amount | None) -> Bench:
    return Bench(
        name=f"fan-out-{viewers}",
        table="Fan-out: a card to everybody in the room",
        what="{viewers:,} viewers",
        sides=_SIDES,
        units=_UNITS + (_DELAYS if singles else ()),
        measure=measure,
        full={"viewers": viewers, "cards": cards} | ({"singles": singles} if singles else {}),
        quick=quick,
    )


FAN_OUTS = (
    _fan_out(1_000, 200, 0, {"viewers": 200, "cards": 20}),
    _fan_out(2_000, 150, 100, None),
    _fan_out(10_000, 30, 100, None),
)
