"""Offers over HTTP: the rules of a show as staff says them, and what came of them.

What arrives: calls of staff with a settled identity. What leaves: rules and counts of `shows/offer_books.py`, or its
refusals. It decides nothing.
"""

from typing import Annotated

import msgspec

from livecommerce.errors import R
from livecommerce.gateway.api import Call, Nothing, Table
from livecommerce.people.identity import StaffRole
from livecommerce.shows.offer_books import OfferCount
from livecommerce.shows.offers import RULES_MAX, NewOfferRule, OfferRule

table = Table()

_PLANNERS: tuple[StaffRole, ...] = ("admin", "manager", "advisor")
_DESK: tuple[StaffRole, ...] = (*_PLANNERS, "moderator")


class OffersOfShow(msgspec.Struct, frozen=True):
    """The rules in force, the show's own first, and what came of them and of the house's own order in this show."""

    rules: tuple[OfferRule, ...]
    counts: tuple[OfferCount, ...]


class RuleOrder(msgspec.Struct, frozen=True):
    rule_ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=2 * RULES_MAX)]


@table.get("/api/staff/shows/{show_id}/offers", auth="staff", roles=_DESK, answer=OffersOfShow, refuses=(R.NOT_FOUND,))
async def offers_of_show(call: Call) -> OffersOfShow:
    """What is offered in a show and when, and how often it was shown and taken."""
    return OffersOfShow(*await call.parts.offers.of_show(call.the_staff(), call.path("show_id")))


@table.post(
    "/api/staff/shows/{show_id}/offers",
    auth="staff",
    roles=_PLANNERS,
    body=NewOfferRule,
    answer=OfferRule,
    refuses=(R.NOT_FOUND, R.OFFER_RULE, R.TOO_MANY),
)
async def add_offer_rule(call: Call, body: NewOfferRule) -> OfferRule:
    """A rule at the end of the list. Rooms follow it within seconds."""
    return await call.parts.offers.add(call.the_staff(), call.path("show_id"), body)


@table.put(
    "/api/staff/shows/{show_id}/offers/{rule_id}",
    auth="staff",
    roles=_PLANNERS,
    body=NewOfferRule,
    answer=OfferRule,
    refuses=(R.NOT_FOUND, R.OFFER_RULE),
)
async def change_offer_rule(call: Call, body: NewOfferRule) -> OfferRule:
    """A rule said anew, in its place; what it counted stays."""
    return await call.parts.offers.change(call.the_staff(), call.path("show_id"), call.path("rule_id"), body)


@table.post(
    "/api/staff/shows/{show_id}/offers/order",
    auth="staff",
    roles=_PLANNERS,
    body=RuleOrder,
    refuses=(R.NOT_FOUND, R.CONFLICT),
)
async def order_offer_rules(call: Call, body: RuleOrder) -> Nothing:
    """The rules in this order: the first that fits is told. Exactly the show's own, or exactly those of all shows."""
    await call.parts.offers.order(call.the_staff(), call.path("show_id"), body.rule_ids)
    return Nothing()


@table.delete("/api/staff/shows/{show_id}/offers/{rule_id}", auth="staff", roles=_PLANNERS, refuses=(R.NOT_FOUND,))
async def remove_offer_rule(call: Call) -> Nothing:
    """Take a rule away. Offers that stand on a page stay there."""
    await call.parts.offers.remove(call.the_staff(), call.path("show_id"), call.path("rule_id"))
    return Nothing()
