"""What SQL says of a show, or of a location's shelves, in numbers, read at one moment, and what its own log says they
must be.

What arrives: a connection of one reading transaction. What leaves: the rows of deals and pools, each beside the sum of
the moves that led to it; and sentences for those that differ. SQL is compared with SQL here: all of it is of one
moment, so a difference is a breach and not a matter of timing.
"""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from sqlalchemy import func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.audit.breaches import Found
from livecommerce.audit.replay import Ordered
from livecommerce.catalogue.pools import STEPS, Kind
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, pool_moves, pools, shelves
from livecommerce.reservations import keys

Place = tuple[str, str]  # (variant_id, location_id)


@dataclass(frozen=True, slots=True)
class DealSum:
    """A deal's row, and `moved_in` and `moved_sold`: what the moves of its pool say of it."""

    deal_id: str
    label: str
    status: str
    place: Place
    allotted: int
    paying: int
    sold: int
    moved_in: int
    moved_sold: int


@dataclass(frozen=True, slots=True)
class PoolSum:
    """A pool's row and the sum of its moves, each as (total, available, in deals, sold)."""

    place: Place
    row: tuple[int, int, int, int]
    moved: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Sums:
    deals: Mapping[str, DealSum]
    pools: tuple[PoolSum, ...]


@contextlib.asynccontextmanager
async def one_moment(database: Database) -> AsyncIterator[AsyncConnection]:
    """A connection all of whose reads are of one moment. SQLite's reading transactions are that by themselves."""
    async with database.read() as connection:
        if not database.is_sqlite:
            connection = await connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


async def read_sums(connection: AsyncConnection, show_id: str) -> Sums:
    """The deals of a show that are no drafts (of a location's books its shelves), and the pools they draw on. Its price
    is that of a range of an index."""
    own = select(deals).where(deals.c.show_id == show_id, deals.c.status != "draft")
    if location_id := keys.location_of(show_id):
        nothing = literal("").label("label"), literal("open").label("status")
        own = select(shelves, *nothing).where(shelves.c.location_id == location_id)
    mine = (await connection.execute(own)).all()
    places = {(row.variant_id, row.location_id) for row in mine}
    at = (pool_moves.c.variant_id, pool_moves.c.location_id)
    of_kind = (*at, pool_moves.c.deal_id, pool_moves.c.kind)
    query = select(*of_kind, func.sum(pool_moves.c.qty).label("qty")).group_by(*of_kind)
    # The variants by themselves too: SQLite looks up no list of pairs in an index.
    query = query.where(pool_moves.c.variant_id.in_({variant for variant, _ in places}), tuple_(*at).in_(places))
    moved: defaultdict[Place, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    of_deal: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])  # what it was given less what came home; sold
    for row in (await connection.execute(query)).all() if places else ():
        kind: Kind = row.kind
        for part, step in enumerate(STEPS[kind]):
            moved[row.variant_id, row.location_id][part] += step * int(row.qty)
        of_deal[row.deal_id][0] += {"to_deal": 1, "from_deal": -1}.get(kind, 0) * int(row.qty)
        of_deal[row.deal_id][1] += int(row.qty) if kind == "sold" else 0
    rows = select(pools).where(tuple_(pools.c.variant_id, pools.c.location_id).in_(places))
    return Sums(
        {
            row.id: DealSum(
                row.id, row.label, row.status, (row.variant_id, row.location_id), row.allotted, row.paying, row.sold,
                *of_deal[row.id],
            )
            for row in mine
        },
        tuple(
            PoolSum(place, (row.total, row.available, row.in_deals, row.sold), _four(moved[place]))
            for row in ((await connection.execute(rows)).all() if places else ())
            for place in [(row.variant_id, row.location_id)]
        ),
    )  # fmt: skip


def ledger_against_its_log(sums: Sums, ordered: Mapping[str, Ordered]) -> list[Found]:
    """Rows of SQL that are not what the moves and movements beside them add up to."""
    found = []
    for deal in sums.deals.values():
        said = ordered.get(deal.deal_id) or Ordered()
        if (deal.paying, deal.sold) != (said.paying, said.sold):
            told = f"SQL has paying {deal.paying}, sold {deal.sold}; its movements add up to {said.paying}, {said.sold}"
            found.append(Found(f"{deal.deal_id}: {told}", deal_id=deal.deal_id))
        if deal.allotted != deal.moved_in:
            told = f"SQL has {deal.allotted} allotted; the moves of its pool add up to {deal.moved_in}"
            found.append(Found(f"{deal.deal_id}: {told}", deal_id=deal.deal_id))
        if deal.sold != deal.moved_sold:
            told = f"SQL has {deal.sold} sold; the moves of its pool add up to {deal.moved_sold}"
            found.append(Found(f"{deal.deal_id}: {told}", deal_id=deal.deal_id))
    for pool in sums.pools:
        if pool.row != pool.moved:
            told = f"(total, available, in deals, sold) {pool.row}; its moves add up to {pool.moved}"
            found.append(Found(f"pool {' at '.join(pool.place)}: {told}"))
    return found


def _four(numbers: list[int]) -> tuple[int, int, int, int]:
    total, available, in_deals, sold = numbers
    return total, available, in_deals, sold
