"""Offers at their moments: what a viewer is offered when something sold out, came back, was paid or is about to close.

    rules of the merchant, in their order → the house's own order for what sold out → one offer, or none

What arrives: the moment and what it is about, the show's cards and numbers as they are in memory, the rules; then, for
each person, the little that differs between people. What leaves: an `OfferFacts`, or None. Pure: `options_of` is
worked out once for everybody at the same moment, `choose` once per person. Offers never set anything aside: who takes
one reserves like everybody, under the deal's own limit. It knows no storage and no socket.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import (
    CardFacts,
    CounterFacts,
    DealFacts,
    Level,
    OfferFacts,
    OfferKind,
    OfferMoment,
)

OfKind = Literal["any", "card", "product", "variant", "tag"]
HOUSE = ""  # the rule id of the house's own order
AT_MOST_MAX = 20
RULES_MAX = 50

# Which offers make sense at which moment. Where she was told "sold out" she may wait or go to her counter; after that
# there is nothing to wait for.
_GOODS: tuple[OfferKind, ...] = ("card", "product", "variant", "tag")
KINDS: Mapping[OfferMoment, tuple[OfferKind, ...]] = {
    "sold_out": ("another_shade", "counter", "wait_list", "like_it", "cheaper", *_GOODS),
    "released": ("cheaper", "another_shade", "like_it", *_GOODS),
    "paid": ("like_it", "another_shade", "most_left", *_GOODS),
    "closing_soon": ("most_left", *_GOODS),
}
# What the house offers on "sold out" where no rule of the merchant does, in this order.
LADDER: tuple[OfferKind, ...] = ("another_shade", "counter", "wait_list", "like_it")

Words = Annotated[dict[Literal["en", "fr", "zh-Hans"], Annotated[str, Meta(max_length=160)]], Meta(max_length=3)]


class NewOfferRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as the merchant says it: when (of) this happens, offer that, saying these words, so often per viewer.

    `everywhere`: in all shows of the shop, for managers. A value names a card, a product (its handle), a variant or a
    tag, as its kind says.
    """

    moment: OfferMoment
    offer_kind: OfferKind
    offer_value: Annotated[str, Meta(max_length=255)] = ""
    of_kind: OfKind = "any"
    of_value: Annotated[str, Meta(max_length=255)] = ""
    words: Words = {}
    at_most: Annotated[int, Meta(ge=1, le=AT_MOST_MAX)] = 1
    everywhere: bool = False


class OfferRule(msgspec.Struct, frozen=True):
    """A rule that stands."""

    rule_id: str
    moment: OfferMoment
    offer_kind: OfferKind
    offer_value: str
    of_kind: OfKind
    of_value: str
    words: dict[str, str]
    at_most: int
    everywhere: bool


def refuse_shape(rule: NewOfferRule) -> None:
    """Refuses OFFER_RULE for a sentence without sense; that what it names exists is asked of the ledger."""
    if rule.offer_kind not in KINDS[rule.moment]:
        raise Refused(R.OFFER_RULE, why="this cannot be offered at that moment")
    if (rule.offer_kind in _GOODS) != bool(rule.offer_value):
        raise Refused(R.OFFER_RULE, why="what is offered needs a name, and only where it is a thing")
    if (rule.of_kind == "any") == bool(rule.of_value):
        raise Refused(R.OFFER_RULE, why="what it is about needs a name, unless it is anything")
    if rule.everywhere and "card" in (rule.of_kind, rule.offer_kind):
        raise Refused(R.OFFER_RULE, why="a card belongs to one show; name its product")


# --- the facts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Goods:
    """What the catalogue says of a deal's product."""

    handle: str = ""
    type: str = ""
    tags: frozenset[str] = frozenset()


PLAIN = Goods()


@dataclass(frozen=True, slots=True)
class Scene:
    """The show at one instant, from memory: every deal with its card, its numbers and its goods, in rundown order."""

    deals: Mapping[str, tuple[CardFacts, DealFacts]]
    levels: Mapping[str, Level]
    goods: Mapping[str, Goods]
    now_ms: int

    def available(self, deal_id: str) -> int:
        """Units that a tap would get now; 0 for a deal that is not open, or still to be drawn."""
        _, deal = self.deals[deal_id]
        level = self.levels.get(deal_id)
        is_open = deal.status == "open" and (deal.closes_at_ms is None or deal.closes_at_ms > self.now_ms)
        is_undrawn = deal.draw is not None and deal.draw.drawn_at_ms is None
        return level.available if is_open and not is_undrawn and level is not None else 0

    def goods_of(self, deal_id: str) -> Goods:
        """The deal's goods; where the catalogue was not read, what its card says."""
        known = self.goods.get(deal_id)
        if known is not None:
            return known
        card, _ = self.deals[deal_id]
        return Goods(card.product_handle) if card.product_handle else PLAIN


