"""Parts of a run that no whole run shows: what is judged by which seconds, and seconds that fail."""

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.conduct.options import Options
from loadtest.conduct.run import Outside, _Run
from loadtest.conduct.stage import Window
from loadtest.measure.thresholds import parse
from loadtest.result import SampleRow
from loadtest.scenarios import named


def a_run(folder: Path, *thresholds: str) -> Any:
    said: list[str] = []
    outside = Outside(SimpleNamespace(say=said.append), None)  # type: ignore[arg-type]
    return _Run(named("fanout"), {}, Options(folder), [parse(text) for text in thresholds], 60, outside)


def row(second: int, **counters: int) -> SampleRow:
    return SampleRow(second * 1_000_000, counters, {}, {}, {})


def conductor(*rows: SampleRow) -> Any:
    asked: list[tuple[int, float]] = []

    def health(from_us: int = 0, to_us: float = 0.0) -> tuple[()]:
        asked.append((from_us, to_us))
        return ()

    tally = SimpleNamespace(rows=list(rows), totals=SimpleNamespace(counters={}))
    return SimpleNamespace(tally=tally, health=health, asked=asked)


def stage(*thresholds: str, loaded_from_us: int | None = None, judged: Window | None = None) -> Any:
    return SimpleNamespace(
        thresholds=[parse(text) for text in thresholds], loaded_from_us=loaded_from_us, judged=judged, facts={}
    )


async def test_once_cards_or_taps_go_on_no_second_is_left_out(tmp_path: Path) -> None:
    rows = [row(1, joins_planned=5), row(2, joins_planned=5), row(3, joins_planned=5), row(4)]

    judged, _ = a_run(tmp_path)._judged_stretch(conductor(*rows), stage(loaded_from_us=1_500_000))

    assert judged == rows[1:]


async def test_where_entries_are_judged_no_second_is_left_out_at_all(tmp_path: Path) -> None:
    rows = [row(1, joins_planned=5), row(2)]

    judged, _ = a_run(tmp_path)._judged_stretch(conductor(*rows), stage("join_p99<1s", loaded_from_us=1_500_000))

    assert judged == rows


async def test_a_stretch_is_judged_by_its_own_seconds_and_generators(tmp_path: Path) -> None:
    here = conductor(row(1), row(2), row(3))
    window = Window(1_000_000, rows=[row(2)], to_us=2_500_000)

    judged, _ = a_run(tmp_path)._judged_stretch(here, stage(judged=window))

    assert judged == [row(2)]
    assert here.asked == [(1_000_000, 2_500_000)]


async def test_a_stretch_that_held_does_not_fail_by_what_other_stretches_did(tmp_path: Path) -> None:
    here = conductor(row(1))
    here.tally.totals.counters = {"not_back": 2}
    facts = {"late_send_share": 0.5, "state_delivered_share": 0.1, "oversold": 1.0}

    _, _, judged = a_run(tmp_path)._judged(here, stage(judged=Window(0, to_us=1)), facts)

    assert judged == {"oversold": 1.0, "not_back": 2.0}


async def test_a_run_whose_seconds_fail_breaks_off(tmp_path: Path) -> None:
    one = a_run(tmp_path)

    async def fail() -> None:
        raise ValueError("no such process")

    task = asyncio.create_task(fail())
    task.add_done_callback(one._seconds_ended)
    await asyncio.wait({task})
    await asyncio.sleep(0)

    assert one.broken.done()
    assert "ValueError: no such process" in one.broken.result()


async def test_after_a_hitch_one_long_second_follows_and_not_many_short_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, now, waits = a_run(tmp_path), [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds
        if len(waits) == 4:
            raise asyncio.CancelledError

    async def sample() -> dict[str, float]:
        now[0] += 5.0 if len(waits) == 1 else 0.0  # we stood still
        return {}

    monkeypatch.setattr("loadtest.conduct.run.time.monotonic", lambda: now[0])
    monkeypatch.setattr("loadtest.conduct.run.asyncio.sleep", sleep)
    monkeypatch.setattr(one, "_close_second", lambda *_: None)
    with contextlib.suppress(asyncio.CancelledError):
        await one._seconds(None, None, SimpleNamespace(sample=sample))

    assert waits == [1.0, 0.0, 1.0, 1.0]


async def test_entries_within_a_stretch_are_left_out_of_what_is_said_about_the_generators(tmp_path: Path) -> None:
    here = conductor()
    window = Window(1_000_000, rows=[row(2, joined=9), row(3)], to_us=3_500_000, loaded_from_us=2_000_000)

    judged, _ = a_run(tmp_path)._judged_stretch(here, stage(judged=window))

    assert judged == [row(3)]
    assert here.asked == [(2_000_000, 3_500_000)]
