"""Cards while the room talks: how long a card waits for chat that is on its way, and what share of the core chat gets.

First cards alone, then chat alone, then both.
"""

from collections.abc import Mapping

from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab
from loadtest.bench.scenarios.fan_out import deliver
from loadtest.bench.scenarios.steady import play, quantile
from loadtest.bench.sides import Side

_WARM_CARDS = 3
_CARDS_PER_SECOND = 4


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    seconds, lines = amount["seconds"], amount["lines"]
    with side.serve(lab) as stand:
        audience = Audience(lab.runner, stand.port, greeted=stand.greets)
        try:
            show_id = stand.new_show(0)
            audience.enter(stand.entries(show_id, amount["viewers"]))
            deliver(stand, show_id, audience, _WARM_CARDS)
            pids = (stand.pid,)
            quiet = play(stand, pids, show_id, audience, seconds=seconds, cards_per_second=_CARDS_PER_SECOND)
            chat = play(stand, pids, show_id, audience, seconds=seconds, lines_per_second=lines)
            both = play(
                stand,
                pids,
                show_id,
                audience,
                seconds=seconds,
                cards_per_second=_CARDS_PER_SECOND,
                lines_per_second=lines,
            )
        finally:
            audience.close()
    return {
        "ms to the first viewer, p95, no chat": quantile(quiet.first_us, 0.95) / 1000,
        "ms to the first viewer, p95, with chat": quantile(both.first_us, 0.95) / 1000,
        "ms to the last viewer, p95, no chat": quantile(quiet.last_us, 0.95) / 1000,
        "ms to the last viewer, p95, with chat": quantile(both.last_us, 0.95) / 1000,
        "ms to the last viewer, p99, with chat": quantile(both.last_us, 0.99) / 1000,
        "% of the core for chat alone": 100 * chat.cpu_seconds / chat.seconds,
    }


OVERTAKING = Bench(
    name="cards-and-chat",
    table="A card while the room talks",
    what="{viewers:,} viewers, {lines} lines a second",
    sides=("ours",),
    units=(
        Unit("ms to the first viewer, p95, no chat", 1, "less"),
        Unit("ms to the first viewer, p95, with chat", 1, "less"),
        Unit("ms to the last viewer, p95, no chat", 1, "less"),
        Unit("ms to the last viewer, p95, with chat", 1, "less"),
        Unit("ms to the last viewer, p99, with chat", 1, "less"),
        Unit("% of the core for chat alone", 0, "less"),
    ),
    measure=measure,
    full={"viewers": 10_000, "lines": 20, "seconds": 12},
    quick={"viewers": 200, "lines": 20, "seconds": 2},
)
