"""Plans of shows, cards and deals: made, changed, copied and refused."""

from typing import Any

import pytest

from livecommerce.errors import R
from livecommerce.protocol import from_host as c
from livecommerce.shows.plans import EditCard, EditDeal, EditShow, NewCard, NewDeal, NewShow, NewVideo
from tests.shows.world import ANA, HOST, MANAGER, MODERATOR, STOCK, STRANGER, VARIANTS, Pool, World, refused


@pytest.mark.parametrize(
    ("why", "deal"),
    [
        (R.PRICE, {"price_minor": -1}),
        (R.PRICE, {"price_minor": 100_000_000_001}),
        (R.MALFORMED, {"price_minor": 100, "was_minor": 100}),
        (R.QUANTITY, {"quota": 0}),
        (R.QUANTITY, {"quota": 100_001}),
        (R.QUANTITY, {"limit_per_viewer": -1}),
        (R.QUANTITY, {"limit_per_viewer": 0}),
        (R.MALFORMED, {"hold_seconds": 1}),
        (R.MALFORMED, {"opens_at_ms": 2_000, "closes_at_ms": 1_000}),
        (R.NOT_FOUND, {"variant_id": "var_none"}),
        (R.NOT_FOUND, {"location_id": "loc_none"}),
    ],
)
async def test_a_deal_that_makes_no_sense_is_refused(world: World, why: R, deal: dict[str, Any]) -> None:
    show = await world.show(live=False)
    new = NewCard("deal", deals=(NewDeal(**{"variant_id": VARIANTS[0], "quota": 10, **deal}),))

    await refused(why, world.shows.planning.add_card(HOST, show.show_id, new))

    assert (await world.shows.for_staff(HOST, show.show_id)).cards == ()


@pytest.mark.parametrize(
    "card",
    [
        NewCard("deal"),
        NewCard("product"),
        NewCard("bundle", deals=(NewDeal(VARIANTS[0], 1),)),
        NewCard("deal", deals=(NewDeal(VARIANTS[0], 1), NewDeal(VARIANTS[0], 2))),
        NewCard("deal", deals=(NewDeal(VARIANTS[0], 1),), hidden_until_launch=True),
    ],
)
async def test_a_card_without_what_its_kind_needs_is_refused(world: World, card: NewCard) -> None:
    show = await world.show(live=False)

    await refused(R.MALFORMED, world.shows.planning.add_card(HOST, show.show_id, card))


async def test_a_card_is_completed_from_catalogue_corner_and_shop(world: World) -> None:
    show = await world.show("flash_sale", live=False)

    card = await world.shows.planning.add_card(HOST, show.show_id, NewCard("deal", deals=(NewDeal(VARIANTS[0], 5),)))

    assert (card.title, card.product_handle) == ("Velvet Lip", "velvet-lip")
    deal = card.deals[0]
    assert (deal.label, deal.swatch, deal.price_minor) == ("Rosewood", "#aa3344", 2900)
    assert (deal.limit_per_viewer, deal.hold_seconds, deal.pay_seconds) == (1, 180, world.settings.pay_seconds_default)
    assert deal.image


