"""The test provider: the whole way of a payment, with a page, a link and signed webhooks, and no money.

What arrives: intents, and what somebody presses on its page. What leaves: sessions, and webhooks over HTTP to the same
address a real provider would call. Its own books are the column `provider_side` of the payments and nothing else, so a
restart forgets nothing; it never touches what orders keep. It is refused in production.

| pressed       | what a real provider would have done                                              |
|---------------|-----------------------------------------------------------------------------------|
| pay           | took the money, told us                                                           |
| decline       | refused the card, told us                                                         |
| silence       | nothing: neither yes nor no ever comes                                            |
| late          | took the money, but tells us only after the link is dead                          |
| duplicate     | took the money, told us three times                                               |
| bad_signature | nothing: somebody else claims in its name that the money came                     |

Words on `provider_side`: open, captured, declined, silent, late, revoked, refunded.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Literal

import httpx
import msgspec
import structlog
from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.pages import pages
from livecommerce.ledger.tables import orders, payments
from livecommerce.orders.payments.provider import Caps, EventKind, Intent, LinkState, PaymentEvent, Session
from livecommerce.orders.payments.signing import signed_headers, verify
from livecommerce.settings import Settings

log = structlog.get_logger(__name__)

BANNER = "TEST — no money moves"
WEBHOOK_SECONDS_MAX = 10.0
Action = Literal["pay", "decline", "silence", "late", "duplicate", "bad_signature"]
# Said again in one go at most: a provider that was away for long must not flood a shop that has just come back.


class TestPayPage(msgspec.Struct, frozen=True):
    """What the test provider's page shows."""

    __test__ = False  # pytest collects by name

    ref: str
    banner: str
    shop_name: str
    order_number: str
    show_id: str
    amount_minor: int
    currency: str
    state: Literal["open", "captured", "declined", "silent", "late", "revoked", "refunded"]
    order_status: str
    pay_by_ms: int | None


class TestPayAnswer(msgspec.Struct, frozen=True):
    """The page after something was pressed, and how the shop answered each webhook (0: it did not)."""

    __test__ = False

    page: TestPayPage
    webhooks: tuple[int, ...]


class _EventData(msgspec.Struct, frozen=True):
    ref: str
    amount_minor: int
    currency: str
    livemode: bool = False


class _Webhook(msgspec.Struct, frozen=True):
    type: str
    data: _EventData


# (pressed, side now) → side then. What is absent is refused: this payment is no longer open.
_OPEN = ("open", "silent", "late")
_PRESSED: dict[tuple[str, str], str] = {
    **{("pay", side): "captured" for side in _OPEN},
    **{("duplicate", side): "captured" for side in _OPEN},
    **{("decline", side): "declined" for side in _OPEN},
    **{("silence", side): "silent" for side in _OPEN},
    **{("late", side): "late" for side in _OPEN},
    # Money that was under way when the link died.
    ("late", "revoked"): "captured",
    **{("bad_signature", side): side for side in (*_OPEN, "captured", "declined", "revoked", "refunded")},
}


