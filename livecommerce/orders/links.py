"""The payable links of an order: made after PAYING is committed, killed before its units leave PAYING.

What arrives: an order's id. What leaves: the open payment with its link, or what the provider said when it was killed.
"""

import hashlib
from typing import Any

from sqlalchemy import select

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import orders
from livecommerce.orders import books
from livecommerce.orders.payments.provider import Intent, LinkState, PaymentEvent, ProviderAway
from livecommerce.orders.payments.registry import Providers
from livecommerce.settings import Settings

AWAY_AFTER_MS = 2000
# Times that the sum of an order may change while its link is being made, before the asker is told to come again.
_TRIES = 3


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
        for _ in range(_TRIES):
            async with self._database.read() as connection:
                order = (await connection.execute(select(orders).where(orders.c.id == order.id))).one()
                attempts = await books.payments_of(connection, order.id)
            if order.status != "paying":
                raise Refused(R.PAYMENT_GONE)
            for payment in attempts:
                if payment.status == "open":
                    return payment
            made = await self._make(order, len(attempts))
            if made is not None:
                return made
        raise Refused(R.UNAVAILABLE, after_ms=AWAY_AFTER_MS)

    async def _make(self, order: Any, attempts_before: int) -> Any | None:
        """A new open payment; None where another tab changed the sum meanwhile: that link was given to nobody."""
        provider = self._providers.current
        intent = Intent(order.id, order.number, order.total_minor, order.currency, order.pay_by_ms)
        book = books.Book(self._settings, self._clock.now_ms())
        try:
            session = await provider.create(intent, _idem_key(order, attempts_before))
            kept = await self._database.write(
                lambda connection: books.add_payment(
                    connection, book, order.id, provider.name, session, intent.amount_minor
                )
            )
            if kept == "ended":
                await provider.revoke(session.ref)
                raise Refused(R.PAYMENT_GONE)
        except ProviderAway as away:
            raise Refused(R.UNAVAILABLE, after_ms=AWAY_AFTER_MS) from away
        if kept == "changed":
            return None
        async with self._database.read() as connection:
            return next(p for p in await books.payments_of(connection, order.id) if p.provider_ref == session.ref)

    async def kill(self, order_id: str, away: set[str] | None = None) -> LinkState:
        """Kill every link of the order. `captured`: one was paid meanwhile; that was heard, and it counts.

        Raises `ProviderAway`: then some link may still be alive. `away` names providers that did not answer in this
        round, and learns of another: whoever kills many links waits for each of those once.
        """
        async with self._database.read() as connection:
            alive = [p for p in await books.payments_of(connection, order_id) if p.status in ("open", "declined")]
        answers = [await self._kill(payment, set() if away is None else away) for payment in alive]
        return "captured" if "captured" in answers else "revoked"

    async def _kill(self, payment: Any, away: set[str]) -> LinkState:
        if payment.provider in away:
            raise ProviderAway(f"{payment.provider} did not answer a moment ago")
        try:
            answer = await self._providers.named(payment.provider).revoke(payment.provider_ref)
        except ProviderAway:
            away.add(payment.provider)
            raise
        if answer == "captured":
            # The webhook is still on its way; whichever is first, the other is stale.
            event_id = "poll_" + hashlib.sha256(payment.provider_ref.encode()).hexdigest()[:24]
            event = PaymentEvent(event_id, "captured", payment.provider_ref, payment.amount_minor, payment.currency)
            book = books.Book(self._settings, self._clock.now_ms())
            await self._database.write(lambda connection: books.hear(connection, book, payment.provider, event, "{}"))
        return answer


def _idem_key(order: Any, attempts_before: int) -> str:
    # With the sum: of two tabs that want different deliveries of one order, neither may get a link over the other's.
    return f"{order.viewer_id}:{order.rid}:{attempts_before + 1}:{order.total_minor}"
