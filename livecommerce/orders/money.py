"""What an order costs: lines, shipping and tax, exact to the smallest coin.

What arrives: prices from the ledger and the merchant's terms, whole numbers of minor units. What leaves: priced lines
and totals that add up exactly; no float on the way. It knows no SQL and no currency: how many digits stand after the
point is `catalogue.money`.

A bundle's price is spread over its lines in proportion to their own prices by the largest remainder, so that the shares
sum to it exactly. Tax is rounded once, half up, on the sum of what is taxed; shipping is taxed where any line is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One line as it was held: `qty` units of a deal at its price, on a card."""

    deal_id: str
    card_id: str
    qty: int
    unit_minor: int
    taxable: bool = True
    ships: bool = True


@dataclass(frozen=True, slots=True)
class Bundle:
    """A card that is sold as a whole: one unit of each of its deals costs `price_minor` together."""

    deal_ids: tuple[str, ...]
    price_minor: int


@dataclass(frozen=True, slots=True)
class Terms:
    """How this merchant adds up."""

    tax_basis_points: int
    tax_included: bool
    shipping_minor: int
    shipping_free_from_minor: int  # 0: never free


@dataclass(frozen=True, slots=True)
class Totals:
    """`total = subtotal + shipping`, plus the tax where prices do not include it."""

    subtotal_minor: int
    shipping_minor: int
    tax_minor: int
    total_minor: int


def sum_up(items: Sequence[Item], lines: Sequence[int], terms: Terms, *, shipped: bool) -> Totals:
    """The sums of an order whose lines cost `lines`. `shipped` False: collected, so nothing is paid for sending."""
    subtotal = sum(lines)
    shipping = _shipping(items, subtotal, terms) if shipped else 0
    taxed = sum(line for item, line in zip(items, lines, strict=True) if item.taxable)
    if any(item.taxable for item in items):
        taxed += shipping
    tax = tax_in(taxed, terms.tax_basis_points) if terms.tax_included else tax_on(taxed, terms.tax_basis_points)
    total = subtotal + shipping + (0 if terms.tax_included else tax)
    return Totals(subtotal, shipping, tax, total)


def line_totals(items: Sequence[Item], bundles: Mapping[str, Bundle]) -> tuple[int, ...]:
    """Each line's price, `bundles` by card id: whole bundles at the bundle's price, what is over at its own."""
    result = [item.qty * item.unit_minor for item in items]
    for card_id, bundle in bundles.items():
        places = [place for place, item in enumerate(items) if item.card_id == card_id]
        sets = _whole_sets([items[place] for place in places], bundle)
        if not sets:
            continue
        shares = spread(sets * bundle.price_minor, [items[place].unit_minor for place in places])
        for place, share in zip(places, shares, strict=True):
            result[place] += share - sets * items[place].unit_minor
    return tuple(result)


def spread(amount: int, weights: Sequence[int]) -> tuple[int, ...]:
    """`amount` in whole shares in proportion to `weights` (equal where all are zero); the shares sum to `amount`.

    What is left after rounding down goes to the largest remainders, the earlier line first among equals.
    """
    weighed = list(weights) if sum(weights) else [1] * len(weights)
    whole = sum(weighed)
    shares = [amount * weight // whole for weight in weighed]
    left = amount - sum(shares)
    for place in sorted(range(len(weighed)), key=lambda place: -(amount * weighed[place] % whole))[:left]:
        shares[place] += 1
    return tuple(shares)


def tax_in(gross_minor: int, basis_points: int) -> int:
    """The tax that a price with tax contains, rounded half up."""
    return _half_up(gross_minor * basis_points, 10_000 + basis_points)


def tax_on(net_minor: int, basis_points: int) -> int:
    """The tax that comes on top of a price without it, rounded half up."""
    return _half_up(net_minor * basis_points, 10_000)


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _whole_sets(lines: Iterable[Item], bundle: Bundle) -> int:
    held = {line.deal_id: line.qty for line in lines}
    return min((held.get(deal_id, 0) for deal_id in bundle.deal_ids), default=0)


def _shipping(items: Sequence[Item], subtotal: int, terms: Terms) -> int:
    if not any(item.ships for item in items):
        return 0
    free = terms.shipping_free_from_minor and subtotal >= terms.shipping_free_from_minor
    return 0 if free else terms.shipping_minor
