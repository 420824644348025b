"""Does stock add up? Compares what Redis counts, what the ledger has, and what people were told.

What arrives: `Books` of one quiet moment, and, where every request is known, the last answer each got. What leaves: a
sentence for each thing that does not add up; none is what all of the server is for. Pure: it reads nothing by itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from livecommerce.audit.books import Books, DealRow, Key, Movement
from livecommerce.audit.replay import ANEW, FURTHEST
from livecommerce.errors import Refused
from livecommerce.protocol.facts import Hold
from livecommerce.reservations.states import IN_HELD, LIVE, WORDS, State

Answers = Mapping[Key, Hold | Refused]

LIVE_WORDS = frozenset(WORDS[state] for state in LIVE)
# In which counter of its deal a hold's units stand; in the others' states they stand in none.
_COUNTER_OF = {
    **{WORDS[state]: 0 for state in IN_HELD},
    WORDS[State.PAYING]: 1,
    WORDS[State.CONFIRMED]: 2,
}  # fmt: skip
# What each state of a hold must have left in the movements, at the least.
_LEFT_BEHIND = {
    "held": {"held"},
    "paying": {"held", "paying"},
    "confirmed": {"held", "paying", "confirmed"},
    "released": {"released"},
    "entered": {"entered"},
    "expired": {"held"},
}
# States in SQL that Redis must have followed.
_FOLLOWED = frozenset({"paying", "confirmed", "expired", "cancelled"})
# What an order's movement does to the units that SQL counts as being paid or sold.
_TAKES = {"order_paying": 1, "order_reacquired": 1, "order_expired": -1, "order_cancelled": -1}
_GIVES = {"allotted": 1, "taken_out": -1}
_OF_DEALS = frozenset((*_GIVES, *_TAKES, "order_confirmed"))
# What the movements of a hold itself do to its units. Between these they stay set aside, whatever else is told of it.
_SET_ASIDE_BY = frozenset({"held", "offered", "reacquired"})
_GIVEN_BACK_BY = frozenset({"released", "expired", "lapsed", "pay_expired", "cancelled", "lost"})
# What may become of an order behind which there is money.
_PAID_FOR = frozenset({"confirmed", "refund_due", "refunded"})


class Found(NamedTuple):
    """A sentence, and the request or the deal it is about, for whoever wants to show what led to it."""

    text: str
    key: Key | None = None
    deal_id: str = ""


def breaches(books: Books, answers: Answers | None = None) -> list[str]:
    """Every sentence there is.

    `answers` is the last answer each request got, all of them or none: who was told "held" has it or has done something
    with it since, who was refused has nothing, and nobody has what nobody was told.
    """
    found = [*unbalanced(books), *oversold(books), *doubled(books), *unpaid(books), *paid_for_nothing(books)]
    return [*(each.text for each in found), *_against_answers(books, answers or {})]


def unbalanced(books: Books) -> list[Found]:
    """Counters that do not add up, books that disagree with each other, limits that were passed."""
    return [
        *_redis_adds_up(books), *_redis_agrees_with_ledger(books), *_ledger_adds_up(books), *_limits(books),
        *_movements(books),
    ]  # fmt: skip


def in_the_ledger(books: Books) -> list[Found]:
    """What can be said where Redis no longer has the show and need not: all its deals are closed."""
    return [*_ledger_adds_up(books), *oversold(books), *doubled(books), *unpaid(books), *paid_for_nothing(books)]


def oversold(books: Books) -> list[Found]:
    """Deals of which more was being paid and sold than was ever given to them, or more set aside than they had at that
    moment, now or at any earlier one."""
    found = []
    movements = movements_by_deal(books)
    set_aside = _set_aside_by_deal(books)
    for deal in books.deals:
        most = allotted_most(deal, movements[deal.deal_id])
        if deal.sold + deal.paying > deal.allotted:
            told = f"{deal.sold} sold and {deal.paying} being paid of {deal.allotted} allotted"
            found.append(_of_deal(deal.deal_id, f"OVERSOLD: {told}"))
            continue
        taken, at_ms = _taken_most(movements[deal.deal_id])
        if taken > most:
            told = f"{taken} being paid or sold at {at_ms}, {most} were ever allotted"
            found.append(_of_deal(deal.deal_id, f"OVERSOLD: {told}"))
            continue
        beyond = _first_beyond(deal, set_aside[deal.deal_id], movements[deal.deal_id])
        if beyond is not None:
            units, quota, last = beyond
            told = f"{units} units set aside at {last.at_ms}, {quota} were allotted then"
            text = f"{deal.deal_id}: OVERSOLD: {told}; the last one by {'/'.join(last.key)}"
            found.append(Found(text, key=last.key, deal_id=deal.deal_id))
    return found


def doubled(books: Books) -> list[Found]:
    """Request ids whose effect stands in the books more than once."""
    found = []
    for key, movements in books.movements.items():
        # Nearly every request has one movement of a kind: the count is only made where there are more than kinds.
        if len(movements) > len({(each.line, each.kind, each.n) for each in movements}):
            for (line, kind, n), times in Counter((each.line, each.kind, each.n) for each in movements).items():
                if times > 1:
                    found.append(_of(key, f"{times} movements {kind!r} of line {line}, number {n}"))
        # `n` counts the times that late money brought units back: a tap itself takes them once.
        held_again = [each for each in movements if each.kind == "held" and each.n]
        if held_again:
            found.append(_of(key, f"held anew {len(held_again)} times by one request"))
    for name, rows in (("orders", books.orders), ("reservations", books.reservations)):
        for key, times in Counter((row.viewer_id, row.rid) for row in rows).items():
            if times > 1:
                found.append(_of(key, f"{times} {name} of one request"))
    return found


def unpaid(books: Books) -> list[Found]:
    """What is confirmed without money: an order without a captured payment, a hold without a confirmed order."""
    found = [
        _of((row.viewer_id, row.rid), f"order {row.number} is confirmed and nobody paid")
        for row in books.orders
        if row.status == "confirmed" and not row.paid
    ]
    bought = {(row.viewer_id, row.rid) for row in books.orders if row.status == "confirmed"}
    for key, hold in books.holds.items():
        if hold.state == "confirmed" and key not in bought:
            found.append(_of(key, "confirmed without a confirmed order"))
    return found


def paid_for_nothing(books: Books) -> list[Found]:
    """Orders that a captured payment stands behind, and that are neither sold nor on their way to being refunded. Only
    of quiet books: before its errand is done, late money is rightly neither."""
    return [
        _of((row.viewer_id, row.rid), f"order {row.number} was paid and is {row.status}")
        for row in books.orders
        if row.paid and row.status not in _PAID_FOR
    ]


def allotted_most(deal: DealRow, movements: list[Movement]) -> int:
    """The most units that the deal ever had: what was put in less what was taken out, at its highest."""
    running = most = 0
    for movement in movements:
        running += _GIVES.get(movement.kind, 0) * movement.qty
        most = max(most, running)
    return max(most, deal.allotted)


def movements_by_deal(books: Books) -> defaultdict[str, list[Movement]]:
    """Every deal's movements between pool, deal and orders, in the order in which they were written. Taps, which are
    nearly all there is, are left out."""
    by_deal: defaultdict[str, list[Movement]] = defaultdict(list)
    for movements in books.movements.values():
        for movement in movements:
            if movement.kind in _OF_DEALS:
                by_deal[movement.deal_id].append(movement)
    for movements in by_deal.values():
        movements.sort(key=lambda movement: movement.movement_id)
    return by_deal


def _taken_most(movements: list[Movement]) -> tuple[int, int]:
    """(units being paid or sold at their highest, when). Only orders' own movements: SQL alone is the judge of those,
    and they stand in the order of its commits."""
    running = most = at_ms = 0
    for movement in movements:
        running += _TAKES.get(movement.kind, 0) * movement.qty
        if running > most:
            most, at_ms = running, movement.at_ms
    return most, at_ms


class _Change(NamedTuple):
    """Units of one deal that a hold took (+) or gave back (-)."""

    movement_id: int
    units: int
    at_ms: int
    key: Key


def _set_aside_by_deal(books: Books) -> defaultdict[str, list[_Change]]:
    """Every deal's units as its holds took them and gave them back, in the order in which the script did it.

    Of each line only what changes something counts: who leaves the line of those who wait gives nothing back, and a
    movement told twice is `doubled`'s. Holds that Redis no longer knows are left out: what it lost in a crash ended
    without a movement, and its units rightly went to others. What was written before books were made anew may be of
    several histories, and counts as of that moment (`audit.replay`).
    """
    anew = made_anew(books)
    by_deal: defaultdict[str, list[_Change]] = defaultdict(list)
    for key in books.holds:
        taken: set[int] = set()
        for each in sorted(books.movements.get(key, ()), key=lambda movement: movement.movement_id):
            change = 0
            if each.kind in _SET_ASIDE_BY and each.line not in taken:
                taken.add(each.line)
                change = each.qty
            elif each.kind in _GIVEN_BACK_BY and each.line in taken:
                taken.remove(each.line)
                change = -each.qty
            if change and each.movement_id > anew:
                by_deal[each.deal_id].append(_Change(each.movement_id, change, each.at_ms, key))
        if anew:
            for had in _had_at(anew, books.movements.get(key, ())):
                by_deal[had.deal_id].append(_Change(anew, had.qty, had.at_ms, key))
    for changes in by_deal.values():
        changes.sort()
    return by_deal


def made_anew(books: Books) -> int:
    """The id of the last movement of the last rebuild; 0 where there was none."""
    marks = [each for key, moved in books.movements.items() if not key[0] for each in moved if each.kind == ANEW]
    return max((each.movement_id for each in marks), default=0)


def _had_at(movement_id: int, moved: Iterable[Movement]) -> list[Movement]:
    """The furthest movement of each line that had units when books were made anew there."""
    furthest: dict[int, tuple[tuple[int, int], bool, Movement]] = {}
    for each in moved:
        if each.movement_id <= movement_id and each.kind in FURTHEST:
            place, state = FURTHEST[each.kind]
            if each.line not in furthest or (each.n, place) > furthest[each.line][0]:
                furthest[each.line] = (each.n, place), state not in ("", "entered", "waiting"), each
    return [each for _, has, each in furthest.values() if has]


def _first_beyond(deal: DealRow, changes: list[_Change], moves: list[Movement]) -> tuple[int, int, _Change] | None:
    """(units, quota, the hold that passed it) when more was set aside than the deal had at that moment; else None.

    Only the script's own movements, which stand in the order of its calls. A deal whose allotment no movement tells is
    held against what the ledger says of it.
    """
    given = [(each.movement_id, _GIVES[each.kind] * each.qty) for each in moves if each.kind in _GIVES]
    told = any(units > 0 for _, units in given)
    quota, units, place = 0 if told else allotted_most(deal, moves), 0, 0
    for change in changes:
        while told and place < len(given) and given[place][0] < change.movement_id:
            quota += given[place][1]
            place += 1
        units += change.units
        if units > quota and change.units > 0:
            return units, quota, change
    return None


def _redis_adds_up(books: Books) -> list[Found]:
    found = []
    counted: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for hold in books.holds.values():
        place = _COUNTER_OF.get(hold.state)
        if place is not None:
            for deal_id, qty in hold.lines:
                counted[deal_id][place] += qty
    for deal_id, level in books.levels.items():
        if min(level.available, level.held, level.paying, level.sold, level.waiting) < 0:
            found.append(_of_deal(deal_id, f"below zero: {level}"))
        if counted[deal_id] != [level.held, level.paying, level.sold]:
            told = f"the holds are (held, paying, sold) {counted[deal_id]}, the counters say {level}"
            found.append(_of_deal(deal_id, told))
    return found


def _redis_agrees_with_ledger(books: Books) -> list[Found]:
    found = []
    for deal in books.deals:
        level = books.levels.get(deal.deal_id)
        if level is None:
            found.append(_of_deal(deal.deal_id, "in the ledger, not in Redis"))
            continue
        here = level.available + level.held + level.paying + level.sold
        if here != deal.allotted:
            found.append(_of_deal(deal.deal_id, f"{here} units in Redis, {deal.allotted} allotted"))
        if (level.paying, level.sold) != (deal.paying, deal.sold):
            told = f"the ledger says paying {deal.paying}, sold {deal.sold}, Redis {level}"
            found.append(_of_deal(deal.deal_id, told))
    for row in books.reservations:
        key = row.viewer_id, row.rid
        hold = books.holds.get(key)
        if row.state in _FOLLOWED and (hold is None or hold.state != row.state):
            there = hold.state if hold else "nothing"
            found.append(_of(key, f"{row.state} in the ledger, {there} in Redis"))
    return found


def _ledger_adds_up(books: Books) -> list[Found]:
    found = []
    for pool in books.pools:
        where = pool.variant_id, pool.location_id
        in_deals = sum(
            deal.allotted - deal.sold for deal in books.pool_deals if (deal.variant_id, deal.location_id) == where
        )
        if pool.in_deals != in_deals:
            found.append(Found(f"pool {where}: {pool.in_deals} in deals, the deals have {in_deals}"))
        if pool.available + pool.in_deals + pool.sold != pool.total:
            found.append(Found(f"pool {where}: {pool}"))
    counted: Counter[tuple[str, str]] = Counter()
    for row in books.reservations:
        for deal_id, qty in row.lines:
            counted[deal_id, row.state] += qty
    for deal in books.deals:
        sums = counted[deal.deal_id, "paying"], counted[deal.deal_id, "confirmed"]
        if sums != (deal.paying, deal.sold):
            told = f"reservations (paying, confirmed) {sums}, the deal says {deal.paying}, {deal.sold}"
            found.append(_of_deal(deal.deal_id, told))
    states = {(row.viewer_id, row.rid): row.state for row in books.reservations}
    for order in books.orders:
        key = order.viewer_id, order.rid
        state = states.get(key)
        wanted = "paying" if order.status == "declined" else order.status
        if wanted in _FOLLOWED and state != wanted:
            found.append(_of(key, f"order {order.number}: {order.status}, its reservation {state}"))
    return found


def _limits(books: Books) -> Iterator[Found]:
    mine: Counter[tuple[str, str]] = Counter()
    for key, hold in books.holds.items():
        # Late money is not asked for the limit: she has paid.
        if (hold.state in LIVE_WORDS or hold.state == "confirmed") and "reacquired" not in books.kinds(key):
            for deal_id, qty in hold.lines:
                mine[key[0], deal_id] += qty
    limits = {deal.deal_id: deal.limit_per_viewer for deal in books.deals}
    for (viewer_id, deal_id), units in mine.items():
        if units > limits.get(deal_id, 0):
            told = f"{viewer_id} has {units} of {deal_id}, whose limit is {limits.get(deal_id)}"
            yield Found(told, deal_id=deal_id)


def _movements(books: Books) -> Iterator[Found]:
    for key, hold in books.holds.items():
        kinds = books.kinds(key)
        missing = _LEFT_BEHIND.get(hold.state, set()) - kinds
        if "offered" in kinds:  # who waited was never "held" by her tap: she accepted
            missing -= {"held"}
        if "lost" in kinds:  # of a history that Redis lost: a rebuild found no unit for it
            missing -= {"held"}
        if "reacquired" in kinds:  # late money takes the units straight to "paying"
            missing -= {"paying"}
        if missing:
            yield _of(key, f"{hold.state} without a movement {sorted(missing)}, only {sorted(kinds)}")


def _of(key: Key, text: str) -> Found:
    return Found(f"{key[0]}/{key[1]}: {text}", key=key)


def _of_deal(deal_id: str, text: str) -> Found:
    return Found(f"{deal_id}: {text}", deal_id=deal_id)


def _against_answers(books: Books, answers: Answers) -> Iterator[str]:
    for key, answer in answers.items():
        known = books.holds.get(key)
        if isinstance(answer, Refused):
            if known is not None:
                yield f"{key} was refused ({answer.why.value.word}) and yet is {known.state}"
        elif known is None:
            yield f"{key} was told {answer.state} and has nothing"
        elif known.lines != tuple((line.deal_id, line.qty) for line in answer.lines):
            yield f"{key} was told {answer.lines} and has {known.lines}"
    # Only where every request of a test is known can what nobody was told be a breach.
    if answers:
        for key in books.holds:
            if key not in answers:
                yield f"{key} holds what nobody was told"
