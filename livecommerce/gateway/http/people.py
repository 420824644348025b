"""Endpoints of people: signing in and out, coming in as a viewer, one-time codes, share links, the organisation.

What arrives: typed bodies and proved identities. What leaves: identities and passes. Cookies are set through the door;
who is who is decided in `people/`.
"""

from typing import Annotated, Literal

import msgspec

from livecommerce.errors import R, Refused
from livecommerce.gateway.addresses import address_group, is_loopback
from livecommerce.gateway.api import Call, Nothing, Table
from livecommerce.gateway.door import LINK_COOKIE, bearer_of
from livecommerce.ids import ID_PATTERN
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.people.links import ShareLink, qr_svg
from livecommerce.people.organisation import OrgUnit
from livecommerce.people.tokens import Pass, ViewerPass

table = Table()

Id = Annotated[str, msgspec.Meta(pattern=ID_PATTERN)]
NoId = Literal[""]
# Longer than any real one; the parts behind have bounds and words of their own.
Short = Annotated[str, msgspec.Meta(max_length=300)]


class LoginRequest(msgspec.Struct, frozen=True):
    email: Short
    password: Annotated[str, msgspec.Meta(max_length=1000)]


class LoginAnswer(msgspec.Struct, frozen=True):
    """The session itself is in an HttpOnly cookie. `csrf` goes into the header `X-CSRF-Token` of every change."""

    staff: StaffIdentity
    csrf: str
    expires_at_ms: int


class ViewerRequest(msgspec.Struct, frozen=True):
    """`link_id`: the share link she came by; where it is left out, the link's cookie speaks."""

    name: Short
    link_id: Id | NoId = ""


class RenameRequest(msgspec.Struct, frozen=True):
    name: Short


class VerificationRequest(msgspec.Struct, frozen=True):
    """Where the code goes: one of the two. Address or number is used for this one message and not kept."""

    email: Short = ""
    phone: Short = ""


class VerificationWays(msgspec.Struct, frozen=True):
    """How this server can send a code."""

    email: bool
    phone: bool


class CodeRequest(msgspec.Struct, frozen=True):
    """The six digits of the newest letter; spaces between them do no harm."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class ViewerAnswer(msgspec.Struct, frozen=True):
    """`token` opens the socket and the API until `expires_at_ms`; it is renewed before that."""

    viewer: ViewerIdentity
    token: str
    expires_at_ms: int
    advisor_name: str = ""
    shop_name: str = ""


class StaffTokenAnswer(msgspec.Struct, frozen=True):
    staff: StaffIdentity
    token: str
    expires_at_ms: int


class EnterRequest(msgspec.Struct, frozen=True):
    code: Annotated[str, msgspec.Meta(min_length=8, max_length=200)]


class EnterAnswer(msgspec.Struct, frozen=True):
    """Whom the code signed in (one of the two), where to go, and the passes: `renewal` is good for a new `token`."""

    kind: Literal["viewer", "account"]
    target: str
    token: str
    expires_at_ms: int
    renewal: str
    viewer: ViewerIdentity | None = None
    staff: StaffIdentity | None = None


class MeAnswer(msgspec.Struct, frozen=True):
    """Whoever this browser or token is; both are empty for a stranger."""

    viewer: ViewerIdentity | None = None
    staff: StaffIdentity | None = None
    csrf: str = ""
    advisor_name: str = ""
    shop_name: str = ""


class MerchantTokenRequest(msgspec.Struct, frozen=True):
    """`external_ref` is the merchant's own id of the customer: the same one is the same viewer, on every device."""

    external_ref: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f]{1,200}\Z")]
    name: Short
    link_id: Id | NoId = ""
    advisor_id: Id | NoId = ""
    shop_id: Id | NoId = ""
    # A load test's or a demo's players; they are marked wherever people see them.
    simulated: bool = False


class LinkRequest(msgspec.Struct, frozen=True):
    """Without a label: the advisor's own link to the show. With one: a further link, counted apart."""

    show_id: Id | NoId = ""
    label: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f]{0,60}\Z")] = ""


