"""The books of offers, on SQLite and PostgreSQL: rules in scope, one row per offer, and counts that add up."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, update

from livecommerce.catalogue.pools import Move, apply_moves
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import locations, offers_made, products
from livecommerce.protocol.facts import CounterFacts
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.offer_books import Made, Mark, OfferBooks, OfferCount, offer_id_of
from livecommerce.shows.offers import RULES_MAX, Goods, NewOfferRule
from tests.shows.world import HOST, MANAGER, STRANGER, VARIANTS, World

AFTER_PAYING = NewOfferRule("paid", "tag", "lips", words={"en": " Something to go with it ", "fr": " "})


@pytest.fixture
async def world(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[World]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    made = World(database, redis, settings, clock, engine)
    await made.seed()
    yield made
    await engine.aclose()


@pytest.fixture
def books(world: World) -> OfferBooks:
    return OfferBooks(world.database, world.clock)


def made(number: int, viewer_id: str = "vwr_ana", kind: str = "another_shade", rule_id: str = "") -> Made:
    return Made(f"off_{number}", viewer_id, rule_id, "sold_out", kind, "dea_1", ("dea_2",))  # type: ignore[arg-type]


async def test_rules_are_read_in_their_order_the_shows_own_before_the_shops(world: World, books: OfferBooks) -> None:
    facts = await world.show(live=False)
    everywhere = await books.add(MANAGER, facts.show_id, NewOfferRule("released", "cheaper", everywhere=True))
    first = await books.add(HOST, facts.show_id, AFTER_PAYING)
    second = await books.add(HOST, facts.show_id, NewOfferRule("paid", "product", "velvet-lip", "any", at_most=3))
    assert await books.rules(facts.show_id) == (first, second, everywhere)
    assert (first.words, first.at_most, first.everywhere) == ({"en": "Something to go with it"}, 1, False)
    other = await world.show(live=False)
    assert await books.rules(other.show_id) == (everywhere,)


async def test_a_rule_said_anew_keeps_its_place_and_one_taken_away_is_gone(world: World, books: OfferBooks) -> None:
    show_id = (await world.show(live=False)).show_id
    first, second = [await books.add(HOST, show_id, AFTER_PAYING) for _ in range(2)]
    changed = await books.change(HOST, show_id, first.rule_id, NewOfferRule("paid", "most_left"))
    assert [rule.rule_id for rule in await books.rules(show_id)] == [first.rule_id, second.rule_id]
    assert changed.offer_kind == "most_left"
    await books.remove(HOST, show_id, first.rule_id)
    assert await books.rules(show_id) == (second,)


async def test_rules_stand_in_the_order_that_staff_gives_them(world: World, books: OfferBooks) -> None:
    show_id = (await world.show(live=False)).show_id
    own = [(await books.add(HOST, show_id, AFTER_PAYING)).rule_id for _ in range(3)]
    wide = NewOfferRule("released", "cheaper", everywhere=True)
    shops = [(await books.add(MANAGER, show_id, wide)).rule_id for _ in range(2)]

    async def order() -> list[str]:
        return [rule.rule_id for rule in await books.rules(show_id)]

    await books.order(HOST, show_id, own[::-1])
    assert await order() == own[::-1] + shops
    await books.order(MANAGER, show_id, shops[::-1])
    assert await order() == own[::-1] + shops[::-1]
    before = await order()
    for who, ids, why in (
        (HOST, shops, R.FORBIDDEN), (STRANGER, own, R.FORBIDDEN), (HOST, own[:2], R.CONFLICT),
        (HOST, [*own, own[0]], R.CONFLICT), (MANAGER, own + shops, R.CONFLICT), (HOST, ["rul_none"], R.CONFLICT),
    ):  # fmt: skip
        with pytest.raises(Refused) as caught:
            await books.order(who, show_id, ids)
        assert caught.value.why is why
    assert await order() == before
    fourth = await books.add(HOST, show_id, AFTER_PAYING)
    assert (await order())[3] == fourth.rule_id


async def test_rules_are_for_staff_in_scope_and_name_what_there_is(world: World, books: OfferBooks) -> None:
    show_id = (await world.show(live=False)).show_id
    kept = await books.add(MANAGER, show_id, NewOfferRule("released", "cheaper", everywhere=True))
    other = NewOfferRule("paid", "like_it")
    for work, why in (
        (books.add(STRANGER, show_id, AFTER_PAYING), R.FORBIDDEN),
        (books.of_show(STRANGER, show_id), R.FORBIDDEN),
        (books.add(HOST, show_id, NewOfferRule("paid", "most_left", everywhere=True)), R.FORBIDDEN),
        (books.change(HOST, show_id, kept.rule_id, other), R.FORBIDDEN),
        (books.remove(HOST, show_id, kept.rule_id), R.FORBIDDEN),
        (books.remove(HOST, show_id, "rul_none"), R.NOT_FOUND),
        (books.change(HOST, show_id, "rul_none", other), R.NOT_FOUND),
        (books.add(HOST, "shw_none", AFTER_PAYING), R.NOT_FOUND),
        (books.add(HOST, show_id, NewOfferRule("paid", "product", "no-such")), R.OFFER_RULE),
        (books.add(HOST, show_id, NewOfferRule("paid", "like_it", "", "card", "crd_none")), R.OFFER_RULE),
        (books.add(HOST, show_id, NewOfferRule("paid", "counter")), R.OFFER_RULE),
    ):
        with pytest.raises(Refused) as refused:
            await work
        assert refused.value.why is why
    assert await books.rules(show_id) == (kept,)


async def test_a_show_has_a_bounded_number_of_rules(world: World, books: OfferBooks) -> None:
    show_id = (await world.show(live=False)).show_id
    for _ in range(RULES_MAX):
        await books.add(HOST, show_id, AFTER_PAYING)
    with pytest.raises(Refused) as refused:
        await books.add(HOST, show_id, AFTER_PAYING)
    assert refused.value.why is R.TOO_MANY


async def test_an_offer_is_written_once_however_many_processes_make_it(world: World, books: OfferBooks) -> None:
    assert await books.keep("shw_1", [made(1), made(2)], []) == {"off_1", "off_2"}
    assert await books.keep("shw_1", [made(2), made(3)], []) == {"off_3"}
    assert offer_id_of("a", "b") == offer_id_of("a", "b") != offer_id_of("ab", "")


async def test_what_became_of_an_offer_is_counted_once_and_for_its_own_viewer(world: World, books: OfferBooks) -> None:
    show_id = (await world.show(live=False)).show_id
    everyone = [*(made(number) for number in range(4)), made(4, kind="counter")]
    await books.keep(show_id, everyone, [])
    ana = "vwr_ana"
    marks = [
        Mark("off_0", ana, "shown"), Mark("off_0", ana, "shown"),
        Mark("off_1", ana, "taken", "rid_1", ("dea_2",)), Mark("off_1", ana, "dismissed"),
        Mark("off_2", ana, "dismissed"),
        Mark("off_3", "vwr_bea", "taken", "rid_2", ("dea_2",)), Mark("off_3", ana, "taken", "rid_3", ("dea_9",)),
        Mark("off_3", ana, "noted"), Mark("off_4", ana, "noted"), Mark("off_4", ana, "taken", "rid_4", ("dea_2",)),
        Mark("off_none", ana, "shown"),
    ]  # fmt: skip
    assert await books.keep(show_id, [], marks) == set()
    await books.keep(show_id, [], marks)
    _, counts = await books.of_show(HOST, show_id)
    assert counts == (
        OfferCount("", "sold_out", "another_shade", 4, 3, 1, 1),
        OfferCount("", "sold_out", "counter", 1, 1, 0, 1),
    )


async def test_a_dismissed_offer_that_is_taken_after_all_counts_as_taken(world: World, books: OfferBooks) -> None:
    show_id = (await world.show(live=False)).show_id
    await books.keep(show_id, [made(1)], [])
    await books.keep(show_id, [], [Mark("off_1", "vwr_ana", "dismissed")])
    await books.keep(show_id, [], [Mark("off_1", "vwr_ana", "taken", "rid_1", ("dea_2",))])
    _, counts = await books.of_show(HOST, show_id)
    assert counts == (OfferCount("", "sold_out", "another_shade", 1, 1, 0, 1),)


async def test_five_hundred_offers_are_one_write(world: World, books: OfferBooks) -> None:
    many = [made(number, f"vwr_{number}") for number in range(500)]
    assert len(await books.keep("shw_1", many, [])) == 500
    async with world.database.read() as connection:
        assert len((await connection.execute(offers_made.select())).all()) == 500


async def test_goods_and_counters_are_read_for_a_whole_show(world: World, books: OfferBooks) -> None:
    facts = await world.show(live=False)
    card = await world.card(facts.show_id, 5, 5)

    async def work(connection: object) -> None:
        for number, (name, org, units) in enumerate((("Lyon", "org_north", 3), ("Lyon 2", "org_north", 1),
                                                     ("Nice", "org_south", 0), ("Depot", None, 9))):  # fmt: skip
            row = {"id": f"loc_{number}", "kind": "shop", "name": name, "city": name, "org_unit_id": org}
            await connection.execute(insert(locations).values(row))  # type: ignore[attr-defined]
            if units:
                await apply_moves(connection, [Move(f"m{number}", "stock", VARIANTS[0], f"loc_{number}", units)], 0)  # type: ignore[arg-type]
        await connection.execute(update(products).values(type="Lipstick", tags=[" Lips", "New"]))  # type: ignore[attr-defined]

    await world.database.write(work)
    assert await books.goods(facts.show_id) == {
        deal.deal_id: Goods("velvet-lip", "Lipstick", frozenset({"lips", "new"})) for deal in card.deals
    }
    assert await books.counters(VARIANTS) == {
        (VARIANTS[0], "org_north"): CounterFacts("Lyon", "", "Lyon", "", 3),
    }
