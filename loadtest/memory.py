"""Memory of the server with nobody in, and with everybody in and idle."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from livecommerce.people.identity import ViewerIdentity
from loadtest.lab import Lab, Process
from loadtest.machine import Memory, memory
from loadtest.viewers import Entry, Viewers

_SETTLE_SECONDS = 1.5  # of listening after the last has come in, so that head-counts and pings are through


@dataclass(frozen=True, slots=True)
class Idle:
    viewers: int
    empty: Memory
    full: Memory


def measure_ours(lab: Lab, viewers: int) -> Idle:
    return _measure(lab, lab.hub(), lab.live_show(0), lab.entry, viewers)


def measure_comparator(lab: Lab, viewers: int) -> Idle:
    return _measure(lab, lab.comparator(), "shw_bench", lab.plain_entry, viewers)


def _measure(
    lab: Lab,
    server: AbstractContextManager[Process],
    show_id: str,
    entry_of: Callable[[str, ViewerIdentity], Entry],
    viewers: int,
) -> Idle:
    with server as process:
        empty = memory(process.pid)
        crowd = Viewers(process.port)
        try:
            crowd.enter([entry_of(show_id, viewer) for viewer in lab.viewers(viewers)])
            until = time.monotonic() + _SETTLE_SECONDS
            while time.monotonic() < until:
                crowd.listen(lambda _number, _payloads: None)
            return Idle(viewers, empty, memory(process.pid))
        finally:
            crowd.close()
