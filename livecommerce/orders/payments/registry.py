"""Which payment provider this shop uses, found by its name in the settings.

What arrives: settings and what a provider needs to live. What leaves: `Providers`, or `SettingsError` that says what to
set. `test` is our own; any other name is an entry point of the group `livecommerce.payments`, a function that takes a
`Foundation` and returns a `PaymentProvider`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

import httpx

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.orders.payments.provider import PaymentProvider
from livecommerce.orders.payments.test import TestProvider
from livecommerce.settings import Settings, SettingsError

GROUP = "livecommerce.payments"


@dataclass(frozen=True, slots=True)
class Foundation:
    """What a provider may build on. `webhook_url` is where the shop hears it; `client` outlives the provider."""

    settings: Settings
    database: Database
    clock: Clock
    webhook_url: str
    client: httpx.AsyncClient


@dataclass(frozen=True, slots=True)
class Providers:
    """`current` takes new payments; `all` still hears of old ones, by name."""

    current: PaymentProvider
    all: Mapping[str, PaymentProvider]

    def named(self, name: str) -> PaymentProvider:
        """Refuses `NOT_FOUND`."""
        if name not in self.all:
            raise Refused(R.NOT_FOUND, what="payment provider")
        return self.all[name]

    def test(self) -> TestProvider:
        """The test provider, where it is the one in use. Refuses `NOT_FOUND`."""
        if not isinstance(self.current, TestProvider):
            raise Refused(R.NOT_FOUND, what="page")
        return self.current


def providers_for(foundation: Foundation) -> Providers:
    """The provider that the settings name. Raises `SettingsError` for one that is unknown or must not be used."""
    name = foundation.settings.payment_provider
    refuse_unknown_provider(name)
    current = _test(foundation) if name == "test" else _plugged_in(name, foundation)
    return Providers(current, {current.name: current})


def refuse_unknown_provider(name: str) -> None:
    """Raises `SettingsError` where no provider of that name is installed, with the names of those that are."""
    known = sorted({"test", *(point.name for point in entry_points(group=GROUP))})
    if name not in known:
        raise SettingsError([f"PAYMENT_PROVIDER={name!r} is not installed; expected one of: {', '.join(known)}."])


def _test(foundation: Foundation) -> PaymentProvider:
    if foundation.settings.mode == "production":
        raise SettingsError(["PAYMENT_PROVIDER=test moves no money and is refused in production."])
    return TestProvider(
        foundation.database, foundation.settings, foundation.clock, foundation.webhook_url, foundation.client
    )


def _plugged_in(name: str, foundation: Foundation) -> PaymentProvider:
    (point,) = entry_points(group=GROUP, name=name)
    provider: PaymentProvider = point.load()(foundation)
    return provider
