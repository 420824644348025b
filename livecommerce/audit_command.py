"""`livecommerce audit`: proves that every unit of every show and shelf is in exactly one place, and mends what may be
mended.

What arrives: settings, a show (or `pool:` and a location) or none, and whether to mend. What leaves: a report for a
person or as JSON, and an exit code. It reads as the server's own processes do, beside a server that runs, and keeps
nobody waiting. Mending goes under a lease of its own, so that two people at two terminals do not mend at once; each
step is safe beside the server's duties.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import structlog
from redis.exceptions import RedisError
from sqlalchemy import func, literal, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from livecommerce.app import Parts, open_parts
from livecommerce.audit.books import Books, BooksReader
from livecommerce.audit.mend import Mender, Step, plan
from livecommerce.audit.replay import Ordered
from livecommerce.audit.report import Show, ShowReport, judge, lines_of
from livecommerce.audit.sums import one_moment, read_sums
from livecommerce.background.journal import JournalToLedger
from livecommerce.background.lease import Leases
from livecommerce.doctor import is_running
from livecommerce.errors import Refused
from livecommerce.ids import new_id
from livecommerce.ledger.migrate import newest_revision
from livecommerce.ledger.tables import deals, locations, movements, shelves, shows
from livecommerce.protocol.facts import DealAnnounced, DealClosed, DealOpened
from livecommerce.reservations import keys
from livecommerce.reservations.witnesses import stale_witnesses
from livecommerce.settings import Settings, with_secrets
from livecommerce.shows.log import events_of_kinds
from livecommerce.valkey_child import socket_path

ADDS_UP, BREACH, CANNOT, BUSY = 0, 1, 2, 3
# Between two requests of a busy show there is nearly always a moment; where there is none, the rest is still proved.
TRIES = 8
PAUSE_SECONDS = 0.3
LOOKS = 3
LEASE = "audit-repair"
_LEDGER_SECONDS_MAX = 10.0
Say = Callable[[str], None]


class CannotAudit(Exception):
    """Nothing could be compared; the text says why and what to do."""


class Done(msgspec.Struct, frozen=True):
    """One step of the plan; `why_not` is empty where it was done."""

    step: Step
    why_not: str


class Outcome(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    exit_code: int
    shows: tuple[ShowReport, ...]
    plan: tuple[Step, ...]
    repaired: tuple[Done, ...] = ()


async def audit(settings: Settings, show_id: str, repair: bool, as_json: bool, say: Say) -> int:
    """0 everything adds up · 1 something does not · 2 it could not be looked at · 3 a show never stood still."""
    before = structlog.get_config()
    # What the parts log is not the report: whoever reads that as JSON must find nothing else in it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        reachable = await _reachable(settings)
        async with open_parts(reachable) as parts:
            outcome = await Auditor(parts, (lambda _: None) if as_json else say).run(show_id, repair)
    except (CannotAudit, Refused, RedisError, SQLAlchemyError, OSError) as error:
        # Never 1: that means "it was looked at, and does not add up".
        why = str(error) if isinstance(error, CannotAudit) else f"It went away meanwhile: {_first_line(error)}"
        say(msgspec.json.encode({"exit_code": CANNOT, "why": why}).decode() if as_json else f"✗ {why}")
        return CANNOT
    finally:
        structlog.configure(**before)
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(outcome)).decode())
    return outcome.exit_code


def _first_line(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.text
    return next(iter(str(error).splitlines()), type(error).__name__)


async def _reachable(settings: Settings) -> Settings:
    """The settings with an address for Redis. It makes no file: whoever audits a wrong folder leaves no trace in it."""
    if not settings.database_url and not (settings.data / "ledger.sqlite3").exists():
        raise CannotAudit(f"There is no ledger in {settings.data}: give --data the folder of your server.")
    await _check_revision(settings)
    if not settings.embedded_redis:
        return with_secrets(settings)
    if not is_running(settings):
        raise CannotAudit(
            f"No server runs on {settings.data}, so Redis' side cannot be read. Start it with `livecommerce serve`."
        )
    return replace(with_secrets(settings), redis_url=f"unix://{socket_path(settings.data)}")


async def _check_revision(settings: Settings) -> None:
    engine = create_async_engine(settings.sql_url)
    try:
        async with asyncio.timeout(_LEDGER_SECONDS_MAX), engine.connect() as connection:
            found = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar()
    except Exception as error:
        raise CannotAudit(
            f"The ledger cannot be read: {_first_line(error)}. `livecommerce doctor` looks at it."
        ) from error
    finally:
        await engine.dispose()
    if found != newest_revision():
        raise CannotAudit(f"The ledger is at revision {found}: run `livecommerce migrate` first.")


@dataclass(slots=True)
class Auditor:
    """One run over the parts of a process."""

    parts: Parts
    say: Say

    async def run(self, show_id: str, repair: bool) -> Outcome:
        """Judge the show, or all of them; mend first where that is asked for. Raises `CannotAudit`."""
        try:
            await self.parts.redis.ping()
        except (RedisError, OSError) as error:
            raise CannotAudit(f"Redis does not answer: {error}. `livecommerce doctor` looks at it.") from error
        reports, steps, repaired = [], list[Step](), list[Done]()
        for each in await self._shows(show_id):
            report, mine = await self._judge(each)
            if repair:
                report, mine, done = await self._repair(each, report, mine)
                repaired += done
            reports.append(report)
            steps += mine
            self._tell(report, mine, repair)
        code = _code(reports)
        self._sum_up(reports, code)
        return Outcome(code, tuple(reports), tuple(steps), tuple(repaired))

    async def _shows(self, show_id: str) -> list[str]:
        async with self.parts.database.read() as connection:
            if show_id:
                if location_id := keys.location_of(show_id):
                    known = select(locations.c.id).where(locations.c.id == location_id)
                    if not (await connection.execute(known)).all():
                        raise CannotAudit(f"There is no location {location_id}.")
                    return [show_id]
                found = (await connection.execute(select(shows.c.id).where(shows.c.id == show_id))).all()
                if not found:
                    raise CannotAudit(f"There is no show {show_id}.")
                return [show_id]
            query = select(shows.c.id).join(deals, deals.c.show_id == shows.c.id).where(deals.c.status != "draft")
            ordered = query.group_by(shows.c.id, shows.c.created_at_ms).order_by(shows.c.created_at_ms, shows.c.id)
            places = select(shelves.c.location_id).distinct().order_by(shelves.c.location_id)
            return [
                *(await connection.execute(ordered)).scalars(),
                *(keys.pool_book(each) for each in (await connection.execute(places)).scalars()),
            ]

    async def _judge(self, show_id: str) -> tuple[ShowReport, list[Step]]:
        """What is found twice is so: between Redis and SQL a unit may be on its way for a moment."""
        for tries_left in reversed(range(LOOKS)):
            books = await self._books(show_id)
            show = await self._show(show_id)
            report = judge(show, books)
            if report.adds_up or not tries_left:
                break
            await self.parts.clock.sleep(PAUSE_SECONDS)
        return report, plan(books, show.sums, show.stale_witnesses)

    async def _books(self, show_id: str) -> Books:
        """The books, of one quiet moment where there is one."""
        parts = self.parts
        reader = BooksReader(parts.database, parts.redis, parts.engine, parts.clock)
        for tries_left in reversed(range(TRIES)):
            books = Books()
            async for piece in reader.pieces(show_id):
                for row in piece:
                    books.take(row)
            if books.quiet or not tries_left:
                break
            await parts.clock.sleep(PAUSE_SECONDS)
        return books

    async def _show(self, show_id: str) -> Show:
        async with one_moment(self.parts.database) as connection:
            named: Any = select(shows.c.title, shows.c.status).where(shows.c.id == show_id)
            if location_id := keys.location_of(show_id):
                named = select(locations.c.name.label("title"), literal("on sale").label("status"))
                named = named.where(locations.c.id == location_id)
            row = (await connection.execute(named)).one()
            ordered: dict[str, Ordered] = {}
            kinds = (movements.c.deal_id, movements.c.kind)
            query = select(*kinds, func.sum(movements.c.qty).label("qty")).group_by(*kinds)
            for moved in await connection.execute(query.where(movements.c.show_id == show_id, movements.c.seq == 0)):
                ordered.setdefault(moved.deal_id, Ordered()).take(moved.kind, int(moved.qty))
            told: dict[str, set[str]] = {}
            about_deals = (DealAnnounced, DealOpened, DealClosed)
            tags = [str(kind.__struct_config__.tag) for kind in about_deals]
            for event in await events_of_kinds(connection, show_id, tags):
                if isinstance(event, about_deals):
                    told.setdefault(event.deal_id, set()).add(str(event.__struct_config__.tag))
            sums = await read_sums(connection, show_id)
            stale = await stale_witnesses(connection, show_id)
        return Show(show_id, row.title, row.status, sums, ordered, told, stale)

    # --- mending ----------------------------------------------------------------------------------------------------

    async def _repair(
        self, show_id: str, report: ShowReport, steps: list[Step]
    ) -> tuple[ShowReport, list[Step], list[Done]]:
        """(the report afterwards, what could still be mended, what was done)"""
        parts = self.parts
        leases = Leases(parts.database, parts.clock, new_id("audit"))
        epoch = await leases.acquire(LEASE)
        if epoch is None:
            raise CannotAudit("Somebody else is repairing just now. Try again in a few seconds.")
        try:
            if not report.quiet or steps or not report.adds_up:
                await self._finish_what_is_under_way(show_id)
                report, steps = await self._judge(show_id)
            for step in steps:
                self.say(f"  repair: {step.text}")
            done, mender = [], Mender(parts.database, parts.engine, parts.clock)
            for step in steps:
                if not await leases.renew(LEASE, epoch):
                    raise CannotAudit("The repair took too long and somebody else began one. Look again.")
                done.append(Done(step, await mender.do(step)))
            for each in done:
                self.say(f"  {'✗ not done, ' + each.why_not if each.why_not else '✓ done'}: {each.step.text}")
            if done:
                await self._finish_what_is_under_way(show_id)
                report, steps = await self._judge(show_id)
        finally:
            await leases.release(LEASE, epoch)
        return report, steps, done

    async def _finish_what_is_under_way(self, show_id: str) -> None:
        """What the worker does anyway, where one runs: journal, events, errands, payments that were never written."""
        parts = self.parts
        await JournalToLedger(parts.redis, parts.database, parts.engine, parts.clock).drain(show_id)
        await parts.shows.outbox.catch_up(show_id)
        await parts.orders.run_outbox()
        await parts.orders.sweep_unwritten()
        await JournalToLedger(parts.redis, parts.database, parts.engine, parts.clock).drain(show_id)

    # --- words ------------------------------------------------------------------------------------------------------

    def _tell(self, report: ShowReport, steps: list[Step], repair: bool) -> None:
        for line in lines_of(report):
            self.say(line)
        for step in steps:
            self.say(f"  → {'left' if repair else '--repair would'}: {step.text}")
        if repair and report.breaches:
            self.say("  What is left is not repaired: it would make units available that nothing proves.")
        self.say("")

    def _sum_up(self, reports: list[ShowReport], code: int) -> None:
        count = sum(len(report.deals) for report in reports)
        looked = f"{len(reports)} shows, {count} deals"
        breaches = sum(len(report.breaches) for report in reports)
        words = {
            ADDS_UP: f"✓ {looked}: every unit is in exactly one place.",
            BREACH: f"✗ {looked}: {breaches} things do not add up.",
            BUSY: f"! {looked}: what could be compared adds up, but not all stood still. Try again at a quiet hour.",
        }
        self.say(words[code] if reports else "Nothing was ever put up for sale here: there is nothing to add up.")


def _code(reports: list[ShowReport]) -> int:
    if any(report.breaches for report in reports):
        return BREACH
    return ADDS_UP if all(report.quiet for report in reports) else BUSY
