"""What held the run back, and whether its figures may be believed: rules over the seconds of a run.

What arrives: rows of the window that is judged, and the generators' health. What leaves: the most suspicious part with
its evidence, and the reasons not to conclude. Pure: it reads no clock, no process and no file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from loadtest.result import GeneratorHealth, SampleRow, Stop

Part = Literal["nothing", "server", "worker", "redis", "network", "generator", "ledger"]

# A process with one busy loop that uses nine tenths of its core has no room for a burst: queues grow from here on.
BUSY_SHARE = 0.90
# Below this a part was idle often enough that whoever waited did not wait for it.
IDLE_SHARE = 0.70
# One busy second is a burst (an opening, a collection); three in a row are a state.
SUSTAINED_SECONDS = 3
# A row is of about a second; so much of the time asked for is enough.
_NEARLY = 0.9
# A generator's loop that wakes later than this adds a quarter to a 100 ms threshold by itself.
GENERATOR_LAG_US_MAX = 25_000.0
# Nine tenths leave a generator late in bursts; beyond this it is late all the time.
GENERATOR_CPU_SHARE_MAX = 0.95
# Of what was to be sent openly: more late sends than that, and the load was not the one that was planned.
LATE_SEND_SHARE_MAX = 0.01
# So few are one hiccup, whatever share of a short run they are.
LATE_SENDS_FEW = 5
# Of what was planned, taps and lines of chat that nobody was free to send: beyond that it was another load.
UNSENT_SHARE_MAX = 0.01
# Half of the room waiting for answers at once is the server's doing: whoever else could have tapped waited for it.
WAITING_SHARE = 0.5
# A server's loop that wakes so late makes everybody wait, whatever its CPU says (a disk, a lock, a neighbour).
SERVER_LAG_MS_MAX = 100.0
# A third of the time ready to run and without a core: whoever shares the machine is in the way.
STARVED_SHARE = 0.33
# A person at a page calls this slow; below it nobody needs a reason.
SLOW_US = 500_000.0
# A checkout does what a tap does and then writes to the ledger: so many times a tap's time is the ledger's.
LEDGER_TIMES = 4.0
# Words of `join_failed.…` that are this machine's own limits.
OWN_LIMITS = ("descriptors", "ports", "memory")


@dataclass(frozen=True, slots=True)
class Rule:
    """`holds` says of one second whether it speaks against `part`; `evidence` says it of all that do."""

    part: Part
    holds: Callable[[SampleRow], bool]
    sentence: str
    evidence: Callable[[Sequence[SampleRow]], str]
    seconds: int = SUSTAINED_SECONDS  # in a row


def suspect(
    rows: Sequence[SampleRow], generators: Sequence[GeneratorHealth] = (), *, this_machine: bool = False
) -> Stop:
    """What held the run back in these seconds. `this_machine`: the server is on loopback, where there is no network.

    Where several parts speak, the generator comes first, for its limits make all other figures doubtful; of the others
    the one that spoke longest, and, for as long, the one that stands first in the table. The rest is evidence.
    """
    spoke = [(rule, held) for rule in RULES if (held := _sustained(rule, rows))]
    if this_machine:
        spoke = [(rule, held) for rule, held in spoke if rule.part != "network"]
    spoke.sort(key=lambda each: (each[0].part != "generator", -round(_seconds(each[1], rows))))
    took = _seconds(rows, rows)
    evidence = [
        f"{rule.part}: {rule.evidence(held)} ({_seconds(held, rows):.0f} of {took:.0f} s)" for rule, held in spoke
    ]
    _, doubts = is_conclusive(generators, rows)
    if doubts and (not spoke or spoke[0][0].part != "generator"):
        return Stop("generator", GENERATOR_SENTENCE, (*doubts, *evidence))
    if not spoke:
        return Stop("nothing", _nothing(rows), ())
    return Stop(spoke[0][0].part, spoke[0][0].sentence, (*evidence, *doubts))


def is_conclusive(
    generators: Sequence[GeneratorHealth], rows: Sequence[SampleRow], whole: Sequence[SampleRow] | None = None
) -> tuple[bool, list[str]]:
    """False where the generators were the bottleneck: then no figure of the run says anything about the server. The
    reasons are sentences. `generators` and `rows` are of the stretch that is judged; viewers who could not come in for
    want of something on our side are missing from then on, so they are looked for in the `whole` run."""
    reasons = []
    for generator in generators:
        if generator.loop_lag_p99_us > GENERATOR_LAG_US_MAX:
            reasons.append(
                f"The generator {_name(generator)} woke {generator.loop_lag_p99_us / 1000:.0f} ms late (99th "
                f"percentile); {GENERATOR_LAG_US_MAX / 1000:.0f} ms is the bound."
            )
    busy = _sustained(_GENERATOR_BUSY, rows)
    if busy:
        reasons.append(
            f"A generator used {max(_generator_cpu(row) for row in busy):.0%} of its core for "
            f"{_seconds(busy, rows):.0f} s; "
            f"{GENERATOR_CPU_SHARE_MAX:.0%} is the bound."
        )
    late = sum(row.counters.get("late_sends", 0) for row in rows)
    planned = sum(row.latencies["late"].count for row in rows if "late" in row.latencies)
    if late > LATE_SENDS_FEW and late > LATE_SEND_SHARE_MAX * max(late, planned):
        reasons.append(
            f"{late:,} of {max(late, planned):,} sends were late; {LATE_SEND_SHARE_MAX:.0%} is the bound. The load was "
            "not the one that was planned."
        )
    if (unsent := crowd_short_share(rows)) > UNSENT_SHARE_MAX:
        reasons.append(
            f"{unsent:.1%} of the taps and lines of chat that were planned never went out, because nobody was free to "
            f"send them; {UNSENT_SHARE_MAX:.0%} is the bound. The crowd was too small for this load: more viewers."
        )
    if short := _own_limits(rows if whole is None else whole):
        reasons.append(f"{short:,} viewers could not come in for want of descriptors, ports or memory on our side.")
    return not reasons, reasons


def crowd_short_share(rows: Sequence[SampleRow]) -> float:
    """Of the taps and lines of chat that were planned in these seconds, those that never went out because the crowd was
    too small: not those for which a viewer was there who waited for the server."""

    def count(*names: str) -> int:
        return sum(row.counters.get(name, 0) for row in rows for name in names)

    planned = count("taps_planned", "chat_planned")
    if not planned or _server_was_waited_for(rows):
        return 0.0
    # They are told when they were given up, which is at the end of their order.
    given_up = max(count("taps_skipped", "chat_skipped"), planned - count("taps_sent", "chat_sent"))
    return max(0, given_up - count("skipped_by_server")) / planned


def _server_was_waited_for(rows: Sequence[SampleRow]) -> bool:
    """True where at some time half of the room or more waited for an answer."""
    return any(
        row.gauges.get("outstanding", 0.0) >= WAITING_SHARE * row.gauges["in"] for row in rows if row.gauges.get("in")
    )


GENERATOR_SENTENCE = (
    "The load tester itself was the bottleneck: give it more cores (--workers) or more hosts (--expect-generators)."
)


# --- what speaks against whom -----------------------------------------------------------------------------------------


def _said(name: str) -> Callable[[SampleRow], float]:
    return lambda row: row.server.get(name, 0.0)


def _most(name: str, words: str) -> Callable[[Sequence[SampleRow]], str]:
    return lambda rows: f"{words} up to {max(row.server.get(name, 0.0) for row in rows):.2f} of a core"


def _p99(row: SampleRow, name: str) -> float:
    found = row.latencies.get(name)
    return found.p99 if found is not None and found.count else 0.0


def _slowest(name: str, words: str) -> Callable[[Sequence[SampleRow]], str]:
    return lambda rows: f"{words} took up to {max(_p99(row, name) for row in rows) / 1000:.0f} ms (99th percentile)"


def _generator_cpu(row: SampleRow) -> float:
    return row.gauges.get("cpu", 0.0)


def _own_limits(rows: Sequence[SampleRow]) -> int:
    return sum(row.counters.get(f"join_failed.{why}", 0) for row in rows for why in OWN_LIMITS)


def _all_idle(row: SampleRow) -> bool:
    """Somebody told, and nobody was busy: neither the server's parts nor the generator."""
    told = [row.server[name] for name in ("web_cpu_max", "redis_cpu", "worker_cpu") if name in row.server]
    return bool(told) and max(*told, _generator_cpu(row)) < IDLE_SHARE and not _server_waits(row)


