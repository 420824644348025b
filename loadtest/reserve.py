"""Reservations, socket in to answer out: every viewer asks for a unit, waits for her answer, asks for the next.

A viewer may have 24 live holds in one show, and that check stays on; so a measurement is several bursts, each with new
viewers in a new show. The first requests of each burst are not counted: they fill caches and connection pools.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.from_viewer import Reserve, WantLine
from loadtest.frames import masked
from loadtest.lab import DEAL, Lab, Process
from loadtest.machine import cpu_seconds
from loadtest.viewers import Entry, Viewers

WARM = 2
_ANSWER, _REFUSED = b"\xa6answer", b"\xa7refused"
_TAG = slice(3, 11)  # after the map's head and the key "t"
_PATIENCE_SECONDS = 120.0
_QUOTA = 1_000_000

EntryOf = Callable[[str, ViewerIdentity], Entry]


@dataclass(slots=True)
class Reservations:
    """Sums over the bursts. Latencies in nanoseconds, from the send to the answer read."""

    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    server_cpu_seconds: float = 0.0
    valkey_cpu_seconds: float = 0.0
    latencies_ns: list[int] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return self.accepted + self.refused


def measure_ours(lab: Lab, viewers: int, each: int, bursts: int, *, sold_out: bool) -> Reservations:
    with lab.hub() as process:
        return _bursts(lab, process, lab.entry, viewers, each, bursts, sold_out)


def measure_comparator(lab: Lab, viewers: int, each: int, bursts: int, *, sold_out: bool) -> Reservations:
    with lab.comparator() as process:
        return _bursts(lab, process, lab.plain_entry, viewers, each, bursts, sold_out)


def _bursts(
    lab: Lab, process: Process, entry_of: EntryOf, viewers: int, each: int, bursts: int, sold_out: bool
) -> Reservations:
    total = Reservations()
    for _ in range(bursts):
        # Sold out: what the warm-up takes is all there is.
        show_id = lab.live_show(viewers * WARM if sold_out else _QUOTA)
        crowd = Viewers(process.port)
        try:
            crowd.enter([entry_of(show_id, viewer) for viewer in lab.viewers(viewers)])
            _burst(crowd, _requests(viewers, WARM, "w"), Reservations())
            requests = _requests(viewers, each, "r")
            server, valkey, started = cpu_seconds(process.pid), cpu_seconds(lab.valkey_pid), time.monotonic()
            _burst(crowd, requests, total)
            total.seconds += time.monotonic() - started
            total.server_cpu_seconds += cpu_seconds(process.pid) - server
            total.valkey_cpu_seconds += cpu_seconds(lab.valkey_pid) - valkey
        finally:
            crowd.close()
    return total


def _requests(viewers: int, each: int, mark: str) -> list[list[bytes]]:
    """For every viewer, her frames, the last first: made before the clock runs."""
    want = (WantLine(DEAL, 1),)
    return [
        [masked(encode(Reserve(f"rid-{mark}-{number:04d}", want), MSGPACK)) for number in range(each)]
        for _ in range(viewers)
    ]


def _burst(crowd: Viewers, requests: list[list[bytes]], total: Reservations) -> None:
    """All viewers at once, each with one request on its way, until every request is answered."""
    now = time.monotonic_ns
    sent_at = [0] * len(requests)
    left = sum(map(len, requests))

    def heard(number: int, payloads: list[bytes]) -> None:
        nonlocal left
        for payload in payloads:
            tag = payload[_TAG]
            if tag.startswith(_ANSWER):
                total.accepted += 1
            elif tag == _REFUSED:
                total.refused += 1
            else:
                continue  # her own hold once more, the stock, the head-count
            total.latencies_ns.append(now() - sent_at[number])
            left -= 1
            if requests[number]:
                sent_at[number] = now()
                crowd.send(number, requests[number].pop())

    for number, mine in enumerate(requests):
        sent_at[number] = now()
        crowd.send(number, mine.pop())
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while left:
        crowd.listen(heard)
        assert time.monotonic() < deadline, f"{left} requests have no answer"
