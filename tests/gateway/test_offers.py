"""Offers from the moment to the page and back, on the real hub, shows, engine and ledger."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from sqlalchemy import event, insert

from livecommerce.catalogue.pools import Move, apply_moves
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.gateway import offers as offers_module
from livecommerce.ledger.tables import locations
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Hold, Level, OfferFacts
from livecommerce.protocol.from_viewer import OfferSeen, Release, Reserve, WantLine
from livecommerce.protocol.to_viewer import Answer, OfferMade, Own, RefusedMessage
from livecommerce.reservations import keys
from livecommerce.settings import Settings
from livecommerce.shows.offer_books import OfferBooks, OfferCount
from livecommerce.shows.offers import NewOfferRule
from tests.gateway.live import WAIT_SECONDS, Raw, live, until
from tests.gateway.real_house import House, open_house, sqlite_ledger
from tests.shows.world import ANA, BEA, HOST, VARIANTS, viewer

NORTH = ViewerIdentity("vwr_north", "Nora", shop_id="org_north")


@pytest.fixture
async def house(
    sqlite_template: Path, tmp_path: Path, redis: Redis, settings: Settings, clock: TestClock
) -> AsyncIterator[House]:
    async with (
        sqlite_ledger(sqlite_template, tmp_path) as database,
        open_house(database, redis, settings, clock) as made,
    ):
        yield made


_rids = iter(range(10**6))


def reserve(raw: Raw, *deal_ids: str, **more: Any) -> str:
    rid = f"rid_{next(_rids):08d}"
    raw.send(Reserve(rid, tuple(WantLine(deal_id, 1) for deal_id in deal_ids), **more))
    return rid


async def offered(raw: Raw) -> OfferFacts:
    message: OfferMade = await raw.read_until(OfferMade)
    return message.offer


async def own_hold(raw: Raw, state: str) -> Hold:
    """What she is told of a hold of hers once it is in this state."""
    while (hold := (await raw.read_until(Own)).hold) is None or hold.state != state:
        pass
    return hold


async def counts(house: House, show_id: str) -> tuple[OfferCount, ...]:
    return (await house.offers.of_show(HOST, show_id))[1]


async def counted(house: House, show_id: str, *expected: OfferCount) -> None:
    """The books come to say exactly this."""
    async with asyncio.timeout(WAIT_SECONDS):
        while (found := await counts(house, show_id)) != expected:
            assert len(found) <= len(expected), found
            await asyncio.sleep(0.002)


async def settled(house: House, show_id: str) -> None:
    desk = house.one.hub.rooms[show_id].offers
    await until(lambda: not desk._working)


async def test_sold_out_is_answered_first_and_another_shade_offered_then(house: House) -> None:
    facts = await house.world.show()
    card = await house.on_air(facts.show_id, 1, 4)
    rose, plum = (deal.deal_id for deal in card.deals)
    ana, _ = await house.seat(facts.show_id, ANA)
    bea, _ = await house.seat(facts.show_id, BEA)
    reserve(ana, rose)
    await ana.read_until(Answer)
    reserve(bea, rose)
    refused = await bea.read_until(RefusedMessage)
    assert refused.number == R.SOLD_OUT.value.number
    offer = await offered(bea)
    assert (offer.moment, offer.kind, offer.about_deal_id, offer.deal_ids) == (
        "sold_out", "another_shade", rose, (plum,),
    )  # fmt: skip
    bea.send(OfferSeen(offer.offer_id, "shown"))
    rid = reserve(bea, plum, offer_id=offer.offer_id)
    assert (await bea.read_until(Answer)).hold.rid == rid
    await counted(house, facts.show_id, OfferCount("", "sold_out", "another_shade", 1, 1, 0, 1))


async def test_an_offer_sets_nothing_aside_and_bends_no_limit(house: House) -> None:
    facts = await house.world.show()
    card = await house.on_air(facts.show_id, 1, 1, limit_per_viewer=1)
    rose, plum = (deal.deal_id for deal in card.deals)
    ana, _ = await house.seat(facts.show_id, ANA)
    bea, _ = await house.seat(facts.show_id, BEA)
    reserve(ana, rose)
    await ana.read_until(Answer)
    reserve(bea, rose)
    offer = await offered(bea)
    reserve(ana, plum)  # somebody is faster than who was offered it
    await ana.read_until(Answer)
    reserve(bea, plum, offer_id=offer.offer_id)
    assert (await bea.read_until(RefusedMessage)).number == R.SOLD_OUT.value.number
    reserve(ana, plum, offer_id=offer.offer_id)
    assert (await ana.read_until(RefusedMessage)).number == R.LIMIT.value.number
    await settled(house, facts.show_id)
    assert [count.taken for count in await counts(house, facts.show_id)] == [0] * len(
        await counts(house, facts.show_id)
    )
    _, levels = await house.one.engine.levels(facts.show_id)
    assert levels[plum] == Level(0, 1, 0, 0, 0)


async def test_her_own_counter_is_named_with_what_it_has_now(house: House) -> None:
    facts = await house.world.show()
    card = await house.on_air(facts.show_id, 1)
    rose = card.deals[0].deal_id

    async def work(connection: Any) -> None:
        row = {"id": "loc_shop", "kind": "shop", "name": "Lyon Bellecour", "city": "Lyon", "org_unit_id": "org_north"}
        await connection.execute(insert(locations).values(row))
        await apply_moves(connection, [Move("m1", "stock", VARIANTS[0], "loc_shop", 3)], 0)

    await house.world.database.write(work)
    ana, _ = await house.seat(facts.show_id, ANA)
    nora, _ = await house.seat(facts.show_id, NORTH)
    bea, _ = await house.seat(facts.show_id, BEA)
    reserve(ana, rose)
    await ana.read_until(Answer)
    reserve(nora, rose)
    offer = await offered(nora)
    assert offer.counter is not None
    assert (offer.kind, offer.deal_ids, offer.counter.name, offer.counter.units) == (
        "counter", (), "Lyon Bellecour", 3,
    )  # fmt: skip
    reserve(bea, rose)  # she has no shop of her own: the line is what is left
    waits = await offered(bea)
    assert (waits.kind, waits.deal_ids, waits.wait, waits.place) == ("wait_list", (rose,), True, 1)
    nora.send(OfferSeen(offer.offer_id, "noted"))
    rid = reserve(bea, rose, wait=True, offer_id=waits.offer_id)
    assert (await bea.read_until(Answer)).hold.rid == rid
    await counted(
        house, facts.show_id, OfferCount("", "sold_out", "counter", 1, 1, 0, 1),
        OfferCount("", "sold_out", "wait_list", 1, 1, 0, 1),
    )  # fmt: skip


async def test_what_she_gives_back_is_answered_by_a_cheaper_one_once(house: House) -> None:
    facts = await house.world.show()
    dear = await house.on_air(facts.show_id, 5)
    cheap = await house.on_air(facts.show_id, 5, price_minor=900)
    rule = NewOfferRule("released", "cheaper", words={"en": "Or the small one?"})
    kept = await house.offers.add(HOST, facts.show_id, rule)
    ana, _ = await house.seat(facts.show_id, ANA)
    for _ in range(2):
        rid = reserve(ana, dear.deals[0].deal_id)
        await ana.read_until(Answer)
        ana.send(Release(rid))
    offer = await offered(ana)
    assert (offer.kind, offer.deal_ids, offer.words) == (
        "cheaper", (cheap.deals[0].deal_id,), {"en": "Or the small one?"},
    )  # fmt: skip
    ana.send(OfferSeen(offer.offer_id, "dismissed"))
    await settled(house, facts.show_id)
    await until(lambda: not house.one.hub.rooms[facts.show_id].offers._waiting)
    await counted(house, facts.show_id, OfferCount(kept.rule_id, "released", "cheaper", 1, 1, 1, 0))


async def test_a_hold_that_ran_out_is_a_moment_as_one_that_was_given_back(house: House) -> None:
    facts = await house.world.show()
    dear = await house.on_air(facts.show_id, 5)
    cheap = await house.on_air(facts.show_id, 5, price_minor=900)
    await house.offers.add(HOST, facts.show_id, NewOfferRule("released", "cheaper"))
    ana, _ = await house.seat(facts.show_id, ANA)
    reserve(ana, dear.deals[0].deal_id)
    hold = (await ana.read_until(Answer)).hold
    await house.world.redis.hincrby(keys.meta(facts.show_id), "clk", hold.due_at_ms - house.world.clock.now_ms())
    assert (await house.one.engine.heartbeat(facts.show_id)).expired == 1
    offer = await offered(ana)
    assert (offer.moment, offer.kind, offer.about_deal_id, offer.deal_ids) == (
        "released", "cheaper", dear.deals[0].deal_id, (cheap.deals[0].deal_id,),
    )  # fmt: skip


async def test_an_offer_of_a_freed_unit_that_she_let_pass_is_no_moment(house: House) -> None:
    """She had nothing that she lost, and showed that she does not want it."""
    facts = await house.world.show()
    dear = await house.on_air(facts.show_id, 1)
    await house.on_air(facts.show_id, 5, price_minor=900)
    await house.offers.add(HOST, facts.show_id, NewOfferRule("released", "cheaper"))
    ana, _ = await house.seat(facts.show_id, ANA)
    bea, _ = await house.seat(facts.show_id, BEA)
    rid = reserve(bea, dear.deals[0].deal_id)
    await bea.read_until(Answer)
    reserve(ana, dear.deals[0].deal_id, wait=True)
    await ana.read_until(Answer)
    await house.one.engine.release(facts.show_id, BEA.viewer_id, rid)
    hers = await own_hold(ana, "offered")
    await house.world.redis.hincrby(keys.meta(facts.show_id), "clk", hers.due_at_ms - house.world.clock.now_ms())
    assert (await house.one.engine.heartbeat(facts.show_id)).lapsed == 1
    await own_hold(ana, "lapsed")
    moments = {
        moment for moment, viewer_id, _ in house.one.hub.rooms[facts.show_id].offers._seen if viewer_id == ANA.viewer_id
    }
    assert "released" not in moments


async def test_after_paying_one_offer_is_made_and_near_the_closing_buyers_hear_what_is_left(house: House) -> None:
    facts = await house.world.show()
    first, second = await house.on_air(facts.show_id, 5), await house.on_air(facts.show_id, 5)
    for rule in (
        NewOfferRule("paid", "card", second.card_id), NewOfferRule("paid", "most_left"),
        NewOfferRule("closing_soon", "most_left"),
    ):  # fmt: skip
        await house.offers.add(HOST, facts.show_id, rule)
    ana, _ = await house.seat(facts.show_id, ANA)
    bea, _ = await house.seat(facts.show_id, BEA)
    rid = reserve(ana, first.deals[0].deal_id)
    await ana.read_until(Answer)
    engine = house.one.engine
    await engine.begin_pay(facts.show_id, ANA.viewer_id, rid, 600_000)
    await engine.settle(facts.show_id, ANA.viewer_id, rid)
    offer = await offered(ana)
    assert (offer.moment, offer.kind, offer.deal_ids) == ("paid", "card", (second.deals[0].deal_id,))
    await house.world.do(facts.show_id, c.OpenDeal(second.deals[0].deal_id, 0, 75))
    hall = house.one.hub.rooms[facts.show_id]
    await until(lambda: hall.room.shelf.deals[second.deals[0].deal_id][1].closes_at_ms)
    await house.one.clock.advance(5)
    await settled(house, facts.show_id)
    assert len(await counts(house, facts.show_id)) == 1  # 70 s before the end is not "soon"
    for _ in range(12):
        await house.one.clock.advance(1)
    closing = await offered(ana)
    assert (closing.moment, closing.deal_ids, closing.until_ms) == (
        "closing_soon", (second.deals[0].deal_id,), hall.room.shelf.deals[second.deals[0].deal_id][1].closes_at_ms,
    )  # fmt: skip
    await settled(house, facts.show_id)
    assert sorted((count.moment, count.sent) for count in await counts(house, facts.show_id)) == [
        ("closing_soon", 1), ("paid", 1),
    ]  # fmt: skip
    bea.send(Reserve("rid_bea_00001", (WantLine(first.deals[0].deal_id),)))
    while not isinstance(message := await bea.read(), Answer):
        assert not isinstance(message, OfferMade), "who bought nothing hears nothing"


async def test_two_processes_that_see_the_same_moment_make_one_offer(
    house: House, redis: Redis, settings: Settings, clock: TestClock
) -> None:
    facts = await house.world.show()
    dear = await house.on_air(facts.show_id, 5)
    await house.on_air(facts.show_id, 5, price_minor=900)
    await house.offers.add(HOST, facts.show_id, NewOfferRule("released", "cheaper"))
    door = house.one.door
    async with live(
        redis, settings, clock, real_shows=house.world.process(), real_door=door, offers=house.offers
    ) as other:
        twin = House(other, house.world, house.people, house.offers)
        here, _ = await house.seat(facts.show_id, ANA)
        there, _ = await twin.seat(facts.show_id, ANA)
        rid = reserve(here, dear.deals[0].deal_id)
        await here.read_until(Answer)
        here.send(Release(rid))
        for each in (house, twin):
            desk = each.one.hub.rooms[facts.show_id].offers
            await until(lambda desk=desk: desk._seen)
            await settled(each, facts.show_id)
        (count,) = await counts(house, facts.show_id)
        assert (count.kind, count.sent) == ("cheaper", 1)
        here.close()
        there.close()


async def test_a_storm_of_sold_outs_costs_a_handful_of_reads_and_writes(house: House) -> None:
    facts = await house.world.show()
    card = await house.on_air(facts.show_id, 1, 50)
    rose = card.deals[0].deal_id
    ana, _ = await house.seat(facts.show_id, ANA)
    await house.one.until_seated(1, facts.show_id)
    hall = house.one.hub.rooms[facts.show_id]
    crowd = [viewer(number).viewer_id for number in range(10_000)]
    told: list[str] = []
    # People without sockets would be passed over: each stands on Ana's, and what is told is counted here.
    hall._of_viewer.update(dict.fromkeys(crowd, hall._of_viewer[ANA.viewer_id]))
    hall.offers._tell = lambda viewer_id, offer: told.append(viewer_id)  # type: ignore[method-assign]
    statements: list[str] = []
    for engine in (house.world.database._reader, house.world.database._engine):
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *row: statements.append(str(row[2])))
    sold_out = Refused(R.SOLD_OUT, facts={"deal_id": rose})
    for viewer_id in crowd:
        hall.offers.sold_out(viewer_id, sold_out)
        hall.offers.sold_out(viewer_id, sold_out)
    assert len(hall.offers._waiting) == offers_module.WAITING_MAX
    await settled(house, facts.show_id)
    assert len(told) == len(set(told)) == offers_module.WAITING_MAX
    reads = [each for each in statements if each.lstrip().upper().startswith("SELECT")]
    inserts = [each for each in statements if each.lstrip().upper().startswith("INSERT")]
    assert len(inserts) == offers_module.WAITING_MAX // offers_module.PASS_MAX
    assert len(reads) == 3  # rules, goods, counters
    for viewer_id in crowd:
        hall._of_viewer.pop(viewer_id)
    ana.close()


async def test_while_the_ledger_is_away_nothing_is_offered_and_everything_else_goes_on(house: House) -> None:
    class Away(OfferBooks):
        async def rules(self, show_id: str) -> Any:
            raise Refused(R.UNAVAILABLE)

    facts = await house.world.show()
    card = await house.on_air(facts.show_id, 1, 4)
    house.one.hub.offer_books = Away(house.world.database, house.one.clock)
    ana, _ = await house.seat(facts.show_id, ANA)
    bea, _ = await house.seat(facts.show_id, BEA)
    reserve(ana, card.deals[0].deal_id)
    await ana.read_until(Answer)
    reserve(bea, card.deals[0].deal_id)
    assert (await bea.read_until(RefusedMessage)).number == R.SOLD_OUT.value.number
    await settled(house, facts.show_id)
    assert await counts(house, facts.show_id) == ()
    reserve(bea, card.deals[1].deal_id)
    while not isinstance(message := await bea.read(), Answer):
        assert not isinstance(message, OfferMade)


async def test_what_a_stranger_says_of_an_offer_counts_for_nothing(house: House) -> None:
    facts = await house.world.show()
    card = await house.on_air(facts.show_id, 1, 4)
    ana, _ = await house.seat(facts.show_id, ANA)
    bea, _ = await house.seat(facts.show_id, BEA)
    reserve(ana, card.deals[0].deal_id)
    await ana.read_until(Answer)
    reserve(bea, card.deals[0].deal_id)
    offer = await offered(bea)
    for did in ("shown", "dismissed", "noted"):
        ana.send(OfferSeen(offer.offer_id, did))  # type: ignore[arg-type]
    reserve(ana, card.deals[1].deal_id, offer_id=offer.offer_id)
    await ana.read_until(Answer)
    await counted(house, facts.show_id, OfferCount("", "sold_out", "another_shade", 1, 0, 0, 0))
    assert msgspec.json.encode(offer)
    await asyncio.sleep(0)
