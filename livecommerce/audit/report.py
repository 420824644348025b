"""One show judged as a whole, and how a person reads it: a table for each deal, and a sentence for each breach.

What arrives: the books of a show, SQL's sums and the show's own log. What leaves: a `ShowReport`, as text or as data.
Pure: it reads nothing by itself.
"""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from livecommerce.audit.books import Books
from livecommerce.audit.breaches import Found, doubled, in_the_ledger, oversold, paid_for_nothing, unbalanced, unpaid
from livecommerce.audit.replay import ANEW, Fold, Ordered, Replay, Units
from livecommerce.audit.sums import DealSum, Sums, ledger_against_its_log
from livecommerce.reservations import keys

Events = Mapping[str, Collection[str]]  # deal_id → the kinds of public events about it


class Column(msgspec.Struct, frozen=True):
    """Where a deal's units are, as one of the three says; None where it is not for it to say."""

    quota: int
    available: int | None
    held: int | None
    paying: int
    sold: int


class DealReport(msgspec.Struct, frozen=True):
    """`drift`: the units that stand in another place, or in none, as the log, Redis and SQL see it."""

    deal_id: str
    label: str
    status: str
    log: Column
    redis: Column | None
    sql: Column
    drift: int


class ShowReport(msgspec.Struct, frozen=True):
    """`quiet` False: it could not be read at one moment, so Redis was not compared with SQL."""

    show_id: str
    title: str
    status: str
    quiet: bool
    deals: tuple[DealReport, ...]
    breaches: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def adds_up(self) -> bool:
        return not self.breaches


class Show(msgspec.Struct, frozen=True):
    """What the ledger knows beside the books, of one moment."""

    show_id: str
    title: str
    status: str
    sums: Sums
    ordered: Mapping[str, Ordered]
    events: Events
    stale_witnesses: int = 0


def judge(show: Show, books: Books) -> ShowReport:
    """Everything that does not add up; the books must be whole."""
    replay, left_out = replayed(books)
    found = [
        *(Found(wrong.text, deal_id=wrong.deal_id) for wrong in replay.wrong),
        *ledger_against_its_log(show.sums, show.ordered),
        *_unannounced(show),
        *_of_redis(show, books, replay),
    ]
    notes = []
    if not books.quiet:
        notes.append(_busy(books))
    notes += _comes_by_itself(show, books)
    if left_out:
        notes.append(f"{left_out} requests stand in the log and no longer in Redis: they are left out")
    if replay.unknown_kinds:
        notes.append(f"movements of kinds this version does not know: {', '.join(sorted(replay.unknown_kinds))}")
    if show.stale_witnesses:
        notes.append(f"{show.stale_witnesses} witnesses of level ledger still name holds that have ended")
    deals = tuple(_deal(deal, books, replay) for deal in show.sums.deals.values())
    texts = tuple(dict.fromkeys(each.text for each in found))
    return ShowReport(show.show_id, show.title, show.status, books.quiet, deals, texts, tuple(notes))


def replayed(books: Books) -> tuple[Replay, int]:
    """The log of these books, and how many requests were left out: what Redis lost in a crash ended without a
    movement, and its units rightly went to others."""
    rows = sorted((each.movement_id, key, each) for key, moved in books.movements.items() for each in moved)
    lost = {key for key in books.movements if key[0] and books.levels and key not in books.holds}
    made_anew = max((movement_id for movement_id, _, each in rows if each.kind == ANEW), default=0)
    fold = Fold()
    for movement_id, key, each in rows:
        if key not in lost and movement_id <= made_anew:
            fold.take((*key, each.line), each.kind, each.n, each.deal_id, each.qty, each.at_ms)
    replay = fold.finish()
    for movement_id, key, each in rows:
        if key not in lost and movement_id > made_anew:
            replay.take((*key, each.line), each.kind, each.deal_id, each.qty, each.at_ms)
    return replay, len(lost)


def _of_redis(show: Show, books: Books, replay: Replay) -> Iterator[Found]:
    open_deals = [deal.deal_id for deal in show.sums.deals.values() if deal.status != "closed"]
    if not books.levels:
        if books.quiet:
            yield from in_the_ledger(books)
        for deal_id in open_deals:
            yield Found(f"{deal_id}: Redis has no books of this show: nothing of it can be sold", deal_id=deal_id)
        return
    yield from (*oversold(books), *doubled(books))
    if not books.quiet:
        return
    yield from (*unbalanced(books), *unpaid(books), *paid_for_nothing(books))
    for deal_id, level in books.levels.items():
        said = replay.deals.get(deal_id) or Units()
        if (said.available, said.held, said.paying, said.sold) != (
            level.available,
            level.held,
            level.paying,
            level.sold,
        ):
            yield Found(f"{deal_id}: Redis has {level}, its movements add up to {said}", deal_id=deal_id)


