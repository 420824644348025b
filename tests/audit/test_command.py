"""`livecommerce audit` over a show: what was planted is found, what is safe is mended, what is not is left alone."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgpack
import pytest
from click.testing import CliRunner
from sqlalchemy import delete, insert, select, text, update

from livecommerce.audit.mend import Mender, Step
from livecommerce.audit.report import lines_of
from livecommerce.audit_command import BREACH, BUSY, LEASE, CannotAudit
from livecommerce.background.lease import Leases
from livecommerce.cli import main
from livecommerce.ledger.migrate import newest_revision
from livecommerce.ledger.tables import deals, movements, outbox, reservations, show_log, witnesses
from livecommerce.orders import books as order_books
from livecommerce.protocol.facts import Level
from livecommerce.reservations import keys
from livecommerce.shows.deals import DealStocks
from tests.audit.world import PAY_SECONDS, AuditWorld, rid, viewer


async def level(world: AuditWorld) -> Level:
    return (await world.engine.levels(world.show_id))[1][world.deal_id]


async def everything(world: AuditWorld) -> Any:
    """All that says where units are; two equal answers mean that nothing moved."""
    row = await world.house.deal(world.deal_id)
    pool = await world.house.pool()
    kept = await world.redis.hgetall(keys.rids(world.show_id))
    return row, pool, await level(world), kept


def forget_errands() -> Any:
    """A process marked them as done and did not do them."""
    return update(outbox).where(outbox.c.done_at_ms.is_(None)).values(done_at_ms=1)


async def pay_and_lose_the_errand(world: AuditWorld, number: int) -> None:
    await world.hold(number)
    answer = await world.checkout(number)
    await world.orders.aclose()  # what it has begun beside the answer is done
    world.orders._errands.kick = lambda: None  # type: ignore[method-assign]
    await world.providers.test().act(answer.pay_url.rpartition("/")[2], "pay")
    await world.write(forget_errands())
    await world.drain()


async def expire_and_lose_the_errand(world: AuditWorld, number: int) -> None:
    await world.hold(number, 2)
    await world.checkout(number)
    await world.orders.run_outbox()
    world.orders._errands.kick = lambda: None  # type: ignore[method-assign]
    world.clock.spend(PAY_SECONDS + 1)
    assert await world.orders.sweep_deadlines() == 1
    await world.write(forget_errands())
    await world.drain()


async def void_and_die(world: AuditWorld, number: int) -> None:
    """The sweep committed VOID and died before it freed the units in Redis."""
    await world.hold(number, 2)
    who = viewer(number).viewer_id
    await world.engine.begin_pay(world.show_id, who, rid(number), PAY_SECONDS * 1000)
    book = order_books.Book(world.house.settings, world.clock.now_ms())
    await world.database.write(
        lambda connection: order_books.void(connection, book, world.show_id, who, rid(number))
    )  # fmt: skip
    await world.drain()


async def close_and_die(world: AuditWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis took the units out, and the process died before SQL brought them home."""

    async def die(*_arguments: Any) -> None:
        raise ConnectionError("killed between Redis and SQL")

    with monkeypatch.context() as patch:
        patch.setattr(DealStocks, "_give_back", die)
        with pytest.raises(ConnectionError):
            await world.close_deal()


# --- honest -----------------------------------------------------------------------------------------------------------


async def test_an_honest_show_adds_up_and_its_table_says_where_every_unit_is(selling: AuditWorld) -> None:
    world = selling
    await world.buy(1, 2)
    await world.hold(2)
    await world.hold(3)
    await world.checkout(3)
    await world.duties()

    outcome, said = await world.command()

    (report,) = outcome.shows
    (deal,) = report.deals
    assert (outcome.exit_code, report.breaches, report.notes, deal.drift) == (0, (), (), 0)
    assert deal.log == deal.redis
    assert [line.split() for line in said.splitlines() if line.split()[:1] in (["log"], ["Redis"], ["SQL"])] == [
        ["log", "5", "1", "1", "1", "2"], ["Redis", "5", "1", "1", "1", "2"], ["SQL", "5", "–", "–", "1", "2"],
    ]  # fmt: skip
    assert "✓ 1 shows, 1 deals: every unit is in exactly one place." in said


