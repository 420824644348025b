"""Cards of the rundown: added, changed, put in order, taken out, while nothing of them was sold.

What arrives: plans of staff inside a transaction that holds the show's lock. What leaves: rows, or a refusal with
nothing written. Stock is not touched here: a draft deal is only a wish, its units stay in the pool until it is
announced or opened (`deals.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.facts import VariantFacts
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.tables import cards, deals, locations, products
from livecommerce.protocol.facts import DealFacts
from livecommerce.settings import Settings
from livecommerce.shows import corners
from livecommerce.shows.codes import next_code
from livecommerce.shows.lifecycle import deal_moved
from livecommerce.shows.plans import (
    CARDS_MAX,
    DRAW_SECONDS_DEFAULT,
    DRAW_SECONDS_MAX,
    DRAW_SECONDS_MIN,
    LIMIT_MAX,
    QUOTA_MAX,
    EditCard,
    EditDeal,
    NewCard,
    NewDeal,
    StaffCard,
)
from livecommerce.shows.state import PlannedCard, ShowState

PRICE_MINOR_MAX = 100_000_000_000
HOLD_SECONDS_MAX = 7 * 86_400
HOLD_CAP_SECONDS_MAX = 30 * 86_400
# What one person may hold in all without paying, unless the deal says otherwise: room to let go and think again, none
# to keep a unit for the whole show.
HOLDS_OF_ONE_PERSON = 3


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a plan is completed from: the variants it names, where stock lies by default, the shop's settings."""

    variants: dict[str, VariantFacts]
    default_location_id: str
    settings: Settings


async def add_card(connection: AsyncConnection, state: ShowState, new: NewCard, around: Surroundings) -> str:
    """A new card at the end of the rundown; its id.

    Refuses SHOW_OVER, TOO_MANY (200 cards), what the corner refuses, NOT_FOUND (product, variant, location),
    MALFORMED (a kind without what it needs), PRICE, QUANTITY.
    """
    refuse_over(state)
    if len(state.cards) >= CARDS_MAX:
        raise Refused(R.TOO_MANY)
    corners.of(state.facts.corner).refuse_card(state.facts, new.hidden_until_launch)
    _refuse_shape(new)
    rows = [_deal_row(state, deal, around) for deal in new.deals]
    product_id, title = await _product(connection, new, around)
    card_id = new_id("crd")
    given = (await connection.execute(select(cards.c.code).where(cards.c.show_id == state.facts.show_id))).scalars()
    await connection.execute(
        insert(cards).values(
            id=card_id,
            code=next_code(given),
            show_id=state.facts.show_id,
            position=len(state.cards) + 1,
            kind=new.kind,
            title=new.title or title,
            line=new.line,
            notes=new.notes,
            product_id=product_id,
            bundle_minor=sum(row["price_minor"] for row in rows) if new.kind == "bundle" else None,
            hidden_until_launch=new.hidden_until_launch,
        )
    )
    for place, row in enumerate(rows, 1):
        await _must_be_location(connection, row["location_id"])
        await connection.execute(insert(deals).values({**row, "card_id": card_id, "position": place}))
    return card_id


async def edit_card(connection: AsyncConnection, state: ShowState, card_id: str, edit: EditCard) -> None:
    """The card with its changes. Refuses SHOW_OVER, NOT_FOUND, UNKNOWN_DEAL, WRONG_STATE for a deal that has stock,
    PRICE, QUANTITY, and hiding a card that was already seen."""
    refuse_over(state)
    card = card_of(state, card_id)
    words = {
        name: value
        for name in ("title", "line", "notes", "hidden_until_launch")
        if (value := getattr(edit, name)) is not UNSET
    }
    if words.get("hidden_until_launch") and not card.hidden_until_launch:
        corners.of(state.facts.corner).refuse_card(state.facts, True)
        if card.state != "planned" or any(deal.status != "draft" for deal in card.facts.deals):
            raise Refused(R.WRONG_STATE, state="showing this card")
    prices = {deal.deal_id: deal.price_minor for deal in card.facts.deals}
    for change in edit.deals:
        values = await _deal_edit(connection, card, change)
        prices[change.deal_id] = values.get("price_minor", prices[change.deal_id])
        if values:
            await connection.execute(update(deals).where(deals.c.id == change.deal_id).values(values))
    if card.facts.kind == "bundle":
        words["bundle_minor"] = sum(prices.values())
    if words:
        await connection.execute(update(cards).where(cards.c.id == card_id).values(words))


