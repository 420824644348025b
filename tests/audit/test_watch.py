"""The audit that never stops: exact under load, read once, and every kind of drift found where it was planted."""

import asyncio
import random
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import delete, insert, update

from livecommerce.audit import verdict as verdicts
from livecommerce.audit.verdict import DRIFT, Verdict
from livecommerce.audit.watch import LOOKS, PAGE_ROWS, PAGES_PER_TURN, SETTLED_MS, Watch
from livecommerce.ending import end
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, movements, pools, witnesses
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from tests.audit.world import AuditWorld, HandyClock, quietly, rid, viewer
from tests.shows.world import VARIANTS


async def change_deal_in_redis(world: AuditWorld, **changes: int) -> None:
    """Places of the record: quota 1, available 2, held 3, paying 4, sold 5."""
    places = {"quota": 1, "available": 2, "held": 3, "paying": 4, "sold": 5}
    raw = await world.redis.hget(keys.deals(world.show_id), world.deal_id)
    items = msgpack.unpackb(raw)
    for name, units in changes.items():
        items[places[name]] += units
    await world.redis.hset(keys.deals(world.show_id), world.deal_id, msgpack.packb(items, use_bin_type=False))


async def test_an_honest_evening_has_no_drift(selling: AuditWorld) -> None:
    world = selling
    await world.buy(1)
    await world.hold(2)
    assert (await world.hold(3, 3)).state == "held"
    assert (await world.hold(4, 1, wait=True)).state == "waiting"
    await world.engine.release(world.show_id, viewer(2).viewer_id, rid(2))
    answer = await world.checkout(3)
    assert await world.drift() == {}
    await world.press(answer, "decline")
    await world.turn(700)
    await world.duties()
    await world.close_deal()
    await world.duties()
    assert await world.drift() == {}
    verdict = await world.watch.look()
    assert (verdict.breaches, verdict.behind, verdict.shows, verdict.first) == (0, 0, 1, ())


async def test_redis_is_compared_exactly_while_the_journal_is_not_copied(sqlite_selling: AuditWorld) -> None:
    """At every moment some movements are in SQL, some only in the journal, and some in both."""
    world = sqlite_selling
    for number in range(1, 6):
        await world.hold(number)
        assert (await world.watch.look()).drift["log"] == 0
        if number % 2:
            await world.drain()
            assert (await world.watch.look()).drift["log"] == 0
    await change_deal_in_redis(world, available=-1, held=1)
    assert (await world.watch.look()).drift["log"] == 1


