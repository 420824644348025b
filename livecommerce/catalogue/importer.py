"""Import of a product CSV: plan → ledger, product by product, with a report of what was added, changed and refused.

What arrives: a file's bytes. What leaves: a `Report`; products, variants, pictures' addresses and stock in the ledger.
Importing again changes what differs and nothing else. Stock moves by the difference to the pool's total, so units
that are held in deals or sold are never counted again and never lost. It fetches no picture and knows no HTTP.

Each product is one savepoint of the ledger's writer: a server that stops half-way leaves whole products, and the same
file finishes the work.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.csv_shape import NAMES, Field, read_sheet
from livecommerce.catalogue.plan import Plan, Problem, ProductDraft, VariantDraft, make_plan
from livecommerce.catalogue.pools import Move, apply_moves, ensure_pool, insert_new, pool_of
from livecommerce.clock import Clock, RealClock
from livecommerce.errors import R, Refused
from livecommerce.ids import LocationId, new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import locations, product_images, products, variants
from livecommerce.settings import Settings

FILE_BYTES_MAX = 20 * 1024 * 1024
# Products handed to the ledger's writer at once: they share one commit.
TOGETHER = 40
# One id for all, so that two processes that import at the same time do not make two of it.
DEFAULT_LOCATION_ID = LocationId("loc_0000000000000000")

Progress = Callable[[int, int], None]  # (products done, products in all)


class Report(msgspec.Struct, frozen=True):
    """What an import did: how many products, which ones, and for each row that was refused where and what to do."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    added_handles: tuple[str, ...] = ()  # in the order of the file
    changed_handles: tuple[str, ...] = ()
    refused: tuple[Problem, ...] = ()
    variants: int = 0  # in the file and taken
    units_moved: int = 0  # net change of stock

    @property
    def summary(self) -> str:
        return (
            f"{self.added} added, {self.changed} changed, {self.unchanged} unchanged, "
            f"{len(self.refused)} rows refused; {self.variants} variants, {self.units_moved:+d} units"
        )


@dataclass(slots=True)
class _Outcome:
    handle: str
    added: bool = False
    changed: bool = False
    taken: bool = True
    variants: int = 0
    units_moved: int = 0
    problems: list[Problem] = field(default_factory=list)


async def import_products(
    database: Database, path: Path, settings: Settings, progress: Progress | None = None, clock: Clock | None = None
) -> Report:
    """Import the file at `path`. Refuses as `import_bytes` does, and `IMPORT` where it cannot be read."""
    try:
        data = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise Refused(R.IMPORT, why=f"{path}: {error.strerror}.") from None
    return await import_bytes(database, data, settings, progress, clock)


async def import_bytes(
    database: Database, data: bytes, settings: Settings, progress: Progress | None = None, clock: Clock | None = None
) -> Report:
    """Import a product CSV.

    Refuses the whole file, with nothing moved, as `TOO_LARGE` above 20 MB and as `IMPORT` where it is no readable CSV
    (see `read_sheet`). Everything else is refused row by row in the report. Cancelling leaves whole products.
    """
    if len(data) > FILE_BYTES_MAX:
        raise Refused(R.TOO_LARGE, limit="20 MB")
    plan = await asyncio.to_thread(lambda: make_plan(read_sheet(data), settings.currency))
    now_ms = (clock or RealClock()).now_ms()
    location_id = await database.write(ensure_default_location)
    outcomes: list[_Outcome] = []
    for start in range(0, len(plan.products), TOGETHER):
        drafts = plan.products[start : start + TOGETHER]
        outcomes += await asyncio.gather(*(_store(database, draft, plan, location_id, now_ms) for draft in drafts))
        if progress is not None:
            progress(len(outcomes), len(plan.products))
    return _report(plan, outcomes)


async def ensure_default_location(connection: AsyncConnection) -> str:
    """The id of the location that unplaced stock goes to; made (a warehouse named Online) where there is none."""
    default = select(locations.c.id).where(locations.c.is_default).order_by(locations.c.id).limit(1)
    known = (await connection.execute(default)).scalar_one_or_none()
    if known is not None:
        return str(known)
    await insert_new(
        connection, locations, id=DEFAULT_LOCATION_ID, kind="warehouse", name="Online", address="", city="", hours="",
        is_default=True,
    )  # fmt: skip
    return DEFAULT_LOCATION_ID


def _report(plan: Plan, outcomes: Sequence[_Outcome]) -> Report:
    taken = [outcome for outcome in outcomes if outcome.taken]
    problems = [*plan.problems, *(problem for outcome in outcomes for problem in outcome.problems)]
    added = tuple(outcome.handle for outcome in taken if outcome.added)
    changed = tuple(outcome.handle for outcome in taken if outcome.changed and not outcome.added)
    return Report(
        added=len(added),
        changed=len(changed),
        unchanged=len(taken) - len(added) - len(changed),
        added_handles=added,
        changed_handles=changed,
        refused=tuple(sorted(problems, key=lambda problem: (problem.line, problem.column))),
        variants=sum(outcome.variants for outcome in taken),
        units_moved=sum(outcome.units_moved for outcome in taken),
    )


