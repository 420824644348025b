"""Signed lists of tickets over HTTP: which there are, one as a file, the caller's own mark in it, and the keys.

What arrives: calls with a settled identity. What leaves: lists as they were signed. Who may see a show's page may check
its lists; nobody's name or id stands in them.
"""

from typing import Literal

import msgspec
from starlette.responses import Response

from livecommerce.errors import R
from livecommerce.gateway.api import Call, Table
from livecommerce.reservations.ticket_list import file_of
from livecommerce.shows.tickets import ListedTickets, OwnMark

table = Table()

_REFUSES = (R.NOT_FOUND, R.NOT_INVITED, R.BANNED, R.FORBIDDEN)


class TicketListsOfShow(msgspec.Struct, frozen=True):
    """A list appears a few seconds after its deal is closed for good: nobody holds or pays any more."""

    lists: tuple[ListedTickets, ...]


class TicketKeys(msgspec.Struct, frozen=True):
    """The keys that lists are signed with, the present one first; older ones signed before the secret was changed."""

    algorithm: Literal["Ed25519"]
    keys: tuple[str, ...]


@table.get("/.well-known/livecommerce-tickets.json", answer=TicketKeys)
async def ticket_keys(call: Call) -> TicketKeys:
    """The public keys of this server's lists of tickets, base64url."""
    return TicketKeys("Ed25519", await call.parts.shows.tickets.keys())


@table.get("/api/shows/{show_id}/tickets", answer=TicketListsOfShow, refuses=_REFUSES)
async def ticket_lists(call: Call) -> TicketListsOfShow:
    """The signed lists of tickets of a show's closed deals."""
    await _must_see(call)
    return TicketListsOfShow(await call.parts.shows.tickets.of_show(call.path("show_id")))


@table.get("/api/shows/{show_id}/tickets/{deal_id}", answer=Response, refuses=_REFUSES)
async def ticket_list(call: Call) -> Response:
    """One list as a JSON file: check it with `livecommerce verify-tickets FILE`."""
    await _must_see(call)
    deal_id = call.path("deal_id")
    signed = await call.parts.shows.tickets.signed(call.path("show_id"), deal_id)
    disposition = {"content-disposition": f'attachment; filename="tickets-{deal_id}.json"'}
    return Response(file_of(signed), media_type="application/json", headers=disposition)


@table.get("/api/shows/{show_id}/tickets/{deal_id}/mine", auth="viewer", answer=OwnMark, refuses=(R.NOT_FOUND,))
async def own_mark(call: Call) -> OwnMark:
    """How the caller stands in this list: her mark, and the nonce that proves it is hers. Told to her alone."""
    viewer_id = call.the_viewer().viewer_id
    return await call.parts.shows.tickets.mark(call.path("show_id"), call.path("deal_id"), viewer_id)


async def _must_see(call: Call) -> None:
    shows, show_id = call.parts.shows, call.path("show_id")
    facts = await shows.public_facts(show_id)
    await call.parts.door.look(call)
    if facts.access == "public":
        return
    if call.staff is not None:
        await shows.for_staff(call.staff, show_id)  # refuses those who have nothing to do with this show
    else:
        await shows.may_look(show_id, call.viewer)
