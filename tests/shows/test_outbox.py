"""The show log as the outbox of the news: nothing that was committed is lost, told twice, or told in another order."""

import asyncio
from typing import Any

from livecommerce.ledger.tables import show_log
from livecommerce.protocol import from_host as c
from livecommerce.reservations import keys
from tests.shows.world import ANA, HOST, World


async def test_events_committed_by_a_process_that_died_are_published_in_order_by_the_next(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    dead = world.process()

    async def died(show_id: str) -> None:
        return None

    dead.outbox.catch_up = died  # type: ignore[method-assign]
    await dead.command(HOST, show.show_id, "dead-1-show", c.ShowCard(card.card_id))
    await dead.command(HOST, show.show_id, "dead-2-slow", c.SlowMode(30))
    assert "card_shown" not in await world.heard(show.show_id)

    await world.shows.programme.due_changes()

    assert (await world.heard(show.show_id))[-3:] == ["card_shown", "deal_opened", "room_rules"]
    hold = await world.engine.reserve(show.show_id, ANA, "rid-00000001", [(card.deals[0].deal_id, 1)])
    assert hold.state == "held"


async def test_a_death_between_the_news_and_the_mark_publishes_nothing_twice(world: World) -> None:
    show = await world.show()
    await world.do(show.show_id, c.SlowMode(30))
    heard = await world.heard(show.show_id)

    async def forget(connection: Any) -> None:
        rows = show_log.update().where(show_log.c.kind == "room_rules")
        await connection.execute(rows.values(epoch="unpublished", offset=None))

    await world.database.write(forget)
    await world.shows.outbox.catch_up(show.show_id)

    assert await world.heard(show.show_id) == heard
    rows = await world.shows.log_page(HOST, show.show_id)
    assert [row.offset for row in rows if row.epoch] == list(range(1, len(heard) + 1))


async def test_commands_of_two_processes_at_once_leave_dense_offsets_and_a_log_in_the_same_order(world: World) -> None:
    show = await world.show()
    processes = [world.process() for _ in range(2)]

    await asyncio.gather(
        *(processes[n % 2].command(HOST, show.show_id, f"at-once-{n:04d}", c.UnpinLine(f"lin_{n}")) for n in range(40))
    )
    await world.shows.programme.due_changes()

    epoch, last = await world.shows.news.position(show.show_id)
    events = await world.shows.news.since(show.show_id, epoch, 0) or []
    heard = [stamped.event.line_id for stamped in events if hasattr(stamped.event, "line_id")]
    rows = [row for row in await world.shows.log_page(HOST, show.show_id, limit=1000) if row.epoch]
    assert [row.offset for row in rows] == list(range(1, last + 1))
    assert [row.body["line_id"] for row in rows if row.kind == "line_unpinned"] == heard
    assert len(heard) == 40


async def test_when_redis_lost_everything_a_new_epoch_begins_and_nothing_waits(world: World) -> None:
    show = await world.show()
    await world.do(show.show_id, c.SlowMode(30))
    epoch, _ = await world.shows.news.position(show.show_id)
    await world.redis.delete(keys.news(show.show_id), keys.news_epoch(show.show_id))

    await world.do(show.show_id, c.SlowMode(60))

    new_epoch, offset = await world.shows.news.position(show.show_id)
    assert new_epoch != epoch
    assert offset == 1
    assert (await world.shows.snapshot(show.show_id)).slow_seconds == 60
