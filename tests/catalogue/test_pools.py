"""Units between pool, deals and sold: each move once, none from nothing."""

import asyncio

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from livecommerce.catalogue import pools as moves
from livecommerce.catalogue.importer import ensure_default_location, import_bytes
from livecommerce.catalogue.pools import Move, Pool, apply_moves, pool_of
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import pool_moves, pools, variants
from livecommerce.settings import Settings


class Stock:
    """Two variants at the default location."""

    def __init__(self, database: Database, ids: list[str], location_id: str) -> None:
        self.database, self.ids, self.location_id = database, ids, location_id

    async def move(self, move_id: str, kind: moves.Kind, qty: int, which: int = 0, deal: str = "") -> None:
        move = Move(move_id, kind, self.ids[which], self.location_id, qty, deal)
        await self.database.write(lambda connection: apply_moves(connection, [move], 1))

    async def pool(self, which: int = 0) -> tuple[int, int, int, int]:
        async with self.database.read() as connection:
            pool = await pool_of(connection, self.ids[which], self.location_id)
        return pool.total, pool.available, pool.in_deals, pool.sold

    async def moves(self) -> list[str]:
        async with self.database.read() as connection:
            return sorted((await connection.execute(select(pool_moves.c.move_id))).scalars())


@pytest.fixture
async def stock(database: Database, settings: Settings) -> Stock:
    await import_bytes(database, b"Handle,Title,Price\na,A,1\nb,B,1\n", settings)
    async with database.read() as connection:
        ids = list((await connection.execute(select(variants.c.id).order_by(variants.c.id))).scalars())
    return Stock(database, ids, await database.write(ensure_default_location))


async def test_units_go_to_a_deal_are_sold_and_the_rest_comes_back(stock: Stock) -> None:
    where = (stock.ids[0], stock.location_id, "dl_1")
    await stock.move("s", "stock", 24)
    await stock.database.write(lambda connection: moves.allot(connection, "a", *where, 20))
    assert await stock.pool() == (24, 4, 20, 0)
    await stock.database.write(lambda connection: moves.sold(connection, "b", *where, 15))
    assert await stock.pool() == (24, 4, 5, 15)
    await stock.database.write(lambda connection: moves.give_back(connection, "c", *where, 5))
    assert await stock.pool() == (24, 9, 0, 15)
    assert await stock.moves() == ["a", "b", "c", "s"]


async def test_a_repeated_move_moves_once(stock: Stock) -> None:
    await stock.move("s", "stock", 10)
    for _ in range(3):
        await stock.move("a", "to_deal", 4, deal="dl_1")
    await asyncio.gather(*(stock.move("b", "sold", 1, deal="dl_1") for _ in range(5)))
    assert await stock.pool() == (10, 6, 3, 1)


async def test_the_same_move_id_with_another_content_is_refused(stock: Stock) -> None:
    await stock.move("s", "stock", 10)
    with pytest.raises(Refused) as caught:
        await stock.move("s", "stock", 11)
    assert caught.value.why is R.RID_REUSED
    assert await stock.pool() == (10, 10, 0, 0)


async def test_more_than_the_pool_has_is_refused_and_nothing_moved(stock: Stock) -> None:
    await stock.move("s", "stock", 3)
    for move_id, kind, qty in (("a", "to_deal", 4), ("b", "stock", -4)):
        with pytest.raises(Refused) as caught:
            await stock.move(move_id, kind, qty)  # type: ignore[arg-type]
        assert caught.value.why is R.STOCK_SHORT
        assert caught.value.facts["free"] == 3
        assert "only 3 units" in caught.value.text
    assert await stock.pool() == (3, 3, 0, 0)
    assert await stock.moves() == ["s"]


async def test_a_pool_that_was_never_stocked_has_nothing_to_give(stock: Stock) -> None:
    with pytest.raises(Refused) as caught:
        await stock.move("a", "to_deal", 1)
    assert caught.value.facts["free"] == 0


async def test_moves_of_a_bundle_go_together_or_not_at_all(stock: Stock) -> None:
    await stock.move("s", "stock", 5, which=0)
    both = [Move(f"m{n}", "to_deal", stock.ids[n], stock.location_id, 2, "dl_1") for n in (1, 0)]
    with pytest.raises(Refused):
        await stock.database.write(lambda connection: apply_moves(connection, both, 1))
    assert await stock.pool(0) == (5, 5, 0, 0)
    await stock.move("t", "stock", 2, which=1)
    await stock.database.write(lambda connection: apply_moves(connection, both, 1))
    assert (await stock.pool(0), await stock.pool(1)) == ((5, 3, 2, 0), (2, 0, 2, 0))


async def test_a_deal_cannot_return_what_it_does_not_have(stock: Stock) -> None:
    await stock.move("s", "stock", 5)
    with pytest.raises(AssertionError):
        await stock.move("a", "from_deal", 1, deal="dl_1")
    assert await stock.pool() == (5, 5, 0, 0)


async def test_the_tables_own_checks_have_the_last_word(stock: Stock) -> None:
    await stock.move("s", "stock", 5)
    for wrong in ({"available": -1, "in_deals": 6}, {"sold": 1}):
        with pytest.raises(IntegrityError):
            await stock.database.write(
                lambda connection, wrong=wrong: connection.execute(pools.update().values(**wrong))
            )
    assert await stock.pool() == (5, 5, 0, 0)


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["stock", "to_deal", "from_deal", "sold"]), st.integers(1, 6), st.booleans()),
        max_size=12,
    )
)
async def test_any_history_agrees_with_plain_arithmetic(
    stock: Stock, history: list[tuple[moves.Kind, int, bool]]
) -> None:
    await stock.database.write(lambda connection: connection.execute(pools.delete()))
    await stock.database.write(lambda connection: connection.execute(pool_moves.delete()))
    model = Pool(0, 0, 0, 0)
    for number, (kind, qty, again) in enumerate(history):
        wanted = _moved(model, kind, qty)
        for _ in range(1 + again):
            if wanted is None:
                with pytest.raises((Refused, AssertionError)):
                    await stock.move(f"h{number}", kind, qty, deal="dl_1")
            else:
                await stock.move(f"h{number}", kind, qty, deal="dl_1")
        model = wanted or model
        assert await stock.pool() == (model.total, model.available, model.in_deals, model.sold)


def _moved(pool: Pool, kind: moves.Kind, qty: int) -> Pool | None:
    after = {
        "stock": Pool(pool.total + qty, pool.available + qty, pool.in_deals, pool.sold),
        "to_deal": Pool(pool.total, pool.available - qty, pool.in_deals + qty, pool.sold),
        "from_deal": Pool(pool.total, pool.available + qty, pool.in_deals - qty, pool.sold),
        "sold": Pool(pool.total, pool.available, pool.in_deals - qty, pool.sold + qty),
    }[kind]
    return after if min(after.available, after.in_deals, after.sold) >= 0 else None
