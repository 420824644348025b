"""What a run comes to, in one word and a few sentences, and with which code the command ends.

What arrives: a `Result`. What leaves: a `Verdict`. It knows the order in which bad news wins, and nothing of screens.
"""

from typing import Literal

import msgspec

from loadtest.report.words import duration_shown
from loadtest.result import Result

Word = Literal["wrong_stock", "broken_off", "inconclusive", "breached", "passed"]

EXIT: dict[Word, int] = {"passed": 0, "broken_off": 1, "inconclusive": 97, "wrong_stock": 98, "breached": 99}
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
    """The worst that can be said of the run. Wrong stock wins over all: it is true however fast the generator was and
    however early the run ended. A run that broke off or whose generator was too slow proves nothing else."""
    word = _word(result)
    headline = HEADLINES[word]
    if word == "passed" and not result.thresholds and result.check is None:
        headline = "Ran to its end"  # nothing was asked of it, so it passed nothing
    if word == "breached" and _breached(result) > 1:
        headline = f"{_breached(result)} thresholds were breached"
    return Verdict(word, headline, tuple(_sentences(result, word)), EXIT[word])


def _word(result: Result) -> Word:
    if result.check is not None and any(result.check.counts.values()):
        return "wrong_stock"
    if not result.complete:
        return "broken_off"
    if not result.conclusive or (result.check is not None and not result.check.complete):
        return "inconclusive"
    return "breached" if _breached(result) else "passed"


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
    if not total:
        return "No threshold was set."
    if not breached:
        return "The one threshold held." if total == 1 else f"All {total} thresholds held."
    first = next(threshold for threshold in result.thresholds if not threshold.ok)
    return f"{breached} of {total} thresholds breached, first {first.text}: {first.why or 'not held'}."


def _about_stock(result: Result) -> str:
    check = result.check
    if check is None:
        return "Whether stock adds up was not checked in this run."
    wrong = sum(check.counts.values())
    if wrong:
        first = f" First: {check.breaches[0].sentence}" if check.breaches else ""
        return f"Stock does not add up: {wrong:,} breach{'es' if wrong != 1 else ''}.{first}"
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
