"""Shows over HTTP: the programme and the door for everybody, planning and commands for staff.

What arrives: calls with a settled identity. What leaves: facts of `shows`, or its refusals. It decides nothing.
"""

from typing import Annotated

import msgspec
from starlette.responses import Response

from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Nothing, Table
from livecommerce.people.identity import StaffRole
from livecommerce.protocol.facts import CardFacts, ShowFacts
from livecommerce.protocol.from_host import CommandEnvelope, Done
from livecommerce.shows.calendar import ics_of
from livecommerce.shows.invitations import Invitation, NewInvitation
from livecommerce.shows.log import PAGE_ROWS_MAX, LogRow
from livecommerce.shows.plans import EditCard, EditShow, NewCard, NewShow, NewVideo, ShowList, StaffCard, StaffShow
from livecommerce.video.adapters.contract import Wish
from livecommerce.video.adapters.registry import NONE

table = Table()

_PLANNERS: tuple[StaffRole, ...] = ("admin", "manager", "advisor")
_DESK: tuple[StaffRole, ...] = (*_PLANNERS, "moderator")
_CARD_REFUSES = (R.NOT_FOUND, R.SHOW_OVER, R.MALFORMED, R.PRICE, R.QUANTITY, R.WRONG_STATE)


class PublicShow(msgspec.Struct, frozen=True):
    """A show's page. `cards` are empty for who may not come in; `entry` says by which refusal, "" where she may."""

    show: ShowFacts
    cards: tuple[CardFacts, ...]
    entry: str


class Entrance(msgspec.Struct, frozen=True):
    invitation: Annotated[str, msgspec.Meta(max_length=80)] = ""


class CardOrder(msgspec.Struct, frozen=True):
    card_ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=200)]


class CommandDone(msgspec.Struct, frozen=True):
    """`already`: this command id was carried out before; nothing was done twice."""

    done: Done


class InvitationList(msgspec.Struct, frozen=True):
    invitations: tuple[Invitation, ...]


class LogPage(msgspec.Struct, frozen=True):
    """Rows of the log; `next_after` asks for the following page, null at the end."""

    rows: tuple[LogRow, ...]
    next_after: int | None


# --- everybody ------------------------------------------------------------------------------------------------------


@table.get("/api/shows", answer=ShowList)
async def list_shows(call: Call) -> ShowList:
    """The programme: on air, to come, over."""
    return await call.parts.shows.list_public()


# Before the page: of two routes that match, the first one answers.
@table.get("/api/shows/{show_id}.ics", answer=Response, refuses=(R.NOT_FOUND,))
async def show_calendar(call: Call) -> Response:
    """The show as a calendar entry with a reminder."""
    facts = await call.parts.shows.public_facts(call.path("show_id"))
    url = f"{call.parts.settings.base_url}/watch/{facts.show_id}"
    text = ics_of(facts, url, call.parts.clock.now_ms())
    disposition = {"content-disposition": f'attachment; filename="{facts.show_id}.ics"'}
    return Response(text, media_type="text/calendar; charset=utf-8", headers=disposition)


@table.get("/api/shows/{show_id}", answer=PublicShow, refuses=(R.NOT_FOUND,))
async def show_page(call: Call) -> PublicShow:
    """A show and its cards, as far as the caller may see them.

    For a show of invited guests or members the cards are there once the caller has a place.
    """
    shows, show_id = call.parts.shows, call.path("show_id")
    facts = await shows.public_facts(show_id)
    await call.parts.door.look(call)
    try:
        if facts.access != "public":
            await shows.may_look(show_id, call.viewer)
    except Refused as refused:
        return PublicShow(facts, (), refused.why.value.word)
    return PublicShow(facts, await shows.public_cards(show_id), "")


@table.post(
    "/api/shows/{show_id}/enter",
    auth="viewer",
    body=Entrance,
    refuses=(R.NOT_FOUND, R.BANNED, R.NOT_INVITED, R.PLACES_TAKEN),
)
async def enter_show(call: Call, body: Entrance) -> Nothing:
    """Come into a show; with an invitation this takes a place, once per viewer."""
    await call.parts.shows.may_enter(call.path("show_id"), call.the_viewer(), body.invitation)
    return Nothing()


