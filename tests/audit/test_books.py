"""The books of a show as rows: all of them, in pieces, with the digests that viewers' events have; nobody is named."""

import asyncio

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.audit.books import PIECE_ROWS, AnyRow, BeginRow, Books, BooksReader, EventRow, books_of
from livecommerce.audit.breaches import breaches
from livecommerce.audit.digest import digest_of
from livecommerce.background.journal import JournalToLedger
from livecommerce.clock import TestClock
from livecommerce.ending import end
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import orders, outbox, payments, reservations
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Level, Note
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows.log import append_events, mark_published, unpublished
from tests.shows.conftest import world
from tests.shows.world import LOCATION, VARIANTS, World, viewer

__all__ = ["world"]

CROWD = 350  # more than a piece, and more than Redis keeps as a short hash


def reader_of(world: World) -> BooksReader:
    return BooksReader(world.database, world.redis, world.engine, world.clock)


async def rows_of(world: World, show_id: str) -> list[AnyRow]:
    return [row async for piece in reader_of(world).pieces(show_id) for row in piece]


async def open_deal(world: World, *quotas: int) -> tuple[str, str]:
    """(show id, first deal id) of a show on air with one card shown."""
    show = await world.show()
    card = await world.card(show.show_id, *quotas, limit_per_viewer=5)
    await world.do(show.show_id, c.ShowCard(card.card_id))
    return show.show_id, card.deals[0].deal_id


async def drain(world: World, show_id: str) -> None:
    await JournalToLedger(world.redis, world.database, world.engine, world.clock).drain(show_id)


async def crowd(world: World, show_id: str, deal_id: str, count: int) -> None:
    taps = (world.engine.reserve(show_id, viewer(n), f"rid-{n:05}", [(deal_id, 1)]) for n in range(count))
    for hold in await asyncio.gather(*taps, return_exceptions=True):
        assert not isinstance(hold, BaseException) or isinstance(hold, Refused)


async def test_the_books_of_a_crowd_are_whole_and_add_up(world: World) -> None:
    show_id, deal_id = await open_deal(world, 90)
    await crowd(world, show_id, deal_id, 100)
    await world.engine.release(show_id, viewer(0).viewer_id, "rid-00000")
    await drain(world, show_id)

    books = books_of(await rows_of(world, show_id))

    assert (books.whole, books.quiet, books.show_id) == (True, True, show_id)
    assert breaches(books) == []
    assert books.levels == {deal_id: Level(1, 89, 0, 0, 0)}
    assert len(books.holds) == 90
    first = books.holds["vwr_0", "rid-00000"]
    assert (first.state, first.ticket, first.lines) == ("released", 1, ((deal_id, 1),))
    assert books.kinds(("vwr_0", "rid-00000")) == {"held", "released"}
    allotted = [each for moved in books.movements.values() for each in moved if each.kind == "allotted"]
    assert [(each.deal_id, each.qty) for each in allotted] == [(deal_id, 90)]
    (deal,), (pool,) = books.deals, books.pools
    assert (deal.allotted, deal.limit_per_viewer, deal.status) == (90, 5, "open")
    assert (pool.variant_id, pool.available, pool.in_deals) == (VARIANTS[0], 10, 90)


async def test_the_digests_are_those_of_the_events_as_viewers_get_them(world: World) -> None:
    show_id, _ = await open_deal(world, 3, 2)
    await world.do(show_id, c.SlowMode(seconds=5))
    epoch, last = await world.shows.news.position(show_id)
    heard = await world.shows.news.since(show_id, epoch, 0)

    rows = [row for row in await rows_of(world, show_id) if isinstance(row, EventRow)]

    assert heard is not None
    assert last > 3
    assert [(row.epoch, row.place, row.digest) for row in rows] == [
        (epoch, stamped.offset, digest_of(stamped)) for stamped in heard
    ]


async def test_an_event_whose_place_nobody_knows_is_told_without_one(world: World) -> None:
    show_id, _ = await open_deal(world, 3)

    async def work(connection: AsyncConnection) -> None:
        await append_events(connection, show_id, [Note("lost")], 1, "")
        ((log_id, _, _),) = await unpublished(connection, show_id)
        await mark_published(connection, "ep", [(log_id, 0)])

    await world.database.write(work)

    last = [row for row in await rows_of(world, show_id) if isinstance(row, EventRow)][-1]
    assert (last.epoch, last.place, last.kind, last.digest) == ("forgotten", 0, "note", "")


async def test_rows_come_in_pieces_and_others_have_their_turn_in_between(world: World) -> None:
    show_id, deal_id = await open_deal(world, 90)
    await crowd(world, show_id, deal_id, 90)
    redis = world.redis
    raw = await redis.hget(keys.rids(show_id), "vwr_1/rid-00001")
    assert raw is not None
    many = {f"vwr_x{number}/rid-{number:05}": raw for number in range(2 * CROWD)}
    await redis.hset(keys.rids(show_id), mapping=many)
    await drain(world, show_id)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    neighbour = asyncio.create_task(others())
    pieces, least = [], turns
    async for piece in reader_of(world).pieces(show_id):
        assert turns > least
        least = turns
        pieces.append(piece)
        await asyncio.sleep(0)
    await end([neighbour])

    assert len(pieces) > 6
    assert max(map(len, pieces)) <= 2 * PIECE_ROWS
    assert len(books_of([row for piece in pieces for row in piece]).holds) == 90 + len(many)


