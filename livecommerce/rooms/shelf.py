"""The cards of one show as its room last heard them: by deal, by claim code, with the status of each deal.

What arrives: a snapshot's cards, then the show's events in order. What leaves: what a line of chat claims, which codes
are on air, and the deals with their cards for a decision about offers. It knows no stock and no people.
"""

from collections.abc import Iterable

import msgspec

from livecommerce.protocol.facts import (
    AnyEvent,
    CardFacts,
    CardHidden,
    CardListed,
    CardShown,
    ClaimRules,
    DealAnnounced,
    DealClosed,
    DealDrawn,
    DealFacts,
    DealOpened,
    ShowChanged,
    ShowFacts,
)
from livecommerce.shows.claims import Claim, ClaimBook, Unclear

CODES_TOLD_MAX = 8


class Shelf:
    """`start` at a snapshot, then `take` each event."""

    def __init__(self) -> None:
        self.rules = ClaimRules()
        self.on_air = ""
        self.version = 0  # grows with every change of a card, so that what was made of them can be made anew
        self.deals: dict[str, tuple[CardFacts, DealFacts]] = {}
        self._cards: dict[str, CardFacts] = {}
        self._book: ClaimBook | None = None
        self._book_version = 0

    def start(self, show: ShowFacts, cards: Iterable[CardFacts], on_air: str) -> None:
        """Begin at a snapshot."""
        self.rules, self.on_air = show.claims, on_air
        self._cards = {card.card_id: card for card in cards}
        self._changed()

    def take(self, event: AnyEvent) -> None:
        """The next event of the show."""
        match event:
            case CardShown(card):
                self.on_air = card.card_id
                self._put(card)
            case CardListed(card):
                self._put(card)
            case CardHidden(card_id):
                self.on_air = "" if self.on_air == card_id else self.on_air
            case DealAnnounced(deal_id, opens_at_ms, draw):
                self._set(deal_id, status="announced", opens_at_ms=opens_at_ms, draw=draw)
            case DealOpened(deal_id, closes_at_ms, draw):
                self._set(deal_id, status="open", closes_at_ms=closes_at_ms, draw=draw)
            case DealDrawn(deal_id, draw):
                self._set(deal_id, draw=draw)
            case DealClosed(deal_id):
                self._set(deal_id, status="closed")
            case ShowChanged(show):
                self.rules = show.claims
                self.version += 1

    def read(self, line: str) -> Claim | Unclear | None:
        """What a line of chat claims; None where claims are off or it is no claim."""
        if not self.rules.on:
            return None
        if self._book is None or self._book_version != self.version:
            self._book = ClaimBook(self.rules.keywords, self._cards.values())
            self._book_version = self.version
        return self._book.read(line)

    def codes_now(self) -> tuple[str, ...]:
        """The codes that can be claimed, that of the picture first."""
        cards = [card for card in self._cards.values() if any(deal.status == "open" for deal in card.deals)]
        cards.sort(key=lambda card: card.card_id != self.on_air)
        return tuple(card.code for card in cards if card.code)[:CODES_TOLD_MAX]

    def name(self, deal_ids: Iterable[str]) -> str:
        """What people call these deals: "Velvet Lip, Rosewood", or a bundle by its title."""
        known = [self.deals[deal_id] for deal_id in deal_ids if deal_id in self.deals]
        if not known:
            return ""
        card, deal = known[0]
        return card.title if len(known) > 1 or not deal.label else f"{card.title}, {deal.label}"

    def labels(self, deal_ids: Iterable[str]) -> tuple[str, ...]:
        """What tells deals of one card apart."""
        return tuple(self.deals[deal_id][1].label or self.name((deal_id,)) for deal_id in deal_ids)

    def _put(self, card: CardFacts) -> None:
        self._cards[card.card_id] = card
        self._changed()

    def _set(self, deal_id: str, **values: object) -> None:
        if deal_id not in self.deals:
            return
        card, _ = self.deals[deal_id]
        deals = tuple(
            msgspec.structs.replace(deal, **values) if deal.deal_id == deal_id else deal for deal in card.deals
        )
        self._put(msgspec.structs.replace(card, deals=deals))

    def _changed(self) -> None:
        self.deals = {deal.deal_id: (card, deal) for card in self._cards.values() for deal in card.deals}
        self.version += 1