class LinkAnswer(msgspec.Struct, frozen=True):
    link_id: str
    url: str
    qr_svg: str


class OrganisationAnswer(msgspec.Struct, frozen=True):
    """The caller's own place and everything below it, parents first."""

    units: tuple[OrgUnit, ...]


class NewUnit(msgspec.Struct, frozen=True):
    """A region or a shop; without `parent_id` it stands directly under the caller's own place."""

    kind: Literal["region", "shop"]
    name: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f]{1,80}\Z")]
    parent_id: Id | NoId = ""


# --- staff ----------------------------------------------------------------------------------------------------------


@table.post(
    "/api/login", body=LoginRequest, answer=LoginAnswer, refuses=(R.WRONG_PASSWORD, R.LOCKED_OUT, R.UNAVAILABLE)
)
async def login(call: Call, body: LoginRequest) -> LoginAnswer:
    """Sign in with e-mail address and password.

    An unknown address and a wrong password get the same answer after the same work. Too many attempts of one person,
    from one address or for one account are refused for the rest of a quarter of an hour.
    """
    people, door = call.parts.people, call.parts.door
    came_with = call.request.cookies.get(door.session_cookie, "")
    address = address_group(door.address(call.request))
    staff, session = await people.login(body.email, body.password, address, replaces=came_with)
    call.on_answer.append(lambda response: door.remember_session(response, session))
    return LoginAnswer(staff, session.csrf, session.expires_at_ms)


@table.post("/api/logout", auth="staff")
async def logout(call: Call) -> Nothing:
    """End this browser's session."""
    people, door = call.parts.people, call.parts.door
    await people.sessions.end(call.request.cookies.get(door.session_cookie, ""))
    call.on_answer.append(door.forget_session)
    return Nothing()


@table.post("/api/staff/token", answer=StaffTokenAnswer, refuses=(R.SIGN_IN, R.TOKEN_EXPIRED, R.TOKEN_INVALID))
async def staff_token(call: Call) -> StaffTokenAnswer:
    """A short staff pass for the socket.

    For a browser's session, for a pass that is still good, or for the renewal pass that came with a one-time code.
    """
    people = call.parts.people
    bearer = bearer_of(call.request)
    if people.tokens.audience(bearer) == "staff-renew":
        staff, minted = await people.renew_staff(bearer)
    else:
        await call.parts.door.identify(call, "staff", (), csrf=True)
        staff = call.the_staff()
        minted = await people.pass_for_staff(staff)
    return StaffTokenAnswer(staff, minted.token, minted.expires_at_ms)


@table.get("/api/staff/organisation", auth="staff", answer=OrganisationAnswer)
async def organisation(call: Call) -> OrganisationAnswer:
    """The organisation as far as the caller's scope reaches."""
    return OrganisationAnswer(await call.parts.people.organisation.below(call.the_staff().org_path))


@table.post(
    "/api/staff/organisation",
    auth="staff",
    roles=("admin", "manager"),
    body=NewUnit,
    answer=OrgUnit,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.MALFORMED, R.EXISTS),
)
async def add_unit(call: Call, body: NewUnit) -> OrgUnit:
    """A new region or shop in the caller's part of the organisation. Accounts are placed in it by id or name."""
    tree, staff = call.parts.people.organisation, call.the_staff()
    parent = await tree.unit(body.parent_id or staff.org_unit_id)
    if not staff.may_act_in(parent.path):
        raise Refused(R.FORBIDDEN)
    if any(unit.name == body.name for unit in await tree.below(parent.path)):
        raise Refused(R.EXISTS, what=f"a place named {body.name}")
    return await tree.add(body.kind, body.name, parent.org_unit_id)


