"""One tiny run of everything on real servers: every frame and every answer is accounted for. No times are judged."""

from loadtest.bench import PARTS, Plan, run

TINY = Plan(
    rounds=1, fan_out_viewers=(5,), fan_out_events=4, reserve_viewers=4, reserve_each=3, reserve_bursts=1,
    idle_viewers=5,
)  # fmt: skip


def test_a_tiny_bench_measures_both_servers_and_loses_nothing() -> None:
    said: list[str] = []

    text = run(TINY, 1, PARTS, None, said.append)

    rows = [row for row in text.splitlines() if row.startswith("| ")]
    assert len(rows) == 2 * len(TINY.fan_out_viewers) + 5 + 5 + 3 + 1
    assert all("–" not in row.split("|")[3:5] for row in rows)
    assert len(said) == 4
