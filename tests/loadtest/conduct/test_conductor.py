"""The conductor with generators that a test plays: who comes, who falls silent, what is known of each stretch."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.conduct import conductor as module
from loadtest.conduct.conductor import BrokenOff, Conductor, NotReady
from loadtest.conduct.stage import Stage
from loadtest.conduct.target import ShowHandle
from loadtest.generate.link import GeneratorLink, connect_generator
from loadtest.machine import boot_id
from loadtest.measure.histogram import Histogram
from loadtest.measure.thresholds import parse
from loadtest.orders import Done, Finish, Leave, Prepare, Prepared, Ready, Sampled
from tests.live_server import until

KEY = "sixteen letters."


class Played:
    """A conductor whose generators are the test's own: `join` one, then `gathered`."""

    def __init__(self, folder: Path, key: str = KEY) -> None:
        self.broken: list[str] = []
        self.said: list[str] = []
        self.links: list[GeneratorLink] = []
        self.conductor = Conductor(
            folder, key=key, on_broken=self.broken.append, on_sampled=lambda _: None, say=self.said.append
        )
        self._tasks: list[asyncio.Task[Any]] = []

    async def gather(self, generators: int = 1, *, workers: int = 0, host: str = "127.0.0.1") -> None:
        gathering = asyncio.create_task(self.conductor.gather(workers, generators, host, 0))
        await until(lambda: any("Waiting for" in words for words in self.said))
        address = self.said[-1].split()[-1].rstrip("`.")
        for _ in range(generators):
            place, _, port = address.rpartition(":")
            link = await connect_generator(place, int(port), self.conductor.key)
            self.links.append(link)
            self._tasks.append(asyncio.create_task(self._obey(link)))
            await until(lambda: workers or len(self.conductor.members) == len(self.links))  # the same order in both
        await gathering

    async def _obey(self, link: GeneratorLink) -> None:
        """Ready with everything but to leave; done at the end."""
        async for order in link:
            match order:
                case Prepare():
                    self.prepare = order
                    await link.send(Prepared("portable"))
                case Leave():
                    pass
                case Finish():
                    await link.send(Done())
                case _:
                    await link.send(Ready(order.order_id))  # type: ignore[union-attr]

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self.links:
            await link.aclose()
        await self.conductor.aclose()


@contextlib.asynccontextmanager
async def played(folder: Path, key: str = KEY) -> AsyncIterator[Played]:
    one = Played(folder, key)
    try:
        yield one
    finally:
        await one.aclose()


async def prepared(one: Played) -> None:
    await one.conductor.prepare("http://127.0.0.1:1", "shw", seed=1, patience_seconds=1.0, portable=True)


async def test_a_key_that_somebody_gave_is_not_printed_and_one_of_our_own_is(tmp_path: Path) -> None:
    async with played(tmp_path) as theirs:
        await theirs.gather()
        assert KEY not in theirs.said[0]
    async with played(tmp_path, key="") as ours:
        await ours.gather()
        assert ours.conductor.key in ours.said[0]


async def test_workers_here_join_at_the_address_where_the_others_join(tmp_path: Path) -> None:
    async with played(tmp_path) as one:
        await one.gather(1, workers=1, host="127.0.0.2")

        assert len(one.conductor.members) == 2
        assert one.conductor.elsewhere == []


async def test_who_comes_after_all_have_joined_is_told_that_the_run_is_full(tmp_path: Path) -> None:
    async with played(tmp_path) as one:
        await one.gather()
        port = int(one.said[0].split(":")[-1].rstrip("`."))

        with pytest.raises(OSError):
            await connect_generator("127.0.0.1", port, KEY)


async def test_a_generator_learns_on_which_machine_the_conductor_is(tmp_path: Path) -> None:
    async with played(tmp_path) as one:
        await one.gather()
        await prepared(one)

        assert one.prepare.boot_id == boot_id()


async def test_a_generator_that_says_nothing_for_long_breaks_the_run_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS_MAX", 1.5)
    async with played(tmp_path) as one:
        await one.gather(2)
        await prepared(one)
        silent, speaking = one.conductor.members
        for number in itertools.count():
            if one.broken:
                break
            speaking.heard_at += 0.05
            await one.links[1].send(Sampled(number, {}, {}, {}))
            await asyncio.sleep(0.02)

        assert one.broken == [f"{silent.name} has said nothing for 2 s."]
        assert silent.ended.is_set()  # nothing is waited for any more


async def test_whose_records_came_to_their_end_is_known(tmp_path: Path) -> None:
    async with played(tmp_path) as one:
        await one.gather(2)
        await prepared(one)
        await one.links[0].aclose()
        await until(lambda: bool(one.broken))

        assert not await one.conductor.finish(0.0, None)
        assert one.conductor.ended == (False, True)
        assert "The line to generator" in one.broken[0]


