"""A deal's rules on their way from the plan to the engine, and a deal that is pulled."""

from dataclasses import replace
from typing import Any

import msgpack
import pytest

from livecommerce.errors import R
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import DealClosed
from livecommerce.reservations import keys
from livecommerce.shows.plans import EditCard, EditDeal, EditShow
from livecommerce.shows.service import Shows
from tests.shows.world import ANA, BEA, HOST, MODERATOR, STOCK, Pool, World, refused

RID, RID_2 = "rid-00000001", "rid-00000002"
RULES: dict[str, Any] = {
    "level": "fsync", "head_wants_more": "wait", "limit_by": "verified", "address_cap": 4, "hold_cap_seconds": 700,
    "hold_seconds": 300, "limit_per_viewer": 2,
}  # fmt: skip
# Places in the engine's record of a deal, from the level on.
_LEVEL, _CAP = 13, 19


async def engines_rules(world: World, show_id: str, deal_id: str) -> list[int]:
    """[level, rule for the head, owed, whom it counts, cap per address, cap on the time held in ms]"""
    record: list[int] = msgpack.unpackb(await world.redis.hget(keys.deals(show_id), deal_id))
    return record[_LEVEL:_CAP]


async def test_every_rule_reaches_the_engine(world: World) -> None:
    show = await world.show(limit_per_person=5)
    card = await world.card(show.show_id, 10, **RULES)
    facts = card.deals[0]
    assert {name: getattr(facts, name) for name in RULES} == RULES
    await world.do(show.show_id, c.ShowCard(card.card_id))
    assert await engines_rules(world, show.show_id, facts.deal_id) == [1, 1, 0, 1, 4, 700_000]
    assert await world.redis.hget(keys.meta(show.show_id), "limit") == b"5"
    await refused(R.VERIFIED_ONLY, world.engine.reserve(show.show_id, ANA, RID, [(facts.deal_id, 1)]))


async def test_a_deal_left_alone_has_rules_that_fit_most(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10, hold_seconds=120)
    await world.do(show.show_id, c.ShowCard(card.card_id))
    # In memory first, the head skipped, guests counted, no cap per address; three whole holds without paying.
    assert await engines_rules(world, show.show_id, card.deals[0].deal_id) == [0, 0, 0, 0, 0, 360_000]


async def test_the_cap_that_nobody_chose_follows_the_hold(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10, hold_seconds=120)

    async def edited(**changes: Any) -> tuple[int, int]:
        edit = EditCard(deals=(EditDeal(card.deals[0].deal_id, **changes),))
        deal = (await world.shows.planning.edit_card(HOST, show.show_id, card.card_id, edit)).deals[0]
        return deal.hold_seconds, deal.hold_cap_seconds

    assert await edited(hold_seconds=600) == (600, 1800)
    assert await edited(hold_cap_seconds=1000) == (600, 1000)
    assert await edited(hold_seconds=900) == (900, 1000)
    assert await edited(hold_cap_seconds=0, limit_by="member", head_wants_more="wait", address_cap=3) == (900, 0)


@pytest.mark.parametrize(
    ("why", "deal"),
    [
        (R.QUANTITY, {"address_cap": -1}),
        (R.MALFORMED, {"hold_seconds": 300, "hold_cap_seconds": 299}),
        (R.MALFORMED, {"hold_cap_seconds": 31 * 86_400}),
        (R.MALFORMED, {"hold_cap_seconds": -1}),
    ],
)
async def test_rules_that_cannot_be_kept_are_refused(world: World, why: R, deal: dict[str, Any]) -> None:
    show = await world.show()
    await refused(why, world.card(show.show_id, 10, **deal))
    assert (await world.shows.for_staff(HOST, show.show_id)).cards == ()


async def test_a_level_that_is_not_offered_is_refused_while_the_deal_is_planned(world: World) -> None:
    show = await world.show()
    await world.redis.config_set("appendfsync", "everysec")
    try:
        no = await refused(R.MALFORMED, world.card(show.show_id, 10, level="fsync"))
        assert no.facts == {"field": "level"}
        assert "level" in no.text
        card = await world.card(show.show_id, 10)
        edit = EditCard(deals=(EditDeal(card.deals[0].deal_id, level="fsync"),))
        await refused(R.MALFORMED, world.shows.planning.edit_card(HOST, show.show_id, card.card_id, edit))
    finally:
        await world.redis.config_set("appendfsync", "always")
    assert (await world.deal(card.deals[0].deal_id)).level == "soft"


