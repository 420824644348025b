"""The triage: clusters, leases, and at most twenty new items a minute, over as many processes as there are."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import TriageCount
from livecommerce.reservations import keys
from livecommerce.shows.triage import (
    COPIES_KEPT_MAX,
    HAND_MAX,
    ITEMS_A_MINUTE_MAX,
    LEASE_SECONDS,
    PASSED_SECONDS,
    WAITING_MAX,
    Triage,
    TriageItem,
    TriageLine,
)

SHOW = "shw_1"
LIKE = (1, 2, 3, 4, 5, 6, 7, 8)


def line(number: int, text: str = "buy mine", shown: bool = False) -> TriageLine:
    return TriageLine(f"ln_{number}", f"vw_{number}", f"Viewer {number}", text, shown)


@pytest.fixture
def triage(redis: Redis, clock: TestClock) -> Triage:
    return Triage(redis, clock)


async def take_all(triage: Triage, account: str) -> list[TriageItem]:
    """Everything she can get now, done with at once."""
    found: list[TriageItem] = []
    while items := await triage.take(SHOW, account):
        for item in items:
            found.append(item)
            await triage.done(SHOW, item)
    return found


async def test_lines_that_say_nearly_the_same_are_one_item_with_a_count(triage: Triage) -> None:
    assert await triage.hold(SHOW, [line(1), line(9, shown=True)], "copies", LIKE)
    for number in (2, 3):
        await triage.hold(SHOW, [line(number), line(9, shown=True)], "copies", (*LIKE[:6], 98, 99))
    await triage.hold(SHOW, [line(4, "else")], "judge", (11, 12, 13, 14, 15, 16, 17, 18))
    items = await triage.take(SHOW, "mod")
    assert [(item.count, item.why, [each.line_id for each in item.lines]) for item in items] == [
        (4, "copies", ["ln_1", "ln_9", "ln_2", "ln_3"]), (1, "judge", ["ln_4"]),
    ]  # fmt: skip
    assert items[0].lines[1].shown


async def test_short_lines_are_one_item_where_they_are_the_same(triage: Triage) -> None:
    for number, text in enumerate(["scam", "scam", "bot"]):
        await triage.hold(SHOW, [line(number, text)], "judge", ())
    assert [item.count for item in await triage.take(SHOW, "mod")] == [2, 1]


async def test_questions_are_gathered_by_product(triage: Triage, clock: TestClock) -> None:
    for number, (card, title) in enumerate([("crd_1", "Lip"), ("crd_2", "Serum"), ("crd_1", "Lip"), ("", "")]):
        await triage.ask(SHOW, line(number, f"question {number}", True), card, title)
        await clock.advance(1)  # of what is of one millisecond, either may be first
    items = await triage.take(SHOW, "mod")
    assert [(item.kind, item.title, item.count) for item in items] == [
        ("question", "Lip", 2), ("question", "Serum", 1), ("question", "", 1),
    ]  # fmt: skip


async def test_two_moderators_on_two_processes_never_get_the_same_item(
    triage: Triage, redis: Redis, clock: TestClock
) -> None:
    for number in range(2 * HAND_MAX + 1):
        await triage.hold(SHOW, [line(number, f"text {number}")], "judge", ())
    other = Triage(redis, clock)
    hands = await asyncio.gather(*(process.take(SHOW, name) for name, process in (("a", triage), ("b", other))))
    ids = [item.id for hand in hands for item in hand]
    assert len(ids) == len(set(ids)) == 2 * HAND_MAX
    assert await triage.count(SHOW) == TriageCount(1, 2 * HAND_MAX)
    # Asking again gives each her own, and no more.
    again = await other.take(SHOW, "a")
    assert {item.id for item in again} == {item.id for item in hands[0]}
    with pytest.raises(Refused) as refused:
        await other.in_hand(SHOW, "b", hands[0][0].id)
    assert refused.value.why is R.ITEM_TAKEN
    assert (await other.in_hand(SHOW, "a", hands[0][0].id)).holder == "a"


async def test_twenty_moderators_at_once_share_what_there_is(triage: Triage) -> None:
    for number in range(15):
        await triage.hold(SHOW, [line(number, f"text {number}")], "judge", ())
    hands = await asyncio.gather(*(triage.take(SHOW, f"mod{n}") for n in range(20)))
    ids = [item.id for hand in hands for item in hand]
    assert len(ids) == len(set(ids)) == 15


async def test_what_is_given_back_goes_to_whoever_comes_next(triage: Triage) -> None:
    await triage.hold(SHOW, [line(1)], "judge", ())
    await triage.hold(SHOW, [line(2, "two")], "judge", ())
    first, second = await triage.take(SHOW, "a")
    assert await triage.take(SHOW, "b") == []
    assert await triage.give_back(SHOW, "b", first.id) == 0  # it is not hers to give
    assert await triage.give_back(SHOW, "a", first.id) == 1
    assert [item.id for item in await triage.take(SHOW, "b")] == [first.id]
    assert await triage.give_back(SHOW, "a") == 1
    assert {item.id for item in await triage.take(SHOW, "b")} == {first.id, second.id}


async def test_what_she_put_away_comes_to_her_again_only_after_a_while(triage: Triage, clock: TestClock) -> None:
    await triage.hold(SHOW, [line(1)], "judge", ())
    await triage.hold(SHOW, [line(2, "two")], "judge", ())
    first, second = await triage.take(SHOW, "a")
    await triage.give_back(SHOW, "a", first.id)
    assert [item.id for item in await triage.take(SHOW, "a")] == [second.id]
    await clock.advance(PASSED_SECONDS - 0.1)
    await triage.renew(SHOW, ["a"])
    assert [item.id for item in await triage.take(SHOW, "a")] == [second.id]
    # Nobody else took it, so it is hers to decide after all.
    await clock.advance(0.2)
    assert {item.id for item in await triage.take(SHOW, "a")} == {first.id, second.id}
    await triage.give_back(SHOW, "a", first.id)
    assert [item.id for item in await triage.take(SHOW, "b")] == [first.id]


async def test_once_the_minute_is_used_up_only_what_comes_back_is_handed_out(triage: Triage) -> None:
    for number in range(ITEMS_A_MINUTE_MAX + 9):
        await triage.hold(SHOW, [line(number, f"text {number}")], "judge", ())
    hands = [await triage.take(SHOW, f"mod{number}") for number in range(7)]
    assert sum(map(len, hands)) == ITEMS_A_MINUTE_MAX
    late = hands[6][0]
    for _ in range(5):  # louder than all that waits, and still nobody had it
        await triage.hold(SHOW, [line(100 + _, f"text {ITEMS_A_MINUTE_MAX + 3}")], "judge", ())
    assert await triage.take(SHOW, "other") == []
    await triage.give_back(SHOW, "mod6", late.id)
    assert [item.id for item in await triage.take(SHOW, "other")] == [late.id]


async def test_a_take_opens_no_record_however_many_wait(triage: Triage, redis: Redis) -> None:
    for number in range(60):
        await triage.hold(SHOW, [line(number, f"text {number}")], "judge", ())
    hand = await triage.take(SHOW, "a")
    for _ in range(ITEMS_A_MINUTE_MAX):
        await triage.take(SHOW, f"mod{_}")
    waiting = list(await redis.hkeys(keys.triage(SHOW)[0]))  # type: ignore[misc]
    mine = {item.id.encode() for item in hand}
    for name in waiting:
        if name not in mine:
            await redis.hset(keys.triage(SHOW)[0], name, b"\xc1")  # type: ignore[misc]  # no MessagePack at all
    assert [item.id for item in await triage.take(SHOW, "a")] == [item.id for item in hand]


async def test_a_moderator_whose_process_died_has_her_items_no_longer_than_the_lease(
    triage: Triage, clock: TestClock
) -> None:
    await triage.hold(SHOW, [line(1)], "judge", ())
    await triage.take(SHOW, "a")
    await clock.advance(LEASE_SECONDS - 1)
    await triage.renew(SHOW, ["a"])
    await clock.advance(LEASE_SECONDS - 1)
    assert await triage.take(SHOW, "b") == []
    await clock.advance(1)
    assert len(await triage.take(SHOW, "b")) == 1
    await triage.renew(SHOW, ["a"])
    assert await triage.take(SHOW, "a") == []


async def test_at_most_twenty_new_items_a_minute_reach_moderators(triage: Triage, clock: TestClock) -> None:
    for number in range(50):
        await triage.hold(SHOW, [line(number, f"text {number}")], "judge", ())
    assert len(await take_all(triage, "a")) == ITEMS_A_MINUTE_MAX
    assert await triage.take(SHOW, "b") == []
    assert await triage.count(SHOW) == TriageCount(30, 0)
    await clock.advance(59.9)
    assert await triage.take(SHOW, "b") == []
    await clock.advance(0.2)
    assert len(await take_all(triage, "b")) == ITEMS_A_MINUTE_MAX
    await clock.advance(60.1)
    assert len(await take_all(triage, "c")) == 10


async def test_an_item_that_comes_back_is_not_counted_as_another(triage: Triage) -> None:
    for number in range(ITEMS_A_MINUTE_MAX):
        await triage.hold(SHOW, [line(number, f"text {number}")], "judge", ())
    for _ in range(30):
        assert len(await triage.take(SHOW, "a")) == HAND_MAX
        await triage.give_back(SHOW, "a")
    assert len(await take_all(triage, "a")) == ITEMS_A_MINUTE_MAX


async def test_many_copies_come_before_few_and_old_before_new(triage: Triage, clock: TestClock) -> None:
    for number, text in enumerate(["old", "loud", "loud", "loud", "new"]):
        await triage.hold(SHOW, [line(number, text)], "judge", ())
        await clock.advance(1)
    assert [item.lines[0].text for item in await triage.take(SHOW, "a")] == ["loud", "old", "new"]


async def test_what_is_decided_is_gone_and_the_same_again_is_a_new_item(triage: Triage) -> None:
    await triage.hold(SHOW, [line(1)], "copies", LIKE)
    (item,) = await triage.take(SHOW, "a")
    await triage.done(SHOW, item)
    await triage.done(SHOW, item)
    with pytest.raises(Refused) as refused:
        await triage.in_hand(SHOW, "a", item.id)
    assert refused.value.why is R.NOT_FOUND
    await triage.hold(SHOW, [line(2)], "copies", LIKE)
    assert [(each.id != item.id, each.count) for each in await triage.take(SHOW, "a")] == [(True, 1)]


async def test_copies_that_come_while_an_item_is_in_hand_join_it_there(triage: Triage) -> None:
    await triage.hold(SHOW, [line(1)], "copies", LIKE)
    (item,) = await triage.take(SHOW, "a")
    await triage.hold(SHOW, [line(2)], "copies", LIKE)
    assert await triage.take(SHOW, "b") == []
    assert [(each.id, each.count) for each in await triage.take(SHOW, "a")] == [(item.id, 2)]


async def test_copies_that_join_between_reading_and_deciding_wait_again(triage: Triage) -> None:
    await triage.hold(SHOW, [line(1), line(2)], "copies", LIKE)
    (item,) = await triage.take(SHOW, "a")
    read = await triage.in_hand(SHOW, "a", item.id)
    await triage.hold(SHOW, [line(3)], "copies", LIKE)
    await triage.done(SHOW, read)
    assert await triage.count(SHOW) == TriageCount(1, 0)
    (rest,) = await triage.take(SHOW, "b")
    assert (rest.count, [each.line_id for each in rest.lines]) == (1, ["ln_3"])
    await triage.done(SHOW, rest)
    assert await triage.count(SHOW) == TriageCount(0, 0)


async def test_questions_that_come_while_an_item_is_in_hand_are_another(triage: Triage) -> None:
    await triage.ask(SHOW, line(1, "is it vegan?"), "crd_1", "Lip")
    (item,) = await triage.take(SHOW, "a")
    await triage.ask(SHOW, line(2, "nuts?"), "crd_1", "Lip")
    await triage.ask(SHOW, line(3, "oats?"), "crd_1", "Lip")
    assert await triage.count(SHOW) == TriageCount(1, 1)
    await triage.done(SHOW, await triage.in_hand(SHOW, "a", item.id))
    (other,) = await triage.take(SHOW, "a")
    assert [each.text for each in other.lines] == ["nuts?", "oats?"]


async def test_lines_that_differ_in_their_digits_are_two_items(triage: Triage) -> None:
    for number, size in enumerate(["38", "40", "38"]):
        await triage.hold(SHOW, [line(number, f"I would take it in size {size}")], "judge", LIKE, size)
    assert [item.count for item in await triage.take(SHOW, "a")] == [2, 1]


async def test_a_question_that_is_answered_elsewhere_leaves_its_item(triage: Triage) -> None:
    for number in (1, 2, 3):
        await triage.ask(SHOW, line(number), "crd_1", "Lip")
    assert not await triage.closed(SHOW, "ln_2")
    assert not await triage.closed(SHOW, "ln_2")
    assert not await triage.closed(SHOW, "ln_none")
    (item,) = await triage.take(SHOW, "a")
    assert (item.count, [each.line_id for each in item.lines]) == (2, ["ln_1", "ln_3"])
    # She may be writing: what she has in hand stays as it is, and is gone where she gives it back.
    assert not await triage.closed(SHOW, "ln_1")
    assert (await triage.in_hand(SHOW, "a", item.id)).count == 2
    await triage.give_back(SHOW, "a")
    assert [each.line_id for each in (await triage.take(SHOW, "b"))[0].lines] == ["ln_3"]
    await triage.give_back(SHOW, "b")
    assert await triage.closed(SHOW, "ln_3")
    assert await triage.count(SHOW) == TriageCount(0, 0)


async def test_memory_is_bounded(triage: Triage, redis: Redis, clock: TestClock) -> None:
    for number in range(COPIES_KEPT_MAX + 20):
        await triage.hold(SHOW, [line(number)], "copies", LIKE)
    (item,) = await triage.take(SHOW, "a")
    assert (item.count, len(item.lines)) == (COPIES_KEPT_MAX + 20, COPIES_KEPT_MAX)
    taken = [await triage.hold(SHOW, [line(number, f"t{number}")], "judge", ()) for number in range(WAITING_MAX + 5)]
    assert taken == [True] * WAITING_MAX + [False] * 5
    every = keys.triage(SHOW)
    items, _, _, index, handed, *_ = every
    assert await redis.hlen(items) == WAITING_MAX + 1  # type: ignore[misc]
    assert await redis.hlen(index) == WAITING_MAX + len(LIKE)  # type: ignore[misc]
    assert await redis.llen(handed) <= ITEMS_A_MINUTE_MAX  # type: ignore[misc]
    await triage.give_back(SHOW, "a", item.id)
    await triage.take(SHOW, "b")
    assert {name: 0 < await redis.ttl(name) <= 7 * 86_400 for name in every} == dict.fromkeys(every, True)
    # Nothing stays of a show that is long over, nor of what is decided.
    while found := await triage.take(SHOW, "b"):
        for each in found:
            await triage.done(SHOW, each)
        await clock.advance(10)
    left = {name for name in every if await redis.exists(name)}
    assert left == {handed, every[-1]}


async def test_any_text_survives(triage: Triage) -> None:
    text = "日本 🎉 \u0000 é"
    await triage.hold(SHOW, [line(1, text)], "judge", ())
    assert (await triage.take(SHOW, "a"))[0].lines[0].text == text


async def test_while_redis_is_away_it_says_so(clock: TestClock) -> None:
    triage = Triage(Redis(unix_socket_path="/nowhere", retry=Retry(NoBackoff(), 0)), clock)
    with pytest.raises(Refused) as refused:
        await triage.count(SHOW)
    assert refused.value.why is R.BUSY
