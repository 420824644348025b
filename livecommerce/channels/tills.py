"""Tills: the shops' own cash registers sell, set aside and ask for stock by the same engine as everybody.

What arrives: a location that the key was proved for, and what the till wants. What leaves: holds, sales that are paid
and handed out, stock in numbers. Each request of a till is a viewer of its own in the books, made of its rid: so its
limit is its own, and the same rid is the same sale whichever register asks again. It knows no HTTP.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, select

from livecommerce.catalogue.facts import label_of
from livecommerce.catalogue.service import Catalogue
from livecommerce.channels.facts import (
    TillHold,
    TillHoldRequest,
    TillLine,
    TillSale,
    TillSaleRequest,
    TillStock,
    TillStockLine,
)
from livecommerce.channels.goods import Names, sum_of
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import pools, products, shelves, shop_holds, variants
from livecommerce.orders.service import Orders
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import Hold, Level
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import Shelves

STOCK_LINES = 100
_NOTHING = Level(0, 0, 0, 0, 0)


class Tills:
    """One per process; keeps nothing. Every method may be repeated."""

    def __init__(
        self, database: Database, engine: ReservationEngine, shelves_: Shelves, orders: Orders, catalogue: Catalogue,
        names: Names, settings: Settings,
    ) -> None:  # fmt: skip
        self._database = database
        self._engine = engine
        self._shelves = shelves_
        self._orders = orders
        self._catalogue = catalogue
        self._names = names
        self._settings = settings

    async def hold(self, location_id: str, request: TillHoldRequest) -> TillHold:
        """Set articles aside at the till, for as long as it says. Refuses as `Shelves.reserve`, `HOLD_GONE`."""
        viewer = await self._till(location_id, request.rid)
        hold = await self._reserve(viewer, location_id, request.rid, request.lines)
        if hold.state == "held":
            keep_ms = request.minutes * 60_000
            hold = await self._engine.keep(hold.show_id, viewer.viewer_id, request.rid, keep_ms)
        return await self._told(viewer.viewer_id, hold)

    async def release(self, location_id: str, rid: str) -> TillHold:
        """Give back what was set aside. Refuses `NOT_FOUND`, and `CONFLICT` for what is sold."""
        viewer = await self._till(location_id, rid)
        hold = await self._engine.release(keys.pool_book(location_id), viewer.viewer_id, rid)
        return await self._told(viewer.viewer_id, hold)

    async def sell(self, location_id: str, request: TillSaleRequest) -> TillSale:
        """Paid at the till: sold and handed out. Refuses as `hold`, and as `Orders.sell_at_till`."""
        viewer = await self._till(location_id, request.rid, request.advisor_id)
        await self._orders.refuse_known_receipt(viewer, location_id, request.rid, request.receipt)
        if request.lines:
            await self._reserve(viewer, location_id, request.rid, request.lines)
        page = await self._orders.sell_at_till(viewer, location_id, request.rid, request.receipt)
        return TillSale(request.rid, request.receipt, page)

    async def stock(self, location_id: str, after: str = "", barcode: str = "", variant_id: str = "") -> TillStock:
        """What the location has, article by article. Refuses `NOT_FOUND` for an unknown location."""
        await self._catalogue.location(location_id)
        query = (
            select(
                variants.c.id, variants.c.sku, variants.c.barcode, variants.c.options, variants.c.price_minor,
                products.c.title, pools.c.available, pools.c.in_deals, shelves.c.id.label("shelf_id"),
                shelves.c.allotted, shelves.c.sold,
            )
            .select_from(pools)
            .join(variants, variants.c.id == pools.c.variant_id)
            .join(products, products.c.id == variants.c.product_id)
            .outerjoin(
                shelves,
                and_(shelves.c.variant_id == pools.c.variant_id, shelves.c.location_id == pools.c.location_id),
            )
            .where(pools.c.location_id == location_id, variants.c.id > after)
        )  # fmt: skip
        if barcode:
            query = query.where(variants.c.barcode == barcode)
        if variant_id:
            query = query.where(variants.c.id == variant_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(variants.c.id).limit(STOCK_LINES))).all()
        ids = [row.shelf_id for row in rows if row.shelf_id]
        levels = await self._engine.levels_of(keys.pool_book(location_id), ids)
        lines = tuple(_stock(row, levels.get(row.shelf_id, _NOTHING)) for row in rows)
        after = rows[-1].id if len(rows) == STOCK_LINES else ""
        return TillStock(location_id, self._settings.currency, lines, after)

    # --- steps ------------------------------------------------------------------------------------------------------

    async def _till(self, location_id: str, rid: str, advisor_id: str = "") -> ViewerIdentity:
        """Who this request is in the books. Refuses `NOT_FOUND` for an unknown location."""
        location = await self._catalogue.location(location_id)
        word = hashlib.sha256(f"{location_id}/{rid}".encode()).hexdigest()[:24]
        return ViewerIdentity(f"till_{word}", location.name, advisor_id=advisor_id, shop_id=location.org_unit_id)

    async def _reserve(self, viewer: ViewerIdentity, location_id: str, rid: str, lines: Sequence[TillLine]) -> Hold:
        wanted = [(await self._variant_of(location_id, line), line.qty) for line in lines]
        if not wanted:
            raise Refused(R.MALFORMED, expected="at least one line")
        return await self._shelves.reserve("till", viewer, location_id, rid, wanted)

    async def _variant_of(self, location_id: str, line: TillLine) -> str:
        if line.variant_id:
            return line.variant_id
        if not line.barcode:
            raise Refused(R.MALFORMED, expected="a variant_id or a barcode in each line")
        query = (
            select(variants.c.id)
            .join(pools, pools.c.variant_id == variants.c.id)
            .where(variants.c.barcode == line.barcode, pools.c.location_id == location_id)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query.limit(2))).scalars().all()
        if not found:
            what = f"bar code {line.barcode}"
            raise Refused(R.NOT_SOLD_HERE, what=what, facts={"barcode": line.barcode, "location_id": location_id})
        if len(found) > 1:
            raise Refused(R.MALFORMED, expected="a variant_id: several articles carry this bar code")
        return str(found[0])

    async def _told(self, viewer_id: str, hold: Hold) -> TillHold:
        query = select(shop_holds).where(shop_holds.c.viewer_id == viewer_id, shop_holds.c.rid == hold.rid)
        async with self._database.read() as connection:
            rows = list((await connection.execute(query)).all())
        articles = (await self._names.told(rows)).get(hold.rid, ())
        total_minor, currency = sum_of(articles), self._settings.currency
        return TillHold(hold.rid, hold.state, hold.due_at_ms, articles, total_minor, currency)


def _stock(row: Any, level: Level) -> TillStockLine:
    on_shelf = (row.allotted or 0) - (row.sold or 0)
    return TillStockLine(
        variant_id=row.id, sku=row.sku, barcode=row.barcode, title=row.title, label=label_of(row.options),
        price_minor=row.price_minor, free=row.available + level.available, set_aside=level.held,
        being_paid=level.paying, in_shows=row.in_deals - on_shelf,
    )  # fmt: skip
