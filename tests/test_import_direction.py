"""Who may import whom: the table of ARCHITECTURE.md, held by a test."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "livecommerce"
EVERYONE = {"ids", "clock", "errors", "settings", "protocol", "logs", "hot_state", "ending"} | {
    "children",
    "public_address",
}
BELOW = {"catalogue", "people", "ledger"}
MAY_IMPORT = {
    "protocol": {"ids", "errors"},
    "ledger": set[str](),
    "catalogue": {"ledger", "people"},
    "people": {"ledger"},
    "reservations": {"ledger", "people"},
    "shelves": BELOW | {"reservations"},
    "shows": BELOW | {"reservations", "shelves"},
    "orders": BELOW | {"reservations", "shelves", "shows"},
    "channels": BELOW | {"reservations", "shelves", "orders"},
    "rooms": BELOW | {"shows", "reservations"},
    "audit": {"ledger", "catalogue", "reservations", "shows"},
    "gateway": BELOW
    | {"reservations", "shelves", "shows", "orders", "channels", "rooms", "audit", "video", "pages", "demo", "app"}
    | {"compiled", "host_measures"},
    "background": BELOW | {"reservations", "shelves", "shows", "orders", "channels", "audit", "video"},
    "client": set[str](),
    "video": set[str](),
    "demo": BELOW | {"client", "supervisor", "certificate", "reservations", "app"},
}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("livecommerce."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("livecommerce."):
                    yield name.name.split(".")[1]


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_each_part_imports_only_what_the_table_allows(part: str) -> None:
    allowed = MAY_IMPORT[part] | EVERYONE | {part}
    for path in (PACKAGE / part).rglob("*.py"):
        for imported in _imports(path):
            assert imported in allowed, f"{path.relative_to(PACKAGE)} imports {imported}"


def test_every_folder_of_the_package_stands_in_the_table() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}

    assert folders == set(MAY_IMPORT)
