"""Deals that are drawn, from the plan to the list of tickets: what is committed when, who hears what, what survives."""

import asyncio
import hashlib
from typing import Any

import msgpack
import msgspec
import pytest
from sqlalchemy import select

from livecommerce.audit.books import BooksReader, books_of
from livecommerce.audit.breaches import breaches
from livecommerce.background.journal import JournalToLedger
from livecommerce.background.ticket_lists import TicketListDuty
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import deals, draws, movements, show_log
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import DealDrawn, DealOpened, DrawFacts
from livecommerce.reservations import draw as arithmetic
from livecommerce.reservations import keys
from livecommerce.reservations.ticket_list import Finding, TicketList, file_of, public_key_of, signing_key, verify
from livecommerce.shows import log as log_of_shows
from livecommerce.shows.plans import EditCard, EditDeal
from tests.shows.world import HOST, World, viewer

RID = "rid-0001"
# What decides nothing in SQL itself need not be asked of both.
ON_ONE_LEDGER = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


async def drawn_card(world: World, *quotas: int, show_id: str = "", **deal: Any) -> tuple[str, str, str]:
    """(show, card, deal) of a live show with one card whose deal is drawn."""
    show_id = show_id or (await world.show()).show_id
    card = await world.card(show_id, *(quotas or (2,)), **{"fairness": "draw", "draw_seconds": 6, **deal})
    return show_id, card.card_id, card.deals[0].deal_id


async def facts_of(world: World, show_id: str) -> DrawFacts:
    [card] = [card for card in await world.shows.public_cards(show_id) if card.deals]
    assert card.deals[0].draw is not None
    return card.deals[0].draw


async def enter(world: World, show_id: str, deal_id: str, *numbers: int) -> None:
    for number in numbers:
        hold = await world.engine.reserve(show_id, viewer(number), RID, [(deal_id, 1)])
        assert hold.state == "entered"


async def secret_of(world: World, deal_id: str) -> Any:
    async with world.database.read() as connection:
        return (await connection.execute(select(draws).where(draws.c.deal_id == deal_id))).one_or_none()


async def events(world: World, show_id: str, kind: str) -> list[Any]:
    async with world.database.read() as connection:
        return await log_of_shows.events_of_kinds(connection, show_id, [kind])


def duty(world: World) -> TicketListDuty:
    journal = JournalToLedger(world.redis, world.database, world.engine, world.clock)
    return TicketListDuty(world.shows.tickets, journal, world.engine)


async def close_all(world: World, show_id: str, deal_id: str, *buyers: int) -> None:
    """Buyers pay, the deal closes, everybody else lets go, the list is made."""
    for number in buyers:
        await world.engine.begin_pay(show_id, f"vwr_{number}", RID, 60_000)
        await world.engine.settle(show_id, f"vwr_{number}", RID)
    await world.do(show_id, c.CloseDeal(deal_id))
    for number in range(1, 40):
        for hold in await world.engine.holds_of(show_id, f"vwr_{number}"):
            await world.engine.release(show_id, f"vwr_{number}", hold.rid)
    await world.shows.programme.due_changes()
    assert (await world.deal(deal_id)).status == "closed"
    await duty(world).run(1)


async def checked(world: World, show_id: str, deal_id: str, **claims: Any) -> tuple[TicketList, list[Finding]]:
    signed = await world.shows.tickets.signed(show_id, deal_id)
    return msgspec.json.decode(signed.body, type=TicketList), verify(file_of(signed), **claims)


# --- planning -------------------------------------------------------------------------------------------------------


@ON_ONE_LEDGER
async def test_a_window_out_of_bounds_is_refused_when_it_is_planned(world: World) -> None:
    for deal in (
        {"draw_seconds": 2}, {"draw_seconds": 16}, {"draw_seconds": -1}, {"draw_seconds": 0},
        {"opens_at_ms": 10_000, "closes_at_ms": 20_000},
    ):  # fmt: skip
        with pytest.raises(Refused) as caught:
            await drawn_card(world, **deal)
        assert caught.value.why is R.MALFORMED


@ON_ONE_LEDGER
async def test_a_bundle_is_never_drawn(world: World) -> None:
    show = await world.show()
    with pytest.raises(Refused) as caught:
        await world.card(show.show_id, 2, 2, kind="bundle", fairness="draw")
    assert caught.value.why is R.MALFORMED
    bundle = await world.card(show.show_id, 2, 2, kind="bundle")
    edit = EditDeal(bundle.deals[0].deal_id, fairness="draw")
    with pytest.raises(Refused) as caught:
        await world.shows.planning.edit_card(HOST, show.show_id, bundle.card_id, EditCard(deals=(edit,)))
    assert caught.value.why is R.MALFORMED


