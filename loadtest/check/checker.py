"""The proof: every answer and every event that any simulated viewer got, against the server's own books.

What arrives: the generators' records and `Books`. What leaves: `CheckResult`: how much was looked at, every kind of
breach counted, the first few with their history. It reads the records once: they are sorted by viewer as they come,
still encoded (some 100 bytes each; of a long run most of them in files of its own), so that each viewer's story can
then be read as one.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial

from livecommerce.audit import breaches
from livecommerce.audit.books import Books
from loadtest.check.findings import Findings
from loadtest.check.stories import Stories
from loadtest.check.streams import ByViewer
from loadtest.check.stretches import CLOSES_EXPECTED, Log, Place, Stretches, is_gone, is_sent_away
from loadtest.check.words import lines_of_books, lines_of_movements
from loadtest.records import AnyRecord, Disorder, Ended, EventSeen, Segment
from loadtest.result import CheckResult

# What is counted as looked at, by the kind of record.
_NAMES = {
    "ask": "questions", "ans": "answers", "ref": "refusals", "own": "told", "pay": "orders_told", "evt": "events",
    "seg": "stretches", "dis": "disorders", "end": "ends",
}  # fmt: skip
_NOT_BACK = ("away", "coming")


def check(
    records: Iterable[Iterable[AnyRecord]],
    books: Books,
    *,
    patience_us: int,
    cuts_expected: bool = True,
    clock_error_us: int = 0,
    final: Place | None = None,
    ended: Sequence[bool] | None = None,
    closes_expected: Collection[int] = CLOSES_EXPECTED,
) -> CheckResult:
    """Everything that does not add up.

    `records` has one stream for each generator, in its own order; of which `ended` says whether it was written to its
    end: of a generator that died the last moments are missing, so that its viewers are not asked for what only those
    could show, and the result is not complete. An answer later than `patience_us` after its planned moment is late;
    where `cuts_expected`, a question asked again after a break counts from then. `clock_error_us` is the largest error
    between generators' clocks. `final` is (epoch, offset) of the show's last event that the viewers were still there
    for; without it, the log's last. Who is closed with one of `closes_expected` is owed nothing any more.
    """
    findings, checked = Findings(), Counter[str]()
    stretches = Stretches(Log(books, final), findings)
    stories = Stories(
        books, findings, patience_us=patience_us, cuts_expected=cuts_expected, clock_error_us=clock_error_us
    )
    with ByViewer() as told:
        for generator, stream in enumerate(records):
            for record in stream:
                checked[_NAMES[str(record.__struct_config__.tag)]] += 1
                if isinstance(record, EventSeen):
                    stretches.see(generator, record)
                else:
                    told.put((generator, record.viewer), record)
        for (generator, viewer), story in told.stories():
            segments = [record for record in story if isinstance(record, Segment)]
            stretches.check(generator, viewer, segments, [record for record in story if isinstance(record, Disorder)])
            broke_off = ended is not None and not ended[generator]
            stories.check(
                viewer,
                story,
                gone=broke_off or is_gone(segments, closes_expected),
                whole=not broke_off and (ended is not None or bool(segments)),
                broke_off=broke_off,
            )
            checked["viewers"] += 1
            checked["not_checked"] += broke_off
            checked["not_back"] += any(isinstance(record, Ended) and record.stage in _NOT_BACK for record in story)
            checked["sent_away"] += is_sent_away(segments, closes_expected)
    stories.check_promises()
    _check_books(books, findings)
    checked["requests"] = stories.requests
    all_ended = ended is None or all(ended)
    return CheckResult(
        checked=_all_of(checked, books),
        counts=findings.counts,
        breaches=findings.kept(),
        complete=books.whole and books.quiet and all_ended,
        note=" ".join(filter(None, (_note(books), "" if all_ended else _note_of_ends(ended or (), checked)))),
    )


def _check_books(books: Books, findings: Findings) -> None:
    """What is wrong with the books by themselves."""
    kinds = [
        ("oversold", breaches.oversold),
        ("double_effects", breaches.doubled),
        ("unpaid_confirmed", breaches.unpaid),
    ]
    if books.quiet:  # else they may rightly disagree
        kinds += [("paid_for_nothing", breaches.paid_for_nothing), ("books", breaches.unbalanced)]
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
        **{name: checked[name] for name in ("not_checked", "not_back", "sent_away")},
        "requests": checked["requests"],
        **{name: checked[name] for name in _NAMES.values()},
        "holds": len(books.holds),
        "orders": len(books.orders),
        "movements": sum(map(len, books.movements.values())),
        "log_events": len(books.events),
    }


def _note_of_ends(ended: Sequence[bool], checked: "Counter[str]") -> str:
    dead = len(ended) - sum(ended)
    return (
        f"The records of {dead} of {len(ended)} generators break off: what their {checked['not_checked']} viewers were "
        "told last is not known, and whether all of it was answered and asked for was not checked."
    )


def _note(books: Books) -> str:
    if not books.whole:
        return "The server's books could not be read to their end: what is missing in them was not checked."
    if not books.quiet:
        pending = books.pending
        left = f"{pending.journal} calls, {pending.errands} errands and {pending.events} events were on their way"
        return f"The server's books never came to rest ({left}), so they were not compared with each other."
    return ""
