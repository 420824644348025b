"""Viewers: who they are called and whom they came through. One row each, written once, so that orders can point at it.

What arrives: a name, perhaps a share link, perhaps the merchant's own id of a customer. What leaves: identities. The
first link that brought somebody is the one that is credited: a later visit by another link changes nothing. Passes
are minted by `tokens` from what is kept here.
"""

from typing import Literal

import msgspec
from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import viewers
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.names import clean_name

ViewerKind = Literal["guest", "merchant", "simulated"]


class Attribution(msgspec.Struct, frozen=True):
    """Whom a viewer's coming is credited to; empty where nobody is."""

    advisor_id: str = ""
    shop_id: str = ""
    link_id: str = ""


NOBODY = Attribution()


class Viewers:
    """Makes, renames and finds viewers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def make(self, name: str, kind: ViewerKind = "guest", came_by: Attribution = NOBODY) -> ViewerIdentity:
        """A new viewer. Raises `Refused(MALFORMED)` for a name that is none."""
        viewer = _new(clean_name(name), kind, came_by)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(viewers).values(_row(viewer, None, self._clock.now_ms())))

        await self._database.write(work)
        return viewer

    async def of_merchant(
        self, external_ref: str, name: str, kind: ViewerKind = "merchant", came_by: Attribution = NOBODY
    ) -> ViewerIdentity:
        """The viewer of the merchant's customer: the same one each time, under the name told last."""
        shown = clean_name(name)

        async def work(connection: AsyncConnection) -> ViewerIdentity:
            query = select(viewers).where(viewers.c.external_ref == external_ref)
            row = (await connection.execute(query)).first()
            if row is None:
                viewer = _new(shown, kind, came_by)
                await connection.execute(insert(viewers).values(_row(viewer, external_ref, self._clock.now_ms())))
                return viewer
            return await _change(connection, _identity(row), shown, came_by)

        try:
            return await self._database.write(work)
        except IntegrityError:
            # Another process made the row between our look and our write: now it is there.
            return await self._database.write(work)

    async def change(self, viewer: ViewerIdentity, name: str, came_by: Attribution = NOBODY) -> ViewerIdentity:
        """The same viewer under another name; the attribution is taken on only where she had none."""
        shown = clean_name(name)

        async def work(connection: AsyncConnection) -> ViewerIdentity:
            return await _change(connection, viewer, shown, came_by)

        return await self._database.write(work)

    async def verified(self, viewer: ViewerIdentity) -> ViewerIdentity:
        """The same viewer with the address she has confirmed since her pass was signed; one without a row as she is."""
        query = select(viewers.c.verified).where(viewers.c.id == viewer.viewer_id)
        async with self._database.read() as connection:
            word = (await connection.execute(query)).scalar_one_or_none()
        return msgspec.structs.replace(viewer, verified=word) if word else viewer

    async def find(self, viewer_id: str) -> ViewerIdentity:
        """Raises `Refused(NOT_FOUND)`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(viewers).where(viewers.c.id == viewer_id))).first()
        if row is None:
            raise Refused(R.NOT_FOUND, what="viewer")
        return _identity(row)


async def _change(
    connection: AsyncConnection, viewer: ViewerIdentity, name: str, came_by: Attribution
) -> ViewerIdentity:
    changed = msgspec.structs.replace(viewer, name=name)
    if not viewer.advisor_id and came_by.advisor_id:
        changed = msgspec.structs.replace(changed, **msgspec.structs.asdict(came_by))
    if changed != viewer:
        await connection.execute(
            update(viewers)
            .where(viewers.c.id == viewer.viewer_id)
            .values(name=changed.name, advisor_id=changed.advisor_id, shop_id=changed.shop_id, link_id=changed.link_id)
        )
    return changed


def _new(name: str, kind: ViewerKind, came_by: Attribution) -> ViewerIdentity:
    return ViewerIdentity(new_id("vw"), name, kind, came_by.advisor_id, came_by.shop_id, came_by.link_id)


def _row(viewer: ViewerIdentity, external_ref: str | None, now_ms: int) -> dict[str, object]:
    return {
        "id": viewer.viewer_id,
        "name": viewer.name,
        "kind": viewer.kind,
        "external_ref": external_ref,
        "advisor_id": viewer.advisor_id,
        "shop_id": viewer.shop_id,
        "link_id": viewer.link_id,
        "created_at_ms": now_ms,
        "verified": viewer.verified,
    }


def _identity(row: "Row[tuple[object, ...]]") -> ViewerIdentity:
    return ViewerIdentity(row.id, row.name, row.kind, row.advisor_id, row.shop_id, row.link_id, row.verified)
