"""The wheel carries everything a server needs: pages, scripts, migrations, the demo's goods; and the load tester."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from livecommerce.pages import pages_folder

ROOT = Path(__file__).parent.parent
NEEDED = [
    "livecommerce/static/watch.html",
    "livecommerce/static/console.html",
    "livecommerce/static/demo.html",
    "livecommerce/static/shop.html",
    "livecommerce/static/login.html",
    "livecommerce/static/pay.html",
    "livecommerce/reservations/lua/reserve.lua",
    "livecommerce/shows/lua/publish.lua",
    "livecommerce/gateway/fan_out.c",
    "livecommerce/ledger/migrations/env.py",
    "livecommerce/ledger/migrations/versions/0001_the_first_ledger.py",
    "livecommerce/demo/goods/catalogue.csv",
    "livecommerce/demo/goods/clip.mp4",
    "livecommerce/py.typed",
    "livecommerce/static/report.html",
    "loadtest/scenarios/fanout.py",
    "loadtest/wire/native.c",
    "loadtest/bench/servers/floor.c",
]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    if pages_folder() is None:
        pytest.skip("the pages are not built (make web)")
    folder = tmp_path_factory.mktemp("wheel")
    wheel_of = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", str(ROOT)]
    subprocess.run([*wheel_of, "-w", str(folder)], check=True, timeout=280)
    (wheel,) = folder.glob("livecommerce-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("name", NEEDED)
def test_the_wheel_carries(name: str, names: set[str]) -> None:
    assert name in names


def test_the_wheel_carries_every_asset_that_was_built(names: set[str]) -> None:
    built = pages_folder()
    assert built is not None
    assets = {f"livecommerce/static/assets/{path.name}" for path in (built / "assets").iterdir()}

    assert assets
    assert assets <= names


def test_neither_tests_nor_sources_of_the_pages_are_in_it(names: set[str]) -> None:
    assert not [name for name in names if name.startswith(("tests/", "web/", "docs/"))]
