"""What a process was at when it was killed: orders, a deal that opens, one that closes, the journal on its way to SQL.

Each tale says what the shop was before, what the doomed process does, over wires that lead to its end, and what its
successor must find and make of it. It does not know how processes die; `doomed` does.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from livecommerce.audit.books import Books, BooksReader
from livecommerce.audit.breaches import breaches
from livecommerce.background import journal
from livecommerce.background.journal import JournalToLedger, rows_of
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import show_log
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Level
from livecommerce.reservations import DealStock, ReservationEngine, keys
from livecommerce.settings import Settings
from livecommerce.shows.log import UNPUBLISHED
from livecommerce.shows.news import News
from livecommerce.shows.service import Shows
from tests.background import test_journal
from tests.faults import test_order_crash_points as crash_points
from tests.faults.test_order_crash_points import Fuse, Wire
from tests.orders.world import SHOW as ORDERS_SHOW
from tests.orders.world import World as OrdersWorld
from tests.orders.world import seed
from tests.shows.world import ANA, BEA, HOST, STOCK, Pool, World

QUOTAS = (10, 5)


@dataclass(frozen=True)
class Parts:
    """What one process has of the shop."""

    database: Database
    engine: ReservationEngine
    redis: Redis
    settings: Settings
    clock: TestClock

    async def assert_books_agree(self, show_id: str) -> None:
        """The history checker has the last word."""
        await JournalToLedger(self.redis, self.database, self.engine, self.clock).drain(show_id)
        books = Books()
        async for piece in BooksReader(self.database, self.redis, self.engine, self.clock).pieces(show_id):
            for row in piece:
                books.take(row)
        found = breaches(books)
        assert not found, "\n".join(found)


class Tale(Protocol):
    async def begin(self, parts: Parts) -> None:
        """The shop as it was, in stores that are empty."""

    async def tell(self, parts: Parts, fuse: Fuse) -> None:
        """What the doomed process does; each arrow crosses the fuse."""

    async def heal_and_check(self, parts: Parts) -> None:
        """What stands after its death, and once a new process has done its work."""


class AnOrder:
    """One of `test_order_crash_points`."""

    def __init__(self, story: crash_points.Story) -> None:
        self._story = story

    async def begin(self, parts: Parts) -> None:
        async with self._world(parts) as world:
            await seed(world)
            await world.hold()

    async def tell(self, parts: Parts, fuse: Fuse) -> None:
        async with self._world(parts) as world:
            crash_points.doom(world, fuse)
            await self._story(world)

    async def heal_and_check(self, parts: Parts) -> None:
        async with self._world(parts) as world:
            await world.assert_conserved()
            await world.assert_redis_never_above_sql()
            await crash_points._come_back(world)
            await crash_points._work_as_a_worker(world)
            await world.assert_conserved()
            await world.assert_healed()
            await crash_points._assert_money_and_units_agree(world)
        await parts.assert_books_agree(ORDERS_SHOW)

    @contextlib.asynccontextmanager
    async def _world(self, parts: Parts) -> AsyncIterator[OrdersWorld]:
        world = OrdersWorld(parts.database, parts.engine, parts.redis, parts.settings, parts.clock)
        yield world
        await world.aclose()


class ADealMoves:
    """What a deal that opens and one that closes have in common: a live show with a card of two deals."""

    def __init__(self) -> None:
        self.show_id = self.card_id = ""
        self.deals: list[str] = []

    async def begin(self, parts: Parts) -> None:
        world = _house(parts)
        await world.seed()
        self.show_id = (await world.show()).show_id
        card = await world.card(self.show_id, *QUOTAS)
        self.card_id, self.deals = card.card_id, [deal.deal_id for deal in card.deals]

    def _doomed(self, parts: Parts, fuse: Fuse) -> Shows:
        world = _house(parts)
        stock = {"open_show", "set_show_limit", "put_deal", "set_deal_status", "levels"}
        return Shows(
            Wire(parts.database, {"write"}, fuse), Wire(parts.engine, stock, fuse),  # type: ignore[arg-type]
            world.catalogue, Wire(News(parts.redis), {"publish_logged"}, fuse), parts.clock, parts.settings,  # type: ignore[arg-type]
        )  # fmt: skip

    async def _assert_nothing_is_twice(self, world: World) -> None:
        """Every pool adds up, and Redis has nothing of a deal that SQL has given to the pool."""
        _, levels = await world.engine.levels(self.show_id)
        for place, deal_id in enumerate(self.deals):
            row, level = await world.deal(deal_id), levels.get(deal_id, Level(0, 0, 0, 0, 0))
            assert (await world.pool(place)).in_deals == row.allotted
            assert level.available + level.held + level.paying <= row.allotted - row.sold

    async def _assert_told_once(self, world: World, *kinds: str) -> None:
        heard = await world.heard(self.show_id)
        assert sorted(kind for kind in heard if kind in kinds) == sorted(kinds)
        async with world.database.read() as connection:
            unpublished = select(show_log.c.kind).where(show_log.c.epoch == UNPUBLISHED)
            assert (await connection.execute(unpublished)).all() == []


class ADealOpens(ADealMoves):
    """The host shows the card: pool → deal in SQL, then the books in Redis, then the room."""

    async def tell(self, parts: Parts, fuse: Fuse) -> None:
        await self._show_card(self._doomed(parts, fuse))

    async def _show_card(self, shows: Shows) -> None:
        await shows.command(HOST, self.show_id, "the-opening", c.ShowCard(self.card_id))

    async def heal_and_check(self, parts: Parts) -> None:
        world = _house(parts)
        await self._assert_nothing_is_twice(world)
        await self._show_card(world.shows)  # whoever read no answer asks again
        await world.shows.programme.due_changes()
        await self._assert_nothing_is_twice(world)
        await self._assert_told_once(world, "card_shown", "deal_opened", "deal_opened")
        _, levels = await world.engine.levels(self.show_id)
        for place, (deal_id, quota) in enumerate(zip(self.deals, QUOTAS, strict=True)):
            assert await world.pool(place) == Pool(STOCK - quota, quota, 0)
            assert levels[deal_id] == Level(quota, 0, 0, 0, 0)
            assert (await world.engine.reserve(self.show_id, ANA, f"rid-{deal_id}", [(deal_id, 1)])).state == "held"
        await parts.assert_books_agree(self.show_id)


class ADealCloses(ADealMoves):
    """The host closes a deal of which somebody holds two: the rest goes home at once, hers when she lets go."""

    RID = "rid-00000001"

    async def begin(self, parts: Parts) -> None:
        await super().begin(parts)
        world = _house(parts)
        await world.shows.command(HOST, self.show_id, "the-opening", c.ShowCard(self.card_id))
        await world.engine.reserve(self.show_id, ANA, self.RID, [(self.deals[0], 2)])

    async def tell(self, parts: Parts, fuse: Fuse) -> None:
        await self._close(self._doomed(parts, fuse), parts)

    async def _close(self, shows: Shows, parts: Parts) -> None:
        await shows.command(HOST, self.show_id, "the-closing", c.CloseDeal(self.deals[0]))
        await shows.programme.due_changes()
        await parts.engine.release(self.show_id, ANA.viewer_id, self.RID)
        await shows.programme.due_changes()

    async def heal_and_check(self, parts: Parts) -> None:
        world = _house(parts)
        await self._assert_nothing_is_twice(world)
        await self._close(world.shows, parts)
        await self._assert_nothing_is_twice(world)
        await self._assert_told_once(world, "card_shown", "deal_opened", "deal_opened", "deal_closed")
        assert await world.pool(0) == Pool(STOCK, 0, 0)
        assert await world.pool(1) == Pool(STOCK - QUOTAS[1], QUOTAS[1], 0)
        assert (await world.deal(self.deals[0])).status == "closed"
        assert (await world.engine.levels(self.show_id))[1][self.deals[0]] == Level(0, 0, 0, 0, 0)
        with pytest.raises(Refused) as refused:
            await world.engine.reserve(self.show_id, BEA, self.RID, [(self.deals[0], 1)])
        assert refused.value.why is R.DEAL_CLOSED
        await parts.assert_books_agree(self.show_id)


def _house(parts: Parts) -> World:
    return World(parts.database, parts.redis, parts.settings, parts.clock, parts.engine)


class TheJournalIsCopied:
    """Entries become rows, are committed, and trimmed only then; two entries a commit, so that there are several."""

    def __init__(self) -> None:
        self.expected: list[tuple[object, ...]] = []

    async def begin(self, parts: Parts) -> None:
        await parts.engine.open_show(test_journal.SHOW)
        for deal_id in ("dl_a", "dl_b"):
            await parts.engine.put_deal(test_journal.SHOW, DealStock(deal_id, 3, 2, 100_000, 100_000, "open"))
        self.expected = await test_journal.a_history(parts.engine)

    async def tell(self, parts: Parts, fuse: Fuse) -> None:
        journal.ENTRIES_PER_COMMIT = 2  # this process does nothing else any more
        redis, database = Wire(parts.redis, {"xrange", "xtrim"}, fuse), Wire(parts.database, {"write"}, fuse)
        await JournalToLedger(redis, database, parts.engine, parts.clock).drain(test_journal.SHOW)  # type: ignore[arg-type]

    async def heal_and_check(self, parts: Parts) -> None:
        copied = await test_journal.rows(parts.database)
        entries = await parts.redis.xrange(keys.journal(test_journal.SHOW))
        waiting = [_key(row) for _, fields in entries for row in rows_of(test_journal.SHOW, fields[b"b"])]
        assert set(self.expected) == {*copied, *waiting}, "an entry was trimmed before its rows were committed"
        await JournalToLedger(parts.redis, parts.database, parts.engine, parts.clock).drain(test_journal.SHOW)
        assert await test_journal.rows(parts.database) == self.expected
        assert await parts.redis.xlen(keys.journal(test_journal.SHOW)) == 0


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("viewer_id", "rid", "line", "kind", "n", "deal_id", "qty"))


TALES: dict[str, Tale] = {
    **{story.__name__: AnOrder(story) for story in crash_points.STORIES},
    "a_deal_opens": ADealOpens(),
    "a_deal_closes": ADealCloses(),
    "the_journal_is_copied": TheJournalIsCopied(),
}
