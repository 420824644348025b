"""The files of a run in its folder: result.json, samples.ndjson, junit.xml, one .hgrm a histogram, report.html.

What arrives: a whole `Result`. What leaves: files, each put in its place whole or not at all.
"""

import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from loadtest.measure.histogram import Histogram
from loadtest.report.html import PAGES, PageMissing, page_of
from loadtest.report.verdict import verdict_of
from loadtest.report.view import view_of
from loadtest.result import Result

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _aloud(words: str) -> None:
    click.echo(words, err=True)


def write_all(result: Result, folder: Path, *, say: Callable[[str], None] = _aloud, pages: Path = PAGES) -> list[Path]:
    """Write everything, and return what was written. Where the page was not built there is no report.html: `say` tells
    how it is made, and all other files are there. Raises `OSError` where the folder cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _put(folder / "result.json", msgspec.json.format(msgspec.json.encode(result), indent=1)),
        _put(folder / "samples.ndjson", msgspec.json.Encoder().encode_lines(result.samples)),
        _put(folder / "junit.xml", junit(result)),
        *(
            _put(folder / f"{name}.hgrm", Histogram.decoded(encoded).hgrm().encode())
            for name, encoded in sorted(result.histograms.items())
        ),
    ]
    try:
        written.append(_put(folder / "report.html", page_of(view_of(result), pages=pages).encode()))
    except PageMissing as missing:
        say(str(missing))
    return written


def read_result(folder: Path) -> Result:
    """The result of an earlier run, from its folder or its result.json. Raises `OSError`, and `ValueError` with words
    where the file is none of ours."""
    path = folder / "result.json" if folder.is_dir() else folder
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is not the result of a load test of this version: {error}") from None


def junit(result: Result) -> bytes:
    """A test case for each threshold, for each kind of breach that the checker looks for, and for the run itself."""
    verdict = verdict_of(result)
    root = ET.Element("testsuites", name=f"loadtest {result.scenario}", time=f"{result.seconds:.3f}")

    run = _suite(root, "run", result)
    _case(run, "the run is complete", [] if result.complete else [" ".join(result.warnings) or verdict.headline])
    _case(run, "the generator was fast enough", [] if result.conclusive else [result.stop.sentence])

    held = _suite(root, "thresholds", result)
    for threshold in result.thresholds:
        _case(held, threshold.text, [] if threshold.ok else [threshold.why or "breached"])

    checked = _suite(root, "stock adds up", result)
    if result.check is None:
        ET.SubElement(_case(checked, "checker", []), "skipped", message="stock was not checked in this run")
    else:
        if not result.check.complete:
            _case(checked, "everything could be read", [result.check.note or "no reason was given"])
        for kind, count in result.check.counts.items():
            breaches = [breach for breach in result.check.breaches if breach.kind == kind]
            stories = ["\n".join((breach.sentence, *breach.history)) for breach in breaches]
            _case(checked, kind, [f"{count} found", *stories] if count else [])

    for suite in root:
        suite.set("tests", str(len(suite.findall("testcase"))))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _suite(root: ET.Element, name: str, result: Result) -> ET.Element:
    return ET.SubElement(root, "testsuite", name=name, timestamp=result.started_at)


def _case(suite: ET.Element, name: str, troubles: list[str]) -> ET.Element:
    case = ET.SubElement(suite, "testcase", classname=f"loadtest.{suite.get('name')}", name=_xml(name))
    if troubles:
        failure = ET.SubElement(case, "failure", message=_xml(troubles[0]))
        failure.text = _xml("\n\n".join(troubles[1:]))
    return case


def _xml(text: str) -> str:
    """What a server said may hold what XML has no place for."""
    return _NOT_IN_XML.sub("�", text)


def _put(path: Path, content: bytes) -> Path:
    """In place whole, or the old one stays: a report that broke off half-way must not look like one."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(content)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
    return path
