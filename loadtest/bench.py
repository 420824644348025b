"""The run: ours and the comparator in turn, round after round, so that a busy machine is busy for both.

What leaves: the report as text, and the page of benchmarks renewed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest import fanout, memory, reserve
from loadtest.lab import open_lab
from loadtest.machine import load_average, machine
from loadtest.report import Figures, Series, renew, report

PARTS = ("fan-out", "reserve", "memory")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. More makes the spread smaller, nothing else."""

    rounds: int
    fan_out_viewers: tuple[int, ...]
    fan_out_events: int
    reserve_viewers: int
    reserve_each: int
    reserve_bursts: int
    idle_viewers: int


# 22 each and 2 to warm up: 24 live holds are what one viewer may have in one show.
FULL = Plan(3, (1000, 2000), 150, 500, 22, 3, 2000)
QUICK = Plan(1, (200,), 20, 50, 10, 1, 200)

Say = Callable[[str], None]


def run(plan: Plan, rounds: int, parts: Sequence[str], page: Path | None, say: Say) -> str:
    """Measure, and return the report. Raises what fails: figures of a broken server are none."""
    figures = Figures(machine(), time.strftime("%Y-%m-%d"), rounds, load_average())
    for number in range(1, rounds + 1):
        if "fan-out" in parts:
            for viewers in plan.fan_out_viewers:
                say(f"round {number} of {rounds}: fan-out to {viewers} viewers")
                _fan_out(figures, viewers, plan.fan_out_events)
        if "reserve" in parts:
            for sold_out in (False, True):
                say(f"round {number} of {rounds}: reservations{', sold out' if sold_out else ''}")
                _reserve(figures, plan, sold_out)
        if "memory" in parts:
            say(f"round {number} of {rounds}: memory of {plan.idle_viewers} idle viewers")
            _memory(figures, plan.idle_viewers)
    figures.load_after = load_average()
    text = report(figures)
    if page is not None:
        renew(page, text)
    return text


def _fan_out(figures: Figures, viewers: int, events: int) -> None:
    for side, measure in (("ours", fanout.measure_ours), ("comparator", fanout.measure_comparator)):
        with open_lab() as lab:
            found = measure(lab, viewers, events)
        figures.message_bytes = found.frame_bytes
        what = f"A card to {viewers:,} viewers"
        figures.of(Series(what, "frames/s", 0)).add(side, found.frames / found.seconds)
        figures.of(Series(what, "server CPU µs per frame", 2, "less")).add(
            side, found.server_cpu_seconds / found.frames * 1e6
        )


def _reserve(figures: Figures, plan: Plan, sold_out: bool) -> None:
    what = "Sold out: refused" if sold_out else "Reserved"
    unit = "refused/s" if sold_out else "accepted/s"
    for side, measure in (("ours", reserve.measure_ours), ("comparator", reserve.measure_comparator)):
        with open_lab() as lab:
            found = measure(lab, plan.reserve_viewers, plan.reserve_each, plan.reserve_bursts, sold_out=sold_out)
        asked = plan.reserve_viewers * plan.reserve_each * plan.reserve_bursts
        counted = found.refused if sold_out else found.accepted
        assert counted == asked == found.answered, f"{found.accepted} accepted, {found.refused} refused of {asked}"
        latencies = sorted(found.latencies_ns)
        for series, value in (
            (Series(what, unit, 0), asked / found.seconds),
            (Series(what, "server CPU µs each", 1, "less"), found.server_cpu_seconds / asked * 1e6),
            (Series(what, "Valkey CPU µs each", 1, "less"), found.valkey_cpu_seconds / asked * 1e6),
            (Series(what, "p50 ms, send to answer", 1, "less"), latencies[len(latencies) // 2] / 1e6),
            (Series(what, "p99 ms, send to answer", 1, "less"), latencies[len(latencies) * 99 // 100] / 1e6),
        ):
            figures.of(series).add(side, value)


def _memory(figures: Figures, viewers: int) -> None:
    for side, measure in (("ours", memory.measure_ours), ("comparator", memory.measure_comparator)):
        with open_lab() as lab:
            found = measure(lab, viewers)
        what = f"{viewers:,} idle viewers"
        for series, value in (
            (Series(what, "KiB RSS per viewer", 1, "less"), (found.full.rss - found.empty.rss) / viewers),
            (Series(what, "KiB PSS per viewer", 1, "less"), (found.full.pss - found.empty.pss) / viewers),
            (Series(what, "MiB RSS with nobody in", 0, "less"), found.empty.rss / 1024),
        ):
            figures.of(series).add(side, value)