class TestProvider:
    """See the module. `webhook_url` is where this shop listens; `client` is closed by who made it."""

    __test__ = False

    name = "test"
    caps = Caps(livemode=False)

    def __init__(
        self, database: Database, settings: Settings, clock: Clock, webhook_url: str, client: httpx.AsyncClient
    ) -> None:
        assert settings.mode != "production", "the test provider moves no money and has no place in production"
        self._database = database
        self._settings = settings
        self._clock = clock
        self._webhook_url = webhook_url
        self._client = client

    # --- what orders ask --------------------------------------------------------------------------------------------

    async def create(self, intent: Intent, idem_key: str) -> Session:
        # The reference is the only key to the page, so it is as hard to guess as the secret; the same idempotency key
        # makes the same one, so there is nothing to store before orders store it.
        digest = hmac.new(self._settings.secret.encode(), f"test-session:{idem_key}".encode(), hashlib.sha256).digest()
        ref = "test_" + base64.b32encode(digest[:20]).decode().lower()
        return Session(ref, f"{self._settings.base_url}/pay/test/{ref}")

    async def revoke(self, ref: str) -> LinkState:
        async def work(connection: AsyncConnection) -> LinkState:
            side = await _side_of(connection, ref)
            if side == "captured":
                return "captured"
            if side in ("open", "silent", "declined"):
                await _set_side(connection, ref, "revoked")
            return "revoked"

        return await self._database.write(work)

    async def refund(self, ref: str, amount_minor: int, currency: str, idem_key: str) -> None:
        await self._database.write(lambda connection: _set_side(connection, ref, "refunded"))

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> tuple[PaymentEvent, ...]:
        event_id = verify([self._settings.webhook_secret], raw, headers, self._clock.now_ms())
        try:
            webhook = msgspec.json.decode(raw, type=_Webhook)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Refused(R.MALFORMED, expected=str(error)[:200]) from None
        kinds: dict[str, EventKind] = {"payment.captured": "captured", "payment.declined": "declined"}
        kind = kinds.get(webhook.type)
        if kind is None:
            return ()
        return (PaymentEvent(event_id, kind, webhook.data.ref, webhook.data.amount_minor, webhook.data.currency),)

    async def catch_up(self) -> int:
        """Tell again what was not acknowledged, and what was to come late once its link is dead."""
        unheard = or_(
            and_(payments.c.provider_side == "captured", payments.c.status.in_(("open", "declined", "revoked"))),
            and_(payments.c.provider_side == "late", payments.c.status == "revoked"),
            and_(payments.c.provider_side == "declined", payments.c.status == "open"),
        )
        query = select(payments.c.id, payments.c.provider_ref, payments.c.provider_side).where(
            payments.c.provider == self.name, unheard
        )
        told = 0
        async for page in pages(self._database, query, (payments.c.id,)):
            for row in page:
                ref, side = row.provider_ref, row.provider_side
                if side == "late":
                    await self._press(ref, "pay")
                await self._tell(ref, "declined" if side == "declined" else "captured")
            told += len(page)
        return told

    # --- what its page asks -----------------------------------------------------------------------------------------

    async def page(self, ref: str) -> TestPayPage:
        """The page's data for whoever has the link. Refuses `NOT_FOUND`."""
        row = await self._row(ref)
        return TestPayPage(
            ref=ref, banner=BANNER, shop_name=self._settings.shop_name, order_number=row.number, show_id=row.show_id,
            amount_minor=row.amount_minor, currency=row.currency, state=row.provider_side,
            order_status=row.order_status, pay_by_ms=row.pay_by_ms,
        )  # fmt: skip

    async def act(self, ref: str, action: Action) -> TestPayAnswer:
        """Do what was pressed and tell the shop. Refuses `NOT_FOUND`, and `PAYMENT_GONE` where the link is dead.

        When the shop cannot be reached the money counts as taken all the same: `catch_up` tells it again.
        """
        side = await self._press(ref, action)
        webhooks: tuple[int, ...] = ()
        if action == "bad_signature":
            webhooks = (await self._tell(ref, "captured", forged=True),)
        elif action == "duplicate":
            webhooks = tuple([await self._tell(ref, "captured") for _ in range(3)])
        elif side in ("captured", "declined"):
            webhooks = (await self._tell(ref, "declined" if side == "declined" else "captured"),)
        return TestPayAnswer(await self.page(ref), webhooks)

    async def _press(self, ref: str, action: Action) -> str:
        async def work(connection: AsyncConnection) -> str:
            now = await _side_of(connection, ref)
            if now is None:
                raise Refused(R.NOT_FOUND, what="payment")
            then = _PRESSED.get((action, now))
            if then is None:
                raise Refused(R.PAYMENT_GONE)
            await _set_side(connection, ref, then)
            return then

        return await self._database.write(work)

    async def _tell(self, ref: str, kind: EventKind, *, forged: bool = False) -> int:
        """Send the webhook; the shop's status, or 0. The same event has the same id whenever it is told."""
        row = await self._row(ref)
        data = _EventData(ref, row.amount_minor, row.currency)
        body = msgspec.json.encode(_Webhook(f"payment.{kind}", data))
        event_id = "evt_" + hashlib.sha256(f"{ref}:{kind}:{forged}".encode()).hexdigest()[:24]
        secret = self._settings.webhook_secret + ("x" if forged else "")
        headers = signed_headers(secret, event_id, self._clock.now_ms(), body)
        try:
            answer = await self._client.post(
                self._webhook_url, content=body, headers=headers, timeout=WEBHOOK_SECONDS_MAX
            )
        except httpx.HTTPError as error:
            log.warning("webhook_not_delivered", kind=kind, error=type(error).__name__)
            return 0
        return answer.status_code

    async def _row(self, ref: str) -> Any:
        query = (
            select(payments, orders.c.number, orders.c.show_id, orders.c.status.label("order_status"))
            .add_columns(orders.c.pay_by_ms)
            .join(orders, orders.c.id == payments.c.order_id)
            .where(payments.c.provider == self.name, payments.c.provider_ref == ref)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise Refused(R.NOT_FOUND, what="payment")
        return row


async def _side_of(connection: AsyncConnection, ref: str) -> str | None:
    query = select(payments.c.provider_side).where(payments.c.provider == "test", payments.c.provider_ref == ref)
    return (await connection.execute(query.with_for_update())).scalar_one_or_none()


async def _set_side(connection: AsyncConnection, ref: str, side: str) -> None:
    await connection.execute(
        update(payments).where(payments.c.provider == "test", payments.c.provider_ref == ref).values(provider_side=side)
    )
