"""`livecommerce demo`: fills the shop, starts the server with a director beside it, and prints the link.

What arrives: settings. What leaves: words on the terminal, and the exit code of the supervisor.
"""

import asyncio
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx
import segno

from livecommerce.demo.seed import cast_path, read_cast, seed
from livecommerce.logs import set_up_logs
from livecommerce.settings import Settings
from livecommerce.supervisor import Supervisor

_READY_SECONDS_MAX = 90.0
# A demo's viewers come back at once; whoever pressed Ctrl+C does not wait for them.
_DRAIN_SECONDS = 0
# Measured on two cores; a slower machine is told how long it really took.
_FILLING, _STARTING = "about 20 s", "about 6 s"


def start_demo(settings: Settings) -> int:
    """Blocks until Ctrl+C. Raises as `Supervisor.run`, before anything is written where folder or port are taken."""
    settings = replace(settings, public_url=settings.public_url or _network_url(settings), drain_seconds=_DRAIN_SECONDS)
    # Our own lines, about children that end and are replaced, would bury the link; theirs are in the logs folder.
    set_up_logs(replace(settings, log_level="error"))
    began = time.monotonic()

    def fill() -> None:
        again = cast_path(settings).exists()
        click.secho("livecommerce demo: a shop with a live show. No money moves.", bold=True)
        click.echo(
            f"1/3  Filling the shop: places, people, goods and their pictures ({'done before' if again else _FILLING})."
        )
        asyncio.run(seed(settings, lambda text: click.echo(f"     {text}")))
        click.echo(f"2/3  Starting: a private Valkey, worker, web process, the host and her viewers ({_STARTING}).")

    director = ("director", (sys.executable, "-m", "livecommerce.demo.director"))
    return Supervisor(
        settings, (director,), lambda: _when_ready(settings, began), before=fill, logs=logs_path(settings)
    ).run()


def logs_path(settings: Settings) -> Path:
    return settings.data / "logs"


def _when_ready(settings: Settings, began: float) -> None:
    here, cast = _local_url(settings), read_cast(settings)
    if not _wait_until_playing(here):
        click.secho(
            f"✗ The demo did not come up within {_READY_SECONDS_MAX:.0f} s; see {logs_path(settings).resolve()}.",
            fg="red",
        )
        return
    click.echo(f"3/3  Ready after {time.monotonic() - began:.0f} s.\n")
    click.secho(f"     Open   {here}/demo", fg="green", bold=True)
    click.echo(f"     Sign in as the host: {here}/login   mei.lin@demo.example   {cast.password}")
    click.echo(f"     State is kept in {settings.data.resolve()} (logs/ says what happens);")
    click.echo("     the same command continues where you left it.\n")
    if urlsplit(settings.base_url).hostname in ("127.0.0.1", "localhost"):
        click.echo("     Phones cannot reach this address; --host 0.0.0.0 opens it to the network.")
    else:
        _invite_phones(settings)
    click.echo("     Ctrl+C ends it.")


def _invite_phones(settings: Settings) -> None:
    click.echo(f"     A phone on the same network: {settings.base_url}/demo")
    segno.make(f"{settings.base_url}/demo", error="m").terminal(compact=True)
    if settings.tls:
        click.echo("     The certificate is this server's own: a phone warns once; go on to the page.")
    else:
        click.echo("     Plain http: everything here works, but a phone's camera does not, and cookies are not marked")
        click.echo("     secure. `make demo DEMO=--tls` serves https with a certificate of its own.")


def _wait_until_playing(base_url: str) -> bool:
    deadline = time.monotonic() + _READY_SECONDS_MAX
    # verify=False: the certificate is the one we have just made ourselves, and this is loopback.
    with httpx.Client(verify=False, timeout=5) as client:
        while time.monotonic() < deadline:
            try:
                if client.get(f"{base_url}/api/demo/sum").json().get("phase") in ("story", "sum"):
                    return True
            except (httpx.HTTPError, ValueError):
                pass
            time.sleep(0.25)
    return False


def _local_url(settings: Settings) -> str:
    return f"{'https' if settings.tls else 'http'}://127.0.0.1:{settings.port}"


def _network_url(settings: Settings) -> str:
    """Where a phone on the same network finds us; loopback where the machine has no network."""
    everywhere = settings.host in ("0.0.0.0", "::")
    address = (network_address() if everywhere else settings.host) or "127.0.0.1"
    return f"{'https' if settings.tls else 'http'}://{address}:{settings.port}"


def network_address() -> str:
    """This machine's own address towards its network, or "". Nothing is sent: connecting a datagram socket only
    chooses a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address reserved for documentation
        except OSError:
            return ""
        address = str(probe.getsockname()[0])
    return "" if address.startswith("127.") else address
