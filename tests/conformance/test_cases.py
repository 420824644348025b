"""Every case of the table is seen as the table says, on both event loops; and the page says what was seen."""

import asyncio
from pathlib import Path

import pytest
import uvloop
from redis.asyncio import Redis

from livecommerce.settings import Settings
from tests.conformance.cases import Case, cases
from tests.conformance.page import row_of
from tests.conformance.run import run
from tests.gateway.live import live

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
TABLE = list(cases())


async def _run_all(mine: list[Case], redis: Redis, settings: Settings) -> None:
    # Cases of one category share a server, so that what one breaks the next would notice.
    async with live(redis, settings) as one:
        differ = {}
        for case in mine:
            seen = await run(case, one)
            if seen != case.expect:
                differ[case.name] = (case.expect, seen)
        assert not differ


@pytest.mark.parametrize("category", sorted({case.category for case in TABLE}))
async def test_the_server_keeps_the_standard(redis: Redis, settings: Settings, category: str) -> None:
    await _run_all([case for case in TABLE if case.category == category], redis, settings)


@pytest.mark.long
@pytest.mark.parametrize("category", sorted({case.category for case in TABLE}))
def test_the_server_keeps_the_standard_on_uvloop(valkey_socket: str, settings: Settings, category: str) -> None:
    async def run_all() -> None:
        redis = Redis(unix_socket_path=valkey_socket)
        await redis.flushall()
        await _run_all([case for case in TABLE if case.category == category], redis, settings)
        await redis.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_all())


def test_the_page_has_a_row_for_each_case_and_no_other() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| case")]
    assert rows == [row_of(case, case.expect) for case in TABLE]