@table.post("/api/staff/links", auth="staff", body=LinkRequest, answer=LinkAnswer, refuses=(R.NOT_FOUND,))
async def share_link(call: Call, body: LinkRequest) -> LinkAnswer:
    """The caller's share link, with its QR code. Whoever comes by it is credited to the caller and her shop."""
    people, staff = call.parts.people, call.the_staff()
    if body.show_id:
        await call.parts.shows.facts(body.show_id)
    link: ShareLink
    if body.label:
        shop_id = await people.shop_of(staff)
        link = await people.links.make(staff.account_id, shop_id, body.show_id, body.label)
    else:
        link = await people.link_for(staff.account_id, body.show_id)
    url = people.links.url(link)
    return LinkAnswer(link.link_id, url, qr_svg(url))


# --- viewers --------------------------------------------------------------------------------------------------------


@table.post("/api/viewers", body=ViewerRequest, answer=ViewerAnswer, refuses=(R.MALFORMED, R.NOT_FOUND, R.TOO_MANY))
async def come_in(call: Call, body: ViewerRequest) -> ViewerAnswer:
    """Come in with a display name.

    Who comes back with her cookie or token stays the same viewer, under the name told now; who comes for the first
    time is credited to the share link she followed. The cookie keeps her for half a year.
    """
    people, door = call.parts.people, call.parts.door
    link_id = body.link_id or await _link_of_cookie(call)
    known = await _known_viewer(call)
    if known is not None:
        return await _answer_viewer(call, await people.change_viewer(known.viewer, body.name, link_id))
    address = door.address(call.request)
    if not is_loopback(address):
        await people.attempts.count_newcomer(address_group(address))
    return await _answer_viewer(call, await people.new_viewer(body.name, link_id))


@table.post("/api/viewers/token", answer=ViewerAnswer, refuses=(R.SIGN_IN, R.TOKEN_EXPIRED, R.TOKEN_INVALID))
async def renew_viewer(call: Call) -> ViewerAnswer:
    """A new short pass for the same viewer: by cookie, by a pass that is still good, or by a renewal pass."""
    people = call.parts.people
    bearer = bearer_of(call.request)
    if people.tokens.audience(bearer) == "viewer-renew":
        renewed = people.tokens.viewer_renewal(bearer).viewer
        return await _answer_viewer(call, await people.viewers.verified(renewed))
    await call.parts.door.identify(call, "viewer", (), csrf=True)
    return await _answer_viewer(call, call.the_viewer())


@table.patch("/api/me", auth="viewer", body=RenameRequest, answer=ViewerAnswer, refuses=(R.MALFORMED,))
async def rename(call: Call, body: RenameRequest) -> ViewerAnswer:
    """Another display name. The old token stays good until it runs out; use the new one from now on."""
    return await _answer_viewer(call, await call.parts.people.change_viewer(call.the_viewer(), body.name))


@table.post(
    "/api/me/verification",
    auth="viewer",
    body=VerificationRequest,
    refuses=(R.MALFORMED, R.LOCKED_OUT, R.UNAVAILABLE),
)
async def send_code(call: Call, body: VerificationRequest) -> Nothing:
    """Send a code to the viewer's e-mail address or phone, so that she can reserve deals for verified guests."""
    address = address_group(call.parts.door.address(call.request))
    verification = call.parts.people.verification
    if bool(body.email) == bool(body.phone):
        raise Refused(R.MALFORMED, expected="an e-mail address or a phone number")
    if body.phone:
        await verification.send_text(call.the_viewer(), body.phone, address)
    else:
        await verification.send(call.the_viewer(), body.email, address)
    return Nothing()


@table.get("/api/me/verification", auth="viewer", answer=VerificationWays)
async def verification_ways(call: Call) -> VerificationWays:
    """Where a code can be sent from here."""
    return VerificationWays(call.parts.settings.has_mail, call.parts.settings.has_texts)


@table.post(
    "/api/me/verification/code",
    auth="viewer",
    body=CodeRequest,
    answer=ViewerAnswer,
    refuses=(R.WRONG_CODE, R.CODE_SPENT),
)
async def confirm_code(call: Call, body: CodeRequest) -> ViewerAnswer:
    """Confirm the address with the code. Use the new token from now on, also on the open socket (`token`)."""
    return await _answer_viewer(call, await call.parts.people.verification.confirm(call.the_viewer(), body.code))


