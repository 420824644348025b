"""What every round and every crowd plays on: the live show, the host's hands, the players, the stock they sell.

What arrives: calls of the round and the crowd, levels that one player hears. What leaves: the host's commands and
cards, over HTTP. A server that is being restarted is waited for: a command goes again under its own id. It knows
neither story nor seconds.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.asyncio import Redis

from livecommerce.client.api import Api
from livecommerce.client.socket import new_rid
from livecommerce.clock import Clock
from livecommerce.demo.players import Player
from livecommerce.demo.programme import CLIP
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Level

T = TypeVar("T")

_PATIENCE_SECONDS = 20.0
_ASK_AGAIN_SECONDS = 0.3
_HOLD_SECONDS, _PAY_SECONDS = 150, 170
_LIMIT_PER_VIEWER = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """A card of the demo: its product, its words, its prices, and how many units of which shade.

    A shade without units is not on the card. `notes` mark the card as the demo's own: what an earlier run left is
    taken away by them; a visitor's cards stay.
    """

    handle: str
    line: str
    notes: str
    price_minor: int
    was_minor: int
    units: dict[str, int]  # by the variant's label; the first is the card's first deal
    units_else: int


HERO_SHADE = "Rosewood"
HERO = Plan(
    "velvet-lip",
    "Velvet matte, eight hours, soft all day",
    "Show it in daylight first.",
    1900,
    2900,
    {HERO_SHADE: 24},
    6,
)
SERUM = Plan(
    "glow-serum",
    "Two drops, before the lips",
    "For the crowd: fifty units, one tap each.",
    3900,
    5200,
    {"30 ml": 50},
    0,
)


@dataclass(slots=True)
class Stage:
    """One per demo. `hear` is fed with the levels that one player hears."""

    base_url: str
    show_id: str
    host: Api
    admin: Api
    redis: Redis
    clock: Clock
    warehouse: str
    counters: tuple[str, ...]
    players: list[Player]
    levels: dict[str, Level] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, levels: dict[str, Level]) -> None:
        self.levels.update(levels)
        self.changed.set()

    async def command(self, **command: Any) -> None:
        """A command of the host. Raises `Refused`."""
        body = {"command_id": new_rid(), "command": command}
        await patiently(lambda: self.host.post(f"/api/staff/shows/{self.show_id}/commands", body))

    async def restart_clip(self) -> None:
        """The clip from its first second, for everybody. Raises `Refused`."""
        body = {"video": CLIP | {"restart": True}}
        await patiently(lambda: self.host.patch(f"/api/staff/shows/{self.show_id}", body))

    async def card(self, plan: Plan) -> tuple[str, dict[str, str]]:
        """A card with stock and a deal for each shade, not shown yet; (card id, label → deal id). Raises `Refused`."""
        product: Any = await patiently(lambda: self.host.get(f"/api/products/{plan.handle}"))
        deals = []
        for variant in product["variants"]:
            units = plan.units.get(variant["label"], plan.units_else)
            if units == 0:
                continue
            await self._stock_up(variant["variant_id"], units)
            deals.append(
                {
                    "variant_id": variant["variant_id"],
                    "quota": units,
                    "price_minor": plan.price_minor,
                    "was_minor": plan.was_minor,
                    "limit_per_viewer": _LIMIT_PER_VIEWER,
                    "hold_seconds": _HOLD_SECONDS,
                    "pay_seconds": _PAY_SECONDS,
                }
            )
        card = {
            "kind": "deal",
            "product_handle": plan.handle,
            "line": plan.line,
            "notes": plan.notes,
            "deals": sorted(deals, key=lambda deal: deal["variant_id"] != _first(product, plan)),
        }
        made: Any = await patiently(lambda: self.host.post(f"/api/staff/shows/{self.show_id}/cards", card))
        return str(made["card_id"]), {deal["label"]: str(deal["deal_id"]) for deal in made["deals"]}

    async def clear_table(self, plan: Plan) -> None:
        """Close the deals of this plan's cards and take the cards away; those on which somebody still pays stay."""
        show: Any = await patiently(lambda: self.host.get(f"/api/staff/shows/{self.show_id}"))
        for card in show["cards"]:
            if card["notes"] == plan.notes:
                await self._take_away(card, on_air=show["on_air"] == card["card_id"])

    async def _take_away(self, card: dict[str, Any], on_air: bool) -> None:
        with contextlib.suppress(Refused):
            for deal in card["deals"]:
                if deal["status"] in ("announced", "open"):
                    await self.command(do="close_deal", deal_id=deal["deal_id"])
            if on_air:
                await self.command(do="hide_card", card_id=card["card_id"])
            path = f"/api/staff/shows/{self.show_id}/cards/{card['card_id']}"
            await patiently(lambda: self.host.delete(path))

    async def _stock_up(self, variant_id: str, units: int) -> None:
        change = {"move_id": new_rid(), "variant_id": variant_id, "location_id": self.warehouse, "delta": units}
        await patiently(lambda: self.admin.post("/api/staff/stock", change))


def _first(product: dict[str, Any], plan: Plan) -> str:
    """The variant whose deal stands first on the card."""
    named = [variant for variant in product["variants"] if variant["label"] in plan.units]
    return str((named or product["variants"])[0]["variant_id"])


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The call's answer; a server that is away is asked again for a while. What is not safe to send twice, a new card,
    may then be there twice: `clear_table` takes both."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except Refused as refused:
            if refused.why not in (R.UNAVAILABLE, R.BUSY) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
