"""The demo's programme: one show on air, and one to come in each of the three corners, ready to go live.

What arrives: the host's API, the admin's for stock. What leaves: the id of the live show. Shows that are there already
stay as they are; a show that somebody ended in the console is followed by a new one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from livecommerce.client.api import Api
from livecommerce.client.socket import new_rid

LIVE_TITLE = "Velvet Lip: the new reds"
CLIP: dict[str, Any] = {
    "kind": "file",
    "url": "/demo/media/clip.mp4",
    "alternates": ["/demo/media/clip.webm"],
    "poster": "/demo/media/poster.webp",
    "loop": True,
}
_LAUNCH_AFTER_MS = 600_000


@dataclass(frozen=True, slots=True)
class Offer:
    """A deal of a card to come: (product, label of the variant, "" for its only one), price, units."""

    handle: str
    label: str
    price_minor: int
    units: int


@dataclass(frozen=True, slots=True)
class ToCome:
    """A show to come, with its card and, where it is for invited guests, the places of its invitation."""

    corner: str
    title: str
    about: str
    days: int
    card: dict[str, Any]
    offers: tuple[Offer, ...]
    places: int = 0
    settings: dict[str, Any] = field(default_factory=dict)


TO_COME: tuple[ToCome, ...] = (
    ToCome(
        "cloud_class",
        "Cloud Class: an evening face in ten minutes",
        "Four steps, one brush. Ask while she works; the questions most of you want are answered first.",
        2,
        {
            "kind": "deal",
            "product_handle": "silk-cleanser",
            "line": "The step before the first step",
            "notes": "Show it in the chapter on skin, not before.",
        },
        (Offer("silk-cleanser", "", 2600, 40),),
        settings={
            "chapters": [
                {"at_seconds": 0, "title": "Skin"},
                {"at_seconds": 150, "title": "Eyes"},
                {"at_seconds": 360, "title": "Lips"},
                {"at_seconds": 540, "title": "Your questions"},
            ]
        },
    ),
    ToCome(
        "family_day",
        "Family Day: the Evening Ritual",
        "For invited guests: three favourites as one set, all or nothing, at the members' price.",
        4,
        {
            "kind": "bundle",
            "title": "Evening Ritual",
            "line": "Velvet Lip, Glow Serum, Silk Cleanser: all three, or none",
            "notes": "One tap reserves all three. If one is gone, none is taken.",
        },
        (
            Offer("velvet-lip", "Rosewood", 1900, 30),
            Offer("glow-serum", "30 ml", 3900, 30),
            Offer("silk-cleanser", "", 2400, 30),
        ),
        places=40,
    ),
    ToCome(
        "new_product_day",
        "New Product Day: Nuit d'Iris",
        "A fragrance nobody has smelled yet. It shows itself at the launch instant, for everyone at once.",
        6,
        {
            "kind": "deal",
            "product_handle": "nuit-diris",
            "line": "Iris, suede, a violet at midnight",
            "notes": "Nobody sees this card before the launch instant, not even by its address.",
            "hidden_until_launch": True,
        },
        (Offer("nuit-diris", "50 ml", 8400, 60),),
    ),
)


async def is_on(host: Api, show_id: str) -> bool:
    """True while this show is live, or interrupted by its host. Raises `Refused`."""
    shows: Any = await host.get("/api/staff/shows")
    return any(show["show_id"] == show_id for show in shows["live"])


async def live_show(host: Api, now: datetime) -> str:
    """The show on air; one that was interrupted goes on. Raises `Refused` while the server is not up."""
    shows: Any = await host.get("/api/staff/shows")
    for show in shows["live"]:
        if show["title"] == LIVE_TITLE:
            if show["status"] == "interrupted":
                await _command(host, show["show_id"], {"do": "go_live"})
            return str(show["show_id"])
    made: Any = await host.post(
        "/api/staff/shows",
        {
            "title": LIVE_TITLE,
            "corner": "flash_sale",
            "about": "Twenty-four units of Rosewood, a first-hour price, and a host who answers.",
            "scheduled_at_ms": _ms(now + timedelta(seconds=30)),
            "video": CLIP,
        },
    )
    await _command(host, made["show_id"], {"do": "go_live"})
    return str(made["show_id"])


async def demo_shows(host: Api, admin: Api, warehouse_id: str, now: datetime) -> None:
    """The shows to come, each corner once, each with its card and the stock that the card needs."""
    shows: Any = await host.get("/api/staff/shows")
    there = {show["title"] for show in (*shows["upcoming"], *shows["live"], *shows["past"])}
    evening = now.replace(hour=18, minute=0, second=0, microsecond=0)
    for plan in TO_COME:
        if plan.title not in there:
            await _make(host, admin, warehouse_id, plan, _ms(evening + timedelta(days=plan.days)))


async def _make(host: Api, admin: Api, warehouse_id: str, plan: ToCome, begins_ms: int) -> None:
    new: dict[str, Any] = {
        "corner": plan.corner,
        "title": plan.title,
        "about": plan.about,
        "scheduled_at_ms": begins_ms,
        "corner_settings": plan.settings,
        "video": CLIP,
    }
    if plan.corner == "new_product_day":
        new["launch_at_ms"] = begins_ms + _LAUNCH_AFTER_MS
    show: Any = await host.post("/api/staff/shows", new)
    deals = [await _deal(host, admin, warehouse_id, offer) for offer in plan.offers]
    await host.post(f"/api/staff/shows/{show['show_id']}/cards", plan.card | {"deals": deals})
    if plan.places:
        invitation = {"place_limit": plan.places, "label": "Regulars of the counter"}
        await host.post(f"/api/staff/shows/{show['show_id']}/invitations", invitation)


async def _deal(host: Api, admin: Api, warehouse_id: str, offer: Offer) -> dict[str, Any]:
    product: Any = await host.get(f"/api/products/{offer.handle}")
    variants = product["variants"]
    variant = next((one for one in variants if one["label"] == offer.label), variants[0])
    stock = {
        "move_id": new_rid(),
        "variant_id": variant["variant_id"],
        "location_id": warehouse_id,
        "delta": offer.units,
    }
    await admin.post("/api/staff/stock", stock)
    return {
        "variant_id": variant["variant_id"],
        "quota": offer.units,
        "price_minor": offer.price_minor,
        "was_minor": variant["price_minor"],
    }


async def _command(host: Api, show_id: str, command: dict[str, Any]) -> None:
    await host.post(f"/api/staff/shows/{show_id}/commands", {"command_id": new_rid(), "command": command})


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
