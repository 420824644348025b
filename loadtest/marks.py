"""The planned moment of a card or a line travels in its own text, so that every generator can count from it.

A line of chat or a card's talking line ends in ` ·at 12345678`: microseconds of the run's clock. No file of times has
to be carried from the one who sends to those who receive.
"""

import re

_MARK = re.compile(r" ·at (\d{1,15})$")


def marked(text: str, planned_us: int) -> str:
    return f"{text} ·at {planned_us}"


def planned_us_of(text: str) -> int | None:
    """None where the text carries no mark: somebody else said it."""
    found = _MARK.search(text)
    return int(found[1]) if found else None