async def remove_card(connection: AsyncConnection, state: ShowState, card_id: str) -> None:
    """Take a card out of the rundown; its deals, orders and events stay in the log. Refuses NOT_FOUND; WRONG_STATE
    while it is on the picture or a deal of it is announced or open."""
    refuse_over(state)
    card = card_of(state, card_id)
    if card_id == state.on_air or any(deal.status in ("announced", "open") for deal in card.facts.deals):
        raise Refused(R.WRONG_STATE, state="showing this card")
    await connection.execute(update(cards).where(cards.c.id == card_id).values(removed=True))
    drafts = update(deals).where(deals.c.card_id == card_id, deals.c.status == "draft")
    await connection.execute(drafts.values(status=deal_moved("draft", "drop")))


async def reorder_cards(connection: AsyncConnection, state: ShowState, card_ids: Sequence[str]) -> None:
    """The rundown in this order. Refuses CONFLICT where the list is not exactly the show's cards."""
    refuse_over(state)
    if sorted(card_ids) != sorted(card.facts.card_id for card in state.cards):
        raise Refused(R.CONFLICT)
    for place, card_id in enumerate(card_ids, 1):
        await connection.execute(update(cards).where(cards.c.id == card_id).values(position=place))


async def copy_cards(connection: AsyncConnection, from_show_id: str, to_show_id: str) -> None:
    """All cards and deals of a show as drafts of another: no instants, no stock, nothing shown."""
    query = select(cards).where(cards.c.show_id == from_show_id, cards.c.removed.is_(False))
    for card in (await connection.execute(query.order_by(cards.c.position))).all():
        copy_id = new_id("crd")
        fresh = {"id": copy_id, "show_id": to_show_id, "state": "planned"}
        await connection.execute(insert(cards).values({**card._asdict(), **fresh}))
        rows = (await connection.execute(select(deals).where(deals.c.card_id == card.id))).all()
        for deal in rows:
            reset = {
                "id": new_id("dea"), "show_id": to_show_id, "card_id": copy_id, "status": "draft", "allotted": 0,
                "paying": 0, "sold": 0, "opens_at_ms": None, "closes_at_ms": None, "pulled": "",
            }  # fmt: skip
            await connection.execute(insert(deals).values({**deal._asdict(), **reset}))


def card_of(state: ShowState, card_id: str) -> PlannedCard:
    """Refuses NOT_FOUND."""
    card = state.card(card_id)
    if card is None:
        raise Refused(R.NOT_FOUND, what="card")
    return card


def staff_card(card: PlannedCard) -> StaffCard:
    public = {name: getattr(card.facts, name) for name in card.facts.__struct_fields__}
    return StaffCard(**public, notes=card.notes, state=card.state, hidden_until_launch=card.hidden_until_launch)


def refuse_over(state: ShowState) -> None:
    """Refuses SHOW_OVER: what has ended is a record."""
    if state.facts.status in ("ended", "cancelled"):
        raise Refused(R.SHOW_OVER)


# A set is taken whole or not at all; two draws cannot promise that.
_NO_DRAWN_BUNDLE = "a bundle of deals that are first come"


# --- checks -------------------------------------------------------------------------------------------------------


