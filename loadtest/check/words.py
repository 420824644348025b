"""Records, rows and instants as lines that a person reads in the history of a breach. Values in, text out."""

import datetime
from collections.abc import Iterable

from livecommerce.audit.books import Books, Key, Movement
from livecommerce.errors import R
from loadtest.records import Answered, AnyRecord, Asked, Disorder, Ended, EventSeen, Paid, RefusedTo, Segment, Told

_WORD_OF_NUMBER = {refusal.value.number: refusal.value.word for refusal in R}


def at(instant_us: int) -> str:
    """An instant of the run's clock."""
    return f"{instant_us / 1_000_000:.6f} s"


def lines(of: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{qty} × {deal_id}" for deal_id, qty in of) or "nothing"


def refusal(number: int) -> str:
    return f"{_WORD_OF_NUMBER.get(number, 'unknown')} ({number})"


def line_of(record: AnyRecord) -> str:
    """One record, as a line of a history."""
    match record:
        case Asked():
            again = ", again after a break" if record.again else ""
            planned = f", planned for {at(record.planned_us)}" if record.planned_us else ""
            wanted = f" {lines(record.lines)}" if record.lines else ""
            return f"{at(record.at_us)}  asked: {record.verb}{wanted} under {record.rid}{again}{planned}"
        case Answered():
            what = f"{record.state}{_until(record.due_at_ms)}, ticket {record.ticket}, {lines(record.lines)}"
            return f"{at(record.at_us)}  answered: {what} under {record.rid}"
        case RefusedTo():
            return f"{at(record.at_us)}  refused: {refusal(record.number)} under {record.rid}"
        case Told():
            what = f"{record.state}{_until(record.due_at_ms)}, {lines(record.lines)}"
            return f"{at(record.at_us)}  told: {what} under {record.rid}"
        case Paid():
            return f"{at(record.at_us)}  told: order {record.order_id} is {record.status}, under {record.rid}"
        case EventSeen():
            return f"{at(record.at_us)}  saw event {record.offset} of epoch {record.epoch}, digest {record.digest}"
        case Segment():
            how = {-1: "in to the end", 0: "cut by us"}.get(record.closed, f"closed with {record.closed}")
            stretch = f"events {record.from_offset} to {record.to_offset} of epoch {record.epoch}"
            return f"stretch: {stretch}, by {record.by}, {how}"
        case Disorder():
            return f"{at(record.at_us)}  expected event {record.expected} of epoch {record.epoch}, got {record.got}"
        case Ended():
            return f"at the run's end she was: {record.stage}"


def lines_of_movements(movements: Iterable[Movement]) -> list[str]:
    """What the ledger says moved, in its own order and by its own clock."""
    ordered = sorted(movements, key=lambda movement: movement.movement_id)
    return [
        f"ledger {utc(each.at_ms)}  {each.kind}: {each.qty} × {each.deal_id} (line {each.line}, number {each.n})"
        for each in ordered
    ]


def lines_of_books(books: Books, key: Key) -> list[str]:
    """All that the books say of one request."""
    told = lines_of_movements(books.movements.get(key, ()))
    hold = books.holds.get(key)
    state = f"{hold.state}, ticket {hold.ticket}, {lines(hold.lines)}" if hold else "not known"
    return [*told, f"books: {key[1]} is {state}"]


def utc(instant_ms: int) -> str:
    """An instant of the server's clock."""
    return datetime.datetime.fromtimestamp(instant_ms / 1000, datetime.UTC).strftime("%H:%M:%S.%f")[:-3]


def _until(due_at_ms: int) -> str:
    return f" until {utc(due_at_ms)}" if due_at_ms else ""
