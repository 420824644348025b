"""Everybody's line breaks at once, and they come back at the moments a server spreads their return over.

Cards go on meanwhile: some while all are away, one a second while they return. Each viewer goes on from where she was.
From the moment she was due, queueing at the door included, to the last event that she missed.
"""

from collections.abc import Mapping

from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab
from loadtest.bench.scenarios.fan_out import deliver
from loadtest.bench.scenarios.steady import quantile
from loadtest.bench.sides import Side
from loadtest.machine import cpu_seconds

_HEARD_CARDS, _MISSED_CARDS = 2, 3


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    with side.serve(lab) as stand:
        audience = Audience(lab.runner, stand.port, greeted=stand.greets)
        try:
            show_id = stand.new_show(0)
            entries = stand.entries(show_id, amount["viewers"])
            audience.enter(entries)
            deliver(stand, show_id, audience, _HEARD_CARDS)
            cpu = cpu_seconds(stand.pid)
            offset = audience.hang_up()
            for _ in range(_MISSED_CARDS):
                stand.publish(show_id, audience.now_us)
            missed_to = int(lab.stagehand.settle()["offset"])

            def one_more() -> None:
                stand.publish(show_id, audience.now_us)

            returns = audience.come_back(entries, offset, missed_to, amount["seconds"], one_more)
            cpu = cpu_seconds(stand.pid) - cpu
            last = int(lab.stagehand.settle()["offset"])
            audience.until(lambda _: audience.have_heard(last), "the last card")
        finally:
            audience.close()
    return {
        "ms from due to caught up, p50": quantile(returns.delays_us, 0.5) / 1000,
        "ms from due to caught up, p95": quantile(returns.delays_us, 0.95) / 1000,
        "ms from due to caught up, p99": quantile(returns.delays_us, 0.99) / 1000,
        "% of state events, without a snapshot": 100 * returns.resumed / len(entries),
        "server CPU µs per return": cpu / len(entries) * 1e6,
    }


COMING_BACK = Bench(
    name="coming-back",
    table="Coming back after a break",
    what="{viewers:,} viewers, all cut, back over {seconds} s",
    sides=("ours",),  # the others have no way to go on from where one was
    units=(
        Unit("ms from due to caught up, p50", 1, "less"),
        Unit("ms from due to caught up, p95", 1, "less"),
        Unit("ms from due to caught up, p99", 1, "less"),
        Unit("% of state events, without a snapshot", 1),
        Unit("server CPU µs per return", 0, "less"),
    ),
    measure=measure,
    full={"viewers": 10_000, "seconds": 10},
    quick={"viewers": 200, "seconds": 2},
)
