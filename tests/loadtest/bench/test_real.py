"""Every benchmark against every side, tiny, with real processes: each frame and each answer is accounted for, or the
measurement fails by itself. No times are judged."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest.bench.commands import bench as bench_command
from loadtest.bench.declared import Amount
from loadtest.bench.film import why_no_film
from loadtest.bench.nchan import why_no_nchan
from loadtest.bench.run import Plan, run
from loadtest.bench.scenarios import BENCHES
from loadtest.bench.servers.floor import why_no_floor
from loadtest.bench.sides import SIDES

TINY: dict[str, Amount] = {
    "fan-out-2000": {"viewers": 5, "cards": 4, "singles": 3},
    "reserve": {"viewers": 3, "each": 3, "bursts": 1},
    "sold-out": {"viewers": 3, "each": 3, "bursts": 1},
    "reserve-ledger-disk": {"viewers": 3, "each": 3, "bursts": 1},
    "reserve-16": {"viewers": 3, "each": 3, "bursts": 1, "together": 2},
    "reserve-paced": {"viewers": 3, "each": 3, "bursts": 1},
    "engine-ledger-16": {"askers": 3, "each": 3, "bursts": 1, "together": 2},
    "engine-shows-1000": {"shows": 3, "askers": 3, "each": 3, "bursts": 1},
    "script-16": {"asked": 40, "held": 10, "deals": 3, "together": 7},
    "chat": {"viewers": 4, "speakers": 2, "milliseconds": 150},
    "idle": {"viewers": 5},
    "cards-and-chat": {"viewers": 5, "lines": 20, "seconds": 1},
    "processes-2": {"processes": 2, "viewers": 5, "seconds": 1},
    "slow-readers": {"viewers": 10, "seconds": 1},
    "coming-back": {"viewers": 6, "seconds": 1},
    "generator": {"viewers": 4, "cards": 3},
    "film-remux": {"seconds": 1},
    "film-remux-rtmp": {"seconds": 1},
    "film-polling": {"viewers": 3, "players": 3, "seconds": 1, "turns": 1},
    "film-hour": {"seconds": 12},
    "film-hour-pressed": {"seconds": 30},
}
MAY_BE_NOTHING = (
    "RSS", "PSS", "kernel",  # by a handful of viewers nothing grows for certain
    "above idle", "µs per request",  # differences: as much as nothing may be left of them
    "% more", "ms off", "steps", "broke", "no players", "for a show", "without a show",
)  # fmt: skip
BY_NAME = {bench.name: bench for bench in BENCHES}


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_run_has_a_figure_for_every_side_that_is_here(name: str) -> None:
    bench = BY_NAME[name]
    if name.startswith("film") and (why := why_no_film()):
        pytest.skip(why)
    missing = [f"{SIDES[key].title}: {why}" for key in bench.sides if (why := SIDES[key].why_missing())]

    figures = run(Plan([(bench, TINY[name])], SIDES, 1), lambda _: None)

    first, *_ = figures.series
    assert set(figures.series[first]) == set(bench.sides) - set(figures.left_out)
    assert {series.unit for series in figures.series} == {unit.name for unit in bench.units}
    positive = [series for series in figures.series if not any(word in series.unit for word in MAY_BE_NOTHING)]
    assert all(value > 0 for series in positive for values in figures.series[series].values() for value in values)
    if missing:
        pytest.skip(f"bench without {'; '.join(missing)}")


def test_the_command_prints_a_table_and_writes_no_page_for_a_part() -> None:
    done = CliRunner().invoke(bench_command, ["--quick", "--scale", "0.02", "--only", "reserve", "--side", "ours"])

    assert done.exit_code == 0, done.output
    assert "| what | unit | livecommerce |" in done.stdout
    assert "round 1, reserve: accepted, 2 sockets: livecommerce" in done.stderr


def test_without_nginx_or_its_module_nchan_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.bench.nchan._nginx", lambda: "/usr/sbin/nginx")
    monkeypatch.setattr("loadtest.bench.nchan._MODULES", ())
    assert why_no_nchan() == "nginx has no nchan module here (Debian: libnginx-mod-nchan)"

    monkeypatch.setattr("loadtest.bench.nchan._nginx", lambda: None)
    assert why_no_nchan() == "there is no nginx here (Debian: nginx-light and libnginx-mod-nchan)"


def test_without_a_compiler_the_floor_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    assert why_no_floor() == "there is no C compiler (cc, gcc, clang) on this machine"
    assert SIDES["redis_benchmark"].why_missing() == "there is no redis-benchmark here (Debian: redis-tools)"
