"""A draw whose books Redis lost: it goes on exactly as it would have where its entries stand in the ledger, and opens
anew, said to all, where they do not. Nobody who was told "held" by a draw loses it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from livecommerce.background.rebuild import RebuildDuty, Rebuilt
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import draws
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import DrawFacts, DrawReopened
from livecommerce.reservations import draw as arithmetic
from livecommerce.reservations import drawing, keys
from livecommerce.reservations.engine import ReservationEngine
from tests.live_server import until
from tests.shows.test_draws import (
    ON_ONE_LEDGER,
    RID,
    checked,
    close_all,
    drawn_card,
    duty,
    enter,
    events,
    facts_of,
    secret_of,
    wrong_with,
)
from tests.shows.world import World

ENTRANTS = range(1, 11)


async def rebuild(world: World, show_id: str, *witnesses: ReservationEngine) -> Rebuilt:
    """Let a leader make the books anew, with what these processes remember."""
    leader = RebuildDuty(world.redis, world.database, world.engine, world.settings, world.clock)
    task = asyncio.create_task(leader.rebuild(show_id, "missing", 1))
    await until(lambda: any(not waiter.done() for _, _, waiter in world.clock._sleepers), "a rebuild that listens")
    for witness in witnesses:
        await witness.testify()
    await world.clock.advance(world.settings.rebuild_seconds)
    rebuilt = await task
    assert rebuilt is not None
    return rebuilt


async def restarted(world: World) -> None:
    """Every process has died with Redis."""
    await world.redis.flushall()
    await world.engine.aclose()
    world.engine = ReservationEngine(world.redis, world.settings, world.clock, world.database)
    await world.engine.start()
    world.shows = world.process()


async def states(world: World, show_id: str) -> dict[int, str]:
    found = {}
    for number in range(1, 20):
        for hold in await world.engine.holds_of(show_id, f"vwr_{number}"):
            found[number] = f"{hold.state} {hold.place}" if hold.state == "waiting" else hold.state
    return found


async def open_window(world: World, *quotas: int, **deal: Any) -> tuple[str, str]:
    show_id, card_id, deal_id = await drawn_card(world, *(quotas or (3,)), limit_per_viewer=1, **deal)
    await world.do(show_id, c.ShowCard(card_id))
    await enter(world, show_id, deal_id, *ENTRANTS)
    return show_id, deal_id


async def end_window(world: World) -> None:
    await world.clock.advance(6)
    await world.shows.programme.due_changes()


async def expected(world: World, deal_id: str) -> dict[int, str]:
    """What seed and root say, for three units and ten entrants who wanted one each."""
    secret = await secret_of(world, deal_id)
    order = arithmetic.order_of(secret.seed, secret.root, ENTRANTS)
    return {ticket: "held" if place <= 3 else f"waiting {place - 3}" for place, ticket in sorted(enumerate(order, 1))}


async def assert_list_holds(world: World, show_id: str, deal_id: str, commitment: str) -> Any:
    tickets, findings = await checked(world, show_id, deal_id, commitment=commitment)
    assert [finding.text for finding in findings if finding.holds is False] == []
    return tickets


# --- it goes on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remembered", [True, False], ids=["processes live", "all died"])
async def test_a_draw_that_was_made_stays_as_it_was_drawn_and_its_list_can_be_checked(
    world: World, remembered: bool
) -> None:
    """The places were in Redis alone when it lost everything: the ledger has the entries and their root."""
    show_id, deal_id = await open_window(world)
    commitment = (await facts_of(world, show_id)).commitment
    await end_window(world)
    before = await states(world, show_id)
    assert before == await expected(world, deal_id)
    if remembered:
        await world.redis.flushall()
        await rebuild(world, show_id, world.engine)
    else:
        await restarted(world)
        await rebuild(world, show_id)
    assert await states(world, show_id) == before
    assert await wrong_with(world, show_id) == []
    won = [number for number, state in before.items() if state == "held"]
    await close_all(world, show_id, deal_id, *won)
    tickets = await assert_list_holds(world, show_id, deal_id, commitment)
    assert (tickets.sold, len(tickets.tickets), tickets.draw.void) == (3, 10, ())
    assert [row.place is not None for row in tickets.tickets] == [True] * 10


@pytest.mark.parametrize("places_copied", [0, 4, 8])
@ON_ONE_LEDGER
async def test_a_draw_cut_off_half_way_gives_the_rest_the_places_it_would_have(
    world: World, monkeypatch: pytest.MonkeyPatch, places_copied: int
) -> None:
    """Redis dies between two parts; of the places given, the journal brought all, some or none into the ledger."""
    monkeypatch.setattr(drawing, "_DRAWN_PER_CALL", 2)
    show_id, deal_id = await open_window(world)
    commitment = (await facts_of(world, show_id)).commitment
    real, asked = world.engine._batcher.ask, 0

    async def dies(show: str, request: Any, finish: Any) -> Any:
        nonlocal asked
        if request[0] == 15:
            if asked == places_copied // 2:
                await duty(world).journal.drain(show_id)
            if asked == 4:
                raise Refused(R.BUSY, after_ms=1000)
            asked += 1
        return await real(show, request, finish)

    monkeypatch.setattr(world.engine._batcher, "ask", dies)
    await end_window(world)
    monkeypatch.undo()
    assert (await secret_of(world, deal_id)).drawn_at_ms is None
    assert not (await events(world, show_id, "deal_drawn"))
    await restarted(world)
    await rebuild(world, show_id)
    assert await states(world, show_id) == await expected(world, deal_id)
    await world.shows.programme.due_changes()
    [drawn] = await events(world, show_id, "deal_drawn")
    assert (drawn.draw.commitment, drawn.draw.entrants, drawn.draw.again) == (commitment, 10, 0)
    await close_all(world, show_id, deal_id)
    await assert_list_holds(world, show_id, deal_id, commitment)


@ON_ONE_LEDGER
async def test_who_gave_her_drawn_unit_back_does_not_get_it_again(world: World) -> None:
    """Only a living process knows that she did; her place in the published order stands all the same."""
    show_id, deal_id = await open_window(world)
    commitment = (await facts_of(world, show_id)).commitment
    await end_window(world)
    before = await states(world, show_id)
    gone = next(number for number, state in before.items() if state == "held")
    await world.engine.release(show_id, f"vwr_{gone}", RID)
    after = await states(world, show_id)
    assert "offered" in after.values()
    await world.redis.flushall()
    await rebuild(world, show_id, world.engine)
    assert gone not in await states(world, show_id)
    await world.engine.heartbeat(show_id)
    assert sorted((await states(world, show_id)).values()) == sorted(after.values())
    await close_all(world, show_id, deal_id)
    tickets = await assert_list_holds(world, show_id, deal_id, commitment)
    assert [row.outcome for row in tickets.tickets].count("released") >= 1


# --- it begins anew -------------------------------------------------------------------------------------------------


async def test_a_window_whose_entries_may_be_lost_opens_anew_under_another_seed_and_all_are_told(world: World) -> None:
    show_id, deal_id = await open_window(world)
    await duty(world).journal.drain(show_id)
    await enter(world, show_id, deal_id, 11)  # of her nobody will know
    first = await secret_of(world, deal_id)
    await restarted(world)
    rebuilt = await rebuild(world, show_id)
    assert rebuilt.lost == ()
    assert set((await states(world, show_id)).values()) == {"entered"}
    assert 11 not in await states(world, show_id)
    second = await secret_of(world, deal_id)
    assert second.seed != first.seed
    [told] = await events(world, show_id, "draw_reopened")
    commitment = arithmetic.commitment_of(second.seed)
    assert told == DrawReopened(deal_id, DrawFacts(6, commitment, second.draws_at_ms, again=1))
    assert second.draws_at_ms == world.clock.now_ms() + 6000
    assert await facts_of(world, show_id) == told.draw
    await world.shows.programme.due_changes()
    assert (await world.heard(show_id))[-1] == "draw_reopened"
    await enter(world, show_id, deal_id, 11, 12)  # she taps again, and so may others
    await end_window(world)
    draw = await facts_of(world, show_id)
    assert (draw.entrants, draw.commitment, draw.again) == (12, commitment, 1)
    won = [number for number, state in (await states(world, show_id)).items() if state == "held"]
    assert len(won) == 3
    await close_all(world, show_id, deal_id, *won)
    tickets = await assert_list_holds(world, show_id, deal_id, commitment)
    assert [(each.seed, each.commitment) for each in tickets.draw.void] == [
        (first.seed, arithmetic.commitment_of(first.seed))
    ]
    # Whoever noted the first commitment is told what became of it.
    _, findings = await checked(world, show_id, deal_id, commitment=arithmetic.commitment_of(first.seed))
    assert any(finding.holds and "void" in finding.text for finding in findings)


@ON_ONE_LEDGER
async def test_a_window_that_ended_before_its_root_was_written_opens_anew(world: World) -> None:
    """The worker died between the window's end and the ledger: nobody has a place, so nobody loses one."""
    show_id, deal_id = await open_window(world)
    secret = await secret_of(world, deal_id)

    async def dies(_root: str, _entrants: int, _base: int) -> None:
        raise Refused(R.BUSY, after_ms=1000)

    with pytest.raises(Refused):
        await world.engine.draw(show_id, deal_id, secret.seed, secret.salt, dies)
    await world.redis.flushall()
    await rebuild(world, show_id, world.engine)
    assert await states(world, show_id) == dict.fromkeys(ENTRANTS, "entered")
    assert [event.draw.again for event in await events(world, show_id, "draw_reopened")] == [1]


