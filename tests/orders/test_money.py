"""Sums are exact: they add up to the smallest coin whatever the prices."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecommerce.orders.money import Bundle, Item, Terms, line_totals, spread, sum_up, tax_in, tax_on

minor = st.integers(0, 10_000_000)
quantities = st.integers(1, 20)


@given(amount=minor, weights=st.lists(minor, min_size=1, max_size=8))
def test_shares_sum_to_the_amount_and_are_off_by_less_than_a_coin(amount: int, weights: list[int]) -> None:
    shares = spread(amount, weights)

    assert sum(shares) == amount
    assert all(share >= 0 for share in shares)
    if sum(weights):
        assert all(
            abs(share * sum(weights) - amount * w) < sum(weights) for share, w in zip(shares, weights, strict=True)
        )


def test_a_bundle_of_presents_is_spread_evenly() -> None:
    assert spread(10, [0, 0, 0]) == (4, 3, 3)


@given(prices=st.lists(minor, min_size=1, max_size=6), sets=quantities, over=st.integers(0, 5), bundle_minor=minor)
def test_whole_bundles_cost_their_price_and_what_is_over_its_own(
    prices: list[int], sets: int, over: int, bundle_minor: int
) -> None:
    items = [Item(f"d{i}", "card", sets + (over if i == 0 else 0), price) for i, price in enumerate(prices)]
    bundle = Bundle(tuple(item.deal_id for item in items), bundle_minor)
    whole = sets if len(prices) > 1 else sets + over

    assert sum(line_totals(items, {"card": bundle})) == whole * bundle_minor + (sets + over - whole) * prices[0]


@settings(max_examples=200)
@given(
    lines=st.lists(st.tuples(minor, quantities, st.booleans(), st.booleans()), min_size=1, max_size=8),
    terms=st.builds(Terms, st.integers(0, 3000), st.booleans(), st.integers(0, 2000), st.integers(0, 20_000)),
    shipped=st.booleans(),
)
def test_totals_add_up(lines: list[tuple[int, int, bool, bool]], terms: Terms, shipped: bool) -> None:
    items = [Item(f"d{i}", "card", qty, price, taxable, ships) for i, (price, qty, taxable, ships) in enumerate(lines)]
    prices = line_totals(items, {})

    sums = sum_up(items, prices, terms, shipped=shipped)

    on_top = 0 if terms.tax_included else sums.tax_minor
    assert sums.subtotal_minor == sum(price * qty for price, qty, _, _ in lines)
    assert sums.total_minor == sums.subtotal_minor + sums.shipping_minor + on_top
    assert sums.shipping_minor in (0, terms.shipping_minor)
    assert shipped or sums.shipping_minor == 0
    assert any(item.taxable for item in items) or sums.tax_minor == 0


@given(net=minor, rate=st.integers(0, 3000))
def test_the_tax_on_a_price_is_the_tax_in_the_price_with_it(net: int, rate: int) -> None:
    tax = tax_on(net, rate)

    assert abs(tax_in(net + tax, rate) - tax) <= 1


@pytest.mark.parametrize(
    ("subtotal", "free_from", "shipping"), [(4999, 5000, 490), (5000, 5000, 0), (9_999_999, 0, 490)]
)
def test_parcels_are_free_from_the_sum_on_and_never_where_it_is_zero(
    subtotal: int, free_from: int, shipping: int
) -> None:
    items = [Item("d", "card", 1, subtotal)]

    assert sum_up(items, [subtotal], Terms(2000, True, 490, free_from), shipped=True).shipping_minor == shipping


def test_tax_is_rounded_half_up_once() -> None:
    assert (tax_on(25, 1000), tax_on(24, 1000), tax_in(6, 2000), tax_in(2489, 2000)) == (3, 2, 1, 415)
