"""`python -m loadtest.generate --join HOST:PORT`: one generator, which joins a conductor and does what it orders.

The key of the run comes from the environment, so that it stands in no list of processes.
"""

import asyncio
import gc
import os
import sys

import click
import uvloop

from loadtest.generate.generator import Generator, OutOfReach
from loadtest.generate.link import JoinRefused, LinkClosed, connect_generator
from loadtest.measure.health import LimitError

JOIN_TRIES, JOIN_AGAIN_SECONDS = 20, 0.25
# Records and frames are no cycles: with ten thousand viewers the default's full collections would only stop the loop.
GC_THRESHOLDS = (50_000, 50, 100)


class CannotJoin(Exception):
    """In words for a person."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--join", "address", required=True, metavar="HOST:PORT", help="Where the conductor listens.")
def main(address: str) -> None:
    """Be one generator of a load test that somebody else conducts. LOADTEST_KEY holds the run's key."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter("this is not HOST:PORT", param_hint="--join")
    key = os.environ.get("LOADTEST_KEY", "")
    if not key:
        raise click.UsageError("Set LOADTEST_KEY to the key that the conductor shows.")
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        uvloop.run(_generate(host.strip("[]"), int(port), key))
    except (CannotJoin, JoinRefused, LinkClosed, LimitError, OutOfReach) as error:
        click.echo(f"{error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


async def _generate(host: str, port: int, key: str) -> None:
    for tries_left in reversed(range(JOIN_TRIES)):
        try:
            link = await connect_generator(host, port, key)
            break
        except OSError as error:
            if not tries_left:
                raise CannotJoin(f"No conductor answers at {host}:{port}: {error}") from None
            await asyncio.sleep(JOIN_AGAIN_SECONDS)
    try:
        await Generator(link).run()
    finally:
        await link.aclose()


if __name__ == "__main__":
    main()