def _unannounced(show: Show) -> Iterator[Found]:
    """Deals that took units, or gave them back, without an event in the show's log that says so. Nobody announces a
    shelf."""
    if keys.location_of(show.show_id):
        return
    for deal in show.sums.deals.values():
        told = set(show.events.get(deal.deal_id, ()))
        if not told & {"deal_announced", "deal_opened"}:
            yield Found(f"{deal.deal_id}: {deal.status}, and the show's log never announced it", deal_id=deal.deal_id)
        elif deal.status in ("closing", "closed") and "deal_closed" not in told:
            yield Found(f"{deal.deal_id}: {deal.status}, and the show's log never closed it", deal_id=deal.deal_id)


def _comes_by_itself(show: Show, books: Books) -> Iterator[str]:
    """What is out of its place now and is brought back by the server, later and not by a repair."""
    known = {(row.viewer_id, row.rid) for row in books.reservations}
    for key, hold in books.holds.items():
        if hold.state == "paying" and key not in known:
            yield f"{'/'.join(key)}: paying in Redis, no order in SQL: it goes back when its time to pay is over"
    for deal in show.sums.deals.values():
        level = books.levels.get(deal.deal_id)
        if deal.status == "closing" and level is not None and (level.held or level.paying):
            out = deal.allotted - level.available - level.held - level.paying - level.sold
            if out > 0:
                waits = f"{level.held} held and {level.paying} being paid are over"
                yield f"{deal.deal_id}: {out} units are out of the deal and not home yet: they come when {waits}"


def _busy(books: Books) -> str:
    pending = books.pending
    told = f"{pending.journal} calls not copied, {pending.errands} errands, {pending.events} events"
    return f"it never stood still: Redis was not compared with SQL (under way: {told})"


def _deal(deal: DealSum, books: Books, replay: Replay) -> DealReport:
    said, level = replay.deals.get(deal.deal_id) or Units(), books.levels.get(deal.deal_id)
    log = Column(said.quota, said.available, said.held, said.paying, said.sold)
    sql = Column(deal.allotted, None, None, deal.paying, deal.sold)
    if level is None:
        return DealReport(deal.deal_id, deal.label, deal.status, log, None, sql, abs(said.sold - deal.sold))
    quota = level.available + level.held + level.paying + level.sold
    redis = Column(quota, level.available, level.held, level.paying, level.sold)
    drift = max(
        abs((one or 0) - (other or 0))
        for here, there in ((log, redis), (redis, sql))
        for name in Column.__struct_fields__
        if (one := getattr(here, name)) is not None and (other := getattr(there, name)) is not None
    )
    return DealReport(deal.deal_id, deal.label, deal.status, log, redis, sql, drift)


# --- for a person -----------------------------------------------------------------------------------------------------

_HEAD = f"{'':10}{'quota':>9}{'available':>11}{'held':>8}{'paying':>8}{'sold':>8}"


def lines_of(report: ShowReport) -> Iterator[str]:
    """The report as lines of text, narrow enough for a phone turned sideways."""
    yield f"{report.title} · {report.show_id} · {report.status}"
    if not report.deals:
        yield "  nothing was ever put up for sale"
    for deal in report.deals:
        yield f"  {deal.label or 'deal'} · {deal.deal_id} · {deal.status}"
        yield "  " + _HEAD
        yield "  " + _row("log", deal.log)
        yield "  " + (_row("Redis", deal.redis) if deal.redis else f"{'Redis':10}{'no books':>12}")
        yield "  " + _row("SQL", deal.sql)
        if deal.drift:
            yield f"    drift: {deal.drift}"
    for note in report.notes:
        yield f"  ! {note}"
    for number, breach in enumerate(report.breaches):
        yield f"  ✗ {breach}" if number < SHOWN_MAX else f"  … and {len(report.breaches) - SHOWN_MAX} more"
        if number == SHOWN_MAX:
            break
    if report.adds_up:
        yield "  ✓ adds up" if report.quiet else "  ✓ adds up, as far as it could be compared"


SHOWN_MAX = 20


def _row(name: str, column: Column) -> str:
    shown = ["–" if (number := getattr(column, field)) is None else str(number) for field in Column.__struct_fields__]
    return f"{name:10}{shown[0]:>9}{shown[1]:>11}{shown[2]:>8}{shown[3]:>8}{shown[4]:>8}"
