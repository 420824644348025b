"""The proof: every answer and every event that any simulated viewer got, against the server's own books.

What arrives: the generators' records and `Books`. What leaves: `CheckResult`: how much was looked at, every kind of
breach counted, the first few with their history. Pure, and it reads the records once: they are sorted by viewer as they
come, still encoded (some 100 bytes each), so that each viewer's story can then be read as one.
"""

from collections import Counter
from collections.abc import Iterable
from functools import partial

from livecommerce.audit import breaches
from livecommerce.audit.books import Books
from loadtest.check.findings import Findings
from loadtest.check.stories import Stories
from loadtest.check.stretches import Log, Place, Stretches, is_gone
from loadtest.check.words import lines_of_books, lines_of_movements
from loadtest.records import AnyRecord, Disorder, EventSeen, Segment, encode, read
from loadtest.result import CheckResult

# What is counted as looked at, by the kind of record.
_NAMES = {
    "ask": "questions", "ans": "answers", "ref": "refusals", "own": "told", "pay": "orders_told", "evt": "events",
    "seg": "stretches", "dis": "disorders",
}  # fmt: skip


def check(
    records: Iterable[Iterable[AnyRecord]],
    books: Books,
    *,
    patience_us: int,
    cuts_expected: bool = True,
    clock_error_us: int = 0,
    final: Place | None = None,
) -> CheckResult:
    """Everything that does not add up.

    `records` has one stream for each generator, in its own order. An answer later than `patience_us` after its planned
    moment is late; where `cuts_expected`, a question asked again after a break counts from then. `clock_error_us` is
    the largest error between generators' clocks. `final` is (epoch, offset) of the show's last event that the viewers
    were still there for; without it, the log's last.
    """
    findings, checked = Findings(), Counter[str]()
    stretches = Stretches(Log(books, final), findings)
    told: dict[tuple[int, str], bytearray] = {}
    for generator, stream in enumerate(records):
        for record in stream:
            checked[_NAMES[str(record.__struct_config__.tag)]] += 1
            if isinstance(record, EventSeen):
                stretches.see(generator, record)
            else:
                told.setdefault((generator, record.viewer), bytearray()).extend(encode(record))
    stories = Stories(
        books, findings, patience_us=patience_us, cuts_expected=cuts_expected, clock_error_us=clock_error_us
    )
    for generator, viewer in list(told):
        story = list(read(bytes(told.pop((generator, viewer)))))
        segments = [record for record in story if isinstance(record, Segment)]
        stretches.check(generator, viewer, segments, [record for record in story if isinstance(record, Disorder)])
        stories.check(viewer, story, gone=is_gone(segments), whole=bool(segments))
        checked["viewers"] += 1
    stories.check_promises()
    _check_books(books, findings)
    checked["requests"] = stories.requests
    return CheckResult(
        checked=_all_of(checked, books),
        counts=findings.counts,
        breaches=findings.kept(),
        complete=books.whole and books.quiet,
        note=_note(books),
    )


def _check_books(books: Books, findings: Findings) -> None:
    """What is wrong with the books by themselves."""
    kinds = [
        ("oversold", breaches.oversold),
        ("double_effects", breaches.doubled),
        ("unpaid_confirmed", breaches.unpaid),
    ]
    if books.quiet:  # else they may rightly disagree
        kinds.append(("books", breaches.unbalanced))
    for kind, find in kinds:
        for found in find(books):
            findings.add(kind, found.text, partial(_history, books, found))


def _history(books: Books, found: breaches.Found) -> list[str]:
    if found.key is not None:
        return lines_of_books(books, found.key)
    return lines_of_movements(breaches.movements_by_deal(books)[found.deal_id])


def _all_of(checked: "Counter[str]", books: Books) -> dict[str, int]:
    return {
        "viewers": checked["viewers"],
        "requests": checked["requests"],
        **{name: checked[name] for name in _NAMES.values()},
        "holds": len(books.holds),
        "orders": len(books.orders),
        "movements": sum(map(len, books.movements.values())),
        "log_events": len(books.events),
    }


def _note(books: Books) -> str:
    if not books.whole:
        return "The server's books could not be read to their end: what is missing in them was not checked."
    if not books.quiet:
        pending = books.pending
        left = f"{pending.journal} calls, {pending.errands} errands and {pending.events} events were on their way"
        return f"The server's books never came to rest ({left}), so they were not compared with each other."
    return ""
