"""The catalogue as the rest of the project meets it: lists, products, variants, stock, locations, pictures.

What arrives: questions, and changes by staff. What leaves: facts of `catalogue.facts`, or refusals. Units that are in
deals or sold are no longer for sale here: the shop's words count what is available in pools and not sold or being paid
on their shelves. It knows no show and no HTTP.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.facts import (
    Detail,
    ImageFacts,
    LocationFacts,
    LocationStock,
    NewLocation,
    PoolFacts,
    ProductFacts,
    ProductLine,
    ProductPage,
    StaffProduct,
    StaffProductPage,
    StaffVariant,
    VariantFacts,
    label_of,
    stock_words,
)
from livecommerce.catalogue.images import WIDTHS, Fetcher, ImageStore, Picture
from livecommerce.catalogue.importer import Progress, Report, ensure_default_location, import_bytes
from livecommerce.catalogue.placeholder import placeholder_svg
from livecommerce.catalogue.pools import Move, Pool, apply_moves, pool_of
from livecommerce.catalogue.search import Entry, find, fold
from livecommerce.clock import Clock, RealClock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import (
    deals,
    locations,
    orders,
    org_units,
    pools,
    product_images,
    products,
    shelves,
    variants,
)  # fmt: skip
from livecommerce.settings import Settings

log = structlog.get_logger(__name__)

PER_PAGE = 24
PER_PAGE_MAX = 100
# A picture that could not be fetched is not asked for again for this long: a dead server must not slow each page.
FETCH_AGAIN_SECONDS = 600.0
FETCHES_AT_ONCE = 4
FAILURES_KEPT_MAX = 10_000


class Catalogue:
    """One per process; holds a search index and nothing else that could be out of date."""

    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, fetcher: Fetcher | None = None
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or RealClock()
        self.images = ImageStore(settings.data / "images")
        self._fetcher = fetcher or Fetcher()
        self._fetching: dict[str, asyncio.Task[Picture | None]] = {}
        self._fetches_at_once = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._not_before: dict[str, float] = {}
        self._index: list[Entry] = []
        self._index_of: tuple[int, int] = (-1, -1)

    # --- reading ----------------------------------------------------------------------------------------------------

    async def search(
        self, query: str = "", type: str = "", tag: str = "", page: int = 1, per_page: int = PER_PAGE,
        published_only: bool = True,
    ) -> ProductPage:  # fmt: skip
        """A page of products. Pages count from 1; a page past the end is empty, never a refusal."""
        async with self.database.read() as connection:
            index = await self._fresh_index(connection)
            found = find(index, query[:200], type, tag, published_only)
            page, per_page = max(1, page), max(1, min(per_page, PER_PAGE_MAX))
            shown = found[(page - 1) * per_page : page * per_page]
            rows = await _products(connection, products.c.id.in_(shown))
            lines = [self._line(*rows[product_id]) for product_id in shown if product_id in rows]
            names = await _names(connection, published_only)
        return ProductPage(tuple(lines), page, -(-len(found) // per_page), len(found), *names)

    async def product(self, handle: str, published_only: bool = True) -> ProductFacts:
        """A product with its variants, pictures and stock by location. Refuses `NOT_FOUND`."""
        async with self.database.read() as connection:
            rows = await _products(connection, products.c.handle == handle.lower())
            found = next(iter(rows.values()), None)
            if found is None or (published_only and not found[0].published):
                raise Refused(R.NOT_FOUND, what="product")
            row, variant_rows, image_rows = found
            stock = await _stock(connection, [variant.id for variant in variant_rows])
        shown = [variant for variant in variant_rows if not variant.retired]
        return ProductFacts(
            product_id=row.id, handle=row.handle, title=row.title, body_html=row.body_html, vendor=row.vendor,
            type=row.type, tags=tuple(row.tags), published=row.published, currency=self.settings.currency,
            option_names=tuple(row.option_names),
            variants=tuple(_variant(row, variant, image_rows, stock.get(variant.id, [])) for variant in shown),
            images=tuple(_image(image) for image in image_rows), details=_details(row.extra),
        )  # fmt: skip

    async def variants(self, variant_ids: Iterable[str]) -> dict[str, VariantFacts]:
        """Facts of these variants, retired ones too (a deal may outlive a file); unknown ids are left out."""
        wanted = sorted(set(variant_ids))
        async with self.database.read() as connection:
            rows = await connection.execute(select(variants.c.product_id).where(variants.c.id.in_(wanted)))
            found = await _products(connection, products.c.id.in_({row.product_id for row in rows}))
            stock = await _stock(connection, wanted)
        return {
            variant.id: _variant(row, variant, image_rows, stock.get(variant.id, []))
            for row, variant_rows, image_rows in found.values()
            for variant in variant_rows
            if variant.id in wanted
        }

    async def variant(self, variant_id: str) -> VariantFacts:
        """One variant. Refuses `NOT_FOUND`."""
        found = (await self.variants([variant_id])).get(variant_id)
        if found is None:
            raise Refused(R.NOT_FOUND, what="variant")
        return found

    async def staff_products(self, query: str = "", page: int = 1, per_page: int = PER_PAGE) -> StaffProductPage:
        """Products with the numbers of each pool, unpublished and retired ones too."""
        async with self.database.read() as connection:
            index = await self._fresh_index(connection)
            found = find(index, query[:200], "", "", published_only=False)
            page, per_page = max(1, page), max(1, min(per_page, PER_PAGE_MAX))
            shown = found[(page - 1) * per_page : page * per_page]
            rows = await _products(connection, products.c.id.in_(shown))
            ids = [variant.id for row in rows.values() for variant in row[1]]
            stock = await _stock(connection, ids)
        lines = tuple(_staff_product(*rows[product_id], stock) for product_id in shown if product_id in rows)
        return StaffProductPage(lines, page, -(-len(found) // per_page), len(found))

    # --- stock ------------------------------------------------------------------------------------------------------

    async def pool(self, variant_id: str, location_id: str) -> Pool:
        async with self.database.read() as connection:
            return await pool_of(connection, variant_id, location_id)

    async def change_stock(self, move_id: str, variant_id: str, location_id: str, delta: int) -> Pool:
        """Add or take `delta` units (a delta, so that two people who count at once do not undo each other).

        Refuses `NOT_FOUND` for an unknown variant or location, `STOCK_SHORT` where less than that is free,
        `RID_REUSED` where the move id was used for another change. The same move id again changes nothing.
        """

        async def work(connection: AsyncConnection) -> Pool:
            await _must_exist(connection, variants, variant_id, "variant")
            await _must_exist(connection, locations, location_id, "location")
            await apply_moves(connection, [Move(move_id, "stock", variant_id, location_id, delta)], self.clock.now_ms())
            return await pool_of(connection, variant_id, location_id)

        return await self.database.write(work)

    async def import_csv(self, data: bytes, progress: Progress | None = None) -> Report:
        """Import a product CSV; see `importer.import_bytes`."""
        return await import_bytes(self.database, data, self.settings, progress, self.clock)

    # --- locations --------------------------------------------------------------------------------------------------

    async def locations(self, kind: str = "") -> tuple[LocationFacts, ...]:
        """All locations, or those of one kind (`shop`: the counters to collect at), by name."""
        query = select(locations).order_by(locations.c.name, locations.c.id)
        async with self.database.read() as connection:
            rows = await connection.execute(query.where(locations.c.kind == kind) if kind else query)
            return tuple(_location(row) for row in rows)

    async def location(self, location_id: str) -> LocationFacts:
        """One location. Refuses `NOT_FOUND`."""
        async with self.database.read() as connection:
            return _location(await _must_exist(connection, locations, location_id, "location"))

    async def location_scope(self, location_id: str) -> str:
        """The path in the organisation tree of whom the location belongs to; "" where it is headquarters'."""
        query = (
            select(org_units.c.path)
            .join(locations, locations.c.org_unit_id == org_units.c.id)
            .where(locations.c.id == location_id)
        )
        async with self.database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none() or ""

    async def default_location(self) -> str:
        """The id of the location that unplaced stock goes to; made where there is none."""
        return await self.database.write(ensure_default_location)

    async def add_location(self, new: NewLocation) -> LocationFacts:
        """A new location. Refuses `NOT_FOUND` for an unknown place in the organisation."""

        async def work(connection: AsyncConnection) -> LocationFacts:
            location_id = new_id("loc")
            await connection.execute(
                insert(locations).values(id=location_id, is_default=False, **await _of(connection, new))
            )
            return _location(await _must_exist(connection, locations, location_id, "location"))

        return await self.database.write(work)

    async def change_location(self, location_id: str, new: NewLocation) -> LocationFacts:
        """The location with new words; its stock stays. Refuses `NOT_FOUND`."""

        async def work(connection: AsyncConnection) -> LocationFacts:
            await _must_exist(connection, locations, location_id, "location")
            change = update(locations).where(locations.c.id == location_id)
            await connection.execute(change.values(**await _of(connection, new)))
            return _location(await _must_exist(connection, locations, location_id, "location"))

        return await self.database.write(work)

    async def remove_location(self, location_id: str) -> None:
        """Remove a location that was never used. Refuses `NOT_FOUND`, and `IN_USE` where it is the default one, has
        units (free, in deals or sold), or stands in a deal, a shelf or an order."""

        async def work(connection: AsyncConnection) -> None:
            row = await _must_exist(connection, locations, location_id, "location")
            uses = (
                select(func.count()).where(pools.c.location_id == location_id, pools.c.total > 0),
                select(func.count()).where(deals.c.location_id == location_id),
                select(func.count()).where(shelves.c.location_id == location_id),
                select(func.count()).where(orders.c.pickup_location_id == location_id),
            )
            if row.is_default or any([(await connection.execute(use)).scalar_one() for use in uses]):
                raise Refused(R.IN_USE, what="location")
            await connection.execute(delete(pools).where(pools.c.location_id == location_id))
            await connection.execute(delete(locations).where(locations.c.id == location_id))

        await self.database.write(work)

    # --- pictures ---------------------------------------------------------------------------------------------------

    async def add_image(self, handle: str, data: bytes, alt: str = "", options: Sequence[str] = ()) -> ImageFacts:
        """Keep an uploaded picture with a product, and with its variant of these option values where given.

        The same picture again is the same image. Refuses `NOT_FOUND`, `IMAGE`, `TOO_LARGE`.
        """
        picture = await self.images.keep(data)

        async def work(connection: AsyncConnection) -> ImageFacts:
            query = select(products.c.id).where(products.c.handle == handle.lower()).with_for_update()
            product_id = (await connection.execute(query)).scalar_one_or_none()
            if product_id is None:
                raise Refused(R.NOT_FOUND, what="product")
            of_product = product_images.c.product_id == product_id
            same = select(product_images).where(of_product, product_images.c.stored_name == picture.name)
            row = (await connection.execute(same)).first()
            if row is None:
                last = select(func.coalesce(func.max(product_images.c.position), 0)).where(of_product)
                place = (await connection.execute(last)).scalar_one() + 1
                await connection.execute(
                    insert(product_images).values(
                        id=new_id("img"), product_id=product_id, position=place, source_url="", alt=alt[:512],
                        stored_name=picture.name, width=picture.width, height=picture.height,
                    )
                )  # fmt: skip
                row = (await connection.execute(same)).one()
            if options:
                await _give_image(connection, product_id, tuple(options), row.id)
            return _image(row)

        return await self.database.write(work)

    async def image_file(self, image_id: str, width: int) -> tuple[Path | None, str]:
        """The file of a picture, fetched now where an import brought only its address; or None, and the handle of its
        product, whose placeholder then stands in. Refuses `NOT_FOUND` for an unknown picture or width."""
        if width not in WIDTHS:
            raise Refused(R.NOT_FOUND, what="picture")
        query = (
            select(product_images, products.c.handle)
            .join(products, products.c.id == product_images.c.product_id)
            .where(product_images.c.id == image_id)
        )
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise Refused(R.NOT_FOUND, what="picture")
        name = row.stored_name or await self._fetched(image_id, row.source_url)
        return (await self.images.file(name, width) if name else None), str(row.handle)

    async def placeholder(self, handle: str) -> str:
        """An SVG for a product without picture; also for a handle that is none, so that nothing is told by it."""
        query = select(products.c.title, products.c.type).where(products.c.handle == handle, products.c.published)
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return placeholder_svg(handle, row.title, row.type) if row else placeholder_svg(handle)

    async def _fetched(self, image_id: str, url: str) -> str:
        """The name of the kept picture, or "" where it cannot be had now. Many who ask at once wait for one fetch."""
        if not url or self.clock.monotonic() < self._not_before.get(image_id, 0):
            return ""
        task = self._fetching.get(image_id)
        if task is None:
            task = asyncio.create_task(self._fetch(image_id, url))
            self._fetching[image_id] = task
            task.add_done_callback(lambda _: self._fetching.pop(image_id, None))
        picture = await asyncio.shield(task)
        return picture.name if picture else ""

    async def _fetch(self, image_id: str, url: str) -> Picture | None:
        try:
            async with self._fetches_at_once:
                picture = await self.images.keep(await self._fetcher.fetch(url))
        except Refused as refused:
            log.info("image_not_fetched", image_id=image_id, why=refused.text)
            if len(self._not_before) >= FAILURES_KEPT_MAX:
                self._not_before.clear()
            self._not_before[image_id] = self.clock.monotonic() + FETCH_AGAIN_SECONDS
            return None

        async def work(connection: AsyncConnection) -> None:
            change = update(product_images).where(product_images.c.id == image_id, product_images.c.source_url == url)
            await connection.execute(
                change.values(stored_name=picture.name, width=picture.width, height=picture.height)
            )

        await self.database.write(work)
        return picture

    # --- what the facts are made of ---------------------------------------------------------------------------------

    async def _fresh_index(self, connection: AsyncConnection) -> list[Entry]:
        """The search index, read anew when any product was added or changed, by whichever process."""
        stamp = select(func.count(), func.coalesce(func.sum(products.c.updated_at_ms), 0)).select_from(products)
        count, changed = (await connection.execute(stamp)).one()
        if self._index_of != (count, int(changed)):
            self._index = await _read_index(connection)
            self._index_of = (count, int(changed))
        return self._index

    def _line(self, row: Any, variant_rows: list[Any], image_rows: list[Any]) -> ProductLine:
        shown = [variant for variant in variant_rows if not variant.retired]
        prices = [variant.price_minor for variant in shown] or [0]
        return ProductLine(
            product_id=row.id, handle=row.handle, title=row.title, vendor=row.vendor, type=row.type,
            price_from_minor=min(prices), price_to_minor=max(prices),
            was_minor=max((variant.was_minor for variant in shown if variant.was_minor), default=None),
            image=_image_url(row.handle, image_rows[0].id if image_rows else None),
            image_alt=(image_rows[0].alt if image_rows else "") or row.title,
            swatches=tuple(variant.swatch for variant in shown if variant.swatch),
            stock=stock_words(sum(variant.available for variant in shown)), published=row.published,
        )  # fmt: skip


