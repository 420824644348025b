"""Signed passes (JWT, HS256 over the server's secret): made here, checked here, nothing kept.

Four audiences, and a pass of one is worth nothing as another:
`viewer` and `staff` are short and open the socket and the API; `viewer-renew` and `staff-renew` are long, open
nothing, and are only good for a new short one (the first of them is what the viewer's cookie holds).
It does not know accounts: that a member of staff still has her post is asked of the ledger by `service`.

Reading is ours: HS256 under a key that belongs to one audience leaves nothing to choose, and whoever comes in shows a
pass, ten thousand in some seconds after a deploy. The library reads one in 100 µs, this in 9; a test holds them
against each other.
"""

import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import jwt
import msgspec

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.people.identity import ViewerIdentity
from livecommerce.settings import Settings

Audience = Literal["viewer", "staff", "viewer-renew", "staff-renew"]
ISSUER = "livecommerce"
VIEWER_RENEW_DAYS = 180
STAFF_RENEW_HOURS = 12
_ALGORITHM = "HS256"
_MS = 1000


class Pass(NamedTuple):
    """A pass as it goes out: the text, and when it runs out."""

    token: str
    expires_at_ms: int


class ViewerPass(NamedTuple):
    """A viewer's pass as it came back, its signature proved. `show_id`: it is good for this show only."""

    viewer: ViewerIdentity
    expires_at_ms: int
    show_id: str = ""


class StaffPass(NamedTuple):
    """A staff pass as it came back. `generation` must still be the account's own."""

    account_id: str
    generation: int
    expires_at_ms: int


class _Claims(msgspec.Struct, frozen=True):
    iss: Literal["livecommerce"]
    aud: Audience


class _ViewerClaims(_Claims, frozen=True):
    sub: str
    exp: int
    name: str
    kind: Literal["guest", "merchant", "simulated"]
    adv: str
    shop: str
    link: str
    show: str = ""  # of passes for a rehearsal
    ver: str = ""  # the word for the address she confirmed


class _StaffClaims(_Claims, frozen=True):
    sub: str
    exp: int
    gen: int


class _Audience(msgspec.Struct, frozen=True):
    aud: Audience


C = TypeVar("C", _ViewerClaims, _StaffClaims)
_read_viewer = msgspec.json.Decoder(_ViewerClaims)
_read_staff = msgspec.json.Decoder(_StaffClaims)
_read_audience = msgspec.json.Decoder(_Audience)


