"""What the pages of `docs/` say of files and tests: each file that is named exists, and what runs with every change is
told apart from what only the long form runs."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "ARCHITECTURE.md"])
# `tests/…`, `web/tests/….ts` and the like: our own paths, whole. A pattern or an ellipsis is none.
PATH = re.compile(r"`((?:livecommerce|loadtest|tests|web/src|web/tests)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_the_page_names_exists(page: Path) -> None:
    assert [name for name in PATH.findall(page.read_text()) if not (ROOT / name).exists()] == []


def test_the_pages_name_files_of_both_sides() -> None:
    """Else the check above would have nothing to look at."""
    named = {name for page in PAGES for name in PATH.findall(page.read_text())}
    assert {"web/tests/time.test.ts", "tests/faults/test_fault_list.py"} <= named


def _long_tests() -> set[str]:
    """Tests that are left to `make test-long` whole."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                ast.unparse(each) == "pytest.mark.long" for each in node.decorator_list
            ):
                found.add(node.name)
    return found


def test_the_fault_page_says_which_of_its_tests_run_in_the_long_form_only() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    (said,) = (part for part in page.split("\n\n") if part.startswith("**Only in the long form**"))
    whole = said.partition("In part:")[0]
    named = set(re.findall(r"`(test_\w+)`", page.replace(said, "")))
    assert set(re.findall(r"`(test_\w+)`", whole)) == named & _long_tests()
