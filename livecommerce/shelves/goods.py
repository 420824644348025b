"""What a place sells: the variants it has a pool of, with their price and their shelf.

What arrives: a location and variants. What leaves: `Goods`, or `Refused(NOT_SOLD_HERE)`. It counts no units.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.facts import label_of
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import pools, products, shelves, variants


@dataclass(frozen=True, slots=True)
class Goods:
    """One variant at one location. `shelf_id` is "" where nobody asked for it yet; `available` is what its pool has
    beside the shelf."""

    variant_id: str
    shelf_id: str
    title: str
    label: str
    price_minor: int
    available: int
    public: bool  # people may buy it in the shop: published, and not retired


async def goods_at(
    connection: AsyncConnection, location_id: str, variant_ids: Iterable[str], *, public: bool
) -> dict[str, Goods]:
    """Each variant as this location sells it. Refuses `NOT_SOLD_HERE` (fact `variant_id`) for the first one that it
    does not; `public` asks for what the shop shows to everybody, a till sells the rest too."""
    wanted = sorted(set(variant_ids))
    found = {each.variant_id: each for each in await _read(connection, location_id, wanted)}
    for variant_id in wanted:
        goods = found.get(variant_id)
        if goods is None or (public and not goods.public):
            what = " ".join((goods.title, goods.label)).strip() if goods else "no such article"
            raise Refused(R.NOT_SOLD_HERE, what=what, facts={"variant_id": variant_id, "location_id": location_id})
    return found


async def _read(connection: AsyncConnection, location_id: str, variant_ids: Sequence[str]) -> list[Goods]:
    query = (
        select(variants, products.c.title, products.c.published, pools.c.available, shelves.c.id.label("shelf_id"))
        .join(products, products.c.id == variants.c.product_id)
        .join(pools, and_(pools.c.variant_id == variants.c.id, pools.c.location_id == location_id))
        .outerjoin(shelves, and_(shelves.c.variant_id == variants.c.id, shelves.c.location_id == location_id))
        .where(variants.c.id.in_(variant_ids))
    )
    return [
        Goods(
            row.id, row.shelf_id or "", row.title, label_of(row.options), row.price_minor, row.available,
            bool(row.published and not row.retired),
        )
        for row in await connection.execute(query)
    ]  # fmt: skip