@dataclass(frozen=True, slots=True)
class Person:
    """What differs between two people at the same moment."""

    has: frozenset[str] = frozenset()  # deals that are hers for good
    given: Mapping[str, int] = field(default_factory=dict)  # rule id → how often she heard it
    counter: CounterFacts | None = None  # her shop's counter, with what it has now


@dataclass(frozen=True, slots=True)
class Option:
    """One possible offer, the same for everybody; whether it is hers is `choose`."""

    rule_id: str
    kind: OfferKind
    deal_ids: tuple[str, ...] = ()
    wait: bool = False
    place: int | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    at_most: int = 1
    until_ms: int | None = None

    def reason(self, moment: OfferMoment, about: tuple[str, ...]) -> str:
        """Why it is made, as its id says it: a rule's own id, or what the house's order is about."""
        return self.rule_id or f"{moment}/{self.kind}/{' '.join(about)}"


# --- the decision -------------------------------------------------------------------------------------------------


def options_of(
    moment: OfferMoment, about: tuple[str, ...], rules: Sequence[OfferRule], scene: Scene
) -> tuple[Option, ...]:
    """Everything that could be offered now, best first. Empty where the deals are not known here."""
    if not about or any(deal_id not in scene.deals for deal_id in about):
        return ()
    options = [
        option
        for rule in rules
        if rule.moment == moment and _is_about(rule, about, scene)
        for option in _resolve(rule.offer_kind, rule.offer_value, moment, about, scene, rule)
    ]
    if moment == "sold_out":
        options += [option for kind in LADDER for option in _resolve(kind, "", moment, about, scene, None)]
    return tuple(options)


def choose(options: Sequence[Option], person: Person) -> Option | None:
    """The first that is for her: not heard too often, not hers already, and with a counter where it is one."""
    for option in options:
        if option.rule_id != HOUSE and person.given.get(option.rule_id, 0) >= option.at_most:
            continue
        if option.kind == "counter" and (person.counter is None or person.counter.units < 1):
            continue
        if not option.wait and person.has.intersection(option.deal_ids):
            continue
        return option
    return None


def offer_facts(
    offer_id: str, moment: OfferMoment, about: tuple[str, ...], option: Option, person: Person
) -> OfferFacts:
    """`option` as it travels to her."""
    return OfferFacts(
        offer_id=offer_id,
        moment=moment,
        kind=option.kind,
        about_deal_id=about[0],
        deal_ids=option.deal_ids,
        wait=option.wait,
        place=option.place,
        counter=person.counter if option.kind == "counter" else None,
        words=dict(option.words),
        until_ms=option.until_ms,
    )


def _is_about(rule: OfferRule, about: tuple[str, ...], scene: Scene) -> bool:
    if rule.of_kind == "any":
        return True
    if rule.of_kind == "card":
        return any(scene.deals[deal_id][0].card_id == rule.of_value for deal_id in about)
    if rule.of_kind == "product":
        return any(scene.goods_of(deal_id).handle == rule.of_value for deal_id in about)
    if rule.of_kind == "variant":
        return any(scene.deals[deal_id][1].variant_id == rule.of_value for deal_id in about)
    return any(_tag(rule.of_value) in scene.goods_of(deal_id).tags for deal_id in about)


def _resolve(
    kind: OfferKind, value: str, moment: OfferMoment, about: tuple[str, ...], scene: Scene, rule: OfferRule | None
) -> Iterator[Option]:
    """The options that `kind` means here: none or one."""
    rule_id, words, at_most = (rule.rule_id, rule.words, rule.at_most) if rule else (HOUSE, {}, 1)
    if kind == "counter":
        if len(about) == 1 and scene.deals[about[0]][0].kind != "bundle":
            yield Option(rule_id, kind, words=words, at_most=at_most)
        return
    if kind == "wait_list":
        if (place := _place_worth_having(about, scene, asked_for=rule is not None)) is not None:
            yield Option(rule_id, kind, about, True, place, words, at_most)
        return
    deal_ids = _goods_for(kind, value, moment, about, scene)
    if deal_ids:
        closes = [deal.closes_at_ms for _, deal in map(scene.deals.__getitem__, deal_ids) if deal.closes_at_ms]
        yield Option(rule_id, kind, deal_ids, words=words, at_most=at_most, until_ms=min(closes, default=None))


