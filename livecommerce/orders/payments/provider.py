"""What orders ask of a payment provider, whoever it is.

What arrives at a provider: an intent to be paid, and later a reference. What leaves: a session that somebody can pay,
and events, verified and in one vocabulary. A provider knows no stock and no order's state. Failures to reach it are
`ProviderAway`: nothing is known then, and the same call with the same key is made again later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

EventKind = Literal["captured", "declined"]
LinkState = Literal["revoked", "captured"]


class ProviderAway(Exception):
    """The provider did not answer, or not in a way we understand."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What a provider can do. `livemode` False: no money moves, and no row of it counts as revenue."""

    livemode: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be paid. `number` is what the payer reads."""

    order_id: str
    number: str
    amount_minor: int
    currency: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """A link that can be paid, under the provider's own reference."""

    ref: str
    url: str


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """What a provider says happened; `event_id` is its own, the same however often it says it."""

    event_id: str
    kind: EventKind
    ref: str
    amount_minor: int
    currency: str


class PaymentProvider(Protocol):
    """Every method may raise `ProviderAway`."""

    @property
    def name(self) -> str: ...

    @property
    def caps(self) -> Caps: ...

    async def create(self, intent: Intent, idem_key: str) -> Session:
        """A payable session; the same key gives the same session."""

    async def revoke(self, ref: str) -> LinkState:
        """Kill the link. `captured`: too late, it was paid, and the event is on its way. A second call is harmless."""

    async def refund(self, ref: str, amount_minor: int, currency: str, idem_key: str) -> None:
        """Give the money back, once per key."""

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> tuple[PaymentEvent, ...]:
        """Verify, then read; events of no interest are left out. Raises `Refused(SIGNATURE)`, `Refused(MALFORMED)`."""

    async def catch_up(self) -> int:
        """Have events told again that were not acknowledged; how many."""