def _refuse_shape(new: NewCard) -> None:
    if new.kind == "product" and (new.deals or not new.product_handle):
        raise Refused(R.MALFORMED, expected="a product card with product_handle and without deals")
    if new.kind == "deal" and not new.deals:
        raise Refused(R.MALFORMED, expected="a deal card with at least one deal")
    if new.kind == "bundle" and not 2 <= len(new.deals) <= 8:
        raise Refused(R.MALFORMED, expected="a bundle card with 2 to 8 deals")
    if new.kind == "bundle" and any(deal.fairness == "draw" for deal in new.deals):
        raise Refused(R.MALFORMED, expected=_NO_DRAWN_BUNDLE)
    named = [deal.variant_id for deal in new.deals]
    if len(set(named)) != len(named):
        raise Refused(R.MALFORMED, expected="each variant once on a card")


def _deal_row(state: ShowState, new: NewDeal, around: Surroundings) -> dict[str, Any]:
    variant = around.variants.get(new.variant_id)
    if variant is None or variant.retired:
        raise Refused(R.NOT_FOUND, what="variant")
    corner = corners.of(state.facts.corner)
    settings = around.settings
    hold_seconds = _said(new.hold_seconds, corner.hold_seconds or settings.hold_seconds_default)
    row = {
        "id": new_id("dea"),
        "show_id": state.facts.show_id,
        "variant_id": new.variant_id,
        "location_id": new.location_id or around.default_location_id,
        "label": new.label or variant.label,
        "price_minor": variant.price_minor if new.price_minor is None else new.price_minor,
        "was_minor": new.was_minor,
        "quota": new.quota,
        # A nought was said, and is refused; only what was left out is filled in.
        "limit_per_viewer": _said(new.limit_per_viewer, corner.limit_per_viewer),
        "hold_seconds": hold_seconds,
        "pay_seconds": _said(new.pay_seconds, settings.pay_seconds_default),
        "opens_at_ms": new.opens_at_ms,
        "closes_at_ms": new.closes_at_ms,
        "level": new.level,
        "head_wants_more": new.head_wants_more,
        "limit_by": new.limit_by,
        "address_cap": new.address_cap,
        "fairness": new.fairness,
        "draw_seconds": _said(new.draw_seconds, DRAW_SECONDS_DEFAULT) if new.fairness == "draw" else 0,
    }
    row["hold_cap_seconds"] = _said(new.hold_cap_seconds, HOLDS_OF_ONE_PERSON * hold_seconds)
    _refuse_numbers(row)
    return row


def _said(said: int | None, otherwise: int) -> int:
    return otherwise if said is None else said


async def _deal_edit(connection: AsyncConnection, card: PlannedCard, edit: EditDeal) -> dict[str, Any]:
    deal = next((deal for deal in card.facts.deals if deal.deal_id == edit.deal_id), None)
    if deal is None:
        raise Refused(R.UNKNOWN_DEAL)
    values = {
        name: value
        for name in edit.__struct_fields__
        if name != "deal_id" and (value := getattr(edit, name)) is not UNSET
    }
    if deal.status != "draft":
        raise Refused(R.WRONG_STATE, state="selling this deal")
    if "hold_seconds" in values and deal.hold_cap_seconds == HOLDS_OF_ONE_PERSON * deal.hold_seconds:
        # The cap was nobody's wish: it follows the hold it was made from.
        values.setdefault("hold_cap_seconds", HOLDS_OF_ONE_PERSON * values["hold_seconds"])
    now = {**_numbers(deal), **values}
    if card.facts.kind == "bundle" and now["fairness"] == "draw":
        raise Refused(R.MALFORMED, expected=_NO_DRAWN_BUNDLE)
    if "fairness" in values or "draw_seconds" in values:
        # Only a deal that is drawn has a window; one that becomes drawn has the usual one where none is said.
        window = values.get("draw_seconds", now["draw_seconds"] or DRAW_SECONDS_DEFAULT)
        now["draw_seconds"] = values["draw_seconds"] = window if now["fairness"] == "draw" else 0
    _refuse_numbers(now)
    if "location_id" in values:
        await _must_be_location(connection, values["location_id"])
    return values


