"""What the pages of `docs/` say of files and tests: each file that is named exists."""

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