@ON_ONE_LEDGER
async def test_a_draw_that_was_not_opened_yet_is_still_a_draw(world: World) -> None:
    opens_at_ms = world.clock.now_ms() + 20_000
    show_id, _, deal_id = await drawn_card(world, opens_at_ms=opens_at_ms)
    await world.shows.programme.due_changes()
    commitment = (await facts_of(world, show_id)).commitment
    await restarted(world)
    await rebuild(world, show_id)
    assert (await facts_of(world, show_id)).commitment == commitment
    assert await events(world, show_id, "draw_reopened") == []
    await world.clock.advance(20)
    await world.shows.programme.due_changes()
    await enter(world, show_id, deal_id, 1)


@ON_ONE_LEDGER
async def test_a_deal_that_closed_before_its_draw_draws_nobody_after_a_loss_either(world: World) -> None:
    show_id, deal_id = await open_window(world)
    await duty(world).journal.drain(show_id)
    await world.do(show_id, c.CloseDeal(deal_id))
    await restarted(world)
    rebuilt = await rebuild(world, show_id)
    assert len(rebuilt.lost) == len(ENTRANTS)
    assert await states(world, show_id) == {}
    assert await events(world, show_id, "draw_reopened") == []


# --- two histories --------------------------------------------------------------------------------------------------


