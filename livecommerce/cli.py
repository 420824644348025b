"""The commands. What arrives: arguments and the environment. What leaves: output for a person, and an exit code.

Exit codes: 0 done, 1 it did not work (with the reason in words), 2 the call was wrong. Nothing here decides anything:
each command reads the settings, calls one part and prints.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from livecommerce import __version__
from livecommerce.errors import Refused
from livecommerce.people.identity import StaffRole
from livecommerce.settings import Settings, SettingsError, read_settings, settings_table, with_secrets

_DATA = click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder that holds all state.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="livecommerce")
def main() -> None:
    """Live shows in which people buy, and stock that is never sold twice.

    \b
    Try it:      livecommerce demo
    Run it:      livecommerce serve --data /var/lib/livecommerce
    Look at it:  livecommerce doctor
    """


def _reports_failures(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except SettingsError as error:
            for problem in error.problems:
                click.secho(f"✗ {problem}", fg="red", err=True)
            click.echo("`livecommerce settings` lists all settings.", err=True)
            sys.exit(2)
        except Refused as refused:
            click.secho(f"✗ {refused.text}", fg="red", err=True)
            sys.exit(1)
        except SQLAlchemyError as error:
            # Its own text goes on with the statement and an address; the first line says what is wrong.
            click.secho(f"✗ The ledger cannot be used: {str(error).splitlines()[0]}", fg="red", err=True)
            click.echo("`livecommerce doctor` looks at it.", err=True)
            sys.exit(1)
        except BrokenPipeError:  # the reader had enough: `livecommerce settings | head`
            sys.exit(0)
        except (OSError, RuntimeError) as error:
            click.secho(f"✗ {error}", fg="red", err=True)
            sys.exit(1)

    return run


def _settings(**given: Any) -> Settings:
    import os

    return read_settings(os.environ, **given)


@main.command()
@_DATA
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (default 8080).")
@click.option("--processes", "web_processes", type=int, help="Web processes (default 1).")
@click.option("--tls", is_flag=True, default=None, help="https with a certificate of our own, for phones' cameras.")
@_reports_failures
def serve(**given: Any) -> None:
    """Run everything on this machine: pages, hub, worker and, without REDIS_URL, a private Valkey.

    \b
    livecommerce serve                           on http://127.0.0.1:8080, state in ./data
    livecommerce serve --data /srv/shop --port 9000
    REDIS_URL=redis://10.0.0.5 DATABASE_URL=postgresql+asyncpg://… livecommerce serve --processes 4
    """
    from livecommerce.serve import serve as run

    settings = with_secrets(_settings(**given))
    # By itself: the log masks addresses, its own too.
    click.echo(f"livecommerce will answer at {settings.base_url} and keeps its state in {settings.data.resolve()}")
    sys.exit(run(settings))


@main.command()
@_DATA
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (default 8080).")
@click.option("--fd", type=int, hidden=True, help="Listen on this inherited socket.")
@_reports_failures
def web(fd: int | None, **given: Any) -> None:
    """Run one web process (pages, API, hub). Needs REDIS_URL; `serve` is the command for one machine.

    \b
    REDIS_URL=redis://10.0.0.5 DATABASE_URL=postgresql+asyncpg://… livecommerce web --host 0.0.0.0
    """
    from livecommerce.run import web as run

    run(with_secrets(_needs_redis(_settings(**given))), fd)


@main.command()
@_DATA
@_reports_failures
def worker(**given: Any) -> None:
    """Run one worker (holds' clock, openings, journal, sweeps). Needs REDIS_URL; several share the work by leases.

    \b
    REDIS_URL=redis://10.0.0.5 DATABASE_URL=postgresql+asyncpg://… livecommerce worker
    """
    from livecommerce.run import worker as run

    run(with_secrets(_needs_redis(_settings(**given))))


def _needs_redis(settings: Settings) -> Settings:
    if settings.embedded_redis:
        raise SettingsError(["REDIS_URL is needed here: only `livecommerce serve` brings a Valkey of its own."])
    return settings


@main.command()
@_DATA
@_reports_failures
def reload(**given: Any) -> None:
    """Replace the processes of a running `livecommerce serve`, one after another, without closing its port.

    A deploy: each new process serves before the old one sends its viewers over. Exit 1 where a new one does not come
    up; then the old ones serve on. SIGHUP to `serve` does the same. Settings stay as they were at its start.

    \b
    livecommerce reload --data /srv/shop
    """
    from livecommerce.reload import reload as run

    sys.exit(0 if run(_settings(**given).data, click.echo) else 1)


@main.command()
@_DATA
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on; phones need the network's.")
@click.option("--port", type=int, help="Port to listen on (default 8080).")
@click.option("--tls", is_flag=True, default=None, help="https with a certificate of our own, for phones' cameras.")
@click.option("--processes", "web_processes", type=int, help="Web processes (default 1).")
@_reports_failures
def demo(data: Path | None, host: str, port: int | None, tls: bool | None, web_processes: int | None) -> None:
    """A shop with a live show, a host and twenty viewers, to be tried in a browser. No money moves.

    \b
    livecommerce demo                 then open the link it prints
    livecommerce demo --tls           https, so that a phone's camera works too
    livecommerce demo --data /tmp/x   with state elsewhere; the same folder continues where it was
    """
    from livecommerce.demo.start import start_demo

    given = {"data": data or Path("data/demo"), "host": host, "port": port, "tls": tls, "web_processes": web_processes}
    settings = _settings(mode="demo", insecure=not tls, **given)
    sys.exit(start_demo(with_secrets(replace(settings, shop_name="Maison Aurelle", currency="EUR"))))


@main.command()
@_DATA
@_reports_failures
def migrate(**given: Any) -> None:
    """Bring the ledger's tables up to date. Safe to run from several machines at once.

    \b
    livecommerce migrate --data /srv/shop
    DATABASE_URL=postgresql+asyncpg://… livecommerce migrate
    """
    from livecommerce.ledger.migrate import migrate as run

    migrated = asyncio.run(run(_settings(**given).sql_url))
    if migrated.before == migrated.after:
        click.echo(f"Nothing to do: the ledger is at revision {migrated.after}.")
    else:
        click.echo(f"Migrated from {migrated.before or 'an empty database'} to revision {migrated.after}.")


@main.group(name="import")
def import_group() -> None:
    """Bring a merchant's data in.

    \b
    livecommerce import products products_export.csv
    """


@import_group.command(name="products")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_DATA
@_reports_failures
def import_products(file: Path, **given: Any) -> None:
    """Import a Shopify product CSV (old or new headers, UTF-8). Importing again updates; it never loses a reservation.

    \b
    livecommerce import products products_export.csv
    livecommerce import products products_export.csv --data /srv/shop
    """
    from livecommerce.jobs import import_products as run

    sys.exit(asyncio.run(run(with_secrets(_settings(**given)), file, click.echo)))


@main.group()
def user() -> None:
    """Staff accounts.

    \b
    livecommerce user add mei@example.com --name "Mei Lin" --role advisor
    livecommerce user reset mei@example.com
    """


@user.command(name="add")
@click.argument("email")
@click.option("--name", required=True, help="As customers see it.")
@click.option("--role", type=click.Choice(["admin", "manager", "advisor", "moderator"]), required=True)
@click.option("--unit", default="", help="Organisation unit (id or name); default: headquarters.")
@click.password_option(help="Asked for where it is not given.")
@_DATA
@_reports_failures
def user_add(email: str, name: str, role: StaffRole, unit: str, password: str, **given: Any) -> None:
    """Add a staff account.

    \b
    livecommerce user add mei@example.com --name "Mei Lin" --role advisor
    """
    from livecommerce.jobs import add_user

    asyncio.run(add_user(with_secrets(_settings(**given)), email, name, role, unit, password))
    click.echo(f"Added {email} as {role}. Sign in at /login.")


@user.command(name="reset")
@click.argument("email")
@click.password_option(help="Asked for where it is not given.")
@_DATA
@_reports_failures
def user_reset(email: str, password: str, **given: Any) -> None:
    """Set a new password; every session of the account ends.

    \b
    livecommerce user reset mei@example.com
    """
    from livecommerce.jobs import reset_user

    asyncio.run(reset_user(with_secrets(_settings(**given)), email, password))
    click.echo(f"New password set for {email}; all its sessions have ended.")


@main.command()
@click.argument("kind", type=click.Choice(["viewer", "api-key", "till-key"]))
@click.option("--name", default="Guest", show_default=True, help="Display name of the viewer, or name of the key.")
@click.option("--location", default="", help="For a till's key: the location it sells at; all of them without.")
@_DATA
@_reports_failures
def token(kind: str, name: str, location: str, **given: Any) -> None:
    """Print a viewer's socket token (for a terminal), or make an API key: for your own site, which mints viewer tokens
    with it, or for a till.

    \b
    livecommerce token viewer --name Ada
    livecommerce token api-key --name "our web shop"
    livecommerce token till-key --name "till 2" --location loc_…
    """
    from livecommerce.jobs import make_token

    click.echo(asyncio.run(make_token(with_secrets(_settings(**given)), kind, name, location)))


@main.command(name="verify-tickets")
@click.argument("file", type=click.File("rb"))
@click.option("--key", help="Public key the list must be signed with, as the shop publishes it.")
@click.option("--commitment", help="Commitment of the draw, as it was published before.")
@_reports_failures
def verify_tickets(file: Any, key: str | None, commitment: str | None) -> None:
    """Check a signed list of tickets: signature, order, stock, limits and, where there was one, the draw.

    Needs no server. Exit 1 where anything is wrong, 2 where the file is no list of tickets.

    \b
    livecommerce verify-tickets tickets-dea_….json
    livecommerce verify-tickets tickets-dea_….json --key dGhl… --commitment 9f86d0…
    """
    from livecommerce.reservations.ticket_list import Unreadable, verify

    try:
        findings = verify(file.read(), key, commitment)
    except Unreadable as error:
        click.secho(f"✗ This is not a list of tickets: {error}", fg="red", err=True)
        sys.exit(2)
    marks = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "yellow")}
    for finding in findings:
        mark, colour = marks[finding.holds]
        click.secho(f"{mark} {finding.text}", fg=colour)
    wrong = sum(finding.holds is False for finding in findings)
    if wrong:
        click.secho(f"This list is not to be trusted: {wrong} of {len(findings)} checks failed.", fg="red", err=True)
        sys.exit(1)
    click.echo("Everything that the list says of itself is true.")


@main.command(
    name="loadtest",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def loadtest(arguments: tuple[str, ...]) -> None:
    """Prove tonight's drop will hold, before tonight: load, a verdict, and proof that stock adds up.

    \b
    livecommerce loadtest fanout
    livecommerce loadtest --help
    """
    try:
        from loadtest.commands import main as load_tester
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("loadtest", "hdrh", "rich"):
            raise
        click.secho("✗ The load tester is not installed: pip install 'livecommerce[loadtest]'", fg="red", err=True)
        sys.exit(1)
    load_tester(list(arguments), prog_name="livecommerce loadtest")


@main.command()
@_DATA
@_reports_failures
def settings(**given: Any) -> None:
    """List every setting: its variable, its value now, what it is.

    \b
    livecommerce settings
    PORT=9000 livecommerce settings
    """
    rows = settings_table(_settings(**given))
    width = max(len(variable) for variable, _, _ in rows)
    for variable, value, about in rows:
        click.echo(f"{variable:{width}}  {value or '-':24}  {about}")


@main.command()
@_DATA
@click.option("--show", "show_id", default="", metavar="ID", help="This show only (default: all that ever sold).")
@click.option("--repair", is_flag=True, help="Mend what may be mended: never a unit that nothing proves.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
@_reports_failures
def audit(show_id: str, repair: bool, as_json: bool, **given: Any) -> None:
    """Prove that every unit is in exactly one place: in the log alone, and in Redis and SQL beside it.

    \b
    livecommerce audit --data /srv/shop
    livecommerce audit --show shw_…  --repair
    Exit codes: 0 adds up, 1 something does not, 2 it could not be looked at (no server, Redis away, no such show),
    3 a show never stood still, so Redis was not compared with SQL.
    """
    from livecommerce.audit_command import audit as run

    sys.exit(asyncio.run(run(_settings(**given), show_id, repair, as_json, click.echo)))


@main.command()
@_DATA
@click.option("--port", type=int, help="Port to look at (default 8080).")
@_reports_failures
def doctor(**given: Any) -> None:
    """Check Redis, database, ffmpeg, port, clock, secrets and pages, and say what to do. Exit 1 where it will not work.

    \b
    livecommerce doctor
    livecommerce doctor --data /srv/shop
    """
    from livecommerce.doctor import examine

    signs = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "bad": ("✗", "red")}
    findings = asyncio.run(examine(_settings(**given)))
    for finding in findings:
        sign, colour = signs[finding.verdict]
        click.secho(f"{sign} {finding.what:14}", fg=colour, nl=False)
        click.echo(f" {finding.found}" + (f"\n{'':17}→ {finding.do}" if finding.do else ""))
    sys.exit(1 if any(finding.verdict == "bad" for finding in findings) else 0)