async def test_an_entry_that_is_not_settled_in_time_breaks_nothing_off_and_another_order_does(tmp_path: Path) -> None:
    async with played(tmp_path) as one:
        await one.gather()
        await prepared(one)

        assert not await one.conductor.tried(lambda order_id, index, of: Leave(order_id, "all", 0), 0.05)
        with pytest.raises(NotReady, match="was not ready with an order"):
            await one.conductor.order(lambda order_id, index, of: Leave(order_id, "all", 0), 0.05)
        assert issubclass(NotReady, BrokenOff)


def lag(ms: int) -> dict[str, str]:
    histogram = Histogram()
    histogram.record(ms * 1000)
    return {"loop_lag": histogram.encode()}


async def test_health_is_of_the_stretch_that_is_judged(tmp_path: Path) -> None:
    async with played(tmp_path) as one:
        await one.gather()
        (link,) = one.links
        await link.send(Sampled(1_000_000, {}, {"cpu": 0.9}, lag(80)))
        await link.send(Sampled(2_000_000, {}, {"cpu": 0.2}, lag(3)))
        await until(lambda: len(one.conductor.members[0].seconds) == 2)

        (whole,), (later,) = one.conductor.health(), one.conductor.health(1_000_000)

        assert whole.cpu_share_max == 0.9
        assert whole.loop_lag_p99_us > 70_000
        assert later.cpu_share_max == 0.2
        assert later.loop_lag_p99_us < 4_000
        assert later.cpu_seconds == whole.cpu_seconds


# --- the stage, without a server --------------------------------------------------------------------------------------


class NoTarget:
    """A server that gives passes and nothing else."""

    url = "http://127.0.0.1:1"

    async def passes(self, _show_id: str, count: int, _minutes: int, _prefix: str = "") -> list[Any]:
        return [("v", "t")] * count


def stage_of(one: Played, *thresholds: str, pass_minutes: int = 60) -> Stage:
    stage = Stage(
        one.conductor, NoTarget(), {}, server=None, thresholds=[parse(text) for text in thresholds], asked=(), seed=1,
        patience_seconds=1.0, portable=True, pass_minutes=pass_minutes, say=one.said.append,
        on_phase=lambda _name, _seconds: None,
    )  # type: ignore[arg-type]  # fmt: skip
    stage.handle = ShowHandle("shw", ())
    one.conductor._on_sampled = stage.hear
    return stage


async def test_more_viewers_than_the_generators_descriptors_are_refused_before_any_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.generate.link.descriptors_max", lambda: 300)
    async with played(tmp_path) as one:
        await one.gather(2)
        stage = stage_of(one)

        assert stage.viewers_max == 2 * (300 - 256)
        with pytest.raises(BrokenOff, match="89 viewers are more than the generators may hold: 88"):
            await stage.join(89, 100)


async def test_who_is_neither_in_nor_refused_after_all_tries_counts_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with played(tmp_path) as one:
        await one.gather()
        stage = stage_of(one)
        stage.hear(Sampled(1, {"joins_planned": 10, "joined": 6, "join_failed": 1}, {}, {}))
        monkeypatch.setattr(one.conductor, "tried", _in_vain)

        await stage.join(10, 100)

        counters = one.conductor.tally.totals.counters
        assert (counters["join_failed"], counters["join_failed.unsettled"]) == (3, 3)


async def _in_vain(*_: Any) -> bool:
    return False


async def test_a_load_that_is_longer_than_the_viewers_passes_is_refused(tmp_path: Path) -> None:
    async with played(tmp_path) as one:
        await one.gather()

        with pytest.raises(BrokenOff, match="good for 1 minutes"):
            await stage_of(one, pass_minutes=1).tap(1.0, 61.0, deal_ids=["d"])


async def test_what_a_stretch_should_have_measured_and_did_not_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio, "sleep", _at_once)
    async with played(tmp_path) as one:
        stage = stage_of(one, "state_p99<1s", "state_delivered_share>=99%", "oversold==0", "not_back==0")
        async with stage.window() as window:
            stage.hear(Sampled(0, {"state_received": 50}, {}, {}))  # cards from before, with the snapshots
            window.cards, window.loaded_from_us = 2, 0
            row = one.conductor.close_second({}, {})
            stage.see(type(row)(1, {}, {"in": 10.0}, {}, {}))
            stage.hear(Sampled(1, {"state_received": 19, "joins_planned": 1, "joined": 1}, {}, {}))

        assert window.facts()["state_expected"] == 20
        assert window.facts()["state_delivered_share"] == pytest.approx(0.95)
        # What only the whole run can tell is not asked of a stretch.
        assert stage.broken(window) == ["state_p99<1s", "state_delivered_share>=99%"]


_sleep = asyncio.sleep


async def _at_once(_seconds: float) -> None:
    await _sleep(0)
