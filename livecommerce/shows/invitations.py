"""Invitations: each with a limit of places, taken one by one by viewers, in SQL.

What arrives: a viewer at the door. What leaves: her place, for good, or a refusal with nothing taken. A CHECK of the
table has the last word on the limit. It knows no roles and no bans.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.tables import invitation_places, invitations, links


class NewInvitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    place_limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    label: Annotated[str, msgspec.Meta(max_length=120)] = ""


class Invitation(msgspec.Struct, frozen=True):
    """An invitation and how many came by it; `url` is what is sent, where a link was made for it."""

    invitation_id: str
    place_limit: int
    places_taken: int
    label: str
    url: str = ""


async def make(connection: AsyncConnection, show_id: str, new: NewInvitation) -> Invitation:
    invitation = Invitation(new_id("inv"), new.place_limit, 0, new.label)
    await connection.execute(
        insert(invitations).values(
            id=invitation.invitation_id, show_id=show_id, place_limit=new.place_limit, label=new.label
        )
    )
    return invitation


async def of_show(connection: AsyncConnection, show_id: str) -> tuple[Invitation, ...]:
    query = select(invitations).where(invitations.c.show_id == show_id).order_by(invitations.c.id)
    rows = await connection.execute(query)
    return tuple(Invitation(row.id, row.place_limit, row.places_taken, row.label) for row in rows)


async def having_place(connection: AsyncConnection, show_id: str, viewer_ids: Sequence[str]) -> set[str]:
    """Which of these viewers have a place in the show."""
    query = (
        select(invitation_places.c.viewer_id)
        .join(invitations, invitations.c.id == invitation_places.c.invitation_id)
        .where(invitations.c.show_id == show_id, invitation_places.c.viewer_id.in_(viewer_ids))
    )
    return set((await connection.execute(query)).scalars())


async def of_link(connection: AsyncConnection, link_id: str) -> str:
    """The invitation that a share link carries, or ""."""
    found = (await connection.execute(select(links.c.invitation_id).where(links.c.id == link_id))).scalar_one_or_none()
    return found or ""


async def take_place(connection: AsyncConnection, show_id: str, invitation_id: str, viewer_id: str, at_ms: int) -> None:
    """A place for this viewer; whoever has one keeps it. Refuses NOT_INVITED (unknown, or of another show) and
    PLACES_TAKEN, with nothing taken."""
    # Locked first: two viewers at the last place meet here, one after the other.
    query = select(invitations).where(invitations.c.id == invitation_id, invitations.c.show_id == show_id)
    row = (await connection.execute(query.with_for_update())).first()
    if row is None:
        raise Refused(R.NOT_INVITED)
    if not await insert_new(
        connection, invitation_places, invitation_id=invitation_id, viewer_id=viewer_id, at_ms=at_ms
    ):
        return
    if row.places_taken >= row.place_limit:
        raise Refused(R.PLACES_TAKEN)
    taken = invitations.c.places_taken + 1
    await connection.execute(update(invitations).where(invitations.c.id == invitation_id).values(places_taken=taken))
