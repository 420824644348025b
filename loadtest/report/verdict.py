"""What a run comes to, in one word and a few sentences, and with which code the command ends.

What arrives: a `Result`. What leaves: a `Verdict`. It knows the order in which bad news wins, and nothing of screens.
"""

from typing import Literal

import msgspec

from loadtest.report.words import duration_shown
from loadtest.result import CheckResult, Result

Word = Literal["wrong_stock", "broken_off", "inconclusive", "breached", "passed"]

EXIT: dict[Word, int] = {"passed": 0, "broken_off": 1, "inconclusive": 97, "wrong_stock": 98, "breached": 99}
# Too late is not wrong: an answer that came late is a promise about time that broke, and the stock adds up.
LATENESS = frozenset({"late_answers"})
_TOLD_FIRST = ("viewers", "answers", "orders", "events")

HEADLINES: dict[Word, str] = {
    "wrong_stock": "Stock does not add up",
    "broken_off": "The run broke off",
    "inconclusive": "No conclusion",
    "breached": "A threshold was breached",
    "passed": "Passed",
}


class Verdict(msgspec.Struct, frozen=True):
    """`sentences` are for a person, the most important first."""

    word: Word
    headline: str
    sentences: tuple[str, ...]
    exit_code: int


def verdict_of(result: Result) -> Verdict:
    """The worst that can be said of the run. Wrong stock wins: it is true however fast the generator was and however
    early the run ended, but for a run that broke off so that records or books are missing: there "wrong" may be what is
    missing. A run that broke off or whose generator was too slow proves nothing else."""
    word = _word(result)
    headline = HEADLINES[word]
    if word == "passed" and not result.thresholds and result.check is None:
        headline = "Ran to its end"  # nothing was asked of it, so it passed nothing
    if word == "breached" and not _breached(result):
        headline = "Answers came too late"
    if word == "breached" and _breached(result) > 1:
        headline = f"{_breached(result)} thresholds were breached"
    return Verdict(word, headline, tuple(_sentences(result, word)), EXIT[word])


def _word(result: Result) -> Word:
    check = result.check
    if not result.complete and check is not None and not check.complete:
        return "broken_off"
    if check is not None and wrong(check):
        return "wrong_stock"
    if not result.complete:
        return "broken_off"
    if not result.conclusive or (check is not None and not check.complete):
        return "inconclusive"
    return "breached" if _breached(result) or (check is not None and late(check)) else "passed"


def wrong(check: CheckResult) -> int:
    """How much does not add up."""
    return sum(count for kind, count in check.counts.items() if kind not in LATENESS)


def late(check: CheckResult) -> int:
    """How much came too late and was right all the same."""
    return sum(count for kind, count in check.counts.items() if kind in LATENESS)


def _breached(result: Result) -> int:
    return sum(not threshold.ok for threshold in result.thresholds)


def _sentences(result: Result, word: Word) -> list[str]:
    said = []
    if word == "broken_off":
        said.append(
            f"It ended after {duration_shown(result.seconds)}, before its time; what stands here is what was "
            "measured until then, and none of it is to be quoted."
        )
    if word == "inconclusive" and not result.conclusive:
        said.append("The generator itself was too slow, so these figures say nothing about the server.")
    about = [_about_thresholds(result), _about_stock(result), _about_stop(result)]
    # What the headline says comes first.
    first = {"wrong_stock": 1, "broken_off": 2, "inconclusive": 2 if not result.conclusive else 1}.get(word, 0)
    return [*said, about.pop(first), *about]


def _about_thresholds(result: Result) -> str:
    total, breached = len(result.thresholds), _breached(result)
    if not total and not (result.check is not None and late(result.check)):
        return "No threshold was set."
    if not breached and result.check is not None and (answers := late(result.check)):
        return f"The thresholds held, but {answers:,} answers came later than viewers have patience for."
    if not breached:
        return "The one threshold held." if total == 1 else f"All {total} thresholds held."
    first = next(threshold for threshold in result.thresholds if not threshold.ok)
    return f"{breached} of {total} thresholds breached, first {first.text}: {first.why or 'not held'}."


def _about_stock(result: Result) -> str:
    check = result.check
    if check is None:
        return "Whether stock adds up was not checked in this run."
    if count := wrong(check):
        breaches = [breach for breach in check.breaches if breach.kind not in LATENESS]
        first = f" First: {breaches[0].sentence}" if breaches else ""
        return f"Stock does not add up: {count:,} breach{'es' if count != 1 else ''}.{first}"
    if not check.complete:
        return f"The checker could not read everything, so it proves nothing: {check.note or 'no reason was given'}"
    return f"Stock adds up: {_checked(check.checked)} were replayed against the log and the ledger, 0 breaches."


def _checked(checked: dict[str, int]) -> str:
    # All that was looked at stands in the checker's own part; here is what a reader asks for first.
    chosen = {name: count for name, count in checked.items() if name in _TOLD_FIRST and count} or checked
    parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in chosen.items() if count]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]])) or "no answers (there were none)"


def _about_stop(result: Result) -> str:
    if result.stop.part == "nothing":
        return result.stop.sentence or "Nothing held the run back."
    return f"What held it back: {result.stop.sentence}"
