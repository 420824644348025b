"""Which of the crash points a quick run leaves to `make test-long`."""

import pytest

# With both ledgers every arrow takes a minute of a machine's time twice. What differs between them is how a commit is
# lost, which one story shows whole; the statements are the same.
_QUICK_ON_POSTGRES = "late_money_with_a_unit_left-she_comes_back"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = item.nodeid
        if "test_order_crash_points" in name and "[postgres-" in name and _QUICK_ON_POSTGRES not in name:
            item.add_marker(pytest.mark.long)
