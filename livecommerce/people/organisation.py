"""The tree of headquarters, regions and shops. A place in it is a path of ids, so scope is a prefix.

What arrives: a kind, a name, a parent. What leaves: units, each with its path "/a/b/c/". It does not know who works
there: accounts point here.
"""

from typing import Literal

import msgspec
from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import org_units

OrgKind = Literal["headquarters", "region", "shop"]

# What may stand directly below what.
_MAY_STAND_UNDER: dict[OrgKind, tuple[OrgKind | None, ...]] = {
    "headquarters": (None,),
    "region": ("headquarters", "region"),
    "shop": ("headquarters", "region"),
}


class OrgUnit(msgspec.Struct, frozen=True):
    """One place in the organisation. `path` holds the ids from the root down to this unit, between slashes."""

    org_unit_id: str
    parent_id: str | None
    kind: OrgKind
    name: str
    path: str


class Organisation:
    """Reads and grows the tree."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, kind: OrgKind, name: str, parent_id: str | None = None) -> OrgUnit:
        """A new unit. Raises `Refused(NOT_FOUND)` for a parent that is not there, `MALFORMED` where the kind may not
        stand under it. One headquarters is enough: adding a second one returns the first."""

        async def work(connection: AsyncConnection) -> OrgUnit:
            if kind == "headquarters" and parent_id is None:
                first = await _headquarters(connection)
                if first is not None:
                    return first
            parent = None if parent_id is None else await _by_id(connection, parent_id)
            if parent_id is not None and parent is None:
                raise Refused(R.NOT_FOUND, what="place in the organisation")
            if (parent.kind if parent else None) not in _MAY_STAND_UNDER[kind]:
                raise Refused(R.MALFORMED, expected="a region or shop under headquarters or a region")
            unit_id = new_id("org")
            path = f"{parent.path if parent else '/'}{unit_id}/"
            unit = OrgUnit(unit_id, parent_id, kind, name, path)
            await connection.execute(
                insert(org_units).values(id=unit_id, parent_id=parent_id, kind=kind, name=name, path=path)
            )
            return unit

        return await self._database.write(work)

    async def headquarters(self) -> OrgUnit | None:
        """The root of the tree, or None before the first account was made."""
        async with self._database.read() as connection:
            return await _headquarters(connection)

    async def unit(self, org_unit_id: str) -> OrgUnit:
        """Raises `Refused(NOT_FOUND)`."""
        async with self._database.read() as connection:
            found = await _by_id(connection, org_unit_id)
        if found is None:
            raise Refused(R.NOT_FOUND, what="place in the organisation")
        return found

    async def below(self, path: str) -> tuple[OrgUnit, ...]:
        """The unit at `path` and all below it, parents before their children."""
        # Compared here and not by LIKE: `_` in ids is LIKE's own wildcard, and the tree is small.
        async with self._database.read() as connection:
            rows = (await connection.execute(select(org_units))).all()
        units = [_unit(row) for row in rows if row.path.startswith(path)]
        return tuple(sorted(units, key=lambda unit: (unit.path.count("/"), unit.name, unit.org_unit_id)))


async def _headquarters(connection: AsyncConnection) -> OrgUnit | None:
    row = (
        await connection.execute(
            select(org_units).where(org_units.c.parent_id.is_(None)).order_by(org_units.c.id).limit(1)
        )
    ).first()
    return _unit(row) if row else None


async def _by_id(connection: AsyncConnection, org_unit_id: str) -> OrgUnit | None:
    row = (await connection.execute(select(org_units).where(org_units.c.id == org_unit_id))).first()
    return _unit(row) if row else None


def _unit(row: "Row[tuple[str, ...]]") -> OrgUnit:
    return OrgUnit(row.id, row.parent_id, row.kind, row.name, row.path)
