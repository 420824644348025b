"""A bank outside of the shop: links, money, and webhooks that come twice, late, in another order, or from a forger.

What arrives: what orders ask of a provider, and what payers press. What leaves: sessions, signed webhooks to whatever
process is up, and in the end `kept`: which links the bank still has money for. It forgets nothing, whoever dies.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from livecommerce.errors import R, Refused
from livecommerce.orders.payments.provider import (
    Caps,
    EventKind,
    Intent,
    LinkState,
    PaymentEvent,
    ProviderAway,
    Session,
)
from livecommerce.orders.payments.signing import signed_headers, verify
from tests.simulation.oracle import Breach

if TYPE_CHECKING:
    from tests.simulation.shop import Shop

_PAYABLE = ("open", "declined")


@dataclass
class Account:
    ref: str
    order_id: str
    amount_minor: int
    currency: str
    state: Literal["open", "declined", "revoked", "captured", "refunded"] = "open"


class Bank:
    name = "bank"
    caps = Caps(livemode=True)

    def __init__(self, world: "Shop", away: float) -> None:
        self._world = world
        self._away = away
        self.accounts: dict[str, Account] = {}
        self._unheard: dict[str, tuple[str, EventKind]] = {}

    # --- what orders ask --------------------------------------------------------------------------------------------

    async def create(self, intent: Intent, idem_key: str) -> Session:
        await self._way()
        ref = f"ref:{idem_key}"
        new = Account(ref, intent.order_id, intent.amount_minor, intent.currency)
        known = self.accounts.setdefault(ref, new)
        if known.order_id != intent.order_id:
            raise Breach(f"one key for two orders: {idem_key}")
        await self._way()
        return Session(ref, f"https://bank.example/{ref}")

    async def revoke(self, ref: str) -> LinkState:
        await self._way()
        account = self.accounts[ref]
        if account.state in _PAYABLE:
            account.state = "revoked"
        answer: LinkState = "captured" if account.state == "captured" else "revoked"
        await self._way()
        return answer

    async def refund(self, ref: str, amount_minor: int, currency: str, idem_key: str) -> None:
        await self._way()
        account = self.accounts[ref]
        if account.state not in ("captured", "refunded") or amount_minor != account.amount_minor:
            raise Breach(f"a refund of {amount_minor} for {account}")
        account.state = "refunded"
        await self._way()

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> tuple[PaymentEvent, ...]:
        settings = self._world.settings
        event_id = verify([settings.webhook_secret], raw, headers, self._world.clock.now_ms())
        told = json.loads(raw)
        return (PaymentEvent(event_id, told["kind"], told["ref"], told["amount_minor"], told["currency"]),)

    @property
    def unheard(self) -> list[str]:
        """What happened here and the shop has not acknowledged."""
        return sorted(self._unheard)

    async def catch_up(self) -> int:
        await self._way()
        for ref, kind in list(self._unheard.values()):
            self._world.aside(self._tell(ref, kind, 0.01))
        return len(self._unheard)

    async def _way(self) -> None:
        """To the bank or back: who hears nothing does not know whether it happened."""
        await asyncio.sleep(self._world.network.delay())
        if not self._world.network.weather.calm and self._world.chance.random() < self._away:
            raise ProviderAway("no answer")

    # --- what payers press ------------------------------------------------------------------------------------------

    def press(self, ref: str, button: Literal["pay", "decline", "late", "forge"]) -> None:
        account, chance = self.accounts[ref], self._world.chance
        if button == "late":
            self._world.aside(self._late(account, chance.uniform(0.5, 12.0)))
        elif button == "forge":
            self._world.aside(self._forge(account))
        elif account.state in _PAYABLE:
            account.state = "captured" if button == "pay" else "declined"
            self._say(account)

    async def _late(self, account: Account, seconds: float) -> None:
        """Money that was under way when the link died."""
        await asyncio.sleep(seconds)
        if account.state in (*_PAYABLE, "revoked"):
            account.state = "captured"
            self._say(account)

    def _say(self, account: Account) -> None:
        kind: EventKind = "captured" if account.state == "captured" else "declined"
        self._unheard[f"{account.ref}:{kind}"] = (account.ref, kind)
        chance = self._world.chance
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):  # 0: lost; it is told again when the shop asks
            self._world.aside(self._tell(account.ref, kind, chance.choice((0.01, 0.1, 1.0, 6.0))))

    async def _tell(self, ref: str, kind: EventKind, within_seconds: float) -> None:
        chance, account = self._world.chance, self.accounts[ref]
        await asyncio.sleep(chance.uniform(0, within_seconds))
        event_id = f"evt:{ref}:{kind}" + (f":{chance.randint(1, 3)}" if chance.random() < 0.1 else "")
        if await self._post(account, kind, event_id, self._world.settings.webhook_secret) == 200:
            self._unheard.pop(f"{ref}:{kind}", None)

    async def _forge(self, account: Account) -> None:
        if await self._post(account, "captured", f"evt:forged:{account.ref}", "somebody else's secret") == 200:
            raise Breach("the shop believed a forger")

    async def _post(self, account: Account, kind: EventKind, event_id: str, secret: str) -> int:
        web = self._world.some("web")
        if web is None:
            return 0
        told = {"kind": kind, "ref": account.ref, "amount_minor": account.amount_minor, "currency": account.currency}
        raw = json.dumps(told).encode()
        headers = signed_headers(secret, event_id, self._world.clock.now_ms(), raw)
        try:
            await self._world.call(web, lambda each: each.orders.webhook(self.name, raw, headers))
        except Refused as refused:
            if (refused.why is R.SIGNATURE) != (secret != self._world.settings.webhook_secret):
                raise Breach(f"a webhook was refused as {refused}") from refused
            return refused.why.value.status
        except self._world.gone:
            return 0
        return 200

    # --- in the end -------------------------------------------------------------------------------------------------

    def kept(self) -> list[str]:
        """The orders that the bank has money for, one entry for each payment."""
        return sorted(account.order_id for account in self.accounts.values() if account.state == "captured")
