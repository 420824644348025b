"""Reservations, socket in to answer out: every viewer asks for a unit, waits for her answer, asks for the next.

A viewer may have 24 live holds in one show, and that check stays on; so a measurement is several bursts, each with new
viewers in a new show. The first requests of each burst are not counted: they fill caches and connection pools. Or at a
pace, four fifths of that: every request has its moment, whether the one before is answered or not. Beside the servers
stand calls of the script alone (`raw.py`): what Valkey leaves for everybody else.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.facts import HoldLevel
from livecommerce.protocol.from_viewer import Reserve, WantLine
from loadtest.bench import raw
from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab, LabFailed
from loadtest.bench.sides import Side, Stand
from loadtest.bench.stagehand import DEAL
from loadtest.machine import cpu_seconds
from loadtest.wire.frames import masked
from loadtest.wire.receiver import PAYLOAD, Single

WARM = 2
_ANSWER, _REFUSED = b"\xa6answer", b"\xa7refused"
_TAG = slice(3, 11)  # after the map's head and the key "t"
_QUOTA = 1_000_000
_PER_SECOND, _SERVER, _VALKEY = "a second", "server CPU µs each", "Valkey CPU µs each"
_P50, _P99 = "p50 ms, send to answer", "p99 ms, send to answer"
_DUE_P50, _DUE_P99 = "p50 ms, due to answer", "p99 ms, due to answer"
_PACE = 0.8  # of what was accepted a second before
_LISTEN_SECONDS = 0.0005


@dataclass(slots=True)
class _Sum:
    """Over the bursts. Latencies in nanoseconds, from the send (at a pace: from when it was due) to the answer read."""

    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    server_cpu_seconds: float = 0.0
    valkey_cpu_seconds: float = 0.0
    latencies_ns: list[int] = field(default_factory=list)


def reserved(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    return _measure(lab, side, amount, sold_out=False)


def reserved_at(level: HoldLevel, lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    return _measure(lab, side, amount, sold_out=False, level=level)


def reserved_together(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    """`together` requests at most in a call of the script."""
    lab.environ["BENCH_BATCH_MAX"] = str(amount["together"])
    return _measure(lab, side, amount, sold_out=False)


def paced(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    """Each burst as fast as it goes, then one at four fifths of that."""
    viewers, each, peak, calm = amount["viewers"], amount["each"], _Sum(), _Sum()
    with side.serve(lab) as stand:
        for _ in range(amount["bursts"]):
            before, accepted = peak.seconds, peak.accepted
            _burst(lab, stand, viewers, each, False, "soft", peak)
            rate = _PACE * (peak.accepted - accepted) / (peak.seconds - before)
            _burst(lab, stand, viewers, each, False, "soft", calm, rate)
    asked = viewers * each * amount["bursts"]
    if calm.accepted != asked:
        raise LabFailed(f"{calm.accepted} accepted and {calm.refused} refused of {asked}")
    p50, p99 = _quantiles_ms(calm)
    return {_PER_SECOND: asked / calm.seconds, _DUE_P50: p50, _DUE_P99: p99}


def sold_out(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    return _measure(lab, side, amount, sold_out=True)


def _measure(lab: Lab, side: Side, amount: Amount, *, sold_out: bool, level: HoldLevel = "soft") -> Mapping[str, float]:
    if side.key in raw.CALLS:
        asked = amount["viewers"] * amount["each"]
        found = raw.CALLS[side.key](lab, lab.stagehand.show(0 if sold_out else _QUOTA), asked, sold_out)
        return {_PER_SECOND: found.per_second, _VALKEY: found.valkey_us_each}
    total = _Sum()
    with side.serve(lab) as stand:
        for _ in range(amount["bursts"]):
            _burst(lab, stand, amount["viewers"], amount["each"], sold_out, level, total)
    asked = amount["viewers"] * amount["each"] * amount["bursts"]
    if (total.refused if sold_out else total.accepted) != asked:
        raise LabFailed(f"{total.accepted} accepted and {total.refused} refused of {asked}")
    p50, p99 = _quantiles_ms(total)
    return {
        _PER_SECOND: asked / total.seconds,
        _SERVER: total.server_cpu_seconds / asked * 1e6,
        _VALKEY: total.valkey_cpu_seconds / asked * 1e6,
        _P50: p50,
        _P99: p99,
    }


def _quantiles_ms(total: _Sum) -> tuple[float, float]:
    latencies = sorted(total.latencies_ns)
    return latencies[len(latencies) // 2] / 1e6, latencies[len(latencies) * 99 // 100] / 1e6


def _burst(
    lab: Lab, stand: Stand, viewers: int, each: int, sold_out: bool, level: HoldLevel, total: _Sum, rate: float = 0.0
) -> None:
    """`rate`: requests a second, 0: as fast as they are answered."""
    # Sold out: what the warm-up takes is all there is.
    show_id = stand.new_show(viewers * WARM if sold_out else _QUOTA, level)
    audience = Audience(lab.runner, stand.port, greeted=stand.greets)
    try:
        audience.enter(stand.entries(show_id, viewers))
        _ask_all(audience, _requests(viewers, WARM, "w"), _Sum())
        requests = _requests(viewers, each, "r")
        server, valkey, started = cpu_seconds(stand.pid), cpu_seconds(lab.valkey_pid), time.monotonic()
        if rate:
            _ask_at(rate, audience, requests, total)
        else:
            _ask_all(audience, requests, total)
        total.seconds += time.monotonic() - started
        total.server_cpu_seconds += cpu_seconds(stand.pid) - server
        total.valkey_cpu_seconds += cpu_seconds(lab.valkey_pid) - valkey
    finally:
        audience.close()


def _requests(viewers: int, each: int, mark: str) -> list[list[bytes]]:
    """For every viewer, her frames, the last first: made before the clock runs."""
    want = (WantLine(DEAL, 1),)
    return [
        [masked(encode(Reserve(f"rid-{mark}-{number:04d}", want), MSGPACK)) for number in range(each)]
        for _ in range(viewers)
    ]


def _ask_all(audience: Audience, requests: list[list[bytes]], total: _Sum) -> None:
    """All viewers at once, each with one request on its way, until every request is answered."""
    now = time.monotonic_ns
    sent_at = [0] * len(requests)
    left = sum(map(len, requests))

    def answered(singles: list[Single]) -> bool:
        nonlocal left
        for single in singles:
            if not _counted(single, total):
                continue
            number = single.viewer
            total.latencies_ns.append(single.at_ns - sent_at[number])
            left -= 1
            if requests[number]:
                sent_at[number] = now()
                audience.send(number, requests[number].pop())
        return not left

    for number, mine in enumerate(requests):
        sent_at[number] = now()
        audience.send(number, mine.pop())
    audience.until(answered, "every answer")


def _ask_at(rate: float, audience: Audience, requests: list[list[bytes]], total: _Sum) -> None:
    """Viewer after viewer, so many a second, until every request is answered. One viewer's answers come in the order of
    her requests."""
    due: list[deque[int]] = [deque() for _ in requests]
    asked, sent, answered, began = sum(map(len, requests)), 0, 0, time.monotonic_ns()

    def all_answered(singles: list[Single]) -> bool:
        nonlocal sent, answered
        for single in singles:
            if _counted(single, total):
                total.latencies_ns.append(single.at_ns - due[single.viewer].popleft())
                answered += 1
        while sent < asked and (at := began + int(sent * 1e9 / rate)) <= time.monotonic_ns():
            number = sent % len(requests)
            due[number].append(at)
            audience.send(number, requests[number].pop())
            sent += 1
        return answered == asked

    audience.until(all_answered, "every answer", _LISTEN_SECONDS)


def _counted(single: Single, total: _Sum) -> bool:
    """Whether this answers a request; her own hold comes once more."""
    if single.kind != PAYLOAD:
        return False
    tag = single.payload[_TAG]
    accepted, refused = tag.startswith(_ANSWER), tag == _REFUSED
    total.accepted += accepted
    total.refused += refused
    return accepted or refused


_DURABLE: tuple[HoldLevel, ...] = ("fsync", "ledger")
_SIDES = ("ours", "plain", "evalsha_1", "evalsha_64", "redis_benchmark")
_UNITS = (
    Unit(_PER_SECOND, 0),
    Unit(_SERVER, 1, "less"),
    Unit(_VALKEY, 1, "less"),
    Unit(_P50, 1, "less"),
    Unit(_P99, 1, "less"),
)
# 22 each and 2 to warm up: 24 live holds are what one viewer may have in one show.
_FULL: Amount = {"viewers": 500, "each": 22, "bursts": 3}
_QUICK: Amount = {"viewers": 50, "each": 10, "bursts": 1}

RESERVATIONS = (
    Bench("reserve", "Reservations", "accepted, {viewers} sockets", _SIDES, _UNITS, reserved, _FULL, _QUICK),
    Bench(
        "sold-out", "Reservations", "refused after sell-out, {viewers} sockets", _SIDES[:-1], _UNITS, sold_out, _FULL,
        _QUICK,
    ),
    *(
        Bench(
            f"reserve-{level}", "Reservations", f"accepted at level {level}, {{viewers}} sockets", ("ours",), _UNITS,
            partial(reserved_at, level), _FULL, _QUICK,
        )
        for level in _DURABLE
    ),
    *(
        Bench(
            f"reserve-{level}-disk", "Reservations",
            f"accepted at level {level} on this machine's disk, {{viewers}} sockets", ("ours",), _UNITS,
            partial(reserved_at, level), _FULL, on_disk=True,
        )
        for level in _DURABLE
    ),
    *(
        Bench(
            f"reserve-{together}", "Reservations", "accepted, {viewers} sockets, {together} in a call", ("ours",),
            _UNITS, reserved_together, {**_FULL, "bursts": 1, "together": together},
        )
        for together in (1, 16)
    ),
    Bench(
        "reserve-paced", "Reservations at four fifths of the peak", "accepted, {viewers} sockets", ("ours", "plain"),
        (Unit(_PER_SECOND, 0), Unit(_DUE_P50, 1, "less"), Unit(_DUE_P99, 1, "less")), paced, _FULL, _QUICK,
    ),
)  # fmt: skip
