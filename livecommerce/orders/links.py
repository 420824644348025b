"""The payable links of an order: made after PAYING is committed, killed before its units leave PAYING.

What arrives: an order's id. What leaves: the open payment with its link, or what the provider said when it was killed.
"""

import hashlib
from typing import Any

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.orders import books
from livecommerce.orders.payments.provider import Intent, LinkState, PaymentEvent, ProviderAway
from livecommerce.orders.payments.registry import Providers
from livecommerce.settings import Settings

AWAY_AFTER_MS = 2000


class Links:
    """See the module."""

    def __init__(self, database: Database, providers: Providers, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._providers = providers
        self._settings = settings
        self._clock = clock

    async def open_payment(self, order: Any) -> Any:
        """The order's one open payment, made where there is none: the same attempt has the same link, whoever asks.

        Refuses `PAYMENT_GONE` where the order is no longer payable by the time the link exists (the link is killed
        then), `UNAVAILABLE` where the provider is away.
        """
        async with self._database.read() as connection:
            attempts = await books.payments_of(connection, order.id)
        for payment in attempts:
            if payment.status == "open":
                return payment
        provider = self._providers.current
        intent = Intent(order.id, order.number, order.total_minor, order.currency, order.pay_by_ms)
        try:
            session = await provider.create(intent, _idem_key(order, len(attempts)))
        except ProviderAway as away:
            raise Refused(R.UNAVAILABLE, after_ms=AWAY_AFTER_MS) from away
        book = books.Book(self._settings, self._clock.now_ms())
        kept = await self._database.write(
            lambda connection: books.add_payment(connection, book, order.id, provider.name, session)
        )
        if not kept:
            await provider.revoke(session.ref)
            raise Refused(R.PAYMENT_GONE)
        async with self._database.read() as connection:
            return next(p for p in await books.payments_of(connection, order.id) if p.provider_ref == session.ref)

    async def kill(self, order_id: str) -> LinkState:
        """Kill every link of the order. `captured`: one was paid meanwhile; that was heard, and it counts.

        Raises `ProviderAway`: then some link may still be alive.
        """
        async with self._database.read() as connection:
            alive = [p for p in await books.payments_of(connection, order_id) if p.status in ("open", "declined")]
        answers = [await self._kill(payment) for payment in alive]
        return "captured" if "captured" in answers else "revoked"

    async def _kill(self, payment: Any) -> LinkState:
        answer = await self._providers.named(payment.provider).revoke(payment.provider_ref)
        if answer == "captured":
            # The webhook is still on its way; whichever is first, the other is stale.
            event_id = "poll_" + hashlib.sha256(payment.provider_ref.encode()).hexdigest()[:24]
            event = PaymentEvent(event_id, "captured", payment.provider_ref, payment.amount_minor, payment.currency)
            book = books.Book(self._settings, self._clock.now_ms())
            await self._database.write(lambda connection: books.hear(connection, book, payment.provider, event, "{}"))
        return answer


def _idem_key(order: Any, attempts_before: int) -> str:
    first = f"{order.viewer_id}:{order.rid}"
    return first if attempts_before == 0 else f"{first}:{attempts_before + 1}"
