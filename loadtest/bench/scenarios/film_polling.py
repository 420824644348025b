"""A card while a thousand players fetch the picture: what their playlists and parts add to the delay of what may not
wait.

One web process, one camera that films the whole time, a room of viewers on their sockets, and as many players in a
process of their own. In turn, several times: cards alone, cards while the players fetch. All from the same server.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.film import why_no_film
from loadtest.bench.lab import Lab, LabFailed, end, end_with_parent
from loadtest.bench.scenarios.fan_out import deliver
from loadtest.bench.scenarios.steady import play, weighted
from loadtest.bench.sides import Side, Stand

KILOBITS = 1_500
_WARM_CARDS = 3
_CARDS_PER_SECOND = 20
_FILM_SECONDS_MAX = 3_000.0  # ended when everything was measured
_FIRST_PARTS_SECONDS = 2.0
_STRETCHES_MAX = 20
_SETTLE_SECONDS_MAX = 2.0  # players have come, and none of them is at her first part any more
_REQUESTS, _CPU = "requests/s answered", "server CPU µs per request"
_QUIET_P50, _BUSY_P50 = "ms to a viewer, p50, no players", "ms to a viewer, p50, with players"
_QUIET, _BUSY, _MORE = (
    "ms to a viewer, p99, no players",
    "ms to a viewer, p99, with players",
    "% more in p99 by the players",
)
_FRESH, _LATE = "ms from filmed to a player, p50", "ms from filmed to a player, p99"
_CORE = "% of the core with players"


class Players:
    """The process of `loadtest.bench.player`."""

    def __init__(self, lab: Lab, stand: Stand, path: str, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.bench.player", str(stand.port), path, str(count), str(lab.cores.others)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=end_with_parent,
        )  # fmt: skip
        self._read()

    def tell(self, word: str) -> dict[str, Any]:
        """`go`, `pause` or `report`; what they have had since the last report. Raises `LabFailed` with their words."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
        found = self._read()
        if found["faults"]:
            raise LabFailed(f"a player: {found['faults'][0]}")
        return found

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LabFailed("the players ended; their last words stand above")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        end(self._process)


@contextmanager
def _camera(lab: Lab, stand: Stand, show_id: str) -> Iterator[None]:
    told = (stand.port, show_id, stand.camera_pass(show_id), KILOBITS, _FILM_SECONDS_MAX, lab.cores.others)
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtest.bench.camera", *map(str, told)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=end_with_parent,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        process.stdout.readline()
        time.sleep(_FIRST_PARTS_SECONDS)  # players come to a show that has begun
        yield
        if process.poll() is not None:
            raise LabFailed("the camera ended; its last words stand above")
    finally:
        end(process)
        process.stdout.close()


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    if why := why_no_film():
        raise LabFailed(why)
    seconds = float(amount["seconds"])
    quiet, busy = Counter[int](), Counter[int]()
    delays: Counter[int] = Counter()
    requests = cpu = took = idle = 0.0
    with side.serve(lab) as stand, ExitStack() as ends:
        audience = Audience(lab.runner, stand.port, greeted=stand.greets)
        ends.callback(audience.close)
        show_id = stand.new_show(0)
        audience.enter(stand.entries(show_id, amount["viewers"]))
        deliver(stand, show_id, audience, _WARM_CARDS)
        ends.enter_context(_camera(lab, stand, show_id))
        players = Players(lab, stand, f"/video/{show_id}/open", amount["players"])
        ends.callback(players.close)
        for _ in range(amount["turns"]):
            alone = play(
                stand, (stand.pid,), show_id, audience, seconds=seconds, cards_per_second=_CARDS_PER_SECOND
            )  # fmt: skip
            quiet += alone.cards_us
            players.tell("go")
            time.sleep(min(seconds, _SETTLE_SECONDS_MAX))
            players.tell("report")
            for _ in range(_STRETCHES_MAX):  # one in which nobody got a part says nothing of players
                both = play(
                    stand, (stand.pid,), show_id, audience, seconds=seconds, cards_per_second=_CARDS_PER_SECOND
                )  # fmt: skip
                had = players.tell("report")
                busy += both.cards_us
                requests += had["playlists"] + had["parts"]
                delays += Counter({int(ms): count for ms, count in had["delays_ms"].items()})
                cpu, took = cpu + both.cpu_seconds, took + both.seconds
                idle += alone.cpu_seconds / alone.seconds * both.seconds
                if had["parts"]:
                    break
            else:
                raise LabFailed(f"no player got a part in {_STRETCHES_MAX} stretches of {seconds:g} s")
            players.tell("pause")
            players.tell("report")
    before, after = weighted(quiet, 0.99) / 1000, weighted(busy, 0.99) / 1000
    return {
        _QUIET_P50: weighted(quiet, 0.5) / 1000, _BUSY_P50: weighted(busy, 0.5) / 1000,
        _QUIET: before, _BUSY: after, _MORE: 100 * (after / before - 1),
        _REQUESTS: requests / took, _CPU: (cpu - idle) / requests * 1e6, _CORE: 100 * cpu / took,
        _FRESH: weighted(delays, 0.5), _LATE: weighted(delays, 0.99),
    }  # fmt: skip


FILM_POLLING = Bench(
    name="film-polling",
    table="A card while players fetch the picture",
    what="{viewers:,} viewers, {players:,} players",
    sides=("ours", "plain_film"),
    units=(
        *(Unit(name, 1, "less") for name in (_QUIET_P50, _BUSY_P50, _QUIET, _BUSY)),
        Unit(_REQUESTS, 0),
        *(Unit(name, 0, "less") for name in (_MORE, _CPU, _CORE, _FRESH, _LATE)),
    ),
    measure=measure,
    full={"viewers": 1_000, "players": 1_000, "seconds": 8, "turns": 4},
    quick={"viewers": 100, "players": 100, "seconds": 3, "turns": 1},
    apart=True,
)