@ON_ONE_LEDGER
async def test_a_draft_becomes_drawn_and_first_come_again(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world, fairness="first_come", draw_seconds=None)
    for edit, window in (
        (EditDeal(deal_id, fairness="draw"), 10), (EditDeal(deal_id, draw_seconds=4), 4),
        (EditDeal(deal_id, fairness="first_come"), None), (EditDeal(deal_id, fairness="draw", draw_seconds=15), 15),
    ):  # fmt: skip
        card = await world.shows.planning.edit_card(HOST, show_id, card_id, EditCard(deals=(edit,)))
        draw = card.deals[0].draw
        assert (draw.window_seconds if draw else None) == window


async def test_a_copy_of_a_show_has_the_rule_and_not_the_seed(world: World) -> None:
    show_id, card_id, _ = await drawn_card(world)
    await world.do(show_id, c.ShowCard(card_id))
    copy = await world.shows.planning.clone(HOST, show_id)
    staff = await world.shows.for_staff(HOST, copy.show_id)
    assert staff.cards[0].deals[0].draw == DrawFacts(window_seconds=6)


@ON_ONE_LEDGER
async def test_an_opening_shorter_than_its_draw_is_refused(world: World) -> None:
    show_id, _, deal_id = await drawn_card(world)
    with pytest.raises(Refused) as caught:
        await world.do(show_id, c.OpenDeal(deal_id, for_seconds=10))
    assert caught.value.why is R.MALFORMED
    assert await secret_of(world, deal_id) is None


@ON_ONE_LEDGER
async def test_a_draw_that_was_lost_with_its_books_is_told_as_one_of_nobody(world: World) -> None:
    """Books made anew know of no draw: the deal goes on as first come, and its clock is not kept waiting."""
    show_id, _, deal_id = await drawn_card(world)
    await world.do(show_id, c.OpenDeal(deal_id, for_seconds=30))
    packed = await world.redis.hget(keys.deals(show_id), deal_id)
    assert packed is not None
    await world.redis.hset(keys.deals(show_id), deal_id, msgpack.packb(msgpack.unpackb(packed)[:19]))
    assert (await world.engine.reserve(show_id, viewer(1), RID, [(deal_id, 1)])).state == "held"
    await world.clock.advance(6)
    await world.shows.programme.due_changes()
    draw = await facts_of(world, show_id)
    assert draw.drawn_at_ms is not None
    assert (draw.entrants, arithmetic.commitment_of(draw.seed)) == (0, draw.commitment)
    await world.clock.advance(24)
    await world.shows.programme.due_changes()
    assert (await world.deal(deal_id)).status == "closing"
    await world.engine.release(show_id, "vwr_1", RID)
    await world.shows.programme.due_changes()
    await duty(world).run(1)
    tickets, findings = await checked(world, show_id, deal_id)
    assert [finding.text for finding in findings if finding.holds is False] == []
    assert [(ticket.place, ticket.outcome) for ticket in tickets.tickets] == [(None, "released")]


# --- the commitment -------------------------------------------------------------------------------------------------


async def test_the_seed_is_committed_to_in_the_event_that_opens_and_told_with_the_draw(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world)
    assert await secret_of(world, deal_id) is None
    await world.do(show_id, c.ShowCard(card_id))
    secret = await secret_of(world, deal_id)
    [opened] = await events(world, show_id, "deal_opened")
    commitment = hashlib.sha256(secret.seed.encode()).hexdigest()
    draws_at_ms = world.clock.now_ms() + 6000
    assert isinstance(opened, DealOpened)
    assert opened.draw == DrawFacts(6, commitment, draws_at_ms)
    assert await facts_of(world, show_id) == opened.draw
    await enter(world, show_id, deal_id, 1, 2, 3)
    await world.clock.advance(6)
    await world.shows.programme.due_changes()
    [drawn] = await events(world, show_id, "deal_drawn")
    assert isinstance(drawn, DealDrawn)
    assert (drawn.draw.seed, drawn.draw.commitment, drawn.draw.entrants) == (secret.seed, commitment, 3)
    assert await facts_of(world, show_id) == drawn.draw
    assert (await world.heard(show_id))[-1] == "deal_drawn"


