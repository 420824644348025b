"""The demo's twenty simulated viewers, and what any viewer can do: tap, check out, pay, give up, speak.

What arrives: passes and orders to act. What leaves: real messages on real sockets and real calls of the API; the only
thing simulated is the person. Who does what when is decided by the director, from `story`.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from livecommerce.client.api import Api
from livecommerce.client.socket import Closed, ShowSocket, new_rid
from livecommerce.ending import end
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold, Level
from livecommerce.protocol.from_viewer import React
from livecommerce.protocol.to_viewer import Levels, Own, Welcome

log = structlog.get_logger(__name__)

Pass = Callable[[], Awaitable[str]]
_LIVE = ("waiting", "offered", "held", "paying")
# A tap that meets a server being restarted is sent again, under its own id, for so long.
_TAP_AGAIN_SECONDS = 0.25
_TAP_PATIENCE_SECONDS = 20.0


class Player:
    """One viewer with a socket of her own.

    `slowest_ms` is her longest wait from tap to answer, `refused` what her last tap was refused with.
    """

    def __init__(
        self, base_url: str, show_id: str, name: str, passes: Pass, on_levels: "OnLevels | None" = None
    ) -> None:
        self.name = name
        self.slowest_ms = 0
        self.refused: R | None = None
        self.holds: dict[str, Hold] = {}
        self._base_url = base_url
        self._passes = passes
        self._on_levels = on_levels
        self._socket = ShowSocket(socket_url(base_url, show_id), passes, device="phone", ssl=own_tls(base_url))
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._listening = asyncio.create_task(self._listen(), name=f"player-{self.name}")

    async def ready(self) -> None:
        """Return once she is in the room."""
        await self._socket.send(React("heart"))

    async def aclose(self) -> None:
        await self._socket.aclose()
        await end([self._listening])

    # --- what she can do --------------------------------------------------------------------------------------------

    async def tap(self, deal_id: str, *, wait: bool = False) -> Hold | None:
        """Reserve one unit; None where she was refused (then `refused` says why) or sent away."""
        began, rid = time.monotonic(), new_rid()
        while True:
            hold, self.refused = await self._tap_once(deal_id, wait, rid)
            late = time.monotonic() - began > _TAP_PATIENCE_SECONDS
            if self.refused not in (R.BUSY, R.UNAVAILABLE) or late:
                break
            await asyncio.sleep(_TAP_AGAIN_SECONDS)
        self.slowest_ms = max(self.slowest_ms, round((time.monotonic() - began) * 1000))
        return hold

    async def _tap_once(self, deal_id: str, wait: bool, rid: str) -> tuple[Hold | None, R | None]:
        try:
            hold = await self._socket.reserve([(deal_id, 1)], wait=wait, rid=rid)
        except Refused as refused:
            return None, refused.why
        except Closed:
            return None, None
        self._keep(hold)
        return hold, None

    async def give_up(self, rid: str) -> None:
        with contextlib.suppress(Refused, Closed):
            self._keep(await self._socket.release(rid))

    async def take_offer(self, rid: str) -> None:
        with contextlib.suppress(Refused, Closed):
            self._keep(await self._socket.accept(rid))

    async def say(self, text: str) -> None:
        with contextlib.suppress(Refused, Closed):
            await self._socket.say(text)

    async def heart(self) -> None:
        await self._socket.send(React("heart"))

    async def check_out(self, show_id: str, rid: str, counter_id: str) -> str:
        """Begin to pay, to be collected at a counter; the reference of the payment, or "" where she was refused."""
        body = {
            "show_id": show_id,
            "rid": rid,
            "delivery": "pickup",
            "pickup_location_id": counter_id,
            "contact_name": self.name,
            "contact": "simulated@demo.example",
        }
        try:
            async with Api(self._base_url, await self._passes(), verify=False) as api:
                answer: Any = await api.post("/api/checkouts", body)
        except Refused as refused:
            log.info("player_refused", at="checkout", number=refused.why.value.number)
            return ""
        return str(answer["pay_url"]).rstrip("/").rpartition("/")[2]

    async def pay(self, reference: str) -> None:
        """Press "pay" on the test provider's page; its webhook does the rest."""
        if reference:
            with contextlib.suppress(Refused):
                async with Api(self._base_url, verify=False) as api:
                    await api.post(f"/api/pay/test/{reference}/pay")

    async def until_offered(self, rid: str, timeout_seconds: float) -> bool:
        """True once the unit of this place in line is offered to her."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self.holds.get(rid) is None or self.holds[rid].state == "waiting":
                    self._changed.clear()
                    await self._changed.wait()
        return rid in self.holds and self.holds[rid].state == "offered"

    async def let_go_of_all(self) -> None:
        for hold in list(self.holds.values()):
            if hold.state in ("waiting", "offered", "held"):
                await self.give_up(hold.rid)

    # --- what she hears ---------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            async for message in self._socket:
                match message:
                    case Own(hold=Hold() as hold):
                        self._keep(hold)
                    case Welcome(holds=holds):
                        for hold in holds:
                            self._keep(hold)
                        if message.snapshot is not None:
                            self._hear(message.snapshot.levels)
                    case Levels(deals=levels):
                        self._hear(levels)
        except Closed as closed:
            log.warning("player_sent_away", code=closed.code)

    def _hear(self, levels: dict[str, Level]) -> None:
        if self._on_levels is not None:
            self._on_levels(levels)

    def _keep(self, hold: Hold) -> None:
        if hold.state in _LIVE:
            self.holds[hold.rid] = hold
        else:
            self.holds.pop(hold.rid, None)
        self._changed.set()


OnLevels = Callable[[dict[str, Level]], None]


def socket_url(base_url: str, show_id: str) -> str:
    return f"{base_url.replace('http', 'ws', 1)}/live/{show_id}"


def own_tls(base_url: str) -> ssl.SSLContext | None:
    """What TLS trusts: on loopback, our own certificate, which nobody vouches for; None for plain http."""
    if not base_url.startswith("https"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
