"""Everybody comes in, and then nothing happens: how fast they come in, and what each costs in memory."""

import time
from collections.abc import Mapping

from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab
from loadtest.bench.sides import Side
from loadtest.machine import cpu_seconds, kernel_kib, memory

_WARM_VIEWERS = 20  # who open the room: what is loaded and cached for the first of them is not counted
_SETTLE_SECONDS = 1.0  # of listening after the last has come in, so that head-counts are through


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    viewers = amount["viewers"]
    with side.serve(lab) as stand:
        audience = Audience(lab.runner, stand.port, greeted=stand.greets)
        try:
            show_id = stand.new_show(0)
            empty = memory(stand.pid)
            audience.enter(stand.entries(show_id, _WARM_VIEWERS))
            entries = stand.entries(show_id, viewers)
            warm, kernel, cpu_before = memory(stand.pid), kernel_kib(), cpu_seconds(stand.pid)
            seconds = audience.enter(entries)
            cpu = cpu_seconds(stand.pid) - cpu_before
            until = time.monotonic() + _SETTLE_SECONDS
            while time.monotonic() < until:
                audience.listen(0.05)
            full, kernel = memory(stand.pid), kernel_kib() - kernel
        finally:
            audience.close()
    return {
        "joins/s": viewers / seconds,
        "server CPU µs per join": cpu / viewers * 1e6,
        "KiB RSS per viewer": (full.rss - warm.rss) / viewers,
        "KiB PSS per viewer": (full.pss - warm.pss) / viewers,
        # Both ends of each line are on this machine, and a server has one of them.
        "KiB of the kernel's per viewer": kernel / viewers / 2,
        "MiB RSS with nobody in": empty.rss / 1024,
    }


IDLE = Bench(
    name="idle",
    table="Coming in, and staying",
    what="{viewers:,} viewers",
    # The floor has no joins of its own: Python lets its viewers in.
    sides=("ours", "plain", "broadcast", "nchan"),
    units=(
        Unit("joins/s", 0),
        Unit("server CPU µs per join", 0, "less"),
        Unit("KiB RSS per viewer", 1, "less"),
        Unit("KiB PSS per viewer", 1, "less"),
        Unit("KiB of the kernel's per viewer", 1, "less"),
        Unit("MiB RSS with nobody in", 0, "less"),
    ),
    measure=measure,
    full={"viewers": 2_000},
    quick={"viewers": 200},
)