@table.get("/api/me", answer=MeAnswer)
async def me(call: Call) -> MeAnswer:
    """Who this browser or token is. A stranger gets an empty answer, not a refusal."""
    people, door = call.parts.people, call.parts.door
    await door.look(call)
    session = None if bearer_of(call.request) else await door.session(call.request)
    viewer = call.viewer
    advisor, shop = await people.names(viewer.advisor_id, viewer.shop_id) if viewer else ("", "")
    return MeAnswer(viewer, call.staff, session.csrf if session else "", advisor, shop)


@table.post("/api/enter", body=EnterRequest, answer=EnterAnswer, refuses=(R.CODE_SPENT,))
async def enter(call: Call, body: EnterRequest) -> EnterAnswer:
    """Spend a one-time code for passes. The code works once; nothing is set in cookies, so one browser can be several
    people in several frames."""
    entered = await call.parts.people.enter(body.code)
    passes = (entered.token.token, entered.token.expires_at_ms, entered.renewal.token)
    if isinstance(entered.who, StaffIdentity):
        return EnterAnswer("account", entered.target, *passes, staff=entered.who)
    return EnterAnswer("viewer", entered.target, *passes, viewer=entered.who)


@table.post(
    "/api/merchant/viewer-tokens",
    body=MerchantTokenRequest,
    answer=ViewerAnswer,
    refuses=(R.SIGN_IN, R.TOKEN_INVALID, R.MALFORMED, R.NOT_FOUND),
    csrf=False,
)
async def merchant_viewer_token(call: Call, body: MerchantTokenRequest) -> ViewerAnswer:
    """A viewer's pass for a customer who is signed in on the merchant's own site.

    Send the API key as `Authorization: Bearer …`, from a server and never from a page.
    """
    people = call.parts.people
    key = bearer_of(call.request)
    if not key:
        raise Refused(R.SIGN_IN)
    await people.api_keys.prove(key)
    viewer = await people.merchant_viewer(
        body.external_ref,
        body.name,
        "simulated" if body.simulated else "merchant",
        link_id=body.link_id,
        advisor_id=body.advisor_id,
        shop_id=body.shop_id,
    )
    return await _viewer_answer(call, viewer, people.tokens.for_viewer(viewer))


# --- helpers --------------------------------------------------------------------------------------------------------


async def _known_viewer(call: Call) -> ViewerPass | None:
    """The viewer this request can already prove to be."""
    tokens = call.parts.people.tokens
    bearer = bearer_of(call.request)
    if tokens.audience(bearer) == "viewer-renew":
        return tokens.viewer_renewal(bearer)
    if bearer:
        return tokens.viewer(bearer)
    known = call.parts.door.viewer_of_cookies(call.request.cookies)
    if known is not None and "origin" not in call.request.headers:
        raise Refused(R.ORIGIN)
    return known


async def _link_of_cookie(call: Call) -> str:
    """The link she followed last, unless it is gone: a stale cookie must keep nobody out."""
    link_id = call.request.cookies.get(LINK_COOKIE, "")
    if not link_id:
        return ""
    try:
        return (await call.parts.people.links.find(link_id)).link_id
    except Refused:
        return ""


async def _answer_viewer(call: Call, viewer: ViewerIdentity) -> ViewerAnswer:
    """A short pass; and, where the browser is no frame with a pass of its own, the cookie for half a year from now."""
    tokens, door = call.parts.people.tokens, call.parts.door
    if not bearer_of(call.request):
        renewal = tokens.renewal_for_viewer(viewer)
        call.on_answer.append(lambda response: door.remember_viewer(response, renewal))
    return await _viewer_answer(call, viewer, tokens.for_viewer(viewer))


async def _viewer_answer(call: Call, viewer: ViewerIdentity, minted: Pass) -> ViewerAnswer:
    names = await call.parts.people.names(viewer.advisor_id, viewer.shop_id)
    return ViewerAnswer(viewer, minted.token, minted.expires_at_ms, *names)
