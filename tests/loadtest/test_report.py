"""The arithmetic of the report, and the page it is written into."""

from pathlib import Path

import pytest

from loadtest.report import BEGIN, END, Figures, Series, Values, renew, report, shown, times_better

SPEED = Series("A card", "frames/s", 0)
COST = Series("A card", "µs", 1, "less")


def test_more_is_better_by_the_ratio_of_the_medians() -> None:
    assert times_better(SPEED, Values([100.0, 300.0, 900.0], [50.0, 100.0, 150.0])) == 3.0


def test_less_is_better_the_other_way_round() -> None:
    assert times_better(COST, Values([4.0], [12.0])) == 3.0


@pytest.mark.parametrize("values", [Values(), Values([1.0], []), Values([0.0], [5.0])])
def test_nothing_is_said_where_a_side_is_missing_or_zero(values: Values) -> None:
    assert times_better(COST, values) is None


def test_a_value_is_shown_with_its_spread() -> None:
    assert shown([3000.0, 1000.0, 2000.0], 0) == "**2,000** (1,000 … 3,000)"
    assert shown([1.26], 1) == "1.3"
    assert shown([], 1) == "–"


def test_the_report_names_machine_load_and_every_series() -> None:
    figures = Figures(["a machine"], "2026-01-02", 1, 0.5, 0.7)
    figures.of(SPEED).add("ours", 300.0)
    figures.of(SPEED).add("comparator", 100.0)

    text = report(figures)

    assert "- a machine" in text
    assert "before the run 0.5, after it 0.7" in text
    assert "| A card | frames/s | 300 | 100 | 3.0 × |" in text


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