async def test_entries_that_are_copied_and_not_yet_trimmed_count_once(
    sqlite_selling: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_selling
    await world.hold(1, 2)

    async def die(*_args: Any, **_kwargs: Any) -> None:
        raise ConnectionError("killed before the trim")

    monkeypatch.setattr(world.redis, "xtrim", die)
    with pytest.raises(ConnectionError):
        await world.drain()
    verdict = await world.watch.look()
    assert (verdict.drift["log"], verdict.drift["impossible"], verdict.behind) == (0, 0, 0)


async def test_a_crowd_at_full_speed_is_never_mistaken_for_drift(selling: AuditWorld) -> None:
    world, chance = selling, random.Random(7)

    async def one(number: int) -> None:
        await quietly(world.hold(number, chance.randint(1, 2), wait=chance.random() < 0.5))
        if chance.random() < 0.6:
            answer = await quietly(world.checkout(number))
            if not isinstance(answer, Exception) and chance.random() < 0.7:
                await quietly(world.press(answer))
        else:
            await quietly(world.engine.release(world.show_id, viewer(number).viewer_id, rid(number)))

    crowd = asyncio.gather(*(one(number) for number in range(25)))
    copying = asyncio.create_task(_drain_again_and_again(world))
    while not crowd.done():
        verdict = await world.watch.look()
        assert (verdict.drift["log"], verdict.drift["impossible"], verdict.drift["ledger"]) == (0, 0, 0), verdict
    await crowd
    await end([copying])
    await world.duties()
    assert await world.drift() == {}


async def _drain_again_and_again(world: AuditWorld) -> None:
    while True:
        await world.drain()
        await asyncio.sleep(0)


# --- planted ----------------------------------------------------------------------------------------------------------


async def test_units_that_redis_has_from_nowhere_are_a_breach(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.hold(1)
    await change_deal_in_redis(world, quota=2, available=2)
    drift = await world.drift()
    assert drift == {"log": 2, "over": 2}
    verdict = await world.watch.look()
    assert verdict.breaches == 2
    assert any("OVER: 7 units in Redis can be had, SQL has 5" in text for text in verdict.first)
    assert any("its movements add up to" in text for text in verdict.first)


async def test_units_that_are_neither_in_redis_nor_in_sql_are_drift_and_no_breach(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.engine.set_deal_status(world.show_id, world.deal_id, "closing")  # and its process dies
    await world.drain()
    assert await world.drift() == {"under": 5}
    assert (await world.watch.look()).breaches == 0


async def test_what_is_on_its_way_for_a_moment_is_no_drift(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.hold(1)
    await world.engine.begin_pay(world.show_id, viewer(1).viewer_id, rid(1), 60_000)
    for _ in range(LOOKS - 1):
        assert (await world.watch.look()).drift["under"] == 0
    await world.orders.sweep_unwritten()
    await world.checkout(1)
    assert await world.drift() == {}


async def test_a_sale_that_redis_did_not_follow_is_drift_until_it_does(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.buy(1)
    await world.buy(2)
    await change_deal_in_redis(world, sold=-2, paying=2)
    assert await world.drift() == {"log": 2, "sold_behind": 2}
    await change_deal_in_redis(world, sold=2, paying=-2)
    assert await world.drift() == {}


async def test_a_sale_without_a_sale_in_sql_is_a_breach(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.hold(1)
    await world.engine.settle(world.show_id, viewer(1).viewer_id, rid(1))
    await world.drain()
    assert await world.drift() == {"sold_ahead": 1, "under": 1}
    assert "1 units are sold in Redis, 0 in SQL" in (await world.watch.look()).first[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (update(deals).where(deals.c.sold > 0).values(sold=deals.c.sold + 1), "its movements add up to 0, 1"),
        (update(deals).where(deals.c.sold > 0).values(allotted=deals.c.allotted + 1), "the moves of its pool add up"),
        (delete(movements).where(movements.c.kind == "order_confirmed"), "its movements add up to 1, 0"),
        (
            update(pools).where(pools.c.variant_id == VARIANTS[0]).values(total=101, available=pools.c.available + 1),
            "its moves add up to (100, 95, 4, 1)",
        ),
    ],
    ids=["a sale", "units", "a lost movement", "a pool"],
)
async def test_sql_that_contradicts_its_own_log_is_a_breach(selling: AuditWorld, change: Any, words: str) -> None:
    world = selling
    await world.buy(1)
    assert (await world.watch.look()).drift["ledger"] == 0
    await world.write(change)
    verdict = await world.new_watch().look()
    assert verdict.drift["ledger"] >= 1
    assert any(words in text for text in verdict.first), verdict.first


async def test_movements_that_cannot_have_happened_are_a_breach(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.hold(1)
    await world.drain()
    seq = int(await world.redis.hget(keys.meta(world.show_id), "seq"))  # type: ignore[arg-type]
    row = {
        "show_id": world.show_id, "deal_id": world.deal_id, "viewer_id": "vwr_9", "rid": "rid-ghost", "line": 0,
        "kind": "confirmed", "n": 0, "qty": 1, "at_ms": 5, "seq": seq,
    }  # fmt: skip
    await world.write(insert(movements).values(row))
    verdict = await world.watch.look()
    assert verdict.drift["impossible"] == 1
    assert "vwr_9/rid-ghost: confirmed at 5, when it was nothing any more" in verdict.first[0]


async def test_books_that_are_not_there_are_counted_by_their_deals(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.redis.delete(keys.meta(world.show_id))
    assert await world.drift() == {"books_missing": 1}


async def test_a_redis_that_went_back_is_seen_and_not_taken_for_an_oversale(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    before = await world.redis.dump(keys.meta(world.show_id)), await world.redis.dump(keys.deals(world.show_id))
    await world.hold(1)
    await world.drain()
    await world.watch.look()
    for key, dump in zip((keys.meta(world.show_id), keys.deals(world.show_id)), before, strict=True):
        await world.redis.restore(key, 0, dump, replace=True)  # type: ignore[arg-type]
    verdict = await world.watch.look()
    assert (verdict.drift["log"], verdict.breaches) == (1, 0)


async def test_a_witness_of_what_has_ended_is_drift(selling: AuditWorld) -> None:
    world = selling
    await world.hold(1)
    await world.engine.release(world.show_id, viewer(1).viewer_id, rid(1))
    await world.drain()
    row = {
        "show_id": world.show_id, "viewer_id": viewer(1).viewer_id, "rid": rid(1), "ticket": 1, "epoch": "e",
        "seq": 1, "due_at_ms": 1, "told_at_ms": 1, "record": b"\x90",
    }  # fmt: skip
    await world.write(insert(witnesses).values(row))
    assert await world.drift() == {"witnesses": 1}


# --- how it reads -----------------------------------------------------------------------------------------------------


async def test_each_movement_is_read_once(selling: AuditWorld) -> None:
    world = selling
    for number in range(1, 4):
        await world.buy(number)
    await world.drain()
    await world.watch.look()
    seen = world.watch._seen[world.show_id]
    place = seen.after
    assert place[0] > 0
    world.clock.spend(SETTLED_MS / 1000 + 1)
    await world.watch.look()
    assert seen.after == place
    assert seen.ordered_to > 0  # and the orders' rows, once nobody can commit an earlier one
    assert seen.ordered[world.deal_id].sold == 3
    await world.buy(4)
    assert await world.drift() == {}


async def test_a_long_log_is_read_over_several_turns(selling: AuditWorld) -> None:
    world = selling
    seq = int(await world.redis.hget(keys.meta(world.show_id), "seq"))  # type: ignore[arg-type]
    await world.drain()
    rows = [
        {
            "show_id": world.show_id, "deal_id": world.deal_id, "viewer_id": f"vwr_{number}", "rid": "rid-long",
            "line": 0, "kind": kind, "n": 0, "qty": 1, "at_ms": 1, "seq": seq,
        }
        for number in range(PAGE_ROWS * PAGES_PER_TURN // 2 + 10) for kind in ("held", "released")
    ]  # fmt: skip
    await world.database.write(lambda connection: connection.execute(insert(movements), rows))
    first, second = await world.watch.look(), await world.watch.look()
    assert (first.behind, second.behind) == (1, 0)
    assert second.drift["log"] == second.drift["impossible"] == 0
    assert len(world.watch._seen[world.show_id].replay) == 0


async def test_rows_of_before_there_was_a_call_number_are_replayed_too(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.buy(1)
    await world.hold(2)
    await world.drain()
    await world.write(update(movements).values(seq=0))
    await world.hold(3)
    await world.drain()
    assert await world.drift() == {}


async def test_a_show_that_is_no_longer_watched_is_forgotten(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.watch.look()
    await world.redis.delete(keys.SHOWS)
    verdict = await world.watch.look()
    assert (verdict.shows, world.watch._seen) == (0, {})


async def test_it_waits_while_redis_is_away(database: Database, settings: Settings, clock: HandyClock) -> None:
    away = Redis(port=1, retry=Retry(NoBackoff(), 0))
    engine = ReservationEngine(away, settings, clock)
    with pytest.raises(Refused) as caught:
        await Watch(database, away, engine, clock).look()
    assert caught.value.why is R.BUSY
    await away.aclose()


# --- what is seen of it -----------------------------------------------------------------------------------------------


async def test_web_processes_show_what_the_worker_found(
    sqlite_selling: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_selling
    await change_deal_in_redis(world, quota=3, available=3)
    verdict = await world.looks()
    assert await verdicts.last(world.redis) == verdict
    monkeypatch.setattr(verdicts, "_REDIS_SECONDS_MAX", 60.0)
    await verdicts.measure_audit(world.redis)
    assert verdicts.DRIFT_UNITS.labels("over")._value.get() == 3
    assert verdicts.BREACHES._value.get() == verdict.breaches
    assert verdicts.LAST_RUN._value.get() == verdict.at_ms / 1000


@pytest.mark.parametrize("left", [None, b"{", b'{"other": 1}'])
async def test_measures_say_that_they_do_not_know(redis: Redis, left: bytes | None) -> None:
    if left is not None:
        await redis.set(keys.AUDIT, left)
    await verdicts.measure_audit(redis)
    assert str(verdicts.BREACHES._value.get()) == "nan"
    await verdicts.measure_audit(Redis(port=1, retry=Retry(NoBackoff(), 0)))


async def test_a_verdict_of_a_later_version_with_more_kinds_is_none(redis: Redis) -> None:
    await verdicts.leave(redis, Verdict(1, 0.1, 1, 0, 0, dict.fromkeys(DRIFT, 0)))
    raw = await redis.get(keys.AUDIT)
    await redis.set(keys.AUDIT, raw.replace(b'"over"', b'"new"'))
    assert await verdicts.last(redis) is None
