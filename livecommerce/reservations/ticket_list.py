"""The signed list of tickets of one deal: its form, its signature, and everything that is wrong with one.

What arrives: rows of a closed deal, or a file that claims to be such a list. What leaves: the bytes that are signed and
the signature; or findings in words, each true or false. The form is RFC 8785 (JSON with sorted keys and no spaces, all
numbers whole), so that twenty lines in any language check it; `docs/fairness.md` has them. It knows no SQL and no HTTP.

The key is derived from the server's secret, as the key of hold tokens is: all processes have it, nothing more needs to
be kept or backed up, and it signs nothing else. Another secret makes another key; lists signed before stay signed by
theirs, and the server goes on naming it.
"""

import base64
import binascii
import hashlib
import hmac
import itertools
from typing import Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from livecommerce.reservations.draw import commitment_of, order_of, root_of

Outcome = Literal["confirmed", "released", "expired", "lapsed", "cancelled", "unknown"]

_encode = msgspec.json.Encoder(order="sorted").encode


class Ticket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One accepted request. `who` is the viewer's mark; `outcome` what became of it, "unknown" where the books do not
    say. `place` and `served` stand where she was in the draw: her place in its order, and what she got then."""

    ticket: int
    who: str
    qty: int
    at_ms: int
    outcome: Outcome
    place: int | None = None
    served: Literal["held", "waiting"] | None = None


class VoidWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A window that came to nothing since its entries were lost before anybody had a place: its seed was not used."""

    commitment: str
    seed: str
    at_ms: int


class DrawPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The draw. `drawn_at_ms` null: the deal closed before, nobody was drawn, and `root` is empty."""

    commitment: str
    seed: str
    root: str
    entrants: int
    window_seconds: int
    drawn_at_ms: int | None
    # What happens where the next one wants more than is left: she is skipped, or everybody after her waits behind her.
    head_wants_more: Literal["skip", "wait"] = "skip"
    void: tuple[VoidWindow, ...] = ()


class TicketList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All tickets of one deal, in the order of their arrival. `quota` is what was given to the deal, `sold` what of it
    was paid for."""

    format: Literal["livecommerce.tickets.1"]
    show_id: str
    deal_id: str
    title: str
    label: str
    fairness: Literal["first_come", "draw"]
    quota: int
    limit: int
    sold: int
    opened_at_ms: int | None
    tickets: tuple[Ticket, ...]
    draw: DrawPart | None = None


class Signed(NamedTuple):
    """The canonical text of a list, its signature and the key that checks it, both base64url without padding."""

    body: str
    signature: str
    public_key: str


class Finding(NamedTuple):
    """One thing that was looked at. `holds` None: nothing was claimed that could be wrong."""

    holds: bool | None
    text: str


def canonical(tickets: TicketList) -> bytes:
    """The bytes that are signed."""
    return _encode(tickets)


def signing_key(secret: str) -> Ed25519PrivateKey:
    seed = hmac.digest(secret.encode(), b"livecommerce ticket list", hashlib.sha256)
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key_of(key: Ed25519PrivateKey) -> str:
    return _text(key.public_key().public_bytes_raw())


def sign(key: Ed25519PrivateKey, tickets: TicketList) -> Signed:
    body = canonical(tickets)
    return Signed(body.decode(), _text(key.sign(body)), public_key_of(key))


def file_of(signed: Signed) -> bytes:
    """What is downloaded: the list exactly as it was signed, inside an object with its signature and key."""
    head = f'{{"algorithm":"Ed25519","public_key":"{signed.public_key}","signature":"{signed.signature}","list":'
    return f"{head}{signed.body}}}\n".encode()


# --- checking -----------------------------------------------------------------------------------------------------


class _File(msgspec.Struct, frozen=True):
    algorithm: Literal["Ed25519"]
    public_key: str
    signature: str
    list: msgspec.Raw


class Unreadable(ValueError):
    """The file is not a list of tickets."""


def verify(file: bytes, key: str | None = None, commitment: str | None = None) -> list[Finding]:
    """What is true of this file and what is not. `key` is the key it must be signed with, `commitment` what was
    published before the draw; without them the file's own are taken, and the findings say so.

    Raises `Unreadable`.
    """
    try:
        claimed = msgspec.json.decode(file, type=_File)
        body = bytes(claimed.list)
        tickets = msgspec.json.decode(body, type=TicketList)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    findings = [*_signature(claimed, canonical_of(body), key), *_plain(tickets)]
    if tickets.draw is not None:
        findings += _drawn(tickets, tickets.draw, commitment)
    return findings


