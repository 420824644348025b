"""Reads of many callers as one read."""

import asyncio
from collections.abc import Sequence

import pytest

from livecommerce.errors import R, Refused
from livecommerce.ledger.gathered import KEYS_MAX, Gathered


class Shelf:
    """Something to read from, which answers when it is told to."""

    def __init__(self) -> None:
        self.reads: list[tuple[str, ...]] = []
        self.open = asyncio.Event()
        self.failure: Exception | None = None

    async def fetch(self, keys: Sequence[str]) -> dict[str, str]:
        self.reads.append(tuple(keys))
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return {key: key.upper() for key in keys}


async def ask(gathered: "Gathered[str, str]", *keys: str) -> list["asyncio.Task[str]"]:
    tasks = [asyncio.create_task(gathered.get(key)) for key in keys]
    for _ in range(3):  # until each has asked and the read has begun
        await asyncio.sleep(0)
    return tasks


async def test_a_key_alone_is_read_at_once() -> None:
    shelf = Shelf()
    shelf.open.set()

    assert await Gathered(shelf.fetch).get("a") == "A"
    assert shelf.reads == [("a",)]


async def test_keys_that_come_while_a_read_is_under_way_go_together_in_the_next_and_never_join_it() -> None:
    shelf = Shelf()
    gathered = Gathered(shelf.fetch)
    first = await ask(gathered, "a")
    later = await ask(gathered, "b", "a", "b", "c")

    shelf.open.set()

    assert [await task for task in first + later] == ["A", "B", "A", "B", "C"]
    assert shelf.reads == [("a",), ("b", "a", "c")]


async def test_a_read_has_a_bound_and_the_rest_goes_in_the_following_one() -> None:
    shelf = Shelf()
    gathered = Gathered(shelf.fetch)
    keys = [f"k{number}" for number in range(KEYS_MAX + 1)]
    await ask(gathered, "first")
    tasks = await ask(gathered, *keys)

    shelf.open.set()

    assert [await task for task in tasks] == [key.upper() for key in keys]
    assert list(map(len, shelf.reads)) == [1, KEYS_MAX, 1]


async def test_a_failed_read_fails_for_its_own_callers_only() -> None:
    shelf = Shelf()
    gathered = Gathered(shelf.fetch)
    shelf.failure = OSError("away")
    shelf.open.set()

    with pytest.raises(OSError, match="away"):
        await gathered.get("a")

    shelf.failure = None
    assert await gathered.get("a") == "A"


async def test_a_read_that_is_ended_refuses_those_who_wait_for_it_and_for_the_next() -> None:
    shelf = Shelf()
    gathered = Gathered(shelf.fetch)
    waiting = await ask(gathered, "a") + await ask(gathered, "b")
    (reading,) = [task for task in asyncio.all_tasks() if task.get_name() == "gathered-reads"]

    reading.cancel()

    for task in waiting:
        with pytest.raises(Refused) as refused:
            await task
        assert refused.value.why is R.UNAVAILABLE
    shelf.open.set()
    assert await gathered.get("a") == "A"


async def test_a_read_that_hangs_is_given_up_and_the_next_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.ledger.gathered.READ_SECONDS_MAX", 0.0)
    shelf = Shelf()
    gathered = Gathered(shelf.fetch)

    with pytest.raises(Refused):
        await gathered.get("a")

    monkeypatch.undo()
    shelf.open.set()
    assert await gathered.get("b") == "B"


async def test_a_cancelled_caller_takes_nothing_from_the_others() -> None:
    shelf = Shelf()
    gathered = Gathered(shelf.fetch)
    await ask(gathered, "a")
    gone, stays = await ask(gathered, "b", "b")

    gone.cancel()
    shelf.open.set()

    assert await stays == "B"
    with pytest.raises(asyncio.CancelledError):
        await gone
