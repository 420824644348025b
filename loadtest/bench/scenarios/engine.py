"""What lies under the sockets: calls of the engine at each level and size of a call, over one show and over a thousand
small ones; and the script alone by the size of a call, by live holds and by open deals.

Engine calls run in the stagehand's process, moved to the server's core for as long: they are the version's own parts,
with ledger, hold tokens and journal. The script is called straight, 64 requests at a time where nothing else is said:
what it costs Valkey is the figure that must stay flat, whatever has gathered in the books.
"""

from collections.abc import Mapping
from functools import partial

from livecommerce.protocol.facts import HoldLevel
from loadtest.bench import raw
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab
from loadtest.bench.sides import Side
from loadtest.machine import cpu_seconds

_LEVELS: tuple[HoldLevel, ...] = ("soft", "fsync", "ledger")
_QUOTA = 10_000_000
_PER_SECOND, _CALLER, _VALKEY = "a second", "caller's CPU µs each", "Valkey CPU µs each"
_CALL_MS = "Valkey CPU ms a call"
_ENGINE_UNITS = (Unit(_PER_SECOND, 0), Unit(_CALLER, 1, "less"), Unit(_VALKEY, 1, "less"))
_SCRIPT_UNITS = (Unit(_PER_SECOND, 0), Unit(_VALKEY, 2, "less"), Unit(_CALL_MS, 2, "less"))
# 22 each: 24 live holds are what one viewer may have in one show.
_ASK_FULL: Amount = {"askers": 500, "each": 22, "bursts": 3}
_ASK_QUICK: Amount = {"askers": 50, "each": 10, "bursts": 1}


def called(level: HoldLevel, lab: Lab, _side: Side, amount: Amount) -> Mapping[str, float]:
    """Each asker has one request on its way; in one show, or in one of `shows` small ones."""
    seconds = cpu = 0.0
    stagehand = lab.stagehand
    valkey = 0.0
    for _ in range(amount["bursts"]):
        shows = amount.get("shows", 1)
        show_ids = [stagehand.show(_QUOTA, level)] if shows == 1 else stagehand.small_shows(shows, _QUOTA)
        before = cpu_seconds(lab.valkey_pid)
        together = amount.get("together", 0)
        took, own = stagehand.hammer(show_ids, amount["askers"], amount["each"], lab.cores.server, together)
        seconds, cpu, valkey = seconds + took, cpu + own, valkey + cpu_seconds(lab.valkey_pid) - before
    asked = amount["askers"] * amount["each"] * amount["bursts"]
    return {_PER_SECOND: asked / seconds, _CALLER: cpu / asked * 1e6, _VALKEY: valkey / asked * 1e6}


def scripted(lab: Lab, _side: Side, amount: Amount) -> Mapping[str, float]:
    """`asked` reservations, `together` in a call, after `held` holds that live, over `deals` open deals in turn."""
    deals = amount.get("deals", 1)
    books = raw.Books(lab, lab.stagehand.show(_QUOTA, deals=deals), deals)
    books.reserve(amount.get("held", 0), raw.TOGETHER)
    together = amount.get("together", raw.TOGETHER)
    done = books.reserve(amount["asked"], together)
    return {
        _PER_SECOND: done.per_second, _VALKEY: done.valkey_us_each, _CALL_MS: done.valkey_us_each * together / 1000,
    }  # fmt: skip


def _script(name: str, what: str, full: Amount, quick: Amount | None = None) -> Bench:
    return Bench(name, "The script alone", what, ("ours",), _SCRIPT_UNITS, scripted, full, quick)


ENGINE = (
    *(
        Bench(
            f"engine-{level}", "Calls of the engine", f"accepted at level {level}, {{askers}} ask", ("ours",),
            _ENGINE_UNITS, partial(called, level), _ASK_FULL, _ASK_QUICK,
        )
        for level in _LEVELS
    ),
    *(
        Bench(
            f"engine-{level}-{together}", "Calls of the engine",
            f"accepted at level {level}, {{askers}} ask, {{together}} in a call", ("ours",), _ENGINE_UNITS,
            partial(called, level), {**_ASK_FULL, "bursts": 1, "together": together},
        )
        for level in _LEVELS for together in (1, 16)
    ),
    Bench(
        "engine-shows-1000", "Calls of the engine", "accepted in {shows:,} small shows, {askers:,} ask", ("ours",),
        _ENGINE_UNITS, partial(called, "soft"), {"shows": 1_000, "askers": 1_000, "each": 22, "bursts": 1},
    ),
    *(
        _script(f"script-{together}", "requests in a call: {together}", {"asked": 12_800, "together": together})
        for together in (1, 4, 16, 64)
    ),
    *(
        _script(f"script-held-{held}", "holds live: {held}", {"asked": 12_800, "held": held},
                {"asked": 1_280, "held": held} if held <= 1_000 else None)
        for held in (1_000, 10_000, 100_000, 1_000_000)
    ),
    *(
        _script(f"script-deals-{deals}", "open deals: {deals}", {"asked": 12_800, "deals": deals},
                {"asked": 1_280, "deals": deals} if deals <= 10 else None)
        for deals in (1, 10, 100, 1_000)
    ),
)  # fmt: skip
