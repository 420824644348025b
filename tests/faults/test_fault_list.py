"""`docs/faults.md` and `docs/unit-walk.md` name tests: each exists, and every fault of the contract has a row."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The contract's list.
FAULTS = (
    "kill -9 of a gateway", "kill -9 of the worker", "kill -9 of the writer", "SIGSTOP", "Redis killed", "restarted",
    "TCP cut between viewer and gateway", "TCP cut between our processes and Redis",
    "TCP cut between our processes and the ledger", "duplicate webhooks", "reordered and delayed webhooks",
    "forged webhooks", "same rid from two devices", "clock steps", "disk full under SQLite", "reserves and vanishes",
    "quantity 0, negative", "rid of another viewer", "rid with another body", "10⁵ rids", "malformed batches",
    "`SCRIPT FLUSH` under load", "slot moves key by key", "its replica leads", "empty or truncated log",
    "replica that lagged", "web process that answered died too", "while books are made anew",
    "one of two web processes with the room full", "SIGSTOP of one of two web processes", "Redis killed under a room",
    "relay cut for long", "SIGSTOP of a page", "half-open socket", "rolling restart", "one of two hosts dies",
    "clock is wrong by hours", "never reads", "bytes one at a time", "handshakes without a token", "half a request",
    "bombs of nested msgpack", "bytes that nobody would send", "breaks the WebSocket standard",
)  # fmt: skip


def _tests() -> set[str]:
    texts = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for text in texts for name in re.findall(r"^ *(?:async )?def (test_\w+)", text, re.MULTILINE)}


@pytest.mark.parametrize("page", ["faults.md", "unit-walk.md"])
def test_every_test_that_the_page_names_exists(page: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / page).read_text()))
    assert len(named) > 5
    assert named <= _tests()


def test_every_fault_of_the_contract_has_a_row_with_a_test() -> None:
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("| ")]
    for fault in FAULTS:
        mine = [row for row in rows if fault in row.split("|")[1]]
        assert mine, f"docs/faults.md has no row for {fault!r}"
        assert all(re.search(r"`test_\w+`", row) for row in mine)
