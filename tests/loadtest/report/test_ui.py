"""The live page: fed while the run is on, whole at its end, for this machine alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from loadtest.report.ui import LivePage
from loadtest.report.view import View
from loadtest.result import SampleRow
from tests.loadtest.report import sample

EVENING = sample.evening(seconds=5)


@pytest.fixture
async def live(built: Path) -> AsyncIterator[LivePage]:
    page = LivePage(title="show", pages=built)
    yield page
    await page.aclose()


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str]]:
    kind = ""
    async for line in lines:
        name, _, text = line.partition(": ")
        if name == "event":
            kind = text
        elif name == "data":
            yield kind, text


async def test_a_browser_that_comes_late_gets_all_rows_then_each_new_one_then_the_result(live: LivePage) -> None:
    url = await live.start()
    for row in EVENING.samples[:3]:
        live.sample(row)

    async with httpx.AsyncClient() as client, client.stream("GET", f"{url}events") as answer:
        told = events(answer.aiter_lines())
        kind, text = await anext(told)
        assert kind == "rows"
        assert msgspec.json.decode(text, type=tuple[SampleRow, ...]) == EVENING.samples[:3]

        live.sample(EVENING.samples[3])
        _, text = await anext(told)
        assert msgspec.json.decode(text, type=tuple[SampleRow, ...]) == EVENING.samples[3:4]

        live.finish(EVENING)
        kind, text = await anext(told)
        assert kind == "result"
        assert msgspec.json.decode(text, type=View).result == EVENING
        assert [one async for one in told] == []


async def test_the_page_waits_for_rows_and_after_the_end_has_the_result(live: LivePage) -> None:
    url = await live.start()
    async with httpx.AsyncClient() as client:
        before = (await client.get(url)).text
        live.finish(EVENING)
        after = (await client.get(url)).text

    assert '"events":"/events"' in before
    assert '"result":null' in before
    assert '"result":{' in after


async def test_it_listens_on_this_machine_alone_and_to_no_other_name(live: LivePage) -> None:
    url = await live.start()
    async with httpx.AsyncClient() as client:
        answer = await client.get(url, headers={"Host": "elsewhere.example"})

    assert url.startswith("http://127.0.0.1:")
    assert answer.status_code == 400


async def test_where_the_page_was_not_built_it_says_so(tmp_path: Path) -> None:
    page = LivePage(pages=tmp_path)
    url = await page.start()
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
    await page.aclose()

    assert answer.status_code == 503
    assert "make web" in answer.text


async def test_a_port_that_is_taken_is_told_at_once(live: LivePage, built: Path) -> None:
    url = await live.start()
    other = LivePage(int(url.rstrip("/").rpartition(":")[2]), pages=built)

    with pytest.raises(OSError):
        await other.start()
    await other.aclose()


async def test_closing_ends_the_streams_and_may_be_done_twice(live: LivePage) -> None:
    url = await live.start()
    async with httpx.AsyncClient() as client, client.stream("GET", f"{url}events") as answer:
        live.sample(EVENING.samples[0])
        lines = answer.aiter_lines()
        await anext(lines)
        await asyncio.gather(live.aclose(), live.aclose())
        rest = [line async for line in lines]

    assert not [line for line in rest if line.startswith("event: result")]
