"""What the server uses while it is tested, read from /proc or from /metrics of a real one with two web processes."""

import os
from collections.abc import Iterator

import httpx
import pytest

from loadtest.conduct.own_server import OwnServer
from loadtest.measure.probe import Probe
from loadtest.measure.scrape import Scrape, page_of
from tests.loadtest.conduct.support import running

TOKEN = "m" * 40
FROM_METRICS = {"web_cpu_max", "web_rss_mib", "redis_cpu", "redis_rss_mib", "sockets", "web_processes", "loop_lag_ms"}
FROM_PROCESSES = {
    "web_cpu", "web_cpu_max", "web_wait_max", "web_rss_mib", "web_processes", "worker_cpu", "redis_cpu",
    "redis_rss_mib",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with running(processes=2, METRICS_TOKEN=TOKEN) as server:
        yield server


async def test_of_our_own_server_every_part_is_known(server: OwnServer) -> None:
    async with await Probe.of(server.url, TOKEN, server.pids) as probe:
        found = await probe.sample()
        while "sockets" not in found:  # on a busy machine a process may be late with its own part
            found = await probe.sample()

        assert found.keys() >= FROM_PROCESSES
        assert found["web_processes"] == 2
        assert found["web_cpu"] >= found["web_cpu_max"] >= 0
        assert found["web_rss_mib"] > 20
        assert probe.source == "processes"
        assert probe.note == ""


async def test_a_server_on_this_machine_is_found_behind_its_port(server: OwnServer) -> None:
    async with await Probe.of(server.url) as probe:
        found = await probe.sample()
        while "did not answer" in probe.note:  # on a busy machine it may be late
            found = await probe.sample()

        assert probe.source == "processes"
        assert found.keys() == FROM_PROCESSES
        assert found["web_processes"] == 2
        assert "METRICS_TOKEN" in probe.note


async def test_what_the_processes_do_adds_up_from_the_first_look_on(server: OwnServer) -> None:
    async with await Probe.of(server.url, TOKEN, server.pids) as probe, httpx.AsyncClient() as client:
        assert probe.totals() == {"web": 0.0, "worker": 0.0, "redis": 0.0}
        for _ in range(20):
            await client.get(f"{server.url}/api/shop")
        await probe.sample()
        first = probe.totals()["web"]
        for _ in range(20):
            await client.get(f"{server.url}/api/shop")
        await probe.sample()

        assert 0 < first < probe.totals()["web"]


async def test_a_process_that_came_later_counts_with_all_it_did() -> None:
    pids: dict[str, list[int]] = {"web": [], "worker": [], "redis": []}
    async with await Probe.of("http://127.0.0.1:1", pids=lambda: pids) as probe:
        assert "web_cpu" not in await probe.sample()
        pids["web"] = [os.getpid()]

        found = await probe.sample()

        assert found["web_cpu"] == found["web_cpu_max"] > 0
        pids["web"] = []
        assert (await probe.sample())["web_cpu"] == 0.0


async def test_from_elsewhere_metrics_tell_of_every_web_process_and_of_redis(server: OwnServer) -> None:
    async with Probe(None, Scrape(server.url, TOKEN, True)) as probe:
        await probe._scrape.begin()
        for _ in range(600):  # chance brings its lines to both processes, and Redis may be late for a page
            found = await probe.sample()
            if found.keys() >= FROM_METRICS:
                break

        assert found.keys() >= FROM_METRICS
        assert found["web_processes"] == 2
        assert found["web_cpu"] >= found["web_cpu_max"]
        assert found["loop_lag_ms_max"] >= found["loop_lag_ms"] >= 0
        assert "worker_cpu" not in found
        assert probe.source == "metrics"
        assert "worker" in probe.note
        assert probe.totals()["redis"] >= 0


async def test_without_its_token_nothing_is_known_and_the_note_says_what_to_give(server: OwnServer) -> None:
    async with Probe(None, Scrape(server.url, "", True)) as probe:
        assert await probe.sample() == {}
        while "did not answer" in probe.note:
            assert await probe.sample() == {}
        assert probe.source == "nothing"
        assert "--metrics-token" in probe.note
        assert probe.totals() == {}


async def test_a_server_that_is_away_makes_no_noise() -> None:
    async with await Probe.of("http://127.0.0.1:1") as probe:
        assert await probe.sample() == {}
        assert probe.source == "nothing"
        assert "did not answer" in probe.note


PAGE = """\
# TYPE process_cpu_seconds counter
process_cpu_seconds_total 2.5
# TYPE livecommerce_process_id gauge
livecommerce_process_id 41.0
# TYPE process_start_time_seconds gauge
process_start_time_seconds 7.0
# TYPE livecommerce_redis_cpu_seconds gauge
livecommerce_redis_cpu_seconds NaN
# TYPE livecommerce_hub_loop_lag_seconds histogram
livecommerce_hub_loop_lag_seconds_bucket{le="0.001"} 3.0
livecommerce_hub_loop_lag_seconds_bucket{le="+Inf"} 4.0
livecommerce_hub_loop_lag_seconds_count 4.0
livecommerce_hub_loop_lag_seconds_sum 9.0
"""


def test_a_part_that_was_away_when_the_page_was_written_is_left_out() -> None:
    page = page_of(PAGE, 0.0)

    assert page.identity == (41.0, 7.0)
    assert page.values["process_cpu_seconds_total"] == 2.5
    assert "livecommerce_redis_cpu_seconds" not in page.values
    assert page.lag_buckets == {0.001: 3.0, float("inf"): 4.0}
    assert page.processes == 1
