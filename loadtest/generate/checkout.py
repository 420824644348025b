"""Paying: the checkout over the API, then the test provider's button. A bounded pool of connections for all viewers.

What arrives: whose hold is to be paid. What leaves: the order with its link, and the button pressed; or `Refused`. That
the order is confirmed is heard on the viewer's socket, not here. It does not know when somebody pays, or how often.
"""

import ssl
from types import TracebackType
from typing import Any

import httpx
import msgspec

from livecommerce.client.refusals import refused
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import OrderFacts

CONNECTIONS_MAX = 32
ANSWER_SECONDS_MAX = 15.0
# Waiting for a free connection is part of the latency; beyond that the server is not heard from at all.
POOL_SECONDS_MAX = 60.0


class Begun(msgspec.Struct, frozen=True):
    """Of the answer to a checkout what is needed to pay. `pay_url` is empty where nothing is left to pay."""

    order: OrderFacts
    pay_url: str


class _Error(msgspec.Struct):
    number: int
    text: str
    after_ms: int | None = None
    facts: dict[str, Any] = {}


class Checkout:
    """All of a generator's checkouts in one show, sent to an address that nobody lives at."""

    def __init__(self, url: str, show_id: str, tls: ssl.SSLContext | None) -> None:
        self._origin = url.rstrip("/")
        self._show_id = show_id
        self._http = httpx.AsyncClient(
            base_url=self._origin,
            verify=tls if tls is not None else False,
            timeout=httpx.Timeout(ANSWER_SECONDS_MAX, pool=POOL_SECONDS_MAX),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        )

    async def __aenter__(self) -> "Checkout":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def begin(self, token: str, rid: str) -> Begun:
        """The order for what is held under `rid`. Raises `Refused`; `UNAVAILABLE` where no answer came: then the same
        again has one effect."""
        body = {
            "show_id": self._show_id,
            "rid": rid,
            "delivery": "ship",
            "contact_name": "Simulated viewer",
            "contact": "simulated@loadtest.example",
            "address": {"line1": "1 Rehearsal Street", "postcode": "00001", "city": "Nowhere", "country": "FR"},
        }
        return msgspec.json.decode(await self._post("/api/checkouts", token, msgspec.json.encode(body)), type=Begun)

    async def press_pay(self, pay_url: str) -> None:
        """Press "pay" on the test provider's page. Raises `Refused`. No money moves."""
        reference = pay_url.rstrip("/").rpartition("/")[2]
        await self._post(f"/api/pay/test/{reference}/pay", "", b"")

    async def _post(self, path: str, token: str, body: bytes) -> bytes:
        headers = {"origin": self._origin}
        if token:
            headers |= {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            response = await self._http.post(path, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Refused(R.UNAVAILABLE, after_ms=1000) from error
        if response.is_error:
            raise _refusal(response)
        return response.content


def _refusal(response: httpx.Response) -> Refused:
    try:
        error = msgspec.json.decode(response.content, type=_Error)
    except msgspec.DecodeError:
        return Refused(R.UNAVAILABLE if response.status_code >= 500 else R.NOT_FOUND, what="page", after_ms=1000)
    return refused(error.number, error.text, error.after_ms, error.facts)
