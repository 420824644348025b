"""The programme run by the clock: deals open and close at their instants, once."""

import asyncio

from livecommerce.errors import R
from livecommerce.protocol import from_host as c
from tests.shows.world import ANA, STOCK, Pool, World, refused


async def test_an_announced_deal_opens_at_its_instant_and_not_before(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    deal_id = card.deals[0].deal_id
    await world.do(show.show_id, c.ShowCard(card.card_id, open_in_seconds=10))
    assert await world.pool() == Pool(STOCK - 10, 10, 0)

    await world.clock.advance(9.999)
    opens_at_ms = await world.shows.programme.due_changes()
    assert opens_at_ms == world.clock.now_ms() + 1
    early = await refused(R.DEAL_NOT_OPEN, world.engine.reserve(show.show_id, ANA, "rid-00000001", [(deal_id, 1)]))
    assert early.after_ms is not None

    await world.clock.advance(0.001)
    await world.shows.programme.due_changes()
    assert (await world.engine.reserve(show.show_id, ANA, "rid-00000001", [(deal_id, 1)])).state == "held"
    assert (await world.heard(show.show_id)).count("deal_opened") == 1


async def test_a_deal_with_an_end_closes_by_the_clock(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    deal_id = card.deals[0].deal_id
    await world.do(show.show_id, c.OpenDeal(deal_id, for_seconds=30))

    await world.clock.advance(29.999)
    await world.shows.programme.due_changes()
    assert (await world.deal(deal_id)).status == "open"
    await world.clock.advance(0.001)
    await world.shows.programme.due_changes()
    await world.shows.programme.due_changes()

    assert (await world.deal(deal_id)).status == "closed"
    assert await world.pool() == Pool(STOCK, 0, 0)


async def test_a_planned_opening_without_stock_becomes_a_draft_again_and_stops_nobody(world: World) -> None:
    show = await world.show(live=False)
    soon = world.clock.now_ms() + 60_000
    short = await world.card(show.show_id, STOCK + 1, opens_at_ms=soon)
    enough = await world.card(show.show_id, 5, opens_at_ms=soon)
    await world.do(show.show_id, c.GoLive())

    await world.shows.programme.due_changes()

    row = await world.deal(short.deals[0].deal_id)
    assert (row.status, row.opens_at_ms) == ("draft", None)
    assert (await world.deal(enough.deals[0].deal_id)).status == "announced"
    assert await world.pool() == Pool(STOCK - 5, 5, 0)


async def test_two_leaders_at_once_open_a_deal_once(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    await world.do(show.show_id, c.ShowCard(card.card_id, open_in_seconds=5))
    other = world.process()
    await world.clock.advance(5)

    await asyncio.gather(world.shows.programme.due_changes(), other.programme.due_changes())

    assert (await world.heard(show.show_id)).count("deal_opened") == 1