_POOLS_WITH_SHELVES = pools.outerjoin(
    shelves, and_(shelves.c.variant_id == pools.c.variant_id, shelves.c.location_id == pools.c.location_id)
)
_ON_SHELF = func.coalesce(shelves.c.allotted - shelves.c.sold - shelves.c.paying, 0)


async def _products(connection: AsyncConnection, which: Any) -> dict[str, tuple[Any, list[Any], list[Any]]]:
    """(product, its variants with their units available, its pictures) by product id."""
    rows = (await connection.execute(select(products).where(which))).all()
    found: dict[str, tuple[Any, list[Any], list[Any]]] = {row.id: (row, [], []) for row in rows}
    free = (
        select(func.coalesce(func.sum(pools.c.available + _ON_SHELF), 0))
        .select_from(_POOLS_WITH_SHELVES)
        .where(pools.c.variant_id == variants.c.id)
        .scalar_subquery()
    )
    query = select(variants, free.label("available")).where(variants.c.product_id.in_(found))
    for variant in await connection.execute(query.order_by(variants.c.position, variants.c.id)):
        found[variant.product_id][1].append(variant)
    pictures = select(product_images).where(product_images.c.product_id.in_(found))
    for image in await connection.execute(pictures.order_by(product_images.c.position, product_images.c.id)):
        found[image.product_id][2].append(image)
    return found


