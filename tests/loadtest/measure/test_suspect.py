"""What stopped a run, and whether its figures count: a table of seconds made by hand."""

from collections.abc import Sequence

import msgspec
import pytest

from loadtest.measure.suspect import RULES, is_conclusive, suspect
from loadtest.result import GeneratorHealth, Percentiles, SampleRow

CALM = {"web_cpu_max": 0.2, "web_cpu": 0.2, "redis_cpu": 0.1, "worker_cpu": 0.05, "loop_lag_ms": 1.0}


def slow(milliseconds: float, count: int = 100) -> Percentiles:
    value = milliseconds * 1000
    return Percentiles(count, value, value, value, value, value, value)


def row(
    second: int,
    server: dict[str, float] | None = None,
    *,
    cpu: float = 0.3,
    counters: dict[str, int] | None = None,
    latencies: dict[str, Percentiles] | None = None,
) -> SampleRow:
    return SampleRow(
        second * 1_000_000, counters or {}, {"cpu": cpu}, latencies or {}, CALM if server is None else CALM | server
    )


def seconds(count: int, server: dict[str, float] | None = None, **also: object) -> list[SampleRow]:
    return [row(second, server, **also) for second in range(1, count + 1)]  # type: ignore[arg-type]


def generator(lag_ms: float = 2.0, cpu: float = 0.3) -> GeneratorHealth:
    return GeneratorHealth("here", 7, "native", 0.0, 0.0, cpu, 1.0, lag_ms * 1000, 0, 100, 50, 20_000)


@pytest.mark.parametrize(
    ("part", "rows"),
    [
        ("nothing", seconds(10)),
        ("server", seconds(10, {"web_cpu_max": 0.93})),
        ("redis", seconds(10, {"redis_cpu": 0.95})),
        ("worker", seconds(10, {"worker_cpu": 0.9})),
        ("server", seconds(10, {"web_wait_max": 0.5})),
        ("server", seconds(10, {"loop_lag_ms": 150.0})),
        ("generator", seconds(10, cpu=0.97)),
        ("generator", seconds(10, counters={"join_failed.descriptors": 1})),
        ("generator", seconds(10, counters={"join_failed.ports": 1})),
        ("ledger", seconds(10, latencies={"checkout": slow(2500), "reserve": slow(20)})),
        ("redis", seconds(10, latencies={"reserve": slow(900), "state": slow(30)})),
        ("network", seconds(10, latencies={"state": slow(1500)})),
        ("network", seconds(10, latencies={"catch_up": slow(1500)})),
    ],
)
def test_names_the_part_that_was_at_its_limit(part: str, rows: Sequence[SampleRow]) -> None:
    stop = suspect(rows)

    assert stop.part == part
    assert stop.sentence
    assert bool(stop.evidence) == (part != "nothing")


def test_every_rule_of_the_table_can_speak() -> None:
    spoken = {
        suspect(rows).sentence
        for rows in (
            seconds(3, {"web_cpu_max": 0.93}), seconds(3, {"redis_cpu": 0.95}), seconds(3, {"worker_cpu": 0.9}),
            seconds(3, {"web_wait_max": 0.5}), seconds(3, {"loop_lag_ms": 150.0}), seconds(3, cpu=0.97),
            seconds(1, counters={"join_failed.memory": 1}), seconds(3, latencies={"state": slow(1500)}),
            seconds(3, latencies={"checkout": slow(2500)}), seconds(3, latencies={"reserve": slow(900)}),
        )
    }  # fmt: skip

    assert spoken == {rule.sentence for rule in RULES}


def test_a_burst_of_two_seconds_stops_nobody() -> None:
    rows = [row(1), row(2, {"web_cpu_max": 1.0}), row(3, {"web_cpu_max": 1.0}), row(4), row(5, {"web_cpu_max": 1.0})]

    assert suspect(rows).part == "nothing"


def test_one_viewer_kept_out_by_our_own_limit_is_enough() -> None:
    assert suspect([row(1), row(2, counters={"join_failed.descriptors": 1}), row(3)]).part == "generator"


def test_of_two_busy_parts_the_one_that_was_busy_longer_comes_first_and_the_other_is_evidence() -> None:
    rows = [
        *seconds(4, {"web_cpu_max": 0.95, "redis_cpu": 0.95}),
        *(row(second, {"web_cpu_max": 0.95}) for second in (5, 6, 7)),
    ]

    stop = suspect(rows)

    assert stop.part == "server"
    assert [each.partition(":")[0] for each in stop.evidence] == ["server", "redis"]
    assert stop.evidence[0].endswith("(7 of 7 s)")
    assert stop.evidence[1].endswith("(4 of 7 s)")


