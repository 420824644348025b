"""Refusals as they come back from the server, made into `Refused` again. Text and numbers in, an exception out."""

from typing import Any

from livecommerce.errors import R, Refused

_BY_NUMBER = {row.value.number: row for row in R}


def refused(number: int, text: str, after_ms: int | None = None, facts: dict[str, Any] | None = None) -> Refused:
    """The `Refused` of that number with the server's own words; an unknown number becomes `INTERNAL`."""
    made = Refused(_BY_NUMBER.get(number, R.INTERNAL), after_ms=after_ms, facts=facts)
    made.text = text
    made.args = (f"{number} {made.why.value.word}: {text}",)
    return made