async def _store(database: Database, draft: ProductDraft, plan: Plan, location_id: str, now_ms: int) -> _Outcome:
    async def work(connection: AsyncConnection) -> _Outcome:
        return await _Storing(connection, draft, plan, location_id, now_ms).run()

    return await database.write(work)


class _Storing:
    """One product's draft against the ledger, inside one savepoint."""

    def __init__(
        self, connection: AsyncConnection, draft: ProductDraft, plan: Plan, location_id: str, now_ms: int
    ) -> None:
        self.connection = connection
        self.draft = draft
        self.plan = plan
        self.location_id = location_id
        self.now_ms = now_ms
        self.outcome = _Outcome(draft.handle)

    async def run(self) -> _Outcome:
        draft, outcome = self.draft, self.outcome
        query = select(products).where(products.c.handle == draft.handle).with_for_update()
        known = (await self.connection.execute(query)).one_or_none()
        if not self._can_be_stored(known is not None):
            outcome.taken = False
            return outcome
        product_id = await self._add_product() if known is None else await self._change_product(known)
        image_ids = await self._store_images(product_id)
        await self._store_variants(product_id, image_ids)
        if outcome.changed and known is not None:
            # Never the same twice: the search index sees by this number that something changed.
            changed_at_ms = max(self.now_ms, known.updated_at_ms + 1)
            touch = update(products).where(products.c.id == product_id).values(updated_at_ms=changed_at_ms)
            await self.connection.execute(touch)
        return outcome

    def _can_be_stored(self, known: bool) -> bool:
        if known:
            return True
        if not self.draft.title:
            self._problem(self.draft.line, "title", "A new product needs a title.", "Write it in the first row.")
            return False
        priced = [draft for draft in self.draft.variants.values() if draft.price_minor is not None]
        for draft in self.draft.variants.values() if not priced else ():
            self._needs_price(draft)
        if not self.draft.variants and not self.draft.incomplete:
            self._problem(self.draft.line, "price", "A new product needs a price.", "Add the column and write it.")
        return bool(priced)

    async def _add_product(self) -> str:
        draft, product_id = self.draft, new_id("prd")
        self.outcome.added = True
        await self.connection.execute(
            insert(products).values(
                id=product_id, handle=draft.handle, title=draft.title, body_html=draft.body_html or "",
                vendor=draft.vendor or "", type=draft.type or "", tags=list(draft.tags or ()),
                published=draft.published is not False, option_names=list(draft.option_names), extra=draft.extra,
                created_at_ms=self.now_ms, updated_at_ms=self.now_ms,
            )
        )  # fmt: skip
        return product_id

    async def _change_product(self, known: Any) -> str:
        draft = self.draft
        wanted: dict[str, Any] = {
            "title": draft.title or None, "body_html": draft.body_html, "vendor": draft.vendor, "type": draft.type,
            "tags": None if draft.tags is None else list(draft.tags), "published": draft.published,
            "option_names": list(draft.option_names) or None, "extra": {**known.extra, **draft.extra},
        }  # fmt: skip
        await self._change(products, known, wanted)
        return str(known.id)

    async def _change(self, table: Any, known: Any, wanted: dict[str, Any]) -> None:
        """Write those of `wanted` that are given (not None) and differ from the `known` row."""
        differs = {name: value for name, value in wanted.items() if value is not None and getattr(known, name) != value}
        if differs:
            self.outcome.changed = True
            await self.connection.execute(update(table).where(table.c.id == known.id).values(**differs))

    async def _store_images(self, product_id: str) -> dict[str, str]:
        """Picture ids by address. Uploaded pictures are no business of the file; addresses it dropped go."""
        wanted = dict(self.draft.images)
        query = select(product_images).where(
            product_images.c.product_id == product_id, product_images.c.source_url != ""
        )
        known = {row.source_url: row for row in await self.connection.execute(query)}
        ids: dict[str, str] = {}
        for url, image in wanted.items():
            if url in known:
                ids[url] = str(known[url].id)
                await self._change(product_images, known[url], {"position": image.position, "alt": image.alt})
            else:
                ids[url] = await self._add_image(product_id, url, image.position, image.alt)
        for draft in self.draft.variants.values():
            if draft.image_url and draft.image_url not in ids:
                row = known.get(draft.image_url)
                ids[draft.image_url] = (
                    str(row.id) if row else await self._add_image(product_id, draft.image_url, len(ids) + 1, "")
                )
        if self.plan.has_images:
            gone = [row.id for url, row in known.items() if url not in ids]
            if gone:
                self.outcome.changed = True
                forget = update(variants).where(variants.c.image_id.in_(gone)).values(image_id=None)
                await self.connection.execute(forget)
                await self.connection.execute(delete(product_images).where(product_images.c.id.in_(gone)))
        return ids

    async def _add_image(self, product_id: str, url: str, position: int, alt: str) -> str:
        image_id = new_id("img")
        self.outcome.changed = True
        await self.connection.execute(
            insert(product_images).values(
                id=image_id, product_id=product_id, position=position, source_url=url, stored_name="", alt=alt
            )
        )
        return image_id

    async def _store_variants(self, product_id: str, image_ids: dict[str, str]) -> None:
        query = select(variants).where(variants.c.product_id == product_id)
        known = {row.options_key: row for row in await self.connection.execute(query)}
        if (
            known
            and self.draft.variants
            and not self.plan.has_options
            and not self.draft.variants.keys() <= known.keys()
        ):
            why = "The product has variants, and the file has no options that say which one is meant."
            self._problem(self.draft.line, "option1", why, "Add the option columns.")
            return
        for position, draft in enumerate(self.draft.variants.values(), 1):
            row = known.get(draft.key)
            image_id = image_ids.get(draft.image_url) if draft.image_url else None
            if row is None:
                variant_id = await self._add_variant(product_id, position, draft, image_id)
            else:
                variant_id = await self._change_variant(row, position, draft, image_id)
            if variant_id is not None:
                self.outcome.variants += 1
                await self._move_stock(variant_id, draft)
        if self.plan.has_options and self.draft.variants and not self.draft.incomplete:
            for key in known.keys() - self.draft.variants.keys():
                await self._change(variants, known[key], {"retired": True})

    async def _add_variant(
        self, product_id: str, position: int, draft: VariantDraft, image_id: str | None
    ) -> str | None:
        if draft.price_minor is None:
            self._needs_price(draft)
            return None
        variant_id = new_id("var")
        self.outcome.changed = True
        await self.connection.execute(
            insert(variants).values(
                id=variant_id, product_id=product_id, position=position, options_key=draft.key,
                options=list(draft.options), sku=draft.sku or "", barcode=draft.barcode or "",
                price_minor=draft.price_minor, was_minor=draft.was_minor, grams=draft.grams or 0,
                requires_shipping=draft.requires_shipping is not False, taxable=draft.taxable is not False,
                tracked=True, swatch=draft.swatch, image_id=image_id, retired=False, extra=draft.extra,
            )
        )  # fmt: skip
        return variant_id

    async def _change_variant(self, known: Any, position: int, draft: VariantDraft, image_id: str | None) -> str:
        wanted: dict[str, Any] = {
            "position": position, "sku": draft.sku, "barcode": draft.barcode, "price_minor": draft.price_minor,
            "grams": draft.grams, "requires_shipping": draft.requires_shipping, "taxable": draft.taxable,
            "swatch": draft.swatch or None, "image_id": image_id, "retired": False,
            "extra": {**known.extra, **draft.extra},
        }  # fmt: skip
        await self._change(variants, known, wanted)
        if draft.has_was and known.was_minor != draft.was_minor:
            # "No was-price" is a value of its own here, so it does not go the way of "no such column".
            self.outcome.changed = True
            clear = update(variants).where(variants.c.id == known.id).values(was_minor=draft.was_minor)
            await self.connection.execute(clear)
        return str(known.id)

    async def _move_stock(self, variant_id: str, draft: VariantDraft) -> None:
        if draft.quantity is None:
            return
        await ensure_pool(self.connection, variant_id, self.location_id)
        pool = await pool_of(self.connection, variant_id, self.location_id, lock=True)
        delta = draft.quantity - pool.total
        if pool.available + delta < 0:
            self._problem(
                draft.line, "quantity",
                f"refused: {pool.in_deals + pool.sold} units are in deals or sold, so the stock cannot be "
                f"{draft.quantity}.",
                f"Write {pool.in_deals + pool.sold} or more, or close the deal first.",
            )  # fmt: skip
        elif delta:
            move = Move(new_id("mov"), "stock", variant_id, self.location_id, delta)
            await apply_moves(self.connection, [move], self.now_ms)
            self.outcome.changed = True
            self.outcome.units_moved += delta

    def _needs_price(self, draft: VariantDraft) -> None:
        self._problem(draft.line, "price", f"{' / '.join(draft.options)} has no price.", "Write its price.")

    def _problem(self, line: int, name: Field, why: str, what_to_do: str) -> None:
        # A column that the file lacks is called by its name in today's exports.
        column, column_name = self.plan.columns.get(name, (0, NAMES[name][-1]))
        self.outcome.problems.append(Problem(line, column, column_name, self.draft.handle, why, what_to_do))
