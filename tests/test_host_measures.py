"""The measures of a host: every process in one answer, and no sum that falls when one of them ends."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from livecommerce import host_measures
from livecommerce.gateway.measures import REDIS_CPU, SOCKETS
from livecommerce.host_measures import HostMeasures, measures_of_host, merged

PAGE = """\
# HELP livecommerce_hub_sockets Open sockets of this process
# TYPE livecommerce_hub_sockets gauge
livecommerce_hub_sockets {sockets}
# HELP livecommerce_hub_disconnects_total Closed by us
# TYPE livecommerce_hub_disconnects_total counter
livecommerce_hub_disconnects_total{{code="4001"}} {sockets}
# HELP livecommerce_redis_cpu_seconds CPU
# TYPE livecommerce_redis_cpu_seconds gauge
livecommerce_redis_cpu_seconds {cpu}
"""

Samples = dict[tuple[str, str, str], float]


def samples(text: str) -> Samples:
    """(name, process, code) → value; a page that breaks the format is refused by the parser."""
    return {
        (sample.name, sample.labels.get("process", ""), sample.labels.get("code", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextlib.asynccontextmanager
async def process(data: Path, name: str) -> AsyncIterator[HostMeasures]:
    here = HostMeasures(data, name)
    await here.start()
    try:
        yield here
    finally:
        await here.aclose()


def test_each_sample_names_its_process_and_the_shop_s_own_stand_once() -> None:
    pages = {"web-1": PAGE.format(sockets=3, cpu=1), "web-2": PAGE.format(sockets=4, cpu=2), "worker": ""}
    assert samples(merged(pages, PAGE.format(sockets=3, cpu=9))) == {
        ("livecommerce_hub_sockets", "web-1", ""): 3,
        ("livecommerce_hub_sockets", "web-2", ""): 4,
        ("livecommerce_hub_disconnects_total", "web-1", "4001"): 3,
        ("livecommerce_hub_disconnects_total", "web-2", "4001"): 4,
        ("livecommerce_redis_cpu_seconds", "", ""): 9,
        ("livecommerce_process_answered", "web-1", ""): 1,
        ("livecommerce_process_answered", "web-2", ""): 1,
        ("livecommerce_process_answered", "worker", ""): 0,
    }


async def test_whoever_is_asked_tells_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_measures, "ANSWER_SECONDS_MAX", 60.0)
    SOCKETS.set(7)
    REDIS_CPU.set(5)
    async with process(tmp_path, "web-1"), process(tmp_path, "worker"):
        told = samples((await measures_of_host(tmp_path)).decode())
    assert {name for _, name, _ in told} == {"web-1", "worker", ""}
    assert told["livecommerce_hub_sockets", "worker", ""] == 7
    assert told["livecommerce_redis_cpu_seconds", "", ""] == 5


async def test_two_that_are_called_alike_are_told_apart_and_the_place_is_free_again(tmp_path: Path) -> None:
    async with process(tmp_path, "web-1") as old:
        async with process(tmp_path, "web-1") as new:
            assert (old.name, new.name) == ("web-1", "web-1b")
        async with process(tmp_path, "web-1") as another:
            assert another.name == "web-1b"


async def test_one_that_ended_is_not_asked_and_one_that_stands_still_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_measures, "ANSWER_SECONDS_MAX", 3.0)  # askers and answerers share one loop
    async with process(tmp_path, "web-1"):
        async with process(tmp_path, "web-2"):
            pass  # its lock lies there still
        stopped = HostMeasures(tmp_path, "worker")
        await stopped.start()
        assert stopped._server is not None
        stopped._server.close()
        path = stopped._folder / "worker.sock"
        path.unlink(missing_ok=True)
        silent = await asyncio.start_unix_server(lambda reader, writer: asyncio.sleep(60), path)
        told = samples((await measures_of_host(tmp_path)).decode())
        silent.close()
        await stopped.aclose()
    assert told["livecommerce_process_answered", "web-1", ""] == 1
    assert told["livecommerce_process_answered", "worker", ""] == 0
    assert not any(name == "web-2" for _, name, _ in told)


async def test_where_nobody_shares_it_is_the_page_of_the_one_that_is_asked(tmp_path: Path) -> None:
    told = samples((await measures_of_host(tmp_path)).decode())
    assert {name for _, name, _ in told} == {"web", ""}


async def test_a_deep_folder_gets_a_short_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_measures, "ANSWER_SECONDS_MAX", 60.0)
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    async with process(deep, "web-1") as here:
        assert here._server is not None
        assert len(os.fsencode(here._folder)) < 80
        assert "livecommerce_hub_sockets" in (await measures_of_host(deep)).decode()


async def test_a_folder_that_cannot_be_written_keeps_nobody_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "measures").write_text("in the way")
    # However long the path of this test's folder is: a longer one would lie elsewhere.
    monkeypatch.setattr(host_measures, "_PATH_BYTES_MAX", 4096)
    async with process(tmp_path, "web-1") as here:
        assert here._server is None
