"""The door: every request and every socket proves here who it is, before anything else happens.

What arrives: a call of the API, or a socket's token, cookies and origin. What leaves: the identity, or a refusal.
A bearer pass goes before a cookie: the demo's frames share one cookie jar and each speak for somebody else. A cookie
is only believed together with proof that our own page sent it: an allowed Origin, and for staff the session's CSRF
word. It does not know what anybody wants to do inside.
"""

import hmac
from typing import Literal, NamedTuple

import structlog
from sqlalchemy import select
from starlette.requests import Request, cookie_parser
from starlette.responses import Response

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.gateway.addresses import client_address
from livecommerce.gateway.api import Auth, Call
from livecommerce.gateway.origins import Origins
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import org_units, shows
from livecommerce.people.identity import StaffIdentity, StaffRole, ViewerIdentity
from livecommerce.people.service import People
from livecommerce.people.sessions import LIFE_DAYS, NewSession, Session
from livecommerce.people.tokens import VIEWER_RENEW_DAYS, Pass, ViewerPass
from livecommerce.protocol.facts import Role
from livecommerce.settings import Settings

CSRF_HEADER = "x-csrf-token"
CSRF_COOKIE = "lc_csrf"
LINK_COOKIE = "lc_link"
_LINK_DAYS = 30
_DAY_SECONDS = 86_400
_SAFE = ("GET", "HEAD", "OPTIONS")
# Who somebody is, and for how long: a rehearsal's pass changes nothing here, else it would become one for every show.
_OF_PERSONS = frozenset(
    {"/api/viewers", "/api/viewers/token", "/api/me", "/api/me/verification", "/api/me/verification/code"}
)
# What is sold without a show: a rehearsal must not set the shop's own stock aside.
_OF_THE_SHOP = ("/api/bag", "/api/try-ons", "/api/baskets/")

# How a member of staff stands in the room of a show within her scope.
_ROOM_ROLE: dict[StaffRole, Role] = {
    "admin": "admin",
    "manager": "manager",
    "advisor": "host",
    "moderator": "moderator",
}


class Admitted(NamedTuple):
    """Who opened a socket, as what, and until when without a renewed token."""

    viewer: ViewerIdentity
    role: Role
    until_ms: int


