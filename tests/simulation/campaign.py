"""Seeds, one after the other, on one Valkey: the part that the tests and the command share.

What arrives: seeds. What leaves: a `History` for each, or `Failed` with the seed and the command that tells it again.
`tell_in_processes` shares a range out among processes, each with a Valkey of its own.
"""

import contextlib
import gc
import multiprocessing
import multiprocessing.util
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from livecommerce.valkey_child import valkey_binary
from tests.simulation.network import Server
from tests.simulation.shop import Ledgers, Shop
from tests.simulation.world import SHOP_EVERY, History, World

# What CI tells after the tests. Fixed, so that a run that passed is the same run everywhere; `make simulate` walks on.
CAMPAIGN = range(1, 3001)
# What so many histories must have met, or they prove nothing.
MET = (
    "held", "sold_out", "waiting", "offered", "expired", "lapsed", "released", "paying", "confirmed", "hold_gone",
    "busy", "killed", "stopped", "away", "restarted", "clock_step", "unknown", "limit", "conflict", "deal_closed",
    "verified_only", "members_only", "hold_time", "changed_bag",
    "entered", "drawn", "already_in", "draw_runs", "draw_alone", "drawn_in_ledger", "window_reopened",
    "held_at_soft", "held_at_fsync", "held_at_ledger", "level_not_offered", "kept_in_sql",
    "order_paying", "orders_confirmed", "tried_forge", "unavailable", "lost_everything",
    "lost_the_end", "rebuilt", "proved",
)  # fmt: skip
# Seeds that a process tells before it says how it went; a shop is among them.
_PIECE = SHOP_EVERY
_COLLECT_EVERY = 16


class Failed(AssertionError):
    """A history went wrong."""

    def __init__(self, seed: int, why: BaseException) -> None:
        super().__init__(f"seed {seed}: {type(why).__name__}: {why}\nthe same again: python -m tests.simulation {seed}")
        self.seed = seed


@contextlib.contextmanager
def simulation_server() -> Iterator[str]:
    """The unix socket of a Valkey that keeps nothing: what a simulated history is about is not on its disk."""
    folder = Path(tempfile.mkdtemp(prefix="lc-sim-"))
    path = folder / "s"
    process = subprocess.Popen(
        [str(valkey_binary()), "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not path.exists():
            assert process.poll() is None, "Valkey did not start"
            assert time.monotonic() < deadline, "Valkey took more than 30 s to start"
            time.sleep(0.01)
        yield str(path)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


class Campaign:
    """All histories of one run; `aclose` last."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._server = Server(socket)
        self._ledgers: Ledgers | None = None
        self._told = 0
        gc.freeze()  # what is there by now is no garbage: to look at it after each history costs more than to tell one

    def close(self) -> None:
        gc.unfreeze()
        self._server.close()
        if self._ledgers is not None:
            self._ledgers.close()

    def tell(self, seed: int) -> History:
        """Raises `Failed`."""
        self._told += 1
        if self._told % _COLLECT_EVERY == 0:
            with warnings.catch_warnings():  # of those who died in the middle of a line
                warnings.simplefilter("ignore")
                gc.collect()  # the histories before
        gc.disable()  # nothing is collected in the middle of one, or when would depend on those before
        world = self._world(seed)
        try:
            return world.run()
        except Exception as error:
            raise Failed(seed, error) from error
        finally:
            gc.enable()

    def _world(self, seed: int) -> World:
        if seed % SHOP_EVERY:
            return World(seed, self._server)
        if self._ledgers is None:
            self._ledgers = Ledgers(self._socket)
            gc.freeze()
        return Shop(seed, self._server, self._ledgers)


@contextlib.contextmanager
def campaign() -> Iterator[Campaign]:
    with simulation_server() as socket:
        running = Campaign(socket)
        try:
            yield running
        finally:
            running.close()


@dataclass
class Told:
    """How some seeds went: how many were told, what happened, and the first that failed, as text."""

    histories: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    failure: str = ""


def tell_some(histories: Campaign, seeds: Sequence[int]) -> Told:
    """These seeds, up to the first that fails."""
    told = Told()
    for seed in seeds:
        try:
            told.happened += histories.tell(seed).happened
        except Failed:
            told.failure = traceback.format_exc()
            break
        told.histories += 1
    return told


def tell_in_processes(seeds: range, processes: int, say: Callable[[Told], None]) -> Told:
    """All of them, or up to the first piece that failed. `say` hears what was told so far, after each piece."""
    pieces = [seeds[first : first + _PIECE] for first in range(0, len(seeds), _PIECE)]
    sum_of = Told()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_begin_in_process) as pool:
        for done in as_completed([pool.submit(_tell_piece, piece) for piece in pieces]):
            told = done.result()
            sum_of.histories += told.histories
            sum_of.happened += told.happened
            if told.failure:
                sum_of.failure = told.failure
                pool.shutdown(wait=False, cancel_futures=True)
                break
            say(sum_of)
    return sum_of


_in_this_process: list[Campaign] = []


def _begin_in_process() -> None:
    sys.unraisablehook = lambda _args: None  # who was killed in a history is collected without a word
    stack = contextlib.ExitStack()
    _in_this_process.append(stack.enter_context(campaign()))
    multiprocessing.util.Finalize(None, stack.close, exitpriority=10)


def _tell_piece(seeds: Sequence[int]) -> Told:
    return tell_some(_in_this_process[0], seeds)
