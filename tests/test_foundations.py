"""Ids, clocks and the closed list of refusals."""

import asyncio
import re
from types import SimpleNamespace

import pytest

from livecommerce import ids
from livecommerce.clock import TestClock
from livecommerce.errors import Close, R, Refused
from livecommerce.ids import ID_PATTERN, is_rid, new_id


def test_ids_have_one_shape_and_sort_by_the_time_they_were_made() -> None:
    made = [new_id("sh") for _ in range(1000)]
    assert all(re.match(ID_PATTERN, each) for each in made)
    assert made == sorted(set(made))


def test_ids_of_one_millisecond_and_of_a_clock_that_was_set_back_sort_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_numbers", ids._Numbers())
    made = list[str]()
    for now_ms in (1_800_000_000_000, 1_700_000_000_000):
        monkeypatch.setattr(ids, "time", SimpleNamespace(time_ns=lambda now_ms=now_ms: now_ms * 1_000_000))
        made += [new_id("sh") for _ in range(1000)]
    assert made == sorted(set(made))


def test_an_id_tells_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_numbers", ids._Numbers())
    monkeypatch.setattr(ids, "time", SimpleNamespace(time_ns=lambda: 1_800_000_000_123 * 1_000_000))
    number = 0
    for each in new_id("sh").removeprefix("sh_"):
        number = number << 5 | ids._ALPHABET.index(each)
    assert number >> 32 == 1_800_000_000_123


def test_a_rid_is_8_to_40_plain_characters() -> None:
    assert is_rid("abc-DEF_12")
    for wrong in ("short", "x" * 41, "spaces no", "ünïcode8", "new\nline8", ""):
        assert not is_rid(wrong)


def test_no_two_refusals_share_a_number_or_a_word() -> None:
    rows = [refusal.value for refusal in R]

    assert len({row.number for row in rows}) == len(rows)
    assert len({row.word for row in rows}) == len(rows)


def test_refusals_read_as_sentences_with_and_without_their_blanks() -> None:
    for refusal in R:
        text = Refused(refusal).text
        assert text[0].isupper(), text
        assert "{" not in text, text
        assert text.endswith("."), text


def test_close_codes_say_by_their_range_whether_to_come_back() -> None:
    assert Close.MOVING.come_back
    assert not Close.BANNED.come_back
    assert all(4000 <= code <= 4999 for code in Close)


async def test_sleepers_wake_in_the_order_of_their_instants_when_the_clock_is_turned() -> None:
    clock = TestClock()
    woke: list[tuple[str, int]] = []
    began = clock.now_ms()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append((name, clock.now_ms() - began))

    tasks = [asyncio.create_task(sleeper("late", 2)), asyncio.create_task(sleeper("early", 1))]
    await asyncio.sleep(0)
    await clock.advance(0.5)
    assert woke == []
    await clock.advance(2)

    assert woke == [("early", 1000), ("late", 2000)]
    await asyncio.gather(*tasks)