class Tokens:
    """Mints and proves passes. Each audience has a key of its own, derived from the one secret."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._short_ms = settings.token_minutes * 60 * _MS
        secret = settings.secret.encode()
        # Names the secret, so that a pass signed before a change of secret is told apart from a forged one.
        self._key_id = hashlib.sha256(b"kid:" + secret).hexdigest()[:8]
        audiences: tuple[Audience, ...] = ("viewer", "staff", "viewer-renew", "staff-renew")
        self._keys = {name: hmac.digest(secret, f"pass:{name}".encode(), "sha256") for name in audiences}

    def for_viewer(self, viewer: ViewerIdentity) -> Pass:
        """A short pass, `token_minutes` long."""
        return self._mint("viewer", viewer.viewer_id, self._short_ms, _claims(viewer))

    def for_rehearsal(self, viewer: ViewerIdentity, show_id: str, minutes: int) -> Pass:
        """A pass for a simulated viewer that lasts a whole rehearsal of this one show: nobody renews it."""
        return self._mint("viewer", viewer.viewer_id, minutes * 60 * _MS, _claims(viewer) | {"show": show_id})

    def renewal_for_viewer(self, viewer: ViewerIdentity) -> Pass:
        return self._mint("viewer-renew", viewer.viewer_id, VIEWER_RENEW_DAYS * 86_400 * _MS, _claims(viewer))

    def for_staff(self, account_id: str, generation: int) -> Pass:
        """A short pass, `token_minutes` long."""
        return self._mint("staff", account_id, self._short_ms, {"gen": generation})

    def renewal_for_staff(self, account_id: str, generation: int) -> Pass:
        return self._mint("staff-renew", account_id, STAFF_RENEW_HOURS * 3_600 * _MS, {"gen": generation})

    def viewer(self, token: str) -> ViewerPass:
        """Raises `Refused(TOKEN_EXPIRED)` or `Refused(TOKEN_INVALID)`, as all the readers below; `Refused(FORBIDDEN)`
        for a rehearsal's pass, which proves nobody outside of its show."""
        proved = self.viewer_or_rehearsal(token)
        if proved.show_id:
            raise Refused(R.FORBIDDEN)
        return proved

    def viewer_or_rehearsal(self, token: str) -> ViewerPass:
        """Also a rehearsal's pass: the caller looks at its `show_id`."""
        return self._viewer_pass(token, "viewer")

    def viewer_renewal(self, token: str) -> ViewerPass:
        return self._viewer_pass(token, "viewer-renew")

    def staff(self, token: str) -> StaffPass:
        return self._staff_pass(token, "staff")

    def staff_renewal(self, token: str) -> StaffPass:
        return self._staff_pass(token, "staff-renew")

    def audience(self, token: str) -> Audience | None:
        """What the pass says it is for. Not proved: only good for choosing which reader to ask."""
        try:
            return _read_audience.decode(_bytes_of(token.split(".")[1])).aud
        except (IndexError, ValueError, RecursionError, msgspec.DecodeError):
            return None

    def _mint(self, audience: Audience, subject: str, life_ms: int, claims: Mapping[str, Any]) -> Pass:
        now_ms = self._clock.now_ms()
        # `exp` has whole seconds; the instant told to people is the one that is signed.
        expires_s = (now_ms + life_ms) // _MS
        body = {"iss": ISSUER, "aud": audience, "sub": subject, "iat": now_ms // _MS, "exp": expires_s, **claims}
        token = jwt.encode(body, self._keys[audience], _ALGORITHM, headers={"kid": self._key_id})
        return Pass(token, expires_s * _MS)

    def _viewer_pass(self, token: str, audience: Audience) -> ViewerPass:
        claims = self._proved(token, audience, _read_viewer)
        viewer = ViewerIdentity(claims.sub, claims.name, claims.kind, claims.adv, claims.shop, claims.link, claims.ver)
        return ViewerPass(viewer, claims.exp * _MS, claims.show)

    def _staff_pass(self, token: str, audience: Audience) -> StaffPass:
        claims = self._proved(token, audience, _read_staff)
        return StaffPass(claims.sub, claims.gen, claims.exp * _MS)

    def _proved(self, token: str, audience: Audience, claims_of: "msgspec.json.Decoder[C]") -> C:
        """What is signed with the audience's key was said by us. The header is covered by the signature and says
        nothing that we would follow: which algorithm it is must not be the sender's to choose."""
        try:
            signed, _, signature = token.rpartition(".")
            expected = hmac.digest(self._keys[audience], signed.encode("ascii"), "sha256")
            if not hmac.compare_digest(_bytes_of(signature), expected):
                raise Refused(R.TOKEN_INVALID)
            _, body = signed.split(".")
            claims = claims_of.decode(_bytes_of(body))
        except (ValueError, msgspec.DecodeError):
            raise Refused(R.TOKEN_INVALID) from None
        if claims.aud != audience:
            raise Refused(R.TOKEN_INVALID)
        if claims.exp * _MS <= self._clock.now_ms():
            raise Refused(R.TOKEN_EXPIRED)
        return claims


# What base64url writes differently; and what only the other base64 has becomes what neither has.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")


def _bytes_of(segment: str) -> bytes:
    """base64url without padding, as passes carry it. Raises `ValueError` for anything else."""
    return binascii.a2b_base64(
        segment.encode("ascii").translate(_FROM_URL) + b"=" * (-len(segment) % 4), strict_mode=True
    )


def _claims(viewer: ViewerIdentity) -> dict[str, Any]:
    return {
        "name": viewer.name,
        "kind": viewer.kind,
        "adv": viewer.advisor_id,
        "shop": viewer.shop_id,
        "link": viewer.link_id,
        **({"ver": viewer.verified} if viewer.verified else {}),
    }
