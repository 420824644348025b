"""Seeds, one after the other, on one Valkey: the part that the tests and the command share.

What arrives: seeds. What leaves: a `History` for each, or `Failed` with the seed and the command that tells it again.
"""

import contextlib
import gc
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from livecommerce.valkey_child import valkey_binary
from tests.simulation.network import Server
from tests.simulation.shop import Ledgers, Shop
from tests.simulation.world import SHOP_EVERY, History, World


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

    def close(self) -> None:
        self._server.close()
        if self._ledgers is not None:
            self._ledgers.close()

    def tell(self, seed: int) -> History:
        """Raises `Failed`."""
        world = self._world(seed)
        # What was there before is no garbage of this history, and looking at it again costs more than the history.
        gc.freeze()
        gc.disable()  # nor is anything collected in the middle of one, whenever the one before filled the counters
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
        return Shop(seed, self._server, self._ledgers)


@contextlib.contextmanager
def campaign() -> Iterator[Campaign]:
    with simulation_server() as socket:
        running = Campaign(socket)
        try:
            yield running
        finally:
            running.close()