def _server_waits(row: SampleRow) -> bool:
    return row.server.get("loop_lag_ms", 0.0) > SERVER_LAG_MS_MAX or row.server.get("web_wait_max", 0.0) > STARVED_SHARE


def _ledger_waits(row: SampleRow) -> bool:
    slow = _p99(row, "checkout")
    return slow > SLOW_US and slow > LEDGER_TIMES * _p99(row, "reserve") and _all_idle(row)


def _redis_waits(row: SampleRow) -> bool:
    return _p99(row, "reserve") > SLOW_US and _p99(row, "state") < SLOW_US and _all_idle(row)


def _line_waits(row: SampleRow) -> bool:
    """What everybody is sent comes late although nobody is busy: it is on the way."""
    return max(_p99(row, "state"), _p99(row, "talk"), _p99(row, "catch_up")) > SLOW_US and _all_idle(row)


_GENERATOR_BUSY = Rule(
    "generator",
    lambda row: _generator_cpu(row) > GENERATOR_CPU_SHARE_MAX,
    GENERATOR_SENTENCE,
    lambda rows: f"it used up to {max(_generator_cpu(row) for row in rows):.2f} of its core",
)

RULES: tuple[Rule, ...] = (
    Rule(
        "generator",
        lambda row: _own_limits([row]) > 0,
        "Limits of the load tester's own machine kept viewers out: raise them (`ulimit -n`, "
        "net.ipv4.ip_local_port_range) or use more hosts.",
        lambda rows: f"{_own_limits(rows):,} joins failed for want of descriptors, ports or memory",
        seconds=0,
    ),
    _GENERATOR_BUSY,
    Rule(
        "redis",
        lambda row: _said("redis_cpu")(row) >= BUSY_SHARE,
        "Redis was the bottleneck: its one thread had no time left. A Redis of its own for this shop, or a "
        "faster core.",
        _most("redis_cpu", "it used"),
    ),
    Rule(
        "server",
        lambda row: _said("web_cpu_max")(row) >= BUSY_SHARE,
        "The server's CPU was the bottleneck: a web process had no time left. More of them (WEB_PROCESSES), on more "
        "cores.",
        _most("web_cpu_max", "the busiest web process used"),
    ),
    Rule(
        "worker",
        lambda row: _said("worker_cpu")(row) >= BUSY_SHARE,
        "The worker was the bottleneck: what happens behind the answers (journal, clock of holds) fell behind. A "
        "second worker shares its duties.",
        _most("worker_cpu", "it used"),
    ),
    Rule(
        "server",
        lambda row: _said("web_wait_max")(row) > STARVED_SHARE,
        "The server was short of cores: its web process was ready to run and had to wait for others on the machine. "
        "Run the generators elsewhere, or on cores of their own.",
        lambda rows: (
            f"a web process waited for a core {max(_said('web_wait_max')(row) for row in rows):.0%} of the time"
        ),
    ),
    Rule(
        "server",
        lambda row: _said("loop_lag_ms")(row) > SERVER_LAG_MS_MAX,
        "The server's loop woke late: something in a web process held everybody up.",
        lambda rows: f"its loop was up to {max(_said('loop_lag_ms')(row) for row in rows):.0f} ms late in the mean",
    ),
    Rule(
        "ledger",
        _ledger_waits,
        "The ledger was the bottleneck: checkouts waited for its commits while no process was busy. A faster disk, or "
        "PostgreSQL.",
        _slowest("checkout", "checkouts"),
    ),
    Rule(
        "redis",
        _redis_waits,
        "Redis kept reservations waiting although nobody was busy: it writes each one to disk before it answers. A "
        "faster disk.",
        _slowest("reserve", "reservations"),
    ),
    Rule(
        "network",
        _line_waits,
        "The network between server and generators was the bottleneck: what was sent came late, and no process "
        "was busy.",
        _slowest("state", "cards"),
    ),
)