def _numbers(deal: DealFacts) -> dict[str, Any]:
    names = (
        "price_minor", "was_minor", "quota", "limit_per_viewer", "hold_seconds", "pay_seconds", "opens_at_ms",
        "closes_at_ms", "address_cap", "hold_cap_seconds",
    )  # fmt: skip
    draw = deal.draw
    fairness = {"fairness": "draw" if draw else "first_come", "draw_seconds": draw.window_seconds if draw else 0}
    return {**{name: getattr(deal, name) for name in names}, **fairness}


def _refuse_numbers(row: dict[str, Any]) -> None:
    price, was = row["price_minor"], row["was_minor"]
    if not 0 <= price <= PRICE_MINOR_MAX or (was is not None and not 0 <= was <= PRICE_MINOR_MAX):
        raise Refused(R.PRICE, most=PRICE_MINOR_MAX)
    if was is not None and was <= price:
        raise Refused(R.MALFORMED, expected="a was-price above the price")
    if not 1 <= row["quota"] <= QUOTA_MAX:
        raise Refused(R.QUANTITY, most=QUOTA_MAX)
    if not 1 <= row["limit_per_viewer"] <= LIMIT_MAX:
        raise Refused(R.QUANTITY, most=LIMIT_MAX)
    if not (5 <= row["hold_seconds"] <= HOLD_SECONDS_MAX and 30 <= row["pay_seconds"] <= HOLD_SECONDS_MAX):
        raise Refused(R.MALFORMED, expected="holds of 5 seconds or more, 30 or more to pay, and a week at most")
    if not 0 <= row["address_cap"] <= QUOTA_MAX:
        raise Refused(R.QUANTITY, most=QUOTA_MAX)
    if row["hold_cap_seconds"] and not row["hold_seconds"] <= row["hold_cap_seconds"] <= HOLD_CAP_SECONDS_MAX:
        raise Refused(R.MALFORMED, expected="a cap on the time held of one whole hold or more, 30 days at most, or 0")
    opens, closes = row["opens_at_ms"], row["closes_at_ms"]
    if opens is not None and closes is not None and closes - opens < 5000:
        raise Refused(R.MALFORMED, expected="a closing at least 5 seconds after the opening")
    window = row["draw_seconds"]
    if row["fairness"] == "draw" and not DRAW_SECONDS_MIN <= window <= DRAW_SECONDS_MAX:
        expected = f"a draw's window of {DRAW_SECONDS_MIN} to {DRAW_SECONDS_MAX} seconds"
        raise Refused(R.MALFORMED, expected=expected)
    if opens is not None and closes is not None and closes - opens < window * 1000 + 5000:
        raise Refused(R.MALFORMED, expected="a closing at least 5 seconds after the draw")


async def _product(connection: AsyncConnection, new: NewCard, around: Surroundings) -> tuple[str | None, str]:
    """(product id, its title). A card of several products has none of its own."""
    if new.product_handle:
        query = select(products.c.id, products.c.title).where(products.c.handle == new.product_handle.lower())
        row = (await connection.execute(query)).first()
        if row is None:
            raise Refused(R.NOT_FOUND, what="product")
        return row.id, row.title
    named = {around.variants[deal.variant_id].product_id: around.variants[deal.variant_id] for deal in new.deals}
    titles = [variant.title for variant in named.values()]
    return (next(iter(named)) if len(named) == 1 else None), " + ".join(titles)[:120]


async def _must_be_location(connection: AsyncConnection, location_id: str) -> None:
    query = select(locations.c.id).where(locations.c.id == location_id)
    if (await connection.execute(query)).first() is None:
        raise Refused(R.NOT_FOUND, what="location")
