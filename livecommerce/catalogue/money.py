"""Prices as people write them ⇄ whole numbers of the currency's smallest coin (ISO 4217 minor units).

What arrives: text such as `29.90` and a currency code. What leaves: an integer, or `PriceError` with a sentence that
says what to change. It knows no rounding: a price finer than the smallest coin is refused, never bent.
"""

import re

# Currencies whose smallest coin is not a hundredth, from ISO 4217's list of minor units.
_WITHOUT_COINS = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
    "XPF",
)  # fmt: skip
_IN_THOUSANDTHS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_DIGITS = dict.fromkeys(_WITHOUT_COINS, 0) | dict.fromkeys(_IN_THOUSANDTHS, 3) | {"CLF": 4, "UYW": 4}
PRICE_MINOR_MAX = 100_000_000_000
_PRICE = re.compile(r"([0-9]{1,12})(?:\.([0-9]+))?")


class PriceError(ValueError):
    """A price that cannot be taken; the text says what to do."""


def minor_digits(currency: str) -> int:
    """How many digits stand after the point in this currency: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _DIGITS.get(currency, 2)


def parse_minor(text: str, currency: str) -> int:
    """`text` in minor units of `currency`.

    Raises `PriceError` for what is no plain number with a point, is negative, has digits below the smallest coin
    (zeros there are harmless), or is larger than `PRICE_MINOR_MAX`.
    """
    text = text.strip()
    if text.startswith(("-", "−")):
        raise PriceError("A price cannot be negative.")
    match = _PRICE.fullmatch(text)
    if match is None:
        raise PriceError("Write the price as digits with a point, such as 29.90, without currency sign or spaces.")
    digits = minor_digits(currency)
    whole, fraction = match[1], (match[2] or "").rstrip("0")
    if len(fraction) > digits:
        raise PriceError(f"{currency} has {digits or 'no'} digits after the point; this price is finer than that.")
    minor = int(whole + fraction.ljust(digits, "0"))
    if minor > PRICE_MINOR_MAX:
        raise PriceError(f"The highest price is {format_minor(PRICE_MINOR_MAX, currency)}.")
    return minor


def format_minor(minor: int, currency: str) -> str:
    """The price with all its digits and a point: `2990` in EUR is `29.90`. The inverse of `parse_minor`."""
    digits = minor_digits(currency)
    text = str(abs(minor)).rjust(digits + 1, "0")
    shown = f"{text[:-digits]}.{text[-digits:]}" if digits else text
    return f"-{shown}" if minor < 0 else shown