# --- helpers ----------------------------------------------------------------------------------------------------------


def _sustained(rule: Rule, rows: Sequence[SampleRow]) -> list[SampleRow]:
    """The rows that belong to a stretch of at least `rule.seconds` in which the rule holds. What counts is how long a
    row was, not how many there are: after a hitch of our own several come at once."""
    found: list[SampleRow] = []
    current: list[SampleRow] = []
    for row in (*rows, None):
        if row is not None and rule.holds(row):
            current.append(row)
            continue
        if current and _seconds(current, rows) >= rule.seconds * _NEARLY:
            found += current
        current = []
    return found


def _seconds(some: Sequence[SampleRow], rows: Sequence[SampleRow]) -> float:
    """How long these of the rows were together. Nobody knows when the first row began: it counts as a second."""
    began = {row.until_us: before.until_us for before, row in pairwise(rows)}
    return sum((row.until_us - began.get(row.until_us, row.until_us - 1_000_000)) / 1e6 for row in some)


def _nothing(rows: Sequence[SampleRow]) -> str:
    if not any(row.server for row in rows):
        return "Nothing held the load tester back; of the server nothing is known (no /proc, no /metrics)."
    return f"Nothing was at its limit: no process was busy for {SUSTAINED_SECONDS} s on end."


def _name(generator: GeneratorHealth) -> str:
    return f"{generator.host}/{generator.pid}"