@ON_ONE_LEDGER
async def test_another_history_draws_nobody_and_the_first_one_is_found_again(world: World) -> None:
    """Redis goes back to the window, and no process is left that saw it: somebody else enters, the window ends once
    more. The ledger knows who was drawn, and pauses the books before anybody has a place in them."""
    show_id, deal_id = await open_window(world)
    before = {name: await world.redis.dump(name) async for name in world.redis.scan_iter()}
    await end_window(world)
    drawn = await states(world, show_id)

    async def not_told(connection: Any) -> None:
        await connection.execute(update(draws).values(drawn_at_ms=None))

    await world.database.write(not_told)
    await restarted(world)
    for name, dumped in before.items():
        await world.redis.restore(name, 0, dumped)
    await enter(world, show_id, deal_id, 12)
    await duty(world).journal.drain(show_id)
    await world.clock.advance(1)
    await world.shows.programme.due_changes()
    assert await world.redis.hexists(keys.meta(show_id), "paused")
    await rebuild(world, show_id, world.engine)
    now = await states(world, show_id)
    assert {number: state for number, state in now.items() if number in drawn} == drawn
    assert 12 not in now


@ON_ONE_LEDGER
async def test_a_draw_that_the_ledger_does_not_prove_is_told_as_one_of_nobody(world: World) -> None:
    """Against all that the ledger promises, as after an old backup: who is known to hold keeps it."""
    show_id, _ = await open_window(world)
    await end_window(world)
    won = {number for number, state in (await states(world, show_id)).items() if state == "held"}
    await duty(world).journal.drain(show_id)

    async def forget(connection: Any) -> None:
        await connection.execute(update(draws).values(drawn_at_ms=None, root="another"))

    await world.database.write(forget)
    await world.redis.flushall()
    await rebuild(world, show_id, world.engine)
    after = await states(world, show_id)
    assert {number for number, state in after.items() if state == "held"} == won
    await world.shows.programme.due_changes()
    assert (await events(world, show_id, "deal_drawn"))[-1].draw.entrants == 0


@ON_ONE_LEDGER
async def test_a_worker_that_sleeps_through_a_reopening_gives_no_place_under_the_old_seed(world: World) -> None:
    show_id, deal_id = await open_window(world)
    secret = await secret_of(world, deal_id)
    await world.redis.flushall()
    await rebuild(world, show_id, world.engine)

    async def fix(root: str, entrants: int, base: int) -> None:
        await world.shows.programme._draws._fix(show_id, deal_id, secret.seed, root, entrants, base)

    with pytest.raises(Refused):
        await world.engine.draw(show_id, deal_id, secret.seed, secret.salt, fix)
    assert await states(world, show_id) == dict.fromkeys(ENTRANTS, "entered")