async def _stock(connection: AsyncConnection, variant_ids: Sequence[str]) -> dict[str, list[Any]]:
    """Rows of pools with their location, by variant id; shops and warehouses by name."""
    query = (
        select(pools, locations.c.name, locations.c.kind, _ON_SHELF.label("on_shelf"))
        .select_from(_POOLS_WITH_SHELVES)
        .join(locations, locations.c.id == pools.c.location_id)
        .where(pools.c.variant_id.in_(variant_ids))
        .order_by(locations.c.name, locations.c.id)
    )
    found: dict[str, list[Any]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.variant_id, []).append(row)
    return found


async def _names(connection: AsyncConnection, published_only: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    query = select(products.c.type, products.c.tags)
    rows = (await connection.execute(query.where(products.c.published) if published_only else query)).all()
    types = {row.type for row in rows if row.type}
    tags = {tag for row in rows for tag in row.tags}
    return tuple(sorted(types)), tuple(sorted(tags))


async def _read_index(connection: AsyncConnection) -> list[Entry]:
    shades: dict[str, list[str]] = {}
    for row in await connection.execute(select(variants.c.product_id, variants.c.options, variants.c.sku)):
        shades.setdefault(row.product_id, []).extend([*row.options, row.sku])
    rows = await connection.execute(select(products).order_by(products.c.created_at_ms, products.c.id))
    return [
        Entry(
            product_id=row.id,
            title=fold(row.title),
            words=fold(" ".join((row.title, row.vendor, row.type, *row.tags, *shades.get(row.id, ()), row.handle))),
            type=fold(row.type),
            tags=frozenset(fold(tag) for tag in row.tags),
            published=row.published,
        )
        for row in rows
    ]


async def _must_exist(connection: AsyncConnection, table: Any, row_id: str, what: str) -> Any:
    row = (await connection.execute(select(table).where(table.c.id == row_id))).one_or_none()
    if row is None:
        raise Refused(R.NOT_FOUND, what=what)
    return row


async def _of(connection: AsyncConnection, new: NewLocation) -> dict[str, Any]:
    if new.org_unit_id:
        await _must_exist(connection, org_units, new.org_unit_id, "place in the organisation")
    return {
        "kind": new.kind, "name": new.name.strip(), "address": new.address, "city": new.city, "hours": new.hours,
        "org_unit_id": new.org_unit_id or None,
    }  # fmt: skip


async def _give_image(connection: AsyncConnection, product_id: str, options: tuple[str, ...], image_id: str) -> None:
    rows = await connection.execute(
        select(variants.c.id, variants.c.options).where(variants.c.product_id == product_id)
    )
    wanted = [fold(option) for option in options]
    ids = [row.id for row in rows if [fold(option) for option in row.options[: len(wanted)]] == wanted]
    if not ids:
        raise Refused(R.NOT_FOUND, what="variant of this product")
    await connection.execute(update(variants).where(variants.c.id.in_(ids)).values(image_id=image_id))


def _image_url(handle: str, image_id: str | None, width: int = 480) -> str:
    return f"/img/{image_id}/{width}.webp" if image_id else f"/img/none/{handle}.svg"


def _image(row: Any) -> ImageFacts:
    small, medium, large = (_image_url("", row.id, width) for width in WIDTHS)
    return ImageFacts(row.id, small, medium, large, row.alt, row.width or 0, row.height or 0)


def _variant(product: Any, row: Any, image_rows: list[Any], stock: list[Any]) -> VariantFacts:
    image_id = row.image_id or (image_rows[0].id if image_rows else None)
    return VariantFacts(
        variant_id=row.id, product_id=product.id, handle=product.handle, title=product.title,
        label=label_of(row.options), options=tuple(row.options), sku=row.sku, price_minor=row.price_minor,
        was_minor=row.was_minor, swatch=row.swatch, image=_image_url(product.handle, image_id), retired=row.retired,
        stock=stock_words(sum(pool.available + pool.on_shelf for pool in stock)),
        stock_by_location=tuple(
            LocationStock(pool.location_id, pool.name, pool.kind, stock_words(pool.available + pool.on_shelf))
            for pool in stock
        ),
    )  # fmt: skip


def _staff_product(
    row: Any, variant_rows: list[Any], image_rows: list[Any], stock: dict[str, list[Any]]
) -> StaffProduct:
    lines = []
    for variant in variant_rows:
        facts = _variant(row, variant, image_rows, [])
        numbers = tuple(
            PoolFacts(pool.location_id, pool.name, pool.total, pool.available, pool.in_deals, pool.sold, pool.on_shelf)
            for pool in stock.get(variant.id, [])
        )
        lines.append(
            StaffVariant(
                facts.variant_id,
                facts.handle,
                facts.title,
                facts.label,
                facts.sku,
                facts.price_minor,
                facts.was_minor,
                facts.swatch,
                facts.image,
                facts.retired,
                numbers,
            )
        )
    image = _image_url(row.handle, image_rows[0].id if image_rows else None)
    return StaffProduct(row.id, row.handle, row.title, row.vendor, row.type, row.published, image, tuple(lines))


def _details(extra: dict[str, str]) -> tuple[Detail, ...]:
    """Shopify writes a product's own facts as `Scent notes (product.metafields.custom.scent_notes)`."""
    found = []
    for column, text in extra.items():
        name, mark, _ = column.partition(" (product.metafields.")
        if mark and " (line " not in column:
            found.append(Detail(name, text))
    return tuple(found)


def _location(row: Any) -> LocationFacts:
    return LocationFacts(
        row.id, row.kind, row.name, row.address, row.city, row.hours, row.is_default, row.org_unit_id or ""
    )
