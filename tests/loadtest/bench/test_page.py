"""The arithmetic of the page, and the page it is written into."""

from pathlib import Path

import pytest

from loadtest.bench.page import BEGIN, END, Figures, Series, ratio, renew, report, shown, times_better

SPEED = Series("Fan-out", "1,000 viewers", "frames/s", 0)
COST = Series("Fan-out", "1,000 viewers", "µs", 1, "less")
TITLES = {"ours": "livecommerce", "plain": "Starlette route", "floor": "C loop"}


def _figures() -> Figures:
    return Figures(["a machine"], "2026-01-02", TITLES, 0.5, 1, 0.7, 3.0)


def test_more_is_better_by_the_ratio_of_the_medians() -> None:
    assert times_better(SPEED, [100.0, 300.0, 900.0], [50.0, 100.0, 150.0]) == 3.0


def test_less_is_better_the_other_way_round() -> None:
    assert times_better(COST, [4.0], [12.0]) == 3.0


@pytest.mark.parametrize(("ours", "other"), [([], []), ([1.0], []), ([], [1.0]), ([0.0], [5.0])])
def test_nothing_is_said_where_a_side_is_missing_or_zero(ours: list[float], other: list[float]) -> None:
    assert times_better(COST, ours, other) is None


def test_a_ratio_with_nothing_below_is_none() -> None:
    assert ratio("more", 5.0, 0.0) is None


def test_a_value_is_shown_with_its_spread() -> None:
    assert shown([3000.0, 1000.0, 2000.0], 0) == "**2,000** (1,000 … 3,000)"
    assert shown([1.26], 1) == "1.3"
    assert shown([], 1) == "–"


def test_the_report_names_machine_load_and_every_series() -> None:
    figures = _figures()
    figures.add(SPEED, "ours", 300.0)
    figures.add(SPEED, "plain", 100.0)

    text = report(figures)

    assert "- a machine" in text
    assert "before the run 0.5, after it 0.7" in text
    assert "in 3 min: 1 round(s)" in text
    assert "| 1,000 viewers | frames/s | 300 | 100 · 3 × |" in text


def test_a_table_has_a_column_for_each_side_that_has_an_answer_in_it() -> None:
    figures = _figures()
    figures.add(SPEED, "ours", 300.0)
    figures.add(SPEED, "floor", 600.0)
    figures.add(COST, "ours", 2.0)

    rows = report(figures).splitlines()

    assert "| what | unit | livecommerce | C loop |" in rows
    assert "| 1,000 viewers | frames/s | 300 | 600 · 0.5 × |" in rows
    assert "| 1,000 viewers | µs | 2.0 | – |" in rows


def test_who_is_left_out_is_said_with_the_reason() -> None:
    figures = _figures()
    figures.left_out["floor"] = "there is no C compiler here"
    figures.add(SPEED, "ours", 300.0)

    assert "- LEFT OUT: C loop: there is no C compiler here" in report(figures)


def test_a_large_ratio_has_no_digits_that_nobody_can_trust() -> None:
    figures = _figures()
    figures.add(SPEED, "ours", 123_456.0)
    figures.add(SPEED, "plain", 1_000.0)

    assert "1,000 · 123 × |" in report(figures)


def test_renewing_keeps_what_people_wrote(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n{BEGIN}\nold\n{END}\n## Words\n")

    renew(page, "new")

    assert page.read_text() == f"# Title\n{BEGIN}\nnew\n{END}\n## Words\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n")

    with pytest.raises(ValueError):
        renew(page, "new")

    assert page.read_text() == "# Title\n"
