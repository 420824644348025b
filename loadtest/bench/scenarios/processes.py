"""The same room in one, two and four web processes, below what they could do: what does spreading it cost?

All of them on the server's core, so that CPU time is compared and not cores. What they use while nothing happens is
taken off: it is theirs whether a frame goes out or not.
"""

from collections.abc import Mapping

from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab
from loadtest.bench.scenarios.fan_out import deliver
from loadtest.bench.scenarios.steady import play
from loadtest.bench.sides import HUB_COMMAND, Hub, Side

_WARM_CARDS = 3
_CARDS_PER_SECOND = 20
_IDLE_SECONDS = 2.0


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    lab.stagehand.settle()  # it makes the ledger first
    with lab.served(HUB_COMMAND, amount["processes"]) as process:
        stand = Hub(lab, process)
        audience = Audience(lab.runner, stand.port)
        try:
            show_id = stand.new_show(0)
            audience.enter(stand.entries(show_id, amount["viewers"]))
            deliver(stand, show_id, audience, _WARM_CARDS)
            idle = play(stand, process.pids, show_id, audience, seconds=_IDLE_SECONDS)
            busy = play(
                stand,
                process.pids,
                show_id,
                audience,
                seconds=amount["seconds"],
                cards_per_second=_CARDS_PER_SECOND,
            )
        finally:
            audience.close()
    frames = sum(busy.cards_us.values())
    used = busy.cpu_seconds - idle.cpu_seconds / idle.seconds * busy.seconds
    return {
        "server CPU µs per frame, above idle": used / frames * 1e6,
        "ms to a viewer, p50": busy.ms(0.5),
        "ms to a viewer, p99": busy.ms(0.99),
    }


def _processes(number: int, quick: Amount | None) -> Bench:
    return Bench(
        name=f"processes-{number}",
        table="One room in several web processes",
        what="processes: {processes}, {viewers:,} viewers",
        sides=("ours",),
        units=(
            Unit("server CPU µs per frame, above idle", 2, "less"),
            Unit("ms to a viewer, p50", 1, "less"),
            Unit("ms to a viewer, p99", 1, "less"),
        ),
        measure=measure,
        full={"processes": number, "viewers": 2_000, "seconds": 5},
        quick=quick,
    )


PROCESSES = (
    _processes(1, None),
    _processes(2, {"processes": 2, "viewers": 200, "seconds": 2}),
    _processes(4, None),
)
