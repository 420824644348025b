"""What the page is given to draw: the result, and with it what only Python can work out of it.

What arrives: a `Result`, or only the title of a run that is still on. What leaves: JSON that may stand in a page.
"""

import msgspec

from loadtest.measure.histogram import Histogram
from loadtest.report.verdict import Verdict, verdict_of
from loadtest.report.words import ORDINARY, error_words
from loadtest.result import Result


class View(msgspec.Struct, frozen=True):
    """`result` is None while the run is on; then `events` is where its rows come from."""

    title: str
    result: Result | None = None
    verdict: Verdict | None = None
    spectra: dict[str, list[tuple[float, float, int]]] = {}  # name → (percentile 0…100, µs, how many up to there)
    error_words: dict[str, str] = {}
    ordinary: tuple[str, ...] = ()
    events: str = ""


def view_of(result: Result) -> View:
    spectra = {name: Histogram.decoded(encoded).spectrum() for name, encoded in result.histograms.items()}
    return View(
        title=result.scenario,
        result=result,
        verdict=verdict_of(result),
        spectra={name: points for name, points in spectra.items() if points},
        error_words=error_words(),
        ordinary=tuple(sorted(ORDINARY)),
    )


def live_view(title: str, events: str) -> View:
    return View(title=title, error_words=error_words(), ordinary=tuple(sorted(ORDINARY)), events=events)


def in_page(view: View) -> str:
    """As JSON for a `<script type="application/json">`: nothing in it can end the element, whatever a server or a
    viewer said."""
    # Within a JSON string each of these may be written as its number; outside of strings none of them occurs.
    text = msgspec.json.encode(view).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
