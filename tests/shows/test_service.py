"""Shows over real Redis and SQL: commands once, stock conserved, events never lost."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import bans, commands_done, show_log
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Line, LinePinned
from livecommerce.reservations import keys
from livecommerce.shows.news import TalkLine
from livecommerce.shows.plans import EditCard, EditDeal, EditShow, NewCard, NewDeal, NewShow, NewVideo
from tests.shows.world import ANA, HOST, MANAGER, MODERATOR, STOCK, STRANGER, VARIANTS, Pool, World


async def refused(why: R, doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    assert caught.value.why is why, caught.value
    return caught.value


# --- stock ----------------------------------------------------------------------------------------------------------


async def test_showing_a_card_moves_its_quota_out_of_the_pool_and_opens_it(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10, 5)
    assert await world.pool() == Pool(STOCK, 0, 0)

    await world.do(show.show_id, c.ShowCard(card.card_id))

    assert await world.pool(0) == Pool(STOCK - 10, 10, 0)
    assert await world.pool(1) == Pool(STOCK - 5, 5, 0)
    hold = await world.engine.reserve(show.show_id, ANA, "rid-00000001", [(card.deals[0].deal_id, 1)])
    assert hold.state == "held"


async def test_opening_without_enough_stock_is_refused_and_moves_nothing(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10, STOCK + 1)

    caught = await refused(R.STOCK_SHORT, world.do(show.show_id, c.ShowCard(card.card_id)))

    assert caught.facts["free"] == STOCK
    assert await world.pool(0) == Pool(STOCK, 0, 0)
    assert (await world.deal(card.deals[0].deal_id)).status == "draft"
    assert (await world.shows.snapshot(show.show_id)).on_air == ""
    assert "card_shown" not in await world.heard(show.show_id)


async def test_closing_gives_back_what_nobody_holds_and_the_rest_when_it_is_freed(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    deal_id = card.deals[0].deal_id
    await world.do(show.show_id, c.ShowCard(card.card_id))
    await world.engine.reserve(show.show_id, ANA, "rid-00000001", [(deal_id, 2)])

    await world.do(show.show_id, c.CloseDeal(deal_id))

    assert await world.pool() == Pool(STOCK - 2, 2, 0)
    await world.shows.due_changes()
    assert (await world.deal(deal_id)).status == "closing"
    await world.engine.release(show.show_id, ANA.viewer_id, "rid-00000001")
    await world.shows.due_changes()
    assert await world.pool() == Pool(STOCK, 0, 0)
    assert (await world.deal(deal_id)).status == "closed"
    await refused(R.DEAL_CLOSED, world.do(show.show_id, c.OpenDeal(deal_id)))


async def test_units_lost_between_redis_and_the_ledger_come_home_when_the_deal_is_finished(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    deal_id = card.deals[0].deal_id
    await world.do(show.show_id, c.ShowCard(card.card_id))
    # A process took the units out of Redis and died before its write.
    assert await world.engine.set_deal_status(show.show_id, deal_id, "closing") == 10

    await world.do(show.show_id, c.CloseDeal(deal_id))
    assert await world.pool() == Pool(STOCK - 10, 10, 0)
    await world.shows.due_changes()

    assert await world.pool() == Pool(STOCK, 0, 0)
    assert (await world.deal(deal_id)).status == "closed"


async def test_ending_closes_every_deal_and_everything_comes_home(world: World) -> None:
    show = await world.show()
    shown = await world.card(show.show_id, 10, 10)
    later = await world.card(show.show_id, 7, opens_at_ms=None)
    await world.do(show.show_id, c.ShowCard(shown.card_id))
    await world.do(show.show_id, c.OpenDeal(later.deals[0].deal_id, in_seconds=60))
    assert await world.pool(0) == Pool(STOCK - 17, 17, 0)

    await world.do(show.show_id, c.End())
    await world.shows.due_changes()

    assert await world.pool(0) == Pool(STOCK, 0, 0)
    for deal in (*shown.deals, *later.deals):
        assert (await world.deal(deal.deal_id)).status == "closed"
    await refused(R.SHOW_OVER, world.do(show.show_id, c.GoLive()))


async def test_everything_goes_on_in_another_process(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    await world.do(show.show_id, c.ShowCard(card.card_id))
    before = await world.shows.snapshot(show.show_id)

    world.shows = world.process()

    assert await world.shows.snapshot(show.show_id) == before
    await world.do(show.show_id, c.End())
    await world.shows.due_changes()
    assert await world.pool() == Pool(STOCK, 0, 0)


# --- the clock ------------------------------------------------------------------------------------------------------


async def test_an_announced_deal_opens_at_its_instant_and_not_before(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    deal_id = card.deals[0].deal_id
    await world.do(show.show_id, c.ShowCard(card.card_id, open_in_seconds=10))
    assert await world.pool() == Pool(STOCK - 10, 10, 0)

    await world.clock.advance(9.999)
    opens_at_ms = await world.shows.due_changes()
    assert opens_at_ms == world.clock.now_ms() + 1
    early = await refused(R.DEAL_NOT_OPEN, world.engine.reserve(show.show_id, ANA, "rid-00000001", [(deal_id, 1)]))
    assert early.after_ms is not None

    await world.clock.advance(0.001)
    await world.shows.due_changes()
    assert (await world.engine.reserve(show.show_id, ANA, "rid-00000001", [(deal_id, 1)])).state == "held"
    assert (await world.heard(show.show_id)).count("deal_opened") == 1


async def test_a_deal_with_an_end_closes_by_the_clock(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    deal_id = card.deals[0].deal_id
    await world.do(show.show_id, c.OpenDeal(deal_id, for_seconds=30))

    await world.clock.advance(29.999)
    await world.shows.due_changes()
    assert (await world.deal(deal_id)).status == "open"
    await world.clock.advance(0.001)
    await world.shows.due_changes()
    await world.shows.due_changes()

    assert (await world.deal(deal_id)).status == "closed"
    assert await world.pool() == Pool(STOCK, 0, 0)


async def test_a_planned_opening_without_stock_becomes_a_draft_again_and_stops_nobody(world: World) -> None:
    show = await world.show(live=False)
    soon = world.clock.now_ms() + 60_000
    short = await world.card(show.show_id, STOCK + 1, opens_at_ms=soon)
    enough = await world.card(show.show_id, 5, opens_at_ms=soon)
    await world.do(show.show_id, c.GoLive())

    await world.shows.due_changes()

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

    await asyncio.gather(world.shows.due_changes(), other.due_changes())

    assert (await world.heard(show.show_id)).count("deal_opened") == 1


# --- commands -------------------------------------------------------------------------------------------------------


async def test_a_repeated_command_has_one_effect(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    command = c.ShowCard(card.card_id)

    answers = [await world.shows.command(HOST, show.show_id, "the-same-id", command) for _ in range(3)]
    at_once = await asyncio.gather(
        *(world.process().command(HOST, show.show_id, "another-id", c.SlowMode(30)) for _ in range(4))
    )

    assert answers == ["done", "already", "already"]
    assert sorted(at_once) == ["already", "already", "already", "done"]
    heard = await world.heard(show.show_id)
    assert (heard.count("card_shown"), heard.count("room_rules")) == (1, 1)
    assert await world.pool() == Pool(STOCK - 10, 10, 0)


async def test_a_command_id_with_another_body_is_a_conflict(world: World) -> None:
    show = await world.show()
    await world.shows.command(HOST, show.show_id, "the-same-id", c.SlowMode(30))

    await refused(R.CONFLICT, world.shows.command(HOST, show.show_id, "the-same-id", c.SlowMode(60)))

    assert (await world.shows.snapshot(show.show_id)).slow_seconds == 30


async def test_a_refused_command_may_be_sent_again_under_its_id(world: World) -> None:
    show = await world.show(live=False)
    await refused(R.SHOW_NOT_LIVE, world.shows.command(HOST, show.show_id, "the-same-id", c.End()))
    async with world.database.read() as connection:
        assert (await connection.execute(select(commands_done))).all() == []
    await world.do(show.show_id, c.GoLive())

    assert await world.shows.command(HOST, show.show_id, "the-same-id", c.End()) == "done"


async def test_scope_and_role_decide_who_may_command(world: World) -> None:
    show = await world.show()

    await refused(R.FORBIDDEN, world.do(show.show_id, c.SlowMode(30), STRANGER))
    await refused(R.FORBIDDEN, world.do(show.show_id, c.End(), MODERATOR))
    await refused(R.NOT_FOUND, world.do("shw_unknown", c.End()))
    assert await world.do(show.show_id, c.SlowMode(30), MODERATOR) == "done"
    assert await world.do(show.show_id, c.Interrupt("back in a moment"), MANAGER) == "done"

    assert await world.log_kinds(show.show_id, public=False) == [
        "show_changed", "command", "show_changed", "command", "room_rules", "command", "show_changed", "note",
    ]  # fmt: skip


async def test_commands_stand_in_the_log_with_who_gave_them(world: World) -> None:
    show = await world.show()
    await world.do(show.show_id, c.SlowMode(30, "loud"), MODERATOR)

    rows = await world.shows.log_page(HOST, show.show_id)

    row = next(row for row in rows if row.kind == "command" and row.actor_id == MODERATOR.account_id)
    assert row.body == {"do": "slow_mode", "seconds": 30, "reason": "loud"}
    await refused(R.FORBIDDEN, world.shows.log_page(STRANGER, show.show_id))


async def test_unknown_cards_deals_lines_and_questions_are_refused(world: World) -> None:
    show = await world.show()
    before = await world.heard(show.show_id)

    await refused(R.NOT_FOUND, world.do(show.show_id, c.ShowCard("crd_x")))
    await refused(R.UNKNOWN_DEAL, world.do(show.show_id, c.OpenDeal("dea_x")))
    await refused(R.NOT_FOUND, world.do(show.show_id, c.PinLine("lin_x")))
    await refused(R.NOT_FOUND, world.do(show.show_id, c.TakeQuestion("qst_x")))
    await refused(R.EMPTY, world.do(show.show_id, c.Announce("   ")))

    assert await world.heard(show.show_id) == before


# --- talk -----------------------------------------------------------------------------------------------------------


async def test_a_line_is_pinned_hidden_and_let_through_by_its_id(world: World) -> None:
    show = await world.show()
    shown, held = Line("lin_1", 1, "Ana", "which shade?"), Line("lin_2", 2, "Bea", "look at example.com")
    news = world.shows.news
    await news.remember_talk(show.show_id, [TalkLine(shown, "vwr_ana"), TalkLine(held, "vwr_bea", held=True)])
    assert await news.recent_talk(show.show_id) == [shown]

    await world.do(show.show_id, c.PinLine("lin_1"), MODERATOR)
    await world.do(show.show_id, c.LetThrough("lin_2"), MODERATOR)

    assert (await world.shows.snapshot(show.show_id)).pinned == (shown,)
    assert await news.recent_talk(show.show_id) == [shown, held]
    await world.do(show.show_id, c.HideLine("lin_1"), MODERATOR)
    assert (await world.shows.snapshot(show.show_id)).pinned == ()
    assert await news.recent_talk(show.show_id) == [held]


async def test_a_ban_closes_the_door_and_is_lifted(world: World) -> None:
    show = await world.show()
    await world.shows.may_enter(show.show_id, ANA)

    await world.do(show.show_id, c.Ban(ANA.viewer_id), MODERATOR)
    await refused(R.BANNED, world.shows.may_enter(show.show_id, ANA))

    await world.do(show.show_id, c.Ban(ANA.viewer_id, lift=True), MODERATOR)
    await world.shows.may_enter(show.show_id, ANA)


async def test_a_mute_ends_by_itself_or_when_it_is_lifted(world: World) -> None:
    show = await world.show()
    await world.do(show.show_id, c.Mute(ANA.viewer_id, 10), MODERATOR)
    assert await world.shows.mutes(show.show_id) == {ANA.viewer_id: world.clock.now_ms() + 600_000}

    await world.clock.advance(600)
    assert await world.shows.mutes(show.show_id) == {}
    await world.do(show.show_id, c.Mute(ANA.viewer_id, 10), MODERATOR)
    await world.do(show.show_id, c.Mute(ANA.viewer_id, 0), MODERATOR)

    assert await world.shows.mutes(show.show_id) == {}
    async with world.database.read() as connection:
        assert (await connection.execute(select(bans))).all() == []


async def test_a_mute_can_name_a_line_instead_of_its_speaker(world: World) -> None:
    show = await world.show()
    said = Line("lin_1", world.clock.now_ms(), "Ana", "again", "viewer", "chat")
    own = Line("lin_2", world.clock.now_ms(), "Mei", "hello", "host", "notice")
    await world.shows.news.remember_talk(show.show_id, [TalkLine(said, ANA.viewer_id), TalkLine(own)])

    await world.do(show.show_id, c.Mute(line_id="lin_1"), MODERATOR)
    assert set(await world.shows.mutes(show.show_id)) == {ANA.viewer_id}
    await world.do(show.show_id, c.Mute(line_id="lin_1", minutes=0), MODERATOR)

    await refused(R.NOT_FOUND, world.do(show.show_id, c.Mute(line_id="lin_2"), MODERATOR))
    await refused(R.NOT_FOUND, world.do(show.show_id, c.Mute(line_id="lin_gone"), MODERATOR))
    await refused(R.NOT_FOUND, world.do(show.show_id, c.Mute(), MODERATOR))
    assert await world.shows.mutes(show.show_id) == {}


async def test_a_promise_stands_on_its_card(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id)

    await world.do(show.show_id, c.Promise(card.card_id, "buy two, get the mini"))

    snapshot = await world.shows.snapshot(show.show_id)
    assert snapshot.promises == {card.card_id: ("buy two, get the mini",)}


async def test_recorded_talk_stands_in_the_log_in_one_write(world: World) -> None:
    show = await world.show()
    lines = [TalkLine(Line(f"lin_{n}", n, "Ana", f"line {n}"), ANA.viewer_id) for n in range(50)]

    await world.shows.say_record(show.show_id, lines)

    rows = [row for row in await world.shows.log_page(HOST, show.show_id, limit=1000) if row.kind == "talk"]
    assert [row.body["text"] for row in rows] == [f"line {n}" for n in range(50)]
    assert rows[0].offset is None


# --- never lost -----------------------------------------------------------------------------------------------------


async def test_events_committed_by_a_process_that_died_are_published_in_order_by_the_next(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10)
    dead = world.process()

    async def died(show_id: str) -> None:
        return None

    dead.catch_up = died  # type: ignore[method-assign]
    await dead.command(HOST, show.show_id, "dead-1-show", c.ShowCard(card.card_id))
    await dead.command(HOST, show.show_id, "dead-2-slow", c.SlowMode(30))
    assert "card_shown" not in await world.heard(show.show_id)

    await world.shows.due_changes()

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
    await world.shows.catch_up(show.show_id)

    assert await world.heard(show.show_id) == heard
    rows = await world.shows.log_page(HOST, show.show_id)
    assert [row.offset for row in rows if row.epoch] == list(range(1, len(heard) + 1))


async def test_commands_of_two_processes_at_once_leave_dense_offsets_and_a_log_in_the_same_order(world: World) -> None:
    show = await world.show()
    processes = [world.process() for _ in range(2)]

    await asyncio.gather(
        *(processes[n % 2].command(HOST, show.show_id, f"at-once-{n:04d}", c.UnpinLine(f"lin_{n}")) for n in range(40))
    )
    await world.shows.due_changes()

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


# --- planning -------------------------------------------------------------------------------------------------------


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

    await refused(why, world.shows.add_card(HOST, show.show_id, new))

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

    await refused(R.MALFORMED, world.shows.add_card(HOST, show.show_id, card))


async def test_a_card_is_completed_from_catalogue_corner_and_shop(world: World) -> None:
    show = await world.show("flash_sale", live=False)

    card = await world.shows.add_card(HOST, show.show_id, NewCard("deal", deals=(NewDeal(VARIANTS[0], 5),)))

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
    changed = await world.shows.edit_card(HOST, show.show_id, card.card_id, cheaper)
    assert (changed.line, changed.deals[0].price_minor, changed.deals[0].quota) == ("ours", 1500, 20)

    await world.do(show.show_id, c.ShowCard(card.card_id))
    edit = EditCard(deals=(EditDeal(deal_id, price_minor=1),))
    await refused(R.WRONG_STATE, world.shows.edit_card(HOST, show.show_id, card.card_id, edit))
    assert (await world.deal(deal_id)).price_minor == 1500


async def test_cards_are_put_in_order_and_taken_out(world: World) -> None:
    show = await world.show()
    first, second = await world.card(show.show_id, 1), await world.card(show.show_id, 2)

    await world.shows.reorder_cards(HOST, show.show_id, [second.card_id, first.card_id])
    cards = (await world.shows.for_staff(HOST, show.show_id)).cards
    assert [card.card_id for card in cards] == [second.card_id, first.card_id]
    await refused(R.CONFLICT, world.shows.reorder_cards(HOST, show.show_id, [first.card_id]))

    await world.do(show.show_id, c.ShowCard(first.card_id))
    await refused(R.WRONG_STATE, world.shows.remove_card(HOST, show.show_id, first.card_id))
    await world.shows.remove_card(HOST, show.show_id, second.card_id)
    assert [card.card_id for card in (await world.shows.snapshot(show.show_id)).cards] == [first.card_id]


async def test_a_clone_has_the_rundown_and_none_of_the_history(world: World) -> None:
    show = await world.show()
    card = await world.card(show.show_id, 10, 5)
    await world.do(show.show_id, c.ShowCard(card.card_id))

    copy = await world.shows.clone(MANAGER, show.show_id)

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

    await refused(R.FORBIDDEN, world.shows.create(MODERATOR, NewShow("X", "open_house")))
    await refused(R.FORBIDDEN, world.shows.create(STRANGER, NewShow("X", "open_house", org_unit_id="org_north")))
    await refused(R.FORBIDDEN, world.shows.edit(STRANGER, show.show_id, EditShow(title="Mine")))
    await refused(R.FORBIDDEN, world.shows.for_staff(STRANGER, show.show_id))
    edited = await world.shows.edit(MANAGER, show.show_id, EditShow(title="Later", slow_seconds=5))

    assert edited.title == "Later"
    assert (await world.shows.facts(show.show_id)).title == "Later"
    assert [facts.show_id for facts in (await world.shows.list_for(MANAGER)).upcoming] == [show.show_id]
    assert (await world.shows.list_for(STRANGER)).upcoming == ()


async def test_an_instant_schedules_a_draft_and_on_air_nothing_of_it_changes(world: World) -> None:
    draft = await world.shows.create(HOST, NewShow("Evening", "open_house"))
    assert draft.status == "draft"
    await refused(R.NOT_FOUND, world.shows.may_enter(draft.show_id, ANA))

    scheduled = await world.shows.edit(HOST, draft.show_id, EditShow(scheduled_at_ms=5_000_000))
    assert scheduled.status == "scheduled"
    await world.shows.may_enter(draft.show_id, ANA)
    await world.do(draft.show_id, c.GoLive())

    await refused(R.WRONG_STATE, world.shows.edit(HOST, draft.show_id, EditShow(scheduled_at_ms=6_000_000)))
    same = await world.shows.edit(HOST, draft.show_id, EditShow(scheduled_at_ms=5_000_000, about="ours"))
    assert (same.status, same.about) == ("live", "ours")


async def test_the_public_list_has_no_drafts_and_nothing_for_invited_guests(world: World) -> None:
    live = await world.show()
    await world.shows.create(HOST, NewShow("Draft", "open_house"))
    await world.show("family_day", live=False)
    over = await world.show()
    await world.do(over.show_id, c.End())

    listed = await world.shows.list_public()

    assert [facts.show_id for facts in listed.live] == [live.show_id]
    assert listed.upcoming == ()
    assert [facts.show_id for facts in listed.past] == [over.show_id]


async def test_the_clip_of_a_show_begins_when_it_first_goes_live(world: World) -> None:
    show = await world.show(live=False, video=NewVideo("file", "/media/clip.mp4", loop=True))
    await world.do(show.show_id, c.GoLive())
    began = world.clock.now_ms()
    await world.clock.advance(60)
    await world.do(show.show_id, c.Interrupt())
    await world.do(show.show_id, c.GoLive())

    facts = await world.shows.facts(show.show_id)

    assert (facts.video.started_at_ms, facts.started_at_ms) == (began, began)
    await refused(R.MALFORMED, world.shows.edit(HOST, show.show_id, EditShow(video=NewVideo("hls"))))


async def test_a_file_on_air_starts_over_when_asked_and_only_then(world: World) -> None:
    clip = NewVideo("file", "/media/clip.mp4", loop=True)
    show = await world.show(live=False, video=clip)
    again = EditShow(video=NewVideo("file", "/media/clip.mp4", loop=True, restart=True))
    assert (await world.shows.edit(HOST, show.show_id, again)).video.started_at_ms is None
    await world.do(show.show_id, c.GoLive())
    began = world.clock.now_ms()
    await world.clock.advance(60)

    assert (await world.shows.edit(HOST, show.show_id, EditShow(video=clip))).video.started_at_ms == began
    assert (await world.shows.edit(HOST, show.show_id, again)).video.started_at_ms == began + 60_000
    assert (await world.shows.snapshot(show.show_id)).show.video.started_at_ms == began + 60_000


async def test_a_pinned_line_is_an_event_of_the_log(world: World) -> None:
    show = await world.show()
    line = Line("lin_1", 1, "Ana", "hello")
    await world.shows.news.remember_talk(show.show_id, [TalkLine(line)])
    await world.do(show.show_id, c.PinLine("lin_1"))

    epoch, offset = await world.shows.news.position(show.show_id)
    events = await world.shows.news.since(show.show_id, epoch, offset - 1)

    assert [stamped.event for stamped in events or []] == [LinePinned(line)]


async def test_books_that_were_lost_are_never_opened_anew_from_what_was_allotted(world: World) -> None:
    """The host goes on as if nothing were: the next deal waits for the rebuild, and no old one is full again."""
    show = await world.show()
    card = await world.card(show.show_id, 5)
    await world.do(show.show_id, c.ShowCard(card.card_id))
    further = await world.card(show.show_id, 3)
    await world.redis.delete(keys.meta(show.show_id), keys.deals(show.show_id))
    await world.do(show.show_id, c.ShowCard(further.card_id))
    assert not await world.engine.has_books(show.show_id)
    assert not await world.redis.exists(keys.deals(show.show_id))
    assert (await world.deal(further.deals[0].deal_id)).status == "open"  # in SQL; the room hears of it later
