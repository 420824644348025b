"""A server of our own for the tests of a module: started once, ended with it."""

import asyncio
import contextlib
from collections.abc import Iterator

from loadtest.conduct.own_server import OwnServer, own_server


@contextlib.contextmanager
def running(processes: int = 1, **settings: str) -> Iterator[OwnServer]:
    """It outlives the event loops of the single tests: nothing of it belongs to one."""
    with asyncio.Runner() as runner:
        context = own_server({"DRAIN_SECONDS": "0", **settings}, processes=processes, say=lambda _: None)
        server = runner.run(context.__aenter__())
        try:
            yield server
        finally:
            runner.run(context.__aexit__(None, None, None))