async def test_a_planned_opening_commits_when_it_is_announced_and_keeps_that(world: World) -> None:
    opens_at_ms = world.clock.now_ms() + 20_000
    show_id, _, deal_id = await drawn_card(world, opens_at_ms=opens_at_ms)
    await world.shows.programme.due_changes()
    [announced] = await events(world, show_id, "deal_announced")
    secret = await secret_of(world, deal_id)
    assert announced.draw == DrawFacts(6, arithmetic.commitment_of(secret.seed))
    await world.do(show_id, c.OpenDeal(deal_id, in_seconds=30))
    await world.clock.advance(31.5)
    await world.shows.programme.due_changes()
    assert (await secret_of(world, deal_id)).seed == secret.seed
    [opened] = await events(world, show_id, "deal_opened")
    # The clock was late: the window is as long as it was promised, from the real opening on.
    assert opened.draw == DrawFacts(6, announced.draw.commitment, world.clock.now_ms() + 6000)


@ON_ONE_LEDGER
async def test_the_seed_is_nowhere_in_the_log_nor_in_redis_before_the_draw(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, 1, 2)
    secret = await secret_of(world, deal_id)
    async with world.database.read() as connection:
        bodies = list((await connection.execute(select(show_log.c.body))).scalars())
    assert not [body for body in bodies if secret.seed in body or secret.salt in body]
    for name in await world.redis.keys("*"):
        assert secret.seed.encode() not in (await world.redis.dump(name) or b"")


# --- the draw -------------------------------------------------------------------------------------------------------


async def test_the_draw_comes_at_its_instant_and_not_before(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, 1, 2, 3)
    await world.clock.advance(5.999)
    assert await world.shows.programme.due_changes() == world.clock.now_ms() + 1
    assert await events(world, show_id, "deal_drawn") == []
    await world.clock.advance(0.001)
    await world.shows.programme.due_changes()
    await world.shows.programme.due_changes()
    assert len(await events(world, show_id, "deal_drawn")) == 1
    states = [(await world.engine.holds_of(show_id, f"vwr_{number}"))[0].state for number in (1, 2, 3)]
    assert sorted(states) == ["held", "held", "waiting"]


@ON_ONE_LEDGER
async def test_a_closing_that_is_due_waits_for_the_draw(world: World) -> None:
    """The server was away over the end of both: nobody who entered is let down by the clock."""
    now_ms = world.clock.now_ms()
    show_id, card_id, deal_id = await drawn_card(world, opens_at_ms=now_ms, closes_at_ms=now_ms + 12_000)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, 1)
    await world.clock.advance(60)
    await world.shows.programme.due_changes()
    assert len(await events(world, show_id, "deal_drawn")) == 1
    assert (await world.engine.holds_of(show_id, "vwr_1"))[0].state == "held"
    assert (await world.deal(deal_id)).status == "closing"


async def test_a_worker_that_dies_between_the_draw_and_its_telling_is_followed_by_one_that_tells_it(
    world: World,
) -> None:
    show_id, card_id, deal_id = await drawn_card(world)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, 1, 2, 3)
    await world.clock.advance(6)
    secret = await secret_of(world, deal_id)
    made = await world.engine.draw(show_id, deal_id, secret.seed, secret.salt)  # and then it dies
    await world.process().programme.due_changes()
    [drawn] = await events(world, show_id, "deal_drawn")
    assert (drawn.draw.root, drawn.draw.entrants) == (made.root, 3)


@ON_ONE_LEDGER
async def test_a_draw_that_was_made_is_told_also_where_the_show_ended_meanwhile(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, 1, 2, 3)
    secret = await secret_of(world, deal_id)
    made = await world.engine.draw(show_id, deal_id, secret.seed, secret.salt)
    await world.do(show_id, c.End())
    await world.shows.programme.due_changes()
    [drawn] = await events(world, show_id, "deal_drawn")
    assert drawn.draw.root == made.root


async def test_two_workers_at_once_tell_one_draw(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, *range(1, 20))
    await world.clock.advance(6)
    other = world.process()
    await asyncio.gather(world.shows.programme.due_changes(), other.programme.due_changes())
    await world.shows.programme.due_changes()
    assert len(await events(world, show_id, "deal_drawn")) == 1
    assert (await world.heard(show_id)).count("deal_drawn") == 1


