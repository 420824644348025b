"""What a hold's lines are called and cost, for people: shelf ids become articles, a location becomes a place.

What arrives: rows' ids. What leaves: facts. It reads, and decides nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from livecommerce.catalogue.facts import VariantFacts
from livecommerce.catalogue.service import Catalogue
from livecommerce.channels.facts import Article, Place
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import shelves


class Names:
    """See the module."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self._database = database
        self._catalogue = catalogue

    async def place(self, location_id: str) -> Place:
        """Refuses `NOT_FOUND`."""
        at = await self._catalogue.location(location_id)
        return Place(at.location_id, at.kind, at.name, at.address, at.city, at.hours)

    async def places(self) -> dict[str, Place]:
        """All of them."""
        return {
            at.location_id: Place(at.location_id, at.kind, at.name, at.address, at.city, at.hours)
            for at in await self._catalogue.locations()
        }

    async def told(self, rows: Sequence[Any]) -> dict[str, tuple[Article, ...]]:
        """The articles of rows of `shop_holds`, by rid."""
        shelf_ids = {line[0] for row in rows for line in row.lines}
        query = select(shelves.c.id, shelves.c.variant_id).where(shelves.c.id.in_(shelf_ids))
        async with self._database.read() as connection:
            variant_of = {row.id: row.variant_id for row in await connection.execute(query)}
        facts = await self._catalogue.variants(variant_of.values())
        return {
            row.rid: tuple(
                article(facts[variant_of[shelf_id]], qty, unit_minor) for shelf_id, qty, unit_minor in row.lines
            )
            for row in rows
        }

    async def priced(self, lines: Sequence[tuple[str, int]]) -> tuple[Article, ...]:
        """Articles at today's prices; what the catalogue no longer has is left out."""
        facts: Mapping[str, VariantFacts] = await self._catalogue.variants(variant_id for variant_id, _ in lines)
        return tuple(
            article(facts[variant_id], qty, facts[variant_id].price_minor)
            for variant_id, qty in lines
            if variant_id in facts
        )


def article(facts: VariantFacts, qty: int, unit_minor: int) -> Article:
    return Article(facts.variant_id, facts.handle, facts.title, facts.label, facts.image, qty, unit_minor)


def sum_of(lines: Sequence[Article]) -> int:
    return sum(line.qty * line.unit_minor for line in lines)