def canonical_of(body: bytes) -> bytes:
    """Any spelling of the same JSON, in the one that is signed."""
    return _encode(msgspec.json.decode(body))


def _signature(claimed: _File, body: bytes, key: str | None) -> list[Finding]:
    findings = []
    if key is None:
        text = f"signed with {claimed.public_key}: compare it with the key that the shop publishes"
        findings.append(Finding(None, text))
    else:
        same = hmac.compare_digest(key.strip().rstrip("="), claimed.public_key)
        findings.append(Finding(same, f"the key is {'the one given' if same else 'not the one given'}"))
    try:
        public = Ed25519PublicKey.from_public_bytes(_bytes(key or claimed.public_key))
        public.verify(_bytes(claimed.signature), body)
        return [Finding(True, "the signature fits the list"), *findings]
    except (InvalidSignature, ValueError, binascii.Error):
        return [
            Finding(False, "the signature does not fit the list: it was changed, or signed by somebody else"),
            *findings,
        ]


def _plain(tickets: TicketList) -> list[Finding]:
    rows = tickets.tickets
    numbers = [row.ticket for row in rows]
    in_order = all(before < after for before, after in itertools.pairwise(numbers))
    sold = sum(row.qty for row in rows if row.outcome == "confirmed")
    bought: dict[str, int] = {}
    for row in rows:
        if row.outcome == "confirmed":
            bought[row.who] = bought.get(row.who, 0) + row.qty
    most = max(bought.values(), default=0)
    return [
        Finding(in_order, f"{len(rows)} tickets, {'each once and in order' if in_order else 'not in order'}"),
        Finding(sold == tickets.sold, f"{sold} units confirmed, the list says {tickets.sold}"),
        Finding(sold <= tickets.quota, f"{sold} units confirmed of {tickets.quota} there were"),
        Finding(most <= tickets.limit, f"at most {most} units went to one viewer, the limit is {tickets.limit}"),
    ]


def _drawn(tickets: TicketList, draw: DrawPart, commitment: str | None) -> list[Finding]:
    fits = commitment_of(draw.seed) == draw.commitment
    findings = [Finding(fits, f"the seed {'fits' if fits else 'does not fit'} its commitment")]
    for each in draw.void:
        fits = commitment_of(each.seed) == each.commitment
        findings.append(Finding(fits, f"a void window's seed {'fits' if fits else 'does not fit'} its commitment"))
    if commitment is not None:
        findings.append(_published_before(draw, commitment.strip().lower()))
    rows = [row for row in tickets.tickets if row.place is not None]
    if draw.drawn_at_ms is None:
        return [*findings, Finding(not rows, "the deal closed before its draw, so nobody was drawn")]
    root = root_of({row.ticket: row.who for row in rows})
    findings += [
        Finding(len(rows) == draw.entrants, f"{len(rows)} entrants, the list says {draw.entrants}"),
        Finding(root == draw.root, f"the entrants {'come' if root == draw.root else 'do not come'} to the root"),
    ]
    order = order_of(draw.seed, root, [row.ticket for row in rows])
    listed = [row.ticket for row in sorted(rows, key=lambda row: row.place or 0)]
    places = sorted(row.place or 0 for row in rows) == list(range(1, len(rows) + 1))
    same_order = places and order == listed
    findings.append(Finding(same_order, f"the order is {'' if same_order else 'not '}the one that seed and root give"))
    served = _served(rows, order, tickets.quota, draw.head_wants_more == "wait")
    findings.append(Finding(served, f"units were {'' if served else 'not '}given in this order"))
    return findings


def _published_before(draw: DrawPart, commitment: str) -> Finding:
    if any(hmac.compare_digest(commitment, each.commitment) for each in draw.void):
        return Finding(True, "the commitment is that of a window that was void and opened anew under another one")
    same = hmac.compare_digest(commitment, draw.commitment)
    return Finding(same, f"the commitment is {'' if same else 'not '}the one published before")


def _served(rows: list[Ticket], order: list[int], units: int, head_waits: bool) -> bool:
    """In the order drawn, each got what she wanted where as much was left; nobody overtakes a head that waits."""
    by_ticket = {row.ticket: row for row in rows}
    line = 0
    for ticket in order:
        row = by_ticket[ticket]
        if row.served != ("held" if row.qty <= units and not (head_waits and line) else "waiting"):
            return False
        units -= row.qty if row.served == "held" else 0
        line += row.served == "waiting"
    return True


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    text = text.strip()
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
