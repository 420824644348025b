"""The load test's report, opened from a disk as its reader opens it: no network, no complaint, no barrier."""

import re
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, expect

from loadtest.report.files import write_all
from loadtest.report.html import PAGES
from loadtest.report.ui import LivePage
from loadtest.result import Result
from tests.browser.conftest import DESK, PHONE
from tests.loadtest.report import sample

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not (PAGES / "report.html").exists(), reason="the report's page was not built (make web)"),
]

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .map(one => `${one.id}: ${one.nodes.map(node => node.target.join(' ') + ' — ' +
        [...node.any, ...node.all].map(check => check.message).join('; ')).slice(0, 6).join(' | ')}`)"""


Report = Callable[[Callable[[], Result]], str]


class Reader:
    """Opens reports, and keeps what the browser complained of and what it asked the network for."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self._contexts: list[Any] = []

    async def open(self, url: str, **look: Any) -> Page:
        context = await self._browser.new_context(**{"viewport": DESK, **look})
        self._contexts.append(context)
        page = await context.new_page()
        page.on("console", lambda said: self.troubles.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", self._requested)
        await page.goto(url)
        return page

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.asked.append(request.url)

    async def aclose(self) -> None:
        for context in self._contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def reader(browser: Browser) -> AsyncIterator[Reader]:
    reader = Reader(browser)
    yield reader
    await reader.aclose()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Where the report of such a result lies; each is written once, which takes a second."""

    @cache
    def written(of: Callable[[], Result]) -> str:
        folder = tmp_path_factory.mktemp("report")
        write_all(of(), folder)
        return (folder / "report.html").as_uri()

    return written


async def fits(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize(
    ("result", "headline"),
    [
        (sample.evening, "Passed"),
        (sample.breached, "3 thresholds were breached"),
        (sample.wrong_stock, "Stock does not add up"),
        (sample.inconclusive, "No conclusion"),
        (sample.broken_off, "The run broke off"),
        (sample.fan_out_only, "Ran to its end"),
    ],
)
async def test_each_verdict_stands_at_the_top_and_nothing_is_asked_of_the_network(
    reader: Reader, report: Report, result: Any, headline: str
) -> None:
    page = await reader.open(report(result))

    await expect(page.get_by_role("heading", level=1)).to_have_text(headline)
    await expect(page).to_have_title(re.compile(re.escape(headline)))
    assert (reader.troubles, reader.asked) == ([], [])


async def test_the_report_has_its_plots_and_each_has_its_table(reader: Reader, report: Report) -> None:
    page = await reader.open(report(sample.evening))

    for title in (
        "Latency spectrum", "Card to screen, over time", "Chat to screen, over time", "Frames delivered",
        "Viewers in the room", "velvet-lip-104", "Worth a look", "Part of the trade", "Server", "Generators",
    ):  # fmt: skip
        figure = page.locator("figure", has=page.get_by_role("heading", name=title, exact=True))
        await expect(figure.locator("path").first).to_be_visible()
        assert "NaN" not in await figure.locator("svg").inner_html()
        await figure.get_by_text("As a table").click()
        await expect(figure.locator("tbody tr").nth(5)).to_be_visible()


async def test_the_checker_tells_every_kind_and_the_first_counter_example_as_text(
    reader: Reader, report: Report
) -> None:
    page = await reader.open(report(sample.wrong_stock))
    check = page.locator("#check")

    assert await check.locator("tbody tr").count() == len(sample.KINDS)
    await expect(check.get_by_role("row", name=re.compile("lost_holds"))).to_contain_text("0")
    await expect(check.locator(".history").first).to_contain_text("ticket 402 </script><script>alert(1)</script>")


async def test_where_nothing_was_measured_the_report_says_so(reader: Reader, report: Report) -> None:
    page = await reader.open(report(sample.fan_out_only))

    for words in ("No deal in this run", "Not checked", "No threshold was set", "Nothing was refused, nothing failed"):
        await expect(page.get_by_role("heading", name=words)).to_be_visible()


async def test_a_series_can_be_put_away_and_a_moment_can_be_read(reader: Reader, report: Report) -> None:
    page = await reader.open(report(sample.evening))
    figure = page.locator("figure", has=page.get_by_role("heading", name="Frames delivered", exact=True))
    lines = figure.locator(".plot-line")
    await expect(lines).to_have_count(2)

    await figure.get_by_role("button", name="talk frames").click()
    await expect(lines).to_have_count(1)
    await figure.locator("svg").hover(position={"x": 300, "y": 100})
    await expect(figure.locator(".readout")).to_contain_text("state frames")
    await expect(figure.locator(".readout")).not_to_contain_text("talk frames")


@pytest.mark.parametrize(
    ("result", "scheme", "viewport"),
    [
        (sample.wrong_stock, "light", DESK),
        (sample.breached, "dark", DESK),
        (sample.inconclusive, "light", PHONE),
        (sample.wrong_stock, "dark", PHONE),
        (sample.fan_out_only, "dark", PHONE),
    ],
)
async def test_the_report_has_no_barriers_and_fits(
    reader: Reader, report: Report, result: Any, scheme: str, viewport: Any
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (make web)")
    page = await reader.open(
        report(result), viewport=viewport, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
    )
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    # One table behind a plot stands for all of them: they are of one kind, and axe takes a second for each.
    await page.get_by_text("As a table").first.click()
    await page.get_by_text("All latencies").click()
    assert await fits(page)
    await page.add_script_tag(content=AXE.read_text())
    assert await page.evaluate(RUN) == []


async def test_on_paper_nothing_is_cut_off(reader: Reader, report: Report) -> None:
    page = await reader.open(report(sample.evening), viewport={"width": 794, "height": 1123})
    await page.emulate_media(media="print")

    assert await fits(page)
    assert len(await page.pdf(format="A4")) > 50_000


async def test_the_live_page_draws_what_comes_and_ends_as_the_report(reader: Reader) -> None:
    evening = sample.evening()
    live = LivePage(title="show")
    url = await live.start()
    try:
        page = await reader.open(url)
        await expect(page.get_by_role("heading", level=1)).to_have_text("About to begin")
        for row in evening.samples[:70]:
            live.sample(row)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Running, 1:10")
        await expect(page.locator(".key-figures")).to_contain_text("10,000")
        await expect(page.get_by_role("heading", name="velvet-lip-104")).to_be_visible()
        live.finish(evening)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Passed")
        await expect(page.get_by_role("heading", name="Latency spectrum")).to_be_visible()
    finally:
        await live.aclose()

    assert reader.troubles == []
    assert all(asked.startswith(url) for asked in reader.asked)