def _place_worth_having(about: tuple[str, ...], scene: Scene, asked_for: bool) -> int | None:
    """Her place in the line. The house offers one only while more units may come back than people wait for them."""
    if len(about) != 1:
        return None
    card, deal = scene.deals[about[0]]
    level = scene.levels.get(about[0])
    if level is None or card.kind == "bundle" or deal.status != "open":
        return None
    may_come_back = level.held + level.paying
    if not (may_come_back > 0 if asked_for else may_come_back > level.waiting):
        return None
    return level.waiting + 1


def _goods_for(
    kind: OfferKind, value: str, moment: OfferMoment, about: tuple[str, ...], scene: Scene
) -> tuple[str, ...]:
    """The deals offered, with units left in each; empty where there is nothing."""
    first_card, first = scene.deals[about[0]]
    if kind == "card" and (whole := _whole_bundle(value, scene)):
        return whole
    in_stock = [
        (card, deal)
        for deal_id, (card, deal) in scene.deals.items()
        if card.kind != "bundle" and scene.available(deal_id) > 0
    ]
    if kind == "most_left" and moment == "closing_soon":
        return about if all(scene.available(deal_id) > 0 for deal_id in about) else ()
    others = [(card, deal) for card, deal in in_stock if deal.deal_id not in about]
    if kind == "another_shade":
        found = [deal for card, deal in others if card.card_id == first_card.card_id]
    elif kind == "cheaper":
        same = [deal for card, deal in others if _is_sibling(card, deal, first_card, first, scene)]
        cheaper = [deal for deal in same if deal.price_minor < first.price_minor]
        found = sorted(cheaper, key=lambda deal: -deal.price_minor)  # the smallest step down
    elif kind == "like_it":
        found = _like(first_card, first, others, scene)
    elif kind == "most_left":
        elsewhere = [deal for card, deal in others if card.card_id != first_card.card_id]
        found = sorted(elsewhere, key=lambda deal: -scene.available(deal.deal_id))
    elif kind == "card":
        found = [deal for card, deal in others if card.card_id == value]
    elif kind == "product":
        found = [deal for _, deal in others if scene.goods_of(deal.deal_id).handle == value]
    elif kind == "variant":
        found = [deal for _, deal in others if deal.variant_id == value]
    else:
        found = [deal for _, deal in others if _tag(value) in scene.goods_of(deal.deal_id).tags]
    return (found[0].deal_id,) if found else ()


def _whole_bundle(card_id: str, scene: Scene) -> tuple[str, ...]:
    parts = tuple(
        deal_id for deal_id, (card, _) in scene.deals.items() if card.card_id == card_id and card.kind == "bundle"
    )
    return parts if all(scene.available(deal_id) > 0 for deal_id in parts) else ()


def _is_sibling(card: CardFacts, deal: DealFacts, first_card: CardFacts, first: DealFacts, scene: Scene) -> bool:
    handle = scene.goods_of(first.deal_id).handle
    same_product = bool(handle) and scene.goods_of(deal.deal_id).handle == handle
    return card.card_id == first_card.card_id or same_product


def _like(
    first_card: CardFacts, first: DealFacts, others: Sequence[tuple[CardFacts, DealFacts]], scene: Scene
) -> list[DealFacts]:
    """Deals of another product of the same type or with a tag in common: most alike first, then in rundown order."""
    wanted = scene.goods_of(first.deal_id)
    alike: list[tuple[int, DealFacts]] = []
    for card, deal in others:
        goods = scene.goods_of(deal.deal_id)
        if card.card_id == first_card.card_id or (wanted.handle and goods.handle == wanted.handle):
            continue
        # One type says more than any one tag: "Lipstick" is what it is, "new" is not.
        score = 2 * bool(wanted.type and goods.type == wanted.type) + len(wanted.tags & goods.tags)
        if score:
            alike.append((score, deal))
    return [deal for _, deal in sorted(alike, key=lambda row: -row[0])]


def _tag(text: str) -> str:
    return text.strip().casefold()