class Door:
    """Proves identities for HTTP and for the hub; hands out and takes back the cookies."""

    def __init__(self, people: People, database: Database, settings: Settings, clock: Clock) -> None:
        self._people = people
        self._database = database
        self._settings = settings
        self._clock = clock
        self.origins = Origins(settings)
        # With this prefix a browser accepts the cookie only from https, for this host alone: no neighbour under the
        # same domain can plant one.
        prefix = "__Host-" if settings.secure else ""
        self.session_cookie = f"{prefix}lc_session"
        self.viewer_cookie = f"{prefix}lc_viewer"

    # --- HTTP -------------------------------------------------------------------------------------------------------

    async def identify(self, call: Call, auth: Auth, roles: tuple[StaffRole, ...], csrf: bool) -> None:
        """Put the proved identity on the call. `csrf`: the call changes something and comes from pages of ours.

        Raises, in this order: `ORIGIN`; `TOKEN_EXPIRED` or `TOKEN_INVALID` for a bearer pass, `FORBIDDEN` for one of a
        rehearsal outside of its show; `CSRF`; `SIGN_IN`; `FORBIDDEN` where the role is not one of `roles`.
        """
        request = call.request
        if show_id := request.path_params.get("show_id"):
            structlog.contextvars.bind_contextvars(show_id=show_id)
        if csrf:
            self._refuse_foreign_origin(request)
        if auth == "nobody":
            return
        bearer = bearer_of(request)
        if bearer:
            await self._by_bearer(call, bearer)
        else:
            await self._by_cookie(call, auth, csrf)
        _refuse_the_wrong_kind(call, auth, roles)

    async def look(self, call: Call) -> None:
        """Put on the call whoever can be proved, for endpoints that answer everybody. Raises nothing for strangers;
        only for calls that change nothing."""
        try:
            await self.identify(call, "either", (), csrf=False)
        except Refused:
            return

    def address(self, request: Request) -> str:
        """The client's network address, past trusted proxies only."""
        return client_address(request.scope, request.client.host if request.client else "", self._settings)

    async def _by_bearer(self, call: Call, bearer: str) -> None:
        if self._people.tokens.audience(bearer) == "staff":
            call.staff, _ = await self._people.staff_of_pass(bearer)
        else:
            proved = self._people.tokens.viewer_or_rehearsal(bearer)
            request = call.request
            if proved.show_id:
                path = request.url.path
                if request.method not in _SAFE and (path in _OF_PERSONS or path.startswith(_OF_THE_SHOP)):
                    raise Refused(R.FORBIDDEN)
                self._refuse_outside_of_rehearsal(proved, request.path_params.get("show_id", proved.show_id))
            call.viewer = proved.viewer

    def _refuse_outside_of_rehearsal(self, proved: ViewerPass, show_id: str) -> None:
        """A pass that is good for one show opens no other, and none where rehearsals are not allowed any more."""
        forbidden = self._settings.mode == "production" and not self._settings.rehearsals
        if proved.show_id and (forbidden or proved.show_id != show_id):
            raise Refused(R.FORBIDDEN)

    async def _by_cookie(self, call: Call, auth: Auth, csrf: bool) -> None:
        request = call.request
        unsafe = csrf and request.method not in _SAFE
        if auth in ("staff", "either"):
            session = await self.session(request)
            if session is not None:
                if unsafe and not _same(request.headers.get(CSRF_HEADER, ""), session.csrf):
                    raise Refused(R.CSRF)
                call.staff = session.staff
        if auth in ("viewer", "either"):
            proved = self.viewer_of_cookies(request.cookies)
            if proved is not None:
                # A browser names the page's origin on every such request; where none is named, nothing shows that
                # the cookie was not ridden on.
                if unsafe and call.staff is None and "origin" not in request.headers:
                    raise Refused(R.ORIGIN)
                call.viewer = proved.viewer

    async def session(self, request: Request) -> Session | None:
        """The staff session of the browser, or None."""
        return await self._session(request.cookies)

    async def _session(self, cookies: "dict[str, str]") -> Session | None:
        token = cookies.get(self.session_cookie, "")
        if not token:
            return None
        try:
            return await self._people.sessions.prove(token)
        except Refused:
            return None

    def viewer_of_cookies(self, cookies: "dict[str, str]") -> ViewerPass | None:
        """The viewer that the browser remembers, or None."""
        token = cookies.get(self.viewer_cookie, "")
        if not token:
            return None
        try:
            return self._people.tokens.viewer_renewal(token)
        except Refused:
            return None

    def _refuse_foreign_origin(self, request: Request) -> None:
        origin = request.headers.get("origin")
        if request.method in _SAFE or origin is None:
            return
        if not self.origins.allows(origin, request.headers.get("host", "")):
            raise Refused(R.ORIGIN)

    # --- the hub ----------------------------------------------------------------------------------------------------

    async def verify_socket(
        self, token: str, cookie_header: str, origin: str, show_id: str, host: str = ""
    ) -> Admitted:
        """Who opens a socket to a show. `host` is the handshake's Host header, for the origin check of local servers.

        Raises `Refused`, in this order: `ORIGIN` (a foreign one, or none beside a cookie); `TOKEN_EXPIRED`,
        `TOKEN_INVALID`; `SIGN_IN` where there is neither token nor cookie; `NOT_FOUND` and `FORBIDDEN` for staff
        whose scope the show is not in, `FORBIDDEN` for a rehearsal's pass of another show; `BANNED`.
        """
        if origin and not self.origins.allows(origin, host):
            raise Refused(R.ORIGIN)
        if token:
            admitted = await self._socket_by_token(token, show_id)
        else:
            admitted = await self._socket_by_cookie(cookie_header, origin, show_id)
        if await self._people.bans.is_banned(show_id, admitted.viewer.viewer_id):
            raise Refused(R.BANNED)
        return admitted

    async def _socket_by_token(self, token: str, show_id: str) -> Admitted:
        if self._people.tokens.audience(token) == "staff":
            staff, until_ms = await self._people.staff_of_pass(token)
            return await self._staff_in_show(staff, show_id, until_ms)
        proved = self._people.tokens.viewer_or_rehearsal(token)
        self._refuse_outside_of_rehearsal(proved, show_id)
        return Admitted(proved.viewer, "viewer", proved.expires_at_ms)

    async def _socket_by_cookie(self, cookie_header: str, origin: str, show_id: str) -> Admitted:
        cookies = cookie_parser(cookie_header)
        if not origin and (self.session_cookie in cookies or self.viewer_cookie in cookies):
            raise Refused(R.ORIGIN)
        # A socket by cookie lives as long as one by a short token; then the page proves itself again.
        until_ms = self._clock.now_ms() + self._settings.token_minutes * 60_000
        proved = self.viewer_of_cookies(cookies)
        session = await self._session(cookies)
        if session is not None:
            try:
                return await self._staff_in_show(session.staff, show_id, min(until_ms, session.expires_at_ms))
            except Refused:
                if proved is None:
                    raise
        if proved is None:
            raise Refused(R.SIGN_IN)
        return Admitted(proved.viewer, "viewer", min(until_ms, proved.expires_at_ms))

    async def _staff_in_show(self, staff: StaffIdentity, show_id: str, until_ms: int) -> Admitted:
        query = select(org_units.c.path).join(shows, shows.c.org_unit_id == org_units.c.id).where(shows.c.id == show_id)
        async with self._database.read() as connection:
            path = (await connection.execute(query)).scalar_one_or_none()
        if path is None:
            raise Refused(R.NOT_FOUND, what="show")
        if not staff.may_act_in(path):
            raise Refused(R.FORBIDDEN)
        return Admitted(ViewerIdentity(staff.account_id, staff.name), _ROOM_ROLE[staff.role], until_ms)

    # --- cookies ----------------------------------------------------------------------------------------------------

    def remember_session(self, response: Response, session: NewSession) -> None:
        self._set(response, self.session_cookie, session.token, LIFE_DAYS * _DAY_SECONDS)
        # Readable by our pages, which send it back as a header; worth nothing without the session beside it.
        self._set(response, CSRF_COOKIE, session.csrf, LIFE_DAYS * _DAY_SECONDS, httponly=False)

    def forget_session(self, response: Response) -> None:
        for name in (self.session_cookie, CSRF_COOKIE):
            self._set(response, name, "", 0)

    def remember_viewer(self, response: Response, renewal: Pass) -> None:
        self._set(response, self.viewer_cookie, renewal.token, VIEWER_RENEW_DAYS * _DAY_SECONDS)

    def remember_link(self, response: Response, link_id: str) -> None:
        self._set(response, LINK_COOKIE, link_id, _LINK_DAYS * _DAY_SECONDS)

    def _set(self, response: Response, name: str, value: str, life_seconds: int, httponly: bool = True) -> None:
        same_site: Literal["lax"] = "lax"
        response.set_cookie(
            name, value, life_seconds, path="/", secure=self._settings.secure, httponly=httponly, samesite=same_site
        )


def bearer_of(request: Request) -> str:
    """The token of `Authorization: Bearer …`, or nothing."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refuse_the_wrong_kind(call: Call, auth: Auth, roles: tuple[StaffRole, ...]) -> None:
    if auth == "viewer" and call.viewer is None:
        raise Refused(R.FORBIDDEN if call.staff else R.SIGN_IN)
    if auth == "staff" and call.staff is None:
        raise Refused(R.FORBIDDEN if call.viewer else R.SIGN_IN)
    if auth == "either" and call.staff is None and call.viewer is None:
        raise Refused(R.SIGN_IN)
    if roles and call.staff is not None and call.staff.role not in roles:
        raise Refused(R.FORBIDDEN)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