async def test_a_deal_pulled_before_its_draw_lets_everybody_go_and_gives_all_units_back(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, 1, 2, 3)
    await world.do(show_id, c.CloseDeal(deal_id, pulled=True))
    await world.clock.advance(10)
    await world.shows.programme.due_changes()
    assert await events(world, show_id, "deal_drawn") == []
    assert (await world.pool()).available == 100
    assert await world.engine.holds_of(show_id, "vwr_1") == ()
    await duty(world).run(1)
    tickets, findings = await checked(world, show_id, deal_id)
    assert [(row.outcome, row.place) for row in tickets.tickets] == [("lapsed", None)] * 3
    assert all(finding.holds is not False for finding in findings)


# --- the list -------------------------------------------------------------------------------------------------------


async def test_after_a_drawn_deal_its_list_proves_the_draw(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world, 3)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, *range(1, 9))
    await world.engine.release(show_id, "vwr_8", RID)  # left before the draw
    commitment = (await facts_of(world, show_id)).commitment
    await world.clock.advance(6)
    await world.shows.programme.due_changes()
    late = await world.engine.reserve(show_id, viewer(9), RID, [(deal_id, 1)], wait=True)
    assert late.place == 5
    won = [n for n in range(1, 8) if (await world.engine.holds_of(show_id, f"vwr_{n}"))[0].state == "held"]
    await close_all(world, show_id, deal_id, *won[:2])
    tickets, findings = await checked(
        world, show_id, deal_id, key=public_key_of(signing_key(world.settings.secret)), commitment=commitment
    )
    assert all(finding.holds for finding in findings), findings
    assert (tickets.fairness, tickets.quota, tickets.sold, len(tickets.tickets)) == ("draw", 3, 2, 9)
    assert [row.place is not None for row in tickets.tickets] == [True] * 7 + [False] * 2
    by_place = sorted([row for row in tickets.tickets if row.place], key=lambda row: row.place or 0)
    assert [row.served for row in by_place] == ["held"] * 3 + ["waiting"] * 4
    assert [row.outcome for row in tickets.tickets].count("confirmed") == 2


@ON_ONE_LEDGER
async def test_a_viewer_finds_herself_and_nobody_else_does(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world, fairness="first_come", draw_seconds=None)
    await world.do(show_id, c.ShowCard(card_id))
    await world.engine.reserve(show_id, viewer(1), RID, [(deal_id, 1)])
    await world.engine.reserve(show_id, viewer(2), RID, [(deal_id, 1)])
    await close_all(world, show_id, deal_id, 2)
    tickets, findings = await checked(world, show_id, deal_id)
    assert all(finding.holds is not False for finding in findings)
    own = await world.shows.tickets.mark(show_id, deal_id, "vwr_2")
    assert own.who == hashlib.sha256(f"vwr_2:{own.nonce}".encode()).hexdigest()
    assert [row.outcome for row in tickets.tickets if row.who == own.who] == ["confirmed"]
    signed = await world.shows.tickets.signed(show_id, deal_id)
    assert "vwr_" not in signed.body
    assert "Viewer" not in signed.body


@ON_ONE_LEDGER
async def test_the_same_viewer_has_another_mark_in_another_deal(world: World) -> None:
    show_id, card_id, _ = await drawn_card(world, 1, 1, fairness="first_come", draw_seconds=None)
    await world.do(show_id, c.ShowCard(card_id))
    [card] = await world.shows.public_cards(show_id)
    first, second = (deal.deal_id for deal in card.deals)
    await world.engine.reserve(show_id, viewer(1), RID, [(first, 1), (second, 1)])
    await world.do(show_id, c.CloseDeal(second))
    await close_all(world, show_id, first)
    marks = [(await checked(world, show_id, each))[0].tickets[0].who for each in (first, second)]
    assert len(set(marks)) == 2
    assert [listed.deal_id for listed in await world.shows.tickets.of_show(show_id)] == [first, second]


async def test_a_list_is_made_once_and_never_again(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world)
    await world.do(show_id, c.ShowCard(card_id))
    await close_all(world, show_id, deal_id)
    first = await world.shows.tickets.signed(show_id, deal_id)
    assert await world.shows.tickets.to_make() == []
    assert await world.shows.tickets.make(deal_id) is False
    assert await world.shows.tickets.signed(show_id, deal_id) == first


