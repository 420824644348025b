"""Shows over real Redis and SQL: commands once, stock conserved, words heard."""

import asyncio

from sqlalchemy import select

from livecommerce.errors import R
from livecommerce.ledger.tables import bans, commands_done
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Line, LinePinned
from livecommerce.reservations import keys
from livecommerce.shows.news import TalkLine
from livecommerce.shows.plans import NewShow
from tests.shows.world import ANA, HOST, MANAGER, MODERATOR, STOCK, STRANGER, Pool, World, refused

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
    await world.shows.programme.due_changes()
    assert (await world.deal(deal_id)).status == "closing"
    await world.engine.release(show.show_id, ANA.viewer_id, "rid-00000001")
    await world.shows.programme.due_changes()
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
    await world.shows.programme.due_changes()

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
    await world.shows.programme.due_changes()

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
    await world.shows.programme.due_changes()
    assert await world.pool() == Pool(STOCK, 0, 0)


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
    assert await world.shows.silence.mutes(show.show_id) == {ANA.viewer_id: world.clock.now_ms() + 600_000}

    await world.clock.advance(600)
    assert await world.shows.silence.mutes(show.show_id) == {}
    await world.do(show.show_id, c.Mute(ANA.viewer_id, 10), MODERATOR)
    await world.do(show.show_id, c.Mute(ANA.viewer_id, 0), MODERATOR)

    assert await world.shows.silence.mutes(show.show_id) == {}
    async with world.database.read() as connection:
        assert (await connection.execute(select(bans))).all() == []


async def test_a_mute_can_name_a_line_instead_of_its_speaker(world: World) -> None:
    show = await world.show()
    said = Line("lin_1", world.clock.now_ms(), "Ana", "again", "viewer", "chat")
    own = Line("lin_2", world.clock.now_ms(), "Mei", "hello", "host", "notice")
    await world.shows.news.remember_talk(show.show_id, [TalkLine(said, ANA.viewer_id), TalkLine(own)])

    await world.do(show.show_id, c.Mute(line_id="lin_1"), MODERATOR)
    assert set(await world.shows.silence.mutes(show.show_id)) == {ANA.viewer_id}
    await world.do(show.show_id, c.Mute(line_id="lin_1", minutes=0), MODERATOR)

    await refused(R.NOT_FOUND, world.do(show.show_id, c.Mute(line_id="lin_2"), MODERATOR))
    await refused(R.NOT_FOUND, world.do(show.show_id, c.Mute(line_id="lin_gone"), MODERATOR))
    await refused(R.NOT_FOUND, world.do(show.show_id, c.Mute(), MODERATOR))
    assert await world.shows.silence.mutes(show.show_id) == {}


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


async def test_the_public_list_has_no_drafts_and_nothing_for_invited_guests(world: World) -> None:
    live = await world.show()
    await world.shows.planning.create(HOST, NewShow("Draft", "open_house"))
    await world.show("family_day", live=False)
    over = await world.show()
    await world.do(over.show_id, c.End())

    listed = await world.shows.list_public()

    assert [facts.show_id for facts in listed.live] == [live.show_id]
    assert listed.upcoming == ()
    assert [facts.show_id for facts in listed.past] == [over.show_id]


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