async def test_pages_of_the_ledger_leave_nothing_out_and_tell_nothing_twice(world: World) -> None:
    show_id, deal_id = await open_deal(world, 90)
    other_id, _ = await open_deal(world, 1)
    keys_of = [(f"vwr_{number % 7}", f"rid-{number:05}") for number in range(2 * PIECE_ROWS)]

    async def work(connection: AsyncConnection) -> None:
        row = {"ticket": 0, "lines": [[deal_id, 1, 1900]], "created_at_ms": 0, "updated_at_ms": 0, "state": "void"}
        order = {
            "currency": "EUR", "subtotal_minor": 1, "shipping_minor": 0, "tax_minor": 0, "tax_included": True,
            "total_minor": 1, "livemode": False, "promises": [], "created_at_ms": 0, "delivery": "pickup",
            "address": {}, "status": "expired", "contact_name": "Ada Byron", "contact": "ada@example.com",
        }  # fmt: skip
        for number, (viewer_id, rid) in enumerate(keys_of):
            of = {"viewer_id": viewer_id, "rid": rid, "show_id": other_id if number == 9 else show_id}
            await connection.execute(insert(reservations).values(**row, **of))
            if number % 2:
                mine = {"id": f"or_{number:05}", "number": str(number)} | order | of
                await connection.execute(insert(orders).values(**mine))
        for number, status in ((1, "captured"), (3, "declined")):
            paid = {
                "id": f"pay_{number}", "order_id": f"or_{number:05}", "provider": "test", "provider_ref": str(number),
                "status": status, "amount_minor": 1, "currency": "EUR", "livemode": False, "created_at_ms": 0,
                "updated_at_ms": 0,
            }  # fmt: skip
            await connection.execute(insert(payments).values(**paid))

    await world.database.write(work)
    rows = await rows_of(world, show_id)
    books = books_of(rows)

    mine = sorted(key for number, key in enumerate(keys_of) if number != 9)
    assert sorted((row.viewer_id, row.rid) for row in books.reservations) == mine
    assert books.reservations[0].lines == ((deal_id, 1),)
    assert len(books.orders) == len({row.order_id for row in books.orders}) == PIECE_ROWS - 1
    assert [row.order_id for row in books.orders if row.paid] == ["or_00001"]
    assert "Ada" not in repr(rows)
    assert "ada@" not in repr(rows)


async def test_others_deals_of_the_same_pools_are_told_as_one_sum_that_names_none(world: World) -> None:
    show_id, deal_id = await open_deal(world, 10)
    others = [(await open_deal(world, units))[1] for units in (20, 5)]
    draft = await world.card(show_id, 7)

    rows = await rows_of(world, show_id)
    books = books_of(rows)

    assert [deal.deal_id for deal in books.deals] == [deal_id]
    (sum_of_others,) = [deal for deal in books.pool_deals if not deal.of_show]
    assert (sum_of_others.deal_id, sum_of_others.variant_id, sum_of_others.allotted) == ("", VARIANTS[0], 25)
    assert [(pool.variant_id, pool.location_id, pool.in_deals) for pool in books.pools] == [(VARIANTS[0], LOCATION, 35)]
    assert breaches(books) == []
    assert not any(hidden in repr(rows) for hidden in (*others, draft.deals[0].deal_id))


async def test_what_is_under_way_is_told_and_the_books_are_then_not_quiet(world: World) -> None:
    show_id, deal_id = await open_deal(world, 10)
    await drain(world, show_id)
    assert books_of(await rows_of(world, show_id)).quiet

    async def errand(connection: AsyncConnection) -> None:
        for body in ({"order_id": "or_1", "show_id": show_id}, {"order_id": "or_2", "show_id": "shw_else"}):
            await connection.execute(insert(outbox).values(kind="tell", body=body, created_at_ms=0))

    await world.database.write(errand)
    await world.engine.reserve(show_id, viewer(1), "rid-00001", [(deal_id, 1)])
    books = books_of(await rows_of(world, show_id))

    assert (books.pending.journal, books.pending.errands, books.pending.events) == (1, 1, 0)
    assert (books.whole, books.quiet) == (True, False)


async def test_books_during_which_something_moved_are_not_quiet(world: World) -> None:
    show_id, deal_id = await open_deal(world, 10)
    await drain(world, show_id)
    books = Books()
    async for piece in reader_of(world).pieces(show_id):
        for row in piece:
            books.take(row)
            if isinstance(row, BeginRow):
                await world.engine.reserve(show_id, viewer(1), "rid-00001", [(deal_id, 1)])
                await drain(world, show_id)

    assert (books.whole, books.quiet, books.pending.total) == (True, False, 0)


async def test_a_show_whose_stock_was_never_opened_has_books_too(world: World) -> None:
    show = await world.show(live=False)

    books = books_of(await rows_of(world, show.show_id))

    assert (books.whole, books.quiet, books.levels, books.holds, books.deals) == (True, True, {}, {}, [])


async def test_without_redis_the_books_are_refused(
    database: Database, redis: Redis, settings: Settings, clock: TestClock
) -> None:
    away = Redis(unix_socket_path="/nowhere/valkey")
    engine = ReservationEngine(away, settings, clock)
    pieces = BooksReader(database, away, engine, clock).pieces("shw_1")

    with pytest.raises(Refused) as refused:
        await anext(pieces)

    assert refused.value.why is R.BUSY