async def test_a_closed_show_adds_up_also_when_redis_was_emptied_since(selling: AuditWorld) -> None:
    world = selling
    await world.buy(1)
    await world.close_deal()
    await world.duties()
    assert (await world.command())[0].exit_code == 0
    await world.redis.flushall()
    outcome, said = await world.command()
    assert (outcome.exit_code, outcome.shows[0].deals[0].redis) == (0, None)
    assert "no books" in said


async def test_a_house_that_never_sold_has_nothing_to_add_up(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.write(update(deals).values(status="draft"))
    outcome, said = await world.command()
    assert (outcome.exit_code, outcome.shows) == (0, ())
    assert "Nothing was ever put up for sale" in said
    outcome, said = await world.command(show_id=world.show_id)
    assert "nothing was ever put up for sale" in said


async def test_a_show_that_never_stands_still_is_proved_as_far_as_it_goes(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.hold(1)  # and nobody copies the journal
    outcome, said = await world.command()
    assert outcome.exit_code == BUSY
    assert "Redis was not compared with SQL (under way: " in said
    assert "calls not copied" in said
    assert "adds up, as far as it could be compared" in said


# --- mended -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plant", "kind", "afterwards"),
    [
        (pay_and_lose_the_errand, "settle", Level(4, 0, 0, 1, 0)),
        (expire_and_lose_the_errand, "free", Level(5, 0, 0, 0, 0)),
        (void_and_die, "free", Level(5, 0, 0, 0, 0)),
    ],
)
async def test_what_redis_did_not_follow_is_found_shown_and_mended_once(
    selling: AuditWorld, plant: Any, kind: str, afterwards: Level
) -> None:
    world = selling
    await plant(world, 1)
    before = await everything(world)

    found, said = await world.command()
    assert found.exit_code == BREACH
    assert [step.kind for step in found.plan] == [kind]
    assert f"--repair would: {found.plan[0].text}" in said
    assert await everything(world) == before  # looking changes nothing

    mended, said = await world.command(repair=True)
    assert [(done.step.kind, done.why_not) for done in mended.repaired] == [(kind, "")]
    assert said.index(f"repair: {found.plan[0].text}") < said.index(f"✓ done: {found.plan[0].text}")
    assert (mended.exit_code, mended.plan, await level(world)) == (0, (), afterwards)

    again, _ = await world.command(repair=True)
    assert (again.exit_code, again.repaired, await level(world)) == (0, (), afterwards)
    assert await world.drift() == {}


async def test_units_taken_out_that_never_reached_sql_come_home(
    selling: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = selling
    await world.buy(1)
    await world.duties()

    await close_and_die(world, monkeypatch)
    assert await level(world) == Level(0, 0, 0, 1, 0)
    assert (await world.house.pool()).in_deals == 4

    mended, said = await world.command(repair=True)
    assert [done.step.kind for done in mended.repaired] == ["finish"]
    assert "bring 4 home to the pool" in said
    assert mended.exit_code == 0
    pool, row = await world.house.pool(), await world.house.deal(world.deal_id)
    assert (pool.available, pool.in_deals, pool.sold) == (99, 0, 1)
    assert (row.status, row.allotted, row.sold) == ("closed", 1, 1)
    assert (await world.command(repair=True))[0].repaired == ()


async def test_units_out_of_a_closing_deal_wait_while_somebody_holds(
    sqlite_selling: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bringing them home now could take what the holder was promised: a slow process may still be about to."""
    world = sqlite_selling
    await world.hold(1)

    await close_and_die(world, monkeypatch)
    outcome, said = await world.command(repair=True)
    assert (outcome.exit_code, outcome.repaired) == (BREACH, ())
    assert "4 units are out of the deal and not home yet: they come when 1 held and 0 being paid are over" in said
    await world.turn(400)
    await world.drain()
    outcome, _ = await world.command(repair=True)
    assert (outcome.exit_code, (await world.house.pool()).in_deals) == (0, 0)


async def test_what_is_merely_under_way_is_finished_first(selling: AuditWorld) -> None:
    """No worker runs: the journal waits, and so do the errands."""
    world = selling
    await world.hold(1)
    answer = await world.checkout(1)
    world.orders._errands.kick = lambda: None  # type: ignore[method-assign]
    await world.providers.test().act(answer.pay_url.rpartition("/")[2], "pay")
    assert (await world.command())[0].exit_code == BUSY
    outcome, _ = await world.command(repair=True)
    assert (outcome.exit_code, outcome.repaired, await level(world)) == (0, (), Level(4, 0, 0, 1, 0))


async def test_witnesses_of_what_has_ended_are_closed(selling: AuditWorld) -> None:
    world = selling
    await world.hold(1)
    await world.engine.release(world.show_id, viewer(1).viewer_id, rid(1))
    await world.drain()
    row = {
        "show_id": world.show_id, "viewer_id": viewer(1).viewer_id, "rid": rid(1), "ticket": 1, "epoch": "e",
        "seq": 1, "due_at_ms": 1, "told_at_ms": 1, "record": b"\x90",
    }  # fmt: skip
    await world.write(insert(witnesses).values(row))
    found, said = await world.command()
    assert (found.exit_code, [step.kind for step in found.plan]) == (0, ["witnesses"])
    assert "1 witnesses of level ledger still name holds that have ended" in said
    mended, _ = await world.command(repair=True)
    assert (mended.plan, mended.shows[0].notes) == ((), ())


async def test_who_types_it_gets_the_table_the_words_and_the_exit_code(
    sqlite_selling: AuditWorld, tmp_path: Path, valkey_socket: str
) -> None:
    """What a script that watches the shop goes by: 1 for whatever does not add up, 0 once it was mended."""
    world = sqlite_selling
    where = {"REDIS_URL": f"unix://{valkey_socket}"}

    async def typed(*options: str) -> tuple[int, str]:
        line = ["audit", "--data", str(tmp_path), "--show", world.show_id, *options]
        result = await asyncio.to_thread(CliRunner().invoke, main, line, env=where)
        return result.exit_code, result.output

    await world.write(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))  # as `livecommerce migrate` does
    await world.write(text(f"INSERT INTO alembic_version VALUES ('{newest_revision()}')"))
    await pay_and_lose_the_errand(world, 1)
    code, said = await typed()
    assert (code, await level(world)) == (BREACH, Level(4, 0, 1, 0, 0))
    rows = [line.split() for line in said.splitlines() if line.split()[:1] in (["Redis"], ["SQL"])]
    assert rows == [["Redis", "5", "4", "0", "1", "0"], ["SQL", "5", "–", "–", "0", "1"]]
    assert "--repair would: " in said
    assert "do not add up" in said

    code, said = await typed("--repair")
    assert (code, await level(world)) == (0, Level(4, 0, 0, 1, 0))
    assert "✓ done: " in said
    assert "every unit is in exactly one place" in said

    await world.write(update(deals).values(sold=2))  # one more than anybody paid for
    code, said = await typed("--repair")
    assert code == BREACH
    assert ["SQL", "5", "–", "–", "0", "2"] in [line.split() for line in said.splitlines()]
    code, said = await typed("--json")
    assert (code, json.loads(said)["exit_code"]) == (BREACH, BREACH)


# --- left alone -------------------------------------------------------------------------------------------------------


async def test_units_from_nowhere_are_a_breach_that_no_repair_touches(selling: AuditWorld) -> None:
    world = selling
    await world.hold(1)
    await world.drain()
    raw = msgpack.unpackb(await world.redis.hget(keys.deals(world.show_id), world.deal_id))  # type: ignore[arg-type]
    raw[1], raw[2] = raw[1] + 2, raw[2] + 2
    await world.redis.hset(keys.deals(world.show_id), world.deal_id, msgpack.packb(raw, use_bin_type=False))
    before = await everything(world)
    outcome, said = await world.command(repair=True)
    assert (outcome.exit_code, outcome.repaired, outcome.shows[0].deals[0].drift) == (BREACH, (), 2)
    assert f"✗ {world.deal_id}: 7 units in Redis, 5 allotted" in said
    assert "What is left is not repaired" in said
    assert await everything(world) == before


async def test_a_sale_whose_units_redis_gave_away_is_told_and_not_touched(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await pay_and_lose_the_errand(world, 1)
    await world.engine.free(world.show_id, viewer(1).viewer_id, rid(1), "expired")
    await world.drain()
    before = await everything(world)
    outcome, said = await world.command(repair=True)
    assert (outcome.exit_code, outcome.repaired) == (BREACH, ())
    assert f"{viewer(1).viewer_id}/{rid(1)}: confirmed in the ledger, expired in Redis" in said
    assert await everything(world) == before


async def test_nothing_is_freed_that_sql_does_not_have(selling: AuditWorld) -> None:
    """SQL contradicts itself: the request expired, the deal still counts it as being paid."""
    world = selling
    await world.hold(1, 2)
    await world.checkout(1)
    await world.orders.run_outbox()
    await world.drain()
    await world.write(update(reservations).values(state="expired"))
    outcome, said = await world.command(repair=True)
    (done,) = outcome.repaired
    assert (done.step.kind, outcome.exit_code) == ("free", BREACH)
    assert f"✗ not done, SQL does not have so many units for {world.deal_id}: it would be sold twice" in said
    assert await level(world) == Level(3, 0, 2, 0, 0)


async def test_each_step_is_decided_anew_at_the_moment_it_is_done(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    mender = Mender(world.database, world.engine, world.clock)
    who = {"viewer_id": viewer(1).viewer_id, "rid": rid(1)}
    settle, free = (Step(kind, world.show_id, "", **who) for kind in ("settle", "free"))  # type: ignore[arg-type]
    finish = Step("finish", world.show_id, "", deal_id=world.deal_id)
    await world.hold(1)
    await world.checkout(1)
    before = await everything(world)
    assert await mender.do(settle) == "SQL says paying by now"
    assert await mender.do(free) == "SQL says paying by now"
    assert await everything(world) == before
    await world.orders.aclose()
    world.orders._errands.kick = lambda: None  # type: ignore[method-assign]
    world.clock.spend(PAY_SECONDS + 1)
    await world.orders.sweep_deadlines()
    assert await mender.do(free) == "an errand about it is under way"
    await world.orders.run_outbox()
    assert await mender.do(free) == ""  # it is given back already, and a second time changes nothing
    assert await level(world) == Level(5, 0, 0, 0, 0)
    await world.buy(2)
    paid = Step("settle", world.show_id, "", viewer(2).viewer_id, rid(2))
    assert (await mender.do(paid), await level(world)) == ("", Level(4, 0, 0, 1, 0))
    await world.hold(3)
    await world.close_deal()
    assert await mender.do(finish) == "somebody holds or pays by now, or it is closed already"


async def test_two_do_not_repair_at_once(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    other = Leases(world.database, world.clock, "somebody")
    epoch = await other.acquire(LEASE)
    assert epoch is not None
    with pytest.raises(CannotAudit, match="Somebody else is repairing"):
        await world.command(repair=True)
    assert (await world.command())[0].exit_code == BUSY  # looking needs no lease
    await other.release(LEASE, epoch)
    first, second = await asyncio.gather(
        world.command(repair=True), world.command(repair=True), return_exceptions=True
    )  # fmt: skip
    assert sum(isinstance(each, CannotAudit) for each in (first, second)) <= 1


# --- told -------------------------------------------------------------------------------------------------------------


async def test_books_that_redis_lost_are_a_breach_while_something_is_for_sale(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.drain()
    await world.redis.delete(*await world.redis.keys("{show:*"))
    outcome, said = await world.command(repair=True)
    assert outcome.exit_code == BREACH
    assert f"{world.deal_id}: Redis has no books of this show: nothing of it can be sold" in said


async def test_a_payment_that_began_and_was_not_written_is_explained(sqlite_selling: AuditWorld) -> None:
    world = sqlite_selling
    await world.hold(1)
    await world.engine.begin_pay(world.show_id, viewer(1).viewer_id, rid(1), 60_000)
    await world.drain()
    outcome, said = await world.command(repair=True)
    assert outcome.exit_code == BREACH
    assert "paying in Redis, no order in SQL: it goes back when its time to pay is over" in said
    await world.turn(61)
    outcome, said = await world.command(repair=True)
    assert (outcome.shows[0].breaches, await level(world)) == ((), Level(5, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("kinds", "close", "words"),
    [(("deal_announced", "deal_opened"), False, "never announced it"), (("deal_closed",), True, "never closed it")],
)
async def test_a_deal_that_the_shows_log_does_not_know_of_is_a_breach(
    sqlite_selling: AuditWorld, kinds: tuple[str, ...], close: bool, words: str
) -> None:
    world = sqlite_selling
    if close:
        await world.close_deal()
    await world.duties()
    await world.write(delete(show_log).where(show_log.c.kind.in_(kinds)))
    report = await world.report()
    assert [text for text in report.breaches if words in text]


async def test_a_log_in_which_more_was_held_than_there_was_names_the_hold(selling: AuditWorld) -> None:
    """Everything was given back since: today every counter agrees, and only the log knows."""
    world = selling
    await world.drain()
    seq = int(await world.redis.hget(keys.meta(world.show_id), "seq"))  # type: ignore[arg-type]
    rows = [
        {
            "show_id": world.show_id, "deal_id": world.deal_id, "viewer_id": f"vwr_{number}", "rid": rid(number),
            "line": 0, "kind": kind, "n": 0, "qty": 1, "at_ms": 1000 + number, "seq": seq,
        }
        for kind in ("held", "released") for number in range(7)
    ]  # fmt: skip
    await world.database.write(lambda connection: connection.execute(insert(movements), rows))
    raw = await world.redis.hget(keys.rids(world.show_id), "x")
    assert raw is None
    for number in range(7):
        record = msgpack.packb([6, number, 0, 0, 0, 0, "", 0, 0, world.deal_id, 1], use_bin_type=False)
        await world.redis.hset(keys.rids(world.show_id), f"vwr_{number}/{rid(number)}", record)
    outcome, said = await world.command()
    assert outcome.exit_code == BREACH
    assert f"vwr_5/{rid(5)}: OVERSOLD: 6 of 5 units are set aside or sold since it was held at 1005" in said


async def test_a_long_list_of_breaches_is_cut_and_says_so(sqlite_selling: AuditWorld) -> None:
    report = await sqlite_selling.report()
    many = tuple(f"breach {number}" for number in range(50))
    lines = list(lines_of(type(report)(**{**_fields(report), "breaches": many})))
    assert "  ✗ breach 19" in lines
    assert lines[-1] == "  … and 30 more"


def _fields(report: Any) -> dict[str, Any]:
    return {name: getattr(report, name) for name in report.__struct_fields__}


async def test_no_name_and_no_contact_is_in_the_report(selling: AuditWorld) -> None:
    world = selling
    await world.buy(1)
    await world.write(update(reservations).values(state="paying"))
    _, said = await world.command()
    assert "Ana" not in said
    assert "ana@example.com" not in said
    async with world.database.read() as connection:
        assert (await connection.execute(select(reservations.c.state))).scalar_one() == "paying"
