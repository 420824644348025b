"""Two versions beside each other: what exceeds the noise, what is a failure, and where the other version comes from."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest.bench import raw
from loadtest.bench.commands import WORSE, compare
from loadtest.bench.compare import NoSuchVersion, checkout, differences, told, too_much_worse
from loadtest.bench.lab import OUR_TREE, open_lab
from loadtest.bench.page import Figures, Series

needs_git = pytest.mark.skipif(not (OUR_TREE / ".git").exists(), reason="this tree is no git checkout")
SPEED = Series("Fan-out", "1,000 viewers", "frames/s", 0)
COST = Series("Fan-out", "1,000 viewers", "µs", 1, "less")


def _figures(series: Series, ours: list[float], other: list[float]) -> Figures:
    figures = Figures(["a machine"], "2026-01-02", {"ours": "this", "other": "v1"}, 0.5, len(ours))
    for mine, theirs in zip(ours, other, strict=True):
        figures.add(series, "ours", mine)
        figures.add(series, "other", theirs)
    return figures


@pytest.mark.parametrize(
    ("series", "ours", "other", "verdict"),
    [
        (SPEED, [100.0, 110.0], [80.0, 90.0], "better"),
        (SPEED, [80.0, 90.0], [100.0, 110.0], "worse"),
        (SPEED, [80.0, 105.0], [100.0, 110.0], "within the noise"),
        (SPEED, [100.0, 110.0], [100.0, 90.0], "within the noise"),
        (COST, [3.0, 3.1], [4.0, 4.1], "better"),
        (COST, [4.0, 4.1], [3.0, 3.1], "worse"),
    ],
)
def test_a_difference_counts_where_the_ranges_do_not_overlap(
    series: Series, ours: list[float], other: list[float], verdict: str
) -> None:
    (found,) = differences(_figures(series, ours, other))

    assert found.verdict == verdict


def test_ratios_are_taken_round_by_round() -> None:
    (found,) = differences(_figures(SPEED, [50.0, 100.0, 150.0], [100.0, 100.0, 100.0]))

    assert found.ratios == [0.5, 1.0, 1.5]
    assert "1.00 × (0.50 … 1.50)   within the noise" in told(_figures(SPEED, [1.0], [1.0]), [found], "v1")


def test_only_what_is_worse_by_more_than_was_allowed_is_a_failure() -> None:
    found = differences(_figures(COST, [1.2, 1.2], [1.0, 1.0]))

    assert found[0].percent_worse == pytest.approx(20)
    assert too_much_worse(found, 10) == found
    assert too_much_worse(found, 25) == []


def test_worse_within_the_noise_is_no_failure() -> None:
    found = differences(_figures(COST, [1.0, 2.0], [1.0, 1.1]))

    assert found[0].percent_worse > 10
    assert too_much_worse(found, 10) == []


@needs_git
def test_a_ref_becomes_a_work_tree_that_is_gone_afterwards() -> None:
    with checkout("HEAD") as tree:
        assert (tree / "livecommerce" / "run.py").exists()

    assert not tree.exists()
    listed = subprocess.run(["git", "-C", str(OUR_TREE), "worktree", "list"], capture_output=True, text=True)
    assert str(tree) not in listed.stdout


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(NoSuchVersion, match="there is no livecommerce/ in it"), checkout(str(tmp_path)):
        pass
    with checkout(str(OUR_TREE)) as tree:
        assert tree == OUR_TREE


@needs_git
def test_an_unknown_ref_is_a_wrong_call_with_git_s_words() -> None:
    done = CliRunner().invoke(compare, ["no-such-ref-here"])

    assert done.exit_code == 2
    assert "git cannot give the version no-such-ref-here" in done.stderr


@needs_git
def test_the_version_before_runs_beside_this_one() -> None:
    done = CliRunner().invoke(compare, ["HEAD", "--quick", "--scale", "0.02", "--only", "reserve", "--rounds", "2"])

    assert done.exit_code in (0, WORSE), done.output
    assert "This version beside HEAD: 2 rounds in turn" in done.stdout
    assert done.stdout.count("other ") >= 5


def test_the_script_that_is_called_straight_is_the_version_s_own(tmp_path: Path) -> None:
    shutil.copytree(OUR_TREE / "livecommerce", tmp_path / "livecommerce")
    script = tmp_path / "livecommerce" / "reservations" / "lua" / "reserve.lua"
    script.write_text("-- of another version\n" + script.read_text())

    with open_lab(tmp_path) as lab:
        text = lab.stagehand.script()
        raw.Books(lab, "shw_of_nobody")
        loaded = lab.redis.script_exists(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    assert text.startswith("-- of another version\n")
    assert loaded == [True]


def test_a_version_that_cannot_be_prepared_is_named(tmp_path: Path) -> None:
    package = tmp_path / "livecommerce"
    package.mkdir()
    (package / "__init__.py").write_text("")

    done = CliRunner().invoke(compare, [str(tmp_path), "--quick", "--scale", "0.02", "--only", "reserve"])

    assert done.exit_code == 1
    assert "could not prepare a show" in done.stderr
