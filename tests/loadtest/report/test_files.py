"""The files of a run: whole or not there, and each readable by the tools it is meant for."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from loadtest.report.files import junit, read_result, write_all
from loadtest.result import Result, SampleRow
from tests.loadtest.report import sample

EVENING = sample.evening(seconds=5)


def names(paths: list[Path]) -> set[str]:
    return {path.name for path in paths}


def cases(result: Result) -> dict[str, str]:
    """Name → passed, failure or skipped."""
    return {
        case.get("name", ""): case[0].tag if len(case) else "passed"
        for case in ET.fromstring(junit(result)).iter("testcase")
    }


def test_everything_is_written_and_nothing_else_is_left(tmp_path: Path, built: Path) -> None:
    folder = tmp_path / "run" / "deep"

    written = write_all(EVENING, folder, pages=built)

    assert names(written) == {
        "report.html", "result.json", "samples.ndjson", "junit.xml", *(f"{name}.hgrm" for name in EVENING.histograms),
    }  # fmt: skip
    assert names(list(folder.iterdir())) == names(written)


def test_without_a_built_page_all_else_is_written_and_the_words_say_how_to_get_it(tmp_path: Path) -> None:
    said: list[str] = []

    written = write_all(EVENING, tmp_path / "run", say=said.append, pages=tmp_path / "nothing")

    assert "report.html" not in names(written)
    assert {"result.json", "junit.xml", "samples.ndjson"} <= names(written)
    assert len(said) == 1
    assert "make web" in said[0]


def test_the_result_is_read_back_as_it_was(tmp_path: Path, built: Path) -> None:
    write_all(EVENING, tmp_path, pages=built)

    assert read_result(tmp_path) == read_result(tmp_path / "result.json") == EVENING


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1]"])
def test_a_file_that_is_no_result_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)

    with pytest.raises(ValueError, match=r"result\.json is not the result"):
        read_result(tmp_path)


def test_every_line_of_the_samples_is_a_second(tmp_path: Path, built: Path) -> None:
    write_all(EVENING, tmp_path, pages=built)

    lines = (tmp_path / "samples.ndjson").read_bytes().splitlines()

    assert tuple(msgspec.json.decode(line, type=SampleRow) for line in lines) == EVENING.samples
    assert json.loads(lines[0])["until_us"] == 1_000_000


def test_the_histograms_text_ends_with_their_count(tmp_path: Path, built: Path) -> None:
    write_all(EVENING, tmp_path, pages=built)

    text = (tmp_path / "join.hgrm").read_text()

    assert text.split()[:4] == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    assert f"{EVENING.latencies['join'].count}.000]" in text


def test_each_threshold_and_each_kind_of_breach_is_a_test_case() -> None:
    evening = sample.evening()
    found = cases(evening)

    assert {threshold.text for threshold in evening.thresholds} <= set(found)
    assert set(sample.KINDS) <= set(found)
    assert set(found.values()) == {"passed"}


def test_breaches_fail_with_their_words_and_their_history() -> None:
    wrong, breached = sample.wrong_stock(), sample.breached()

    assert [name for name, state in cases(wrong).items() if state == "failure"] == ["oversold", "unanswered"]
    assert cases(breached)["state_p99<20ms"] == "failure"
    [failure] = ET.fromstring(junit(wrong)).findall(".//testcase[@name='oversold']/failure")
    assert failure.get("message") == "2 found"
    assert failure.text is not None
    assert "promised 402 times" in failure.text
    assert "ticket 401" in failure.text


def test_a_run_that_broke_off_or_concluded_nothing_fails_and_what_was_not_checked_is_skipped() -> None:
    broken, slow = cases(sample.broken_off()), cases(sample.inconclusive())

    assert broken["the run is complete"] == "failure"
    assert broken["checker"] == "skipped"
    assert slow["the generator was fast enough"] == "failure"


def test_the_suites_count_their_cases() -> None:
    for suite in ET.fromstring(junit(sample.wrong_stock())):
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))


def test_what_xml_has_no_place_for_does_not_break_the_file() -> None:
    odd = msgspec.structs.replace(EVENING, complete=False, warnings=("bell \x07, zero \x00, \ufffe",))

    assert cases(odd)["the run is complete"] == "failure"
