"""What the instrument costs beside what it measures: CPU for one frame, the server's and each receiver's."""

from collections.abc import Mapping

from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab
from loadtest.bench.scenarios.fan_out import GENERATOR, SERVER, deliver, throughput
from loadtest.bench.sides import Side, Stand

_WARM_CARDS = 3
_SERVER, _NATIVE, _PORTABLE = "server, CPU µs per frame", "native receiver, the same", "portable receiver, the same"


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    with side.serve(lab) as stand:
        portable = _costs(lab, stand, amount, portable=True)
        native = _costs(lab, stand, amount, portable=False)
    found = {_SERVER: native["server"], _PORTABLE: portable["generator"]}
    return found | ({} if native["is_portable"] else {_NATIVE: native["generator"]})


def _costs(lab: Lab, stand: Stand, amount: Amount, *, portable: bool) -> dict[str, float]:
    """Of the same cards to an audience of its own."""
    audience = Audience(lab.runner, stand.port, greeted=stand.greets, portable=portable)
    try:
        show_id = stand.new_show(0)
        audience.enter(stand.entries(show_id, amount["viewers"]))
        deliver(stand, show_id, audience, _WARM_CARDS)
        found = throughput(stand, show_id, audience, amount["cards"])
    finally:
        audience.close()
    return {
        "server": found[SERVER],
        "generator": found[GENERATOR],
        "is_portable": bool(audience.why_portable),
    }


GENERATORS = (
    Bench(
        name="generator",
        table="The instrument: what a frame costs on either side",
        what="{viewers:,} viewers",
        sides=("ours",),
        units=(Unit(_SERVER, 2, "less"), Unit(_NATIVE, 2, "less"), Unit(_PORTABLE, 2, "less")),
        measure=measure,
        full={"viewers": 1_000, "cards": 200},
        quick={"viewers": 200, "cards": 20},
    ),
)