async def test_a_server_without_mail_plans_no_deal_for_verified_guests(world: World) -> None:
    show = await world.show()
    settings = replace(world.settings, mode="production")
    world.shows = Shows(world.database, world.engine, world.catalogue, world.shows.news, world.clock, settings)
    no = await refused(R.MALFORMED, world.card(show.show_id, 10, limit_by="verified"))
    assert no.facts == {"field": "limit_by"}
    await world.card(show.show_id, 10, limit_by="member")


async def test_the_limit_of_a_show_holds_over_its_deals_and_may_change_while_it_runs(world: World) -> None:
    show = await world.show(limit_per_person=2)
    card = await world.card(show.show_id, 10, 10)
    await world.do(show.show_id, c.ShowCard(card.card_id))
    first, second = (deal.deal_id for deal in card.deals)
    await world.engine.reserve(show.show_id, ANA, RID, [(first, 2)])
    no = await refused(R.LIMIT, world.engine.reserve(show.show_id, ANA, RID_2, [(second, 1)]))
    assert no.facts == {"deal_id": second, "limit": 2, "of": "show", "yours": 2}
    facts = await world.shows.planning.edit(HOST, show.show_id, EditShow(limit_per_person=3))
    assert facts.limit_per_person == 3
    assert (await world.engine.reserve(show.show_id, ANA, RID_2, [(second, 1)])).state == "held"


async def test_a_clone_keeps_the_rules(world: World) -> None:
    show = await world.show(limit_per_person=4)
    card = await world.card(show.show_id, 10, limit_by="member", address_cap=4)
    await world.do(show.show_id, c.ShowCard(card.card_id))
    await world.do(show.show_id, c.CloseDeal(card.deals[0].deal_id, pulled=True, holds="cancel"))
    copy = await world.shows.planning.clone(HOST, show.show_id)
    [copied] = (await world.shows.for_staff(HOST, copy.show_id)).cards
    assert copy.limit_per_person == 4
    assert (copied.deals[0].limit_by, copied.deals[0].address_cap, copied.deals[0].pulled) == ("member", 4, "")


# --- pulling --------------------------------------------------------------------------------------------------------


async def on_sale(world: World, **rules: Any) -> tuple[str, str]:
    """(show, deal) with Ana holding two of three units, Bea one, and somebody waiting."""
    show = await world.show()
    card = await world.card(show.show_id, 3, **rules)
    await world.do(show.show_id, c.ShowCard(card.card_id))
    deal_id = card.deals[0].deal_id
    await world.engine.reserve(show.show_id, ANA, RID, [(deal_id, 2)])
    await world.engine.reserve(show.show_id, BEA, RID, [(deal_id, 1)])
    await world.engine.reserve(show.show_id, ViewerIdentity("vwr_c", "Cleo"), RID, [(deal_id, 1)], wait=True)
    return show.show_id, deal_id


async def states(world: World, show_id: str) -> list[str]:
    return [(await world.engine.release(show_id, f"vwr_{who}", RID)).state for who in ("ana", "bea", "c")]


async def events_of(world: World, show_id: str) -> list[DealClosed]:
    epoch, _ = await world.shows.news.position(show_id)
    events = await world.shows.news.since(show_id, epoch, 0)
    assert events is not None
    return [stamped.event for stamped in events if isinstance(stamped.event, DealClosed)]


async def test_honouring_stops_new_holds_and_lets_who_holds_pay(world: World) -> None:
    show_id, deal_id = await on_sale(world)
    await world.do(show_id, c.CloseDeal(deal_id, pulled=True))
    await refused(R.DEAL_CLOSED, world.engine.reserve(show_id, BEA, RID_2, [(deal_id, 1)]))
    assert (await world.engine.begin_pay(show_id, ANA.viewer_id, RID, 60_000)).state == "paying"
    assert [hold.state for hold in await world.engine.holds_of(show_id, BEA.viewer_id)] == ["held"]
    assert await world.engine.holds_of(show_id, "vwr_c") == ()
    assert await events_of(world, show_id) == [DealClosed(deal_id, "pulled", "honour")]


