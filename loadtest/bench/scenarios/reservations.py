"""Reservations, socket in to answer out: every viewer asks for a unit, waits for her answer, asks for the next.

A viewer may have 24 live holds in one show, and that check stays on; so a measurement is several bursts, each with new
viewers in a new show. The first requests of each burst are not counted: they fill caches and connection pools. Beside
the servers stand calls of the script alone (`raw.py`): what Valkey leaves for everybody else.
"""

import time
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


@dataclass(slots=True)
class _Sum:
    """Over the bursts. Latencies in nanoseconds, from the send to the answer read."""

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
    latencies = sorted(total.latencies_ns)
    return {
        _PER_SECOND: asked / total.seconds,
        _SERVER: total.server_cpu_seconds / asked * 1e6,
        _VALKEY: total.valkey_cpu_seconds / asked * 1e6,
        _P50: latencies[len(latencies) // 2] / 1e6,
        _P99: latencies[len(latencies) * 99 // 100] / 1e6,
    }


def _burst(lab: Lab, stand: Stand, viewers: int, each: int, sold_out: bool, level: HoldLevel, total: _Sum) -> None:
    # Sold out: what the warm-up takes is all there is.
    show_id = stand.new_show(viewers * WARM if sold_out else _QUOTA, level)
    audience = Audience(lab.runner, stand.port, greeted=stand.greets)
    try:
        audience.enter(stand.entries(show_id, viewers))
        _ask_all(audience, _requests(viewers, WARM, "w"), _Sum())
        requests = _requests(viewers, each, "r")
        server, valkey, started = cpu_seconds(stand.pid), cpu_seconds(lab.valkey_pid), time.monotonic()
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
            if single.kind != PAYLOAD:
                continue
            tag, number = single.payload[_TAG], single.viewer
            if tag.startswith(_ANSWER):
                total.accepted += 1
            elif tag == _REFUSED:
                total.refused += 1
            else:
                continue  # her own hold once more
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
)  # fmt: skip