# --- planning -------------------------------------------------------------------------------------------------------


@table.get("/api/staff/shows", auth="staff", roles=_DESK, answer=ShowList)
async def list_staff_shows(call: Call) -> ShowList:
    """The shows in the caller's scope; drafts stand among those to come."""
    return await call.parts.shows.list_for(call.the_staff())


@table.post(
    "/api/staff/shows",
    auth="staff",
    roles=_PLANNERS,
    body=NewShow,
    answer=ShowFacts,
    refuses=(R.NOT_FOUND, R.MALFORMED, R.VIDEO_ADDRESS),
)
async def create_show(call: Call, body: NewShow) -> ShowFacts:
    """A new show; the caller hosts it unless another host is named."""
    new = msgspec.structs.replace(body, video=await _decided(call, body.video))
    return await call.parts.shows.planning.create(call.the_staff(), new)


async def _decided(call: Call, new: NewVideo) -> NewVideo:
    """The picture as its adapter decides it. What else a page would load is looked at as an address of a clip."""
    adapters = call.parts.adapters
    name = new.source or new.kind
    found = await adapters.playback(name, Wish(new.url, new.clock, new.delay_ms))
    further = [(await adapters.playback("file", Wish(url))).url for url in new.alternates]
    poster = (await adapters.playback("file", Wish(new.poster))).url if new.poster else ""
    return msgspec.structs.replace(
        new, source="" if name == NONE else name, kind=found.kind, url=found.url, clock=found.clock,
        delay_ms=found.delay_ms, signed=found.signed, alternates=tuple(further), poster=poster,
    )  # fmt: skip


@table.get("/api/staff/shows/{show_id}", auth="staff", roles=_DESK, answer=StaffShow, refuses=(R.NOT_FOUND,))
async def staff_show(call: Call) -> StaffShow:
    """A show with its rundown, the host's notes and what is hidden until the launch."""
    return await call.parts.shows.for_staff(call.the_staff(), call.path("show_id"))


@table.patch(
    "/api/staff/shows/{show_id}",
    auth="staff",
    roles=_PLANNERS,
    body=EditShow,
    answer=ShowFacts,
    refuses=(R.NOT_FOUND, R.SHOW_OVER, R.WRONG_STATE, R.MALFORMED, R.VIDEO_ADDRESS),
)
async def edit_show(call: Call, body: EditShow) -> ShowFacts:
    """Change the plan, schedule, cancel. What is left out stays."""
    if body.video is not msgspec.UNSET:
        body = msgspec.structs.replace(body, video=await _decided(call, body.video))
    return await call.parts.shows.planning.edit(call.the_staff(), call.path("show_id"), body)


@table.post("/api/staff/shows/{show_id}/clone", auth="staff", roles=_PLANNERS, answer=ShowFacts, refuses=(R.NOT_FOUND,))
async def clone_show(call: Call) -> ShowFacts:
    """A new draft with the same rundown, hosted by the caller."""
    return await call.parts.shows.planning.clone(call.the_staff(), call.path("show_id"))


@table.post(
    "/api/staff/shows/{show_id}/cards",
    auth="staff",
    roles=_PLANNERS,
    body=NewCard,
    answer=StaffCard,
    refuses=(*_CARD_REFUSES, R.TOO_MANY),
)
async def add_card(call: Call, body: NewCard) -> StaffCard:
    """A card at the end of the rundown, with a deal for each variant it offers."""
    return await call.parts.shows.planning.add_card(call.the_staff(), call.path("show_id"), body)


@table.patch(
    "/api/staff/shows/{show_id}/cards/{card_id}",
    auth="staff",
    roles=_PLANNERS,
    body=EditCard,
    answer=StaffCard,
    refuses=(*_CARD_REFUSES, R.UNKNOWN_DEAL),
)
async def edit_card(call: Call, body: EditCard) -> StaffCard:
    """Change a card's words any time, its deals while they are drafts."""
    return await call.parts.shows.planning.edit_card(call.the_staff(), call.path("show_id"), call.path("card_id"), body)


