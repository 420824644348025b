"""Prices as text ⇄ minor units, by ISO 4217."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.catalogue.money import PRICE_MINOR_MAX, PriceError, format_minor, parse_minor


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("29.90", "EUR", 2990), ("29.9", "EUR", 2990), ("29", "EUR", 2900), (" 0 ", "EUR", 0), ("0.01", "USD", 1),
        ("10.00", "JPY", 10), ("1200", "JPY", 1200), ("1.234", "KWD", 1234), ("9.990", "EUR", 999),
        ("1.5", "CLF", 15000),
    ],
)  # fmt: skip
def test_a_price_becomes_minor_units_of_its_currency(text: str, currency: str, minor: int) -> None:
    assert parse_minor(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "says"),
    [
        ("-1", "EUR", "negative"), ("−1", "EUR", "negative"), ("9.999", "EUR", "finer"), ("10.5", "JPY", "no digits"),
        ("29,90", "EUR", "point"), ("€29", "EUR", "point"), ("1e3", "EUR", "point"), ("NaN", "EUR", "point"),
        ("١٢", "EUR", "point"), ("1 000", "EUR", "point"), (".5", "EUR", "point"), ("5.", "EUR", "point"),
        ("999999999999", "EUR", "highest"), ("9999999999999", "EUR", "point"),
    ],
)  # fmt: skip
def test_what_is_no_exact_price_is_refused_with_what_to_do(text: str, currency: str, says: str) -> None:
    with pytest.raises(PriceError, match=says):
        parse_minor(text, currency)


@given(st.integers(0, PRICE_MINOR_MAX), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_writing_and_reading_a_price_gives_it_back(minor: int, currency: str) -> None:
    assert parse_minor(format_minor(minor, currency), currency) == minor


def test_a_refund_is_written_with_its_sign() -> None:
    assert format_minor(-5, "EUR") == "-0.05"