async def test_cancelling_ends_what_is_not_being_paid_and_the_units_come_home(world: World) -> None:
    show_id, deal_id = await on_sale(world)
    await world.do(show_id, c.CloseDeal(deal_id, pulled=True, holds="cancel"))
    assert await states(world, show_id) == ["cancelled", "cancelled", "lapsed"]
    await world.shows.programme.due_changes()
    assert (await world.deal(deal_id)).status == "closed"
    assert await world.pool() == Pool(STOCK, 0, 0)
    [card] = (await world.shows.for_staff(HOST, show_id)).cards
    assert card.deals[0].pulled == "cancel"
    assert await events_of(world, show_id) == [DealClosed(deal_id, "pulled", "cancel")]
    assert "close_deal" in [row.body.get("do") for row in await world.shows.log_page(HOST, show_id)]


async def test_who_pays_while_a_deal_is_cancelled_is_left_to_sql(world: World) -> None:
    show_id, deal_id = await on_sale(world)
    await world.engine.begin_pay(show_id, ANA.viewer_id, RID, 60_000)
    await world.do(show_id, c.CloseDeal(deal_id, pulled=True, holds="cancel"))
    assert [hold.state for hold in await world.engine.holds_of(show_id, ANA.viewer_id)] == ["paying"]
    await world.shows.programme.due_changes()
    assert (await world.deal(deal_id)).status == "closing"


async def test_a_process_that_dies_while_it_cancels_is_followed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_id, deal_id = await on_sale(world)

    async def dies(*_: Any) -> int:
        raise ConnectionError("killed")

    with monkeypatch.context() as killed:
        killed.setattr(type(world.engine), "cancel_unpaid", dies)
        with pytest.raises(ConnectionError):
            await world.do(show_id, c.CloseDeal(deal_id, pulled=True, holds="cancel"))
    assert (await world.deal(deal_id)).pulled == "cancel"  # committed; nobody has ended the holds yet
    world.shows = world.process()
    await world.shows.programme.due_changes()
    assert await states(world, show_id) == ["cancelled", "cancelled", "lapsed"]
    assert await events_of(world, show_id) == [DealClosed(deal_id, "pulled", "cancel")]


async def test_a_hold_that_is_still_there_after_the_event_is_ended_by_the_clock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_id, deal_id = await on_sale(world)

    async def sees_none(*_: Any) -> int:
        return 0

    with monkeypatch.context() as blind:
        blind.setattr(type(world.engine), "cancel_unpaid", sees_none)
        await world.do(show_id, c.CloseDeal(deal_id, pulled=True, holds="cancel"))
    await world.shows.programme.due_changes()
    assert await states(world, show_id) == ["cancelled", "cancelled", "lapsed"]


async def test_what_was_honoured_or_closed_can_still_be_cancelled_and_never_the_other_way(world: World) -> None:
    show_id, deal_id = await on_sale(world)
    await world.do(show_id, c.CloseDeal(deal_id))
    await world.do(show_id, c.CloseDeal(deal_id, pulled=True))
    await world.do(show_id, c.CloseDeal(deal_id, pulled=True))  # again: nothing more happens
    await world.do(show_id, c.CloseDeal(deal_id, pulled=True, holds="cancel"))
    assert await states(world, show_id) == ["cancelled", "cancelled", "lapsed"]
    await refused(R.DEAL_CLOSED, world.do(show_id, c.CloseDeal(deal_id, pulled=True)))
    assert [event.pulled for event in await events_of(world, show_id)] == ["", "honour", "cancel"]


async def test_a_draft_cannot_be_pulled_nor_a_moderator_pull(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 3)
    pull = c.CloseDeal(card.deals[0].deal_id, pulled=True, holds="cancel")
    await refused(R.DEAL_NOT_OPEN, world.do(show.show_id, pull))
    await refused(R.FORBIDDEN, world.do(show.show_id, pull, MODERATOR))
    assert (await world.deal(card.deals[0].deal_id)).status == "draft"
