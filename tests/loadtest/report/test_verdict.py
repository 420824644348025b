"""The verdict: the worst that can be said wins, in words and in the exit code."""

import msgspec
import pytest

from loadtest.report.verdict import verdict_of
from loadtest.result import CheckResult, Result, ThresholdVerdict
from tests.loadtest.report import sample

EVENING = sample.evening(seconds=3)
BREACHED = (ThresholdVerdict("state_p99<1ms", 9.0, False, "9 ms measured, under 1 ms wanted"),)
WRONG = CheckResult({"answers": 3}, {"oversold": 1}, (), True)
LATE = CheckResult({"answers": 3}, {"oversold": 0, "late_answers": 2}, (), True)
HALF_RECORDED = CheckResult({"answers": 3}, {"oversold": 1}, (), False, "the records of 1 of 2 generators break off")
UNREAD = CheckResult({}, {"oversold": 0}, (), False, "the books could not be fetched")


def result(**changes: object) -> Result:
    return msgspec.structs.replace(EVENING, **{"thresholds": (), **changes})


@pytest.mark.parametrize(
    ("found", "word", "exit_code"),
    [
        (result(), "passed", 0),
        (result(thresholds=BREACHED), "breached", 99),
        (result(thresholds=BREACHED, conclusive=False), "inconclusive", 97),
        (result(check=UNREAD), "inconclusive", 97),
        (result(thresholds=BREACHED, conclusive=False, complete=False), "broken_off", 1),
        (result(thresholds=BREACHED, conclusive=False, complete=False, check=WRONG), "wrong_stock", 98),
        (result(conclusive=False, complete=False, check=HALF_RECORDED), "broken_off", 1),
        (result(check=HALF_RECORDED), "wrong_stock", 98),
        (result(check=LATE), "breached", 99),
        (result(check=LATE, conclusive=False), "inconclusive", 97),
    ],
)
def test_the_worst_wins(found: Result, word: str, exit_code: int) -> None:
    verdict = verdict_of(found)

    assert (verdict.word, verdict.exit_code) == (word, exit_code)


def test_what_the_headline_says_is_explained_first() -> None:
    assert verdict_of(sample.wrong_stock()).sentences[0].startswith("Stock does not add up: 3 breaches. First: velvet")
    assert verdict_of(sample.breached()).sentences[0].startswith("3 of 5 thresholds breached, first state_p99<20ms:")
    assert verdict_of(sample.broken_off()).sentences[0].startswith("It ended after 48 s, before its time")
    assert "too slow" in verdict_of(sample.inconclusive()).sentences[0]
    assert "the books could not be fetched" in verdict_of(result(check=UNREAD)).sentences[0]


def test_every_verdict_speaks_of_thresholds_stock_and_what_held_it_back() -> None:
    for found in (sample.evening(seconds=3), sample.wrong_stock(), sample.broken_off(), sample.fan_out_only()):
        words = " ".join(verdict_of(found).sentences).lower()
        assert "threshold" in words
        assert "stock" in words
        assert found.stop.sentence.lower() in words


def test_a_run_of_which_nothing_was_asked_passed_nothing() -> None:
    verdict = verdict_of(sample.fan_out_only())

    assert (verdict.headline, verdict.exit_code) == ("Ran to its end", 0)


def test_answers_that_came_late_are_told_as_late_and_the_stock_as_right() -> None:
    verdict = verdict_of(result(check=LATE))
    sentences = verdict.sentences

    assert verdict.headline == "Answers came too late"
    assert sentences[0].startswith("The thresholds held, but 2 answers came later")
    assert "Stock adds up" in sentences[1]
