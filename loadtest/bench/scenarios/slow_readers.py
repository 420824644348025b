"""One viewer in ten reads a kilobyte a second into a small buffer: do the others notice?

The same cards and chat to the same fast viewers, first alone, then with the slow ones beside them.
"""

import time
from collections.abc import Mapping

from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab
from loadtest.bench.scenarios.fan_out import deliver
from loadtest.bench.scenarios.steady import play
from loadtest.bench.sides import Side
from loadtest.machine import memory

_WARM_CARDS = 3
_BYTES_PER_SECOND, _RECEIVE_BUFFER_BYTES = 1_024, 4_096
_CARDS_PER_SECOND, _LINES_PER_SECOND = 5, 20
_SETTLE_SECONDS = 1.0


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    slow = max(1, amount["viewers"] // 10)
    pace = {
        "seconds": amount["seconds"],
        "cards_per_second": _CARDS_PER_SECOND,
        "lines_per_second": _LINES_PER_SECOND,
    }
    with side.serve(lab) as stand:
        audience = Audience(lab.runner, stand.port, greeted=stand.greets)
        try:
            show_id = stand.new_show(0)
            audience.enter(stand.entries(show_id, amount["viewers"] - slow))
            deliver(stand, show_id, audience, _WARM_CARDS)
            alone = play(stand, (stand.pid,), show_id, audience, **pace)
            before = memory(stand.pid).rss
            audience.enter_slow(stand.entries(show_id, slow), _BYTES_PER_SECOND, _RECEIVE_BUFFER_BYTES)
            until = time.monotonic() + _SETTLE_SECONDS
            while time.monotonic() < until:
                audience.listen(0.05)
            beside = play(stand, (stand.pid,), show_id, audience, **pace)
            more = memory(stand.pid).rss - before
        finally:
            audience.close()
    return {
        "the others' p99 ms, without slow readers": alone.ms(0.99),
        "the others' p99 ms, with them": beside.ms(0.99),
        "KiB RSS per slow reader, with what waits for her": more / slow,
    }


SLOW_READERS = Bench(
    name="slow-readers",
    table="Slow readers",
    what="{viewers:,} viewers, one in ten reads 1 KB/s",
    sides=("ours",),
    units=(
        Unit("the others' p99 ms, without slow readers", 1, "less"),
        Unit("the others' p99 ms, with them", 1, "less"),
        Unit("KiB RSS per slow reader, with what waits for her", 0, "less"),
    ),
    measure=measure,
    full={"viewers": 2_000, "seconds": 8},
    quick={"viewers": 200, "seconds": 2},
)