@ON_ONE_LEDGER
async def test_there_is_no_list_while_anybody_holds_and_none_of_what_never_sold(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world, fairness="first_come", draw_seconds=None)
    _, _, draft = await drawn_card(world, show_id=show_id)
    await world.do(show_id, c.ShowCard(card_id))
    await world.engine.reserve(show_id, viewer(1), RID, [(deal_id, 1)])
    await world.do(show_id, c.End())
    await world.shows.programme.due_changes()
    await duty(world).run(1)
    assert await world.shows.tickets.of_show(show_id) == ()
    for asked in (deal_id, draft):
        with pytest.raises(Refused) as caught:
            await world.shows.tickets.signed(show_id, asked)
        assert caught.value.why is R.NOT_FOUND


@ON_ONE_LEDGER
async def test_a_long_line_is_let_go_before_the_list_is_made(world: World) -> None:
    """More wait than one call lets go; each of them stands in the list with what became of her."""
    show_id, card_id, deal_id = await drawn_card(world, 1, limit_per_viewer=1)
    await world.do(show_id, c.ShowCard(card_id))
    await asyncio.gather(*(world.engine.reserve(show_id, viewer(number), RID, [(deal_id, 1)]) for number in range(300)))
    await world.do(show_id, c.CloseDeal(deal_id))
    await world.shows.programme.due_changes()
    assert (await world.deal(deal_id)).status == "closed"
    await duty(world).run(1)
    assert await world.shows.tickets.of_show(show_id) == ()
    await world.engine.heartbeat(show_id)
    await duty(world).run(1)
    tickets, findings = await checked(world, show_id, deal_id)
    assert [row.outcome for row in tickets.tickets] == ["lapsed"] * 300
    assert all(finding.holds is not False for finding in findings)


@ON_ONE_LEDGER
async def test_where_redis_was_lost_the_list_says_what_nobody_knows(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world, fairness="first_come", draw_seconds=None)
    await world.do(show_id, c.ShowCard(card_id))
    await world.engine.reserve(show_id, viewer(1), RID, [(deal_id, 1)])
    lists = duty(world)
    await lists.journal.drain(show_id)
    await world.do(show_id, c.CloseDeal(deal_id))
    await world.redis.flushdb()

    async def close(connection: Any) -> None:  # as `finish` does once the books were made anew
        await connection.execute(deals.update().values(status="closed"))

    await world.database.write(close)
    await lists.run(1)
    tickets, findings = await checked(world, show_id, deal_id)
    assert [row.outcome for row in tickets.tickets] == ["unknown"]
    assert all(finding.holds is not False for finding in findings)


@ON_ONE_LEDGER
async def test_what_was_sold_before_tickets_were_copied_is_not_sworn_to(world: World) -> None:
    show_id, card_id, deal_id = await drawn_card(world, fairness="first_come", draw_seconds=None)
    await world.do(show_id, c.ShowCard(card_id))
    await world.engine.reserve(show_id, viewer(1), RID, [(deal_id, 1)])
    lists = duty(world)
    await lists.journal.drain(show_id)

    async def forget(connection: Any) -> None:
        await connection.execute(movements.update().values(ticket=0))

    await world.database.write(forget)
    await world.engine.release(show_id, "vwr_1", RID)
    await world.do(show_id, c.CloseDeal(deal_id))
    await world.shows.programme.due_changes()
    await lists.run(1)
    assert await world.shows.tickets.of_show(show_id) == ()
    assert await world.shows.tickets.to_make() == []


async def test_the_books_of_a_drawn_deal_add_up_at_every_stage(world: World) -> None:
    """In the window, after the draw, with a freed unit offered down the drawn line, and after the end."""
    show_id, card_id, deal_id = await drawn_card(world, 3)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, *range(1, 9))
    await world.engine.release(show_id, "vwr_8", RID)
    assert await wrong_with(world, show_id) == []
    await world.clock.advance(6)
    await world.shows.programme.due_changes()
    assert await wrong_with(world, show_id) == []
    won = [n for n in range(1, 8) if (await world.engine.holds_of(show_id, f"vwr_{n}"))[0].state == "held"]
    await world.engine.release(show_id, f"vwr_{won[0]}", RID)
    assert await wrong_with(world, show_id) == []
    await world.do(show_id, c.End())
    await world.shows.programme.due_changes()
    assert await wrong_with(world, show_id) == []


async def wrong_with(world: World, show_id: str) -> list[str]:
    await duty(world).journal.drain(show_id)
    reader = BooksReader(world.database, world.redis, world.engine, world.clock)
    return breaches(books_of([row async for piece in reader.pieces(show_id) for row in piece]))