@table.delete(
    "/api/staff/shows/{show_id}/cards/{card_id}",
    auth="staff",
    roles=_PLANNERS,
    refuses=(R.NOT_FOUND, R.SHOW_OVER, R.WRONG_STATE),
)
async def remove_card(call: Call) -> Nothing:
    """Take a card out of the rundown, once it is off the picture and its deals are closed."""
    await call.parts.shows.planning.remove_card(call.the_staff(), call.path("show_id"), call.path("card_id"))
    return Nothing()


@table.post(
    "/api/staff/shows/{show_id}/cards/order",
    auth="staff",
    roles=_PLANNERS,
    body=CardOrder,
    refuses=(R.NOT_FOUND, R.SHOW_OVER, R.CONFLICT),
)
async def reorder_cards(call: Call, body: CardOrder) -> Nothing:
    """The rundown in this order; exactly the show's cards, each once."""
    await call.parts.shows.planning.reorder_cards(call.the_staff(), call.path("show_id"), body.card_ids)
    return Nothing()


@table.post(
    "/api/staff/shows/{show_id}/invitations",
    auth="staff",
    roles=_PLANNERS,
    body=NewInvitation,
    answer=Invitation,
    refuses=(R.NOT_FOUND, R.SHOW_OVER),
)
async def invite(call: Call, body: NewInvitation) -> Invitation:
    """An invitation with a place limit, and a link that carries it and credits the caller."""
    people, staff, show_id = call.parts.people, call.the_staff(), call.path("show_id")
    made = await call.parts.shows.planning.invite(staff, show_id, body)
    shop_id = await people.shop_of(staff)
    link = await people.links.make(staff.account_id, shop_id, show_id, body.label, made.invitation_id)
    return msgspec.structs.replace(made, url=people.links.url(link))


@table.get(
    "/api/staff/shows/{show_id}/invitations",
    auth="staff",
    roles=_PLANNERS,
    answer=InvitationList,
    refuses=(R.NOT_FOUND,),
)
async def list_invitations(call: Call) -> InvitationList:
    """The show's invitations and how many places of each are taken."""
    return InvitationList(await call.parts.shows.planning.invitations(call.the_staff(), call.path("show_id")))


# --- while it runs --------------------------------------------------------------------------------------------------


@table.post(
    "/api/staff/shows/{show_id}/commands",
    auth="staff",
    roles=_DESK,
    body=CommandEnvelope,
    answer=CommandDone,
    refuses=(
        R.NOT_FOUND, R.CONFLICT, R.SHOW_OVER, R.SHOW_NOT_LIVE, R.WRONG_STATE, R.UNKNOWN_DEAL, R.DEAL_CLOSED,
        R.DEAL_NOT_OPEN, R.EMPTY, R.STOCK_SHORT, R.BUSY, R.ITEM_TAKEN,
    ),
)  # fmt: skip
async def command_show(call: Call, body: CommandEnvelope) -> CommandDone:
    """Command a show. The same `command_id` again has no second effect and is answered with "already".

    Moderators may send what concerns the talk: hide_line, restore_line, let_through, pin_line, unpin_line, mute, ban,
    slow_mode, members_only, take_question, answer_question, settle.
    """
    staff, show_id = call.the_staff(), call.path("show_id")
    return CommandDone(await call.parts.shows.command(staff, show_id, body.command_id, body.command))


@table.get("/api/staff/shows/{show_id}/log", auth="staff", roles=_DESK, answer=LogPage, refuses=(R.NOT_FOUND,))
async def show_log(call: Call) -> Response | LogPage:
    """The show log, oldest first: `?after=ID&limit=N`; as NDJSON where the caller accepts `application/x-ndjson`."""
    after, limit = _number(call, "after", 0), min(_number(call, "limit", 200), PAGE_ROWS_MAX)
    rows = await call.parts.shows.log_page(call.the_staff(), call.path("show_id"), after, limit)
    if "application/x-ndjson" in call.request.headers.get("accept", ""):
        return Response(msgspec.json.Encoder().encode_lines(rows), media_type="application/x-ndjson")
    return LogPage(tuple(rows), rows[-1].log_id if len(rows) == limit else None)


def _number(call: Call, name: str, default: int) -> int:
    text = call.query(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Refused(R.MALFORMED, expected=f"{name} as a whole number")
    return int(text)