def test_the_generator_comes_before_a_server_that_was_busy_too() -> None:
    stop = suspect(seconds(10, {"web_cpu_max": 1.0}), [generator(lag_ms=80)])

    assert stop.part == "generator"
    assert "80 ms" in stop.evidence[0]
    assert any(each.startswith("server:") for each in stop.evidence)


def test_nobody_blames_the_network_of_one_machine() -> None:
    rows = seconds(10, latencies={"state": slow(1500)})

    assert suspect(rows).part == "network"
    assert suspect(rows, this_machine=True).part == "nothing"


def test_slow_deliveries_of_a_busy_server_are_not_the_network_s_fault() -> None:
    assert suspect(seconds(10, {"web_cpu_max": 0.85}, latencies={"state": slow(1500)})).part == "nothing"


def test_where_nothing_is_known_of_the_server_the_sentence_says_so() -> None:
    rows = [SampleRow(1, {}, {"cpu": 0.1}, {"state": slow(1500)}, {})]

    stop = suspect(rows)

    assert stop.part == "nothing"
    assert "nothing is known" in stop.sentence
    assert suspect([]).part == "nothing"


@pytest.mark.parametrize(
    ("rows", "generators", "word"),
    [
        (seconds(10), [generator(lag_ms=26)], "26 ms late"),
        (seconds(10, cpu=0.96), [generator()], "96% of its core"),
        (seconds(4, counters={"late_sends": 2}, latencies={"late": slow(50, 100)}), [], "8 of 400 sends were late"),
        (seconds(4, counters={"late_sends": 2}), [], "8 of 8 sends were late"),
        (seconds(1, counters={"join_failed.ports": 3}), [], "3 viewers could not come in"),
    ],
)
def test_a_generator_over_its_bounds_makes_a_run_inconclusive(
    rows: Sequence[SampleRow], generators: Sequence[GeneratorHealth], word: str
) -> None:
    conclusive, reasons = is_conclusive(generators, rows)

    assert not conclusive
    assert word in reasons[0]
    assert suspect(rows, generators).part == "generator"


@pytest.mark.parametrize(
    ("rows", "generators"),
    [
        ([], []),
        (seconds(10), [generator(lag_ms=25)]),
        (seconds(10, cpu=0.95), [generator()]),
        (seconds(2, cpu=1.0), [generator(cpu=1.0)]),
        (seconds(4, counters={"late_sends": 1}, latencies={"late": slow(5, 100)}), [generator()]),
        (seconds(4, counters={"join_failed": 5, "join_failed.http_503": 5}), [generator()]),
    ],
)
def test_at_its_bounds_a_run_is_conclusive(rows: Sequence[SampleRow], generators: Sequence[GeneratorHealth]) -> None:
    assert is_conclusive(generators, rows) == (True, [])


# --- loads that were not the planned ones -----------------------------------------------------------------------------


def tapping(outstanding: float, **counters: int) -> list[SampleRow]:
    counted = {"taps_planned": 100, "taps_sent": 100 - counters.get("taps_skipped", 0), **counters}
    return [SampleRow(second * 1_000_000, counted, {"cpu": 0.3, "in": 50.0, "outstanding": outstanding}, {}, CALM)
            for second in range(1, 4)]  # fmt: skip


def test_taps_that_nobody_was_free_to_send_make_a_run_inconclusive() -> None:
    conclusive, reasons = is_conclusive([], tapping(3.0, taps_skipped=5))

    assert not conclusive
    assert "crowd was too small" in reasons[0]
    assert "5.0%" in reasons[0]


@pytest.mark.parametrize(
    "rows",
    [
        tapping(3.0, taps_skipped=1),  # at the bound
        tapping(25.0, taps_skipped=5),  # half of the room waited for an answer
        tapping(3.0, taps_skipped=5, skipped_by_server=5),
    ],
)
def test_taps_that_waited_for_the_server_say_something_about_the_server(rows: Sequence[SampleRow]) -> None:
    assert is_conclusive([], rows) == (True, [])


def test_who_could_not_come_in_for_want_of_ports_is_missing_from_every_later_second() -> None:
    entries = seconds(2, counters={"join_failed.ports": 3, "joins_planned": 10})
    judged = [row(second) for second in (3, 4, 5)]

    assert is_conclusive([], judged) == (True, [])
    assert not is_conclusive([], judged, [*entries, *judged])[0]


def test_three_rows_that_came_in_a_burst_are_no_three_seconds() -> None:
    calm = [row(second) for second in (1, 2, 3)]
    burst = [msgspec.structs.replace(row(1, {"web_cpu_max": 1.0}), until_us=3_000_000 + at) for at in (10, 20, 30)]
    long = msgspec.structs.replace(row(1, {"web_cpu_max": 1.0}), until_us=6_100_000)

    assert suspect([*calm, *burst]).part == "nothing"
    assert suspect([*calm, long]).part == "server"