async def test_deals_change_while_they_are_drafts_and_not_after(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    deal_id = card.deals[0].deal_id

    cheaper = EditCard(line="ours", deals=(EditDeal(deal_id, price_minor=1500, quota=20),))
    changed = await world.shows.planning.edit_card(HOST, show.show_id, card.card_id, cheaper)
    assert (changed.line, changed.deals[0].price_minor, changed.deals[0].quota) == ("ours", 1500, 20)

    await world.do(show.show_id, c.ShowCard(card.card_id))
    edit = EditCard(deals=(EditDeal(deal_id, price_minor=1),))
    await refused(R.WRONG_STATE, world.shows.planning.edit_card(HOST, show.show_id, card.card_id, edit))
    assert (await world.deal(deal_id)).price_minor == 1500


async def test_cards_are_put_in_order_and_taken_out(world: World) -> None:
    show = await world.show()
    first, second = await world.card(show.show_id, 1), await world.card(show.show_id, 2)

    await world.shows.planning.reorder_cards(HOST, show.show_id, [second.card_id, first.card_id])
    cards = (await world.shows.for_staff(HOST, show.show_id)).cards
    assert [card.card_id for card in cards] == [second.card_id, first.card_id]
    await refused(R.CONFLICT, world.shows.planning.reorder_cards(HOST, show.show_id, [first.card_id]))

    await world.do(show.show_id, c.ShowCard(first.card_id))
    await refused(R.WRONG_STATE, world.shows.planning.remove_card(HOST, show.show_id, first.card_id))
    await world.shows.planning.remove_card(HOST, show.show_id, second.card_id)
    assert [card.card_id for card in (await world.shows.snapshot(show.show_id)).cards] == [first.card_id]


async def test_a_clone_has_the_rundown_and_none_of_the_history(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10, 5)
    await world.do(show.show_id, c.ShowCard(card.card_id))

    copy = await world.shows.planning.clone(MANAGER, show.show_id)

    assert (copy.status, copy.host_name, copy.scheduled_at_ms) == ("draft", "Mona", None)
    copied = (await world.shows.for_staff(MANAGER, copy.show_id)).cards[0]
    assert [deal.status for deal in copied.deals] == ["draft", "draft"]
    assert copied.notes == "say it slowly"
    assert await world.pool() == Pool(STOCK - 10, 10, 0)
    await world.do(copy.show_id, c.GoLive(), MANAGER)
    await world.do(copy.show_id, c.ShowCard(copied.card_id), MANAGER)
    assert await world.pool() == Pool(STOCK - 20, 20, 0)


async def test_plans_are_made_and_changed_by_those_in_scope(world: World) -> None:
    show = await world.show(live=False)

    await refused(R.FORBIDDEN, world.shows.planning.create(MODERATOR, NewShow("X", "open_house")))
    await refused(
        R.FORBIDDEN, world.shows.planning.create(STRANGER, NewShow("X", "open_house", org_unit_id="org_north"))
    )
    await refused(R.FORBIDDEN, world.shows.planning.edit(STRANGER, show.show_id, EditShow(title="Mine")))
    await refused(R.FORBIDDEN, world.shows.for_staff(STRANGER, show.show_id))
    edited = await world.shows.planning.edit(MANAGER, show.show_id, EditShow(title="Later", slow_seconds=5))

    assert edited.title == "Later"
    assert (await world.shows.facts(show.show_id)).title == "Later"
    assert [facts.show_id for facts in (await world.shows.list_for(MANAGER)).upcoming] == [show.show_id]
    assert (await world.shows.list_for(STRANGER)).upcoming == ()


async def test_an_instant_schedules_a_draft_and_on_air_nothing_of_it_changes(world: World) -> None:
    draft = await world.shows.planning.create(HOST, NewShow("Evening", "open_house"))
    assert draft.status == "draft"
    await refused(R.NOT_FOUND, world.shows.may_enter(draft.show_id, ANA))

    scheduled = await world.shows.planning.edit(HOST, draft.show_id, EditShow(scheduled_at_ms=5_000_000))
    assert scheduled.status == "scheduled"
    await world.shows.may_enter(draft.show_id, ANA)
    await world.do(draft.show_id, c.GoLive())

    await refused(R.WRONG_STATE, world.shows.planning.edit(HOST, draft.show_id, EditShow(scheduled_at_ms=6_000_000)))
    same = await world.shows.planning.edit(HOST, draft.show_id, EditShow(scheduled_at_ms=5_000_000, about="ours"))
    assert (same.status, same.about) == ("live", "ours")


async def test_the_clip_of_a_show_begins_when_it_first_goes_live(world: World) -> None:
    show = await world.show(live=False, video=NewVideo("file", "/media/clip.mp4", loop=True))
    await world.do(show.show_id, c.GoLive())
    began = world.clock.now_ms()
    await world.clock.advance(60)
    await world.do(show.show_id, c.Interrupt())
    await world.do(show.show_id, c.GoLive())

    facts = await world.shows.facts(show.show_id)

    assert (facts.video.started_at_ms, facts.started_at_ms) == (began, began)
    await refused(R.MALFORMED, world.shows.planning.edit(HOST, show.show_id, EditShow(video=NewVideo("hls"))))


async def test_a_file_on_air_starts_over_when_asked_and_only_then(world: World) -> None:
    clip = NewVideo("file", "/media/clip.mp4", loop=True)
    show = await world.show(live=False, video=clip)
    again = EditShow(video=NewVideo("file", "/media/clip.mp4", loop=True, restart=True))
    assert (await world.shows.planning.edit(HOST, show.show_id, again)).video.started_at_ms is None
    await world.do(show.show_id, c.GoLive())
    began = world.clock.now_ms()
    await world.clock.advance(60)

    assert (await world.shows.planning.edit(HOST, show.show_id, EditShow(video=clip))).video.started_at_ms == began
    assert (await world.shows.planning.edit(HOST, show.show_id, again)).video.started_at_ms == began + 60_000
    assert (await world.shows.snapshot(show.show_id)).show.video.started_at_ms == began + 60_000
